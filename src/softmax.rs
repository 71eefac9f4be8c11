//! Softmax, log-softmax and log-sum-exp, and the sum of exponentials they rest on.

use crate::kernels::softmax::{Logits, Sum};
use crate::{Error, Isa, MatMut, MatRef, Real};

pub(crate) fn same_length<T>(x: &[T], out: &[T]) -> Result<(), Error> {
    if x.len() == out.len() {
        Ok(())
    } else {
        Err(Error::Length { argument: "out", actual: out.len(), expected: x.len() })
    }
}

pub(crate) fn same_shape<T>(argument: &'static str, x: &MatRef<'_, T>, out: &MatMut<'_, T>) -> Result<(), Error> {
    let (actual, expected) = ((out.rows(), out.cols()), (x.rows(), x.cols()));
    if actual == expected { Ok(()) } else { Err(Error::Shape { argument, actual, expected }) }
}

/// Whether a slice has an element per row.
pub(crate) fn element_per_row<T>(argument: &'static str, actual: usize, x: &MatRef<'_, T>) -> Result<(), Error> {
    if actual == x.rows() { Ok(()) } else { Err(Error::Length { argument, actual, expected: x.rows() }) }
}

/// Defines a function on the best instruction set and its `_on` twin from one body, which sees `isa: Option<Isa>`.
macro_rules! on_any_isa {
    ($(#[$doc:meta])* fn $name:ident / $name_on:ident($($arg:ident: $ty:ty),*) -> $ret:ty = |$isa:ident| $body:expr;) => {
        $(#[$doc])*
        #[inline]
        pub fn $name<T: Real>($($arg: $ty),*) -> $ret {
            let $isa = None;
            $body
        }

        #[doc = concat!("[`", stringify!($name), "`] on the given instruction set; errors are the same.")]
        #[inline]
        pub fn $name_on<T: Real>(isa: Isa, $($arg: $ty),*) -> $ret {
            let $isa = Some(isa);
            $body
        }
    };
}
pub(crate) use on_any_isa;

on_any_isa! {
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
    /// [`Error::Length`] where `out` is not as long as `x`.
    fn softmax / softmax_on(x: &[T], out: &mut [T]) -> Result<(), Error> = |isa| {
        same_length(x, out)?;
        T::softmax(isa, x, out);
        Ok(())
    };
}

on_any_isa! {
    /// [`softmax`], in place: the same accuracy and special values. Rows that are stored and rescaled take a pass for the
    /// maximum first.
    ///
    /// ```
    /// let mut x = [5.0_f64; 4];
    /// mantex::softmax_in_place(&mut x);
    /// assert_eq!(x, [0.25; 4]);
    /// ```
    fn softmax_in_place / softmax_in_place_on(x: &mut [T]) -> () = |isa| T::softmax_in_place(isa, x);
}

on_any_isa! {
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
    /// [`Error::Length`] where `out` is not as long as `x`.
    fn log_softmax / log_softmax_on(x: &[T], out: &mut [T]) -> Result<(), Error> = |isa| {
        same_length(x, out)?;
        T::log_softmax(isa, x, out);
        Ok(())
    };
}

on_any_isa! {
    /// `ln(sum_i exp(x[i]))` without overflow or underflow, in one read of `x`.
    ///
    /// Within 2 ulp, or 2 ulp of 1 where the result is between -1 and 1. -inf for an empty slice; other special values as in the
    /// [crate's table](crate#special-values).
    ///
    /// ```
    /// assert_eq!(mantex::log_sum_exp(&[3e38_f32, 3e38]), 3e38);
    /// ```
    fn log_sum_exp / log_sum_exp_on(x: &[T]) -> T = |isa| T::sum(isa, x).ln();
}

on_any_isa! {
    /// [`softmax`] of every row of a matrix, with the instruction set chosen once for all.
    ///
    /// # Errors
    /// [`Error::Shape`] where `out` has another shape than `x`.
    fn softmax_rows / softmax_rows_on(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> = |isa| {
        same_shape("out", &x, &out)?;
        // Rows without columns take no memory: there may be any number of them.
        if x.cols() > 0 {
            T::softmax_rows(isa, Logits::plain(x), out);
        }
        Ok(())
    };
}

on_any_isa! {
    /// [`log_softmax`] of every row of a matrix, with the instruction set chosen once for all.
    ///
    /// # Errors
    /// [`Error::Shape`] where `out` has another shape than `x`.
    fn log_softmax_rows / log_softmax_rows_on(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> = |isa| {
        same_shape("out", &x, &out)?;
        // Rows without columns take no memory: there may be any number of them.
        if x.cols() > 0 {
            T::log_softmax_rows(isa, Logits::plain(x), out);
        }
        Ok(())
    };
}

on_any_isa! {
    /// [`log_sum_exp`] of every row of a matrix, with the instruction set chosen once for all: `out[i]` is that of row i.
    ///
    /// # Errors
    /// [`Error::Length`] where `out` does not have an element per row of `x`.
    fn log_sum_exp_rows / log_sum_exp_rows_on(x: MatRef<'_, T>, out: &mut [T]) -> Result<(), Error> = |isa| {
        element_per_row("out", out.len(), &x)?;
        T::log_sum_exp_rows(isa, Logits::plain(x), out);
        Ok(())
    };
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
        Self { scale: T::ONE, mask: None, masked_rows_are_zero: false }
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
            return Err(Error::Parameter { argument: "scale", value: scale, expected: "finite and not 0" });
        }
        if let Some(mask) = self.mask {
            let (actual, expected) = ((mask.rows(), mask.cols()), (x.rows(), x.cols()));
            if actual != expected && actual != (1, x.cols()) {
                return Err(Error::Shape { argument: "mask", actual, expected });
            }
        }
        Ok(Logits { x, scale: self.scale, mask: self.mask, zeros: self.masked_rows_are_zero })
    }
}

on_any_isa! {
    /// [`softmax_rows`] of logits with a scale and a mask.
    ///
    /// # Errors
    /// [`Error::Shape`] where `out` has another shape than `x`, or the mask has and is not one row as long; and
    /// [`Error::Parameter`] where the scale is 0 or not finite.
    fn softmax_rows_with / softmax_rows_with_on(
        x: MatRef<'_, T>, out: MatMut<'_, T>, options: &SoftmaxOptions<'_, T>
    ) -> Result<(), Error> = |isa| {
        same_shape("out", &x, &out)?;
        let logits = options.of(x)?;
        if x.cols() > 0 {
            T::softmax_rows(isa, logits, out);
        }
        Ok(())
    };
}

on_any_isa! {
    /// [`log_softmax_rows`] of logits with a scale and a mask.
    ///
    /// # Errors
    /// As [`softmax_rows_with`].
    fn log_softmax_rows_with / log_softmax_rows_with_on(
        x: MatRef<'_, T>, out: MatMut<'_, T>, options: &SoftmaxOptions<'_, T>
    ) -> Result<(), Error> = |isa| {
        same_shape("out", &x, &out)?;
        let logits = options.of(x)?;
        if x.cols() > 0 {
            T::log_softmax_rows(isa, logits, out);
        }
        Ok(())
    };
}

on_any_isa! {
    /// [`log_sum_exp_rows`] of logits with a scale and a mask: -inf for rows without logits.
    ///
    /// # Errors
    /// [`Error::Length`] where `out` does not have an element per row of `x`; else as [`softmax_rows_with`].
    fn log_sum_exp_rows_with / log_sum_exp_rows_with_on(
        x: MatRef<'_, T>, out: &mut [T], options: &SoftmaxOptions<'_, T>
    ) -> Result<(), Error> = |isa| {
        element_per_row("out", out.len(), &x)?;
        T::log_sum_exp_rows(isa, options.of(x)?, out);
        Ok(())
    };
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
        Self(T::sum(None, x))
    }

    /// [`ExtSum::of`] on the given instruction set.
    #[inline]
    pub fn of_on(isa: Isa, x: &[T]) -> Self {
        Self(T::sum(Some(isa), x))
    }

    /// The sum of both: associative up to rounding, commutative.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self(self.0.merge(other.0))
    }

    /// The logarithm of the sum; -inf when empty.
    pub fn ln(self) -> T {
        self.0.ln()
    }
}

impl<T: Real> Default for ExtSum<T> {
    fn default() -> Self {
        Self(Sum::EMPTY)
    }
}
