//! The Sinkhorn solver against a textbook log-domain iteration in `f64`, on every instruction set.

#[path = "sinkhorn/batch.rs"]
mod batch;
#[path = "sinkhorn/hard.rs"]
mod hard;
mod support;

use mantex::{Entry, Error, Isa, MatMut, MatRef, Method, Real, Relaxation, Sinkhorn, Transport};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{emulated, isas};

/// The element types, with the accuracy that is expected of each.
trait Num: Real {
    /// Relative to the largest cost, of a potential after the same iterations: `f32` rounds epsilon (6e-8) and every cost
    /// times log2(e) / epsilon once.
    const POTENTIAL: f64;
    /// Of the potentials / epsilon besides that, and of the entries of the plan.
    const ENTRY: f64;
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
}

impl Num for f32 {
    const POTENTIAL: f64 = 3e-7;
    const ENTRY: f64 = 4e-6;
    fn of(x: f64) -> f32 {
        x as f32
    }
    fn wide(self) -> f64 {
        self.into()
    }
}

impl Num for f64 {
    const POTENTIAL: f64 = 1e-14;
    const ENTRY: f64 = 1e-12;
    fn of(x: f64) -> f64 {
        x
    }
    fn wide(self) -> f64 {
        self
    }
}

const METHODS: [Method; 3] = [Method::Log, Method::Scaling, Method::Auto];

/// Every instruction set with every method; in emulation, which is slow, with one of them, another each time.
fn isas_and_methods() -> Vec<(Isa, Method)> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let methods = if emulated() { &METHODS[turn % 3..][..1] } else { &METHODS };
    isas().into_iter().flat_map(|isa| methods.iter().map(move |&method| (isa, method))).collect()
}

/// A problem whose numbers are exact in `T`.
#[derive(Clone, Debug)]
struct Case<T> {
    n: usize,
    m: usize,
    cost: Vec<T>,
    a: Vec<T>,
    b: Vec<T>,
    epsilon: T,
}

fn wide<T: Num>(x: &[T]) -> Vec<f64> {
    x.iter().map(|&x| x.wide()).collect()
}

impl<T: Num> Case<T> {
    /// Squared distances between random points of the unit square, random masses; epsilon is relative to the median cost.
    fn random(n: usize, m: usize, epsilon: f64, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut points =
            |n: usize| -> Vec<[f64; 2]> { (0..n).map(|_| [rng.random::<f64>(), rng.random::<f64>()]).collect() };
        let (x, y) = (points(n), points(m));
        let distance = |p: &[f64; 2], q: &[f64; 2]| (p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2);
        let cost: Vec<T> = x.iter().flat_map(|p| y.iter().map(move |q| T::of(distance(p, q)))).collect();
        let mut sorted = wide(&cost);
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        let mut case = Self { n, m, cost, a: vec![], b: vec![], epsilon: T::of(epsilon * median) };
        let masses = |n: usize, rng: &mut StdRng| (0..n).map(|_| rng.random_range(0.1..1.0)).collect();
        let (a, b) = (masses(n, &mut rng), masses(m, &mut rng));
        case.set_masses(a, b);
        case
    }

    /// Both sides with a total of 1.
    fn set_masses(&mut self, a: Vec<f64>, b: Vec<f64>) {
        let normalised = |x: Vec<f64>| {
            let total: f64 = x.iter().sum();
            x.iter().map(|x| T::of(x / total)).collect()
        };
        (self.a, self.b) = (normalised(a), normalised(b));
    }

    /// Every third mass of a and every fourth of b to 0.
    fn with_zeros(mut self) -> Self {
        let thin = |x: &[T], step: usize| {
            let keep = |i: usize| if i % step == 1 { 0.0 } else { 1.0 };
            x.iter().enumerate().map(|(i, x)| x.wide() * keep(i)).collect()
        };
        self.set_masses(thin(&self.a, 3), thin(&self.b, 4));
        self
    }

    /// About a quarter of the pairs forbidden, but none in the first row and column.
    fn with_forbidden(mut self) -> Self {
        for i in 1..self.n {
            for j in 1..self.m {
                if (i * 7 + j * 5) % 4 == 0 {
                    self.cost[i * self.m + j] = T::of(f64::INFINITY);
                }
            }
        }
        self
    }

    fn matrix(&self) -> MatRef<'_, T> {
        MatRef::new(&self.cost, self.n, self.m).unwrap()
    }

    fn largest(&self) -> f64 {
        self.cost.iter().map(|c| c.wide()).filter(|c| c.is_finite()).fold(0.0, |max, c| max.max(c.abs()))
    }

    fn solve(&self, solver: &Sinkhorn<T>) -> Transport<T> {
        solver.solve(self.matrix(), &self.a, &self.b).unwrap()
    }

    fn plan(&self, transport: &Transport<T>) -> Vec<f64> {
        let mut plan = vec![T::of(-1.0); self.n * self.m];
        transport.plan_into(self.matrix(), MatMut::new(&mut plan, self.n, self.m).unwrap()).unwrap();
        wide(&plan)
    }
}

/// `ln sum exp(x)`, -inf for nothing.
fn log_sum_exp(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let max = x.clone().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY { max } else { max + x.map(|x| (x - max).exp()).sum::<f64>().ln() }
}

/// What the textbook iteration gives: potentials, the plan, its marginal error and cost.
struct Reference {
    f: Vec<f64>,
    g: Vec<f64>,
    plan: Vec<f64>,
    error: f64,
    cost: f64,
}

/// f = eps (ln a - lse((g - C)/eps)), then g likewise, from g = 0.
fn reference<T: Num>(case: &Case<T>, iterations: usize) -> Reference {
    relaxed_reference(case, iterations, 1.0)
}

/// From f = 0 and g = 0, each moved by `w` times its update.
fn relaxed_reference<T: Num>(case: &Case<T>, iterations: usize, w: f64) -> Reference {
    let (n, m, epsilon) = (case.n, case.m, case.epsilon.wide());
    let (cost, a, b) = (wide(&case.cost), wide(&case.a), wide(&case.b));
    let mut f = vec![0.0; n];
    let mut g: Vec<f64> = b.iter().map(|&b| if b > 0.0 { 0.0 } else { f64::NEG_INFINITY }).collect();
    for _ in 0..iterations {
        for i in 0..n {
            let lse = log_sum_exp((0..m).map(|j| (g[j] - cost[i * m + j]) / epsilon));
            let old = if w == 1.0 { 0.0 } else { (1.0 - w) * f[i] };
            f[i] = if a[i] > 0.0 { old + w * epsilon * (a[i].ln() - lse) } else { f64::NEG_INFINITY };
        }
        for j in 0..m {
            let lse = log_sum_exp((0..n).map(|i| (f[i] - cost[i * m + j]) / epsilon));
            let old = if w == 1.0 { 0.0 } else { (1.0 - w) * g[j] };
            g[j] = if b[j] > 0.0 { old + w * epsilon * (b[j].ln() - lse) } else { f64::NEG_INFINITY };
        }
    }
    let entry = |i: usize, j: usize| ((f[i] + g[j] - cost[i * m + j]) / epsilon).exp();
    let plan: Vec<f64> = (0..n * m).map(|at| entry(at / m, at % m)).collect();
    let error = marginal_error(&plan, &a, &b);
    let cost = plan.iter().zip(&cost).map(|(p, c)| if *p > 0.0 { p * c } else { 0.0 }).sum();
    Reference { f, g, plan, error, cost }
}

fn marginal_error(plan: &[f64], a: &[f64], b: &[f64]) -> f64 {
    let m = b.len();
    let rows: f64 = plan.chunks(m).zip(a).map(|(row, a)| (row.iter().sum::<f64>() - a).abs()).sum();
    let columns: f64 = (0..m).map(|j| (plan.iter().skip(j).step_by(m).sum::<f64>() - b[j]).abs()).sum();
    rows + columns
}

/// The same potentials, plan, error and cost as the reference after the same iterations, on every instruction set.
#[track_caller]
fn check<T: Num>(case: &Case<T>, iterations: usize) {
    let expected = reference(case, iterations);
    let epsilon = case.epsilon.wide();
    let potential = T::POTENTIAL * case.largest() + T::ENTRY * epsilon;
    // A potential that is off by d makes entries of the plan off by the factor d / epsilon.
    let entry = 4.0 * potential / epsilon + T::ENTRY;
    for (isa, method) in isas_and_methods() {
        let what = format!("{isa} {method:?} {}x{} epsilon {epsilon:e}", case.n, case.m);
        let solver = Sinkhorn::new(case.epsilon).max_iterations(iterations).tolerance(T::of(0.0));
        let solver = solver.isa(isa).method(method);
        let transport = case.solve(&solver);
        assert_eq!(transport.iterations(), iterations, "{what}");
        for (name, actual, expected) in [("f", transport.f(), &expected.f), ("g", transport.g(), &expected.g)] {
            for (i, (actual, &expected)) in actual.iter().zip(expected).enumerate() {
                let actual = actual.wide();
                let tolerance = potential + T::POTENTIAL * expected.abs();
                let close = actual == expected || (actual - expected).abs() <= tolerance;
                assert!(close, "{what}: {name}[{i}] = {actual:e}, not {expected:e} +- {tolerance:e}");
            }
        }
        let plan = case.plan(&transport);
        for (at, (&actual, &expected)) in plan.iter().zip(&expected.plan).enumerate() {
            // The smallest normal f32 may be flushed to 0.
            assert!(
                (actual - expected).abs() <= entry * expected + 1e-36,
                "{what}: plan[{}][{}] = {actual:e}, not {expected:e}",
                at / case.m,
                at % case.m
            );
        }
        let error = transport.marginal_error().wide();
        let measured = marginal_error(&plan, &wide(&case.a), &wide(&case.b));
        assert!(
            (error - measured).abs() <= 1e-2 * T::ENTRY.sqrt() * measured + T::ENTRY,
            "{what}: {error:e} {measured:e}"
        );
        assert!((error - expected.error).abs() <= entry * 2.0, "{what}: error {error:e}, not {:e}", expected.error);
        let cost = transport.cost().wide();
        let tolerance = entry * (expected.cost.abs() + 1e-30);
        assert!((cost - expected.cost).abs() <= tolerance, "{what}: cost {cost:e}, not {:e}", expected.cost);
    }
}

#[track_caller]
fn check_both(make: impl Fn(f64) -> (Case<f32>, Case<f64>), epsilon: f64, iterations: usize) {
    let (single, double) = make(epsilon);
    check(&single, iterations);
    check(&double, iterations);
}

#[test]
fn every_length_around_the_vectors() {
    for len in 1..50 {
        for (n, m) in [(1, len), (len, 1), (3, len), (len, 5), (5, len)] {
            let seed = (n * 100 + m) as u64;
            check_both(|e| (Case::random(n, m, e, seed), Case::random(n, m, e, seed)), 0.2, 3);
        }
    }
}

#[test]
fn large_and_rectangular() {
    // The widest go through row by row, and beside the nearest cache.
    let shapes: &[(usize, usize)] = if emulated() {
        &[(66, 130)]
    } else {
        &[(300, 200), (67, 1030), (1025, 65), (2, 5000), (3000, 3), (5, 21000), (210, 20500)]
    };
    for &(n, m) in shapes {
        let epsilons: &[f64] = if n * m > 1 << 20 { &[0.03] } else { &[1.0, 0.03, 1e-3] };
        for &epsilon in epsilons {
            check_both(|e| (Case::random(n, m, e, 5), Case::random(n, m, e, 5)), epsilon, 4);
        }
    }
}

#[test]
fn column_stride_of_a_page() {
    // 1024 f32 or 512 f64: the rows of exponentials are moved apart.
    check(&Case::<f32>::random(9, 1024, 0.1, 6), 3);
    check(&Case::<f64>::random(9, 512, 0.1, 6), 3);
}

#[test]
fn zero_masses_and_forbidden_pairs() {
    for (n, m) in [(2, 2), (4, 7), (7, 4), (17, 33), (40, 18), (70, 49)] {
        for epsilon in [1.0, 0.1, 1e-2, 1e-3] {
            let seed = n as u64;
            check_both(
                |e| (Case::random(n, m, e, seed).with_zeros(), Case::random(n, m, e, seed).with_zeros()),
                epsilon,
                5,
            );
            check_both(
                |e| (Case::random(n, m, e, seed).with_forbidden(), Case::random(n, m, e, seed).with_forbidden()),
                epsilon,
                5,
            );
            let both = |e| {
                let (single, double) = (Case::random(n, m, e, seed), Case::random(n, m, e, seed));
                (single.with_zeros().with_forbidden(), double.with_zeros().with_forbidden())
            };
            check_both(both, epsilon, 5);
        }
    }
}

#[test]
fn costs_of_pairs_without_mass_do_not_matter() {
    // A whole row and column forbidden, and hugely attractive, where there is no mass.
    let mut case = Case::<f32>::random(7, 6, 0.1, 8).with_zeros();
    for (at, cost) in case.cost.iter_mut().enumerate() {
        let (i, j) = (at / 6, at % 6);
        if i % 3 == 1 || j % 4 == 1 {
            *cost = if (i + j) % 2 == 0 { f32::INFINITY } else { -1e30 };
        }
    }
    for isa in isas() {
        let transport = case.solve(&Sinkhorn::new(case.epsilon).isa(isa));
        assert!(transport.converged(), "{isa} {:?}", transport.marginal_error());
        assert!(transport.cost().abs() < 1.0, "{isa}");
        let plan = case.plan(&transport);
        for (at, &p) in plan.iter().enumerate() {
            assert!(if case.a[at / 6] == 0.0 || case.b[at % 6] == 0.0 { p == 0.0 } else { p > 0.0 });
        }
    }
}

#[test]
fn tiny_epsilon() {
    // Columns starve and rows leave their range in the first iterations.
    for ratio in [1e-4, 1e-5, 1e-6, 1e-8] {
        for (n, m) in [(5, 9), (24, 17), (33, 70)] {
            for iterations in [1, 2, 7] {
                check_both(|e| (Case::random(n, m, e, 3), Case::random(n, m, e, 3)), ratio, iterations);
            }
        }
    }
}

#[test]
fn a_column_far_from_all_rows() {
    // Its first sum underflows in f32 and f64 alike; so does that of a column of hardly any mass.
    for far in [100.0, 1e4] {
        let mut case = Case::<f64>::random(19, 35, 0.05, 4);
        for i in 0..19 {
            case.cost[i * 35 + 30] = far + i as f64;
        }
        let mut b = case.b.clone();
        b[33] = 1e-25;
        case.set_masses(case.a.clone(), b);
        check(&case, 1);
        check(&case, 20);
        let single = Case::<f32> {
            n: 19,
            m: 35,
            cost: case.cost.iter().map(|&c| c as f32).collect(),
            a: case.a.iter().map(|&a| a as f32).collect(),
            b: case.b.iter().map(|&b| b as f32).collect(),
            epsilon: case.epsilon as f32,
        };
        check(&single, 1);
        check(&single, 20);
    }
}

#[test]
fn masses_of_any_magnitude() {
    for total in [1e-30, 1e30] {
        let mut case = Case::<f32>::random(9, 21, 0.1, 7);
        let unit = case.solve(&Sinkhorn::new(case.epsilon).tolerance(1e-6));
        for mass in case.a.iter_mut().chain(&mut case.b) {
            *mass *= total;
        }
        for isa in isas() {
            let transport = case.solve(&Sinkhorn::new(case.epsilon).tolerance(1e-6 * total).isa(isa));
            assert!(transport.converged(), "{isa}");
            assert!((transport.cost() / total - unit.cost()).abs() < 1e-5 * unit.cost(), "{isa}");
        }
    }
    // Rows of hardly any mass beside others.
    for tiny in [1e-12, 1e-30] {
        let mut case = Case::<f64>::random(9, 21, 0.1, 7);
        let mut a = case.a.clone();
        (a[2], a[8]) = (tiny, 3.0 * tiny);
        case.set_masses(a, case.b.clone());
        check(&case, 6);
    }
}

#[test]
fn converges_to_the_tolerance() {
    fn one<T: Num>(tolerance: f64) {
        for (n, m, epsilon) in [(20, 30, 0.5), (31, 17, 0.05), (64, 64, 0.02)] {
            let case = Case::<T>::random(n, m, epsilon, 11);
            for (isa, method) in isas_and_methods() {
                let solver = Sinkhorn::new(case.epsilon).isa(isa).method(method).max_iterations(20_000);
                let default = if T::ENTRY > 1e-8 { 1e-4 } else { 1e-6 };
                for (solver, tolerance) in [(solver.clone(), default), (solver.tolerance(T::of(tolerance)), tolerance)]
                {
                    let transport = case.solve(&solver);
                    assert!(transport.converged(), "{isa} {n}x{m}: {:?}", transport.marginal_error());
                    // The test before the measurement stops it no later than one iteration after the tolerance is met; when
                    // that is, the kernels see up to the rounding of their sums.
                    let before = solver.max_iterations(transport.iterations().saturating_sub(2));
                    let error = case.solve(&before).marginal_error().wide();
                    assert!(error > tolerance - 0.05 * T::ENTRY, "{isa} {method:?} {n}x{m}: {error:e}");
                    let measured = marginal_error(&case.plan(&transport), &wide(&case.a), &wide(&case.b));
                    assert!(measured <= transport.marginal_error().wide() + T::ENTRY, "{isa} {n}x{m}: {measured}");
                }
            }
        }
    }
    one::<f32>(2e-6);
    one::<f64>(1e-12);
}

#[test]
fn every_method_and_relaxation_finds_the_same_potentials() {
    fn one<T: Num>() {
        let (n, m) = if emulated() { (20, 33) } else { (60, 77) };
        for (case, epsilon) in [
            (Case::<T>::random(n, m, 0.05, 12), 0.05),
            (Case::random(n, m, 0.05, 12).with_zeros().with_forbidden(), 0.05),
            (Case::random(m, n, 1e-3, 13).with_zeros(), 1e-3),
        ] {
            let solver = Sinkhorn::new(case.epsilon).max_iterations(200_000).tolerance(T::of(100.0 * T::ENTRY));
            let expected = case.solve(&solver.clone().method(Method::Log));
            assert!(expected.converged(), "{epsilon}");
            let tolerance = 5e4 * T::ENTRY * case.epsilon.wide() / f64::sqrt(epsilon);
            for (isa, method) in isas_and_methods() {
                let solver = solver.clone().isa(isa).method(method);
                for (relaxation, scaling) in
                    [(Relaxation::Off, None), (Relaxation::Auto, None), (Relaxation::Auto, Some(3.0))]
                {
                    let solver = solver.clone().relaxation(relaxation);
                    let solver = scaling.map_or(solver.clone(), |factor| solver.epsilon_scaling(factor));
                    let transport = case.solve(&solver);
                    let what = format!("{isa} {method:?} {relaxation:?} {scaling:?} epsilon {epsilon}");
                    assert!(transport.converged(), "{what}: {}", transport.marginal_error());
                    // A constant may be moved from f to g: compared are their sums.
                    for i in (0..case.n).filter(|&i| case.a[i].wide() > 0.0) {
                        for j in (0..case.m).filter(|&j| case.b[j].wide() > 0.0) {
                            let sum = |t: &Transport<T>| t.f()[i].wide() + t.g()[j].wide();
                            let difference = (sum(&transport) - sum(&expected)).abs();
                            assert!(difference <= tolerance, "{what}: {difference:e} > {tolerance:e} at {i}, {j}");
                        }
                    }
                }
            }
        }
    }
    one::<f32>();
    one::<f64>();
}

#[test]
fn relaxed_iterations_are_those_of_the_textbook() {
    fn one<T: Num>() {
        for (n, m, zeros) in [(9, 21, false), (34, 18, true)] {
            let case = Case::<T>::random(n, m, 0.1, 14);
            let case = if zeros { case.with_zeros() } else { case };
            for (w, iterations) in [(1.5, 7), (0.7, 5), (1.0, 4)] {
                let expected = relaxed_reference(&case, iterations, w);
                for (isa, method) in isas_and_methods() {
                    let solver = Sinkhorn::new(case.epsilon).tolerance(T::of(0.0)).max_iterations(iterations).isa(isa);
                    let solver = solver.method(method).relaxation(Relaxation::Factor(w));
                    let transport = case.solve(&solver.start(vec![0.0; n], vec![0.0; m]));
                    let both = transport.f().iter().zip(&expected.f).chain(transport.g().iter().zip(&expected.g));
                    for (actual, &expected) in both {
                        let tolerance = 4.0 * T::POTENTIAL * (case.largest() + expected.abs());
                        let close = actual.wide() == expected || (actual.wide() - expected).abs() <= tolerance;
                        assert!(close, "{isa} {method:?} {w}: {actual} {expected}");
                    }
                    let error = (transport.marginal_error().wide() - expected.error).abs();
                    assert!(error <= 100.0 * T::ENTRY, "{isa} {method:?} {w}: {error:e}");
                }
            }
        }
    }
    one::<f32>();
    one::<f64>();
}

#[test]
fn relaxation_and_epsilon_scaling_save_iterations() {
    let mut case = Case::<f64>::random(60, 50, 0.005, 15);
    case.set_masses(vec![1.0; 60], vec![1.0; 50]);
    let solver = Sinkhorn::new(case.epsilon).max_iterations(100_000).tolerance(1e-9);
    let plain = case.solve(&solver);
    let relaxed = case.solve(&solver.clone().relaxation(Relaxation::Auto));
    assert!(plain.converged() && relaxed.converged());
    let (plain, relaxed) = (plain.iterations(), relaxed.iterations());
    assert!(3 * relaxed < plain, "{relaxed} of {plain}");

    // From the range of the costs down by the factor each time, and then the epsilon itself.
    let mut epsilons = Vec::new();
    let solver = solver.epsilon_scaling(4.0).tolerance(1e-6);
    let watch = |progress: &mantex::SinkhornProgress| {
        if epsilons.last() != Some(&progress.epsilon) {
            epsilons.push(progress.epsilon);
        }
        ControlFlow::Continue(())
    };
    let transport = solver.solve_with(case.matrix(), &case.a, &case.b, watch).unwrap();
    assert!(transport.converged());
    let finite: Vec<f64> = wide(&case.cost);
    let range = finite.iter().fold(0.0_f64, |max, &c| max.max(c)) - finite.iter().fold(1e9_f64, |min, &c| min.min(c));
    assert!((epsilons[0] - range).abs() < 1e-12 * range, "{epsilons:?} {range}");
    assert!(epsilons.len() >= 4, "{epsilons:?}");
    for pair in epsilons[..epsilons.len() - 1].windows(2) {
        assert!((pair[0] / pair[1] - 4.0).abs() < 1e-12, "{epsilons:?}");
    }
    let last = epsilons[epsilons.len() - 1];
    assert!((last - case.epsilon).abs() < 1e-12 * last && last < epsilons[epsilons.len() - 2], "{epsilons:?}");
}

#[test]
fn from_the_true_potentials_the_error_stays_small() {
    let mut case = Case::<f32>::random(40, 50, 1.0, 22);
    case.epsilon = (case.largest() / 1e4) as f32;
    let double = Case::<f64> {
        n: 40,
        m: 50,
        cost: wide(&case.cost),
        a: wide(&case.a),
        b: wide(&case.b),
        epsilon: case.epsilon.into(),
    };
    let solver = Sinkhorn::new(double.epsilon).relaxation(Relaxation::Auto).epsilon_scaling(2.0);
    let solved = double.solve(&solver.tolerance(1e-8).max_iterations(1_000_000));
    assert!(solved.converged(), "{:e} after {}", solved.marginal_error(), solved.iterations());
    let (f, g) = solved.potentials();
    for (isa, method) in isas_and_methods() {
        for iterations in [0, 1, 2, 5, 50] {
            let solver = Sinkhorn::new(case.epsilon).max_iterations(iterations).tolerance(0.0).isa(isa).method(method);
            let transport = case.solve(&solver.start(f.clone(), g.clone()));
            let error = transport.marginal_error();
            assert!(error < 1e-5, "{isa} {method:?} after {iterations}: {error:e}");
            let measured = marginal_error(&case.plan(&transport), &wide(&case.a), &wide(&case.b));
            assert!(measured < 1e-5, "{isa} {method:?} after {iterations}: {measured:e}");
        }
    }
}

/// Potentials are those of masses with any total, also to start from.
#[test]
fn a_start_may_have_any_total() {
    for total in [1.0 / 64.0, 32.0] {
        let mut case = Case::<f64>::random(7, 9, 0.1, 99);
        case.a.iter_mut().chain(&mut case.b).for_each(|mass| *mass *= total);
        for isa in isas() {
            let solver = Sinkhorn::new(case.epsilon).max_iterations(10_000).tolerance(1e-9 * total).isa(isa);
            let found = case.solve(&solver);
            let (f, g) = found.potentials();
            let again = case.solve(&solver.max_iterations(0).start(f, g));
            assert!(found.converged() && again.converged(), "{isa}: {:e}", again.marginal_error());
        }
    }
}

#[test]
fn a_start_must_fit() {
    let case = Case::<f64>::random(6, 8, 0.1, 16).with_zeros();
    let solve = |f: Vec<f64>, g: Vec<f64>| {
        Sinkhorn::new(case.epsilon).start(f, g).solve(case.matrix(), &case.a, &case.b).map(|t| t.converged())
    };
    assert_eq!(solve(vec![0.0; 5], vec![0.0; 8]), Err(Error::Length { argument: "f", actual: 5, expected: 6 }));
    assert_eq!(solve(vec![0.0; 6], vec![0.0; 9]), Err(Error::Length { argument: "g", actual: 9, expected: 8 }));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        // Rows 1 and 4 and columns 1 and 5 have no mass.
        let with = |n: usize, at: usize| (0..n).map(|i| if i == at { bad } else { 0.0 }).collect::<Vec<_>>();
        let error = solve(with(6, 2), vec![0.0; 8]).unwrap_err();
        assert!(matches!(error, Error::Element { argument: "f", row: 2, .. }), "{error}");
        let error = solve(vec![0.0; 6], with(8, 6)).unwrap_err();
        assert!(matches!(error, Error::Element { argument: "g", row: 6, .. }), "{error}");
        assert_eq!(solve(with(6, 1), with(8, 5)), Ok(true));
    }
    assert_eq!(solve(vec![1e300; 6], vec![0.0; 8]).unwrap_err().to_string().split('`').nth(1), Some("epsilon"));
}

#[test]
fn a_run_can_be_watched_and_stopped() {
    let case = Case::<f64>::random(20, 30, 0.05, 17);
    for method in METHODS {
        let solver = Sinkhorn::new(case.epsilon).method(method).tolerance(1e-9).max_iterations(10_000);
        let mut seen = Vec::new();
        let whole = solver
            .solve_with(case.matrix(), &case.a, &case.b, |progress| {
                seen.push((progress.iteration, progress.error));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(whole.converged() && seen.len() == whole.iterations(), "{method:?}");
        assert!(seen.iter().enumerate().all(|(i, &(iteration, _))| iteration == i + 1), "{method:?}");
        assert!(seen[0].1 == f64::INFINITY && seen[1..].windows(2).all(|w| w[1].1 <= w[0].1 + 1e-12), "{seen:?}");
        // The error told with an iteration is that of the one before it, as measured.
        for at in [2, 7, seen.len()] {
            let mut left = at - 1;
            let stopped = solver
                .solve_with(case.matrix(), &case.a, &case.b, |_| {
                    left -= 1;
                    if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .unwrap();
            assert_eq!((stopped.iterations(), stopped.converged()), (at - 1, at == seen.len()), "{method:?}");
            let (told, measured) = (seen[at - 1].1, stopped.marginal_error());
            assert!((told - measured).abs() <= 1e-12 + 1e-9 * measured, "{method:?} {at}: {told:e} {measured:e}");
        }
    }
    // Also in the first stage of a schedule.
    let stopped = Sinkhorn::new(case.epsilon).epsilon_scaling(2.0);
    let stopped = stopped.solve_with(case.matrix(), &case.a, &case.b, |_| ControlFlow::Break(())).unwrap();
    assert_eq!((stopped.iterations(), stopped.converged()), (1, false));
}

#[test]
fn absurd_settings_come_to_an_end() {
    let case = Case::<f64>::random(3, 4, 0.01, 20);
    // As good as no fall of epsilon at all, and a tolerance that is infinite relative to the masses.
    let solver = Sinkhorn::new(case.epsilon).max_iterations(5).tolerance(0.0);
    for method in METHODS {
        let transport = case.solve(&solver.clone().method(method).epsilon_scaling(1.0 + f64::EPSILON));
        assert_eq!(transport.iterations(), 5);
        let halves = |masses: &[f64]| masses.iter().map(|m| m / 2.0).collect::<Vec<_>>();
        let (a, b) = (halves(&case.a), halves(&case.b));
        let solver = Sinkhorn::new(1.0).method(method).tolerance(f64::MAX).start(vec![1e4; 3], vec![0.0; 4]);
        let transport = solver.solve(case.matrix(), &a, &b).unwrap();
        assert!(transport.converged(), "{method:?}");
    }
}

#[test]
fn forbidden_pairs_stay_empty_far_from_the_solution() {
    let case = Case::<f32>::random(5, 19, 0.05, 23).with_zeros().with_forbidden();
    for (isa, method) in isas_and_methods() {
        let solver = Sinkhorn::new(case.epsilon).isa(isa).method(method);
        let far = f64::from(case.epsilon) * 200.0;
        let transport = case.solve(&solver.clone().max_iterations(0).start(vec![far; 5], vec![0.0; 19]));
        for (at, (p, cost)) in case.plan(&transport).iter().zip(&case.cost).enumerate() {
            let with_mass = case.a[at / 19] > 0.0 && case.b[at % 19] > 0.0;
            assert!(if with_mass && cost.is_finite() { *p >= 0.0 } else { *p == 0.0 }, "{isa} {method:?} {at}: {p}");
        }
        assert!(transport.marginal_error() > 1.0, "{isa} {method:?}: {}", transport.marginal_error());
        // And from there the solution is found.
        let transport = case.solve(&solver.max_iterations(10_000).start(vec![far; 5], vec![-far; 19]));
        assert!(transport.converged(), "{isa} {method:?}: {}", transport.marginal_error());
    }
}

#[test]
fn without_memory_it_stays_in_the_log_domain() {
    let case = Case::<f32>::random(30, 40, 0.02, 18);
    let solver = Sinkhorn::new(case.epsilon).tolerance(0.0).max_iterations(40);
    let [log, small, large] =
        [solver.clone().method(Method::Log), solver.clone().memory_limit(4000), solver].map(|s| case.solve(&s));
    assert_eq!((log.f(), log.g()), (small.f(), small.g()));
    // The limit is what makes the difference.
    assert_ne!((log.f(), log.g()), (large.f(), large.g()));
}

#[test]
fn numbers_that_are_set_are_checked() {
    let case = Case::<f64>::random(3, 4, 0.1, 19);
    let argument = |solver: Sinkhorn<f64>| match solver.solve(case.matrix(), &case.a, &case.b) {
        Err(Error::Parameter { argument, .. }) => argument,
        other => panic!("{other:?}"),
    };
    for bad in [0.0, -1.0, 2.0, f64::NAN, f64::INFINITY] {
        let solver = Sinkhorn::new(case.epsilon).relaxation(Relaxation::Factor(bad));
        assert_eq!(argument(solver), "relaxation");
    }
    for bad in [1.0, 0.5, f64::NAN, f64::INFINITY] {
        assert_eq!(argument(Sinkhorn::new(case.epsilon).epsilon_scaling(bad)), "epsilon_scaling");
    }
}

#[test]
fn f32_error_is_not_limited_by_rounding() {
    // Costs up to 10000 epsilon: with the terms of the exponent rounded to f32, entries would be off by 1e-3.
    let mut case = Case::<f32>::random(12, 15, 1.0, 21);
    case.epsilon = (case.largest() / 1e4) as f32;
    for isa in isas() {
        let solver = Sinkhorn::new(case.epsilon).isa(isa).max_iterations(100_000).tolerance(1e-6);
        let transport = case.solve(&solver);
        assert!(transport.converged(), "{isa}: {:e} after {}", transport.marginal_error(), transport.iterations());
        let measured = marginal_error(&case.plan(&transport), &wide(&case.a), &wide(&case.b));
        assert!(measured < 5e-6, "{isa}: {measured:e}");
    }
}

#[test]
fn a_constant_on_every_cost_moves_f_and_nothing_else() {
    fn one<T: Num>() {
        let mut case = Case::<T>::random(37, 45, 0.01, 31);
        for cost in &mut case.cost {
            // Exact also after 1000 is added.
            *cost = T::of((cost.wide() * 4096.0).round() / 4096.0);
        }
        let mut moved = case.clone();
        for cost in &mut moved.cost {
            *cost = T::of(cost.wide() + 1000.0);
        }
        for isa in isas() {
            let solver = Sinkhorn::new(case.epsilon).isa(isa).max_iterations(300).tolerance(T::of(0.0));
            let (at_0, at_1000) = (case.solve(&solver), moved.solve(&solver));
            let precision = 1e-5_f64.max(1000.0 * T::POTENTIAL);
            for (x, y) in at_0.f().iter().zip(at_1000.f()) {
                assert!((y.wide() - x.wide() - 1000.0).abs() <= precision, "{isa}: {x} {y}");
            }
            for (x, y) in at_0.g().iter().zip(at_1000.g()) {
                assert!((y.wide() - x.wide()).abs() <= 1e-5 * case.epsilon.wide(), "{isa}: {x} {y}");
            }
            for (x, y) in case.plan(&at_0).iter().zip(moved.plan(&at_1000)) {
                assert!((x - y).abs() <= 1e-5 * x + 1e-30, "{isa}: {x:e} {y:e} {:e}", (x - y) / x);
            }
        }
    }
    one::<f32>();
    one::<f64>();
}

#[test]
fn strides_and_what_lies_between() {
    let case = Case::<f32>::random(6, 19, 0.1, 41).with_zeros();
    let stride = 23;
    let mut spread = vec![f32::NAN; 5 * stride + 19];
    for i in 0..6 {
        spread[i * stride..i * stride + 19].copy_from_slice(case.matrix().row(i));
    }
    let cost = MatRef::with_stride(&spread, 6, 19, stride).unwrap();
    for isa in isas() {
        let solver = Sinkhorn::new(case.epsilon).isa(isa);
        let (dense, strided) = (case.solve(&solver), solver.solve(cost, &case.a, &case.b).unwrap());
        assert_eq!((dense.f(), dense.g(), dense.cost()), (strided.f(), strided.g(), strided.cost()), "{isa}");
        let mut plan = vec![7.0; 5 * stride + 19];
        strided.plan_into(cost, MatMut::with_stride(&mut plan, 6, 19, stride).unwrap()).unwrap();
        let expected = case.plan(&dense);
        for (at, &p) in plan.iter().enumerate() {
            let (i, j) = (at / stride, at % stride);
            assert_eq!(p, if j < 19 { expected[i * 19 + j] as f32 } else { 7.0 }, "{isa} {i} {j}");
        }
    }
}

#[test]
fn iterations_are_counted() {
    let case = Case::<f64>::random(8, 8, 0.5, 51);
    for n in [0, 1, 2, 500] {
        let transport = case.solve(&Sinkhorn::new(case.epsilon).tolerance(0.0).max_iterations(n));
        assert_eq!(transport.iterations(), n);
    }
    let early = case.solve(&Sinkhorn::new(case.epsilon).max_iterations(1));
    assert!(!early.converged() && early.marginal_error() > 1e-6);
    // One pair: right at once, and still exactly as many iterations as asked for.
    let one = [3.0_f64];
    let transport = Sinkhorn::new(0.1).tolerance(0.0).max_iterations(4);
    let transport = transport.solve(MatRef::new(&one, 1, 1).unwrap(), &[1.0], &[1.0]).unwrap();
    assert_eq!(transport.iterations(), 4);
    assert!(transport.marginal_error() < 1e-13 && (transport.cost() - 3.0).abs() < 1e-13);
}

#[test]
fn the_same_bits_every_time() {
    fn one<T: Num>() {
        let case = Case::<T>::random(37, 43, 0.05, 61).with_zeros();
        let solver = Sinkhorn::new(case.epsilon).max_iterations(50);
        let bits = |t: &Transport<T>| {
            let numbers = t.f().iter().chain(t.g()).map(|x| x.wide().to_bits()).collect::<Vec<_>>();
            let plan = case.plan(t).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            (numbers, plan, t.cost().wide().to_bits(), t.marginal_error().wide().to_bits())
        };
        let first = bits(&case.solve(&solver));
        assert_eq!(first, bits(&case.solve(&solver)));
        // The entry point runs what Isa::best() says.
        assert_eq!(first, bits(&case.solve(&solver.clone().isa(Isa::best()))));
    }
    one::<f32>();
    one::<f64>();
}

#[test]
fn costs_without_mass_do_not_matter() {
    // The product with log2(e) / epsilon overflows where there is no mass.
    let cost = [0.0, -1e308, 1.0, 1.0, -1e308, 0.0];
    let matrix = MatRef::new(&cost, 2, 3).unwrap();
    for isa in isas() {
        let transport = Sinkhorn::new(0.01).isa(isa).solve(matrix, &[0.5, 0.5], &[0.5, 0.0, 0.5]).unwrap();
        assert!(transport.converged() && transport.cost() < 1e-9, "{isa}: {}", transport.cost());
    }
}

#[test]
fn a_bad_cost_is_found_anywhere() {
    for isa in isas() {
        for m in [1, 2, 15, 16, 17, 33] {
            for at in 0..3 * m {
                for bad in [f32::NAN, f32::NEG_INFINITY] {
                    let mut case = Case::<f32>::random(3, m, 1.0, 71);
                    case.cost[at] = bad;
                    let solver = Sinkhorn::new(1.0).isa(isa);
                    let error = solver.solve(case.matrix(), &case.a, &case.b).unwrap_err();
                    let Error::Element { argument: "cost", row, col, value, .. } = error else { panic!("{error}") };
                    assert_eq!((row, col, value.is_nan()), (at / m, at % m, bad.is_nan()), "{isa}");
                }
            }
        }
    }
}

#[test]
fn the_plan_checks_its_arguments_first() {
    let case = Case::<f64>::random(3, 4, 0.5, 81);
    let transport = case.solve(&Sinkhorn::new(case.epsilon));
    let mut out = [7.0; 12];
    let error = transport.plan_into(case.matrix(), MatMut::new(&mut out, 4, 3).unwrap());
    assert_eq!(error, Err(Error::Shape { argument: "out", actual: (4, 3), expected: (3, 4) }));
    let turned = MatRef::new(&case.cost, 4, 3).unwrap();
    let error = transport.plan_into(turned, MatMut::new(&mut out, 3, 4).unwrap());
    let shape = Error::Shape { argument: "cost", actual: (4, 3), expected: (3, 4) };
    assert_eq!(error.as_ref(), Err(&shape));
    assert_eq!(transport.plan_rows(turned).err().as_ref(), Some(&shape));
    assert_eq!(transport.plan_entries(turned, 0.0).err().as_ref(), Some(&shape));
    assert_eq!(transport.objective(turned), Err(shape));
    assert_eq!(out, [7.0; 12]);
    for threshold in [-1e-9, f64::NAN] {
        let error = transport.plan_entries(case.matrix(), threshold).unwrap_err();
        assert!(matches!(error, Error::Parameter { argument: "threshold", .. }), "{error}");
    }
    // Another matrix of the shape, whatever is in it, is no danger.
    let other = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e300, 1e300, 0.0, -0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    for isa in isas() {
        let transport = case.solve(&Sinkhorn::new(case.epsilon).isa(isa));
        let other = MatRef::new(&other, 3, 4).unwrap();
        transport.plan_into(other, MatMut::new(&mut out, 3, 4).unwrap()).unwrap();
        assert!(transport.plan_entries(other, 0.0).unwrap().count() <= 12);
        transport.objective(other).unwrap();
    }
}

#[test]
fn rows_and_entries_are_those_of_the_plan() {
    fn one<T: Num>() {
        // One block of rows or several, with rows without mass at their edges.
        let shapes: &[(usize, usize)] =
            if emulated() { &[(7, 5), (18, 700)] } else { &[(1, 1), (7, 5), (1500, 3), (18, 700)] };
        for &(n, m) in shapes {
            let case = Case::<T>::random(n, m, 0.05, 91);
            let case = if n > 1 { case.with_zeros().with_forbidden() } else { case };
            for isa in isas() {
                let transport = case.solve(&Sinkhorn::new(case.epsilon).max_iterations(3).isa(isa));
                let plan = case.plan(&transport);
                let mut rows = transport.plan_rows(case.matrix()).unwrap();
                for (i, expected) in plan.chunks(m).enumerate() {
                    let (index, row) = rows.next_row().unwrap();
                    assert_eq!((index, wide(row)), (i, expected.to_vec()), "{isa} {n}x{m}");
                }
                assert!(rows.next_row().is_none() && rows.next_row().is_none());

                let largest = plan.iter().fold(0.0, |max: f64, &p| max.max(p));
                for threshold in [0.0, largest / 10.0, largest] {
                    let mut entries = transport.plan_entries(case.matrix(), T::of(threshold)).unwrap();
                    let expected = plan.iter().enumerate().filter(|(_, p)| **p > T::of(threshold).wide());
                    for (at, &mass) in expected {
                        let entry = Entry { row: at / m, column: at % m, mass: T::of(mass) };
                        assert_eq!(entries.next(), Some(entry), "{isa} {n}x{m} above {threshold:e}");
                    }
                    assert!(entries.next().is_none() && entries.next().is_none(), "{isa} {n}x{m} above {threshold:e}");
                }
            }
        }
    }
    one::<f32>();
    one::<f64>();
}

/// `p (ln p - 1)`, 0 for 0.
fn negative_entropy(p: f64) -> f64 {
    if p > 0.0 { p * (p.ln() - 1.0) } else { 0.0 }
}

/// `<C, P> + epsilon sum P (ln P - 1)`, forbidden pairs without mass counting 0.
fn primal(plan: &[f64], cost: &[f64], epsilon: f64) -> f64 {
    plan.iter().zip(cost).map(|(&p, c)| if p > 0.0 { p * c } else { 0.0 } + epsilon * negative_entropy(p)).sum()
}

/// The plan rounded to the marginals as Algorithm 2 of Altschuler et al. says, word for word.
fn rounded(plan: &[f64], a: &[f64], b: &[f64]) -> Vec<f64> {
    let (n, m) = (a.len(), b.len());
    let mut plan = plan.to_vec();
    let row_sums = |plan: &[f64]| plan.chunks(m).map(|row| row.iter().sum()).collect::<Vec<f64>>();
    let column_sums = |plan: &[f64]| (0..m).map(|j| plan.iter().skip(j).step_by(m).sum()).collect::<Vec<f64>>();
    let factor = |mass: f64, sum: f64| if sum > mass { mass / sum } else { 1.0 };
    let sums = row_sums(&plan);
    (0..n * m).for_each(|at| plan[at] *= factor(a[at / m], sums[at / m]));
    let sums = column_sums(&plan);
    (0..n * m).for_each(|at| plan[at] *= factor(b[at % m], sums[at % m]));
    let lack = |mass: &[f64], sums: Vec<f64>| mass.iter().zip(sums).map(|(x, s)| (x - s).max(0.0)).collect::<Vec<_>>();
    let (rows, columns) = (lack(a, row_sums(&plan)), lack(b, column_sums(&plan)));
    let total: f64 = rows.iter().sum();
    if total > 0.0 {
        (0..n * m).for_each(|at| plan[at] += rows[at / m] * columns[at % m] / total);
    }
    plan
}

/// The values of the objective as their definitions say, from the potentials and plan of the reference.
#[track_caller]
fn check_objective<T: Num>(case: &Case<T>, iterations: usize) {
    let expected = reference(case, iterations);
    let (cost, a, mut b) = (wide(&case.cost), wide(&case.a), wide(&case.b));
    let total: f64 = a.iter().sum();
    let level = total / b.iter().sum::<f64>();
    b.iter_mut().for_each(|b| *b *= level);
    let epsilon = case.epsilon.wide();
    let inner =
        |x: &[f64], mass: &[f64]| -> f64 { x.iter().zip(mass).filter(|(_, m)| **m > 0.0).map(|(x, m)| x * m).sum() };
    let mass: f64 = expected.plan.iter().sum();
    let dual = inner(&expected.f, &a) + inner(&expected.g, &b) - epsilon * mass;
    let feasible = rounded(&expected.plan, &a, &b);
    let forbidden: f64 = feasible.iter().zip(&cost).filter(|(_, c)| c.is_infinite()).map(|(p, _)| p).sum();
    // Errors of potentials, and what they make of an entry of the plan and of a sum of them.
    let potential = T::POTENTIAL * case.largest() + T::ENTRY * epsilon;
    let entry = 4.0 * potential / epsilon + T::ENTRY;
    let size = epsilon * expected.plan.iter().map(|&p| negative_entropy(p).abs() + p).sum::<f64>();
    let spread =
        expected.f.iter().chain(&expected.g).filter(|x| x.is_finite()).fold(0.0, |max: f64, x| max.max(x.abs()));
    let linear = 4.0 * total * (potential + T::POTENTIAL * spread);
    for isa in isas() {
        let solver = Sinkhorn::new(case.epsilon).max_iterations(iterations).tolerance(T::of(0.0)).isa(isa);
        let objective = case.solve(&solver).objective(case.matrix()).unwrap();
        let what = format!("{isa} {}x{} epsilon {epsilon:e} after {iterations}", case.n, case.m);
        let entropy = -expected.plan.iter().map(|&p| negative_entropy(p)).sum::<f64>();
        let energy = entry * (expected.cost.abs() + size);
        for (name, actual, expected, tolerance) in [
            ("cost", objective.cost, expected.cost, energy),
            ("entropy", objective.entropy, entropy, entry * size / epsilon),
            ("primal", objective.primal, primal(&expected.plan, &cost, epsilon), energy),
            ("dual", objective.dual, dual, linear + entry * epsilon * mass),
        ] {
            assert!(
                (actual - expected).abs() <= tolerance,
                "{what}: {name} {actual:e}, not {expected:e} +- {tolerance:e}"
            );
        }
        if forbidden > 1e-8 * total {
            assert_eq!(objective.gap, f64::INFINITY, "{what}: {forbidden:e}");
        } else if forbidden == 0.0 {
            let gap = primal(&feasible, &cost, epsilon) - dual;
            let tolerance = linear + energy + 8.0 * entry * total * case.largest();
            assert!(
                (objective.gap - gap).abs() <= tolerance,
                "{what}: gap {:e}, not {gap:e} +- {tolerance:e}",
                objective.gap
            );
            assert!(objective.gap >= 0.0, "{what}");
        }
    }
}

#[test]
fn values_are_those_of_their_definitions() {
    fn one<T: Num>() {
        for (n, m) in [(1, 1), (3, 20), (20, 3), (17, 33)] {
            for epsilon in [1.0, 0.1, 1e-2, 1e-3, 1e-6] {
                for iterations in [1, 6] {
                    let case = Case::<T>::random(n, m, epsilon, 95);
                    check_objective(&case, iterations);
                    if n > 1 {
                        check_objective(&case.clone().with_zeros(), iterations);
                        check_objective(&case.with_zeros().with_forbidden(), iterations);
                    }
                }
            }
        }
        // A total that is not 1, and negative costs.
        let mut case = Case::<T>::random(6, 9, 0.1, 96);
        case.a.iter_mut().chain(&mut case.b).for_each(|mass| *mass = T::of(mass.wide() * 8.0));
        case.cost.iter_mut().for_each(|cost| *cost = T::of(cost.wide() - 1.0));
        check_objective(&case, 3);
    }
    one::<f32>();
    one::<f64>();
}

#[test]
fn the_optimum_lies_in_the_gap() {
    fn one<T: Num>(rounding: f64) {
        for (n, m, epsilon) in [(9, 14, 0.3), (15, 8, 0.03)] {
            let case = Case::<T>::random(n, m, epsilon, 97).with_zeros();
            let objective = |iterations: usize, isa: Isa| {
                let solver = Sinkhorn::new(case.epsilon).tolerance(T::of(0.0)).max_iterations(iterations).isa(isa);
                case.solve(&solver).objective(case.matrix()).unwrap()
            };
            for isa in isas() {
                let optimum = objective(3000, isa);
                assert!(optimum.gap < 1e-12 * rounding, "{isa}: {:e}", optimum.gap);
                for iterations in [0, 1, 4, 16, 64] {
                    let values = objective(iterations, isa);
                    let (low, high) = (values.dual - 1e-13 * rounding, values.dual + values.gap + 1e-13 * rounding);
                    assert!((low..=high).contains(&optimum.dual), "{isa}: {:e} not in {low:e}..{high:e}", optimum.dual);
                }
            }
        }
    }
    // The totals of f32 masses differ, and so do the totals that an f32 solver ends with.
    one::<f32>(1e6);
    one::<f64>(1.0);
}

#[test]
fn the_gap_closes_with_forbidden_pairs() {
    let case = Case::<f64>::random(6, 9, 1.0, 98).with_zeros().with_forbidden();
    for isa in isas() {
        let solver = Sinkhorn::new(case.epsilon).tolerance(0.0).max_iterations(3000).isa(isa);
        let gap = case.solve(&solver).objective(case.matrix()).unwrap().gap;
        assert!(gap < 1e-12, "{isa}: {gap:e}");
    }
}

/// Finite potentials wherever there is mass, and a number for the error; or an Error.
fn sound<T: Num>(case: &Case<T>) -> Result<(), TestCaseError> {
    for isa in isas() {
        let solver = Sinkhorn::new(case.epsilon).max_iterations(20).isa(isa);
        let Ok(transport) = solver.solve(case.matrix(), &case.a, &case.b) else { continue };
        for (potential, mass) in transport.f().iter().zip(&case.a).chain(transport.g().iter().zip(&case.b)) {
            let expected = mass.wide() > 0.0;
            prop_assert_eq!(potential.wide().is_finite(), expected, "{} {}", isa, potential);
        }
        prop_assert!(transport.marginal_error().wide() >= 0.0, "{} {}", isa, transport.marginal_error());
        prop_assert!(!transport.cost().wide().is_nan());
        prop_assert!(case.plan(&transport).iter().all(|&p| p >= 0.0));
        let objective = transport.objective(case.matrix()).unwrap();
        prop_assert!(objective.gap >= 0.0 && !objective.primal.is_nan() && !objective.dual.is_nan(), "{objective:?}");
    }
    Ok(())
}

fn extreme() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1.0_f64,
        1 => prop::sample::select(vec![0.0, 1e30, -1e30, 3.4e38, -3.4e38, 1e-38, 1e-45, f64::INFINITY, 1e4, -1e4]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if emulated() { 64 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn extreme_numbers_are_survived(
        n in 1..6_usize, m in 1..20_usize,
        cost in prop::collection::vec(extreme(), 100),
        mass in prop::collection::vec(prop_oneof![3 => 0.1..1.0_f64, 1 => Just(0.0), 1 => Just(1e-30)], 26),
        epsilon in (-38.0..38.0_f64).prop_map(|e| 10.0_f64.powf(e)),
    ) {
        let mut case = Case::<f64> { n, m, cost: cost[..n * m].to_vec(), a: vec![], b: vec![], epsilon };
        case.set_masses(mass[..n].to_vec(), mass[6..6 + m].to_vec());
        let single = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<_>>();
        sound(&Case { n, m, cost: single(&case.cost), a: single(&case.a), b: single(&case.b), epsilon: epsilon as f32 })?;
        sound(&case)?;
    }

    #[test]
    fn marginals_of_the_plan_are_met(n in 1..20_usize, m in 1..20_usize, epsilon in 0.05..2.0_f64, seed in any::<u64>()) {
        let case = Case::<f64>::random(n, m, epsilon, seed);
        let transport = case.solve(&Sinkhorn::new(case.epsilon).max_iterations(10_000));
        prop_assert!(transport.converged());
        let measured = marginal_error(&case.plan(&transport), &case.a, &case.b);
        prop_assert!(measured <= 1e-6 + 1e-12);
        // The product plan meets them, too, and nothing with less cost can have more entropy.
        let product: f64 = (0..n * m).map(|at| case.cost[at] * case.a[at / m] * case.b[at % m]).sum();
        prop_assert!(transport.cost() <= product + 1e-5);
    }
}
