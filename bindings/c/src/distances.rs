//! Distances between points.

use crate::boundary::{chosen, Outcome};
use crate::isa::chosen_isa;
use mantex::Metric;
use std::mem::MaybeUninit;

/// A measure of the distance between two points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum mantex_metric {
    /// The sum of squared differences.
    MANTEX_METRIC_SQUARED_EUCLIDEAN = 0,
    /// The square root of the sum of squared differences.
    MANTEX_METRIC_EUCLIDEAN = 1,
    /// The sum of absolute differences.
    MANTEX_METRIC_MANHATTAN = 2,
    /// 1 minus the cosine of the angle between the points as vectors. Points with all coordinates 0
    /// are errors.
    MANTEX_METRIC_COSINE = 3,
    /// As MANTEX_METRIC_COSINE, but points with all coordinates 0 have the distance 1 from all
    /// others, and 0 from each other.
    MANTEX_METRIC_COSINE_OR_ONE = 4,
}

use mantex_metric::*;

/// Returns the metric that a caller has chosen.
fn chosen_metric(metric: MaybeUninit<mantex_metric>) -> Outcome<Metric> {
    let all = [
        (MANTEX_METRIC_SQUARED_EUCLIDEAN, Metric::SquaredEuclidean),
        (MANTEX_METRIC_EUCLIDEAN, Metric::Euclidean),
        (MANTEX_METRIC_MANHATTAN, Metric::Manhattan),
        (MANTEX_METRIC_COSINE, Metric::Cosine),
        (MANTEX_METRIC_COSINE_OR_ONE, Metric::CosineOrOne),
    ];
    chosen("metric", metric, &all)
}

twins! {
    /// Computes the distances of all pairs of n points with d coordinates: points is n x d, out is
    /// n x n, exactly symmetric with a diagonal of 0. mantex_kmedoids_fit_f32() takes it.
    ///
    /// Distances are accurate to a few ulp, also of near points far from the origin. Fails with
    /// MANTEX_ERROR_SHAPE if n or d is 0, and with MANTEX_ERROR_ELEMENT if a coordinate is not
    /// finite or a cosine is undefined.
    fn mantex_distance_matrix_f32 / mantex_distance_matrix_f64(
        n: usize, d: usize, points: *const T, points_stride: usize, out: *mut T, out_stride: usize,
        metric: metric, isa: isa,
    ) |memory| {
        let (metric, isa) = (chosen_metric(metric)?, chosen_isa(isa)?);
        let points = memory.matrix("points", points, (n, d), points_stride)?;
        Ok(isa.distance_matrix(points, memory.matrix_mut("out", out, (n, n), out_stride)?, metric)?)
    }

    /// Computes the distances between n points x (n x d) and m points y (m x d): out is n x m. With
    /// the medoids in y, mantex_clustering_predict_f32() takes it; it is also a cost matrix of
    /// mantex_sinkhorn_solve_f32().
    ///
    /// Fails as mantex_distance_matrix_f32() does.
    fn mantex_distance_matrix_between_f32 / mantex_distance_matrix_between_f64(
        n: usize, m: usize, d: usize, x: *const T, x_stride: usize, y: *const T, y_stride: usize,
        out: *mut T, out_stride: usize, metric: metric, isa: isa,
    ) |memory| {
        let (metric, isa) = (chosen_metric(metric)?, chosen_isa(isa)?);
        let (x, y) = (memory.matrix("x", x, (n, d), x_stride)?, memory.matrix("y", y, (m, d), y_stride)?);
        Ok(isa.distance_matrix_between(x, y, memory.matrix_mut("out", out, (n, m), out_stride)?, metric)?)
    }
}
