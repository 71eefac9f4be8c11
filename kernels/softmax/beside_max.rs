//! The logarithms of the sums of short rows, a group of rows at a time.
//!
//! ```text
//! m = max_j x_j                       k = rint(m log2 e)
//! r = sum of e^(x_j) 2^-k over the logits below m         c = the number of logits equal to m
//! s = (c - 1) + r e^(k ln 2 - m)
//! L = ln(1 + s)
//! ```
//!
//! These are the formulas of [`dominated`](super::dominated), which fit every row: no row needs a
//! second look because one of its exponentials is large. Here the maximum takes a pass of its own,
//! so that it is left out by a comparison and the base is known.
//!
//! 1. The lanes of all rows are reduced together ([`Lanes::reduce_each`]), and so are logarithms
//!    taken, in code of its own that is the same for all kinds of rows.
//! 2. Exponentials are multiplied by a power of two, see [`LOG2_SCALE`], and have no table: their
//!    errors are far below those of the logarithm.

use super::dominated::{MIN_REST, add_exp, load};
use super::row_groups::RowsMut;
use super::tuning::GROUP_ROWS;
use crate::kernels::lanes::{Float, Lanes, MAX_LANES, out_of_line};
use crate::kernels::math::compensated::{add_two_sum, reduce_accumulator, reduce_accumulators};
use crate::kernels::math::exp::{Base, ExpLanes, UntabledExp, expm1_reduced, pow2};
use crate::kernels::math::ln::ln_1p;
use crate::kernels::rows::Row;

/// The binary logarithms of the numbers by which exponentials are multiplied, for `f32` and `f64`.
/// The sum of a short row is far from overflow, and has its full precision far below the smallest
/// number of the type.
const LOG2_SCALE: [f64; 2] = [100.0, 900.0];

/// The maxima whose exponentials are reduced without an error, as in [`Base::near`].
const MAX_MAXIMUM: f64 = 32768.0;

/// The logarithm of a sum as an unevaluated sum of two numbers.
pub(super) type Logarithm = (f64, f64);

/// What the logarithms of a group are computed from.
struct Rests<V> {
    /// The lanes of the sums `r`, times the scale.
    high: [V; GROUP_ROWS],
    /// The rounding errors of `high`.
    low: [V; GROUP_ROWS],
    /// The numbers of logits that are not below the maximum, without one.
    others: [f64; GROUP_ROWS],
}

/// The constants of the logarithms of short rows, built once for many rows.
pub(super) struct BesideMax<L: ExpLanes<T>, T: Float> {
    /// The exponential.
    exp: UntabledExp<L, T>,
}

impl<L: ExpLanes<T>, T: Float> BesideMax<L, T> {
    /// The binary logarithm of the number by which exponentials are multiplied.
    const LOG2_SCALE: f64 = LOG2_SCALE[(T::EPSILON == f64::EPSILON) as usize];

    /// The constants.
    #[inline(always)]
    pub(super) fn new(l: L) -> Self {
        const { assert!(GROUP_ROWS == MAX_LANES, "the lanes of a group are reduced together") };
        Self { exp: UntabledExp::new(l, Base::ONE) }
    }

    /// The logarithms of the sums of the exponentials of the rows `start + i` for each i of
    /// `listed`, as (m, L) at i, see the module. `m` is NaN if the row has NaN, +inf, or nothing but
    /// -inf, if all logits but one are very far below it, or if the maximum is huge.
    #[inline(always)]
    pub(super) fn logarithms(
        &self,
        l: L,
        rows: &impl RowsMut<T>,
        start: usize,
        listed: &[usize],
        logarithms: &mut [Logarithm; GROUP_ROWS],
    ) {
        let zero = l.splat(T::ZERO);
        let mut tops = [l.splat(T::NEG_INFINITY); GROUP_ROWS];
        for (top, &i) in tops.iter_mut().zip(listed) {
            *top = lane_maxima(l, &rows.read_row(start + i));
        }
        let max = maxima::<L, T>(l, tops, listed.len());
        let mut rests = Rests { high: [zero; GROUP_ROWS], low: [zero; GROUP_ROWS], others: [0.0; GROUP_ROWS] };
        for (at, &i) in listed.iter().enumerate().take(GROUP_ROWS) {
            (rests.high[at], rests.low[at], rests.others[at]) = self.rest(l, &rows.read_row(start + i), max[at]);
        }
        let results = Self::finish(l, rests, max, listed.len());
        for (&result, &i) in results.iter().zip(listed) {
            logarithms[i] = result;
        }
    }

    /// The logarithm of the sum of the exponentials of one row, with the bits of
    /// [`BesideMax::logarithms`].
    #[inline(always)]
    pub(super) fn logarithm(&self, l: L, row: &impl Row<T>) -> Logarithm {
        let zero = l.splat(T::ZERO);
        let mut max = [0.0; GROUP_ROWS];
        max[0] = l.reduce_max(lane_maxima(l, row)).to_f64();
        let mut rests = Rests { high: [zero; GROUP_ROWS], low: [zero; GROUP_ROWS], others: [0.0; GROUP_ROWS] };
        (rests.high[0], rests.low[0], rests.others[0]) = self.rest(l, row, max[0]);
        Self::finish(l, rests, max, 1)[0]
    }

    /// The lanes of r with their rounding errors, and c - 1, of a row with the given maximum.
    #[inline(always)]
    fn rest(&self, l: L, row: &impl Row<T>, max: f64) -> (L::V, L::V, f64) {
        let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
        let (mut sum, mut maxima, len) = ((zero, zero), 0, row.len());
        if max.abs() >= MAX_MAXIMUM {
            return (zero, zero, 0.0);
        }
        let (exponent, top) = (nearest_exponent(max) - Self::LOG2_SCALE, l.splat(T::from_f64(max)));
        let mut at = 0;
        while at < len {
            let next = len.min(at + L::N);
            let x = load(l, row, at, next);
            let below = l.lt(x, top);
            maxima += L::N - l.count(below);
            // As a factor, because the product keeps NaN.
            let weight = l.select(below, one, zero);
            let (e, error) = self.exp.eval_scaled(l, x, exponent);
            sum = add_exp(l, sum, (l.quiet_mul(e, weight), l.quiet_mul(error, weight)));
            at = next;
        }
        (sum.0, sum.1, maxima as f64 - 1.0)
    }

    /// The logarithms of `n` rows.
    #[inline(always)]
    fn finish(l: L, rests: Rests<L::V>, max: [f64; GROUP_ROWS], n: usize) -> [Logarithm; GROUP_ROWS] {
        out_of_line!(l, {
            let d = l.double();
            let (high, low) = if n == 1 {
                let (high, low) = reduce_accumulator(l, rests.high[0], rests.low[0]);
                ([high; GROUP_ROWS], [low; GROUP_ROWS])
            } else {
                reduce_accumulators(l, (&rests.high, &rests.low), n)
            };
            let (mut max, mut exponents) = (max, [0.0; GROUP_ROWS]);
            for (x, exponent) in max.iter_mut().zip(&mut exponents) {
                (*x, *exponent) = if x.abs() < MAX_MAXIMUM { (*x, nearest_exponent(*x)) } else { (f64::NAN, 0.0) };
            }
            let mut ln = [0.0; GROUP_ROWS];
            let mut lead = [0.0; GROUP_ROWS];
            for at in (0..n).step_by(<L::Double as Lanes<f64>>::N) {
                let (m, exponent, others) = (d.load(&max[at..]), d.load(&exponents[at..]), d.load(&rests.others[at..]));
                let (high, low) = (d.load(&high[at..]), d.load(&low[at..]));
                // r is 0, or may have lost a part of its terms to underflow, or is NaN.
                let min = d.splat(MIN_REST[usize::from(T::EPSILON == f64::EPSILON)]);
                let is_sound = d.lt(min, d.quiet_add(high, others));
                let zero = d.splat(0.0);
                let p = expm1_reduced(d, d.quiet_sub(zero, m), d.quiet_sub(zero, exponent), zero);
                // (high + low) * (1 + p), then without the scale. Both factors are powers of two:
                // only a subnormal result is rounded.
                let low = d.quiet_mul_add(high, p, d.quiet_mul_add(low, p, low));
                let half = d.splat(pow2(-0.5 * Self::LOG2_SCALE));
                let high = d.quiet_mul(d.quiet_mul(high, half), half);
                let low = d.quiet_mul(d.quiet_mul(low, half), half);
                let (high, low) = add_two_sum(d, (high, zero), low);
                let (s, low) = add_two_sum(d, (others, low), high);
                d.store(&mut ln[at..], ln_1p(d, s, low));
                d.store(&mut lead[at..], d.select(is_sound, m, d.splat(f64::NAN)));
            }
            let mut results = [(0.0, 0.0); GROUP_ROWS];
            for (result, parts) in results.iter_mut().zip(lead.into_iter().zip(ln)) {
                *result = parts;
            }
            results
        })
    }
}

/// The lanes' largest logits. NaN is ignored.
#[inline(always)]
fn lane_maxima<L: Lanes<T>, T: Float>(l: L, row: &impl Row<T>) -> L::V {
    let (mut top, mut at, len) = (l.splat(T::NEG_INFINITY), 0, row.len());
    while at < len {
        let next = len.min(at + L::N);
        top = l.max(load(l, row, at, next), top);
        at = next;
    }
    top
}

/// The maxima of the lanes of `n` vectors.
#[inline(always)]
fn maxima<L: ExpLanes<T>, T: Float>(l: L, mut tops: [L::V; GROUP_ROWS], n: usize) -> [f64; GROUP_ROWS] {
    out_of_line!(l, {
        let mut max = [0.0; GROUP_ROWS];
        for at in (0..n).step_by(L::N) {
            let tops = &mut tops[at..at + L::N];
            l.reduce_each(
                tops,
                #[inline(always)]
                |a, b| {
                    let (a, b) = l.interleave(a, b);
                    l.max(a, b)
                },
            );
            l.store_wide(&mut max[at..], l.widen(tops[0]));
        }
        max
    })
}

/// The integer that is nearest to `x / ln 2`.
#[inline(always)]
fn nearest_exponent(x: f64) -> f64 {
    (x * core::f64::consts::LOG2_E + <f64 as Float>::SHIFTER) - <f64 as Float>::SHIFTER
}
