//! Softmax, log-softmax and log-sum-exp of many random rows of awkward classes, within the
//! contract's bounds.

use crate::support::{
    data::{normal, rng},
    double_double::power_of_two,
    float::Float,
    for_both_types,
    guarded::LANES,
    isas::{isas, small_cases},
    reference::Reference,
    report::Report,
    softmax::{check_outputs, run_row},
    ulp::ulp,
};
use rand::RngExt;
use rand::rngs::StdRng;

for_both_types! {
    huge
    tiny
    subnormal
    infinities
    constant
    sorted
    one_hot
}

/// Rows of 1 to 70 elements, one in a hundred of 300; one reference for all instruction sets.
fn check_rows<T: Float>(class: &str, seed: u64, row: impl Fn(usize, &mut StdRng) -> Vec<T>) {
    let (isas, mut rng) = (isas(), rng(seed));
    let rows = if small_cases() { 200 } else { 10_000 };
    Report::run(class, |report| {
        for i in 0..rows {
            let n = if i % 100 == 99 { 300 } else { rng.random_range(1..=70) };
            let x = row(n, &mut rng);
            let reference = Reference::new(&x);
            let name = format!("{class}, row {i}");
            for &isa in &isas {
                check_outputs(report, isa, &name, &x, &reference, &run_row(isa, &x, i % LANES));
            }
        }
    });
}

/// `size`, or its negative.
fn signed<T: Float>(size: f64, rng: &mut StdRng) -> T {
    T::of(if rng.random::<bool>() { size } else { -size })
}

/// A finite number of any exponent in the range, in powers of two.
fn between<T: Float>(low: i32, high: i32, rng: &mut StdRng) -> T {
    let power = power_of_two(rng.random_range(low..high));
    signed(power * rng.random_range(1.0..2.0), rng)
}

/// The largest exponent of a finite number, and one more.
fn exponents<T: Float>() -> i32 {
    2 - T::MIN_EXPONENT
}

/// From 2^15 on, where rows need a shift: any exponents, or neighbors of one number.
fn huge<T: Float>() {
    check_rows::<T>("huge", 31, |n, rng| {
        let around = between::<T>(15, exponents::<T>() - 1, rng).wide();
        let neighbors = rng.random::<bool>();
        (0..n)
            .map(|_| match rng.random_range(0..20) {
                0 => signed(T::LARGEST.wide(), rng),
                _ if neighbors => T::of(around + f64::from(rng.random_range(-40..=40)) * ulp::<T>(around)),
                _ => between(15, exponents::<T>(), rng),
            })
            .collect()
    });
}

fn tiny<T: Float>() {
    check_rows::<T>("tiny", 32, |n, rng| (0..n).map(|_| between(T::MIN_EXPONENT, -40, rng)).collect());
}

/// Alone, with zeros of both signs, and in one row of three beside ordinary numbers.
fn subnormal<T: Float>() {
    check_rows::<T>("subnormal", 33, |n, rng| {
        let ordinary = rng.random_range(0..3) == 0;
        (0..n)
            .map(|_| match rng.random_range(0..8) {
                0 => signed(0.0, rng),
                1..4 if ordinary => T::of(rng.random_range(-20.0..20.0)),
                _ => {
                    let bits = rng.random_range(1..1_u64 << (T::DIGITS - 1));
                    signed(T::from_low_bits(bits).wide(), rng)
                }
            })
            .collect()
    });
}

/// Of one sign or both, rare or frequent, among ordinary or huge numbers.
fn infinities<T: Float>() {
    check_rows::<T>("infinities", 34, |n, rng| {
        let mut x = if rng.random::<bool>() {
            normal::<T>(n, 10.0, 0.0, rng)
        } else {
            normal(n, T::LARGEST.wide() / 16.0, 0.0, rng)
        };
        let share = [0.02, 0.3, 0.9, 1.0][rng.random_range(0..4)];
        // Half of the rows have no +inf, which leaves nothing else to see.
        let positive = [0.0, 0.0, 0.5, 1.0][rng.random_range(0..4)];
        for x in &mut x {
            if rng.random_bool(share) {
                *x = T::of(if rng.random_bool(positive) { f64::INFINITY } else { f64::NEG_INFINITY });
            }
        }
        x
    });
}

/// Of any size.
fn constant<T: Float>() {
    check_rows::<T>("constant", 35, |n, rng| vec![between(T::MIN_EXPONENT, exponents::<T>(), rng); n]);
}

/// Ascending or descending, by little or by much.
fn sorted<T: Float>() {
    check_rows::<T>("sorted", 36, |n, rng| {
        let (scale, offset) = (10.0_f64.powf(rng.random_range(-3.0..5.0)), rng.random_range(-1000.0..1000.0));
        let mut x = normal::<T>(n, scale, offset, rng);
        x.sort_by(|a, b| a.wide().total_cmp(&b.wide()));
        if rng.random::<bool>() {
            x.reverse();
        }
        x
    });
}

/// One huge value of either sign, anywhere in the row.
fn one_hot<T: Float>() {
    check_rows::<T>("one hot", 37, |n, rng| {
        let scale = [0.0, 1.0, 50.0][rng.random_range(0..3)];
        let mut x = normal::<T>(n, scale, 0.0, rng);
        let at = rng.random_range(0..n);
        x[at] = between(4, exponents::<T>(), rng);
        x
    });
}
