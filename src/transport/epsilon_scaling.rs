//! The schedule of larger epsilons before the one that is asked for.

use crate::real::Element;
use crate::{MatRef, Real};

/// The schedule of epsilons of [`Sinkhorn`](super::Sinkhorn): problems with larger epsilons are
/// solved roughly first, and each passes its potentials on to the next (Schmitzer 2019, section
/// 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum EpsilonScaling {
    /// No schedule: only the epsilon that is asked for.
    #[default]
    Off,
    /// From the range of the finite costs down to epsilon, each the last divided by this factor,
    /// which is above 1 and usually 2 to 10. Useful if epsilon is small against the costs.
    Factor(f64),
}

/// The first epsilon of a schedule: the largest finite cost minus the smallest cost, 0 if there is
/// none.
pub(super) fn cost_range<T: Real>(cost: MatRef<'_, T>) -> f64 {
    let (mut min, mut max) = (T::infinity(), T::rounded(-T::MAX));
    for row in cost.iter_rows() {
        for &c in row {
            min = if c < min { c } else { min };
            max = if c > max && c < T::infinity() { c } else { max };
        }
    }
    (max.to_f64() - min.to_f64()).clamp(0.0, f64::MAX)
}
