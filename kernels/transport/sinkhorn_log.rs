//! Sinkhorn's iteration in the log domain: one read of the cost matrix and one exponential per
//! entry for an update of both potentials.
//!
//! The [family's page](super) has the pseudo-code.

use super::gibbs::{
    GibbsEval, RowSum, add_block, at_most_finite, column_floor, flush_partial_sums, partial_sum_scale, stable_rows,
};
use super::potentials::{PotentialsMut, PotentialsRef, Relaxation, SplitColumns, max_abs_potential};
use super::tuning::{BLOCK_ROWS, FLUSH_ROWS, UPDATE_ROWS};
use super::{Band, Exchange, PlanSummary, Problem, Workspace, band_sums, of_block, put_block};
use crate::kernels::lanes::{Float, Lanes, out_of_line};
use crate::kernels::math::exp::{ExpLanes, exp2, exp2_each, pow2};
use crate::kernels::math::ln::{log2, log2_each};

/// A block of rows of the Gibbs matrix that a pass has evaluated.
pub(super) struct EvaluatedBlock<'a, T> {
    /// The index of its first row among those with mass.
    pub(super) first: usize,
    /// The number of its rows; the others repeat the last one.
    pub(super) len: usize,
    /// The costs.
    costs: [&'a [T]; BLOCK_ROWS],
    /// The entries without the factors of the columns; the vectors of the rows take turns.
    pub(super) gibbs: &'a [T],
    /// The number of lanes of these vectors.
    lanes: usize,
    /// The factors of the columns.
    pub(super) factors: &'a [T],
    /// The potentials that the rows were evaluated with.
    pub(super) shifts: [f64; BLOCK_ROWS],
    /// The sums of the rows.
    pub(super) totals: [RowSum; BLOCK_ROWS],
}

/// Splits the column potentials for a pass over the rows.
#[inline(always)]
pub(crate) fn split_columns<L: ExpLanes<T>, T: Float>(l: L, potentials: PotentialsRef<'_>, columns: [&mut [T]; 3]) {
    SplitColumns::new(l, potentials, columns);
}

/// Evaluates the Gibbs matrix in blocks of rows, each while the one before it is added to the
/// column sums, which are without the factors of the columns. `weigh` returns the weights of the
/// rows of a block, and their numbers in [`Band::row_scratch`] and [`Band::shifts`].
#[inline(always)]
pub(super) fn sum_rows<L: ExpLanes<T>, T: Float, const WITH_COST: bool>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    columns: SplitColumns<'_, T>,
    band: &mut Band<'_, T>,
    mut weigh: impl FnMut(&EvaluatedBlock<'_, T>) -> [[f64; BLOCK_ROWS]; 3],
) {
    const { assert!(FLUSH_ROWS.is_multiple_of(BLOCK_ROWS), "a band has whole blocks") };
    let (rows, cols) = (p.support.len(), p.cost.cols());
    let eval = GibbsEval::new(l, p.eta, columns, potentials.max_abs);
    let partial_sums = &mut band.partial_sums[..cols.next_multiple_of(L::N)];
    partial_sums.fill(T::ZERO);
    band.column_sums.fill(0.0);

    let ahead = p.prefetch_distance();
    let gibbs = &mut band.gibbs[..BLOCK_ROWS * cols.next_multiple_of(L::N)];
    // The block before the first one adds nothing.
    gibbs.fill(T::ZERO);
    let mut weights = [T::ZERO; BLOCK_ROWS];
    for first in (0..rows).step_by(BLOCK_ROWS) {
        let (costs, u) = (p.block_rows(first), of_block(potentials.u, first));
        let added = Some((weights, &mut *partial_sums));
        let (shifts, totals) = stable_rows::<L, T, BLOCK_ROWS, WITH_COST>(l, &eval, costs, u, gibbs, added, ahead);
        if first.is_multiple_of(FLUSH_ROWS) && first > 0 {
            flush_partial_sums(band_sums(band.column_sums, cols, first), partial_sums);
        }
        let len = BLOCK_ROWS.min(rows - first);
        let block =
            EvaluatedBlock { first, len, costs, gibbs: &*gibbs, factors: columns.factors, lanes: L::N, shifts, totals };
        let [new, scratch, shifts] = weigh(&block);
        weights = [T::ZERO; BLOCK_ROWS];
        for (weight, new) in weights.iter_mut().zip(new).take(len) {
            *weight = at_most_finite(new * partial_sum_scale::<T>());
        }
        put_block(band.shifts, first, len, shifts);
        put_block(band.row_scratch, first, len, scratch);
    }
    add_block(l, gibbs, weights, partial_sums);
    flush_partial_sums(band_sums(band.column_sums, cols, rows), partial_sums);
}

/// Multiplies the column sums by the factors of the columns.
#[inline(always)]
fn apply_factors<T: Float>(w: &mut Workspace<'_, T>) {
    for (sum, factor) in w.band.column_sums.iter_mut().zip(&*w.g_factors) {
        *sum *= factor.to_f64();
    }
}

/// The cost of row `i` of a block, whose products with the costs have overflowed in `T`.
#[inline(always)]
fn overflown_cost<T: Float>(block: &EvaluatedBlock<'_, T>, i: usize, weight: f64) -> f64 {
    let mut total = 0.0;
    let costs = block.costs[i];
    for (j, (c, factor)) in costs.iter().zip(block.factors).enumerate() {
        let e = block.gibbs[(j / block.lanes * BLOCK_ROWS + i) * block.lanes + j % block.lanes];
        let (c, p) = (c.to_f64(), weight * (e.to_f64() * factor.to_f64()));
        total += if p > 0.0 { p * c } else { 0.0 };
    }
    total
}

/// The rows of an iteration in the log domain, out of line: their sums, in [`Band::row_scratch`],
/// their shifts, and the sums of the columns with the new U.
#[inline(always)]
pub(crate) fn log_rows<L: ExpLanes<T> + ExpLanes<f64>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    relaxation: Relaxation,
    potentials: PotentialsRef<'_>,
    columns: SplitColumns<'_, T>,
    band: &mut Band<'_, T>,
) {
    out_of_line!(l, {
        sum_rows::<L, T, false>(
            l,
            p,
            potentials,
            columns,
            band,
            #[inline(always)]
            |block| {
                let (mut weights, sums) = ([1.0; BLOCK_ROWS], block.totals.map(|total| total.sum));
                if relaxation.is_off() {
                    for (weight, (a, sum)) in weights.iter_mut().zip(of_block(p.a, block.first).iter().zip(sums)) {
                        *weight = a / sum;
                    }
                    return [weights, sums, block.shifts];
                }
                let mut log2_sums = sums;
                log2_each(l, &mut log2_sums);
                for i in 0..block.len {
                    let shift = block.shifts[i];
                    weights[i] = relaxation.apply(potentials.u[block.first + i], shift - log2_sums[i]) - shift;
                }
                exp2_each(l, &mut weights);
                for (weight, a) in weights.iter_mut().zip(&p.a[block.first..]) {
                    *weight *= a;
                }
                [weights, sums, block.shifts]
            },
        );
    });
}

/// The end of an iteration in the log domain, after all rows: the new U, then the new G, both
/// over-relaxed. Returns the marginal error *before* the iteration, without a pass of its own.
/// Without over-relaxation that is the L1 error of the row marginals, because the last iteration
/// met the column marginals. With it, the L1 error of the columns between both updates is added.
#[inline(always)]
pub(crate) fn update_potentials<L: Lanes<T> + ExpLanes<f64>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    relaxation: Relaxation,
    potentials: &mut PotentialsMut<'_>,
    w: &mut Workspace<'_, T>,
    ranks: &mut dyn Exchange,
) -> f64 {
    let (shifts, sums) = (&*w.band.shifts, &*w.band.row_scratch);
    let (error, largest_factor) = update_rows(l, relaxation, potentials.u, (shifts, sums), p.a);
    let mut errors = [error];
    let mut largest = [largest_factor, max_abs_potential(potentials.u, &[], &[])];
    ranks.reduce(w.band.column_sums, &mut errors, &mut largest);
    let ([mut error], [largest_factor, max_abs_u]) = (errors, largest);
    apply_factors(w);
    if !relaxation.is_off() {
        error += column_error(w.band.column_sums, p.b);
    }
    let (floor, sums) = (column_floor::<T>(largest_factor), (&*w.band.column_sums, &mut *w.wide_column_scratch));
    let unstable = update_columns(l, (relaxation, floor), potentials.g, sums, (p.b, p.log2_b), w.unstable);
    if unstable > 0 {
        stabilized_columns(l, p, potentials, w, unstable, ranks);
    }
    potentials.update_max_abs_with(max_abs_u, p);
    error
}

/// A whole iteration in the log domain, on one thread: its kernels in one call.
#[inline(always)]
pub(crate) fn log_iteration<L: ExpLanes<T> + ExpLanes<f64>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    relaxation: Relaxation,
    potentials: &mut PotentialsMut<'_>,
    w: &mut Workspace<'_, T>,
    ranks: &mut dyn Exchange,
) -> f64 {
    let columns = [&mut *w.column_scratch, &mut *w.g_low, &mut *w.g_factors];
    let columns = SplitColumns::new(l, potentials.as_ref(), columns);
    log_rows(l, p, relaxation, potentials.as_ref(), columns, &mut w.band);
    update_potentials(l, p, relaxation, potentials, w, ranks)
}

/// Computes the new U from the shifts and the sums of the rows, out of line, for costs of both
/// types. Returns the L1 error of the row marginals with the old U, and the largest factor by which
/// a row of the Gibbs matrix was added to the column sums, relative to its mass.
#[inline(always)]
fn update_rows<L: ExpLanes<f64>>(
    l: L,
    relaxation: Relaxation,
    u: &mut [f64],
    (shifts, sums): (&[f64], &[f64]),
    a: &[f64],
) -> (f64, f64) {
    out_of_line!(l, {
        let (mut error, mut largest) = (0.0, 0.0);
        let steps = u.chunks_mut(UPDATE_ROWS).zip(shifts.chunks(UPDATE_ROWS));
        let sums = sums.chunks(UPDATE_ROWS).zip(a.chunks(UPDATE_ROWS));
        for ((u, shifts), (sums, a)) in steps.zip(sums) {
            // The factor from the row sums to those with the old U, divided by a.
            let (mut factors, mut log2_sums) = ([0.0; UPDATE_ROWS], [1.0; UPDATE_ROWS]);
            for (factor, (u, shift)) in factors.iter_mut().zip(u.iter().zip(shifts)) {
                *factor = u - shift;
            }
            // Whole steps at once: of a length that the compiler does not know, `memcpy` is called.
            match sums.try_into() {
                Ok(whole) => log2_sums = whole,
                Err(_) => log2_sums[..sums.len()].copy_from_slice(sums),
            }
            exp2_each(l, &mut factors);
            log2_each(l, &mut log2_sums);
            for ((sum, a), factor) in sums.iter().zip(a).zip(&factors) {
                error += (a * (sum * factor) - a).abs();
            }
            for ((u, &shift), &log2_sum) in u.iter_mut().zip(shifts).zip(&log2_sums) {
                *u = relaxation.apply(*u, shift - log2_sum);
                largest = if *u - shift > largest { *u - shift } else { largest };
            }
        }
        (error, exp2(largest))
    })
}

/// Computes the new G of the columns with mass whose sums are accurate, which are at least the
/// floor, out of line, for costs of both types. Returns the number of the others, which are the
/// first of `unstable`.
#[inline(always)]
fn update_columns<L: Lanes<f64>>(
    l: L,
    (relaxation, floor): (Relaxation, f64),
    g: &mut [f64],
    (sums, log2_sums): (&[f64], &mut [f64]),
    (b, log2_b): (&[f64], &[f64]),
    unstable: &mut [usize],
) -> usize {
    out_of_line!(l, {
        let accurate = floor..f64::INFINITY;
        for (x, &sum) in log2_sums.iter_mut().zip(sums) {
            *x = if accurate.contains(&sum) { sum } else { 1.0 };
        }
        log2_each(l, log2_sums);
        for ((g, (&log2_sum, &sum)), &log2_b) in g.iter_mut().zip(log2_sums.iter().zip(sums)).zip(log2_b) {
            *g = if accurate.contains(&sum) { relaxation.apply(*g, *g + (log2_b - log2_sum)) } else { *g };
        }
        let mut count = 0;
        for (j, (&sum, &b)) in sums.iter().zip(b).enumerate() {
            // Without a branch on the sum: every index is written, and those of unstable columns
            // stay.
            unstable[count] = j;
            count += usize::from(b > 0.0 && !accurate.contains(&sum));
            if count == unstable.len() {
                break;
            }
        }
        count
    })
}

/// The L1 error of the column marginals.
#[inline(always)]
fn column_error(column_sums: &[f64], b: &[f64]) -> f64 {
    column_sums.iter().zip(b).map(|(sum, b)| (sum - b).abs()).sum()
}

/// Computes the new G of the first `count` unstable columns in `f64`, and without over-relaxation:
/// by sums relative to what they should be, or, where these are out of range, relative to the
/// largest term of each column.
#[inline(always)]
fn stabilized_columns<L: Lanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    potentials: &mut PotentialsMut<'_>,
    w: &mut Workspace<'_, T>,
    count: usize,
    ranks: &mut dyn Exchange,
) {
    let unstable = &w.unstable[..count];
    let (shifts, sums) = (&mut w.wide_column_scratch[..count], &mut w.band.column_sums[..count]);
    let costs = &mut w.band.partial_sums[..count];
    for (shift, &j) in shifts.iter_mut().zip(unstable) {
        *shift = potentials.g[j] - p.log2_b[j];
    }
    add_up_columns(l, p, potentials.u, unstable, costs, (shifts, sums));
    ranks.reduce(sums, &mut [], &mut []);
    let mut in_range = true;
    for sum in &*sums {
        in_range &= (pow2(-500.0)..=pow2(500.0)).contains(sum);
    }
    if !in_range {
        shifts.fill(f64::NEG_INFINITY);
        for ((&i, u), log2_a) in p.support.iter().zip(&*potentials.u).zip(p.log2_a) {
            let row = p.cost.row(i);
            for (shift, &j) in shifts.iter_mut().zip(unstable) {
                let y = (u + log2_a) - p.eta.to_f64() * row[j].to_f64();
                *shift = if y > *shift { y } else { *shift };
            }
        }
        ranks.reduce_max(shifts);
        shifts.iter_mut().for_each(|shift| *shift = -*shift);
        add_up_columns(l, p, potentials.u, unstable, costs, (shifts, sums));
        ranks.reduce(sums, &mut [], &mut []);
    }
    for ((&sum, &shift), &j) in sums.iter().zip(&*shifts).zip(unstable) {
        potentials.g[j] = p.log2_b[j] + shift - log2(sum);
    }
}

/// Computes `sum_i a_i 2^(U_i - eta C_ij + shift)` for some columns, out of line. The `costs` are
/// memory for as many numbers.
#[inline(always)]
fn add_up_columns<L: Lanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    u: &[f64],
    columns: &[usize],
    costs: &mut [T],
    (shifts, sums): (&[f64], &mut [f64]),
) {
    out_of_line!(l, {
        let eta = p.eta.to_f64();
        sums.fill(0.0);
        for ((&i, u), log2_a) in p.support.iter().zip(u).zip(p.log2_a) {
            let row = p.cost.row(i);
            for (cost, &j) in costs.iter_mut().zip(columns) {
                *cost = row[j];
            }
            // Without an index the compiler vectorizes this loop.
            for ((sum, &shift), cost) in sums.iter_mut().zip(shifts).zip(&*costs) {
                *sum += exp2((u + log2_a) - eta * cost.to_f64() + shift);
            }
        }
    });
}

/// The rows of the plan that the potentials define: their errors, in [`Band::row_scratch`], their
/// costs, in [`Band::shifts`], and the sums of the columns.
#[inline(always)]
pub(crate) fn evaluate_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    columns: SplitColumns<'_, T>,
    band: &mut Band<'_, T>,
) {
    sum_rows::<L, T, true>(
        l,
        p,
        potentials,
        columns,
        band,
        #[inline(always)]
        |block| {
            let [mut weights, mut errors, mut costs] = [[0.0; BLOCK_ROWS]; 3];
            for i in 0..block.len {
                let (a, u, total) = (p.a[block.first + i], potentials.u[block.first + i], block.totals[i]);
                weights[i] = a * exp2(u - block.shifts[i]);
                errors[i] = (weights[i] * total.sum - a).abs();
                let cost = weights[i] * total.cost;
                costs[i] = if cost.is_finite() { cost } else { overflown_cost(block, i, weights[i]) };
            }
            [weights, errors, costs]
        },
    );
}

/// The end of a measurement, after all rows: the marginal error and the cost of the plan.
#[inline(always)]
pub(crate) fn summarize_plan<L: Lanes<T>, T: Float>(
    _: L,
    p: &Problem<'_, T>,
    w: &mut Workspace<'_, T>,
    ranks: &mut dyn Exchange,
) -> PlanSummary {
    let (errors, costs) = (&w.band.row_scratch[..p.a.len()], &w.band.shifts[..p.a.len()]);
    let mut of_rows: [f64; 2] = [errors.iter().sum(), costs.iter().sum()];
    ranks.reduce(w.band.column_sums, &mut of_rows, &mut []);
    apply_factors(w);
    PlanSummary { error: of_rows[0] + column_error(w.band.column_sums, p.b), cost: of_rows[1] }
}
