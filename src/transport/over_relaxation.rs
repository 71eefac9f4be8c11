//! Over-relaxation: the factor by which potentials move beyond their updates.

use crate::kernels::transport::tuning::{MAX_FACTOR, MIN_RATE_WINDOW, SETTLING_ITERATIONS};

/// The factor by which [`Sinkhorn`](super::Sinkhorn) moves potentials beyond their updates. It cuts
/// the number of iterations when convergence is slow (Thibault, Chizat, Dossal & Papadakis 2021,
/// "Overrelaxed Sinkhorn-Knopp Algorithm for Regularized Optimal Transport").
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum OverRelaxation {
    /// The factor 1: potentials move to their updates.
    #[default]
    Off,
    /// The best factor for the measured rate of convergence. It starts at 1 and backs off if the
    /// error does not fall.
    Auto,
    /// A factor between 0 and 2; 1 is no over-relaxation. Above 1 the iteration may not converge.
    Factor(f64),
}

/// The current factor, adapted to the rate of convergence with [`OverRelaxation::Auto`].
///
/// Near the solution, Sinkhorn's iteration is linear: the error falls by a factor `rate` each time.
/// Over-relaxation makes it a successive over-relaxation (Thibault et al. 2021; Lehmann, von
/// Renesse, Sambale & Uschmajew 2022). Young's theory gives the rate without
/// over-relaxation from the rate under a factor, and from it the best factor,
/// `2 / (1 + sqrt(1 - rate))`. Far from the solution a factor above 1 can slow or stop convergence:
/// if the error does not fall, the part of the factor above 1 is halved, and its limit grows again
/// slowly.
pub(super) struct AdaptiveFactor {
    /// The current factor.
    pub(super) factor: f64,
    /// Whether the factor is adapted.
    is_adaptive: bool,
    /// The current limit of the factor.
    limit: f64,
    /// The error at the start of the window.
    window_error: f64,
    /// The number of iterations since the start of the window.
    window: usize,
    /// The number of iterations still to be left out after a change of the factor.
    settling: usize,
}

impl AdaptiveFactor {
    /// Returns the factor at the start of a solve, or of a stage of epsilon scaling.
    pub(super) fn new(setting: OverRelaxation) -> Self {
        let factor = if let OverRelaxation::Factor(factor) = setting { factor } else { 1.0 };
        let is_adaptive = setting == OverRelaxation::Auto;
        Self { factor, is_adaptive, limit: MAX_FACTOR, window_error: f64::INFINITY, window: 0, settling: 0 }
    }

    /// Adapts the factor after an iteration that reported this error.
    pub(super) fn observe(&mut self, error: f64) {
        if !self.is_adaptive {
            return;
        }
        if self.settling > 0 || self.window_error == f64::INFINITY || error == 0.0 {
            self.settling = self.settling.saturating_sub(1);
            (self.window_error, self.window) = (error, 0);
            return;
        }
        self.window += 1;
        // A change disturbs the rate for about 1 / (2 - w) iterations under a factor w.
        if (self.window as f64) < (3.0 / (2.0 - self.factor)).max(MIN_RATE_WINDOW) {
            return;
        }
        let rate = (error / self.window_error).powf(1.0 / self.window as f64);
        let w = self.factor;
        if rate < 1.0 {
            self.limit += 0.1 * (MAX_FACTOR - self.limit);
            if rate > w - 1.0 {
                // The rate without over-relaxation, from (rate + w - 1)^2 = rate_1 * w^2 * rate.
                let rate_1 = ((rate + w - 1.0) / w).powi(2) / rate;
                let best = 2.0 / (1.0 + (1.0 - rate_1.min(1.0)).sqrt());
                self.factor = best.min(self.limit).max(w);
            }
        } else {
            self.factor = 1.0 + 0.5 * (w - 1.0);
            self.limit = self.factor;
        }
        (self.window_error, self.window) = (error, 0);
        self.settling = if self.factor == w { 0 } else { SETTLING_ITERATIONS };
    }
}
