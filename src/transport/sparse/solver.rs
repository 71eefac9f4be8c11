//! Newton's method on the semi-dual function of sparse transport.
//!
//! ```text
//! D(g) = <a, f(g)> + <b, g> - gamma / 2 ||P(g)||^2             f(g): the best f for g, level.rs
//! gradient b - c,    Hessian -S / gamma,    S = diag(m) - sigma^T diag(1 / n) sigma
//!
//! for gamma_t = .., 4 gamma, gamma:                            few stages, each from the last g
//!   until err = ||b - c||_1 <= tolerance:
//!     solve S_lambda y = gamma (b - c)                         lambda = mu min(1, err)
//!     for shorter and shorter s:                               one read of the costs each
//!       accept g + s y if D rises
//!     mu <- mu / 2 after good predictions of the gain of D, 4 mu after bad ones
//! ```
//! Here c are the column sums of the best rows for g, sigma is their pattern, which has n entries
//! in the rows and m in the columns. D is concave, and quadratic while the pattern stays. So the
//! last steps are exact. Sources: Lorenz, Manns & Meyer 2021, "Quadratically Regularized Optimal
//! Transport" (algorithm 2); Blondel, Seguy & Rolet 2018, "Smooth and Sparse Optimal Transport"
//! (section 3, the semi-dual function); Liu, Puigcerver & Blondel 2023, "Sparsity-Constrained
//! Optimal Transport" (section 4); Tang & Qiu 2024, "Safe and Sparse Newton Method for
//! Entropic-Regularized Optimal Transport" (the shift and its rule).
//!
//! Deviations:
//! 1. The best f for every g halves the system, and makes the rows of every plan right.
//! 2. Stages with larger gammas come first: a plan of many entries changes its pattern little.
//! 3. A column without entries is raised to the potential at which it gets one.
//! 4. With at most k entries per row, D has kinks where scores tie. If Newton's method does not end
//!    soon, another ascent follows (ascent.rs).

use super::empty_columns::entry_potentials;
use super::pattern::Pattern;
use super::rows::{ActiveRows, RowReader, SparseProblem};
use super::sparse_transport::{SparseProgress, SparseTransport};
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::transport::tuning::{
    SPARSE_CG_STEPS, SPARSE_DENSITY, SPARSE_FREE_STEPS, SPARSE_LENGTHS, SPARSE_LIMITED_STEPS, SPARSE_REFUSALS,
    SPARSE_SHIFTS, SPARSE_STAGE_ERROR, SPARSE_STAGE_FACTOR, SPARSE_STAGE_STEPS, SPARSE_STAGES,
};
use crate::real::Element;
use crate::transport::Status;
use crate::transport::masses::Masses;
use crate::transport::ranks::Ranks;
use crate::transport::semi_dual::ConjugateGradients;
use crate::{MatRef, Real};
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// The callback of a solve.
pub(super) type OnIteration<'a> = dyn FnMut(&SparseProgress) -> ControlFlow<()> + 'a;

/// The outcome of a step.
enum Step {
    /// The potentials have moved.
    Taken,
    /// No length is accepted.
    Refused,
    /// The callback has stopped the solve.
    Stopped,
}

/// A solve.
pub(super) struct Solver<'a, T> {
    /// The problem, with the gamma and the limit of entries of the current stage.
    pub(super) problem: SparseProblem<'a, T>,
    /// The best rows for the potentials.
    pub(super) active: ActiveRows<T>,
    /// The number of reads of the costs.
    pub(super) iterations: usize,
    settings: &'a SparseTransport,
    /// Those at the end of the step that is tried.
    pub(super) tried: ActiveRows<T>,
    reader: RowReader<T>,
    gradients: ConjugateGradients,
    /// The ranks, each of which has some rows.
    pub(super) ranks: Ranks<'a>,
    /// Memory for products on several threads.
    means: Vec<f64>,
    /// The largest magnitude of a cost that is not infinite.
    pub(super) largest_cost: f64,
    /// The shift relative to the error.
    mu: f64,
}

/// The product of two vectors.
pub(super) fn product(x: &[f64], y: impl Iterator<Item = f64>) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

impl<'a, T: Real> Solver<'a, T> {
    /// Returns a solve that starts at the smallest potentials at which every column has an entry.
    pub(super) fn new(
        settings: &'a SparseTransport,
        cost: MatRef<'a, T>,
        masses: &'a Masses,
        (row_minima, largest_cost): (&[T], f64),
        mut ranks: Ranks<'a>,
    ) -> Self {
        let cols = cost.cols();
        let levels: Vec<T> = masses.support.iter().map(|&i| -row_minima[i]).collect();
        let entries = entry_potentials(settings.road, cost, (masses, &levels), &mut ranks);
        let start = |(&entry, &b): (&f64, &f64)| if b > 0.0 { entry } else { 0.0 };
        let g: Vec<f64> = entries.iter().zip(&masses.b).map(start).collect();
        let gamma = settings.gamma * masses.total;
        Self {
            problem: SparseProblem { road: settings.road, cost, masses, gamma, top: settings.top(cols) },
            active: ActiveRows::new(g.clone()),
            iterations: 0,
            settings,
            tried: ActiveRows::new(g),
            reader: RowReader::new(cost),
            gradients: ConjugateGradients::new(cols),
            ranks,
            means: Vec::new(),
            largest_cost,
            mu: 1.0,
        }
    }

    /// Solves the problem. Returns why the solve ended.
    pub(super) fn solve(&mut self, on_iteration: &mut OnIteration<'_>) -> Status {
        let (gamma, top, tolerance) = (self.problem.gamma, self.problem.top, self.settings.tolerance_for::<T>());
        let entries = self.ranks.rows().1 as f64 * self.problem.cost.cols() as f64;
        let first = SPARSE_DENSITY * self.largest_cost * entries;
        let log_ratio = if first > gamma && first.is_finite() { first.ln() - gamma.ln() } else { 0.0 };
        let stages = (log_ratio / SPARSE_STAGE_FACTOR.ln()).ceil().min(SPARSE_STAGES);
        let factor = SPARSE_STAGE_FACTOR.max(core::f64::consts::E.powf(log_ratio / SPARSE_STAGES));
        // All ranks need the same numbers, and the logarithms of their CPUs may differ.
        let (stages, factor) = (self.ranks.largest(stages) as i32, self.ranks.largest(factor));
        // The whole power may overflow.
        let gamma_at = |stage: i32| gamma * factor.powi(stage / 2) * factor.powi(stage - stage / 2);
        // A row of few entries is as good a start as that of all of them.
        self.problem.top = self.problem.cost.cols();
        self.problem.gamma = gamma_at(stages);
        self.reader.evaluate(&self.problem, None, &mut self.active, &mut self.ranks);
        // A limit of entries comes last: its dual value is never below that without a limit.
        let (limit, is_limited) = (self.settings.max_iterations, top < self.problem.cost.cols());
        let last = if is_limited { 0 } else { 1 };
        let mut status = Status::IterationLimit;
        for stage in (last..=stages).rev() {
            if self.iterations >= limit {
                break;
            }
            if stage < stages {
                self.problem.gamma = gamma_at(stage);
                self.reevaluate();
            }
            let (error, steps) =
                if stage == 0 { (tolerance, SPARSE_FREE_STEPS) } else { (SPARSE_STAGE_ERROR, SPARSE_STAGE_STEPS) };
            status = self.iterate_until(error, self.iterations.saturating_add(steps), on_iteration);
            if status == Status::Stopped {
                break;
            }
        }
        (self.problem.gamma, self.problem.top) = (gamma, top);
        self.reevaluate();
        if status != Status::Stopped {
            // Where no limit of the entries holds, Newton's method may converge.
            let steps = if is_limited { SPARSE_LIMITED_STEPS } else { limit };
            status = self.iterate_until(tolerance, self.iterations.saturating_add(steps), on_iteration);
        }
        if is_limited && matches!(status, Status::IterationLimit | Status::Stagnated) {
            status = self.ascend(tolerance, limit, on_iteration);
        }
        let is_met = self.active.error <= self.settings.measured_tolerance::<T>();
        if is_met { Status::Converged } else { status }
    }

    /// Finds the rows for another gamma or another number of entries.
    fn reevaluate(&mut self) {
        self.tried.g.copy_from_slice(&self.active.g);
        self.reader.evaluate(&self.problem, Some(&self.active), &mut self.tried, &mut self.ranks);
        core::mem::swap(&mut self.active, &mut self.tried);
    }

    /// Takes steps until the error is within `tolerance`, `limit` iterations are done in all, or no
    /// step raises the dual value.
    fn iterate_until(&mut self, tolerance: f64, limit: usize, on_iteration: &mut OnIteration<'_>) -> Status {
        let limit = limit.min(self.settings.max_iterations);
        self.mu = 1.0;
        let mut refusals = 0;
        loop {
            if let Some(status) = self.end(tolerance, limit) {
                return status;
            }
            let step = if self.raise_empty_columns() {
                let flow = self.try_step(on_iteration);
                self.take_step(flow)
            } else {
                self.newton_step(limit, on_iteration)
            };
            match step {
                Step::Taken => refusals = 0,
                Step::Stopped => return Status::Stopped,
                Step::Refused if refusals == SPARSE_REFUSALS => return Status::Stagnated,
                Step::Refused => refusals += 1,
            }
        }
    }

    /// Returns why the steps end before the next one, if they do.
    pub(super) fn end(&mut self, tolerance: f64, limit: usize) -> Option<Status> {
        if self.ranks.check().is_err() {
            return Some(Status::Stopped); // The solve ends with that error.
        }
        if self.active.error <= tolerance {
            return Some(Status::Converged);
        }
        if self.iterations >= limit {
            return Some(Status::IterationLimit);
        }
        self.is_infeasible().then_some(Status::Infeasible)
    }

    /// Evaluates the potentials in `tried`, and reports them. Returns whether to go on.
    pub(super) fn try_step(&mut self, on_iteration: &mut OnIteration<'_>) -> ControlFlow<()> {
        self.reader.evaluate(&self.problem, Some(&self.active), &mut self.tried, &mut self.ranks);
        self.iterations += 1;
        let gamma = self.problem.gamma / self.problem.masses.total;
        let progress = SparseProgress { iteration: self.iterations, error: self.tried.error, gamma };
        on_iteration(&progress)
    }

    /// Moves to the potentials that were tried.
    fn take_step(&mut self, flow: ControlFlow<()>) -> Step {
        core::mem::swap(&mut self.active, &mut self.tried);
        if flow.is_break() { Step::Stopped } else { Step::Taken }
    }

    /// Sets the potentials to be tried. Returns whether they are in the range of the element type.
    pub(super) fn set_tried(&mut self, direction: &[f64], length: f64) -> bool {
        let mut max_abs: f64 = 0.0;
        for (to, (g, d)) in self.tried.g.iter_mut().zip(self.active.g.iter().zip(direction)) {
            *to = g + length * d;
            max_abs = to.abs().max(max_abs);
        }
        max_abs < T::MAX / 64.0
    }

    /// Solves the model and tries the step in several lengths.
    fn newton_step(&mut self, limit: usize, on_iteration: &mut OnIteration<'_>) -> Step {
        let (gamma, masses) = (self.problem.gamma, self.problem.masses);
        let error = self.active.error;
        let gradient = |active: &ActiveRows<T>, gradients: &ConjugateGradients| -> f64 {
            let terms = masses.b.iter().zip(&active.column_sums).zip(&gradients.solution);
            terms.map(|((b, c), y)| (b - c) * y).sum()
        };
        let lambda = self.mu * error.min(1.0);
        let (road, ranks, means) = (self.problem.road, &mut self.ranks, &mut self.means);
        let mut system = Pattern { road, active: &self.active, lambda, ranks, means };
        let right_side = masses.b.iter().zip(&self.active.column_sums).map(|(b, c)| gamma * (b - c));
        self.gradients.solve_system(&mut system, right_side, (0.1 * error.sqrt().min(1.0), SPARSE_CG_STEPS));
        let slope = gradient(&self.active, &self.gradients);
        system.lambda = 0.0;
        let curvature = self.gradients.curvature(&mut system) / gamma;
        let mut length = 1.0;
        for _ in 0..SPARSE_LENGTHS {
            if self.iterations >= limit || !(slope > 0.0 && slope < f64::INFINITY) {
                break;
            }
            let direction = core::mem::take(&mut self.gradients.solution);
            let is_in_range = self.set_tried(&direction, length);
            self.gradients.solution = direction;
            if !is_in_range {
                length *= 0.1;
                continue;
            }
            let flow = self.try_step(on_iteration);
            let (gain, noise) = self.gain();
            let end_slope = gradient(&self.tried, &self.gradients);
            let is_seen = gain.abs() > noise;
            let rises = if is_seen { gain >= 1e-4 * length * slope } else { self.tried.error < error };
            if rises || self.tried.error <= 0.5 * error {
                let ratio = gain / (length * slope - 0.5 * length * length * curvature);
                // Shorter steps mean that the model was bad.
                let is_bad = length < 1.0 || is_seen && ratio < 0.25;
                let is_good = !is_bad && (ratio > 0.75 || !is_seen);
                self.scale_shift(if is_bad { 4.0 } else { 1.0 } * if is_good { 0.5 } else { 1.0 });
                return self.take_step(flow);
            }
            if flow.is_break() {
                return Step::Stopped;
            }
            // Where the derivative would be 0 if it were linear.
            length *= (slope / (slope - end_slope)).clamp(0.1, 0.5);
        }
        self.scale_shift(4.0);
        Step::Refused
    }

    /// Multiplies the shift.
    fn scale_shift(&mut self, factor: f64) {
        let [least, most] = SPARSE_SHIFTS;
        self.mu = (self.mu * factor).clamp(least, most);
    }
}
