//! Several threads: one call that all threads of rayon's pool share, against calls at once.
//!
//! `cargo bench --features rayon --bench threads` times one call on all threads, `speedup` against
//! the same call on one thread, and compares it with as many calls at once as there are threads,
//! each on one thread and on data of its own: what several processes would do. 1.00 x means that
//! nothing is lost by sharing a call. `--record FILE` also writes the records.

mod support;

use mantex::medoids::Init;
use mantex::transport::{EpsilonScaling, Method, OverRelaxation};
use mantex::{
    KMedoids, MatMut, MatRef, Metric, Sinkhorn, Softmax, SparseTransport, distance_matrix, distance_matrix_between,
    parallel,
};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::hint::black_box;
use std::time::Duration;
use support::arguments::Arguments;
use support::program;
use support::record::Record;
use support::records::{Records, Step};
use support::timing::{Sample, interleaved, samples, seconds};
use support::uniform::uniform;

/// The time for which calls are repeated within a round.
const AT_LEAST: Duration = Duration::from_millis(20);

/// The number of rounds.
const ROUNDS: usize = 9;

/// Compares a call: `call(data, parallel)` computes it on one thread or on several.
fn compare_call<D: Send>(
    records: &mut Records,
    work: &str,
    new: impl Fn() -> D + Sync,
    call: impl Fn(&mut D, bool) + Sync,
) {
    let threads = rayon::current_num_threads();
    let mut data: Vec<D> = (0..threads).into_par_iter().map(|_| new()).collect();
    let times = interleaved(ROUNDS, 3, |i| match i {
        0 => seconds(AT_LEAST, || call(&mut data[0], false)),
        1 => seconds(AT_LEAST, || call(&mut data[0], true)),
        _ => {
            let calls = (AT_LEAST.as_secs_f64() / seconds(Duration::ZERO, || call(&mut data[0], false))).ceil();
            let time = seconds(Duration::ZERO, || {
                rayon::scope(|scope| {
                    for data in &mut data {
                        scope.spawn(|_| (0..calls as usize).for_each(|_| call(data, false)));
                    }
                });
            });
            time / calls
        }
    });
    let ratios: Vec<f64> =
        times[1].iter().zip(&times[2]).map(|(shared, own)| own / (threads as f64 * shared)).collect();
    let t = samples(&times);
    records.print(
        Record::new(format!("{work}/threads={threads}"))
            .value(t[1] * 1e3, "ms")
            .ratio(Sample::new(&ratios).median, "the speed of calls at once")
            .detail("speedup", t[0] / t[1]),
    );
}

/// `len` random numbers.
fn numbers(len: usize) -> Vec<f32> {
    let mut next = uniform(1);
    (0..len).map(|_| next() as f32).collect()
}

/// A view of a matrix with `cols` columns.
fn view(x: &[f32], cols: usize) -> MatRef<'_, f32> {
    MatRef::new(x, x.len() / cols, cols).expect("whole rows")
}

/// A view of a matrix with `cols` columns, to be written.
fn target(x: &mut [f32], cols: usize) -> MatMut<'_, f32> {
    let rows = x.len() / cols;
    MatMut::new(x, rows, cols).expect("whole rows")
}

/// Compares softmax of rows: in cache, short and long, and in memory.
fn softmax_rows(records: &mut Records) {
    for (rows, cols) in [(2048, 64), (256, 1024), (16_384, 4096)] {
        let new = || (numbers(rows * cols), vec![0.0; rows * cols]);
        compare_call(records, &format!("softmax_rows/f32/{rows}x{cols}"), new, |(x, out), parallel| {
            let options = Softmax::new().parallel(parallel);
            options.rows(view(x, cols), target(out, cols)).expect("equal shapes");
        });
    }
}

/// Compares single rows that are far larger than the caches.
fn long_rows(records: &mut Records) {
    for log2_len in [24, 26] {
        let new = || (numbers(1 << log2_len), vec![0.0; 1 << log2_len]);
        for name in ["softmax", "log_softmax", "log_sum_exp"] {
            compare_call(records, &format!("{name}/f32/n=2^{log2_len}"), new, |(x, out), parallel| {
                match (name, parallel) {
                    ("softmax", false) => mantex::softmax(x, out).expect("equal lengths"),
                    ("softmax", true) => parallel::softmax(x, out).expect("equal lengths"),
                    ("log_softmax", false) => mantex::log_softmax(x, out).expect("equal lengths"),
                    ("log_softmax", true) => parallel::log_softmax(x, out).expect("equal lengths"),
                    (_, false) => _ = black_box(mantex::log_sum_exp(x)),
                    (_, true) => _ = black_box(parallel::log_sum_exp(x)),
                }
            });
        }
    }
}

/// Compares distance matrices of points of 64 dimensions.
fn distance_matrices(records: &mut Records) {
    const DIMENSIONS: usize = 64;
    for n in [500, 2000] {
        let new = || (numbers(n * DIMENSIONS), vec![0.0; n * n]);
        compare_call(records, &format!("distance_matrix/f32/n={n}/D=64"), new, |(x, out), parallel| {
            let compute = if parallel { parallel::distance_matrix } else { distance_matrix };
            compute(view(x, DIMENSIONS), target(out, n), Metric::Euclidean).expect("finite points");
        });
    }
}

/// Compares whole runs of FasterPAM, and the scan of a local optimum with the rest of that fit.
fn clusterings(records: &mut Records) {
    for (n, k) in [(1000, 10), (1000, 100), (5000, 100)] {
        let new = || {
            let (points, mut d) = (numbers(2 * n), vec![0.0; n * n]);
            distance_matrix(view(&points, 2), target(&mut d, n), Metric::Euclidean).expect("finite points");
            d
        };
        let start = KMedoids::new(k).init(Init::PlusPlus { seed: 1 });
        let optimum = start.fit(view(&new(), n)).expect("a good matrix").medoids().to_vec();
        let scan = KMedoids::new(k).init(Init::Given(optimum));
        for (name, options) in [("fasterpam", start), ("swap_scan", scan)] {
            compare_call(records, &format!("{name}/f32/n={n}/k={k}"), new, |d, parallel| {
                _ = black_box(options.clone().parallel(parallel).fit(view(d, n)).expect("a good matrix"));
            });
        }
    }
}

/// Compares iterations of Sinkhorn in both domains, in cache and in memory.
fn sinkhorn(records: &mut Records) {
    for n in [1000, 4096] {
        for (method, iterations) in [(Method::Log, 20), (Method::Scaling, 40)] {
            let new = || (numbers(n * n), vec![1.0 / n as f32; n]);
            let solver = Sinkhorn::new(0.1).method(method).max_iterations(iterations).tolerance(0.0);
            let solver = solver.over_relaxation(OverRelaxation::Off).epsilon_scaling(EpsilonScaling::Off);
            let work = format!("sinkhorn/f32/{method}/n={n}/iterations={iterations}");
            compare_call(records, &work, new, |(cost, masses), parallel| {
                let solver = solver.clone().parallel(parallel);
                _ = black_box(solver.solve(view(cost, n), masses, masses).expect("good masses"));
            });
        }
    }
}

/// Compares solves of sparse transport between points of the plane.
fn sparse_transport(records: &mut Records) {
    let (n, iterations) = (2000, 4);
    let new = || {
        let (x, mut cost) = (numbers(4 * n), vec![0.0; n * n]);
        let (x, y) = view(&x, 2).split_at_row(n);
        distance_matrix_between(x, y, target(&mut cost, n), Metric::SquaredEuclidean).expect("finite points");
        (cost, vec![1.0 / n as f32; n])
    };
    let solver = SparseTransport::new(2e-3 * (n * n) as f64).max_iterations(iterations).tolerance(0.0);
    let work = format!("sparse_transport/f32/n={n}/iterations={iterations}");
    compare_call(records, &work, new, |(cost, masses), parallel| {
        let solver = solver.clone().parallel(parallel);
        _ = black_box(solver.solve(view(cost, n), masses, masses).expect("good masses"));
    });
}

/// Compares batches of transport problems, and a plan.
fn transport(records: &mut Records) {
    let (n, problems) = (64, 512);
    let new = || (numbers(n * n), vec![1.0 / n as f32; n], numbers(problems * n));
    let solver = Sinkhorn::new(0.1);
    compare_call(records, &format!("solve_batch/f32/n={n}/problems={problems}"), new, |(cost, a, b), parallel| {
        for masses in b.chunks_exact_mut(n) {
            let total: f32 = masses.iter().sum();
            masses.iter_mut().for_each(|mass| *mass /= total);
        }
        let solver = solver.clone().parallel(parallel);
        _ = black_box(solver.solve_batch(view(cost, n), view(a, n), view(b, n)).expect("good masses"));
    });
    let n = 2000;
    let new = || (numbers(n * n), vec![0.0; n * n]);
    let masses = vec![1.0 / n as f32; n];
    let transports = {
        let cost = numbers(n * n);
        let solve = |parallel| {
            let solver = solver.clone().max_iterations(5).parallel(parallel);
            solver.solve(view(&cost, n), &masses, &masses).expect("good masses")
        };
        [solve(false), solve(true)]
    };
    compare_call(records, &format!("plan_into/f32/n={n}"), new, |(cost, out), parallel| {
        let transport = &transports[usize::from(parallel)];
        transport.plan_into(view(cost, n), target(out, n)).expect("equal shapes");
    });
}

/// Runs the comparisons on the best instruction set.
fn compare(_: &Arguments, records: &mut Records) {
    let steps = [
        Step::new("softmax", |(): &mut (), records: &mut Records| softmax_rows(records)),
        Step::new("long rows", |(): &mut (), records: &mut Records| long_rows(records)),
        Step::new("distances", |(): &mut (), records: &mut Records| distance_matrices(records)),
        Step::new("k-medoids", |(): &mut (), records: &mut Records| clusterings(records)),
        Step::new("sinkhorn", |(): &mut (), records: &mut Records| sinkhorn(records)),
        Step::new("sparse transport", |(): &mut (), records: &mut Records| sparse_transport(records)),
        Step::new("transport", |(): &mut (), records: &mut Records| transport(records)),
    ];
    records.run(&mut (), &steps);
}

fn main() {
    program::compare_and_bench("threads", compare, |_| {});
}
