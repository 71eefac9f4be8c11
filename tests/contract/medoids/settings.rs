//! The settings of a search: starts, seeds, limits, and progress.

use super::{Square, check_consistent, euclidean, points};
use crate::support::{data::rng, isas::isas};
use mantex::{
    Isa, KMedoids, MatRef,
    medoids::{Algorithm, Init, Progress},
};
use rand::RngExt;
use std::ops::ControlFlow;

/// The callback sees every iteration, and where it breaks off the run ends as if that were the
/// limit.
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
        let mut seen: Vec<Progress> = Vec::new();
        let mut on_iteration = |progress: &Progress| {
            seen.push(*progress);
            ControlFlow::Continue(())
        };
        let full = options.fit_with_progress(d, None, &mut on_iteration).unwrap();
        assert_eq!(full, options.fit(d).unwrap());
        assert!(full.iterations() > 1, "{algorithm:?}");
        assert_eq!(seen.iter().map(|p| p.iteration).collect::<Vec<_>>(), (1..=full.iterations()).collect::<Vec<_>>());
        let last = seen[seen.len() - 1];
        assert_eq!((last.swaps, last.loss), (full.swaps(), full.loss()));
        for (i, progress) in seen.iter().enumerate() {
            let limited = options.clone().max_iterations(i + 1);
            let stop = |p: &Progress| {
                if p.iteration == i + 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let stopped = options.fit_with_progress(d, None, stop).unwrap();
            assert_eq!(stopped, limited.fit(d).unwrap());
            assert_eq!(stopped.converged(), i + 1 == full.iterations());
            assert_eq!((stopped.swaps(), stopped.loss()), (progress.swaps, progress.loss));
            assert!(i == 0 || progress.swaps == seen[i - 1].swaps || progress.loss < seen[i - 1].loss);
            let stopped = options.fit_with_progress(d, Some(&weights), stop).unwrap();
            assert_eq!(stopped, limited.fit_weighted(d, &weights).unwrap());
        }
        // Without iterations there is nothing to tell.
        let never = |_: &Progress| unreachable!();
        assert_eq!(options.clone().max_iterations(0).fit_with_progress(d, None, never).unwrap().iterations(), 0);
    }
}

/// The seed decides the order of the candidates.
#[test]
fn a_random_order_follows_the_seed() {
    let n = 80;
    let mut r = rng(14);
    let d = euclidean(&points(n, &mut r, |r| r.random_range(0.0..1.0)));
    let run = |algorithm| d.fit::<f64>(&KMedoids::new(8).algorithm(algorithm).init(Init::Given((0..8).collect())), 0);
    let runs: Vec<_> = (0..6).map(|seed| run(Algorithm::RandomFasterPam { seed })).collect();
    assert!(runs.iter().all(|run| run.converged()));
    assert_eq!(runs[0], run(Algorithm::RandomFasterPam { seed: 0 }));
    assert!(runs.iter().any(|run| run.medoids() != runs[0].medoids()));
    assert!(runs.iter().any(|r| r.medoids() != run(Algorithm::FasterPam).medoids()));
}

#[test]
fn iterations_are_limited() {
    let mut r = rng(11);
    let d = euclidean(&points(60, &mut r, |r| r.random_range(0.0..1.0)));
    let options = KMedoids::new(8).algorithm(Algorithm::FastPam1).init(Init::Given((0..8).collect()));
    let full = d.fit::<f64>(&options, 0);
    assert!(full.swaps() > 2);
    let mut last = f64::INFINITY;
    for limit in 0..=full.iterations() {
        let got = d.fit::<f64>(&options.clone().max_iterations(limit), 0);
        assert_eq!((got.iterations(), got.swaps()), (limit, limit.min(full.swaps())));
        assert_eq!(got.converged(), limit == full.iterations());
        assert!(got.loss() < last || got.swaps() == full.swaps() && got.loss() == last);
        last = got.loss();
    }
    let eager = KMedoids::new(8).init(Init::Given((0..8).collect()));
    let got = d.fit::<f64>(&eager.clone().max_iterations(1), 0);
    assert!(got.iterations() == 1 && !got.converged() && got.swaps() > 0);
    assert!(d.fit::<f64>(&eager, 0).converged());
}

/// One swap per iteration, and more swaps than the limit of the other algorithms.
#[test]
fn fastpam1_is_not_limited_by_default() {
    let (n, k) = (600, 200);
    let x: Vec<f64> = (0..n).map(|o| o as f64).collect();
    let d = Square::from_fn(n, |a, b| (x[a] - x[b]).abs());
    let options = KMedoids::new(k).algorithm(Algorithm::FastPam1).init(Init::Given((0..k).collect()));
    let got = d.fit::<f32>(&options, 0);
    assert!(got.converged() && got.swaps() > 100 && got.iterations() == got.swaps() + 1, "{} swaps", got.swaps());
}

#[test]
fn starts_are_valid_and_follow_the_seed() {
    let mut r = rng(12);
    let d = euclidean(&points(200, &mut r, |r| r.random_range(0.0..1.0)));
    type Seeded = fn(u64) -> Init;
    let seeded: [Seeded; 3] = [|seed| Init::Lab { seed }, |seed| Init::PlusPlus { seed }, |seed| Init::Random { seed }];
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
    // LAB and k-medoids++ are nearly as good as BUILD, random is not.
    let loss = |init| d.fit::<f64>(&KMedoids::new(10).init(init).max_iterations(0), 0).loss();
    let mean = |init: Seeded| (0..20).map(|seed| loss(init(seed))).sum::<f64>() / 20.0;
    for nearly_as_good in &seeded[..2] {
        assert!(mean(*nearly_as_good) < 0.9 * mean(seeded[2]) && loss(Init::Build) < mean(*nearly_as_good));
    }
}

/// k-medoids++ draws by weight, then by the share of the loss; duplicates of medoids come last, in
/// order.
#[test]
fn kmedoids_plus_plus_draws_by_the_loss() {
    let x = [5.0_f64, 0.0, 0.0, 5.0, 9.0, 0.0, 5.0];
    let d = Square::from_fn(7, |a, b| (x[a] - x[b]).abs());
    for (seed, isa) in (0..20).flat_map(|seed| isas().into_iter().map(move |isa| (seed, isa))) {
        let start = |d: &Square, k: usize| {
            let options = KMedoids::new(k).init(Init::PlusPlus { seed }).max_iterations(0).isa(isa);
            d.fit::<f32>(&options, 1).medoids().to_vec()
        };
        let medoids = start(&d, 7);
        let places: Vec<f64> = medoids.iter().map(|&m| x[m]).collect();
        let mut first = places[..3].to_vec();
        first.sort_by(f64::total_cmp);
        assert_eq!(first, [0.0, 5.0, 9.0], "{isa} seed={seed}: {medoids:?}");
        assert!(medoids[3..].is_sorted(), "{isa} seed={seed}: {medoids:?}");
        let mut weights = vec![0.0; 7];
        (weights[4], weights[6]) = (2.0, 1.0);
        let weighted = Square { weights: Some(weights), ..d.clone() };
        let medoids = start(&weighted, 3);
        assert!(medoids[..2] == [4, 6] || medoids[..2] == [6, 4], "{isa} seed={seed}: {medoids:?}");
        assert_eq!(medoids[2], 0, "{isa} seed={seed}");
    }
    // Two of three times the heavier object is first.
    let weighted = Square { weights: Some(vec![1.0, 2.0]), ..Square::from_fn(2, |_, _| 1.0) };
    let is_heavier = |seed: &u64| {
        let options = KMedoids::new(1).init(Init::PlusPlus { seed: *seed }).max_iterations(0);
        weighted.fit::<f64>(&options, 0).medoids() == [1]
    };
    let heavier = (0..300).filter(is_heavier).count();
    assert!((160..240).contains(&heavier), "{heavier} of 300");
}

#[test]
fn builders_keep_the_other_options() {
    let d: Vec<f32> = (0..25).map(|i| ((i / 5) as f32 - (i % 5) as f32).abs()).collect();
    let scalar = Isa::available().last().unwrap();
    let options = KMedoids::new(2).max_iterations(0).isa(scalar).init(Init::Given(vec![4, 0]));
    let got = options.algorithm(Algorithm::FastPam1).fit(MatRef::new(&d, 5, 5).unwrap()).unwrap();
    assert_eq!((got.medoids(), got.labels()), (&[4, 0][..], &[1, 1, 0, 0, 0][..]));
}

/// Predictions run the instruction set of the fit, and `into_parts` gives medoids and labels away.
#[test]
fn clusterings_are_taken_apart_and_predict() {
    let d: Vec<f32> = (0..25).map(|i| ((i / 5) as f32 - (i % 5) as f32).abs()).collect();
    for isa in isas() {
        let got = KMedoids::new(2).isa(isa).fit(MatRef::new(&d, 5, 5).unwrap()).unwrap();
        let to_medoids: Vec<f64> = (0..10).map(|i| (got.medoids()[i % 2] as f64 - (i / 2) as f64).abs()).collect();
        let (labels, _) = got.predict(MatRef::new(&to_medoids, 5, 2).unwrap()).unwrap();
        assert_eq!(labels, got.labels());
        assert_eq!(got.clone().into_parts(), (got.medoids().to_vec(), labels));
    }
}

#[test]
fn algorithms_have_names() {
    let names =
        [Algorithm::FasterPam, Algorithm::RandomFasterPam { seed: 1 }, Algorithm::FastPam1, Algorithm::Alternating]
            .map(|algorithm| algorithm.to_string());
    assert_eq!(names, ["FasterPAM", "random FasterPAM", "FastPAM1", "alternating"]);
    for name in names {
        let algorithm: Algorithm = name.parse().unwrap();
        assert_eq!(algorithm.to_string(), name);
        assert_eq!(name.to_ascii_lowercase().parse(), Ok(algorithm));
    }
    let message = "PAM".parse::<Algorithm>().unwrap_err().to_string();
    assert_eq!(message, "`algorithm` is \"PAM\"; it must be FasterPAM, random FasterPAM, FastPAM1 or alternating");
}

#[test]
fn starts_have_names() {
    let starts =
        [Init::Build, Init::Lab { seed: 0 }, Init::PlusPlus { seed: 0 }, Init::Random { seed: 0 }, Init::Given(vec![])];
    let names = starts.clone().map(|init| init.to_string());
    assert_eq!(names, ["BUILD", "LAB", "k-medoids++", "random", "given"]);
    for (name, init) in names.iter().zip(starts).take(4) {
        assert_eq!((name.parse(), name.to_lowercase().parse()), (Ok(init.clone()), Ok(init)));
    }
    let message = "given".parse::<Init>().unwrap_err().to_string();
    assert_eq!(message, "`init` is \"given\"; it must be BUILD, LAB, k-medoids++ or random");
}
