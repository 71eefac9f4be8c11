//! Baselines of the benches: the machine's bandwidth, bare exponentials, and softmax by three
//! passes over the same exponentials. Tests use the bare exponentials, too.

use super::lanes::{Float, Lanes};
use super::math::exp::{Base, Clamped, Exp, Exp2, ExpLanes, Recorded};
use super::softmax::{Io, Row, map, recompute, rescale, sum_below_maximum};

/// e^x as the softmax family computes it.
#[inline(always)]
pub(crate) fn exp<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let exp = Exp::new(l, Base::ONE);
    map::<L, T, false>(
        l,
        &mut Io::new(x, out),
        #[inline(always)]
        |x| exp.eval::<Clamped>(l, x),
    );
}

/// e^x as for rows of ordinary size, without a clamp above. Returns whether overflow was recorded.
#[inline(always)]
pub(crate) fn exp_recorded<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) -> bool {
    let exp = Exp::new(l, Base::ONE);
    let mut overflow_bits = l.splat(T::ZERO);
    for (x, out) in x.chunks(L::N).zip(out.chunks_mut(L::N)) {
        let (e, shifted) = exp.eval_recorded(l, l.load_tail(x, T::ZERO));
        overflow_bits = l.record_exponent(overflow_bits, shifted);
        l.store_tail(out, e);
    }
    l.exp_overflowed(overflow_bits)
}

/// 2^x as the Sinkhorn iteration computes it.
#[inline(always)]
pub(crate) fn exp2<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let exp = Exp2::new(l);
    map::<L, T, false>(
        l,
        &mut Io::new(x, out),
        #[inline(always)]
        |x| exp.eval(l, x),
    );
}

/// The sum of the exponentials, without any record of overflow or of rounding errors.
#[inline(always)]
pub(crate) fn sum_exp<L: ExpLanes<T>, T: Float>(l: L, x: &[T]) -> f64 {
    const { assert!(L::IN_FLIGHT <= 4, "a sum per exponential in flight") };
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

/// Reads every element. Returns their sum.
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
    map::<L, T, false>(
        l,
        &mut Io::new(x, out),
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
    map::<L, T, true>(
        l,
        &mut Io::new(x, out),
        #[inline(always)]
        |x| l.mul(x, factor),
    );
}

/// Reads, negates and writes every element in place.
#[inline(always)]
pub(crate) fn update<L: Lanes<T>, T: Float>(l: L, x: &mut [T]) {
    map::<L, T, false>(
        l,
        &mut Io::in_place(x),
        #[inline(always)]
        |x| l.sub(l.splat(T::ZERO), x),
    );
}

/// Whether softmax recomputes the exponentials of long rows, see [`ExpLanes::RECOMPUTE`].
#[inline(always)]
pub(crate) fn recomputes<L: ExpLanes<T>, T: Float>(_: L, _: &[T]) -> bool {
    L::RECOMPUTE
}

/// Softmax by three passes, reloading: the maximum, the exponentials and their sum, the rescaling
/// (Dukhan & Ablavatski 2020, algorithm 2). Three reads and two writes.
#[inline(always)]
pub(crate) fn three_pass_reload<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let mut io = Io::new(x, out);
    let sum = sum_below_maximum::<L, T, true>(l, &mut io);
    rescale(l, sum.divide(1.0), io.dst());
}

/// Softmax by three passes, recomputing: the maximum, the sum of the exponentials, the exponentials
/// again (Dukhan & Ablavatski 2020, algorithm 1). Three reads and one write, past the caches as by
/// two passes.
#[inline(always)]
pub(crate) fn three_pass_recompute<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let sum = sum_below_maximum::<L, T, false>(l, &mut Io::reading(x));
    recompute(l, &sum, &mut Io::new(x, out), 1.0);
}
