//! Cross-entropy, alone or with its gradient.
//!
//! The loss takes the pass that sums the exponentials. The gradient takes the passes of softmax,
//! and shares the sum with the loss.

use super::ext_sum::ExtSum;
use super::forward::softmax_groups;
use super::logarithms::{Logarithm, LogarithmBuffers, logarithms_of_sums};
use super::logits::Logits;
use super::row_groups::Rows;
use super::tuning::{GROUP_ROWS, LOSS_VECTORS, Tuning, is_short};
use crate::kernels::lanes::{Float, Lanes, out_of_line};
use crate::kernels::math::compensated::two_sum;
use crate::kernels::math::exp::{Base, ExpLanes, expm1};
use crate::kernels::rows::Row;
use core::ops::Range;

/// The class of a row that counts for nothing.
pub(crate) const IGNORED: usize = usize::MAX;

/// A weight whose magnitude is between 1 / `MAX_FOLDED_WEIGHT` and this bound multiplies the
/// reciprocal of the sum. With other weights, the second part of the reciprocal could be subnormal
/// in f32.
const MAX_FOLDED_WEIGHT: f64 = (1_u64 << 20) as f64;

/// A loss below this limit is computed relative to the maximum. The class may then have so large a
/// part of the sum that the difference from its logarithm loses accuracy: see
/// [`beside_max`](super::beside_max).
const MIN_DIFFERENCE: f64 = 1.0;

/// `-log_softmax(x)[class]`: the logarithm of the sum minus the logit. `empty` if all logits are
/// -inf, NaN if the row has no softmax otherwise, and 0 if the class is [`IGNORED`].
#[inline(always)]
pub(super) fn loss<L: Lanes<T>, T: Float>(
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
    let logit = class_logit(l, row, class);
    if logit == f64::NEG_INFINITY {
        return f64::INFINITY;
    }
    logarithm_minus(ln, logit)
}

/// The logit of a class. That of a class that is masked by its position, or ignored, is -inf.
#[inline(always)]
pub(super) fn class_logit<L: Lanes<T>, T: Float>(l: L, row: &impl Row<T>, class: usize) -> f64 {
    if class < row.len() { row.element(l, class).to_f64() } else { f64::NEG_INFINITY }
}

/// Whether the loss of a row with the logarithm `ln` is below [`MIN_DIFFERENCE`]; false for the
/// logit -inf.
#[inline(always)]
pub(super) fn is_near<L: Lanes<T>, T: Float>(l: L, ln: Logarithm, row: &impl Row<T>, class: usize) -> bool {
    let logit = class_logit(l, row, class);
    logit > f64::NEG_INFINITY && logarithm_minus(ln, logit) < MIN_DIFFERENCE
}

/// `(high + low) - logit`, rounded about once.
#[inline(always)]
pub(super) fn logarithm_minus((high, low): (f64, f64), logit: f64) -> f64 {
    let (lead, error) = two_sum(high, -logit);
    // If the difference is infinite, its error is NaN.
    if lead.is_finite() { lead + (error + low) } else { lead }
}

/// The losses that softmax writes together with their gradients.
pub(super) struct Losses<'a, T> {
    /// The class of every row.
    classes: &'a [usize],
    /// The loss of every row.
    losses: &'a mut [T],
    /// The factor of the gradients.
    weight: T,
    /// The part of it that the reciprocal of the sum takes as a factor: all, or 1. It is computed
    /// in advance: a loop over rows might compare the weight of no losses, which may be any bits,
    /// and a comparison of NaN raises a flag.
    folded: T,
    /// Whether the reciprocal takes the whole weight.
    is_folded: bool,
}

impl<'a, T: Float> Losses<'a, T> {
    /// The losses of rows with the given classes.
    #[inline(always)]
    pub(super) fn new(classes: &'a [usize], losses: &'a mut [T], weight: T) -> Self {
        let size = weight.to_f64().abs();
        let is_folded = size < MAX_FOLDED_WEIGHT && size * MAX_FOLDED_WEIGHT > 1.0;
        Self { classes, losses, weight, folded: if is_folded { weight } else { T::ONE }, is_folded }
    }

    /// The weight, if the reciprocal of the sum takes it as a factor; otherwise 1.
    #[inline(always)]
    pub(super) fn folded_weight(&self) -> f64 {
        self.folded.to_f64()
    }

    /// Whether the loss of a row with the logarithm `ln` is below [`MIN_DIFFERENCE`].
    #[inline(always)]
    pub(super) fn is_near<L: Lanes<T>>(&self, l: L, ln: Logarithm, row: &impl Row<T>, i: usize) -> bool {
        is_near(l, ln, row, self.classes[i])
    }

    /// Whether no row of a group counts. Their losses and gradients are then written.
    #[inline(always)]
    pub(super) fn ignore<L: Lanes<T>>(&mut self, l: L, rows: &mut impl Rows<T>, group: Range<usize>) -> bool {
        let ignored = all_ignored(&self.classes[group.clone()]);
        if ignored {
            self.write_ignored(l, rows, group);
        }
        ignored
    }

    /// Writes the loss of a row whose softmax times [`Self::folded_weight`] is in its destination,
    /// and turns that into the gradient.
    #[inline(always)]
    pub(super) fn write_gradient<L: Lanes<T>>(
        &mut self,
        l: L,
        rows: &mut impl Rows<T>,
        i: usize,
        (sum, ln): (&ExtSum<T>, Logarithm),
        empty: T,
    ) {
        let class = self.classes[i];
        if class == IGNORED {
            return self.write_ignored(l, rows, i..i + 1);
        }
        let loss = loss(l, (sum, ln), &rows.read_row(i), class, empty);
        self.losses[i] = T::from_f64(loss);
        if sum.degenerate_value(empty).is_some() {
            return;
        }
        let (gradient, masked) = rows.dst_and_masked(i);
        let (weight, folded, len) = (self.weight, self.folded, gradient.len());
        let of_class = if class < len { &mut gradient[class] } else { &mut masked[class - len] };
        *of_class = *of_class - folded;
        if !self.is_folded {
            for x in &mut *gradient {
                *x = *x * weight + T::ZERO;
            }
            for x in &mut *masked {
                *x = *x * weight + T::ZERO;
            }
        }
        if loss < MIN_DIFFERENCE {
            // The softmax minus 1, without a cancellation, rounded once. The addition makes -0 a 0.
            let of_class = if class < len { &mut gradient[class] } else { &mut masked[class - len] };
            *of_class = T::from_f64(weight.to_f64() * expm1(-loss) + 0.0);
        }
    }

    /// Writes the losses and the gradients of rows that do not count, out of line.
    #[inline(always)]
    fn write_ignored<L: Lanes<T>>(&mut self, l: L, rows: &mut impl Rows<T>, ignored: Range<usize>) {
        let (losses, mut rows) = (&mut *self.losses, rows.reborrow());
        out_of_line!(l, {
            for i in ignored {
                losses[i] = T::ZERO;
                let (gradient, masked) = rows.dst_and_masked(i);
                gradient.fill(T::ZERO);
                masked.fill(T::ZERO);
            }
        });
    }
}

/// Writes the losses and the gradients of a group of rows whose softmax is written, given the sums
/// of their exponentials.
#[inline(always)]
pub(super) fn write_gradients<L: ExpLanes<T>, T: Float, R: Rows<T>>(
    l: L,
    rows: &mut R,
    group: Range<usize>,
    sums: &[ExtSum<T>; GROUP_ROWS],
    (losses, buffers): (&mut Losses<'_, T>, &mut LogarithmBuffers<L, T>),
    empty: T,
) {
    // A copy, because logarithms may replace it. The stored exponentials need theirs.
    buffers.sums = *sums;
    logarithms_of_sums(
        l,
        rows,
        group.clone(),
        (&mut *buffers, LOSS_VECTORS * L::N),
        #[inline(always)]
        |rows: &R, at, ln| {
            // As without a gradient, short rows beyond base 1 are summed beside their maximum.
            let (i, beyond) = (group.start + at, sums[at].base() != Base::ONE);
            beyond && is_short::<L, T>(l, rows.row_len(i)) || losses.is_near(l, ln, &rows.read_row(i), i)
        },
    );
    for (at, i) in group.enumerate() {
        losses.write_gradient(l, rows, i, (&sums[at], buffers.logarithms.get(at)), empty);
    }
}

/// The cross-entropy of every row, and in its destination the gradient of `weight` times the loss
/// with respect to the logits: `weight * (softmax - one_hot(class))`; 0 if the class is
/// [`IGNORED`]. A weight whose magnitude is not between 2^-20 and 2^20 is multiplied in a pass of
/// its own.
#[inline(always)]
pub(crate) fn cross_entropy_gradient_rows<L: Tuning<T>, T: Float>(
    l: L,
    x: Logits<'_, T>,
    classes: &[usize],
    weight: T,
    losses: &mut [T],
) {
    let (empty, losses) = (x.masked_softmax(), Losses::new(classes, losses, weight));
    if L::IS_SCALAR || !x.are_plain() {
        softmax_groups(l, x, empty, Some(losses));
    } else {
        softmax_groups(l, x.x, empty, Some(losses));
    }
}

/// Whether no class counts.
#[inline(always)]
pub(super) fn all_ignored(classes: &[usize]) -> bool {
    let mut all = true;
    for &class in classes {
        all &= class == IGNORED;
    }
    all
}
