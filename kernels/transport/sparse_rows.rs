//! The large entries of rows of the plan, compressed in the read of the cost matrix that sums rows
//! and columns.
//!
//! ```text
//! for each block of rows:                        one read of C, one exponential per entry
//!     K_ij <- 2^(U_i + G_j - eta C_ij)           gibbs_rows
//!     r_i  <- sum_j K_ij
//!     keep the entries of s_i K_ij above min(t, t_j / a_i)      compress_block
//!     c_j  <- c_j + sum_i (weight of row i) K_ij
//! ```
//! Here s_i is `1 / r_i`, or what makes K_ij the plan of U and G: see [`EntryUnit`]. No dense plan
//! is stored. The sums are those of all entries, kept or not: sparsification must not change the
//! diagonals of a Hessian (Tang & Qiu 2024, "Safe and Sparse Newton Method for
//! Entropic-Regularized Optimal Transport", section 4).
//!
//! To be fast, a block is compressed while it is in the caches. Vectors of unscaled entries list
//! what may be large enough, and only what is listed is scaled and compared.

use super::gibbs::at_most_finite;
use super::potentials::{PotentialsRef, SplitColumns, has_low_part};
use super::sinkhorn_log::{EvaluatedBlock, sum_rows};
use super::tuning::BLOCK_ROWS;
use super::{Band, Problem, of_block, padded};
use crate::kernels::lanes::{Float, IndexLanes, Lanes, list_bits, out_of_line};
use crate::kernels::math::exp::{ExpLanes, exp2};

/// The unit of the entries that are kept.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum EntryUnit {
    /// The share of the mass of the row: `P_ij / a_i`, with the U that meets the row marginals
    /// under the given G.
    RowShare,
    /// The unit of the masses: P_ij, with the given U and G.
    Mass,
}

/// The kept entries of the rows with mass, as compressed sparse rows: those of a row lie between
/// the end of the row before it and its own end, in the order of the columns.
pub struct SparseRows<'a, T> {
    /// The unit of the entries.
    pub(crate) unit: EntryUnit,
    /// Entries up to this number are dropped, unless they are above that of their column.
    pub(crate) threshold: T,
    /// `padded(cols)` numbers: entries up to this number divided by a_i are dropped, unless they
    /// are above [`SparseRows::threshold`].
    pub(crate) column_thresholds: &'a [T],
    /// The ends of the rows with mass in `columns` and `values`.
    pub(crate) row_ends: &'a mut [usize],
    /// The columns of the entries. No row is compressed that begins less than [`BLOCK_ROWS`] times
    /// `padded(cols)` elements before the end: the rows of a block are listed there.
    pub(crate) columns: &'a mut [u32],
    /// The entries; as many as `columns`.
    pub(crate) values: &'a mut [T],
}

/// The rows of a pass: their sums, in [`Band::row_scratch`], and the potentials that they were
/// evaluated with, in [`Band::shifts`]; the sums of the columns, without the factors of the
/// columns; and the large entries. With [`EntryUnit::RowShare`], rows are added to the column sums
/// with their masses made right, and otherwise as they are. Returns whether all rows were
/// compressed.
#[inline(always)]
pub(crate) fn sparse_rows<L: ExpLanes<T> + IndexLanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    columns: SplitColumns<'_, T>,
    band: &mut Band<'_, T>,
    to: &mut SparseRows<'_, T>,
) -> bool {
    let (mut end, mut all) = (0, true);
    let range = threshold_range(&to.column_thresholds[..p.cost.cols()]);
    sum_rows::<L, T, false>(
        l,
        p,
        potentials,
        columns,
        band,
        #[inline(always)]
        |block| {
            let [mut weights, mut sums] = [[0.0; BLOCK_ROWS]; 2];
            let mut scales = [[T::ONE; 2]; BLOCK_ROWS];
            for i in 0..block.len {
                let (at, sum) = (block.first + i, block.totals[i].sum);
                (weights[i], scales[i]) = match to.unit {
                    EntryUnit::RowShare => (p.a[at] / sum, [at_most_finite(1.0 / sum), T::ONE]),
                    EntryUnit::Mass => {
                        let moved = exp2(potentials.u[at] - block.shifts[i]);
                        (p.a[at] * moved, mass_scales(p.total_mass * p.a[at], moved))
                    }
                };
                sums[i] = sum;
            }
            let (to, a) = (&mut *to, of_block(p.a, block.first));
            // Out of line, so that the loop of exponentials has the registers for itself.
            (end, all) = out_of_line!(l, {
                let bounds = RowBounds::of_block(to, range, scales, a);
                all &= compress_block(l, block, &bounds, &mut end, to);
                (end, all)
            });
            [weights, sums, block.shifts]
        },
    );
    all
}

/// The smallest and the largest threshold of the columns.
#[inline(always)]
fn threshold_range<T: Float>(column_thresholds: &[T]) -> [T; 2] {
    let [mut low, mut high] = [column_thresholds[0]; 2];
    for &threshold in column_thresholds {
        low = if threshold < low { threshold } else { low };
        high = if threshold > high { threshold } else { high };
    }
    [low, high]
}

/// Two factors that make an entry of the Gibbs matrix one of the plan: the mass of the row, and
/// what its potential has moved by. If their product overflows `T`, its products with the
/// exponentials may still be finite, so they are applied one after the other.
#[inline(always)]
pub(super) fn mass_scales<T: Float>(mass: f64, moved: f64) -> [T; 2] {
    let (mass, moved) = if mass * moved < -T::MIN.to_f64() { (1.0, mass * moved) } else { (mass, moved) };
    [at_most_finite(moved), T::from_f64(mass)]
}

/// A number that entries of the Gibbs matrix exceed if they exceed 1 as entries of the plan, even
/// without the factors of the columns, which are at least 0.95.
#[inline(always)]
fn loose_bound<T: Float>([moved, mass]: [T; 2]) -> f64 {
    let bound = 0.9 / (moved.to_f64() * mass.to_f64());
    // Both may underflow in turn; all entries may then be large enough.
    if bound < f64::INFINITY { bound } else { 0.0 }
}

/// What a row keeps: entries above the smaller one of two numbers.
#[derive(Clone, Copy)]
struct Bounds<T> {
    /// The number of all columns.
    threshold: T,
    /// The factor of the thresholds of the columns.
    inverse_a: T,
}

impl<T: Float> Bounds<T> {
    /// The bound in a column with this threshold.
    #[inline(always)]
    fn of(self, column_threshold: T) -> T {
        let bound = self.inverse_a * column_threshold;
        if bound < self.threshold { bound } else { self.threshold }
    }
}

/// The scales and the bounds of a row.
#[derive(Clone, Copy)]
struct RowBounds<T> {
    /// The factors of its entries.
    scales: [T; 2],
    /// The bounds of the products.
    exact: Bounds<T>,
    /// Bounds that unscaled entries exceed if their products exceed the exact ones.
    loose: Bounds<T>,
    /// Whether `loose.threshold` is such a bound for all columns.
    is_one: bool,
}

impl<T: Float> RowBounds<T> {
    /// The bounds of a row with these scales and this mass. `range` is that of the thresholds of
    /// the columns.
    #[inline(always)]
    fn new(to: &SparseRows<'_, T>, range: [T; 2], scales: [T; 2], a: f64) -> Self {
        let (unit, inverse_a) = (loose_bound(scales), 1.0 / a);
        let exact = Bounds { threshold: to.threshold, inverse_a: at_most_finite(inverse_a) };
        let threshold = at_most_finite(to.threshold.to_f64() * unit);
        let mut loose = Bounds { threshold, inverse_a: at_most_finite(inverse_a * unit) };
        let [low, high] = [loose.of(range[0]), loose.of(range[1])];
        // Some more columns are listed, and the loop need not load the thresholds.
        let is_one = high <= low + low;
        if is_one {
            loose.threshold = low;
        }
        Self { scales, exact, loose, is_one }
    }

    /// The bounds of the rows of a block.
    #[inline(always)]
    fn of_block(
        to: &SparseRows<'_, T>,
        range: [T; 2],
        scales: [[T; 2]; BLOCK_ROWS],
        a: [f64; BLOCK_ROWS],
    ) -> [Self; BLOCK_ROWS] {
        let mut bounds = [Self::new(to, range, scales[0], a[0]); BLOCK_ROWS];
        for i in 1..BLOCK_ROWS {
            bounds[i] = Self::new(to, range, scales[i], a[i]);
        }
        bounds
    }
}

/// One bit for each of the first `len` (at most 64) columns, the lowest for the first one: whether
/// the entry may be large enough. `row` begins with the first vector of the row in its block.
#[inline(always)]
fn large_bits<L: Lanes<T>, T: Float, const ONE_BOUND: bool>(
    l: L,
    row: &[T],
    column_thresholds: &[T],
    (threshold, inverse_a): (L::V, L::V),
    len: usize,
) -> u64 {
    let mut bits = 0;
    let (row, column_thresholds) = (&row[..BLOCK_ROWS * (len - L::N) + L::N], &column_thresholds[..len]);
    for at in (0..len).step_by(L::N) {
        let mut bound = threshold;
        if !ONE_BOUND {
            bound = l.min(l.mul(inverse_a, l.load(&column_thresholds[at..])), bound);
        }
        bits |= l.bits(l.lt(bound, l.load(&row[BLOCK_ROWS * at..]))) << at;
    }
    bits
}

/// Lists the columns whose unscaled entries may be large enough, without branches, which the CPU
/// would predict badly. The columns of a row begin `stride` elements after those of the row before
/// it. Returns their numbers.
#[inline(always)]
fn list_large<L: IndexLanes<T>, T: Float, const ONE_BOUND: bool>(
    l: L,
    entries: &[T],
    column_thresholds: &[T],
    bounds: &[RowBounds<T>; BLOCK_ROWS],
    (columns, stride): (&mut [u32], usize),
) -> [usize; BLOCK_ROWS] {
    let zero = l.splat(T::ZERO);
    let (mut listed, mut vectors) = ([0; BLOCK_ROWS], [(zero, zero); BLOCK_ROWS]);
    for (vectors, bounds) in vectors.iter_mut().zip(bounds) {
        *vectors = (l.splat(bounds.loose.threshold), l.splat(bounds.loose.inverse_a));
    }
    let cols = entries.len() / BLOCK_ROWS;
    if L::IS_SCALAR {
        // Words of single entries would take more instructions.
        for (i, listed) in listed.iter_mut().enumerate() {
            let list = &mut columns[i * stride..][..cols];
            for (j, (entries, threshold)) in entries.chunks_exact(BLOCK_ROWS).zip(column_thresholds).enumerate() {
                let bound = if ONE_BOUND { bounds[i].loose.threshold } else { bounds[i].loose.of(*threshold) };
                list[*listed] = j as u32;
                *listed += usize::from(bound < entries[i]);
            }
        }
        return listed;
    }
    for first in (0..cols).step_by(64) {
        let thresholds = &column_thresholds[first..];
        for i in 0..BLOCK_ROWS {
            let (row, list) = (&entries[BLOCK_ROWS * first + i * L::N..], &mut columns[i * stride + listed[i]..]);
            // Row by row: of the words of four rows the compiler would make vectors.
            let bits = match cols - first {
                64.. => large_bits::<L, T, ONE_BOUND>(l, row, thresholds, vectors[i], 64),
                rest => large_bits::<L, T, ONE_BOUND>(l, row, thresholds, vectors[i], rest),
            };
            listed[i] += list_bits(bits, first as u32, list);
        }
    }
    listed
}

/// Appends the entries of a block that are large enough. Returns whether there was room.
#[inline(always)]
fn compress_block<L: IndexLanes<T>, T: Float>(
    l: L,
    block: &EvaluatedBlock<'_, T>,
    bounds: &[RowBounds<T>; BLOCK_ROWS],
    end: &mut usize,
    to: &mut SparseRows<'_, T>,
) -> bool {
    let (gibbs, cols) = (block.gibbs, block.gibbs.len() / BLOCK_ROWS);
    let stride = padded(cols);
    let columns = &mut to.columns[*end..];
    let values = &mut to.values[*end..][..columns.len()];
    let row_ends = &mut to.row_ends[block.first..][..block.len];
    if columns.len() < BLOCK_ROWS * stride {
        row_ends.fill(*end);
        return false;
    }
    let (thresholds, factors) = (&to.column_thresholds[..cols], &block.factors[..cols]);
    let is_one = bounds.iter().all(
        #[inline(always)]
        |bounds| bounds.is_one,
    );
    let listed = if is_one {
        list_large::<L, T, true>(l, gibbs, thresholds, bounds, (columns, stride))
    } else {
        list_large::<L, T, false>(l, gibbs, thresholds, bounds, (columns, stride))
    };
    // A row ends before its list does, so that it takes the place of lists that have been read.
    let (mut count, mut all) = (0, true);
    for (i, row_end) in row_ends.iter_mut().enumerate() {
        all &= columns.len() - count >= BLOCK_ROWS * stride;
        let RowBounds { scales, exact, .. } = bounds[i];
        let row = &gibbs[i * L::N..];
        for at in i * stride..i * stride + listed[i] {
            let j = columns[at] as usize;
            let entry = row[(j & !(L::N - 1)) * BLOCK_ROWS + (j & (L::N - 1))];
            // As in `plan_rows`: the values are the same. The factors of `f64` are 1.
            let entry = if has_low_part::<T>() { entry * factors[j] } else { entry };
            let entry = scales[0] * entry * scales[1];
            (columns[count], values[count]) = (j as u32, entry);
            count += usize::from(exact.of(thresholds[j]) < entry);
        }
        *row_end = *end + count;
    }
    *end += count;
    all
}
