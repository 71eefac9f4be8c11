//! Softmax of rows, also with the cross-entropy and its gradient.

use super::base_one::{BaseOne, base_fits};
use super::cross_entropy::{Losses, write_gradients};
use super::ext_sum::ExtSum;
use super::logarithms::LogarithmBuffers;
use super::logits::Logits;
use super::row_groups::{Rows, all_may_be_stored, fill_masked, group_sum_exp_base_one, row_groups, second_look_rows};
use super::row_scan::row_sum_exp;
use super::sum_exp::{VectorSum, row_sum_exp_store, sum_of_vectors};
use super::tuning::{BLOCK_ELEMENTS, GROUP_ROWS, Tuning};
use crate::kernels::lanes::{Float, Lanes, out_of_line};
use crate::kernels::math::compensated::{reduce_accumulator, reduce_accumulators};
use crate::kernels::math::exp::{Base, Exp, ExpLanes, Guard, InRange, Recorded, Shifted};
use crate::kernels::rows::{Row, SrcDst, fills_cache, load_up_to, map_row, mul_two_part};
use core::ops::Range;

/// Softmax of a slice, from `x` to `out`, or in place without `x`.
#[inline(always)]
pub(crate) fn softmax<L: Tuning<T>, T: Float>(l: L, x: Option<&[T]>, out: &mut [T]) {
    let mut row = SrcDst::new_or_in_place(x, out);
    // Not out of line: arguments of another function go through memory, for 10 to 20 ns.
    if !L::IS_SCALAR && (1..=L::IN_FLIGHT * L::N).contains(&row.len()) && softmax_in_flight(l, &mut row) {
        return;
    }
    softmax_row(l, &mut row, 1.0, T::NAN);
}

/// Softmax of every row.
#[inline(always)]
pub(crate) fn softmax_rows<L: Tuning<T>, T: Float>(l: L, x: Logits<'_, T>) {
    let empty = x.masked_softmax();
    if L::IS_SCALAR || !x.are_plain() {
        softmax_groups(l, x, empty, None);
    } else {
        softmax_groups(l, x.x, empty, None);
    }
}

/// Softmax of rows, a group at a time, out of line. Every result of a row is `empty` if all its
/// logits are -inf. With `losses`, the results are the gradients of the losses, which are also
/// written; such rows are not in place.
#[inline(always)]
pub(super) fn softmax_groups<L: Tuning<T>, T: Float, R: Rows<T>>(
    l: L,
    mut rows: R,
    empty: T,
    mut losses: Option<Losses<'_, T>>,
) {
    out_of_line!(l, {
        let exp = Exp::hidden_for_sums(l);
        let (row_count, cols) = rows.shape();
        let weight = losses.as_ref().map_or(1.0, Losses::folded_weight);
        let grouped = row_count > 1 && cols <= BLOCK_ELEMENTS;
        let mut sums = [ExtSum::EMPTY; GROUP_ROWS];
        let mut buffers = if losses.is_some() { Some(LogarithmBuffers::new(l)) } else { None };
        for group in row_groups((row_count, cols)) {
            if losses.as_mut().is_some_and(|losses| losses.ignore(l, &mut rows, group.clone())) {
                continue;
            }
            let all = u32::MAX >> (32 - group.len());
            // Bits of the rows whose results are written, and of those whose sums are known.
            let (written, summed);
            if grouped && cols <= L::N && losses.is_none() && !L::IS_SCALAR {
                written = softmax_one_vector_rows(l, &exp, &mut rows, group.clone());
                summed = written;
                if written == all {
                    continue;
                }
            } else if grouped && cols <= 2 * L::N && L::IN_FLIGHT >= 2 && losses.is_none() && !L::IS_SCALAR {
                written = softmax_two_vector_rows(l, &mut rows, group.clone());
                summed = written;
                if written == all {
                    continue;
                }
            } else if grouped && all_may_be_stored(l, &mut rows, group.clone()) {
                written = 0;
                let unused = &mut [false; GROUP_ROWS];
                summed = group_sum_exp_base_one::<L, T, true>(l, &exp, &mut rows, group.clone(), &mut sums, unused);
            } else {
                for (i, sum) in group.clone().zip(&mut sums) {
                    *sum = softmax_row(l, &mut rows.row_mut(i), weight, empty);
                }
                (written, summed) = (all, all);
            }
            if all & !summed != 0 {
                second_look_rows(l, &mut rows, group.clone(), summed, &mut sums);
            }
            if all & !written != 0 {
                let reciprocals = ExtSum::scaled_reciprocals(l.double(), &sums, group.len(), weight);
                for (at, i) in group.clone().enumerate() {
                    if written >> at & 1 == 0 {
                        normalize_stored(l, rows.dst_and_masked(i).0, &sums[at], reciprocals[at], empty);
                    }
                }
            }
            for i in group.clone() {
                fill_masked(&mut rows, i, T::ZERO, empty);
            }
            if let (Some(losses), Some(buffers)) = (&mut losses, &mut buffers) {
                write_gradients(l, &mut rows, group, &sums, (losses, buffers), empty);
            }
        }
    });
}

/// The softmax of a row times `weight`, out of line, and the sum of its exponentials.
#[inline(always)]
fn softmax_row<L: Tuning<T>, T: Float>(l: L, row: &mut impl Row<T>, weight: f64, empty: T) -> ExtSum<T> {
    let mut row = row.reborrow();
    out_of_line!(l, {
        if L::RECOMPUTE_FROM < f64::INFINITY && fills_cache::<T>(row.len(), L::RECOMPUTE_FROM) {
            let sum = row_sum_exp(l, &mut row, BaseOne::Untried).sum;
            match sum.degenerate_value(empty) {
                Some(x) => row.dst().fill(x),
                None => write_recomputed::<L, T, Shifted>(l, &sum, &mut row, weight),
            }
            return sum;
        }
        let sum = row_sum_exp_store(l, &mut row);
        normalize_stored(l, row.dst(), &sum, sum.scaled_reciprocal(weight), empty);
        sum
    })
}

/// Turns the stored exponentials of a row into its softmax, given the reciprocal of their sum;
/// every result is `empty` if all logits are -inf.
#[inline(always)]
pub(super) fn normalize_stored<L: Lanes<T>, T: Float>(
    l: L,
    stored: &mut [T],
    sum: &ExtSum<T>,
    reciprocal: (T, T),
    empty: T,
) {
    match sum.degenerate_value(empty) {
        Some(x) => stored.fill(x),
        None => scale_stored(l, reciprocal, stored),
    }
}

/// Softmax of a row of at most [`ExpLanes::IN_FLIGHT`] vectors, whose exponentials stay in
/// registers. Returns false, and writes nothing, if base 1 does not fit the row.
#[inline(always)]
fn softmax_in_flight<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>) -> bool {
    match row.len().div_ceil(L::N) {
        1 => softmax_vectors::<L, T, 1>(l, row),
        2 => softmax_vectors::<L, T, 2>(l, row),
        3 => softmax_vectors::<L, T, 3>(l, row),
        _ => softmax_vectors::<L, T, 4>(l, row),
    }
}

/// [`softmax_in_flight`] of a row of `K` vectors.
#[inline(always)]
fn softmax_vectors<L: ExpLanes<T>, T: Float, const K: usize>(l: L, row: &mut impl Row<T>) -> bool {
    let Some(VectorSum { e, starts, sum, .. }) = sum_of_vectors::<L, T, K>(l, row) else {
        return false;
    };
    let (first, second) = sum.scaled_reciprocal(1.0);
    let reciprocal = (l.splat(first), l.splat(second));
    for (e, start) in e.into_iter().zip(starts) {
        l.store_up_to(&mut row.dst()[start..], mul_two_part(l, e, reciprocal));
    }
    true
}

/// Softmax of a group of rows of at most a vector each, whose exponentials stay in registers.
/// Returns a bit for each row, which is 0 if base 1 does not fit the row: it is then not written.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn softmax_one_vector_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut impl Rows<T>,
    group: Range<usize>,
) -> u32 {
    let zero = l.splat(T::ZERO);
    let (mut e, mut all) = ([zero; GROUP_ROWS], zero);
    for (i, e) in group.clone().zip(&mut e) {
        let row = rows.read_row(i);
        *e = exp.eval::<Recorded>(l, load_up_to(l, &row, 0, row.len()));
        all = l.quiet_add(all, l.abs(*e));
    }
    let any_overflowed = l.exp_overflowed(all);
    // The sums of rows that do not fit stay 1: no division by 0.
    let (mut fits, mut sums) = (0, [ExtSum::<T>::base_one(1.0, 0.0); GROUP_ROWS]);
    // Exponentials that overflowed are skipped: infinite sums would raise a flag.
    if T::EPSILON > f64::EPSILON {
        for (at, (sum, &e)) in sums[..group.len()].iter_mut().zip(&e).enumerate() {
            if any_overflowed && l.exp_overflowed(e) {
                continue;
            }
            let (high, low) = reduce_accumulator(l, e, zero);
            if base_fits::<T>(high, 0.0) {
                fits |= 1 << at;
                *sum = ExtSum::base_one(high, low);
            }
        }
    } else {
        // Sums with their errors are made together.
        let d = l.double();
        let (mut highs, mut lows) = ([d.splat(0.0); GROUP_ROWS], [d.splat(0.0); GROUP_ROWS]);
        for (high, &e) in highs.iter_mut().zip(&e).take(group.len()) {
            if !(any_overflowed && l.exp_overflowed(e)) {
                (*high, _) = l.to_double(e, zero);
            }
        }
        let (highs, lows) = reduce_accumulators::<_, T>(d, (&mut highs, &mut lows), group.len());
        for (at, sum) in sums[..group.len()].iter_mut().enumerate() {
            if base_fits::<T>(highs[at], 0.0) {
                fits |= 1 << at;
                *sum = ExtSum::base_one(highs[at], lows[at]);
            }
        }
    }
    let reciprocals = ExtSum::scaled_reciprocals(l.double(), &sums, group.len(), 1.0);
    for (at, (i, (&e, &(first, second)))) in group.zip(e.iter().zip(&reciprocals)).enumerate() {
        if fits >> at & 1 == 1 {
            let y = mul_two_part(l, e, (l.splat(first), l.splat(second)));
            let (dst, masked) = rows.dst_and_masked(i);
            l.store_up_to(dst, y);
            masked.fill(T::ZERO);
        }
    }
    fits
}

/// Softmax of a group of rows of at most two vectors each, as [`softmax_vectors`] one by one: the
/// CPU works on the next rows while the sum of one is reduced. Returns what
/// [`softmax_one_vector_rows`] does.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn softmax_two_vector_rows<L: ExpLanes<T>, T: Float>(l: L, rows: &mut impl Rows<T>, group: Range<usize>) -> u32 {
    let mut fits = 0;
    for (at, i) in group.enumerate() {
        // Rows whose end is masked are shorter.
        let is_written = match rows.row_len(i).div_ceil(L::N) {
            0 => false,
            1 => softmax_vectors::<L, T, 1>(l, &mut rows.row_mut(i)),
            _ => softmax_vectors::<L, T, 2>(l, &mut rows.row_mut(i)),
        };
        if is_written {
            fits |= 1 << at;
            rows.dst_and_masked(i).1.fill(T::ZERO);
        }
    }
    fits
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
        // Hidden from the compiler as in `Exp::hidden_for_sums`. Memory is slower than reloading.
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
