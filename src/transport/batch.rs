//! Many problems on one cost matrix.

use super::masses::{check_costs, minima, same_total, total};
use super::sinkhorn::{Relaxation, Sinkhorn, default_tolerance};
use crate::kernels::batch::{GROUP, Kernel, Layout, STEP, State};
use crate::kernels::math::exp::exp2;
use crate::real::Element;
use crate::{Error, MatRef, Real};
use core::mem::swap;
use core::ops::{Deref, DerefMut};

impl<T: Real> Sinkhorn<T> {
    /// Solves many problems on one cost matrix: `cost` is n x m, `a` is problems x n and `b` problems x m, a problem a row.
    /// A side that all problems share may be given as one row.
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
    ///     println!("{:?} and {:?} after {} iterations", batch.f(p), batch.g(p), batch.iterations(p));
    /// }
    /// assert_eq!(batch.f(0)[1], f64::NEG_INFINITY); // No mass there.
    /// // The same source for all:
    /// assert_eq!(solver.solve_batch(cost, MatRef::new(&a[4..], 1, 2)?, b)?.f(1), batch.f(1));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Speed and memory
    /// The matrix `exp(-cost / epsilon)` is computed once. Then every lane of two vectors iterates one problem (32 problems
    /// together for `f32` on AVX-512, 2 without vectors): each read of the matrix serves all of them, and an entry costs
    /// two multiply-adds of a lane. The lane of a problem that is done takes up the next one. Rows and columns without mass
    /// in any problem of the call are left out, so problems with the same support belong together. For fewer problems than
    /// lanes [`solve`](Self::solve) may be faster. Besides input and results it holds about
    /// `n * m + lanes * (3 * n + 4 * m)` numbers.
    ///
    /// # Results
    /// The iterations are the plain ones of [`solve`](Self::solve) from g = 0, whatever relaxation, epsilon scaling and start
    /// are set, and the result of a problem is the same to the bit whatever else
    /// is in the batch. A problem stops at the first iterate that is within the tolerance, where `solve` may do one or two
    /// more; after equally many iterations the results agree within the accuracy.
    ///
    /// # Accuracy
    /// Scalings are iterated in `T`. A sum of many terms has a relative error of about `EPSILON * (8 + sqrt(terms / 64))`;
    /// potentials are off by that times epsilon, and the marginal error by that times the mass. Slower, but with
    /// potentials in `f64`, [`solve`](Self::solve) takes over a problem for which that is not enough: where the tolerance is
    /// below `EPSILON * (32 + sqrt(n + m))` of the mass, and where sums of `exp((g_j - cost_ij) / epsilon)`, relative to
    /// the row's smallest cost, fall below 2^-39 (`f64`: 2^-307) or scalings below 2^-96 (2^-768), as they do when epsilon or
    /// a mass is tiny.
    ///
    /// # Errors
    /// Those of [`solve`](Self::solve), before anything is solved, but: [`Error::ShapeMismatch`] where `a` or `b` does not have one
    /// column for each row or column of the cost matrix, or has neither one row nor one for each problem; in
    /// [`Error::InvalidElement`] the row of a mass is the problem. That epsilon is too small for the potentials of a problem is found
    /// while that is solved.
    pub fn solve_batch(&self, cost: MatRef<'_, T>, a: MatRef<'_, T>, b: MatRef<'_, T>) -> Result<Batch<T>, Error> {
        let (k, tolerance) = self.parameters(cost)?;
        let problems = if a.rows() == 1 { b.rows() } else { a.rows() };
        let layout = T::layout(self.road);
        let rows = Side::new("a", a, (problems, cost.rows()), layout.rows, layout.width)?;
        let columns = Side::new("b", b, (problems, cost.cols()), 1, layout.width)?;
        for p in 0..problems {
            same_total(rows.total(p), columns.total(p), default_tolerance::<T>())?;
        }
        let (row_minima, _) = minima(self.road, cost, &vec![T::one(); cost.rows()], &vec![T::one(); cost.cols()])?;
        if cost.iter_rows().any(|row| row.contains(&T::infinity())) {
            for p in 0..problems {
                check_costs(self.road, cost, rows.masses(p), columns.masses(p))?;
            }
        }
        Run::new(self, layout, cost, (k.to_f64(), tolerance), (rows, columns), &row_minima).solve(problems)
    }
}

/// What [`Sinkhorn::solve_batch`] found, problem by problem. Methods panic where there is no such problem.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch<T: Real> {
    shape: (usize, usize),
    f: Vec<T>,
    g: Vec<T>,
    iterations: Vec<usize>,
    marginal_error: Vec<T>,
    value: Vec<T>,
    tolerance: T,
}

impl<T: Real> Batch<T> {
    fn new(problems: usize, shape: (usize, usize), tolerance: T) -> Self {
        Self {
            shape,
            f: vec![-T::infinity(); problems * shape.0],
            g: vec![-T::infinity(); problems * shape.1],
            iterations: vec![0; problems],
            marginal_error: vec![T::zero(); problems],
            value: vec![T::zero(); problems],
            tolerance,
        }
    }

    /// The number of problems.
    pub fn len(&self) -> usize {
        self.iterations.len()
    }

    /// Whether there was no problem.
    pub fn is_empty(&self) -> bool {
        self.iterations.is_empty()
    }

    /// The potentials of the rows in problem `p`, as [`Transport::f`](crate::Transport::f).
    pub fn f(&self, p: usize) -> &[T] {
        &self.f[p * self.shape.0..(p + 1) * self.shape.0]
    }

    /// The potentials of the columns in problem `p`, as [`Transport::g`](crate::Transport::g).
    pub fn g(&self, p: usize) -> &[T] {
        &self.g[p * self.shape.1..(p + 1) * self.shape.1]
    }

    /// Iterations of problem `p`.
    pub fn iterations(&self, p: usize) -> usize {
        self.iterations[p]
    }

    /// The L1 error of the marginals in problem `p`, as
    /// [`Transport::marginal_error`](crate::Transport::marginal_error). The columns, met by the last update but for
    /// rounding, are not measured again.
    pub fn marginal_error(&self, p: usize) -> T {
        self.marginal_error[p]
    }

    /// Whether the marginal error of problem `p` is within the solver's tolerance.
    pub fn converged(&self, p: usize) -> bool {
        self.marginal_error[p] <= self.tolerance
    }

    /// The dual value of problem `p`: `sum_i a_i f_i + sum_j b_j g_j` over the places with mass. It is the optimal
    /// `<C, P> + epsilon * sum P ln P` up to an error of second order in that of the marginals.
    pub fn value(&self, p: usize) -> T {
        self.value[p]
    }
}

/// A lane in arrays of `width` numbers for every place.
#[derive(Clone, Copy)]
struct Lane {
    lane: usize,
    width: usize,
}

impl Lane {
    #[inline]
    fn at(self, place: usize) -> usize {
        place * self.width + self.lane
    }
}

/// Numbers from the start of a cache line on, so that no vector lies in two of them.
struct Aligned<T> {
    memory: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Real> Aligned<T> {
    /// `len` zeros.
    fn new(len: usize) -> Self {
        let spare = 64 / size_of::<T>();
        let memory = vec![T::zero(); len + spare];
        let start = memory.as_ptr().align_offset(64).min(spare);
        Self { memory, start, len }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

/// The rows or the columns: their masses in all problems, and what the lanes hold of them.
struct Side<'a, T> {
    masses: MatRef<'a, T>,
    totals: Vec<f64>,
    /// Where there is mass in some problem, and its place in the kernel matrix.
    places: Vec<(usize, usize)>,
    /// Where each group of [`GROUP`] indices ends in the kernel matrix.
    ends: Vec<usize>,
    /// `a` or `b`, `s` or `v`, and the next of these: see [`State`].
    shares: Aligned<T>,
    scalings: Aligned<T>,
    next: Aligned<T>,
    /// As many numbers as places, filled up to whole steps: what to add to potentials, and those of one problem.
    offsets: Vec<f64>,
    potentials: Vec<T>,
}

impl<'a, T: Real> Side<'a, T> {
    /// Groups fill whole blocks of `block` places. `shape` is that of a matrix with a row for every problem.
    fn new(
        argument: &'static str,
        masses: MatRef<'a, T>,
        shape: (usize, usize),
        block: usize,
        width: usize,
    ) -> Result<Self, Error> {
        let actual = (masses.rows(), masses.cols());
        if actual.1 != shape.1 || (actual.0 != shape.0 && actual.0 != 1) {
            return Err(Error::ShapeMismatch { argument, actual, expected: shape });
        }
        let mut totals = Vec::with_capacity(masses.rows());
        let mut used = vec![false; masses.cols()];
        for (problem, row) in masses.iter_rows().enumerate() {
            totals.push(total(argument, row, Some(problem))?);
            for (used, &mass) in used.iter_mut().zip(row) {
                *used |= mass > T::zero();
            }
        }
        let (mut places, mut ends, mut end) = (Vec::new(), Vec::new(), 0_usize);
        for (group, used) in used.chunks(GROUP).enumerate() {
            let start = end;
            for (i, _) in used.iter().enumerate().filter(|(_, used)| **used) {
                places.push((group * GROUP + i, end));
                end += 1;
            }
            end = end.next_multiple_of(block);
            if end > start {
                ends.push(end);
            }
        }
        let in_lanes = || Aligned::new(end * width);
        let steps = places.len().next_multiple_of(STEP);
        Ok(Self {
            masses,
            totals,
            places,
            ends,
            shares: in_lanes(),
            scalings: in_lanes(),
            next: in_lanes(),
            offsets: vec![0.0; steps],
            potentials: vec![T::zero(); steps],
        })
    }

    /// Places in the kernel matrix.
    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The row of this side that problem `p` has.
    fn row(&self, p: usize) -> usize {
        if self.masses.rows() == 1 { 0 } else { p }
    }

    fn masses(&self, p: usize) -> &'a [T] {
        self.masses.row(self.row(p))
    }

    fn total(&self, p: usize) -> f64 {
        self.totals[self.row(p)]
    }

    /// Puts the masses of problem `p`, divided by `total`, into a lane, and scalings of 1. Returns whether all masses are
    /// in the range of `T`.
    fn load(&mut self, lane: Lane, p: usize, total: f64) -> bool {
        let mut good = true;
        let masses = self.masses(p);
        for &(i, place) in &self.places {
            let has_mass = masses[i] > T::zero();
            let share = T::rounded(masses[i].to_f64() / total);
            good &= has_mass == (share > T::zero());
            self.shares[lane.at(place)] = share;
            self.scalings[lane.at(place)] = if has_mass { T::one() } else { T::zero() };
        }
        good
    }

    /// The potentials in a lane, to `out`: `(log2(scaling) + shift) / k` and the offsets. Returns their mean.
    fn potentials(&mut self, solver: &Sinkhorn<T>, k: f64, shift: f64, lane: Lane, out: &mut [T]) -> f64 {
        // What fills up the last step is without mass.
        self.potentials.fill(T::zero());
        for (scaling, &(_, place)) in self.potentials.iter_mut().zip(&self.places) {
            *scaling = self.scalings[lane.at(place)];
        }
        T::potentials(solver.road, k, shift, &self.offsets, &mut self.potentials);
        // Which sum a term is added to depends on its index alone, not on what the other problems leave out.
        let mut sums = [0.0; 4];
        for (&potential, &(i, place)) in self.potentials.iter().zip(&self.places) {
            out[i] = potential;
            let mass = self.shares[lane.at(place)].to_f64();
            sums[i % 4] += if mass > 0.0 { mass * potential.to_f64() } else { 0.0 };
        }
        sums.iter().sum()
    }
}

/// The problem in a lane, and the iterations that its scalings have behind them.
#[derive(Clone, Copy)]
struct Running {
    problem: usize,
    iterations: usize,
}

/// One call of [`Sinkhorn::solve_batch`].
struct Run<'a, T: Real> {
    solver: &'a Sinkhorn<T>,
    layout: Layout<T>,
    cost: MatRef<'a, T>,
    /// log2(e) / epsilon.
    k: f64,
    tolerance: f64,
    rows: Side<'a, T>,
    columns: Side<'a, T>,
    /// See [`Kernel::entries`].
    entries: Vec<T>,
    /// See [`State`].
    partial: Aligned<T>,
    errors: Vec<T>,
    sums: Vec<T>,
    scalings: Vec<T>,
}

impl<'a, T: Real> Run<'a, T> {
    fn new(
        solver: &'a Sinkhorn<T>,
        layout: Layout<T>,
        cost: MatRef<'a, T>,
        (k, tolerance): (f64, f64),
        (mut rows, columns): (Side<'a, T>, Side<'a, T>),
        row_minima: &[T],
    ) -> Self {
        let mut entries = vec![T::zero(); rows.len() * columns.len()];
        for (&(i, place), offset) in rows.places.iter().zip(&mut rows.offsets) {
            let (costs, min) = (cost.row(i), row_minima[i].to_f64());
            *offset = min;
            let within = place % layout.rows;
            let block = entries[(place - within) * columns.len()..].chunks_exact_mut(layout.rows);
            for (&(j, _), entries) in columns.places.iter().zip(block) {
                let y = k * (min - costs[j].to_f64());
                // No subnormal numbers, which may be slow.
                entries[within] = if y > T::MIN_POSITIVE.log2() { T::rounded(exp2(y)) } else { T::zero() };
            }
        }
        let of_lanes = || vec![T::zero(); layout.width];
        let (errors, sums, scalings) = (of_lanes(), of_lanes(), of_lanes());
        let partial = Aligned::new(columns.len() * layout.width);
        Self { solver, layout, cost, k, tolerance, rows, columns, entries, partial, errors, sums, scalings }
    }

    fn solve(mut self, problems: usize) -> Result<Batch<T>, Error> {
        let shape = (self.cost.rows(), self.cost.cols());
        let mut batch = Batch::new(problems, shape, self.solver.tolerance);
        let mut waiting = 0..problems;
        let mut running = vec![None; self.layout.width];
        loop {
            for (lane, running) in running.iter_mut().enumerate() {
                while running.is_none() {
                    let Some(problem) = waiting.next() else { break };
                    if self.load(self.lane(lane), problem) {
                        *running = Some(Running { problem, iterations: 0 });
                    } else {
                        self.solve_alone(problem, &mut batch)?;
                    }
                }
            }
            if running.iter().all(Option::is_none) {
                return Ok(batch);
            }
            self.iterate();
            for (lane, slot) in running.iter_mut().enumerate() {
                let Some(running) = slot else { continue };
                let (done, error) = self.is_done(lane, running);
                if !done && self.is_in_range(lane) {
                    running.iterations += 1;
                    continue;
                }
                if !(done && self.finish(self.lane(lane), running, error, &mut batch)) {
                    self.solve_alone(running.problem, &mut batch)?;
                }
                *slot = None;
            }
            for side in [&mut self.rows, &mut self.columns] {
                swap(&mut side.scalings, &mut side.next);
            }
        }
    }

    fn lane(&self, lane: usize) -> Lane {
        Lane { lane, width: self.layout.width }
    }

    /// Puts a problem into a lane, unless it is one for the log domain.
    fn load(&mut self, lane: Lane, p: usize) -> bool {
        let total = self.rows.total(p);
        let terms = (self.cost.rows() + self.cost.cols()) as f64;
        let precise = self.tolerance == 0.0 || self.tolerance >= T::EPSILON * (32.0 + terms.sqrt()) * total;
        // Without an iteration the column marginals are not met.
        precise && self.solver.max_iterations > 0 && self.rows.load(lane, p, total) && self.columns.load(lane, p, total)
    }

    fn iterate(&mut self) {
        let Self { rows, columns, .. } = self;
        let kernel = Kernel { entries: &self.entries, row_ends: &rows.ends, column_ends: &columns.ends };
        let mut state = State {
            a: &rows.shares,
            b: &columns.shares,
            s: &rows.scalings,
            v: &columns.scalings,
            next_s: &mut rows.next,
            next_v: &mut columns.next,
            partial: &mut self.partial,
            errors: &mut self.errors,
            sums: &mut self.sums,
            scalings: &mut self.scalings,
        };
        T::iterate_lanes(self.solver.road, &kernel, &mut state);
    }

    /// Whether a lane's scalings before the last iteration are the result, and their marginal error.
    fn is_done(&self, lane: usize, running: &Running) -> (bool, f64) {
        let error = self.errors[lane].to_f64() * self.rows.total(running.problem);
        let within = self.tolerance > 0.0 && error <= self.tolerance;
        // Scalings of 1 meet no marginals.
        (running.iterations > 0 && (within || running.iterations == self.solver.max_iterations), error)
    }

    fn is_in_range(&self, lane: usize) -> bool {
        self.sums[lane] >= self.layout.least_sum && self.scalings[lane] >= self.layout.least_scaling
    }

    /// The result from a lane's scalings before the last iteration. False where it is not finite.
    fn finish(&mut self, lane: Lane, running: &Running, error: f64, batch: &mut Batch<T>) -> bool {
        let (p, (n, m)) = (running.problem, batch.shape);
        let total = self.rows.total(p);
        let (f, g) = (&mut batch.f[p * n..(p + 1) * n], &mut batch.g[p * m..(p + 1) * m]);
        let mean = self.rows.potentials(self.solver, self.k, total.log2(), lane, f)
            + self.columns.potentials(self.solver, self.k, 0.0, lane, g);
        batch.iterations[p] = running.iterations;
        batch.marginal_error[p] = T::rounded(error);
        batch.value[p] = T::rounded(mean * total);
        mean.is_finite()
    }

    /// Solves a problem by itself.
    fn solve_alone(&self, p: usize, batch: &mut Batch<T>) -> Result<(), Error> {
        let (n, m) = batch.shape;
        let (a, b) = (self.rows.masses(p), self.columns.masses(p));
        let plain = Sinkhorn { relaxation: Relaxation::Off, epsilon_scaling: None, start: None, ..self.solver.clone() };
        let transport = plain.solve(self.cost, a, b)?;
        batch.f[p * n..(p + 1) * n].copy_from_slice(transport.f());
        batch.g[p * m..(p + 1) * m].copy_from_slice(transport.g());
        batch.iterations[p] = transport.iterations();
        batch.marginal_error[p] = transport.marginal_error();
        let products = a.iter().zip(transport.f()).chain(b.iter().zip(transport.g()));
        let with_mass = products.filter(|(mass, _)| **mass > T::zero());
        batch.value[p] = T::rounded(with_mass.map(|(mass, potential)| mass.to_f64() * potential.to_f64()).sum());
        Ok(())
    }
}
