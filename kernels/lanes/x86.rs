//! What every x86-64 CPU has: prefetches, the store fence, and what it says about its caches.

use core::arch::x86_64::{__cpuid_count, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm_sfence};

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

/// The size of the last-level cache in bytes, if the CPU tells it: leaf 4 of CPUID (Intel), or leaf
/// 0x8000_001d of the same form (AMD).
pub(crate) fn last_level_cache_bytes() -> Option<usize> {
    [0x4, 0x8000_001d].into_iter().find_map(|leaf| {
        // The highest leaf of the range stands in the first one.
        let (highest, _) = cpuid(leaf & 0x8000_0000, 0);
        if highest < leaf { None } else { (0..8).filter_map(|i| cache_bytes(leaf, i)).max() }
    })
}

/// The size of the cache of index `i`, unless there is none, or it has instructions only.
fn cache_bytes(leaf: u32, i: u32) -> Option<usize> {
    let (kind, [ways, sets]) = cpuid(leaf, i);
    let fields = [ways >> 22, ways >> 12 & 0x3ff, ways & 0xfff, sets];
    let bytes = fields.iter().try_fold(1_usize, |bytes, &x| bytes.checked_mul(x as usize + 1));
    bytes.filter(|_| matches!(kind & 0x1f, 1 | 3))
}

/// EAX, and EBX and ECX.
fn cpuid(leaf: u32, i: u32) -> (u32, [u32; 2]) {
    // SAFETY: every x86-64 CPU has the instruction.
    #[allow(unused_unsafe, reason = "newer compilers take it to be safe")]
    let r = unsafe { __cpuid_count(leaf, i) };
    (r.eax, [r.ebx, r.ecx])
}
