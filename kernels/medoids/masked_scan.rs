//! Scans for few medoids: sums under masks.
//!
//! Each object is added to the sum of its cluster by a mask, in the element type and without
//! branches. The sums are accurate to [`relative_error`]: that is enough to rule out most swaps. A
//! candidate that they do not rule out is scanned again with sums in `f64`.

use super::tuning::NARROW_SUM_OBJECTS;
use super::validation::are_blocks_valid;
use super::{InvalidDissimilarity, NearestRef, load_rows};
use crate::kernels::lanes::{Float, IndexLanes, Lanes, MAX_LANES};
use core::hint::black_box;

/// Returns A and all T_i of each of `R` candidates for up to `K` clusters, each within
/// [`relative_error`].
///
/// `next` are the rows that are scanned after these. Fails if a row is not yet `validated` and an
/// element is invalid.
#[inline(always)]
pub(super) fn masked_scan<L: IndexLanes<T>, T: Float, const K: usize, const R: usize>(
    l: L,
    rows: [&[T]; R],
    next: [&[T]; R],
    validated: bool,
    near: &NearestRef<'_, T>,
) -> Result<([f64; R], [[f64; K]; R]), InvalidDissimilarity> {
    let n = rows[0].len();
    // One length for all, so that one bounds check serves.
    let padded = n.next_multiple_of(L::N);
    let (all_d1, all_d2, all_n1) = (&near.d1[..padded], &near.d2[..padded], &near.n1[..padded]);
    // If the compiler knew that this is 1, it would turn the multiply-adds into additions.
    let (zero, one) = (l.splat(T::ZERO), black_box(l.splat(T::ONE)));
    let (mut valid, is_weighted) = (true, !near.weights.is_empty());
    let mut a = [0.0; R];
    let mut t = [[0.0; K]; R];
    for start in (0..n).step_by(NARROW_SUM_OBJECTS) {
        let end = n.min(start + NARROW_SUM_OBJECTS);
        let (ahead, ahead_at) =
            if start + NARROW_SUM_OBJECTS < n { (rows, start + NARROW_SUM_OBJECTS) } else { (next, 0) };
        if !validated {
            valid &= are_blocks_valid(l, &{ rows }, (start, end));
        }
        let mut block_a = [zero; R];
        let mut block_t = [[zero; R]; K];
        for at in (start..end).step_by(L::N) {
            let (d1, d2) = (l.load(&all_d1[at..]), l.load(&all_d2[at..]));
            let (d, mut lost, mut gained) = (load_rows(l, &rows, at, T::INFINITY), [zero; R], [zero; R]);
            for r in 0..R {
                l.prefetch(ahead[r], ahead_at + (at - start));
                let kept = l.min(d[r], d1);
                (lost[r], gained[r]) = (l.sub(l.min(d[r], d2), kept), l.sub(kept, d1));
            }
            if is_weighted {
                let weights = l.load(&near.weights[at..]);
                for r in 0..R {
                    (lost[r], gained[r]) = (l.mul(lost[r], weights), l.mul(gained[r], weights));
                }
            }
            for r in 0..R {
                block_a[r] = l.add(block_a[r], gained[r]);
            }
            let n1 = l.load_index(&all_n1[at..]);
            for (i, sums) in block_t.iter_mut().enumerate() {
                let in_cluster = l.eq_index(n1, l.splat_index(i as u32));
                for (sum, &lost) in sums.iter_mut().zip(&lost) {
                    // Additions and multiply-adds alternate, because they run on different units.
                    *sum = if i % 2 == 0 {
                        l.masked_add_fma(in_cluster, *sum, lost, one)
                    } else {
                        l.masked_add(in_cluster, *sum, lost)
                    };
                }
            }
        }
        for r in 0..R {
            a[r] += l.reduce_sum(block_a[r]);
            // The sums are stored first. If this loop, which is not unrolled, indexed `block_t`,
            // the array would be in memory during the loop over the objects, too.
            let mut lanes = [[T::ZERO; MAX_LANES]; K];
            for (lanes, sums) in lanes.iter_mut().zip(&block_t) {
                l.store(lanes, sums[r]);
            }
            for (t, lanes) in t[r].iter_mut().zip(&lanes) {
                *t += l.reduce_sum(l.load(lanes));
            }
        }
    }
    if valid { Ok((a, t)) } else { Err(InvalidDissimilarity) }
}

/// Returns a bound of the relative error of the sums of [`masked_scan`], whose terms all have one
/// sign. A lane adds `NARROW_SUM_OBJECTS / N` terms, with one rounding each. A term itself has up
/// to three roundings of EPSILON / 2, and the sum of the lanes has another one.
#[inline(always)]
pub(super) fn relative_error<L: Lanes<T>, T: Float>() -> f64 {
    (NARROW_SUM_OBJECTS / L::N + 8) as f64 * T::EPSILON
}
