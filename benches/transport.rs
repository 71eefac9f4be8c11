//! Sinkhorn's iteration, which updates f and g once each, and whole solves.
//!
//! `cargo bench --bench transport` first prints comparisons, each from a function below: of an
//! iteration with its exponentials alone and with one read of the cost matrix, and of the
//! iterations and the time that a solve takes by each method. Then it runs criterion's benches.
//! Their throughput counts the bytes of the cost matrix once, or the entries of the matrix times
//! iterations times problems.
//!
//! `-- ratios` prints the comparisons only, `-- ratios avx512 f32` or `-- ratios solves` some of
//! them, and `--record FILE` also writes their records. Any other word is a filter of criterion.
//! `--quick` leaves out criterion and all comparisons that the report does not show.
//!
//! A solve with tolerance 0 takes exactly the requested number of iterations. The time of an
//! iteration is a difference of times: the checks before, the stored matrix and the summary after
//! the iterations do not count.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput};
use mantex::transport::{EpsilonScaling, Method, OverRelaxation};
use mantex::{Isa, MatRef, Real, Sinkhorn, baselines};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::any::type_name;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use support::arguments::Arguments;
use support::buffers::Buffer;
use support::program;
use support::record::Record;
use support::records::{Records, Run, Step};
use support::timing::{Sample, interleaved, samples, seconds};

/// The bytes of the largest cost matrix.
const LARGEST_BYTES: usize = 1 << 30;

/// The methods whose iterations are timed, and their names in ids.
const METHODS: [(Method, &str); 2] = [(Method::Log, "log"), (Method::Scaling, "scaling")];

/// Fills an n x m matrix with squared distances between random points of the unit square.
///
/// This is the problem of `peers/inputs.rs`, whose generator is simple enough for any language.
fn fill_costs<T: Real>(n: usize, m: usize, cost: &mut [T]) {
    let mut coordinate = support::uniform::uniform(1);
    let mut points = |n: usize| -> Vec<[f64; 2]> { (0..n).map(|_| [coordinate(), coordinate()]).collect() };
    let (x, y) = (points(n), points(m));
    for (p, row) in x.iter().zip(cost.chunks_exact_mut(m)) {
        for (q, c) in y.iter().zip(row) {
            *c = T::rounded((p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2));
        }
    }
}

/// A solver of iterations without over-relaxation and schedules.
fn unaccelerated(epsilon: f64) -> Sinkhorn {
    Sinkhorn::new(epsilon).over_relaxation(OverRelaxation::Off).epsilon_scaling(EpsilonScaling::Off)
}

/// Uniform masses with total 1.
fn uniform<T: Real>(n: usize) -> Vec<T> {
    vec![T::rounded(1.0 / n as f64); n]
}

/// The time of `iterations` iterations beyond the first two.
fn iteration_time<T: Real>(solver: &Sinkhorn, cost: MatRef<'_, T>, iterations: usize) -> Duration {
    let (a, b) = (uniform(cost.rows()), uniform(cost.cols()));
    let time = |iterations: usize| {
        let solver = solver.clone().tolerance(0.0).max_iterations(iterations);
        // From the end of the first iteration on: the solver allocates and checks before it.
        let (mut first, mut last) = (None, Instant::now());
        let on_iteration = |_: &_| {
            last = Instant::now();
            first = first.or(Some(last));
            ControlFlow::Continue(())
        };
        let _ = black_box(solver.solve_with_progress(cost, &a, &b, on_iteration).expect("a good problem"));
        last - first.unwrap_or(last)
    };
    time(2 + iterations).saturating_sub(time(2))
}

/// Compares iterations on a matrix with its exponentials alone, with a read, and with each other.
fn compare_iterations<T: Real>(isa: Isa, cost: MatRef<'_, T>, data: &[T], records: &mut Records) {
    let (n, m, entries) = (cost.rows(), cost.cols(), data.len());
    let at_least = Duration::from_millis(5);
    let many = (20_000_000 / entries).clamp(2, 200);
    let rounds = if entries < 1 << 22 { 9 } else { 3 };
    let t = samples(&interleaved(rounds, 4, |i| match i {
        0 => seconds(at_least, || _ = black_box(baselines::sum_exp(isa, black_box(data)))),
        1 => seconds(at_least, || _ = black_box(baselines::read(isa, black_box(data)))),
        _ => {
            let solver = unaccelerated(0.05).isa(isa).method(METHODS[i - 2].0);
            iteration_time(&solver, cost, many).as_secs_f64() / many as f64
        }
    }));
    let (exp, read, log, scaling) = (t[0], t[1], t[2], t[3]);
    let size = if n == m { format!("n={n}") } else { format!("n={n}/m={m}") };
    let record = |function: &str, method: &str, seconds: Sample| {
        let record = Record::new(format!("{function}/{}/{isa}/{method}{size}", type_name::<T>()));
        let record = record.value(seconds * (1e9 / entries as f64), "ns/entry").detail("ms", seconds.median * 1e3);
        record.detail("GB/s", size_of_val(data) as f64 / seconds.median / 1e9)
    };
    let log_iteration = || record("sinkhorn_iteration", "log/", log);
    let scaling_iteration = || record("sinkhorn_iteration", "scaling/", scaling);
    records.print(record("read", "", read));
    records.print(log_iteration().ratio(log / exp, "the time of summing exp"));
    records.print(log_iteration().ratio(log / read, "the time of a read"));
    records.print(scaling_iteration().ratio(scaling / read, "the time of a read"));
    records.print(scaling_iteration().ratio(log / scaling, "the speed of the log iteration"));
}

/// Compares iterations on matrices of several shapes.
fn compare_shapes<T: Real + bytemuck::Pod>(isa: Isa, quick: bool, buffer: &mut Buffer, records: &mut Records) {
    let mut shapes = vec![(256, 256), (512, 512), (1024, 1024)];
    if isa.name() != "scalar" {
        shapes.extend([(2048, 2048), (4096, 4096)]);
    }
    if !quick {
        shapes.extend([(100, 100_000), (100_000, 100)]);
    }
    if isa.name() != "scalar" && !quick {
        shapes.extend([(8192, 8192), (16384, 16384)]);
    }
    for (n, m) in shapes {
        if n * m * size_of::<T>() <= LARGEST_BYTES {
            let data = buffer.elements::<T>(n * m);
            fill_costs(n, m, data);
            let cost = MatRef::new(&*data, n, m).expect("a whole matrix");
            compare_iterations(isa, cost, data, records);
        }
    }
}

/// The median of the costs.
fn median_cost<T: Real>(cost: &[T]) -> f64 {
    let mut sorted: Vec<f64> = cost.iter().map(|&c| c.into()).collect();
    let (_, &mut median, _) = sorted.select_nth_unstable_by(cost.len() / 2, f64::total_cmp);
    median
}

/// Compares the methods in whole solves to the default tolerance.
fn compare_solves<T: Real + bytemuck::Pod>(n: usize, buffer: &mut Buffer, records: &mut Records) {
    let cost = buffer.elements::<T>(n * n);
    fill_costs(n, n, cost);
    let median = median_cost(cost);
    let (matrix, masses) = (MatRef::new(&*cost, n, n).expect("a square matrix"), uniform(n));
    let epsilons: &[f64] = if n > 2000 { &[0.1, 0.01] } else { &[0.1, 0.01, 0.001] };
    for &relative_epsilon in epsilons {
        // Epsilon is representable in the type of the costs, as it is for the peers.
        let epsilon: f64 = T::rounded(relative_epsilon * median).into();
        let auto = unaccelerated(epsilon).max_iterations(20_000);
        let over_relaxed = auto.clone().over_relaxation(OverRelaxation::Auto);
        let scaled = over_relaxed.clone().epsilon_scaling(EpsilonScaling::Factor(4.0));
        let default = Sinkhorn::new(epsilon).max_iterations(20_000);
        let [log, scaling] = METHODS.map(|(method, name)| (name, auto.clone().method(method)));
        let others = [
            ("auto", auto),
            ("auto_over_relaxed", over_relaxed),
            ("auto_over_relaxed_epsilon_scaling", scaled),
            ("default", default),
        ];
        for (name, solver) in [log, scaling].into_iter().chain(others) {
            let start = Instant::now();
            let t = solver.solve(matrix, &masses, &masses).expect("a good problem");
            let ms = start.elapsed().as_secs_f64() * 1e3;
            let id = format!("{}/{}/n={n}/epsilon={relative_epsilon}*median/{name}", type_name::<T>(), Isa::best());
            let record = Record::new(format!("sinkhorn_solve/{id}")).value(ms, "ms");
            let record = record.detail("iterations", t.iterations() as f64).detail("error", t.marginal_error());
            records.print(if t.converged() { record } else { record.detail("not converged", 1.0) });
        }
    }
}

/// Times whole solves with the default options against the size of the problem and epsilon.
fn solves_by_size(isa: Isa, n: usize, buffer: &mut Buffer, records: &mut Records) {
    let cost = buffer.elements::<f32>(n * n);
    fill_costs(n, n, cost);
    let median = median_cost(cost);
    let (matrix, masses) = (MatRef::new(&*cost, n, n).expect("a square matrix"), uniform(n));
    let epsilons = [0.1, 0.03, 0.01, 0.003, 0.001];
    let solvers = epsilons.map(|epsilon| Sinkhorn::new(epsilon * median).max_iterations(20_000).isa(isa));
    let mut last = [(); 5].map(|()| None);
    let t = samples(&interleaved(3, epsilons.len(), |i| {
        seconds(Duration::from_millis(5), || {
            last[i] = Some(solvers[i].solve(matrix, &masses, &masses).expect("a good problem"));
        })
    }));
    for ((epsilon, time), transport) in epsilons.iter().zip(t).zip(last.into_iter().flatten()) {
        let id = format!("sinkhorn_solve/f32/{isa}/n={n}/epsilon={epsilon}*median/default");
        let record = Record::new(id).value(time * 1e3, "ms").detail("iterations", transport.iterations() as f64);
        let record = record.detail("error", transport.marginal_error());
        records.print(if transport.converged() { record } else { record.detail("not converged", 1.0) });
    }
}

/// The comparisons that the command line asks for: types, instruction sets, `solves`; with
/// `--quick` those of the report only.
fn steps(arguments: &Arguments) -> Vec<Step<Buffer>> {
    let quick = arguments.quick;
    let isas: Vec<Isa> = if quick { program::main_isas() } else { Isa::available().collect() };
    let isa_names: Vec<&str> = isas.iter().map(|isa| isa.name()).collect();
    let wants_type = |name| arguments.wants(name, &["f32", "f64"]);
    let names_solves = arguments.words.iter().any(|word| word == "solves");
    let mut steps = Vec::new();
    let mut add = |name: String, run: Run<Buffer>| steps.push(Step { name, run });
    for isa in isas {
        if names_solves || !arguments.wants(isa.name(), &isa_names) {
            continue;
        }
        if wants_type("f32") {
            add(format!("iterations, f32 {isa}"), Box::new(move |b, r| compare_shapes::<f32>(isa, quick, b, r)));
        }
        if wants_type("f64") && !quick {
            add(format!("iterations, f64 {isa}"), Box::new(move |b, r| compare_shapes::<f64>(isa, quick, b, r)));
        }
    }
    if names_solves || arguments.words.len() <= 1 {
        for n in if quick { vec![] } else { vec![1000, 4096] } {
            add(format!("solves of n = {n}, f32"), Box::new(move |b, r| compare_solves::<f32>(n, b, r)));
            add(format!("solves of n = {n}, f64"), Box::new(move |b, r| compare_solves::<f64>(n, b, r)));
        }
        for (isa, n) in program::main_isas().into_iter().flat_map(|isa| [128, 256, 512, 1024, 2048].map(|n| (isa, n))) {
            add(format!("solves of n = {n}, f32 {isa}"), Box::new(move |b, r| solves_by_size(isa, n, b, r)));
        }
    }
    steps
}

/// Benches of criterion: one iteration.
fn bench_iteration<T: Real>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sinkhorn_iteration");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    for n in [256, 1024, 4096, 8192] {
        let mut data = vec![T::default(); n * n];
        fill_costs(n, n, &mut data);
        let cost = MatRef::new(&data, n, n).expect("a square matrix");
        group.throughput(Throughput::Bytes(size_of_val(&data[..]) as u64));
        for (isa, (method, name)) in Isa::available().flat_map(|isa| METHODS.map(|method| (isa, method))) {
            let solver = unaccelerated(0.01).isa(isa).method(method);
            let id = BenchmarkId::from_parameter(format_args!("{}/{isa}/{name}/n={n}", type_name::<T>()));
            group.bench_function(id, |b| b.iter_custom(|n| iteration_time(&solver, cost, n as usize)));
        }
    }
    group.finish();
}

/// Random histograms, one per row.
fn histograms<T: Real>(rng: &mut StdRng, problems: usize, n: usize) -> Vec<T> {
    let one = |_| {
        let masses: Vec<f64> = (0..n).map(|_| rng.random_range(0.1..1.0)).collect();
        let total: f64 = masses.iter().sum();
        masses.into_iter().map(move |mass| T::rounded(mass / total))
    };
    (0..problems).flat_map(one).collect()
}

/// Benches of criterion: a batch of problems on one cost matrix, and a loop of `solve` over them.
fn bench_batch<T: Real>(criterion: &mut Criterion) {
    const ITERATIONS: usize = 20;
    let mut group = criterion.benchmark_group("sinkhorn_batch");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let mut rng = StdRng::seed_from_u64(2);
    for (n, problems) in [(64, 1000), (512, 64)] {
        let mut cost = vec![T::default(); n * n];
        fill_costs(n, n, &mut cost);
        let cost = MatRef::new(&cost, n, n).expect("a square matrix");
        let (a, b) = (histograms(&mut rng, problems, n), histograms(&mut rng, problems, n));
        let [a, b] = [&a, &b].map(|masses| MatRef::<T>::new(masses, problems, n).expect("a row for each problem"));
        group.throughput(Throughput::Elements((n * n * ITERATIONS * problems) as u64));
        for isa in Isa::available() {
            let solver = unaccelerated(0.1).tolerance(0.0).max_iterations(ITERATIONS).isa(isa);
            let id = |how| BenchmarkId::from_parameter(format_args!("{}/{isa}/n={n}/{how}", type_name::<T>()));
            group.bench_function(id("batch"), |bencher| {
                bencher.iter(|| solver.solve_batch(cost, a, b).expect("good problems"));
            });
            group.bench_function(id("solve"), |bencher| {
                bencher.iter(|| {
                    for (a, b) in a.iter_rows().zip(b.iter_rows()) {
                        let _ = black_box(solver.solve(cost, a, b).expect("a good problem"));
                    }
                });
            });
        }
    }
    group.finish();
}

fn main() {
    let compare = |arguments: &Arguments, records: &mut Records| {
        records.run(&mut Buffer::new(LARGEST_BYTES), &steps(arguments));
    };
    program::compare_and_bench("transport", compare, |criterion| {
        bench_iteration::<f32>(criterion);
        bench_iteration::<f64>(criterion);
        bench_batch::<f32>(criterion);
        bench_batch::<f64>(criterion);
    });
}
