//! What benches compare with and tests need: bare passes over memory, softmax in three passes, and
//! the exponentials by themselves.

use super::lanes::{Float, Lanes};
use super::math::exp::{Base, Clamped, Exp, Exp2, ExpLanes, Recorded};
use super::rows::{Row, SrcDst, map_row};
use super::softmax::forward::{scale_stored, write_recomputed};
use super::softmax::sum_exp::row_sum_exp_stabilized;

/// Writes e^x, by the exponential of the softmax family with a clamp.
#[inline(always)]
pub(crate) fn exp<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let exp = Exp::new(l, Base::ONE);
    map_row::<L, T, false>(
        l,
        &mut SrcDst::new(x, out),
        #[inline(always)]
        |x| exp.eval::<Clamped>(l, x),
    );
}

/// Writes e^x, by the exponential of rows of ordinary size: with results that saturate, or on
/// AVX-512 may be anything that no sum takes for good.
#[inline(always)]
pub(crate) fn exp_recorded<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let exp = Exp::for_sums(l, Base::ONE);
    for (x, out) in x.chunks(L::N).zip(out.chunks_mut(L::N)) {
        l.store_tail(out, exp.eval::<Recorded>(l, l.load_tail(x, T::ZERO)));
    }
}

/// Writes 2^x, by the exponential of the Sinkhorn iteration.
#[inline(always)]
pub(crate) fn exp2<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let exp = Exp2::new(l);
    map_row::<L, T, false>(
        l,
        &mut SrcDst::new(x, out),
        #[inline(always)]
        |x| exp.eval(l, x),
    );
}

/// Returns the sum of the exponentials, without a check of overflow and without compensation.
#[inline(always)]
pub(crate) fn sum_exp<L: ExpLanes<T>, T: Float>(l: L, x: &[T]) -> f64 {
    let exp = Exp::new(l, Base::ONE);
    let mut sums = [l.splat(T::ZERO); 4];
    let mut chunks = x.chunks_exact(L::IN_FLIGHT * L::N);
    for chunk in &mut chunks {
        for (i, sum) in sums[..L::IN_FLIGHT].iter_mut().enumerate() {
            *sum = l.add(*sum, exp.eval::<Recorded>(l, l.load(&chunk[i * L::N..])));
        }
    }
    for chunk in chunks.remainder().chunks(L::N) {
        sums[0] = l.add(sums[0], exp.eval::<Recorded>(l, l.load_tail(chunk, T::NEG_INFINITY)));
    }
    sums.iter().fold(0.0, |total, &sum| total + l.reduce_sum(sum))
}

/// Reads every element, and returns the sum.
#[inline(always)]
pub(crate) fn read<L: Lanes<T>, T: Float>(l: L, x: &[T]) -> f64 {
    let mut sums = [l.splat(T::ZERO); 8];
    let mut chunks = x.chunks_exact(8 * L::N);
    for chunk in &mut chunks {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = l.add(*sum, l.load(&chunk[i * L::N..]));
        }
    }
    for chunk in chunks.remainder().chunks(L::N) {
        sums[0] = l.add(sums[0], l.load_tail(chunk, T::ZERO));
    }
    sums.iter().fold(0.0, |total, &sum| total + l.reduce_sum(sum))
}

/// Reads and writes every element, through the caches.
#[inline(always)]
pub(crate) fn copy<L: Lanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    map_row::<L, T, false>(
        l,
        &mut SrcDst::new(x, out),
        #[inline(always)]
        |x| x,
    );
}

/// Writes every element, past the caches.
#[inline(always)]
pub(crate) fn stream<L: Lanes<T>, T: Float>(l: L, out: &mut [T]) {
    let one = l.splat(T::ONE);
    let head = out.as_ptr().align_offset(L::N * size_of::<T>()).min(out.len());
    let (head, body) = out.split_at_mut(head);
    head.fill(T::ONE);
    let mut chunks = body.chunks_exact_mut(L::N);
    for chunk in &mut chunks {
        l.stream(chunk, one);
    }
    chunks.into_remainder().fill(T::ONE);
    l.fence();
}

/// Reads every element, multiplies it and writes it past the caches.
#[inline(always)]
pub(crate) fn scale<L: Lanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let factor = l.splat(T::LOG2_E);
    map_row::<L, T, true>(
        l,
        &mut SrcDst::new(x, out),
        #[inline(always)]
        |x| l.mul(x, factor),
    );
}

/// Reads, negates and writes every element in place.
#[inline(always)]
pub(crate) fn update<L: Lanes<T>, T: Float>(l: L, x: &mut [T]) {
    map_row::<L, T, false>(
        l,
        &mut SrcDst::in_place(x),
        #[inline(always)]
        |x| l.sub(l.splat(T::ZERO), x),
    );
}

/// Softmax in three passes that reload the exponentials: the maximum, the exponentials with their
/// sum, the rescaling (Dukhan & Ablavatski 2020, algorithm 2). It takes three reads and two writes.
/// For logits up to 2^15 in magnitude.
#[inline(always)]
pub(crate) fn three_pass_reload<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let mut row = SrcDst::new(x, out);
    let sum = row_sum_exp_stabilized::<L, T, Clamped, true>(l, &mut row);
    scale_stored(l, sum.scaled_reciprocal(1.0), row.dst());
}

/// Softmax in three passes that recompute the exponentials: the maximum, the sum of the
/// exponentials, the exponentials again (Dukhan & Ablavatski 2020, algorithm 1). It takes three
/// reads and one write. As in the two-pass softmax, the write goes past the caches. For logits up
/// to 2^15 in magnitude.
#[inline(always)]
pub(crate) fn three_pass_recompute<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let sum = row_sum_exp_stabilized::<L, T, Clamped, false>(l, &mut SrcDst::reading(x));
    write_recomputed::<L, T, Clamped>(l, &sum, &mut SrcDst::new(x, out), 1.0);
}
