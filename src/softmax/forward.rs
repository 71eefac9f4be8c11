//! Softmax, log-softmax and log-sum-exp, and the sum of exponentials they rest on.

use crate::dispatch::Road;
use crate::isa::functions_and_isa_methods;
use crate::kernels::softmax::{Logits, Sum};
use crate::real::Element;
use crate::{Error, Isa, MatMut, MatRef, Real, check};

functions_and_isa_methods! {
    /// Softmax of one row: `out[i] = exp(x[i]) / sum_j exp(x[j])`.
    ///
    /// Within 4 ulp for results of at least 2^-100 (f64: 2^-996), for any length and all finite inputs; special values as
    /// in the [crate's table](crate#special-values). Rows in cache take one exponential per element, twice where the row
    /// needs a second look (a maximum outside of about -14..44, or -inf at its start). Where exponentials are cheap
    /// (AVX-512, f32 on AVX2 and NEON), rows of 16 MiB and more are read twice and written once, past the caches (Dukhan &
    /// Ablavatski 2020, "The Two-Pass Softmax Algorithm", algorithm 3).
    ///
    /// ```
    /// let mut p = [0.0_f32; 3];
    /// mantex::softmax(&[0.0, 2.0_f32.ln(), f32::NEG_INFINITY], &mut p)?;
    /// assert!((p[1] - 2.0 / 3.0).abs() < 1e-6 && p[2] == 0.0);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] where `out` is not as long as `x`.
    fn softmax(x: &[T], out: &mut [T]) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.len())?;
        T::softmax(road, x, out);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`softmax`], in place: the same accuracy and special values. Rows that are stored and rescaled take a pass for the
    /// maximum first.
    ///
    /// ```
    /// let mut x = [5.0_f64; 4];
    /// mantex::softmax_in_place(&mut x);
    /// assert_eq!(x, [0.25; 4]);
    /// ```
    fn softmax_in_place(x: &mut [T]) |road| { T::softmax_in_place(road, x) }
}

functions_and_isa_methods! {
    /// Logarithm of the softmax of one row: `out[i] = x[i] - ln(sum_j exp(x[j]))`.
    ///
    /// Within 4 ulp of the larger of 1 and the result: the logarithm is subtracted in two parts, so a large common offset
    /// of all inputs costs no digits. Special values as in the [crate's table](crate#special-values).
    ///
    /// ```
    /// let mut y = [0.0_f32; 2];
    /// mantex::log_softmax(&[1e6, 1e6], &mut y)?;
    /// assert!((y[0] + 2.0_f32.ln()).abs() < 1e-6);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] where `out` is not as long as `x`.
    fn log_softmax(x: &[T], out: &mut [T]) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.len())?;
        T::log_softmax(road, x, out);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// `ln(sum_i exp(x[i]))` without overflow or underflow, in one read of `x`.
    ///
    /// Within 2 ulp, or 2 ulp of 1 where the result is between -1 and 1. -inf for an empty slice; other special values as in the
    /// [crate's table](crate#special-values).
    ///
    /// ```
    /// assert_eq!(mantex::log_sum_exp(&[3e38_f32, 3e38]), 3e38);
    /// ```
    fn log_sum_exp(x: &[T]) -> T |road| { T::log_sum_exp(road, x) }
}

functions_and_isa_methods! {
    /// [`softmax`] of every row of a matrix, with the instruction set chosen once for all.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `out` has another shape than `x`.
    fn softmax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> |road| {
        check::shape("out", &out, (x.rows(), x.cols()))?;
        // Rows without columns take no memory: there may be any number of them.
        if x.cols() > 0 {
            T::softmax_rows(road, Logits::plain(x, T::one()), out);
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`log_softmax`] of every row of a matrix, with the instruction set chosen once for all.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `out` has another shape than `x`.
    fn log_softmax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> |road| {
        check::shape("out", &out, (x.rows(), x.cols()))?;
        // Rows without columns take no memory: there may be any number of them.
        if x.cols() > 0 {
            T::log_softmax_rows(road, Logits::plain(x, T::one()), out);
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`log_sum_exp`] of every row of a matrix, with the instruction set chosen once for all: `out[i]` is that of row i.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] where `out` does not have an element per row of `x`.
    fn log_sum_exp_rows(x: MatRef<'_, T>, out: &mut [T]) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.rows())?;
        T::log_sum_exp_rows(road, Logits::plain(x, T::one()), out);
        Ok(())
    }
}

/// What is done to logits on the way: a scale (1/temperature), an additive mask, and what becomes of rows without any
/// logit left. For [`softmax_rows_with`], [`log_softmax_rows_with`] and [`log_sum_exp_rows_with`].
///
/// The functions see `scale * x + mask`, rounded once to `T` (on scalar once each for product and sum); accuracy is
/// relative to that. Where the mask is -inf the entry is masked: 0 in the softmax whatever the logit is, NaN and +inf too.
///
/// ```
/// use mantex::{MatMut, MatRef, SoftmaxOptions};
/// const MASKED: f32 = f32::NEG_INFINITY;
/// let scores = [1.0_f32, 3.0, 5.0, 7.0];
/// let causal = [0.0, MASKED, 0.0, 0.0];
/// let options = SoftmaxOptions::new().scale(0.5).mask(MatRef::new(&causal, 2, 2)?);
/// let mut p = [0.0; 4];
/// mantex::softmax_rows_with(MatRef::new(&scores, 2, 2)?, MatMut::new(&mut p, 2, 2)?, &options)?;
/// assert_eq!(p[..2], [1.0, 0.0]);
/// assert!((p[3] - 1.0 / (1.0 + (-1.0_f32).exp())).abs() < 1e-6);
/// # Ok::<(), mantex::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxOptions<'a, T> {
    scale: T,
    mask: Option<MatRef<'a, T>>,
    masked_rows_are_zero: bool,
}

impl<T: Real> Default for SoftmaxOptions<'_, T> {
    fn default() -> Self {
        Self { scale: T::one(), mask: None, masked_rows_are_zero: false }
    }
}

impl<'a, T: Real> SoftmaxOptions<'a, T> {
    /// No scale, no mask, NaN for rows without logits.
    pub fn new() -> Self {
        Self::default()
    }

    /// What logits are multiplied with, for example 1/temperature; any finite number but 0.
    #[must_use]
    pub fn scale(self, scale: T) -> Self {
        Self { scale, ..self }
    }

    /// What is added to the scaled logits: a matrix of their shape, or one row for all rows. -inf masks an entry.
    #[must_use]
    pub fn mask(self, mask: MatRef<'a, T>) -> Self {
        Self { mask: Some(mask), ..self }
    }

    /// Whether the softmax of a row in which all logits are -inf (masked or given so) is 0, and its logarithm -inf,
    /// instead of NaN.
    #[must_use]
    pub fn masked_rows_are_zero(self, zero: bool) -> Self {
        Self { masked_rows_are_zero: zero, ..self }
    }

    /// The options with the logits they are for.
    fn of(&self, x: MatRef<'a, T>) -> Result<Logits<'a, T>, Error> {
        let scale = self.scale.to_f64();
        if !scale.is_finite() || scale == 0.0 {
            return Err(Error::InvalidParameter { argument: "scale", value: scale, expected: "finite and not 0" });
        }
        if let Some(mask) = self.mask {
            let (actual, expected) = ((mask.rows(), mask.cols()), (x.rows(), x.cols()));
            if actual != expected && actual != (1, x.cols()) {
                return Err(Error::ShapeMismatch { argument: "mask", actual, expected });
            }
        }
        Ok(Logits { x, scale: self.scale, mask: self.mask, zeros: self.masked_rows_are_zero })
    }
}

functions_and_isa_methods! {
    /// [`softmax_rows`] of logits with a scale and a mask.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `out` has another shape than `x`, or the mask has and is not one row as long; and
    /// [`Error::InvalidParameter`] where the scale is 0 or not finite.
    fn softmax_rows_with(
        x: MatRef<'_, T>, out: MatMut<'_, T>, options: &SoftmaxOptions<'_, T>
    ) -> Result<(), Error> |road| {
        check::shape("out", &out, (x.rows(), x.cols()))?;
        let logits = options.of(x)?;
        if x.cols() > 0 {
            T::softmax_rows(road, logits, out);
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`log_softmax_rows`] of logits with a scale and a mask.
    ///
    /// # Errors
    /// As [`softmax_rows_with`].
    fn log_softmax_rows_with(
        x: MatRef<'_, T>, out: MatMut<'_, T>, options: &SoftmaxOptions<'_, T>
    ) -> Result<(), Error> |road| {
        check::shape("out", &out, (x.rows(), x.cols()))?;
        let logits = options.of(x)?;
        if x.cols() > 0 {
            T::log_softmax_rows(road, logits, out);
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`log_sum_exp_rows`] of logits with a scale and a mask: -inf for rows without logits.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] where `out` does not have an element per row of `x`; else as [`softmax_rows_with`].
    fn log_sum_exp_rows_with(
        x: MatRef<'_, T>, out: &mut [T], options: &SoftmaxOptions<'_, T>
    ) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.rows())?;
        T::log_sum_exp_rows(road, options.of(x)?, out);
        Ok(())
    }
}

/// A sum of exponentials, relative to a base of its own: streams, merges, never overflows (Dukhan & Ablavatski 2020, section 4).
///
/// The sum of a whole may so be had from sums of its parts, on several threads or as they arrive. NaN and infinities are
/// kept as in [`log_sum_exp`].
///
/// ```
/// use mantex::ExtSum;
/// let parts = [ExtSum::of(&[1e5_f64, 2.0]), ExtSum::of(&[1e5]), ExtSum::default()];
/// let total = parts.into_iter().fold(ExtSum::default(), ExtSum::merge);
/// assert_eq!(total.ln(), mantex::log_sum_exp(&[1e5, 2.0, 1e5]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ExtSum<T: Real>(Sum<T>);

impl<T: Real> ExtSum<T> {
    /// The sum of `exp(x[i])`.
    #[inline]
    pub fn of(x: &[T]) -> Self {
        Self(T::ext_sum(Road::Best, x))
    }

    /// [`ExtSum::of`] on the given instruction set.
    #[inline]
    pub fn of_on(isa: Isa, x: &[T]) -> Self {
        Self(T::ext_sum(Road::On(isa), x))
    }

    /// The sum of both: associative up to rounding, commutative.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self(T::merge_ext_sums(Road::Best, self.0, other.0))
    }

    /// The logarithm of the sum; -inf when empty.
    pub fn ln(self) -> T {
        T::ext_sum_ln(Road::Best, self.0)
    }
}

impl<T: Real> Default for ExtSum<T> {
    fn default() -> Self {
        Self(T::ext_sum(Road::Best, &[]))
    }
}
