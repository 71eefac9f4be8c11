//! The softmax family on every instruction set, in cache and out of it; ids like `softmax/f32/avx512/n=1048576`.
//!
//! Throughput counts the input and the output once each, whatever the passes. Row forms work on 256 KiB of rows.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mantex::{Isa, MatMut, MatRef, Real};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::hint::black_box;
use std::time::Duration;

/// Logits between -10 and 10.
fn logits<T: Real>(n: usize) -> Vec<T> {
    let mut rng = StdRng::seed_from_u64(1);
    (0..n).map(|_| T::from_f64(rng.random_range(-10.0..10.0))).collect()
}

fn rows<T: Real>(c: &mut Criterion, name: &str) {
    let mut group = c.benchmark_group("softmax_rows");
    group.sample_size(20).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
    for cols in [8, 16, 64, 256, 1024, 4096] {
        let rows = (256 << 10) / size_of::<T>() / cols;
        let x = logits::<T>(rows * cols);
        let mut out = x.clone();
        group.throughput(Throughput::Bytes(2 * size_of_val(x.as_slice()) as u64));
        for isa in Isa::available() {
            group.bench_function(BenchmarkId::from_parameter(format_args!("{name}/{isa}/n={cols}")), |b| {
                b.iter(|| {
                    let x = MatRef::new(black_box(&x), rows, cols).expect("all of it");
                    mantex::softmax_rows_on(isa, x, MatMut::new(&mut out, rows, cols).expect("all of it"))
                });
            });
        }
    }
    group.finish();
}

fn slices<T: Real>(c: &mut Criterion, name: &str) {
    type Function<T> = fn(Isa, &[T], &mut [T]);
    let functions: [(&str, Function<T>); 3] = [
        ("softmax", |isa, x, out| mantex::softmax_on(isa, x, out).expect("equal lengths")),
        ("log_softmax", |isa, x, out| mantex::log_softmax_on(isa, x, out).expect("equal lengths")),
        ("log_sum_exp", |isa, x, out| out[0] = mantex::log_sum_exp_on(isa, x)),
    ];
    for n in [1 << 10, 1 << 20, 1 << 26] {
        let x = logits::<T>(n);
        let mut out = x.clone();
        for (function, run) in functions {
            let mut group = c.benchmark_group(function);
            group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(1));
            group.throughput(Throughput::Bytes(2 * size_of_val(x.as_slice()) as u64));
            for isa in Isa::available() {
                group.bench_function(BenchmarkId::from_parameter(format_args!("{name}/{isa}/n={n}")), |b| {
                    b.iter(|| run(isa, black_box(&x), &mut out));
                });
            }
            group.finish();
        }
    }
}

fn benches(c: &mut Criterion) {
    rows::<f32>(c, "f32");
    rows::<f64>(c, "f64");
    slices::<f32>(c, "f32");
    slices::<f64>(c, "f64");
}

criterion_group!(all, benches);
criterion_main!(all);
