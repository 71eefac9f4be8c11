//! Problems for the solvers, and the choices of algorithms they are solved by.

use crate::support::{
    data::{rng, uniform},
    float::Float,
};
use mantex::{medoids::Algorithm, transport::Method};

pub(crate) const METHODS: [Method; 4] = [Method::Log, Method::Scaling, Method::Auto, Method::Newton];

pub(crate) const ALGORITHMS: [Algorithm; 3] = [Algorithm::FasterPam, Algorithm::FastPam1, Algorithm::Alternating];

/// Costs of an n x m problem, rows `gap` elements further apart than need be, and two even masses.
pub(crate) fn problem<T: Float>(n: usize, m: usize, gap: usize) -> [Vec<T>; 3] {
    let cost = uniform(n * (m + gap) - gap, 0.0, 1.0, &mut rng(72));
    [cost, vec![T::of(1.0 / n as f64); n], vec![T::of(1.0 / m as f64); m]]
}
