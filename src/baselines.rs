//! Baselines of the benches, and internals that the tests check, each on a given instruction set.
//! This module is not part of the public interface.

use crate::dispatch::Road;
use crate::kernels::softmax::tuning::recomputes_long_rows;
use crate::{Isa, Real};

/// The compiler that built the crate, and the target.
pub const BUILD: &str = concat!(env!("MANTEX_RUSTC"), ", ", env!("MANTEX_TARGET"));

/// Writes e^x as the softmax family computes it: from 0 to the smallest normal number for results
/// below the normal numbers, saturating above.
pub fn exp<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::exp(Road::on(isa), x, out);
}

/// Writes e^x as for rows of ordinary size, without a clamp above. Returns whether an overflow was
/// recorded. On AVX-512 none is recorded: the results show the overflow.
pub fn exp_recorded<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::exp_recorded(Road::on(isa), x, out);
}

/// Writes 2^x as the Sinkhorn iteration computes it.
pub fn exp2<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::exp2(Road::on(isa), x, out);
}

/// Returns the sum of e^x: the least work of a pass over the exponentials.
pub fn sum_exp<T: Real>(isa: Isa, x: &[T]) -> f64 {
    T::sum_exp(Road::on(isa), x)
}

/// Reads every element and returns the sum.
pub fn read<T: Real>(isa: Isa, x: &[T]) -> f64 {
    T::read(Road::on(isa), x)
}

/// Copies through the caches. Panics if the lengths differ, as do the functions below.
pub fn copy<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::copy(Road::on(isa), x, out);
}

/// Writes past the caches.
pub fn stream<T: Real>(isa: Isa, out: &mut [T]) {
    T::stream(Road::on(isa), out);
}

/// Reads, multiplies, and writes past the caches.
pub fn scale<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::scale(Road::on(isa), x, out);
}

/// Reads, negates, and writes in place.
pub fn update<T: Real>(isa: Isa, x: &mut [T]) {
    T::update(Road::on(isa), x);
}

/// Returns whether softmax computes each exponential of a long row twice, which saves memory
/// traffic.
pub fn recomputes<T: Real>(isa: Isa) -> bool {
    recomputes_long_rows(isa.token(), size_of::<T>())
}

/// Returns the size of the last-level cache in bytes, if the CPU tells it.
pub fn last_level_cache_bytes() -> Option<usize> {
    crate::kernels::rows::reported_cache_bytes()
}

/// Changes the least number of elements for which a thread is woken; not 0. For tests, in which
/// small inputs are split.
#[cfg(feature = "rayon")]
pub fn set_min_band_elements(elements: usize) {
    crate::bands::set_min_band_elements(elements);
}

/// Returns whether threads share each row of a matrix of this shape, one row after another, if a
/// thread is woken for at least `min_band` elements.
#[cfg(feature = "rayon")]
pub fn sharing_each_row_pays(shape: (usize, usize), threads: usize, min_band: usize) -> bool {
    crate::bands::sharing_each_row_pays(shape, threads, min_band)
}

/// Changes the size of the last-level cache, in bytes, that rows are compared with to decide
/// whether they are written past the caches.
pub fn set_cache_bytes(bytes: usize) {
    crate::kernels::rows::set_cache_bytes(bytes);
}

/// Writes the softmax of a finite row by three passes: three reads, two writes.
pub fn three_pass_reload<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::three_pass_reload(Road::on(isa), x, out);
}

/// Writes the softmax of a finite row by three passes: three reads, one write, every exponential
/// twice.
pub fn three_pass_recompute<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::three_pass_recompute(Road::on(isa), x, out);
}

/// Runs `steps` rounds of multiply-adds in registers. Returns the number of multiply-adds, and
/// their result so that they are not optimized away.
#[cfg(any(feature = "transport", feature = "medoids"))]
pub fn multiply_adds<T: Real>(isa: Isa, x: &[T], steps: usize) -> (usize, f64) {
    T::multiply_adds(Road::on(isa), x, steps)
}
