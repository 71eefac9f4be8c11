//! The initial medoids.

use super::cache::Cache;
use super::dissimilarities::Dissimilarities;
use super::options::Init;
use super::replicas::Replicas;
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::lanes::MAX_LANES;
use crate::kernels::medoids::tuning::{MASS_BLOCK, MAX_TRIALS};
use crate::real::Element;
use crate::{Error, Real, Reduce};
use alloc::vec;
use alloc::vec::Vec;

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

    /// Returns a random number from 0 to below 1, a multiple of 2^-53.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (f64::EPSILON / 2.0)
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
pub(super) fn initial_medoids<T: Real>(
    init: &Init,
    d: Dissimilarities<'_, T>,
    k: usize,
    reduce: &mut dyn Reduce,
) -> Result<Vec<usize>, Error> {
    match init {
        Init::Build => build(d, k, reduce),
        Init::Lab { seed } => lab(d, k, *seed, reduce),
        Init::PlusPlus { seed } => plus_plus(d, k, *seed, reduce),
        Init::Random { seed } => Ok(random(d.objects(), k, *seed)),
        Init::Given(medoids) => Ok(medoids.clone()),
    }
}

/// Runs BUILD: chooses the object with the lowest sum of dissimilarities, then one at a time the
/// object that lowers the loss most; of equally good objects the first.
fn build<T: Real>(d: Dissimilarities<'_, T>, k: usize, reduce: &mut dyn Reduce) -> Result<Vec<usize>, Error> {
    let n = d.objects();
    let mut cache = Cache::new(d);
    let (all, mut losses): (Vec<usize>, _) = ((0..n).collect(), vec![0.0; n]);
    for _ in 0..k {
        d.losses_with(&all, &cache.d1, &mut losses, reduce)?;
        let objects = (0..n).filter(|&o| !cache.is_medoid(o));
        let is_better = |o: usize, best: usize| losses[o] < losses[best] - d.rounding_bound(losses[best]);
        if let Some(best) = objects.reduce(|best, o| if is_better(o, best) { o } else { best }) {
            cache.push(best, reduce)?;
        }
    }
    Ok(cache.medoids().to_vec())
}

/// Runs LAB: BUILD in which each medoid is one object of a random sample of 10 + ceil(sqrt(n))
/// objects, the one with the lowest loss of that sample.
fn lab<T: Real>(d: Dissimilarities<'_, T>, k: usize, seed: u64, reduce: &mut dyn Reduce) -> Result<Vec<usize>, Error> {
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
            // Another rank has the row, and sums its loss.
            let Some(row) = d.own_row(c) else { return 0.0 };
            let nearest = |o: usize| if row[o] < cache.d1(o) { row[o] } else { cache.d1(o) };
            sample.iter().map(|&o| d.weight(o) * nearest(o).to_f64()).sum()
        };
        let mut losses: Vec<f64> = sample.iter().map(|&c| loss_with(c)).collect();
        reduce.sum(&mut losses)?;
        if let Some(best) = (0..count).reduce(|best, i| if losses[i] < losses[best] { i } else { best }) {
            cache.push(sample[best], reduce)?;
        }
    }
    Ok(cache.medoids().to_vec())
}

/// Runs k-medoids++: draws the first medoid with probabilities proportional to the weights. Then
/// draws candidates, [`trials`] at a time, with probabilities proportional to their shares of the
/// loss. The one that lowers the loss most becomes a medoid.
///
/// The rows need not be validated: any values give medoids.
fn plus_plus<T: Real>(
    d: Dissimilarities<'_, T>,
    k: usize,
    seed: u64,
    reduce: &mut dyn Reduce,
) -> Result<Vec<usize>, Error> {
    let n = d.objects();
    let trials = trials(n, k);
    let mut rng = Rng(seed);
    let mut d1 = vec![T::infinity(); n];
    d1.resize(n.next_multiple_of(MAX_LANES), T::zero());
    let mut masses = Masses::new((0..n).map(|o| d.weight(o)).collect());
    let (mut medoids, mut is_medoid) = (Vec::with_capacity(k), vec![false; n]);
    let (mut candidates, mut losses) = (Vec::with_capacity(trials), vec![0.0; trials]);
    let mut replicas = Replicas::default();
    while medoids.len() < k {
        candidates.clear();
        let count = if medoids.is_empty() { 1 } else { trials };
        candidates.extend((0..count).map_while(|_| masses.draw(&mut rng)));
        if candidates.is_empty() {
            // Only duplicates of medoids are left.
            candidates.extend((0..n).find(|&o| !is_medoid[o]));
        }
        let losses = &mut losses[..candidates.len()];
        d.losses_with(&candidates, &d1, losses, reduce)?;
        let is_better = |i: usize, best: usize| losses[i] < losses[best] - d.rounding_bound(losses[best]);
        let best = (0..losses.len()).reduce(|best, i| if is_better(i, best) { i } else { best });
        let Some(medoid) = best.map(|best| candidates[best]) else { break };
        medoids.push(medoid);
        is_medoid[medoid] = true;
        let row = replicas.fetched(d, medoid, reduce)?;
        for ((d1, mass), &d) in d1.iter_mut().zip(&mut masses.each).zip(row) {
            *d1 = if d < *d1 { d } else { *d1 };
            *mass = d1.to_f64();
        }
        for (mass, weight) in masses.each.iter_mut().zip(d.weights) {
            *mass *= weight.to_f64();
        }
        // A medoid may have a share of the loss, but is not drawn again.
        medoids.iter().for_each(|&medoid| masses.each[medoid] = 0.0);
        masses.update_sums();
    }
    Ok(medoids)
}

/// The number of candidates for each medoid: 2 + floor(ln k), and more, up to [`MAX_TRIALS`], as
/// long as all candidates together are at most a quarter of the objects.
fn trials(n: usize, k: usize) -> usize {
    (2 + (k as f64).ln() as usize).max((n / (4 * k)).min(MAX_TRIALS))
}

/// Numbers that objects are drawn by: their probabilities are proportional to their masses.
struct Masses {
    each: Vec<f64>,
    /// The sums of every [`MASS_BLOCK`] masses.
    block_sums: Vec<f64>,
    total: f64,
}

impl Masses {
    /// Returns masses of these objects.
    fn new(each: Vec<f64>) -> Self {
        let blocks = each.len().div_ceil(MASS_BLOCK);
        let mut masses = Self { each, block_sums: vec![0.0; blocks], total: 0.0 };
        masses.update_sums();
        masses
    }

    /// Sums the masses after they have changed. The order is the same for all instruction sets.
    fn update_sums(&mut self) {
        for (sum, block) in self.block_sums.iter_mut().zip(self.each.chunks(MASS_BLOCK)) {
            let mut sums = [0.0; 8];
            for masses in block.chunks(8) {
                for (sum, mass) in sums.iter_mut().zip(masses) {
                    *sum += mass;
                }
            }
            *sum = sums.iter().sum();
        }
        self.total = self.block_sums.iter().sum();
    }

    /// Draws an object. Returns none unless the masses have a sum that is positive and finite.
    fn draw(&self, rng: &mut Rng) -> Option<usize> {
        if !(self.total > 0.0 && self.total < f64::INFINITY) {
            return None;
        }
        let mut rest = rng.unit() * self.total;
        let mut block = 0;
        while block + 1 < self.block_sums.len() && rest >= self.block_sums[block] {
            rest -= self.block_sums[block];
            block += 1;
        }
        let from = block * MASS_BLOCK;
        for (o, &mass) in (from..).zip(&self.each[from..self.each.len().min(from + MASS_BLOCK)]) {
            if rest < mass {
                return Some(o);
            }
            rest -= mass;
        }
        // Rounding has put the number beyond the block.
        self.each[..self.each.len().min(from + MASS_BLOCK)].iter().rposition(|&mass| mass > 0.0)
    }
}

/// Returns `k` random objects; all sets of `k` are equally likely.
fn random(n: usize, k: usize, seed: u64) -> Vec<usize> {
    let mut objects: Vec<usize> = (0..n).collect();
    Rng(seed).draw(&mut objects, k);
    objects.truncate(k);
    objects
}
