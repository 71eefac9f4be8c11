//! The exponential on AVX-512: a table of 16, and `scalef` for the exponent, which saturates.

use super::ExpLanes;
use super::coefficients::{ExpScheme, F32_INTEGER, F32_TABLE16, F64_INTEGER, F64_TABLE16, POWERS_OF_TWO_16};
use crate::kernels::lanes::{Float, Lanes, QUIET};
use core::arch::x86_64::{__m512, __m512d};
use pulp::x86::V4;

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
        // The permutation uses the low four bits of each index; scalef uses the floor of the
        // exponent.
        let power = self.avx512f._mm512_permutexvar_ps(self.avx512f._mm512_castps_si512(shifted), table);
        self.avx512f._mm512_scalef_round_ps::<QUIET>(Lanes::<f32>::quiet_mul_add(self, power, p, power), exponent)
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
        let index = self.avx512f._mm512_castpd_si512(shifted);
        let power = self.avx512f._mm512_permutex2var_pd(table.0, index, table.1);
        self.avx512f._mm512_scalef_round_pd::<QUIET>(Lanes::<f64>::quiet_mul_add(self, power, p, power), exponent)
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
