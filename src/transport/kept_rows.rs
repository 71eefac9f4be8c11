//! The large entries of the rows of a plan, from which Newton's method makes its model.

use super::row_pass::sparse_rows;
use super::units::Potentials;
use super::workspace::Memory;
use crate::Real;
use crate::aligned::AlignedVec;
use crate::dispatch::Road;
use crate::kernels::transport::potentials::PotentialsRef;
use crate::kernels::transport::sparse_rows::{EntryUnit, SparseRows};
use crate::kernels::transport::tuning::{BLOCK_ROWS, NEWTON_SAMPLED_BLOCKS};
use crate::kernels::transport::{Problem, padded};
use crate::real::Element;
use alloc::vec;
use alloc::vec::Vec;

/// The kept entries of the rows with mass, as shares of the masses of their rows: `P_ij / a_i`.
pub(super) struct KeptRows<T> {
    /// The ends of the rows in `columns` and `values`.
    row_ends: Vec<usize>,
    columns: AlignedVec<u32>,
    values: AlignedVec<T>,
    /// The sums of the columns of the whole plan, whose rows have their masses.
    pub(super) column_sums: Vec<f64>,
    /// The L1 error of the columns.
    pub(super) error: f64,
    /// Whether there was room for all large entries.
    pub(super) is_whole: bool,
}

impl<T: Real> KeptRows<T> {
    /// Returns the memory for at most `limit` entries, and for one more block of rows. Returns
    /// `None` if there is not enough.
    pub(super) fn new(problem: &Problem<'_, T>, limit: usize) -> Option<Self> {
        let (rows, cols) = (problem.support.len(), problem.cost.cols());
        u32::try_from(cols).ok()?;
        let len = limit + BLOCK_ROWS * padded(cols);
        Some(Self {
            row_ends: vec![0; rows],
            columns: AlignedVec::try_zeros(len)?,
            values: AlignedVec::try_zeros(len)?,
            column_sums: vec![0.0; cols],
            error: f64::INFINITY,
            is_whole: false,
        })
    }

    /// Meets the row marginals by the potentials of the rows, and keeps the entries that are not
    /// below `delta min(a_i / m, b_j / n)`: a row then loses at most `delta` of its mass, and so
    /// does a column that should have b. One read of the cost matrix.
    pub(super) fn evaluate(
        &mut self,
        road: Road,
        problem: &Problem<'_, T>,
        potentials: &mut Potentials,
        memory: &mut Memory<T>,
        (delta, column_thresholds): (f64, &mut [T]),
    ) {
        set_thresholds(column_thresholds, problem, delta);
        self.is_whole = self.compress(road, problem, potentials.as_ref(), memory, (delta, column_thresholds));
        let band = memory.workspace().band;
        potentials.normalize_rows(band.shifts, band.row_scratch, problem.b);
        self.column_sums.copy_from_slice(band.column_sums);
        self.error = self.column_sums.iter().zip(problem.b).map(|(c, b)| (c - b).abs()).sum();
    }

    /// Compresses the rows of a problem, or of a part of it. Returns whether there was room.
    fn compress(
        &mut self,
        road: Road,
        problem: &Problem<'_, T>,
        potentials: PotentialsRef<'_>,
        memory: &mut Memory<T>,
        (delta, column_thresholds): (f64, &[T]),
    ) -> bool {
        let mut to = SparseRows {
            unit: EntryUnit::RowShare,
            threshold: T::rounded(delta / problem.cost.cols() as f64),
            column_thresholds,
            row_ends: &mut self.row_ends,
            columns: &mut self.columns,
            values: &mut self.values,
        };
        sparse_rows(road, problem, potentials, memory, &mut to)
    }

    /// Returns the rows: the columns of their entries, and the entries.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&[u32], &[T])> {
        let mut start = 0;
        self.row_ends.iter().map(move |&end| {
            let row = core::mem::replace(&mut start, end)..end;
            (&self.columns[row.clone()], &self.values[row])
        })
    }
}

/// Sets the thresholds of the columns for the share `delta`.
fn set_thresholds<T: Real>(thresholds: &mut [T], problem: &Problem<'_, T>, delta: f64) {
    for (threshold, &b) in thresholds.iter_mut().zip(problem.b) {
        *threshold = T::rounded(delta * b / problem.support.len() as f64);
    }
}

/// The memory of a look at some rows, which tells what share of the entries would be kept.
pub(super) struct SampledRows<T> {
    rows: KeptRows<T>,
    column_thresholds: Vec<T>,
}

impl<T: Real> SampledRows<T> {
    /// Returns the memory for a problem. Returns `None` if there is not enough.
    pub(super) fn new(problem: &Problem<'_, T>) -> Option<Self> {
        let cols = problem.cost.cols();
        let rows = KeptRows::new(&problem.rows(0..BLOCK_ROWS.min(problem.support.len())), BLOCK_ROWS * cols)?;
        Some(Self { rows, column_thresholds: vec![T::zero(); padded(cols)] })
    }

    /// Returns the share of the entries that are kept in blocks of rows, of which there are enough
    /// for an estimate. They are at most a 16th of all rows, if there are as many as that.
    pub(super) fn share(
        &mut self,
        road: Road,
        problem: &Problem<'_, T>,
        potentials: PotentialsRef<'_>,
        memory: &mut Memory<T>,
        delta: f64,
    ) -> f64 {
        let (all, mut rows, mut kept) = (problem.support.len(), 0, 0);
        set_thresholds(&mut self.column_thresholds, problem, delta);
        let blocks = (all / (16 * BLOCK_ROWS)).clamp(1, NEWTON_SAMPLED_BLOCKS);
        for first in (0..blocks).map(|block| all * block / blocks) {
            let block = first..all.min(first + BLOCK_ROWS);
            let part = problem.rows(block.clone());
            self.rows.compress(road, &part, potentials.rows(block.clone()), memory, (delta, &self.column_thresholds));
            kept += self.rows.row_ends[block.len() - 1];
            rows += block.len();
        }
        kept as f64 / (rows * problem.cost.cols()) as f64
    }
}
