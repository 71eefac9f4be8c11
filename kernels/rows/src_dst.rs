//! Rows in memory: where elements come from and where results go.

use super::{LINE_BYTES, MIN_FAR_BYTES, PREFETCH_BYTES, Row};
use crate::kernels::lanes::{Float, Lanes};
use crate::kernels::math::exp::ExpLanes;
use crate::matrix::{MatMut, MatRef};
use core::marker::PhantomData;
use core::ops::Range;

/// The source and the destination of a row: two slices of one length, one slice in place, or one
/// slice that is only read.
#[allow(unnameable_types, unreachable_pub, reason = "an argument of an entry point")]
pub struct SrcDst<'a, T> {
    /// The first element of the source.
    src: *const T,
    /// The first element of the destination: `src` in place, dangling if the row is only read.
    dst: *mut T,
    /// The number of elements of the source.
    src_len: usize,
    /// The number of elements of the destination: `src_len`, or 0 if the row is only read.
    dst_len: usize,
    /// Whether 0 fills the lanes after the last element, and not -inf.
    fill_is_zero: bool,
    /// The borrows of both.
    lifetime: PhantomData<(&'a [T], &'a mut [T])>,
}

impl<'a, T> SrcDst<'a, T> {
    /// From `x` to `out`; panics if their lengths differ.
    #[inline(always)]
    pub(crate) fn new(x: &'a [T], out: &'a mut [T]) -> Self {
        assert_eq!(x.len(), out.len());
        Self { dst: out.as_mut_ptr(), dst_len: out.len(), ..Self::reading(x) }
    }

    /// From `x` to `out`, or from `out` to `out` without `x`; panics if their lengths differ.
    #[inline(always)]
    pub(in crate::kernels) fn new_or_in_place(x: Option<&'a [T]>, out: &'a mut [T]) -> Self {
        match x {
            Some(x) => Self::new(x, out),
            None => Self::in_place(out),
        }
    }

    /// From `x` to `x`.
    #[inline(always)]
    pub(crate) fn in_place(x: &'a mut [T]) -> Self {
        let (dst, len) = (x.as_mut_ptr(), x.len());
        Self { src: dst, dst, src_len: len, dst_len: len, fill_is_zero: false, lifetime: PhantomData }
    }

    /// From results `x` to `x`.
    #[inline(always)]
    pub(in crate::kernels) fn results_in_place(x: &'a mut [T]) -> Self {
        Self { fill_is_zero: true, ..Self::in_place(x) }
    }

    /// From `x` to nowhere.
    #[inline(always)]
    pub(in crate::kernels) fn reading(x: &'a [T]) -> Self {
        let dst = core::ptr::NonNull::dangling().as_ptr();
        Self { src: x.as_ptr(), dst, src_len: x.len(), dst_len: 0, fill_is_zero: false, lifetime: PhantomData }
    }

    /// The first `len` elements, or all if there are fewer.
    #[inline(always)]
    pub(in crate::kernels) fn truncated(self, len: usize) -> Self {
        Self { src_len: len.min(self.src_len), dst_len: len.min(self.dst_len), ..self }
    }

    /// A range of the elements; panics if they do not all have a destination.
    #[inline(always)]
    pub(in crate::kernels) fn part(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.src_len && range.end <= self.dst_len);
        let (src, dst, len) = (self.src.wrapping_add(range.start), self.dst.wrapping_add(range.start), range.len());
        Self { src, dst, src_len: len, dst_len: len, ..self }
    }

    /// `n` elements of the source from `at` on; panics if there are fewer. Its check takes one
    /// comparison, that of a slice expression three.
    #[inline(always)]
    fn window(&self, at: usize, n: usize) -> &[T] {
        assert!(n <= self.src_len && at <= self.src_len - n);
        // SAFETY: src is valid for reads of src_len elements during 'a, because the constructors
        // take both from one slice; at + n is at most src_len (asserted). The borrow of self keeps
        // `dst` from lending the same memory mutably.
        unsafe { core::slice::from_raw_parts(self.src.add(at), n) }
    }

    /// The destination.
    #[inline(always)]
    pub(in crate::kernels) fn into_dst(self) -> &'a mut [T] {
        // SAFETY: As in `dst`; self, which is consumed, borrows dst mutably during 'a.
        unsafe { core::slice::from_raw_parts_mut(self.dst, self.dst_len) }
    }

    /// The same row, borrowed for a shorter time.
    #[inline(always)]
    pub(in crate::kernels) fn shorten(&mut self) -> SrcDst<'_, T> {
        SrcDst { lifetime: PhantomData, ..*self }
    }

    /// The source.
    #[inline(always)]
    pub(in crate::kernels) fn src(&self) -> &[T] {
        // SAFETY: src is valid for reads of src_len elements during 'a, because the constructors
        // take both from one slice. The borrow of self keeps `dst` from lending the same memory
        // mutably.
        unsafe { core::slice::from_raw_parts(self.src, self.src_len) }
    }
}

impl<T: Float> Row<T> for SrcDst<'_, T> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.src_len
    }
    #[inline(always)]
    fn load_in_flight<L: ExpLanes<T>>(&self, l: L, at: usize) -> [L::V; 4] {
        const { assert!(L::IN_FLIGHT <= 4, "the array holds four vectors") }
        let x = self.window(at, L::IN_FLIGHT * L::N);
        let mut v = [l.splat(T::ZERO); 4];
        for i in 0..L::IN_FLIGHT {
            v[i] = l.load(&x[i * L::N..]);
        }
        v
    }
    #[inline(always)]
    fn element<L: Lanes<T>>(&self, _: L, at: usize) -> T {
        self.src()[at]
    }
    #[inline(always)]
    fn load<L: Lanes<T>>(&self, l: L, at: usize) -> L::V {
        l.load(self.window(at, L::N))
    }
    #[inline(always)]
    fn load_tail<L: Lanes<T>>(&self, l: L, at: usize, end: usize) -> L::V {
        l.load_tail(&self.src()[at..end], if self.fill_is_zero { T::ZERO } else { T::NEG_INFINITY })
    }
    #[inline(always)]
    fn prefetch<L: Lanes<T>>(&self, l: L, at: usize) {
        l.prefetch(self.src(), at + PREFETCH_BYTES / size_of::<T>());
    }
    #[inline(always)]
    fn dst(&mut self) -> &mut [T] {
        // SAFETY: dst is valid for reads and writes of dst_len elements during 'a: `new` and
        // `in_place` take both from one slice, and in `reading` dst_len is 0. The mutable borrow of
        // self excludes every other slice made from dst or src.
        unsafe { core::slice::from_raw_parts_mut(self.dst, self.dst_len) }
    }
    #[inline(always)]
    fn is_in_place(&self) -> bool {
        core::ptr::eq(self.src, self.dst)
    }
    #[inline(always)]
    fn reborrow(&mut self) -> impl Row<T> {
        self.shorten()
    }
}

/// The rows of a matrix with a destination each: those of another matrix, themselves, or none.
pub(crate) struct SrcDstRows<'a, T> {
    /// The first element of the source.
    src: *const T,
    /// The first element of the destination: `src` in place, dangling if the rows are only read.
    dst: *mut T,
    /// The number of rows.
    rows: usize,
    /// The number of columns.
    cols: usize,
    /// The distance of the rows of the source, in elements.
    src_stride: usize,
    /// The distance of the rows of the destination: 0 if the rows are only read.
    dst_stride: usize,
    /// The number of columns of the destination: `cols`, or 0 if the rows are only read.
    dst_cols: usize,
    /// The borrows of both.
    lifetime: PhantomData<(&'a [T], &'a mut [T])>,
}

impl<'a, T> SrcDstRows<'a, T> {
    /// From the rows of `x` to those of `out`; panics if their shapes differ.
    #[inline(always)]
    pub(crate) fn new(x: MatRef<'a, T>, mut out: MatMut<'a, T>) -> Self {
        assert!(x.rows() == out.rows() && x.cols() == out.cols());
        let dst_stride = out.row_stride();
        Self { dst: out.as_mut_ptr(), dst_stride, dst_cols: x.cols(), ..Self::reading(x) }
    }

    /// From the rows of `x` to themselves.
    #[inline(always)]
    pub(crate) fn in_place(mut x: MatMut<'a, T>) -> Self {
        let (rows, cols, stride) = (x.rows(), x.cols(), x.row_stride());
        let dst = x.as_mut_ptr();
        Self {
            src: dst,
            dst,
            rows,
            cols,
            src_stride: stride,
            dst_stride: stride,
            dst_cols: cols,
            lifetime: PhantomData,
        }
    }

    /// From the rows of `x` to nowhere.
    #[inline(always)]
    pub(crate) fn reading(x: MatRef<'a, T>) -> Self {
        let dst = core::ptr::NonNull::dangling().as_ptr();
        let (rows, cols, src_stride) = (x.rows(), x.cols(), x.row_stride());
        Self { src: x.as_ptr(), dst, rows, cols, src_stride, dst_stride: 0, dst_cols: 0, lifetime: PhantomData }
    }

    /// The same rows, borrowed for a shorter time.
    #[inline(always)]
    pub(in crate::kernels) fn shorten(&mut self) -> SrcDstRows<'_, T> {
        SrcDstRows { lifetime: PhantomData, ..*self }
    }

    /// The numbers of rows and of columns.
    #[inline(always)]
    pub(in crate::kernels) fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// Whether the rows are their own destinations.
    #[inline(always)]
    pub(in crate::kernels) fn is_in_place(&self) -> bool {
        core::ptr::eq(self.src, self.dst)
    }

    /// The prefetches of a pass over `cols` columns, `step` rows at a time, for L2 if a step has at
    /// least `far_bytes` and the matrix does not fit there.
    #[inline(always)]
    pub(in crate::kernels) fn ahead(&self, cols: usize, step: usize, far_bytes: usize) -> Ahead {
        let bytes = self.rows.saturating_mul(self.cols).saturating_mul(size_of::<T>());
        let rows = (PREFETCH_BYTES / size_of::<T>()).div_ceil(cols.max(1)).max(step);
        let is_far = bytes > MIN_FAR_BYTES && step * cols * size_of::<T>() >= far_bytes;
        Ahead { elements: rows.wrapping_mul(self.src_stride), is_far }
    }
}

/// Prefetches of passes over columns: the same columns of later rows, at least a step and
/// [`PREFETCH_BYTES`] after the current row.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Ahead {
    /// The distance from the current element.
    elements: usize,
    /// Whether lines are fetched to L2 only: L1 would not keep them.
    is_far: bool,
}

impl Ahead {
    /// A hint that the line as far ahead of column `at` is read soon, in each row.
    #[inline(always)]
    pub(in crate::kernels) fn prefetch_rows<L: Lanes<T>, T: Float>(self, l: L, rows: &[SrcDst<'_, T>], at: usize) {
        let at = at.wrapping_add(self.elements);
        if self.is_far {
            for row in rows {
                l.prefetch_far(row.src(), at);
            }
        } else {
            for row in rows {
                l.prefetch(row.src(), at);
            }
        }
    }

    /// A hint that the `n` elements as far ahead of `row[at]` are read soon.
    #[inline(always)]
    pub(in crate::kernels) fn prefetch<L: Lanes<T>, T: Float>(self, l: L, row: &[T], at: usize, n: usize) {
        let at = at.wrapping_add(self.elements);
        if self.is_far {
            for i in (0..n).step_by(LINE_BYTES / size_of::<T>()) {
                l.prefetch_far(row, at.wrapping_add(i));
            }
        } else {
            for i in (0..n).step_by(LINE_BYTES / size_of::<T>()) {
                l.prefetch(row, at.wrapping_add(i));
            }
        }
    }
}

impl<T> SrcDstRows<'_, T> {
    /// Row `i`, only read.
    #[inline(always)]
    pub(in crate::kernels) fn read_row(&self, i: usize) -> SrcDst<'_, T> {
        assert!(i < self.rows);
        // SAFETY: The constructors take src and the shape from one matrix view, in which row i
        // (asserted) has cols elements from i * src_stride on.
        let src = unsafe { self.src.add(i * self.src_stride) };
        let dst = core::ptr::NonNull::dangling().as_ptr();
        SrcDst { src, dst, src_len: self.cols, dst_len: 0, fill_is_zero: false, lifetime: PhantomData }
    }

    /// Row `i` with its destination.
    #[inline(always)]
    pub(in crate::kernels) fn row_mut(&mut self, i: usize) -> SrcDst<'_, T> {
        let row = self.read_row(i);
        // SAFETY: As in `read_row`. Rows that are only read have a stride of 0, and dst stays
        // dangling. The mutable borrow of self excludes other rows.
        let dst = unsafe { self.dst.add(i * self.dst_stride) };
        SrcDst { dst, dst_len: self.dst_cols, ..row }
    }

    /// The `K` rows from row `i` on with their destinations; rows after the last are empty.
    #[inline(always)]
    pub(in crate::kernels) fn rows_mut<const K: usize>(&mut self, i: usize) -> [SrcDst<'_, T>; K] {
        let n = self.rows - i;
        core::array::from_fn(
            #[inline(always)]
            |r| {
                // Destinations are disjoint, because the rows of a matrix are; see `row_mut`.
                let SrcDst { src, dst, src_len, dst_len, fill_is_zero, .. } = self.row_mut(i + r.min(n - 1));
                let (src_len, dst_len) = if r < n { (src_len, dst_len) } else { (0, 0) };
                SrcDst { src, dst, src_len, dst_len, fill_is_zero, lifetime: PhantomData }
            },
        )
    }

    /// All rows as one, if they follow each other without a gap.
    #[inline(always)]
    pub(in crate::kernels) fn as_one_row(&mut self) -> Option<SrcDst<'_, T>> {
        let cols = self.cols;
        if self.rows == 0 || self.src_stride != cols || self.dst_cols > 0 && self.dst_stride != cols {
            return None;
        }
        let rows = self.rows;
        let row = self.row_mut(0);
        // The elements of the rows are neighbors, and belong to the same borrow.
        Some(SrcDst { src_len: rows * cols, dst_len: rows * row.dst_len, ..row })
    }
}
