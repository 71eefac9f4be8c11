//! Solves that run until the tolerance is met, by every method and relaxation.

use super::{Case, Num, isas_and_methods, marginal_error, textbook, wide};
use crate::support::{
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::transport::{EpsilonScaling, Method, OverRelaxation, Progress, Transport};
use mantex::{MatRef, Sinkhorn};
use std::ops::ControlFlow;

for_both_types! {
    converges_to_the_tolerance
    every_method_and_relaxation_finds_the_same_potentials
}

fn converges_to_the_tolerance<T: Num>() {
    let (default, tight) = if T::NAME == "f32" { (1e-4, 2e-6) } else { (1e-6, 1e-12) };
    for (n, m, epsilon) in [(20, 30, 0.5), (31, 17, 0.05), (64, 64, 0.02)] {
        let case = Case::<T>::random(n, m, epsilon, 11);
        for (isa, method) in isas_and_methods() {
            let solver = textbook(case.epsilon).isa(isa).method(method).max_iterations(20_000);
            for (solver, tolerance) in [(solver.clone(), default), (solver.tolerance(tight), tight)] {
                let transport = case.solve(&solver);
                assert!(transport.converged(), "{isa} {n}x{m}: {:?}", transport.marginal_error());
                // The test before the measurement stops it no later than one iteration after the
                // tolerance is met; when that is, the kernels see up to the rounding of their sums.
                let before = solver.max_iterations(transport.iterations().saturating_sub(2));
                let error = case.solve(&before).marginal_error();
                assert!(error > tolerance - 0.05 * T::ENTRY, "{isa} {method:?} {n}x{m}: {error:e}");
                let measured = marginal_error(&case.plan(&transport), &wide(&case.a), &wide(&case.b));
                assert!(measured <= transport.marginal_error() + T::ENTRY, "{isa} {n}x{m}: {measured}");
            }
        }
    }
}

fn every_method_and_relaxation_finds_the_same_potentials<T: Num>() {
    let (n, m) = if small_cases() { (20, 33) } else { (60, 77) };
    for (case, epsilon) in [
        (Case::<T>::random(n, m, 0.05, 12), 0.05),
        (Case::random(n, m, 0.05, 12).with_zeros().with_forbidden(), 0.05),
        (Case::random(m, n, 1e-3, 13).with_zeros(), 1e-3),
    ] {
        let solver = textbook(case.epsilon).max_iterations(200_000).tolerance(100.0 * T::ENTRY);
        let expected = case.solve(&solver.clone().method(Method::Log));
        assert!(expected.converged(), "{epsilon}");
        let tolerance = 5e4 * T::ENTRY * case.epsilon / f64::sqrt(epsilon);
        for (isa, method) in isas_and_methods() {
            let solver = solver.clone().isa(isa).method(method);
            for (relaxation, scaling) in [
                (OverRelaxation::Off, EpsilonScaling::Off),
                (OverRelaxation::Off, EpsilonScaling::Auto),
                (OverRelaxation::Auto, EpsilonScaling::Off),
                (OverRelaxation::Auto, EpsilonScaling::Factor(3.0)),
                (OverRelaxation::Auto, EpsilonScaling::Auto),
                (OverRelaxation::Factor(1.6), EpsilonScaling::Off),
            ] {
                let solver = solver.clone().over_relaxation(relaxation).epsilon_scaling(scaling);
                let transport = case.solve(&solver);
                let what = format!("{isa} {method:?} {relaxation:?} {scaling:?} epsilon {epsilon}");
                assert!(transport.converged(), "{what}: {}", transport.marginal_error());
                // A constant may be moved from f to g: compared are their sums.
                for i in (0..case.n).filter(|&i| case.a[i].wide() > 0.0) {
                    for j in (0..case.m).filter(|&j| case.b[j].wide() > 0.0) {
                        let sum = |t: &Transport<T>| t.f()[i] + t.g()[j];
                        let difference = (sum(&transport) - sum(&expected)).abs();
                        assert!(difference <= tolerance, "{what}: {difference:e} > {tolerance:e} at {i}, {j}");
                    }
                }
            }
        }
    }
}

#[test]
fn relaxation_and_epsilon_scaling_save_iterations() {
    let mut case = Case::<f64>::random(60, 50, 0.005, 15);
    case.set_masses(vec![1.0; 60], vec![1.0; 50]);
    let solver = textbook(case.epsilon).max_iterations(100_000).tolerance(1e-9);
    let unaccelerated = case.solve(&solver);
    let relaxed = case.solve(&solver.clone().over_relaxation(OverRelaxation::Auto));
    assert!(unaccelerated.converged() && relaxed.converged());
    let (unaccelerated, relaxed) = (unaccelerated.iterations(), relaxed.iterations());
    assert!(3 * relaxed < unaccelerated, "{relaxed} of {unaccelerated}");

    // From a quarter of the range of the costs down by the factor each time, and then the epsilon
    // itself.
    let mut epsilons = Vec::new();
    let solver = solver.epsilon_scaling(EpsilonScaling::Factor(4.0)).tolerance(1e-6);
    let on_iteration = |progress: &Progress| {
        if epsilons.last() != Some(&progress.epsilon) {
            epsilons.push(progress.epsilon);
        }
        ControlFlow::Continue(())
    };
    let transport = solver.solve_with_progress(case.matrix(), &case.a, &case.b, on_iteration).unwrap();
    assert!(transport.converged());
    // Relative to the smallest costs of rows and then of columns.
    let min = |costs: &mut dyn Iterator<Item = f64>| costs.fold(f64::INFINITY, f64::min);
    let rows = case.cost.chunks(50).map(|row| (row, min(&mut row.iter().copied())));
    let reduced: Vec<f64> = rows.flat_map(|(row, least)| row.iter().map(move |c| c - least)).collect();
    let column = |j: usize| reduced.iter().copied().skip(j).step_by(50);
    let ranges = (0..50).map(|j| column(j).fold(0.0, f64::max) - min(&mut column(j)));
    let first = ranges.fold(0.0, f64::max) / 4.0;
    assert!((epsilons[0] - first).abs() < 1e-12 * first, "{epsilons:?} {first}");
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
    case.epsilon = f64::from((case.largest() / 1e4) as f32);
    let double =
        Case::<f64> { n: 40, m: 50, cost: wide(&case.cost), a: wide(&case.a), b: wide(&case.b), epsilon: case.epsilon };
    let solver = Sinkhorn::new(double.epsilon)
        .over_relaxation(OverRelaxation::Auto)
        .epsilon_scaling(EpsilonScaling::Factor(2.0));
    let solved = double.solve(&solver.tolerance(1e-8).max_iterations(1_000_000));
    assert!(solved.converged(), "{:e} after {}", solved.marginal_error(), solved.iterations());
    let (f, g) = solved.into_parts();
    for (isa, method) in isas_and_methods() {
        for iterations in [0, 1, 2, 5, 50] {
            let solver = Sinkhorn::new(case.epsilon).max_iterations(iterations).tolerance(0.0).isa(isa).method(method);
            let transport = case.solve(&solver.warm_start(f.clone(), g.clone()));
            let error = transport.marginal_error();
            assert!(error < 1e-5, "{isa} {method:?} after {iterations}: {error:e}");
            let measured = marginal_error(&case.plan(&transport), &wide(&case.a), &wide(&case.b));
            assert!(measured < 1e-5, "{isa} {method:?} after {iterations}: {measured:e}");
        }
    }
}

#[test]
fn f32_error_is_not_limited_by_rounding() {
    // Costs up to 10000 epsilon: with the terms of the exponent rounded to f32, entries would be
    // off by 1e-3.
    let mut case = Case::<f32>::random(12, 15, 1.0, 21);
    case.epsilon = f64::from((case.largest() / 1e4) as f32);
    for isa in isas() {
        let solver = Sinkhorn::new(case.epsilon).isa(isa).max_iterations(100_000).tolerance(1e-6);
        let transport = case.solve(&solver);
        assert!(transport.converged(), "{isa}: {:e} after {}", transport.marginal_error(), transport.iterations());
        let measured = marginal_error(&case.plan(&transport), &wide(&case.a), &wide(&case.b));
        assert!(measured < 5e-6, "{isa}: {measured:e}");
    }
}

#[test]
fn forbidden_pairs_stay_empty_far_from_the_solution() {
    let case = Case::<f32>::random(5, 19, 0.05, 23).with_zeros().with_forbidden();
    for (isa, method) in isas_and_methods() {
        let solver = Sinkhorn::new(case.epsilon).isa(isa).method(method);
        let far = case.epsilon * 200.0;
        let transport = case.solve(&solver.clone().max_iterations(0).warm_start(vec![far; 5], vec![0.0; 19]));
        for (at, (p, cost)) in case.plan(&transport).iter().zip(&case.cost).enumerate() {
            let with_mass = case.a[at / 19] > 0.0 && case.b[at % 19] > 0.0;
            assert!(if with_mass && cost.is_finite() { *p >= 0.0 } else { *p == 0.0 }, "{isa} {method:?} {at}: {p}");
        }
        assert!(transport.marginal_error() > 1.0, "{isa} {method:?}: {}", transport.marginal_error());
        // And from there the solution is found.
        let transport = case.solve(&solver.max_iterations(10_000).warm_start(vec![far; 5], vec![-far; 19]));
        assert!(transport.converged(), "{isa} {method:?}: {}", transport.marginal_error());
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
fn costs_without_mass_do_not_matter() {
    // The product with log2(e) / epsilon overflows where there is no mass.
    let cost = [0.0, -1e308, 1.0, 1.0, -1e308, 0.0];
    let matrix = MatRef::new(&cost, 2, 3).unwrap();
    for isa in isas() {
        let transport = Sinkhorn::new(0.01).isa(isa).solve(matrix, &[0.5, 0.5], &[0.5, 0.0, 0.5]).unwrap();
        assert!(transport.converged() && transport.cost() < 1e-9, "{isa}: {}", transport.cost());
    }
}
