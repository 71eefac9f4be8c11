//! The logarithms of the sums of rows, relative to their maxima.
//!
//! ```text
//! m = max_j x_j                       k = rint(m log2 e)
//! r = sum of e^(x_j) 2^-k over the logits below m         c = the number of logits equal to m
//! s = (c - 1) + r e^(k ln 2 - m)      one maximum is left out
//! L = ln(1 + s)
//! log_sum_exp(x) = m + L              log_softmax(x)_i = (x_i - m) - L
//! ```
//!
//! Both terms of log-softmax are at most 0: nothing cancels, its relative error is at most that of
//! its terms, and it is exactly 0 for a row of one logit. Log-sum-exp is at least m, because
//! rounding is monotone. The difference `x - ln S` would have the absolute error of `ln S`.
//!
//! 1. Short rows are loaded into a tile of vectors, a group at a time, and long ones a part at a
//!    time. The rest is code of its own, which is compiled once for all kinds of rows: the lanes of
//!    all rows are reduced together ([`reduce_accumulators`]), and a vector has the logarithms of
//!    as many rows as it has lanes.
//! 2. Exponentials are multiplied by a power of two, see [`LOG2_SCALE`], and have no table
//!    ([`UntabledExp`]), because its rounding would add to that of the sum.
//! 3. The argument of an exponential is never a rounded difference: the base is an integer
//!    exponent. From rows with a huge maximum, the maximum is subtracted first, which is exact
//!    wherever it counts ([`Base`]).

use super::logarithms::{Logarithm, Logarithms};
use super::row_groups::Rows;
use super::tile::{load_part, row_maximum, tile_maxima};
use super::tuning::{GROUP_ROWS, MAX_BESIDE_VECTORS, SHORT_ROW_VECTORS, TILE_VECTORS};
use crate::kernels::lanes::{Float, Lanes, out_of_line};
use crate::kernels::math::compensated::{add_fast_two_sum, add_two_sum, reduce_accumulator, reduce_accumulators};
use crate::kernels::math::exp::{Base, ExpLanes, UntabledExp, expm1_reduced, pow2};
use crate::kernels::math::ln::ln_1p;
use crate::kernels::rows::{Row, load_up_to, maximum};
use core::hint::black_box;

/// The binary logarithms of the numbers by which exponentials are multiplied, for `f32` and `f64`.
/// The sum of a part of a row is far from overflow, and what underflows is far below the smallest
/// number of the type.
const LOG2_SCALE: [f64; 2] = [100.0, 900.0];

/// From maxima of this magnitude on, the maximum is subtracted from the logits.
pub(super) const MAX_MAXIMUM: f64 = Base::<f64>::MAX_UNSHIFTED;

/// The logarithms of the sums of the exponentials of the rows `start + i` for each i of `listed`,
/// as (m, L) at i, see the module; out of line. `m` is NaN if the row has NaN, +inf, or nothing but
/// -inf, or if the maximum is huge; see [`logarithm_of_parts`]. The tile is scratch memory.
#[inline(always)]
pub(super) fn logarithms<L: ExpLanes<T>, T: Float>(
    l: L,
    rows: &mut impl Rows<T>,
    start: usize,
    listed: &[usize],
    (tile, logarithms): (&mut [L::V; TILE_VECTORS], &mut Logarithms),
) {
    let rows = rows.reborrow();
    out_of_line!(l, {
        let vectors = rows.shape().1.div_ceil(L::N).max(1);
        if vectors > SHORT_ROW_VECTORS {
            for &i in listed {
                logarithms.set(i, logarithm_of_parts(l, &rows.read_row(start + i), tile));
            }
            return;
        }
        for listed in listed.chunks((TILE_VECTORS / vectors).min(GROUP_ROWS)) {
            for (vectors, &i) in tile.chunks_exact_mut(vectors).zip(listed) {
                load_part(l, &rows.read_row(start + i), 0, vectors);
            }
            let mut results = Logarithms::EMPTY;
            tile_logarithms::<L, T>(l, tile, vectors, listed.len(), &mut results);
            for (at, &i) in listed.iter().enumerate() {
                logarithms.set(i, results.get(at));
            }
        }
    });
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
        load_part(l, &rows.read_row(start + i), 0, vectors);
    }
    tile_logarithms::<L, T>(l, tile, vectors, n, logarithms);
}

/// The logarithm of the sum of the exponentials of one row of at most [`MAX_BESIDE_VECTORS`]
/// vectors, with the bits of [`logarithms`].
#[inline(always)]
pub(super) fn logarithm<L: ExpLanes<T>, T: Float>(l: L, row: &impl Row<T>) -> Logarithm {
    let len = row.len();
    if !L::IS_SCALAR && (1..=2 * L::N).contains(&len) {
        if len <= L::N {
            return vectors_logarithm::<L, T>(l, &[load_up_to(l, row, 0, len)]);
        }
        return vectors_logarithm::<L, T>(l, &[row.load(l, 0), load_up_to(l, row, L::N, len)]);
    }
    let mut tile = [l.splat(T::NEG_INFINITY); MAX_BESIDE_VECTORS];
    let vectors = len.div_ceil(L::N).clamp(1, MAX_BESIDE_VECTORS);
    load_part(l, row, 0, &mut tile[..vectors]);
    let tile = &tile[..vectors];
    out_of_line!(l, { vectors_logarithm::<L, T>(l, tile) })
}

/// [`logarithm`] of a row, given its vectors.
#[inline(always)]
fn vectors_logarithm<L: ExpLanes<T>, T: Float>(l: L, row: &[L::V]) -> Logarithm {
    let max = row_maximum(l, row);
    if max.to_f64().abs() >= MAX_MAXIMUM {
        return (f64::NAN, 0.0);
    }
    let base = scaled_base(nearest_exponent(max));
    let ((high, low), maxima) = sum_below::<L, T, false>(l, &UntabledExp::new(l), row, max, base);
    PartialSum::<L, T> { max, high, low, maxima: f64::from(maxima) }.logarithm(l)
}

/// The logarithm of the sum of the exponentials of one row of any length, a part at a time, out of
/// line, with the bits of [`logarithms`]. The first part is NaN if the row has NaN, +inf, or
/// nothing but -inf.
#[inline(always)]
pub(super) fn logarithm_of_parts<L: ExpLanes<T>, T: Float>(
    l: L,
    row: &impl Row<T>,
    tile: &mut [L::V; TILE_VECTORS],
) -> Logarithm {
    out_of_line!(l, {
        let len = row.len();
        let max = maximum(l, row, 0, len);
        let is_huge = max.to_f64().abs() >= MAX_MAXIMUM;
        if max.to_f64().is_infinite() {
            return (f64::NAN, 0.0);
        }
        let mut sum = PartialSum::new(l, if is_huge { T::ZERO } else { max });
        for start in (0..len).step_by(TILE_VECTORS * L::N) {
            let vectors = (len - start).div_ceil(L::N).min(TILE_VECTORS);
            load_part(l, row, start, &mut tile[..vectors]);
            if is_huge {
                subtract_maximum(l, max, &mut tile[..vectors]);
            }
            let (part, sum) = (&tile[..vectors], &mut sum);
            out_of_line!(l, { sum.add::<true>(l, part) });
        }
        let (m, ln) = out_of_line!(l, { sum.logarithm(l) });
        // Of differences the maximum is 0, or NaN if the row has NaN.
        (if is_huge { max.to_f64() + m } else { m }, ln)
    })
}

/// Subtracts a huge maximum of their row from logits; far below it, results are -inf.
#[inline(always)]
fn subtract_maximum<L: Lanes<T>, T: Float>(l: L, max: T, vectors: &mut [L::V]) {
    // A negative logit is so far below a positive maximum that 0 has the same result; its own
    // difference might overflow.
    let least = l.splat(if max > T::ZERO { T::ZERO } else { T::NEG_INFINITY });
    for x in vectors {
        *x = l.quiet_sub(l.max(least, *x), l.splat(max));
    }
}

/// The logarithms of the sums of the exponentials of `n` rows of `vectors` vectors each, out of
/// line.
#[inline(always)]
fn tile_logarithms<L: ExpLanes<T>, T: Float>(l: L, tile: &[L::V], vectors: usize, n: usize, results: &mut Logarithms) {
    out_of_line!(l, {
        let d = l.double();
        let maxima = tile_maxima(l, tile, vectors, n);
        let (mut max, mut bounded) = ([f64::NAN; GROUP_ROWS], [T::ZERO; GROUP_ROWS]);
        for i in 0..GROUP_ROWS {
            // Of a maximum that is huge or infinite nothing is computed. In its place stands 0,
            // because comparisons of NaN raise a flag on NEON.
            let m = maxima[i].to_f64();
            (max[i], bounded[i]) = if m.abs() < MAX_MAXIMUM { (m, maxima[i]) } else { (f64::NAN, T::ZERO) };
        }
        // Hidden: the compiler would multiply first and then choose, and products of huge maxima
        // overflow.
        let bounded = black_box(bounded);
        let (mut exponents, mut bases) = ([0.0; GROUP_ROWS], [T::ZERO; GROUP_ROWS]);
        let mut wide = [0.0; GROUP_ROWS];
        for i in 0..GROUP_ROWS {
            let k = nearest_exponent(bounded[i]);
            (wide[i], exponents[i], bases[i]) = (bounded[i].to_f64(), k.to_f64(), scaled_base(k));
        }
        let mut factors = [0.0; GROUP_ROWS];
        for at in (0..n).step_by(<L::Double as Lanes<f64>>::N) {
            d.store(&mut factors[at..], factor(d, d.load(&wide[at..]), d.load(&exponents[at..])));
        }
        let exp = UntabledExp::new(l);
        let (zero, mut counts, mut others) = (d.splat(0.0), [1; GROUP_ROWS], [0.0; GROUP_ROWS]);
        let (mut highs, mut errors) = ([zero; GROUP_ROWS], [zero; GROUP_ROWS]);
        for (i, row) in tile.chunks_exact(vectors).enumerate().take(n.min(GROUP_ROWS)) {
            if max[i].is_nan() {
                continue;
            }
            let (sum, count) = sum_below::<_, _, false>(l, &exp, row, maxima[i], bases[i]);
            (highs[i], errors[i], counts[i]) = (sum.0, sum.1, count);
        }
        for i in 0..GROUP_ROWS {
            others[i] = f64::from(counts[i]) - 1.0;
        }
        let rests = reduce_accumulators::<_, T>(d, (&mut highs, &mut errors), n);
        for at in (0..n).step_by(<L::Double as Lanes<f64>>::N) {
            let (m, p, others) = (d.load(&max[at..]), d.load(&factors[at..]), d.load(&others[at..]));
            let rest = (d.load(&rests.0[at..]), d.load(&rests.1[at..]));
            let (m, ln) = logarithm_of_rest::<_, T>(d, m, others, rest, p);
            d.store(&mut results.high[at..], m);
            d.store(&mut results.low[at..], ln);
        }
    });
}

/// The sum of the parts of a row, see the module.
struct PartialSum<L: ExpLanes<T>, T: Float> {
    /// The maximum m of the whole row, not huge.
    max: T,
    /// The lanes of the sum r.
    high: <L::Double as Lanes<f64>>::V,
    /// Their rounding errors.
    low: <L::Double as Lanes<f64>>::V,
    /// The number c of maxima.
    maxima: f64,
}

impl<L: ExpLanes<T>, T: Float> PartialSum<L, T> {
    /// The sum of no part.
    #[inline(always)]
    fn new(l: L, max: T) -> Self {
        let zero = l.double().splat(0.0);
        Self { max, high: zero, low: zero, maxima: 0.0 }
    }

    /// Adds a part of the row; `LONG` as in [`sum_below`].
    #[inline(always)]
    fn add<const LONG: bool>(&mut self, l: L, part: &[L::V]) {
        let base = scaled_base(nearest_exponent(self.max));
        let ((high, low), maxima) = sum_below::<L, T, LONG>(l, &UntabledExp::new(l), part, self.max, base);
        let (high, error) = add_two_sum(l.double(), (self.high, self.low), high);
        (self.high, self.low) = (high, l.double().quiet_add(error, low));
        self.maxima += f64::from(maxima);
    }

    /// The logarithm of the sum of the exponentials of the row.
    #[inline(always)]
    fn logarithm(&self, l: L) -> Logarithm {
        let (d, m) = (l.short(), self.max.to_f64());
        // In the order of `reduce_accumulators`.
        let (high, low) = if T::EPSILON > f64::EPSILON {
            (l.double().reduce_sum(self.high), 0.0)
        } else {
            reduce_accumulator(l.double(), self.high, self.low)
        };
        let (max, rest) = (d.splat(m), (d.splat(high), d.splat(low)));
        let p = factor(d, max, d.splat(nearest_exponent(self.max).to_f64()));
        let (m, ln) = logarithm_of_rest::<_, T>(d, max, d.splat(self.maxima - 1.0), rest, p);
        (d.to_array(m)[0], d.to_array(ln)[0])
    }
}

/// The exponent of the number that exponentials beside a maximum with the exponent k are divided
/// by.
#[inline(always)]
pub(super) fn scaled_base<T: Float>(k: T) -> T {
    k - T::from_f64(LOG2_SCALE[usize::from(T::EPSILON == f64::EPSILON)])
}

/// k, see the module. In the precision of the type it is ready sooner, and barely beyond the
/// nearest integer where it is not that one.
#[inline(always)]
pub(super) fn nearest_exponent<T: Float>(m: T) -> T {
    (m * T::LOG2_E + T::SHIFTER) - T::SHIFTER
}

/// e^(k ln 2 - m) - 1.
#[inline(always)]
pub(super) fn factor<D: Lanes<f64>>(d: D, m: D::V, k: D::V) -> D::V {
    let zero = d.splat(0.0);
    expm1_reduced(d, d.quiet_sub(zero, m), d.quiet_sub(zero, k), zero)
}

/// (m, L) from the maximum m, the number c - 1 of other maxima, the sum r with its rounding errors,
/// and [`factor`]. The first part is NaN if m or r is NaN.
#[inline(always)]
pub(super) fn logarithm_of_rest<D: Lanes<f64>, T: Float>(
    d: D,
    m: D::V,
    others: D::V,
    (high, low): (D::V, D::V),
    p: D::V,
) -> (D::V, D::V) {
    let (zero, scale) = (d.splat(0.0), d.splat(pow2(-LOG2_SCALE[usize::from(T::EPSILON == f64::EPSILON)])));
    // (high + low) * (1 + p) without the scale. It is a power of two: only a subnormal result is
    // rounded.
    let (s, low) = if T::EPSILON > f64::EPSILON {
        (d.quiet_mul_add(high, d.quiet_mul_add(p, scale, scale), others), low)
    } else {
        let low = d.quiet_mul(d.quiet_mul_add(high, p, d.quiet_mul_add(low, p, low)), scale);
        let (high, low) = add_two_sum(d, (d.quiet_mul(high, scale), zero), low);
        add_two_sum(d, (others, low), high)
    };
    // Minus 0 times r: NaN if r is, and -0 stays what it is.
    (d.quiet_neg_mul_add(high, zero, m), ln_1p::<_, T>(d, s, low))
}

/// The lanes of the sum r of logits with their rounding errors, and the number of logits that are
/// not below the maximum `max`. `base` is [`scaled_base`]. `LONG` changes no bits: four vectors
/// take each step together.
#[inline(always)]
#[allow(clippy::type_complexity, reason = "pairs of vectors")]
fn sum_below<L: ExpLanes<T>, T: Float, const LONG: bool>(
    l: L,
    exp: &UntabledExp<L, T>,
    row: &[L::V],
    max: T,
    base: T,
) -> ((<L::Double as Lanes<f64>>::V, <L::Double as Lanes<f64>>::V), u32) {
    let (d, mut count) = (l.double(), 0);
    let base = (l.splat(max), l.splat(base));
    let mut sum = (d.splat(0.0), d.splat(0.0));
    if T::EPSILON > f64::EPSILON && L::N > 1 {
        let (pairs, last) = row.as_chunks::<2>();
        let (double_pairs, pairs) = pairs.split_at(if LONG { pairs.len() & !1 } else { 0 });
        for &[a, b] in double_pairs.as_chunks::<2>().0 {
            let (powers, p) = exp_below(l, exp, [a[0], a[1], b[0], b[1]], base, &mut count);
            for i in [0, 2] {
                let e = add_pair(l, (powers[i], p[i]), (powers[i + 1], p[i + 1]));
                sum.0 = d.quiet_add(sum.0, l.to_double(e, e).0);
            }
        }
        for &pair in pairs {
            let (powers, p) = exp_below(l, exp, pair, base, &mut count);
            let e = add_pair(l, (powers[0], p[0]), (powers[1], p[1]));
            sum.0 = d.quiet_add(sum.0, l.to_double(e, e).0);
        }
        for &x in last {
            let ([power], [p]) = exp_below(l, exp, [x], base, &mut count);
            let (e, error) = UntabledExp::scale(l, (power, p));
            let e = l.to_double(e, error).0;
            // In a row of one vector, the logarithm need not wait for a sum with 0.
            sum.0 = if row.len() == 1 { e } else { d.quiet_add(sum.0, e) };
        }
    } else {
        for &x in row {
            let ([power], [p]) = exp_below(l, exp, [x], base, &mut count);
            let (e, error) = UntabledExp::scale(l, (power, p));
            let (e, error) = l.to_double(e, error);
            let (high, low) = add_fast_two_sum(d, sum, e);
            sum = (high, d.quiet_add(low, error));
        }
    }
    (sum, count)
}

/// The sum of two exponentials (power, p). The sum of the powers is exact where it counts, and that
/// of the rests has a small error: in all it is little more than one rounding error.
#[inline(always)]
fn add_pair<L: Lanes<T>, T: Float>(l: L, a: (L::V, L::V), b: (L::V, L::V)) -> L::V {
    let rest = l.quiet_mul_add(a.0, a.1, l.quiet_mul(b.0, b.1));
    l.quiet_add(l.quiet_add(a.0, b.0), rest)
}

/// The exponentials of the logits below the maximum of their row, see [`UntabledExp::eval_masked`].
/// Counts the others.
#[inline(always)]
fn exp_below<L: ExpLanes<T>, T: Float, const K: usize>(
    l: L,
    exp: &UntabledExp<L, T>,
    x: [L::V; K],
    (top, base): (L::V, L::V),
    count: &mut u32,
) -> ([L::V; K], [L::V; K]) {
    let mut below = [l.lt(top, top); K];
    for i in 0..K {
        below[i] = l.lt(x[i], top);
        *count += (L::N - l.count(below[i])) as u32;
    }
    exp.eval_masked(l, below, x, base)
}
