//! The functions of the crate on several threads: those of rayon's current pool.
//!
//! Each function computes what the function of the same name at the root of the crate, or in
//! [`medoids`](crate::medoids), computes: with the same bits, whatever the number of threads. Small
//! inputs, and what is not worth it, stay on the calling thread. The builders have a method
//! `parallel` instead: [`Softmax::parallel`](crate::Softmax::parallel),
//! [`Sinkhorn::parallel`](crate::Sinkhorn::parallel), `SparseTransport::parallel` and
//! [`KMedoids::parallel`](crate::KMedoids::parallel).
//!
//! The work runs in the pool of the caller: the global pool of rayon, or that of
//! `ThreadPool::install`. In functions of rows and of distance matrices, a thread outside of the
//! pool takes part in place of one of the pool; solvers hand their work over and wait. Functions
//! block no thread of the pool while they wait, and hold no lock while they compute, so
//! they may be called from tasks of the same pool.
//!
//! Threads share the rows of a matrix. In softmax, log-softmax, log-sum-exp and cross-entropy they
//! also share a slice of at least 2^19 elements, and each of a few rows of that length. If one
//! exponential of such a row is more than about a third of the sum, one thread computes the
//! logarithm of the sum again. A long row in gradients of softmax and in StableMax is computed by
//! one thread.
//!
//! ```
//! use mantex::{MatMut, MatRef};
//! let x = vec![0.5_f32; 1 << 20];
//! let mut p = vec![0.0; 1 << 20];
//! mantex::parallel::softmax_rows(MatRef::new(&x, 1024, 1024)?, MatMut::new(&mut p, 1024, 1024)?)?;
//! assert_eq!(p[0], 1.0 / 1024.0);
//! # Ok::<(), mantex::Error>(())
//! ```

use crate::dispatch::Road;
use crate::{Error, MatMut, MatRef, Real};

/// Defines functions that run the function of the same name on several threads.
macro_rules! parallel_functions {
    ($module:literal $(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*) => {$(
        #[doc = concat!("[`", stringify!($name), "`](", $module, stringify!($name), "()) on several threads.")]
        ///
        #[doc = concat!("Errors: those of [`", stringify!($name), "`](", $module, stringify!($name), "()).")]
        pub fn $name<T: Real>($($arg: $ty),*) $(-> $ret)? {
            Road::BEST.with_threads(true).$name($($arg),*)
        }
    )*};
}

#[cfg(feature = "softmax")]
parallel_functions! {
    "crate::"
    fn softmax(x: &[T], out: &mut [T]) -> Result<(), Error>;
    fn softmax_in_place(x: &mut [T]);
    fn log_softmax(x: &[T], out: &mut [T]) -> Result<(), Error>;
    fn log_softmax_in_place(x: &mut [T]);
    fn log_sum_exp(x: &[T]) -> T;
    fn softmax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error>;
    fn softmax_rows_in_place(x: MatMut<'_, T>);
    fn log_softmax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error>;
    fn log_softmax_rows_in_place(x: MatMut<'_, T>);
    fn log_sum_exp_rows(x: MatRef<'_, T>, out: &mut [T]) -> Result<(), Error>;
    fn softmax_columns(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error>;
    fn softmax_columns_in_place(x: MatMut<'_, T>);
    fn log_softmax_columns(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error>;
    fn log_softmax_columns_in_place(x: MatMut<'_, T>);
    fn log_sum_exp_columns(x: MatRef<'_, T>, out: &mut [T]) -> Result<(), Error>;
    fn cross_entropy_rows(logits: MatRef<'_, T>, classes: &[usize], losses: &mut [T]) -> Result<(), Error>;
    fn cross_entropy_gradient_rows(
        logits: MatRef<'_, T>, classes: &[usize], weight: T, losses: &mut [T], gradient: MatMut<'_, T>
    ) -> Result<(), Error>;
    fn softmax_backward_rows(y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>) -> Result<(), Error>;
    fn log_softmax_backward_rows(y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>) -> Result<(), Error>;
    fn stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error>;
    fn log_stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>) -> Result<(), Error>;
    fn stablemax_backward_rows(x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>) -> Result<(), Error>;
    fn log_stablemax_backward_rows(x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>) -> Result<(), Error>;
}

#[cfg(any(feature = "transport", feature = "medoids"))]
parallel_functions! {
    "crate::"
    fn distance_matrix(points: MatRef<'_, T>, out: MatMut<'_, T>, metric: crate::Metric) -> Result<(), Error>;
    fn distance_matrix_between(
        x: MatRef<'_, T>, y: MatRef<'_, T>, out: MatMut<'_, T>, metric: crate::Metric
    ) -> Result<(), Error>;
}

#[cfg(feature = "medoids")]
parallel_functions! {
    "crate::medoids::"
    fn assign(dissimilarities: MatRef<'_, T>, labels: &mut [usize], distances: &mut [T]) -> Result<(), Error>;
    fn silhouette(dissimilarities: MatRef<'_, T>, labels: &[usize], out: &mut [T]) -> Result<f64, Error>;
    fn silhouette_weighted(
        dissimilarities: MatRef<'_, T>, labels: &[usize], weights: &[T], out: &mut [T]
    ) -> Result<f64, Error>;
}
