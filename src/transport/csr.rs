//! The large entries of a plan as compressed sparse rows.

use super::solution::Transport;
use super::workspace::Memory;
use crate::kernels::transport::potentials::SplitColumns;
use crate::kernels::transport::sparse_rows::{EntryUnit, SparseRows};
use crate::kernels::transport::tuning::{BLOCK_ROWS, MIN_CSR_ENTRIES, MIN_PLAN_ROWS};
use crate::kernels::transport::{Problem, Workspace, padded};
use crate::real::Element;
use crate::{Error, MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;

/// A plan as compressed sparse rows (CSR), from [`Transport::plan_csr`]. The entries of row i have
/// the indices from `row_pointers[i]` to `row_pointers[i + 1]` in `columns` and `masses`. The three
/// arrays are those of other libraries: `indptr`, `indices` and `data` of SciPy's `csr_matrix`, for
/// one.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(
        try_from = "super::serde::CsrPlanData<T>",
        into = "super::serde::CsrPlanData<T>",
        bound(serialize = "T: Real + serde::Serialize", deserialize = "T: Real + serde::Deserialize<'de>")
    )
)]
pub struct CsrPlan<T> {
    /// The number of rows, n.
    pub rows: usize,
    /// The number of columns, m.
    pub cols: usize,
    /// The n + 1 bounds of the rows: the first is 0, and the last is the number of entries.
    pub row_pointers: Vec<usize>,
    /// The columns of the entries: indices of `b`, increasing within each row.
    pub columns: Vec<u32>,
    /// The entries, in the units of the masses: the mass that moves from the row to the column.
    pub masses: Vec<T>,
}

impl<T: Real> Transport<T> {
    /// Computes the entries of the plan above `threshold`, in the units of the masses, as
    /// compressed sparse rows, without storing the whole plan. With a threshold of 0, these are all
    /// entries that are not 0.
    ///
    /// - Accuracy: that of [`plan_into`](Self::plan_into), with the same bits.
    /// - Special values: those of [`plan_into`](Self::plan_into).
    /// - Errors: [`Error::ShapeMismatch`] if `cost` does not have the shape of the problem;
    ///   [`Error::InvalidParameter`] if the threshold is negative or NaN, or if the matrix has more
    ///   than 2^32 columns.
    /// - Cost and source: one read of the cost matrix, one exponential per entry, and memory for
    ///   the entries and O(n + m) numbers; Cuturi 2013. Runs on one thread.
    ///
    /// `cost` must be the matrix that was solved.
    ///
    /// ```
    /// use mantex::{MatRef, Sinkhorn};
    /// let cost = MatRef::new(&[0.0_f64, 1.0, 3.0, 1.0, 0.0, 1.0], 2, 3)?;
    /// let transport = Sinkhorn::new(0.05).solve(cost, &[0.5, 0.5], &[0.25, 0.5, 0.25])?;
    /// let plan = transport.plan_csr(cost, 1e-3)?;
    /// assert_eq!((plan.rows, plan.cols), (2, 3));
    /// assert_eq!(plan.row_pointers, [0, 2, 4]);
    /// assert_eq!(plan.columns, [0, 1, 1, 2]);
    /// assert!((plan.masses[0] - 0.25).abs() < 1e-5);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn plan_csr(&self, cost: MatRef<'_, T>, threshold: T) -> Result<CsrPlan<T>, Error> {
        self.check_shape("cost", &cost)?;
        let invalid = |argument, value, expected| Err(Error::InvalidParameter { argument, value, expected });
        if threshold < T::zero() || threshold.to_f64().is_nan() {
            return invalid("threshold", threshold.to_f64(), "0 or positive");
        }
        let (rows, cols) = (cost.rows(), cost.cols());
        if u32::try_from(cols - 1).is_err() {
            return invalid("cost.cols()", cols as f64, "at most 2^32");
        }
        let problem = self.masses.problem(cost, self.eta);
        let mut plan = CsrPlan { rows, cols, row_pointers: vec![0], columns: Vec::new(), masses: Vec::new() };
        self.append_rows(&problem, threshold, &mut plan);
        plan.row_pointers.resize(rows + 1, plan.masses.len());
        Ok(plan)
    }

    /// Appends all rows up to the last one with mass to an empty plan.
    fn append_rows(&self, problem: &Problem<'_, T>, threshold: T, plan: &mut CsrPlan<T>) {
        let (support, padded_cols) = (problem.support, padded(plan.cols));
        let block_rows = (MIN_CSR_ENTRIES / padded_cols).max(MIN_PLAN_ROWS).min(support.len());
        let mut memory = Memory::new(block_rows, problem.cost);
        let column_thresholds = vec![T::infinity(); padded_cols];
        let mut row_ends = vec![0; block_rows];
        let Workspace { column_scratch, g_low, g_factors, mut band, .. } = memory.workspace();
        let potentials = self.potentials.as_ref();
        T::split_columns(self.road, potentials, [column_scratch, g_low, g_factors]);
        let split = SplitColumns { high: column_scratch, low: g_low, factors: g_factors };
        // A quarter of the entries, in one block of many, is already too much for compressed rows.
        let share = if block_rows < support.len() { block_rows.div_ceil(4) } else { block_rows };
        let room = (share + BLOCK_ROWS) * padded_cols;
        let (mut columns, mut values) = (vec![0; room], vec![T::zero(); room]);
        for first in (0..support.len()).step_by(block_rows) {
            let block = first..support.len().min(first + block_rows);
            let (problem, potentials) = (problem.rows(block.clone()), potentials.rows(block.clone()));
            loop {
                let mut to = SparseRows {
                    unit: EntryUnit::Mass,
                    threshold,
                    column_thresholds: &column_thresholds,
                    row_ends: &mut row_ends,
                    columns: &mut columns,
                    values: &mut values,
                };
                if T::sparse_rows(self.road, &problem, potentials, split, &mut band, &mut to) {
                    break;
                }
                columns.resize((block_rows + BLOCK_ROWS) * padded_cols, 0);
                values.resize(columns.len(), T::zero());
            }
            for (&row, &end) in support[block.clone()].iter().zip(&row_ends) {
                // Rows without mass are empty.
                plan.row_pointers.resize(row + 1, *plan.row_pointers.last().unwrap_or(&0));
                plan.row_pointers.push(plan.columns.len() + end);
            }
            let kept = row_ends[block.len() - 1];
            plan.columns.extend_from_slice(&columns[..kept]);
            plan.masses.extend_from_slice(&values[..kept]);
        }
    }
}
