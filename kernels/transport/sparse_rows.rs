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
//! To be fast, a row is compressed while it is in the caches, by vectors, most of which keep
//! nothing: 1.12 times the time of a log iteration if 2% of the entries are kept.

use super::gibbs::at_most_finite;
use super::potentials::{PotentialsRef, SplitColumns};
use super::sinkhorn_log::{EvaluatedBlock, sum_rows};
use super::tuning::BLOCK_ROWS;
use super::{Band, Problem};
use crate::kernels::lanes::{Float, IndexLanes, out_of_line};
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
                all &= compress_row(l, block, i, scales, at_most_finite(1.0 / p.a[at]), &mut end, to);
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

/// Appends the entries of row `i` of a block, times both `scales`, that are above the thresholds,
/// out of line. Returns whether there was room.
#[inline(always)]
fn compress_row<L: IndexLanes<T>, T: Float>(
    l: L,
    block: &EvaluatedBlock<'_, T>,
    i: usize,
    scales: [T; 2],
    inverse_a: T,
    end: &mut usize,
    to: &mut SparseRows<'_, T>,
) -> bool {
    out_of_line!(l, {
        let (columns, values) = (&mut to.columns[*end..], &mut to.values[*end..]);
        let [scale, mass] = [l.splat(scales[0]), l.splat(scales[1])];
        let (threshold, inverse_a) = (l.splat(to.threshold), l.splat(inverse_a));
        let vectors = block.gibbs.len() / (BLOCK_ROWS * L::N);
        if columns.len() < vectors * L::N {
            return false;
        }
        let mut count = 0;
        let of_columns = block.factors.chunks_exact(L::N).zip(to.column_thresholds.chunks_exact(L::N));
        for (at, (entries, (factors, thresholds))) in
            block.gibbs.chunks_exact(BLOCK_ROWS * L::N).zip(of_columns).enumerate()
        {
            // As in `plan_rows`: the values are the same.
            let entry = l.mul(l.load(&entries[i * L::N..]), l.load(factors));
            let entry = l.mul(l.mul(scale, entry), mass);
            let kept = l.lt(l.min(l.mul(inverse_a, l.load(thresholds)), threshold), entry);
            if l.count(kept) > 0 {
                let first = at * L::N;
                let kept = l.compress_indices(kept, first as u32, &mut columns[count..]);
                let entries = l.to_array(entry);
                for (value, &j) in values[count..].iter_mut().zip(&columns[count..][..kept]) {
                    *value = entries[j as usize - first];
                }
                count += kept;
            }
        }
        *end += count;
        true
    })
}
