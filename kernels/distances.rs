//! Distances between all pairs of points.
//!
//! Differences are taken first and then squared or made absolute, so nothing cancels: |x|² + |y|² - 2xy, with which a
//! matrix product would do, loses the distances between near points. The vectors' lanes are points: the points are laid out
//! in panels of one or two vectors, dimension by dimension, and a tile of some points of one panel against all of another
//! stays in registers over all dimensions. A tile's element depends on its two points only and is the same with both
//! exchanged, so of two mirrored elements one is computed and both are written.

use super::lanes::{Float, Lanes, MAX_LANES};
use crate::matrix::{MatMut, MatRef};
use core::hint::black_box;

/// Dimensions summed up before the sum is added to that of the others: rounding grows with these, not with all.
const DEPTH: usize = 256;
/// Dimensions that are laid out at once: a panel of them stays in the second-level cache while others go by.
const CHUNK: usize = 2048;
/// Elements of the panels that all points go by before the next ones.
const BLOCK: usize = 1 << 17;

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
    points.next_multiple_of(MAX_LANES) * dimensions.min(CHUNK)
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
    l.reduce_sum(bad) == 0.0
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
fn tile<L: Lanes<T>, T: Float, const R: usize, const V: usize, const ABSOLUTE: bool>(
    l: L,
    x: &[T],
    first: usize,
    y: &[T],
) -> [[L::V; V]; R] {
    let width = V * L::N;
    let zero = l.splat(T::ZERO);
    // Not known to the compiler, which would make additions of multiply-adds with 1.
    let one = black_box(l.splat(T::ONE));
    let mut totals = [[zero; V]; R];
    for (x, y) in x.chunks(DEPTH * width).zip(y.chunks(DEPTH * width)) {
        let mut sums = [[zero; V]; R];
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact(width)) {
            let mut points = [zero; V];
            for (v, points) in points.iter_mut().enumerate() {
                *points = l.load(&y[v * L::N..]);
            }
            let x = &x[first..first + R];
            for r in 0..R {
                let x = l.splat(x[r]);
                for v in 0..V {
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

/// A tile with rows and columns exchanged: the `R` elements of the first lane of the first vector, and so on. A vector has
/// no more lanes than `R`.
#[inline(always)]
fn transpose<L: Lanes<T>, T: Float, const R: usize, const V: usize>(l: L, tile: &[[L::V; V]; R]) -> [[L::V; R]; V] {
    let mut columns = [[tile[0][0]; R]; V];
    for (v, columns) in columns.iter_mut().enumerate() {
        for (column, tile) in columns.iter_mut().zip(tile) {
            *column = tile[v];
        }
        // Each round brings elements of rows twice as near together.
        let mut near = 1;
        while near < R {
            let apart = *columns;
            for r in 0..R / 2 {
                (columns[2 * r], columns[2 * r + 1]) = l.interleave(apart[r], apart[r + R / 2]);
            }
            near *= 2;
        }
    }
    columns
}

/// Writes a vector to a row from a column on, as far as the matrix goes.
#[inline(always)]
fn put<L: Lanes<T>, T: Float>(l: L, vector: L::V, row: usize, col: usize, out: &mut MatMut<'_, T>) {
    if row < out.rows() {
        let row = out.row_mut(row);
        let at = col.min(row.len());
        let rest = &mut row[at..];
        if rest.len() >= L::N { l.store(rest, vector) } else { l.store_tail(rest, vector) }
    }
}

/// Adds what the dimensions before came to.
#[inline(always)]
fn add_before<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    sums: &mut [[L::V; V]; R],
    i: usize,
    start: usize,
    out: &mut MatMut<'_, T>,
) {
    let n = out.rows();
    for (r, sums) in sums[..R.min(n - i)].iter_mut().enumerate() {
        let before = out.row_mut(i + r);
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = l.add(*sum, l.load_tail(&before[n.min(start + v * L::N)..], T::ZERO));
        }
    }
}

/// Makes distances of the sums.
#[inline(always)]
fn finish<L: Lanes<T>, T: Float, const R: usize, const V: usize>(l: L, sums: &mut [[L::V; V]; R], form: Form) {
    let half = l.splat(T::from_f64(0.5));
    for sum in sums.as_flattened_mut() {
        *sum = match form {
            Form::Squares | Form::Absolute => *sum,
            Form::Root => l.sqrt(*sum),
            Form::Half => l.mul(*sum, half),
        };
    }
}

/// The points up to those of a panel against its own, a block of panels at a time: they stay in the second-level cache, and
/// rows are written in longer pieces.
#[inline(always)]
fn matrix<L: Lanes<T>, T: Float, const R: usize, const V: usize, const ABSOLUTE: bool>(
    l: L,
    points: MatRef<'_, T>,
    form: Form,
    panels: &mut [T],
    mut out: MatMut<'_, T>,
) {
    let (n, dimensions, width) = (points.rows(), points.cols(), V * L::N);
    for from in (0..dimensions).step_by(CHUNK) {
        let to = dimensions.min(from + CHUNK);
        let len = (to - from) * width;
        let panels = &mut panels[..n.div_ceil(width) * len];
        pack(points, (from, to), width, panels);
        let panels = &*panels;
        let last = to == dimensions;
        let side = width * (BLOCK / len).max(1);
        for block in (0..n).step_by(side) {
            let end = n.min(block + side);
            for i in (0..end).step_by(R) {
                let x = &panels[i / width * len..][..len];
                // From the panel of these points on, of which both halves are computed.
                for start in (block.max(i / width * width)..end).step_by(width) {
                    let y = &panels[start / width * len..][..len];
                    let mut sums = tile::<L, T, R, V, ABSOLUTE>(l, x, i % width, y);
                    if from > 0 {
                        add_before(l, &mut sums, i, start, &mut out);
                    }
                    if last {
                        finish(l, &mut sums, form);
                    }
                    for (r, sums) in sums.iter().enumerate() {
                        for (v, &sum) in sums.iter().enumerate() {
                            put(l, sum, i + r, start + v * L::N, &mut out);
                        }
                    }
                    if last && i < start {
                        // So many vectors hold what is of one lane.
                        let each = R / L::N;
                        for (v, columns) in transpose(l, &sums).iter().enumerate() {
                            for (c, &column) in columns.iter().enumerate() {
                                put(l, column, start + v * L::N + c / each, i + c % each * L::N, &mut out);
                            }
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
    // Square tiles where a vector has enough lanes that as many sums hide the latency of a multiply-add: one operand of a
    // subtraction then comes from memory, in each lane the same, and mirrored rows are whole vectors. Otherwise two vectors
    // side by side; always a number of points that divides the panel's width.
    match (L::N, form == Form::Absolute) {
        (16, false) => matrix::<L, T, 16, 1, false>(l, points, form, panels, out),
        (8, false) => matrix::<L, T, 8, 1, false>(l, points, form, panels, out),
        (4, false) if L::REGISTERS >= 32 => matrix::<L, T, 8, 2, false>(l, points, form, panels, out),
        (2.., false) => matrix::<L, T, 4, 2, false>(l, points, form, panels, out),
        (_, false) => matrix::<L, T, 2, 2, false>(l, points, form, panels, out),
        (16, true) => matrix::<L, T, 16, 1, true>(l, points, form, panels, out),
        (8, true) => matrix::<L, T, 8, 1, true>(l, points, form, panels, out),
        (4, true) if L::REGISTERS >= 32 => matrix::<L, T, 8, 2, true>(l, points, form, panels, out),
        (2.., true) => matrix::<L, T, 4, 2, true>(l, points, form, panels, out),
        (_, true) => matrix::<L, T, 2, 2, true>(l, points, form, panels, out),
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
        |total, &sum| total + l.reduce_sum(sum),
    );
    (steps * sums.len() * L::N, total)
}
