//! What is kept for every object between swaps: its nearest and second nearest medoid.

use crate::kernels::swap::{NONE, Nearest, NearestMut, PAD, PADDING, Swap, scratch_len};
use crate::{Isa, MatRef, Real};

/// What is clustered, and on which instruction set.
#[derive(Clone, Copy)]
pub(super) struct Problem<'a, T> {
    pub(super) isa: Option<Isa>,
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
    padded.resize(weights.len().next_multiple_of(PAD), T::ZERO);
    padded
}

/// The medoids and, for every object, its two nearest ones.
pub(super) struct Cache<'a, T> {
    problem: Problem<'a, T>,
    medoids: Vec<usize>,
    is_medoid: Vec<bool>,
    d1: Vec<T>,
    d2: Vec<T>,
    n1: Vec<u32>,
    n2: Vec<u32>,
    /// What removing each medoid costs; see [`Cache::update_sums`].
    removal: Vec<f64>,
    loss: f64,
    /// Scratch of the scan.
    t: Vec<f64>,
    /// Scratch: objects whose second nearest medoid is to be found anew.
    unknown: Vec<u32>,
}

impl<'a, T: Real> Cache<'a, T> {
    /// Without medoids yet: everything is infinitely far.
    pub(super) fn new(problem: Problem<'a, T>) -> Self {
        let n = problem.objects();
        let padded = n.next_multiple_of(PAD);
        let mut distances = vec![T::INFINITY; n];
        distances.resize(padded, T::ZERO);
        let mut positions = vec![NONE; n];
        positions.resize(padded, PADDING);
        Self {
            problem,
            medoids: Vec::new(),
            is_medoid: vec![false; n],
            d1: distances.clone(),
            d2: distances,
            n1: positions.clone(),
            n2: positions,
            removal: Vec::new(),
            loss: f64::INFINITY,
            t: Vec::new(),
            unknown: vec![0; n + PAD],
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
        self.is_medoid[object]
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

    /// The sum of the distances to the nearest medoid, as of [`Cache::update_sums`].
    pub(super) fn loss(&self) -> f64 {
        self.loss
    }

    fn sum_of_d1(&self) -> f64 {
        let Problem { isa, weights, .. } = self.problem;
        let n = self.problem.objects();
        let mut loss = [0.0];
        // A clustering gains nothing from a medoid at the distances it already has.
        if let Ok(row) = MatRef::new(&self.d1[..n], 1, n) {
            T::losses_with(isa, row, &self.d1, weights, &mut loss);
        }
        loss[0]
    }

    /// For every object the loss with it as one more medoid.
    pub(super) fn losses_with(&self, out: &mut [f64]) {
        let Problem { isa, d, weights } = self.problem;
        T::losses_with(isa, d, &self.d1, weights, out);
    }

    /// One more medoid.
    pub(super) fn push(&mut self, medoid: usize) {
        self.add(&[medoid]);
    }

    /// More medoids.
    fn add(&mut self, medoids: &[usize]) {
        let first = self.medoids.len();
        self.medoids.extend_from_slice(medoids);
        for &medoid in medoids {
            self.is_medoid[medoid] = true;
        }
        let near = NearestMut { d1: &mut self.d1, d2: &mut self.d2, n1: &mut self.n1, n2: &mut self.n2 };
        T::add_medoids(self.problem.isa, self.problem.d, medoids, first, near);
    }

    /// Makes `candidate` the medoid at `position`.
    pub(super) fn swap(&mut self, candidate: usize, position: usize) {
        self.is_medoid[self.medoids[position]] = false;
        self.medoids[position] = candidate;
        self.is_medoid[candidate] = true;
        let near = NearestMut { d1: &mut self.d1, d2: &mut self.d2, n1: &mut self.n1, n2: &mut self.n2 };
        let row = self.problem.d.row(candidate);
        let count = T::replace(self.problem.isa, row, position, near, &mut self.unknown);
        let unknown = &self.unknown[..count];
        for &o in unknown {
            self.d2[o as usize] = T::INFINITY;
        }
        // Medoid by medoid, so that the objects of one row are read together.
        for (i, &medoid) in self.medoids.iter().enumerate() {
            let row = self.problem.d.row(medoid);
            for &o in unknown {
                let o = o as usize;
                if row[o] < self.d2[o] && self.n1[o] as usize != i {
                    self.d2[o] = row[o];
                    self.n2[o] = i as u32;
                }
            }
        }
        self.update_sums();
    }

    /// What the scan needs beside the caches: the loss of removing each medoid, and the loss itself.
    pub(super) fn update_sums(&mut self) {
        let k = self.medoids.len();
        self.t.resize(scratch_len(k), 0.0);
        self.removal.clear();
        self.removal.resize(k, 0.0);
        let problem = self.problem;
        let objects = self.d1.iter().zip(&self.d2).zip(&self.n1[..problem.objects()]);
        for (o, ((&d1, &d2), &n1)) in objects.enumerate() {
            self.removal[n1 as usize] += problem.weight(o) * (d2.to_f64() - d1.to_f64());
        }
        self.loss = self.sum_of_d1();
    }

    fn nearest(&self) -> Nearest<'_, T> {
        Nearest {
            noise: self.problem.noise(self.loss),
            d1: &self.d1,
            d2: &self.d2,
            n1: &self.n1,
            removal: &self.removal,
            weights: self.problem.weights,
        }
    }

    /// The first of the candidates that has a swap below `limit`, as far as the scan's sums can tell.
    pub(super) fn next_swap(&mut self, candidates: &[usize], limit: f64) -> Option<Swap> {
        let mut t = core::mem::take(&mut self.t);
        let swap = T::next_swap(self.problem.isa, self.problem.d, candidates, limit, self.nearest(), &mut t);
        self.t = t;
        swap
    }

    /// Whether the swap lowers the loss by more than rounding can account for.
    pub(super) fn lowers_loss(&self, swap: Swap) -> bool {
        if self.is_medoid[swap.candidate] {
            return false;
        }
        let row = self.problem.d.row(swap.candidate);
        let (change, moved) = T::swap_change(self.problem.isa, row, self.nearest(), swap.position);
        self.problem.falls(change, moved)
    }
}
