//! Softmax of rows, also with the cross-entropy and its gradient.

use super::cross_entropy::Losses;
use super::ext_sum::ExtSum;
use super::logits::Logits;
use super::row_groups::{Rows, fill_masked, group_sum_exp_store, row_groups};
use super::sum_exp::{base_fits, exp_base_one, row_sum_exp};
use super::tuning::{GROUP_ROWS, Tuning};
use crate::kernels::lanes::{Float, Lanes, out_of_line};
use crate::kernels::math::compensated::reduce_accumulator;
use crate::kernels::math::exp::{Base, Exp, ExpLanes, Guard, InRange, Recorded, Shifted};
use crate::kernels::rows::{Row, SrcDst, map_row, mul_two_part, should_stream};
use core::ops::Range;

/// Softmax of every row.
#[inline(always)]
pub(crate) fn softmax_rows<L: Tuning<T>, T: Float>(l: L, x: Logits<'_, T>) {
    let empty = x.masked_softmax();
    match x.untransformed(l) {
        Ok(x) => softmax_groups(l, x, empty, None),
        Err(x) => softmax_groups(l, x, empty, None),
    }
}

/// Softmax of rows, a group at a time, out of line. Every result of a row is `empty` if all its
/// logits are -inf. With `losses`, the results are the gradients of the losses, which are also
/// written; such rows are not in place.
#[inline(always)]
pub(super) fn softmax_groups<L: Tuning<T>, T: Float>(
    l: L,
    mut rows: impl Rows<T>,
    empty: T,
    mut losses: Option<Losses<'_, T>>,
) {
    out_of_line!(l, {
        let exp = exp_base_one(l);
        let (_, cols) = rows.shape();
        let weight = losses.as_ref().map_or(1.0, Losses::folded_weight);
        let mut sums = [ExtSum::EMPTY; GROUP_ROWS];
        let mut reciprocals = [(T::ZERO, T::ZERO); GROUP_ROWS];
        for group in row_groups(rows.shape()) {
            if let Some(losses) = &mut losses {
                if losses.ignore(&mut rows, group.clone()) {
                    continue;
                }
            } else if cols <= L::N && softmax_one_vector_rows(l, &exp, &mut rows, group.clone()) {
                continue;
            }
            // Such a row is a group of its own.
            let recomputed = L::RECOMPUTE_LONG_ROWS && should_stream::<T>(rows.row_len(group.start));
            if recomputed {
                sums[0] = row_sum_exp(l, &mut rows.row_mut(group.start), false).sum;
            } else {
                group_sum_exp_store(l, &exp, &mut rows, group.clone(), &mut sums);
            }
            for (reciprocal, sum) in reciprocals.iter_mut().zip(&sums).take(group.len()) {
                *reciprocal = sum.scaled_reciprocal(weight);
            }
            for (i, (sum, &reciprocal)) in group.zip(sums.iter().zip(&reciprocals)) {
                match sum.degenerate_value(empty) {
                    Some(x) => rows.dst_and_masked(i).0.fill(x),
                    None if recomputed => write_recomputed::<L, T, Shifted>(l, sum, &mut rows.row_mut(i), weight),
                    None => scale_stored(l, reciprocal, rows.dst_and_masked(i).0),
                }
                fill_masked(&mut rows, i, T::ZERO, empty);
                if let Some(losses) = &mut losses {
                    losses.finish(l, &mut rows, i, sum, empty);
                }
            }
        }
    });
}

/// Softmax of a group of rows of at most a vector each, whose exponentials stay in registers.
/// Returns false, and writes nothing, if base 1 does not fit all rows.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn softmax_one_vector_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl Rows<T>,
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
        l.store_up_to(rows.dst_and_masked(i).0, y);
        fill_masked(rows, i, T::ZERO, T::ZERO);
    }
    true
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

/// Writes the exponentials of a row divided by their sum and multiplied by `weight`, out of line
/// and past the caches. `G` is the guard of a row that does not fit base 1.
#[inline(always)]
pub(crate) fn write_recomputed<L: ExpLanes<T>, T: Float, G: Guard>(
    l: L,
    sum: &ExtSum<T>,
    row: &mut impl Row<T>,
    weight: f64,
) {
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
        } else {
            map_row::<L, T, true>(
                l,
                &mut row,
                #[inline(always)]
                |x| mul_two_part(l, exp.eval::<G>(l, x), reciprocal),
            );
        }
    });
}
