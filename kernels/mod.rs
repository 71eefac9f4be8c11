//! Every intrinsic and every `unsafe` of the crate. A kernel is written once, generic over [`lanes::Lanes`]; what
//! differs per instruction set is a primitive in `lanes/<isa>.rs`.
//!
//! | | scalar | AVX2 | AVX-512 | NEON |
//! |---|---|---|---|---|
//! | vocabulary | [`lanes`]`/scalar.rs` | `lanes/avx2.rs` | `lanes/avx512.rs` | `lanes/neon.rs` |
//! | exp as (mantissa, exponent), 2^x, ln | [`exp`] | [`exp`] | [`exp`] | [`exp`] |
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
#[cfg(feature = "transport")]
pub(crate) mod batch;
#[cfg(feature = "medoids")]
pub(crate) mod clusters;
#[cfg(any(feature = "transport", feature = "medoids"))]
pub(crate) mod distances;
#[cfg(feature = "softmax")]
pub(crate) mod gradients;
#[allow(dead_code)] // Each family uses some of it.
pub(crate) mod lanes;
#[allow(dead_code)] // As `lanes`.
pub(crate) mod math;
#[cfg(feature = "transport")]
pub(crate) mod objective;
#[cfg(feature = "transport")]
pub(crate) mod sinkhorn;
#[allow(dead_code)] // As `lanes`.
pub(crate) mod softmax;
#[cfg(feature = "softmax")]
pub(crate) mod stablemax;
#[cfg(feature = "medoids")]
pub(crate) mod swap;
