//! k-medoids from the same medoids: FasterPAM, the best swaps of PAM, and alternating updates.

use crate::npy;
use crate::support::inputs::{distances, start};
use crate::support::json::string;
use crate::support::timing::ONCE;
use crate::support::{Comparison, Contestant, difference};
use crate::worker::{Package, Worker, input, path_field};
use mantex::medoids::{Algorithm, Init};
use mantex::{KMedoids, MatRef};
use std::hint::black_box;

/// The number of objects.
const N: usize = 2000;

/// The algorithm, its name here, the number of medoids, the most iterations, and the packages that
/// have it. PAM of scikit-learn-extra takes more than a second per iteration at k = 100.
const WORKS: [(Algorithm, &str, usize, usize, &[&str]); 6] = [
    (Algorithm::FasterPam, "fasterpam", 10, 1000, &["kmedoids"]),
    (Algorithm::FasterPam, "fasterpam", 100, 1000, &["kmedoids"]),
    (Algorithm::FastPam1, "fastpam1", 10, 1000, &["kmedoids", "scikit-learn-extra"]),
    (Algorithm::FastPam1, "fastpam1", 100, 5, &["kmedoids", "scikit-learn-extra"]),
    (Algorithm::Alternating, "alternating", 10, 1000, &["kmedoids", "scikit-learn-extra"]),
    (Algorithm::Alternating, "alternating", 100, 1000, &["kmedoids", "scikit-learn-extra"]),
];

/// The packages; each has one method.
const METHODS: [(&str, &str); 2] = [("kmedoids", ""), ("scikit-learn-extra", "")];

/// The largest relative difference of losses that is allowed: the rounding of f32 sums. All make
/// the same swaps.
const LIMIT: f64 = 1e-5;

/// Returns the sum of the distances of all objects to their nearest medoids.
fn loss(distances: &[f32], medoids: &[f64]) -> f64 {
    let nearest = |row: &[f32]| medoids.iter().map(|&medoid| row[medoid as usize]).fold(f32::INFINITY, f32::min);
    distances.chunks_exact(N).map(|row| f64::from(nearest(row))).sum()
}

/// Compares the packages that were asked for.
pub(crate) fn compare(comparison: &mut Comparison, packages: &[Package]) {
    let mut workers = Worker::start_all(packages, "medoids", "medoids", &METHODS);
    if workers.is_empty() {
        return;
    }
    let distances = distances(N);
    let matrix = MatRef::new(&distances, N, N).expect("a matrix");
    let file = input("distances.npy");
    npy::write(&file, N, &distances);
    for (algorithm, name, k, max_iterations, having) in WORKS {
        let iterations = if max_iterations < 1000 { format!("/iterations={max_iterations}") } else { String::new() };
        let work_id = format!("{name}/f32/n={N}/k={k}{iterations}");
        let start = start(N, k);
        let options = KMedoids::new(k).algorithm(algorithm).init(Init::Given(start.clone()));
        let options = options.max_iterations(max_iterations);
        let ours = options.fit(matrix).expect("a good matrix");
        let work = || _ = black_box(options.fit(black_box(matrix)).expect("a good matrix"));
        let mut contestants = vec![Contestant::new("mantex", 0.0, work)];
        for worker in workers.iter_mut().filter(|worker| having.contains(&&*worker.package)) {
            let medoids = worker.prepare(&[
                ("distances", path_field(&file)),
                ("algorithm", string(name)),
                ("max_iterations", max_iterations.to_string()),
                ("start", format!("{start:?}")),
            ]);
            let difference = difference(&work_id, &worker.name, &[ours.loss()], &[loss(&distances, &medoids)], LIMIT);
            contestants.push(worker.contestant(difference));
        }
        if contestants.len() > 1 {
            comparison.compare(&work_id, &mut contestants, ONCE, (1e3, "ms"));
        }
    }
}
