//! The softmax family.
//!
//! ```text
//! S = sum_j e^(x_j)              softmax(x)_i     = e^(x_i) / S
//! log_sum_exp(x) = ln S          log_softmax(x)_i = x_i - ln S
//! ```
//!
//! After Dukhan & Ablavatski 2020, "The Two-Pass Softmax Algorithm", sections 3 and 4. An
//! exponential is a pair (m, n) with the value m * 2^n, and so is a sum, which then cannot
//! overflow. No pass is needed for the maximum:
//!
//! ```text
//! (M, N) = (0, -inf)                               pass 1: reads x
//! for each x_i:  (m, n) = ext_exp(x_i)
//!                (M, N) = (M * 2^(N - max(N, n)) + m * 2^(n - max(N, n)), max(N, n))
//! for each x_i:  (m, n) = ext_exp(x_i)             pass 2: reads x, writes y
//!                y_i = m / M * 2^(n - N)
//! ```
//!
//! | type | meaning |
//! |---|---|
//! | [`Base`] | what exponentials are relative to: an exponent N, or a shift |
//! | [`ExtSum`] | (M, N), with the rounding error of M |
//! | [`Logits`] | rows `scale * x + mask`, of the lengths [`RowLengths`] |
//! | [`Row`], [`Rows`] | where logits come from and where results go |
//!
//! [`Base`]: super::math::exp::Base
//! [`Row`]: super::rows::Row
//! [`Rows`]: row_groups::Rows
//!
//! Deviations, 1 to 4 to be fast and 5 to be accurate:
//! 1. Exponentials share an exponent, the base, instead of having one each: this saves the maximum
//!    and the two powers of two per element. For logits of ordinary size the base is 1. If a block
//!    of [`BLOCK_ELEMENTS`](tuning::BLOCK_ELEMENTS) does not fit the base, the base moves to the
//!    maximum of the block, and the sum of the preceding blocks is rescaled.
//! 2. A row in cache stores the exponentials of pass 1, and pass 2 multiplies them by 1 / M: one
//!    exponential per element instead of two. If base 1 does not fit the row, the row is summed
//!    again relative to its maximum. In place, that would find its logits overwritten: there the
//!    maximum is looked at first.
//! 3. A row too large for the caches takes both passes as above, from a size on that depends on how
//!    fast the instruction set computes exponentials ([`Tuning::RECOMPUTE_FROM`](tuning::Tuning)).
//!    Pass 2 writes past the caches.
//! 4. Short rows take each step in groups ([`row_groups`]), and the exponentials of rows of at most
//!    one vector stay in registers, as do those of a single row of at most four.
//! 5. Sums keep their rounding errors, and therefore do not lose accuracy with the length. The
//!    price is three more additions for every step of up to four vectors.
//!
//! NEON, by inspection of the loops (rustc 1.95, `opt-level = 2`; no hardware was at hand): four
//! vectors of exponentials with their sum take 134 to 148 instructions for 16 f32, 36 of them
//! multiply-adds, and 179 to 186 for 8 f64, 56 of them multiply-adds. These are about 8 and 23
//! instructions per element.
//!
//! Logarithms are those of the sum if no exponential is more than about a third of it. Otherwise
//! [`beside_max`] sums the others beside the maximum, and does so at once for very short rows. It
//! also takes rows of up to a block for which base 1 was tried in vain ([`logarithms`]). While
//! exponentials are summed, the largest sum of two of them bounds them all, for the price of a
//! maximum per step.
//!
//! Every instruction set and type has two bodies: `softmax_groups` also writes cross-entropy with
//! its gradient, and `log_groups` log-softmax, log-sum-exp and cross-entropy. Both are compiled for
//! rows in memory and for rows of [`Logits`].
//!
//! [`stablemax`] replaces the exponential by a rational function and shares the drivers of
//! [`rows`](super::rows) and the compensated sums.

pub(crate) mod backward;
mod base_one;
mod beside_max;
mod column_bands;
mod column_maxima;
pub(crate) mod columns;
pub(crate) mod cross_entropy;
pub(crate) mod ext_sum;
pub(crate) mod forward;
pub(crate) mod log_rows;
mod logarithms;
mod logits;
#[cfg(feature = "rayon")]
pub(crate) mod parts;
mod row_groups;
mod row_scan;
pub(crate) mod stablemax;
pub(crate) mod sum_exp;
mod tile;
pub(crate) mod tuning;

pub(crate) use super::rows::SrcDstRows;
pub(crate) use cross_entropy::IGNORED;
pub(crate) use ext_sum::ExtSum;
pub(crate) use logits::{Logits, RowLengths};
#[cfg(feature = "rayon")]
pub(crate) use parts::{BlockBase, SoftmaxWay};
#[cfg(feature = "rayon")]
pub(crate) use row_scan::RowScan;
#[cfg(feature = "rayon")]
pub(crate) use sum_exp::BlockSum;
