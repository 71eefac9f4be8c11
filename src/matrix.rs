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

/// A borrowed mutable row-major matrix: `rows` rows of `cols` elements, `row_stride` elements apart.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

/// The checks of every constructor; `exact` where the slice must hold nothing else.
fn check(len: usize, rows: usize, cols: usize, row_stride: usize, exact: bool) -> Result<(), Error> {
    // Without rows nothing is read; the last row needs only its columns, not a whole stride.
    let needed = match rows.checked_sub(1) {
        None => Some(0),
        Some(strides) => strides.checked_mul(row_stride).and_then(|n| n.checked_add(cols)),
    };
    let fits = needed.is_some_and(|n| if exact { n == len } else { n <= len });
    if fits && row_stride >= cols { Ok(()) } else { Err(Error::View { len, rows, cols, row_stride }) }
}

impl<'a, T> MatRef<'a, T> {
    /// All of `data` as `rows` rows of `cols` elements.
    ///
    /// # Errors
    /// [`Error::View`] unless `data.len() == rows * cols`.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Result<Self, Error> {
        check(data.len(), rows, cols, cols, true)?;
        Ok(Self { data, rows, cols, row_stride: cols })
    }

    /// `rows` rows of `cols` elements whose starts are `row_stride` elements apart.
    ///
    /// # Errors
    /// [`Error::View`] unless `row_stride >= cols` and the last row ends within `data`.
    pub fn with_stride(data: &'a [T], rows: usize, cols: usize, row_stride: usize) -> Result<Self, Error> {
        check(data.len(), rows, cols, row_stride, false)?;
        Ok(Self { data, rows, cols, row_stride })
    }

    /// Number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Row `i`.
    ///
    /// # Panics
    /// If `i >= rows()`, as indexing a slice does.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [T] {
        assert!(i < self.rows, "row {i} of a matrix of {} rows", self.rows);
        let start = i * self.row_stride;
        &self.data[start..start + self.cols]
    }

    /// The rows in order.
    pub fn iter_rows(self) -> impl ExactSizeIterator<Item = &'a [T]> {
        (0..self.rows).map(move |i| self.row(i))
    }
}

impl<'a, T> MatMut<'a, T> {
    /// All of `data` as `rows` rows of `cols` elements.
    ///
    /// # Errors
    /// [`Error::View`] unless `data.len() == rows * cols`.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize) -> Result<Self, Error> {
        check(data.len(), rows, cols, cols, true)?;
        Ok(Self { data, rows, cols, row_stride: cols })
    }

    /// `rows` rows of `cols` elements whose starts are `row_stride` elements apart; what lies between is left alone.
    ///
    /// # Errors
    /// [`Error::View`] unless `row_stride >= cols` and the last row ends within `data`.
    pub fn with_stride(data: &'a mut [T], rows: usize, cols: usize, row_stride: usize) -> Result<Self, Error> {
        check(data.len(), rows, cols, row_stride, false)?;
        Ok(Self { data, rows, cols, row_stride })
    }

    /// Number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Row `i`.
    ///
    /// # Panics
    /// If `i >= rows()`, as indexing a slice does.
    #[inline(always)]
    pub fn row_mut(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.rows, "row {i} of a matrix of {} rows", self.rows);
        let start = i * self.row_stride;
        &mut self.data[start..start + self.cols]
    }

    /// The same matrix, read only.
    #[inline]
    pub fn as_ref(&self) -> MatRef<'_, T> {
        MatRef { data: self.data, rows: self.rows, cols: self.cols, row_stride: self.row_stride }
    }
}
