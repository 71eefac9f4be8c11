//! The domain of the iterations: potentials, or scalings of a stored Gibbs matrix.

use super::ranks::Ranks;
use super::row_pass::build_gibbs;
use super::sinkhorn::Sinkhorn;
use super::units::Potentials;
use super::workspace::{GibbsMemory, Memory};
use crate::Real;
use crate::error::{Error, IsaName};
use crate::kernels::transport::Problem;
use core::fmt;
use core::mem::replace;
use core::str::FromStr;

/// The domain in which [`Sinkhorn`] iterates, and whether Newton's method follows. All methods find
/// the same potentials, to the stated accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Method {
    /// In the log domain: one exponential per entry and iteration, and no memory of the matrix's
    /// size.
    Log,
    /// By scaling a stored Gibbs matrix `exp((f_i + g_j - C_ij) / epsilon)`, which has absorbed the
    /// potentials from the iteration when it was built (Schmitzer 2019, section 3.1): two
    /// multiply-adds per entry and iteration. The Gibbs matrix is about as large as the cost
    /// matrix; [`Sinkhorn::memory_limit`] does not apply. If there is no memory for it, the solver
    /// stays in the log domain. If the scalings leave the range in which they are accurate, the
    /// solver continues in the log domain and later builds another matrix.
    Scaling,
    /// In the log domain at first. Then by scaling, if enough iterations are expected and the Gibbs
    /// matrix is within [`Sinkhorn::memory_limit`]. Then by [`Newton`](Self::Newton)'s method, if
    /// the rate of convergence promises that iterations take longer; its memory is allocated then.
    /// With a tolerance of 0, or another [`OverRelaxation`](super::OverRelaxation) than `Auto`,
    /// there are iterations only.
    #[default]
    Auto,
    /// Iterations as with [`Auto`](Self::Auto) until the error is small, then steps of Newton's
    /// method on the semi-dual function, with a Hessian of the large entries of the plan (Tang et
    /// al. 2024, "Accelerating Sinkhorn Algorithm with Sparse Newton Iterations"; Tang & Qiu 2024,
    /// "Safe and Sparse Newton Method for Entropic-Regularized Optimal Transport"). The last digits
    /// come in a few steps, each with one read of the cost matrix, also if iterations converge
    /// slowly because the plan nearly splits into blocks. Every read counts as an iteration. Steps
    /// need memory for up to half of the plan's entries, within [`Sinkhorn::memory_limit`], and run
    /// on one thread. If there is no such memory, if the plan has more large entries, or if steps
    /// bring nothing, iterations go on. They are all there is with several ranks and in the lanes
    /// of a [batch](Sinkhorn::solve_batch).
    Newton,
}

impl Method {
    /// All methods with their names.
    const NAMES: [(Self, &'static str); 4] =
        [(Self::Log, "log"), (Self::Scaling, "scaling"), (Self::Newton, "newton"), (Self::Auto, "auto")];
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::NAMES.iter().find(|(method, _)| method == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for Method {
    type Err = Error;

    /// Returns the method of that name, in upper or lower case.
    ///
    /// # Errors
    /// [`Error::UnknownName`] if no method has the name.
    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::NAMES.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
        let (argument, expected) = ("method", "log, scaling, newton or auto");
        found.map(|(method, _)| method).ok_or(Error::UnknownName { argument, name: IsaName::new(name), expected })
    }
}

/// The current domain of a solve.
pub(super) enum Domain<T> {
    /// The log domain: kernels update the potentials.
    Log {
        /// The number of iterations since the start, the last change of epsilon, or the last
        /// scaling.
        iterations: usize,
        /// The memory of a Gibbs matrix, if one may be built.
        memory: Option<GibbsMemory<T>>,
    },
    /// Scaling: kernels update the scalings of a Gibbs matrix that has absorbed the potentials.
    Scaling {
        /// The number of iterations since the matrix was built.
        iterations: usize,
        /// The matrix and its scalings.
        gibbs: GibbsMemory<T>,
    },
}

impl<T: Real> Domain<T> {
    /// Returns the log domain, with the memory of a Gibbs matrix if the settings allow it and all
    /// ranks have it.
    pub(super) fn new(settings: &Sinkhorn, problem: &Problem<'_, T>, ranks: &mut Ranks<'_>) -> Self {
        let (rows, cols) = (problem.support.len(), problem.cost.cols());
        let memory = match settings.method {
            Method::Log => None,
            Method::Scaling => GibbsMemory::new(rows, cols, usize::MAX),
            Method::Auto | Method::Newton => GibbsMemory::new(rows, cols, settings.memory_limit),
        };
        let memory = if ranks.all(memory.is_some()) { memory } else { None };
        Self::Log { iterations: 0, memory }
    }

    /// Builds the Gibbs matrix of the potentials. Does nothing if there is no memory for it.
    pub(super) fn enter_scaling(
        &mut self,
        settings: &Sinkhorn,
        problem: &Problem<'_, T>,
        potentials: &mut Potentials,
        memory: &mut Memory<T>,
    ) {
        let Self::Log { memory: gibbs, .. } = self else { return };
        let Some(mut gibbs) = gibbs.take() else { return };
        build_gibbs(settings.road, problem, &mut potentials.as_mut(), gibbs.scaled_gibbs(), memory);
        *self = Self::Scaling { iterations: 0, gibbs };
    }

    /// Moves the scalings into the potentials and returns to the log domain.
    pub(super) fn leave_scaling(
        &mut self,
        settings: &Sinkhorn,
        problem: &Problem<'_, T>,
        potentials: &mut Potentials,
        ranks: &mut Ranks<'_>,
    ) {
        self.absorb_scalings(settings, problem, potentials, ranks);
        *self = match replace(self, Self::Log { iterations: 0, memory: None }) {
            Self::Scaling { gibbs, .. } => Self::Log { iterations: 0, memory: Some(gibbs) },
            log => log,
        };
    }

    /// Adds the scalings to the potentials, if there are scalings. The domain and the scalings stay
    /// as they are.
    pub(super) fn absorb_scalings(
        &mut self,
        settings: &Sinkhorn,
        problem: &Problem<'_, T>,
        potentials: &mut Potentials,
        ranks: &mut Ranks<'_>,
    ) {
        if let Self::Scaling { gibbs, .. } = self {
            T::absorb_scalings(settings.road, problem, &mut potentials.as_mut(), &gibbs.scaled_gibbs());
            potentials.exchange_max_abs(ranks);
        }
    }
}
