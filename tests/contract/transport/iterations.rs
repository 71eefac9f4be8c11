//! Potentials, plan, error and cost after a few iterations, as the textbook iteration gives them.

use super::{Case, Num, isas_and_iterations, marginal_error, reference, relaxed_reference, textbook, wide};
use crate::support::{
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::transport::{EpsilonScaling, OverRelaxation, Transport};
use mantex::{Isa, MatMut, MatRef, Sinkhorn};

for_both_types! {
    every_length_around_the_vectors
    large_and_rectangular
    column_stride_of_a_page
    zero_masses_and_forbidden_pairs
    tiny_epsilon
    relaxed_iterations_are_those_of_the_textbook
    a_constant_on_every_cost_moves_f_and_nothing_else
    the_same_bits_every_time
}

/// The constant that a solver has moved from g to f.
fn level(f: &[f64], expected: &[f64]) -> f64 {
    let first = f.iter().zip(expected).find(|(_, expected)| expected.is_finite());
    first.map_or(0.0, |(f, expected)| f - expected)
}

/// The same potentials (but for a constant), plan, error and cost as the reference after the same
/// iterations, on every instruction set.
#[track_caller]
fn check<T: Num>(case: &Case<T>, iterations: usize) {
    let expected = reference(case, iterations);
    let epsilon = case.epsilon;
    let potential = T::POTENTIAL * case.largest() + T::ENTRY * epsilon;
    // A potential that is off by d makes entries of the plan off by the factor d / epsilon.
    let entry = 4.0 * potential / epsilon + T::ENTRY;
    for (isa, method) in isas_and_iterations() {
        let what = format!("{isa} {method:?} {}x{} epsilon {epsilon:e}", case.n, case.m);
        let solver = textbook(case.epsilon).max_iterations(iterations).tolerance(0.0);
        let solver = solver.isa(isa).method(method);
        let transport = case.solve(&solver);
        let level = level(transport.f(), &expected.f);
        assert_eq!(transport.iterations(), iterations, "{what}");
        let sides = [("f", transport.f(), &expected.f, level), ("g", transport.g(), &expected.g, -level)];
        for (name, actual, expected, level) in sides {
            for (i, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
                let tolerance = potential + T::POTENTIAL * expected.abs();
                let actual = actual - level;
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
        let error = transport.marginal_error();
        let measured = marginal_error(&plan, &wide(&case.a), &wide(&case.b));
        assert!(
            (error - measured).abs() <= 1e-2 * T::ENTRY.sqrt() * measured + T::ENTRY,
            "{what}: {error:e} {measured:e}"
        );
        assert!((error - expected.error).abs() <= entry * 2.0, "{what}: error {error:e}, not {:e}", expected.error);
        let cost = transport.cost();
        let tolerance = entry * (expected.cost.abs() + 1e-30);
        assert!((cost - expected.cost).abs() <= tolerance, "{what}: cost {cost:e}, not {:e}", expected.cost);
    }
}

fn every_length_around_the_vectors<T: Num>() {
    for len in 1..50 {
        for (n, m) in [(1, len), (len, 1), (3, len), (len, 5), (5, len)] {
            let seed = (n * 100 + m) as u64;
            check(&Case::<T>::random(n, m, 0.2, seed), 3);
        }
    }
}

fn large_and_rectangular<T: Num>() {
    // The widest go through row by row, and beside the nearest cache.
    let shapes: &[(usize, usize)] = if small_cases() {
        &[(66, 130)]
    } else {
        &[(300, 200), (67, 1030), (1025, 65), (2, 5000), (3000, 3), (5, 21000), (210, 20500)]
    };
    for &(n, m) in shapes {
        let epsilons: &[f64] = if n * m > 1 << 20 { &[0.03] } else { &[1.0, 0.03, 1e-3] };
        for &epsilon in epsilons {
            check(&Case::<T>::random(n, m, epsilon, 5), 4);
        }
    }
}

fn column_stride_of_a_page<T: Num>() {
    // The rows of exponentials are moved apart.
    check(&Case::<T>::random(9, 4096 / size_of::<T>(), 0.1, 6), 3);
}

fn zero_masses_and_forbidden_pairs<T: Num>() {
    for (n, m) in [(2, 2), (4, 7), (7, 4), (17, 33), (40, 18), (70, 49)] {
        for epsilon in [1.0, 0.1, 1e-2, 1e-3] {
            let seed = n as u64;
            check(&Case::<T>::random(n, m, epsilon, seed).with_zeros(), 5);
            check(&Case::<T>::random(n, m, epsilon, seed).with_forbidden(), 5);
            check(&Case::<T>::random(n, m, epsilon, seed).with_zeros().with_forbidden(), 5);
        }
    }
}

fn tiny_epsilon<T: Num>() {
    // Columns starve and rows leave their range in the first iterations.
    for ratio in [1e-4, 1e-5, 1e-6, 1e-8] {
        for (n, m) in [(5, 9), (24, 17), (33, 70)] {
            for iterations in [1, 2, 7] {
                check(&Case::<T>::random(n, m, ratio, 3), iterations);
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
            epsilon: f64::from(case.epsilon as f32),
        };
        check(&single, 1);
        check(&single, 20);
    }
}

#[test]
fn masses_of_any_magnitude() {
    for total in [1e-30_f32, 1e30] {
        let mut case = Case::<f32>::random(9, 21, 0.1, 7);
        let solver = textbook(case.epsilon).tolerance(1e-6);
        let units = isas().into_iter().map(|isa| (isa, case.solve(&solver.clone().isa(isa)))).collect::<Vec<_>>();
        for mass in case.a.iter_mut().chain(&mut case.b) {
            *mass *= total;
        }
        for (isa, unit) in units {
            let transport = case.solve(&solver.clone().isa(isa));
            // The tolerance is relative to the total, and the iterations are those of a total of 1.
            assert!(transport.converged() && transport.marginal_error() <= 1e-6, "{isa}");
            assert!(transport.iterations().abs_diff(unit.iterations()) <= 1, "{isa}");
            assert!((transport.cost() / f64::from(total) - unit.cost()).abs() < 1e-5 * unit.cost(), "{isa}");
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

fn relaxed_iterations_are_those_of_the_textbook<T: Num>() {
    for (n, m, zeros) in [(9, 21, false), (34, 18, true)] {
        let case = Case::<T>::random(n, m, 0.1, 14);
        let case = if zeros { case.with_zeros() } else { case };
        for (w, iterations) in [(1.5, 7), (1.9, 9), (0.7, 5), (1.0, 4)] {
            let expected = relaxed_reference(&case, iterations, w);
            for (isa, method) in isas_and_iterations() {
                let solver = Sinkhorn::new(case.epsilon).tolerance(0.0).max_iterations(iterations).isa(isa);
                let solver = solver.method(method).epsilon_scaling(EpsilonScaling::Off);
                let solver = solver.over_relaxation(OverRelaxation::Factor(w));
                let transport = case.solve(&solver.warm_start(vec![0.0; n], vec![0.0; m]));
                let level = level(transport.f(), &expected.f);
                let f = transport.f().iter().map(|f| f - level).zip(&expected.f);
                for (actual, &expected) in f.chain(transport.g().iter().map(|g| g + level).zip(&expected.g)) {
                    let tolerance = 4.0 * T::POTENTIAL * (case.largest() + expected.abs());
                    let close = actual == expected || (actual - expected).abs() <= tolerance;
                    assert!(close, "{isa} {method:?} {w}: {actual} {expected}");
                }
                let error = (transport.marginal_error() - expected.error).abs();
                assert!(error <= 100.0 * T::ENTRY, "{isa} {method:?} {w}: {error:e}");
            }
        }
    }
}

fn a_constant_on_every_cost_moves_f_and_nothing_else<T: Num>() {
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
        let solver = textbook(case.epsilon).isa(isa).max_iterations(300).tolerance(0.0);
        let (at_0, at_1000) = (case.solve(&solver), moved.solve(&solver));
        let precision = 1e-5_f64.max(1000.0 * T::POTENTIAL);
        // A constant may be moved from g to f.
        let level = at_0.g()[0] - at_1000.g()[0];
        for (x, y) in at_0.f().iter().zip(at_1000.f()) {
            assert!((y - level - x - 1000.0).abs() <= precision, "{isa}: {x} {y}");
        }
        for (x, y) in at_0.g().iter().zip(at_1000.g()) {
            assert!((y + level - x).abs() <= 1e-5 * case.epsilon, "{isa}: {x} {y}");
        }
        for (x, y) in case.plan(&at_0).iter().zip(moved.plan(&at_1000)) {
            assert!((x - y).abs() <= 1e-5 * x + 1e-30, "{isa}: {x:e} {y:e} {:e}", (x - y) / x);
        }
    }
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

fn the_same_bits_every_time<T: Num>() {
    let case = Case::<T>::random(37, 43, 0.05, 61).with_zeros();
    let solver = Sinkhorn::new(case.epsilon).max_iterations(50);
    let bits = |t: &Transport<T>| {
        let numbers = t.f().iter().chain(t.g()).map(|x| x.to_bits()).collect::<Vec<_>>();
        let plan = case.plan(t).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        (numbers, plan, t.cost().to_bits(), t.marginal_error().to_bits())
    };
    let first = bits(&case.solve(&solver));
    assert_eq!(first, bits(&case.solve(&solver)));
    // The entry point runs what Isa::best() says.
    assert_eq!(first, bits(&case.solve(&solver.clone().isa(Isa::best()))));
}
