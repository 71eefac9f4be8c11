//! What the solver found: potentials, and the plan they stand for.

use super::masses::Masses;
use super::workspace::Memory;
use crate::dispatch::Road;
use crate::kernels::objective::Scratch;
use crate::kernels::sinkhorn::State;
use crate::real::Element;
use crate::{Error, MatMut, MatRef, Real};
use core::f64::consts::{LN_2, LOG2_E};
use core::fmt;
use core::iter::FusedIterator;

/// The potentials as the kernel has them, see [`State`].
#[derive(Debug, Clone)]
pub(super) struct Potentials<T> {
    pub(super) u: Vec<f64>,
    pub(super) g: Vec<f64>,
    pub(super) span: f64,
    pub(super) k: T,
}

impl<T: Real> Potentials<T> {
    /// Both, in the units of the cost.
    pub(super) fn of(&self, masses: &Masses) -> (Vec<f64>, Vec<f64>) {
        let k = self.k.to_f64();
        let mut f = vec![f64::NEG_INFINITY; masses.len];
        for ((&i, u), mass) in masses.rows.iter().zip(&self.u).zip(&masses.a) {
            f[i] = (u + mass.log2() + masses.total.log2()) / k;
        }
        (f, self.g.iter().map(|g| g / k).collect())
    }
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
    pub(super) road: Road,
    pub(super) masses: Masses,
    pub(super) potentials: Potentials<T>,
}

impl<T: Real> Transport<T> {
    /// Whether [`marginal_error`](Self::marginal_error) is within the solver's tolerance. Where forbidden pairs leave no
    /// plan with these marginals at all (by Hall's condition), it never is, and the potentials drift apart.
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

    /// The potentials of the rows, in the units of the cost, -inf where the mass is 0. Only the sums `f_i + g_j`
    /// matter: a constant may be moved from one to the other.
    pub fn f(&self) -> &[T] {
        &self.f
    }

    /// The potentials of the columns, in the units of the cost, -inf where the mass is 0.
    pub fn g(&self) -> &[T] {
        &self.g
    }

    /// Both potentials as the solver has them, in `f64`: what [`Sinkhorn::start`](super::Sinkhorn::start) takes.
    pub fn potentials(&self) -> (Vec<f64>, Vec<f64>) {
        self.potentials.of(&self.masses)
    }

    /// The transport cost `sum_ij C_ij P_ij` (forbidden pairs count 0), without the entropy.
    pub fn cost(&self) -> T {
        self.cost
    }

    /// Writes the plan, n x m. It comes from the solver's `f64` potentials: taken from the rounded [`f`](Self::f) and
    /// [`g`](Self::g), its entries would be off by their rounding / epsilon. `cost` must be the matrix that was solved.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `cost` or `out` does not have the shape of the solved problem.
    pub fn plan_into(&self, cost: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> {
        let mut rows = self.plan_rows(cost)?;
        self.check_shape("out", (out.rows(), out.cols()))?;
        rows.fill(0, out);
        Ok(())
    }

    /// The rows of the plan in order, as [`plan_into`](Self::plan_into) writes them, without storing it: a few rows at
    /// a time, and O(n + m) memory. `cost` must be the matrix that was solved.
    ///
    /// ```
    /// use mantex::{MatRef, Sinkhorn};
    /// let cost = [0.0, 1.0, 2.0, 2.0, 1.0, 0.0];
    /// let cost = MatRef::new(&cost, 2, 3)?;
    /// let transport = Sinkhorn::new(0.05_f64).solve(cost, &[0.5, 0.5], &[0.25, 0.5, 0.25])?;
    /// let mut rows = transport.plan_rows(cost)?;
    /// while let Some((i, row)) = rows.next_row() {
    ///     let heaviest = (0..3).max_by(|&x, &y| row[x].total_cmp(&row[y]));
    ///     println!("place {i} sends most of its mass to {heaviest:?}");
    /// }
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `cost` does not have the shape of the solved problem.
    pub fn plan_rows<'a>(&'a self, cost: MatRef<'a, T>) -> Result<PlanRows<'a, T>, Error> {
        self.check_shape("cost", (cost.rows(), cost.cols()))?;
        Ok(PlanRows {
            transport: self,
            cost,
            potentials: self.potentials.clone(),
            memory: Memory::new(self.potentials.u.len(), cost),
            block: Vec::new(),
            start: 0,
            next: 0,
        })
    }

    /// The entries of the plan above `threshold` (in the units of the masses), row by row, without storing it: see
    /// [`plan_rows`](Self::plan_rows). With 0, all entries that are not 0.
    ///
    /// ```
    /// use mantex::{Entry, MatRef, Sinkhorn};
    /// let cost = [0.0, 1.0, 1.0, 0.0];
    /// let cost = MatRef::new(&cost, 2, 2)?;
    /// let transport = Sinkhorn::new(0.05_f64).solve(cost, &[0.5, 0.5], &[0.5, 0.5])?;
    /// let pairs: Vec<Entry<f64>> = transport.plan_entries(cost, 1e-3)?.collect();
    /// assert_eq!((pairs.len(), pairs[1].row, pairs[1].column), (2, 1, 1));
    /// assert!((pairs[1].mass - 0.5).abs() < 1e-6);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `cost` does not have the shape of the solved problem; [`Error::InvalidParameter`] where the
    /// threshold is negative or NaN.
    pub fn plan_entries<'a>(&'a self, cost: MatRef<'a, T>, threshold: T) -> Result<PlanEntries<'a, T>, Error> {
        let rows = self.plan_rows(cost)?;
        if threshold >= T::zero() {
            return Ok(PlanEntries { rows, threshold, column: 0 });
        }
        Err(Error::InvalidParameter { argument: "threshold", value: threshold.to_f64(), expected: "0 or positive" })
    }

    /// The values of the problem at the plan and the potentials, among them the [duality gap](Objective::gap), which
    /// bounds how far they are from optimal. It reads the matrix twice, in `f64` and from the solver's `f64`
    /// potentials, and takes O(n + m) memory. `cost` must be the matrix that was solved.
    ///
    /// ```
    /// use mantex::{MatRef, Sinkhorn};
    /// let cost = [0.0, 1.0, 2.0, 2.0, 1.0, 0.0];
    /// let cost = MatRef::new(&cost, 2, 3)?;
    /// let transport = Sinkhorn::new(0.05_f64).solve(cost, &[0.5, 0.5], &[0.25, 0.5, 0.25])?;
    /// let objective = transport.objective(cost)?;
    /// assert!(objective.gap >= 0.0 && objective.gap < 1e-6);
    /// assert!((objective.primal - (objective.cost - 0.05 * objective.entropy)).abs() < 1e-12);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `cost` does not have the shape of the solved problem.
    pub fn objective(&self, cost: MatRef<'_, T>) -> Result<Objective, Error> {
        self.check_shape("cost", (cost.rows(), cost.cols()))?;
        let Potentials { mut u, mut g, span, k } = self.potentials.clone();
        let problem = self.masses.problem(cost, k);
        let state = State { u: &mut u, g: &mut g, span };
        let mut scales = vec![0.0; problem.rows.len()];
        let [mut logs, mut row, mut columns, mut costs, mut terms, mut lacking] =
            [(); 6].map(|()| vec![0.0; cost.cols()]);
        let mut scratch = Scratch {
            scales: &mut scales,
            logs: &mut logs,
            row: &mut row,
            columns: &mut columns,
            costs: &mut costs,
            terms: &mut terms,
            lacking: &mut lacking,
        };
        let values = T::objective(self.road, &problem, &state, &mut scratch);
        // P = total * p and f = (F + log2(total)) / k, epsilon being what k stands for.
        let (total, k) = (self.masses.total, k.to_f64());
        let epsilon = LOG2_E / k;
        let mass_of_a: f64 = problem.a.iter().sum();
        let entropy = total * (LN_2 * values.entropy - (total.ln() - 1.0) * values.mass);
        let cost = total * values.cost;
        Ok(Objective {
            cost,
            entropy,
            primal: cost - epsilon * entropy,
            dual: total * ((values.potentials + total.log2() * mass_of_a) / k - epsilon * values.mass),
            gap: epsilon * total * values.divergence.max(0.0),
        })
    }

    fn check_shape(&self, argument: &'static str, actual: (usize, usize)) -> Result<(), Error> {
        let expected = (self.f.len(), self.g.len());
        if actual == expected { Ok(()) } else { Err(Error::ShapeMismatch { argument, actual, expected }) }
    }
}

/// The rows of a plan, one after the other: see [`Transport::plan_rows`].
pub struct PlanRows<'a, T: Real> {
    transport: &'a Transport<T>,
    cost: MatRef<'a, T>,
    potentials: Potentials<T>,
    memory: Memory<T>,
    /// Some rows, from row `start` on.
    block: Vec<T>,
    start: usize,
    /// The next row to hand out.
    next: usize,
}

impl<T: Real> PlanRows<'_, T> {
    /// The next row and its index. (No [`Iterator`], because the row lies in a buffer that the next one overwrites.)
    pub fn next_row(&mut self) -> Option<(usize, &[T])> {
        let (rows, cols) = (self.cost.rows(), self.cost.cols());
        if self.next == rows {
            return None;
        }
        if self.next == self.start + self.block.len() / cols {
            // What comes with each call of the kernel is worth several rows, or several thousand entries.
            let count = (4096 / cols).max(8).min(rows - self.next);
            let mut block = core::mem::take(&mut self.block);
            block.resize(count * cols, T::zero());
            self.fill(self.next, MatMut::new(&mut block, count, cols).ok()?);
            (self.block, self.start) = (block, self.next);
        }
        self.next += 1;
        Some((self.next - 1, self.last()))
    }

    /// The row that was handed out last; nothing before the first.
    fn last(&self) -> &[T] {
        match self.next.checked_sub(self.start + 1) {
            Some(at) => &self.block[at * self.cost.cols()..][..self.cost.cols()],
            None => &[],
        }
    }

    /// Writes the rows from row `first` on, as many as `out` has.
    fn fill(&mut self, first: usize, out: MatMut<'_, T>) {
        let Potentials { u, g, span, k } = &mut self.potentials;
        let masses = &self.transport.masses;
        let state = State { u, g, span: *span };
        let mut workspace = self.memory.workspace();
        T::plan(self.transport.road, &masses.problem(self.cost, *k), &state, &mut workspace, masses.total, first, out);
    }
}

impl<T: Real> fmt::Debug for PlanRows<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanRows").field("next", &self.next).field("rows", &self.cost.rows()).finish_non_exhaustive()
    }
}

/// An entry of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry<T> {
    /// Its row: an index of `a`.
    pub row: usize,
    /// Its column: an index of `b`.
    pub column: usize,
    /// The mass that moves between them.
    pub mass: T,
}

/// The entries of a plan above a threshold: see [`Transport::plan_entries`].
#[derive(Debug)]
pub struct PlanEntries<'a, T: Real> {
    rows: PlanRows<'a, T>,
    threshold: T,
    /// Where to go on in the row at hand.
    column: usize,
}

impl<T: Real> Iterator for PlanEntries<'_, T> {
    type Item = Entry<T>;

    fn next(&mut self) -> Option<Entry<T>> {
        loop {
            let rest = &self.rows.last()[self.column..];
            if let Some(skipped) = rest.iter().position(|&mass| mass > self.threshold) {
                let (column, mass) = (self.column + skipped, rest[skipped]);
                self.column = column + 1;
                return Some(Entry { row: self.rows.next - 1, column, mass });
            }
            self.column += rest.len();
            self.rows.next_row()?;
            self.column = 0;
        }
    }
}

impl<T: Real> FusedIterator for PlanEntries<'_, T> {}

/// The values of a problem at a [`Transport`], all in `f64`, because their differences matter: see
/// [`Transport::objective`].
///
/// P is the plan of the potentials f and g, which meets the marginals up to [`Transport::marginal_error`]; sums leave
/// out what is 0: pairs that are forbidden or without mass. Epsilon is the solver's, for `f32` as
/// [rounded](super::Sinkhorn#accuracy). Relative to the magnitudes of its terms each is accurate to about 1e-13, or to
/// 1e-16 times the largest potential / epsilon where that is more.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// The transport cost `sum_ij C_ij P_ij`.
    pub cost: f64,
    /// The entropy `-sum_ij P_ij (ln P_ij - 1)`.
    pub entropy: f64,
    /// The primal value of P, `cost - epsilon * entropy`. P is not quite feasible, so it may lie on either side of the
    /// optimum; `primal - dual` is `<f, P 1 - a> + <g, P^T 1 - b>`.
    pub primal: f64,
    /// The dual value `<f, a> + <g, b> - epsilon * sum_ij P_ij`: a lower bound of the optimum. Here and in the gap, b
    /// is scaled to the total of a; totals that differ, as rounding makes them, would leave no feasible plan.
    pub dual: f64,
    /// The duality gap: how much the primal value of a feasible plan exceeds [`dual`](Self::dual), so that `dual + gap`
    /// is an upper bound of the optimum. The plan is P rounded to its marginals (Altschuler, Weed & Rigollet 2017,
    /// Algorithm 2). Not negative, computed without cancellation, 0 at the optimum, and +inf where that rounding puts
    /// mass on a forbidden pair: with forbidden pairs it is finite only if marginals are met to about 1e-13.
    pub gap: f64,
}
