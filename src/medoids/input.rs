//! The checks of dissimilarities, weights and medoids.

use super::kmedoids::KMedoids;
use super::options::Init;
use crate::check::Shape;
use crate::dispatch::Road;
use crate::real::Element;
use crate::{Error, MatRef, Real, check};
use alloc::vec;
use core::sync::atomic::{AtomicBool, Ordering};

/// Checks everything except the values of the dissimilarities. Returns the number of objects.
pub(super) fn check_input<T: Real>(
    options: &KMedoids,
    matrix: MatRef<'_, T>,
    weights: Option<&[T]>,
) -> Result<usize, Error> {
    let n = check::square("dissimilarities", matrix)?;
    check_initial_medoids(options, n)?;
    if let Some(weights) = weights {
        check_weights(n, weights)?;
    }
    Ok(n)
}

/// Fails unless the number of medoids is possible and given medoids are valid.
pub(super) fn check_initial_medoids(options: &KMedoids, n: usize) -> Result<(), Error> {
    let k = options.k;
    if k == 0 || k > n {
        return Err(Error::MedoidCountOutOfRange { k, objects: n });
    }
    if let Init::Given(medoids) = &options.init {
        check::length("medoids", medoids.len(), k)?;
        check_medoids(n, medoids)?;
    }
    Ok(())
}

/// Fails unless there is one weight per object, all are finite and not negative, and one is not 0.
pub(super) fn check_weights<T: Real>(n: usize, weights: &[T]) -> Result<(), Error> {
    check::length("weights", weights.len(), n)?;
    for (row, value) in weights.iter().map(|w| w.to_f64()).enumerate() {
        if !(0.0..f64::INFINITY).contains(&value) {
            let expected = "finite and not negative";
            return Err(Error::InvalidElement { argument: "weights", row, col: 0, value, expected });
        }
    }
    if weights.iter().all(|w| w.to_f64() == 0.0) {
        return Err(Error::TooFew { argument: "weights", parts: "positive weights", actual: 0, minimum: 1 });
    }
    Ok(())
}

/// Fails unless the medoids are distinct and below `n`.
pub(super) fn check_medoids(n: usize, medoids: &[usize]) -> Result<(), Error> {
    let mut seen = vec![false; n];
    for &medoid in medoids {
        if medoid >= n {
            return Err(Error::MedoidOutOfRange { medoid, objects: n });
        }
        if seen[medoid] {
            return Err(Error::DuplicateMedoid { medoid });
        }
        seen[medoid] = true;
    }
    Ok(())
}

/// Fails unless every dissimilarity is finite and not negative.
pub(super) fn check_elements<T: Real>(road: Road, matrix: MatRef<'_, T>) -> Result<(), Error> {
    let all_valid = AtomicBool::new(true);
    road.each_band(matrix.shape(), matrix, |matrix| {
        let are_valid = matrix.iter_rows().all(|row| T::all_finite_non_negative(road, row));
        all_valid.fetch_and(are_valid, Ordering::Relaxed);
    });
    if all_valid.into_inner() {
        return Ok(());
    }
    matrix.iter_rows().enumerate().try_for_each(|(row, elements)| check_row(road, row, elements))
}

/// Fails unless every dissimilarity of one row is finite and not negative.
pub(super) fn check_row<T: Real>(road: Road, row: usize, elements: &[T]) -> Result<(), Error> {
    if T::all_finite_non_negative(road, elements) {
        return Ok(());
    }
    let values = elements.iter().map(|x| x.to_f64()).enumerate();
    match { values }.find(|(_, value)| !(0.0..f64::INFINITY).contains(value)) {
        Some((col, value)) => Err(invalid(row, col, value)),
        None => Ok(()),
    }
}

/// Returns the error for the first invalid element of a matrix that has one.
pub(super) fn first_invalid<T: Real>(road: Road, matrix: MatRef<'_, T>) -> Error {
    check_elements(road, matrix).err().unwrap_or(invalid(0, 0, f64::NAN))
}

/// Returns the error for an invalid dissimilarity.
fn invalid(row: usize, col: usize, value: f64) -> Error {
    Error::InvalidElement { argument: "dissimilarities", row, col, value, expected: "finite and not negative" }
}
