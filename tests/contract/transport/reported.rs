//! Problems that users of other solvers reported, with the right values in high precision. All run
//! with the default settings.

use super::exact::Exact;
use super::{Case, METHODS, Num};
use crate::support::{
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::Sinkhorn;
use mantex::transport::{EpsilonScaling, Method, OverRelaxation, Status, Transport};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

for_both_types! {
    sentinel_costs
    padding_without_mass
    two_rows_and_three_columns
    two_equal_halves
    a_permutation
    masses_below_the_normal_range
    distances_on_a_line
    two_rows_and_two_columns
    no_plan
    tolerance_of_0
    costs_of_three_values
}

const INF: f64 = f64::INFINITY;

/// A problem from its rows of costs.
fn case<T: Num>(cost: &[&[f64]], (a, b): (&[f64], &[f64]), epsilon: f64) -> Case<T> {
    let of = |x: &[f64]| x.iter().map(|&x| T::of(x)).collect::<Vec<T>>();
    let epsilon = T::of(epsilon).wide();
    Case { n: a.len(), m: b.len(), cost: of(&cost.concat()), a: of(a), b: of(b), epsilon }
}

/// Solves a problem with the default settings, which must converge.
#[track_caller]
fn solved<T: Num>(case: &Case<T>, solver: &Sinkhorn) -> Transport<T> {
    let transport = case.solve(solver);
    let what = format!("{:e} after {}", transport.marginal_error(), transport.iterations());
    assert!(transport.converged(), "{}: {what}, {case:?}", transport.status());
    transport
}

/// Fails unless the value is right within what the type's rounding of costs of this size and the
/// marginal error explain. Moved mass moves along a path of at most one pair fewer than there are
/// rows and columns.
#[track_caller]
fn assert_cost<T: Num>(case: &Case<T>, transport: &Transport<T>, largest: f64, expected: f64) {
    let moved = 0.5 * transport.marginal_error() * (case.n + case.m - 1) as f64;
    let allowed = (moved + T::ENTRY) * largest;
    let cost = transport.cost();
    assert!((cost - expected).abs() <= allowed, "cost {cost:.12}, not {expected:.12} +- {allowed:e}");
}

/// POT #229.
fn sentinel_costs<T: Num>() {
    let masses = [0.125, 0.125, 0.125, 0.125, 0.5];
    for sentinel in [1e32, 1e12, 1e10] {
        let (s, h) = (sentinel, sentinel / 4.0);
        let cost: [&[f64]; 5] = [
            &[250.275352, 374.653218, 2413.52736, s, 1.5175154e-3],
            &[213.08203, 328.812836, 2294.87946, s, 0.1371098],
            &[197.333083, 309.175848, 2242.5055, s, 2.46506283],
            &[s, s, s, 5.26223432, h],
            &[38.4690152, 80.9465684, 333.064175, h, 0.0],
        ];
        for (epsilon, expected, dual) in [
            (10.0, 57.5432141357, 26.7487947306),
            (1.0, 57.5432103832, 54.4637688415),
            (0.1, 57.5432103832, 57.235266229),
        ] {
            let case = case::<T>(&cost, (&masses, &masses), epsilon);
            for isa in isas() {
                let solver = Sinkhorn::new(epsilon).isa(isa);
                let transport = solved(&case, &solver);
                assert_cost(&case, &transport, 2413.6, expected);
                let tight = solved(&case, &solver.tolerance(if T::NAME == "f32" { 4e-6 } else { 1e-11 }));
                assert_cost(&case, &tight, 2413.6, expected);
                // Its error is of second order.
                let value = tight.objective(case.matrix()).unwrap().dual;
                let allowed = 2413.6 * T::ENTRY.max(1e-12);
                assert!((value - dual).abs() <= allowed, "{isa} {epsilon}: dual {value:.12}, not {dual:.12}");
            }
        }
    }
}

/// OTT #185.
fn padding_without_mass<T: Num>() {
    let b = [0.25, 0.5, 0.25, 0.0];
    let alone = case::<T>(&[&[0.0, 1.0, 4.0], &[1.0, 0.0, 1.0]], (&[0.5; 2], &b[..3]), 0.01);
    for padding in [1e30, 1e10] {
        let case = case::<T>(&[&[0.0, 1.0, 4.0, padding], &[1.0, 0.0, 1.0, padding]], (&[0.5; 2], &b), 0.01);
        for isa in isas() {
            let solver = Sinkhorn::new(case.epsilon).isa(isa);
            let (transport, alone) = (solved(&case, &solver), solved(&alone, &solver));
            assert_cost(&case, &transport, 4.0, 0.5);
            assert_eq!(transport.iterations(), alone.iterations(), "{isa} {padding:e}");
            assert!((transport.cost() - alone.cost()).abs() <= T::ENTRY, "{isa} {padding:e}");
        }
    }
}

/// OTT pull requests 155 and 194.
fn two_rows_and_three_columns<T: Num>() {
    let case = case::<T>(&[&[1.0, 2.0, 3.0], &[2.0, 1.0, 1.0]], (&[0.5; 2], &[1.0 / 3.0; 3]), 0.05);
    for isa in isas() {
        let transport = solved(&case, &Sinkhorn::new(case.epsilon).isa(isa).tolerance(1e-6));
        assert!(transport.iterations() <= 60, "{isa}: {}", transport.iterations());
        assert_cost(&case, &transport, 3.0, 1.16666666735);
        let dual = transport.objective(case.matrix()).unwrap().dual;
        assert!((dual - 1.05018359919).abs() <= 1e-9 + T::ENTRY, "{isa}: dual {dual:.12}");
    }
}

/// POT #345. No tolerance sees how mass is divided between the two tiny entries: the last step of
/// their block makes them right.
fn two_equal_halves<T: Num>() {
    let cost: [&[f64]; 2] = [&[2.0, 1.0], &[1.0, 1.0]];
    for (epsilon, expected, entry) in [(0.1, 1.00334642546, 0.00334642546), (0.01, 1.0, 9.64374923982e-23)] {
        let case = case::<T>(&cost, (&[0.5; 2], &[0.5; 2]), epsilon);
        for (isa, method) in isas().into_iter().flat_map(|isa| [(isa, Method::Auto), (isa, Method::Newton)]) {
            let solver = Sinkhorn::new(case.epsilon).isa(isa).method(method);
            let transport = solved(&case, &solver);
            assert_cost(&case, &transport, 2.0, expected);
            let tolerance = if size_of::<T>() == 4 { 1e-6 } else { 1e-12 };
            let longer = solved(&case, &solver.tolerance(tolerance));
            for (transport, allowed) in [(transport, 1e-3), (longer, 1e-9 + 20.0 * tolerance + 100.0 * T::ENTRY)] {
                let plan = case.plan(&transport);
                for p in [plan[0], plan[3]] {
                    assert!((p / entry).ln().abs() <= allowed, "{isa} {method} {epsilon}: {p:e}, not {entry:e}");
                }
            }
        }
    }
}

/// pygmtools #100.
fn a_permutation<T: Num>() {
    let gains = [
        [130.0, 55.0, 355.0, 280.0, 205.0],
        [330.0, 130.0, 930.0, 730.0, 530.0],
        [530.0, 205.0, 1505.0, 1180.0, 855.0],
        [730.0, 280.0, 2080.0, 1630.0, 1180.0],
        [930.0, 355.0, 2655.0, 2080.0, 1505.0],
    ];
    let cost = gains.map(|row| row.map(|gain: f64| -gain));
    let case = case::<T>(&cost.each_ref().map(|row| &row[..]), (&[0.2; 5], &[0.2; 5]), 1.0);
    for isa in isas() {
        let transport = solved(&case, &Sinkhorn::new(1.0).isa(isa));
        assert_cost(&case, &transport, 2655.0, -1105.0);
        for (at, p) in case.plan(&transport).iter().enumerate() {
            let expected = if [1, 0, 4, 3, 2][at / 5] == at % 5 { 0.2 } else { 0.0 };
            let allowed = 0.5 * transport.marginal_error() + T::ENTRY;
            assert!((p - expected).abs() <= allowed, "{isa}: {p} at {at}");
        }
    }
}

/// POT #342 and #190: masses that were `f32` once. b counts scaled to the total of a.
#[test]
fn masses_that_were_f32() {
    let tenth = f64::from(0.2_f32);
    for (a, b) in [(tenth, 0.2), (0.2, tenth)] {
        let mut case = Case::<f64>::random(5, 5, 0.1, 342);
        (case.a, case.b) = (vec![a; 5], vec![b; 5]);
        for isa in isas() {
            let transport = solved(&case, &Sinkhorn::new(case.epsilon).tolerance(1e-9).isa(isa));
            let plan = case.plan(&transport);
            // Every row sum is the mass itself, and so is every column sum.
            let rows = plan.chunks(5).map(|row| row.iter().sum::<f64>());
            for sum in rows.chain((0..5).map(|j| plan.iter().skip(j).step_by(5).sum())) {
                assert!((sum - a).abs() <= 1e-9, "{isa}: {sum} for {a}");
            }
        }
    }
}

/// Found beside POT #126.
fn masses_below_the_normal_range<T: Num>() {
    let cost: [&[f64]; 2] = [&[0.0, 1.0], &[1.0, 0.0]];
    let ordinary = case::<T>(&cost, (&[1.0, 3.0], &[2.0, 2.0]), 0.1);
    let tiny = case::<T>(&cost, (&[1e-40, 3e-40], &[2e-40, 2e-40]), 0.1);
    // Subnormal masses have fewer digits.
    let rounding = if T::NAME == "f32" { 1e-5 } else { 1e-12 };
    for isa in isas() {
        let solver = Sinkhorn::new(ordinary.epsilon).isa(isa).tolerance(if T::NAME == "f32" { 4e-6 } else { 1e-12 });
        let [ordinary, tiny] = [&ordinary, &tiny].map(|case| solved(case, &solver));
        let (cost, expected) = (tiny.cost() / 1e-40, ordinary.cost());
        assert!((cost / expected - 1.0).abs() <= 4.0 * rounding, "{isa}: {cost}, not {expected}");
        let level = 0.1 * 1e-40_f64.ln();
        for i in 0..2 {
            for j in 0..2 {
                let sum = |t: &Transport<T>| t.f()[i] + t.g()[j];
                let difference = sum(&tiny) - sum(&ordinary) - level;
                assert!(difference.abs() <= 4.0 * rounding, "{isa}: {difference:e} at {i}, {j}");
            }
        }
    }
}

fn distances_on_a_line<T: Num>() {
    let cost: Vec<Vec<f64>> = (0..8).map(|i| (0..8).map(|j| f64::from(i - j).abs() / 8.0).collect()).collect();
    let rows: Vec<&[f64]> = cost.iter().map(|row| &row[..]).collect();
    let case = case::<T>(&rows, (&[0.125; 8], &[0.125; 8]), 0.01);
    let exact = Exact::solve(&case);
    for isa in isas() {
        let transport = solved(&case, &Sinkhorn::new(case.epsilon).isa(isa));
        assert!((2..=4).contains(&transport.iterations()), "{isa}: {}", transport.iterations());
        exact.check(&case, &transport, isa.name());
    }
}

fn two_rows_and_two_columns<T: Num>() {
    let (a, b) = ([8.0 / 15.0, 7.0 / 15.0], [8.0 / 17.0, 9.0 / 17.0]);
    let case = case::<T>(&[&[2.0, 2.0], &[0.0, 2.0]], (&a, &b), 0.01);
    let exact = Exact::solve(&case);
    for isa in isas() {
        let tolerance = if T::NAME == "f32" { 4e-6 } else { 1e-6 };
        let transport = solved(&case, &Sinkhorn::new(case.epsilon).isa(isa).tolerance(tolerance));
        assert!(transport.iterations() <= 100, "{isa}: {}", transport.iterations());
        exact.check(&case, &transport, isa.name());
    }
}

/// scipy #6900: two rows may use the same column only. The least possible error is 2/3.
fn no_plan<T: Num>() {
    let thirds = [1.0 / 3.0; 3];
    let cost: [&[f64]; 3] = [&[INF, 1.0, INF], &[INF, 3.0, INF], &[2.0, INF, 3.0]];
    for epsilon in [1.0, 0.05] {
        let case = case::<T>(&cost, (&thirds, &thirds), epsilon);
        for (isa, method) in isas().into_iter().flat_map(|isa| METHODS.map(|method| (isa, method))) {
            for relaxation in [OverRelaxation::Auto, OverRelaxation::Off, OverRelaxation::Factor(1.9)] {
                for scaling in [EpsilonScaling::Auto, EpsilonScaling::Off, EpsilonScaling::Factor(4.0)] {
                    let solver = Sinkhorn::new(case.epsilon).isa(isa).method(method);
                    let transport = case.solve(&solver.over_relaxation(relaxation).epsilon_scaling(scaling));
                    let (status, error) = (transport.status(), transport.marginal_error());
                    let what = format!("{isa} {method:?} {relaxation:?} {scaling:?} epsilon {epsilon}");
                    assert_eq!(status, Status::Infeasible, "{what}: {error} after {}", transport.iterations());
                    assert!((2.0 / 3.0 - 1e-6..=2.0 + 1e-6).contains(&error), "{what}: {error}");
                    assert!(transport.iterations() < 1000 && !transport.converged(), "{what}");
                    assert!(transport.f().iter().chain(transport.g()).all(|x| x.is_finite()), "{what}");
                }
            }
        }
    }
}

/// OTT #375.
fn tolerance_of_0<T: Num>() {
    let easy = Case::<T>::random(9, 7, 0.5, 375);
    let hard = Case::<T>::random(9, 7, 1e-3, 375);
    for isa in isas() {
        let solve =
            |case: &Case<T>, n| case.solve(&Sinkhorn::new(case.epsilon).tolerance(0.0).max_iterations(n).isa(isa));
        let transport = solve(&easy, 50);
        assert!(transport.converged() && transport.status() == Status::Converged, "{isa}");
        assert_eq!(transport.iterations(), 50, "{isa}");
        let transport = solve(&hard, 5);
        assert!(!transport.converged() && transport.status() == Status::IterationLimit, "{isa}");
        let batch = |case: &Case<T>, n| {
            let [a, b] = [&case.a, &case.b].map(|masses| mantex::MatRef::new(masses, 1, masses.len()).unwrap());
            Sinkhorn::new(case.epsilon).tolerance(0.0).max_iterations(n).isa(isa).solve_batch(case.matrix(), a, b)
        };
        let (solved, limited) = (batch(&easy, 50).unwrap(), batch(&hard, 5).unwrap());
        assert_eq!((solved.status(0), limited.status(0)), (Status::Converged, Status::IterationLimit), "{isa}");
        assert!(solved.converged(0) && !limited.converged(0), "{isa}");
    }
}

fn costs_of_three_values<T: Num>() {
    for seed in 0..if small_cases() { 1 } else { 6 } {
        let mut rng = StdRng::seed_from_u64(seed);
        let cost = (0..1000).map(|_| T::of(f64::from(rng.random_range(0..=2)))).collect();
        let epsilon = T::of([0.1, 0.03, 0.01][seed as usize % 3]).wide();
        let mut case = Case { n: 50, m: 20, cost, a: vec![], b: vec![], epsilon };
        case.set_masses(vec![1.0; 50], vec![1.0; 20]);
        let exact = Exact::solve(&case);
        for isa in isas() {
            let transport = solved(&case, &Sinkhorn::new(case.epsilon).isa(isa));
            exact.check(&case, &transport, &format!("{isa} seed {seed}"));
        }
    }
}
