//! The builder of k-medoids.

use super::clustering::{Clustering, Progress};
use super::condensed::{self, expand_condensed};
use super::search::search;
use crate::dispatch::Road;
use crate::real::Element;
use crate::{Error, Isa, MatMut, MatRef, Real};
use std::fmt;
use std::ops::ControlFlow;

/// How the medoids are improved.
///
/// All algorithms but [`Algorithm::Alternating`] end at a local optimum: no swap of a medoid for
/// another object lowers the loss.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// FasterPAM: walks the candidates cyclically and makes the best swap of each candidate at once
    /// if it lowers the loss. Ends after as many candidates without a swap as there are objects.
    /// O(n²) per pass over the candidates, usually few passes (Schubert & Rousseeuw 2021, section
    /// 4).
    #[default]
    FasterPam,
    /// [`Algorithm::FasterPam`] with the candidates in a random order, the same in every pass. The
    /// result then does not depend on the order of the objects.
    RandomFasterPam {
        /// Determines the order.
        seed: u64,
    },
    /// FastPAM1: makes the best of all k (n - k) swaps in each iteration. These are the swaps of
    /// PAM (Kaufman & Rousseeuw 1990), in O(n²) instead of O(k n²) per iteration (Schubert &
    /// Rousseeuw 2019; 2021, section 3). Of equally good swaps it makes the first: the lowest
    /// candidate, then the lowest cluster.
    FastPam1,
    /// Voronoi iteration: assigns every object to its nearest medoid, then moves each medoid to the
    /// member of its cluster with the lowest sum of dissimilarities to the others, as k-means does
    /// with its means (Maranzana 1963; Park & Jun, "A simple and fast algorithm for K-medoids
    /// clustering", 2009, section 2). O(n²/k) per iteration if clusters are equally large, O(n²) at
    /// worst. Ends if no cluster has a better medoid. Its losses are usually higher than at a local
    /// optimum.
    Alternating,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FasterPam => "FasterPAM",
            Self::RandomFasterPam { .. } => "random FasterPAM",
            Self::FastPam1 => "FastPAM1",
            Self::Alternating => "alternating",
        })
    }
}

/// The initial medoids.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Init {
    /// BUILD: the object with the lowest sum of dissimilarities, then one at a time the object that
    /// lowers the loss most; of equally good objects the first. Deterministic, and the lowest
    /// initial loss, in O(k n²) (Kaufman & Rousseeuw 1990; Schubert & Rousseeuw 2021, section 2).
    #[default]
    Build,
    /// Linear approximative BUILD: each medoid is chosen from and for a random sample of 10 +
    /// ceil(sqrt(n)) objects, in O(k n) (Schubert & Rousseeuw 2019, section 3.3; 2021, section 5).
    Lab {
        /// Determines the samples.
        seed: u64,
    },
    /// k objects, all sets equally likely, in O(n). FasterPAM then finds losses as low as from
    /// BUILD, in less time (Schubert & Rousseeuw 2021, section 5).
    Random {
        /// Determines the objects.
        seed: u64,
    },
    /// These k objects, in this order.
    Given(Vec<usize>),
}

/// k-medoids clustering: finds k objects, the medoids, such that the sum of the dissimilarities of
/// all objects to their nearest medoid is low.
///
/// The input is a square matrix of n x n dissimilarities, finite and not negative. **Row c holds
/// the dissimilarity of every object to candidate c.** The matrix need not be symmetric, and its
/// diagonal need not be 0. One read of a candidate's row gives the loss changes of all k swaps that
/// it can be part of.
///
/// - Accuracy: losses and their changes are summed in `f64`. A swap is made only if the loss falls
///   by more than rounding can account for: the rounding of the sums, and half a unit in the last
///   place of each dissimilarity involved. So the loss falls with every swap, and every search
///   ends.
/// - Special values: NaN, infinite and negative dissimilarities are errors.
/// - Errors: as listed at [`KMedoids::fit`].
/// - Cost and source: [`Algorithm`] and [`Init`] state their running times; a swap costs another
///   O(n). Memory beyond the matrix is O(n + k), at most 160 bytes per object: of each object's
///   nearest medoids, k / 16 are kept, at least 2 and at most 6, so that the loss of one seldom
///   needs a search of all k. Schubert & Rousseeuw, "Fast and Eager k-Medoids Clustering",
///   Information Systems 101 (2021), 101804; "Faster k-Medoids Clustering", SISAP 2019.
///
/// The result depends on the input and the options only. Instruction sets agree unless two choices
/// are equally good.
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
pub struct KMedoids {
    pub(super) k: usize,
    pub(super) algorithm: Algorithm,
    pub(super) init: Init,
    pub(super) max_iterations: usize,
    pub(super) road: Road,
}

impl KMedoids {
    /// `k` clusters by [`Algorithm::FasterPam`] from [`Init::Build`], in at most 100 iterations.
    pub fn new(k: usize) -> Self {
        Self { k, algorithm: Algorithm::default(), init: Init::default(), max_iterations: 100, road: Road::Best }
    }

    /// Sets how the medoids are improved.
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// Sets the initial medoids.
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Sets the largest number of iterations. An iteration is a pass over all candidates, in which
    /// FastPAM1 makes one swap; with [`Algorithm::Alternating`], over all clusters. With 0 the
    /// initial medoids stay.
    pub fn max_iterations(self, n: usize) -> Self {
        Self { max_iterations: n, ..self }
    }

    /// Sets the instruction set, instead of [`Isa::best`].
    pub fn isa(self, isa: Isa) -> Self {
        Self { road: Road::On(isa), ..self }
    }

    /// Clusters n objects by their n x n dissimilarities; row c holds the dissimilarity of every
    /// object to object c.
    ///
    /// Reaching the limit of iterations is not an error: [`Clustering::converged`] is then false.
    ///
    /// # Errors
    /// - [`Error::NotSquare`] if the matrix is not square.
    /// - [`Error::MedoidCountOutOfRange`] if k is 0 or exceeds the number of objects.
    /// - [`Error::LengthMismatch`] if [`Init::Given`] does not have k medoids.
    /// - [`Error::MedoidOutOfRange`], [`Error::DuplicateMedoid`] if [`Init::Given`] has such a
    ///   medoid.
    /// - [`Error::InvalidElement`] if a dissimilarity is NaN, infinite or negative.
    /// - [`Error::SumOverflow`] if the loss overflows `f64`.
    pub fn fit<T: Real>(&self, dissimilarities: MatRef<'_, T>) -> Result<Clustering, Error> {
        search(self, dissimilarities, None, &mut |_| ControlFlow::Continue(()))
    }

    /// [`KMedoids::fit`] with a weight for every object, by which its dissimilarities are
    /// multiplied in all losses: an object of weight 2 counts like two equal objects. It costs one
    /// more read of a number per object and row, from L1 or L2.
    ///
    /// # Errors
    /// Those of [`KMedoids::fit`], and:
    /// - [`Error::LengthMismatch`] if there is not one weight per object.
    /// - [`Error::InvalidElement`] if a weight is not positive and finite.
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
        search(self, dissimilarities, Some(weights), &mut |_| ControlFlow::Continue(()))
    }

    /// [`KMedoids::fit`], or [`KMedoids::fit_weighted`] if there are weights, with a callback after
    /// every iteration. If it breaks, the search ends with the medoids of that iteration.
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
        search(self, dissimilarities, weights, &mut on_iteration)
    }

    /// [`KMedoids::fit`] of condensed dissimilarities: the upper triangle without the diagonal, row
    /// by row, as SciPy's `pdist` returns it. They are expanded first, by [`expand_condensed`]; the
    /// matrix takes twice their memory.
    ///
    /// # Errors
    /// Those of [`KMedoids::fit`], where [`Error::InvalidElement`] names the place in the expanded
    /// matrix, and [`Error::NotCondensed`] if there are not n (n - 1) / 2 dissimilarities for any
    /// n. An empty slice belongs to one object.
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
