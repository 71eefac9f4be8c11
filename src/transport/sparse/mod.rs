//! Optimal transport with quadratic regularization, or with few entries per row.

mod ascent;
mod level;
mod rows;
#[cfg(feature = "serde")]
mod serde;
mod solution;
mod solver;
mod sparse_transport;

pub use solution::SparseSolution;
pub use sparse_transport::{SparseProgress, SparseTransport};
