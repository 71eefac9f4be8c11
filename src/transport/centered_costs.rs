//! A copy of the costs without the offsets of their rows and columns.
//!
//! An offset of all costs, of a row or of a column changes no plan, but it is added to potentials:
//! arguments `U_i + G_j - eta C_ij` are then small differences of large numbers. If their
//! rounding would limit the marginal error, the solver takes `C_ij - alpha_i - beta_j` instead.
//! Here alpha is the smallest cost of each row, and beta the smallest `C_ij - alpha_i` of each
//! column.

use super::masses::Masses;
use super::ranks::Ranks;
use super::units::Potentials;
use crate::real::Element;
use crate::{MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;

/// Costs without offsets, and the offsets.
pub(super) struct CenteredCosts<T> {
    costs: Vec<T>,
    /// The offsets of the rows with mass.
    row_offsets: Vec<f64>,
    /// The offsets of all columns; 0 without mass.
    column_offsets: Vec<f64>,
    /// What the offsets cost a plan that meets the marginals, whose masses sum to 1.
    cost: f64,
}

impl<T: Real> CenteredCosts<T> {
    /// Returns the costs without offsets, if the rounding of potentials as large as the offsets
    /// would take more than an eighth of the tolerance, and there is memory for a copy.
    pub(super) fn new(
        cost: MatRef<'_, T>,
        masses: &Masses,
        row_minima: &[T],
        (eta, tolerance): (f64, f64),
        ranks: &mut Ranks<'_>,
    ) -> Option<Self> {
        let row_offsets: Vec<f64> = masses.support.iter().map(|&i| row_minima[i].to_f64()).collect();
        let largest = ranks.largest(row_offsets.iter().fold(0.0_f64, |max, offset| max.max(offset.abs())));
        // Kernels of `f32` subtract costs from potentials in `f64` exactly, and rounding the
        // differences would change the problem.
        let is_wide = T::EPSILON == f64::EPSILON;
        if !is_wide || eta * largest * (0.5 * f64::EPSILON) <= tolerance / 8.0 {
            return None;
        }
        let mut column_offsets = vec![f64::INFINITY; cost.cols()];
        for (&i, offset) in masses.support.iter().zip(&row_offsets) {
            for (min, c) in column_offsets.iter_mut().zip(cost.row(i)) {
                *min = min.min(c.to_f64() - offset);
            }
        }
        ranks.min(&mut column_offsets);
        for (offset, &b) in column_offsets.iter_mut().zip(&masses.b) {
            *offset = if b > 0.0 && offset.is_finite() { *offset } else { 0.0 };
        }
        let mut costs = Vec::new();
        let len = cost.rows().checked_mul(cost.cols());
        if !ranks.all(len.is_some_and(|len| costs.try_reserve_exact(len).is_ok())) {
            return None;
        }
        costs.resize(cost.rows() * cost.cols(), T::zero());
        let rows = costs.chunks_exact_mut(cost.cols());
        let mut with_mass = masses.support.iter().zip(&row_offsets).peekable();
        for (i, centered) in rows.enumerate() {
            // Costs of rows without mass do not matter.
            let Some((_, row_offset)) = with_mass.next_if(|(row, _)| **row == i) else { continue };
            for ((centered, c), offset) in centered.iter_mut().zip(cost.row(i)).zip(&column_offsets) {
                let difference = (c.to_f64() - row_offset) - offset;
                // A finite cost permits a pair, whatever the offsets are.
                let is_permitted = *c < T::infinity();
                *centered = T::rounded(if is_permitted { difference.clamp(f64::MIN, f64::MAX) } else { c.to_f64() });
            }
        }
        let sum = |masses: &[f64], offsets: &[f64]| -> f64 { masses.iter().zip(offsets).map(|(m, x)| m * x).sum() };
        let cost = ranks.total(sum(&masses.a, &row_offsets)) + sum(&masses.b, &column_offsets);
        Some(Self { costs, row_offsets, column_offsets, cost })
    }

    /// Returns the costs without offsets.
    pub(super) fn matrix(&self) -> MatRef<'_, T> {
        let cols = self.column_offsets.len();
        MatRef::new(&self.costs, self.costs.len() / cols, cols).expect("as large as the costs")
    }

    /// Adds the offsets, times `eta`, to base-2 potentials; with -eta takes them away.
    pub(super) fn add_offsets(&self, eta: f64, potentials: &mut Potentials, masses: &Masses) {
        potentials.add(eta, &self.row_offsets, &self.column_offsets, &masses.b);
    }

    /// Returns what the offsets cost a plan that meets the marginals, whose masses sum to 1.
    pub(super) fn cost(&self) -> f64 {
        self.cost
    }
}
