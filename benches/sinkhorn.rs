//! One full Sinkhorn iteration (an update of f and one of g) on every instruction set.
//!
//! A solve with tolerance 0 runs exactly the iterations asked for; the time of one is the difference between a solve
//! of many and a solve of one, so that the checks before and the measurement after do not count. Bytes are those of the cost
//! matrix, read once. From n = 4096 (f32) it exceeds most last-level caches, at 8192 nearly all.
//!
//! Batches of problems on one cost matrix, from checks to results, against a loop of `solve`, both with as many iterations.
//! Elements are entries of the matrix times iterations times problems.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mantex::{Isa, MatRef, Real, Sinkhorn};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Squared distances between random points of the unit square.
fn costs<T: Copy>(n: usize, of: impl Fn(f64) -> T) -> Vec<T> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut points = || -> Vec<[f64; 2]> { (0..n).map(|_| [rng.random(), rng.random()]).collect() };
    let (x, y) = (points(), points());
    let mut cost = Vec::with_capacity(n * n);
    for p in &x {
        cost.extend(y.iter().map(|q| of((p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2))));
    }
    cost
}

fn iteration<T: Real>(c: &mut Criterion, name: &str, of: impl Fn(f64) -> T + Copy) {
    let mut group = c.benchmark_group("sinkhorn_iteration");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    for n in [256, 1024, 4096, 8192] {
        let cost = costs(n, of);
        let masses = vec![of(1.0 / n as f64); n];
        let matrix = MatRef::new(&cost, n, n).expect("a square matrix");
        group.throughput(Throughput::Bytes((n * n * size_of::<T>()) as u64));
        for isa in Isa::available() {
            let solver = Sinkhorn::new(of(0.01)).tolerance(of(0.0)).isa(isa);
            let time = |iterations: usize| {
                let solver = solver.clone().max_iterations(iterations);
                let start = Instant::now();
                black_box(solver.solve(matrix, &masses, &masses).expect("a good problem"));
                start.elapsed()
            };
            group.bench_function(BenchmarkId::from_parameter(format_args!("{name}/{isa}/n={n}")), |b| {
                b.iter_custom(|iterations| time(1 + iterations as usize).saturating_sub(time(1)));
            });
        }
    }
    group.finish();
}

fn batch<T: Real>(c: &mut Criterion, name: &str, of: impl Fn(f64) -> T + Copy) {
    const ITERATIONS: usize = 20;
    let mut group = c.benchmark_group("sinkhorn_batch");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let mut rng = StdRng::seed_from_u64(2);
    for (n, problems) in [(64, 1000), (512, 64)] {
        let cost = costs(n, of);
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

fn benches(c: &mut Criterion) {
    iteration::<f32>(c, "f32", |x| x as f32);
    iteration::<f64>(c, "f64", |x| x);
    batch::<f32>(c, "f32", |x| x as f32);
    batch::<f64>(c, "f64", |x| x);
}

criterion_group!(all, benches);
criterion_main!(all);
