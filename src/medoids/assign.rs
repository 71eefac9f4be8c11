//! The clusters of new objects.

use super::input::check_elements;
use crate::check::Shape;
use crate::dispatch::Road;
use crate::dispatch::functions_and_isa_methods;
use crate::{Error, MatRef, Real, check};

functions_and_isa_methods! {
    in medoids;

    /// Finds the nearest of k medoids for each of n new objects.
    ///
    /// `dissimilarities` is n x k: one row per new object, one column per medoid, in the order of
    /// [`Clustering::medoids`](crate::medoids::Clustering::medoids). For each row, `labels`
    /// receives the column of the smallest element, and `distances` receives the element. Of
    /// equally near medoids the first is chosen.
    ///
    /// - Accuracy: exact.
    /// - Special values: NaN, infinite and negative dissimilarities are errors; a matrix without
    ///   rows is a no-op.
    /// - Errors: as listed below; `labels` and `distances` are then unchanged.
    /// - Cost and source: two reads of the matrix, one of them to check it; from the definition. No
    ///   allocation.
    ///
    /// # Errors
    /// - [`Error::Empty`] if there are no columns.
    /// - [`Error::LengthMismatch`] if `labels` or `distances` does not have one element per row.
    /// - [`Error::InvalidElement`] if a dissimilarity is NaN, infinite or negative.
    ///
    /// ```
    /// use mantex::{MatRef, medoids::assign};
    /// let to_medoids = [3.0_f32, 1.0, 0.5, 2.0];
    /// let (mut labels, mut distances) = ([0; 2], [0.0; 2]);
    /// assign(MatRef::new(&to_medoids, 2, 2)?, &mut labels, &mut distances)?;
    /// assert_eq!((labels, distances), ([1, 0], [1.0, 0.5]));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn assign(dissimilarities: MatRef<'_, T>, labels: &mut [usize], distances: &mut [T]) -> Result<(), Error> |road| {
        assign_via(road, dissimilarities, labels, distances)
    }
}

/// Runs [`assign`] on a given road.
pub(super) fn assign_via<T: Real>(
    road: Road,
    dissimilarities: MatRef<'_, T>,
    labels: &mut [usize],
    distances: &mut [T],
) -> Result<(), Error> {
    if dissimilarities.cols() == 0 {
        return Err(Error::Empty { argument: "dissimilarities" });
    }
    check::length("labels", labels.len(), dissimilarities.rows())?;
    check::length("distances", distances.len(), dissimilarities.rows())?;
    check_elements(road, dissimilarities)?;
    road.each_band(dissimilarities.shape(), (dissimilarities, labels, distances), |(rows, labels, distances)| {
        T::assign_nearest(road, rows, labels, distances);
    });
    Ok(())
}
