//! Sums over the members of clusters.

use super::tuning::MEMBER_ROWS;
use crate::kernels::lanes::{Float, Lanes, WideLanes};
use crate::matrix::MatRef;

/// Writes for each member the sum of its dissimilarities to all members, each times the weight of
/// the other member unless `weights` is empty.
///
/// The columns of members are scattered. Scalar loads are as fast as gathers, because the CPU
/// overlaps many of them.
#[inline(always)]
pub(crate) fn member_losses<L: Lanes<T>, T: Float>(
    _: L,
    d: MatRef<'_, T>,
    members: &[u32],
    weights: &[T],
    losses: &mut [f64],
) {
    for (loss, &c) in losses.iter_mut().zip(members) {
        let row = d.row(c as usize);
        // Four accumulators hide the latency of an addition.
        let mut sums = [0.0; 4];
        for objects in members.chunks(4) {
            for (sum, &o) in sums.iter_mut().zip(objects) {
                let o = o as usize;
                let weight = if weights.is_empty() { 1.0 } else { weights[o].to_f64() };
                *sum += weight * row[o].to_f64();
            }
        }
        *loss = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }
}

/// Adds the elements of the rows of `R` objects to `sums`, whose length is a multiple of the number
/// of lanes; each row times the weight of its object if there are weights.
#[inline(always)]
fn add_member_rows<L: WideLanes<T>, T: Float, const R: usize, const WEIGHTED: bool>(
    l: L,
    rows: [&[T]; R],
    weights: [T; R],
    sums: &mut [f64],
) {
    for at in (0..sums.len()).step_by(L::N) {
        let mut sum = l.load_wide(&sums[at..]);
        for r in 0..R {
            let mut terms = l.widen(l.load_up_to(&rows[r][at..], T::ZERO));
            if WEIGHTED {
                terms = l.mul_wide(terms, l.widen(l.splat(weights[r])));
            }
            sum = l.add_wide(sum, terms);
        }
        l.store_wide(&mut sums[at..], sum);
    }
}

/// [`add_rows`], compiled with and without weights.
#[inline(always)]
fn add_rows_generic<L: WideLanes<T>, T: Float, const WEIGHTED: bool>(
    l: L,
    d: MatRef<'_, T>,
    rows: &[u32],
    weights: &[T],
    columns: (usize, usize),
    sums: &mut [f64],
) {
    let sums = &mut sums[..(columns.1 - columns.0).next_multiple_of(L::N)];
    let mut at = 0;
    while rows.len() - at >= MEMBER_ROWS {
        let mut parts = [&d.row(rows[at] as usize)[columns.0..columns.1]; MEMBER_ROWS];
        let mut factors = [T::ONE; MEMBER_ROWS];
        for r in 0..MEMBER_ROWS {
            let row = rows[at + r] as usize;
            parts[r] = &d.row(row)[columns.0..columns.1];
            if WEIGHTED {
                factors[r] = weights[row];
            }
        }
        add_member_rows::<L, T, MEMBER_ROWS, WEIGHTED>(l, parts, factors, sums);
        at += MEMBER_ROWS;
    }
    for &row in &rows[at..] {
        let row = row as usize;
        let factor = if WEIGHTED { weights[row] } else { T::ONE };
        add_member_rows::<L, T, 1, WEIGHTED>(l, [&d.row(row)[columns.0..columns.1]], [factor], sums);
    }
}

/// Adds the columns `columns.0..columns.1` of the given rows to `sums`, which has one element per
/// column and is padded to a multiple of the number of lanes. Each row is multiplied by the weight
/// of its object unless `weights` is empty.
#[inline(always)]
pub(crate) fn add_rows<L: WideLanes<T>, T: Float>(
    l: L,
    d: MatRef<'_, T>,
    rows: &[u32],
    weights: &[T],
    columns: (usize, usize),
    sums: &mut [f64],
) {
    if weights.is_empty() {
        add_rows_generic::<L, T, false>(l, d, rows, weights, columns, sums);
    } else {
        add_rows_generic::<L, T, true>(l, d, rows, weights, columns, sums);
    }
}
