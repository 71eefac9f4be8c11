//! k-medoids: the swap scan, BUILD, the caches, whole runs and distance matrices, for every instruction set.
//!
//! `cargo bench --bench medoids` first prints ratios for f32: how close each comes to reading the same matrix, and how close
//! distance matrices come to bare multiply-adds. Both sides of a ratio are timed in turns in one process on one core, and are
//! medians over rounds. A scan is the difference between one iteration of FastPAM1 from a local optimum, which scans all
//! n candidates and swaps nothing, and none; BUILD and the caches are differences of starts alike. Then it runs criterion's
//! benches, in which the check of the input (one streaming read) and the start are timed too, so that their times per entry
//! are upper bounds. `-- ratios` prints the ratios alone; any other filter is criterion's and skips them.
//!
//! n = 1000 stays in cache, n = 10000 reads a matrix of 400 MB (f32), many times the last-level cache. The largest, of
//! n = 40000, takes 6.4 GB.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput};
use mantex::{Algorithm, Init, Isa, KMedoids, MatMut, MatRef, Metric, Real, baselines, distance_matrix};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Normal};
use std::hint::black_box;
use std::time::Duration;
use support::{Buffer, quantile, seconds};

/// Points of a mixture of 20 Gaussians in the plane.
fn mixture<T: Real>(n: usize) -> Vec<T> {
    let mut rng = StdRng::seed_from_u64(1);
    let noise = Normal::new(0.0, 1.0).unwrap();
    let centres: Vec<[f64; 2]> = (0..20).map(|_| [rng.random_range(0.0..30.0), rng.random_range(0.0..30.0)]).collect();
    (0..n).flat_map(|i| centres[i % 20].map(|x| T::rounded(x + noise.sample(&mut rng)))).collect()
}

/// Their Euclidean distances.
fn distances<T: Real>(n: usize, out: &mut [T]) {
    let points = mixture(n);
    let (points, out) = (MatRef::new(&points, n, 2).unwrap(), MatMut::new(out, n, n).unwrap());
    distance_matrix(points, out, Metric::Euclidean).unwrap();
}

/// Seconds of each piece of work: medians over rounds in which all have their turn. The first round warms up.
fn medians(rounds: usize, least: Duration, works: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let mut times = vec![Vec::new(); works.len()];
    for round in 0..=rounds {
        for (work, times) in works.iter_mut().zip(&mut times) {
            let time = seconds(least, work);
            if round > 0 {
                times.push(time);
            }
        }
    }
    times.iter().map(|times| quantile(times, 0.5)).collect()
}

/// The distances of n points of the mixture.
fn matrix(buffer: &mut Buffer, n: usize) -> &[f32] {
    let data = buffer.of::<f32>(n * n * size_of::<f32>());
    distances(n, data);
    data
}

fn line(isa: Isa, what: &str, ratio: f64, unit: &str, note: &str) {
    println!("{:<7} {what:<60} {ratio:>7.2}{unit} {note}", isa.name());
}

/// Runs the options and forgets the result.
fn fit(options: &KMedoids, d: MatRef<'_, f32>) {
    black_box(options.fit(d).expect("a good matrix"));
}

/// Nanoseconds per entry of reading the matrix, and of scanning it for swaps from a local optimum.
fn scan_times(isa: Isa, d: MatRef<'_, f32>, data: &[f32], k: usize, rounds: usize, least: Duration) -> (f64, f64) {
    let optimum = KMedoids::new(k).init(Init::Random { seed: 1 }).isa(isa).fit(d).expect("a good matrix");
    let given = KMedoids::new(k).init(Init::Given(optimum.medoids().to_vec())).algorithm(Algorithm::FastPam1).isa(isa);
    let (none, one) = (given.clone().max_iterations(0), given.max_iterations(1));
    assert_eq!(one.fit(d).expect("a good matrix").swaps(), 0);
    let mut read = || _ = black_box(baselines::read(isa, black_box(data)));
    let t = medians(rounds, least, &mut [&mut read, &mut || fit(&none, d), &mut || fit(&one, d)]);
    let entries = data.len() as f64;
    (t[0] * 1e9 / entries, (t[2] - t[1]).max(0.0) * 1e9 / entries)
}

/// The ratios of one instruction set, a line each.
fn ratios(isa: Isa, buffer: &mut Buffer) {
    let vectors = isa.name() != "scalar";
    // What reading from memory takes, for each entry.
    let limit = {
        let data = matrix(buffer, 10_000);
        let mut read = || _ = black_box(baselines::read(Isa::best(), black_box(data)));
        medians(5, Duration::ZERO, &mut [&mut read])[0] * 1e9 / data.len() as f64
    };
    if vectors {
        let n = 10_000;
        let data = matrix(buffer, n);
        let d = MatRef::new(data, n, n).unwrap();
        for k in [2, 3, 5, 6, 7, 9, 10, 12, 13, 15, 20, 30, 60, 100, 300, 1000] {
            let (read, scan) = scan_times(isa, d, data, k, 5, Duration::ZERO);
            let what = format!("n = {n}, k = {k}: swap scan, of the read bandwidth");
            line(isa, &what, 100.0 * read / scan, "%", &format!("{scan:.3} ns/entry"));
        }

        // BUILD reads the matrix once per medoid; what two starts have in common cancels.
        let start = |k: usize, init: Init| KMedoids::new(k).init(init).max_iterations(0).isa(isa);
        let given = |k: usize| start(k, Init::Given((0..k).map(|i| i * (n / k)).collect()));
        let (build, few, many) = (start(3, Init::Build), given(3), given(1000));
        let mut read = || _ = black_box(baselines::read(isa, black_box(data)));
        let t = medians(
            5,
            Duration::ZERO,
            &mut [&mut read, &mut || fit(&build, d), &mut || fit(&few, d), &mut || {
                fit(&many, d);
            }],
        );
        line(isa, "n = 10000: BUILD, of the read bandwidth", 100.0 * 3.0 * t[0] / (t[1] - t[2]), "%", "");
        // The caches are made before and after: two reads of a medoid's row each.
        let rows = 2.0 * 997.0 / n as f64;
        line(isa, "n = 10000: nearest caches, of the read bandwidth", 100.0 * rows * t[0] / (t[3] - t[2]), "%", "");
    }

    let n = 1000;
    let data = matrix(buffer, n);
    let d = MatRef::new(data, n, n).unwrap();
    for k in [2, 10, 100] {
        let (_, scan) = scan_times(isa, d, data, k, 15, Duration::from_millis(5));
        let what = format!("n = {n}, k = {k}: swap scan, of reading from memory");
        line(isa, &what, scan / limit, "x", &format!("{scan:.3} ns/entry"));
    }

    if vectors {
        for n in [2000, 5000, 10_000, 20_000, 40_000] {
            let data = matrix(buffer, n);
            let d = MatRef::new(data, n, n).unwrap();
            for k in [10, 100, 1000] {
                let run = KMedoids::new(k).init(Init::Random { seed: 1 }).isa(isa);
                let clustering = run.fit(d).expect("a good matrix");
                let time = medians(3, Duration::ZERO, &mut [&mut || fit(&run, d)])[0] * 1e9;
                let entries = (clustering.evaluated() * n) as f64;
                let note = format!(
                    "{:.3} ns/entry, {:.1} passes, {} swaps",
                    time / entries,
                    clustering.evaluated() as f64 / n as f64,
                    clustering.swaps()
                );
                line(
                    isa,
                    &format!("n = {n}, k = {k}: FasterPAM, of reading the rows"),
                    time / entries / limit,
                    "x",
                    &note,
                );
            }
        }
    }
    distance_ratios::<f32>(isa);
    distance_ratios::<f64>(isa);
}

/// Distance matrices against bare multiply-adds; of two mirrored elements one counts.
fn distance_ratios<T: Real>(isa: Isa) {
    let n = 2000;
    let mut out = vec![T::ZERO; n * n];
    for dimensions in [64, 256, 1000] {
        let points = mixture::<T>(n * dimensions / 2);
        let points = MatRef::new(&points, n, dimensions).unwrap();
        for metric in [Metric::SquaredEuclidean, Metric::Euclidean, Metric::Manhattan, Metric::Cosine] {
            let seed = [T::rounded(0.5); 16];
            let mut counted = 0;
            let mut run = || isa.distance_matrix(points, MatMut::new(&mut out, n, n).unwrap(), metric).unwrap();
            let mut peak = || {
                let (count, sum) = baselines::multiply_adds(isa, black_box(&seed), 1 << 16);
                black_box(sum);
                counted = count;
            };
            let t = medians(5, Duration::from_millis(10), &mut [&mut peak, &mut run]);
            let made = (n * (n + 1) / 2 * dimensions) as f64;
            let share = made / t[1] / (counted as f64 / t[0]);
            let what =
                format!("{} {metric:?}, {dimensions} dimensions: of the multiply-add rate", std::any::type_name::<T>());
            line(isa, &what, 100.0 * share, "%", &format!("{:.1} G/s", made / t[1] / 1e9));
        }
    }
}

fn print_ratios() {
    support::print_machine();
    let mut buffer = Buffer::new(40_000 * 40_000 * size_of::<f32>());
    for isa in Isa::available() {
        ratios(isa, &mut buffer);
    }
}

/// In a quick run (`--quick`) the large matrix is 100 MB instead of 400.
fn sizes() -> [usize; 2] {
    [1000, if std::env::args().any(|arg| arg == "--quick") { 5000 } else { 10_000 }]
}

fn bench_type<T: Real>(criterion: &mut Criterion, name: &str) {
    let mut group = criterion.benchmark_group("medoids");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(1500));
    for n in sizes() {
        let mut data = vec![T::ZERO; n * n];
        distances(n, &mut data);
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

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if filters.is_empty() || filters == ["ratios"] {
        print_ratios();
    }
    if filters != ["ratios"] {
        let mut criterion = Criterion::default().configure_from_args();
        bench_type::<f32>(&mut criterion, "f32");
        bench_type::<f64>(&mut criterion, "f64");
        criterion.final_summary();
    }
}
