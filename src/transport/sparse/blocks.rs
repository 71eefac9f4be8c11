//! The read of some rows of the costs, in blocks: lower bounds of the levels of the rows, the
//! scores above them, and the levels and entries.

use super::level::Level;
use super::rows::{Rows, SparseProblem};
use crate::kernels::transport::scores::{ScoreLists, ScoreRows, lists_len};
use crate::kernels::transport::tuning::SPARSE_BLOCK_ENTRIES;
use crate::real::Element;
use crate::{MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// The constants of a read of the costs.
#[derive(Clone, Copy)]
pub(super) struct Read<'a, T> {
    /// The problem.
    pub(super) problem: &'a SparseProblem<'a, T>,
    /// The best rows for other potentials, another gamma or another limit of entries, if any.
    pub(super) from: Option<&'a Rows<T>>,
    /// The potentials of the columns.
    pub(super) g: &'a [f64],
    /// The potentials in the element type; -inf without mass, and in the padding.
    pub(super) narrow_g: &'a [T],
    /// The largest magnitude of a potential.
    pub(super) max_abs: f64,
}

/// The memory of a read, for one thread.
pub(super) struct BlockReader<T> {
    /// The bounds of a block of rows.
    bounds: Vec<T>,
    /// The largest scores of a block of rows.
    maxima: Vec<T>,
    /// The lists of a block of rows.
    ends: Vec<usize>,
    columns: Vec<u32>,
    costs: Vec<T>,
    /// The scores of a row, twice: one copy changes its order.
    scores: Vec<f64>,
    unordered: Vec<f64>,
}

/// Returns the number of rows of a block.
pub(super) fn block_rows<T: Real>(cost: MatRef<'_, T>) -> usize {
    (SPARSE_BLOCK_ENTRIES / cost.cols()).clamp(1, cost.rows())
}

impl<T: Real> BlockReader<T> {
    /// Returns the memory for problems with this cost matrix.
    pub(super) fn new(cost: MatRef<'_, T>) -> Self {
        let rows = block_rows(cost);
        let len = lists_len(rows, cost.cols());
        Self {
            bounds: vec![T::zero(); rows],
            maxima: vec![T::zero(); rows],
            ends: vec![0; rows],
            columns: vec![0; len],
            costs: vec![T::zero(); len],
            scores: Vec::new(),
            unordered: Vec::new(),
        }
    }

    /// Finds the best rows among those with mass, and appends them. Passes the columns of their
    /// entries and the masses to `each`, in the order of the rows.
    pub(super) fn read(
        &mut self,
        read: &Read<'_, T>,
        rows: Range<usize>,
        to: &mut Rows<T>,
        mut each: impl FnMut(u32, f64),
    ) {
        let problem = read.problem;
        let (support, step) = (&problem.masses.support[..], self.bounds.len());
        for first in rows.clone().step_by(step) {
            let block = first..rows.end.min(first + step);
            self.bound_levels(read, block.clone());
            let of_rows = ScoreRows { cost: problem.cost, support: &support[block.clone()], g: read.narrow_g };
            let (ends, columns, costs) = (&mut self.ends[..block.len()], &mut self.columns[..], &mut self.costs[..]);
            T::list_scores(problem.road, &of_rows, &self.bounds, &mut ScoreLists { ends, columns, costs });
            let (mut start, mut sums) = (0, [0.0; 2]);
            for (at, row) in block.enumerate() {
                let list = core::mem::replace(&mut start, self.ends[at])..self.ends[at];
                let [square, error] = self.append_row(read, row, list, to, &mut each);
                sums = [sums[0] + square, sums[1] + error];
            }
            to.block_sums.push(sums);
        }
    }

    /// Computes lower bounds of the levels of rows. The level of some of the scores of a row is not
    /// above that of all.
    fn bound_levels(&mut self, read: &Read<'_, T>, rows: Range<usize>) {
        let problem = read.problem;
        if read.from.is_none() {
            let support = &problem.masses.support[rows.clone()];
            let of_rows = ScoreRows { cost: problem.cost, support, g: read.narrow_g };
            T::largest_scores(problem.road, &of_rows, &mut self.maxima);
        }
        for (at, row) in rows.enumerate() {
            let bound = match read.from {
                Some(from) => {
                    let entries = from.entries(row);
                    let pairs = from.columns[entries.clone()].iter().zip(&from.costs[entries]);
                    self.unordered.clear();
                    self.unordered.extend(pairs.map(|(&j, cost)| read.g[j as usize] - cost.to_f64()));
                    lower_bound(&mut self.unordered, problem.top, problem.budget(row))
                }
                None => self.maxima[at].to_f64() - problem.budget(row),
            };
            // The potential, the score, the bound and the maximum are rounded once each. Listed
            // scores are above the bound, also if all of them are 0.
            self.bounds[at] = T::rounded(bound - 4.0 * T::EPSILON * (read.max_abs + bound.abs()) - T::MIN_POSITIVE);
        }
    }

    /// Fills the listed scores of a row, and appends the entries. Returns the sum of their squares,
    /// and the error of their sum.
    #[inline]
    fn append_row(
        &mut self,
        read: &Read<'_, T>,
        row: usize,
        list: Range<usize>,
        to: &mut Rows<T>,
        each: &mut impl FnMut(u32, f64),
    ) -> [f64; 2] {
        let problem = read.problem;
        let (columns, costs) = (&self.columns[list.clone()], &self.costs[list]);
        self.scores.clear();
        self.scores.extend(columns.iter().zip(costs).map(|(&j, cost)| read.g[j as usize] - cost.to_f64()));
        self.unordered.clear();
        self.unordered.extend_from_slice(&self.scores);
        let level = Level::new(&mut self.unordered, problem.top, problem.budget(row));
        // Of the scores that equal the last one, the first ones are chosen.
        let is_whole = columns.len() <= problem.top;
        let above = if is_whole { 0 } else { self.scores.iter().filter(|&&score| score > level.last).count() };
        let mut ties = problem.top - above;
        let (mut sum, mut square) = (0.0, 0.0);
        to.columns.reserve(columns.len());
        to.costs.reserve(columns.len());
        for ((&j, &cost), &score) in columns.iter().zip(costs).zip(&self.scores) {
            let height = level.height(score);
            let mut is_chosen = height > 0.0;
            if !is_whole && score <= level.last {
                is_chosen &= score == level.last && ties > 0;
                ties -= usize::from(is_chosen);
            }
            if is_chosen {
                let mass = height / problem.gamma;
                to.columns.push(j);
                to.costs.push(cost);
                each(j, mass);
                square += mass * mass;
                sum += mass;
            }
        }
        to.levels.push(level);
        to.ends.push(to.columns.len());
        [square, (sum - problem.masses.a[row]).abs()]
    }
}

/// Returns a number that neither the level of the row that has these scores among others exceeds,
/// nor, if they are `top` or more, the `top`-th largest score of the row.
fn lower_bound(scores: &mut [f64], top: usize, budget: f64) -> f64 {
    if scores.len() > top {
        return Level::new(scores, top, budget).entry();
    }
    // The first level of Michelot's method is not above the last one. If the scores are those of
    // an earlier plan, it is near.
    let (mut sum, mut last) = (0.0, f64::INFINITY);
    for &score in &*scores {
        sum += score;
        last = if score < last { score } else { last };
    }
    let len = scores.len() as f64;
    let level = (sum - budget) / len;
    let bound = level - f64::EPSILON * len * (level.abs() + budget + last.abs());
    if scores.len() == top { bound.max(last) } else { bound }
}
