//! Why a solve ended.

use super::{Case, METHODS, Num};
use crate::support::{for_both_types, isas::isas};
use mantex::transport::{EpsilonScaling, OverRelaxation, Status};
use mantex::{MatRef, Sinkhorn};
use std::ops::ControlFlow;

for_both_types! {
    every_end_has_its_status
}

#[test]
fn states_have_names() {
    let states = [Status::Converged, Status::IterationLimit, Status::Stagnated, Status::Infeasible, Status::Stopped];
    let names = ["converged", "iteration limit", "stagnated", "infeasible", "stopped"];
    assert_eq!(states.map(|status| status.to_string()), names);
    assert_eq!(format!("{:>10}", Status::Stopped), "   stopped");
}

fn every_end_has_its_status<T: Num>() {
    let case = Case::<T>::random(12, 17, 0.02, 41);
    let relaxations = [OverRelaxation::Auto, OverRelaxation::Off, OverRelaxation::Factor(1.7)];
    let scalings = [EpsilonScaling::Auto, EpsilonScaling::Off, EpsilonScaling::Factor(3.0)];
    let settings = relaxations.into_iter().flat_map(|relaxation| scalings.map(|scaling| (relaxation, scaling)));
    for (relaxation, scaling) in settings {
        for (isa, method) in isas().into_iter().flat_map(|isa| METHODS.map(|method| (isa, method))) {
            let what = format!("{isa} {method:?} {relaxation:?} {scaling:?}");
            let solver = Sinkhorn::new(case.epsilon).isa(isa).method(method).max_iterations(20_000);
            let solver = solver.over_relaxation(relaxation).epsilon_scaling(scaling);
            let whole = case.solve(&solver);
            assert_eq!((whole.status(), whole.converged()), (Status::Converged, true), "{what}");
            let limited = case.solve(&solver.clone().max_iterations(3));
            assert_eq!((limited.status(), limited.iterations()), (Status::IterationLimit, 3), "{what}");
            assert!(!limited.converged(), "{what}");
            for last in [1, 3, whole.iterations() / 2] {
                let mut told = 0;
                let stopped = solver.solve_with_progress(case.matrix(), &case.a, &case.b, |progress| {
                    told = progress.iteration;
                    if told == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                let stopped = stopped.unwrap();
                assert_eq!((stopped.status(), stopped.iterations()), (Status::Stopped, last), "{what}");
                assert_eq!(told, last, "{what}");
            }
        }
    }
}

/// Errors far below what the rounding of `f32` costs permits.
#[test]
fn f32_stagnates() {
    let case = Case::<f32>::random(30, 40, 0.05, 42);
    for (isa, method) in isas().into_iter().flat_map(|isa| METHODS.map(|method| (isa, method))) {
        let transport = case.solve(&Sinkhorn::new(case.epsilon).isa(isa).method(method).tolerance(1e-9));
        let what = format!("{isa} {method:?}: {:e} after {}", transport.marginal_error(), transport.iterations());
        assert_eq!(transport.status(), Status::Stagnated, "{what}");
        // Near what rounding leaves, and long before the limit.
        assert!(transport.marginal_error() <= 4e-6 && transport.iterations() < 900, "{what}");
    }
}

/// Iterations may report an error of 0 where the measured error is that of rounding.
#[test]
fn f64_stagnates() {
    let cost = MatRef::new(&[0.0, 1.0, 1.0, 0.0], 2, 2).unwrap();
    for (isa, method) in isas().into_iter().flat_map(|isa| METHODS.map(|method| (isa, method))) {
        for b in [[0.5, 0.5], [0.3, 0.7]] {
            let transport = Sinkhorn::new(0.1).isa(isa).method(method).tolerance(1e-17).solve(cost, &[0.5, 0.5], &b);
            let transport = transport.unwrap();
            let what = format!("{isa} {method:?}: {:e} after {}", transport.marginal_error(), transport.iterations());
            // The error may also be 0.
            let is_end = transport.status() == Status::Stagnated || transport.converged();
            assert!(is_end && transport.iterations() < 500, "{what}: {}", transport.status());
            assert!(transport.marginal_error() <= 1e-13, "{what}");
        }
    }
}

/// Problems of a batch have a status each.
#[test]
fn problems_of_a_batch_have_a_status_each() {
    const INF: f64 = f64::INFINITY;
    // The first two rows may use the first column alone.
    let cost = [0.0, INF, INF, 1.0, INF, INF, 0.5, 1.0, 0.0];
    let a = [0.25, 0.25, 0.5, 0.1, 0.1, 0.8];
    let b = [0.25, 0.25, 0.5, 0.5, 0.25, 0.25];
    let [a, b] = [&a, &b].map(|masses| MatRef::new(masses, 2, 3).unwrap());
    for isa in isas() {
        for relaxation in [OverRelaxation::Auto, OverRelaxation::Factor(1.5)] {
            let solver = Sinkhorn::new(0.1).isa(isa).over_relaxation(relaxation);
            let batch = solver.solve_batch(MatRef::new(&cost, 3, 3).unwrap(), a, b).unwrap();
            assert_eq!(
                [0, 1].map(|p| batch.status(p)),
                [Status::Infeasible, Status::Converged],
                "{isa} {relaxation:?}"
            );
            assert_eq!([0, 1].map(|p| batch.converged(p)), [false, true], "{isa} {relaxation:?}");
            assert!(batch.marginal_error(0) >= 0.5 - 1e-9, "{isa}: {}", batch.marginal_error(0));
        }
    }
}
