//! Clusterings, silhouettes, assignments and distances between fences have the bits that they have
//! in ordinary buffers.

use super::{
    fences::{Fenced, SIDES, fenced_isas},
    problems::ALGORITHMS,
};
use crate::support::{
    data::{rng, uniform},
    distances::METRICS,
    float::{Float, bits_of},
    for_both_types,
    isas::small_cases,
};
use mantex::{medoids::Clustering, *};

for_both_types! {
    medoids_at_fences
    condensed_at_fences
    quality_at_fences
    assignments_at_fences
    distances_at_fences
    distances_between_at_fences
}

/// What there is of a clustering.
fn found(clusters: Result<Clustering, Error>) -> (Vec<usize>, Vec<usize>, u64) {
    let clusters = clusters.expect("a good problem");
    (clusters.medoids().to_vec(), clusters.labels().to_vec(), clusters.loss().to_bits())
}

fn medoids_at_fences<T: Float>() {
    let [mut fence, mut weight_fence] = [(); 2].map(|()| Fenced::<T>::new(2000));
    for n in (1..=40).filter(|n| !small_cases() || n % 4 == 1) {
        let stride = n + n % 3;
        let distances = uniform::<T>((n - 1) * stride + n, 0.1, 1.0, &mut rng(73));
        let weights = uniform::<T>(n, 0.5, 2.0, &mut rng(74));
        for (isa, algorithm) in fenced_isas().into_iter().flat_map(|isa| ALGORITHMS.map(|algorithm| (isa, algorithm))) {
            let fitter = KMedoids::new(1 + n / 5).algorithm(algorithm).isa(isa);
            let fit = |distances: &[T], weights: &[T]| {
                let view = MatRef::with_stride(distances, n, n, stride).expect("it fits");
                [fitter.fit(view), fitter.fit_weighted(view, weights)].map(found)
            };
            let expected = fit(&distances, &weights);
            for side in SIDES {
                let actual = fit(fence.put(&distances, side), weight_fence.put(&weights, side));
                assert!(actual == expected, "{}/{isa}/{algorithm:?}/n={n}/{side:?}", T::NAME);
            }
        }
    }
}

fn condensed_at_fences<T: Float>() {
    let mut fence = Fenced::<T>::new(3000);
    for n in (1..=20).chain([63, 64, 65, 75]).filter(|n| !small_cases() || n % 4 < 2) {
        let condensed = uniform::<T>(n * (n - 1) / 2, 0.1, 1.0, &mut rng(80));
        for isa in fenced_isas() {
            let fitter = KMedoids::new(1 + n / 5).isa(isa);
            let expected = found(fitter.fit_condensed(&condensed));
            for side in SIDES {
                let actual = found(fitter.fit_condensed(fence.put(&condensed, side)));
                assert!(actual == expected, "{}/{isa}/n={n}/{side:?}", T::NAME);
            }
        }
    }
}

/// All silhouettes. Of one object there are not two clusters.
fn quality_at_fences<T: Float>() {
    let [mut fence, mut weight_fence, mut out_fence] = [(); 3].map(|()| Fenced::<T>::new(2000));
    let [mut label_fence, mut medoid_fence] = [(); 2].map(|()| Fenced::<usize>::new(40));
    for n in (2..=40).filter(|n| !small_cases() || n % 4 == 1) {
        let stride = n + n % 3;
        let distances = uniform::<T>((n - 1) * stride + n, 0.1, 1.0, &mut rng(81));
        let labels: Vec<usize> = (0..n).map(|i| i % 3).collect();
        let weights = uniform::<T>(n, 0.5, 2.0, &mut rng(83));
        let medoids: Vec<usize> = (0..n).rev().step_by(1 + n % 4).take(n.min(9)).collect();
        let medoids = if medoids.len() > 1 { medoids } else { vec![1, 0] };
        let unwritten = vec![T::of(99.0); n];
        for isa in fenced_isas() {
            let judge = |distances: &[T], labels: &[usize], medoids: &[usize], weights: &[T], out: &mut [T]| {
                let view = MatRef::with_stride(distances, n, n, stride).expect("it fits");
                let mean = isa.silhouette(view, labels, out).expect("two clusters or more");
                let silhouettes = bits_of(out);
                let medoid_mean = isa.medoid_silhouette(view, medoids, out).expect("two medoids or more");
                let medoid_silhouettes = bits_of(out);
                let weighted =
                    isa.medoid_silhouette_weighted(view, medoids, weights, out).expect("two medoids or more");
                let mean_weighted = isa.silhouette_weighted(view, labels, weights, out).expect("two clusters or more");
                let means = [mean, medoid_mean, weighted, mean_weighted].map(f64::to_bits);
                (means, silhouettes, medoid_silhouettes, bits_of(out))
            };
            let expected = judge(&distances, &labels, &medoids, &weights, &mut unwritten.clone());
            for side in SIDES {
                let actual = judge(
                    fence.put(&distances, side),
                    label_fence.put(&labels, side),
                    medoid_fence.put(&medoids, side),
                    weight_fence.put(&weights, side),
                    out_fence.put(&unwritten, side),
                );
                assert!(actual == expected, "{}/{isa}/n={n}/{side:?}", T::NAME);
            }
        }
    }
}

fn assignments_at_fences<T: Float>() {
    let [mut fence, mut out_fence] = [(); 2].map(|()| Fenced::<T>::new(2000));
    let mut label_fence = Fenced::<usize>::new(10);
    for k in (1..=70).filter(|k| !small_cases() || k % 8 < 2) {
        let (rows, stride) = (1 + k % 5, k + k % 3);
        let distances = uniform::<T>((rows - 1) * stride + k, 0.1, 1.0, &mut rng(82));
        let (labels, unwritten) = (vec![99; rows], vec![T::of(99.0); rows]);
        for isa in fenced_isas() {
            let run = |distances: &[T], labels: &mut [usize], out: &mut [T]| {
                let view = MatRef::with_stride(distances, rows, k, stride).expect("it fits");
                isa.assign(view, labels, out).expect("the lengths agree");
                (labels.to_vec(), bits_of(out))
            };
            let expected = run(&distances, &mut labels.clone(), &mut unwritten.clone());
            for side in SIDES {
                let actual =
                    run(fence.put(&distances, side), label_fence.put(&labels, side), out_fence.put(&unwritten, side));
                assert!(actual == expected, "{}/{isa}/{rows} x {k}/{side:?}", T::NAME);
            }
        }
    }
}

fn distances_at_fences<T: Float>() {
    let [mut fence, mut out_fence] = [(); 2].map(|()| Fenced::<T>::new(3000));
    for n in (1..=40).filter(|n| !small_cases() || n % 4 == 1) {
        let (dimensions, gap) = (1 + n * 7 % 65, n % 3);
        let points = uniform::<T>(n * (dimensions + gap) - gap, -1.0, 1.0, &mut rng(75));
        let unwritten = vec![T::of(99.0); n * (n + gap) - gap];
        for isa in fenced_isas() {
            for metric in METRICS {
                let run = |points: &[T], out: &mut [T]| {
                    let points = MatRef::with_stride(points, n, dimensions, dimensions + gap).expect("it fits");
                    let target = MatMut::with_stride(out, n, n, n + gap).expect("it fits");
                    isa.distance_matrix(points, target, metric).expect("the right shape");
                    bits_of(out)
                };
                let expected = run(&points, &mut unwritten.clone());
                for side in SIDES {
                    let actual = run(fence.put(&points, side), out_fence.put(&unwritten, side));
                    assert!(actual == expected, "{metric:?}/{}/{isa}/{n} x {dimensions}/{side:?}", T::NAME);
                }
            }
        }
    }
}

/// Between two sets; of ordinary points, and of points whose squares underflow or overflow.
fn distances_between_at_fences<T: Float>() {
    let [mut fence, mut y_fence, mut out_fence] = [(); 3].map(|()| Fenced::<T>::new(3000));
    let out_of_range = [1.0, T::LARGEST.wide().sqrt() * 64.0, 1.0 / T::LARGEST.wide().sqrt() / 64.0];
    for n in (1..=40).filter(|n| !small_cases() || n % 4 == 1) {
        let (m, dimensions, gap) = (1 + n * 11 % 37, 1 + n * 7 % 65, n % 3);
        let unwritten = vec![T::of(99.0); n * (m + gap) - gap];
        for (size, isa) in out_of_range.into_iter().flat_map(|size| fenced_isas().into_iter().map(move |i| (size, i))) {
            let [x, y] = [(n, 76), (m, 77)]
                .map(|(n, seed)| uniform::<T>(n * (dimensions + gap) - gap, -size, size, &mut rng(seed)));
            for metric in METRICS {
                let run = |x: &[T], y: &[T], out: &mut [T]| {
                    let [x, y] = [(x, n), (y, m)].map(|(points, n)| {
                        MatRef::with_stride(points, n, dimensions, dimensions + gap).expect("it fits")
                    });
                    let target = MatMut::with_stride(out, n, m, m + gap).expect("it fits");
                    isa.distance_matrix_between(x, y, target, metric).expect("the right shape");
                    bits_of(out)
                };
                let expected = run(&x, &y, &mut unwritten.clone());
                for side in SIDES {
                    let actual = run(fence.put(&x, side), y_fence.put(&y, side), out_fence.put(&unwritten, side));
                    assert!(actual == expected, "{metric:?}/{}/{isa}/{n}, {m} x {dimensions}/{side:?}", T::NAME);
                }
            }
        }
    }
}
