//! Softmax, log-softmax and log-sum-exp, and the sum of exponentials they rest on.

use crate::kernels::softmax::Sum;
use crate::{Error, Isa, MatMut, MatRef, Real};

fn same_length<T>(x: &[T], out: &[T]) -> Result<(), Error> {
    if x.len() == out.len() {
        Ok(())
    } else {
        Err(Error::Length { argument: "out", actual: out.len(), expected: x.len() })
    }
}

fn same_shape<T>(x: &MatRef<'_, T>, out: &MatMut<'_, T>) -> Result<(), Error> {
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

        #[doc = concat!("[`", stringify!($name), "`] on the given instruction set.")]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = concat!("As [`", stringify!($name), "`].")]
        #[inline]
        pub fn $name_on<T: Real>(isa: Isa, $($arg: $ty),*) -> $ret {
            let $isa = Some(isa);
            $body
        }
    };
}

on_any_isa! {
    /// Softmax of one row: `out[i] = exp(x[i]) / sum_j exp(x[j])`.
    fn softmax / softmax_on(x: &[T], out: &mut [T]) -> Result<(), Error> = |isa| {
        same_length(x, out)?;
        T::softmax(isa, x, out);
        Ok(())
    };
}

on_any_isa! {
    /// [`softmax`], in place.
    fn softmax_in_place / softmax_in_place_on(x: &mut [T]) -> () = |isa| T::softmax_in_place(isa, x);
}

on_any_isa! {
    /// Logarithm of the softmax of one row: `out[i] = x[i] - ln(sum_j exp(x[j]))`.
    fn log_softmax / log_softmax_on(x: &[T], out: &mut [T]) -> Result<(), Error> = |isa| {
        same_length(x, out)?;
        T::log_softmax(isa, x, out);
        Ok(())
    };
}

on_any_isa! {
    /// `ln(sum_i exp(x[i]))` without overflow or underflow.
    fn log_sum_exp / log_sum_exp_on(x: &[T]) -> T = |isa| T::sum(isa, x).ln();
}

on_any_isa! {
    /// [`softmax`] of every row of a matrix, dispatched once.
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
    /// [`log_softmax`] of every row of a matrix, dispatched once.
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
    /// [`log_sum_exp`] of every row of a matrix, dispatched once: `out[i]` is that of row i.
    fn log_sum_exp_rows / log_sum_exp_rows_on(x: MatRef<'_, T>, out: &mut [T]) -> Result<(), Error> = |isa| {
        if out.len() != x.rows() {
            return Err(Error::Length { argument: "out", actual: out.len(), expected: x.rows() });
        }
        T::log_sum_exp_rows(isa, x, out);
        Ok(())
    };
}

/// A sum of exponentials as mantissa * 2^exponent: streams, merges, never overflows.
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
