//! Rows of logits with a scale and masks.

use super::row_groups::Rows;
use crate::kernels::lanes::{Float, Lanes};
use crate::kernels::math::exp::ExpLanes;
use crate::kernels::rows::{Row, SrcDst, SrcDstRows};
use crate::matrix::MatRef;

/// The columns of a row that are not masked by their position: the first ones. The others are never
/// read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowLengths<'a> {
    /// Row i ends after column i plus this offset.
    pub(crate) causal: Option<isize>,
    /// The lengths of the rows, each at most the number of columns.
    pub(crate) lengths: Option<&'a [usize]>,
}

impl RowLengths<'_> {
    /// All columns.
    pub(crate) const ALL: Self = Self { causal: None, lengths: None };

    /// The length of row `i` of a matrix.
    #[inline(always)]
    pub(crate) fn row_len(&self, i: usize, cols: usize) -> usize {
        let causal = self.causal.map_or(cols, |offset| (i + 1).saturating_add_signed(offset));
        self.lengths.map_or(cols, |lengths| lengths[i]).min(causal).min(cols)
    }
}

/// Rows of logits `scale * x + mask`, and the result of a fully masked row.
#[allow(unnameable_types, reason = "public only because it is an argument of an entry point")]
pub struct Logits<'a, T> {
    /// The unscaled logits, with the destinations of the rows.
    pub(crate) x: SrcDstRows<'a, T>,
    /// The scale, finite and not 0.
    pub(crate) scale: T,
    /// The mask: a matrix of the shape of `x`, or one row for all rows.
    pub(crate) mask: Option<MatRef<'a, T>>,
    /// The columns that are not masked by their position.
    pub(crate) row_lengths: RowLengths<'a>,
    /// Whether the softmax of a row of -inf is 0, and its logarithm -inf, instead of NaN.
    pub(crate) masked_rows_are_zero: bool,
}

impl<'a, T> Logits<'a, T> {
    /// The logits `x` themselves; `one` is 1.
    pub(crate) fn unmasked(x: SrcDstRows<'a, T>, one: T) -> Self {
        Self { x, scale: one, mask: None, row_lengths: RowLengths::ALL, masked_rows_are_zero: false }
    }
}

impl<'a, T: Float> Logits<'a, T> {
    /// The softmax and the loss of a row of -inf.
    #[inline(always)]
    pub(super) fn masked_softmax(&self) -> T {
        if self.masked_rows_are_zero { T::ZERO } else { T::NAN }
    }

    /// The log-softmax of a row of -inf.
    #[inline(always)]
    pub(super) fn masked_log_softmax(&self) -> T {
        if self.masked_rows_are_zero { T::NEG_INFINITY } else { T::NAN }
    }

    /// Whether no option changes the matrix itself: vectors have a faster loop for it. One lane
    /// multiplies by 1 instead: the same bits with half the code.
    #[inline(always)]
    pub(super) fn are_plain(&self) -> bool {
        let RowLengths { causal, lengths } = self.row_lengths;
        self.scale == T::ONE && self.mask.is_none() && causal.is_none() && lengths.is_none()
    }

    /// The mask of row `i`, as long as the row.
    #[inline(always)]
    fn mask_row(&self, i: usize) -> Option<SrcDst<'a, T>> {
        let mask = self.mask?;
        Some(SrcDst::reading(mask.row(if mask.rows() == 1 { 0 } else { i })).truncated(self.row_len(i)))
    }
}

impl<T: Float> Rows<T> for Logits<'_, T> {
    type Row<'a>
        = LogitRow<'a, T>
    where
        Self: 'a;
    #[inline(always)]
    fn shape(&self) -> (usize, usize) {
        self.x.shape()
    }
    #[inline(always)]
    fn is_in_place(&self) -> bool {
        self.x.is_in_place()
    }
    #[inline(always)]
    fn row_len(&self, i: usize) -> usize {
        self.row_lengths.row_len(i, self.shape().1)
    }
    #[inline(always)]
    fn read_row(&self, i: usize) -> LogitRow<'_, T> {
        LogitRow { x: self.x.read_row(i).truncated(self.row_len(i)), scale: self.scale, mask: self.mask_row(i) }
    }
    #[inline(always)]
    fn row_mut(&mut self, i: usize) -> LogitRow<'_, T> {
        let (len, mask, scale) = (self.row_len(i), self.mask_row(i), self.scale);
        LogitRow { x: self.x.row_mut(i).truncated(len), scale, mask }
    }
    #[inline(always)]
    fn dst_and_masked(&mut self, i: usize) -> (&mut [T], &mut [T]) {
        let len = self.row_len(i);
        self.x.row_mut(i).into_dst().split_at_mut(len)
    }
    #[inline(always)]
    fn reborrow(&mut self) -> impl Rows<T> {
        Logits { x: self.x.shorten(), ..*self }
    }
}

/// A row of logits `scale * x + mask`, rounded once if the instruction set has a fused
/// multiply-add. If an element of the mask is -inf, so is the logit, even if x is NaN or +inf.
pub(crate) struct LogitRow<'a, T> {
    /// The unscaled logits, and the destination.
    x: SrcDst<'a, T>,
    /// The scale.
    scale: T,
    /// The row of the mask.
    mask: Option<SrcDst<'a, T>>,
}

impl<T: Float> LogitRow<'_, T> {
    /// The logits of the vector `x`; `mask` loads its elements of the mask.
    #[inline(always)]
    fn logits<L: Lanes<T>>(&self, l: L, x: L::V, mask: impl FnOnce(&SrcDst<'_, T>) -> L::V) -> L::V {
        let scale = l.splat(self.scale);
        match &self.mask {
            None => l.quiet_mul(x, scale),
            Some(m) => {
                let m = mask(m);
                let masked = l.lt(m, l.splat(T::MIN));
                l.select(masked, m, l.quiet_mul_add(x, scale, m))
            }
        }
    }
}

impl<T: Float> Row<T> for LogitRow<'_, T> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.x.len()
    }
    #[inline(always)]
    fn load_in_flight<L: ExpLanes<T>>(&self, l: L, at: usize) -> [L::V; 4] {
        const { assert!(L::IN_FLIGHT <= 4, "the array holds four vectors") }
        let mut v = [l.splat(T::ZERO); 4];
        for (i, v) in v[..L::IN_FLIGHT].iter_mut().enumerate() {
            *v = self.load(l, at + i * L::N);
        }
        v
    }
    #[inline(always)]
    fn load<L: Lanes<T>>(&self, l: L, at: usize) -> L::V {
        self.logits(
            l,
            self.x.load(l, at),
            #[inline(always)]
            |mask| mask.load(l, at),
        )
    }
    #[inline(always)]
    fn load_tail<L: Lanes<T>>(&self, l: L, at: usize, end: usize) -> L::V {
        // Times the scale, the fill is -inf.
        let fill = if self.scale < T::ZERO { T::INFINITY } else { T::NEG_INFINITY };
        self.logits(
            l,
            l.load_tail(&self.x.src()[at..end], fill),
            #[inline(always)]
            |mask| l.load_tail(&mask.src()[at..end], T::ZERO),
        )
    }
    #[inline(always)]
    fn prefetch<L: Lanes<T>>(&self, l: L, at: usize) {
        self.x.prefetch(l, at);
    }
    #[inline(always)]
    fn dst(&mut self) -> &mut [T] {
        self.x.dst()
    }
    #[inline(always)]
    fn is_in_place(&self) -> bool {
        self.x.is_in_place()
    }
    #[inline(always)]
    fn reborrow(&mut self) -> impl Row<T> {
        let mask = self.mask.as_mut().map(SrcDst::shorten);
        LogitRow { x: self.x.shorten(), scale: self.scale, mask }
    }
}
