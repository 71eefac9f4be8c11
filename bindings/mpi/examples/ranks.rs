//! The program that `bindings/mpi/test` runs on one, two and four ranks. What it prints to the
//! standard output must not depend on their number; the traffic goes to the standard error.
//!
//!     mpirun -n RANKS ranks clusters     k-medoids of several problems
//!     mpirun -n RANKS ranks transport    Sinkhorn on several problems
//!     mpirun -n RANKS ranks invalid      an invalid number on the last rank
//!     mpirun -n RANKS ranks early        an error on the last rank before the search
//!     mpirun -n RANKS ranks panic        the last rank panics in the middle
//!     mpirun -n RANKS ranks killed       the last rank is killed in the middle

use mantex::medoids::{Algorithm, Init, rows_of_rank};
use mantex::transport::Method;
use mantex::{Error, KMedoids, MatMut, MatRef, Metric, Reduce, Sinkhorn, distance_matrix_between};
use mantex_mpi::MpiReduce;
use mpi::topology::SimpleCommunicator;
use std::io::Write;
use std::process::ExitCode;

type World = MpiReduce<SimpleCommunicator>;

/// Pseudo-random numbers from 0 to 1, the same on all ranks.
fn uniform(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 * f64::EPSILON / 2.0
    };
    (0..n).map(|_| next()).collect()
}

/// The distances of this rank's objects to all objects: points in the plane.
fn own_distances(n: usize, reduce: &dyn Reduce) -> Vec<f64> {
    let points = uniform(2 * n, n as u64);
    let own: Vec<f64> =
        rows_of_rank(n, reduce.rank(), reduce.ranks()).flat_map(|i| [points[2 * i], points[2 * i + 1]]).collect();
    let rows = own.len() / 2;
    let mut d = vec![0.0; rows * n];
    let [own, all] = [(&own, rows), (&points, n)].map(|(x, rows)| MatRef::new(x, rows, 2).expect("points"));
    let out = MatMut::new(&mut d, rows, n).expect("it fits");
    distance_matrix_between(own, all, out, Metric::Euclidean).expect("points in the plane");
    d
}

/// Fails unless all ranks have the same numbers.
fn check_same(values: &[f64], reduce: &mut dyn Reduce) -> Result<(), Error> {
    let (mut largest, mut negated) = (values.to_vec(), values.iter().map(|x| -x).collect::<Vec<_>>());
    reduce.max(&mut largest)?;
    reduce.max(&mut negated)?;
    let same = largest.iter().zip(&negated).all(|(x, y)| *x == -y);
    assert!(same, "rank {} has another result", reduce.rank());
    Ok(())
}

fn clusters(reduce: &mut World) -> Result<(), Error> {
    for (n, k) in [(500, 4), (1500, 30)] {
        let d = own_distances(n, reduce);
        let d = MatRef::new(&d, d.len() / n, n)?;
        for (algorithm, init) in [
            (Algorithm::FasterPam, Init::default()),
            (Algorithm::RandomFasterPam { seed: 1 }, Init::Random { seed: 2 }),
            (Algorithm::FastPam1, Init::Lab { seed: 3 }),
            (Algorithm::FastPam1, Init::Build),
        ] {
            let before = reduce.traffic();
            let options = KMedoids::new(k).algorithm(algorithm).init(init.clone());
            let result = options.fit_distributed(d, None, reduce)?;
            let after = reduce.traffic();
            let numbers: Vec<f64> = result.medoids().iter().chain(result.labels()).map(|&i| i as f64).collect();
            check_same(&numbers, reduce)?;
            check_same(&[result.loss()], reduce)?;
            if reduce.rank() == 0 {
                println!(
                    "{algorithm} from {init}: loss {:?}, {} swaps, {:?}",
                    result.loss(),
                    result.swaps(),
                    result.medoids()
                );
                eprintln!(
                    "{algorithm} from {init}, n = {n}, k = {k}, {} ranks: {:.1} reductions, {:.0} bytes per iteration, \
                     {} iterations, {} swaps",
                    reduce.ranks(),
                    (after.reductions - before.reductions) as f64 / result.iterations() as f64,
                    (after.bytes - before.bytes) as f64 / result.iterations() as f64,
                    result.iterations(),
                    result.swaps(),
                );
            }
        }
    }
    Ok(())
}

/// The first row of a rank's band of n rows.
fn first_row(n: usize, rank: usize, reduce: &dyn Reduce) -> usize {
    n * rank / reduce.ranks()
}

fn transport(reduce: &mut World) -> Result<(), Error> {
    let (n, m) = (900, 700);
    let (x, y) = (uniform(2 * n, 1), uniform(2 * m, 2));
    let masses = |n: usize, seed| {
        let masses = uniform(n, seed);
        let total: f64 = masses.iter().map(|x| x + 0.1).sum();
        masses.into_iter().map(|x| (x + 0.1) / total).collect::<Vec<f64>>()
    };
    let (a, b) = (masses(n, 3), masses(m, 4));
    let rows = first_row(n, reduce.rank(), reduce)..first_row(n, reduce.rank() + 1, reduce);
    let mut cost = vec![0.0; rows.len() * m];
    let own = MatRef::new(&x[2 * rows.start..2 * rows.end], rows.len(), 2)?;
    let out = MatMut::new(&mut cost, rows.len(), m)?;
    distance_matrix_between(own, MatRef::new(&y, m, 2)?, out, Metric::SquaredEuclidean)?;
    let cost = MatRef::new(&cost, rows.len(), m)?;
    for (epsilon, method) in [(0.1, Method::Log), (0.05, Method::Scaling), (0.01, Method::Auto)] {
        let before = reduce.traffic();
        let options = Sinkhorn::new(epsilon).method(method).tolerance(1e-9);
        let result = options.solve_distributed(cost, &a[rows.clone()], &b, reduce)?;
        let after = reduce.traffic();
        check_same(result.g(), reduce)?;
        check_same(&[result.cost(), result.marginal_error(), result.iterations() as f64], reduce)?;
        let mut f = vec![0.0; n];
        f[rows.clone()].copy_from_slice(result.f());
        reduce.sum(&mut f)?;
        if reduce.rank() == 0 {
            println!("{method} {epsilon}: {} {} iterations {:?}", result.status(), result.iterations(), result.cost());
            let numbers = f.iter().chain(result.g()).map(|x| format!("{x:?}")).collect::<Vec<_>>();
            println!("{}", numbers.join(" "));
            eprintln!(
                "Sinkhorn, {method}, n = {n}, m = {m}, {} ranks: {:.1} reductions, {:.0} bytes per iteration, \
                 {} iterations",
                reduce.ranks(),
                (after.reductions - before.reductions) as f64 / result.iterations() as f64,
                (after.bytes - before.bytes) as f64 / result.iterations() as f64,
                result.iterations(),
            );
        }
    }
    Ok(())
}

/// Runs a search in which the last rank behaves badly.
fn spoiled(how: &str, reduce: World) -> Result<(), Error> {
    let n = 400;
    let mut reduce = Spoiled { is_last: reduce.rank() + 1 == reduce.ranks(), how, left: 20, reduce };
    let mut d = own_distances(n, &reduce);
    let points = if how == "early" && reduce.is_last { Err(Error::Empty { argument: "points" }) } else { Ok(()) };
    reduce.agree(points)?;
    if how == "invalid" && reduce.is_last {
        d[7] = f64::NAN;
    }
    let result = KMedoids::new(20).fit_distributed(MatRef::new(&d, d.len() / n, n)?, None, &mut reduce);
    result.map(|result| println!("loss {}", result.loss()))
}

/// A rank that ends in the middle of a search.
struct Spoiled<'a> {
    is_last: bool,
    how: &'a str,
    /// The number of reductions before the end.
    left: usize,
    reduce: World,
}

impl Spoiled<'_> {
    fn count(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 && self.is_last && self.how == "panic" {
            panic!("a fault of the program");
        }
        if self.left == 0 && self.is_last && self.how == "killed" {
            std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status().expect("kill");
        }
    }
}

impl Reduce for Spoiled<'_> {
    fn rank(&self) -> usize {
        self.reduce.rank()
    }

    fn ranks(&self) -> usize {
        self.reduce.ranks()
    }

    fn sum(&mut self, values: &mut [f64]) -> Result<(), Error> {
        self.count();
        self.reduce.sum(values)
    }

    fn max(&mut self, values: &mut [f64]) -> Result<(), Error> {
        self.count();
        self.reduce.max(values)
    }
}

fn main() -> ExitCode {
    let what = std::env::args().nth(1).unwrap_or_default();
    let universe = mpi::initialize().expect("MPI");
    let mut reduce = MpiReduce::new(universe.world());
    let rank = reduce.rank();
    let result = match what.as_str() {
        "clusters" => clusters(&mut reduce),
        "transport" => transport(&mut reduce),
        _ => spoiled(&what, reduce),
    };
    if let Err(error) = result {
        // One write: what several ranks write in pieces is mixed.
        let _ = std::io::stderr().write_all(format!("rank {rank}: {error}\n").as_bytes());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
