//! The dual value of a sparse plan, its gain by a step, and its bound.

use super::rows::ActiveRows;
use super::solver::{Solver, product};
use crate::Real;
use crate::kernels::transport::Exchange as _;

impl<T: Real> Solver<'_, T> {
    /// Returns the sums of numbers over all ranks.
    pub(super) fn totals<const N: usize>(&mut self, mut numbers: [f64; N]) -> [f64; N] {
        self.ranks.reduce(&mut [], &mut numbers, &mut []);
        numbers
    }

    /// Returns by how much the dual value of `tried` is above that of the potentials, and the
    /// rounding error of this difference.
    pub(super) fn gain(&mut self) -> (f64, f64) {
        let (new, old, masses) = (&self.tried, &self.active, self.problem.masses);
        let levels = old.rows.levels.iter().zip(&new.rows.levels);
        let rows = levels.map(|(old, new)| (old.max - new.max) + (old.depth - new.depth));
        let sizes = [self.size_of_rows(old), self.size_of_rows(new)];
        let [rows, old_size, new_size] = self.totals([product(&masses.a, rows), sizes[0], sizes[1]]);
        let (new, old) = (&self.tried, &self.active);
        let columns = new.g.iter().zip(&old.g).map(|(new, old)| new - old);
        let squares = 0.5 * self.problem.gamma * (old.square - new.square);
        let gain = rows + product(&masses.b, columns) + squares;
        // With an error of rounding, a step may move all potentials by a huge constant.
        (gain, 4.0 * f64::EPSILON * self.size_with(old, old_size).max(self.size_with(new, new_size)))
    }

    /// Returns the sum of the magnitudes of the terms of the dual value.
    pub(super) fn dual_size(&mut self) -> f64 {
        let [rows] = self.totals([self.size_of_rows(&self.active)]);
        self.size_with(&self.active, rows)
    }

    /// Returns the sum of the magnitudes of the terms that belong to the rows of this rank.
    fn size_of_rows(&self, active: &ActiveRows<T>) -> f64 {
        product(&self.problem.masses.a, active.rows.levels.iter().map(|level| level.level().abs()))
    }

    /// Returns the sum of the magnitudes of the terms, those of the rows among them.
    fn size_with(&self, active: &ActiveRows<T>, rows: f64) -> f64 {
        let masses = self.problem.masses;
        rows + product(&masses.b, active.g.iter().map(|g| g.abs())) + self.problem.gamma * active.square
    }

    /// Returns the terms of the dual value that belong to the rows of this rank.
    pub(super) fn value_of_rows(&self) -> f64 {
        product(&self.problem.masses.a, self.active.rows.levels.iter().map(|level| -level.level()))
    }

    /// Returns the dual value, whose terms of all rows are given.
    pub(super) fn value_with(&self, rows: f64) -> f64 {
        let columns = product(&self.problem.masses.b, self.active.g.iter().copied());
        rows + columns - 0.5 * self.problem.gamma * self.active.square
    }

    /// Returns whether the dual value is above what any plan can cost: the largest cost, and rows
    /// of one entry.
    pub(super) fn is_infeasible(&mut self) -> bool {
        let squares: f64 = self.problem.masses.a.iter().map(|a| a * a).sum();
        let [squares, rows] = self.totals([squares, self.value_of_rows()]);
        let most = self.largest_cost + 0.5 * self.problem.gamma * squares;
        self.value_with(rows) > most * (1.0 + 1e-6)
    }
}
