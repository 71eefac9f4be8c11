//! The StableMax family: weights `s(x) = 1 + x` for x >= 0 and `1 / (1 - x)` below, divided by their sum (Prieto et al.
//! 2025, "Grokking at the Edge of Numerical Stability"). With `u = 1 + |x|` a weight is u or 1/u.
//!
//! Two passes: one for the sums, one that writes. No weight of a finite logit overflows, but sums do, and the smallest
//! weights are subnormal. So a row whose sum is out of range is summed again with all weights scaled by a power of two,
//! and results are written as `c u` or `c / u` times a power of two, with c from the reciprocal of the sum ([`Norm`]):
//! no intermediate is less precise than the result.
//!
//! With ε = half an ulp of 1, relative errors of a result are at most 4 ε = 4 ulp: those of u, of c, of the last operation, and that
//! of u in the sum. The rounding of the sum itself and that of 1/u in it is kept and added.

use super::gradients::combine;
use super::lanes::{Float, Lanes, WideLanes, split_exponent};
use super::math::compensated::{add_two_sum, reduce_accumulator};
use super::math::ln::{ln, ln_mantissa};
use super::softmax::{BLOCK, Io, Sum, map, streams};
use crate::matrix::{MatMut, MatRef};

/// The elements from `at` to `end`, at most a vector of them; the other lanes `fill`.
#[inline(always)]
fn load<L: Lanes<T>, T: Float>(l: L, x: &[T], at: usize, end: usize, fill: T) -> L::V {
    let x = &x[at..end];
    if x.len() == L::N { l.load(x) } else { l.load_tail(x, fill) }
}

/// 1 + |x|.
#[inline(always)]
fn distance<L: Lanes<T>, T: Float>(l: L, x: L::V) -> L::V {
    l.add(l.abs(x), l.splat(T::ONE))
}

/// The weights of `x` times `c`.
#[inline(always)]
fn weigh<L: Lanes<T>, T: Float>(l: L, x: L::V, c: L::V) -> L::V {
    let u = distance(l, x);
    l.select(l.lt(x, l.splat(T::ZERO)), l.div(c, u), l.mul(u, c))
}

/// The weights of `x` times `c` as unevaluated sums that lack only the rounding of u; `inverse` is 1/c, a power of two.
#[inline(always)]
fn weigh_exactly<L: Lanes<T>, T: Float>(l: L, x: L::V, c: L::V, inverse: L::V) -> (L::V, L::V) {
    let (u, zero) = (distance(l, x), l.splat(T::ZERO));
    let quotient = l.div(c, u);
    let rest = l.mul(l.div_residual(c, u, quotient), l.mul(quotient, inverse));
    let negative = l.lt(x, zero);
    // -inf weighs exactly 0; its rest would be NaN.
    let rest = l.select(l.lt(l.splat(T::NEG_INFINITY), x), rest, zero);
    (l.select(negative, quotient, l.mul(u, c)), l.select(negative, rest, zero))
}

/// The sums of `N` terms per element, themselves unevaluated sums, over `len` elements; `term` is given where they start and
/// end, at most a vector of them.
#[inline(always)]
fn sums<L: WideLanes<T>, T: Float, const N: usize>(
    l: L,
    len: usize,
    term: impl Fn(usize, usize) -> [(L::V, L::V); N],
) -> [Sum<T>; N] {
    let mut totals = [Sum::EMPTY; N];
    for start in (0..len).step_by(BLOCK) {
        let end = len.min(start + BLOCK);
        let mut lanes = [(l.splat(T::ZERO), l.splat(T::ZERO)); N];
        let mut at = start;
        while at < end {
            let next = end.min(at + L::N);
            for ((high, low), (term, rest)) in lanes.iter_mut().zip(term(at, next)) {
                (*high, *low) = add_two_sum(l, (*high, l.add(*low, rest)), term);
            }
            at = next;
        }
        for (total, (high, low)) in totals.iter_mut().zip(lanes) {
            let (sum, rest) = reduce_accumulator(l, high, low);
            total.add(sum);
            total.low += rest;
        }
    }
    totals
}

/// What a row's weights are divided by.
struct Norm<T> {
    /// The sum of the weights times `scale`.
    sum: Sum<T>,
    scale: T,
}

impl<T: Float> Norm<T> {
    /// (c, p) such that weights taken times c, and then times p, are divided by their sum. For every logit x of the row,
    /// c u and c / u do not overflow, and where they are subnormal so is the result.
    #[inline(always)]
    fn factors(&self) -> (T, T) {
        let (high, low) = self.sum.divide(1.0);
        let reciprocal = high + low;
        if self.scale == T::ONE {
            (reciprocal, T::ONE)
        } else if self.scale > T::ONE {
            // The reciprocal may be as large as the largest number, rounded up: a quarter of it.
            (reciprocal * (self.scale * T::from_f64(0.25)), T::from_f64(4.0))
        } else {
            (reciprocal, self.scale)
        }
    }

    /// The logarithm of the sum as (e, r): e ln 2 + r.
    #[inline(always)]
    fn ln(&self) -> (T, T) {
        let (m, e) = split_exponent(self.sum.total());
        let (_, scale) = split_exponent(self.scale.to_f64());
        (T::from_f64(e - scale), T::from_f64(ln_mantissa(m)))
    }
}

/// Powers of two that the terms of a row's sums are multiplied with.
struct Scales<V> {
    /// For the weights, and its inverse.
    weight: V,
    inverse: V,
    /// For the upstream gradient.
    gradient: V,
}

/// The norm of a row of `len` logits and a quarter of the last of its `N` sums, where `MEAN` divided by that of the weights.
/// `None` where the row has no result: any +inf or NaN, all -inf, or a last sum that is no number of the type.
///
/// The first of the terms are the weights. A second pass is taken where their sum is out of range, and where the last sum
/// overflows.
#[inline(always)]
fn norm<L: WideLanes<T>, T: Float, const N: usize, const MEAN: bool>(
    l: L,
    len: usize,
    terms: impl Fn(&Scales<L::V>, usize, usize) -> [(L::V, L::V); N],
) -> Option<(Norm<T>, T)> {
    let large = T::SCALE.to_f64();
    let small = 1.0 / large;
    let (mut scale, mut gradient) = (1.0, 1.0);
    loop {
        let splat = |x: f64| l.splat(T::from_f64(x));
        let scales = Scales { weight: splat(scale), inverse: splat(1.0 / scale), gradient: splat(gradient) };
        let sums = sums(
            l,
            len,
            #[inline(always)]
            |at, end| terms(&scales, at, end),
        );
        let (sum, last) = (sums[0], sums[N - 1].total());
        let total = sum.total();
        if scale == 1.0 && !(small..=large).contains(&total) {
            scale = if total < small { large } else { small };
        } else if sum.without_result(T::NAN).is_some() {
            return None;
        } else if gradient == 1.0 && !last.is_finite() {
            // Then a weight is below `large`, or scaled by `small`: what is a quarter of that cannot overflow again.
            gradient = 0.25 * small;
        } else {
            let last = T::from_f64(if MEAN { last / total } else { last } * (0.25 / gradient));
            return last.to_f64().is_finite().then_some((Norm { sum, scale: T::from_f64(scale) }, last));
        }
    }
}

/// The norm of a row alone.
#[inline(always)]
fn norm_of<L: WideLanes<T>, T: Float>(l: L, x: &[T]) -> Option<Norm<T>> {
    let norm = norm::<L, T, 1, false>(
        l,
        x.len(),
        #[inline(always)]
        |s, at, end| [weigh_exactly(l, load(l, x, at, end, T::NEG_INFINITY), s.weight, s.inverse)],
    );
    norm.map(|(norm, _)| norm)
}

/// Writes `f` of every vector of `x`, past the caches where the row is far larger than they are.
#[inline(always)]
fn write<L: Lanes<T>, T: Float>(l: L, x: &[T], out: &mut [T], f: impl Fn(L::V) -> L::V) {
    if streams::<T>(x.len()) {
        map::<L, T, true>(l, &mut Io::new(x, out), f);
    } else {
        map::<L, T, false>(l, &mut Io::new(x, out), f);
    }
}

/// StableMax of a slice.
#[inline(always)]
pub(crate) fn stablemax<L: WideLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let Some(norm) = norm_of(l, x) else { return out.fill(T::NAN) };
    let (c, p) = norm.factors();
    let (c, p) = (l.splat(c), l.splat(p));
    write(
        l,
        x,
        out,
        #[inline(always)]
        |x| l.mul(weigh(l, x, c), p),
    );
}

/// Log-StableMax of a slice: `(±e - E) ln 2 + (±r - R)` with the logarithms `e ln 2 + r` of u and `E ln 2 + R` of the
/// sum, so that two large ones cancel without an error.
#[inline(always)]
pub(crate) fn log_stablemax<L: WideLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let Some(norm) = norm_of(l, x) else { return out.fill(T::NAN) };
    let (e_sum, r_sum) = norm.ln();
    let (e_sum, r_sum) = (l.splat(e_sum), l.splat(r_sum));
    let (one, zero, minus) = (l.splat(T::ONE), l.splat(T::ZERO), l.splat(T::ZERO - T::ONE));
    let (high, low, lowest) = (l.splat(T::LN2_HI), l.splat(T::LN2_LO), l.splat(T::NEG_INFINITY));
    write(
        l,
        x,
        out,
        #[inline(always)]
        |x| {
            let (e, r) = ln(l, distance(l, x));
            let sign = l.select(l.lt(x, zero), minus, one);
            let e = l.sub(l.mul(e, sign), e_sum);
            let r = l.sub(l.mul(r, sign), r_sum);
            let y = l.mul_add(e, high, l.mul_add(e, low, r));
            // The logarithm of infinity is anything.
            l.select(l.lt(lowest, x), y, x)
        },
    );
}

/// The gradient of StableMax: `(s' / S) (dy - D)` with `D = sum(dy s) / S`; s' is 1 or 1/u^2.
#[inline(always)]
pub(crate) fn stablemax_backward<L: WideLanes<T>, T: Float>(l: L, x: &[T], dy: &[T], dx: &mut [T]) {
    let zero = l.splat(T::ZERO);
    let norm = norm::<L, T, 2, true>(
        l,
        x.len(),
        #[inline(always)]
        |s, at, end| {
            let (weight, rest) = weigh_exactly(l, load(l, x, at, end, T::NEG_INFINITY), s.weight, s.inverse);
            let dy = l.mul(load(l, dy, at, end, T::ZERO), s.gradient);
            [(weight, rest), (l.mul(dy, weight), zero)]
        },
    );
    let Some((norm, mean)) = norm else { return dx.fill(T::NAN) };
    let (c, p) = norm.factors();
    // All of the gradient is taken by a quarter: its distance from the mean may overflow.
    let four_p = l.splat(p * T::from_f64(4.0));
    let (c, minus_mean, quarter) = (l.splat(c), l.splat(T::ZERO - mean), l.splat(T::from_f64(0.25)));
    let one = l.splat(T::ONE);
    combine(
        l,
        x,
        dy,
        dx,
        #[inline(always)]
        |x, dy| {
            let root = l.select(l.lt(x, zero), l.div(one, distance(l, x)), one);
            let t = l.mul_add(dy, quarter, minus_mean);
            // In this order nothing overflows, and what is lost where a product is subnormal is not multiplied by more
            // than 1 afterwards: root c p <= 1.
            l.mul(l.mul(l.mul(l.mul(t, root), c), root), four_p)
        },
    );
}

/// The gradient of log-StableMax: `dy / u - (s' / S) sum(dy)`.
#[inline(always)]
pub(crate) fn log_stablemax_backward<L: WideLanes<T>, T: Float>(l: L, x: &[T], dy: &[T], dx: &mut [T]) {
    let zero = l.splat(T::ZERO);
    let norm = norm::<L, T, 2, false>(
        l,
        x.len(),
        #[inline(always)]
        |s, at, end| {
            let weight = weigh_exactly(l, load(l, x, at, end, T::NEG_INFINITY), s.weight, s.inverse);
            [weight, (l.mul(load(l, dy, at, end, T::ZERO), s.gradient), zero)]
        },
    );
    let Some((norm, sum)) = norm else { return dx.fill(T::NAN) };
    let (c, p) = norm.factors();
    let (c, p, sum, quarter) = (l.splat(c), l.splat(p), l.splat(sum), l.splat(T::from_f64(0.25)));
    let (one, four) = (l.splat(T::ONE), l.splat(T::from_f64(4.0)));
    combine(
        l,
        x,
        dy,
        dx,
        #[inline(always)]
        |x, dy| {
            let inverse = l.div(one, distance(l, x));
            let root = l.select(l.lt(x, zero), inverse, one);
            // The order is that of the gradient of StableMax, and so is the quarter.
            let second = l.mul(l.mul(l.mul(l.mul(sum, root), c), root), p);
            l.mul(l.sub(l.mul(l.mul(dy, quarter), inverse), second), four)
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
