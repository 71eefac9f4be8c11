//! The search for better medoids: the loop, and one iteration of each algorithm.

use super::cache::Cache;
use super::clustering::{Clustering, Counts, Progress};
use super::dissimilarities::{Dissimilarities, pad_weights};
use super::init::{Rng, initial_medoids};
use super::input::{check_elements, check_input, first_invalid};
use super::kmedoids::{Algorithm, Init, KMedoids};
use crate::kernels::medoids::InvalidDissimilarity;
use crate::real::Element;
use crate::{Error, MatRef, Real};
use std::ops::ControlFlow;

/// Clusters the objects: improves the initial medoids until an iteration finds no improvement, the
/// limit of iterations is reached, or the callback breaks.
pub(super) fn search<T: Real>(
    options: &KMedoids,
    matrix: MatRef<'_, T>,
    weights: Option<&[T]>,
    on_iteration: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Clustering, Error> {
    let (n, road) = (check_input(options, matrix, weights)?, options.road);
    let mut validated = !is_validated_by_first_pass(options);
    if validated {
        check_elements(road, matrix)?;
    }
    let weights = weights.map(pad_weights).unwrap_or_default();
    let d = Dissimilarities { road, matrix, weights: &weights };
    let medoids = initial_medoids(&options.init, d, options.k);
    if !validated && !medoids.iter().all(|&medoid| T::all_finite_non_negative(road, matrix.row(medoid))) {
        check_elements(road, matrix)?;
    }
    let mut cache = Cache::with_medoids(d, &medoids);
    cache.update_sums();
    let candidates = candidates(options.algorithm, n);
    let mut counts = Counts::default();
    let mut unsuccessful = 0;
    while counts.iterations < options.max_iterations && !counts.converged {
        counts.iterations += 1;
        let (swaps, evaluated) = match options.algorithm {
            Algorithm::FasterPam | Algorithm::RandomFasterPam { .. } => {
                fasterpam_pass(&mut cache, &candidates, validated, &mut unsuccessful)
            }
            Algorithm::FastPam1 => fastpam1_iteration(&mut cache, &candidates),
            Algorithm::Alternating => Ok(alternating_iteration(&mut cache)),
        }
        .map_err(|InvalidDissimilarity| first_invalid(road, matrix))?;
        // Only the last pass may end early.
        validated = true;
        counts.swaps += swaps;
        counts.evaluated += evaluated;
        counts.converged = match options.algorithm {
            Algorithm::FasterPam | Algorithm::RandomFasterPam { .. } => unsuccessful == n,
            Algorithm::FastPam1 | Algorithm::Alternating => swaps == 0,
        };
        let progress = Progress { iteration: counts.iterations, swaps: counts.swaps, loss: cache.sum_of_d1() };
        if on_iteration(&progress).is_break() {
            break;
        }
    }
    // A new cache: its labels name the first of equally near medoids, and its loss is summed anew.
    let mut cache = Cache::with_medoids(d, cache.medoids());
    cache.update_sums();
    Clustering::of(&cache, counts)
}

/// Returns whether the search begins with a pass that reads and validates the whole matrix, so that
/// no other check is needed before.
fn is_validated_by_first_pass(options: &KMedoids) -> bool {
    options.max_iterations > 0
        && matches!(options.init, Init::Random { .. } | Init::Given(_))
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
        let next = found.map_or(to, |swap| at + swap.candidate_index + 1);
        *unsuccessful += next - at;
        at = next;
        if let Some(swap) = found
            && cache.lowers_loss(swap)
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
    let mut best = None;
    let (mut at, mut limit) = (0, 0.0);
    while let Some(swap) = cache.first_improving_swap(&candidates[at..], limit, true)? {
        at += swap.candidate_index + 1;
        if cache.lowers_loss(swap) {
            limit = swap.delta - cache.dissimilarities().rounding_bound(cache.loss());
            best = Some(swap);
        }
    }
    if let Some(swap) = best {
        cache.swap(swap.candidate, swap.cluster);
    }
    Ok((usize::from(best.is_some()), candidates.len()))
}

/// Moves every medoid to the best member of its cluster, then finds the clusters anew. Returns the
/// number of medoids that were moved and the number of candidates that were evaluated.
fn alternating_iteration<T: Real>(cache: &mut Cache<'_, T>) -> (usize, usize) {
    let d = cache.dissimilarities();
    let k = cache.medoids().len();
    let labels: Vec<usize> = cache.labels().collect();
    let (members, ends) = members(&labels, k);
    let mut losses = vec![0.0; members.len()];
    let mut medoids = cache.medoids().to_vec();
    let mut moved = 0;
    let mut start = 0;
    for (medoid, end) in medoids.iter_mut().zip(ends) {
        let members = &members[start..end];
        let losses = &mut losses[start..end];
        start = end;
        T::member_losses(d.road, d.matrix, members, d.weights, losses);
        // A medoid may be nearer to another medoid, and so a member of the other cluster. It stays
        // the medoid of its own cluster and is no candidate here.
        let is_free = |&at: &usize| members[at] as usize == *medoid || !cache.is_medoid(members[at] as usize);
        let is_better = |at: usize, best: usize| losses[at] < losses[best] - d.rounding_bound(losses[best]);
        let best = (0..members.len()).filter(is_free).reduce(|best, at| if is_better(at, best) { at } else { best });
        if let Some(best) = best
            && lowers_loss(d, members, *medoid, members[best] as usize)
        {
            *medoid = members[best] as usize;
            moved += 1;
        }
    }
    if moved > 0 {
        *cache = Cache::with_medoids(d, &medoids);
        cache.update_sums();
    }
    (moved, d.objects())
}

/// Returns whether `new` is a better medoid of these members than `old`, by more than rounding can
/// account for.
fn lowers_loss<T: Real>(d: Dissimilarities<'_, T>, members: &[u32], old: usize, new: usize) -> bool {
    let (old, new) = (d.matrix.row(old), d.matrix.row(new));
    let (mut change, mut changed_sum) = (0.0, 0.0);
    for &o in members {
        let (old, new) = (old[o as usize].to_f64(), new[o as usize].to_f64());
        if old != new {
            let weight = d.weight(o as usize);
            change += weight * (new - old);
            changed_sum += weight * old.max(new);
        }
    }
    d.is_real_decrease(change, changed_sum)
}

/// Returns the objects sorted by their labels, which are below `k`, and the end of each label's
/// objects.
pub(super) fn members(labels: &[usize], k: usize) -> (Vec<u32>, Vec<usize>) {
    let mut ends = vec![0; k];
    for &label in labels {
        ends[label] += 1;
    }
    let mut starts = 0;
    for end in &mut ends {
        let size = *end;
        *end = starts;
        starts += size;
    }
    // Each element of `ends` is now a start, and becomes an end as its objects are filled in.
    let mut members = vec![0; labels.len()];
    for (object, &label) in labels.iter().enumerate() {
        members[ends[label]] = object as u32;
        ends[label] += 1;
    }
    (members, ends)
}
