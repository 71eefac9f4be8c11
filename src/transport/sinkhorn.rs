//! Entropic optimal transport: the solver over the fused log-domain kernel.

use super::masses::{Masses, check_costs};
use super::solution::{Potentials, Transport};
use super::solver::Solver;
use crate::check;
use crate::dispatch::Road;
use crate::kernels::sinkhorn::Measure;
use crate::real::Element;
use crate::{Error, Isa, MatRef, Real};
use core::ops::ControlFlow;

/// A solver for entropic optimal transport between two histograms.
///
/// Given a cost matrix C (n x m) and masses a (n) and b (m) it finds the plan P that minimises
/// `sum_ij C_ij P_ij + epsilon * sum_ij P_ij (ln P_ij - 1)` with row sums a and column sums b. That plan is
/// `P_ij = exp((f_i + g_j - C_ij) / epsilon)` for potentials f and g, found by Sinkhorn's iteration in the log domain
/// (Cuturi 2013, "Sinkhorn Distances"; Schmitzer 2019, "Stabilized Sparse Scaling Algorithms for Entropy Regularized
/// Transport Problems"), started from g = 0.
///
/// ```
/// use mantex::{MatRef, Sinkhorn};
/// // Move one half from each of two places to three places at distances of 0 to 2.
/// let cost = [0.0, 1.0, 2.0, 2.0, 1.0, 0.0];
/// let (a, b) = ([0.5, 0.5], [0.25, 0.5, 0.25]);
/// let transport = Sinkhorn::new(0.05_f64).solve(MatRef::new(&cost, 2, 3)?, &a, &b)?;
/// assert!(transport.converged() && transport.marginal_error() <= 1e-6);
/// assert!((transport.cost() - 0.5).abs() < 1e-6);
/// println!("f = {:?}, g = {:?} after {} iterations", transport.f(), transport.g(), transport.iterations());
/// # Ok::<(), mantex::Error>(())
/// ```
///
/// # Speed and memory
/// An iteration (one update of f and one of g) reads the cost matrix once and takes one exponential per entry, or reads a
/// stored kernel matrix once and takes none: see [`Method`]. The check before the first reads the cost matrix; absorbing
/// potentials, and a measurement whenever the error told with an iteration is within the tolerance, also take its exponentials. Besides the input, the solver holds about
/// `10 * n + 15 * m` numbers, and with a kernel matrix, whose rows are filled up to lines of the cache, `n * m` more; the
/// plan is never stored.
///
/// # Accuracy
/// Potentials are iterated in `f64` for both element types. With `f32` costs, an entry of the plan that is not
/// negligible has a relative error of about 1e-6 even where cost / epsilon is 1e6, so the marginal error is limited by
/// the iterations and not by rounding; sums are carried in `f64`. `f32` takes `log2(e) / epsilon` rounded to `f32`: a
/// relative change of epsilon below 1e-7. Epsilon may be as small as 1e-12 of the potentials (which are of the size of the
/// costs, but for those nearly forbidden that no mass has to use); a small one needs many iterations.
///
/// # Special values
/// A cost of +inf forbids a pair: its entry in the plan is 0. Masses of 0 are fine: the row or column of the plan is 0
/// and the potential -inf; the costs there do not matter, but must not be NaN or -inf.
#[derive(Debug, Clone, PartialEq)]
pub struct Sinkhorn<T: Real> {
    pub(super) epsilon: T,
    pub(super) max_iterations: usize,
    pub(super) tolerance: T,
    pub(super) road: Road,
    pub(super) method: Method,
    pub(super) memory_limit: usize,
    pub(super) relaxation: Relaxation,
    pub(super) epsilon_scaling: Option<f64>,
    pub(super) start: Option<(Vec<f64>, Vec<f64>)>,
}

/// How [`Sinkhorn`] iterates. The potentials come out the same, to the stated accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Method {
    /// In the log domain: one exponential per entry and iteration, no memory of the size of the matrix.
    Log,
    /// By scaling a stored kernel matrix, `exp((f_i + g_j - C_ij) / epsilon)` with the potentials of when it was made (they
    /// are *absorbed*; Schmitzer 2019, section 3.1): two multiply-adds per entry and iteration, for one
    /// more matrix of the size of the cost matrix, whatever [`Sinkhorn::memory_limit`] says. Where the factors leave the range in which
    /// that is accurate it goes on in the log domain and absorbs again.
    Scaling,
    /// In the log domain at first, and by scaling where enough iterations are to follow and the matrix is within
    /// [`Sinkhorn::memory_limit`].
    #[default]
    Auto,
}

/// How far [`Sinkhorn`] moves the potentials beyond their updates: over-relaxation, which takes many times fewer
/// iterations where the plain ones are slow (Thibault, Chizat, Dossal and Papadakis 2021, "Overrelaxed Sinkhorn-Knopp
/// Algorithm for Regularized Optimal Transport").
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Relaxation {
    /// Not at all.
    #[default]
    Off,
    /// By the factor that is best for the rate at which the error falls; not at all at first, and less wherever it does
    /// not fall.
    Auto,
    /// By a factor between 0 and 2, 1 being none; above 1 it need not converge.
    Factor(f64),
}

/// Where a solve is, told after every iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SinkhornProgress {
    /// Iterations that are done.
    pub iteration: usize,
    /// The L1 error of the marginals before the last iteration, in the units of the masses; infinite after the first at each
    /// epsilon.
    /// [`Transport::marginal_error`] is measured in the end.
    pub error: f64,
    /// The current epsilon, see [`Sinkhorn::epsilon_scaling`].
    pub epsilon: f64,
}

impl<T: Real> Sinkhorn<T> {
    /// A solver with the regularisation `epsilon`, absolute, in the units of the cost.
    pub fn new(epsilon: T) -> Self {
        Self {
            epsilon,
            max_iterations: 1000,
            tolerance: T::rounded(default_tolerance::<T>()),
            road: Road::Best,
            method: Method::default(),
            memory_limit: 1 << 30,
            relaxation: Relaxation::default(),
            epsilon_scaling: None,
            start: None,
        }
    }

    /// How it iterates. Default [`Method::Auto`].
    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// The most bytes that [`Method::Auto`] may take for a kernel matrix, about the size of the cost matrix. Default 1 GiB.
    pub fn memory_limit(self, bytes: usize) -> Self {
        Self { memory_limit: bytes, ..self }
    }

    /// How far potentials are moved beyond their updates. Default [`Relaxation::Off`].
    pub fn relaxation(self, relaxation: Relaxation) -> Self {
        Self { relaxation, ..self }
    }

    /// Solve roughly for larger epsilons first: from the range of the finite costs down to epsilon, each the last divided by
    /// `factor`, the potentials carried over (Schmitzer 2019, section 3.2). Helps where epsilon is small against the costs.
    /// Their iterations count, too. `factor` is above 1; 2 to 10 are usual.
    pub fn epsilon_scaling(self, factor: f64) -> Self {
        Self { epsilon_scaling: Some(factor), ..self }
    }

    /// Start from the given potentials, in the units of the cost, instead of g = 0: those of a similar problem, or of
    /// [`Transport::potentials`]. They are `f64` for both types, as rounding to `f32` would move the plan's entries by that
    /// / epsilon. Where there is no mass they do not matter.
    pub fn start(self, f: Vec<f64>, g: Vec<f64>) -> Self {
        Self { start: Some((f, g)), ..self }
    }

    /// The number of iterations after which it stops in any case; one iteration is one update of f and one of g. Default
    /// 1000. After 0 iterations the potentials are those of the start.
    pub fn max_iterations(self, n: usize) -> Self {
        Self { max_iterations: n, ..self }
    }

    /// Stop when the L1 error of the marginals, [`Transport::marginal_error`], is at most `tol`, in the units of the
    /// masses; checking costs nothing while iterating. Default 1e-6 for `f64`, 1e-4 for `f32`. With 0 it runs exactly
    /// [`max_iterations`](Self::max_iterations).
    pub fn tolerance(self, tol: T) -> Self {
        Self { tolerance: tol, ..self }
    }

    /// Run on the given instruction set instead of [`Isa::best`].
    pub fn isa(self, isa: Isa) -> Self {
        Self { road: Road::On(isa), ..self }
    }

    /// Solves the problem: `cost` is n x m, `a` has n masses, `b` has m.
    ///
    /// Not reaching the tolerance is no error: [`Transport::converged`] is false then.
    ///
    /// # Errors
    /// - [`Error::InvalidParameter`]: epsilon is not positive and finite, or so small against the costs (1e-12 of the potentials)
    ///   or so large that it cannot be computed with; the tolerance is negative or not finite; the total mass is 0 or
    ///   overflows; the relaxation is not between 0 and 2, the factor of epsilon scaling not above 1 and finite.
    /// - [`Error::Empty`], [`Error::LengthMismatch`]: no rows or columns; `a`, `b` or the potentials to start from do not have one
    ///   number per row or column.
    /// - [`Error::InvalidElement`]: a mass that is negative or not finite; a cost that is NaN or -inf; a potential to start from
    ///   that is not finite where there is mass.
    /// - [`Error::MassMismatch`]: the totals of `a` and `b` differ by more than 1e-6 (`f64`) or 1e-4 (`f32`, whose totals
    ///   carry the rounding of their masses) of the larger. Within that, their difference is a lower bound of the
    ///   marginal error.
    /// - [`Error::Infeasible`]: a row or column has mass, but all its partners with mass are forbidden.
    pub fn solve(&self, cost: MatRef<'_, T>, a: &[T], b: &[T]) -> Result<Transport<T>, Error> {
        self.solve_with(cost, a, b, |_| ControlFlow::Continue(()))
    }

    /// As [`solve`](Self::solve), and calls `watch` after every iteration, which can stop the run: the result is then that
    /// of the iterations done.
    ///
    /// ```
    /// use mantex::{MatRef, Sinkhorn};
    /// use std::ops::ControlFlow;
    /// use std::time::{Duration, Instant};
    /// let end = Instant::now() + Duration::from_millis(100);
    /// let cost = MatRef::new(&[0.0, 1.0, 1.0, 0.0], 2, 2)?;
    /// let transport = Sinkhorn::new(0.01_f64).solve_with(cost, &[0.3, 0.7], &[0.6, 0.4], |progress| {
    ///     println!("{}: error {:e}", progress.iteration, progress.error);
    ///     if Instant::now() < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    /// })?;
    /// assert!(transport.iterations() >= 1);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`solve`](Self::solve).
    pub fn solve_with(
        &self,
        cost: MatRef<'_, T>,
        a: &[T],
        b: &[T],
        mut watch: impl FnMut(&SinkhornProgress) -> ControlFlow<()>,
    ) -> Result<Transport<T>, Error> {
        let (k, _) = self.parameters(cost)?;
        check::length("a", a.len(), cost.rows())?;
        check::length("b", b.len(), cost.cols())?;
        let masses = Masses::new(a, b, default_tolerance::<T>())?;
        let row_minima = check_costs(self.road, cost, a, b)?;

        let problem = masses.problem(cost, k);
        let (u, g) = match &self.start {
            None => {
                let g = masses.b.iter().map(|&b| if b > 0.0 { 0.0 } else { f64::NEG_INFINITY });
                (masses.rows.iter().map(|&i| k.to_f64() * row_minima[i].to_f64()).collect(), g.collect())
            }
            Some((f, g)) => masses.potentials(k.to_f64(), f, g)?,
        };
        let mut solver = Solver::new(self, problem, u, g)?;
        let tolerance = (self.tolerance.to_f64() / masses.total).min(f64::MAX);
        let mut limit = self.max_iterations;
        if let Some(factor) = self.epsilon_scaling {
            let flow = solver.approach(range(cost), factor, ROUGHLY.max(tolerance), masses.total, &mut watch)?;
            limit = if flow.is_break() { solver.iterations } else { limit };
        }
        let measure = solver.run(tolerance, limit, masses.total, &mut watch)?;
        let iterations = solver.iterations;
        let (u, g, span) = solver.into_potentials();
        self.transport(masses, measure, Potentials { u, g, span, k }, iterations)
    }

    /// `log2(e) / epsilon` and the tolerance, if all that was set can be computed with and there is a cost matrix.
    pub(super) fn parameters(&self, cost: MatRef<'_, T>) -> Result<(T, f64), Error> {
        let parameter = |argument, value, expected| Err(Error::InvalidParameter { argument, value, expected });
        let epsilon = self.epsilon.to_f64();
        let k = T::rounded(core::f64::consts::LOG2_E / epsilon);
        if !(epsilon > 0.0 && epsilon < f64::INFINITY && k < T::infinity()) {
            return parameter("epsilon", epsilon, "positive and finite, and so must be its inverse");
        }
        let tolerance = self.tolerance.to_f64();
        if !(0.0..f64::INFINITY).contains(&tolerance) {
            return parameter("tolerance", tolerance, "0 or positive, and finite");
        }
        match self.relaxation {
            Relaxation::Factor(factor) if !(factor > 0.0 && factor < 2.0) => {
                return parameter("relaxation", factor, "between 0 and 2");
            }
            _ => {}
        }
        match self.epsilon_scaling {
            Some(factor) if !(factor > 1.0 && factor < f64::INFINITY) => {
                return parameter("epsilon_scaling", factor, "above 1 and finite");
            }
            _ => {}
        }
        for (argument, len) in [("cost", cost.rows()), ("cost", cost.cols())] {
            if len == 0 {
                return Err(Error::Empty { argument });
            }
        }
        Ok((k, tolerance))
    }

    /// The error where the largest potential is too large to compute with.
    pub(super) fn epsilon_too_small(&self) -> Error {
        Error::InvalidParameter {
            argument: "epsilon",
            value: self.epsilon.to_f64(),
            expected: "more than 1e-12 of the potentials, which must not overflow",
        }
    }

    /// The result, in the units of the caller.
    fn transport(
        &self,
        masses: Masses,
        measure: Measure,
        potentials: Potentials<T>,
        iterations: usize,
    ) -> Result<Transport<T>, Error> {
        let (f, g) = potentials.of(&masses);
        let [f, g] = [f, g].map(|x| x.into_iter().map(T::rounded).collect::<Vec<T>>());
        let finite = |x: &T| x.to_f64().is_finite();
        let all_finite =
            masses.rows.iter().all(|&i| finite(&f[i])) && g.iter().zip(&masses.b).all(|(g, &b)| b == 0.0 || finite(g));
        if !all_finite {
            return Err(self.epsilon_too_small());
        }
        let marginal_error = T::rounded(measure.error * masses.total);
        Ok(Transport {
            converged: marginal_error <= self.tolerance,
            iterations,
            marginal_error,
            f,
            g,
            cost: T::rounded(measure.cost * masses.total),
            road: self.road,
            masses,
            potentials,
        })
    }
}

/// The error, relative to the masses, at which one epsilon of a schedule makes way for the next.
const ROUGHLY: f64 = 0.02;

/// The largest finite cost less the smallest, 0 where there is none.
fn range<T: Real>(cost: MatRef<'_, T>) -> f64 {
    let (mut min, mut max) = (T::infinity(), T::rounded(-T::MAX));
    for row in cost.iter_rows() {
        for &c in row {
            min = if c < min { c } else { min };
            max = if c > max && c < T::infinity() { c } else { max };
        }
    }
    (max.to_f64() - min.to_f64()).clamp(0.0, f64::MAX)
}

/// The tolerance of solvers that are not told otherwise; also how far, relatively, the totals of the masses may differ.
pub(super) fn default_tolerance<T: Real>() -> f64 {
    if T::EPSILON > 1e-10 { 1e-4 } else { 1e-6 }
}
