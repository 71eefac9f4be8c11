//! Dissimilarities that are given as the upper triangle only.

use crate::kernels::medoids::tuning::TILE_SIDE;
use crate::real::Element;
use crate::{Error, MatMut, Real, check};

/// Returns the number of objects whose pairs have `len` dissimilarities.
pub(super) fn objects(len: usize) -> Result<usize, Error> {
    let wide = len as u128;
    let n = (1 + 8 * wide).isqrt().div_ceil(2);
    match usize::try_from(n) {
        Ok(objects) if n * (n - 1) / 2 == wide => Ok(objects),
        _ => Err(Error::NotCondensed { len }),
    }
}

/// Returns the index of the pair of `i` and `j > i` among the pairs of `n` objects.
fn pair_index(n: usize, i: usize, j: usize) -> usize {
    i * (2 * n - i - 1) / 2 + (j - i - 1)
}

/// Expands condensed dissimilarities to the symmetric matrix with a zero diagonal.
///
/// Condensed dissimilarities are the upper triangle without the diagonal, row by row, as SciPy's
/// `pdist` returns them: for n objects the n (n - 1) / 2 numbers d(0,1), d(0,2), .., d(0,n-1),
/// d(1,2), .. `out` is n x n, as [`KMedoids::fit`] takes it.
///
/// - Accuracy: exact.
/// - Special values: any value is copied. [`KMedoids::fit`] checks the values.
/// - Errors: [`Error::NotSquare`] if `out` is not square; [`Error::LengthMismatch`] if `condensed`
///   does not have n (n - 1) / 2 elements; `out` is then unchanged.
/// - Cost and source: about the time of two copies of `out`; from the definition. No allocation.
///
/// ```
/// use mantex::{MatMut, medoids::expand_condensed};
/// let condensed = [1.0_f64, 5.0, 4.0];
/// let mut square = [0.0; 9];
/// expand_condensed(&condensed, MatMut::new(&mut square, 3, 3)?)?;
/// assert_eq!(square, [0.0, 1.0, 5.0, 1.0, 0.0, 4.0, 5.0, 4.0, 0.0]);
/// # Ok::<(), mantex::Error>(())
/// ```
///
/// [`KMedoids::fit`]: crate::KMedoids::fit
pub fn expand_condensed<T: Real>(condensed: &[T], mut out: MatMut<'_, T>) -> Result<(), Error> {
    let (n, cols) = (out.rows(), out.cols());
    if n != cols {
        return Err(Error::NotSquare { argument: "out", rows: n, cols });
    }
    let pairs = (n as u128 * n.saturating_sub(1) as u128 / 2) as usize;
    check::length("condensed", condensed.len(), pairs)?;
    for i in 0..n {
        let row = out.row_mut(i);
        row[i] = T::zero();
        if i + 1 < n {
            let start = pair_index(n, i, i + 1);
            row[i + 1..].copy_from_slice(&condensed[start..start + (n - i - 1)]);
        }
    }
    for rows in (0..n).step_by(TILE_SIDE) {
        for columns in (0..=rows).step_by(TILE_SIDE) {
            for j in rows..n.min(rows + TILE_SIDE) {
                let row = &mut out.row_mut(j)[columns..j.min(columns + TILE_SIDE)];
                for (x, i) in row.iter_mut().zip(columns..) {
                    *x = condensed[pair_index(n, i, j)];
                }
            }
        }
    }
    Ok(())
}
