//! Scans for swaps on several threads, with the swaps that one thread finds.

use super::cache::{Cache, Scanned};
use crate::Real;
use crate::kernels::medoids::tuning::SCAN_ROWS;
use crate::kernels::medoids::{FoundSwap, PossibleSwap, Scan};
use rayon::prelude::*;

/// The number of elements that each thread scans at least before all look for the first swap: it
/// takes several times as long as waking a thread.
const MIN_ELEMENTS: usize = 65536;

/// The number of blocks of candidates per thread that are scanned at most before all look for the
/// first swap. What lies behind that swap is scanned in vain.
const MAX_BLOCKS: usize = 16;

/// [`Cache::first_improving_swap`]. Blocks of candidates are scanned at the same time, a wave of
/// them after the other, and the first swap counts. Waves grow while none is found.
pub(super) fn scan<T: Real>(cache: &Cache<'_, T>, scan: Scan<'_, T>, scanned: &mut Scanned) -> FoundSwap {
    let Scan { d, candidates, .. } = scan;
    let threads = rayon::current_num_threads();
    // Those whose sums are ready.
    let mut at = scanned.ready.min(candidates.len());
    if at > 0 {
        let found = cache.scan_here(Scan { candidates: &candidates[..at], ..scan }, scanned)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let mut blocks = threads * (MIN_ELEMENTS / (SCAN_ROWS * d.cols())).clamp(1, MAX_BLOCKS);
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
        blocks = (2 * blocks).min(MAX_BLOCKS * threads);
    }
    Ok(None)
}
