//! A record of the largest errors that a test observes, and the lines that report them to
//! `ci/matrix`.

use super::float::Float;
use mantex::Isa;
use std::collections::BTreeMap;
use std::io::Write;

/// The largest errors seen, by function, type and instruction set.
pub(crate) struct Report(BTreeMap<(&'static str, &'static str, &'static str), Worst>);

struct Worst {
    ulps: f64,
    limit: f64,
    case: String,
    count: usize,
}

impl Report {
    /// Runs a test that observes errors. Prints the largest ones (`cargo test -- --nocapture` shows
    /// them), and panics if one is above its limit or if nothing was observed.
    pub(crate) fn run(title: &str, test: impl FnOnce(&mut Report)) {
        let mut report = Report(BTreeMap::new());
        test(&mut report);
        assert!(!report.0.is_empty(), "{title} observed nothing");
        print!("{}", report.table(title));
        for ((function, ty, isa), worst) in &report.0 {
            tell_ulps(function, ty, isa, worst.ulps, worst.limit);
        }
    }

    /// As [`Report::run`] without any output, for one of many cases.
    pub(crate) fn check(test: impl FnOnce(&mut Report)) {
        let mut report = Report(BTreeMap::new());
        test(&mut report);
        report.table("");
    }

    /// A table of the largest errors. Panics if one is above its limit.
    fn table(&self, title: &str) -> String {
        let mut table = String::new();
        let mut failed = false;
        for ((function, ty, isa), Worst { ulps, limit, case, count }) in &self.0 {
            let mark = if ulps <= limit { "" } else { "  FAILED" };
            failed |= !mark.is_empty();
            table += &format!(
                "{title:<24} {function:<22} {ty} {isa:<6} max {ulps:5.3} ulp of {limit} in {count} values: \
                 {case}{mark}\n"
            );
        }
        assert!(!failed, "the contract's accuracy is missed:\n{table}");
        table
    }

    pub(crate) fn observe<T: Float>(
        &mut self,
        function: &'static str,
        isa: Isa,
        ulps: f64,
        limit: f64,
        case: impl FnOnce() -> String,
    ) {
        self.observe_worst::<T>(function, isa, (ulps, 1), limit, case);
    }

    /// Records the largest of `count` errors.
    pub(crate) fn observe_worst<T: Float>(
        &mut self,
        function: &'static str,
        isa: Isa,
        (ulps, count): (f64, usize),
        limit: f64,
        case: impl FnOnce() -> String,
    ) {
        if count == 0 {
            return;
        }
        let key = (function, T::NAME, isa.name());
        let worst = self.0.entry(key).or_insert_with(|| Worst { ulps: -1.0, limit, case: String::new(), count: 0 });
        worst.count += count;
        // NaN is not within any limit.
        let ulps = if ulps.is_nan() { f64::INFINITY } else { ulps };
        if ulps > worst.ulps {
            (worst.ulps, worst.case) = (ulps, case());
        }
    }
}

/// Writes a line for `ci/matrix`, if it asks for such lines (`MANTEX_REPORT`). The test harness
/// does not capture this kind of output. A newline comes first, because the harness may have begun
/// a line.
pub(crate) fn tell(line: &str) {
    if std::env::var_os("MANTEX_REPORT").is_some() {
        writeln!(std::io::stdout(), "\n{line}").expect("standard output");
    }
}

/// Writes the largest error of a function, in the unit of its limit, for `ci/matrix`.
pub(crate) fn tell_ulps(function: &str, ty: &str, isa: &str, ulps: f64, limit: f64) {
    tell(&format!("ulp: {function} {ty} {isa} {ulps:.3} of {limit}"));
}
