//! Sinkhorn's iteration of many problems on one cost matrix: every lane of the vectors has a
//! problem of its own.
//!
//! ```text
//! K_ij <- 2^(eta (min_j C_ij - C_ij))            stored once for all problems
//! repeat, in every lane                          batch_iteration
//!     for each block of rows:                    one read of K for all lanes
//!         s_i <- a_i / sum_j K_ij v_j            row_sums, row_scalings
//!         c_j <- c_j + s_i K_ij                  add_to_columns
//!     v_j <- b_j / c_j
//! ```
//! See Cuturi 2013. The plan is `P_ij = s_i K_ij v_j`. There are neither exponentials nor sums over
//! lanes.
//!
//! 1. Range. K underflows if a cost is large. This is negligible while every sum of a row or
//!    column with mass is at least [`BatchLayout::min_sum`]: masses are at most about 1, so
//!    scalings are at most `1 / min_sum`, and a sum loses at most `terms / min_sum * 2^-BIAS`,
//!    below 2^-28 of it for 2^20 terms (`f32`). [`LaneArrays::min_sums`] and
//!    [`LaneArrays::min_scalings`] show which problems are out of range: the caller solves those in
//!    the log domain.
//! 2. Order of sums. Terms are added in the order of their indices, and the partial sum is added to
//!    the total every [`SUM_GROUP`](super::tuning::SUM_GROUP) indices of the cost matrix. A term
//!    without mass adds exactly 0, so leaving out rows or columns without mass changes no bit. The
//!    result of a problem depends neither on its lane nor on the other lanes.

use super::tuning::{BATCH_VECTORS, POTENTIALS_STEP};
use crate::kernels::lanes::{Float, Lanes, Token, match_token};
use crate::kernels::math::exp::{ExpLanes, pow2};
use crate::kernels::math::ln::log2;

/// The layout of a batch on an instruction set, and the range of its problems.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLayout {
    /// The number of problems that are iterated together.
    pub(crate) width: usize,
    /// The number of rows in a block of the Gibbs matrix.
    pub(crate) block_rows: usize,
    /// The smallest accurate sum of a row or column with mass; a power of two.
    pub(crate) min_sum: f64,
    /// The smallest accurate scaling, far above the subnormal numbers; a power of two.
    pub(crate) min_scaling: f64,
}

impl BatchLayout {
    /// The layout for the element type `T`, which is `f32` or `f64`.
    pub(crate) fn new<T>(token: Token) -> Self {
        let is_f32 = size_of::<T>() == size_of::<f32>();
        match_token!(token, l => if is_f32 { Self::on::<_, f32>(l) } else { Self::on::<_, f64>(l) })
    }

    /// The layout on one instruction set.
    fn on<L: ExpLanes<T>, T: Float>(_: L) -> Self {
        Self {
            width: BATCH_VECTORS * L::N,
            block_rows: block_rows::<L, T>(),
            min_sum: pow2(-0.3 * T::BIAS),
            min_scaling: pow2(-0.75 * T::BIAS),
        }
    }
}

/// The number of rows in a block: 8 if there are registers for their sums.
#[inline(always)]
fn block_rows<L: ExpLanes<T>, T: Float>() -> usize {
    if L::IN_FLIGHT >= 4 { 8 } else { 4 }
}

/// The stored Gibbs matrix of a batch.
#[derive(Clone, Copy)]
pub struct GibbsBlocks<'a, T> {
    /// Blocks of [`BatchLayout::block_rows`] rows, each column by column: the entries of a block in
    /// one column lie side by side.
    pub(crate) entries: &'a [T],
    /// The end of each group of rows, a multiple of the rows of a block.
    pub(crate) row_ends: &'a [usize],
    /// The end of each group of columns; the last is the number of columns.
    pub(crate) column_ends: &'a [usize],
}

/// The problems of all lanes. Arrays of rows or columns have [`BatchLayout::width`] numbers for
/// each row or column of the Gibbs matrix.
pub struct LaneArrays<'a, T> {
    /// The masses of the rows, divided by their total; 0 for rows that pad a block.
    pub(crate) a: &'a [T],
    /// The masses of the columns, divided by the total of the rows.
    pub(crate) b: &'a [T],
    /// The row scalings.
    pub(crate) s: &'a [T],
    /// The column scalings.
    pub(crate) v: &'a [T],
    /// The row scalings after the iteration.
    pub(crate) next_s: &'a mut [T],
    /// The column scalings after the iteration.
    pub(crate) next_v: &'a mut [T],
    /// Memory for as many numbers as `v`; its contents do not matter.
    pub(crate) partial_sums: &'a mut [T],
    /// One number per lane: the L1 error of the row marginals *before* the iteration.
    pub(crate) errors: &'a mut [T],
    /// One number per lane: the smallest sum of a row or column with mass.
    pub(crate) min_sums: &'a mut [T],
    /// One number per lane: the smallest new scaling of a row or column with mass.
    pub(crate) min_scalings: &'a mut [T],
}

/// One iteration of all problems: the new s, then the new v.
#[inline(always)]
pub(crate) fn batch_iteration<L: ExpLanes<T>, T: Float>(
    l: L,
    gibbs: &GibbsBlocks<'_, T>,
    lanes: &mut LaneArrays<'_, T>,
) {
    if block_rows::<L, T>() == 8 {
        iterate_in_blocks::<L, T, 8>(l, gibbs, lanes);
    } else {
        iterate_in_blocks::<L, T, 4>(l, gibbs, lanes);
    }
}

/// The statistics of one iteration, one number per problem.
struct LaneStats<V> {
    /// The L1 errors of the row marginals.
    errors: [V; BATCH_VECTORS],
    /// The smallest sums.
    min_sums: [V; BATCH_VECTORS],
    /// The smallest new scalings.
    min_scalings: [V; BATCH_VECTORS],
}

impl<V: Copy> LaneStats<V> {
    /// Returns the scaling `mass / sum`, or 0 without mass, and updates both minima.
    #[inline(always)]
    fn scaling<L: Lanes<T, V = V>, T: Float>(&mut self, l: L, vector: usize, mass: V, sum: V) -> V {
        let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
        let has_mass = l.lt(zero, mass);
        let scaling = l.div(mass, sum);
        self.min_sums[vector] = l.min(l.select(has_mass, sum, one), self.min_sums[vector]);
        self.min_scalings[vector] = l.min(l.select(has_mass, scaling, one), self.min_scalings[vector]);
        l.select(has_mass, scaling, zero)
    }
}

/// [`batch_iteration`] with blocks of R rows.
#[inline(always)]
fn iterate_in_blocks<L: Lanes<T>, T: Float, const R: usize>(
    l: L,
    gibbs: &GibbsBlocks<'_, T>,
    lanes: &mut LaneArrays<'_, T>,
) {
    let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
    let width = BATCH_VECTORS * L::N;
    let cols = lanes.b.len() / width;
    let mut stats =
        LaneStats { errors: [zero; BATCH_VECTORS], min_sums: [one; BATCH_VECTORS], min_scalings: [one; BATCH_VECTORS] };
    let mut row = 0;
    for (group, &end) in gibbs.row_ends.iter().enumerate() {
        let mut first = true;
        while row < end {
            let entries = &gibbs.entries[row * cols..(row + R) * cols];
            let sums = row_sums::<L, T, R>(l, entries, gibbs.column_ends, lanes.v);
            let s = row_scalings(l, row, &sums, lanes, &mut stats);
            // The column sums gather in `next_v` until they become scalings.
            let column_sums = if group == 0 { &mut *lanes.next_v } else { &mut *lanes.partial_sums };
            if first {
                add_to_columns::<L, T, R, true>(l, entries, &s, column_sums);
            } else {
                add_to_columns::<L, T, R, false>(l, entries, &s, column_sums);
            }
            first = false;
            row += R;
        }
        if group > 0 {
            for (sum, partial) in lanes.next_v.chunks_exact_mut(L::N).zip(lanes.partial_sums.chunks_exact(L::N)) {
                let total = l.add(l.load(sum), l.load(partial));
                l.store(sum, total);
            }
        }
    }
    for (v, b) in lanes.next_v.chunks_exact_mut(width).zip(lanes.b.chunks_exact(width)) {
        for p in 0..BATCH_VECTORS {
            let at = p * L::N;
            let scaling = stats.scaling(l, p, l.load(&b[at..]), l.load(&v[at..]));
            l.store(&mut v[at..], scaling);
        }
    }
    for p in 0..BATCH_VECTORS {
        let at = p * L::N;
        l.store(&mut lanes.errors[at..], stats.errors[p]);
        l.store(&mut lanes.min_sums[at..], stats.min_sums[p]);
        l.store(&mut lanes.min_scalings[at..], stats.min_scalings[p]);
    }
}

/// `sum_j K_ij v_j` of a block of rows.
#[inline(always)]
fn row_sums<L: Lanes<T>, T: Float, const R: usize>(
    l: L,
    entries: &[T],
    column_ends: &[usize],
    v: &[T],
) -> [[L::V; BATCH_VECTORS]; R] {
    let zero = l.splat(T::ZERO);
    let width = BATCH_VECTORS * L::N;
    let mut totals = [[zero; BATCH_VECTORS]; R];
    let mut start = 0;
    for &end in column_ends {
        let mut sums = [[zero; BATCH_VECTORS]; R];
        let columns = entries[start * R..end * R].chunks_exact(R);
        for (entries, v) in columns.zip(v[start * width..end * width].chunks_exact(width)) {
            let mut scalings = [zero; BATCH_VECTORS];
            for p in 0..BATCH_VECTORS {
                scalings[p] = l.load(&v[p * L::N..]);
            }
            for i in 0..R {
                let entry = l.splat(entries[i]);
                for p in 0..BATCH_VECTORS {
                    sums[i][p] = l.mul_add(entry, scalings[p], sums[i][p]);
                }
            }
        }
        for i in 0..R {
            for p in 0..BATCH_VECTORS {
                totals[i][p] = l.add(totals[i][p], sums[i][p]);
            }
        }
        start = end;
    }
    totals
}

/// The new scalings of a block of rows that begins with row `row` of the Gibbs matrix.
#[inline(always)]
fn row_scalings<L: Lanes<T>, T: Float, const R: usize>(
    l: L,
    row: usize,
    sums: &[[L::V; BATCH_VECTORS]; R],
    lanes: &mut LaneArrays<'_, T>,
    stats: &mut LaneStats<L::V>,
) -> [[L::V; BATCH_VECTORS]; R] {
    let mut scalings = *sums;
    for i in 0..R {
        for p in 0..BATCH_VECTORS {
            let at = (row + i) * BATCH_VECTORS * L::N + p * L::N;
            let a = l.load(&lanes.a[at..]);
            let error = l.abs(l.neg_mul_add(l.load(&lanes.s[at..]), sums[i][p], a));
            stats.errors[p] = l.add(stats.errors[p], error);
            scalings[i][p] = stats.scaling(l, p, a, sums[i][p]);
            l.store(&mut lanes.next_s[at..], scalings[i][p]);
        }
    }
    scalings
}

/// Adds a block of rows, each times its scaling, to the column sums. The `FIRST` block of a group
/// replaces them.
#[inline(always)]
fn add_to_columns<L: Lanes<T>, T: Float, const R: usize, const FIRST: bool>(
    l: L,
    entries: &[T],
    scalings: &[[L::V; BATCH_VECTORS]; R],
    column_sums: &mut [T],
) {
    for (entries, sums) in entries.chunks_exact(R).zip(column_sums.chunks_exact_mut(BATCH_VECTORS * L::N)) {
        let mut columns = [l.splat(T::ZERO); BATCH_VECTORS];
        if !FIRST {
            for p in 0..BATCH_VECTORS {
                columns[p] = l.load(&sums[p * L::N..]);
            }
        }
        for i in 0..R {
            let entry = l.splat(entries[i]);
            for p in 0..BATCH_VECTORS {
                columns[p] = l.mul_add(entry, scalings[i][p], columns[p]);
            }
        }
        for p in 0..BATCH_VECTORS {
            l.store(&mut sums[p * L::N..], columns[p]);
        }
    }
}

/// Replaces each scaling by the potential `(log2(scaling) + shift) / eta + offset`, and 0 by -inf.
/// The length must be a multiple of [`POTENTIALS_STEP`].
#[inline(always)]
pub(crate) fn scalings_to_potentials<L: Lanes<T>, T: Float>(
    _l: L,
    eta: f64,
    shift: f64,
    offsets: &[f64],
    in_out: &mut [T],
) {
    // Without intrinsics, because the compiler vectorizes this loop.
    let steps = in_out.chunks_exact_mut(POTENTIALS_STEP).zip(offsets.chunks_exact(POTENTIALS_STEP));
    for (in_out, offsets) in steps {
        for i in 0..POTENTIALS_STEP {
            let scaling = in_out[i].to_f64();
            let potential = T::from_f64((log2(scaling) + shift) / eta + offsets[i]);
            in_out[i] = if scaling > 0.0 { potential } else { T::NEG_INFINITY };
        }
    }
}
