//! Problems at which solvers are known to fail, and inputs that are no problem: each has the right
//! answer or an error that says what is wrong.

use crate::support::{float::Float, for_both_types, isas::isas};
use mantex::transport::{Status, Transport};
use mantex::{Axis, Error, Isa, MatMut, MatRef, Sinkhorn};

for_both_types! {
    what_is_no_problem_is_refused
    tiny_epsilon
    a_large_constant_on_every_cost
    zero_masses
    forbidden_pairs
    no_plan_exists
    totals_that_differ_by_rounding
}

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// A problem, to be rounded to the type.
#[derive(Clone, Debug)]
struct Problem {
    epsilon: f64,
    tolerance: f64,
    iterations: usize,
    shape: (usize, usize),
    cost: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
}

/// Two halves that stay where they are; cases change parts of it.
fn good() -> Problem {
    Problem {
        epsilon: 0.1,
        tolerance: 1e-5,
        iterations: 1000,
        shape: (2, 2),
        cost: vec![0.0, 1.0, 1.0, 0.0],
        a: vec![0.5, 0.5],
        b: vec![0.5, 0.5],
    }
}

/// What a problem with a solution comes to.
struct Solution<T: Float> {
    transport: Transport<T>,
    plan: Vec<f64>,
    /// The L1 error of both marginals of `plan` relative to their total, to which b is scaled.
    error: f64,
}

impl Problem {
    fn solve<T: Float>(&self, isa: Isa) -> Result<Solution<T>, Error> {
        let of = |x: &[f64]| x.iter().map(|&x| T::of(x)).collect::<Vec<T>>();
        let (cost, (n, m)) = (of(&self.cost), self.shape);
        let cost = MatRef::new(&cost, n, m).unwrap();
        let solver = Sinkhorn::new(self.epsilon).tolerance(self.tolerance).max_iterations(self.iterations);
        let transport = solver.isa(isa).solve(cost, &of(&self.a), &of(&self.b))?;
        let mut plan = vec![T::of(NAN); n * m];
        transport.plan_into(cost, MatMut::new(&mut plan, n, m)?)?;
        let plan: Vec<f64> = plan.iter().map(|p| p.wide()).collect();
        let rows = (0..n).map(|i| plan[i * m..(i + 1) * m].iter().sum::<f64>() - self.a[i]);
        let [total, total_b] = [&self.a, &self.b].map(|masses| masses.iter().sum::<f64>());
        let columns = (0..m).map(|j| plan.iter().skip(j).step_by(m).sum::<f64>() - self.b[j] * (total / total_b));
        let error = rows.chain(columns).map(f64::abs).sum::<f64>() / total;
        Ok(Solution { transport, plan, error })
    }

    /// The solution on every instruction set, which must be one.
    #[track_caller]
    fn solutions<T: Float>(&self) -> Vec<Solution<T>> {
        let solutions: Vec<Solution<T>> = isas().into_iter().map(|isa| self.solve(isa).unwrap()).collect();
        for Solution { transport, error, .. } in &solutions {
            assert!(transport.converged(), "{} after {}", transport.marginal_error(), transport.iterations());
            assert!(*error <= 1.1 * self.tolerance, "{error:e}");
        }
        solutions
    }
}

/// One line for each input that is refused: what is changed of a good problem, and the error.
macro_rules! refused {
    ($t:ty; $($case:literal: $($field:ident = $value:expr),+ => $error:pat,)*) => {
        for isa in isas() {
            $(
                let problem = Problem { $($field: $value,)+ ..good() };
                match problem.solve::<$t>(isa) {
                    Ok(_) => panic!("{}: solved on {isa}", $case),
                    Err(error) => assert!(matches!(error, $error), "{}: {error:?} on {isa}", $case),
                }
            )*
        }
    };
}

fn what_is_no_problem_is_refused<T: Float>() {
    refused! { T;
        "epsilon of 0": epsilon = 0.0 => Error::InvalidParameter { argument: "epsilon", value: 0.0, .. },
        "negative epsilon": epsilon = -1.0 => Error::InvalidParameter { argument: "epsilon", value: -1.0, .. },
        "infinite epsilon": epsilon = INF => Error::InvalidParameter { argument: "epsilon", value: INF, .. },
        "epsilon of -inf": epsilon = -INF => Error::InvalidParameter { argument: "epsilon", .. },
        "NaN epsilon": epsilon = NAN => Error::InvalidParameter { argument: "epsilon", .. },
        "epsilon whose inverse overflows": epsilon = 1e-320 => Error::InvalidParameter { argument: "epsilon", .. },
        "epsilon too small for the costs": epsilon = 1e-14, cost = vec![1.0, 2.0, 2.0, 1.0]
            => Error::InvalidParameter { argument: "epsilon", .. },
        "negative tolerance": tolerance = -1.0 => Error::InvalidParameter { argument: "tolerance", value: -1.0, .. },
        "infinite tolerance": tolerance = INF => Error::InvalidParameter { argument: "tolerance", .. },
        "NaN tolerance": tolerance = NAN => Error::InvalidParameter { argument: "tolerance", .. },

        "no rows": shape = (0, 2), cost = vec![], a = vec![] => Error::Empty { argument: "cost" },
        "no columns": shape = (2, 0), cost = vec![], b = vec![] => Error::Empty { argument: "cost" },
        "nothing": shape = (0, 0), cost = vec![], a = vec![], b = vec![] => Error::Empty { argument: "cost" },
        "too few masses a": a = vec![1.0] => Error::LengthMismatch { argument: "a", actual: 1, expected: 2 },
        "too many masses a": a = vec![0.5, 0.5, 0.0] => Error::LengthMismatch { argument: "a", actual: 3, expected: 2 },
        "too few masses b": b = vec![1.0] => Error::LengthMismatch { argument: "b", actual: 1, expected: 2 },
        "too many masses b": b = vec![0.5, 0.5, 0.0] => Error::LengthMismatch { argument: "b", actual: 3, expected: 2 },
        "the transposed cost": shape = (1, 4) => Error::LengthMismatch { argument: "a", actual: 2, expected: 1 },

        "negative mass a": a = vec![1.5, -0.5]
            => Error::InvalidElement { argument: "a", row: 1, col: 0, value: -0.5, .. },
        "NaN mass a": a = vec![0.5, NAN] => Error::InvalidElement { argument: "a", row: 1, col: 0, .. },
        "infinite mass a": a = vec![INF, 0.5]
            => Error::InvalidElement { argument: "a", row: 0, col: 0, value: INF, .. },
        "negative mass b": b = vec![-0.5, 1.5]
            => Error::InvalidElement { argument: "b", row: 0, col: 0, value: -0.5, .. },
        "NaN mass b": b = vec![NAN, 0.5] => Error::InvalidElement { argument: "b", row: 0, col: 0, .. },
        "infinite mass b": b = vec![0.5, INF]
            => Error::InvalidElement { argument: "b", row: 1, col: 0, value: INF, .. },
        "no mass in a": a = vec![0.0, 0.0] => Error::InvalidTotalMass { argument: "a", total: 0.0, .. },
        "no mass in b": b = vec![0.0, -0.0] => Error::InvalidTotalMass { argument: "b", total: 0.0, .. },
        "totals differ": b = vec![0.5, 0.501] => Error::MassMismatch { .. },
        "one total is twice the other": a = vec![1.0, 1.0] => Error::MassMismatch { a: 2.0, b: 1.0 },

        "NaN cost": cost = vec![0.0, 1.0, NAN, 0.0] => Error::InvalidElement { argument: "cost", row: 1, col: 0, .. },
        "cost of -inf": cost = vec![0.0, 1.0, -INF, 0.0]
            => Error::InvalidElement { argument: "cost", row: 1, col: 0, value: f64::NEG_INFINITY, .. },
        "NaN cost without mass": cost = vec![0.0, 1.0, NAN, 0.0], a = vec![1.0, 0.0]
            => Error::InvalidElement { argument: "cost", row: 1, col: 0, .. },
        "a row all forbidden": cost = vec![0.0, 1.0, INF, INF] => Error::Infeasible { axis: Axis::Row, index: 1 },
        "a column all forbidden": cost = vec![INF, 1.0, INF, 0.0] => Error::Infeasible { axis: Axis::Column, index: 0 },
        "a row with no mass to send to": cost = vec![INF, 1.0, 0.0, 0.0], b = vec![1.0, 0.0]
            => Error::Infeasible { axis: Axis::Row, index: 0 },
        "a column with no mass to take": cost = vec![INF, 1.0, 0.0, 0.0], a = vec![1.0, 0.0]
            => Error::Infeasible { axis: Axis::Column, index: 0 },
        "all forbidden": cost = vec![INF; 4] => Error::Infeasible { axis: Axis::Row, index: 0 },
    }
}

#[test]
fn a_total_that_overflows_is_refused() {
    refused! { f64;
        "overflowing total": a = vec![1e308, 1e308] => Error::InvalidTotalMass { argument: "a", total: INF, .. },
    }
}

/// Squared distances of i/n from (j + 0.3)/n with masses that ask for splitting, and the cost of
/// the best plan without entropy: mass moves in order.
fn on_a_line(n: usize) -> (Problem, f64) {
    let cost = |i: usize, j: usize| ((i as f64 - j as f64 - 0.3) / n as f64).powi(2);
    let masses = |step: usize| {
        let parts: Vec<f64> = (0..n).map(|i| (1 + i * step % n) as f64).collect();
        let total: f64 = parts.iter().sum();
        parts.iter().map(|part| part / total).collect::<Vec<f64>>()
    };
    let (a, b) = (masses(3), masses(5));
    let (mut i, mut j, mut best) = (0, 0, 0.0);
    let (mut left, mut room) = (a[0], b[0]);
    while i < n && j < n {
        let moved = left.min(room);
        best += moved * cost(i, j);
        (left, room) = (left - moved, room - moved);
        if left <= room {
            i += 1;
            left = a.get(i).copied().unwrap_or(0.0);
        } else {
            j += 1;
            room = b.get(j).copied().unwrap_or(0.0);
        }
    }
    let cost = (0..n * n).map(|at| cost(at / n, at % n)).collect();
    (Problem { shape: (n, n), cost, a, b, ..good() }, best)
}

fn tiny_epsilon<T: Float>() {
    // The kernel exp(-C / epsilon) underflows in whole rows.
    for epsilon in [1e-3, 2e-4] {
        let (problem, best) = on_a_line(7);
        let problem = Problem { epsilon, iterations: 100_000, ..problem };
        for solution in problem.solutions::<T>() {
            // The entropies of two plans of 49 entries differ by at most ln 49.
            let above = solution.transport.cost() - best;
            assert!((-2e-5..=epsilon * 49_f64.ln() + 2e-5).contains(&above), "{above:e} at {epsilon:e}");
        }
    }
    let thirds = Problem {
        epsilon: 1e-9,
        shape: (2, 3),
        cost: vec![0.0, 1.0, 2.0, 2.0, 1.0, 0.0],
        b: vec![0.25, 0.5, 0.25],
        ..good()
    };
    for solution in thirds.solutions::<T>() {
        assert!((solution.transport.cost() - 0.5).abs() < 1e-5);
    }
}

fn a_large_constant_on_every_cost<T: Float>() {
    // Costs with few bits, so that their sum with the constant is exact also in f32.
    let cost: Vec<f64> = (0..12).map(|at| ((at * 7 % 11) as f64) / 64.0).collect();
    let (a, b) = (vec![0.25, 0.5, 0.25], vec![0.125, 0.375, 0.25, 0.25]);
    let original = Problem { epsilon: 0.01, tolerance: 1e-6, shape: (3, 4), cost, a, b, ..good() };
    let mut moved = original.clone();
    moved.cost.iter_mut().for_each(|cost| *cost += 1000.0);
    for (x, y) in original.solutions::<T>().iter().zip(moved.solutions::<T>()) {
        for (p, q) in x.plan.iter().zip(&y.plan) {
            assert!((p - q).abs() <= 1e-5 * p + 1e-30, "{p:e} {q:e}");
        }
        // A constant may be moved from g to f.
        let level = x.transport.g()[0] - y.transport.g()[0];
        for (f, moved) in x.transport.f().iter().zip(y.transport.f()) {
            // As near as the type comes to 1000.
            assert!((moved - level - f - 1000.0).abs() <= 1e-4, "{f} {moved}");
        }
    }
}

fn zero_masses<T: Float>() {
    let cost: Vec<f64> = (0..12).map(|at| ((at * 5 % 7) as f64) / 8.0).collect();
    let (a, b) = (vec![0.5, 0.0, 0.5], vec![0.0, 0.25, 0.75, 0.0]);
    let problem = Problem { shape: (3, 4), cost: cost.clone(), a, b, ..good() };
    // The same without the rows and columns that have no mass.
    let small =
        Problem { cost: [1, 2, 9, 10].map(|at| cost[at]).to_vec(), a: vec![0.5, 0.5], b: vec![0.25, 0.75], ..good() };
    for (with, without) in problem.solutions::<T>().iter().zip(small.solutions::<T>()) {
        assert!(with.transport.f()[1] == -INF && with.transport.g()[0] == -INF);
        for (at, &p) in with.plan.iter().enumerate() {
            let expected = [1, 2, 9, 10].iter().position(|&kept| kept == at).map_or(0.0, |kept| without.plan[kept]);
            assert!((p - expected).abs() <= 1e-5 * expected, "{at}: {p:e}, not {expected:e}");
        }
    }
}

fn forbidden_pairs<T: Float>() {
    // Nothing may stay where it is; what is best permitted.
    let mut cost = vec![1.0; 16];
    (0..4).for_each(|i| cost[5 * i] = INF);
    let quarters = vec![0.25; 4];
    let problem = Problem { shape: (4, 4), cost, a: quarters.clone(), b: quarters, ..good() };
    for solution in problem.solutions::<T>() {
        for (at, &p) in solution.plan.iter().enumerate() {
            let expected = if at % 5 == 0 { 0.0 } else { 1.0 / 12.0 };
            assert!((p - expected).abs() <= 1e-5 * expected, "{at}: {p:e}");
        }
        assert!((solution.transport.cost() - 1.0).abs() < 1e-5);
    }
}

fn no_plan_exists<T: Float>() {
    // Every row and column has a partner, but two rows have the same one, and it has not the mass
    // for both.
    let cost = vec![0.0, INF, INF, 0.0, INF, INF, 0.0, 0.0, 0.0];
    let thirds = vec![1.0 / 3.0; 3];
    let problem = Problem { shape: (3, 3), cost, a: thirds.clone(), b: thirds, ..good() };
    for isa in isas() {
        let Solution { transport, plan, error } = problem.solve::<T>(isa).unwrap();
        assert!(!transport.converged() && transport.status() == Status::Infeasible, "{isa} {:?}", transport.status());
        // The two rows have a third more than their column takes, which then is missing elsewhere.
        let least = 2.0 / 3.0 - 1e-6;
        assert!(transport.marginal_error() >= least && error >= least, "{isa} {error}");
        assert!(plan.iter().all(|p| p.is_finite()) && transport.f().iter().all(|f| f.is_finite()), "{isa}");
    }
}

fn totals_that_differ_by_rounding<T: Float>() {
    // b counts scaled to the total of a.
    let tolerance = if T::NAME == "f32" { 4.0 * T::EPSILON } else { 1e-13 };
    let problem = Problem { b: vec![0.5, 0.5 + 5e-7], tolerance, ..good() };
    problem.solutions::<T>();
}
