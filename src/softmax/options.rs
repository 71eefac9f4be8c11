//! The builder of softmax over rows.

use crate::check::{self, Shape};
use crate::dispatch::Road;
use crate::kernels::softmax::Logits;
use crate::real::Element;
use crate::{Error, Isa, MatMut, MatRef, Real};

/// A builder for the softmax, log-softmax and log-sum-exp of rows of logits `scale * x + mask`.
///
/// - Accuracy: that of [`softmax_rows`], [`log_softmax_rows`] and [`log_sum_exp_rows`] for the
///   logits `scale * x + mask`. These are rounded to `T` once, on scalar twice: the product and the
///   sum.
/// - Special values: a logit is -inf where the mask is -inf, even if `x` is NaN or +inf. Other
///   logits are as in the [table](crate#special-values).
/// - Errors: [`Error::InvalidParameter`] if the scale is 0 or not finite; [`Error::ShapeMismatch`]
///   if the mask has neither the shape of `x` nor one row of its length; those of each method.
/// - Cost and source: as the functions without options, plus 1 read of the mask per pass.
///
/// ```
/// use mantex::{MatMut, MatRef, Softmax};
/// const MASKED: f32 = f32::NEG_INFINITY;
/// let scores = [1.0_f32, 3.0, 5.0, 7.0];
/// let causal = [0.0, MASKED, 0.0, 0.0];
/// let attention = Softmax::new().scale(0.5).mask(MatRef::new(&causal, 2, 2)?);
/// let mut p = [0.0; 4];
/// attention.rows(MatRef::new(&scores, 2, 2)?, MatMut::new(&mut p, 2, 2)?)?;
/// assert_eq!(p[..2], [1.0, 0.0]);
/// assert!((p[3] - 1.0 / (1.0 + (-1.0_f32).exp())).abs() < 1e-6);
/// # Ok::<(), mantex::Error>(())
/// ```
///
/// The compiler infers `T` from the options and the matrices. Where the builder is stored, its type
/// is `Softmax<'a, T>` with the lifetime of the mask, or `Softmax<'static, T>` without one.
///
/// [`softmax_rows`]: crate::softmax_rows
/// [`log_softmax_rows`]: crate::log_softmax_rows
/// [`log_sum_exp_rows`]: crate::log_sum_exp_rows
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder computes nothing until one of its methods over rows is called"]
pub struct Softmax<'a, T> {
    scale: T,
    mask: Option<MatRef<'a, T>>,
    masked_rows_are_zero: bool,
    isa: Option<Isa>,
}

impl<T: Real> Default for Softmax<'_, T> {
    fn default() -> Self {
        Self { scale: T::one(), mask: None, masked_rows_are_zero: false, isa: None }
    }
}

impl<'a, T: Real> Softmax<'a, T> {
    /// Returns the builder with scale 1, no mask, NaN for fully masked rows, and [`Isa::best`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the factor of the logits, for example 1 / temperature: finite and not 0.
    pub fn scale(self, scale: T) -> Self {
        Self { scale, ..self }
    }

    /// Sets the matrix that is added to the scaled logits: it has their shape, or one row that is
    /// added to every row. An entry of -inf masks a logit.
    pub fn mask(self, mask: MatRef<'a, T>) -> Self {
        Self { mask: Some(mask), ..self }
    }

    /// Sets the results of rows whose logits are all -inf, whether masked or given. With `true`
    /// their softmax is 0 and their log-softmax -inf; otherwise both are NaN.
    pub fn masked_rows_are_zero(self, yes: bool) -> Self {
        Self { masked_rows_are_zero: yes, ..self }
    }

    /// Sets the instruction set that runs instead of [`Isa::best`].
    pub fn isa(self, isa: Isa) -> Self {
        Self { isa: Some(isa), ..self }
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
    pub fn rows(&self, x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> {
        check::shape("out", &out, x.shape())?;
        let logits = self.logits(x)?;
        if x.cols() > 0 {
            T::softmax_rows(self.road(), logits, out);
        }
        Ok(())
    }

    /// Computes the softmax of every row in place, with the results of [`Softmax::rows`] to the
    /// bit.
    ///
    /// - Accuracy: as the [builder](Softmax).
    /// - Special values: as the [builder](Softmax).
    /// - Errors: as listed below; `x` is then unchanged.
    /// - Cost and source: as the [builder](Softmax), but rows of more than a vector take 2 exp per
    ///   element instead of 1, because their logits are needed again after the sum.
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
    pub fn rows_in_place(&self, x: MatMut<'_, T>) -> Result<(), Error> {
        let logits = self.logits(x)?;
        if logits.x.cols() > 0 {
            T::softmax_rows_in_place(self.road(), logits);
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
    pub fn log_rows(&self, x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> {
        check::shape("out", &out, x.shape())?;
        let logits = self.logits(x)?;
        if x.cols() > 0 {
            T::log_softmax_rows(self.road(), logits, out);
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
        T::log_sum_exp_rows(self.road(), self.logits(x)?, out);
        Ok(())
    }

    fn road(&self) -> Road {
        self.isa.into()
    }

    /// Checks the options. Returns the logits that they make of `x`.
    fn logits<M: Shape>(&self, x: M) -> Result<Logits<'a, T, M>, Error> {
        let scale = self.scale.to_f64();
        if !scale.is_finite() || scale == 0.0 {
            return Err(Error::InvalidParameter { argument: "scale", value: scale, expected: "finite and not 0" });
        }
        let (rows, cols) = x.shape();
        if let Some(mask) = self.mask
            && mask.shape() != (1, cols)
        {
            check::shape("mask", &mask, (rows, cols))?;
        }
        Ok(Logits { x, scale: self.scale, mask: self.mask, masked_rows_are_zero: self.masked_rows_are_zero })
    }
}
