//! The logarithm of the sum of a row in which one exponential may be a large part of the sum.
//!
//! ```text
//! m = max_j x_j                                          a pass
//! s = sum of e^(x_j - m), one maximum left out           a pass
//! L = ln(1 + s)
//! log_sum_exp(x) = m + L          log_softmax(x)_i = (x_i - m) - L
//! ```
//!
//! Both terms of log-softmax are at most 0: nothing cancels, its relative error is at most that of
//! its terms, and it is exactly 0 for a row of one logit. Log-sum-exp is at least m, because
//! rounding is monotone. The difference `x - ln S` would have the absolute error of `ln S`.
//!
//! 1. The maximum is left out without a search: each lane adds the smaller of the next logit and
//!    its largest one so far, whose place the larger takes. The lanes' largest ones follow in the
//!    same way.
//! 2. Exponentials have no table ([`UntabledExp`]), because its rounding would add to that of the
//!    sum. They are relative to m or, if they vanish beside it, to the second largest logit: s has
//!    its full precision down to the subnormal numbers. The argument of an exponential is never a
//!    rounded difference: the base is an integer exponent, or a logit whose difference is exact
//!    wherever it counts ([`Base`]).

use crate::kernels::lanes::{Float, out_of_line};
use crate::kernels::math::compensated::{add_fast_two_sum, fast_two_sum, reduce_accumulator, two_sum};
use crate::kernels::math::exp::{Base, ExpLanes, UntabledExp, exp_parts, pow2};
use crate::kernels::math::ln::{LN2_HI33, LN2_LO33, ln_1p};
use crate::kernels::rows::{Row, maximum};

/// A sum below this bound may have lost a part of its terms to underflow.
const MIN_REST: [f64; 2] = [8.673617379884035e-19, 1e-270]; // f32: 2^-60

/// Below e^MIN_LN times the length of a row, every `f64` is 0.
const MIN_LN: f64 = -800.0;

/// The logarithm of the sum of the exponentials of a row as (m, L), see the module. The row has no
/// NaN, and its maximum is finite.
#[inline(always)]
pub(super) fn max_and_ln<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>) -> (f64, f64) {
    let row = row.reborrow();
    out_of_line!(l, {
        let max = maximum(l, &row, 0, row.len());
        let mut base = Base::near(max);
        let mut rest = sum_rest(l, base, &row);
        let min_rest = MIN_REST[usize::from(T::EPSILON == f64::EPSILON)];
        if rest.high < min_rest && rest.largest > T::NEG_INFINITY {
            base = Base::near(rest.largest);
            rest = sum_rest(l, base, &row);
        }
        let (s, low) = relative_to(max.to_f64(), base, rest.high, rest.low);
        (max.to_f64(), ln_1p(s, low))
    })
}

/// The sum of the exponentials of a row without one of its maxima.
struct Rest<T> {
    /// The rounded sum, relative to a base.
    high: f64,
    /// The rounding errors of `high`.
    low: f64,
    /// The largest logit of the sum; -inf if there is none.
    largest: T,
}

/// The sum of the exponentials of a row without one of its maxima, relative to a base that fits all
/// others.
#[inline(always)]
fn sum_rest<L: ExpLanes<T>, T: Float>(l: L, base: Base<T>, row: &impl Row<T>) -> Rest<T> {
    let exp = UntabledExp::new(l, base);
    let (zero, none) = (l.splat(T::ZERO), l.splat(T::NEG_INFINITY));
    let (mut top, mut largest, mut sum) = (none, none, (zero, zero));
    let (len, mut at) = (row.len(), 0);
    while at < len {
        let next = len.min(at + L::N);
        let x = if next - at == L::N { row.load(l, at) } else { row.load_tail(l, at, next) };
        let rest = l.min(top, x);
        top = l.max(x, top);
        largest = l.max(rest, largest);
        let (e, error) = exp.eval(l, rest);
        sum = add_fast_two_sum(l, sum, e);
        sum.1 = l.add(sum.1, error);
        at = next;
    }
    // The largest logits of the lanes, one maximum left out.
    let mut tops = l.to_array(top);
    let max = l.reduce_max(top);
    if let Some(first) = tops[..L::N].iter_mut().find(|x| **x == max) {
        *first = T::NEG_INFINITY;
    }
    let rest = l.load(&tops);
    let (e, error) = exp.eval(l, rest);
    sum = add_fast_two_sum(l, sum, e);
    sum.1 = l.add(sum.1, error);
    let (high, low) = reduce_accumulator(l, sum.0, sum.1);
    Rest { high, low, largest: l.reduce_max(l.max(rest, largest)) }
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
