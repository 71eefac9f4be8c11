//! The check that dissimilarities are finite and not negative.

use crate::kernels::lanes::{Float, Lanes, out_of_line};

/// Returns the minimum of 0 and the elements, lane by lane. NaN and infinity count as -inf.
#[inline(always)]
fn min_or_neg_inf<L: Lanes<T>, T: Float>(l: L, row: &[T]) -> L::V {
    let invalid = l.splat(T::NEG_INFINITY);
    let mut minima = [l.splat(T::ZERO); 4];
    let mut chunks = row.chunks_exact(4 * L::N);
    for chunk in &mut chunks {
        for (i, min) in minima.iter_mut().enumerate() {
            let x = l.load(&chunk[i * L::N..]);
            *min = l.min(l.select(l.lt(x, l.splat(T::INFINITY)), x, invalid), *min);
        }
    }
    for chunk in chunks.remainder().chunks(L::N) {
        let x = l.load_tail(chunk, T::ZERO);
        minima[0] = l.min(l.select(l.lt(x, l.splat(T::INFINITY)), x, invalid), minima[0]);
    }
    l.min(l.min(minima[0], minima[1]), l.min(minima[2], minima[3]))
}

/// Returns whether every element is finite and not negative.
#[inline(always)]
pub(crate) fn all_finite_non_negative<L: Lanes<T>, T: Float>(l: L, row: &[T]) -> bool {
    l.all_non_negative(min_or_neg_inf(l, row))
}

/// Returns whether every element of the columns `columns.0..columns.1` of some rows is finite and
/// not negative, out of line.
#[inline(always)]
pub(super) fn are_blocks_valid<L: Lanes<T>, T: Float>(l: L, rows: &[&[T]], columns: (usize, usize)) -> bool {
    out_of_line!(l, {
        let mut minima = l.splat(T::ZERO);
        for row in rows {
            minima = l.min(min_or_neg_inf(l, &row[columns.0..columns.1]), minima);
        }
        l.all_non_negative(minima)
    })
}
