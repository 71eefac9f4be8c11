//! AVX-512 (F, BW, CD, DQ, VL): 16 lanes of f32 or 8 of f64.

use super::{ExpScheme, Lanes, compress_indices_u8};
use crate::kernels::math::exp::{self, SQRT_HALF_32, SQRT_HALF_64};
use core::arch::x86_64::{
    __m256i, __m512, __m512d, __m512i, __mmask8, __mmask16, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm_sfence,
    _mm_storeu_si128, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_loadu_pd, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mask_loadu_pd, _mm512_mask_loadu_ps, _mm512_mask_storeu_pd, _mm512_mask_storeu_ps, _mm512_storeu_pd,
    _mm512_storeu_ps, _mm512_storeu_si512, _mm512_stream_pd, _mm512_stream_ps,
};
use pulp::x86::V4;

/// A mask of the first `n` lanes.
#[inline(always)]
fn first(n: usize) -> u16 {
    ((1_u32 << n.min(16)) - 1) as u16
}

impl Lanes<f32> for V4 {
    type V = __m512;
    type Mask = __mmask16;
    type Table = __m512;
    type Index = __m512i;
    type Wide = (__m512d, __m512d);
    const N: usize = 16;
    const IN_FLIGHT: usize = 4;
    const REGISTERS: usize = 32;
    const RECOMPUTE: bool = true;
    const EXP: ExpScheme<f32> = exp::F32_TABLE16;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        self.avx512f._mm512_set1_ps(x)
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> __m512 {
        assert!(x.len() >= 16);
        // SAFETY: 16 elements are there (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_loadu_ps(x.as_ptr()) }
    }
    #[inline(always)]
    fn load_tail(self, x: &[f32], fill: f32) -> __m512 {
        // SAFETY: only the lanes below x.len() are read; V4 proves AVX-512F.
        unsafe { _mm512_mask_loadu_ps(self.splat(fill), first(x.len()), x.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, out: &mut [f32], v: __m512) {
        assert!(out.len() >= 16);
        // SAFETY: room for 16 elements (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn store_tail(self, out: &mut [f32], v: __m512) {
        // SAFETY: only the lanes below out.len() are written; V4 proves AVX-512F.
        unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), first(out.len()), v) }
    }
    #[inline(always)]
    fn stream(self, out: &mut [f32], v: __m512) {
        assert!(out.len() >= 16 && out.as_ptr().addr().is_multiple_of(64));
        // SAFETY: room for 16 elements at an address that is a multiple of 64 (asserted); V4 proves AVX-512F.
        unsafe { _mm512_stream_ps(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn fence(self) {
        // SAFETY: every x86-64 CPU has SSE.
        unsafe { _mm_sfence() }
    }
    #[inline(always)]
    fn keep_last(self, v: __m512, n: usize) -> __m512 {
        self.avx512f._mm512_maskz_mov_ps(!first(16 - n.min(16)), v)
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_add_ps(a, b)
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_sub_ps(a, b)
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_mul_ps(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        self.avx512f._mm512_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        self.avx512f._mm512_fnmadd_ps(a, b, c)
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_div_ps(a, b)
    }
    #[inline(always)]
    fn abs(self, x: __m512) -> __m512 {
        self.avx512f._mm512_abs_ps(x)
    }
    #[inline(always)]
    fn split_exponent(self, x: __m512) -> (__m512, __m512) {
        // As on AVX2, so that both give the same logarithms.
        let half = self.avx512f._mm512_set1_epi32(SQRT_HALF_32 as i32);
        let carry = self.avx512f._mm512_set1_epi32((0x3f80_0000 - SQRT_HALF_32) as i32);
        let bits = self.avx512f._mm512_add_epi32(self.avx512f._mm512_castps_si512(x), carry);
        let m = self.avx512f._mm512_and_si512(bits, self.avx512f._mm512_set1_epi32(0x007f_ffff));
        let m = self.avx512f._mm512_castsi512_ps(self.avx512f._mm512_add_epi32(m, half));
        let e = self.avx512f._mm512_cvtepi32_ps(self.avx512f._mm512_srli_epi32::<23>(bits));
        (m, self.avx512f._mm512_sub_ps(e, self.avx512f._mm512_set1_ps(127.0)))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_max_ps(a, b)
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_min_ps(a, b)
    }
    #[inline(always)]
    fn lt(self, a: __m512, b: __m512) -> __mmask16 {
        self.avx512f._mm512_cmp_ps_mask::<{ core::arch::x86_64::_CMP_LT_OQ }>(a, b)
    }
    #[inline(always)]
    fn select(self, m: __mmask16, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_mask_blend_ps(m, b, a)
    }
    #[inline(always)]
    fn masked_add(self, m: __mmask16, a: __m512, b: __m512) -> __m512 {
        self.avx512f._mm512_mask_add_ps(a, m, a, b)
    }
    #[inline(always)]
    fn masked_add_fma(self, m: __mmask16, a: __m512, b: __m512, one: __m512) -> __m512 {
        self.avx512f._mm512_mask3_fmadd_ps(b, one, a, m)
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn interleave(self, a: __m512, b: __m512) -> (__m512, __m512) {
        let low = self.avx512f._mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        let high = self.avx512f._mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        (self.avx512f._mm512_permutex2var_ps(a, low, b), self.avx512f._mm512_permutex2var_ps(a, high, b))
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn sqrt(self, x: __m512) -> __m512 {
        self.avx512f._mm512_sqrt_ps(x)
    }
    #[inline(always)]
    fn reduce_sum(self, v: __m512) -> f64 {
        let low = self.avx512f._mm512_cvtps_pd(self.avx512f._mm512_castps512_ps256(v));
        let high = self.avx512f._mm512_cvtps_pd(self.avx512dq._mm512_extractf32x8_ps::<1>(v));
        self.avx512f._mm512_reduce_add_pd(self.avx512f._mm512_add_pd(low, high))
    }
    #[inline(always)]
    fn splat_index(self, i: u32) -> __m512i {
        self.avx512f._mm512_set1_epi32(i as i32)
    }
    #[inline(always)]
    fn load_index(self, x: &[u32]) -> __m512i {
        assert!(x.len() >= 16);
        // SAFETY: 16 indices are there (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: __m512i) {
        assert!(out.len() >= 16);
        // SAFETY: room for 16 indices (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), i) }
    }
    #[inline(always)]
    fn eq_index(self, a: __m512i, b: __m512i) -> __mmask16 {
        self.avx512f._mm512_cmpeq_epi32_mask(a, b)
    }
    #[inline(always)]
    fn select_index(self, m: __mmask16, a: __m512i, b: __m512i) -> __m512i {
        self.avx512f._mm512_mask_blend_epi32(m, b, a)
    }
    #[inline(always)]
    fn compress_indices(self, m: __mmask16, first: u32, out: &mut [u32]) -> usize {
        // Compressing straight to memory is microcode on Zen 4: compress in a register, store the whole of it.
        let lanes = self.avx512f._mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let lanes = self.avx512f._mm512_add_epi32(lanes, Lanes::<f32>::splat_index(self, first));
        Lanes::<f32>::store_index(self, out, self.avx512f._mm512_maskz_compress_epi32(m, lanes));
        m.count_ones() as usize
    }
    #[inline(always)]
    fn compress_indices_u8(self, m: __mmask16, first: u8, out: &mut [u8]) -> usize {
        assert!(out.len() >= 16);
        let lanes = self.avx512f._mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let lanes = self.avx512f._mm512_add_epi32(lanes, Lanes::<f32>::splat_index(self, u32::from(first)));
        let lanes = self.avx512f._mm512_cvtepi32_epi8(self.avx512f._mm512_maskz_compress_epi32(m, lanes));
        // SAFETY: room for 16 bytes (asserted), any alignment will do; every x86-64 CPU has SSE2.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), lanes) };
        m.count_ones() as usize
    }
    #[inline(always)]
    fn widen(self, v: __m512) -> (__m512d, __m512d) {
        let low = self.avx512f._mm512_cvtps_pd(self.avx512f._mm512_castps512_ps256(v));
        (low, self.avx512f._mm512_cvtps_pd(self.avx512dq._mm512_extractf32x8_ps::<1>(v)))
    }
    #[inline(always)]
    fn add_wide(self, a: (__m512d, __m512d), b: (__m512d, __m512d)) -> (__m512d, __m512d) {
        (self.avx512f._mm512_add_pd(a.0, b.0), self.avx512f._mm512_add_pd(a.1, b.1))
    }
    #[inline(always)]
    fn sub_wide(self, a: (__m512d, __m512d), b: (__m512d, __m512d)) -> (__m512d, __m512d) {
        (self.avx512f._mm512_sub_pd(a.0, b.0), self.avx512f._mm512_sub_pd(a.1, b.1))
    }
    #[inline(always)]
    fn mul_wide(self, a: (__m512d, __m512d), b: (__m512d, __m512d)) -> (__m512d, __m512d) {
        (Lanes::<f64>::mul(self, a.0, b.0), Lanes::<f64>::mul(self, a.1, b.1))
    }
    #[inline(always)]
    fn load_wide(self, x: &[f64]) -> (__m512d, __m512d) {
        (Lanes::<f64>::load(self, x), Lanes::<f64>::load(self, &x[8..]))
    }
    #[inline(always)]
    fn store_wide(self, out: &mut [f64], w: (__m512d, __m512d)) {
        Lanes::<f64>::store(self, out, w.0);
        Lanes::<f64>::store(self, &mut out[8..], w.1);
    }
    #[inline(always)]
    fn reduce_sum_wide(self, w: (__m512d, __m512d)) -> f64 {
        self.avx512f._mm512_reduce_add_pd(self.avx512f._mm512_add_pd(w.0, w.1))
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
    fn exp_table(self) -> __m512 {
        let (low, high) = Lanes::<f64>::exp_table(self);
        let low = self.avx512f._mm512_castps256_ps512(self.avx512f._mm512_cvtpd_ps(low));
        self.avx512dq._mm512_insertf32x8::<1>(low, self.avx512f._mm512_cvtpd_ps(high))
    }
    #[inline(always)]
    fn exp_finish(self, table: __m512, shifted: __m512, exponent: __m512, p: __m512) -> __m512 {
        // The permutation looks at the low four bits of each index, scalef at the floor of the exponent.
        let power = self.avx512f._mm512_permutexvar_ps(self.avx512f._mm512_castps_si512(shifted), table);
        self.avx512f._mm512_scalef_ps(Lanes::<f32>::mul_add(self, power, p, power), exponent)
    }
    #[inline(always)]
    fn exp_clamp_low(self, x: __m512, _: __m512) -> __m512 {
        // scalef(NaN, -inf) is 0 and scalef(NaN, +inf) is +inf, which is what infinities come to.
        x
    }
    #[inline(always)]
    fn exp_clamp(self, x: __m512, low: __m512, high: __m512) -> __m512 {
        Lanes::<f32>::min(self, high, Lanes::<f32>::max(self, low, x))
    }
    #[inline(always)]
    fn exp2_clamp(self, y: __m512, _: __m512, _: __m512) -> __m512 {
        y
    }
}

impl Lanes<f64> for V4 {
    type V = __m512d;
    type Mask = __mmask8;
    type Table = (__m512d, __m512d);
    type Index = __m256i;
    type Wide = __m512d;
    const N: usize = 8;
    const IN_FLIGHT: usize = 4;
    const REGISTERS: usize = 32;
    const RECOMPUTE: bool = true;
    const EXP: ExpScheme<f64> = exp::F64_TABLE16;

    #[inline(always)]
    fn splat(self, x: f64) -> __m512d {
        self.avx512f._mm512_set1_pd(x)
    }
    #[inline(always)]
    fn load(self, x: &[f64]) -> __m512d {
        assert!(x.len() >= 8);
        // SAFETY: 8 elements are there (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_loadu_pd(x.as_ptr()) }
    }
    #[inline(always)]
    fn load_tail(self, x: &[f64], fill: f64) -> __m512d {
        // SAFETY: only the lanes below x.len() are read; V4 proves AVX-512F.
        unsafe { _mm512_mask_loadu_pd(self.splat(fill), first(x.len()) as u8, x.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, out: &mut [f64], v: __m512d) {
        assert!(out.len() >= 8);
        // SAFETY: room for 8 elements (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_storeu_pd(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn store_tail(self, out: &mut [f64], v: __m512d) {
        // SAFETY: only the lanes below out.len() are written; V4 proves AVX-512F.
        unsafe { _mm512_mask_storeu_pd(out.as_mut_ptr(), first(out.len()) as u8, v) }
    }
    #[inline(always)]
    fn stream(self, out: &mut [f64], v: __m512d) {
        assert!(out.len() >= 8 && out.as_ptr().addr().is_multiple_of(64));
        // SAFETY: room for 8 elements at an address that is a multiple of 64 (asserted); V4 proves AVX-512F.
        unsafe { _mm512_stream_pd(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn fence(self) {
        Lanes::<f32>::fence(self);
    }
    #[inline(always)]
    fn keep_last(self, v: __m512d, n: usize) -> __m512d {
        self.avx512f._mm512_maskz_mov_pd(!first(8 - n.min(8)) as u8, v)
    }
    #[inline(always)]
    fn add(self, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_add_pd(a, b)
    }
    #[inline(always)]
    fn sub(self, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_sub_pd(a, b)
    }
    #[inline(always)]
    fn mul(self, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_mul_pd(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: __m512d, b: __m512d, c: __m512d) -> __m512d {
        self.avx512f._mm512_fmadd_pd(a, b, c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: __m512d, b: __m512d, c: __m512d) -> __m512d {
        self.avx512f._mm512_fnmadd_pd(a, b, c)
    }
    #[inline(always)]
    fn div(self, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_div_pd(a, b)
    }
    #[inline(always)]
    fn abs(self, x: __m512d) -> __m512d {
        self.avx512f._mm512_abs_pd(x)
    }
    #[inline(always)]
    fn split_exponent(self, x: __m512d) -> (__m512d, __m512d) {
        let half = self.avx512f._mm512_set1_epi64(SQRT_HALF_64 as i64);
        let carry = self.avx512f._mm512_set1_epi64((0x3ff0_0000_0000_0000 - SQRT_HALF_64) as i64);
        let bits = self.avx512f._mm512_add_epi64(self.avx512f._mm512_castpd_si512(x), carry);
        let m = self.avx512f._mm512_and_si512(bits, self.avx512f._mm512_set1_epi64(0x000f_ffff_ffff_ffff));
        let m = self.avx512f._mm512_castsi512_pd(self.avx512f._mm512_add_epi64(m, half));
        let e = self.avx512dq._mm512_cvtepi64_pd(self.avx512f._mm512_srli_epi64::<52>(bits));
        (m, self.avx512f._mm512_sub_pd(e, self.avx512f._mm512_set1_pd(1023.0)))
    }
    #[inline(always)]
    fn max(self, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_max_pd(a, b)
    }
    #[inline(always)]
    fn min(self, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_min_pd(a, b)
    }
    #[inline(always)]
    fn lt(self, a: __m512d, b: __m512d) -> __mmask8 {
        self.avx512f._mm512_cmp_pd_mask::<{ core::arch::x86_64::_CMP_LT_OQ }>(a, b)
    }
    #[inline(always)]
    fn select(self, m: __mmask8, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_mask_blend_pd(m, b, a)
    }
    #[inline(always)]
    fn masked_add(self, m: __mmask8, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_mask_add_pd(a, m, a, b)
    }
    #[inline(always)]
    fn masked_add_fma(self, m: __mmask8, a: __m512d, b: __m512d, one: __m512d) -> __m512d {
        self.avx512f._mm512_mask3_fmadd_pd(b, one, a, m)
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn interleave(self, a: __m512d, b: __m512d) -> (__m512d, __m512d) {
        let low = self.avx512f._mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
        let high = self.avx512f._mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
        (self.avx512f._mm512_permutex2var_pd(a, low, b), self.avx512f._mm512_permutex2var_pd(a, high, b))
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn sqrt(self, x: __m512d) -> __m512d {
        self.avx512f._mm512_sqrt_pd(x)
    }
    #[inline(always)]
    fn reduce_sum(self, v: __m512d) -> f64 {
        self.avx512f._mm512_reduce_add_pd(v)
    }
    #[inline(always)]
    fn splat_index(self, i: u32) -> __m256i {
        self.avx._mm256_set1_epi32(i as i32)
    }
    #[inline(always)]
    fn load_index(self, x: &[u32]) -> __m256i {
        assert!(x.len() >= 8);
        // SAFETY: 8 indices are there (asserted), any alignment will do; V4 proves AVX.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: __m256i) {
        assert!(out.len() >= 8);
        // SAFETY: room for 8 indices (asserted), any alignment will do; V4 proves AVX.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), i) }
    }
    #[inline(always)]
    fn eq_index(self, a: __m256i, b: __m256i) -> __mmask8 {
        self.avx512vl._mm256_cmpeq_epi32_mask(a, b)
    }
    #[inline(always)]
    fn select_index(self, m: __mmask8, a: __m256i, b: __m256i) -> __m256i {
        self.avx512vl._mm256_mask_blend_epi32(m, b, a)
    }
    #[inline(always)]
    fn compress_indices(self, m: __mmask8, first: u32, out: &mut [u32]) -> usize {
        let lanes = self.avx._mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let lanes = self.avx2._mm256_add_epi32(lanes, Lanes::<f64>::splat_index(self, first));
        Lanes::<f64>::store_index(self, out, self.avx512vl._mm256_maskz_compress_epi32(m, lanes));
        m.count_ones() as usize
    }
    #[inline(always)]
    fn compress_indices_u8(self, m: __mmask8, first: u8, out: &mut [u8]) -> usize {
        compress_indices_u8(m, first, out)
    }
    #[inline(always)]
    fn widen(self, v: __m512d) -> __m512d {
        v
    }
    #[inline(always)]
    fn add_wide(self, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_add_pd(a, b)
    }
    #[inline(always)]
    fn sub_wide(self, a: __m512d, b: __m512d) -> __m512d {
        self.avx512f._mm512_sub_pd(a, b)
    }
    #[inline(always)]
    fn mul_wide(self, a: __m512d, b: __m512d) -> __m512d {
        Lanes::<f64>::mul(self, a, b)
    }
    #[inline(always)]
    fn load_wide(self, x: &[f64]) -> __m512d {
        Lanes::<f64>::load(self, x)
    }
    #[inline(always)]
    fn store_wide(self, out: &mut [f64], w: __m512d) {
        Lanes::<f64>::store(self, out, w);
    }
    #[inline(always)]
    fn reduce_sum_wide(self, w: __m512d) -> f64 {
        self.avx512f._mm512_reduce_add_pd(w)
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
    fn exp_table(self) -> (__m512d, __m512d) {
        let t = &exp::POWERS_OF_TWO_16;
        (self.load(&t[..8]), self.load(&t[8..]))
    }
    #[inline(always)]
    fn exp_finish(self, table: Self::Table, shifted: __m512d, exponent: __m512d, p: __m512d) -> __m512d {
        let index = self.avx512f._mm512_castpd_si512(shifted);
        let power = self.avx512f._mm512_permutex2var_pd(table.0, index, table.1);
        self.avx512f._mm512_scalef_pd(Lanes::<f64>::mul_add(self, power, p, power), exponent)
    }
    #[inline(always)]
    fn exp_clamp_low(self, x: __m512d, _: __m512d) -> __m512d {
        // scalef(NaN, -inf) is 0 and scalef(NaN, +inf) is +inf, which is what infinities come to.
        x
    }
    #[inline(always)]
    fn exp_clamp(self, x: __m512d, low: __m512d, high: __m512d) -> __m512d {
        Lanes::<f64>::min(self, high, Lanes::<f64>::max(self, low, x))
    }
    #[inline(always)]
    fn exp2_clamp(self, y: __m512d, _: __m512d, _: __m512d) -> __m512d {
        y
    }
}
