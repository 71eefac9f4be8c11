//! The logarithms of the sums of rows, of one row or of a group at a time, with log-softmax and
//! log-sum-exp of rows.
//!
//! Rows of at most [`BESIDE_MAX_VECTORS`] vectors are summed beside their maximum at once
//! ([`beside_max`](super::beside_max)). Others are so only if one exponential is a large part of
//! the sum. The choice depends on nothing but the row, so that a row has the same bits alone, in a
//! group, and in a matrix with more columns.

use super::beside_max::{self, Logarithm, Logarithms};
use super::dominated::max_and_ln;
use super::ext_sum::ExtSum;
use super::forward::write_log_softmax;
use super::row_groups::{RowsMut, fill_masked, group_sum_exp, row_groups};
use super::sum_exp::{exp_base_one, row_sum_exp, row_sum_exp_bounded};
use super::tuning::{BESIDE_MAX_VECTORS, DEFERRED_CHECK_VECTORS, GROUP_ROWS, TILE_VECTORS};
use crate::kernels::lanes::{Float, WideLanes, out_of_line};
use crate::kernels::math::exp::{Exp, ExpLanes};
use crate::kernels::rows::{Row, Rows};
use core::ops::Range;

/// The sum of the exponentials of a row and its logarithm, which has no meaning if the sum is
/// degenerate. The sum has no meaning but that if the row is short.
#[inline(always)]
pub(super) fn row_logarithm<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>) -> (ExtSum<T>, Logarithm) {
    if row.len() <= BESIDE_MAX_VECTORS * L::N {
        let ln = beside_max::logarithm::<L, T, BESIDE_MAX_VECTORS>(l, row);
        return if ln.0.is_nan() { second_look(l, row) } else { (ExtSum::base_one(1.0, 0.0), ln) };
    }
    let (sum, may_dominate) = row_sum_exp_bounded(l, &exp_base_one(l), row);
    let ln = if may_dominate { max_and_ln(l, row, &sum) } else { sum.ln_parts(l.double()) };
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
        let sum = row_sum_exp(l, &exp_base_one(l), &mut row);
        let ln = if sum.degenerate_value(T::NAN).is_some() { (0.0, 0.0) } else { max_and_ln(l, &mut row, &sum) };
        (sum, ln)
    })
}

/// What is known about the sums of a group of rows.
pub(super) struct LogarithmBuffers<L: ExpLanes<T>, T: Float> {
    /// The sums. Those of short rows have no meaning unless they are degenerate.
    pub(super) sums: [ExtSum<T>; GROUP_ROWS],
    /// The logarithms of the sums. Those of degenerate sums have no meaning.
    pub(super) logarithms: Logarithms,
    /// Scratch memory for the logits.
    tile: [L::V; TILE_VECTORS],
}

impl<L: ExpLanes<T>, T: Float> LogarithmBuffers<L, T> {
    /// Empty sums.
    #[inline(always)]
    pub(super) fn new(l: L) -> Self {
        Self {
            sums: [ExtSum::EMPTY; GROUP_ROWS],
            logarithms: Logarithms::NONE,
            tile: [l.splat(T::NEG_INFINITY); TILE_VECTORS],
        }
    }
}

/// The sums of the exponentials of a group of rows and their logarithms, as [`row_logarithm`].
/// `is_dominated` of the index of a row in the group, of the logarithm of its sum, and of whether
/// one exponential may dominate tells which rows of more than [`BESIDE_MAX_VECTORS`] vectors are
/// summed beside their maximum.
#[inline(always)]
pub(super) fn group_logarithms<L: ExpLanes<T>, T: Float>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl RowsMut<T>,
    group: Range<usize>,
    buffers: &mut LogarithmBuffers<L, T>,
    is_dominated: impl Fn(usize, Logarithm, bool) -> bool,
) {
    let mut may_dominate = [false; GROUP_ROWS];
    if rows.cols() <= BESIDE_MAX_VECTORS * L::N {
        buffers.sums.fill(ExtSum::base_one(1.0, 0.0));
    } else {
        group_sum_exp(l, exp, rows, group.clone(), &mut buffers.sums, &mut may_dominate);
    }
    logarithms_of_sums(
        l,
        rows,
        group,
        buffers,
        #[inline(always)]
        |at, ln| is_dominated(at, ln, may_dominate[at]),
    );
}

/// [`group_logarithms`] of rows whose sums are known.
#[inline(always)]
pub(super) fn logarithms_of_sums<L: ExpLanes<T>, T: Float>(
    l: L,
    rows: &mut impl RowsMut<T>,
    group: Range<usize>,
    LogarithmBuffers { sums, logarithms, tile }: &mut LogarithmBuffers<L, T>,
    is_dominated: impl Fn(usize, Logarithm) -> bool,
) {
    if rows.cols() <= BESIDE_MAX_VECTORS * L::N {
        beside_max::logarithms_of_all(l, rows, (group.start, group.len()), (tile, logarithms));
    } else {
        ln_of_sums(l, sums, group.len(), logarithms);
        let (mut listed, mut n) = ([0; GROUP_ROWS], 0);
        for at in 0..group.len() {
            let len = rows.read_row(group.start + at).len();
            if len > BESIDE_MAX_VECTORS * L::N && !is_dominated(at, logarithms.get(at)) {
                continue;
            }
            if len > DEFERRED_CHECK_VECTORS * L::N {
                logarithms.set(at, max_and_ln(l, &mut rows.row_mut(group.start + at), &sums[at]));
            } else {
                listed[n] = at;
                n += 1;
            }
        }
        if n == 0 {
            return;
        }
        beside_max::logarithms(l, rows, group.start, &listed[..n], (tile, logarithms));
    }
    if logarithms.has_nan() {
        for at in 0..group.len() {
            if logarithms.high[at].is_nan() {
                let (sum, ln) = second_look(l, &mut rows.row_mut(group.start + at));
                sums[at] = sum;
                logarithms.set(at, ln);
            }
        }
    }
}

/// The logarithms of `n` sums; those of degenerate sums have no meaning.
#[inline(always)]
fn ln_of_sums<L: WideLanes<T>, T: Float>(l: L, sums: &[ExtSum<T>; GROUP_ROWS], n: usize, results: &mut Logarithms) {
    out_of_line!(l, { ExtSum::ln_parts_of(l.double(), sums, n, results) })
}

/// Log-softmax of rows, a group at a time.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
pub(super) fn log_softmax_groups<L: ExpLanes<T>, T: Float>(
    l: L,
    mut rows: impl RowsMut<T>,
    (row_count, cols): (usize, usize),
    empty: T,
) {
    let exp = exp_base_one(l);
    let mut buffers = LogarithmBuffers::new(l);
    for group in row_groups(row_count, cols) {
        group_logarithms(
            l,
            &exp,
            &mut rows,
            group.clone(),
            &mut buffers,
            #[inline(always)]
            |_, _, dominates| dominates,
        );
        for (at, i) in group.enumerate() {
            let (sum, ln) = (&buffers.sums[at], buffers.logarithms.get(at));
            write_log_softmax(l, &mut rows.row_mut(i), sum, ln, empty);
            fill_masked(&mut rows, i, T::NEG_INFINITY, empty);
        }
    }
}

/// The logarithms of the sums of the exponentials of rows, a group at a time.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
pub(super) fn log_sum_exp_groups<L: ExpLanes<T>, T: Float>(l: L, mut x: &impl Rows<T>, out: &mut [T]) {
    let exp = exp_base_one(l);
    let mut buffers = LogarithmBuffers::new(l);
    for group in row_groups(out.len(), x.cols()) {
        group_logarithms(
            l,
            &exp,
            &mut x,
            group.clone(),
            &mut buffers,
            #[inline(always)]
            |_, _, dominates| dominates,
        );
        for (at, i) in group.enumerate() {
            out[i] = buffers.sums[at].ln_given(buffers.logarithms.get(at));
        }
    }
}
