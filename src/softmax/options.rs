//! The builder of softmax over rows.

#![cfg_attr(not(feature = "rayon"), allow(unused_mut, reason = "only long rows are written here"))]

#[cfg(feature = "rayon")]
use super::long_rows::RowData;
use crate::bands::Bands;
use crate::check::{self, Shape};
use crate::dispatch::Road;
use crate::kernels::softmax::{Logits, RowLengths, SrcDstRows};
use crate::real::Element;
use crate::{Error, Isa, MatMut, MatRef, Real};

/// A builder for the softmax, log-softmax, log-sum-exp and cross-entropy of rows of logits
/// `z = scale * x + mask`.
///
/// - Accuracy: that of [`softmax_rows`], [`log_softmax_rows`], [`log_sum_exp_rows`] and
///   [`cross_entropy_rows`] for the logits `z`. These are rounded to `T` once, on scalar twice: the
///   product and the sum.
/// - Special values: a logit is -inf where the mask is -inf, even if `x` is NaN or +inf, and in the
///   columns that [`causal`](Self::causal) or [`lengths`](Self::lengths) mask. Other logits are as
///   in the [table](crate#special-values), after the scale and the mask: a finite sum that
///   overflows to -inf masks its entry, too.
/// - Errors: [`Error::InvalidParameter`] if the scale is 0 or not finite; [`Error::ShapeMismatch`]
///   if the mask has neither the shape of `x` nor one row of its length;
///   [`Error::LengthMismatch`] if there is not one length per row; [`Error::InvalidElement`] if a
///   length exceeds the number of columns; those of each method.
/// - Cost and source: as the functions without options, plus 1 read of the mask per pass. What
///   `causal` or `lengths` mask is neither read nor computed, only written.
///
/// ```
/// use mantex::{MatMut, MatRef, Softmax};
/// let scores = [1.0_f32, 3.0, 5.0, 7.0];
/// let attention = Softmax::new().scale(0.5).causal(0);
/// let mut p = [0.0; 4];
/// attention.rows(MatRef::new(&scores, 2, 2)?, MatMut::new(&mut p, 2, 2)?)?;
/// assert_eq!(p[..2], [1.0, 0.0]);
/// assert!((p[3] - 1.0 / (1.0 + (-1.0_f32).exp())).abs() < 1e-6);
/// # Ok::<(), mantex::Error>(())
/// ```
///
/// The compiler infers `T` from the options and the matrices. To store the builder, give it the
/// type `Softmax<'a, T>` with the lifetime of the mask and the lengths, or `Softmax<'static, T>`
/// without them.
///
/// [`softmax_rows`]: crate::softmax_rows
/// [`log_softmax_rows`]: crate::log_softmax_rows
/// [`log_sum_exp_rows`]: crate::log_sum_exp_rows
/// [`cross_entropy_rows`]: crate::cross_entropy_rows
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder computes nothing until one of its methods over rows is called"]
pub struct Softmax<'a, T> {
    pub(super) scale: T,
    pub(super) mask: Option<MatRef<'a, T>>,
    pub(super) row_lengths: RowLengths<'a>,
    pub(super) masked_rows_are_zero: bool,
    pub(super) road: Road,
}

impl<T: Real> Default for Softmax<'_, T> {
    fn default() -> Self {
        Self {
            scale: T::one(),
            mask: None,
            row_lengths: RowLengths::ALL,
            masked_rows_are_zero: false,
            road: Road::BEST,
        }
    }
}

impl<'a, T: Real> Softmax<'a, T> {
    /// Returns the builder without options on a road.
    #[cfg(feature = "rayon")]
    pub(super) fn on(road: Road) -> Self {
        Self { road, ..Self::new() }
    }

    /// Returns the builder with scale 1, no masks, NaN for fully masked rows, and [`Isa::best`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the factor of the logits, for example 1 / temperature: finite and not 0.
    ///
    /// A product that overflows to -inf masks its entry: with a scale of 2, the `f32` logit -3e38
    /// counts as -inf. One that overflows to +inf makes the row NaN.
    pub fn scale(self, scale: T) -> Self {
        Self { scale, ..self }
    }

    /// Sets the matrix that is added to the scaled logits: it has their shape, or one row that is
    /// added to every row. An entry of -inf masks a logit, whatever the logit is.
    ///
    /// A finite entry masks nothing by itself: it is added. If the sum overflows to -inf, the entry
    /// is masked: the `f32` score `f32::MIN` with the mask `f32::MIN` counts as -inf, and a row of
    /// such sums is fully masked. With the mask `f32::MIN` and moderate scores, every sum is about
    /// `f32::MIN`: a row of them is not masked, but has a softmax, which is nearly uniform.
    pub fn mask(self, mask: MatRef<'a, T>) -> Self {
        Self { mask: Some(mask), ..self }
    }

    /// Masks the columns after `i + offset` in every row `i`, without a matrix: a query sees the
    /// keys up to its own position. The offset is 0 if rows and columns begin at the same
    /// position. If the rows are the last queries of a longer sequence of keys, it is the number of
    /// columns minus the number of rows. If it is below 0, the first rows are fully masked.
    ///
    /// The results are those of a mask of -inf in these columns: 0 in a softmax and in a gradient,
    /// -inf in a log-softmax, and NaN in a row that has no softmax. The columns are not read.
    pub fn causal(self, offset: isize) -> Self {
        Self { row_lengths: RowLengths { causal: Some(offset), ..self.row_lengths }, ..self }
    }

    /// Masks all but the first `lengths[i]` columns in every row `i`, without a matrix: for rows
    /// that are padded to one length. There is one length per row, each at most the number of
    /// columns; a row of length 0 is fully masked.
    ///
    /// The results are those of a mask of -inf in these columns, as with
    /// [`causal`](Self::causal). Together, both options mask what either masks.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef, Softmax};
    /// let padded = [1.0_f64, 1.0, f64::NAN, 5.0, f64::NAN, f64::NAN];
    /// let mut p = [0.0; 6];
    /// let (x, out) = (MatRef::new(&padded, 2, 3)?, MatMut::new(&mut p, 2, 3)?);
    /// Softmax::new().lengths(&[2, 1]).rows(x, out)?;
    /// assert_eq!(p, [0.5, 0.5, 0.0, 1.0, 0.0, 0.0]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn lengths(self, lengths: &'a [usize]) -> Self {
        Self { row_lengths: RowLengths { lengths: Some(lengths), ..self.row_lengths }, ..self }
    }

    /// Sets the results of rows whose logits are all -inf, whether masked or given. With `true`
    /// such rows count for nothing: softmax, losses and gradients are 0, and log-softmax is -inf.
    /// Otherwise all of these are NaN.
    pub fn masked_rows_are_zero(self, yes: bool) -> Self {
        Self { masked_rows_are_zero: yes, ..self }
    }

    /// Sets the instruction set that runs instead of [`Isa::best`].
    pub fn isa(self, isa: Isa) -> Self {
        Self { road: self.road.with_isa(isa), ..self }
    }

    /// Sets whether the threads of rayon's current pool share the rows, and each of a few long rows
    /// without [`causal`](Self::causal) and [`lengths`](Self::lengths). The results have the same
    /// bits.
    #[cfg(feature = "rayon")]
    pub fn parallel(self, yes: bool) -> Self {
        Self { road: self.road.with_threads(yes), ..self }
    }

    /// Computes the softmax of every row: `out[i][j] = exp(z[i][j]) / sum_k exp(z[i][k])` with
    /// `z = scale * x + mask`.
    ///
    /// - Accuracy: as the [builder](Softmax).
    /// - Special values: as the [builder](Softmax).
    /// - Errors: as listed below; `out` is then unchanged.
    /// - Cost and source: as the [builder](Softmax).
    ///
    /// # Errors
    /// - [`Error::ShapeMismatch`] if `out` and `x` differ in shape.
    /// - Those of the options (see [`Softmax`]).
    pub fn rows(&self, x: MatRef<'_, T>, mut out: MatMut<'_, T>) -> Result<(), Error> {
        check::shape("out", &out, x.shape())?;
        self.check(x.shape())?;
        #[cfg(feature = "rayon")]
        if self.each_long_row(x.shape(), |row| row.softmax(RowData::To(x.row(row.i), out.row_mut(row.i)))) {
            return Ok(());
        }
        if x.cols() > 0 {
            self.road.each_band(x.shape(), (*self, x, out), |(options, x, out)| {
                T::softmax_rows(self.road, options.logits(SrcDstRows::new(x, out)));
            });
        }
        Ok(())
    }

    /// Computes the softmax of every row in place, with the results of [`Softmax::rows`] to the
    /// bit.
    ///
    /// - Accuracy: as the [builder](Softmax).
    /// - Special values: as the [builder](Softmax).
    /// - Errors: as listed below; `x` is then unchanged.
    /// - Cost and source: as the [builder](Softmax), and as
    ///   [`softmax_in_place`](crate::softmax_in_place).
    ///
    /// ```
    /// use mantex::{MatMut, Softmax};
    /// let mut x = [5.0_f64, 5.0, 0.0, f64::NEG_INFINITY];
    /// Softmax::new().rows_in_place(MatMut::new(&mut x, 2, 2)?)?;
    /// assert_eq!(x, [0.5, 0.5, 1.0, 0.0]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the options (see [`Softmax`]).
    pub fn rows_in_place(&self, mut x: MatMut<'_, T>) -> Result<(), Error> {
        self.check(x.shape())?;
        #[cfg(feature = "rayon")]
        if self.each_long_row(x.shape(), |row| row.softmax(RowData::InPlace(x.row_mut(row.i)))) {
            return Ok(());
        }
        if x.cols() > 0 {
            self.road.each_band(x.shape(), (*self, x), |(options, x)| {
                T::softmax_rows(self.road, options.logits(SrcDstRows::in_place(x)));
            });
        }
        Ok(())
    }

    /// Computes the log-softmax of every row in place, with the results of [`Softmax::log_rows`] to
    /// the bit.
    ///
    /// - Accuracy: as the [builder](Softmax).
    /// - Special values: as the [builder](Softmax).
    /// - Errors: as listed below; `x` is then unchanged.
    /// - Cost and source: as the [builder](Softmax).
    ///
    /// # Errors
    /// Those of the options (see [`Softmax`]).
    pub fn log_rows_in_place(&self, mut x: MatMut<'_, T>) -> Result<(), Error> {
        self.check(x.shape())?;
        #[cfg(feature = "rayon")]
        if self.each_long_row(x.shape(), |row| row.log_softmax(RowData::InPlace(x.row_mut(row.i)))) {
            return Ok(());
        }
        if x.cols() > 0 {
            self.road.each_band(x.shape(), (*self, x), |(options, x)| {
                T::log_softmax_rows(self.road, options.logits(SrcDstRows::in_place(x)));
            });
        }
        Ok(())
    }

    /// Computes the log-softmax of every row: `out[i][j] = z[i][j] - ln(sum_k exp(z[i][k]))` with
    /// `z = scale * x + mask`.
    ///
    /// - Accuracy: as the [builder](Softmax).
    /// - Special values: as the [builder](Softmax).
    /// - Errors: as listed below; `out` is then unchanged.
    /// - Cost and source: as the [builder](Softmax).
    ///
    /// # Errors
    /// - [`Error::ShapeMismatch`] if `out` and `x` differ in shape.
    /// - Those of the options (see [`Softmax`]).
    pub fn log_rows(&self, x: MatRef<'_, T>, mut out: MatMut<'_, T>) -> Result<(), Error> {
        check::shape("out", &out, x.shape())?;
        self.check(x.shape())?;
        #[cfg(feature = "rayon")]
        if self.each_long_row(x.shape(), |row| row.log_softmax(RowData::To(x.row(row.i), out.row_mut(row.i)))) {
            return Ok(());
        }
        if x.cols() > 0 {
            self.road.each_band(x.shape(), (*self, x, out), |(options, x, out)| {
                T::log_softmax_rows(self.road, options.logits(SrcDstRows::new(x, out)));
            });
        }
        Ok(())
    }

    /// Computes the log-sum-exp of every row: `out[i] = ln(sum_j exp(z[i][j]))` with
    /// `z = scale * x + mask`.
    ///
    /// - Accuracy: as the [builder](Softmax).
    /// - Special values: as the [builder](Softmax); a fully masked row gives -inf.
    /// - Errors: as listed below; `out` is then unchanged.
    /// - Cost and source: as the [builder](Softmax).
    ///
    /// # Errors
    /// - [`Error::LengthMismatch`] if `out` does not have one element per row of `x`.
    /// - Those of the options (see [`Softmax`]).
    pub fn log_sum_exp_rows(&self, x: MatRef<'_, T>, out: &mut [T]) -> Result<(), Error> {
        check::length("out", out.len(), x.rows())?;
        self.check(x.shape())?;
        #[cfg(feature = "rayon")]
        if self.each_long_row(x.shape(), |row| out[row.i] = row.log_sum_exp(x.row(row.i))) {
            return Ok(());
        }
        self.road.each_band(x.shape(), (*self, x, out), |(options, x, out)| {
            T::log_sum_exp_rows(self.road, options.logits(SrcDstRows::reading(x)), out);
        });
        Ok(())
    }

    /// Checks the options for logits of the given shape.
    pub(super) fn check(&self, (rows, cols): (usize, usize)) -> Result<(), Error> {
        let scale = self.scale.to_f64();
        if !scale.is_finite() || scale == 0.0 {
            return Err(Error::InvalidParameter { argument: "scale", value: scale, expected: "finite and not 0" });
        }
        if let Some(mask) = self.mask
            && mask.shape() != (1, cols)
        {
            check::shape("mask", &mask, (rows, cols))?;
        }
        if let Some(lengths) = self.row_lengths.lengths {
            check::length("lengths", lengths.len(), rows)?;
            if let Some(row) = lengths.iter().position(|&len| len > cols) {
                let (value, expected) = (lengths[row] as f64, "at most the number of columns");
                return Err(Error::InvalidElement { argument: "lengths", row, col: 0, value, expected });
            }
        }
        Ok(())
    }

    /// Returns the logits that the options make of `x`.
    pub(super) fn logits<'b>(&self, x: SrcDstRows<'b, T>) -> Logits<'b, T>
    where
        'a: 'b,
    {
        let Self { scale, mask, row_lengths, masked_rows_are_zero, .. } = *self;
        Logits { x, scale, mask, row_lengths, masked_rows_are_zero }
    }
}

/// The options of the rows.
impl<T: Real> Bands for Softmax<'_, T> {
    fn split_at_row(self, row: usize) -> (Self, Self) {
        let RowLengths { causal, lengths } = self.row_lengths;
        // One row is the mask of every row.
        let (top_mask, bottom_mask) = match self.mask {
            Some(mask) if mask.rows() > 1 => {
                let (top, bottom) = mask.split_at_row(row);
                (Some(top), Some(bottom))
            }
            mask => (mask, mask),
        };
        let (top_lengths, bottom_lengths) = lengths.map(|lengths| lengths.split_at(row)).unzip();
        let bottom_causal = causal.map(|offset| offset.saturating_add_unsigned(row));
        (
            Self { mask: top_mask, row_lengths: RowLengths { causal, lengths: top_lengths }, ..self },
            Self {
                mask: bottom_mask,
                row_lengths: RowLengths { causal: bottom_causal, lengths: bottom_lengths },
                ..self
            },
        )
    }
}
