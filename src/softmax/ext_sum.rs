//! A sum of exponentials that streams and merges.

use crate::dispatch::Road;
use crate::kernels::softmax as kernels;
use crate::{Isa, Real};
use core::iter::Sum;

/// What works on a few numbers runs scalar code on every CPU, and does not choose an instruction
/// set.
const NUMBERS: Road = Road::on(Isa::SCALAR);

/// A sum of exponentials, `sum_i exp(x[i])`, that streams, merges and never overflows.
///
/// The parts of a slice can be summed on several threads, or as they arrive; merging their sums
/// gives the sum of the whole slice. The default is the empty sum.
///
/// - Accuracy: [`ExtSum::ln`] is within 2 ulp of the larger of 1 and the result. A merge adds a
///   relative error of a few `f64::EPSILON` to the sum. A sum does not know its largest element:
///   beside it, [`log_sum_exp`](crate::log_sum_exp) is more accurate.
/// - Special values: as log-sum-exp in the [table](crate#special-values).
/// - Errors: none.
/// - Cost and source: as [`log_sum_exp`](crate::log_sum_exp); Dukhan & Ablavatski 2020, section 4.
///
/// ```
/// use mantex::ExtSum;
/// let parts: [&[f64]; 3] = [&[1e5, 2.0], &[1e5], &[]];
/// let total: ExtSum<f64> = parts.into_iter().map(ExtSum::of).sum();
/// assert_eq!(total.ln(), mantex::log_sum_exp(&[1e5, 2.0, 1e5]));
/// ```
///
/// Two sums are equal if their representations are equal. Equal parts give equal sums if they are
/// merged in the same order on the same instruction set. A sum that is NaN equals no sum.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ExtSum<T: Real>(kernels::ExtSum<T>);

impl<T: Real> ExtSum<T> {
    /// Returns the sum of `exp(x[i])` over a slice.
    #[inline]
    #[must_use]
    pub fn of(x: &[T]) -> Self {
        Self(T::ext_sum(Road::BEST, x))
    }

    /// Returns the sum of both. Merging is commutative, and associative up to rounding.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self(T::merge_ext_sums(NUMBERS, self.0, other.0))
    }

    /// Returns the logarithm of the sum; -inf for the empty sum.
    #[must_use]
    pub fn ln(self) -> T {
        T::ext_sum_ln(NUMBERS, self.0)
    }
}

impl Isa {
    /// Returns [`ExtSum::of`] a slice on this instruction set. Methods of the result run on
    /// [`Isa::best`].
    #[inline]
    #[must_use]
    pub fn ext_sum<T: Real>(self, x: &[T]) -> ExtSum<T> {
        ExtSum(T::ext_sum(Road::on(self), x))
    }
}

impl<T: Real> Default for ExtSum<T> {
    /// Returns the empty sum.
    fn default() -> Self {
        Self(T::ext_sum(NUMBERS, &[]))
    }
}

impl<T: Real> Sum for ExtSum<T> {
    /// Merges the sums in the order of the iterator.
    fn sum<I: Iterator<Item = Self>>(sums: I) -> Self {
        sums.fold(Self::default(), Self::merge)
    }
}

impl<'a, T: Real> Sum<&'a Self> for ExtSum<T> {
    /// Merges the sums in the order of the iterator.
    fn sum<I: Iterator<Item = &'a Self>>(sums: I) -> Self {
        sums.copied().sum()
    }
}
