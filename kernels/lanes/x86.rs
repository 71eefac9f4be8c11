//! What every x86-64 CPU has: prefetches, the store fence, and the size of its caches.

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

/// The size of the last-level cache in bytes, if the CPU tells it: in leaf 4 of CPUID (Intel), or
/// in leaf 0x8000_001d (AMD), which has the same form.
pub(crate) fn last_level_cache_bytes() -> Option<usize> {
    [0x4, 0x8000_001d].into_iter().find_map(|leaf| {
        // The first leaf of a range holds the number of its last one.
        let (highest, _) = cpuid(leaf & 0x8000_0000, 0);
        if highest < leaf { None } else { (0..8).filter_map(|i| cache_bytes(leaf, i)).max() }
    })
}

/// The size of the cache of index `i`, unless there is none, or it has instructions only.
fn cache_bytes(leaf: u32, i: u32) -> Option<usize> {
    let (kind, [shape, sets]) = cpuid(leaf, i);
    // Ways, partitions of a line, bytes of a partition, and sets, each less 1.
    let factors = [shape >> 22, shape >> 12 & 0x3ff, shape & 0xfff, sets];
    let bytes = factors.iter().try_fold(1_usize, |bytes, &x| bytes.checked_mul(x as usize + 1));
    bytes.filter(|_| matches!(kind & 0x1f, 1 | 3))
}

/// The registers EAX, and EBX and ECX, of a leaf of CPUID.
fn cpuid(leaf: u32, i: u32) -> (u32, [u32; 2]) {
    // SAFETY: every x86-64 CPU has the instruction.
    #[allow(unused_unsafe, reason = "newer compilers take it to be safe")]
    let r = unsafe { __cpuid_count(leaf, i) };
    (r.eax, [r.ebx, r.ecx])
}
