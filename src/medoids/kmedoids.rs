//! The builder of k-medoids.

use super::clustering::{Clustering, Progress};
use super::condensed::{self, expand_condensed};
use super::options::{Algorithm, Init};
use super::search::search;
use crate::dispatch::Road;
use crate::real::Element;
use crate::{Error, Isa, MatMut, MatRef, OneProcess, Real, Reduce};
use alloc::vec;
use core::ops::ControlFlow;

/// k-medoids clustering: finds k objects, the medoids, such that the sum of the dissimilarities of
/// all objects to their nearest medoid is low.
///
/// The input is a square matrix of n x n dissimilarities, finite and not negative. **Row c holds
/// the dissimilarity of every object to candidate c.** The matrix need not be symmetric, and its
/// diagonal need not be 0. One read of a candidate's row gives the changes of the loss for all k
/// swaps of that candidate.
///
/// - Accuracy: losses and their changes are summed in `f64`. A swap is made only if the loss falls
///   by more than rounding can account for: the rounding of the sums, and half a unit in the last
///   place of each dissimilarity that the swap changes. So the loss falls with every swap, and
///   every search ends. A search that [converged](Clustering::converged) leaves no such swap:
///   dissimilarities that a swap does not change hide nothing, however large they are.
/// - Special values: NaN, infinite and negative dissimilarities are errors.
/// - Errors: as listed at [`KMedoids::fit`].
/// - Cost and source: [`Algorithm`] and [`Init`] state their running times; a swap takes O(n) more.
///   Memory beyond the matrix is O(n + k), at most 320 bytes per object, of which about 200 are
///   written. For each object the k / 16 nearest medoids are kept, at least 2 and at most 6: if one
///   of them is swapped out, a search among all k medoids is seldom needed. Schubert & Rousseeuw,
///   "Fast and Eager k-Medoids Clustering", Information Systems 101 (2021), 101804; "Faster
///   k-Medoids Clustering", SISAP 2019.
///
/// The result depends only on the input, the options and the instruction set. Instruction sets
/// agree unless two choices are equally good up to rounding.
///
/// ```
/// use mantex::{KMedoids, MatRef};
///
/// let points = [1.0_f64, 2.0, 3.0, 11.0, 12.0, 13.0, 14.0];
/// let distances: Vec<f64> = points.iter().flat_map(|a| points.map(|b| (a - b).abs())).collect();
/// let clustering = KMedoids::new(2).fit(MatRef::new(&distances, 7, 7)?)?;
/// assert_eq!(clustering.loss(), 6.0);
/// let medoid_of_last = clustering.medoids()[clustering.labels()[6]];
/// assert!([11.0, 12.0, 13.0].contains(&points[medoid_of_last]));
/// assert!(clustering.converged());
/// # Ok::<(), mantex::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[must_use]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "super::serde::KMedoidsData", into = "super::serde::KMedoidsData"))]
pub struct KMedoids {
    pub(super) k: usize,
    pub(super) algorithm: Algorithm,
    pub(super) init: Init,
    pub(super) max_iterations: Option<usize>,
    pub(super) road: Road,
}

impl KMedoids {
    /// Returns the builder for `k` clusters by the default [`Algorithm`] from the default [`Init`].
    pub fn new(k: usize) -> Self {
        Self { k, algorithm: Algorithm::default(), init: Init::default(), max_iterations: None, road: Road::BEST }
    }

    /// Sets the algorithm that improves the medoids.
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// Sets the initial medoids.
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Sets the largest number of iterations. An iteration is a pass over all candidates; with
    /// [`Algorithm::Alternating`], over all clusters. With 0, the result has the initial medoids.
    ///
    /// The default is 100, far more than a search usually takes. [`Algorithm::FastPam1`] makes one
    /// swap per iteration; its default is no limit.
    pub fn max_iterations(self, n: usize) -> Self {
        Self { max_iterations: Some(n), ..self }
    }

    /// Returns the largest number of iterations.
    pub(super) fn iteration_limit(&self) -> usize {
        self.max_iterations.unwrap_or(if self.algorithm == Algorithm::FastPam1 { usize::MAX } else { 100 })
    }

    /// Sets the instruction set that runs instead of [`Isa::best`].
    pub fn isa(self, isa: Isa) -> Self {
        Self { road: self.road.with_isa(isa), ..self }
    }

    /// Sets whether the threads of rayon's current pool share the scans. The results have the same
    /// bits. Outside of the pool, `fit` hands its work over once, and `fit_with_progress` does so
    /// in each scan.
    #[cfg(feature = "rayon")]
    pub fn parallel(self, yes: bool) -> Self {
        Self { road: self.road.with_threads(yes), ..self }
    }

    /// Clusters n objects by their n x n dissimilarities: finds k medoids m with a low loss
    /// `sum_j min_c d[m_c][j]`. Row i of `d` holds the dissimilarity of every object to object i.
    ///
    /// - Accuracy: as the [builder](KMedoids). Reaching the limit of iterations is not an error:
    ///   [`Clustering::converged`] is then false.
    /// - Special values: NaN, infinite and negative dissimilarities are errors.
    /// - Errors: as listed below.
    /// - Cost and source: as the [builder](KMedoids).
    ///
    /// # Errors
    /// - [`Error::NotSquare`] if the matrix is not square.
    /// - [`Error::MedoidCountOutOfRange`] if k is 0 or exceeds the number of objects.
    /// - [`Error::LengthMismatch`] if [`Init::Given`] does not have k medoids.
    /// - [`Error::MedoidOutOfRange`] if [`Init::Given`] has a medoid that is not below n;
    ///   [`Error::DuplicateMedoid`] if it has a medoid twice.
    /// - [`Error::InvalidElement`] if a dissimilarity is NaN, infinite or negative.
    /// - [`Error::SumOverflow`] if the loss overflows `f64`.
    pub fn fit<T: Real>(&self, dissimilarities: MatRef<'_, T>) -> Result<Clustering, Error> {
        self.road.within_pool((dissimilarities.rows(), dissimilarities.cols()), || {
            search(self, dissimilarities, None, &mut OneProcess, &mut |_| ControlFlow::Continue(()))
        })
    }

    /// Clusters as [`KMedoids::fit`] does, with a weight for every object: finds medoids m with a
    /// low loss `sum_j w[j] min_c d[m_c][j]`. An object of weight 2 counts like two equal objects.
    /// An object of weight 0 counts for nothing, but has a label, and may be a medoid.
    ///
    /// - Accuracy: as [`KMedoids::fit`].
    /// - Special values: weights must be finite and not negative, and not all 0; otherwise as
    ///   [`KMedoids::fit`].
    /// - Errors: as listed below.
    /// - Cost and source: as [`KMedoids::fit`], plus one read of a weight per object and row, from
    ///   L1 or L2.
    ///
    /// # Errors
    /// Those of [`KMedoids::fit`], and:
    /// - [`Error::LengthMismatch`] if there is not one weight per object.
    /// - [`Error::InvalidElement`] if a weight is NaN, infinite or negative.
    /// - [`Error::TooFew`] if all weights are 0.
    ///
    /// ```
    /// use mantex::{KMedoids, MatRef};
    /// let x = [0.0_f64, 1.0, 10.0];
    /// let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
    /// let d = MatRef::new(&d, 3, 3)?;
    /// assert_eq!(KMedoids::new(1).fit(d)?.medoids(), [1]);
    /// assert_eq!(KMedoids::new(1).fit_weighted(d, &[3.0, 1.0, 1.0])?.medoids(), [0]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn fit_weighted<T: Real>(&self, dissimilarities: MatRef<'_, T>, weights: &[T]) -> Result<Clustering, Error> {
        self.road.within_pool((dissimilarities.rows(), dissimilarities.cols()), || {
            search(self, dissimilarities, Some(weights), &mut OneProcess, &mut |_| ControlFlow::Continue(()))
        })
    }

    /// Clusters as [`KMedoids::fit`] does, or as [`KMedoids::fit_weighted`] if there are weights,
    /// and calls `on_iteration` after every iteration. If the callback breaks, the search ends with
    /// the medoids of that iteration.
    ///
    /// - Accuracy: as [`KMedoids::fit`].
    /// - Special values: as [`KMedoids::fit_weighted`].
    /// - Errors: as listed below.
    /// - Cost and source: as [`KMedoids::fit_weighted`], plus one sum over all objects per
    ///   iteration.
    ///
    /// # Errors
    /// Those of [`KMedoids::fit_weighted`].
    ///
    /// ```
    /// use mantex::{KMedoids, MatRef, medoids::Init};
    /// use std::ops::ControlFlow;
    ///
    /// let x = [0.0_f64, 0.1, 0.2, 7.0, 7.1, 7.3];
    /// let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
    /// let mut losses = Vec::new();
    /// let options = KMedoids::new(2).init(Init::Given(vec![0, 1]));
    /// let clustering = options.fit_with_progress(MatRef::new(&d, 6, 6)?, None, |progress| {
    ///     losses.push(progress.loss);
    ///     if progress.iteration == 10 {
    ///         return ControlFlow::Break(());
    ///     }
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(losses.len(), clustering.iterations());
    /// assert_eq!(losses.last(), Some(&clustering.loss()));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn fit_with_progress<T: Real>(
        &self,
        dissimilarities: MatRef<'_, T>,
        weights: Option<&[T]>,
        mut on_iteration: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Clustering, Error> {
        search(self, dissimilarities, weights, &mut OneProcess, &mut on_iteration)
    }

    /// Clusters as [`KMedoids::fit`] does, or as [`KMedoids::fit_weighted`] if there are weights,
    /// with the matrix divided among the ranks of `reduce`: processes that each hold some of its
    /// rows. All ranks call this function, with the same options and weights, and get the result
    /// that one process gets for the whole matrix.
    ///
    /// `dissimilarities` has n columns and the rows of this rank,
    /// [`rows_of_rank(n, rank, ranks)`](super::rows_of_rank()), in their order. That they are these
    /// rows cannot be checked, only their number: others of the same number give a wrong
    /// clustering. A rank without rows takes part. All ranks must run the same instruction set.
    /// [`Algorithm::Alternating`] is not distributed.
    ///
    /// - Accuracy: as [`KMedoids::fit`].
    /// - Special values: as [`KMedoids::fit_weighted`].
    /// - Errors: as listed below.
    /// - Cost and source: as [`KMedoids::fit_weighted`], divided by the ranks, after one read of
    ///   the rows to check them. FastPAM1 divides evenly; FasterPAM scans in vain what other ranks
    ///   have behind a swap. For each swap, all ranks reduce n + 1 numbers: the row of the new
    ///   medoid. An initial medoid reduces its row once or twice, and BUILD n numbers more. Scans
    ///   reduce one to three numbers at a time. A rank keeps k rows beyond its own.
    ///
    /// # Errors
    /// Those of [`KMedoids::fit_weighted`], in which rows are those of the whole matrix, except
    /// [`Error::NotSquare`], and:
    /// - [`Error::ShapeMismatch`] if a rank does not have its rows.
    /// - [`Error::UnknownName`] for [`Algorithm::Alternating`].
    /// - [`Error::OtherRank`] if another rank has failed with an error of its own.
    /// - [`Error::RanksDiffer`] if the ranks do not have the same n, options, weights, instruction
    ///   set or element type.
    /// - Those of `reduce`.
    ///
    /// ```
    /// use mantex::{KMedoids, MatRef, Metric, OneProcess, Reduce, distance_matrix_between};
    /// use mantex::medoids::rows_of_rank;
    ///
    /// // In each process: `reduce` is that of MPI there.
    /// let mut reduce = OneProcess;
    /// let x = [0.0_f64, 0.1, 0.2, 7.0, 7.1, 7.3];
    /// let own: Vec<f64> = rows_of_rank(6, reduce.rank(), reduce.ranks()).map(|i| x[i]).collect();
    /// let mut d = vec![0.0; own.len() * 6];
    /// let (own, all) = (MatRef::new(&own, own.len(), 1)?, MatRef::new(&x, 6, 1)?);
    /// let out = mantex::MatMut::new(&mut d, own.rows(), 6)?;
    /// distance_matrix_between(own, all, out, Metric::Euclidean)?;
    ///
    /// let d = MatRef::new(&d, own.rows(), 6)?;
    /// let clustering = KMedoids::new(2).fit_distributed(d, None, &mut reduce)?;
    /// assert_eq!(clustering.labels()[..3], [clustering.labels()[0]; 3]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn fit_distributed<T: Real>(
        &self,
        dissimilarities: MatRef<'_, T>,
        weights: Option<&[T]>,
        reduce: &mut dyn Reduce,
    ) -> Result<Clustering, Error> {
        search(self, dissimilarities, weights, reduce, &mut |_| ControlFlow::Continue(()))
    }

    /// Clusters as [`KMedoids::fit`] does, from condensed dissimilarities: the upper triangle
    /// without the diagonal, row by row, as SciPy's `pdist` returns it. An empty slice belongs to
    /// one object.
    ///
    /// - Accuracy: as [`KMedoids::fit`].
    /// - Special values: as [`KMedoids::fit`].
    /// - Errors: as listed below.
    /// - Cost and source: as [`KMedoids::fit`] after [`expand_condensed`]. The expanded matrix
    ///   takes twice the memory of `condensed`.
    ///
    /// # Errors
    /// - Those of [`KMedoids::fit`]. [`Error::InvalidElement`] names the place in the expanded
    ///   matrix.
    /// - [`Error::NotCondensed`] if the number of dissimilarities is not n (n - 1) / 2 for any n.
    ///
    /// ```
    /// use mantex::KMedoids;
    /// // d(0,1), d(0,2), d(0,3), d(1,2), d(1,3), d(2,3)
    /// let clustering = KMedoids::new(2).fit_condensed(&[1.0_f32, 8.0, 9.0, 8.0, 8.0, 2.0])?;
    /// assert_eq!(clustering.loss(), 3.0);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn fit_condensed<T: Real>(&self, condensed: &[T]) -> Result<Clustering, Error> {
        let n = condensed::objects(condensed.len())?;
        let mut square = vec![T::zero(); n * n];
        expand_condensed(condensed, MatMut::new(&mut square, n, n)?)?;
        self.fit(MatRef::new(&square, n, n)?)
    }
}
