//! Softmax, log-softmax, log-sum-exp and cross-entropy, StableMax, and their gradients.

mod backward;
mod forward;
mod stablemax;

pub use backward::{
    cross_entropy_gradient_rows, cross_entropy_rows, log_softmax_backward, log_softmax_backward_rows, softmax_backward,
    softmax_backward_rows,
};
pub use forward::{
    ExtSum, SoftmaxOptions, log_softmax, log_softmax_rows, log_softmax_rows_with, log_sum_exp, log_sum_exp_rows,
    log_sum_exp_rows_with, softmax, softmax_in_place, softmax_rows, softmax_rows_with,
};
pub use stablemax::{
    log_stablemax, log_stablemax_backward, log_stablemax_backward_rows, log_stablemax_rows, stablemax,
    stablemax_backward, stablemax_backward_rows, stablemax_rows,
};
