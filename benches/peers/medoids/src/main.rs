//! FasterPAM by the crate `kmedoids`, beside mantex: on the same dissimilarities from the same
//! medoids, until no swap improves, on one thread.
//!
//! kmedoids takes the type of its sums from the caller: both are timed. mantex sums in f64. Losses
//! are compared before the times.

#[path = "../../support.rs"]
mod support;

use mantex::medoids::Init;
use mantex::{KMedoids, MatMut, MatRef, Metric};
use ndarray::Array2;
use std::hint::black_box;
use support::timing::ONCE;
use support::uniform::uniform;
use support::{Comparison, Contestant, difference};

/// The most passes. No search reaches it.
const MAX_ITERATIONS: usize = 1000;

/// The largest relative difference of losses that is allowed: the rounding of f32 sums. The
/// searches make the same swaps.
const LIMIT: f64 = 1e-5;

/// The Euclidean distances between points of 20 clusters in the plane.
fn distances(n: usize) -> Vec<f32> {
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
fn start(n: usize, k: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<(u64, usize)> = std::iter::repeat_with(uniform(seed)).map(f64::to_bits).zip(0..n).collect();
    order.sort_unstable();
    order.into_iter().take(k).map(|(_, object)| object).collect()
}

/// Compares searches of `k` medoids among `n` objects.
fn compare(comparison: &mut Comparison, n: usize, k: usize) {
    let work_id = format!("fasterpam/f32/n={n}/k={k}");
    let distances = distances(n);
    let matrix = MatRef::new(&distances, n, n).expect("a matrix");
    let array = Array2::from_shape_vec((n, n), distances.clone()).expect("a matrix");
    let start = start(n, k, 1);
    let options = KMedoids::new(k).init(Init::Given(start.clone())).max_iterations(MAX_ITERATIONS);

    let ours = options.fit(matrix).expect("a good matrix");
    let (loss, _, passes, swaps): (f64, Vec<usize>, usize, usize) =
        kmedoids::fasterpam(&array, &mut start.clone(), MAX_ITERATIONS);
    let (loss_f32, ..): (f32, Vec<usize>, usize, usize) =
        kmedoids::fasterpam(&array, &mut start.clone(), MAX_ITERATIONS);
    let counts = (ours.swaps(), ours.iterations());
    println!("{work_id}: mantex {counts:?} and kmedoids {:?} swaps and passes", (swaps, passes));

    let (array, start) = (&array, &start);
    let contestant = |name: &str, loss: f64, work| {
        let difference = difference(&work_id, name, &[ours.loss()], &[loss], LIMIT);
        Contestant { name: name.into(), difference, work }
    };
    let mut contestants = [
        contestant(
            "mantex",
            ours.loss(),
            Box::new(|| _ = black_box(options.fit(black_box(matrix)).expect("a good matrix"))) as Box<dyn FnMut()>,
        ),
        contestant(
            "kmedoids with f64 sums",
            loss,
            Box::new(|| {
                let mut medoids = start.clone();
                let result: (f64, _, _, _) = kmedoids::fasterpam(black_box(array), &mut medoids, MAX_ITERATIONS);
                black_box(result);
            }),
        ),
        contestant(
            "kmedoids with f32 sums",
            loss_f32.into(),
            Box::new(|| {
                let mut medoids = start.clone();
                let result: (f32, _, _, _) = kmedoids::fasterpam(black_box(array), &mut medoids, MAX_ITERATIONS);
                black_box(result);
            }),
        ),
    ];
    comparison.compare(&work_id, &mut contestants, ONCE, (1e3, "ms"));
}

fn main() {
    let mut comparison = Comparison::new("medoids", include_str!("../Cargo.toml"));
    for n in [1000, 2000, 4000] {
        for k in [10, 100] {
            compare(&mut comparison, n, k);
        }
    }
}
