//! Borrowed row-major matrix views.

use crate::Error;

/// A borrowed row-major matrix: `rows` rows of `cols` elements, `row_stride` elements apart.
///
/// ```
/// use mantex::MatRef;
/// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// assert_eq!(MatRef::new(&data, 2, 3)?.row(1), [4.0, 5.0, 6.0]);
/// assert_eq!(MatRef::with_stride(&data, 2, 2, 3)?.row(1), [4.0, 5.0]);
/// # Ok::<(), mantex::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MatRef<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

/// A borrowed mutable row-major matrix: `rows` rows of `cols` elements, `row_stride` elements
/// apart.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
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
        Ok(Self { data, rows, cols, row_stride: cols })
    }

    /// Views `rows` rows of `cols` elements whose starts are `row_stride` elements apart.
    ///
    /// # Errors
    /// [`Error::ViewMismatch`] unless `row_stride >= cols` and the last row ends within `data`.
    pub fn with_stride(data: &'a [T], rows: usize, cols: usize, row_stride: usize) -> Result<Self, Error> {
        check(data.len(), rows, cols, row_stride, false)?;
        Ok(Self { data, rows, cols, row_stride })
    }

    /// Returns the elements of the rows, and those between them.
    #[allow(dead_code)] // Softmax alone calls it.
    #[inline(always)]
    pub(crate) fn data(&self) -> &'a [T] {
        self.data
    }

    /// Returns the distance of the starts of two rows.
    #[allow(dead_code)] // Softmax alone calls it.
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
        let start = i * self.row_stride;
        &self.data[start..start + self.cols]
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
        let Self { data, rows, cols, row_stride } = self;
        assert!(i <= rows, "split at row {i} of a matrix with {rows} rows");
        // The last row may be shorter than the stride, so a split behind it takes all of the slice.
        let (top, bottom) = data.split_at(if i < rows { i * row_stride } else { data.len() });
        (Self { data: top, rows: i, cols, row_stride }, Self { data: bottom, rows: rows - i, cols, row_stride })
    }
}

impl<'a, T> MatMut<'a, T> {
    /// Views all of `data` as `rows` rows of `cols` elements.
    ///
    /// # Errors
    /// [`Error::ViewMismatch`] unless `data.len() == rows * cols`.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize) -> Result<Self, Error> {
        check(data.len(), rows, cols, cols, true)?;
        Ok(Self { data, rows, cols, row_stride: cols })
    }

    /// Views `rows` rows of `cols` elements whose starts are `row_stride` elements apart. The
    /// elements between the rows stay unchanged.
    ///
    /// # Errors
    /// [`Error::ViewMismatch`] unless `row_stride >= cols` and the last row ends within `data`.
    pub fn with_stride(data: &'a mut [T], rows: usize, cols: usize, row_stride: usize) -> Result<Self, Error> {
        check(data.len(), rows, cols, row_stride, false)?;
        Ok(Self { data, rows, cols, row_stride })
    }

    /// Returns the elements of the rows, and those between them.
    #[allow(dead_code)] // Softmax alone calls it.
    #[inline(always)]
    pub(crate) fn into_data(self) -> &'a mut [T] {
        self.data
    }

    /// Returns the distance of the starts of two rows.
    #[allow(dead_code)] // Softmax alone calls it.
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
        let start = i * self.row_stride;
        &mut self.data[start..start + self.cols]
    }

    /// Returns the rows in order.
    pub fn iter_rows_mut(&mut self) -> impl Iterator<Item = &mut [T]> {
        let (rows, cols, stride) = (self.rows, self.cols, self.row_stride);
        let mut rest = &mut *self.data;
        (0..rows).map(move |i| {
            let (row, tail) = core::mem::take(&mut rest).split_at_mut(if i + 1 < rows { stride } else { cols });
            rest = tail;
            &mut row[..cols]
        })
    }

    /// Returns the same matrix, borrowed for a shorter time.
    #[inline]
    pub fn reborrow(&mut self) -> MatMut<'_, T> {
        MatMut { data: self.data, rows: self.rows, cols: self.cols, row_stride: self.row_stride }
    }

    /// Returns the rows before row `i`, and the rows from row `i` on.
    ///
    /// # Panics
    /// If `i > rows()`.
    pub fn split_at_row(self, i: usize) -> (Self, Self) {
        let Self { data, rows, cols, row_stride } = self;
        assert!(i <= rows, "split at row {i} of a matrix with {rows} rows");
        // The last row may be shorter than the stride, so a split behind it takes all of the slice.
        let (top, bottom) = data.split_at_mut(if i < rows { i * row_stride } else { data.len() });
        (Self { data: top, rows: i, cols, row_stride }, Self { data: bottom, rows: rows - i, cols, row_stride })
    }

    /// Returns the given columns.
    #[cfg(all(feature = "rayon", any(feature = "transport", feature = "medoids")))]
    pub(crate) fn columns(self, columns: core::ops::Range<usize>) -> Self {
        let Self { data, rows, row_stride, .. } = self;
        assert!(columns.end <= self.cols, "column {} of a matrix with {} columns", columns.end, self.cols);
        let start = if rows > 0 { columns.start } else { 0 };
        Self { data: &mut data[start..], rows, cols: columns.len(), row_stride }
    }

    /// Returns a read-only view of the same matrix.
    #[inline]
    pub fn as_ref(&self) -> MatRef<'_, T> {
        MatRef { data: self.data, rows: self.rows, cols: self.cols, row_stride: self.row_stride }
    }
}
