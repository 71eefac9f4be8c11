//! AVX-512 (F, BW, CD, DQ, VL): 16 lanes of f32 or 8 of f64.

use super::float::{SQRT_HALF_32, SQRT_HALF_64};
use super::{IndexLanes, InstructionSet, Lanes, WideLanes, x86};
use core::arch::x86_64::{
    __m256i, __m512, __m512d, __m512i, __mmask8, __mmask16, _CMP_LT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT,
    _mm256_loadu_si256, _mm256_storeu_si256, _mm512_loadu_pd, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mask_loadu_pd, _mm512_mask_loadu_ps, _mm512_mask_storeu_pd, _mm512_mask_storeu_ps, _mm512_storeu_pd,
    _mm512_storeu_ps, _mm512_storeu_si512, _mm512_stream_pd, _mm512_stream_ps,
};
use pulp::x86::V4;

/// The rounding of quiet arithmetic: to nearest, without exceptions. The instructions contain it,
/// but take no operand from memory. Exponentials of rows that do not fit their base overflow and
/// are then computed again, which must neither set a flag nor trap.
pub(crate) const QUIET: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// A mask of the first `n` lanes.
#[inline(always)]
fn first(n: usize) -> u16 {
    ((1_u32 << n.min(16)) - 1) as u16
}

impl InstructionSet for V4 {
    #[inline(never)]
    fn call_out_of_line<R>(self, f: impl FnOnce() -> R) -> R {
        self.vectorize(f)
    }
    // Zen 4 takes two steps for each operation of 512 bits.
    #[cfg(mantex_avx2)]
    type Short = pulp::x86::V3;
    #[cfg(not(mantex_avx2))]
    type Short = Self;
    #[inline(always)]
    #[allow(clippy::explicit_auto_deref, reason = "`V4` itself without AVX2")]
    fn short(self) -> Self::Short {
        #[cfg(mantex_avx2)]
        return *self;
        #[cfg(not(mantex_avx2))]
        self
    }
}

impl Lanes<f32> for V4 {
    type V = __m512;
    type Mask = __mmask16;
    const N: usize = 16;
    const REGISTERS: usize = 32;

    ops! { self;
        splat(x: f32) = self.avx512f._mm512_set1_ps(x);
        add(a, b) = self.avx512f._mm512_add_ps(a, b);
        sub(a, b) = self.avx512f._mm512_sub_ps(a, b);
        mul(a, b) = self.avx512f._mm512_mul_ps(a, b);
        div(a, b) = self.avx512f._mm512_div_ps(a, b);
        mul_add(a, b, c) = self.avx512f._mm512_fmadd_ps(a, b, c);
        neg_mul_add(a, b, c) = self.avx512f._mm512_fnmadd_ps(a, b, c);
        quiet_add(a, b) = self.avx512f._mm512_add_round_ps::<QUIET>(a, b);
        quiet_sub(a, b) = self.avx512f._mm512_sub_round_ps::<QUIET>(a, b);
        quiet_mul(a, b) = self.avx512f._mm512_mul_round_ps::<QUIET>(a, b);
        quiet_div(a, b) = self.avx512f._mm512_div_round_ps::<QUIET>(a, b);
        quiet_mul_add(a, b, c) = self.avx512f._mm512_fmadd_round_ps::<QUIET>(a, b, c);
        quiet_neg_mul_add(a, b, c) = self.avx512f._mm512_fnmadd_round_ps::<QUIET>(a, b, c);
        abs(x) = self.avx512f._mm512_abs_ps(x);
        sqrt(x) = self.avx512f._mm512_sqrt_ps(x);
        max(a, b) = self.avx512f._mm512_max_round_ps::<_MM_FROUND_NO_EXC>(a, b);
        min(a, b) = self.avx512f._mm512_min_round_ps::<_MM_FROUND_NO_EXC>(a, b);
        lt(a, b) -> Mask = self.avx512f._mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b);
        select(m: Mask, a, b) = self.avx512f._mm512_mask_blend_ps(m, b, a);
        bits(m: Mask) -> u64 = u64::from(m);
        masked_add(m: Mask, a, b) = self.avx512f._mm512_mask_add_ps(a, m, a, b);
        masked_add_fma(m: Mask, a, b, one) = self.avx512f._mm512_mask3_fmadd_ps(b, one, a, m);
        keep_last(v, n: usize) = self.avx512f._mm512_maskz_mov_ps(!first(16 - n.min(16)), v);
    }

    #[inline(always)]
    fn load(self, x: &[f32]) -> __m512 {
        assert!(x.len() >= 16);
        // SAFETY: x has 16 elements (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_loadu_ps(x.as_ptr()) }
    }
    #[inline(always)]
    fn load_tail(self, x: &[f32], fill: f32) -> __m512 {
        // SAFETY: the mask has only the lanes below x.len(), and no others are read; V4 proves
        // AVX-512F.
        unsafe { _mm512_mask_loadu_ps(self.splat(fill), first(x.len()), x.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, out: &mut [f32], v: __m512) {
        assert!(out.len() >= 16);
        // SAFETY: out has 16 elements (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn store_tail(self, out: &mut [f32], v: __m512) {
        // SAFETY: the mask has only the lanes below out.len(), and no others are written; V4 proves
        // AVX-512F.
        unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), first(out.len()), v) }
    }
    #[inline(always)]
    fn stream(self, out: &mut [f32], v: __m512) {
        assert!(out.len() >= 16 && out.as_ptr().addr().is_multiple_of(64));
        // SAFETY: out has 16 elements at a multiple of 64 (asserted); V4 proves AVX-512F.
        unsafe { _mm512_stream_ps(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn fence(self) {
        x86::fence();
    }
    #[inline(always)]
    fn prefetch(self, x: &[f32], at: usize) {
        x86::prefetch(x, at);
    }
    #[inline(always)]
    fn prefetch_far(self, x: &[f32], at: usize) {
        x86::prefetch_far(x, at);
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
    fn interleave(self, a: __m512, b: __m512) -> (__m512, __m512) {
        let low = self.avx512f._mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        let high = self.avx512f._mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        (self.avx512f._mm512_permutex2var_ps(a, low, b), self.avx512f._mm512_permutex2var_ps(a, high, b))
    }
    #[inline(always)]
    fn exchange(self, v: __m512, n: usize) -> __m512 {
        match n {
            1 => self.avx512f._mm512_permute_ps::<0xb1>(v),
            2 => self.avx512f._mm512_permute_ps::<0x4e>(v),
            4 => self.avx512f._mm512_shuffle_f32x4::<0xb1>(v, v),
            _ => self.avx512f._mm512_shuffle_f32x4::<0x4e>(v, v),
        }
    }
    #[inline(always)]
    fn reduce_sum(self, v: __m512) -> f64 {
        WideLanes::<f32>::reduce_sum_wide(self, WideLanes::<f32>::widen(self, v))
    }
}

impl IndexLanes<f32> for V4 {
    type Index = __m512i;

    ops! { self;
        splat_index(i: u32) -> Index = self.avx512f._mm512_set1_epi32(i as i32);
        eq_index(a: Index, b: Index) -> Mask = self.avx512f._mm512_cmpeq_epi32_mask(a, b);
        select_index(m: Mask, a: Index, b: Index) -> Index = self.avx512f._mm512_mask_blend_epi32(m, b, a);
    }

    #[inline(always)]
    fn load_index(self, x: &[u32]) -> __m512i {
        assert!(x.len() >= 16);
        // SAFETY: x has 16 elements (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: __m512i) {
        assert!(out.len() >= 16);
        // SAFETY: out has 16 elements (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), i) }
    }
    #[inline(always)]
    fn compress_indices(self, m: __mmask16, first: u32, out: &mut [u32]) -> usize {
        // Compressing to memory is microcode on Zen 4: compress in a register and store all of it.
        let lanes = self.avx512f._mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let lanes = self.avx512f._mm512_add_epi32(lanes, IndexLanes::<f32>::splat_index(self, first));
        IndexLanes::<f32>::store_index(self, out, self.avx512f._mm512_maskz_compress_epi32(m, lanes));
        m.count_ones() as usize
    }
}

wide_pairs!(V4, |self, v| {
    let low = self.avx512f._mm512_cvtps_pd(self.avx512f._mm512_castps512_ps256(v));
    (low, self.avx512f._mm512_cvtps_pd(self.avx512dq._mm512_extractf32x8_ps::<1>(v)))
});

impl Lanes<f64> for V4 {
    type V = __m512d;
    type Mask = __mmask8;
    const N: usize = 8;
    const REGISTERS: usize = 32;

    ops! { self;
        splat(x: f64) = self.avx512f._mm512_set1_pd(x);
        add(a, b) = self.avx512f._mm512_add_pd(a, b);
        sub(a, b) = self.avx512f._mm512_sub_pd(a, b);
        mul(a, b) = self.avx512f._mm512_mul_pd(a, b);
        div(a, b) = self.avx512f._mm512_div_pd(a, b);
        mul_add(a, b, c) = self.avx512f._mm512_fmadd_pd(a, b, c);
        neg_mul_add(a, b, c) = self.avx512f._mm512_fnmadd_pd(a, b, c);
        quiet_add(a, b) = self.avx512f._mm512_add_round_pd::<QUIET>(a, b);
        quiet_sub(a, b) = self.avx512f._mm512_sub_round_pd::<QUIET>(a, b);
        quiet_mul(a, b) = self.avx512f._mm512_mul_round_pd::<QUIET>(a, b);
        quiet_div(a, b) = self.avx512f._mm512_div_round_pd::<QUIET>(a, b);
        quiet_mul_add(a, b, c) = self.avx512f._mm512_fmadd_round_pd::<QUIET>(a, b, c);
        quiet_neg_mul_add(a, b, c) = self.avx512f._mm512_fnmadd_round_pd::<QUIET>(a, b, c);
        abs(x) = self.avx512f._mm512_abs_pd(x);
        sqrt(x) = self.avx512f._mm512_sqrt_pd(x);
        max(a, b) = self.avx512f._mm512_max_round_pd::<_MM_FROUND_NO_EXC>(a, b);
        min(a, b) = self.avx512f._mm512_min_round_pd::<_MM_FROUND_NO_EXC>(a, b);
        lt(a, b) -> Mask = self.avx512f._mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b);
        select(m: Mask, a, b) = self.avx512f._mm512_mask_blend_pd(m, b, a);
        bits(m: Mask) -> u64 = u64::from(m);
        masked_add(m: Mask, a, b) = self.avx512f._mm512_mask_add_pd(a, m, a, b);
        masked_add_fma(m: Mask, a, b, one) = self.avx512f._mm512_mask3_fmadd_pd(b, one, a, m);
        keep_last(v, n: usize) = self.avx512f._mm512_maskz_mov_pd(!first(8 - n.min(8)) as u8, v);
    }

    #[inline(always)]
    fn load(self, x: &[f64]) -> __m512d {
        assert!(x.len() >= 8);
        // SAFETY: x has 8 elements (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_loadu_pd(x.as_ptr()) }
    }
    #[inline(always)]
    fn load_tail(self, x: &[f64], fill: f64) -> __m512d {
        // SAFETY: the mask has only the lanes below x.len(), and no others are read; V4 proves
        // AVX-512F.
        unsafe { _mm512_mask_loadu_pd(self.splat(fill), first(x.len()) as u8, x.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, out: &mut [f64], v: __m512d) {
        assert!(out.len() >= 8);
        // SAFETY: out has 8 elements (asserted), any alignment will do; V4 proves AVX-512F.
        unsafe { _mm512_storeu_pd(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn store_tail(self, out: &mut [f64], v: __m512d) {
        // SAFETY: the mask has only the lanes below out.len(), and no others are written; V4 proves
        // AVX-512F.
        unsafe { _mm512_mask_storeu_pd(out.as_mut_ptr(), first(out.len()) as u8, v) }
    }
    #[inline(always)]
    fn stream(self, out: &mut [f64], v: __m512d) {
        assert!(out.len() >= 8 && out.as_ptr().addr().is_multiple_of(64));
        // SAFETY: out has 8 elements at a multiple of 64 (asserted); V4 proves AVX-512F.
        unsafe { _mm512_stream_pd(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn fence(self) {
        x86::fence();
    }
    #[inline(always)]
    fn prefetch(self, x: &[f64], at: usize) {
        x86::prefetch(x, at);
    }
    #[inline(always)]
    fn prefetch_far(self, x: &[f64], at: usize) {
        x86::prefetch_far(x, at);
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
    fn reduce_sum(self, v: __m512d) -> f64 {
        let high = self.avx512f._mm512_extractf64x4_pd::<1>(v);
        let v = self.avx._mm256_add_pd(self.avx512f._mm512_castpd512_pd256(v), high);
        let v = self.sse2._mm_add_pd(self.avx._mm256_castpd256_pd128(v), self.avx._mm256_extractf128_pd::<1>(v));
        self.sse2._mm_cvtsd_f64(self.sse2._mm_add_sd(v, self.sse2._mm_unpackhi_pd(v, v)))
    }
    #[inline(always)]
    fn interleave(self, a: __m512d, b: __m512d) -> (__m512d, __m512d) {
        let low = self.avx512f._mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
        let high = self.avx512f._mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
        (self.avx512f._mm512_permutex2var_pd(a, low, b), self.avx512f._mm512_permutex2var_pd(a, high, b))
    }
    #[inline(always)]
    fn exchange(self, v: __m512d, n: usize) -> __m512d {
        match n {
            1 => self.avx512f._mm512_permute_pd::<0x55>(v),
            2 => self.avx512f._mm512_shuffle_f64x2::<0xb1>(v, v),
            _ => self.avx512f._mm512_shuffle_f64x2::<0x4e>(v, v),
        }
    }
}

impl IndexLanes<f64> for V4 {
    type Index = __m256i;

    ops! { self;
        splat_index(i: u32) -> Index = self.avx._mm256_set1_epi32(i as i32);
        eq_index(a: Index, b: Index) -> Mask = self.avx512vl._mm256_cmpeq_epi32_mask(a, b);
        select_index(m: Mask, a: Index, b: Index) -> Index = self.avx512vl._mm256_mask_blend_epi32(m, b, a);
    }

    #[inline(always)]
    fn load_index(self, x: &[u32]) -> __m256i {
        assert!(x.len() >= 8);
        // SAFETY: x has 8 elements (asserted), any alignment will do; V4 proves AVX.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: __m256i) {
        assert!(out.len() >= 8);
        // SAFETY: out has 8 elements (asserted), any alignment will do; V4 proves AVX.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), i) }
    }
    #[inline(always)]
    fn compress_indices(self, m: __mmask8, first: u32, out: &mut [u32]) -> usize {
        let lanes = self.avx._mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let lanes = self.avx2._mm256_add_epi32(lanes, IndexLanes::<f64>::splat_index(self, first));
        IndexLanes::<f64>::store_index(self, out, self.avx512vl._mm256_maskz_compress_epi32(m, lanes));
        m.count_ones() as usize
    }
}
