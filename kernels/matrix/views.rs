//! Views of matrices with any strides.

use crate::{Error, MatMut, MatRef};

/// Returns the row stride of a view of a matrix that is not empty, or an error if its rows are not
/// contiguous, run backwards or overlap.
fn checked_row_stride(shape: (usize, usize), strides: (isize, isize)) -> Result<usize, Error> {
    let ((rows, cols), (row_stride, col_stride)) = (shape, strides);
    // The stride between rows, or between columns, means nothing if there is only one.
    let row_stride_or_cols = if rows == 1 { Some(cols) } else { usize::try_from(row_stride).ok() };
    match row_stride_or_cols {
        Some(stride) if stride >= cols && (cols == 1 || col_stride == 1) => Ok(stride),
        _ => Err(Error::NotRowMajor { rows, cols, row_stride, col_stride }),
    }
}

/// Returns the row stride, or the number of columns if there are fewer than two rows, or no
/// columns: the stride then means nothing and may be out of range.
#[cfg(any(feature = "faer", feature = "nalgebra"))]
pub(super) fn meant_row_stride<T>(matrix: &MatRef<'_, T>) -> usize {
    if matrix.rows() > 1 && matrix.cols() > 0 { matrix.row_stride() } else { matrix.cols() }
}

/// Views a matrix of another crate.
///
/// # Safety
/// The elements at `data + i * strides.0 + j * strides.1`, for i below `shape.0` and j below
/// `shape.1`, must be borrowed during `'a`, as a shared view of another crate ensures.
pub(super) unsafe fn view<'a, T>(
    data: *const T,
    shape: (usize, usize),
    strides: (isize, isize),
) -> Result<MatRef<'a, T>, Error> {
    if shape.0 == 0 || shape.1 == 0 {
        return MatRef::new(&[], shape.0, shape.1);
    }
    let row_stride = checked_row_stride(shape, strides)?;
    // SAFETY: The rows are those of the other view, because the column stride is 1.
    Ok(unsafe { MatRef::from_raw_parts(data, shape.0, shape.1, row_stride) })
}

/// Views a mutable matrix of another crate.
///
/// # Safety
/// As [`view`]; the elements must be borrowed mutably.
pub(super) unsafe fn view_mut<'a, T>(
    data: *mut T,
    shape: (usize, usize),
    strides: (isize, isize),
) -> Result<MatMut<'a, T>, Error> {
    if shape.0 == 0 || shape.1 == 0 {
        return MatMut::new(&mut [], shape.0, shape.1);
    }
    let row_stride = checked_row_stride(shape, strides)?;
    // SAFETY: The rows are those of the other view, because the column stride is 1, and they are
    // disjoint, because the row stride is at least the columns.
    Ok(unsafe { MatMut::from_raw_parts(data, shape.0, shape.1, row_stride) })
}
