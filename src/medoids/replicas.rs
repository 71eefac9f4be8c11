//! The rows that every rank of a distributed search has a copy of: those of the medoids, and of the
//! next medoid.

use super::dissimilarities::Dissimilarities;
use crate::kernels::medoids::UNKNOWN_CLUSTER;
use crate::real::Element;
use crate::{Error, MatRef, Real, Reduce};
use alloc::vec::Vec;

/// Copies of rows. A single process has none, because its matrix has all rows.
#[derive(Default)]
pub(super) struct Replicas<T> {
    /// The rows of the medoids, one cluster after the other.
    medoids: Vec<T>,
    /// The object that is about to become a medoid, and its row.
    next: (usize, Vec<T>),
    /// The message in which a row is sent.
    message: Vec<f64>,
}

impl<T: Real> Replicas<T> {
    /// Fetches the rows of these medoids.
    pub(super) fn fetch(d: Dissimilarities<'_, T>, medoids: &[usize], reduce: &mut dyn Reduce) -> Result<Self, Error> {
        let mut replicas = Self { medoids: Vec::new(), next: (0, Vec::new()), message: Vec::new() };
        for &medoid in medoids {
            replicas.push(d, medoid, reduce)?;
        }
        Ok(replicas)
    }

    /// Fetches the row of one more medoid.
    pub(super) fn push(
        &mut self,
        d: Dissimilarities<'_, T>,
        medoid: usize,
        reduce: &mut dyn Reduce,
    ) -> Result<(), Error> {
        if !d.layout.is_one() {
            self.fetch_next(d, medoid, 0, reduce)?;
            self.medoids.extend_from_slice(&self.next.1);
        }
        Ok(())
    }

    /// Fetches the row of the next medoid. Returns the `note` of the rank that holds it.
    pub(super) fn fetch_next(
        &mut self,
        d: Dissimilarities<'_, T>,
        object: usize,
        note: usize,
        reduce: &mut dyn Reduce,
    ) -> Result<usize, Error> {
        self.message.clear();
        if let Some(row) = d.own_row(object) {
            self.message.extend(row.iter().map(|d| d.to_f64()));
            self.message.push(note as f64);
        }
        self.message.resize(d.objects() + 1, 0.0);
        reduce.sum(&mut self.message)?;
        let (row, note) = self.message.split_at(d.objects());
        self.next.0 = object;
        self.next.1.clear();
        self.next.1.extend(row.iter().map(|&d| T::rounded(d)));
        Ok(note[0] as usize)
    }

    /// Returns the row of an object, after fetching it if this rank does not have it.
    pub(super) fn fetched<'a>(
        &'a mut self,
        d: Dissimilarities<'a, T>,
        object: usize,
        reduce: &mut dyn Reduce,
    ) -> Result<&'a [T], Error> {
        if d.layout.is_one() {
            return Ok(d.matrix.row(object));
        }
        self.fetch_next(d, object, 0, reduce)?;
        Ok(&self.next.1)
    }

    /// Makes the next medoid that of a cluster.
    pub(super) fn replace(&mut self, cluster: usize) {
        let n = self.next.1.len();
        if n > 0 {
            self.medoids[cluster * n..][..n].copy_from_slice(&self.next.1);
        }
    }

    /// Returns the rows of the medoids from the cluster `first` on, with their indices, as
    /// [`add_medoids`](crate::kernels::medoids::nearest::add_medoids) takes them.
    pub(super) fn of_medoids(&self, n: usize, first: usize) -> (MatRef<'_, T>, Vec<usize>) {
        let clusters = self.medoids.len() / n;
        (MatRef::new(&self.medoids, clusters, n).expect("whole rows"), (first..clusters).collect())
    }

    /// Returns the row of a medoid, of the next medoid, or of an object of this rank. `clusters`
    /// has the cluster of every medoid.
    #[inline(always)]
    pub(super) fn row<'a>(&'a self, d: Dissimilarities<'a, T>, clusters: &[u32], object: usize) -> &'a [T] {
        if d.layout.is_one() { d.matrix.row(object) } else { self.distributed_row(d, clusters[object], object) }
    }

    /// [`row`](Self::row) on several ranks.
    fn distributed_row<'a>(&'a self, d: Dissimilarities<'a, T>, cluster: u32, object: usize) -> &'a [T] {
        let n = d.objects();
        if cluster != UNKNOWN_CLUSTER {
            return &self.medoids[cluster as usize * n..][..n];
        }
        if self.next.0 == object && !self.next.1.is_empty() {
            return &self.next.1;
        }
        d.own_row(object).expect("the rank holds the row or has fetched it")
    }
}

/// The own candidates of a rank among those of a search.
#[derive(Default)]
pub(super) struct OwnCandidates {
    /// Their positions in the order in which the search tries all candidates, ascending.
    positions: Vec<usize>,
    /// Their rows in the matrix of this rank.
    rows: Vec<usize>,
}

impl OwnCandidates {
    /// Returns the own ones of all candidates.
    pub(super) fn new<T: Real>(d: Dissimilarities<'_, T>, candidates: &[usize]) -> Self {
        let own = || candidates.iter().enumerate().filter_map(|(at, &c)| Some((at, d.layout.local_row(c)?)));
        Self { positions: own().map(|(at, _)| at).collect(), rows: own().map(|(_, row)| row).collect() }
    }

    /// Returns the number of own candidates before a position.
    pub(super) fn before(&self, position: usize) -> usize {
        self.positions.partition_point(|&at| at < position)
    }

    /// Returns the rows of all own candidates.
    pub(super) fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// Returns the position of an own candidate.
    pub(super) fn position(&self, index: usize) -> usize {
        self.positions[index]
    }
}
