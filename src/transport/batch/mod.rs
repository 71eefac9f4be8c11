//! Many problems on one cost matrix.

use alloc::vec;
use alloc::vec::Vec;

mod marginal;
mod solver;

use super::masses::{check_feasible, check_totals, checked_minima};
use super::ranks::Ranks;
use super::sinkhorn::{Sinkhorn, default_tolerance};
use super::solution::Status;
use crate::kernels::transport::sinkhorn_batch::BatchLayout;
use crate::real::Element;
use crate::{Error, MatRef, Real};
use marginal::BatchMarginal;
use solver::{BatchSolver, gibbs_matrix};
#[cfg(feature = "rayon")]
use {crate::bands::Bands, core::ops::Range};

impl Sinkhorn {
    /// Solves many problems on one cost matrix: the plans
    /// `P_ij = exp((f_i + g_j - C_ij) / epsilon)` with the marginals in the rows of `a` and `b`.
    /// `cost` is n x m, `a` is problems x n, and `b` is problems x m. A marginal that all problems
    /// share may be given as one row.
    ///
    /// - Accuracy: scalings are iterated in `T`. A sum has a relative error r of about
    ///   `EPSILON * (8 + sqrt(terms / 64))`. Potentials have an absolute error of r times epsilon,
    ///   and the marginal error has an absolute error of r.
    ///   [`solve`](Self::solve) takes over problems that need more accuracy; see below.
    /// - Special values: those of [`solve`](Self::solve).
    /// - Errors: as listed below.
    /// - Cost and source: per iteration, two multiply-adds of a lane per entry and problem, and one
    ///   read of a Gibbs matrix for all lanes; Cuturi 2013.
    ///
    /// ```
    /// use mantex::{MatRef, Sinkhorn};
    /// // From the first place, or from both, to three histograms over three places.
    /// let cost = [0.0_f64, 1.0, 2.0, 2.0, 1.0, 0.0];
    /// let a = [1.0, 0.0, 0.5, 0.5, 0.5, 0.5];
    /// let b = [0.25, 0.5, 0.25, 0.25, 0.5, 0.25, 0.0, 1.0, 0.0];
    /// let (cost, b) = (MatRef::new(&cost, 2, 3)?, MatRef::new(&b, 3, 3)?);
    /// let solver = Sinkhorn::new(0.05);
    /// let batch = solver.solve_batch(cost, MatRef::new(&a, 3, 2)?, b)?;
    /// for p in 0..batch.len() {
    ///     assert!(batch.converged(p));
    ///     println!("f = {:?} and g = {:?}", batch.f(p), batch.g(p));
    /// }
    /// assert_eq!(batch.f(0)[1], f64::NEG_INFINITY); // No mass there.
    /// // The same source for all:
    /// assert_eq!(solver.solve_batch(cost, MatRef::new(&a[4..], 1, 2)?, b)?.f(1), batch.f(1));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Speed and memory
    /// The matrix `exp(-C / epsilon)` is computed once. Then every lane of two vectors iterates one
    /// problem: 32 problems at a time for `f32` on AVX-512, 2 on scalar. The lane of a finished
    /// problem takes the next one. Rows and columns that have no mass in all problems of the call
    /// are left out, so it pays to solve problems with the same support in one call. With fewer
    /// problems than lanes, [`solve`](Self::solve) may be faster. Besides input and results, the
    /// batch holds about `n m + lanes (3 n + 4 m)` numbers.
    ///
    /// # Results
    /// The iterations are those of [`solve`](Self::solve) from g = 0 without over-relaxation and
    /// epsilon scaling; a warm start is ignored. The result of a problem does not depend on the
    /// other problems, to the bit. A problem stops at the first iterate within the tolerance;
    /// [`solve`](Self::solve) may do one or two iterations more. After the same number of
    /// iterations, the results agree within the accuracy.
    ///
    /// [`solve`](Self::solve), slower but with potentials in `f64` and with these settings, takes
    /// over a problem
    /// - if it has not converged after 500 iterations, unless over-relaxation is off or the
    ///   tolerance is 0;
    /// - if the tolerance is not 0, but below `EPSILON * (32 + sqrt(n + m))`;
    /// - if [`max_iterations`](Self::max_iterations) is 0;
    /// - if a positive mass divided by the total underflows in `T`;
    /// - if a sum of `exp((g_j - C_ij) / epsilon)`, relative to the smallest cost of the row, falls
    ///   below 2^-39 (`f64`: 2^-307), or a scaling below 2^-96 (`f64`: 2^-768), as with a tiny
    ///   epsilon or mass;
    /// - if the result overflows in `T`.
    ///
    /// # Errors
    /// Those of [`solve`](Self::solve), before anything is solved, except:
    /// - [`Error::ShapeMismatch`] if `a` or `b` does not have one column for each row or column of
    ///   the cost matrix, or has neither one row nor one for each problem.
    /// - [`Error::InvalidElement`] of a mass has the index of the problem as its row.
    /// - [`Error::InvalidParameter`] for an epsilon that is too small for the potentials of a
    ///   problem is returned when that problem is solved.
    pub fn solve_batch<T: Real>(
        &self,
        cost: MatRef<'_, T>,
        a: MatRef<'_, T>,
        b: MatRef<'_, T>,
    ) -> Result<TransportBatch<T>, Error> {
        let eta: T = self.checked_settings(cost)?;
        let problems = if a.rows() == 1 { b.rows() } else { a.rows() };
        let layout = BatchLayout::new::<T>(self.road.isa().token());
        let rows = BatchMarginal::new("a", a, (problems, cost.rows()), layout.block_rows, layout.width)?;
        let columns = BatchMarginal::new("b", b, (problems, cost.cols()), 1, layout.width)?;
        for p in 0..problems {
            check_totals(rows.total(p), columns.total(p), default_tolerance::<T>())?;
        }
        let ones = |n: usize| vec![T::one(); n];
        let (row_minima, _) = checked_minima(self.road, cost, &ones(cost.rows()), &ones(cost.cols()))?;
        if cost.iter_rows().any(|row| row.contains(&T::infinity())) {
            for p in 0..problems {
                check_feasible(self.road, cost, rows.masses(p), columns.masses(p), &mut Ranks::one())?;
            }
        }
        let (eta, mut rows) = (eta.to_f64(), rows);
        let gibbs = gibbs_matrix(layout, cost, eta, (&mut rows, &columns), &row_minima);
        #[cfg(feature = "rayon")]
        if self.road.parallel && problems >= 2 * layout.width {
            let solve = |problems| {
                let marginals = [rows.with_new_lanes(), columns.with_new_lanes()];
                BatchSolver::new(self, layout, cost, eta, marginals, &gibbs).solve(problems)
            };
            let bands = rayon::current_num_threads().min(problems / layout.width);
            return solve_bands(0..problems, bands, &solve);
        }
        BatchSolver::new(self, layout, cost, eta, [rows, columns], &gibbs).solve(0..problems)
    }
}

/// Solves the problems in bands, on several threads.
#[cfg(feature = "rayon")]
fn solve_bands<T: Real>(
    problems: Range<usize>,
    bands: usize,
    solve: &(impl Fn(Range<usize>) -> Result<TransportBatch<T>, Error> + Sync),
) -> Result<TransportBatch<T>, Error> {
    if bands < 2 {
        return solve(problems);
    }
    let (first, rest) = problems.clone().split_at_row(problems.len() / bands * (bands / 2));
    let (first, rest) =
        rayon::join(|| solve_bands(first, bands / 2, solve), || solve_bands(rest, bands - bands / 2, solve));
    Ok(first?.followed_by(rest?))
}

/// The solutions of [`Sinkhorn::solve_batch`]. Methods panic if there is no problem `p`.
///
/// It has potentials, but no plans. For the plan of a problem, give its potentials to
/// [`Sinkhorn::warm_start`], as `f64`, and [solve](Sinkhorn::solve) that problem alone.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(
        try_from = "super::serde::BatchData<T>",
        into = "super::serde::BatchData<T>",
        bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>")
    )
)]
pub struct TransportBatch<T: Real> {
    /// The rows and columns of the cost matrix.
    pub(super) shape: (usize, usize),
    /// The row potentials, problem by problem.
    pub(super) f: Vec<T>,
    /// The column potentials, problem by problem.
    pub(super) g: Vec<T>,
    pub(super) iterations: Vec<usize>,
    pub(super) marginal_errors: Vec<f64>,
    pub(super) values: Vec<f64>,
    pub(super) statuses: Vec<Status>,
}

impl<T: Real> TransportBatch<T> {
    /// Returns a batch whose solutions are still to be set.
    fn new(problems: usize, shape: (usize, usize)) -> Self {
        Self {
            shape,
            f: vec![-T::infinity(); problems * shape.0],
            g: vec![-T::infinity(); problems * shape.1],
            iterations: vec![0; problems],
            marginal_errors: vec![0.0; problems],
            values: vec![0.0; problems],
            statuses: vec![Status::IterationLimit; problems],
        }
    }

    /// Returns the solutions of both batches.
    #[cfg(feature = "rayon")]
    fn followed_by(mut self, mut other: Self) -> Self {
        self.f.append(&mut other.f);
        self.g.append(&mut other.g);
        self.iterations.append(&mut other.iterations);
        self.marginal_errors.append(&mut other.marginal_errors);
        self.values.append(&mut other.values);
        self.statuses.append(&mut other.statuses);
        self
    }

    /// Returns the potentials of problem `p`, to be set.
    fn potentials_mut(&mut self, p: usize) -> (&mut [T], &mut [T]) {
        let (n, m) = self.shape;
        (&mut self.f[p * n..(p + 1) * n], &mut self.g[p * m..(p + 1) * m])
    }

    /// Returns the number of problems.
    pub fn len(&self) -> usize {
        self.iterations.len()
    }

    /// Returns whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.iterations.is_empty()
    }

    /// Returns the row potentials of problem `p`, as [`Transport::f`](super::Transport::f) but
    /// rounded to `T`.
    pub fn f(&self, p: usize) -> &[T] {
        &self.f[p * self.shape.0..(p + 1) * self.shape.0]
    }

    /// Returns the column potentials of problem `p`, as [`Transport::g`](super::Transport::g) but
    /// rounded to `T`.
    pub fn g(&self, p: usize) -> &[T] {
        &self.g[p * self.shape.1..(p + 1) * self.shape.1]
    }

    /// Returns the potentials of all problems: f (problems x n) and g (problems x m), row-major.
    pub fn into_parts(self) -> (Vec<T>, Vec<T>) {
        (self.f, self.g)
    }

    /// Returns the number of iterations of problem `p`.
    pub fn iterations(&self, p: usize) -> usize {
        self.iterations[p]
    }

    /// Returns the L1 error of the marginals of problem `p`, as
    /// [`Transport::marginal_error`](super::Transport::marginal_error). The column sums are not
    /// measured, because the last update has met the column marginals up to rounding.
    pub fn marginal_error(&self, p: usize) -> f64 {
        self.marginal_errors[p]
    }

    /// Returns why the solve of problem `p` ended.
    pub fn status(&self, p: usize) -> Status {
        self.statuses[p]
    }

    /// Returns whether the marginal error of problem `p` is within the solver's tolerance, as
    /// [`Transport::converged`](super::Transport::converged).
    pub fn converged(&self, p: usize) -> bool {
        self.statuses[p] == Status::Converged
    }

    /// Returns the dual value of problem `p`, `<f, a> + <g, b>` over rows and columns with mass. It
    /// differs from the optimal `<C, P> + epsilon * sum P ln P` by an error of second order in the
    /// marginal error.
    pub fn value(&self, p: usize) -> f64 {
        self.values[p]
    }
}
