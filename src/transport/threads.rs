//! Passes over the rows on several threads, with the bits of one.
//!
//! The column sums of a pass are those of its bands of [`FLUSH_ROWS`] rows, added in their order.
//! Threads sum bands at the same time, a wave of them after the other, and then add the sums in
//! that order.

use super::workspace::zeros;
use crate::aligned::AlignedVec;
use crate::bands::{BANDS_PER_THREAD, min_band_elements};
use crate::dispatch::Road;
use crate::kernels::transport::tuning::FLUSH_ROWS;
use crate::kernels::transport::{Band, Problem, gibbs_block_len, padded};
use crate::real::Element;
use crate::{MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use rayon::prelude::*;

/// The largest number of elements of a task, in multiples of the smallest one. It bounds the memory
/// for column sums, which is 8 bytes for [`FLUSH_ROWS`] elements.
const MAX_TASK: usize = 16;

/// A task has at least [`min_band_elements`] divided by this number. The threads are awake, and one
/// without a task would fall asleep while another computes a long one. Together with
/// [`MIN_ADDITIONS`] it takes solves of 750 to 2000 rows to 0.97 of the time, on average of both
/// domains (two threads on Zen 4, both ways in turn, 2026-11-27).
pub(super) const MIN_TASK_PART: usize = 8;

/// The least number of columns whose sums one thread adds up.
const MIN_COLUMNS: usize = 512;

/// The least number of additions of column sums that one thread makes.
const MIN_ADDITIONS: usize = 1 << 14;

/// The memory of the tasks that threads take.
pub(super) struct Tasks<T>(Vec<Task<T>>);

/// The memory of a task: that of a [`Band`].
struct Task<T> {
    gibbs: AlignedVec<T>,
    partial_sums: AlignedVec<T>,
    /// The column sums of every band.
    column_sums: Vec<f64>,
}

impl<T> Default for Tasks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Real> Tasks<T> {
    /// Sums the rows by `each`, see [`sum_rows`](super::row_pass). Returns whether `each` always
    /// returned true.
    pub(super) fn sum_rows(
        &mut self,
        problem: &Problem<'_, T>,
        band: Band<'_, T>,
        each: &(impl Fn(Range<usize>, &mut Band<'_, T>) -> bool + Sync),
    ) -> bool {
        let (rows, cols) = (problem.support.len(), problem.cost.cols());
        // A thread outside of the pool hands over the whole pass at once.
        rayon::scope(|_| {
            let bands = rows.div_ceil(FLUSH_ROWS);
            let tasks = BANDS_PER_THREAD * rayon::current_num_threads();
            let fewest = (min_band_elements() / MIN_TASK_PART / (FLUSH_ROWS * cols)).max(1);
            let most = (MAX_TASK * min_band_elements() / (FLUSH_ROWS * cols)).max(1);
            let task_bands = bands.div_ceil(tasks).clamp(fewest, most);
            self.reserve(tasks.min(bands.div_ceil(task_bands)), task_bands * cols, problem.cost.row(0));
            band.column_sums.fill(0.0);
            let wave_rows = self.0.len() * task_bands * FLUSH_ROWS;
            (0..rows).step_by(wave_rows).all(|first| {
                let wave = first..rows.min(first + wave_rows);
                let (shifts, row_scratch) = (&mut band.shifts[wave.clone()], &mut band.row_scratch[wave.clone()]);
                let is_good = self.sum_wave(task_bands * FLUSH_ROWS, first, (shifts, row_scratch), each);
                self.add_sums(wave.len().div_ceil(FLUSH_ROWS), band.column_sums);
                is_good
            })
        })
    }

    /// Sums the rows of a wave, from row `first` on, in tasks of `task_rows` rows.
    fn sum_wave(
        &mut self,
        task_rows: usize,
        first: usize,
        (shifts, row_scratch): (&mut [f64], &mut [f64]),
        each: &(impl Fn(Range<usize>, &mut Band<'_, T>) -> bool + Sync),
    ) -> bool {
        let of_rows = shifts.par_chunks_mut(task_rows).zip(row_scratch.par_chunks_mut(task_rows));
        let tasks = self.0.par_iter_mut().zip(of_rows).enumerate();
        let results = tasks.map(|(i, (task, (shifts, row_scratch)))| {
            let Task { gibbs, partial_sums, column_sums } = task;
            let start = first + i * task_rows;
            let rows = start..start + shifts.len();
            each(rows, &mut Band { gibbs, partial_sums, column_sums, shifts, row_scratch })
        });
        results.reduce(|| true, |a, b| a & b)
    }

    /// Adds the column sums of the first `bands` bands of all tasks to `column_sums`.
    fn add_sums(&self, bands: usize, column_sums: &mut [f64]) {
        let cols = column_sums.len();
        let columns = MIN_COLUMNS.max(MIN_ADDITIONS / bands.max(1));
        column_sums.par_chunks_mut(columns).enumerate().for_each(|(chunk, sums)| {
            let of_bands = self.0.iter().flat_map(|task| task.column_sums.chunks_exact(cols));
            for added in of_bands.take(bands) {
                for (sum, &added) in sums.iter_mut().zip(&added[chunk * columns..]) {
                    *sum += added;
                }
            }
        });
    }

    /// Allocates the memory of `tasks` tasks with `sums` column sums each, if it is not yet there.
    /// `row` is a row of the costs.
    fn reserve(&mut self, tasks: usize, sums: usize, row: &[T]) {
        let cols = row.len();
        self.0.retain(|task| task.column_sums.len() == sums);
        self.0.resize_with(tasks, || Task {
            gibbs: AlignedVec::try_zeros_away_from(row, gibbs_block_len(cols)).expect("memory for a few rows"),
            partial_sums: zeros(padded(cols)),
            column_sums: vec![0.0; sums],
        });
    }
}

/// The checks and the minima of a cost matrix, see
/// [`cost_minima`](crate::kernels::transport::costs::cost_minima).
pub(super) fn cost_minima<T: Real>(
    road: Road,
    cost: MatRef<'_, T>,
    (a, penalty): (&[T], &[T]),
    row_minima: &mut [T],
    column_minima: &mut [T],
) -> Option<usize> {
    let tasks = BANDS_PER_THREAD * rayon::current_num_threads();
    let task_rows = cost.rows().div_ceil(tasks).max(min_band_elements() / cost.cols()).max(1);
    let of_rows = a.par_chunks(task_rows).zip(row_minima.par_chunks_mut(task_rows)).enumerate();
    let of_tasks = of_rows.map(|(i, (a, row_minima))| {
        let first = i * task_rows;
        let (cost, _) = cost.split_at_row(first).1.split_at_row(a.len());
        let mut column_minima = vec![T::zero(); penalty.len()];
        let invalid = T::cost_minima(road, cost, a, penalty, row_minima, &mut column_minima);
        (invalid.map(|row| first + row), column_minima)
    });
    let of_tasks: Vec<_> = of_tasks.collect();
    column_minima.fill(T::infinity());
    for (_, of_task) in &of_tasks {
        for (min, &of_task) in column_minima.iter_mut().zip(of_task) {
            *min = if of_task < *min { of_task } else { *min };
        }
    }
    of_tasks.iter().find_map(|(invalid, _)| *invalid)
}
