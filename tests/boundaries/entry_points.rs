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
        ("softmax", |isa, i, mut out, _| isa.softmax(i.x.row(0), out.row_mut(0))),
        ("softmax_in_place", |isa, i, mut out, _| {
            out.row_mut(0).copy_from_slice(i.x.row(0));
            isa.softmax_in_place(out.row_mut(0));
            Ok(())
        }),
        ("log_softmax", |isa, i, mut out, _| isa.log_softmax(i.x.row(0), out.row_mut(0))),
        ("log_softmax_in_place", |isa, i, mut out, _| {
            out.row_mut(0).copy_from_slice(i.x.row(0));
            isa.log_softmax_in_place(out.row_mut(0));
            Ok(())
        }),
        ("log_sum_exp", |isa, i, _, each| {
            each[0] = isa.log_sum_exp(i.x.row(0));
            Ok(())
        }),
        ("ExtSum", |isa, i, _, each| {
            each[0] = isa.ext_sum(i.x.row(0)).merge(isa.ext_sum(i.y.row(0))).ln();
            Ok(())
        }),
        ("softmax_backward", |isa, i, mut out, _| isa.softmax_backward(i.x.row(0), i.y.row(0), out.row_mut(0))),
        ("log_softmax_backward", |isa, i, mut out, _| isa.log_softmax_backward(i.x.row(0), i.y.row(0), out.row_mut(0))),
        ("stablemax", |isa, i, mut out, _| isa.stablemax(i.x.row(0), out.row_mut(0))),
        ("log_stablemax", |isa, i, mut out, _| isa.log_stablemax(i.x.row(0), out.row_mut(0))),
        ("stablemax_backward", |isa, i, mut out, _| isa.stablemax_backward(i.x.row(0), i.y.row(0), out.row_mut(0))),
        ("log_stablemax_backward", |isa, i, mut out, _| {
            isa.log_stablemax_backward(i.x.row(0), i.y.row(0), out.row_mut(0))
        }),
        ("softmax_rows", |isa, i, out, _| isa.softmax_rows(i.x, out)),
        ("Softmax::rows", |isa, i, out, _| options(i.y).isa(isa).rows(i.x, out)),
        ("Softmax::rows_in_place", |isa, i, mut out, _| {
            copy_rows(i.x, &mut out);
            options(i.y).isa(isa).rows_in_place(out)
        }),
        ("softmax_rows_in_place", |isa, i, mut out, _| {
            copy_rows(i.x, &mut out);
            isa.softmax_rows_in_place(out);
            Ok(())
        }),
        ("Softmax::causal", |isa, i, out, _| options(i.y).causal(CAUSAL).isa(isa).rows(i.x, out)),
        ("log_softmax_rows", |isa, i, out, _| isa.log_softmax_rows(i.x, out)),
        ("Softmax::log_rows", |isa, i, out, _| options(i.y).isa(isa).log_rows(i.x, out)),
        ("Softmax::log_rows_in_place", |isa, i, mut out, _| {
            copy_rows(i.x, &mut out);
            options(i.y).causal(CAUSAL).isa(isa).log_rows_in_place(out)
        }),
        ("log_softmax_rows_in_place", |isa, i, mut out, _| {
            copy_rows(i.x, &mut out);
            isa.log_softmax_rows_in_place(out);
            Ok(())
        }),
        ("log_sum_exp_rows", |isa, i, _, each| isa.log_sum_exp_rows(i.x, each)),
        ("Softmax::log_sum_exp_rows", |isa, i, _, each| options(i.y).isa(isa).log_sum_exp_rows(i.x, each)),
        ("softmax_columns", |isa, i, out, _| isa.softmax_columns(i.x, out)),
        ("softmax_columns_in_place", |isa, i, mut out, _| {
            copy_rows(i.x, &mut out);
            isa.softmax_columns_in_place(out);
            Ok(())
        }),
        ("log_softmax_columns", |isa, i, out, _| isa.log_softmax_columns(i.x, out)),
        ("log_softmax_columns_in_place", |isa, i, mut out, _| {
            copy_rows(i.x, &mut out);
            isa.log_softmax_columns_in_place(out);
            Ok(())
        }),
        ("log_sum_exp_columns", |isa, i, mut out, _| isa.log_sum_exp_columns(i.x, out.row_mut(0))),
        ("softmax_backward_rows", |isa, i, out, _| isa.softmax_backward_rows(i.x, i.y, out)),
        ("log_softmax_backward_rows", |isa, i, out, _| isa.log_softmax_backward_rows(i.x, i.y, out)),
        ("stablemax_rows", |isa, i, out, _| isa.stablemax_rows(i.x, out)),
        ("log_stablemax_rows", |isa, i, out, _| isa.log_stablemax_rows(i.x, out)),
        ("stablemax_backward_rows", |isa, i, out, _| isa.stablemax_backward_rows(i.x, i.y, out)),
        ("log_stablemax_backward_rows", |isa, i, out, _| isa.log_stablemax_backward_rows(i.x, i.y, out)),
        ("cross_entropy_rows", |isa, i, _, each| match i.x.cols() {
            0 => Ok(()), // There is no class.
            _ => isa.cross_entropy_rows(i.x, i.classes, each),
        }),
        ("cross_entropy_gradient_rows", |isa, i, out, each| match i.x.cols() {
            0 => Ok(()),
            _ => isa.cross_entropy_gradient_rows(i.x, i.classes, T::of(0.25), each, out),
        }),
        ("Softmax::cross_entropy_rows", |isa, i, _, each| match i.x.cols() {
            0 => Ok(()),
            _ => options(i.y).isa(isa).cross_entropy_rows(i.x, i.classes, each),
        }),
        ("Softmax::cross_entropy_gradient_rows", |isa, i, out, each| match i.x.cols() {
            0 => Ok(()),
            _ => {
                let options = options(i.y).causal(CAUSAL).isa(isa);
                options.cross_entropy_gradient_rows(i.x, i.classes, T::of(0.25), each, out)
            }
        }),
    ]
}

/// Ends some of the rows of small matrices, and none of long ones.
const CAUSAL: isize = 30;

fn copy_rows<T: Float>(x: MatRef<'_, T>, out: &mut MatMut<'_, T>) {
    (0..x.rows()).for_each(|i| out.row_mut(i).copy_from_slice(x.row(i)));
}

fn options<T: Float>(mask: MatRef<'_, T>) -> Softmax<'_, T> {
    Softmax::new().scale(T::of(0.75)).mask(mask)
}
