//! The softmax family on every instruction set, in cache and out of it.
//!
//! `cargo bench --bench softmax` first prints comparisons, each from a function below: with
//! bandwidth, with exponentials alone, with other forms of the same kernel, and with other lengths.
//! Then it runs criterion's benches (ids like `softmax/f32/avx512/n=1048576`). Their throughput
//! counts the input and the output once each, whatever the number of passes.
//!
//! `-- ratios` prints the comparisons only, and `-- --record FILE` also writes their records. Any
//! other word is a filter of criterion and skips them. `--quick` leaves out criterion and all
//! comparisons that the report does not show.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput};
use mantex::{Isa, MatMut, MatRef, Real, Softmax, baselines};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::any::type_name;
use std::hint::black_box;
use std::time::Duration;
use support::arguments::Arguments;
use support::buffers::Buffer;
use support::records::{Records, Step};
use support::timing::{ONCE, SHORT, Sample, interleaved, samples, seconds};
use support::{program, record::Record};

/// The elements of the longest row of the comparisons.
const LONGEST: usize = 1 << 26;

/// The elements of an input that stays in cache, together with its output.
const IN_CACHE: usize = 16 << 10;

/// The work that a comparison times.
#[derive(Clone, Copy)]
enum Work<T> {
    /// A function of an input and an output of equal length.
    Slice(fn(Isa, &[T], &mut [T])),
    /// Softmax of the input as rows of this length; a rest that is no whole row is left out.
    Rows(usize),
}

impl<T: Real> Work<T> {
    fn apply(self, isa: Isa, x: &[T], out: &mut [T]) {
        match self {
            Self::Slice(work) => work(isa, x, out),
            Self::Rows(cols) => {
                let (rows, n) = (x.len() / cols, self.elements(x.len()));
                let (x, out) = (MatRef::new(&x[..n], rows, cols), MatMut::new(&mut out[..n], rows, cols));
                isa.softmax_rows(x.expect("whole rows"), out.expect("whole rows")).expect("equal shapes");
            }
        }
    }

    /// Returns the number of elements that the work covers, of `n`: whole rows only.
    fn elements(self, n: usize) -> usize {
        if let Self::Rows(cols) = self { n / cols * cols } else { n }
    }
}

/// Softmax of the input as one row.
fn one_row<T: Real>() -> Work<T> {
    Work::Slice(|isa, x, out| isa.softmax(x, out).expect("equal lengths"))
}

/// The input and the output of the comparisons on one instruction set.
struct Data<'a, T> {
    isa: Isa,
    x: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Data<'_, T> {
    /// Times each piece of work on the first `n` elements, in nanoseconds per element.
    fn times(&mut self, n: usize, rounds: usize, at_least: Duration, works: &[Work<T>]) -> Vec<Sample> {
        samples(&interleaved(rounds, works.len(), |i| {
            let (x, out) = (&self.x[..n], &mut self.out[..n]);
            let seconds = seconds(at_least, || works[i].apply(self.isa, black_box(x), out));
            seconds * 1e9 / works[i].elements(n) as f64
        }))
    }

    /// Times softmax of rows of each length, together `IN_CACHE` elements or a few less.
    fn row_times(&mut self, rounds: usize, lengths: &[usize]) -> Vec<Sample> {
        let works: Vec<Work<T>> = lengths.iter().map(|&cols| Work::Rows(cols)).collect();
        self.times(IN_CACHE, rounds, Duration::from_micros(300), &works)
    }

    /// Begins the record of a function at a size.
    fn record(&self, function: &str, size: impl std::fmt::Display) -> Record {
        Record::new(format!("{function}/{}/{}/n={size}", type_name::<T>(), self.isa))
    }
}

/// Logits between -10 and 10.
fn logits<T: Real>(n: usize) -> Vec<T> {
    let mut rng = StdRng::seed_from_u64(1);
    (0..n).map(|_| T::rounded(rng.random_range(-10.0..10.0))).collect()
}

/// Compares one long row with the bandwidth of memory, and with softmax in three passes.
fn against_bandwidth<T: Real>(data: &mut Data<'_, T>, records: &mut Records) {
    let works = [
        Work::Slice(|isa, x, _| _ = black_box(baselines::read(isa, x))),
        Work::Slice(baselines::scale),
        Work::Slice(|isa, x, _| _ = black_box(isa.log_sum_exp(x))),
        one_row(),
        Work::Slice(baselines::three_pass_reload),
    ];
    let t = data.times(LONGEST, 7, ONCE, &works);
    let (read, scale, log_sum_exp, softmax, three_pass) = (t[0], t[1], t[2], t[3], t[4]);
    let record = |function, time| data.record(function, LONGEST).value(time, "ns/element");
    let one_row = || record("softmax", softmax);
    records.print(record("log_sum_exp", log_sum_exp).ratio(read / log_sum_exp, "the read bandwidth"));
    records.print(
        one_row().ratio((read.median + scale.median) / softmax.median, "the bandwidth of two reads and one write"),
    );
    records.print(one_row().ratio(three_pass / softmax, "the speed of three passes that reload"));
    records.print(record("three_pass_reload", three_pass));
}

/// Compares one row of each length, from 2^10 to 2^26, with both forms of softmax in three passes.
fn against_three_passes_by_length<T: Real>(data: &mut Data<'_, T>, records: &mut Records) {
    let works = [
        one_row(),
        Work::Slice(baselines::three_pass_reload),
        Work::Slice(baselines::three_pass_recompute),
        Work::Slice(|isa, x, _| _ = black_box(baselines::sum_exp(isa, x))),
        Work::Slice(|isa, x, _| _ = black_box(baselines::read(isa, x))),
    ];
    for n in (10..=LONGEST.ilog2()).map(|log2| 1 << log2) {
        let (rounds, at_least) = if n < 1 << 20 { (7, SHORT) } else { (3, ONCE) };
        let t = data.times(n, rounds, at_least, &works);
        let record = |function, time: Sample| data.record(function, n).value(time, "ns/element");
        records.print(record("softmax", t[0]).ratio(t[2] / t[0], "the speed of three passes that recompute"));
        records.print(record("three_pass_reload", t[1]).ratio(t[1] / t[0], "the time of two passes"));
        records.print(record("three_pass_recompute", t[2]).ratio(t[2] / t[0], "the time of two passes"));
        records.print(record("sum_exp", t[3]).ratio(t[3] / t[0], "the time of two passes"));
        records.print(record("read", t[4]).ratio(t[4] / t[0], "the time of two passes"));
    }
}

/// Compares one call on a slice that is in cache with a row of the same length among many. On the
/// best instruction set, the calls are those of the plain functions.
fn calls_against_rows<T: Real>(data: &mut Data<'_, T>, records: &mut Records) {
    const CALLS: usize = 256;
    fn like<'a, T: Real>(x: MatRef<'_, T>, out: &'a mut [T]) -> MatMut<'a, T> {
        MatMut::new(out, x.rows(), x.cols()).expect("equal sizes")
    }
    /// The plain function, and the method of an instruction set.
    type Calls<T> = [fn(Isa, &[T], &mut [T]); 2];
    type Rows<T> = fn(Isa, MatRef<'_, T>, &mut [T]);
    let functions: [(&str, Calls<T>, Rows<T>); 3] = [
        (
            "softmax_call",
            [
                |_, x, out| mantex::softmax(x, out).expect("equal lengths"),
                |isa, x, out| isa.softmax(x, out).expect("equal lengths"),
            ],
            |isa, x, out| isa.softmax_rows(x, like(x, out)).expect("equal shapes"),
        ),
        (
            "log_softmax_call",
            [
                |_, x, out| mantex::log_softmax(x, out).expect("equal lengths"),
                |isa, x, out| isa.log_softmax(x, out).expect("equal lengths"),
            ],
            |isa, x, out| isa.log_softmax_rows(x, like(x, out)).expect("equal shapes"),
        ),
        (
            "log_sum_exp_call",
            [|_, x, _| _ = black_box(mantex::log_sum_exp(x)), |isa, x, _| _ = black_box(isa.log_sum_exp(x))],
            |isa, x, out| isa.log_sum_exp_rows(x, &mut out[..x.rows()]).expect("equal lengths"),
        ),
    ];
    let isa = data.isa;
    for n in (3..=12).map(|log2| 1 << log2) {
        let count = IN_CACHE / n;
        let (x, out) = (&data.x[..IN_CACHE], &mut data.out[..IN_CACHE]);
        let t = samples(&interleaved(9, 2 * functions.len(), |i| {
            let (_, calls, rows) = functions[i / 2];
            let call = calls[usize::from(isa != Isa::best())];
            // Many calls for each look at the clock, which takes longer than a short call.
            let many_calls = || (0..CALLS).for_each(|_| call(isa, black_box(&x[..n]), black_box(&mut out[..n])));
            if i % 2 == 0 {
                return seconds(Duration::from_micros(300), many_calls) * 1e9 / CALLS as f64;
            }
            let all_rows = || {
                rows(isa, MatRef::new(black_box(x), count, n).expect("whole rows"), out);
            };
            seconds(Duration::from_micros(300), all_rows) * 1e9 / count as f64
        }));
        for (i, (name, ..)) in functions.iter().enumerate() {
            let record = data.record(name, n).value(t[2 * i], "ns/call");
            records.print(record.ratio(t[2 * i] / t[2 * i + 1], "the time of the same row among many"));
        }
    }
}

/// Compares rows in cache with the sum of their exponentials.
fn against_sum_exp<T: Real>(data: &mut Data<'_, T>, records: &mut Records) {
    let lengths = [512, 1024, 2048, 4096, 8192];
    let mut works = vec![Work::Slice(|isa, x, _| _ = black_box(baselines::sum_exp(isa, x)))];
    works.extend(lengths.map(Work::Rows));
    let t = data.times(IN_CACHE, 25, SHORT, &works);
    for (cols, time) in lengths.into_iter().zip(&t[1..]) {
        let record = data.record("softmax_rows", cols).value(*time, "ns/element");
        records.print(record.ratio(*time / t[0], "the time of summing exp"));
    }
}

/// Compares a matrix of short rows with a call for each row.
fn against_a_call_for_each_row<T: Real>(data: &mut Data<'_, T>, records: &mut Records) {
    let calls = Work::Slice(|isa, x: &[T], out: &mut [T]| {
        for (x, out) in x.chunks_exact(16).zip(out.chunks_exact_mut(16)) {
            isa.softmax(x, out).expect("equal lengths");
        }
    });
    let t = data.times(IN_CACHE, 25, SHORT, &[Work::Rows(16), calls]);
    let record = data.record("softmax_rows", 16).value(t[0], "ns/element");
    records.print(record.ratio(t[1] / t[0], "the speed of a call for each row"));
}

/// Compares an element of short rows with an element of rows of 1024.
fn against_rows_of_1024<T: Real>(data: &mut Data<'_, T>, records: &mut Records) {
    let t = data.row_times(25, &[8, 16, 32, 64, 128, 256, 1024]);
    for (cols, time) in [8, 16, 32, 64, 128, 256].into_iter().zip(&t) {
        let record = data.record("softmax_rows", cols).value(*time, "ns/element");
        records.print(record.ratio(*time / t[t.len() - 1], "the time of an element of rows of 1024"));
    }
}

/// Compares rows of any length with rows of the next whole number of vectors.
fn against_whole_vectors<T: Real>(data: &mut Data<'_, T>, records: &mut Records) {
    // new ISA: the bytes of its vector.
    let vectors = [("avx512", 64), ("avx2", 32), ("neon", 16)];
    let vector = vectors.into_iter().find(|(name, _)| *name == data.isa.name());
    let lanes = vector.map_or(1, |(_, bytes)| bytes / size_of::<T>());
    let lengths: Vec<usize> = (1..=300 + lanes).collect();
    let t = data.row_times(15, &lengths);
    let row = |cols: usize| t[cols - 1].median * cols as f64;
    let ratio = |cols: usize| row(cols) / row(cols.next_multiple_of(lanes));
    let worst = (1..=300).max_by(|&a, &b| ratio(a).total_cmp(&ratio(b))).expect("some lengths");
    let above = (1..=300).filter(|&cols| ratio(cols) > 1.1).count();
    let record = data.record("softmax_rows", "1..300");
    let record = record.ratio(ratio(worst), "the time of the next whole vector, at worst");
    records.print(record.detail("worst n", worst as f64).detail("lengths above 1.10", above as f64));
}

/// Compares one row with a row half as long, from 2^6 elements on.
fn against_half_as_long<T: Real>(data: &mut Data<'_, T>, records: &mut Records) {
    let longest_log2 = if data.isa.name() == "scalar" { 22 } else { 26 };
    let sizes: Vec<usize> = (6..=longest_log2).map(|log2| 1 << log2).collect();
    let mut time = |n| data.times(n, if n < 1 << 24 { 7 } else { 3 }, SHORT, &[one_row()])[0];
    let t: Vec<Sample> = sizes.iter().map(|&n| time(n)).collect();
    for (n, time) in sizes.iter().zip(&t) {
        records.print(data.record("softmax", n).value(*time, "ns/element"));
    }
    let steps = t.windows(2).map(|pair| pair[1] / pair[0]);
    let (i, step) = steps.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).expect("several sizes");
    let record = data.record("softmax", format_args!("64..{}", 1 << longest_log2));
    let record = record.ratio(step, "the time of an element of a row half as long, at worst");
    records.print(record.detail("worst n", sizes[i + 1] as f64));
}

/// The elements of a row of the comparisons with ordinary logits.
const ROW: usize = 1024;

/// The functions over rows of [`ROW`] elements whose speed depends on the logits.
fn row_functions<T: Real>() -> [(&'static str, Work<T>); 5] {
    fn rows<T>(x: &[T]) -> MatRef<'_, T> {
        MatRef::new(x, x.len() / ROW, ROW).expect("whole rows")
    }
    fn rows_mut<T>(x: &mut [T]) -> MatMut<'_, T> {
        let count = x.len() / ROW;
        MatMut::new(x, count, ROW).expect("whole rows")
    }
    let log_softmax = |isa: Isa, x: &[T], out: &mut [T]| isa.log_softmax_rows(rows(x), rows_mut(out)).expect("fits");
    let log_sum_exp = |isa: Isa, x: &[T], out: &mut [T]| {
        let count = x.len() / ROW;
        isa.log_sum_exp_rows(rows(x), &mut out[..count]).expect("fits");
    };
    let cross_entropy = |isa: Isa, x: &[T], out: &mut [T]| {
        let count = x.len() / ROW;
        isa.cross_entropy_rows(rows(x), &[1; 4][..count], &mut out[..count]).expect("fits");
    };
    // The logits are the mask, too: any will do.
    let masked = |isa: Isa, x: &[T], out: &mut [T]| {
        let mask = MatRef::new(&x[..ROW], 1, ROW).expect("a row");
        Softmax::new().isa(isa).mask(mask).rows(rows(x), rows_mut(out)).expect("fits");
    };
    [
        ("softmax_rows", Work::Rows(ROW)),
        ("log_softmax_rows", Work::Slice(log_softmax)),
        ("log_sum_exp_rows", Work::Slice(log_sum_exp)),
        ("cross_entropy_rows", Work::Slice(cross_entropy)),
        ("Softmax::rows", Work::Slice(masked)),
    ]
}

/// Compares rows with mostly subnormal results, rows that are half or all -inf, and rows that need
/// another base, with ordinary logits. One more comparison: StableMax of logits beyond its range.
fn against_ordinary_logits<T: Real>(data: &mut Data<'_, T>, records: &mut Records) {
    const N: usize = 4 * ROW;
    let make = |f: &dyn Fn(usize) -> f64| -> Vec<T> { (0..N).map(|i| T::rounded(f(i))).collect() };
    // The sum of twelve uniform numbers is about normal.
    let mut rng = StdRng::seed_from_u64(2);
    let normal: Vec<f64> = (0..N).map(|_| (0..12).map(|_| rng.random_range(-0.5..0.5)).sum()).collect();
    let ordinary = make(&|i| normal[i]);
    let lowest = if size_of::<T>() == 4 { -120.0 } else { -780.0 };
    let vanishing = |i: usize| lowest * ((i % ROW) as f64 / (ROW - 1) as f64);
    let inputs = [
        ("subnormal", make(&vanishing)),
        ("half_infinite", make(&|i| if i % 2 == 0 { f64::NEG_INFINITY } else { vanishing(i) })),
        ("around_-1000", make(&|i| normal[i] - 1000.0)),
        ("one_of_50", make(&|i| if i % ROW == ROW / 3 { 50.0 } else { normal[i] })),
        ("all_infinite", make(&|_| f64::NEG_INFINITY)),
    ];
    let (isa, out) = (data.isa, &mut data.out[..]);
    let mut compare = |function: &str, work: Work<T>, inputs: &[(&str, Vec<T>)]| {
        let all: Vec<&Vec<T>> = std::iter::once(&ordinary).chain(inputs.iter().map(|(_, x)| x)).collect();
        let t = samples(&interleaved(25, all.len(), |i| {
            seconds(SHORT, || work.apply(isa, black_box(all[i]), &mut out[..N])) * 1e9 / N as f64
        }));
        for ((what, _), time) in inputs.iter().zip(&t[1..]) {
            let record = Record::new(format!("{function}/{}/{isa}/n={ROW}/{what}", type_name::<T>()));
            records.print(record.value(*time, "ns/element").ratio(*time / t[0], "the time of ordinary logits"));
        }
    };
    for (function, work) in row_functions::<T>() {
        compare(function, work, &inputs);
    }
    let large = if size_of::<T>() == 4 { 1e38 } else { 1e300 };
    let inputs = [("huge", make(&|i| normal[i] * large)), ("all_below", make(&|i| -large * normal[i].abs()))];
    let stablemax = |isa: Isa, x: &[T], out: &mut [T]| isa.stablemax(x, out).expect("equal lengths");
    compare("stablemax", Work::Slice(stablemax), &inputs);
}

/// The comparisons of one type on one instruction set; with `quick` those of the report only.
fn steps<T: Real + bytemuck::Pod>(isa: Isa, quick: bool) -> Vec<Step<[Buffer; 2]>> {
    fn data<T: Real + bytemuck::Pod>(isa: Isa, [x, out]: &mut [Buffer; 2]) -> Data<'_, T> {
        Data { isa, x: x.elements::<T>(LONGEST), out: out.shifted_elements::<T>(LONGEST) }
    }
    let step = |name: &str, compare: fn(&mut Data<'_, T>, &mut Records)| {
        let name = format!("{name}, {} {isa}", type_name::<T>());
        Step::new(name, move |buffers, records| compare(&mut data(isa, buffers), records))
    };
    let fill = |buffers: &mut [Buffer; 2], _: &mut Records| {
        buffers[0].elements(LONGEST).copy_from_slice(&logits::<T>(1 << 20).repeat(LONGEST >> 20));
        buffers[1].shifted_elements(LONGEST).fill(T::rounded(1.0));
    };
    let mut steps = vec![Step::new("data", fill), step("against summing exp", against_sum_exp)];
    if isa.name() != "scalar" {
        steps.push(step("against bandwidth", against_bandwidth));
        steps.push(step("against three passes by length", against_three_passes_by_length));
        steps.push(step("single calls", calls_against_rows));
    }
    if !quick {
        steps.push(step("against a call for each row", against_a_call_for_each_row));
        steps.push(step("against rows of 1024", against_rows_of_1024));
        steps.push(step("against whole vectors", against_whole_vectors));
        steps.push(step("against rows half as long", against_half_as_long));
        steps.push(step("against ordinary logits", against_ordinary_logits));
    }
    steps
}

/// Benches of criterion: short rows in cache, and one row in cache and out of it.
fn bench_with_criterion<T: Real>(criterion: &mut Criterion) {
    // Each: the function, its size, the elements of the input, the work.
    let in_cache = (256 << 10) / size_of::<T>();
    let rows = [8, 16, 64, 256, 1024, 4096].map(|cols| ("softmax_rows", cols, in_cache, Work::Rows(cols)));
    let mut benches = Vec::from(rows);
    for n in [1 << 10, 1 << 20, 1 << 26] {
        let log_softmax = Work::Slice(|isa, x, out| isa.log_softmax(x, out).expect("equal lengths"));
        let log_sum_exp = Work::Slice(|isa, x, out| out[0] = isa.log_sum_exp(x));
        let works = [("softmax", one_row()), ("log_softmax", log_softmax), ("log_sum_exp", log_sum_exp)];
        benches.extend(works.map(|(function, work)| (function, n, n, work)));
    }
    for (function, size, n, work) in benches {
        let x = logits::<T>(n);
        let mut out = x.clone();
        let mut group = criterion.benchmark_group(function);
        group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(1));
        group.throughput(Throughput::Bytes(2 * size_of_val(x.as_slice()) as u64));
        for isa in Isa::available() {
            let id = BenchmarkId::from_parameter(format_args!("{}/{isa}/n={size}", type_name::<T>()));
            group.bench_function(id, |b| b.iter(|| work.apply(isa, black_box(&x), &mut out)));
        }
        group.finish();
    }
}

fn main() {
    let compare_all = |arguments: &Arguments, records: &mut Records| {
        let mut buffers = [LONGEST * 8, LONGEST * 8 + 4096].map(Buffer::new);
        let steps: Vec<_> = match arguments.quick {
            true => program::main_isas().into_iter().flat_map(|isa| steps::<f32>(isa, true)).collect(),
            false => Isa::available()
                .flat_map(|isa| [steps::<f32>(isa, false), steps::<f64>(isa, false)])
                .flatten()
                .collect(),
        };
        records.run(&mut buffers, &steps);
    };
    program::compare_and_bench("softmax", compare_all, |criterion| {
        bench_with_criterion::<f32>(criterion);
        bench_with_criterion::<f64>(criterion);
    });
}
