//! Sparse transport: its optimality conditions, checked exactly, and a textbook solver in `f64`.

use super::{Case, Num, marginal_error, wide};
use crate::support::{for_both_types, isas::isas};
use mantex::transport::{SparseSolution, SparseTransport, Status};
use mantex::{Error, MatMut, MatRef};
use std::ops::ControlFlow;

for_both_types! {
    plans_meet_the_optimality_conditions
    awkward_problems_are_solved
    plans_match_the_textbook
    rows_have_the_best_few_entries
    one_entry_per_row_is_an_assignment
    potentials_are_gradients
    units_do_not_matter
    tiny_gammas_end
    costs_without_mass_do_not_matter
    costs_of_zero_are_costs
}

/// Gamma for a case: `r` times the range of its costs times n m.
fn gamma<T: Num>(case: &Case<T>, r: f64) -> f64 {
    r * case.largest().max(1e-3) * (case.n * case.m) as f64
}

fn solve<T: Num>(case: &Case<T>, solver: &SparseTransport) -> SparseSolution<T> {
    solver.solve(case.matrix(), &case.a, &case.b).unwrap()
}

/// The plan, checked against its sparse form.
fn dense<T: Num>(case: &Case<T>, solution: &SparseSolution<T>) -> Vec<f64> {
    let mut plan = vec![T::of(-1.0); case.n * case.m];
    solution.plan_into(MatMut::new(&mut plan, case.n, case.m).unwrap()).unwrap();
    let csr = solution.plan();
    assert_eq!((csr.rows, csr.cols, csr.row_pointers.len()), (case.n, case.m, case.n + 1));
    assert_eq!((csr.row_pointers[0], csr.row_pointers[case.n]), (0, csr.masses.len()));
    let mut rest = wide(&plan);
    for i in 0..case.n {
        let row = csr.row_pointers[i]..csr.row_pointers[i + 1];
        assert!(csr.columns[row.clone()].windows(2).all(|pair| pair[0] < pair[1]));
        for at in row {
            let entry = &mut rest[i * case.m + csr.columns[at] as usize];
            assert!(*entry >= 0.0 && *entry == csr.masses[at].wide());
            *entry = 0.0;
        }
    }
    assert!(rest.iter().all(|&p| p == 0.0));
    wide(&plan)
}

/// Checks that a solution is optimal, with at most `top` entries per row: by weak duality, it
/// suffices that every row is the best one for the potentials, and that the columns are met.
fn check_optimal<T: Num>(case: &Case<T>, solution: &SparseSolution<T>, gamma: f64, top: usize, name: &str) {
    let (n, m, cost, plan) = (case.n, case.m, wide(&case.cost), dense(case, solution));
    let (f, g, b) = (solution.f(), solution.g(), case.scaled_b());
    let total: f64 = wide(&case.a).iter().sum();
    let largest = f.iter().chain(g).filter(|x| x.is_finite()).fold(case.largest(), |max, x| max.max(x.abs()));
    let rounding = 1e-15 * largest / gamma;
    for i in 0..n {
        let row = best_row(&cost[i * m..][..m], g, case.a[i].wide(), gamma, top);
        for j in 0..m {
            let (actual, expected) = (plan[i * m + j], row[j]);
            let near = (actual - expected).abs() <= 8.0 * rounding + 2.0 * T::EPSILON * expected;
            assert!(near, "{name}: ({i}, {j}): {actual:e}, expected {expected:e}");
            let of_potentials = (f[i] + g[j] - cost[i * m + j]).max(0.0) / gamma;
            let near = (actual - of_potentials).abs() <= 8.0 * rounding + 2.0 * T::EPSILON * actual;
            assert!(near || actual == 0.0 && top < m, "{name}: ({i}, {j}): {actual:e} and {of_potentials:e}");
        }
    }
    let error = marginal_error(&plan, &wide(&case.a), &b) / total;
    assert!((error - solution.marginal_error()).abs() <= 1e-6 * error + 2.0 * T::EPSILON + (n * m) as f64 * rounding);
    let product: f64 = plan.iter().zip(&cost).map(|(p, c)| if *p > 0.0 { p * c } else { 0.0 }).sum();
    let square: f64 = plan.iter().map(|p| p * p).sum();
    let size = case.largest() * total + gamma * square;
    assert!((solution.cost() - product).abs() <= 4.0 * T::EPSILON * size, "{name}");
    assert!((solution.value() - (product + 0.5 * gamma * square)).abs() <= 4.0 * T::EPSILON * size, "{name}");
    let gap = solution.value() - solution.dual_value();
    let limit = solution.marginal_error() * total * largest + 1e-13 * (largest * total + size);
    assert!(gap.abs() <= 2.0 * limit, "{name}: value {}, gap {gap:e}", solution.value());
}

/// The best row for the potentials of the columns, by sorting: section 3.2 of Liu, Puigcerver &
/// Blondel 2023, with a constraint per row.
fn best_row(cost: &[f64], g: &[f64], a: f64, gamma: f64, top: usize) -> Vec<f64> {
    let mut row = vec![0.0; cost.len()];
    if a == 0.0 {
        return row;
    }
    let mut scores: Vec<(f64, usize)> = cost.iter().zip(g).map(|(c, g)| g - c).zip(0..).collect();
    scores.sort_by(|x, y| y.0.total_cmp(&x.0).then(x.1.cmp(&y.1)));
    scores.truncate(top);
    let max = scores[0].0;
    let (mut sum, mut level) = (0.0, 0.0);
    for (count, &(score, _)) in scores.iter().enumerate() {
        let with = (sum + (score - max) - gamma * a) / (count + 1) as f64;
        if score - max <= with {
            break;
        }
        sum += score - max;
        level = with;
    }
    for (score, j) in scores {
        row[j] = ((score - max) - level).max(0.0) / gamma;
    }
    row
}

fn plans_meet_the_optimality_conditions<T: Num>() {
    for (n, m) in [(1, 1), (1, 7), (9, 1), (5, 8), (17, 33), (60, 47), (31, 60)] {
        let case = Case::<T>::random(n, m, 1.0, 7);
        for (case, kind) in [(case.clone(), "all"), (case.with_zeros().with_forbidden(), "some")] {
            for r in [1e-5, 1e-3, 0.03, 1.0, 1e3] {
                let gamma = gamma(&case, r);
                for isa in isas() {
                    let solution = solve(&case, &SparseTransport::new(gamma).tolerance(1e-9).isa(isa));
                    let name = format!("{n} x {m}, {kind} pairs, {r} on {isa}");
                    assert_eq!(solution.status(), Status::Converged, "{name}: {:e}", solution.marginal_error());
                    check_optimal(&case, &solution, gamma, m, &name);
                }
            }
        }
    }
}

/// Ties, equal costs, tiny masses, offsets.
fn awkward_problems_are_solved<T: Num>() {
    let mut cases = Vec::new();
    let mut ties = Case::<T>::random(24, 30, 1.0, 11);
    ties.cost.iter_mut().enumerate().for_each(|(at, c)| *c = T::of((at / 30).abs_diff(at % 30) as f64));
    cases.push(("a line", ties.clone()));
    ties.cost.fill(T::of(3.0));
    cases.push(("equal costs", ties));
    let mut tiny = Case::<T>::random(20, 15, 1.0, 12);
    let masses = |n: usize| (0..n).map(|i| if i % 3 == 0 { 1e-9 } else { 1.0 }).collect();
    tiny.set_masses(masses(20), masses(15));
    cases.push(("tiny masses", tiny));
    let mut offsets = Case::<T>::random(20, 25, 1.0, 13);
    offsets.cost.iter_mut().for_each(|c| *c = T::of(c.wide() - 4.0));
    cases.push(("negative costs", offsets));
    // An exponential to a mixture of normal distributions, with masses down to 1e-30.
    let mut tails = Case::<T>::random(60, 60, 1.0, 14);
    let at = |i: usize| i as f64 / 12.0;
    tails.cost.iter_mut().enumerate().for_each(|(k, c)| *c = T::of((at(k / 60) - at(k % 60)).powi(2)));
    let normal = |x: f64, mean: f64, width: f64| (-0.5 * ((x - mean) / width).powi(2)).exp() / width;
    let mixture = (0..60).map(|j| 0.2 * normal(at(j), 1.0, 0.2) + 0.8 * normal(at(j), 3.0, 0.25)).collect();
    tails.set_masses((0..60).map(|i| (-at(i)).exp()).collect(), mixture);
    cases.push(("long tails", tails));
    for (kind, case) in cases {
        for r in [1e-3, 0.1] {
            let gamma = gamma(&case, r);
            for isa in isas() {
                let solution = solve(&case, &SparseTransport::new(gamma).tolerance(1e-8).isa(isa));
                let name = format!("{kind}, {r} on {isa}");
                assert!(solution.converged(), "{name}: {} {:e}", solution.status(), solution.marginal_error());
                check_optimal(&case, &solution, gamma, case.m, &name);
            }
        }
    }
}

/// The nonlinear Gauss-Seidel method of Lorenz, Manns & Meyer 2021 (algorithm 1): the best f for g,
/// then the best g for f.
fn textbook<T: Num>(case: &Case<T>, gamma: f64) -> Vec<f64> {
    let (n, m, cost, a, b) = (case.n, case.m, wide(&case.cost), wide(&case.a), case.scaled_b());
    let mut g = vec![0.0; m];
    let columns: Vec<Vec<f64>> = (0..m).map(|j| cost.iter().skip(j).step_by(m).copied().collect()).collect();
    // The level is what is left of a score without the height.
    let potential = |cost: &[f64], other: &[f64], mass: f64| {
        let row = best_row(cost, other, mass, gamma, cost.len());
        let at = (0..row.len()).max_by(|&x, &y| row[x].total_cmp(&row[y])).unwrap();
        gamma * row[at] - (other[at] - cost[at])
    };
    for _ in 0..20_000 {
        let f: Vec<f64> = (0..n).map(|i| potential(&cost[i * m..][..m], &g, a[i])).collect();
        g = (0..m).map(|j| potential(&columns[j], &f, b[j])).collect();
        let plan: Vec<f64> = (0..n * m).map(|at| (f[at / m] + g[at % m] - cost[at]).max(0.0) / gamma).collect();
        if marginal_error(&plan, &a, &b) < 1e-11 {
            return plan;
        }
    }
    panic!("the textbook's method does not converge")
}

fn plans_match_the_textbook<T: Num>() {
    for (n, m, r) in [(3, 4, 0.01), (12, 9, 0.02), (25, 25, 0.05), (20, 40, 0.3), (10, 10, 30.0)] {
        let case = Case::<T>::random(n, m, 1.0, 21);
        let gamma = gamma(&case, r);
        let expected = textbook(&case, gamma);
        for isa in isas() {
            let solution = solve(&case, &SparseTransport::new(gamma).tolerance(1e-11).isa(isa));
            let plan = dense(&case, &solution);
            let difference: f64 = plan.iter().zip(&expected).map(|(x, y)| (x - y).abs()).sum();
            // The objective is strongly convex, so plans near its minimum are near each other.
            assert!(difference <= 1e-7 + 2.0 * T::EPSILON, "{n} x {m}, {r} on {isa}: {difference:e}");
        }
    }
}

fn rows_have_the_best_few_entries<T: Num>() {
    let mut ascents = 0;
    for (n, m, k) in [(1, 1, 1), (8, 6, 2), (20, 30, 3), (40, 25, 8), (60, 60, 17), (30, 30, 100)] {
        for seed in [31, 32] {
            let case = Case::<T>::random(n, m, 1.0, seed).with_forbidden();
            for r in [1e-3, 0.1] {
                let gamma = gamma(&case, r);
                let solver = SparseTransport::new(gamma).max_entries_per_row(k).max_iterations(300);
                for isa in isas() {
                    let solution = solve(&case, &solver.clone().isa(isa));
                    let name = format!("{n} x {m}, {k} entries, {r} on {isa}");
                    let csr = solution.plan();
                    assert!(csr.row_pointers.windows(2).all(|row| row[1] - row[0] <= k), "{name}");
                    check_optimal(&case, &solution, gamma, k, &name);
                    // Steps under the limit raise the dual value: Newton's first, then the ascent.
                    if matches!(solution.status(), Status::Stagnated | Status::IterationLimit) {
                        let free = solve(&case, &SparseTransport::new(gamma).isa(isa)).iterations();
                        let short = solve(&case, &solver.clone().max_iterations(free + 10).isa(isa));
                        assert!(short.dual_value() <= solution.dual_value(), "{name}");
                        ascents += usize::from(short.dual_value() < solution.dual_value());
                    }
                    // More entries cannot cost more.
                    let free = solve(&case, &SparseTransport::new(gamma).isa(isa));
                    assert!(free.dual_value() <= solution.dual_value() + 1e-5 * case.largest(), "{name}");
                }
            }
        }
    }
    assert!(ascents > 0);
}

/// With one entry per row and equal masses, a plan is an assignment: here the best one of all.
fn one_entry_per_row_is_an_assignment<T: Num>() {
    fn cheapest(cost: &[f64], n: usize, row: usize, used: usize) -> f64 {
        let free = (0..n).filter(|j| used >> j & 1 == 0);
        let costs = free.map(|j| cost[row * n + j] + cheapest(cost, n, row + 1, used | 1 << j));
        if row == n { 0.0 } else { costs.fold(f64::INFINITY, f64::min) }
    }
    let n = 7;
    for seed in 35..40 {
        let mut case = Case::<T>::random(n, n, 1.0, seed);
        case.set_masses(vec![1.0; n], vec![1.0; n]);
        let best = cheapest(&wide(&case.cost), n, 0, 0) * case.a[0].wide();
        for isa in isas() {
            let solver = SparseTransport::new(gamma(&case, 1e-4)).max_entries_per_row(1).isa(isa);
            let solution = solve(&case, &solver);
            assert!(solution.converged(), "{seed} on {isa}: {} {:e}", solution.status(), solution.marginal_error());
            assert!((solution.cost() - best).abs() <= 1e-6 * best, "{seed} on {isa}: {} {best}", solution.cost());
        }
    }
}

/// The value changes with the masses as the potentials say.
fn potentials_are_gradients<T: Num>() {
    let case = Case::<f64>::random(9, 12, 1.0, 41);
    let gamma = gamma(&case, 0.02);
    let as_t = |x: &[f64]| x.iter().map(|&x| T::of(x)).collect::<Vec<T>>();
    let cost = as_t(&case.cost);
    let value = |a: &[f64], b: &[f64]| {
        let cost = wide(&cost);
        let solver = SparseTransport::new(gamma).tolerance(1e-12);
        solver.solve(MatRef::new(&cost, 9, 12).unwrap(), a, b).unwrap().value()
    };
    let (a, b) = (&case.a, &case.b);
    for isa in isas() {
        let solver = SparseTransport::new(gamma).tolerance(1e-9).isa(isa);
        let solution = solver.solve(MatRef::new(&cost, 9, 12).unwrap(), &as_t(a), &as_t(b)).unwrap();
        let h = 1e-5;
        let moved = |x: &[f64], from: usize, to: usize, h: f64| {
            let mut x = x.to_vec();
            (x[from], x[to]) = (x[from] - h, x[to] + h);
            x
        };
        for at in 1..9 {
            let [up, down] = [h, -h].map(|h| value(&moved(a, 0, at, h), b));
            let (slope, expected) = ((up - down) / (2.0 * h), solution.f()[at] - solution.f()[0]);
            assert!((slope - expected).abs() < 1e-5, "f {at} on {isa}: {slope} and {expected}");
            let [up, down] = [h, -h].map(|h| value(a, &moved(b, 0, at, h)));
            let (slope, expected) = ((up - down) / (2.0 * h), solution.g()[at] - solution.g()[0]);
            assert!((slope - expected).abs() < 1e-5, "g {at} on {isa}: {slope} and {expected}");
        }
    }
}

/// Powers of two change no bit.
fn units_do_not_matter<T: Num>() {
    let case = Case::<T>::random(20, 30, 1.0, 51);
    let gamma = gamma(&case, 0.01);
    let first = solve(&case, &SparseTransport::new(gamma));
    for (cost_unit, mass_unit) in [(1024.0, 1.0), (1.0, 0.0625), (0.0009765625, 256.0)] {
        let mut other = case.clone();
        let scale = |x: &mut T, unit: f64| *x = T::of(unit * x.wide());
        other.cost.iter_mut().for_each(|c| scale(c, cost_unit));
        other.a.iter_mut().for_each(|a| scale(a, mass_unit));
        other.b.iter_mut().for_each(|b| scale(b, mass_unit));
        let solution = solve(&other, &SparseTransport::new(gamma * cost_unit / mass_unit));
        assert_eq!(solution.iterations(), first.iterations());
        assert!(solution.g().iter().zip(first.g()).all(|(x, y)| *x == cost_unit * y));
        assert!((solution.value() - first.value() * cost_unit * mass_unit).abs() <= 1e-14 * solution.value().abs());
    }
}

/// Below the rounding errors of the costs, plans are wrong, but solves end and say so.
fn tiny_gammas_end<T: Num>() {
    let case = Case::<T>::random(12, 15, 1.0, 55);
    for gamma in [1e-200, 1e-60, 1e-20] {
        for isa in isas() {
            for limit in [0, 40] {
                let solver = SparseTransport::new(gamma).tolerance(1e-6).max_iterations(limit).isa(isa);
                let solution = solve(&case, &solver);
                assert!(solution.iterations() <= limit, "{gamma:e} on {isa}");
                let (error, plan) = (solution.marginal_error(), dense(&case, &solution));
                assert!(error.is_finite() && plan.iter().all(|p| p.is_finite()), "{gamma:e} on {isa}: {error:e}");
                assert_eq!(solution.converged(), error <= 1e-6, "{gamma:e} on {isa}: {error:e}");
            }
        }
    }
}

/// Costs of rows and columns without mass may be of any size.
fn costs_without_mass_do_not_matter<T: Num>() {
    let case = Case::<T>::random(20, 30, 1.0, 57).with_zeros();
    let solver = SparseTransport::new(gamma(&case, 1e-3));
    let expected = solve(&case, &solver);
    for filler in [1e20, -1e20, 1e35, f64::INFINITY] {
        let mut other = case.clone();
        for at in 0..20 * 30 {
            if other.a[at / 30].wide() == 0.0 || other.b[at % 30].wide() == 0.0 {
                other.cost[at] = T::of(filler);
            }
        }
        let solution = solve(&other, &solver);
        assert!(solution.converged() && solution == expected, "{filler:e}: {}", solution.status());
    }
}

/// Costs of 0 leave no room between a bound of the scores and the scores.
fn costs_of_zero_are_costs<T: Num>() {
    for (n, m, top) in [(1, 1, 1), (5, 1, 9), (4, 6, 1), (4, 6, 6)] {
        for cost in [0.0, -1e-45, 1e-45, 1e-40] {
            let mut case = Case::<T>::random(n, m, 1.0, 91);
            case.cost.fill(T::of(cost));
            for isa in isas() {
                for gamma in [1e-190, 1e-60, 1.0] {
                    let solver = SparseTransport::new(gamma).max_entries_per_row(top).max_iterations(0).isa(isa);
                    let solution = solve(&case, &solver);
                    assert!(solution.f().iter().all(|f| f.is_finite()), "{n} x {m} on {isa}: {:?}", solution.f());
                    assert!(solution.plan().row_pointers.windows(2).all(|row| row[0] < row[1]), "{n} x {m} on {isa}");
                }
            }
        }
    }
}

/// With a tolerance of 0, steps go on when the error is that of rounding. They may then move all
/// potentials by a huge constant, and the value of these potentials is too inexact to accept them.
#[test]
fn rounding_does_not_end_at_worse_plans() {
    let cost = MatRef::new(&[0.0, 1.0, 4.0, 1.0, 0.0, 1.0], 2, 3).unwrap();
    for isa in isas() {
        let solver = SparseTransport::new(0.5).tolerance(0.0).isa(isa);
        let solution = solver.solve(cost, &[0.3, 0.7], &[0.25, 0.5, 0.25]).unwrap();
        assert!(solution.converged() && solution.marginal_error() < 1e-14, "{isa}: {}", solution.marginal_error());
        assert!((solution.value() - 0.3825).abs() < 1e-14, "{isa}: {}", solution.value());
    }
}

/// Only what vectors list depends on the instruction set.
#[test]
fn instruction_sets_agree_to_the_bit() {
    for r in [1e-4, 1e-2, 1.0] {
        let case = Case::<f32>::random(50, 70, 1.0, 61).with_zeros().with_forbidden();
        let solver = SparseTransport::new(gamma(&case, r)).tolerance(1e-9);
        let results: Vec<_> = isas().into_iter().map(|isa| solve(&case, &solver.clone().isa(isa))).collect();
        assert!(results.iter().all(|result| *result == results[0]), "{r}");
        assert_eq!(results[0], solve(&case, &solver));
    }
}

#[test]
fn a_solve_can_be_watched_and_stopped() {
    let case = Case::<f64>::random(20, 30, 1.0, 71);
    let solver = SparseTransport::new(gamma(&case, 1e-3));
    let mut seen = Vec::new();
    let whole = solver
        .solve_with_progress(case.matrix(), &case.a, &case.b, |progress| {
            seen.push(*progress);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(whole.converged() && seen.len() == whole.iterations());
    assert!(seen.iter().enumerate().all(|(i, progress)| progress.iteration == i + 1 && progress.error >= 0.0));
    assert!(seen.windows(2).all(|pair| pair[1].gamma <= pair[0].gamma));
    let last = seen[seen.len() - 1];
    assert!((last.gamma - gamma(&case, 1e-3)).abs() <= 1e-12 * last.gamma && last.error == whole.marginal_error());
    for at in [1, 2, seen.len() - 1] {
        let stop = |progress: &mantex::transport::SparseProgress| match progress.iteration == at {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let stopped = solver.solve_with_progress(case.matrix(), &case.a, &case.b, stop).unwrap();
        assert_eq!((stopped.status(), stopped.iterations()), (Status::Stopped, at));
        check_optimal_rows(&case, &stopped);
        let limited = solve(&case, &solver.clone().max_iterations(at));
        assert_eq!((limited.status(), limited.iterations()), (Status::IterationLimit, at));
        check_optimal_rows(&case, &limited);
    }
    // The step that the callback has seen is taken if it is a good one.
    let stop = |progress: &mantex::transport::SparseProgress| match progress.error <= last.error {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let stopped = solver.solve_with_progress(case.matrix(), &case.a, &case.b, stop).unwrap();
    assert!(stopped.converged() && stopped.marginal_error() == whole.marginal_error());
    let loose = solver.clone().tolerance(1.9);
    let stopped = loose.solve_with_progress(case.matrix(), &case.a, &case.b, |_| ControlFlow::Break(())).unwrap();
    assert!(stopped.converged() == (stopped.marginal_error() <= 1.9));
    let start = solve(&case, &solver.clone().max_iterations(0));
    assert_eq!((start.status(), start.iterations()), (Status::IterationLimit, 0));
    check_optimal_rows(&case, &start);
    let exact = solve(&case, &solver.clone().tolerance(0.0));
    assert!(exact.converged() && exact.marginal_error() < 1e-10, "{:e}", exact.marginal_error());
}

/// The rows of every result meet their masses.
fn check_optimal_rows(case: &Case<f64>, solution: &SparseSolution<f64>) {
    let plan = dense(case, solution);
    assert!(plan.chunks(case.m).zip(&case.a).all(|(row, a)| (row.iter().sum::<f64>() - a).abs() < 1e-12));
}

/// Rows 0 to 2 may use column 0 only, which takes less than their mass.
#[test]
fn forbidden_pairs_may_permit_no_plan() {
    for isa in isas() {
        let mut case = Case::<f64>::random(8, 9, 1.0, 81);
        for at in (0..3 * 9).filter(|at| at % 9 > 0) {
            case.cost[at] = f64::INFINITY;
        }
        case.set_masses(vec![1.0; 8], vec![1.0; 9]);
        let solver = SparseTransport::new(1.0).isa(isa);
        assert_eq!(solve(&case, &solver).status(), Status::Infeasible);
        case.cost[..9].fill(f64::INFINITY);
        let error = solver.solve(case.matrix(), &case.a, &case.b).unwrap_err();
        assert!(matches!(error, Error::Infeasible { index: 0, .. }), "{error}");
    }
}

#[test]
fn arguments_are_checked() {
    let case = Case::<f64>::random(3, 4, 1.0, 91);
    let fails = |solver: SparseTransport, cost: &[f64], a: &[f64], b: &[f64]| {
        solver.solve(MatRef::new(cost, 3, 4).unwrap(), a, b).unwrap_err()
    };
    let of_setting = |solver: SparseTransport| match fails(solver, &case.cost, &case.a, &case.b) {
        Error::InvalidParameter { argument, .. } => argument,
        other => panic!("{other}"),
    };
    let good = SparseTransport::new(1.0);
    for bad in [0.0, -1.0, f64::MIN_POSITIVE, 1e300, f64::NAN, f64::INFINITY] {
        assert_eq!(of_setting(SparseTransport::new(bad)), "gamma");
    }
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(of_setting(good.clone().tolerance(bad)), "tolerance");
    }
    assert_eq!(of_setting(good.clone().max_entries_per_row(0)), "max_entries_per_row");
    for bad in [f64::NAN, f64::NEG_INFINITY, 1e301, -1e301] {
        let mut cost = case.cost.clone();
        cost[6] = bad;
        let error = fails(good.clone(), &cost, &case.a, &case.b);
        assert!(matches!(error, Error::InvalidElement { argument: "cost", row: 1, col: 2, .. }), "{error}");
    }
    let length = |argument, actual, expected| Error::LengthMismatch { argument, actual, expected };
    assert_eq!(fails(good.clone(), &case.cost, &case.a[1..], &case.b), length("a", 2, 3));
    assert_eq!(fails(good.clone(), &case.cost, &case.a, &case.a), length("b", 3, 4));
    let error = fails(good.clone(), &case.cost, &[0.5, -0.5, 1.0], &case.b);
    assert!(matches!(error, Error::InvalidElement { argument: "a", row: 1, .. }), "{error}");
    let error = fails(good.clone(), &case.cost, &[0.0; 3], &case.b);
    assert!(matches!(error, Error::InvalidTotalMass { argument: "a", .. }), "{error}");
    let error = fails(good.clone(), &case.cost, &[1.0; 3], &case.b);
    assert!(matches!(error, Error::MassMismatch { .. }), "{error}");
    let empty = MatRef::new(&[], 0, 4).unwrap();
    assert_eq!(good.solve::<f64>(empty, &[], &case.b).unwrap_err(), Error::Empty { argument: "cost" });
    // The plan's target keeps its contents.
    let solution = solve(&case, &good);
    let mut out = [7.0; 12];
    let error = solution.plan_into(MatMut::new(&mut out, 4, 3).unwrap()).unwrap_err();
    assert_eq!(error, Error::ShapeMismatch { argument: "out", actual: (4, 3), expected: (3, 4) });
    assert_eq!(out, [7.0; 12]);
}
