//! The measured constants of the k-medoids family.
//!
//! Unless noted otherwise, a value was chosen with `cargo bench --bench medoids -- ratios`, for f32
//! and AVX-512, on a virtual machine with two cores of a Zen 4 server, on 2026-11-25. Times that
//! were recorded before and after a change are given with the constant; the other candidates of a
//! value were not recorded. On NEON, of which only emulation was at hand, nothing is measured.

use crate::kernels::lanes::{Float, Lanes};

// The swap scan.

/// The largest k, in medoids, for which any instruction set scans under masks. Together with a
/// multiply-add for every other sum, 10 instead of 12 brought FasterPAM with n = 10000 and k = 10
/// from 83 to 66 ms.
pub(super) const MAX_MASKED_K: usize = 10;
/// The number of candidates that are scanned together by a list of hits. They share the reads of
/// the caches, and eight rows are prefetched at a time. It is also the number of rows of medoids
/// that [`add_medoids`](super::nearest::add_medoids) reads together.
pub(crate) const SCAN_ROWS: usize = 8;
/// The number of objects per block of a hit scan. The rows of a block, its list of hits and the
/// caches that it reads fit L1.
pub(super) const BLOCK_OBJECTS: usize = 128;
/// The number of bytes that a hit scan prefetches into L2 ahead of what it reads of a row. One list
/// per block for all candidates and this prefetch, instead of a list per candidate and a prefetch
/// of the next block into L1, brought a scan with n = 10000 and k = 100 from 0.22 to 0.17 ns per
/// entry (AVX2: from 0.28 to 0.19), on Zen 4, 2026-11-27.
pub(super) const PREFETCH_BYTES: usize = 4096;
/// The smallest k for which hits may be listed from words of comparisons; see [`lists_words`]. For
/// f32 and AVX2, words bring a scan with n = 5000 and k = 100 from 0.197 to 0.176 ns per entry; for
/// k = 20 they bring it from 0.31 to 0.39, on Zen 4, 2026-11-27.
pub(super) const MIN_WORDS_K: usize = 32;
/// The most hits of a scan that stay listed until the next one: 8 KiB. Not measured.
pub(super) const MAX_LISTED_HITS: usize = 2048;
/// The hits of a scan stay listed if there is at most one per this many sums T_i. Only the sums
/// with hits are then reset and compared. Not measured: a hit takes a few scalar operations, a sum
/// a fraction of a vector operation.
pub(super) const CLUSTERS_PER_HIT: usize = 8;
/// The number of objects whose masked sums are kept in T before they are added up in `f64`. It
/// bounds the rounding error of a masked sum. Not measured: 1024 objects make the `f64` additions
/// rare, and with 16 lanes of f32 the error stays below 1e-5.
pub(super) const NARROW_SUM_OBJECTS: usize = 1024;

/// Returns the largest k for which this instruction set scans under masks. It is smaller for narrow
/// vectors, whose masked additions serve fewer objects. With eight lanes, 8 instead of 9 is a part
/// of the change that [`MAX_MASKED_K`] describes; with 32 registers, the two rows that are scanned
/// together make 10 better (AVX-512, f64, n = 3000: 0.52 instead of 0.61 ns per entry for k = 9;
/// 2026-11-27).
#[inline(always)]
pub(super) fn max_masked_k<L: Lanes<T>, T: Float>() -> usize {
    match L::N {
        0..4 => 4,
        4..8 => 6,
        8..16 if L::REGISTERS < 32 => 8,
        _ => MAX_MASKED_K,
    }
}

/// Returns whether hits are listed from words of 64 comparisons instead of vector by vector. With
/// eight lanes in 16 registers, that is AVX2 for f32, a word takes half the instructions of its
/// eight vectors. Each hit takes more, and lists of more than four per word mispredict.
#[inline(always)]
pub(super) fn lists_words<L: Lanes<T>, T: Float>(k: usize) -> bool {
    L::N == 8 && L::REGISTERS < 32 && k >= MIN_WORDS_K
}

// Other kernels.

/// The number of rows that BUILD sums together: they share the reads of d1.
pub(super) const BUILD_ROWS: usize = 4;
/// The number of rows of a cluster that are added up together: they share one read and one write of
/// the sums. Not measured: the sums stay in L1, so more rows would save little.
pub(super) const MEMBER_ROWS: usize = 4;

// The drivers in src/medoids/.

/// The number of medoids that an object keeps ranked, including its two nearest ones. With many
/// medoids the search for a second nearest one is the most expensive part of a swap: it reads one
/// element of every medoid's row. Ranking brought FasterPAM with n = 10000 and k = 1000 from 458 to
/// 146 ms.
pub(crate) const MAX_RANKED: usize = 6;
/// An object keeps one medoid ranked per this many medoids, and at most [`MAX_RANKED`]. With few
/// medoids a search is cheap, and a swap changes the rankings of most objects.
pub(crate) const MEDOIDS_PER_RANKED: usize = 16;
/// If a swap changes more than one in this many objects, the next candidates are scanned again:
/// updating their sums would cost as much.
pub(crate) const RESCAN_FRACTION: usize = 16;
/// The number of objects whose masses are summed together to draw an object by its mass. Not
/// measured: about the square root of the number of objects.
pub(crate) const MASS_BLOCK: usize = 64;
/// The most candidates for a medoid of k-medoids++ if the medoids are few. With 64, losses after
/// FasterPAM are 0.15% above those of the best start, in the mean over matrices of 1000 to 10,000
/// objects and 10 to 1000 medoids; with 16 they are 0.30% above, and with 2 + floor(ln k) 0.34%
/// (`cargo bench --bench medoids -- ratios`, Zen 4, 2026-11-26). Other numbers: not measured.
pub(crate) const MAX_TRIALS: usize = 64;
/// The number of columns whose silhouette sums stay in L1 while rows pass by: 8 KiB of `f64`. Not
/// measured: the sums need only take a small part of L1 and many cache lines.
pub(crate) const BLOCK_COLUMNS: usize = 1024;
/// The side, in elements, of the square tiles in which a condensed matrix is mirrored. Not
/// measured: the reads of a tile, one cache line per row, stay in L1.
pub(crate) const TILE_SIDE: usize = 64;
