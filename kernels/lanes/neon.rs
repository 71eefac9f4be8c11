//! Advanced SIMD of aarch64: 4 lanes of f32 or 2 of f64.

use super::float::{SQRT_HALF_32, SQRT_HALF_64};
use super::masks::{LAST_LANES, SET_LANES};
use super::{IndexLanes, InstructionSet, Lanes, WideLanes};
use core::arch::aarch64::{
    float32x4_t, float64x2_t, uint32x2_t, uint32x4_t, uint64x2_t, vld1_u32, vld1q_f32, vld1q_f64, vld1q_u32, vst1_u32,
    vst1q_f32, vst1q_f64, vst1q_u32,
};
use pulp::aarch64::Neon;

// If an operand is NaN, maximum and minimum of x86 return the second operand, but `vmaxq` and
// `vminq` return NaN. A comparison and a selection make all instruction sets agree.

impl InstructionSet for Neon {
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

impl Lanes<f32> for Neon {
    type V = float32x4_t;
    type Mask = uint32x4_t;
    const N: usize = 4;
    const REGISTERS: usize = 32;

    ops! { self;
        splat(x: f32) = self.neon.vdupq_n_f32(x);
        add(a, b) = self.neon.vaddq_f32(a, b);
        sub(a, b) = self.neon.vsubq_f32(a, b);
        mul(a, b) = self.neon.vmulq_f32(a, b);
        div(a, b) = self.neon.vdivq_f32(a, b);
        mul_add(a, b, c) = self.neon.vfmaq_f32(c, a, b);
        neg_mul_add(a, b, c) = self.neon.vfmsq_f32(c, a, b);
        abs(x) = self.neon.vabsq_f32(x);
        sqrt(x) = self.neon.vsqrtq_f32(x);
        max(a, b) = self.neon.vbslq_f32(self.neon.vcgtq_f32(a, b), a, b);
        min(a, b) = self.neon.vbslq_f32(self.neon.vcltq_f32(a, b), a, b);
        lt(a, b) -> Mask = self.neon.vcltq_f32(a, b);
        select(m: Mask, a, b) = self.neon.vbslq_f32(m, a, b);
        bits(m: Mask) -> u64 =
            u64::from(self.neon.vaddvq_u32(self.neon.vandq_u32(m, bytemuck::cast([1_u32, 2, 4, 8]))));
        count(m: Mask) -> usize = self.neon.vaddvq_u32(self.neon.vshrq_n_u32::<31>(m)) as usize;
    }

    #[inline(always)]
    fn load(self, x: &[f32]) -> float32x4_t {
        assert!(x.len() >= 4);
        // SAFETY: x has 4 elements (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vld1q_f32(x.as_ptr())
        }
    }
    #[inline(always)]
    fn load_tail(self, x: &[f32], fill: f32) -> float32x4_t {
        let mut lanes = [fill; 4];
        let n = x.len().min(4);
        lanes[..n].copy_from_slice(&x[..n]);
        self.load(&lanes)
    }
    #[inline(always)]
    fn store(self, out: &mut [f32], v: float32x4_t) {
        assert!(out.len() >= 4);
        // SAFETY: out has 4 elements (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vst1q_f32(out.as_mut_ptr(), v)
        }
    }
    #[inline(always)]
    fn store_tail(self, out: &mut [f32], v: float32x4_t) {
        let mut lanes = [0.0; 4];
        self.store(&mut lanes, v);
        let n = out.len().min(4);
        out[..n].copy_from_slice(&lanes[..n]);
    }
    #[inline(always)]
    fn stream(self, out: &mut [f32], v: float32x4_t) {
        assert!(out.as_ptr().addr().is_multiple_of(16));
        self.store(out, v);
    }
    #[inline(always)]
    fn keep_last(self, v: float32x4_t, n: usize) -> float32x4_t {
        let mask = IndexLanes::<f32>::load_index(self, &LAST_LANES[4 + n.min(4)..]);
        self.neon.vreinterpretq_f32_u32(self.neon.vandq_u32(self.neon.vreinterpretq_u32_f32(v), mask))
    }
    #[inline(always)]
    fn split_exponent(self, x: float32x4_t) -> (float32x4_t, float32x4_t) {
        // As `super::split_exponent`: the significand carries if x >= sqrt(2) * 2^e.
        let carry = self.neon.vdupq_n_u32(0x3f80_0000 - SQRT_HALF_32);
        let bits = self.neon.vaddq_u32(self.neon.vreinterpretq_u32_f32(x), carry);
        let m = self.neon.vandq_u32(bits, self.neon.vdupq_n_u32(0x007f_ffff));
        let m = self.neon.vreinterpretq_f32_u32(self.neon.vaddq_u32(m, self.neon.vdupq_n_u32(SQRT_HALF_32)));
        let e = self.neon.vcvtq_f32_u32(self.neon.vshrq_n_u32::<23>(bits));
        (m, self.neon.vsubq_f32(e, self.neon.vdupq_n_f32(127.0)))
    }
    #[inline(always)]
    fn interleave(self, a: float32x4_t, b: float32x4_t) -> (float32x4_t, float32x4_t) {
        (self.neon.vzip1q_f32(a, b), self.neon.vzip2q_f32(a, b))
    }
    #[inline(always)]
    fn exchange(self, v: float32x4_t, n: usize) -> float32x4_t {
        match n {
            1 => self.neon.vrev64q_f32(v),
            _ => self.neon.vextq_f32::<2>(v, v),
        }
    }
    #[inline(always)]
    fn reduce_sum(self, v: float32x4_t) -> f64 {
        WideLanes::<f32>::reduce_sum_wide(self, WideLanes::<f32>::widen(self, v))
    }
}

impl IndexLanes<f32> for Neon {
    type Index = uint32x4_t;

    ops! { self;
        splat_index(i: u32) -> Index = self.neon.vdupq_n_u32(i);
        eq_index(a: Index, b: Index) -> Mask = self.neon.vceqq_u32(a, b);
        select_index(m: Mask, a: Index, b: Index) -> Index = self.neon.vbslq_u32(m, a, b);
    }

    #[inline(always)]
    fn load_index(self, x: &[u32]) -> uint32x4_t {
        assert!(x.len() >= 4);
        // SAFETY: x has 4 elements (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vld1q_u32(x.as_ptr())
        }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: uint32x4_t) {
        assert!(out.len() >= 4);
        // SAFETY: out has 4 elements (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vst1q_u32(out.as_mut_ptr(), i)
        }
    }
    #[inline(always)]
    fn compress_indices(self, m: uint32x4_t, first: u32, out: &mut [u32]) -> usize {
        let mask = Lanes::<f32>::bits(self, m);
        let lanes = self.neon.vcreate_u8(SET_LANES[mask as usize & 15]);
        let lanes = self.neon.vmovl_u16(self.neon.vget_low_u16(self.neon.vmovl_u8(lanes)));
        IndexLanes::<f32>::store_index(self, out, self.neon.vaddq_u32(lanes, self.neon.vdupq_n_u32(first)));
        mask.count_ones() as usize
    }
}

wide_pairs!(Neon, |self, v| (self.neon.vcvt_f64_f32(self.neon.vget_low_f32(v)), self.neon.vcvt_high_f64_f32(v)));

impl Lanes<f64> for Neon {
    type V = float64x2_t;
    type Mask = uint64x2_t;
    const N: usize = 2;
    const REGISTERS: usize = 32;

    ops! { self;
        splat(x: f64) = self.neon.vdupq_n_f64(x);
        add(a, b) = self.neon.vaddq_f64(a, b);
        sub(a, b) = self.neon.vsubq_f64(a, b);
        mul(a, b) = self.neon.vmulq_f64(a, b);
        div(a, b) = self.neon.vdivq_f64(a, b);
        mul_add(a, b, c) = self.neon.vfmaq_f64(c, a, b);
        neg_mul_add(a, b, c) = self.neon.vfmsq_f64(c, a, b);
        abs(x) = self.neon.vabsq_f64(x);
        sqrt(x) = self.neon.vsqrtq_f64(x);
        max(a, b) = self.neon.vbslq_f64(self.neon.vcgtq_f64(a, b), a, b);
        min(a, b) = self.neon.vbslq_f64(self.neon.vcltq_f64(a, b), a, b);
        lt(a, b) -> Mask = self.neon.vcltq_f64(a, b);
        select(m: Mask, a, b) = self.neon.vbslq_f64(m, a, b);
        bits(m: Mask) -> u64 = self.neon.vaddvq_u64(self.neon.vandq_u64(m, bytemuck::cast([1_u64, 2])));
        count(m: Mask) -> usize = self.neon.vaddvq_u64(self.neon.vshrq_n_u64::<63>(m)) as usize;
        reduce_sum(v) -> f64 = self.neon.vaddvq_f64(v);
    }

    #[inline(always)]
    fn load(self, x: &[f64]) -> float64x2_t {
        assert!(x.len() >= 2);
        // SAFETY: x has 2 elements (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vld1q_f64(x.as_ptr())
        }
    }
    #[inline(always)]
    fn load_tail(self, x: &[f64], fill: f64) -> float64x2_t {
        let mut lanes = [fill; 2];
        let n = x.len().min(2);
        lanes[..n].copy_from_slice(&x[..n]);
        self.load(&lanes)
    }
    #[inline(always)]
    fn store(self, out: &mut [f64], v: float64x2_t) {
        assert!(out.len() >= 2);
        // SAFETY: out has 2 elements (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vst1q_f64(out.as_mut_ptr(), v)
        }
    }
    #[inline(always)]
    fn store_tail(self, out: &mut [f64], v: float64x2_t) {
        let mut lanes = [0.0; 2];
        self.store(&mut lanes, v);
        let n = out.len().min(2);
        out[..n].copy_from_slice(&lanes[..n]);
    }
    #[inline(always)]
    fn stream(self, out: &mut [f64], v: float64x2_t) {
        assert!(out.as_ptr().addr().is_multiple_of(16));
        self.store(out, v);
    }
    #[inline(always)]
    fn keep_last(self, v: float64x2_t, n: usize) -> float64x2_t {
        let mask = IndexLanes::<f32>::load_index(self, &LAST_LANES[4 + 2 * n.min(2)..]);
        self.neon.vreinterpretq_f64_u32(self.neon.vandq_u32(self.neon.vreinterpretq_u32_f64(v), mask))
    }
    #[inline(always)]
    fn split_exponent(self, x: float64x2_t) -> (float64x2_t, float64x2_t) {
        let carry = self.neon.vdupq_n_u64(0x3ff0_0000_0000_0000 - SQRT_HALF_64);
        let bits = self.neon.vaddq_u64(self.neon.vreinterpretq_u64_f64(x), carry);
        let m = self.neon.vandq_u64(bits, self.neon.vdupq_n_u64(0x000f_ffff_ffff_ffff));
        let m = self.neon.vreinterpretq_f64_u64(self.neon.vaddq_u64(m, self.neon.vdupq_n_u64(SQRT_HALF_64)));
        let e = self.neon.vcvtq_f64_u64(self.neon.vshrq_n_u64::<52>(bits));
        (m, self.neon.vsubq_f64(e, self.neon.vdupq_n_f64(1023.0)))
    }
    #[inline(always)]
    fn interleave(self, a: float64x2_t, b: float64x2_t) -> (float64x2_t, float64x2_t) {
        (self.neon.vzip1q_f64(a, b), self.neon.vzip2q_f64(a, b))
    }
    #[inline(always)]
    fn exchange(self, v: float64x2_t, _: usize) -> float64x2_t {
        self.neon.vextq_f64::<1>(v, v)
    }
}

impl IndexLanes<f64> for Neon {
    type Index = uint32x2_t;

    ops! { self;
        splat_index(i: u32) -> Index = self.neon.vdup_n_u32(i);
        eq_index(a: Index, b: Index) -> Mask = self.neon.vceqq_u64(self.neon.vmovl_u32(a), self.neon.vmovl_u32(b));
        select_index(m: Mask, a: Index, b: Index) -> Index = self.neon.vbsl_u32(self.neon.vmovn_u64(m), a, b);
    }

    #[inline(always)]
    fn load_index(self, x: &[u32]) -> uint32x2_t {
        assert!(x.len() >= 2);
        // SAFETY: x has 2 elements (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vld1_u32(x.as_ptr())
        }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: uint32x2_t) {
        assert!(out.len() >= 2);
        // SAFETY: out has 2 elements (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vst1_u32(out.as_mut_ptr(), i)
        }
    }
    #[inline(always)]
    fn compress_indices(self, m: uint64x2_t, first: u32, out: &mut [u32]) -> usize {
        let mask = Lanes::<f64>::bits(self, m);
        out[..2].copy_from_slice(&[first + u32::from(mask == 2), first + 1]);
        mask.count_ones() as usize
    }
}
