//! Points scaled to length 1, for cosines.

#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::real::Element;
use crate::{Error, MatRef, Real};
use alloc::vec::Vec;

/// Points scaled to length 1.
pub(super) struct Directions<T> {
    /// The coordinates, row by row; those of points without a direction are 0.
    pub(super) coordinates: Vec<T>,
    /// The points without a direction.
    pub(super) undefined: Vec<usize>,
}

impl<T: Real> Directions<T> {
    /// Returns the directions of the points. Unless `may_be_undefined`, fails if a point has none.
    pub(super) fn of(argument: &'static str, points: MatRef<'_, T>, may_be_undefined: bool) -> Result<Self, Error> {
        let mut coordinates = Vec::with_capacity(points.rows() * points.cols());
        let mut undefined = Vec::new();
        for (row, point) in points.iter_rows().enumerate() {
            let largest = point.iter().fold(0.0_f64, |m, x| m.max(x.to_f64().abs()));
            if largest == 0.0 {
                if !may_be_undefined {
                    return Err(Error::UndefinedCosine { argument, point: row });
                }
                undefined.push(row);
                coordinates.extend(point.iter().map(|_| T::zero()));
                continue;
            }
            // The scale is a power of two with which no square overflows, and no square that
            // contributes to the sum is subnormal.
            let scale = if largest > 2.0_f64.powi(400) {
                2.0_f64.powi(-600)
            } else if largest < 2.0_f64.powi(-400) {
                2.0_f64.powi(600)
            } else {
                1.0
            };
            let length = sum_of_squares(point, scale).sqrt();
            coordinates.extend(point.iter().map(|x| T::rounded(x.to_f64() * scale / length)));
        }
        Ok(Self { coordinates, undefined })
    }
}

/// Returns the sum of `(x * scale)^2` by pairwise summation: the rounding error grows only with the
/// logarithm of the length.
fn sum_of_squares<T: Real>(x: &[T], scale: f64) -> f64 {
    if x.len() <= 16 {
        return x.iter().map(|x| (x.to_f64() * scale).powi(2)).sum();
    }
    let (a, b) = x.split_at(x.len() / 2);
    sum_of_squares(a, scale) + sum_of_squares(b, scale)
}
