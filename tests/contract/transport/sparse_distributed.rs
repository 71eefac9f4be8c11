//! Several ranks, each with a band of rows, find the sparse plan of one process.

use super::distributed::Problem;
use crate::support::{
    float::{Float, bits_of},
    for_both_types,
    isas::isas,
    ranks::{ThreadRank, on_ranks},
};
use mantex::transport::{SparseSolution, SparseTransport, Status};
use mantex::{Error, MatRef, OneProcess, Reduce};

for_both_types! {
    solves_are_those_of_one_process
    few_entries_per_row_are_those_of_one_process
    no_plan_is_found_by_all_ranks
    the_error_of_a_rank_ends_all
}

fn solve<T: Float>(
    problem: &Problem<T>,
    solver: &SparseTransport,
    rank: &mut ThreadRank<'_>,
) -> Result<SparseSolution<T>, Error> {
    let (rows, m) = (problem.band(rank), problem.m);
    let cost = MatRef::new(&problem.cost[rows.start * m..rows.end * m], rows.len(), m)?;
    solver.solve_distributed(cost, &problem.a[rows], &problem.b, rank)
}

/// Checks the results of all ranks against those of one process: `within` bounds the differences
/// relative to the largest of like numbers, and of potentials also relative to the range of the
/// costs, beside the rounding errors of costs and the documented ones of entries.
fn check<T: Float>(problem: &Problem<T>, solver: &SparseTransport, gamma: f64, within: f64) {
    let costs = || problem.cost.iter().map(|c| c.wide()).filter(|c| c.is_finite());
    let largest = costs().map(f64::abs).fold(0.0, f64::max);
    // Rows have their masses, so an offset of the costs adds no error of the entries to the values.
    let range = costs().fold(f64::MIN, f64::max) - costs().fold(f64::MAX, f64::min);
    let (rounding, count) = (4.0 * f64::EPSILON * largest / gamma, problem.cost.len() as f64);
    let one = solver.solve(problem.view(), &problem.a, &problem.b).expect("good input");
    let alone = solver.solve_distributed(problem.view(), &problem.a, &problem.b, &mut OneProcess);
    assert_eq!(alone.expect("good input"), one);
    for ranks in [1, 2, 4] {
        let results = on_ranks(ranks, |rank| (problem.band(rank), solve(problem, solver, rank).expect("good input")));
        let name = format!("{}, {ranks} ranks, {solver:?}", problem.name);
        let near = |x: &[f64], y: &[f64], what: &str, within: f64, rounding: f64| {
            let scale = y.iter().filter(|y| y.is_finite()).fold(f64::MIN_POSITIVE, |max, y| max.max(y.abs()));
            assert_eq!(x.len(), y.len(), "{name}: {what}");
            for (x, y) in x.iter().zip(y) {
                assert!(x == y || (x - y).abs() <= within * scale + rounding, "{name}: {what}: {x:e}, not {y:e}");
            }
        };
        for (rows, result) in &results {
            let numbers = |s: &SparseSolution<T>| [s.cost(), s.value(), s.dual_value()];
            assert_eq!((result.status(), result.iterations()), (one.status(), one.iterations()), "{name}");
            let of_potentials = within * range + 8.0 * f64::EPSILON * largest;
            near(result.f(), &one.f()[rows.clone()], "f", within, of_potentials);
            near(result.g(), one.g(), "g", within, of_potentials);
            near(&numbers(result), &numbers(&one), "values", within, count * rounding * range);
            assert!((result.marginal_error() - one.marginal_error()).abs() <= within + count * rounding, "{name}");
            let (part, whole) = (result.plan(), one.plan());
            let [start, end] = [rows.start, rows.end].map(|row| whole.row_pointers[row]);
            assert_eq!((part.rows, part.cols, part.row_pointers.len()), (rows.len(), problem.m, rows.len() + 1));
            assert!(part.row_pointers.iter().zip(&whole.row_pointers[rows.start..]).all(|(x, y)| x + start == *y));
            assert_eq!(part.columns, whole.columns[start..end], "{name}");
            let wide = |masses: &[T]| masses.iter().map(|mass| mass.wide()).collect::<Vec<_>>();
            near(&wide(&part.masses), &wide(&whole.masses[start..end]), "plan", within.max(T::EPSILON), rounding);
            // The ranks decide by the same numbers.
            assert_eq!(bits_of(result.g()), bits_of(results[0].1.g()), "{name}");
            assert_eq!(numbers(result).map(f64::to_bits), numbers(&results[0].1).map(f64::to_bits), "{name}");
        }
    }
}

/// Gamma for a problem: `r` times the number of its costs, whose range is about 1.
fn gamma<T>(problem: &Problem<T>, r: f64) -> f64 {
    r * problem.cost.len() as f64
}

fn solves_are_those_of_one_process<T: Float>() {
    for problem in Problem::<T>::all() {
        for r in [1.0, 1e-2, 1e-3] {
            for isa in isas() {
                let gamma = gamma(&problem, r);
                check(&problem, &SparseTransport::new(gamma).isa(isa), gamma, 1e-12);
            }
        }
    }
}

fn few_entries_per_row_are_those_of_one_process<T: Float>() {
    // Where columns have tiny masses, scores tie: other entries are as good.
    for problem in Problem::<T>::all().into_iter().filter(|problem| problem.name != "tiny") {
        for (r, k) in [(1e-2, 2), (1e-3, 5)] {
            let gamma = gamma(&problem, r);
            let solver = SparseTransport::new(gamma);
            let unlimited = solver.solve(problem.view(), &problem.a, &problem.b).expect("good input");
            // Steps with the limit follow those without.
            let solver = solver.max_entries_per_row(k).max_iterations(unlimited.iterations() + 20);
            // Quasi-Newton steps amplify rounding errors.
            check(&problem, &solver, gamma, 1e-8);
        }
    }
}

fn no_plan_is_found_by_all_ranks<T: Float>() {
    // Rows of the first half have mass for columns of the second half.
    let mut infeasible = Problem::<T>::random("infeasible", (24, 24));
    for (at, c) in infeasible.cost.iter_mut().enumerate() {
        *c = if at / 24 < 12 && at % 24 >= 8 { T::of(f64::INFINITY) } else { *c };
    }
    let solver = SparseTransport::new(gamma(&infeasible, 1e-2));
    for result in on_ranks(3, |rank| solve(&infeasible, &solver, rank).expect("good input")) {
        assert_eq!(result.status(), Status::Infeasible);
    }
}

fn the_error_of_a_rank_ends_all<T: Float>() {
    let good = Problem::<T>::random("random", (40, 30));
    let solver = SparseTransport::new(gamma(&good, 1e-3));
    let errors_of = |problem: &Problem<T>| on_ranks(3, |rank| solve(problem, &solver, rank).unwrap_err());
    for bad_rank in 0..3 {
        let is_own = |errors: Vec<Error>, is_expected: fn(&Error) -> bool| {
            for (rank, error) in errors.iter().enumerate() {
                let is_right =
                    if rank == bad_rank { is_expected(error) } else { *error == Error::OtherRank { rank: bad_rank } };
                assert!(is_right, "rank {rank}: {error}");
            }
        };
        let row = [3, 15, 35][bad_rank];
        // Costs that are none, and one that is too large.
        for cost in [f64::NAN, if T::EPSILON > 1e-10 { 1e31 } else { 1e301 }] {
            let mut bad = good.clone();
            bad.cost[row * 30 + 2] = T::of(cost);
            is_own(errors_of(&bad), |error| matches!(error, Error::InvalidElement { argument: "cost", col: 2, .. }));
        }
        let mut bad = good.clone();
        bad.a[row] = T::of(-1.0);
        is_own(errors_of(&bad), |error| matches!(error, Error::InvalidElement { argument: "a", .. }));
        let mut bad = good.clone();
        bad.cost[row * 30..][..30].fill(T::of(f64::INFINITY));
        is_own(errors_of(&bad), |error| matches!(error, Error::Infeasible { .. }));
        // The errors of the whole problem are those of all ranks.
        let mut bad = good.clone();
        bad.a[row] = T::of(2.0);
        assert!(errors_of(&bad).iter().all(|error| matches!(error, Error::MassMismatch { .. })));
        // The ranks have different problems.
        let differ = |solver_of: &(dyn Fn(bool) -> SparseTransport + Sync), argument| {
            let errors = on_ranks(3, |rank| solve(&good, &solver_of(rank.rank() == bad_rank), rank).unwrap_err());
            assert!(errors.iter().all(|error| *error == Error::RanksDiffer { argument }), "{argument}");
        };
        differ(&|other| SparseTransport::new(if other { 0.2 } else { 0.1 }), "gamma");
        differ(&|other| solver.clone().max_iterations(if other { 20 } else { 10 }), "settings");
        differ(&|other| solver.clone().max_entries_per_row(if other { 20 } else { 10 }), "settings");
        // A rank ends before or during the solve.
        for left in [0, 1, 5, 9, 14, 25, 40] {
            let errors = on_ranks(3, |rank| {
                let left = if rank.rank() == bad_rank { left } else { usize::MAX };
                let rows = good.band(rank);
                let cost = MatRef::new(&good.cost[rows.start * 30..rows.end * 30], rows.len(), 30).unwrap();
                solver.solve_distributed(cost, &good.a[rows], &good.b, &mut Ending { rank, left }).unwrap_err()
            });
            assert!(errors.iter().all(|error| matches!(error, Error::Communication { .. })), "{errors:?}");
        }
    }
}

/// A rank whose reductions fail after some.
struct Ending<'a, 'b> {
    rank: &'a mut ThreadRank<'b>,
    left: usize,
}

impl Ending<'_, '_> {
    fn count(&mut self) -> Result<(), Error> {
        if self.left == 0 {
            return Err(Error::Communication { reason: "no reductions are left" });
        }
        self.left -= 1;
        Ok(())
    }
}

impl Reduce for Ending<'_, '_> {
    fn rank(&self) -> usize {
        self.rank.rank()
    }

    fn ranks(&self) -> usize {
        self.rank.ranks()
    }

    fn sum(&mut self, values: &mut [f64]) -> Result<(), Error> {
        self.count()?;
        self.rank.sum(values)
    }

    fn max(&mut self, values: &mut [f64]) -> Result<(), Error> {
        self.count()?;
        self.rank.max(values)
    }
}
