//! The entry points of the k-medoids family.

#[cfg(feature = "medoids")]
use crate::kernels::{
    clusters,
    swap::{self, Nearest, NearestMut, NoDistance, Scan, Sums, Swap},
};
#[cfg(feature = "medoids")]
use crate::matrix::MatRef;

#[cfg(feature = "medoids")]
crate::dispatch::entry_points! {
    call swap::all_distances(row: &[T]) -> bool;
    call swap::losses_with(rows: MatRef<'_, T>, d1: &[T], weights: &[T], out: &mut [f64]);
    call swap::next_swap(scan: Scan<'_, T>, near: Nearest<'_, T>, sums: Sums<'_>) -> Result<Option<Swap>, NoDistance>;
    call swap::add_medoids(d: MatRef<'_, T>, medoids: &[usize], first: usize, near: NearestMut<'_, T>);
    call swap::changed(row: &[T], position: usize, bounds: &[T], near: (&[u32], &[u32]), out: &mut [u32]) -> usize;
    call clusters::member_losses(d: MatRef<'_, T>, members: &[u32], weights: &[T], out: &mut [f64]);
    call clusters::add_rows(d: MatRef<'_, T>, rows: &[u32], columns: (usize, usize), sums: &mut [f64]);
    call clusters::nearest(d: MatRef<'_, T>, labels: &mut [usize], distances: &mut [T]);
}

#[cfg(not(feature = "medoids"))]
crate::dispatch::entry_points! {}
