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

use super::rows::{ActiveRows, RowReader, SparseProblem};
use super::sparse_transport::{SparseProgress, SparseTransport};
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::transport::padded;
use crate::kernels::transport::tuning::{
    SPARSE_CG_STEPS, SPARSE_DENSITY, SPARSE_FREE_STEPS, SPARSE_LENGTHS, SPARSE_LIMITED_STEPS, SPARSE_RAISE,
    SPARSE_REFUSALS, SPARSE_SHIFTS, SPARSE_STAGE_ERROR, SPARSE_STAGE_FACTOR, SPARSE_STAGE_STEPS, SPARSE_STAGES,
};
use crate::real::Element;
use crate::transport::Status;
use crate::transport::masses::Masses;
use crate::transport::semi_dual::{ConjugateGradients, System};
use crate::{MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// The callback of a solve.
pub(super) type OnIteration<'a> = dyn FnMut(&SparseProgress) -> ControlFlow<()> + 'a;

/// The system of a step: `S_lambda v = (1 + lambda) m v - sigma^T (sigma v / n) / (1 + lambda)`.
struct Pattern<'a, T> {
    /// The rows whose entries are the pattern.
    active: &'a ActiveRows<T>,
    /// The shift.
    lambda: f64,
}

impl<T: Real> System for Pattern<'_, T> {
    fn times(&self, v: &[f64], out: &mut [f64]) {
        for ((out, v), m) in out.iter_mut().zip(v).zip(&self.active.column_counts) {
            *out = (1.0 + self.lambda) * m * v;
        }
        for (columns, _) in self.active.rows() {
            let sum: f64 = columns.iter().map(|&j| v[j as usize]).sum();
            let mean = sum / (columns.len() as f64 * (1.0 + self.lambda));
            for &j in columns {
                out[j as usize] -= mean;
            }
        }
    }

    fn inverse_diagonal(&self, out: &mut [f64]) {
        out.fill(0.0);
        for (columns, _) in self.active.rows() {
            for &j in columns {
                out[j as usize] += 1.0 / (columns.len() as f64 * (1.0 + self.lambda));
            }
        }
        for (out, m) in out.iter_mut().zip(&self.active.column_counts) {
            let diagonal = ((1.0 + self.lambda) * m - *out).max(self.lambda * m);
            *out = if diagonal > 0.0 { 1.0 / diagonal } else { 0.0 };
        }
    }
}

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
    /// The largest magnitude of a cost that is not infinite.
    largest_cost: f64,
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
    ) -> Self {
        let (rows, cols) = (masses.support.len(), cost.cols());
        let levels: Vec<T> = masses.support.iter().map(|&i| -row_minima[i]).collect();
        let mut entries = vec![T::zero(); padded(cols)];
        T::entry_potentials(settings.road, cost, &masses.support, &levels, &mut entries);
        let start = |(entry, &b): (&T, &f64)| if b > 0.0 { entry.to_f64() } else { 0.0 };
        let g: Vec<f64> = entries.iter().zip(&masses.b).map(start).collect();
        let gamma = settings.gamma * masses.total;
        Self {
            problem: SparseProblem { road: settings.road, cost, masses, gamma, top: settings.top(cols) },
            active: ActiveRows::new(rows, g.clone()),
            iterations: 0,
            settings,
            tried: ActiveRows::new(rows, g),
            reader: RowReader::new(cost),
            gradients: ConjugateGradients::new(cols),
            largest_cost,
            mu: 1.0,
        }
    }

    /// Solves the problem. Returns why the solve ended.
    pub(super) fn solve(&mut self, on_iteration: &mut OnIteration<'_>) -> Status {
        let (gamma, top, tolerance) = (self.problem.gamma, self.problem.top, self.settings.tolerance_for::<T>());
        let entries = (self.problem.masses.support.len() * self.problem.cost.cols()) as f64;
        let first = SPARSE_DENSITY * self.largest_cost * entries;
        let log_ratio = if first > gamma && first.is_finite() { first.ln() - gamma.ln() } else { 0.0 };
        let stages = (log_ratio / SPARSE_STAGE_FACTOR.ln()).ceil().min(SPARSE_STAGES) as i32;
        let factor = SPARSE_STAGE_FACTOR.max(core::f64::consts::E.powf(log_ratio / SPARSE_STAGES));
        // The whole power may overflow.
        let gamma_at = |stage: i32| gamma * factor.powi(stage / 2) * factor.powi(stage - stage / 2);
        // A row of few entries is as good a start as that of all of them.
        self.problem.top = self.problem.cost.cols();
        self.problem.gamma = gamma_at(stages);
        self.reader.evaluate(&self.problem, None, &mut self.active);
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
        self.reader.evaluate(&self.problem, Some(&self.active), &mut self.tried);
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
    pub(super) fn end(&self, tolerance: f64, limit: usize) -> Option<Status> {
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
        self.reader.evaluate(&self.problem, Some(&self.active), &mut self.tried);
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

    /// Raises the columns with mass and without entries to the potentials at which they get one, in
    /// `tried`. Returns whether there are any. While they have no entry, the dual value rises with
    /// their potential.
    fn raise_empty_columns(&mut self) -> bool {
        let SparseProblem { road, cost, masses, .. } = self.problem;
        let is_empty = |j: usize, active: &ActiveRows<T>| masses.b[j] > 0.0 && active.column_counts[j] == 0.0;
        if !(0..masses.b.len()).any(|j| is_empty(j, &self.active)) {
            return false;
        }
        let levels: Vec<T> = self.active.levels.iter().map(|level| T::rounded(level.entry())).collect();
        let max_abs_level = self.active.levels.iter().map(|level| level.entry().abs()).fold(0.0, f64::max);
        let mut entries = vec![T::zero(); padded(cost.cols())];
        T::entry_potentials(road, cost, &masses.support, &levels, &mut entries);
        self.tried.g.copy_from_slice(&self.active.g);
        for (j, entry) in entries.iter().take(cost.cols()).enumerate() {
            let entry = entry.to_f64();
            if is_empty(j, &self.active) && entry < f64::INFINITY {
                // Far beyond, columns that are raised together would empty others.
                let beyond = (4.0 * T::EPSILON).max(SPARSE_RAISE) * (entry.abs() + max_abs_level);
                self.tried.g[j] = (entry + beyond).max(self.active.g[j] + beyond);
            }
        }
        true
    }

    /// Solves the model and tries the step in several lengths.
    fn newton_step(&mut self, limit: usize, on_iteration: &mut OnIteration<'_>) -> Step {
        let (gamma, masses) = (self.problem.gamma, self.problem.masses);
        let error = self.active.error;
        let gradient = |active: &ActiveRows<T>, gradients: &ConjugateGradients| -> f64 {
            let terms = masses.b.iter().zip(&active.column_sums).zip(&gradients.solution);
            terms.map(|((b, c), y)| (b - c) * y).sum()
        };
        let system = Pattern { active: &self.active, lambda: self.mu * error.min(1.0) };
        let right_side = masses.b.iter().zip(&self.active.column_sums).map(|(b, c)| gamma * (b - c));
        self.gradients.solve_system(&system, right_side, (0.1 * error.sqrt().min(1.0), SPARSE_CG_STEPS));
        let slope = gradient(&self.active, &self.gradients);
        let curvature = self.gradients.curvature(&Pattern { lambda: 0.0, ..system }) / gamma;
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

    /// Returns by how much the dual value of `tried` is above that of the potentials, and the
    /// rounding error of this difference.
    pub(super) fn gain(&self) -> (f64, f64) {
        let (new, old, masses) = (&self.tried, &self.active, self.problem.masses);
        let rows = old.levels.iter().zip(&new.levels).map(|(old, new)| (old.max - new.max) + (old.depth - new.depth));
        let columns = new.g.iter().zip(&old.g).map(|(new, old)| new - old);
        let squares = 0.5 * self.problem.gamma * (old.square - new.square);
        let gain = product(&masses.a, rows) + product(&masses.b, columns) + squares;
        // With an error of rounding, a step may move all potentials by a huge constant.
        (gain, 4.0 * f64::EPSILON * self.dual_size_of(old).max(self.dual_size_of(new)))
    }

    /// Returns the sum of the magnitudes of the terms of the dual value.
    pub(super) fn dual_size(&self) -> f64 {
        self.dual_size_of(&self.active)
    }

    /// Returns the sum of the magnitudes of the terms of the dual value of rows.
    fn dual_size_of(&self, active: &ActiveRows<T>) -> f64 {
        let masses = self.problem.masses;
        product(&masses.a, active.levels.iter().map(|level| level.level().abs()))
            + product(&masses.b, active.g.iter().map(|g| g.abs()))
            + self.problem.gamma * active.square
    }

    /// Returns the dual value.
    pub(super) fn dual_value(&self) -> f64 {
        let masses = self.problem.masses;
        let rows = product(&masses.a, self.active.levels.iter().map(|level| -level.level()));
        let columns = product(&masses.b, self.active.g.iter().copied());
        rows + columns - 0.5 * self.problem.gamma * self.active.square
    }

    /// Returns whether the dual value is above what any plan can cost: the largest cost, and rows
    /// of one entry.
    fn is_infeasible(&self) -> bool {
        let squares: f64 = self.problem.masses.a.iter().map(|a| a * a).sum();
        let most = self.largest_cost + 0.5 * self.problem.gamma * squares;
        self.dual_value() > most * (1.0 + 1e-6)
    }
}
