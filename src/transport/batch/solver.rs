//! The iterations of a batch, with the assignment of problems to lanes.

use super::super::over_relaxation::OverRelaxation;
use super::super::sinkhorn::Sinkhorn;
use super::super::solution::Status;
use super::TransportBatch;
use super::marginal::{BatchMarginal, LaneIndex};
use crate::aligned::AlignedVec;
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::math::exp::exp2;
use crate::kernels::transport::sinkhorn_batch::{BatchLayout, GibbsBlocks, LaneArrays};
use crate::kernels::transport::tuning::BATCH_PATIENCE;
use crate::real::Element;
use crate::{Error, MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;
use core::mem::swap;
use core::ops::Range;

/// Returns the Gibbs matrix relative to the minimum of each row, and sets the offsets of the rows.
/// See [`GibbsBlocks::entries`].
pub(super) fn gibbs_matrix<T: Real>(
    layout: BatchLayout,
    cost: MatRef<'_, T>,
    eta: f64,
    (rows, columns): (&mut BatchMarginal<'_, T>, &BatchMarginal<'_, T>),
    row_minima: &[T],
) -> Vec<T> {
    let mut gibbs = vec![T::zero(); rows.len() * columns.len()];
    for (&(i, row), offset) in rows.support.iter().zip(&mut rows.offsets) {
        let (costs, min) = (cost.row(i), row_minima[i].to_f64());
        *offset = min;
        let row_in_block = row % layout.block_rows;
        let block = gibbs[(row - row_in_block) * columns.len()..].chunks_exact_mut(layout.block_rows);
        for (&(j, _), entries) in columns.support.iter().zip(block) {
            let y = eta * (min - costs[j].to_f64());
            // Subnormal entries may be slow: they are 0.
            entries[row_in_block] = if y > T::MIN_POSITIVE.log2() { T::rounded(exp2(y)) } else { T::zero() };
        }
    }
    gibbs
}

/// The problem in a lane.
#[derive(Clone, Copy)]
struct LaneProblem {
    /// The index of the problem in the batch.
    problem: usize,
    /// The number of iterations that led to the current scalings.
    iterations: usize,
}

/// One call of [`Sinkhorn::solve_batch`].
pub(super) struct BatchSolver<'a, T: Real> {
    settings: &'a Sinkhorn,
    layout: BatchLayout,
    cost: MatRef<'a, T>,
    /// log2(e) / epsilon.
    eta: f64,
    tolerance: f64,
    rows: BatchMarginal<'a, T>,
    columns: BatchMarginal<'a, T>,
    /// See [`GibbsBlocks::entries`].
    gibbs: &'a [T],
    /// The first problem, which is the first one of the results.
    first: usize,
    /// See [`LaneArrays::partial_sums`].
    partial_sums: AlignedVec<T>,
    /// See [`LaneArrays::errors`].
    errors: Vec<T>,
    /// See [`LaneArrays::min_sums`].
    min_sums: Vec<T>,
    /// See [`LaneArrays::min_scalings`].
    min_scalings: Vec<T>,
}

impl<'a, T: Real> BatchSolver<'a, T> {
    /// Returns a solver with empty lanes. The Gibbs matrix is that of [`gibbs_matrix`].
    pub(super) fn new(
        settings: &'a Sinkhorn,
        layout: BatchLayout,
        cost: MatRef<'a, T>,
        eta: f64,
        [rows, columns]: [BatchMarginal<'a, T>; 2],
        gibbs: &'a [T],
    ) -> Self {
        let per_lane = || vec![T::zero(); layout.width];
        let partial_sums = AlignedVec::try_zeros(columns.len() * layout.width).expect("memory for the lanes");
        Self {
            settings,
            layout,
            cost,
            eta,
            tolerance: settings.tolerance_for::<T>(),
            rows,
            columns,
            gibbs,
            first: 0,
            partial_sums,
            errors: per_lane(),
            min_sums: per_lane(),
            min_scalings: per_lane(),
        }
    }

    /// Solves consecutive problems.
    pub(super) fn solve(mut self, problems: Range<usize>) -> Result<TransportBatch<T>, Error> {
        let mut batch = TransportBatch::new(problems.len(), (self.cost.rows(), self.cost.cols()));
        self.first = problems.start;
        let mut waiting = problems;
        let mut lanes: Vec<Option<LaneProblem>> = vec![None; self.layout.width];
        loop {
            for (lane, slot) in lanes.iter_mut().enumerate() {
                while slot.is_none() {
                    let Some(problem) = waiting.next() else { break };
                    if self.start_problem(self.lane_index(lane), problem) {
                        *slot = Some(LaneProblem { problem, iterations: 0 });
                    } else {
                        self.solve_alone(problem, 0, &mut batch)?;
                    }
                }
            }
            if lanes.iter().all(Option::is_none) {
                return Ok(batch);
            }
            self.batch_iteration();
            for (lane, slot) in lanes.iter_mut().enumerate() {
                let Some(running) = slot else { continue };
                let (is_done, error) = self.is_done(lane, running);
                let is_slow = self.is_accelerated() && running.iterations >= BATCH_PATIENCE;
                if !is_done && !is_slow && self.is_in_range(lane) {
                    running.iterations += 1;
                    continue;
                }
                if !(is_done && self.finish_problem(self.lane_index(lane), running, error, &mut batch)) {
                    // Iterations that left the range of a lane are lost, and do not count.
                    let counted = if is_slow && !is_done { running.iterations } else { 0 };
                    self.solve_alone(running.problem, counted, &mut batch)?;
                }
                *slot = None;
            }
            for marginal in [&mut self.rows, &mut self.columns] {
                swap(&mut marginal.scalings, &mut marginal.next_scalings);
            }
        }
    }

    /// Returns whether [`Sinkhorn::solve`] takes over slow problems, because it is expected to need
    /// fewer iterations.
    fn is_accelerated(&self) -> bool {
        self.tolerance > 0.0 && self.settings.over_relaxation != OverRelaxation::Off
    }

    /// Returns the index of a lane in the arrays.
    fn lane_index(&self, lane: usize) -> LaneIndex {
        LaneIndex { lane, width: self.layout.width }
    }

    /// Fills a lane with a problem. Returns false if [`Sinkhorn::solve`] must take it over.
    fn start_problem(&mut self, lane: LaneIndex, p: usize) -> bool {
        let terms = (self.cost.rows() + self.cost.cols()) as f64;
        let is_precise = self.tolerance == 0.0 || self.tolerance >= T::EPSILON * (32.0 + terms.sqrt());
        // Without an iteration, the column marginals are not met as the marginal error assumes.
        is_precise
            && self.settings.max_iterations > 0
            && self.rows.start_problem(lane, p)
            && self.columns.start_problem(lane, p)
    }

    /// Runs one iteration of all lanes.
    fn batch_iteration(&mut self) {
        let Self { rows, columns, .. } = self;
        let gibbs = GibbsBlocks { entries: self.gibbs, row_ends: &rows.ends, column_ends: &columns.ends };
        let mut lanes = LaneArrays {
            a: &rows.shares,
            b: &columns.shares,
            s: &rows.scalings,
            v: &columns.scalings,
            next_s: &mut rows.next_scalings,
            next_v: &mut columns.next_scalings,
            partial_sums: &mut self.partial_sums,
            errors: &mut self.errors,
            min_sums: &mut self.min_sums,
            min_scalings: &mut self.min_scalings,
        };
        T::batch_iteration(self.settings.road, &gibbs, &mut lanes);
    }

    /// Returns whether a lane's scalings before the last iteration are the result, and the marginal
    /// error of these scalings.
    fn is_done(&self, lane: usize, running: &LaneProblem) -> (bool, f64) {
        let error = self.errors[lane].to_f64();
        let is_within = self.tolerance > 0.0 && error <= self.tolerance;
        // The initial scalings meet no marginals.
        let is_done = running.iterations > 0 && (is_within || running.iterations == self.settings.max_iterations);
        (is_done, error)
    }

    /// Returns whether all sums and scalings of a lane are accurate.
    fn is_in_range(&self, lane: usize) -> bool {
        let (sum, scaling) = (self.min_sums[lane].to_f64(), self.min_scalings[lane].to_f64());
        sum >= self.layout.min_sum && scaling >= self.layout.min_scaling
    }

    /// Writes the result from a lane's scalings before the last iteration. Returns false if the
    /// result is not finite.
    fn finish_problem(
        &mut self,
        lane: LaneIndex,
        running: &LaneProblem,
        error: f64,
        batch: &mut TransportBatch<T>,
    ) -> bool {
        let p = running.problem;
        let (road, total) = (self.settings.road, self.rows.total(p));
        let at = p - self.first;
        let (f, g) = batch.potentials_mut(at);
        let mean = self.rows.write_potentials(road, self.eta, total.log2(), lane, f)
            + self.columns.write_potentials(road, self.eta, 0.0, lane, g);
        batch.iterations[at] = running.iterations;
        batch.marginal_errors[at] = error;
        let is_met = error <= self.settings.measured_tolerance::<T>();
        batch.statuses[at] = if is_met { Status::Converged } else { Status::IterationLimit };
        batch.values[at] = mean * total;
        mean.is_finite()
    }

    /// Solves a problem by [`Sinkhorn::solve`] after so many iterations in a lane that count.
    fn solve_alone(&self, p: usize, iterations: usize, batch: &mut TransportBatch<T>) -> Result<(), Error> {
        let (a, b, at) = (self.rows.masses(p), self.columns.masses(p), p - self.first);
        let left = self.settings.max_iterations - iterations;
        let transport = self.settings.without_warm_start().max_iterations(left).solve(self.cost, a, b)?;
        batch.iterations[at] = iterations + transport.iterations();
        batch.statuses[at] = transport.status();
        batch.marginal_errors[at] = transport.marginal_error();
        let (f, g) = batch.potentials_mut(at);
        let mut value = 0.0;
        // b counts scaled to the total of a.
        let scale = self.rows.total(p) / self.columns.total(p);
        for (masses, potentials, out, scale) in [(a, transport.f(), f, 1.0), (b, transport.g(), g, scale)] {
            for ((&mass, &potential), out) in masses.iter().zip(potentials).zip(out) {
                *out = T::rounded(potential);
                if mass > T::zero() {
                    if !out.to_f64().is_finite() {
                        return Err(self.settings.epsilon_too_small());
                    }
                    value += scale * mass.to_f64() * out.to_f64();
                }
            }
        }
        batch.values[at] = value;
        Ok(())
    }
}
