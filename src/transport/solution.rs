//! The solution of a problem: potentials, and the numbers that describe them.

use super::masses::Masses;
use super::sinkhorn::Sinkhorn;
use super::solver::Solution;
use super::units::{Potentials, Units};
use crate::check::Shape;
use crate::dispatch::Road;
use crate::real::Element;
use crate::{Error, Real, check};

/// The solution of a problem, from [`Sinkhorn::solve`].
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Transport<T: Real> {
    converged: bool,
    iterations: usize,
    marginal_error: f64,
    cost: f64,
    f: Vec<f64>,
    g: Vec<f64>,
    pub(super) road: Road,
    pub(super) masses: Masses,
    /// The potentials in base-2 units.
    pub(super) potentials: Potentials,
    /// log2(e) / epsilon.
    pub(super) eta: T,
}

impl<T: Real> Transport<T> {
    /// Converts the solution to the units of the caller. Fails if a potential overflows in them.
    pub(super) fn new(settings: &Sinkhorn, masses: Masses, eta: T, solution: Solution) -> Result<Self, Error> {
        let Solution { potentials, summary, iterations } = solution;
        let (f, g) = Units { eta: eta.to_f64(), masses: &masses }.to_caller(&potentials);
        let all_finite = masses.support.iter().all(|&i| f[i].is_finite())
            && g.iter().zip(&masses.b).all(|(g, &b)| b == 0.0 || g.is_finite());
        if !all_finite {
            return Err(settings.epsilon_too_small());
        }
        let marginal_error = summary.error * masses.total;
        Ok(Self {
            converged: marginal_error <= settings.tolerance_for::<T>(),
            iterations,
            marginal_error,
            cost: summary.cost * masses.total,
            f,
            g,
            road: settings.road,
            masses,
            potentials,
            eta,
        })
    }

    /// Returns whether [`marginal_error`](Self::marginal_error) is within the solver's tolerance.
    /// If the forbidden pairs permit no plan with these marginals (Hall's condition), no solve
    /// converges, and the potentials diverge.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// Returns the number of iterations done.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// Returns `||P 1 - a||_1 + ||P^T 1 - b||_1`, in the units of the masses, measured after the
    /// last iteration.
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
    /// contribute 0.
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// Fails unless `argument` has the shape of the solved problem.
    pub(super) fn check_shape(&self, argument: &'static str, matrix: &impl Shape) -> Result<(), Error> {
        check::shape(argument, matrix, (self.f.len(), self.g.len()))
    }
}
