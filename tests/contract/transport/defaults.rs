//! `Sinkhorn::new(epsilon)` with no other setting solves small problems of every kind, in nearly as
//! few iterations as the best choice of settings, and the dual value never falls on the way.

use super::exact::Exact;
use super::{Case, Num, wide};
use crate::support::{
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::Sinkhorn;
use mantex::transport::{EpsilonScaling, OverRelaxation, Status};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

for_both_types! {
    small_problems_are_solved
    few_iterations_beyond_the_best_settings
    the_dual_value_never_falls
}

/// Integer costs from 0 to 5, 2 to 5 rows and columns, uniform or integer masses, and an epsilon
/// from 0.02 to 0.5.
fn small<T: Num>(seed: u64) -> Case<T> {
    let mut rng = StdRng::seed_from_u64(seed);
    let (n, m) = (rng.random_range(2..=5), rng.random_range(2..=5));
    let cost = (0..n * m).map(|_| T::of(f64::from(rng.random_range(0..=5)))).collect();
    let epsilons = [0.5, 0.2, 0.1, 0.05, 0.02];
    let epsilon = T::of(epsilons[rng.random_range(0..epsilons.len())]).wide();
    let is_uniform = rng.random::<bool>();
    let mut masses = |len: usize| -> Vec<f64> {
        (0..len).map(|_| if is_uniform { 1.0 } else { f64::from(rng.random_range(1..=9)) }).collect()
    };
    let (a, b) = (masses(n), masses(m));
    let mut case = Case { n, m, cost, a: vec![], b: vec![], epsilon };
    case.set_masses(a, b);
    case
}

fn small_problems_are_solved<T: Num>() {
    let default = if T::NAME == "f32" { 1e-4 } else { 1e-6 };
    for seed in 0..if small_cases() { 60 } else { 600 } {
        let case = small::<T>(seed);
        let exact = Exact::solve(&case);
        for isa in isas() {
            let transport = case.solve(&Sinkhorn::new(case.epsilon).isa(isa));
            let error = transport.marginal_error();
            let what = format!("{isa}, seed {seed}, {error:e} after {}: {case:?}", transport.iterations());
            assert!(transport.converged() && error <= default, "{what}");
            exact.check(&case, &transport, &what);
        }
    }
}

fn few_iterations_beyond_the_best_settings<T: Num>() {
    // Problems that no settings solve say nothing.
    let (limit, mut slow) = (2000, Vec::new());
    let problems = if small_cases() { 20 } else { 600 };
    for seed in 0..problems {
        let case = small::<T>(10_000 + seed as u64);
        let relaxations = [1.3, 1.5, 1.7, 1.8, 1.9].map(OverRelaxation::Factor);
        let relaxations = [OverRelaxation::Off].into_iter().chain(relaxations);
        let settings = relaxations.flat_map(|relaxation| {
            [EpsilonScaling::Off, EpsilonScaling::Factor(4.0)].map(|scaling| (relaxation, scaling))
        });
        let solver = Sinkhorn::new(case.epsilon).max_iterations(limit);
        let iterations = |(relaxation, scaling)| {
            let transport = case.solve(&solver.clone().over_relaxation(relaxation).epsilon_scaling(scaling));
            transport.converged().then(|| (transport.iterations(), relaxation, scaling))
        };
        let best = settings.filter_map(iterations).min_by_key(|(iterations, ..)| *iterations);
        let Some((best, relaxation, scaling)) = best else { continue };
        let automatic = case.solve(&solver).iterations();
        assert!(
            automatic <= best + 100,
            "seed {seed}: {automatic}, but {best} by {relaxation:?}, {scaling:?}: {case:?}"
        );
        if automatic > 2 * best + 20 {
            slow.push(format!("{seed}: {automatic} iterations, but {best} by {relaxation:?}, {scaling:?}: {case:?}"));
        }
    }
    // Which settings are the best shows only in the end.
    assert!(slow.len() <= problems / 100, "{} of {problems} are slow:\n{}", slow.len(), slow.join("\n"));
}

/// The objective after every number of iterations, by all iterations of one solve.
fn the_dual_value_never_falls<T: Num>() {
    let rounding = if T::NAME == "f32" { 1e-6 } else { 1e-13 };
    let mut cases: Vec<Case<T>> = (20_000..if small_cases() { 20_004 } else { 20_030 }).map(small).collect();
    cases.push(Case::random(12, 9, 0.01, 20));
    cases.push(Case::random(9, 20, 0.003, 21).with_zeros().with_forbidden());
    for (at, case) in cases.iter().enumerate() {
        for relaxation in [OverRelaxation::Auto, OverRelaxation::Factor(1.9), OverRelaxation::Factor(1.5)] {
            for isa in isas() {
                let solver = Sinkhorn::new(case.epsilon).isa(isa).tolerance(0.0).over_relaxation(relaxation);
                // At another epsilon the objective is another.
                let solver = solver.epsilon_scaling(EpsilonScaling::Off);
                let mut before = f64::NEG_INFINITY;
                for iterations in 1..=60 {
                    let transport = case.solve(&solver.clone().max_iterations(iterations));
                    let dual = transport.objective(case.matrix()).unwrap().dual;
                    let potentials = transport.f().iter().filter(|f| f.is_finite());
                    let size = potentials.fold(case.largest(), |max, f| max.max(f.abs()));
                    let what = format!("{isa} {relaxation:?} case {at}, iteration {iterations}: {case:?}");
                    assert!(dual >= before - rounding * size, "from {before:e} down to {dual:e}, {what}");
                    before = dual;
                }
            }
        }
    }
}

/// Rows that reach only the columns of other rows, with too much mass: no plan exists, whatever the
/// settings.
#[test]
fn every_problem_without_a_plan_ends_as_such() {
    for seed in 0..if small_cases() { 10 } else { 60 } {
        let mut rng = StdRng::seed_from_u64(30_000 + seed);
        let mut case = small::<f64>(40_000 + seed);
        // The first rows may use the first column alone, and have more mass than it takes.
        let rows = rng.random_range(1..case.n);
        for i in 0..rows {
            (1..case.m).for_each(|j| case.cost[i * case.m + j] = f64::INFINITY);
        }
        let excess = wide(&case.a[..rows]).iter().sum::<f64>() - case.b[0];
        for isa in isas() {
            let transport = case.solve(&Sinkhorn::new(case.epsilon).isa(isa));
            let status = transport.status();
            if excess > 1e-3 {
                assert_eq!(status, Status::Infeasible, "{isa} seed {seed}: {case:?}");
                assert!(transport.marginal_error() >= 2.0 * excess - 1e-12, "{isa} seed {seed}");
                assert!(transport.iterations() < 1000, "{isa} seed {seed}");
            } else if excess < -1e-3 {
                assert_eq!(status, Status::Converged, "{isa} seed {seed}: {case:?}");
            }
        }
    }
}
