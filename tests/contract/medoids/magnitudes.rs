//! Dissimilarities of very different sizes: a large one hides no improvement by small ones.

use super::{Square, check_consistent};
use crate::support::{
    data::rng,
    double_double::power_of_two,
    float::Float,
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::{
    KMedoids,
    medoids::{Algorithm, Init},
};
use rand::{Rng, RngExt};

for_both_types! {
    a_sentinel_hides_no_swap
    local_optima_beside_sentinels
    alternating_beside_sentinels
    close_objects_in_far_clusters
}

const SWAPS: [Algorithm; 3] = [Algorithm::FasterPam, Algorithm::RandomFasterPam { seed: 1 }, Algorithm::FastPam1];

/// Sentinels that both types hold, or only `f64`.
fn sentinels<T: Float>() -> Vec<f64> {
    let mut sentinels = vec![1e12, 1e16, 1e20, 1e30];
    if T::EPSILON == f64::EPSILON {
        sentinels.extend([1e100, 1e300]);
    }
    sentinels
}

/// Two groups of three in a row: 1 and 4 are the best medoids, wherever the search starts.
fn a_sentinel_hides_no_swap<T: Float>() {
    for far in sentinels::<T>() {
        let d = Square::from_fn(6, |a, b| if a / 3 == b / 3 { a.abs_diff(b) as f64 } else { far }).rounded::<T>();
        for (isa, algorithm) in isas().into_iter().flat_map(|isa| SWAPS.map(|algorithm| (isa, algorithm))) {
            let mut starts = vec![Init::default(), Init::Build, Init::Lab { seed: 1 }, Init::Random { seed: 1 }];
            starts.extend((0..6).flat_map(|a| (0..6).filter(move |&b| b != a).map(move |b| Init::Given(vec![a, b]))));
            for init in starts {
                let options = KMedoids::new(2).algorithm(algorithm).init(init.clone()).isa(isa);
                let got = d.fit::<T>(&options, 0);
                let mut medoids = got.medoids().to_vec();
                medoids.sort_unstable();
                let what = format!("{isa} {algorithm} {init:?} {far:e}: {got:?}");
                assert_eq!((medoids, got.loss(), got.converged()), (vec![1, 4], 4.0, true), "{what}");
            }
        }
    }
}

/// Objects in components. Within one, dissimilarities are small whole numbers; between two, they
/// are a sentinel.
struct Components {
    component: Vec<usize>,
    near: Square,
}

impl Components {
    fn new(n: usize, components: usize, r: &mut impl Rng) -> Self {
        let component: Vec<usize> = (0..n).map(|_| r.random_range(0..components)).collect();
        let near = Square::from_fn(n, |a, b| if a == b { 0.0 } else { f64::from(r.random_range(1..100)) });
        Self { component, near }
    }

    fn with_sentinel(&self, far: f64) -> Square {
        let is_near = |a: usize, b: usize| self.component[a] == self.component[b];
        Square::from_fn(self.near.n, |a, b| if is_near(a, b) { self.near.at(a, b) } else { far })
    }

    /// The distance to the nearest medoid of the same component.
    fn nearest(&self, medoids: &[usize], o: usize) -> Option<f64> {
        let own = medoids.iter().filter(|&&m| self.component[m] == self.component[o]);
        own.map(|&m| self.near.at(m, o)).reduce(f64::min)
    }

    /// The best swap that leaves no object without a medoid of its component that had one, by
    /// its change of the small numbers; or any that covers more objects. Swaps that trade one
    /// sentinel for another change the loss by less than the rounding of the sentinels.
    fn improvement(&self, medoids: &[usize]) -> Option<(usize, usize)> {
        let (n, k) = (self.near.n, medoids.len());
        let before: Vec<Option<f64>> = (0..n).map(|o| self.nearest(medoids, o)).collect();
        let swaps = (0..n).filter(|c| !medoids.contains(c)).flat_map(|c| (0..k).map(move |i| (c, i)));
        { swaps }.find(|&(c, i)| {
            let mut swapped = medoids.to_vec();
            swapped[i] = c;
            let after: Vec<Option<f64>> = (0..n).map(|o| self.nearest(&swapped, o)).collect();
            let covered = |x: &[Option<f64>]| x.iter().flatten().count();
            let sum = |x: &[Option<f64>]| x.iter().flatten().sum::<f64>();
            let same = before.iter().zip(&after).all(|(a, b)| a.is_some() == b.is_some());
            covered(&after) > covered(&before) || same && sum(&after) < sum(&before)
        })
    }
}

/// Fewer medoids than components and more, for every scan.
fn local_optima_beside_sentinels<T: Float>() {
    let sizes: &[(usize, usize, usize)] = if small_cases() {
        &[(20, 4, 4), (30, 12, 14)]
    } else {
        &[(20, 4, 2), (30, 4, 4), (30, 3, 7), (40, 12, 14), (40, 24, 14), (40, 5, 20), (70, 60, 66)]
    };
    for (seed, &(n, components, k)) in sizes.iter().enumerate() {
        let data = Components::new(n, components, &mut rng(900 + seed as u64));
        for far in sentinels::<T>() {
            let d = data.with_sentinel(far).rounded::<T>();
            let weighted = Square { weights: Some(vec![2.0; n]), ..d.clone() };
            for (isa, algorithm) in isas().into_iter().flat_map(|isa| SWAPS.map(|algorithm| (isa, algorithm))) {
                for init in [Init::default(), Init::Given((n - k..n).collect())] {
                    let what = format!("{isa} {algorithm} {init:?} n={n} k={k} {far:e}");
                    let options = KMedoids::new(k).algorithm(algorithm).init(init).isa(isa);
                    for d in [&d, &weighted] {
                        let got = d.fit::<T>(&options, 0);
                        check_consistent(d, k, &got, &what);
                        assert!(got.converged(), "{what}");
                        assert_eq!(data.improvement(got.medoids()), None, "{what}: {:?}", got.medoids());
                    }
                }
            }
        }
    }
}

/// The alternating algorithm ends where no medoid has a better member, although some members are a
/// sentinel away from every medoid.
fn alternating_beside_sentinels<T: Float>() {
    let (n, k) = (40, 3);
    let data = Components::new(n, 6, &mut rng(930));
    for far in sentinels::<T>() {
        let d = data.with_sentinel(far).rounded::<T>();
        for isa in isas() {
            let start = Init::Given((0..k).collect());
            let options = KMedoids::new(k).algorithm(Algorithm::Alternating).init(start).isa(isa);
            let got = d.fit::<T>(&options, 0);
            check_consistent(&d, k, &got, "alternating");
            assert!(got.converged());
            // A better member of the medoid's component would leave the sentinels as they are.
            for (i, &m) in got.medoids().iter().enumerate() {
                let members: Vec<usize> = (0..n).filter(|&o| got.labels()[o] == i).collect();
                let is_near = |c: usize, o: usize| data.component[o] == data.component[c];
                let distance = |c: usize, o: usize| if is_near(c, o) { data.near.at(c, o) } else { 0.0 };
                let sum = |c: usize| members.iter().map(|&o| distance(c, o)).sum::<f64>();
                let is_better = |c: usize| is_near(m, c) && !got.medoids().contains(&c) && sum(c) < sum(m);
                let better = members.iter().find(|&&c| is_better(c));
                assert_eq!(better, None, "{isa} {far:e}: {got:?}");
            }
        }
    }
}

/// The same with tiny distances beside ordinary ones: clusters of objects that nearly coincide.
fn close_objects_in_far_clusters<T: Float>() {
    let unit = power_of_two(-70);
    let data = Components::new(48, 3, &mut rng(940));
    let scaled = Components {
        component: data.component.clone(),
        near: Square { d: data.near.d.iter().map(|d| d * unit).collect(), ..data.near.clone() },
    };
    let d = scaled.with_sentinel(1.0).rounded::<T>();
    for (isa, algorithm) in isas().into_iter().flat_map(|isa| SWAPS.map(|algorithm| (isa, algorithm))) {
        for k in [3, 5, 12] {
            let got = d.fit::<T>(&KMedoids::new(k).algorithm(algorithm).isa(isa), 0);
            check_consistent(&d, k, &got, "close");
            assert!(got.converged());
            assert_eq!(data.improvement(got.medoids()), None, "{isa} {algorithm} k={k}: {:?}", got.medoids());
        }
    }
}
