//! Passes over the rows of a problem: iterations, and the measurement of a plan.
//!
//! A pass prepares the columns, calls a kernel for all rows, or, on several threads, for parts of
//! them ([`sum_rows`]), and ends with the sums of all rows: it updates the potentials or adds up
//! the errors.

use super::ranks::Ranks;
use super::workspace::{Memory, Tasks};
use crate::Real;
use crate::bands::Bands;
use crate::dispatch::Road;
use crate::kernels::transport::potentials::{PotentialsMut, PotentialsRef, Relaxation, SplitColumns};
use crate::kernels::transport::sinkhorn_scaling::{BuiltRows, GibbsRows, ScaledGibbs, gibbs_stride, is_cached};
use crate::kernels::transport::sparse_rows::SparseRows;
use crate::kernels::transport::tuning::BLOCK_ROWS;
use crate::kernels::transport::{Band, PlanSummary, Problem, Workspace};
use crate::real::Element;
use core::ops::Range;

/// Runs one iteration in the log domain. Returns the marginal error before it, see
/// [`update_potentials`](crate::kernels::transport::sinkhorn_log::update_potentials).
pub(super) fn log_iteration<T: Real>(
    road: Road,
    problem: &Problem<'_, T>,
    relaxation: Relaxation,
    potentials: &mut PotentialsMut<'_>,
    memory: &mut Memory<T>,
    ranks: &mut Ranks<'_>,
) -> f64 {
    if !is_shared(road, problem) {
        return T::log_iteration(road, problem, relaxation, potentials, &mut memory.workspace(), ranks);
    }
    let of_rows = potentials.as_ref();
    split_and_sum_rows(road, problem, of_rows, memory, |rows, columns, band| {
        T::log_rows(road, &problem.rows(rows.clone()), relaxation, of_rows.rows(rows), columns, band);
    });
    T::update_potentials(road, problem, relaxation, potentials, &mut memory.workspace(), ranks)
}

/// Runs one iteration on the scalings. Returns the error before it, or `None` if it is refused, see
/// [`update_scalings`](crate::kernels::transport::sinkhorn_scaling::update_scalings).
pub(super) fn scaling_iteration<T: Real>(
    road: Road,
    problem: &Problem<'_, T>,
    relaxation: Relaxation,
    scaled: &mut ScaledGibbs<'_, T>,
    memory: &mut Memory<T>,
    ranks: &mut Ranks<'_>,
) -> Option<f64> {
    if ranks.is_one() && !is_shared(road, problem) {
        return T::scaling_iteration(road, problem, relaxation, scaled, &mut memory.workspace(), ranks);
    }
    let (Workspace { column_scratch, band, .. }, tasks) = memory.workspace_and_tasks();
    T::round_column_scalings(road, scaled.column_scalings, column_scratch);
    let (gibbs, row_scalings, column_scalings) = (&*scaled.gibbs, &*scaled.row_scalings, &*column_scratch);
    let (stride, is_cached) = (gibbs_stride(problem.cost.cols()), is_cached(gibbs));
    let is_good = sum_rows(road, problem, (band, tasks), |rows, band| {
        // Rows of whole blocks, which ends with rows of 0.
        let gibbs = &gibbs[rows.start * stride..][..rows.len().next_multiple_of(BLOCK_ROWS) * stride];
        let of_rows = GibbsRows { gibbs, row_scalings: &row_scalings[rows.clone()], column_scalings, is_cached };
        T::scale_rows(road, &problem.rows(rows), relaxation, &of_rows, band)
    });
    T::update_scalings(road, problem, relaxation, is_good, scaled, &mut memory.workspace(), ranks)
}

/// Builds the Gibbs matrix of the potentials in one read of the cost matrix. U becomes the shifts
/// of the rows; the row scalings take the difference. The column scalings take the low parts of G.
pub(super) fn build_gibbs<T: Real>(
    road: Road,
    problem: &Problem<'_, T>,
    potentials: &mut PotentialsMut<'_>,
    to: ScaledGibbs<'_, T>,
    memory: &mut Memory<T>,
) {
    let Workspace { column_scratch, g_low, g_factors, .. } = memory.workspace();
    T::split_columns(road, potentials.as_ref(), [column_scratch, g_low, g_factors]);
    let columns = SplitColumns { high: column_scratch, low: g_low, factors: g_factors };
    let ScaledGibbs { gibbs, row_scalings, column_scalings } = to;
    let (shape, stride) = ((problem.support.len(), problem.cost.cols()), gibbs_stride(problem.cost.cols()));
    let max_abs = *potentials.max_abs;
    let rows = (0..shape.0, &mut *potentials.u, row_scalings, Strided { rows: gibbs, stride });
    road.each_band(shape, rows, |(rows, u, row_scalings, gibbs)| {
        let mut to = BuiltRows { u, row_scalings, gibbs: gibbs.rows };
        T::build_rows(road, &problem.rows(rows), columns, max_abs, &mut to);
    });
    T::move_factors(road, columns.factors, potentials.g, column_scalings);
}

/// The rows of a Gibbs matrix, with padding.
struct Strided<'a, T> {
    rows: &'a mut [T],
    stride: usize,
}

impl<T: Send> Bands for Strided<'_, T> {
    fn split_at_row(self, row: usize) -> (Self, Self) {
        let Self { rows, stride } = self;
        let (above, below) = rows.split_at_mut(row * stride);
        (Self { rows: above, stride }, Self { rows: below, stride })
    }
}

/// Measures the marginal error and the cost of the plan that the potentials define. The sums of the
/// columns stay in the memory.
pub(super) fn evaluate_plan<T: Real>(
    road: Road,
    problem: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    memory: &mut Memory<T>,
    ranks: &mut Ranks<'_>,
) -> PlanSummary {
    split_and_sum_rows(road, problem, potentials, memory, |rows, columns, band| {
        T::evaluate_rows(road, &problem.rows(rows.clone()), potentials.rows(rows), columns, band);
    });
    T::summarize_plan(road, problem, &mut memory.workspace(), ranks)
}

/// Sums the rows and the columns of a plan and compresses its large entries, see
/// [`sparse_rows`](crate::kernels::transport::sparse_rows::sparse_rows), on one thread. The sums of
/// rows and columns stay in the memory. Returns whether there was room for the entries.
pub(super) fn sparse_rows<T: Real>(
    road: Road,
    problem: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    memory: &mut Memory<T>,
    to: &mut SparseRows<'_, T>,
) -> bool {
    let Workspace { column_scratch, g_low, g_factors, mut band, .. } = memory.workspace();
    T::split_columns(road, potentials, [column_scratch, g_low, g_factors]);
    let columns = SplitColumns { high: column_scratch, low: g_low, factors: g_factors };
    let all = T::sparse_rows(road, problem, potentials, columns, &mut band, to);
    for (sum, factor) in band.column_sums.iter_mut().zip(columns.factors) {
        *sum *= factor.to_f64();
    }
    all
}

/// Splits the potentials of the columns and sums the rows by `each`.
#[inline(always)]
fn split_and_sum_rows<T: Real>(
    road: Road,
    problem: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    memory: &mut Memory<T>,
    each: impl Fn(Range<usize>, SplitColumns<'_, T>, &mut Band<'_, T>) + Sync,
) {
    let (Workspace { column_scratch, g_low, g_factors, band, .. }, tasks) = memory.workspace_and_tasks();
    T::split_columns(road, potentials, [column_scratch, g_low, g_factors]);
    let columns = SplitColumns { high: column_scratch, low: g_low, factors: g_factors };
    sum_rows(road, problem, (band, tasks), |rows, band| {
        each(rows, columns, band);
        true
    });
}

/// Sums all rows by `each`, on one thread or on several. `each` takes consecutive rows, writes to
/// the part of the band that belongs to them, and computes its column sums. It returns false if
/// these do not matter; other rows may then be left out. Returns whether it always returned true.
#[inline(always)]
fn sum_rows<T: Real>(
    road: Road,
    problem: &Problem<'_, T>,
    (mut band, tasks): (Band<'_, T>, &mut Tasks<T>),
    each: impl Fn(Range<usize>, &mut Band<'_, T>) -> bool + Sync,
) -> bool {
    #[cfg(feature = "rayon")]
    if road.shares((problem.support.len(), problem.cost.cols())) {
        return tasks.sum_rows(problem, band, &each);
    }
    let _ = (road, tasks);
    each(0..problem.support.len(), &mut band)
}

/// Returns whether threads share the rows of a problem. One thread makes one call per iteration,
/// because calls count in problems of a few rows.
#[inline(always)]
fn is_shared<T: Real>(road: Road, problem: &Problem<'_, T>) -> bool {
    #[cfg(feature = "rayon")]
    return road.shares((problem.support.len(), problem.cost.cols()));
    #[cfg(not(feature = "rayon"))]
    {
        let _ = (road, problem);
        false
    }
}
