//! The roofline: how fast this machine reads and writes, and how close each kernel comes to that.
//!
//! `cargo bench --bench bandwidth` (`-- --quick` for a minute's run). For every instruction set, type and cache level it
//! times reading, copying, streaming stores and scaling, and the kernels beside them, interleaved in one process so that
//! a drift of the machine hits all alike. Times are medians over rounds, `+-` is half the distance of the quartiles.
//!
//! A kernel's *limit* is what its passes over memory take at the speed of the plain passes measured at the same level
//! (`read`; `copy`, which reads and writes; `scale`, the same past the caches; `update`, the same in place), or its
//! exponentials at the best rate of log_sum_exp so far, whichever is longer. Buffers of the last level exceed the last-level cache, for
//! input and output each (256 MiB: larger than most); huge pages are advised where the system has them.

mod support;

use mantex::{Algorithm, Init, Isa, KMedoids, MatRef, Real, Sinkhorn, baselines};
use std::hint::black_box;
use std::time::Duration;
use support::{Buffer, quantile, seconds};

/// Working sets: name and bytes of the input.
const LEVELS: [(&str, usize); 4] = [("L1", 12 << 10), ("L2", 256 << 10), ("L3", 6 << 20), ("DRAM", 256 << 20)];

/// The passes of a kernel over its input, and the exponentials per element.
#[derive(Clone, Copy)]
struct Passes {
    reads: f64,
    /// Reading one buffer and writing another through the caches: in memory such a write also reads the line.
    copies: f64,
    /// Reading one buffer and writing another past the caches.
    streams: f64,
    /// Reading and writing in place.
    updates: f64,
    /// Only writing, past the caches.
    writes: f64,
    exponentials: f64,
}

const NONE: Passes = Passes { reads: 0.0, copies: 0.0, streams: 0.0, updates: 0.0, writes: 0.0, exponentials: 0.0 };

/// One line of the table.
struct Line {
    kernel: &'static str,
    isa: Isa,
    passes: Passes,
    /// Nanoseconds per element, one per round.
    times: Vec<f64>,
}

impl Line {
    fn quantile(&self, q: f64) -> f64 {
        quantile(&self.times, q)
    }

    fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// Kernels over a row, in the order in which a round runs them.
type RowKernel<T> = (&'static str, Passes, fn(Isa, &[T], &mut [T]));

fn row_kernels<T: Real>(in_memory: bool, isa: Isa) -> Vec<RowKernel<T>> {
    let one_read = Passes { reads: 1.0, ..NONE };
    let exp = Passes { exponentials: 1.0, ..one_read };
    let stored = Passes { copies: 1.0, updates: 1.0, exponentials: 1.0, ..NONE };
    let two_pass = Passes { streams: 1.0, exponentials: 2.0, ..exp };
    let softmax = if in_memory && baselines::recomputes::<T>(isa) { two_pass } else { stored };
    let log_softmax = if in_memory { Passes { streams: 1.0, ..exp } } else { Passes { copies: 1.0, ..exp } };
    vec![
        ("read", one_read, |isa, x, _| {
            black_box(baselines::read(isa, x));
        }),
        ("copy", Passes { copies: 1.0, ..NONE }, |isa, x, out| baselines::copy(isa, x, out)),
        ("scale", Passes { streams: 1.0, ..NONE }, |isa, x, out| baselines::scale(isa, x, out)),
        ("update", Passes { updates: 1.0, ..NONE }, |isa, _, out| baselines::update(isa, out)),
        ("stream", Passes { writes: 1.0, ..NONE }, |isa, _, out| baselines::stream(isa, out)),
        ("log_sum_exp", exp, |isa, x, _| {
            black_box(isa.log_sum_exp(x));
        }),
        ("softmax", softmax, |isa, x, out| isa.softmax(x, out).expect("equal lengths")),
        ("three-pass reload", Passes { reads: 1.0, ..stored }, |isa, x, out| {
            baselines::three_pass_reload(isa, x, out);
        }),
        ("three-pass recompute", Passes { reads: 2.0, streams: 1.0, exponentials: 2.0, ..NONE }, |isa, x, out| {
            baselines::three_pass_recompute(isa, x, out);
        }),
        ("log_softmax", log_softmax, |isa, x, out| isa.log_softmax(x, out).expect("equal lengths")),
    ]
}

/// Seconds of one more Sinkhorn iteration: solves of one and of several, compared.
fn sinkhorn_iteration<T: Real>(isa: Isa, cost: MatRef<'_, T>, mass: &[T], more: usize) -> f64 {
    let solve = |n| {
        let solver = Sinkhorn::new(T::rounded(0.1)).tolerance(T::ZERO).max_iterations(n).isa(isa);
        seconds(Duration::ZERO, || {
            black_box(solver.solve(cost, mass, mass).expect("a good problem"));
        })
    };
    ((solve(1 + more) - solve(1)) / more as f64).max(0.0)
}

/// Seconds of one scan of all candidates' swaps at k = 100: FastPAM1 with one iteration and with none, compared.
fn swap_scan<T: Real>(isa: Isa, d: MatRef<'_, T>, medoids: &[usize]) -> f64 {
    let fit = |iterations| {
        let k = KMedoids::new(medoids.len()).algorithm(Algorithm::FastPam1).init(Init::Given(medoids.to_vec()));
        let k = k.max_iterations(iterations).isa(isa);
        seconds(Duration::ZERO, || {
            black_box(k.fit(d).expect("a good matrix"));
        })
    };
    (fit(1) - fit(0)).max(0.0)
}

fn level<T: Real + bytemuck::Pod>(
    name: &str,
    bytes: usize,
    rounds: usize,
    buffers: &mut [Buffer; 2],
    exp: &[(Isa, f64)],
) -> Vec<Line> {
    let in_memory = name == "DRAM";
    let n = bytes / size_of::<T>();
    // A square matrix for the two kernels that work on one; in-cache sizes leave room for their vectors.
    let side = ((n as f64).sqrt() as usize).max(1);
    let [x, out] = buffers;
    let (x, out) = (x.of::<T>(bytes), out.of::<T>(bytes));
    for (i, x) in x.iter_mut().enumerate() {
        // Spread over 0..10 by the golden ratio.
        *x = T::rounded((i as f64 * 0.618_033_988_749_894_9).fract() * 10.0);
    }
    out.fill(T::ONE);
    let mass = vec![T::rounded(1.0 / side as f64); side];
    let medoids: Vec<usize> = (0..side.min(100)).map(|i| i * (side / side.min(100))).collect();

    let kernels = |isa| row_kernels::<T>(in_memory, isa);
    let isas: Vec<Isa> = Isa::available().filter(|isa| isa.name() != "scalar" || !in_memory).collect();
    let mut lines = Vec::new();
    for &isa in &isas {
        for (kernel, passes, _) in kernels(isa) {
            lines.push(Line { kernel, isa, passes, times: Vec::new() });
        }
        lines.push(Line {
            kernel: "sinkhorn iteration",
            isa,
            passes: Passes { reads: 1.0, exponentials: 1.0, ..NONE },
            times: Vec::new(),
        });
        if side >= 200 {
            lines.push(Line {
                kernel: "swap scan, k=100",
                isa,
                passes: Passes { reads: 1.0, ..NONE },
                times: Vec::new(),
            });
        }
    }
    let least = if in_memory { Duration::ZERO } else { Duration::from_millis(2) };
    let more = ((1 << 22) / (side * side)).clamp(2, 500);
    for round in 0..=rounds {
        for line in &mut lines {
            let time = if let Some((.., run)) = kernels(line.isa).iter().find(|(name, ..)| *name == line.kernel) {
                seconds(least, || run(line.isa, black_box(x), out)) / n as f64
            } else {
                let matrix = MatRef::new(&x[..side * side], side, side).expect("a square matrix");
                let seconds = if line.kernel.starts_with("sinkhorn") {
                    sinkhorn_iteration(line.isa, matrix, &mass, more)
                } else {
                    swap_scan(line.isa, matrix, &medoids)
                };
                seconds / (side * side) as f64
            };
            // The first round warms up.
            if round > 0 {
                line.times.push(time * 1e9);
            }
        }
    }
    print_level::<T>(name, bytes, &lines, exp);
    lines
}

fn print_level<T>(name: &str, bytes: usize, lines: &[Line], exp: &[(Isa, f64)]) {
    println!("\n{name}: {} KiB a buffer, {}", bytes >> 10, std::any::type_name::<T>());
    println!(
        "{:<22} {:<7} {:>9} {:>7} {:>8} {:>9} {:>6}",
        "kernel", "isa", "ns/elem", "+-", "GB/s", "limit ns", "% of"
    );
    let best = |kernel: &str, isa: Isa| {
        lines.iter().find(|l| l.kernel == kernel && l.isa == isa).map_or(f64::NAN, Line::median)
    };
    for line in lines {
        let p = line.passes;
        let pass = |kernel: &str| best(kernel, line.isa);
        let memory = p.reads * pass("read")
            + p.copies * pass("copy")
            + p.streams * pass("scale")
            + p.updates * pass("update")
            + p.writes * pass("stream");
        let arithmetic = exp.iter().find(|(isa, _)| *isa == line.isa).map_or(0.0, |(_, ns)| p.exponentials * ns);
        let limit = memory.max(arithmetic);
        let words = p.reads + p.writes + 2.0 * (p.copies + p.streams + p.updates);
        let (ns, spread) = (line.median(), (line.quantile(0.75) - line.quantile(0.25)) / 2.0);
        println!(
            "{:<22} {:<7} {ns:>9.3} {spread:>7.3} {:>8.1} {limit:>9.3} {:>5.0}%{}",
            line.kernel,
            line.isa.name(),
            words * size_of::<T>() as f64 / ns,
            100.0 * limit / ns,
            if arithmetic > memory { " (arithmetic)" } else { "" }
        );
    }
}

fn run<T: Real + bytemuck::Pod>(quick: bool, buffers: &mut [Buffer; 2]) {
    let mut exp: Vec<(Isa, f64)> = Vec::new();
    for (name, bytes) in LEVELS {
        let rounds = match (name, quick) {
            ("DRAM", true) => 1,
            ("DRAM", false) => 7,
            (_, true) => 3,
            (_, false) => 15,
        };
        let lines = level::<T>(name, bytes, rounds, buffers, &exp);
        for line in lines.iter().filter(|l| l.kernel == "log_sum_exp") {
            match exp.iter_mut().find(|(isa, _)| *isa == line.isa) {
                Some((_, best)) => *best = line.median().min(*best),
                None => exp.push((line.isa, line.median())),
            }
        }
        if name == "DRAM" {
            println!(
                "\nTwo passes against three, one row of {} {}:",
                bytes / size_of::<T>(),
                std::any::type_name::<T>()
            );
            for line in lines.iter().filter(|l| l.kernel == "softmax") {
                let against = |kernel: &str| {
                    let other = lines.iter().find(|l| l.kernel == kernel && l.isa == line.isa);
                    other.map_or(f64::NAN, Line::median) / line.median()
                };
                let (reload, recompute) = (against("three-pass reload"), against("three-pass recompute"));
                println!("{:<7} {reload:.2} x reload, {recompute:.2} x recompute", line.isa.name());
            }
        }
    }
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    support::print_machine();
    let largest = LEVELS[LEVELS.len() - 1].1;
    let mut buffers = [Buffer::new(largest), Buffer::new(largest)];
    run::<f32>(quick, &mut buffers);
    run::<f64>(quick, &mut buffers);
}
