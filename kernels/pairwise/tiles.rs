//! Tiles of sums: `R` points of one panel against `V` vectors of points of another.
//!
//! ```text
//! high = low = 0
//! for each group of 64 dimensions:
//!     (high, low) = (high + low, its rounding error)
//!     for each leaf of 16 dimensions:
//!         leaf = low in the first leaf of the group, otherwise 0
//!         leaf += the terms, by multiply-adds
//!         low = leaf in the first leaf of the group, otherwise low + leaf
//! sum = high + low
//! ```
//!
//! With u = EPSILON / 2, a term has an error of at most 2 u, or u if it is not a square. A leaf
//! adds at most 16 u, a group 3 u, the rounding errors of the groups 2 u, and the last addition u:
//! 24 u, whatever the number of dimensions. In one leaf, D terms have at most (D + 2) u. Rounding
//! errors of a leaf of 16 rarely add up, but those of 256 do if all terms are equal: they all have
//! the same sign.

use super::DistanceForm;
use crate::kernels::lanes::{Float, Lanes, out_of_line};
use crate::matrix::{MatMut, MatRef};

/// The number of dimensions in a sum by multiply-adds alone. With equal terms the rounding errors
/// of such a sum are up to a third of that number of u; its end costs as much as half a dimension.
pub(super) const DIMENSIONS_PER_LEAF: usize = 16;
/// The number of dimensions whose leaves are added without their rounding errors.
pub(super) const DIMENSIONS_PER_GROUP: usize = 4 * DIMENSIONS_PER_LEAF;

/// The share of one dimension in a sum; `V` is a vector.
trait Term<V>: Copy {
    /// Returns `sum` plus the term of a difference.
    fn add<L: Lanes<T, V = V>, T: Float>(self, l: L, sum: V, difference: V) -> V;
}

/// The squared difference.
#[derive(Clone, Copy)]
struct Squared;

impl<V: Copy> Term<V> for Squared {
    #[inline(always)]
    fn add<L: Lanes<T, V = V>, T: Float>(self, l: L, sum: V, difference: V) -> V {
        l.mul_add(difference, difference, sum)
    }
}

/// The absolute difference.
#[derive(Clone, Copy)]
struct Absolute<V> {
    /// 1, unknown to the compiler.
    one: V,
}

impl<V: Copy> Term<V> for Absolute<V> {
    #[inline(always)]
    fn add<L: Lanes<T, V = V>, T: Float>(self, l: L, sum: V, difference: V) -> V {
        // A multiply-add instead of an addition, because many CPUs run it on other units than the
        // subtraction.
        l.mul_add(l.abs(difference), self.one, sum)
    }
}

/// Lays out the dimensions `from..to` of the points `first..end` in panels of `width` points. Other
/// points fill up the last panel. `R`, which is at least the number of lanes, divides `width`.
#[inline(always)]
pub(super) fn pack<L: Lanes<T>, T: Float, const R: usize>(
    l: L,
    points: MatRef<'_, T>,
    (first, end): (usize, usize),
    (from, to): (usize, usize),
    width: usize,
    panels: &mut [T],
) {
    out_of_line!(l, {
        let last = points.rows() - 1;
        let depth = to - from;
        for (p, panel) in panels.chunks_exact_mut(depth * width).take((end - first).div_ceil(width)).enumerate() {
            for part in (0..width).step_by(R) {
                let mut rows = [&[][..]; R];
                for (r, row) in rows.iter_mut().enumerate() {
                    *row = &points.row((first + p * width + part + r).min(last))[from..to];
                }
                for d in (0..depth).step_by(L::N) {
                    if depth - d <= L::N / 4 {
                        // Few dimensions are not worth a transposition.
                        for d in d..depth {
                            let column = &mut panel[d * width + part..][..R];
                            for (x, row) in column.iter_mut().zip(&rows) {
                                *x = row[d];
                            }
                        }
                        continue;
                    }
                    let mut tile = [[l.splat(T::ZERO); 1]; R];
                    for (tile, row) in tile.iter_mut().zip(&rows) {
                        tile[0] = l.load_up_to(&row[d..], T::ZERO);
                    }
                    // The columns of the tile in order, R elements each.
                    let [columns] = transpose(l, &tile);
                    let vectors = R / L::N;
                    for c in 0..L::N.min(depth - d) {
                        let column = &mut panel[(d + c) * width + part..][..R];
                        for k in 0..vectors {
                            l.store(&mut column[k * L::N..], columns[c * vectors + k]);
                        }
                    }
                }
            }
        }
    });
}

/// [`add_terms`] of one kind.
#[inline(always)]
fn add_terms_of<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    term: impl Term<L::V>,
    x: &[T],
    first: usize,
    y: &[T],
    mut sums: [[L::V; V]; R],
) -> [[L::V; V]; R] {
    let width = V * L::N;
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact(width)) {
        let mut points = [l.splat(T::ZERO); V];
        for (v, points) in points.iter_mut().enumerate() {
            *points = l.load(&y[v * L::N..]);
        }
        let x = &x[first..first + R];
        for r in 0..R {
            let x = l.splat(x[r]);
            for v in 0..V {
                let difference = l.sub(points[v], x);
                sums[r][v] = term.add(l, sums[r][v], difference);
            }
        }
    }
    sums
}

/// Adds the terms of the `R` points of panel `x` from `first` on against the points of panel `y` to
/// `sums`, by multiply-adds alone. `one` is 1, unknown to the compiler.
#[inline(always)]
pub(super) fn add_terms<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    (form, one): (DistanceForm, L::V),
    x: &[T],
    first: usize,
    y: &[T],
    sums: [[L::V; V]; R],
) -> [[L::V; V]; R] {
    if form == DistanceForm::Absolute {
        add_terms_of(l, Absolute { one }, x, first, y, sums)
    } else {
        add_terms_of(l, Squared, x, first, y, sums)
    }
}

/// Adds the sums of the `R` points of panel `x` from `first` on against the points of panel `y` to
/// `high`, the rounded sums, and `low`, their rounding errors plus the sums of the last group.
/// `one` is 1, unknown to the compiler.
///
/// The leaves are added by multiply-adds, because many CPUs run these on other units than the
/// subtractions of points, which are as many as the multiply-adds of terms.
#[inline(always)]
pub(super) fn sum_groups<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    (form, one): (DistanceForm, L::V),
    x: &[T],
    first: usize,
    y: &[T],
    high: &mut [[L::V; V]; R],
    low: &mut [[L::V; V]; R],
) {
    let (group, leaf) = (DIMENSIONS_PER_GROUP * V * L::N, DIMENSIONS_PER_LEAF * V * L::N);
    for (g, (x, y)) in x.chunks(group).zip(y.chunks(group)).enumerate() {
        if g > 0 {
            split_sums(l, high, low);
        }
        for (i, (x, y)) in x.chunks(leaf).zip(y.chunks(leaf)).enumerate() {
            let start = if i == 0 { *low } else { [[l.splat(T::ZERO); V]; R] };
            let sums = add_terms(l, (form, one), x, first, y, start);
            if i == 0 {
                *low = sums;
            } else {
                add_tiles(l, low, &sums, one);
            }
        }
    }
}

/// Splits `high + low` into the rounded sum and its rounding error. As in `add_fast_two_sum`, the
/// error itself is rounded if `low` is the larger part.
#[inline(always)]
pub(super) fn split_sums<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    high: &mut [[L::V; V]; R],
    low: &mut [[L::V; V]; R],
) {
    for (high, low) in high.as_flattened_mut().iter_mut().zip(low.as_flattened_mut()) {
        let sum = l.add(*high, *low);
        *low = l.sub(*low, l.sub(sum, *high));
        *high = sum;
    }
}

/// `a += b * one`, by a multiply-add if the instruction set has one.
#[inline(always)]
fn add_tiles<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    a: &mut [[L::V; V]; R],
    b: &[[L::V; V]; R],
    one: L::V,
) {
    for (a, &b) in a.as_flattened_mut().iter_mut().zip(b.as_flattened()) {
        *a = if L::N > 1 { l.mul_add(b, one, *a) } else { l.add(*a, b) };
    }
}

/// Adds the rounding errors to the sums. Beyond the largest number the errors are NaN, and the sums
/// infinite or NaN: the result is infinite.
#[inline(always)]
pub(super) fn round_sums<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    high: &[[L::V; V]; R],
    low: &[[L::V; V]; R],
) -> [[L::V; V]; R] {
    let infinity = l.splat(T::INFINITY);
    let mut sums = *high;
    for (sum, &low) in sums.as_flattened_mut().iter_mut().zip(low.as_flattened()) {
        *sum = l.select(l.lt(*sum, infinity), l.add(*sum, low), infinity);
    }
    sums
}

/// Returns the transposed tile: for each of the `V` vectors of a row, its columns in order, `R`
/// elements each and without gaps. A vector has at most `R` lanes.
#[inline(always)]
pub(super) fn transpose<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    tile: &[[L::V; V]; R],
) -> [[L::V; R]; V] {
    let mut columns = [[tile[0][0]; R]; V];
    for (v, columns) in columns.iter_mut().enumerate() {
        for (column, tile) in columns.iter_mut().zip(tile) {
            *column = tile[v];
        }
        // log2(R) rounds of interleaving transpose the tile.
        let mut interleaved = 1;
        while interleaved < R {
            let previous = *columns;
            for r in 0..R / 2 {
                (columns[2 * r], columns[2 * r + 1]) = l.interleave(previous[r], previous[r + R / 2]);
            }
            interleaved *= 2;
        }
    }
    columns
}

/// Stores a vector to a row from a column on; lanes outside the matrix are dropped.
#[inline(always)]
pub(super) fn store_at<L: Lanes<T>, T: Float>(l: L, vector: L::V, row: usize, col: usize, out: &mut MatMut<'_, T>) {
    if row < out.rows() {
        let row = out.row_mut(row);
        let at = col.min(row.len());
        let rest = &mut row[at..];
        if rest.len() >= L::N { l.store(rest, vector) } else { l.store_tail(rest, vector) }
    }
}
