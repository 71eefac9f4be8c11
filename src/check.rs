//! The checks of lengths and shapes that all families share.

use crate::{Error, MatMut, MatRef};

/// Anything with rows and columns.
pub(crate) trait Shape {
    /// Returns the number of rows and the number of columns.
    fn shape(&self) -> (usize, usize);
}

impl<T> Shape for MatRef<'_, T> {
    fn shape(&self) -> (usize, usize) {
        (self.rows(), self.cols())
    }
}

impl<T> Shape for MatMut<'_, T> {
    fn shape(&self) -> (usize, usize) {
        (self.rows(), self.cols())
    }
}

/// Fails unless `actual`, the number of elements of `argument`, is `expected`.
pub(crate) fn length(argument: &'static str, actual: usize, expected: usize) -> Result<(), Error> {
    if actual == expected { Ok(()) } else { Err(Error::LengthMismatch { argument, actual, expected }) }
}

/// Fails unless `argument` has the given rows and columns.
pub(crate) fn shape(argument: &'static str, matrix: &impl Shape, expected: (usize, usize)) -> Result<(), Error> {
    let actual = matrix.shape();
    if actual == expected { Ok(()) } else { Err(Error::ShapeMismatch { argument, actual, expected }) }
}

/// Fails unless `argument` is square. Returns the number of rows.
#[cfg(feature = "medoids")]
pub(crate) fn square<T>(argument: &'static str, matrix: MatRef<'_, T>) -> Result<usize, Error> {
    let (rows, cols) = matrix.shape();
    if rows == cols { Ok(rows) } else { Err(Error::NotSquare { argument, rows, cols }) }
}
