//! The `main` of the benches.

use super::arguments::Arguments;
use super::records::Records;
use super::report;
use criterion::Criterion;
use mantex::Isa;

/// The instruction sets of the report: the best one, and AVX2 if the best one is another.
pub(crate) fn main_isas() -> Vec<Isa> {
    let isas = Isa::available();
    isas.filter(|isa| *isa == Isa::best() || isa.name() == "avx2" && Isa::best().name() != "scalar").collect()
}

/// Runs the comparisons of a bench and its benches of criterion, if the command line asks for them,
/// and renders the report after the comparisons.
pub(crate) fn compare_and_bench(
    bench: &'static str,
    compare: impl FnOnce(&Arguments, &mut Records),
    bench_with_criterion: impl FnOnce(&mut Criterion),
) {
    let arguments = Arguments::new();
    if arguments.should_compare() {
        compare(&arguments, &mut Records::new(bench, &arguments, &report::folder()));
        report::render();
    }
    if !arguments.only_compare() {
        let mut criterion = Criterion::default().configure_from_args();
        bench_with_criterion(&mut criterion);
        criterion.final_summary();
    }
}
