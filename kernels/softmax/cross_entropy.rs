//! Cross-entropy, alone or with its gradient.
//!
//! The loss takes the pass that sums the exponentials. The gradient takes the passes of softmax,
//! and shares the sum with the loss.

use super::ext_sum::ExtSum;
use super::forward::{normalize_stored, write_recomputed};
use super::row_groups::{RowsInto, RowsMut, group_sum_exp, group_sum_exp_store, row_groups};
use super::sum_exp::{exp_base_one, row_sum_exp};
use super::tuning::{GROUP_ROWS, Tuning};
use crate::kernels::lanes::Float;
use crate::kernels::math::exp::ExpLanes;
use crate::kernels::rows::should_stream;
use crate::matrix::{MatMut, MatRef};

/// A weight whose magnitude is between 1 / `MAX_FOLDED_WEIGHT` and this bound multiplies the
/// reciprocal of the sum. With other weights, intermediate results could leave the range of f32.
const MAX_FOLDED_WEIGHT: f64 = (1_u64 << 60) as f64;

/// `-log_softmax(x)[class]`: the logarithm `high + low` of the sum, minus the logit; NaN if the row
/// has no softmax.
#[inline(always)]
fn loss<T: Float>(sum: &ExtSum<T>, (high, low): (f64, f64), logit: T) -> T {
    sum.degenerate_value(T::NAN).unwrap_or_else(|| T::from_f64((high - logit.to_f64()) + low))
}

/// The cross-entropy of the softmax of every row with its class, which is below the number of
/// columns.
#[inline(always)]
pub(crate) fn cross_entropy_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    x: MatRef<'_, T>,
    classes: &[usize],
    losses: &mut [T],
) {
    let exp = exp_base_one(l);
    let mut sums = [ExtSum::EMPTY; GROUP_ROWS];
    for group in row_groups(x.rows(), x.cols()) {
        group_sum_exp(l, &exp, &x, group.clone(), &mut sums);
        for (i, sum) in group.zip(&sums) {
            losses[i] = loss(sum, sum.ln_parts(), x.row(i)[classes[i]]);
        }
    }
}

/// [`cross_entropy_rows`], and the gradient of `weight` times each loss with respect to the logits:
/// `weight * (softmax - one_hot(class))`. A weight whose magnitude is not between 2^-60 and 2^60 is
/// multiplied in a pass of its own.
#[inline(always)]
pub(crate) fn cross_entropy_gradient_rows<L: Tuning<T>, T: Float>(
    l: L,
    x: MatRef<'_, T>,
    classes: &[usize],
    weight: T,
    losses: &mut [T],
    gradient: MatMut<'_, T>,
) {
    let exp = exp_base_one(l);
    let (row_count, cols) = (x.rows(), x.cols());
    let size = weight.to_f64().abs();
    let folded = if size < MAX_FOLDED_WEIGHT && size * MAX_FOLDED_WEIGHT > 1.0 { weight } else { T::ONE };
    let mut rows = RowsInto { src: x, dst: gradient };
    let mut sums = [ExtSum::EMPTY; GROUP_ROWS];
    for group in row_groups(row_count, cols) {
        let recomputed = L::RECOMPUTE_LONG_ROWS && should_stream::<T>(cols);
        if recomputed {
            // Such a row is a group of its own.
            sums[0] = row_sum_exp(l, &exp, &mut rows.row_mut(group.start));
        } else {
            group_sum_exp_store(l, &exp, &mut rows, group.clone(), &mut sums);
        }
        for (i, sum) in group.zip(&sums) {
            losses[i] = loss(sum, sum.ln_parts(), x.row(i)[classes[i]]);
            if recomputed && sum.degenerate_value(T::NAN).is_none() {
                write_recomputed(l, sum, &mut rows.row_mut(i), folded.to_f64());
            } else {
                normalize_stored(l, rows.dst(i), sum, sum.scaled_reciprocal(folded.to_f64()), T::NAN);
            }
            let gradient = rows.dst(i);
            gradient[classes[i]] = gradient[classes[i]] - folded;
            if folded != weight {
                gradient.iter_mut().for_each(|x| *x = *x * weight);
            }
        }
    }
}
