//! The gradients of softmax and log-softmax.
//!
//! Each takes two passes over a row: a sum, then the results, which read the row again from the
//! cache.

use crate::kernels::lanes::{Float, WideLanes};
use crate::kernels::math::exp::{Base, Clamped, Exp, ExpLanes};
use crate::kernels::rows::{fold_zip, zip_map};
use crate::matrix::{MatMut, MatRef};

/// The gradient with respect to the logits, given softmax `y` and the gradient `dy` with respect to
/// it: `y * (dy - sum(y * dy))`.
#[inline(always)]
pub(crate) fn softmax_backward_rows<L: WideLanes<T>, T: Float>(
    l: L,
    y: MatRef<'_, T>,
    dy: MatRef<'_, T>,
    mut dx: MatMut<'_, T>,
) {
    for i in 0..y.rows() {
        let (y, dy) = (y.row(i), dy.row(i));
        let dot = fold_zip(
            l,
            y,
            dy,
            #[inline(always)]
            |y, dy, sum| l.quiet_mul_add(y, dy, sum),
        );
        let dot = l.splat(T::from_f64(dot));
        zip_map(
            l,
            y,
            dy,
            dx.row_mut(i),
            #[inline(always)]
            |y, dy| l.quiet_mul(y, l.quiet_sub(dy, dot)),
        );
    }
}

/// The gradient with respect to the logits, given log-softmax `y` and the gradient `dy` with
/// respect to it: `dy - exp(y) * sum(dy)`.
#[inline(always)]
pub(crate) fn log_softmax_backward_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    y: MatRef<'_, T>,
    dy: MatRef<'_, T>,
    mut dx: MatMut<'_, T>,
) {
    let exp = Exp::new(l, Base::ONE);
    for i in 0..y.rows() {
        let (y, dy) = (y.row(i), dy.row(i));
        let sum = fold_zip(
            l,
            dy,
            dy,
            #[inline(always)]
            |dy, _, sum| l.quiet_add(dy, sum),
        );
        let sum = l.splat(T::from_f64(sum));
        zip_map(
            l,
            y,
            dy,
            dx.row_mut(i),
            #[inline(always)]
            |y, dy| l.quiet_neg_mul_add(exp.eval::<Clamped>(l, y), sum, dy),
        );
    }
}
