//! The checks and the minima of a cost matrix, in one read.

use crate::kernels::lanes::{Float, Lanes};
use crate::matrix::MatRef;

/// Computes the minimum of each row over the columns with mass, and that of each column over the
/// rows with mass. The `penalty` of a column is 0 if it has mass, and otherwise +inf. Returns the
/// first row that contains NaN or -inf.
#[inline(always)]
pub(crate) fn cost_minima<L: Lanes<T>, T: Float>(
    l: L,
    cost: MatRef<'_, T>,
    a: &[T],
    penalty: &[T],
    row_minima: &mut [T],
    column_minima: &mut [T],
) -> Option<usize> {
    let zero = l.splat(T::ZERO);
    column_minima.fill(T::INFINITY);
    for i in 0..cost.rows() {
        let row = cost.row(i);
        let has_mass = a[i] > T::ZERO;
        let (mut min, mut invalid) = (l.splat(T::INFINITY), zero);
        let mut at = 0;
        while at < row.len() {
            let c = l.load_up_to(&row[at..], T::ZERO);
            // min(0, c) is NaN if c is NaN, and 0 if c is +inf. 0 times it is also NaN for -inf.
            invalid = l.mul_add(l.min(zero, c), zero, invalid);
            min = l.min(l.add(c, l.load(&penalty[at..])), min);
            if has_mass {
                let column = l.min(c, l.load(&column_minima[at..]));
                l.store(&mut column_minima[at..], column);
            }
            at += L::N;
        }
        if l.reduce_sum(invalid).is_nan() {
            return Some(i);
        }
        row_minima[i] = l.reduce_min(min);
    }
    None
}
