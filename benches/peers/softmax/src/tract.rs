//! The softmax operator of tract. It works in place, so the input is copied first, as it is in a
//! graph that needs it again.

use tract_core::internal::{EvalOp, IntoTValue, IntoTensor, tvec};
use tract_core::ops::nn::Softmax;
use tract_core::prelude::Tensor;

/// Returns the matrix as tract has it.
pub(crate) fn matrix(x: &[f32], rows: usize, cols: usize) -> Tensor {
    Tensor::from_shape(&[rows, cols], x).expect("a matrix")
}

/// Softmax of every row.
pub(crate) fn softmax(x: &Tensor) -> Tensor {
    let softmax = Softmax { axes: tvec![1], ..Softmax::default() };
    let mut out = softmax.eval_out_of_plan(tvec![x.clone().into_tvalue()]).expect("a good matrix").expect("results");
    out.remove(0).into_tensor()
}

/// Returns the elements of a matrix.
pub(crate) fn elements(x: &Tensor) -> Vec<f32> {
    x.try_as_plain_ram().and_then(|x| x.as_slice::<f32>().map(<[f32]>::to_vec)).expect("f32")
}
