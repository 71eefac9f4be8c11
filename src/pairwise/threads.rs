//! Distances on several threads: blocks of a matrix, with the bits that one thread gives.

use super::fill_here;
use crate::bands::{BANDS_PER_THREAD, Bands, min_band_elements, share};
use crate::check::Shape;
use crate::dispatch::Road;
use crate::kernels::pairwise::{Rescue, Task};
use crate::real::Element;
use crate::{MatMut, MatRef, Real};
use alloc::vec::Vec;
use core::ops::Range;

/// The least number of rows of a band. Every band copies the points of the columns once, which
/// takes about as long as a row or two.
const MIN_ROWS: usize = 64;

/// The rows and columns of a tile that is mirrored: two cache lines of `f64`.
const TILE: usize = 16;

/// The number of dimensions that take as long as an exponential.
const DIMENSIONS_PER_ELEMENT: usize = 16;

/// The most distances of a strip, so that they are in the cache of a core when they are mirrored.
/// Strips take 0.81 to 0.84 of the time of halves, quarters and a last pass that mirrors, with 600
/// to 1000 points of 64 dimensions, and 0.67 with 2000 (two threads on Zen 4, 2026-11-27).
const MAX_STRIP: usize = 1 << 18;

/// Writes the distances of all pairs, on several threads.
pub(super) fn fill<T: Real>(road: Road, task: Task<'_, T>, out: MatMut<'_, T>) {
    let (rows, weight) = (task.x.rows(), task.x.cols().div_ceil(DIMENSIONS_PER_ELEMENT));
    if !task.symmetric {
        let work = (RowsOf(task), out);
        let each = |(RowsOf(task), out): (_, MatMut<'_, T>)| fill_here(road, task, out);
        return road.each_band_of(MIN_ROWS, (rows, task.y.rows().saturating_mul(weight)), work, each);
    }
    let pairs = rows.saturating_mul(rows / 2);
    let strips = (pairs.saturating_mul(weight) / min_band_elements()).min(rows / MIN_ROWS);
    if strips < 2 {
        return fill_here(road, task, out);
    }
    fill_strips(road, task, strips.min((BANDS_PER_THREAD * rayon::current_num_threads()).max(pairs / MAX_STRIP)), out);
}

/// Writes the distances of all pairs of points of one set, in strips of rows with equally many of
/// them. A strip has the pairs of its own points, those with the points after it, and their mirror
/// image below.
fn fill_strips<T: Real>(road: Road, task: Task<'_, T>, strips: usize, out: MatMut<'_, T>) {
    let (mut task, mut out) = (task, out);
    let mut all = Vec::with_capacity(strips);
    for strips in (2..=strips).rev() {
        let n = task.x.rows();
        let rest = n as f64 * (1.0 - 1.0 / strips as f64).sqrt();
        let rows = (n - rest as usize).next_multiple_of(TILE);
        if rows >= n {
            break;
        }
        let (RowsOf(top), RowsOf(bottom)) = RowsOf(task).split_at_row(rows);
        let (strip, below) = out.split_at_row(rows);
        let (image, rest) = below.split_at_col(rows);
        all.push((top, strip, Some(image)));
        (task, out) = (columns(bottom, rows..n), rest);
    }
    all.push((task, out, None));
    share(all, |(task, strip, image)| {
        let (rows, n) = (task.x.rows(), task.y.rows());
        let (square, mut beside) = strip.split_at_col(rows);
        fill_here(road, columns(task, 0..rows), square);
        if let Some(image) = image {
            fill_here(road, Task { symmetric: false, ..columns(task, rows..n) }, beside.reborrow());
            mirror(beside.as_ref(), image);
        }
    });
}

/// Writes the columns of `source` as rows of `out`.
fn mirror<T: Real>(source: MatRef<'_, T>, mut out: MatMut<'_, T>) {
    let (rows, cols) = out.shape();
    for top in (0..rows).step_by(TILE) {
        let height = TILE.min(rows - top);
        for left in (0..cols).step_by(TILE) {
            let width = TILE.min(cols - left);
            let mut tile = [[T::zero(); TILE]; TILE];
            for (j, column) in (left..left + width).enumerate() {
                let distances = &source.row(column)[top..][..height];
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
