//! k-medoids: the swap scan, BUILD, the nearest caches, whole runs and distance matrices.
//!
//! `cargo bench --bench medoids` first prints comparisons, each from a function below: of kernels
//! with reading the same matrix of f32, and of distance matrices with bare multiply-adds. Then it
//! runs criterion's benches. Their times include the check of the input (one streaming read) and
//! the start, so their times per entry are upper bounds.
//!
//! `-- ratios` prints the comparisons only, and `--record FILE` also writes their records. Any
//! other word is a filter of criterion. `--quick` leaves out criterion and all comparisons that the
//! report does not show; with a filter, criterion's large matrix has 100 MB instead of 400.
//!
//! The time of a scan is the difference between one iteration of FastPAM1 and none. The start is a
//! local optimum, so the iteration scans all n candidates and swaps nothing. The times of BUILD and
//! of the caches are differences between two starts. Starts are compared by whole runs of FasterPAM
//! from them.
//! n = 1000 stays in cache; n = 10000 reads a matrix of 400 MB, many times the last-level cache.
//! The largest, of n = 40000, takes 6.4 GB.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput};
use mantex::medoids::{Algorithm, Init};
use mantex::{Isa, KMedoids, MatMut, MatRef, Metric, Real, baselines, distance_matrix};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Normal};
use std::any::type_name;
use std::hint::black_box;
use std::time::Duration;
use support::arguments::Arguments;
use support::buffers::Buffer;
use support::program;
use support::record::Record;
use support::records::{Records, Step};
use support::timing::{ONCE, Sample, difference, interleaved, samples, seconds};

/// The objects of the largest matrix.
const LARGEST_N: usize = 40_000;

/// The objects of the matrix that is read from memory: other times are compared with its reads.
const MEMORY_N: usize = 10_000;

/// Points of a mixture of 20 Gaussians in the plane.
fn mixture<T: Real>(n: usize) -> Vec<T> {
    let mut rng = StdRng::seed_from_u64(1);
    let noise = Normal::new(0.0, 1.0).expect("a good deviation");
    let centers: Vec<[f64; 2]> = (0..20).map(|_| [rng.random_range(0.0..30.0), rng.random_range(0.0..30.0)]).collect();
    (0..n).flat_map(|i| centers[i % 20].map(|x| T::rounded(x + noise.sample(&mut rng)))).collect()
}

/// Fills `out` with the Euclidean distances between `n` points of the mixture.
fn fill_distances<T: Real>(n: usize, out: &mut [T]) -> MatRef<'_, T> {
    let points = mixture(n);
    let points = MatRef::new(&points, n, 2).expect("whole points");
    let matrix = MatMut::new(&mut *out, n, n).expect("a square matrix");
    distance_matrix(points, matrix, Metric::Euclidean).expect("equal sizes");
    MatRef::new(out, n, n).expect("a square matrix")
}

/// A matrix for one instruction set.
struct Data<'a> {
    isa: Isa,
    n: usize,
    entries: &'a [f32],
    matrix: MatRef<'a, f32>,
}

impl<'a> Data<'a> {
    /// The distances between `n` points of the mixture.
    fn new(isa: Isa, n: usize, buffer: &'a mut Buffer) -> Self {
        let entries = buffer.elements::<f32>(n * n);
        fill_distances(n, entries);
        Self { isa, n, entries, matrix: MatRef::new(entries, n, n).expect("a square matrix") }
    }

    /// Options for `k` medoids on the instruction set of the data.
    fn options(&self, k: usize, init: Init) -> KMedoids {
        KMedoids::new(k).init(init).isa(self.isa)
    }

    /// Returns nanoseconds per entry, one per round: of reading the matrix, and of fitting by each
    /// of `fits`.
    fn times(&self, rounds: usize, at_least: Duration, fits: &[&KMedoids]) -> Vec<Vec<f64>> {
        let per_entry = 1e9 / self.entries.len() as f64;
        interleaved(rounds, 1 + fits.len(), |i| match i {
            0 => seconds(at_least, || _ = black_box(baselines::read(self.isa, black_box(self.entries)))) * per_entry,
            i => seconds(at_least, || _ = black_box(fits[i - 1].fit(self.matrix).expect("a good matrix"))) * per_entry,
        })
    }

    /// Returns nanoseconds per entry of reading the matrix, and of a scan from a local optimum.
    fn scan_times(&self, k: usize, rounds: usize, at_least: Duration) -> (Sample, Sample) {
        let optimum = self.options(k, Init::Random { seed: 1 }).fit(self.matrix).expect("a good matrix");
        let given = self.options(k, Init::Given(optimum.medoids().to_vec())).algorithm(Algorithm::FastPam1);
        let (none, one) = (given.clone().max_iterations(0), given.max_iterations(1));
        assert_eq!(one.fit(self.matrix).expect("a good matrix").swaps(), 0, "the start is no local optimum");
        let t = self.times(rounds, at_least, &[&none, &one]);
        (Sample::new(&t[0]), difference(&t[2], &t[1]))
    }

    /// Begins the record of a function with `k` medoids.
    fn record(&self, function: &str, k: usize) -> Record {
        Record::new(format!("{function}/f32/{}/n={}/k={k}", self.isa, self.n))
    }
}

/// Compares scans of a matrix in memory with reading it.
fn scans_in_memory(data: &Data<'_>, ks: &[usize], records: &mut Records) {
    for &k in ks {
        let (read, scan) = data.scan_times(k, 3, ONCE);
        records.print(data.record("swap_scan", k).value(scan, "ns/entry").ratio(read / scan, "the read bandwidth"));
    }
}

/// Times whole runs from the default start.
fn runs_by_size(data: &Data<'_>, records: &mut Records) {
    for k in [10, 100, 1000].into_iter().filter(|k| 2 * k <= data.n) {
        let options = data.options(k, Init::PlusPlus { seed: 1 });
        let fit = || _ = black_box(options.fit(data.matrix).expect("a good matrix"));
        let rounds = if data.n > MEMORY_N { 1 } else { 3 };
        let t = samples(&interleaved(rounds, 1, |_| seconds(Duration::from_millis(5), fit)));
        records.print(data.record("fasterpam_run", k).value(t[0] * 1e3, "ms"));
    }
}

/// Compares BUILD and the nearest caches with reading the rows that they read.
fn starts_in_memory(data: &Data<'_>, records: &mut Records) {
    const MANY: usize = 1000;
    // Differences of times leave out the rest of a start, which two starts have in common.
    let start = |k: usize, init: Init| data.options(k, init).max_iterations(0);
    let given = |k: usize| start(k, Init::Given((0..k).map(|i| i * (data.n / k)).collect()));
    let (build, few, many) = (start(3, Init::Build), given(3), given(MANY));
    let t = data.times(5, ONCE, &[&build, &few, &many]);
    let read = Sample::new(&t[0]).median;
    // BUILD reads the matrix once per medoid.
    records.print(data.record("build", 3).ratio(3.0 * read / difference(&t[1], &t[2]).median, "the read bandwidth"));
    // The caches are made before and after: two reads of the row of each medoid.
    let matrices = 2.0 * (MANY - 3) as f64 / data.n as f64;
    records.print(
        data.record("nearest_caches", MANY)
            .ratio(matrices * read / difference(&t[3], &t[2]).median, "the read bandwidth"),
    );
}

/// Compares scans of a matrix in cache with reading a matrix of the same size from memory.
fn scans_in_cache(data: &Data<'_>, memory_read: f64, records: &mut Records) {
    for k in [2, 10, 100] {
        let (_, scan) = data.scan_times(k, 15, Duration::from_millis(5));
        let record = data.record("swap_scan", k).value(scan, "ns/entry");
        records.print(record.ratio(scan.median / memory_read, "the time of reading from memory"));
    }
}

/// Compares whole runs of FasterPAM with reading the rows that they scan from memory. A first run,
/// which counts these rows, warms up.
fn whole_runs(data: &Data<'_>, memory_read: f64, records: &mut Records) {
    for k in [10, 100, 1000] {
        let options = data.options(k, Init::Random { seed: 1 });
        let clustering = options.fit(data.matrix).expect("a good matrix");
        let passes = clustering.evaluated() as f64 / data.n as f64;
        let fit = || _ = black_box(options.fit(data.matrix).expect("a good matrix"));
        // The largest runs take seconds, of which one is like another.
        let rounds = if data.n > MEMORY_N { 1 } else { 3 };
        let times: Vec<f64> = (0..rounds).map(|_| seconds(ONCE, fit)).collect();
        let time = Sample::new(&times) * (1e9 / (clustering.evaluated() * data.n) as f64);
        let record = data.record("fasterpam", k).value(time, "ns/entry");
        let record = record.ratio(time.median / memory_read, "the time of reading the rows");
        records.print(record.detail("passes", passes).detail("swaps", clustering.swaps() as f64));
    }
}

/// The starts that are compared; BUILD only if it takes seconds at most.
fn starts(n: usize, k: usize, seed: u64) -> Vec<Init> {
    let mut starts = vec![Init::PlusPlus { seed }, Init::Lab { seed }, Init::Random { seed }];
    starts.extend((n * k <= 1_000_000).then_some(Init::Build));
    starts
}

/// Compares whole runs of FasterPAM from different starts: their times, and how far their losses
/// are above the lowest, each mean over some seeds. Returns these excesses.
fn runs_from_starts(data: &Data<'_>, k: usize, records: &mut Records) -> Vec<f64> {
    let seeds = (20_000 / data.n).max(3) as u64;
    let count = starts(data.n, k, 0).len();
    let (mut losses, mut swaps, mut passes) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
    let mut times = vec![Vec::new(); count];
    for (seed, i) in (0..seeds).flat_map(|seed| (0..count).map(move |i| (seed, i))) {
        let options = data.options(k, starts(data.n, k, seed)[i].clone());
        let mut run = None;
        times[i].push(seconds(ONCE, || run = Some(options.fit(data.matrix).expect("a good matrix"))));
        let run = run.expect("a run");
        losses[i] += run.loss() / seeds as f64;
        swaps[i] += run.swaps() as f64 / seeds as f64;
        passes[i] += run.evaluated() as f64 / (data.n as f64 * seeds as f64);
    }
    let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let excesses: Vec<f64> = losses.iter().map(|loss| loss / lowest - 1.0).collect();
    let times = samples(&times);
    for (i, start) in starts(data.n, k, 0).iter().enumerate() {
        let record = data.record(&format!("fasterpam_from/{start}"), k).value(times[i] * 1e3, "ms");
        let record = record.ratio(times[i] / times[0], "the time from k-medoids++");
        let record = record.detail("loss above the lowest in %", 100.0 * excesses[i]);
        records.print(record.detail("swaps", swaps[i]).detail("passes", passes[i]));
    }
    excesses
}

/// Compares starts over several matrices, and prints the mean of how far their losses are above the
/// lowest.
fn compare_starts(buffer: &mut Buffer, records: &mut Records) {
    let mut sums: Vec<(f64, usize)> = Vec::new();
    for n in [1000, 2000, 5000, MEMORY_N] {
        let data = Data::new(Isa::best(), n, buffer);
        for k in [10, 100, 1000].into_iter().filter(|k| 2 * k <= n) {
            for (i, excess) in runs_from_starts(&data, k, records).into_iter().enumerate() {
                sums.resize(sums.len().max(i + 1), (0.0, 0));
                (sums[i].0, sums[i].1) = (sums[i].0 + excess, sums[i].1 + 1);
            }
        }
    }
    for (start, (sum, count)) in starts(1, 1, 0).iter().zip(sums) {
        let record = Record::new(format!("fasterpam_from/{start}/f32/{}/mean", Isa::best()));
        records.print(record.value(100.0 * sum / count as f64, "% above the lowest loss"));
    }
}

/// Compares distance matrices with bare multiply-adds. A pair of mirrored elements counts once.
fn distances_against_multiply_adds<T: Real>(isa: Isa, records: &mut Records) {
    // Scalar code takes up to a second for a matrix.
    let (n, rounds) = (2000, if isa.name() == "scalar" { 1 } else { 3 });
    let mut out = vec![T::default(); n * n];
    let metrics = [
        (Metric::SquaredEuclidean, "squared_euclidean"),
        (Metric::Euclidean, "euclidean"),
        (Metric::Manhattan, "manhattan"),
        (Metric::Cosine, "cosine"),
    ];
    for dimensions in [64, 256, 1000] {
        let points = mixture::<T>(n * dimensions / 2);
        let points = MatRef::new(&points, n, dimensions).expect("whole points");
        for (metric, name) in metrics {
            let seed = [T::rounded(0.5); 16];
            let mut bare = 0;
            let t = samples(&interleaved(rounds, 2, |i| {
                seconds(Duration::from_millis(10), || match i {
                    0 => bare = black_box(baselines::multiply_adds(isa, black_box(&seed), 1 << 16)).0,
                    _ => {
                        let out = MatMut::new(&mut out, n, n).expect("a square matrix");
                        isa.distance_matrix(points, out, metric).expect("equal sizes");
                    }
                })
            }));
            let rate = (n * (n + 1) / 2 * dimensions) as f64 / t[1].median;
            let id = format!("distance_matrix/{}/{isa}/n={n}/{name}/dimensions={dimensions}", type_name::<T>());
            let record = Record::new(id).value(rate / 1e9, "multiply-adds/ns");
            records.print(record.ratio(rate / (bare as f64 / t[0].median), "the multiply-add rate"));
        }
    }
}

/// Compares distances between two sets with those of one: n² pairs with n (n + 1) / 2 pairs.
fn distances_between_sets<T: Real>(isa: Isa, records: &mut Records) {
    let (n, dimensions) = (1000, 64);
    let points = mixture::<T>(n * dimensions / 2);
    let points = MatRef::new(&points, n, dimensions).expect("whole points");
    let mut out = vec![T::default(); n * n];
    let t = samples(&interleaved(9, 2, |i| {
        seconds(Duration::from_millis(10), || {
            let out = MatMut::new(&mut out, n, n).expect("a square matrix");
            match i {
                0 => isa.distance_matrix(points, out, Metric::Euclidean).expect("equal sizes"),
                _ => isa.distance_matrix_between(points, points, out, Metric::Euclidean).expect("equal sizes"),
            }
        })
    }));
    let id = format!("distance_matrix_between/{}/{isa}/n={n}/euclidean/dimensions={dimensions}", type_name::<T>());
    let pairs = 2.0 * n as f64 / (n + 1) as f64;
    let record = Record::new(id).value(t[1] * (1e9 / (n * n) as f64), "ns/pair");
    records.print(record.ratio(pairs * (t[0] / t[1]), "the rate of pairs of one set"));
}

/// What the steps share.
struct Shared {
    buffer: Buffer,
    /// Nanoseconds per entry of reading a matrix in memory.
    memory_read: f64,
}

/// The steps of one instruction set; the scalar one only in cache.
fn isa_steps(isa: Isa) -> Vec<Step<Shared>> {
    const KS: [usize; 16] = [2, 3, 5, 6, 7, 9, 10, 12, 13, 15, 20, 30, 60, 100, 300, 1000];
    let is_vector = isa.name() != "scalar";
    let mut steps = vec![Step::new(format!("reading, {isa}"), |shared: &mut Shared, _: &mut Records| {
        let t = Data::new(Isa::best(), MEMORY_N, &mut shared.buffer).times(5, ONCE, &[]);
        shared.memory_read = Sample::new(&t[0]).median;
    })];
    if is_vector {
        steps.push(Step::new(format!("scans in memory, {isa}"), move |shared: &mut Shared, records: &mut Records| {
            let data = Data::new(isa, MEMORY_N, &mut shared.buffer);
            scans_in_memory(&data, &KS, records);
            starts_in_memory(&data, records);
        }));
    }
    steps.push(Step::new(format!("scans in cache, {isa}"), move |shared: &mut Shared, records: &mut Records| {
        scans_in_cache(&Data::new(isa, 1000, &mut shared.buffer), shared.memory_read, records);
    }));
    for n in [2000, 5000, 10_000, 20_000, LARGEST_N].into_iter().filter(|_| is_vector) {
        steps.push(Step::new(format!("runs of n = {n}, {isa}"), move |shared: &mut Shared, records: &mut Records| {
            whole_runs(&Data::new(isa, n, &mut shared.buffer), shared.memory_read, records);
        }));
    }
    steps.push(Step::new(format!("distances, {isa}"), move |_: &mut Shared, records: &mut Records| {
        distances_against_multiply_adds::<f32>(isa, records);
        distances_against_multiply_adds::<f64>(isa, records);
        distances_between_sets::<f32>(isa, records);
        distances_between_sets::<f64>(isa, records);
    }));
    steps
}

/// Runs the comparisons on every instruction set; with `--quick` those of the report only.
fn compare(arguments: &Arguments, records: &mut Records) {
    let buffer = Buffer::new(LARGEST_N * LARGEST_N * size_of::<f32>());
    let quick = arguments.quick;
    let sizes: &[usize] = if quick { &[500, 1000, 2000, 5000] } else { &[500, 1000, 2000, 5000, 10_000, 20_000] };
    let mut steps = Vec::new();
    for (isa, &n) in program::main_isas().into_iter().flat_map(|isa| sizes.iter().map(move |n| (isa, n))) {
        steps.push(Step::new(format!("runs of n = {n}, {isa}"), move |shared: &mut Shared, records: &mut Records| {
            let data = Data::new(isa, n, &mut shared.buffer);
            runs_by_size(&data, records);
            if quick && n == 5000 {
                scans_in_memory(&data, &[2, 3, 5, 10, 20, 50, 100, 300, 1000], records);
            }
        }));
    }
    if !quick {
        steps.push(Step::new("starts", |shared: &mut Shared, records: &mut Records| {
            compare_starts(&mut shared.buffer, records)
        }));
        steps.extend(Isa::available().flat_map(isa_steps));
    }
    records.run(&mut Shared { buffer, memory_read: f64::NAN }, &steps);
}

/// Benches of criterion: scans, checks, starts and runs.
fn bench_with_criterion<T: Real>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("medoids");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(1500));
    for n in [1000, if Arguments::new().quick { 5000 } else { 10_000 }] {
        let mut data = vec![T::default(); n * n];
        group.throughput(Throughput::Bytes(size_of_val(&data[..]) as u64));
        let d = fill_distances(n, &mut data);
        for k in [2, 3, 5, 10, 30, 100, 300] {
            let start = KMedoids::new(k).init(Init::Random { seed: 1 });
            let medoids = start.fit(d).expect("a good matrix").medoids().to_vec();
            for isa in Isa::available() {
                let mut bench = |what: &str, options: &KMedoids| {
                    let id = format!("{what}/{}/{isa}/n={n}/k={k}", type_name::<T>());
                    group.bench_function(BenchmarkId::from_parameter(id), |b| b.iter(|| options.fit(d)));
                };
                let given = KMedoids::new(k).init(Init::Given(medoids.clone())).isa(isa);
                let scan = given.clone().algorithm(Algorithm::FastPam1).max_iterations(1);
                assert_eq!(scan.fit(d).expect("a good matrix").swaps(), 0, "the start is no local optimum");
                bench("swap_scan", &scan);
                if k == 100 {
                    bench("check", &given.max_iterations(0));
                }
                if k == 10 || k == 100 {
                    bench("fasterpam", &start.clone().isa(isa));
                }
                if k == 2 {
                    bench("build", &KMedoids::new(k).init(Init::Build).max_iterations(0).isa(isa));
                }
            }
        }
    }
    group.finish();
}

fn main() {
    program::compare_and_bench("medoids", compare, |criterion| {
        bench_with_criterion::<f32>(criterion);
        bench_with_criterion::<f64>(criterion);
    });
}
