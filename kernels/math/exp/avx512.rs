//! The exponential on AVX-512: a table of 16, and `scalef` for the exponent, which saturates.

use super::ExpLanes;
use super::coefficients::{ExpScheme, F32_INTEGER, F32_TABLE16, F64_INTEGER, F64_TABLE16, POWERS_OF_TWO_16};
use crate::kernels::lanes::{Float, Lanes, QUIET};
use core::arch::x86_64::{__m512, __m512d, _CMP_NLE_UQ, _MM_FROUND_NO_EXC};
use pulp::x86::V4;

/// The product of a power of two of the table and `1 + p`. The permutation uses the low four bits
/// of each index, and scalef, which takes the product, the floor of the exponent.
#[inline(always)]
fn mantissa_f32(l: V4, table: __m512, shifted: __m512, p: __m512) -> __m512 {
    let power = l.avx512f._mm512_permutexvar_ps(l.avx512f._mm512_castps_si512(shifted), table);
    Lanes::<f32>::quiet_mul_add(l, power, p, power)
}

/// As for `f32`.
#[inline(always)]
fn mantissa_f64(l: V4, table: (__m512d, __m512d), shifted: __m512d, p: __m512d) -> __m512d {
    let power = l.avx512f._mm512_permutex2var_pd(table.0, l.avx512f._mm512_castpd_si512(shifted), table.1);
    Lanes::<f64>::quiet_mul_add(l, power, p, power)
}

impl ExpLanes<f32> for V4 {
    type Table = __m512;
    const EXP: ExpScheme<f32> = F32_TABLE16;
    const UNTABLED: &'static [f32] = F32_INTEGER.expm1;
    const IN_FLIGHT: usize = 4;
    const INTERLEAVED: bool = true;
    const SATURATES: bool = true;

    #[inline(always)]
    fn exp_table(self) -> __m512 {
        let (low, high) = ExpLanes::<f64>::exp_table(self);
        let low = self.avx512f._mm512_castps256_ps512(self.avx512f._mm512_cvtpd_ps(low));
        self.avx512dq._mm512_insertf32x8::<1>(low, self.avx512f._mm512_cvtpd_ps(high))
    }
    #[inline(always)]
    fn exp_finish(self, table: __m512, shifted: __m512, exponent: __m512, p: __m512) -> __m512 {
        self.avx512f._mm512_scalef_round_ps::<QUIET>(mantissa_f32(self, table, shifted, p), exponent)
    }
    #[inline(always)]
    fn exp_finish_normal(self, table: __m512, shifted: __m512, exponent: __m512, p: __m512) -> __m512 {
        let least = Lanes::<f32>::splat(self, -126.0);
        // True for NaN. At this very exponent, a mantissa below 1 would be subnormal.
        let is_normal = self.avx512f._mm512_cmp_round_ps_mask::<_CMP_NLE_UQ, _MM_FROUND_NO_EXC>(exponent, least);
        let mantissa = mantissa_f32(self, table, shifted, p);
        self.avx512f._mm512_maskz_scalef_round_ps::<QUIET>(is_normal, mantissa, exponent)
    }
    #[inline(always)]
    fn exp_power(self, _: __m512, exponent: __m512) -> __m512 {
        self.avx512f._mm512_scalef_round_ps::<QUIET>(Lanes::<f32>::splat(self, 1.0), exponent)
    }
    #[inline(always)]
    fn exp_saturate(self, x: __m512, _: __m512, _: __m512) -> __m512 {
        // scalef(NaN, -inf) is 0 and scalef(NaN, +inf) is +inf: the right results for infinities.
        x
    }
    #[inline(always)]
    fn exp_overflowed(self, sums: __m512) -> bool {
        // A comparison with NaN is false.
        Lanes::<f32>::lt(self, Lanes::<f32>::abs(self, sums), Lanes::<f32>::splat(self, f32::SCALE)) != u16::MAX
    }
}

impl ExpLanes<f64> for V4 {
    type Table = (__m512d, __m512d);
    const EXP: ExpScheme<f64> = F64_TABLE16;
    const UNTABLED: &'static [f64] = F64_INTEGER.expm1;
    const IN_FLIGHT: usize = 4;
    const INTERLEAVED: bool = false;
    const SATURATES: bool = true;

    #[inline(always)]
    fn exp_table(self) -> (__m512d, __m512d) {
        let t = &POWERS_OF_TWO_16;
        (self.load(&t[..8]), self.load(&t[8..]))
    }
    #[inline(always)]
    fn exp_finish(self, table: Self::Table, shifted: __m512d, exponent: __m512d, p: __m512d) -> __m512d {
        self.avx512f._mm512_scalef_round_pd::<QUIET>(mantissa_f64(self, table, shifted, p), exponent)
    }
    #[inline(always)]
    fn exp_finish_normal(self, table: Self::Table, shifted: __m512d, exponent: __m512d, p: __m512d) -> __m512d {
        let least = Lanes::<f64>::splat(self, -1022.0);
        // True for NaN. At this very exponent, a mantissa below 1 would be subnormal.
        let is_normal = self.avx512f._mm512_cmp_round_pd_mask::<_CMP_NLE_UQ, _MM_FROUND_NO_EXC>(exponent, least);
        let mantissa = mantissa_f64(self, table, shifted, p);
        self.avx512f._mm512_maskz_scalef_round_pd::<QUIET>(is_normal, mantissa, exponent)
    }
    #[inline(always)]
    fn exp_power(self, _: __m512d, exponent: __m512d) -> __m512d {
        self.avx512f._mm512_scalef_round_pd::<QUIET>(Lanes::<f64>::splat(self, 1.0), exponent)
    }
    #[inline(always)]
    fn exp_saturate(self, x: __m512d, _: __m512d, _: __m512d) -> __m512d {
        // As for f32.
        x
    }
    #[inline(always)]
    fn exp_overflowed(self, sums: __m512d) -> bool {
        // A comparison with NaN is false.
        Lanes::<f64>::lt(self, Lanes::<f64>::abs(self, sums), Lanes::<f64>::splat(self, f64::SCALE)) != u8::MAX
    }
}
