//! Distances between all pairs of points.
//!
//! Differences are taken first and then squared or made absolute, so nothing cancels: |x|² + |y|² - 2xy, with which a
//! matrix product would do, loses the distances between near points. The vectors' lanes are points: the points are laid out
//! in panels of two vectors, dimension by dimension, and a tile of a few points of one panel against all of another stays
//! in registers over all dimensions. A tile's element depends on its two points only and is the same with both exchanged,
//! so of two mirrored elements one is computed and both are written.

use super::lanes::{Float, Lanes};
use crate::matrix::{MatMut, MatRef};

/// Dimensions summed up before the sum is added to that of the others: rounding grows with these, not with all.
const DEPTH: usize = 256;
/// Dimensions that are laid out at once: a panel of them stays in the second-level cache while others go by.
const CHUNK: usize = 2048;
/// Vectors of points side by side in a panel.
const VECTORS: usize = 2;
/// No panel is wider.
const WIDEST: usize = 32;

/// What is summed over the dimensions, and what becomes of the sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// The sum of squared differences.
    Squares,
    /// Its square root.
    Root,
    /// Half of it.
    Half,
    /// The sum of absolute differences.
    Absolute,
}

/// How many elements the scratch of [`distance_matrix`] needs for so many points of so many dimensions.
pub(crate) fn panels_len(points: usize, dimensions: usize) -> usize {
    points.next_multiple_of(WIDEST) * dimensions.min(CHUNK)
}

/// Whether every element is finite.
#[inline(always)]
pub(crate) fn all_finite<L: Lanes<T>, T: Float>(l: L, row: &[T]) -> bool {
    let (one, zero) = (l.splat(T::ONE), l.splat(T::ZERO));
    let mut bad = zero;
    for chunk in row.chunks(L::N) {
        let finite = l.lt(l.abs(l.load_tail(chunk, T::ZERO)), l.splat(T::INFINITY));
        bad = l.max(bad, l.select(finite, zero, one));
    }
    l.sum(bad) == 0.0
}

/// Lays out the dimensions `from..to` of all points in panels of `width`, of which the last is filled up with its last
/// point.
#[inline(always)]
fn pack<T: Float>(points: MatRef<'_, T>, (from, to): (usize, usize), width: usize, panels: &mut [T]) {
    let last = points.rows() - 1;
    for (p, panel) in panels.chunks_exact_mut((to - from) * width).enumerate() {
        for lane in 0..width {
            let point = &points.row((p * width + lane).min(last))[from..to];
            for (places, &x) in panel.chunks_exact_mut(width).zip(point) {
                places[lane] = x;
            }
        }
    }
}

/// The sums of the `R` points of panel `x` from `first` on against the points of panel `y`.
#[inline(always)]
fn tile<L: Lanes<T>, T: Float, const R: usize, const ABSOLUTE: bool>(
    l: L,
    x: &[T],
    first: usize,
    y: &[T],
) -> [[L::V; VECTORS]; R] {
    let width = VECTORS * L::N;
    let zero = l.splat(T::ZERO);
    let one = l.splat(T::ONE);
    let mut totals = [[zero; VECTORS]; R];
    for (x, y) in x.chunks(DEPTH * width).zip(y.chunks(DEPTH * width)) {
        let mut sums = [[zero; VECTORS]; R];
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact(width)) {
            let mut points = [zero; VECTORS];
            for (v, points) in points.iter_mut().enumerate() {
                *points = l.load(&y[v * L::N..]);
            }
            let x = &x[first..first + R];
            for r in 0..R {
                let x = l.splat(x[r]);
                for v in 0..VECTORS {
                    let difference = l.sub(points[v], x);
                    sums[r][v] = if ABSOLUTE {
                        // Fused although there is no product: many CPUs have other units for that than for additions.
                        l.mul_add(l.abs(difference), one, sums[r][v])
                    } else {
                        l.mul_add(difference, difference, sums[r][v])
                    };
                }
            }
        }
        for (totals, sums) in totals.iter_mut().zip(&sums) {
            for (total, &sum) in totals.iter_mut().zip(sums) {
                *total = l.add(*total, sum);
            }
        }
    }
    totals
}

/// Writes a tile with rows and columns exchanged: `R` elements for each lane.
#[inline(always)]
fn transpose<L: Lanes<T>, T: Float, const R: usize>(l: L, tile: &[[L::V; VECTORS]; R], out: &mut [T]) {
    for v in 0..VECTORS {
        let mut rows = [tile[0][v]; R];
        for (row, tile) in rows.iter_mut().zip(tile) {
            *row = tile[v];
        }
        // Each round brings elements of rows twice as near together.
        let mut near = 1;
        while near < R {
            let apart = rows;
            for r in 0..R / 2 {
                (rows[2 * r], rows[2 * r + 1]) = l.zip(apart[r], apart[r + R / 2]);
            }
            near *= 2;
        }
        for (r, &row) in rows.iter().enumerate() {
            l.store(&mut out[(v * R + r) * L::N..], row);
        }
    }
}

#[inline(always)]
fn matrix<L: Lanes<T>, T: Float, const R: usize, const ABSOLUTE: bool>(
    l: L,
    points: MatRef<'_, T>,
    form: Form,
    panels: &mut [T],
    mut out: MatMut<'_, T>,
) {
    let (n, dimensions, width) = (points.rows(), points.cols(), VECTORS * L::N);
    let mut mirrored = [T::ZERO; 8 * WIDEST];
    for from in (0..dimensions).step_by(CHUNK) {
        let to = dimensions.min(from + CHUNK);
        let len = (to - from) * width;
        let panels = &mut panels[..n.div_ceil(width) * len];
        pack(points, (from, to), width, panels);
        let panels = &*panels;
        for start in (0..n).step_by(width) {
            let count = width.min(n - start);
            let y = &panels[start / width * len..][..len];
            // Points up to those of the panel itself, of which both halves are computed.
            for i in (0..start + count).step_by(R) {
                let x = &panels[i / width * len..][..len];
                let mut sums = tile::<L, T, R, ABSOLUTE>(l, x, i % width, y);
                let filled = R.min(n - i);
                if from > 0 {
                    // What the dimensions before came to.
                    for (r, sums) in sums[..filled].iter_mut().enumerate() {
                        let before = &out.row_mut(i + r)[start..start + count];
                        for (v, sum) in sums.iter_mut().enumerate() {
                            *sum = l.add(*sum, l.load_tail(&before[count.min(v * L::N)..], T::ZERO));
                        }
                    }
                }
                let last = to == dimensions;
                if last {
                    match form {
                        Form::Squares | Form::Absolute => {}
                        Form::Root => {
                            for sum in sums.iter_mut().flatten() {
                                *sum = l.sqrt(*sum);
                            }
                        }
                        Form::Half => {
                            let half = l.splat(T::from_f64(0.5));
                            for sum in sums.iter_mut().flatten() {
                                *sum = l.mul(*sum, half);
                            }
                        }
                    }
                }
                for (r, sums) in sums[..filled].iter().enumerate() {
                    let row = &mut out.row_mut(i + r)[start..start + count];
                    for (v, &sum) in sums.iter().enumerate() {
                        l.store_tail(&mut row[count.min(v * L::N)..], sum);
                    }
                }
                if last && i < start {
                    transpose(l, &sums, &mut mirrored);
                    for (j, mirrored) in mirrored.chunks_exact(R).take(count).enumerate() {
                        let row = &mut out.row_mut(start + j)[i..i + filled];
                        match (row.first_chunk_mut::<R>(), mirrored.first_chunk::<R>()) {
                            (Some(row), Some(mirrored)) => *row = *mirrored,
                            _ => row.copy_from_slice(&mirrored[..filled]),
                        }
                    }
                }
            }
        }
    }
}

/// The distances between all points: symmetric, with a zero diagonal. `out` is n x n, `panels` scratch of [`panels_len`].
#[inline(always)]
pub(crate) fn distance_matrix<L: Lanes<T>, T: Float>(
    l: L,
    points: MatRef<'_, T>,
    form: Form,
    panels: &mut [T],
    out: MatMut<'_, T>,
) {
    // As many points as there are registers for their sums, and a divisor of the panel's width.
    let rows = (L::REGISTERS / 4).min(VECTORS * L::N);
    match (rows, form == Form::Absolute) {
        (8, false) => matrix::<L, T, 8, false>(l, points, form, panels, out),
        (4, false) => matrix::<L, T, 4, false>(l, points, form, panels, out),
        (_, false) => matrix::<L, T, 2, false>(l, points, form, panels, out),
        (8, true) => matrix::<L, T, 8, true>(l, points, form, panels, out),
        (4, true) => matrix::<L, T, 4, true>(l, points, form, panels, out),
        (_, true) => matrix::<L, T, 2, true>(l, points, form, panels, out),
    }
}

/// As many multiply-adds as the CPU can do with nothing else to do: what benches compare with. Returns how many were
/// done, and a number that depends on all of them.
#[cfg(feature = "baselines")]
#[inline(always)]
pub(crate) fn multiply_adds<L: Lanes<T>, T: Float>(l: L, x: &[T], steps: usize) -> (usize, f64) {
    let x = l.load_tail(x, T::ONE);
    let mut sums = [x; 12];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = l.mul_add(*sum, x, x);
        }
    }
    let total = sums.iter().fold(
        0.0,
        #[inline(always)]
        |total, &sum| total + l.sum(sum),
    );
    (steps * sums.len() * L::N, total)
}
