//! The schedule of larger epsilons before the requested one.

use super::ranks::Ranks;
use crate::Real;
use crate::kernels::transport::tuning::SAMPLED_ROWS;
use crate::kernels::transport::{Exchange as _, Problem};
use crate::real::Element;
use alloc::vec;

/// The schedule of epsilons of [`Sinkhorn`](super::Sinkhorn). Problems with larger epsilons are
/// solved roughly first, and each passes its potentials on to the next (Schmitzer 2019, section
/// 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum EpsilonScaling {
    /// A schedule if epsilon is small relative to the costs and the first iterations are slow. None
    /// after a [warm start](super::Sinkhorn::warm_start).
    #[default]
    Auto,
    /// No schedule: only the requested epsilon.
    Off,
    /// Epsilons from a quarter of the range of the costs down to the requested one. Each is the
    /// last one divided by this factor, which must be above 1 and is usually from 2 to 10. The
    /// range is that of [`Auto`](Self::Auto): of some rows, relative to the smallest costs of rows
    /// and columns, and without costs that are 1000 times larger than all others, which stand for
    /// forbidden pairs.
    Factor(#[cfg_attr(feature = "serde", serde(deserialize_with = "crate::serialized::above_1"))] f64),
}

/// The number of empty binades above which costs are taken to stand for forbidden pairs.
const GAP: usize = 10;

/// Returns the range of the costs between rows and columns with mass: the largest of some rows,
/// relative to the smallest of the row and then of the column among these rows. Costs above a gap
/// of [`GAP`] binades do not count, nor do costs below a 16th of `epsilon`.
pub(super) fn cost_range<'a, T: Real>(problem: &Problem<'a, T>, epsilon: f64, ranks: &mut Ranks<'_>) -> f64 {
    let (own, all_rows) = ranks.rows();
    let step = all_rows.max(problem.support.len()).div_ceil(SAMPLED_ROWS).max(1);
    // Every `step`-th one of all rows.
    let first = own.start.next_multiple_of(step) - own.start;
    let rows = || problem.support.iter().skip(first).step_by(step).map(|&i| problem.cost.row(i));
    // The finite costs of a row in columns with mass, relative to the smallest, with their columns.
    let permitted = |row| {
        let costs = |row: &'a [T]| {
            let costs = row.iter().zip(problem.b).enumerate().filter(|(_, (c, b))| **b > 0.0 && **c < T::infinity());
            costs.map(|(j, (c, _))| (j, c.to_f64()))
        };
        let min = costs(row).fold(f64::INFINITY, |min, (_, c)| min.min(c));
        costs(row).map(move |(j, c)| (j, c - min))
    };
    let mut column_minima = vec![f64::INFINITY; problem.b.len()];
    for row in rows() {
        for (j, c) in permitted(row) {
            column_minima[j] = column_minima[j].min(c);
        }
    }
    ranks.min(&mut column_minima);
    // The largest reduced cost of each binade.
    let mut binades = vec![0.0_f64; 1 << 11];
    for row in rows() {
        for (j, c) in permitted(row) {
            let reduced = c - column_minima[j];
            if reduced.is_finite() && reduced > epsilon / 16.0 {
                let binade = &mut binades[(reduced.to_bits() >> 52) as usize];
                *binade = binade.max(reduced);
            }
        }
    }
    ranks.reduce_max(&mut binades);
    let mut range = 0.0;
    let mut last = None;
    for (at, &largest) in binades.iter().enumerate().filter(|(_, largest)| **largest > 0.0) {
        if last.is_some_and(|last| at - last > GAP) {
            break;
        }
        (range, last) = (largest, Some(at));
    }
    range
}
