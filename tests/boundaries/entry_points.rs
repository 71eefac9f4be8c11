//! All slice-level functions as values of one type, for tests that call each of them.

use crate::support::float::Float;
use mantex::*;

/// What they read, of which each takes a part.
pub(crate) struct Input<'a, T> {
    pub(crate) x: MatRef<'a, T>,
    pub(crate) y: MatRef<'a, T>,
    pub(crate) classes: &'a [usize],
}

/// Writes a matrix, or one element per row.
type EntryPoint<T> = fn(Isa, &Input<'_, T>, MatMut<'_, T>, &mut [T]) -> Result<(), Error>;

/// Those of one row take the first.
pub(crate) fn entry_points<T: Float>() -> Vec<(&'static str, EntryPoint<T>)> {
    vec![
        ("softmax", |isa, i, mut out, _| softmax_on(isa, i.x.row(0), out.row_mut(0))),
        ("softmax_in_place", |isa, i, mut out, _| {
            out.row_mut(0).copy_from_slice(i.x.row(0));
            softmax_in_place_on(isa, out.row_mut(0));
            Ok(())
        }),
        ("log_softmax", |isa, i, mut out, _| log_softmax_on(isa, i.x.row(0), out.row_mut(0))),
        ("log_sum_exp", |isa, i, _, each| {
            each[0] = log_sum_exp_on(isa, i.x.row(0));
            Ok(())
        }),
        ("ExtSum", |isa, i, _, each| {
            each[0] = ExtSum::of_on(isa, i.x.row(0)).merge(ExtSum::of_on(isa, i.y.row(0))).ln();
            Ok(())
        }),
        ("softmax_backward", |isa, i, mut out, _| softmax_backward_on(isa, i.x.row(0), i.y.row(0), out.row_mut(0))),
        ("log_softmax_backward", |isa, i, mut out, _| {
            log_softmax_backward_on(isa, i.x.row(0), i.y.row(0), out.row_mut(0))
        }),
        ("stablemax", |isa, i, mut out, _| stablemax_on(isa, i.x.row(0), out.row_mut(0))),
        ("log_stablemax", |isa, i, mut out, _| log_stablemax_on(isa, i.x.row(0), out.row_mut(0))),
        ("stablemax_backward", |isa, i, mut out, _| stablemax_backward_on(isa, i.x.row(0), i.y.row(0), out.row_mut(0))),
        ("log_stablemax_backward", |isa, i, mut out, _| {
            log_stablemax_backward_on(isa, i.x.row(0), i.y.row(0), out.row_mut(0))
        }),
        ("softmax_rows", |isa, i, out, _| softmax_rows_on(isa, i.x, out)),
        ("softmax_rows_with", |isa, i, out, _| softmax_rows_with_on(isa, i.x, out, &options(i.y))),
        ("log_softmax_rows", |isa, i, out, _| log_softmax_rows_on(isa, i.x, out)),
        ("log_softmax_rows_with", |isa, i, out, _| log_softmax_rows_with_on(isa, i.x, out, &options(i.y))),
        ("log_sum_exp_rows", |isa, i, _, each| log_sum_exp_rows_on(isa, i.x, each)),
        ("log_sum_exp_rows_with", |isa, i, _, each| log_sum_exp_rows_with_on(isa, i.x, each, &options(i.y))),
        ("softmax_backward_rows", |isa, i, out, _| softmax_backward_rows_on(isa, i.x, i.y, out)),
        ("log_softmax_backward_rows", |isa, i, out, _| log_softmax_backward_rows_on(isa, i.x, i.y, out)),
        ("stablemax_rows", |isa, i, out, _| stablemax_rows_on(isa, i.x, out)),
        ("log_stablemax_rows", |isa, i, out, _| log_stablemax_rows_on(isa, i.x, out)),
        ("stablemax_backward_rows", |isa, i, out, _| stablemax_backward_rows_on(isa, i.x, i.y, out)),
        ("log_stablemax_backward_rows", |isa, i, out, _| log_stablemax_backward_rows_on(isa, i.x, i.y, out)),
        ("cross_entropy_rows", |isa, i, _, each| match i.x.cols() {
            0 => Ok(()), // There is no class.
            _ => cross_entropy_rows_on(isa, i.x, i.classes, each),
        }),
        ("cross_entropy_gradient_rows", |isa, i, out, each| match i.x.cols() {
            0 => Ok(()),
            _ => cross_entropy_gradient_rows_on(isa, i.x, i.classes, T::of(0.25), each, out),
        }),
    ]
}

fn options<T: Float>(mask: MatRef<'_, T>) -> SoftmaxOptions<'_, T> {
    SoftmaxOptions::new().scale(T::of(0.75)).mask(mask)
}
