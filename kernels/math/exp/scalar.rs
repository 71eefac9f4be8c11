//! The exponential without intrinsics: no table, exponents by integer arithmetic.

use super::ExpLanes;
use super::coefficients::{ExpScheme, F32_INTEGER, F64_INTEGER};
use crate::kernels::math::ln::{LN2_HI33, LN2_LO33};
use pulp::Scalar;

macro_rules! scalar_exp {
    ($t:ident, $mantissa_bits:expr, $scheme:expr, |$x:ident, $k:ident| $reduce:expr) => {
        impl ExpLanes<$t> for Scalar {
            type Table = ();
            const EXP: ExpScheme<$t> = $scheme;
            const UNTABLED: &'static [$t] = $scheme.expm1;
            const IN_FLIGHT: usize = 2;
            const INTERLEAVED: bool = false;

            #[inline(always)]
            fn exp_table(self) {}
            #[inline(always)]
            fn exp_finish(self, (): (), shifted: $t, _: $t, p: $t) -> $t {
                (1.0 + p) * $t::from_bits(shifted.to_bits() << $mantissa_bits)
            }
            #[inline(always)]
            fn exp_reduce(self, $x: $t, $k: $t, _: $t, _: $t) -> $t {
                $reduce
            }
        }
    };
}

// Without a fused multiply-add the product k * ln 2 has to be exact. For f32 it is exact in f64.
// For f64, ln 2 is split into 33 bits, whose product is exact for |k| < 2^20, and the rest.
scalar_exp!(f32, 23, F32_INTEGER, |x, k| (x as f64 - k as f64 * core::f64::consts::LN_2) as f32);
scalar_exp!(f64, 52, F64_INTEGER, |x, k| (x - k * LN2_HI33) - k * LN2_LO33);
