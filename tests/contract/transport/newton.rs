//! Newton's method against a dense Newton in `f64`, whose Hessian is checked by differences.

use super::{Case, Num, marginal_error, textbook, wide};
use crate::support::{for_both_types, isas::isas};
use mantex::transport::{Method, Status, Transport};
use mantex::{MatRef, Sinkhorn};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::ops::ControlFlow;

for_both_types! {
    solutions_are_those_of_a_dense_newton
    blocks_exchange_what_they_must
    the_units_of_costs_do_not_matter
    limits_and_callbacks_end_a_solve
}

/// A problem in `f64` without rows and columns that have no mass.
struct Dense {
    cost: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
    epsilon: f64,
}

impl Dense {
    fn of<T: Num>(case: &Case<T>) -> (Self, Vec<usize>, Vec<usize>) {
        let (cost, a, b) = (wide(&case.cost), wide(&case.a), case.scaled_b());
        let support = |x: &[f64]| (0..x.len()).filter(|&i| x[i] > 0.0).collect::<Vec<_>>();
        let (rows, columns) = (support(&a), support(&b));
        let pairs = rows.iter().flat_map(|i| columns.iter().map(move |j| (i, j)));
        let cost = pairs.map(|(i, j)| cost[i * case.m + j]).collect();
        let taken = |x: &[f64], at: &[usize]| at.iter().map(|&i| x[i]).collect();
        (Self { cost, a: taken(&a, &rows), b: taken(&b, &columns), epsilon: case.epsilon }, rows, columns)
    }

    /// The plan with the best f for g.
    fn plan(&self, g: &[f64]) -> Vec<f64> {
        let m = g.len();
        let mut plan = vec![0.0; self.cost.len()];
        for ((row, costs), a) in plan.chunks_mut(m).zip(self.cost.chunks(m)).zip(&self.a) {
            let y: Vec<f64> = costs.iter().zip(g).map(|(c, g)| (g - c) / self.epsilon).collect();
            let max = y.iter().fold(f64::NEG_INFINITY, |max: f64, y| max.max(*y));
            let sum: f64 = y.iter().map(|y| (y - max).exp()).sum();
            row.iter_mut().zip(y).for_each(|(p, y)| *p = a * (y - max).exp() / sum);
        }
        plan
    }

    fn column_sums(&self, g: &[f64]) -> Vec<f64> {
        let (plan, m) = (self.plan(g), g.len());
        (0..m).map(|j| plan.iter().skip(j).step_by(m).sum()).collect()
    }

    /// The derivative of the column sums times epsilon, `diag(c) - P^T diag(1 / a) P`.
    fn hessian(&self, g: &[f64]) -> Vec<Vec<f64>> {
        let (plan, c, m) = (self.plan(g), self.column_sums(g), g.len());
        let mut hessian = vec![vec![0.0; m]; m];
        (0..m).for_each(|j| hessian[j][j] = c[j]);
        for (row, a) in plan.chunks(m).zip(&self.a) {
            for j in 0..m {
                (0..m).for_each(|k| hessian[j][k] -= row[j] / a * row[k]);
            }
        }
        hessian
    }

    /// The potentials of the columns, after iterations of Sinkhorn and damped steps.
    fn solve(&self) -> Vec<f64> {
        let m = self.b.len();
        let mut g = vec![0.0; m];
        let error = |g: &[f64]| self.column_sums(g).iter().zip(&self.b).map(|(c, b)| (c - b).abs()).sum::<f64>();
        for _ in 0..200 {
            let c = self.column_sums(&g);
            (0..m).for_each(|j| g[j] += self.epsilon * (self.b[j] / c[j].max(1e-300)).ln());
        }
        for _ in 0..200 {
            let c = self.column_sums(&g);
            let mut system = self.hessian(&g);
            let shift = error(&g).min(1.0) * 1e-3;
            for (j, row) in system.iter_mut().enumerate() {
                row[j] += shift * self.b[j];
                // The null vector 1: the solution has the mean 0 under b.
                row.iter_mut().zip(&self.b).for_each(|(x, b)| *x += self.b[j] * b);
            }
            let y = solve_dense(system, self.b.iter().zip(&c).map(|(b, c)| b - c).collect());
            let step = |s: f64| g.iter().zip(&y).map(|(g, y)| g + s * self.epsilon * y).collect::<Vec<_>>();
            let lengths = [1.0, 0.5, 0.25, 0.1, 0.01, 1e-3];
            let best = lengths.map(step).into_iter().min_by(|x, y| error(x).total_cmp(&error(y))).unwrap();
            if error(&best) >= error(&g) {
                break;
            }
            g = best;
        }
        g
    }
}

/// Solves a dense system by Gauss's elimination with pivots in the columns.
fn solve_dense(mut system: Vec<Vec<f64>>, mut x: Vec<f64>) -> Vec<f64> {
    let n = x.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| system[i][k].abs().total_cmp(&system[j][k].abs())).unwrap();
        system.swap(k, pivot);
        x.swap(k, pivot);
        for i in k + 1..n {
            let factor = system[i][k] / system[k][k];
            let row = system[k].clone();
            (k..n).for_each(|j| system[i][j] -= factor * row[j]);
            x[i] -= factor * x[k];
        }
    }
    for k in (0..n).rev() {
        x[k] = (x[k] - (k + 1..n).map(|j| system[k][j] * x[j]).sum::<f64>()) / system[k][k];
    }
    x
}

/// The accuracy of a type: the tolerance, and the error of an entry relative to the largest.
fn accuracy<T: Num>() -> (f64, f64) {
    if T::EPSILON > 1e-10 { (1e-6, 1e-4) } else { (1e-12, 1e-9) }
}

fn newton<T: Num>(epsilon: f64) -> Sinkhorn {
    Sinkhorn::new(epsilon).method(Method::Newton).tolerance(accuracy::<T>().0)
}

/// The errors that the callback sees, with the solution.
fn solve_and_observe<T: Num>(case: &Case<T>, solver: &Sinkhorn) -> (Transport<T>, Vec<f64>) {
    let mut errors = Vec::new();
    let transport = solver.solve_with_progress(case.matrix(), &case.a, &case.b, |progress| {
        errors.push(progress.error);
        assert_eq!(progress.iteration, errors.len());
        ControlFlow::Continue(())
    });
    (transport.unwrap(), errors)
}

/// Integer costs from 0 to 3, with many ties.
fn with_ties<T: Num>(n: usize, m: usize, seed: u64) -> Case<T> {
    let mut case = Case::<T>::random(n, m, 0.1, seed);
    let mut rng = StdRng::seed_from_u64(seed);
    case.cost = (0..n * m).map(|_| T::of(f64::from(rng.random_range(0..4_i32)))).collect();
    Case { epsilon: 0.25, ..case }
}

#[test]
fn the_hessian_of_the_dense_newton_is_the_derivative() {
    let (dense, ..) = Dense::of(&Case::<f64>::random(7, 9, 0.3, 5).with_zeros().with_forbidden());
    let g: Vec<f64> = (0..dense.b.len()).map(|j| 0.02 * j as f64).collect();
    let hessian = dense.hessian(&g);
    for (j, derivatives) in hessian.iter().enumerate() {
        let h = 1e-5 * dense.epsilon;
        let moved = |h: f64| g.iter().enumerate().map(|(k, g)| if k == j { g + h } else { *g }).collect::<Vec<_>>();
        let (up, down) = (dense.column_sums(&moved(h)), dense.column_sums(&moved(-h)));
        for k in 0..g.len() {
            let difference = (up[k] - down[k]) / (2.0 * h) * dense.epsilon;
            assert!((difference - derivatives[k]).abs() < 1e-8, "{j}, {k}: {difference} and {}", derivatives[k]);
        }
    }
}

fn solutions_are_those_of_a_dense_newton<T: Num>() {
    let random = |n, m, epsilon| Case::<T>::random(n, m, epsilon, (10 * n + m) as u64);
    let cases = [
        random(1, 1, 0.1),
        random(1, 9, 0.1),
        random(9, 1, 0.1),
        random(5, 8, 0.02),
        random(33, 20, 0.05).with_zeros().with_forbidden(),
        random(60, 60, 0.02),
        random(60, 41, 0.01).with_zeros(),
        with_ties(40, 60, 3),
    ];
    let (tolerance, within) = accuracy::<T>();
    for (at, case) in cases.iter().enumerate() {
        let (dense, rows, columns) = Dense::of(case);
        let expected = dense.plan(&dense.solve());
        assert!(marginal_error(&expected, &dense.a, &dense.b) < 1e-12, "the reference of case {at}");
        let largest = expected.iter().fold(0.0_f64, |max, p| max.max(*p));
        for isa in isas() {
            let (transport, errors) = solve_and_observe(case, &newton::<T>(case.epsilon).isa(isa));
            let name = format!("case {at} on {isa}: {errors:?}");
            assert_eq!(transport.status(), Status::Converged, "{name}");
            assert!(transport.marginal_error() <= tolerance && transport.iterations() == errors.len(), "{name}");
            let plan = case.plan(&transport);
            for (at, expected) in expected.iter().enumerate() {
                let (i, j) = (rows[at / columns.len()], columns[at % columns.len()]);
                assert!((plan[i * case.m + j] - expected).abs() <= within * largest, "{i}, {j}, {name}");
            }
        }
    }
}

/// Two blocks with distances of 40 epsilon or infinite ones between them, whose masses balance or
/// not.
fn blocks_exchange_what_they_must<T: Num>() {
    for (excess, between) in [(0.0, 40.0), (0.05, 40.0), (0.05, 12.0), (0.0, f64::INFINITY)] {
        let mut case = Case::<T>::random(24, 30, 0.05, 77);
        for (at, c) in case.cost.iter_mut().enumerate() {
            let is_between = (at / 30 < 12) != (at % 30 < 15);
            *c = if is_between { T::of(c.wide() + between * case.epsilon) } else { *c };
        }
        let share = |x: &[T], half: usize, mass: f64| {
            let sum = |x: &[f64]| x.iter().sum::<f64>();
            let x = wide(x);
            let (first, second) = (sum(&x[..half]), sum(&x[half..]));
            let shares =
                x.iter().enumerate().map(|(i, x)| if i < half { x / first * mass } else { x / second * (1.0 - mass) });
            shares.collect::<Vec<f64>>()
        };
        let (a, b) = (share(&case.a, 12, 0.5 + excess), share(&case.b, 15, 0.5));
        case.set_masses(a, b);
        let (tolerance, _) = accuracy::<T>();
        for isa in isas() {
            let (transport, errors) = solve_and_observe(&case, &newton::<T>(case.epsilon).isa(isa));
            let name = format!("{excess} over {between} on {isa}: {:?}", &errors[..errors.len().min(60)]);
            assert!(transport.converged() && transport.marginal_error() <= tolerance, "{name}");
            assert!(errors.len() <= 100, "{} in {name}", errors.len());
            let error = marginal_error(&case.plan(&transport), &wide(&case.a), &case.scaled_b());
            assert!(error <= 2.0 * tolerance, "{error:e}, {name}");
        }
    }
}

/// Powers of two scale all numbers exactly.
fn the_units_of_costs_do_not_matter<T: Num>() {
    let case = Case::<T>::random(50, 40, 0.01, 41);
    for isa in isas() {
        let solve = |scale: f64| {
            let cost: Vec<T> = case.cost.iter().map(|c| T::of(c.wide() * scale)).collect();
            let matrix = MatRef::new(&cost, case.n, case.m).unwrap();
            newton::<T>(case.epsilon * scale).isa(isa).solve(matrix, &case.a, &case.b).unwrap()
        };
        let expected = solve(1.0);
        for scale in [2_f64.powi(20), 2_f64.powi(-20)] {
            let actual = solve(scale);
            assert_eq!(actual.iterations(), expected.iterations(), "{isa}, {scale:e}");
            let scaled: Vec<f64> = expected.g().iter().map(|g| g * scale).collect();
            assert_eq!(actual.g(), scaled, "{isa}, {scale:e}");
        }
    }
}

fn limits_and_callbacks_end_a_solve<T: Num>() {
    let case = Case::<T>::random(40, 50, 0.01, 13);
    let solver = newton::<T>(case.epsilon);
    let (converged, errors) = solve_and_observe(&case, &solver);
    assert!(converged.converged(), "{errors:?}");
    for limit in 0..errors.len() {
        let (transport, seen) = solve_and_observe(&case, &solver.clone().max_iterations(limit));
        assert_eq!((transport.iterations(), seen.len()), (limit, limit));
        let (exact, seen) = solve_and_observe(&case, &solver.clone().tolerance(0.0).max_iterations(limit + 20));
        assert_eq!((exact.iterations(), seen.len()), (limit + 20, limit + 20));
        let stopped = solver.solve_with_progress(case.matrix(), &case.a, &case.b, |progress| {
            if progress.iteration > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(stopped.unwrap().iterations(), limit + 1);
    }
    // From a solution it takes no steps.
    let (f, g) = converged.into_parts();
    let (again, errors) = solve_and_observe(&case, &solver.warm_start(f, g));
    assert!(again.converged() && errors.len() <= 3, "{errors:?}");
}

/// Steps reduce the error by more than the share of the rows that their models drop.
#[test]
fn steps_gain_digits() {
    let case = Case::<f64>::random(60, 60, 0.02, 17);
    for isa in isas() {
        let solver = newton::<f64>(case.epsilon).isa(isa);
        let (transport, errors) = solve_and_observe(&case, &solver);
        let last = errors.len() - 1;
        assert!(errors[last] < 1e-2 * errors[last - 1] && errors[last - 1] < 0.1 * errors[last - 2], "{errors:?}");
        let plain = case.solve(&textbook(case.epsilon).tolerance(1e-12).max_iterations(100_000).isa(isa));
        assert!(2 * transport.iterations() < plain.iterations(), "{isa}: {errors:?}");
    }
}

/// Problems at which the error of an iteration falls like 1 / iterations.
#[test]
fn integer_costs_take_few_reads() {
    let similarities =
        [4.0, 1.0, 2.0, 0.0, 3.0, 3.0, 5.0, 1.0, 2.0, 0.0, 2.0, 0.0, 5.0, 3.0, 1.0, 1.0, 4.0, 0.0, 6.0, 2.0];
    let five: Vec<f64> = similarities.iter().chain(&[0.0, 2.0, 3.0, 1.0, 4.0]).map(|s| 6.0 - s).collect();
    for (n, cost, epsilon) in [(2, vec![2.0, 1.0, 1.0, 1.0], 0.01), (5, five, 0.05)] {
        let masses = vec![1.0 / n as f64; n];
        for isa in isas() {
            let solver = newton::<f64>(epsilon).isa(isa);
            let transport = solver.solve(MatRef::new(&cost, n, n).unwrap(), &masses, &masses).unwrap();
            assert!(transport.converged(), "{n} on {isa}: {}", transport.marginal_error());
            assert!(transport.iterations() <= 30, "{n} on {isa}: {}", transport.iterations());
        }
    }
}
