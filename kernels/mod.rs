//! Every intrinsic and every `unsafe` of the crate. A kernel is written once, generic over [`lanes::Lanes`]; what
//! differs per instruction set is a primitive in `lanes/<isa>.rs`.
//!
//! | | scalar | AVX2 | AVX-512 | NEON |
//! |---|---|---|---|---|
//! | vocabulary | [`lanes`]`/scalar.rs` | `lanes/avx2.rs` | `lanes/avx512.rs` | `lanes/neon.rs` |
//! | exp as (mantissa, exponent), 2^x, ln | [`math`] | [`math`] | [`math`] | [`math`] |
//! | softmax family | [`softmax`] | [`softmax`] | [`softmax`] | [`softmax`] |
//! | gradients, cross-entropy | [`gradients`] | [`gradients`] | [`gradients`] | [`gradients`] |
//! | StableMax family | [`stablemax`] | [`stablemax`] | [`stablemax`] | [`stablemax`] |
//! | Sinkhorn iteration | [`sinkhorn`] | [`sinkhorn`] | [`sinkhorn`] | [`sinkhorn`] |
//! | values of a transport problem | [`objective`] | [`objective`] | [`objective`] | [`objective`] |
//! | Sinkhorn iteration of a batch | [`batch`] | [`batch`] | [`batch`] | [`batch`] |
//! | medoid swap deltas | [`swap`] | [`swap`] | [`swap`] | [`swap`] |
//! | sums over clusters | [`clusters`] | [`clusters`] | [`clusters`] | [`clusters`] |
//! | distances between points | `distances` | `distances` | `distances` | `distances` |
//! | baselines of the benches | [`baselines`] | [`baselines`] | [`baselines`] | [`baselines`] |
//!
//! Kernels are safe functions over a token ([`lanes::Token`]) that proves the CPU can run them, all
//! `#[inline(always)]`: they take on the target features of the entry point in `src/dispatch.rs` they end up in.

#[cfg(feature = "baselines")]
pub(crate) mod baselines;
#[cfg_attr(not(feature = "std"), allow(dead_code))] // Its solver needs `std`.
pub(crate) mod batch;
pub(crate) mod clusters;
#[cfg(feature = "std")]
pub(crate) mod distances;
pub(crate) mod gradients;
pub(crate) mod lanes;
pub(crate) mod math;
#[cfg_attr(not(feature = "std"), allow(dead_code))] // As that of `sinkhorn`.
pub(crate) mod objective;
#[cfg_attr(not(feature = "std"), allow(dead_code))] // Its solver needs `std`.
pub(crate) mod sinkhorn;
pub(crate) mod softmax;
pub(crate) mod stablemax;
pub(crate) mod swap;
