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
    /// Whether the exponentials in flight take each step together. That takes a tenth off the time
    /// of softmax of f32 on AVX2, and 3 to 8% on AVX-512 (two builds in one process, Zen 4,
    /// 2026-11-26). Scalar is slower with it; NEON: not measured.
    const INTERLEAVED: bool;
    /// Whether [`ExpLanes::exp_finish`] saturates at exponents of any size, so that those of powers
    /// of two need no clamp.
    const SATURATES: bool = false;

    /// The powers of two.
    fn exp_table(self) -> Self::Table;
    /// `(1 + p) * 2^(k / 2^EXP.bits)`. `shifted` holds the integer `k + EXP.bias * 2^EXP.bits` in
    /// its low bits ([`Float::SHIFTER`]) and `exponent` is `k / 2^EXP.bits` as a float.
    fn exp_finish(self, table: Self::Table, shifted: Self::V, exponent: Self::V, p: Self::V) -> Self::V;
    /// [`ExpLanes::exp_finish`], but subnormal results, and those up to 1.05 times the smallest
    /// normal number, may be 0: Intel's CPUs take some 150 cycles to make a subnormal number.
    #[inline(always)]
    fn exp_finish_normal(self, table: Self::Table, shifted: Self::V, exponent: Self::V, p: Self::V) -> Self::V {
        self.exp_finish(table, shifted, exponent, p)
    }
    /// `2^k` for an integer k, as [`ExpLanes::exp_finish`] of `p = 0`.
    #[inline(always)]
    fn exp_power(self, shifted: Self::V, exponent: Self::V) -> Self::V {
        self.exp_finish(self.exp_table(), shifted, exponent, self.splat(T::ZERO))
    }
    /// `x` clamped to `[low, high]`; NaN stays NaN. `high` is needed even if
    /// [`ExpLanes::exp_finish`] saturates, because far out of range the reduced argument is not
    /// small.
    #[inline(always)]
    fn exp_clamp(self, x: Self::V, low: Self::V, high: Self::V) -> Self::V {
        self.min(high, self.max(low, x))
    }
    /// [`ExpLanes::exp_clamp`] for sums. If [`ExpLanes::exp_finish`] saturates and arithmetic
    /// raises no flags, as on AVX-512, it is `x` itself. The exponential of -inf is then 0, and
    /// that of a finite number below `low` is 0 or -0, or +inf below -1e26 (f32) or -1e67 (f64).
    /// That of a number above `high` is too large for any sum, infinite of either sign, or NaN.
    /// On AVX2, that of an `f64` that is NaN may be too large for any sum instead. `high` is
    /// positive.
    #[inline(always)]
    fn exp_saturate(self, x: Self::V, low: Self::V, high: Self::V) -> Self::V {
        self.exp_clamp(x, low, high)
    }
    /// Whether a lane-wise sum of exponentials that saturated by [`ExpLanes::exp_saturate`] is
    /// infinite, NaN, or larger than any sum that fits the base. Where they are clamped, it is
    /// false: their sum is finite, and shows itself that it is too large.
    #[inline(always)]
    fn exp_overflowed(self, _sums: Self::V) -> bool {
        false
    }
    /// `x - k * ln 2` with an error far below one unit in the last place of 1. `high` and `low` are
    /// [`Float::LN2_HI`] and [`Float::LN2_LO`] in every lane.
    #[inline(always)]
    fn exp_reduce(self, x: Self::V, k: Self::V, high: Self::V, low: Self::V) -> Self::V {
        self.quiet_neg_mul_add(k, low, self.quiet_neg_mul_add(k, high, x))
    }
}
