//! The k-medoids kernels: the loss changes of all k swaps of a candidate from one read of its row, and the caches of
//! nearest and second nearest medoids that this rests on.
//!
//! Schubert & Rousseeuw, "Fast and Eager k-Medoids Clustering", Information Systems 101 (2021), sections 3 and 4. With d1
//! and d2 the distances of an object to its nearest and second nearest medoid, swapping the medoid at position i for a
//! candidate with distances d changes the loss by
//!
//! ```text
//! sum over all o of min(d, d1) - d1   +   sum over o with nearest medoid i of min(d, d2) - min(d, d1)
//!         = A, the same for every i            = T_i: R_i = sum of d2 - d1, less what the candidate takes over
//! ```
//!
//! Only objects with d < d2 ("hits") tell a candidate from one that is far from everything. Where there are many
//! medoids, hits are few and are collected into a list; where there are few medoids, every object is worked on under masks, first
//! in the type itself: what its rounding cannot rule out is summed again.
//!
//! Objects may have weights, by which their share of every sum is multiplied. All sums are kept in `f64`, so for `f32`
//! they are exact or nearly so.

use super::lanes::{Float, IndexLanes, Lanes, MAX_LANES, WideLanes};
use crate::matrix::MatRef;
use core::hint::black_box;

/// Up to this many medoids, with wide vectors, objects are worked on under masks; from there on hits are collected.
const MASKED: usize = 10;
/// Up to this many medoids the sums of hits are kept in two tables: more hits in a row have the same medoid, and merging
/// costs less.
const TWO_TABLES: usize = 64;
/// Candidates scanned together, sharing the reads of the caches, and memory has more rows to fetch ahead.
pub(crate) const ROWS: usize = 8;
/// Rows summed up together for BUILD.
const SUMMED_ROWS: usize = 4;
/// Objects per block: the lists of hits of one block and the caches it reads fit the first-level cache.
const BLOCK: usize = 128;
/// Objects whose masked sums are kept in the type itself before they are added up in `f64`.
const SUMMED: usize = 1024;
/// No medoid: the position of a second nearest medoid that is not known.
#[cfg(feature = "std")]
pub(crate) const NONE: u32 = u32::MAX;
/// The positions of the nearest and second nearest medoid of padding: no medoid's, and known.
#[cfg(feature = "std")]
pub(crate) const PADDING: u32 = u32::MAX - 1;

/// How many medoids masks pay for: narrow vectors share them among few objects.
#[inline(always)]
fn masked<L: Lanes<T>, T: Float>() -> usize {
    match L::N {
        0..4 => 4,
        4..8 => 6,
        8..16 => 8,
        _ => MASKED,
    }
}

/// What the scan reads of the present clustering. `d1`, `d2` and `n1` hold one entry per object, padded to a multiple of
/// [`MAX_LANES`] with distance 0, which nothing undercuts, and position [`PADDING`].
#[derive(Clone, Copy)]
pub struct Nearest<'a, T> {
    /// Distance to the nearest medoid.
    pub d1: &'a [T],
    /// Distance to the second nearest medoid; infinite where there is but one.
    pub d2: &'a [T],
    /// Position of the nearest medoid.
    pub n1: &'a [u32],
    /// For each medoid the loss of removing it: the sum of `d2 - d1` over the objects nearest to it.
    pub removal: &'a [f64],
    /// The weight of every object, padded alike with 0; empty where all weigh 1.
    pub weights: &'a [T],
    /// Losses that differ by less are taken for equal: the order of summation may have made the difference.
    pub noise: f64,
}

/// The caches themselves, padded alike, with the position of the second nearest medoid.
pub struct NearestMut<'a, T> {
    /// Distance to the nearest medoid.
    pub d1: &'a mut [T],
    /// Distance to the second nearest medoid.
    pub d2: &'a mut [T],
    /// Position of the nearest medoid.
    pub n1: &'a mut [u32],
    /// Position of the second nearest medoid.
    pub n2: &'a mut [u32],
}

/// What is scanned.
#[derive(Clone, Copy)]
pub struct Scan<'a, T> {
    /// The distances between all objects.
    pub d: MatRef<'a, T>,
    /// The objects that might become medoids.
    pub candidates: &'a [usize],
    /// Only swaps that change the loss by less.
    pub limit: f64,
    /// Whether the elements of the candidates' rows are known to be finite and not negative.
    pub checked: bool,
}

/// The sums of the candidates that were scanned together. Between two calls of [`next_swap`], of which the second goes on after
/// the swap that the first found, they save a scan if they are kept up to date: see [`Sums::ready`].
pub struct Sums<'a> {
    /// A of each.
    pub a: &'a mut [f64; ROWS],
    /// Every T_i of each, one after the other; in all [`scratch_len`] numbers.
    pub t: &'a mut [f64],
    /// So many of the last ones are those of the next candidates.
    pub ready: &'a mut usize,
}

/// An element is NaN, infinite or negative.
#[derive(Clone, Copy, Debug)]
pub struct NoDistance;

/// A swap that lowers the loss by `-delta`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Swap {
    /// The object that becomes a medoid.
    pub candidate: usize,
    /// Its place among the candidates that were scanned.
    pub place: usize,
    /// The position of the medoid it replaces.
    pub position: usize,
    /// The change of the loss.
    pub delta: f64,
}

/// The vector at `at`, which may be the last and short: absent objects are infinitely far.
#[inline(always)]
fn load_row<L: Lanes<T>, T: Float>(l: L, row: &[T], at: usize) -> L::V {
    let rest = &row[at..];
    if rest.len() >= L::N { l.load(rest) } else { l.load_tail(rest, T::INFINITY) }
}

/// `w` times the weights of the objects from `at` on, if they have any.
#[inline(always)]
fn weigh<L: WideLanes<T>, T: Float, const WEIGHTED: bool>(l: L, weights: &[T], at: usize, w: L::Wide) -> L::Wide {
    if WEIGHTED { l.mul_wide(w, l.widen(l.load(&weights[at..]))) } else { w }
}

/// The sum of `min(row, d1)`: the loss with the row's object as one more medoid. `d1` is padded with zeros.
#[inline(always)]
fn loss_with<L: WideLanes<T>, T: Float, const R: usize, const WEIGHTED: bool>(
    l: L,
    rows: [&[T]; R],
    d1: &[T],
    weights: &[T],
) -> [f64; R] {
    let n = rows[0].len();
    let mut sums = [[l.widen(l.splat(T::ZERO)); 2]; R];
    for at in (0..n).step_by(2 * L::N) {
        for (half, at) in [at, at + L::N].into_iter().enumerate() {
            if at < n {
                let d1 = l.load(&d1[at..]);
                for (row, sums) in rows.iter().zip(&mut sums) {
                    let nearest = l.widen(l.min(load_row(l, row, at), d1));
                    sums[half] = l.add_wide(sums[half], weigh::<L, T, WEIGHTED>(l, weights, at, nearest));
                }
            }
        }
    }
    let mut out = [0.0; R];
    for r in 0..R {
        out[r] = l.reduce_sum_wide(l.add_wide(sums[r][0], sums[r][1]));
    }
    out
}

#[inline(always)]
fn losses_weighted<L: WideLanes<T>, T: Float, const WEIGHTED: bool>(
    l: L,
    rows: MatRef<'_, T>,
    d1: &[T],
    weights: &[T],
    out: &mut [f64],
) {
    let n = rows.rows();
    let mut at = 0;
    while n - at >= SUMMED_ROWS {
        let group = [rows.row(at), rows.row(at + 1), rows.row(at + 2), rows.row(at + 3)];
        out[at..at + SUMMED_ROWS].copy_from_slice(&loss_with::<L, T, SUMMED_ROWS, WEIGHTED>(l, group, d1, weights));
        at += SUMMED_ROWS;
    }
    for (out, r) in out[at..].iter_mut().zip(at..n) {
        [*out] = loss_with::<L, T, 1, WEIGHTED>(l, [rows.row(r)], d1, weights);
    }
}

/// [`loss_with`] of every row: what BUILD minimises. With `d1` infinite (but zero in the padding) these are row sums.
#[inline(always)]
pub(crate) fn losses_with<L: WideLanes<T>, T: Float>(
    l: L,
    rows: MatRef<'_, T>,
    d1: &[T],
    weights: &[T],
    out: &mut [f64],
) {
    if weights.is_empty() {
        losses_weighted::<L, T, false>(l, rows, d1, weights, out);
    } else {
        losses_weighted::<L, T, true>(l, rows, d1, weights, out);
    }
}

/// The least elements, lane by lane; something negative instead of NaN and infinity.
#[inline(always)]
fn least<L: Lanes<T>, T: Float>(l: L, row: &[T]) -> L::V {
    let bad = l.splat(T::NEG_INFINITY);
    let mut least = [l.splat(T::ZERO); 4];
    let mut chunks = row.chunks_exact(4 * L::N);
    for chunk in &mut chunks {
        for (i, least) in least.iter_mut().enumerate() {
            let x = l.load(&chunk[i * L::N..]);
            *least = l.min(l.select(l.lt(x, l.splat(T::INFINITY)), x, bad), *least);
        }
    }
    for chunk in chunks.remainder().chunks(L::N) {
        let x = l.load_tail(chunk, T::ZERO);
        least[0] = l.min(l.select(l.lt(x, l.splat(T::INFINITY)), x, bad), least[0]);
    }
    l.min(l.min(least[0], least[1]), l.min(least[2], least[3]))
}

/// Whether no lane is negative.
#[inline(always)]
fn no_negative<L: Lanes<T>, T: Float>(l: L, x: L::V) -> bool {
    l.to_array(x)[..L::N].iter().all(|&x| x >= T::ZERO)
}

/// Whether every element is finite and not negative.
#[inline(always)]
pub(crate) fn all_distances<L: Lanes<T>, T: Float>(l: L, row: &[T]) -> bool {
    no_negative(l, least(l, row))
}

/// A and every T_i of each of `R` candidates for up to `K` medoids, summed up in the type itself: each object is added to
/// its medoid's sum by mask. Terms of a sum have one sign, so its relative error is [`masked_error`] at most. Rows that are not
/// `checked` are now, block by block as they are at hand: that saves a read of the matrix.
#[inline(always)]
fn scan_masked<L: IndexLanes<T>, T: Float, const K: usize, const R: usize, const WEIGHTED: bool>(
    l: L,
    rows: [&[T]; R],
    next: [&[T]; R],
    checked: bool,
    near: &Nearest<'_, T>,
) -> Result<([f64; R], [[f64; K]; R]), NoDistance> {
    let n = rows[0].len();
    let (zero, one) = (l.splat(T::ZERO), black_box(l.splat(T::ONE)));
    let mut all = zero;
    let mut a = [0.0; R];
    let mut t = [[0.0; K]; R];
    for start in (0..n).step_by(SUMMED) {
        let end = n.min(start + SUMMED);
        let (ahead, ahead_at) = if start + SUMMED < n { (rows, start + SUMMED) } else { (next, 0) };
        if !checked {
            for row in rows {
                all = l.min(least(l, &row[start..end]), all);
            }
        }
        let mut with = [zero; R];
        let mut without = [[zero; R]; K];
        for at in (start..end).step_by(L::N) {
            let (d1, d2) = (l.load(&near.d1[at..]), l.load(&near.d2[at..]));
            let mut lost = [zero; R];
            for r in 0..R {
                let d = load_row(l, rows[r], at);
                l.prefetch(ahead[r], ahead_at + (at - start));
                let kept = l.min(d, d1);
                lost[r] = l.sub(l.min(d, d2), kept);
                let mut gained = l.sub(kept, d1);
                if WEIGHTED {
                    let weights = l.load(&near.weights[at..]);
                    lost[r] = l.mul(lost[r], weights);
                    gained = l.mul(gained, weights);
                }
                with[r] = l.add(with[r], gained);
            }
            let n1 = l.load_index(&near.n1[at..]);
            for (i, sums) in without.iter_mut().enumerate() {
                let mine = l.eq_index(n1, l.splat_index(i as u32));
                for (sum, &lost) in sums.iter_mut().zip(&lost) {
                    *sum = if i % 2 == 0 {
                        l.masked_add_fma(mine, *sum, lost, one)
                    } else {
                        l.masked_add(mine, *sum, lost)
                    };
                }
            }
        }
        for r in 0..R {
            a[r] += l.reduce_sum(with[r]);
            // By way of memory: a loop that is not unrolled over the sums would keep them there all the time.
            let mut lanes = [[T::ZERO; MAX_LANES]; K];
            for (lanes, sums) in lanes.iter_mut().zip(&without) {
                l.store(lanes, sums[r]);
            }
            for (t, lanes) in t[r].iter_mut().zip(&lanes) {
                *t += l.reduce_sum(l.load(lanes));
            }
        }
    }
    if no_negative(l, all) { Ok((a, t)) } else { Err(NoDistance) }
}

/// The relative error of the sums of [`scan_masked`]: a term has up to three roundings of half an EPSILON (and one more
/// in its sum's lanes), and is in a sum of as many as a lane takes of a block.
#[inline(always)]
fn masked_error<L: Lanes<T>, T: Float>() -> f64 {
    (SUMMED / L::N + 8) as f64 * T::EPSILON
}

/// Whether some swap of a candidate with these sums, each off by the relative `error` and by `slack` at most, can change the
/// loss by less than `limit`. Sums that overflowed tell nothing.
#[inline(always)]
fn possible(a: f64, t: &[f64], error: f64, slack: f64, limit: f64) -> bool {
    let mut min = f64::INFINITY;
    let mut total = a;
    for &t in t {
        min = if t < min { t } else { min };
        total += t;
    }
    !total.is_finite() || a - error * a.abs() + min - error * min - slack < limit
}

/// The change of the loss where the object of `row` becomes the only medoid.
#[inline(always)]
fn difference<L: WideLanes<T>, T: Float, const WEIGHTED: bool>(l: L, row: &[T], near: &Nearest<'_, T>) -> f64 {
    let mut change = l.widen(l.splat(T::ZERO));
    for (i, chunk) in row.chunks(L::N).enumerate() {
        let at = i * L::N;
        let gained = l.sub_wide(l.widen(l.load_tail(chunk, T::ZERO)), l.widen(l.load(&near.d1[at..])));
        change = l.add_wide(change, weigh::<L, T, WEIGHTED>(l, near.weights, at, gained));
    }
    l.reduce_sum_wide(change)
}

/// The exact change of the loss, and the best swap, of one candidate.
#[inline(always)]
fn exact_swap<L: IndexLanes<T> + WideLanes<T> + Lanes<f64>, T: Float, const WEIGHTED: bool>(
    l: L,
    scan: Scan<'_, T>,
    place: usize,
    near: &Nearest<'_, T>,
    t: &mut [f64],
) -> Result<Option<Swap>, NoDistance> {
    let k = near.removal.len();
    let row = scan.d.row(scan.candidates[place]);
    let a = if k == 1 {
        // There is no second medoid, whose distance T_1 starts with.
        t[0] = 0.0;
        difference::<L, T, WEIGHTED>(l, row, near)
    } else {
        let [a] = scan_hits::<L, T, 1, false, WEIGHTED>(l, [row], [row], scan.checked, near, &mut t[..k])?;
        a
    };
    Ok(best_swap(l, scan, place, a, &t[..k], near.noise))
}

/// [`next_swap`] for up to `K` medoids: candidates by the `R` past [`scan_masked`], and those that may have a swap exactly.
#[cfg_attr(not(mantex_unoptimised), inline(always))]
fn next_masked<
    L: IndexLanes<T> + WideLanes<T> + Lanes<f64>,
    T: Float,
    const K: usize,
    const R: usize,
    const WEIGHTED: bool,
>(
    l: L,
    scan: Scan<'_, T>,
    near: &Nearest<'_, T>,
    t: &mut [f64],
) -> Result<Option<Swap>, NoDistance> {
    let Scan { d, candidates, limit, .. } = scan;
    let k = near.removal.len();
    let error = masked_error::<L, T>();
    // Products with weights may underflow, each by less than the smallest normal number; differences do not.
    let smallest = f64::from_bits(((1.0 - T::BIAS + <f64 as Float>::BIAS) as u64) << 52);
    let slack = if WEIGHTED { 2.0 * d.cols() as f64 * smallest } else { 0.0 };
    for from in (0..candidates.len()).step_by(R) {
        let count = R.min(candidates.len() - from);
        let (rows, next) = (group::<T, R>(d, candidates, from), group(d, candidates, from + R));
        let (a, sums) = scan_masked::<L, T, K, R, WEIGHTED>(l, rows, next, scan.checked, near)?;
        for r in 0..count {
            if possible(a[r], &sums[r][..k], error, slack, limit) {
                let swap = exact_swap::<L, T, WEIGHTED>(l, scan, from + r, near, t)?;
                if swap.is_some() {
                    return Ok(swap);
                }
            }
        }
    }
    Ok(None)
}

/// The rows of the `R` candidates from a place on; past the end the last one's.
#[inline(always)]
fn group<'a, T, const R: usize>(d: MatRef<'a, T>, candidates: &[usize], from: usize) -> [&'a [T]; R] {
    let last = candidates.len() - 1;
    let mut rows = [d.row(candidates[last]); R];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = d.row(candidates[(from + r).min(last)]);
    }
    rows
}

/// Adds the objects of a block that a candidate is nearer to than their second nearest medoids are; `row` and `near` are
/// those of the block. With another table, every other object goes there.
#[inline(always)]
fn add_hits<T: Float, const WEIGHTED: bool>(
    list: &[u8],
    row: &[T],
    near: &Nearest<'_, T>,
    t: &mut [f64],
    mut other: Option<&mut [f64]>,
) -> f64 {
    let mut a = [0.0; 2];
    let (pairs, rest) = if other.is_some() { list.as_chunks::<2>() } else { (&[][..], list) };
    let add = |o: u8, t: &mut [f64], a: &mut f64| {
        // Below BLOCK anyway: of a whole block the compiler then knows that it is an index.
        let o = o as usize % BLOCK;
        let (d, d1, d2) = (row[o], near.d1[o], near.d2[o]);
        let (kept, larger) = if d < d1 { (d, d1) } else { (d1, d) };
        let weight = if WEIGHTED { near.weights[o].to_f64() } else { 1.0 };
        *a += weight * (kept.to_f64() - d1.to_f64());
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

/// A and, in `t`, every T_i of each of `R` candidates: per block, collects the hits without branches, then works on them
/// one by one. `next` are the rows that are scanned after these. With `TWO` tables neighbouring hits are added to different
/// ones, as they often have the same medoid and would wait for each other; `t` is twice as long then. Rows that are not
/// `checked` are now.
#[cfg_attr(not(mantex_unoptimised), inline(always))]
fn scan_hits<L: IndexLanes<T>, T: Float, const R: usize, const TWO: bool, const WEIGHTED: bool>(
    l: L,
    rows: [&[T]; R],
    next: [&[T]; R],
    checked: bool,
    near: &Nearest<'_, T>,
    t: &mut [f64],
) -> Result<[f64; R], NoDistance> {
    let (n, k) = (rows[0].len(), near.removal.len());
    let (t, others) = t.split_at_mut(R * k);
    for t in t.chunks_exact_mut(k) {
        t.copy_from_slice(near.removal);
    }
    if TWO {
        others.fill(0.0);
    }
    let mut a = [0.0; R];
    let mut all = l.splat(T::ZERO);
    let mut lists = [[0_u8; BLOCK + MAX_LANES]; R];
    for start in (0..n).step_by(BLOCK) {
        let end = n.min(start + BLOCK);
        // The next block, so that memory has work while the lists are gone through.
        let (ahead, ahead_at) = if start + BLOCK < n { (rows, start + BLOCK) } else { (next, 0) };
        if !checked {
            for row in rows {
                all = l.min(least(l, &row[start..end]), all);
            }
        }
        let mut counts = [0; R];
        for at in (start..end).step_by(L::N) {
            let d2 = l.load(&near.d2[at..]);
            for r in 0..R {
                let hit = l.lt(load_row(l, rows[r], at), d2);
                counts[r] += l.compress_indices_u8(hit, (at - start) as u8, &mut lists[r][counts[r]..]);
                l.prefetch(ahead[r], ahead_at + (at - start));
            }
        }
        for r in 0..R {
            let t = &mut t[r * k..(r + 1) * k];
            let other = if TWO { Some(&mut others[r * k..(r + 1) * k]) } else { None };
            let (list, row) = (&lists[r][..counts[r]], &rows[r][start..end]);
            let (d1, d2, n1) = (&near.d1[start..end], &near.d2[start..end], &near.n1[start..end]);
            let weights = if WEIGHTED { &near.weights[start..end] } else { near.weights };
            a[r] += if let (Some(row), Some(d1), Some(d2), Some(n1)) = (
                row.first_chunk::<BLOCK>(),
                d1.first_chunk::<BLOCK>(),
                d2.first_chunk::<BLOCK>(),
                n1.first_chunk::<BLOCK>(),
            ) {
                add_hits::<T, WEIGHTED>(list, row, &Nearest { d1, d2, n1, weights, ..*near }, t, other)
            } else {
                add_hits::<T, WEIGHTED>(list, row, &Nearest { d1, d2, n1, weights, ..*near }, t, other)
            };
        }
    }
    if TWO {
        for (t, other) in t.iter_mut().zip(others) {
            *t += *other;
        }
    }
    if no_negative(l, all) { Ok(a) } else { Err(NoDistance) }
}

/// The smallest element; NaN counts for nothing.
#[inline(always)]
fn minimum<L: Lanes<f64>>(l: L, x: &[f64]) -> f64 {
    let mut min = l.splat(f64::INFINITY);
    for chunk in x.chunks(L::N) {
        min = l.min(l.load_tail(chunk, f64::INFINITY), min);
    }
    l.to_array(min)[..L::N].iter().fold(f64::INFINITY, |m, &x| if x < m { x } else { m })
}

/// The candidate's best swap, if it changes the loss by less than the limit: of positions that differ by no more than
/// `noise` the lowest.
#[inline(always)]
fn best_swap<L: Lanes<f64>, T>(l: L, scan: Scan<'_, T>, place: usize, a: f64, t: &[f64], noise: f64) -> Option<Swap> {
    let min = minimum(l, t);
    if a + min < scan.limit {
        let position = t.iter().position(|&t| t <= min + noise)?;
        Some(Swap { candidate: scan.candidates[place], place, position, delta: a + t[position] })
    } else {
        None
    }
}

/// The first of the candidates whose best swap changes the loss by less than the limit, with that swap. No row with an
/// element that is no distance has a part in it.
#[inline(always)]
pub(crate) fn next_swap<L: IndexLanes<T> + WideLanes<T> + Lanes<f64>, T: Float>(
    l: L,
    scan: Scan<'_, T>,
    near: Nearest<'_, T>,
    sums: Sums<'_>,
) -> Result<Option<Swap>, NoDistance> {
    if near.weights.is_empty() {
        next_weighted::<L, T, false>(l, scan, &near, sums)
    } else {
        next_weighted::<L, T, true>(l, scan, &near, sums)
    }
}

#[inline(always)]
fn next_weighted<L: IndexLanes<T> + WideLanes<T> + Lanes<f64>, T: Float, const WEIGHTED: bool>(
    l: L,
    scan: Scan<'_, T>,
    near: &Nearest<'_, T>,
    Sums { a, t, ready }: Sums<'_>,
) -> Result<Option<Swap>, NoDistance> {
    // As many candidates together as there are registers for their sums.
    let (k, many) = (near.removal.len(), <L as Lanes<T>>::REGISTERS >= 32);
    if k <= masked::<L, T>() {
        return match k {
            0..=2 if many => next_masked::<L, T, 2, 4, WEIGHTED>(l, scan, near, t),
            3..=4 if many => next_masked::<L, T, 4, 4, WEIGHTED>(l, scan, near, t),
            5..=6 if many => next_masked::<L, T, 6, 2, WEIGHTED>(l, scan, near, t),
            7..=8 if many => next_masked::<L, T, 8, 2, WEIGHTED>(l, scan, near, t),
            _ if many => next_masked::<L, T, MASKED, 2, WEIGHTED>(l, scan, near, t),
            0..=2 => next_masked::<L, T, 2, 2, WEIGHTED>(l, scan, near, t),
            3..=4 => next_masked::<L, T, 4, 2, WEIGHTED>(l, scan, near, t),
            5..=6 => next_masked::<L, T, 6, 1, WEIGHTED>(l, scan, near, t),
            _ => next_masked::<L, T, 8, 1, WEIGHTED>(l, scan, near, t),
        };
    }
    let Scan { d, candidates, .. } = scan;
    let mut place = 0;
    while place < candidates.len() {
        if *ready == 0 {
            if candidates.len() - place < ROWS {
                break;
            }
            let (rows, next) = (group::<T, ROWS>(d, candidates, place), group(d, candidates, place + ROWS));
            *a = if k <= TWO_TABLES {
                scan_hits::<L, T, ROWS, true, WEIGHTED>(l, rows, next, scan.checked, near, &mut t[..2 * ROWS * k])?
            } else {
                scan_hits::<L, T, ROWS, false, WEIGHTED>(l, rows, next, scan.checked, near, &mut t[..ROWS * k])?
            };
            *ready = ROWS;
        }
        let r = ROWS - *ready;
        *ready -= 1;
        let swap = best_swap(l, scan, place, a[r], &t[r * k..(r + 1) * k], near.noise);
        if swap.is_some() {
            return Ok(swap);
        }
        place += 1;
    }
    for place in place..candidates.len() {
        let swap = exact_swap::<L, T, WEIGHTED>(l, scan, place, near, t)?;
        if swap.is_some() {
            return Ok(swap);
        }
    }
    Ok(None)
}

/// How many numbers [`next_swap`] needs as scratch for k medoids.
#[cfg(feature = "std")]
pub(crate) fn scratch_len(k: usize) -> usize {
    if k <= TWO_TABLES { 2 * ROWS * k } else { ROWS * k }
}

/// Adds the objects of `R` rows as medoids at positions from `first` on.
#[inline(always)]
fn add_group<L: IndexLanes<T>, T: Float, const R: usize>(
    l: L,
    rows: [&[T]; R],
    first: usize,
    near: &mut NearestMut<'_, T>,
) {
    for at in (0..rows[0].len()).step_by(L::N) {
        let (mut d1, mut n1) = (l.load(&near.d1[at..]), l.load_index(&near.n1[at..]));
        let (mut d2, mut n2) = (l.load(&near.d2[at..]), l.load_index(&near.n2[at..]));
        for (r, row) in rows.iter().enumerate() {
            let position = l.splat_index((first + r) as u32);
            let d = load_row(l, row, at);
            let (nearest, second) = (l.lt(d, d1), l.lt(d, d2));
            d2 = l.select(nearest, d1, l.select(second, d, d2));
            n2 = l.select_index(nearest, n1, l.select_index(second, position, n2));
            d1 = l.select(nearest, d, d1);
            n1 = l.select_index(nearest, position, n1);
        }
        l.store(&mut near.d1[at..], d1);
        l.store(&mut near.d2[at..], d2);
        l.store_index(&mut near.n1[at..], n1);
        l.store_index(&mut near.n2[at..], n2);
    }
}

/// Adds medoids, several at a time so that the caches are read and written once for all of them, at positions from
/// `first` on.
#[inline(always)]
pub(crate) fn add_medoids<L: IndexLanes<T>, T: Float>(
    l: L,
    d: MatRef<'_, T>,
    medoids: &[usize],
    first: usize,
    mut near: NearestMut<'_, T>,
) {
    let mut at = 0;
    while medoids.len() - at >= ROWS {
        add_group::<L, T, ROWS>(l, group(d, medoids, at), first + at, &mut near);
        at += ROWS;
    }
    for (i, &medoid) in medoids.iter().enumerate().skip(at) {
        add_group(l, [d.row(medoid)], first + i, &mut near);
    }
}

/// Lists the objects whose nearest medoids change where the object of `row` takes the place of the medoid at `position`: it
/// undercuts their `bounds`, or they lose their nearest or second nearest medoid, whose positions are `near`. `out` needs
/// [`MAX_LANES`] elements more than there are objects; returns how many are listed.
#[inline(always)]
pub(crate) fn changed<L: IndexLanes<T>, T: Float>(
    l: L,
    row: &[T],
    position: usize,
    bounds: &[T],
    near: (&[u32], &[u32]),
    out: &mut [u32],
) -> usize {
    let position = l.splat_index(position as u32);
    let mut count = 0;
    for at in (0..row.len()).step_by(L::N) {
        let first = l.load_index(&near.0[at..]);
        let second = l.load_index(&near.1[at..]);
        // The position itself marks a change.
        let mark = l.select_index(l.eq_index(second, position), position, first);
        let closer = l.lt(load_row(l, row, at), l.load(&bounds[at..]));
        let mark = l.select_index(closer, position, mark);
        count += l.compress_indices(l.eq_index(mark, position), at as u32, &mut out[count..]);
    }
    count
}
