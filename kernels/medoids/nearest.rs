//! Nearest medoids: the caches of the nearest two, and the nearest one of new objects.

use super::tuning::SCAN_ROWS;
use super::{NearestMut, candidate_rows, load_rows};
use crate::kernels::lanes::{Float, IndexLanes, Lanes};
use crate::matrix::MatRef;

/// The arrays that decide which objects a swap affects, padded as in
/// [`NearestRef`](super::NearestRef).
#[derive(Clone, Copy)]
pub struct RankedRef<'a, T> {
    /// The distance below which a new medoid affects the object.
    pub bounds: &'a [T],
    /// The cluster of the nearest medoid.
    pub n1: &'a [u32],
    /// The cluster of the second nearest medoid.
    pub n2: &'a [u32],
}

/// Adds the objects of `R` rows as the medoids of the clusters from `first` on.
#[inline(always)]
fn add_medoid_rows<L: IndexLanes<T>, T: Float, const R: usize>(
    l: L,
    rows: [&[T]; R],
    first: usize,
    near: &mut NearestMut<'_, T>,
) {
    for at in (0..rows[0].len()).step_by(L::N) {
        let (mut d1, mut n1) = (l.load(&near.d1[at..]), l.load_index(&near.n1[at..]));
        let (mut d2, mut n2) = (l.load(&near.d2[at..]), l.load_index(&near.n2[at..]));
        for (r, &d) in load_rows(l, &rows, at, T::INFINITY).iter().enumerate() {
            let cluster = l.splat_index((first + r) as u32);
            let (is_nearest, is_second) = (l.lt(d, d1), l.lt(d, d2));
            d2 = l.select(is_nearest, d1, l.select(is_second, d, d2));
            n2 = l.select_index(is_nearest, n1, l.select_index(is_second, cluster, n2));
            d1 = l.select(is_nearest, d, d1);
            n1 = l.select_index(is_nearest, cluster, n1);
        }
        l.store(&mut near.d1[at..], d1);
        l.store(&mut near.d2[at..], d2);
        l.store_index(&mut near.n1[at..], n1);
        l.store_index(&mut near.n2[at..], n2);
    }
}

/// Adds `medoids` as the medoids of the clusters from `first` on. [`SCAN_ROWS`] rows share one read
/// and one write of the caches.
#[inline(always)]
pub(crate) fn add_medoids<L: IndexLanes<T>, T: Float>(
    l: L,
    d: MatRef<'_, T>,
    medoids: &[usize],
    first: usize,
    mut near: NearestMut<'_, T>,
) {
    let mut at = 0;
    while medoids.len() - at >= SCAN_ROWS {
        add_medoid_rows::<L, T, SCAN_ROWS>(l, candidate_rows(d, medoids, at), first + at, &mut near);
        at += SCAN_ROWS;
    }
    for (i, &medoid) in medoids.iter().enumerate().skip(at) {
        add_medoid_rows(l, [d.row(medoid)], first + i, &mut near);
    }
}

/// Lists the objects that a swap affects and returns their number. The object of `row` replaces the
/// medoid of `cluster`. An object is affected if its element of the row is below its bound, or if
/// it loses its nearest or second nearest medoid. `affected` needs
/// [`MAX_LANES`](crate::kernels::lanes::MAX_LANES) elements more than there are objects.
#[inline(always)]
pub(crate) fn list_affected<L: IndexLanes<T>, T: Float>(
    l: L,
    row: &[T],
    cluster: usize,
    ranked: RankedRef<'_, T>,
    affected: &mut [u32],
) -> usize {
    let cluster = l.splat_index(cluster as u32);
    let mut count = 0;
    for at in (0..row.len()).step_by(L::N) {
        let n1 = l.load_index(&ranked.n1[at..]);
        let n2 = l.load_index(&ranked.n2[at..]);
        // An object is affected if its `mark` is the cluster.
        let mark = l.select_index(l.eq_index(n2, cluster), cluster, n1);
        let closer = l.lt(l.load_up_to(&row[at..], T::INFINITY), l.load(&ranked.bounds[at..]));
        let mark = l.select_index(closer, cluster, mark);
        count += l.compress_indices(l.eq_index(mark, cluster), at as u32, &mut affected[count..]);
    }
    count
}

/// Writes the smallest element of every row to `distances` and its column to `labels`: the first
/// column if several hold it. Rows must have at least one element and no NaN.
#[inline(always)]
pub(crate) fn assign_nearest<L: Lanes<T>, T: Float>(l: L, d: MatRef<'_, T>, labels: &mut [usize], distances: &mut [T]) {
    for ((row, label), distance) in (0..d.rows()).zip(labels).zip(distances) {
        let row = d.row(row);
        let mut minima = l.splat(T::INFINITY);
        for chunk in row.chunks(L::N) {
            minima = l.min(l.load_tail(chunk, T::INFINITY), minima);
        }
        let min = l.reduce_min(minima);
        let mut first = 0;
        while first + 1 < row.len() && row[first] != min {
            first += 1;
        }
        *label = first;
        *distance = row[first];
    }
}
