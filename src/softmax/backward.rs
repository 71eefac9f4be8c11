//! Gradients of softmax and log-softmax, and cross-entropy.

use crate::isa::functions_and_isa_methods;
use crate::real::Element;
use crate::{Error, MatMut, MatRef, check};

/// Checks that the other slices of a gradient are as long as the row it is of.
pub(crate) fn same_lengths<T>(y: &[T], dy: &[T], dx: &[T]) -> Result<(), Error> {
    for (argument, actual) in [("dy", dy.len()), ("dx", dx.len())] {
        if actual != y.len() {
            return Err(Error::LengthMismatch { argument, actual, expected: y.len() });
        }
    }
    Ok(())
}

/// Checks that the other matrices of a gradient have the shape of the rows it is of.
pub(crate) fn same_shapes<T>(y: &MatRef<'_, T>, dy: &MatRef<'_, T>, dx: &MatMut<'_, T>) -> Result<(), Error> {
    let expected = (y.rows(), y.cols());
    for (argument, actual) in [("dy", (dy.rows(), dy.cols())), ("dx", (dx.rows(), dx.cols()))] {
        if actual != expected {
            return Err(Error::ShapeMismatch { argument, actual, expected });
        }
    }
    Ok(())
}

functions_and_isa_methods! {
    /// The gradient of a loss by the logits of a softmax: `dx[j] = y[j] * (dy[j] - sum_i y[i] * dy[i])`, given the softmax
    /// `y` and the gradient `dy` by it.
    ///
    /// Within 5 EPSILON of `y[j] * (|dy[j]| + sum_i y[i] * |dy[i]|)`, at any length. Entries where `y` is 0, masked ones for example, get
    /// 0 where all `dy` are finite. Two passes, the second over what is in the cache.
    ///
    /// ```
    /// // The loss is the probability of the first class.
    /// let (y, dy) = ([0.25_f64, 0.75], [1.0, 0.0]);
    /// let mut dx = [0.0; 2];
    /// mantex::softmax_backward(&y, &dy, &mut dx)?;
    /// assert_eq!(dx, [0.25 * 0.75, -0.25 * 0.75]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] where `dy` or `dx` is not as long as `y`.
    fn softmax_backward(y: &[T], dy: &[T], dx: &mut [T]) -> Result<(), Error> |road| {
        same_lengths(y, dy, dx)?;
        let n = y.len();
        T::softmax_backward(road, MatRef::new(y, 1, n)?, MatRef::new(dy, 1, n)?, MatMut::new(dx, 1, n)?);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// The gradient of a loss by the logits of a log-softmax: `dx[j] = dy[j] - exp(y[j]) * sum_i dy[i]`, given the
    /// log-softmax `y` and the gradient `dy` by it.
    ///
    /// Within 6 EPSILON of `|dy[j]| + exp(y[j]) * sum_i |dy[i]|`, at any length, where an exponential below the smallest
    /// normal number may count as anything from 0 to that. Two passes, the second over what is in the cache.
    ///
    /// ```
    /// // The loss is the negative log-likelihood of the first class.
    /// let (y, dy) = ([0.25_f64.ln(), 0.75_f64.ln()], [-1.0, 0.0]);
    /// let mut dx = [0.0; 2];
    /// mantex::log_softmax_backward(&y, &dy, &mut dx)?;
    /// assert!((dx[0] + 0.75).abs() < 1e-15 && (dx[1] - 0.75).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] where `dy` or `dx` is not as long as `y`.
    fn log_softmax_backward(y: &[T], dy: &[T], dx: &mut [T]) -> Result<(), Error> |road| {
        same_lengths(y, dy, dx)?;
        let n = y.len();
        T::log_softmax_backward(road, MatRef::new(y, 1, n)?, MatRef::new(dy, 1, n)?, MatMut::new(dx, 1, n)?);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`softmax_backward`] of every row, with the instruction set chosen once for all.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `dy` or `dx` has another shape than `y`.
    fn softmax_backward_rows(
        y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>
    ) -> Result<(), Error> |road| {
        same_shapes(&y, &dy, &dx)?;
        if y.cols() > 0 {
            T::softmax_backward(road, y, dy, dx);
        }
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`log_softmax_backward`] of every row, with the instruction set chosen once for all.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] where `dy` or `dx` has another shape than `y`.
    fn log_softmax_backward_rows(
        y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>
    ) -> Result<(), Error> |road| {
        same_shapes(&y, &dy, &dx)?;
        if y.cols() > 0 {
            T::log_softmax_backward(road, y, dy, dx);
        }
        Ok(())
    }
}

/// Checks that there is a class and a loss per row, and that the classes are columns.
fn check_classes<T>(x: &MatRef<'_, T>, classes: &[usize], losses: &[T]) -> Result<(), Error> {
    check::length("classes", classes.len(), x.rows())?;
    check::length("losses", losses.len(), x.rows())?;
    match classes.iter().position(|&class| class >= x.cols()) {
        Some(row) => Err(Error::ClassOutOfRange { row, class: classes[row], classes: x.cols() }),
        None => Ok(()),
    }
}

functions_and_isa_methods! {
    /// The cross-entropy of every row's softmax with the class it is known to have: `losses[i]` is `-log_softmax(x_i)` at
    /// `classes[i]`.
    ///
    /// With the accuracy and special values of [`log_softmax`](crate::log_softmax), in one read: +inf for a class whose
    /// logit is -inf, NaN for rows without a softmax.
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
    /// [`Error::LengthMismatch`] where `classes` or `losses` does not have an element per row, [`Error::ClassOutOfRange`] where a class is not
    /// below the number of columns.
    fn cross_entropy_rows(
        x: MatRef<'_, T>, classes: &[usize], losses: &mut [T]
    ) -> Result<(), Error> |road| {
        check_classes(&x, classes, losses)?;
        T::cross_entropy(road, x, classes, losses);
        Ok(())
    }
}

functions_and_isa_methods! {
    /// [`cross_entropy_rows`], and the gradient by the logits of `weight` times the sum of the losses:
    /// `gradient[i][j] = weight * (softmax(x_i)[j] - (j == classes[i]))`. 1/rows as `weight` is the mean's.
    ///
    /// Both from the same exponentials, in the passes of [`softmax_rows`](crate::softmax_rows). Within 5 ulp of
    /// `weight * softmax(x_i)[j]` where that is a normal number, and in the column of the class that and an ulp of `weight`;
    /// NaN in rows without a softmax.
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
    /// As [`cross_entropy_rows`]; [`Error::ShapeMismatch`] where `gradient` has another shape than `x`, [`Error::InvalidParameter`] where
    /// `weight` is not finite.
    fn cross_entropy_gradient_rows(
        x: MatRef<'_, T>, classes: &[usize], weight: T, losses: &mut [T], gradient: MatMut<'_, T>
    ) -> Result<(), Error> |road| {
        check_classes(&x, classes, losses)?;
        check::shape("gradient", &gradient, (x.rows(), x.cols()))?;
        if !weight.to_f64().is_finite() {
            return Err(Error::InvalidParameter { argument: "weight", value: weight.to_f64(), expected: "finite" });
        }
        T::cross_entropy_gradient(road, x, classes, weight, losses, gradient);
        Ok(())
    }
}
