//! Rows of the Gibbs matrix `K_ij = 2^(U_i + G_j - eta C_ij)` and their sums.

use super::potentials::{SplitColumns, has_low_part, is_coarse, quantum, round_to_quantum};
use super::tuning::{FLUSH_VECTORS, MAX_APART_BYTES};
use crate::kernels::lanes::{Float, Lanes, out_of_line};
use crate::kernels::math::exp::{Exp2, ExpLanes, pow2};

/// The range of accurate row sums, which are about 1 near convergence. In it no exponential
/// overflows, and those that underflow do not change the row sum.
#[inline(always)]
pub(super) fn row_range<T: Float>() -> core::ops::RangeInclusive<f64> {
    let high = pow2(T::BIAS * 0.25);
    1.0 / high..=high
}

/// The smallest accurate column sum, if rows of the Gibbs matrix have been added with up to
/// `largest_factor` times their mass: 2^31 times the largest amount that entries which underflow
/// may have taken from it. Near convergence factors are about 1, and so columns of tiny masses stay
/// accurate.
#[inline(always)]
pub(super) fn column_floor<T: Float>(largest_factor: f64) -> f64 {
    pow2(32.0 - T::BIAS) * largest_factor.max(1.0)
}

/// The nearest number of the type, or the largest finite one instead of +inf, whose product with an
/// entry of 0 would be NaN.
#[inline(always)]
pub(super) fn at_most_finite<T: Float>(x: f64) -> T {
    let y = T::from_f64(x);
    if y == T::INFINITY { T::ZERO - T::MIN } else { y }
}

/// Evaluates entries of the Gibbs matrix without the factors of its columns: the constants of the
/// inner loop and the column potentials.
#[derive(Clone, Copy)]
pub(super) struct GibbsEval<'a, L: ExpLanes<T>, T: Float> {
    /// [`Problem::eta`](super::Problem::eta), in every lane.
    eta: L::V,
    /// The exponential.
    exp: Exp2<L, T>,
    /// The column potentials.
    columns: SplitColumns<'a, T>,
    /// The arguments of `new`: eta, and the bound of the potentials.
    made_of: (T, f64),
    /// The power of two of which shifts are multiples.
    quantum: f64,
    /// Whether they are too coarse for the main loop, and all rows are taken by [`stabilized_row`].
    is_coarse: bool,
}

impl<'a, L: ExpLanes<T>, T: Float> GibbsEval<'a, L, T> {
    /// An evaluator for potentials up to `max_abs`.
    #[inline(always)]
    pub(super) fn new(l: L, eta: T, columns: SplitColumns<'a, T>, max_abs: f64) -> Self {
        let (quantum, is_coarse) = (quantum::<T>(max_abs), is_coarse::<T>(max_abs));
        Self { eta: l.splat(eta), exp: Exp2::new(l), columns, made_of: (eta, max_abs), quantum, is_coarse }
    }

    /// A vector of each of R rows, of which `high` are the potentials of the columns.
    #[inline(always)]
    fn entries<const R: usize>(&self, l: L, shifts: [T; R], costs: [L::V; R], high: L::V) -> [L::V; R] {
        let mut e = costs;
        for i in 0..R {
            e[i] = self.argument(l, l.splat(shifts[i]), high, costs[i]);
        }
        self.exp.eval_in_flight(l, &mut e);
        e
    }

    /// `shift + high - eta * cost`.
    #[inline(always)]
    fn argument(&self, l: L, shift: L::V, high: L::V, cost: L::V) -> L::V {
        l.neg_mul_add_exact(self.eta, cost, l.add(shift, high))
    }
}

/// `sum + e * factor`; the factor of `f64` is 1.
#[inline(always)]
fn add_times_factor<L: Lanes<T>, T: Float>(l: L, e: L::V, factor: L::V, sum: L::V) -> L::V {
    if has_low_part::<T>() { l.mul_add(e, factor, sum) } else { l.add(sum, e) }
}

/// The sums of a row.
#[derive(Clone, Copy, Default)]
pub(super) struct RowSum {
    /// The sum of the exponentials.
    pub(super) sum: f64,
    /// The sum of the exponentials times their costs.
    pub(super) cost: f64,
}

/// `cost * e`, and 0 if e is 0 (the cost of a forbidden pair is infinite).
#[inline(always)]
fn cost_product<L: Lanes<T>, T: Float>(l: L, cost: L::V, e: L::V) -> L::V {
    let zero = l.splat(T::ZERO);
    l.mul(l.select(l.lt(zero, e), cost, zero), e)
}

/// Writes R rows of the Gibbs matrix to `block` and returns their sums; [`RowSum::cost`] stays 0
/// unless `WITH_COST`. In the same loop, or before it if [`MAX_APART_BYTES`] says so, adds the rows
/// that the block had to column sums, each times its weight, and prefetches what is `ahead`
/// elements after each row. In a prototype for 1024 x 1024 f32 on Zen 4, that took 0.156 ns per
/// entry, and 0.174 in two loops.
#[inline(always)]
fn gibbs_rows<L: ExpLanes<T>, T: Float, const R: usize, const WITH_COST: bool>(
    l: L,
    eval: &GibbsEval<'_, L, T>,
    rows: [&[T]; R],
    shifts: [T; R],
    block: &mut [T],
    mut added: Option<([T; R], &mut [T])>,
    ahead: usize,
) -> [RowSum; R] {
    let mut totals = [RowSum::default(); R];
    if eval.is_coarse {
        if let Some((weights, column_sums)) = added {
            add_block(l, block, weights, column_sums);
        }
        // NaN is out of range.
        return [RowSum { sum: f64::NAN, cost: 0.0 }; R];
    }
    let is_apart = L::REGISTERS < 32 && !L::IS_SCALAR && size_of_val(block) <= MAX_APART_BYTES;
    if let Some((weights, sums)) = if is_apart { added.take() } else { None } {
        add_block(l, block, weights, sums);
    }
    let mut weights = [l.splat(T::ZERO); R];
    if let Some((numbers, _)) = &added {
        weights = splats(l, *numbers);
    }
    let cols = rows[0].len();
    let (whole, all) = (cols - cols % L::N, cols.next_multiple_of(L::N));
    for start in (0..all).step_by(FLUSH_VECTORS * L::N) {
        let (whole, end) = (whole.min(start + FLUSH_VECTORS * L::N), all.min(start + FLUSH_VECTORS * L::N));
        let mut sums = BlockSums::<L, T, R, WITH_COST>::new(l);
        // All slices have one length, so one comparison checks the bounds of all.
        let len = whole - start;
        let (high, factors) = (&eval.columns.high[start..][..len], &eval.columns.factors[start..][..len]);
        let mut row: [&[T]; R] = [&[]; R];
        for i in 0..R {
            row[i] = &rows[i][start..][..len];
        }
        let mut column_sums = None;
        if let Some((_, sums)) = &mut added {
            column_sums = Some(&mut sums[start..][..len]);
        }
        let mut entries = block[R * start..].chunks_exact_mut(R * L::N);
        let mut at = 0;
        while len - at >= L::N {
            let Some(entries) = entries.next() else { break };
            prefetch_rows(l, row, at, ahead);
            if let Some(sums) = &mut column_sums {
                add_vectors(l, entries, &weights, &mut sums[at..]);
            }
            let mut costs = [l.splat(T::ZERO); R];
            for i in 0..R {
                costs[i] = l.load(&row[i][at..]);
            }
            let e = eval.entries(l, shifts, costs, l.load(&high[at..]));
            for i in 0..R {
                l.store(&mut entries[i * L::N..], e[i]);
            }
            sums.add(l, costs, e, l.load(&factors[at..]));
            at += L::N;
        }
        if whole < end {
            let entries = &mut block[R * whole..][..R * L::N];
            prefetch_rows(l, rows, whole, ahead);
            if let Some((_, sums)) = &mut added {
                add_vectors(l, entries, &weights, &mut sums[whole..]);
            }
            let mut costs = [l.splat(T::ZERO); R];
            for i in 0..R {
                costs[i] = l.load_tail(&rows[i][whole..], T::ZERO);
            }
            let e = eval.entries(l, shifts, costs, l.load(&eval.columns.high[whole..]));
            for i in 0..R {
                l.store(&mut entries[i * L::N..], e[i]);
            }
            sums.add(l, costs, e, l.load(&eval.columns.factors[whole..]));
        }
        sums.flush(l, &mut totals);
    }
    totals
}

/// The sums of R rows in the lanes of vectors.
struct BlockSums<L: Lanes<T>, T: Float, const R: usize, const WITH_COST: bool> {
    /// The sums of the exponentials.
    sums: [L::V; R],
    /// The sums of the exponentials times their costs.
    costs: [L::V; R],
}

impl<L: Lanes<T>, T: Float, const R: usize, const WITH_COST: bool> BlockSums<L, T, R, WITH_COST> {
    /// Sums of nothing.
    #[inline(always)]
    fn new(l: L) -> Self {
        Self { sums: [l.splat(T::ZERO); R], costs: [l.splat(T::ZERO); R] }
    }

    /// Adds a vector of each row, times the factors of the columns.
    #[inline(always)]
    fn add(&mut self, l: L, costs: [L::V; R], e: [L::V; R], factor: L::V) {
        for i in 0..R {
            self.sums[i] = add_times_factor(l, e[i], factor, self.sums[i]);
            if WITH_COST {
                self.costs[i] = add_times_factor(l, cost_product(l, costs[i], e[i]), factor, self.costs[i]);
            }
        }
    }

    /// Adds the sums of the lanes to the totals.
    #[inline(always)]
    fn flush(&self, l: L, totals: &mut [RowSum; R]) {
        for (i, total) in totals.iter_mut().enumerate() {
            total.sum += l.reduce_sum(self.sums[i]);
            if WITH_COST {
                total.cost += l.reduce_sum(self.costs[i]);
            }
        }
    }
}

/// [`gibbs_rows`] for the potentials `u`. Returns also the shift that each row was evaluated with:
/// its potential as a multiple of the quantum, or the shift of [`stabilized_row`] if the sum is out
/// of range.
#[inline(always)]
pub(super) fn stable_rows<L: ExpLanes<T>, T: Float, const R: usize, const WITH_COST: bool>(
    l: L,
    eval: &GibbsEval<'_, L, T>,
    rows: [&[T]; R],
    u: [f64; R],
    block: &mut [T],
    added: Option<([T; R], &mut [T])>,
    ahead: usize,
) -> ([f64; R], [RowSum; R]) {
    let mut rounded = [T::ZERO; R];
    for (rounded, &u) in rounded.iter_mut().zip(&u) {
        *rounded = T::from_f64(round_to_quantum(eval.quantum, u));
    }
    let mut totals = gibbs_rows::<L, T, R, WITH_COST>(l, eval, rows, rounded, block, added, ahead);
    if L::IS_SCALAR {
        // Otherwise the compiler makes vectors of the sums for what follows, and none of the
        // exponentials: a third more instructions (f32, 128 columns).
        totals = core::hint::black_box(totals);
    }
    let mut shifts = rounded.map(T::to_f64);
    let mut in_range = true;
    for total in &totals {
        in_range &= row_range::<T>().contains(&total.sum);
    }
    if !in_range {
        for i in 0..R {
            if !row_range::<T>().contains(&totals[i].sum) {
                (shifts[i], totals[i]) = stabilized_row(l, eval, rows[i], &mut block[i * L::N..], R);
            }
        }
    }
    (shifts, totals)
}

/// Writes the arguments of the exponentials of a row to every `of`-th vector of `out`, and returns
/// their maximum.
#[inline(always)]
fn arguments<L: ExpLanes<T>, T: Float>(
    l: L,
    eval: &GibbsEval<'_, L, T>,
    row: &[T],
    shift: T,
    out: &mut [T],
    of: usize,
) -> f64 {
    let mut max = l.splat(T::NEG_INFINITY);
    let mut at = 0;
    while at < row.len() {
        let y = eval.argument(l, l.splat(shift), l.load(&eval.columns.high[at..]), l.load_up_to(&row[at..], T::ZERO));
        let y = l.add(y, l.load(&eval.columns.low[at..]));
        l.store(&mut out[at * of..], y);
        max = l.max(y, max);
        at += L::N;
    }
    l.reduce_max(max).to_f64()
}

/// Writes one row of the Gibbs matrix relative to its maximum to every `of`-th vector of `out`, out
/// of line, and returns its shift and its sums. If the maximum is not finite, the shift is
/// infinite, the row 0, and its sum 1.
#[inline(always)]
pub(super) fn stabilized_row<L: ExpLanes<T>, T: Float>(
    l: L,
    eval: &GibbsEval<'_, L, T>,
    row: &[T],
    out: &mut [T],
    of: usize,
) -> (f64, RowSum) {
    let (columns, (eta, max_abs)) = (eval.columns, eval.made_of);
    out_of_line!(l, {
        // A new one: calls need not copy vectors.
        let eval = GibbsEval::new(l, eta, columns, max_abs);
        // Without a shift, arguments are rounded too coarsely for the exponential, but their
        // maximum gives the shift.
        let shift = T::from_f64(round_to_quantum(eval.quantum, -arguments(l, &eval, row, T::ZERO, out, of)));
        let max = arguments(l, &eval, row, shift, out, of);
        if !max.is_finite() {
            let mut at = 0;
            while at < row.len() {
                l.store(&mut out[at * of..], l.splat(T::ZERO));
                at += L::N;
            }
            return (f64::INFINITY, RowSum { sum: 1.0, cost: 0.0 });
        }
        let offset = l.splat(T::from_f64(max));
        let mut total = RowSum::default();
        let mut at = 0;
        while at < row.len() {
            let e = eval.exp.eval(l, l.sub(l.load(&out[at * of..]), offset));
            l.store(&mut out[at * of..], e);
            let factor = l.load(&eval.columns.factors[at..]);
            total.sum += l.reduce_sum(l.mul(e, factor));
            let cost = cost_product(l, l.load_up_to(&row[at..], T::ZERO), e);
            total.cost += l.reduce_sum(l.mul(cost, factor));
            at += L::N;
        }
        (shift.to_f64() - max, total)
    })
}

/// Prefetches the cache line that is `ahead` elements after column `at` of each row, if a line
/// begins with that column.
#[inline(always)]
fn prefetch_rows<L: Lanes<T>, T: Float, const R: usize>(l: L, rows: [&[T]; R], at: usize, ahead: usize) {
    if !L::IS_SCALAR && (at * size_of::<T>()).is_multiple_of(64) {
        for row in rows {
            l.prefetch_far(row, at.wrapping_add(ahead));
        }
    }
}

/// Each number in every lane of a vector of its own.
#[inline(always)]
pub(super) fn splats<L: Lanes<T>, T: Float, const R: usize>(l: L, numbers: [T; R]) -> [L::V; R] {
    let mut vectors = [l.splat(T::ZERO); R];
    for i in 0..R {
        vectors[i] = l.splat(numbers[i]);
    }
    vectors
}

/// The columns from `start` to `end` of R rows at the distance `stride`.
#[inline(always)]
pub(super) fn columns_of<T, const R: usize>(gibbs: &[T], stride: usize, start: usize, end: usize) -> [&[T]; R] {
    let mut rows: [&[T]; R] = [&[]; R];
    for i in 0..R {
        rows[i] = &gibbs[i * stride..][start..end];
    }
    rows
}

/// Adds a vector of each of R rows, times the weight of the row, to a vector of column sums.
#[inline(always)]
pub(super) fn add_vectors<L: Lanes<T>, T: Float, const R: usize>(
    l: L,
    entries: &[T],
    weights: &[L::V; R],
    sums: &mut [T],
) {
    let sum = l.load(sums);
    // First the sum of the block: fewer additions to a large sum round less.
    let mut added = l.mul(weights[0], l.load(entries));
    for i in 1..R {
        added = l.mul_add(weights[i], l.load(&entries[i * L::N..]), added);
    }
    l.store(sums, l.add(sum, added));
}

/// Adds the rows of a block, each times its weight, to the column sums.
#[inline(always)]
pub(super) fn add_block<L: Lanes<T>, T: Float, const R: usize>(l: L, block: &[T], weights: [T; R], sums: &mut [T]) {
    let weights = splats(l, weights);
    for (entries, sums) in block.chunks_exact(R * L::N).zip(sums.chunks_exact_mut(L::N)) {
        add_vectors(l, entries, &weights, sums);
    }
}

/// The power of two that weights of rows have as a factor in partial column sums. Without it, small
/// entries times small masses would be subnormal, see [`ExpLanes::exp_finish_normal`].
#[inline(always)]
pub(super) fn partial_sum_scale<T: Float>() -> f64 {
    pow2(T::BIAS * 0.375)
}

/// Adds the partial column sums to the column sums in `f64`, and sets them to 0.
#[inline(always)]
pub(super) fn flush_partial_sums<T: Float>(column_sums: &mut [f64], partial_sums: &mut [T]) {
    let inverse_scale = 1.0 / partial_sum_scale::<T>();
    for (sum, partial) in column_sums.iter_mut().zip(partial_sums) {
        *sum += partial.to_f64() * inverse_scale;
        *partial = T::ZERO;
    }
}
