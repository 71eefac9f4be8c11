//! The large entries of the rows of a plan, from which Newton's method makes its model.

use super::row_pass::sparse_rows;
use super::units::Potentials;
use super::workspace::Memory;
use crate::Real;
use crate::dispatch::Road;
use crate::kernels::transport::sparse_rows::{EntryUnit, SparseRows};
use crate::kernels::transport::{Problem, padded};
use crate::real::Element;
use alloc::vec;
use alloc::vec::Vec;

/// The kept entries of the rows with mass, as shares of the masses of their rows: `P_ij / a_i`.
pub(super) struct KeptRows<T> {
    /// The ends of the rows in `columns` and `values`.
    row_ends: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<T>,
    /// The sums of the columns of the whole plan, whose rows have their masses.
    pub(super) column_sums: Vec<f64>,
    /// The L1 error of the columns.
    pub(super) error: f64,
    /// Whether there was room for all large entries.
    pub(super) is_whole: bool,
}

impl<T: Real> KeptRows<T> {
    /// Returns the memory for at most `limit` entries, and for one more row.
    pub(super) fn new(problem: &Problem<'_, T>, limit: usize) -> Self {
        let (rows, cols) = (problem.support.len(), problem.cost.cols());
        let len = limit + padded(cols);
        Self {
            row_ends: vec![0; rows],
            columns: vec![0; len],
            values: vec![T::zero(); len],
            column_sums: vec![0.0; cols],
            error: f64::INFINITY,
            is_whole: false,
        }
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
        let (rows, cols) = (problem.support.len() as f64, problem.cost.cols() as f64);
        for (threshold, &b) in column_thresholds.iter_mut().zip(problem.b) {
            *threshold = T::rounded(delta * b / rows);
        }
        let mut to = SparseRows {
            unit: EntryUnit::RowShare,
            threshold: T::rounded(delta / cols),
            column_thresholds,
            row_ends: &mut self.row_ends,
            columns: &mut self.columns,
            values: &mut self.values,
        };
        self.is_whole = sparse_rows(road, problem, potentials.as_ref(), memory, &mut to);
        let band = memory.workspace().band;
        potentials.normalize_rows(band.shifts, band.row_scratch, problem.b);
        self.column_sums.copy_from_slice(band.column_sums);
        self.error = self.column_sums.iter().zip(problem.b).map(|(c, b)| (c - b).abs()).sum();
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
