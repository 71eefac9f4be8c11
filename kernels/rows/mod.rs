//! The loops over whole rows, with their tails and streaming stores.
//!
//! | driver | reads | writes |
//! |---|---|---|
//! | [`map_row`] | the row | `f(x)`, also in place or past the caches |
//! | [`zip_map`] | two rows | `f(a, b)` |
//! | [`fold_zip`] | two rows | nothing: returns a compensated sum |
//! | [`maximum`], [`has_nan`] | a part of the row | nothing |
//!
//! A [`Row`] says where elements come from and where results go. [`SrcDst`] is the row in memory;
//! other rows compute their elements from it.

mod src_dst;

#[allow(unused_imports)] // Softmax alone uses it.
pub(in crate::kernels) use src_dst::Ahead;
#[allow(unused_imports)] // Softmax and the baselines use them.
pub(crate) use src_dst::{SrcDst, SrcDstRows};

use super::lanes::{Float, Lanes, WideLanes};
use super::math::compensated::{add_fast_two_sum, add_two_sum, reduce_accumulator};
use super::math::exp::ExpLanes;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The distance of prefetches from the current element, in bytes, for passes that only read or that
/// stream. With 2048 instead, log-sum-exp of 2^26 f32 takes up to 1.13 times as long on AVX-512,
/// and with 16384 up to 1.06 times; softmax is level from 2048 to 6144, and AVX2 up to 8192 (Zen 4,
/// distances in turn within one process, 2026-11-27).
pub(super) const PREFETCH_BYTES: usize = 6144;

/// Passes over columns prefetch larger matrices to L2 instead of L1, which would not hold several
/// parts of rows: softmax of 300,000 x 128 `f32` then takes 0.64 times as long, and of 1000 x 1000
/// 0.63 times (AVX-512 on Zen 4, both ways in turn, 2026-11-27). Other limits: not measured.
const MIN_FAR_BYTES: usize = 256 << 10;

/// A pass that reads a row once more and writes another is written past the caches if the row has
/// at least this part of the size of the last-level cache: input and output then fill it. On Zen 4
/// (32 MiB), log-softmax of 12 to 14 MiB takes equally long either way, and larger rows longer if
/// they are written to the caches (both ways in one process, f32 and f64, AVX2 and AVX-512,
/// 2026-11-27).
const STREAMED_PART: f64 = 0.4;

/// The size of the last-level cache if the CPU does not tell it: that of Zen 3 and Zen 4.
const DEFAULT_CACHE_BYTES: usize = 32 << 20;

/// Shorter rows are not streamed, whatever the cache. It spares them a look at its size.
const MIN_STREAM_BYTES: usize = 256 << 10;

/// Rows of at least this many vectors are stored at aligned addresses if a vector is as large as a
/// cache line: stores that do not cross lines take half the time (AVX-512 on Zen 4, 2026-11-25).
/// Other thresholds: not measured. The head that aligns a row costs about as much as one vector.
const MIN_ALIGNED_VECTORS: usize = 32;

/// The number of vectors whose values are added without compensation in [`fold_zip`]: two chains of
/// four additions. It bounds the rounding error. Other numbers: not measured.
const UNCOMPENSATED_VECTORS: usize = 8;

/// The number of chains in [`fold_zip`] after which the rounding errors of their sum are added to
/// it. The errors themselves are added without compensation: this bounds what they lose.
const COMPENSATED_CHAINS: usize = 256;

/// The number of vectors per step of the loops that map rows. Other numbers: not measured.
const UNROLLED_VECTORS: usize = 4;

/// The size of a cache line in bytes.
pub(super) const LINE_BYTES: usize = 64;

/// A row of elements with a destination for its results.
pub(crate) trait Row<T: Float> {
    /// The number of elements.
    fn len(&self) -> usize;
    /// The [`ExpLanes::IN_FLIGHT`] vectors from `at` on; panics if there are fewer elements.
    fn load_in_flight<L: ExpLanes<T>>(&self, l: L, at: usize) -> [L::V; 4];
    /// The element at `at`; panics if there are fewer elements.
    #[inline(always)]
    fn element<L: Lanes<T>>(&self, l: L, at: usize) -> T {
        l.to_array(self.load_tail(l, at, at + 1))[0]
    }
    /// The vector from `at` on; panics if there are fewer elements.
    fn load<L: Lanes<T>>(&self, l: L, at: usize) -> L::V;
    /// The elements from `at` to `end`, at most a vector of them; the other lanes are -inf, or 0 in
    /// rows of results.
    fn load_tail<L: Lanes<T>>(&self, l: L, at: usize, end: usize) -> L::V;
    /// A hint that the elements [`PREFETCH_BYTES`] after `at` are read soon.
    fn prefetch<L: Lanes<T>>(&self, l: L, at: usize);
    /// The destination: as long as the row, or empty if the row is only read.
    fn dst(&mut self) -> &mut [T];
    /// Whether writing results overwrites the elements.
    fn is_in_place(&self) -> bool;
    /// The same row, for an `out_of_line` block. If the address of a row itself went there, the
    /// compiler would reload its pointers after every store to its destination.
    fn reborrow(&mut self) -> impl Row<T>;
}

/// Whether a row of `len` elements has at least `part` of the size of the last-level cache.
#[inline(always)]
pub(super) fn fills_cache<T>(len: usize, part: f64) -> bool {
    len >= MIN_STREAM_BYTES / size_of::<T>() && (len * size_of::<T>()) as f64 >= part * cache_bytes() as f64
}

/// The size of the last-level cache in bytes.
#[inline(always)]
pub(super) fn cache_bytes() -> usize {
    match CACHE_BYTES.load(Ordering::Relaxed) {
        0 => find_cache_bytes(),
        bytes => bytes,
    }
}

/// [`cache_bytes`] for the first time.
#[cold]
#[inline(never)]
fn find_cache_bytes() -> usize {
    let bytes = reported_cache_bytes().unwrap_or(DEFAULT_CACHE_BYTES);
    CACHE_BYTES.store(bytes, Ordering::Relaxed);
    bytes
}

/// The size of the last-level cache in bytes, if the CPU tells it.
pub(crate) fn reported_cache_bytes() -> Option<usize> {
    #[cfg(any(mantex_avx512, mantex_avx2))]
    return super::lanes::last_level_cache_bytes();
    #[cfg(not(any(mantex_avx512, mantex_avx2)))]
    return None;
}

/// The size of the last-level cache in bytes, or 0 before it is known.
static CACHE_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Changes the size of the last-level cache that rows are compared with.
#[cfg(feature = "baselines")]
pub(crate) fn set_cache_bytes(bytes: usize) {
    CACHE_BYTES.store(bytes, Ordering::Relaxed);
}

/// The largest element from `start` to `end`. NaN is ignored; an empty range gives -inf.
#[inline(always)]
pub(super) fn maximum<L: Lanes<T>, T: Float>(l: L, row: &impl Row<T>, start: usize, end: usize) -> T {
    let mut max = [l.splat(T::NEG_INFINITY); UNROLLED_VECTORS];
    let mut at = start;
    while end - at >= UNROLLED_VECTORS * L::N {
        for (i, max) in max.iter_mut().enumerate() {
            *max = l.max(row.load(l, at + i * L::N), *max);
        }
        at += UNROLLED_VECTORS * L::N;
    }
    while at < end {
        let next = end.min(at + L::N);
        max[0] = l.max(row.load_tail(l, at, next), max[0]);
        at = next;
    }
    l.reduce_max(l.max(l.max(max[0], max[1]), l.max(max[2], max[3])))
}

/// The elements from `at` to `end`, at most a vector of them; the other lanes are -inf.
#[inline(always)]
pub(super) fn load_up_to<L: Lanes<T>, T: Float>(l: L, row: &impl Row<T>, at: usize, end: usize) -> L::V {
    if end - at == L::N { row.load(l, at) } else { row.load_tail(l, at, end) }
}

/// In every lane NaN if `x` is NaN, and otherwise `zero_or_nan`.
#[inline(always)]
pub(super) fn nan_or<L: Lanes<T>, T: Float>(l: L, zero_or_nan: L::V, x: L::V) -> L::V {
    // Both operations return their second operand if one is NaN.
    let zero = l.splat(T::ZERO);
    l.quiet_add(zero_or_nan, l.max(zero, l.min(zero, x)))
}

/// Whether an element from `start` to `end` is NaN.
#[inline(always)]
pub(super) fn has_nan<L: Lanes<T>, T: Float>(l: L, row: &impl Row<T>, start: usize, end: usize) -> bool {
    let mut zero_or_nan = l.splat(T::ZERO);
    let mut at = start;
    while at < end {
        let next = end.min(at + L::N);
        zero_or_nan = nan_or(l, zero_or_nan, load_up_to(l, row, at, next));
        at = next;
    }
    l.reduce_sum(zero_or_nan).is_nan()
}

/// Writes `f` of every vector of the row. With `STREAM`, the aligned middle is written past the
/// caches; a row in place must then have at least two vectors, because its head is written first.
#[inline(always)]
pub(super) fn map_row<L: Lanes<T>, T: Float, const STREAM: bool>(
    l: L,
    row: &mut impl Row<T>,
    f: impl Fn(L::V) -> L::V,
) {
    let len = row.len();
    let mut at = 0;
    let bytes = L::N * size_of::<T>();
    if STREAM || bytes == LINE_BYTES && len >= MIN_ALIGNED_VECTORS * L::N {
        // The head: up to the first aligned vector of the destination.
        at = row.dst().as_ptr().align_offset(bytes).min(L::N).min(len);
        if at > 0 {
            let v = f(row.load_tail(l, 0, at));
            l.store_tail(&mut row.dst()[..at], v);
        }
    }
    let aligned = STREAM && row.dst()[at..].as_ptr().addr().is_multiple_of(bytes);
    // A last part of less than a vector is written as a whole vector that overlaps the one before.
    // It is computed here, because in place the loop overwrites the elements of the overlap.
    let last = ((len - at) % L::N > 0 && len >= L::N).then(
        #[inline(always)]
        || f(row.load(l, len - L::N)),
    );
    while len - at >= UNROLLED_VECTORS * L::N {
        if STREAM {
            for i in (0..UNROLLED_VECTORS).filter(|i| (i * L::N * size_of::<T>()).is_multiple_of(LINE_BYTES)) {
                row.prefetch(l, at + i * L::N);
            }
        }
        // The stores of a cache line follow each other closely, because the CPU writes a line that
        // is streamed when it is complete.
        let mut v = [l.splat(T::ZERO); UNROLLED_VECTORS];
        for (i, v) in v.iter_mut().enumerate() {
            *v = f(row.load(l, at + i * L::N));
        }
        let out = &mut row.dst()[at..at + UNROLLED_VECTORS * L::N];
        for (i, v) in v.into_iter().enumerate() {
            let out = &mut out[i * L::N..];
            if aligned { l.stream(out, v) } else { l.store(out, v) }
        }
        at += UNROLLED_VECTORS * L::N;
    }
    while len - at >= L::N {
        let v = f(row.load(l, at));
        l.store(&mut row.dst()[at..], v);
        at += L::N;
    }
    if let Some(v) = last {
        l.store(&mut row.dst()[len - L::N..], v);
    } else if at < len {
        let v = f(row.load_tail(l, at, len));
        l.store_tail(&mut row.dst()[at..], v);
    }
    if STREAM {
        l.fence();
    }
}

/// [`map_row`], past the caches if the row is long enough for it and the instruction set has
/// vectors.
#[inline(always)]
pub(super) fn map_row_by_length<L: Lanes<T>, T: Float>(l: L, row: &mut impl Row<T>, f: impl Fn(L::V) -> L::V) {
    let row_len = row.len();
    map_part_by_length(l, row, row_len, f);
}

/// [`map_row_by_length`] of a part of a row of `row_len` elements.
#[inline(always)]
pub(super) fn map_part_by_length<L: Lanes<T>, T: Float>(
    l: L,
    row: &mut impl Row<T>,
    row_len: usize,
    f: impl Fn(L::V) -> L::V,
) {
    if !L::IS_SCALAR && fills_cache::<T>(row_len, STREAMED_PART) {
        map_row::<L, T, true>(l, row, f);
    } else {
        map_row::<L, T, false>(l, row, f);
    }
}

/// Writes `f` of the vectors of two rows of one length.
#[inline(always)]
pub(super) fn zip_map<L: Lanes<T>, T: Float>(l: L, a: &[T], b: &[T], out: &mut [T], f: impl Fn(L::V, L::V) -> L::V) {
    let step = UNROLLED_VECTORS * L::N;
    let (mut a, mut b) = (a.chunks_exact(step), b.chunks_exact(step));
    let mut out = out.chunks_exact_mut(step);
    for ((a, b), out) in (&mut a).zip(&mut b).zip(&mut out) {
        for i in 0..UNROLLED_VECTORS {
            l.store(&mut out[i * L::N..], f(l.load(&a[i * L::N..]), l.load(&b[i * L::N..])));
        }
    }
    let (a, b, out) = (a.remainder(), b.remainder(), out.into_remainder());
    for ((a, b), out) in a.chunks(L::N).zip(b.chunks(L::N)).zip(out.chunks_mut(L::N)) {
        l.store_tail(out, f(l.load_tail(a, T::ZERO), l.load_tail(b, T::ZERO)));
    }
}

/// A sum over the vectors of two rows of one length, where `f(a, b, sum)` adds a term to `sum`. The
/// term of zeros must be 0.
///
/// The error does not grow with the length: chains of [`UNCOMPENSATED_VECTORS`] are added without
/// compensation, and their sums with it.
#[inline(always)]
pub(super) fn fold_zip<L: WideLanes<T>, T: Float>(l: L, a: &[T], b: &[T], f: impl Fn(L::V, L::V, L::V) -> L::V) -> f64 {
    let zero = l.splat(T::ZERO);
    let (mut high, mut low) = (zero, zero);
    for (i, (a, b)) in a.chunks(UNCOMPENSATED_VECTORS * L::N).zip(b.chunks(UNCOMPENSATED_VECTORS * L::N)).enumerate() {
        if i.is_multiple_of(COMPENSATED_CHAINS) {
            (high, low) = add_fast_two_sum(l, (high, zero), low);
        }
        let mut sums = [zero; 2];
        let (mut a, mut b) = (a.chunks_exact(2 * L::N), b.chunks_exact(2 * L::N));
        for (a, b) in (&mut a).zip(&mut b) {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = f(l.load(&a[i * L::N..]), l.load(&b[i * L::N..]), *sum);
            }
        }
        for (a, b) in a.remainder().chunks(L::N).zip(b.remainder().chunks(L::N)) {
            sums[0] = f(l.load_tail(a, T::ZERO), l.load_tail(b, T::ZERO), sums[0]);
        }
        (high, low) = add_two_sum(l, (high, low), l.quiet_add(sums[0], sums[1]));
    }
    let (high, low) = reduce_accumulator(l, high, low);
    high + low
}

/// `x * (first + second)`. With a reciprocal in two parts, neither its rounding nor that of the sum
/// that it inverts adds to the error. If both parts differ in their sign, the product of 0 or -0 is
/// +0.
#[inline(always)]
pub(super) fn mul_two_part<L: Lanes<T>, T: Float>(l: L, x: L::V, (first, second): (L::V, L::V)) -> L::V {
    l.quiet_mul_add(x, first, l.quiet_mul(x, second))
}
