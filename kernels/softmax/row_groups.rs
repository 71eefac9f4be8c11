//! Groups of short rows: the sums of their exponentials.
//!
//! The rows of a group take each step together: first the exponentials of all rows, then their
//! sums, the reciprocals or logarithms of the sums, and the results. The CPU works on other rows
//! while the sum of one row is reduced.

use super::ext_sum::ExtSum;
use super::sum_exp::{MAX_SHARE, base_fits, block_lane_sums, row_sum_exp_bounded, row_sum_exp_store};
use super::tuning::{DEFERRED_CHECK_VECTORS, GROUP_ELEMENTS, GROUP_ROWS};
use crate::kernels::lanes::Float;
use crate::kernels::math::compensated::reduce_accumulator;
use crate::kernels::math::exp::{Exp, ExpLanes, Recorded};
use crate::kernels::rows::{Row, Rows, SrcDst};
use crate::matrix::MatMut;
use core::ops::Range;

/// Rows of one matrix with a destination each.
pub(super) trait RowsMut<T: Float> {
    /// One of the rows.
    type Row<'a>: Row<T>
    where
        Self: 'a;
    /// The number of columns of the matrix. A row may be shorter.
    fn cols(&self) -> usize;
    /// Row `i`, only read.
    fn read_row(&self, i: usize) -> Self::Row<'_>;
    /// Row `i` with its destination.
    fn row_mut(&mut self, i: usize) -> Self::Row<'_>;
    /// The destination of row `i`.
    fn dst(&mut self, i: usize) -> &mut [T];
    /// The columns after row `i` in its destination: those that are masked by their position.
    #[inline(always)]
    fn masked_dst(&mut self, _i: usize) -> &mut [T] {
        &mut []
    }
}

/// Writes the masked columns of a row with results: `masked`, or NaN if all results are NaN, or
/// `empty` if the row has no columns that are not masked.
#[inline(always)]
pub(super) fn fill_masked<T: Float>(rows: &mut impl RowsMut<T>, i: usize, masked: T, empty: T) {
    if rows.masked_dst(i).is_empty() {
        return;
    }
    let masked = match rows.dst(i).first() {
        None => empty,
        // Results of ordinary rows are numbers.
        Some(&first) if first.to_f64().is_nan() => first,
        Some(_) => masked,
    };
    rows.masked_dst(i).fill(masked);
}

/// Rows without a destination.
impl<T: Float, X: Rows<T>> RowsMut<T> for &X {
    type Row<'a>
        = X::Row<'a>
    where
        Self: 'a;
    #[inline(always)]
    fn cols(&self) -> usize {
        (**self).cols()
    }
    #[inline(always)]
    fn read_row(&self, i: usize) -> X::Row<'_> {
        self.row_into(i, &mut [])
    }
    #[inline(always)]
    fn row_mut(&mut self, i: usize) -> X::Row<'_> {
        self.row_into(i, &mut [])
    }
    #[inline(always)]
    fn dst(&mut self, _: usize) -> &mut [T] {
        &mut []
    }
}

/// The rows of one matrix with those of another as their destinations.
pub(super) struct RowsInto<'a, X, T> {
    /// The rows that are read.
    pub(super) src: X,
    /// Their destinations, of the same shape.
    pub(super) dst: MatMut<'a, T>,
}

impl<T: Float, X: Rows<T>> RowsMut<T> for RowsInto<'_, X, T> {
    type Row<'a>
        = X::Row<'a>
    where
        Self: 'a;
    #[inline(always)]
    fn cols(&self) -> usize {
        self.src.cols()
    }
    #[inline(always)]
    fn read_row(&self, i: usize) -> X::Row<'_> {
        self.src.row_into(i, &mut [])
    }
    #[inline(always)]
    fn row_mut(&mut self, i: usize) -> X::Row<'_> {
        let dst = self.dst.row_mut(i);
        self.src.row_into(i, if X::MAY_END { &mut dst[..self.src.row_len(i)] } else { dst })
    }
    #[inline(always)]
    fn dst(&mut self, i: usize) -> &mut [T] {
        let dst = self.dst.row_mut(i);
        if X::MAY_END { &mut dst[..self.src.row_len(i)] } else { dst }
    }
    #[inline(always)]
    fn masked_dst(&mut self, i: usize) -> &mut [T] {
        if X::MAY_END { &mut self.dst.row_mut(i)[self.src.row_len(i)..] } else { &mut [] }
    }
}

/// Rows in place.
impl<T: Float> RowsMut<T> for MatMut<'_, T> {
    type Row<'a>
        = SrcDst<'a, T>
    where
        Self: 'a;
    #[inline(always)]
    fn cols(&self) -> usize {
        MatMut::cols(self)
    }
    #[inline(always)]
    fn read_row(&self, i: usize) -> SrcDst<'_, T> {
        SrcDst::reading(self.as_ref().row(i))
    }
    #[inline(always)]
    fn row_mut(&mut self, i: usize) -> SrcDst<'_, T> {
        SrcDst::in_place(MatMut::row_mut(self, i))
    }
    #[inline(always)]
    fn dst(&mut self, i: usize) -> &mut [T] {
        MatMut::row_mut(self, i)
    }
}

/// The groups of rows, in order. A group has at most [`GROUP_ROWS`] rows and [`GROUP_ELEMENTS`]
/// elements, or is one longer row.
#[inline(always)]
pub(super) fn row_groups(rows: usize, cols: usize) -> impl Iterator<Item = Range<usize>> {
    let group_rows = (GROUP_ELEMENTS / cols.max(1)).clamp(1, GROUP_ROWS);
    (0..rows).step_by(group_rows).map(move |start| start..rows.min(start + group_rows))
}

/// The sums of the exponentials of a group of rows, and of each whether one exponential may be more
/// than [`MAX_SHARE`] of it. `exp` is relative to [`Base::ONE`].
///
/// [`Base::ONE`]: crate::kernels::math::exp::Base::ONE
#[inline(always)]
pub(super) fn group_sum_exp<L: ExpLanes<T>, T: Float>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl RowsMut<T>,
    group: Range<usize>,
    sums: &mut [ExtSum<T>; GROUP_ROWS],
    may_dominate: &mut [bool; GROUP_ROWS],
) {
    group_sum_exp_as::<L, T, false>(l, exp, rows, group, sums, may_dominate);
}

/// [`group_sum_exp`] that also stores the exponentials, relative to the base of each sum.
#[inline(always)]
pub(super) fn group_sum_exp_store<L: ExpLanes<T>, T: Float>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl RowsMut<T>,
    group: Range<usize>,
    sums: &mut [ExtSum<T>; GROUP_ROWS],
) {
    group_sum_exp_as::<L, T, true>(l, exp, rows, group, sums, &mut [false; GROUP_ROWS]);
}

/// [`group_sum_exp`], or [`group_sum_exp_store`] with `STORE`.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn group_sum_exp_as<L: ExpLanes<T>, T: Float, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl RowsMut<T>,
    group: Range<usize>,
    sums: &mut [ExtSum<T>; GROUP_ROWS],
    may_dominate: &mut [bool; GROUP_ROWS],
) {
    if group_sum_exp_base_one::<L, T, STORE>(l, exp, rows, group.clone(), sums, may_dominate) {
        return;
    }
    for ((i, sum), may_dominate) in group.zip(sums).zip(may_dominate) {
        let mut row = rows.row_mut(i);
        if STORE {
            *sum = row_sum_exp_store(l, exp, &mut row);
        } else {
            (*sum, *may_dominate) = row_sum_exp_bounded(l, exp, &mut row);
        }
    }
}

/// [`group_sum_exp`] of a group of short rows relative to [`Base::ONE`]. `STORE` stores the
/// exponentials, and `may_dominate` then has no meaning. Returns false if the rows are long, or if
/// the base does not fit all of them: then no result has a meaning.
///
/// [`Base::ONE`]: crate::kernels::math::exp::Base::ONE
#[inline(always)]
pub(super) fn group_sum_exp_base_one<L: ExpLanes<T>, T: Float, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl RowsMut<T>,
    group: Range<usize>,
    sums: &mut [ExtSum<T>; GROUP_ROWS],
    may_dominate: &mut [bool; GROUP_ROWS],
) -> bool {
    if rows.cols() > DEFERRED_CHECK_VECTORS * L::N {
        return false;
    }
    let exp = *exp;
    let zero = l.splat(T::ZERO);
    let (mut lane_sums, mut bounds) = ([(zero, zero); GROUP_ROWS], [zero; GROUP_ROWS]);
    let mut all = zero;
    for (i, (lane_sum, bound)) in group.clone().zip(lane_sums.iter_mut().zip(&mut bounds)) {
        let mut row = rows.row_mut(i);
        let len = row.len();
        let (high, low, max) = block_lane_sums::<L, T, Recorded, STORE>(l, &exp, &mut row, 0, len);
        *lane_sum = (high, low);
        if !STORE {
            *bound = max;
        }
        all = l.quiet_add(all, l.abs(high));
    }
    if l.exp_overflowed(all) {
        return false;
    }
    let mut all_fit = true;
    let results = sums.iter_mut().zip(may_dominate);
    for (at, (sum, may_dominate)) in results.enumerate().take(group.len()) {
        let (high, low) = lane_sums[at];
        let (high, low) = reduce_accumulator(l, high, low);
        *sum = ExtSum::base_one(high, low);
        let fits = base_fits(high, 0.0);
        all_fit &= fits;
        // Infinite sums have no difference.
        if !STORE && fits {
            let limit = l.splat(T::from_f64(high * MAX_SHARE));
            *may_dominate = !l.all_non_negative(l.quiet_sub(limit, bounds[at]));
        }
    }
    all_fit
}
