//! What every x86-64 CPU has: prefetches and the store fence.

use core::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm_sfence};

/// [`Lanes::fence`](super::Lanes::fence).
#[inline(always)]
pub(super) fn fence() {
    // SAFETY: every x86-64 CPU has SSE.
    unsafe { _mm_sfence() }
}

/// [`Lanes::prefetch`](super::Lanes::prefetch).
#[inline(always)]
pub(super) fn prefetch<T>(x: &[T], at: usize) {
    // SAFETY: a prefetch is a hint, no address can make it fault; every x86-64 CPU has SSE.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(at).cast()) }
}

/// [`Lanes::prefetch_far`](super::Lanes::prefetch_far).
#[inline(always)]
pub(super) fn prefetch_far<T>(x: &[T], at: usize) {
    // SAFETY: a prefetch is a hint, no address can make it fault; every x86-64 CPU has SSE.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(x.as_ptr().wrapping_add(at).cast()) }
}
