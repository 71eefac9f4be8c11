//! The best rows of a sparse plan for given potentials of the columns, and the read of the costs
//! that finds them.

use super::level::Level;
use crate::dispatch::Road;
use crate::kernels::transport::padded;
use crate::kernels::transport::scores::{ScoreLists, ScoreRows, lists_len};
use crate::kernels::transport::tuning::SPARSE_BLOCK_ENTRIES;
use crate::real::Element;
use crate::transport::masses::Masses;
use crate::{MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;

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
    fn budget(&self, row: usize) -> f64 {
        (self.gamma * self.masses.a[row]).max(f64::MIN_POSITIVE)
    }
}

/// The potentials of the columns, and the best rows for them.
pub(super) struct ActiveRows<T> {
    /// The potentials of the columns; 0 without mass.
    pub(super) g: Vec<f64>,
    /// The levels of the rows with mass, which are minus their potentials.
    pub(super) levels: Vec<Level>,
    /// The ends of the rows in `columns` and `costs`.
    ends: Vec<usize>,
    /// The columns of the entries that are not 0.
    pub(super) columns: Vec<u32>,
    /// Their costs.
    costs: Vec<T>,
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
    pub(super) fn new(rows: usize, g: Vec<f64>) -> Self {
        let cols = g.len();
        Self {
            g,
            levels: Vec::with_capacity(rows),
            ends: Vec::with_capacity(rows),
            columns: Vec::new(),
            costs: Vec::new(),
            column_sums: vec![0.0; cols],
            column_counts: vec![0.0; cols],
            square: 0.0,
            error: f64::INFINITY,
        }
    }

    /// Returns the rows: the columns of their entries, and the costs.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&[u32], &[T])> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let row = core::mem::replace(&mut start, end)..end;
            (&self.columns[row.clone()], &self.costs[row])
        })
    }

    /// Returns the entries of a row: their indices in `columns` and `costs`.
    fn entries(&self, row: usize) -> core::ops::Range<usize> {
        if row == 0 { 0..self.ends[0] } else { self.ends[row - 1]..self.ends[row] }
    }
}

/// The memory of a read of the costs.
pub(super) struct RowReader<T> {
    /// The potentials of the columns in the element type.
    g: Vec<T>,
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

impl<T: Real> RowReader<T> {
    /// Returns the memory for problems with this cost matrix.
    pub(super) fn new(cost: MatRef<'_, T>) -> Self {
        let (rows, cols) = ((SPARSE_BLOCK_ENTRIES / cost.cols()).clamp(1, cost.rows()), cost.cols());
        let len = lists_len(rows, cols);
        Self {
            g: vec![-T::infinity(); padded(cols)],
            bounds: vec![T::zero(); rows],
            maxima: vec![T::zero(); rows],
            ends: vec![0; rows],
            columns: vec![0; len],
            costs: vec![T::zero(); len],
            scores: Vec::new(),
            unordered: Vec::new(),
        }
    }

    /// Finds the best rows for the potentials in `to`. Rows of the same problem with other
    /// potentials, another gamma or another `top` give the bounds of the levels. One read of the
    /// cost matrix; two without such rows, and then `top` must be the number of columns.
    pub(super) fn evaluate(
        &mut self,
        problem: &SparseProblem<'_, T>,
        from: Option<&ActiveRows<T>>,
        to: &mut ActiveRows<T>,
    ) {
        let support = &problem.masses.support[..];
        to.levels.clear();
        to.ends.clear();
        to.columns.clear();
        to.costs.clear();
        to.column_sums.fill(0.0);
        to.column_counts.fill(0.0);
        (to.square, to.error) = (0.0, 0.0);
        let mut max_abs: f64 = 0.0;
        for ((narrow, &g), &b) in self.g.iter_mut().zip(&to.g).zip(&problem.masses.b) {
            *narrow = if b > 0.0 { T::rounded(g) } else { -T::infinity() };
            max_abs = g.abs().max(max_abs);
        }
        let block = self.bounds.len();
        for first in (0..support.len()).step_by(block) {
            let rows = first..support.len().min(first + block);
            self.bound_levels(problem, rows.clone(), from, to, max_abs);
            let of_rows = ScoreRows { cost: problem.cost, support: &support[rows.clone()], g: &self.g };
            let (ends, columns, costs) = (&mut self.ends[..rows.len()], &mut self.columns[..], &mut self.costs[..]);
            T::list_scores(problem.road, &of_rows, &self.bounds, &mut ScoreLists { ends, columns, costs });
            let mut start = 0;
            for (at, row) in rows.enumerate() {
                let list = core::mem::replace(&mut start, self.ends[at])..self.ends[at];
                self.append_row(problem, row, list, to);
            }
        }
        let errors = to.column_sums.iter().zip(&problem.masses.b).map(|(c, b)| (c - b).abs());
        to.error += errors.sum::<f64>();
    }

    /// Computes lower bounds of the levels of rows. The level of some of the scores of a row is not
    /// above that of all.
    fn bound_levels(
        &mut self,
        problem: &SparseProblem<'_, T>,
        rows: core::ops::Range<usize>,
        from: Option<&ActiveRows<T>>,
        to: &ActiveRows<T>,
        max_abs: f64,
    ) {
        if from.is_none() {
            let support = &problem.masses.support[rows.clone()];
            let of_rows = ScoreRows { cost: problem.cost, support, g: &self.g };
            T::largest_scores(problem.road, &of_rows, &mut self.maxima);
        }
        for (at, row) in rows.enumerate() {
            let bound = match from {
                Some(from) => {
                    let entries = from.entries(row);
                    let pairs = from.columns[entries.clone()].iter().zip(&from.costs[entries]);
                    self.unordered.clear();
                    self.unordered.extend(pairs.map(|(&j, cost)| to.g[j as usize] - cost.to_f64()));
                    lower_bound(&mut self.unordered, problem.top, problem.budget(row))
                }
                None => self.maxima[at].to_f64() - problem.budget(row),
            };
            // The potential, the score, the bound and the maximum are rounded once each. Listed
            // scores are above the bound, also if all of them are 0.
            self.bounds[at] = T::rounded(bound - 4.0 * T::EPSILON * (max_abs + bound.abs()) - T::MIN_POSITIVE);
        }
    }

    /// Fills the listed scores of a row, and appends the entries.
    fn append_row(
        &mut self,
        problem: &SparseProblem<'_, T>,
        row: usize,
        list: core::ops::Range<usize>,
        to: &mut ActiveRows<T>,
    ) {
        let (columns, costs) = (&self.columns[list.clone()], &self.costs[list]);
        self.scores.clear();
        self.scores.extend(columns.iter().zip(costs).map(|(&j, cost)| to.g[j as usize] - cost.to_f64()));
        self.unordered.clear();
        self.unordered.extend_from_slice(&self.scores);
        let level = Level::new(&mut self.unordered, problem.top, problem.budget(row));
        // Of the scores that equal the last one, the first ones are chosen.
        let is_whole = columns.len() <= problem.top;
        let above = if is_whole { 0 } else { self.scores.iter().filter(|&&score| score > level.last).count() };
        let mut ties = problem.top - above;
        let mut sum = 0.0;
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
                to.column_sums[j as usize] += mass;
                to.column_counts[j as usize] += 1.0;
                to.square += mass * mass;
                sum += mass;
            }
        }
        to.error += (sum - problem.masses.a[row]).abs();
        to.levels.push(level);
        to.ends.push(to.columns.len());
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
