//! One lane of plain Rust: the fallback on every CPU, and what the vector kernels are compared with.

use super::{ExpScheme, Float, Lanes};
use crate::kernels::math::exp;
use pulp::Scalar;

/// `a - quotient * b`, the product taken apart into halves of 26 and 27 bits (Dekker).
#[inline(always)]
fn div_residual(a: f64, b: f64, quotient: f64) -> f64 {
    let halves = |x: f64| {
        let high = f64::from_bits(x.to_bits() & !((1 << 27) - 1));
        (high, x - high)
    };
    let ((q1, q2), (b1, b2)) = (halves(quotient), halves(b));
    (((a - q1 * b1) - q1 * b2) - q2 * b1) - q2 * b2
}

macro_rules! scalar_lanes {
    ($t:ident, $mantissa_bits:expr, $split:expr, |$x:ident, $k:ident| $reduce:expr, $div_residual:expr) => {
        impl Lanes<$t> for Scalar {
            type V = $t;
            type Mask = bool;
            type Table = ();
            type Index = u32;
            type Wide = f64;
            const N: usize = 1;
            const IN_FLIGHT: usize = 2;
            const REGISTERS: usize = 16;
            const RECOMPUTE: bool = false;
            const EXP: ExpScheme<$t> = $split;

            #[inline(always)]
            fn splat(self, x: $t) -> $t {
                x
            }
            #[inline(always)]
            fn load(self, x: &[$t]) -> $t {
                x[0]
            }
            #[inline(always)]
            fn load_tail(self, x: &[$t], fill: $t) -> $t {
                x.first().copied().unwrap_or(fill)
            }
            #[inline(always)]
            fn store(self, out: &mut [$t], v: $t) {
                out[0] = v;
            }
            #[inline(always)]
            fn store_tail(self, out: &mut [$t], v: $t) {
                if let Some(out) = out.first_mut() {
                    *out = v;
                }
            }
            #[inline(always)]
            fn stream(self, out: &mut [$t], v: $t) {
                out[0] = v;
            }
            #[inline(always)]
            fn keep_last(self, v: $t, _: usize) -> $t {
                v
            }
            #[inline(always)]
            fn add(self, a: $t, b: $t) -> $t {
                a + b
            }
            #[inline(always)]
            fn sub(self, a: $t, b: $t) -> $t {
                a - b
            }
            #[inline(always)]
            fn mul(self, a: $t, b: $t) -> $t {
                a * b
            }
            #[inline(always)]
            fn mul_add(self, a: $t, b: $t, c: $t) -> $t {
                a * b + c
            }
            #[inline(always)]
            fn neg_mul_add(self, a: $t, b: $t, c: $t) -> $t {
                c - a * b
            }
            #[inline(always)]
            fn neg_mul_add_exact(self, a: $t, b: $t, c: $t) -> $t {
                // A product that overflows must not turn an infinite c into NaN: fused, it would not.
                if c.is_infinite() { c } else { $t::from_f64(c.to_f64() - a.to_f64() * b.to_f64()) }
            }
            #[inline(always)]
            fn div(self, a: $t, b: $t) -> $t {
                a / b
            }
            #[inline(always)]
            fn div_residual(self, a: $t, b: $t, quotient: $t) -> $t {
                $div_residual(a, b, quotient)
            }
            #[inline(always)]
            fn abs(self, x: $t) -> $t {
                x.abs()
            }
            #[inline(always)]
            fn split_exponent(self, x: $t) -> ($t, $t) {
                let (m, e) = exp::split_exponent(x.to_f64());
                (m as $t, e as $t)
            }
            #[inline(always)]
            fn max(self, a: $t, b: $t) -> $t {
                if a > b { a } else { b }
            }
            #[inline(always)]
            fn min(self, a: $t, b: $t) -> $t {
                if a < b { a } else { b }
            }
            #[inline(always)]
            fn lt(self, a: $t, b: $t) -> bool {
                a < b
            }
            #[inline(always)]
            fn select(self, m: bool, a: $t, b: $t) -> $t {
                if m { a } else { b }
            }
            #[cfg(feature = "std")]
            #[inline(always)]
            fn interleave(self, a: $t, b: $t) -> ($t, $t) {
                (a, b)
            }
            #[cfg(feature = "std")]
            #[inline(always)]
            fn sqrt(self, x: $t) -> $t {
                x.sqrt()
            }
            #[inline(always)]
            fn reduce_sum(self, v: $t) -> f64 {
                v.to_f64()
            }
            #[inline(always)]
            fn splat_index(self, i: u32) -> u32 {
                i
            }
            #[inline(always)]
            fn load_index(self, x: &[u32]) -> u32 {
                x[0]
            }
            #[inline(always)]
            fn store_index(self, out: &mut [u32], i: u32) {
                out[0] = i;
            }
            #[inline(always)]
            fn eq_index(self, a: u32, b: u32) -> bool {
                a == b
            }
            #[inline(always)]
            fn select_index(self, m: bool, a: u32, b: u32) -> u32 {
                if m { a } else { b }
            }
            #[inline(always)]
            fn compress_indices(self, m: bool, first: u32, out: &mut [u32]) -> usize {
                out[0] = first;
                usize::from(m)
            }
            #[inline(always)]
            fn compress_indices_u8(self, m: bool, first: u8, out: &mut [u8]) -> usize {
                out[0] = first;
                usize::from(m)
            }
            #[inline(always)]
            fn widen(self, v: $t) -> f64 {
                v.to_f64()
            }
            #[inline(always)]
            fn add_wide(self, a: f64, b: f64) -> f64 {
                a + b
            }
            #[inline(always)]
            fn sub_wide(self, a: f64, b: f64) -> f64 {
                a - b
            }
            #[inline(always)]
            fn mul_wide(self, a: f64, b: f64) -> f64 {
                a * b
            }
            #[inline(always)]
            fn load_wide(self, x: &[f64]) -> f64 {
                x[0]
            }
            #[inline(always)]
            fn store_wide(self, out: &mut [f64], w: f64) {
                out[0] = w;
            }
            #[inline(always)]
            fn reduce_sum_wide(self, w: f64) -> f64 {
                w
            }
            #[inline(always)]
            fn exp_table(self) {}
            #[inline(always)]
            fn exp_finish(self, (): (), shifted: $t, _: $t, p: $t) -> $t {
                (1.0 + p) * $t::from_bits(shifted.to_bits() << $mantissa_bits)
            }
            #[inline(always)]
            fn record_exponent(self, overflow_bits: $t, shifted: $t) -> $t {
                $t::from_bits(overflow_bits.to_bits() | shifted.to_bits())
            }
            #[inline(always)]
            fn exp_overflowed(self, overflow_bits: $t) -> bool {
                // Any bit above those of the exponent that the shift constant does not have.
                overflow_bits.to_bits() & !($t::SHIFTER.to_bits() | ($t::INFINITY.to_bits() >> $mantissa_bits)) != 0
            }
            #[inline(always)]
            fn exp_clamp(self, x: $t, low: $t, high: $t) -> $t {
                Lanes::<$t>::min(self, high, Lanes::<$t>::max(self, low, x))
            }
            #[inline(always)]
            fn exp_reduce(self, $x: $t, $k: $t, _: $t, _: $t) -> $t {
                $reduce
            }
        }
    };
}

// Without a fused multiply-add the product k * ln 2 has to be exact: in f64 it is for f32, and f64 takes ln 2 in a
// part of 33 bits (exact for |k| < 2^20) and the rest (the split of fdlibm's e_log.c).
scalar_lanes!(f32, 23, exp::F32_INTEGER, |x, k| (x as f64 - k as f64 * core::f64::consts::LN_2) as f32, |a, b, q| (a
    as f64
    - q as f64 * b as f64)
    as f32);
scalar_lanes!(f64, 52, exp::F64_INTEGER, |x, k| (x - k * exp::LN2_HI33) - k * exp::LN2_LO33, div_residual);
