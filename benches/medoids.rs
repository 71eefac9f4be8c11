//! k-medoids: the swap scan, BUILD and whole FasterPAM runs, for every instruction set.
//!
//! The scan is timed through one iteration of FastPAM1 from a local optimum, which scans all n candidates and swaps
//! nothing; the start (k rows into the caches, once before and once after) and the check of the input (one streaming
//! read) are timed with it, so per-entry times are upper bounds: `check` times these alone. n = 1000 stays in cache, n = 10000 reads
//! a matrix of 400 MB (f32), many times the last-level cache. `throughput` counts the n * n entries once.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mantex::{Algorithm, Init, Isa, KMedoids, MatRef, Real};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Normal};
use std::hint::black_box;
use std::time::Duration;

/// Euclidean distances in a mixture of 20 Gaussians in the plane.
fn mixture<T: Real>(n: usize) -> Vec<T> {
    let mut rng = StdRng::seed_from_u64(1);
    let noise = Normal::new(0.0, 1.0).unwrap();
    let centres: Vec<[f64; 2]> = (0..20).map(|_| [rng.random_range(0.0..30.0), rng.random_range(0.0..30.0)]).collect();
    let points: Vec<[f32; 2]> = (0..n).map(|i| centres[i % 20].map(|x| (x + noise.sample(&mut rng)) as f32)).collect();
    let mut d = Vec::with_capacity(n * n);
    for a in &points {
        d.extend(points.iter().map(|b| T::from_f64(((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt().into())));
    }
    d
}

/// In a quick run (`--quick`) the large matrix is 100 MB instead of 400.
fn sizes() -> [usize; 2] {
    [1000, if std::env::args().any(|arg| arg == "--quick") { 5000 } else { 10_000 }]
}

fn bench_type<T: Real>(criterion: &mut Criterion, name: &str) {
    let mut group = criterion.benchmark_group("medoids");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(1500));
    for n in sizes() {
        let data = mixture::<T>(n);
        let d = MatRef::new(&data, n, n).unwrap();
        group.throughput(Throughput::Bytes((n * n * size_of::<T>()) as u64));
        for k in [2, 3, 5, 10, 30, 100, 300] {
            let start = KMedoids::new(k).init(Init::Random { seed: 1 });
            let medoids = start.fit(d).unwrap().medoids().to_vec();
            for isa in Isa::available() {
                let at = |what: &str| BenchmarkId::from_parameter(format!("{what}/{name}/{isa}/n={n}/k={k}"));
                let given = KMedoids::new(k).init(Init::Given(medoids.clone())).isa(isa);
                let scan = given.clone().algorithm(Algorithm::FastPam1).max_iterations(1);
                assert_eq!(scan.fit(d).unwrap().swaps(), 0);
                group.bench_function(at("swap_scan"), |b| b.iter(|| black_box(scan.fit(d))));
                if k == 100 {
                    let check = given.max_iterations(0);
                    group.bench_function(at("check"), |b| b.iter(|| black_box(check.fit(d))));
                }
                if k == 10 || k == 100 {
                    let run = start.clone().isa(isa);
                    group.bench_function(at("fasterpam"), |b| b.iter(|| black_box(run.fit(d))));
                }
                if k == 2 {
                    let build = KMedoids::new(k).max_iterations(0).isa(isa);
                    group.bench_function(at("build"), |b| b.iter(|| black_box(build.fit(d))));
                }
            }
        }
    }
    group.finish();
}

fn medoids(criterion: &mut Criterion) {
    bench_type::<f32>(criterion, "f32");
    bench_type::<f64>(criterion, "f64");
}

criterion_group!(benches, medoids);
criterion_main!(benches);
