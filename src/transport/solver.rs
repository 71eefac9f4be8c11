//! The iterations of a solve: their domain, over-relaxation and schedule, and when they stop.

use super::block_step::{BlockStep, Drift};
use super::convergence::{Errors, OnIteration, Progress, Smallest};
use super::domain::{Domain, Method};
use super::epsilon_scaling::{EpsilonScaling, cost_range};
use super::newton_turn::NewtonTurn;
use super::over_relaxation::AdaptiveRelaxation;
use super::ranks::Ranks;
use super::row_pass;
use super::sinkhorn::{Sinkhorn, eta};
use super::solution::Status;
use super::units::Potentials;
use super::workspace::Memory;
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::transport::tuning::{
    AUTO_EPSILON_FACTOR, BREAK_EVEN_ITERATIONS, FEW_ITERATIONS, INITIAL_LOG_ITERATIONS, MAX_MIN_LOG_ITERATIONS,
    MAX_STAGE_ITERATIONS, SCHEDULE_ERRORS, SCHEDULE_PATIENCE, SCHEDULE_RANGES, STAGE_TOLERANCE, STAGNATION_ITERATIONS,
    STAGNATION_MEASUREMENTS,
};
use crate::kernels::transport::{PlanSummary, Problem};
use crate::real::Element;
use crate::{Error, Real};
use core::ops::ControlFlow;

/// The largest potential in base-2 units. Up to it, arguments of exponentials have a few correct
/// bits after the binary point in both element types.
pub(super) const MAX_ABS_POTENTIAL: f64 = 1_099_511_627_776.0; // 2^40

/// The result of a solve, in base-2 units.
pub(super) struct Solution {
    /// The potentials.
    pub(super) potentials: Potentials,
    /// The marginal error and the cost of the plan.
    pub(super) summary: PlanSummary,
    /// The number of iterations done.
    pub(super) iterations: usize,
    /// Why the solve ended.
    pub(super) status: Status,
}

/// Why the iterations at one epsilon end.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum End {
    /// The reported error is within the tolerance.
    Converged,
    /// The solve ends for the reason that this status gives.
    Because(Status),
    /// The iterations are so slow that a schedule of epsilons should come first.
    Slow,
}

/// A running solve.
pub(super) struct Solver<'a, T: Real> {
    pub(super) settings: &'a Sinkhorn,
    /// The problem at the current epsilon.
    pub(super) problem: Problem<'a, T>,
    /// The potentials, without the scalings of the current domain.
    pub(super) potentials: Potentials,
    /// Memory for the sum of potentials and scalings, which a measurement evaluates.
    pub(super) measured_potentials: Potentials,
    pub(super) memory: Memory<T>,
    pub(super) domain: Domain<T>,
    pub(super) block_step: BlockStep,
    /// The number of log-domain iterations that must come before the next Gibbs matrix.
    min_log_iterations: usize,
    pub(super) relaxation: AdaptiveRelaxation,
    /// The range of the costs, once it is needed.
    range: Option<f64>,
    /// Whether a slow solve may still get a schedule of epsilons.
    may_schedule: bool,
    /// Whether no iteration was done since the start, the last change of epsilon, or the last step
    /// of Newton's method.
    pub(super) is_first: bool,
    /// The error that the last iteration reported.
    pub(super) reported_error: f64,
    /// The number of iterations done.
    pub(super) iterations: usize,
    /// The largest number of iterations.
    limit: usize,
    /// Whether the callback has stopped the solve.
    is_stopped: bool,
    /// Whether the drift of blocks has proved that there is no plan.
    is_infeasible: bool,
    /// Whether blocks have drifted, so that the last digits of what they exchange may be missing.
    pub(super) has_drifted: bool,
    /// Newton's method, and when it is tried.
    pub(super) newton: NewtonTurn<T>,
    /// The ranks that hold the other rows.
    pub(super) ranks: Ranks<'a>,
}

impl<'a, T: Real> Solver<'a, T> {
    /// Returns a solve that starts from the given potentials. Fails if one is too large.
    pub(super) fn new(
        settings: &'a Sinkhorn,
        problem: Problem<'a, T>,
        mut potentials: Potentials,
        mut ranks: Ranks<'a>,
    ) -> Result<Self, Error> {
        let is_scaling = settings.method == Method::Scaling;
        potentials.exchange_max_abs(&mut ranks);
        let newton = NewtonTurn::new(settings, &problem, ranks.is_one());
        let solver = Self {
            settings,
            measured_potentials: potentials.clone(),
            block_step: BlockStep::new(&potentials),
            potentials,
            memory: Memory::new(problem.support.len(), problem.cost),
            domain: Domain::new(settings, &problem, &mut ranks),
            problem,
            min_log_iterations: if is_scaling { 1 } else { INITIAL_LOG_ITERATIONS },
            relaxation: AdaptiveRelaxation::new(settings.over_relaxation),
            range: None,
            may_schedule: settings.epsilon_scaling == EpsilonScaling::Auto && settings.warm_start.is_none(),
            is_first: true,
            reported_error: f64::INFINITY,
            iterations: 0,
            limit: settings.max_iterations,
            is_stopped: false,
            is_infeasible: false,
            has_drifted: false,
            newton,
            ranks,
        };
        solver.check_potentials()?;
        Ok(solver)
    }

    /// Iterates, after the stages of the schedule if there is one, until the measured error is
    /// within the tolerance, the limit is reached, nothing more can be gained, or the callback
    /// stops the solve.
    pub(super) fn solve(mut self, on_iteration: &mut OnIteration<'_>) -> Result<Solution, Error> {
        if let EpsilonScaling::Factor(factor) = self.settings.epsilon_scaling {
            self.run_epsilon_stages(factor, on_iteration)?;
        }
        let tolerance = self.settings.tolerance_for::<T>();
        let mut target = tolerance;
        // Of the measured errors.
        let mut smallest = Smallest::new();
        loop {
            let end = self.iterate_until(target, self.limit, on_iteration)?;
            if end == End::Slow {
                self.run_epsilon_stages(AUTO_EPSILON_FACTOR, on_iteration)?;
                continue;
            }
            if end == End::Converged {
                self.repeat_block_step();
            }
            let summary = self.evaluate_plan();
            let is_met = summary.error <= self.settings.measured_tolerance::<T>();
            smallest.push(summary.error);
            let is_stagnant = smallest.age >= STAGNATION_MEASUREMENTS && smallest.error <= self.rounding();
            if is_met && tolerance > 0.0 || is_stagnant || end != End::Converged {
                let Self { settings, problem, mut potentials, mut domain, mut ranks, .. } = self;
                let Self { iterations, is_stopped, is_infeasible, .. } = self;
                domain.leave_scaling(settings, &problem, &mut potentials, &mut ranks);
                ranks.check()?;
                let status = match end {
                    _ if is_met => Status::Converged,
                    // Also in a stage of a schedule.
                    _ if is_stopped => Status::Stopped,
                    _ if is_infeasible => Status::Infeasible,
                    End::Because(status) => status,
                    // The reported error is within the target, but the measured one is not.
                    End::Converged | End::Slow => Status::Stagnated,
                };
                return Ok(Solution { potentials, summary, iterations, status });
            }
            // The error that iterations report differs slightly from the measured error.
            let reported = (self.reported_error * (tolerance / summary.error)).max(f64::MIN_POSITIVE);
            target = target.min(reported);
        }
    }

    /// Solves the problem roughly at the larger epsilons of a schedule.
    fn run_epsilon_stages(&mut self, factor: f64, on_iteration: &mut OnIteration<'_>) -> Result<(), Error> {
        self.may_schedule = false;
        let tolerance = STAGE_TOLERANCE.max(self.settings.tolerance_for::<T>());
        let last_eta = self.problem.eta;
        let last = self.epsilon();
        let mut epsilon = self.range() / 4.0;
        // The limit bounds the number of stages, because the factor may be only slightly above 1.
        while self.iterations < self.limit && epsilon > last * factor.sqrt() {
            self.set_epsilon(eta(epsilon))?;
            let limit = self.limit.min(self.iterations + MAX_STAGE_ITERATIONS);
            if self.iterate_until(tolerance, limit, on_iteration)? == End::Because(Status::Infeasible) {
                break; // The iterations at the last epsilon find it again.
            }
            epsilon /= factor;
        }
        self.set_epsilon(last_eta)
    }

    /// Iterates until the reported error is within `tolerance`, until `limit` iterations are done
    /// in all, until nothing more can be gained, or until the callback stops the solve.
    fn iterate_until(
        &mut self,
        tolerance: f64,
        limit: usize,
        on_iteration: &mut OnIteration<'_>,
    ) -> Result<End, Error> {
        let mut errors = Errors::new();
        let start = self.iterations;
        self.block_step.observe_from(&self.potentials);
        while self.iterations < limit {
            if self.should_try_newton(errors.last[1]) {
                if let Some(end) = self.newton_steps((tolerance, limit), &mut errors, on_iteration)? {
                    return Ok(end);
                }
                continue;
            }
            self.newton.count_iteration();
            if self.should_enter_scaling(errors.last, tolerance, limit - self.iterations) {
                let Self { settings, problem, potentials, memory, domain, .. } = self;
                domain.enter_scaling(settings, problem, potentials, memory);
            }
            let error = match self.scaling_iteration() {
                Some(error) => error,
                None => self.log_iteration()?,
            };
            self.ranks.check()?;
            // An iteration reports the error before it, which means nothing for the first one.
            errors.push(if self.is_first { f64::INFINITY } else { error });
            (self.reported_error, self.is_first) = (error, false);
            if self.report(errors.last[1], on_iteration).is_break() {
                return Ok(End::Because(Status::Stopped));
            }
            if tolerance > 0.0 && errors.last[1] <= tolerance {
                return Ok(End::Converged);
            }
            if let Some(rate) = self.relaxation.observe(errors.last[1]) {
                let is_slow = errors.to_come(tolerance, rate) > FEW_ITERATIONS;
                if is_slow && self.may_schedule && self.needs_schedule(self.iterations - start, errors.last[1]) {
                    return Ok(End::Slow);
                }
                self.choose_newton(errors.to_come(tolerance, self.relaxation.best_rate), errors.last[1]);
                if let Domain::Log { .. } = self.domain {
                    self.potentials.center(self.problem.b);
                    self.potentials.exchange_max_abs(&mut self.ranks);
                }
            }
            if tolerance > 0.0
                && errors.smallest.age >= STAGNATION_ITERATIONS
                && errors.smallest.error <= self.rounding()
            {
                return Ok(End::Because(Status::Stagnated));
            }
            if errors.looks.0 >= errors.looks.1 && self.iterations < limit {
                match self.look_for_blocks(&mut errors, tolerance)? {
                    Drift::Infeasible if tolerance > 0.0 => return Ok(End::Because(Status::Infeasible)),
                    // All iterations are wanted.
                    Drift::Infeasible => self.is_infeasible = true,
                    Drift::Step { .. } if self.report(errors.last[1], on_iteration).is_break() => {
                        return Ok(End::Because(Status::Stopped));
                    }
                    Drift::Step { .. } | Drift::None => {}
                }
            }
        }
        Ok(End::Because(Status::IterationLimit))
    }

    /// Returns the range of the costs.
    fn range(&mut self) -> f64 {
        let epsilon = self.epsilon();
        *self.range.get_or_insert_with(|| cost_range(&self.problem, epsilon, &mut self.ranks))
    }

    /// Returns whether a slow solve with this error after this number of iterations needs a
    /// schedule of epsilons.
    fn needs_schedule(&mut self, iterations: usize, error: f64) -> bool {
        let [moderate, large] = SCHEDULE_RANGES.map(|range| range * self.epsilon());
        let range = self.range();
        self.may_schedule = range > moderate;
        let kind = usize::from(range > large);
        self.may_schedule && iterations >= SCHEDULE_PATIENCE[kind] && error > SCHEDULE_ERRORS[kind]
    }

    /// Counts an iteration and calls the callback. If that breaks, no iteration follows.
    pub(super) fn report(&mut self, error: f64, on_iteration: &mut OnIteration<'_>) -> ControlFlow<()> {
        self.iterations += 1;
        let flow = on_iteration(&Progress { iteration: self.iterations, error, epsilon: self.epsilon() });
        if flow.is_break() {
            (self.is_stopped, self.limit) = (true, self.iterations);
        }
        flow
    }

    /// Returns a bound on the error that rounding alone leaves.
    pub(super) fn rounding(&self) -> f64 {
        8.0 * (self.potentials.max_abs() * 0.5 * f64::EPSILON + T::EPSILON.to_f64())
    }

    /// Returns whether a Gibbs matrix may be built now and, with [`Method::Auto`], enough
    /// iterations are expected to pay for it. The errors of the last two iterations and the number
    /// of iterations that are `left` predict the iterations to come.
    fn should_enter_scaling(&self, [before, now]: [f64; 2], tolerance: f64, left: usize) -> bool {
        match self.domain {
            Domain::Log { iterations, memory: Some(_) } if iterations >= self.min_log_iterations => {}
            _ => return false,
        }
        if self.settings.method == Method::Scaling {
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
        let Self { settings, problem, potentials, memory, domain, relaxation, ranks, .. } = self;
        let Domain::Scaling { iterations, gibbs } = domain else { return None };
        let mut scaled = gibbs.scaled_gibbs();
        let error =
            row_pass::scaling_iteration(settings.road, problem, relaxation.relaxation, &mut scaled, memory, ranks);
        if error.is_some() {
            *iterations += 1;
            return error;
        }
        // If a matrix was left too soon to pay for itself, the next one is built later.
        if (*iterations as f64) < BREAK_EVEN_ITERATIONS {
            self.min_log_iterations = (2 * self.min_log_iterations).min(MAX_MIN_LOG_ITERATIONS);
        }
        domain.leave_scaling(settings, problem, potentials, ranks);
        None
    }

    /// Runs one iteration on the potentials and returns the error before it.
    fn log_iteration(&mut self) -> Result<f64, Error> {
        let Self { settings, problem, potentials, memory, relaxation, ranks, .. } = self;
        let error = row_pass::log_iteration(
            settings.road,
            problem,
            relaxation.relaxation,
            &mut potentials.as_mut(),
            memory,
            ranks,
        );
        if let Domain::Log { iterations, .. } = &mut self.domain {
            *iterations += 1;
        }
        self.check_potentials()?;
        Ok(error)
    }

    /// Measures the marginal error and the cost of the plan. The scalings stay as they are.
    fn evaluate_plan(&mut self) -> PlanSummary {
        let Self { settings, problem, potentials, measured_potentials, memory, domain, ranks, .. } = self;
        measured_potentials.copy_from(potentials);
        domain.absorb_scalings(settings, problem, measured_potentials, ranks);
        row_pass::evaluate_plan(settings.road, problem, measured_potentials.as_ref(), memory, ranks)
    }

    /// Returns the current epsilon.
    fn epsilon(&self) -> f64 {
        core::f64::consts::LOG2_E / self.problem.eta.to_f64()
    }

    /// Changes epsilon, given as eta. The potentials stay the same in the units of the cost.
    fn set_epsilon(&mut self, eta: T) -> Result<(), Error> {
        let Self { settings, problem, potentials, domain, ranks, .. } = self;
        domain.leave_scaling(settings, problem, potentials, ranks);
        potentials.rescale(eta.to_f64() / problem.eta.to_f64(), problem.log2_a, problem.b);
        potentials.exchange_max_abs(ranks);
        if let Domain::Log { iterations, .. } = domain {
            *iterations = 0;
        }
        problem.eta = eta;
        self.is_first = true;
        self.relaxation = AdaptiveRelaxation::new(settings.over_relaxation);
        self.check_potentials()
    }

    /// Fails if the largest potential exceeds [`MAX_ABS_POTENTIAL`] or is NaN, or if a reduction
    /// has failed.
    pub(super) fn check_potentials(&self) -> Result<(), Error> {
        self.ranks.check()?;
        let is_small = self.potentials.max_abs() <= MAX_ABS_POTENTIAL;
        if is_small { Ok(()) } else { Err(self.settings.epsilon_too_small()) }
    }
}
