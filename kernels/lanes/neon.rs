//! Advanced SIMD of aarch64: 4 lanes of f32 or 2 of f64.

use super::{ExpSplit, Float, Lanes};
use crate::kernels::exp;
use core::arch::aarch64::{
    float32x4_t, float64x2_t, uint32x4_t, uint64x2_t, vld1q_f32, vld1q_f64, vst1q_f32, vst1q_f64,
};
use pulp::aarch64::Neon;

// x86's maximum and minimum give the second operand where either is NaN, `vmaxq` and `vminq` give NaN: a compare and a
// select make all instruction sets agree.

impl Lanes<f32> for Neon {
    type V = float32x4_t;
    type M = uint32x4_t;
    type Table = ();
    const N: usize = 4;
    const UNROLL: usize = 4;
    const EXP: ExpSplit<f32> = exp::F32_INTEGER;

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
    #[inline(always)]
    fn sum(self, v: float32x4_t) -> f64 {
        let low = self.neon.vcvt_f64_f32(self.neon.vget_low_f32(v));
        let high = self.neon.vcvt_high_f64_f32(v);
        self.neon.vaddvq_f64(self.neon.vaddq_f64(low, high))
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
    fn exp_watch(self, seen: float32x4_t, shifted: float32x4_t) -> float32x4_t {
        let bits = self.neon.vorrq_u32(self.neon.vreinterpretq_u32_f32(seen), self.neon.vreinterpretq_u32_f32(shifted));
        self.neon.vreinterpretq_f32_u32(bits)
    }
    #[inline(always)]
    fn exp_overflowed(self, seen: float32x4_t) -> bool {
        // Any bit above those of the exponent that the shift constant does not have.
        Lanes::<f32>::to_array(self, seen)[..<Self as Lanes<f32>>::N]
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
    type M = uint64x2_t;
    type Table = ();
    const N: usize = 2;
    const UNROLL: usize = 4;
    const EXP: ExpSplit<f64> = exp::F64_INTEGER;

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
    #[inline(always)]
    fn sum(self, v: float64x2_t) -> f64 {
        self.neon.vaddvq_f64(v)
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
    fn exp_watch(self, seen: float64x2_t, shifted: float64x2_t) -> float64x2_t {
        let bits = self.neon.vorrq_u64(self.neon.vreinterpretq_u64_f64(seen), self.neon.vreinterpretq_u64_f64(shifted));
        self.neon.vreinterpretq_f64_u64(bits)
    }
    #[inline(always)]
    fn exp_overflowed(self, seen: float64x2_t) -> bool {
        // Any bit above those of the exponent that the shift constant does not have.
        Lanes::<f64>::to_array(self, seen)[..<Self as Lanes<f64>>::N]
            .iter()
            .any(|x| x.to_bits() & !(f64::SHIFTER.to_bits() | 0x7ff) != 0)
    }
    #[inline(always)]
    fn exp_clamp(self, x: float64x2_t, low: float64x2_t, high: float64x2_t) -> float64x2_t {
        self.neon.vminq_f64(self.neon.vmaxq_f64(x, low), high)
    }
}
