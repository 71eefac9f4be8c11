//! Reads of the costs and products with the pattern on several threads, with the bits of one.
//!
//! One thread computes a row. Sums of squares and errors are those of the blocks of
//! [`BlockReader`], added in their order. For sums of columns, each thread takes some columns, and
//! adds their entries in the order of the rows, as one thread does.

use super::blocks::{BlockReader, Read, block_rows};
use super::largest_cost::largest_of_rows;
use super::pattern::mean;
use super::rows::Rows;
use crate::bands::{BANDS_PER_THREAD, min_band_elements};
use crate::dispatch::Road;
use crate::real::Element;
use crate::transport::threads::MIN_TASK_PART;
use crate::{Error, MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use rayon::prelude::*;

/// The least number of columns whose entries one thread adds up. Each thread searches its columns
/// in every row. Not measured.
const MIN_COLUMNS: usize = 64;

/// The memory of the tasks that threads take.
pub(super) struct Tasks<T>(Vec<Task<T>>);

/// The memory of a task: that of some rows.
struct Task<T> {
    blocks: BlockReader<T>,
    rows: Rows<T>,
    /// The masses of the entries of the rows.
    masses: Vec<f64>,
}

impl<T> Default for Tasks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Real> Tasks<T> {
    /// Finds the best rows. Adds their entries to the sums and the counts of the columns.
    pub(super) fn read(
        &mut self,
        read: &Read<'_, T>,
        to: &mut Rows<T>,
        (column_sums, column_counts): (&mut [f64], &mut [f64]),
    ) {
        // A thread outside of the pool hands over the whole read at once.
        rayon::scope(|_| {
            let (all_rows, cost) = (read.problem.masses.support.len(), read.problem.cost);
            let step = block_rows(cost);
            let rows = task_rows(cost.cols(), all_rows).next_multiple_of(step);
            let tasks = all_rows.div_ceil(rows);
            self.0.truncate(tasks);
            self.0.resize_with(tasks, || Task {
                blocks: BlockReader::new(cost),
                rows: Rows::default(),
                masses: Vec::new(),
            });
            self.0.par_iter_mut().enumerate().for_each(|(i, task)| {
                task.rows.clear();
                task.masses.clear();
                let rows = i * rows..all_rows.min((i + 1) * rows);
                task.blocks.read(read, rows, &mut task.rows, |_, mass| task.masses.push(mass));
            });
            self.collect_rows(to);
            self.add_columns(column_sums, column_counts);
        });
    }

    /// Moves the rows of all tasks to `to`.
    fn collect_rows(&self, to: &mut Rows<T>) {
        to.levels.clear();
        to.ends.clear();
        to.block_sums.clear();
        let mut start = 0;
        for Task { rows, .. } in &self.0 {
            to.levels.extend_from_slice(&rows.levels);
            to.ends.extend(rows.ends.iter().map(|end| start + end));
            to.block_sums.extend_from_slice(&rows.block_sums);
            start += rows.columns.len();
        }
        // Entries of the read before are overwritten.
        to.columns.resize(start, 0);
        to.costs.resize(start, T::zero());
        let (mut columns, mut costs) = (&mut to.columns[..], &mut to.costs[..]);
        let mut parts = Vec::with_capacity(self.0.len());
        for Task { rows, .. } in &self.0 {
            let (of_task, rest) = columns.split_at_mut(rows.columns.len());
            let (costs_of_task, rest_of_costs) = costs.split_at_mut(rows.columns.len());
            parts.push((rows, of_task, costs_of_task));
            (columns, costs) = (rest, rest_of_costs);
        }
        parts.into_par_iter().for_each(|(rows, columns, costs)| {
            columns.copy_from_slice(&rows.columns);
            costs.copy_from_slice(&rows.costs);
        });
    }

    /// Adds the entries of all tasks to the sums and the counts of the columns.
    fn add_columns(&self, sums: &mut [f64], counts: &mut [f64]) {
        let chunk = chunk_columns(sums.len());
        let chunks = sums.par_chunks_mut(chunk).zip(counts.par_chunks_mut(chunk)).enumerate();
        chunks.for_each(|(i, (sums, counts))| {
            for Task { rows, masses, .. } in &self.0 {
                each_entry_in(rows, i * chunk..i * chunk + sums.len(), |_, entry, column| {
                    sums[column] += masses[entry];
                    counts[column] += 1.0;
                });
            }
        });
    }
}

/// Computes the mean of `v` over the entries of each row, divided by `divisor`, and subtracts it
/// from the columns of the row.
pub(super) fn subtract_means<T: Real>(
    rows: &Rows<T>,
    (v, divisor): (&[f64], f64),
    means: &mut Vec<f64>,
    out: &mut [f64],
) {
    // A thread outside of the pool hands over the whole product at once.
    rayon::scope(|_| {
        let count = rows.ends.len();
        means.resize(count, 0.0);
        let chunk = count.div_ceil(BANDS_PER_THREAD * rayon::current_num_threads());
        means.par_chunks_mut(chunk).enumerate().for_each(|(i, means)| {
            for (row, to) in (i * chunk..).zip(means) {
                *to = mean(&rows.columns[rows.entries(row)], v, divisor);
            }
        });
        let chunk = chunk_columns(out.len());
        out.par_chunks_mut(chunk).enumerate().for_each(|(i, out)| {
            each_entry_in(rows, i * chunk..i * chunk + out.len(), |row, _, column| out[column] -= means[row]);
        });
    });
}

/// Computes for each column the smallest `C_ij + level_i`, see
/// [`entry_potentials`](crate::kernels::transport::scores::entry_potentials).
pub(super) fn entry_potentials<T: Real>(
    road: Road,
    cost: MatRef<'_, T>,
    support: &[usize],
    levels: &[T],
    out: &mut [T],
) {
    let rows = task_rows(cost.cols(), support.len());
    let of_tasks = support.par_chunks(rows).zip(levels.par_chunks(rows)).map(|(support, levels)| {
        let mut entries = vec![T::zero(); out.len()];
        T::entry_potentials(road, cost, support, levels, &mut entries);
        entries
    });
    let of_tasks: Vec<_> = of_tasks.collect();
    out.fill(T::infinity());
    for of_task in of_tasks {
        for (min, of_task) in out.iter_mut().zip(of_task) {
            *min = if of_task < *min { of_task } else { *min };
        }
    }
}

/// Returns the largest magnitude of a cost that is not infinite, or the error of the first row that
/// has one.
pub(super) fn largest_cost<T: Real>(cost: MatRef<'_, T>, a: &[T], b: &[T]) -> Result<f64, Error> {
    let rows = task_rows(cost.cols(), cost.rows());
    let of_tasks = a.par_chunks(rows).enumerate().map(|(i, a)| largest_of_rows(cost, i * rows, a, b));
    let of_tasks: Vec<_> = of_tasks.collect();
    of_tasks.into_iter().try_fold(0.0, |largest: f64, of_task| Ok(largest.max(of_task?)))
}

/// Returns the number of rows of a task.
fn task_rows(cols: usize, rows: usize) -> usize {
    let tasks = BANDS_PER_THREAD * rayon::current_num_threads();
    rows.div_ceil(tasks).max(min_band_elements() / MIN_TASK_PART / cols).max(1)
}

/// Returns the number of columns whose entries one thread adds up.
fn chunk_columns(cols: usize) -> usize {
    cols.div_ceil(rayon::current_num_threads()).max(MIN_COLUMNS)
}

/// Calls `f` with the row, the index, and the column, minus the first of `columns`, of each entry
/// in these columns, in the order of the rows.
fn each_entry_in<T: Real>(rows: &Rows<T>, columns: Range<usize>, mut f: impl FnMut(usize, usize, usize)) {
    let mut end = 0;
    for (row, &row_end) in rows.ends.iter().enumerate() {
        let start = core::mem::replace(&mut end, row_end);
        let of_row = &rows.columns[start..row_end];
        let before = of_row.partition_point(|&j| (j as usize) < columns.start);
        for (entry, &j) in (start + before..).zip(&of_row[before..]) {
            if j as usize >= columns.end {
                break;
            }
            f(row, entry, j as usize - columns.start);
        }
    }
}
