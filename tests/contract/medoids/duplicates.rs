//! Duplicates: every medoid is in its own cluster, and no cluster is empty.

use super::{Square, check_consistent};
use crate::support::{float::Float, for_both_types, isas::isas};
use mantex::{
    KMedoids, MatRef,
    medoids::{Algorithm, Init},
};

for_both_types! {
    medoids_are_in_their_own_clusters
    blocks_of_duplicates_have_no_loss
    empty_clusters_are_filled
}

const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::FasterPam, Algorithm::RandomFasterPam { seed: 1 }, Algorithm::FastPam1, Algorithm::Alternating];

fn line(x: &[f64]) -> Square {
    Square::from_fn(x.len(), |a, b| (x[a] - x[b]).abs())
}

/// All ways to start with `k` medoids.
fn starts(n: usize, k: usize) -> Vec<Init> {
    let given = [(0..k).collect(), (n - k..n).rev().collect()].map(Init::Given);
    [Init::default(), Init::Build, Init::Lab { seed: 1 }, Init::Random { seed: 2 }].into_iter().chain(given).collect()
}

/// Three objects that are all the same, and two places with three objects each: also with weights,
/// and from a condensed matrix.
fn medoids_are_in_their_own_clusters<T: Float>() {
    for (x, ks) in [(&[0.0; 3][..], &[1, 2, 3][..]), (&[0.0, 0.0, 0.0, 5.0, 5.0, 5.0], &[2, 3, 4, 6])] {
        let d = line(x);
        let weighted = Square { weights: Some((1..=d.n).map(|w| w as f64).collect()), ..d.clone() };
        let condensed: Vec<T> = (0..d.n).flat_map(|a| (a + 1..d.n).map(move |b| T::of((x[a] - x[b]).abs()))).collect();
        for (&k, isa) in ks.iter().flat_map(|k| isas().into_iter().map(move |isa| (k, isa))) {
            for (algorithm, init) in
                ALGORITHMS.into_iter().flat_map(|a| starts(d.n, k).into_iter().map(move |i| (a, i)))
            {
                let what = format!("{isa} {algorithm} {init:?} k={k} {x:?}");
                for limit in [0, 100] {
                    let options =
                        KMedoids::new(k).algorithm(algorithm).init(init.clone()).max_iterations(limit).isa(isa);
                    let results = [d.fit::<T>(&options, 0), options.fit_condensed(&condensed).unwrap()];
                    let weighted = (&weighted, weighted.fit::<T>(&options, 1));
                    for (d, got) in results.into_iter().map(|got| (&d, got)).chain([weighted]) {
                        check_consistent(d, k, &got, &what);
                        let own = got.medoids().iter().enumerate().all(|(i, &m)| got.labels()[m] == i);
                        assert!(own, "{what}: {got:?}");
                        assert!(limit == 0 || got.loss() == 0.0 && got.converged(), "{what}: {got:?}");
                    }
                }
            }
        }
    }
}

/// 1 within three blocks, also to themselves, and 0 between them: two medoids of different blocks
/// leave no loss, and each is nearer to the other than to itself.
fn blocks_of_duplicates_have_no_loss<T: Float>() {
    let d = Square::from_fn(30, |a, b| f64::from(a / 10 == b / 10));
    for (isa, algorithm) in isas().into_iter().flat_map(|isa| ALGORITHMS.map(|algorithm| (isa, algorithm))) {
        for init in [Init::default(), Init::Build, Init::Random { seed: 3 }] {
            let what = format!("{isa} {algorithm} {init:?}");
            let got = d.fit::<T>(&KMedoids::new(3).algorithm(algorithm).init(init.clone()).isa(isa), 0);
            check_consistent(&d, 3, &got, &what);
            // Voronoi iteration may end with all medoids in one block.
            let is_lowest = got.loss() == 0.0 || algorithm == Algorithm::Alternating;
            assert!(is_lowest && got.converged(), "{what}: {got:?}");
        }
    }
}

/// Voronoi iteration from duplicates: the empty clusters go where they are needed.
fn empty_clusters_are_filled<T: Float>() {
    // k places with three objects each; all medoids start at the last places.
    for k in [3, 4, 9] {
        let x: Vec<f64> = (0..3 * k).map(|o| (o / 3 * o / 3) as f64).collect();
        let d = line(&x);
        for isa in isas() {
            let start = Init::Given((2 * k..3 * k).collect());
            let options = KMedoids::new(k).algorithm(Algorithm::Alternating).init(start).isa(isa);
            let got = d.fit::<T>(&options, 0);
            check_consistent(&d, k, &got, "filled");
            let mut labels: Vec<usize> = got.labels().to_vec();
            labels.sort_unstable();
            labels.dedup();
            assert!(labels.len() == k && got.converged(), "{isa} k={k}: {got:?}");
        }
    }
    let d = line(&[0.0, 0.0, 0.0, 5.0, 5.0, 5.0]).to::<T>();
    for isa in isas() {
        let options = KMedoids::new(3).algorithm(Algorithm::Alternating).init(Init::Given(vec![3, 4, 5])).isa(isa);
        let got = options.fit(MatRef::new(&d, 6, 6).unwrap()).unwrap();
        assert!(got.loss() == 0.0 && got.converged(), "{isa}: {got:?}");
    }
}
