//! Small problems to nearly all digits of `f64`: damped Newton steps on the dual, from a large
//! epsilon down, with a textbook iteration before each step.
//!
//! The plan of potentials is the solution for its own marginals. Moving the marginals by a vector
//! with an L1 norm of d moves the plan by an acyclic flow of at most d / 2 from some rows and
//! columns to others. So no entry of the plan moves by more than d / 2, and the cost by at most
//! d / 2 times the longest path times the largest cost.

use super::{Case, Num, log_sum_exp, marginal_error, wide};
use mantex::transport::Transport;

/// The marginal error of an exact solution.
const ERROR: f64 = 1e-10;

/// The solution of a problem.
pub(super) struct Exact {
    plan: Vec<f64>,
    cost: f64,
}

impl Exact {
    /// Solves a problem whose masses all are positive.
    pub(super) fn solve<T: Num>(case: &Case<T>) -> Self {
        let (n, m) = (case.n, case.m);
        let (cost, a, b) = (wide(&case.cost), wide(&case.a), case.scaled_b());
        let (mut f, mut g) = (vec![0.0; n], vec![0.0; m]);
        let mut epsilon = case.largest().max(case.epsilon);
        loop {
            let is_last = epsilon <= case.epsilon;
            epsilon = epsilon.max(case.epsilon);
            let mut plan = Vec::new();
            for _ in 0..500 {
                for i in 0..n {
                    let terms = (0..m).map(|j| (g[j] - cost[i * m + j]) / epsilon);
                    f[i] = epsilon * (a[i].ln() - log_sum_exp(terms));
                }
                for j in 0..m {
                    let terms = (0..n).map(|i| (f[i] - cost[i * m + j]) / epsilon);
                    g[j] = epsilon * (b[j].ln() - log_sum_exp(terms));
                }
                plan = (0..n * m).map(|at| ((f[at / m] + g[at % m] - cost[at]) / epsilon).exp()).collect();
                if marginal_error(&plan, &a, &b) <= if is_last { ERROR } else { 1e-3 } {
                    break;
                }
                newton_step(&plan, (&a, &b), (&mut f, &mut g), epsilon);
            }
            if is_last {
                let error = marginal_error(&plan, &a, &b);
                assert!(error <= ERROR, "the reference has an error of {error:e}: {case:?}");
                let cost = plan.iter().zip(&cost).map(|(p, c)| if *p > 0.0 { p * c } else { 0.0 }).sum();
                return Self { plan, cost };
            }
            epsilon /= 1.5;
        }
    }

    /// Checks that a solution is this one, but for its marginal error.
    #[track_caller]
    pub(super) fn check<T: Num>(&self, case: &Case<T>, transport: &Transport<T>, what: &str) {
        let total: f64 = wide(&case.a).iter().sum();
        // An epsilon that is rounded to f32 changes entries by an error of that order.
        let moved = 0.5 * (transport.marginal_error() + ERROR) * total * (1.0 + 1e-9);
        for (at, (&p, &exact)) in case.plan(transport).iter().zip(&self.plan).enumerate() {
            let close = (p - exact).abs() <= moved + 2.0 * T::ENTRY * total;
            assert!(close, "plan[{}][{}] = {p:e}, not {exact:e}: {what}", at / case.m, at % case.m);
        }
        let longest = (case.n + case.m - 1) as f64;
        let allowed = (moved * longest + 2.0 * T::ENTRY * total) * case.largest();
        let cost = transport.cost();
        assert!((cost - self.cost).abs() <= allowed, "cost {cost:e}, not {:e} +- {allowed:e}: {what}", self.cost);
    }
}

/// Moves f and g by a Newton step on the dual, damped so that the dual value rises.
fn newton_step(plan: &[f64], (a, b): (&[f64], &[f64]), (f, g): (&mut [f64], &mut [f64]), epsilon: f64) {
    let (n, m) = (a.len(), b.len());
    // The Hessian, with a little on its diagonal: blocks may hardly be connected. The rows of the
    // matrix end with the gradient.
    let size = n + m;
    let mut matrix = vec![vec![0.0; size + 1]; size];
    for i in 0..n {
        for j in 0..m {
            let p = plan[i * m + j];
            matrix[i][i] += p;
            matrix[n + j][n + j] += p;
            (matrix[i][n + j], matrix[n + j][i]) = (p, p);
        }
    }
    for (at, row) in matrix.iter_mut().enumerate() {
        row[size] = if at < n { a[at] - row[at] } else { b[at - n] - row[at] };
        row[at] += 1e-13;
    }
    // Gauss's elimination of a positive definite matrix.
    for at in 0..size {
        let (done, left) = matrix.split_at_mut(at + 1);
        let pivot_row = &done[at];
        for row in left {
            let factor = row[at] / pivot_row[at];
            (at..=size).for_each(|k| row[k] -= factor * pivot_row[k]);
        }
    }
    let mut step = vec![0.0; size];
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|k| matrix[at][k] * step[k]).sum();
        step[at] = (matrix[at][size] - known) / matrix[at][at];
    }
    // The largest change of an exponent.
    let largest = (0..n * m).map(|at| (step[at / m] + step[n + at % m]).abs()).fold(0.0, f64::max);
    if largest > 0.0 && largest.is_finite() {
        let damping = largest.ln_1p() / largest * epsilon;
        f.iter_mut().zip(&step[..n]).for_each(|(f, step)| *f += damping * step);
        g.iter_mut().zip(&step[n..]).for_each(|(g, step)| *g += damping * step);
    }
}
