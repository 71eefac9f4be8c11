//! The exponential on NEON: no table, exponents by integer arithmetic.

use super::ExpLanes;
use super::coefficients::{ExpScheme, F32_INTEGER, F64_INTEGER};
use crate::kernels::lanes::Lanes;
use core::arch::aarch64::{float32x4_t, float64x2_t};
use pulp::aarch64::Neon;

impl ExpLanes<f32> for Neon {
    type Table = ();
    const EXP: ExpScheme<f32> = F32_INTEGER;
    const UNTABLED: &'static [f32] = F32_INTEGER.expm1;
    const IN_FLIGHT: usize = 4;
    const INTERLEAVED: bool = false;

    #[inline(always)]
    fn exp_table(self) {}
    #[inline(always)]
    fn exp_finish(self, (): (), shifted: float32x4_t, _: float32x4_t, p: float32x4_t) -> float32x4_t {
        let exponent = self.neon.vshlq_n_s32::<23>(self.neon.vreinterpretq_s32_f32(shifted));
        let exponent = self.neon.vreinterpretq_f32_s32(exponent);
        Lanes::<f32>::mul_add(self, exponent, p, exponent)
    }
    #[inline(always)]
    fn exp_clamp(self, x: float32x4_t, low: float32x4_t, high: float32x4_t) -> float32x4_t {
        // These instructions keep NaN, as the clamp must.
        self.neon.vminq_f32(self.neon.vmaxq_f32(x, low), high)
    }
}

impl ExpLanes<f64> for Neon {
    type Table = ();
    const EXP: ExpScheme<f64> = F64_INTEGER;
    const UNTABLED: &'static [f64] = F64_INTEGER.expm1;
    const IN_FLIGHT: usize = 4;
    const INTERLEAVED: bool = false;

    #[inline(always)]
    fn exp_table(self) {}
    #[inline(always)]
    fn exp_finish(self, (): (), shifted: float64x2_t, _: float64x2_t, p: float64x2_t) -> float64x2_t {
        let exponent = self.neon.vshlq_n_s64::<52>(self.neon.vreinterpretq_s64_f64(shifted));
        let exponent = self.neon.vreinterpretq_f64_s64(exponent);
        Lanes::<f64>::mul_add(self, exponent, p, exponent)
    }
    #[inline(always)]
    fn exp_clamp(self, x: float64x2_t, low: float64x2_t, high: float64x2_t) -> float64x2_t {
        // As for f32, these instructions keep NaN.
        self.neon.vminq_f64(self.neon.vmaxq_f64(x, low), high)
    }
}
