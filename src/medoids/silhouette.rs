//! The quality of a clustering.

use super::alternating::members;
use super::cache::Cache;
use super::dissimilarities::Dissimilarities;
use super::input::{check_elements, check_medoids, check_row, check_weights};
use super::layout::Layout;
use super::replicas::Replicas;
use crate::check;
use crate::dispatch::Road;
use crate::dispatch::functions_and_isa_methods;
use crate::kernels::lanes::MAX_LANES;
use crate::kernels::medoids::tuning::BLOCK_COLUMNS;
use crate::real::Element;
use crate::{Error, MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// The least number of columns that a thread sums: four cache lines of a row.
const MIN_COLUMNS: usize = 64;

functions_and_isa_methods! {
    in medoids;

    /// Writes the silhouette of every object, `(b - a) / max(a, b)`, and returns the mean.
    ///
    /// Here a is the object's mean dissimilarity to the other members of its cluster, and b the
    /// smallest of its mean dissimilarities to the members of each other cluster. The silhouette is
    /// near 1 well inside a cluster, near 0 between two clusters, and near -1 in the wrong cluster.
    /// `dissimilarities` is n x n, as for [`KMedoids::fit`](crate::KMedoids::fit). `labels` are any
    /// numbers below n; not every number must occur.
    ///
    /// - Accuracy: sums are kept in `f64`; each result is rounded once.
    /// - Special values: the silhouette is 0 for an object alone in its cluster, and if a = b = 0.
    /// - Errors: as listed below; `out` is then unchanged.
    /// - Cost and source: two reads of the matrix, one of them to check it; allocates O(n).
    ///   Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster
    ///   analysis", 1987, section 2.
    ///
    /// # Errors
    /// - [`Error::NotSquare`] or [`Error::Empty`] if the matrix is not square or is empty.
    /// - [`Error::InvalidElement`] if a dissimilarity is NaN, infinite or negative.
    /// - [`Error::LengthMismatch`] if `labels` or `out` does not have n elements.
    /// - [`Error::LabelOutOfRange`] if a label is not below n.
    /// - [`Error::TooFew`] if all labels are equal: with one cluster there is no b.
    /// - [`Error::SumOverflow`] if a sum over the dissimilarities overflows `f64`.
    ///
    /// ```
    /// use mantex::{KMedoids, MatRef, medoids::silhouette};
    /// let x = [0.0_f64, 0.1, 0.2, 7.0, 7.1, 7.3];
    /// let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
    /// let d = MatRef::new(&d, 6, 6)?;
    /// let mut each = [0.0; 6];
    /// let mean = silhouette(d, KMedoids::new(2).fit(d)?.labels(), &mut each)?;
    /// assert!(mean > 0.9 && each.iter().all(|s| *s > 0.9));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn silhouette(dissimilarities: MatRef<'_, T>, labels: &[usize], out: &mut [T]) -> Result<f64, Error> |road| {
        silhouette_via(road, dissimilarities, labels, None, out)
    }
}

functions_and_isa_methods! {
    in medoids;

    /// Writes the silhouette of every object with weights, `(b - a) / max(a, b)`, and returns the
    /// mean with the same weights.
    ///
    /// As [`silhouette`](silhouette()), but a and b are weighted means: over objects p, the mean of
    /// d(p, o) is `sum_p w[p] d(p, o) / sum_p w[p]`. The object itself is left out of a, whatever
    /// its weight, so only ratios of weights matter. An object of weight 0 counts for nothing, but
    /// has a silhouette.
    ///
    /// - Accuracy: as [`silhouette`](silhouette()).
    /// - Special values: the silhouette is 0 if the weights of the other members of the object's
    ///   cluster are all 0, and if a = b = 0. A cluster whose weights are all 0 does not count for
    ///   b.
    /// - Errors: as listed below; `out` is then unchanged.
    /// - Cost and source: as [`silhouette`](silhouette()); from the definition.
    ///
    /// # Errors
    /// Those of [`silhouette`](silhouette()), and:
    /// - [`Error::LengthMismatch`] if there is not one weight per object.
    /// - [`Error::InvalidElement`] if a weight is NaN, infinite or negative.
    /// - [`Error::TooFew`] if fewer than two clusters have positive weights.
    /// - [`Error::SumOverflow`] if the sum of the weights overflows `f64`.
    ///
    /// ```
    /// use mantex::{MatRef, medoids::silhouette_weighted};
    /// let x = [0.0_f64, 1.0, 9.0, 10.0];
    /// let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
    /// let (labels, weights, mut each) = ([0, 0, 1, 1], [1.0, 1.0, 3.0, 0.0], [0.0; 4]);
    /// let mean = silhouette_weighted(MatRef::new(&d, 4, 4)?, &labels, &weights, &mut each)?;
    /// // Only object 2 counts in its cluster: object 0 has a = 1 and b = 9.
    /// assert_eq!(each, [8.0 / 9.0, 7.0 / 8.0, 0.0, (9.5 - 1.0) / 9.5]);
    /// assert!((mean - (each[0] + each[1]) / 5.0).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn silhouette_weighted(
        dissimilarities: MatRef<'_, T>,
        labels: &[usize],
        weights: &[T],
        out: &mut [T],
    ) -> Result<f64, Error> |road| {
        silhouette_via(road, dissimilarities, labels, Some(weights), out)
    }
}

functions_and_isa_methods! {
    in medoids;

    /// Writes the medoid silhouette of every object, `1 - d1 / d2`, and returns the mean.
    ///
    /// Here d1 and d2 are the object's dissimilarities to its nearest and second nearest medoid.
    /// The medoid silhouette is 1 if d1 is 0, as at a medoid, and 0 midway between two medoids.
    /// `dissimilarities` is n x n, as for [`KMedoids::fit`](crate::KMedoids::fit); only the rows of
    /// the k medoids are read.
    ///
    /// - Accuracy: each result is computed in `f64` and rounded once.
    /// - Special values: the medoid silhouette is 0 if d1 = d2 = 0.
    /// - Errors: as listed below; `out` is then unchanged.
    /// - Cost and source: two reads of k rows, one of them to check them; allocates O(n). Van der
    ///   Laan, Pollard & Bryan, "A new partitioning around medoids algorithm", 2003; Lenssen &
    ///   Schubert, "Clustering by Direct Optimization of the Medoid Silhouette", SISAP 2022.
    ///
    /// # Errors
    /// - [`Error::NotSquare`] if the matrix is not square.
    /// - [`Error::InvalidElement`] if a dissimilarity to a medoid is NaN, infinite or negative.
    /// - [`Error::MedoidOutOfRange`] if a medoid is not below n; [`Error::DuplicateMedoid`] if a
    ///   medoid is given twice.
    /// - [`Error::TooFew`] if there are fewer than 2 medoids.
    /// - [`Error::LengthMismatch`] if `out` does not have n elements.
    ///
    /// ```
    /// use mantex::{MatRef, medoids::medoid_silhouette};
    /// let x = [0.0_f64, 1.0, 9.0, 10.0];
    /// let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
    /// let mut each = [0.0; 4];
    /// let mean = medoid_silhouette(MatRef::new(&d, 4, 4)?, &[0, 3], &mut each)?;
    /// assert_eq!(each, [1.0, 1.0 - 1.0 / 9.0, 1.0 - 1.0 / 9.0, 1.0]);
    /// assert!((mean - (1.0 - 1.0 / 18.0)).abs() < 1e-15);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn medoid_silhouette(
        dissimilarities: MatRef<'_, T>,
        medoids: &[usize],
        out: &mut [T],
    ) -> Result<f64, Error> |road| {
        medoid_silhouette_via(road, dissimilarities, medoids, None, out)
    }
}

functions_and_isa_methods! {
    in medoids;

    /// Writes the medoid silhouette of every object, `1 - d1 / d2`, and returns the mean with
    /// weights, `sum_o w[o] s[o] / sum_o w[o]`.
    ///
    /// The medoid silhouettes are those of [`medoid_silhouette`]: only the mean depends on the
    /// weights.
    ///
    /// - Accuracy: as [`medoid_silhouette`].
    /// - Special values: as [`medoid_silhouette`]; an object of weight 0 counts for nothing.
    /// - Errors: as listed below; `out` is then unchanged.
    /// - Cost and source: as [`medoid_silhouette`].
    ///
    /// # Errors
    /// Those of [`medoid_silhouette`], and:
    /// - [`Error::LengthMismatch`] if there is not one weight per object.
    /// - [`Error::InvalidElement`] if a weight is NaN, infinite or negative.
    /// - [`Error::TooFew`] if all weights are 0.
    ///
    /// ```
    /// use mantex::{MatRef, medoids::medoid_silhouette_weighted};
    /// let x = [0.0_f64, 1.0, 9.0, 10.0];
    /// let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
    /// let mut each = [0.0; 4];
    /// let d = MatRef::new(&d, 4, 4)?;
    /// let mean = medoid_silhouette_weighted(d, &[0, 3], &[1.0, 0.0, 0.0, 3.0], &mut each)?;
    /// assert_eq!(each, [1.0, 1.0 - 1.0 / 9.0, 1.0 - 1.0 / 9.0, 1.0]);
    /// assert_eq!(mean, 1.0);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn medoid_silhouette_weighted(
        dissimilarities: MatRef<'_, T>,
        medoids: &[usize],
        weights: &[T],
        out: &mut [T],
    ) -> Result<f64, Error> |road| {
        medoid_silhouette_via(road, dissimilarities, medoids, Some(weights), out)
    }
}

/// Writes the silhouettes and returns the mean. Weights are relative to the largest of them, so
/// that their sum does not overflow.
fn write_with_mean<T: Real>(out: &mut [T], weights: Option<&[T]>, silhouettes: impl Iterator<Item = f64>) -> f64 {
    let largest = weights.map_or(1.0, |weights| weights.iter().map(|w| w.to_f64()).fold(0.0, f64::max));
    let (mut sum, mut total) = (0.0, 0.0);
    for (o, (out, s)) in out.iter_mut().zip(silhouettes).enumerate() {
        let weight = weights.map_or(1.0, |weights| weights[o].to_f64() / largest);
        *out = T::rounded(s);
        sum += weight * s;
        total += weight;
    }
    sum / total
}

/// Runs [`silhouette`] or [`silhouette_weighted`] on a given road.
fn silhouette_via<T: Real>(
    road: Road,
    matrix: MatRef<'_, T>,
    labels: &[usize],
    weights: Option<&[T]>,
    out: &mut [T],
) -> Result<f64, Error> {
    let n = check::square("dissimilarities", matrix)?;
    if n == 0 {
        return Err(Error::Empty { argument: "dissimilarities" });
    }
    check::length("labels", labels.len(), n)?;
    check::length("out", out.len(), n)?;
    if let Some((object, &label)) = labels.iter().enumerate().find(|&(_, &label)| label >= n) {
        return Err(Error::LabelOutOfRange { object, label, objects: n });
    }
    if labels.iter().all(|&label| label == labels[0]) {
        return Err(Error::TooFew { argument: "labels", parts: "clusters", actual: 1, minimum: 2 });
    }
    if let Some(weights) = weights {
        check_weights(n, weights)?;
        if weights.iter().map(|w| w.to_f64()).sum::<f64>() == f64::INFINITY {
            return Err(Error::SumOverflow { argument: "weights" });
        }
        let mut counted = labels.iter().zip(weights).filter(|(_, w)| w.to_f64() > 0.0).map(|(label, _)| label);
        let first = counted.next();
        if counted.all(|label| Some(label) == first) {
            let parts = "clusters with positive weights";
            return Err(Error::TooFew { argument: "labels", parts, actual: 1, minimum: 2 });
        }
    }
    check_elements(road, matrix)?;

    let d = Dissimilarities { road, matrix, weights: weights.unwrap_or_default(), layout: Layout::ONE };
    let (own, other) = mean_dissimilarities(d, labels);
    if own.iter().chain(&other).any(|&mean| mean == f64::INFINITY) {
        return Err(Error::SumOverflow { argument: "dissimilarities" });
    }
    let silhouettes = own.iter().zip(&other).map(|(&a, &b)| {
        let larger = a.max(b);
        if a.is_nan() || larger == 0.0 { 0.0 } else { (b - a) / larger }
    });
    Ok(write_with_mean(out, weights, silhouettes))
}

/// Returns a and b for every object. The first is its mean dissimilarity to the other members of
/// its cluster, NaN if none of them counts. The second is the smallest of its mean dissimilarities
/// to the members of each other cluster.
fn mean_dissimilarities<T: Real>(d: Dissimilarities<'_, T>, labels: &[usize]) -> (Vec<f64>, Vec<f64>) {
    let n = labels.len();
    let (members, ends) = members(labels, n);
    let (mut own, mut other) = (vec![f64::NAN; n], vec![f64::INFINITY; n]);
    let work = (0..n, &mut *own, &mut *other);
    d.road.each_band_of(MIN_COLUMNS, (n, n), work, |(columns, own, other)| {
        mean_dissimilarities_of(d, labels, (&members, &ends), columns, (own, other));
    });
    (own, other)
}

/// Writes the means of some of the objects.
fn mean_dissimilarities_of<T: Real>(
    d: Dissimilarities<'_, T>,
    labels: &[usize],
    (members, ends): (&[u32], &[usize]),
    columns: Range<usize>,
    (own, other): (&mut [f64], &mut [f64]),
) {
    let n = labels.len();
    let mut column_sums = vec![0.0; BLOCK_COLUMNS.next_multiple_of(MAX_LANES)];
    for from in columns.clone().step_by(BLOCK_COLUMNS) {
        let to = columns.end.min(from + BLOCK_COLUMNS);
        let mut start = 0;
        for (label, &end) in ends.iter().enumerate() {
            let cluster = &members[start..end];
            start = end;
            if cluster.is_empty() {
                continue;
            }
            let total = weight_without(d, cluster, n);
            column_sums.fill(0.0);
            T::add_rows(d.road, d.matrix, cluster, d.weights, (from, to), &mut column_sums);
            for (o, &sum) in (from..to).zip(&column_sums) {
                let at = o - columns.start;
                if labels[o] == label {
                    let rest = total - d.weight(o);
                    // Next to a large weight, the difference would have no digits of the others.
                    let rest = if rest < total / 2.0 { weight_without(d, cluster, o) } else { rest };
                    own[at] = if rest > 0.0 { sum_without(d, cluster, o, sum) / rest } else { f64::NAN };
                } else if total > 0.0 {
                    other[at] = other[at].min(sum / total);
                }
            }
        }
    }
}

/// Returns the weight of all members except an object.
fn weight_without<T: Real>(d: Dissimilarities<'_, T>, members: &[u32], object: usize) -> f64 {
    members.iter().map(|&p| p as usize).filter(|&p| p != object).map(|p| d.weight(p)).sum()
}

/// Returns the weighted sum of an object's dissimilarities to the other members, given the sum over
/// all members.
fn sum_without<T: Real>(d: Dissimilarities<'_, T>, members: &[u32], object: usize, sum: f64) -> f64 {
    let term = |p: usize| d.weight(p) * d.matrix.row(p)[object].to_f64();
    let own = term(object);
    if own > sum / 2.0 || own == f64::INFINITY {
        // The difference would cancel: next to a large dissimilarity of the object to itself, the
        // sum has no digits of the others.
        members.iter().map(|&p| p as usize).filter(|&p| p != object).map(term).sum()
    } else {
        sum - own
    }
}

/// Runs [`medoid_silhouette`] or [`medoid_silhouette_weighted`] on a given road.
fn medoid_silhouette_via<T: Real>(
    road: Road,
    matrix: MatRef<'_, T>,
    medoids: &[usize],
    weights: Option<&[T]>,
    out: &mut [T],
) -> Result<f64, Error> {
    let n = check::square("dissimilarities", matrix)?;
    check_medoids(n, medoids)?;
    if medoids.len() < 2 {
        return Err(Error::TooFew { argument: "medoids", parts: "medoids", actual: medoids.len(), minimum: 2 });
    }
    check::length("out", out.len(), n)?;
    if let Some(weights) = weights {
        check_weights(n, weights)?;
    }
    for &medoid in medoids {
        check_row(road, medoid, matrix.row(medoid))?;
    }
    let d = Dissimilarities { road, matrix, weights: &[], layout: Layout::ONE };
    let cache = Cache::with_medoids(d, medoids, Replicas::default());
    let silhouettes = (0..n).map(|o| {
        let (d1, d2) = (cache.d1(o).to_f64(), cache.d2(o).to_f64());
        if d2 == 0.0 { 0.0 } else { 1.0 - d1 / d2 }
    });
    Ok(write_with_mean(out, weights, silhouettes))
}
