//! Starts: the losses with one more medoid.

use super::tuning::BUILD_ROWS;
use super::{candidate_rows, load_rows, weighted};
use crate::kernels::lanes::{Float, WideLanes};
use crate::matrix::MatRef;

/// Returns for each row the weighted sum of `min(row, d1)`: the loss with the row's object as one
/// more medoid. `d1` is padded with zeros.
#[inline(always)]
fn loss_with<L: WideLanes<T>, T: Float, const R: usize>(l: L, rows: [&[T]; R], d1: &[T], weights: &[T]) -> [f64; R] {
    let n = rows[0].len();
    let mut sums = [[l.widen(l.splat(T::ZERO)); 2]; R];
    for at in (0..n).step_by(2 * L::N) {
        for (half, at) in [at, at + L::N].into_iter().enumerate() {
            if at < n {
                let d1 = l.load(&d1[at..]);
                for (&d, sums) in load_rows(l, &rows, at, T::INFINITY).iter().zip(&mut sums) {
                    let nearest = l.widen(l.min(d, d1));
                    sums[half] = l.add_wide(sums[half], weighted(l, weights, at, nearest));
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

/// Writes for every candidate the loss with the candidate as one more medoid, which BUILD
/// minimizes. With `d1` infinite (but 0 in the padding) these are the sums of the rows.
#[inline(always)]
pub(crate) fn losses_with<L: WideLanes<T>, T: Float>(
    l: L,
    d: MatRef<'_, T>,
    candidates: &[usize],
    d1: &[T],
    weights: &[T],
    losses: &mut [f64],
) {
    let mut at = 0;
    while candidates.len() - at >= BUILD_ROWS {
        let rows = candidate_rows(d, candidates, at);
        losses[at..at + BUILD_ROWS].copy_from_slice(&loss_with::<L, T, BUILD_ROWS>(l, rows, d1, weights));
        at += BUILD_ROWS;
    }
    for (loss, &candidate) in losses[at..].iter_mut().zip(&candidates[at..]) {
        [*loss] = loss_with::<L, T, 1>(l, [d.row(candidate)], d1, weights);
    }
}
