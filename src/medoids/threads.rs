//! Scans for swaps on several threads, with the swaps that one thread finds.

use super::cache::Cache;
use super::scanned::Scanned;
use crate::Real;
use crate::bands::min_band_elements;
use crate::kernels::medoids::tuning::SCAN_ROWS;
use crate::kernels::medoids::{FoundSwap, PossibleSwap, Scan};
use rayon::prelude::*;

/// The number of blocks of candidates per thread that are scanned at most before all look for the
/// first swap. What lies behind that swap is scanned in vain.
const MAX_BLOCKS: usize = 64;

/// The number of bands of candidates that one thread scans before several do. With 1 instead of 4,
/// FasterPAM of 1000 objects takes 1.04 to 1.05 times as long, and of 5000 objects 0.95 times; with
/// 16, 0.97 to 1.05 and 1.05 to 1.1; if several begin at once, 1.18 to 1.28 and 0.95 to 1.03 (two
/// threads on Zen 4, all ways in turn, 2026-11-27).
const FIRST_BANDS: usize = 4;

/// [`Cache::first_improving_swap`]. One thread begins, because the next swap may be near. Then
/// blocks of candidates are scanned at the same time, a wave of them after the other, and the first
/// swap counts. Waves grow while none is found.
pub(super) fn scan<T: Real>(cache: &Cache<'_, T>, scan: Scan<'_, T>, scanned: &mut Scanned) -> FoundSwap {
    let Scan { d, candidates, .. } = scan;
    let blocks_per_band = (min_band_elements() / (SCAN_ROWS * d.cols())).max(1);
    // The candidates whose sums are ready, then whole blocks.
    let mut at = candidates.len().min(scanned.ready + FIRST_BANDS * blocks_per_band * SCAN_ROWS);
    if at > 0 {
        let found = cache.scan_here(Scan { candidates: &candidates[..at], ..scan }, scanned)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let mut blocks = rayon::current_num_threads() * blocks_per_band;
    let most = blocks.max(rayon::current_num_threads() * MAX_BLOCKS);
    while at < candidates.len() {
        let wave = &candidates[at..candidates.len().min(at + blocks * SCAN_ROWS)];
        let first = wave.par_chunks(SCAN_ROWS).enumerate().find_map_first(|(block, candidates)| {
            let mut sums = Scanned::new(cache.medoids().len());
            let found = cache.scan_here(Scan { candidates, ..scan }, &mut sums).transpose()?;
            Some(found.map(|swap| (block, swap, sums)))
        });
        if let Some(first) = first {
            let (block, swap, sums) = first?;
            *scanned = sums;
            let candidate_index = at + block * SCAN_ROWS + swap.candidate_index;
            return Ok(Some(PossibleSwap { candidate_index, ..swap }));
        }
        at += wave.len();
        blocks = (2 * blocks).min(most);
    }
    Ok(None)
}
