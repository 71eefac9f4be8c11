//! Entropic optimal transport: the solver, the plan it finds, and what both are told and tell.

mod batch;
mod masses;
mod sinkhorn;
mod solution;
mod solver;
mod workspace;

pub use batch::Batch;
pub use sinkhorn::{Method, Relaxation, Sinkhorn, SinkhornProgress};
pub use solution::{Entry, Objective, PlanEntries, PlanRows, Transport};
