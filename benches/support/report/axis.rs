//! Axes: where values lie, and which of them have a label.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// The places of an axis, and those of its labels.
pub(crate) struct Axis {
    range: Range<f64>,
    labels: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (low, high): (i32, i32)) -> i32 {
        let share = (place - self.range.start) / (self.range.end - self.range.start);
        // Far away is as good as infinitely far, as the logarithm of 0 is.
        low + (share.clamp(-1.0, 2.0) * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.labels.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// The kind of an axis.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// From 0.
    Linear,
    /// Labels at powers of two: 1Ki is 1024.
    Log2,
    /// Labels at 1, 2 and 5 times powers of ten: 1k is 1000.
    Log10,
    /// Labels at fractions: 1 over small whole numbers.
    Fractions,
}

impl Scale {
    /// Returns where the value lies: its logarithm, except on [`Self::Linear`].
    pub(crate) fn place(self, value: f64) -> f64 {
        if self == Self::Linear { value } else { value.log2() }
    }

    /// Returns the value at a place.
    pub(crate) fn value(self, place: f64) -> f64 {
        if self == Self::Linear { place } else { place.exp2() }
    }

    /// Returns an axis for the positive ones of the values, with `labels` labels or fewer.
    pub(crate) fn axis(self, values: impl Iterator<Item = f64>, labels: usize) -> Axis {
        let range = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
        let (low, high) = values.filter(|value| *value > 0.0).fold((f64::INFINITY, 0.0), range);
        let candidates = match self {
            Self::Linear => {
                let step = step_below(high * 1.08 / labels as f64);
                let count = (high * 1.08 / step).floor() as usize;
                return Axis { range: 0.0..high * 1.08, labels: (0..=count).map(|i| i as f64 * step).collect() };
            }
            Self::Log2 => (-4..40).map(|log2| f64::from(log2).exp2()).collect::<Vec<f64>>(),
            Self::Log10 => {
                let all = |digit: f64| (-7..10).map(move |log10| digit * 10_f64.powi(log10));
                let mut all: Vec<f64> = [1.0, 2.0, 5.0].into_iter().flat_map(all).collect();
                all.sort_by(f64::total_cmp);
                if high / low > 100.0 {
                    all.retain(|x| (x.log10() - x.log10().round()).abs() < 1e-9)
                }
                all
            }
            Self::Fractions => [16.0, 12.0, 8.0, 4.0].map(|bytes: f64| bytes.recip()).into(),
        };
        let margin = if self == Self::Fractions { 1.25 } else { (high / low).powf(0.04).max(1.02) };
        let range = self.place(low / margin)..self.place(high * margin);
        let places: Vec<f64> = candidates.into_iter().map(|value| self.place(value)).collect();
        let inside: Vec<f64> = places.into_iter().filter(|place| range.contains(place)).collect();
        let every = inside.len().div_ceil(labels).max(1);
        Axis { range, labels: inside.into_iter().step_by(every).collect() }
    }

    /// Returns the text of the label at a place.
    pub(crate) fn label(self, place: f64) -> String {
        let value = self.value(place);
        match self {
            Self::Fractions => format!("1/{:.0}", value.recip()),
            Self::Log2 => with_suffix(value, 1024.0, ["", "Ki", "Mi", "Gi"]),
            Self::Linear | Self::Log10 if value < 1000.0 => trimmed(value),
            Self::Linear | Self::Log10 => with_suffix(value, 1000.0, ["", "k", "M", "G"]),
        }
    }
}

/// Returns the largest step of 1, 2 or 5 times a power of ten that gives at most the given one, or
/// the next one.
fn step_below(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough).unwrap_or(power)
}

fn with_suffix(value: f64, base: f64, suffixes: [&str; 4]) -> String {
    let power = (0..3).take_while(|power| value >= base.powi(power + 1)).count();
    format!("{}{}", trimmed(value / base.powi(power as i32)), suffixes[power])
}

/// Returns the number with at most three digits.
fn trimmed(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.0e}");
    }
    let decimals = if value >= 100.0 { 0 } else { 3_usize.saturating_sub(value.abs().max(1.0).log10() as usize) };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// Returns a number of bytes in KiB or MiB.
pub(crate) fn size(bytes: f64) -> String {
    let kib = bytes / 1024.0;
    if kib < 1024.0 { format!("{} KiB", trimmed(kib)) } else { format!("{} MiB", trimmed(kib / 1024.0)) }
}
