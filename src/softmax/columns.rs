//! Softmax, log-softmax and log-sum-exp of the columns of a row-major matrix.
//!
//! These are also the rows of a column-major matrix, viewed as its transpose.

use crate::bands::Columns;
use crate::dispatch::functions_and_isa_methods;
use crate::kernels::softmax::{Logits, SrcDstRows};
use crate::real::Element;
use crate::{Error, MatMut, MatRef, check};

/// The least columns of a band of a thread: narrower ones read too little of each row at once.
/// Other numbers: not measured.
const MIN_BAND_COLUMNS: usize = 256;

functions_and_isa_methods! {
    /// Computes the softmax of every column of a matrix:
    /// `out[i][j] = exp(x[i][j]) / sum_k exp(x[k][j])`.
    ///
    /// - Accuracy: 4 ulp for results >= 2^-100 (f64: 2^-996), smaller ones 2^-100 (f64: 2^-996)
    ///   absolute; any number of rows.
    /// - Special values: as in the [table](crate#special-values), column by column.
    /// - Errors: [`Error::ShapeMismatch`] if `out` and `x` differ in shape; `out` is then
    ///   unchanged.
    /// - Cost and source: 1 exp, 2 reads and 2 writes per element, one of each in the caches; if
    ///   the matrices do not fit there, or in place, 2 exp, 2 reads and 1 write, except in f64 on
    ///   AVX2; from the definition. Columns whose sum is above about e^55 (f64: e^443) or below
    ///   2^-20 take 2 exp and 3 reads more, relative to their maximum.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// let mut p = [0.0_f64; 4];
    /// let x = [0.0, 7.0, 0.0, 7.0];
    /// mantex::softmax_columns(MatRef::new(&x, 2, 2)?, MatMut::new(&mut p, 2, 2)?)?;
    /// assert_eq!(p, [0.5; 4]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn softmax_columns(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> |road| {
        check::shape("out", &out, (x.rows(), x.cols()))?;
        road.each_band_of(MIN_BAND_COLUMNS, (x.cols(), x.rows()), (Columns(x), Columns(out)), |(x, out)| {
            T::softmax_columns(road, Logits::unmasked(SrcDstRows::new(x.0, out.0), T::one()));
        });
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the softmax of every column of a matrix in place:
    /// `x[i][j] = exp(x[i][j]) / sum_k exp(x[k][j])`.
    ///
    /// - Accuracy: as [`softmax_columns`], with the same bits.
    /// - Special values: as in the [table](crate#special-values), column by column.
    /// - Errors: none.
    /// - Cost and source: as [`softmax_columns`].
    ///
    /// ```
    /// let mut x = [0.0_f64, 7.0, 0.0, 7.0];
    /// mantex::softmax_columns_in_place(mantex::MatMut::new(&mut x, 2, 2)?);
    /// assert_eq!(x, [0.5; 4]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn softmax_columns_in_place(x: MatMut<'_, T>) |road| {
        road.each_band_of(MIN_BAND_COLUMNS, (x.cols(), x.rows()), Columns(x), |x| {
            T::softmax_columns(road, Logits::unmasked(SrcDstRows::in_place(x.0), T::one()));
        });
    }
}

functions_and_isa_methods! {
    /// Computes the log-softmax of every column of a matrix:
    /// `out[i][j] = x[i][j] - ln(sum_k exp(x[k][j]))`.
    ///
    /// - Accuracy: 2 ulp of the result at any size and any number of rows, also under a large
    ///   common offset of a column. Results are never above 0, and +0 for a single row.
    /// - Special values: as in the [table](crate#special-values), column by column.
    /// - Errors: [`Error::ShapeMismatch`] if `out` and `x` differ in shape; `out` is then
    ///   unchanged.
    /// - Cost and source: 1 exp per element, 2 reads and 1 write; from the definition. Columns with
    ///   up to 8 rows, those that [`softmax_columns`] takes relative to their maximum, and those
    ///   with an exponential above about a third of the sum take 1 exp and 2 reads more:
    ///   `(x[i][j] - max) - ln(1 + s)` with the sum s of all but the largest exponential, relative
    ///   to the largest.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// let mut y = [0.0_f64; 4];
    /// let x = [0.0, 7.0, 0.0, 7.0];
    /// mantex::log_softmax_columns(MatRef::new(&x, 2, 2)?, MatMut::new(&mut y, 2, 2)?)?;
    /// assert!(y.iter().all(|y| (y + 2.0_f64.ln()).abs() < 1e-15));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_softmax_columns(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> |road| {
        check::shape("out", &out, (x.rows(), x.cols()))?;
        road.each_band_of(MIN_BAND_COLUMNS, (x.cols(), x.rows()), (Columns(x), Columns(out)), |(x, out)| {
            T::log_softmax_columns(road, Logits::unmasked(SrcDstRows::new(x.0, out.0), T::one()));
        });
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the log-softmax of every column of a matrix in place:
    /// `x[i][j] = x[i][j] - ln(sum_k exp(x[k][j]))`.
    ///
    /// - Accuracy: as [`log_softmax_columns`], with the same bits.
    /// - Special values: as in the [table](crate#special-values), column by column.
    /// - Errors: none.
    /// - Cost and source: as [`log_softmax_columns`].
    ///
    /// ```
    /// let mut x = [0.0_f64, 7.0, 0.0, 7.0];
    /// mantex::log_softmax_columns_in_place(mantex::MatMut::new(&mut x, 2, 2)?);
    /// assert!(x.iter().all(|y| (y + 2.0_f64.ln()).abs() < 1e-15));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_softmax_columns_in_place(x: MatMut<'_, T>) |road| {
        road.each_band_of(MIN_BAND_COLUMNS, (x.cols(), x.rows()), Columns(x), |x| {
            T::log_softmax_columns(road, Logits::unmasked(SrcDstRows::in_place(x.0), T::one()));
        });
    }
}

functions_and_isa_methods! {
    /// Computes the log-sum-exp of every column of a matrix: `out[j] = ln(sum_i exp(x[i][j]))`.
    ///
    /// - Accuracy: 2 ulp of the largest of the result, max and their difference, where max is the
    ///   largest element of the column; any number of rows. The result is never below max.
    /// - Special values: as in the [table](crate#special-values), column by column; without rows
    ///   the results are -inf.
    /// - Errors: [`Error::LengthMismatch`] if `out` does not have an element per column of `x`;
    ///   `out` is then unchanged.
    /// - Cost and source: 1 exp and 1 read per element, with the exceptions of
    ///   [`log_softmax_columns`].
    ///
    /// ```
    /// let mut y = [0.0_f64; 2];
    /// mantex::log_sum_exp_columns(mantex::MatRef::new(&[0.0, 1e9, 0.0, 1e9], 2, 2)?, &mut y)?;
    /// assert_eq!(y, [2.0_f64.ln(), 1e9 + 2.0_f64.ln()]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_sum_exp_columns(x: MatRef<'_, T>, out: &mut [T]) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.cols())?;
        road.each_band_of(MIN_BAND_COLUMNS, (x.cols(), x.rows()), (Columns(x), out), |(x, out)| {
            T::log_sum_exp_columns(road, x.0, out);
        });
        Ok(())
    }
}
