//! The kinds of finite rows that every accuracy test of the softmax family visits.

use super::{
    data::{normal, ramp, uniform},
    float::Float,
};
use rand::RngExt;
use rand::rngs::StdRng;

/// The length of a row that is read twice and written past the caches, as rows of 4 times the size
/// of the last-level cache are on every instruction set; the cache is taken to have 4 MiB.
pub(crate) fn streamed_length<T>() -> usize {
    mantex::baselines::set_cache_bytes(4 << 20);
    (16 << 20) / size_of::<T>() + 37
}

/// The kinds of finite rows every accuracy test goes through.
pub(crate) const KINDS: [&str; 33] = [
    "normal, scale 0.1",
    "normal, scale 1",
    "normal, scale 10",
    "normal, scale 100",
    "normal, scale 1000",
    "uniform in 0..1",
    "uniform in -87..0",
    "all zero",
    "all 0.7",
    "all -123.4",
    "all 1e6 + 0.3",
    "ascending by 600",
    "descending by 600",
    "ascending by 60000",
    "descending by 60000",
    "one hot",
    "one cold",
    "offset 1e6",
    "offset -1e6",
    "around 32768",
    "around -32768",
    "from 32700 past 32768",
    "both sides of 32768",
    "1e7 with both signs",
    "largest with both signs",
    "largest, all",
    "lowest, all",
    "large and moderate",
    "subnormal",
    "late 40",
    "late 500",
    "late huge",
    "a step up per block",
];

/// A row of the given kind.
pub(crate) fn row<T: Float>(kind: &str, len: usize, rng: &mut StdRng) -> Vec<T> {
    let large = T::LARGEST.wide();
    let signs = |size: f64, rng: &mut StdRng| -> Vec<T> {
        (0..len).map(|_| T::of(if rng.random::<bool>() { size } else { -size })).collect()
    };
    let late = |value: f64, rng: &mut StdRng| -> Vec<T> {
        // In the last tenth, past the first few blocks of a long row.
        let mut x = normal(len, 1.0, 0.0, rng);
        if len > 0 {
            x[len - 1 - len / 10] = T::of(value);
        }
        x
    };
    match kind {
        "normal, scale 0.1" => normal(len, 0.1, 0.0, rng),
        "normal, scale 1" => normal(len, 1.0, 0.0, rng),
        "normal, scale 10" => normal(len, 10.0, 0.0, rng),
        "normal, scale 100" => normal(len, 100.0, 0.0, rng),
        "normal, scale 1000" => normal(len, 1000.0, 0.0, rng),
        "uniform in 0..1" => uniform(len, 0.0, 1.0, rng),
        "uniform in -87..0" => uniform(len, -87.0, 0.0, rng),
        "all zero" => vec![T::of(0.0); len],
        "all 0.7" => vec![T::of(0.7); len],
        "all -123.4" => vec![T::of(-123.4); len],
        "all 1e6 + 0.3" => vec![T::of(1e6 + 0.3); len],
        "ascending by 600" => ramp(len, -300.0, 300.0),
        "descending by 600" => ramp(len, 300.0, -300.0),
        "ascending by 60000" => ramp(len, -30000.0, 30000.0),
        "descending by 60000" => ramp(len, 30000.0, -30000.0),
        "one hot" | "one cold" => {
            let mut x = vec![T::of(1.25); len];
            if len > 0 {
                x[len / 2] = T::of(if kind == "one hot" { 20.0 } else { -20.0 });
            }
            x
        }
        "offset 1e6" => normal(len, 3.0, 1e6, rng),
        "offset -1e6" => normal(len, 3.0, -1e6, rng),
        "around 32768" => uniform(len, 32765.0, 32771.0, rng),
        "around -32768" => uniform(len, -32771.0, -32765.0, rng),
        "from 32700 past 32768" => ramp(len, 32700.0, 32830.0),
        "both sides of 32768" => (0..len).map(|i| T::of(if i % 3 == 1 { 32768.5 } else { 32767.25 })).collect(),
        "1e7 with both signs" => signs(1e7, rng),
        "largest with both signs" => signs(large / 1.1, rng),
        "largest, all" => vec![T::LARGEST; len],
        "lowest, all" => vec![T::of(-large); len],
        "large and moderate" => {
            (0..len).map(|_| T::of([0.5, -0.5, 1e7, -1e7, 1e7 + 1.0][rng.random_range(0..5)])).collect()
        }
        "subnormal" => (0..len).map(|i| T::of(T::TINIEST.wide() * (i % 7) as f64)).collect(),
        "late 40" => late(40.0, rng),
        "late 500" => late(500.0, rng),
        "late huge" => late(large / 2.0, rng),
        "a step up per block" => {
            (0..len).map(|i| T::of((i / 512) as f64 * 37.7 + rng.random_range(-2.0..2.0))).collect()
        }
        _ => panic!("no kind of row is called {kind}"),
    }
}
