//! The potentials at which columns get their first entry.

use super::rows::ActiveRows;
use super::solver::Solver;
use crate::dispatch::Road;
use crate::kernels::transport::padded;
use crate::kernels::transport::tuning::SPARSE_RAISE;
use crate::real::Element;
use crate::transport::masses::Masses;
use crate::transport::ranks::Ranks;
use crate::{MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;

/// Returns for each column the potential above which it has an entry in a row with mass: the
/// smallest `C_ij + level_i` of all ranks.
pub(super) fn entry_potentials<T: Real>(
    road: Road,
    cost: MatRef<'_, T>,
    (masses, levels): (&Masses, &[T]),
    ranks: &mut Ranks<'_>,
) -> Vec<f64> {
    let (support, mut entries) = (&masses.support[..], vec![T::zero(); padded(cost.cols())]);
    #[cfg(feature = "rayon")]
    if road.shares((support.len(), cost.cols())) {
        super::threads::entry_potentials(road, cost, support, levels, &mut entries);
    } else {
        T::entry_potentials(road, cost, support, levels, &mut entries);
    }
    #[cfg(not(feature = "rayon"))]
    T::entry_potentials(road, cost, support, levels, &mut entries);
    let mut entries: Vec<f64> = entries.iter().take(cost.cols()).map(|entry| entry.to_f64()).collect();
    ranks.min(&mut entries);
    // Which of two zeros is the smaller one depends on their order: both become +0.
    entries.iter_mut().for_each(|entry| *entry += 0.0);
    entries
}

impl<T: Real> Solver<'_, T> {
    /// Raises the columns with mass and without entries to the potentials at which they get one, in
    /// `tried`. Returns whether there are any. While they have no entry, the dual value rises with
    /// their potential.
    pub(super) fn raise_empty_columns(&mut self) -> bool {
        let (road, cost, masses) = (self.problem.road, self.problem.cost, self.problem.masses);
        let is_empty = |j: usize, active: &ActiveRows<T>| masses.b[j] > 0.0 && active.column_counts[j] == 0.0;
        if !(0..masses.b.len()).any(|j| is_empty(j, &self.active)) {
            return false;
        }
        let levels = &self.active.rows.levels;
        let max_abs_level = levels.iter().map(|level| level.entry().abs()).fold(0.0, f64::max);
        let max_abs_level = self.ranks.largest(max_abs_level);
        let levels: Vec<T> = levels.iter().map(|level| T::rounded(level.entry())).collect();
        let entries = entry_potentials(road, cost, (masses, &levels), &mut self.ranks);
        self.tried.g.copy_from_slice(&self.active.g);
        for (j, &entry) in entries.iter().enumerate() {
            if is_empty(j, &self.active) && entry < f64::INFINITY {
                // Far beyond, columns that are raised together would empty others.
                let beyond = (4.0 * T::EPSILON).max(SPARSE_RAISE) * (entry.abs() + max_abs_level);
                self.tried.g[j] = (entry + beyond).max(self.active.g[j] + beyond);
            }
        }
        true
    }
}
