//! The best rows of a sparse plan for given potentials of the columns, and the read of the costs
//! that finds them.

use super::blocks::{BlockReader, Read};
use super::level::Level;
#[cfg(feature = "rayon")]
use super::threads::Tasks;
use crate::dispatch::Road;
use crate::kernels::transport::{Exchange as _, padded};
use crate::real::Element;
use crate::transport::masses::Masses;
use crate::transport::ranks::Ranks;
use crate::{MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// A problem with sparse plans.
pub(super) struct SparseProblem<'a, T> {
    /// How kernels run.
    pub(super) road: Road,
    /// The cost matrix.
    pub(super) cost: MatRef<'a, T>,
    /// The masses of both marginals.
    pub(super) masses: &'a Masses,
    /// The regularization, for masses divided by their total.
    pub(super) gamma: f64,
    /// The largest number of entries of a row.
    pub(super) top: usize,
}

impl<T: Real> SparseProblem<'_, T> {
    /// Returns what the heights of a row sum to: gamma times its mass.
    pub(super) fn budget(&self, row: usize) -> f64 {
        (self.gamma * self.masses.a[row]).max(f64::MIN_POSITIVE)
    }
}

/// Rows with mass, one after the other.
pub(super) struct Rows<T> {
    /// The levels of the rows, which are minus their potentials.
    pub(super) levels: Vec<Level>,
    /// The ends of the rows in `columns` and `costs`.
    pub(super) ends: Vec<usize>,
    /// The columns of the entries that are not 0.
    pub(super) columns: Vec<u32>,
    /// Their costs.
    pub(super) costs: Vec<T>,
    /// For each block of rows: the sum of the squares of the entries, and the L1 error of the row
    /// sums.
    pub(super) block_sums: Vec<[f64; 2]>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { levels: Vec::new(), ends: Vec::new(), columns: Vec::new(), costs: Vec::new(), block_sums: Vec::new() }
    }
}

impl<T: Real> Rows<T> {
    /// Removes all rows.
    pub(super) fn clear(&mut self) {
        self.levels.clear();
        self.ends.clear();
        self.columns.clear();
        self.costs.clear();
        self.block_sums.clear();
    }

    /// Returns the columns of the entries of each row, and their costs.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u32], &[T])> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let row = core::mem::replace(&mut start, end)..end;
            (&self.columns[row.clone()], &self.costs[row])
        })
    }

    /// Returns the entries of a row: their indices in `columns` and `costs`.
    pub(super) fn entries(&self, row: usize) -> Range<usize> {
        if row == 0 { 0..self.ends[0] } else { self.ends[row - 1]..self.ends[row] }
    }
}

/// The potentials of the columns, and the best rows for them.
pub(super) struct ActiveRows<T> {
    /// The potentials of the columns; 0 without mass.
    pub(super) g: Vec<f64>,
    /// The rows.
    pub(super) rows: Rows<T>,
    /// The sums of the columns of the plan.
    pub(super) column_sums: Vec<f64>,
    /// The numbers of entries of the columns.
    pub(super) column_counts: Vec<f64>,
    /// The sum of the squares of the plan.
    pub(super) square: f64,
    /// The L1 error of both marginals.
    pub(super) error: f64,
}

impl<T: Real> ActiveRows<T> {
    /// Returns no rows, for potentials of the columns.
    pub(super) fn new(g: Vec<f64>) -> Self {
        let cols = g.len();
        Self {
            g,
            rows: Rows::default(),
            column_sums: vec![0.0; cols],
            column_counts: vec![0.0; cols],
            square: 0.0,
            error: f64::INFINITY,
        }
    }

    /// Adds the sums of all ranks: those of the columns, the square, and `row_error`, which it
    /// returns.
    fn reduce(&mut self, mut row_error: f64, ranks: &mut Ranks<'_>) -> f64 {
        if !ranks.is_one() {
            let mut numbers = self.column_counts.clone();
            numbers.extend([self.square, row_error]);
            ranks.reduce(&mut self.column_sums, &mut numbers, &mut []);
            let (counts, rest) = numbers.split_at(self.column_counts.len());
            self.column_counts.copy_from_slice(counts);
            (self.square, row_error) = (rest[0], rest[1]);
        }
        row_error
    }
}

/// The memory of a read of the costs.
pub(super) struct RowReader<T> {
    /// The potentials of the columns in the element type.
    g: Vec<T>,
    blocks: BlockReader<T>,
    #[cfg(feature = "rayon")]
    tasks: Tasks<T>,
}

impl<T: Real> RowReader<T> {
    /// Returns the memory for problems with this cost matrix.
    pub(super) fn new(cost: MatRef<'_, T>) -> Self {
        Self {
            g: vec![-T::infinity(); padded(cost.cols())],
            blocks: BlockReader::new(cost),
            #[cfg(feature = "rayon")]
            tasks: Tasks::default(),
        }
    }

    /// Finds the best rows for the potentials in `to`. Rows of the same problem with other
    /// potentials, another gamma or another `top` give the bounds of the levels. One read of the
    /// cost matrix; two without such rows, and then `top` must be the number of columns. With
    /// several ranks, the rows are those of this one, and the sums are those of all.
    pub(super) fn evaluate(
        &mut self,
        problem: &SparseProblem<'_, T>,
        from: Option<&ActiveRows<T>>,
        to: &mut ActiveRows<T>,
        ranks: &mut Ranks<'_>,
    ) {
        let mut max_abs: f64 = 0.0;
        for ((narrow, &g), &b) in self.g.iter_mut().zip(&to.g).zip(&problem.masses.b) {
            *narrow = if b > 0.0 { T::rounded(g) } else { -T::infinity() };
            max_abs = g.abs().max(max_abs);
        }
        let from = from.map(|from| &from.rows);
        let read = Read { problem, from, g: &to.g, narrow_g: &self.g, max_abs };
        to.column_sums.fill(0.0);
        to.column_counts.fill(0.0);
        #[cfg(feature = "rayon")]
        if problem.road.shares((problem.masses.support.len(), problem.cost.cols())) {
            self.tasks.read(&read, &mut to.rows, (&mut to.column_sums, &mut to.column_counts));
        } else {
            read_alone(&mut self.blocks, &read, &mut to.rows, (&mut to.column_sums, &mut to.column_counts));
        }
        #[cfg(not(feature = "rayon"))]
        read_alone(&mut self.blocks, &read, &mut to.rows, (&mut to.column_sums, &mut to.column_counts));
        let [mut square, mut row_error] = [0.0; 2];
        for [of_block, error] in &to.rows.block_sums {
            square += of_block;
            row_error += error;
        }
        to.square = square;
        let row_error = to.reduce(row_error, ranks);
        let errors = to.column_sums.iter().zip(&problem.masses.b).map(|(c, b)| (c - b).abs());
        to.error = row_error + errors.sum::<f64>();
    }
}

/// Reads all rows on the calling thread. Adds their entries to the sums and the counts of the
/// columns.
fn read_alone<T: Real>(
    blocks: &mut BlockReader<T>,
    read: &Read<'_, T>,
    to: &mut Rows<T>,
    (column_sums, column_counts): (&mut [f64], &mut [f64]),
) {
    to.clear();
    blocks.read(read, 0..read.problem.masses.support.len(), to, |j, mass| {
        column_sums[j as usize] += mass;
        column_counts[j as usize] += 1.0;
    });
}
