//! Whole Sinkhorn solves to the same error of the marginals.
//!
//! Packages test other norms, or one marginal only, or nothing. So each of their solves is repeated
//! with stricter settings until the L1 error of both marginals of its plan, computed here, is
//! within the tolerance. The first such solve is the work to time.

use crate::npy;
use crate::support::inputs::costs;
use crate::support::timing::ONCE;
use crate::support::{Comparison, Contestant};
use crate::worker::{Package, Worker, input, path_field};
use mantex::{MatMut, MatRef, Real, Sinkhorn};
use std::any::type_name;
use std::hint::black_box;

/// The points on each side.
const N: usize = 1000;

/// Epsilon, as multiples of the median cost.
const RELATIVE_EPSILONS: [f64; 2] = [0.1, 0.01];

/// The methods for f64.
const METHODS: [(&str, &str); 7] = [
    ("POT", "sinkhorn"),
    ("POT", "sinkhorn_log on torch"),
    ("ott-jax", "with kernel"),
    ("ott-jax", "with momentum 1.5"),
    ("regot", "sinkhorn_lbfgs_dual"),
    ("regot", "sinkhorn_ssns"),
    ("regot", "sinkhorn_splr"),
];

/// The methods for f32; regot has f64 only.
const F32_METHODS: [(&str, &str); 3] =
    [("POT", "sinkhorn"), ("ott-jax", "with kernel"), ("ott-jax", "with momentum 1.5")];

/// The methods that anneal epsilon in a given number of iterations: their error falls with the
/// inverse of that number only.
const ANNEALING_METHODS: [(&str, &str); 1] = [("geomloss", "ot.solve")];

/// The L1 error of the marginals.
const TOLERANCE_F64: f64 = 1e-6;
const TOLERANCE_F32: f64 = 1e-4;

/// The same for annealing methods.
const ANNEALING_TOLERANCE: f64 = 1e-2;

/// The relative difference of the plans' costs that is allowed, as a multiple of the tolerance.
const COST_LIMIT: f64 = 10.0;

/// The most settings that are tried.
const MAX_ATTEMPTS: usize = 16;

/// A problem with uniform masses.
struct Problem<T> {
    costs: Vec<T>,
    masses: Vec<T>,
    epsilon: f64,
    tolerance: f64,
}

impl<T: Real> Problem<T> {
    /// Solves, writes the plan, and returns its cost.
    fn solve(&self, plan: &mut [T]) -> f64 {
        let cost = MatRef::new(&self.costs, N, N).expect("a matrix");
        let solver = Sinkhorn::new(self.epsilon).tolerance(self.tolerance);
        let solution = solver.solve(black_box(cost), &self.masses, &self.masses).expect("a good problem");
        solution.plan_into(cost, MatMut::new(plan, N, N).expect("a matrix")).expect("the same shape");
        solution.cost()
    }

    /// Returns the L1 error of both marginals of a plan, and its cost.
    fn evaluate(&self, plan: &[f64]) -> (f64, f64) {
        assert_eq!(plan.len(), N * N, "the plan is not N x N");
        let mut cols = vec![0.0; N];
        let mut error = 0.0;
        for (row, mass) in plan.chunks_exact(N).zip(&self.masses) {
            cols.iter_mut().zip(row).for_each(|(sum, p)| *sum += p);
            error += (row.iter().sum::<f64>() - (*mass).into()).abs();
        }
        error += cols.iter().zip(&self.masses).map(|(sum, &mass)| (sum - mass.into()).abs()).sum::<f64>();
        (error, plan.iter().zip(&self.costs).map(|(p, &cost)| p * cost.into()).sum())
    }

    /// Finds the mildest setting that meets the tolerance, and returns the cost of its plan.
    fn prepare(&self, worker: &mut Worker, work_id: &str, costs: &std::path::Path) -> f64 {
        for attempt in 0..MAX_ATTEMPTS {
            let plan = worker.prepare(&[
                ("costs", path_field(costs)),
                ("epsilon", format!("{:e}", self.epsilon)),
                ("tolerance", format!("{:e}", self.tolerance)),
                ("attempt", attempt.to_string()),
            ]);
            let (error, cost) = self.evaluate(&plan);
            if error <= self.tolerance {
                return cost;
            }
        }
        panic!("{work_id}: {} does not reach the tolerance", worker.name)
    }
}

/// Compares the methods on one type, for works whose names end with `suffix`.
fn compare_type<T: Real>(comparison: &mut Comparison, workers: &mut [Worker], tolerance: f64, suffix: &str) {
    if workers.is_empty() {
        return;
    }
    let (costs, median) = costs(N);
    let costs: Vec<T> = costs.into_iter().map(T::rounded).collect();
    let masses = vec![T::rounded(1.0 / N as f64); N];
    let file = input("costs.npy");
    npy::write(&file, N, &costs);
    let mut problem = Problem { costs, masses, epsilon: 0.0, tolerance };
    for relative_epsilon in RELATIVE_EPSILONS {
        let work_id = format!("sinkhorn_solve/{}/n={N}/epsilon={relative_epsilon}*median{suffix}", type_name::<T>());
        // Representable in the type of the costs, as it is for the packages.
        problem.epsilon = T::rounded(relative_epsilon * median).into();
        let mut plan = vec![T::default(); N * N];
        let ours = problem.solve(&mut plan);
        let (error, _) = problem.evaluate(&plan.iter().map(|&p| p.into()).collect::<Vec<_>>());
        // The plan is rounded to the type.
        assert!(error <= 1.02 * tolerance, "{work_id}: mantex has an error of {error:e}");
        let mut contestants = vec![Contestant::new("mantex", 0.0, || _ = black_box(problem.solve(&mut plan)))];
        for worker in &mut *workers {
            let theirs = problem.prepare(worker, &work_id, &file);
            let limit = COST_LIMIT * tolerance;
            let difference = crate::support::difference(&work_id, &worker.name, &[ours], &[theirs], limit);
            contestants.push(worker.contestant(difference));
        }
        comparison.compare(&work_id, &mut contestants, ONCE, (1e3, "ms"));
    }
}

/// Compares the packages that were asked for.
pub(crate) fn compare(comparison: &mut Comparison, packages: &[Package]) {
    let start = |methods| Worker::start_all(packages, "transport", methods);
    compare_type::<f64>(comparison, &mut start(&METHODS), TOLERANCE_F64, "/default");
    compare_type::<f32>(comparison, &mut start(&F32_METHODS), TOLERANCE_F32, "/default");
    compare_type::<f64>(comparison, &mut start(&ANNEALING_METHODS), ANNEALING_TOLERANCE, "/error=0.01/default");
}
