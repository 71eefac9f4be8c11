//! What is kept for every object between swaps: its nearest and second nearest medoid, and a few more in reserve.

use crate::dispatch::Road;
use crate::kernels::lanes::MAX_LANES;
use crate::kernels::swap::{NONE, Nearest, NearestMut, NoDistance, PADDING, ROWS, Scan, Sums, Swap, scratch_len};
use crate::real::Element;
use crate::{MatRef, Real};

/// What is clustered, and on which instruction set.
#[derive(Clone, Copy)]
pub(super) struct Problem<'a, T> {
    pub(super) road: Road,
    pub(super) d: MatRef<'a, T>,
    /// As [`Nearest::weights`].
    pub(super) weights: &'a [T],
}

impl<T: Real> Problem<'_, T> {
    /// Number of objects.
    pub(super) fn objects(&self) -> usize {
        self.d.rows()
    }

    /// The weight of an object.
    pub(super) fn weight(&self, object: usize) -> f64 {
        self.weights.get(object).map_or(1.0, |w| w.to_f64())
    }

    /// By how much the order of summation alone can make two losses of this size differ.
    pub(super) fn noise(&self, loss: f64) -> f64 {
        // One rounding per addition, and one for the product with a weight.
        (self.objects() + 1) as f64 * (f64::EPSILON / 2.0) * loss
    }

    /// Whether a loss falls by more than rounding can account for: the rounding of the sums, and that of the
    /// dissimilarities themselves, each of which is off by up to half a unit in its last place. `moved` is the sum of the
    /// dissimilarities that changed.
    pub(super) fn falls(&self, change: f64, moved: f64) -> bool {
        change < -(T::EPSILON * moved + self.noise(moved))
    }
}

/// Weights as the kernels want them: padded.
pub(super) fn pad_weights<T: Real>(weights: &[T]) -> Vec<T> {
    let mut padded = weights.to_vec();
    padded.resize(weights.len().next_multiple_of(MAX_LANES), T::zero());
    padded
}

/// Medoids ranked for an object: its two nearest ones, and those in reserve. With many medoids a search for a second
/// nearest one is the dearest part of a swap, as it reads every medoid's row.
const RANKED: usize = 6;
/// Where a swap changes more than one in so many objects, to scan the next candidates again is no dearer than to bring
/// their sums up to date.
const UPDATED: usize = 16;

/// Medoids by their distance from one object, as far as they are known: nearest first, equals in the order they came.
#[derive(Clone, Copy)]
struct Ranking<T> {
    len: usize,
    /// Distance, and the object that is the medoid.
    medoids: [(T, u32); RANKED],
}

impl<T: Real> Ranking<T> {
    fn empty() -> Self {
        Self { len: 0, medoids: [(T::infinity(), NONE); RANKED] }
    }

    /// Inserts a medoid; returns the distance of the one that has no place among the first `most`, if there is such.
    fn insert(&mut self, distance: T, medoid: u32, most: usize) -> Option<T> {
        let mut entry = (distance, medoid);
        let mut place = 0;
        while place < self.len && self.medoids[place].0 <= distance {
            place += 1;
        }
        for kept in &mut self.medoids[place..self.len] {
            core::mem::swap(kept, &mut entry);
        }
        if self.len == most {
            return Some(entry.0);
        }
        self.medoids[self.len] = entry;
        self.len += 1;
        None
    }
}

/// The candidates that were scanned last, with their sums: see [`Sums`].
#[derive(Default)]
struct Scanned {
    candidates: [usize; ROWS],
    a: [f64; ROWS],
    t: Vec<f64>,
    ready: usize,
}

/// The medoids and, for every object, its nearest ones.
pub(super) struct Cache<'a, T> {
    problem: Problem<'a, T>,
    medoids: Vec<usize>,
    /// Of every object its position among the medoids, or [`NONE`].
    positions: Vec<u32>,
    d1: Vec<T>,
    d2: Vec<T>,
    n1: Vec<u32>,
    n2: Vec<u32>,
    /// The medoids of every object, of which some may be medoids no more.
    rankings: Vec<Ranking<T>>,
    /// What every medoid without a place in an object's ranking has at least as its distance.
    bounds: Vec<T>,
    /// What removing each medoid costs; see [`Cache::update_sums`].
    removal: Vec<f64>,
    /// Changes made to `removal` since it was last summed up.
    changes: usize,
    loss: f64,
    scanned: Scanned,
    /// The swap that was last looked at, if nothing has changed since, and its objects: see [`Cache::list_changed`].
    listed: Option<(usize, usize)>,
    changed: Vec<u32>,
    count: usize,
    /// Scratch: those of them whose rankings it leaves with less than two.
    unknown: Vec<u32>,
}

impl<'a, T: Real> Cache<'a, T> {
    /// Without medoids yet: everything is infinitely far.
    pub(super) fn new(problem: Problem<'a, T>) -> Self {
        let n = problem.objects();
        let padded = n.next_multiple_of(MAX_LANES);
        let mut distances = vec![T::infinity(); n];
        distances.resize(padded, T::zero());
        let mut positions = vec![NONE; n];
        positions.resize(padded, PADDING);
        Self {
            problem,
            medoids: Vec::new(),
            positions: vec![NONE; n],
            d1: distances.clone(),
            d2: distances,
            n1: positions.clone(),
            n2: positions,
            rankings: Vec::with_capacity(n),
            bounds: Vec::with_capacity(padded),
            removal: Vec::new(),
            changes: 0,
            loss: f64::INFINITY,
            scanned: Scanned::default(),
            listed: None,
            changed: vec![0; n + MAX_LANES],
            count: 0,
            unknown: Vec::with_capacity(n),
        }
    }

    /// With these medoids.
    pub(super) fn with_medoids(problem: Problem<'a, T>, medoids: &[usize]) -> Self {
        let mut cache = Self::new(problem);
        cache.add(medoids);
        cache
    }

    pub(super) fn problem(&self) -> Problem<'a, T> {
        self.problem
    }

    pub(super) fn medoids(&self) -> &[usize] {
        &self.medoids
    }

    pub(super) fn is_medoid(&self, object: usize) -> bool {
        self.positions[object] != NONE
    }

    /// Distance of an object to its nearest medoid.
    pub(super) fn d1(&self, object: usize) -> T {
        self.d1[object]
    }

    /// Distance of an object to its second nearest medoid.
    pub(super) fn d2(&self, object: usize) -> T {
        self.d2[object]
    }

    /// Position of the nearest medoid of every object.
    pub(super) fn labels(&self) -> impl Iterator<Item = usize> {
        self.n1[..self.problem.objects()].iter().map(|&i| i as usize)
    }

    /// The sum of the distances to the nearest medoid, off by the rounding of the swaps since [`Cache::update_sums`].
    pub(super) fn loss(&self) -> f64 {
        self.loss
    }

    /// The same, summed up anew.
    pub(super) fn sum_of_d1(&self) -> f64 {
        let Problem { road, weights, .. } = self.problem;
        let n = self.problem.objects();
        let mut loss = [0.0];
        // A clustering gains nothing from a medoid at the distances it already has.
        if let Ok(row) = MatRef::new(&self.d1[..n], 1, n) {
            T::losses_with(road, row, &self.d1, weights, &mut loss);
        }
        loss[0]
    }

    /// For every object the loss with it as one more medoid.
    pub(super) fn losses_with(&self, out: &mut [f64]) {
        let Problem { road, d, weights } = self.problem;
        T::losses_with(road, d, &self.d1, weights, out);
    }

    /// One more medoid.
    pub(super) fn push(&mut self, medoid: usize) {
        self.add(&[medoid]);
    }

    /// More medoids.
    fn add(&mut self, medoids: &[usize]) {
        let first = self.medoids.len();
        self.medoids.extend_from_slice(medoids);
        for (position, &medoid) in (first..).zip(medoids) {
            self.positions[medoid] = position as u32;
        }
        let near = NearestMut { d1: &mut self.d1, d2: &mut self.d2, n1: &mut self.n1, n2: &mut self.n2 };
        T::add_medoids(self.problem.road, self.problem.d, medoids, first, near);
        self.rankings.clear();
        self.listed = None;
    }

    /// Makes `candidate` the medoid at `position`.
    pub(super) fn swap(&mut self, candidate: usize, position: usize) {
        self.list_changed(candidate, position);
        self.listed = None;
        self.positions[self.medoids[position]] = NONE;
        self.medoids[position] = candidate;
        self.positions[candidate] = position as u32;
        let row = self.problem.d.row(candidate);
        self.unknown.clear();
        for i in 0..self.count {
            let o = self.changed[i] as usize;
            let mut ranking = Ranking::empty();
            let before = &self.rankings[o];
            for &(d, medoid) in &before.medoids[..before.len] {
                // The candidate may have been a medoid before, and may have kept its place.
                if self.positions[medoid as usize] != NONE && medoid as usize != candidate {
                    ranking.insert(d, medoid, self.ranked());
                }
            }
            if row[o] < self.bounds[o]
                && let Some(bound) = ranking.insert(row[o], candidate as u32, self.ranked())
            {
                self.bounds[o] = bound;
            }
            if ranking.len < 2 {
                self.unknown.push(o as u32);
            }
            self.rankings[o] = ranking;
        }
        self.rank_unknown();
        if self.count > self.problem.objects() / UPDATED {
            self.scanned.ready = 0;
        }
        for i in 0..self.count {
            let o = self.changed[i] as usize;
            let [first, second, ..] = self.rankings[o].medoids;
            let position = |medoid: u32| if medoid == NONE { NONE } else { self.positions[medoid as usize] };
            let nearest = (first.0, second.0, position(first.1));
            self.n2[o] = position(second.1);
            if nearest != (self.d1[o], self.d2[o], self.n1[o]) {
                self.add_shares(o, -1.0);
                (self.d1[o], self.d2[o], self.n1[o]) = nearest;
                self.add_shares(o, 1.0);
                self.changes += 2;
            }
        }
        if self.changes > self.problem.objects() || !self.loss.is_finite() {
            self.update_sums();
        }
    }

    /// How many medoids are ranked: where they are few a search is cheap, and a swap changes the rankings of most objects.
    fn ranked(&self) -> usize {
        (self.medoids.len() / 16).clamp(2, RANKED)
    }

    /// Ranks the medoids of every object.
    fn rank_all(&mut self) {
        let n = self.problem.objects();
        self.rankings.resize(n, Ranking::empty());
        self.bounds.clear();
        self.bounds.resize(n, T::infinity());
        self.bounds.resize(self.d1.len(), T::zero());
        for position in 0..self.medoids.len() {
            self.list_changed(self.medoids[position], position);
            for i in 0..self.count {
                self.rank(self.medoids[position], self.changed[i] as usize);
            }
        }
    }

    /// Ranks the medoids of the objects in `unknown` anew.
    fn rank_unknown(&mut self) {
        for &o in &self.unknown {
            self.rankings[o as usize] = Ranking::empty();
            self.bounds[o as usize] = T::infinity();
        }
        // Medoid by medoid, so that the objects of one row are read together.
        for i in 0..self.medoids.len() {
            for j in 0..self.unknown.len() {
                self.rank(self.medoids[i], self.unknown[j] as usize);
            }
        }
    }

    /// Gives a medoid its place in the ranking of an object, which has had all medoids but those yet to come.
    #[inline]
    fn rank(&mut self, medoid: usize, object: usize) {
        let (d, most) = (self.problem.d.row(medoid)[object], self.ranked());
        if d < self.bounds[object] {
            self.rankings[object].insert(d, medoid as u32, most);
            // Infinite as long as there is a place left.
            self.bounds[object] = self.rankings[object].medoids[most - 1].0;
        }
    }

    /// Lists the objects whose rankings change with `candidate` at `position`.
    fn list_changed(&mut self, candidate: usize, position: usize) {
        if self.listed == Some((candidate, position)) {
            return;
        }
        if self.rankings.is_empty() {
            self.rank_all();
        }
        self.listed = Some((candidate, position));
        let (row, near) = (self.problem.d.row(candidate), (&self.n1[..], &self.n2[..]));
        self.count = T::changed(self.problem.road, row, position, &self.bounds, near, &mut self.changed);
    }

    /// Adds an object's shares in the loss, in the costs of removal, and in the sums of the candidates that are ready.
    fn add_shares(&mut self, object: usize, sign: f64) {
        let (d1, d2) = (self.d1[object].to_f64(), self.d2[object].to_f64());
        let (position, k) = (self.n1[object] as usize, self.medoids.len());
        let weight = sign * self.problem.weight(object);
        self.loss += weight * d1;
        self.removal[position] += weight * (d2 - d1);
        let Scanned { candidates, a, t, ready } = &mut self.scanned;
        for r in ROWS - *ready..ROWS {
            let d = self.problem.d.row(candidates[r])[object].to_f64();
            a[r] += weight * (d.min(d1) - d1);
            t[r * k + position] += weight * (d.max(d1).min(d2) - d1);
        }
    }

    /// What the scan needs beside the caches: the loss of removing each medoid, and the loss itself.
    pub(super) fn update_sums(&mut self) {
        let k = self.medoids.len();
        self.scanned.t.resize(scratch_len(k), 0.0);
        self.removal.clear();
        self.removal.resize(k, 0.0);
        for o in 0..self.problem.objects() {
            let share = self.d2[o].to_f64() - self.d1[o].to_f64();
            self.removal[self.n1[o] as usize] += self.problem.weight(o) * share;
        }
        self.changes = 0;
        self.loss = self.sum_of_d1();
    }

    fn nearest(&self) -> Nearest<'_, T> {
        Nearest {
            // Four times: costs of removal have been changed as often as they have terms, at most, and so have the sums of
            // candidates.
            noise: 4.0 * self.problem.noise(self.loss),
            d1: &self.d1,
            d2: &self.d2,
            n1: &self.n1,
            removal: &self.removal,
            weights: self.problem.weights,
        }
    }

    /// The first of the candidates that has a swap below `limit`, as far as the scan's sums can tell. After one was found the
    /// next call must be for the candidates that follow it.
    pub(super) fn next_swap(
        &mut self,
        candidates: &[usize],
        limit: f64,
        checked: bool,
    ) -> Result<Option<Swap>, NoDistance> {
        let Problem { road, d, .. } = self.problem;
        let mut scanned = core::mem::take(&mut self.scanned);
        let Scanned { a, t, ready, .. } = &mut scanned;
        let scan = Scan { d, candidates, limit, checked };
        let found = T::next_swap(road, scan, self.nearest(), Sums { a, t, ready });
        match found {
            Ok(Some(swap)) => {
                let next = &candidates[swap.place + 1..][..scanned.ready];
                scanned.candidates[ROWS - scanned.ready..].copy_from_slice(next);
            }
            _ => scanned.ready = 0,
        }
        self.scanned = scanned;
        found
    }

    /// Whether the swap lowers the loss by more than rounding can account for.
    pub(super) fn lowers_loss(&mut self, Swap { candidate, position, .. }: Swap) -> bool {
        if self.is_medoid(candidate) {
            return false;
        }
        self.list_changed(candidate, position);
        let row = self.problem.d.row(candidate);
        let (mut change, mut moved) = (0.0, 0.0);
        for &o in &self.changed[..self.count] {
            let o = o as usize;
            let old = self.d1[o];
            let kept = if self.n1[o] as usize == position { self.d2[o] } else { old };
            let new = if row[o] < kept { row[o] } else { kept };
            if new != old {
                let (old, new, weight) = (old.to_f64(), new.to_f64(), self.problem.weight(o));
                change += weight * (new - old);
                moved += weight * old.max(new);
            }
        }
        self.problem.falls(change, moved)
    }
}
