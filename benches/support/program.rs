//! The `main` of the benches of the families.

use super::arguments::Arguments;
use super::records::Records;
use criterion::Criterion;

/// Runs the comparisons of a bench and its benches of criterion, if the command line asks for them.
pub(crate) fn compare_and_bench(
    bench: &'static str,
    compare: impl FnOnce(&Arguments, &mut Records),
    bench_with_criterion: impl FnOnce(&mut Criterion),
) {
    let arguments = Arguments::new();
    if arguments.should_compare() {
        compare(&arguments, &mut Records::new(bench, &arguments));
    }
    if !arguments.only_compare() {
        let mut criterion = Criterion::default().configure_from_args();
        bench_with_criterion(&mut criterion);
        criterion.final_summary();
    }
}
