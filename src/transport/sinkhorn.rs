//! The solver's settings, and the solve of one problem.

use super::centered_costs::CenteredCosts;
use super::convergence::Progress;
use super::domain::Method;
use super::epsilon_scaling::EpsilonScaling;
use super::masses::{Masses, check_feasible};
use super::over_relaxation::OverRelaxation;
use super::ranks::Ranks;
use super::solution::Transport;
use super::solver::Solver;
use super::units::{Potentials, Units};
use crate::check;
use crate::dispatch::Road;
use crate::kernels::transport::Problem;
use crate::real::Element;
use crate::{Error, Isa, MatRef, Real};
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// A solver for entropic optimal transport between two histograms.
///
/// For costs C (n x m) and masses a (n) and b (m), it finds the plan P that minimizes
/// `<C, P> + epsilon * sum_ij P_ij (ln P_ij - 1)` with row sums a and column sums b. That plan is
/// `P_ij = exp((f_i + g_j - C_ij) / epsilon)` for potentials f and g. Sinkhorn's iteration finds
/// the potentials, starting from g = 0 (Cuturi 2013, "Sinkhorn Distances"; Schmitzer 2019,
/// "Stabilized Sparse Scaling Algorithms for Entropy Regularized Transport Problems").
///
/// `Sinkhorn::new(epsilon)` needs no other setting. The solver chooses the factor of
/// over-relaxation from the rate of convergence that it measures. It moves blocks of potentials
/// that drift against each other, solves with larger epsilons first if that pays, and takes steps
/// of Newton's method if iterations would take longer: see [`OverRelaxation`], [`EpsilonScaling`]
/// and [`Method`].
///
/// ```
/// use mantex::{MatRef, Sinkhorn};
/// // Move one half from each of two places to three places at distances of 0 to 2.
/// let cost = [0.0, 1.0, 2.0, 2.0, 1.0, 0.0];
/// let (a, b) = ([0.5, 0.5], [0.25, 0.5, 0.25]);
/// let transport = Sinkhorn::new(0.05).solve(MatRef::new(&cost, 2, 3)?, &a, &b)?;
/// assert!(transport.converged() && transport.marginal_error() <= 1e-6);
/// assert!((transport.cost() - 0.5).abs() < 1e-6);
/// println!("f = {:?} and g = {:?}", transport.f(), transport.g());
/// # Ok::<(), mantex::Error>(())
/// ```
///
/// # Speed and memory
/// An iteration is one update of f and one of g. It reads the cost matrix once and takes one
/// exponential per entry, or it reads a stored Gibbs matrix once and takes none: see [`Method`].
/// Four more steps read the cost matrix once each: the checks before the first iteration, building
/// a Gibbs matrix, looking for drifting blocks, and measuring the marginal error when the reported
/// error is within the tolerance. The last three also take one exponential per entry. Besides the
/// input, the solver holds about `15 (n + m)` numbers. A Gibbs matrix is `n m` more, with rows
/// filled up to cache lines. A copy of the costs, if there is one ([Accuracy](Self#accuracy)), is
/// `n m` more, too. Newton's method, if it is used, holds up to half of the entries of the plan
/// with their columns. The whole plan is never stored.
///
/// # Accuracy
/// For both element types, potentials are `f64`, and sums are continued in `f64`. With `f32` costs,
/// an entry of the plan that is not negligible has a relative error of about 1e-6, even if cost /
/// epsilon is 1e6. Rounding leaves a marginal error of about 1e-7 (`f64`: 1e-15), plus 1e-16 times
/// the largest potential / epsilon.
///
/// An offset of all costs, of a row or of a column makes potentials as large as itself. If their
/// rounding would limit the tolerance, the solver takes a copy of the costs without offsets. The
/// marginal error is then that of the copy. The returned potentials contain the offsets again, and
/// are rounded to their magnitude: the plan and the values that are computed from them may meet the
/// marginals less closely.
///
/// Kernels take `log2(e) / epsilon` rounded to the element type; for `f32` this is a relative
/// change of epsilon of at most 6e-8. Epsilon may be as small as 1e-12 times the largest potential.
/// Potentials are about as large as the costs that mass has to pay. A small epsilon needs many
/// iterations.
///
/// # Special values
/// A cost of +inf forbids a pair: its entry of the plan is 0. Masses may be 0: the row or column of
/// the plan is then 0 and its potential -inf. The costs there do not matter, but they must not be
/// NaN or -inf. Column masses below about 1e-29 (`f32`) of the total are met, too, but each such
/// column takes several times the time of others.
///
/// If forbidden pairs permit no plan, the solve ends with
/// [`Status::Infeasible`](crate::transport::Status::Infeasible) under every setting. Large finite
/// costs are not infinite: a cost of 1e30 permits a pair.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "super::serde::SinkhornData", into = "super::serde::SinkhornData"))]
#[must_use]
pub struct Sinkhorn {
    pub(super) epsilon: f64,
    pub(super) max_iterations: usize,
    /// The tolerance; `None` is the default of the element type.
    pub(super) tolerance: Option<f64>,
    pub(super) road: Road,
    pub(super) method: Method,
    pub(super) memory_limit: usize,
    pub(super) over_relaxation: OverRelaxation,
    pub(super) epsilon_scaling: EpsilonScaling,
    pub(super) warm_start: Option<(Vec<f64>, Vec<f64>)>,
}

/// A problem that can be solved.
pub(super) struct ValidProblem<T> {
    pub(super) eta: T,
    pub(super) masses: Masses,
    /// The potentials to start from.
    pub(super) start: Potentials,
    /// The costs without offsets, if they are to be solved instead.
    pub(super) centered: Option<CenteredCosts<T>>,
}

/// Returns log2(e) / epsilon in the element type.
pub(super) fn eta<T: Real>(epsilon: f64) -> T {
    T::rounded(core::f64::consts::LOG2_E / epsilon)
}

/// Returns the default tolerance. It is also the largest relative difference between the totals of
/// the masses that is not an error.
pub(super) fn default_tolerance<T: Real>() -> f64 {
    if T::EPSILON > 1e-10 { 1e-4 } else { 1e-6 }
}

impl Sinkhorn {
    /// Returns a solver with the regularization `epsilon`, an absolute value in the units of the
    /// cost.
    pub fn new(epsilon: f64) -> Self {
        Self {
            epsilon,
            max_iterations: 1000,
            tolerance: None,
            road: Road::BEST,
            method: Method::default(),
            memory_limit: 1 << 30,
            over_relaxation: OverRelaxation::default(),
            epsilon_scaling: EpsilonScaling::default(),
            warm_start: None,
        }
    }

    /// Sets the domain in which the solver iterates, and whether Newton's method follows. Default
    /// [`Method::Auto`].
    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// Sets the largest size in bytes of a Gibbs matrix with [`Method::Auto`] and
    /// [`Method::Newton`], and, apart from it, of the entries that Newton's method keeps. The Gibbs
    /// matrix is about as large as the cost matrix. Default 1 GiB.
    pub fn memory_limit(self, bytes: usize) -> Self {
        Self { memory_limit: bytes, ..self }
    }

    /// Sets the factor by which potentials move beyond their updates. Default
    /// [`OverRelaxation::Auto`].
    pub fn over_relaxation(self, over_relaxation: OverRelaxation) -> Self {
        Self { over_relaxation, ..self }
    }

    /// Sets the schedule of larger epsilons that are solved roughly first. The iterations at all
    /// epsilons count. Default [`EpsilonScaling::Auto`].
    pub fn epsilon_scaling(self, epsilon_scaling: EpsilonScaling) -> Self {
        Self { epsilon_scaling, ..self }
    }

    /// Sets the potentials to start from instead of g = 0, in the units of the cost: those of a
    /// similar problem, or [`Transport::f`] and [`Transport::g`]. Potentials of rows and columns
    /// without mass are ignored.
    pub fn warm_start(self, f: Vec<f64>, g: Vec<f64>) -> Self {
        Self { warm_start: Some((f, g)), ..self }
    }

    /// Sets the largest number of iterations. An iteration is one update of f and one of g; a step
    /// of drifting blocks, which reads the cost matrix once, counts as one, and so does each read
    /// of it by Newton's method. A look that leads to no step does not count. Default 1000. With
    /// 0, the result has the potentials of the start.
    pub fn max_iterations(self, n: usize) -> Self {
        Self { max_iterations: n, ..self }
    }

    /// Sets the tolerance: the solver stops when the L1 error of the marginals,
    /// [`Transport::marginal_error`], relative to the total mass, is at most `tol`. Iterations
    /// report the error at no cost. Default 1e-6 for `f64`, 1e-4 for `f32`. With 0, the solver runs
    /// exactly [`max_iterations`](Self::max_iterations) iterations, unless the callback stops it or
    /// the solver finds that no plan exists.
    pub fn tolerance(self, tol: f64) -> Self {
        Self { tolerance: Some(tol), ..self }
    }

    /// Sets the instruction set that runs instead of [`Isa::best`].
    pub fn isa(self, isa: Isa) -> Self {
        Self { road: self.road.with_isa(isa), ..self }
    }

    /// Sets whether the threads of rayon's current pool share the work: the rows of iterations and
    /// plans, and the problems of a batch. The results have the same bits. The callback of
    /// [`solve_with_progress`](Self::solve_with_progress) runs on the calling thread. If that is
    /// none of the pool, it hands every iteration to the pool, which takes some 100 microseconds;
    /// [`solve`](Self::solve) hands over the whole solve.
    #[cfg(feature = "rayon")]
    pub fn parallel(self, yes: bool) -> Self {
        Self { road: self.road.with_threads(yes), ..self }
    }

    /// Finds the plan P that minimizes `<C, P> + epsilon * sum_ij P_ij (ln P_ij - 1)` with
    /// `P 1 = a` and `P^T 1 = b`. `cost` is n x m, `a` has n masses, and `b` has m.
    ///
    /// - Accuracy: as [above](Self#accuracy). A solve that stops before the tolerance is reached is
    ///   not an error: [`Transport::status`] says why it ended.
    /// - Special values: as [above](Self#special-values).
    /// - Errors: as listed below.
    /// - Cost and source: per iteration, one read of the cost matrix and one exponential per entry,
    ///   or one read of a Gibbs matrix ([`Method`]); Cuturi 2013, Schmitzer 2019, Tang et al. 2024.
    ///
    /// ```
    /// use mantex::{MatRef, Sinkhorn};
    /// let cost = MatRef::new(&[0.0_f32, 1.0, 1.0, 0.0], 2, 2)?;
    /// let transport = Sinkhorn::new(0.01).solve(cost, &[0.3, 0.7], &[0.6, 0.4])?;
    /// assert!((transport.cost() - 0.3).abs() < 1e-3);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::InvalidParameter`] if epsilon is not positive and finite, if its inverse
    ///   overflows or underflows in `T`, or if epsilon is below 1e-12 times the largest potential.
    /// - [`Error::InvalidParameter`] if the tolerance is negative or not finite, if the factor of
    ///   over-relaxation is not between 0 and 2, or if the factor of epsilon scaling is not above 1
    ///   and finite.
    /// - [`Error::Empty`] if the cost matrix has no rows or no columns.
    /// - [`Error::LengthMismatch`] if `a`, `b` or the potentials of a warm start do not have one
    ///   number per row or column.
    /// - [`Error::InvalidElement`] if a mass is negative or not finite, if a cost is NaN or -inf,
    ///   or if a potential of a warm start is not finite in a row or column with mass.
    /// - [`Error::InvalidTotalMass`] if the masses of a marginal sum to 0, or their sum overflows.
    /// - [`Error::MassMismatch`] if the totals of `a` and `b` differ by more than 1e-6 (`f32`:
    ///   1e-4, because of the rounding errors of the masses) times the larger total. If they differ
    ///   by less, b counts scaled to the total of a.
    /// - [`Error::Infeasible`] if a row or column has mass, but all its partners with mass are
    ///   forbidden.
    pub fn solve<T: Real>(&self, cost: MatRef<'_, T>, a: &[T], b: &[T]) -> Result<Transport<T>, Error> {
        // The lines repeat those of `solve_with_progress`: a shared function would be one more step
        // between the public call and the inner loop.
        self.road.within_pool((cost.rows(), cost.cols()), || {
            let ValidProblem { eta, masses, start, centered } = self.validated(cost, a, b, &mut Ranks::one())?;
            let cost = centered.as_ref().map_or(cost, CenteredCosts::matrix);
            let on_iteration = &mut |_: &Progress| ControlFlow::Continue(());
            let solution = Solver::new(self, masses.problem(cost, eta), start, Ranks::one())?.solve(on_iteration)?;
            Transport::new(self, masses, eta, (solution, centered))
        })
    }

    /// Solves as [`solve`](Self::solve) does, and calls `on_iteration` after every iteration. If
    /// the callback breaks, the solve stops, and the result is that of the iterations done.
    ///
    /// - Accuracy: that of [`solve`](Self::solve).
    /// - Special values: those of [`solve`](Self::solve).
    /// - Errors: those of [`solve`](Self::solve).
    /// - Cost and source: those of [`solve`](Self::solve).
    ///
    /// ```
    /// use mantex::{MatRef, Sinkhorn};
    /// use std::ops::ControlFlow;
    /// use std::time::{Duration, Instant};
    /// let end = Instant::now() + Duration::from_millis(100);
    /// let cost = MatRef::new(&[0.0, 1.0, 1.0, 0.0], 2, 2)?;
    /// let (a, b) = ([0.3, 0.7], [0.6, 0.4]);
    /// let transport = Sinkhorn::new(0.01).solve_with_progress(cost, &a, &b, |progress| {
    ///     println!("{}: error {:e}", progress.iteration, progress.error);
    ///     if Instant::now() > end {
    ///         return ControlFlow::Break(());
    ///     }
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert!(transport.iterations() >= 1);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn solve_with_progress<T: Real>(
        &self,
        cost: MatRef<'_, T>,
        a: &[T],
        b: &[T],
        mut on_iteration: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Transport<T>, Error> {
        let ValidProblem { eta, masses, start, centered } = self.validated(cost, a, b, &mut Ranks::one())?;
        let cost = centered.as_ref().map_or(cost, CenteredCosts::matrix);
        let solution = Solver::new(self, masses.problem(cost, eta), start, Ranks::one())?.solve(&mut on_iteration)?;
        Transport::new(self, masses, eta, (solution, centered))
    }

    /// Checks the settings and the problem.
    pub(super) fn validated<T: Real>(
        &self,
        cost: MatRef<'_, T>,
        a: &[T],
        b: &[T],
        ranks: &mut Ranks<'_>,
    ) -> Result<ValidProblem<T>, Error> {
        let eta = self.checked_settings(cost)?;
        check::length("a", a.len(), cost.rows())?;
        check::length("b", b.len(), cost.cols())?;
        let masses = Masses::new(a, b, default_tolerance::<T>(), ranks)?;
        let row_minima = check_feasible(self.road, cost, a, b, ranks)?;
        let accuracy = (eta.to_f64(), self.measured_tolerance::<T>());
        let centered = CenteredCosts::new(cost, &masses, &row_minima, accuracy, ranks);
        let start = match &self.warm_start {
            None => {
                // The start of U is arbitrary. With this one, the largest entry of every row is 1.
                let minimum = |i: usize| if centered.is_some() { 0.0 } else { row_minima[i].to_f64() };
                let u = masses.support.iter().map(|&i| eta.to_f64() * minimum(i));
                let g = masses.b.iter().map(|&b| if b > 0.0 { 0.0 } else { f64::NEG_INFINITY });
                Potentials::new(u.collect(), g.collect(), &masses.b)
            }
            Some((f, g)) => {
                let mut start = Units { eta: eta.to_f64(), masses: &masses }.to_base2(f, g)?;
                if let Some(centered) = &centered {
                    centered.add_offsets(-eta.to_f64(), &mut start, &masses);
                }
                // Iterations find it in the potentials.
                if self.max_iterations == 0 {
                    let cost = centered.as_ref().map_or(cost, CenteredCosts::matrix);
                    self.check_exponents(&masses.problem(cost, eta))?;
                }
                start
            }
        };
        Ok(ValidProblem { eta, masses, start, centered })
    }

    /// Fails unless all settings are in range and the cost matrix is not empty. Returns eta.
    pub(super) fn checked_settings<T: Real>(&self, cost: MatRef<'_, T>) -> Result<T, Error> {
        let eta = self.checked_eta()?;
        if cost.rows() == 0 || cost.cols() == 0 {
            return Err(Error::Empty { argument: "cost" });
        }
        Ok(eta)
    }

    /// Fails unless all settings are in range. Returns eta.
    pub(super) fn checked_eta<T: Real>(&self) -> Result<T, Error> {
        let invalid = |argument, value, expected| Err(Error::InvalidParameter { argument, value, expected });
        let eta: T = eta(self.epsilon);
        let is_positive = |x: f64| x > 0.0 && x < f64::INFINITY;
        if !(is_positive(self.epsilon) && is_positive(eta.to_f64())) {
            return invalid("epsilon", self.epsilon, "positive and finite, and so must be its inverse");
        }
        let tolerance = self.tolerance_for::<T>();
        if !(0.0..f64::INFINITY).contains(&tolerance) {
            return invalid("tolerance", tolerance, "0 or positive, and finite");
        }
        match self.over_relaxation {
            OverRelaxation::Factor(factor) if !(factor > 0.0 && factor < 2.0) => {
                return invalid("over_relaxation", factor, "between 0 and 2");
            }
            _ => {}
        }
        match self.epsilon_scaling {
            EpsilonScaling::Factor(factor) if !(factor > 1.0 && factor < f64::INFINITY) => {
                return invalid("epsilon_scaling", factor, "above 1 and finite");
            }
            _ => {}
        }
        Ok(eta)
    }

    /// Returns the tolerance for problems of an element type.
    pub(super) fn tolerance_for<T: Real>(&self) -> f64 {
        self.tolerance.unwrap_or(default_tolerance::<T>())
    }

    /// Returns the error that a measurement must not exceed.
    pub(super) fn measured_tolerance<T: Real>(&self) -> f64 {
        let tolerance = self.tolerance_for::<T>();
        if tolerance > 0.0 { tolerance } else { default_tolerance::<T>() }
    }

    /// Returns the same solver without a warm start.
    pub(super) fn without_warm_start(&self) -> Self {
        Self { warm_start: None, ..self.clone() }
    }

    /// Fails if a cost is so negative that the exponent of its entry overflows.
    fn check_exponents<T: Real>(&self, problem: &Problem<'_, T>) -> Result<(), Error> {
        let Problem { cost, support, b, eta, .. } = *problem;
        let mut rows = support.iter().map(|&i| cost.row(i).iter().zip(b));
        let overflows = rows.any(|mut row| row.any(|(c, &b)| b > 0.0 && -eta.to_f64() * c.to_f64() >= T::MAX));
        if overflows { Err(self.epsilon_too_small()) } else { Ok(()) }
    }

    /// Returns the error for potentials that are too large relative to epsilon.
    pub(super) fn epsilon_too_small(&self) -> Error {
        let expected = "at least 1e-12 of the potentials, none of which may overflow";
        Error::InvalidParameter { argument: "epsilon", value: self.epsilon, expected }
    }
}
