//! Views of matrices of ndarray.

use super::views::{view, view_mut};
use crate::{Error, MatMut, MatRef};
use ndarray::{ArrayView2, ArrayViewMut2, Ix2, ShapeBuilder, StrideShape};

impl<'a, T> TryFrom<ArrayView2<'a, T>> for MatRef<'a, T> {
    type Error = Error;

    /// Views the rows of an array.
    ///
    /// # Errors
    /// [`Error::NotRowMajor`] unless the elements of each row are neighbors, in order.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// use ndarray::{Array2, array};
    /// let x = array![[0.0_f64, 0.0], [7.0, 7.0]];
    /// let mut p = Array2::zeros((2, 2));
    /// mantex::softmax_rows(MatRef::try_from(x.view())?, MatMut::try_from(p.view_mut())?)?;
    /// assert_eq!(p, array![[0.5, 0.5], [0.5, 0.5]]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn try_from(array: ArrayView2<'a, T>) -> Result<Self, Error> {
        let (data, shape, strides) = (array.as_ptr(), array.dim(), array.strides());
        // SAFETY: The elements of an ArrayView2 are borrowed during 'a.
        unsafe { view(data, shape, (strides[0], strides[1])) }
    }
}

impl<'a, T> TryFrom<ArrayViewMut2<'a, T>> for MatMut<'a, T> {
    type Error = Error;

    /// Views the rows of a mutable array.
    ///
    /// # Errors
    /// [`Error::NotRowMajor`] unless the elements of each row are neighbors, in order.
    fn try_from(mut array: ArrayViewMut2<'a, T>) -> Result<Self, Error> {
        let (shape, strides) = (array.dim(), (array.strides()[0], array.strides()[1]));
        // SAFETY: The elements of an ArrayViewMut2, which is consumed, are borrowed mutably during
        // 'a.
        unsafe { view_mut(array.as_mut_ptr(), shape, strides) }
    }
}

impl<'a, T> From<MatRef<'a, T>> for ArrayView2<'a, T> {
    fn from(matrix: MatRef<'a, T>) -> Self {
        let shape = strided_shape((matrix.rows(), matrix.cols()), matrix.row_stride());
        // SAFETY: The elements are borrowed during 'a.
        unsafe { Self::from_shape_ptr(shape, matrix.as_ptr()) }
    }
}

impl<'a, T> From<MatMut<'a, T>> for ArrayViewMut2<'a, T> {
    fn from(mut matrix: MatMut<'a, T>) -> Self {
        let shape = strided_shape((matrix.rows(), matrix.cols()), matrix.row_stride());
        // SAFETY: The elements are borrowed mutably during 'a, and the matrix is consumed.
        unsafe { Self::from_shape_ptr(shape, matrix.as_mut_ptr()) }
    }
}

/// Returns the shape with its strides. The stride of a single row, or of no element, means nothing
/// and may be out of range.
fn strided_shape(shape: (usize, usize), row_stride: usize) -> StrideShape<Ix2> {
    let has_stride = shape.0 > 1 && shape.1 > 0;
    if has_stride { shape.strides((row_stride, 1)) } else { shape.into() }
}
