//! The connected components of the kept entries of a plan.

use super::kept_rows::KeptRows;
use crate::Real;
use crate::kernels::transport::Problem;
use alloc::vec;
use alloc::vec::Vec;

/// A forest of rows and columns with a tree for each component (union-find with path halving,
/// Tarjan & van Leeuwen 1984).
pub(super) struct Components {
    /// The parent of each row with mass, and then of each column; roots are their own.
    parents: Vec<usize>,
    /// The masses of the rows in each component minus those of its columns, at the root.
    excesses: Vec<f64>,
}

impl Components {
    /// Returns the memory for a problem.
    pub(super) fn new<T>(problem: &Problem<'_, T>) -> Self {
        let len = problem.a.len() + problem.b.len();
        Self { parents: vec![0; len], excesses: vec![0.0; len] }
    }

    /// Returns by how much the masses of the rows and of the columns of a component differ at most.
    /// Newton's method cannot move that mass: no kept entry connects it with the rest.
    pub(super) fn largest_excess<T: Real>(&mut self, kept: &KeptRows<T>, problem: &Problem<'_, T>) -> f64 {
        let rows = problem.a.len();
        for (i, parent) in self.parents.iter_mut().enumerate() {
            *parent = i;
        }
        for (i, (columns, _)) in kept.rows().enumerate() {
            let mut root = self.root(i);
            for &j in columns {
                let other = self.root(rows + j as usize);
                // The columns hang below the rows, and later rows below earlier ones.
                let (low, high) = (root.min(other), root.max(other));
                self.parents[high] = low;
                root = low;
            }
        }
        self.excesses.fill(0.0);
        for i in 0..self.parents.len() {
            let mass = if i < rows { problem.a[i] } else { -problem.b[i - rows] };
            let root = self.root(i);
            self.excesses[root] += mass;
        }
        self.excesses.iter().fold(0.0, |max, excess| excess.abs().max(max))
    }

    /// Finds the rows and the columns with mass in the component of the first row. Returns whether
    /// there are others.
    pub(super) fn first_block<T>(
        &mut self,
        problem: &Problem<'_, T>,
        (in_rows, in_columns): (&mut [bool], &mut [bool]),
    ) -> bool {
        let (rows, first, mut is_all) = (problem.a.len(), self.root(0), true);
        for (i, inside) in in_rows.iter_mut().enumerate() {
            *inside = self.root(i) == first;
            is_all &= *inside;
        }
        for ((j, inside), &b) in in_columns.iter_mut().enumerate().zip(problem.b) {
            *inside = b > 0.0 && self.root(rows + j) == first;
            is_all &= *inside || b == 0.0;
        }
        !is_all
    }

    /// Returns the root of a row or a column, and halves the path to it.
    fn root(&mut self, mut i: usize) -> usize {
        while self.parents[i] != i {
            self.parents[i] = self.parents[self.parents[i]];
            i = self.parents[i];
        }
        i
    }
}
