//! The input of a search.

use super::layout::Layout;
use crate::dispatch::Road;
use crate::kernels::lanes::MAX_LANES;
use crate::real::Element;
use crate::{Error, MatRef, Real, Reduce};
use alloc::vec;
use alloc::vec::Vec;

/// The input of a search, with the instruction set that runs it.
#[derive(Clone, Copy)]
pub(super) struct Dissimilarities<'a, T> {
    /// The instruction set.
    pub(super) road: Road,
    /// Row c holds the dissimilarity of every object to object c. On several ranks, it has the rows
    /// of this rank only.
    pub(super) matrix: MatRef<'a, T>,
    /// The weights, as [`NearestRef::weights`](crate::kernels::medoids::NearestRef::weights).
    pub(super) weights: &'a [T],
    /// Which rows this rank has.
    pub(super) layout: Layout,
}

impl<'a, T: Real> Dissimilarities<'a, T> {
    /// Returns the number of objects.
    pub(super) fn objects(&self) -> usize {
        self.matrix.cols()
    }

    /// Returns the weight of an object.
    pub(super) fn weight(&self, object: usize) -> f64 {
        self.weights.get(object).map_or(1.0, |w| w.to_f64())
    }

    /// Returns the row of an object, if this rank has it.
    pub(super) fn own_row(&self, object: usize) -> Option<&'a [T]> {
        if self.layout.is_one() {
            return Some(self.matrix.row(object));
        }
        self.layout.local_row(object).map(|row| self.matrix.row(row))
    }

    /// Writes for every candidate the loss if it were one more medoid beside those at the distances
    /// `d1`.
    pub(super) fn losses_with(
        &self,
        candidates: &[usize],
        d1: &[T],
        losses: &mut [f64],
        reduce: &mut dyn Reduce,
    ) -> Result<(), Error> {
        if self.layout.is_one() {
            self.own_losses_with(candidates, d1, losses);
            return Ok(());
        }
        let own: Vec<usize> = candidates.iter().filter_map(|&c| self.layout.local_row(c)).collect();
        let mut own_losses = vec![0.0; own.len()];
        self.own_losses_with(&own, d1, &mut own_losses);
        let mut own_losses = own_losses.into_iter();
        for (loss, &c) in losses.iter_mut().zip(candidates) {
            let own = self.layout.local_row(c).and_then(|_| own_losses.next());
            *loss = own.unwrap_or(0.0);
        }
        reduce.sum(losses)
    }

    /// [`losses_with`](Self::losses_with) for rows of this rank.
    fn own_losses_with(&self, candidates: &[usize], d1: &[T], losses: &mut [f64]) {
        let shape = (candidates.len(), self.objects());
        self.road.each_band(shape, (candidates, losses), |(candidates, losses)| {
            T::losses_with(self.road, self.matrix, candidates, d1, self.weights, losses);
        });
    }

    /// Returns the largest difference between two losses of this size that can come from the order
    /// of summation.
    pub(super) fn rounding_bound(&self, loss: f64) -> f64 {
        // One rounding per addition, and one for the product with a weight.
        (self.objects() + 1) as f64 * (f64::EPSILON / 2.0) * loss
    }

    /// Returns a bound of the rounding of the sums of a scan, relative to the sum of the absolute
    /// values of all numbers that were added to them or to the losses of removal in them.
    ///
    /// A loss of removal has up to n terms, then up to 3 n changes until it is summed anew. A scan
    /// subtracts up to n terms from it, and the result is changed up to 3 n times. Each addition
    /// has one rounding of EPSILON / 2, and a term itself has two: 8 n + 2 roundings of a number.
    /// The bound has 8 n + 16: 14 are a margin for the rounding of the bounds themselves.
    pub(super) fn relative_error(&self) -> f64 {
        (4 * self.objects() + 8) as f64 * f64::EPSILON
    }

    /// Returns whether a loss falls by more than rounding can account for: the rounding of the
    /// sums, and the rounding of each dissimilarity by up to half a unit in its last place.
    /// `changed_sum` is the weighted sum of the dissimilarities that change, each the larger of old
    /// and new.
    pub(super) fn is_real_decrease(&self, change: f64, changed_sum: f64) -> bool {
        change < -(T::EPSILON * changed_sum + self.rounding_bound(changed_sum))
    }
}

/// Returns the weights, filled up with zeros to a multiple of [`MAX_LANES`].
pub(super) fn pad_weights<T: Real>(weights: &[T]) -> Vec<T> {
    let mut padded = weights.to_vec();
    padded.resize(weights.len().next_multiple_of(MAX_LANES), T::zero());
    padded
}
