//! Softmax, log-softmax and log-sum-exp of slices and of groups of rows.

use super::ext_sum::ExtSum;
use super::log_rows::{log_softmax_groups, log_sum_exp_groups, row_logarithm};
use super::logits::Logits;
use super::row_groups::{RowsInto, RowsMut, fill_masked, group_sum_exp_base_one, group_sum_exp_store, row_groups};
use super::sum_exp::{
    base_fits, exp_base_one, row_sum_exp, row_sum_exp_base_one, row_sum_exp_stabilized, row_sum_exp_store,
    second_look_store,
};
use super::tuning::{GROUP_ROWS, Tuning};
use crate::kernels::lanes::{Float, Lanes, out_of_line};
use crate::kernels::math::compensated::reduce_accumulator;
use crate::kernels::math::exp::{Base, Clamped, Exp, ExpLanes, InRange, Recorded, Shifted};
use crate::kernels::rows::{Row, SrcDst, map_row, map_row_by_length, mul_two_part, should_stream};
use crate::matrix::MatMut;
use core::ops::Range;

/// Softmax of a slice.
#[inline(always)]
pub(crate) fn softmax<L: Tuning<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    softmax_row(l, &exp_base_one(l), &mut SrcDst::new(x, out), T::NAN);
}

/// Softmax of a slice, in place.
#[inline(always)]
pub(crate) fn softmax_in_place<L: Tuning<T>, T: Float>(l: L, x: &mut [T]) {
    let mut row = SrcDst::in_place(x);
    if L::RECOMPUTE_LONG_ROWS && should_stream::<T>(row.len()) {
        return softmax_row(l, &exp_base_one(l), &mut row, T::NAN);
    }
    // In place, a block that does not fit base 1 would have destroyed its logits.
    let sum = row_sum_exp_stabilized::<L, T, true>(l, &mut row);
    normalize_stored(l, row.dst(), &sum, sum.scaled_reciprocal(1.0), T::NAN);
}

/// Log-softmax of a slice.
#[inline(always)]
pub(crate) fn log_softmax<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let mut row = SrcDst::new(x, out);
    let (sum, ln) = row_logarithm(l, &mut row);
    write_log_softmax(l, &mut row, &sum, ln, T::NAN);
}

/// Log-softmax of a slice, in place.
#[inline(always)]
pub(crate) fn log_softmax_in_place<L: ExpLanes<T>, T: Float>(l: L, x: &mut [T]) {
    let mut row = SrcDst::in_place(x);
    let (sum, ln) = row_logarithm(l, &mut row);
    write_log_softmax(l, &mut row, &sum, ln, T::NAN);
}

/// The logarithm of the sum of the exponentials of a slice.
#[inline(always)]
pub(crate) fn log_sum_exp<L: ExpLanes<T>, T: Float>(l: L, x: &[T]) -> T {
    let (sum, ln) = row_logarithm(l, &mut SrcDst::reading(x));
    sum.ln_given(ln)
}

/// The sum of the exponentials of a slice.
#[inline(always)]
pub(crate) fn ext_sum<L: ExpLanes<T>, T: Float>(l: L, x: &[T]) -> ExtSum<T> {
    row_sum_exp(l, &exp_base_one(l), &mut SrcDst::reading(x))
}

/// Softmax of every row.
#[inline(always)]
pub(crate) fn softmax_rows<L: Tuning<T>, T: Float>(l: L, x: Logits<'_, T>, out: MatMut<'_, T>) {
    let (shape, empty) = ((out.rows(), out.cols()), x.masked_softmax());
    match x.untransformed(l) {
        Some(x) => softmax_groups(l, RowsInto { src: x, dst: out }, shape, empty),
        None => softmax_groups(l, RowsInto { src: x, dst: out }, shape, empty),
    }
}

/// Softmax of every row, in place.
#[inline(always)]
pub(crate) fn softmax_rows_in_place<'a, L: Tuning<T>, T: Float>(l: L, x: Logits<'a, T, MatMut<'a, T>>) {
    let (shape, empty) = ((x.x.rows(), x.x.cols()), x.masked_softmax());
    softmax_groups_in_place(l, x, shape, empty);
}

/// Log-softmax of every row.
#[inline(always)]
pub(crate) fn log_softmax_rows<L: ExpLanes<T>, T: Float>(l: L, x: Logits<'_, T>, out: MatMut<'_, T>) {
    let (shape, empty) = ((out.rows(), out.cols()), x.masked_log_softmax());
    match x.untransformed(l) {
        Some(x) => log_softmax_groups(l, RowsInto { src: x, dst: out }, shape, empty),
        None => log_softmax_groups(l, RowsInto { src: x, dst: out }, shape, empty),
    }
}

/// Log-softmax of every row, in place.
#[inline(always)]
pub(crate) fn log_softmax_rows_in_place<'a, L: ExpLanes<T>, T: Float>(l: L, x: Logits<'a, T, MatMut<'a, T>>) {
    let (shape, empty) = ((x.x.rows(), x.x.cols()), x.masked_log_softmax());
    log_softmax_groups(l, x, shape, empty);
}

/// The logarithm of the sum of the exponentials of every row.
#[inline(always)]
pub(crate) fn log_sum_exp_rows<L: ExpLanes<T>, T: Float>(l: L, x: Logits<'_, T>, out: &mut [T]) {
    match x.untransformed(l) {
        Some(x) => log_sum_exp_groups(l, &x, out),
        None => log_sum_exp_groups(l, &x, out),
    }
}

/// Softmax of one row; every result is `empty` if all logits are -inf.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn softmax_row<L: Tuning<T>, T: Float>(l: L, exp: &Exp<L, T>, row: &mut impl Row<T>, empty: T) {
    if L::RECOMPUTE_LONG_ROWS && should_stream::<T>(row.len()) {
        let sum = row_sum_exp(l, exp, row);
        match sum.degenerate_value(empty) {
            Some(x) => row.dst().fill(x),
            None => write_recomputed(l, &sum, row, 1.0),
        }
    } else {
        let sum = row_sum_exp_store(l, exp, row);
        normalize_stored(l, row.dst(), &sum, sum.scaled_reciprocal(1.0), empty);
    }
}

/// Softmax of one row in place, equal to the bit to [`softmax_row`] of a copy. A row that fits base
/// 1 takes every exponential twice, because only its sum shows that it fits.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn softmax_row_in_place<L: ExpLanes<T>, T: Float>(l: L, exp: &Exp<L, T>, row: &mut impl Row<T>, empty: T) {
    match row_sum_exp_base_one::<L, T, false>(l, exp, row) {
        Some(sum) => write_base_one(l, exp, row, sum.scaled_reciprocal(1.0)),
        None => {
            let sum = second_look_store(l, row);
            normalize_stored(l, row.dst(), &sum, sum.scaled_reciprocal(1.0), empty);
        }
    }
}

/// Softmax of rows of the given shape, a group at a time.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn softmax_groups<L: Tuning<T>, T: Float>(
    l: L,
    mut rows: impl RowsMut<T>,
    (row_count, cols): (usize, usize),
    empty: T,
) {
    let exp = exp_base_one(l);
    if should_stream::<T>(cols) {
        for i in 0..row_count {
            softmax_row(l, &exp, &mut rows.row_mut(i), empty);
            fill_masked(&mut rows, i, T::ZERO, empty);
        }
        return;
    }
    let mut sums = [ExtSum::EMPTY; GROUP_ROWS];
    let mut reciprocals = [(T::ZERO, T::ZERO); GROUP_ROWS];
    for group in row_groups(row_count, cols) {
        if cols <= L::N && softmax_one_vector_rows(l, &exp, &mut rows, group.clone()) {
            continue;
        }
        group_sum_exp_store(l, &exp, &mut rows, group.clone(), &mut sums);
        for (reciprocal, sum) in reciprocals.iter_mut().zip(&sums).take(group.len()) {
            *reciprocal = sum.scaled_reciprocal(1.0);
        }
        for (i, (sum, &reciprocal)) in group.zip(sums.iter().zip(&reciprocals)) {
            normalize_stored(l, rows.dst(i), sum, reciprocal, empty);
            fill_masked(&mut rows, i, T::ZERO, empty);
        }
    }
}

/// [`softmax_groups`] in place.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn softmax_groups_in_place<L: Tuning<T>, T: Float>(
    l: L,
    mut rows: impl RowsMut<T>,
    (row_count, cols): (usize, usize),
    empty: T,
) {
    let exp = exp_base_one(l);
    if L::RECOMPUTE_LONG_ROWS && should_stream::<T>(cols) {
        for i in 0..row_count {
            if should_stream::<T>(rows.read_row(i).len()) {
                softmax_row(l, &exp, &mut rows.row_mut(i), empty);
            } else {
                softmax_row_in_place(l, &exp, &mut rows.row_mut(i), empty);
            }
            fill_masked(&mut rows, i, T::ZERO, empty);
        }
        return;
    }
    let (mut sums, mut unused) = ([ExtSum::EMPTY; GROUP_ROWS], [false; GROUP_ROWS]);
    for group in row_groups(row_count, cols) {
        if cols <= L::N && softmax_one_vector_rows(l, &exp, &mut rows, group.clone()) {
            continue;
        }
        if group_sum_exp_base_one::<L, T, false>(l, &exp, &mut rows, group.clone(), &mut sums, &mut unused) {
            for (i, sum) in group.clone().zip(&sums) {
                write_base_one(l, &exp, &mut rows.row_mut(i), sum.scaled_reciprocal(1.0));
            }
        } else {
            for i in group.clone() {
                softmax_row_in_place(l, &exp, &mut rows.row_mut(i), empty);
            }
        }
        for i in group {
            fill_masked(&mut rows, i, T::ZERO, empty);
        }
    }
}

/// Softmax of a group of rows of at most a vector each, whose exponentials stay in registers.
/// Returns false, and writes nothing, if base 1 does not fit all rows.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn softmax_one_vector_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl RowsMut<T>,
    group: Range<usize>,
) -> bool {
    let zero = l.splat(T::ZERO);
    let (mut e, mut all) = ([zero; GROUP_ROWS], zero);
    for (i, e) in group.clone().zip(&mut e) {
        let row = rows.read_row(i);
        let logits = if row.len() == L::N { row.load(l, 0) } else { row.load_tail(l, 0, row.len()) };
        *e = exp.eval::<Recorded>(l, logits);
        all = l.quiet_add(all, l.abs(*e));
    }
    if l.exp_overflowed(all) {
        return false;
    }
    let mut all_fit = true;
    let mut sums = [ExtSum::<T>::EMPTY; GROUP_ROWS];
    for (sum, &e) in sums[..group.len()].iter_mut().zip(&e) {
        let (high, low) = reduce_accumulator(l, e, zero);
        all_fit &= base_fits(high, 0.0);
        *sum = ExtSum::base_one(high, low);
    }
    // The reciprocals of sums that do not fit could overflow.
    if !all_fit {
        return false;
    }
    let mut reciprocals = [(T::ZERO, T::ZERO); GROUP_ROWS];
    for (reciprocal, sum) in reciprocals[..group.len()].iter_mut().zip(&sums) {
        *reciprocal = sum.scaled_reciprocal(1.0);
    }
    for (i, (&e, &(first, second))) in group.zip(e.iter().zip(&reciprocals)) {
        let y = mul_two_part(l, e, (l.splat(first), l.splat(second)));
        l.store_up_to(rows.dst(i), y);
        fill_masked(rows, i, T::ZERO, T::ZERO);
    }
    true
}

/// Turns the stored exponentials of a row into its softmax, given the reciprocal of their sum.
#[inline(always)]
pub(super) fn normalize_stored<L: Lanes<T>, T: Float>(
    l: L,
    stored: &mut [T],
    sum: &ExtSum<T>,
    reciprocal: (T, T),
    empty: T,
) {
    match sum.degenerate_value(empty) {
        Some(x) => stored.fill(x),
        None => scale_stored(l, reciprocal, stored),
    }
}

/// Multiplies the stored exponentials of a row by the reciprocal of their sum.
#[inline(always)]
pub(crate) fn scale_stored<L: Lanes<T>, T: Float>(l: L, (first, second): (T, T), stored: &mut [T]) {
    let reciprocal = (l.splat(first), l.splat(second));
    map_row::<L, T, false>(
        l,
        &mut SrcDst::results_in_place(stored),
        #[inline(always)]
        |e| mul_two_part(l, e, reciprocal),
    );
}

/// Writes the exponentials of a row that fits base 1, multiplied by the reciprocal of their sum.
#[inline(always)]
fn write_base_one<L: ExpLanes<T>, T: Float>(l: L, exp: &Exp<L, T>, row: &mut impl Row<T>, (first, second): (T, T)) {
    let (exp, reciprocal) = (*exp, (l.splat(first), l.splat(second)));
    map_row::<L, T, false>(
        l,
        row,
        #[inline(always)]
        |x| mul_two_part(l, exp.eval::<Recorded>(l, x), reciprocal),
    );
}

/// Writes the exponentials of a row divided by their sum and multiplied by `weight`, out of line
/// and past the caches.
#[inline(always)]
pub(crate) fn write_recomputed<L: ExpLanes<T>, T: Float>(l: L, sum: &ExtSum<T>, row: &mut impl Row<T>, weight: f64) {
    let (sum, mut row) = (*sum, row.reborrow());
    out_of_line!(l, {
        let normalized = sum.exponent_in_base();
        let base = normalized.base();
        let (first, second) = normalized.scaled_reciprocal(weight);
        let reciprocal = (l.splat(first), l.splat(second));
        // As in `exp_base_one`.
        let exp = core::hint::black_box(Exp::new(l, base));
        if sum.base() == Base::ONE {
            map_row::<L, T, true>(
                l,
                &mut row,
                #[inline(always)]
                |x| mul_two_part(l, exp.eval::<InRange>(l, x), reciprocal),
            );
        } else if base.shift == T::ZERO {
            map_row::<L, T, true>(
                l,
                &mut row,
                #[inline(always)]
                |x| mul_two_part(l, exp.eval::<Clamped>(l, x), reciprocal),
            );
        } else {
            map_row::<L, T, true>(
                l,
                &mut row,
                #[inline(always)]
                |x| mul_two_part(l, exp.eval::<Shifted>(l, x), reciprocal),
            );
        }
    });
}

/// Writes the log-softmax of a row whose sum has the logarithm `high + low`: `(x - high) - low`, so
/// that a large common offset costs no accuracy; `empty` if all logits are -inf.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
pub(super) fn write_log_softmax<L: Lanes<T>, T: Float>(
    l: L,
    row: &mut impl Row<T>,
    sum: &ExtSum<T>,
    (high, low): (f64, f64),
    empty: T,
) {
    if let Some(x) = sum.degenerate_value(empty) {
        row.dst().fill(x);
        return;
    }
    let first = T::from_f64(high);
    let (first, second) = (l.splat(first), l.splat(T::from_f64((high - first.to_f64()) + low)));
    map_row_by_length(
        l,
        row,
        #[inline(always)]
        |x| l.quiet_sub(l.quiet_sub(x, first), second),
    );
}
