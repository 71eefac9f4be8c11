//! The gradients of softmax and log-softmax.

use crate::check::{self, Shape};
use crate::dispatch::functions_and_isa_methods;
use crate::{Error, MatMut, MatRef};

functions_and_isa_methods! {
    /// Computes the gradient of a loss with respect to the logits of a softmax, given the softmax
    /// `y` and the gradient `dy` with respect to it: `dx[j] = y[j] * (dy[j] - sum_i y[i] * dy[i])`.
    ///
    /// - Accuracy: 5 EPSILON of `y[j] * (|dy[j]| + sum_i y[i] * |dy[i]|)`; any length.
    /// - Special values: `dx` is 0 where `y` is 0, as in masked entries, if all `dy` are finite.
    /// - Errors: [`Error::LengthMismatch`] if `dy` or `dx` and `y` differ in length; `dx` is then
    ///   unchanged.
    /// - Cost and source: 2 passes, the second over data in the cache; from the definition.
    ///
    /// ```
    /// // The loss is the probability of the first class.
    /// let (y, dy) = ([0.25_f64, 0.75], [1.0, 0.0]);
    /// let mut dx = [0.0; 2];
    /// mantex::softmax_backward(&y, &dy, &mut dx)?;
    /// assert_eq!(dx, [0.25 * 0.75, -0.25 * 0.75]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn softmax_backward(y: &[T], dy: &[T], dx: &mut [T]) -> Result<(), Error> |road| {
        check::length("dy", dy.len(), y.len())?;
        check::length("dx", dx.len(), y.len())?;
        let n = y.len();
        T::softmax_backward_rows(road, MatRef::new(y, 1, n)?, MatRef::new(dy, 1, n)?, MatMut::new(dx, 1, n)?);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the gradient of a loss with respect to the logits of a log-softmax, given the
    /// log-softmax `y` and the gradient `dy` with respect to it:
    /// `dx[j] = dy[j] - exp(y[j]) * sum_i dy[i]`.
    ///
    /// - Accuracy: 6 EPSILON of `|dy[j]| + exp(y[j]) * sum_i |dy[i]|`; any length. An exponential
    ///   below the smallest normal number may count as any number from 0 to the smallest normal
    ///   number.
    /// - Special values: `dx` is `dy` where `y` is -inf, if all `dy` are finite.
    /// - Errors: [`Error::LengthMismatch`] if `dy` or `dx` and `y` differ in length; `dx` is then
    ///   unchanged.
    /// - Cost and source: 1 exp per element; 2 passes, the second over data in the cache; from the
    ///   definition.
    ///
    /// ```
    /// // The loss is the negative log-likelihood of the first class.
    /// let (y, dy) = ([0.25_f64.ln(), 0.75_f64.ln()], [-1.0, 0.0]);
    /// let mut dx = [0.0; 2];
    /// mantex::log_softmax_backward(&y, &dy, &mut dx)?;
    /// assert!((dx[0] + 0.75).abs() < 1e-15 && (dx[1] - 0.75).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_softmax_backward(y: &[T], dy: &[T], dx: &mut [T]) -> Result<(), Error> |road| {
        check::length("dy", dy.len(), y.len())?;
        check::length("dx", dx.len(), y.len())?;
        let n = y.len();
        T::log_softmax_backward_rows(road, MatRef::new(y, 1, n)?, MatRef::new(dy, 1, n)?, MatMut::new(dx, 1, n)?);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the gradient of a loss with respect to the logits of a softmax, for every row of a
    /// matrix: `dx[i][j] = y[i][j] * (dy[i][j] - sum_k y[i][k] * dy[i][k])`.
    ///
    /// - Accuracy: as [`softmax_backward`].
    /// - Special values: as [`softmax_backward`], row by row.
    /// - Errors: [`Error::ShapeMismatch`] if `dy` or `dx` and `y` differ in shape; `dx` is then
    ///   unchanged.
    /// - Cost and source: as [`softmax_backward`].
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// let (y, dy) = ([0.25_f64, 0.75, 0.5, 0.5], [1.0, 0.0, 1.0, 0.0]);
    /// let (y, dy) = (MatRef::new(&y, 2, 2)?, MatRef::new(&dy, 2, 2)?);
    /// let mut dx = [0.0; 4];
    /// mantex::softmax_backward_rows(y, dy, MatMut::new(&mut dx, 2, 2)?)?;
    /// assert_eq!(dx, [0.1875, -0.1875, 0.25, -0.25]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn softmax_backward_rows(
        y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>
    ) -> Result<(), Error> |road| {
        check::shape("dy", &dy, y.shape())?;
        check::shape("dx", &dx, y.shape())?;
        if y.cols() > 0 {
            road.each_band(y.shape(), (y, dy, dx), |(y, dy, dx)| T::softmax_backward_rows(road, y, dy, dx));
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the gradient of a loss with respect to the logits of a log-softmax, for every row
    /// of a matrix: `dx[i][j] = dy[i][j] - exp(y[i][j]) * sum_k dy[i][k]`.
    ///
    /// - Accuracy: as [`log_softmax_backward`].
    /// - Special values: as [`log_softmax_backward`], row by row.
    /// - Errors: [`Error::ShapeMismatch`] if `dy` or `dx` and `y` differ in shape; `dx` is then
    ///   unchanged.
    /// - Cost and source: as [`log_softmax_backward`].
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// let (y, dy) = ([0.5_f64.ln(); 4], [-1.0, 0.0, 0.0, -1.0]);
    /// let (y, dy) = (MatRef::new(&y, 2, 2)?, MatRef::new(&dy, 2, 2)?);
    /// let mut dx = [0.0; 4];
    /// mantex::log_softmax_backward_rows(y, dy, MatMut::new(&mut dx, 2, 2)?)?;
    /// assert!((dx[0] + 0.5).abs() < 1e-15 && (dx[1] - 0.5).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_softmax_backward_rows(
        y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>
    ) -> Result<(), Error> |road| {
        check::shape("dy", &dy, y.shape())?;
        check::shape("dx", &dx, y.shape())?;
        if y.cols() > 0 {
            road.each_band(y.shape(), (y, dy, dx), |(y, dy, dx)| T::log_softmax_backward_rows(road, y, dy, dx));
        }
        Ok(())
    }
}
