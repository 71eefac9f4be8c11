//! Cross-entropy, alone or with its gradient.
//!
//! The loss takes the pass that sums the exponentials. The gradient takes the passes of softmax,
//! and shares the sum with the loss.

use super::dominated::max_and_ln;
use super::ext_sum::ExtSum;
use super::forward::{normalize_stored, write_recomputed};
use super::row_groups::{RowsInto, RowsMut, group_sum_exp, group_sum_exp_store, row_groups};
use super::sum_exp::{exp_base_one, row_sum_exp};
use super::tuning::{GROUP_ROWS, Tuning};
use crate::kernels::lanes::Float;
use crate::kernels::math::compensated::two_sum;
use crate::kernels::math::exp::{ExpLanes, expm1};
use crate::kernels::rows::{Row, Rows, should_stream};
use crate::matrix::{MatMut, MatRef};

/// A weight whose magnitude is between 1 / `MAX_FOLDED_WEIGHT` and this bound multiplies the
/// reciprocal of the sum. With other weights, intermediate results could leave the range of f32.
const MAX_FOLDED_WEIGHT: f64 = (1_u64 << 60) as f64;

/// A loss below this limit is computed relative to the maximum, see [`max_and_ln`]: the class may
/// then have so large a part of the sum that the difference from its logarithm loses accuracy.
const MIN_DIFFERENCE: f64 = 1.0;

/// `-log_softmax(x)[class]`: the logarithm of the sum minus the logit; NaN if the row has no
/// softmax.
#[inline(always)]
fn loss<L: ExpLanes<T>, T: Float>(l: L, sum: &ExtSum<T>, row: &mut impl Row<T>, class: usize) -> f64 {
    if sum.degenerate_value(T::NAN).is_some() {
        return f64::NAN;
    }
    let logit = row.load_tail(l, class, class + 1);
    let logit = l.to_array(logit)[0].to_f64();
    let loss = logarithm_minus(sum.ln_parts(), logit);
    if loss < MIN_DIFFERENCE { logarithm_minus(max_and_ln(l, row, sum), logit) } else { loss }
}

/// `(high + low) - logit`, rounded about once.
#[inline(always)]
fn logarithm_minus((high, low): (f64, f64), logit: f64) -> f64 {
    let (lead, error) = two_sum(high, -logit);
    // If the difference is infinite, its error is NaN.
    if lead.is_finite() { lead + (error + low) } else { lead }
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
    // The losses themselves show which classes dominate.
    let (mut sums, mut unused) = ([ExtSum::EMPTY; GROUP_ROWS], [false; GROUP_ROWS]);
    for group in row_groups(x.rows(), x.cols()) {
        group_sum_exp(l, &exp, &x, group.clone(), &mut sums, &mut unused);
        for (i, sum) in group.zip(&sums) {
            losses[i] = T::from_f64(loss(l, sum, &mut x.row_into(i, &mut []), classes[i]));
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
            let (loss, class) = (loss(l, sum, &mut rows.row_mut(i), classes[i]), classes[i]);
            losses[i] = T::from_f64(loss);
            if recomputed && sum.degenerate_value(T::NAN).is_none() {
                write_recomputed(l, sum, &mut rows.row_mut(i), folded.to_f64());
            } else {
                normalize_stored(l, rows.dst(i), sum, sum.scaled_reciprocal(folded.to_f64()), T::NAN);
            }
            let gradient = rows.dst(i);
            gradient[class] = gradient[class] - folded;
            if folded != weight {
                gradient.iter_mut().for_each(|x| *x = *x * weight);
            }
            if loss < MIN_DIFFERENCE {
                // The softmax minus 1, without a cancellation. The addition makes -0 a 0.
                gradient[class] = T::from_f64(weight.to_f64() * expm1(-loss) + 0.0);
            }
        }
    }
}
