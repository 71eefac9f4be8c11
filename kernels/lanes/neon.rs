//! Advanced SIMD of aarch64: 4 lanes of f32 or 2 of f64.

use super::{COMPRESS, ExpScheme, Float, LAST_LANES, Lanes, compress_indices_u8};
use crate::kernels::math::exp::{self, SQRT_HALF_32, SQRT_HALF_64};
use core::arch::aarch64::{
    float32x4_t, float64x2_t, uint32x2_t, uint32x4_t, uint64x2_t, vld1_u32, vld1q_f32, vld1q_f64, vld1q_u32, vst1_u32,
    vst1q_f32, vst1q_f64, vst1q_u32,
};
use pulp::aarch64::Neon;

// x86's maximum and minimum give the second operand where either is NaN, `vmaxq` and `vminq` give NaN: a compare and a
// select make all instruction sets agree.

impl Lanes<f32> for Neon {
    type V = float32x4_t;
    type Mask = uint32x4_t;
    type Table = ();
    type Index = uint32x4_t;
    type Wide = (float64x2_t, float64x2_t);
    const N: usize = 4;
    const IN_FLIGHT: usize = 4;
    const REGISTERS: usize = 32;
    const RECOMPUTE: bool = true;
    const EXP: ExpScheme<f32> = exp::F32_INTEGER;

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        self.neon.vdupq_n_f32(x)
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> float32x4_t {
        assert!(x.len() >= 4);
        // SAFETY: 4 elements are there (asserted); Neon proves the feature.
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
        // SAFETY: room for 4 elements (asserted); Neon proves the feature.
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
        let mask = Lanes::<f32>::load_index(self, &LAST_LANES[4 + n.min(4)..]);
        self.neon.vreinterpretq_f32_u32(self.neon.vandq_u32(self.neon.vreinterpretq_u32_f32(v), mask))
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.neon.vaddq_f32(a, b)
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.neon.vsubq_f32(a, b)
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.neon.vmulq_f32(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        self.neon.vfmaq_f32(c, a, b)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        self.neon.vfmsq_f32(c, a, b)
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.neon.vdivq_f32(a, b)
    }
    #[inline(always)]
    fn abs(self, x: float32x4_t) -> float32x4_t {
        self.neon.vabsq_f32(x)
    }
    #[inline(always)]
    fn split_exponent(self, x: float32x4_t) -> (float32x4_t, float32x4_t) {
        // The carry of the significand tells which numbers are at or above sqrt(2) * 2^e; see exp::split_exponent.
        let carry = self.neon.vdupq_n_u32(0x3f80_0000 - SQRT_HALF_32);
        let bits = self.neon.vaddq_u32(self.neon.vreinterpretq_u32_f32(x), carry);
        let m = self.neon.vandq_u32(bits, self.neon.vdupq_n_u32(0x007f_ffff));
        let m = self.neon.vreinterpretq_f32_u32(self.neon.vaddq_u32(m, self.neon.vdupq_n_u32(SQRT_HALF_32)));
        let e = self.neon.vcvtq_f32_u32(self.neon.vshrq_n_u32::<23>(bits));
        (m, self.neon.vsubq_f32(e, self.neon.vdupq_n_f32(127.0)))
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.neon.vbslq_f32(self.neon.vcgtq_f32(a, b), a, b)
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.neon.vbslq_f32(self.neon.vcltq_f32(a, b), a, b)
    }
    #[inline(always)]
    fn lt(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        self.neon.vcltq_f32(a, b)
    }
    #[inline(always)]
    fn select(self, m: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.neon.vbslq_f32(m, a, b)
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn interleave(self, a: float32x4_t, b: float32x4_t) -> (float32x4_t, float32x4_t) {
        (self.neon.vzip1q_f32(a, b), self.neon.vzip2q_f32(a, b))
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn sqrt(self, x: float32x4_t) -> float32x4_t {
        self.neon.vsqrtq_f32(x)
    }
    #[inline(always)]
    fn reduce_sum(self, v: float32x4_t) -> f64 {
        let low = self.neon.vcvt_f64_f32(self.neon.vget_low_f32(v));
        let high = self.neon.vcvt_high_f64_f32(v);
        self.neon.vaddvq_f64(self.neon.vaddq_f64(low, high))
    }
    #[inline(always)]
    fn splat_index(self, i: u32) -> uint32x4_t {
        self.neon.vdupq_n_u32(i)
    }
    #[inline(always)]
    fn load_index(self, x: &[u32]) -> uint32x4_t {
        assert!(x.len() >= 4);
        // SAFETY: 4 indices are there (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vld1q_u32(x.as_ptr())
        }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: uint32x4_t) {
        assert!(out.len() >= 4);
        // SAFETY: room for 4 indices (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vst1q_u32(out.as_mut_ptr(), i)
        }
    }
    #[inline(always)]
    fn eq_index(self, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        self.neon.vceqq_u32(a, b)
    }
    #[inline(always)]
    fn select_index(self, m: uint32x4_t, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        self.neon.vbslq_u32(m, a, b)
    }
    #[inline(always)]
    fn compress_indices(self, m: uint32x4_t, first: u32, out: &mut [u32]) -> usize {
        let mask = self.neon.vaddvq_u32(self.neon.vandq_u32(m, bytemuck::cast([1_u32, 2, 4, 8])));
        let lanes = self.neon.vcreate_u8(COMPRESS[mask as usize & 15]);
        let lanes = self.neon.vmovl_u16(self.neon.vget_low_u16(self.neon.vmovl_u8(lanes)));
        Lanes::<f32>::store_index(self, out, self.neon.vaddq_u32(lanes, self.neon.vdupq_n_u32(first)));
        mask.count_ones() as usize
    }
    #[inline(always)]
    fn compress_indices_u8(self, m: uint32x4_t, first: u8, out: &mut [u8]) -> usize {
        let mask = self.neon.vaddvq_u32(self.neon.vandq_u32(m, bytemuck::cast([1_u32, 2, 4, 8])));
        compress_indices_u8(mask as u8, first, out)
    }
    #[inline(always)]
    fn widen(self, v: float32x4_t) -> (float64x2_t, float64x2_t) {
        (self.neon.vcvt_f64_f32(self.neon.vget_low_f32(v)), self.neon.vcvt_high_f64_f32(v))
    }
    #[inline(always)]
    fn add_wide(self, a: (float64x2_t, float64x2_t), b: (float64x2_t, float64x2_t)) -> (float64x2_t, float64x2_t) {
        (self.neon.vaddq_f64(a.0, b.0), self.neon.vaddq_f64(a.1, b.1))
    }
    #[inline(always)]
    fn sub_wide(self, a: (float64x2_t, float64x2_t), b: (float64x2_t, float64x2_t)) -> (float64x2_t, float64x2_t) {
        (self.neon.vsubq_f64(a.0, b.0), self.neon.vsubq_f64(a.1, b.1))
    }
    #[inline(always)]
    fn mul_wide(self, a: (float64x2_t, float64x2_t), b: (float64x2_t, float64x2_t)) -> (float64x2_t, float64x2_t) {
        (Lanes::<f64>::mul(self, a.0, b.0), Lanes::<f64>::mul(self, a.1, b.1))
    }
    #[inline(always)]
    fn load_wide(self, x: &[f64]) -> (float64x2_t, float64x2_t) {
        (Lanes::<f64>::load(self, x), Lanes::<f64>::load(self, &x[2..]))
    }
    #[inline(always)]
    fn store_wide(self, out: &mut [f64], w: (float64x2_t, float64x2_t)) {
        Lanes::<f64>::store(self, out, w.0);
        Lanes::<f64>::store(self, &mut out[2..], w.1);
    }
    #[inline(always)]
    fn reduce_sum_wide(self, w: (float64x2_t, float64x2_t)) -> f64 {
        Lanes::<f64>::reduce_sum(self, self.neon.vaddq_f64(w.0, w.1))
    }
    #[inline(always)]
    fn exp_table(self) {}
    #[inline(always)]
    fn exp_finish(self, (): (), shifted: float32x4_t, _: float32x4_t, p: float32x4_t) -> float32x4_t {
        let exponent = self.neon.vshlq_n_s32::<23>(self.neon.vreinterpretq_s32_f32(shifted));
        let exponent = self.neon.vreinterpretq_f32_s32(exponent);
        Lanes::<f32>::mul_add(self, exponent, p, exponent)
    }
    #[inline(always)]
    fn record_exponent(self, overflow_bits: float32x4_t, shifted: float32x4_t) -> float32x4_t {
        let bits = self
            .neon
            .vorrq_u32(self.neon.vreinterpretq_u32_f32(overflow_bits), self.neon.vreinterpretq_u32_f32(shifted));
        self.neon.vreinterpretq_f32_u32(bits)
    }
    #[inline(always)]
    fn exp_overflowed(self, overflow_bits: float32x4_t) -> bool {
        // Any bit above those of the exponent that the shift constant does not have.
        Lanes::<f32>::to_array(self, overflow_bits)[..<Self as Lanes<f32>>::N]
            .iter()
            .any(|x| x.to_bits() & !(f32::SHIFTER.to_bits() | 0xff) != 0)
    }
    #[inline(always)]
    fn exp_clamp(self, x: float32x4_t, low: float32x4_t, high: float32x4_t) -> float32x4_t {
        // Here the NaN-propagating instructions are just what is wanted.
        self.neon.vminq_f32(self.neon.vmaxq_f32(x, low), high)
    }
}

impl Lanes<f64> for Neon {
    type V = float64x2_t;
    type Mask = uint64x2_t;
    type Table = ();
    type Index = uint32x2_t;
    type Wide = float64x2_t;
    const N: usize = 2;
    const IN_FLIGHT: usize = 4;
    const REGISTERS: usize = 32;
    const RECOMPUTE: bool = false;
    const EXP: ExpScheme<f64> = exp::F64_INTEGER;

    #[inline(always)]
    fn splat(self, x: f64) -> float64x2_t {
        self.neon.vdupq_n_f64(x)
    }
    #[inline(always)]
    fn load(self, x: &[f64]) -> float64x2_t {
        assert!(x.len() >= 2);
        // SAFETY: 2 elements are there (asserted); Neon proves the feature.
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
        // SAFETY: room for 2 elements (asserted); Neon proves the feature.
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
        let mask = Lanes::<f32>::load_index(self, &LAST_LANES[4 + 2 * n.min(2)..]);
        self.neon.vreinterpretq_f64_u32(self.neon.vandq_u32(self.neon.vreinterpretq_u32_f64(v), mask))
    }
    #[inline(always)]
    fn add(self, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        self.neon.vaddq_f64(a, b)
    }
    #[inline(always)]
    fn sub(self, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        self.neon.vsubq_f64(a, b)
    }
    #[inline(always)]
    fn mul(self, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        self.neon.vmulq_f64(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: float64x2_t, b: float64x2_t, c: float64x2_t) -> float64x2_t {
        self.neon.vfmaq_f64(c, a, b)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: float64x2_t, b: float64x2_t, c: float64x2_t) -> float64x2_t {
        self.neon.vfmsq_f64(c, a, b)
    }
    #[inline(always)]
    fn div(self, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        self.neon.vdivq_f64(a, b)
    }
    #[inline(always)]
    fn abs(self, x: float64x2_t) -> float64x2_t {
        self.neon.vabsq_f64(x)
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
    fn max(self, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        self.neon.vbslq_f64(self.neon.vcgtq_f64(a, b), a, b)
    }
    #[inline(always)]
    fn min(self, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        self.neon.vbslq_f64(self.neon.vcltq_f64(a, b), a, b)
    }
    #[inline(always)]
    fn lt(self, a: float64x2_t, b: float64x2_t) -> uint64x2_t {
        self.neon.vcltq_f64(a, b)
    }
    #[inline(always)]
    fn select(self, m: uint64x2_t, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        self.neon.vbslq_f64(m, a, b)
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn interleave(self, a: float64x2_t, b: float64x2_t) -> (float64x2_t, float64x2_t) {
        (self.neon.vzip1q_f64(a, b), self.neon.vzip2q_f64(a, b))
    }
    #[cfg(feature = "std")]
    #[inline(always)]
    fn sqrt(self, x: float64x2_t) -> float64x2_t {
        self.neon.vsqrtq_f64(x)
    }
    #[inline(always)]
    fn reduce_sum(self, v: float64x2_t) -> f64 {
        self.neon.vaddvq_f64(v)
    }
    #[inline(always)]
    fn splat_index(self, i: u32) -> uint32x2_t {
        self.neon.vdup_n_u32(i)
    }
    #[inline(always)]
    fn load_index(self, x: &[u32]) -> uint32x2_t {
        assert!(x.len() >= 2);
        // SAFETY: 2 indices are there (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vld1_u32(x.as_ptr())
        }
    }
    #[inline(always)]
    fn store_index(self, out: &mut [u32], i: uint32x2_t) {
        assert!(out.len() >= 2);
        // SAFETY: room for 2 indices (asserted); Neon proves the feature.
        #[allow(unused_unsafe)]
        unsafe {
            vst1_u32(out.as_mut_ptr(), i)
        }
    }
    #[inline(always)]
    fn eq_index(self, a: uint32x2_t, b: uint32x2_t) -> uint64x2_t {
        self.neon.vceqq_u64(self.neon.vmovl_u32(a), self.neon.vmovl_u32(b))
    }
    #[inline(always)]
    fn select_index(self, m: uint64x2_t, a: uint32x2_t, b: uint32x2_t) -> uint32x2_t {
        self.neon.vbsl_u32(self.neon.vmovn_u64(m), a, b)
    }
    #[inline(always)]
    fn compress_indices(self, m: uint64x2_t, first: u32, out: &mut [u32]) -> usize {
        let mask = self.neon.vaddvq_u64(self.neon.vandq_u64(m, bytemuck::cast([1_u64, 2])));
        out[..2].copy_from_slice(&[first + u32::from(mask == 2), first + 1]);
        mask.count_ones() as usize
    }
    #[inline(always)]
    fn compress_indices_u8(self, m: uint64x2_t, first: u8, out: &mut [u8]) -> usize {
        let mask = self.neon.vaddvq_u64(self.neon.vandq_u64(m, bytemuck::cast([1_u64, 2])));
        compress_indices_u8(mask as u8, first, out)
    }
    #[inline(always)]
    fn widen(self, v: float64x2_t) -> float64x2_t {
        v
    }
    #[inline(always)]
    fn add_wide(self, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        self.neon.vaddq_f64(a, b)
    }
    #[inline(always)]
    fn sub_wide(self, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        self.neon.vsubq_f64(a, b)
    }
    #[inline(always)]
    fn mul_wide(self, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        Lanes::<f64>::mul(self, a, b)
    }
    #[inline(always)]
    fn load_wide(self, x: &[f64]) -> float64x2_t {
        Lanes::<f64>::load(self, x)
    }
    #[inline(always)]
    fn store_wide(self, out: &mut [f64], w: float64x2_t) {
        Lanes::<f64>::store(self, out, w);
    }
    #[inline(always)]
    fn reduce_sum_wide(self, w: float64x2_t) -> f64 {
        Lanes::<f64>::reduce_sum(self, w)
    }
    #[inline(always)]
    fn exp_table(self) {}
    #[inline(always)]
    fn exp_finish(self, (): (), shifted: float64x2_t, _: float64x2_t, p: float64x2_t) -> float64x2_t {
        let exponent = self.neon.vshlq_n_s64::<52>(self.neon.vreinterpretq_s64_f64(shifted));
        let exponent = self.neon.vreinterpretq_f64_s64(exponent);
        Lanes::<f64>::mul_add(self, exponent, p, exponent)
    }
    #[inline(always)]
    fn record_exponent(self, overflow_bits: float64x2_t, shifted: float64x2_t) -> float64x2_t {
        let bits = self
            .neon
            .vorrq_u64(self.neon.vreinterpretq_u64_f64(overflow_bits), self.neon.vreinterpretq_u64_f64(shifted));
        self.neon.vreinterpretq_f64_u64(bits)
    }
    #[inline(always)]
    fn exp_overflowed(self, overflow_bits: float64x2_t) -> bool {
        // Any bit above those of the exponent that the shift constant does not have.
        Lanes::<f64>::to_array(self, overflow_bits)[..<Self as Lanes<f64>>::N]
            .iter()
            .any(|x| x.to_bits() & !(f64::SHIFTER.to_bits() | 0x7ff) != 0)
    }
    #[inline(always)]
    fn exp_clamp(self, x: float64x2_t, low: float64x2_t, high: float64x2_t) -> float64x2_t {
        self.neon.vminq_f64(self.neon.vmaxq_f64(x, low), high)
    }
}
