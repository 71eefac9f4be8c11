//! SIMD numerical kernels with run-time CPU dispatch: AVX-512, AVX2, NEON, and a scalar fallback
//! that passes the same tests.
//!
//! Exponentials are kept as a mantissa and an exponent. Their sums then never overflow and need no
//! pass for the maximum. This saves memory traffic, which takes most of the time out of cache.
//!
//! # Softmax
//! - Slices: [`softmax()`], [`softmax_in_place`], [`log_softmax`], [`log_softmax_in_place`] and
//!   [`log_sum_exp`].
//! - Rows of a matrix: [`softmax_rows`], [`log_softmax_rows`], both also in place
//!   ([`softmax_rows_in_place`], [`log_softmax_rows_in_place`]), and [`log_sum_exp_rows`]. The
//!   builder [`Softmax`] adds a scale, a mask, causal masks and row lengths without a matrix.
//! - Columns of a matrix, or rows of a column-major one: [`softmax_columns`],
//!   [`log_softmax_columns`], both also in place ([`softmax_columns_in_place`],
//!   [`log_softmax_columns_in_place`]), and [`log_sum_exp_columns`].
//! - Training: gradients ([`softmax_backward`], [`log_softmax_backward`]) and cross-entropy from
//!   logits and classes ([`cross_entropy_rows`], [`cross_entropy_gradient_rows`]), of which some
//!   may be [`IGNORED`].
//! - [`ExtSum`], a sum of exponentials that streams and merges.
//! - StableMax, an alternative to softmax without exponentials: [`stablemax`], [`log_stablemax`]
//!   and their gradients.
#![cfg_attr(feature = "softmax", doc = "```")]
#![cfg_attr(not(feature = "softmax"), doc = "```ignore")]
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
//! The builder [`Sinkhorn`] solves one problem, or many problems on one cost matrix side by side
//! ([`Sinkhorn::solve_batch`]). An iteration reads one matrix once. [`transport`] has its options
//! and results. With the feature `sparse-transport`, `SparseTransport` solves with quadratic
//! regularization instead: most entries of its plans are exactly 0.
#![cfg_attr(feature = "transport", doc = "```")]
#![cfg_attr(not(feature = "transport"), doc = "```ignore")]
//! use mantex::{MatRef, Sinkhorn};
//! let cost = [0.0_f64, 1.0, 4.0, 1.0, 0.0, 1.0];
//! let t = Sinkhorn::new(0.01).solve(MatRef::new(&cost, 2, 3)?, &[0.5, 0.5], &[0.25, 0.5, 0.25])?;
//! assert!(t.converged() && (t.cost() - 0.5).abs() < 1e-3);
//! # Ok::<(), mantex::Error>(())
//! ```
//!
//! # k-medoids
//! The builder [`KMedoids`] clusters a dissimilarity matrix by FasterPAM, FastPAM1 or the
//! alternating algorithm. [`distance_matrix`] makes such a matrix from points, and
//! [`distance_matrix_between`] the distances of new points to the medoids. [`medoids`] has the
//! options and results, silhouettes, and the assignment of new objects.
#![cfg_attr(feature = "medoids", doc = "```")]
#![cfg_attr(not(feature = "medoids"), doc = "```ignore")]
//! use mantex::{KMedoids, MatRef};
//! let x = [0.0_f64, 0.1, 0.2, 7.0, 7.1, 7.3];
//! let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
//! let clusters = KMedoids::new(2).fit(MatRef::new(&d, 6, 6)?)?;
//! assert_eq!(clusters.labels()[..3], [clusters.labels()[0]; 3]);
//! assert!((clusters.loss() - 0.5).abs() < 1e-12);
//! # Ok::<(), mantex::Error>(())
//! ```
//!
//! # Several processes
//! `Sinkhorn::solve_distributed`, `SparseTransport::solve_distributed` and
//! `KMedoids::fit_distributed` solve a problem whose rows are on several machines. They take an
//! implementation of [`Reduce`], such as that over MPI in `bindings/mpi` of the repository.
//!
//! # Instruction sets
//! Functions and builders run on [`Isa::best`], which is chosen at the first call. Every function
//! that runs a kernel is also a method of [`Isa`], and every builder has a method `isa`: both
//! select an instruction set. A value of [`Isa`] exists only if the CPU can run it. With the
//! feature `std`, the environment variable `MANTEX_ISA=scalar|avx2|avx512|neon` replaces the best
//! one.
//!
//! The same input on the same instruction set gives the same bits, whatever its alignment. In
//! softmax of a row larger than half of the last-level cache, results below 2^-100 (f64: 2^-996),
//! and in rare rows the last bit of others, may also depend on the size of that cache.
//!
//! # Accuracy
//! Errors are tested on every instruction set, in units in the last place (ulp). They do not grow
//! with the length.
//!
//! | | f32 and f64 |
//! |---|---|
//! | softmax | 4 ulp from 2^-100 (f64: 2^-996) on; below, an absolute error of that number [^1] |
//! | log-softmax | 2 ulp at any size, also under a large common offset; never above 0 |
//! | log-sum-exp | 2 ulp of the largest of result, maximum and difference; at least the maximum |
//! | cross-entropy | as log-softmax, never below 0 |
//! | its gradient | 5 ulp of softmax times weight; 4 ulp at the class |
//! | StableMax | 4 ulp for normal results; its logarithm: 4 ulp of the larger of 1 and the result |
//! | gradients | a few EPSILON times the sizes of their terms; see each function |
//!
//! [^1]: In f32, up to 6 ulp for about one result in 100,000 of rows in which one logit outweighs
//! many others.
//!
//! These bounds hold for every finite input: `softmax([3e38, 3e38])` is `[0.5, 0.5]`.
//!
//! # Special values
//! | input | softmax | log-softmax | log-sum-exp | cross-entropy |
//! |---|---|---|---|---|
//! | -inf among finite | 0 there | -inf there | ignored | ignored; +inf if it is the class |
//! | all -inf | NaN | NaN | -inf | NaN |
//! | any +inf | NaN in the whole row | NaN | +inf | NaN |
//! | any NaN | NaN in the whole row | NaN | NaN | NaN |
//! | empty | no-op | no-op | -inf | no class but [`IGNORED`] |
//! | class [`IGNORED`] | | | | 0, whatever the logits |
//!
//! StableMax treats special values as softmax does. A masked entry counts as -inf, whatever its
//! logit. [`Softmax::masked_rows_are_zero`] makes fully masked rows count for nothing: softmax and
//! cross-entropy are 0 instead of NaN, and log-softmax is -inf. The gradient of cross-entropy is
//! NaN in the whole row if the loss is NaN, and 0 if the row counts for nothing.
//!
//! # Floating-point flags and modes
//! On AVX-512, AVX2 and NEON no function raises the flags for invalid operations, division by zero
//! or overflow on finite input whose results are representable. Code that traps on these flags can
//! therefore call it. Gradients and [`ExtSum::ln`] near the largest number are an exception. The
//! scalar fallback is plain Rust: the compiler may add operations that the program does not have,
//! and makes no promise about flags.
//!
//! In modes that flush subnormal numbers to zero (FTZ and DAZ of x86, FZ of Arm) results and
//! inputs below the normal range count as 0, masses and weights included. Nothing else changes. No
//! function changes a mode or clears a flag.
//!
//! # Errors
//! A function whose arguments can be invalid returns [`Error`], which names the argument, its value
//! and the rule for it. On an error all outputs are unchanged.
//!
//! # Memory and stack
//! The softmax family does not allocate. The iterations of [`Sinkhorn`] and the swaps of FasterPAM
//! and FastPAM1 do not allocate either: the memory is allocated before the first iteration, and for
//! the result. There are three exceptions: a slow solve allocates once, to find the range of the
//! costs; a batch allocates for each problem that [`Sinkhorn::solve`] takes over; and several
//! threads (feature `rayon`) allocate.
//!
//! Every function needs at most 64 KiB of stack, or 1 MiB without optimization.
//!
//! # Features
//! | feature | default | content |
//! |---|---|---|
//! | `softmax` | yes | the softmax family; works without `std` and without an allocator |
//! | `transport` | yes | [`Sinkhorn`] and its module, distance matrices; turns `alloc` on |
//! | `medoids` | yes | [`KMedoids`] and its module, distance matrices; turns `alloc` on |
//! | `std` | yes | run-time dispatch by multiversion, and `MANTEX_ISA`; turns `alloc` on |
//! | `alloc` | yes | a heap, which the solvers need |
//! | `sparse-transport` | no | `SparseTransport`: plans with few entries; turns `transport` on |
//! | `ndarray` | no | views of the matrices of ndarray 0.17 |
//! | `faer` | no | views of the matrices of faer 0.24 |
//! | `nalgebra` | no | views of the matrices of nalgebra 0.35 |
//! | `serde` | no | options and results as data; reading invalid data is an error |
//! | `rayon` | no | `mantex::parallel`, and `parallel` of builders: threads; turns `std` on |
//!
//! Without `std`, multiversion chooses its clones at build time. Functions still run on
//! [`Isa::best`], the best instruction set that the CPU is found to have: on x86-64, `cpuid` tells
//! it, and on aarch64, NEON is part of every target. `MANTEX_ISA` is not read. On other targets,
//! thumbv7em and wasm32 among them, the scalar fallback runs. If memory does not suffice, solvers
//! abort as the program's allocator does.
//!
//! Conversions from other crates are `MatRef::try_from(view)` and `MatMut::try_from(view)`. The
//! rows of a view must be contiguous, any distance apart; another layout is
//! [`Error::NotRowMajor`]. The matrices of faer and nalgebra are column-major: view their transpose
//! (`transpose()`, `MatRef::from_columns`) and use functions of columns for rows. Vectors need no
//! conversion: all three crates lend them as slices.
//!
//! With serde, an instruction set is written by its name, and results without theirs; that several
//! threads are wanted is not written. Infinite potentials are written as none, because JSON has no
//! infinities. serde_json reads the bits that were written only with its feature `float_roundtrip`.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "transport")]
mod aligned;
#[cfg_attr(not(any(feature = "softmax", feature = "transport", feature = "medoids")), allow(dead_code))]
mod bands;
#[cfg(feature = "baselines")]
#[doc(hidden)]
pub mod baselines;
#[allow(dead_code)] // Each family uses only some of the checks.
mod check;
#[cfg_attr(
    not(any(feature = "softmax", feature = "transport", feature = "medoids")),
    allow(dead_code, unreachable_pub, unused_imports, unused_macros)
)]
mod dispatch;
mod error;
#[cfg_attr(
    not(any(feature = "softmax", feature = "transport", feature = "medoids")),
    allow(dead_code, unreachable_pub, unused_imports, unused_macros)
)]
mod isa;
// Every `unsafe` block has its SAFETY reason. The only other `unsafe` code is the expansion of
// multiversion in `dispatch`. The types that entry points take are public, but code outside the
// crate cannot call an entry point.
#[allow(unsafe_code, unnameable_types)]
#[path = "../kernels/mod.rs"]
mod kernels;
#[cfg(feature = "medoids")]
pub mod medoids;
#[cfg(any(feature = "transport", feature = "medoids"))]
mod pairwise;
#[cfg(all(feature = "rayon", any(feature = "softmax", feature = "transport", feature = "medoids")))]
pub mod parallel;
mod real;
#[cfg(any(feature = "transport", feature = "medoids"))]
mod reduce;
#[cfg(feature = "serde")]
mod serialized;
#[cfg(feature = "softmax")]
mod softmax;
#[cfg(feature = "transport")]
pub mod transport;

pub use error::{Axis, Error, IsaName};
pub use isa::Isa;
use kernels::matrix;
pub use matrix::{MatMut, MatRef};
#[cfg(feature = "medoids")]
pub use medoids::KMedoids;
#[cfg(any(feature = "transport", feature = "medoids"))]
pub use pairwise::{Metric, distance_matrix, distance_matrix_between};
pub use real::Real;
#[cfg(any(feature = "transport", feature = "medoids"))]
pub use reduce::{OneProcess, Reduce};
#[cfg(feature = "softmax")]
pub use softmax::*;
#[cfg(feature = "transport")]
pub use transport::Sinkhorn;
#[cfg(feature = "sparse-transport")]
pub use transport::SparseTransport;

/// The README's examples are tests.
#[cfg(all(doctest, feature = "softmax", feature = "transport", feature = "medoids"))]
#[doc = include_str!("../README.md")]
struct Readme;
