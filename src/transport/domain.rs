//! The domain of the iterations: potentials, or scalings of a stored Gibbs matrix.

use super::sinkhorn::Sinkhorn;
use super::units::Potentials;
use super::workspace::{GibbsMemory, Memory};
use crate::Real;
use crate::kernels::transport::Problem;
use core::fmt;
use core::mem::replace;

/// The way in which [`Sinkhorn`] iterates. The potentials agree to the stated accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Method {
    /// In the log domain: one exponential per entry and iteration, and no memory of the matrix's
    /// size.
    Log,
    /// By scaling a stored Gibbs matrix `exp((f_i + g_j - C_ij) / epsilon)`, which has absorbed the
    /// potentials of the time when it was built (Schmitzer 2019, section 3.1): two multiply-adds
    /// per entry and iteration. It takes one more matrix of the size of the cost matrix, whatever
    /// [`Sinkhorn::memory_limit`] is. If the scalings leave the range in which this is accurate,
    /// the solver continues in the log domain and later builds another matrix.
    Scaling,
    /// In the log domain at first; by scaling if enough iterations are to come and the matrix is
    /// within [`Sinkhorn::memory_limit`].
    #[default]
    Auto,
}

impl fmt::Display for Method {
    /// `log`, `scaling` or `auto`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Log => "log",
            Self::Scaling => "scaling",
            Self::Auto => "auto",
        })
    }
}

/// The domain that a solve iterates in now.
pub(super) enum Domain<T> {
    /// The log domain: kernels update the potentials.
    Log {
        /// The iterations since the start, the last change of epsilon, or the last scaling.
        iterations: usize,
        /// The memory of a Gibbs matrix, if one may be built.
        memory: Option<GibbsMemory<T>>,
    },
    /// Scaling: kernels update the scalings of a Gibbs matrix that has absorbed the potentials.
    Scaling {
        /// The iterations since the matrix was built.
        iterations: usize,
        /// The matrix and its scalings.
        gibbs: GibbsMemory<T>,
    },
}

impl<T: Real> Domain<T> {
    /// The log domain, with the memory of a Gibbs matrix if the settings allow it.
    pub(super) fn new(settings: &Sinkhorn, problem: &Problem<'_, T>) -> Self {
        let (rows, cols) = (problem.support.len(), problem.cost.cols());
        let memory = match settings.method {
            Method::Log => None,
            Method::Scaling => GibbsMemory::new(rows, cols, usize::MAX),
            Method::Auto => GibbsMemory::new(rows, cols, settings.memory_limit),
        };
        Self::Log { iterations: 0, memory }
    }

    /// Builds the Gibbs matrix of the potentials. Nothing happens without memory for it.
    pub(super) fn enter_scaling(
        &mut self,
        settings: &Sinkhorn,
        problem: &Problem<'_, T>,
        potentials: &mut Potentials,
        memory: &mut Memory<T>,
    ) {
        let Self::Log { memory: gibbs, .. } = self else { return };
        let Some(mut gibbs) = gibbs.take() else { return };
        let mut scaled = gibbs.scaled_gibbs();
        T::build_gibbs(settings.road, problem, &mut potentials.as_mut(), &mut scaled, &mut memory.workspace());
        *self = Self::Scaling { iterations: 0, gibbs };
    }

    /// Moves the scalings into the potentials and returns to the log domain.
    pub(super) fn leave_scaling(&mut self, settings: &Sinkhorn, problem: &Problem<'_, T>, potentials: &mut Potentials) {
        self.absorb_scalings(settings, problem, potentials);
        *self = match replace(self, Self::Log { iterations: 0, memory: None }) {
            Self::Scaling { gibbs, .. } => Self::Log { iterations: 0, memory: Some(gibbs) },
            log => log,
        };
    }

    /// Moves the scalings into the potentials, if there are any, and keeps both the domain and the
    /// scalings.
    pub(super) fn absorb_scalings(
        &mut self,
        settings: &Sinkhorn,
        problem: &Problem<'_, T>,
        potentials: &mut Potentials,
    ) {
        if let Self::Scaling { gibbs, .. } = self {
            T::absorb_scalings(settings.road, problem, &mut potentials.as_mut(), &gibbs.scaled_gibbs());
        }
    }
}
