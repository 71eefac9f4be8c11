//! What an instruction set contributes to the exponential.

use super::ExpScheme;
use crate::kernels::lanes::{Float, WideLanes};

/// Lanes with the operations of the exponential, and wide because sums are reduced in `f64`.
pub(crate) trait ExpLanes<T: Float>: WideLanes<T> {
    /// Powers of two in registers, see [`ExpScheme`].
    type Table: Copy;
    /// The scheme of the exponential.
    const EXP: ExpScheme<T>;
    /// Coefficients of (e^t - 1)/t for |t| <= ln(2)/2, the first of which is 1: those of a scheme
    /// without a table.
    const UNTABLED: &'static [T];
    /// The number of exponentials that fit into the registers side by side, at most 4.
    const IN_FLIGHT: usize;

    /// The powers of two.
    fn exp_table(self) -> Self::Table;
    /// `(1 + p) * 2^(k / 2^EXP.bits)`. `shifted` holds the integer `k + EXP.bias * 2^EXP.bits` in
    /// its low bits ([`Float::SHIFTER`]) and `exponent` is `k / 2^EXP.bits` as a float.
    fn exp_finish(self, table: Self::Table, shifted: Self::V, exponent: Self::V, p: Self::V) -> Self::V;
    /// `x` clamped to `[low, high]`; NaN stays NaN. `high` is needed even if
    /// [`ExpLanes::exp_finish`] saturates, because far out of range the reduced argument is not
    /// small.
    #[inline(always)]
    fn exp_clamp(self, x: Self::V, low: Self::V, high: Self::V) -> Self::V {
        self.min(high, self.max(low, x))
    }
    /// `x`, or `low` if that is larger. If [`ExpLanes::exp_finish`] saturates, as on AVX-512, it is
    /// `x` itself: the exponential of -inf is then 0, and that of a finite number below `low` is 0,
    /// or +inf below -1e26 (f32) or -1e67 (f64).
    #[inline(always)]
    fn exp_clamp_low(self, x: Self::V, low: Self::V) -> Self::V {
        self.max(low, x)
    }
    /// [`ExpLanes::exp_clamp`] for powers of two. It is `y` itself if [`ExpLanes::exp_finish`]
    /// saturates, because the argument of a power of two is reduced without an error at any size.
    #[inline(always)]
    fn exp2_clamp(self, y: Self::V, low: Self::V, high: Self::V) -> Self::V {
        self.exp_clamp(y, low, high)
    }
    /// The bitwise or of `overflow_bits` and `shifted`, for [`ExpLanes::exp_overflowed`]. A bit
    /// that was set is never cleared. If overflow shows in the results, it is `overflow_bits`.
    ///
    /// The bits of `shifted` are those of the shift constant, 1.5 * 2^(mantissa bits - EXP.bits),
    /// with the biased exponent and the table's index added at the low end. Arguments are clamped
    /// below, so this sum is never negative. f32 on AVX2: `0 10010011 1000000000 eeeeeeee iii`. An
    /// exponent that is too large carries into the zeros or changes the leading bits altogether, as
    /// infinities and NaN do.
    #[inline(always)]
    fn record_exponent(self, overflow_bits: Self::V, _shifted: Self::V) -> Self::V {
        overflow_bits
    }
    /// Whether an exponent was NaN or too large: a bit is set above those of the biased exponents
    /// that [`ExpLanes::exp_finish`] can handle.
    #[inline(always)]
    fn exp_overflowed(self, _overflow_bits: Self::V) -> bool {
        false
    }
    /// `x - k * ln 2` with an error far below one unit in the last place of 1. `high` and `low` are
    /// [`Float::LN2_HI`] and [`Float::LN2_LO`] in every lane.
    #[inline(always)]
    fn exp_reduce(self, x: Self::V, k: Self::V, high: Self::V, low: Self::V) -> Self::V {
        self.neg_mul_add(k, low, self.neg_mul_add(k, high, x))
    }
}
