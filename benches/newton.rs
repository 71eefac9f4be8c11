//! Solves to the last digits: Sinkhorn's iterations alone, Newton's method, and the choice of
//! `Method::Auto`.
//!
//! `cargo bench --bench newton` prints a line for each problem and tolerance: the time by default,
//! and how much faster that is than `Method::Scaling`, which only iterates. A read is a read of the
//! matrix; both kinds of reads count as iterations. `--record FILE` also writes the records.
//!
//! Times in the paper are those of Tang et al. 2024, "Accelerating Sinkhorn Algorithm with Sparse
//! Newton Iterations", on an Apple M1, for random assignment and for digits of MNIST. Here, two
//! curves on the same grid stand for the digits.

mod support;

use mantex::transport::{Method, Status, Transport};
use mantex::{Isa, MatRef, Sinkhorn};
use std::time::Instant;
use support::problems::{Problem, problems};
use support::program;
use support::record::Record;
use support::records::{Records, Step};
use support::timing::{ONCE, Sample, interleaved, seconds};

/// The largest number of iterations. Some problems need more of them without Newton's method.
const MAX_ITERATIONS: usize = 20_000;

/// Solves a problem to a tolerance by all methods.
fn compare_methods(problem: &Problem, tolerance: f64, records: &mut Records) {
    let n = problem.a.len();
    let cost = MatRef::new(&problem.cost, n, n).expect("a square matrix");
    let solver = Sinkhorn::new(problem.epsilon).tolerance(tolerance).max_iterations(MAX_ITERATIONS);
    let solve = |method| solver.clone().method(method).solve(cost, &problem.a, &problem.b).expect("a good problem");
    let methods = [Method::Auto, Method::Newton];
    let mut solutions: [Option<Transport<f64>>; 2] = [None, None];
    let times = interleaved(5, 2, |i| seconds(ONCE, || solutions[i] = Some(solve(methods[i]))));
    let [auto, newton] = solutions.map(|solution| solution.expect("it was solved"));
    let start = Instant::now();
    let iterated = solve(Method::Scaling);
    let iterated_ms = start.elapsed().as_secs_f64() * 1e3;
    let [time, newton_time] = [&times[0], &times[1]].map(|times| Sample::new(times) * 1e3);
    let id = format!("solve/f64/{}/{}/tolerance={tolerance:e}", Isa::best(), problem.name);
    let mut record = Record::new(id).value(time, "ms");
    if iterated.converged() {
        record = record.ratio(iterated_ms / time.median, "the speed of iterations alone");
    }
    record = record.detail("reads", auto.iterations() as f64).detail("error", auto.marginal_error());
    record = record.detail("iterations alone", iterated.iterations() as f64).detail("ms alone", iterated_ms);
    if !iterated.converged() {
        record = record.detail("error alone", iterated.marginal_error());
    }
    record = record.detail("reads by Newton", newton.iterations() as f64).detail("ms by Newton", newton_time.median);
    for (name, transport) in [("status of default", &auto), ("status by Newton", &newton)] {
        assert_eq!(transport.status(), Status::Converged, "{name}, {}", problem.name);
    }
    if let Some((seconds, [first, second])) = problem.paper {
        record = record.detail("ms in the paper", seconds * 1e3);
        record = record.detail("its Sinkhorn steps", first).detail("its Newton steps", second);
    }
    records.print(record);
}

fn main() {
    program::compare_and_bench(
        "newton",
        |arguments, records| {
            // The report has no picture of them.
            let problems = if arguments.quick { Vec::new() } else { problems() };
            let step = |problem: Problem| {
                Step::new(problem.name, move |(): &mut (), records| {
                    for tolerance in [1e-9, 1e-12] {
                        compare_methods(&problem, tolerance, records);
                    }
                })
            };
            records.run(&mut (), &problems.into_iter().map(step).collect::<Vec<_>>());
        },
        |_| (),
    );
}
