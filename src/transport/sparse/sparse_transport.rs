//! The settings of the solver, and the solve of one problem.

use super::largest_cost::largest_cost;
use super::solution::SparseSolution;
use super::solver::{OnIteration, Solver};
use crate::check;
use crate::dispatch::Road;
use crate::transport::masses::{Masses, check_feasible};
use crate::transport::ranks::Ranks;
use crate::transport::sinkhorn::default_tolerance;
use crate::{Error, Isa, MatRef, OneProcess, Real, Reduce};
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// A solver for optimal transport whose plans are sparse: with quadratic regularization, and with
/// few entries per row if that is asked for.
///
/// For costs C (n x m) and masses a (n) and b (m), it finds the plan P that minimizes
/// `<C, P> + gamma / 2 * ||P||^2` with row sums a and column sums b, where `||P||^2` is the sum of
/// the squares of all entries. The plan is `P_ij = max(0, f_i + g_j - C_ij) / gamma` for potentials
/// f and g: most entries are exactly 0, unlike in the plans of [`Sinkhorn`](crate::Sinkhorn).
/// [`max_entries_per_row`](Self::max_entries_per_row) adds the constraint that a row has at most k
/// entries.
///
/// ```
/// use mantex::{MatRef, SparseTransport};
/// // Move one half from each of two places to three places at distances of 0 to 2.
/// let cost = [0.0, 1.0, 2.0, 2.0, 1.0, 0.0];
/// let (a, b) = ([0.5, 0.5], [0.25, 0.5, 0.25]);
/// let solution = SparseTransport::new(0.1).solve(MatRef::new(&cost, 2, 3)?, &a, &b)?;
/// assert!(solution.converged());
/// assert_eq!(solution.plan().columns, [0, 1, 1, 2]);
/// assert!((solution.cost() - 0.5).abs() < 1e-6);
/// # Ok::<(), mantex::Error>(())
/// ```
///
/// # The regularization
/// `gamma` is absolute, a cost divided by a mass: an entry of P is a difference of costs divided by
/// gamma. Entries are about as large as the total mass / (n m) if a plan is dense. So gamma must
/// grow with n m for the same effect: `gamma = r * R * n * m / total`, where R is the range of the
/// costs, gives a similar plan at every size. With r = 1, most plans are dense. With r = 1e-3, rows
/// have some 5% of the entries. As gamma falls, plans approach one without regularization, until
/// rounding prevents convergence (below).
///
/// # Speed and memory
/// An iteration is one read of the cost matrix. Some reads are no iterations: those of the start,
/// one for each of the larger gammas that come first, and one if columns have no entry. Newton's
/// method takes 3 to 20 iterations if the masses are similar, and up to some hundred if they differ
/// by many orders of magnitude. Products with the pattern of the plan come in between. A limit of
/// the entries per row that matters takes many more: hundreds, or all.
///
/// The solver holds about `40 (n + m)` numbers and, three times, the entries of the plan and their
/// columns: few, unless gamma makes plans dense. The first plans have more entries than the result.
/// Memory for more entries is allocated in iterations. Several threads (feature `rayon`) hold the
/// entries twice more, and for each of up to four tasks per thread a list of 2^14
/// or m costs and columns, whichever is more.
///
/// # Accuracy
/// For both element types, potentials, levels and sums are `f64`: `f32` costs count as they are.
/// Rows have their masses up to rounding errors, so the marginal error lies in the columns. An
/// entry has an absolute error of about 1e-16 times the largest cost / gamma. The smallest
/// tolerance that can be met is about n times as large, relative to the total mass.
///
/// # Special values
/// A cost of +inf forbids a pair: its entry of the plan is 0. Masses may be 0: the row or column of
/// the plan is then 0 and its potential -inf. The costs there do not matter, but they must not be
/// NaN or -inf. If forbidden pairs permit no plan, the solve ends with
/// [`Status::Infeasible`](crate::transport::Status::Infeasible).
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(try_from = "super::serde::SparseTransportData", into = "super::serde::SparseTransportData")
)]
#[must_use]
pub struct SparseTransport {
    pub(super) gamma: f64,
    pub(super) max_entries: Option<usize>,
    pub(super) max_iterations: usize,
    /// The tolerance; `None` is the default of the element type.
    pub(super) tolerance: Option<f64>,
    pub(super) road: Road,
}

/// The progress of a solve, passed to the callback after every iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SparseProgress {
    /// The number of iterations done.
    pub iteration: usize,
    /// The L1 error of the marginals at the potentials that were tried, relative to the total mass.
    pub error: f64,
    /// The current gamma: larger ones come first.
    pub gamma: f64,
}

impl SparseTransport {
    /// Returns a solver with the regularization `gamma`, an absolute value in the units of a cost
    /// divided by a mass; see [above](Self#the-regularization).
    pub fn new(gamma: f64) -> Self {
        Self { gamma, max_entries: None, max_iterations: 1000, tolerance: None, road: Road::BEST }
    }

    /// Sets the largest number of entries of a row of the plan, k. With k = 1, every row sends its
    /// mass to one column. Default: no limit.
    ///
    /// The problem is then not convex. The solver maximizes the dual function, in which each row
    /// has the best k entries for the potentials. Where several choices are equally good, that
    /// function has a kink, and its maximum is often at kinks. The rows then have their masses, but
    /// the plan misses b: the solve ends with
    /// [`Status::Stagnated`](crate::transport::Status::Stagnated) or
    /// [`Status::IterationLimit`](crate::transport::Status::IterationLimit), and
    /// [`marginal_error`](SparseSolution::marginal_error) says by how much. This becomes rarer, and
    /// the error smaller, the larger k is.
    pub fn max_entries_per_row(self, k: usize) -> Self {
        Self { max_entries: Some(k), ..self }
    }

    /// Sets the largest number of iterations, each of which reads the cost matrix once. Default
    /// 1000.
    pub fn max_iterations(self, n: usize) -> Self {
        Self { max_iterations: n, ..self }
    }

    /// Sets the tolerance: the solver stops when the L1 error of the marginals relative to the
    /// total mass is at most `tol`. Default 1e-6 for `f64`, 1e-4 for `f32`. With 0, the solver goes
    /// on until rounding errors prevent progress.
    pub fn tolerance(self, tol: f64) -> Self {
        Self { tolerance: Some(tol), ..self }
    }

    /// Sets the instruction set that runs instead of [`Isa::best`].
    pub fn isa(self, isa: Isa) -> Self {
        Self { road: self.road.with_isa(isa), ..self }
    }

    /// Sets whether the threads of rayon's current pool share the work: the reads of the costs, and
    /// products with large patterns. The results have the same bits. The callback of
    /// [`solve_with_progress`](Self::solve_with_progress) runs on the calling thread. If that
    /// thread is not one of the pool, it hands over every read and every large product, which takes
    /// some 100 microseconds each; [`solve`](Self::solve) hands over the whole solve.
    #[cfg(feature = "rayon")]
    pub fn parallel(self, yes: bool) -> Self {
        Self { road: self.road.with_threads(yes), ..self }
    }

    /// Finds the plan P that minimizes `<C, P> + gamma / 2 * ||P||^2` with `P 1 = a` and
    /// `P^T 1 = b`, and with at most k entries per row if there is such a limit. `cost` is n x m,
    /// `a` has n masses, and `b` has m.
    ///
    /// - Accuracy: as [above](Self#accuracy). A solve that stops before the tolerance is reached is
    ///   not an error: [`SparseSolution::status`] says why it ended.
    /// - Special values: as [above](Self#special-values).
    /// - Errors: as listed below.
    /// - Cost and source: one read of the cost matrix per iteration; Blondel, Seguy & Rolet 2018,
    ///   "Smooth and Sparse Optimal Transport"; Lorenz, Manns & Meyer 2021, "Quadratically
    ///   Regularized Optimal Transport"; Liu, Puigcerver & Blondel 2023, "Sparsity-Constrained
    ///   Optimal Transport" (with a limit per row, where they have one per column).
    ///
    /// ```
    /// use mantex::{MatRef, SparseTransport};
    /// let cost = MatRef::new(&[0.0_f32, 1.0, 1.0, 0.0], 2, 2)?;
    /// let solution = SparseTransport::new(0.01).solve(cost, &[0.3, 0.7], &[0.6, 0.4])?;
    /// assert!((solution.cost() - 0.3).abs() < 1e-3);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::InvalidParameter`] if gamma, or gamma times the total mass, is not between 1e-200
    ///   and 1e200, if the tolerance is negative or not finite, if the limit of entries per row is
    ///   0, or if the matrix has more than 2^32 columns.
    /// - [`Error::Empty`] if the cost matrix has no rows or no columns.
    /// - [`Error::LengthMismatch`] if `a` or `b` does not have one mass per row or column.
    /// - [`Error::InvalidElement`] if a mass is negative or not finite, if a cost is NaN or -inf,
    ///   or if the magnitude of a finite cost between a row and a column with mass is above 1e30
    ///   (`f64`: 1e300).
    /// - [`Error::InvalidTotalMass`] if the masses of a marginal sum to 0, or their sum overflows.
    /// - [`Error::MassMismatch`] if the totals of `a` and `b` differ by more than 1e-6 (`f32`:
    ///   1e-4) times the larger total. If they differ by less, b counts scaled to the total of a.
    /// - [`Error::Infeasible`] if a row or column has mass, but all its partners with mass are
    ///   forbidden.
    pub fn solve<T: Real>(&self, cost: MatRef<'_, T>, a: &[T], b: &[T]) -> Result<SparseSolution<T>, Error> {
        self.road.within_pool((cost.rows(), cost.cols()), || {
            self.checked_solve(cost, a, b, &mut |_| ControlFlow::Continue(()))
        })
    }

    /// Solves as [`solve`](Self::solve) does, and calls `on_iteration` after every iteration. If
    /// the callback breaks, the solve stops, and the result is that of the steps taken.
    ///
    /// - Accuracy: that of [`solve`](Self::solve).
    /// - Special values: those of [`solve`](Self::solve).
    /// - Errors: those of [`solve`](Self::solve).
    /// - Cost and source: those of [`solve`](Self::solve).
    ///
    /// ```
    /// use mantex::{MatRef, SparseTransport};
    /// use std::ops::ControlFlow;
    /// let cost = MatRef::new(&[0.0, 1.0, 1.0, 0.0], 2, 2)?;
    /// let (a, b) = ([0.3, 0.7], [0.6, 0.4]);
    /// let solution = SparseTransport::new(0.01).solve_with_progress(cost, &a, &b, |progress| {
    ///     println!("{}: error {:e}", progress.iteration, progress.error);
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert!(solution.converged());
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn solve_with_progress<T: Real>(
        &self,
        cost: MatRef<'_, T>,
        a: &[T],
        b: &[T],
        mut on_iteration: impl FnMut(&SparseProgress) -> ControlFlow<()>,
    ) -> Result<SparseSolution<T>, Error> {
        self.checked_solve(cost, a, b, &mut on_iteration)
    }

    /// Checks the problem, and solves it.
    fn checked_solve<T: Real>(
        &self,
        cost: MatRef<'_, T>,
        a: &[T],
        b: &[T],
        on_iteration: &mut OnIteration<'_>,
    ) -> Result<SparseSolution<T>, Error> {
        self.check_settings_and_shapes(cost, a, b)?;
        self.solve_on_ranks(cost, a, b, &mut OneProcess, on_iteration)
    }

    /// Checks the costs and the masses, and solves the problem. With several ranks, each has some
    /// of the rows.
    pub(super) fn solve_on_ranks<T: Real>(
        &self,
        cost: MatRef<'_, T>,
        a: &[T],
        b: &[T],
        reduce: &mut dyn Reduce,
        on_iteration: &mut OnIteration<'_>,
    ) -> Result<SparseSolution<T>, Error> {
        let (masses, row_minima, largest_cost) = {
            let mut ranks = Ranks::new(reduce);
            let checked = self.checked_costs(cost, a, b, &mut ranks);
            ranks.check()?;
            checked?
        };
        let mut ranks = Ranks::new(reduce);
        ranks.set_rows(masses.support.len());
        let mut solver = Solver::new(self, cost, &masses, (&row_minima, largest_cost), ranks);
        let status = solver.solve(on_iteration);
        let solution = SparseSolution::new(&mut solver, status);
        solver.ranks.check()?;
        Ok(solution)
    }

    /// Returns the masses, the minima of the rows, and the largest cost of all ranks. Fails on all
    /// ranks if it fails on one.
    fn checked_costs<T: Real>(
        &self,
        cost: MatRef<'_, T>,
        a: &[T],
        b: &[T],
        ranks: &mut Ranks<'_>,
    ) -> Result<(Masses, Vec<T>, f64), Error> {
        let masses = Masses::new(a, b, default_tolerance::<T>(), ranks)?;
        self.check_gamma(masses.total)?;
        let row_minima = check_feasible(self.road, cost, a, b, ranks)?;
        let largest_cost = ranks.agree(largest_cost(self.road, cost, a, b), [])?;
        Ok((masses, row_minima, ranks.largest(largest_cost)))
    }

    /// Fails unless all settings are in range and the shapes agree.
    pub(super) fn check_settings_and_shapes<T: Real>(
        &self,
        cost: MatRef<'_, T>,
        a: &[T],
        b: &[T],
    ) -> Result<(), Error> {
        self.check_settings::<T>()?;
        if cost.rows() == 0 || cost.cols() == 0 {
            return Err(Error::Empty { argument: "cost" });
        }
        let invalid = |argument, value, expected| Err(Error::InvalidParameter { argument, value, expected });
        if u32::try_from(cost.cols() - 1).is_err() {
            return invalid("cost.cols()", cost.cols() as f64, "at most 2^32");
        }
        check::length("a", a.len(), cost.rows())?;
        check::length("b", b.len(), cost.cols())
    }

    /// Fails unless all settings are in range.
    pub(super) fn check_settings<T: Real>(&self) -> Result<(), Error> {
        let invalid = |argument, value, expected| Err(Error::InvalidParameter { argument, value, expected });
        self.check_gamma(1.0)?;
        let tolerance = self.tolerance_for::<T>();
        if !(0.0..f64::INFINITY).contains(&tolerance) {
            return invalid("tolerance", tolerance, "0 or positive, and finite");
        }
        if self.max_entries == Some(0) {
            return invalid("max_entries_per_row", 0.0, "at least 1");
        }
        Ok(())
    }

    /// Fails unless gamma is in range, also times the total mass. Then quotients of masses and
    /// gamma neither overflow nor vanish.
    fn check_gamma(&self, total_mass: f64) -> Result<(), Error> {
        if (1e-200..=1e200).contains(&self.gamma) && (1e-200..=1e200).contains(&(self.gamma * total_mass)) {
            return Ok(());
        }
        let expected = "from 1e-200 to 1e200, also times the total mass";
        Err(Error::InvalidParameter { argument: "gamma", value: self.gamma, expected })
    }

    /// Returns the largest number of entries of a row of `cols` columns.
    pub(super) fn top(&self, cols: usize) -> usize {
        self.max_entries.map_or(cols, |k| k.min(cols))
    }

    /// Returns the tolerance for problems of an element type.
    pub(super) fn tolerance_for<T: Real>(&self) -> f64 {
        self.tolerance.unwrap_or(default_tolerance::<T>())
    }

    /// Returns the error that a converged solution must not exceed.
    pub(super) fn measured_tolerance<T: Real>(&self) -> f64 {
        let tolerance = self.tolerance_for::<T>();
        if tolerance > 0.0 { tolerance } else { default_tolerance::<T>() }
    }
}
