//! BUILD: the losses with one more medoid.

use super::tuning::BUILD_ROWS;
use super::{load_objects, weighted};
use crate::kernels::lanes::{Float, WideLanes};
use crate::matrix::MatRef;

/// Returns for each row the weighted sum of `min(row, d1)`: the loss with the row's object as one
/// more medoid. `d1` is padded with zeros.
#[inline(always)]
fn loss_with<L: WideLanes<T>, T: Float, const R: usize, const WEIGHTED: bool>(
    l: L,
    rows: [&[T]; R],
    d1: &[T],
    weights: &[T],
) -> [f64; R] {
    let n = rows[0].len();
    let mut sums = [[l.widen(l.splat(T::ZERO)); 2]; R];
    for at in (0..n).step_by(2 * L::N) {
        for (half, at) in [at, at + L::N].into_iter().enumerate() {
            if at < n {
                let d1 = l.load(&d1[at..]);
                for (row, sums) in rows.iter().zip(&mut sums) {
                    let nearest = l.widen(l.min(load_objects(l, row, at), d1));
                    sums[half] = l.add_wide(sums[half], weighted::<L, T, WEIGHTED>(l, weights, at, nearest));
                }
            }
        }
    }
    let mut losses = [0.0; R];
    for r in 0..R {
        losses[r] = l.reduce_sum_wide(l.add_wide(sums[r][0], sums[r][1]));
    }
    losses
}

/// [`losses_with`], compiled with and without weights.
#[inline(always)]
fn losses_with_generic<L: WideLanes<T>, T: Float, const WEIGHTED: bool>(
    l: L,
    rows: MatRef<'_, T>,
    d1: &[T],
    weights: &[T],
    losses: &mut [f64],
) {
    let n = rows.rows();
    let mut at = 0;
    while n - at >= BUILD_ROWS {
        let together = [rows.row(at), rows.row(at + 1), rows.row(at + 2), rows.row(at + 3)];
        losses[at..at + BUILD_ROWS].copy_from_slice(&loss_with::<L, T, BUILD_ROWS, WEIGHTED>(l, together, d1, weights));
        at += BUILD_ROWS;
    }
    for (loss, r) in losses[at..].iter_mut().zip(at..n) {
        [*loss] = loss_with::<L, T, 1, WEIGHTED>(l, [rows.row(r)], d1, weights);
    }
}

/// Writes for every row the loss with the row's object as one more medoid, which BUILD minimizes.
/// With `d1` infinite (but 0 in the padding) these are the sums of the rows.
#[inline(always)]
pub(crate) fn losses_with<L: WideLanes<T>, T: Float>(
    l: L,
    rows: MatRef<'_, T>,
    d1: &[T],
    weights: &[T],
    losses: &mut [f64],
) {
    if weights.is_empty() {
        losses_with_generic::<L, T, false>(l, rows, d1, weights, losses);
    } else {
        losses_with_generic::<L, T, true>(l, rows, d1, weights, losses);
    }
}
