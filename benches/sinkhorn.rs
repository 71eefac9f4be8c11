//! One full Sinkhorn iteration (an update of f and one of g) on every instruction set.
//!
//! A solve with tolerance 0 runs exactly the iterations asked for; the time of one is the difference between a solve
//! of many and a solve of one, so that the checks before and the measurement after do not count. Bytes are those of the cost
//! matrix, read once. From n = 4096 (f32) it exceeds most last-level caches, at 8192 nearly all.

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

fn benches(c: &mut Criterion) {
    iteration::<f32>(c, "f32", |x| x as f32);
    iteration::<f64>(c, "f64", |x| x);
}

criterion_group!(all, benches);
criterion_main!(all);
