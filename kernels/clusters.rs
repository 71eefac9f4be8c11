//! Sums over the members of clusters, and the nearest of few medoids.

use super::lanes::{Float, Lanes, WideLanes};
use crate::matrix::MatRef;

/// Rows added up together, so that the sums are read and written once for all of them.
const ROWS: usize = 4;

/// For each member the sum of its dissimilarities to all members, times their weights if `weights` is not empty.
///
/// Members lie anywhere in a row: plain loads, of which the CPU overlaps many, are as fast as gathers.
#[inline(always)]
pub(crate) fn member_losses<L: Lanes<T>, T: Float>(
    _: L,
    d: MatRef<'_, T>,
    members: &[u32],
    weights: &[T],
    out: &mut [f64],
) {
    for (out, &c) in out.iter_mut().zip(members) {
        let row = d.row(c as usize);
        // Four sums side by side: an addition waits for the one before the last three.
        let mut sums = [0.0; 4];
        for group in members.chunks(4) {
            for (sum, &o) in sums.iter_mut().zip(group) {
                let o = o as usize;
                let weight = if weights.is_empty() { 1.0 } else { weights[o].to_f64() };
                *sum += weight * row[o].to_f64();
            }
        }
        *out = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }
}

/// Adds the elements of `R` rows to `sums`, whose length is a multiple of the lanes.
#[inline(always)]
fn add_group<L: WideLanes<T>, T: Float, const R: usize>(l: L, rows: [&[T]; R], sums: &mut [f64]) {
    for at in (0..sums.len()).step_by(L::N) {
        let mut sum = l.load_wide(&sums[at..]);
        for row in rows {
            let rest = &row[at..];
            let x = if rest.len() >= L::N { l.load(rest) } else { l.load_tail(rest, T::ZERO) };
            sum = l.add_wide(sum, l.widen(x));
        }
        l.store_wide(&mut sums[at..], sum);
    }
}

/// Adds the columns `columns.0..columns.1` of the given rows to `sums`, which has one element per column and is padded to a
/// multiple of the lanes.
#[inline(always)]
pub(crate) fn add_rows<L: WideLanes<T>, T: Float>(
    l: L,
    d: MatRef<'_, T>,
    rows: &[u32],
    columns: (usize, usize),
    sums: &mut [f64],
) {
    let sums = &mut sums[..(columns.1 - columns.0).next_multiple_of(L::N)];
    let mut groups = rows.chunks_exact(ROWS);
    for group in &mut groups {
        let mut parts = [&d.row(group[0] as usize)[columns.0..columns.1]; ROWS];
        for r in 1..ROWS {
            parts[r] = &d.row(group[r] as usize)[columns.0..columns.1];
        }
        add_group(l, parts, sums);
    }
    for &row in groups.remainder() {
        add_group(l, [&d.row(row as usize)[columns.0..columns.1]], sums);
    }
}

/// The smallest element of every row and where it is, of equals the first. Rows have at least one element and no NaN.
#[inline(always)]
pub(crate) fn nearest<L: Lanes<T>, T: Float>(l: L, d: MatRef<'_, T>, labels: &mut [usize], distances: &mut [T]) {
    for ((row, label), distance) in (0..d.rows()).zip(labels).zip(distances) {
        let row = d.row(row);
        let mut least = l.splat(T::INFINITY);
        for chunk in row.chunks(L::N) {
            least = l.min(l.load_tail(chunk, T::INFINITY), least);
        }
        let lanes = l.to_array(least);
        let mut least = T::INFINITY;
        for &x in &lanes[..L::N] {
            least = if x < least { x } else { least };
        }
        let mut first = 0;
        while first + 1 < row.len() && row[first] != least {
            first += 1;
        }
        *label = first;
        *distance = row[first];
    }
}
