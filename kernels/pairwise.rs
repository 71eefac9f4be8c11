//! Distances between all pairs of points.
//!
//! ```text
//! for each tile of points x against points y:
//!     sum[x, y] = sum over the dimensions of (x - y)^2 or |x - y|
//!     out[x, y] = out[y, x] = sum, its square root, or half of it
//! ```
//!
//! Deviations, to be fast or accurate:
//! 1. |x|^2 + |y|^2 - 2 x y, a matrix product, would be faster, but it cancels and loses the
//!    distances between near points. Differences are taken first.
//! 2. The lanes of a vector are points. Points are laid out in panels of one or two vectors,
//!    dimension by dimension. A tile of some points of one panel against all points of another
//!    stays in registers over all dimensions.
//! 3. A sum depends on its two points only and is the same with both exchanged. The upper triangle
//!    is computed and mirrored; tiles are transposed in registers.
//! 4. Each [`DIMENSIONS_PER_SUM`] dimensions have a sum of their own, so rounding grows with that
//!    number.

use super::lanes::{Float, Lanes, MAX_LANES};
use crate::matrix::{MatMut, MatRef};
use core::hint::black_box;

// Tuning. Machine: a virtual machine with two cores of a Zen 4 server, 2026-11-25, f32 and AVX-512.
// Command: `cargo bench --bench medoids -- ratios`. The other candidates of a value were not
// recorded.

/// The number of dimensions that are summed before their sum is added to the total. Not measured:
/// it bounds the rounding error, and one more addition per 256 multiply-adds costs little.
const DIMENSIONS_PER_SUM: usize = 256;
/// The number of dimensions that are laid out at once. A panel with that many dimensions stays in
/// L2 while it meets the other panels.
const DIMENSIONS_PER_PASS: usize = 2048;
/// The number of elements in a block of panels. All points meet the panels of a block before the
/// next block: the block stays in L2, and rows are written in longer pieces. Together with square
/// tiles and mirroring in registers, this brought 2000 points of 64, 256 and 1000 dimensions from
/// 32, 46 and 50% to 51, 71 and 80% of the multiply-add rate.
const PANEL_ELEMENTS: usize = 1 << 17;

/// What a distance is: a sum over the dimensions, and a function of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DistanceForm {
    /// The sum of squared differences.
    Squares,
    /// The square root of the sum of squared differences.
    Root,
    /// Half the sum of squared differences.
    Half,
    /// The sum of absolute differences.
    Absolute,
}

/// The share of one dimension in a sum.
trait Term: Copy {
    /// Returns `sum` plus the term of a difference. `one` is 1, unknown to the compiler.
    fn add<L: Lanes<T>, T: Float>(self, l: L, sum: L::V, difference: L::V, one: L::V) -> L::V;
}

/// The squared difference.
#[derive(Clone, Copy)]
struct Squared;

impl Term for Squared {
    #[inline(always)]
    fn add<L: Lanes<T>, T: Float>(self, l: L, sum: L::V, difference: L::V, _: L::V) -> L::V {
        l.mul_add(difference, difference, sum)
    }
}

/// The absolute difference.
#[derive(Clone, Copy)]
struct Absolute;

impl Term for Absolute {
    #[inline(always)]
    fn add<L: Lanes<T>, T: Float>(self, l: L, sum: L::V, difference: L::V, one: L::V) -> L::V {
        // A multiply-add instead of an addition, because many CPUs run it on other units than the
        // subtraction.
        l.mul_add(l.abs(difference), one, sum)
    }
}

/// Returns the number of elements of scratch that [`distance_matrix`] needs.
pub(crate) fn panels_len(points: usize, dimensions: usize) -> usize {
    points.next_multiple_of(MAX_LANES) * dimensions.min(DIMENSIONS_PER_PASS)
}

/// Returns whether every element is finite.
#[inline(always)]
pub(crate) fn all_finite<L: Lanes<T>, T: Float>(l: L, row: &[T]) -> bool {
    let (one, zero) = (l.splat(T::ONE), l.splat(T::ZERO));
    let mut not_finite = zero;
    for chunk in row.chunks(L::N) {
        let finite = l.lt(l.abs(l.load_tail(chunk, T::ZERO)), l.splat(T::INFINITY));
        not_finite = l.max(not_finite, l.select(finite, zero, one));
    }
    l.reduce_sum(not_finite) == 0.0
}

/// Lays out the dimensions `from..to` of all points in panels of `width` points. The last point
/// fills up the last panel.
#[inline(always)]
fn pack<T: Float>(points: MatRef<'_, T>, (from, to): (usize, usize), width: usize, panels: &mut [T]) {
    let last = points.rows() - 1;
    for (p, panel) in panels.chunks_exact_mut((to - from) * width).enumerate() {
        for lane in 0..width {
            let point = &points.row((p * width + lane).min(last))[from..to];
            for (lanes, &x) in panel.chunks_exact_mut(width).zip(point) {
                lanes[lane] = x;
            }
        }
    }
}

/// Returns the sums of the `R` points of panel `x` from `first` on against the points of panel `y`.
#[inline(always)]
fn tile_sums<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    term: impl Term,
    x: &[T],
    first: usize,
    y: &[T],
) -> [[L::V; V]; R] {
    let width = V * L::N;
    let zero = l.splat(T::ZERO);
    // If the compiler knew that this is 1, it would turn multiply-adds into additions.
    let one = black_box(l.splat(T::ONE));
    let mut totals = [[zero; V]; R];
    for (x, y) in x.chunks(DIMENSIONS_PER_SUM * width).zip(y.chunks(DIMENSIONS_PER_SUM * width)) {
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
                    sums[r][v] = term.add(l, sums[r][v], difference, one);
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

/// Returns the transposed tile: for each of the `V` vectors of a row, its columns in order, `R`
/// elements each and without gaps. A vector has at most `R` lanes.
#[inline(always)]
fn transpose<L: Lanes<T>, T: Float, const R: usize, const V: usize>(l: L, tile: &[[L::V; V]; R]) -> [[L::V; R]; V] {
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
fn store_at<L: Lanes<T>, T: Float>(l: L, vector: L::V, row: usize, col: usize, out: &mut MatMut<'_, T>) {
    if row < out.rows() {
        let row = out.row_mut(row);
        let at = col.min(row.len());
        let rest = &mut row[at..];
        if rest.len() >= L::N { l.store(rest, vector) } else { l.store_tail(rest, vector) }
    }
}

/// Adds the sums over the previous dimensions, which `out` holds, to the tile at (`i`, `start`).
#[inline(always)]
fn add_previous<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    sums: &mut [[L::V; V]; R],
    i: usize,
    start: usize,
    out: &mut MatMut<'_, T>,
) {
    let n = out.rows();
    for (r, sums) in sums[..R.min(n - i)].iter_mut().enumerate() {
        let previous = out.row_mut(i + r);
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = l.add(*sum, l.load_tail(&previous[n.min(start + v * L::N)..], T::ZERO));
        }
    }
}

/// Turns sums into distances.
#[inline(always)]
fn apply_form<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    sums: &mut [[L::V; V]; R],
    form: DistanceForm,
) {
    let half = l.splat(T::from_f64(0.5));
    for sum in sums.as_flattened_mut() {
        *sum = match form {
            DistanceForm::Squares | DistanceForm::Absolute => *sum,
            DistanceForm::Root => l.sqrt(*sum),
            DistanceForm::Half => l.mul(*sum, half),
        };
    }
}

/// [`distance_matrix`] by tiles of `R` points against `V` vectors of points.
#[inline(always)]
fn tiled_matrix<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    term: impl Term,
    points: MatRef<'_, T>,
    form: DistanceForm,
    panels: &mut [T],
    mut out: MatMut<'_, T>,
) {
    let (n, dimensions, width) = (points.rows(), points.cols(), V * L::N);
    for from in (0..dimensions).step_by(DIMENSIONS_PER_PASS) {
        let to = dimensions.min(from + DIMENSIONS_PER_PASS);
        let len = (to - from) * width;
        let panels = &mut panels[..n.div_ceil(width) * len];
        pack(points, (from, to), width, panels);
        let panels = &*panels;
        let last = to == dimensions;
        let side = width * (PANEL_ELEMENTS / len).max(1);
        for block in (0..n).step_by(side) {
            let end = n.min(block + side);
            for i in (0..end).step_by(R) {
                let x = &panels[i / width * len..][..len];
                // The panel that holds the points of this tile is the first one. Both of its halves
                // are computed; later panels are mirrored.
                for start in (block.max(i / width * width)..end).step_by(width) {
                    let y = &panels[start / width * len..][..len];
                    let mut tile = tile_sums::<L, T, R, V>(l, term, x, i % width, y);
                    if from > 0 {
                        add_previous(l, &mut tile, i, start, &mut out);
                    }
                    if last {
                        apply_form(l, &mut tile, form);
                    }
                    for (r, row) in tile.iter().enumerate() {
                        for (v, &vector) in row.iter().enumerate() {
                            store_at(l, vector, i + r, start + v * L::N, &mut out);
                        }
                    }
                    if last && i < start {
                        // Vectors per row of the transposed tile.
                        let vectors = R / L::N;
                        for (v, columns) in transpose(l, &tile).iter().enumerate() {
                            for (c, &column) in columns.iter().enumerate() {
                                store_at(l, column, start + v * L::N + c / vectors, i + c % vectors * L::N, &mut out);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Writes the distances between all points, a symmetric matrix with a zero diagonal. `out` is n x
/// n, `panels` is scratch of [`panels_len`].
#[inline(always)]
pub(crate) fn distance_matrix<L: Lanes<T>, T: Float>(
    l: L,
    points: MatRef<'_, T>,
    form: DistanceForm,
    panels: &mut [T],
    out: MatMut<'_, T>,
) {
    // A tile is square, N x N, if N sums are enough to hide the latency of a multiply-add. One
    // operand of each subtraction then comes from memory, the same in all lanes, and mirrored rows
    // are whole vectors. Otherwise a tile is two vectors wide. R always divides the width of a
    // panel.
    match (L::N, form == DistanceForm::Absolute) {
        (16, false) => tiled_matrix::<L, T, 16, 1>(l, Squared, points, form, panels, out),
        (8, false) => tiled_matrix::<L, T, 8, 1>(l, Squared, points, form, panels, out),
        (4, false) if L::REGISTERS >= 32 => tiled_matrix::<L, T, 8, 2>(l, Squared, points, form, panels, out),
        (2.., false) => tiled_matrix::<L, T, 4, 2>(l, Squared, points, form, panels, out),
        (_, false) => tiled_matrix::<L, T, 2, 2>(l, Squared, points, form, panels, out),
        (16, true) => tiled_matrix::<L, T, 16, 1>(l, Absolute, points, form, panels, out),
        (8, true) => tiled_matrix::<L, T, 8, 1>(l, Absolute, points, form, panels, out),
        (4, true) if L::REGISTERS >= 32 => tiled_matrix::<L, T, 8, 2>(l, Absolute, points, form, panels, out),
        (2.., true) => tiled_matrix::<L, T, 4, 2>(l, Absolute, points, form, panels, out),
        (_, true) => tiled_matrix::<L, T, 2, 2>(l, Absolute, points, form, panels, out),
    }
}

/// Does multiply-adds at the highest rate of the CPU, which benches compare with. Returns their
/// number, and a value that depends on all of them, so that they are not optimized away.
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
