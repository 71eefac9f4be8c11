//! Log-softmax and log-sum-exp of rows, a group at a time.

use super::dominated::{ln_beside_max, max_and_ln};
use super::ext_sum::ExtSum;
use super::forward::write_log_softmax;
use super::row_groups::{RowsMut, fill_masked, group_sum_exp, row_groups};
use super::short_rows::BesideMax;
use super::sum_exp::exp_base_one;
use super::tuning::GROUP_ROWS;
use crate::kernels::lanes::Float;
use crate::kernels::math::exp::ExpLanes;
use crate::kernels::rows::Rows;

/// Log-softmax of rows, a group at a time.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
pub(super) fn log_softmax_groups<L: ExpLanes<T>, T: Float>(
    l: L,
    mut rows: impl RowsMut<T>,
    (row_count, cols): (usize, usize),
    empty: T,
) {
    let (exp, beside_max) = (exp_base_one(l), BesideMax::new(l));
    let mut sums = [ExtSum::EMPTY; GROUP_ROWS];
    let mut logarithms = [(0.0, 0.0); GROUP_ROWS];
    let mut may_dominate = [false; GROUP_ROWS];
    for group in row_groups(row_count, cols) {
        group_sum_exp(l, &exp, &mut rows, group.clone(), &mut sums, &mut may_dominate);
        for (ln, sum) in logarithms.iter_mut().zip(&sums).take(group.len()) {
            *ln = sum.ln_parts();
        }
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
}

/// The logarithms of the sums of the exponentials of rows, a group at a time.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
pub(super) fn log_sum_exp_groups<L: ExpLanes<T>, T: Float>(l: L, mut x: &impl Rows<T>, out: &mut [T]) {
    let exp = exp_base_one(l);
    let (mut sums, mut may_dominate) = ([ExtSum::EMPTY; GROUP_ROWS], [false; GROUP_ROWS]);
    for group in row_groups(out.len(), x.cols()) {
        group_sum_exp(l, &exp, &mut x, group.clone(), &mut sums, &mut may_dominate);
        for (i, (sum, &may_dominate)) in group.zip(sums.iter().zip(&may_dominate)) {
            out[i] = if may_dominate { ln_beside_max(l, &mut x.read_row(i), sum) } else { sum.ln() };
        }
    }
}
