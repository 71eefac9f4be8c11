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
//! 1. A group of rows is loaded into a tile of vectors. The rest is code of its own, which is
//!    compiled once for all kinds of rows: the lanes of all rows are reduced together
//!    ([`reduce_accumulators`]), and a vector has the logarithms of as many rows as it has lanes.
//! 2. Exponentials are multiplied by a power of two, see [`LOG2_SCALE`], and have no table: their
//!    errors are far below those of the logarithm.

use super::dominated::MIN_REST;
use super::row_groups::Rows;
use super::tuning::{GROUP_ROWS, MAX_BESIDE_VECTORS, SHORT_ROW_VECTORS, TILE_VECTORS};
use crate::kernels::lanes::{Float, Lanes, MAX_LANES, out_of_line};
use crate::kernels::math::compensated::{add_fast_two_sum, add_two_sum, reduce_accumulators};
use crate::kernels::math::exp::{Base, ExpLanes, UntabledExp, expm1_reduced, pow2};
use crate::kernels::math::ln::ln_1p;
use crate::kernels::rows::{Row, load_up_to};

/// The binary logarithms of the numbers by which exponentials are multiplied, for `f32` and `f64`.
/// The sum of a short row is far from overflow, and has its full precision far below the smallest
/// number of the type.
const LOG2_SCALE: [f64; 2] = [100.0, 900.0];

/// The maxima whose exponentials are reduced without an error, as in [`Base::near`].
const MAX_MAXIMUM: f64 = 32768.0;

/// The shift constant that rounds to an integer.
const SHIFTER: f64 = <f64 as Float>::SHIFTER;

/// The logarithm of a sum as an unevaluated sum of two numbers.
pub(super) type Logarithm = (f64, f64);

/// The logarithms of the sums of a group of rows.
pub(super) struct Logarithms {
    /// Their first parts.
    pub(super) high: [f64; GROUP_ROWS],
    /// Their second parts.
    pub(super) low: [f64; GROUP_ROWS],
}

impl Logarithms {
    /// No logarithms.
    pub(super) const EMPTY: Self = Self { high: [0.0; GROUP_ROWS], low: [0.0; GROUP_ROWS] };

    /// The logarithm of row `i`.
    #[inline(always)]
    pub(super) fn get(&self, i: usize) -> Logarithm {
        (self.high[i], self.low[i])
    }

    /// Changes the logarithm of row `i`.
    #[inline(always)]
    pub(super) fn set(&mut self, i: usize, (high, low): Logarithm) {
        (self.high[i], self.low[i]) = (high, low);
    }

    /// Whether a first part is NaN.
    #[inline(always)]
    pub(super) fn has_nan(&self) -> bool {
        // By bits: comparisons of NaN in vectors raise a flag on NEON.
        let mut has_nan = false;
        for x in &self.high {
            has_nan |= x.to_bits() & !(1 << 63) > f64::INFINITY.to_bits();
        }
        has_nan
    }
}

/// The logarithms of the sums of the exponentials of the rows `start + i` for each i of `listed`,
/// as (m, L) at i, see the module. `m` is NaN if the row has NaN, +inf, or nothing but -inf, if all
/// logits but one are very far below it, or if the maximum is huge. No row has more than
/// [`SHORT_ROW_VECTORS`] vectors. The tile is scratch memory.
#[inline(always)]
pub(super) fn logarithms<L: ExpLanes<T>, T: Float>(
    l: L,
    rows: &impl Rows<T>,
    start: usize,
    listed: &[usize],
    (tile, logarithms): (&mut [L::V; TILE_VECTORS], &mut Logarithms),
) {
    let vectors = rows.shape().1.div_ceil(L::N).clamp(1, SHORT_ROW_VECTORS);
    for listed in listed.chunks((TILE_VECTORS / vectors).min(GROUP_ROWS)) {
        for (vectors, &i) in tile.chunks_exact_mut(vectors).zip(listed) {
            load_row(l, &rows.read_row(start + i), vectors);
        }
        let mut results = Logarithms::EMPTY;
        tile_logarithms::<L, T, false>(l, tile, vectors, listed.len(), &mut results);
        for (at, &i) in listed.iter().enumerate() {
            logarithms.set(i, results.get(at));
        }
    }
}

/// [`logarithms`] of the rows `start + i` for each i below `n`, all of at most
/// [`MAX_BESIDE_VECTORS`] vectors. Their logits stay in the tile.
#[inline(always)]
pub(super) fn logarithms_of_all<L: ExpLanes<T>, T: Float>(
    l: L,
    rows: &impl Rows<T>,
    (start, n): (usize, usize),
    (tile, logarithms): (&mut [L::V; TILE_VECTORS], &mut Logarithms),
) {
    const { assert!(MAX_BESIDE_VECTORS * GROUP_ROWS <= TILE_VECTORS, "the rows of a group fit a tile") };
    let vectors = rows.shape().1.div_ceil(L::N).max(1);
    for (i, vectors) in tile.chunks_exact_mut(vectors).enumerate().take(n) {
        load_row(l, &rows.read_row(start + i), vectors);
    }
    tile_logarithms::<L, T, false>(l, tile, vectors, n, logarithms);
}

/// The logarithm of the sum of the exponentials of one row of at most `VECTORS` vectors, with the
/// bits of [`logarithms`].
#[inline(always)]
pub(super) fn logarithm<L: ExpLanes<T>, T: Float, const VECTORS: usize>(l: L, row: &impl Row<T>) -> Logarithm {
    let lowest = l.splat(T::NEG_INFINITY);
    let mut tile = [lowest; VECTORS];
    load_row(l, row, &mut tile);
    let mut results = Logarithms::EMPTY;
    tile_logarithms::<L, T, true>(l, &tile, row.len().div_ceil(L::N).max(1), 1, &mut results);
    results.get(0)
}

/// Loads the vectors of a row; further lanes and vectors are -inf. Nothing is loaded from the end
/// of a row, because the address of an empty slice may be no address.
#[inline(always)]
fn load_row<L: Lanes<T>, T: Float>(l: L, row: &impl Row<T>, vectors: &mut [L::V]) {
    let (mut at, len) = (0, row.len());
    for v in vectors {
        let next = len.min(at + L::N);
        *v = if at < next { load_up_to(l, row, at, next) } else { l.splat(T::NEG_INFINITY) };
        at = next;
    }
}

/// The logarithms of the sums of the exponentials of `n` rows of `vectors` vectors each. `SINGLE`:
/// there is one row, and no loop over rows.
#[inline(always)]
fn tile_logarithms<L: ExpLanes<T>, T: Float, const SINGLE: bool>(
    l: L,
    tile: &[L::V],
    vectors: usize,
    n: usize,
    results: &mut Logarithms,
) {
    out_of_line!(l, {
        let n = if SINGLE { 1 } else { n };
        let d = l.double();
        let maxima = if SINGLE { [row_maximum(l, tile); GROUP_ROWS] } else { tile_maxima(l, tile, vectors, n) };
        let log2_scale = LOG2_SCALE[usize::from(T::EPSILON == f64::EPSILON)];
        let (mut max, mut exponents) = ([f64::NAN; GROUP_ROWS], [0.0; GROUP_ROWS]);
        let mut bounded = [0.0; GROUP_ROWS];
        let (mut scaled, mut lowest) = ([T::ZERO; GROUP_ROWS], [T::ZERO; GROUP_ROWS]);
        for i in 0..GROUP_ROWS {
            // Of a maximum that is huge or infinite nothing is computed. In its place stands 0,
            // because comparisons of NaN raise a flag on NEON.
            let m = maxima[i].to_f64();
            (max[i], bounded[i]) = if m.abs() < MAX_MAXIMUM { (m, m) } else { (f64::NAN, 0.0) };
            exponents[i] = (bounded[i] * core::f64::consts::LOG2_E + SHIFTER) - SHIFTER;
            scaled[i] = T::from_f64(exponents[i] - log2_scale);
            lowest[i] = T::from_f64((exponents[i] - log2_scale + L::EXP.lowest) * core::f64::consts::LN_2);
        }
        // e^(k ln 2 - m) - 1.
        let mut factors = [0.0; GROUP_ROWS];
        for at in (0..n).step_by(<L::Double as Lanes<f64>>::N) {
            let (m, exponent, zero) = (d.load(&bounded[at..]), d.load(&exponents[at..]), d.splat(0.0));
            let p = expm1_reduced(d, d.quiet_sub(zero, m), d.quiet_sub(zero, exponent), zero);
            d.store(&mut factors[at..], p);
        }
        let exp = UntabledExp::new(l, Base::ONE);
        let (zero, mut counts) = (d.splat(0.0), [1; GROUP_ROWS]);
        let (mut highs, mut errors) = ([zero; GROUP_ROWS], [zero; GROUP_ROWS]);
        for (i, row) in tile.chunks_exact(vectors).enumerate().take(n.min(GROUP_ROWS)) {
            if max[i].is_nan() {
                continue;
            }
            let base = (l.splat(scaled[i]), l.splat(lowest[i]));
            let (sum, count) = sum_below(l, &exp, row, (l.splat(maxima[i]), base));
            (highs[i], errors[i], counts[i]) = (sum.0, sum.1, count);
        }
        let (mut others, rests) = ([0.0; GROUP_ROWS], reduce_accumulators::<_, T>(d, (&mut highs, &mut errors), n));
        for i in 0..GROUP_ROWS {
            others[i] = f64::from(counts[i]) - 1.0;
        }
        for at in (0..n).step_by(<L::Double as Lanes<f64>>::N) {
            let (m, p, others) = (d.load(&max[at..]), d.load(&factors[at..]), d.load(&others[at..]));
            let (high, low) = (d.load(&rests.0[at..]), d.load(&rests.1[at..]));
            // Otherwise r is 0, or may have lost a part of its terms to underflow, or is NaN.
            let min = d.splat(MIN_REST[usize::from(T::EPSILON == f64::EPSILON)]);
            let is_sound = d.lt(min, d.quiet_add(high, others));
            d.store(&mut results.high[at..], d.select(is_sound, m, d.splat(f64::NAN)));
            // (high + low) * (1 + p) without the scale. It is a power of two: only a subnormal
            // result is rounded.
            let scale = d.splat(pow2(-log2_scale));
            let (s, low) = if T::EPSILON > f64::EPSILON {
                let rest = d.quiet_mul(d.quiet_mul_add(high, p, high), scale);
                (d.quiet_add(others, rest), low)
            } else {
                let low = d.quiet_mul(d.quiet_mul_add(high, p, d.quiet_mul_add(low, p, low)), scale);
                let (high, low) = add_two_sum(d, (d.quiet_mul(high, scale), zero), low);
                add_two_sum(d, (others, low), high)
            };
            d.store(&mut results.low[at..], ln_1p::<_, T>(d, s, low));
        }
    });
}

/// The lanes of the sum r of a row with their rounding errors, and the number of logits that are
/// not below the maximum.
#[inline(always)]
#[allow(clippy::type_complexity, reason = "pairs of vectors")]
fn sum_below<L: ExpLanes<T>, T: Float>(
    l: L,
    exp: &UntabledExp<L, T>,
    row: &[L::V],
    base: (L::V, (L::V, L::V)),
) -> ((<L::Double as Lanes<f64>>::V, <L::Double as Lanes<f64>>::V), u32) {
    let (d, mut count) = (l.double(), 0);
    let mut sum = (d.splat(0.0), d.splat(0.0));
    if T::EPSILON > f64::EPSILON && L::N > 1 {
        // The sum of two exponentials of `f32` has an error of less than 1.1 ulp.
        let (pairs, last) = row.as_chunks::<2>();
        for &[a, b] in pairs {
            let e = l.quiet_add(exp_below(l, exp, a, base, &mut count).0, exp_below(l, exp, b, base, &mut count).0);
            sum.0 = d.quiet_add(sum.0, l.to_double(e, e).0);
        }
        for &x in last {
            let e = exp_below(l, exp, x, base, &mut count).0;
            sum.0 = d.quiet_add(sum.0, l.to_double(e, e).0);
        }
    } else {
        for &x in row {
            let (e, error) = exp_below(l, exp, x, base, &mut count);
            let (e, error) = l.to_double(e, error);
            let (high, low) = add_fast_two_sum(d, sum, e);
            sum = (high, d.quiet_add(low, error));
        }
    }
    (sum, count)
}

/// The exponentials of the logits below the maximum of their row, and their rounding errors. Counts
/// the others.
#[inline(always)]
fn exp_below<L: ExpLanes<T>, T: Float>(
    l: L,
    exp: &UntabledExp<L, T>,
    x: L::V,
    (top, base): (L::V, (L::V, L::V)),
    count: &mut u32,
) -> (L::V, L::V) {
    let below = l.lt(x, top);
    *count += (L::N - l.count(below)) as u32;
    exp.eval_masked(l, below, x, base)
}

/// The maximum of a row. NaN is ignored.
#[inline(always)]
fn row_maximum<L: Lanes<T>, T: Float>(l: L, row: &[L::V]) -> T {
    let mut top = l.splat(T::NEG_INFINITY);
    for &x in row {
        top = l.max(x, top);
    }
    l.reduce_max(top)
}

/// The maxima of `n` rows of `vectors` vectors each. NaN is ignored.
#[inline(always)]
fn tile_maxima<L: ExpLanes<T>, T: Float>(l: L, tile: &[L::V], vectors: usize, n: usize) -> [T; GROUP_ROWS] {
    const { assert!(GROUP_ROWS == MAX_LANES, "the lanes of a group are reduced together") };
    let (mut tops, mut max) = ([l.splat(T::NEG_INFINITY); GROUP_ROWS], [T::ZERO; GROUP_ROWS]);
    if vectors == 1 {
        for (top, &x) in tops.iter_mut().zip(tile) {
            *top = x;
        }
    } else {
        for (top, row) in tops.iter_mut().zip(tile.chunks_exact(vectors)).take(n) {
            for &x in row {
                *top = l.max(x, *top);
            }
        }
    }
    for at in (0..n).step_by(L::N) {
        let (tops, mut n) = (&mut tops[at..at + L::N], L::N);
        while n > 1 {
            n /= 2;
            for i in 0..n {
                let (a, b) = l.interleave(tops[i], tops[i + n]);
                tops[i] = l.max(a, b);
            }
        }
        l.store(&mut max[at..], tops[0]);
    }
    max
}
