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
    /// The solution in the units of the caller. Fails if a potential overflows there.
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

    /// Whether [`marginal_error`](Self::marginal_error) is within the solver's tolerance. If
    /// forbidden pairs leave no plan with these marginals at all (Hall's condition), it never is,
    /// and the potentials diverge.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// The number of iterations done.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// `||P 1 - a||_1 + ||P^T 1 - b||_1`, in the units of the masses, measured after the last
    /// iteration.
    pub fn marginal_error(&self) -> f64 {
        self.marginal_error
    }

    /// The potentials of the rows, in the units of the cost, as the solver has them; -inf where
    /// there is no mass. Only the sums `f_i + g_j` matter: a constant may be moved from f to g.
    ///
    /// They are `f64` for both element types, because rounding them to `f32` would change the
    /// entries of the plan by that rounding / epsilon. [`Sinkhorn::warm_start`] takes them.
    pub fn f(&self) -> &[f64] {
        &self.f
    }

    /// The potentials of the columns, in the units of the cost, as [`f`](Self::f).
    pub fn g(&self) -> &[f64] {
        &self.g
    }

    /// Both potentials, [`f`](Self::f) and [`g`](Self::g).
    pub fn into_parts(self) -> (Vec<f64>, Vec<f64>) {
        (self.f, self.g)
    }

    /// The transport cost `<C, P> = sum_ij C_ij P_ij` without the entropy; forbidden pairs count 0.
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// Fails unless `argument` has the shape of the solved problem.
    pub(super) fn check_shape(&self, argument: &'static str, matrix: &impl Shape) -> Result<(), Error> {
        check::shape(argument, matrix, (self.f.len(), self.g.len()))
    }
}
