//! Clocks. Both sides of a comparison are timed in turns, because ratios of times drift much less
//! than times.

use std::ops::{Div, Mul};
use std::time::{Duration, Instant};

/// The time for which short work is repeated: long enough for the clock, short enough for many
/// rounds.
pub(crate) const SHORT: Duration = Duration::from_millis(2);

/// No repetition: for work that takes milliseconds.
pub(crate) const ONCE: Duration = Duration::ZERO;

/// Returns the seconds that `work` takes: the mean over at least one call and at least the time
/// `at_least`.
pub(crate) fn seconds(at_least: Duration, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut calls = 0;
    while calls == 0 || start.elapsed() < at_least {
        work();
        calls += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(calls)
}

/// Times `count` pieces of work in `rounds` rounds, in each of which every piece has its turn.
///
/// `time` times the piece with the given index. Returns the times of each piece, one per round; a
/// round before these warms up and does not count.
pub(crate) fn interleaved(rounds: usize, count: usize, mut time: impl FnMut(usize) -> f64) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::new(); count];
    for round in 0..=rounds {
        for (piece, times) in times.iter_mut().enumerate() {
            let seconds = time(piece);
            if round > 0 {
                times.push(seconds);
            }
        }
    }
    times
}

/// The times of one piece of work, or another quantity that was measured in several rounds.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) median: f64,
    /// The quartiles around the median, if there was more than one round.
    pub(crate) quartiles: Option<[f64; 2]>,
    pub(crate) rounds: usize,
}

impl Sample {
    /// Summarizes one value per round.
    pub(crate) fn new(values: &[f64]) -> Self {
        let quartiles = (values.len() > 1).then(|| [quantile(values, 0.25), quantile(values, 0.75)]);
        Self { median: quantile(values, 0.5), quartiles, rounds: values.len() }
    }

    /// Half the distance between the quartiles; 0 after one round.
    pub(crate) fn spread(self) -> f64 {
        self.quartiles.map_or(0.0, |[low, high]| (high - low) / 2.0)
    }
}

/// A quantity that was measured once.
impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self::new(&[value])
    }
}

/// The quantity in a unit that is smaller by this factor, which is positive.
impl Mul<f64> for Sample {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        let quartiles = self.quartiles.map(|quartiles| quartiles.map(|quartile| quartile * factor));
        Self { median: self.median * factor, quartiles, ..self }
    }
}

/// The ratio of two medians.
impl Div for Sample {
    type Output = f64;

    fn div(self, other: Self) -> f64 {
        self.median / other.median
    }
}

/// Summarizes the times of each piece of work.
pub(crate) fn samples(times: &[Vec<f64>]) -> Vec<Sample> {
    times.iter().map(|times| Sample::new(times)).collect()
}

/// Summarizes how much longer `long` takes than `short` in the same round; at least 0.
pub(crate) fn difference(long: &[f64], short: &[f64]) -> Sample {
    Sample::new(&long.iter().zip(short).map(|(long, short)| (long - short).max(0.0)).collect::<Vec<_>>())
}

fn quantile(times: &[f64], q: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * q).round() as usize]
}
