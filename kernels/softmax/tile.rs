//! Tiles: the vectors of a group of short rows, or of a part of a long one.
//!
//! What is done with a tile is compiled once for all kinds of rows.

use super::tuning::GROUP_ROWS;
use crate::kernels::lanes::{Float, Lanes, MAX_LANES};
use crate::kernels::math::exp::ExpLanes;
use crate::kernels::rows::Row;

/// Loads the vectors of a row from `start` on; further lanes and vectors are -inf. Nothing is
/// loaded from the end of a row, because the address of an empty slice may be no address.
#[inline(always)]
pub(super) fn load_part<L: Lanes<T>, T: Float>(l: L, row: &impl Row<T>, start: usize, vectors: &mut [L::V]) {
    let (whole, rest) = vectors.split_at_mut(((row.len() - start) / L::N).min(vectors.len()));
    let mut at = start;
    for v in whole {
        *v = row.load(l, at);
        at += L::N;
    }
    for v in rest {
        *v = if at < row.len() { row.load_tail(l, at, row.len()) } else { l.splat(T::NEG_INFINITY) };
        at = row.len();
    }
}

/// The maximum of a row. NaN is ignored.
#[inline(always)]
pub(super) fn row_maximum<L: Lanes<T>, T: Float>(l: L, row: &[L::V]) -> T {
    if let [x] = row { l.reduce_max(*x) } else { l.reduce_max(row_maxima(l, row)) }
}

/// The maxima of the lanes of a row, in two chains. NaN is ignored.
#[inline(always)]
fn row_maxima<L: Lanes<T>, T: Float>(l: L, row: &[L::V]) -> L::V {
    let lowest = l.splat(T::NEG_INFINITY);
    let (pairs, last) = row.as_chunks::<2>();
    let (mut a, mut b) = (lowest, lowest);
    for &[x, y] in pairs {
        (a, b) = (l.max(x, a), l.max(y, b));
    }
    for &x in last {
        a = l.max(x, a);
    }
    l.max(a, b)
}

/// The maxima of `n` rows of `vectors` vectors each. NaN is ignored in rows of several vectors.
#[inline(always)]
pub(super) fn tile_maxima<L: ExpLanes<T>, T: Float>(l: L, tile: &[L::V], vectors: usize, n: usize) -> [T; GROUP_ROWS] {
    const { assert!(GROUP_ROWS == MAX_LANES, "the lanes of a group are reduced together") };
    let (mut tops, mut max) = ([l.splat(T::NEG_INFINITY); GROUP_ROWS], [T::ZERO; GROUP_ROWS]);
    if vectors == 1 {
        for (top, &x) in tops.iter_mut().zip(tile) {
            *top = x;
        }
    } else {
        for (top, row) in tops.iter_mut().zip(tile.chunks_exact(vectors)).take(n) {
            *top = row_maxima(l, row);
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
