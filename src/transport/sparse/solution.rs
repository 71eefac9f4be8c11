//! The solution of a problem: potentials, the plan, and the numbers that describe them.

use super::solver::Solver;
use crate::real::Element;
use crate::transport::{CsrPlan, Status};
use crate::{Error, MatMut, Real, check};
use alloc::vec;
use alloc::vec::Vec;

/// The solution of a problem, from [`SparseTransport::solve`](super::SparseTransport::solve).
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(
        try_from = "super::serde::SparseSolutionData<T>",
        into = "super::serde::SparseSolutionData<T>",
        bound(serialize = "T: Real + serde::Serialize", deserialize = "T: Real + serde::Deserialize<'de>")
    )
)]
#[must_use]
pub struct SparseSolution<T> {
    pub(super) status: Status,
    pub(super) iterations: usize,
    pub(super) marginal_error: f64,
    pub(super) cost: f64,
    pub(super) value: f64,
    pub(super) dual_value: f64,
    pub(super) f: Vec<f64>,
    pub(super) g: Vec<f64>,
    pub(super) plan: CsrPlan<T>,
}

impl<T: Real> SparseSolution<T> {
    /// Returns the solution that a solver has found.
    pub(super) fn new(solver: &mut Solver<'_, T>, status: Status) -> Self {
        let (problem, active) = (&solver.problem, &solver.active);
        let (rows, cols, total) = (problem.cost.rows(), problem.cost.cols(), problem.masses.total);
        let mut f = vec![f64::NEG_INFINITY; rows];
        let mut plan =
            CsrPlan { rows, cols, row_pointers: vec![0], columns: active.rows.columns.clone(), masses: Vec::new() };
        plan.masses.reserve_exact(active.rows.columns.len());
        let (mut cost, mut square) = (0.0, 0.0);
        for ((&i, level), (columns, costs)) in
            problem.masses.support.iter().zip(&active.rows.levels).zip(active.rows.iter())
        {
            f[i] = -level.level();
            // Rows without mass are empty.
            plan.row_pointers.resize(i + 1, plan.masses.len());
            for (&j, c) in columns.iter().zip(costs) {
                let mass = level.height(active.g[j as usize] - c.to_f64()) / problem.gamma;
                plan.masses.push(T::rounded(total * mass));
                cost += c.to_f64() * mass;
                square += mass * mass;
            }
            plan.row_pointers.push(plan.masses.len());
        }
        plan.row_pointers.resize(rows + 1, plan.masses.len());
        let [cost, square, rows] = solver.totals([cost, square, solver.value_of_rows()]);
        let potential = |(&g, &b): (&f64, &f64)| if b > 0.0 { g } else { f64::NEG_INFINITY };
        Self {
            status,
            iterations: solver.iterations,
            marginal_error: solver.active.error,
            cost: cost * total,
            value: (cost + 0.5 * solver.problem.gamma * square) * total,
            dual_value: solver.value_with(rows) * total,
            f,
            g: solver.active.g.iter().zip(&solver.problem.masses.b).map(potential).collect(),
            plan,
        }
    }

    /// Returns why the solve ended.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Returns whether [`marginal_error`](Self::marginal_error) is within the solver's tolerance,
    /// or, with a tolerance of 0, within the default of the element type. The status is then
    /// [`Status::Converged`], and only then.
    pub fn converged(&self) -> bool {
        self.status == Status::Converged
    }

    /// Returns the number of iterations done.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// Returns `||P 1 - a||_1 + ||P^T 1 - b||_1` relative to the total mass, of the plan before it
    /// is rounded to the element type; b counts scaled to the total of a.
    pub fn marginal_error(&self) -> f64 {
        self.marginal_error
    }

    /// Returns the potentials of the rows, in the units of the cost; -inf in rows without mass.
    pub fn f(&self) -> &[f64] {
        &self.f
    }

    /// Returns the potentials of the columns, in the units of the cost; -inf in columns without
    /// mass. They are the gradient of [`value`](Self::value) by b, up to a constant.
    pub fn g(&self) -> &[f64] {
        &self.g
    }

    /// Returns the transport cost `<C, P>`, without the regularization.
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// Returns the value that the plan minimizes, `<C, P> + gamma / 2 * ||P||^2`.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Returns the dual value, `<a, f> + <b, g> - gamma / 2 * ||P||^2`. No plan that meets the
    /// marginals, with at most k entries per row if there is such a limit, has a smaller value, up
    /// to rounding errors.
    pub fn dual_value(&self) -> f64 {
        self.dual_value
    }

    /// Returns the entries of the plan, in the units of the masses. They are not 0 before they are
    /// rounded to the element type.
    pub fn plan(&self) -> &CsrPlan<T> {
        &self.plan
    }

    /// Returns the plan.
    pub fn into_plan(self) -> CsrPlan<T> {
        self.plan
    }

    /// Writes the plan, n x m, in the units of the masses.
    ///
    /// - Accuracy: that of the solve.
    /// - Special values: entries are 0 for forbidden pairs and in rows and columns without mass.
    /// - Errors: [`Error::ShapeMismatch`] if `out` does not have the shape of the problem; it is
    ///   then unchanged.
    /// - Cost and source: one write per entry.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef, SparseTransport};
    /// let cost = MatRef::new(&[0.0_f64, 1.0, 1.0, 0.0], 2, 2)?;
    /// let solution = SparseTransport::new(0.05).solve(cost, &[0.5, 0.5], &[0.25, 0.75])?;
    /// let mut plan = [0.0; 4];
    /// solution.plan_into(MatMut::new(&mut plan, 2, 2)?)?;
    /// assert!((plan[0] - 0.25).abs() < 1e-5 && plan[2] == 0.0);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn plan_into(&self, mut out: MatMut<'_, T>) -> Result<(), Error> {
        let CsrPlan { rows, cols, row_pointers, columns, masses } = &self.plan;
        check::shape("out", &out, (*rows, *cols))?;
        for (i, bounds) in row_pointers.windows(2).enumerate() {
            let row = out.row_mut(i);
            row.fill(T::zero());
            for at in bounds[0]..bounds[1] {
                row[columns[at] as usize] = masses[at];
            }
        }
        Ok(())
    }
}
