//! Random ill-conditioned problems, judged by the solver's promises: its marginals are those of its
//! plan, the plan is that of its potentials, and no plan or potentials of the textbook iteration
//! contradict its bounds of the optimum.

use super::{Case, Num, isas_and_methods, marginal_error, primal, reference, rounded, wide};
use crate::support::{for_both_types, isas::small_cases};
use mantex::transport::{OverRelaxation, Transport};
use mantex::{Error, Sinkhorn};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

for_both_types! {
    hard_problems
}

const CASES: u64 = 300;

/// Costs over ten orders of magnitude, tiny epsilons, nearly no mass or all of it in one place,
/// equal rows, forbidden pairs, a single row or column: each of these in some of the cases.
fn random<T: Num>(seed: u64) -> Case<T> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut side = |alone: u32| if rng.random_ratio(alone, 8) { 1 } else { rng.random_range(2..12) };
    let (n, m) = (side(1), side(1));
    let wide_range = rng.random::<bool>();
    let mut cost: Vec<f64> = (0..n * m)
        .map(|_| if wide_range { 10.0_f64.powf(rng.random_range(-5.0..5.0)) } else { rng.random_range(0.0..1.0) })
        .collect();
    if rng.random_ratio(1, 3) {
        for i in 1..n {
            let copied = rng.random_range(0..i);
            cost.copy_within(copied * m..(copied + 1) * m, i * m);
        }
    }
    let largest = cost.iter().fold(0.0, |max: f64, &c| max.max(c));
    if rng.random_ratio(1, 3) {
        // Not in the first row and column, so that each has a partner.
        for at in (0..n * m).filter(|at| at / m > 0 && at % m > 0) {
            cost[at] = if rng.random_ratio(1, 4) { f64::INFINITY } else { cost[at] };
        }
    }
    let masses = |len: usize, rng: &mut StdRng| -> Vec<f64> {
        let kind = rng.random_range(0..4);
        let one = rng.random_range(0..len);
        let mass = |i: usize, rng: &mut StdRng| match kind {
            0 => f64::from(i == one),
            1 if i != one && rng.random::<bool>() => 1e-30,
            2 if i != one && rng.random::<bool>() => 0.0,
            _ => rng.random_range(0.01..1.0),
        };
        (0..len).map(|i| mass(i, rng)).collect()
    };
    let epsilon = T::of(largest * 10.0_f64.powf(rng.random_range(-6.0..0.5))).wide();
    let cost = cost.iter().map(|&c| T::of(c)).collect();
    let mut case = Case { n, m, cost, a: vec![], b: vec![], epsilon };
    let (a, b) = (masses(n, &mut rng), masses(m, &mut rng));
    case.set_masses(a, b);
    case
}

/// The sum of the products with what has mass.
fn inner(x: &[f64], mass: &[f64]) -> f64 {
    x.iter().zip(mass).filter(|(_, mass)| **mass > 0.0).map(|(x, mass)| x * mass).sum()
}

/// Lower and upper bound of the optimum, by weak duality, from the textbook iteration; and the size
/// of their terms.
fn bounds<T: Num>(case: &Case<T>, iterations: usize) -> (f64, f64, f64) {
    let r = reference(case, iterations);
    let (cost, a, mut b) = (wide(&case.cost), wide(&case.a), wide(&case.b));
    // Totals of masses in f32 differ by their rounding: the bounds are of masses with one total, as
    // those of the crate.
    let level = a.iter().sum::<f64>() / b.iter().sum::<f64>();
    b.iter_mut().for_each(|b| *b *= level);
    let epsilon = case.epsilon;
    let dual = inner(&r.f, &a) + inner(&r.g, &b) - epsilon * r.plan.iter().sum::<f64>();
    let sizes = |x: &[f64]| x.iter().map(|x| x.abs()).collect::<Vec<f64>>();
    let size = inner(&sizes(&r.f), &a) + inner(&sizes(&r.g), &b) + epsilon * (1.0 + ((case.n * case.m) as f64).ln());
    let feasible = rounded(&r.plan, &a, &b);
    (dual, primal(&feasible, &cost, epsilon), size + case.largest())
}

/// Whether a row or column has mass, but all its partners with mass are forbidden.
fn is_infeasible<T: Num>(case: &Case<T>) -> bool {
    let (cost, a, b) = (wide(&case.cost), wide(&case.a), wide(&case.b));
    let allowed = |i: usize, j: usize| cost[i * case.m + j].is_finite() && a[i] > 0.0 && b[j] > 0.0;
    let lonely_row = (0..case.n).any(|i| a[i] > 0.0 && !(0..case.m).any(|j| allowed(i, j)));
    lonely_row || (0..case.m).any(|j| b[j] > 0.0 && !(0..case.n).any(|i| allowed(i, j)))
}

/// Checks one solution. Returns whether it had converged.
fn check_solution<T: Num>(
    case: &Case<T>,
    transport: &Transport<T>,
    (low, high, size): (f64, f64, f64),
    what: &str,
) -> bool {
    let (plan, epsilon) = (case.plan(transport), case.epsilon);
    let (f, g) = (transport.f(), transport.g());
    for (potential, mass) in f.iter().zip(&case.a).chain(g.iter().zip(&case.b)) {
        let fits = if mass.wide() > 0.0 { potential.is_finite() } else { *potential == f64::NEG_INFINITY };
        assert!(fits, "{what}: potential {potential} of mass {}", mass.wide());
    }
    // Of an entry: what is documented, and five roundings of f, g and cost relative to epsilon.
    let spread = f.iter().chain(g).filter(|x| x.is_finite()).fold(case.largest(), |max, x| max.max(x.abs()));
    let entry = T::ENTRY + 5.0 * f64::EPSILON * spread / epsilon;
    for (at, &p) in plan.iter().enumerate() {
        let y = (f[at / case.m] + g[at % case.m] - case.cost[at].wide()) / epsilon;
        // An epsilon that is off by 1e-7, as f32 has it, changes the exponent by that.
        let expected = y.exp();
        let of_epsilon = if T::ENTRY > 1e-7 { 1e-7 * y.abs().min(1e3) } else { 0.0 };
        let tolerance = (entry + of_epsilon) * expected + 1e-36; // The smallest f32 may be flushed to 0.
        assert!(expected.is_nan() && p == 0.0 || (p - expected).abs() <= tolerance, "{what}: {p:e}, not {expected:e}");
    }
    let mass: f64 = plan.iter().sum();
    let measured = marginal_error(&plan, &wide(&case.a), &wide(&case.b));
    let told = transport.marginal_error();
    assert!((told - measured).abs() <= 2.0 * entry * (1.0 + mass), "{what}: {told:e}, not {measured:e}");
    if transport.converged() {
        let tolerance = if T::ENTRY > 1e-7 { 1e-4 } else { 1e-6 }; // The default.
        assert!(told <= tolerance * (1.0 + 1e-7), "{what}: {told:e}");
    }
    let objective = transport.objective(case.matrix()).unwrap();
    // Rounding of all terms; and where epsilon is off by 1e-7, the optimum is by that times its
    // entropy.
    let rounding = 1e-12 * (size + spread) + if T::ENTRY > 1e-7 { 1e-7 * epsilon * 10.0 } else { 0.0 };
    assert!(objective.gap >= 0.0, "{what}: {objective:?}");
    assert!(objective.dual <= high + rounding, "{what}: {:e} is above a plan's {high:e}", objective.dual);
    let bound = objective.dual + objective.gap;
    assert!(low <= bound + rounding, "{what}: {bound:e} is below potentials' {low:e}");
    transport.converged()
}

fn hard_problems<T: Num>() {
    let (mut converged, mut solved, mut refused) = (0, 0, 0);
    for seed in (0..CASES).step_by(if small_cases() { 15 } else { 1 }) {
        let case = random::<T>(seed);
        let (bounds, infeasible) = (bounds(&case, 200), is_infeasible(&case));
        let relaxation = if seed % 2 == 0 { OverRelaxation::Off } else { OverRelaxation::Auto };
        for (isa, method) in isas_and_methods() {
            let solver =
                Sinkhorn::new(case.epsilon).max_iterations(400).over_relaxation(relaxation).isa(isa).method(method);
            let what = format!("{isa} {method:?}, seed {seed}, {} x {}", case.n, case.m);
            match solver.solve(case.matrix(), &case.a, &case.b) {
                Ok(transport) => {
                    assert!(!infeasible, "{what}: solved");
                    converged += usize::from(check_solution(&case, &transport, bounds, &what));
                    solved += 1;
                }
                Err(error) => {
                    assert!(infeasible && matches!(error, Error::Infeasible { .. }), "{what}: {error}");
                    refused += 1;
                }
            }
        }
    }
    println!("{solved} solved, {converged} of them converged; {refused} refused");
    assert!(3 * converged > solved && 4 * refused < solved, "{converged} of {solved} converged, {refused} refused");
}
