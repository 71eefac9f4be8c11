//! The entry points of the softmax family.

#[cfg(feature = "softmax")]
use crate::kernels::{
    gradients,
    softmax::{self, Logits, Sum},
    stablemax,
};
#[cfg(feature = "softmax")]
use crate::matrix::{MatMut, MatRef};

#[cfg(feature = "softmax")]
crate::dispatch::entry_points! {
    inline softmax::softmax(x: &[T], out: &mut [T]);
    inline softmax::softmax_in_place(x: &mut [T]);
    inline softmax::log_softmax(x: &[T], out: &mut [T]);
    inline softmax::log_sum_exp(x: &[T]) -> T;
    call softmax::ext_sum(x: &[T]) -> Sum<T>;
    call softmax::merge_ext_sums(a: Sum<T>, b: Sum<T>) -> Sum<T>;
    call softmax::ext_sum_ln(sum: Sum<T>) -> T;
    call softmax::softmax_rows(x: Logits<'_, T>, out: MatMut<'_, T>);
    call softmax::log_softmax_rows(x: Logits<'_, T>, out: MatMut<'_, T>);
    call softmax::log_sum_exp_rows(x: Logits<'_, T>, out: &mut [T]);
    call gradients::softmax_backward(y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
    call gradients::log_softmax_backward(y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
    call gradients::cross_entropy(x: MatRef<'_, T>, classes: &[usize], losses: &mut [T]);
    call gradients::cross_entropy_gradient(x: MatRef<'_, T>, classes: &[usize], weight: T, losses: &mut [T], gradient: MatMut<'_, T>);
    call stablemax::stablemax(x: &[T], out: &mut [T]);
    call stablemax::log_stablemax(x: &[T], out: &mut [T]);
    call stablemax::stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>);
    call stablemax::log_stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>);
    call stablemax::stablemax_backward(x: &[T], dy: &[T], dx: &mut [T]);
    call stablemax::log_stablemax_backward(x: &[T], dy: &[T], dx: &mut [T]);
    call stablemax::stablemax_backward_rows(x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
    call stablemax::log_stablemax_backward_rows(x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
}

#[cfg(not(feature = "softmax"))]
crate::dispatch::entry_points! {}
