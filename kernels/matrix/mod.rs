//! Borrowed row-major matrix views.
//!
//! A view holds a pointer and not a slice: the elements between its rows belong to others, who may
//! write to them meanwhile, as one half of a matrix that was split between two columns.
//!
//! Views of the matrices of other crates, without copies, and back: one file each. A conversion
//! into a view fails with `Error::NotRowMajor` unless the elements of each row are neighbors. Rows
//! may be any distance apart. A conversion back always succeeds.

#[cfg(feature = "faer")]
mod faer;
#[cfg(feature = "nalgebra")]
mod nalgebra;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(any(feature = "ndarray", feature = "faer", feature = "nalgebra"))]
mod views;

use crate::Error;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::slice;

/// A borrowed row-major matrix: `rows` rows of `cols` elements, `row_stride` elements apart.
///
/// ```
/// use mantex::MatRef;
/// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// assert_eq!(MatRef::new(&data, 2, 3)?.row(1), [4.0, 5.0, 6.0]);
/// assert_eq!(MatRef::with_stride(&data, 2, 2, 3)?.row(1), [4.0, 5.0]);
/// # Ok::<(), mantex::Error>(())
/// ```
pub struct MatRef<'a, T> {
    /// The first element: row i has `cols` elements from `i * row_stride` on.
    data: NonNull<T>,
    rows: usize,
    cols: usize,
    row_stride: usize,
    /// The borrow of the rows.
    lifetime: PhantomData<&'a [T]>,
}

/// A borrowed mutable row-major matrix: `rows` rows of `cols` elements, `row_stride` elements
/// apart.
pub struct MatMut<'a, T> {
    /// The first element: row i has `cols` elements from `i * row_stride` on. Rows are disjoint.
    data: NonNull<T>,
    rows: usize,
    cols: usize,
    row_stride: usize,
    /// The borrow of the rows.
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: A MatRef is a shared borrow of rows, as a `&[T]` for each of them is.
unsafe impl<T: Sync> Send for MatRef<'_, T> {}
// SAFETY: As above.
unsafe impl<T: Sync> Sync for MatRef<'_, T> {}
// SAFETY: A MatMut is the only borrow of its rows, as a `&mut [T]` for each of them is.
unsafe impl<T: Send> Send for MatMut<'_, T> {}
// SAFETY: As above.
unsafe impl<T: Sync> Sync for MatMut<'_, T> {}

impl<T> Clone for MatRef<'_, T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for MatRef<'_, T> {}

impl<T> fmt::Debug for MatRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, cols, row_stride, .. } = self;
        write!(f, "MatRef({rows} x {cols}, row stride {row_stride})")
    }
}

impl<T> fmt::Debug for MatMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, cols, row_stride, .. } = self;
        write!(f, "MatMut({rows} x {cols}, row stride {row_stride})")
    }
}

/// Checks the arguments of a constructor. With `exact`, the slice must have no elements beyond the
/// rows.
fn check(len: usize, rows: usize, cols: usize, row_stride: usize, exact: bool) -> Result<(), Error> {
    // The last row needs only its columns, not a whole stride.
    let needed = match rows.checked_sub(1) {
        None => Some(0),
        Some(strides) => strides.checked_mul(row_stride).and_then(|n| n.checked_add(cols)),
    };
    let fits = needed.is_some_and(|n| if exact { n == len } else { n <= len });
    if fits && row_stride >= cols { Ok(()) } else { Err(Error::ViewMismatch { len, rows, cols, row_stride }) }
}

impl<'a, T> MatRef<'a, T> {
    /// Views all of `data` as `rows` rows of `cols` elements.
    ///
    /// # Errors
    /// [`Error::ViewMismatch`] unless `data.len() == rows * cols`.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Result<Self, Error> {
        check(data.len(), rows, cols, cols, true)?;
        Ok(Self { data: NonNull::from(data).cast(), rows, cols, row_stride: cols, lifetime: PhantomData })
    }

    /// Views `rows` rows of `cols` elements whose starts are `row_stride` elements apart.
    ///
    /// # Errors
    /// [`Error::ViewMismatch`] unless `row_stride >= cols` and the last row ends within `data`.
    pub fn with_stride(data: &'a [T], rows: usize, cols: usize, row_stride: usize) -> Result<Self, Error> {
        check(data.len(), rows, cols, row_stride, false)?;
        Ok(Self { data: NonNull::from(data).cast(), rows, cols, row_stride, lifetime: PhantomData })
    }

    /// Views `rows` rows of `cols` elements from `data` on, whose starts are `row_stride` elements
    /// apart. Others may use the elements between the rows.
    ///
    /// # Safety
    /// - Row i, the `cols` elements from `data + i * row_stride` on, must be valid for reads during
    ///   `'a`, and nobody may write to it. `data` must be aligned and not null, even if the matrix
    ///   is empty.
    /// - All rows must be in one allocation, at an offset of at most `isize::MAX` bytes. With
    ///   `cols == 0`, `row_stride` must be 0.
    #[inline]
    pub const unsafe fn from_raw_parts(data: *const T, rows: usize, cols: usize, row_stride: usize) -> Self {
        // SAFETY: `data` is not null, as the caller has ensured.
        let data = unsafe { NonNull::new_unchecked(data.cast_mut()) };
        Self { data, rows, cols, row_stride, lifetime: PhantomData }
    }

    /// Returns the first element.
    #[allow(dead_code)] // Softmax and the views of other crates call it.
    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> *const T {
        self.data.as_ptr()
    }

    /// Returns the distance of the starts of two rows.
    #[allow(dead_code)] // Softmax and the views of other crates call it.
    #[inline(always)]
    pub(crate) fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Returns the number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of columns.
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Returns row `i`.
    ///
    /// # Panics
    /// If `i >= rows()`.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [T] {
        assert!(i < self.rows, "row {i} of a matrix with {} rows", self.rows);
        // SAFETY: Row i (asserted) is borrowed during 'a, as all constructors ensure.
        unsafe { slice::from_raw_parts(self.data.add(i * self.row_stride).as_ptr(), self.cols) }
    }

    /// Returns the rows in order.
    pub fn iter_rows(self) -> impl ExactSizeIterator<Item = &'a [T]> + DoubleEndedIterator {
        (0..self.rows).map(move |i| self.row(i))
    }

    /// Returns the rows before row `i`, and the rows from row `i` on.
    ///
    /// # Panics
    /// If `i > rows()`.
    pub fn split_at_row(self, i: usize) -> (Self, Self) {
        let Self { data, rows, .. } = self;
        assert!(i <= rows, "split at row {i} of a matrix with {rows} rows");
        // SAFETY: Row i is within the view. Behind the last row no element need exist, and the view
        // without rows keeps the pointer to the first.
        let bottom = if i < rows { unsafe { data.add(i * self.row_stride) } } else { data };
        (Self { rows: i, ..self }, Self { data: bottom, rows: rows - i, ..self })
    }

    /// Returns the columns before column `j`, and the columns from column `j` on.
    #[allow(dead_code)] // Only softmax calls it.
    pub(crate) fn split_at_col(self, j: usize) -> (Self, Self) {
        let Self { data, rows, cols, .. } = self;
        assert!(j <= cols, "split at column {j} of a matrix with {cols} columns");
        // SAFETY: Column j is within each row, or just behind it. Without rows no element need
        // exist.
        let right = if rows > 0 { unsafe { data.add(j) } } else { data };
        (Self { cols: j, ..self }, Self { data: right, cols: cols - j, ..self })
    }
}

impl<'a, T> MatMut<'a, T> {
    /// Views all of `data` as `rows` rows of `cols` elements.
    ///
    /// # Errors
    /// [`Error::ViewMismatch`] unless `data.len() == rows * cols`.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize) -> Result<Self, Error> {
        check(data.len(), rows, cols, cols, true)?;
        Ok(Self { data: NonNull::from(data).cast(), rows, cols, row_stride: cols, lifetime: PhantomData })
    }

    /// Views `rows` rows of `cols` elements whose starts are `row_stride` elements apart. The
    /// elements between the rows stay unchanged.
    ///
    /// # Errors
    /// [`Error::ViewMismatch`] unless `row_stride >= cols` and the last row ends within `data`.
    pub fn with_stride(data: &'a mut [T], rows: usize, cols: usize, row_stride: usize) -> Result<Self, Error> {
        check(data.len(), rows, cols, row_stride, false)?;
        Ok(Self { data: NonNull::from(data).cast(), rows, cols, row_stride, lifetime: PhantomData })
    }

    /// Views `rows` rows of `cols` elements from `data` on, whose starts are `row_stride` elements
    /// apart. Others may use the elements between the rows.
    ///
    /// # Safety
    /// - Row i, the `cols` elements from `data + i * row_stride` on, must be valid for reads and
    ///   writes during `'a`, and nobody else may use it. `data` must be aligned and not null, even
    ///   if the matrix is empty.
    /// - `row_stride` must be at least `cols`, and 0 if `cols` is 0. All rows must be in one
    ///   allocation, at an offset of at most `isize::MAX` bytes.
    #[inline]
    pub const unsafe fn from_raw_parts(data: *mut T, rows: usize, cols: usize, row_stride: usize) -> Self {
        // SAFETY: `data` is not null, as the caller has ensured.
        let data = unsafe { NonNull::new_unchecked(data) };
        Self { data, rows, cols, row_stride, lifetime: PhantomData }
    }

    /// Returns the first element.
    #[allow(dead_code)] // Softmax and the views of other crates call it.
    #[inline(always)]
    pub(crate) fn as_mut_ptr(&mut self) -> *mut T {
        self.data.as_ptr()
    }

    /// Returns the distance of the starts of two rows.
    #[allow(dead_code)] // Softmax and the views of other crates call it.
    #[inline(always)]
    pub(crate) fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Returns the number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of columns.
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Returns row `i`.
    ///
    /// # Panics
    /// If `i >= rows()`.
    #[inline(always)]
    pub fn row_mut(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.rows, "row {i} of a matrix with {} rows", self.rows);
        // SAFETY: Row i (asserted) is borrowed mutably during 'a, as all constructors ensure; the
        // mutable borrow of self excludes other rows.
        unsafe { slice::from_raw_parts_mut(self.data.add(i * self.row_stride).as_ptr(), self.cols) }
    }

    /// Returns the rows in order.
    pub fn iter_rows_mut(&mut self) -> impl Iterator<Item = &mut [T]> {
        // SAFETY: The rows are borrowed mutably and are disjoint, as all constructors ensure; the
        // iterator borrows self mutably and visits each row once.
        (0..self.rows)
            .map(|i| unsafe { slice::from_raw_parts_mut(self.data.add(i * self.row_stride).as_ptr(), self.cols) })
    }

    /// Returns the same matrix, borrowed for a shorter time.
    #[inline]
    pub fn reborrow(&mut self) -> MatMut<'_, T> {
        MatMut { lifetime: PhantomData, ..*self }
    }

    /// Returns the rows before row `i`, and the rows from row `i` on.
    ///
    /// # Panics
    /// If `i > rows()`.
    pub fn split_at_row(self, i: usize) -> (Self, Self) {
        let Self { data, rows, .. } = self;
        assert!(i <= rows, "split at row {i} of a matrix with {rows} rows");
        // SAFETY: Row i is within the view. Behind the last row no element need exist, and the view
        // without rows keeps the pointer to the first.
        let bottom = if i < rows { unsafe { data.add(i * self.row_stride) } } else { data };
        (Self { rows: i, ..self }, Self { data: bottom, rows: rows - i, ..self })
    }

    /// Returns the columns before column `j`, and the columns from column `j` on.
    #[allow(dead_code)] // Only softmax calls it.
    pub(crate) fn split_at_col(self, j: usize) -> (Self, Self) {
        let Self { data, rows, cols, .. } = self;
        assert!(j <= cols, "split at column {j} of a matrix with {cols} columns");
        // SAFETY: As for MatRef. The two parts of a row are disjoint.
        let right = if rows > 0 { unsafe { data.add(j) } } else { data };
        (Self { cols: j, ..self }, Self { data: right, cols: cols - j, ..self })
    }

    /// Returns a read-only view of the same matrix.
    #[inline]
    pub fn as_ref(&self) -> MatRef<'_, T> {
        let Self { data, rows, cols, row_stride, .. } = *self;
        MatRef { data, rows, cols, row_stride, lifetime: PhantomData }
    }
}
