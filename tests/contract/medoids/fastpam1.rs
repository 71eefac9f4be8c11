//! FastPAM1 makes the swaps of PAM, from BUILD and from poor starts.

use super::{Square, cases, check_consistent, manhattan, pam, points, textbook_best_swap, weighted};
use crate::support::{
    data::rng,
    float::Float,
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::{
    KMedoids,
    medoids::{Algorithm, Init},
};
use rand::RngExt;

for_both_types! {
    fastpam1_makes_the_swaps_of_pam
    fastpam1_breaks_ties_as_pam
    one_scan_finds_the_best_swap_at_every_length
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

fn check_pam<T: Float>(name: &str, d: &Square, ks: &[usize], gap: usize) {
    for &k in ks {
        let start = build(d, k);
        let (medoids, swaps) = pam(d, &start);
        // A poor start needs many swaps.
        let poor: Vec<usize> = (0..k).map(|i| d.n - 1 - i).collect();
        let (from_poor, poor_swaps) = pam(d, &poor);
        for isa in isas() {
            let what = format!("{name}/{}/{isa}/n={}/k={k}", std::any::type_name::<T>(), d.n);
            let options = KMedoids::new(k).algorithm(Algorithm::FastPam1).init(Init::Build).isa(isa);
            let built = d.fit::<T>(&options.clone().max_iterations(0), gap);
            assert_eq!(built.medoids(), start, "{what}: BUILD");
            assert!(!built.converged() && built.iterations() == 0, "{what}");
            let got = d.fit::<T>(&options, gap);
            assert_eq!((got.medoids(), got.swaps()), (medoids.as_slice(), swaps), "{what}: PAM from BUILD");
            assert!(got.converged() && got.iterations() == swaps + 1, "{what}");
            assert_eq!(got.evaluated(), d.n * got.iterations(), "{what}");
            check_consistent(d, k, &got, &what);
            let got = d.fit::<T>(&options.init(Init::Given(poor.clone())), gap);
            assert_eq!((got.medoids(), got.swaps()), (from_poor.as_slice(), poor_swaps), "{what}: PAM from given");
            check_consistent(d, k, &got, &what);
        }
    }
}

fn fastpam1_makes_the_swaps_of_pam<T: Float>() {
    let sizes: &[usize] = if small_cases() { &[1, 2, 5, 17] } else { &[1, 2, 3, 5, 8, 16, 17, 24, 31, 33, 47, 60] };
    for (seed, &n) in sizes.iter().enumerate() {
        let mut cases = cases(n, seed as u64);
        if n == 5 || n == 17 {
            cases.extend(weighted(cases.clone(), seed as u64));
        }
        for (name, d) in cases {
            let d = d.rounded::<T>();
            let mut ks = vec![1, 2, 3, 4, 5, 6, 7, 8, 12, 20, n / 2, n - 1, n];
            ks.retain(|&k| (1..=n).contains(&k) && (k * n <= 1000 || k == n / 2));
            ks.push(n);
            ks.sort_unstable();
            ks.dedup();
            check_pam::<T>(name, &d, &ks, seed % 3);
        }
    }
}

/// Many small problems of small whole distances, most of them tied: points of a coarse grid, many
/// of them the same, and arbitrary distances.
fn fastpam1_breaks_ties_as_pam<T: Float>() {
    let mut r = rng(41);
    for i in 0..if small_cases() { 60 } else { 2000 } {
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

/// One iteration of FastPAM1 finds the best swap, for lengths around multiples of every vector and
/// beyond one block.
fn one_scan_finds_the_best_swap_at_every_length<T: Float>() {
    let mut sizes: Vec<usize> = (2..=49).collect();
    if small_cases() {
        sizes.retain(|n| n % 8 < 2);
    }
    sizes.extend(if small_cases() { vec![67] } else { vec![127, 128, 129, 130, 255, 257, 513, 1023, 1025, 1030] });
    for n in sizes {
        let mut r = rng(n as u64);
        let d = Square::from_fn(n, |_, _| r.random_range(0.0..1.0));
        let d = d.rounded::<T>();
        for k in [1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 30, 65].into_iter().filter(|&k| k < n) {
            let medoids: Vec<usize> = (0..k).map(|i| (i * 7919 + n / 2) % n).collect();
            if (1..k).any(|i| medoids[..i].contains(&medoids[i])) {
                continue;
            }
            let (c, i, delta) = textbook_best_swap(&d, &medoids);
            let mut expected = medoids.clone();
            if delta < -1e-9 {
                expected[i] = c;
            }
            for isa in isas() {
                let what = format!("{}/{isa}/n={n}/k={k}", std::any::type_name::<T>());
                let init = Init::Given(medoids.clone());
                let options = KMedoids::new(k).algorithm(Algorithm::FastPam1).init(init).max_iterations(1).isa(isa);
                let got = d.fit::<T>(&options, n % 4);
                assert_eq!(got.medoids(), expected, "{what}");
                check_consistent(&d, k, &got, &what);
            }
        }
    }
}

/// The last objects alone decide: nothing of the tail may be lost, and nothing behind it may be
/// read.
#[test]
fn the_tail_decides() {
    for n in (4..70).step_by(if small_cases() { 9 } else { 1 }) {
        for last in 1..n.min(20) {
            let o = n - last;
            // Everything is at 8 from candidate 0 and 1, but object `o` is near to 1 only.
            let d = Square::from_fn(n, |c, p| if c == p || (c == 1 && p == o) { 0.0 } else { 8.0 });
            for k in [1, 2, 7].into_iter().filter(|&k| k + 2 < o) {
                let given: Vec<usize> = [0].into_iter().chain(2..k + 1).collect();
                for isa in isas() {
                    let options = KMedoids::new(k).init(Init::Given(given.clone())).isa(isa);
                    let (a, b) = (d.fit::<f32>(&options, 1), d.fit::<f64>(&options, 1));
                    assert!(a.medoids().contains(&1) && a.swaps() == 1, "{isa} n={n} o={o} k={k}: {a:?}");
                    assert_eq!((a.medoids(), a.labels()), (b.medoids(), b.labels()));
                }
            }
        }
    }
}
