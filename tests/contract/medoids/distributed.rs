//! Several ranks make the swaps of one process.

use super::{manhattan, points};
use crate::support::{
    data::{rng, uniform},
    float::Float,
    for_both_types,
    isas::{isas, small_cases},
    ranks::{ThreadRank, on_ranks},
};
use mantex::medoids::{Algorithm, Clustering, Init, rows_of_rank};
use mantex::{Error, KMedoids, MatRef, Reduce};
use rand::RngExt;

for_both_types! {
    all_ranks_have_the_result_of_one_process
    the_error_of_a_rank_ends_all
}

/// The result of one rank.
fn fit<T: Float>(
    options: &KMedoids,
    d: &[T],
    weights: Option<&[T]>,
    rank: &mut ThreadRank<'_>,
) -> Result<Clustering, Error> {
    let n = d.len().isqrt();
    let own = rows_of_rank(n, rank.rank(), rank.ranks());
    let own: Vec<T> = own.flat_map(|row| d[row * n..][..n].iter().copied()).collect();
    options.fit_distributed(MatRef::new(&own, own.len() / n, n)?, weights, rank)
}

/// Distances of points in the plane, on a grid if there are to be ties.
fn distances<T: Float>(n: usize, ties: bool) -> Vec<T> {
    manhattan(&points(n, &mut rng(n as u64), |rng| {
        let x = rng.random_range(0.0..8.0);
        if ties { f64::round(x) } else { x }
    }))
    .to()
}

fn all_ranks_have_the_result_of_one_process<T: Float>() {
    let algorithms = [Algorithm::FasterPam, Algorithm::RandomFasterPam { seed: 3 }, Algorithm::FastPam1];
    let inits = [Init::Build, Init::Lab { seed: 1 }, Init::PlusPlus { seed: 2 }, Init::Random { seed: 4 }];
    // A few medoids are scanned under masks, many by lists of hits.
    let mut cases = vec![(1, 1), (9, 3), (100, 1), (150, 5), (203, 40), (301, 12)];
    if small_cases() {
        cases.truncate(4);
    }
    for (n, k) in cases {
        let weights = uniform::<T>(n, 0.5, 2.0, &mut rng(5));
        for (ties, weights) in [(false, None), (true, None), (false, Some(&*weights))] {
            let d = distances::<T>(n, ties);
            for (isa, algorithm, init) in isas().into_iter().flat_map(|isa| {
                algorithms.into_iter().flat_map(move |algorithm| (0..4).map(move |init| (isa, algorithm, init)))
            }) {
                let init = inits[init].clone();
                let options = KMedoids::new(k).algorithm(algorithm).init(init).isa(isa);
                let view = MatRef::new(&d, n, n).expect("it fits");
                let one = options.fit_with_progress(view, weights, |_| std::ops::ControlFlow::Continue(()));
                let one = one.expect("good input");
                for ranks in 1..=4 {
                    for (rank, result) in
                        on_ranks(ranks, |rank| fit(&options, &d, weights, rank)).into_iter().enumerate()
                    {
                        let result = result.expect("good input");
                        assert!(
                            result == one && result.loss().to_bits() == one.loss().to_bits(),
                            "{n}, {k}, {options:?}, rank {rank} of {ranks}: {one:?} {result:?}"
                        );
                    }
                }
            }
        }
    }
}

fn the_error_of_a_rank_ends_all<T: Float>() {
    let n = 40;
    let good = distances::<T>(n, false);
    let options = KMedoids::new(3);
    for bad_rank in 0..3 {
        let others = |result: &Error| assert_eq!(*result, Error::OtherRank { rank: bad_rank });
        // Row 21 is on rank 2, row 13 on rank 1 and row 4 on rank 0.
        let row = [4, 13, 21][bad_rank];
        let mut bad = good.clone();
        bad[row * n + 5] = T::of(f64::NAN);
        for (rank, error) in on_ranks(3, |rank| fit(&options, &bad, None, rank).unwrap_err()).iter().enumerate() {
            match error {
                Error::InvalidElement { row: r, col: 5, .. } if rank == bad_rank => assert_eq!(*r, row),
                _ => others(error),
            }
        }
        // One rank has too few rows.
        let errors = on_ranks(3, |rank| {
            let rows = rows_of_rank(n, rank.rank(), 3).count() - usize::from(rank.rank() == bad_rank);
            options.fit_distributed(MatRef::new(&good[..rows * n], rows, n).unwrap(), None, rank).unwrap_err()
        });
        for (rank, error) in errors.iter().enumerate() {
            if rank == bad_rank {
                assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
            } else {
                others(error);
            }
        }
        // The ranks have different problems.
        let other = |rank: &ThreadRank<'_>| rank.rank() == bad_rank;
        let weights = vec![T::of(1.0); n];
        for (argument, errors) in [
            (
                "k",
                on_ranks(3, |rank| fit(&KMedoids::new(3 + usize::from(other(rank))), &good, None, rank).unwrap_err()),
            ),
            (
                "options",
                on_ranks(3, |rank| {
                    fit(&options.clone().max_iterations(5 + usize::from(other(rank))), &good, None, rank).unwrap_err()
                }),
            ),
            (
                "weights",
                on_ranks(3, |rank| {
                    let weights = other(rank).then_some(&*weights);
                    fit(&options, &good, weights, rank).unwrap_err()
                }),
            ),
            (
                "dissimilarities.cols()",
                on_ranks(3, |rank| {
                    let smaller = distances::<T>(n - 8, false);
                    fit(&options, if other(rank) { &smaller } else { &good }, None, rank).unwrap_err()
                }),
            ),
        ] {
            assert_eq!(
                errors,
                [const { Error::RanksDiffer { argument: "" } }; 3].map(|_| Error::RanksDiffer { argument })
            );
        }
        // A rank ends before or during the search.
        for after in [0, 1, 4, 9] {
            let results = on_ranks(3, |rank| {
                if other(rank) {
                    for _ in 0..after {
                        // It joins some reductions, of whatever length they are.
                        rank.join_next();
                    }
                    return None;
                }
                Some(fit(&options, &good, None, rank).unwrap_err())
            });
            for error in results.into_iter().flatten() {
                assert!(matches!(error, Error::Communication { .. }), "{error}");
            }
        }
    }
}

#[test]
fn the_alternating_algorithm_is_not_distributed() {
    let d = distances::<f64>(20, false);
    let options = KMedoids::new(3).algorithm(Algorithm::Alternating);
    for error in on_ranks(2, |rank| fit(&options, &d, None, rank).unwrap_err()) {
        assert!(matches!(error, Error::UnknownName { argument: "algorithm", .. }), "{error}");
    }
}

/// The documented traffic: n + 1 numbers per swap and initial medoid, and a few per scan.
#[test]
fn fastpam1_reduces_a_row_per_swap() {
    let (n, k) = (200, 10);
    let d = distances::<f64>(n, false);
    let options = KMedoids::new(k).algorithm(Algorithm::FastPam1).init(Init::Random { seed: 1 });
    for (reductions, numbers, swaps) in on_ranks(4, |rank| {
        let clustering = fit(&options, &d, None, rank).expect("good input");
        (rank.reductions, rank.numbers, clustering.swaps())
    }) {
        assert!(swaps > 5);
        let rows = (swaps + k) * (n + 1);
        assert!((rows..rows + 100 * (swaps + 1)).contains(&numbers), "{numbers} numbers, {swaps} swaps");
        assert!(reductions < 50 * (swaps + 1), "{reductions} reductions, {swaps} swaps");
    }
}

/// Every row is on one rank.
#[test]
fn rows_are_dealt_in_blocks() {
    for n in [0, 1, 7, 8, 9, 63, 64, 100] {
        for ranks in 1..6 {
            let mut owners = vec![0; n];
            for rank in 0..ranks {
                let rows: Vec<usize> = rows_of_rank(n, rank, ranks).collect();
                assert!(rows.is_sorted());
                rows.iter().for_each(|&row| {
                    assert_eq!(row / 8 % ranks, rank);
                    owners[row] += 1;
                });
            }
            assert!(owners.iter().all(|&count| count == 1));
        }
    }
}
