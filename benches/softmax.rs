//! The softmax family on every instruction set, in cache and out of it.
//!
//! `cargo bench --bench softmax` first prints ratios: how close each size comes to the machine's bandwidth, to the
//! exponentials alone, to other forms of the same kernel, and to its neighbours. Both sides of a ratio are timed in turns in
//! one process on one core, and are medians over rounds: times drift, ratios hardly. Then it runs criterion's benches (ids
//! like `softmax/f32/avx512/n=1048576`), whose throughput counts the input and the output once each, whatever the passes.
//! `-- ratios` prints the ratios alone; any other filter is criterion's and skips them.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput};
use mantex::{Isa, MatMut, MatRef, Real, baselines};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::hint::black_box;
use std::time::Duration;
use support::{Buffer, quantile, seconds};

/// Elements of the longest row of the ratios.
const LONGEST: usize = 1 << 26;

/// A piece of work on an input and an output of equal length.
type Work<T> = fn(Isa, &[T], &mut [T]);

/// Nanoseconds that each piece of work takes: medians of rounds in which all have their turn, for at least `least` each.
fn medians<T: Real>(isa: Isa, rounds: usize, least: Duration, x: &[T], out: &mut [T], works: &[Work<T>]) -> Vec<f64> {
    let mut times = vec![Vec::new(); works.len()];
    // The first round warms up.
    for round in 0..=rounds {
        for (work, times) in works.iter().zip(&mut times) {
            let time = seconds(least, || work(isa, black_box(x), out));
            if round > 0 {
                times.push(time * 1e9);
            }
        }
    }
    times.iter().map(|times| quantile(times, 0.5)).collect()
}

/// Softmax of a buffer as rows of `cols`, as many as there are.
fn rows_of<T: Real>(isa: Isa, x: &[T], out: &mut [T], cols: usize) {
    let rows = x.len() / cols;
    let x = MatRef::new(&x[..rows * cols], rows, cols).expect("it fits");
    isa.softmax_rows(x, MatMut::new(&mut out[..rows * cols], rows, cols).expect("it fits")).expect("fits");
}

/// Nanoseconds per element of rows of each length, together about `elements`.
fn row_times<T: Real>(isa: Isa, rounds: usize, x: &[T], out: &mut [T], elements: usize, lengths: &[usize]) -> Vec<f64> {
    let mut times = vec![Vec::new(); lengths.len()];
    for _ in 0..rounds {
        for (&cols, times) in lengths.iter().zip(&mut times) {
            let n = elements / cols * cols;
            let time = seconds(Duration::from_micros(300), || rows_of(isa, black_box(&x[..n]), &mut out[..n], cols));
            times.push(time * 1e9 / n as f64);
        }
    }
    times.iter().map(|times| quantile(times, 0.5)).collect()
}

/// The ratios of one type on one instruction set, a line each.
fn ratios<T: Real + bytemuck::Pod>(isa: Isa, buffers: &mut [Buffer; 2]) {
    let [x, out] = buffers;
    let bytes = LONGEST * size_of::<T>();
    // Outputs are not a multiple of 4 KiB after inputs: stores would be taken for the inputs loaded after them.
    let (x, out) = (x.of::<T>(bytes), &mut out.of::<T>(bytes + 4096)[1088 / size_of::<T>()..][..LONGEST]);
    x.copy_from_slice(&logits::<T>(1 << 20).repeat(LONGEST >> 20));
    out.fill(T::ONE);
    let line = |what: &str, ratio: f64, unit: &str, note: String| {
        println!("{:<4} {:<7} {what:<58} {ratio:>7.2}{unit} {note}", std::any::type_name::<T>(), isa.name());
    };
    let in_cache = 16 << 10;
    let short = Duration::from_millis(2);

    if isa.name() != "scalar" {
        let works: [Work<T>; 5] = [
            |isa, x, _| _ = black_box(baselines::read(isa, x)),
            |isa, x, out| baselines::scale(isa, x, out),
            |isa, x, _| _ = black_box(isa.log_sum_exp(x)),
            |isa, x, out| isa.softmax(x, out).expect("equal lengths"),
            |isa, x, out| baselines::three_pass_reload(isa, x, out),
        ];
        let t = medians(isa, 7, Duration::ZERO, x, out, &works);
        let each = |i: usize| format!("{:.3} ns/element", t[i] / LONGEST as f64);
        line("one row of 2^26: log-sum-exp, of the read bandwidth", 100.0 * t[0] / t[2], "%", each(2));
        line("one row of 2^26: softmax, of two reads and one write", 100.0 * (t[0] + t[1]) / t[3], "%", each(3));
        line("one row of 2^26: faster than three passes that reload", t[4] / t[3], "x", each(4));
    }

    let works: [Work<T>; 6] = [
        |isa, x, _| _ = black_box(baselines::sum_exp(isa, x)),
        |isa, x, out| rows_of(isa, x, out, 512),
        |isa, x, out| rows_of(isa, x, out, 1024),
        |isa, x, out| rows_of(isa, x, out, 2048),
        |isa, x, out| rows_of(isa, x, out, 4096),
        |isa, x, out| rows_of(isa, x, out, 8192),
    ];
    let t = medians(isa, 25, short, &x[..in_cache], &mut out[..in_cache], &works);
    for (i, cols) in [512, 1024, 2048, 4096, 8192].into_iter().enumerate() {
        let ns = t[i + 1] / in_cache as f64;
        line(&format!("rows of {cols}: softmax, of summing exp"), t[i + 1] / t[0], "x", format!("{ns:.3} ns/element"));
    }

    let works: [Work<T>; 2] = [
        |isa, x, out| rows_of(isa, x, out, 16),
        |isa, x, out| {
            for (x, out) in x.chunks_exact(16).zip(out.chunks_exact_mut(16)) {
                isa.softmax(x, out).expect("equal lengths");
            }
        },
    ];
    let t = medians(isa, 25, short, &x[..in_cache], &mut out[..in_cache], &works);
    let each = format!("{:.3} ns/element", t[0] / in_cache as f64);
    line("rows of 16: faster than a call for each", t[1] / t[0], "x", each);
    let lengths = [8, 16, 32, 64, 128, 256, 1024];
    let t = row_times(isa, 25, x, out, in_cache, &lengths);
    for i in 0..lengths.len() - 1 {
        let what = format!("rows of {}: time of an element, of rows of 1024", lengths[i]);
        line(&what, t[i] / t[lengths.len() - 1], "x", format!("{:.3} ns/element", t[i]));
    }

    // Rows of any length against the next multiple of the vector: time of a row.
    let lanes = match (isa.name(), size_of::<T>()) {
        ("avx512", size) => 64 / size,
        ("avx2", size) => 32 / size,
        ("neon", size) => 16 / size,
        _ => 1,
    };
    let lengths: Vec<usize> = (1..=300 + lanes).collect();
    let t = row_times(isa, 15, x, out, in_cache, &lengths);
    let row = |cols: usize| t[cols - 1] * cols as f64;
    let cliff = |cols: usize| row(cols) / row(cols.next_multiple_of(lanes));
    let mut by_cliff: Vec<usize> = (1..=300).collect();
    by_cliff.sort_by(|&a, &b| cliff(b).total_cmp(&cliff(a)));
    let above = by_cliff.iter().filter(|&&cols| cliff(cols) > 1.1).count();
    let note = format!("n = {}; {above} lengths above 1.10", by_cliff[0]);
    line("rows of 1..300: of the next whole vector, at worst", cliff(by_cliff[0]), "x", note);

    let longest = if isa.name() == "scalar" { 22 } else { 26 };
    let sizes: Vec<usize> = (6..=longest).map(|bits| 1 << bits).collect();
    let per_element = |n: usize, x: &[T], out: &mut [T]| {
        let rounds = if n < 1 << 24 { 7 } else { 3 };
        let softmax: Work<T> = |isa, x, out| isa.softmax(x, out).expect("equal lengths");
        medians(isa, rounds, short, &x[..n], &mut out[..n], &[softmax])[0] / n as f64
    };
    let t: Vec<f64> = sizes.iter().map(|&n| per_element(n, x, out)).collect();
    let steps = t.windows(2).map(|w| w[1] / w[0]);
    let (at, step) = steps.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).expect("several sizes");
    let each: Vec<String> = t.iter().map(|t| format!("{t:.2}")).collect();
    line("a row twice as long: time of an element, at worst", step, "x", format!("from 2^{}", at + 6));
    println!("     ns/element from 2^6 on: {}", each.join(" "));

    // Outputs that are subnormal or 0, and -inf in every other place.
    let softmax: Work<T> = |isa, x, out| isa.softmax(x, out).expect("equal lengths");
    let low = if size_of::<T>() == 4 { -120.0 } else { -780.0 };
    let ordinary = medians(isa, 25, short, &x[..4096], &mut out[..4096], &[softmax])[0];
    let mut vanishing: Vec<T> = (0..4096).map(|i| T::rounded(low * (i as f64 / 4095.0))).collect();
    let t = medians(isa, 25, short, &vanishing, &mut out[..4096], &[softmax])[0];
    line("a row of 4096: most results subnormal or 0", t / ordinary, "x", String::new());
    for i in (0..4096).step_by(2) {
        vanishing[i] = T::NEG_INFINITY;
    }
    let t = medians(isa, 25, short, &vanishing, &mut out[..4096], &[softmax])[0];
    line("a row of 4096: half of it -inf", t / ordinary, "x", String::new());
}

fn print_ratios() {
    support::print_machine();
    let mut buffers = [LONGEST * 8, LONGEST * 8 + 4096].map(Buffer::new);
    for isa in Isa::available() {
        ratios::<f32>(isa, &mut buffers);
        ratios::<f64>(isa, &mut buffers);
    }
}

/// Logits between -10 and 10.
fn logits<T: Real>(n: usize) -> Vec<T> {
    let mut rng = StdRng::seed_from_u64(1);
    (0..n).map(|_| T::rounded(rng.random_range(-10.0..10.0))).collect()
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
                    isa.softmax_rows(x, MatMut::new(&mut out, rows, cols).expect("all of it"))
                });
            });
        }
    }
    group.finish();
}

fn slices<T: Real>(c: &mut Criterion, name: &str) {
    type Function<T> = fn(Isa, &[T], &mut [T]);
    let functions: [(&str, Function<T>); 3] = [
        ("softmax", |isa, x, out| isa.softmax(x, out).expect("equal lengths")),
        ("log_softmax", |isa, x, out| isa.log_softmax(x, out).expect("equal lengths")),
        ("log_sum_exp", |isa, x, out| out[0] = isa.log_sum_exp(x)),
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

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if filters.is_empty() || filters == ["ratios"] {
        print_ratios();
    }
    if filters != ["ratios"] {
        let mut criterion = Criterion::default().configure_from_args();
        rows::<f32>(&mut criterion, "f32");
        rows::<f64>(&mut criterion, "f64");
        slices::<f32>(&mut criterion, "f32");
        slices::<f64>(&mut criterion, "f64");
        criterion.final_summary();
    }
}
