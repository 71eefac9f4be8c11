//! The distance of two points in double-double.

use super::{double_double::Dd, float::Float};
use mantex::Metric;

/// All metrics.
pub(crate) const METRICS: [Metric; 4] =
    [Metric::SquaredEuclidean, Metric::Euclidean, Metric::Manhattan, Metric::Cosine];

/// The square root, by one Newton step from the one in `f64`.
fn sqrt(x: Dd) -> Dd {
    if x.0 == 0.0 {
        return Dd::ZERO;
    }
    let root = Dd::from(x.0.sqrt());
    root + (x - root * root) / Dd::from(2.0 * root.0)
}

/// The distance from its definition.
pub(crate) fn reference<T: Float>(metric: Metric, x: &[T], y: &[T]) -> f64 {
    let pairs = || x.iter().zip(y).map(|(x, y)| (x.wide(), y.wide()));
    let sum = |terms: &mut dyn Iterator<Item = Dd>| terms.fold(Dd::ZERO, |sum, term| sum + term);
    let square = |(x, y): (f64, f64)| Dd::difference(x, y) * Dd::difference(x, y);
    let product = |x: &[T], y: &[T]| sum(&mut x.iter().zip(y).map(|(x, y)| Dd::from(x.wide()) * Dd::from(y.wide())));
    match metric {
        Metric::SquaredEuclidean => sum(&mut pairs().map(square)).0,
        Metric::Euclidean => sqrt(sum(&mut pairs().map(square))).0,
        Metric::Manhattan => sum(&mut pairs().map(|(x, y)| Dd::difference(x.max(y), x.min(y)))).0,
        _ => (Dd::ONE - product(x, y) / sqrt(product(x, x) * product(y, y))).0,
    }
}

/// The error that the documentation allows.
pub(crate) fn tolerance<T: Float>(metric: Metric, dimensions: usize, expected: f64) -> f64 {
    let sum = (dimensions.min(256) as f64 + dimensions as f64 / 256.0 + 4.0) * T::EPSILON / 2.0;
    // Cancellation leaves the reference of the cosine an absolute error of about 1e-30.
    match metric {
        Metric::SquaredEuclidean | Metric::Manhattan => sum * expected,
        Metric::Euclidean => (sum / 2.0 + T::EPSILON / 2.0) * expected,
        _ => {
            let x = expected.max(0.0);
            (sum + 13.0 * T::EPSILON) * x + 3.0 * T::EPSILON * x.sqrt() + 100.0 * T::EPSILON * T::EPSILON + 1e-30
        }
    }
}
