//! The iterations of a solve: their domain, their over-relaxation, and when they stop.

use super::domain::{Domain, Method};
use super::epsilon_scaling::{EpsilonScaling, cost_range};
use super::over_relaxation::AdaptiveFactor;
use super::sinkhorn::{Sinkhorn, eta};
use super::units::Potentials;
use super::workspace::Memory;
use crate::kernels::transport::tuning::{
    BREAK_EVEN_ITERATIONS, INITIAL_LOG_ITERATIONS, MAX_MIN_LOG_ITERATIONS, MAX_STAGE_ITERATIONS, STAGE_TOLERANCE,
};
use crate::kernels::transport::{PlanSummary, Problem};
use crate::real::Element;
use crate::{Error, Real};
use core::ops::ControlFlow;

/// The largest potential in base-2 units. Up to it, arguments of exponentials have a few correct
/// bits after the binary point in both element types.
const MAX_ABS_POTENTIAL: f64 = 1_099_511_627_776.0; // 2^40

/// The progress of a solve, passed to the callback after every iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The number of iterations done.
    pub iteration: usize,
    /// The L1 error of the marginals before the last iteration, in the units of the masses;
    /// infinite after the first iteration at each epsilon.
    /// [`Transport::marginal_error`](super::Transport::marginal_error) is measured at the end.
    pub error: f64,
    /// The current epsilon; see [`EpsilonScaling`].
    pub epsilon: f64,
}

/// The callback of a solve.
pub(super) type OnIteration<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

/// The result of a solve, in base-2 units.
pub(super) struct Solution {
    /// The potentials.
    pub(super) potentials: Potentials,
    /// The marginal error and the cost of the plan.
    pub(super) summary: PlanSummary,
    /// The number of iterations done.
    pub(super) iterations: usize,
}

/// A running solve.
pub(super) struct Solver<'a, T: Real> {
    settings: &'a Sinkhorn,
    /// The problem at the current epsilon.
    problem: Problem<'a, T>,
    /// The potentials, without the scalings of the current domain.
    potentials: Potentials,
    /// Memory for the sum of potentials and scalings, which a measurement evaluates.
    measured_potentials: Potentials,
    memory: Memory<T>,
    domain: Domain<T>,
    /// The number of log-domain iterations that must come before the next Gibbs matrix.
    min_log_iterations: usize,
    factor: AdaptiveFactor,
    /// Whether no iteration was done at this epsilon yet.
    first_at_epsilon: bool,
    /// The error that the last iteration reported.
    reported_error: f64,
    /// The number of iterations done.
    iterations: usize,
    /// The largest number of iterations.
    limit: usize,
}

impl<'a, T: Real> Solver<'a, T> {
    /// Returns a solve that starts from the given potentials. Fails if one is too large.
    pub(super) fn new(settings: &'a Sinkhorn, problem: Problem<'a, T>, potentials: Potentials) -> Result<Self, Error> {
        let is_scaling = settings.method == Method::Scaling;
        let solver = Self {
            settings,
            measured_potentials: potentials.clone(),
            potentials,
            memory: Memory::new(problem.support.len(), problem.cost),
            domain: Domain::new(settings, &problem),
            problem,
            min_log_iterations: if is_scaling { 1 } else { INITIAL_LOG_ITERATIONS },
            factor: AdaptiveFactor::new(settings.over_relaxation),
            first_at_epsilon: true,
            reported_error: f64::INFINITY,
            iterations: 0,
            limit: settings.max_iterations,
        };
        solver.check_potentials()?;
        Ok(solver)
    }

    /// Iterates at the epsilon of the problem until the measured error is within the tolerance, the
    /// limit is reached, or the callback stops the solve.
    pub(super) fn solve_at_epsilon(mut self, on_iteration: &mut OnIteration<'_>) -> Result<Solution, Error> {
        let tolerance = self.relative_tolerance();
        let mut target = tolerance;
        loop {
            let flow = self.iterate_until(target, self.limit, on_iteration)?;
            let summary = self.evaluate_plan();
            let met = summary.error * self.problem.total_mass <= self.settings.tolerance_for::<T>();
            if flow.is_break() || self.iterations >= self.limit || met {
                let Self { settings, problem, mut potentials, mut domain, iterations, .. } = self;
                domain.leave_scaling(settings, &problem, &mut potentials);
                return Ok(Solution { potentials, summary, iterations });
            }
            // The error that iterations report differs slightly from the measured error.
            let reported = (self.reported_error * (tolerance / summary.error)).max(f64::MIN_POSITIVE);
            target = target.min(reported);
        }
    }

    /// Solves the problem roughly at the larger epsilons of the schedule, if there is a schedule.
    pub(super) fn run_epsilon_stages(&mut self, on_iteration: &mut OnIteration<'_>) -> Result<(), Error> {
        let EpsilonScaling::Factor(factor) = self.settings.epsilon_scaling else { return Ok(()) };
        let tolerance = STAGE_TOLERANCE.max(self.relative_tolerance());
        let last_eta = self.problem.eta;
        let last = self.epsilon();
        let mut epsilon = cost_range(self.problem.cost);
        // The limit bounds the number of stages, because the factor may be only slightly above 1.
        while self.iterations < self.limit && epsilon > last * factor.sqrt() {
            self.set_epsilon(eta(epsilon))?;
            let limit = self.limit.min(self.iterations + MAX_STAGE_ITERATIONS);
            if self.iterate_until(tolerance, limit, on_iteration)?.is_break() {
                self.limit = self.iterations;
            }
            epsilon /= factor;
        }
        self.set_epsilon(last_eta)
    }

    /// Iterates until the reported error, for masses with a total of 1, is within `tolerance`,
    /// until `limit` iterations are done in all, or until the callback stops the solve.
    fn iterate_until(
        &mut self,
        tolerance: f64,
        limit: usize,
        on_iteration: &mut OnIteration<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        let mut errors = [f64::INFINITY; 2];
        while self.iterations < limit && !(tolerance > 0.0 && errors[1] <= tolerance) {
            if self.should_enter_scaling(errors, tolerance, limit - self.iterations) {
                let Self { settings, problem, potentials, memory, domain, .. } = self;
                domain.enter_scaling(settings, problem, potentials, memory);
            }
            let error = match self.scaling_iteration() {
                Some(error) => error,
                None => self.log_iteration()?,
            };
            self.iterations += 1;
            // An iteration reports the error before it, which means nothing for the first one.
            errors = [errors[1], if self.first_at_epsilon { f64::INFINITY } else { error }];
            (self.reported_error, self.first_at_epsilon) = (error, false);
            self.factor.observe(errors[1]);
            let error = errors[1] * self.problem.total_mass;
            if on_iteration(&Progress { iteration: self.iterations, error, epsilon: self.epsilon() }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Returns whether a Gibbs matrix may be built now and, with [`Method::Auto`], enough
    /// iterations are expected to pay for it. The errors of the last two iterations and the number
    /// of iterations that are `left` predict the iterations to come.
    fn should_enter_scaling(&self, [before, now]: [f64; 2], tolerance: f64, left: usize) -> bool {
        match self.domain {
            Domain::Log { iterations, memory: Some(_) } if iterations >= self.min_log_iterations => {}
            _ => return false,
        }
        if self.settings.method != Method::Auto {
            return true;
        }
        // In the long run, the error falls by a constant factor per iteration.
        let to_come = (tolerance / now).ln() / (now / before).ln();
        let ends_soon = tolerance > 0.0 && now < before && to_come < BREAK_EVEN_ITERATIONS;
        left as f64 >= BREAK_EVEN_ITERATIONS && !ends_soon
    }

    /// Runs one iteration on the scalings and returns the error before it. If the scalings leave
    /// their range, moves to the log domain. Returns `None` then, and in the log domain.
    fn scaling_iteration(&mut self) -> Option<f64> {
        let Self { settings, problem, potentials, memory, domain, factor, .. } = self;
        let Domain::Scaling { iterations, gibbs } = domain else { return None };
        let mut scaled = gibbs.scaled_gibbs();
        let workspace = &mut memory.workspace();
        let error = T::scaling_iteration(settings.road, problem, factor.factor, &mut scaled, workspace);
        if error.is_some() {
            *iterations += 1;
            return error;
        }
        // If a matrix was left too soon to pay for itself, the next one is built later.
        if (*iterations as f64) < BREAK_EVEN_ITERATIONS {
            self.min_log_iterations = (2 * self.min_log_iterations).min(MAX_MIN_LOG_ITERATIONS);
        }
        domain.leave_scaling(settings, problem, potentials);
        None
    }

    /// Runs one iteration on the potentials and returns the error before it.
    fn log_iteration(&mut self) -> Result<f64, Error> {
        let Self { settings, problem, potentials, memory, factor, .. } = self;
        let (potentials, workspace) = (&mut potentials.as_mut(), &mut memory.workspace());
        let error = T::log_iteration(settings.road, problem, factor.factor, potentials, workspace);
        if let Domain::Log { iterations, .. } = &mut self.domain {
            *iterations += 1;
        }
        self.check_potentials()?;
        Ok(error)
    }

    /// Measures the marginal error and the cost of the plan. The scalings stay as they are.
    fn evaluate_plan(&mut self) -> PlanSummary {
        let Self { settings, problem, potentials, measured_potentials, memory, domain, .. } = self;
        measured_potentials.copy_from(potentials);
        domain.absorb_scalings(settings, problem, measured_potentials);
        T::evaluate_plan(settings.road, problem, measured_potentials.as_ref(), &mut memory.workspace())
    }

    /// Returns the tolerance for masses with a total of 1.
    fn relative_tolerance(&self) -> f64 {
        (self.settings.tolerance_for::<T>() / self.problem.total_mass).min(f64::MAX)
    }

    /// Returns the current epsilon.
    fn epsilon(&self) -> f64 {
        core::f64::consts::LOG2_E / self.problem.eta.to_f64()
    }

    /// Changes epsilon, given as eta. The potentials stay the same in the units of the cost.
    fn set_epsilon(&mut self, eta: T) -> Result<(), Error> {
        let Self { settings, problem, potentials, domain, .. } = self;
        domain.leave_scaling(settings, problem, potentials);
        potentials.rescale(eta.to_f64() / problem.eta.to_f64(), problem.log2_a, problem.b);
        if let Domain::Log { iterations, .. } = domain {
            *iterations = 0;
        }
        problem.eta = eta;
        self.first_at_epsilon = true;
        self.factor = AdaptiveFactor::new(settings.over_relaxation);
        self.check_potentials()
    }

    /// Fails if the largest potential exceeds [`MAX_ABS_POTENTIAL`] or is NaN.
    fn check_potentials(&self) -> Result<(), Error> {
        let is_small = self.potentials.max_abs() <= MAX_ABS_POTENTIAL;
        if is_small { Ok(()) } else { Err(self.settings.epsilon_too_small()) }
    }
}
