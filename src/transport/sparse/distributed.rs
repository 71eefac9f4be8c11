//! The solve of one problem by several ranks, each with a band of rows.

use super::solution::SparseSolution;
use super::sparse_transport::SparseTransport;
use crate::real::Element;
use crate::reduce::{Fingerprint, agree};
use crate::transport::distributed::fingerprint;
use crate::transport::masses::total_mass;
use crate::{Error, MatRef, Real, Reduce};
use core::ops::ControlFlow;

impl SparseTransport {
    /// Solves as [`solve`](Self::solve) does, with the rows of the costs divided among the ranks of
    /// `reduce`: processes that each hold a band of rows. All ranks call this function, with the
    /// same settings and the same `b`.
    ///
    /// `cost` has the rows of this rank, any number of neighboring ones, and all m columns; `a` has
    /// their masses, one of which must be positive; `b` has the masses of all columns.
    ///
    /// The result has f and the plan of these rows and the whole g; its other numbers are those of
    /// the whole problem.
    ///
    /// - Accuracy: that of [`solve`](Self::solve). Results agree with those of one process up to
    ///   the order of summation: potentials to about 1e-12 if the solve converges in a few dozen
    ///   iterations, and otherwise as well as the tolerance determines them. A limit of the entries
    ///   per row that matters takes many steps, which amplify rounding errors.
    /// - Special values: those of [`solve`](Self::solve).
    /// - Errors: as listed below.
    /// - Cost and source: that of [`solve`](Self::solve) for the rows of this rank. An iteration
    ///   has one reduction of 2 m + 2 numbers and a few of one to three, and each product with the
    ///   pattern of the plan, of which there are up to some hundred per iteration, has one of m
    ///   numbers. Columns without an entry take another one of m numbers.
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
    /// use mantex::{MatRef, OneProcess, Reduce, SparseTransport};
    /// // In each process: `reduce` is that of MPI there.
    /// let mut reduce = OneProcess;
    /// let rows = 2 * reduce.rank()..2 * (reduce.rank() + 1);
    /// let m = 3;
    /// let distances = rows.flat_map(|i| (0..m).map(move |j| i.abs_diff(j) as f64));
    /// let cost: Vec<f64> = distances.collect();
    /// let a = vec![0.5 / reduce.ranks() as f64; 2];
    /// let (cost, b) = (MatRef::new(&cost, 2, m)?, [0.25, 0.5, 0.25]);
    /// let solution = SparseTransport::new(0.1).solve_distributed(cost, &a, &b, &mut reduce)?;
    /// assert!(solution.converged());
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn solve_distributed<T: Real>(
        &self,
        cost: MatRef<'_, T>,
        a: &[T],
        b: &[T],
        reduce: &mut dyn Reduce,
    ) -> Result<SparseSolution<T>, Error> {
        let top = self.max_entries.map_or(-1.0, |k| k as f64);
        let same = [
            ("isa", Fingerprint::of_name(self.road.isa().name())),
            ("T", size_of::<T>() as f64),
            ("cost.cols()", cost.cols() as f64),
            ("gamma", self.gamma),
            ("settings", fingerprint([self.max_iterations as f64, self.tolerance_for::<T>(), top].into_iter())),
            ("b", fingerprint(b.iter().map(|mass| mass.to_f64()))),
        ];
        let own_input = self.check_settings_and_shapes(cost, a, b).and_then(|()| total_mass("b", b, None));
        agree(reduce, own_input, same)?;
        self.solve_on_ranks(cost, a, b, reduce, &mut |_| ControlFlow::Continue(()))
    }
}
