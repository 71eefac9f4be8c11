//! What is made of the logarithms of the sums of rows: log-softmax, log-sum-exp and cross-entropy.

use super::base_one::BaseOne;
use super::cross_entropy::{all_ignored, class_logit, is_near, logarithm_minus, loss};
use super::ext_sum::ExtSum;
use super::logarithms::{Logarithm, LogarithmBuffers, group_logarithms, row_logarithm};
use super::logits::Logits;
use super::row_groups::{Rows, fill_masked, row_groups};
use super::row_scan::row_sum_exp;
use super::tuning::{BLOCK_ELEMENTS, GROUP_ROWS, LOSS_VECTORS, SHORT_ROW_VECTORS, beside_max_vectors};
use crate::kernels::lanes::{Float, Lanes, out_of_line};
use crate::kernels::math::exp::{Exp, ExpLanes};
use crate::kernels::rows::{Row, SrcDst, map_part_by_length};
use core::ops::Range;

/// A logarithm of at least this magnitude has the accuracy of log-sum-exp even if one exponential
/// dominates: a rounding error of the sum is at most an eighth of a unit in its last place.
pub(super) const MIN_LOG_SUM_EXP: f64 = 8.0;

/// What is made of the logarithms of the sums of rows.
enum Results<'a, T> {
    /// Log-softmax, in the destinations of the rows.
    LogSoftmax,
    /// The logarithms, one per row.
    LogSumExp(&'a mut [T]),
    /// The losses of the classes, one per row.
    CrossEntropy(&'a [usize], &'a mut [T]),
}

/// Log-softmax of a slice, from `x` to `out`, or in place without `x`.
#[inline(always)]
pub(crate) fn log_softmax<L: ExpLanes<T>, T: Float>(l: L, x: Option<&[T]>, out: &mut [T]) {
    let mut row = SrcDst::new_or_in_place(x, out);
    let (sum, ln) = row_logarithm(l, &mut row, f64::INFINITY);
    let len = row.len();
    write_log_softmax(l, &mut row, &sum, two_parts(ln), T::NAN, len);
}

/// The logarithm of the sum of the exponentials of a slice.
#[inline(always)]
pub(crate) fn log_sum_exp<L: ExpLanes<T>, T: Float>(l: L, x: &[T]) -> T {
    let (sum, ln) = row_logarithm(l, &mut SrcDst::reading(x), MIN_LOG_SUM_EXP);
    sum.ln_given(ln)
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
    row_sum_exp(l, &mut SrcDst::reading(x), BaseOne::Untried).sum
}

/// Results of rows of logits. Vectors have a body of its own for logits without options.
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
fn log_groups<L: ExpLanes<T>, T: Float, R: Rows<T>>(l: L, mut rows: R, empty: T, mut results: Results<'_, T>) {
    out_of_line!(l, {
        let exp = Exp::hidden_for_sums(l);
        let mut buffers = LogarithmBuffers::new(l);
        // Few losses need more than the sum, also beyond base 1.
        let (short, beyond) = match results {
            Results::CrossEntropy(..) => (LOSS_VECTORS * L::N, SHORT_ROW_VECTORS * L::N),
            _ => (beside_max_vectors::<T>() * L::N, BLOCK_ELEMENTS),
        };
        for group in row_groups(rows.shape()) {
            if let Results::CrossEntropy(classes, losses) = &mut results
                && all_ignored(&classes[group.clone()])
            {
                losses[group].fill(T::ZERO);
                continue;
            }
            group_logarithms(
                l,
                &exp,
                &mut rows,
                group.clone(),
                (&mut buffers, short, beyond),
                #[inline(always)]
                |rows: &R, at, ln, may_dominate| match &results {
                    // The losses themselves show which classes dominate.
                    Results::CrossEntropy(classes, _) => {
                        let i = group.start + at;
                        is_near(l, ln, &rows.read_row(i), classes[i])
                    }
                    Results::LogSumExp(_) => may_dominate && ln.0.abs() < MIN_LOG_SUM_EXP,
                    Results::LogSoftmax => may_dominate,
                },
            );
            match &mut results {
                Results::LogSoftmax => {
                    let in_tile = rows.shape().1 <= short && buffers.all_are_regular;
                    write_log_softmax_group(l, &mut rows, group, &buffers, in_tile, empty);
                }
                Results::LogSumExp(out) => {
                    for (at, i) in group.enumerate() {
                        out[i] = buffers.sums[at].ln_given(buffers.logarithms.get(at));
                    }
                }
                Results::CrossEntropy(classes, losses) => {
                    write_losses(l, &rows, group, &buffers, (classes, losses), empty);
                }
            }
        }
    });
}

/// Writes the losses of a group of rows. The logits of the classes are gathered first, so that
/// vectors subtract them.
#[inline(always)]
fn write_losses<L: ExpLanes<T>, T: Float>(
    l: L,
    rows: &impl Rows<T>,
    group: Range<usize>,
    LogarithmBuffers { sums, logarithms, .. }: &LogarithmBuffers<L, T>,
    (classes, losses): (&[usize], &mut [T]),
    empty: T,
) {
    let mut logits = [0.0; GROUP_ROWS];
    for (logit, i) in logits.iter_mut().zip(group.clone()) {
        *logit = class_logit(l, &rows.read_row(i), classes[i]);
    }
    let mut differences = [0.0; GROUP_ROWS];
    for (i, difference) in differences.iter_mut().enumerate().take(group.len()) {
        let logit = if logits[i].is_finite() { logits[i] } else { 0.0 };
        *difference = logarithm_minus(logarithms.get(i), logit);
    }
    for (at, i) in group.enumerate() {
        let is_ordinary = logits[at].is_finite() && sums[at].degenerate_value(empty).is_none();
        losses[i] = T::from_f64(if is_ordinary {
            differences[at]
        } else {
            loss(l, (&sums[at], logarithms.get(at)), &rows.read_row(i), classes[i], empty)
        });
    }
}

/// Writes the log-softmax of a group of rows. If they are `in_tile`, the tile has their logits, and
/// no sum is degenerate.
#[inline(always)]
fn write_log_softmax_group<L: ExpLanes<T>, T: Float>(
    l: L,
    rows: &mut impl Rows<T>,
    group: Range<usize>,
    buffers: &LogarithmBuffers<L, T>,
    in_tile: bool,
    empty: T,
) {
    let mut parts = [(T::ZERO, T::ZERO); GROUP_ROWS];
    for (at, parts) in parts.iter_mut().enumerate() {
        *parts = two_parts(buffers.logarithms.get(at));
    }
    if !in_tile {
        for (i, (sum, &parts)) in group.zip(buffers.sums.iter().zip(&parts)) {
            let len = rows.row_len(i);
            write_log_softmax(l, &mut rows.row_mut(i), sum, parts, empty, len);
            fill_masked(rows, i, T::NEG_INFINITY, empty);
        }
        return;
    }
    let vectors = rows.shape().1.div_ceil(L::N).max(1);
    for ((i, row), (first, second)) in group.zip(buffers.tile.chunks_exact(vectors)).zip(parts) {
        let (first, second) = (l.splat(first), l.splat(second));
        let (mut dst, _) = rows.dst_and_masked(i);
        for &x in row {
            let (out, rest) = dst.split_at_mut(dst.len().min(L::N));
            l.store_up_to(out, l.quiet_sub(l.quiet_sub(x, first), second));
            dst = rest;
        }
        fill_masked(rows, i, T::NEG_INFINITY, empty);
    }
}

/// A number as an unevaluated sum of two numbers of the type.
#[inline(always)]
pub(super) fn two_parts<T: Float>((high, low): Logarithm) -> (T, T) {
    let first = T::from_f64(high);
    (first, T::from_f64((high - first.to_f64()) + low))
}

/// Writes the log-softmax of a row, or of a part of it, whose sum has the logarithm
/// `first + second`, see [`two_parts`]: `(x - first) - second`, so that a large common offset costs
/// no accuracy; `empty` if all logits are -inf. The row has `row_len` elements.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
pub(super) fn write_log_softmax<L: Lanes<T>, T: Float>(
    l: L,
    row: &mut impl Row<T>,
    sum: &ExtSum<T>,
    (first, second): (T, T),
    empty: T,
    row_len: usize,
) {
    if let Some(x) = sum.degenerate_value(empty) {
        row.dst().fill(x);
        return;
    }
    let (first, second) = (l.splat(first), l.splat(second));
    map_part_by_length(
        l,
        row,
        row_len,
        #[inline(always)]
        |x| l.quiet_sub(l.quiet_sub(x, first), second),
    );
}
