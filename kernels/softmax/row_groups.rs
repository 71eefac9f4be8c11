//! Groups of short rows: the sums of their exponentials.
//!
//! The rows of a group take each step together: first the exponentials of all rows, then their
//! sums, the reciprocals or logarithms of the sums, and the results. The CPU works on other rows
//! while the sum of one row is reduced.

use super::ext_sum::ExtSum;
use super::sum_exp::{
    MAX_SHARE, base_fits, block_lane_sums, certainly_fits_base_one, may_fit_base_one, row_sum_exp, second_look_store,
};
use super::tuning::{BLOCK_ELEMENTS, GROUP_ELEMENTS, GROUP_ROWS};
use crate::kernels::lanes::Float;
use crate::kernels::math::compensated::reduce_accumulator;
use crate::kernels::math::exp::{Exp, ExpLanes, Recorded};
use crate::kernels::rows::{Row, SrcDst};
use crate::matrix::{MatMut, MatRef};
use core::ops::Range;

/// The rows of a matrix of logits with their destinations.
pub(super) trait Rows<T: Float> {
    /// One of the rows.
    type Row<'a>: Row<T>
    where
        Self: 'a;
    /// The numbers of rows and of columns of the matrix.
    fn shape(&self) -> (usize, usize);
    /// The length of row `i`, at most the number of columns.
    fn row_len(&self, i: usize) -> usize;
    /// Row `i`, only read.
    fn read_row(&self, i: usize) -> Self::Row<'_>;
    /// Row `i` with its destination.
    fn row_mut(&mut self, i: usize) -> Self::Row<'_>;
    /// The destinations of row `i` and of the columns after it, which are masked by their position.
    fn dst_and_masked(&mut self, i: usize) -> (&mut [T], &mut [T]);
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

/// The rows of a matrix, with or without destinations.
pub(crate) enum SrcDstRows<'a, T> {
    /// Rows that are only read.
    Reading(MatRef<'a, T>),
    /// From one matrix to another of the same shape.
    Into(MatRef<'a, T>, MatMut<'a, T>),
    /// From a matrix to itself.
    InPlace(MatMut<'a, T>),
}

impl<T: Float> Rows<T> for SrcDstRows<'_, T> {
    type Row<'a>
        = SrcDst<'a, T>
    where
        Self: 'a;
    #[inline(always)]
    fn shape(&self) -> (usize, usize) {
        match self {
            Self::Reading(x) | Self::Into(x, _) => (x.rows(), x.cols()),
            Self::InPlace(x) => (x.rows(), x.cols()),
        }
    }
    #[inline(always)]
    fn row_len(&self, _: usize) -> usize {
        self.shape().1
    }
    #[inline(always)]
    fn read_row(&self, i: usize) -> SrcDst<'_, T> {
        SrcDst::reading(match self {
            Self::Reading(x) | Self::Into(x, _) => x.row(i),
            Self::InPlace(x) => x.as_ref().row(i),
        })
    }
    #[inline(always)]
    fn row_mut(&mut self, i: usize) -> SrcDst<'_, T> {
        match self {
            Self::Reading(x) => SrcDst::reading(x.row(i)),
            Self::Into(x, out) => SrcDst::new(x.row(i), out.row_mut(i)),
            Self::InPlace(x) => SrcDst::in_place(x.row_mut(i)),
        }
    }
    #[inline(always)]
    fn dst_and_masked(&mut self, i: usize) -> (&mut [T], &mut [T]) {
        match self {
            Self::Reading(_) => (&mut [], &mut []),
            Self::Into(_, out) | Self::InPlace(out) => (out.row_mut(i), &mut []),
        }
    }
}

/// The groups of rows, in order. A group has at most [`GROUP_ROWS`] rows and [`GROUP_ELEMENTS`]
/// elements, or is one longer row.
#[inline(always)]
pub(super) fn row_groups((rows, cols): (usize, usize)) -> impl Iterator<Item = Range<usize>> {
    let group_rows = (GROUP_ELEMENTS / cols.max(1)).clamp(1, GROUP_ROWS);
    (0..rows).step_by(group_rows).map(move |start| start..rows.min(start + group_rows))
}

/// The sums of the exponentials of a group of rows, and of each whether one exponential may be more
/// than [`MAX_SHARE`] of it. `exp` is relative to [`Base::ONE`](crate::kernels::math::exp::Base::ONE).
#[inline(always)]
pub(super) fn group_sum_exp<L: ExpLanes<T>, T: Float>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl Rows<T>,
    group: Range<usize>,
    sums: &mut [ExtSum<T>; GROUP_ROWS],
    may_dominate: &mut [bool; GROUP_ROWS],
) {
    let mut fits = [true; GROUP_ROWS];
    for (fits, i) in fits.iter_mut().zip(group.clone()) {
        // Longer rows take a base for every block.
        *fits = rows.row_len(i) <= BLOCK_ELEMENTS && may_fit_base_one(l, &rows.read_row(i));
    }
    group_sum_exp_base_one::<L, T, false>(l, exp, rows, group.clone(), sums, &mut fits, may_dominate);
    for (at, i) in group.enumerate().filter(|&(at, _)| !fits[at]) {
        let mut row = rows.row_mut(i);
        let base_one_failed = row.len() <= BLOCK_ELEMENTS;
        let sum = row_sum_exp(l, &mut row, base_one_failed);
        (sums[at], may_dominate[at]) = (sum.sum, sum.may_dominate);
    }
}

/// [`group_sum_exp`] that also stores the exponentials, relative to the base of each sum.
#[inline(always)]
pub(super) fn group_sum_exp_store<L: ExpLanes<T>, T: Float>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl Rows<T>,
    group: Range<usize>,
    sums: &mut [ExtSum<T>; GROUP_ROWS],
) {
    let mut fits = [true; GROUP_ROWS];
    for (fits, i) in fits.iter_mut().zip(group.clone()) {
        let mut row = rows.row_mut(i);
        *fits = may_fit_base_one(l, &row);
        // In place, exponentials of a base that does not fit would replace the logits.
        if *fits && row.is_in_place() && !certainly_fits_base_one(l, &row) {
            *fits = row_sum_exp(l, &mut row, false).fits_base_one;
        }
    }
    group_sum_exp_base_one::<L, T, true>(l, exp, rows, group.clone(), sums, &mut fits, &mut [false; GROUP_ROWS]);
    for (at, i) in group.enumerate().filter(|&(at, _)| !fits[at]) {
        sums[at] = second_look_store(l, &mut rows.row_mut(i));
    }
}

/// The sums of those rows of a group for which `fits` is true, relative to [`Base::ONE`](crate::kernels::math::exp::Base::ONE). Makes
/// `fits` false for rows that the base does not fit; their sums have no meaning. `STORE` also
/// stores the exponentials, and `may_dominate` then has no meaning.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn group_sum_exp_base_one<L: ExpLanes<T>, T: Float, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl Rows<T>,
    group: Range<usize>,
    sums: &mut [ExtSum<T>; GROUP_ROWS],
    fits: &mut [bool; GROUP_ROWS],
    may_dominate: &mut [bool; GROUP_ROWS],
) {
    let exp = *exp;
    let zero = l.splat(T::ZERO);
    for sum in &mut sums[..group.len()] {
        *sum = ExtSum::EMPTY;
    }
    // The pieces that are summed together: rows, or the blocks of a long row.
    let (mut owners, mut lane_sums) = ([0; GROUP_ROWS], [(zero, zero, zero); GROUP_ROWS]);
    let (mut row_at, mut start) = (0, 0);
    while row_at < group.len() {
        let (mut pieces, mut all) = (0, zero);
        while pieces < GROUP_ROWS && row_at < group.len() {
            let mut row = rows.row_mut(group.start + row_at);
            let len = row.len();
            let end = len.min(start + BLOCK_ELEMENTS);
            if fits[row_at] {
                let sum = block_lane_sums::<L, T, Recorded, STORE>(l, &exp, &mut row, start, end);
                (owners[pieces], lane_sums[pieces]) = (row_at, sum);
                all = l.quiet_add(all, l.abs(sum.0));
                pieces += 1;
            }
            (row_at, start) = if fits[row_at] && end < len { (row_at, end) } else { (row_at + 1, 0) };
        }
        let any_overflowed = l.exp_overflowed(all);
        for (&at, &(high, low, bound)) in owners.iter().zip(&lane_sums).take(pieces) {
            if any_overflowed && l.exp_overflowed(high) {
                fits[at] = false;
                continue;
            }
            let (high, low) = reduce_accumulator(l, high, low);
            fits[at] &= base_fits(high, sums[at].high());
            sums[at].add(high, low);
            // Infinite sums have no difference.
            if !STORE && fits[at] {
                let limit = l.splat(T::from_f64(high * MAX_SHARE));
                may_dominate[at] = !l.all_non_negative(l.quiet_sub(limit, bound));
            }
        }
    }
}
