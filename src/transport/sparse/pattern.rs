//! The system of a step of Newton's method: products with the pattern of a sparse plan.

use super::rows::ActiveRows;
#[cfg(feature = "rayon")]
use super::threads;
use crate::Real;
use crate::dispatch::Road;
use crate::kernels::transport::Exchange as _;
use crate::transport::ranks::Ranks;
use crate::transport::semi_dual::System;
use alloc::vec::Vec;

/// The system of a step: `S_lambda v = (1 + lambda) m v - sigma^T (sigma v / n) / (1 + lambda)`.
pub(super) struct Pattern<'a, 'b, T> {
    /// Whether threads share the products.
    #[cfg_attr(not(feature = "rayon"), allow(dead_code))]
    pub(super) road: Road,
    /// The rows whose entries are the pattern.
    pub(super) active: &'a ActiveRows<T>,
    /// The shift.
    pub(super) lambda: f64,
    /// The ranks, each of which has the pattern of some rows.
    pub(super) ranks: &'a mut Ranks<'b>,
    /// Memory for one number per row.
    #[cfg_attr(not(feature = "rayon"), allow(dead_code))]
    pub(super) means: &'a mut Vec<f64>,
}

/// The number of elements of a matrix, in the sense of [`Road::shares`], that take as long as an
/// entry of a product. Not measured.
#[cfg(feature = "rayon")]
const ELEMENTS_PER_ENTRY: usize = 4;

/// Returns the mean of `v` over the entries of a row, divided by `divisor`.
#[inline(always)]
pub(super) fn mean(columns: &[u32], v: &[f64], divisor: f64) -> f64 {
    let sum: f64 = columns.iter().map(|&j| v[j as usize]).sum();
    sum / (columns.len() as f64 * divisor)
}

impl<T: Real> Pattern<'_, '_, T> {
    /// Subtracts the mean of `v` over the entries of each row, divided by `divisor`, from the
    /// columns of the row.
    fn subtract_means(&mut self, v: &[f64], divisor: f64, out: &mut [f64]) {
        let rows = &self.active.rows;
        #[cfg(feature = "rayon")]
        if self.road.shares((rows.columns.len(), ELEMENTS_PER_ENTRY)) {
            return threads::subtract_means(rows, (v, divisor), self.means, out);
        }
        for (columns, _) in rows.iter() {
            let mean = mean(columns, v, divisor);
            for &j in columns {
                out[j as usize] -= mean;
            }
        }
    }
}

impl<T: Real> System for Pattern<'_, '_, T> {
    fn times(&mut self, v: &[f64], out: &mut [f64]) {
        let divisor = 1.0 + self.lambda;
        // The counts are those of all ranks: one of them adds the diagonal.
        let own = if self.ranks.is_first() { divisor } else { 0.0 };
        for ((out, v), m) in out.iter_mut().zip(v).zip(&self.active.column_counts) {
            *out = own * m * v;
        }
        self.subtract_means(v, divisor, out);
        self.ranks.reduce(out, &mut [], &mut []);
    }

    fn inverse_diagonal(&mut self, out: &mut [f64]) {
        out.fill(0.0);
        for (columns, _) in self.active.rows.iter() {
            for &j in columns {
                out[j as usize] += 1.0 / (columns.len() as f64 * (1.0 + self.lambda));
            }
        }
        self.ranks.reduce(out, &mut [], &mut []);
        for (out, m) in out.iter_mut().zip(&self.active.column_counts) {
            let diagonal = ((1.0 + self.lambda) * m - *out).max(self.lambda * m);
            *out = if diagonal > 0.0 { 1.0 / diagonal } else { 0.0 };
        }
    }
}
