//! Log-softmax, log-sum-exp and cross-entropy of rows, a group at a time.

use super::cross_entropy::{all_ignored, loss};
use super::dominated::{ln_beside_max, max_and_ln};
use super::ext_sum::ExtSum;
use super::logits::Logits;
use super::row_groups::{Rows, fill_masked, group_sum_exp, row_groups};
use super::short_rows::BesideMax;
use super::sum_exp::{RowSum, may_fit_base_one, row_sum_exp};
use super::tuning::{BLOCK_ELEMENTS, GROUP_ROWS};
use crate::kernels::lanes::{Float, Lanes, out_of_line};
use crate::kernels::math::exp::{Exp, ExpLanes};
use crate::kernels::rows::{Row, SrcDst, map_row_by_length};

/// What is made of the logarithms of the sums of rows.
enum Results<'a, T> {
    /// Log-softmax, in the destinations of the rows.
    LogSoftmax,
    /// The logarithms, one per row.
    LogSumExp(&'a mut [T]),
    /// The losses of the classes, one per row.
    CrossEntropy(&'a [usize], &'a mut [T]),
}

/// Log-softmax of a slice.
#[inline(always)]
pub(crate) fn log_softmax<L: ExpLanes<T>, T: Float>(l: L, mut row: SrcDst<'_, T>) {
    log_softmax_row(l, &mut row, T::NAN);
}

/// The logarithm of the sum of the exponentials of a slice.
#[inline(always)]
pub(crate) fn log_sum_exp<L: ExpLanes<T>, T: Float>(l: L, x: &[T]) -> T {
    let mut row = SrcDst::reading(x);
    let RowSum { sum, may_dominate, .. } = row_sum_exp(l, &mut row, false);
    if may_dominate { ln_beside_max(l, &mut row, &sum) } else { sum.ln() }
}

/// Log-softmax of every row.
#[inline(always)]
pub(crate) fn log_softmax_rows<L: ExpLanes<T>, T: Float>(l: L, x: Logits<'_, T>) {
    let empty = x.masked_log_softmax();
    rows_of_logits(l, x, empty, Results::LogSoftmax);
}

/// The logarithm of the sum of the exponentials of every row.
#[inline(always)]
pub(crate) fn log_sum_exp_rows<L: ExpLanes<T>, T: Float>(l: L, x: Logits<'_, T>, out: &mut [T]) {
    rows_of_logits(l, x, T::NEG_INFINITY, Results::LogSumExp(out));
}

/// The cross-entropy of the softmax of every row with its class, which is a column or
/// [`IGNORED`](super::IGNORED).
#[inline(always)]
pub(crate) fn cross_entropy_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    x: Logits<'_, T>,
    classes: &[usize],
    losses: &mut [T],
) {
    let empty = x.masked_softmax();
    rows_of_logits(l, x, empty, Results::CrossEntropy(classes, losses));
}

/// The sum of the exponentials of a slice.
#[inline(always)]
pub(crate) fn ext_sum<L: ExpLanes<T>, T: Float>(l: L, x: &[T]) -> ExtSum<T> {
    row_sum_exp(l, &mut SrcDst::reading(x), false).sum
}

/// Results of rows of logits.
#[inline(always)]
fn rows_of_logits<L: ExpLanes<T>, T: Float>(l: L, x: Logits<'_, T>, empty: T, results: Results<'_, T>) {
    if L::IS_SCALAR || !x.are_plain() {
        log_groups(l, x, empty, results);
    } else {
        log_groups(l, x.x, empty, results);
    }
}

/// Results of rows, a group at a time, out of line. All results have one body. Log-softmax and the
/// loss of a row are `empty` if all its logits are -inf.
#[inline(always)]
fn log_groups<L: ExpLanes<T>, T: Float>(l: L, mut rows: impl Rows<T>, empty: T, mut results: Results<'_, T>) {
    out_of_line!(l, {
        let (exp, beside_max) = (Exp::hidden_for_sums(l), BesideMax::new(l));
        let grouped = rows.shape().1 <= BLOCK_ELEMENTS;
        let mut sums = [ExtSum::EMPTY; GROUP_ROWS];
        let mut logarithms = [(0.0, 0.0); GROUP_ROWS];
        let mut may_dominate = [false; GROUP_ROWS];
        for group in row_groups(rows.shape()) {
            if let Results::CrossEntropy(classes, losses) = &mut results
                && all_ignored(&classes[group.clone()])
            {
                losses[group].fill(T::ZERO);
                continue;
            }
            if grouped && may_fit_base_one(l, &rows.read_row(group.start)) {
                group_sum_exp(l, &exp, &mut rows, group.clone(), &mut sums, &mut may_dominate);
            } else {
                for (at, i) in group.clone().enumerate() {
                    let sum = row_sum_exp(l, &mut rows.row_mut(i), false);
                    (sums[at], may_dominate[at]) = (sum.sum, sum.may_dominate);
                }
            }
            for (ln, sum) in logarithms.iter_mut().zip(&sums).take(group.len()) {
                *ln = sum.ln_parts();
            }
            match &mut results {
                Results::LogSoftmax => {
                    for (at, i) in group.clone().enumerate().filter(|&(at, _)| may_dominate[at]) {
                        let mut row = rows.row_mut(i);
                        logarithms[at] = match beside_max.max_and_ln(l, &row) {
                            Some(ln) => ln,
                            None => max_and_ln(l, &mut row, &sums[at]),
                        };
                    }
                    for (i, (sum, &ln)) in group.zip(sums.iter().zip(&logarithms)) {
                        write_log_softmax(l, &mut rows.row_mut(i), sum, ln, empty);
                        fill_masked(&mut rows, i, T::NEG_INFINITY, empty);
                    }
                }
                Results::LogSumExp(out) => {
                    for (at, i) in group.enumerate() {
                        let sum = &sums[at];
                        out[i] = match sum.degenerate_ln() {
                            Some(ln) => ln,
                            None if may_dominate[at] => ln_beside_max(l, &mut rows.row_mut(i), sum),
                            None => T::from_f64(logarithms[at].0 + logarithms[at].1),
                        };
                    }
                }
                Results::CrossEntropy(classes, losses) => {
                    for (at, i) in group.enumerate() {
                        let loss = loss(l, &sums[at], logarithms[at], &mut rows.row_mut(i), classes[i], empty);
                        losses[i] = T::from_f64(loss);
                    }
                }
            }
        }
    });
}

/// Log-softmax of a row, out of line.
#[inline(always)]
fn log_softmax_row<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>, empty: T) {
    let mut row = row.reborrow();
    out_of_line!(l, {
        let RowSum { sum, may_dominate, .. } = row_sum_exp(l, &mut row, false);
        let ln = if may_dominate { max_and_ln(l, &mut row, &sum) } else { sum.ln_parts() };
        write_log_softmax(l, &mut row, &sum, ln, empty);
    });
}

/// Writes the log-softmax of a row whose sum has the logarithm `high + low`: `(x - high) - low`, so
/// that a large common offset costs no accuracy; `empty` if all logits are -inf.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn write_log_softmax<L: Lanes<T>, T: Float>(
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
