//! Sparse transport: whole solves, their progress and their errors.

use super::iterations::Problem;
use super::pools;
use super::support::{
    float::{Float, bits_of},
    for_both_types,
    isas::isas,
};
use mantex::Error;
use mantex::transport::{SparseSolution, SparseTransport, Status};
use rayon::prelude::*;
use std::ops::ControlFlow;

for_both_types! {
    solves_have_the_bits_of_one_thread
    special_problems_have_the_bits_of_one_thread
    progress_has_the_bits_of_one_thread
    errors_are_those_of_one_thread
}

impl<T: Float> Problem<T> {
    /// A solver whose gamma is `r` times the one at which plans are dense.
    fn sparse_solver(&self, r: f64) -> SparseTransport {
        SparseTransport::new(r).max_iterations(30)
    }

    fn solve_sparse(&self, solver: &SparseTransport) -> Result<SparseSolution<T>, Error> {
        solver.solve(self.view(), &self.a, &self.b)
    }

    /// Compares solves in all pools with one on the calling thread, on every instruction set.
    fn compare_sparse(&self, solver: &SparseTransport) {
        for isa in isas() {
            let one = solver.clone().isa(isa);
            let several = one.clone().parallel(true);
            let one = everything(&self.solve_sparse(&one).expect("good input"));
            for pool in pools() {
                let result = pool.install(|| self.solve_sparse(&several)).expect("good input");
                let threads = pool.current_num_threads();
                let name = format!("{} x {}, {solver:?} on {isa}", self.a.len(), self.b.len());
                assert!(everything(&result) == one, "{name}, {threads} threads: {:?}", result.status());
            }
            // From a thread outside of the pool of all tests.
            let result = self.solve_sparse(&several).expect("good input");
            assert!(everything(&result) == one, "{solver:?} on {isa}, global pool");
        }
    }
}

/// The bits of all numbers of a solution, its end, and its entries.
fn everything<T: Float>(s: &SparseSolution<T>) -> (Vec<u64>, usize, Status, Vec<usize>, Vec<u32>) {
    let numbers = [s.cost(), s.value(), s.dual_value(), s.marginal_error()].map(f64::to_bits);
    let plan = s.plan();
    let bits = [bits_of(s.f()), bits_of(s.g()), bits_of(&plan.masses), numbers.to_vec()].concat();
    (bits, s.iterations(), s.status(), plan.row_pointers.clone(), plan.columns.clone())
}

fn solves_have_the_bits_of_one_thread<T: Float>() {
    // Fewer rows than tasks, wide and tall, and rows that are longer than a block.
    for (n, m) in [(1, 1), (3, 5), (2, 20_000), (40, 900), (900, 40), (230, 210)] {
        let problem = Problem::<T>::new(n, m);
        for r in [1.0, 1e-2, 1e-4] {
            let solver = problem.sparse_solver(r);
            problem.compare_sparse(&solver);
            for k in [1, 3] {
                problem.compare_sparse(&solver.clone().max_entries_per_row(k).max_iterations(12));
            }
        }
    }
}

fn special_problems_have_the_bits_of_one_thread<T: Float>() {
    let (n, m) = (260, 150);
    // Ties: costs of few values, so that rows choose among equal scores. Zeros have both signs.
    let mut problem = Problem::<T>::new(n, m);
    for (at, cost) in problem.cost.iter_mut().enumerate() {
        *cost = T::of(if at % 7 == 0 { -0.0 } else { (at * 5 % 3) as f64 });
    }
    for k in [2, m] {
        problem.compare_sparse(&problem.sparse_solver(1e-3).max_entries_per_row(k));
    }
    // Columns without entries at first, whose potentials are raised.
    let mut problem = Problem::<T>::new(n, m);
    for (at, cost) in problem.cost.iter_mut().enumerate() {
        *cost = T::of(cost.wide() + if at % m < 20 { 50.0 } else { 0.0 });
    }
    problem.compare_sparse(&problem.sparse_solver(1e-3));
    // Masses of very different magnitudes, until no step raises the dual value.
    let mut problem = Problem::<T>::new(n, m);
    for (i, a) in problem.a.iter_mut().enumerate() {
        *a = T::of(if a.wide() > 0.0 { 0.5_f64.powi(i as i32 % 30) } else { 0.0 });
    }
    let total: f64 = problem.a.iter().map(|a| a.wide()).sum();
    problem.b.iter_mut().for_each(|b| *b = T::of(b.wide() * total / (n * m) as f64));
    problem.compare_sparse(&problem.sparse_solver(10.0).tolerance(0.0));
    // Blocks without a plan.
    let mut problem = Problem::<T>::new(n, m);
    for (at, cost) in problem.cost.iter_mut().enumerate() {
        let is_forbidden = at / m < n / 2 && at % m >= m / 3;
        *cost = if is_forbidden { T::of(f64::INFINITY) } else { *cost };
    }
    let solver = problem.sparse_solver(1.0).max_iterations(300);
    assert_eq!(problem.solve_sparse(&solver).expect("good input").status(), Status::Infeasible);
    problem.compare_sparse(&solver);
}

fn progress_has_the_bits_of_one_thread<T: Float>() {
    let problem = Problem::<T>::new(230, 210);
    let reports = |solver: &SparseTransport| {
        let mut reports = Vec::new();
        let end = solver.solve_with_progress(problem.view(), &problem.a, &problem.b, |progress| {
            reports.push((progress.iteration, progress.error.to_bits(), progress.gamma.to_bits()));
            if reports.len() < 5 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        (reports, everything(&end.expect("good input")))
    };
    let solver = problem.sparse_solver(1e-4).tolerance(1e-12);
    let one = reports(&solver);
    let several = solver.parallel(true);
    assert!(reports(&several) == one, "global pool");
    for pool in pools() {
        assert!(pool.install(|| reports(&several)) == one, "{} threads", pool.current_num_threads());
    }
}

fn errors_are_those_of_one_thread<T: Float>() {
    let limit = if T::NAME == "f32" { 1e31 } else { 1e301 };
    for bad in [T::of(f64::NAN), T::of(f64::NEG_INFINITY), T::of(limit)] {
        let mut problem = Problem::<T>::new(260, 150);
        for row in [251, 130, 133] {
            problem.cost[row * 150 + 9] = bad;
        }
        let one = problem.solve_sparse(&problem.sparse_solver(1.0)).unwrap_err();
        assert!(matches!(one, Error::InvalidElement { argument: "cost", row: 130, col: 9, .. }), "{one}");
        for pool in pools() {
            let several = pool.install(|| problem.solve_sparse(&problem.sparse_solver(1.0).parallel(true)));
            let [several, one] = [several.unwrap_err(), one.clone()].map(|error| error.to_string());
            assert_eq!(several, one);
        }
    }
}

/// Many solves in tasks of a pool, and from threads outside of it at once.
#[test]
fn solves_may_nest_in_tasks_of_a_pool() {
    let problem = Problem::<f64>::new(230, 210);
    let solver = problem.sparse_solver(1e-2);
    let expected = everything(&problem.solve_sparse(&solver).expect("good input"));
    let several = solver.parallel(true);
    let is_right = || everything(&problem.solve_sparse(&several).expect("good input")) == expected;
    let pools = pools();
    for pool in &pools {
        assert!(pool.install(|| (0..8).into_par_iter().all(|_| is_right())));
    }
    assert!(pools[1].install(|| pools[0].install(is_right)));
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| pools[1].install(is_right))).collect();
        assert!(calls.into_iter().all(|call| call.join().expect("no panic")));
    });
}
