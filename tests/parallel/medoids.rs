//! Clusterings and their quality.

use super::pools;
use super::support::{
    data::{normal, rng, uniform},
    float::{Float, bits_of},
    for_both_types,
    isas::isas,
};
use mantex::medoids::{Algorithm, Clustering, Init, assign, silhouette, silhouette_weighted};
use mantex::{KMedoids, MatMut, MatRef, Metric, distance_matrix, parallel};

for_both_types! {
    fits_make_the_same_swaps
    invalid_dissimilarities
    silhouettes_and_labels
}

/// The distances of n points in the plane, some of which are the same.
fn distances<T: Float>(n: usize, seed: u64) -> Vec<T> {
    let mut points = normal::<T>(2 * n, 1.0, 0.0, &mut rng(seed));
    points.copy_within(0..n / 10, n);
    let mut out = vec![T::of(0.0); n * n];
    let view = MatMut::new(&mut out, n, n).expect("it fits");
    distance_matrix(MatRef::new(&points, n, 2).expect("it fits"), view, Metric::Euclidean).expect("finite points");
    out
}

fn same(a: &Clustering, b: &Clustering) -> bool {
    a == b && a.loss().to_bits() == b.loss().to_bits()
}

fn fits_make_the_same_swaps<T: Float>() {
    let algorithms =
        [Algorithm::FasterPam, Algorithm::RandomFasterPam { seed: 3 }, Algorithm::FastPam1, Algorithm::Alternating];
    let inits = [Init::Build, Init::Lab { seed: 1 }, Init::PlusPlus { seed: 2 }, Init::Random { seed: 4 }];
    // A few medoids are scanned under masks, many by lists of hits.
    for (n, k) in [(1, 1), (9, 3), (300, 2), (401, 5), (613, 40), (700, 130)] {
        let d = distances::<T>(n, n as u64);
        let d = MatRef::new(&d, n, n).expect("it fits");
        let weights = uniform::<T>(n, 0.5, 2.0, &mut rng(5));
        for (algorithm, init) in algorithms.into_iter().zip(&inits).chain(algorithms.into_iter().rev().zip(&inits)) {
            if n > 500 && algorithm == Algorithm::FastPam1 && matches!(init, Init::Random { .. }) {
                continue; // Several hundred scans.
            }
            for isa in isas() {
                let options = KMedoids::new(k).algorithm(algorithm).init(init.clone()).isa(isa);
                let one = options.fit(d).expect("good input");
                let weighted = options.fit_weighted(d, &weights).expect("good input");
                let options = options.parallel(true);
                for pool in pools() {
                    let (a, b) = pool.install(|| (options.fit(d), options.fit_weighted(d, &weights)));
                    let (a, b) = (a.expect("good input"), b.expect("good input"));
                    assert!(same(&one, &a), "{n}, {k}, {algorithm:?}, {init:?}, {isa}: {one:?} {a:?}");
                    assert!(same(&weighted, &b), "{n}, {k}, {algorithm:?}, {init:?}, {isa}");
                }
            }
        }
    }
}

fn invalid_dissimilarities<T: Float>() {
    let n = 500;
    for (row, col) in [(0, 1), (250, 3), (499, 499)] {
        let mut d = distances::<T>(n, 8);
        d[row * n + col] = T::of(f64::NAN);
        d[499 * n + 499] = T::of(-1.0);
        let d = MatRef::new(&d, n, n).expect("it fits");
        for init in [Init::Build, Init::Random { seed: 1 }] {
            for k in [3, 60] {
                let options = KMedoids::new(k).init(init.clone());
                let one = options.fit(d);
                for pool in pools() {
                    let several = pool.install(|| options.clone().parallel(true).fit(d));
                    assert_eq!(
                        format!("{:?}", several.err()),
                        format!("{:?}", one.as_ref().err()),
                        "{row}, {k}, {init:?}"
                    );
                }
            }
        }
    }
}

fn silhouettes_and_labels<T: Float>() {
    for (n, k) in [(2, 2), (90, 7), (801, 30)] {
        let d = distances::<T>(n, 9);
        let weights = uniform::<T>(n, 0.5, 2.0, &mut rng(6));
        let labels: Vec<usize> = (0..n).map(|o| o * 11 % k).collect();
        let square = MatRef::new(&d, n, n).expect("it fits");
        let to_medoids = MatRef::with_stride(&d, n, k, n).expect("it fits");
        let all = |several: bool| {
            let (mut s, mut weighted, mut nearest) = (vec![T::of(0.0); n], vec![T::of(0.0); n], vec![T::of(0.0); n]);
            let mut assigned = vec![0; n];
            let of = if several { parallel::silhouette } else { silhouette };
            let mean = of(square, &labels, &mut s).expect("good labels");
            let of = if several { parallel::silhouette_weighted } else { silhouette_weighted };
            let weighted_mean = of(square, &labels, &weights, &mut weighted).expect("good labels");
            let of = if several { parallel::assign } else { assign };
            of(to_medoids, &mut assigned, &mut nearest).expect("lengths agree");
            let numbers = [bits_of(&s), bits_of(&weighted), bits_of(&nearest)];
            (numbers, assigned, [mean, weighted_mean].map(f64::to_bits))
        };
        let one = all(false);
        for pool in pools() {
            assert!(pool.install(|| all(true)) == one, "{n}, {k}");
        }
    }
}
