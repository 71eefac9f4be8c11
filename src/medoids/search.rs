//! The search for better medoids: the loop, and one iteration of each algorithm.

use super::alternating::alternating_iteration;
use super::cache::Cache;
use super::clustering::{Clustering, Counts, Progress};
use super::dissimilarities::{Dissimilarities, pad_weights};
use super::distributed;
use super::init::{Rng, initial_medoids};
use super::input::{check_elements, check_input, first_invalid};
use super::kmedoids::KMedoids;
use super::layout::Layout;
use super::options::{Algorithm, Init};
use super::replicas::{OwnCandidates, Replicas};
use super::verify::Swap;
use crate::kernels::medoids::InvalidDissimilarity;
use crate::{Error, MatRef, Real, Reduce};
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// Clusters the objects: improves the initial medoids until an iteration finds no improvement, the
/// limit of iterations is reached, or the callback breaks. `matrix` has the rows of this rank.
pub(super) fn search<T: Real>(
    options: &KMedoids,
    matrix: MatRef<'_, T>,
    weights: Option<&[T]>,
    reduce: &mut dyn Reduce,
    on_iteration: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Clustering, Error> {
    let (road, layout) = (options.road, Layout::of(reduce));
    let mut validated = !layout.is_one() || !is_validated_by_first_pass(options);
    let n = if layout.is_one() {
        let n = check_input(options, matrix, weights)?;
        if validated {
            check_elements(road, matrix)?;
        }
        n
    } else {
        distributed::check_input(options, matrix, weights, reduce)?
    };
    let weights = weights.map(pad_weights).unwrap_or_default();
    let d = Dissimilarities { road, matrix, weights: &weights, layout };
    let medoids = initial_medoids(&options.init, d, options.k, reduce)?;
    if !validated && !medoids.iter().all(|&medoid| T::all_finite_non_negative(road, matrix.row(medoid))) {
        check_elements(road, matrix)?;
    }
    let mut cache = Cache::with_medoids(d, &medoids, Replicas::fetch(d, &medoids, reduce)?);
    cache.update_sums();
    let candidates = candidates(options.algorithm, n);
    let own = if layout.is_one() { OwnCandidates::default() } else { OwnCandidates::new(d, &candidates) };
    let mut counts = Counts::default();
    let mut unsuccessful = 0;
    while counts.iterations < options.iteration_limit() && !counts.converged {
        counts.iterations += 1;
        let (swaps, evaluated) = match options.algorithm {
            Algorithm::FastPam1 if !layout.is_one() => {
                distributed::fastpam1_iteration(&mut cache, &candidates, &own, reduce)?
            }
            _ if !layout.is_one() => {
                distributed::fasterpam_pass(&mut cache, &candidates, &own, &mut unsuccessful, reduce)?
            }
            Algorithm::FasterPam | Algorithm::RandomFasterPam { .. } => {
                fasterpam_pass(&mut cache, &candidates, validated, &mut unsuccessful)
                    .map_err(|InvalidDissimilarity| first_invalid(road, matrix))?
            }
            Algorithm::FastPam1 => fastpam1_iteration(&mut cache, &candidates)
                .map_err(|InvalidDissimilarity| first_invalid(road, matrix))?,
            Algorithm::Alternating => alternating_iteration(&mut cache),
        };
        // Only the last pass may end early.
        validated = true;
        counts.swaps += swaps;
        counts.evaluated += evaluated;
        counts.converged = match options.algorithm {
            Algorithm::FasterPam | Algorithm::RandomFasterPam { .. } => unsuccessful == n,
            Algorithm::FastPam1 | Algorithm::Alternating => swaps == 0,
        };
        let progress = Progress { iteration: counts.iterations, swaps: counts.swaps, loss: cache.loss() };
        if on_iteration(&progress).is_break() {
            break;
        }
    }
    // A new cache: its labels name the first of equally near medoids, and its loss is summed anew.
    let (medoids, replicas) = cache.into_medoids();
    Clustering::of(&Cache::with_medoids(d, &medoids, replicas), counts)
}

/// Returns whether the search begins with a pass that reads and validates the whole matrix, so that
/// no other check is needed before.
fn is_validated_by_first_pass(options: &KMedoids) -> bool {
    options.iteration_limit() > 0
        && !matches!(options.init, Init::Build)
        && matches!(options.algorithm, Algorithm::FasterPam | Algorithm::RandomFasterPam { .. })
}

/// Returns all objects in the order in which the algorithm tries them.
fn candidates(algorithm: Algorithm, n: usize) -> Vec<usize> {
    let mut candidates: Vec<usize> = (0..n).collect();
    if let Algorithm::RandomFasterPam { seed } = algorithm {
        Rng(seed).draw(&mut candidates, n);
    }
    candidates
}

/// Runs one pass over the n candidates, and makes an improving swap at once. `unsuccessful` counts
/// the candidates in a row without a swap, over all passes; the pass ends early if it reaches n.
/// Returns the number of swaps and the number of candidates that were evaluated.
fn fasterpam_pass<T: Real>(
    cache: &mut Cache<'_, T>,
    candidates: &[usize],
    validated: bool,
    unsuccessful: &mut usize,
) -> Result<(usize, usize), InvalidDissimilarity> {
    let (mut at, mut swaps) = (0, 0);
    while at < candidates.len() && *unsuccessful < candidates.len() {
        let to = candidates.len().min(at + (candidates.len() - *unsuccessful));
        let found = cache.first_improving_swap(&candidates[at..to], 0.0, validated)?;
        let next = found.map_or(to, |possible| at + possible.candidate_index + 1);
        *unsuccessful += next - at;
        at = next;
        if let Some(possible) = found
            && let Some(swap) = cache.verified_swap(possible, 0.0)
        {
            cache.swap(swap.candidate, swap.cluster);
            swaps += 1;
            *unsuccessful = 0;
        }
    }
    Ok((swaps, at))
}

/// Makes the best of all swaps if it lowers the loss. Returns the number of swaps and the number of
/// candidates that were evaluated.
fn fastpam1_iteration<T: Real>(
    cache: &mut Cache<'_, T>,
    candidates: &[usize],
) -> Result<(usize, usize), InvalidDissimilarity> {
    let mut best: Option<Swap> = None;
    let (mut at, mut limit) = (0, 0.0);
    while let Some(possible) = cache.first_improving_swap(&candidates[at..], limit, true)? {
        at += possible.candidate_index + 1;
        if let Some(swap) = cache.verified_swap(possible, limit) {
            limit = swap.change - swap.rounding;
            best = Some(swap);
        }
    }
    if let Some(swap) = best {
        cache.swap(swap.candidate, swap.cluster);
    }
    Ok((usize::from(best.is_some()), candidates.len()))
}
