//! The largest cost of a problem.

use crate::dispatch::Road;
use crate::real::Element;
use crate::{Error, MatRef, Real};

/// Returns the largest magnitude of a cost that is not infinite, between rows and columns with
/// mass. Fails if sums of a few of them might overflow.
pub(super) fn largest_cost<T: Real>(road: Road, cost: MatRef<'_, T>, a: &[T], b: &[T]) -> Result<f64, Error> {
    #[cfg(feature = "rayon")]
    if road.shares((cost.rows(), cost.cols())) {
        return super::threads::largest_cost(cost, a, b);
    }
    let _ = road;
    largest_of_rows(cost, 0, a, b)
}

/// Returns the largest magnitude of rows, from row `first` on, which have the masses `a`.
pub(super) fn largest_of_rows<T: Real>(cost: MatRef<'_, T>, first: usize, a: &[T], b: &[T]) -> Result<f64, Error> {
    let limit = if T::MAX < 1e100 { 1e30 } else { 1e300 };
    let (mut largest, narrow_limit) = (T::zero(), T::rounded(limit));
    for (row, _) in (first..).zip(a).filter(|(_, mass)| **mass > T::zero()) {
        let magnitude = |(&c, &b): (&T, &T)| {
            let magnitude = if c < T::zero() { -c } else { c };
            if b > T::zero() && magnitude < T::infinity() { magnitude } else { T::zero() }
        };
        let of_row = cost.row(row).iter().zip(b).map(magnitude);
        let of_row = of_row.fold(T::zero(), |largest, c| if c > largest { c } else { largest });
        if of_row > narrow_limit {
            let mut magnitudes = cost.row(row).iter().zip(b).map(magnitude);
            let col = magnitudes.position(|c| c > narrow_limit).unwrap_or(0);
            let value = cost.row(row)[col].to_f64();
            let expected = "at most 1e30 (`f64`: 1e300) in magnitude, or +inf to forbid a pair";
            return Err(Error::InvalidElement { argument: "cost", row, col, value, expected });
        }
        largest = if of_row > largest { of_row } else { largest };
    }
    Ok(largest.to_f64())
}
