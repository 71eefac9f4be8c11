//! Whether base 1 fits a row: its sum then neither overflows nor loses small exponentials.

use super::tuning::{BLOCK_ELEMENTS, is_short};
use crate::kernels::lanes::Float;
use crate::kernels::math::exp::ExpLanes;
use crate::kernels::rows::{Row, nan_or};

/// The exponentials of smaller logits are below [`Float::SCALE`], for `f32` and `f64`. A sum of a
/// block above that requires a larger base: it is far below the overflow of the type, and far above
/// the sum of any block relative to its own maximum.
const MAX_LOGIT: [f64; 2] = [55.0, 443.0];

/// [`MAX_LOGIT`] of a type.
#[inline(always)]
const fn max_logit<T: Float>() -> f64 {
    MAX_LOGIT[(T::EPSILON == f64::EPSILON) as usize]
}

/// A sum of a row below this limit requires a smaller base than 1: f32 would lose results near
/// 2^-100 of the sum.
pub(super) const MIN_ROW_SUM: f64 = 9.5367431640625e-7; // 2^-20

/// What is known, or asked for, of the sum of a row relative to base 1.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum BaseOne {
    /// Nothing.
    Untried,
    /// The base does not fit the first block.
    Failed,
    /// If the base is tried and does not fit, the sum is not needed, and has no meaning.
    Required,
}

/// Whether the sum of a block fits the base that it was taken with; `before` is the sum of the
/// preceding blocks.
#[inline(always)]
pub(super) fn base_fits<T: Float>(block_sum: f64, before: f64) -> bool {
    block_sum <= T::SCALE.to_f64() && (block_sum >= MIN_ROW_SUM || before > 0.0 && block_sum >= 0.0)
}

/// Whether base 1 may fit a row, by its first vector: false for logits around -1000 or 1000, whose
/// exponentials would be computed twice. Short rows are not looked at: they are first summed
/// relative to base 1.
#[inline(always)]
pub(super) fn may_fit_base_one<L: ExpLanes<T>, T: Float>(l: L, row: &impl Row<T>) -> bool {
    if is_short::<L, T>(l, row.len()) {
        return true;
    }
    let first = row.load(l, 0);
    let (center, distance) = (0.5 * (max_logit::<T>() - 14.0), 0.5 * (max_logit::<T>() + 14.0));
    let from_center = l.abs(l.quiet_sub(first, l.splat(T::from_f64(center))));
    if l.all_non_negative(l.quiet_sub(l.splat(T::from_f64(distance)), from_center)) {
        return true;
    }
    let max = l.reduce_max(first).to_f64();
    max == f64::NEG_INFINITY || (-20.0..=max_logit::<T>()).contains(&max)
}

/// Whether base 1 may fit columns, by the maxima of some of their logits.
#[inline(always)]
pub(super) fn may_fit_columns<L: ExpLanes<T>, T: Float>(l: L, max: L::V) -> L::Mask {
    let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
    let small = l.select(l.lt(l.splat(T::NEG_INFINITY), max), one, zero);
    let far = l.select(l.lt(max, l.splat(T::from_f64(-20.0))), small, zero);
    let far = l.select(l.lt(l.splat(T::from_f64(max_logit::<T>())), max), one, far);
    l.lt(far, one)
}

/// Whether base 1 fits a row, by its smallest and largest logits; false for some rows that it fits.
#[inline(always)]
pub(super) fn certainly_fits_base_one<L: ExpLanes<T>, T: Float>(l: L, row: &impl Row<T>) -> bool {
    // The sums of blocks are then below 0.7 times the largest that fits, that of the first one is
    // above 1.4 MIN_ROW_SUM, and no exponential is infinite.
    const { assert!(BLOCK_ELEMENTS == 4096, "the limits belong to this length") };
    let most = T::from_f64(max_logit::<T>() - 8.32);
    let (least, least_max) = (T::from_f64(-1e20), T::from_f64(-13.5));
    let len = row.len();
    if len < L::N {
        return false;
    }
    let (mut min, mut nan) = (l.splat(T::INFINITY), l.splat(T::ZERO));
    for start in (0..len).step_by(BLOCK_ELEMENTS) {
        let (end, mut at) = (len.min(start + BLOCK_ELEMENTS), start);
        let mut max = l.splat(T::NEG_INFINITY);
        while at < end {
            // The last vector may overlap the one before.
            let x = row.load(l, at.min(len - L::N));
            (min, max, nan) = (l.min(x, min), l.max(x, max), nan_or(l, nan, x));
            at += L::N;
        }
        let max = l.reduce_max(max);
        if start == 0 && max < least_max || max > most {
            return false;
        }
    }
    l.reduce_min(min) >= least && !l.reduce_sum(nan).is_nan()
}
