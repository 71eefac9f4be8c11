//! What the benches compare with and the tests look into, on a given instruction set; not part of
//! the crate's interface.

use crate::dispatch::Road;
use crate::kernels::softmax::tuning::recomputes_long_rows;
use crate::{Isa, Real};

/// Which compiler built the crate, for which target.
pub const BUILD: &str = concat!(env!("MANTEX_RUSTC"), ", ", env!("MANTEX_TARGET"));

/// e^x as the softmax family takes it: 0 or nearly so below the normal numbers, saturating above.
pub fn exp<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::exp(Road::On(isa), x, out);
}

/// e^x as for rows of ordinary size, without a clamp above. Returns whether overflow was recorded;
/// on AVX-512 overflow shows in the results instead.
pub fn exp_recorded<T: Real>(isa: Isa, x: &[T], out: &mut [T]) -> bool {
    T::exp_recorded(Road::On(isa), x, out)
}

/// 2^x as the Sinkhorn iteration takes it.
pub fn exp2<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::exp2(Road::On(isa), x, out);
}

/// The sum of e^x and no more: the least that a pass over the exponentials can be.
pub fn sum_exp<T: Real>(isa: Isa, x: &[T]) -> f64 {
    T::sum_exp(Road::On(isa), x)
}

/// Reads every element: their sum.
pub fn read<T: Real>(isa: Isa, x: &[T]) -> f64 {
    T::read(Road::On(isa), x)
}

/// Copies through the caches. Panics where the lengths differ, as the others below.
pub fn copy<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::copy(Road::On(isa), x, out);
}

/// Writes past the caches.
pub fn stream<T: Real>(isa: Isa, out: &mut [T]) {
    T::stream(Road::On(isa), out);
}

/// Reads, multiplies, and writes past the caches.
pub fn scale<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::scale(Road::On(isa), x, out);
}

/// Reads, negates, and writes in place.
pub fn update<T: Real>(isa: Isa, x: &mut [T]) {
    T::update(Road::On(isa), x);
}

/// Whether softmax takes each exponential of a long row twice and saves memory traffic, or once.
pub fn recomputes<T: Real>(isa: Isa) -> bool {
    recomputes_long_rows(isa.token(), size_of::<T>())
}

/// Softmax of finite rows by three passes: three reads, two writes.
pub fn three_pass_reload<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::three_pass_reload(Road::On(isa), x, out);
}

/// Softmax of finite rows by three passes: three reads, one write, every exponential twice.
pub fn three_pass_recompute<T: Real>(isa: Isa, x: &[T], out: &mut [T]) {
    T::three_pass_recompute(Road::On(isa), x, out);
}

/// Multiply-adds and nothing else, as many as `steps` rounds of the registers hold; how many, and
/// what came out.
#[cfg(any(feature = "transport", feature = "medoids"))]
pub fn multiply_adds<T: Real>(isa: Isa, x: &[T], steps: usize) -> (usize, f64) {
    T::multiply_adds(Road::On(isa), x, steps)
}
