//! What the solver found: potentials, and the plan they stand for.

use super::input::Masses;
use super::memory::Memory;
use crate::kernels::sinkhorn::{Problem, State};
use crate::{Error, Isa, MatMut, MatRef, Real};

/// The potentials as the kernel has them, see [`State`].
#[derive(Debug, Clone)]
pub(super) struct Potentials<T> {
    pub(super) u: Vec<f64>,
    pub(super) g: Vec<f64>,
    pub(super) span: f64,
    pub(super) k: T,
}

/// What [`Sinkhorn::solve`](super::Sinkhorn::solve) found.
#[derive(Debug, Clone)]
pub struct Transport<T: Real> {
    pub(super) converged: bool,
    pub(super) iterations: usize,
    pub(super) marginal_error: T,
    pub(super) f: Vec<T>,
    pub(super) g: Vec<T>,
    pub(super) cost: T,
    pub(super) isa: Option<Isa>,
    pub(super) masses: Masses,
    pub(super) potentials: Potentials<T>,
}

impl<T: Real> Transport<T> {
    /// Whether [`marginal_error`](Self::marginal_error) is within the solver's tolerance.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// Iterations that were done.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// `||P 1 - a||_1 + ||P^T 1 - b||_1` of the plan that the potentials stand for, measured after the last iteration.
    pub fn marginal_error(&self) -> T {
        self.marginal_error
    }

    /// The potentials of the rows, in the units of the cost, -inf where the mass is 0. Only the sums `f_i + g_j` matter:
    /// a constant may be moved from one to the other.
    pub fn f(&self) -> &[T] {
        &self.f
    }

    /// The potentials of the columns, in the units of the cost, -inf where the mass is 0.
    pub fn g(&self) -> &[T] {
        &self.g
    }

    /// The transport cost `sum_ij C_ij P_ij` (forbidden pairs count 0), without the entropy.
    pub fn cost(&self) -> T {
        self.cost
    }

    /// Writes the plan, n x m. It comes from the solver's `f64` potentials: taken from the rounded [`f`](Self::f) and
    /// [`g`](Self::g), its entries would be off by their rounding / epsilon. `cost` must be the matrix that was solved.
    ///
    /// # Errors
    /// [`Error::Shape`] where `cost` or `out` does not have the shape of the solved problem.
    pub fn plan_into(&self, cost: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> {
        let expected = (self.f.len(), self.g.len());
        for (argument, actual) in [("cost", (cost.rows(), cost.cols())), ("out", (out.rows(), out.cols()))] {
            if actual != expected {
                return Err(Error::Shape { argument, actual, expected });
            }
        }
        let Potentials { mut u, mut g, span, k } = self.potentials.clone();
        let problem: Problem<'_, T> = self.masses.problem(cost, k);
        let state = State { u: &mut u, g: &mut g, span };
        let mut memory = Memory::new(state.u.len(), cost.cols());
        T::plan(self.isa, &problem, &state, &mut memory.workspace(), self.masses.total, out);
        Ok(())
    }
}
