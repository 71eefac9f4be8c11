//! The large entries of rows of the plan, compressed in the read of the cost matrix that sums rows
//! and columns.
//!
//! ```text
//! for each block of rows:                        one read of C, one exponential per entry
//!     K_ij <- 2^(U_i + G_j - eta C_ij)           gibbs_rows
//!     r_i  <- sum_j K_ij
//!     keep the entries of s_i K_ij above min(t, t_j / a_i)      compress_row
//!     c_j  <- c_j + sum_i (weight of row i) K_ij
//! ```
//! Here s_i is `1 / r_i`, or what makes K_ij the plan of U and G: see [`EntryUnit`]. No dense plan
//! is stored. The sums are those of all entries, kept or not: sparsification must not change the
//! diagonals of a Hessian (Tang & Qiu 2024, "Safe and Sparse Newton Method for
//! Entropic-Regularized Optimal Transport", section 4).
//!
//! To be fast, a row is compressed while it is in the caches. Vectors of unscaled entries list what
//! may be large enough, and only what is listed is scaled and compared.

use super::gibbs::at_most_finite;
use super::potentials::{PotentialsRef, SplitColumns};
use super::sinkhorn_log::{EvaluatedBlock, sum_rows};
use super::tuning::BLOCK_ROWS;
use super::{Band, Problem};
use crate::kernels::lanes::{Float, IndexLanes};
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
    /// The columns of the entries. No row is compressed that begins less than `padded(cols)`
    /// elements before the end.
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
    sum_rows::<L, T, false>(
        l,
        p,
        potentials,
        columns,
        band,
        #[inline(always)]
        |block| {
            let [mut weights, mut sums] = [[0.0; BLOCK_ROWS]; 2];
            for i in 0..block.len {
                let (at, sum) = (block.first + i, block.totals[i].sum);
                let (weight, scales) = match to.unit {
                    EntryUnit::RowShare => (p.a[at] / sum, [at_most_finite(1.0 / sum), T::ONE]),
                    EntryUnit::Mass => {
                        let moved = exp2(potentials.u[at] - block.shifts[i]);
                        (p.a[at] * moved, mass_scales(p.total_mass * p.a[at], moved))
                    }
                };
                (weights[i], sums[i]) = (weight, sum);
                all &= compress_row(l, block, i, scales, 1.0 / p.a[at], &mut end, to);
                to.row_ends[at] = end;
            }
            [weights, sums, block.shifts]
        },
    );
    all
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

/// Appends the entries of row `i` of a block, times both `scales`, that are above the thresholds.
/// Returns whether there was room. A first loop lists the columns whose unscaled entries may be
/// large enough, without branches, which the CPU would predict badly: a kept entry in an eighth of
/// the vectors is usual.
#[inline(always)]
fn compress_row<L: IndexLanes<T>, T: Float>(
    l: L,
    block: &EvaluatedBlock<'_, T>,
    i: usize,
    scales: [T; 2],
    inverse_a: f64,
    end: &mut usize,
    to: &mut SparseRows<'_, T>,
) -> bool {
    let (columns, values) = (&mut to.columns[*end..], &mut to.values[*end..]);
    if columns.len() < block.gibbs.len() / BLOCK_ROWS {
        return false;
    }
    let bound = loose_bound(scales);
    let loose_threshold = l.splat(at_most_finite(to.threshold.to_f64() * bound));
    let loose_inverse_a = l.splat(at_most_finite(inverse_a * bound));
    let mut listed = 0;
    let rows = block.gibbs.chunks_exact(BLOCK_ROWS * L::N).zip(to.column_thresholds.chunks_exact(L::N));
    for (at, (entries, thresholds)) in rows.enumerate() {
        let bound = l.min(l.mul(loose_inverse_a, l.load(thresholds)), loose_threshold);
        let may = l.lt(bound, l.load(&entries[i * L::N..]));
        listed += l.compress_indices(may, (at * L::N) as u32, &mut columns[listed..]);
    }
    let (inverse_a, mut count) = (at_most_finite::<T>(inverse_a), 0);
    for at in 0..listed {
        let j = columns[at] as usize;
        let entry = block.gibbs[(j / L::N * BLOCK_ROWS + i) * L::N + j % L::N];
        // As in `plan_rows`: the values are the same.
        let entry = scales[0] * (entry * block.factors[j]) * scales[1];
        let threshold = inverse_a * to.column_thresholds[j];
        let threshold = if threshold < to.threshold { threshold } else { to.threshold };
        (columns[count], values[count]) = (j as u32, entry);
        count += usize::from(threshold < entry);
    }
    *end += count;
    true
}
