//! The entry points of distances between points, which transport and k-medoids share.

#[cfg(any(feature = "transport", feature = "medoids"))]
use crate::kernels::distances::{self, Form};
#[cfg(any(feature = "transport", feature = "medoids"))]
use crate::matrix::{MatMut, MatRef};

#[cfg(any(feature = "transport", feature = "medoids"))]
crate::dispatch::entry_points! {
    call distances::all_finite(row: &[T]) -> bool;
    call distances::distance_matrix(points: MatRef<'_, T>, form: Form, panels: &mut [T], out: MatMut<'_, T>);
    #[cfg(feature = "baselines")]
    call distances::multiply_adds(x: &[T], steps: usize) -> (usize, f64);
}

#[cfg(not(any(feature = "transport", feature = "medoids")))]
crate::dispatch::entry_points! {}
