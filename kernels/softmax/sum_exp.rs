//! The sum of the exponentials of one row.
//!
//! | | use | passes |
//! |---|---|---|
//! | [`block_lane_sums`] | rows of ordinary size relative to base 1, in groups | reads, may write |
//! | [`row_sum_exp`] | long rows, and rows whose first vector is beyond base 1 | reads [^1] |
//! | [`row_sum_exp_stabilized`] | softmax of rows beyond base 1 | reads; reads, may write |
//!
//! [^1]: A block that does not fit its base is read twice.

use super::base_one::{BaseOne, base_fits, certainly_fits_base_one, may_fit_base_one};
use super::ext_sum::ExtSum;
use super::row_scan::row_sum_exp;
use super::tuning::BLOCK_ELEMENTS;
use crate::kernels::lanes::{Float, out_of_line};
use crate::kernels::math::compensated::{add_fast_two_sum, reduce_accumulator};
use crate::kernels::math::exp::{Base, Exp, ExpLanes, Guard, Recorded, Shifted};
use crate::kernels::rows::{LINE_BYTES, Row, has_nan, load_up_to, maximum};

/// The sum of the exponentials of a row, which are stored relative to the base of the sum.
#[inline(always)]
pub(super) fn row_sum_exp_store<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>) -> ExtSum<T> {
    if row_may_be_stored(l, row)
        && let Some(sum) = row_sum_exp_store_base_one(l, row)
    {
        sum
    } else {
        second_look_store(l, row)
    }
}

/// Whether [`Base::ONE`] may be tried for a row whose exponentials are stored. In place, the
/// exponentials of a base that does not fit would replace the logits: the base must fit.
#[inline(always)]
pub(super) fn row_may_be_stored<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>) -> bool {
    !row.is_in_place()
        || certainly_fits_base_one(l, row)
        || may_fit_base_one(l, row) && !row_sum_exp(l, row, BaseOne::Required).failed_base_one
}

/// [`row_sum_exp_store`] relative to [`Base::ONE`], or `None` if this base does not fit the row.
#[inline(always)]
fn row_sum_exp_store_base_one<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>) -> Option<ExtSum<T>> {
    if !may_fit_base_one(l, row) {
        return None;
    }
    let mut sum = ExtSum::EMPTY;
    let (exp, len, mut at) = (Exp::for_sums_of_row(l), row.len(), 0);
    while at < len {
        let end = len.min(at + BLOCK_ELEMENTS);
        let BlockSum { high, low, .. } = block_sum_exp::<L, T, Recorded, true>(l, &exp, row, at, end);
        if !base_fits::<T>(high, sum.high()) {
            return None;
        }
        sum.add(high, low);
        at = end;
    }
    (len > 0).then_some(sum)
}

/// The sum of the exponentials of a row relative to its maximum, which takes a pass of its own;
/// such a base fits any row, with a guard that fits the base. `STORE` also stores the exponentials,
/// and may do so in place.
///
/// The sum is NaN if the row has NaN or +inf, and 0 if all logits are -inf. What is stored then has
/// no meaning.
#[inline(always)]
pub(crate) fn row_sum_exp_stabilized<L: ExpLanes<T>, T: Float, G: Guard, const STORE: bool>(
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
    let exp = Exp::for_sums(l, sum.base());
    for start in (0..len).step_by(BLOCK_ELEMENTS) {
        let end = len.min(start + BLOCK_ELEMENTS);
        let BlockSum { high, low, .. } = block_sum_exp::<L, T, G, STORE>(l, &exp, row, start, end);
        sum.add(high, low);
    }
    sum
}

/// [`row_sum_exp_stabilized`] that stores the exponentials, out of line: for rows that do not fit
/// base 1.
#[inline(always)]
fn second_look_store<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>) -> ExtSum<T> {
    let mut row = row.reborrow();
    out_of_line!(l, { row_sum_exp_stabilized::<L, T, Shifted, true>(l, &mut row) })
}

/// The sum of the exponentials of a block.
#[derive(Clone, Copy)]
#[allow(unnameable_types, unreachable_pub, reason = "an argument of an entry point")]
pub struct BlockSum {
    /// The rounded sum.
    pub(super) high: f64,
    /// The rounding errors of `high`.
    pub(super) low: f64,
    /// At least the largest exponential, or 0 if the exponentials are stored.
    pub(super) bound: f64,
}

impl BlockSum {
    /// The sum of nothing.
    pub(crate) const EMPTY: Self = Self { high: 0.0, low: 0.0, bound: 0.0 };
}

/// The sum of the exponentials of a block relative to any base, out of line: for blocks that do not
/// fit base 1, and for the blocks after them.
#[inline(always)]
pub(super) fn second_look_block<L: ExpLanes<T>, T: Float>(
    l: L,
    base: Base<T>,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
) -> BlockSum {
    let mut row = row.reborrow();
    out_of_line!(l, { block_sum_exp::<L, T, Shifted, false>(l, &Exp::for_sums(l, base), &mut row, start, end) })
}

/// The sum of the exponentials of a block relative to the base of `exp`, as an unevaluated sum;
/// too large for any base if one overflows. `STORE` also stores them.
#[inline(always)]
pub(super) fn block_sum_exp<L: ExpLanes<T>, T: Float, G: Guard, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
) -> BlockSum {
    let (high, low, bound) = block_lane_sums::<L, T, G, STORE>(l, exp, row, start, end);
    if G::RECORDED && l.exp_overflowed(high) {
        return BlockSum { high: 2.0 * T::SCALE.to_f64(), low: 0.0, bound: 0.0 };
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
    // One vector at a time in a row shorter than a vector, where the last vector has none to
    // overlap. Other guards are rare: a special tail is not worth its code size.
    if !G::RECORDED || end < L::N {
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
pub(super) fn sum_in_flight<L: ExpLanes<T>, T: Float>(l: L, e: &[L::V]) -> (L::V, L::V) {
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
    let (mut e, starts) = tail_exp::<L, T, G, K>(l, exp, row, at, end);
    if STORE && K == 1 && row.is_in_place() {
        // Exponentials have replaced the logits before `at`: those lanes have no meaning.
        row.dst()[at..end].copy_from_slice(&l.to_array(e[0])[L::N - (end - at)..L::N]);
    } else if STORE {
        for (&e, start) in e.iter().zip(starts) {
            l.store(&mut row.dst()[start..], e);
        }
    }
    e[K - 1] = l.keep_last(e[K - 1], end - at - (K - 1) * L::N);
    sum_in_flight(l, &e)
}

/// The exponentials of a row of a few vectors, and their sum, relative to [`Base::ONE`].
pub(super) struct VectorSum<L: ExpLanes<T>, T: Float, const K: usize> {
    /// The exponentials.
    pub(super) e: [L::V; K],
    /// Where the vectors start.
    pub(super) starts: [usize; K],
    /// Bounds of the exponentials, see [`sum_in_flight`].
    pub(super) bounds: L::V,
    /// The sum.
    pub(super) sum: ExtSum<T>,
}

/// The exponentials of a row of `K` vectors and their sum, with the bits of [`block_lane_sums`], or
/// `None` if base 1 does not fit the row.
#[inline(always)]
pub(super) fn sum_of_vectors<L: ExpLanes<T>, T: Float, const K: usize>(
    l: L,
    row: &impl Row<T>,
) -> Option<VectorSum<L, T, K>> {
    if K > L::IN_FLIGHT {
        // Unreachable, as in `tail_sum`.
        return None;
    }
    let (exp, len) = (Exp::for_sums(l, Base::ONE), row.len());
    let (e, starts) = if K == 1 {
        ([exp.eval::<Recorded>(l, load_up_to(l, row, 0, len)); K], [0; K])
    } else {
        tail_exp::<L, T, Recorded, K>(l, &exp, row, 0, len)
    };
    let mut terms = e;
    if K > 1 {
        terms[K - 1] = l.keep_last(e[K - 1], len - (K - 1) * L::N);
    }
    let (sum, bounds) = sum_in_flight(l, &terms);
    // Infinite sums would raise a flag.
    if l.exp_overflowed(sum) {
        return None;
    }
    let (high, low) = reduce_accumulator(l, sum, l.splat(T::ZERO));
    base_fits::<T>(high, 0.0).then(|| VectorSum { e, starts, bounds, sum: ExtSum::base_one(high, low) })
}

/// The exponentials of the `K` vectors from `at` to `end`, and where they start. The last vector
/// overlaps the one before it.
#[inline(always)]
pub(super) fn tail_exp<L: ExpLanes<T>, T: Float, G: Guard, const K: usize>(
    l: L,
    exp: &Exp<L, T>,
    row: &impl Row<T>,
    at: usize,
    end: usize,
) -> ([L::V; K], [usize; K]) {
    let (mut e, mut starts) = ([l.splat(T::ZERO); K], [end - L::N; K]);
    for i in 0..K {
        if i < K - 1 {
            starts[i] = at + i * L::N;
        }
        e[i] = row.load(l, starts[i]);
    }
    exp.eval_in_flight::<G>(l, &mut e);
    (e, starts)
}
