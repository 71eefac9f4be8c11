//! The solve of one problem by several ranks, each with a band of rows.

use super::centered_costs::CenteredCosts;
use super::convergence::Progress;
use super::epsilon_scaling::EpsilonScaling;
use super::masses::total_mass;
use super::over_relaxation::OverRelaxation;
use super::ranks::Ranks;
use super::sinkhorn::{Sinkhorn, ValidProblem};
use super::solution::Transport;
use super::solver::Solver;
use crate::real::Element;
use crate::reduce::{Fingerprint, agree};
use crate::{Error, MatRef, Real, Reduce, check};
use core::hash::Hasher;
use core::ops::ControlFlow;

impl Sinkhorn {
    /// Solves as [`solve`](Self::solve) does, with the rows of the costs divided among the ranks of
    /// `reduce`: processes that each hold a band of rows. All ranks call this function, with the
    /// same settings and the same `b`.
    ///
    /// `cost` has the rows of this rank, any number of neighboring ones, and all m columns; `a` has
    /// their masses, one of which must be positive; `b` has the masses of all columns. A
    /// [warm start](Self::warm_start) has f of these rows and the whole g.
    ///
    /// The result has f of these rows and the whole g; its cost, marginal error, status and number
    /// of iterations are those of the whole problem. Its methods that take costs work on the rows
    /// of this rank: plans and products are the part of these rows, and the values of
    /// [`objective`](Transport::objective) mean nothing.
    ///
    /// - Accuracy: that of [`solve`](Self::solve). Results agree with those of one process up to
    ///   the order of summation: in `f64`, potentials to about 1e-12 if the solve converges in some
    ///   hundred iterations; those of a slower one, and of one in `f32`, as well as the tolerance
    ///   determines them, perhaps after another number of iterations. So do those of a solve that
    ///   turns to Newton's method in one process: several ranks only iterate.
    /// - Special values: those of [`solve`](Self::solve).
    /// - Errors: as listed below.
    /// - Cost and source: that of [`solve`](Self::solve) for the rows of this rank, and one
    ///   reduction per iteration, of m + 1 + 2 `ranks` numbers, and 1 or 3 more of as many numbers
    ///   as columns whose sums are not accurate. A measurement reduces m + 2 numbers, and a look
    ///   for drifting blocks up to n + 2 m. The limit of the memory for a Gibbs matrix is that of a
    ///   rank; if one rank has no memory for it, none builds it.
    ///
    /// # Errors
    /// Those of [`solve`](Self::solve), with rows counted within the band, also if the masses of
    /// one rank alone have no positive sum, and:
    /// - [`Error::OtherRank`] if another rank has failed with an error of its own.
    /// - [`Error::RanksDiffer`] if the ranks do not have the same settings, instruction set,
    ///   element type, number of columns or `b`.
    /// - Those of `reduce`.
    ///
    /// ```
    /// use mantex::{MatRef, OneProcess, Reduce, Sinkhorn};
    /// // In each process: `reduce` is that of MPI there.
    /// let mut reduce = OneProcess;
    /// let rows = 2 * reduce.rank()..2 * (reduce.rank() + 1);
    /// let m = 3;
    /// let distances = rows.flat_map(|i| (0..m).map(move |j| i.abs_diff(j) as f64));
    /// let cost: Vec<f64> = distances.collect();
    /// let a = vec![0.5 / reduce.ranks() as f64; 2];
    /// let (cost, b) = (MatRef::new(&cost, 2, m)?, [0.25, 0.5, 0.25]);
    /// let transport = Sinkhorn::new(0.1).solve_distributed(cost, &a, &b, &mut reduce)?;
    /// assert!(transport.converged());
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn solve_distributed<T: Real>(
        &self,
        cost: MatRef<'_, T>,
        a: &[T],
        b: &[T],
        reduce: &mut dyn Reduce,
    ) -> Result<Transport<T>, Error> {
        let same = [
            ("isa", Fingerprint::of_name(self.road.isa().name())),
            ("T", size_of::<T>() as f64),
            ("cost.cols()", cost.cols() as f64),
            ("epsilon", self.epsilon),
            ("settings", self.fingerprint::<T>()),
            ("b", fingerprint(b.iter().map(|mass| mass.to_f64()))),
            ("g", self.warm_start.as_ref().map_or(0.0, |(_, g)| fingerprint(g.iter().copied()))),
        ];
        agree(reduce, self.check_own_input(cost, a, b), same)?;
        let validated = {
            let mut ranks = Ranks::new(reduce);
            let validated = self.validated(cost, a, b, &mut ranks);
            ranks.check()?;
            validated
        };
        let ValidProblem { eta, masses, start, centered } = agree(reduce, validated, [])?;
        let solved = {
            let mut ranks = Ranks::new(reduce);
            ranks.set_rows(masses.support.len());
            let cost = centered.as_ref().map_or(cost, CenteredCosts::matrix);
            let on_iteration = &mut |_: &Progress| ControlFlow::Continue(());
            Solver::new(self, masses.problem(cost, eta), start, ranks)?.solve(on_iteration)?
        };
        agree(reduce, Transport::new(self, masses, eta, (solved, centered)), [])
    }

    /// Fails unless the settings, the shapes and `b` are right.
    fn check_own_input<T: Real>(&self, cost: MatRef<'_, T>, a: &[T], b: &[T]) -> Result<(), Error> {
        self.checked_settings(cost)?;
        check::length("a", a.len(), cost.rows())?;
        check::length("b", b.len(), cost.cols())?;
        total_mass("b", b, None).map(|_| ())
    }

    /// Returns a fingerprint of the other settings that all ranks must share.
    fn fingerprint<T: Real>(&self) -> f64 {
        let relaxation = match self.over_relaxation {
            OverRelaxation::Auto => 0.0,
            OverRelaxation::Off => 1.0,
            OverRelaxation::Factor(factor) => -factor,
        };
        let scaling = match self.epsilon_scaling {
            EpsilonScaling::Auto => 0.0,
            EpsilonScaling::Off => 1.0,
            EpsilonScaling::Factor(factor) => factor,
        };
        let numbers = [self.max_iterations as f64, self.tolerance_for::<T>(), relaxation, scaling];
        let kind = [self.method as usize, usize::from(self.warm_start.is_some())];
        fingerprint(numbers.into_iter().chain(kind.map(|x| x as f64)))
    }
}

/// Returns a fingerprint of numbers.
pub(super) fn fingerprint(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut hash = Fingerprint::new();
    numbers.for_each(|x| hash.write_u64(x.to_bits()));
    hash.value()
}
