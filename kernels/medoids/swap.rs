//! The first candidate with a swap that may lower the loss.

use super::hit_scan::{Hits, hit_scan};
use super::masked_scan::{masked_scan, relative_error};
use super::tuning::{MAX_MASKED_K, SCAN_ROWS, max_masked_k};
use super::{CandidateSums, FoundSwap, NearestRef, PossibleSwap, Scan, candidate_rows, weighted};
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
fn single_medoid_delta<L: WideLanes<T>, T: Float>(l: L, row: &[T], near: &NearestRef<'_, T>) -> f64 {
    let mut change = l.widen(l.splat(T::ZERO));
    for (i, chunk) in row.chunks(L::N).enumerate() {
        let at = i * L::N;
        let gained = l.sub_wide(l.widen(l.load_tail(chunk, T::ZERO)), l.widen(l.load(&near.d1[at..])));
        change = l.add_wide(change, weighted(l, near.weights, at, gained));
    }
    l.reduce_sum_wide(change)
}

/// Returns the smallest element; NaN is ignored.
#[inline(always)]
fn minimum<L: Lanes<f64>>(l: L, x: &[f64]) -> f64 {
    // Four accumulators hide the latency of a minimum.
    let mut minima = [l.splat(f64::INFINITY); 4];
    let mut chunks = x.chunks_exact(4 * L::N);
    for chunk in &mut chunks {
        for (i, min) in minima.iter_mut().enumerate() {
            *min = l.min(l.load(&chunk[i * L::N..]), *min);
        }
    }
    for chunk in chunks.remainder().chunks(L::N) {
        minima[0] = l.min(l.load_tail(chunk, f64::INFINITY), minima[0]);
    }
    l.reduce_min(l.min(l.min(minima[0], minima[1]), l.min(minima[2], minima[3])))
}

/// Returns the swap of the candidate whose lower bounds are at `t[sums_at..]`, if one may change
/// the loss by less than the limit. `min` is the smallest of these bounds, if it is known. Of
/// clusters that rounding may have put in the wrong order, the first is chosen.
#[inline(always)]
fn possible_swap<L: Lanes<f64>, T>(
    l: L,
    scan: Scan<'_, T>,
    candidate_index: usize,
    near: &NearestRef<'_, T>,
    (a, min): (f64, Option<f64>),
    (t, sums_at): (&[f64], usize),
) -> Option<PossibleSwap> {
    let t = &t[sums_at..sums_at + near.removal_errors.len()];
    let a = a - near.relative_error * a.abs();
    // NaN, from sums that overflowed, rules out nothing.
    if a >= 0.0 || a + min.unwrap_or_else(|| minimum(l, t)) >= scan.limit {
        return None;
    }
    // The least upper bound of a T_i.
    let (mut bounds, two) = (l.splat(f64::INFINITY), l.splat(2.0));
    for (t, errors) in t.chunks(L::N).zip(near.removal_errors.chunks(L::N)) {
        let (t, errors) = (l.load_up_to(t, f64::INFINITY), l.load_up_to(errors, 0.0));
        bounds = l.min(l.mul_add(two, errors, t), bounds);
    }
    let highest = l.reduce_min(bounds);
    let cluster = t.iter().position(|&t| t <= highest)?;
    Some(PossibleSwap { candidate: scan.candidates[candidate_index], candidate_index, cluster, a, sums_at })
}

/// Scans one candidate with sums in `f64`, out of line, and returns its swap if one may change the
/// loss by less than the limit.
#[inline(always)]
fn scan_again<L: IndexLanes<T> + WideLanes<T> + Lanes<f64>, T: Float>(
    l: L,
    scan: Scan<'_, T>,
    candidate_index: usize,
    near: &NearestRef<'_, T>,
    t: &mut [f64],
    hits: &mut Hits,
) -> FoundSwap {
    out_of_line!(l, {
        // They are those of other rows.
        hits.forget();
        let k = near.removal_bounds.len();
        let row = scan.d.row(scan.candidates[candidate_index]);
        let a = if k == 1 {
            // R_0 would be infinite, because there is no second nearest medoid.
            t[0] = 0.0;
            single_medoid_delta(l, row, near)
        } else {
            let [a] = hit_scan(l, [row], [row], scan.validated, near, (&mut t[..k], hits))?;
            hits.forget();
            a
        };
        Ok(possible_swap(l, scan, candidate_index, near, (a, None), (t, 0)))
    })
}

/// [`first_improving_swap`] for up to `K` medoids: `R` candidates at a time are scanned under
/// masks, and those that may have a swap are scanned again with sums in `f64`.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
fn first_masked_swap<L: IndexLanes<T> + WideLanes<T> + Lanes<f64>, T: Float, const K: usize, const R: usize>(
    l: L,
    scan: Scan<'_, T>,
    near: &NearestRef<'_, T>,
    t: &mut [f64],
    hits: &mut Hits,
) -> FoundSwap {
    let Scan { d, candidates, limit, .. } = scan;
    let k = near.removal_bounds.len();
    let error = relative_error::<L, T>();
    // Products with weights may underflow, with an error below the smallest normal number each.
    // Differences are exact if they are subnormal.
    let smallest = f64::from_bits(((1.0 - T::BIAS + <f64 as Float>::BIAS) as u64) << 52);
    let slack = if near.weights.is_empty() { 0.0 } else { 2.0 * d.cols() as f64 * smallest };
    for from in (0..candidates.len()).step_by(R) {
        let count = R.min(candidates.len() - from);
        let (rows, next) = (candidate_rows::<T, R>(d, candidates, from), candidate_rows(d, candidates, from + R));
        let (a, sums) = masked_scan::<L, T, K, R>(l, rows, next, scan.validated, near)?;
        for r in 0..count {
            if may_improve(a[r], &sums[r][..k], error, slack, limit) {
                let swap = scan_again(l, scan, from + r, near, t, hits)?;
                if swap.is_some() {
                    return Ok(swap);
                }
            }
        }
    }
    Ok(None)
}

/// Returns the first candidate with a swap that may change the loss by less than the limit. Fails
/// if an element of a scanned row is invalid and the rows are not yet validated.
#[inline(always)]
pub(crate) fn first_improving_swap<L: IndexLanes<T> + WideLanes<T> + Lanes<f64>, T: Float>(
    l: L,
    scan: Scan<'_, T>,
    near: NearestRef<'_, T>,
    CandidateSums { a, t, ready, hits }: CandidateSums<'_>,
) -> FoundSwap {
    let near = &near;
    // The number of candidates that are scanned together, R, is limited by the registers for their
    // sums.
    let (k, has_32_registers) = (near.removal_bounds.len(), <L as Lanes<T>>::REGISTERS >= 32);
    if k <= max_masked_k::<L, T>() {
        return match k {
            0..=2 if has_32_registers => first_masked_swap::<L, T, 2, 4>(l, scan, near, t, hits),
            3..=4 if has_32_registers => first_masked_swap::<L, T, 4, 4>(l, scan, near, t, hits),
            5..=6 if has_32_registers => first_masked_swap::<L, T, 6, 2>(l, scan, near, t, hits),
            7..=8 if has_32_registers => first_masked_swap::<L, T, 8, 2>(l, scan, near, t, hits),
            _ if has_32_registers => first_masked_swap::<L, T, MAX_MASKED_K, 2>(l, scan, near, t, hits),
            0..=2 => first_masked_swap::<L, T, 2, 2>(l, scan, near, t, hits),
            3..=4 => first_masked_swap::<L, T, 4, 2>(l, scan, near, t, hits),
            5..=6 => first_masked_swap::<L, T, 6, 1>(l, scan, near, t, hits),
            _ => first_masked_swap::<L, T, 8, 1>(l, scan, near, t, hits),
        };
    }
    let Scan { d, candidates, .. } = scan;
    let least_bound = minimum(l, near.removal_bounds);
    let mut minima = hits.minima::<T, SCAN_ROWS>(near, t, least_bound);
    let mut at = 0;
    while at < candidates.len() {
        if *ready == 0 {
            if candidates.len() - at < SCAN_ROWS {
                break;
            }
            let rows = candidate_rows::<T, SCAN_ROWS>(d, candidates, at);
            let next = candidate_rows(d, candidates, at + SCAN_ROWS);
            *a = hit_scan(l, rows, next, scan.validated, near, (&mut t[..SCAN_ROWS * k], hits))?;
            minima = hits.minima::<T, SCAN_ROWS>(near, t, least_bound);
            *ready = SCAN_ROWS;
        }
        let r = SCAN_ROWS - *ready;
        *ready -= 1;
        let swap = possible_swap(l, scan, at, near, (a[r], minima.map(|minima| minima[r])), (t, r * k));
        if swap.is_some() {
            return Ok(swap);
        }
        at += 1;
    }
    for at in at..candidates.len() {
        let swap = scan_again(l, scan, at, near, t, hits)?;
        if swap.is_some() {
            return Ok(swap);
        }
    }
    Ok(None)
}
