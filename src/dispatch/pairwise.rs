//! The entry points of distances between points, which transport and k-medoids share.

#[cfg(any(feature = "transport", feature = "medoids"))]
use crate::kernels::pairwise::{self, DistanceForm, Extent, Task};
#[cfg(any(feature = "transport", feature = "medoids"))]
use crate::matrix::{MatMut, MatRef};

#[cfg(any(feature = "transport", feature = "medoids"))]
crate::dispatch::entry_points! {
    call pairwise::extent(points: MatRef<'_, T>) -> Option<Extent<T>>;
    call pairwise::distance_matrix(
        task: &Task<'_, T>,
        panels: &mut [T],
        errors: MatMut<'_, T>,
        out: MatMut<'_, T>
    );
    call pairwise::distances_from(point: &[T], others: MatRef<'_, T>, form: DistanceForm, out: &mut [T]);
    #[cfg(feature = "baselines")]
    call pairwise::multiply_adds(x: &[T], steps: usize) -> (usize, f64);
}

#[cfg(not(any(feature = "transport", feature = "medoids")))]
crate::dispatch::entry_points! {}
