//! Random problems with extreme numbers that shrink to small ones.

use super::{Case, Num, extreme, marginal_error};
use crate::support::isas::{isas, small_cases};
use mantex::Sinkhorn;
use proptest::prelude::*;

/// Finite potentials wherever there is mass, and a number for the error; or an Error.
fn sound<T: Num>(case: &Case<T>) -> Result<(), TestCaseError> {
    for isa in isas() {
        let solver = Sinkhorn::new(case.epsilon).max_iterations(20).isa(isa);
        let Ok(transport) = solver.solve(case.matrix(), &case.a, &case.b) else { continue };
        for (potential, mass) in transport.f().iter().zip(&case.a).chain(transport.g().iter().zip(&case.b)) {
            let expected = mass.wide() > 0.0;
            prop_assert_eq!(potential.is_finite(), expected, "{} {}", isa, potential);
        }
        prop_assert!(transport.marginal_error() >= 0.0, "{} {}", isa, transport.marginal_error());
        prop_assert!(!transport.cost().is_nan());
        prop_assert!(case.plan(&transport).iter().all(|&p| p >= 0.0));
        let objective = transport.objective(case.matrix()).unwrap();
        prop_assert!(objective.gap >= 0.0 && !objective.primal.is_nan() && !objective.dual.is_nan(), "{objective:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if small_cases() { 64 } else { 512 },
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
        sound(&Case { n, m, cost: single(&case.cost), a: single(&case.a), b: single(&case.b), epsilon: f64::from(epsilon as f32) })?;
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
