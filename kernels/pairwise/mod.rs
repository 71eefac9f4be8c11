//! Distances between all pairs of points, of one set or of two.
//!
//! ```text
//! for each tile of points x against points y:
//!     sum[x, y] = sum over the dimensions of (x - y)^2 or |x - y|
//!     out[x, y] = sum, its square root, or half of it
//!     out[y, x] = out[x, y], if the sets are the same
//! ```
//!
//! Deviations, to be fast or accurate:
//! 1. |x|^2 + |y|^2 - 2 x y, a matrix product, would be faster, but it cancels and loses the
//!    distances between near points. Differences are taken first.
//! 2. The lanes of a vector are points. Points are laid out in panels of one or two vectors,
//!    dimension by dimension. A tile of some points of one panel against all points of another
//!    stays in registers over all dimensions.
//! 3. A sum depends on its two points only and is the same with both exchanged. In one set, the
//!    upper triangle is computed and mirrored; tiles are transposed in registers.
//! 4. Sums of a few dimensions are added in three levels, the last of which keeps its rounding
//!    errors ([`tiles`]). The error of a sum is therefore independent of the number of dimensions.
//! 5. Sums whose squares may have underflowed are recomputed from the points ([`exact`]), if the
//!    points have coordinates that are small enough. The caller keeps overflow away by a scale.

pub(crate) mod exact;
mod tiles;

use super::lanes::{Float, Lanes, MAX_LANES, WideLanes, out_of_line};
use crate::matrix::{MatMut, MatRef};
use core::hint::black_box;
pub(crate) use exact::{Extent, distances_from, extent};

use tiles::{
    DIMENSIONS_PER_GROUP, DIMENSIONS_PER_LEAF, add_terms, pack, round_sums, split_sums, store_at, sum_groups, transpose,
};

// Tuning. Machine: a virtual machine with two cores of a Zen 4 server, 2026-11-25, f32 and AVX-512.
// Command: `cargo bench --bench medoids -- ratios`. The other candidates of a value were not
// recorded.

/// The number of dimensions that are laid out at once. A panel with that many dimensions stays in
/// L2 while it meets the other panels.
const DIMENSIONS_PER_PASS: usize = 2048;
/// The number of rows that pass through all dimensions before the next rows, if there are several
/// passes: it bounds the memory for the rounding errors of the sums. A multiple of every panel's
/// width. Not measured: the columns are laid out anew for every block, which costs little beside
/// so many rows.
const ROWS_PER_BLOCK: usize = 1024;
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
    /// Half the sum of squared differences, at most 2.
    Half,
    /// The sum of absolute differences.
    Absolute,
}

/// The arguments of [`distance_matrix`].
#[derive(Clone, Copy, Debug)]
pub struct Task<'a, T> {
    /// The points of the rows.
    pub x: MatRef<'a, T>,
    /// The points of the columns.
    pub y: MatRef<'a, T>,
    /// Whether `x` and `y` are the same points.
    pub symmetric: bool,
    /// The distance.
    pub form: DistanceForm,
    /// What to do with squares that may underflow; `None` if none can.
    pub rescue: Option<Rescue<'a, T>>,
}

/// The way from sums of scaled points back to distances.
#[derive(Clone, Copy, Debug)]
pub struct Rescue<'a, T> {
    /// The points of the rows, not scaled.
    pub x: MatRef<'a, T>,
    /// The points of the columns, not scaled.
    pub y: MatRef<'a, T>,
    /// Sums of at least this are accurate. Others are recomputed from the points.
    pub min_sum: T,
    /// The reciprocal of the scale, a power of two.
    pub unscale: T,
}

/// Returns the number of rows that pass through all dimensions before the next rows.
fn block_rows(rows: usize, dimensions: usize) -> usize {
    if dimensions > DIMENSIONS_PER_PASS { rows.min(ROWS_PER_BLOCK) } else { rows }
}

/// Returns the number of elements in the panels that [`distance_matrix`] needs.
pub(crate) fn panels_len(rows: usize, columns: usize, dimensions: usize, symmetric: bool) -> usize {
    let x = if symmetric { 0 } else { block_rows(rows, dimensions).next_multiple_of(MAX_LANES) };
    (columns.next_multiple_of(MAX_LANES) + x) * dimensions.min(DIMENSIONS_PER_PASS)
}

/// Returns the shape of the matrix of rounding errors that [`distance_matrix`] needs.
pub(crate) fn errors_shape(rows: usize, columns: usize, dimensions: usize) -> (usize, usize) {
    if dimensions > DIMENSIONS_PER_PASS { (block_rows(rows, dimensions), columns) } else { (0, 0) }
}

/// Turns sums into distances.
#[inline(always)]
fn apply_form<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    sums: &mut [[L::V; V]; R],
    form: DistanceForm,
) {
    match form {
        DistanceForm::Squares | DistanceForm::Absolute => {}
        DistanceForm::Root => {
            for sum in sums.as_flattened_mut() {
                *sum = l.sqrt(*sum);
            }
        }
        DistanceForm::Half => {
            let (half, two) = (l.splat(T::from_f64(0.5)), l.splat(T::from_f64(2.0)));
            for sum in sums.as_flattened_mut() {
                *sum = l.min(l.mul(*sum, half), two);
            }
        }
    }
}

/// Turns the sums of the tile at (`i`, `start`) into distances, as [`Rescue`] says.
#[inline(always)]
fn apply_rescue<L: WideLanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    sums: &mut [[L::V; V]; R],
    (i, start): (usize, usize),
    form: DistanceForm,
    rescue: &Rescue<'_, T>,
) {
    let (min_sum, unscale) = (l.splat(rescue.min_sum), l.splat(rescue.unscale));
    let mut smallest = sums[0][0];
    for sum in sums.as_flattened() {
        smallest = l.min(*sum, smallest);
    }
    let accurate = l.all_non_negative(l.sub(smallest, min_sum));
    let mut distances = *sums;
    apply_form(l, &mut distances, form);
    for (r, (distances, sums)) in distances.iter_mut().zip(sums.iter_mut()).enumerate() {
        for (v, (distance, sum)) in distances.iter_mut().zip(sums.iter_mut()).enumerate() {
            *distance = l.mul(*distance, unscale);
            if !accurate && i + r < rescue.x.rows() {
                let mut lanes = l.to_array(*distance);
                for (lane, sum) in l.to_array(*sum)[..L::N].iter().enumerate() {
                    let column = start + v * L::N + lane;
                    if *sum < rescue.min_sum && column < rescue.y.rows() {
                        lanes[lane] = exact::rescued_distance(l, rescue.x.row(i + r), rescue.y.row(column), form);
                    }
                }
                *distance = l.load(&lanes);
            }
            *sum = *distance;
        }
    }
}

/// Returns the distances of the tile at (`i`, `start`), given its sums.
#[inline(always)]
fn tile_distances<L: WideLanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    mut sums: [[L::V; V]; R],
    (i, start): (usize, usize),
    form: DistanceForm,
    rescue: Option<Rescue<'_, T>>,
) -> [[L::V; V]; R] {
    if let Some(rescue) = rescue {
        return out_of_line!(l, {
            let mut sums = sums;
            apply_rescue(l, &mut sums, (i, start), form, &rescue);
            sums
        });
    }
    apply_form(l, &mut sums, form);
    sums
}

/// Loads the tile at (`row`, `col`) of a matrix; lanes outside of it are 0.
#[inline(always)]
fn load_tile<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    (row, col): (usize, usize),
    matrix: MatRef<'_, T>,
) -> [[L::V; V]; R] {
    out_of_line!(l, {
        let mut tile = [[l.splat(T::ZERO); V]; R];
        for (r, tile) in tile[..R.min(matrix.rows() - row)].iter_mut().enumerate() {
            let elements = matrix.row(row + r);
            for (v, tile) in tile.iter_mut().enumerate() {
                *tile = l.load_up_to(&elements[elements.len().min(col + v * L::N)..], T::ZERO);
            }
        }
        tile
    })
}

/// Stores the tile at (`row`, `col`) of a matrix; lanes outside of it are dropped. If `mirrored`,
/// stores the transposed tile at (`col`, `row`), too.
#[inline(always)]
fn store_tile<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    tile: &[[L::V; V]; R],
    (row, col): (usize, usize),
    mirrored: bool,
    mut matrix: MatMut<'_, T>,
) {
    let tile = *tile;
    out_of_line!(l, {
        for (r, vectors) in tile.iter().enumerate() {
            for (v, &vector) in vectors.iter().enumerate() {
                store_at(l, vector, row + r, col + v * L::N, &mut matrix);
            }
        }
        if mirrored {
            // Vectors per row of the transposed tile.
            let vectors = R / L::N;
            for (v, columns) in transpose(l, &tile).iter().enumerate() {
                for (c, &column) in columns.iter().enumerate() {
                    store_at(l, column, col + v * L::N + c / vectors, row + c % vectors * L::N, &mut matrix);
                }
            }
        }
    });
}

/// [`store_tile`] of a tile that lies inside of the matrix.
#[inline(always)]
fn store_inner_tile<L: Lanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    tile: &[[L::V; V]; R],
    (row, col): (usize, usize),
    mirrored: bool,
    matrix: &mut MatMut<'_, T>,
) {
    for (r, vectors) in tile.iter().enumerate() {
        let to = &mut matrix.row_mut(row + r)[col..][..V * L::N];
        for (v, &vector) in vectors.iter().enumerate() {
            l.store(&mut to[v * L::N..], vector);
        }
    }
    if mirrored {
        let vectors = R / L::N;
        for (v, columns) in transpose(l, tile).iter().enumerate() {
            for (c, columns) in columns.chunks_exact(vectors).enumerate() {
                let to = &mut matrix.row_mut(col + v * L::N + c)[row..][..R];
                for (k, &column) in columns.iter().enumerate() {
                    l.store(&mut to[k * L::N..], column);
                }
            }
        }
    }
}

/// [`distance_matrix`] by tiles of `R` points against `V` vectors of points.
#[inline(always)]
fn tiled_matrix<L: WideLanes<T>, T: Float, const R: usize, const V: usize>(
    l: L,
    task: &Task<'_, T>,
    panels: &mut [T],
    mut errors: MatMut<'_, T>,
    mut out: MatMut<'_, T>,
) {
    let Task { x, y, symmetric, form, rescue } = *task;
    let (n, m, dimensions, width) = (x.rows(), y.rows(), x.cols(), V * L::N);
    let depth = dimensions.min(DIMENSIONS_PER_PASS);
    let passes = dimensions.div_ceil(depth);
    // If the compiler knew that this is 1, it would turn multiply-adds into additions.
    let one = black_box(l.splat(T::ONE));
    let block_rows = block_rows(n, dimensions);
    let (y_panels, x_panels) = panels.split_at_mut(m.next_multiple_of(width) * depth);
    for top in (0..n).step_by(block_rows) {
        let bottom = n.min(top + block_rows);
        // In one set, the columns before those of the block are mirrored.
        let left = if symmetric { top } else { 0 };
        for pass in 0..passes {
            let from = pass * depth;
            let to = dimensions.min(from + depth);
            let (len, last) = ((to - from) * width, pass + 1 == passes);
            if top == 0 || passes > 1 {
                pack::<L, T, R>(l, y, (left, m), (from, to), width, y_panels);
            }
            if !symmetric {
                pack::<L, T, R>(l, x, (top, bottom), (from, to), width, x_panels);
            }
            let y_panels = &*y_panels;
            let x_panels = if symmetric { y_panels } else { &*x_panels };
            let side = width * (PANEL_ELEMENTS / len).max(1);
            for block in (left..m).step_by(side) {
                let end = m.min(block + side);
                let rows_end = if symmetric { bottom.min(end) } else { bottom };
                for i in (top..rows_end).step_by(R) {
                    let panel = (i - top) / width;
                    let x = &x_panels[panel * len..][..len];
                    // The panel that holds the points of this tile is the first one. Both of its
                    // halves are computed; later panels are mirrored.
                    let first = if symmetric { block.max(top + panel * width) } else { block };
                    for start in (first..end).step_by(width) {
                        let y = &y_panels[(start - left) / width * len..][..len];
                        let zero = [[l.splat(T::ZERO); V]; R];
                        let mut tile = if dimensions <= DIMENSIONS_PER_LEAF {
                            add_terms(l, (form, one), x, (i - top) % width, y, zero)
                        } else {
                            let (mut high, mut low) = (zero, zero);
                            if pass > 0 {
                                high = load_tile(l, (i, start), out.as_ref());
                                low = load_tile(l, (i - top, start), errors.as_ref());
                                split_sums(l, &mut high, &mut low);
                            }
                            sum_groups(l, (form, one), x, (i - top) % width, y, &mut high, &mut low);
                            if !last {
                                store_tile(l, &low, (i - top, start), false, errors.reborrow());
                                store_tile(l, &high, (i, start), false, out.reborrow());
                                continue;
                            }
                            if dimensions > DIMENSIONS_PER_GROUP { round_sums(l, &high, &low) } else { low }
                        };
                        tile = tile_distances(l, tile, (i, start), form, rescue);
                        let mirrored = symmetric && i < start;
                        if i + R <= n && start + width <= m {
                            store_inner_tile(l, &tile, (i, start), mirrored, &mut out);
                        } else {
                            store_tile(l, &tile, (i, start), mirrored, out.reborrow());
                        }
                    }
                }
            }
        }
    }
}

/// Writes the distances between the points of the rows and those of the columns. In one set, the
/// matrix is symmetric with a zero diagonal. `panels` is scratch of [`panels_len`] elements,
/// `errors` scratch of [`errors_shape`].
#[inline(always)]
pub(crate) fn distance_matrix<L: WideLanes<T>, T: Float>(
    l: L,
    task: &Task<'_, T>,
    panels: &mut [T],
    errors: MatMut<'_, T>,
    out: MatMut<'_, T>,
) {
    // A tile is square, N x N, if N sums are enough to hide the latency of a multiply-add. One
    // operand of each subtraction then comes from memory, the same in all lanes, and mirrored rows
    // are whole vectors. Otherwise a tile is two vectors wide. R always divides the width of a
    // panel.
    match L::N {
        16 => tiled_matrix::<L, T, 16, 1>(l, task, panels, errors, out),
        8 => tiled_matrix::<L, T, 8, 1>(l, task, panels, errors, out),
        4 if L::REGISTERS >= 32 => tiled_matrix::<L, T, 8, 2>(l, task, panels, errors, out),
        2.. => tiled_matrix::<L, T, 4, 2>(l, task, panels, errors, out),
        _ => tiled_matrix::<L, T, 2, 2>(l, task, panels, errors, out),
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
