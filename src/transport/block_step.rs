//! Steps of whole blocks: sets of rows and columns whose potentials drift together.
//!
//! If two blocks of the plan hardly exchange mass, an iteration moves their potentials against each
//! other by a tiny step only, and the error falls like 1 / iterations. Let I be the rows of
//! one block and J its columns. Moving U by D on I and G by -D on J changes only the entries
//! between I and the other columns, with the sum s, and those between the other rows and J, with
//! the sum t. The dual value along this direction is largest where
//! ```text
//! s 2^D - t 2^-D = a(I) - b(J)
//! ```
//! So one read of the costs, for s and t, gives the exact step, however far it goes. If no pair of
//! I and the other columns is permitted and a(I) > b(J), no plan exists: every plan has a marginal
//! error of at least `2 (a(I) - b(J))`.

use super::ranks::Ranks;
use super::row_pass::evaluate_plan;
use super::units::Potentials;
use super::workspace::Memory;
use crate::Real;
use crate::dispatch::Road;
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::math::{exp::exp2, ln::log2};
use crate::kernels::transport::Problem;
use crate::kernels::transport::potentials::PotentialsRef;
use crate::real::Element;
use alloc::vec;
use alloc::vec::Vec;

/// The smallest gap, in base-2 units, between the movements of two blocks.
const MIN_GAP: f64 = 1e-9;

/// The largest difference between the masses of rows and columns that rounding explains.
const ROUNDED_MASS: f64 = 1e-14;

/// The result of a look for drifting blocks.
pub(super) enum Drift {
    /// No block that may be moved.
    None,
    /// A step in base-2 units, and its gain of the dual value in units of epsilon.
    Step { distance: f64, gain: f64 },
    /// A proof that no plan exists.
    Infeasible,
}

/// The rows and the columns of a block, and the memory of the search for it.
pub(super) struct BlockStep {
    /// The potentials at the last look.
    before: Potentials,
    /// Whether each row with mass is in the block.
    rows: Vec<bool>,
    /// Whether each column is in the block.
    columns: Vec<bool>,
    /// The rows and the columns of the block that moved last.
    moved: (Vec<bool>, Vec<bool>),
    /// The movements of all potentials since the last look.
    movements: Vec<f64>,
    /// The rows of one side of the block, as a problem of their own.
    support: Vec<usize>,
    a: Vec<f64>,
    log2_a: Vec<f64>,
    u: Vec<f64>,
}

impl BlockStep {
    /// Returns the memory for looks from these potentials on.
    pub(super) fn new(potentials: &Potentials) -> Self {
        let (rows, columns) = (potentials.u().len(), potentials.g().len());
        Self {
            before: potentials.clone(),
            rows: vec![false; rows],
            columns: vec![false; columns],
            moved: (vec![false; rows], vec![false; columns]),
            movements: Vec::with_capacity(rows + columns),
            support: Vec::with_capacity(rows),
            a: Vec::with_capacity(rows),
            log2_a: Vec::with_capacity(rows),
            u: Vec::with_capacity(rows),
        }
    }

    /// Lends the rows and the columns of the block that moved last, to set another one.
    pub(super) fn moved_mut(&mut self) -> (&mut [bool], &mut [bool]) {
        (&mut self.moved.0, &mut self.moved.1)
    }

    /// Takes up the block that moved last, to step once more.
    pub(super) fn take_up_moved(&mut self) {
        self.rows.copy_from_slice(&self.moved.0);
        self.columns.copy_from_slice(&self.moved.1);
    }

    /// Begins to observe movements from these potentials on.
    pub(super) fn observe_from(&mut self, potentials: &Potentials) {
        self.before.copy_from(potentials);
    }

    /// Looks for a block that drifts, and returns its best step if `may_move`. Looks in every case
    /// for a proof that no plan has a marginal error within `tolerance`.
    pub(super) fn look<T: Real>(
        &mut self,
        road: Road,
        problem: &Problem<'_, T>,
        potentials: &Potentials,
        (memory, ranks): (&mut Memory<T>, &mut Ranks<'_>),
        (may_move, tolerance): (bool, f64),
    ) -> Drift {
        if !self.find_block(problem, potentials, ranks) {
            return Drift::None;
        }
        let excess = self.excess(problem, ranks);
        let surely = 2.0 * excess.abs() > tolerance.max(100.0 * ROUNDED_MASS);
        if surely && ranks.all(!self.can_exchange(problem, excess > 0.0)) {
            return Drift::Infeasible;
        }
        if may_move { self.step(road, problem, potentials, (memory, ranks)) } else { Drift::None }
    }

    /// Returns the best step of the block that the last look has found.
    pub(super) fn step<T: Real>(
        &mut self,
        road: Road,
        problem: &Problem<'_, T>,
        potentials: &Potentials,
        (memory, ranks): (&mut Memory<T>, &mut Ranks<'_>),
    ) -> Drift {
        let excess = self.excess(problem, ranks);
        let [from_rows, to_columns] =
            [true, false].map(|side| self.log2_exchange(road, problem, potentials, (memory, ranks), side));
        let distance = best_distance(from_rows, to_columns, excess);
        let change = |log2_sum: f64, distance: f64| exp2(log2_sum) - exp2(log2_sum + distance);
        let gain =
            excess * distance * core::f64::consts::LN_2 + change(from_rows, distance) + change(to_columns, -distance);
        if distance.is_finite() && gain.is_finite() { Drift::Step { distance, gain } } else { Drift::None }
    }

    /// Returns by how much the rows of the block have more mass than its columns.
    fn excess<T>(&self, problem: &Problem<'_, T>, ranks: &mut Ranks<'_>) -> f64 {
        let mass = |masses: &[f64], inside: &[bool]| -> f64 {
            masses.iter().zip(inside).map(|(mass, inside)| if *inside { *mass } else { 0.0 }).sum()
        };
        ranks.total(mass(problem.a, &self.rows)) - mass(problem.b, &self.columns)
    }

    /// Moves the block that the last look has found.
    pub(super) fn apply(&mut self, distance: f64, potentials: &mut Potentials, b: &[f64], ranks: &mut Ranks<'_>) {
        self.moved.0.copy_from_slice(&self.rows);
        self.moved.1.copy_from_slice(&self.columns);
        potentials.move_block(distance, &self.rows, &self.columns, b);
        potentials.exchange_max_abs(ranks);
    }

    /// Divides rows and columns at the largest gap of their movements. Returns false if there is no
    /// gap.
    fn find_block<T>(&mut self, problem: &Problem<'_, T>, potentials: &Potentials, ranks: &mut Ranks<'_>) -> bool {
        let row = |(now, before): (&f64, &f64)| now - before;
        let column = |(now, before): (&f64, &f64)| before - now;
        let (u, g) = (potentials.u().iter().zip(self.before.u()), potentials.g().iter().zip(self.before.g()));
        self.movements.clear();
        self.movements.extend(u.clone().map(row));
        ranks.gather_rows(&mut self.movements);
        self.movements.extend(g.clone().zip(problem.b).filter(|(_, b)| **b > 0.0).map(|(pair, _)| column(pair)));
        self.movements.sort_unstable_by(f64::total_cmp);
        let (mut gap, mut threshold) = (MIN_GAP, f64::NAN);
        for pair in self.movements.windows(2) {
            if pair[1] - pair[0] > gap {
                (gap, threshold) = (pair[1] - pair[0], 0.5 * (pair[0] + pair[1]));
            }
        }
        for (inside, pair) in self.rows.iter_mut().zip(u) {
            *inside = row(pair) > threshold;
        }
        for ((inside, pair), &b) in self.columns.iter_mut().zip(g).zip(problem.b) {
            *inside = b > 0.0 && column(pair) > threshold;
        }
        !threshold.is_nan()
    }

    /// The pairs that a step of the block changes, with their costs: those of its rows and the
    /// other columns, or those of the other rows and its columns. A row is given by its index among
    /// the rows with mass.
    fn exchanged<'a, T: Real>(
        &'a self,
        problem: &'a Problem<'_, T>,
        of_block: bool,
    ) -> impl Iterator<Item = (usize, usize, T)> + 'a {
        let rows = problem.support.iter().enumerate().filter(move |(at, _)| self.rows[*at] == of_block);
        rows.flat_map(move |(at, &i)| {
            let columns = problem.cost.row(i).iter().enumerate();
            let columns = columns.filter(move |(j, _)| self.columns[*j] != of_block && problem.b[*j] > 0.0);
            columns.map(move |(j, &c)| (at, j, c))
        })
    }

    /// Whether a pair is permitted between the rows of the block and the other columns, or between
    /// the other rows and its columns.
    fn can_exchange<T: Real>(&self, problem: &Problem<'_, T>, of_block: bool) -> bool {
        self.exchanged(problem, of_block).any(|(_, _, c)| c < T::infinity())
    }

    /// Returns the logarithm to base 2 of the sum of the plan over [`exchanged`](Self::exchanged).
    fn log2_exchange<T: Real>(
        &mut self,
        road: Road,
        problem: &Problem<'_, T>,
        potentials: &Potentials,
        (memory, ranks): (&mut Memory<T>, &mut Ranks<'_>),
        of_block: bool,
    ) -> f64 {
        self.support.clear();
        self.a.clear();
        self.log2_a.clear();
        self.u.clear();
        for (at, &i) in problem.support.iter().enumerate().filter(|(at, _)| self.rows[*at] == of_block) {
            self.support.push(i);
            self.a.push(problem.a[at]);
            self.log2_a.push(problem.log2_a[at]);
            self.u.push(potentials.u()[at]);
        }
        let part = Problem { support: &self.support, a: &self.a, log2_a: &self.log2_a, ..*problem };
        let of_part = PotentialsRef { u: &self.u, ..potentials.as_ref() };
        evaluate_plan(road, &part, of_part, memory, ranks);
        let sums = memory.workspace().band.column_sums.iter().zip(&self.columns).zip(problem.b);
        let sum: f64 = sums.map(|((sum, inside), b)| if *inside != of_block && *b > 0.0 { *sum } else { 0.0 }).sum();
        if sum >= f64::MIN_POSITIVE {
            return log2(sum);
        }
        // All entries underflow in `T`, or there is no permitted pair.
        let eta = problem.eta.to_f64();
        let argument =
            |at: usize, j: usize, c: T| potentials.u()[at] + problem.log2_a[at] + potentials.g()[j] - eta * c.to_f64();
        let pairs = || self.exchanged(problem, of_block).map(|(at, j, c)| argument(at, j, c));
        let max = ranks.largest(pairs().fold(f64::NEG_INFINITY, f64::max));
        if max > f64::NEG_INFINITY { max + log2(ranks.total(pairs().map(|y| exp2(y - max)).sum())) } else { max }
    }
}

/// Returns the D with `2^(log2_s + D) - 2^(log2_t - D) = excess`. A side that exchanges nothing
/// moves no further than to make the other side negligible.
fn best_distance(log2_s: f64, log2_t: f64, excess: f64) -> f64 {
    /// The logarithm to base 2 of a negligible mass.
    const NEGLIGIBLE: f64 = -80.0;
    let excess = if excess.abs() < ROUNDED_MASS { 0.0 } else { excess };
    let (s_is_zero, t_is_zero) = (log2_s == f64::NEG_INFINITY, log2_t == f64::NEG_INFINITY);
    match (s_is_zero, t_is_zero) {
        (true, true) => 0.0,
        (true, false) if excess < 0.0 => log2_t - log2(-excess),
        (true, false) => (log2_t - NEGLIGIBLE).max(0.0),
        (false, true) if excess > 0.0 => log2(excess) - log2_s,
        (false, true) => (NEGLIGIBLE - log2_s).min(0.0),
        (false, false) => {
            let middle = 0.5 * (log2_t - log2_s);
            if excess == 0.0 {
                return middle;
            }
            // asinh(excess / (2 sqrt(s t))), whose argument may overflow.
            let log2_z = log2(excess.abs()) - 1.0 - 0.5 * (log2_s + log2_t);
            let asinh = if log2_z > 30.0 { log2_z + 1.0 } else { exp2(log2_z).asinh() * core::f64::consts::LOG2_E };
            middle + asinh.copysign(excess)
        }
    }
}
