//! Softmax, log-softmax and log-sum-exp, and the sum of exponentials they rest on.

use crate::kernels::softmax::Sum;
use crate::{Error, Isa, MatMut, MatRef, Real};

pub(crate) fn same_length<T>(x: &[T], out: &[T]) -> Result<(), Error> {
    if x.len() == out.len() {
        Ok(())
    } else {
        Err(Error::Length { argument: "out", actual: out.len(), expected: x.len() })
    }
}

pub(crate) fn same_shape<T>(x: &MatRef<'_, T>, out: &MatMut<'_, T>) -> Result<(), Error> {
    let (actual, expected) = ((out.rows(), out.cols()), (x.rows(), x.cols()));
    if actual == expected { Ok(()) } else { Err(Error::Shape { argument: "out", actual, expected }) }
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
        same_shape(&x, &out)?;
        // Rows without columns take no memory: there may be any number of them.
        if x.cols() > 0 {
            T::softmax_rows(isa, x, out);
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
        same_shape(&x, &out)?;
        // Rows without columns take no memory: there may be any number of them.
        if x.cols() > 0 {
            T::log_softmax_rows(isa, x, out);
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
        if out.len() != x.rows() {
            return Err(Error::Length { argument: "out", actual: out.len(), expected: x.rows() });
        }
        T::log_sum_exp_rows(isa, x, out);
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
