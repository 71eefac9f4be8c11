//! The entry points of distances between points, which transport and k-medoids share.

#[cfg(any(feature = "transport", feature = "medoids"))]
use crate::kernels::pairwise::{self, DistanceForm};
#[cfg(any(feature = "transport", feature = "medoids"))]
use crate::matrix::{MatMut, MatRef};

#[cfg(any(feature = "transport", feature = "medoids"))]
crate::dispatch::entry_points! {
    call pairwise::all_finite(row: &[T]) -> bool;
    call pairwise::distance_matrix(points: MatRef<'_, T>, form: DistanceForm, panels: &mut [T], out: MatMut<'_, T>);
    #[cfg(feature = "baselines")]
    call pairwise::multiply_adds(x: &[T], steps: usize) -> (usize, f64);
}

#[cfg(not(any(feature = "transport", feature = "medoids")))]
crate::dispatch::entry_points! {}
