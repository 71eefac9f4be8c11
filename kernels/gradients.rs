//! Gradients of the softmax family: what flows back from the results of a row to its logits, and cross-entropy, whose
//! gradient is the softmax itself.
//!
//! | | passes over a row |
//! |---|---|
//! | [`softmax_backward`], [`log_softmax_backward`] | a sum over the row; the results, reading it again from the cache |
//! | [`cross_entropy`] | the sum of the exponentials |
//! | [`cross_entropy_gradient`] | those of softmax: the sum is also that of the loss |

use super::lanes::{Float, Lanes, WideLanes};
use super::math::compensated::{add_two_sum, reduce_accumulator};
use super::math::exp::{Base, Clamped, Exp, ExpLanes};
use super::softmax::{ROWS, Rows, Sum, divide, group_sums, groups, plain, recompute, row_of, row_sum, streams};
use crate::matrix::{MatMut, MatRef};

/// Vectors whose values are added plainly before the rounding of additions is kept.
const CHAIN: usize = 8;

/// The sum of `f` of the vectors of two rows of one length, with an error that does not grow with it: chains of vectors
/// are added plainly, and to the total with the rounding error kept. `f` of zeros is 0.
#[inline(always)]
fn sum_of<L: WideLanes<T>, T: Float>(l: L, a: &[T], b: &[T], f: impl Fn(L::V, L::V, L::V) -> L::V) -> f64 {
    let zero = l.splat(T::ZERO);
    let (mut high, mut low) = (zero, zero);
    for (a, b) in a.chunks(CHAIN * L::N).zip(b.chunks(CHAIN * L::N)) {
        let mut sums = [zero; 2];
        let (mut a, mut b) = (a.chunks_exact(2 * L::N), b.chunks_exact(2 * L::N));
        for (a, b) in (&mut a).zip(&mut b) {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = f(l.load(&a[i * L::N..]), l.load(&b[i * L::N..]), *sum);
            }
        }
        for (a, b) in a.remainder().chunks(L::N).zip(b.remainder().chunks(L::N)) {
            sums[0] = f(l.load_tail(a, T::ZERO), l.load_tail(b, T::ZERO), sums[0]);
        }
        (high, low) = add_two_sum(l, (high, low), l.add(sums[0], sums[1]));
    }
    let (high, low) = reduce_accumulator(l, high, low);
    high + low
}

/// Writes `f` of the vectors of two rows of one length.
#[inline(always)]
pub(super) fn combine<L: Lanes<T>, T: Float>(l: L, a: &[T], b: &[T], out: &mut [T], f: impl Fn(L::V, L::V) -> L::V) {
    const STEP: usize = 4;
    let (mut a, mut b) = (a.chunks_exact(STEP * L::N), b.chunks_exact(STEP * L::N));
    let mut out = out.chunks_exact_mut(STEP * L::N);
    for ((a, b), out) in (&mut a).zip(&mut b).zip(&mut out) {
        for i in 0..STEP {
            l.store(&mut out[i * L::N..], f(l.load(&a[i * L::N..]), l.load(&b[i * L::N..])));
        }
    }
    let (a, b, out) = (a.remainder(), b.remainder(), out.into_remainder());
    for ((a, b), out) in a.chunks(L::N).zip(b.chunks(L::N)).zip(out.chunks_mut(L::N)) {
        l.store_tail(out, f(l.load_tail(a, T::ZERO), l.load_tail(b, T::ZERO)));
    }
}

/// The gradient by the logits, given softmax and the gradient by it: `y * (dy - sum(y * dy))`.
#[inline(always)]
pub(crate) fn softmax_backward<L: WideLanes<T>, T: Float>(
    l: L,
    y: MatRef<'_, T>,
    dy: MatRef<'_, T>,
    mut dx: MatMut<'_, T>,
) {
    for i in 0..y.rows() {
        let (y, dy) = (y.row(i), dy.row(i));
        let dot = sum_of(
            l,
            y,
            dy,
            #[inline(always)]
            |y, dy, sum| l.mul_add(y, dy, sum),
        );
        let dot = l.splat(T::from_f64(dot));
        combine(
            l,
            y,
            dy,
            dx.row_mut(i),
            #[inline(always)]
            |y, dy| l.mul(y, l.sub(dy, dot)),
        );
    }
}

/// The gradient by the logits, given log-softmax and the gradient by it: `dy - exp(y) * sum(dy)`.
#[inline(always)]
pub(crate) fn log_softmax_backward<L: ExpLanes<T>, T: Float>(
    l: L,
    y: MatRef<'_, T>,
    dy: MatRef<'_, T>,
    mut dx: MatMut<'_, T>,
) {
    let exp = Exp::new(l, Base::ONE);
    for i in 0..y.rows() {
        let (y, dy) = (y.row(i), dy.row(i));
        let sum = sum_of(
            l,
            dy,
            dy,
            #[inline(always)]
            |dy, _, sum| l.add(dy, sum),
        );
        let sum = l.splat(T::from_f64(sum));
        combine(
            l,
            y,
            dy,
            dx.row_mut(i),
            #[inline(always)]
            |y, dy| l.neg_mul_add(exp.eval::<Clamped>(l, y), sum, dy),
        );
    }
}

/// `-log_softmax(x)[class]`: the logarithm of the sum, less the logit; NaN where the row has no softmax.
#[inline(always)]
fn loss<T: Float>(sum: &Sum<T>, (high, low): (f64, f64), logit: T) -> T {
    sum.without_result(T::NAN).unwrap_or_else(|| T::from_f64((high - logit.to_f64()) + low))
}

/// The cross-entropy of every row's softmax with its class (each below the number of columns).
#[inline(always)]
pub(crate) fn cross_entropy<L: ExpLanes<T>, T: Float>(l: L, x: MatRef<'_, T>, classes: &[usize], losses: &mut [T]) {
    let plain = plain(l);
    let mut sums = [Sum::EMPTY; ROWS];
    for group in groups(x.rows(), x.cols()) {
        group_sums::<L, T, false>(l, &plain, &x, &mut None, group.clone(), &mut sums);
        for (i, sum) in group.zip(&sums) {
            losses[i] = loss(sum, sum.ln_parts(), x.row(i)[classes[i]]);
        }
    }
}

/// As [`cross_entropy`], and the gradient by the logits of `weight` times each loss: `weight * (softmax - one)` with a one
/// at the class. `weight` is between 2^-60 and 2^60 in size, or the results are multiplied by it in a pass of their own.
#[inline(always)]
pub(crate) fn cross_entropy_gradient<L: ExpLanes<T>, T: Float>(
    l: L,
    x: MatRef<'_, T>,
    classes: &[usize],
    weight: T,
    losses: &mut [T],
    gradient: MatMut<'_, T>,
) {
    const LARGE: f64 = (1_u64 << 60) as f64;
    let plain = plain(l);
    let (rows, cols) = (x.rows(), x.cols());
    let size = weight.to_f64().abs();
    let folded = if size < LARGE && size * LARGE > 1.0 { weight } else { T::ONE };
    let mut gradient = Some(gradient);
    let mut sums = [Sum::EMPTY; ROWS];
    for group in groups(rows, cols) {
        let streamed = L::RECOMPUTE && streams::<T>(cols);
        if streamed {
            sums[0] = row_sum(l, &plain, &mut x.row_to(group.start, row_of(&mut gradient, group.start)));
        } else {
            group_sums::<L, T, true>(l, &plain, &x, &mut gradient, group.clone(), &mut sums);
        }
        for (i, sum) in group.zip(&sums) {
            losses[i] = loss(sum, sum.ln_parts(), x.row(i)[classes[i]]);
            let out = row_of(&mut gradient, i);
            if streamed && sum.without_result(T::NAN).is_none() {
                recompute(l, sum, &mut x.row_to(i, out), folded.to_f64());
            } else {
                divide(l, out, sum, sum.divide(folded.to_f64()), T::NAN);
            }
            let out = row_of(&mut gradient, i);
            out[classes[i]] = out[classes[i]] - folded;
            if folded != weight {
                out.iter_mut().for_each(|x| *x = *x * weight);
            }
        }
    }
}
