//! Random numbers from a fixed seed.

use super::float::Float;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

/// A generator with a fixed seed.
pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// Standard normal numbers times `scale` plus `offset`.
pub(crate) fn normal<T: Float>(len: usize, scale: f64, offset: f64, rng: &mut StdRng) -> Vec<T> {
    (0..len).map(|_| T::of(offset + scale * rng.sample::<f64, _>(StandardNormal))).collect()
}

/// Uniform random numbers from [low, high).
pub(crate) fn uniform<T: Float>(len: usize, low: f64, high: f64, rng: &mut StdRng) -> Vec<T> {
    (0..len).map(|_| T::of(rng.random_range(low..high))).collect()
}

/// Numbers that grow from `low` to `high` in even steps.
pub(crate) fn ramp<T: Float>(len: usize, low: f64, high: f64) -> Vec<T> {
    (0..len).map(|i| T::of(low + (high - low) * i as f64 / len.max(2) as f64)).collect()
}
