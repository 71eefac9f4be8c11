//! The roofline: the rates at which this machine reads and writes, with each kernel's distance from
//! them.
//!
//! `cargo bench --bench bandwidth` takes minutes; with `-- --quick` it times f32 on the best
//! instruction set and AVX2 only, which takes seconds. For every instruction set, type and cache
//! level it times reading, copying, streaming stores and scaling beside the kernels, interleaved in
//! one process, so that a drift of the machine affects all alike. Times are medians over rounds;
//! `+-` is half the distance between the quartiles.
//!
//! A kernel's *limit* is the longer of two times. The memory limit is the time that the kernel's
//! passes over memory take at the speed of the bare passes (`read`, `copy`, `scale`, `update`,
//! `stream`), measured at the same level. The arithmetic limit is the time of its exponentials at
//! the best rate of `log_sum_exp` at the preceding levels. At the last level, input and output have
//! 256 MiB each, more than the last-level cache of most machines.

mod support;

use mantex::medoids::{Algorithm, Init};
use mantex::{Isa, KMedoids, MatMut, MatRef, Real, Sinkhorn, baselines};
use std::collections::HashMap;
use std::hint::black_box;
use support::arguments::Arguments;
use support::buffers::Buffer;
use support::levels::{LEVELS, MEMORY};
use support::program;
use support::record::Record;
use support::records::{Records, Step};
use support::timing::{ONCE, SHORT, Sample, interleaved, seconds};

/// The passes of a kernel over its input, of each kind, with its exponentials per element.
#[derive(Clone, Copy, Default)]
struct Passes {
    /// Reads of one buffer.
    reads: f64,
    /// Reads of one buffer, with writes to another through the caches, which also read the line.
    copies: f64,
    /// Reads of one buffer, with writes to another past the caches.
    streams: f64,
    /// Reads and writes in place.
    updates: f64,
    /// Writes alone, past the caches.
    writes: f64,
    /// Exponentials per element.
    exponentials: f64,
}

/// The work of a kernel that is timed.
#[derive(Clone, Copy)]
enum Work<T> {
    /// A function of an input and an output of equal length.
    Row(fn(Isa, &[T], &mut [T])),
    /// An iteration of [`Sinkhorn`] on a square matrix.
    SinkhornIteration,
    /// A scan of all candidates for swaps with this number of medoids.
    SwapScan(usize),
}

/// A kernel on an instruction set.
struct Case<T> {
    name: &'static str,
    isa: Isa,
    passes: Passes,
    work: Work<T>,
}

/// The input and the output of the cases of one level.
struct Data<'a, T> {
    x: &'a [T],
    out: &'a mut [T],
    in_memory: bool,
}

/// A case, its id in the records, and its times in nanoseconds per element.
struct Line<T> {
    case: Case<T>,
    id: String,
    times: Sample,
}

/// The cases of one instruction set, in the order in which a round runs them.
fn cases<T: Real>(isa: Isa, in_memory: bool, side: usize) -> Vec<Case<T>> {
    let none = Passes::default();
    let read = Passes { reads: 1.0, ..none };
    let exp = Passes { exponentials: 1.0, ..read };
    let stored = Passes { copies: 1.0, updates: 1.0, exponentials: 1.0, ..none };
    let two_pass = Passes { streams: 1.0, exponentials: 2.0, ..exp };
    let softmax = if in_memory && baselines::recomputes::<T>(isa) { two_pass } else { stored };
    let log_softmax = if in_memory { Passes { streams: 1.0, ..exp } } else { Passes { copies: 1.0, ..exp } };
    let recompute = Passes { reads: 2.0, ..two_pass };
    let row = |name, passes, work| Case { name, isa, passes, work: Work::Row(work) };
    let mut cases = vec![
        row("read", read, |isa, x, _| _ = black_box(baselines::read(isa, x))),
        row("copy", Passes { copies: 1.0, ..none }, baselines::copy),
        row("scale", Passes { streams: 1.0, ..none }, baselines::scale),
        row("update", Passes { updates: 1.0, ..none }, |isa, _, out| baselines::update(isa, out)),
        row("stream", Passes { writes: 1.0, ..none }, |isa, _, out| baselines::stream(isa, out)),
        row("log_sum_exp", exp, |isa, x, _| _ = black_box(isa.log_sum_exp(x))),
        row("softmax", softmax, |isa, x, out| isa.softmax(x, out).expect("equal lengths")),
        row("softmax_columns/64_rows", softmax, |isa, x, out| softmax_columns(isa, (64, x.len() / 64), x, out)),
        row("softmax_columns/64_columns", softmax, |isa, x, out| softmax_columns(isa, (x.len() / 64, 64), x, out)),
        row("three_pass_reload", Passes { reads: 1.0, ..stored }, baselines::three_pass_reload),
        row("three_pass_recompute", recompute, baselines::three_pass_recompute),
        row("log_softmax", log_softmax, |isa, x, out| isa.log_softmax(x, out).expect("equal lengths")),
        Case { name: "sinkhorn_iteration", isa, passes: exp, work: Work::SinkhornIteration },
    ];
    if side >= 200 {
        cases.push(Case { name: "swap_scan", isa, passes: read, work: Work::SwapScan(100) });
    }
    cases
}

/// Softmax of the columns of a matrix.
fn softmax_columns<T: Real>(isa: Isa, (rows, cols): (usize, usize), x: &[T], out: &mut [T]) {
    let n = rows * cols;
    let x = MatRef::new(&x[..n], rows, cols).expect("a matrix");
    let out = MatMut::new(&mut out[..n], rows, cols).expect("a matrix");
    isa.softmax_columns(x, out).expect("equal shapes");
}

/// Returns the id of a case in the records.
fn id<T>(case: &Case<T>, n: usize) -> String {
    let (name, of, isa, side) = (case.name, std::any::type_name::<T>(), case.isa, n.isqrt());
    match case.work {
        Work::Row(_) => format!("{name}/{of}/{isa}/n={n}"),
        Work::SinkhornIteration => format!("{name}/{of}/{isa}/n={side}"),
        Work::SwapScan(k) => format!("{name}/{of}/{isa}/n={side}/k={k}"),
    }
}

/// Times a case once, in nanoseconds per element.
fn time<T: Real>(case: &Case<T>, data: &mut Data<'_, T>) -> f64 {
    let (isa, x) = (case.isa, data.x);
    let side = x.len().isqrt();
    let square = MatRef::new(&x[..side * side], side, side).expect("a square matrix");
    let (seconds, elements) = match case.work {
        Work::Row(work) => {
            let at_least = if data.in_memory { ONCE } else { SHORT };
            (seconds(at_least, || work(isa, black_box(x), data.out)), x.len())
        }
        Work::SinkhornIteration => (sinkhorn_iteration(isa, square), side * side),
        Work::SwapScan(k) => (swap_scan(isa, square, k), side * side),
    };
    seconds * 1e9 / elements as f64
}

/// Seconds of one Sinkhorn iteration: the difference between a solve of one and a solve of several.
fn sinkhorn_iteration<T: Real>(isa: Isa, cost: MatRef<'_, T>) -> f64 {
    let n = cost.rows();
    let more = ((1 << 22) / (n * n)).clamp(2, 500);
    let mass = vec![T::rounded(1.0 / n as f64); n];
    let solve = |iterations| {
        let solver = Sinkhorn::new(0.1).tolerance(0.0).max_iterations(iterations).isa(isa);
        seconds(ONCE, || _ = black_box(solver.solve(cost, &mass, &mass).expect("a good problem")))
    };
    ((solve(1 + more) - solve(1)) / more as f64).max(0.0)
}

/// Seconds of one scan of all candidates: FastPAM1 with one iteration, less the time with none.
fn swap_scan<T: Real>(isa: Isa, dissimilarities: MatRef<'_, T>, k: usize) -> f64 {
    let step = dissimilarities.rows() / k;
    let start = Init::Given((0..k).map(|i| i * step).collect());
    let fit = |iterations| {
        let options = KMedoids::new(k).algorithm(Algorithm::FastPam1).init(start.clone());
        let options = options.max_iterations(iterations).isa(isa);
        seconds(ONCE, || _ = black_box(options.fit(dissimilarities).expect("a good matrix")))
    };
    (fit(1) - fit(0)).max(0.0)
}

/// Times the cases of one level.
fn measure<T: Real>(rounds: usize, isas: &[Isa], mut data: Data<'_, T>) -> Vec<Line<T>> {
    let n = data.x.len();
    let isas = isas.iter().copied().filter(|isa| isa.name() != "scalar" || !data.in_memory);
    let cases: Vec<Case<T>> = isas.flat_map(|isa| cases(isa, data.in_memory, n.isqrt())).collect();
    let times = interleaved(rounds, cases.len(), |i| time(&cases[i], &mut data));
    cases
        .into_iter()
        .zip(times)
        .map(|(case, times)| Line { id: id(&case, n), case, times: Sample::new(&times) })
        .collect()
}

/// Returns the median of a kernel on an instruction set.
fn median_of<T>(lines: &[Line<T>], name: &str, isa: Isa) -> f64 {
    let line = lines.iter().find(|line| line.case.name == name && line.case.isa == isa);
    line.map_or(f64::NAN, |line| line.times.median)
}

/// Compares each kernel with its limit.
fn against_limit<T>(lines: &[Line<T>], exp: &HashMap<(Isa, usize), f64>, records: &mut Records) {
    records.print_text("kernel                 isa       ns/elem      +-     GB/s  limit ns   % of");
    for line in lines {
        let Case { name, isa, passes: p, .. } = line.case;
        let pass = |count: f64, name: &str| count * median_of(lines, name, isa);
        let memory = pass(p.reads, "read")
            + pass(p.copies, "copy")
            + pass(p.streams, "scale")
            + pass(p.updates, "update")
            + pass(p.writes, "stream");
        let arithmetic = exp.get(&(isa, size_of::<T>())).map_or(0.0, |time| p.exponentials * time);
        let limit = memory.max(arithmetic);
        let words = p.reads + p.writes + 2.0 * (p.copies + p.streams + p.updates);
        let (ns, spread) = (line.times.median, line.times.spread());
        let (rate, share) = (words * size_of::<T>() as f64 / ns, limit / ns);
        let (of, note) = match arithmetic > memory {
            true => ("the arithmetic limit", " (arithmetic)"),
            false => ("the memory limit", ""),
        };
        let percent = 100.0 * share;
        records.print_text(&format!(
            "{name:<22} {isa:<7} {ns:>9.3} {spread:>7.3} {rate:>8.1} {limit:>9.3} {percent:>5.0}%{note}"
        ));
        let record = Record::new(&line.id).value(line.times, "ns/element").ratio(share, of).detail("+-", spread);
        records.write(&record.detail("GB/s", rate).detail("limit", limit));
    }
}

/// Compares the two-pass softmax with both three-pass forms.
fn against_three_passes<T>(lines: &[Line<T>], records: &mut Records) {
    records.print_text("\nTwo passes against three, one row:");
    for line in lines.iter().filter(|line| line.case.name == "softmax") {
        let mut compare = |name, of| {
            let ratio = median_of(lines, name, line.case.isa) / line.times.median;
            records.print(Record::new(&line.id).value(line.times, "ns/element").ratio(ratio, of));
        };
        compare("three_pass_reload", "the speed of three passes that reload");
        compare("three_pass_recompute", "the speed of three passes that recompute");
    }
}

/// What the steps share.
struct Shared {
    buffers: [Buffer; 2],
    /// Nanoseconds per exponential on each instruction set and with elements of each size, at the
    /// best of the preceding levels.
    exp: HashMap<(Isa, usize), f64>,
}

/// Times one level with elements of one type.
fn measure_level<T: Real + bytemuck::Pod>(
    level: (&str, usize),
    quick: bool,
    shared: &mut Shared,
    records: &mut Records,
) {
    let ((name, bytes), in_memory) = (level, level.0 == MEMORY);
    let rounds = if in_memory { [7, 3] } else { [15, 5] }[usize::from(quick)];
    let [x, out] = shared.buffers.each_mut().map(|buffer| buffer.elements::<T>(bytes / size_of::<T>()));
    for (i, x) in x.iter_mut().enumerate() {
        // Spread over 0..10 by the golden ratio.
        *x = T::rounded((i as f64 * 0.618_033_988_749_894_9).fract() * 10.0);
    }
    out.fill(T::rounded(1.0));
    records.print_text(&format!("\n{name}: {} KiB a buffer, {}", bytes >> 10, std::any::type_name::<T>()));
    let isas: Vec<Isa> = if quick { program::main_isas() } else { Isa::available().collect() };
    let lines = measure(rounds, &isas, Data { x, out, in_memory });
    against_limit(&lines, &shared.exp, records);
    for line in lines.iter().filter(|line| line.case.name == "log_sum_exp") {
        let best = shared.exp.entry((line.case.isa, size_of::<T>())).or_insert(f64::INFINITY);
        *best = best.min(line.times.median);
    }
    if in_memory {
        against_three_passes(&lines, records);
    }
}

/// Times all levels with both types; with `--quick` only with f32.
fn compare(arguments: &Arguments, records: &mut Records) {
    let quick = arguments.quick;
    let mut steps: Vec<Step<Shared>> = LEVELS
        .map(|level| Step::new(format!("{}, f32", level.0), move |s, r| measure_level::<f32>(level, quick, s, r)))
        .into();
    if !quick {
        let step = |level: (&'static str, usize)| {
            Step::new(format!("{}, f64", level.0), move |s: &mut Shared, r: &mut Records| {
                measure_level::<f64>(level, quick, s, r)
            })
        };
        steps.extend(LEVELS.map(step));
    }
    let largest = LEVELS[LEVELS.len() - 1].1;
    let buffers = [Buffer::new(largest), Buffer::new(largest)];
    records.run(&mut Shared { buffers, exp: HashMap::new() }, &steps);
}

fn main() {
    program::compare_and_bench("bandwidth", compare, |_| ());
}
