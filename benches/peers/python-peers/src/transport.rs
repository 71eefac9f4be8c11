//! Whole Sinkhorn solves to the same error of the marginals, also to the last digits.
//!
//! Packages test other norms, or one marginal only, or nothing. So each of their solves is repeated
//! with stricter settings until the L1 error of both marginals of its plan, computed here, is
//! within the tolerance. The first such solve is the work to time. A package that does not get
//! there is recorded with the error of its best attempt.

use crate::npy;
use crate::support::inputs::costs;
use crate::support::problems::problems;
use crate::support::timing::ONCE;
use crate::support::{Comparison, Contestant, Unmet};
use crate::worker::{Package, Worker, input, path_field};
use mantex::{MatMut, MatRef, Real, Sinkhorn};
use std::any::type_name;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

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

/// The methods for the last digits: those with second derivatives. Line searches of regot's L-BFGS
/// fail there.
const NEWTON_METHODS: [(&str, &str); 2] = [("regot", "sinkhorn_ssns"), ("regot", "sinkhorn_splr")];

/// The L1 error of the marginals.
const TOLERANCE_F64: f64 = 1e-6;
const TOLERANCE_F32: f64 = 1e-4;

/// The same for annealing methods.
const ANNEALING_TOLERANCE: f64 = 1e-2;

/// The same for the last digits.
const NEWTON_TOLERANCE: f64 = 1e-9;

/// The most iterations for the last digits: those of regot take 10 to 30 ms each.
const NEWTON_ITERATIONS: usize = 400;

/// The relative difference of the plans' costs that is allowed, as a multiple of the tolerance.
const COST_LIMIT: f64 = 10.0;

/// The most settings that are tried.
const MAX_ATTEMPTS: usize = 16;

/// No further setting is tried after as many seconds.
const MAX_SECONDS: f64 = 20.0;

/// A problem, and the files that have it.
struct Problem<T> {
    costs: Vec<T>,
    masses: [Vec<T>; 2],
    files: [PathBuf; 2],
    epsilon: f64,
    tolerance: f64,
    /// More fields of the requests.
    fields: Vec<(&'static str, String)>,
}

impl<T: Real> Problem<T> {
    /// Writes the files of a problem, whose epsilon is still to be set.
    fn new(costs: Vec<T>, masses: [Vec<T>; 2], tolerance: f64) -> Self {
        let files = ["costs.npy", "masses.npy"].map(input);
        npy::write(&files[0], masses[0].len(), &costs);
        npy::write(&files[1], 2, &masses.concat());
        Self { costs, masses, files, epsilon: 0.0, tolerance, fields: Vec::new() }
    }

    /// Solves, writes the plan, and returns its cost.
    fn solve(&self, plan: &mut [T]) -> f64 {
        let [a, b] = &self.masses;
        let cost = MatRef::new(&self.costs, a.len(), b.len()).expect("a matrix");
        let solver = Sinkhorn::new(self.epsilon).tolerance(self.tolerance);
        let solution = solver.solve(black_box(cost), a, b).expect("a good problem");
        solution.plan_into(cost, MatMut::new(plan, a.len(), b.len()).expect("a matrix")).expect("the same shape");
        solution.cost()
    }

    /// Returns the L1 error of both marginals of a plan, and its cost.
    fn evaluate(&self, plan: &[f64]) -> (f64, f64) {
        let error = marginal_error(plan, &self.masses);
        (error, plan.iter().zip(&self.costs).map(|(p, &cost)| p * cost.into()).sum())
    }

    /// Finds the mildest setting that meets the tolerance, and returns the cost of its plan.
    fn prepare(&self, worker: &mut Worker) -> Result<f64, Unmet> {
        attempts(|attempt| {
            let [costs, masses] = &self.files;
            let mut fields = vec![
                ("costs", path_field(costs)),
                ("masses", path_field(masses)),
                ("epsilon", format!("{:e}", self.epsilon)),
                ("tolerance", format!("{:e}", self.tolerance)),
                ("attempt", attempt.to_string()),
            ];
            fields.extend(self.fields.iter().cloned());
            let plan = worker.prepare(&fields);
            if plan.is_empty() {
                return (f64::NAN, None);
            }
            let (error, cost) = self.evaluate(&plan);
            (error, (error <= self.tolerance).then_some(cost))
        })
    }

    /// Compares the methods on this problem.
    fn compare(&self, comparison: &mut Comparison, workers: &mut [Worker], work_id: &str) {
        let mut plan = vec![T::default(); self.costs.len()];
        let ours = self.solve(&mut plan);
        let (error, _) = self.evaluate(&plan.iter().map(|&p| p.into()).collect::<Vec<_>>());
        // The plan is rounded to the type.
        assert!(error <= 1.02 * self.tolerance, "{work_id}: mantex has an error of {error:e}");
        let mut contestants = vec![Contestant::new("mantex", 0.0, || _ = black_box(self.solve(&mut plan)))];
        let mut unmet = Vec::new();
        for worker in workers {
            match self.prepare(worker) {
                Ok(theirs) => {
                    let limit = COST_LIMIT * self.tolerance;
                    let difference = crate::support::difference(work_id, &worker.name, &[ours], &[theirs], limit);
                    contestants.push(worker.contestant(difference));
                }
                Err(best) => unmet.push((worker.name.clone(), best)),
            }
        }
        let mantex = comparison.compare(work_id, &mut contestants, ONCE, (1e3, "ms"));
        for (name, best) in unmet {
            comparison.print_unmet(work_id, &name, best, mantex);
        }
    }
}

/// Returns the L1 error of both marginals of a plan.
pub(crate) fn marginal_error<T: Real>(plan: &[f64], [a, b]: &[Vec<T>; 2]) -> f64 {
    assert_eq!(plan.len(), a.len() * b.len(), "the plan has another size");
    let mut cols = vec![0.0; b.len()];
    let mut error = 0.0;
    for (row, mass) in plan.chunks_exact(b.len()).zip(a) {
        cols.iter_mut().zip(row).for_each(|(sum, p)| *sum += p);
        error += (row.iter().sum::<f64>() - (*mass).into()).abs();
    }
    error + cols.iter().zip(b).map(|(sum, &mass)| (sum - mass.into()).abs()).sum::<f64>()
}

/// Tries stricter and stricter settings. `attempt` returns the error, and a result if that is small
/// enough: the first result ends the attempts.
pub(crate) fn attempts<R>(mut attempt: impl FnMut(usize) -> (f64, Option<R>)) -> Result<R, Unmet> {
    let start = Instant::now();
    let mut best: Option<Unmet> = None;
    for number in 0..MAX_ATTEMPTS {
        let before = start.elapsed().as_secs_f64();
        if before > MAX_SECONDS {
            break;
        }
        let (error, result) = attempt(number);
        if let Some(result) = result {
            return Ok(result);
        }
        if best.is_none_or(|best| best.error.is_nan() || error < best.error) {
            best = Some(Unmet { error, seconds: start.elapsed().as_secs_f64() - before });
        }
    }
    Err(best.expect("an attempt"))
}

/// Compares the methods on one type, for works whose names end with `suffix`.
fn compare_type<T: Real>(comparison: &mut Comparison, workers: &mut [Worker], tolerance: f64, suffix: &str) {
    if workers.is_empty() {
        return;
    }
    let (costs, median) = costs(N);
    let costs: Vec<T> = costs.into_iter().map(T::rounded).collect();
    let masses = vec![T::rounded(1.0 / N as f64); N];
    let mut problem = Problem::new(costs, [masses.clone(), masses], tolerance);
    for relative_epsilon in RELATIVE_EPSILONS {
        let work_id = format!("sinkhorn_solve/{}/n={N}/epsilon={relative_epsilon}*median{suffix}", type_name::<T>());
        // Representable in the type of the costs, as it is for the packages.
        problem.epsilon = T::rounded(relative_epsilon * median).into();
        problem.compare(comparison, workers, &work_id);
    }
}

/// Compares the packages that were asked for.
pub(crate) fn compare(comparison: &mut Comparison, packages: &[Package]) {
    let start = |methods| Worker::start_all(packages, "transport", "transport", methods);
    compare_type::<f64>(comparison, &mut start(&METHODS), TOLERANCE_F64, "/default");
    compare_type::<f32>(comparison, &mut start(&F32_METHODS), TOLERANCE_F32, "/default");
    compare_type::<f64>(comparison, &mut start(&ANNEALING_METHODS), ANNEALING_TOLERANCE, "/error=0.01/default");
}

/// Compares the packages that were asked for on the large problems of the bench `newton`.
pub(crate) fn compare_last_digits(comparison: &mut Comparison, packages: &[Package]) {
    let mut workers = Worker::start_all(packages, "newton", "transport", &NEWTON_METHODS);
    if workers.is_empty() {
        return;
    }
    for source in problems().into_iter().filter(|problem| problem.a.len() > 100) {
        let mut problem = Problem::new(source.cost, [source.a, source.b], NEWTON_TOLERANCE);
        problem.epsilon = source.epsilon;
        problem.fields.push(("max_iterations", NEWTON_ITERATIONS.to_string()));
        let work_id = format!("sinkhorn_solve/f64/{}/error={NEWTON_TOLERANCE:e}/default", source.name);
        problem.compare(comparison, &mut workers, &work_id);
    }
}
