//! The initial medoids.

use super::cache::Cache;
use super::dissimilarities::Dissimilarities;
use super::kmedoids::Init;
use crate::Real;
use crate::real::Element;

/// The generator SplitMix64 (Steele, Lea & Flood 2014): small, and good enough to draw samples.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    /// Returns 64 random bits.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a random number below `n`, uniform up to a bias of n / 2^64.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Draws `count` elements without replacement and moves them to the front.
    pub(super) fn draw(&mut self, items: &mut [usize], count: usize) {
        for i in 0..count {
            let j = i + self.below(items.len() - i);
            items.swap(i, j);
        }
    }
}

/// Returns the `k` medoids that the search starts with.
pub(super) fn initial_medoids<T: Real>(init: &Init, d: Dissimilarities<'_, T>, k: usize) -> Vec<usize> {
    match init {
        Init::Build => build(d, k),
        Init::Lab { seed } => lab(d, k, *seed),
        Init::Random { seed } => random(d.objects(), k, *seed),
        Init::Given(medoids) => medoids.clone(),
    }
}

/// Runs BUILD: chooses the object with the lowest sum of dissimilarities, then one at a time the
/// object that lowers the loss most; of equally good objects the first.
fn build<T: Real>(d: Dissimilarities<'_, T>, k: usize) -> Vec<usize> {
    let n = d.objects();
    let mut cache = Cache::new(d);
    let mut losses = vec![0.0; n];
    for _ in 0..k {
        cache.losses_with(&mut losses);
        let objects = (0..n).filter(|&o| !cache.is_medoid(o));
        let is_better = |o: usize, best: usize| losses[o] < losses[best] - d.rounding_bound(losses[best]);
        if let Some(best) = objects.reduce(|best, o| if is_better(o, best) { o } else { best }) {
            cache.push(best);
        }
    }
    cache.medoids().to_vec()
}

/// Runs LAB: BUILD in which each medoid is one object of a random sample of 10 + ceil(sqrt(n))
/// objects, the one with the lowest loss of that sample.
fn lab<T: Real>(d: Dissimilarities<'_, T>, k: usize, seed: u64) -> Vec<usize> {
    let n = d.objects();
    let size = 10 + (n as f64).sqrt().ceil() as usize;
    let mut rng = Rng(seed);
    let mut cache = Cache::new(d);
    for _ in 0..k {
        let mut sample: Vec<usize> = (0..n).filter(|&o| !cache.is_medoid(o)).collect();
        let count = size.min(sample.len());
        rng.draw(&mut sample, count);
        sample.truncate(count);
        let loss_with = |c: usize| -> f64 {
            let row = d.matrix.row(c);
            let nearest = |o: usize| if row[o] < cache.d1(o) { row[o] } else { cache.d1(o) };
            sample.iter().map(|&o| d.weight(o) * nearest(o).to_f64()).sum()
        };
        let losses: Vec<f64> = sample.iter().map(|&c| loss_with(c)).collect();
        if let Some(best) = (0..count).reduce(|best, i| if losses[i] < losses[best] { i } else { best }) {
            cache.push(sample[best]);
        }
    }
    cache.medoids().to_vec()
}

/// Returns `k` random objects; all sets of `k` are equally likely.
fn random(n: usize, k: usize, seed: u64) -> Vec<usize> {
    let mut objects: Vec<usize> = (0..n).collect();
    Rng(seed).draw(&mut objects, k);
    objects.truncate(k);
    objects
}
