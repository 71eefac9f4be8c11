//! Dissimilarities given as the upper triangle only.

use crate::real::Element;
use crate::{Error, MatMut, Real};

/// Side of the square blocks in which the lower triangle is written: their reads stay in the first-level cache.
const BLOCK: usize = 64;

/// For how many objects these are the dissimilarities of all pairs.
pub(super) fn objects(len: usize) -> Result<usize, Error> {
    let wide = len as u128;
    let n = (1 + 8 * wide).isqrt().div_ceil(2);
    match usize::try_from(n) {
        Ok(objects) if n * (n - 1) / 2 == wide => Ok(objects),
        _ => Err(Error::NotCondensed { len }),
    }
}

/// Where the pair of `i` and `j > i` is.
fn place(n: usize, i: usize, j: usize) -> usize {
    i * (2 * n - i - 1) / 2 + (j - i - 1)
}

/// Writes condensed dissimilarities as the symmetric square matrix with a zero diagonal that [`KMedoids`] takes.
///
/// Condensed means the upper triangle without the diagonal, row by row, as SciPy's `pdist` has it: for n objects
/// n (n - 1) / 2 numbers, d(0,1), d(0,2), .., d(0,n-1), d(1,2), .. The upper triangle is copied row by row, the lower in
/// blocks: O(n²) time, about that of two copies of the square matrix.
///
/// The numbers are not looked at; [`KMedoids::fit`] checks them.
///
/// # Errors
/// [`Error::NotSquare`] if `out` is not square, [`Error::LengthMismatch`] if there are not n (n - 1) / 2 dissimilarities for its
/// n rows.
///
/// ```
/// use mantex::{KMedoids, MatMut, MatRef, expand_condensed};
/// let condensed = [1.0_f64, 5.0, 4.0];
/// let mut square = [0.0; 9];
/// expand_condensed(&condensed, MatMut::new(&mut square, 3, 3)?)?;
/// assert_eq!(square, [0.0, 1.0, 5.0, 1.0, 0.0, 4.0, 5.0, 4.0, 0.0]);
/// # Ok::<(), mantex::Error>(())
/// ```
///
/// [`KMedoids`]: crate::KMedoids
/// [`KMedoids::fit`]: crate::KMedoids::fit
pub fn expand_condensed<T: Real>(condensed: &[T], mut out: MatMut<'_, T>) -> Result<(), Error> {
    let n = out_rows(condensed.len(), (out.rows(), out.cols()))?;
    for i in 0..n {
        let row = out.row_mut(i);
        row[i] = T::zero();
        if i + 1 < n {
            let start = place(n, i, i + 1);
            row[i + 1..].copy_from_slice(&condensed[start..start + (n - i - 1)]);
        }
    }
    for rows in (0..n).step_by(BLOCK) {
        for columns in (0..=rows).step_by(BLOCK) {
            for j in rows..n.min(rows + BLOCK) {
                let row = &mut out.row_mut(j)[columns..j.min(columns + BLOCK)];
                for (x, i) in row.iter_mut().zip(columns..) {
                    *x = condensed[place(n, i, j)];
                }
            }
        }
    }
    Ok(())
}

/// The rows of a square matrix for so many dissimilarities.
fn out_rows(len: usize, (rows, cols): (usize, usize)) -> Result<usize, Error> {
    if rows != cols {
        return Err(Error::NotSquare { argument: "out", rows, cols });
    }
    let expected = (rows as u128 * rows.saturating_sub(1) as u128 / 2) as usize;
    if len != expected {
        return Err(Error::LengthMismatch { argument: "condensed", actual: len, expected });
    }
    Ok(rows)
}
