//! The algorithms: one iteration of each, and the loop around them.

use super::cache::{Cache, Problem};
use super::init::Rng;
use super::kmedoids::{Algorithm, KMedoidsProgress};
use crate::Real;
use crate::kernels::swap::NoDistance;
use crate::real::Element;
use std::ops::ControlFlow;

/// How the search went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Search {
    pub(super) swaps: usize,
    pub(super) iterations: usize,
    pub(super) evaluated: usize,
    pub(super) converged: bool,
}

/// Whether [`search`] checks every element of the matrix, on its way through it for the first time.
pub(super) fn checks(algorithm: Algorithm, max_iterations: usize) -> bool {
    max_iterations > 0 && matches!(algorithm, Algorithm::FasterPam | Algorithm::RandomFasterPam { .. })
}

/// Improves the medoids until nothing does, `max_iterations` are over, or `progress` breaks off. Unless `checked`, the
/// rows of the medoids alone are known to hold nothing but distances.
pub(super) fn search<T: Real>(
    algorithm: Algorithm,
    cache: &mut Cache<'_, T>,
    max_iterations: usize,
    mut checked: bool,
    progress: &mut dyn FnMut(KMedoidsProgress) -> ControlFlow<()>,
) -> Result<Search, NoDistance> {
    let mut candidates: Vec<usize> = (0..cache.problem().objects()).collect();
    if let Algorithm::RandomFasterPam { seed } = algorithm {
        let n = candidates.len();
        Rng(seed).draw(&mut candidates, n);
    }
    let mut search = Search::default();
    // Candidates in a row without a swap.
    let mut quiet = 0;
    while search.iterations < max_iterations && !search.converged {
        search.iterations += 1;
        let swaps = match algorithm {
            Algorithm::FasterPam | Algorithm::RandomFasterPam { .. } => {
                let (swaps, evaluated) = eager_swaps(cache, &candidates, checked, &mut quiet)?;
                search.evaluated += evaluated;
                // No pass but the last ends early.
                checked = true;
                swaps
            }
            Algorithm::FastPam1 => best_swap(cache, &candidates)?,
            Algorithm::Alternating => best_members(cache),
        };
        search.swaps += swaps;
        search.converged = match algorithm {
            Algorithm::FasterPam | Algorithm::RandomFasterPam { .. } => quiet == candidates.len(),
            _ => {
                search.evaluated += candidates.len();
                swaps == 0
            }
        };
        let Search { swaps, iterations, .. } = search;
        if progress(KMedoidsProgress { iteration: iterations, swaps, loss: cache.sum_of_d1() }).is_break() {
            break;
        }
    }
    Ok(search)
}

/// One pass over the candidates, swapping at once; ends where as many in a row as there are had no swap. Returns the
/// swaps and the candidates that were looked at.
fn eager_swaps<T: Real>(
    cache: &mut Cache<'_, T>,
    candidates: &[usize],
    checked: bool,
    quiet: &mut usize,
) -> Result<(usize, usize), NoDistance> {
    let (mut at, mut swaps) = (0, 0);
    while at < candidates.len() && *quiet < candidates.len() {
        let to = candidates.len().min(at + (candidates.len() - *quiet));
        let found = cache.next_swap(&candidates[at..to], 0.0, checked)?;
        let next = found.map_or(to, |swap| at + swap.place + 1);
        *quiet += next - at;
        at = next;
        if let Some(swap) = found
            && cache.lowers_loss(swap)
        {
            cache.swap(swap.candidate, swap.position);
            swaps += 1;
            *quiet = 0;
        }
    }
    Ok((swaps, at))
}

/// Makes the best of all swaps, if there is one that lowers the loss.
fn best_swap<T: Real>(cache: &mut Cache<'_, T>, candidates: &[usize]) -> Result<usize, NoDistance> {
    let mut best = None;
    let (mut at, mut limit) = (0, 0.0);
    while let Some(swap) = cache.next_swap(&candidates[at..], limit, true)? {
        at += swap.place + 1;
        if cache.lowers_loss(swap) {
            limit = swap.delta - cache.problem().noise(cache.loss());
            best = Some(swap);
        }
    }
    if let Some(swap) = best {
        cache.swap(swap.candidate, swap.position);
    }
    Ok(best.map_or(0, |_| 1))
}

/// Moves every medoid to the best member of its cluster, then finds the clusters anew.
fn best_members<T: Real>(cache: &mut Cache<'_, T>) -> usize {
    let problem = cache.problem();
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
        T::member_losses(problem.road, problem.d, members, problem.weights, losses);
        // An object may be a medoid and yet nearer to another: it stays what it is.
        let free = |&at: &usize| members[at] as usize == *medoid || !cache.is_medoid(members[at] as usize);
        let better = |at: usize, best: usize| losses[at] < losses[best] - problem.noise(losses[best]);
        let best = (0..members.len()).filter(free).reduce(|best, at| if better(at, best) { at } else { best });
        if let Some(best) = best
            && lowers_loss(problem, members, *medoid, members[best] as usize)
        {
            *medoid = members[best] as usize;
            moved += 1;
        }
    }
    if moved > 0 {
        *cache = Cache::with_medoids(problem, &medoids);
        cache.update_sums();
    }
    moved
}

/// Whether `new` is a better medoid of these members than `old` by more than rounding can account for.
fn lowers_loss<T: Real>(problem: Problem<'_, T>, members: &[u32], old: usize, new: usize) -> bool {
    let (old, new) = (problem.d.row(old), problem.d.row(new));
    let (mut change, mut moved) = (0.0, 0.0);
    for &o in members {
        let (old, new) = (old[o as usize].to_f64(), new[o as usize].to_f64());
        if old != new {
            let weight = problem.weight(o as usize);
            change += weight * (new - old);
            moved += weight * old.max(new);
        }
    }
    problem.falls(change, moved)
}

/// The objects by their labels below `k`, and where each label's objects end.
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
    // Each end, now a start, moves up as its objects are filled in.
    let mut members = vec![0; labels.len()];
    for (object, &label) in labels.iter().enumerate() {
        members[ends[label]] = object as u32;
        ends[label] += 1;
    }
    (members, ends)
}
