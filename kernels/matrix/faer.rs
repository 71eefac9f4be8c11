//! Views of matrices of faer.

use super::views::{meant_row_stride, view, view_mut};
use crate::{Error, MatMut, MatRef};
use faer::Stride;

impl<'a, T, R: Stride, C: Stride> TryFrom<faer::MatRef<'a, T, usize, usize, R, C>> for MatRef<'a, T> {
    type Error = Error;

    /// Views the rows of a matrix. Those of [`faer::Mat`] are column-major: `transpose()` views the
    /// columns.
    ///
    /// # Errors
    /// [`Error::NotRowMajor`] unless the elements of each row are neighbors, in order.
    ///
    /// ```
    /// use faer::mat;
    /// use mantex::MatRef;
    /// let x = mat![[0.0_f64, 7.0], [0.0, 7.0]];
    /// let mut p = faer::Mat::zeros(2, 2);
    /// // Columns of column-major matrices.
    /// mantex::softmax_rows(x.transpose().try_into()?, p.transpose_mut().try_into()?)?;
    /// assert_eq!(p, mat![[0.5, 0.5], [0.5, 0.5]]);
    /// assert!(MatRef::try_from(x.as_ref()).is_err());
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn try_from(matrix: faer::MatRef<'a, T, usize, usize, R, C>) -> Result<Self, Error> {
        let strides = (matrix.row_stride().element_stride(), matrix.col_stride().element_stride());
        // SAFETY: The elements of a faer::MatRef are borrowed during 'a.
        unsafe { view(matrix.as_ptr(), (matrix.nrows(), matrix.ncols()), strides) }
    }
}

impl<'a, T, R: Stride, C: Stride> TryFrom<faer::MatMut<'a, T, usize, usize, R, C>> for MatMut<'a, T> {
    type Error = Error;

    /// Views the rows of a mutable matrix. Those of [`faer::Mat`] are column-major:
    /// `transpose_mut()` views the columns.
    ///
    /// # Errors
    /// [`Error::NotRowMajor`] unless the elements of each row are neighbors, in order.
    fn try_from(matrix: faer::MatMut<'a, T, usize, usize, R, C>) -> Result<Self, Error> {
        let strides = (matrix.row_stride().element_stride(), matrix.col_stride().element_stride());
        // SAFETY: The elements of a faer::MatMut, which is consumed, are borrowed mutably during
        // 'a.
        unsafe { view_mut(matrix.as_ptr_mut(), (matrix.nrows(), matrix.ncols()), strides) }
    }
}

impl<'a, T> From<MatRef<'a, T>> for faer::MatRef<'a, T> {
    fn from(matrix: MatRef<'a, T>) -> Self {
        let (rows, cols, row_stride) = (matrix.rows(), matrix.cols(), meant_row_stride(&matrix) as isize);
        // SAFETY: The elements are borrowed during 'a.
        unsafe { Self::from_raw_parts(matrix.as_ptr(), rows, cols, row_stride, 1) }
    }
}

impl<'a, T> From<MatMut<'a, T>> for faer::MatMut<'a, T> {
    fn from(mut matrix: MatMut<'a, T>) -> Self {
        let (rows, cols) = (matrix.rows(), matrix.cols());
        let row_stride = meant_row_stride(&matrix.as_ref()) as isize;
        // SAFETY: The elements are borrowed mutably during 'a, and the matrix is consumed.
        unsafe { Self::from_raw_parts_mut(matrix.as_mut_ptr(), rows, cols, row_stride, 1) }
    }
}
