//! The state of a search: the medoids, and for every object its nearest medoids.

use super::dissimilarities::Dissimilarities;
use super::ranking::{Ranking, max_ranked};
use super::replicas::Replicas;
use super::scanned::Scanned;
use super::verify::ExactSums;
use crate::kernels::lanes::MAX_LANES;
use crate::kernels::medoids::hit_scan::Hits;
use crate::kernels::medoids::nearest::RankedRef;
use crate::kernels::medoids::tuning::{RESCAN_FRACTION, SCAN_ROWS};
use crate::kernels::medoids::{
    CandidateSums, FoundSwap, NearestMut, NearestRef, PADDING_CLUSTER, Scan, UNKNOWN_CLUSTER,
};
use crate::real::Element;
use crate::{Error, MatRef, Real, Reduce};
use alloc::vec;
use alloc::vec::Vec;

/// The medoids and, for every object, its nearest medoids.
pub(super) struct Cache<'a, T> {
    pub(super) dissimilarities: Dissimilarities<'a, T>,
    /// The rows that other ranks hold.
    pub(super) replicas: Replicas<T>,
    medoids: Vec<usize>,
    /// The cluster of every object that is a medoid; [`UNKNOWN_CLUSTER`] for the others.
    pub(super) clusters: Vec<u32>,
    pub(super) d1: Vec<T>,
    pub(super) d2: Vec<T>,
    pub(super) n1: Vec<u32>,
    n2: Vec<u32>,
    /// The ranked medoids of every object, once a swap needs them. Some may no longer be medoids.
    pub(super) rankings: Vec<Ranking<T>>,
    /// For every object, a lower bound of its distances to the medoids that are not ranked.
    bounds: Vec<T>,
    /// For each medoid, a lower bound of the increase of the loss if it is removed; see
    /// [`Cache::update_sums`].
    removal_bounds: Vec<f64>,
    /// For each medoid, a bound of the rounding of that increase and of the sums of candidates.
    removal_errors: Vec<f64>,
    /// The number of changes to the increases since they were last summed anew.
    changes: usize,
    /// A bound of the sum of all numbers that the increases were made of.
    magnitude: f64,
    pub(super) scanned: Scanned,
    /// The swap whose affected objects are listed, unless a swap has been made since: its candidate
    /// and cluster.
    listed: Option<(usize, usize)>,
    /// The objects that the listed swap affects, then scratch; see [`Cache::list_affected`].
    pub(super) affected: Vec<u32>,
    /// The number of affected objects.
    pub(super) affected_count: usize,
    /// Scratch: the affected objects whose rankings have fewer than two medoids left.
    unranked: Vec<u32>,
    /// Scratch: sums per cluster; see [`Cache::verified_swap`].
    pub(super) exact_sums: Vec<ExactSums>,
}

impl<'a, T: Real> Cache<'a, T> {
    /// Returns a cache without medoids, in which all distances are infinite.
    pub(super) fn new(dissimilarities: Dissimilarities<'a, T>) -> Self {
        let n = dissimilarities.objects();
        let padded = n.next_multiple_of(MAX_LANES);
        let mut distances = vec![T::infinity(); n];
        distances.resize(padded, T::zero());
        let mut clusters = vec![UNKNOWN_CLUSTER; n];
        clusters.resize(padded, PADDING_CLUSTER);
        Self {
            dissimilarities,
            replicas: Replicas::default(),
            medoids: Vec::new(),
            clusters: vec![UNKNOWN_CLUSTER; n],
            d1: distances.clone(),
            d2: distances,
            n1: clusters.clone(),
            n2: clusters,
            rankings: Vec::with_capacity(n),
            bounds: Vec::with_capacity(padded),
            removal_bounds: Vec::new(),
            removal_errors: Vec::new(),
            changes: 0,
            magnitude: 0.0,
            scanned: Scanned { hits: Hits::new(), ..Scanned::default() },
            listed: None,
            affected: vec![0; n + MAX_LANES],
            affected_count: 0,
            unranked: Vec::with_capacity(n),
            exact_sums: Vec::new(),
        }
    }

    /// Returns a cache with these medoids and with copies of their rows.
    pub(super) fn with_medoids(
        dissimilarities: Dissimilarities<'a, T>,
        medoids: &[usize],
        replicas: Replicas<T>,
    ) -> Self {
        let mut cache = Self { replicas, ..Self::new(dissimilarities) };
        cache.add(medoids);
        cache
    }

    /// Returns the medoids, and the copies of their rows.
    pub(super) fn into_medoids(self) -> (Vec<usize>, Replicas<T>) {
        (self.medoids, self.replicas)
    }

    /// Returns the input of the search.
    pub(super) fn dissimilarities(&self) -> Dissimilarities<'a, T> {
        self.dissimilarities
    }

    /// Returns the medoid of every cluster.
    pub(super) fn medoids(&self) -> &[usize] {
        &self.medoids
    }

    /// Returns whether an object is a medoid.
    pub(super) fn is_medoid(&self, object: usize) -> bool {
        self.clusters[object] != UNKNOWN_CLUSTER
    }

    /// Returns the distance of an object to its nearest medoid.
    pub(super) fn d1(&self, object: usize) -> T {
        self.d1[object]
    }

    /// Returns the distance of an object to its second nearest medoid.
    pub(super) fn d2(&self, object: usize) -> T {
        self.d2[object]
    }

    /// Returns the cluster of the nearest medoid of every object.
    pub(super) fn nearest_clusters(&self) -> impl Iterator<Item = usize> {
        self.n1[..self.dissimilarities.objects()].iter().map(|&i| i as usize)
    }

    /// Returns the loss.
    pub(super) fn loss(&self) -> f64 {
        let Dissimilarities { road, weights, .. } = self.dissimilarities;
        let n = self.dissimilarities.objects();
        let mut loss = [0.0];
        // With one more medoid at the distances d1, the loss stays the sum of d1.
        if let Ok(row) = MatRef::new(&self.d1[..n], 1, n) {
            T::losses_with(road, row, &[0], &self.d1, weights, &mut loss);
        }
        loss[0]
    }

    /// Adds a medoid.
    pub(super) fn push(&mut self, medoid: usize, reduce: &mut dyn Reduce) -> Result<(), Error> {
        self.replicas.push(self.dissimilarities, medoid, reduce)?;
        self.add(&[medoid]);
        Ok(())
    }

    /// Adds medoids.
    fn add(&mut self, medoids: &[usize]) {
        let first = self.medoids.len();
        self.medoids.extend_from_slice(medoids);
        for (cluster, &medoid) in (first..).zip(medoids) {
            self.clusters[medoid] = cluster as u32;
        }
        let Dissimilarities { road, matrix, .. } = self.dissimilarities;
        let near = NearestMut { d1: &mut self.d1, d2: &mut self.d2, n1: &mut self.n1, n2: &mut self.n2 };
        if self.dissimilarities.layout.is_one() {
            T::add_medoids(road, matrix, medoids, first, near);
        } else {
            let (rows, medoids) = self.replicas.of_medoids(matrix.cols(), first);
            T::add_medoids(road, rows, &medoids, first, near);
        }
        self.rankings.clear();
        self.listed = None;
    }

    /// Makes `candidate` the medoid of `cluster`.
    pub(super) fn swap(&mut self, candidate: usize, cluster: usize) {
        self.list_affected(candidate, cluster);
        self.listed = None;
        self.replicas.replace(cluster);
        self.clusters[self.medoids[cluster]] = UNKNOWN_CLUSTER;
        self.medoids[cluster] = candidate;
        self.clusters[candidate] = cluster as u32;
        self.update_rankings(candidate);
        if self.affected_count > self.dissimilarities.objects() / RESCAN_FRACTION {
            self.scanned.ready = 0;
        }
        self.update_nearest();
        if self.changes > self.dissimilarities.objects() || !self.magnitude.is_finite() {
            self.update_sums();
        }
    }

    /// Inserts the new medoid `candidate` into the rankings of the affected objects, and removes
    /// the medoid that it replaced.
    fn update_rankings(&mut self, candidate: usize) {
        let row = self.replicas.row(self.dissimilarities, &self.clusters, candidate);
        let most = max_ranked(self.medoids.len());
        self.unranked.clear();
        for i in 0..self.affected_count {
            let o = self.affected[i] as usize;
            let mut ranking = Ranking::empty();
            for &(d, medoid) in self.rankings[o].known() {
                // The candidate may have been a medoid before, and its old entry may still be
                // ranked.
                if self.clusters[medoid as usize] != UNKNOWN_CLUSTER && medoid as usize != candidate {
                    ranking.insert(d, medoid, most);
                }
            }
            if row[o] < self.bounds[o]
                && let Some(bound) = ranking.insert(row[o], candidate as u32, most)
            {
                self.bounds[o] = bound;
            }
            if ranking.known().len() < 2 {
                self.unranked.push(o as u32);
            }
            self.rankings[o] = ranking;
        }
        self.rank_unranked();
    }

    /// Updates d1, d2, n1, n2 and the sums for the affected objects from their rankings.
    fn update_nearest(&mut self) {
        for i in 0..self.affected_count {
            let o = self.affected[i] as usize;
            let ranking = &self.rankings[o];
            let (first, second) = (ranking.entry(0), ranking.entry(1));
            let cluster_of =
                |medoid: u32| if medoid == UNKNOWN_CLUSTER { UNKNOWN_CLUSTER } else { self.clusters[medoid as usize] };
            let nearest = (first.0, second.0, cluster_of(first.1));
            self.n2[o] = cluster_of(second.1);
            if nearest != (self.d1[o], self.d2[o], self.n1[o]) {
                self.add_shares(o, -1.0);
                (self.d1[o], self.d2[o], self.n1[o]) = nearest;
                self.add_shares(o, 1.0);
                self.changes += 2;
            }
        }
    }

    /// Ranks the medoids of every object.
    fn rank_all(&mut self) {
        let n = self.dissimilarities.objects();
        self.rankings.resize(n, Ranking::empty());
        self.bounds.clear();
        self.bounds.resize(n, T::infinity());
        self.bounds.resize(self.d1.len(), T::zero());
        for cluster in 0..self.medoids.len() {
            self.list_affected(self.medoids[cluster], cluster);
            for i in 0..self.affected_count {
                self.rank(self.medoids[cluster], self.affected[i] as usize);
            }
        }
    }

    /// Ranks the medoids of the objects in `unranked` anew.
    fn rank_unranked(&mut self) {
        for &o in &self.unranked {
            self.rankings[o as usize] = Ranking::empty();
            self.bounds[o as usize] = T::infinity();
        }
        // Medoid by medoid, so that the reads of one row follow each other.
        for i in 0..self.medoids.len() {
            for j in 0..self.unranked.len() {
                self.rank(self.medoids[i], self.unranked[j] as usize);
            }
        }
    }

    /// Inserts a medoid into the ranking of an object. Medoids must be inserted in their order.
    #[inline]
    fn rank(&mut self, medoid: usize, object: usize) {
        let row = self.replicas.row(self.dissimilarities, &self.clusters, medoid);
        let (d, most) = (row[object], max_ranked(self.medoids.len()));
        if d < self.bounds[object] {
            self.rankings[object].insert(d, medoid as u32, most);
            // Infinite until the ranking is full.
            self.bounds[object] = self.rankings[object].entry(most - 1).0;
        }
    }

    /// Lists the objects whose rankings change if `candidate` becomes the medoid of `cluster`.
    pub(super) fn list_affected(&mut self, candidate: usize, cluster: usize) {
        if self.listed == Some((candidate, cluster)) {
            return;
        }
        if self.rankings.is_empty() {
            self.rank_all();
        }
        self.listed = Some((candidate, cluster));
        let ranked = RankedRef { bounds: &self.bounds, n1: &self.n1, n2: &self.n2 };
        let row = self.replicas.row(self.dissimilarities, &self.clusters, candidate);
        self.affected_count = T::list_affected(self.dissimilarities.road, row, cluster, ranked, &mut self.affected);
    }

    /// Adds an object's shares, times `sign`, to the losses of removal, and to the sums of the
    /// candidates that are ready. Whatever is added, the sums stay lower bounds.
    fn add_shares(&mut self, object: usize, sign: f64) {
        let (d1, d2) = (self.d1[object].to_f64(), self.d2[object].to_f64());
        let (cluster, k) = (self.n1[object] as usize, self.medoids.len());
        let weight = sign * self.dissimilarities.weight(object);
        let error = self.dissimilarities.relative_error();
        let share = weight * (d2 - d1);
        self.magnitude += weight.abs() * d2;
        self.removal_bounds[cluster] += share - error * share.abs();
        self.removal_errors[cluster] += error * share.abs();
        let Scanned { candidates, a, t, ready, hits } = &mut self.scanned;
        hits.forget();
        for r in SCAN_ROWS - *ready..SCAN_ROWS {
            let d = self.dissimilarities.matrix.row(candidates[r])[object].to_f64();
            let (gain, loss) = (weight * (d.min(d1) - d1), weight * (d.max(d1).min(d2) - d1));
            a[r] += gain - error * gain.abs();
            t[r * k + cluster] += loss - error * loss.abs();
        }
    }

    /// Computes the sums that the scan reads, the increase of the loss if each medoid is removed,
    /// from the caches. No candidates are ready then.
    pub(super) fn update_sums(&mut self) {
        let (n, k) = (self.dissimilarities.objects(), self.medoids.len());
        self.scanned.t.resize(SCAN_ROWS * k, 0.0);
        self.scanned.ready = 0;
        self.scanned.hits.forget();
        self.exact_sums.resize(k, ExactSums::default());
        let (bounds, errors) = (&mut self.removal_bounds, &mut self.removal_errors);
        bounds.clear();
        bounds.resize(k, 0.0);
        errors.clear();
        errors.resize(k, 0.0);
        self.magnitude = 0.0;
        self.changes = 0;
        // The only medoid cannot be removed.
        for o in if k > 1 { 0..n } else { 0..0 } {
            let (d1, d2) = (self.d1[o].to_f64(), self.d2[o].to_f64());
            let weight = self.dissimilarities.weight(o);
            bounds[self.n1[o] as usize] += weight * (d2 - d1);
            self.magnitude += weight * d2;
        }
        let relative_error = self.dissimilarities.relative_error();
        for (bound, error) in bounds.iter_mut().zip(errors) {
            *error = relative_error * *bound;
            // A sum that overflows rules out nothing.
            *bound = if bound.is_finite() { *bound - *error } else { f64::NEG_INFINITY };
        }
    }

    /// Returns the caches and sums that the scan reads.
    fn nearest(&self) -> NearestRef<'_, T> {
        NearestRef {
            d1: &self.d1,
            d2: &self.d2,
            n1: &self.n1,
            removal_bounds: &self.removal_bounds,
            removal_errors: &self.removal_errors,
            weights: self.dissimilarities.weights,
            relative_error: self.dissimilarities.relative_error(),
        }
    }

    /// Returns the first candidate with a swap that may change the loss by less than `limit`. The
    /// next call must be for the candidates that follow the one found.
    pub(super) fn first_improving_swap(&mut self, candidates: &[usize], limit: f64, validated: bool) -> FoundSwap {
        let scan = Scan { d: self.dissimilarities.matrix, candidates, limit, validated };
        let mut scanned = core::mem::take(&mut self.scanned);
        let found = self.scan(scan, &mut scanned);
        self.scanned = scanned;
        found
    }

    /// [`first_improving_swap`](Self::first_improving_swap), by one thread or by several.
    fn scan(&self, scan: Scan<'_, T>, scanned: &mut Scanned) -> FoundSwap {
        #[cfg(feature = "rayon")]
        if self.dissimilarities.road.parallel {
            return super::threads::scan(self, scan, scanned);
        }
        self.scan_here(scan, scanned)
    }

    /// [`first_improving_swap`](Self::first_improving_swap) on the calling thread.
    pub(super) fn scan_here(&self, scan: Scan<'_, T>, scanned: &mut Scanned) -> FoundSwap {
        let Scanned { a, t, ready, hits, .. } = scanned;
        let sums = CandidateSums { a, t, hits, ready };
        let found = T::first_improving_swap(self.dissimilarities.road, scan, self.nearest(), sums);
        match found {
            Ok(Some(swap)) => {
                let next = &scan.candidates[swap.candidate_index + 1..][..scanned.ready];
                scanned.candidates[SCAN_ROWS - scanned.ready..].copy_from_slice(next);
            }
            _ => scanned.ready = 0,
        }
        found
    }
}
