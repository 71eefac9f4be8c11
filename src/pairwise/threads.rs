//! Distances on several threads: blocks of a matrix, with the bits that one thread gives.

use super::fill_here;
use crate::bands::Bands;
use crate::check::Shape;
use crate::dispatch::Road;
use crate::kernels::pairwise::{Rescue, Task};
use crate::real::Element;
use crate::{MatMut, MatRef, Real};
use core::ops::Range;

/// Symmetric matrices of up to this number of rows are computed by one thread.
const MAX_SYMMETRIC_ROWS: usize = 512;

/// The least number of rows of a band. Every band copies the points of the columns once, which
/// takes about as long as a row or two.
const MIN_ROWS: usize = 64;

/// The rows and columns of a tile that is mirrored: two cache lines of `f64`.
const TILE: usize = 16;

/// The number of dimensions that take as long as an exponential.
const DIMENSIONS_PER_ELEMENT: usize = 16;

/// Writes the distances of all pairs, on several threads.
pub(super) fn fill<T: Real>(road: Road, task: Task<'_, T>, out: MatMut<'_, T>) {
    let n = task.x.rows();
    if !task.symmetric {
        let work = (RowsOf(task), out);
        let each = |(RowsOf(task), out): (_, MatMut<'_, T>)| fill_here(road, task, out);
        let elements = task.y.rows().saturating_mul(task.x.cols().div_ceil(DIMENSIONS_PER_ELEMENT));
        return road.each_band_of(MIN_ROWS, (n, elements), work, each);
    }
    if n <= MAX_SYMMETRIC_ROWS {
        return fill_here(road, task, out);
    }
    // The blocks of both halves on the diagonal, then the block beside them, then its mirror image.
    let half = n / 2;
    let (RowsOf(top), RowsOf(bottom)) = RowsOf(task).split_at_row(half);
    let (mut top_out, mut bottom_out) = out.split_at_row(half);
    rayon::join(
        || fill(road, columns(top, 0..half), top_out.reborrow().columns(0..half)),
        || fill(road, columns(bottom, half..n), bottom_out.reborrow().columns(half..n)),
    );
    let beside = Task { symmetric: false, ..columns(top, half..n) };
    fill(road, beside, top_out.reborrow().columns(half..n));
    let source = top_out.as_ref();
    let work = (half..n, bottom_out.columns(0..half));
    road.each_band((n - half, half), work, |(rows, out)| mirror(source, rows.start, out));
}

/// Writes the columns of `source` from `first` on as rows of `out`.
fn mirror<T: Real>(source: MatRef<'_, T>, first: usize, mut out: MatMut<'_, T>) {
    let (rows, cols) = out.shape();
    for top in (0..rows).step_by(TILE) {
        let height = TILE.min(rows - top);
        for left in (0..cols).step_by(TILE) {
            let width = TILE.min(cols - left);
            let mut tile = [[T::zero(); TILE]; TILE];
            for (j, column) in (left..left + width).enumerate() {
                let distances = &source.row(column)[first + top..][..height];
                for (i, &distance) in distances.iter().enumerate() {
                    tile[i][j] = distance;
                }
            }
            for (i, row) in tile.iter().enumerate().take(height) {
                out.row_mut(top + i)[left..][..width].copy_from_slice(&row[..width]);
            }
        }
    }
}

/// A task of which bands of rows are computed.
struct RowsOf<'a, T>(Task<'a, T>);

impl<T: Real> Bands for RowsOf<'_, T> {
    fn split_at_row(self, row: usize) -> (Self, Self) {
        let Self(task) = self;
        let (x_above, x_below) = task.x.split_at_row(row);
        let rescues = task.rescue.map(|rescue| {
            let (x_above, x_below) = rescue.x.split_at_row(row);
            (Rescue { x: x_above, ..rescue }, Rescue { x: x_below, ..rescue })
        });
        let (above, below) = rescues.unzip();
        (Self(Task { x: x_above, rescue: above, ..task }), Self(Task { x: x_below, rescue: below, ..task }))
    }
}

/// Returns the task of some of the columns.
fn columns<T: Real>(task: Task<'_, T>, columns: Range<usize>) -> Task<'_, T> {
    let rescue = task.rescue.map(|rescue| Rescue { y: rows(rescue.y, columns.clone()), ..rescue });
    Task { y: rows(task.y, columns), rescue, ..task }
}

/// Returns some of the rows.
fn rows<T>(matrix: MatRef<'_, T>, rows: Range<usize>) -> MatRef<'_, T> {
    matrix.split_at_row(rows.end).0.split_at_row(rows.start).1
}
