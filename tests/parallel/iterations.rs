//! Whole solves: iterations in both domains, measurements, and blocks that drift.

use super::pools;
use super::support::{
    data::{rng, uniform},
    float::{Float, bits_of},
    for_both_types,
    isas::isas,
};
use mantex::transport::{EpsilonScaling, Method, OverRelaxation, Status, Transport};
use mantex::{MatRef, Sinkhorn, parallel};
use std::ops::ControlFlow;

for_both_types! {
    solves_have_the_bits_of_one_thread
    hard_problems_have_the_bits_of_one_thread
    newtons_steps_have_the_bits_of_one_thread
    several_waves_have_the_bits_of_one_thread
    progress_has_the_bits_of_one_thread
    errors_are_those_of_one_thread
}

/// A problem: costs, n x m, and masses.
pub(super) struct Problem<T> {
    pub(super) cost: Vec<T>,
    pub(super) a: Vec<T>,
    pub(super) b: Vec<T>,
}

impl<T: Float> Problem<T> {
    /// Random costs, some of them forbidden, and equal masses, some of them moved to a neighbor.
    pub(super) fn new(n: usize, m: usize) -> Self {
        let mut cost = uniform::<T>(n * m, 0.0, 1.0, &mut rng(4));
        cost.iter_mut().skip(3).step_by(17).for_each(|cost| *cost = T::of(f64::INFINITY));
        let (mut a, mut b) = (vec![T::of(m as f64); n], vec![T::of(n as f64); m]);
        for masses in [&mut a, &mut b] {
            for pair in masses.chunks_exact_mut(2).skip(2).step_by(5) {
                (pair[0], pair[1]) = (T::of(0.0), T::of(2.0 * pair[0].wide()));
            }
        }
        Self { cost, a, b }
    }

    /// The problem with the costs that `change` returns for their row and column.
    fn changed(mut self, change: &dyn Fn(usize, usize) -> Option<T>) -> Self {
        let m = self.b.len();
        for (at, cost) in self.cost.iter_mut().enumerate() {
            *cost = change(at / m, at % m).unwrap_or(*cost);
        }
        self
    }

    pub(super) fn view(&self) -> MatRef<'_, T> {
        MatRef::new(&self.cost, self.a.len(), self.b.len()).expect("it fits")
    }

    fn solve(&self, solver: &Sinkhorn) -> Result<Transport<T>, mantex::Error> {
        solver.solve(self.view(), &self.a, &self.b)
    }

    /// Compares solves in all pools with one on the calling thread, on every instruction set.
    fn compare(&self, solver: &Sinkhorn) {
        for isa in isas() {
            let one = solver.clone().isa(isa);
            let several = one.clone().parallel(true);
            let one = everything(&self.solve(&one).expect("good input"));
            for pool in pools() {
                // Within the pool, and from a thread outside of it in the pool of all tests.
                let result = pool.install(|| self.solve(&several)).expect("good input");
                let threads = pool.current_num_threads();
                assert!(everything(&result) == one, "{solver:?} on {isa}, {threads} threads: {result:?}");
            }
            let result = self.solve(&several).expect("good input");
            assert!(everything(&result) == one, "{solver:?} on {isa}, global pool: {result:?}");
        }
    }
}

/// The bits of all numbers of a solution, and its end.
fn everything<T: Float>(t: &Transport<T>) -> (Vec<u64>, usize, Status) {
    let numbers = [t.cost(), t.marginal_error()].map(f64::to_bits);
    ([bits_of(t.f()), bits_of(t.g()), numbers.to_vec()].concat(), t.iterations(), t.status())
}

fn solves_have_the_bits_of_one_thread<T: Float>() {
    let cases = [
        (Method::Log, OverRelaxation::Off, EpsilonScaling::Off, 0.05),
        (Method::Log, OverRelaxation::Factor(1.4), EpsilonScaling::Factor(4.0), 0.02),
        (Method::Scaling, OverRelaxation::Off, EpsilonScaling::Off, 0.05),
        (Method::Scaling, OverRelaxation::Factor(1.4), EpsilonScaling::Factor(4.0), 0.02),
        (Method::Auto, OverRelaxation::Auto, EpsilonScaling::Auto, 0.01),
        (Method::Newton, OverRelaxation::Auto, EpsilonScaling::Auto, 0.01),
    ];
    // Fewer rows than a band, a few bands, whole bands, and one column per task.
    for (n, m) in [(3, 5), (40, 900), (130, 70), (512, 65), (1500, 40)] {
        let problem = Problem::<T>::new(n, m);
        for (method, relaxation, scaling, epsilon) in cases {
            let solver = Sinkhorn::new(epsilon).method(method).over_relaxation(relaxation).epsilon_scaling(scaling);
            problem.compare(&solver.max_iterations(25));
        }
    }
}

fn hard_problems_have_the_bits_of_one_thread<T: Float>() {
    let (n, m) = (300, 90);
    let plain = || Problem::<T>::new(n, m);
    let solver = Sinkhorn::new(0.02).max_iterations(30);
    // Potentials so large that rows are evaluated relative to their maximum; scaling is refused.
    for method in [Method::Log, Method::Scaling] {
        plain().compare(&solver.clone().method(method).tolerance(0.0));
        let tiny = Sinkhorn::new(1e-5).max_iterations(12).method(method).epsilon_scaling(EpsilonScaling::Off);
        plain().compare(&tiny);
    }
    // Columns of tiny masses, whose sums underflow.
    let mut problem = plain();
    for (j, tiny) in [(10, 1e-36), (76, 1e-30)] {
        (problem.b[j], problem.b[j + 1]) = (T::of(tiny), T::of(2.0 * problem.b[j].wide()));
    }
    problem.compare(&solver);
    // Offsets, which the solver removes.
    let mut problem = plain();
    problem.cost.iter_mut().for_each(|cost| *cost = T::of(cost.wide() + 1e4));
    problem.compare(&solver);
    // Blocks that drift against each other.
    let far = |problem: &mut Problem<T>, cost: f64| {
        for (at, c) in problem.cost.iter_mut().enumerate() {
            let (i, j) = (at / m, at % m);
            *c = T::of(c.wide() + if (i < n / 3) == (j < m / 3) { 0.0 } else { cost });
        }
    };
    let mut problem = plain();
    far(&mut problem, 1.0);
    problem.compare(&solver.clone().max_iterations(200));
    // Blocks without a plan.
    let mut problem = plain();
    far(&mut problem, f64::INFINITY);
    problem.b[0] = T::of(2.0 * problem.b[0].wide());
    problem.b[m - 1] = T::of(0.0);
    let solver = solver.clone().max_iterations(200);
    assert_eq!(problem.solve(&solver).expect("good input").status(), Status::Infeasible);
    problem.compare(&solver);
    // A start from other potentials.
    let problem = plain();
    problem.compare(&solver.warm_start(vec![0.25; n], vec![-0.125; m]));
}

/// The default chooses Newton's method with several threads where it does with one.
fn newtons_steps_have_the_bits_of_one_thread<T: Float>() {
    let problem = Problem::<T>::new(210, 140);
    let tolerance = if T::NAME == "f32" { 2e-6 } else { 1e-12 };
    let solver = Sinkhorn::new(2e-3).tolerance(tolerance).max_iterations(5000);
    let iterations = |method| problem.solve(&solver.clone().method(method)).expect("good input").iterations();
    let (auto, log) = (iterations(Method::Auto), iterations(Method::Log));
    assert!(3 * auto < 2 * log, "{auto} and {log}");
    problem.compare(&solver);
}

fn several_waves_have_the_bits_of_one_thread<T: Float>() {
    let problem = Problem::<T>::new(1400, 420);
    for method in [Method::Log, Method::Scaling] {
        problem.compare(&Sinkhorn::new(0.05).method(method).max_iterations(2).tolerance(0.0));
    }
}

fn progress_has_the_bits_of_one_thread<T: Float>() {
    let (n, m) = (400, 70);
    let problem = Problem::<T>::new(n, m);
    let cost = MatRef::new(&problem.cost, n, m).expect("it fits");
    let solver = Sinkhorn::new(0.02);
    // The callback computes on the same threads, and ends the solve.
    let solve = |solver: &Sinkhorn| {
        let mut errors = Vec::new();
        let thread = std::thread::current().id();
        let solution = solver.solve_with_progress(cost, &problem.a, &problem.b, |progress| {
            assert_eq!(std::thread::current().id(), thread);
            let mut sums = vec![T::of(0.0); n];
            parallel::log_sum_exp_rows(cost, &mut sums).expect("lengths agree");
            errors.push((progress.error.to_bits(), bits_of(&sums)));
            if progress.iteration == 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (everything(&solution.expect("good input")), errors)
    };
    let one = solve(&solver);
    assert_eq!((one.0.2, one.1.len()), (Status::Stopped, 9));
    let several = solver.parallel(true);
    for pool in pools() {
        assert!(pool.install(|| solve(&several)) == one);
    }
    assert!(solve(&several) == one);
}

fn errors_are_those_of_one_thread<T: Float>() {
    let [nan, forbidden] = [f64::NAN, f64::INFINITY].map(T::of);
    let invalid_row = |row, _| if row == 100 || row == 250 { Some(nan) } else { None };
    let forbidden_column = |_, col| (col == 7).then_some(forbidden);
    let unchanged = |_, _| None;
    type Change<'a, T> = &'a dyn Fn(usize, usize) -> Option<T>;
    // The first of two invalid rows; a column without a partner; an epsilon that is too small.
    let cases: [(Change<'_, T>, f64); 3] = [(&invalid_row, 0.1), (&forbidden_column, 0.1), (&unchanged, 1e-13)];
    for (change, epsilon) in cases {
        let problem = Problem::<T>::new(300, 90).changed(change);
        let solver = Sinkhorn::new(epsilon);
        let one = format!("{:?}", problem.solve(&solver).expect_err("bad input"));
        let several = solver.parallel(true);
        for pool in pools() {
            assert_eq!(format!("{:?}", pool.install(|| problem.solve(&several)).expect_err("bad input")), one);
        }
    }
    // The only partner of a column is in the first task, or in the last one.
    for partner in [0, 299] {
        let change = |row, col| (col == 7 && row != partner).then_some(forbidden);
        Problem::<T>::new(300, 90).changed(&change).compare(&Sinkhorn::new(0.1).max_iterations(5));
    }
}
