//! The entry points of the k-medoids family.

#[cfg(feature = "medoids")]
use crate::kernels::medoids::{
    CandidateSums, FoundSwap, NearestMut, NearestRef, Scan, build, members,
    nearest::{self, RankedRef},
    swap, validation,
};
#[cfg(feature = "medoids")]
use crate::matrix::MatRef;

#[cfg(feature = "medoids")]
crate::dispatch::entry_points! {
    call validation::all_finite_non_negative(row: &[T]) -> bool;
    call build::losses_with(d: MatRef<'_, T>, candidates: &[usize], d1: &[T], weights: &[T], losses: &mut [f64]);
    call swap::first_improving_swap(scan: Scan<'_, T>, near: NearestRef<'_, T>, sums: CandidateSums<'_>) -> FoundSwap;
    call nearest::add_medoids(d: MatRef<'_, T>, medoids: &[usize], first: usize, near: NearestMut<'_, T>);
    call nearest::list_affected(row: &[T], cluster: usize, ranked: RankedRef<'_, T>, affected: &mut [u32]) -> usize;
    call nearest::assign_nearest(d: MatRef<'_, T>, labels: &mut [usize], distances: &mut [T]);
    call members::member_losses(d: MatRef<'_, T>, members: &[u32], weights: &[T], losses: &mut [f64]);
    call members::add_rows(d: MatRef<'_, T>, rows: &[u32], weights: &[T], columns: (usize, usize), sums: &mut [f64]);
}

#[cfg(not(feature = "medoids"))]
crate::dispatch::entry_points! {}
