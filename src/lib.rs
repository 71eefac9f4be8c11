//! SIMD numerical kernels with run-time CPU dispatch: AVX-512, AVX2, NEON, and a scalar fallback that is tested against
//! the same references.
//!
//! Exponentials are taken relative to a base that is kept apart (mantissa and exponent), so their sums never overflow and
//! need no pass for the maximum. What that saves is memory traffic, and out of cache memory traffic is the time.
//!
//! # Softmax
//! [`softmax`], [`softmax_in_place`], [`log_softmax`], [`log_sum_exp`], the same over the rows of a matrix, there also with
//! a scale and a mask ([`SoftmaxOptions`]); [`ExtSum`], a sum of exponentials that streams and merges; gradients
//! ([`softmax_backward`], [`log_softmax_backward`]), cross-entropy from logits and classes ([`cross_entropy_rows`],
//! [`cross_entropy_gradient_rows`]); and StableMax, which does without exponentials ([`stablemax`], [`log_stablemax`] and
//! their gradients).
//! ```
//! use mantex::{MatMut, MatRef};
//! let logits = [1.0_f32, 2.0, 3.0, 1e7, 1e7, f32::NEG_INFINITY];
//! let mut p = [0.0; 6];
//! mantex::softmax_rows(MatRef::new(&logits, 2, 3)?, MatMut::new(&mut p, 2, 3)?)?;
//! assert!((p[..3].iter().sum::<f32>() - 1.0).abs() < 1e-6);
//! assert_eq!(p[3..], [0.5, 0.5, 0.0]);
//! assert_eq!(mantex::log_sum_exp(&[1000.0_f64, 1000.0]), 1000.0 + 2.0_f64.ln());
//! # Ok::<(), mantex::Error>(())
//! ```
//!
//! # Entropic optimal transport
//! [`Sinkhorn`] solves in the log domain with one read of the cost matrix per full iteration, or many problems on one cost
//! matrix side by side ([`Sinkhorn::solve_batch`]).
#![cfg_attr(feature = "std", doc = "```")]
#![cfg_attr(not(feature = "std"), doc = "```ignore")]
//! use mantex::{MatRef, Sinkhorn};
//! let cost = [0.0, 1.0, 4.0, 1.0, 0.0, 1.0];
//! let t = Sinkhorn::new(0.01).solve(MatRef::new(&cost, 2, 3)?, &[0.5, 0.5], &[0.25, 0.5, 0.25])?;
//! assert!(t.converged() && (t.cost() - 0.5_f64).abs() < 1e-3);
//! # Ok::<(), mantex::Error>(())
//! ```
//!
//! # k-medoids
//! [`KMedoids`] clusters a dissimilarity matrix by FasterPAM, FastPAM1 or the alternating algorithm, also with weights
//! and a callback; [`distance_matrix`] makes one of points and [`expand_condensed`] of its upper triangle; [`silhouette`]
//! and [`medoid_silhouette`] judge clusters, [`assign`] finds those of new objects.
#![cfg_attr(feature = "std", doc = "```")]
#![cfg_attr(not(feature = "std"), doc = "```ignore")]
//! use mantex::{KMedoids, MatRef};
//! let x = [0.0_f64, 0.1, 0.2, 7.0, 7.1, 7.3];
//! let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
//! let clusters = KMedoids::new(2).fit(MatRef::new(&d, 6, 6)?)?;
//! assert_eq!(clusters.labels()[..3], [clusters.labels()[0]; 3]);
//! assert!((clusters.loss() - 0.5).abs() < 1e-12);
//! # Ok::<(), mantex::Error>(())
//! ```
//!
//! # Instruction sets
//! Plain functions run on [`Isa::best`], picked once; `_on` twins and the builders' `isa` run on a given [`Isa`], whose
//! values exist only where the CPU can run them. `MANTEX_ISA=scalar|avx2|avx512|neon` in the environment chooses
//! another for the plain functions (with the feature `std`).
//! The same input on the same instruction set gives the same bits, whatever its alignment.
//!
//! # Accuracy
//! Tested on every instruction set, in units in the last place (ulp), up to any length: rounding does not grow with it.
//!
//! | | f32 and f64 |
//! |---|---|
//! | softmax | 4 ulp for results of at least 2^-100 (f64: 2^-996); below that an absolute error below that |
//! | log-softmax | 4 ulp of the larger of 1 and the result, also under a large common offset |
//! | log-sum-exp | 2 ulp, or 2 ulp of 1 where the result is between -1 and 1 |
//! | cross-entropy | as log-softmax; its gradient 5 ulp of the softmax times the weight |
//! | StableMax | 4 ulp for normal results; its logarithm 4 ulp of the larger of 1 and the result |
//! | gradients | a few EPSILON of the sizes of their terms: with each function |
//!
//! It holds for every finite input: `softmax([3e38, 3e38])` is `[0.5, 0.5]`.
//!
//! # Special values
//! | input | softmax | log-softmax | log-sum-exp |
//! |---|---|---|---|
//! | -inf among finite | 0 there | -inf there | ignored |
//! | all -inf | NaN | NaN | -inf |
//! | any +inf | NaN in the whole row | NaN | +inf |
//! | any NaN | NaN in the whole row | NaN | NaN |
//! | empty | nothing to do | nothing to do | -inf |
//!
//! StableMax is as softmax. Masked entries of rows count as -inf whatever they hold; rows that are masked whole can be 0
//! instead of NaN ([`SoftmaxOptions::masked_rows_are_zero`]).
//!
//! # Errors
//! Functions that can be called wrongly return [`Error`], which names the argument, what it was and what it must be;
//! outputs are untouched then.
//!
//! # Memory and stack
//! Functions over slices and rows do not allocate. The solvers allocate before they iterate, where they measure, and for
//! results; their iterations do not, also those of a batch, nor do the swaps of FasterPAM and FastPAM1.
//!
//! 64 KiB of stack are enough for every function, 1 MiB without optimisation.
//!
//! # Features
//! `std` (default): without it the softmax family, views and [`Isa`] remain, and the dispatcher is static: plain functions
//! hand over to what [`Isa::best`] detects.

#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "transport")]
mod aligned;
#[cfg(feature = "baselines")]
#[doc(hidden)]
pub mod baselines;
#[allow(dead_code)] // Each family uses some of them.
mod check;
mod dispatch;
mod error;
mod isa;
#[allow(unsafe_code)] // Every block has its SAFETY reason; else only what multiversion expands is unsafe.
#[path = "../kernels/mod.rs"]
mod kernels;
mod matrix;
#[cfg(feature = "medoids")]
pub mod medoids;
#[cfg(any(feature = "transport", feature = "medoids"))]
mod pairwise;
mod real;
#[cfg(feature = "softmax")]
mod softmax;
#[cfg(feature = "transport")]
pub mod transport;

pub use error::{Axis, Error, IsaName};
pub use isa::Isa;
pub use matrix::{MatMut, MatRef};
#[cfg(feature = "medoids")]
pub use medoids::KMedoids;
#[cfg(any(feature = "transport", feature = "medoids"))]
pub use pairwise::{Metric, distance_matrix};
pub use real::Real;
#[cfg(feature = "softmax")]
pub use softmax::*;
#[cfg(feature = "transport")]
pub use transport::Sinkhorn;

/// The README's examples are tests.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
struct Readme;
