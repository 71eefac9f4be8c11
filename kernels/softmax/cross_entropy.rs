//! Cross-entropy, alone or with its gradient.
//!
//! The loss takes the pass that sums the exponentials. The gradient takes the passes of softmax,
//! and shares the sum with the loss.

use super::beside_max::Logarithm;
use super::ext_sum::ExtSum;
use super::forward::{normalize_stored, write_recomputed};
use super::log_rows::{LogarithmBuffers, group_logarithms, logarithms_of_sums};
use super::logits::Logits;
use super::row_groups::{RowsInto, RowsMut, fill_masked, group_sum_exp_store, row_groups};
use super::sum_exp::{exp_base_one, row_sum_exp};
use super::tuning::{GROUP_ROWS, Tuning};
use crate::kernels::lanes::{Float, Lanes};
use crate::kernels::math::compensated::two_sum;
use crate::kernels::math::exp::{ExpLanes, expm1};
use crate::kernels::rows::{Row, Rows, should_stream};
use crate::matrix::MatMut;

/// The class of a row that counts for nothing.
pub(crate) const IGNORED: usize = usize::MAX;

/// A weight whose magnitude is between 1 / `MAX_FOLDED_WEIGHT` and this bound multiplies the
/// reciprocal of the sum. With other weights, intermediate results could leave the range of f32.
const MAX_FOLDED_WEIGHT: f64 = (1_u64 << 60) as f64;

/// A loss below this limit is computed relative to the maximum, see [`max_and_ln`]: the class may
/// then have so large a part of the sum that the difference from its logarithm loses accuracy.
const MIN_DIFFERENCE: f64 = 1.0;

/// `-log_softmax(x)[class]`: the logarithm of the sum minus the logit. `empty` if all logits are
/// -inf, NaN if the row has no softmax otherwise, and 0 if the class is [`IGNORED`].
#[inline(always)]
fn loss<L: Lanes<T>, T: Float>(
    l: L,
    (sum, ln): (&ExtSum<T>, Logarithm),
    row: &impl Row<T>,
    class: usize,
    empty: T,
) -> f64 {
    if class == IGNORED {
        return 0.0;
    }
    if let Some(value) = sum.degenerate_value(empty) {
        return value.to_f64();
    }
    // A class that is masked by its position has the logit -inf.
    let logit = if class < row.len() { row.element(l, class).to_f64() } else { f64::NEG_INFINITY };
    if logit == f64::NEG_INFINITY {
        return f64::INFINITY;
    }
    logarithm_minus(ln, logit)
}

/// `(high + low) - logit`, rounded about once.
#[inline(always)]
fn logarithm_minus((high, low): (f64, f64), logit: f64) -> f64 {
    let (lead, error) = two_sum(high, -logit);
    // If the difference is infinite, its error is NaN.
    if lead.is_finite() { lead + (error + low) } else { lead }
}

/// The cross-entropy of the softmax of every row with its class, which is a column or [`IGNORED`].
#[inline(always)]
pub(crate) fn cross_entropy_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    x: Logits<'_, T>,
    classes: &[usize],
    losses: &mut [T],
) {
    let empty = x.masked_loss();
    match x.untransformed(l) {
        Some(x) => cross_entropy_groups(l, &x, classes, losses, empty),
        None => cross_entropy_groups(l, &x, classes, losses, empty),
    }
}

/// Cross-entropy of rows, a group at a time.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn cross_entropy_groups<L: ExpLanes<T>, T: Float>(
    l: L,
    mut x: &impl Rows<T>,
    classes: &[usize],
    losses: &mut [T],
    empty: T,
) {
    let exp = exp_base_one(l);
    let mut buffers = LogarithmBuffers::new(l);
    for group in row_groups(losses.len(), x.cols()) {
        if all_ignored(&classes[group.clone()]) {
            losses[group].fill(T::ZERO);
            continue;
        }
        let matrix = x;
        group_logarithms(
            l,
            &exp,
            &mut x,
            group.clone(),
            &mut buffers,
            #[inline(always)]
            |at, ln, _| {
                // The losses themselves show which classes dominate.
                let i = group.start + at;
                loss(l, (&ExtSum::base_one(1.0, 0.0), ln), &matrix.read_row(i), classes[i], empty) < MIN_DIFFERENCE
            },
        );
        for (at, i) in group.enumerate() {
            let (sum, ln) = (&buffers.sums[at], buffers.logarithms.get(at));
            losses[i] = T::from_f64(loss(l, (sum, ln), &matrix.read_row(i), classes[i], empty));
        }
    }
}

/// [`cross_entropy_rows`], and the gradient of `weight` times each loss with respect to the logits:
/// `weight * (softmax - one_hot(class))`; 0 if the class is [`IGNORED`]. A weight whose magnitude
/// is not between 2^-60 and 2^60 is multiplied in a pass of its own.
#[inline(always)]
pub(crate) fn cross_entropy_gradient_rows<L: Tuning<T>, T: Float>(
    l: L,
    x: Logits<'_, T>,
    classes: &[usize],
    weight: T,
    losses: &mut [T],
    gradient: MatMut<'_, T>,
) {
    let empty = x.masked_loss();
    match x.untransformed(l) {
        Some(x) => gradient_groups(l, RowsInto { src: x, dst: gradient }, classes, weight, losses, empty),
        None => gradient_groups(l, RowsInto { src: x, dst: gradient }, classes, weight, losses, empty),
    }
}

/// Cross-entropy of rows with its gradient, a group at a time.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn gradient_groups<L: Tuning<T>, T: Float>(
    l: L,
    mut rows: RowsInto<'_, impl Rows<T>, T>,
    classes: &[usize],
    weight: T,
    losses: &mut [T],
    empty: T,
) {
    let exp = exp_base_one(l);
    let cols = RowsMut::cols(&rows);
    let size = weight.to_f64().abs();
    let folded = if size < MAX_FOLDED_WEIGHT && size * MAX_FOLDED_WEIGHT > 1.0 { weight } else { T::ONE };
    let (mut sums, mut buffers) = ([ExtSum::EMPTY; GROUP_ROWS], LogarithmBuffers::new(l));
    for group in row_groups(losses.len(), cols) {
        if all_ignored(&classes[group.clone()]) {
            for i in group {
                losses[i] = T::ZERO;
                rows.dst.row_mut(i).fill(T::ZERO);
            }
            continue;
        }
        let recomputed = L::RECOMPUTE_LONG_ROWS && should_stream::<T>(rows.src.row_len(group.start));
        if recomputed {
            // Such a row is a group of its own.
            sums[0] = row_sum_exp(l, &exp, &mut rows.row_mut(group.start));
        } else {
            group_sum_exp_store(l, &exp, &mut rows, group.clone(), &mut sums);
        }
        let (mut src, matrix) = (&rows.src, &rows.src);
        // The sums of stored exponentials keep their bases.
        buffers.sums = sums;
        logarithms_of_sums(
            l,
            &mut src,
            group.clone(),
            &mut buffers,
            #[inline(always)]
            |at, ln| {
                let i = group.start + at;
                loss(l, (&ExtSum::base_one(1.0, 0.0), ln), &matrix.read_row(i), classes[i], empty) < MIN_DIFFERENCE
            },
        );
        for (at, i) in group.enumerate() {
            let (sum, ln) = (&sums[at], buffers.logarithms.get(at));
            let class = classes[i];
            let loss = loss(l, (sum, ln), &rows.read_row(i), class, empty);
            losses[i] = T::from_f64(loss);
            if class == IGNORED {
                rows.dst.row_mut(i).fill(T::ZERO);
                continue;
            }
            if let Some(x) = sum.degenerate_value(empty) {
                rows.dst.row_mut(i).fill(x);
                continue;
            }
            if recomputed {
                write_recomputed(l, sum, &mut rows.row_mut(i), folded.to_f64());
            } else {
                normalize_stored(l, rows.dst(i), sum, sum.scaled_reciprocal(folded.to_f64()), T::NAN);
            }
            fill_masked(&mut rows, i, T::ZERO, T::NAN);
            let gradient = rows.dst.row_mut(i);
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

/// Whether no class counts.
#[inline(always)]
fn all_ignored(classes: &[usize]) -> bool {
    let mut all = true;
    for &class in classes {
        all &= class == IGNORED;
    }
    all
}
