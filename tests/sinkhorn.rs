//! The Sinkhorn solver against a textbook log-domain iteration in `f64`, on every instruction set.

#[path = "sinkhorn/batch.rs"]
mod batch;
mod support;

use mantex::{Error, Isa, MatMut, MatRef, Real, Sinkhorn, Transport};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
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
    let (n, m, epsilon) = (case.n, case.m, case.epsilon.wide());
    let (cost, a, b) = (wide(&case.cost), wide(&case.a), wide(&case.b));
    let mut f = vec![0.0; n];
    let mut g: Vec<f64> = b.iter().map(|&b| if b > 0.0 { 0.0 } else { f64::NEG_INFINITY }).collect();
    for _ in 0..iterations {
        for i in 0..n {
            let lse = log_sum_exp((0..m).map(|j| (g[j] - cost[i * m + j]) / epsilon));
            f[i] = if a[i] > 0.0 { epsilon * (a[i].ln() - lse) } else { f64::NEG_INFINITY };
        }
        for j in 0..m {
            let lse = log_sum_exp((0..n).map(|i| (f[i] - cost[i * m + j]) / epsilon));
            g[j] = if b[j] > 0.0 { epsilon * (b[j].ln() - lse) } else { f64::NEG_INFINITY };
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
    for isa in isas() {
        let what = format!("{isa} {}x{} epsilon {epsilon:e}", case.n, case.m);
        let solver = Sinkhorn::new(case.epsilon).max_iterations(iterations).tolerance(T::of(0.0)).isa(isa);
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
    let shapes: &[(usize, usize)] =
        if emulated() { &[(66, 130)] } else { &[(300, 200), (67, 1030), (1025, 65), (2, 5000), (3000, 3)] };
    for &(n, m) in shapes {
        for epsilon in [1.0, 0.03, 1e-3] {
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
            for isa in isas() {
                let solver = Sinkhorn::new(case.epsilon).isa(isa).max_iterations(20_000);
                for solver in [solver.clone(), solver.tolerance(T::of(tolerance))] {
                    let transport = case.solve(&solver);
                    assert!(transport.converged(), "{isa} {n}x{m}: {:?}", transport.marginal_error());
                    // The test before the measurement stops it no later than one iteration after the tolerance is met.
                    let before = solver.max_iterations(transport.iterations().saturating_sub(2));
                    assert!(!case.solve(&before).converged(), "{isa} {n}x{m}");
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
fn every_bad_input_has_its_error() {
    fn one<T: Num>() {
        let of = |x: &[f64]| x.iter().map(|&x| T::of(x)).collect::<Vec<_>>();
        let inf = f64::INFINITY;
        let solve_with = |epsilon: f64, tolerance: f64, cost: &[f64], a: &[f64], b: &[f64]| {
            let cost = of(cost);
            let rows = if a.is_empty() { 0 } else { 2 };
            let matrix = MatRef::new(&cost, rows, cost.len() / rows.max(1)).unwrap();
            Sinkhorn::new(T::of(epsilon)).tolerance(T::of(tolerance)).solve(matrix, &of(a), &of(b)).unwrap_err()
        };
        let solve = |cost: &[f64], a: &[f64], b: &[f64]| solve_with(0.1, 1e-4, cost, a, b);
        let good = [0.0, 1.0, 1.0, 0.0];
        let half = [0.5, 0.5];
        for epsilon in [0.0, -1.0, inf, -inf, f64::NAN, 1e-320] {
            let error = solve_with(epsilon, 1e-4, &good, &half, &half);
            assert!(matches!(error, Error::Parameter { argument: "epsilon", .. }), "{epsilon}: {error}");
        }
        for tolerance in [-1.0, f64::NAN, inf] {
            let error = solve_with(0.1, tolerance, &good, &half, &half);
            assert!(matches!(error, Error::Parameter { argument: "tolerance", .. }), "{error}");
        }
        assert_eq!(solve(&[], &[], &half), Error::Empty { argument: "cost" });
        assert_eq!(solve(&[], &half, &[]), Error::Empty { argument: "cost" });
        assert_eq!(solve(&good, &[1.0], &half), Error::Length { argument: "a", actual: 1, expected: 2 });
        assert_eq!(solve(&good, &half, &[1.0, 0.0, 0.0]), Error::Length { argument: "b", actual: 3, expected: 2 });
        for bad in [-0.1, f64::NAN, inf, -inf] {
            let error = solve(&good, &[0.5, bad], &half);
            assert!(matches!(error, Error::Element { argument: "a", row: 1, col: 0, .. }), "{error}");
            let error = solve(&good, &half, &[bad, 0.5]);
            assert!(matches!(error, Error::Element { argument: "b", row: 0, col: 0, .. }), "{error}");
        }
        assert!(matches!(solve(&good, &[0.0, 0.0], &half), Error::Parameter { argument: "a", .. }));
        assert!(matches!(solve(&good, &half, &[0.0, -0.0]), Error::Parameter { argument: "b", .. }));
        assert!(matches!(solve(&good, &half, &[0.5, 0.501]), Error::MassMismatch { .. }));
        for bad in [f64::NAN, -inf] {
            let error = solve(&[0.0, 1.0, bad, 0.0], &half, &half);
            assert!(matches!(error, Error::Element { argument: "cost", row: 1, col: 0, .. }), "{error}");
            // Also where there is no mass.
            let error = solve(&[0.0, 1.0, bad, 0.0], &[1.0, 0.0], &half);
            assert!(matches!(error, Error::Element { argument: "cost", row: 1, col: 0, .. }), "{error}");
        }
        assert_eq!(solve(&[0.0, 1.0, inf, inf], &half, &half), Error::Infeasible { side: "row", index: 1 });
        assert_eq!(solve(&[inf, 1.0, inf, 0.0], &half, &half), Error::Infeasible { side: "column", index: 0 });
        // Partners without mass are none.
        assert_eq!(solve(&[inf, 1.0, 0.0, 0.0], &half, &[1.0, 0.0]), Error::Infeasible { side: "row", index: 0 });
        assert_eq!(solve(&[inf, 1.0, 0.0, 0.0], &[1.0, 0.0], &half), Error::Infeasible { side: "column", index: 0 });
    }
    one::<f32>();
    one::<f64>();
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
fn plan_into_checks_shapes_first() {
    let case = Case::<f64>::random(3, 4, 0.5, 81);
    let transport = case.solve(&Sinkhorn::new(case.epsilon));
    let mut out = [7.0; 12];
    let error = transport.plan_into(case.matrix(), MatMut::new(&mut out, 4, 3).unwrap());
    assert_eq!(error, Err(Error::Shape { argument: "out", actual: (4, 3), expected: (3, 4) }));
    let turned = MatRef::new(&case.cost, 4, 3).unwrap();
    let error = transport.plan_into(turned, MatMut::new(&mut out, 3, 4).unwrap());
    assert_eq!(error, Err(Error::Shape { argument: "cost", actual: (4, 3), expected: (3, 4) }));
    assert_eq!(out, [7.0; 12]);
    // Another matrix of the shape, whatever is in it, is no danger.
    let other = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e300, 1e300, 0.0, -0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    for isa in isas() {
        let transport = case.solve(&Sinkhorn::new(case.epsilon).isa(isa));
        transport.plan_into(MatRef::new(&other, 3, 4).unwrap(), MatMut::new(&mut out, 3, 4).unwrap()).unwrap();
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
