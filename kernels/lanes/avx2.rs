//! AVX2 with FMA: 8 lanes of f32 or 4 of f64.

use super::float::{SQRT_HALF_32, SQRT_HALF_64};
use super::masks::{LAST_LANES, SET_LANES};
use super::{IndexLanes, InstructionSet, Lanes, WideLanes, x86};
use core::arch::x86_64::{
    __m128i, __m256, __m256d, __m256i, _CMP_LT_OQ, _mm_castps_si128, _mm_loadu_si128, _mm_store_sd, _mm_store_ss,
    _mm_storel_epi64, _mm_storeu_pd, _mm_storeu_ps, _mm_storeu_si128, _mm256_loadu_pd, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_maskload_pd, _mm256_maskload_ps, _mm256_storeu_pd, _mm256_storeu_ps,
    _mm256_storeu_si256, _mm256_stream_pd, _mm256_stream_ps,
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

impl InstructionSet for V3 {
    #[inline(never)]
    fn call_out_of_line<R>(self, f: impl FnOnce() -> R) -> R {
        self.vectorize(f)
    }
    type Short = Self;
    #[inline(always)]
    fn short(self) -> Self {
        self
    }
}

/// [`Lanes::lt_bits`] for 32 elements, packed to a byte each, so that one instruction gathers them.
#[inline(always)]
fn lt_bits_32(l: V3, a: &[f32], b: &[f32]) -> u64 {
    let (a, b) = (&a[..32], &b[..32]);
    let mut lt = [l.avx._mm256_setzero_si256(); 4];
    for (i, lt) in lt.iter_mut().enumerate() {
        let (a, b) = (Lanes::<f32>::load(l, &a[8 * i..]), Lanes::<f32>::load(l, &b[8 * i..]));
        *lt = l.avx._mm256_castps_si256(Lanes::<f32>::lt(l, a, b));
    }
    let halves = [l.avx2._mm256_packs_epi32(lt[0], lt[1]), l.avx2._mm256_packs_epi32(lt[2], lt[3])];
    let bytes = l.avx2._mm256_packs_epi16(halves[0], halves[1]);
    // Packing keeps the halves of vectors apart.
    let bytes = l.avx2._mm256_permutevar8x32_epi32(bytes, l.avx._mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    u64::from(l.avx2._mm256_movemask_epi8(bytes) as u32)
}

impl Lanes<f32> for V3 {
    type V = __m256;
    type Mask = __m256;
    const N: usize = 8;
    const REGISTERS: usize = 16;

    ops! { self;
        splat(x: f32) = self.avx._mm256_set1_ps(x);
        add(a, b) = self.avx._mm256_add_ps(a, b);
        sub(a, b) = self.avx._mm256_sub_ps(a, b);
        mul(a, b) = self.avx._mm256_mul_ps(a, b);
        div(a, b) = self.avx._mm256_div_ps(a, b);
        mul_add(a, b, c) = self.fma._mm256_fmadd_ps(a, b, c);
        neg_mul_add(a, b, c) = self.fma._mm256_fnmadd_ps(a, b, c);
        abs(x) = self.avx._mm256_andnot_ps(self.avx._mm256_set1_ps(-0.0), x);
        sqrt(x) = self.avx._mm256_sqrt_ps(x);
        max(a, b) = self.avx._mm256_max_ps(a, b);
        min(a, b) = self.avx._mm256_min_ps(a, b);
        lt(a, b) -> Mask = self.avx._mm256_cmp_ps::<_CMP_LT_OQ>(a, b);
        select(m: Mask, a, b) = self.avx._mm256_blendv_ps(b, a, m);
        bits(m: Mask) -> u64 = u64::from(self.avx._mm256_movemask_ps(m) as u32);
        masked_add(m: Mask, a, b) = self.avx._mm256_add_ps(a, self.avx._mm256_and_ps(m, b));
        masked_add_fma(m: Mask, a, b, one) = self.fma._mm256_fmadd_ps(self.avx._mm256_and_ps(m, b), one, a);
    }

    #[inline(always)]
    fn lt_bits(self, a: &[f32], b: &[f32]) -> u64 {
        lt_bits_32(self, &a[..32], &b[..32]) | lt_bits_32(self, &a[32..], &b[32..]) << 32
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> __m256 {
        assert!(x.len() >= 8);
        // SAFETY: x has 8 elements (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_loadu_ps(x.as_ptr()) }
    }
    #[inline(always)]
    fn load_tail(self, x: &[f32], fill: f32) -> __m256 {
        let mask = first_32(self, x.len());
        // SAFETY: the mask has only the lanes below x.len(), and no others are read; V3 proves
        // AVX.
        let v = unsafe { _mm256_maskload_ps(x.as_ptr(), mask) };
        Lanes::<f32>::select(self, self.avx._mm256_castsi256_ps(mask), v, self.splat(fill))
    }
    #[inline(always)]
    fn store(self, out: &mut [f32], v: __m256) {
        assert!(out.len() >= 8);
        // SAFETY: out has 8 elements (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn store_tail(self, out: &mut [f32], v: __m256) {
        // In halves instead of under a mask, because AMD CPUs run maskstore as microcode.
        let mut half = self.avx._mm256_castps256_ps128(v);
        let (mut to, n) = (out.as_mut_ptr(), out.len());
        // SAFETY: min(n, 8) elements are written: 8, or 4, 2 and 1 by the bits of n; V3 proves AVX.
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
        // SAFETY: out has 8 elements and starts at a multiple of 32 (asserted); V3 proves AVX.
        unsafe { _mm256_stream_ps(out.as_mut_ptr(), v) }
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
    fn keep_last(self, v: __m256, n: usize) -> __m256 {
        let mask = IndexLanes::<f32>::load_index(self, &LAST_LANES[n.min(8)..]);
        self.avx._mm256_and_ps(v, self.avx._mm256_castsi256_ps(mask))
    }
    #[inline(always)]
    fn split_exponent(self, x: __m256) -> (__m256, __m256) {
        // As `super::split_exponent`: the significand carries if x >= sqrt(2) * 2^e.
        let half = self.avx._mm256_set1_epi32(SQRT_HALF_32 as i32);
        let carry = self.avx._mm256_set1_epi32((0x3f80_0000 - SQRT_HALF_32) as i32);
        let bits = self.avx2._mm256_add_epi32(self.avx._mm256_castps_si256(x), carry);
        let m = self.avx2._mm256_and_si256(bits, self.avx._mm256_set1_epi32(0x007f_ffff));
        let m = self.avx._mm256_castsi256_ps(self.avx2._mm256_add_epi32(m, half));
        let e = self.avx._mm256_cvtepi32_ps(self.avx2._mm256_srli_epi32::<23>(bits));
        (m, self.avx._mm256_sub_ps(e, self.avx._mm256_set1_ps(127.0)))
    }
    #[inline(always)]
    fn interleave(self, a: __m256, b: __m256) -> (__m256, __m256) {
        let (low, high) = (self.avx._mm256_unpacklo_ps(a, b), self.avx._mm256_unpackhi_ps(a, b));
        let first = self.avx._mm256_permute2f128_ps::<0x20>(low, high);
        (first, self.avx._mm256_permute2f128_ps::<0x31>(low, high))
    }
    #[inline(always)]
    fn exchange(self, v: __m256, n: usize) -> __m256 {
        match n {
            1 => self.avx._mm256_permute_ps::<0xb1>(v),
            2 => self.avx._mm256_permute_ps::<0x4e>(v),
            _ => self.avx._mm256_permute2f128_ps::<0x01>(v, v),
        }
    }
    #[inline(always)]
    fn reduce_sum(self, v: __m256) -> f64 {
        WideLanes::<f32>::reduce_sum_wide(self, WideLanes::<f32>::widen(self, v))
    }
}

impl IndexLanes<f32> for V3 {
    type Index = __m256i;

    ops! { self;
        splat_index(i: u32) -> Index = self.avx._mm256_set1_epi32(i as i32);
        eq_index(a: Index, b: Index) -> Mask = self.avx._mm256_castsi256_ps(self.avx2._mm256_cmpeq_epi32(a, b));
        select_index(m: Mask, a: Index, b: Index) -> Index =
            self.avx2._mm256_blendv_epi8(b, a, self.avx._mm256_castps_si256(m));
    }

    #[inline(always)]
    fn load_index(self, x: &[u32]) -> __m256i {
        assert!(x.len() >= 8);
        // SAFETY: x has 8 elements (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: __m256i) {
        assert!(out.len() >= 8);
        // SAFETY: out has 8 elements (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), i) }
    }
    #[inline(always)]
    fn compress_indices(self, m: __m256, first: u32, out: &mut [u32]) -> usize {
        let mask = self.avx._mm256_movemask_ps(m) as u32;
        let lanes = self.sse2._mm_set1_epi64x(SET_LANES[mask as usize & 255] as i64);
        let lanes = self.avx2._mm256_cvtepu8_epi32(lanes);
        let lanes = self.avx2._mm256_add_epi32(lanes, IndexLanes::<f32>::splat_index(self, first));
        IndexLanes::<f32>::store_index(self, out, lanes);
        mask.count_ones() as usize
    }
}

wide_pairs!(V3, |self, v| {
    let low = self.avx._mm256_cvtps_pd(self.avx._mm256_castps256_ps128(v));
    (low, self.avx._mm256_cvtps_pd(self.avx._mm256_extractf128_ps::<1>(v)))
});

impl Lanes<f64> for V3 {
    type V = __m256d;
    type Mask = __m256d;
    const N: usize = 4;
    const REGISTERS: usize = 16;

    ops! { self;
        splat(x: f64) = self.avx._mm256_set1_pd(x);
        add(a, b) = self.avx._mm256_add_pd(a, b);
        sub(a, b) = self.avx._mm256_sub_pd(a, b);
        mul(a, b) = self.avx._mm256_mul_pd(a, b);
        div(a, b) = self.avx._mm256_div_pd(a, b);
        mul_add(a, b, c) = self.fma._mm256_fmadd_pd(a, b, c);
        neg_mul_add(a, b, c) = self.fma._mm256_fnmadd_pd(a, b, c);
        abs(x) = self.avx._mm256_andnot_pd(self.avx._mm256_set1_pd(-0.0), x);
        sqrt(x) = self.avx._mm256_sqrt_pd(x);
        max(a, b) = self.avx._mm256_max_pd(a, b);
        min(a, b) = self.avx._mm256_min_pd(a, b);
        lt(a, b) -> Mask = self.avx._mm256_cmp_pd::<_CMP_LT_OQ>(a, b);
        select(m: Mask, a, b) = self.avx._mm256_blendv_pd(b, a, m);
        bits(m: Mask) -> u64 = u64::from(self.avx._mm256_movemask_pd(m) as u32);
        masked_add(m: Mask, a, b) = self.avx._mm256_add_pd(a, self.avx._mm256_and_pd(m, b));
        masked_add_fma(m: Mask, a, b, one) = self.fma._mm256_fmadd_pd(self.avx._mm256_and_pd(m, b), one, a);
    }

    #[inline(always)]
    fn load(self, x: &[f64]) -> __m256d {
        assert!(x.len() >= 4);
        // SAFETY: x has 4 elements (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_loadu_pd(x.as_ptr()) }
    }
    #[inline(always)]
    fn load_tail(self, x: &[f64], fill: f64) -> __m256d {
        let mask = first_64(self, x.len());
        // SAFETY: the mask has only the lanes below x.len(), and no others are read; V3 proves
        // AVX.
        let v = unsafe { _mm256_maskload_pd(x.as_ptr(), mask) };
        Lanes::<f64>::select(self, self.avx._mm256_castsi256_pd(mask), v, self.splat(fill))
    }
    #[inline(always)]
    fn store(self, out: &mut [f64], v: __m256d) {
        assert!(out.len() >= 4);
        // SAFETY: out has 4 elements (asserted), any alignment will do; V3 proves AVX.
        unsafe { _mm256_storeu_pd(out.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn store_tail(self, out: &mut [f64], v: __m256d) {
        let mut half = self.avx._mm256_castpd256_pd128(v);
        let (mut to, n) = (out.as_mut_ptr(), out.len());
        // SAFETY: min(n, 4) elements are written: 4, or 2 and 1 by the bits of n; V3 proves AVX.
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
        // SAFETY: out has 4 elements and starts at a multiple of 32 (asserted); V3 proves AVX.
        unsafe { _mm256_stream_pd(out.as_mut_ptr(), v) }
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
    fn keep_last(self, v: __m256d, n: usize) -> __m256d {
        let mask = IndexLanes::<f32>::load_index(self, &LAST_LANES[2 * n.min(4)..]);
        self.avx._mm256_and_pd(v, self.avx._mm256_castsi256_pd(mask))
    }
    #[inline(always)]
    fn split_exponent(self, x: __m256d) -> (__m256d, __m256d) {
        let half = self.avx._mm256_set1_epi64x(SQRT_HALF_64 as i64);
        let carry = self.avx._mm256_set1_epi64x((0x3ff0_0000_0000_0000 - SQRT_HALF_64) as i64);
        let bits = self.avx2._mm256_add_epi64(self.avx._mm256_castpd_si256(x), carry);
        let m = self.avx2._mm256_and_si256(bits, self.avx._mm256_set1_epi64x(0x000f_ffff_ffff_ffff));
        let m = self.avx._mm256_castsi256_pd(self.avx2._mm256_add_epi64(m, half));
        // AVX2 cannot convert 64-bit integers: the exponent becomes the low bits of 2^52.
        let shifter = 4_503_599_627_370_496.0_f64;
        let e = self.avx2._mm256_srli_epi64::<52>(bits);
        let e = self.avx2._mm256_or_si256(e, self.avx._mm256_set1_epi64x(shifter.to_bits() as i64));
        (m, self.avx._mm256_sub_pd(self.avx._mm256_castsi256_pd(e), self.avx._mm256_set1_pd(shifter + 1023.0)))
    }
    #[inline(always)]
    fn interleave(self, a: __m256d, b: __m256d) -> (__m256d, __m256d) {
        let (low, high) = (self.avx._mm256_unpacklo_pd(a, b), self.avx._mm256_unpackhi_pd(a, b));
        let first = self.avx._mm256_permute2f128_pd::<0x20>(low, high);
        (first, self.avx._mm256_permute2f128_pd::<0x31>(low, high))
    }
    #[inline(always)]
    fn exchange(self, v: __m256d, n: usize) -> __m256d {
        match n {
            1 => self.avx._mm256_permute_pd::<0x5>(v),
            _ => self.avx._mm256_permute2f128_pd::<0x01>(v, v),
        }
    }
    #[inline(always)]
    fn reduce_sum(self, v: __m256d) -> f64 {
        let v = self.sse2._mm_add_pd(self.avx._mm256_castpd256_pd128(v), self.avx._mm256_extractf128_pd::<1>(v));
        self.sse2._mm_cvtsd_f64(self.sse2._mm_add_sd(v, self.sse2._mm_unpackhi_pd(v, v)))
    }
}

impl IndexLanes<f64> for V3 {
    type Index = __m128i;

    ops! { self;
        splat_index(i: u32) -> Index = self.sse2._mm_set1_epi32(i as i32);
        eq_index(a: Index, b: Index) -> Mask =
            self.avx._mm256_castsi256_pd(self.avx2._mm256_cvtepi32_epi64(self.sse2._mm_cmpeq_epi32(a, b)));
    }

    #[inline(always)]
    fn load_index(self, x: &[u32]) -> __m128i {
        assert!(x.len() >= 4);
        // SAFETY: x has 4 elements (asserted), any alignment will do; V3 proves SSE2.
        unsafe { _mm_loadu_si128(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: __m128i) {
        assert!(out.len() >= 4);
        // SAFETY: out has 4 elements (asserted), any alignment will do; V3 proves SSE2.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), i) }
    }
    #[inline(always)]
    fn select_index(self, m: __m256d, a: __m128i, b: __m128i) -> __m128i {
        // The low half of each 64-bit lane of the mask.
        let m = self.avx2._mm256_permutevar8x32_epi32(
            self.avx._mm256_castpd_si256(m),
            self.avx._mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6),
        );
        self.sse4_1._mm_blendv_epi8(b, a, self.avx._mm256_castsi256_si128(m))
    }
    #[inline(always)]
    fn compress_indices(self, m: __m256d, first: u32, out: &mut [u32]) -> usize {
        let mask = self.avx._mm256_movemask_pd(m) as u32;
        let lanes = self.sse2._mm_set1_epi64x(SET_LANES[mask as usize & 15] as i64);
        let lanes =
            self.sse2._mm_add_epi32(self.sse4_1._mm_cvtepu8_epi32(lanes), self.sse2._mm_set1_epi32(first as i32));
        IndexLanes::<f64>::store_index(self, out, lanes);
        mask.count_ones() as usize
    }
}
