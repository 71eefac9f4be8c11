//! The kernels: every intrinsic, and every `unsafe` block that is not a test's.
//!
//! Three families stand on three layers, and all on `matrix`. Each module sees only those to its
//! left: `lanes <- math <- rows, pairwise <- softmax | transport | medoids <- baselines`.
//!
//! | module | content | `unsafe` |
//! |---|---|---|
//! | [`matrix`] | borrowed matrices, and views of those of other crates | yes |
//! | [`lanes`] | vectors over a token that proves the instruction set | yes |
//! | [`math`] | exponential, logarithm, polynomials, compensated sums | no |
//! | [`rows`] | loops over rows, with tails and streaming stores | yes |
//! | `pairwise` | tiles of points against points, distances | no |
//! | `softmax` | softmax, log-softmax, log-sum-exp, cross-entropy, gradients, StableMax | no |
//! | `transport` | Sinkhorn iterations, plans, objectives | no |
//! | `medoids` | swap scans, BUILD, nearest caches, sums over clusters | no |
//! | `baselines` | passes that benches compare with | no |
//!
//! A kernel is a safe function, generic over [`lanes::Lanes`]. Its first argument is a token that
//! proves that the CPU can run it. Every function is `#[inline(always)]`, so that a kernel takes on
//! the target features of the body in `src/dispatch/` that calls it. Builds without optimization
//! exempt a few large functions (`mantex_unoptimized`), whose frames would overflow the stack.

#[cfg(feature = "baselines")]
pub(crate) mod baselines;
#[allow(dead_code)] // Each family uses a part; a build may lack families.
pub(crate) mod lanes;
#[allow(dead_code)] // As `lanes`.
pub(crate) mod math;
pub(crate) mod matrix;
#[cfg(feature = "medoids")]
pub(crate) mod medoids;
#[cfg(any(feature = "transport", feature = "medoids"))]
pub(crate) mod pairwise;
#[allow(dead_code)] // As `lanes`.
pub(crate) mod rows;
#[cfg(feature = "softmax")]
pub(crate) mod softmax;
#[cfg(feature = "transport")]
pub(crate) mod transport;
