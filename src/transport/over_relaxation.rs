//! Over-relaxation: the factor by which potentials move beyond their updates.

#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::transport::potentials::Relaxation;
use crate::kernels::transport::tuning::MIN_RATE_WINDOW;

/// The factor by which [`Sinkhorn`](super::Sinkhorn) moves potentials beyond their updates. It cuts
/// the number of iterations when convergence is slow (Thibault, Chizat, Dossal & Papadakis 2021,
/// "Overrelaxed Sinkhorn-Knopp Algorithm for Regularized Optimal Transport").
///
/// A row or column whose sum is too small by a large factor moves by its update alone, so that the
/// dual value never falls, and the solve converges under every factor.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum OverRelaxation {
    /// The best factor for the measured rate of convergence; starts at 1. If blocks of the plan
    /// hardly exchange mass, potentials also move by whole blocks: see
    /// [`Sinkhorn`](super::Sinkhorn).
    #[default]
    Auto,
    /// The factor 1: potentials move to their updates.
    Off,
    /// A factor between 0 and 2; 1 is no over-relaxation.
    Factor(#[cfg_attr(feature = "serde", serde(deserialize_with = "crate::serialized::between_0_and_2"))] f64),
}

/// The current relaxation, adapted to the rate of convergence with [`OverRelaxation::Auto`].
///
/// Near the solution, Sinkhorn's iteration is linear: the error falls by a factor `rate` each time.
/// Over-relaxation makes it a successive over-relaxation (Thibault et al. 2021; Lehmann, von
/// Renesse, Sambale & Uschmajew 2022). Young's theory gives the rate without over-relaxation from
/// the rate under a factor w, `(rate + w - 1)^2 / (w^2 rate)`, and from it the best factor,
/// `2 / (1 + sqrt(1 - rate))`. A factor w above the best one has the rate `w - 1`, which says
/// nothing about the best one: w is lowered until the rate is above `w - 1` again. The limit of the
/// factor grows with the number of iterations. No window is then longer than all iterations before
/// it, and a wrong factor costs at most a constant share of all iterations.
pub(super) struct AdaptiveRelaxation {
    /// The current relaxation.
    pub(super) relaxation: Relaxation,
    /// Whether the factor is adapted.
    is_adaptive: bool,
    /// The number of iterations observed.
    iterations: usize,
    /// The error at the start of the window; infinite if there is none yet.
    window_error: f64,
    /// The number of iterations since the start of the window.
    window: usize,
    /// Whether the factor has changed and the next window shows a disturbed rate.
    is_settling: bool,
    /// The rate under the best factor, if the last window that shows the rate without
    /// over-relaxation is right; 0 before there is one.
    pub(super) best_rate: f64,
}

impl AdaptiveRelaxation {
    /// Returns the relaxation at the start of a solve, or of a stage of epsilon scaling.
    pub(super) fn new(setting: OverRelaxation) -> Self {
        let factor = if let OverRelaxation::Factor(factor) = setting { factor } else { 1.0 };
        Self {
            relaxation: Relaxation::new(factor),
            is_adaptive: setting == OverRelaxation::Auto,
            iterations: 0,
            window_error: f64::INFINITY,
            window: 0,
            is_settling: false,
            best_rate: 0.0,
        }
    }

    /// Forgets the errors of the current window.
    pub(super) fn restart_window(&mut self) {
        self.window_error = f64::INFINITY;
    }

    /// Adapts the factor after an iteration that reported this error. At the end of a window,
    /// returns the factor by which the error fell per iteration.
    pub(super) fn observe(&mut self, error: f64) -> Option<f64> {
        self.iterations += 1;
        if self.window_error == f64::INFINITY {
            (self.window_error, self.window) = (error, 0);
            return None;
        }
        self.window += 1;
        // A change disturbs the rate for about 1 / (2 - w) iterations under a factor w.
        let w = self.relaxation.factor();
        if (self.window as f64) < (3.0 / (2.0 - w)).max(MIN_RATE_WINDOW) {
            return None;
        }
        let rate = (error / self.window_error).powf(1.0 / self.window as f64);
        (self.window_error, self.window) = (error, 0);
        if self.is_adaptive {
            let factor = self.best_factor(w, rate);
            if factor != w {
                self.relaxation = Relaxation::new(factor);
                self.window_error = f64::INFINITY;
            }
        }
        Some(rate)
    }

    /// Returns the next factor after a window with the factor `w` and this rate.
    fn best_factor(&mut self, w: f64, rate: f64) -> f64 {
        let is_disturbed = core::mem::take(&mut self.is_settling);
        if is_disturbed || rate.is_nan() || rate <= 0.0 {
            return w;
        }
        let factor = self.factor_after(w, rate);
        self.is_settling = factor != w;
        factor
    }

    /// As [`best_factor`](Self::best_factor), after a window of undisturbed iterations.
    fn factor_after(&mut self, w: f64, rate: f64) -> f64 {
        if rate >= 1.0 {
            return if w > 1.04 { 1.0 + 0.5 * (w - 1.0) } else { 1.0 };
        }
        if rate <= w - 1.0 + 0.1 * (2.0 - w) {
            return if w > 1.0 { 1.0 + (w - 1.0).powf(1.5) } else { w };
        }
        let rate_1 = (rate + w - 1.0).powi(2) / (w * w * rate);
        let best = 2.0 / (1.0 + (1.0 - rate_1.min(1.0)).sqrt());
        self.best_rate = best - 1.0;
        best.min(2.0 - 3.0 / (self.iterations as f64).max(8.0)).max(1.0)
    }
}
