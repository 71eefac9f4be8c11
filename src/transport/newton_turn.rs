//! When a solve turns from Sinkhorn's iterations to Newton's method.
//!
//! The steps of conjugate gradients within Newton's method lower an error about as fast as
//! over-relaxed iterations do, and read the kept entries only. If N iterations are to come and d is
//! the share of the entries that is kept, Newton's method takes, in iterations of the log domain,
//! ```text
//! NEWTON_READS + NEWTON_ENTRY_TIME d N               instead of N, or SCALING_TIME N by scaling
//! ```
//! N comes from the measured rate of convergence, and d from a few rows. With [`Method::Auto`], the
//! solve turns to Newton's method if that takes less time.

use super::domain::{Domain, Method};
use super::kept_rows::SampledRows;
use super::newton::{Newton, dropped};
use super::over_relaxation::OverRelaxation;
use super::sinkhorn::{Sinkhorn, eta};
use super::solver::Solver;
use crate::Real;
use crate::kernels::transport::Problem;
use crate::kernels::transport::tuning::{
    CACHED_BYTES, NEWTON_ADAPTATION, NEWTON_CALL_ENTRIES, NEWTON_ENTRY_TIME, NEWTON_READS, NEWTON_REST,
    NEWTON_START_ERROR, SCALING_TIME,
};

/// Newton's method in a solve, and when it is tried.
pub(super) struct NewtonTurn<T> {
    /// The memory of the method, once there is some.
    pub(super) newton: Option<Newton<T>>,
    /// The memory of looks at some rows, once there is some.
    sampled: Option<SampledRows<T>>,
    /// Whether the method is tried if iterations are too slow, and not in every case.
    is_optional: bool,
    /// The number of iterations before the next attempt, if one is to come.
    wait: Option<usize>,
    /// The number of iterations between two attempts.
    rest: usize,
    /// The number of iterations of the solve before the method may be chosen.
    earliest: usize,
}

impl<T: Real> NewtonTurn<T> {
    /// Returns the start of a solve. With [`Method::Newton`], the memory is allocated.
    pub(super) fn new(settings: &Sinkhorn, problem: &Problem<'_, T>, is_one_rank: bool) -> Self {
        let is_forced = is_one_rank && settings.method == Method::Newton;
        // Other settings ask for iterations.
        let is_accelerated = settings.over_relaxation == OverRelaxation::Auto && settings.tolerance_for::<T>() > 0.0;
        let newton = if is_forced { Newton::new(problem, settings.memory_limit) } else { None };
        Self {
            wait: newton.as_ref().map(|_| 0),
            newton,
            sampled: None,
            is_optional: is_one_rank && settings.method == Method::Auto && is_accelerated,
            rest: NEWTON_REST,
            earliest: 0,
        }
    }

    /// Counts an iteration.
    pub(super) fn count_iteration(&mut self) {
        self.wait = self.wait.map(|wait| wait.saturating_sub(1));
    }

    /// Ends an attempt after this number of iterations of the solve.
    pub(super) fn end_attempt(&mut self, has_moved: bool, iterations: usize) {
        self.rest = if has_moved { NEWTON_REST } else { self.rest.saturating_mul(2) };
        self.wait = Some(self.rest);
        if self.is_optional && !has_moved {
            // Attempts in vain take at most a constant share of all iterations.
            (self.wait, self.earliest) = (None, iterations.saturating_mul(2));
        }
    }
}

impl<T: Real> Solver<'_, T> {
    /// Returns whether Newton's method should be tried after an iteration that reported this error.
    pub(super) fn should_try_newton(&self, error: f64) -> bool {
        self.newton.wait == Some(0) && error <= NEWTON_START_ERROR && self.is_at_last_epsilon()
    }

    /// With [`Method::Auto`], chooses Newton's method if it promises to be faster than iterations,
    /// whose number under the best factor of relaxation is `iterations_to_come`. Without memory for
    /// it, iterations go on.
    pub(super) fn choose_newton(&mut self, iterations_to_come: f64, error: f64) {
        let turn = &self.newton;
        let may = turn.is_optional && turn.wait.is_none() && self.iterations >= turn.earliest;
        if !may || error > NEWTON_START_ERROR || error <= self.rounding() || !self.is_at_last_epsilon() {
            return;
        }
        let entries = self.problem.support.len() as f64 * self.problem.cost.cols() as f64;
        let is_cached = entries * size_of::<T>() as f64 <= CACHED_BYTES as f64;
        let is_scaling = is_cached && !matches!(self.domain, Domain::Log { memory: None, .. });
        let iterations = (NEWTON_ADAPTATION * iterations_to_come).min(1e100);
        let left = if is_scaling { SCALING_TIME * iterations } else { iterations } - NEWTON_READS;
        let gradients = |share: f64| NEWTON_ENTRY_TIME * share * iterations * entries / (entries + NEWTON_CALL_ENTRIES);
        if left > 0.0 && self.share_to_keep(error).is_some_and(|share| left > gradients(share)) {
            if self.newton.newton.is_none() {
                self.newton.newton = Newton::new(&self.problem, self.settings.memory_limit);
            }
            self.newton.wait = self.newton.newton.as_ref().map(|_| 0);
            self.newton.is_optional = self.newton.wait.is_some();
        }
    }

    /// Returns the share of the entries that Newton's method would keep, if there is memory to
    /// estimate it.
    fn share_to_keep(&mut self, error: f64) -> Option<f64> {
        let Self { settings, problem, potentials, measured_potentials, memory, domain, newton, ranks, .. } = self;
        if newton.sampled.is_none() {
            newton.sampled = SampledRows::new(problem);
        }
        measured_potentials.copy_from(potentials);
        domain.absorb_scalings(settings, problem, measured_potentials, ranks);
        let sampled = newton.sampled.as_mut()?;
        Some(sampled.share(settings.road, problem, measured_potentials.as_ref(), memory, dropped(error)))
    }

    /// Returns whether the current epsilon is that of the settings.
    fn is_at_last_epsilon(&self) -> bool {
        self.problem.eta == eta(self.settings.epsilon)
    }
}
