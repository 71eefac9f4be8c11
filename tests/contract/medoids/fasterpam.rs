//! FasterPAM ends at local optima, by the swaps of the book.

use super::{
    Square, best_swap, cases, check_consistent, euclidean, manhattan, nearest, points, textbook_best_swap,
    textbook_swap_of, tolerance, weighted,
};
use crate::support::{
    data::rng,
    float::Float,
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::{
    KMedoids, MatRef,
    medoids::{Algorithm, Clustering, Init, Progress},
};
use rand::RngExt;
use std::ops::ControlFlow;

for_both_types! {
    fasterpam_ends_at_a_local_optimum
    fasterpam_makes_the_swaps_of_the_book
}

/// FasterPAM by the book: the medoids, the number of swaps, and that of the candidates looked at.
fn fasterpam(d: &Square, medoids: &[usize]) -> (Vec<usize>, usize, usize) {
    let mut medoids = medoids.to_vec();
    let mut near = nearest(d, &medoids);
    let (mut swaps, mut looked, mut quiet) = (0, 0, 0);
    while quiet < d.n {
        let c = looked % d.n;
        (looked, quiet) = (looked + 1, quiet + 1);
        let (i, change) = textbook_swap_of(d, &near, medoids.len(), c);
        if !medoids.contains(&c) && change < -1e-12 * d.loss(&medoids) {
            medoids[i] = c;
            near = nearest(d, &medoids);
            (swaps, quiet) = (swaps + 1, 0);
        }
    }
    (medoids, swaps, looked)
}

fn fasterpam_ends_at_a_local_optimum<T: Float>() {
    let sizes: &[usize] = if small_cases() { &[2, 9, 17] } else { &[2, 3, 9, 17, 25, 40] };
    for (seed, &n) in sizes.iter().enumerate() {
        let mut cases = cases(n, 100 + seed as u64);
        if n == 17 {
            cases.extend(weighted(cases.clone(), 1));
        }
        for (name, d) in cases {
            let d = d.rounded::<T>();
            for k in [1, 2, 3, 7, 10, n].into_iter().filter(|&k| k <= n) {
                let mut first: Option<Clustering> = None;
                for isa in isas() {
                    let what = format!("{name}/{}/{isa}/n={n}/k={k}", std::any::type_name::<T>());
                    let random = Algorithm::RandomFasterPam { seed: 3 };
                    for (algorithm, init) in [
                        (Algorithm::FasterPam, Init::Build),
                        (Algorithm::FasterPam, Init::Lab { seed: 1 }),
                        (Algorithm::FasterPam, Init::Random { seed: 2 }),
                        (random, Init::Random { seed: 2 }),
                    ] {
                        let options = KMedoids::new(k).algorithm(algorithm).isa(isa).init(init);
                        let got = d.fit::<T>(&options, seed % 2);
                        check_consistent(&d, k, &got, &what);
                        assert!(got.converged(), "{what}");
                        // The last n candidates had no swap.
                        let range = d.n * (got.iterations() - 1)..=d.n * got.iterations();
                        assert!(range.contains(&got.evaluated()) && got.evaluated() >= d.n, "{what}");
                        if let Some((c, i, loss)) = best_swap(&d, got.medoids()) {
                            let fall = got.loss() - loss;
                            assert!(
                                fall <= tolerance::<T>(d.n, loss),
                                "{what}: swap {i} for {c} lowers the loss by {fall}"
                            );
                        }
                        let again = d.fit::<T>(&options, 1);
                        assert_eq!(got, again, "{what}: deterministic, whatever the stride");
                    }
                    // Sums of these are exact: even the ties are the same.
                    if name != "random" && name != "asymmetric" {
                        let got = d.fit::<T>(&KMedoids::new(k).isa(isa), 0);
                        assert_eq!(*first.get_or_insert_with(|| got.clone()), got, "{what}");
                    }
                }
            }
        }
    }
}

/// Swap by swap what FasterPAM by the book does, where candidates that were scanned together have
/// their sums brought up to date and where they are scanned anew.
fn fasterpam_makes_the_swaps_of_the_book<T: Float>() {
    let sizes: &[(usize, usize)] =
        if small_cases() { &[(67, 30)] } else { &[(40, 2), (130, 9), (131, 14), (300, 70), (301, 120)] };
    for (seed, &(n, k)) in sizes.iter().enumerate() {
        let mut r = rng(300 + seed as u64);
        let points = points(n, &mut r, |r| r.random_range(0.0..1.0));
        let cases =
            vec![("random", euclidean(&points)), ("asymmetric", Square::from_fn(n, |_, _| r.random_range(0.0..1.0)))];
        for (name, d) in [cases.clone(), weighted(cases, seed as u64)].concat() {
            let d = d.rounded::<T>();
            let start: Vec<usize> = (0..k).map(|i| n - 1 - i).collect();
            let (medoids, swaps, looked) = fasterpam(&d, &start);
            for isa in isas() {
                let what = format!("{name}/{}/{isa}/n={n}/k={k}", std::any::type_name::<T>());
                let got = d.fit::<T>(&KMedoids::new(k).init(Init::Given(start.clone())).isa(isa), seed % 2);
                let got = (got.medoids(), got.swaps(), got.evaluated());
                assert_eq!(got, (medoids.as_slice(), swaps, looked), "{what}");
            }
        }
    }
}

/// With many medoids several are kept in reserve for every object: many swaps later, with medoids
/// that left and came back, they are still the nearest ones.
#[test]
fn many_medoids_and_swaps_end_at_a_local_optimum() {
    let (n, k) = if small_cases() { (120, 60) } else { (300, 100) };
    let mut r = rng(31);
    let smooth = euclidean(&points(n, &mut r, |r| r.random_range(0.0..1.0)));
    let tied = manhattan(&points(n, &mut r, |r| f64::from(r.random_range(0..12))));
    let asymmetric = Square::from_fn(n, |_, _| f64::from(r.random_range(1..1000)));
    for (name, d) in [("smooth", smooth), ("tied", tied), ("asymmetric", asymmetric)] {
        let data = d.to::<f64>();
        for isa in isas() {
            let what = format!("{name}/{isa}");
            let options = KMedoids::new(k).init(Init::Random { seed: 5 }).isa(isa);
            let mut told = f64::INFINITY;
            let on_iteration = |progress: &Progress| {
                told = progress.loss;
                ControlFlow::Continue(())
            };
            let got = options.fit_with_progress(MatRef::new(&data, n, n).unwrap(), None, on_iteration).unwrap();
            check_consistent(&d, k, &got, &what);
            assert!(got.converged() && got.swaps() > k / 4, "{what}: {} swaps", got.swaps());
            // The caches' loss, before the labels are found anew.
            assert!((told - d.loss(got.medoids())).abs() <= 1e-12 * told, "{what}");
            let (c, i, change) = textbook_best_swap(&d, got.medoids());
            assert!(change >= -1e-12 * told, "{what}: swap {i} for {c} changes the loss by {change}");
        }
    }
}
