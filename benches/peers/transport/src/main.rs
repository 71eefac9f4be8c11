//! Sinkhorn by other Rust libraries, beside mantex: the same number of iterations without
//! over-relaxation, then the plan and its cost.
//!
//! mantex tells the number of iterations to its default tolerance, so that no library checks more
//! than its own way of iterating does. It is also timed with its default settings, which reach the
//! same tolerance in fewer iterations. Costs of the plans are compared before the times.

#[path = "../../support.rs"]
mod support;

use mantex::transport::{EpsilonScaling, Method, OverRelaxation};
use mantex::{MatMut, MatRef, Real, Sinkhorn};
use ndarray::{Array1, Array2};
use ruvector_math::optimal_transport::SinkhornSolver;
use std::any::type_name;
use std::hint::black_box;
use support::arguments::Arguments;
use support::inputs;
use support::timing::ONCE;
use support::{Comparison, Contestant, difference};

/// The points on each side.
const N: usize = 500;

/// Epsilon, as a multiple of the median cost.
const RELATIVE_EPSILON: f64 = 0.1;

/// The largest relative difference of the plans' costs that is allowed, for f32 and f64: wass adds
/// up a quarter of a million products in one f32.
const LIMITS: [f64; 2] = [1e-3, 1e-6];

/// The unit of the times.
const MS: (f64, &str) = (1e3, "ms");

/// A peer by its name and what solves the problem and returns the cost of the plan.
type Peer<'a> = (&'a str, Box<dyn Fn() -> f64 + 'a>);

/// A problem, and the number of iterations to the default tolerance.
struct Problem<T> {
    costs: Vec<T>,
    masses: Vec<T>,
    epsilon: f64,
    iterations: usize,
}

impl<T: Real> Problem<T> {
    /// The problem of the bench `transport`.
    fn new() -> Self {
        let (costs, median) = inputs::costs(N);
        let costs = costs.into_iter().map(T::rounded).collect();
        // Representable in the type of the costs, as it is for the peers.
        let epsilon = T::rounded(RELATIVE_EPSILON * median).into();
        let mut problem = Self { costs, masses: vec![T::rounded(1.0 / N as f64); N], epsilon, iterations: 0 };
        let solver = problem.unaccelerated(Method::Log).max_iterations(20_000);
        let solution = solver.solve(problem.matrix(), &problem.masses, &problem.masses).expect("a good problem");
        assert!(solution.converged(), "the problem is too hard");
        problem.iterations = solution.iterations();
        problem
    }

    fn matrix(&self) -> MatRef<'_, T> {
        MatRef::new(&self.costs, N, N).expect("a matrix")
    }

    fn unaccelerated(&self, method: Method) -> Sinkhorn {
        let solver = Sinkhorn::new(self.epsilon).method(method);
        solver.over_relaxation(OverRelaxation::Off).epsilon_scaling(EpsilonScaling::Off)
    }

    /// Solves, writes the plan, and returns its cost.
    fn solve(&self, solver: &Sinkhorn, plan: &mut [T]) -> f64 {
        let cost = black_box(self.matrix());
        let solution = solver.solve(cost, &self.masses, &self.masses).expect("a good problem");
        solution.plan_into(cost, MatMut::new(plan, N, N).expect("a matrix")).expect("the same shape");
        solution.cost()
    }

    /// Compares a method of mantex, and then its default settings, with peers.
    fn compare(&self, comparison: &mut Comparison, method: (Method, &str), peers: Vec<Peer<'_>>) {
        let id = format!("{}/n={N}/epsilon={RELATIVE_EPSILON}*median", type_name::<T>());
        let fixed = self.unaccelerated(method.0).tolerance(0.0).max_iterations(self.iterations);
        for (solver, name) in [(fixed, method.1), (Sinkhorn::new(self.epsilon), "default")] {
            let work = format!("sinkhorn_solve/{id}/{name}");
            let mut plan = vec![T::default(); N * N];
            let ours = self.solve(&solver, &mut plan);
            // The default settings end elsewhere within the tolerance.
            let limit = if name == "default" { 1e-3 } else { LIMITS[usize::from(size_of::<T>() == 8)] };
            let work_of_mantex = || _ = black_box(self.solve(&solver, &mut plan));
            let mut contestants = vec![Contestant::new("mantex", 0.0, work_of_mantex)];
            for (peer, solve) in &peers {
                let difference = difference(&work, peer, &[ours], &[solve()], limit);
                contestants.push(Contestant::new(peer, difference, || _ = black_box(solve())));
            }
            comparison.compare(&work, &mut contestants, ONCE, MS);
        }
    }
}

/// wass has f32 only.
fn compare_f32(comparison: &mut Comparison) {
    let problem = Problem::<f32>::new();
    let costs = Array2::from_shape_vec((N, N), problem.costs.clone()).expect("a matrix");
    let masses = Array1::from_vec(problem.masses.clone());
    let (epsilon, iterations) = (problem.epsilon as f32, problem.iterations);
    let log = || f64::from(wass::sinkhorn_log(&masses, &masses, &costs, epsilon, iterations).1);
    let scaling = || f64::from(wass::sinkhorn(&masses, &masses, &costs, epsilon, iterations).1);
    problem.compare(comparison, (Method::Log, "log"), vec![("wass sinkhorn_log", Box::new(log))]);
    problem.compare(comparison, (Method::Scaling, "scaling"), vec![("wass sinkhorn", Box::new(scaling))]);
}

/// ruvector-math has f64 only. Its threshold is out of reach, so it makes all iterations.
fn compare_f64(comparison: &mut Comparison) {
    let problem = Problem::<f64>::new();
    let costs: Vec<Vec<f64>> = problem.costs.chunks_exact(N).map(<[f64]>::to_vec).collect();
    let solver = SinkhornSolver::new(problem.epsilon, problem.iterations).with_threshold(0.0);
    let solve = || solver.solve(&costs, &problem.masses, &problem.masses).expect("a good problem").cost;
    problem.compare(comparison, (Method::Log, "log"), vec![("ruvector-math", Box::new(solve))]);
}

fn main() {
    let mut comparison = Comparison::new("transport", Some(include_str!("../Cargo.toml")), &Arguments::new());
    compare_f32(&mut comparison);
    compare_f64(&mut comparison);
}
