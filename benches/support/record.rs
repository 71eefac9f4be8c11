//! A record of one measured piece of work, or of one comparison.

use super::json::{NULL, number, object, string};
use super::machine::Machine;
use super::timing::Sample;
use std::fmt::Write as _;

/// One measurement, and the reference that it was compared with.
pub(crate) struct Record {
    work: String,
    peer: Option<String>,
    value: Option<(Sample, &'static str)>,
    ratio: Option<(f64, &'static str)>,
    details: Vec<(&'static str, f64)>,
}

impl Record {
    /// A record of the work with this id, for example `softmax/f32/avx512/n=4096`.
    pub(crate) fn new(work: impl Into<String>) -> Self {
        Self { work: work.into(), peer: None, value: None, ratio: None, details: Vec::new() }
    }

    /// Sets the name and the version of another library that did the work.
    pub(crate) fn peer(self, peer: impl Into<String>) -> Self {
        Self { peer: Some(peer.into()), ..self }
    }

    /// Sets the measured quantity and its unit.
    pub(crate) fn value(self, value: impl Into<Sample>, unit: &'static str) -> Self {
        Self { value: Some((value.into(), unit)), ..self }
    }

    /// Sets the comparison: the quantity is `ratio` times `of`, for example 1.5 times "the time of
    /// summing exp". The ratio is NaN if there is none, because the work was not done.
    pub(crate) fn ratio(self, ratio: f64, of: &'static str) -> Self {
        Self { ratio: Some((ratio, of)), ..self }
    }

    /// Adds another number that belongs to the measurement.
    pub(crate) fn detail(mut self, name: &'static str, value: f64) -> Self {
        self.details.push((name, value));
        self
    }

    /// Returns the record as a line of a table for people.
    pub(crate) fn text(&self) -> String {
        let peer = self.peer.as_ref().map_or(String::new(), |peer| format!(", {peer}"));
        let mut text = format!("{:<50}", format!("{}{peer}", self.work));
        let value = self.value.map_or(String::new(), |(value, unit)| format!("{} {unit}", number(value.median)));
        let _ = write!(text, " {value:<20}");
        if let Some((ratio, of)) = self.ratio {
            let _ = if ratio.is_nan() { write!(text, " not reached") } else { write!(text, " {ratio:>6.2} x {of}") };
        }
        for (i, &(name, value)) in self.details.iter().enumerate() {
            let _ = write!(text, "{}{name} {}", if i == 0 { "; " } else { ", " }, number(value));
        }
        text
    }

    /// Returns the record as a line of a file.
    pub(crate) fn json(&self, bench: &str, machine: &Machine) -> String {
        let (sample, unit) = self.value.unzip();
        let quartiles = sample.and_then(|sample| sample.quartiles);
        let quartiles = quartiles.map_or(NULL.into(), |[low, high]| format!("[{}, {}]", number(low), number(high)));
        let (ratio, of) = self.ratio.map_or((f64::NAN, NULL.into()), |(ratio, of)| (ratio, string(of)));
        let details: Vec<_> = self.details.iter().map(|&(name, value)| (name, number(value))).collect();
        object(&[
            ("bench", string(bench)),
            ("work", string(&self.work)),
            ("peer", self.peer.as_deref().map_or(NULL.into(), string)),
            ("value", sample.map_or(NULL.into(), |sample| number(sample.median))),
            ("unit", unit.map_or(NULL.into(), string)),
            ("quartiles", quartiles),
            ("rounds", sample.map_or(NULL.into(), |sample| sample.rounds.to_string())),
            ("ratio", number(ratio)),
            ("of", of),
            ("details", object(&details)),
            ("machine", machine.json()),
        ])
    }
}
