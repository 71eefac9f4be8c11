//! Sums over the members of clusters.

use super::load_rows;
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
fn add_member_rows<L: WideLanes<T>, T: Float, const R: usize>(
    l: L,
    rows: [&[T]; R],
    weights: Option<[T; R]>,
    sums: &mut [f64],
) {
    for at in (0..sums.len()).step_by(L::N) {
        let mut sum = l.load_wide(&sums[at..]);
        let vectors = load_rows(l, &rows, at, T::ZERO);
        for r in 0..R {
            let mut terms = l.widen(vectors[r]);
            if let Some(weights) = weights {
                terms = l.mul_wide(terms, l.widen(l.splat(weights[r])));
            }
            sum = l.add_wide(sum, terms);
        }
        l.store_wide(&mut sums[at..], sum);
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
    let sums = &mut sums[..(columns.1 - columns.0).next_multiple_of(L::N)];
    let (mut at, is_weighted) = (0, !weights.is_empty());
    while rows.len() - at >= MEMBER_ROWS {
        let mut parts = [&d.row(rows[at] as usize)[columns.0..columns.1]; MEMBER_ROWS];
        let mut factors = [T::ONE; MEMBER_ROWS];
        for r in 0..MEMBER_ROWS {
            let row = rows[at + r] as usize;
            parts[r] = &d.row(row)[columns.0..columns.1];
            if is_weighted {
                factors[r] = weights[row];
            }
        }
        add_member_rows(l, parts, if is_weighted { Some(factors) } else { None }, sums);
        at += MEMBER_ROWS;
    }
    for &row in &rows[at..] {
        let part = &d.row(row as usize)[columns.0..columns.1];
        let factors = if is_weighted { Some([weights[row as usize]]) } else { None };
        add_member_rows(l, [part], factors, sums);
    }
}
