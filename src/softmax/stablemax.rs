//! StableMax, its logarithm, and their gradients.

use super::backward::{same_lengths, same_shapes};
use crate::isa::functions_and_isa_methods;
use crate::{Error, MatMut, MatRef, check};

functions_and_isa_methods! {
    /// StableMax of one row: `out[i] = s(x[i]) / sum_j s(x[j])` with `s(x) = 1 + x` for x >= 0 and `1 / (1 - x)` below
    /// (Prieto et al. 2025, "Grokking at the Edge of Numerical Stability").
    ///
    /// Within 4 ulp for normal results, below that within the smallest normal number, for any length and all finite
    /// inputs. -inf gives exactly 0; a row with +inf or NaN, or of -inf alone, gives NaN. Two passes, no exponential; a third
    /// where the sum is outside of 2^-80..2^80 (f64: 2^-640..2^640).
    ///
    /// ```
    /// let mut p = [0.0_f32; 4];
    /// mantex::stablemax(&[2.0, 0.0, -1.0, f32::NEG_INFINITY], &mut p)?;
    /// assert!((p[0] - 3.0 / 4.5).abs() < 1e-6 && (p[2] - 0.5 / 4.5).abs() < 1e-6 && p[3] == 0.0);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] where `out` is not as long as `x`.
    fn stablemax(x: &[T], out: &mut [T]) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.len())?;
        T::stablemax(road, x, out);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Logarithm of the [`stablemax`] of one row: `out[i] = ±ln(1 + |x[i]|) - ln(sum_j s(x[j]))`, with the sign of `x[i]`.
    ///
    /// Within 4 ulp of the larger of 1 and the result, for any length and all finite inputs. -inf gives -inf; a row with
    /// +inf or NaN, or of -inf alone, gives NaN.
    ///
    /// ```
    /// let mut y = [0.0_f64; 2];
    /// mantex::log_stablemax(&[f64::MIN, f64::MIN], &mut y)?;
    /// assert!((y[0] + 2.0_f64.ln()).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] where `out` is not as long as `x`.
    fn log_stablemax(x: &[T], out: &mut [T]) -> Result<(), Error> |road| {
        check::length("out", out.len(), x.len())?;
        T::log_stablemax(road, x, out);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`stablemax`] of every row of a matrix, with the instruction set chosen once for all.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `out` has another shape than `x`.
    fn stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> |road| {
        check::shape("out", &out, (x.rows(), x.cols()))?;
        // Rows without columns take no memory: there may be any number of them.
        if x.cols() > 0 {
            T::stablemax_rows(road, x, out);
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`log_stablemax`] of every row of a matrix, with the instruction set chosen once for all.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `out` has another shape than `x`.
    fn log_stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error> |road| {
        check::shape("out", &out, (x.rows(), x.cols()))?;
        if x.cols() > 0 {
            T::log_stablemax_rows(road, x, out);
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Gradient of [`stablemax`]: with the logits `x` and the gradient `dy` of a loss by `y = stablemax(x)`, that by `x` is
    /// `dx[j] = (s'(x[j]) / S) (dy[j] - sum_i dy[i] y[i])`, where `S = sum_i s(x[i])` and `s'(x) = 1` for x >= 0 and
    /// `1 / (1 - x)^2` below.
    ///
    /// Within `16 EPSILON (s'(x[j]) / S) (|dy[j]| + sum_i |dy[i]| y[i])` and the smallest normal number, for all finite
    /// inputs whose results are finite. 0 where x is -inf; NaN in the whole row where [`stablemax`] gives NaN, or `dy`
    /// is not finite. Two passes, and another each where a sum is out of range.
    ///
    /// ```
    /// let mut dx = [0.0_f64; 2];
    /// mantex::stablemax_backward(&[1.0, -1.0], &[1.0, 0.0], &mut dx)?; // y = [0.8, 0.2], S = 2.5
    /// assert!((dx[0] - 0.2 / 2.5).abs() < 1e-15 && (dx[1] + 0.25 * 0.8 / 2.5).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] where `dy` or `dx` is not as long as `x`.
    fn stablemax_backward(x: &[T], dy: &[T], dx: &mut [T]) -> Result<(), Error> |road| {
        same_lengths(x, dy, dx)?;
        T::stablemax_backward(road, x, dy, dx);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// Gradient of [`log_stablemax`]: with the logits `x` and the gradient `dy` of a loss by `log_stablemax(x)`, that by `x`
    /// is `dx[j] = dy[j] / (1 + |x[j]|) - (s'(x[j]) / S) sum_i dy[i]`, with s' and S as for [`stablemax_backward`].
    ///
    /// Within `16 EPSILON (|dy[j]| / (1 + |x[j]|) + (s'(x[j]) / S) sum_i |dy[i]|)` and the smallest normal number, for all
    /// finite inputs whose results are finite, as is the sum of `dy`. 0 where x is -inf; NaN in the whole row where
    /// [`log_stablemax`] gives NaN, or `dy` is not finite.
    ///
    /// ```
    /// let mut dx = [0.0_f64; 2];
    /// mantex::log_stablemax_backward(&[1.0, -1.0], &[1.0, 0.0], &mut dx)?; // S = 2.5
    /// assert!((dx[0] - (0.5 - 1.0 / 2.5)).abs() < 1e-15 && (dx[1] + 0.25 / 2.5).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] where `dy` or `dx` is not as long as `x`.
    fn log_stablemax_backward(x: &[T], dy: &[T], dx: &mut [T]) -> Result<(), Error> |road| {
        same_lengths(x, dy, dx)?;
        T::log_stablemax_backward(road, x, dy, dx);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`stablemax_backward`] of every row of a matrix, with the instruction set chosen once for all.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `dy` or `dx` has another shape than `x`.
    fn stablemax_backward_rows(
        x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>
    ) -> Result<(), Error> |road| {
        same_shapes(&x, &dy, &dx)?;
        if x.cols() > 0 {
            T::stablemax_backward_rows(road, x, dy, dx);
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`log_stablemax_backward`] of every row of a matrix, with the instruction set chosen once for all.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `dy` or `dx` has another shape than `x`.
    fn log_stablemax_backward_rows(
        x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>
    ) -> Result<(), Error> |road| {
        same_shapes(&x, &dy, &dx)?;
        if x.cols() > 0 {
            T::log_stablemax_backward_rows(road, x, dy, dx);
        }
        Ok(())
    }
}
