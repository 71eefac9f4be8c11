//! The solution of a problem: potentials, and the numbers that describe them.

use super::centered_costs::CenteredCosts;
use super::masses::Masses;
use super::sinkhorn::Sinkhorn;
use super::solver::{MAX_ABS_POTENTIAL, Solution};
use super::units::{Potentials, Units};
use crate::check::Shape;
use crate::dispatch::Road;
use crate::real::Element;
use crate::{Error, Real, check};
use alloc::vec::Vec;
use core::fmt;

/// Why a solve ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Status {
    /// The marginal error, measured after the last iteration, is within the tolerance; with a
    /// tolerance of 0, within the default of the element type.
    Converged,
    /// All iterations are done.
    IterationLimit,
    /// The error is near the error that rounding leaves, and has not fallen for many iterations. A
    /// larger tolerance or `f64` costs would let the solve converge. In sparse transport also: no
    /// step raises the dual value, for example where a limit of the entries per row makes a kink.
    Stagnated,
    /// The forbidden pairs permit no plan with these marginals within the tolerance (Hall's
    /// condition): some rows have more mass than the columns that they may use, or the reverse. The
    /// potentials of these rows and columns drift without a limit.
    Infeasible,
    /// The callback has stopped the solve.
    Stopped,
}

impl Status {
    /// All states with their names.
    const NAMES: [(Self, &'static str); 5] = [
        (Self::Converged, "converged"),
        (Self::IterationLimit, "iteration limit"),
        (Self::Stagnated, "stagnated"),
        (Self::Infeasible, "infeasible"),
        (Self::Stopped, "stopped"),
    ];
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::NAMES.iter().find(|(status, _)| status == self).map_or("", |(_, name)| name))
    }
}

/// The solution of a problem, from [`Sinkhorn::solve`]. Solutions are equal if their numbers are,
/// whatever computed them.
#[derive(Debug, Clone)]
#[must_use]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(
        try_from = "super::serde::TransportData<T>",
        into = "super::serde::TransportData<T>",
        bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>")
    )
)]
pub struct Transport<T: Real> {
    pub(super) status: Status,
    pub(super) iterations: usize,
    pub(super) marginal_error: f64,
    pub(super) cost: f64,
    pub(super) f: Vec<f64>,
    pub(super) g: Vec<f64>,
    pub(super) road: Road,
    pub(super) masses: Masses,
    /// The potentials in base-2 units.
    pub(super) potentials: Potentials,
    /// log2(e) / epsilon.
    pub(super) eta: T,
}

impl<T: Real> PartialEq for Transport<T> {
    fn eq(&self, other: &Self) -> bool {
        let Self { status, iterations, marginal_error, cost, f, g, road: _, masses, potentials, eta } = other;
        self.status == *status
            && self.iterations == *iterations
            && self.marginal_error == *marginal_error
            && self.cost == *cost
            && self.f == *f
            && self.g == *g
            && self.masses == *masses
            && self.potentials == *potentials
            && self.eta == *eta
    }
}

impl<T: Real> Transport<T> {
    /// Converts the solution to the units of the caller. Fails if a potential overflows in them, or
    /// is too large for the plan with the offsets of the costs.
    pub(super) fn new(
        settings: &Sinkhorn,
        masses: Masses,
        eta: T,
        (solution, centered): (Solution, Option<CenteredCosts<T>>),
    ) -> Result<Self, Error> {
        let Solution { mut potentials, summary, iterations, status } = solution;
        if let Some(centered) = &centered {
            centered.add_offsets(eta.to_f64(), &mut potentials, &masses);
            // The plan is that of the given costs.
            let is_small = potentials.max_abs() <= MAX_ABS_POTENTIAL;
            if !is_small {
                return Err(settings.epsilon_too_small());
            }
        }
        // A plan that meets the marginals pays the offsets exactly.
        let cost = summary.cost + centered.map_or(0.0, |centered| centered.cost());
        let (f, g) = Units { eta: eta.to_f64(), masses: &masses }.to_caller(&potentials);
        let all_finite = masses.support.iter().all(|&i| f[i].is_finite())
            && g.iter().zip(&masses.b).all(|(g, &b)| b == 0.0 || g.is_finite());
        if !all_finite {
            return Err(settings.epsilon_too_small());
        }
        Ok(Self {
            status,
            iterations,
            marginal_error: summary.error,
            cost: cost * masses.total,
            f,
            g,
            road: settings.road,
            masses,
            potentials,
            eta,
        })
    }

    /// Returns why the solve ended.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Returns whether [`marginal_error`](Self::marginal_error) is within the solver's tolerance,
    /// or, with a tolerance of 0, within the default of the element type. The status is then
    /// [`Status::Converged`], and only then.
    pub fn converged(&self) -> bool {
        self.status == Status::Converged
    }

    /// Returns the number of iterations done.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// Returns `||P 1 - a||_1 + ||P^T 1 - b||_1` relative to the total mass, measured after the
    /// last iteration; b counts scaled to the total of a. If the solver took offsets out of the
    /// costs ([`Sinkhorn`](Sinkhorn#accuracy)), the error is that of the costs without offsets.
    pub fn marginal_error(&self) -> f64 {
        self.marginal_error
    }

    /// Returns the potentials of the rows, in the units of the cost; -inf in rows without mass.
    /// Only the sums `f_i + g_j` matter: a constant may be moved from f to g.
    ///
    /// Potentials are `f64` for both element types. Rounding a potential to `f32` would change the
    /// entries of its row by a relative error of the rounding error / epsilon.
    /// [`Sinkhorn::warm_start`] takes potentials.
    pub fn f(&self) -> &[f64] {
        &self.f
    }

    /// Returns the potentials of the columns, in the units of the cost; -inf in columns without
    /// mass.
    pub fn g(&self) -> &[f64] {
        &self.g
    }

    /// Returns both potentials, [`f`](Self::f) and [`g`](Self::g).
    pub fn into_parts(self) -> (Vec<f64>, Vec<f64>) {
        (self.f, self.g)
    }

    /// Returns the transport cost `<C, P> = sum_ij C_ij P_ij`, without the entropy. Forbidden pairs
    /// contribute 0. If the solver took offsets out of the costs ([`Sinkhorn`](Sinkhorn#accuracy)),
    /// they count as paid exactly, even if the marginals are not met.
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// Fails unless `argument` has the shape of the solved problem.
    pub(super) fn check_shape(&self, argument: &'static str, matrix: &impl Shape) -> Result<(), Error> {
        check::shape(argument, matrix, (self.f.len(), self.g.len()))
    }
}
