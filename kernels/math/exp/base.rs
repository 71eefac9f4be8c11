//! The number that a row's exponentials are relative to.

use crate::kernels::lanes::Float;
use crate::kernels::math::ln::{LN2_HI33, LN2_LO33};

/// The number that exponentials are relative to: results are `e^(x - shift) * 2^-exponent`.
///
/// For moderate arguments `shift` is 0, and they are reduced exactly against an integer exponent.
/// Huge arguments would lose bits in that reduction. For them `shift` is an element of the row and
/// the exponent is 0: `x - shift` is exact if the result is not negligible (Sterbenz: such x and
/// shift are within a factor of two of each other).
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Base<T> {
    /// The shift: 0, or a huge element of the row.
    pub(crate) shift: T,
    /// The exponent, an integer.
    pub(crate) exponent: f64,
}

impl<T: Float> Base<T> {
    /// No shift, no exponent: the base of rows of ordinary size.
    pub(crate) const ONE: Self = Self { shift: T::ZERO, exponent: 0.0 };

    /// Below this magnitude of the largest element, [`Base::near`] has no shift: the error of the
    /// argument reduction is far below an ulp in both types, and the shifted integers fit.
    pub(crate) const MAX_UNSHIFTED: f64 = 32768.0; // 2^15

    /// The base for rows whose largest element is about `x` (finite). It is never [`Base::ONE`].
    #[inline(always)]
    pub(crate) fn near(x: T) -> Self {
        let y = x.to_f64();
        if y.abs() < Self::MAX_UNSHIFTED {
            // The exponent 1 instead of 0, because callers take `Base::ONE` to mean that the row
            // needs no clamp.
            let exponent = rint(y * core::f64::consts::LOG2_E);
            Self { shift: T::ZERO, exponent: if exponent == 0.0 { 1.0 } else { exponent } }
        } else {
            Self { shift: x, exponent: 0.0 }
        }
    }

    /// Natural logarithm of `self / other` as an unevaluated sum. The first number is exact if
    /// `self` and `other` are near each other, the second is below 2^-16.
    #[inline(always)]
    pub(crate) fn ln_ratio(self, other: Self) -> (f64, f64) {
        let e = self.exponent - other.exponent;
        // The difference itself could overflow; half of it cannot, and beyond 2^20 its size means
        // nothing.
        let half = (0.5 * self.shift.to_f64() - 0.5 * other.shift.to_f64()).clamp(-1_048_576.0, 1_048_576.0);
        (2.0 * half + e * LN2_HI33, e * LN2_LO33)
    }
}

/// The nearest integer, ties to even, for |x| < 2^51 (core has no such function without std).
#[inline(always)]
pub(crate) fn rint(x: f64) -> f64 {
    (x + <f64 as Float>::SHIFTER) - <f64 as Float>::SHIFTER
}
