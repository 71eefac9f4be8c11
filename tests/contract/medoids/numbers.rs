//! Rounding noise, outliers, and sums that overflow.

use super::{Square, check_consistent, euclidean, manhattan, pam, points};
use crate::support::{
    data::rng,
    isas::{isas, small_cases},
};
use mantex::{
    Error, KMedoids, MatRef,
    medoids::{Algorithm, Init},
};
use rand::RngExt;

/// Without ties the instruction sets agree, on more objects than one block holds.
#[test]
fn instruction_sets_agree() {
    let n = if small_cases() { 140 } else { 1100 };
    let mut r = rng(3);
    let d = euclidean(&points(n, &mut r, |r| r.random_range(0.0..1.0)));
    let (single, double) = (d.to::<f32>(), d.to::<f64>());
    let (single, double) = (MatRef::new(&single, n, n).unwrap(), MatRef::new(&double, n, n).unwrap());
    for k in [1, 2, 5, 6, 7, 20, 130] {
        for algorithm in [Algorithm::FasterPam, Algorithm::FastPam1] {
            for init in [Init::Build, Init::Lab { seed: 5 }, Init::Random { seed: 6 }] {
                if small_cases() && init != Init::Build {
                    continue;
                }
                // Random starts of many medoids are long ways.
                let options = KMedoids::new(k).algorithm(algorithm).init(init).max_iterations(20);
                let best = options.fit(single).unwrap();
                let best64 = options.fit(double).unwrap();
                for isa in isas() {
                    let options = options.clone().isa(isa);
                    assert_eq!(options.fit(single).unwrap(), best, "{isa} {options:?}");
                    let got = options.fit(double).unwrap();
                    assert_eq!((got.medoids(), got.labels()), (best64.medoids(), best64.labels()), "{isa} {options:?}");
                }
            }
        }
    }
}

/// Rounded distances of duplicates are no reason to swap: not more swaps than with the same data as
/// integers.
#[test]
fn rounding_noise_makes_no_swaps() {
    let n = if small_cases() { 60 } else { 1000 };
    for seed in 0..if small_cases() { 1 } else { 2 } {
        let mut r = rng(40 + seed);
        let originals = points(n / 10, &mut r, |r| f64::from(r.random_range(0..30)));
        let copies: Vec<_> = (0..n).map(|_| originals[r.random_range(0..originals.len())]).collect();
        let integers = manhattan(&copies);
        for k in [2, 5, 9, n / 10] {
            for algorithm in [Algorithm::FasterPam, Algorithm::FastPam1] {
                for scale in [0.1, 1.0 / 3.0, 1e-3] {
                    let floats = Square::from_fn(n, |a, b| integers.at(a, b) * scale);
                    let start = KMedoids::new(k).algorithm(algorithm).max_iterations(1000);
                    // From where no integer swap helps, no float swap does.
                    let end = integers.fit::<f64>(&start, 0);
                    assert!(end.converged());
                    let options = start.clone().init(Init::Given(end.medoids().to_vec()));
                    assert_eq!(floats.fit::<f32>(&options, 0).swaps(), 0, "f32 {algorithm:?} k={k} {scale}");
                    assert_eq!(floats.fit::<f64>(&options, 0).swaps(), 0, "f64 {algorithm:?} k={k} {scale}");
                }
            }
        }
    }
}

/// Many digits cancel: small improvements beside a far outlier are still made.
#[test]
fn an_outlier_hides_nothing() {
    let n = 40;
    let mut r = rng(9);
    let mut p = points(n, &mut r, |r| f64::from(r.random_range(0..50)));
    p[n - 1] = [4e6, 4e6];
    let d = manhattan(&p);
    for k in [2, 4, 8] {
        let medoids: Vec<usize> = (0..k).collect();
        let (expected, _) = pam(&d, &medoids);
        for isa in isas() {
            let options = KMedoids::new(k).algorithm(Algorithm::FastPam1).init(Init::Given(medoids.clone())).isa(isa);
            assert_eq!(d.fit::<f32>(&options, 0).medoids(), expected);
            assert_eq!(d.fit::<f64>(&options, 0).medoids(), expected);
        }
    }
}

/// Numbers whose sums overflow `f64` have an error; those whose sums overflow only `f32` are
/// clustered like others.
#[test]
fn huge_dissimilarities_end() {
    let d = Square::from_fn(20, |a, b| if a == b { 0.0 } else { 1e308 * (1.0 + ((a * b) % 7) as f64 / 10.0) });
    for k in [1, 3, 8] {
        for isa in isas() {
            for algorithm in [Algorithm::FasterPam, Algorithm::FastPam1] {
                let error = KMedoids::new(k).algorithm(algorithm).isa(isa).fit(MatRef::new(&d.d, 20, 20).unwrap());
                assert_eq!(error, Err(Error::SumOverflow { argument: "dissimilarities" }));
            }
            let small = Square::from_fn(20, |a, b| d.at(a, b) * 1e-271);
            let got = small.fit::<f32>(&KMedoids::new(k).isa(isa), 0);
            check_consistent(&small.rounded::<f32>(), k, &got, "huge");
        }
    }
}

/// Sums that overflow `f32`, and only that, hide no swap.
#[test]
fn sums_may_overflow_the_type() {
    let n = 40;
    let d = Square::from_fn(n, |a, b| if a == b { 0.0 } else { 1e38 * (1.0 + ((a * b) % 7) as f64 / 10.0) })
        .rounded::<f32>();
    for k in [1, 2, 3, 6, 12, 20] {
        let start: Vec<usize> = (0..k).collect();
        let (medoids, swaps) = pam(&d, &start);
        for isa in isas() {
            let options = KMedoids::new(k).algorithm(Algorithm::FastPam1).init(Init::Given(start.clone())).isa(isa);
            let got = d.fit::<f32>(&options, 0);
            assert_eq!((got.medoids(), got.swaps()), (medoids.as_slice(), swaps), "{isa} k={k}");
        }
    }
}
