//! Inputs that several programs share. They need random numbers only, so that any language can make
//! the same.

use super::uniform::uniform;
use mantex::{MatMut, MatRef, Metric, Real};

/// Logits between -10 and 10.
pub(crate) fn logits<T: Real>(n: usize) -> Vec<T> {
    let mut uniform = uniform(1);
    (0..n).map(|_| T::rounded(20.0 * uniform() - 10.0)).collect()
}

/// The squared distances between n random points of the unit square and n others, and their median:
/// the problem of the bench `transport`.
pub(crate) fn costs(n: usize) -> (Vec<f64>, f64) {
    let mut coordinate = uniform(1);
    let mut points = || -> Vec<[f64; 2]> { (0..n).map(|_| [coordinate(), coordinate()]).collect() };
    let (rows, cols) = (points(), points());
    let distance = |p: &[f64; 2], q: &[f64; 2]| (p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2);
    let costs: Vec<f64> = rows.iter().flat_map(|p| cols.iter().map(move |q| distance(p, q))).collect();
    let (_, &mut median, _) = costs.clone().select_nth_unstable_by(n * n / 2, f64::total_cmp);
    (costs, median)
}

/// The Euclidean distances between points of 20 clusters in the plane.
pub(crate) fn distances(n: usize) -> Vec<f32> {
    let mut next = uniform(1);
    let centers: Vec<f64> = (0..40).map(|_| 30.0 * next()).collect();
    // The sum of twelve uniform numbers is about normal.
    let mut normal = || (0..12).map(|_| next() - 0.5).sum::<f64>();
    let points: Vec<f32> = (0..2 * n).map(|i| (centers[i % 40] + normal()) as f32).collect();
    let mut out = vec![0.0; n * n];
    let (points, matrix) = (MatRef::new(&points, n, 2), MatMut::new(&mut out, n, n));
    mantex::distance_matrix(points.expect("whole points"), matrix.expect("a matrix"), Metric::Euclidean)
        .expect("sizes fit");
    out
}

/// The first `k` objects of a random order.
pub(crate) fn start(n: usize, k: usize) -> Vec<usize> {
    let mut order: Vec<(u64, usize)> = std::iter::repeat_with(uniform(1)).map(f64::to_bits).zip(0..n).collect();
    order.sort_unstable();
    order.into_iter().take(k).map(|(_, object)| object).collect()
}
