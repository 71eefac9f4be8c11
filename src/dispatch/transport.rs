//! The entry points of the transport family.

#[cfg(feature = "transport")]
use crate::kernels::{
    batch::{self, Kernel, Layout},
    objective::{self, Scratch, Values},
    sinkhorn::{self, Absorbed, Measure, Problem, State, Workspace},
};
#[cfg(feature = "transport")]
use crate::matrix::{MatMut, MatRef};

#[cfg(feature = "transport")]
crate::dispatch::entry_points! {
    call sinkhorn::survey(cost: MatRef<'_, T>, a: &[T], penalty: &[T], row_minima: &mut [T], column_minima: &mut [T]) -> Option<usize>;
    call sinkhorn::iterate(p: &Problem<'_, T>, relaxation: f64, s: &mut State<'_>, w: &mut Workspace<'_, T>) -> f64;
    call sinkhorn::absorb(p: &Problem<'_, T>, s: &mut State<'_>, to: &mut Absorbed<'_, T>, w: &mut Workspace<'_, T>);
    call sinkhorn::iterate_scaled(p: &Problem<'_, T>, relaxation: f64, k: &mut Absorbed<'_, T>, w: &mut Workspace<'_, T>) -> Option<f64>;
    call sinkhorn::settle(p: &Problem<'_, T>, s: &mut State<'_>, from: &Absorbed<'_, T>);
    call sinkhorn::measure(p: &Problem<'_, T>, s: &State<'_>, w: &mut Workspace<'_, T>) -> Measure;
    call sinkhorn::plan(p: &Problem<'_, T>, s: &State<'_>, w: &mut Workspace<'_, T>, total: f64, first: usize, out: MatMut<'_, T>);
    call objective::objective(p: &Problem<'_, T>, s: &State<'_>, w: &mut Scratch<'_>) -> Values;
    call batch::layout() -> Layout<T>;
    call batch::iterate_lanes(k: &Kernel<'_, T>, state: &mut batch::State<'_, T>);
    call batch::potentials(k: f64, shift: f64, offsets: &[f64], scalings: &mut [T]);
}

#[cfg(not(feature = "transport"))]
crate::dispatch::entry_points! {}
