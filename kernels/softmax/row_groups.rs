//! Groups of rows: the sums of their exponentials.
//!
//! The rows of a group take each step together: first the exponentials of all rows, then their
//! sums, the reciprocals or logarithms of the sums, and the results. The CPU works on other rows
//! while the sum of one row is reduced.

use super::base_one::{base_fits, may_fit_base_one};
use super::ext_sum::ExtSum;
use super::row_scan::MAX_SHARE;
use super::sum_exp::{block_lane_sums, row_may_be_stored, row_sum_exp_stabilized};
use super::tuning::{GROUP_ELEMENTS, GROUP_ROWS, is_short};
use crate::kernels::lanes::{Float, out_of_line};
use crate::kernels::math::compensated::reduce_accumulator;
use crate::kernels::math::exp::{Exp, ExpLanes, Recorded, Shifted};
use crate::kernels::rows::{Row, SrcDst, SrcDstRows};
use core::ops::Range;

/// The rows of a matrix of logits with their destinations.
pub(super) trait Rows<T: Float> {
    /// One of the rows.
    type Row<'a>: Row<T>
    where
        Self: 'a;
    /// The numbers of rows and of columns of the matrix.
    fn shape(&self) -> (usize, usize);
    /// Whether the rows are their own destinations.
    fn is_in_place(&self) -> bool;
    /// The length of row `i`, at most the number of columns.
    fn row_len(&self, i: usize) -> usize;
    /// Row `i`, only read.
    fn read_row(&self, i: usize) -> Self::Row<'_>;
    /// Row `i` with its destination.
    fn row_mut(&mut self, i: usize) -> Self::Row<'_>;
    /// The destinations of row `i` and of the columns after it, which are masked by their position.
    fn dst_and_masked(&mut self, i: usize) -> (&mut [T], &mut [T]);
    /// The same rows, borrowed for a shorter time. Blocks that are out of line take them, so that
    /// the address of the rows does not escape from the loops that read them.
    fn reborrow(&mut self) -> impl Rows<T>;
}

/// Writes the masked columns of a row with results: `masked`, or NaN if all results are NaN, or
/// `empty` if the row has no columns that are not masked.
#[inline(always)]
pub(super) fn fill_masked<T: Float>(rows: &mut impl Rows<T>, i: usize, masked: T, empty: T) {
    let (dst, masked_dst) = rows.dst_and_masked(i);
    if masked_dst.is_empty() {
        return;
    }
    masked_dst.fill(match dst.first() {
        None => empty,
        // Results of ordinary rows are numbers.
        Some(&first) if first.to_f64().is_nan() => first,
        Some(_) => masked,
    });
}

impl<T: Float> Rows<T> for SrcDstRows<'_, T> {
    type Row<'a>
        = SrcDst<'a, T>
    where
        Self: 'a;
    #[inline(always)]
    fn shape(&self) -> (usize, usize) {
        SrcDstRows::shape(self)
    }
    #[inline(always)]
    fn is_in_place(&self) -> bool {
        SrcDstRows::is_in_place(self)
    }
    #[inline(always)]
    fn row_len(&self, _: usize) -> usize {
        SrcDstRows::shape(self).1
    }
    #[inline(always)]
    fn read_row(&self, i: usize) -> SrcDst<'_, T> {
        SrcDstRows::read_row(self, i)
    }
    #[inline(always)]
    fn row_mut(&mut self, i: usize) -> SrcDst<'_, T> {
        SrcDstRows::row_mut(self, i)
    }
    #[inline(always)]
    fn dst_and_masked(&mut self, i: usize) -> (&mut [T], &mut [T]) {
        (SrcDstRows::row_mut(self, i).into_dst(), &mut [])
    }
    #[inline(always)]
    fn reborrow(&mut self) -> impl Rows<T> {
        self.shorten()
    }
}

/// The groups of rows, in order. A group has at most [`GROUP_ROWS`] rows and [`GROUP_ELEMENTS`]
/// elements, or is one longer row.
#[inline(always)]
pub(super) fn row_groups((rows, cols): (usize, usize)) -> impl Iterator<Item = Range<usize>> {
    let group_rows = (GROUP_ELEMENTS / cols.max(1)).clamp(1, GROUP_ROWS);
    (0..rows).step_by(group_rows).map(move |start| start..rows.min(start + group_rows))
}

/// The sums of those rows of a group whose bit in `summed` is 0, relative to their maxima, out of
/// line. Also stores the exponentials.
#[inline(always)]
pub(super) fn second_look_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    rows: &mut impl Rows<T>,
    group: Range<usize>,
    summed: u32,
    sums: &mut [ExtSum<T>; GROUP_ROWS],
) {
    let mut rows = rows.reborrow();
    out_of_line!(l, {
        for (at, i) in group.enumerate().filter(|&(at, _)| summed >> at & 1 == 0) {
            sums[at] = row_sum_exp_stabilized::<L, T, Shifted, true>(l, &mut rows.row_mut(i));
        }
    });
}

/// Whether base 1 may fit all rows of a group, see [`may_fit_base_one`].
#[inline(always)]
pub(super) fn all_may_fit_base_one<L: ExpLanes<T>, T: Float>(l: L, rows: &impl Rows<T>, group: Range<usize>) -> bool {
    let mut all = true;
    if !is_short::<L, T>(l, rows.shape().1) {
        for i in group {
            all &= may_fit_base_one(l, &rows.read_row(i));
        }
    }
    all
}

/// Whether base 1 may be tried for all rows of a group whose exponentials are stored, see
/// [`row_may_be_stored`].
#[inline(always)]
pub(super) fn all_may_be_stored<L: ExpLanes<T>, T: Float>(l: L, rows: &mut impl Rows<T>, group: Range<usize>) -> bool {
    let mut all = all_may_fit_base_one(l, rows, group.clone());
    if rows.is_in_place() {
        for i in group {
            all = all && row_may_be_stored(l, &mut rows.row_mut(i));
        }
    }
    all
}

/// The sums of the exponentials of a group of rows of at most [`BLOCK_ELEMENTS`](super::tuning)
/// elements relative to base 1, as `exp`, and of each whether one exponential may be more than
/// [`MAX_SHARE`] of it. Returns a bit for each row. If the base does not fit the row, the bit is 0,
/// and the results have no meaning. `STORE` also stores the exponentials, and `may_dominate` then
/// has no meaning.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
pub(super) fn group_sum_exp_base_one<L: ExpLanes<T>, T: Float, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl Rows<T>,
    group: Range<usize>,
    sums: &mut [ExtSum<T>; GROUP_ROWS],
    may_dominate: &mut [bool; GROUP_ROWS],
) -> u32 {
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
    let any_overflowed = l.exp_overflowed(all);
    let mut fits = 0;
    let results = sums.iter_mut().zip(may_dominate);
    for (at, (sum, may_dominate)) in results.enumerate().take(group.len()) {
        let (high, low) = lane_sums[at];
        if any_overflowed && l.exp_overflowed(high) {
            continue;
        }
        let (high, low) = reduce_accumulator(l, high, low);
        *sum = ExtSum::base_one(high, low);
        if !base_fits::<T>(high, 0.0) {
            continue;
        }
        fits |= 1 << at;
        if !STORE {
            let limit = l.splat(T::from_f64(high * MAX_SHARE));
            *may_dominate = !l.all_non_negative(l.quiet_sub(limit, bounds[at]));
        }
    }
    fits
}
