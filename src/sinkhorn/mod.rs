//! Entropic optimal transport: the solver over the fused log-domain kernel.

mod batch;
mod input;
mod memory;

use crate::kernels::sinkhorn::{Measure, Problem, State, span};
use crate::{Error, Isa, MatMut, MatRef, Real};
use input::{Masses, check_costs, same_length};
use memory::Memory;

pub use batch::Batch;

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
/// An iteration (one update of f and one of g) reads the cost matrix once and takes one exponential per entry; so do the
/// check before the first and the measurement after the last. Besides the input, the solver holds about
/// `8 * n + 13 * m` numbers; the plan is never stored.
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
    epsilon: T,
    max_iterations: usize,
    tolerance: T,
    isa: Option<Isa>,
}

impl<T: Real> Sinkhorn<T> {
    /// A solver with the regularisation `epsilon`, absolute, in the units of the cost.
    pub fn new(epsilon: T) -> Self {
        Self { epsilon, max_iterations: 1000, tolerance: T::from_f64(default_tolerance::<T>()), isa: None }
    }

    /// The number of iterations after which it stops in any case; one iteration is one update of f and one of g. Default
    /// 1000. After 0 iterations the potentials are those of the start.
    pub fn max_iterations(self, n: usize) -> Self {
        Self { max_iterations: n, ..self }
    }

    /// Stop when the L1 error of the marginals, [`Transport::marginal_error`], is at most `tol`, in the units of the
    /// masses; checking costs nothing. Default 1e-6 for `f64`, 1e-4 for `f32`. With 0 it runs exactly
    /// [`max_iterations`](Self::max_iterations).
    pub fn tolerance(self, tol: T) -> Self {
        Self { tolerance: tol, ..self }
    }

    /// Run on the given instruction set instead of [`Isa::best`].
    pub fn isa(self, isa: Isa) -> Self {
        Self { isa: Some(isa), ..self }
    }

    /// Solves the problem: `cost` is n x m, `a` has n masses, `b` has m.
    ///
    /// Not reaching the tolerance is no error: [`Transport::converged`] is false then.
    ///
    /// # Errors
    /// - [`Error::Parameter`]: epsilon is not positive and finite, or so small against the costs (1e-12 of the potentials)
    ///   or so large that it cannot be computed with; the tolerance is negative or not finite; the total mass is 0 or overflows.
    /// - [`Error::Empty`], [`Error::Length`]: no rows or columns; `a` or `b` do not have one mass per row or column.
    /// - [`Error::Element`]: a mass that is negative or not finite; a cost that is NaN or -inf.
    /// - [`Error::MassMismatch`]: the totals of `a` and `b` differ by more than 1e-6 (`f64`) or 1e-4 (`f32`, whose totals
    ///   carry the rounding of their masses) of the larger. Within that, their difference is a lower bound of the
    ///   marginal error.
    /// - [`Error::Infeasible`]: a row or column has mass, but all its partners with mass are forbidden.
    pub fn solve(&self, cost: MatRef<'_, T>, a: &[T], b: &[T]) -> Result<Transport<T>, Error> {
        let (k, tolerance) = self.parameters(cost)?;
        same_length("a", a, cost.rows())?;
        same_length("b", b, cost.cols())?;
        let masses = Masses::new(a, b, default_tolerance::<T>())?;
        let row_minima = check_costs(self.isa, cost, a, b)?;

        let problem = masses.problem(cost, k);
        let mut u: Vec<f64> = masses.rows.iter().map(|&i| k.to_f64() * row_minima[i].to_f64()).collect();
        let mut g: Vec<f64> = masses.b.iter().map(|&b| if b > 0.0 { 0.0 } else { f64::NEG_INFINITY }).collect();
        let mut state = State { span: span(&u, &g, &masses.b), u: &mut u, g: &mut g };
        let mut memory = Memory::new(masses.rows.len(), cost.cols());
        self.check_span(state.span)?;

        let mut iterations = 0;
        let measure = loop {
            // The error that comes with an iteration is that of the one before, which began with nothing.
            let mut error = f64::INFINITY;
            while iterations < self.max_iterations && !(tolerance > 0.0 && error * masses.total <= tolerance) {
                let before = T::iterate(self.isa, &problem, &mut state, &mut memory.workspace());
                error = if iterations > 0 { before } else { f64::INFINITY };
                iterations += 1;
                self.check_span(state.span)?;
            }
            let measure = T::measure(self.isa, &problem, &state, &mut memory.workspace());
            if iterations == self.max_iterations || measure.error * masses.total <= tolerance {
                break measure;
            }
        };
        let span = state.span;
        self.transport(masses, measure, Potentials { u, g, span, k }, iterations, (cost.rows(), cost.cols()))
    }

    /// `log2(e) / epsilon` and the tolerance, if these can be computed with and there is a cost matrix.
    fn parameters(&self, cost: MatRef<'_, T>) -> Result<(T, f64), Error> {
        let epsilon = self.epsilon.to_f64();
        let k = T::from_f64(core::f64::consts::LOG2_E / epsilon);
        if !(epsilon > 0.0 && epsilon < f64::INFINITY && k < T::INFINITY) {
            return Err(Error::Parameter {
                argument: "epsilon",
                value: epsilon,
                expected: "positive and finite, and so must be its inverse",
            });
        }
        let tolerance = self.tolerance.to_f64();
        if !(0.0..f64::INFINITY).contains(&tolerance) {
            let expected = "0 or positive, and finite";
            return Err(Error::Parameter { argument: "tolerance", value: tolerance, expected });
        }
        for (argument, len) in [("cost", cost.rows()), ("cost", cost.cols())] {
            if len == 0 {
                return Err(Error::Empty { argument });
            }
        }
        Ok((k, tolerance))
    }

    /// An error where the largest potential (in base-2 units) is too large to compute with.
    fn check_span(&self, span: f64) -> Result<(), Error> {
        if span <= LARGEST_SPAN {
            return Ok(());
        }
        Err(Error::Parameter {
            argument: "epsilon",
            value: self.epsilon.to_f64(),
            expected: "more than 1e-12 of the potentials, which must not overflow",
        })
    }

    /// The result, in the units of the caller.
    fn transport(
        &self,
        masses: Masses,
        measure: Measure,
        potentials: Potentials<T>,
        iterations: usize,
        shape: (usize, usize),
    ) -> Result<Transport<T>, Error> {
        let k = potentials.k.to_f64();
        let mut f = vec![T::NEG_INFINITY; shape.0];
        for ((&i, u), mass) in masses.rows.iter().zip(&potentials.u).zip(&masses.a) {
            f[i] = T::from_f64((u + mass.log2() + masses.total.log2()) / k);
        }
        let g: Vec<T> = potentials.g.iter().map(|g| T::from_f64(g / k)).collect();
        let finite = |x: &T| x.to_f64().is_finite();
        let all_finite =
            masses.rows.iter().all(|&i| finite(&f[i])) && g.iter().zip(&masses.b).all(|(g, &b)| b == 0.0 || finite(g));
        if !all_finite {
            self.check_span(f64::INFINITY)?;
        }
        let marginal_error = T::from_f64(measure.error * masses.total);
        Ok(Transport {
            converged: marginal_error <= self.tolerance,
            iterations,
            marginal_error,
            f,
            g,
            cost: T::from_f64(measure.cost * masses.total),
            isa: self.isa,
            masses,
            potentials,
        })
    }
}

/// The largest potential, in base-2 units, with which arguments of exponentials are still good to a few bits after the
/// point in both types.
const LARGEST_SPAN: f64 = 1_099_511_627_776.0; // 2^40

/// The tolerance of solvers that are not told otherwise; also how far, relatively, the totals of the masses may differ.
fn default_tolerance<T: Real>() -> f64 {
    if T::EPSILON > 1e-10 { 1e-4 } else { 1e-6 }
}

/// The potentials as the kernel has them, see [`State`].
#[derive(Debug, Clone)]
struct Potentials<T> {
    u: Vec<f64>,
    g: Vec<f64>,
    span: f64,
    k: T,
}

/// What [`Sinkhorn::solve`] found.
#[derive(Debug, Clone)]
pub struct Transport<T: Real> {
    converged: bool,
    iterations: usize,
    marginal_error: T,
    f: Vec<T>,
    g: Vec<T>,
    cost: T,
    isa: Option<Isa>,
    masses: Masses,
    potentials: Potentials<T>,
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
