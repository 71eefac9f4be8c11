//! The first candidate with an improving swap.

use super::hit_scan::hit_scan;
use super::masked_scan::{masked_scan, relative_error};
use super::tuning::{MAX_MASKED_K, MAX_TWO_TABLE_K, SCAN_ROWS, max_masked_k};
use super::{CandidateSums, FoundSwap, NearestRef, Scan, Swap, candidate_rows, weighted};
use crate::kernels::lanes::{Float, IndexLanes, Lanes, WideLanes, out_of_line};

/// Returns whether some swap of a candidate with these sums may change the loss by less than
/// `limit`. The relative error of each sum is at most `error`; `slack` bounds the absolute error
/// that underflow adds. If a sum overflowed, a swap is possible.
#[inline(always)]
fn may_improve(a: f64, t: &[f64], error: f64, slack: f64, limit: f64) -> bool {
    let mut min = f64::INFINITY;
    let mut total = a;
    for &t in t {
        min = if t < min { t } else { min };
        total += t;
    }
    !total.is_finite() || a - error * a.abs() + min - error * min - slack < limit
}

/// Returns the change of the loss if the object of `row` becomes the only medoid.
#[inline(always)]
fn single_medoid_delta<L: WideLanes<T>, T: Float, const WEIGHTED: bool>(
    l: L,
    row: &[T],
    near: &NearestRef<'_, T>,
) -> f64 {
    let mut change = l.widen(l.splat(T::ZERO));
    for (i, chunk) in row.chunks(L::N).enumerate() {
        let at = i * L::N;
        let gained = l.sub_wide(l.widen(l.load_tail(chunk, T::ZERO)), l.widen(l.load(&near.d1[at..])));
        change = l.add_wide(change, weighted::<L, T, WEIGHTED>(l, near.weights, at, gained));
    }
    l.reduce_sum_wide(change)
}

/// Returns the smallest element; NaN is ignored.
#[inline(always)]
fn minimum<L: Lanes<f64>>(l: L, x: &[f64]) -> f64 {
    let mut min = l.splat(f64::INFINITY);
    for chunk in x.chunks(L::N) {
        min = l.min(l.load_tail(chunk, f64::INFINITY), min);
    }
    l.reduce_min(min)
}

/// Returns the candidate's best swap if it changes the loss by less than the limit. Of clusters
/// within the rounding bound of the best one, the first is chosen.
#[inline(always)]
fn best_swap<L: Lanes<f64>, T>(
    l: L,
    scan: Scan<'_, T>,
    candidate_index: usize,
    a: f64,
    t: &[f64],
    rounding_bound: f64,
) -> Option<Swap> {
    let min = minimum(l, t);
    if a + min < scan.limit {
        let cluster = t.iter().position(|&t| t <= min + rounding_bound)?;
        let candidate = scan.candidates[candidate_index];
        Some(Swap { candidate, candidate_index, cluster, delta: a + t[cluster] })
    } else {
        None
    }
}

/// Scans one candidate with sums in `f64`, out of line, and returns its best swap if it changes the
/// loss by less than the limit.
#[inline(always)]
fn exact_swap<L: IndexLanes<T> + WideLanes<T> + Lanes<f64>, T: Float, const WEIGHTED: bool>(
    l: L,
    scan: Scan<'_, T>,
    candidate_index: usize,
    near: &NearestRef<'_, T>,
    t: &mut [f64],
) -> FoundSwap {
    out_of_line!(l, {
        let k = near.removal_losses.len();
        let row = scan.d.row(scan.candidates[candidate_index]);
        let a = if k == 1 {
            // The only R_i would be infinite, because there is no second nearest medoid.
            t[0] = 0.0;
            single_medoid_delta::<L, T, WEIGHTED>(l, row, near)
        } else {
            let [a] = hit_scan::<L, T, 1, false, WEIGHTED>(l, [row], [row], scan.validated, near, &mut t[..k])?;
            a
        };
        Ok(best_swap(l, scan, candidate_index, a, &t[..k], near.rounding_bound))
    })
}

/// [`first_improving_swap`] for up to `K` medoids: `R` candidates at a time are scanned under
/// masks, and those that may have a swap are scanned again with sums in `f64`.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn first_masked_swap<
    L: IndexLanes<T> + WideLanes<T> + Lanes<f64>,
    T: Float,
    const K: usize,
    const R: usize,
    const WEIGHTED: bool,
>(
    l: L,
    scan: Scan<'_, T>,
    near: &NearestRef<'_, T>,
    t: &mut [f64],
) -> FoundSwap {
    let Scan { d, candidates, limit, .. } = scan;
    let k = near.removal_losses.len();
    let error = relative_error::<L, T>();
    // Products with weights may underflow, with an error below the smallest normal number each.
    // Differences are exact if they are subnormal.
    let smallest = f64::from_bits(((1.0 - T::BIAS + <f64 as Float>::BIAS) as u64) << 52);
    let slack = if WEIGHTED { 2.0 * d.cols() as f64 * smallest } else { 0.0 };
    for from in (0..candidates.len()).step_by(R) {
        let count = R.min(candidates.len() - from);
        let (rows, next) = (candidate_rows::<T, R>(d, candidates, from), candidate_rows(d, candidates, from + R));
        let (a, sums) = masked_scan::<L, T, K, R, WEIGHTED>(l, rows, next, scan.validated, near)?;
        for r in 0..count {
            if may_improve(a[r], &sums[r][..k], error, slack, limit) {
                let swap = exact_swap::<L, T, WEIGHTED>(l, scan, from + r, near, t)?;
                if swap.is_some() {
                    return Ok(swap);
                }
            }
        }
    }
    Ok(None)
}

/// Returns the best swap of the first candidate that has one below the limit. Fails if an element
/// of a scanned row is invalid and the rows are not yet validated.
#[inline(always)]
pub(crate) fn first_improving_swap<L: IndexLanes<T> + WideLanes<T> + Lanes<f64>, T: Float>(
    l: L,
    scan: Scan<'_, T>,
    near: NearestRef<'_, T>,
    sums: CandidateSums<'_>,
) -> FoundSwap {
    if near.weights.is_empty() {
        first_improving_swap_generic::<L, T, false>(l, scan, &near, sums)
    } else {
        first_improving_swap_generic::<L, T, true>(l, scan, &near, sums)
    }
}

/// [`first_improving_swap`], compiled with and without weights.
#[inline(always)]
fn first_improving_swap_generic<L: IndexLanes<T> + WideLanes<T> + Lanes<f64>, T: Float, const WEIGHTED: bool>(
    l: L,
    scan: Scan<'_, T>,
    near: &NearestRef<'_, T>,
    CandidateSums { a, t, ready }: CandidateSums<'_>,
) -> FoundSwap {
    // The number of candidates that are scanned together, R, is limited by the registers for their
    // sums.
    let (k, has_32_registers) = (near.removal_losses.len(), <L as Lanes<T>>::REGISTERS >= 32);
    if k <= max_masked_k::<L, T>() {
        return match k {
            0..=2 if has_32_registers => first_masked_swap::<L, T, 2, 4, WEIGHTED>(l, scan, near, t),
            3..=4 if has_32_registers => first_masked_swap::<L, T, 4, 4, WEIGHTED>(l, scan, near, t),
            5..=6 if has_32_registers => first_masked_swap::<L, T, 6, 2, WEIGHTED>(l, scan, near, t),
            7..=8 if has_32_registers => first_masked_swap::<L, T, 8, 2, WEIGHTED>(l, scan, near, t),
            _ if has_32_registers => first_masked_swap::<L, T, MAX_MASKED_K, 2, WEIGHTED>(l, scan, near, t),
            0..=2 => first_masked_swap::<L, T, 2, 2, WEIGHTED>(l, scan, near, t),
            3..=4 => first_masked_swap::<L, T, 4, 2, WEIGHTED>(l, scan, near, t),
            5..=6 => first_masked_swap::<L, T, 6, 1, WEIGHTED>(l, scan, near, t),
            _ => first_masked_swap::<L, T, 8, 1, WEIGHTED>(l, scan, near, t),
        };
    }
    let Scan { d, candidates, .. } = scan;
    let mut at = 0;
    while at < candidates.len() {
        if *ready == 0 {
            if candidates.len() - at < SCAN_ROWS {
                break;
            }
            let rows = candidate_rows::<T, SCAN_ROWS>(d, candidates, at);
            let next = candidate_rows(d, candidates, at + SCAN_ROWS);
            *a = if k <= MAX_TWO_TABLE_K {
                let t = &mut t[..2 * SCAN_ROWS * k];
                hit_scan::<L, T, SCAN_ROWS, true, WEIGHTED>(l, rows, next, scan.validated, near, t)?
            } else {
                let t = &mut t[..SCAN_ROWS * k];
                hit_scan::<L, T, SCAN_ROWS, false, WEIGHTED>(l, rows, next, scan.validated, near, t)?
            };
            *ready = SCAN_ROWS;
        }
        let r = SCAN_ROWS - *ready;
        *ready -= 1;
        let swap = best_swap(l, scan, at, a[r], &t[r * k..(r + 1) * k], near.rounding_bound);
        if swap.is_some() {
            return Ok(swap);
        }
        at += 1;
    }
    for at in at..candidates.len() {
        let swap = exact_swap::<L, T, WEIGHTED>(l, scan, at, near, t)?;
        if swap.is_some() {
            return Ok(swap);
        }
    }
    Ok(None)
}

/// Returns the number of elements of [`CandidateSums::t`] for k medoids.
pub(crate) fn scratch_len(k: usize) -> usize {
    if k <= MAX_TWO_TABLE_K { 2 * SCAN_ROWS * k } else { SCAN_ROWS * k }
}
