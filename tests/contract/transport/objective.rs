//! The values of the objective and its gap, against their definitions.

use super::{Case, Num, negative_entropy, primal, reference, rounded, textbook, wide};
use crate::support::{for_both_types, isas::isas};
use mantex::{Isa, Sinkhorn};

for_both_types! {
    values_are_those_of_their_definitions
    the_optimum_lies_in_the_gap
}

/// The values of the objective as their definitions say, from the potentials and plan of the
/// reference.
#[track_caller]
fn check_objective<T: Num>(case: &Case<T>, iterations: usize) {
    let expected = reference(case, iterations);
    let (cost, a, mut b) = (wide(&case.cost), wide(&case.a), wide(&case.b));
    let total: f64 = a.iter().sum();
    let level = total / b.iter().sum::<f64>();
    b.iter_mut().for_each(|b| *b *= level);
    let epsilon = case.epsilon;
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
        let solver = textbook(case.epsilon).max_iterations(iterations).tolerance(0.0).isa(isa);
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

fn values_are_those_of_their_definitions<T: Num>() {
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

fn the_optimum_lies_in_the_gap<T: Num>() {
    // The totals of f32 masses differ, and so do the totals that an f32 solver ends with.
    let rounding = if T::NAME == "f32" { 1e6 } else { 1.0 };
    for (n, m, epsilon) in [(9, 14, 0.3), (15, 8, 0.03)] {
        let case = Case::<T>::random(n, m, epsilon, 97).with_zeros();
        let objective = |iterations: usize, isa: Isa| {
            let solver = Sinkhorn::new(case.epsilon).tolerance(0.0).max_iterations(iterations).isa(isa);
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

#[test]
fn the_gap_closes_with_forbidden_pairs() {
    let case = Case::<f64>::random(6, 9, 1.0, 98).with_zeros().with_forbidden();
    for isa in isas() {
        let solver = Sinkhorn::new(case.epsilon).tolerance(0.0).max_iterations(3000).isa(isa);
        let gap = case.solve(&solver).objective(case.matrix()).unwrap().gap;
        assert!(gap < 1e-12, "{isa}: {gap:e}");
    }
}
