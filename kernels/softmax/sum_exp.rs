//! The sum of the exponentials of one row.
//!
//! | | use | passes |
//! |---|---|---|
//! | [`row_sum_exp`], [`row_sum_exp_bounded`] | logarithms, long rows at first | reads [^1] |
//! | [`row_sum_exp_store`] | softmax of rows of ordinary size, not in place | reads and writes |
//! | [`row_sum_exp_base_one`] | its first attempt, rows in place | reads, may write |
//! | [`row_sum_exp_stabilized`] | slices in place, rows beyond base 1 | reads; reads, may write |
//!
//! [^1]: A block that does not fit its base is read twice.

use super::ext_sum::ExtSum;
use super::tuning::{BLOCK_ELEMENTS, DEFERRED_CHECK_VECTORS};
use crate::kernels::lanes::{Float, out_of_line};
use crate::kernels::math::compensated::{add_fast_two_sum, reduce_accumulator};
use crate::kernels::math::exp::{Base, Clamped, Exp, ExpLanes, Guard, Recorded, Shifted};
use crate::kernels::rows::{LINE_BYTES, Row, has_nan, maximum};

/// A sum of a block above this limit requires a larger base. The limit is far below the overflow of
/// f32, and far above the sum of any block relative to its own maximum.
const MAX_BLOCK_SUM: f64 = 18_446_744_073_709_551_616.0; // 2^64

/// A sum of a row below this limit requires a smaller base than [`Base::ONE`]: f32 would lose
/// results near 2^-100 of the sum.
const MIN_ROW_SUM: f64 = 9.5367431640625e-7; // 2^-20

/// If no exponential is more than this share of the sum, the logarithm of the sum is more than 1
/// above the maximum. Differences from it then keep their accuracy; otherwise see
/// [`dominated`](super::dominated).
pub(super) const MAX_SHARE: f64 = 0.36;

/// The exponential relative to [`Base::ONE`], built once for all rows.
///
/// Its constants are hidden from the compiler, which would otherwise run out of registers and
/// reload each of them for every vector.
#[inline(always)]
pub(super) fn exp_base_one<L: ExpLanes<T>, T: Float>(l: L) -> Exp<L, T> {
    Exp::for_sums(l, Base::ONE).hide_constants()
}

/// Whether the sum of a block fits the base that it was taken with; `before` is the sum of the
/// preceding blocks.
#[inline(always)]
pub(super) fn base_fits(block_sum: f64, before: f64) -> bool {
    block_sum <= MAX_BLOCK_SUM && (block_sum >= MIN_ROW_SUM || before > 0.0 && block_sum >= 0.0)
}

/// Whether [`Base::ONE`] may fit a row, by its first vector: false for logits around -1000 or 1000,
/// whose exponentials would be computed twice. Short rows are not asked: groups of them take them
/// relative to [`Base::ONE`] first.
#[inline(always)]
fn may_fit_base_one<L: ExpLanes<T>, T: Float>(l: L, row: &impl Row<T>) -> bool {
    if row.len() <= DEFERRED_CHECK_VECTORS * L::N {
        return true;
    }
    let first = row.load(l, 0);
    // From -14 to 44.
    let from_center = l.abs(l.quiet_sub(first, l.splat(T::from_f64(15.0))));
    if l.all_non_negative(l.quiet_sub(l.splat(T::from_f64(29.0)), from_center)) {
        return true;
    }
    let max = l.reduce_max(first).to_f64();
    max == f64::NEG_INFINITY || (-20.0..=44.0).contains(&max)
}

/// The sum of the exponentials of a row. `exp` is relative to [`Base::ONE`].
#[inline(always)]
pub(super) fn row_sum_exp<L: ExpLanes<T>, T: Float>(l: L, exp: &Exp<L, T>, row: &mut impl Row<T>) -> ExtSum<T> {
    row_sum_exp_bounded(l, exp, row).0
}

/// [`row_sum_exp`], and whether one exponential may be more than [`MAX_SHARE`] of the sum. If it
/// is, the answer is true.
#[inline(always)]
pub(super) fn row_sum_exp_bounded<L: ExpLanes<T>, T: Float>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
) -> (ExtSum<T>, bool) {
    let (exp, len, mut at) = (*exp, row.len(), 0);
    let mut sum = ExtSum::EMPTY;
    // At least the largest exponential, relative to the base of the sum.
    let mut bound = 0.0_f64;
    while at < len {
        let end = len.min(at + BLOCK_ELEMENTS);
        let mut block = if at == 0 && !may_fit_base_one(l, row) {
            BlockSum { high: 0.0, low: 0.0, bound: 0.0 }
        } else if sum.base() == Base::ONE {
            block_sum_exp::<L, T, Recorded, false>(l, &exp, row, at, end)
        } else {
            second_look_block(l, sum.base(), row, at, end)
        };
        if !base_fits(block.high, sum.high()) {
            let max = match block_maximum(l, row, at, end) {
                Ok(max) => max,
                Err(degenerate) => return (degenerate, false),
            };
            if max > T::NEG_INFINITY {
                bound *= sum.rebase(Base::near(max));
                block = second_look_block(l, sum.base(), row, at, end);
            }
            if block.high.is_nan() {
                return (ExtSum::NAN, false);
            }
        }
        sum.add(block.high, block.low);
        bound = bound.max(block.bound);
        at = end;
    }
    (sum, bound > sum.high() * MAX_SHARE)
}

/// The maximum of a block that does not fit its base: its sum overflows, or vanishes while no sum
/// precedes it, or it has +inf or NaN. If it has +inf, or NaN and no finite element, `Err` is the
/// sum of the whole row.
#[inline(always)]
fn block_maximum<L: ExpLanes<T>, T: Float>(
    l: L,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
) -> Result<T, ExtSum<T>> {
    let row = row.reborrow();
    out_of_line!(l, {
        let (max, len) = (maximum(l, &row, start, end), row.len());
        if max == T::INFINITY {
            Err(if has_nan(l, &row, start, len) { ExtSum::NAN } else { ExtSum::INFINITE })
        } else if max == T::NEG_INFINITY && has_nan(l, &row, start, end) {
            Err(ExtSum::NAN)
        } else {
            Ok(max)
        }
    })
}

/// [`row_sum_exp`] that also stores the exponentials, relative to the base of the sum.
#[inline(always)]
pub(super) fn row_sum_exp_store<L: ExpLanes<T>, T: Float>(l: L, exp: &Exp<L, T>, row: &mut impl Row<T>) -> ExtSum<T> {
    if row.is_in_place() {
        // In place, a block that does not fit would have destroyed its logits.
        return second_look_store(l, row);
    }
    match row_sum_exp_base_one::<L, T, true>(l, exp, row) {
        Some(sum) => sum,
        None => second_look_store(l, row),
    }
}

/// The sum of the exponentials of a row relative to [`Base::ONE`], or `None` if this base does not
/// fit the row. `STORE` also stores the exponentials.
#[inline(always)]
pub(super) fn row_sum_exp_base_one<L: ExpLanes<T>, T: Float, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
) -> Option<ExtSum<T>> {
    if !may_fit_base_one(l, row) {
        return None;
    }
    let mut sum = ExtSum::EMPTY;
    let (exp, len, mut at) = (*exp, row.len(), 0);
    while at < len {
        let end = len.min(at + BLOCK_ELEMENTS);
        let BlockSum { high, low, .. } = block_sum_exp::<L, T, Recorded, STORE>(l, &exp, row, at, end);
        sum.add(high, low);
        if !((0.0..=MAX_BLOCK_SUM).contains(&high) && sum.high() >= MIN_ROW_SUM) {
            return None;
        }
        at = end;
    }
    Some(sum)
}

/// The sum of the exponentials of a row relative to its maximum, which takes a pass of its own;
/// such a base fits any row. `STORE` also stores the exponentials, and may do so in place.
///
/// The sum is NaN if the row has NaN or +inf, and 0 if all logits are -inf. What is stored then has
/// no meaning.
#[inline(always)]
pub(crate) fn row_sum_exp_stabilized<L: ExpLanes<T>, T: Float, const STORE: bool>(
    l: L,
    row: &mut impl Row<T>,
) -> ExtSum<T> {
    let len = row.len();
    let max = maximum(l, row, 0, len);
    if max == T::NEG_INFINITY && !has_nan(l, row, 0, len) {
        return ExtSum::EMPTY;
    }
    if !(max > T::NEG_INFINITY && max < T::INFINITY) {
        return ExtSum::NAN;
    }
    let mut sum = ExtSum::with_base(Base::near(max));
    for start in (0..len).step_by(BLOCK_ELEMENTS) {
        let end = len.min(start + BLOCK_ELEMENTS);
        let BlockSum { high, low, .. } = block_sum_exp_rebased::<L, T, STORE>(l, sum.base(), row, start, end);
        sum.add(high, low);
    }
    sum
}

/// [`row_sum_exp_stabilized`] that stores the exponentials, out of line: for rows that do not fit
/// base 1.
#[inline(always)]
pub(super) fn second_look_store<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>) -> ExtSum<T> {
    let mut row = row.reborrow();
    out_of_line!(l, { row_sum_exp_stabilized::<L, T, true>(l, &mut row) })
}

/// The sum of the exponentials of a block.
struct BlockSum {
    /// The rounded sum.
    high: f64,
    /// The rounding errors of `high`.
    low: f64,
    /// At least the largest exponential, or 0 if the exponentials are stored.
    bound: f64,
}

/// The sum of the exponentials of a block relative to any base.
#[inline(always)]
fn block_sum_exp_rebased<L: ExpLanes<T>, T: Float, const STORE: bool>(
    l: L,
    base: Base<T>,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
) -> BlockSum {
    let exp = Exp::for_sums(l, base);
    if base.shift == T::ZERO {
        block_sum_exp::<L, T, Clamped, STORE>(l, &exp, row, start, end)
    } else {
        block_sum_exp::<L, T, Shifted, STORE>(l, &exp, row, start, end)
    }
}

/// [`block_sum_exp_rebased`] that only reads, out of line: for blocks that do not fit base 1, and
/// for the blocks after them.
#[inline(always)]
fn second_look_block<L: ExpLanes<T>, T: Float>(
    l: L,
    base: Base<T>,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
) -> BlockSum {
    let mut row = row.reborrow();
    out_of_line!(l, { block_sum_exp_rebased::<L, T, false>(l, base, &mut row, start, end) })
}

/// The sum of the exponentials of a block relative to the base of `exp`, as an unevaluated sum;
/// too large for any base if one overflows. `STORE` also stores them.
#[inline(always)]
fn block_sum_exp<L: ExpLanes<T>, T: Float, G: Guard, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
) -> BlockSum {
    let (high, low, bound) = block_lane_sums::<L, T, G, STORE>(l, exp, row, start, end);
    if G::RECORDED && l.exp_overflowed(high) {
        return BlockSum { high: 2.0 * MAX_BLOCK_SUM, low: 0.0, bound: 0.0 };
    }
    let (high, low) = reduce_accumulator(l, high, low);
    BlockSum { high, low, bound: if STORE { 0.0 } else { l.reduce_max(bound).to_f64() } }
}

/// [`block_sum_exp`] lane by lane, without a check of overflow.
///
/// The exponentials of a step are added in pairs, and then to the total with the rounding error
/// kept. The error grows neither with the block nor with the elements that follow a large one.
///
/// The third result is a bound of every exponential, 0 if `STORE`: the largest sum of two vectors,
/// or of one if steps are that short.
#[inline(always)]
pub(super) fn block_lane_sums<L: ExpLanes<T>, T: Float, G: Guard, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
) -> (L::V, L::V, L::V) {
    let zero = l.splat(T::ZERO);
    let (mut sum, mut bound) = ((zero, zero), zero);
    let step = L::IN_FLIGHT * L::N;
    let mut at = start;
    while end - at >= step {
        if !STORE {
            for line in (0..step).step_by(LINE_BYTES / size_of::<T>()) {
                row.prefetch(l, at + line);
            }
        }
        let (step_sum, step_bound) = step_sum_exp::<L, T, G, STORE>(l, exp, row, at);
        sum = add_fast_two_sum(l, sum, step_sum);
        if !STORE {
            bound = l.max(step_bound, bound);
        }
        at += step;
    }
    if at == end {
        return (sum.0, sum.1, bound);
    }
    // One vector at a time, if the last vector has no whole vector of logits to overlap: in a row
    // shorter than a vector, and in place, where results have replaced the logits. Other guards are
    // rare: a special tail is not worth its code size.
    if !G::RECORDED || end < L::N || STORE && row.is_in_place() {
        while at < end {
            let next = end.min(at + L::N);
            let e = exp.eval::<G>(l, row.load_tail(l, at, next));
            if STORE {
                l.store_tail(&mut row.dst()[at..next], e);
            }
            sum = add_fast_two_sum(l, sum, e);
            bound = l.max(e, bound);
            at = next;
        }
        return (sum.0, sum.1, bound);
    }
    let (tail, tail_bound) = match (end - at).div_ceil(L::N) {
        1 => tail_sum::<L, T, G, STORE, 1>(l, exp, row, at, end),
        2 => tail_sum::<L, T, G, STORE, 2>(l, exp, row, at, end),
        3 => tail_sum::<L, T, G, STORE, 3>(l, exp, row, at, end),
        _ => tail_sum::<L, T, G, STORE, 4>(l, exp, row, at, end),
    };
    sum = add_fast_two_sum(l, sum, tail);
    (sum.0, sum.1, l.max(tail_bound, bound))
}

/// The lane-wise sum of the [`ExpLanes::IN_FLIGHT`] vectors of exponentials from `at` on, and a
/// bound of them, see [`sum_in_flight`]; `STORE` also stores them.
#[inline(always)]
fn step_sum_exp<L: ExpLanes<T>, T: Float, G: Guard, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    at: usize,
) -> (L::V, L::V) {
    let mut loaded = row.load_in_flight(l, at);
    let e = &mut loaded[..L::IN_FLIGHT];
    if !STORE || !L::INTERLEAVED {
        exp.eval_in_flight::<G>(l, e);
    }
    if STORE {
        // The compiler moves exponentials, one after another, past a check of bounds after them.
        let out = &mut row.dst()[at..at + L::IN_FLIGHT * L::N];
        if L::INTERLEAVED {
            exp.eval_in_flight::<G>(l, e);
        }
        for i in 0..L::IN_FLIGHT {
            l.store(&mut out[i * L::N..], e[i]);
        }
    }
    sum_in_flight(l, e)
}

/// The lane-wise sum of at most 4 vectors, and the larger one of its last two terms: if no element
/// is negative, a bound of each for the price of one maximum.
#[inline(always)]
fn sum_in_flight<L: ExpLanes<T>, T: Float>(l: L, e: &[L::V]) -> (L::V, L::V) {
    let (a, b) = match *e {
        [a] => return (a, a),
        [a, b] => (a, b),
        [a, b, c] => (l.quiet_add(a, b), c),
        [a, b, c, d, ..] => (l.quiet_add(a, b), l.quiet_add(c, d)),
        [] => return (l.splat(T::ZERO), l.splat(T::ZERO)),
    };
    (l.quiet_add(a, b), l.max(a, b))
}

/// [`step_sum_exp`] of the `K` vectors from `at` to `end`. The last vector is a whole one that
/// overlaps the one before it, which is cheaper than a masked tail.
#[inline(always)]
fn tail_sum<L: ExpLanes<T>, T: Float, G: Guard, const STORE: bool, const K: usize>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    at: usize,
    end: usize,
) -> (L::V, L::V) {
    if K > L::IN_FLIGHT {
        // Unreachable: more than `IN_FLIGHT` vectors would contain a full step.
        return (l.splat(T::ZERO), l.splat(T::ZERO));
    }
    let start = |i: usize| if i < K - 1 { at + i * L::N } else { end - L::N };
    let mut e = [l.splat(T::ZERO); 4];
    for (i, e) in e[..K].iter_mut().enumerate() {
        *e = row.load(l, start(i));
    }
    exp.eval_in_flight::<G>(l, &mut e[..K]);
    if STORE {
        for (i, &e) in e[..K].iter().enumerate() {
            l.store(&mut row.dst()[start(i)..], e);
        }
    }
    e[K - 1] = l.keep_last(e[K - 1], end - at - (K - 1) * L::N);
    sum_in_flight(l, &e[..K])
}
