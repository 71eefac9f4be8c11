//! Transport with sparse plans: quadratic regularization, and at most k entries per row.
//!
//! `cargo bench --bench sparse` prints a line for each solve to a marginal error of 1e-9: the time,
//! the iterations, each of which reads the matrix, the entries of a row on average, and the
//! marginal error. `r` is the regularization relative to the size of the problem, as in the
//! documentation of `SparseTransport`. With a limit of entries, plans often miss the second
//! marginal. `gap` is then the distance of the value of the plan from the dual value, relative to
//! the latter. `--record FILE` also writes the records.

mod support;

use mantex::{Isa, MatRef, SparseTransport};
use support::problems::{RELATIVE_GAMMAS, SPARSE_LIMITS, SparseProblem, sparse_problems};
use support::program;
use support::record::Record;
use support::records::{Records, Step};
use support::timing::{ONCE, Sample, interleaved, seconds};

/// The L1 error of the marginals.
const TOLERANCE: f64 = 1e-9;

/// Times the solve with a regularization and perhaps a limit of the entries per row.
fn time_solve(problem: &SparseProblem, r: f64, limit: Option<usize>, records: &mut Records) {
    let n = problem.n();
    let cost = MatRef::new(&problem.cost, n, n).expect("a square matrix");
    let solver = SparseTransport::new(problem.gamma(r)).tolerance(TOLERANCE);
    let solver = limit.map_or(solver.clone(), |k| solver.max_entries_per_row(k));
    let mut solution = None;
    let times = interleaved(5, 1, |_| {
        seconds(ONCE, || solution = Some(solver.solve(cost, &problem.a, &problem.b).expect("a good problem")))
    });
    let solution = solution.expect("it was solved");
    let limit_in_id = limit.map_or(String::new(), |k| format!("/k={k}"));
    let id = format!("sparse_solve/f64/{}/{}/n={n}/r={r:e}{limit_in_id}", Isa::best(), problem.name);
    let record = Record::new(id).value(Sample::new(&times[0]) * 1e3, "ms");
    let record = record.detail("iterations", solution.iterations() as f64);
    let record = record.detail("entries per row", solution.plan().columns.len() as f64 / n as f64);
    let record = record.detail("error", solution.marginal_error());
    let gap = (solution.value() - solution.dual_value()).abs() / solution.dual_value();
    records.print(if limit.is_some() { record.detail("gap", gap) } else { record });
    assert!(limit.is_some() || solution.converged(), "{}, r = {r}: {:?}", problem.name, solution.status());
}

fn main() {
    program::compare_and_bench(
        "sparse",
        |arguments, records| {
            // The report has no picture of them.
            let problems = if arguments.quick { Vec::new() } else { Vec::from(sparse_problems()) };
            let step = |problem: SparseProblem| {
                Step::new(problem.name, move |(): &mut (), records| {
                    RELATIVE_GAMMAS.iter().for_each(|&r| time_solve(&problem, r, None, records));
                    SPARSE_LIMITS.iter().for_each(|&(r, k)| time_solve(&problem, r, Some(k), records));
                })
            };
            records.run(&mut (), &problems.into_iter().map(step).collect::<Vec<_>>());
        },
        |_| (),
    );
}
