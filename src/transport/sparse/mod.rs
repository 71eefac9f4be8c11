//! Optimal transport with quadratic regularization, or with few entries per row.

mod ascent;
mod blocks;
mod distributed;
mod dual;
mod empty_columns;
mod largest_cost;
mod level;
mod pattern;
mod rows;
#[cfg(feature = "serde")]
mod serde;
mod solution;
mod solver;
mod sparse_transport;
#[cfg(feature = "rayon")]
mod threads;

pub use solution::SparseSolution;
pub use sparse_transport::{SparseProgress, SparseTransport};
