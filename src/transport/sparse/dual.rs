//! The dual value of a sparse plan, and what follows from it.

use super::solver::{Solver, product};
use crate::Real;

impl<T: Real> Solver<'_, T> {
    /// Returns by how much the dual value of `tried` is above that of the potentials, and the
    /// rounding error of this difference.
    pub(super) fn gain(&self) -> (f64, f64) {
        let (new, old, masses) = (&self.tried, &self.active, self.problem.masses);
        let levels = old.rows.levels.iter().zip(&new.rows.levels);
        let rows = levels.map(|(old, new)| (old.max - new.max) + (old.depth - new.depth));
        let columns = new.g.iter().zip(&old.g).map(|(new, old)| new - old);
        let squares = 0.5 * self.problem.gamma * (old.square - new.square);
        let gain = product(&masses.a, rows) + product(&masses.b, columns) + squares;
        (gain, 4.0 * f64::EPSILON * self.dual_size())
    }

    /// Returns the sum of the magnitudes of the terms of the dual value.
    pub(super) fn dual_size(&self) -> f64 {
        let (masses, active) = (self.problem.masses, &self.active);
        product(&masses.a, active.rows.levels.iter().map(|level| level.level().abs()))
            + product(&masses.b, active.g.iter().map(|g| g.abs()))
            + self.problem.gamma * active.square
    }

    /// Returns the dual value.
    pub(super) fn dual_value(&self) -> f64 {
        let masses = self.problem.masses;
        let rows = product(&masses.a, self.active.rows.levels.iter().map(|level| -level.level()));
        let columns = product(&masses.b, self.active.g.iter().copied());
        rows + columns - 0.5 * self.problem.gamma * self.active.square
    }

    /// Returns whether the dual value is above what any plan can cost: the largest cost, and rows
    /// of one entry.
    pub(super) fn is_infeasible(&self) -> bool {
        let squares: f64 = self.problem.masses.a.iter().map(|a| a * a).sum();
        let most = self.largest_cost + 0.5 * self.problem.gamma * squares;
        self.dual_value() > most * (1.0 + 1e-6)
    }
}
