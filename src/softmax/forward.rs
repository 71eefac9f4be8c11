//! Softmax, log-softmax and log-sum-exp of slices and of rows.

#[cfg(feature = "rayon")]
use super::long_rows::{one_row, one_row_mut};
#[cfg(feature = "rayon")]
use super::options::Softmax;
use crate::check::Shape;
use crate::dispatch::functions_and_isa_methods;
use crate::kernels::softmax::{Logits, SrcDstRows};
use crate::real::Element;
use crate::{Error, MatMut, MatRef, check};

functions_and_isa_methods! {
    /// Computes the softmax of a slice: `out[i] = exp(x[i]) / sum_j exp(x[j])`.
    ///
    /// - Accuracy: 4 ulp for results >= 2^-100 (f64: 2^-996), smaller ones 2^-100 (f64: 2^-996)
    ///   absolute; any length. In f32, up to 6 ulp for about one result in 100,000 of rows in which
    ///   one logit outweighs many others.
    /// - Special values: as in the [table](crate#special-values); an empty slice is a no-op.
    /// - Errors: [`Error::LengthMismatch`] if `out` and `x` differ in length; `out` is then
    ///   unchanged.
    /// - Cost and source: 1 exp per element, 2 if the sum of 4096 exponentials exceeds about e^55
    ///   (f64: e^443) or the first 4096 logits are all below about -14. Slices much larger than the
    ///   last-level cache take 2, are read twice and written once, past the caches: on AVX-512 from
    ///   5/8 of its size in f32 (4 times its size in f64), and from 4 times its size in f32 on AVX2
    ///   and NEON. Dukhan & Ablavatski 2020, "The Two-Pass Softmax Algorithm", algorithm 3.
    ///
    /// ```
    /// let mut p = [0.0_f32; 3];
    /// mantex::softmax(&[0.0, 2.0_f32.ln(), f32::NEG_INFINITY], &mut p)?;
    /// assert!((p[1] - 2.0 / 3.0).abs() < 1e-6 && p[2] == 0.0);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn softmax(x: &[T], out: &mut [T]) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.len())?;
        #[cfg(feature = "rayon")]
        if road.shares_each_row((1, x.len())) {
            return Softmax::on(road).rows(one_row(x), one_row_mut(out));
        }
        T::softmax(road, Some(x), out);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the softmax of a slice in place: `x[i] = exp(x[i]) / sum_j exp(x[j])`.
    ///
    /// - Accuracy: as [`softmax`], with the same bits.
    /// - Special values: as in the [table](crate#special-values); an empty slice is a no-op.
    /// - Errors: none.
    /// - Cost and source: as [`softmax`], and a pass for the smallest and the largest element,
    ///   because elements are overwritten before their sum is known. 2 exp per element if one is
    ///   -inf or below -1e20.
    ///
    /// ```
    /// let mut x = [5.0_f64; 4];
    /// mantex::softmax_in_place(&mut x);
    /// assert_eq!(x, [0.25; 4]);
    /// ```
    fn softmax_in_place(x: &mut [T]) |road| {
        #[cfg(feature = "rayon")]
        if road.shares_each_row((1, x.len())) {
            return road.softmax_rows_in_place(one_row_mut(x));
        }
        T::softmax(road, None, x);
    }
}

functions_and_isa_methods! {
    /// Computes the log-softmax of a slice: `out[i] = x[i] - ln(sum_j exp(x[j]))`.
    ///
    /// - Accuracy: 2 ulp of the result at any size and any length, also under a large common offset
    ///   of the inputs. Results are never above 0, and +0 for a slice of one element.
    /// - Special values: as in the [table](crate#special-values); an empty slice is a no-op.
    /// - Errors: [`Error::LengthMismatch`] if `out` and `x` differ in length; `out` is then
    ///   unchanged.
    /// - Cost and source: 1 exp per element, 2 in blocks of 4096 elements that need a new base; 2
    ///   reads and 1 write, past the caches from 0.4 of the last-level cache on; 1 exp and 2 reads
    ///   more if one exponential is more than about a third of the sum. As [`log_sum_exp`], then
    ///   the definition, or `(x[i] - max) - ln(1 + s)` with the sum s of all but the largest
    ///   exponential, relative to the largest.
    ///
    /// ```
    /// let mut y = [0.0_f32; 2];
    /// mantex::log_softmax(&[1e6, 1e6], &mut y)?;
    /// assert!((y[0] + 2.0_f32.ln()).abs() < 1e-6);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_softmax(x: &[T], out: &mut [T]) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.len())?;
        #[cfg(feature = "rayon")]
        if road.shares_each_row((1, x.len())) {
            return Softmax::on(road).log_rows(one_row(x), one_row_mut(out));
        }
        T::log_softmax(road, Some(x), out);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the log-softmax of a slice in place: `x[i] = x[i] - ln(sum_j exp(x[j]))`.
    ///
    /// - Accuracy: as [`log_softmax`], with the same bits.
    /// - Special values: as in the [table](crate#special-values); an empty slice is a no-op.
    /// - Errors: none.
    /// - Cost and source: as [`log_softmax`].
    ///
    /// ```
    /// let mut x = [1e6_f32, 1e6];
    /// mantex::log_softmax_in_place(&mut x);
    /// assert!((x[0] + 2.0_f32.ln()).abs() < 1e-6);
    /// ```
    fn log_softmax_in_place(x: &mut [T]) |road| {
        #[cfg(feature = "rayon")]
        if road.shares_each_row((1, x.len())) {
            return road.log_softmax_rows_in_place(one_row_mut(x));
        }
        T::log_softmax(road, None, x);
    }
}

functions_and_isa_methods! {
    /// Returns the log-sum-exp of a slice: `ln(sum_i exp(x[i]))`, without overflow or underflow.
    ///
    /// - Accuracy: 2 ulp of the largest of the result, max and their difference, where max is the
    ///   largest element; any length. If max is 0, that is 2 ulp of the result. The result is never
    ///   below max. It is ill-conditioned if it is near 0 and max is not.
    /// - Special values: as in the [table](crate#special-values); an empty slice gives -inf.
    /// - Errors: none.
    /// - Cost and source: 1 exp and 1 read per element, 2 exp in blocks of 4096 elements that need
    ///   a new base; 1 exp and 2 reads more if one exponential is more than about a third of the
    ///   sum and the result is between -8 and 8, or instead of a new base in slices of up to 4096
    ///   elements. Dukhan & Ablavatski 2020, algorithm 3, pass 1.
    ///
    /// ```
    /// assert_eq!(mantex::log_sum_exp(&[3e38_f32, 3e38]), 3e38);
    /// ```
    #[must_use]
    fn log_sum_exp(x: &[T]) -> T |road| {
        #[cfg(feature = "rayon")]
        if road.shares_each_row((1, x.len())) {
            let mut out = [T::zero()];
            if Softmax::on(road).log_sum_exp_rows(one_row(x), &mut out).is_ok() {
                return out[0];
            }
        }
        T::log_sum_exp(road, x)
    }
}

functions_and_isa_methods! {
    /// Computes the softmax of every row of a matrix:
    /// `out[i][j] = exp(x[i][j]) / sum_k exp(x[i][k])`.
    ///
    /// - Accuracy: as [`softmax`].
    /// - Special values: as in the [table](crate#special-values), row by row.
    /// - Errors: [`Error::ShapeMismatch`] if `out` and `x` differ in shape; `out` is then
    ///   unchanged.
    /// - Cost and source: as [`softmax`]; short rows are processed in groups.
    ///
    /// [`Softmax`](crate::Softmax) adds a scale and masks.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// let mut p = [0.0_f64; 4];
    /// let x = [0.0, 0.0, 7.0, 7.0];
    /// mantex::softmax_rows(MatRef::new(&x, 2, 2)?, MatMut::new(&mut p, 2, 2)?)?;
    /// assert_eq!(p, [0.5; 4]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn softmax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> |road| {
        check::shape("out", &out, (x.rows(), x.cols()))?;
        #[cfg(feature = "rayon")]
        if road.shares_each_row(x.shape()) {
            return Softmax::on(road).rows(x, out);
        }
        // Rows without columns take no memory: a loop over them might never end.
        if x.cols() > 0 {
            road.each_band(x.shape(), (x, out), |(x, out)| {
                T::softmax_rows(road, Logits::unmasked(SrcDstRows::new(x, out), T::one()));
            });
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the softmax of every row of a matrix in place:
    /// `x[i][j] = exp(x[i][j]) / sum_k exp(x[i][k])`.
    ///
    /// - Accuracy: as [`softmax_rows`], with the same bits.
    /// - Special values: as in the [table](crate#special-values), row by row.
    /// - Errors: none.
    /// - Cost and source: as [`softmax_in_place`]; short rows are processed in groups.
    ///
    /// [`Softmax`](crate::Softmax) adds a scale and masks.
    ///
    /// ```
    /// let mut x = [0.0_f64, 0.0, 7.0, 7.0];
    /// mantex::softmax_rows_in_place(mantex::MatMut::new(&mut x, 2, 2)?);
    /// assert_eq!(x, [0.5; 4]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn softmax_rows_in_place(x: MatMut<'_, T>) |road| {
        #[cfg(feature = "rayon")]
        if road.shares_each_row(x.shape()) {
            return Softmax::on(road).rows_in_place(x).expect("no options");
        }
        // Rows without columns take no memory: a loop over them might never end.
        if x.cols() > 0 {
            road.each_band(x.shape(), x, |x| {
                T::softmax_rows(road, Logits::unmasked(SrcDstRows::in_place(x), T::one()));
            });
        }
    }
}

functions_and_isa_methods! {
    /// Computes the log-softmax of every row of a matrix:
    /// `out[i][j] = x[i][j] - ln(sum_k exp(x[i][k]))`.
    ///
    /// - Accuracy: as [`log_softmax`].
    /// - Special values: as in the [table](crate#special-values), row by row.
    /// - Errors: [`Error::ShapeMismatch`] if `out` and `x` differ in shape; `out` is then
    ///   unchanged.
    /// - Cost and source: as [`log_softmax`]; short rows are processed in groups.
    ///
    /// [`Softmax`](crate::Softmax) adds a scale and masks.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// let mut y = [0.0_f64; 4];
    /// let x = [0.0, 0.0, 7.0, 7.0];
    /// mantex::log_softmax_rows(MatRef::new(&x, 2, 2)?, MatMut::new(&mut y, 2, 2)?)?;
    /// assert!(y.iter().all(|y| (y + 2.0_f64.ln()).abs() < 1e-15));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_softmax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> |road| {
        check::shape("out", &out, (x.rows(), x.cols()))?;
        #[cfg(feature = "rayon")]
        if road.shares_each_row(x.shape()) {
            return Softmax::on(road).log_rows(x, out);
        }
        // Rows without columns take no memory: a loop over them might never end.
        if x.cols() > 0 {
            road.each_band(x.shape(), (x, out), |(x, out)| {
                T::log_softmax_rows(road, Logits::unmasked(SrcDstRows::new(x, out), T::one()));
            });
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the log-softmax of every row of a matrix in place:
    /// `x[i][j] = x[i][j] - ln(sum_k exp(x[i][k]))`.
    ///
    /// - Accuracy: as [`log_softmax`], with the bits of [`log_softmax_rows`].
    /// - Special values: as in the [table](crate#special-values), row by row.
    /// - Errors: none.
    /// - Cost and source: as [`log_softmax_rows`].
    ///
    /// [`Softmax`](crate::Softmax) adds a scale and masks.
    ///
    /// ```
    /// let mut x = [0.0_f64, 0.0, 7.0, 7.0];
    /// mantex::log_softmax_rows_in_place(mantex::MatMut::new(&mut x, 2, 2)?);
    /// assert!(x.iter().all(|y| (y + 2.0_f64.ln()).abs() < 1e-15));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_softmax_rows_in_place(x: MatMut<'_, T>) |road| {
        #[cfg(feature = "rayon")]
        if road.shares_each_row(x.shape()) {
            return Softmax::on(road).log_rows_in_place(x).expect("no options");
        }
        // Rows without columns take no memory: a loop over them might never end.
        if x.cols() > 0 {
            road.each_band(x.shape(), x, |x| {
                T::log_softmax_rows(road, Logits::unmasked(SrcDstRows::in_place(x), T::one()));
            });
        }
    }
}

functions_and_isa_methods! {
    /// Computes the log-sum-exp of every row of a matrix: `out[i] = ln(sum_j exp(x[i][j]))`.
    ///
    /// - Accuracy: as [`log_sum_exp`].
    /// - Special values: as in the [table](crate#special-values), row by row.
    /// - Errors: [`Error::LengthMismatch`] if `out` does not have an element per row of `x`; `out`
    ///   is then unchanged.
    /// - Cost and source: as [`log_sum_exp`]; short rows are processed in groups.
    ///
    /// [`Softmax`](crate::Softmax) adds a scale and masks.
    ///
    /// ```
    /// let mut y = [0.0_f64; 2];
    /// mantex::log_sum_exp_rows(mantex::MatRef::new(&[0.0, 0.0, 1e9, 1e9], 2, 2)?, &mut y)?;
    /// assert_eq!(y, [2.0_f64.ln(), 1e9 + 2.0_f64.ln()]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_sum_exp_rows(x: MatRef<'_, T>, out: &mut [T]) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.rows())?;
        #[cfg(feature = "rayon")]
        if road.shares_each_row(x.shape()) {
            return Softmax::on(road).log_sum_exp_rows(x, out);
        }
        road.each_band(x.shape(), (x, out), |(x, out)| {
            T::log_sum_exp_rows(road, Logits::unmasked(SrcDstRows::reading(x), T::one()), out);
        });
        Ok(())
    }
}
