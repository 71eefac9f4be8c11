//! Points whose squared differences may leave the range of the type.
//!
//! The points are scaled by a power of two that brings most of them into the range. Pairs whose
//! sums are then too small, and all pairs with a point that is still too large, are computed one by
//! one.

use super::{Pairs, fill};
use crate::dispatch::Road;
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::pairwise::{DistanceForm, Extent, Rescue, Task};
use crate::real::Element;
use crate::{Error, MatMut, MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;

/// Returns the largest coordinate with which no sum of squared differences overflows: D squares of
/// at most (2 x)^2.
fn max_coordinate<T: Real>(dimensions: usize) -> f64 {
    (T::MAX / 8.0 / dimensions as f64).sqrt()
}

/// Returns the smallest sum of squares for which the errors of squares that are subnormal do not
/// matter: they are below EPSILON / 8 of it. A square, and its sum in an instruction set that does
/// not fuse, has an absolute error of up to MIN_POSITIVE EPSILON / 2 each.
fn min_sum<T: Real>(dimensions: usize) -> f64 {
    8.0 * T::MIN_POSITIVE * dimensions as f64
}

/// Returns whether no squared difference of coordinates in a range is subnormal, and, for square
/// roots, whether no sum of them overflows. Squared distances may overflow: they are infinite.
pub(super) fn safe_range<T: Real>(extent: Extent<T>, dimensions: usize, form: DistanceForm) -> bool {
    // Two different coordinates differ by at least half an ulp of the smaller one, or by the other
    // one if one of them is 0.
    let least = 2.0 * T::MIN_POSITIVE.sqrt() / T::EPSILON;
    let overflows = form == DistanceForm::Root && extent.largest.to_f64() > max_coordinate::<T>(dimensions);
    !overflows && extent.smallest.to_f64() >= least
}

/// Scaled copies of the points of the rows and of the columns.
pub(super) struct Scaled<T> {
    /// The scale, a power of two.
    scale: f64,
    /// The points of the rows, and those of the columns if the two sets differ.
    points: [ScaledPoints<T>; 2],
}

/// Scaled copies of points.
struct ScaledPoints<T> {
    /// The coordinates, row by row; those of points that are too large are 0.
    coordinates: Vec<T>,
    /// The points that are too large.
    too_large: Vec<usize>,
}

impl<T: Real> Scaled<T> {
    /// Scales the points such that the squares of most are in range. Squared distances are not
    /// scaled: those that overflow are infinite.
    pub(super) fn of(road: Road, pairs: Pairs<'_, T>, form: DistanceForm) -> Self {
        let Pairs { x, y, symmetric, .. } = pairs;
        let dimensions = x.cols();
        let largest = |points: MatRef<'_, T>| -> Vec<f64> {
            let of_row = |i| T::extent(road, MatRef::new(points.row(i), 1, dimensions).ok()?);
            (0..points.rows()).map(|i| of_row(i).map_or(0.0, |extent| extent.largest.to_f64())).collect()
        };
        let sizes = [largest(x), if symmetric { Vec::new() } else { largest(y) }];
        let max = max_coordinate::<T>(dimensions);
        // Two points below this have a sum that is too small.
        let min = (min_sum::<T>(dimensions) / 4.0 / dimensions as f64).sqrt();
        let count = |is: &dyn Fn(f64) -> bool| sizes.iter().flatten().filter(|&&size| is(size)).count();
        let half = (sizes[0].len() + sizes[1].len()) / 2;
        let power = if size_of::<T>() == 4 { 2.0_f64.powi(80) } else { 2.0_f64.powi(640) };
        let scale = match form {
            DistanceForm::Root if count(&|size| size > max) > half => 1.0 / power,
            DistanceForm::Root if count(&|size| size < min) > half => power,
            _ => 1.0,
        };
        let scaled = |points: MatRef<'_, T>, sizes: &[f64]| {
            // Neither the product nor the quotient overflows.
            let exceeds = |size: f64| if scale < 1.0 { size * scale > max } else { size > max / scale };
            let is_too_large = |i: &usize| form == DistanceForm::Root && exceeds(sizes[*i]);
            let too_large: Vec<usize> = (0..sizes.len()).filter(is_too_large).collect();
            let mut coordinates = Vec::new();
            if scale != 1.0 || !too_large.is_empty() {
                coordinates.reserve_exact(sizes.len() * dimensions);
                for i in 0..sizes.len() {
                    let scale = if is_too_large(&i) { 0.0 } else { scale };
                    coordinates.extend(points.row(i).iter().map(|x| T::rounded(x.to_f64() * scale)));
                }
            }
            ScaledPoints { coordinates, too_large }
        };
        Self { scale, points: [scaled(x, &sizes[0]), scaled(y, &sizes[1])] }
    }

    /// Writes the distances of all pairs.
    pub(super) fn distances(
        &self,
        road: Road,
        pairs: Pairs<'_, T>,
        form: DistanceForm,
        mut out: MatMut<'_, T>,
    ) -> Result<(), Error> {
        let Pairs { x, y, symmetric, .. } = pairs;
        let [rows, columns] = &self.points;
        let scaled_x = rows.view(x)?;
        let scaled_y = if symmetric { scaled_x } else { columns.view(y)? };
        let (min_sum, unscale) = (T::rounded(min_sum::<T>(x.cols())), T::rounded(1.0 / self.scale));
        let rescue = Some(Rescue { x, y, min_sum, unscale });
        fill(road, Task { x: scaled_x, y: scaled_y, symmetric, form, rescue }, out.reborrow());
        for &row in &rows.too_large {
            T::distances_from(road, x.row(row), y, form, out.row_mut(row));
        }
        let too_large = if symmetric { &rows.too_large } else { &columns.too_large };
        let mut distances = vec![T::zero(); if too_large.is_empty() { 0 } else { x.rows() }];
        for &column in too_large {
            T::distances_from(road, y.row(column), x, form, &mut distances);
            for (row, &distance) in distances.iter().enumerate() {
                out.row_mut(row)[column] = distance;
            }
        }
        Ok(())
    }
}

impl<T: Real> ScaledPoints<T> {
    /// Returns the scaled points, given the points; these themselves if they are not scaled.
    fn view<'a>(&'a self, points: MatRef<'a, T>) -> Result<MatRef<'a, T>, Error> {
        if self.coordinates.is_empty() {
            return Ok(points);
        }
        MatRef::new(&self.coordinates, points.rows(), points.cols())
    }
}
