//! k-medoids against textbook references, which recompute the loss for every choice.

mod alternating;
mod assignment;
mod condensed;
mod distance_range;
mod distances;
mod distributed;
mod duplicates;
mod errors;
mod fasterpam;
mod fastpam1;
mod magnitudes;
mod numbers;
mod settings;
mod silhouettes;
mod weights;

use crate::support::{data::rng, float::Float};
use mantex::{KMedoids, MatRef, medoids::Clustering};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Normal};

/// A square matrix, row by row, and the weights of the objects if they have any.
#[derive(Clone)]
struct Square {
    n: usize,
    d: Vec<f64>,
    weights: Option<Vec<f64>>,
}

impl Square {
    fn from_fn(n: usize, f: impl FnMut(usize, usize) -> f64) -> Self {
        let mut f = f;
        Self { n, d: (0..n * n).map(|i| f(i / n, i % n)).collect(), weights: None }
    }

    fn at(&self, c: usize, o: usize) -> f64 {
        self.d[c * self.n + o]
    }

    fn weight(&self, o: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[o])
    }

    fn loss(&self, medoids: &[usize]) -> f64 {
        let nearest = |o: usize| medoids.iter().map(|&m| self.at(m, o)).fold(f64::INFINITY, f64::min);
        (0..self.n).map(|o| self.weight(o) * nearest(o)).sum()
    }

    /// The matrix with its values rounded to `T`.
    fn rounded<T: Float>(&self) -> Self {
        let round = |x: &[f64]| x.iter().map(|&x| T::of(x).wide()).collect::<Vec<f64>>();
        Self { n: self.n, d: round(&self.d), weights: self.weights.as_deref().map(round) }
    }

    fn to<T: Float>(&self) -> Vec<T> {
        self.d.iter().map(|&x| T::of(x)).collect()
    }

    /// The result of `options` on this matrix, in a view with `gap` elements of NaN between rows.
    fn fit<T: Float>(&self, options: &KMedoids, gap: usize) -> Clustering {
        let mut data = Vec::new();
        for row in self.to::<T>().chunks(self.n) {
            data.extend_from_slice(row);
            data.extend(std::iter::repeat_n(T::of(f64::NAN), gap));
        }
        let d = MatRef::with_stride(&data, self.n, self.n, self.n + gap).unwrap();
        match &self.weights {
            None => options.fit(d).unwrap(),
            Some(weights) => {
                let weights: Vec<T> = weights.iter().map(|&w| T::of(w)).collect();
                options.fit_weighted(d, &weights).unwrap()
            }
        }
    }
}

fn points(n: usize, rng: &mut impl Rng, mut coordinate: impl FnMut(&mut dyn Rng) -> f64) -> Vec<[f64; 2]> {
    (0..n).map(|_| [coordinate(rng), coordinate(rng)]).collect()
}

fn manhattan(p: &[[f64; 2]]) -> Square {
    Square::from_fn(p.len(), |a, b| (p[a][0] - p[b][0]).abs() + (p[a][1] - p[b][1]).abs())
}

fn euclidean(p: &[[f64; 2]]) -> Square {
    Square::from_fn(p.len(), |a, b| (p[a][0] - p[b][0]).hypot(p[a][1] - p[b][1]))
}

/// Random matrices of every kind. Sums of all but "random" and "asymmetric" are exact, so that
/// equal losses are computed as equal.
fn cases(n: usize, seed: u64) -> Vec<(&'static str, Square)> {
    let mut r = rng(seed);
    let normal = Normal::new(0.0, 10.0).unwrap();
    let random = euclidean(&points(n, &mut r, |mut r| normal.sample(&mut r)));
    let integer = manhattan(&points(n, &mut r, |r| f64::from(r.random_range(0..1000))));
    let originals = points(n.div_ceil(4), &mut r, |r| f64::from(r.random_range(0..64)) / 8.0);
    let copies: Vec<_> = (0..n).map(|_| originals[r.random_range(0..originals.len())]).collect();
    let duplicated = manhattan(&copies);
    let mut tied = Square::from_fn(n, |_, _| f64::from(r.random_range(1..5)));
    for a in 0..n {
        tied.d[a * n + a] = 0.0;
        for b in 0..a {
            tied.d[a * n + b] = tied.d[b * n + a];
        }
    }
    let asymmetric = Square::from_fn(n, |_, _| r.random_range(0.0..1.0));
    vec![
        ("random", random),
        ("integer", integer),
        ("duplicated", duplicated),
        ("tied", tied),
        ("asymmetric", asymmetric),
        ("equal", Square::from_fn(n, |_, _| 1.0)),
        ("zero", Square::from_fn(n, |_, _| 0.0)),
    ]
}

/// The same with weights: integers, or fractions if sums are not exact anyway.
fn weighted(cases: Vec<(&'static str, Square)>, seed: u64) -> Vec<(&'static str, Square)> {
    let mut r = rng(seed);
    let mut weigh = |name: &str, n: usize| -> Vec<f64> {
        let whole = name != "random" && name != "asymmetric";
        (0..n).map(|_| if whole { f64::from(r.random_range(1..6)) } else { r.random_range(0.1..10.0) }).collect()
    };
    cases.into_iter().map(|(name, d)| (name, Square { weights: Some(weigh(name, d.n)), ..d })).collect()
}

/// The best swap. Of equally good ones it has the lowest candidate, then the lowest cluster.
fn best_swap(d: &Square, medoids: &[usize]) -> Option<(usize, usize, f64)> {
    let before = d.loss(medoids);
    let mut best: Option<(usize, usize, f64)> = None;
    for c in (0..d.n).filter(|c| !medoids.contains(c)) {
        for i in 0..medoids.len() {
            let mut swapped = medoids.to_vec();
            swapped[i] = c;
            let loss = d.loss(&swapped);
            // A difference that the order of summation makes is no improvement.
            if loss < best.map_or(before, |b| b.2) - 1e-12 * before {
                best = Some((c, i, loss));
            }
        }
    }
    best
}

/// PAM's SWAP phase by brute force: the medoids and the number of swaps.
fn pam(d: &Square, medoids: &[usize]) -> (Vec<usize>, usize) {
    let (mut medoids, mut swaps) = (medoids.to_vec(), 0);
    while let Some((c, i, _)) = best_swap(d, &medoids) {
        medoids[i] = c;
        swaps += 1;
    }
    (medoids, swaps)
}

/// The tolerance: one rounding to `T`, and the reference's own error of n additions in `f64`.
fn tolerance<T: Float>(n: usize, expected: f64) -> f64 {
    (T::EPSILON + n as f64 * f64::EPSILON) * expected
}

/// Checks that the result is a clustering of this matrix: labels are nearest medoids, or medoids'
/// own clusters, and the loss is the sum of the distances to nearest medoids.
fn check_consistent(d: &Square, k: usize, got: &Clustering, what: &str) {
    let medoids = got.medoids();
    assert_eq!(medoids.len(), k, "{what}");
    assert!(medoids.iter().enumerate().all(|(i, m)| *m < d.n && !medoids[..i].contains(m)), "{what}: {medoids:?}");
    for (o, &label) in got.labels().iter().enumerate() {
        // A medoid belongs to its own cluster, even if another medoid is as near or nearer.
        let own = medoids.iter().position(|&m| m == o);
        let nearest = (0..k).min_by(|&a, &b| d.at(medoids[a], o).total_cmp(&d.at(medoids[b], o)));
        assert_eq!(Some(label), own.or(nearest), "{what}: label of {o}");
    }
    assert_eq!(got.labels().len(), d.n, "{what}");
    let loss = d.loss(medoids);
    assert!((got.loss() - loss).abs() <= tolerance::<f64>(d.n, loss), "{what}: {} {loss}", got.loss());
}

/// For every object the cluster of its nearest medoid, the distance to that medoid, and the
/// distance to the second nearest.
fn nearest(d: &Square, medoids: &[usize]) -> Vec<(usize, f64, f64)> {
    let of = |o: usize| {
        let mut order: Vec<usize> = (0..medoids.len()).collect();
        order.sort_by(|&a, &b| d.at(medoids[a], o).total_cmp(&d.at(medoids[b], o)));
        (order[0], d.at(medoids[order[0]], o), order.get(1).map_or(f64::INFINITY, |&i| d.at(medoids[i], o)))
    };
    (0..d.n).map(of).collect()
}

/// The best of the swaps of `c` by its change of the loss, from the definition of the sums.
fn textbook_swap_of(d: &Square, nearest: &[(usize, f64, f64)], k: usize, c: usize) -> (usize, f64) {
    let mut changes = vec![0.0; k];
    for (o, &(n1, d1, d2)) in nearest.iter().enumerate() {
        let new = d.at(c, o);
        for (i, change) in changes.iter_mut().enumerate() {
            *change += d.weight(o) * (new.min(if i == n1 { d2 } else { d1 }) - d1);
        }
    }
    changes.into_iter().enumerate().fold((0, f64::INFINITY), |best, x| if x.1 < best.1 { x } else { best })
}

/// The best swap, by its change of the loss.
fn textbook_best_swap(d: &Square, medoids: &[usize]) -> (usize, usize, f64) {
    let near = nearest(d, medoids);
    let mut best = (0, 0, 0.0);
    for c in (0..d.n).filter(|c| !medoids.contains(c)) {
        let (i, change) = textbook_swap_of(d, &near, medoids.len(), c);
        if change < best.2 {
            best = (c, i, change);
        }
    }
    best
}

/// n rows of `cols` numbers between 0 and 1, as the type holds them, in a view with a gap of NaN.
fn random_matrix<T: Float>(n: usize, cols: usize, gap: usize, r: &mut impl Rng) -> Vec<T> {
    let mut next = |i: usize| if i % (cols + gap) < cols { T::of(r.random_range(0.0..1.0)) } else { T::of(f64::NAN) };
    (0..n * (cols + gap)).map(&mut next).collect()
}

#[track_caller]
fn assert_close<T: Float>(got: T, expected: f64, what: &str) {
    // One rounding to the type, and the errors of sums in f64 of at most 1100 terms.
    let error = (got.wide() - expected).abs();
    assert!(error <= T::EPSILON + 2000.0 * f64::EPSILON, "{what}: {got} {expected}");
}

/// The same for results in f64, whatever the type.
#[track_caller]
fn assert_close_f64(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() <= 2000.0 * f64::EPSILON, "{what}: {got} {expected}");
}
