//! SIMD numerical kernels with run-time CPU dispatch.

#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "baselines")]
#[doc(hidden)]
pub mod baselines;
mod dispatch;
mod error;
mod isa;
#[allow(unsafe_code)] // Every block has its SAFETY reason; nothing else in the crate is unsafe.
#[path = "../kernels/mod.rs"]
mod kernels;
mod matrix;
#[cfg(feature = "std")]
mod medoids;
#[cfg(feature = "std")]
mod sinkhorn;
mod softmax;

pub use error::{Error, IsaName};
pub use isa::Isa;
pub use matrix::{MatMut, MatRef};
#[cfg(feature = "std")]
pub use medoids::{Algorithm, Clustering, Init, KMedoids};
#[cfg(feature = "std")]
pub use sinkhorn::{Sinkhorn, Transport};
pub use softmax::{
    ExtSum, log_softmax, log_softmax_on, log_softmax_rows, log_softmax_rows_on, log_sum_exp, log_sum_exp_on,
    log_sum_exp_rows, log_sum_exp_rows_on, softmax, softmax_in_place, softmax_in_place_on, softmax_on, softmax_rows,
    softmax_rows_on,
};

/// The element types of the kernels: `f32` and `f64`.
pub trait Real: kernels::lanes::Float + dispatch::EntryPoints<Self> {}

impl Real for f32 {}
impl Real for f64 {}
