//! The exponential as mantissa * 2^exponent, and the few logarithms that the solvers need.
//!
//! `e^x = 2^(k/2^b) * e^t` with `k = rint(x * 2^b * log2 e)` and `t = x - k * ln 2 / 2^b`: the power of two splits into
//! an exponent and one of `2^b` table entries, and `e^t` is a short polynomial because `|t| <= ln 2 / 2^(b+1)`.
//! See Dukhan & Ablavatski 2020, section 4, for the pair; the table in registers is ours.
//!
//! The polynomials are `fpminimax((expm1(x))/x, n, [|SG...|] or [|D...|], [-r;r], absolute)` of sollya 8.0, with
//! `r = 1.001 * ln 2 / 2^(b+1)`, and `(2^x - 1)/x` on `r = 1.001 / 2^(b+1)`; the bounds are its
//! `dirtyinfnorm((1 + x*p)/exp(x) - 1, [-r;r])`: relative errors of the approximation alone.

// Coefficients are written with the digits that make them exact, also where one is close to ln 2.
#![allow(clippy::approx_constant, clippy::excessive_precision)]

use crate::kernels::lanes::{ExpScheme, Float, Lanes};

/// f32, no table, exponent by integer arithmetic (scalar, NEON). Bounds 6.3e-9 and 6.1e-9.
pub(crate) const F32_INTEGER: ExpScheme<f32> = ExpScheme {
    bits: 0,
    bias: 127.0,
    lowest: -126.9,
    highest: 127.4,
    expm1: &[1.0, 0.5, 0.166_665_405, 4.166_645e-2, 8.366_838e-3, 1.393_618_1e-3],
    exp2m1: &[0.693_147_2, 0.240_226_5, 5.550_366e-2, 9.618_077e-3, 1.338_81e-3, 1.545_644_6e-4],
};

/// f32, table of 8, exponent by integer arithmetic (AVX2). Bounds 3.9e-8 and 3.9e-8.
#[cfg(mantex_avx2)]
pub(crate) const F32_TABLE8: ExpScheme<f32> = ExpScheme {
    bits: 3,
    lowest: -127.0,
    expm1: &[1.0, 0.500_058_77, 0.166_681_04],
    exp2m1: &[0.693_147_2, 0.240_254_74, 5.550_824_5e-2],
    ..F32_INTEGER
};

/// f32, table of 16, exponent by `scalef` (AVX-512). Bounds 2.4e-9 and 2.4e-9. The last coefficient of `expm1` is one unit
/// smaller than sollya's: with that one, e^237645230 came out as 0 where arguments are not clamped, with this one no overflow is lost.
#[cfg(mantex_avx512)]
pub(crate) const F32_TABLE16: ExpScheme<f32> = ExpScheme {
    bits: 4,
    bias: 0.0,
    lowest: -200.0,
    highest: 200.0,
    expm1: &[1.0, 0.500_014_66, 0.166_670_25],
    exp2m1: &[0.693_147_2, 0.240_233_57, 5.550_271e-2],
};

/// f64, no table, exponent by integer arithmetic (scalar, NEON, AVX2). Bounds 8.9e-18 and 1.1e-17.
pub(crate) const F64_INTEGER: ExpScheme<f64> = ExpScheme {
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
pub(crate) const F64_TABLE16: ExpScheme<f64> = ExpScheme {
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
pub(crate) const POWERS_OF_TWO_16: [f64; 16] = [
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

/// What exponentials are taken relative to: results are `e^(x - shift) * 2^-exponent`.
///
/// Moderate arguments have `shift = 0` and are reduced exactly against an integer exponent. For huge ones the pair would
/// lose bits; there `shift` is an element of the row itself and the exponent 0: `x - shift` is exact wherever the result
/// is not negligible (Sterbenz: such x and shift are within a factor of two of each other).
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Base<T> {
    pub(crate) shift: T,
    pub(crate) exponent: f64,
}

impl<T: Float> Base<T> {
    /// No shift, no exponent: what rows of ordinary size are taken relative to.
    pub(crate) const PLAIN: Self = Self { shift: T::ZERO, exponent: 0.0 };

    /// The base for rows whose largest element is about `x` (finite).
    #[inline(always)]
    pub(crate) fn near(x: T) -> Self {
        // Up to 2^15 the argument reduction is good to far below an ulp in both types, and the shifted integers fit.
        let y = x.to_f64();
        if y.abs() < 32768.0 {
            // Never the plain base, which tells that a row needs no clamping: next to it 1 is as good.
            let exponent = rint(y * core::f64::consts::LOG2_E);
            Self { shift: T::ZERO, exponent: if exponent == 0.0 { 1.0 } else { exponent } }
        } else {
            Self { shift: x, exponent: 0.0 }
        }
    }

    /// Natural logarithm of `self / other` as an unevaluated sum: the first number is exact wherever `self` and `other`
    /// are near each other, the second is below 2^-16.
    #[inline(always)]
    pub(crate) fn ln_ratio(self, other: Self) -> (f64, f64) {
        let e = self.exponent - other.exponent;
        ((self.shift.to_f64() - other.shift.to_f64()) + e * LN2_HI33, e * LN2_LO33)
    }
}

/// What an exponential has to be ready for: only [`Base::PLAIN`], overflow being watched for ...
pub(crate) const PLAIN: u8 = 0;
/// ... bases without shift, on a row whose sum relative to [`Base::PLAIN`] was good ...
pub(crate) const BOUNDED: u8 = 1;
/// ... bases without shift ...
pub(crate) const MOVED: u8 = 2;
/// ... or any. Each is an instruction or two cheaper than the next, with the same result where it is good.
pub(crate) const SHIFTED: u8 = 3;

/// `e^(x - shift) * 2^-exponent`, for the vectors of one row: see [`Base`].
#[derive(Clone, Copy)]
pub(crate) struct Exp<L: Lanes<T>, T: Float> {
    shift: L::V,
    low: L::V,
    high: L::V,
    round: L::V,
    unbias: L::V,
    log2_e: L::V,
    ln2_high: L::V,
    ln2_low: L::V,
    coefficients: [L::V; COEFFICIENTS],
    table: L::Table,
}

/// Of the longest polynomial.
const COEFFICIENTS: usize = 11;

impl<L: Lanes<T>, T: Float> Exp<L, T> {
    #[inline(always)]
    pub(crate) fn new(l: L, base: Base<T>) -> Self {
        let e = base.exponent;
        let round = T::SHIFTER.to_f64() / (1_u64 << L::EXP.bits) as f64;
        Self {
            shift: l.splat(base.shift),
            low: l.splat(T::from_f64((e + L::EXP.lowest) * core::f64::consts::LN_2)),
            high: l.splat(T::from_f64((e + L::EXP.highest) * core::f64::consts::LN_2)),
            round: l.splat(T::from_f64(round - e + L::EXP.bias)),
            unbias: l.splat(T::from_f64(round + L::EXP.bias)),
            log2_e: l.splat(T::LOG2_E),
            ln2_high: l.splat(T::LN2_HI),
            ln2_low: l.splat(T::LN2_LO),
            coefficients: splats(l, L::EXP.expm1),
            table: l.exp_table(),
        }
    }

    /// The exponentials of `x`, in the mode that fits the base. Saturates at 0 (at or below the smallest normal number) and
    /// far above every sensible sum; NaN gives NaN.
    #[inline(always)]
    pub(crate) fn eval<const MODE: u8>(&self, l: L, x: L::V) -> L::V {
        let x = match MODE {
            PLAIN | BOUNDED => l.exp_clamp_low(x, self.low),
            MOVED => l.exp_clamp(x, self.low, self.high),
            _ => l.exp_clamp(l.sub(x, self.shift), self.low, self.high),
        };
        self.clamped::<MODE>(l, x).0
    }

    /// The exponentials of `x` relative to [`Base::PLAIN`], and what [`Lanes::record_exponent`] is to collect: where that turns
    /// out to have overflowed, the results are worthless.
    #[inline(always)]
    pub(crate) fn eval_recorded(&self, l: L, x: L::V) -> (L::V, L::V) {
        self.clamped::<PLAIN>(l, l.exp_clamp_low(x, self.low))
    }

    #[inline(always)]
    fn clamped<const MODE: u8>(&self, l: L, x: L::V) -> (L::V, L::V) {
        let shifted = l.mul_add(x, self.log2_e, self.round);
        let k = l.sub(shifted, self.round);
        let t = l.exp_reduce(x, k, self.ln2_high, self.ln2_low);
        // Where the first coefficient is 1, t itself is added last: its rounding errors are then those of t^2/2, an ulp
        // less in all where there is no fused multiply-add.
        let c = &self.coefficients[..L::EXP.expm1.len()];
        let p = if L::EXP.expm1[0] == T::ONE {
            let square = l.mul(t, t);
            l.mul_add(square, even_odd(l, t, square, &c[1..]), t)
        } else {
            l.mul(t, horner(l, t, c))
        };
        let exponent = if MODE == PLAIN { k } else { l.sub(shifted, self.unbias) };
        (l.exp_finish(self.table, shifted, exponent, p), shifted)
    }
}

/// `2^y` for arguments in base-2 units, where no argument reduction is needed at all.
#[derive(Clone, Copy)]
pub(crate) struct Exp2<L: Lanes<T>, T: Float> {
    low: L::V,
    high: L::V,
    round: L::V,
    unbias: L::V,
    coefficients: [L::V; COEFFICIENTS],
    table: L::Table,
}

impl<L: Lanes<T>, T: Float> Exp2<L, T> {
    #[inline(always)]
    pub(crate) fn new(l: L) -> Self {
        let round = T::SHIFTER.to_f64() / (1_u64 << L::EXP.bits) as f64;
        Self {
            low: l.splat(T::from_f64(L::EXP.lowest)),
            high: l.splat(T::from_f64(L::EXP.highest)),
            round: l.splat(T::from_f64(round + L::EXP.bias)),
            unbias: l.splat(T::from_f64(round + L::EXP.bias)),
            coefficients: splats(l, L::EXP.exp2m1),
            table: l.exp_table(),
        }
    }

    /// The powers of `y`. Saturates as [`Exp::eval`] does; NaN gives NaN.
    #[inline(always)]
    pub(crate) fn eval(&self, l: L, y: L::V) -> L::V {
        let y = l.exp2_clamp(y, self.low, self.high);
        // One rounding to a multiple of 2^-bits; the bias is an integer and does not change which.
        let shifted = l.add(y, self.round);
        let k = l.sub(shifted, self.unbias);
        let t = l.sub(y, k);
        let c = &self.coefficients[..L::EXP.exp2m1.len()];
        // For a long polynomial a shorter chain is worth one more product.
        let q = if c.len() > 8 { even_odd(l, t, l.mul(t, t), c) } else { horner(l, t, c) };
        l.exp_finish(self.table, shifted, k, l.mul(t, q))
    }
}

/// Each number in every lane.
#[inline(always)]
fn splats<L: Lanes<T>, T: Float>(l: L, numbers: &[T]) -> [L::V; COEFFICIENTS] {
    let mut vectors = [l.splat(T::ZERO); COEFFICIENTS];
    for (v, &x) in vectors.iter_mut().zip(numbers) {
        *v = l.splat(x);
    }
    vectors
}

#[inline(always)]
fn horner<L: Lanes<T>, T: Float>(l: L, t: L::V, coefficients: &[L::V]) -> L::V {
    let mut p = coefficients[coefficients.len() - 1];
    for &c in coefficients[..coefficients.len() - 1].iter().rev() {
        p = l.mul_add(p, t, c);
    }
    p
}

/// The polynomial in `t` as one of even and one of odd powers, both in its `square`: as many operations as Horner's rule
/// and the product that is the square, in half as long a chain of dependent ones.
#[inline(always)]
fn even_odd<L: Lanes<T>, T: Float>(l: L, t: L::V, square: L::V, coefficients: &[L::V]) -> L::V {
    let last = coefficients.len() - 1;
    let mut p = [coefficients[last], coefficients[last - 1]];
    // p[0] has the parity of the last coefficient, p[1] the other.
    for i in (0..last - 1).rev() {
        let p = &mut p[(last - i) % 2];
        *p = l.mul_add(*p, square, coefficients[i]);
    }
    let (even, odd) = if last % 2 == 0 { (p[0], p[1]) } else { (p[1], p[0]) };
    l.mul_add(odd, t, even)
}

/// The nearest integer, ties to even, for |x| < 2^51 (core has no such function without std).
#[inline(always)]
fn rint(x: f64) -> f64 {
    (x + <f64 as Float>::SHIFTER) - <f64 as Float>::SHIFTER
}

/// The leading 33 bits of ln 2 and the rest (fdlibm's split, e_log.c).
pub(crate) const LN2_HI33: f64 = 6.931_471_803_691_238e-1;
pub(crate) const LN2_LO33: f64 = 1.908_214_929_270_587_7e-10;

/// The bits of sqrt(1/2).
#[cfg(any(mantex_avx2, mantex_avx512, mantex_neon))]
pub(crate) const SQRT_HALF_32: u32 = 0x3f35_04f3;
pub(crate) const SQRT_HALF_64: u64 = 0x3fe6_a09e_667f_3bcd;

/// Splits a positive finite number: `x = m * 2^e` with m in [sqrt(1/2), sqrt(2)).
#[inline(always)]
pub(crate) fn split_exponent(x: f64) -> (f64, f64) {
    // Subnormal numbers are scaled up first.
    let (x, e0) = if x < f64::MIN_POSITIVE { (x * 18_014_398_509_481_984.0, -54.0) } else { (x, 0.0) };
    // Adding 1 - sqrt(1/2) to the significand's bits carries into the exponent just where m would exceed sqrt(2).
    let bits = x.to_bits().wrapping_add(0x3ff0_0000_0000_0000 - SQRT_HALF_64);
    let e = (bits >> 52) as i64 - 1023;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + SQRT_HALF_64);
    (m, e as f64 + e0)
}

/// Natural logarithm of `m` in [sqrt(1/2), sqrt(2)], below one ulp: `s = f/(2+f)`, `ln(1+f) = f - f^2/2 + s (f^2/2 + R(s^2))`
/// with the minimax polynomial R of fdlibm's e_log.c.
#[inline(always)]
pub(crate) fn ln_mantissa(m: f64) -> f64 {
    const R: [f64; 7] = [
        6.666_666_666_666_735e-1,
        3.999_999_999_940_942e-1,
        2.857_142_874_366_239e-1,
        2.222_219_843_214_978_4e-1,
        1.818_357_216_161_805e-1,
        1.531_383_769_920_937_3e-1,
        1.479_819_860_511_658_6e-1,
    ];
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let r = z * horner::<_, f64>(pulp::Scalar, z, &R);
    let half = 0.5 * f * f;
    f - (half - s * (half + r))
}

/// Coefficients of R(z) in `ln((1 + s) / (1 - s)) = 2 s + s z R(z)`, z = s^2: sollya's `fpminimax((log((1 + sqrt(x))/(1 -
/// sqrt(x)))/sqrt(x) - 2)/x, 2 or 6, [|SG...|] or [|D...|], [1e-30;r], absolute)` with `r = 1.001 * ((sqrt(2) - 1)/(sqrt(2) +
/// 1))^2`. Bounds of the logarithm's absolute error, by `dirtyinfnorm` of the difference: 9.4e-10 and 1.6e-18.
pub(crate) const F32_LN: [f32; 3] = [0.666_666_87, 0.399_885_33, 0.295_875];
pub(crate) const F64_LN: [f64; 7] = [
    0.666_666_666_666_666_96,
    0.399_999_999_998_990_4,
    0.285_714_286_263_391_74,
    0.222_222_110_680_798_92,
    0.181_828_941_521_629_3,
    0.153_315_535_907_106_92,
    0.146_185_138_030_996_17,
];

/// `ln(x) = e * ln 2 + r` as (e, r), for positive normal numbers: e is an integer, |r| <= ln(2)/2 within two units in the
/// last place. Others give anything. By `ln(1 + f) = f - s (f - z R(z))`, `s = f / (2 + f)` (fdlibm's e_log.c).
#[inline(always)]
pub(crate) fn ln<L: Lanes<T>, T: Float>(l: L, x: L::V) -> (L::V, L::V) {
    let (m, e) = l.split_exponent(x);
    let one = l.splat(T::ONE);
    let f = l.sub(m, one);
    let s = l.div(f, l.add(m, one));
    let z = l.mul(s, s);
    let r = l.mul(z, horner(l, z, &splats(l, T::LN)[..T::LN.len()]));
    (e, l.neg_mul_add(s, l.sub(f, r), f))
}

/// Natural logarithm of `x * 2^exponent` as an unevaluated sum (high, low) of two `f64`: `high` is exact.
#[inline(always)]
pub(crate) fn ln_parts(x: f64, exponent: f64) -> (f64, f64) {
    let (m, e) = split_exponent(x);
    let e = e + exponent;
    (e * LN2_HI33, e * LN2_LO33 + ln_mantissa(m))
}

/// Logarithm to base 2 of a positive finite number.
#[inline(always)]
pub(crate) fn log2(x: f64) -> f64 {
    let (m, e) = split_exponent(x);
    e + ln_mantissa(m) * core::f64::consts::LOG2_E
}

/// 2^y, saturating at 0 and 2^1023; NaN gives NaN.
#[inline(always)]
pub(crate) fn exp2(y: f64) -> f64 {
    let l = pulp::Scalar;
    Exp2::<_, f64>::new(l).eval(l, y)
}
