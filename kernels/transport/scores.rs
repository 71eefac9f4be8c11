//! Scores `s_ij = g_j - C_ij` of the rows of a transport problem: the large ones as lists.
//!
//! Sparse transport fills the largest scores of each row down to a level ([`super`] has the dense
//! plans). With a lower bound of that level, one read of the cost matrix finds all scores above it:
//! ```text
//! for each row i:                                    one read of C
//!     list the columns j with g_j - C_ij > bound_i   list_scores
//! ```
//! The caller computes the level from the listed scores in `f64`. So vectors only choose what is
//! listed, and the rounding errors of `T` need not matter: bounds are lowered by as much.
//!
//! To be fast, four vectors are compared at once. Usually a few entries of a row are listed, and
//! the branch for them is seldom taken.

use crate::kernels::lanes::{Float, IndexLanes, Lanes, MAX_LANES};
use crate::matrix::MatRef;

/// The vectors that are compared with a bound at once.
const VECTORS: usize = 4;

/// Rows of a problem, and the potentials of its columns.
#[derive(Clone, Copy)]
pub struct ScoreRows<'a, T> {
    /// The cost matrix.
    pub(crate) cost: MatRef<'a, T>,
    /// The indices of the rows.
    pub(crate) support: &'a [usize],
    /// `padded(cols)` numbers: the potentials of the columns; -inf without mass, and in the
    /// padding.
    pub(crate) g: &'a [T],
}

/// The listed scores of rows: those of a row lie between the end of the row before it and its own
/// end, in the order of the columns.
pub struct ScoreLists<'a, T> {
    /// The ends of the rows in `columns` and `costs`.
    pub(crate) ends: &'a mut [usize],
    /// The columns: [`lists_len`] elements.
    pub(crate) columns: &'a mut [u32],
    /// The costs; as many as `columns`.
    pub(crate) costs: &'a mut [T],
}

/// The number of elements that the lists of `rows` rows need. Vectors write past the end of a list.
pub(crate) fn lists_len(rows: usize, cols: usize) -> usize {
    rows * cols + MAX_LANES
}

/// The scores of [`VECTORS`] vectors from column `at` on.
#[inline(always)]
fn scores<L: Lanes<T>, T: Float>(l: L, row: &[T], g: &[T], at: usize) -> [L::V; VECTORS] {
    let mut scores = [l.splat(T::NEG_INFINITY); VECTORS];
    for (i, score) in scores.iter_mut().enumerate() {
        let at = at + i * L::N;
        *score = l.sub(l.load(&g[at..]), l.load(&row[at..]));
    }
    scores
}

/// Computes the largest score of each row.
#[inline(always)]
pub(crate) fn largest_scores<L: Lanes<T>, T: Float>(l: L, rows: &ScoreRows<'_, T>, maxima: &mut [T]) {
    for (&i, maximum) in rows.support.iter().zip(maxima) {
        let row = rows.cost.row(i);
        let mut lanes = [l.splat(T::NEG_INFINITY); VECTORS];
        let mut at = 0;
        while at + VECTORS * L::N <= row.len() {
            for (lane, score) in lanes.iter_mut().zip(scores(l, row, rows.g, at)) {
                *lane = l.max(score, *lane);
            }
            at += VECTORS * L::N;
        }
        let mut turn = 0;
        while at < row.len() {
            let score = l.sub(l.load(&rows.g[at..]), l.load_up_to(&row[at..], T::INFINITY));
            lanes[turn] = l.max(score, lanes[turn]);
            (at, turn) = (at + L::N, turn + 1);
        }
        let all = l.max(l.max(lanes[0], lanes[1]), l.max(lanes[2], lanes[3]));
        *maximum = l.reduce_max(all);
    }
}

/// Lists the scores of each row that are above its bound.
#[inline(always)]
pub(crate) fn list_scores<L: IndexLanes<T>, T: Float>(
    l: L,
    rows: &ScoreRows<'_, T>,
    bounds: &[T],
    to: &mut ScoreLists<'_, T>,
) {
    let mut end = 0;
    for ((&i, &bound), row_end) in rows.support.iter().zip(bounds).zip(&mut *to.ends) {
        let (row, start) = (rows.cost.row(i), end);
        let bound = l.splat(bound);
        let mut at = 0;
        while at + VECTORS * L::N <= row.len() {
            let scores = scores(l, row, rows.g, at);
            let largest = l.max(l.max(scores[0], scores[1]), l.max(scores[2], scores[3]));
            if l.count(l.lt(bound, largest)) > 0 {
                for (k, &score) in scores.iter().enumerate() {
                    let first = (at + k * L::N) as u32;
                    end += l.compress_indices(l.lt(bound, score), first, &mut to.columns[end..]);
                }
            }
            at += VECTORS * L::N;
        }
        while at < row.len() {
            let score = l.sub(l.load(&rows.g[at..]), l.load_up_to(&row[at..], T::INFINITY));
            end += l.compress_indices(l.lt(bound, score), at as u32, &mut to.columns[end..]);
            at += L::N;
        }
        for (cost, &j) in to.costs[start..end].iter_mut().zip(&to.columns[start..end]) {
            *cost = row[j as usize];
        }
        *row_end = end;
    }
}

/// Computes for each column the potential above which it has a score above the level of a row: the
/// smallest `C_ij + level_i`. `out` has `padded(cols)` elements.
#[inline(always)]
pub(crate) fn entry_potentials<L: Lanes<T>, T: Float>(
    l: L,
    cost: MatRef<'_, T>,
    support: &[usize],
    levels: &[T],
    out: &mut [T],
) {
    out.fill(T::INFINITY);
    for (&i, &level) in support.iter().zip(levels) {
        let (row, level) = (cost.row(i), l.splat(level));
        let mut at = 0;
        while at < row.len() {
            let entry = l.add(l.load_up_to(&row[at..], T::INFINITY), level);
            let smallest = l.min(entry, l.load(&out[at..]));
            l.store(&mut out[at..], smallest);
            at += L::N;
        }
    }
}
