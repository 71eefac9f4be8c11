//! Rows of the Gibbs matrix `K_ij = 2^(U_i + G_j - eta C_ij)` and their sums.

use super::gibbs_stride;
use super::potentials::{SplitColumns, has_low_part, is_coarse, round_to_quantum};
use super::tuning::FLUSH_VECTORS;
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
    /// [`Problem::eta`](super::Problem::eta).
    eta: L::V,
    /// The exponential.
    exp: Exp2<L, T>,
    /// The column potentials.
    columns: SplitColumns<'a, T>,
    /// Whether they are too coarse for the main loop, and all rows are taken by [`stabilized_row`].
    is_coarse: bool,
}

impl<'a, L: ExpLanes<T>, T: Float> GibbsEval<'a, L, T> {
    /// An evaluator for potentials up to `max_abs`.
    #[inline(always)]
    pub(super) fn new(l: L, eta: T, columns: SplitColumns<'a, T>, max_abs: f64) -> Self {
        Self { eta: l.splat(eta), exp: Exp2::new(l), columns, is_coarse: is_coarse::<T>(max_abs) }
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

/// Writes R rows of the Gibbs matrix to `gibbs` and returns their sums; [`RowSum::cost`] stays 0
/// unless `WITH_COST`. In the same loop, adds the rows of `before` to its column sums, and
/// prefetches the `next` rows. In a prototype for 1024 x 1024 f32 on Zen 4, that took 0.156 ns per
/// entry, and 0.174 in two loops.
#[inline(always)]
pub(super) fn gibbs_rows<L: ExpLanes<T>, T: Float, const R: usize, const WITH_COST: bool>(
    l: L,
    eval: &GibbsEval<'_, L, T>,
    rows: [&[T]; R],
    shifts: [T; R],
    gibbs: &mut [T],
    mut before: Option<(WeightedRows<'_, T, R>, &mut [T])>,
    next: [&[T]; R],
) -> [RowSum; R] {
    let mut totals = [RowSum::default(); R];
    if eval.is_coarse {
        if let Some((rows, column_sums)) = before {
            add_block(l, &rows, column_sums);
        }
        // NaN is out of range.
        return [RowSum { sum: f64::NAN, cost: 0.0 }; R];
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
        let mut out = [(); R].map(|()| <&mut [T]>::default());
        for (i, gibbs) in gibbs.chunks_mut(gibbs_stride(cols)).take(R).enumerate() {
            (row[i], out[i]) = (&rows[i][start..][..len], &mut gibbs[start..][..len]);
        }
        let mut adder = match &mut before {
            Some((rows, sums)) => Some(Adder::new(l, rows, &mut sums[start..][..len], start, len)),
            None => None,
        };
        let mut at = 0;
        while len - at >= L::N {
            prefetch_rows(l, next, start + at);
            let mut costs = [l.splat(T::ZERO); R];
            for i in 0..R {
                costs[i] = l.load(&row[i][at..]);
            }
            let e = eval.entries(l, shifts, costs, l.load(&high[at..]));
            for i in 0..R {
                l.store(&mut out[i][at..], e[i]);
            }
            sums.add(l, costs, e, l.load(&factors[at..]));
            if let Some(adder) = &mut adder {
                adder.add_at(l, at);
            }
            at += L::N;
        }
        if whole < end {
            prefetch_rows(l, next, whole);
            let mut costs = [l.splat(T::ZERO); R];
            for i in 0..R {
                costs[i] = l.load_tail(&rows[i][whole..], T::ZERO);
            }
            let e = eval.entries(l, shifts, costs, l.load(&eval.columns.high[whole..]));
            for i in 0..R {
                l.store(&mut gibbs[i * gibbs_stride(cols) + whole..], e[i]);
            }
            sums.add(l, costs, e, l.load(&eval.columns.factors[whole..]));
            if let Some((rows, column_sums)) = &mut before {
                Adder::new(l, rows, &mut column_sums[whole..end], whole, L::N).add_at(l, 0);
            }
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

/// Writes the row of the Gibbs matrix for the potential `u`, and returns the shift that it was
/// evaluated with: `u` as a multiple of the quantum, or the shift of [`stabilized_row`] if the sum
/// is out of range.
#[inline(always)]
pub(super) fn gibbs_row<L: ExpLanes<T>, T: Float>(
    l: L,
    eval: &GibbsEval<'_, L, T>,
    quantum: f64,
    row: &[T],
    u: f64,
    gibbs: &mut [T],
) -> f64 {
    let rounded = T::from_f64(round_to_quantum(quantum, u));
    let [total] = gibbs_rows::<L, T, 1, false>(l, eval, [row], [rounded], gibbs, None, [&[]]);
    let mut shift = rounded.to_f64();
    if !row_range::<T>().contains(&total.sum) {
        (shift, _) = stabilized_row(l, eval, quantum, row, gibbs);
    }
    shift
}

/// Writes the arguments of the exponentials of a row to `out` and returns their maximum.
#[inline(always)]
fn arguments<L: ExpLanes<T>, T: Float>(l: L, eval: &GibbsEval<'_, L, T>, row: &[T], shift: T, out: &mut [T]) -> f64 {
    let mut max = l.splat(T::NEG_INFINITY);
    let mut at = 0;
    while at < row.len() {
        let y = eval.argument(l, l.splat(shift), l.load(&eval.columns.high[at..]), l.load_up_to(&row[at..], T::ZERO));
        let y = l.add(y, l.load(&eval.columns.low[at..]));
        l.store(&mut out[at..], y);
        max = l.max(y, max);
        at += L::N;
    }
    l.reduce_max(max).to_f64()
}

/// Writes one row of the Gibbs matrix relative to its maximum, out of line, and returns its shift
/// and its sums. If the maximum is not finite, the shift is infinite, the row 0, and its sum 1.
#[inline(always)]
pub(super) fn stabilized_row<L: ExpLanes<T>, T: Float>(
    l: L,
    eval: &GibbsEval<'_, L, T>,
    quantum: f64,
    row: &[T],
    gibbs: &mut [T],
) -> (f64, RowSum) {
    let eval = *eval;
    out_of_line!(l, {
        // Without a shift, arguments are rounded too coarsely for the exponential, but their
        // maximum gives the shift.
        let shift = T::from_f64(round_to_quantum(quantum, -arguments(l, &eval, row, T::ZERO, gibbs)));
        let max = arguments(l, &eval, row, shift, gibbs);
        if !max.is_finite() {
            gibbs.fill(T::ZERO);
            return (f64::INFINITY, RowSum { sum: 1.0, cost: 0.0 });
        }
        let offset = l.splat(T::from_f64(max));
        let mut total = RowSum::default();
        let mut at = 0;
        while at < row.len() {
            let e = eval.exp.eval(l, l.sub(l.load(&gibbs[at..]), offset));
            l.store(&mut gibbs[at..], e);
            let factor = l.load(&eval.columns.factors[at..]);
            total.sum += l.reduce_sum(l.mul(e, factor));
            let cost = cost_product(l, l.load_up_to(&row[at..], T::ZERO), e);
            total.cost += l.reduce_sum(l.mul(cost, factor));
            at += L::N;
        }
        (shift.to_f64() - max, total)
    })
}

/// Prefetches the cache line that begins with column `at` of each row, if one begins there.
#[inline(always)]
pub(super) fn prefetch_rows<L: Lanes<T>, T: Float, const R: usize>(l: L, rows: [&[T]; R], at: usize) {
    if (at * size_of::<T>()).is_multiple_of(64) {
        for row in rows {
            l.prefetch_far(row, at);
        }
    }
}

/// R rows of a Gibbs matrix that are to be added up, each times its weight.
#[derive(Clone, Copy)]
pub(super) struct WeightedRows<'a, T, const R: usize> {
    /// The rows.
    pub(super) gibbs: &'a [T],
    /// The distance of the rows, that of [`gibbs_stride`].
    pub(super) stride: usize,
    /// One weight per row.
    pub(super) weights: [T; R],
}

/// Adds R rows to column sums, vector by vector.
struct Adder<'a, L: Lanes<T>, T: Float, const R: usize> {
    /// The rows, each from the same column on.
    rows: [&'a [T]; R],
    /// Their weights.
    weights: [L::V; R],
    /// The column sums, from that column on.
    sums: &'a mut [T],
}

impl<'a, L: Lanes<T>, T: Float, const R: usize> Adder<'a, L, T, R> {
    /// Adds `len` columns from `start` on to as many `sums`.
    #[inline(always)]
    fn new(l: L, added: &WeightedRows<'a, T, R>, sums: &'a mut [T], start: usize, len: usize) -> Self {
        let (mut rows, mut weights): ([&[T]; R], _) = ([&[]; R], [l.splat(T::ZERO); R]);
        for i in 0..R {
            // By index, so that the compiler knows that all rows are as long as `sums`. For slices
            // from an iterator it would check the bounds of each vector of each row.
            rows[i] = &added.gibbs[i * added.stride + start..][..len];
            weights[i] = l.splat(added.weights[i]);
        }
        Self { rows, weights, sums }
    }

    /// Adds the vectors at `at`.
    #[inline(always)]
    fn add_at(&mut self, l: L, at: usize) {
        let sum = l.load(&self.sums[at..]);
        // First the sum of the block: fewer additions to a large sum round less.
        let mut added = l.mul(self.weights[0], l.load(&self.rows[0][at..]));
        for i in 1..R {
            added = l.mul_add(self.weights[i], l.load(&self.rows[i][at..]), added);
        }
        l.store(&mut self.sums[at..], l.add(sum, added));
    }
}

/// Adds R rows, each times its weight, to the column sums.
#[inline(always)]
pub(super) fn add_block<L: Lanes<T>, T: Float, const R: usize>(l: L, added: &WeightedRows<'_, T, R>, sums: &mut [T]) {
    let len = sums.len();
    let mut adder = Adder::new(l, added, sums, 0, len);
    let mut at = 0;
    while len - at >= L::N {
        adder.add_at(l, at);
        at += L::N;
    }
}

/// Adds the partial column sums to the column sums in `f64`, and sets them to 0.
#[inline(always)]
pub(super) fn flush_partial_sums<T: Float>(column_sums: &mut [f64], partial_sums: &mut [T]) {
    for (sum, partial) in column_sums.iter_mut().zip(partial_sums) {
        *sum += partial.to_f64();
        *partial = T::ZERO;
    }
}
