//! Clocks. Both sides of a comparison are timed in turns, because ratios of times drift much less
//! than times.

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

/// Returns the median of each piece's times.
pub(crate) fn medians(times: &[Vec<f64>]) -> Vec<f64> {
    times.iter().map(|times| median(times)).collect()
}

/// Returns the median of the times.
pub(crate) fn median(times: &[f64]) -> f64 {
    quantile(times, 0.5)
}

/// Returns half the distance between the quartiles.
pub(crate) fn spread(times: &[f64]) -> f64 {
    (quantile(times, 0.75) - quantile(times, 0.25)) / 2.0
}

fn quantile(times: &[f64], q: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * q).round() as usize]
}
