//! Sinkhorn's iteration by scaling a stored Gibbs matrix: no exponentials, one read of the matrix
//! for an update of both sides.
//!
//! ```text
//! K_ij <- 2^(U_i + G_j - eta C_ij)               build_rows, once; s = v = 1
//! repeat
//!     s_i <- 1 / sum_j K_ij v_j                  scale_rows: sum_block
//!     c_j <- sum_i a_i s_i K_ij                  add_block, while the rows of K are in the cache
//!     v_j <- b_j / c_j                           update_scalings
//! U_i <- U_i + log2(s_i), G_j <- G_j + log2(v_j)     absorb_scalings, before the log domain
//! ```
//! See Schmitzer 2019, section 3.1, for the absorption. The [family's page](super) has the range.

use super::gibbs::{
    GibbsEval, column_floor, columns_of, flush_partial_sums, partial_sum_scale, row_range, splats, stable_rows,
};
use super::potentials::{PotentialsMut, Relaxation, SplitColumns, has_low_part};
use super::tuning::{BLOCK_ROWS, CACHED_BYTES, FLUSH_ROWS, FLUSH_VECTORS, PREFETCH_BYTES};
use super::{Band, Exchange, Problem, Workspace, band_sums, padded};
use crate::kernels::lanes::{Float, InstructionSet, Lanes, MAX_LANES, WideLanes, out_of_line};
use crate::kernels::math::exp::{ExpLanes, exp2};
use crate::kernels::math::ln::log2;

/// The distance of the rows of a stored Gibbs matrix of `cols` or `padded(cols)` columns, in
/// elements. It is never a multiple of 4096 bytes, where lines of all rows would have the same
/// place in the first-level cache. Not measured.
pub(crate) fn gibbs_stride(cols: usize) -> usize {
    padded(cols) + MAX_LANES * usize::from(padded(cols).is_multiple_of(512))
}

/// The number of elements of a Gibbs matrix of `rows` rows, padded with rows of 0 to whole blocks;
/// `None` if it exceeds `usize`.
pub(crate) fn scaled_gibbs_len(rows: usize, cols: usize) -> Option<usize> {
    rows.checked_next_multiple_of(BLOCK_ROWS)?.checked_mul(gibbs_stride(cols))
}

/// A stored Gibbs matrix and its scalings. With the U and G that it was built with, the potentials
/// are now `U_i + log2(row_scalings_i)` and `G_j + log2(column_scalings_j)`.
pub struct ScaledGibbs<'a, T> {
    /// The matrix, of [`scaled_gibbs_len`] elements; 0 before it is first built.
    pub(crate) gibbs: &'a mut [T],
    /// One factor per row with mass.
    pub(crate) row_scalings: &'a mut [f64],
    /// One factor per column.
    pub(crate) column_scalings: &'a mut [f64],
}

/// The rows of a Gibbs matrix that a thread builds.
pub struct BuiltRows<'a, T> {
    /// U, which becomes the shifts of the rows.
    pub(crate) u: &'a mut [f64],
    /// The row scalings, which take the difference.
    pub(crate) row_scalings: &'a mut [f64],
    /// The rows of the matrix.
    pub(crate) gibbs: &'a mut [T],
}

/// Builds rows of the Gibbs matrix of the potentials, which are up to `max_abs`.
#[inline(always)]
pub(crate) fn build_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    columns: SplitColumns<'_, T>,
    max_abs: f64,
    to: &mut BuiltRows<'_, T>,
) {
    let eval = GibbsEval::new(l, p.eta, columns, max_abs);
    let rows = to.gibbs.chunks_exact_mut(gibbs_stride(p.cost.cols()));
    for (((&i, u), scaling), gibbs) in p.support.iter().zip(&mut *to.u).zip(&mut *to.row_scalings).zip(rows) {
        let ([shift], _) = stable_rows::<L, T, 1, false>(l, &eval, [p.cost.row(i)], [*u], gibbs, None, 0);
        if shift.is_finite() {
            *scaling = exp2(*u - shift);
            *u = shift;
        } else {
            // A row of 0 is out of range, so the next iteration is refused.
            *scaling = 1.0;
        }
    }
}

/// Moves the factors of the columns, which the Gibbs matrix is without, from G to the column
/// scalings.
#[inline(always)]
pub(crate) fn move_factors<L: Lanes<T>, T: Float>(_: L, factors: &[T], g: &mut [f64], column_scalings: &mut [f64]) {
    for ((g, scaling), factor) in g.iter_mut().zip(column_scalings).zip(factors) {
        *scaling = factor.to_f64();
        *g -= if has_low_part::<T>() { log2(*scaling) } else { 0.0 };
    }
}

/// Moves the scalings into the potentials.
#[inline(always)]
pub(crate) fn absorb_scalings<L: Lanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    potentials: &mut PotentialsMut<'_>,
    from: &ScaledGibbs<'_, T>,
) {
    add_log2(l, potentials.u, from.row_scalings);
    add_log2(l, potentials.g, from.column_scalings);
    potentials.update_max_abs(p);
}

/// Adds the logarithms of scalings to potentials, out of line, for costs of both types.
#[inline(always)]
fn add_log2<L: InstructionSet>(l: L, potentials: &mut [f64], scalings: &[f64]) {
    out_of_line!(l, {
        for (potential, &scaling) in potentials.iter_mut().zip(scalings) {
            *potential += log2(scaling);
        }
    });
}

/// Rounds the column scalings for the rows of an iteration.
#[inline(always)]
pub(crate) fn round_column_scalings<L: Lanes<T>, T: Float>(_: L, column_scalings: &[f64], out: &mut [T]) {
    for (x, &v) in out.iter_mut().zip(column_scalings) {
        *x = T::from_f64(v);
    }
    out[column_scalings.len()..].fill(T::ZERO);
}

/// Rows of a stored Gibbs matrix, and the scalings before an iteration.
pub struct GibbsRows<'a, T> {
    /// The rows, in whole blocks.
    pub(crate) gibbs: &'a [T],
    /// The scalings of the rows.
    pub(crate) row_scalings: &'a [f64],
    /// The rounded scalings of the columns, see [`round_column_scalings`].
    pub(crate) column_scalings: &'a [T],
    /// Whether the whole matrix is taken to be in the caches.
    pub(crate) is_cached: bool,
}

/// Whether a Gibbs matrix is taken to be in the caches.
pub(crate) fn is_cached<T>(gibbs: &[T]) -> bool {
    size_of_val(gibbs) <= CACHED_BYTES
}

/// The rows of an iteration on the scalings, out of line: the new row scalings, in
/// [`Band::row_scratch`], the errors of the rows before the iteration, in [`Band::shifts`], and the
/// column sums with the new row scalings but without column scalings. Returns false if a row is out
/// of range. If the matrix is out of cache, one loop sums a block and adds the block before it,
/// which is still in the cache, to the column sums. Memory then never idles.
#[inline(always)]
pub(crate) fn scale_rows<L: WideLanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    relaxation: Relaxation,
    from: &GibbsRows<'_, T>,
    band: &mut Band<'_, T>,
) -> bool {
    out_of_line!(l, {
        const R: usize = BLOCK_ROWS;
        // Copies of what the loops read: they stay in registers.
        let (rows, cols, masses) = (p.support.len(), p.cost.cols(), p.a);
        let &GibbsRows { gibbs: all, row_scalings, column_scalings, is_cached } = from;
        let (partial_sums, column_sums) = (&mut *band.partial_sums, &mut *band.column_sums);
        let (errors, new_scalings) = (&mut *band.shifts, &mut *band.row_scratch);
        partial_sums.fill(T::ZERO);
        column_sums.fill(0.0);
        let mut weights = [T::ZERO; R];
        let mut before: &[T] = &[];
        let blocks = all.chunks_exact(R * gibbs_stride(cols)).take(rows.div_ceil(R));
        for (block, gibbs) in blocks.enumerate() {
            let first = block * R;
            // Out of cache, the slice extends beyond the block, because the next block is
            // prefetched.
            let gibbs = if is_cached { gibbs } else { &all[first * gibbs_stride(cols)..] };
            let sums = if before.is_empty() {
                sum_block::<L, T, R>(l, gibbs, column_scalings)
            } else {
                sum_and_add_block(l, gibbs, column_scalings, (before, weights), partial_sums)
            };
            if first.is_multiple_of(FLUSH_ROWS) && first > 0 {
                flush_partial_sums(band_sums(column_sums, cols, first), partial_sums);
            }
            weights = [T::ZERO; R];
            let results = errors[first..].iter_mut().zip(&mut new_scalings[first..]);
            for (((weight, &sum), (&a, &old)), (error, new_scaling)) in
                weights.iter_mut().zip(&sums).zip(masses[first..].iter().zip(&row_scalings[first..])).zip(results)
            {
                let new = if relaxation.is_off() { 1.0 / sum } else { relaxation.scaling(old, 1.0 / (old * sum)) };
                if !(row_range::<T>().contains(&sum) && row_range::<T>().contains(&new)) {
                    return false;
                }
                *error = (a * (old * sum) - a).abs();
                *new_scaling = new;
                *weight = T::from_f64(a * new * partial_sum_scale::<T>());
            }
            if is_cached {
                // The rows are in the first-level cache now: add them to the column sums.
                add_block(l, gibbs, weights, partial_sums);
            } else {
                before = gibbs;
            }
        }
        if !before.is_empty() {
            add_block(l, before, weights, partial_sums);
        }
        flush_partial_sums(band_sums(column_sums, cols, rows), partial_sums);
        true
    })
}

/// The end of an iteration on the scalings, after all rows, as
/// [`update_potentials`](super::sinkhorn_log::update_potentials): returns the error before the
/// iteration. Returns `None` and leaves the scalings unchanged if a value on any rank leaves the
/// range in which entries that underflowed are negligible; `is_good` says that [`scale_rows`] has
/// met none.
#[inline(always)]
pub(crate) fn update_scalings<L: Lanes<T>, T: Float>(
    _: L,
    p: &Problem<'_, T>,
    relaxation: Relaxation,
    is_good: bool,
    scaled: &mut ScaledGibbs<'_, T>,
    w: &mut Workspace<'_, T>,
    ranks: &mut dyn Exchange,
) -> Option<f64> {
    let (row_scalings, column_scalings) = (&*w.band.row_scratch, &mut *w.wide_column_scratch);
    let (mut error, mut largest_factor) = (0.0, 0.0);
    for (row_error, &new) in w.band.shifts.iter().zip(row_scalings) {
        error += row_error;
        largest_factor = if new > largest_factor { new } else { largest_factor };
    }
    let (mut errors, mut largest) = ([error], [largest_factor, f64::from(u8::from(!is_good))]);
    ranks.reduce(w.band.column_sums, &mut errors, &mut largest);
    let ([mut error], [largest_factor, is_bad]) = (errors, largest);
    if is_bad > 0.0 {
        return None;
    }
    if !relaxation.is_off() {
        let sums = w.band.column_sums.iter().zip(&*scaled.column_scalings);
        error += sums.zip(p.b).map(|((sum, v), b)| (sum * v - b).abs()).sum::<f64>();
    }
    let (range, floor) = (row_range::<T>(), column_floor::<T>(largest_factor));
    let (sums, mut accurate) = (&*w.band.column_sums, true);
    for ((new, &sum), &b) in column_scalings.iter_mut().zip(sums).zip(p.b) {
        // Without mass the sum may be 0, too, and 0 / 0 would be an invalid operation.
        *new = if b > 0.0 { b } else { 1.0 } / if b > 0.0 && sum > 0.0 { sum } else { 1.0 };
    }
    // In one loop, columns would pay for logarithms and powers that are not selected.
    if !relaxation.is_off() {
        for (new, &old) in column_scalings.iter_mut().zip(&*scaled.column_scalings) {
            *new = relaxation.scaling(old, *new / old);
        }
    }
    for ((new, &sum), &b) in column_scalings.iter_mut().zip(sums).zip(p.b) {
        // Without mass the column of the matrix is 0, and its scaling does not matter.
        *new = if b > 0.0 { *new } else { 1.0 };
        accurate &= b == 0.0 || sum >= floor && range.contains(new);
    }
    if !accurate {
        return None;
    }
    scaled.row_scalings.copy_from_slice(row_scalings);
    scaled.column_scalings.copy_from_slice(column_scalings);
    Some(error)
}

/// A whole iteration on the scalings, on one thread of a single process: its kernels in one call.
#[inline(always)]
pub(crate) fn scaling_iteration<L: WideLanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    relaxation: Relaxation,
    scaled: &mut ScaledGibbs<'_, T>,
    w: &mut Workspace<'_, T>,
    no_ranks: &mut dyn Exchange,
) -> Option<f64> {
    round_column_scalings(l, scaled.column_scalings, w.column_scratch);
    let (gibbs, row_scalings, column_scalings) = (&*scaled.gibbs, &*scaled.row_scalings, &*w.column_scratch);
    let from = GibbsRows { gibbs, row_scalings, column_scalings, is_cached: is_cached(gibbs) };
    let is_good = scale_rows(l, p, relaxation, &from, &mut w.band);
    update_scalings(l, p, relaxation, is_good, scaled, w, no_ranks)
}

/// Prefetches column `at` of R rows behind the first R rows of `gibbs`, at a distance of at least
/// [`PREFETCH_BYTES`], if there are any and a cache line begins there.
#[inline(always)]
fn prefetch_next_block<L: Lanes<T>, T: Float, const R: usize>(l: L, gibbs: &[T], stride: usize, at: usize) {
    if gibbs.len() > R * stride && (at * size_of::<T>()).is_multiple_of(64) {
        let ahead = (R * stride).max(PREFETCH_BYTES / size_of::<T>());
        for i in 0..R {
            l.prefetch_far(gibbs, ahead + i * stride + at);
        }
    }
}

/// The sum of all lanes of each vector.
#[inline(always)]
fn reduce_sums<L: WideLanes<T>, T: Float, const R: usize>(l: L, totals: [L::Wide; R]) -> [f64; R] {
    let mut sums = [0.0; R];
    for i in 0..R {
        sums[i] = l.reduce_sum_wide(totals[i]);
    }
    sums
}

/// The sums of the first R rows, each element times the scaling of its column. The rows behind them
/// are prefetched.
#[inline(always)]
fn sum_block<L: WideLanes<T>, T: Float, const R: usize>(l: L, gibbs: &[T], column_scalings: &[T]) -> [f64; R] {
    let zero = l.splat(T::ZERO);
    let (stride, cols) = (gibbs_stride(column_scalings.len()), column_scalings.len());
    let mut totals = [l.widen(zero); R];
    for start in (0..cols).step_by(FLUSH_VECTORS * L::N) {
        let end = cols.min(start + FLUSH_VECTORS * L::N);
        let column_scalings = &column_scalings[start..end];
        let rows: [&[T]; R] = columns_of(gibbs, stride, start, end);
        let mut sums = [zero; R];
        let mut at = 0;
        while column_scalings.len() - at >= L::N {
            prefetch_next_block::<L, T, R>(l, gibbs, stride, start + at);
            let v = l.load(&column_scalings[at..]);
            for i in 0..R {
                sums[i] = l.mul_add(l.load(&rows[i][at..]), v, sums[i]);
            }
            at += L::N;
        }
        for i in 0..R {
            totals[i] = l.add_wide(totals[i], l.widen(sums[i]));
        }
    }
    reduce_sums(l, totals)
}

/// Adds the vectors at `at` of R rows, each times its weight, to the column sums.
#[inline(always)]
fn add_rows<L: Lanes<T>, T: Float, const R: usize>(
    l: L,
    rows: &[&[T]; R],
    weights: &[L::V; R],
    column_sums: &mut [T],
    at: usize,
) {
    let sum = l.load(&column_sums[at..]);
    // First the sum of the block: fewer additions to a large sum round less.
    let mut added = l.mul(l.load(&rows[0][at..]), weights[0]);
    for i in 1..R {
        added = l.mul_add(l.load(&rows[i][at..]), weights[i], added);
    }
    l.store(&mut column_sums[at..], l.add(sum, added));
}

/// Adds the first R rows of `gibbs`, each times its weight, to the column sums.
#[inline(always)]
fn add_block<L: Lanes<T>, T: Float, const R: usize>(l: L, gibbs: &[T], weights: [T; R], column_sums: &mut [T]) {
    let len = column_sums.len();
    let rows: [&[T]; R] = columns_of(gibbs, gibbs_stride(len), 0, len);
    let weights = splats(l, weights);
    let mut at = 0;
    while len - at >= L::N {
        add_rows(l, &rows, &weights, column_sums, at);
        at += L::N;
    }
}

/// [`sum_block`] of `gibbs`, and [`add_block`] of the rows before it to the column sums, in one
/// loop.
#[inline(always)]
fn sum_and_add_block<L: WideLanes<T>, T: Float, const R: usize>(
    l: L,
    gibbs: &[T],
    column_scalings: &[T],
    (before, weights): (&[T], [T; R]),
    column_sums: &mut [T],
) -> [f64; R] {
    let zero = l.splat(T::ZERO);
    let (stride, cols) = (gibbs_stride(column_scalings.len()), column_scalings.len());
    let weights = splats(l, weights);
    let mut totals = [l.widen(zero); R];
    for start in (0..cols).step_by(FLUSH_VECTORS * L::N) {
        let end = cols.min(start + FLUSH_VECTORS * L::N);
        let (column_scalings, column_sums) = (&column_scalings[start..end], &mut column_sums[start..end]);
        let rows: [&[T]; R] = columns_of(gibbs, stride, start, end);
        let before: [&[T]; R] = columns_of(before, stride, start, end);
        let mut sums = [zero; R];
        let mut at = 0;
        while column_scalings.len() - at >= L::N {
            prefetch_next_block::<L, T, R>(l, gibbs, stride, start + at);
            let v = l.load(&column_scalings[at..]);
            for i in 0..R {
                sums[i] = l.mul_add(l.load(&rows[i][at..]), v, sums[i]);
            }
            add_rows(l, &before, &weights, column_sums, at);
            at += L::N;
        }
        for i in 0..R {
            totals[i] = l.add_wide(totals[i], l.widen(sums[i]));
        }
    }
    reduce_sums(l, totals)
}
