//! The entry points of the transport family.

#[cfg(feature = "sparse-transport")]
use crate::kernels::transport::scores::{self, ScoreLists, ScoreRows};
#[cfg(feature = "transport")]
use crate::kernels::transport::{
    Band, Exchange, PlanSummary, Problem, Workspace, costs,
    objective::{self, Scratch, Values},
    plan,
    potentials::{PotentialsMut, PotentialsRef, Relaxation, SplitColumns},
    sinkhorn_batch::{self, GibbsBlocks, LaneArrays},
    sinkhorn_log,
    sinkhorn_scaling::{self, BuiltRows, GibbsRows, ScaledGibbs},
    sparse_rows::{self, SparseRows},
};
#[cfg(feature = "transport")]
use crate::matrix::{MatMut, MatRef};

#[cfg(feature = "transport")]
crate::dispatch::entry_points! {
    call costs::cost_minima(
        cost: MatRef<'_, T>, a: &[T], penalty: &[T], row_minima: &mut [T], column_minima: &mut [T]
    ) -> Option<usize>;
    call sinkhorn_log::split_columns(potentials: PotentialsRef<'_>, columns: [&mut [T]; 3]);
    call sinkhorn_log::log_iteration(
        p: &Problem<'_, T>, relaxation: Relaxation, potentials: &mut PotentialsMut<'_>, w: &mut Workspace<'_, T>,
        ranks: &mut dyn Exchange
    ) -> f64;
    call sinkhorn_log::log_rows(
        p: &Problem<'_, T>, relaxation: Relaxation, potentials: PotentialsRef<'_>, columns: SplitColumns<'_, T>,
        band: &mut Band<'_, T>
    );
    call sinkhorn_log::update_potentials(
        p: &Problem<'_, T>, relaxation: Relaxation, potentials: &mut PotentialsMut<'_>, w: &mut Workspace<'_, T>,
        ranks: &mut dyn Exchange
    ) -> f64;
    call sinkhorn_log::evaluate_rows(
        p: &Problem<'_, T>, potentials: PotentialsRef<'_>, columns: SplitColumns<'_, T>, band: &mut Band<'_, T>
    );
    call sinkhorn_log::summarize_plan(
        p: &Problem<'_, T>, w: &mut Workspace<'_, T>, ranks: &mut dyn Exchange
    ) -> PlanSummary;
    call sinkhorn_scaling::build_rows(
        p: &Problem<'_, T>, columns: SplitColumns<'_, T>, max_abs: f64, to: &mut BuiltRows<'_, T>
    );
    call sinkhorn_scaling::move_factors(factors: &[T], g: &mut [f64], column_scalings: &mut [f64]);
    call sinkhorn_scaling::round_column_scalings(column_scalings: &[f64], out: &mut [T]);
    call sinkhorn_scaling::scaling_iteration(
        p: &Problem<'_, T>, relaxation: Relaxation, scaled: &mut ScaledGibbs<'_, T>, w: &mut Workspace<'_, T>,
        no_ranks: &mut dyn Exchange
    ) -> Option<f64>;
    call sinkhorn_scaling::scale_rows(
        p: &Problem<'_, T>, relaxation: Relaxation, from: &GibbsRows<'_, T>, band: &mut Band<'_, T>
    ) -> bool;
    call sinkhorn_scaling::update_scalings(
        p: &Problem<'_, T>, relaxation: Relaxation, is_good: bool, scaled: &mut ScaledGibbs<'_, T>,
        w: &mut Workspace<'_, T>, ranks: &mut dyn Exchange
    ) -> Option<f64>;
    call sinkhorn_scaling::absorb_scalings(
        p: &Problem<'_, T>, potentials: &mut PotentialsMut<'_>, from: &ScaledGibbs<'_, T>
    );
    call sinkhorn_batch::batch_iteration(gibbs: &GibbsBlocks<'_, T>, lanes: &mut LaneArrays<'_, T>);
    call sinkhorn_batch::scalings_to_potentials(eta: f64, shift: f64, offsets: &[f64], in_out: &mut [T]);
    call sparse_rows::sparse_rows(
        p: &Problem<'_, T>, potentials: PotentialsRef<'_>, columns: SplitColumns<'_, T>, band: &mut Band<'_, T>,
        to: &mut SparseRows<'_, T>
    ) -> bool;
    call plan::plan_rows(
        p: &Problem<'_, T>, potentials: PotentialsRef<'_>, w: &mut Workspace<'_, T>, first: usize, out: MatMut<'_, T>
    );
    call plan::times_vectors(plan: MatRef<'_, T>, vectors: MatRef<'_, T>, out: MatMut<'_, T>);
    call plan::add_weighted_rows(plan: MatRef<'_, T>, weights: MatRef<'_, T>, sums: &mut [f64]);
    call objective::objective(p: &Problem<'_, T>, potentials: PotentialsRef<'_>, w: &mut Scratch<'_>) -> Values;
    #[cfg(feature = "sparse-transport")]
    call scores::largest_scores(rows: &ScoreRows<'_, T>, maxima: &mut [T]);
    #[cfg(feature = "sparse-transport")]
    call scores::list_scores(rows: &ScoreRows<'_, T>, bounds: &[T], to: &mut ScoreLists<'_, T>);
    #[cfg(feature = "sparse-transport")]
    call scores::entry_potentials(cost: MatRef<'_, T>, support: &[usize], levels: &[T], out: &mut [T]);
}

#[cfg(not(feature = "transport"))]
crate::dispatch::entry_points! {}
