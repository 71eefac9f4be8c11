//! Natural logarithms as (exponent, remainder), and logarithms to base 2.
//!
//! `ln(m * 2^e) = e * ln 2 + ln(1 + f)` with m in [sqrt(1/2), sqrt(2)) and f = m - 1, and with
//! `s = f / (2 + f)` and `z = s^2` the second term is `f - s (f - z R(z))` (fdlibm, e_log.c).

// Coefficients are written with the digits that make them exact.
#![allow(clippy::excessive_precision)]

use super::polynomial::{estrin, horner};
use crate::kernels::lanes::{Float, Lanes, split_exponent};

/// The leading 33 bits of ln 2: products with integers below 2^20 are exact (fdlibm, e_log.c).
pub(crate) const LN2_HI33: f64 = 6.931_471_803_691_238e-1;
/// ln 2 - LN2_HI33.
pub(crate) const LN2_LO33: f64 = 1.908_214_929_270_587_7e-10;

/// Coefficients of R(z) in `ln((1 + s) / (1 - s)) = 2 s + s z R(z)`, z = s^2, for `f32`.
///
/// Sollya's `fpminimax((log((1 + sqrt(x))/(1 - sqrt(x)))/sqrt(x) - 2)/x, 2 or 6, [|SG...|] or
/// [|D...|], [1e-30;r], absolute)` with `r = 1.001 * ((sqrt(2) - 1)/(sqrt(2) + 1))^2`. Bounds of
/// the logarithm's absolute error, by `dirtyinfnorm` of the difference: 9.4e-10 (f32) and 1.6e-18
/// (f64).
const F32_LN: [f64; 3] = [0.666_666_87_f32 as f64, 0.399_885_33_f32 as f64, 0.295_875_f32 as f64];

/// [`F32_LN`] for `f64`.
const F64_LN: [f64; 7] = [
    0.666_666_666_666_666_96,
    0.399_999_999_998_990_4,
    0.285_714_286_263_391_74,
    0.222_222_110_680_798_92,
    0.181_828_941_521_629_3,
    0.153_315_535_907_106_92,
    0.146_185_138_030_996_17,
];

/// `ln(x) = e * ln 2 + r` as (e, r), for positive normal numbers; the result for others is
/// unspecified. `e` is an integer, and |r| <= ln(2)/2 with an error of at most 2 ulp.
#[inline(always)]
pub(crate) fn ln<L: Lanes<T>, T: Float>(l: L, x: L::V) -> (L::V, L::V) {
    let (m, e) = l.split_exponent(x);
    let one = l.splat(T::ONE);
    let f = l.quiet_sub(m, one);
    let s = l.quiet_div(f, l.quiet_add(m, one));
    let z = l.quiet_mul(s, s);
    let coefficients = if T::EPSILON > f64::EPSILON { &F32_LN[..] } else { &F64_LN[..] };
    let mut c = [one; F64_LN.len()];
    for (c, &x) in c.iter_mut().zip(coefficients) {
        *c = l.splat(T::from_f64(x));
    }
    let r = l.quiet_mul(z, horner(l, z, &c[..coefficients.len()]));
    (e, l.quiet_neg_mul_add(s, l.quiet_sub(f, r), f))
}

/// Coefficients of P(f) in `ln(1 + f) = f + f^2 P(f)` with f from sqrt(1/2) - 1 to sqrt(2) - 1, for
/// results of type `f32`. Without a division, the result is ready sooner.
///
/// Sollya's `fpminimax((log1p(x) - x)/x^2, 11, [|D...|], [sqrt(1/2) - 1; sqrt(2) - 1], absolute)`.
/// The relative error of the logarithm is at most 4.8e-11 (`dirtyinfnorm`), or 0.0008 ulp of `f32`.
const DIVISIONLESS_LN: [f64; 12] = [
    -0.500_000_000_016_754_3,
    0.333_333_336_568_361_9,
    -0.249_999_990_986_282_78,
    0.199_999_358_904_231_4,
    -0.166_667_070_334_076_7,
    0.142_893_170_044_430_97,
    -0.125_017_318_171_389_28,
    0.110_284_282_178_180_13,
    -0.098_924_485_455_101_6,
    0.098_859_855_674_656_9,
    -0.099_664_381_747_197_63,
    0.056_793_061_128_450_006,
];

/// Natural logarithm of `m` in [sqrt(1/2), sqrt(2)], with an error below one ulp:
/// `f - f^2/2 + s (f^2/2 + R(s^2))` with the minimax polynomial R of fdlibm's e_log.c.
#[inline(always)]
pub(crate) fn ln_mantissa(m: f64) -> f64 {
    ln_mantissa_plus(pulp::Scalar, m, 0.0)
}

/// [`ln_mantissa`] plus a small number.
#[inline(always)]
fn ln_mantissa_plus<L: Lanes<f64>>(l: L, m: L::V, small: L::V) -> L::V {
    /// The coefficients of R(z) / z, constant first.
    const R: [f64; 7] = [
        6.666_666_666_666_735e-1,
        3.999_999_999_940_942e-1,
        2.857_142_874_366_239e-1,
        2.222_219_843_214_978_4e-1,
        1.818_357_216_161_805e-1,
        1.531_383_769_920_937_3e-1,
        1.479_819_860_511_658_6e-1,
    ];
    let f = l.quiet_sub(m, l.splat(1.0));
    let mut c = [m; R.len()];
    for (c, &x) in c.iter_mut().zip(&R) {
        *c = l.splat(x);
    }
    let s = l.quiet_div(f, l.quiet_add(l.splat(2.0), f));
    let z = l.quiet_mul(s, s);
    let r = l.quiet_mul(z, horner(l, z, &c));
    let half = l.quiet_mul(l.quiet_mul(l.splat(0.5), f), f);
    let rest = l.quiet_neg_mul_add(s, l.quiet_add(half, r), half);
    l.quiet_sub(f, l.quiet_sub(rest, small))
}

/// `ln(m * 2^e) + small` for `m` in [sqrt(1/2), sqrt(2)] and a small number, as an unevaluated sum
/// (high, low). If `T` is `f32`, `low` is 0, and otherwise `high` is exact.
#[inline(always)]
fn ln_split<L: Lanes<f64>, T: Float>(l: L, (m, e): (L::V, L::V), small: L::V) -> (L::V, L::V) {
    if T::EPSILON == f64::EPSILON {
        let small = l.quiet_mul_add(e, l.splat(LN2_LO33), small);
        return (l.quiet_mul(e, l.splat(LN2_HI33)), ln_mantissa_plus(l, m, small));
    }
    let f = l.quiet_sub(m, l.splat(1.0));
    let mut c = [f; DIVISIONLESS_LN.len()];
    for (c, &x) in c.iter_mut().zip(&DIVISIONLESS_LN) {
        *c = l.splat(x);
    }
    // The polynomial takes longest: the other terms are added while it is evaluated.
    let rest = l.quiet_add(l.quiet_mul_add(e, l.splat(core::f64::consts::LN_2), f), small);
    let square = l.quiet_mul(f, f);
    (l.quiet_mul_add(square, estrin(l, f, square, &c), rest), l.splat(0.0))
}

/// Natural logarithm of `(x + low) * 2^exponent` as an unevaluated sum (high, low), for normal `x`;
/// `low` is about an ulp of `x` at most. If `T` is `f32`, both low parts are too small to count,
/// and that of the result is 0. Otherwise `high` of the result is exact.
#[inline(always)]
pub(crate) fn ln_parts<L: Lanes<f64>, T: Float>(l: L, x: L::V, low: L::V, exponent: L::V) -> (L::V, L::V) {
    let (m, e) = l.split_exponent(x);
    let small = if T::EPSILON == f64::EPSILON { l.quiet_div(low, x) } else { l.splat(0.0) };
    ln_split::<_, T>(l, (m, l.quiet_add(e, exponent)), small)
}

/// `ln(1 + s + low)` for `s` from 0 to 2^1000 and `low` of at most an ulp of `s`, within 1 ulp of
/// `T`.
///
/// `1 + s` is rounded; with its rounding error r, `ln(1 + s) = ln(u) + ln(1 + r / u)`. If `T` is
/// `f32`, r counts only if u is near 1.
#[inline(always)]
pub(crate) fn ln_1p<L: Lanes<f64>, T: Float>(l: L, s: L::V, low: L::V) -> L::V {
    let one = l.splat(1.0);
    let u = l.quiet_add(one, s);
    let is_small = l.lt(s, one);
    let (lead, rest) = (l.select(is_small, one, s), l.select(is_small, s, one));
    let mut r = l.quiet_sub(rest, l.quiet_sub(u, lead));
    if T::EPSILON == f64::EPSILON {
        r = l.quiet_div(l.quiet_add(r, low), u);
    }
    let (high, low) = ln_split::<_, T>(l, l.split_exponent(u), r);
    if T::EPSILON == f64::EPSILON { l.quiet_add(high, low) } else { high }
}

/// Logarithm to base 2 of a positive finite number.
#[inline(always)]
pub(crate) fn log2(x: f64) -> f64 {
    let (m, e) = split_exponent(x);
    e + ln_mantissa(m) * core::f64::consts::LOG2_E
}

/// Replaces each number by its logarithm to base 2; all numbers are positive and normal.
#[inline(always)]
pub(crate) fn log2_each<L: Lanes<f64>>(l: L, x: &mut [f64]) {
    let log2_e = l.splat(core::f64::consts::LOG2_E);
    for x in x.chunks_mut(L::N) {
        let (e, r) = ln::<L, f64>(l, l.load_tail(x, 1.0));
        l.store_tail(x, l.mul_add(r, log2_e, e));
    }
}
