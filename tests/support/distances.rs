//! The distance of two points in double-double.

use super::{
    double_double::{Dd, power_of_two},
    float::Float,
};
use mantex::Metric;

/// All metrics.
pub(crate) const METRICS: [Metric; 5] =
    [Metric::SquaredEuclidean, Metric::Euclidean, Metric::Manhattan, Metric::Cosine, Metric::CosineOrOne];

/// The square root, by one Newton step from the one in `f64`.
fn sqrt(x: Dd) -> Dd {
    if x.0 == 0.0 {
        return Dd::ZERO;
    }
    let root = Dd::from(x.0.sqrt());
    root + (x - root * root) / Dd::from(2.0 * root.0)
}

/// The sum of the products of two vectors, which are scaled such that the largest number is near 1.
fn product(x: &[Dd], y: &[Dd]) -> Dd {
    x.iter().zip(y).fold(Dd::ZERO, |sum, (&x, &y)| sum + x * y)
}

/// A vector divided by a power of two near its largest number, and the exponent of that power.
fn scaled(x: impl Iterator<Item = Dd> + Clone) -> (Vec<Dd>, i32) {
    let largest = x.clone().fold(0.0, |max: f64, x| max.max(x.0.abs()));
    let exponent = if largest > 0.0 { (largest.log2() as i32).clamp(-1000, 1000) } else { 0 };
    (x.map(|x| x.scale(power_of_two(-exponent))).collect(), exponent)
}

/// The distance from its definition; infinite beyond the range of f64.
pub(crate) fn reference<T: Float>(metric: Metric, x: &[T], y: &[T]) -> f64 {
    let pairs = || x.iter().zip(y).map(|(x, y)| (x.wide(), y.wide()));
    if pairs().any(|(x, y)| (x - y).is_infinite()) && !matches!(metric, Metric::Cosine | Metric::CosineOrOne) {
        return f64::INFINITY;
    }
    let (differences, exponent) = scaled(pairs().map(|(x, y)| Dd::difference(x.max(y), x.min(y))));
    let power = power_of_two(exponent);
    match metric {
        Metric::SquaredEuclidean => product(&differences, &differences).0 * power * power,
        Metric::Euclidean => sqrt(product(&differences, &differences)).0 * power,
        Metric::Manhattan => differences.iter().fold(Dd::ZERO, |sum, &x| sum + x).0 * power,
        _ => {
            let [x, y] = [x, y].map(|x| scaled(x.iter().map(|x| Dd::from(x.wide()))).0);
            let (xx, yy) = (product(&x, &x), product(&y, &y));
            match (xx.0 == 0.0, yy.0 == 0.0) {
                (true, true) => 0.0,
                (true, false) | (false, true) => 1.0,
                _ => (Dd::ONE - product(&x, &y) / sqrt(xx * yy)).0,
            }
        }
    }
}

/// The error that the documentation allows whatever the points, in the sum of squared or absolute
/// differences, and relative to it.
fn sum_tolerance<T: Float>(dimensions: usize) -> f64 {
    (dimensions + 4).min(25) as f64 * T::EPSILON / 2.0
}

/// The error that the documentation allows whatever the points.
pub(crate) fn tolerance<T: Float>(metric: Metric, dimensions: usize, expected: f64) -> f64 {
    let sum = sum_tolerance::<T>(dimensions);
    // The tiniest number for distances that are subnormal.
    let tiniest = T::TINIEST.wide();
    // Cancellation leaves the reference of the cosine an absolute error of about 1e-30.
    match metric {
        Metric::SquaredEuclidean | Metric::Manhattan => sum * expected + tiniest,
        Metric::Euclidean => (sum / 2.0 + T::EPSILON / 2.0) * expected + tiniest,
        _ => {
            let x = expected.max(0.0);
            (sum + 13.0 * T::EPSILON) * x + 3.0 * T::EPSILON * x.sqrt() + 100.0 * T::EPSILON * T::EPSILON + 1e-30
        }
    }
}

/// The error that the documentation allows unless rounding errors conspire.
pub(crate) fn ordinary_tolerance<T: Float>(metric: Metric, dimensions: usize, expected: f64) -> f64 {
    let tolerance = tolerance::<T>(metric, dimensions, expected);
    let is_cosine = matches!(metric, Metric::Cosine | Metric::CosineOrOne);
    if is_cosine { tolerance } else { tolerance.min(4.0 * T::EPSILON * expected + T::TINIEST.wide()) }
}

/// Whether a distance is within a tolerance of the expected one. Beyond the largest number it must
/// be infinite; within the tolerance of the largest number it may be.
pub(crate) fn is_close<T: Float>(got: T, expected: f64, tolerance: f64) -> bool {
    let largest = T::LARGEST.wide();
    if got.wide() == f64::INFINITY {
        return expected == f64::INFINITY || expected * (1.0 + 16.0 * T::EPSILON) > largest;
    }
    expected <= f64::MAX && (got.wide() - expected).abs() <= tolerance
}
