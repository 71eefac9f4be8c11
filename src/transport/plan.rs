//! The plan of a solution: the whole plan, its rows, or its large entries.

use super::solution::Transport;
use super::workspace::Memory;
use crate::check::Shape;
use crate::kernels::transport::tuning::{MIN_PLAN_ENTRIES, MIN_PLAN_ROWS};
use crate::real::Element;
use crate::{Error, MatMut, MatRef, Real};
use alloc::vec::Vec;
use core::fmt;
use core::iter::FusedIterator;

impl<T: Real> Transport<T> {
    /// Writes the plan `P_ij = exp((f_i + g_j - C_ij) / epsilon)`, n x m, in the units of the
    /// masses.
    ///
    /// - Accuracy: entries are evaluated from the solver's `f64` potentials. With `f32` costs,
    ///   entries that are not negligible have a relative error of about 1e-6. Entries below 1e-37
    ///   of the total mass (`f64`: 1e-307) lose digits or are 0.
    /// - Special values: entries are 0 for forbidden pairs and in rows and columns without mass.
    /// - Errors: [`Error::ShapeMismatch`] if `cost` or `out` does not have the shape of the
    ///   problem; `out` is then unchanged.
    /// - Cost and source: one read of the cost matrix, one exponential per entry, and O(n + m)
    ///   memory; Cuturi 2013.
    ///
    /// `cost` must be the matrix that was solved.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef, Sinkhorn};
    /// let cost = MatRef::new(&[0.0_f64, 1.0, 1.0, 0.0], 2, 2)?;
    /// let transport = Sinkhorn::new(0.05).solve(cost, &[0.5, 0.5], &[0.25, 0.75])?;
    /// let mut plan = [0.0; 4];
    /// transport.plan_into(cost, MatMut::new(&mut plan, 2, 2)?)?;
    /// assert!((plan[0] - 0.25).abs() < 1e-5 && (plan[1] - 0.25).abs() < 1e-5);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn plan_into(&self, cost: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> {
        self.check_shape("cost", &cost)?;
        self.check_shape("out", &out)?;
        let (n, m) = out.shape();
        self.road.each_band_of(MIN_PLAN_ROWS, (n, m), (0..n, out), |(rows, out)| {
            PlanRows::new(self, cost).write(rows.start, out);
        });
        Ok(())
    }

    /// Computes the rows of the plan in order, with the values of [`plan_into`](Self::plan_into),
    /// without storing the whole plan.
    ///
    /// - Accuracy: that of [`plan_into`](Self::plan_into).
    /// - Special values: those of [`plan_into`](Self::plan_into).
    /// - Errors: [`Error::ShapeMismatch`] if `cost` does not have the shape of the problem.
    /// - Cost and source: those of [`plan_into`](Self::plan_into) for all rows.
    ///
    /// `cost` must be the matrix that was solved.
    ///
    /// ```
    /// use mantex::{MatRef, Sinkhorn};
    /// let cost = [0.0_f64, 1.0, 2.0, 2.0, 1.0, 0.0];
    /// let cost = MatRef::new(&cost, 2, 3)?;
    /// let transport = Sinkhorn::new(0.05).solve(cost, &[0.5, 0.5], &[0.25, 0.5, 0.25])?;
    /// let mut rows = transport.plan_rows(cost)?;
    /// while let Some((i, row)) = rows.next_row() {
    ///     let heaviest = (0..3).max_by(|&x, &y| row[x].total_cmp(&row[y]));
    ///     println!("row {i} sends most of its mass to column {heaviest:?}");
    /// }
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn plan_rows<'a>(&'a self, cost: MatRef<'a, T>) -> Result<PlanRows<'a, T>, Error> {
        self.check_shape("cost", &cost)?;
        Ok(PlanRows::new(self, cost))
    }

    /// Computes the entries of the plan above `threshold`, in the units of the masses, row by row,
    /// without storing the whole plan. With a threshold of 0, these are all entries that are not 0.
    ///
    /// - Accuracy: that of [`plan_into`](Self::plan_into).
    /// - Special values: those of [`plan_into`](Self::plan_into).
    /// - Errors: [`Error::ShapeMismatch`] if `cost` does not have the shape of the problem;
    ///   [`Error::InvalidParameter`] if the threshold is negative or NaN.
    /// - Cost and source: those of [`plan_rows`](Self::plan_rows).
    ///
    /// `cost` must be the matrix that was solved.
    ///
    /// ```
    /// use mantex::transport::PlanEntry;
    /// use mantex::{MatRef, Sinkhorn};
    /// let cost = MatRef::new(&[0.0, 1.0, 1.0, 0.0], 2, 2)?;
    /// let transport = Sinkhorn::new(0.05).solve(cost, &[0.5, 0.5], &[0.5, 0.5])?;
    /// let entries: Vec<PlanEntry<f64>> = transport.plan_entries(cost, 1e-3)?.collect();
    /// assert_eq!((entries.len(), entries[1].row, entries[1].column), (2, 1, 1));
    /// assert!((entries[1].mass - 0.5).abs() < 1e-6);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn plan_entries<'a>(&'a self, cost: MatRef<'a, T>, threshold: T) -> Result<PlanEntries<'a, T>, Error> {
        let rows = self.plan_rows(cost)?;
        if threshold >= T::zero() {
            return Ok(PlanEntries { rows, threshold, column: 0 });
        }
        Err(Error::InvalidParameter { argument: "threshold", value: threshold.to_f64(), expected: "0 or positive" })
    }
}

/// The rows of a plan, one after the other, from [`Transport::plan_rows`].
#[must_use]
pub struct PlanRows<'a, T: Real> {
    transport: &'a Transport<T>,
    cost: MatRef<'a, T>,
    memory: Memory<T>,
    /// Consecutive rows of the plan, from row `start` on.
    block: Vec<T>,
    /// The first row of `block`.
    start: usize,
    /// The index of the next row.
    next: usize,
}

impl<'a, T: Real> PlanRows<'a, T> {
    /// Returns all rows of a plan; `cost` has its shape.
    fn new(transport: &'a Transport<T>, cost: MatRef<'a, T>) -> Self {
        let memory = Memory::new(transport.masses.support.len(), cost);
        Self { transport, cost, memory, block: Vec::new(), start: 0, next: 0 }
    }

    /// Returns the next row and its index. The next call overwrites the row's buffer, so `PlanRows`
    /// cannot be an [`Iterator`].
    pub fn next_row(&mut self) -> Option<(usize, &[T])> {
        let (rows, cols) = (self.cost.rows(), self.cost.cols());
        if self.next == rows {
            return None;
        }
        if self.next == self.start + self.block.len() / cols {
            let count = (MIN_PLAN_ENTRIES / cols).max(MIN_PLAN_ROWS).min(rows - self.next);
            let mut block = core::mem::take(&mut self.block);
            block.resize(count * cols, T::zero());
            self.write(self.next, MatMut::new(&mut block, count, cols).ok()?);
            (self.block, self.start) = (block, self.next);
        }
        self.next += 1;
        Some((self.next - 1, self.last_row()))
    }

    /// Returns the last row that was returned; an empty slice before the first.
    fn last_row(&self) -> &[T] {
        match self.next.checked_sub(self.start + 1) {
            Some(at) => &self.block[at * self.cost.cols()..][..self.cost.cols()],
            None => &[],
        }
    }

    /// Fills `out` with consecutive rows of the plan, from row `first` on.
    pub(super) fn write(&mut self, first: usize, out: MatMut<'_, T>) {
        let Transport { road, masses, potentials, eta, .. } = self.transport;
        let problem = masses.problem(self.cost, *eta);
        T::plan_rows(*road, &problem, potentials.as_ref(), &mut self.memory.workspace(), first, out);
    }
}

impl<T: Real> fmt::Debug for PlanRows<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanRows").field("next", &self.next).field("rows", &self.cost.rows()).finish_non_exhaustive()
    }
}

/// An entry of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PlanEntry<T> {
    /// The row: an index of `a`.
    pub row: usize,
    /// The column: an index of `b`.
    pub column: usize,
    /// The mass that moves from the row to the column.
    pub mass: T,
}

/// The entries of a plan above a threshold, from [`Transport::plan_entries`].
#[derive(Debug)]
#[must_use]
pub struct PlanEntries<'a, T: Real> {
    rows: PlanRows<'a, T>,
    threshold: T,
    /// The next column of the current row.
    column: usize,
}

impl<T: Real> Iterator for PlanEntries<'_, T> {
    type Item = PlanEntry<T>;

    fn next(&mut self) -> Option<PlanEntry<T>> {
        loop {
            let rest = &self.rows.last_row()[self.column..];
            if let Some(skipped) = rest.iter().position(|&mass| mass > self.threshold) {
                let (column, mass) = (self.column + skipped, rest[skipped]);
                self.column = column + 1;
                return Some(PlanEntry { row: self.rows.next - 1, column, mass });
            }
            self.column += rest.len();
            self.rows.next_row()?;
            self.column = 0;
        }
    }
}

impl<T: Real> FusedIterator for PlanEntries<'_, T> {}
