//! Views of matrices of nalgebra.

use super::views::{meant_row_stride, view, view_mut};
use crate::{Error, MatMut, MatRef};
use nalgebra::{Dim, Dyn, MatrixView, MatrixViewMut, RawStorage, ViewStorage, ViewStorageMut};

impl<'a, T, R: Dim, C: Dim, RS: Dim, CS: Dim> TryFrom<MatrixView<'a, T, R, C, RS, CS>> for MatRef<'a, T> {
    type Error = Error;

    /// Views the rows of a matrix whose elements in a row are neighbors. nalgebra's own matrices
    /// are column-major: [`MatRef::from_columns`] views their columns.
    ///
    /// # Errors
    /// [`Error::NotRowMajor`] unless the elements of each row are neighbors, in order.
    fn try_from(matrix: MatrixView<'a, T, R, C, RS, CS>) -> Result<Self, Error> {
        // SAFETY: The elements of a MatrixView are borrowed during 'a.
        unsafe { view(matrix.as_ptr(), matrix.shape(), strides(&matrix.data)) }
    }
}

impl<'a, T, R: Dim, C: Dim, RS: Dim, CS: Dim> TryFrom<MatrixViewMut<'a, T, R, C, RS, CS>> for MatMut<'a, T> {
    type Error = Error;

    /// Views the rows of a mutable matrix whose elements in a row are neighbors. nalgebra's own
    /// matrices are column-major: [`MatMut::from_columns`] views their columns.
    ///
    /// # Errors
    /// [`Error::NotRowMajor`] unless the elements of each row are neighbors, in order.
    fn try_from(mut matrix: MatrixViewMut<'a, T, R, C, RS, CS>) -> Result<Self, Error> {
        let strides = strides(&matrix.data);
        // SAFETY: The elements of a MatrixViewMut, which is consumed, are borrowed mutably during
        // 'a.
        unsafe { view_mut(matrix.as_mut_ptr(), matrix.shape(), strides) }
    }
}

impl<'a, T> MatRef<'a, T> {
    /// Views the columns of a column-major matrix as rows: the transpose, without a copy.
    ///
    /// # Errors
    /// [`Error::NotRowMajor`], of the transpose, unless the elements of each column are neighbors,
    /// in order.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// use nalgebra::Matrix2x3;
    /// let x = Matrix2x3::new(0.0_f64, 7.0, 9.0, 0.0, 7.0, 9.0);
    /// let mut p = Matrix2x3::zeros();
    /// let columns = MatRef::from_columns(x.columns(0, 3))?;
    /// mantex::softmax_rows(columns, MatMut::from_columns(p.columns_mut(0, 3))?)?;
    /// assert_eq!(p, Matrix2x3::repeat(0.5));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn from_columns<R: Dim, C: Dim, RS: Dim, CS: Dim>(
        matrix: MatrixView<'a, T, R, C, RS, CS>,
    ) -> Result<Self, Error> {
        let ((rows, cols), (row_stride, col_stride)) = (matrix.shape(), strides(&matrix.data));
        // SAFETY: The elements of a MatrixView are borrowed during 'a.
        unsafe { view(matrix.as_ptr(), (cols, rows), (col_stride, row_stride)) }
    }
}

impl<'a, T> MatMut<'a, T> {
    /// Views the columns of a mutable column-major matrix as rows: the transpose, without a copy.
    ///
    /// # Errors
    /// [`Error::NotRowMajor`], of the transpose, unless the elements of each column are neighbors,
    /// in order.
    pub fn from_columns<R: Dim, C: Dim, RS: Dim, CS: Dim>(
        mut matrix: MatrixViewMut<'a, T, R, C, RS, CS>,
    ) -> Result<Self, Error> {
        let ((rows, cols), (row_stride, col_stride)) = (matrix.shape(), strides(&matrix.data));
        // SAFETY: The elements of a MatrixViewMut, which is consumed, are borrowed mutably during
        // 'a.
        unsafe { view_mut(matrix.as_mut_ptr(), (cols, rows), (col_stride, row_stride)) }
    }
}

impl<'a, T> From<MatRef<'a, T>> for MatrixView<'a, T, Dyn, Dyn, Dyn, Dyn> {
    fn from(matrix: MatRef<'a, T>) -> Self {
        let (shape, strides) = ((Dyn(matrix.rows()), Dyn(matrix.cols())), (Dyn(meant_row_stride(&matrix)), Dyn(1)));
        // SAFETY: The elements are borrowed during 'a.
        Self::from_data(unsafe { ViewStorage::from_raw_parts(matrix.as_ptr(), shape, strides) })
    }
}

impl<'a, T> From<MatMut<'a, T>> for MatrixViewMut<'a, T, Dyn, Dyn, Dyn, Dyn> {
    fn from(mut matrix: MatMut<'a, T>) -> Self {
        let row_stride = meant_row_stride(&matrix.as_ref());
        let (shape, strides) = ((Dyn(matrix.rows()), Dyn(matrix.cols())), (Dyn(row_stride), Dyn(1)));
        // SAFETY: The elements are borrowed mutably during 'a, and the matrix is consumed.
        Self::from_data(unsafe { ViewStorageMut::from_raw_parts(matrix.as_mut_ptr(), shape, strides) })
    }
}

/// Returns the strides between rows and between columns.
fn strides<T, R: Dim, C: Dim>(storage: &impl RawStorage<T, R, C>) -> (isize, isize) {
    let (rows, cols) = storage.strides();
    // More than isize::MAX elements apart is one row, or one column: the stride means nothing.
    (rows.value() as isize, cols.value() as isize)
}
