//! Swaps that the sums of a scan do not rule out: the change of the loss without cancellation.

use super::cache::Cache;
use crate::Real;
use crate::kernels::medoids::PossibleSwap;
use crate::kernels::medoids::nearest::RankedRef;
use crate::real::Element;

/// The sums over the objects that a swap moves to a farther medoid, in the cluster whose medoid is
/// replaced.
#[derive(Clone, Copy, Default)]
pub(super) struct ExactSums {
    /// T_i, the increase of their distances.
    increase: f64,
    /// Their new distances.
    farther: f64,
}

/// A swap that lowers the loss.
#[derive(Clone, Copy)]
pub(super) struct Swap {
    /// The object that becomes a medoid.
    pub(super) candidate: usize,
    /// The cluster whose medoid it replaces.
    pub(super) cluster: usize,
    /// The change of the loss.
    pub(super) change: f64,
    /// A bound of the rounding of the change.
    pub(super) rounding: f64,
}

impl<T: Real> Cache<'_, T> {
    /// Returns a swap of the candidate that lowers the loss by more than rounding can account for,
    /// and changes it by less than `limit`. If the swap that the scan names is none, all swaps of
    /// the candidate that the scan does not rule out are tried.
    pub(super) fn verified_swap(&mut self, possible: PossibleSwap, limit: f64) -> Option<Swap> {
        let PossibleSwap { candidate, cluster, a, sums_at, .. } = possible;
        if self.is_medoid(candidate) {
            return None;
        }
        let (change, changed_sum) = self.change(candidate, cluster);
        if let Some(swap) = self.real_swap(candidate, cluster, change, changed_sum, limit) {
            return Some(swap);
        }
        let bounds = &self.scanned.t[sums_at..][..self.medoids().len()];
        let mut others = bounds.iter().enumerate().filter(|&(i, _)| i != cluster);
        // NaN, from sums that overflowed, rules out nothing.
        let is_ruled_out = |bound: f64| a + bound >= limit;
        if others.all(|(_, &bound)| is_ruled_out(bound)) { None } else { self.best_real_swap(candidate, limit) }
    }

    /// Lists the objects whose distances to their nearest medoids may change if `candidate` becomes
    /// the medoid of `cluster`. They are found without rankings as long as there are none: a search
    /// from a local optimum verifies swaps, but makes none.
    fn list_changed(&mut self, candidate: usize, cluster: usize) {
        if !self.rankings.is_empty() {
            return self.list_affected(candidate, cluster);
        }
        let ranked = RankedRef { bounds: &self.d1, n1: &self.n1, n2: &self.n1 };
        let row = self.replicas.row(self.dissimilarities, &self.clusters, candidate);
        self.affected_count = T::list_affected(self.dissimilarities.road, row, cluster, ranked, &mut self.affected);
    }

    /// Returns the change of the loss by a swap, and the weighted sum of the distances that change,
    /// each the larger of old and new.
    fn change(&mut self, candidate: usize, cluster: usize) -> (f64, f64) {
        self.list_changed(candidate, cluster);
        let row = self.replicas.row(self.dissimilarities, &self.clusters, candidate);
        let (mut change, mut changed_sum) = (0.0, 0.0);
        for &o in &self.affected[..self.affected_count] {
            let o = o as usize;
            let old = self.d1[o];
            let kept = if self.n1[o] as usize == cluster { self.d2[o] } else { old };
            let new = if row[o] < kept { row[o] } else { kept };
            if new != old {
                let (old, new, weight) = (old.to_f64(), new.to_f64(), self.dissimilarities.weight(o));
                change += weight * (new - old);
                changed_sum += weight * old.max(new);
            }
        }
        (change, changed_sum)
    }

    /// Returns the swap if it lowers the loss by more than rounding can account for, and changes it
    /// by less than `limit`.
    fn real_swap(&self, candidate: usize, cluster: usize, change: f64, changed_sum: f64, limit: f64) -> Option<Swap> {
        let rounding = self.dissimilarities.rounding_bound(changed_sum);
        let is_real = self.dissimilarities.is_real_decrease(change, changed_sum) && change + rounding < limit;
        is_real.then_some(Swap { candidate, cluster, change, rounding })
    }

    /// Returns the best swap of the candidate under the same conditions; of swaps that are equally
    /// good up to rounding, that of the first cluster. Every object is in at most one of the sums:
    /// A if the candidate is nearer than the nearest medoid, otherwise the sums of its cluster.
    fn best_real_swap(&mut self, candidate: usize, limit: f64) -> Option<Swap> {
        self.exact_sums.fill(ExactSums::default());
        let row = self.replicas.row(self.dissimilarities, &self.clusters, candidate);
        let (mut a, mut nearer) = (0.0, 0.0);
        for (o, d) in row.iter().map(|d| d.to_f64()).enumerate() {
            let (d1, d2) = (self.d1[o].to_f64(), self.d2[o].to_f64());
            let weight = self.dissimilarities.weight(o);
            let new = d.min(d2);
            if d < d1 {
                a += weight * (d - d1);
                nearer += weight * d1;
            } else if new > d1 {
                let sums = &mut self.exact_sums[self.n1[o] as usize];
                sums.increase += weight * (new - d1);
                sums.farther += weight * new;
            }
        }
        let mut best: Option<Swap> = None;
        for (cluster, sums) in self.exact_sums.iter().enumerate() {
            let limit = best.map_or(limit, |best| best.change - best.rounding);
            let swap = self.real_swap(candidate, cluster, a + sums.increase, nearer + sums.farther, limit);
            best = swap.or(best);
        }
        best
    }
}
