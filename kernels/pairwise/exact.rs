//! The second look: distances of single pairs at any magnitude, and the magnitudes of points.
//!
//! ```text
//! scale = 2^-e, with 2^e near the largest |x - y|
//! distance = sqrt(sum over the dimensions of (scale (x - y))^2) / scale
//! ```

use super::DistanceForm;
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::lanes::{Float, WideLanes, split_exponent};
use crate::kernels::math::compensated::{add_fast_two_sum, reduce_accumulator};
use crate::matrix::MatRef;

/// The range of the absolute values of coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent<T> {
    /// The largest one.
    pub largest: T,
    /// The smallest one that is not 0; infinity if there is none.
    pub smallest: T,
}

/// Returns the extent of the coordinates; `None` unless all are finite.
#[inline(always)]
pub(crate) fn extent<L: WideLanes<T>, T: Float>(l: L, points: MatRef<'_, T>) -> Option<Extent<T>> {
    let (one, zero, infinity) = (l.splat(T::ONE), l.splat(T::ZERO), l.splat(T::INFINITY));
    let (mut not_finite, mut largest, mut smallest) = (zero, zero, infinity);
    for i in 0..points.rows() {
        let row = points.row(i);
        for at in (0..row.len()).step_by(L::N) {
            let x = l.abs(l.load_up_to(&row[at..], T::ZERO));
            not_finite = l.select(l.lt(x, infinity), not_finite, one);
            largest = l.max(x, largest);
            smallest = l.min(l.select(l.lt(zero, x), x, infinity), smallest);
        }
    }
    if l.reduce_sum(not_finite) != 0.0 {
        return None;
    }
    Some(Extent { largest: l.reduce_max(largest), smallest: l.reduce_min(smallest) })
}

/// Returns 2^e, for a normal result.
#[inline(always)]
fn power_of_two(e: i64) -> f64 {
    f64::from_bits(((1023 + e) as u64) << 52)
}

/// Returns the distance of two points by squared differences, whatever their magnitude. It is
/// infinite or subnormal only if the distance itself is.
#[inline(always)]
pub(super) fn rescued_distance<L: WideLanes<T>, T: Float>(l: L, x: &[T], y: &[T], form: DistanceForm) -> T {
    let zero = l.splat(T::ZERO);
    let mut largest = zero;
    for at in (0..x.len().min(y.len())).step_by(L::N) {
        let difference = l.sub(l.load_up_to(&x[at..], T::ZERO), l.load_up_to(&y[at..], T::ZERO));
        largest = l.max(l.abs(difference), largest);
    }
    let largest = l.reduce_max(largest);
    if largest == T::ZERO || largest == T::INFINITY {
        return largest;
    }
    // The scale and its reciprocal are normal numbers, and so is the largest scaled square.
    let limit = T::BIAS - 7.0;
    let exponent = split_exponent(largest.to_f64()).1.clamp(-limit, limit) as i64;
    let scale = l.splat(T::from_f64(power_of_two(-exponent)));
    let (mut high, mut low) = (zero, zero);
    for at in (0..x.len().min(y.len())).step_by(L::N) {
        let difference = l.sub(l.load_up_to(&x[at..], T::ZERO), l.load_up_to(&y[at..], T::ZERO));
        let scaled = l.mul(difference, scale);
        (high, low) = add_fast_two_sum(l, (high, low), l.mul(scaled, scaled));
    }
    let (high, low) = reduce_accumulator(l, high, low);
    let sum = high + low;
    T::from_f64(match form {
        DistanceForm::Root => sum.sqrt() * power_of_two(exponent),
        _ => sum * power_of_two(exponent) * power_of_two(exponent),
    })
}

/// Writes the distances of a point to other points, by squared differences.
#[inline(always)]
pub(crate) fn distances_from<L: WideLanes<T>, T: Float>(
    l: L,
    point: &[T],
    others: MatRef<'_, T>,
    form: DistanceForm,
    out: &mut [T],
) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = rescued_distance(l, point, others.row(i), form);
    }
}
