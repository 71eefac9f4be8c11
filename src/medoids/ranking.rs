//! The ranking of the nearest medoids of one object.

use crate::Real;
use crate::kernels::medoids::UNKNOWN_CLUSTER;
use crate::kernels::medoids::tuning::{MAX_RANKED, MEDOIDS_PER_RANKED};
use crate::real::Element;

/// Medoids by their distance from one object: the nearest first, equally near ones in the order of
/// their insertion.
#[derive(Clone, Copy)]
pub(super) struct Ranking<T> {
    len: usize,
    /// The distance and the object of every ranked medoid.
    entries: [(T, u32); MAX_RANKED],
}

/// Returns the number of medoids that are ranked if there are `k` medoids.
pub(super) fn max_ranked(k: usize) -> usize {
    (k / MEDOIDS_PER_RANKED).clamp(2, MAX_RANKED)
}

impl<T: Real> Ranking<T> {
    /// Returns a ranking without medoids.
    pub(super) fn empty() -> Self {
        Self { len: 0, entries: [(T::infinity(), UNKNOWN_CLUSTER); MAX_RANKED] }
    }

    /// Returns the ranked medoids.
    pub(super) fn known(&self) -> &[(T, u32)] {
        &self.entries[..self.len]
    }

    /// Returns the entry at an index below [`MAX_RANKED`]. An entry without a medoid has an
    /// infinite distance and [`UNKNOWN_CLUSTER`].
    pub(super) fn entry(&self, index: usize) -> (T, u32) {
        self.entries[index]
    }

    /// Inserts a medoid. If the ranking then has more than `most` medoids, removes the farthest one
    /// and returns its distance.
    pub(super) fn insert(&mut self, distance: T, medoid: u32, most: usize) -> Option<T> {
        let mut entry = (distance, medoid);
        let mut index = 0;
        while index < self.len && self.entries[index].0 <= distance {
            index += 1;
        }
        for ranked in &mut self.entries[index..self.len] {
            core::mem::swap(ranked, &mut entry);
        }
        if self.len == most {
            return Some(entry.0);
        }
        self.entries[self.len] = entry;
        self.len += 1;
        None
    }
}
