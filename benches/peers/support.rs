//! What the peers' programs share, most of it with the benches of mantex.

#![allow(dead_code, reason = "every program compiles all of it and uses a part")]

#[path = "../support/arguments.rs"]
pub(crate) mod arguments;
#[path = "../support/date.rs"]
mod date;
pub(crate) mod inputs;
#[path = "../support/json.rs"]
pub(crate) mod json;
#[path = "../support/machine.rs"]
mod machine;
#[path = "../support/problems.rs"]
pub(crate) mod problems;
#[path = "../support/record.rs"]
pub(crate) mod record;
#[path = "../support/records.rs"]
pub(crate) mod records;
#[path = "../support/timing.rs"]
pub(crate) mod timing;
#[path = "../support/uniform.rs"]
pub(crate) mod uniform;

use arguments::Arguments;
use record::Record;
use records::Records;
use std::iter::repeat_with;
use std::path::Path;
use std::time::Duration;
use timing::Sample;

/// One of the libraries that are compared.
pub(crate) struct Contestant<'a> {
    /// The name of the crate, and of its function if there are several.
    pub(crate) name: String,
    /// The largest relative difference of its results from those of mantex.
    pub(crate) difference: f64,
    /// Returns the seconds of the work: the mean over at least one call and the given time.
    pub(crate) seconds: Box<dyn FnMut(Duration) -> f64 + 'a>,
}

impl<'a> Contestant<'a> {
    /// A library in this process that does the work once when it is called.
    pub(crate) fn new(name: &str, difference: f64, mut work: impl FnMut() + 'a) -> Self {
        let seconds = Box::new(move |at_least| timing::seconds(at_least, &mut work));
        Self { name: name.into(), difference, seconds }
    }
}

/// The best attempt of a peer that does not meet what the results are checked for.
#[derive(Clone, Copy)]
pub(crate) struct Unmet {
    pub(crate) error: f64,
    pub(crate) seconds: f64,
}

/// The seconds of all rounds of a comparison, about. Work that takes long has fewer rounds, but at
/// least 3, or one after the first if that takes [`LONG_ROUND_SECONDS`].
const ROUNDS_SECONDS: f64 = 20.0;

/// The seconds of a round that is not repeated more than once.
const LONG_ROUND_SECONDS: f64 = 5.0;

/// Compares peers with mantex and records the results.
pub(crate) struct Comparison {
    records: Records,
    /// The most rounds of a comparison.
    rounds: usize,
    /// The text of the peers' `Cargo.toml`, which has their exact versions; `None` if the names of
    /// contestants have them.
    manifest: Option<&'static str>,
}

impl Comparison {
    /// Reads the command line, and prints the machine and how the peers are compiled.
    pub(crate) fn new(bench: &'static str, manifest: Option<&'static str>, arguments: &Arguments) -> Self {
        // Where the report of mantex's own benches finds them.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/bench");
        let records = Records::new(bench, arguments, &folder);
        println!("all compiled for {}", target());
        Self { records, rounds: if arguments.quick { 3 } else { 15 }, manifest }
    }

    /// Times all in turns, and prints a line for each peer with the ratio of its time to that of
    /// mantex, which is the first.
    ///
    /// `unit_name` is that of times multiplied by `scale`, for example ns/element. Returns the time
    /// of mantex.
    pub(crate) fn compare(
        &mut self,
        work: &str,
        contestants: &mut [Contestant<'_>],
        at_least: Duration,
        (scale, unit_name): (f64, &'static str),
    ) -> Sample {
        let mut round = || -> Vec<f64> { contestants.iter_mut().map(|c| (c.seconds)(at_least)).collect() };
        // The first round warms up, and tells for how many there is time.
        let first = round().iter().sum::<f64>();
        let least = if first < LONG_ROUND_SECONDS { 3 } else { 1 };
        let most = (ROUNDS_SECONDS / first) as usize;
        let rounds: Vec<Vec<f64>> = repeat_with(&mut round).take(most.clamp(least, self.rounds)).collect();
        let times = |i: usize| Sample::new(&rounds.iter().map(|times| times[i]).collect::<Vec<_>>());
        let times: Vec<Sample> = (0..contestants.len()).map(times).collect();
        for (contestant, &time) in contestants.iter().zip(&times).skip(1) {
            let record = Record::new(work).peer(self.peer(&contestant.name)).value(time * scale, unit_name);
            let record = record.ratio(time / times[0], "the time of mantex");
            let record = record.detail("mantex", times[0].median * scale);
            self.records.print(record.detail("largest difference", contestant.difference));
        }
        times[0]
    }

    /// Prints and records that a peer has not met what the results are checked for: the error of
    /// its best attempt, and the milliseconds that this took. Such a record has no ratio.
    pub(crate) fn print_unmet(&mut self, work: &str, peer: &str, unmet: Unmet, mantex: Sample) {
        let record = Record::new(work).peer(self.peer(peer)).value(unmet.seconds * 1e3, "ms");
        let record = record.ratio(f64::NAN, "the time of mantex").detail("mantex", mantex.median * 1e3);
        self.records.print(record.detail("error", unmet.error));
    }

    /// Returns the name with the version, and with the vectors that it is compiled for if they are
    /// not those that every CPU has.
    fn peer(&self, name: &str) -> String {
        let Some(manifest) = self.manifest else { return name.into() };
        let (package, function) = name.split_once(' ').unwrap_or((name, ""));
        let line = manifest.lines().find(|line| line.split([' ', '.']).next() == Some(package));
        let version = line.and_then(|line| line.split("\"=").nth(1)?.split('"').next());
        let version = version.unwrap_or_else(|| panic!("Cargo.toml has no exact version of {package}"));
        let compiled = if target() == BASELINE { String::new() } else { format!(" for {}", target()) };
        format!("{package} {version}{compiled} {function}").trim_end().into()
    }
}

/// What [`target`] says without flags.
const BASELINE: &str = "the target's baseline";

/// The best vectors that all code is compiled for: libraries that detect none at run time have no
/// others.
fn target() -> &'static str {
    if cfg!(target_feature = "avx512f") {
        "AVX-512"
    } else if cfg!(target_feature = "avx2") {
        "AVX2"
    } else {
        BASELINE
    }
}

/// Returns the largest relative difference of results, and fails if it is above `limit`.
pub(crate) fn difference(work: &str, name: &str, ours: &[f64], theirs: &[f64], limit: f64) -> f64 {
    assert_eq!(ours.len(), theirs.len(), "{work}: {name} has another number of results");
    let relative = |(x, y): (&f64, &f64)| (x - y).abs() / x.abs().max(f64::MIN_POSITIVE);
    let largest = ours.iter().zip(theirs).map(relative).fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a });
    assert!(largest <= limit, "{work}: results of {name} differ by {largest:e}, relative to those of mantex");
    largest
}
