//! The entry points of the softmax family.

#[cfg(feature = "softmax")]
use crate::kernels::softmax::{
    ExtSum, Logits, backward, columns, cross_entropy, ext_sum, forward, log_rows, stablemax,
};
#[cfg(feature = "softmax")]
use crate::matrix::{MatMut, MatRef};

#[cfg(feature = "softmax")]
crate::dispatch::entry_points! {
    call forward::softmax(x: Option<&[T]>, out: &mut [T]);
    call log_rows::log_softmax(x: Option<&[T]>, out: &mut [T]);
    inline log_rows::log_sum_exp(x: &[T]) -> T;
    call forward::softmax_rows(x: Logits<'_, T>);
    call log_rows::log_softmax_rows(x: Logits<'_, T>);
    call log_rows::log_sum_exp_rows(x: Logits<'_, T>, out: &mut [T]);
    call columns::softmax_columns(x: Logits<'_, T>);
    call columns::log_softmax_columns(x: Logits<'_, T>);
    call columns::log_sum_exp_columns(x: MatRef<'_, T>, out: &mut [T]);
    call log_rows::cross_entropy_rows(x: Logits<'_, T>, classes: &[usize], losses: &mut [T]);
    call cross_entropy::cross_entropy_gradient_rows(
        x: Logits<'_, T>, classes: &[usize], weight: T, losses: &mut [T]
    );
    call log_rows::ext_sum(x: &[T]) -> ExtSum<T>;
    call ext_sum::merge_ext_sums(a: ExtSum<T>, b: ExtSum<T>) -> ExtSum<T>;
    call ext_sum::ext_sum_ln(sum: ExtSum<T>) -> T;
    call backward::softmax_backward_rows(y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
    call backward::log_softmax_backward_rows(y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
    call stablemax::stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>);
    call stablemax::log_stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>);
    call stablemax::stablemax_backward_rows(x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
    call stablemax::log_stablemax_backward_rows(x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
}

#[cfg(not(feature = "softmax"))]
crate::dispatch::entry_points! {}
