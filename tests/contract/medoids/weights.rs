//! Objects with weights.

use super::{Square, best_swap, check_consistent, manhattan, points};
use crate::support::{data::rng, float::Float, for_both_types, isas::isas};
use mantex::{
    Error, KMedoids, MatRef,
    medoids::{Algorithm, Clustering, Init},
};
use rand::RngExt;

for_both_types! {
    weights_of_0_count_for_nothing
}

/// An object of weight w is as good as w equal objects.
#[test]
fn weights_are_copies() {
    let n = 23;
    let mut r = rng(77);
    let p = points(n, &mut r, |r| f64::from(r.random_range(0..100)));
    let weights: Vec<usize> = (0..n).map(|_| r.random_range(1..5)).collect();
    let origins: Vec<usize> = (0..n).flat_map(|o| std::iter::repeat_n(o, weights[o])).collect();
    let weighted = Square { weights: Some(weights.iter().map(|&w| w as f64).collect()), ..manhattan(&p) };
    let copied = manhattan(&origins.iter().map(|&o| p[o]).collect::<Vec<_>>());
    for k in [1, 2, 5, 8] {
        for algorithm in [Algorithm::FasterPam, Algorithm::FastPam1, Algorithm::Alternating] {
            for isa in isas() {
                let options = KMedoids::new(k).algorithm(algorithm).init(Init::Build).isa(isa);
                let (a, b) = (weighted.fit::<f64>(&options, 0), copied.fit::<f64>(&options, 0));
                assert_eq!(a.loss(), b.loss(), "{algorithm:?} {isa} k={k}");
                let points = |clustering: &Clustering, of: &dyn Fn(usize) -> usize| {
                    clustering.medoids().iter().map(|&m| p[of(m)]).collect::<Vec<_>>()
                };
                assert_eq!(points(&a, &|m| m), points(&b, &|m| origins[m]), "{algorithm:?} {isa} k={k}");
            }
        }
    }
    // Heavy enough, an object is a medoid.
    for o in [0, 7, n - 1] {
        let mut weights = vec![1.0; n];
        weights[o] = 1e6;
        let d = Square { weights: Some(weights), ..manhattan(&p) };
        assert!(d.fit::<f32>(&KMedoids::new(2), 0).medoids().iter().any(|&m| p[m] == p[o]));
    }
}

/// Objects of weight 0 count for nothing: not even in the choice of equally good medoids, of which
/// they may be some.
fn weights_of_0_count_for_nothing<T: Float>() {
    let n = 36;
    let mut r = rng(79);
    let p = points(n, &mut r, |r| f64::from(r.random_range(0..100)));
    for share in [2, 9] {
        let weights: Vec<f64> = (0..n).map(|o| if o % share == 0 { 0.0 } else { 1.0 + (o % 3) as f64 }).collect();
        let d = Square { weights: Some(weights.clone()), ..manhattan(&p) };
        // The same with nonsense about these objects.
        let mut other = d.clone();
        let zero = |o: usize| weights[o] == 0.0;
        for at in (0..n * n).filter(|&at| zero(at % n)) {
            other.d[at] = f64::from(r.random_range(0..1000));
        }
        for (k, isa) in [1, 2, 5, 12, 30].into_iter().flat_map(|k| isas().into_iter().map(move |isa| (k, isa))) {
            for algorithm in [Algorithm::FasterPam, Algorithm::FastPam1, Algorithm::Alternating] {
                for init in [Init::default(), Init::Build, Init::Random { seed: 1 }] {
                    let what = format!("{isa} {algorithm} {init:?} k={k} share={share}");
                    let options = KMedoids::new(k).algorithm(algorithm).init(init).isa(isa);
                    let (got, same) = (d.fit::<T>(&options, 0), other.fit::<T>(&options, 0));
                    check_consistent(&d, k, &got, &what);
                    check_consistent(&other, k, &same, &what);
                    assert!(got.converged() && same.converged(), "{what}");
                    // The members of a cluster are the candidates of the alternating algorithm.
                    if algorithm != Algorithm::Alternating {
                        assert_eq!((got.medoids(), got.loss()), (same.medoids(), same.loss()), "{what}");
                        assert_eq!(best_swap(&d, got.medoids()), None, "{what}");
                    }
                }
            }
        }
    }
    // It may be the best medoid.
    let d = Square { weights: Some(vec![1.0, 0.0, 1.0]), ..manhattan(&[[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]) };
    let start = Init::Given(vec![0]);
    let d = Square { d: d.d.iter().map(|d| d * d).collect(), ..d };
    for isa in isas() {
        let got = d.fit::<T>(&KMedoids::new(1).init(start.clone()).isa(isa), 0);
        assert_eq!((got.medoids(), got.loss()), (&[1][..], 2.0), "{isa}");
    }
}

/// Products of weights and distances that underflow in the type, for few medoids and many.
#[test]
fn tiny_weights_and_distances_find_the_same_medoids() {
    let n = 40;
    let mut r = rng(78);
    let p = points(n, &mut r, |r| f64::from(r.random_range(0..1000)));
    let distance = |[x, y]: [f64; 2], [v, u]: [f64; 2]| ((x - v).abs() + (y - u).abs()) as f32;
    let of = |scale: f32| (0..n * n).map(|at| scale * distance(p[at / n], p[at % n])).collect::<Vec<f32>>();
    // A power of two, so that nothing is rounded.
    let tiny = 2.0_f32.powi(-78);
    let (d, small) = (of(1.0), of(tiny));
    for k in [2, 4, 7, 12, 20] {
        for isa in isas() {
            let options = KMedoids::new(k).init(Init::Given((0..k).collect())).isa(isa);
            let fit =
                |d: &[f32], weight: f32| options.fit_weighted(MatRef::new(d, n, n).unwrap(), &vec![weight; n]).unwrap();
            let (expected, got) = (fit(&d, 1.0), fit(&small, tiny));
            assert!(expected.swaps() > 0, "k={k}");
            assert_eq!((got.medoids(), got.swaps()), (expected.medoids(), expected.swaps()), "{isa} k={k}");
        }
    }
}

#[test]
fn bad_weights_are_named() {
    let d = [0.0_f32, 1.0, 1.0, 0.0];
    let d = MatRef::new(&d, 2, 2).unwrap();
    let k = KMedoids::new(1);
    for weights in [&[][..], &[1.0], &[1.0; 3]] {
        let expected = Error::LengthMismatch { argument: "weights", actual: weights.len(), expected: 2 };
        assert_eq!(k.fit_weighted(d, weights).unwrap_err(), expected);
    }
    for bad in [-1.0, -f32::MIN_POSITIVE, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        match k.fit_weighted(d, &[1.0, bad]).unwrap_err() {
            Error::InvalidElement { argument: "weights", row: 1, col: 0, value, .. } => {
                assert_eq!(value.to_bits(), f64::from(bad).to_bits());
            }
            other => panic!("{other}"),
        }
    }
    let none = Error::TooFew { argument: "weights", parts: "positive weights", actual: 0, minimum: 1 };
    assert_eq!(k.fit_weighted(d, &[0.0, -0.0]).unwrap_err(), none);
    // Weights alone can make the loss overflow.
    let d = [0.0, 1e300, 1e300, 0.0];
    let got = k.fit_weighted(MatRef::new(&d, 2, 2).unwrap(), &[1e300, 1e300]);
    assert_eq!(got, Err(Error::SumOverflow { argument: "dissimilarities" }));
}
