//! The entry points of the softmax family.

#[cfg(all(feature = "softmax", feature = "rayon"))]
use crate::kernels::softmax::{BlockBase, BlockSum, RowScan, SoftmaxWay, parts};
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
    #[cfg(feature = "rayon")]
    call parts::softmax_way(x: Logits<'_, T>) -> SoftmaxWay;
    #[cfg(feature = "rayon")]
    call parts::part_maximum(x: Logits<'_, T>) -> T;
    #[cfg(feature = "rayon")]
    call parts::block_sums(x: Logits<'_, T>, base: BlockBase<T>, store: bool, sums: &mut [BlockSum]);
    #[cfg(feature = "rayon")]
    call parts::scan_next_block(x: Logits<'_, T>, scan: Option<RowScan<T>>) -> RowScan<T>;
    #[cfg(feature = "rayon")]
    call parts::scan_blocks(x: Logits<'_, T>, scan: &mut RowScan<T>, sums: &[BlockSum]);
    #[cfg(feature = "rayon")]
    call parts::sum_of_blocks(maximum: Option<T>, sums: &[BlockSum]) -> Option<ExtSum<T>>;
    #[cfg(feature = "rayon")]
    call parts::scanned_sum(scan: RowScan<T>) -> ExtSum<T>;
    #[cfg(feature = "rayon")]
    call parts::softmax_part(x: Logits<'_, T>, sum: ExtSum<T>, weight: f64, way: SoftmaxWay);
    #[cfg(feature = "rayon")]
    call parts::scanned_logarithm(x: Logits<'_, T>, scan: RowScan<T>, of_results: bool) -> (ExtSum<T>, (f64, f64));
    #[cfg(feature = "rayon")]
    call parts::log_softmax_part(x: Logits<'_, T>, sum: (ExtSum<T>, (f64, f64)), row_len: usize);
    #[cfg(feature = "rayon")]
    call parts::log_sum_exp_of(sum: (ExtSum<T>, (f64, f64))) -> T;
    #[cfg(feature = "rayon")]
    call parts::scanned_loss(x: Logits<'_, T>, scan: RowScan<T>, class: usize) -> T;
    #[cfg(feature = "rayon")]
    call parts::folded_weight(weight: T) -> f64;
    #[cfg(feature = "rayon")]
    call parts::gradient_of_row(x: Logits<'_, T>, sum: ExtSum<T>, class: (usize, T), loss: &mut T);
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
