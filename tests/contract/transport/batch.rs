//! Batches on one cost matrix, against the textbook iteration and against problems solved alone.

use super::{Case, Num, Reference, extreme, reference, textbook, wide};
use crate::support::{
    float::Float,
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::transport::TransportBatch;
use mantex::{Isa, MatRef, Sinkhorn};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

for_both_types! {
    every_number_of_problems_and_every_length
    forbidden_pairs_and_every_epsilon
}

/// Problems on the cost matrix of a case, whose own masses do not count.
struct Problems<T> {
    case: Case<T>,
    a: Vec<T>,
    b: Vec<T>,
}

impl<T: Num> Problems<T> {
    /// Random masses, about a fifth of them 0; every seventh problem is narrow and has all its mass
    /// in a few places.
    fn random(case: Case<T>, count: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(count as u64);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for p in 0..count {
            let side = |len: usize, rng: &mut StdRng| -> Vec<f64> {
                let from = rng.random_range(0..len);
                let inside = |i: usize| p % 7 != 3 || (i + len - from) % len < 3;
                let mass = |i: usize, rng: &mut StdRng| {
                    let mass = if rng.random_range(0..5) == 0 { 0.0 } else { rng.random_range(0.1..1.0) };
                    if i == from {
                        0.5
                    } else if inside(i) {
                        mass
                    } else {
                        0.0
                    }
                };
                // The first row and column are never forbidden and always have mass.
                (0..len).map(|i| mass(i, rng) + if i == 0 { 0.1 } else { 0.0 }).collect()
            };
            let mut one = case.clone();
            let (a_p, b_p) = (side(case.n, &mut rng), side(case.m, &mut rng));
            one.set_masses(a_p, b_p);
            a.extend(one.a);
            b.extend(one.b);
        }
        Self { case, a, b }
    }

    fn len(&self) -> usize {
        self.a.len() / self.case.n
    }

    /// One of the problems.
    fn one(&self, p: usize) -> Case<T> {
        let Case { n, m, .. } = self.case;
        Case { a: self.a[p * n..(p + 1) * n].to_vec(), b: self.b[p * m..(p + 1) * m].to_vec(), ..self.case.clone() }
    }

    fn solve(&self, solver: &Sinkhorn) -> TransportBatch<T> {
        let Case { n, m, .. } = self.case;
        let (a, b) = (MatRef::new(&self.a, self.len(), n).unwrap(), MatRef::new(&self.b, self.len(), m).unwrap());
        let batch = solver.solve_batch(self.case.matrix(), a, b).unwrap();
        assert_eq!((batch.len(), batch.is_empty()), (self.len(), false));
        batch
    }
}

/// Everything known of a problem, to the bit.
fn bits<T: Num>(batch: &TransportBatch<T>, p: usize) -> (Vec<u64>, usize, bool) {
    let scalars = [batch.marginal_error(p), batch.value(p)];
    let potentials = batch.f(p).iter().chain(batch.g(p)).map(|x| x.wide());
    (potentials.chain(scalars).map(f64::to_bits).collect(), batch.iterations(p), batch.converged(p))
}

/// Potentials rounded to the element type.
fn in_type<T: Num>(x: &[f64]) -> Vec<T> {
    x.iter().map(|&x| T::of(x)).collect()
}

/// The dual value of masses and potentials.
fn dual<T: Num>(case: &Case<T>, f: &[f64], g: &[f64]) -> f64 {
    let sides = case.a.iter().zip(f).chain(case.b.iter().zip(g));
    sides.filter(|(mass, _)| mass.wide() > 0.0).map(|(mass, potential)| mass.wide() * potential).sum()
}

/// Potentials, error and value after so many iterations.
fn check_batch<T: Num>(problems: &Problems<T>, iterations: usize) {
    let references: Vec<Reference> = (0..problems.len()).map(|p| reference(&problems.one(p), iterations)).collect();
    let epsilon = problems.case.epsilon;
    let potential = T::POTENTIAL * problems.case.largest() + T::ENTRY * epsilon;
    for isa in isas() {
        let solver = textbook(problems.case.epsilon).max_iterations(iterations).tolerance(0.0).isa(isa);
        let batch = problems.solve(&solver);
        for (p, expected) in references.iter().enumerate() {
            let what = format!("{isa} {}x{} problem {p}", problems.case.n, problems.case.m);
            assert_eq!(batch.iterations(p), iterations, "{what}");
            for (name, actual, expected) in [("f", batch.f(p), &expected.f), ("g", batch.g(p), &expected.g)] {
                assert_eq!(actual.len(), expected.len());
                for (i, (actual, &expected)) in actual.iter().zip(expected).enumerate() {
                    let actual = actual.wide();
                    let tolerance = potential + T::POTENTIAL * expected.abs();
                    let close = actual == expected || (actual - expected).abs() <= tolerance;
                    assert!(close, "{what}: {name}[{i}] = {actual:e}, not {expected:e} +- {tolerance:e}");
                }
            }
            let error = batch.marginal_error(p);
            let tolerance = 8.0 * potential / epsilon + T::ENTRY;
            assert!((error - expected.error).abs() <= tolerance, "{what}: error {error:e}, not {:e}", expected.error);
            let (value, expected) = (batch.value(p), dual(&problems.one(p), &expected.f, &expected.g));
            let tolerance = 2.0 * (potential + T::POTENTIAL * problems.case.largest());
            assert!((value - expected).abs() <= tolerance, "{what}: value {value:e}, not {expected:e}");
        }
    }
}

fn every_number_of_problems_and_every_length<T: Num>() {
    // Lanes: 2 to 32 problems. Lengths: blocks of 4 or 8 rows, groups of 64.
    for count in [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 67] {
        check_batch(&Problems::random(Case::<T>::random(9, 6, 0.2, 1), count), 3);
    }
    for (n, m) in [(1, 1), (1, 9), (9, 1), (2, 70), (64, 3), (65, 5), (70, 67), (130, 4), (3, 200)] {
        check_batch(&Problems::random(Case::<T>::random(n, m, 0.3, 2), 5), 4);
    }
}

fn forbidden_pairs_and_every_epsilon<T: Num>() {
    // With a small epsilon problems leave their lanes, and all do at last.
    for epsilon in [1.0, 0.1, 0.03, 1e-2, 3e-3, 1e-3, 1e-5] {
        check_batch(&Problems::random(Case::<T>::random(19, 23, epsilon, 3), 18), 5);
        check_batch(&Problems::random(Case::<T>::random(11, 9, epsilon, 4).with_forbidden(), 18), 5);
    }
}

#[test]
fn problems_do_not_depend_on_each_other() {
    fn one<T: Num>(n: usize, m: usize, count: usize) {
        let problems = Problems::random(Case::<T>::random(n, m, 0.1, 5), count);
        let (mut backwards_a, mut backwards_b) = (Vec::new(), Vec::new());
        for p in (0..count).rev() {
            backwards_a.extend(problems.one(p).a);
            backwards_b.extend(problems.one(p).b);
        }
        let backwards = Problems { case: problems.case.clone(), a: backwards_a, b: backwards_b };
        for isa in isas() {
            let solver = Sinkhorn::new(problems.case.epsilon).isa(isa);
            let (batch, backwards) = (problems.solve(&solver), backwards.solve(&solver));
            let mut iterations = Vec::new();
            for p in 0..count {
                let all = bits(&batch, p);
                assert_eq!(all, bits(&backwards, count - 1 - p), "{isa} {p}");
                let one = problems.one(p);
                let alone = Problems { case: problems.case.clone(), a: one.a, b: one.b }.solve(&solver);
                assert_eq!(all, bits(&alone, 0), "{isa} {p}");
                iterations.push(batch.iterations(p));
            }
            // They came and went at different times.
            assert!(iterations.iter().any(|&i| i != iterations[0]), "{isa}: {iterations:?}");
        }
        // The entry point runs what Isa::best() says, every time.
        let solver = Sinkhorn::new(problems.case.epsilon);
        let batch = problems.solve(&solver);
        assert_eq!(batch, problems.solve(&solver));
        assert_eq!(batch, problems.solve(&solver.isa(Isa::best())));
    }
    one::<f32>(21, 17, 37);
    one::<f64>(21, 17, 20);
    one::<f32>(131, 70, 5);
    one::<f64>(70, 131, 5);
}

#[test]
fn one_row_serves_all_problems() {
    let problems = Problems::random(Case::<f64>::random(7, 12, 0.2, 6), 20);
    let cost = problems.case.matrix();
    let b = MatRef::new(&problems.b, 20, 12).unwrap();
    let (a_0, b_0) = (&problems.a[..7], &problems.b[..12]);
    let repeated = |x: &[f64], times: usize| x.iter().copied().cycle().take(x.len() * times).collect::<Vec<f64>>();
    for isa in isas() {
        let solver = Sinkhorn::new(problems.case.epsilon).isa(isa);
        let (a_all, b_all) = (repeated(a_0, 20), repeated(b_0, 20));
        let all = MatRef::new(&a_all, 20, 7).unwrap();
        let shared = solver.solve_batch(cost, MatRef::new(a_0, 1, 7).unwrap(), b).unwrap();
        assert_eq!(shared, solver.solve_batch(cost, all, b).unwrap(), "{isa}");
        let a = MatRef::new(&problems.a, 20, 7).unwrap();
        let all = MatRef::new(&b_all, 20, 12).unwrap();
        let shared = solver.solve_batch(cost, a, MatRef::new(b_0, 1, 12).unwrap()).unwrap();
        assert_eq!(shared, solver.solve_batch(cost, a, all).unwrap(), "{isa}");
    }
}

#[test]
fn strides_of_every_matrix() {
    let problems = Problems::random(Case::<f32>::random(6, 9, 0.2, 7), 5);
    let spread = |x: &[f32], rows: usize, cols: usize| {
        let mut spread = vec![f32::NAN; rows * (cols + 4) - 4];
        for i in 0..rows {
            spread[i * (cols + 4)..i * (cols + 4) + cols].copy_from_slice(&x[i * cols..(i + 1) * cols]);
        }
        spread
    };
    let (cost, a, b) = (spread(&problems.case.cost, 6, 9), spread(&problems.a, 5, 6), spread(&problems.b, 5, 9));
    let view = |x, rows, cols| MatRef::with_stride(x, rows, cols, cols + 4).unwrap();
    for isa in isas() {
        let solver = Sinkhorn::new(problems.case.epsilon).isa(isa);
        let strided = solver.solve_batch(view(&cost, 6, 9), view(&a, 5, 6), view(&b, 5, 9)).unwrap();
        assert_eq!(strided, problems.solve(&solver), "{isa}");
    }
}

#[test]
fn stops_at_the_first_iterate_within_the_tolerance() {
    /// The default tolerance where it is the one given.
    fn one<T: Num>(case: Case<T>, tolerance: f64, default: bool) {
        let problems = Problems::random(case, 5);
        for isa in isas() {
            let solver = textbook(problems.case.epsilon).isa(isa).max_iterations(5000);
            let solver = if default { solver } else { solver.tolerance(tolerance) };
            let batch = problems.solve(&solver);
            for p in 0..problems.len() {
                let (one, iterations) = (problems.one(p), batch.iterations(p));
                assert!(batch.converged(p), "{isa} {p}: {} after {iterations}", batch.marginal_error(p));
                // As many iterations alone are enough, fewer are not.
                let alone = |iterations| one.solve(&solver.clone().max_iterations(iterations));
                let error = alone(iterations).marginal_error();
                assert!((error - batch.marginal_error(p)).abs() <= 4.0 * T::ENTRY, "{isa} {p}: {error:e}");
                let before = alone(iterations.max(2) - 1).marginal_error();
                assert!(iterations < 2 || before > tolerance - 4.0 * T::ENTRY, "{isa} {p}: {before:e} is enough");
            }
        }
    }
    one(Case::<f32>::random(20, 30, 0.1, 8), 1e-4, true);
    one(Case::<f64>::random(20, 30, 0.1, 8), 1e-6, true);
    one(Case::<f64>::random(31, 17, 0.3, 9), 1e-10, false);
    let long = if small_cases() { 130 } else { 4096 };
    one(Case::<f32>::random(8, long, 0.1, 10), 1e-4, true);
    one(Case::<f32>::random(long, 8, 0.1, 10), 1e-4, true);
}

/// What lanes cannot do is left to `solve`.
#[test]
fn the_log_domain_takes_over() {
    fn one<T: Num>(least: f64, precision: f64) {
        let problems = Problems::random(Case::<T>::random(9, 13, 0.2, 11), 20);
        let solver = Sinkhorn::new(problems.case.epsilon);
        let tiny = Sinkhorn::new(T::of(problems.case.epsilon * 1e-6).wide()).max_iterations(30);
        let (precise, none) = (solver.clone().tolerance(precision), solver.clone().max_iterations(0));
        for isa in isas() {
            for solver in [&tiny, &precise, &none].map(|solver| solver.clone().isa(isa)) {
                let batch = problems.solve(&solver);
                for p in 0..problems.len() {
                    let alone = problems.one(p).solve(&solver);
                    assert_eq!((batch.f(p), batch.g(p)), (&*in_type(alone.f()), &*in_type(alone.g())), "{isa} {p}");
                    assert_eq!(batch.iterations(p), alone.iterations(), "{isa} {p}");
                    assert_eq!(batch.marginal_error(p), alone.marginal_error(), "{isa} {p}");
                    assert_eq!(batch.converged(p), alone.converged(), "{isa} {p}");
                    let value = dual(&problems.one(p), alone.f(), alone.g());
                    assert!((batch.value(p) - value).abs() <= T::POTENTIAL * problems.case.largest());
                }
            }
            // One problem with hardly any mass somewhere, its mates as ever.
            let mut mixed = Problems::random(problems.case.clone(), 20);
            let mut special = mixed.one(4);
            let mut b = wide(&special.b);
            b[2] = least;
            special.set_masses(wide(&special.a), b);
            mixed.b[4 * 13..5 * 13].copy_from_slice(&special.b);
            assert!(special.b[2].wide() > 0.0);
            let solver = solver.clone().isa(isa);
            let (before, batch) = (problems.solve(&solver), mixed.solve(&solver));
            for p in 0..20 {
                if p == 4 {
                    let alone = special.solve(&solver);
                    assert_eq!((batch.f(p), batch.g(p)), (&*in_type(alone.f()), &*in_type(alone.g())), "{isa}");
                } else {
                    assert_eq!(bits(&batch, p), bits(&before, p), "{isa} {p}");
                }
            }
        }
    }
    one::<f32>(1e-37, 1e-6);
    one::<f64>(1e-300, 1e-15);
}

#[test]
fn masses_of_any_total() {
    for total in [1e-30_f32, 1e30] {
        let problems = Problems::random(Case::<f32>::random(9, 21, 0.1, 12), 6);
        let scaled = |x: &[f32]| x.iter().map(|x| x * total).collect();
        let moved = Problems { case: problems.case.clone(), a: scaled(&problems.a), b: scaled(&problems.b) };
        for isa in isas() {
            let solver = Sinkhorn::new(problems.case.epsilon).tolerance(1e-4).isa(isa);
            let (unit, batch) = (problems.solve(&solver), moved.solve(&solver));
            for p in 0..6 {
                assert!(batch.converged(p), "{isa}");
                // exp(f / epsilon) carries the total.
                let shift = problems.case.epsilon * total.wide().ln();
                for (f, unit) in batch.f(p).iter().zip(unit.f(p)).filter(|(_, unit)| unit.is_finite()) {
                    assert!((f.wide() - unit.wide() - shift).abs() < 1e-5, "{isa}: {f} {unit}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if small_cases() { 32 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Finite potentials wherever there is mass, numbers for error and value; or an Error. The same
    /// bits alone.
    #[test]
    fn extreme_batches_are_survived(
        n in 1..6_usize, m in 1..12_usize,
        cost in prop::collection::vec(extreme(), 60),
        mass in prop::collection::vec(prop_oneof![3 => 0.1..1.0_f64, 1 => Just(0.0), 1 => Just(1e-30)], 54),
        epsilon in (-38.0..38.0_f64).prop_map(|e| 10.0_f64.powf(e)),
    ) {
        let mut case = Case::<f64> { n, m, cost: cost[..n * m].to_vec(), a: vec![], b: vec![], epsilon };
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for p in 0..3 {
            case.set_masses(mass[p * 6..p * 6 + n].to_vec(), mass[18 + p * 12..18 + p * 12 + m].to_vec());
            a.extend_from_slice(&case.a);
            b.extend_from_slice(&case.b);
        }
        let single = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<_>>();
        let rounded = f64::from(epsilon as f32);
        let narrow = Case::<f32> { n, m, cost: single(&case.cost), a: vec![], b: vec![], epsilon: rounded };
        sound_batch(&Problems { case: narrow, a: single(&a), b: single(&b) })?;
        sound_batch(&Problems { case, a, b })?;
    }
}

fn sound_batch<T: Num>(problems: &Problems<T>) -> Result<(), TestCaseError> {
    let Case { n, m, .. } = problems.case;
    for isa in isas() {
        let solver = Sinkhorn::new(problems.case.epsilon).max_iterations(20).isa(isa);
        let (a, b) = (MatRef::new(&problems.a, 3, n).unwrap(), MatRef::new(&problems.b, 3, m).unwrap());
        let Ok(batch) = solver.solve_batch(problems.case.matrix(), a, b) else { continue };
        for p in 0..3 {
            let one = problems.one(p);
            for (potential, mass) in batch.f(p).iter().zip(&one.a).chain(batch.g(p).iter().zip(&one.b)) {
                prop_assert_eq!(potential.wide().is_finite(), mass.wide() > 0.0, "{} {}", isa, potential);
            }
            prop_assert!(batch.marginal_error(p) >= 0.0, "{} {}", isa, batch.marginal_error(p));
            prop_assert!(!batch.value(p).is_nan());
            let alone = Problems { case: problems.case.clone(), a: one.a, b: one.b }.solve(&solver);
            prop_assert_eq!(bits(&batch, p), bits(&alone, 0), "{} {}", isa, p);
        }
    }
    Ok(())
}
