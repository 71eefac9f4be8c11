//! Clusters of new objects.

use crate::{Error, Isa, MatRef, Real};

/// For each new object (a row) the nearest of k medoids (the columns): its position in `labels`, of equally near ones
/// the lowest, and the dissimilarity to it in `distances`. Reads the matrix once: O(n k) for n objects.
///
/// Columns are in the order of [`Clustering::medoids`](crate::Clustering::medoids).
///
/// # Errors
/// [`Error::Empty`] if there are no columns, [`Error::Length`] if `labels` or `distances` have not one element per row,
/// [`Error::Element`] if a dissimilarity is NaN, infinite or negative.
///
/// ```
/// use mantex::{MatRef, assign};
/// let to_medoids = [3.0_f32, 1.0, 0.5, 2.0];
/// let (mut labels, mut distances) = ([0; 2], [0.0; 2]);
/// assign(MatRef::new(&to_medoids, 2, 2)?, &mut labels, &mut distances)?;
/// assert_eq!((labels, distances), ([1, 0], [1.0, 0.5]));
/// # Ok::<(), mantex::Error>(())
/// ```
pub fn assign<T: Real>(dissimilarities: MatRef<'_, T>, labels: &mut [usize], distances: &mut [T]) -> Result<(), Error> {
    run(None, dissimilarities, labels, distances)
}

/// [`assign`] on the given instruction set.
///
/// # Errors
/// As [`assign`].
pub fn assign_on<T: Real>(
    isa: Isa,
    dissimilarities: MatRef<'_, T>,
    labels: &mut [usize],
    distances: &mut [T],
) -> Result<(), Error> {
    run(Some(isa), dissimilarities, labels, distances)
}

fn run<T: Real>(isa: Option<Isa>, d: MatRef<'_, T>, labels: &mut [usize], distances: &mut [T]) -> Result<(), Error> {
    if d.cols() == 0 {
        return Err(Error::Empty { argument: "dissimilarities" });
    }
    for (argument, actual) in [("labels", labels.len()), ("distances", distances.len())] {
        if actual != d.rows() {
            return Err(Error::Length { argument, actual, expected: d.rows() });
        }
    }
    super::check_elements(isa, d)?;
    T::nearest(isa, d, labels, distances);
    Ok(())
}
