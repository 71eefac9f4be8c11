//! Which rows of a distributed matrix a rank holds.

use crate::Reduce;
use crate::kernels::medoids::tuning::SCAN_ROWS;

/// The rows of an n x n matrix that each rank holds: blocks of [`SCAN_ROWS`] rows, dealt to the
/// ranks in turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    rank: usize,
    ranks: usize,
}

impl Layout {
    /// The layout of a single rank, which holds all rows.
    pub(super) const ONE: Self = Self { rank: 0, ranks: 1 };

    /// Returns the layout of the ranks of a reduction.
    pub(super) fn of(reduce: &dyn Reduce) -> Self {
        Self { rank: reduce.rank(), ranks: reduce.ranks() }
    }

    /// Returns the rows that this rank holds.
    pub(super) fn rows(self, n: usize) -> impl Iterator<Item = usize> {
        rows_of_rank(n, self.rank, self.ranks)
    }

    /// Returns whether a single rank holds all rows.
    #[inline(always)]
    pub(super) fn is_one(self) -> bool {
        self.ranks == 1
    }

    /// Returns the index of a row among those that this rank holds, if it does.
    pub(super) fn local_row(self, row: usize) -> Option<usize> {
        let block = row / SCAN_ROWS;
        (block % self.ranks == self.rank).then(|| block / self.ranks * SCAN_ROWS + row % SCAN_ROWS)
    }
}

/// Returns the rows of an n x n matrix that a rank passes to
/// [`KMedoids::fit_distributed`](crate::KMedoids::fit_distributed), in their order: blocks of 8
/// neighboring rows, dealt to the ranks in turn (block-cyclic).
///
/// ```
/// use mantex::medoids::rows_of_rank;
/// assert!(rows_of_rank(21, 0, 2).eq((0..8).chain(16..21)));
/// assert!(rows_of_rank(21, 1, 2).eq(8..16));
/// ```
pub fn rows_of_rank(n: usize, rank: usize, ranks: usize) -> impl Iterator<Item = usize> {
    let blocks = (0..n.div_ceil(SCAN_ROWS)).skip(rank).step_by(ranks.max(1));
    blocks.flat_map(move |block| block * SCAN_ROWS..n.min((block + 1) * SCAN_ROWS))
}
