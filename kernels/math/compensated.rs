//! Sums and products that keep their rounding error, for vectors and for `f64`.
//!
//! An accumulator is a pair (high, low): `high` is the rounded sum so far and `low` the sum of its
//! rounding errors. See Dekker 1971 and Knuth, The Art of Computer Programming, section 4.2.2.

use crate::kernels::lanes::{Float, Lanes, MAX_LANES, WideLanes};

/// `a + b` as (rounded sum, its rounding error), for all `a` and `b` (Knuth's two-sum).
#[inline(always)]
pub(crate) fn two_sum<T: Float>(a: T, b: T) -> (T, T) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// `a + b` as (rounded sum, its rounding error) if |a| >= |b| (Dekker's fast two-sum).
#[inline(always)]
pub(crate) fn fast_two_sum<T: Float>(a: T, b: T) -> (T, T) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// Adds `x` to an accumulator, for numbers of any size and sign: [`two_sum`] of vectors.
#[inline(always)]
pub(crate) fn add_two_sum<L: Lanes<T>, T: Float>(l: L, (high, low): (L::V, L::V), x: L::V) -> (L::V, L::V) {
    let sum = l.quiet_add(high, x);
    let part = l.quiet_sub(sum, high);
    let error = l.quiet_add(l.quiet_sub(high, l.quiet_sub(sum, part)), l.quiet_sub(x, part));
    (sum, l.quiet_add(low, error))
}

/// Adds `x` to an accumulator of numbers that are not negative: [`fast_two_sum`] of vectors.
///
/// If `x` is larger than `high` the error itself is rounded, to half an ulp of `x`. A sum of
/// numbers that are not negative at least doubles whenever that happens, so all such errors
/// together are below one ulp of it.
#[inline(always)]
pub(crate) fn add_fast_two_sum<L: Lanes<T>, T: Float>(l: L, (high, low): (L::V, L::V), x: L::V) -> (L::V, L::V) {
    let sum = l.quiet_add(high, x);
    (sum, l.quiet_add(low, l.quiet_sub(x, l.quiet_sub(sum, high))))
}

/// The sum of all lanes of an accumulator, as an accumulator of `f64`. Lanes of `f32` are added in
/// `f64`, lanes of `f64` by [`two_sum`].
#[inline(always)]
pub(crate) fn reduce_accumulator<L: WideLanes<T>, T: Float>(l: L, high: L::V, low: L::V) -> (f64, f64) {
    if T::EPSILON > f64::EPSILON {
        return (l.reduce_sum_wide(l.add_wide(l.widen(high), l.widen(low))), 0.0);
    }
    let mut sums = l.to_array(high);
    let mut errors = l.to_array(low);
    let mut n = L::N;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            let (sum, error) = two_sum(sums[i], sums[i + n]);
            errors[i] = errors[i] + errors[i + n] + error;
            sums[i] = sum;
        }
    }
    (sums[0].to_f64(), errors[0].to_f64())
}

/// The sums of the lanes of many accumulators: the first `n`, rounded up to whole vectors. The
/// accumulators are overwritten. Those of `f32` ([`WideLanes::to_double`]) have no errors.
///
/// Lane i is added to lane i + n / 2 of n lanes, so that the sum of an accumulator does not depend
/// on its place.
#[inline(always)]
pub(crate) fn reduce_accumulators<D: Lanes<f64>, T: Float>(
    d: D,
    (highs, lows): (&mut [D::V; MAX_LANES], &mut [D::V; MAX_LANES]),
    n: usize,
) -> ([f64; MAX_LANES], [f64; MAX_LANES]) {
    let (mut sums, mut errors) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
    for at in (0..n).step_by(D::N) {
        let (highs, lows) = (&mut highs[at..at + D::N], &mut lows[at..at + D::N]);
        let mut n = D::N;
        while n > 1 {
            n /= 2;
            for i in 0..n {
                let (a, b) = d.interleave(highs[i], highs[i + n]);
                if T::EPSILON > f64::EPSILON {
                    highs[i] = d.quiet_add(a, b);
                } else {
                    let (a_low, b_low) = d.interleave(lows[i], lows[i + n]);
                    (highs[i], lows[i]) = add_two_sum(d, (a, d.quiet_add(a_low, b_low)), b);
                }
            }
        }
        d.store(&mut sums[at..], highs[0]);
        if T::EPSILON == f64::EPSILON {
            d.store(&mut errors[at..], lows[0]);
        }
    }
    (sums, errors)
}
