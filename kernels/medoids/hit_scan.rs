//! Scans for many medoids: lists of hits.
//!
//! A hit is an object that is nearer to the candidate than to its second nearest medoid. The hits
//! of a block of objects, of all candidates, are listed without branches, and then added with a few
//! scalar operations each. One list for all candidates has one end that a branch mispredicts, and
//! neighbors in it often belong to different candidates, so that their additions do not wait for
//! each other.

use super::tuning::{BLOCK_OBJECTS, PREFETCH_BYTES, SCAN_ROWS};
use super::validation::are_blocks_valid;
use super::{InvalidDissimilarity, NearestRef, load_rows};
use crate::kernels::lanes::{Float, IndexLanes, MAX_LANES};

/// Adds the hits of the block of objects from `start` on to A of each row in `a` and to T in `t`. A
/// hit of the list is `r * BLOCK_OBJECTS + o` for row r and the object at o of the block.
#[inline(always)]
fn add_hits<T: Float, const R: usize>(
    list: &[u32],
    rows: &[&[T]; R],
    start: usize,
    near: &NearestRef<'_, T>,
    a: &mut [f64; R],
    t: &mut [f64],
) {
    let k = near.removal_bounds.len();
    for &hit in list {
        let (r, o) = (hit as usize / BLOCK_OBJECTS % R, start + hit as usize % BLOCK_OBJECTS);
        let (d, d1, d2) = (rows[r][o], near.d1[o], near.d2[o]);
        let larger = if d < d1 { d1 } else { d };
        let weight = if let Some(weight) = near.weights.get(o) { weight.to_f64() } else { 1.0 };
        // If d < d1, this is d - d1, otherwise 0.
        a[r] += weight * (d.to_f64() - larger.to_f64());
        t[r * k + near.n1[o] as usize] += weight * (larger.to_f64() - d2.to_f64());
    }
}

/// Returns A of each of `R` candidates and writes lower bounds of their T_i to `t`, one candidate
/// after the other.
///
/// `next` are the rows that are scanned after these. Fails if a row is not yet `validated` and an
/// element is invalid.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
pub(super) fn hit_scan<L: IndexLanes<T>, T: Float, const R: usize>(
    l: L,
    rows: [&[T]; R],
    next: [&[T]; R],
    validated: bool,
    near: &NearestRef<'_, T>,
    t: &mut [f64],
) -> Result<[f64; R], InvalidDissimilarity> {
    let (n, k) = (rows[0].len(), near.removal_bounds.len());
    for t in t.chunks_exact_mut(k) {
        t.copy_from_slice(near.removal_bounds);
    }
    let (near, mut a) = (*near, [0.0; R]);
    let mut valid = true;
    let mut list = [0; SCAN_ROWS * BLOCK_OBJECTS + MAX_LANES];
    for start in (0..n).step_by(BLOCK_OBJECTS) {
        let end = n.min(start + BLOCK_OBJECTS);
        if !validated {
            valid &= are_blocks_valid(l, &{ rows }, (start, end));
        }
        // Memory then does not idle while the hits are added.
        let ahead_at = start + PREFETCH_BYTES / size_of::<T>();
        let (ahead, ahead_at) = if ahead_at < n { (rows, ahead_at) } else { (next, ahead_at - n) };
        let mut count = 0;
        for at in (start..end).step_by(L::N) {
            let (d, d2) = (load_rows(l, &rows, at, T::INFINITY), l.load(&near.d2[at..]));
            for r in 0..R {
                let first = r * BLOCK_OBJECTS + (at - start);
                count += l.compress_indices(l.lt(d[r], d2), first as u32, &mut list[count..]);
                l.prefetch_far(ahead[r], ahead_at + (at - start));
            }
        }
        // Copies, because addresses of variables of the loop above must not escape.
        let mut sums = a;
        add_hits(&list[..count], &{ rows }, start, &near, &mut sums, t);
        a = sums;
    }
    if valid { Ok(a) } else { Err(InvalidDissimilarity) }
}
