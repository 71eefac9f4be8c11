//! Softmax, log-softmax, log-sum-exp, cross-entropy and StableMax, with their gradients.

mod backward;
mod columns;
mod cross_entropy;
mod ext_sum;
mod forward;
#[cfg(feature = "rayon")]
mod long_rows;
mod options;
mod stablemax;

pub use backward::{log_softmax_backward, log_softmax_backward_rows, softmax_backward, softmax_backward_rows};
pub use columns::{
    log_softmax_columns, log_softmax_columns_in_place, log_sum_exp_columns, softmax_columns, softmax_columns_in_place,
};
pub use cross_entropy::{IGNORED, cross_entropy_gradient_rows, cross_entropy_rows};
pub use ext_sum::ExtSum;
pub use forward::{
    log_softmax, log_softmax_in_place, log_softmax_rows, log_softmax_rows_in_place, log_sum_exp, log_sum_exp_rows,
    softmax, softmax_in_place, softmax_rows, softmax_rows_in_place,
};
pub use options::Softmax;
pub use stablemax::{
    log_stablemax, log_stablemax_backward, log_stablemax_backward_rows, log_stablemax_rows, stablemax,
    stablemax_backward, stablemax_backward_rows, stablemax_rows,
};
