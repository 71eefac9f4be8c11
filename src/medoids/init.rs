//! Where the search starts.

use super::cache::{Cache, Problem};
use crate::real::Element;
use crate::{Error, Real};

/// SplitMix64 (Steele, Lea & Flood 2014): small, and good enough to draw samples.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`, uniform up to a bias of n / 2^64.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Moves `count` elements drawn without replacement to the front.
    pub(super) fn draw(&mut self, items: &mut [usize], count: usize) {
        for i in 0..count {
            let j = i + self.below(items.len() - i);
            items.swap(i, j);
        }
    }
}

/// BUILD: the object with the lowest total dissimilarity, then one by one the object that lowers the loss most; among
/// equals the one with the lowest index.
pub(super) fn build<T: Real>(problem: Problem<'_, T>, k: usize) -> Vec<usize> {
    let n = problem.objects();
    let mut cache = Cache::new(problem);
    let mut losses = vec![0.0; n];
    for _ in 0..k {
        cache.losses_with(&mut losses);
        let objects = (0..n).filter(|&o| !cache.is_medoid(o));
        let better = |o: usize, best: usize| losses[o] < losses[best] - problem.noise(losses[best]);
        if let Some(best) = objects.reduce(|best, o| if better(o, best) { o } else { best }) {
            cache.push(best);
        }
    }
    cache.medoids().to_vec()
}

/// LAB: BUILD where each medoid is the best for, and of, its own random sample of 10 + ceil(sqrt(n)) objects.
pub(super) fn lab<T: Real>(problem: Problem<'_, T>, k: usize, seed: u64) -> Vec<usize> {
    let n = problem.objects();
    let size = 10 + (n as f64).sqrt().ceil() as usize;
    let mut rng = Rng(seed);
    let mut cache = Cache::new(problem);
    for _ in 0..k {
        let mut sample: Vec<usize> = (0..n).filter(|&o| !cache.is_medoid(o)).collect();
        let count = size.min(sample.len());
        rng.draw(&mut sample, count);
        sample.truncate(count);
        let loss_with = |c: usize| -> f64 {
            let row = problem.d.row(c);
            let nearest = |o: usize| if row[o] < cache.d1(o) { row[o] } else { cache.d1(o) };
            sample.iter().map(|&o| problem.weight(o) * nearest(o).to_f64()).sum()
        };
        let losses: Vec<f64> = sample.iter().map(|&c| loss_with(c)).collect();
        if let Some(best) = (0..count).reduce(|best, i| if losses[i] < losses[best] { i } else { best }) {
            cache.push(sample[best]);
        }
    }
    cache.medoids().to_vec()
}

/// `k` objects, all sets equally likely.
pub(super) fn random(n: usize, k: usize, seed: u64) -> Vec<usize> {
    let mut objects: Vec<usize> = (0..n).collect();
    Rng(seed).draw(&mut objects, k);
    objects.truncate(k);
    objects
}

/// Whether these are different objects of `n`.
pub(super) fn check_medoids(n: usize, medoids: &[usize]) -> Result<(), Error> {
    let mut seen = vec![false; n];
    for &medoid in medoids {
        if medoid >= n || seen[medoid] {
            let out_of_range = medoid >= n;
            return Err(if out_of_range {
                Error::MedoidOutOfRange { medoid, objects: n }
            } else {
                Error::DuplicateMedoid { medoid }
            });
        }
        seen[medoid] = true;
    }
    Ok(())
}
