//! When a solve looks for blocks of potentials that drift, and moves them.

use super::block_step::Drift;
use super::convergence::Errors;
use super::over_relaxation::OverRelaxation;
use super::solver::Solver;
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::transport::tuning::{BLOCK_STEP_DISTANCES, FEW_ITERATIONS, MIN_BLOCK_GAIN};
use crate::{Error, Real};

impl<T: Real> Solver<'_, T> {
    /// Looks for a block of potentials that drifts, if many iterations are to come, and moves it if
    /// that gains something. Returns the step that it made, or the proof that there is no plan.
    pub(super) fn look_for_blocks(&mut self, errors: &mut Errors, tolerance: f64) -> Result<Drift, Error> {
        let tolerance = if tolerance > 0.0 { tolerance } else { self.settings.measured_tolerance::<T>() };
        let rate = (errors.last[1] / errors.at_look).powf(1.0 / errors.looks.0 as f64);
        let is_slow = errors.at_look.is_finite() && errors.to_come(tolerance, rate) > FEW_ITERATIONS;
        let Self { settings, problem, potentials, measured_potentials, memory, domain, block_step, ranks, .. } = self;
        measured_potentials.copy_from(potentials);
        domain.absorb_scalings(settings, problem, measured_potentials, ranks);
        let now = measured_potentials;
        let mut drift = Drift::None;
        if is_slow {
            let may_move = settings.over_relaxation == OverRelaxation::Auto;
            drift = block_step.look(settings.road, problem, now, (memory, ranks), (may_move, tolerance));
        }
        let [shortest, longest] = BLOCK_STEP_DISTANCES;
        let next_look = match drift {
            Drift::Step { distance, gain } if gain > MIN_BLOCK_GAIN * errors.gain => {
                domain.leave_scaling(settings, problem, potentials, ranks);
                block_step.apply(distance, potentials, problem.b, ranks);
                now.copy_from(potentials);
                self.has_drifted = true;
                shortest
            }
            Drift::Step { .. } | Drift::None => {
                drift = Drift::None;
                if is_slow { (2 * errors.looks.1).min(longest) } else { errors.looks.1 }
            }
            Drift::Infeasible => longest,
        };
        block_step.observe_from(now);
        (errors.at_look, errors.looks, errors.gain) = (errors.last[1], (0, next_look), 0.0);
        self.check_potentials()?;
        Ok(drift)
    }

    /// Moves the last block that drifted once more, now that the rest is right. The marginal error
    /// says little about the tiny entries that it exchanges.
    pub(super) fn repeat_block_step(&mut self) {
        if !core::mem::take(&mut self.has_drifted) {
            return;
        }
        let Self { settings, problem, potentials, memory, domain, block_step, ranks, .. } = self;
        domain.leave_scaling(settings, problem, potentials, ranks);
        block_step.take_up_moved();
        if let Drift::Step { distance, .. } = block_step.step(settings.road, problem, potentials, (memory, ranks)) {
            block_step.apply(distance, potentials, problem.b, ranks);
        }
    }
}
