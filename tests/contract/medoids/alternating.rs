//! The alternating algorithm is Voronoi iteration by the book.

use super::{Square, cases, check_consistent, weighted};
use crate::support::{
    float::Float,
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::{
    KMedoids,
    medoids::{Algorithm, Init},
};

for_both_types! {
    alternating_is_voronoi_iteration
}

/// Moves the medoids of empty clusters, one by one, to the objects that lower the loss most by
/// themselves. Returns how many moved.
fn fill_empty(d: &Square, medoids: &mut [usize]) -> usize {
    let before = medoids.to_vec();
    let to = |medoids: &[usize], o: usize| medoids.iter().map(|&m| d.at(m, o)).fold(f64::INFINITY, f64::min);
    let is_empty = |i: usize| {
        (0..d.n).all(|o| {
            let nearest = (0..before.len()).min_by(|&a, &b| d.at(before[a], o).total_cmp(&d.at(before[b], o)));
            nearest != Some(i) || d.weight(o) == 0.0
        })
    };
    let mut moves = 0;
    for i in (0..before.len()).filter(|&i| is_empty(i)) {
        let gain = |o: usize| d.weight(o) * (to(medoids, o) - d.at(o, o));
        let free = (0..d.n).filter(|o| !medoids.contains(o) && gain(*o) > 1e-6 * d.weight(*o) * to(medoids, *o));
        let best = free.reduce(|best, o| if gain(o) > gain(best) { o } else { best });
        if let Some(object) = best {
            (medoids[i], moves) = (object, moves + 1);
        }
    }
    moves
}

/// Voronoi iteration by the book, with empty clusters filled: the medoids, how many moved, and the
/// iterations.
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
        moves += fill_empty(d, &mut next);
        if next == medoids {
            return (medoids, moves, iteration);
        }
        medoids = next;
    }
    unreachable!()
}

fn alternating_is_voronoi_iteration<T: Float>() {
    let sizes: &[usize] = if small_cases() { &[1, 9, 33] } else { &[1, 2, 5, 9, 17, 33, 60] };
    for (seed, &n) in sizes.iter().enumerate() {
        let mut cases = cases(n, 200 + seed as u64);
        cases.extend(weighted(cases.clone(), 200));
        for (name, d) in cases {
            let d = d.rounded::<T>();
            for k in [1, 2, 3, 8, n].into_iter().filter(|&k| k <= n) {
                let start: Vec<usize> = (0..k).map(|i| n - 1 - i).collect();
                let (medoids, moves, iterations) = alternate(&d, &start);
                for isa in isas() {
                    let what = format!("{name}/{}/{isa}/n={n}/k={k}", std::any::type_name::<T>());
                    let options = KMedoids::new(k).algorithm(Algorithm::Alternating).isa(isa);
                    let options = options.init(Init::Given(start.clone()));
                    let got = d.fit::<T>(&options, seed % 2);
                    assert_eq!((got.medoids(), got.swaps()), (medoids.as_slice(), moves), "{what}");
                    assert!(got.converged() && got.iterations() == iterations, "{what}");
                    check_consistent(&d, k, &got, &what);
                }
            }
        }
    }
}
