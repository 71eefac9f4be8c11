//! FasterPAM by the crate `kmedoids`, beside mantex: on the same dissimilarities from the same
//! medoids, until no swap improves, on one thread.
//!
//! kmedoids takes the type of its sums from the caller: both are timed. mantex sums in f64. Losses
//! are compared before the times.

#[path = "../../support.rs"]
mod support;

use mantex::medoids::Init;
use mantex::{KMedoids, MatRef};
use ndarray::Array2;
use std::hint::black_box;
use support::arguments::Arguments;
use support::inputs::{distances, start};
use support::timing::ONCE;
use support::{Comparison, Contestant, difference};

/// The most passes. No search reaches it.
const MAX_ITERATIONS: usize = 1000;

/// The largest relative difference of losses that is allowed: the rounding of f32 sums. The
/// searches make the same swaps.
const LIMIT: f64 = 1e-5;

/// Compares searches of `k` medoids among `n` objects.
fn compare(comparison: &mut Comparison, n: usize, k: usize) {
    let work_id = format!("fasterpam/f32/n={n}/k={k}");
    let distances = distances(n);
    let matrix = MatRef::new(&distances, n, n).expect("a matrix");
    let array = Array2::from_shape_vec((n, n), distances.clone()).expect("a matrix");
    let start = start(n, k);
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
        Contestant::new(name, difference(&work_id, name, &[ours.loss()], &[loss], LIMIT), work)
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
    let mut comparison = Comparison::new("medoids", Some(include_str!("../Cargo.toml")), &Arguments::new());
    for n in [1000, 2000, 4000] {
        for k in [10, 100] {
            compare(&mut comparison, n, k);
        }
    }
}
