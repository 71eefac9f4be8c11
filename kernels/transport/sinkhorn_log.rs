//! Sinkhorn's iteration in the log domain: one read of the cost matrix and one exponential per
//! entry for an update of both potentials.
//!
//! The [family's page](super) has the pseudo-code.

use super::gibbs::{
    GibbsEval, RowSum, WeightedRows, add_block, at_most_finite, column_floor, flush_partial_sums, gibbs_rows,
    row_range, stabilized_row,
};
use super::potentials::{PotentialsMut, PotentialsRef, Relaxation, quantum, round_to_quantum, split_columns};
use super::tuning::{BLOCK_BYTES, BLOCK_ROWS, CACHED_BYTES, FLUSH_ROWS};
use super::{PlanSummary, Problem, Workspace, gibbs_stride};
use crate::kernels::lanes::{Float, Lanes};
use crate::kernels::math::exp::{ExpLanes, exp2, pow2};
use crate::kernels::math::ln::{ln, log2};

/// Whether [`BLOCK_ROWS`] rows of the Gibbs matrix stay in the cache until they are added to the
/// column sums. Otherwise rows are taken one by one.
#[inline(always)]
pub(super) fn takes_blocks<T: Float>(cols: usize) -> bool {
    BLOCK_ROWS * gibbs_stride(cols) * size_of::<T>() <= BLOCK_BYTES
}

/// A block of rows of the cost matrix.
struct RowBlock<'a, T, const R: usize> {
    /// The rows.
    rows: [&'a [T]; R],
    /// The potentials of the rows as multiples of the quantum.
    shifts: [T; R],
    /// The [`quantum`] of the potentials.
    quantum: f64,
}

impl<'a, T: Float, const R: usize> RowBlock<'a, T, R> {
    /// The block that begins with row `first` of those with mass.
    #[inline(always)]
    fn new(p: &Problem<'a, T>, potentials: PotentialsRef<'_>, first: usize) -> Self {
        let quantum = quantum::<T>(potentials.max_abs);
        let mut block = Self { rows: [&[]; R], shifts: [T::ZERO; R], quantum };
        for i in 0..R {
            block.rows[i] = p.cost.row(p.support[first + i]);
            block.shifts[i] = T::from_f64(round_to_quantum(quantum, potentials.u[first + i]));
        }
        block
    }

    /// Evaluates the rows again whose sums are out of range. Returns the shifts of all rows.
    #[inline(always)]
    fn stabilize<L: ExpLanes<T>>(
        &self,
        l: L,
        eval: &GibbsEval<'_, L, T>,
        totals: &mut [RowSum; R],
        gibbs: &mut [T],
    ) -> [f64; R] {
        let stride = gibbs_stride(self.rows[0].len());
        let mut shifts = [0.0; R];
        for i in 0..R {
            shifts[i] = self.shifts[i].to_f64();
            if !row_range::<T>().contains(&totals[i].sum) {
                let gibbs = &mut gibbs[i * stride..(i + 1) * stride];
                (shifts[i], totals[i]) = stabilized_row(l, eval, self.quantum, self.rows[i], gibbs);
            }
        }
        shifts
    }
}

/// The rows of the next block, to be prefetched; none if the matrix is in the caches.
// Not a part of `RowBlock`: this array is indexed by a variable, which would keep all arrays of the
// struct in memory.
struct NextRows<'a, T, const R: usize> {
    /// The rows.
    rows: [&'a [T]; R],
    /// Their number.
    len: usize,
}

impl<'a, T: Float, const R: usize> NextRows<'a, T, R> {
    /// The rows after the block that begins with row `first` of those with mass.
    #[inline(always)]
    fn new(p: &Problem<'a, T>, first: usize) -> Self {
        let mut next = Self { rows: [&[]; R], len: 0 };
        if p.support.len() * p.cost.cols() * size_of::<T>() > CACHED_BYTES {
            for &i in p.support[first + R..].iter().take(R) {
                next.rows[next.len] = p.cost.row(i);
                next.len += 1;
            }
        }
        next
    }

    /// The rows to prefetch while exponentials are taken, and those to prefetch while the block is
    /// added to the column sums: a quarter, so that memory works all the time.
    #[inline(always)]
    fn parts(&self) -> (&[&'a [T]], &[&'a [T]]) {
        self.rows[..self.len].split_at(self.len - self.len / 4)
    }
}

/// Normalizes the rows of a block to their mass, over-relaxed, and adds them to the column sums.
/// Leaves the shifts and the sums of the rows in the workspace.
#[inline(always)]
fn normalize_block<L: ExpLanes<T>, T: Float, const R: usize>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    relaxation: Relaxation,
    w: &mut Workspace<'_, T>,
    first: usize,
) {
    let block = RowBlock::<T, R>::new(p, potentials, first);
    let next = NextRows::<T, R>::new(p, first);
    let (next, next_last) = next.parts();
    let eval = GibbsEval::new(l, p.eta, w.column_scratch, w.g_low);
    let mut totals = gibbs_rows::<L, T, R, false>(l, &eval, block.rows, block.shifts, w.gibbs, next);
    let shifts = block.stabilize(l, &eval, &mut totals, w.gibbs);
    let row_sums = &mut *w.row_scratch;
    let mut weights = [T::ZERO; R];
    for i in 0..R {
        let (a, u, shift, sum) = (p.a[first + i], potentials.u[first + i], shifts[i], totals[i].sum);
        let relaxed = || exp2(relaxation.apply(u, shift - log2(sum)) - shift);
        let weight = if relaxation.is_off() { a / sum } else { a * relaxed() };
        weights[i] = at_most_finite(weight);
        w.shifts[first + i] = shift;
        row_sums[first + i] = sum;
    }
    let partial_sums = &mut w.partial_sums[..p.cost.cols().next_multiple_of(L::N)];
    add_block(l, WeightedRows { gibbs: w.gibbs, weights }, partial_sums, next_last);
}

/// Adds the rows of the plan in a block to the column sums. Leaves the errors of the row sums in
/// the workspace, and returns the cost of the rows.
#[inline(always)]
fn evaluate_block<L: ExpLanes<T>, T: Float, const R: usize>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    w: &mut Workspace<'_, T>,
    first: usize,
) -> f64 {
    let block = RowBlock::<T, R>::new(p, potentials, first);
    let next = NextRows::<T, R>::new(p, first);
    let (next, next_last) = next.parts();
    let eval = GibbsEval::new(l, p.eta, w.column_scratch, w.g_low);
    let mut totals = gibbs_rows::<L, T, R, true>(l, &eval, block.rows, block.shifts, w.gibbs, next);
    let shifts = block.stabilize(l, &eval, &mut totals, w.gibbs);
    let row_errors = &mut *w.row_scratch;
    let mut weights = [T::ZERO; R];
    let mut cost = 0.0;
    for i in 0..R {
        let (a, u) = (p.a[first + i], potentials.u[first + i]);
        let weight = a * exp2(u - shifts[i]);
        weights[i] = at_most_finite(weight);
        row_errors[first + i] = (weight * totals[i].sum - a).abs();
        let row_cost = weight * totals[i].cost;
        cost += if row_cost.is_finite() { row_cost } else { overflown_cost(block.rows[i], w.gibbs, i, weight) };
    }
    let partial_sums = &mut w.partial_sums[..p.cost.cols().next_multiple_of(L::N)];
    add_block(l, WeightedRows { gibbs: w.gibbs, weights }, partial_sums, next_last);
    cost
}

/// The cost of row `i` of a block whose products with the costs have overflowed in `T`.
#[inline(always)]
fn overflown_cost<T: Float>(costs: &[T], gibbs: &[T], i: usize, weight: f64) -> f64 {
    let mut total = 0.0;
    for (c, e) in costs.iter().zip(&gibbs[i * gibbs_stride(costs.len())..]) {
        let (c, p) = (c.to_f64(), weight * e.to_f64());
        total += if p > 0.0 { p * c } else { 0.0 };
    }
    total
}

/// Prepares the workspace for a pass over the cost matrix: splits G, and sets the column sums to 0.
#[inline(always)]
fn begin_pass<T: Float>(potentials: PotentialsRef<'_>, w: &mut Workspace<'_, T>) {
    let g_high = &mut *w.column_scratch;
    split_columns(potentials, g_high, w.g_low);
    w.partial_sums.fill(T::ZERO);
    w.column_sums.fill(0.0);
}

/// One iteration in the log domain: the new U, then the new G, both over-relaxed. Returns the
/// marginal error *before* the iteration, without a pass of its own. Without over-relaxation that
/// is the L1 error of the row marginals, because the last iteration met the column marginals. With
/// it, the L1 error of the columns between both updates is added.
#[inline(always)]
pub(crate) fn log_iteration<L: ExpLanes<T> + Lanes<f64>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    relaxation: Relaxation,
    potentials: &mut PotentialsMut<'_>,
    w: &mut Workspace<'_, T>,
) -> f64 {
    begin_pass(potentials.as_ref(), w);
    let takes_blocks = takes_blocks::<T>(p.cost.cols());
    let mut at = 0;
    while at < p.support.len() {
        if takes_blocks && p.support.len() - at >= BLOCK_ROWS {
            normalize_block::<L, T, BLOCK_ROWS>(l, p, potentials.as_ref(), relaxation, w, at);
            at += BLOCK_ROWS;
        } else {
            normalize_block::<L, T, 1>(l, p, potentials.as_ref(), relaxation, w, at);
            at += 1;
        }
        if at.is_multiple_of(FLUSH_ROWS) || at == p.support.len() {
            flush_partial_sums(w.column_sums, w.partial_sums);
        }
    }
    let (mut error, largest_factor) = update_rows(l, p, relaxation, potentials, w);
    if !relaxation.is_off() {
        error += column_error(w.column_sums, p.b);
    }
    update_columns(l, p, (relaxation, column_floor::<T>(largest_factor)), potentials, w);
    potentials.update_max_abs(p);
    error
}

/// Computes the new U. Returns the L1 error of the row marginals with the old U, and the largest
/// factor by which a row of the Gibbs matrix was added to the column sums, relative to its mass.
#[inline(always)]
fn update_rows<L: Lanes<f64>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    relaxation: Relaxation,
    potentials: &mut PotentialsMut<'_>,
    w: &mut Workspace<'_, T>,
) -> (f64, f64) {
    let row_sums = &mut *w.row_scratch;
    let mut error = 0.0;
    for (((&u, &shift), &sum), &a) in potentials.u.iter().zip(&*w.shifts).zip(&*row_sums).zip(p.a) {
        // The row sum with the old U, divided by a.
        let row = if u == shift { sum } else { sum * exp2(u - shift) };
        error += (a * row - a).abs();
    }
    log2_each(l, row_sums);
    let log2_row_sums = row_sums;
    let mut largest = 0.0;
    for ((u, &shift), &log2_sum) in potentials.u.iter_mut().zip(&*w.shifts).zip(&*log2_row_sums) {
        *u = relaxation.apply(*u, shift - log2_sum);
        largest = if *u - shift > largest { *u - shift } else { largest };
    }
    (error, exp2(largest))
}

/// Computes the new G. Column sums below the floor are not accurate.
#[inline(always)]
fn update_columns<L: Lanes<f64>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    (relaxation, floor): (Relaxation, f64),
    potentials: &mut PotentialsMut<'_>,
    w: &mut Workspace<'_, T>,
) {
    let accurate = floor..f64::INFINITY;
    let log2_sums = &mut *w.wide_column_scratch;
    for (x, &sum) in log2_sums.iter_mut().zip(&*w.column_sums) {
        *x = if accurate.contains(&sum) { sum } else { 1.0 };
    }
    log2_each(l, log2_sums);
    let sums = log2_sums.iter().zip(&*w.column_sums);
    for ((g, (&log2_sum, &sum)), &log2_b) in potentials.g.iter_mut().zip(sums).zip(p.log2_b) {
        *g = if accurate.contains(&sum) { relaxation.apply(*g, *g + (log2_b - log2_sum)) } else { *g };
    }
    let mut count = 0;
    for (j, (&sum, &b)) in w.column_sums.iter().zip(p.b).enumerate() {
        // Without a branch on the sum: every index is written, and those of unstable columns stay.
        w.unstable[count] = j;
        count += usize::from(b > 0.0 && !accurate.contains(&sum));
        if count == w.unstable.len() {
            break;
        }
    }
    if count > 0 {
        stabilized_columns(p, potentials, w, count);
    }
}

/// Replaces each number by its logarithm to base 2; all numbers are positive and normal.
#[inline(always)]
fn log2_each<L: Lanes<f64>>(l: L, x: &mut [f64]) {
    let log2_e = l.splat(core::f64::consts::LOG2_E);
    for x in x.chunks_mut(L::N) {
        let (e, r) = ln::<L, f64>(l, l.load_tail(x, 1.0));
        l.store_tail(x, l.mul_add(r, log2_e, e));
    }
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
fn stabilized_columns<T: Float>(
    p: &Problem<'_, T>,
    potentials: &mut PotentialsMut<'_>,
    w: &mut Workspace<'_, T>,
    count: usize,
) {
    let unstable = &w.unstable[..count];
    let (shifts, sums) = (&mut w.wide_column_scratch[..count], &mut w.column_sums[..count]);
    let costs = &mut w.partial_sums[..count];
    for (shift, &j) in shifts.iter_mut().zip(unstable) {
        *shift = potentials.g[j] - p.log2_b[j];
    }
    add_up_columns(p, potentials.u, unstable, costs, (shifts, sums));
    let range = pow2(-500.0)..=pow2(500.0);
    let mut in_range = true;
    for sum in &*sums {
        in_range &= range.contains(sum);
    }
    if !in_range {
        shifts.fill(f64::INFINITY);
        for ((&i, u), log2_a) in p.support.iter().zip(&*potentials.u).zip(p.log2_a) {
            let row = p.cost.row(i);
            for (shift, &j) in shifts.iter_mut().zip(unstable) {
                let y = (u + log2_a) - p.eta.to_f64() * row[j].to_f64();
                *shift = if -y < *shift { -y } else { *shift };
            }
        }
        add_up_columns(p, potentials.u, unstable, costs, (shifts, sums));
    }
    for ((&sum, &shift), &j) in sums.iter().zip(&*shifts).zip(unstable) {
        potentials.g[j] = p.log2_b[j] + shift - log2(sum);
    }
}

/// Computes `sum_i a_i 2^(U_i - eta C_ij + shift)` for some columns. The `costs` are memory for as
/// many numbers.
#[inline(always)]
fn add_up_columns<T: Float>(
    p: &Problem<'_, T>,
    u: &[f64],
    columns: &[usize],
    costs: &mut [T],
    (shifts, sums): (&[f64], &mut [f64]),
) {
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
}

/// The marginal error and the cost of the plan that the potentials define.
#[inline(always)]
pub(crate) fn evaluate_plan<L: ExpLanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    w: &mut Workspace<'_, T>,
) -> PlanSummary {
    begin_pass(potentials, w);
    let takes_blocks = takes_blocks::<T>(p.cost.cols());
    let mut cost = 0.0;
    let mut at = 0;
    while at < p.support.len() {
        if takes_blocks && p.support.len() - at >= BLOCK_ROWS {
            cost += evaluate_block::<L, T, BLOCK_ROWS>(l, p, potentials, w, at);
            at += BLOCK_ROWS;
        } else {
            cost += evaluate_block::<L, T, 1>(l, p, potentials, w, at);
            at += 1;
        }
        if at.is_multiple_of(FLUSH_ROWS) || at == p.support.len() {
            flush_partial_sums(w.column_sums, w.partial_sums);
        }
    }
    let row_errors = &*w.row_scratch;
    let row_error: f64 = row_errors.iter().sum();
    PlanSummary { error: row_error + column_error(w.column_sums, p.b), cost }
}
