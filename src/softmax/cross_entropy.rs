//! Cross-entropy of rows with known classes, alone or with its gradient.

#![cfg_attr(not(feature = "rayon"), allow(unused_mut, reason = "only long rows are written here"))]

#[cfg(feature = "rayon")]
use super::long_rows::RowData;
use super::options::Softmax;
use crate::check::{self, Shape};
use crate::dispatch::functions_and_isa_methods;
use crate::kernels::softmax::{self as kernels, Logits, SrcDstRows};
use crate::real::Element;
use crate::{Error, MatMut, MatRef, Real};

/// The class of a row that counts for nothing: its loss is 0, and so is its gradient, whatever the
/// logits. It marks, for example, padding and prompts.
pub const IGNORED: usize = kernels::IGNORED;

/// Fails unless every row has a class and a loss, and every class is a column or [`IGNORED`].
pub(super) fn check_classes<T>(logits: &MatRef<'_, T>, classes: &[usize], losses: &[T]) -> Result<(), Error> {
    check::length("classes", classes.len(), logits.rows())?;
    check::length("losses", losses.len(), logits.rows())?;
    match classes.iter().position(|&class| class >= logits.cols() && class != IGNORED) {
        Some(row) => Err(Error::ClassOutOfRange { row, class: classes[row], classes: logits.cols() }),
        None => Ok(()),
    }
}

/// Fails unless the weight of the losses is finite.
pub(super) fn check_weight<T: Element>(weight: T) -> Result<(), Error> {
    let value = weight.to_f64();
    if value.is_finite() {
        Ok(())
    } else {
        Err(Error::InvalidParameter { argument: "weight", value, expected: "finite" })
    }
}

functions_and_isa_methods! {
    /// Computes the cross-entropy of the softmax of every row with the class of the row:
    /// `losses[i] = ln(sum_k exp(logits[i][k])) - logits[i][classes[i]]`.
    ///
    /// - Accuracy: 2 ulp of the result at any size and any length, also under a large common offset
    ///   of the logits. Losses are never below 0, and +0 for a single class.
    /// - Special values: as in the [table](crate#special-values); 0 if the class is [`IGNORED`].
    /// - Errors: as listed below; `losses` is then unchanged.
    /// - Cost and source: 1 exp and 1 read per element, 2 in rows with a loss below 1, which is
    ///   then computed as in [`log_softmax`](crate::log_softmax).
    ///
    /// [`Softmax`](crate::Softmax) adds a scale, masks, and losses of 0 for fully masked rows.
    ///
    /// ```
    /// use mantex::MatRef;
    /// let logits = [0.0_f64, 0.0, 1e6, 0.0];
    /// let mut losses = [0.0; 2];
    /// mantex::cross_entropy_rows(MatRef::new(&logits, 2, 2)?, &[1, 0], &mut losses)?;
    /// assert!((losses[0] - 2.0_f64.ln()).abs() < 1e-15 && losses[1] == 0.0);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::LengthMismatch`] if `classes` or `losses` does not have one element per row.
    /// - [`Error::ClassOutOfRange`] if a class is neither a column nor [`IGNORED`].
    fn cross_entropy_rows(
        logits: MatRef<'_, T>, classes: &[usize], losses: &mut [T]
    ) -> Result<(), Error> |road| {
        check_classes(&logits, classes, losses)?;
        #[cfg(feature = "rayon")]
        if road.shares_each_row(logits.shape()) {
            return Softmax::on(road).cross_entropy_rows(logits, classes, losses);
        }
        road.each_band(logits.shape(), (logits, classes, losses), |(logits, classes, losses)| {
            let rows = SrcDstRows::reading(logits);
            T::cross_entropy_rows(road, Logits::unmasked(rows, T::one()), classes, losses);
        });
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes [`cross_entropy_rows`], and the gradient of `weight` times the sum of the losses
    /// with respect to the logits:
    /// `gradient[i][j] = weight * (softmax(logits_i)[j] - (j == classes[i]))`. For the mean of the
    /// losses, `weight` is 1 / rows.
    ///
    /// - Accuracy: the losses as [`cross_entropy_rows`]; the gradient 5 ulp of
    ///   `weight * softmax(logits_i)[j]` if this product is a normal number and the softmax is at
    ///   least 2^-100 (f64: 2^-996); in the column of the class 4 ulp of the result at any size of
    ///   which the loss is a normal `f64`.
    /// - Special values: the losses as [`cross_entropy_rows`]; the gradient NaN in the whole row if
    ///   it has no softmax (see the [table](crate#special-values)); both 0 if the class is
    ///   [`IGNORED`].
    /// - Errors: as listed below; `losses` and `gradient` are then unchanged.
    /// - Cost and source: as [`softmax_rows`](crate::softmax_rows), whose exponentials both results
    ///   share; from the definition.
    ///
    /// For the mean over the rows that are not [`IGNORED`], count them and divide.
    /// [`Softmax`](crate::Softmax) adds options as for [`cross_entropy_rows`].
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// let logits = [0.0_f32, 0.0, 0.0, 0.0];
    /// let (mut losses, mut gradient) = ([0.0; 2], [0.0; 4]);
    /// let (x, g) = (MatRef::new(&logits, 2, 2)?, MatMut::new(&mut gradient, 2, 2)?);
    /// mantex::cross_entropy_gradient_rows(x, &[1, 0], 0.5, &mut losses, g)?;
    /// assert_eq!(gradient, [0.25, -0.25, -0.25, 0.25]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::LengthMismatch`] and [`Error::ClassOutOfRange`] as [`cross_entropy_rows`].
    /// - [`Error::ShapeMismatch`] if `gradient` and `logits` differ in shape.
    /// - [`Error::InvalidParameter`] if `weight` is not finite.
    fn cross_entropy_gradient_rows(
        logits: MatRef<'_, T>, classes: &[usize], weight: T, losses: &mut [T], gradient: MatMut<'_, T>
    ) -> Result<(), Error> |road| {
        check_classes(&logits, classes, losses)?;
        check::shape("gradient", &gradient, logits.shape())?;
        check_weight(weight)?;
        #[cfg(feature = "rayon")]
        if road.shares_each_row(logits.shape()) {
            return Softmax::on(road).cross_entropy_gradient_rows(logits, classes, weight, losses, gradient);
        }
        let work = (logits, classes, losses, gradient);
        road.each_band(logits.shape(), work, |(logits, classes, losses, gradient)| {
            let rows = Logits::unmasked(SrcDstRows::new(logits, gradient), T::one());
            T::cross_entropy_gradient_rows(road, rows, classes, weight, losses);
        });
        Ok(())
    }
}

impl<T: Real> Softmax<'_, T> {
    /// Computes the cross-entropy of the softmax of every row with the class of the row:
    /// `losses[i] = ln(sum_k exp(z[i][k])) - z[i][classes[i]]` with `z = scale * x + mask`.
    ///
    /// - Accuracy: as the [builder](Softmax).
    /// - Special values: as the [builder](Softmax): +inf if the class is masked, unless the row is
    ///   fully masked; 0 if the class is [`IGNORED`](crate::IGNORED).
    /// - Errors: as listed below; `losses` is then unchanged.
    /// - Cost and source: as the [builder](Softmax).
    ///
    /// ```
    /// use mantex::{IGNORED, MatRef, Softmax};
    /// let logits = [0.0_f64, 0.0, 0.0, 3.0, 3.0, 3.0];
    /// let mut losses = [0.0; 2];
    /// let counted = Softmax::new().lengths(&[2, 0]).masked_rows_are_zero(true);
    /// counted.cross_entropy_rows(MatRef::new(&logits, 2, 3)?, &[1, IGNORED], &mut losses)?;
    /// assert_eq!(losses, [2.0_f64.ln(), 0.0]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// - Those of [`cross_entropy_rows`](crate::cross_entropy_rows).
    /// - Those of the options (see [`Softmax`]).
    pub fn cross_entropy_rows(&self, x: MatRef<'_, T>, classes: &[usize], losses: &mut [T]) -> Result<(), Error> {
        check_classes(&x, classes, losses)?;
        self.check(x.shape())?;
        #[cfg(feature = "rayon")]
        if self.each_long_row(x.shape(), |row| losses[row.i] = row.cross_entropy(x.row(row.i), classes[row.i])) {
            return Ok(());
        }
        self.road.each_band(x.shape(), (*self, x, classes, losses), |(options, x, classes, losses)| {
            T::cross_entropy_rows(self.road, options.logits(SrcDstRows::reading(x)), classes, losses);
        });
        Ok(())
    }

    /// Computes [`Softmax::cross_entropy_rows`], and the gradient of `weight` times the sum of the
    /// losses with respect to the logits z:
    /// `gradient[i][j] = weight * (softmax(z_i)[j] - (j == classes[i]))`. The gradient with respect
    /// to `x` is `scale` times that: multiply the weight by it.
    ///
    /// - Accuracy: the losses as the [builder](Softmax); the gradient as
    ///   [`cross_entropy_gradient_rows`](crate::cross_entropy_gradient_rows).
    /// - Special values: as [`Softmax::cross_entropy_rows`]; in a row with a softmax, the gradient
    ///   of a masked entry is 0, or `-weight` if it is the class.
    /// - Errors: as listed below; `losses` and `gradient` are then unchanged.
    /// - Cost and source: as the [builder](Softmax).
    ///
    /// # Errors
    /// - Those of [`cross_entropy_gradient_rows`](crate::cross_entropy_gradient_rows).
    /// - Those of the options (see [`Softmax`]).
    pub fn cross_entropy_gradient_rows(
        &self,
        x: MatRef<'_, T>,
        classes: &[usize],
        weight: T,
        losses: &mut [T],
        mut gradient: MatMut<'_, T>,
    ) -> Result<(), Error> {
        check_classes(&x, classes, losses)?;
        check::shape("gradient", &gradient, x.shape())?;
        check_weight(weight)?;
        self.check(x.shape())?;
        #[cfg(feature = "rayon")]
        if self.each_long_row(x.shape(), |row| {
            let (i, place) = (row.i, RowData::To(x.row(row.i), gradient.row_mut(row.i)));
            row.cross_entropy_gradient(place, classes[i], weight, &mut losses[i]);
        }) {
            return Ok(());
        }
        let work = ((*self, x), classes, losses, gradient);
        self.road.each_band(x.shape(), work, |((options, x), classes, losses, gradient)| {
            let rows = options.logits(SrcDstRows::new(x, gradient));
            T::cross_entropy_gradient_rows(self.road, rows, classes, weight, losses);
        });
        Ok(())
    }
}
