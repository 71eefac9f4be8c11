//! The logarithm of the sum of a row in which one exponential may be a large part of the sum.
//!
//! ```text
//! m = max_j x_j
//! s = sum of e^(x_j - m), one maximum left out
//! L = ln(1 + s)
//! log_sum_exp(x) = m + L          log_softmax(x)_i = (x_i - m) - L
//! ```
//!
//! Both terms of log-softmax are at most 0: nothing cancels, its relative error is at most that of
//! its terms, and it is exactly 0 for a row of one logit. Log-sum-exp is at least m, because
//! rounding is monotone. The difference `x - ln S` would have the absolute error of `ln S`.
//!
//! 1. The maximum is left out without a search: each lane adds the smaller of the next logit and
//!    its largest one so far, whose place the larger takes. In the end the largest ones of the
//!    lanes are added, except for the maxima among them, which are counted.
//! 2. Exponentials have no table ([`UntabledExp`]), because its rounding would add to that of the
//!    sum. They are relative to the logarithm of the whole sum, which is near m, or to the second
//!    largest logit if they vanish beside m. The sum s then has its full precision down to the
//!    subnormal numbers. The argument of an exponential is never a rounded difference: the base is
//!    an integer exponent, or a logit whose difference is exact wherever it counts ([`Base`]).

use super::beside_max;
use super::ext_sum::ExtSum;
use super::tuning::{BLOCK_ELEMENTS, SHORT_ROW_VECTORS, is_short};
use crate::kernels::lanes::{Float, Lanes, WideLanes, out_of_line};
use crate::kernels::math::compensated::{add_fast_two_sum, fast_two_sum, reduce_accumulator, two_sum};
use crate::kernels::math::exp::{Base, ExpLanes, UntabledExp, exp_parts, pow2};
use crate::kernels::math::ln::{LN2_HI33, LN2_LO33, ln_1p};
use crate::kernels::rows::{Row, load_up_to};

/// A sum below this bound may have lost a part of its terms to underflow.
pub(super) const MIN_REST: [f64; 2] = [8.673617379884035e-19, 1e-270]; // f32: 2^-60

/// Below e^MIN_LN times the length of a row, every `f64` is 0.
const MIN_LN: f64 = -800.0;

/// The logarithm of the sum of the exponentials of a row as (m, L), see the module. The row has no
/// NaN, and its maximum is finite and at most about 1 below the logarithm of `sum`, its sum.
#[inline(always)]
pub(super) fn max_and_ln<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>, sum: &ExtSum<T>) -> (f64, f64) {
    let (row, sum) = (row.reborrow(), *sum);
    out_of_line!(l, {
        if is_short::<L, T>(l, row.len()) {
            let ln = beside_max::logarithm::<L, T, SHORT_ROW_VECTORS>(l, &row);
            if !ln.0.is_nan() {
                return ln;
            }
        }
        let mut base = Base::near(sum.ln());
        let mut rest = sum_rest(l, base, &row);
        if rest.other_maxima == 0.0 && rest.high < MIN_REST[usize::from(T::EPSILON == f64::EPSILON)] {
            let second = second_largest(l, &row);
            if second > T::NEG_INFINITY {
                base = Base::near(second);
                rest = sum_rest(l, base, &row);
            }
        }
        let max = rest.max.to_f64();
        let (s, low) = relative_to(max, base, rest.high, rest.low);
        let (s, error) = two_sum(rest.other_maxima, s);
        (max, ln_1p::<_, T>(pulp::Scalar, s, error + low))
    })
}

/// The sum of the exponentials of a row without one of its maxima.
struct Rest<T> {
    /// The rounded sum, relative to a base, but for `other_maxima`.
    high: f64,
    /// The rounding errors of `high`.
    low: f64,
    /// The maximum.
    max: T,
    /// The number of maxima that are in neither sum, without the one that is left out.
    other_maxima: f64,
}

/// The sum of the exponentials of a row without one of its maxima, relative to a base that fits all
/// others.
#[inline(always)]
fn sum_rest<L: ExpLanes<T>, T: Float>(l: L, base: Base<T>, row: &impl Row<T>) -> Rest<T> {
    if base.shift == T::ZERO {
        sum_rest_as::<L, T, false>(l, base, row)
    } else {
        sum_rest_as::<L, T, true>(l, base, row)
    }
}

/// [`sum_rest`] for bases with or without a shift.
#[inline(always)]
fn sum_rest_as<L: ExpLanes<T>, T: Float, const HAS_SHIFT: bool>(l: L, base: Base<T>, row: &impl Row<T>) -> Rest<T> {
    let exp = UntabledExp::new(l, base);
    let zero = l.splat(T::ZERO);
    let (mut high, mut low) = (0.0, 0.0);
    let (len, mut at) = (row.len(), L::N.min(row.len()));
    let mut top = load_up_to(l, row, 0, at);
    while at < len {
        // The rounding errors of a block are a sum of the type, those of the row one of `f64`.
        let (mut sum, end) = ((zero, zero), len.min(at + BLOCK_ELEMENTS));
        while at < end {
            let next = end.min(at + L::N);
            let x = load_up_to(l, row, at, next);
            let rest = l.min(top, x);
            top = l.max(x, top);
            sum = add_exp(l, sum, exp.eval::<HAS_SHIFT>(l, rest));
            at = next;
        }
        (high, low) = add_block(l, (high, low), sum);
    }
    // The largest logits of the lanes without the maxima, which are counted.
    let max = l.reduce_max(top);
    let below = l.lt(top, l.splat(max));
    let rest = l.select(below, top, l.splat(T::NEG_INFINITY));
    let sum = add_exp(l, (zero, zero), exp.eval::<HAS_SHIFT>(l, rest));
    let maxima = l.reduce_sum(l.select(below, zero, l.splat(T::ONE)));
    (high, low) = add_block(l, (high, low), sum);
    Rest { high, low, max, other_maxima: maxima - 1.0 }
}

/// Adds the lanes of an accumulator to one of `f64`.
#[inline(always)]
fn add_block<L: WideLanes<T>, T: Float>(l: L, (high, low): (f64, f64), sum: (L::V, L::V)) -> (f64, f64) {
    let (block_high, block_low) = reduce_accumulator(l, sum.0, sum.1);
    let (high, error) = two_sum(high, block_high);
    (high, low + (error + block_low))
}

/// Adds exponentials to an accumulator. Their rounding errors are added, too, if the type is `f64`,
/// whose logarithm has errors of its own, or without a fused multiply-add (scalar).
#[inline(always)]
pub(super) fn add_exp<L: ExpLanes<T>, T: Float>(l: L, sum: (L::V, L::V), (e, error): (L::V, L::V)) -> (L::V, L::V) {
    let (high, low) = add_fast_two_sum(l, sum, e);
    if T::EPSILON == f64::EPSILON || L::N == 1 { (high, l.quiet_add(low, error)) } else { (high, low) }
}

/// The largest logit but one maximum; -inf if there is no other.
#[inline(always)]
fn second_largest<L: Lanes<T>, T: Float>(l: L, row: &impl Row<T>) -> T {
    let (mut max, mut second) = (T::NEG_INFINITY, l.splat(T::NEG_INFINITY));
    let mut top = second;
    let (len, mut at) = (row.len(), 0);
    while at < len {
        let next = len.min(at + L::N);
        let x = load_up_to(l, row, at, next);
        second = l.max(second, l.min(top, x));
        top = l.max(x, top);
        at = next;
    }
    let mut second = l.reduce_max(second);
    for &x in &l.to_array(top)[..L::N] {
        let rest = if x > max { max } else { x };
        max = if x > max { x } else { max };
        second = if rest > second { rest } else { second };
    }
    second
}

/// `(high + low) * base / e^max` as an unevaluated sum. The result is at most about the length of
/// the row; below the normal range its error is half of the smallest number.
#[inline(always)]
fn relative_to<T: Float>(max: f64, base: Base<T>, high: f64, low: f64) -> (f64, f64) {
    // A logit of another sign than the maximum that is far from it; the difference might overflow.
    if base.shift < T::ZERO && max > 0.0 {
        return (0.0, 0.0);
    }
    let (ln, error) = two_sum(base.shift.to_f64() + base.exponent * LN2_HI33, -max);
    if ln < MIN_LN {
        return (0.0, 0.0);
    }
    let (p, k) = exp_parts(ln, error + base.exponent * LN2_LO33);
    // (high + low) * (1 + p)
    let (high, low) = fast_two_sum(high, low);
    let (high, low) = fast_two_sum(high, high * p + (low + low * p));
    // Two steps, because the power may be below the normal range.
    let half = (k * 0.5) as i64 as f64;
    let (first, second) = (pow2(half), pow2(k - half));
    (high * first * second, low * first * second)
}
