//! k-medoids against textbook references: PAM and BUILD by brute force, recomputing the loss of every choice.

mod support;

use mantex::{Algorithm, Clustering, Error, Init, Isa, KMedoids, KMedoidsProgress, MatRef, Real};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Normal};
use std::ops::ControlFlow;
use support::{emulated, isas, rng};

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

    /// The values an `f32` matrix would hold.
    fn rounded(&self) -> Self {
        let round = |x: &[f64]| x.iter().map(|&x| f64::from(x as f32)).collect::<Vec<f64>>();
        Self { n: self.n, d: round(&self.d), weights: self.weights.as_deref().map(round) }
    }

    fn to<T: Real>(&self) -> Vec<T> {
        self.d.iter().map(|&x| T::from_f64(x)).collect()
    }

    /// `options` on this matrix in a view with `gap` elements of NaN between the rows.
    fn fit<T: Real>(&self, options: &KMedoids, gap: usize) -> Clustering<T> {
        let mut data = Vec::new();
        for row in self.to::<T>().chunks(self.n) {
            data.extend_from_slice(row);
            data.extend(std::iter::repeat_n(T::NAN, gap));
        }
        let d = MatRef::with_stride(&data, self.n, self.n, self.n + gap).unwrap();
        match &self.weights {
            None => options.fit(d).unwrap(),
            Some(weights) => {
                let weights: Vec<T> = weights.iter().map(|&w| T::from_f64(w)).collect();
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

/// Random matrices of every kind; sums of all but "random" and "asymmetric" are exact, so that ties are ties.
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

/// The same with weights: fractions where sums are not exact anyway.
fn weighted(cases: Vec<(&'static str, Square)>, seed: u64) -> Vec<(&'static str, Square)> {
    let mut r = rng(seed);
    let mut weigh = |name: &str, n: usize| -> Vec<f64> {
        let whole = name != "random" && name != "asymmetric";
        (0..n).map(|_| if whole { f64::from(r.random_range(1..6)) } else { r.random_range(0.1..10.0) }).collect()
    };
    cases.into_iter().map(|(name, d)| (name, Square { weights: Some(weigh(name, d.n)), ..d })).collect()
}

/// The best swap: of equally good ones the lowest candidate, then the lowest position.
fn best_swap(d: &Square, medoids: &[usize]) -> Option<(usize, usize, f64)> {
    let before = d.loss(medoids);
    let mut best: Option<(usize, usize, f64)> = None;
    for c in (0..d.n).filter(|c| !medoids.contains(c)) {
        for i in 0..medoids.len() {
            let mut swapped = medoids.to_vec();
            swapped[i] = c;
            let loss = d.loss(&swapped);
            // Another order of summation is no improvement.
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

/// BUILD by brute force.
fn build(d: &Square, k: usize) -> Vec<usize> {
    let mut medoids = Vec::new();
    for _ in 0..k {
        let mut best: Option<(usize, f64)> = None;
        for c in (0..d.n).filter(|c| !medoids.contains(c)) {
            let loss = d.loss(&[medoids.as_slice(), &[c]].concat());
            if best.is_none_or(|b| loss < b.1 - 1e-12 * b.1) {
                best = Some((c, loss));
            }
        }
        medoids.push(best.unwrap().0);
    }
    medoids
}

/// One rounding to `T`, and the reference's own: n additions in `f64`.
fn tolerance<T: Real>(n: usize, expected: f64) -> f64 {
    (T::EPSILON + n as f64 * f64::EPSILON) * expected
}

/// The result is a clustering of this matrix: labels are nearest medoids, the loss is theirs.
fn check_consistent<T: Real>(d: &Square, k: usize, got: &Clustering<T>, what: &str) {
    let medoids = got.medoids();
    assert_eq!(medoids.len(), k, "{what}");
    assert!(medoids.iter().enumerate().all(|(i, m)| *m < d.n && !medoids[..i].contains(m)), "{what}: {medoids:?}");
    for (o, &label) in got.labels().iter().enumerate() {
        let nearest = (0..k).min_by(|&a, &b| d.at(medoids[a], o).total_cmp(&d.at(medoids[b], o)));
        assert_eq!(Some(label), nearest, "{what}: label of {o}");
    }
    assert_eq!(got.labels().len(), d.n, "{what}");
    let loss = d.loss(medoids);
    assert!((got.loss().to_f64() - loss).abs() <= tolerance::<T>(d.n, loss), "{what}: {} {loss}", got.loss());
}

fn check_pam<T: Real>(name: &str, d: &Square, ks: &[usize], gap: usize) {
    for &k in ks {
        let start = build(d, k);
        let (medoids, swaps) = pam(d, &start);
        // A poor start needs many swaps.
        let poor: Vec<usize> = (0..k).map(|i| d.n - 1 - i).collect();
        let (from_poor, poor_swaps) = pam(d, &poor);
        for isa in isas() {
            let what = format!("{name}/{}/{isa}/n={}/k={k}", std::any::type_name::<T>(), d.n);
            let options = KMedoids::new(k).algorithm(Algorithm::FastPam1).isa(isa);
            let built: Clustering<T> = d.fit(&options.clone().max_iterations(0), gap);
            assert_eq!(built.medoids(), start, "{what}: BUILD");
            assert!(!built.converged() && built.iterations() == 0, "{what}");
            let got: Clustering<T> = d.fit(&options, gap);
            assert_eq!((got.medoids(), got.swaps()), (medoids.as_slice(), swaps), "{what}: PAM from BUILD");
            assert!(got.converged() && got.iterations() == swaps + 1, "{what}");
            assert_eq!(got.evaluated(), d.n * got.iterations(), "{what}");
            check_consistent(d, k, &got, &what);
            let got: Clustering<T> = d.fit(&options.init(Init::Given(poor.clone())), gap);
            assert_eq!((got.medoids(), got.swaps()), (from_poor.as_slice(), poor_swaps), "{what}: PAM from given");
            check_consistent(d, k, &got, &what);
        }
    }
}

fn check_pam_all<T: Real>(round: bool) {
    let sizes: &[usize] = if emulated() { &[1, 2, 5, 17] } else { &[1, 2, 3, 5, 8, 16, 17, 24, 31, 33, 47, 60] };
    for (seed, &n) in sizes.iter().enumerate() {
        let mut cases = cases(n, seed as u64);
        if n == 5 || n == 17 {
            cases.extend(weighted(cases.clone(), seed as u64));
        }
        for (name, d) in cases {
            let d = if round { d.rounded() } else { d };
            let mut ks = vec![1, 2, 3, 4, 5, 6, 7, 8, 12, 20, n / 2, n - 1, n];
            ks.retain(|&k| (1..=n).contains(&k) && (k * n <= 1000 || k == n / 2));
            ks.push(n);
            ks.sort_unstable();
            ks.dedup();
            check_pam::<T>(name, &d, &ks, seed % 3);
        }
    }
}

#[test]
fn fastpam1_makes_the_swaps_of_pam_f32() {
    check_pam_all::<f32>(true);
}

#[test]
fn fastpam1_makes_the_swaps_of_pam_f64() {
    check_pam_all::<f64>(false);
}

/// Many small problems of small whole distances, most of them tied: points of a coarse grid, many of them the same, and
/// arbitrary distances.
fn check_ties<T: Real>(seed: u64) {
    let mut r = rng(seed);
    for i in 0..if emulated() { 60 } else { 2000 } {
        let n = r.random_range(2..=12);
        let d = if i % 2 == 0 {
            let side = r.random_range(2..5);
            manhattan(&points(n, &mut r, |r| f64::from(r.random_range(0..side))))
        } else {
            let largest = r.random_range(1..5);
            let mut d = Square::from_fn(n, |_, _| f64::from(r.random_range(0..=largest)));
            (0..n).for_each(|o| d.d[o * n + o] = 0.0);
            d
        };
        check_pam::<T>("ties", &d, &[r.random_range(1..=n)], i % 3);
    }
}

#[test]
fn fastpam1_breaks_ties_as_pam_f32() {
    check_ties::<f32>(41);
}

#[test]
fn fastpam1_breaks_ties_as_pam_f64() {
    check_ties::<f64>(42);
}

/// Of every object its nearest medoid's position, the distance to it, and that to the second nearest.
fn nearest(d: &Square, medoids: &[usize]) -> Vec<(usize, f64, f64)> {
    let of = |o: usize| {
        let mut order: Vec<usize> = (0..medoids.len()).collect();
        order.sort_by(|&a, &b| d.at(medoids[a], o).total_cmp(&d.at(medoids[b], o)));
        (order[0], d.at(medoids[order[0]], o), order.get(1).map_or(f64::INFINITY, |&i| d.at(medoids[i], o)))
    };
    (0..d.n).map(of).collect()
}

/// The best of the swaps of `c` by its change of the loss, from the definition of the sums in one plain pass.
fn plain_swap_of(d: &Square, nearest: &[(usize, f64, f64)], k: usize, c: usize) -> (usize, f64) {
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
fn plain_best_swap(d: &Square, medoids: &[usize]) -> (usize, usize, f64) {
    let near = nearest(d, medoids);
    let mut best = (0, 0, 0.0);
    for c in (0..d.n).filter(|c| !medoids.contains(c)) {
        let (i, change) = plain_swap_of(d, &near, medoids.len(), c);
        if change < best.2 {
            best = (c, i, change);
        }
    }
    best
}

/// FasterPAM by the book: the medoids, the number of swaps, and that of the candidates looked at.
fn fasterpam(d: &Square, medoids: &[usize]) -> (Vec<usize>, usize, usize) {
    let mut medoids = medoids.to_vec();
    let mut near = nearest(d, &medoids);
    let (mut swaps, mut looked, mut quiet) = (0, 0, 0);
    while quiet < d.n {
        let c = looked % d.n;
        (looked, quiet) = (looked + 1, quiet + 1);
        let (i, change) = plain_swap_of(d, &near, medoids.len(), c);
        if !medoids.contains(&c) && change < -1e-12 * d.loss(&medoids) {
            medoids[i] = c;
            near = nearest(d, &medoids);
            (swaps, quiet) = (swaps + 1, 0);
        }
    }
    (medoids, swaps, looked)
}

/// One iteration of FastPAM1 finds the best swap, for lengths around multiples of every vector and beyond one block.
fn check_lengths<T: Real>(round: bool) {
    let mut sizes: Vec<usize> = (2..=49).collect();
    if emulated() {
        sizes.retain(|n| n % 8 < 2);
    }
    sizes.extend(if emulated() { vec![67] } else { vec![127, 128, 129, 130, 255, 257, 513, 1023, 1025, 1030] });
    for n in sizes {
        let mut r = rng(n as u64);
        let d = Square::from_fn(n, |_, _| r.random_range(0.0..1.0));
        let d = if round { d.rounded() } else { d };
        for k in [1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 30, 65].into_iter().filter(|&k| k < n) {
            let medoids: Vec<usize> = (0..k).map(|i| (i * 7919 + n / 2) % n).collect();
            if (1..k).any(|i| medoids[..i].contains(&medoids[i])) {
                continue;
            }
            let (c, i, delta) = plain_best_swap(&d, &medoids);
            let mut expected = medoids.clone();
            if delta < -1e-9 {
                expected[i] = c;
            }
            for isa in isas() {
                let what = format!("{}/{isa}/n={n}/k={k}", std::any::type_name::<T>());
                let init = Init::Given(medoids.clone());
                let options = KMedoids::new(k).algorithm(Algorithm::FastPam1).init(init).max_iterations(1).isa(isa);
                let got: Clustering<T> = d.fit(&options, n % 4);
                assert_eq!(got.medoids(), expected, "{what}");
                check_consistent(&d, k, &got, &what);
            }
        }
    }
}

#[test]
fn one_scan_finds_the_best_swap_at_every_length_f32() {
    check_lengths::<f32>(true);
}

#[test]
fn one_scan_finds_the_best_swap_at_every_length_f64() {
    check_lengths::<f64>(false);
}

/// The last objects alone decide: nothing of the tail may be lost, and nothing behind it may be read.
#[test]
fn the_tail_decides() {
    for n in (4..70).step_by(if emulated() { 9 } else { 1 }) {
        for last in 1..n.min(20) {
            let o = n - last;
            // Everything is at 8 from candidate 0 and 1, but object `o` is near to 1 only.
            let d = Square::from_fn(n, |c, p| if c == p || (c == 1 && p == o) { 0.0 } else { 8.0 });
            for k in [1, 2, 7].into_iter().filter(|&k| k + 2 < o) {
                let given: Vec<usize> = [0].into_iter().chain(2..k + 1).collect();
                for isa in isas() {
                    let options = KMedoids::new(k).init(Init::Given(given.clone())).isa(isa);
                    let (a, b): (Clustering<f32>, Clustering<f64>) = (d.fit(&options, 1), d.fit(&options, 1));
                    assert!(a.medoids().contains(&1) && a.swaps() == 1, "{isa} n={n} o={o} k={k}: {a:?}");
                    assert_eq!((a.medoids(), a.labels()), (b.medoids(), b.labels()));
                }
            }
        }
    }
}

fn check_fasterpam<T: Real>(round: bool) {
    let sizes: &[usize] = if emulated() { &[2, 9, 17] } else { &[2, 3, 9, 17, 25, 40] };
    for (seed, &n) in sizes.iter().enumerate() {
        let mut cases = cases(n, 100 + seed as u64);
        if n == 17 {
            cases.extend(weighted(cases.clone(), 1));
        }
        for (name, d) in cases {
            let d = if round { d.rounded() } else { d };
            for k in [1, 2, 3, 7, 10, n].into_iter().filter(|&k| k <= n) {
                let mut first: Option<Clustering<T>> = None;
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
                        let got: Clustering<T> = d.fit(&options, seed % 2);
                        check_consistent(&d, k, &got, &what);
                        assert!(got.converged(), "{what}");
                        // The last n candidates had no swap.
                        let range = d.n * (got.iterations() - 1)..=d.n * got.iterations();
                        assert!(range.contains(&got.evaluated()) && got.evaluated() >= d.n, "{what}");
                        if let Some((c, i, loss)) = best_swap(&d, got.medoids()) {
                            let fall = got.loss().to_f64() - loss;
                            assert!(
                                fall <= tolerance::<T>(d.n, loss),
                                "{what}: swap {i} for {c} lowers the loss by {fall}"
                            );
                        }
                        let again: Clustering<T> = d.fit(&options, 1);
                        assert_eq!(got, again, "{what}: deterministic, whatever the stride");
                    }
                    // Sums of these are exact: even the ties are the same.
                    if name != "random" && name != "asymmetric" {
                        let got = d.fit(&KMedoids::new(k).isa(isa), 0);
                        assert_eq!(*first.get_or_insert_with(|| got.clone()), got, "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn fasterpam_ends_at_a_local_optimum_f32() {
    check_fasterpam::<f32>(true);
}

#[test]
fn fasterpam_ends_at_a_local_optimum_f64() {
    check_fasterpam::<f64>(false);
}

/// Swap by swap what FasterPAM by the book does, where candidates that were scanned together have their sums brought up to
/// date and where they are scanned anew.
fn check_fasterpam_swaps<T: Real>(round: bool) {
    let sizes: &[(usize, usize)] =
        if emulated() { &[(67, 30)] } else { &[(40, 2), (130, 9), (131, 14), (300, 70), (301, 120)] };
    for (seed, &(n, k)) in sizes.iter().enumerate() {
        let mut r = rng(300 + seed as u64);
        let points = points(n, &mut r, |r| r.random_range(0.0..1.0));
        let cases =
            vec![("random", euclidean(&points)), ("asymmetric", Square::from_fn(n, |_, _| r.random_range(0.0..1.0)))];
        for (name, d) in [cases.clone(), weighted(cases, seed as u64)].concat() {
            let d = if round { d.rounded() } else { d };
            let start: Vec<usize> = (0..k).map(|i| n - 1 - i).collect();
            let (medoids, swaps, looked) = fasterpam(&d, &start);
            for isa in isas() {
                let what = format!("{name}/{}/{isa}/n={n}/k={k}", std::any::type_name::<T>());
                let got: Clustering<T> = d.fit(&KMedoids::new(k).init(Init::Given(start.clone())).isa(isa), seed % 2);
                let got = (got.medoids(), got.swaps(), got.evaluated());
                assert_eq!(got, (medoids.as_slice(), swaps, looked), "{what}");
            }
        }
    }
}

#[test]
fn fasterpam_makes_the_swaps_of_the_book_f32() {
    check_fasterpam_swaps::<f32>(true);
}

#[test]
fn fasterpam_makes_the_swaps_of_the_book_f64() {
    check_fasterpam_swaps::<f64>(false);
}

/// With many medoids several are kept in reserve for every object: many swaps later, with medoids that left and came
/// back, they are still the nearest ones.
#[test]
fn many_medoids_and_swaps_end_at_a_local_optimum() {
    let (n, k) = if emulated() { (120, 60) } else { (300, 100) };
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
            let watch = |progress: KMedoidsProgress| {
                told = progress.loss;
                ControlFlow::Continue(())
            };
            let got = options.fit_with(MatRef::new(&data, n, n).unwrap(), watch).unwrap();
            check_consistent(&d, k, &got, &what);
            assert!(got.converged() && got.swaps() > k / 4, "{what}: {} swaps", got.swaps());
            // The caches' loss, before the labels are found anew.
            assert!((told - d.loss(got.medoids())).abs() <= 1e-12 * told, "{what}");
            let (c, i, change) = plain_best_swap(&d, got.medoids());
            assert!(change >= -1e-12 * told, "{what}: swap {i} for {c} changes the loss by {change}");
        }
    }
}

/// Voronoi iteration by the book: the medoids, how many moved, and the iterations.
fn alternate(d: &Square, medoids: &[usize]) -> (Vec<usize>, usize, usize) {
    let (mut medoids, mut moves) = (medoids.to_vec(), 0);
    for iteration in 1.. {
        let nearest =
            |o: usize| (0..medoids.len()).min_by(|&a, &b| d.at(medoids[a], o).total_cmp(&d.at(medoids[b], o)));
        let labels: Vec<Option<usize>> = (0..d.n).map(nearest).collect();
        let mut next = medoids.clone();
        for (i, medoid) in next.iter_mut().enumerate() {
            let members: Vec<usize> = (0..d.n).filter(|&o| labels[o] == Some(i)).collect();
            let loss = |c: usize| members.iter().map(|&o| d.weight(o) * d.at(c, o)).sum::<f64>();
            let mut best = (*medoid, loss(*medoid));
            for &c in members.iter().filter(|c| !medoids.contains(c)) {
                // The present medoid stays where it is as good; of others the lowest.
                if loss(c) < best.1 - 1e-12 * best.1 {
                    best = (c, loss(c));
                }
            }
            moves += usize::from(*medoid != best.0);
            *medoid = best.0;
        }
        if next == medoids {
            return (medoids, moves, iteration);
        }
        medoids = next;
    }
    unreachable!()
}

fn check_alternating<T: Real>(round: bool) {
    let sizes: &[usize] = if emulated() { &[1, 9, 33] } else { &[1, 2, 5, 9, 17, 33, 60] };
    for (seed, &n) in sizes.iter().enumerate() {
        let mut cases = cases(n, 200 + seed as u64);
        cases.extend(weighted(cases.clone(), 200));
        for (name, d) in cases {
            let d = if round { d.rounded() } else { d };
            for k in [1, 2, 3, 8, n].into_iter().filter(|&k| k <= n) {
                let start: Vec<usize> = (0..k).map(|i| n - 1 - i).collect();
                let (medoids, moves, iterations) = alternate(&d, &start);
                for isa in isas() {
                    let what = format!("{name}/{}/{isa}/n={n}/k={k}", std::any::type_name::<T>());
                    let options = KMedoids::new(k).algorithm(Algorithm::Alternating).isa(isa);
                    let options = options.init(Init::Given(start.clone()));
                    let got: Clustering<T> = d.fit(&options, seed % 2);
                    assert_eq!((got.medoids(), got.swaps()), (medoids.as_slice(), moves), "{what}");
                    assert!(got.converged() && got.iterations() == iterations, "{what}");
                    check_consistent(&d, k, &got, &what);
                }
            }
        }
    }
}

#[test]
fn alternating_is_voronoi_iteration_f32() {
    check_alternating::<f32>(true);
}

#[test]
fn alternating_is_voronoi_iteration_f64() {
    check_alternating::<f64>(false);
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
                let options = KMedoids::new(k).algorithm(algorithm).isa(isa);
                let (a, b): (Clustering<f64>, Clustering<f64>) = (weighted.fit(&options, 0), copied.fit(&options, 0));
                assert_eq!(a.loss(), b.loss(), "{algorithm:?} {isa} k={k}");
                let points = |clustering: &Clustering<f64>, of: &dyn Fn(usize) -> usize| {
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
        let expected = Error::Length { argument: "weights", actual: weights.len(), expected: 2 };
        assert_eq!(k.fit_weighted(d, weights).unwrap_err(), expected);
    }
    for bad in [0.0, -0.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        match k.fit_weighted(d, &[1.0, bad]).unwrap_err() {
            Error::Element { argument: "weights", row: 1, col: 0, value, .. } => {
                assert_eq!(value.to_bits(), f64::from(bad).to_bits());
            }
            other => panic!("{other}"),
        }
    }
    // Weights alone can make the loss overflow.
    let d = [0.0, 1e300, 1e300, 0.0];
    let got = k.fit_weighted(MatRef::new(&d, 2, 2).unwrap(), &[1e300, 1e300]);
    assert!(matches!(got, Err(Error::Parameter { argument: "dissimilarities", .. })), "{got:?}");
}

/// The callback sees every iteration, and where it breaks off the run ends as if that were the limit.
#[test]
fn progress_is_told_and_can_stop() {
    let n = 60;
    let mut r = rng(13);
    let d = euclidean(&points(n, &mut r, |r| r.random_range(0.0..1.0))).to::<f32>();
    let d = MatRef::new(&d, n, n).unwrap();
    let weights: Vec<f32> = (0..n).map(|i| 1.0 + (i % 3) as f32).collect();
    let random = Algorithm::RandomFasterPam { seed: 1 };
    for algorithm in [Algorithm::FasterPam, random, Algorithm::FastPam1, Algorithm::Alternating] {
        let options = KMedoids::new(6).algorithm(algorithm).init(Init::Given((0..6).collect()));
        let mut seen: Vec<KMedoidsProgress> = Vec::new();
        let mut watch = |progress| {
            seen.push(progress);
            ControlFlow::Continue(())
        };
        let full = options.fit_with(d, &mut watch).unwrap();
        assert_eq!(full, options.fit(d).unwrap());
        assert!(full.iterations() > 1, "{algorithm:?}");
        assert_eq!(seen.iter().map(|p| p.iteration).collect::<Vec<_>>(), (1..=full.iterations()).collect::<Vec<_>>());
        let last = seen[seen.len() - 1];
        assert_eq!((last.swaps, last.loss as f32), (full.swaps(), full.loss()));
        for (i, progress) in seen.iter().enumerate() {
            let limited = options.clone().max_iterations(i + 1);
            let stop = |p: KMedoidsProgress| {
                if p.iteration == i + 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let stopped = options.fit_with(d, stop).unwrap();
            assert_eq!(stopped, limited.fit(d).unwrap());
            assert_eq!(stopped.converged(), i + 1 == full.iterations());
            assert_eq!((stopped.swaps(), stopped.loss()), (progress.swaps, progress.loss as f32));
            assert!(i == 0 || progress.swaps == seen[i - 1].swaps || progress.loss < seen[i - 1].loss);
            let stopped = options.fit_weighted_with(d, &weights, stop).unwrap();
            assert_eq!(stopped, limited.fit_weighted(d, &weights).unwrap());
        }
        // Without iterations there is nothing to tell.
        let never = |_| unreachable!();
        assert_eq!(options.clone().max_iterations(0).fit_with(d, never).unwrap().iterations(), 0);
    }
}

/// The seed decides the order of the candidates.
#[test]
fn a_random_order_follows_the_seed() {
    let n = 80;
    let mut r = rng(14);
    let d = euclidean(&points(n, &mut r, |r| r.random_range(0.0..1.0)));
    let run = |algorithm| -> Clustering<f64> {
        d.fit(&KMedoids::new(8).algorithm(algorithm).init(Init::Given((0..8).collect())), 0)
    };
    let runs: Vec<_> = (0..6).map(|seed| run(Algorithm::RandomFasterPam { seed })).collect();
    assert!(runs.iter().all(|run| run.converged()));
    assert_eq!(runs[0], run(Algorithm::RandomFasterPam { seed: 0 }));
    assert!(runs.iter().any(|run| run.medoids() != runs[0].medoids()));
    assert!(runs.iter().any(|r| r.medoids() != run(Algorithm::FasterPam).medoids()));
}

/// Without ties the instruction sets agree, on more objects than one block holds.
#[test]
fn instruction_sets_agree() {
    let n = if emulated() { 140 } else { 1100 };
    let mut r = rng(3);
    let d = euclidean(&points(n, &mut r, |r| r.random_range(0.0..1.0)));
    let (single, double) = (d.to::<f32>(), d.to::<f64>());
    let (single, double) = (MatRef::new(&single, n, n).unwrap(), MatRef::new(&double, n, n).unwrap());
    for k in [1, 2, 5, 6, 7, 20, 130] {
        for algorithm in [Algorithm::FasterPam, Algorithm::FastPam1] {
            for init in [Init::Build, Init::Lab { seed: 5 }, Init::Random { seed: 6 }] {
                if emulated() && init != Init::Build {
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

/// Rounded distances of duplicates are no reason to swap: not more swaps than with the same data as integers.
#[test]
fn rounding_noise_makes_no_swaps() {
    let n = if emulated() { 60 } else { 1000 };
    for seed in 0..if emulated() { 1 } else { 2 } {
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
                    let end: Clustering<f64> = integers.fit(&start, 0);
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

/// Numbers whose sums overflow `f64` have an error; those whose sums overflow only `f32` are clustered like others.
#[test]
fn huge_dissimilarities_end() {
    let d = Square::from_fn(20, |a, b| if a == b { 0.0 } else { 1e308 * (1.0 + ((a * b) % 7) as f64 / 10.0) });
    for k in [1, 3, 8] {
        for isa in isas() {
            for algorithm in [Algorithm::FasterPam, Algorithm::FastPam1] {
                let error = KMedoids::new(k).algorithm(algorithm).isa(isa).fit(MatRef::new(&d.d, 20, 20).unwrap());
                assert!(matches!(error, Err(Error::Parameter { argument: "dissimilarities", .. })), "{error:?}");
            }
            let small = Square::from_fn(20, |a, b| d.at(a, b) * 1e-271);
            let got: Clustering<f32> = small.fit(&KMedoids::new(k).isa(isa), 0);
            check_consistent(&small.rounded(), k, &got, "huge");
        }
    }
}

/// Sums that overflow `f32`, and only that, hide no swap.
#[test]
fn sums_may_overflow_the_type() {
    let n = 40;
    let d = Square::from_fn(n, |a, b| if a == b { 0.0 } else { 1e38 * (1.0 + ((a * b) % 7) as f64 / 10.0) }).rounded();
    for k in [1, 2, 3, 6, 12, 20] {
        let start: Vec<usize> = (0..k).collect();
        let (medoids, swaps) = pam(&d, &start);
        for isa in isas() {
            let options = KMedoids::new(k).algorithm(Algorithm::FastPam1).init(Init::Given(start.clone())).isa(isa);
            let got: Clustering<f32> = d.fit(&options, 0);
            assert_eq!((got.medoids(), got.swaps()), (medoids.as_slice(), swaps), "{isa} k={k}");
        }
    }
}

#[test]
fn iterations_are_limited() {
    let mut r = rng(11);
    let d = euclidean(&points(60, &mut r, |r| r.random_range(0.0..1.0)));
    let options = KMedoids::new(8).algorithm(Algorithm::FastPam1).init(Init::Given((0..8).collect()));
    let full: Clustering<f64> = d.fit(&options, 0);
    assert!(full.swaps() > 2);
    let mut last = f64::INFINITY;
    for limit in 0..=full.iterations() {
        let got: Clustering<f64> = d.fit(&options.clone().max_iterations(limit), 0);
        assert_eq!((got.iterations(), got.swaps()), (limit, limit.min(full.swaps())));
        assert_eq!(got.converged(), limit == full.iterations());
        assert!(got.loss() < last || got.swaps() == full.swaps() && got.loss() == last);
        last = got.loss();
    }
    let eager = KMedoids::new(8).init(Init::Given((0..8).collect()));
    let got: Clustering<f64> = d.fit(&eager.clone().max_iterations(1), 0);
    assert!(got.iterations() == 1 && !got.converged() && got.swaps() > 0);
    assert!(d.fit::<f64>(&eager, 0).converged());
}

#[test]
fn starts_are_valid_and_follow_the_seed() {
    let mut r = rng(12);
    let d = euclidean(&points(200, &mut r, |r| r.random_range(0.0..1.0)));
    type Seeded = fn(u64) -> Init;
    let seeded: [Seeded; 2] = [|seed| Init::Lab { seed }, |seed| Init::Random { seed }];
    for init in seeded {
        for k in [1, 5, 100, 200] {
            let start = |seed| d.fit::<f64>(&KMedoids::new(k).init(init(seed)).max_iterations(0), 0);
            check_consistent(&d, k, &start(1), "start");
            assert_eq!(start(1), start(1));
            if k < 200 {
                assert_ne!(start(1).medoids(), start(2).medoids());
            }
        }
    }
    // LAB is nearly as good as BUILD, random is not.
    let loss = |init| d.fit::<f64>(&KMedoids::new(10).init(init).max_iterations(0), 0).loss();
    let mean = |init: Seeded| (0..20).map(|seed| loss(init(seed))).sum::<f64>() / 20.0;
    assert!(mean(seeded[0]) < 0.9 * mean(seeded[1]) && loss(Init::Build) < mean(seeded[0]));
}

#[test]
fn bad_arguments_are_named() {
    fn err<T: Real>(options: &KMedoids, d: &[T], rows: usize, cols: usize) -> Error {
        options.fit(MatRef::new(d, rows, cols).unwrap()).unwrap_err()
    }
    let d = [0.0_f64, 1.0, 2.0, 1.0, 0.0, 3.0, 2.0, 3.0, 0.0];
    let not_square = Error::NotSquare { argument: "dissimilarities", rows: 3, cols: 2 };
    assert_eq!(err(&KMedoids::new(1), &d[..6], 3, 2), not_square);
    for (k, n) in [(0, 3), (4, 3), (usize::MAX, 3), (1, 0), (0, 0)] {
        assert_eq!(err(&KMedoids::new(k), &d[..n * n], n, n), Error::MedoidCount { k, objects: n });
    }
    let given = |medoids: &[usize]| KMedoids::new(2).init(Init::Given(medoids.to_vec()));
    for medoids in [&[0][..], &[], &[0, 1, 2]] {
        let expected = Error::Length { argument: "medoids", actual: medoids.len(), expected: 2 };
        assert_eq!(err(&given(medoids), &d, 3, 3), expected);
    }
    let out_of_range = Error::Medoid { medoid: 3, objects: 3, duplicate: false };
    assert_eq!(err(&given(&[1, 3]), &d, 3, 3), out_of_range);
    assert_eq!(err(&given(&[1, 1]), &d, 3, 3), Error::Medoid { medoid: 1, objects: 3, duplicate: true });

    // A bad element at every place of matrices with and without tails.
    for n in [1, 3, 16, 33, 67] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, -f32::MIN_POSITIVE] {
            for (row, col) in [(0, 0), (0, n - 1), (n - 1, 0), (n - 1, n - 1), (n / 2, n / 3)] {
                for isa in isas() {
                    let mut d = vec![1.0_f32; n * n];
                    d[row * n + col] = bad;
                    match err(&KMedoids::new(1).isa(isa), &d, n, n) {
                        Error::Element { argument: "dissimilarities", row: r, col: c, value, .. } => {
                            assert_eq!((r, c), (row, col));
                            assert_eq!(value.to_bits(), f64::from(bad).to_bits());
                        }
                        other => panic!("{other}"),
                    }
                }
            }
        }
    }
    // Also where the search is what reads them first, in no order: none is used, and the first is named.
    for (k, n) in [(1, 3), (3, 16), (14, 67)] {
        for (row, col) in [(0, 0), (0, n - 1), (1, n / 2), (n / 2, n / 3), (n - 2, n - 1), (n - 1, 0)] {
            for bad in [f32::NAN, f32::INFINITY, -1.0] {
                let mut d = vec![1.0_f32; n * n];
                d[row * n + col] = bad;
                // One more in the last row, which is that of a medoid in every other case.
                d[n * n - 1] = f32::NAN;
                let d = MatRef::new(&d, n, n).unwrap();
                for (medoid, isa) in isas().into_iter().flat_map(|isa| [(0, isa), (n - k, isa)]) {
                    let options = KMedoids::new(k).init(Init::Given((medoid..medoid + k).collect())).isa(isa);
                    let random = options.clone().algorithm(Algorithm::RandomFasterPam { seed: 1 });
                    for options in [options.clone(), random, options.max_iterations(0)] {
                        let never = |_| panic!("an iteration on such elements");
                        match options.fit_with(d, never).unwrap_err() {
                            Error::Element { row: r, col: c, .. } => assert_eq!((r, c), (row, col), "{isa}, k={k}"),
                            other => panic!("{other}"),
                        }
                    }
                }
            }
        }
    }
    // Negative zero is zero.
    assert_eq!(KMedoids::new(1).fit(MatRef::new(&[-0.0_f32], 1, 1).unwrap()).unwrap().loss(), 0.0);
}

#[test]
fn builders_keep_the_other_options() {
    let d: Vec<f32> = (0..25).map(|i| ((i / 5) as f32 - (i % 5) as f32).abs()).collect();
    let scalar = Isa::available().last().unwrap();
    let options = KMedoids::new(2).max_iterations(0).isa(scalar).init(Init::Given(vec![4, 0]));
    let got = options.algorithm(Algorithm::FastPam1).fit(MatRef::new(&d, 5, 5).unwrap()).unwrap();
    assert_eq!((got.medoids(), got.labels()), (&[4, 0][..], &[1, 1, 0, 0, 0][..]));
}
