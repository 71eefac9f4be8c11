//! The element types: `f32` and `f64`, their constants, and the exponent of an `f64`.

/// An element type with its constants and its conversions.
#[allow(unreachable_pub)] // Types of the entry points of softmax make it reachable.
pub trait Number:
    Copy
    + Default
    + PartialOrd
    + core::fmt::Debug
    + core::fmt::Display
    + core::ops::Add<Output = Self>
    + core::ops::Sub<Output = Self>
    + core::ops::Mul<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// Negative infinity.
    const NEG_INFINITY: Self;
    /// A quiet NaN.
    const NAN: Self;
    /// The lowest finite number.
    const MIN: Self;
    /// Machine epsilon: the distance from 1 to the next larger number.
    const EPSILON: f64;

    /// The nearest value of the type.
    fn from_f64(x: f64) -> Self;
    /// The same value as `f64`.
    fn to_f64(self) -> f64;
}

/// A [`Number`] with the constants of its format.
#[allow(unreachable_pub)] // Types of the entry points of softmax make it reachable.
pub trait Float: Number {
    /// log2(e).
    const LOG2_E: Self;
    /// ln 2 rounded to the type.
    const LN2_HI: Self;
    /// ln 2 - LN2_HI.
    const LN2_LO: Self;
    /// 1.5 * 2^(mantissa bits). Adding it to a number rounds the number to an integer, which is in
    /// the low bits of the sum.
    const SHIFTER: Self;
    /// The exponent bias of the format: 127 or 1023.
    const BIAS: f64;
    /// 2^80 or 2^640, five eighths of the largest exponent: the scale for numbers out of a safe
    /// range.
    const SCALE: Self;
}

macro_rules! float {
    ($t:ident, $ln2_lo:expr, $scale:expr) => {
        impl Number for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const INFINITY: Self = $t::INFINITY;
            const NEG_INFINITY: Self = $t::NEG_INFINITY;
            const NAN: Self = $t::NAN;
            const MIN: Self = $t::MIN;
            const EPSILON: f64 = $t::EPSILON as f64;

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }

        impl Float for $t {
            const LOG2_E: Self = core::$t::consts::LOG2_E;
            const LN2_HI: Self = core::$t::consts::LN_2;
            const LN2_LO: Self = $ln2_lo;
            const SHIFTER: Self = 1.5 / $t::EPSILON;
            const BIAS: f64 = ($t::MAX_EXP - 1) as f64;
            const SCALE: Self = $scale;
        }
    };
}

// ln 2 = 0.693147180559945309417232121458176568...
float!(f32, -1.904_654_3e-9, f32::from_bits((127 + 80) << 23));
float!(f64, 2.319_046_813_846_299_6e-17, f64::from_bits((1023 + 640) << 52));

/// The bits of sqrt(1/2) as `f32`.
#[cfg(any(mantex_avx2, mantex_avx512, mantex_neon))]
pub(super) const SQRT_HALF_32: u32 = 0x3f35_04f3;
/// The bits of sqrt(1/2) as `f64`.
pub(super) const SQRT_HALF_64: u64 = 0x3fe6_a09e_667f_3bcd;

/// Splits a positive finite number: `x = m * 2^e` with m in [sqrt(1/2), sqrt(2)).
#[inline(always)]
pub(crate) fn split_exponent(x: f64) -> (f64, f64) {
    // Subnormal numbers are scaled up by 2^54 first.
    // A product of any other number, which the compiler may compute as well, could overflow.
    let (factor, e0) = if x < f64::MIN_POSITIVE { (18_014_398_509_481_984.0, -54.0) } else { (1.0, 0.0) };
    let x = x * factor;
    // Adding 1 - sqrt(1/2) to the bits carries into the exponent exactly if m would reach sqrt(2).
    let bits = x.to_bits().wrapping_add(0x3ff0_0000_0000_0000 - SQRT_HALF_64);
    let e = (bits >> 52) as i64 - 1023;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + SQRT_HALF_64);
    (m, e as f64 + e0)
}

/// The functions of floating-point numbers that core lacks, for builds without std: under the names
/// of std's methods, which take precedence where there is std.
#[cfg(not(feature = "std"))]
#[allow(dead_code)] // Each family uses only some of them.
pub(crate) trait FloatFunctions: Copy {
    /// The inverse hyperbolic sine.
    fn asinh(self) -> Self;
    /// The smallest integer that is not less.
    fn ceil(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The logarithm to base 2.
    fn log2(self) -> Self;
    /// `self^y`.
    fn powf(self, y: Self) -> Self;
    /// `self^n`.
    fn powi(self, n: i32) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
}

#[cfg(not(feature = "std"))]
macro_rules! float_functions {
    ($t:ty, $asinh:ident, $ceil:ident, $ln:ident, $log2:ident, $pow:ident, $sqrt:ident) => {
        impl FloatFunctions for $t {
            fn asinh(self) -> Self {
                libm::$asinh(self)
            }
            fn ceil(self) -> Self {
                libm::$ceil(self)
            }
            fn ln(self) -> Self {
                libm::$ln(self)
            }
            fn log2(self) -> Self {
                libm::$log2(self)
            }
            fn powf(self, y: Self) -> Self {
                libm::$pow(self, y)
            }
            fn powi(self, n: i32) -> Self {
                if n == 2 { self * self } else { libm::$pow(self, n as $t) }
            }
            #[inline]
            fn sqrt(self) -> Self {
                libm::$sqrt(self)
            }
        }
    };
}

#[cfg(not(feature = "std"))]
float_functions!(f32, asinhf, ceilf, logf, log2f, powf, sqrtf);
#[cfg(not(feature = "std"))]
float_functions!(f64, asinh, ceil, log, log2, pow, sqrt);
