//! The scan of one row: the sum of its exponentials, a block at a time.

use super::base_one::{BaseOne, base_fits, may_fit_base_one};
use super::ext_sum::ExtSum;
use super::sum_exp::{BlockSum, block_sum_exp, second_look_block};
use super::tuning::BLOCK_ELEMENTS;
use crate::kernels::lanes::{Float, out_of_line};
use crate::kernels::math::exp::{Base, Exp, ExpLanes, Recorded};
use crate::kernels::rows::{Row, has_nan, maximum};

/// If no exponential is more than this share of the sum, the logarithm of the sum is more than 1
/// above the maximum. Differences from it then keep their accuracy; otherwise see
/// [`beside_max`](super::beside_max).
pub(super) const MAX_SHARE: f64 = 0.36;

/// Whether the bound of an exponential is more than [`MAX_SHARE`] of the sum.
#[inline(always)]
pub(super) fn may_dominate<T: Float>(bound: f64, sum: f64) -> bool {
    // In the precision of the type, as in a group.
    bound > T::from_f64(sum * MAX_SHARE).to_f64()
}

/// The sum of the exponentials of a row.
pub(super) struct RowSum<T> {
    /// The sum.
    pub(super) sum: ExtSum<T>,
    /// Whether one exponential may be more than [`MAX_SHARE`] of the sum. If one is, it is true.
    pub(super) may_dominate: bool,
    /// Whether [`Base::ONE`] was tried and does not fit the row, or the row has no sum.
    pub(super) failed_base_one: bool,
}

/// The sum of the blocks of a row that precede an element.
#[derive(Clone, Copy)]
#[allow(unnameable_types, unreachable_pub, reason = "an argument of an entry point")]
pub struct RowScan<T> {
    /// The sum.
    sum: ExtSum<T>,
    /// At least the largest exponential, relative to the base of the sum.
    bound: f64,
    /// The element: a multiple of [`BLOCK_ELEMENTS`], or the length of the row if that is summed or
    /// has no sum.
    pub(super) at: usize,
    /// See [`RowSum`].
    failed_base_one: bool,
}

impl<T> RowScan<T> {
    /// The number of elements that are summed.
    #[cfg(feature = "rayon")]
    pub(crate) fn at(&self) -> usize {
        self.at
    }
}

impl<T: Float> RowScan<T> {
    /// No block.
    pub(super) const START: Self = Self { sum: ExtSum::EMPTY, bound: 0.0, at: 0, failed_base_one: false };

    /// The base of the sum.
    #[cfg(feature = "rayon")]
    #[inline(always)]
    pub(super) fn base(&self) -> Base<T> {
        self.sum.base()
    }

    /// Ends the scan: the sum is NaN or infinite, or base 1 is required and does not fit.
    #[inline(always)]
    fn end(&mut self, sum: ExtSum<T>, len: usize) {
        *self = Self { sum, bound: 0.0, at: len, failed_base_one: true };
    }

    /// Sums the next block.
    #[inline(always)]
    pub(super) fn scan_block<L: ExpLanes<T>>(
        &mut self,
        l: L,
        exp: &Exp<L, T>,
        row: &mut impl Row<T>,
        base_one: BaseOne,
    ) {
        let end = row.len().min(self.at + BLOCK_ELEMENTS);
        let tries_base_one =
            self.sum.base() == Base::ONE && (self.at > 0 || base_one != BaseOne::Failed && may_fit_base_one(l, row));
        let block = if tries_base_one {
            block_sum_exp::<L, T, Recorded, false>(l, exp, row, self.at, end)
        } else if self.at == 0 {
            BlockSum::EMPTY
        } else {
            second_look_block(l, self.sum.base(), row, self.at, end)
        };
        self.add_block(l, row, block, tries_base_one, base_one);
    }

    /// Adds the next block, whose sum is relative to the base. If that does not fit, the block is
    /// summed again.
    #[inline(always)]
    pub(super) fn add_block<L: ExpLanes<T>>(
        &mut self,
        l: L,
        row: &mut impl Row<T>,
        mut block: BlockSum,
        tries_base_one: bool,
        base_one: BaseOne,
    ) {
        let (len, at) = (row.len(), self.at);
        let end = len.min(at + BLOCK_ELEMENTS);
        if !base_fits::<T>(block.high, self.sum.high()) {
            self.failed_base_one |= tries_base_one;
            if self.failed_base_one && base_one == BaseOne::Required {
                return self.end(ExtSum::NAN, len);
            }
            let max = maximum(l, row, at, end);
            if max == T::INFINITY {
                return self.end(if has_nan(l, row, at, len) { ExtSum::NAN } else { ExtSum::INFINITE }, len);
            }
            if max == T::NEG_INFINITY && has_nan(l, row, at, end) {
                return self.end(ExtSum::NAN, len);
            }
            if max > T::NEG_INFINITY {
                self.bound *= self.sum.rebase(Base::near(max));
                block = second_look_block(l, self.sum.base(), row, at, end);
            }
            if block.high.is_nan() {
                return self.end(ExtSum::NAN, len);
            }
        }
        self.sum.add(block.high, block.low);
        self.bound = self.bound.max(block.bound);
        self.at = end;
    }

    /// The sum of the row, of which all blocks are summed.
    #[inline(always)]
    pub(super) fn sum_of_row(&self) -> RowSum<T> {
        let may_dominate = may_dominate::<T>(self.bound, self.sum.high());
        RowSum { sum: self.sum, may_dominate, failed_base_one: self.failed_base_one }
    }
}

/// The sum of the exponentials of a row, out of line.
#[inline(always)]
pub(super) fn row_sum_exp<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>, base_one: BaseOne) -> RowSum<T> {
    let mut row = row.reborrow();
    out_of_line!(l, {
        let (exp, mut scan) = (Exp::for_sums_of_row(l), RowScan::START);
        while scan.at < row.len() {
            scan.scan_block(l, &exp, &mut row, base_one);
        }
        scan.sum_of_row()
    })
}
