//! The vocabulary that kernels are written in: vectors of `f32` or `f64` over pulp's capability tokens.

#[cfg(mantex_avx2)]
mod avx2;
#[cfg(mantex_avx512)]
mod avx512;
#[cfg(mantex_neon)]
mod neon;
mod scalar;

use super::math::exp;

/// The most lanes of a vector of any instruction set. Buffers whose length is a multiple of it hold whole vectors.
pub(crate) const MAX_LANES: usize = 16;

/// An element type: `f32` or `f64`, with the constants that the kernels need of it.
pub trait Float:
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
    /// log2(e).
    const LOG2_E: Self;
    /// The leading bits of ln 2: all of them where a fused multiply-add follows.
    const LN2_HI: Self;
    /// ln 2 - LN2_HI.
    const LN2_LO: Self;
    /// 1.5 * 2^(mantissa bits): adding it rounds to an integer, which its low bits then hold.
    const SHIFTER: Self;
    /// The exponent bias of the format: 127 or 1023.
    const BIAS: f64;
    /// Machine epsilon: the distance from 1 to the next larger number.
    const EPSILON: f64;
    /// 2^80 or 2^640, five eighths of the exponents: what numbers out of a safe range are scaled by.
    const SCALE: Self;
    /// Coefficients of [`crate::kernels::math::exp::ln`].
    const LN: &'static [Self];
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

    /// The nearest value of the type.
    fn from_f64(x: f64) -> Self;
    /// The same value as `f64`.
    fn to_f64(self) -> f64;
}

macro_rules! float {
    ($t:ident, $ln2_hi:expr, $ln2_lo:expr, $scale:expr, $ln:expr) => {
        impl Float for $t {
            const LOG2_E: Self = core::$t::consts::LOG2_E;
            const LN2_HI: Self = $ln2_hi;
            const LN2_LO: Self = $ln2_lo;
            const SHIFTER: Self = 1.5 / Self::EPSILON;
            const BIAS: f64 = ($t::MAX_EXP - 1) as f64;
            const EPSILON: f64 = $t::EPSILON as f64;
            const SCALE: Self = $scale;
            const LN: &'static [Self] = $ln;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const INFINITY: Self = $t::INFINITY;
            const NEG_INFINITY: Self = $t::NEG_INFINITY;
            const NAN: Self = $t::NAN;
            const MIN: Self = $t::MIN;

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    };
}

// ln 2 = 0.693147180559945309417232121458176568..., split after rounding to the type.
float!(f32, core::f32::consts::LN_2, -1.904_654_3e-9, f32::from_bits((127 + 80) << 23), &exp::F32_LN);
float!(f64, core::f64::consts::LN_2, 2.319_046_813_846_299_6e-17, f64::from_bits((1023 + 640) << 52), &exp::F64_LN);

/// How an instruction set splits `e^x = 2^(k/2^bits) * e^t`: with a table of `2^bits` powers of two in registers, the
/// remainder `t` is short and so is its polynomial.
#[derive(Clone, Copy)]
pub(crate) struct ExpScheme<T: 'static> {
    /// log2 of the table's size; 0 is no table.
    pub bits: u32,
    /// What is added to the exponent: where the result's exponent is made of bits, the format's bias.
    pub bias: f64,
    /// Below this exponent (relative to the base) the result is 0.
    pub lowest: f64,
    /// Above this exponent (relative to the base) arguments are clamped where they are not watched.
    pub highest: f64,
    /// Coefficients of (e^t - 1)/t, constant first.
    pub expm1: &'static [T],
    /// Coefficients of (2^t - 1)/t, constant first.
    pub exp2m1: &'static [T],
}

/// For every mask of eight lanes the numbers of its true lanes, in order, one byte each.
#[cfg(any(mantex_avx512, mantex_avx2, mantex_neon))]
static COMPRESS: [u64; 256] = {
    let mut table = [0; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut lane, mut found) = (0, 0);
        while lane < 8 {
            if mask >> lane & 1 == 1 {
                table[mask] |= lane << (8 * found);
                found += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    table
};

/// [`Lanes::compress_indices_u8`] of a mask of up to eight lanes.
#[cfg(any(mantex_avx512, mantex_avx2, mantex_neon))]
#[inline(always)]
fn compress_indices_u8(mask: u8, first: u8, out: &mut [u8]) -> usize {
    // No sum exceeds a byte where it counts, and carries only go to what does not.
    let lanes = COMPRESS[mask as usize].wrapping_add(u64::from(first) * 0x0101_0101_0101_0101);
    out[..8].copy_from_slice(&lanes.to_le_bytes());
    mask.count_ones() as usize
}

/// Eight 32-bit lanes from `n` on have all bits set in the last `n`, four from `4 + n` on too.
#[cfg(any(mantex_avx2, mantex_neon))]
static LAST_LANES: [u32; 16] = [0, 0, 0, 0, 0, 0, 0, 0, !0, !0, !0, !0, !0, !0, !0, !0];

/// Vectors of `T` in one instruction set. Every method is `#[inline(always)]` and one or a few instructions.
///
/// A value of an implementing type is a capability token: holding it proves that the CPU has the instructions.
pub(crate) trait Lanes<T: Float>: Copy {
    /// A vector.
    type V: Copy;
    /// One truth value per lane.
    type Mask: Copy;
    /// Powers of two for the exponential, see [`ExpScheme`].
    type Table: Copy;
    /// One `u32` per lane: indices.
    type Index: Copy;
    /// One `f64` per lane: for sums that keep every digit.
    type Wide: Copy;
    /// Lanes in a vector.
    const N: usize;
    /// Exponentials that fit into the registers side by side.
    const IN_FLIGHT: usize;
    /// Vector registers of the instruction set.
    #[cfg_attr(not(feature = "std"), allow(dead_code))] // The distance matrix needs `std`.
    const REGISTERS: usize;
    /// Whether long rows of softmax take each exponential twice and save memory traffic, or once. Measured by the bench
    /// `bandwidth`: on Zen 4 recomputing is ahead of reloading from memory but for f64 on AVX2 (0.78) and for scalar. NEON, of which only
    /// emulation was at hand, follows AVX2.
    const RECOMPUTE: bool;
    /// How the exponential is split.
    const EXP: ExpScheme<T>;

    /// `x` in every lane.
    fn splat(self, x: T) -> Self::V;
    /// The first `N` elements; panics where there are fewer.
    fn load(self, x: &[T]) -> Self::V;
    /// The first `x.len()` (at most `N`) lanes from `x`, the others `fill`.
    fn load_tail(self, x: &[T], fill: T) -> Self::V;
    /// To the first `N` elements; panics where there are fewer.
    fn store(self, out: &mut [T], v: Self::V);
    /// The first `out.len()` (at most `N`) lanes to `out`.
    fn store_tail(self, out: &mut [T], v: Self::V);
    /// As [`Lanes::store`], past the caches where the instruction set can; `out` must start at a multiple of the
    /// vector's size (panics otherwise), and [`Lanes::fence`] must follow the last one.
    fn stream(self, out: &mut [T], v: Self::V);
    /// Makes streamed stores visible in program order.
    #[inline(always)]
    fn fence(self) {}

    /// 0 in all but the last `n` lanes, `n` from 1 to `N`.
    fn keep_last(self, v: Self::V, n: usize) -> Self::V;

    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, fused where the instruction set fuses (all but scalar).
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`, fused where the instruction set fuses.
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b` with the product exact. The scalar token multiplies in `f64`, so there `f64` products are rounded.
    #[inline(always)]
    fn neg_mul_add_exact(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.neg_mul_add(a, b, c)
    }
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - quotient * b` without an error, where `quotient` is `a / b` rounded to a normal number.
    #[inline(always)]
    fn div_residual(self, a: Self::V, b: Self::V, quotient: Self::V) -> Self::V {
        self.neg_mul_add(quotient, b, a)
    }
    /// The absolute value.
    fn abs(self, x: Self::V) -> Self::V;
    /// `x = m * 2^e` with m in [sqrt(1/2), sqrt(2)), for positive normal numbers; others give anything.
    fn split_exponent(self, x: Self::V) -> (Self::V, Self::V);
    /// `if a > b { a } else { b }`: `b` where either is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a < b { a } else { b }`: `b` where either is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// Lanes with `a < b` (false where either is NaN).
    fn lt(self, a: Self::V, b: Self::V) -> Self::Mask;
    /// `if m { a } else { b }`.
    fn select(self, m: Self::Mask, a: Self::V, b: Self::V) -> Self::V;
    /// `if m { a + b } else { a }`, but for the sign of 0.
    #[inline(always)]
    fn masked_add(self, m: Self::Mask, a: Self::V, b: Self::V) -> Self::V {
        self.select(m, self.add(a, b), a)
    }
    /// [`Lanes::masked_add`] by a multiply-add with `one`, which has the same result: many CPUs have other units for these than
    /// for additions. `one` is 1, but the compiler must not know it, or it makes additions of them.
    #[inline(always)]
    fn masked_add_fma(self, m: Self::Mask, a: Self::V, b: Self::V, one: Self::V) -> Self::V {
        self.select(m, self.mul_add(b, one, a), a)
    }
    /// The lanes of both in turns, `a` first: the first `N`, and the others.
    #[cfg(feature = "std")]
    fn interleave(self, a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// The square root.
    #[cfg(feature = "std")]
    fn sqrt(self, x: Self::V) -> Self::V;
    /// The sum of all lanes, in `f64` and in a fixed order.
    fn reduce_sum(self, v: Self::V) -> f64;
    /// The lanes, in order, as the first `N` elements.
    #[inline(always)]
    fn to_array(self, v: Self::V) -> [T; MAX_LANES] {
        let mut lanes = [T::ZERO; MAX_LANES];
        self.store(&mut lanes[..Self::N], v);
        lanes
    }

    /// `i` in every lane.
    fn splat_index(self, i: u32) -> Self::Index;
    /// The first `N` indices; panics where there are fewer.
    fn load_index(self, x: &[u32]) -> Self::Index;
    /// To the first `N` indices; panics where there are fewer.
    fn store_index(self, out: &mut [u32], i: Self::Index);
    /// Lanes with `a == b`.
    fn eq_index(self, a: Self::Index, b: Self::Index) -> Self::Mask;
    /// `if m { a } else { b }`.
    fn select_index(self, m: Self::Mask, a: Self::Index, b: Self::Index) -> Self::Index;
    /// Writes `first + lane` for every true lane, in order, to the front of `out` and returns how many there are. What
    /// follows them in the first `N` elements is overwritten; panics where `out` has fewer.
    fn compress_indices(self, m: Self::Mask, first: u32, out: &mut [u32]) -> usize;

    /// As [`Lanes::compress_indices`], in bytes; panics where `out` has fewer than 8, or `N` if that is more.
    fn compress_indices_u8(self, m: Self::Mask, first: u8, out: &mut [u8]) -> usize;

    /// The same values as `f64`.
    fn widen(self, v: Self::V) -> Self::Wide;
    /// `a + b`.
    fn add_wide(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// `a - b`.
    fn sub_wide(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// `a * b`.
    fn mul_wide(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// The first `N` elements; panics where there are fewer.
    fn load_wide(self, x: &[f64]) -> Self::Wide;
    /// To the first `N` elements; panics where there are fewer.
    fn store_wide(self, out: &mut [f64], w: Self::Wide);
    /// The sum of all lanes, in a fixed order.
    fn reduce_sum_wide(self, w: Self::Wide) -> f64;

    /// A hint that `x[at]` is read soon, where the instruction set has one; `at` may lie past the end.
    #[inline(always)]
    fn prefetch(self, _x: &[T], _at: usize) {}

    /// As [`Lanes::prefetch`], for what is read so much later that the nearest cache would not keep it.
    #[inline(always)]
    fn prefetch_far(self, _x: &[T], _at: usize) {}

    /// The powers of two.
    fn exp_table(self) -> Self::Table;
    /// `(1 + p) * 2^(k / 2^EXP.bits)`, where `shifted` holds the integer `k + EXP.bias * 2^EXP.bits` in its low bits
    /// ([`Float::SHIFTER`]) and `exponent` is `k / 2^EXP.bits` as a float.
    fn exp_finish(self, table: Self::Table, shifted: Self::V, exponent: Self::V, p: Self::V) -> Self::V;
    /// `x` within `[low, high]`, NaN kept. `high` matters also where [`Lanes::exp_finish`] saturates: far out of range the
    /// reduced argument is not small.
    fn exp_clamp(self, x: Self::V, low: Self::V, high: Self::V) -> Self::V;
    /// `x`, or `low` where it is below and [`Lanes::exp_finish`] does not saturate by itself. Where it does, as on AVX-512,
    /// -inf gives 0, and finite arguments 0, or +inf below -1e26 (f32) or -1e67 (f64).
    #[inline(always)]
    fn exp_clamp_low(self, x: Self::V, low: Self::V) -> Self::V {
        self.max(low, x)
    }
    /// As [`Lanes::exp_clamp`], for powers of two: the argument is reduced without an error whatever its size, so that `y`
    /// itself will do where [`Lanes::exp_finish`] saturates.
    #[inline(always)]
    fn exp2_clamp(self, y: Self::V, low: Self::V, high: Self::V) -> Self::V {
        self.exp_clamp(y, low, high)
    }
    /// `overflow_bits` or `shifted`, bit by bit: collects what [`Lanes::exp_overflowed`] looks at, where overflow does not show in
    /// the results.
    ///
    /// The bits of `shifted` are those of the shift constant, 1.5 * 2^(mantissa bits - EXP.bits), with the biased exponent
    /// and the table's index added at the low end; arguments are clamped below, so that is never negative. f32 on AVX2:
    /// `0 10010011 1000000000 eeeeeeee iii`. An exponent that is too large carries into the zeros, or changes the leading
    /// bits altogether, as infinities and NaN do. Bits once seen stay.
    #[inline(always)]
    fn record_exponent(self, overflow_bits: Self::V, _shifted: Self::V) -> Self::V {
        overflow_bits
    }
    /// Whether an exponent was too large, or no number: some bit is set above those of the biased exponents that
    /// [`Lanes::exp_finish`] can do with.
    #[inline(always)]
    fn exp_overflowed(self, _overflow_bits: Self::V) -> bool {
        false
    }
    /// `x - k * ln 2` with an error far below one unit in the last place of 1; `high` and `low` are [`Float::LN2_HI`] and
    /// [`Float::LN2_LO`] in every lane.
    #[inline(always)]
    fn exp_reduce(self, x: Self::V, k: Self::V, high: Self::V, low: Self::V) -> Self::V {
        self.neg_mul_add(k, low, self.neg_mul_add(k, high, x))
    }
}

/// A capability token of one of the instruction sets of this build. A vector one exists only where the CPU has it.
#[derive(Clone, Copy)]
pub(crate) enum Token {
    /// AVX-512 F, BW, CD, DQ, VL.
    #[cfg(mantex_avx512)]
    Avx512(pulp::x86::V4),
    /// AVX2, FMA, BMI1/2.
    #[cfg(mantex_avx2)]
    Avx2(pulp::x86::V3),
    /// Advanced SIMD.
    #[cfg(mantex_neon)]
    Neon(pulp::aarch64::Neon),
    /// Plain Rust, one lane.
    Scalar(pulp::Scalar),
}

impl Token {
    /// The one that is always there.
    pub(crate) const SCALAR: Token = Token::Scalar(pulp::Scalar);

    /// Those that this CPU can run, best first.
    pub(crate) fn available() -> impl Iterator<Item = Token> {
        [
            #[cfg(mantex_avx512)]
            pulp::x86::V4::try_new().map(Token::Avx512),
            #[cfg(mantex_avx2)]
            pulp::x86::V3::try_new().map(Token::Avx2),
            #[cfg(mantex_neon)]
            pulp::aarch64::Neon::try_new().map(Token::Neon),
            Some(Token::SCALAR),
        ]
        .into_iter()
        .flatten()
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(mantex_avx512)]
            Token::Avx512(_) => "avx512",
            #[cfg(mantex_avx2)]
            Token::Avx2(_) => "avx2",
            #[cfg(mantex_neon)]
            Token::Neon(_) => "neon",
            Token::Scalar(_) => "scalar",
        }
    }
}
