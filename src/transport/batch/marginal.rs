//! One marginal of a batch: its masses in all problems, and its arrays of lanes.

use super::super::masses::total_mass;
use crate::aligned::AlignedVec;
use crate::dispatch::Road;
use crate::kernels::transport::tuning::{POTENTIALS_STEP, SUM_GROUP};
use crate::real::Element;
use crate::{Error, MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;

/// A lane in arrays of `width` numbers per row or column.
#[derive(Clone, Copy)]
pub(super) struct LaneIndex {
    /// The lane.
    pub(super) lane: usize,
    /// The number of lanes.
    pub(super) width: usize,
}

impl LaneIndex {
    /// Returns the index of the lane's number for a row or column of the Gibbs matrix.
    #[inline]
    fn at(self, row_or_column: usize) -> usize {
        row_or_column * self.width + self.lane
    }
}

/// Returns so many zeros in lanes.
fn zeros<T: Real>(len: usize) -> AlignedVec<T> {
    AlignedVec::try_zeros(len).expect("memory for the lanes")
}

/// The rows or the columns of a batch.
pub(super) struct BatchMarginal<'a, T> {
    /// The masses: one row per problem, or one row for all problems.
    masses: MatRef<'a, T>,
    /// The total of each row of masses.
    totals: Vec<f64>,
    /// The indices with mass in at least one problem, each with its row or column of the Gibbs
    /// matrix.
    pub(super) support: Vec<(usize, usize)>,
    /// The end of each group of [`SUM_GROUP`] indices in the Gibbs matrix.
    pub(super) ends: Vec<usize>,
    /// The masses in the lanes, divided by their total.
    pub(super) shares: AlignedVec<T>,
    /// The scalings in the lanes.
    pub(super) scalings: AlignedVec<T>,
    /// The scalings in the lanes after the iteration.
    pub(super) next_scalings: AlignedVec<T>,
    /// The terms that are added to the potentials, one per element of `support`, filled up to whole
    /// steps of [`POTENTIALS_STEP`].
    pub(super) offsets: Vec<f64>,
    /// Scratch as long as `offsets`: the scalings of one problem, then its potentials.
    problem_scratch: Vec<T>,
}

impl<'a, T: Real> BatchMarginal<'a, T> {
    /// Checks the masses. `shape` is that of a matrix with one row per problem. Groups of the
    /// support are filled up to whole blocks of `block` rows or columns of the Gibbs matrix.
    pub(super) fn new(
        argument: &'static str,
        masses: MatRef<'a, T>,
        shape: (usize, usize),
        block: usize,
        width: usize,
    ) -> Result<Self, Error> {
        let actual = (masses.rows(), masses.cols());
        if actual.1 != shape.1 || (actual.0 != shape.0 && actual.0 != 1) {
            return Err(Error::ShapeMismatch { argument, actual, expected: shape });
        }
        let mut totals = Vec::with_capacity(masses.rows());
        let mut has_mass = vec![false; masses.cols()];
        for (problem, row) in masses.iter_rows().enumerate() {
            totals.push(total_mass(argument, row, Some(problem))?);
            for (has_mass, &mass) in has_mass.iter_mut().zip(row) {
                *has_mass |= mass > T::zero();
            }
        }
        let (mut support, mut ends, mut end) = (Vec::new(), Vec::new(), 0_usize);
        for (group, has_mass) in has_mass.chunks(SUM_GROUP).enumerate() {
            let start = end;
            for (i, _) in has_mass.iter().enumerate().filter(|(_, has_mass)| **has_mass) {
                support.push((group * SUM_GROUP + i, end));
                end += 1;
            }
            end = end.next_multiple_of(block);
            if end > start {
                ends.push(end);
            }
        }
        let [shares, scalings, next_scalings] = [(); 3].map(|()| zeros(end * width));
        let padded_len = support.len().next_multiple_of(POTENTIALS_STEP);
        Ok(Self {
            masses,
            totals,
            support,
            ends,
            shares,
            scalings,
            next_scalings,
            offsets: vec![0.0; padded_len],
            problem_scratch: vec![T::zero(); padded_len],
        })
    }

    /// Returns the same marginal with other lanes, which are empty.
    #[cfg(feature = "rayon")]
    pub(super) fn with_new_lanes(&self) -> Self {
        let [shares, scalings, next_scalings] = [(); 3].map(|()| zeros(self.shares.len()));
        Self {
            masses: self.masses,
            totals: self.totals.clone(),
            support: self.support.clone(),
            ends: self.ends.clone(),
            shares,
            scalings,
            next_scalings,
            offsets: self.offsets.clone(),
            problem_scratch: self.problem_scratch.clone(),
        }
    }

    /// Returns the number of rows or columns of the Gibbs matrix.
    pub(super) fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Returns the index of the row of masses of problem `p`.
    fn row(&self, p: usize) -> usize {
        if self.masses.rows() == 1 { 0 } else { p }
    }

    /// Returns the masses of problem `p`.
    pub(super) fn masses(&self, p: usize) -> &'a [T] {
        self.masses.row(self.row(p))
    }

    /// Returns the total of the masses of problem `p`.
    pub(super) fn total(&self, p: usize) -> f64 {
        self.totals[self.row(p)]
    }

    /// Fills a lane with the masses of problem `p`, divided by their total, and with scalings of 1.
    /// Returns false if a positive mass underflows in `T`.
    pub(super) fn start_problem(&mut self, lane: LaneIndex, p: usize) -> bool {
        let (total, mut in_range) = (self.total(p), true);
        let masses = self.masses(p);
        for &(i, at) in &self.support {
            let has_mass = masses[i] > T::zero();
            let share = T::rounded(masses[i].to_f64() / total);
            in_range &= has_mass == (share > T::zero());
            self.shares[lane.at(at)] = share;
            self.scalings[lane.at(at)] = if has_mass { T::one() } else { T::zero() };
        }
        in_range
    }

    /// Writes the potentials of a lane to `out`: `(log2(scaling) + shift) / eta` plus the offsets.
    /// Returns the sum of the potentials, each times its mass.
    pub(super) fn write_potentials(&mut self, road: Road, eta: f64, shift: f64, lane: LaneIndex, out: &mut [T]) -> f64 {
        let scalings = &mut self.problem_scratch;
        // The numbers that fill up the last step have no mass.
        scalings.fill(T::zero());
        for (scaling, &(_, at)) in scalings.iter_mut().zip(&self.support) {
            *scaling = self.scalings[lane.at(at)];
        }
        T::scalings_to_potentials(road, eta, shift, &self.offsets, scalings);
        let potentials = scalings;
        // The index alone decides which sum a term is added to, so that the result does not depend
        // on the support of the other problems.
        let mut sums = [0.0; 4];
        for (&potential, &(i, at)) in potentials.iter().zip(&self.support) {
            out[i] = potential;
            let mass = self.shares[lane.at(at)].to_f64();
            sums[i % 4] += if mass > 0.0 { mass * potential.to_f64() } else { 0.0 };
        }
        sums.iter().sum()
    }
}
