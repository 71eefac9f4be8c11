//! Softmax, log-softmax and log-sum-exp of the columns of a row-major matrix.
//!
//! A vector holds as many columns as it has lanes, and rows follow each other: no lanes are ever
//! reduced. Bands of columns take two passes, and if a band fits the caches, only the first of them
//! reads memory:
//!
//! ```text
//! S_j = sum_i e^(x_ij)        pass 1; writes e^(x_ij) if both matrices fit the caches
//! y_ij = e^(x_ij) / S_j       pass 2: softmax; past the caches if the matrices fill them
//! y_ij = x_ij - ln S_j        pass 2: log-softmax; past the caches, too
//! ```
//!
//! As in rows, the base of the exponentials is 1. If it does not fit a column, or if one
//! exponential dominates a logarithm, the column is summed again ([`column_maxima`]). This choice,
//! the order of all sums and therefore all bits depend on nothing but the column.

use super::column_bands::{ANY_SUM, Band};
use super::column_maxima;
use super::logits::Logits;
use super::tuning::{BAND_COLUMNS, STREAMED_COLUMNS, Tuning};
use crate::kernels::lanes::Float;
use crate::kernels::math::exp::{Exp, ExpLanes, Recorded};
use crate::kernels::rows::{LINE_BYTES, SrcDstRows, fills_cache, mul_two_part};
use crate::matrix::MatRef;
use core::ops::Range;

/// The sums whose logarithms have magnitudes below 8. Log-sum-exp of others is accurate even if one
/// exponential dominates: a rounding error of the sum is at most an eighth of a unit in its last
/// place.
const INEXACT_SUMS: Range<f64> = 3.3546262790251185e-4..2980.9579870417283;

/// Softmax of every column.
#[inline(always)]
pub(crate) fn softmax_columns<L: Tuning<T>, T: Float>(l: L, x: Logits<'_, T>) {
    let (mut x, exp) = (x.x, Exp::hidden_for_sums(l));
    let stream = L::RECOMPUTE_FROM < f64::INFINITY && should_stream(&x);
    let store = !stream && !x.is_in_place();
    for columns in bands(&x) {
        let mut band = Band::new(columns);
        if !band.all_are_far(l, &x) {
            if store {
                band.add_rows::<L, true, false>(l, &exp, &mut x);
            } else {
                band.add_rows::<L, false, false>(l, &exp, &mut x);
            }
        }
        band.invert(l);
        if store {
            band.write_results::<L, true>(
                l,
                &mut x,
                stream,
                #[inline(always)]
                |_| {},
                #[inline(always)]
                |e, reciprocal| mul_two_part(l, e, reciprocal),
            );
        } else {
            band.write_results::<L, false>(
                l,
                &mut x,
                stream,
                #[inline(always)]
                |x| exp.eval_in_flight::<Recorded>(l, x),
                #[inline(always)]
                |e, reciprocal| mul_two_part(l, e, reciprocal),
            );
        }
        let mut next = 0;
        while let Some(columns) = band.next_run(l, &mut next, true) {
            let at = columns.start - band.first;
            column_maxima::softmax(l, &mut x, columns, &band.bound[at..], (&band.high[at..], &band.low[at..]));
        }
    }
}

/// Log-softmax of every column.
#[inline(always)]
pub(crate) fn log_softmax_columns<L: ExpLanes<T>, T: Float>(l: L, x: Logits<'_, T>) {
    let mut x = x.x;
    let stream = should_stream(&x);
    for columns in bands(&x) {
        let mut band = Band::new(columns);
        band.find_logarithms(l, &mut x, ANY_SUM);
        let mut next = 0;
        while let Some(columns) = band.next_run(l, &mut next, true) {
            let at = columns.start - band.first;
            let (m, ln) = column_maxima::logarithms(l, &x, columns.clone());
            for j in (0..columns.len()).filter(|j| band.bound[at + j] != T::ZERO) {
                (band.high[at + j], band.low[at + j]) = (T::from_f64(m[j]), T::from_f64(ln[j]));
            }
        }
        // All columns are written together.
        band.bound.fill(T::ZERO);
        band.has_misfits = false;
        band.write_results::<L, false>(
            l,
            &mut x,
            stream,
            #[inline(always)]
            |_| {},
            #[inline(always)]
            |x, (first, second)| l.quiet_sub(l.quiet_sub(x, first), second),
        );
    }
}

/// The logarithm of the sum of the exponentials of every column.
#[inline(always)]
pub(crate) fn log_sum_exp_columns<L: ExpLanes<T>, T: Float>(l: L, x: MatRef<'_, T>, out: &mut [T]) {
    let mut x = SrcDstRows::reading(x);
    for columns in bands(&x) {
        let mut band = Band::new(columns.clone());
        band.find_logarithms(l, &mut x, INEXACT_SUMS);
        for ((out, &first), &second) in out[columns].iter_mut().zip(&band.high).zip(&band.low) {
            *out = first + second;
        }
        let mut next = 0;
        while let Some(columns) = band.next_run(l, &mut next, true) {
            let misfits = &band.bound[columns.start - band.first..];
            column_maxima::log_sum_exp(l, &x, columns.clone(), misfits, &mut out[columns]);
        }
    }
}

/// Whether results are written past the caches.
#[inline(always)]
fn should_stream<T: Float>(x: &SrcDstRows<'_, T>) -> bool {
    let (rows, cols) = x.shape();
    !x.is_in_place() && fills_cache::<T>(rows.saturating_mul(cols), STREAMED_COLUMNS)
}

/// Bands of about equal width.
#[inline(always)]
fn bands<T: Float>(x: &SrcDstRows<'_, T>) -> impl Iterator<Item = Range<usize>> + use<T> {
    let cols = x.shape().1;
    let width = cols.div_ceil(cols.div_ceil(BAND_COLUMNS).max(1)).max(1);
    let width = width.next_multiple_of(LINE_BYTES / size_of::<T>());
    (0..cols).step_by(width).map(move |first| first..cols.min(first + width))
}
