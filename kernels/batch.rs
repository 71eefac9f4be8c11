//! Sinkhorn's iteration of many problems on one cost matrix: every lane of the vectors iterates a problem of its own.
//!
//! The kernel matrix `K_ij = 2^(k (min_j C_ij - C_ij))` is stored once for all of them, so that an iteration has neither
//! exponentials nor horizontal sums: `r_i = sum_j K_ij v_j`, `s_i = a_i / r_i`, `c_j = sum_i s_i K_ij`, `v_j = b_j / c_j`, both
//! sums from one read of a block of rows (Cuturi 2013 for the iteration; the plan is `s_i K_ij v_j`).
//!
//! Range: `K` underflows where a cost is large, which does not matter as long as every sum that counts is at least
//! [`Layout::least_sum`]: masses are at most about 1, so scalings are at most its inverse, and what is lost of a sum is at most
//! `terms * inverse * 2^-BIAS`, below 2^-28 of it for 2^20 terms (`f32`). A problem that leaves the range shows it in
//! [`State::sums`] or [`State::scalings`] and is for the log domain.
//!
//! Order of sums: terms are added one by one in the order of their indices and folded every [`GROUP`] indices of the cost
//! matrix. A term without mass adds exactly 0, so leaving rows or columns out that have none changes no bit, and the
//! result of a problem depends neither on its lane nor on what the other lanes do.

use super::lanes::{Float, Lanes};
use super::math::exp::{ExpLanes, pow2};
use super::math::ln::log2;

/// Vectors of problems side by side, which share each load of an entry.
const VECTORS: usize = 2;

/// Rows or columns of the cost matrix that are summed before they are added to the total.
pub(crate) const GROUP: usize = 64;

/// How a batch is laid out on an instruction set, and the range of its problems.
#[derive(Clone, Copy, Debug)]
pub struct Layout<T> {
    /// Problems that are iterated together.
    pub(crate) width: usize,
    /// Rows of the kernel matrix in a block.
    pub(crate) rows: usize,
    /// The smallest sum of a row or column with mass that is accurate.
    pub(crate) least_sum: T,
    /// The smallest scaling: far from where numbers lose bits.
    pub(crate) least_scaling: T,
}

/// The kernel matrix.
#[derive(Clone, Copy)]
pub struct Kernel<'a, T> {
    /// Blocks of [`Layout::rows`] rows, each column by column: the entries that meet in a column lie side by side.
    pub(crate) entries: &'a [T],
    /// The end of each group of rows, whole blocks.
    pub(crate) row_ends: &'a [usize],
    /// The end of each group of columns; the last is the number of columns.
    pub(crate) column_ends: &'a [usize],
}

/// The problems of all lanes: arrays of [`Layout::width`] numbers for every row or column of the kernel matrix. Masses are
/// divided by their total, 0 for rows that only fill up a block.
pub struct State<'a, T> {
    pub(crate) a: &'a [T],
    pub(crate) b: &'a [T],
    /// The scalings.
    pub(crate) s: &'a [T],
    pub(crate) v: &'a [T],
    /// The scalings after the iteration.
    pub(crate) next_s: &'a mut [T],
    pub(crate) next_v: &'a mut [T],
    /// As `v`; what is in it does not matter.
    pub(crate) partial: &'a mut [T],
    /// One number per lane: the L1 error of the row marginals *before* the iteration, and the smallest sum and the smallest
    /// new scaling where there is mass.
    pub(crate) errors: &'a mut [T],
    pub(crate) sums: &'a mut [T],
    pub(crate) scalings: &'a mut [T],
}

/// The layout of batches.
#[inline(always)]
pub(crate) fn layout<L: ExpLanes<T>, T: Float>(_l: L) -> Layout<T> {
    Layout {
        width: VECTORS * L::N,
        // Eight where there are registers for their sums.
        rows: if L::IN_FLIGHT >= 4 { 8 } else { 4 },
        least_sum: T::from_f64(pow2(-0.3 * T::BIAS)),
        least_scaling: T::from_f64(pow2(-0.75 * T::BIAS)),
    }
}

/// One full iteration of all problems: new s, then new v.
#[inline(always)]
pub(crate) fn iterate_lanes<L: ExpLanes<T>, T: Float>(l: L, k: &Kernel<'_, T>, state: &mut State<'_, T>) {
    if layout::<L, T>(l).rows == 8 { pass::<L, T, 8>(l, k, state) } else { pass::<L, T, 4>(l, k, state) }
}

/// What is seen of the problems during an iteration.
struct Watch<V> {
    errors: [V; VECTORS],
    sums: [V; VECTORS],
    scalings: [V; VECTORS],
}

impl<V: Copy> Watch<V> {
    /// `mass / sum`, 0 where there is no mass.
    #[inline(always)]
    fn scaling<L: Lanes<T, V = V>, T: Float>(&mut self, l: L, vector: usize, mass: V, sum: V) -> V {
        let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
        let has_mass = l.lt(zero, mass);
        let scaling = l.div(mass, sum);
        self.sums[vector] = l.min(l.select(has_mass, sum, one), self.sums[vector]);
        self.scalings[vector] = l.min(l.select(has_mass, scaling, one), self.scalings[vector]);
        l.select(has_mass, scaling, zero)
    }
}

#[inline(always)]
fn pass<L: Lanes<T>, T: Float, const R: usize>(l: L, k: &Kernel<'_, T>, state: &mut State<'_, T>) {
    let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
    let width = VECTORS * L::N;
    let cols = state.b.len() / width;
    let mut watch = Watch { errors: [zero; VECTORS], sums: [one; VECTORS], scalings: [one; VECTORS] };
    let mut row = 0;
    for (group, &end) in k.row_ends.iter().enumerate() {
        let mut first = true;
        while row < end {
            let entries = &k.entries[row * cols..(row + R) * cols];
            let sums = row_sums::<L, T, R>(l, entries, k.column_ends, state.v);
            let s = row_scalings(l, row, &sums, state, &mut watch);
            let columns = if group == 0 { &mut *state.next_v } else { &mut *state.partial };
            if first {
                add_to_columns::<L, T, R, true>(l, entries, &s, columns);
            } else {
                add_to_columns::<L, T, R, false>(l, entries, &s, columns);
            }
            first = false;
            row += R;
        }
        if group > 0 {
            for (sum, partial) in state.next_v.chunks_exact_mut(L::N).zip(state.partial.chunks_exact(L::N)) {
                let total = l.add(l.load(sum), l.load(partial));
                l.store(sum, total);
            }
        }
    }
    for (v, b) in state.next_v.chunks_exact_mut(width).zip(state.b.chunks_exact(width)) {
        for p in 0..VECTORS {
            let at = p * L::N;
            let scaling = watch.scaling(l, p, l.load(&b[at..]), l.load(&v[at..]));
            l.store(&mut v[at..], scaling);
        }
    }
    for p in 0..VECTORS {
        let at = p * L::N;
        l.store(&mut state.errors[at..], watch.errors[p]);
        l.store(&mut state.sums[at..], watch.sums[p]);
        l.store(&mut state.scalings[at..], watch.scalings[p]);
    }
}

/// `sum_j K_ij v_j` of a block of rows.
#[inline(always)]
fn row_sums<L: Lanes<T>, T: Float, const R: usize>(
    l: L,
    entries: &[T],
    column_ends: &[usize],
    v: &[T],
) -> [[L::V; VECTORS]; R] {
    let zero = l.splat(T::ZERO);
    let width = VECTORS * L::N;
    let mut totals = [[zero; VECTORS]; R];
    let mut start = 0;
    for &end in column_ends {
        let mut sums = [[zero; VECTORS]; R];
        let columns = entries[start * R..end * R].chunks_exact(R);
        for (entries, v) in columns.zip(v[start * width..end * width].chunks_exact(width)) {
            let mut factors = [zero; VECTORS];
            for p in 0..VECTORS {
                factors[p] = l.load(&v[p * L::N..]);
            }
            for i in 0..R {
                let entry = l.splat(entries[i]);
                for p in 0..VECTORS {
                    sums[i][p] = l.mul_add(entry, factors[p], sums[i][p]);
                }
            }
        }
        for i in 0..R {
            for p in 0..VECTORS {
                totals[i][p] = l.add(totals[i][p], sums[i][p]);
            }
        }
        start = end;
    }
    totals
}

/// The new scalings of a block of rows.
#[inline(always)]
fn row_scalings<L: Lanes<T>, T: Float, const R: usize>(
    l: L,
    row: usize,
    sums: &[[L::V; VECTORS]; R],
    state: &mut State<'_, T>,
    watch: &mut Watch<L::V>,
) -> [[L::V; VECTORS]; R] {
    let mut scalings = *sums;
    for i in 0..R {
        for p in 0..VECTORS {
            let at = (row + i) * VECTORS * L::N + p * L::N;
            let a = l.load(&state.a[at..]);
            let error = l.abs(l.neg_mul_add(l.load(&state.s[at..]), sums[i][p], a));
            watch.errors[p] = l.add(watch.errors[p], error);
            scalings[i][p] = watch.scaling(l, p, a, sums[i][p]);
            l.store(&mut state.next_s[at..], scalings[i][p]);
        }
    }
    scalings
}

/// Adds a block of rows, each times its scaling, to the column sums; to 0 for the `FIRST` of a group.
#[inline(always)]
fn add_to_columns<L: Lanes<T>, T: Float, const R: usize, const FIRST: bool>(
    l: L,
    entries: &[T],
    scalings: &[[L::V; VECTORS]; R],
    sums: &mut [T],
) {
    for (entries, sums) in entries.chunks_exact(R).zip(sums.chunks_exact_mut(VECTORS * L::N)) {
        let mut columns = [l.splat(T::ZERO); VECTORS];
        if !FIRST {
            for p in 0..VECTORS {
                columns[p] = l.load(&sums[p * L::N..]);
            }
        }
        for i in 0..R {
            let entry = l.splat(entries[i]);
            for p in 0..VECTORS {
                columns[p] = l.mul_add(entry, scalings[i][p], columns[p]);
            }
        }
        for p in 0..VECTORS {
            l.store(&mut sums[p * L::N..], columns[p]);
        }
    }
}

/// Numbers that [`potentials`] takes at a time: slices must be that long or a multiple.
pub(crate) const STEP: usize = 8;

/// The potentials `(log2(scaling) + shift) / k + offset` in the place of the scalings, -inf where those are 0.
#[inline(always)]
pub(crate) fn potentials<L: Lanes<T>, T: Float>(_l: L, k: f64, shift: f64, offsets: &[f64], scalings: &mut [T]) {
    // Plain Rust, which the compiler turns into vectors of the instruction set.
    for (scalings, offsets) in scalings.chunks_exact_mut(STEP).zip(offsets.chunks_exact(STEP)) {
        for i in 0..STEP {
            let scaling = scalings[i].to_f64();
            let potential = T::from_f64((log2(scaling) + shift) / k + offsets[i]);
            scalings[i] = if scaling > 0.0 { potential } else { T::NEG_INFINITY };
        }
    }
}
