//! A sum of exponentials that streams and merges.

use crate::dispatch::Road;
use crate::kernels::softmax as kernels;
use crate::{Isa, Real};
use core::iter::Sum;

/// What works on a few numbers runs scalar code on every CPU, and does not choose an instruction set.
const NUMBERS: Road = Road::On(Isa::SCALAR);

/// A sum of exponentials, `sum_i exp(x[i])`, that streams, merges and never overflows.
///
/// The sum of a whole is the merged sum of its parts, which can be computed on several threads or
/// as they arrive. An empty sum is the default.
///
/// - Accuracy: [`ExtSum::ln`] is within 2 ulp, or within 2 ulp of 1 if the result is between -1 and
///   1. A merge adds a relative error of a few `f64::EPSILON` to the sum.
/// - Special values: as log-sum-exp in the [table](crate#special-values).
/// - Errors: none.
/// - Cost and source: 1 exp and 1 read per element; Dukhan & Ablavatski 2020, section 4.
///
/// ```
/// use mantex::ExtSum;
/// let parts: [&[f64]; 3] = [&[1e5, 2.0], &[1e5], &[]];
/// let total: ExtSum<f64> = parts.into_iter().map(ExtSum::of).sum();
/// assert_eq!(total.ln(), mantex::log_sum_exp(&[1e5, 2.0, 1e5]));
/// ```
///
/// Two sums are equal if their representations are: equal parts, merged in one order on one
/// instruction set, give equal sums. A sum with NaN equals nothing.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ExtSum<T: Real>(kernels::ExtSum<T>);

impl<T: Real> ExtSum<T> {
    /// The sum of `exp(x[i])` over a slice.
    #[inline]
    #[must_use]
    pub fn of(x: &[T]) -> Self {
        Self(T::ext_sum(Road::Best, x))
    }

    /// The sum of both. Merging is commutative, and associative up to rounding.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self(T::merge_ext_sums(NUMBERS, self.0, other.0))
    }

    /// The logarithm of the sum; -inf if it is empty.
    #[must_use]
    pub fn ln(self) -> T {
        T::ext_sum_ln(NUMBERS, self.0)
    }
}

impl Isa {
    /// [`ExtSum::of`] on this instruction set.
    #[inline]
    #[must_use]
    pub fn ext_sum<T: Real>(self, x: &[T]) -> ExtSum<T> {
        ExtSum(T::ext_sum(Road::On(self), x))
    }
}

impl<T: Real> Default for ExtSum<T> {
    /// The empty sum.
    fn default() -> Self {
        Self(T::ext_sum(NUMBERS, &[]))
    }
}

impl<T: Real> Sum for ExtSum<T> {
    /// The merged sum, in the order of the iterator.
    fn sum<I: Iterator<Item = Self>>(sums: I) -> Self {
        sums.fold(Self::default(), Self::merge)
    }
}

impl<'a, T: Real> Sum<&'a Self> for ExtSum<T> {
    /// The merged sum, in the order of the iterator.
    fn sum<I: Iterator<Item = &'a Self>>(sums: I) -> Self {
        sums.copied().sum()
    }
}
