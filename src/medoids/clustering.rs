//! The result of k-medoids.

use super::assign::assign_via;
use super::cache::Cache;
use crate::dispatch::Road;
use crate::real::Element;
use crate::{Error, MatRef, Real, check};
use alloc::vec;
use alloc::vec::Vec;

/// The counts of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// See [`Clustering::swaps`].
    pub(super) swaps: usize,
    /// See [`Clustering::iterations`].
    pub(super) iterations: usize,
    /// See [`Clustering::evaluated`].
    pub(super) evaluated: usize,
    /// See [`Clustering::converged`].
    pub(super) converged: bool,
}

/// The progress of a search, passed to the callback after every iteration.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The number of iterations so far, including this one.
    pub iteration: usize,
    /// The number of swaps so far.
    pub swaps: usize,
    /// The current loss: the sum of the dissimilarities to the nearest medoids, times the weights
    /// if there are weights.
    pub loss: f64,
}

/// The result of [`KMedoids::fit`](crate::KMedoids::fit): k medoids, and the cluster of each
/// object.
///
/// Two clusterings are equal if they have the same medoids, labels, loss and counts, even if
/// different instruction sets computed them.
#[derive(Debug, Clone)]
#[must_use]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "super::serde::ClusteringData", into = "super::serde::ClusteringData"))]
pub struct Clustering {
    pub(super) medoids: Vec<usize>,
    pub(super) labels: Vec<usize>,
    pub(super) loss: f64,
    pub(super) counts: Counts,
    /// The instruction set of [`Clustering::predict`].
    pub(super) road: Road,
}

impl PartialEq for Clustering {
    fn eq(&self, other: &Self) -> bool {
        let Self { medoids, labels, loss, counts, road: _ } = other;
        self.medoids == *medoids && self.labels == *labels && self.loss == *loss && self.counts == *counts
    }
}

impl Clustering {
    /// Returns the clustering of this cache. Fails if the loss overflows.
    pub(super) fn of<T: Real>(cache: &Cache<'_, T>, counts: Counts) -> Result<Self, Error> {
        let loss = cache.loss();
        if loss == f64::INFINITY {
            return Err(Error::SumOverflow { argument: "dissimilarities" });
        }
        let medoids = cache.medoids().to_vec();
        let mut labels: Vec<usize> = cache.nearest_clusters().collect();
        for (cluster, &medoid) in medoids.iter().enumerate() {
            labels[medoid] = cluster;
        }
        Ok(Self { medoids, labels, loss, counts, road: cache.dissimilarities().road })
    }

    /// Returns the k objects that represent the clusters.
    #[must_use]
    pub fn medoids(&self) -> &[usize] {
        &self.medoids
    }

    /// Returns the label of each of the n objects: an index in [`Clustering::medoids`].
    ///
    /// A medoid has the label of its own cluster, `labels()[medoids()[i]] == i`, so no cluster is
    /// empty, even if medoids are duplicates of each other. The label of any other object is that
    /// of the nearest medoid; of equally near medoids the first.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Returns the medoids and the labels.
    #[must_use]
    pub fn into_parts(self) -> (Vec<usize>, Vec<usize>) {
        (self.medoids, self.labels)
    }

    /// Returns the loss: the sum of the dissimilarities of all objects to their nearest medoids,
    /// times the weights if there are weights.
    ///
    /// It differs from the sum by labels only if a medoid is nearer to another medoid than to
    /// itself.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// Returns the number of swaps. With [`Algorithm::Alternating`](super::Algorithm::Alternating),
    /// it is the number of moves of a medoid.
    #[must_use]
    pub fn swaps(&self) -> usize {
        self.counts.swaps
    }

    /// Returns the number of iterations. An iteration is a pass over all candidates; with
    /// [`Algorithm::Alternating`](super::Algorithm::Alternating), over all clusters. The last pass
    /// of FasterPAM may end early. With FastPAM1 and Alternating, the iteration that finds nothing
    /// to change counts.
    #[must_use]
    pub fn iterations(&self) -> usize {
        self.counts.iterations
    }

    /// Returns the number of candidates that were evaluated, over all iterations. An evaluation
    /// reads the candidate's row once; with
    /// [`Algorithm::Alternating`](super::Algorithm::Alternating), only the elements of its cluster.
    #[must_use]
    pub fn evaluated(&self) -> usize {
        self.counts.evaluated
    }

    /// Returns whether the search ended because nothing was left to improve, rather than at the
    /// limit of iterations or by the callback.
    #[must_use]
    pub fn converged(&self) -> bool {
        self.counts.converged
    }

    /// Finds the clusters of n new objects: returns their labels, and their dissimilarities to the
    /// medoids of their clusters.
    ///
    /// `dissimilarities` is n x k: one row per new object, one column per medoid. A label is the
    /// index in [`Clustering::medoids`] of the nearest medoid; of equally near medoids the first.
    /// [`distance_matrix_between`](crate::distance_matrix_between()) computes it from points.
    /// [`assign`](super::assign()) writes the same results to given slices. `predict` runs on the
    /// instruction set of the builder.
    ///
    /// - Accuracy: exact.
    /// - Special values: NaN, infinite and negative dissimilarities are errors.
    /// - Errors: [`Error::ShapeMismatch`] unless there is one column per medoid;
    ///   [`Error::InvalidElement`] if a dissimilarity is NaN, infinite or negative.
    /// - Cost and source: two reads of the matrix, one of them to check it; from the definition.
    ///
    /// ```
    /// use mantex::{KMedoids, MatRef, medoids::Init};
    /// let d = [0.0_f64, 9.0, 9.0, 0.0];
    /// let options = KMedoids::new(2).init(Init::Given(vec![0, 1]));
    /// let clustering = options.fit(MatRef::new(&d, 2, 2)?)?;
    /// let to_medoids = [4.0_f32, 5.0, 7.0, 2.0, 3.0, 3.0];
    /// let (labels, distances) = clustering.predict(MatRef::new(&to_medoids, 3, 2)?)?;
    /// assert_eq!((labels, distances), (vec![0, 1, 0], vec![4.0, 2.0, 3.0]));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn predict<T: Real>(&self, dissimilarities: MatRef<'_, T>) -> Result<(Vec<usize>, Vec<T>), Error> {
        let rows = dissimilarities.rows();
        check::shape("dissimilarities", &dissimilarities, (rows, self.medoids.len()))?;
        let (mut labels, mut distances) = (vec![0; rows], vec![T::zero(); rows]);
        assign_via(self.road, dissimilarities, &mut labels, &mut distances)?;
        Ok((labels, distances))
    }
}
