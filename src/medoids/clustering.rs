//! The result of k-medoids.

use super::assign::assign_via;
use super::cache::Cache;
use crate::dispatch::Road;
use crate::real::Element;
use crate::{Error, MatRef, Real, check};

/// The course of a search, in numbers.
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
    /// The number of iterations until now, including this one.
    pub iteration: usize,
    /// The number of swaps until now.
    pub swaps: usize,
    /// The sum of the dissimilarities to the nearest medoids, as they are now.
    pub loss: f64,
}

/// The result of [`KMedoids::fit`](crate::KMedoids::fit): k medoids, and the cluster of each
/// object.
///
/// Two clusterings are equal if they have the same medoids, labels, loss and counts, whatever
/// instruction sets computed them.
#[derive(Debug, Clone)]
#[must_use]
pub struct Clustering {
    medoids: Vec<usize>,
    labels: Vec<usize>,
    loss: f64,
    counts: Counts,
    /// The instruction set of [`Clustering::predict`].
    road: Road,
}

impl PartialEq for Clustering {
    fn eq(&self, other: &Self) -> bool {
        let Self { medoids, labels, loss, counts, road: _ } = other;
        self.medoids == *medoids && self.labels == *labels && self.loss == *loss && self.counts == *counts
    }
}

impl Clustering {
    /// Returns the clustering of these caches; fails if its loss overflows.
    pub(super) fn of<T: Real>(cache: &Cache<'_, T>, counts: Counts) -> Result<Self, Error> {
        let loss = cache.loss();
        if loss == f64::INFINITY {
            return Err(Error::SumOverflow { argument: "dissimilarities" });
        }
        let (medoids, labels) = (cache.medoids().to_vec(), cache.labels().collect());
        Ok(Self { medoids, labels, loss, counts, road: cache.dissimilarities().road })
    }

    /// Returns the k objects that represent the clusters.
    #[must_use]
    pub fn medoids(&self) -> &[usize] {
        &self.medoids
    }

    /// Returns for each of the n objects the index in [`Clustering::medoids`] of its nearest
    /// medoid; of equally near medoids the first.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Returns the medoids and the labels.
    #[must_use]
    pub fn into_parts(self) -> (Vec<usize>, Vec<usize>) {
        (self.medoids, self.labels)
    }

    /// Returns the sum of the dissimilarities of all objects to their nearest medoid, times their
    /// weights if they have any.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// Returns the number of swaps; with [`Algorithm::Alternating`](super::Algorithm::Alternating),
    /// of medoids that were moved.
    #[must_use]
    pub fn swaps(&self) -> usize {
        self.counts.swaps
    }

    /// Returns the number of iterations. An iteration is a pass over all candidates, of which the
    /// last may have ended early, or over all clusters. With FastPAM1 and Alternating, the
    /// iteration that found nothing to change counts, too.
    #[must_use]
    pub fn iterations(&self) -> usize {
        self.counts.iterations
    }

    /// Returns the number of candidates whose swaps were evaluated, over all iterations. Each takes
    /// one read of a row; with [`Algorithm::Alternating`](super::Algorithm::Alternating), of the
    /// part of a row that belongs to the candidate's cluster.
    #[must_use]
    pub fn evaluated(&self) -> usize {
        self.counts.evaluated
    }

    /// Returns whether the search ended at a local optimum, and not at the limit of iterations or
    /// by the callback.
    #[must_use]
    pub fn converged(&self) -> bool {
        self.counts.converged
    }

    /// Finds the clusters of n new objects: returns their labels, and their dissimilarities to the
    /// medoids of their clusters.
    ///
    /// `dissimilarities` is n x k: one row per new object, one column per medoid. A label is the
    /// index in [`Clustering::medoids`] of the nearest medoid; of equally near medoids the first.
    /// [`assign`](super::assign()) does the same into given slices. It runs the instruction set
    /// that the clustering was computed on.
    ///
    /// - Accuracy: exact.
    /// - Special values: NaN, infinite and negative dissimilarities are errors.
    /// - Errors: [`Error::ShapeMismatch`] unless there is one column per medoid;
    ///   [`Error::InvalidElement`] if a dissimilarity is NaN, infinite or negative.
    /// - Cost and source: two reads of the matrix, one to check it.
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
