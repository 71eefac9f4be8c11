//! Distances at any magnitude and at any number of dimensions, between two sets, and of points
//! without a direction.

use crate::support::{
    data::rng,
    distances::{METRICS, is_close, ordinary_tolerance, reference, tolerance},
    double_double::power_of_two,
    float::{Float, bits_of},
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::{Error, Isa, MatMut, MatRef, Metric, distance_matrix_between};
use rand::{Rng, RngExt};

for_both_types! {
    reported_magnitudes
    every_magnitude
    a_million_dimensions
    equal_differences
    conspiring_rounding_errors
    cosines_end_at_two
    two_sets_have_the_bits_of_one
    entry_point_runs_the_best
    bad_sets_are_named
    zeros_have_a_distance_of_one
}

const SUMS: [Metric; 3] = [Metric::SquaredEuclidean, Metric::Euclidean, Metric::Manhattan];

fn distance<T: Float>(isa: Isa, metric: Metric, x: &[T], y: &[T]) -> T {
    let mut out = [T::of(7.0)];
    let [x, y] = [x, y].map(|x| MatRef::new(x, 1, x.len()).unwrap());
    isa.distance_matrix_between(x, y, MatMut::new(&mut out, 1, 1).unwrap(), metric).unwrap();
    out[0]
}

/// The distances of all pairs, whose properties are checked.
fn distances<T: Float>(isa: Isa, metric: Metric, points: MatRef<'_, T>) -> Vec<T> {
    let n = points.rows();
    let (mut out, mut between) = (vec![T::of(7.0); n * n], vec![T::of(7.0); n * n]);
    isa.distance_matrix(points, MatMut::new(&mut out, n, n).unwrap(), metric).unwrap();
    isa.distance_matrix_between(points, points, MatMut::new(&mut between, n, n).unwrap(), metric).unwrap();
    assert!((0..n).all(|i| out[i * n + i].bits() == 0), "{isa} {metric}: the diagonal");
    assert!((0..n * n).all(|at| out[at].bits() == out[at % n * n + at / n].bits()), "{isa} {metric}: symmetry");
    assert_eq!(bits_of(&out), bits_of(&between), "{isa} {metric}: one set and two");
    out
}

/// Reported to faiss and others: squares out of range.
fn reported_magnitudes<T: Float>() {
    let sizes: &[f64] = if T::NAME == "f32" { &[1e20, 1e-25] } else { &[1e200, 1e-200] };
    for (isa, &size) in isas().into_iter().flat_map(|isa| sizes.iter().map(move |size| (isa, size))) {
        let got = distance(isa, Metric::Euclidean, &[T::of(0.0)], &[T::of(size)]);
        assert_eq!(got.bits(), T::of(size).bits(), "{isa}: {got} for {size}");
        let got = distance(isa, Metric::Euclidean, &[T::of(0.0), T::of(3.0 * size)], &[T::of(4.0 * size), T::of(0.0)]);
        assert!(is_close(got, 5.0 * size, 4.0 * T::EPSILON * 5.0 * size), "{isa}: {got} for 5 * {size}");
    }
}

/// Points of one magnitude, or of all of them in one matrix: (typical, few).
fn magnitudes<T: Float>() -> Vec<(i32, i32)> {
    let (most, least) = (2 - T::MIN_EXPONENT, T::MIN_EXPONENT - T::DIGITS + 1);
    let typical = [0, most / 2 - 3, most / 2 + 8, most - 8, -most / 2 + 5, -most / 2 - 12, least + 40, least + 3];
    let few = [0, most - 4, least + 2];
    typical.into_iter().flat_map(|typical| few.map(|few| (typical, few))).collect()
}

fn every_magnitude<T: Float>() {
    let mut r = rng(7);
    let shapes: &[(usize, usize)] =
        if small_cases() { &[(5, 3), (19, 17)] } else { &[(2, 1), (5, 3), (35, 7), (19, 33), (9, 300), (5, 2100)] };
    for (&(n, dimensions), (typical, few)) in
        shapes.iter().flat_map(|shape| magnitudes::<T>().into_iter().map(move |m| (shape, m)))
    {
        let mut data: Vec<T> = Vec::new();
        for i in 0..n {
            let exponent = if i % 5 == 4 { few } else { typical };
            data.extend((0..dimensions).map(|_| {
                // The product of two powers of two, since one may be out of the range of f64.
                let x: f64 = r.random_range(-1.0..1.0);
                T::of(x * power_of_two(exponent.max(-1000)) * power_of_two((exponent + 1000).min(0)))
            }));
        }
        if n > 6 {
            data.copy_within(..dimensions, 6 * dimensions);
        }
        let points = MatRef::new(&data, n, dimensions).unwrap();
        for (metric, isa) in SUMS.into_iter().flat_map(|metric| isas().into_iter().map(move |isa| (metric, isa))) {
            let out = distances(isa, metric, points);
            for (i, j) in (0..n).flat_map(|i| (0..i).map(move |j| (i, j))) {
                let expected = reference(metric, points.row(i), points.row(j));
                let (got, allowed) = (out[i * n + j], ordinary_tolerance::<T>(metric, dimensions, expected));
                let what = format!("{isa} {metric} {n} x {dimensions} of 2^{typical} and 2^{few}");
                assert!(is_close(got, expected, allowed), "{what}: {got} for {expected} at ({i}, {j})");
            }
        }
    }
}

/// scikit-learn, PR 13410: in f32 the distance is 100.000023842, not 100.00017.
fn a_million_dimensions<T: Float>() {
    let dimensions = if small_cases() { 100_000 } else { 1_000_000 };
    let [x, y] = [1.0, 1.1].map(|x| vec![T::of(x); dimensions]);
    let difference = y[0].wide() - x[0].wide();
    for isa in isas() {
        for (metric, expected) in [
            (Metric::SquaredEuclidean, dimensions as f64 * difference * difference),
            (Metric::Euclidean, (dimensions as f64).sqrt() * difference),
            (Metric::Manhattan, dimensions as f64 * difference),
        ] {
            let got = distance(isa, metric, &x, &y);
            let allowed = 4.0 * T::EPSILON * expected;
            assert!((got.wide() - expected).abs() <= allowed, "{isa} {metric}: {got} for {expected}");
        }
        let got = distance(isa, Metric::Cosine, &x, &y);
        assert!((0.0..=tolerance::<T>(Metric::Cosine, dimensions, 0.0)).contains(&got.wide()), "{isa}: {got}");
    }
}

/// The rounding errors of a sum of equal terms have the same sign for long.
fn equal_differences<T: Float>() {
    let mut r = rng(8);
    let dimensions = [2, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 255, 256, 300, 511, 1000, 2048, 2049, 5000];
    for dimensions in dimensions.into_iter().filter(|dimensions| !small_cases() || dimensions % 3 == 1) {
        let n = if small_cases() { 6 } else { 20 };
        let data: Vec<T> = (0..n).flat_map(|_| vec![T::of(r.random_range(1.0..3.0)); dimensions]).collect();
        let points = MatRef::new(&data, n, dimensions).unwrap();
        for (metric, isa) in SUMS.into_iter().flat_map(|metric| isas().into_iter().map(move |isa| (metric, isa))) {
            let out = distances(isa, metric, points);
            for (i, j) in (0..n).flat_map(|i| (0..i).map(move |j| (i, j))) {
                let difference = (points.row(i)[0].wide() - points.row(j)[0].wide()).abs();
                let expected = match metric {
                    Metric::SquaredEuclidean => difference * difference * dimensions as f64,
                    Metric::Euclidean => difference * (dimensions as f64).sqrt(),
                    _ => difference * dimensions as f64,
                };
                // The reference in f64 rounds, too; the differences are exact only for f32.
                let allowed = (4.0 * T::EPSILON + 3.0 * f64::EPSILON) * expected;
                let got = out[i * n + j];
                assert!(
                    (got.wide() - expected).abs() <= allowed,
                    "{isa} {metric} D={dimensions}: {got} for {expected}"
                );
            }
        }
    }
}

/// One large term, and all others just below half an ulp of it.
fn conspiring_rounding_errors<T: Float>() {
    for dimensions in [16, 17, 64, 257, 2048, 10_000].into_iter().filter(|&d| !small_cases() || d < 300) {
        for metric in SUMS {
            let term = T::EPSILON * 0.49;
            let small = if metric == Metric::Manhattan { term } else { term.sqrt() };
            let x: Vec<T> = (0..dimensions).map(|d| T::of(if d == 0 { 1.0 } else { small })).collect();
            let y = vec![T::of(0.0); dimensions];
            let expected = reference(metric, &x, &y);
            for isa in isas() {
                let got = distance(isa, metric, &x, &y);
                let close = is_close(got, expected, tolerance::<T>(metric, dimensions, expected));
                assert!(close, "{isa} {metric} D={dimensions}: {got} for {expected}");
            }
        }
    }
}

fn normal_points<T: Float>(n: usize, dimensions: usize, r: &mut impl Rng) -> Vec<T> {
    (0..n * dimensions).map(|_| T::of(r.random_range(-1.0..1.0))).collect()
}

/// Reported to SciPy (#5208) and pgvector (#196): v and -v.
fn cosines_end_at_two<T: Float>() {
    let mut r = rng(9);
    for dimensions in [1, 2, 3, 5, 16, 17, 100, 300] {
        let half = if small_cases() { 10 } else { 60 };
        let mut data = normal_points::<T>(half, dimensions, &mut r);
        let opposite: Vec<T> = data.iter().map(|x| T::of(-x.wide() * 3.0)).collect();
        data.extend(opposite);
        let points = MatRef::new(&data, 2 * half, dimensions).unwrap();
        for isa in isas() {
            let out = distances(isa, Metric::Cosine, points);
            assert!(out.iter().all(|x| (0.0..=2.0).contains(&x.wide())), "{isa} D={dimensions}");
            let opposite = (0..half).map(|i| out[i * 2 * half + half + i].wide());
            assert!(opposite.into_iter().all(|x| x >= 2.0 - 8.0 * T::EPSILON), "{isa} D={dimensions}");
        }
    }
}

fn two_sets_have_the_bits_of_one<T: Float>() {
    let mut r = rng(10);
    let shapes: &[(usize, usize, usize)] = if small_cases() {
        &[(1, 1, 3), (5, 18, 20)]
    } else {
        &[(1, 1, 1), (1, 40, 3), (40, 1, 3), (3, 2, 70), (17, 33, 20), (50, 7, 100), (20, 35, 2100), (1100, 3, 2050)]
    };
    for &(n, m, dimensions) in shapes {
        let data = normal_points::<T>(n + m, dimensions, &mut r);
        let all = MatRef::new(&data, n + m, dimensions).unwrap();
        let x = MatRef::new(&data[..n * dimensions], n, dimensions).unwrap();
        let y = MatRef::new(&data[n * dimensions..], m, dimensions).unwrap();
        for (metric, isa) in METRICS.into_iter().flat_map(|metric| isas().into_iter().map(move |isa| (metric, isa))) {
            let expected = if n < 100 { distances(isa, metric, all) } else { Vec::new() };
            let width = m + 2;
            let mut out = vec![T::of(7.0); n * width];
            isa.distance_matrix_between(x, y, MatMut::with_stride(&mut out, n, m, width).unwrap(), metric).unwrap();
            for (i, row) in out.chunks(width).enumerate() {
                for (j, &got) in row[..m].iter().enumerate() {
                    let what = format!("{isa} {metric} {n} and {m} x {dimensions}, at ({i}, {j})");
                    if n < 100 {
                        assert_eq!(got.bits(), expected[i * (n + m) + n + j].bits(), "{what}");
                    } else if i % 100 == 0 {
                        let expected = reference(metric, x.row(i), y.row(j));
                        let allowed = ordinary_tolerance::<T>(metric, dimensions, expected);
                        assert!(is_close(got, expected, allowed), "{what}: {got} for {expected}");
                    }
                }
                assert!(row[m..].iter().all(|x| x.wide() == 7.0), "{isa}: the gap");
            }
        }
    }
}

fn entry_point_runs_the_best<T: Float>() {
    let data = normal_points::<T>(33, 5, &mut rng(11));
    let (x, y) = (MatRef::new(&data[..100], 20, 5).unwrap(), MatRef::new(&data[100..], 13, 5).unwrap());
    for metric in METRICS {
        let (mut a, mut b) = (vec![T::of(0.0); 260], vec![T::of(1.0); 260]);
        distance_matrix_between(x, y, MatMut::new(&mut a, 20, 13).unwrap(), metric).unwrap();
        Isa::best().distance_matrix_between(x, y, MatMut::new(&mut b, 20, 13).unwrap(), metric).unwrap();
        assert_eq!(bits_of(&a), bits_of(&b), "{metric}");
    }
}

fn bad_sets_are_named<T: Float>() {
    let one = vec![T::of(1.0); 12];
    let view = |data, rows, cols| MatRef::<T>::new(data, rows, cols).unwrap();
    let (four, empty) = (view(&one, 4, 3), view(&[], 0, 3));
    let (not_finite, zero) = ([T::of(1.0), T::of(2.0), T::of(f64::NAN)], [T::of(0.0); 3]);
    for (isa, metric) in isas().into_iter().flat_map(|isa| METRICS.map(|metric| (isa, metric))) {
        let fail = |x: MatRef<'_, T>, y: MatRef<'_, T>, (rows, cols): (usize, usize)| {
            let mut out = vec![T::of(7.0); rows * cols];
            let error = isa.distance_matrix_between(x, y, MatMut::new(&mut out, rows, cols).unwrap(), metric);
            assert!(out.iter().all(|x| x.wide() == 7.0), "outputs are untouched");
            error.unwrap_err()
        };
        assert_eq!(fail(empty, four, (0, 4)), Error::Empty { argument: "x" });
        assert_eq!(fail(four, empty, (4, 0)), Error::Empty { argument: "y" });
        assert_eq!(fail(four, view(&[], 4, 0), (4, 4)), Error::Empty { argument: "y" });
        let shape = |argument, actual, expected| Error::ShapeMismatch { argument, actual, expected };
        assert_eq!(fail(four, view(&one, 3, 4), (4, 3)), shape("y", (3, 4), (3, 3)));
        assert_eq!(fail(four, view(&one[..6], 2, 3), (2, 4)), shape("out", (2, 4), (4, 2)));
        let not_finite = view(&not_finite, 1, 3);
        for (argument, error) in [("x", fail(not_finite, four, (1, 4))), ("y", fail(four, not_finite, (4, 1)))] {
            let named = matches!(error, Error::InvalidElement { argument: a, row: 0, col: 2, .. } if a == argument);
            assert!(named, "{error} of {argument}");
        }
        if metric == Metric::Cosine {
            let undefined = |argument| Error::UndefinedCosine { argument, point: 0 };
            assert_eq!(fail(view(&zero, 1, 3), four, (1, 4)), undefined("x"));
            assert_eq!(fail(four, view(&zero, 1, 3), (4, 1)), undefined("y"));
        }
    }
}

/// SciPy, #6774.
fn zeros_have_a_distance_of_one<T: Float>() {
    let mut data = normal_points::<T>(20, 3, &mut rng(12));
    for zero in [0, 7, 19] {
        data[3 * zero..3 * zero + 3].copy_from_slice(&[T::of(0.0), T::of(-0.0), T::of(0.0)]);
    }
    let points = MatRef::new(&data, 20, 3).unwrap();
    let is_zero = |i: usize| [0, 7, 19].contains(&i);
    for isa in isas() {
        let out = distances(isa, Metric::CosineOrOne, points);
        for (i, j) in (0..20).flat_map(|i| (0..20).map(move |j| (i, j))) {
            let got = out[20 * i + j];
            match (is_zero(i), is_zero(j)) {
                (true, true) => assert_eq!(got.bits(), 0, "{isa} ({i}, {j})"),
                (false, false) => {
                    let expected = distance(isa, Metric::Cosine, points.row(i), points.row(j));
                    assert_eq!(got.bits(), expected.bits(), "{isa} ({i}, {j})");
                }
                _ => assert_eq!(got.wide(), 1.0, "{isa} ({i}, {j})"),
            }
        }
    }
}
