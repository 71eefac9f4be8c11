//! Sinkhorn's iteration (an update of f and one of g) and whole solves, on every instruction set.
//!
//! `cargo bench --bench sinkhorn` first prints ratios: of an iteration to the exponentials alone and to one read of the cost
//! matrix, both timed in turns with it in one process on one core, as medians over rounds; and how many iterations and how
//! much time a solve takes by each method. Then it runs criterion's benches, whose bytes are those of the cost matrix, read
//! once. `-- ratios` prints the ratios alone, `-- ratios avx512 f32` or `-- ratios solves`
//! some of them; any other filter is criterion's and skips them.
//!
//! A solve with tolerance 0 runs exactly the iterations asked for; the time of one is the difference between a solve of
//! many and a solve of few, so that the checks before, absorbing and the measurement after do not count.
//!
//! Batches of problems on one cost matrix, from checks to results, against a loop of `solve`, both with as many iterations.
//! Elements are entries of the matrix times iterations times problems.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput};
use mantex::{Isa, MatRef, Method, Real, Relaxation, Sinkhorn, baselines};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::{Buffer, quantile, seconds};

/// Squared distances between random points of the unit square: the problem of `peers/sinkhorn.py`, whose generator is simple
/// enough to be the same in any language.
fn costs<T: Real>(n: usize, m: usize, cost: &mut [T]) {
    let mut x = 1_u64;
    let mut coordinate = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut points = |n: usize| -> Vec<[f64; 2]> { (0..n).map(|_| [coordinate(), coordinate()]).collect() };
    let (x, y) = (points(n), points(m));
    for (p, row) in x.iter().zip(cost.chunks_exact_mut(m)) {
        for (q, c) in y.iter().zip(row) {
            *c = T::rounded((p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2));
        }
    }
}

fn uniform<T: Real>(n: usize) -> Vec<T> {
    vec![T::rounded(1.0 / n as f64); n]
}

/// The time of `iterations` iterations beyond the first two.
fn iterations<T: Real>(isa: Isa, method: Method, cost: MatRef<'_, T>, epsilon: f64, iterations: usize) -> Duration {
    let (a, b) = (uniform(cost.rows()), uniform(cost.cols()));
    let solver = Sinkhorn::new(T::rounded(epsilon)).tolerance(T::rounded(0.0)).isa(isa).method(method);
    let time = |iterations: usize| {
        let solver = solver.clone().max_iterations(iterations);
        // From the first iteration on: what is before, the solver's memory among it, does not count.
        let (mut first, mut last) = (None, Instant::now());
        let watch = |_: &_| {
            last = Instant::now();
            first = first.or(Some(last));
            std::ops::ControlFlow::Continue(())
        };
        black_box(solver.solve_with(cost, &a, &b, watch).expect("a good problem"));
        last - first.unwrap_or(last)
    };
    time(2 + iterations).saturating_sub(time(2))
}

/// The ratios of one type on one instruction set, a line each.
fn ratios<T: Real + bytemuck::Pod>(isa: Isa, buffer: &mut Buffer) {
    let line = |what: &str, ratio: f64, note: String| {
        println!("{:<4} {:<7} {what:<64} {ratio:>6.2}x {note}", std::any::type_name::<T>(), isa.name());
    };
    let mut shapes = vec![(256, 256), (512, 512), (1024, 1024), (100, 100_000), (100_000, 100)];
    if isa.name() != "scalar" {
        shapes.extend([(4096, 4096), (8192, 8192), (16384, 16384)]);
    }
    for (n, m) in shapes {
        let entries = n * m;
        let bytes = entries * size_of::<T>();
        if bytes > LARGEST {
            continue;
        }
        let cost = buffer.of::<T>(bytes);
        costs(n, m, cost);
        let matrix = MatRef::new(&*cost, n, m).expect("it fits");
        let least = Duration::from_millis(5);
        let many = (20_000_000 / entries).clamp(2, 200);
        let mut times = [const { Vec::new() }; 4];
        for _ in 0..if entries < 1 << 22 { 9 } else { 3 } {
            times[0].push(seconds(least, || _ = black_box(baselines::sum_exp(isa, black_box(cost)))));
            times[1].push(seconds(least, || _ = black_box(baselines::read(isa, black_box(cost)))));
            for (method, times) in [Method::Log, Method::Scaling].into_iter().zip(&mut times[2..]) {
                times.push(iterations(isa, method, matrix, 0.05, many).as_secs_f64() / many as f64);
            }
        }
        let [exp, read, log, scaling] = times.map(|times| quantile(&times, 0.5));
        let note = |t: f64| {
            let gb = bytes as f64 / t / 1e9;
            format!("{:.3} ns/entry, {:.3} ms, {gb:.1} GB/s", t * 1e9 / entries as f64, t * 1e3)
        };
        line(&format!("{n} x {m}: log iteration, of summing exp"), log / exp, note(log));
        line(&format!("{n} x {m}: log iteration, of a read"), log / read, note(read));
        line(&format!("{n} x {m}: scaling iteration, of a read"), scaling / read, note(scaling));
        line(&format!("{n} x {m}: scaling, faster than the log iteration"), log / scaling, String::new());
    }
}

/// Bytes of the largest cost matrix.
const LARGEST: usize = 1 << 30;

/// Whole solves to the default tolerance, as `peers/sinkhorn.py` times them.
fn solves<T: Real + bytemuck::Pod>(n: usize, buffer: &mut Buffer) {
    let cost = buffer.of::<T>(n * n * size_of::<T>());
    costs(n, n, cost);
    let mut all: Vec<f64> = cost.iter().map(|c| c.to_f64()).collect();
    let (_, &mut median, _) = all.select_nth_unstable_by(n * n / 2, f64::total_cmp);
    drop(all);
    let (matrix, masses) = (MatRef::new(&*cost, n, n).expect("it fits"), uniform(n));
    for ratio in [0.1, 0.01, 0.001] {
        let plain = Sinkhorn::new(T::rounded(ratio * median)).max_iterations(20_000);
        let relaxed = plain.clone().relaxation(Relaxation::Auto);
        let kinds = [
            ("log", plain.clone().method(Method::Log)),
            ("scaling", plain.clone().method(Method::Scaling)),
            ("auto", plain.clone()),
            ("auto, relaxed", relaxed.clone()),
            ("auto, relaxed, epsilon scaling", relaxed.epsilon_scaling(4.0)),
        ];
        for (name, solver) in kinds {
            if n > 2000 && ratio < 0.01 {
                continue;
            }
            let start = Instant::now();
            let t = solver.solve(matrix, &masses, &masses).expect("a good problem");
            let time = start.elapsed().as_secs_f64() * 1e3;
            println!(
                "{:<4} n = {n}, epsilon = {ratio} median: {name:<32} {:>6} iterations {time:>9.1} ms, error {:.1e}{}",
                std::any::type_name::<T>(),
                t.iterations(),
                t.marginal_error().to_f64(),
                if t.converged() { "" } else { ", not converged" }
            );
        }
    }
}

/// All ratios, or those that are named: types, instruction sets, `solves`.
fn print_ratios(names: &[String]) {
    let wanted = |name: &str, of: &[&str]| {
        let mut named = names.iter().filter(|n| of.contains(&n.as_str())).peekable();
        named.peek().is_none() || named.any(|n| n == name)
    };
    support::print_machine();
    let mut buffer = Buffer::new(LARGEST);
    let types = ["f32", "f64"];
    let isas: Vec<Isa> = Isa::available().collect();
    let isa_names: Vec<&str> = isas.iter().map(|isa| isa.name()).collect();
    if !names.iter().any(|n| n == "solves") {
        for isa in isas.iter().copied().filter(|isa| wanted(isa.name(), &isa_names)) {
            if wanted("f32", &types) {
                ratios::<f32>(isa, &mut buffer);
            }
            if wanted("f64", &types) {
                ratios::<f64>(isa, &mut buffer);
            }
        }
    }
    for n in [1000, 4096] {
        if names.is_empty() || names.iter().any(|n| n == "solves") {
            solves::<f32>(n, &mut buffer);
            solves::<f64>(n, &mut buffer);
        }
    }
}

fn iteration<T: Real>(c: &mut Criterion, name: &str) {
    let mut group = c.benchmark_group("sinkhorn_iteration");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    for n in [256, 1024, 4096, 8192] {
        let mut cost = vec![T::rounded(0.0); n * n];
        costs(n, n, &mut cost);
        let matrix = MatRef::new(&cost, n, n).expect("a square matrix");
        group.throughput(Throughput::Bytes((n * n * size_of::<T>()) as u64));
        for (isa, (method, label)) in
            Isa::available().flat_map(|isa| [(Method::Log, "log"), (Method::Scaling, "scaling")].map(|m| (isa, m)))
        {
            group.bench_function(BenchmarkId::from_parameter(format_args!("{name}/{isa}/{label}/n={n}")), |b| {
                b.iter_custom(|n| iterations(isa, method, matrix, 0.01, n as usize));
            });
        }
    }
    group.finish();
}

fn batch<T: Real>(c: &mut Criterion, name: &str) {
    let of = T::from_f64;
    const ITERATIONS: usize = 20;
    let mut group = c.benchmark_group("sinkhorn_batch");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let mut rng = StdRng::seed_from_u64(2);
    for (n, problems) in [(64, 1000), (512, 64)] {
        let mut cost = vec![of(0.0); n * n];
        costs(n, n, &mut cost);
        let mut histograms = || -> Vec<T> {
            let one = |rng: &mut StdRng| {
                let masses: Vec<f64> = (0..n).map(|_| rng.random_range(0.1..1.0)).collect();
                let total: f64 = masses.iter().sum();
                masses.into_iter().map(move |mass| of(mass / total))
            };
            (0..problems).flat_map(|_| one(&mut rng)).collect()
        };
        let (a, b) = (histograms(), histograms());
        let matrix = MatRef::new(&cost, n, n).expect("a square matrix");
        let (a, b) = (MatRef::new(&a, problems, n), MatRef::new(&b, problems, n));
        let (a, b) = (a.expect("a row for each problem"), b.expect("a row for each problem"));
        group.throughput(Throughput::Elements((n * n * ITERATIONS * problems) as u64));
        for isa in Isa::available() {
            let solver = Sinkhorn::new(of(0.1)).tolerance(of(0.0)).max_iterations(ITERATIONS).isa(isa);
            let id = |how: &str| BenchmarkId::from_parameter(format_args!("{name}/{isa}/n={n}/{how}"));
            group.bench_function(id("batch"), |bencher| {
                bencher.iter(|| solver.solve_batch(matrix, a, b).expect("good problems"));
            });
            group.bench_function(id("solve"), |bencher| {
                bencher.iter(|| {
                    for (a, b) in a.iter_rows().zip(b.iter_rows()) {
                        black_box(solver.solve(matrix, a, b).expect("a good problem"));
                    }
                });
            });
        }
    }
    group.finish();
}

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let ratios = filters.first().is_some_and(|filter| filter == "ratios");
    if filters.is_empty() || ratios {
        print_ratios(filters.get(1..).unwrap_or_default());
    }
    if !ratios {
        let mut criterion = Criterion::default().configure_from_args();
        iteration::<f32>(&mut criterion, "f32");
        iteration::<f64>(&mut criterion, "f64");
        batch::<f32>(&mut criterion, "f32");
        batch::<f64>(&mut criterion, "f64");
        criterion.final_summary();
    }
}
