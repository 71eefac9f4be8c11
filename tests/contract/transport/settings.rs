//! The settings of a solver: starts, limits, progress, and the errors of bad numbers.

use super::{Case, METHODS, textbook};
use crate::support::isas::isas;
use mantex::transport::{EpsilonScaling, Method, OverRelaxation, Status};
use mantex::{Error, MatRef, Sinkhorn};
use std::ops::ControlFlow;

/// Potentials are those of masses with any total, also to start from.
#[test]
fn a_start_may_have_any_total() {
    for total in [1.0 / 64.0, 32.0] {
        let mut case = Case::<f64>::random(7, 9, 0.1, 99);
        case.a.iter_mut().chain(&mut case.b).for_each(|mass| *mass *= total);
        for isa in isas() {
            let solver = Sinkhorn::new(case.epsilon).max_iterations(10_000).tolerance(1e-9).isa(isa);
            let found = case.solve(&solver);
            let (f, g) = (found.f().to_vec(), found.g().to_vec());
            let again = case.solve(&solver.max_iterations(0).warm_start(f, g));
            assert!(found.converged() && again.converged(), "{isa}: {:e}", again.marginal_error());
        }
    }
}

#[test]
fn a_start_must_fit() {
    let case = Case::<f64>::random(6, 8, 0.1, 16).with_zeros();
    let solve = |f: Vec<f64>, g: Vec<f64>| {
        Sinkhorn::new(case.epsilon).warm_start(f, g).solve(case.matrix(), &case.a, &case.b).map(|t| t.converged())
    };
    assert_eq!(solve(vec![0.0; 5], vec![0.0; 8]), Err(Error::LengthMismatch { argument: "f", actual: 5, expected: 6 }));
    assert_eq!(solve(vec![0.0; 6], vec![0.0; 9]), Err(Error::LengthMismatch { argument: "g", actual: 9, expected: 8 }));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        // Rows 1 and 4 and columns 1 and 5 have no mass.
        let with = |n: usize, at: usize| (0..n).map(|i| if i == at { bad } else { 0.0 }).collect::<Vec<_>>();
        let error = solve(with(6, 2), vec![0.0; 8]).unwrap_err();
        assert!(matches!(error, Error::InvalidElement { argument: "f", row: 2, .. }), "{error}");
        let error = solve(vec![0.0; 6], with(8, 6)).unwrap_err();
        assert!(matches!(error, Error::InvalidElement { argument: "g", row: 6, .. }), "{error}");
        assert_eq!(solve(with(6, 1), with(8, 5)), Ok(true));
    }
    assert_eq!(solve(vec![1e300; 6], vec![0.0; 8]).unwrap_err().to_string().split('`').nth(1), Some("epsilon"));
}

/// Without an iteration, nothing but the costs shows that the entries of the plan are infinite.
#[test]
fn exponents_that_overflow_are_an_error() {
    let cost = [-31.0_f32, 5.0, 3.0, 8.0];
    let cost = MatRef::new(&cost, 2, 2).unwrap();
    let mass = [0.5, 0.5];
    for isa in isas() {
        for iterations in [0, 1, 5] {
            let solver =
                Sinkhorn::new(2.4e-38).max_iterations(iterations).warm_start(vec![0.0; 2], vec![0.0; 2]).isa(isa);
            let error = solver.solve(cost, &mass, &mass).unwrap_err();
            assert!(
                matches!(error, Error::InvalidParameter { argument: "epsilon", .. }),
                "{iterations} on {isa}: {error}"
            );
        }
    }
}

#[test]
fn a_run_can_be_watched_and_stopped() {
    let case = Case::<f64>::random(20, 30, 0.05, 17);
    // Newton's method reports the errors of what it tries.
    for &method in &METHODS[..3] {
        let solver = textbook(case.epsilon).method(method).tolerance(1e-9).max_iterations(10_000);
        let mut seen = Vec::new();
        let whole = solver
            .solve_with_progress(case.matrix(), &case.a, &case.b, |progress| {
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
                .solve_with_progress(case.matrix(), &case.a, &case.b, |_| {
                    left -= 1;
                    if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .unwrap();
            assert_eq!((stopped.iterations(), stopped.converged()), (at - 1, at == seen.len()), "{method:?}");
            let status = if at == seen.len() { Status::Converged } else { Status::Stopped };
            assert_eq!(stopped.status(), status, "{method:?}");
            let (told, measured) = (seen[at - 1].1, stopped.marginal_error());
            assert!((told - measured).abs() <= 1e-12 + 1e-9 * measured, "{method:?} {at}: {told:e} {measured:e}");
        }
    }
    // Also in the first stage of a schedule.
    let stopped = Sinkhorn::new(case.epsilon).epsilon_scaling(EpsilonScaling::Factor(2.0));
    let stopped = stopped.solve_with_progress(case.matrix(), &case.a, &case.b, |_| ControlFlow::Break(())).unwrap();
    assert_eq!((stopped.iterations(), stopped.status()), (1, Status::Stopped));
}

#[test]
fn absurd_settings_come_to_an_end() {
    let case = Case::<f64>::random(3, 4, 0.01, 20);
    // As good as no fall of epsilon at all, and a tolerance that is infinite relative to the
    // masses.
    let solver = Sinkhorn::new(case.epsilon).max_iterations(5).tolerance(0.0);
    for method in METHODS {
        let transport =
            case.solve(&solver.clone().method(method).epsilon_scaling(EpsilonScaling::Factor(1.0 + f64::EPSILON)));
        assert_eq!(transport.iterations(), 5);
        let halves = |masses: &[f64]| masses.iter().map(|m| m / 2.0).collect::<Vec<_>>();
        let (a, b) = (halves(&case.a), halves(&case.b));
        let solver = Sinkhorn::new(1.0).method(method).tolerance(f64::MAX).warm_start(vec![1e4; 3], vec![0.0; 4]);
        let transport = solver.solve(case.matrix(), &a, &b).unwrap();
        assert!(transport.converged(), "{method:?}");
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
    let argument = |solver: Sinkhorn| match solver.solve(case.matrix(), &case.a, &case.b) {
        Err(Error::InvalidParameter { argument, .. }) => argument,
        other => panic!("{other:?}"),
    };
    for bad in [0.0, -1.0, 2.0, f64::NAN, f64::INFINITY] {
        let solver = Sinkhorn::new(case.epsilon).over_relaxation(OverRelaxation::Factor(bad));
        assert_eq!(argument(solver), "over_relaxation");
    }
    for bad in [1.0, 0.5, f64::NAN, f64::INFINITY] {
        assert_eq!(
            argument(Sinkhorn::new(case.epsilon).epsilon_scaling(EpsilonScaling::Factor(bad))),
            "epsilon_scaling"
        );
    }
}

#[test]
fn methods_have_names() {
    for (method, name) in METHODS.into_iter().zip(["log", "scaling", "auto", "newton"]) {
        assert_eq!(
            (method.to_string(), name.parse(), name.to_uppercase().parse()),
            (name.into(), Ok(method), Ok(method))
        );
    }
    let error = "gauss".parse::<Method>().unwrap_err();
    assert_eq!(error.to_string(), "`method` is \"gauss\"; it must be log, scaling, newton or auto");
}

#[test]
fn iterations_are_counted() {
    let case = Case::<f64>::random(8, 8, 0.5, 51);
    for n in [0, 1, 2, 500] {
        let transport = case.solve(&Sinkhorn::new(case.epsilon).tolerance(0.0).max_iterations(n));
        assert_eq!(transport.iterations(), n);
    }
    let early = case.solve(&Sinkhorn::new(case.epsilon).max_iterations(1));
    assert!(early.status() == Status::IterationLimit && early.marginal_error() > 1e-6);
    // One pair: right at once, and still exactly as many iterations as asked for.
    let one = [3.0_f64];
    let transport = Sinkhorn::new(0.1).tolerance(0.0).max_iterations(4);
    let transport = transport.solve(MatRef::new(&one, 1, 1).unwrap(), &[1.0], &[1.0]).unwrap();
    assert_eq!(transport.iterations(), 4);
    assert!(transport.marginal_error() < 1e-13 && (transport.cost() - 3.0).abs() < 1e-13);
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
                    let Error::InvalidElement { argument: "cost", row, col, value, .. } = error else {
                        panic!("{error}")
                    };
                    assert_eq!((row, col, value.is_nan()), (at / m, at % m, bad.is_nan()), "{isa}");
                }
            }
        }
    }
}
