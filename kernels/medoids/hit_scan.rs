//! Scans for many medoids: lists of hits.
//!
//! A hit is an object that is nearer to the candidate than to its second nearest medoid. The hits
//! of a block of objects, of all candidates, are listed without branches, and then added with a few
//! scalar operations each. One list for all candidates has one end that a branch mispredicts, and
//! neighbors in it often belong to different candidates, so that their additions do not wait for
//! each other.

use super::tuning::{BLOCK_OBJECTS, CLUSTERS_PER_HIT, MAX_LISTED_HITS, PREFETCH_BYTES, SCAN_ROWS, lists_words};
use super::validation::are_blocks_valid;
use super::{InvalidDissimilarity, NearestRef, load_rows};
use crate::kernels::lanes::{Float, IndexLanes, MAX_LANES, list_bits, out_of_line};
use alloc::vec;
use alloc::vec::Vec;

/// The position of the row in a hit, above the object: more objects fit no memory.
const ROW_SHIFT: u32 = 28;

/// The hits of the rows that were scanned last. Only the T_i of their clusters differ from R_i, and
/// these are not above R_i. If the hits are few, a scan resets only these T_i, and the smallest T_i
/// of a row is the smaller of the smallest R_i and these T_i.
#[derive(Default)]
pub struct Hits {
    /// The hits, each `r << ROW_SHIFT | o` for row r and object o; then other elements.
    list: Vec<u32>,
    /// The number of hits; `None` if they are too many to list, or if T, R or n1 have changed.
    count: Option<usize>,
}

impl Hits {
    /// Returns unknown hits, with space for [`MAX_LISTED_HITS`].
    pub(crate) fn new() -> Self {
        Self { list: vec![0; MAX_LISTED_HITS], count: None }
    }

    /// Forgets the hits. Whoever changes T, R or n1 must call this.
    #[inline(always)]
    pub(crate) fn forget(&mut self) {
        self.count = None;
    }

    /// Appends the hits of a block, or forgets all if there are more than `most`.
    #[inline(always)]
    fn append(&mut self, list: &[u32], most: usize) {
        if let Some(count) = self.count {
            let end = count + list.len();
            self.count = (end <= most).then_some(end);
            if end <= most {
                self.list[count..end].copy_from_slice(list);
            }
        }
    }

    /// Returns the smallest T_i of every row, or `None` if the hits are not known. `least_bound` is
    /// the smallest R_i.
    #[inline(always)]
    pub(super) fn minima<T, const R: usize>(
        &self,
        near: &NearestRef<'_, T>,
        t: &[f64],
        least_bound: f64,
    ) -> Option<[f64; R]> {
        let mut minima = [least_bound; R];
        for &hit in &self.list[..self.count?] {
            let (r, i) = row_and_cluster::<T, R>(hit, near);
            let t = t[r * near.removal_bounds.len() + i];
            minima[r] = if t < minima[r] { t } else { minima[r] };
        }
        Some(minima)
    }

    /// Sets the T_i of every row to R_i.
    #[inline(always)]
    fn reset<T, const R: usize>(&self, near: &NearestRef<'_, T>, t: &mut [f64]) {
        let k = near.removal_bounds.len();
        if let Some(count) = self.count {
            for &hit in &self.list[..count] {
                let (r, i) = row_and_cluster::<T, R>(hit, near);
                t[r * k + i] = near.removal_bounds[i];
            }
        } else {
            for t in t.chunks_exact_mut(k) {
                t.copy_from_slice(near.removal_bounds);
            }
        }
    }
}

/// Returns the row of a hit and the cluster of its object.
#[inline(always)]
fn row_and_cluster<T, const R: usize>(hit: u32, near: &NearestRef<'_, T>) -> (usize, usize) {
    ((hit >> ROW_SHIFT) as usize % R, near.n1[(hit & ((1 << ROW_SHIFT) - 1)) as usize] as usize)
}

/// Adds hits to A of each row in `a` and to T in `t`.
#[inline(always)]
fn add_hits<T: Float, const R: usize, const WEIGHTED: bool>(
    list: &[u32],
    rows: &[&[T]; R],
    near: &NearestRef<'_, T>,
    a: &mut [f64; R],
    t: &mut [f64],
) {
    let (n, k) = (rows[0].len(), near.removal_bounds.len());
    // One length for all, so that one bounds check serves.
    let (all_d1, all_d2, all_n1) = (&near.d1[..n], &near.d2[..n], &near.n1[..n]);
    for &hit in list {
        let (r, o) = ((hit >> ROW_SHIFT) as usize % R, (hit & ((1 << ROW_SHIFT) - 1)) as usize);
        let (d, d1, d2) = (rows[r][o], all_d1[o], all_d2[o]);
        let larger = if d < d1 { d1 } else { d };
        let weight = if WEIGHTED { near.weights[o].to_f64() } else { 1.0 };
        // If d < d1, this is d - d1, otherwise 0.
        a[r] += weight * (d.to_f64() - larger.to_f64());
        t[r * k + all_n1[o] as usize] += weight * (larger.to_f64() - d2.to_f64());
    }
}

/// Returns A of each of `R` candidates and writes lower bounds of their T_i to `t`, one candidate
/// after the other.
///
/// `t` and `hits` are those of the scan before. `next` are the rows that are scanned after these.
/// Fails if a row is not yet `validated` and an element is invalid.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
pub(super) fn hit_scan<L: IndexLanes<T>, T: Float, const R: usize>(
    l: L,
    rows: [&[T]; R],
    next: [&[T]; R],
    validated: bool,
    near: &NearestRef<'_, T>,
    (t, hits): (&mut [f64], &mut Hits),
) -> Result<[f64; R], InvalidDissimilarity> {
    let (n, k) = (rows[0].len(), near.removal_bounds.len());
    hits.reset::<T, R>(near, t);
    let most = MAX_LISTED_HITS.min(R * k / CLUSTERS_PER_HIT);
    hits.count = Some(0);
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
        let (mut count, mut listed) = (0, start);
        while lists_words::<L, T>(k) && end - listed >= 64 {
            for r in 0..R {
                let first = (r << ROW_SHIFT) | listed;
                let word = l.lt_bits(&rows[r][listed..], &near.d2[listed..]);
                count += list_bits(word, first as u32, &mut list[count..]);
                for line in (0..64).step_by(64 / size_of::<T>()) {
                    l.prefetch_far(ahead[r], ahead_at + (listed - start) + line);
                }
            }
            listed += 64;
        }
        for at in (listed..end).step_by(L::N) {
            let (d, d2) = (load_rows(l, &rows, at, T::INFINITY), l.load(&near.d2[at..]));
            for r in 0..R {
                let first = (r << ROW_SHIFT) | at;
                count += l.compress_indices(l.lt(d[r], d2), first as u32, &mut list[count..]);
                l.prefetch_far(ahead[r], ahead_at + (at - start));
            }
        }
        // Copies, because addresses of variables of the loop above must not escape. Out of line, it
        // has the registers for itself.
        let mut sums = a;
        let (hits_of_block, all_rows, block_sums, all_t) = (&list[..count], &{ rows }, &mut sums, &mut *t);
        out_of_line!(l, {
            if near.weights.is_empty() {
                add_hits::<T, R, false>(hits_of_block, all_rows, &near, block_sums, all_t);
            } else {
                add_hits::<T, R, true>(hits_of_block, all_rows, &near, block_sums, all_t);
            }
        });
        a = sums;
        hits.append(&list[..count], most);
    }
    if valid { Ok(a) } else { Err(InvalidDissimilarity) }
}
