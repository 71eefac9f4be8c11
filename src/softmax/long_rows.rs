//! Rows that are so long that threads share each of them, with the bits of one thread.
//!
//! The parts of a row are whole blocks. Threads compute the sums of blocks, one thread adds them in
//! their order, and threads compute the results. See
//! [`kernels::softmax::parts`](crate::kernels::softmax::parts).

use super::options::Softmax;
use crate::bands::{Bands, min_band_elements};
use crate::dispatch::Road;
use crate::kernels::softmax::tuning::BLOCK_ELEMENTS;
use crate::kernels::softmax::{
    BlockBase, BlockSum, ExtSum, IGNORED, Logits, RowLengths, RowScan, SoftmaxWay, SrcDstRows,
};
use crate::real::Element;
use crate::{MatMut, MatRef, Real};
use alloc::vec;

/// The elements of a row and where its results go.
pub(super) enum RowData<'a, T> {
    /// Nowhere.
    Reading(&'a [T]),
    /// To another row.
    To(&'a [T], &'a mut [T]),
    /// To itself.
    InPlace(&'a mut [T]),
}

/// A row of logits, or a part of it that begins with a block.
struct Part<'a, T> {
    /// The elements and where the results go.
    place: RowData<'a, T>,
    /// As in [`Logits`].
    scale: T,
    /// The part of the mask.
    mask: Option<&'a [T]>,
    /// As in [`Logits`].
    masked_rows_are_zero: bool,
}

/// In place of rows, blocks are counted; the rest of the row goes with the last one, so that no
/// part is shorter than a block.
impl<T: Real> Bands for Part<'_, T> {
    fn split_at_row(self, block: usize) -> (Self, Self) {
        let at = block * BLOCK_ELEMENTS;
        let (left, right) = match self.place {
            RowData::Reading(x) => {
                let (a, b) = x.split_at(at);
                (RowData::Reading(a), RowData::Reading(b))
            }
            RowData::To(x, out) => {
                let ((a, b), (c, d)) = (x.split_at(at), out.split_at_mut(at));
                (RowData::To(a, c), RowData::To(b, d))
            }
            RowData::InPlace(x) => {
                let (a, b) = x.split_at_mut(at);
                (RowData::InPlace(a), RowData::InPlace(b))
            }
        };
        let (mask, right_mask) = self.mask.map(|mask| mask.split_at(at)).unzip();
        (Self { place: left, mask, ..self }, Self { place: right, mask: right_mask, ..self })
    }
}

impl<T: Real> Part<'_, T> {
    /// Returns the number of elements.
    fn len(&self) -> usize {
        match &self.place {
            RowData::Reading(x) | RowData::To(x, _) => x.len(),
            RowData::InPlace(x) => x.len(),
        }
    }

    /// Returns the part without its destination.
    fn reading(&self) -> Part<'_, T> {
        let x = match &self.place {
            RowData::Reading(x) | RowData::To(x, _) => x,
            RowData::InPlace(x) => &**x,
        };
        Part { place: RowData::Reading(x), ..*self }
    }

    /// Returns the part, borrowed for a shorter time.
    fn reborrow(&mut self) -> Part<'_, T> {
        let place = match &mut self.place {
            RowData::Reading(x) => RowData::Reading(x),
            RowData::To(x, out) => RowData::To(x, out),
            RowData::InPlace(x) => RowData::InPlace(x),
        };
        Part { place, ..*self }
    }

    /// Returns the logits for a kernel.
    fn logits(&mut self) -> Logits<'_, T> {
        let x = match &mut self.place {
            RowData::Reading(x) => SrcDstRows::reading(one_row(x)),
            RowData::To(x, out) => SrcDstRows::new(one_row(x), one_row_mut(out)),
            RowData::InPlace(x) => SrcDstRows::in_place(one_row_mut(x)),
        };
        let (scale, masked_rows_are_zero) = (self.scale, self.masked_rows_are_zero);
        Logits { x, scale, mask: self.mask.map(one_row), row_lengths: RowLengths::ALL, masked_rows_are_zero }
    }
}

/// Views a slice as a matrix.
pub(super) fn one_row<T>(x: &[T]) -> MatRef<'_, T> {
    MatRef::new(x, 1, x.len()).expect("one row")
}

/// Views a slice as a matrix.
pub(super) fn one_row_mut<T>(x: &mut [T]) -> MatMut<'_, T> {
    let len = x.len();
    MatMut::new(x, 1, len).expect("one row")
}

/// The number of blocks of a row.
fn blocks_of(len: usize) -> usize {
    len.div_ceil(BLOCK_ELEMENTS)
}

/// Computes `f` of the parts of a row and of what belongs to their blocks.
fn each_part<T: Real, W: Bands>(road: Road, part: Part<'_, T>, of_blocks: W, f: impl Fn(Part<'_, T>, W) + Sync) {
    let shape = ((part.len() / BLOCK_ELEMENTS).max(1), BLOCK_ELEMENTS);
    road.each_band(shape, (part, of_blocks), |(part, of_blocks)| f(part, of_blocks));
}

/// Sums the exponentials of the blocks of a part.
fn sum_blocks<T: Real>(road: Road, part: Part<'_, T>, base: BlockBase<T>, store: bool, sums: &mut [BlockSum]) {
    each_part(road, part, sums, |mut part, sums| T::block_sums(road, part.logits(), base, store, sums));
}

/// Returns the sum of a row. Waves of blocks are summed one after another, each relative to the
/// base of the blocks before it. If a block does not fit the base, the rest of the wave is
/// discarded, and the next wave has one block. Waves grow with those that fit.
fn scan_row<T: Real>(road: Road, row: &Part<'_, T>) -> RowScan<T> {
    let len = row.len();
    let mut scan = T::scan_next_block(road, row.reading().logits(), None);
    let mut sums = vec![BlockSum::EMPTY; blocks_of(len)];
    let mut wave = 2 * rayon::current_num_threads() * (min_band_elements() / BLOCK_ELEMENTS).max(1);
    while scan.at() < len {
        let (_, rest) = row.reading().split_at_row(scan.at() / BLOCK_ELEMENTS);
        let blocks = wave.min(blocks_of(rest.len()));
        // A last block alone may be shorter than a vector: it is summed as a block of the row.
        if blocks == 1 {
            scan = T::scan_next_block(road, row.reading().logits(), Some(scan));
            wave = 2;
            continue;
        }
        let end = len.min(scan.at() + blocks * BLOCK_ELEMENTS);
        let part = if end < len { rest.split_at_row(blocks).0 } else { rest };
        let sums = &mut sums[..blocks];
        sum_blocks(road, part, BlockBase::Scanned(scan), false, sums);
        T::scan_blocks(road, row.reading().logits(), &mut scan, sums);
        wave = if scan.at() < end { 1 } else { 2 * wave };
    }
    scan
}

/// Writes the softmax of a row times `weight` and returns the sum of its exponentials. Returns
/// `None` if exponentials are stored, and no logit is finite or one is +inf: a row in place is then
/// unchanged, and another destination has no meaning yet.
fn softmax_row<T: Real>(road: Road, mut row: Part<'_, T>, weight: f64) -> Option<ExtSum<T>> {
    let mut way = T::softmax_way(road, row.reborrow().logits());
    let mut sums = vec![BlockSum::EMPTY; blocks_of(row.len())];
    let mut sum = None;
    if way == SoftmaxWay::Recompute {
        sum = Some(T::scanned_sum(road, scan_row(road, &row)));
    } else if way != SoftmaxWay::StoreStabilized {
        // The first block alone shows most rows that base 1 does not fit.
        let (mut first, _) = row.reading().split_at_row(1);
        T::block_sums(road, first.logits(), BlockBase::One, false, &mut sums[..1]);
        if T::sum_of_blocks(road, None, &sums[..1]).is_some() {
            let store = way == SoftmaxWay::Store;
            let part = if store { row.reborrow() } else { row.reading() };
            sum_blocks(road, part, BlockBase::One, store, &mut sums);
            sum = T::sum_of_blocks(road, None, &sums);
        }
    }
    if sum.is_none() {
        way = SoftmaxWay::StoreStabilized;
        let mut maxima = vec![T::infinity(); blocks_of(row.len())];
        each_part(road, row.reading(), &mut maxima[..], |mut part, maxima| {
            maxima.fill(T::part_maximum(road, part.logits()));
        });
        let maximum = maxima.into_iter().fold(-T::infinity(), |a, b| if b > a { b } else { a });
        if maximum.to_f64().is_infinite() {
            return None;
        }
        sum_blocks(road, row.reborrow(), BlockBase::Maximum(maximum), true, &mut sums);
        sum = T::sum_of_blocks(road, Some(maximum), &sums);
    }
    let sum = sum?;
    each_part(road, row, (), |mut part, ()| T::softmax_part(road, part.logits(), sum, weight, way));
    Some(sum)
}

/// A row of a matrix whose rows are shared.
pub(super) struct LongRow<'a, T> {
    /// Its index.
    pub(super) i: usize,
    /// The instruction set and the threads.
    road: Road,
    /// As in [`Logits`].
    scale: T,
    /// Its row of the mask.
    mask: Option<&'a [T]>,
    /// As in [`Logits`].
    masked_rows_are_zero: bool,
}

impl<'a, T: Real> Softmax<'a, T> {
    /// Computes `f` of every row if threads share each one. Returns whether they do.
    pub(super) fn each_long_row(&self, shape: (usize, usize), mut f: impl FnMut(LongRow<'a, T>)) -> bool {
        let Self { scale, mask, row_lengths, masked_rows_are_zero, road } = *self;
        let RowLengths { causal, lengths } = row_lengths;
        let shares = causal.is_none() && lengths.is_none() && road.shares_each_row(shape);
        for i in 0..if shares { shape.0 } else { 0 } {
            let mask = mask.map(|mask| mask.row(if mask.rows() == 1 { 0 } else { i }));
            f(LongRow { i, road, scale, mask, masked_rows_are_zero });
        }
        shares
    }
}

impl<'a, T: Real> LongRow<'a, T> {
    /// Returns the row with its elements and its destination.
    fn part<'b>(&self, place: RowData<'b, T>) -> Part<'b, T>
    where
        'a: 'b,
    {
        let Self { scale, mask, masked_rows_are_zero, .. } = *self;
        Part { place, scale, mask, masked_rows_are_zero }
    }

    /// Writes the softmax of the row.
    pub(super) fn softmax(&self, place: RowData<'_, T>) {
        let (road, mut row) = (self.road, self.part(place));
        if softmax_row(road, row.reborrow(), 1.0).is_none() {
            T::softmax_rows(road, row.logits());
        }
    }

    /// Writes the log-softmax of the row.
    pub(super) fn log_softmax(&self, place: RowData<'_, T>) {
        let (road, row) = (self.road, self.part(place));
        let scan = scan_row(road, &row);
        let (sum, len) = (T::scanned_logarithm(road, row.reading().logits(), scan, true), row.len());
        each_part(road, row, (), |mut part, ()| T::log_softmax_part(road, part.logits(), sum, len));
    }

    /// Returns the log-sum-exp of the row.
    pub(super) fn log_sum_exp(&self, x: &[T]) -> T {
        let (road, row) = (self.road, self.part(RowData::Reading(x)));
        let scan = scan_row(road, &row);
        T::log_sum_exp_of(road, T::scanned_logarithm(road, row.reading().logits(), scan, false))
    }

    /// Returns the loss of the row with the given class.
    pub(super) fn cross_entropy(&self, x: &[T], class: usize) -> T {
        if class == IGNORED {
            return T::zero();
        }
        let (road, row) = (self.road, self.part(RowData::Reading(x)));
        let scan = scan_row(road, &row);
        T::scanned_loss(road, row.reading().logits(), scan, class)
    }

    /// Writes the gradient of `weight` times the loss of the row with the given class, and the
    /// loss.
    pub(super) fn cross_entropy_gradient(&self, place: RowData<'_, T>, class: usize, weight: T, loss: &mut T) {
        let (road, mut row) = (self.road, self.part(place));
        let sum = match class {
            IGNORED => None,
            _ => softmax_row(road, row.reborrow(), T::folded_weight(road, weight)),
        };
        match sum {
            Some(sum) => T::gradient_of_row(road, row.logits(), sum, (class, weight), loss),
            None => {
                let losses = core::slice::from_mut(loss);
                T::cross_entropy_gradient_rows(road, row.logits(), &[class], weight, losses);
            }
        }
    }
}
