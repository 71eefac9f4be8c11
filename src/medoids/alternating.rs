//! The alternating algorithm: one iteration.

use super::cache::Cache;
use super::dissimilarities::Dissimilarities;
use super::replicas::Replicas;
use crate::Real;
use crate::real::Element;
use alloc::vec;
use alloc::vec::Vec;

/// Moves every medoid to the best member of its cluster and finds the clusters anew, then fills the
/// empty clusters. Returns the number of medoids that were moved and the number of candidates that
/// were evaluated.
pub(super) fn alternating_iteration<T: Real>(cache: &mut Cache<'_, T>) -> (usize, usize) {
    let d = cache.dissimilarities();
    let k = cache.medoids().len();
    let clusters: Vec<usize> = cache.nearest_clusters().collect();
    let (members, ends) = members(&clusters, k);
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
        let is_better = |at: usize, best: usize| {
            // Beside one large dissimilarity, losses have no digits of the small ones.
            let bound = 2.0 * d.rounding_bound(losses[best].max(losses[at]));
            losses[at] < losses[best] - bound
                || losses[at] <= losses[best] + bound
                    && lowers_loss(d, members, members[best] as usize, members[at] as usize)
        };
        let best = (0..members.len()).filter(is_free).reduce(|best, at| if is_better(at, best) { at } else { best });
        if let Some(best) = best
            && lowers_loss(d, members, *medoid, members[best] as usize)
        {
            *medoid = members[best] as usize;
            moved += 1;
        }
    }
    if moved > 0 {
        *cache = Cache::with_medoids(d, &medoids, Replicas::default());
    }
    (moved + fill_empty_clusters(cache), d.objects())
}

/// Moves the medoid of every empty cluster to an object that is far from its nearest medoid: the
/// one whose own share of the loss falls most; of equals the first. A cluster is empty if its
/// medoid duplicates others: no object that counts is nearest to it, so nothing is lost. Returns
/// the number of medoids that were moved.
fn fill_empty_clusters<T: Real>(cache: &mut Cache<'_, T>) -> usize {
    let d = cache.dissimilarities();
    let mut is_empty = vec![true; cache.medoids().len()];
    cache.nearest_clusters().enumerate().for_each(|(o, cluster)| is_empty[cluster] &= d.weight(o) == 0.0);
    if !is_empty.contains(&true) {
        return 0;
    }
    let mut medoids = cache.medoids().to_vec();
    let mut distances: Vec<f64> = (0..d.objects()).map(|o| cache.d1(o).to_f64()).collect();
    let mut is_medoid: Vec<bool> = (0..d.objects()).map(|o| cache.is_medoid(o)).collect();
    let mut moved = 0;
    for cluster in (0..is_empty.len()).filter(|&cluster| is_empty[cluster]) {
        let mut best = (0.0, None);
        for o in (0..d.objects()).filter(|&o| !is_medoid[o]) {
            let (old, new) = (distances[o], d.matrix.row(o)[o].to_f64());
            let change = d.weight(o) * (new - old);
            if change < best.0 && d.is_real_decrease(change, d.weight(o) * old) {
                best = (change, Some(o));
            }
        }
        let (_, Some(object)) = best else { break };
        (is_medoid[medoids[cluster]], is_medoid[object]) = (false, true);
        medoids[cluster] = object;
        for (distance, d) in distances.iter_mut().zip(d.matrix.row(object)) {
            *distance = distance.min(d.to_f64());
        }
        moved += 1;
    }
    if moved > 0 {
        *cache = Cache::with_medoids(d, &medoids, Replicas::default());
    }
    moved
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
