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

/// Adds the elements of `R` rows to `sums`, whose length is a multiple of the number of lanes.
#[inline(always)]
fn add_member_rows<L: WideLanes<T>, T: Float, const R: usize>(l: L, rows: [&[T]; R], sums: &mut [f64]) {
    for at in (0..sums.len()).step_by(L::N) {
        let mut sum = l.load_wide(&sums[at..]);
        for row in rows {
            sum = l.add_wide(sum, l.widen(l.load_up_to(&row[at..], T::ZERO)));
        }
        l.store_wide(&mut sums[at..], sum);
    }
}

/// Adds the columns `columns.0..columns.1` of the given rows to `sums`, which has one element per
/// column and is padded to a multiple of the number of lanes.
#[inline(always)]
pub(crate) fn add_rows<L: WideLanes<T>, T: Float>(
    l: L,
    d: MatRef<'_, T>,
    rows: &[u32],
    columns: (usize, usize),
    sums: &mut [f64],
) {
    let sums = &mut sums[..(columns.1 - columns.0).next_multiple_of(L::N)];
    let mut groups = rows.chunks_exact(MEMBER_ROWS);
    for group in &mut groups {
        let mut parts = [&d.row(group[0] as usize)[columns.0..columns.1]; MEMBER_ROWS];
        for r in 1..MEMBER_ROWS {
            parts[r] = &d.row(group[r] as usize)[columns.0..columns.1];
        }
        add_member_rows(l, parts, sums);
    }
    for &row in groups.remainder() {
        add_member_rows(l, [&d.row(row as usize)[columns.0..columns.1]], sums);
    }
}
