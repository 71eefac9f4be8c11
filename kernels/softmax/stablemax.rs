//! StableMax, its logarithm, and their gradients.
//!
//! ```text
//! stablemax(x)_i = s(x_i) / S     S = sum_j s(x_j)     s(x) = 1 + x for x >= 0, 1 / (1 - x) below
//! ```
//!
//! From Prieto et al. 2025, "Grokking at the Edge of Numerical Stability". With u = 1 + |x| a
//! weight s(x) is u or 1/u.
//!
//! Pass 1 computes the sums, pass 2 writes. No weight of a finite logit overflows, but sums do, and
//! the smallest weights are subnormal, which is slow on many CPUs. Pass 1 therefore bounds u, far
//! beyond where that changes a sum of weights in range. A row whose sum is out of range is summed
//! again, without bounds and with all weights scaled by a power of two. Results are written as c u
//! or c / u times a power of two, with c from the reciprocal of the sum ([`Norm`]): no intermediate
//! is less precise than the result.
//!
//! With ε = half an ulp of 1, the relative error of a result is at most 4 ε = 4 ulp: the errors of
//! u, of c, of the last operation, and of u in the sum. The rounding errors of the sum itself and
//! of 1/u in it are kept and added.

use super::ext_sum::ExtSum;
use super::tuning::BLOCK_ELEMENTS;
use crate::kernels::lanes::{Float, Lanes, WideLanes, split_exponent};
use crate::kernels::math::compensated::{add_two_sum, reduce_accumulator};
use crate::kernels::math::exp::pow2;
use crate::kernels::math::ln::{ln, ln_mantissa};
use crate::kernels::rows::{SrcDst, map_row_by_length, zip_map};
use crate::matrix::{MatMut, MatRef};

/// u = 1 + |x|.
#[inline(always)]
fn one_plus_abs<L: Lanes<T>, T: Float>(l: L, x: L::V) -> L::V {
    l.quiet_add(l.abs(x), l.splat(T::ONE))
}

/// u of the positive elements, 1 for the others; and u of the negative elements, 1 for the others.
/// The first divided by the second is the weight. No operation overflows for the sake of elements
/// that do not need it.
#[inline(always)]
fn numerator_and_denominator<L: Lanes<T>, T: Float>(l: L, x: L::V) -> (L::V, L::V) {
    let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
    (l.quiet_add(one, l.max(zero, x)), l.quiet_sub(one, l.min(zero, x)))
}

/// The weights of `x` times `c`.
#[inline(always)]
fn stable_weights<L: Lanes<T>, T: Float>(l: L, x: L::V, c: L::V) -> L::V {
    let (numerator, denominator) = numerator_and_denominator(l, x);
    l.quiet_mul(numerator, l.quiet_div(c, denominator))
}

/// The weights of `x` times a scale as unevaluated sums, whose only error is the rounding of u. A u
/// above its limit in `s` counts as this limit.
#[inline(always)]
fn stable_weights_two_part<L: Lanes<T>, T: Float>(l: L, x: L::V, s: &Scales<L::V>) -> (L::V, L::V) {
    let (numerator, denominator) = numerator_and_denominator(l, x);
    // `min` returns its second operand if one is NaN.
    let (numerator, denominator) = (l.min(s.numerator_limit, numerator), l.min(s.denominator_limit, denominator));
    if s.is_plain {
        let quotient = l.quiet_div(s.weight, denominator);
        let residual = l.div_residual(s.weight, denominator, quotient);
        return (l.quiet_mul(numerator, quotient), l.quiet_mul(residual, quotient));
    }
    let quotient = l.quiet_div(s.weight, denominator);
    // The weight of -inf is exactly 0; a residual from infinity would be NaN.
    let denominator = l.min(l.splat(T::ZERO - T::MIN), denominator);
    let residual = l.div_residual(s.weight, denominator, quotient);
    (l.quiet_mul(numerator, quotient), l.quiet_mul(l.quiet_mul(residual, s.inverse), quotient))
}

/// `N` sums, each with one term per element. `terms(at, end)` returns the vectors of terms of the
/// elements from `at` to `end`, as unevaluated sums.
#[inline(always)]
fn compensated_sums<L: WideLanes<T>, T: Float, const N: usize>(
    l: L,
    len: usize,
    terms: impl Fn(usize, usize) -> [(L::V, L::V); N],
) -> [ExtSum<T>; N] {
    let mut totals = [ExtSum::EMPTY; N];
    for start in (0..len).step_by(BLOCK_ELEMENTS) {
        let end = len.min(start + BLOCK_ELEMENTS);
        let mut lane_sums = [(l.splat(T::ZERO), l.splat(T::ZERO)); N];
        let mut at = start;
        while at < end {
            let next = end.min(at + L::N);
            for ((high, low), (term, term_low)) in lane_sums.iter_mut().zip(terms(at, next)) {
                (*high, *low) = add_two_sum(l, (*high, l.quiet_add(*low, term_low)), term);
            }
            at = next;
        }
        for (total, (high, low)) in totals.iter_mut().zip(lane_sums) {
            let (high, low) = reduce_accumulator(l, high, low);
            total.add(high, low);
        }
    }
    totals
}

/// The divisor of the weights of a row.
struct Norm<T> {
    /// The sum of the weights times `scale`.
    sum: ExtSum<T>,
    /// The scale of the weights, a power of two.
    scale: T,
}

impl<T: Float> Norm<T> {
    /// (c, p) such that a weight times c, and then times p, is the weight divided by the sum. For
    /// every logit x of the row, c u and c / u do not overflow, and they are subnormal only if the
    /// result is.
    #[inline(always)]
    fn factors(&self) -> (T, T) {
        let (high, low) = self.sum.scaled_reciprocal(1.0);
        let reciprocal = high + low;
        if self.scale == T::ONE {
            (reciprocal, T::ONE)
        } else if self.scale > T::ONE {
            // Scaled, the reciprocal may round up to the largest number: a quarter of it is safe.
            (reciprocal * (self.scale * T::from_f64(0.25)), T::from_f64(4.0))
        } else {
            (reciprocal, self.scale)
        }
    }

    /// The logarithm of the sum, e ln 2 + r, as (e, r).
    #[inline(always)]
    fn ln(&self) -> (T, T) {
        let (m, e) = split_exponent(self.sum.total());
        let (_, scale) = split_exponent(self.scale.to_f64());
        (T::from_f64(e - scale), T::from_f64(ln_mantissa(m)))
    }
}

/// The powers of two that multiply the terms of the sums of a row.
struct Scales<V> {
    /// The scale of the weights.
    weight: V,
    /// 1 / `weight`.
    inverse: V,
    /// Whether the scale is 1 and `denominator_limit` is finite.
    is_plain: bool,
    /// The largest u of elements that are not negative.
    numerator_limit: V,
    /// The largest u of negative elements.
    denominator_limit: V,
    /// The scale of the upstream gradient.
    gradient: V,
}

/// The norm of a row of `len` logits, and a quarter of `value(last, total)`, where `last` is the
/// last of the `N` sums and `total` the sum of the weights. `None` if the row has no result: +inf
/// or NaN, only -inf, or a value that overflows the type.
///
/// The first terms are the weights. A second pass follows if their sum is out of range, or if the
/// last sum overflows. `LIMITED`: no other term has a weight as a factor, so that weights which do
/// not change their sum may be larger than they are.
#[inline(always)]
fn norm_and_value<L: WideLanes<T>, T: Float, const N: usize, const LIMITED: bool>(
    l: L,
    len: usize,
    terms: impl Fn(&Scales<L::V>, usize, usize) -> [(L::V, L::V); N],
    value: impl Fn(f64, f64) -> f64,
) -> Option<(Norm<T>, T)> {
    let large = T::SCALE.to_f64();
    let small = 1.0 / large;
    // f32: u up to 2^100 in sums from 2^-40 to 2^80. The bound of 2^-100 of a weight, and thus the
    // error of a sum of 2^27 weights, is below 2^-32 of the sum.
    let (_, e) = split_exponent(large);
    let (limit, smallest) = (pow2(1.25 * e), pow2(-0.5 * e));
    let (mut scale, mut gradient) = (1.0, 1.0);
    let splat = |x: f64| l.splat(T::from_f64(x));
    let one = l.splat(T::ONE);
    let infinity = l.splat(T::INFINITY);
    let scales = Scales {
        weight: one,
        inverse: one,
        is_plain: LIMITED,
        numerator_limit: splat(limit),
        denominator_limit: if LIMITED { splat(limit) } else { infinity },
        gradient: one,
    };
    let mut sums = compensated_sums(
        l,
        len,
        #[inline(always)]
        |at, end| terms(&scales, at, end),
    );
    loop {
        let (sum, last) = (sums[0], sums[N - 1].total());
        let total = sum.total();
        if scale == 1.0 && !(smallest..=large).contains(&total) {
            scale = if total < smallest { large } else { small };
        } else if sum.degenerate_value(T::NAN).is_some() {
            return None;
        } else if gradient == 1.0 && !last.is_finite() {
            // Every weight is then below `large`, or scaled by `small`: a quarter of this factor
            // cannot overflow again.
            gradient = 0.25 * small;
        } else {
            let quarter = T::from_f64(value(last, total) * (0.25 / gradient));
            return quarter.to_f64().is_finite().then_some((Norm { sum, scale: T::from_f64(scale) }, quarter));
        }
        let scales = Scales {
            weight: splat(scale),
            inverse: splat(1.0 / scale),
            is_plain: false,
            numerator_limit: infinity,
            // Beside a sum too large for the first pass, a weight of 2^-20 (f64: 2^-160) is
            // nothing, and smaller ones would be subnormal times the scale, which is slow.
            denominator_limit: if LIMITED && scale < 1.0 { splat(pow2(0.25 * e)) } else { infinity },
            gradient: splat(gradient),
        };
        sums = compensated_sums(
            l,
            len,
            #[inline(always)]
            |at, end| terms(&scales, at, end),
        );
    }
}

/// The norm of a row.
#[inline(always)]
fn row_norm<L: WideLanes<T>, T: Float>(l: L, x: &[T]) -> Option<Norm<T>> {
    let norm = norm_and_value::<L, T, 1, true>(
        l,
        x.len(),
        #[inline(always)]
        |s, at, end| [stable_weights_two_part(l, l.load_up_to(&x[at..end], T::NEG_INFINITY), s)],
        #[inline(always)]
        |sum, _| sum,
    );
    norm.map(|(norm, _)| norm)
}

/// The norm of a row, and a quarter of the mean of `dy` under its StableMax: `sum(dy s) / S`.
#[inline(always)]
fn norm_and_mean<L: WideLanes<T>, T: Float>(l: L, x: &[T], dy: &[T]) -> Option<(Norm<T>, T)> {
    let zero = l.splat(T::ZERO);
    norm_and_value::<L, T, 2, false>(
        l,
        x.len(),
        #[inline(always)]
        |s, at, end| {
            let x = l.load_up_to(&x[at..end], T::NEG_INFINITY);
            let (weight, low) = stable_weights_two_part(l, x, s);
            let dy = l.quiet_mul(l.load_up_to(&dy[at..end], T::ZERO), s.gradient);
            [(weight, low), (l.quiet_mul(dy, weight), zero)]
        },
        #[inline(always)]
        |weighted_sum, total| weighted_sum / total,
    )
}

/// The norm of a row, and a quarter of the sum of `dy`.
#[inline(always)]
fn norm_and_sum<L: WideLanes<T>, T: Float>(l: L, x: &[T], dy: &[T]) -> Option<(Norm<T>, T)> {
    let zero = l.splat(T::ZERO);
    norm_and_value::<L, T, 2, true>(
        l,
        x.len(),
        #[inline(always)]
        |s, at, end| {
            let x = l.load_up_to(&x[at..end], T::NEG_INFINITY);
            let weight = stable_weights_two_part(l, x, s);
            [weight, (l.quiet_mul(l.load_up_to(&dy[at..end], T::ZERO), s.gradient), zero)]
        },
        #[inline(always)]
        |sum, _| sum,
    )
}

/// StableMax of a slice.
#[inline(always)]
fn stablemax<L: WideLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let Some(norm) = row_norm(l, x) else { return out.fill(T::NAN) };
    let (c, p) = norm.factors();
    let (c, p) = (l.splat(c), l.splat(p));
    map_row_by_length(
        l,
        &mut SrcDst::new(x, out),
        #[inline(always)]
        |x| l.quiet_mul(stable_weights(l, x, c), p),
    );
}

/// Log-StableMax of a slice: `(±e - E) ln 2 + (±r - R)` with the logarithms `e ln 2 + r` of u and
/// `E ln 2 + R` of the sum, so that two large ones cancel without an error.
#[inline(always)]
fn log_stablemax<L: WideLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let Some(norm) = row_norm(l, x) else { return out.fill(T::NAN) };
    let (e_sum, r_sum) = norm.ln();
    let (e_sum, r_sum) = (l.splat(e_sum), l.splat(r_sum));
    let (one, zero, minus_one) = (l.splat(T::ONE), l.splat(T::ZERO), l.splat(T::ZERO - T::ONE));
    let (high, low, neg_infinity) = (l.splat(T::LN2_HI), l.splat(T::LN2_LO), l.splat(T::NEG_INFINITY));
    map_row_by_length(
        l,
        &mut SrcDst::new(x, out),
        #[inline(always)]
        |x| {
            let (e, r) = ln(l, one_plus_abs(l, x));
            let sign = l.select(l.lt(x, zero), minus_one, one);
            let e = l.quiet_sub(l.quiet_mul(e, sign), e_sum);
            let r = l.quiet_sub(l.quiet_mul(r, sign), r_sum);
            let y = l.quiet_mul_add(e, high, l.quiet_mul_add(e, low, r));
            // The logarithm of -inf's u is unspecified: the result is x itself.
            l.select(l.lt(neg_infinity, x), y, x)
        },
    );
}

/// The gradient of StableMax: `(s' / S) (dy - D)` with `D = sum(dy s) / S`; s' is 1 or 1/u^2.
#[inline(always)]
fn stablemax_backward<L: WideLanes<T>, T: Float>(l: L, x: &[T], dy: &[T], dx: &mut [T]) {
    let Some((norm, quarter_mean)) = norm_and_mean(l, x, dy) else { return dx.fill(T::NAN) };
    let (c, p) = norm.factors();
    // All of the gradient is computed from quarters: its distance from the mean may overflow.
    let four_p = l.splat(p * T::from_f64(4.0));
    let (c, minus_mean, quarter) = (l.splat(c), l.splat(T::ZERO - quarter_mean), l.splat(T::from_f64(0.25)));
    let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
    zip_map(
        l,
        x,
        dy,
        dx,
        #[inline(always)]
        |x, dy| {
            let root = l.select(l.lt(x, zero), l.quiet_div(one, one_plus_abs(l, x)), one);
            let t = l.quiet_mul_add(dy, quarter, minus_mean);
            // In this order nothing overflows. The error of a subnormal product is not multiplied
            // by more than 1 afterwards, because root c p <= 1.
            l.quiet_mul(l.quiet_mul(l.quiet_mul(l.quiet_mul(t, root), c), root), four_p)
        },
    );
}

/// The gradient of log-StableMax: `dy / u - (s' / S) sum(dy)`.
#[inline(always)]
fn log_stablemax_backward<L: WideLanes<T>, T: Float>(l: L, x: &[T], dy: &[T], dx: &mut [T]) {
    let Some((norm, quarter_sum)) = norm_and_sum(l, x, dy) else { return dx.fill(T::NAN) };
    let (c, p) = norm.factors();
    let (c, p, sum, quarter) = (l.splat(c), l.splat(p), l.splat(quarter_sum), l.splat(T::from_f64(0.25)));
    let (zero, one, four) = (l.splat(T::ZERO), l.splat(T::ONE), l.splat(T::from_f64(4.0)));
    zip_map(
        l,
        x,
        dy,
        dx,
        #[inline(always)]
        |x, dy| {
            let inverse = l.quiet_div(one, one_plus_abs(l, x));
            let root = l.select(l.lt(x, zero), inverse, one);
            // The order and the quarters are those of the gradient of StableMax.
            let second = l.quiet_mul(l.quiet_mul(l.quiet_mul(l.quiet_mul(sum, root), c), root), p);
            l.quiet_mul(l.quiet_sub(l.quiet_mul(l.quiet_mul(dy, quarter), inverse), second), four)
        },
    );
}

/// StableMax of every row.
#[inline(always)]
pub(crate) fn stablemax_rows<L: WideLanes<T>, T: Float>(l: L, x: MatRef<'_, T>, mut out: MatMut<'_, T>) {
    for i in 0..x.rows() {
        stablemax(l, x.row(i), out.row_mut(i));
    }
}

/// Log-StableMax of every row.
#[inline(always)]
pub(crate) fn log_stablemax_rows<L: WideLanes<T>, T: Float>(l: L, x: MatRef<'_, T>, mut out: MatMut<'_, T>) {
    for i in 0..x.rows() {
        log_stablemax(l, x.row(i), out.row_mut(i));
    }
}

/// The gradient of StableMax of every row.
#[inline(always)]
pub(crate) fn stablemax_backward_rows<L: WideLanes<T>, T: Float>(
    l: L,
    x: MatRef<'_, T>,
    dy: MatRef<'_, T>,
    mut dx: MatMut<'_, T>,
) {
    for i in 0..x.rows() {
        stablemax_backward(l, x.row(i), dy.row(i), dx.row_mut(i));
    }
}

/// The gradient of log-StableMax of every row.
#[inline(always)]
pub(crate) fn log_stablemax_backward_rows<L: WideLanes<T>, T: Float>(
    l: L,
    x: MatRef<'_, T>,
    dy: MatRef<'_, T>,
    mut dx: MatMut<'_, T>,
) {
    for i in 0..x.rows() {
        log_stablemax_backward(l, x.row(i), dy.row(i), dx.row_mut(i));
    }
}
