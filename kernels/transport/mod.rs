//! Entropic optimal transport: Sinkhorn's iteration in three forms, the plan, and the values of a
//! solution.
//!
//! For costs C and masses a and b, the plan P minimizes `<C, P> + epsilon * sum P (ln P - 1)` under
//! `P 1 = a` and `P^T 1 = b`. It is `P_ij = exp((f_i + g_j - C_ij) / epsilon)` for potentials f and
//! g. Sinkhorn's iteration makes the row sums of P right by f, then its column sums by g (Cuturi
//! 2013). Schmitzer 2019 gives its stabilized forms.
//!
//! Kernels use base-2 units: `eta = log2(e) / epsilon`, `U_i = eta f_i - log2(a_i)`,
//! `G_j = eta g_j`. The Gibbs matrix is `K_ij = 2^(U_i + G_j - eta C_ij)`, and `P_ij = a_i K_ij`.
//! One iteration:
//! ```text
//! for each block of rows:                        one read of C, one exponential per entry
//!     K_ij <- 2^(U_i + G_j - eta C_ij)           gibbs_rows
//!     r_i  <- sum_j K_ij
//!     U_i  <- U_i - log2(r_i)                    now the row sums of P are a
//!     c_j  <- c_j + sum_i (a_i / r_i) K_ij       in gibbs_rows of the next block
//! G_j <- G_j + log2(b_j) - log2(c_j)             now its column sums are b
//! ```
//!
//! | type | what it is |
//! |---|---|
//! | [`Problem`] | the constants of a solve: costs, masses, eta |
//! | [`PotentialsRef`], [`PotentialsMut`] | U and G, to read or to update |
//! | [`Workspace`] | the memory of one pass over the cost matrix |
//! | [`ScaledGibbs`] | a stored K and the scalings of its rows and columns |
//! | [`SparseRows`] | the large entries of the plan |
//! | [`GibbsBlocks`], [`LaneArrays`] | a stored K and many problems on it, one per lane |
//! | `ScoreRows`, `ScoreLists` | the large `g_j - C_ij`, for sparse transport |
//!
//! [`PotentialsRef`]: potentials::PotentialsRef
//! [`PotentialsMut`]: potentials::PotentialsMut
//! [`ScaledGibbs`]: sinkhorn_scaling::ScaledGibbs
//! [`SparseRows`]: sparse_rows::SparseRows
//! [`GibbsBlocks`]: sinkhorn_batch::GibbsBlocks
//! [`LaneArrays`]: sinkhorn_batch::LaneArrays
//!
//! Deviations, 1, 4, 5 and 6 to be fast, 2 and 3 to be accurate:
//! 1. One read per iteration. The textbook reads C for the rows and again for the columns. Here a
//!    block of rows of K stays in the caches until it is added to the column sums, in the loop that
//!    evaluates the next block: loads and additions fill the gaps between exponentials.
//! 2. U and G are `f64` for both element types. An `f32` kernel takes U_i and the leading part of
//!    G_j as multiples of a common quantum, a power of two so coarse that their sum is exact. The
//!    error of `U_i + G_high - eta C_ij` is then relative to the small result and not to the large
//!    terms. Rounding U_i costs nothing, because every row is normalized anyway. `2^G_low` is a
//!    factor of the column, which row sums take as they add, and column sums at the end. Potentials
//!    with a quantum above [`tuning::MAX_QUANTUM`] add G_low to the arguments, in slower loops.
//! 3. Rows and columns are stabilized on demand. A row whose sum leaves [`gibbs::row_range`] is
//!    evaluated again relative to its own maximum, and a column whose sum underflows is summed
//!    again relative to its maximum, in `f64`. Both are rare after the first iterations.
//! 4. Scaling ([`sinkhorn_scaling`]) stores K once and moves the potentials by factors of its rows
//!    and columns: no exponentials, one read of K. Entries of K that underflow are negligible while
//!    factors and sums stay within [`gibbs::row_range`] and [`gibbs::column_floor`]. Otherwise the
//!    iteration is refused and the solver returns to potentials.
//! 5. Over-relaxation ([`potentials::Relaxation`]) is decided for each row and column, so that the
//!    dual value never falls.
//! 6. The matrix is prefetched a block ahead, short rows [`tuning::PREFETCH_BYTES`] ahead, and rows
//!    whose next block would leave the caches again within themselves.
//!
//! Order of sums. The rows with mass form bands of [`tuning::FLUSH_ROWS`]. The columns of a band
//! are summed in `T` from 0, block by block, and the sums are added in `f64`, in the order of the
//! bands. A row sum is made of parts of [`tuning::FLUSH_VECTORS`] vectors. So the bits depend on
//! the shape, the type and the instruction set only, and any thread may sum a band. An iteration
//! is one kernel for the columns before the pass, one for the rows, which threads call for parts of
//! the rows, and one for the updates after it.

pub(crate) mod costs;
pub(crate) mod gibbs;
pub(crate) mod objective;
pub(crate) mod plan;
pub(crate) mod potentials;
#[cfg(feature = "sparse-transport")]
pub(crate) mod scores;
pub(crate) mod sinkhorn_batch;
pub(crate) mod sinkhorn_log;
pub(crate) mod sinkhorn_scaling;
pub(crate) mod sparse_rows;
pub(crate) mod tuning;

use super::lanes::MAX_LANES;
use crate::matrix::MatRef;
use core::ops::Range;
use tuning::{BLOCK_ROWS, FLUSH_ROWS, MAX_PREFETCHED_BLOCK_BYTES, PREFETCH_BYTES};

/// The constants of a solve. Masses are divided by the total of `a`.
#[derive(Clone, Copy)]
pub struct Problem<'a, T> {
    /// The cost matrix.
    pub(crate) cost: MatRef<'a, T>,
    /// log2(e) / epsilon.
    pub(crate) eta: T,
    /// The total of `a` before the division.
    pub(crate) total_mass: f64,
    /// The indices of the rows with mass, in order.
    pub(crate) support: &'a [usize],
    /// The masses of the rows in `support`.
    pub(crate) a: &'a [f64],
    /// The logarithms of `a` to base 2.
    pub(crate) log2_a: &'a [f64],
    /// The masses of all columns; some may be 0.
    pub(crate) b: &'a [f64],
    /// The logarithms of `b` to base 2.
    pub(crate) log2_b: &'a [f64],
}

impl<'a, T: Copy> Problem<'a, T> {
    /// Some of the rows with mass, as a problem of their own.
    #[inline(always)]
    pub(crate) fn rows(&self, rows: Range<usize>) -> Self {
        let (support, a) = (&self.support[rows.clone()], &self.a[rows.clone()]);
        Self { support, a, log2_a: &self.log2_a[rows], ..*self }
    }

    /// The rows of a block, of those with mass. A block that is not whole repeats the last row.
    #[inline(always)]
    fn block_rows(&self, first: usize) -> [&'a [T]; BLOCK_ROWS] {
        let mut rows: [&[T]; BLOCK_ROWS] = [&[]; BLOCK_ROWS];
        for (row, i) in rows.iter_mut().zip(of_block(self.support, first)) {
            *row = self.cost.row(i);
        }
        rows
    }

    /// The distance from an entry to the one that is prefetched with it, in elements: the next
    /// block of rows, or a later one if rows are short, or the same row if rows are so long that
    /// the next block would leave the caches again.
    #[inline(always)]
    fn prefetch_distance(&self) -> usize {
        let block_bytes = BLOCK_ROWS * self.cost.cols() * size_of::<T>();
        if block_bytes > MAX_PREFETCHED_BLOCK_BYTES {
            return PREFETCH_BYTES / BLOCK_ROWS / size_of::<T>();
        }
        // A single row may have a stride of any size.
        self.cost.row_stride().wrapping_mul(BLOCK_ROWS * (PREFETCH_BYTES / block_bytes).max(1))
    }
}

/// The numbers of the rows of a block, given those of all rows. A block that is not whole repeats
/// the last one.
#[inline(always)]
fn of_block<N: Copy>(numbers: &[N], first: usize) -> [N; BLOCK_ROWS] {
    let numbers = &numbers[first..];
    if let Some(whole) = numbers.first_chunk() {
        return *whole;
    }
    let mut repeated = [numbers[numbers.len() - 1]; BLOCK_ROWS];
    for (to, number) in repeated.iter_mut().zip(numbers) {
        *to = *number;
    }
    repeated
}

/// Writes the first `len` numbers of a block to those of all rows. Without `copy_from_slice`: calls
/// of `memcpy` would spill the vectors of all constants.
#[inline(always)]
fn put_block(to: &mut [f64], first: usize, len: usize, numbers: [f64; BLOCK_ROWS]) {
    let to = &mut to[first..];
    match to.first_chunk_mut() {
        Some(whole) if len == BLOCK_ROWS => *whole = numbers,
        _ => {
            for (to, number) in to.iter_mut().zip(numbers).take(len) {
                *to = number;
            }
        }
    }
}

/// Memory for one pass over the cost matrix. Its contents do not matter before and after.
pub struct Workspace<'a, T> {
    /// `padded(cols)` numbers: the high part of G, or the column scalings.
    pub(crate) column_scratch: &'a mut [T],
    /// `padded(cols)` numbers: the low part of G, if it is not a factor.
    pub(crate) g_low: &'a mut [T],
    /// `padded(cols)` numbers: the low part of G as factors.
    pub(crate) g_factors: &'a mut [T],
    /// What all rows write.
    pub(crate) band: Band<'a, T>,
    /// `cols` indices: the columns whose sum is not accurate.
    pub(crate) unstable: &'a mut [usize],
    /// `cols` numbers: logarithms, new scalings, or maxima.
    pub(crate) wide_column_scratch: &'a mut [f64],
}

/// Memory for the rows of a pass, or for some of them, which one thread takes.
pub struct Band<'a, T> {
    /// [`gibbs_block_len`] numbers: a block of rows of the Gibbs matrix, whose vectors take turns.
    pub(crate) gibbs: &'a mut [T],
    /// `padded(cols)` numbers: the column sums since they were last added to `column_sums`.
    pub(crate) partial_sums: &'a mut [T],
    /// `cols` numbers: the column sums of all bands; or as many for each band of
    /// [`tuning::FLUSH_ROWS`] rows, to be added later.
    pub(crate) column_sums: &'a mut [f64],
    /// One number per row with mass: the potential with which its row of the Gibbs matrix was
    /// evaluated, or the cost or the error of the row.
    pub(crate) shifts: &'a mut [f64],
    /// One number per row with mass: sums, their logarithms, new scalings, or errors.
    pub(crate) row_scratch: &'a mut [f64],
}

/// The column sums of the band whose last row is before row `end`: [`Band::column_sums`] of `cols`
/// columns.
#[inline(always)]
fn band_sums(column_sums: &mut [f64], cols: usize, end: usize) -> &mut [f64] {
    if column_sums.len() == cols { column_sums } else { &mut column_sums[(end - 1) / FLUSH_ROWS * cols..][..cols] }
}

/// The ranks that hold the other rows of a problem. A single process has none, and exchanges
/// nothing.
pub trait Exchange {
    /// Replaces the sums of columns, and other numbers, by their sums over all ranks, and `maxima`
    /// by the largest on any rank, where NaN counts as +inf. That is one reduction.
    fn reduce(&mut self, column_sums: &mut [f64], sums: &mut [f64], maxima: &mut [f64]);

    /// Replaces each number by the largest on any rank. NaN counts as +inf.
    fn reduce_max(&mut self, numbers: &mut [f64]);
}

/// The marginal error and the cost of a plan, for masses divided by their total.
#[derive(Clone, Copy, Debug)]
pub struct PlanSummary {
    /// The L1 error of both marginals.
    pub(crate) error: f64,
    /// `sum C P`.
    pub(crate) cost: f64,
}

/// `cols` rounded up so that a buffer of that length holds whole vectors of every instruction set.
pub(crate) fn padded(cols: usize) -> usize {
    cols.next_multiple_of(MAX_LANES)
}

/// The number of elements that [`Workspace::gibbs`] needs.
pub(crate) fn gibbs_block_len(cols: usize) -> usize {
    BLOCK_ROWS * padded(cols)
}
