//! The measured constants of the softmax family.

use crate::kernels::lanes::{Float, Lanes};
#[cfg(feature = "baselines")]
use crate::kernels::lanes::{Token, match_token};
use crate::kernels::math::exp::ExpLanes;

/// The number of elements that are summed before their sum is checked. A block that does not fit
/// its base is read again, from L1. Other numbers: not measured.
pub(crate) const BLOCK_ELEMENTS: usize = 4096;

/// The most rows that are worked on together (see [`super::row_groups`]). Other numbers: not
/// measured.
pub(super) const GROUP_ROWS: usize = 16;

/// The most elements of a group of rows: 16 or 32 KiB, so that the exponentials stay in L1 from one
/// step to the next. With 2048, rows of 512 to 2048 `f32` take up to 7% longer on AVX-512 (two
/// builds in one process, Zen 4, 2026-11-26).
pub(super) const GROUP_ELEMENTS: usize = 4096;

/// Rows of at most this many vectors are short: base 1 is tried without a look at their logits, and
/// their logarithms fit a tile. Other numbers: not measured.
pub(super) const SHORT_ROW_VECTORS: usize = 32;

/// Whether a row of `len` elements is short, see [`SHORT_ROW_VECTORS`].
#[inline(always)]
pub(super) fn is_short<L: Lanes<T>, T: Float>(_: L, len: usize) -> bool {
    len <= SHORT_ROW_VECTORS * <L as Lanes<T>>::N
}

/// Rows of at most this many vectors take logarithms beside their maximum at once, for `f32` and
/// `f64`. Longer ones do so only if one exponential dominates. With 4 instead of 2, rows of 4
/// vectors of `f32` take 1.2 times as long on AVX-512; with 2 instead of 4, those of `f64` take 1.1
/// times as long (two builds in one process, Zen 4, 2026-11-26).
const BESIDE_MAX_VECTORS: [usize; 2] = [2, 4];

/// [`BESIDE_MAX_VECTORS`] of a type.
#[inline(always)]
pub(super) const fn beside_max_vectors<T: Float>() -> usize {
    BESIDE_MAX_VECTORS[(T::EPSILON == f64::EPSILON) as usize]
}

/// Rows of at most this many vectors take the logarithms of cross-entropy beside their maximum at
/// once, because few losses need more than the sum. Other numbers: not measured.
pub(super) const LOSS_VECTORS: usize = 1;

/// The most vectors of a row that takes logarithms beside its maximum at once.
pub(super) const MAX_BESIDE_VECTORS: usize = 4;

/// The number of vectors of a group of rows that take logarithms together beside their maxima: 4
/// KiB on AVX-512. Other numbers: not measured.
pub(super) const TILE_VECTORS: usize = 64;

/// The most columns of a band, a part of 4 KiB of each row in `f32`. With parts that stay in L3
/// between both passes, 5000 x 6000 `f32` take 1.18 times as long, and 1000 x 30,000 1.04 times
/// (AVX-512 on Zen 4, both ways in turn, 2026-11-27). Wider bands take less time (20,000 x 1500 in
/// one band 0.6 times), but sums of `f64` overflow a stack of 64 KiB, and a second body for them is
/// code that every build compiles.
pub(super) const BAND_COLUMNS: usize = 1024;

/// The part of the size of the last-level cache from which on passes over columns write past the
/// caches, and softmax computes each exponential twice instead of storing and reloading it, on
/// instruction sets that do so with long rows. Storing takes 1.2 times as long for 300,000 x 100
/// `f32` on AVX2, and 0.9 times for 100 x 300,000; computing `f64` twice takes 1.3 to 1.5 times as
/// long on AVX2 (Zen 4, both ways in turn, 2026-11-27). Other numbers: not measured.
pub(super) const STREAMED_COLUMNS: f64 = 0.4;

/// The number of rows that the first pass over columns of a given maximum prefetches ahead. Other
/// numbers: not measured.
pub(super) const PREFETCHED_ROWS: usize = 8;

/// The choices of the family that depend on the instruction set.
pub(crate) trait Tuning<T: Float>: ExpLanes<T> {
    /// From this multiple of the size of the last-level cache on, softmax of a row computes each
    /// exponential twice, which saves memory traffic, instead of storing and reloading it.
    ///
    /// Measured on Zen 4 (32 MiB), both ways at sizes from 4 to 512 MiB in one process, 2026-11-27.
    /// The slower the exponentials, the later recomputing pays. At 192 and 384 MiB (AVX2, f32),
    /// reloading takes 0.92 times as long as recomputing, but at 256 and 512 MiB, where the
    /// addresses of input and output differ by a power of two, 1.25 times: the limit is below all
    /// of these. NEON has the values of AVX2: not measured, because only an emulator was at hand.
    const RECOMPUTE_FROM: f64;
}

/// Never.
const NEVER: f64 = f64::INFINITY;

/// Implements [`Tuning`] from lines `token: RECOMPUTE_FROM for f32, the same for f64;`.
macro_rules! recompute_from {
    ($($(#[$cfg:meta])* $token:ty: $f32:expr, $f64:expr;)*) => {$(
        $(#[$cfg])*
        impl Tuning<f32> for $token {
            const RECOMPUTE_FROM: f64 = $f32;
        }
        $(#[$cfg])*
        impl Tuning<f64> for $token {
            const RECOMPUTE_FROM: f64 = $f64;
        }
    )*};
}

// new ISA: its line.
recompute_from! {
    #[cfg(mantex_avx512)]
    pulp::x86::V4: 0.625, 4.0;
    #[cfg(mantex_avx2)]
    pulp::x86::V3: 4.0, NEVER;
    #[cfg(mantex_neon)]
    pulp::aarch64::Neon: 4.0, NEVER;
    pulp::Scalar: NEVER, NEVER;
}

/// Whether an instruction set recomputes long rows, see [`Tuning::RECOMPUTE_FROM`], for elements of
/// 4 or 8 bytes.
#[cfg(feature = "baselines")]
pub(crate) fn recomputes_long_rows(token: Token, element_bytes: usize) -> bool {
    fn of<L: Tuning<f32> + Tuning<f64>>(_: L, element_bytes: usize) -> bool {
        if element_bytes == size_of::<f32>() {
            <L as Tuning<f32>>::RECOMPUTE_FROM < NEVER
        } else {
            <L as Tuning<f64>>::RECOMPUTE_FROM < NEVER
        }
    }
    match_token!(token, l => of(l, element_bytes))
}
