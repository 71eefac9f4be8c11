//! Rows of the Gibbs matrix `K_ij = 2^(U_i + G_j - eta C_ij)` and their sums.

use super::gibbs_stride;
use super::potentials::{has_low_part, round_to_quantum};
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

/// Evaluates entries of the Gibbs matrix: the constants of the inner loop and the column
/// potentials.
#[derive(Clone, Copy)]
pub(super) struct GibbsEval<'a, L: ExpLanes<T>, T: Float> {
    /// [`Problem::eta`](super::Problem::eta).
    eta: L::V,
    /// The exponential.
    exp: Exp2<L, T>,
    /// The high parts of the column potentials, multiples of the quantum.
    g_high: &'a [T],
    /// The low parts of the column potentials.
    g_low: &'a [T],
}

impl<'a, L: ExpLanes<T>, T: Float> GibbsEval<'a, L, T> {
    /// An evaluator for column potentials that [`split_columns`](super::potentials::split_columns)
    /// has split.
    #[inline(always)]
    pub(super) fn new(l: L, eta: T, g_high: &'a [T], g_low: &'a [T]) -> Self {
        Self { eta: l.splat(eta), exp: Exp2::new(l), g_high, g_low }
    }

    /// Both parts of the column potentials from column `at` on.
    #[inline(always)]
    fn columns(&self, l: L, at: usize) -> (L::V, L::V) {
        let high = l.load(&self.g_high[at..]);
        (high, if has_low_part::<T>() { l.load(&self.g_low[at..]) } else { high })
    }

    /// `shift + g - eta * cost`.
    #[inline(always)]
    fn argument(&self, l: L, shift: L::V, (high, low): (L::V, L::V), cost: L::V) -> L::V {
        let y = l.neg_mul_add_exact(self.eta, cost, l.add(shift, high));
        if has_low_part::<T>() { l.add(y, low) } else { y }
    }
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
/// unless `WITH_COST`. Prefetches the `next` rows, which will be read later.
#[inline(always)]
pub(super) fn gibbs_rows<L: ExpLanes<T>, T: Float, const R: usize, const WITH_COST: bool>(
    l: L,
    eval: &GibbsEval<'_, L, T>,
    rows: [&[T]; R],
    shifts: [T; R],
    gibbs: &mut [T],
    next: &[&[T]],
) -> [RowSum; R] {
    let cols = rows[0].len();
    let whole = cols - cols % L::N;
    let zero = l.splat(T::ZERO);
    let mut totals = [RowSum::default(); R];
    for start in (0..whole).step_by(FLUSH_VECTORS * L::N) {
        let end = whole.min(start + FLUSH_VECTORS * L::N);
        // All slices have one length, so one comparison checks the bounds of all.
        let mut row: [&[T]; R] = [&[]; R];
        let mut out = [(); R].map(|()| <&mut [T]>::default());
        for (i, gibbs) in gibbs.chunks_mut(gibbs_stride(cols)).take(R).enumerate() {
            (row[i], out[i]) = (&rows[i][start..end], &mut gibbs[start..end]);
        }
        let eval = GibbsEval { g_high: &eval.g_high[start..end], g_low: &eval.g_low[start..end], ..*eval };
        let (mut sums, mut costs) = ([zero; R], [zero; R]);
        let len = eval.g_high.len();
        let mut at = 0;
        while len - at >= L::N {
            let g = eval.columns(l, at);
            prefetch_rows(l, next, start + at);
            for i in 0..R {
                let cost = l.load(&row[i][at..]);
                let e = eval.exp.eval(l, eval.argument(l, l.splat(shifts[i]), g, cost));
                l.store(&mut out[i][at..], e);
                sums[i] = l.add(sums[i], e);
                if WITH_COST {
                    costs[i] = l.add(costs[i], cost_product(l, cost, e));
                }
            }
            at += L::N;
        }
        for i in 0..R {
            totals[i].sum += l.reduce_sum(sums[i]);
            if WITH_COST {
                totals[i].cost += l.reduce_sum(costs[i]);
            }
        }
    }
    if whole < cols {
        gibbs_tail::<L, T, R, WITH_COST>(l, eval, rows, shifts, gibbs, &mut totals);
    }
    totals
}

/// The columns of [`gibbs_rows`] that do not fill a vector.
#[inline(always)]
fn gibbs_tail<L: ExpLanes<T>, T: Float, const R: usize, const WITH_COST: bool>(
    l: L,
    eval: &GibbsEval<'_, L, T>,
    rows: [&[T]; R],
    shifts: [T; R],
    gibbs: &mut [T],
    totals: &mut [RowSum; R],
) {
    let cols = rows[0].len();
    let (stride, whole) = (gibbs_stride(cols), cols - cols % L::N);
    let g = eval.columns(l, whole);
    for i in 0..R {
        let cost = l.load_tail(&rows[i][whole..], T::ZERO);
        let e = eval.exp.eval(l, eval.argument(l, l.splat(shifts[i]), g, cost));
        l.store(&mut gibbs[i * stride + whole..], e);
        totals[i].sum += l.reduce_sum(e);
        if WITH_COST {
            totals[i].cost += l.reduce_sum(cost_product(l, cost, e));
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
    let [total] = gibbs_rows::<L, T, 1, false>(l, eval, [row], [rounded], gibbs, &[]);
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
        let y = eval.argument(l, l.splat(shift), eval.columns(l, at), l.load_up_to(&row[at..], T::ZERO));
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
            total.sum += l.reduce_sum(e);
            total.cost += l.reduce_sum(cost_product(l, l.load_up_to(&row[at..], T::ZERO), e));
            at += L::N;
        }
        (shift.to_f64() - max, total)
    })
}

/// Prefetches the cache line that begins with column `at` of each row, if one begins there.
#[inline(always)]
pub(super) fn prefetch_rows<L: Lanes<T>, T: Float>(l: L, rows: &[&[T]], at: usize) {
    if (at * size_of::<T>()).is_multiple_of(64) {
        for row in rows {
            l.prefetch_far(row, at);
        }
    }
}

/// R rows of a Gibbs matrix that are to be added up, each times its weight.
#[derive(Clone, Copy)]
pub(super) struct WeightedRows<'a, T, const R: usize> {
    /// The rows, at the distance of [`gibbs_stride`].
    pub(super) gibbs: &'a [T],
    /// One weight per row.
    pub(super) weights: [T; R],
}

/// Adds R rows, each times its weight, to the column sums. Prefetches the `next` rows, which will
/// be read later.
#[inline(always)]
pub(super) fn add_block<L: Lanes<T>, T: Float, const R: usize>(
    l: L,
    added: WeightedRows<'_, T, R>,
    sums: &mut [T],
    next: &[&[T]],
) {
    let (len, stride) = (sums.len(), gibbs_stride(sums.len()));
    let (mut row, mut weight): ([&[T]; R], _) = ([&[]; R], [l.splat(T::ZERO); R]);
    for i in 0..R {
        // By index, so that the compiler knows that all rows are as long as `sums`. For slices from
        // an iterator it would check the bounds of each vector of each row.
        (row[i], weight[i]) = (&added.gibbs[i * stride..][..len], l.splat(added.weights[i]));
    }
    let mut at = 0;
    while len - at >= L::N {
        prefetch_rows(l, next, at);
        let sum = l.load(&sums[at..]);
        // First the sum of the block: fewer additions to a large sum round less.
        let mut added = l.mul(weight[0], l.load(&row[0][at..]));
        for i in 1..R {
            added = l.mul_add(weight[i], l.load(&row[i][at..]), added);
        }
        l.store(&mut sums[at..], l.add(sum, added));
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
