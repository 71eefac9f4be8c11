//! Several ranks, each with a band of rows, find the potentials of one process.

use crate::support::{
    data::{rng, uniform},
    float::Float,
    for_both_types,
    isas::isas,
    ranks::{ThreadRank, on_ranks},
};
use mantex::transport::{EpsilonScaling, Method, OverRelaxation, Status, Transport};
use mantex::{Error, MatRef, Reduce, Sinkhorn};
use std::ops::Range;

for_both_types! {
    iterations_are_those_of_one_process
    solves_end_as_those_of_one_process
    newtons_method_leaves_ranks_to_iterations
    the_error_of_a_rank_ends_all
}

/// A problem of n x m costs.
#[derive(Clone)]
pub(super) struct Problem<T> {
    pub(super) name: &'static str,
    pub(super) m: usize,
    pub(super) cost: Vec<T>,
    pub(super) a: Vec<T>,
    pub(super) b: Vec<T>,
}

impl<T: Float> Problem<T> {
    pub(super) fn random(name: &'static str, (n, m): (usize, usize)) -> Self {
        let r = &mut rng((n * m) as u64);
        let shares = |x: Vec<T>| {
            let total: f64 = x.iter().map(|x| x.wide()).sum();
            x.into_iter().map(|x| T::of(x.wide() / total)).collect()
        };
        let (a, b) = (shares(uniform(n, 0.5, 1.5, r)), shares(uniform(m, 0.5, 1.5, r)));
        Self { name, m, cost: uniform(n * m, 0.0, 1.0, r), a, b }
    }

    /// The problems, with what is special to them.
    pub(super) fn all() -> Vec<Self> {
        let [plain, mut forbidden, mut offset, mut blocks, mut tiny] = [
            ("random", (37, 53)),
            ("forbidden", (40, 30)),
            ("offset", (33, 20)),
            ("blocks", (30, 30)),
            ("tiny", (50, 41)),
        ]
        .map(|(name, shape)| Self::random(name, shape));
        for (at, c) in forbidden.cost.iter_mut().enumerate() {
            *c = if (at / 30 + at % 30) % 3 == 0 { T::of(f64::INFINITY) } else { *c };
        }
        // Rows and columns without mass.
        (forbidden.a[7], forbidden.b[11]) = (T::of(0.0), T::of(0.0));
        forbidden.b[12] = T::of(1.0 - forbidden.b.iter().map(|b| b.wide()).sum::<f64>() + forbidden.b[12].wide());
        forbidden.a[8] = T::of(1.0 - forbidden.a.iter().map(|a| a.wide()).sum::<f64>() + forbidden.a[8].wide());
        // The solver takes a copy without offsets.
        offset.cost.iter_mut().for_each(|c| *c = T::of(c.wide() + 1e6));
        // Two blocks that hardly exchange mass.
        for (at, c) in blocks.cost.iter_mut().enumerate() {
            *c = T::of(c.wide() + if (at / 30 < 15) == (at % 30 < 15) { 0.0 } else { 2.0 });
        }
        // Columns whose sums are not accurate.
        for j in 0..10 {
            tiny.b[4 * j] = T::of(1e-34);
        }
        let total: f64 = tiny.b.iter().map(|b| b.wide()).sum();
        tiny.b.iter_mut().for_each(|b| *b = T::of(b.wide() / total));
        vec![plain, forbidden, offset, blocks, tiny]
    }

    pub(super) fn view(&self) -> MatRef<'_, T> {
        MatRef::new(&self.cost, self.a.len(), self.m).expect("it fits")
    }

    /// The rows of a rank, not equally many.
    pub(super) fn band(&self, rank: &impl Reduce) -> Range<usize> {
        let (n, ranks) = (self.a.len(), rank.ranks());
        let start = |rank: usize| n * rank * (rank + 1) / (ranks * (ranks + 1));
        start(rank.rank())..start(rank.rank() + 1)
    }

    fn solve(&self, options: &Sinkhorn, rank: &mut ThreadRank<'_>) -> Result<Transport<T>, Error> {
        let rows = self.band(rank);
        let cost = MatRef::new(&self.cost[rows.start * self.m..rows.end * self.m], rows.len(), self.m)?;
        options.solve_distributed(cost, &self.a[rows], &self.b, rank)
    }

    /// Checks the results of all ranks against those of one process. `within` bounds the
    /// differences of potentials, and of the costs relative to their size.
    fn check(&self, options: &Sinkhorn, within: f64) {
        let one = options.solve(self.view(), &self.a, &self.b).expect("good input");
        for ranks in 1..=4 {
            let results = on_ranks(ranks, |rank| (self.band(rank), self.solve(options, rank).expect("good input")));
            let name = format!("{}, {ranks} ranks, {options:?}", self.name);
            let same = |x: &[f64], y: &[f64]| {
                let scale = y.iter().filter(|y| y.is_finite()).fold(1.0_f64, |max, y| max.max(y.abs()));
                assert_eq!(x.len(), y.len(), "{name}");
                for (x, y) in x.iter().zip(y) {
                    assert!(x == y || (x - y).abs() <= within * scale, "{name}: {x:e}, not {y:e}");
                }
            };
            for (rows, result) in &results {
                assert_eq!((result.status(), result.iterations()), (one.status(), one.iterations()), "{name}");
                same(result.f(), &one.f()[rows.clone()]);
                same(result.g(), one.g());
                same(&[result.cost()], &[one.cost()]);
                assert!((result.marginal_error() - one.marginal_error()).abs() <= within.max(1e-12), "{name}");
                // The ranks decide by the same numbers.
                assert_eq!(result.g(), results[0].1.g(), "{name}");
                assert_eq!(result.cost().to_bits(), results[0].1.cost().to_bits(), "{name}");
            }
        }
    }

    /// Checks that all ranks find the cost of one process, which turns to Newton's method.
    fn check_roughly(&self, options: &Sinkhorn) {
        let one = options.solve(self.view(), &self.a, &self.b).expect("good input");
        for ranks in 2..=4 {
            let results = on_ranks(ranks, |rank| self.solve(options, rank).expect("good input"));
            for result in &results {
                let name = format!("{}, {ranks} ranks, {options:?}", self.name);
                assert!(result.converged() && one.converged(), "{name}");
                assert!(result.iterations() > one.iterations(), "{name}: {}", result.iterations());
                assert!((result.cost() - one.cost()).abs() <= 1e-5 * one.cost(), "{name}");
                assert_eq!(result.g(), results[0].g(), "{name}");
            }
        }
    }
}

fn iterations_are_those_of_one_process<T: Float>() {
    let within = if T::EPSILON > 1e-10 { 2e-5 } else { 1e-12 };
    for problem in Problem::<T>::all() {
        for isa in isas() {
            for method in [Method::Log, Method::Scaling, Method::Auto] {
                for relaxation in [OverRelaxation::Off, OverRelaxation::Factor(1.3), OverRelaxation::Auto] {
                    let options = Sinkhorn::new(0.05).method(method).over_relaxation(relaxation).isa(isa);
                    problem.check(&options.tolerance(0.0).max_iterations(20), within);
                }
            }
        }
    }
}

fn solves_end_as_those_of_one_process<T: Float>() {
    let is_narrow = T::EPSILON > 1e-10;
    let within = if is_narrow { 1e-4 } else { 1e-11 };
    for problem in Problem::<T>::all() {
        for epsilon in [0.3, 0.03] {
            if problem.name == "tiny" && is_narrow {
                continue; // It takes very many iterations.
            }
            for scaling in [EpsilonScaling::Off, EpsilonScaling::Factor(4.0)] {
                let options = Sinkhorn::new(epsilon).epsilon_scaling(scaling);
                let is_slow = problem.name == "blocks" && epsilon < 0.1 && scaling == EpsilonScaling::Off;
                if is_slow && !is_narrow {
                    problem.check_roughly(&options);
                } else {
                    problem.check(&options, within);
                }
                for method in [Method::Log, Method::Scaling] {
                    problem.check(&options.clone().method(method), within);
                }
            }
        }
    }
    // No plan exists: rows of the first half have mass for columns of the second half.
    let mut infeasible = Problem::<T>::random("infeasible", (24, 24));
    for (at, c) in infeasible.cost.iter_mut().enumerate() {
        *c = if at / 24 < 12 && at % 24 >= 8 { T::of(f64::INFINITY) } else { *c };
    }
    for result in on_ranks(3, |rank| infeasible.solve(&Sinkhorn::new(0.1), rank).expect("good input")) {
        assert_eq!(result.status(), Status::Infeasible);
    }
}

fn newtons_method_leaves_ranks_to_iterations<T: Float>() {
    for problem in Problem::<T>::all() {
        let solve = |method| {
            let options = Sinkhorn::new(0.05).method(method).max_iterations(40);
            on_ranks(2, |rank| problem.solve(&options, rank).expect("good input"))
        };
        for (newton, auto) in solve(Method::Newton).iter().zip(solve(Method::Auto)) {
            assert_eq!((newton.g(), newton.iterations()), (auto.g(), auto.iterations()), "{}", problem.name);
        }
    }
}

fn the_error_of_a_rank_ends_all<T: Float>() {
    let good = Problem::<T>::random("random", (40, 30));
    let options = Sinkhorn::new(0.1);
    for bad_rank in 0..3 {
        let other = |rank: &ThreadRank<'_>| rank.rank() == bad_rank;
        let is_own = |errors: Vec<Error>, is_expected: fn(&Error) -> bool| {
            for (rank, error) in errors.iter().enumerate() {
                let is_right =
                    if rank == bad_rank { is_expected(error) } else { *error == Error::OtherRank { rank: bad_rank } };
                assert!(is_right, "rank {rank}: {error}");
            }
        };
        let solve = |problem: &Problem<T>| on_ranks(3, |rank| problem.solve(&options, rank).unwrap_err());
        let row = [3, 15, 35][bad_rank];
        let mut bad = good.clone();
        bad.cost[row * 30 + 2] = T::of(f64::NAN);
        is_own(solve(&bad), |error| matches!(error, Error::InvalidElement { argument: "cost", col: 2, .. }));
        let mut bad = good.clone();
        bad.a[row] = T::of(-1.0);
        is_own(solve(&bad), |error| matches!(error, Error::InvalidElement { argument: "a", .. }));
        let mut bad = good.clone();
        bad.cost[row * 30..][..30].fill(T::of(f64::INFINITY));
        is_own(solve(&bad), |error| matches!(error, Error::Infeasible { .. }));
        let errors = on_ranks(3, |rank| {
            let mut own = good.clone();
            own.b[4] = if other(rank) { T::of(f64::NAN) } else { own.b[4] };
            own.solve(&options, rank).unwrap_err()
        });
        is_own(errors, |error| matches!(error, Error::InvalidElement { argument: "b", row: 4, .. }));
        let errors = on_ranks(3, |rank| {
            let file = if other(rank) { Err(Error::Empty { argument: "file" }) } else { Ok(7) };
            rank.agree(file).unwrap_err()
        });
        is_own(errors, |error| *error == Error::Empty { argument: "file" });
        assert!(on_ranks(3, |rank| rank.agree(Ok(rank.rank()))).into_iter().eq((0..3).map(Ok)));
        let short = on_ranks(3, |rank| {
            let rows = good.band(rank);
            let cost = MatRef::new(&good.cost[rows.start * 30..rows.end * 30], rows.len(), 30).unwrap();
            options
                .solve_distributed(cost, &good.a[rows.start + usize::from(other(rank))..rows.end], &good.b, rank)
                .unwrap_err()
        });
        is_own(short, |error| matches!(error, Error::LengthMismatch { argument: "a", .. }));
        // The errors of the whole problem are those of all ranks.
        let mut bad = good.clone();
        bad.a[row] = T::of(2.0);
        assert!(solve(&bad).iter().all(|error| matches!(error, Error::MassMismatch { .. })));
        let mut bad = good.clone();
        (0..40).for_each(|row| bad.cost[row * 30 + 4] = T::of(f64::INFINITY));
        assert!(solve(&bad).iter().all(|error| matches!(error, Error::Infeasible { index: 4, .. })));
        // The ranks have different problems.
        let options_of = |rank: &ThreadRank<'_>| options.clone().max_iterations(100 + usize::from(other(rank)));
        let errors = on_ranks(3, |rank| good.solve(&options_of(rank), rank).unwrap_err());
        assert!(errors.iter().all(|error| *error == Error::RanksDiffer { argument: "settings" }));
        let options_of = |rank: &ThreadRank<'_>| Sinkhorn::new(if other(rank) { 0.2 } else { 0.1 });
        let errors = on_ranks(3, |rank| good.solve(&options_of(rank), rank).unwrap_err());
        assert!(errors.iter().all(|error| *error == Error::RanksDiffer { argument: "epsilon" }));
        let mut bad = good.clone();
        bad.b.swap(0, 1);
        let errors = on_ranks(3, |rank| if other(rank) { &bad } else { &good }.solve(&options, rank).unwrap_err());
        assert!(errors.iter().all(|error| *error == Error::RanksDiffer { argument: "b" }));
        // A rank ends before or during the solve.
        for after in [0, 1, 5, 9, 14] {
            let results = on_ranks(3, |rank| {
                if other(rank) {
                    (0..after).for_each(|_| rank.join_next());
                    return None;
                }
                Some(good.solve(&options, rank).unwrap_err())
            });
            for error in results.into_iter().flatten() {
                // The total lacks the masses of that rank if it joins their reduction.
                assert!(matches!(error, Error::Communication { .. } | Error::MassMismatch { .. }), "{error}");
            }
        }
    }
}

/// The documented traffic of an iteration: m + 1 numbers, and 2 for each rank.
#[test]
fn an_iteration_is_one_reduction() {
    let problem = Problem::<f64>::random("random", (60, 45));
    for method in [Method::Log, Method::Scaling] {
        let options = Sinkhorn::new(0.2).method(method).over_relaxation(OverRelaxation::Off).tolerance(0.0);
        let traffic = |iterations| {
            on_ranks(3, |rank| {
                let solved = problem.solve(&options.clone().max_iterations(iterations), rank);
                assert_eq!(solved.expect("good input").iterations(), iterations);
                (rank.reductions, rank.numbers)
            })
        };
        // The scalings have begun, and no window of the rate of convergence ends.
        for ((few, fewer_numbers), (more, more_numbers)) in traffic(10).into_iter().zip(traffic(12)) {
            assert_eq!((more - few, more_numbers - fewer_numbers), (2, 2 * (45 + 1 + 2 * 3)), "{method}");
        }
    }
}
