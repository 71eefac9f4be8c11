//! Distance matrices of points.

use crate::dispatch::Road;
use crate::dispatch::functions_and_isa_methods;
use crate::error::IsaName;
use crate::kernels::pairwise::{DistanceForm, panels_len};
use crate::real::Element;
use crate::{Error, MatMut, MatRef, Real, check};
use core::fmt;
use core::str::FromStr;

/// A measure of the distance between two points.
///
/// In the bounds of errors, EPSILON is the machine epsilon of the type and D the number of
/// dimensions. The bounds hold if no square overflows or is subnormal.
///
/// ```
/// use mantex::Metric;
/// assert_eq!("Manhattan".parse(), Ok(Metric::Manhattan));
/// assert_eq!(Metric::SquaredEuclidean.to_string(), "squared_euclidean");
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The sum of squared differences, within a relative error of
    /// (min(D, 256) + D / 256 + 4) EPSILON / 2.
    SquaredEuclidean,
    /// The square root of the sum of squared differences, within half the relative error of the sum
    /// plus EPSILON / 2.
    Euclidean,
    /// The sum of absolute differences, within the relative error of [`Metric::SquaredEuclidean`].
    Manhattan,
    /// 1 minus the cosine of the angle between the points as vectors: 0 for equal directions, 2 for
    /// opposite ones.
    ///
    /// The result is half the squared Euclidean distance x of the points scaled to length 1. The
    /// distances of nearly parallel points are therefore accurate, too: their relative error is at
    /// most `(min(D, 256) + D / 256 + 30) EPSILON / 2`, plus an absolute error of at most
    /// `3 EPSILON sqrt(x) + 100 EPSILON²`.
    Cosine,
}

impl Metric {
    /// All metrics with their names.
    const NAMES: [(Self, &'static str); 4] = [
        (Self::SquaredEuclidean, "squared_euclidean"),
        (Self::Euclidean, "euclidean"),
        (Self::Manhattan, "manhattan"),
        (Self::Cosine, "cosine"),
    ];
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::NAMES.iter().find(|(metric, _)| metric == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for Metric {
    type Err = Error;

    /// Returns the metric of that name, in upper or lower case.
    ///
    /// # Errors
    /// [`Error::UnknownName`] if no metric has the name.
    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::NAMES.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
        let expected = "squared_euclidean, euclidean, manhattan or cosine";
        found.map(|(metric, _)| metric).ok_or(Error::UnknownName {
            argument: "metric",
            name: IsaName::new(name),
            expected,
        })
    }
}

functions_and_isa_methods! {
    /// Computes the distances of all pairs of points.
    ///
    /// `out[i][j]` is the distance of the points in rows i and j of `points`, by the given metric.
    /// For n points, `out` is n x n. It is exactly symmetric with a diagonal of 0, and
    /// [`KMedoids::fit`](crate::KMedoids::fit) takes it as input.
    ///
    /// - Accuracy: as stated at each [`Metric`]. Coordinates are subtracted before they are
    ///   squared, so near points far from the origin lose no digits.
    /// - Special values: distances that overflow are +inf. Squares of differences above about 1e19
    ///   (f64: 1e154) overflow.
    /// - Errors: as listed below; `out` is then unchanged.
    /// - Cost and source: n² D / 2 multiply-adds for D dimensions, at half the CPU's rate or more
    ///   from 64 dimensions on; from the definition. Allocates a copy of at most 2048 dimensions of
    ///   the points; with [`Metric::Cosine`], also a copy of all points.
    ///
    /// # Errors
    /// - [`Error::Empty`] if there are no points or no dimensions.
    /// - [`Error::ShapeMismatch`] if `out` is not n x n.
    /// - [`Error::InvalidElement`] if a coordinate is NaN or infinite.
    /// - [`Error::UndefinedCosine`] if the metric is [`Metric::Cosine`] and all coordinates of a
    ///   point are 0.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef, Metric, distance_matrix};
    /// let points = [0.0_f32, 0.0, 3.0, 4.0, 3.0, 0.0];
    /// let mut d = [0.0; 9];
    /// let out = MatMut::new(&mut d, 3, 3)?;
    /// distance_matrix(MatRef::new(&points, 3, 2)?, out, Metric::Euclidean)?;
    /// assert_eq!(d, [0.0, 5.0, 3.0, 5.0, 0.0, 4.0, 3.0, 4.0, 0.0]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn distance_matrix(points: MatRef<'_, T>, out: MatMut<'_, T>, metric: Metric) -> Result<(), Error> |road| {
        distance_matrix_via(road, points, out, metric)
    }
}

/// Computes [`distance_matrix`] on a given road.
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
        Metric::SquaredEuclidean => DistanceForm::Squares,
        Metric::Euclidean => DistanceForm::Root,
        Metric::Manhattan => DistanceForm::Absolute,
        Metric::Cosine => {
            let directions = directions(points)?;
            T::distance_matrix(road, MatRef::new(&directions, n, dimensions)?, DistanceForm::Half, &mut panels, out);
            return Ok(());
        }
    };
    T::distance_matrix(road, points, form, &mut panels, out);
    Ok(())
}

/// Returns the points scaled to length 1.
fn directions<T: Real>(points: MatRef<'_, T>) -> Result<Vec<T>, Error> {
    let mut directions = Vec::with_capacity(points.rows() * points.cols());
    for (row, point) in points.iter_rows().enumerate() {
        let largest = point.iter().fold(0.0_f64, |m, x| m.max(x.to_f64().abs()));
        if largest == 0.0 {
            return Err(Error::UndefinedCosine { point: row });
        }
        // The scale is a power of two with which no square overflows, and no square that
        // contributes to the sum is subnormal.
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

/// Returns the sum of `(x * scale)^2` by pairwise summation: the rounding error grows only with the
/// logarithm of the length.
fn sum_of_squares<T: Real>(x: &[T], scale: f64) -> f64 {
    if x.len() <= 16 {
        return x.iter().map(|x| (x.to_f64() * scale).powi(2)).sum();
    }
    let (a, b) = x.split_at(x.len() / 2);
    sum_of_squares(a, scale) + sum_of_squares(b, scale)
}
