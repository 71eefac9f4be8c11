//! Distance matrices of points.

use crate::dispatch::Road;
use crate::isa::functions_and_isa_methods;
use crate::kernels::distances::{Form, panels_len};
use crate::real::Element;
use crate::{Error, MatMut, MatRef, Real, check};

/// How far apart two points are. EPSILON is that of the type, D the number of dimensions; errors hold where no square
/// overflows or is subnormal.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The sum of squared differences, with a relative error of (min(D, 256) + D / 256 + 4) EPSILON / 2 at most.
    SquaredEuclidean,
    /// The square root of the sum of squared differences, with half the relative error of that, and another EPSILON / 2.
    Euclidean,
    /// The sum of absolute differences, with the relative error of the squared Euclidean one.
    Manhattan,
    /// 1 less the cosine of the angle between the points as vectors: 0 for the same direction, 2 for opposite ones. Taken
    /// as half the squared Euclidean distance x of the points scaled to length 1, so that nearly parallel points have
    /// accurate distances too: with a relative error of (min(D, 256) + D / 256 + 30) EPSILON / 2, and beside that
    /// 3 EPSILON sqrt(x) + 100 EPSILON².
    Cosine,
}

functions_and_isa_methods! {
    /// The distances of all pairs of points (rows): an n x n matrix, exactly symmetric and with a zero diagonal, as
    /// [`KMedoids::fit`](crate::KMedoids::fit) takes it.
    ///
    /// Of two mirrored elements one is computed, in O(n² D) time for D dimensions: from 64 dimensions on at about half the rate of
    /// the CPU's multiply-adds or more. Differences are taken before they are squared, so near points far from the origin lose no
    /// digits. Memory beyond the matrix: a copy of the points (of 2048 dimensions at a time), with [`Metric::Cosine`] two.
    ///
    /// Distances that overflow are infinite; squares overflow from differences of 1e19 (`f32`) or 1e154 (`f64`) on.
    ///
    /// # Errors
    /// - [`Error::Empty`] if there are no points or no dimensions.
    /// - [`Error::ShapeMismatch`] if `out` is not n x n.
    /// - [`Error::InvalidElement`] if a coordinate is NaN or infinite.
    /// - [`Error::UndefinedCosine`] if a point is 0 with [`Metric::Cosine`].
    ///
    /// ```
    /// use mantex::{MatMut, MatRef, Metric, distance_matrix};
    /// let points = [0.0_f32, 0.0, 3.0, 4.0, 3.0, 0.0];
    /// let mut d = [0.0; 9];
    /// distance_matrix(MatRef::new(&points, 3, 2)?, MatMut::new(&mut d, 3, 3)?, Metric::Euclidean)?;
    /// assert_eq!(d, [0.0, 5.0, 3.0, 5.0, 0.0, 4.0, 3.0, 4.0, 0.0]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn distance_matrix(points: MatRef<'_, T>, out: MatMut<'_, T>, metric: Metric) -> Result<(), Error> |road| {
        distance_matrix_via(road, points, out, metric)
    }
}

fn distance_matrix_via<T: Real>(
    road: Road,
    points: MatRef<'_, T>,
    out: MatMut<'_, T>,
    metric: Metric,
) -> Result<(), Error> {
    let (n, dimensions) = (points.rows(), points.cols());
    if n == 0 || dimensions == 0 {
        return Err(Error::Empty { argument: "points" });
    }
    check::shape("out", &out, (n, n))?;
    for (row, point) in points.iter_rows().enumerate() {
        if !T::all_finite(road, point) {
            let found = point.iter().map(|x| x.to_f64()).enumerate().find(|(_, x)| !x.is_finite());
            let (col, value) = found.unwrap_or((0, f64::NAN));
            return Err(Error::InvalidElement { argument: "points", row, col, value, expected: "finite" });
        }
    }
    let mut panels = vec![T::zero(); panels_len(n, dimensions)];
    let form = match metric {
        Metric::SquaredEuclidean => Form::Squares,
        Metric::Euclidean => Form::Root,
        Metric::Manhattan => Form::Absolute,
        Metric::Cosine => {
            let directions = directions(points)?;
            T::distance_matrix(road, MatRef::new(&directions, n, dimensions)?, Form::Half, &mut panels, out);
            return Ok(());
        }
    };
    T::distance_matrix(road, points, form, &mut panels, out);
    Ok(())
}

/// The points scaled to length 1.
fn directions<T: Real>(points: MatRef<'_, T>) -> Result<Vec<T>, Error> {
    let mut directions = Vec::with_capacity(points.rows() * points.cols());
    for (row, point) in points.iter_rows().enumerate() {
        let largest = point.iter().fold(0.0_f64, |m, x| m.max(x.to_f64().abs()));
        if largest == 0.0 {
            return Err(Error::UndefinedCosine { point: row });
        }
        // A power of two, so that no square overflows and none that counts is subnormal.
        let scale = if largest > 2.0_f64.powi(400) {
            2.0_f64.powi(-600)
        } else if largest < 2.0_f64.powi(-400) {
            2.0_f64.powi(600)
        } else {
            1.0
        };
        let length = sum_of_squares(point, scale).sqrt();
        directions.extend(point.iter().map(|x| T::rounded(x.to_f64() * scale / length)));
    }
    Ok(directions)
}

/// In halves, so that rounding grows with the logarithm of the length only.
fn sum_of_squares<T: Real>(x: &[T], scale: f64) -> f64 {
    if x.len() <= 16 {
        return x.iter().map(|x| (x.to_f64() * scale).powi(2)).sum();
    }
    let (a, b) = x.split_at(x.len() / 2);
    sum_of_squares(a, scale) + sum_of_squares(b, scale)
}
