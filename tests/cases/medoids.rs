//! k-medoids and what belongs to it: fits, condensed matrices, new objects, silhouettes, distance
//! matrices.

use super::{Bytes, Matrix, same_error};
use crate::support::distances::{METRICS, is_close, reference, tolerance};
use crate::support::{float::Float, guarded::Guarded, isas::isas};
use mantex::medoids::{Algorithm, Clustering, Init, Progress, expand_condensed};
use mantex::{Error, Isa, KMedoids, MatRef};
use std::ops::ControlFlow;

pub(crate) fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    if bytes.flag() { family::<f32>(&mut bytes) } else { family::<f64>(&mut bytes) }
}

fn family<T: Float>(bytes: &mut Bytes<'_>) {
    match bytes.below(8) {
        0..4 => fit::<T>(bytes),
        4 => silhouettes::<T>(bytes),
        5 => new_objects::<T>(bytes),
        _ => distances::<T>(bytes),
    }
}

/// Dissimilarities: small whole numbers, whose sums are exact (`true`), or anything, mostly made
/// good.
fn dissimilarities<T: Float>(bytes: &mut Bytes<'_>, rows: usize, cols: usize) -> (Matrix<T>, bool) {
    let exact = bytes.flag();
    let (any, most) = (bytes.rarely(), 1 + bytes.below(60));
    let mut d = bytes.matrix::<T>(rows, cols);
    let good = |x: &mut T| {
        if exact {
            *x = T::of((x.bits() % most as u64) as f64);
        } else if !any {
            *x = T::of(if x.wide().is_finite() { x.wide().abs() } else { 0.5 });
        }
    };
    (0..rows).for_each(|i| d.view_mut().row_mut(i).iter_mut().for_each(good));
    (d, exact)
}

/// The distance to the nearest of these medoids, and the position of the lowest that is as near.
fn nearest<T: Float>(d: MatRef<'_, T>, medoids: &[usize], o: usize) -> (f64, usize) {
    let to = |i: usize| (d.row(medoids[i])[o].wide(), i);
    (0..medoids.len()).map(to).reduce(|a, b| if b.0 < a.0 { b } else { a }).expect("a medoid")
}

fn loss<T: Float>(d: MatRef<'_, T>, weights: &[T], medoids: &[usize]) -> f64 {
    (0..d.rows()).map(|o| weights.get(o).map_or(1.0, |w| w.wide()) * nearest(d, medoids, o).0).sum()
}

fn fit<T: Float>(bytes: &mut Bytes<'_>) {
    let n = bytes.below(41);
    let cols = if bytes.rarely() { bytes.below(41) } else { n };
    let (d, exact) = dissimilarities::<T>(bytes, n, cols);
    let k = if bytes.rarely() { bytes.below(50) } else { 1 + bytes.below(n.max(1)) };
    let seed = u64::from(bytes.byte());
    let algorithm = bytes.pick(&[
        Algorithm::FasterPam,
        Algorithm::FastPam1,
        Algorithm::Alternating,
        Algorithm::RandomFasterPam { seed },
    ]);
    let given = (0..k).map(|i| if bytes.rarely() { bytes.below(50) } else { (i * 7 + 3) % n.max(1) });
    let given = given.collect();
    let init = match bytes.below(5) {
        0 => Init::Build,
        1 => Init::Lab { seed },
        2 => Init::Random { seed },
        3 => Init::PlusPlus { seed },
        _ => Init::Given(given),
    };
    let limit = bytes.pick(&[0, 1, 2, 100]);
    let weights: Vec<T> = if bytes.flag() {
        Vec::new()
    } else if exact || bytes.flag() {
        (0..n).map(|_| T::of(bytes.below(6) as f64)).collect()
    } else {
        bytes.numbers::<T>(n).into_iter().map(|x| T::of(x.wide().abs())).collect()
    };
    let options = KMedoids::new(k).algorithm(algorithm).init(init).max_iterations(limit);
    let run = |isa: Isa| {
        let mut told: Vec<(usize, f64)> = Vec::new();
        let options = options.clone().isa(isa);
        let on_iteration = |progress: &Progress| {
            assert_eq!(progress.iteration, told.len() + 1);
            told.push((progress.swaps, progress.loss));
            ControlFlow::Continue(())
        };
        let weights = (!weights.is_empty()).then_some(&weights[..]);
        let result = options.fit_with_progress(d.view(), weights, on_iteration);
        (result, told)
    };
    let scalar = run(isas()[isas().len() - 1]).0;
    for isa in isas() {
        let (result, told) = run(isa);
        let got = match (&result, &scalar) {
            (Ok(got), Ok(_)) => got,
            (Err(error), Err(same)) if same_error(error, same) => continue,
            // How good the medoids are decides whether their sum overflows.
            (_, Err(Error::SumOverflow { .. })) | (Err(Error::SumOverflow { .. }), _) if !exact => continue,
            (error, other) => panic!("{error:?} on {isa}, {other:?} on scalar"),
        };
        check_clustering(isa, d.view(), &weights, k, got);
        assert_eq!((got.iterations(), got.swaps()), (told.len(), told.last().map_or(0, |told| told.0)), "{isa}");
        assert!(got.iterations() <= limit);
        // Rounding of the sums, where a swap moves little.
        let falls = |w: &[(usize, f64)]| w[1].1 <= w[0].1 * (1.0 + 100.0 * f64::EPSILON) || w[0].1 == f64::INFINITY;
        assert!(told.windows(2).all(falls), "{told:?} on {isa}");
        if exact {
            assert_eq!(Ok(got), scalar.as_ref(), "{isa} and scalar");
            if got.converged() && algorithm != Algorithm::Alternating && n <= 12 {
                check_optimum(isa, d.view(), &weights, got.medoids());
            }
        }
    }
}

/// Labels are nearest medoids, or medoids' own clusters; the loss is that of the nearest.
fn check_clustering<T: Float>(isa: Isa, d: MatRef<'_, T>, weights: &[T], k: usize, got: &Clustering) {
    let (n, medoids) = (d.rows(), got.medoids());
    assert!(medoids.len() == k && got.labels().len() == n, "{isa}");
    assert!(medoids.iter().enumerate().all(|(i, m)| *m < n && !medoids[..i].contains(m)), "{medoids:?} on {isa}");
    for (o, &label) in got.labels().iter().enumerate() {
        let own = medoids.iter().position(|&m| m == o);
        assert_eq!(label, own.unwrap_or(nearest(d, medoids, o).1), "the label of {o} on {isa}");
    }
    let loss = loss(d, weights, medoids);
    let rounded = (got.loss() - loss).abs() <= (n + 1) as f64 * f64::EPSILON * loss;
    // Products below the normal numbers are rounded by more, and above the largest the reference is
    // infinite.
    let rounded = rounded || got.loss().to_bits() == loss.to_bits() || loss < 1e-290;
    assert!(rounded, "a loss of {} for {loss} on {isa}", got.loss());
}

/// No swap lowers the loss.
fn check_optimum<T: Float>(isa: Isa, d: MatRef<'_, T>, weights: &[T], medoids: &[usize]) {
    let best = loss(d, weights, medoids);
    for candidate in (0..d.rows()).filter(|c| !medoids.contains(c)) {
        for position in 0..medoids.len() {
            let mut swapped = medoids.to_vec();
            swapped[position] = candidate;
            assert!(loss(d, weights, &swapped) >= best, "{candidate} at {position} of {medoids:?} is better on {isa}");
        }
    }
}

/// Assignment, and condensed matrices, against simple loops.
fn new_objects<T: Float>(bytes: &mut Bytes<'_>) {
    let (rows, cols) = (bytes.below(60), bytes.below(41));
    let (d, _) = dissimilarities::<T>(bytes, rows, cols);
    let d = d.view();
    let bad = d.iter_rows().flatten().any(|x| !(0.0..f64::INFINITY).contains(&x.wide()));
    let more = usize::from(bytes.rarely());
    for isa in isas() {
        let (mut labels, mut distances) = (vec![77; rows], Guarded::<T>::unwritten(rows + more, 3));
        let result = isa.assign(d, &mut labels, distances.get_mut());
        assert_eq!(result.is_ok(), cols > 0 && !bad && more == 0, "{result:?} on {isa}");
        for (i, (&label, &distance)) in labels.iter().zip(distances.check()).enumerate() {
            if result.is_err() {
                assert!(label == 77 && Guarded::is_guard(distance), "written before an error on {isa}");
                continue;
            }
            let expected = (0..cols).reduce(|a, b| if d.row(i)[b] < d.row(i)[a] { b } else { a });
            assert_eq!((Some(label), distance), (expected, d.row(i)[label]), "object {i} on {isa}");
        }
    }
    let condensed = bytes.numbers::<T>(rows.min(20) * (rows.min(20) + 1) / 2 + more);
    let n = bytes.below(3) + rows.min(20);
    let mut out = Matrix::<T>::unwritten(n, n, 3);
    let result = expand_condensed(&condensed, out.view_mut());
    assert_eq!(result.is_ok(), condensed.len() == n * n.saturating_sub(1) / 2, "{result:?}");
    if result.is_err() {
        assert!(out.is_untouched());
        return;
    }
    let out = out.written();
    assert!((0..n).all(|i| out[i][i].bits() == 0));
    for ((i, j), x) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).zip(&condensed) {
        assert!(out[i][j].bits() == x.bits() && out[j][i].bits() == x.bits(), "({i}, {j})");
    }
    // No dissimilarities are those of one object.
    if n == 0 {
        return;
    }
    let fits = [
        KMedoids::new(1 + more).fit_condensed(&condensed),
        KMedoids::new(1 + more).fit(MatRef::new(&out.concat(), n, n).expect("it fits")),
    ];
    match fits {
        [Ok(a), Ok(b)] => assert_eq!(a, b),
        [Err(a), Err(b)] => assert!(same_error(&a, &b), "{a:?} {b:?}"),
        other => panic!("{other:?}"),
    }
}

/// Silhouettes by their definitions; sums in f64 of at most some dozens of terms, and a rounding to
/// the type.
fn silhouettes<T: Float>(bytes: &mut Bytes<'_>) {
    let n = bytes.below(41);
    let (d, _) = dissimilarities::<T>(bytes, n, n);
    let d = d.view();
    let clusters = 1 + bytes.below(n.max(1));
    let mut labels: Vec<usize> = (0..n).map(|_| bytes.below(clusters)).collect();
    if n > 0 && bytes.rarely() {
        labels[0] = bytes.below(50);
    }
    let good = d.iter_rows().flatten().all(|x| (0.0..1e300).contains(&x.wide()));
    let all_good = n > 0 && good && labels.iter().all(|&label| label < n) && labels.iter().any(|&l| l != labels[0]);
    let medoids: Vec<usize> =
        (0..bytes.below(n + 1)).map(|i| if bytes.rarely() { bytes.below(50) } else { (i * 7 + 3) % n }).collect();
    let close = |got: T, expected: f64| (got.wide() - expected).abs() <= T::EPSILON + 2000.0 * f64::EPSILON;
    let mut errors: Vec<[Option<Error>; 2]> = Vec::new();
    let weights: Vec<T> = (0..n).map(|_| T::of(bytes.below(4) as f64)).collect();
    let counts = |label: usize| (0..n).any(|o| labels[o] == label && weights[o].wide() > 0.0);
    let all_weigh = all_good && (0..n).filter(|&label| counts(label)).count() > 1;
    for isa in isas() {
        let mut out = Guarded::<T>::unwritten(n, 1);
        let mean = isa.silhouette_weighted(d, &labels, &weights, out.get_mut());
        assert!(mean.is_ok() || !all_weigh, "{mean:?} on {isa}");
        let untouched = out.check().iter().all(|&x| Guarded::is_guard(x));
        assert!(mean.is_ok() || untouched, "written before an error on {isa}");
        if mean.is_ok() && all_weigh {
            for (o, &got) in out.check().iter().enumerate() {
                let expected = silhouette_of(d, &labels, &weights, o);
                assert!(close(got, expected), "the weighted silhouette of {o} is {got} for {expected} on {isa}");
            }
        }
        let (mut out, mut medoid_out) = (Guarded::<T>::unwritten(n, 1), Guarded::<T>::unwritten(n, 0));
        let mean = isa.silhouette(d, &labels, out.get_mut());
        let medoid_mean = isa.medoid_silhouette(d, &medoids, medoid_out.get_mut());
        for (mean, out) in [(&mean, &out), (&medoid_mean, &medoid_out)] {
            let untouched = out.check().iter().all(|&x| Guarded::is_guard(x));
            assert!(mean.is_ok() || untouched, "written before an error on {isa}");
        }
        errors.push([mean.clone().err(), medoid_mean.clone().err()]);
        assert!(mean.is_ok() || !all_good, "{mean:?} on {isa}");
        if let (Ok(mean), true) = (mean, all_good) {
            let expected: Vec<f64> = (0..n).map(|o| silhouette_of(d, &labels, &[], o)).collect();
            for (o, (&got, &expected)) in out.check().iter().zip(&expected).enumerate() {
                assert!(close(got, expected), "the silhouette of {o} is {got} for {expected} on {isa}");
            }
            let expected = expected.iter().sum::<f64>() / n as f64;
            assert!((mean - expected).abs() <= 2000.0 * f64::EPSILON, "a mean of {mean} on {isa}");
        }
        if medoid_mean.is_ok() {
            for (o, &got) in medoid_out.check().iter().enumerate() {
                let mut to: Vec<f64> = medoids.iter().map(|&m| d.row(m)[o].wide()).collect();
                to.sort_by(f64::total_cmp);
                let expected = if to[1] == 0.0 { 0.0 } else { 1.0 - to[0] / to[1] };
                assert!(close(got, expected), "the medoid silhouette of {o} is {got} for {expected} on {isa}");
            }
        }
    }
    let told: Vec<String> = errors.iter().map(|errors| format!("{errors:?}")).collect();
    assert!(told.iter().all(|errors| *errors == told[0]), "{told:?}");
}

/// From the definition, with sums in f64. Without weights all are 1.
fn silhouette_of<T: Float>(d: MatRef<'_, T>, labels: &[usize], weights: &[T], o: usize) -> f64 {
    let n = d.rows();
    let mean = |label: usize| {
        let weight = |p: usize| weights.get(p).map_or(1.0, |w| w.wide());
        let others = || (0..n).filter(|&p| p != o && labels[p] == label);
        let total: f64 = others().map(weight).sum();
        (total > 0.0).then(|| others().map(|p| weight(p) * d.row(p)[o].wide()).sum::<f64>() / total)
    };
    let Some(a) = mean(labels[o]) else { return 0.0 };
    let b = (0..n).filter(|&label| label != labels[o]).filter_map(mean).fold(f64::INFINITY, f64::min);
    if a.max(b) == 0.0 { 0.0 } else { (b - a) / a.max(b) }
}

/// Distance matrices: symmetric, with zeros on the diagonal, never NaN, and as accurate as
/// documented. Those between two sets have the same bits.
fn distances<T: Float>(bytes: &mut Bytes<'_>) {
    let dimensions = if bytes.rarely() { bytes.below(300) } else { bytes.below(24) };
    let n = bytes.below(if dimensions > 24 { 12 } else { 41 });
    let mut points = bytes.matrix::<T>(n, dimensions);
    if !bytes.rarely() {
        let good = |x: &mut T| *x = if x.wide().is_finite() { *x } else { T::of(0.5) };
        (0..n).for_each(|i| points.view_mut().row_mut(i).iter_mut().for_each(good));
    }
    let points = points.view();
    let metric = bytes.pick(&METRICS);
    let wrong = usize::from(bytes.rarely());
    let mut scalar: Option<Result<(), Error>> = None;
    for isa in isas().into_iter().rev() {
        let mut out = Matrix::<T>::unwritten(n, n + wrong, 2);
        let result = isa.distance_matrix(points, out.view_mut(), metric);
        let mut between = Matrix::<T>::unwritten(n, n + wrong, 3);
        let between_result = isa.distance_matrix_between(points, points, between.view_mut(), metric);
        assert_eq!(result.is_ok(), between_result.is_ok(), "{between_result:?} between two sets on {isa}");
        let expected = scalar.get_or_insert_with(|| result.clone());
        assert_eq!(format!("{result:?}"), format!("{expected:?}"), "{isa} and scalar");
        if result.is_err() {
            assert!(out.is_untouched() && between.is_untouched(), "written before an error on {isa}");
            continue;
        }
        let (out, between) = (out.written(), between.written());
        assert!((0..n).all(|i| out[i][i].bits() == 0), "the diagonal on {isa}");
        for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let got = out[i][j];
            assert_eq!(got.bits(), out[j][i].bits(), "symmetric at ({i}, {j}) on {isa}");
            assert_eq!(got.bits(), between[i][j].bits(), "between two sets at ({i}, {j}) on {isa}");
            assert!(got.wide() >= 0.0, "{got} at ({i}, {j}) on {isa}");
            if j < i {
                let expected = reference(metric, points.row(i), points.row(j));
                let close = is_close(got, expected, tolerance::<T>(metric, dimensions, expected));
                assert!(close, "{metric:?} of {got} for {expected} at ({i}, {j}) on {isa}");
            }
        }
    }
}
