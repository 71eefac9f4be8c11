//! The schedule of larger epsilons before the requested one.

use crate::real::Element;
use crate::{MatRef, Real};

/// The schedule of epsilons of [`Sinkhorn`](super::Sinkhorn). Problems with larger epsilons are
/// solved roughly first, and each passes its potentials on to the next (Schmitzer 2019, section
/// 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum EpsilonScaling {
    /// No schedule: only the requested epsilon.
    #[default]
    Off,
    /// Epsilons from the range of the finite costs down to the requested one. Each is the last one
    /// divided by this factor, which must be above 1 and is usually from 2 to 10. Useful if epsilon
    /// is small relative to the costs.
    Factor(f64),
}

/// Returns the first epsilon of a schedule: the largest finite cost minus the smallest cost, or 0
/// if no cost is finite.
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
