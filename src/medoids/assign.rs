//! Clusters of new objects.

use super::kmedoids::check_elements;
use crate::isa::functions_and_isa_methods;
use crate::{Error, MatRef, check};

functions_and_isa_methods! {
    /// For each new object (a row) the nearest of k medoids (the columns): its position in `labels`, of equally near ones
    /// the lowest, and the dissimilarity to it in `distances`. Reads the matrix once: O(n k) for n objects.
    ///
    /// Columns are in the order of [`Clustering::medoids`](crate::Clustering::medoids).
    ///
    /// # Errors
    /// [`Error::Empty`] if there are no columns, [`Error::LengthMismatch`] if `labels` or `distances` have not one element per row,
    /// [`Error::InvalidElement`] if a dissimilarity is NaN, infinite or negative.
    ///
    /// ```
    /// use mantex::{MatRef, assign};
    /// let to_medoids = [3.0_f32, 1.0, 0.5, 2.0];
    /// let (mut labels, mut distances) = ([0; 2], [0.0; 2]);
    /// assign(MatRef::new(&to_medoids, 2, 2)?, &mut labels, &mut distances)?;
    /// assert_eq!((labels, distances), ([1, 0], [1.0, 0.5]));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn assign(dissimilarities: MatRef<'_, T>, labels: &mut [usize], distances: &mut [T]) -> Result<(), Error> |road| {
        if dissimilarities.cols() == 0 {
            return Err(Error::Empty { argument: "dissimilarities" });
        }
        check::length("labels", labels.len(), dissimilarities.rows())?;
        check::length("distances", distances.len(), dissimilarities.rows())?;
        check_elements(road, dissimilarities)?;
        T::nearest(road, dissimilarities, labels, distances);
        Ok(())
    }
}
