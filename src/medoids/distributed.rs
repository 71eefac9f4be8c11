//! The search on several ranks, which makes the swaps of one process.
//!
//! A rank has the rows of its own candidates, copies of the rows of the medoids, and the caches of
//! all objects. Whoever has a row sums it: ranks exchange decisions and rows, and no partial sums.
//!
//! ```text
//! fasterpam_pass:
//!     for each wave of candidates, in their order:
//!         scan the own ones up to the first with an improving swap
//!         p = the smallest position of such a candidate on any rank; if there is none: next wave
//!         its rank sends its row and the cluster; all ranks make the swap and go on after p
//!
//! fastpam1_iteration:
//!     limit = 0
//!     repeat:
//!         go on to the next own candidate with a swap below the limit, and wait there
//!         p = the smallest position at which a rank waits; if there is none: make the best swap
//!         its rank sends the change; that swap is the best one, and its change the limit
//! ```
//!
//! A wave begins with a block of candidates per rank and doubles while no swap is found. One
//! process goes on with the sums of the candidates that it scanned together with the last swap's.
//! Ranks sum theirs anew. Such sums round differently, but both lead to the same swap, because of
//! clusters that rounding may have put in the wrong order a scan names the first: unless two
//! clusters differ by just about the bound of the rounding errors.

use super::cache::Cache;
use super::input::{check_initial_medoids, check_row, check_weights};
use super::kmedoids::KMedoids;
use super::layout::Layout;
use super::options::Algorithm;
use super::replicas::OwnCandidates;
use super::verify::Swap;
use crate::error::IsaName;
use crate::kernels::medoids::PossibleSwap;
use crate::kernels::medoids::tuning::SCAN_ROWS;
use crate::real::Element;
use crate::reduce::{Fingerprint, agree};
use crate::{Error, MatRef, Real, Reduce, check};
use core::hash::{Hash, Hasher};
use core::ops::Range;

/// The largest number of blocks of candidates per rank in a wave. What lies behind the next swap is
/// scanned in vain. Not measured.
const MAX_WAVE_BLOCKS: usize = 64;

/// The first own candidate with an improving swap.
#[derive(Clone, Copy)]
struct Found {
    /// Its index among the own candidates.
    index: usize,
    /// Its position among all candidates.
    position: usize,
    possible: PossibleSwap,
    swap: Swap,
}

/// Checks the input on every rank, and that all ranks have the same problem. Returns the number of
/// objects.
pub(super) fn check_input<T: Real>(
    options: &KMedoids,
    rows: MatRef<'_, T>,
    weights: Option<&[T]>,
    reduce: &mut dyn Reduce,
) -> Result<usize, Error> {
    let result = check_own_input(options, rows, weights, Layout::of(reduce));
    let mut of_options = Fingerprint::new();
    (options.algorithm, &options.init, options.max_iterations).hash(&mut of_options);
    let mut of_weights = Fingerprint::new();
    for weight in weights.unwrap_or_default() {
        of_weights.write_u64(weight.to_f64().to_bits());
    }
    let same = [
        ("isa", Fingerprint::of_name(options.road.isa().name())),
        ("T", size_of::<T>() as f64),
        ("dissimilarities.cols()", rows.cols() as f64),
        ("k", options.k as f64),
        ("options", of_options.value()),
        ("weights", of_weights.value()),
    ];
    agree(reduce, result, same)
}

/// Checks the input of one rank. Returns the number of objects.
fn check_own_input<T: Real>(
    options: &KMedoids,
    rows: MatRef<'_, T>,
    weights: Option<&[T]>,
    layout: Layout,
) -> Result<usize, Error> {
    let n = rows.cols();
    check::shape("dissimilarities", &rows, (layout.rows(n).count(), n))?;
    check_initial_medoids(options, n)?;
    if let Some(weights) = weights {
        check_weights(n, weights)?;
    }
    if options.algorithm == Algorithm::Alternating {
        let (argument, name) = ("algorithm", IsaName::new("alternating"));
        return Err(Error::UnknownName { argument, name, expected: "FasterPAM, random FasterPAM or FastPAM1" });
    }
    layout.rows(n).zip(rows.iter_rows()).try_for_each(|(row, elements)| check_row(options.road, row, elements))?;
    Ok(n)
}

/// Runs one pass over the candidates, as that of one process.
pub(super) fn fasterpam_pass<T: Real>(
    cache: &mut Cache<'_, T>,
    candidates: &[usize],
    own: &OwnCandidates,
    unsuccessful: &mut usize,
    reduce: &mut dyn Reduce,
) -> Result<(usize, usize), Error> {
    let (n, d) = (candidates.len(), cache.dissimilarities());
    let min_wave = SCAN_ROWS.saturating_mul(reduce.ranks());
    let (mut at, mut swaps, mut wave) = (0, 0, min_wave);
    while at < n && *unsuccessful < n {
        let end = n.min(at + (n - *unsuccessful).min(wave));
        let found = first_swap(cache, candidates, own, own.before(at)..own.before(end), 0.0);
        let Some(first) = first_position(found, reduce)? else {
            *unsuccessful += end - at;
            at = end;
            wave = wave.saturating_mul(2).min(min_wave.saturating_mul(MAX_WAVE_BLOCKS));
            continue;
        };
        let cluster = found.map_or(0, |found| found.swap.cluster);
        let cluster = cache.replicas.fetch_next(d, candidates[first], cluster, reduce)?;
        // The next scan does not go on where the last one of this rank ended.
        cache.scanned.ready = 0;
        cache.swap(candidates[first], cluster);
        (at, wave, *unsuccessful) = (first + 1, min_wave, 0);
        swaps += 1;
    }
    Ok((swaps, at))
}

/// Makes the best of all swaps if it lowers the loss, as one process does.
pub(super) fn fastpam1_iteration<T: Real>(
    cache: &mut Cache<'_, T>,
    candidates: &[usize],
    own: &OwnCandidates,
    reduce: &mut dyn Reduce,
) -> Result<(usize, usize), Error> {
    let mut best = None;
    let (mut limit, mut next, mut waiting) = (0.0, 0, None::<Found>);
    loop {
        if waiting.is_none() {
            waiting = first_swap(cache, candidates, own, next..own.rows().len(), limit);
            next = waiting.map_or(own.rows().len(), |found| found.index + 1);
        }
        let Some(first) = first_position(waiting, reduce)? else { break };
        let is_own = waiting.filter(|found| found.position == first);
        let mut message = is_own.map_or([0.0; 3], |Found { swap: Swap { change, rounding, cluster, .. }, .. }| {
            [change, rounding, cluster as f64]
        });
        reduce.sum(&mut message)?;
        let [change, rounding, cluster] = message;
        limit = change - rounding;
        best = Some((candidates[first], cluster as usize));
        waiting = waiting.filter(|_| is_own.is_none()).and_then(|found| {
            let swap = cache.verified_swap(found.possible, limit)?;
            Some(Found { swap, ..found })
        });
    }
    if let Some((candidate, cluster)) = best {
        cache.replicas.fetch_next(cache.dissimilarities(), candidate, 0, reduce)?;
        cache.swap(candidate, cluster);
    }
    Ok((usize::from(best.is_some()), candidates.len()))
}

/// Returns the first of these own candidates with a swap that lowers the loss, by less than
/// `limit`.
fn first_swap<T: Real>(
    cache: &mut Cache<'_, T>,
    candidates: &[usize],
    own: &OwnCandidates,
    range: Range<usize>,
    limit: f64,
) -> Option<Found> {
    let mut at = range.start;
    while at < range.end
        && let Ok(Some(possible)) = cache.first_improving_swap(&own.rows()[at..range.end], limit, true)
    {
        let index = at + possible.candidate_index;
        let position = own.position(index);
        let possible = PossibleSwap { candidate: candidates[position], ..possible };
        if let Some(swap) = cache.verified_swap(possible, limit) {
            return Some(Found { index, position, possible, swap });
        }
        at = index + 1;
    }
    None
}

/// Returns the smallest position that was found on any rank.
fn first_position(own: Option<Found>, reduce: &mut dyn Reduce) -> Result<Option<usize>, Error> {
    let mut first = [own.map_or(f64::NEG_INFINITY, |found| -(found.position as f64))];
    reduce.max(&mut first)?;
    Ok((first[0] > f64::NEG_INFINITY).then_some(-first[0] as usize))
}
