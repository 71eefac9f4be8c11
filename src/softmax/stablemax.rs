//! StableMax, its logarithm, and their gradients.

use crate::check::{self, Shape};
use crate::dispatch::functions_and_isa_methods;
use crate::{Error, MatMut, MatRef};

functions_and_isa_methods! {
    /// Computes the StableMax of a slice: `out[i] = s(x[i]) / sum_j s(x[j])` with `s(x) = 1 + x`
    /// for x >= 0 and `s(x) = 1 / (1 - x)` for x < 0.
    ///
    /// - Accuracy: 4 ulp for normal results; smaller results have an absolute error of at most the
    ///   smallest normal number; any length.
    /// - Special values: as softmax in the [table](crate#special-values); an empty slice is a
    ///   no-op.
    /// - Errors: [`Error::LengthMismatch`] if `out` and `x` differ in length; `out` is then
    ///   unchanged.
    /// - Cost and source: 2 passes without exp, 3 if the sum is outside of 2^-80..2^80 (f64:
    ///   2^-640..2^640); Prieto et al. 2025, "Grokking at the Edge of Numerical Stability".
    ///
    /// ```
    /// let mut p = [0.0_f32; 4];
    /// mantex::stablemax(&[2.0, 0.0, -1.0, f32::NEG_INFINITY], &mut p)?;
    /// assert!((p[0] - 3.0 / 4.5).abs() < 1e-6 && (p[2] - 0.5 / 4.5).abs() < 1e-6 && p[3] == 0.0);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn stablemax(x: &[T], out: &mut [T]) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.len())?;
        T::stablemax_rows(road, MatRef::new(x, 1, x.len())?, MatMut::new(out, 1, x.len())?);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the logarithm of the [`stablemax`] of a slice:
    /// `out[i] = ±ln(1 + |x[i]|) - ln(sum_j s(x[j]))`, with the sign of `x[i]`.
    ///
    /// - Accuracy: 4 ulp of the larger of 1 and the result; any length.
    /// - Special values: as log-softmax in the [table](crate#special-values); an empty slice is a
    ///   no-op.
    /// - Errors: [`Error::LengthMismatch`] if `out` and `x` differ in length; `out` is then
    ///   unchanged.
    /// - Cost and source: 1 logarithm per element, otherwise as [`stablemax`].
    ///
    /// ```
    /// let mut y = [0.0_f64; 2];
    /// mantex::log_stablemax(&[f64::MIN, f64::MIN], &mut y)?;
    /// assert!((y[0] + 2.0_f64.ln()).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_stablemax(x: &[T], out: &mut [T]) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.len())?;
        T::log_stablemax_rows(road, MatRef::new(x, 1, x.len())?, MatMut::new(out, 1, x.len())?);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the [`stablemax`] of every row of a matrix:
    /// `out[i][j] = s(x[i][j]) / sum_k s(x[i][k])`.
    ///
    /// - Accuracy: as [`stablemax`].
    /// - Special values: as softmax in the [table](crate#special-values), row by row.
    /// - Errors: [`Error::ShapeMismatch`] if `out` and `x` differ in shape; `out` is then
    ///   unchanged.
    /// - Cost and source: as [`stablemax`].
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// let mut p = [0.0_f64; 4];
    /// let x = [2.0, 0.0, 5.0, 5.0];
    /// mantex::stablemax_rows(MatRef::new(&x, 2, 2)?, MatMut::new(&mut p, 2, 2)?)?;
    /// assert_eq!(p, [0.75, 0.25, 0.5, 0.5]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> |road| {
        check::shape("out", &out, x.shape())?;
        // Rows without columns take no memory: a loop over them might never end.
        if x.cols() > 0 {
            road.each_band(x.shape(), (x, out), |(x, out)| T::stablemax_rows(road, x, out));
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the [`log_stablemax`] of every row of a matrix:
    /// `out[i][j] = ±ln(1 + |x[i][j]|) - ln(sum_k s(x[i][k]))`.
    ///
    /// - Accuracy: as [`log_stablemax`].
    /// - Special values: as log-softmax in the [table](crate#special-values), row by row.
    /// - Errors: [`Error::ShapeMismatch`] if `out` and `x` differ in shape; `out` is then
    ///   unchanged.
    /// - Cost and source: as [`log_stablemax`].
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// let mut y = [0.0_f64; 4];
    /// let x = [2.0, 0.0, 5.0, 5.0];
    /// mantex::log_stablemax_rows(MatRef::new(&x, 2, 2)?, MatMut::new(&mut y, 2, 2)?)?;
    /// assert!((y[0] - 0.75_f64.ln()).abs() < 1e-15 && (y[3] + 2.0_f64.ln()).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> |road| {
        check::shape("out", &out, x.shape())?;
        if x.cols() > 0 {
            road.each_band(x.shape(), (x, out), |(x, out)| T::log_stablemax_rows(road, x, out));
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the gradient of a loss with respect to the logits `x` of `y = stablemax(x)`, given
    /// the gradient `dy` with respect to y: `dx[j] = (s'(x[j]) / S) (dy[j] - sum_i dy[i] y[i])`.
    /// Here `S = sum_i s(x[i])`; `s'(x) = 1` for x >= 0 and `s'(x) = 1 / (1 - x)^2` for x < 0.
    ///
    /// - Accuracy: `16 EPSILON (s'(x[j]) / S) (|dy[j]| + sum_i |dy[i]| y[i])` plus the smallest
    ///   normal number; any length, if the results are finite.
    /// - Special values: 0 where x is -inf; NaN in the whole row if [`stablemax`] gives NaN or `dy`
    ///   is not finite.
    /// - Errors: [`Error::LengthMismatch`] if `dy` or `dx` and `x` differ in length; `dx` is then
    ///   unchanged.
    /// - Cost and source: 2 passes, and 1 more for each sum that is out of range; from the
    ///   definition.
    ///
    /// ```
    /// let mut dx = [0.0_f64; 2];
    /// mantex::stablemax_backward(&[1.0, -1.0], &[1.0, 0.0], &mut dx)?; // y = [0.8, 0.2], S = 2.5
    /// assert!((dx[0] - 0.2 / 2.5).abs() < 1e-15 && (dx[1] + 0.25 * 0.8 / 2.5).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn stablemax_backward(x: &[T], dy: &[T], dx: &mut [T]) -> Result<(), Error> |road| {
        check::length("dy", dy.len(), x.len())?;
        check::length("dx", dx.len(), x.len())?;
        let n = x.len();
        T::stablemax_backward_rows(road, MatRef::new(x, 1, n)?, MatRef::new(dy, 1, n)?, MatMut::new(dx, 1, n)?);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the gradient of a loss with respect to the logits `x` of `y = log_stablemax(x)`,
    /// given the gradient `dy` with respect to y:
    /// `dx[j] = dy[j] / (1 + |x[j]|) - (s'(x[j]) / S) sum_i dy[i]`, with s' and S as for
    /// [`stablemax_backward`].
    ///
    /// - Accuracy: `16 EPSILON (|dy[j]| / (1 + |x[j]|) + (s'(x[j]) / S) sum_i |dy[i]|)` plus the
    ///   smallest normal number; any length, if the results and the sum of `dy` are finite.
    /// - Special values: 0 where x is -inf; NaN in the whole row if [`log_stablemax`] gives NaN or
    ///   `dy` is not finite.
    /// - Errors: [`Error::LengthMismatch`] if `dy` or `dx` and `x` differ in length; `dx` is then
    ///   unchanged.
    /// - Cost and source: as [`stablemax_backward`].
    ///
    /// ```
    /// let mut dx = [0.0_f64; 2];
    /// mantex::log_stablemax_backward(&[1.0, -1.0], &[1.0, 0.0], &mut dx)?; // S = 2.5
    /// assert!((dx[0] - (0.5 - 1.0 / 2.5)).abs() < 1e-15 && (dx[1] + 0.25 / 2.5).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_stablemax_backward(x: &[T], dy: &[T], dx: &mut [T]) -> Result<(), Error> |road| {
        check::length("dy", dy.len(), x.len())?;
        check::length("dx", dx.len(), x.len())?;
        let n = x.len();
        T::log_stablemax_backward_rows(road, MatRef::new(x, 1, n)?, MatRef::new(dy, 1, n)?, MatMut::new(dx, 1, n)?);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the [`stablemax_backward`] of every row of a matrix:
    /// `dx[i][j] = (s'(x[i][j]) / S_i) (dy[i][j] - sum_k dy[i][k] y[i][k])`.
    ///
    /// - Accuracy: as [`stablemax_backward`].
    /// - Special values: as [`stablemax_backward`], row by row.
    /// - Errors: [`Error::ShapeMismatch`] if `dy` or `dx` and `x` differ in shape; `dx` is then
    ///   unchanged.
    /// - Cost and source: as [`stablemax_backward`].
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// let (x, dy) = ([0.0_f64, 0.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0]);
    /// let (x, dy) = (MatRef::new(&x, 2, 2)?, MatRef::new(&dy, 2, 2)?);
    /// let mut dx = [0.0; 4];
    /// mantex::stablemax_backward_rows(x, dy, MatMut::new(&mut dx, 2, 2)?)?;
    /// assert_eq!(dx, [0.25, -0.25, 0.125, -0.125]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn stablemax_backward_rows(
        x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>
    ) -> Result<(), Error> |road| {
        check::shape("dy", &dy, x.shape())?;
        check::shape("dx", &dx, x.shape())?;
        if x.cols() > 0 {
            road.each_band(x.shape(), (x, dy, dx), |(x, dy, dx)| T::stablemax_backward_rows(road, x, dy, dx));
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Computes the [`log_stablemax_backward`] of every row of a matrix:
    /// `dx[i][j] = dy[i][j] / (1 + |x[i][j]|) - (s'(x[i][j]) / S_i) sum_k dy[i][k]`.
    ///
    /// - Accuracy: as [`log_stablemax_backward`].
    /// - Special values: as [`log_stablemax_backward`], row by row.
    /// - Errors: [`Error::ShapeMismatch`] if `dy` or `dx` and `x` differ in shape; `dx` is then
    ///   unchanged.
    /// - Cost and source: as [`stablemax_backward`].
    ///
    /// ```
    /// use mantex::{MatMut, MatRef};
    /// let (x, dy) = ([0.0_f64, 0.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0]);
    /// let (x, dy) = (MatRef::new(&x, 2, 2)?, MatRef::new(&dy, 2, 2)?);
    /// let mut dx = [0.0; 4];
    /// mantex::log_stablemax_backward_rows(x, dy, MatMut::new(&mut dx, 2, 2)?)?;
    /// assert_eq!(dx, [0.5, -0.5, 0.25, -0.25]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn log_stablemax_backward_rows(
        x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>
    ) -> Result<(), Error> |road| {
        check::shape("dy", &dy, x.shape())?;
        check::shape("dx", &dx, x.shape())?;
        if x.cols() > 0 {
            road.each_band(x.shape(), (x, dy, dx), |(x, dy, dx)| T::log_stablemax_backward_rows(road, x, dy, dx));
        }
        Ok(())
    }
}
