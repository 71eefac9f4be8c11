//! Distance matrices against sums in double-double arithmetic.

use crate::support::{
    data::rng,
    distances::{METRICS, ordinary_tolerance, reference},
    float::{Float, same_bits},
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::{Error, Isa, MatMut, MatRef, Metric, distance_matrix};
use rand::{Rng, RngExt};

for_both_types! {
    distances_are_as_accurate_as_documented
    entry_point_runs_the_best
    extremes
    bad_points_are_named
}

/// Points of several kinds, in a view with `gap` elements of NaN between the rows.
fn points<T: Float>(kind: &str, n: usize, dimensions: usize, gap: usize, r: &mut impl Rng) -> Vec<T> {
    let mut data = Vec::new();
    for i in 0..n {
        for d in 0..dimensions {
            let x: f64 = r.random_range(-1.0..1.0);
            data.push(match kind {
                "around the origin" => x,
                // Near to each other, with which |x|² + |y|² - 2xy has no digit left.
                "far out" => 4096.0 * (1.0 + d as f64) + x,
                "nearly parallel" => (i + 1) as f64 * (1.0 + d as f64 + 1e-4 * x),
                "of every size" => x * 2.0_f64.powi(r.random_range(-20..20)),
                _ => panic!("no kind of points is called {kind}"),
            });
        }
        data.extend(std::iter::repeat_n(f64::NAN, gap));
    }
    data.into_iter().map(T::of).collect()
}

/// The reference of every pair. Those of one set are computed once.
fn references<T: Float>(metric: Metric, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Vec<f64> {
    let mut expected = vec![0.0; x.rows() * y.rows()];
    let one_set = std::ptr::eq(x.row(0), y.row(0));
    for (i, j) in (0..x.rows()).flat_map(|i| (0..y.rows()).map(move |j| (i, j))) {
        let mirrored = one_set && j < i;
        let distance = if mirrored { expected[j * y.rows() + i] } else { reference(metric, x.row(i), y.row(j)) };
        expected[i * y.rows() + j] = distance;
    }
    expected
}

fn check<T: Float>(kind: &str, n: usize, dimensions: usize, r: &mut impl Rng) {
    let gap = n % 3;
    let mut data = points::<T>(kind, n, dimensions, gap, r);
    let stride = dimensions + gap;
    if n > 3 {
        // Equal points.
        let (first, last) = data.split_at_mut((n - 1) * stride);
        last[..dimensions].copy_from_slice(&first[stride..][..dimensions]);
    }
    let points = MatRef::with_stride(&data, n, dimensions, stride).unwrap();
    for metric in METRICS {
        let expected = references(metric, points, points);
        for isa in isas() {
            let what = format!("{metric:?}/{}/{isa}/{kind}/n={n}/D={dimensions}", T::NAME);
            let width = n + gap;
            let mut out = vec![T::of(7.0); n * width];
            isa.distance_matrix(points, MatMut::with_stride(&mut out, n, n, width).unwrap(), metric).unwrap();
            for i in 0..n {
                for j in 0..n {
                    let (got, expected) = (out[i * width + j], expected[i * n + j]);
                    let error = (got.wide() - expected).abs();
                    let allowed = ordinary_tolerance::<T>(metric, dimensions, expected);
                    assert!(i == j || error <= allowed, "{what}: {got} for {expected} at ({i}, {j})");
                    assert_eq!(got.bits(), out[j * width + i].bits(), "{what}: symmetric at ({i}, {j})");
                }
                assert_eq!(out[i * width + i].bits(), 0, "{what}: the diagonal at {i}");
                assert!(out[i * width + n..(i + 1) * width].iter().all(|x| x.wide() == 7.0), "{what}: the gap");
            }
            if n > 3 {
                assert_eq!(out[width + n - 1].bits(), 0, "{what}: equal points");
            }
        }
    }
}

fn distances_are_as_accurate_as_documented<T: Float>() {
    let mut r = rng(1);
    let kinds = ["around the origin", "far out", "nearly parallel", "of every size"];
    let few: &[usize] =
        if small_cases() { &[1, 5, 17] } else { &[1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 65] };
    for &n in few {
        for kind in kinds {
            check::<T>(kind, n, 3 + n % 4, &mut r);
        }
    }
    let dimensions: &[usize] =
        if small_cases() { &[1, 16, 255, 257] } else { &[1, 2, 8, 15, 16, 17, 64, 100, 255, 256, 257, 513, 600] };
    for &dimensions in dimensions {
        for kind in kinds {
            check::<T>(kind, 9, dimensions, &mut r);
        }
    }
    // More dimensions than a panel has, and more points than a block of panels.
    for (n, dimensions) in
        if small_cases() { [(5, 2048), (5, 2049), (5, 4100)] } else { [(35, 2048), (70, 2049), (35, 4100)] }
    {
        check::<T>("around the origin", n, dimensions, &mut r);
    }
}

fn entry_point_runs_the_best<T: Float>() {
    let data = points::<T>("around the origin", 21, 5, 0, &mut rng(2));
    let points = MatRef::new(&data, 21, 5).unwrap();
    for metric in METRICS {
        let (mut a, mut b) = (vec![T::of(0.0); 441], vec![T::of(1.0); 441]);
        distance_matrix(points, MatMut::new(&mut a, 21, 21).unwrap(), metric).unwrap();
        Isa::best().distance_matrix(points, MatMut::new(&mut b, 21, 21).unwrap(), metric).unwrap();
        assert!(same_bits(&a, &b), "{metric:?}");
    }
}

/// Cosines do not overflow or vanish with the points; squares may overflow, but never to NaN.
fn extremes<T: Float>() {
    let large = T::LARGEST.wide();
    let tiny = T::TINIEST.wide();
    let data: Vec<T> = [large, large, -large, large, tiny, tiny, tiny * 4.0, 0.0].iter().map(|&x| T::of(x)).collect();
    let points = MatRef::new(&data, 4, 2).unwrap();
    for isa in isas() {
        let mut out = vec![T::of(7.0); 16];
        isa.distance_matrix(points, MatMut::new(&mut out, 4, 4).unwrap(), Metric::Cosine).unwrap();
        let half = 1.0 - 0.5_f64.sqrt();
        for (at, expected) in [(1, 1.0), (2, 0.0), (3, half), (6, 1.0), (7, 1.0 + 0.5_f64.sqrt()), (11, half)] {
            let got = out[at].wide();
            assert!((got - expected).abs() <= 4.0 * T::EPSILON, "{isa} {at}: {got} {expected}");
        }
        for metric in [Metric::SquaredEuclidean, Metric::Euclidean, Metric::Manhattan] {
            isa.distance_matrix(points, MatMut::new(&mut out, 4, 4).unwrap(), metric).unwrap();
            assert!(out[1].wide() == f64::INFINITY || metric == Metric::Manhattan && out[2].wide().is_infinite());
            assert!((0..4).all(|i| out[5 * i].bits() == 0) && out.iter().all(|x| x.wide() >= 0.0), "{isa} {metric:?}");
        }
    }
}

fn bad_points_are_named<T: Float>() {
    let fail = |data: &[T], rows: usize, cols: usize, side: (usize, usize), metric: Metric, expected: Option<Error>| {
        for isa in isas() {
            let mut out = vec![T::of(7.0); side.0 * side.1];
            let points = MatRef::new(data, rows, cols).unwrap();
            let out_view = MatMut::new(&mut out, side.0, side.1).unwrap();
            let error = isa.distance_matrix(points, out_view, metric).unwrap_err();
            match (&expected, error) {
                (Some(expected), error) => assert_eq!(*expected, error),
                (None, Error::InvalidElement { argument: "points", row, col, expected: "finite", .. }) => {
                    assert!(!data[row * cols + col].wide().is_finite());
                }
                (None, error) => panic!("{error}"),
            }
            assert!(out.iter().all(|x| x.wide() == 7.0), "outputs are untouched");
        }
    };
    let one = vec![T::of(1.0); 12];
    for metric in METRICS {
        fail(&[], 0, 3, (0, 0), metric, Some(Error::Empty { argument: "points" }));
        fail(&[], 3, 0, (3, 3), metric, Some(Error::Empty { argument: "points" }));
        for side in [(3, 4), (4, 3), (3, 3), (5, 5), (0, 0)] {
            let shape = Error::ShapeMismatch { argument: "out", actual: side, expected: (4, 4) };
            fail(&one, 4, 3, side, metric, Some(shape));
        }
        for cols in [1, 3, 20, 70] {
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                for at in [0, cols - 1, cols, 2 * cols - 1, cols + cols / 2] {
                    let mut data = vec![T::of(1.0); 2 * cols];
                    data[at] = T::of(bad);
                    fail(&data, 2, cols, (2, 2), metric, None);
                }
            }
        }
    }
    let mut zero = one.clone();
    zero[6..9].copy_from_slice(&[T::of(0.0), T::of(-0.0), T::of(0.0)]);
    fail(&zero, 4, 3, (4, 4), Metric::Cosine, Some(Error::UndefinedCosine { argument: "points", point: 2 }));
}

#[test]
fn metrics_have_names() {
    for metric in METRICS {
        let name = metric.to_string();
        assert_eq!(name.parse(), Ok(metric));
        assert_eq!(name.to_uppercase().parse(), Ok(metric));
    }
    let error = "Chebyshev".parse::<Metric>().unwrap_err();
    let expected =
        "`metric` is \"Chebyshev\"; it must be squared_euclidean, euclidean, manhattan, cosine or cosine_or_one";
    assert_eq!(error.to_string(), expected);
}
