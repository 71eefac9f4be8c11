//! The schemes of the exponential: table sizes, exponents, polynomials.
//!
//! The polynomials are `fpminimax((expm1(x))/x, n, [|SG...|] or [|D...|], [-r;r], absolute)` of
//! sollya 8.0 with `r = 1.001 * ln 2 / 2^(b+1)`, and of `(2^x - 1)/x` with `r = 1.001 / 2^(b+1)`.
//! The bounds are its `dirtyinfnorm((1 + x*p)/exp(x) - 1, [-r;r])`: relative errors of the
//! approximation alone, first for `expm1`, then for `exp2m1`.

// Coefficients are written with the digits that make them exact, also where one is close to ln 2.
#![allow(clippy::approx_constant, clippy::excessive_precision)]

/// The way in which an instruction set computes `e^x = 2^(k / 2^bits) * e^t`. A table of `2^bits`
/// powers of two in registers makes the remainder `t` small, and its polynomial short.
#[derive(Clone, Copy)]
pub(crate) struct ExpScheme<T: 'static> {
    /// log2 of the number of table entries; 0 means no table.
    pub(super) bits: u32,
    /// An offset of the exponent: the bias of the format if integer arithmetic makes the exponent.
    pub(super) bias: f64,
    /// The exponent, relative to the base, at and below which the result is 0.
    pub(crate) lowest: f64,
    /// The exponent, relative to the base, above which arguments are clamped.
    pub(super) highest: f64,
    /// Coefficients of (e^t - 1)/t, constant first.
    pub(super) expm1: &'static [T],
    /// Coefficients of (2^t - 1)/t, constant first.
    pub(super) exp2m1: &'static [T],
}

// new ISA: its cfg at the scheme that it takes, or a scheme of its own.
/// f32, no table, exponent by integer arithmetic (scalar, NEON). Bounds 6.3e-9 and 6.1e-9.
pub(super) const F32_INTEGER: ExpScheme<f32> = ExpScheme {
    bits: 0,
    bias: 127.0,
    lowest: -126.9,
    highest: 127.4,
    expm1: &[1.0, 0.5, 0.166_665_405, 4.166_645e-2, 8.366_838e-3, 1.393_618_1e-3],
    exp2m1: &[0.693_147_2, 0.240_226_5, 5.550_366e-2, 9.618_077e-3, 1.338_81e-3, 1.545_644_6e-4],
};

/// f32, table of 8, exponent by integer arithmetic (AVX2). Bounds 3.9e-8 and 3.9e-8.
#[cfg(mantex_avx2)]
pub(super) const F32_TABLE8: ExpScheme<f32> = ExpScheme {
    bits: 3,
    lowest: -127.0,
    expm1: &[1.0, 0.500_058_77, 0.166_681_04],
    exp2m1: &[0.693_147_2, 0.240_254_74, 5.550_824_5e-2],
    ..F32_INTEGER
};

/// f32, table of 16, exponent by `scalef` (AVX-512). Bounds 2.4e-9 and 2.4e-9.
///
/// The last coefficient of `expm1` is one unit in the last place below sollya's. With sollya's, an
/// overflow was lost without a clamp: e^237645230 was 0. With this one none is.
#[cfg(mantex_avx512)]
pub(super) const F32_TABLE16: ExpScheme<f32> = ExpScheme {
    bits: 4,
    bias: 0.0,
    lowest: -200.0,
    highest: 200.0,
    expm1: &[1.0, 0.500_014_66, 0.166_670_25],
    exp2m1: &[0.693_147_2, 0.240_233_57, 5.550_271e-2],
};

/// f64, no table, exponent by integer arithmetic (scalar, NEON, AVX2). Bounds 8.9e-18 and 1.1e-17.
pub(super) const F64_INTEGER: ExpScheme<f64> = ExpScheme {
    bits: 0,
    bias: 1023.0,
    lowest: -1022.9,
    highest: 1023.4,
    expm1: &[
        1.0,
        0.500_000_000_000_000_55,
        0.166_666_666_666_666_82,
        4.166_666_666_657_336_4e-2,
        8.333_333_333_316_945e-3,
        1.388_888_893_250_903_2e-3,
        1.984_126_989_788_031e-4,
        2.480_150_425_238_118_9e-5,
        2.755_723_257_769_326_3e-6,
        2.762_641_474_879_001_6e-7,
        2.511_300_689_018_636e-8,
    ],
    exp2m1: &[
        0.693_147_180_559_945_3,
        0.240_226_506_959_100_97,
        5.550_410_866_482_348_4e-2,
        9.618_129_107_607_223e-3,
        1.333_355_814_598_813_6e-3,
        1.540_353_044_141_968_5e-4,
        1.525_273_422_544_796_5e-5,
        1.321_544_269_778_872e-6,
        1.017_790_315_214_963_8e-7,
        7.072_574_509_409_839e-9,
        4.478_244_497_885_33e-10,
    ],
};

/// f64, table of 16, exponent by `scalef` (AVX-512). Bounds 1.5e-17 and 1.5e-17.
#[cfg(mantex_avx512)]
pub(super) const F64_TABLE16: ExpScheme<f64> = ExpScheme {
    bits: 4,
    bias: 0.0,
    lowest: -1200.0,
    highest: 1200.0,
    expm1: &[
        1.000_000_000_000_000_7,
        0.500_000_000_000_000_4,
        0.166_666_666_641_812_8,
        4.166_666_666_042_415e-2,
        8.333_473_570_639_533e-3,
        1.388_911_802_543_167_8e-3,
    ],
    exp2m1: &[
        0.693_147_180_559_945_7,
        0.240_226_506_959_100_94,
        5.550_410_865_671_153e-2,
        9.618_129_106_127_568e-3,
        1.333_378_116_537_248_7e-3,
        1.540_378_891_310_345_5e-4,
    ],
};

/// 2^(i/16), rounded to nearest.
#[cfg(any(mantex_avx2, mantex_avx512))]
pub(super) const POWERS_OF_TWO_16: [f64; 16] = [
    1.0,
    1.044_273_782_427_413_8,
    1.090_507_732_665_257_7,
    1.138_788_634_756_691_6,
    1.189_207_115_002_721,
    1.241_857_812_073_484,
    1.296_839_554_651_009_6,
    1.354_255_546_936_892_7,
    core::f64::consts::SQRT_2,
    1.476_826_145_939_499_3,
    1.542_210_825_407_940_7,
    1.610_490_331_949_254_3,
    1.681_792_830_507_429,
    1.756_252_160_373_299_5,
    1.834_008_086_409_342_4,
    1.915_206_561_397_147_4,
];
