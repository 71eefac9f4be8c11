//! What `Method::Auto` chooses: Newton's method where iterations are slow, and nothing but
//! iterations elsewhere.

use super::{Case, Num, textbook};
use crate::support::{for_both_types, isas::isas};
use mantex::transport::{EpsilonScaling, Method, OverRelaxation, Status, Transport};
use mantex::{MatRef, Sinkhorn};
use std::ops::ControlFlow;

for_both_types! {
    slow_problems_take_newtons_steps
    settings_that_ask_for_iterations_get_them
    the_default_without_room_iterates
}

/// A tolerance near what the type can reach.
fn tight<T: Num>() -> f64 {
    if T::EPSILON > 1e-10 { 2e-6 } else { 1e-12 }
}

/// Points in the plane, at an epsilon that iterations are slow for.
fn slow<T: Num>() -> Case<T> {
    Case::random(90, 110, 1e-3, 31)
}

/// The potentials up to a constant, in multiples of epsilon.
fn difference<T: Num>(case: &Case<T>, x: &Transport<T>, y: &Transport<T>) -> f64 {
    let level = x.f()[0] - y.f()[0];
    let f = x.f().iter().zip(y.f()).map(|(x, y)| x - y - level);
    let g = x.g().iter().zip(y.g()).map(|(x, y)| x - y + level);
    f.chain(g).fold(0.0, |max, difference| difference.abs().max(max)) / case.epsilon
}

fn slow_problems_take_newtons_steps<T: Num>() {
    let case = slow::<T>();
    for isa in isas() {
        let solver = Sinkhorn::new(case.epsilon).tolerance(tight::<T>()).max_iterations(20_000).isa(isa);
        let iterated = case.solve(&solver.clone().method(Method::Log));
        let mut seen = Vec::new();
        let transport = solver.solve_with_progress(case.matrix(), &case.a, &case.b, |progress| {
            seen.push((progress.iteration, progress.epsilon));
            ControlFlow::Continue(())
        });
        let transport = transport.unwrap();
        let (few, many) = (transport.iterations(), iterated.iterations());
        assert!(transport.converged() && iterated.converged(), "{isa}: {few} and {many}");
        assert!(2 * few < many, "{isa}: {few}, not {many}");
        assert!(difference(&case, &transport, &iterated) < 1e5 * tight::<T>(), "{isa}");
        // The callback sees every step, and can stop before and between them.
        assert!(seen.iter().enumerate().all(|(at, &(iteration, _))| iteration == at + 1), "{isa}: {seen:?}");
        assert_eq!(seen.len(), few, "{isa}");
        for limit in [few / 2, few - 3, few - 2, few - 1] {
            let stopped = solver.solve_with_progress(case.matrix(), &case.a, &case.b, |progress| {
                if progress.iteration == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let stopped = stopped.unwrap();
            assert_eq!((stopped.iterations(), stopped.status()), (limit, Status::Stopped), "{isa}");
            let limited = case.solve(&solver.clone().max_iterations(limit));
            assert_eq!((limited.iterations(), limited.status()), (limit, Status::IterationLimit), "{isa}");
        }
    }
}

/// A tolerance of 0 and a relaxation that is given: as many iterations as in the log domain.
fn settings_that_ask_for_iterations_get_them<T: Num>() {
    let case = slow::<T>();
    let few = |solver: Sinkhorn| solver.epsilon_scaling(EpsilonScaling::Factor(4.0)).max_iterations(100);
    for isa in isas() {
        let solver = few(Sinkhorn::new(case.epsilon).isa(isa));
        for relaxation in [OverRelaxation::Off, OverRelaxation::Factor(1.7)] {
            let solver = solver.clone().over_relaxation(relaxation).tolerance(tight::<T>());
            let [auto, log] = [Method::Auto, Method::Log].map(|method| case.solve(&solver.clone().method(method)));
            let (auto, log) = (auto.marginal_error(), log.marginal_error());
            assert!((auto - log).abs() <= 0.05 * log + 10.0 * T::ENTRY, "{isa} {relaxation:?}: {auto:e}, not {log:e}");
        }
        let [auto, log] = [Method::Auto, Method::Log].map(|method| {
            case.solve(&solver.clone().over_relaxation(OverRelaxation::Auto).tolerance(0.0).method(method))
        });
        assert_eq!((auto.iterations(), log.iterations()), (100, 100), "{isa}");
        assert!(auto.marginal_error() > 10.0 * tight::<T>(), "{isa}: {:e}", auto.marginal_error());
    }
}

fn the_default_without_room_iterates<T: Num>() {
    let case = slow::<T>();
    for isa in isas() {
        let solver = Sinkhorn::new(case.epsilon).tolerance(tight::<T>()).max_iterations(20_000).isa(isa);
        let free = case.solve(&solver);
        let transport = case.solve(&solver.memory_limit(0));
        assert!(transport.converged(), "{isa}: {:e}", transport.marginal_error());
        assert!(transport.iterations() > 2 * free.iterations(), "{isa}: {} iterations", transport.iterations());
    }
}

/// Problems at which the error of an iteration falls like 1 / iterations.
#[test]
fn integer_costs_take_few_reads_by_default() {
    let similarities = [4, 1, 2, 0, 3, 3, 5, 1, 2, 0, 2, 0, 5, 3, 1, 1, 4, 0, 6, 2, 0, 2, 3, 1, 4];
    let five = similarities.map(|similarity| f64::from(6 - similarity)).to_vec();
    for (n, cost, epsilon) in [(2, vec![2.0, 1.0, 1.0, 1.0], 0.01), (5, five, 0.05)] {
        let masses = vec![1.0 / n as f64; n];
        for isa in isas() {
            let solver = Sinkhorn::new(epsilon).tolerance(1e-12).isa(isa);
            let transport = solver.solve(MatRef::new(&cost, n, n).unwrap(), &masses, &masses).unwrap();
            assert!(transport.converged(), "{n} on {isa}: {}", transport.marginal_error());
            assert!(transport.iterations() <= 30, "{n} on {isa}: {}", transport.iterations());
        }
    }
}

/// No plan exists: the default says so, whatever it tries first.
#[test]
fn infeasible_problems_end_as_such() {
    let mut case = Case::<f64>::random(24, 24, 0.01, 5);
    for (at, c) in case.cost.iter_mut().enumerate() {
        *c = if at / 24 < 12 && at % 24 >= 8 { f64::INFINITY } else { *c };
    }
    for isa in isas() {
        let transport = case.solve(&Sinkhorn::new(case.epsilon).tolerance(1e-12).isa(isa));
        assert_eq!(transport.status(), Status::Infeasible, "{isa}");
        let plain = case.solve(&textbook(case.epsilon).tolerance(1e-12).isa(isa));
        assert_eq!(plain.status(), Status::Infeasible, "{isa}");
    }
}
