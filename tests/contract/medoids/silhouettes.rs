//! Silhouettes against their definitions.

use super::{assert_close, assert_close_f64, random_matrix};
use crate::support::{
    data::rng,
    float::Float,
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::{
    Error, MatRef,
    medoids::{medoid_silhouette, medoid_silhouette_weighted, silhouette, silhouette_weighted},
};
use rand::RngExt;

for_both_types! {
    silhouettes_are_as_defined
    weighted_silhouettes_are_as_defined
    silhouettes_without_the_diagonal
    long_silhouettes
    medoid_silhouettes_are_as_defined
}

/// From the definition.
fn silhouette_reference<T: Float>(d: MatRef<'_, T>, labels: &[usize], o: usize) -> f64 {
    let n = d.rows();
    let mean = |label: usize| {
        let others: Vec<f64> = (0..n).filter(|&p| p != o && labels[p] == label).map(|p| d.row(p)[o].wide()).collect();
        (!others.is_empty()).then(|| others.iter().sum::<f64>() / others.len() as f64)
    };
    let Some(a) = mean(labels[o]) else { return 0.0 };
    let b = (0..n).filter(|&label| label != labels[o]).filter_map(mean).fold(f64::INFINITY, f64::min);
    if a.max(b) == 0.0 { 0.0 } else { (b - a) / a.max(b) }
}

fn silhouettes_are_as_defined<T: Float>() {
    let sizes: &[usize] = if small_cases() { &[2, 19, 40] } else { &[2, 3, 8, 15, 16, 17, 33, 100, 150] };
    let mut r = rng(1);
    for &n in sizes {
        for gap in [0, 3] {
            let data = random_matrix::<T>(n, n, gap, &mut r);
            let d = MatRef::with_stride(&data, n, n, n + gap).unwrap();
            for clusters in [2, 3, n / 2, n] {
                // Some labels are nobody's, the last one may be somebody's.
                let mut labels: Vec<usize> = (0..n).map(|_| n - 1 - r.random_range(0..clusters.clamp(1, n))).collect();
                (labels[0], labels[1]) = (0, n - 1);
                let expected: Vec<f64> = (0..n).map(|o| silhouette_reference(d, &labels, o)).collect();
                for isa in isas() {
                    let what = format!("{isa} n={n} clusters={clusters}");
                    let mut out = vec![T::of(f64::NAN); n];
                    let mean = isa.silhouette(d, &labels, &mut out).unwrap();
                    for (&got, &expected) in out.iter().zip(&expected) {
                        assert_close(got, expected, &what);
                    }
                    assert_close_f64(mean, expected.iter().sum::<f64>() / n as f64, &what);
                }
            }
        }
    }
}

/// From the definition, with weights.
fn weighted_reference<T: Float>(d: MatRef<'_, T>, labels: &[usize], weights: &[T], o: usize) -> f64 {
    let n = d.rows();
    let mean = |label: usize| {
        let others = || (0..n).filter(|&p| p != o && labels[p] == label);
        let total: f64 = others().map(|p| weights[p].wide()).sum();
        (total > 0.0).then(|| others().map(|p| weights[p].wide() * d.row(p)[o].wide()).sum::<f64>() / total)
    };
    let Some(a) = mean(labels[o]) else { return 0.0 };
    let b = (0..n).filter(|&label| label != labels[o]).filter_map(mean).fold(f64::INFINITY, f64::min);
    if a.max(b) == 0.0 { 0.0 } else { (b - a) / a.max(b) }
}

/// Weights of every size, many of them 0; the medoid silhouettes, too. Equal weights change
/// nothing.
fn weighted_silhouettes_are_as_defined<T: Float>() {
    let sizes: &[usize] = if small_cases() { &[4, 19, 40] } else { &[4, 8, 15, 16, 17, 33, 100, 150] };
    let mut r = rng(6);
    for &n in sizes {
        let gap = n % 3;
        let data = random_matrix::<T>(n, n, gap, &mut r);
        let d = MatRef::with_stride(&data, n, n, n + gap).unwrap();
        for clusters in [2, 3, n / 2] {
            let labels: Vec<usize> = (0..n).map(|o| o % clusters).collect();
            let mut weights: Vec<T> = (0..n).map(|_| T::of([0.0, 0.5, 1.0, 3.0, 1e9][r.random_range(0..5)])).collect();
            (weights[0], weights[1]) = (T::of(1e-9), T::of(2.0));
            let expected: Vec<f64> = (0..n).map(|o| weighted_reference(d, &labels, &weights, o)).collect();
            let total: f64 = weights.iter().map(|w| w.wide()).sum();
            let mean_of = |each: &[f64]| each.iter().zip(&weights).map(|(s, w)| w.wide() * s).sum::<f64>() / total;
            for isa in isas() {
                let what = format!("{isa} n={n} clusters={clusters}");
                let (mut out, mut plain) = (vec![T::of(f64::NAN); n], vec![T::of(f64::NAN); n]);
                let mean = isa.silhouette_weighted(d, &labels, &weights, &mut out).unwrap();
                out.iter().zip(&expected).for_each(|(&got, &expected)| assert_close(got, expected, &what));
                assert_close_f64(mean, mean_of(&expected), &what);
                let mean = isa.silhouette_weighted(d, &labels, &vec![T::of(0.375); n], &mut out).unwrap();
                assert_close_f64(mean, isa.silhouette(d, &labels, &mut plain).unwrap(), &what);
                out.iter().zip(&plain).for_each(|(&got, &plain)| assert_close(got, plain.wide(), &what));

                let medoids = [n - 1, 0, 2];
                isa.medoid_silhouette(d, &medoids, &mut plain).unwrap();
                let mean = isa.medoid_silhouette_weighted(d, &medoids, &weights, &mut out).unwrap();
                assert!(out == plain, "{what}");
                // The mean is that of the silhouettes before they are rounded to the type.
                let of_rounded = mean_of(&out.iter().map(|x| x.wide()).collect::<Vec<_>>());
                assert!((mean - of_rounded).abs() <= T::EPSILON + 2000.0 * f64::EPSILON, "{what}");
            }
        }
    }
}

/// Dissimilarities of objects to themselves do not count, however large they are.
fn silhouettes_without_the_diagonal<T: Float>() {
    let n = 23;
    let mut data = random_matrix::<T>(n, n, 0, &mut rng(5));
    let labels: Vec<usize> = (0..n).map(|o| o % 3).collect();
    for large in [1.0, 1e10, 1e20, 1e38] {
        (0..n).for_each(|o| data[o * n + o] = T::of(large));
        let d = MatRef::new(&data, n, n).unwrap();
        for isa in isas() {
            let mut out = vec![T::of(f64::NAN); n];
            isa.silhouette(d, &labels, &mut out).unwrap();
            for (o, &got) in out.iter().enumerate() {
                assert_close(got, silhouette_reference(d, &labels, o), &format!("{isa} {o} with {large:e}"));
            }
        }
    }
}

/// More columns than are worked on at once.
fn long_silhouettes<T: Float>() {
    let n = if small_cases() { 1030 } else { 1100 };
    let mut r = rng(2);
    let x: Vec<f64> = (0..n).map(|_| r.random_range(0.0..1.0)).collect();
    let data: Vec<T> = (0..n * n).map(|i| T::of((x[i / n] - x[i % n]).abs())).collect();
    let d = MatRef::new(&data, n, n).unwrap();
    let labels: Vec<usize> = x.iter().map(|x| (x * 5.0) as usize).collect();
    let mut out = vec![T::of(f64::NAN); n];
    for isa in isas() {
        isa.silhouette(d, &labels, &mut out).unwrap();
        for o in [0, 1, 1022, 1023, 1024, 1025, n - 1] {
            assert_close(out[o], silhouette_reference(d, &labels, o), &format!("{isa} {o}"));
        }
    }
    let mut best = vec![T::of(f64::NAN); n];
    silhouette(d, &labels, &mut best).unwrap();
    let isa = mantex::Isa::best();
    isa.silhouette(d, &labels, &mut out).unwrap();
    assert!(best == out);
}

fn medoid_silhouettes_are_as_defined<T: Float>() {
    let mut r = rng(3);
    for n in [2, 5, 16, 33, 70] {
        let mut data = random_matrix::<T>(n, n, 1, &mut r);
        // Two medoids at no distance from object 1.
        (data[1], data[(n - 1) * (n + 1) + 1]) = (T::of(0.0), T::of(0.0));
        let d = MatRef::with_stride(&data, n, n, n + 1).unwrap();
        for k in [2, 3, n] {
            let medoids: Vec<usize> = (0..k.min(n)).map(|i| if i == 1 { n - 1 } else { i / 2 + i % 2 }).collect();
            if (1..medoids.len()).any(|i| medoids[..i].contains(&medoids[i])) {
                continue;
            }
            let expected: Vec<f64> = (0..n)
                .map(|o| {
                    let mut to: Vec<f64> = medoids.iter().map(|&m| d.row(m)[o].wide()).collect();
                    to.sort_by(f64::total_cmp);
                    if to[1] == 0.0 { 0.0 } else { 1.0 - to[0] / to[1] }
                })
                .collect();
            assert_eq!(expected[1], 0.0);
            for isa in isas() {
                let mut out = vec![T::of(f64::NAN); n];
                let mean = isa.medoid_silhouette(d, &medoids, &mut out).unwrap();
                for (&got, &expected) in out.iter().zip(&expected) {
                    assert_close(got, expected, &format!("{isa} n={n} k={k}"));
                }
                assert_close_f64(mean, expected.iter().sum::<f64>() / n as f64, "mean");
            }
        }
    }
}

#[test]
fn equal_objects_have_silhouette_0() {
    let d = [0.0_f32; 16];
    let mut out = [f32::NAN; 4];
    assert_eq!(silhouette(MatRef::new(&d, 4, 4).unwrap(), &[0, 0, 1, 1], &mut out), Ok(0.0));
    assert_eq!(out, [0.0; 4]);
    assert_eq!(medoid_silhouette(MatRef::new(&d, 4, 4).unwrap(), &[3, 1], &mut out), Ok(0.0));
    assert_eq!(out, [0.0; 4]);
}

#[test]
fn bad_arguments_are_named_and_leave_outputs_alone() {
    let d = [0.0_f64, 1.0, 2.0, 1.0, 0.0, 3.0, 2.0, 3.0, 0.0];
    let square = MatRef::new(&d, 3, 3).unwrap();
    let mut out = [7.0; 3];
    let mut check = |d: MatRef<'_, f64>, labels: &[usize], len: usize, expected: Error| {
        assert_eq!(silhouette(d, labels, &mut out[..len]).unwrap_err(), expected);
    };
    let argument = "dissimilarities";
    let wide = MatRef::new(&d[..6], 2, 3).unwrap();
    check(wide, &[0, 1], 2, Error::NotSquare { argument, rows: 2, cols: 3 });
    check(MatRef::new(&[], 0, 0).unwrap(), &[], 0, Error::Empty { argument });
    check(square, &[0, 1], 3, Error::LengthMismatch { argument: "labels", actual: 2, expected: 3 });
    check(square, &[0, 1, 1], 2, Error::LengthMismatch { argument: "out", actual: 2, expected: 3 });
    check(square, &[0, 3, 1], 3, Error::LabelOutOfRange { object: 1, label: 3, objects: 3 });
    check(square, &[0, usize::MAX, 1], 3, Error::LabelOutOfRange { object: 1, label: usize::MAX, objects: 3 });
    check(square, &[2; 3], 3, Error::TooFew { argument: "labels", parts: "clusters", actual: 1, minimum: 2 });
    let mut bad = d;
    bad[5] = -1.0;
    let negative = Error::InvalidElement { argument, row: 1, col: 2, value: -1.0, expected: "finite and not negative" };
    check(MatRef::new(&bad, 3, 3).unwrap(), &[0, 1, 1], 3, negative.clone());

    let mut check = |d: MatRef<'_, f64>, medoids: &[usize], len: usize, expected: Error| {
        assert_eq!(medoid_silhouette(d, medoids, &mut out[..len]).unwrap_err(), expected);
    };
    check(wide, &[0, 1], 3, Error::NotSquare { argument, rows: 2, cols: 3 });
    check(square, &[0, 3], 3, Error::MedoidOutOfRange { medoid: 3, objects: 3 });
    check(square, &[1, 1], 3, Error::DuplicateMedoid { medoid: 1 });
    let few = |actual| Error::TooFew { argument: "medoids", parts: "medoids", actual, minimum: 2 };
    check(square, &[1], 3, few(1));
    check(square, &[], 3, few(0));
    check(square, &[0, 1], 2, Error::LengthMismatch { argument: "out", actual: 2, expected: 3 });
    check(MatRef::new(&bad, 3, 3).unwrap(), &[0, 1], 3, negative);

    let mut check = |weights: &[f64], expected: [Error; 2]| {
        let medoid_error = medoid_silhouette_weighted(square, &[0, 1], weights, &mut out).unwrap_err();
        assert_eq!([silhouette_weighted(square, &[0, 1, 1], weights, &mut out).unwrap_err(), medoid_error], expected);
    };
    let twice = |error: Error| [error.clone(), error];
    check(&[1.0; 2], twice(Error::LengthMismatch { argument: "weights", actual: 2, expected: 3 }));
    let few = |argument, parts, actual, minimum| Error::TooFew { argument, parts, actual, minimum };
    check(&[0.0; 3], twice(few("weights", "positive weights", 0, 1)));
    for bad in [-1.0, f64::INFINITY] {
        let (argument, expected) = ("weights", "finite and not negative");
        check(&[1.0, bad, 1.0], twice(Error::InvalidElement { argument, row: 1, col: 0, value: bad, expected }));
    }
    for weights in [[1.0, 0.0, 0.0], [0.0, 1.0, 2.0]] {
        let error = silhouette_weighted(square, &[0, 1, 1], &weights, &mut out).unwrap_err();
        assert_eq!(error, few("labels", "clusters with positive weights", 1, 2));
    }
    let error = silhouette_weighted(square, &[0, 1, 1], &[1e308; 3], &mut out).unwrap_err();
    assert_eq!(error, Error::SumOverflow { argument: "weights" });
    assert_eq!(out, [7.0; 3]);
    assert!(medoid_silhouette_weighted(square, &[0, 1], &[1e308; 3], &mut out).unwrap().is_finite());

    // Sums that overflow have no mean.
    let huge: Vec<f64> = (0..25).map(|at| if at / 5 == at % 5 { 0.0 } else { 1.7e308 }).collect();
    let mut out = [7.0; 5];
    let error = silhouette(MatRef::new(&huge, 5, 5).unwrap(), &[0, 0, 0, 1, 1], &mut out).unwrap_err();
    assert_eq!(error, Error::SumOverflow { argument: "dissimilarities" });
    assert_eq!(out, [7.0; 5]);
}
