//! k-medoids: the loss changes of all k swaps of a candidate from one read of its row.
//!
//! Schubert & Rousseeuw, "Fast and Eager k-Medoids Clustering", Information Systems 101 (2021),
//! sections 3 and 4.
//!
//! Let d1 and d2 be the dissimilarities of an object to its nearest and second nearest medoid, n1
//! the cluster of the nearest one, and d its dissimilarity to a candidate. If the candidate
//! replaces the medoid of cluster i, the loss changes by `A + T_i`:
//!
//! ```text
//! A   = sum over all objects   of  min(d, d1) - d1
//! T_i = sum over cluster i     of  min(d, d2) - min(d, d1)
//!     = R_i + sum over the hits of cluster i  of  max(d, d1) - d2
//! R_i = sum over cluster i     of  d2 - d1, the loss of removing medoid i
//!
//! first_improving_swap(candidates, limit):
//!     for each candidate:                           one read of its row
//!         A = 0;  T = R - E
//!         for each hit, an object with d < d2:
//!             A     += min(d, d1) - d1
//!             T[n1] += max(d, d1) - d2
//!         i = argmin T
//!         if A < 0 and A + T[i] < limit: return the candidate and i
//! ```
//!
//! If objects have weights, each term is multiplied by the weight of its object. Sums are kept in
//! `f64`: for `f32` they are exact or nearly exact.
//!
//! Beside one large dissimilarity, R_i has no digits of the small ones, and neither has T_i, from
//! which the large one was subtracted again. The sums therefore only rule out swaps. E_i bounds the
//! rounding of T_i, which is relative to R_i, so T_i is a lower bound. The caller sums the change
//! of the loss for the swaps that are left, from their definition and without cancellation. No swap
//! lowers the loss if A = 0, because no T_i is negative. That rules out medoids and their
//! duplicates.
//!
//! Deviations, to be fast:
//! 1. With few medoids, most objects are hits, and branches on hits mispredict. The first formula
//!    for T_i is then summed over all objects under masks, in the element type and with a register
//!    per cluster ([`masked_scan`]). If the sums and their rounding errors allow a swap, the
//!    candidate is scanned again in `f64`, by lists of hits.
//! 2. With many medoids, hits are rare. [`hit_scan`] lists the hits of a block of objects without
//!    branches, then adds them one by one. [`tuning::SCAN_ROWS`] candidates share the reads of d1
//!    and d2, and one list: its hits belong to different candidates in turn, and their additions
//!    do not wait for each other. If hits are few even for the clusters, only the T_i with hits are
//!    reset before the next scan and compared with the smallest R_i ([`hit_scan::Hits`]).
//! 3. The sums of candidates that were scanned together outlive a swap: the caller updates them for
//!    the few objects that the swap changes ([`CandidateSums::ready`]).
//! 4. Rows that are not yet known to be valid are validated during the scan, while a block of them
//!    is in L1. That saves one read of the matrix.
//!
//! | file | content |
//! |---|---|
//! | [`tuning`] | the measured constants |
//! | [`swap`] | which scan, sums in `f64`, which swaps are possible |
//! | [`masked_scan`] | few medoids: sums under masks |
//! | [`hit_scan`] | many medoids: lists of hits |
//! | [`validation`] | whether rows hold valid dissimilarities |
//! | [`build`] | starts: the losses with one more medoid |
//! | [`nearest`] | caches of the two nearest medoids; the nearest medoids of new objects |
//! | [`members`] | sums over the members of clusters |

pub(crate) mod build;
pub(crate) mod hit_scan;
mod masked_scan;
pub(crate) mod members;
pub(crate) mod nearest;
pub(crate) mod swap;
pub(crate) mod tuning;
pub(crate) mod validation;

use super::lanes::{Float, Lanes, WideLanes};
use crate::matrix::MatRef;
use hit_scan::Hits;
use tuning::SCAN_ROWS;

/// The cluster of a second nearest medoid that is not known; no cluster has this index.
pub(crate) const UNKNOWN_CLUSTER: u32 = u32::MAX;
/// The clusters of the nearest and second nearest medoid of padding; no cluster has this index.
pub(crate) const PADDING_CLUSTER: u32 = u32::MAX - 1;

/// The current clustering, to read in a scan. `d1`, `d2` and `n1` have one element per object and
/// are padded to a multiple of [`MAX_LANES`](super::lanes::MAX_LANES), with [`PADDING_CLUSTER`] and
/// with distance 0, below which no candidate is.
#[derive(Clone, Copy)]
pub struct NearestRef<'a, T> {
    /// The distance to the nearest medoid.
    pub d1: &'a [T],
    /// The distance to the second nearest medoid; infinite if there is only one medoid.
    pub d2: &'a [T],
    /// The cluster of the nearest medoid.
    pub n1: &'a [u32],
    /// A lower bound of R_i, the loss of removing a medoid, for every cluster: low enough to make
    /// the T_i of a scan a lower bound, too.
    pub removal_bounds: &'a [f64],
    /// E_i of every cluster: T_i is at most 2 E_i above its lower bound.
    pub removal_errors: &'a [f64],
    /// The weight of every object, padded with 0 to the same length; empty if all weights are 1.
    pub weights: &'a [T],
    /// A bound of the relative error of A.
    pub relative_error: f64,
}

/// The caches of nearest medoids, padded as in [`NearestRef`].
pub struct NearestMut<'a, T> {
    /// The distance to the nearest medoid.
    pub d1: &'a mut [T],
    /// The distance to the second nearest medoid.
    pub d2: &'a mut [T],
    /// The cluster of the nearest medoid.
    pub n1: &'a mut [u32],
    /// The cluster of the second nearest medoid.
    pub n2: &'a mut [u32],
}

/// The first candidate with a swap that the sums do not rule out.
pub(crate) type FoundSwap = Result<Option<PossibleSwap>, InvalidDissimilarity>;

/// The candidates of a scan.
#[derive(Clone, Copy)]
pub struct Scan<'a, T> {
    /// The dissimilarities; row c holds those of every object to object c.
    pub d: MatRef<'a, T>,
    /// The objects that may become medoids.
    pub candidates: &'a [usize],
    /// A swap must change the loss by less than this.
    pub limit: f64,
    /// Whether the elements of the candidates' rows are known to be finite and not negative.
    pub validated: bool,
}

/// The sums of the candidates that were scanned together. If the caller keeps them up to date, the
/// call after a swap does not have to scan these candidates again.
pub struct CandidateSums<'a> {
    /// A of each candidate.
    pub a: &'a mut [f64; SCAN_ROWS],
    /// All T_i of each candidate, one candidate after the other: `SCAN_ROWS` times k elements.
    pub t: &'a mut [f64],
    /// The hits of these candidates. The caller forgets them when it changes a sum or a cache.
    pub hits: &'a mut Hits,
    /// The number of candidates at the end of the group that are not yet tried. Their sums belong
    /// to the first candidates of the next call.
    pub ready: &'a mut usize,
}

/// A dissimilarity is NaN, infinite or negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidDissimilarity;

/// A swap of a medoid for a candidate that may change the loss by less than the limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PossibleSwap {
    /// The object that becomes a medoid.
    pub candidate: usize,
    /// Its index among the candidates of the scan.
    pub candidate_index: usize,
    /// The cluster whose medoid it best replaces: the first of those with equally low sums.
    pub cluster: usize,
    /// A lower bound of A.
    pub a: f64,
    /// The index in [`CandidateSums::t`] of the lower bound of the first T_i.
    pub sums_at: usize,
}

/// Loads the vectors of rows of one length that begin at `row[at]`, with one branch for all rows.
/// Lanes past the last element are `fill`.
#[inline(always)]
fn load_rows<L: Lanes<T>, T: Float, const R: usize>(l: L, rows: &[&[T]; R], at: usize, fill: T) -> [L::V; R] {
    let mut vectors = [l.splat(fill); R];
    if rows[0].len() - at >= L::N {
        for r in 0..R {
            vectors[r] = l.load(&rows[r][at..]);
        }
    } else {
        for r in 0..R {
            vectors[r] = l.load_tail(&rows[r][at..], fill);
        }
    }
    vectors
}

/// Returns `terms` times the weights of the objects from `at` on, or `terms` if objects have no
/// weights.
#[inline(always)]
fn weighted<L: WideLanes<T>, T: Float>(l: L, weights: &[T], at: usize, terms: L::Wide) -> L::Wide {
    if weights.is_empty() { terms } else { l.mul_wide(terms, l.widen(l.load(&weights[at..]))) }
}

/// Returns the rows of `R` candidates from the index `from` on. Past the end, the row of the last
/// candidate repeats.
#[inline(always)]
fn candidate_rows<'a, T, const R: usize>(d: MatRef<'a, T>, candidates: &[usize], from: usize) -> [&'a [T]; R] {
    let last = candidates.len() - 1;
    let mut rows = [d.row(candidates[last]); R];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = d.row(candidates[(from + r).min(last)]);
    }
    rows
}
