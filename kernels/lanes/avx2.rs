//! AVX2 with FMA: 8 lanes of f32 or 4 of f64.

use super::{COMPRESS, ExpScheme, Float, LAST_LANES, Lanes, compress_indices_u8};
use crate::kernels::math::exp::{self, SQRT_HALF_32, SQRT_HALF_64};
use core::arch::x86_64::{
    __m128i, __m256, __m256d, __m256i, _CMP_LT_OQ, _MM_HINT_T0, _MM_HINT_T1, _mm_castps_si128, _mm_loadu_si128,
    _mm_prefetch, _mm_sfence, _mm_store_sd, _mm_store_ss, _mm_storel_epi64, _mm_storeu_pd, _mm_storeu_ps,
    _mm_storeu_si128, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_maskload_pd, _mm256_maskload_ps,
    _mm256_storeu_pd, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_stream_pd, _mm256_stream_ps,
};
use pulp::x86::V3;

/// All ones in the first `n` 32-bit lanes.
#[inline(always)]
fn first_32(l: V3, n: usize) -> __m256i {
    l.avx2._mm256_cmpgt_epi32(l.avx._mm256_set1_epi32(n.min(8) as i32), l.avx._mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

/// All ones in the first `n` 64-bit lanes.
#[inline(always)]
fn first_64(l: V3, n: usize) -> __m256i {
    l.avx2._mm256_cmpgt_epi64(l.avx._mm256_set1_epi64x(n.min(4) as i64), l.avx._mm256_setr_epi64x(0, 1, 2, 3))
}

impl Lanes<f32> for V3 {
    type V = __m256;
    type Mask = __m256;
    type Table = __m256;
    type Index = __m256i;
    type Wide = (__m256d, __m256d);
    const N: usize = 8;
    const IN_FLIGHT: usize = 2;
    const REGISTERS: usize = 16;
    const RECOMPUTE: bool = true;
    const EXP: ExpScheme<f32> = exp::F32_TABLE8;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        self.avx._mm256_set1_ps(x)
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> __m256 {
        assert!(x.len() >= 8);
        // SAFETY: 8 elements are there (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_loadu_ps(x.as_ptr()) }
    }
    #[inline(always)]
    fn load_tail(self, x: &[f32], fill: f32) -> __m256 {
        let mask = first_32(self, x.len());
        // SAFETY: only the lanes below x.len() are read; V3 proves AVX.
        let v = unsafe { _mm256_maskload_ps(x.as_ptr(), mask) };
        Lanes::<f32>::select(self, self.avx._mm256_castsi256_ps(mask), v, self.splat(fill))
    }
    #[inline(always)]
    fn store(self, out: &mut [f32], v: __m256) {
        assert!(out.len() >= 8);
        // SAFETY: room for 8 elements (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn store_tail(self, out: &mut [f32], v: __m256) {
        // In halves: maskstore is microcode on AMD CPUs.
        let mut half = self.avx._mm256_castps256_ps128(v);
        let (mut to, n) = (out.as_mut_ptr(), out.len());
        // SAFETY: 8, or 4 + 2 + 1 as far as these bits are set in n, elements are written, n in all; V3 proves AVX.
        unsafe {
            if n >= 8 {
                return _mm256_storeu_ps(to, v);
            }
            if n & 4 != 0 {
                _mm_storeu_ps(to, half);
                (to, half) = (to.add(4), self.avx._mm256_extractf128_ps::<1>(v));
            }
            if n & 2 != 0 {
                _mm_storel_epi64(to.cast(), _mm_castps_si128(half));
                (to, half) = (to.add(2), self.sse._mm_movehl_ps(half, half));
            }
            if n & 1 != 0 {
                _mm_store_ss(to, half);
            }
        }
    }
    #[inline(always)]
    fn stream(self, out: &mut [f32], v: __m256) {
        assert!(out.len() >= 8 && out.as_ptr().addr().is_multiple_of(32));
        // SAFETY: room for 8 elements at an address that is a multiple of 32 (asserted); V3 proves AVX.
        unsafe { _mm256_stream_ps(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn fence(self) {
        // SAFETY: every x86-64 CPU has SSE.
        unsafe { _mm_sfence() }
    }
    #[inline(always)]
    fn keep_last(self, v: __m256, n: usize) -> __m256 {
        let mask = Lanes::<f32>::load_index(self, &LAST_LANES[n.min(8)..]);
        self.avx._mm256_and_ps(v, self.avx._mm256_castsi256_ps(mask))
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_add_ps(a, b)
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_sub_ps(a, b)
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_mul_ps(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        self.fma._mm256_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        self.fma._mm256_fnmadd_ps(a, b, c)
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_div_ps(a, b)
    }
    #[inline(always)]
    fn abs(self, x: __m256) -> __m256 {
        self.avx._mm256_andnot_ps(self.avx._mm256_set1_ps(-0.0), x)
    }
    #[inline(always)]
    fn split_exponent(self, x: __m256) -> (__m256, __m256) {
        // The carry of the significand tells which numbers are at or above sqrt(2) * 2^e; see exp::split_exponent.
        let half = self.avx._mm256_set1_epi32(SQRT_HALF_32 as i32);
        let carry = self.avx._mm256_set1_epi32((0x3f80_0000 - SQRT_HALF_32) as i32);
        let bits = self.avx2._mm256_add_epi32(self.avx._mm256_castps_si256(x), carry);
        let m = self.avx2._mm256_and_si256(bits, self.avx._mm256_set1_epi32(0x007f_ffff));
        let m = self.avx._mm256_castsi256_ps(self.avx2._mm256_add_epi32(m, half));
        let e = self.avx._mm256_cvtepi32_ps(self.avx2._mm256_srli_epi32::<23>(bits));
        (m, self.avx._mm256_sub_ps(e, self.avx._mm256_set1_ps(127.0)))
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_max_ps(a, b)
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_min_ps(a, b)
    }
    #[inline(always)]
    fn lt(self, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_cmp_ps::<_CMP_LT_OQ>(a, b)
    }
    #[inline(always)]
    fn select(self, m: __m256, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_blendv_ps(b, a, m)
    }
    #[inline(always)]
    fn masked_add(self, m: __m256, a: __m256, b: __m256) -> __m256 {
        self.avx._mm256_add_ps(a, self.avx._mm256_and_ps(m, b))
    }
    #[inline(always)]
    fn masked_add_fma(self, m: __m256, a: __m256, b: __m256, one: __m256) -> __m256 {
        self.fma._mm256_fmadd_ps(self.avx._mm256_and_ps(m, b), one, a)
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn interleave(self, a: __m256, b: __m256) -> (__m256, __m256) {
        let (low, high) = (self.avx._mm256_unpacklo_ps(a, b), self.avx._mm256_unpackhi_ps(a, b));
        let first = self.avx._mm256_permute2f128_ps::<0x20>(low, high);
        (first, self.avx._mm256_permute2f128_ps::<0x31>(low, high))
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn sqrt(self, x: __m256) -> __m256 {
        self.avx._mm256_sqrt_ps(x)
    }
    #[inline(always)]
    fn reduce_sum(self, v: __m256) -> f64 {
        let low = self.avx._mm256_cvtps_pd(self.avx._mm256_castps256_ps128(v));
        let high = self.avx._mm256_cvtps_pd(self.avx._mm256_extractf128_ps::<1>(v));
        Lanes::<f64>::reduce_sum(self, self.avx._mm256_add_pd(low, high))
    }
    #[inline(always)]
    fn splat_index(self, i: u32) -> __m256i {
        self.avx._mm256_set1_epi32(i as i32)
    }
    #[inline(always)]
    fn load_index(self, x: &[u32]) -> __m256i {
        assert!(x.len() >= 8);
        // SAFETY: 8 indices are there (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: __m256i) {
        assert!(out.len() >= 8);
        // SAFETY: room for 8 indices (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), i) }
    }
    #[inline(always)]
    fn eq_index(self, a: __m256i, b: __m256i) -> __m256 {
        self.avx._mm256_castsi256_ps(self.avx2._mm256_cmpeq_epi32(a, b))
    }
    #[inline(always)]
    fn select_index(self, m: __m256, a: __m256i, b: __m256i) -> __m256i {
        self.avx2._mm256_blendv_epi8(b, a, self.avx._mm256_castps_si256(m))
    }
    #[inline(always)]
    fn compress_indices(self, m: __m256, first: u32, out: &mut [u32]) -> usize {
        let mask = self.avx._mm256_movemask_ps(m) as u32;
        let lanes = self.sse2._mm_set1_epi64x(COMPRESS[mask as usize & 255] as i64);
        let lanes = self.avx2._mm256_cvtepu8_epi32(lanes);
        let lanes = self.avx2._mm256_add_epi32(lanes, Lanes::<f32>::splat_index(self, first));
        Lanes::<f32>::store_index(self, out, lanes);
        mask.count_ones() as usize
    }
    #[inline(always)]
    fn compress_indices_u8(self, m: __m256, first: u8, out: &mut [u8]) -> usize {
        compress_indices_u8(self.avx._mm256_movemask_ps(m) as u8, first, out)
    }
    #[inline(always)]
    fn widen(self, v: __m256) -> (__m256d, __m256d) {
        let low = self.avx._mm256_cvtps_pd(self.avx._mm256_castps256_ps128(v));
        (low, self.avx._mm256_cvtps_pd(self.avx._mm256_extractf128_ps::<1>(v)))
    }
    #[inline(always)]
    fn add_wide(self, a: (__m256d, __m256d), b: (__m256d, __m256d)) -> (__m256d, __m256d) {
        (self.avx._mm256_add_pd(a.0, b.0), self.avx._mm256_add_pd(a.1, b.1))
    }
    #[inline(always)]
    fn sub_wide(self, a: (__m256d, __m256d), b: (__m256d, __m256d)) -> (__m256d, __m256d) {
        (self.avx._mm256_sub_pd(a.0, b.0), self.avx._mm256_sub_pd(a.1, b.1))
    }
    #[inline(always)]
    fn mul_wide(self, a: (__m256d, __m256d), b: (__m256d, __m256d)) -> (__m256d, __m256d) {
        (Lanes::<f64>::mul(self, a.0, b.0), Lanes::<f64>::mul(self, a.1, b.1))
    }
    #[inline(always)]
    fn load_wide(self, x: &[f64]) -> (__m256d, __m256d) {
        (Lanes::<f64>::load(self, x), Lanes::<f64>::load(self, &x[4..]))
    }
    #[inline(always)]
    fn store_wide(self, out: &mut [f64], w: (__m256d, __m256d)) {
        Lanes::<f64>::store(self, out, w.0);
        Lanes::<f64>::store(self, &mut out[4..], w.1);
    }
    #[inline(always)]
    fn reduce_sum_wide(self, w: (__m256d, __m256d)) -> f64 {
        Lanes::<f64>::reduce_sum(self, self.avx._mm256_add_pd(w.0, w.1))
    }
    #[inline(always)]
    fn prefetch(self, x: &[f32], at: usize) {
        // SAFETY: a prefetch is a hint, no address can make it fault; every x86-64 CPU has SSE.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(at).cast()) }
    }
    #[inline(always)]
    fn prefetch_far(self, x: &[f32], at: usize) {
        // SAFETY: as for `prefetch`.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(x.as_ptr().wrapping_add(at).cast()) }
    }
    #[inline(always)]
    fn exp_table(self) -> __m256 {
        // Every other power, less its own index and the bias, which the shifted integer brings along.
        let t = |i: usize| {
            let power = (exp::POWERS_OF_TWO_16[2 * i] as f32).to_bits();
            f32::from_bits(power.wrapping_sub(((i as u32) << 20) + (127 << 23)))
        };
        self.avx._mm256_setr_ps(t(0), t(1), t(2), t(3), t(4), t(5), t(6), t(7))
    }
    #[inline(always)]
    fn exp_finish(self, table: __m256, shifted: __m256, _: __m256, p: __m256) -> __m256 {
        // The permutation looks at the low three bits of each index; those above are the exponent, added as an integer.
        // At the lowest exponent, -127, the sum is the bits of 0; from there to 2^-126 the result rises from 0.
        let index = self.avx._mm256_castps_si256(shifted);
        let power = self.avx._mm256_castps_si256(self.avx2._mm256_permutevar8x32_ps(table, index));
        let power = self.avx2._mm256_add_epi32(power, self.avx2._mm256_slli_epi32::<20>(index));
        let power = self.avx._mm256_castsi256_ps(power);
        Lanes::<f32>::mul_add(self, power, p, power)
    }
    #[inline(always)]
    fn record_exponent(self, overflow_bits: __m256, shifted: __m256) -> __m256 {
        self.avx._mm256_or_ps(overflow_bits, shifted)
    }
    #[inline(always)]
    fn exp_overflowed(self, overflow_bits: __m256) -> bool {
        // Any bit above the eight of the exponent and the three of the table that the shift constant does not have.
        let overflow_bits = self.avx._mm256_castps_si256(overflow_bits);
        let constant = self.avx._mm256_set1_epi32((1.5 * 1_048_576.0_f32).to_bits() as i32 | 0x7ff);
        self.avx._mm256_testc_si256(constant, overflow_bits) == 0
    }
    #[inline(always)]
    fn exp_clamp(self, x: __m256, low: __m256, high: __m256) -> __m256 {
        Lanes::<f32>::min(self, high, Lanes::<f32>::max(self, low, x))
    }
}

impl Lanes<f64> for V3 {
    type V = __m256d;
    type Mask = __m256d;
    type Table = ();
    type Index = __m128i;
    type Wide = __m256d;
    const N: usize = 4;
    const IN_FLIGHT: usize = 1;
    const REGISTERS: usize = 16;
    const RECOMPUTE: bool = false;
    const EXP: ExpScheme<f64> = exp::F64_INTEGER;

    #[inline(always)]
    fn splat(self, x: f64) -> __m256d {
        self.avx._mm256_set1_pd(x)
    }
    #[inline(always)]
    fn load(self, x: &[f64]) -> __m256d {
        assert!(x.len() >= 4);
        // SAFETY: 4 elements are there (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_loadu_pd(x.as_ptr()) }
    }
    #[inline(always)]
    fn load_tail(self, x: &[f64], fill: f64) -> __m256d {
        let mask = first_64(self, x.len());
        // SAFETY: only the lanes below x.len() are read; V3 proves AVX.
        let v = unsafe { _mm256_maskload_pd(x.as_ptr(), mask) };
        Lanes::<f64>::select(self, self.avx._mm256_castsi256_pd(mask), v, self.splat(fill))
    }
    #[inline(always)]
    fn store(self, out: &mut [f64], v: __m256d) {
        assert!(out.len() >= 4);
        // SAFETY: room for 4 elements (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_storeu_pd(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn store_tail(self, out: &mut [f64], v: __m256d) {
        let mut half = self.avx._mm256_castpd256_pd128(v);
        let (mut to, n) = (out.as_mut_ptr(), out.len());
        // SAFETY: 4, or 2 + 1 as far as these bits are set in n, elements are written, n in all; V3 proves AVX.
        unsafe {
            if n >= 4 {
                return _mm256_storeu_pd(to, v);
            }
            if n & 2 != 0 {
                _mm_storeu_pd(to, half);
                (to, half) = (to.add(2), self.avx._mm256_extractf128_pd::<1>(v));
            }
            if n & 1 != 0 {
                _mm_store_sd(to, half);
            }
        }
    }
    #[inline(always)]
    fn stream(self, out: &mut [f64], v: __m256d) {
        assert!(out.len() >= 4 && out.as_ptr().addr().is_multiple_of(32));
        // SAFETY: room for 4 elements at an address that is a multiple of 32 (asserted); V3 proves AVX.
        unsafe { _mm256_stream_pd(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn fence(self) {
        Lanes::<f32>::fence(self);
    }
    #[inline(always)]
    fn keep_last(self, v: __m256d, n: usize) -> __m256d {
        let mask = Lanes::<f32>::load_index(self, &LAST_LANES[2 * n.min(4)..]);
        self.avx._mm256_and_pd(v, self.avx._mm256_castsi256_pd(mask))
    }
    #[inline(always)]
    fn add(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_add_pd(a, b)
    }
    #[inline(always)]
    fn sub(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_sub_pd(a, b)
    }
    #[inline(always)]
    fn mul(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_mul_pd(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: __m256d, b: __m256d, c: __m256d) -> __m256d {
        self.fma._mm256_fmadd_pd(a, b, c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: __m256d, b: __m256d, c: __m256d) -> __m256d {
        self.fma._mm256_fnmadd_pd(a, b, c)
    }
    #[inline(always)]
    fn div(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_div_pd(a, b)
    }
    #[inline(always)]
    fn abs(self, x: __m256d) -> __m256d {
        self.avx._mm256_andnot_pd(self.avx._mm256_set1_pd(-0.0), x)
    }
    #[inline(always)]
    fn split_exponent(self, x: __m256d) -> (__m256d, __m256d) {
        let half = self.avx._mm256_set1_epi64x(SQRT_HALF_64 as i64);
        let carry = self.avx._mm256_set1_epi64x((0x3ff0_0000_0000_0000 - SQRT_HALF_64) as i64);
        let bits = self.avx2._mm256_add_epi64(self.avx._mm256_castpd_si256(x), carry);
        let m = self.avx2._mm256_and_si256(bits, self.avx._mm256_set1_epi64x(0x000f_ffff_ffff_ffff));
        let m = self.avx._mm256_castsi256_pd(self.avx2._mm256_add_epi64(m, half));
        // As the low bits of 2^52, which converts them.
        let shifter = 4_503_599_627_370_496.0_f64;
        let e = self.avx2._mm256_srli_epi64::<52>(bits);
        let e = self.avx2._mm256_or_si256(e, self.avx._mm256_set1_epi64x(shifter.to_bits() as i64));
        (m, self.avx._mm256_sub_pd(self.avx._mm256_castsi256_pd(e), self.avx._mm256_set1_pd(shifter + 1023.0)))
    }
    #[inline(always)]
    fn max(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_max_pd(a, b)
    }
    #[inline(always)]
    fn min(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_min_pd(a, b)
    }
    #[inline(always)]
    fn lt(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_cmp_pd::<_CMP_LT_OQ>(a, b)
    }
    #[inline(always)]
    fn select(self, m: __m256d, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_blendv_pd(b, a, m)
    }
    #[inline(always)]
    fn masked_add(self, m: __m256d, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_add_pd(a, self.avx._mm256_and_pd(m, b))
    }
    #[inline(always)]
    fn masked_add_fma(self, m: __m256d, a: __m256d, b: __m256d, one: __m256d) -> __m256d {
        self.fma._mm256_fmadd_pd(self.avx._mm256_and_pd(m, b), one, a)
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn interleave(self, a: __m256d, b: __m256d) -> (__m256d, __m256d) {
        let (low, high) = (self.avx._mm256_unpacklo_pd(a, b), self.avx._mm256_unpackhi_pd(a, b));
        let first = self.avx._mm256_permute2f128_pd::<0x20>(low, high);
        (first, self.avx._mm256_permute2f128_pd::<0x31>(low, high))
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn sqrt(self, x: __m256d) -> __m256d {
        self.avx._mm256_sqrt_pd(x)
    }
    #[inline(always)]
    fn reduce_sum(self, v: __m256d) -> f64 {
        let v = self.sse2._mm_add_pd(self.avx._mm256_castpd256_pd128(v), self.avx._mm256_extractf128_pd::<1>(v));
        self.sse2._mm_cvtsd_f64(self.sse2._mm_add_sd(v, self.sse2._mm_unpackhi_pd(v, v)))
    }
    #[inline(always)]
    fn splat_index(self, i: u32) -> __m128i {
        self.sse2._mm_set1_epi32(i as i32)
    }
    #[inline(always)]
    fn load_index(self, x: &[u32]) -> __m128i {
        assert!(x.len() >= 4);
        // SAFETY: 4 indices are there (asserted), any alignment will do; every x86-64 CPU has SSE2.
        unsafe { _mm_loadu_si128(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: __m128i) {
        assert!(out.len() >= 4);
        // SAFETY: room for 4 indices (asserted), any alignment will do; every x86-64 CPU has SSE2.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), i) }
    }
    #[inline(always)]
    fn eq_index(self, a: __m128i, b: __m128i) -> __m256d {
        self.avx._mm256_castsi256_pd(self.avx2._mm256_cvtepi32_epi64(self.sse2._mm_cmpeq_epi32(a, b)))
    }
    #[inline(always)]
    fn select_index(self, m: __m256d, a: __m128i, b: __m128i) -> __m128i {
        // The low half of every 64-bit mask.
        let m = self.avx2._mm256_permutevar8x32_epi32(
            self.avx._mm256_castpd_si256(m),
            self.avx._mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6),
        );
        self.sse4_1._mm_blendv_epi8(b, a, self.avx._mm256_castsi256_si128(m))
    }
    #[inline(always)]
    fn compress_indices(self, m: __m256d, first: u32, out: &mut [u32]) -> usize {
        let mask = self.avx._mm256_movemask_pd(m) as u32;
        let lanes = self.sse2._mm_set1_epi64x(COMPRESS[mask as usize & 15] as i64);
        let lanes = self.sse4_1._mm_cvtepu8_epi32(lanes);
        Lanes::<f64>::store_index(self, out, self.sse2._mm_add_epi32(lanes, Lanes::<f64>::splat_index(self, first)));
        mask.count_ones() as usize
    }
    #[inline(always)]
    fn compress_indices_u8(self, m: __m256d, first: u8, out: &mut [u8]) -> usize {
        compress_indices_u8(self.avx._mm256_movemask_pd(m) as u8, first, out)
    }
    #[inline(always)]
    fn widen(self, v: __m256d) -> __m256d {
        v
    }
    #[inline(always)]
    fn add_wide(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_add_pd(a, b)
    }
    #[inline(always)]
    fn sub_wide(self, a: __m256d, b: __m256d) -> __m256d {
        self.avx._mm256_sub_pd(a, b)
    }
    #[inline(always)]
    fn mul_wide(self, a: __m256d, b: __m256d) -> __m256d {
        Lanes::<f64>::mul(self, a, b)
    }
    #[inline(always)]
    fn load_wide(self, x: &[f64]) -> __m256d {
        Lanes::<f64>::load(self, x)
    }
    #[inline(always)]
    fn store_wide(self, out: &mut [f64], w: __m256d) {
        Lanes::<f64>::store(self, out, w);
    }
    #[inline(always)]
    fn reduce_sum_wide(self, w: __m256d) -> f64 {
        Lanes::<f64>::reduce_sum(self, w)
    }
    #[inline(always)]
    fn prefetch(self, x: &[f64], at: usize) {
        // SAFETY: a prefetch is a hint, no address can make it fault; every x86-64 CPU has SSE.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(at).cast()) }
    }
    #[inline(always)]
    fn prefetch_far(self, x: &[f64], at: usize) {
        // SAFETY: as for `prefetch`.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(x.as_ptr().wrapping_add(at).cast()) }
    }
    #[inline(always)]
    fn exp_table(self) {}
    #[inline(always)]
    fn exp_finish(self, (): (), shifted: __m256d, _: __m256d, p: __m256d) -> __m256d {
        let exponent = self.avx2._mm256_slli_epi64::<52>(self.avx._mm256_castpd_si256(shifted));
        let exponent = self.avx._mm256_castsi256_pd(exponent);
        Lanes::<f64>::mul_add(self, exponent, p, exponent)
    }
    #[inline(always)]
    fn record_exponent(self, overflow_bits: __m256d, shifted: __m256d) -> __m256d {
        self.avx._mm256_or_pd(overflow_bits, shifted)
    }
    #[inline(always)]
    fn exp_overflowed(self, overflow_bits: __m256d) -> bool {
        let overflow_bits = self.avx._mm256_castpd_si256(overflow_bits);
        let constant = self.avx._mm256_set1_epi64x(f64::SHIFTER.to_bits() as i64 | 0x7ff);
        self.avx._mm256_testc_si256(constant, overflow_bits) == 0
    }
    #[inline(always)]
    fn exp_clamp(self, x: __m256d, low: __m256d, high: __m256d) -> __m256d {
        Lanes::<f64>::min(self, high, Lanes::<f64>::max(self, low, x))
    }
}
