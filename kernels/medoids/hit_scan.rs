//! Scans for many medoids: lists of hits.
//!
//! A hit is an object that is nearer to the candidate than to its second nearest medoid. The hits
//! of a block are listed without branches, and then added with a few scalar operations each.

use super::tuning::BLOCK_OBJECTS;
use super::validation::are_blocks_valid;
use super::{InvalidDissimilarity, NearestRef, load_rows};
use crate::kernels::lanes::{Float, IndexLanes, Lanes, MAX_LANES, out_of_line};

/// Adds the object at `o` of a block to T in `t` and to A.
#[inline(always)]
fn add_hit<T: Float>(o: u8, row: &[T], near: &NearestRef<'_, T>, t: &mut [f64], a: &mut f64) {
    // Indices are below BLOCK_OBJECTS. The remainder tells the compiler so: a whole block then
    // needs no bounds checks.
    let o = o as usize % BLOCK_OBJECTS;
    let (d, d1, d2) = (row[o], near.d1[o], near.d2[o]);
    let (smaller, larger) = if d < d1 { (d, d1) } else { (d1, d) };
    let weight = if let Some(weight) = near.weights.get(o) { weight.to_f64() } else { 1.0 };
    *a += weight * (smaller.to_f64() - d1.to_f64());
    t[near.n1[o] as usize] += weight * (larger.to_f64() - d2.to_f64());
}

/// Adds the hits of a block to T in `t`, and returns their share of A. `row` and `near` are
/// restricted to the block. If there is another table, every second hit is added to it.
#[inline(always)]
fn add_hits<T: Float>(list: &[u8], row: &[T], near: &NearestRef<'_, T>, t: &mut [f64], other: &mut [f64]) -> f64 {
    let mut a = [0.0; 2];
    let (pairs, rest) = if other.is_empty() { (&[][..], list) } else { list.as_chunks::<2>() };
    for &[first, second] in pairs {
        add_hit(first, row, near, t, &mut a[0]);
        add_hit(second, row, near, other, &mut a[1]);
    }
    for &o in rest {
        add_hit(o, row, near, t, &mut a[0]);
    }
    a[0] + a[1]
}

/// The hits of a block, in bytes.
type HitList = [u8; BLOCK_OBJECTS + MAX_LANES];

/// Adds the hits of the block of objects from `start` on to A and T of every row. The block may be
/// incomplete, and the objects may have weights. Out of line.
#[inline(always)]
fn add_any_block<L: Lanes<T>, T: Float>(
    l: L,
    (lists, counts): (&[HitList], &[usize]),
    rows: &[&[T]],
    start: usize,
    near: NearestRef<'_, T>,
    a: &mut [f64],
    (t, others): (&mut [f64], &mut [f64]),
) {
    out_of_line!(l, {
        let (k, end) = (near.removal_bounds.len(), rows[0].len().min(start + BLOCK_OBJECTS));
        let (d1, d2, n1) = (&near.d1[start..end], &near.d2[start..end], &near.n1[start..end]);
        let weights = if near.weights.is_empty() { near.weights } else { &near.weights[start..end] };
        for ((r, t), a) in t.chunks_exact_mut(k).enumerate().zip(a) {
            let other = if others.is_empty() { &mut [] } else { &mut others[r * k..][..k] };
            let near = NearestRef { d1, d2, n1, weights, ..near };
            *a += add_hits(&lists[r][..counts[r]], &rows[r][start..end], &near, t, other);
        }
    });
}

/// Returns A of each of `R` candidates and writes lower bounds of their T_i to `t`, one candidate
/// after the other.
///
/// `next` are the rows that are scanned after these. If `t` is twice as long as the T_i,
/// neighboring hits are added to different tables. Fails if a row is not yet `validated` and an
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
    let (t, others) = t.split_at_mut(R * k);
    for t in t.chunks_exact_mut(k) {
        t.copy_from_slice(near.removal_bounds);
    }
    others.fill(0.0);
    let (near, mut a) = (*near, [0.0; R]);
    let mut valid = true;
    let mut lists: [HitList; R] = [[0; BLOCK_OBJECTS + MAX_LANES]; R];
    for start in (0..n).step_by(BLOCK_OBJECTS) {
        let end = n.min(start + BLOCK_OBJECTS);
        // The next block is prefetched, so that memory does not idle while the lists are added.
        let (ahead, ahead_at) = if start + BLOCK_OBJECTS < n { (rows, start + BLOCK_OBJECTS) } else { (next, 0) };
        if !validated {
            valid &= are_blocks_valid(l, &{ rows }, (start, end));
        }
        let mut counts = [0; R];
        for at in (start..end).step_by(L::N) {
            let (d, d2) = (load_rows(l, &rows, at, T::INFINITY), l.load(&near.d2[at..]));
            for r in 0..R {
                let hit = l.lt(d[r], d2);
                counts[r] += l.compress_indices_u8(hit, (at - start) as u8, &mut lists[r][counts[r]..]);
                l.prefetch(ahead[r], ahead_at + (at - start));
            }
        }
        // Arrays of known length need no bounds checks.
        let whole = (
            near.d1[start..end].first_chunk::<BLOCK_OBJECTS>(),
            near.d2[start..end].first_chunk::<BLOCK_OBJECTS>(),
            near.n1[start..end].first_chunk::<BLOCK_OBJECTS>(),
            near.weights.is_empty(),
        );
        if let (Some(d1), Some(d2), Some(n1), true) = whole {
            for r in 0..R {
                let t = &mut t[r * k..][..k];
                let other = if others.is_empty() { &mut [] } else { &mut others[r * k..][..k] };
                let (list, row) = (&lists[r][..counts[r]], &rows[r][start..start + BLOCK_OBJECTS]);
                a[r] += add_hits(list, row, &NearestRef { d1, d2, n1, weights: &[], ..near }, t, other);
            }
        } else {
            // Copies, because addresses of variables of the loop above must not escape.
            let (hits, all) = ((&lists[..], &{ counts }[..]), { rows });
            let mut sums = a;
            add_any_block(l, hits, &all, start, near, &mut sums, (&mut *t, &mut *others));
            a = sums;
        }
    }
    for (t, other) in t.iter_mut().zip(others) {
        *t += *other;
    }
    if valid { Ok(a) } else { Err(InvalidDissimilarity) }
}
