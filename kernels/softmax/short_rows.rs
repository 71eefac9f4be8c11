//! The logarithm of the sum of a short row in which one exponential may be a large part of the sum.
//!
//! ```text
//! m = max_j x_j
//! s = sum of e^(x_j - m), one maximum left out
//! L = ln(1 + s)
//! ```
//!
//! These are the formulas of [`dominated`](super::dominated), which fit every row. Here the maximum
//! takes a pass of its own and is the base. So the constants are those of all rows, and nothing is
//! rescaled. The differences `x_j - m` keep their rounding errors.

use super::dominated::{MIN_REST, add_exp};
use super::tuning::DEFERRED_CHECK_VECTORS;
use crate::kernels::lanes::Float;
use crate::kernels::math::compensated::{reduce_accumulator, two_sum};
use crate::kernels::math::exp::{Base, ExpLanes, UntabledExp, pow2};
use crate::kernels::math::ln::ln_1p;
use crate::kernels::rows::{Row, load_up_to};

/// The binary logarithms of the numbers by which exponentials are multiplied, for `f32` and `f64`.
/// The sum of a short row is far from overflow, and has its full precision far below the smallest
/// number of the type.
const LOG2_SCALE: [f64; 2] = [100.0, 900.0];

/// The constants of the logarithms of short rows, built once for many rows.
pub(super) struct BesideMax<L: ExpLanes<T>, T: Float> {
    /// The exponential, multiplied by the power of two in [`LOG2_SCALE`].
    exp: UntabledExp<L, T>,
}

impl<L: ExpLanes<T>, T: Float> BesideMax<L, T> {
    /// The binary logarithm of the number by which exponentials are multiplied.
    const LOG2_SCALE: f64 = LOG2_SCALE[(T::EPSILON == f64::EPSILON) as usize];

    /// The constants.
    #[inline(always)]
    pub(super) fn new(l: L) -> Self {
        Self { exp: UntabledExp::new(l, Base { shift: T::ZERO, exponent: -Self::LOG2_SCALE }) }
    }

    /// The logarithm of the sum of the exponentials of a row as (m, L), see the module. `None` if
    /// the row has NaN, +inf or nothing but -inf, if all logits but one are very far below it, or
    /// if the row is long.
    #[inline(always)]
    pub(super) fn max_and_ln(&self, l: L, row: &impl Row<T>) -> Option<(f64, f64)> {
        let (zero, one, lowest) = (l.splat(T::ZERO), l.splat(T::ONE), l.splat(T::NEG_INFINITY));
        let len = row.len();
        if len > DEFERRED_CHECK_VECTORS * L::N {
            return None;
        }
        let (mut top, mut at) = (lowest, 0);
        while at < len {
            let next = len.min(at + L::N);
            top = l.max(load_up_to(l, row, at, next), top);
            at = next;
        }
        let max = l.reduce_max(top);
        let top = l.splat(max);
        let (mut sum, mut maxima, mut distances, mut at) = ((zero, zero), zero, zero, 0);
        while at < len {
            let next = len.min(at + L::N);
            let x = load_up_to(l, row, at, next);
            // At most 1, so that the sum of distances does not overflow.
            distances = l.quiet_add(distances, l.min(one, l.quiet_sub(top, x)));
            let below = l.lt(x, top);
            maxima = l.quiet_add(maxima, l.select(below, zero, one));
            let e = self.exp.eval_below(l, l.select(below, x, lowest), top);
            sum = add_exp(l, sum, e);
            at = next;
        }
        // The distance of NaN is NaN, and so are all distances if the maximum is infinite.
        if !l.all_non_negative(distances) || len == 0 {
            return None;
        }
        let (high, low) = reduce_accumulator(l, sum.0, sum.1);
        let other_maxima = l.reduce_sum(maxima) - 1.0;
        if high < MIN_REST[usize::from(T::EPSILON == f64::EPSILON)] && other_maxima == 0.0 && len > 1 {
            return None;
        }
        // Both factors are powers of two: only a subnormal result is rounded.
        let half = pow2(-0.5 * Self::LOG2_SCALE);
        let (s, error) = two_sum(other_maxima, high * half * half);
        Some((max.to_f64(), ln_1p(s, error + low * half * half)))
    }
}
