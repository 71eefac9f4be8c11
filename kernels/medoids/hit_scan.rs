//! Scans for many medoids: lists of hits.
//!
//! A hit is an object that is nearer to the candidate than to its second nearest medoid. The hits
//! of a block are listed without branches, and then added with a few scalar operations each.

use super::tuning::BLOCK_OBJECTS;
use super::validation::min_or_neg_inf;
use super::{InvalidDissimilarity, NearestRef, load_objects};
use crate::kernels::lanes::{Float, IndexLanes, MAX_LANES};

/// Adds the hits of a block to T in `t`, and returns their share of A. `row` and `near` are
/// restricted to the block. If there is another table, every second hit is added to it.
#[inline(always)]
fn add_hits<T: Float, const WEIGHTED: bool>(
    list: &[u8],
    row: &[T],
    near: &NearestRef<'_, T>,
    t: &mut [f64],
    mut other: Option<&mut [f64]>,
) -> f64 {
    let mut a = [0.0; 2];
    let (pairs, rest) = if other.is_some() { list.as_chunks::<2>() } else { (&[][..], list) };
    let add = |o: u8, t: &mut [f64], a: &mut f64| {
        // Indices are below BLOCK_OBJECTS. The remainder tells the compiler so: a whole block then
        // needs no bounds checks.
        let o = o as usize % BLOCK_OBJECTS;
        let (d, d1, d2) = (row[o], near.d1[o], near.d2[o]);
        let (smaller, larger) = if d < d1 { (d, d1) } else { (d1, d) };
        let weight = if WEIGHTED { near.weights[o].to_f64() } else { 1.0 };
        *a += weight * (smaller.to_f64() - d1.to_f64());
        t[near.n1[o] as usize] += weight * (larger.to_f64() - d2.to_f64());
    };
    if let Some(other) = &mut other {
        for &[first, second] in pairs {
            add(first, t, &mut a[0]);
            add(second, other, &mut a[1]);
        }
    }
    for &o in rest {
        add(o, t, &mut a[0]);
    }
    a[0] + a[1]
}

/// Returns A of each of `R` candidates and writes lower bounds of their T_i to `t`, one candidate
/// after the other.
///
/// `next` are the rows that are scanned after these. With `TWO_TABLES`, neighboring hits are added
/// to different tables, and `t` is twice as long. Fails if a row is not yet `validated` and an
/// element is invalid.
#[cfg_attr(not(mantex_unoptimized), inline(always))]
pub(super) fn hit_scan<L: IndexLanes<T>, T: Float, const R: usize, const TWO_TABLES: bool, const WEIGHTED: bool>(
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
    if TWO_TABLES {
        others.fill(0.0);
    }
    let mut a = [0.0; R];
    let mut minima = l.splat(T::ZERO);
    let mut lists = [[0_u8; BLOCK_OBJECTS + MAX_LANES]; R];
    for start in (0..n).step_by(BLOCK_OBJECTS) {
        let end = n.min(start + BLOCK_OBJECTS);
        // The next block is prefetched, so that memory does not idle while the lists are added.
        let (ahead, ahead_at) = if start + BLOCK_OBJECTS < n { (rows, start + BLOCK_OBJECTS) } else { (next, 0) };
        if !validated {
            for row in rows {
                minima = l.min(min_or_neg_inf(l, &row[start..end]), minima);
            }
        }
        let mut counts = [0; R];
        for at in (start..end).step_by(L::N) {
            let d2 = l.load(&near.d2[at..]);
            for r in 0..R {
                let hit = l.lt(load_objects(l, rows[r], at), d2);
                counts[r] += l.compress_indices_u8(hit, (at - start) as u8, &mut lists[r][counts[r]..]);
                l.prefetch(ahead[r], ahead_at + (at - start));
            }
        }
        for r in 0..R {
            let t = &mut t[r * k..(r + 1) * k];
            let other = if TWO_TABLES { Some(&mut others[r * k..(r + 1) * k]) } else { None };
            let (list, row) = (&lists[r][..counts[r]], &rows[r][start..end]);
            let (d1, d2, n1) = (&near.d1[start..end], &near.d2[start..end], &near.n1[start..end]);
            let weights = if WEIGHTED { &near.weights[start..end] } else { near.weights };
            // Equal branches, but the first has arrays of known length and needs no bounds checks.
            a[r] += if let (Some(row), Some(d1), Some(d2), Some(n1)) = (
                row.first_chunk::<BLOCK_OBJECTS>(),
                d1.first_chunk::<BLOCK_OBJECTS>(),
                d2.first_chunk::<BLOCK_OBJECTS>(),
                n1.first_chunk::<BLOCK_OBJECTS>(),
            ) {
                add_hits::<T, WEIGHTED>(list, row, &NearestRef { d1, d2, n1, weights, ..*near }, t, other)
            } else {
                add_hits::<T, WEIGHTED>(list, row, &NearestRef { d1, d2, n1, weights, ..*near }, t, other)
            };
        }
    }
    if TWO_TABLES {
        for (t, other) in t.iter_mut().zip(others) {
            *t += *other;
        }
    }
    if l.all_non_negative(minima) { Ok(a) } else { Err(InvalidDissimilarity) }
}
