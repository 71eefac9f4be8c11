//! Distances between all pairs of points.
//!
//! Differences are taken first and then squared or made absolute, so nothing cancels: |x|² + |y|² - 2xy, with which a
//! matrix product would do, loses the distances between near points. The vectors' lanes are points: a panel of two
//! vectors of points is laid out dimension by dimension, and a tile of rows against it stays in registers over all
//! dimensions. A tile's element depends on its two points only and is the same with both exchanged, so of two mirrored
//! elements one is computed and both are written.

use super::lanes::{Float, Lanes};
use crate::matrix::{MatMut, MatRef};

/// Dimensions summed up before the sum is added to that of the others: rounding grows with these, not with all.
const DEPTH: usize = 256;
/// Dimensions of a panel: it stays in the second-level cache while rows go by.
const PANEL: usize = 2048;
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

/// How many elements the scratch of [`distance_matrix`] needs for points of so many dimensions.
pub(crate) fn panel_len(dimensions: usize) -> usize {
    dimensions.min(PANEL) * WIDEST
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

/// The dimensions `from..to` of `count` points from `start` on, dimension by dimension, each with `width` places, of which
/// the last hold 0.
#[inline(always)]
fn pack<T: Float>(
    points: MatRef<'_, T>,
    (start, count): (usize, usize),
    (from, to): (usize, usize),
    width: usize,
    panel: &mut [T],
) {
    for lane in 0..width {
        let places = panel[lane..].iter_mut().step_by(width);
        if lane < count {
            for (place, &x) in places.zip(&points.row(start + lane)[from..to]) {
                *place = x;
            }
        } else {
            for place in places {
                *place = T::ZERO;
            }
        }
    }
}

/// The sums of `R` points against the panel.
#[inline(always)]
fn tile<L: Lanes<T>, T: Float, const R: usize, const ABSOLUTE: bool>(
    l: L,
    rows: [&[T]; R],
    panel: &[T],
) -> [[L::V; VECTORS]; R] {
    let (width, dimensions) = (VECTORS * L::N, rows[0].len());
    let zero = l.splat(T::ZERO);
    let one = l.splat(T::ONE);
    let mut totals = [[zero; VECTORS]; R];
    for from in (0..dimensions).step_by(DEPTH) {
        let to = dimensions.min(from + DEPTH);
        let mut parts = rows;
        for part in &mut parts {
            *part = &part[from..to];
        }
        let mut sums = [[zero; VECTORS]; R];
        for at in 0..to - from {
            let lanes = &panel[(from + at) * width..][..width];
            let points = [l.load(lanes), l.load(&lanes[L::N..])];
            for r in 0..R {
                let x = l.splat(parts[r][at]);
                for v in 0..VECTORS {
                    let difference = l.sub(x, points[v]);
                    sums[r][v] = if ABSOLUTE {
                        // Fused although there is no product: many CPUs have other units for that than for additions.
                        l.mul_add(l.abs(difference), one, sums[r][v])
                    } else {
                        l.mul_add(difference, difference, sums[r][v])
                    };
                }
            }
        }
        for r in 0..R {
            for v in 0..VECTORS {
                totals[r][v] = l.add(totals[r][v], sums[r][v]);
            }
        }
    }
    totals
}

#[inline(always)]
fn matrix<L: Lanes<T>, T: Float, const R: usize, const ABSOLUTE: bool>(
    l: L,
    points: MatRef<'_, T>,
    form: Form,
    panel: &mut [T],
    mut out: MatMut<'_, T>,
) {
    let (n, dimensions, width) = (points.rows(), points.cols(), VECTORS * L::N);
    let half = l.splat(T::from_f64(0.5));
    for start in (0..n).step_by(width) {
        let count = width.min(n - start);
        for from in (0..dimensions).step_by(PANEL) {
            let to = dimensions.min(from + PANEL);
            let panel = &mut panel[..(to - from) * width];
            pack(points, (start, count), (from, to), width, panel);
            for i in (0..start + count).step_by(R) {
                let filled = R.min(n - i);
                let mut rows = [points.row(i); R];
                for (r, row) in rows.iter_mut().enumerate() {
                    *row = &points.row((i + r).min(n - 1))[from..to];
                }
                let sums = tile::<L, T, R, ABSOLUTE>(l, rows, panel);
                let mut distances = [[T::ZERO; WIDEST]; R];
                for r in 0..R {
                    for v in 0..VECTORS {
                        let mut sum = sums[r][v];
                        if from > 0 && r < filled && v * L::N < count {
                            // What the dimensions before came to.
                            let before = &out.row_mut(i + r)[start..start + count][v * L::N..];
                            sum = l.add(sum, l.load_tail(before, T::ZERO));
                        }
                        if to == dimensions {
                            sum = match form {
                                Form::Squares | Form::Absolute => sum,
                                Form::Root => l.sqrt(sum),
                                Form::Half => l.mul(sum, half),
                            };
                        }
                        l.store(&mut distances[r][v * L::N..], sum);
                    }
                }
                for (r, distances) in distances[..filled].iter().enumerate() {
                    out.row_mut(i + r)[start..start + count].copy_from_slice(&distances[..count]);
                }
                // Among the panel's own points both halves are computed.
                if to == dimensions && i < start {
                    for j in 0..count {
                        let mirrored = &mut out.row_mut(start + j)[i..i + filled];
                        for (mirrored, distances) in mirrored.iter_mut().zip(&distances) {
                            *mirrored = distances[j];
                        }
                    }
                }
            }
        }
    }
}

/// The distances between all points: symmetric, with a zero diagonal. `out` is n x n, `panel` scratch of [`panel_len`].
#[inline(always)]
pub(crate) fn distance_matrix<L: Lanes<T>, T: Float>(
    l: L,
    points: MatRef<'_, T>,
    form: Form,
    panel: &mut [T],
    out: MatMut<'_, T>,
) {
    match (form == Form::Absolute, L::REGISTERS >= 32) {
        (false, true) => matrix::<L, T, 8, false>(l, points, form, panel, out),
        (false, false) => matrix::<L, T, 4, false>(l, points, form, panel, out),
        (true, true) => matrix::<L, T, 8, true>(l, points, form, panel, out),
        (true, false) => matrix::<L, T, 4, true>(l, points, form, panel, out),
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
