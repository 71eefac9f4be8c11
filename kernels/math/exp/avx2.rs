//! The exponential on AVX2: a table of 8 for f32, exponents by integer arithmetic.

use super::ExpLanes;
use super::coefficients::{ExpScheme, F32_INTEGER, F32_TABLE8, F64_INTEGER, POWERS_OF_TWO_16};
use crate::kernels::lanes::Lanes;
use core::arch::x86_64::{__m256, __m256d};
use pulp::x86::V3;

impl ExpLanes<f32> for V3 {
    type Table = __m256;
    const EXP: ExpScheme<f32> = F32_TABLE8;
    const UNTABLED: &'static [f32] = F32_INTEGER.expm1;
    const IN_FLIGHT: usize = 4;
    const INTERLEAVED: bool = true;

    #[inline(always)]
    fn exp_table(self) -> __m256 {
        // Every other power, minus its own index and the bias: `exp_finish` adds the shifted
        // integer, which contains both.
        let t = |i: usize| {
            let power = (POWERS_OF_TWO_16[2 * i] as f32).to_bits();
            f32::from_bits(power.wrapping_sub(((i as u32) << 20) + (127 << 23)))
        };
        self.avx._mm256_setr_ps(t(0), t(1), t(2), t(3), t(4), t(5), t(6), t(7))
    }
    #[inline(always)]
    fn exp_finish(self, table: __m256, shifted: __m256, _: __m256, p: __m256) -> __m256 {
        // The permutation uses the low three bits of each index; the bits above are the exponent,
        // added as an integer. At the lowest exponent, -127, the sum is the bits of 0; from there
        // to 2^-126 the result rises from 0.
        let index = self.avx._mm256_castps_si256(shifted);
        let power = self.avx._mm256_castps_si256(self.avx2._mm256_permutevar8x32_ps(table, index));
        let power = self.avx2._mm256_add_epi32(power, self.avx2._mm256_slli_epi32::<20>(index));
        let power = self.avx._mm256_castsi256_ps(power);
        Lanes::<f32>::mul_add(self, power, p, power)
    }
    #[inline(always)]
    fn exp_power(self, shifted: __m256, _: __m256) -> __m256 {
        self.avx._mm256_castsi256_ps(self.avx2._mm256_slli_epi32::<20>(self.avx._mm256_castps_si256(shifted)))
    }
}

impl ExpLanes<f64> for V3 {
    type Table = ();
    const EXP: ExpScheme<f64> = F64_INTEGER;
    const UNTABLED: &'static [f64] = F64_INTEGER.expm1;
    const IN_FLIGHT: usize = 1;
    const INTERLEAVED: bool = true;

    #[inline(always)]
    fn exp_table(self) {}
    #[inline(always)]
    fn exp_finish(self, (): (), shifted: __m256d, _: __m256d, p: __m256d) -> __m256d {
        let exponent = self.avx2._mm256_slli_epi64::<52>(self.avx._mm256_castpd_si256(shifted));
        let exponent = self.avx._mm256_castsi256_pd(exponent);
        Lanes::<f64>::mul_add(self, exponent, p, exponent)
    }
    #[inline(always)]
    fn exp_saturate(self, x: __m256d, low: __m256d, high: __m256d) -> __m256d {
        // The minimum of integers takes one cycle less than that of numbers. It is taken of upper
        // words: `high` is positive, and numbers that exceed it by at most 2^-20 of it may pass.
        // The largest integer leaves the lower words as they are. NaN either stays, or becomes
        // such a number, whose exponential is too large for any sum.
        let x = self.avx._mm256_castpd_si256(self.avx._mm256_max_pd(low, x));
        let high = self.avx._mm256_castpd_si256(high);
        let high = self.avx2._mm256_or_si256(high, self.avx._mm256_set1_epi64x(0x7fff_ffff));
        self.avx._mm256_castsi256_pd(self.avx2._mm256_min_epi32(x, high))
    }
}
