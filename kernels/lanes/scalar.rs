//! One lane, without intrinsics: the fallback on every CPU, with which tests compare the vectors.

#[cfg(not(feature = "std"))]
use super::float::FloatFunctions as _;
use super::{IndexLanes, InstructionSet, Lanes, Number, WideLanes};
use pulp::Scalar;

impl InstructionSet for Scalar {
    #[inline(never)]
    fn call_out_of_line<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }
    type Short = Self;
    #[inline(always)]
    fn short(self) -> Self {
        self
    }
}

/// `a - quotient * b`, with both factors split into the leading 26 bits and the rest.
#[inline(always)]
fn div_residual(a: f64, b: f64, quotient: f64) -> f64 {
    // A mask splits the factors. Dekker's multiplication would overflow for large numbers.
    let parts = |x: f64| {
        let high = f64::from_bits(x.to_bits() & !((1 << 27) - 1));
        (high, x - high)
    };
    let ((q1, q2), (b1, b2)) = (parts(quotient), parts(b));
    (((a - q1 * b1) - q1 * b2) - q2 * b1) - q2 * b2
}

macro_rules! scalar_lanes {
    ($t:ident, $div_residual:expr) => {
        impl Lanes<$t> for Scalar {
            type V = $t;
            type Mask = bool;
            const N: usize = 1;
            const REGISTERS: usize = 16;

            ops! { self;
                splat(x: $t) = x;
                add(a, b) = a + b;
                sub(a, b) = a - b;
                mul(a, b) = a * b;
                div(a, b) = a / b;
                mul_add(a, b, c) = a * b + c;
                neg_mul_add(a, b, c) = c - a * b;
                div_residual(a, b, quotient) = $div_residual(a, b, quotient);
                abs(x) = x.abs();
                sqrt(x) = x.sqrt();
                max(a, b) = if a > b { a } else { b };
                min(a, b) = if a < b { a } else { b };
                lt(a, b) -> bool = a < b;
                select(m: bool, a, b) = if m { a } else { b };
                bits(m: bool) -> u64 = u64::from(m);
                keep_last(v, _n: usize) = v;
                reduce_sum(v) -> f64 = v.to_f64();
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
            fn neg_mul_add_exact(self, a: $t, b: $t, c: $t) -> $t {
                // As in a fused operation, an infinite c stays: a product that overflows here must
                // not turn it into NaN.
                if c.is_infinite() { c } else { $t::from_f64(c.to_f64() - a.to_f64() * b.to_f64()) }
            }
            #[inline(always)]
            fn split_exponent(self, x: $t) -> ($t, $t) {
                let (m, e) = super::split_exponent(x.to_f64());
                (m as $t, e as $t)
            }
            #[inline(always)]
            fn interleave(self, a: $t, b: $t) -> ($t, $t) {
                (a, b)
            }
            #[inline(always)]
            fn exchange(self, v: $t, _: usize) -> $t {
                v
            }
        }

        impl IndexLanes<$t> for Scalar {
            type Index = u32;

            ops! { self;
                splat_index(i: u32) -> u32 = i;
                eq_index(a: u32, b: u32) -> bool = a == b;
                select_index(m: bool, a: u32, b: u32) -> u32 = if m { a } else { b };
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
            fn compress_indices(self, m: bool, first: u32, out: &mut [u32]) -> usize {
                out[0] = first;
                usize::from(m)
            }
        }
    };
}

scalar_lanes!(f32, |a: f32, b: f32, q: f32| (a.to_f64() - q.to_f64() * b.to_f64()) as f32);
scalar_lanes!(f64, div_residual);

impl WideLanes<f32> for Scalar {
    type Wide = f64;
    type Double = Self;

    ops! { self;
        double() -> Double = self;
        widen(v) -> f64 = v.to_f64();
        add_wide(a: f64, b: f64) -> f64 = a + b;
        sub_wide(a: f64, b: f64) -> f64 = a - b;
        mul_wide(a: f64, b: f64) -> f64 = a * b;
        reduce_sum_wide(w: f64) -> f64 = w;
    }

    #[inline(always)]
    fn to_double(self, high: f32, low: f32) -> (f64, f64) {
        (high.to_f64() + low.to_f64(), 0.0)
    }

    #[inline(always)]
    fn load_wide(self, x: &[f64]) -> f64 {
        x[0]
    }
    #[inline(always)]
    fn store_wide(self, out: &mut [f64], w: f64) {
        out[0] = w;
    }
}
