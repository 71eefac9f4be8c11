//! The logarithms of the sums of rows, of one row or of a group at a time, and what is made of
//! them: log-softmax, log-sum-exp and cross-entropy.
//!
//! Rows of at most [`beside_max_vectors`] vectors are summed beside their maximum at once
//! ([`beside_max`](super::beside_max)). Others are so only if one exponential is a large part of
//! the sum. The choice depends on nothing but the row, so that a row has the same bits alone, in a
//! group, and in a matrix with more columns.

use super::beside_max::{self, Logarithm, Logarithms};
use super::cross_entropy::{all_ignored, class_logit, is_near, logarithm_minus, loss};
use super::dominated::max_and_ln;
use super::ext_sum::ExtSum;
use super::logits::Logits;
use super::row_groups::{Rows, all_may_fit_base_one, fill_masked, group_sum_exp_base_one, row_groups};
use super::sum_exp::{RowSum, row_sum_exp};
use super::tuning::{
    BLOCK_ELEMENTS, GROUP_ROWS, LOSS_VECTORS, MAX_BESIDE_VECTORS, TILE_VECTORS, beside_max_vectors, is_short,
};
use crate::kernels::lanes::{Float, Lanes, WideLanes, out_of_line};
use crate::kernels::math::exp::{Exp, ExpLanes};
use crate::kernels::rows::{Row, SrcDst, map_row_by_length};
use core::ops::Range;

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
    out_of_line!(l, {
        let (sum, ln) = row_logarithm(l, &mut row);
        write_log_softmax(l, &mut row, &sum, two_parts(ln), T::NAN);
    });
}

/// The logarithm of the sum of the exponentials of a slice.
#[inline(always)]
pub(crate) fn log_sum_exp<L: ExpLanes<T>, T: Float>(l: L, x: &[T]) -> T {
    let (sum, ln) = row_logarithm(l, &mut SrcDst::reading(x));
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
    row_sum_exp(l, &mut SrcDst::reading(x), false).sum
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
        let short = match results {
            Results::CrossEntropy(..) => LOSS_VECTORS * L::N,
            _ => beside_max_vectors::<T>() * L::N,
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
                (&mut buffers, short),
                #[inline(always)]
                |rows: &R, at, ln, may_dominate| match &results {
                    // The losses themselves show which classes dominate.
                    Results::CrossEntropy(classes, _) => {
                        let i = group.start + at;
                        is_near(l, ln, &rows.read_row(i), classes[i])
                    }
                    _ => may_dominate,
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

/// The sum of the exponentials of a row and its logarithm. If the sum is degenerate, the logarithm
/// has no meaning. Of a row that is summed beside its maximum at once, the sum is 1.
#[inline(always)]
fn row_logarithm<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>) -> (ExtSum<T>, Logarithm) {
    if row.len() <= beside_max_vectors::<T>() * L::N {
        let ln = beside_max::logarithm::<L, T, MAX_BESIDE_VECTORS>(l, row);
        return if ln.0.is_nan() { second_look(l, row) } else { (ExtSum::base_one(1.0, 0.0), ln) };
    }
    let RowSum { sum, may_dominate, fits_base_one } = row_sum_exp(l, row, false);
    // Groups of short rows take those beyond base 1 beside their maximum, too.
    let beside_max = !fits_base_one && is_short::<L, T>(l, row.len());
    let ln = if may_dominate || beside_max && sum.degenerate_value(T::NAN).is_none() {
        max_and_ln(l, row, &sum)
    } else {
        sum.ln_parts(l.double())
    };
    (sum, ln)
}

/// [`row_logarithm`] of a row without a result of [`beside_max`].
#[inline(always)]
fn second_look<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>) -> (ExtSum<T>, Logarithm) {
    let mut row = row.reborrow();
    out_of_line!(l, {
        if row.len() == 1 {
            let x = row.element(l, 0).to_f64();
            if x.is_finite() {
                return (ExtSum::base_one(1.0, 0.0), (x, 0.0));
            }
        }
        let sum = row_sum_exp(l, &mut row, false).sum;
        let ln = if sum.degenerate_value(T::NAN).is_some() { (0.0, 0.0) } else { max_and_ln(l, &mut row, &sum) };
        (sum, ln)
    })
}

/// What is known about the sums of a group of rows.
pub(super) struct LogarithmBuffers<L: ExpLanes<T>, T: Float> {
    /// The sums; 1 for rows that are summed beside their maximum at once.
    pub(super) sums: [ExtSum<T>; GROUP_ROWS],
    /// The logarithms of the sums. Those of degenerate sums have no meaning.
    pub(super) logarithms: Logarithms,
    /// The logits of short rows, or scratch memory.
    tile: [L::V; TILE_VECTORS],
    /// Whether no sum is degenerate, if the rows are short.
    all_are_regular: bool,
}

impl<L: ExpLanes<T>, T: Float> LogarithmBuffers<L, T> {
    /// Empty sums.
    #[inline(always)]
    pub(super) fn new(l: L) -> Self {
        Self {
            sums: [ExtSum::EMPTY; GROUP_ROWS],
            logarithms: Logarithms::EMPTY,
            tile: [l.splat(T::NEG_INFINITY); TILE_VECTORS],
            all_are_regular: false,
        }
    }
}

/// The sums of the exponentials of a group of rows and their logarithms, as [`row_logarithm`].
///
/// Rows of at most `short` elements are summed beside their maximum. Whether a longer row is, the
/// closure `is_dominated` says. Its arguments are the rows, the index of the row in the group, the
/// logarithm of the sum, and whether one exponential may dominate.
#[inline(always)]
fn group_logarithms<L: ExpLanes<T>, T: Float, R: Rows<T>>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut R,
    group: Range<usize>,
    (buffers, short): (&mut LogarithmBuffers<L, T>, usize),
    is_dominated: impl Fn(&R, usize, Logarithm, bool) -> bool,
) {
    let (mut may_dominate, mut beside_max) = ([false; GROUP_ROWS], 0);
    let (_, cols) = rows.shape();
    if cols <= short {
        buffers.sums.fill(ExtSum::base_one(1.0, 0.0));
    } else if cols <= BLOCK_ELEMENTS && all_may_fit_base_one(l, rows, group.clone()) {
        let (sums, may_dominate) = (&mut buffers.sums, &mut may_dominate);
        let fits = group_sum_exp_base_one::<L, T, false>(l, exp, rows, group.clone(), sums, may_dominate);
        for (at, i) in group.clone().enumerate().filter(|&(at, _)| fits >> at & 1 == 0) {
            if is_short::<L, T>(l, rows.row_len(i)) {
                sums[at] = ExtSum::base_one(1.0, 0.0);
                beside_max |= 1 << at;
            } else {
                let sum = row_sum_exp(l, &mut rows.row_mut(i), true);
                (sums[at], may_dominate[at]) = (sum.sum, sum.may_dominate);
            }
        }
    } else {
        for (at, i) in group.clone().enumerate() {
            let RowSum { sum, may_dominate: dominates, fits_base_one } = row_sum_exp(l, &mut rows.row_mut(i), false);
            (buffers.sums[at], may_dominate[at]) = (sum, dominates);
            if !fits_base_one && is_short::<L, T>(l, rows.row_len(i)) {
                beside_max |= u32::from(sum.degenerate_value(T::NAN).is_none()) << at;
            }
        }
    }
    logarithms_of_sums(
        l,
        rows,
        group,
        (buffers, short),
        #[inline(always)]
        |rows: &R, at, ln| beside_max >> at & 1 == 1 || is_dominated(rows, at, ln, may_dominate[at]),
    );
}

/// [`group_logarithms`] of rows whose sums are known.
#[inline(always)]
pub(super) fn logarithms_of_sums<L: ExpLanes<T>, T: Float, R: Rows<T>>(
    l: L,
    rows: &mut R,
    group: Range<usize>,
    (buffers, short): (&mut LogarithmBuffers<L, T>, usize),
    is_dominated: impl Fn(&R, usize, Logarithm) -> bool,
) {
    let LogarithmBuffers { sums, logarithms, tile, all_are_regular } = buffers;
    if rows.shape().1 <= short {
        beside_max::logarithms_of_all(l, rows, (group.start, group.len()), (tile, logarithms));
    } else {
        ln_of_sums(l, sums, group.len(), logarithms);
        let (mut listed, mut n) = ([0; GROUP_ROWS], 0);
        for (at, sum) in sums.iter().enumerate().take(group.len()) {
            let len = rows.row_len(group.start + at);
            if len > short && !is_dominated(rows, at, logarithms.get(at)) {
                continue;
            }
            if is_short::<L, T>(l, len) {
                listed[n] = at;
                n += 1;
            } else {
                logarithms.set(at, max_and_ln(l, &mut rows.row_mut(group.start + at), sum));
            }
        }
        if n == 0 {
            return;
        }
        beside_max::logarithms(l, rows, group.start, &listed[..n], (tile, logarithms));
    }
    *all_are_regular = !logarithms.has_nan();
    if !*all_are_regular {
        for (at, sum) in sums.iter_mut().enumerate().take(group.len()) {
            if logarithms.high[at].is_nan() {
                let ln;
                (*sum, ln) = second_look(l, &mut rows.row_mut(group.start + at));
                logarithms.set(at, ln);
            }
        }
    }
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

/// The logarithms of `n` sums; those of degenerate sums have no meaning.
#[inline(always)]
fn ln_of_sums<L: WideLanes<T>, T: Float>(l: L, sums: &[ExtSum<T>; GROUP_ROWS], n: usize, results: &mut Logarithms) {
    out_of_line!(l, { ExtSum::ln_parts_of(l.double(), sums, n, results) })
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
            write_log_softmax(l, &mut rows.row_mut(i), sum, parts, empty);
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
fn two_parts<T: Float>((high, low): Logarithm) -> (T, T) {
    let first = T::from_f64(high);
    (first, T::from_f64((high - first.to_f64()) + low))
}

/// Writes the log-softmax of a row whose sum has the logarithm `first + second`, see [`two_parts`]:
/// `(x - first) - second`, so that a large common offset costs no accuracy; `empty` if all logits
/// are -inf.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn write_log_softmax<L: Lanes<T>, T: Float>(
    l: L,
    row: &mut impl Row<T>,
    sum: &ExtSum<T>,
    (first, second): (T, T),
    empty: T,
) {
    if let Some(x) = sum.degenerate_value(empty) {
        row.dst().fill(x);
        return;
    }
    let (first, second) = (l.splat(first), l.splat(second));
    map_row_by_length(
        l,
        row,
        #[inline(always)]
        |x| l.quiet_sub(l.quiet_sub(x, first), second),
    );
}
