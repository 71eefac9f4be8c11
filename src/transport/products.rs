//! Products of a plan, which is never stored, with vectors.

use super::solution::Transport;
use crate::kernels::transport::tuning::{MIN_PLAN_ENTRIES, MIN_PLAN_ROWS};
use crate::real::Element;
use crate::{Error, MatMut, MatRef, Real, check};
use alloc::vec;
use alloc::vec::Vec;

impl<T: Real> Transport<T> {
    /// Writes `P Y` (n x d) for the plan P (n x m) and the columns of Y (m x d), in the units of
    /// the masses: row i is `sum_j P_ij Y_j`.
    ///
    /// - Accuracy: entries of the plan as [`plan_into`](Self::plan_into), and a relative error of
    ///   about `EPSILON` times the sum of the magnitudes of the terms, independent of m.
    /// - Special values: forbidden pairs and rows and columns without mass contribute 0, but
    ///   numbers in Y must be finite: 0 times infinity is NaN.
    /// - Errors: [`Error::ShapeMismatch`] if `cost`, `y` or `out` does not have its shape; `out` is
    ///   then unchanged.
    /// - Cost and source: one read of the cost matrix, one exponential per entry, d multiply-adds
    ///   per entry, and O(m d) memory; Cuturi 2013.
    ///
    /// `cost` must be the matrix that was solved.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef, Sinkhorn};
    /// let cost = MatRef::new(&[0.0_f64, 1.0, 1.0, 0.0], 2, 2)?;
    /// let transport = Sinkhorn::new(0.05).solve(cost, &[0.5, 0.5], &[0.25, 0.75])?;
    /// let (ones, mut row_sums) = ([1.0; 2], [0.0; 2]);
    /// transport.plan_times(cost, MatRef::new(&ones, 2, 1)?, MatMut::new(&mut row_sums, 2, 1)?)?;
    /// assert!((row_sums[0] - 0.5).abs() < 1e-6);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn plan_times(&self, cost: MatRef<'_, T>, y: MatRef<'_, T>, mut out: MatMut<'_, T>) -> Result<(), Error> {
        let (n, m) = (self.f().len(), self.g().len());
        self.check_shape("cost", &cost)?;
        check::shape("y", &y, (m, y.cols()))?;
        check::shape("out", &out, (n, y.cols()))?;
        // One row per column of Y.
        let mut columns = vec![T::zero(); m * y.cols()];
        for (j, row) in y.iter_rows().enumerate() {
            for (k, &value) in row.iter().enumerate() {
                columns[k * m + j] = value;
            }
        }
        let vectors = MatRef::new(&columns, y.cols(), m)?;
        self.for_plan_blocks(cost, |first, plan| {
            let mut block = out.reborrow().split_at_row(first).1;
            let block = block.reborrow().split_at_row(plan.rows()).0;
            T::times_vectors(self.road, plan, vectors, block);
        })
    }

    /// Writes `P^T X` (m x d) for the plan P (n x m) and the columns of X (n x d), in the units of
    /// the masses: row j is `sum_i P_ij X_i`.
    ///
    /// - Accuracy: that of [`plan_times`](Self::plan_times), with sums in `f64`.
    /// - Special values: those of [`plan_times`](Self::plan_times).
    /// - Errors: [`Error::ShapeMismatch`] if `cost`, `x` or `out` does not have its shape; `out` is
    ///   then unchanged.
    /// - Cost and source: that of [`plan_times`](Self::plan_times).
    ///
    /// `cost` must be the matrix that was solved.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef, Sinkhorn};
    /// let cost = MatRef::new(&[0.0_f64, 1.0, 1.0, 0.0], 2, 2)?;
    /// let transport = Sinkhorn::new(0.05).solve(cost, &[0.5, 0.5], &[0.25, 0.75])?;
    /// let (ones, mut column_sums) = ([1.0; 2], [0.0; 2]);
    /// let out = MatMut::new(&mut column_sums, 2, 1)?;
    /// transport.plan_transposed_times(cost, MatRef::new(&ones, 2, 1)?, out)?;
    /// assert!((column_sums[1] - 0.75).abs() < 1e-6);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn plan_transposed_times(
        &self,
        cost: MatRef<'_, T>,
        x: MatRef<'_, T>,
        mut out: MatMut<'_, T>,
    ) -> Result<(), Error> {
        let (n, m) = (self.f().len(), self.g().len());
        self.check_shape("cost", &cost)?;
        check::shape("x", &x, (n, x.cols()))?;
        check::shape("out", &out, (m, x.cols()))?;
        let mut sums = vec![0.0; m * x.cols()];
        self.for_plan_blocks(cost, |first, plan| {
            let weights = x.split_at_row(first).1.split_at_row(plan.rows()).0;
            T::add_weighted_rows(self.road, plan, weights, &mut sums);
        })?;
        for j in 0..m {
            for (k, out) in out.row_mut(j).iter_mut().enumerate() {
                *out = T::rounded(sums[k * m + j]);
            }
        }
        Ok(())
    }

    /// Writes the barycentric projection of the rows (n x d): row i is the mean of the points `y`
    /// (m x d) under the plan, `sum_j P_ij y_j / sum_j P_ij`.
    ///
    /// - Accuracy: that of [`plan_times`](Self::plan_times), twice.
    /// - Special values: rows without mass are 0, and so are rows whose entries of the plan all
    ///   underflow in `T`.
    /// - Errors: those of [`plan_times`](Self::plan_times).
    /// - Cost and source: that of [`plan_times`](Self::plan_times) for d + 1 columns, and O(n d)
    ///   memory; Ferradans, Papadakis, Peyre & Aujol 2014, "Regularized Discrete Optimal
    ///   Transport".
    ///
    /// `cost` must be the matrix that was solved.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef, Sinkhorn};
    /// // Both sources send to the point 0, and the second also to the point 10.
    /// let cost = MatRef::new(&[0.0_f64, 1.0, 1.0, 0.0], 2, 2)?;
    /// let transport = Sinkhorn::new(0.05).solve(cost, &[0.25, 0.75], &[0.5, 0.5])?;
    /// let (points, mut projected) = ([0.0, 10.0], [0.0; 2]);
    /// let out = MatMut::new(&mut projected, 2, 1)?;
    /// transport.barycentric_projection(cost, MatRef::new(&points, 2, 1)?, out)?;
    /// assert!(projected[0].abs() < 1e-4 && (projected[1] - 20.0 / 3.0).abs() < 1e-4);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn barycentric_projection(
        &self,
        cost: MatRef<'_, T>,
        y: MatRef<'_, T>,
        mut out: MatMut<'_, T>,
    ) -> Result<(), Error> {
        let (n, m) = (self.f().len(), self.g().len());
        self.check_shape("cost", &cost)?;
        check::shape("y", &y, (m, y.cols()))?;
        check::shape("out", &out, (n, y.cols()))?;
        // One more column, of ones, gives the row sums.
        let cols = y.cols() + 1;
        let points: Vec<T> = y.iter_rows().flat_map(|row| row.iter().copied().chain([T::one()])).collect();
        let mut sums = vec![T::zero(); n * cols];
        self.plan_times(cost, MatRef::new(&points, m, cols)?, MatMut::new(&mut sums, n, cols)?)?;
        for (i, sums) in sums.chunks_exact(cols).enumerate() {
            let mass = sums[y.cols()];
            for (out, &sum) in out.row_mut(i).iter_mut().zip(sums) {
                *out = if mass > T::zero() { sum / mass } else { T::zero() };
            }
        }
        Ok(())
    }

    /// Calls `f` with blocks of rows of the plan, in order, and the index of the first row of each.
    fn for_plan_blocks(&self, cost: MatRef<'_, T>, mut f: impl FnMut(usize, MatRef<'_, T>)) -> Result<(), Error> {
        let (n, m) = (cost.rows(), cost.cols());
        let mut rows = self.plan_rows(cost)?;
        let mut block = vec![T::zero(); (MIN_PLAN_ENTRIES / m).max(MIN_PLAN_ROWS).min(n) * m];
        for first in (0..n).step_by(block.len() / m) {
            let count = (block.len() / m).min(n - first);
            let block = &mut block[..count * m];
            rows.write(first, MatMut::new(block, count, m)?);
            f(first, MatRef::new(block, count, m)?);
        }
        Ok(())
    }
}
