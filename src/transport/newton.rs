//! Newton's method on the semi-dual function, with a sparse Hessian.
//!
//! ```text
//! given G with a small error:                        from Sinkhorn's iteration
//!   U, c, Q <- one read of the costs                 the best U for G; Q keeps large entries only
//!   until err = ||b - c||_1 <= tolerance:
//!     solve S_lambda y = b - c                       semi_dual.rs, lambda = mu min(1, err)
//!     for s in 1, 1/2, 1/4, 1/10:                    one read of the costs each
//!       accept G + s y log2(e) if D rises, or if err halves
//!     mu <- mu / 2 after good predictions of the gain of D, 4 mu after bad ones
//! ```
//! D is the semi-dual function, of G alone. Sources: Tang et al. 2024, "Accelerating Sinkhorn
//! Algorithm with Sparse Newton Iterations" (algorithm 1); Tang & Qiu 2024, "Safe and Sparse Newton
//! Method for Entropic-Regularized Optimal Transport" (the exact diagonal, the shift and its rule).
//!
//! Deviations:
//! 1. The best U for every G makes the Sinkhorn step that the papers add after a Newton step, and
//!    halves the system.
//! 2. Shift and threshold are relative to the masses, so units of costs and masses do not matter.
//! 3. The gain of D is a sum of small differences. Below [`NEWTON_FINE_ERROR`] its rounding may
//!    hide it, and a step is accepted if the error halves.
//! 4. What is dropped, but stays in the diagonal, makes the model stiff. Two blocks that hardly
//!    exchange mass would hardly move. So more entries are kept if a step gains more than the model
//!    says, or if mass must move between components of the kept entries. If that does not help,
//!    iterations of Sinkhorn and their steps of whole blocks go on.

use super::components::Components;
use super::convergence::{Errors, OnIteration};
use super::kept_rows::KeptRows;
use super::semi_dual::{ConjugateGradients, Model};
use super::solution::Status;
use super::solver::{End, Solver};
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::transport::tuning::{
    NEWTON_CG_STEPS, NEWTON_DENSITY, NEWTON_DIVISOR, NEWTON_DROPPED, NEWTON_FINE_ERROR, NEWTON_LENGTHS,
    NEWTON_MAX_DIVISOR, NEWTON_SHIFTS, NEWTON_SMALL_ENTRIES,
};
use crate::kernels::transport::{Problem, padded};
use crate::real::Element;
use crate::{Error, Real};
use alloc::vec;
use alloc::vec::Vec;
use core::f64::consts::LN_2;

/// The memory of Newton's method, and what it has learned about the problem.
pub(super) struct Newton<T> {
    /// The large entries at the current potentials.
    kept: KeptRows<T>,
    /// Those at the end of the step that is tried.
    tried: KeptRows<T>,
    column_thresholds: Vec<T>,
    diagonal: Vec<f64>,
    /// The solution of the model, y.
    gradients: ConjugateGradients,
    components: Components,
    /// The shift relative to the error.
    mu: f64,
    /// The divisor of the share of a row and of a column that may be dropped.
    divisor: f64,
    /// Whether the current attempt has taken a step.
    has_moved: bool,
}

/// The share of a row and of a column that may be dropped at an error, if that is not too much.
pub(super) fn dropped(error: f64) -> f64 {
    let [least, most] = NEWTON_DROPPED;
    error.clamp(least, most)
}

/// What a step comes to.
enum Step {
    /// The potentials have moved.
    Taken,
    /// No length is accepted.
    Refused,
    /// The callback has stopped the solve.
    Stopped,
}

impl<T: Real> Newton<T> {
    /// Returns the memory for a problem, with at most `limit_bytes` for the kept entries. Returns
    /// `None` if there is not enough.
    pub(super) fn new(problem: &Problem<'_, T>, limit_bytes: usize) -> Option<Self> {
        let (rows, cols) = (problem.support.len(), problem.cost.cols());
        let entries = rows * cols;
        let limit = entries.min((entries / NEWTON_DENSITY).max(NEWTON_SMALL_ENTRIES));
        let limit = limit.min(limit_bytes / (2 * (size_of::<u32>() + size_of::<T>())));
        Some(Self {
            kept: KeptRows::new(problem, limit)?,
            tried: KeptRows::new(problem, limit)?,
            column_thresholds: vec![T::zero(); padded(cols)],
            diagonal: vec![0.0; cols],
            gradients: ConjugateGradients::new(cols),
            components: Components::new(problem),
            mu: 1.0,
            divisor: 1.0,
            has_moved: false,
        })
    }

    /// Returns the share of a row and of a column that may be dropped at this error.
    fn dropped(&self, error: f64) -> f64 {
        dropped(error) / self.divisor
    }

    /// Solves the model at the kept entries. Returns `<b - c, y>` and `<y, S y>`.
    fn solve_model(&mut self, problem: &Problem<'_, T>) -> (f64, f64) {
        let Self { kept, diagonal, gradients, .. } = self;
        for ((diagonal, c), b) in diagonal.iter_mut().zip(&kept.column_sums).zip(problem.b) {
            // A column with hardly any mass would move too far.
            *diagonal = c.max(0.25 * b);
        }
        let lambda = self.mu * kept.error.min(1.0);
        let mut model = Model { kept, a: problem.a, diagonal, lambda };
        gradients.solve(&mut model, problem.b, (kept.error.sqrt().min(0.5), NEWTON_CG_STEPS));
        gradients.slope_and_curvature(&model, problem.b)
    }

    /// Lowers the share that may be dropped. Returns false, and restores the first one, if it is as
    /// small as it may be.
    fn keep_more(&mut self) -> bool {
        let may = self.divisor < NEWTON_MAX_DIVISOR;
        self.divisor = if may { NEWTON_DIVISOR * self.divisor } else { 1.0 };
        may
    }

    /// Multiplies the shift.
    fn scale_shift(&mut self, factor: f64) {
        let [least, most] = NEWTON_SHIFTS;
        self.mu = (self.mu * factor).clamp(least, most);
    }
}

impl<T: Real> Solver<'_, T> {
    /// Takes steps of Newton's method until the error is within `tolerance`, `limit` iterations are
    /// done in all, or the callback stops the solve. Returns `None` if Sinkhorn's iterations must
    /// go on.
    pub(super) fn newton_steps(
        &mut self,
        (tolerance, limit): (f64, usize),
        errors: &mut Errors,
        on_iteration: &mut OnIteration<'_>,
    ) -> Result<Option<End>, Error> {
        let Some(mut newton) = self.newton.newton.take() else { return Ok(None) };
        let Self { settings, problem, potentials, domain, ranks, .. } = self;
        domain.leave_scaling(settings, problem, potentials, ranks);
        newton.has_moved = false;
        let end = self.run_newton(&mut newton, (tolerance, limit), errors, on_iteration);
        if matches!(end, Ok(Some(End::Converged))) {
            // The error says little about what the components of the kept entries exchange. A step
            // of one of them makes it right, if there are two.
            newton.components.largest_excess(&newton.kept, &self.problem);
            let is_split = newton.components.first_block(&self.problem, self.block_step.moved_mut());
            self.has_drifted = newton.kept.is_whole && is_split;
        }
        self.newton.end_attempt(newton.has_moved, self.iterations);
        self.newton.newton = Some(newton);
        // The next iteration of Sinkhorn reports the error of the rows, which are right.
        self.is_first = true;
        self.relaxation.restart_window();
        self.block_step.observe_from(&self.potentials);
        end
    }

    /// Takes steps, see [`newton_steps`](Self::newton_steps).
    fn run_newton(
        &mut self,
        newton: &mut Newton<T>,
        (tolerance, limit): (f64, usize),
        errors: &mut Errors,
        on_iteration: &mut OnIteration<'_>,
    ) -> Result<Option<End>, Error> {
        let problem = self.problem;
        let (mut must_evaluate, mut refused) = (true, 0);
        while self.iterations < limit {
            if core::mem::take(&mut must_evaluate) {
                let delta = newton.dropped(errors.last[1]);
                let Self { settings, potentials, memory, .. } = self;
                let thresholds = (delta, &mut newton.column_thresholds[..]);
                newton.kept.evaluate(settings.road, &problem, potentials, memory, thresholds);
                self.check_potentials()?;
                if self.report(newton.kept.error, on_iteration).is_break() {
                    return Ok(Some(End::Because(Status::Stopped)));
                }
            }
            let error = newton.kept.error;
            self.reported_error = error;
            errors.push(error);
            if tolerance > 0.0 && error <= tolerance {
                return Ok(Some(End::Converged));
            }
            if !newton.kept.is_whole {
                newton.divisor = 1.0;
                return Ok(None);
            }
            let excess = newton.components.largest_excess(&newton.kept, &problem);
            if excess > 0.25 * error && error > self.rounding() {
                if !newton.keep_more() {
                    return Ok(None);
                }
                must_evaluate = true;
                continue;
            }
            match self.newton_step(newton, limit, on_iteration)? {
                Step::Taken => refused = 0,
                Step::Stopped => return Ok(Some(End::Because(Status::Stopped))),
                // The model lacks what is left to do, or nothing is left.
                Step::Refused if error < NEWTON_FINE_ERROR => {
                    must_evaluate = error > self.rounding() && newton.keep_more();
                    if !must_evaluate {
                        return Ok(None);
                    }
                }
                Step::Refused if refused == 2 => return Ok(None),
                Step::Refused => refused += 1,
            }
        }
        Ok(Some(End::Because(Status::IterationLimit)))
    }

    /// Solves the model and tries the step in several lengths.
    fn newton_step(
        &mut self,
        newton: &mut Newton<T>,
        limit: usize,
        on_iteration: &mut OnIteration<'_>,
    ) -> Result<Step, Error> {
        let problem = self.problem;
        let (slope, curvature) = newton.solve_model(&problem);
        let (error, noise) = (newton.kept.error, self.rounding());
        for length in NEWTON_LENGTHS {
            if self.iterations >= limit {
                break;
            }
            let Self { settings, potentials, measured_potentials: tried, memory, .. } = self;
            tried.move_columns(potentials, length / LN_2, &newton.gradients.solution, problem.b);
            let thresholds = (newton.dropped(error), &mut newton.column_thresholds[..]);
            newton.tried.evaluate(settings.road, &problem, tried, memory, thresholds);
            let gain = LN_2 * tried.weighted_change(potentials, problem.a, problem.b);
            let (is_seen, halves) = (gain > noise, newton.tried.error <= 0.5 * error);
            let is_taken = halves || is_seen && gain >= 1e-4 * length * slope;
            if is_taken {
                let ratio = gain / (length * slope - 0.5 * length * length * curvature);
                // Shorter steps mean that the model was bad.
                let is_bad = length < 1.0 || is_seen && ratio < 0.25;
                let is_good = !is_bad && (ratio > 0.75 || !is_seen);
                newton.scale_shift(if is_bad { 4.0 } else { 1.0 } * if is_good { 0.5 } else { 1.0 });
                if is_seen && ratio > 1.5 || error < NEWTON_FINE_ERROR && !halves {
                    // What is dropped makes the model stiff.
                    newton.keep_more();
                }
                newton.has_moved = true;
                potentials.copy_from(tried);
                core::mem::swap(&mut newton.kept, &mut newton.tried);
                self.check_potentials()?;
            }
            let error = if is_taken { newton.kept.error } else { newton.tried.error };
            if self.report(error, on_iteration).is_break() {
                return Ok(Step::Stopped);
            }
            if is_taken {
                return Ok(Step::Taken);
            }
        }
        newton.scale_shift(4.0);
        Ok(Step::Refused)
    }
}
