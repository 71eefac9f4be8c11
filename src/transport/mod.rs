//! Optimal transport: everything around [`Sinkhorn`], and `SparseTransport`.
//!
//! For costs C (n x m) and masses a (n) and b (m), the plan P minimizes
//! `<C, P> + epsilon * sum_ij P_ij (ln P_ij - 1)` with row sums a and column sums b. It is
//! `P_ij = exp((f_i + g_j - C_ij) / epsilon)` for potentials f and g.
//!
//! - [`Sinkhorn`] holds the settings and solves one problem ([`Sinkhorn::solve`]) or many on one
//!   cost matrix ([`Sinkhorn::solve_batch`]).
//! - [`Method`], [`OverRelaxation`] and [`EpsilonScaling`] are its options. It passes [`Progress`]
//!   to a callback.
//! - [`Transport`] is the solution: potentials, cost, marginal error and [`Status`]. The plan
//!   ([`PlanRows`], [`PlanEntries`], [`CsrPlan`]), its products with vectors, and the [`Objective`]
//!   are computed from it. [`TransportBatch`] has the solutions of a batch.
//! - `SparseTransport` (feature `sparse-transport`) solves with quadratic regularization instead,
//!   or with few entries per row: `SparseSolution` has a plan whose other entries are exactly 0.

mod batch;
mod block_step;
mod centered_costs;
mod components;
mod convergence;
mod csr;
mod distributed;
mod domain;
mod drift;
mod epsilon_scaling;
mod kept_rows;
mod masses;
mod newton;
mod newton_turn;
mod objective;
mod over_relaxation;
mod plan;
mod products;
mod ranks;
mod row_pass;
mod semi_dual;
#[cfg(feature = "serde")]
mod serde;
mod sinkhorn;
mod solution;
mod solver;
#[cfg(feature = "sparse-transport")]
mod sparse;
#[cfg(feature = "rayon")]
mod threads;
mod units;
mod workspace;

pub use batch::TransportBatch;
pub use convergence::Progress;
pub use csr::CsrPlan;
pub use domain::Method;
pub use epsilon_scaling::EpsilonScaling;
pub use objective::Objective;
pub use over_relaxation::OverRelaxation;
pub use plan::{PlanEntries, PlanEntry, PlanRows};
pub use sinkhorn::Sinkhorn;
pub use solution::{Status, Transport};
#[cfg(feature = "sparse-transport")]
pub use sparse::{SparseProgress, SparseSolution, SparseTransport};
