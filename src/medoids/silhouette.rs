//! The quality of a clustering.

use super::alternating::members;
use super::cache::Cache;
use super::dissimilarities::Dissimilarities;
use super::input::{check_elements, check_medoids, check_row};
use crate::check;
use crate::dispatch::Road;
use crate::dispatch::functions_and_isa_methods;
use crate::kernels::lanes::MAX_LANES;
use crate::kernels::medoids::tuning::BLOCK_COLUMNS;
use crate::real::Element;
use crate::{Error, MatRef, Real};

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
        silhouette_via(road, dissimilarities, labels, out)
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
        medoid_silhouette_via(road, dissimilarities, medoids, out)
    }
}

/// Writes the silhouettes and returns the mean.
fn write_with_mean<T: Real>(out: &mut [T], silhouettes: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, n) = (0.0, out.len() as f64);
    for (out, s) in out.iter_mut().zip(silhouettes) {
        *out = T::rounded(s);
        sum += s;
    }
    sum / n
}

/// Runs [`silhouette`] on a given road.
fn silhouette_via<T: Real>(road: Road, matrix: MatRef<'_, T>, labels: &[usize], out: &mut [T]) -> Result<f64, Error> {
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
    check_elements(road, matrix)?;

    let (own, other) = mean_dissimilarities(road, matrix, labels);
    if own.iter().chain(&other).any(|&mean| mean == f64::INFINITY) {
        return Err(Error::SumOverflow { argument: "dissimilarities" });
    }
    let silhouettes = own.iter().zip(&other).map(|(&a, &b)| {
        let larger = a.max(b);
        if a.is_nan() || larger == 0.0 { 0.0 } else { (b - a) / larger }
    });
    Ok(write_with_mean(out, silhouettes))
}

/// Returns a and b for every object. The first is its mean dissimilarity to the other members of
/// its cluster, NaN if there are none. The second is the smallest of its mean dissimilarities to
/// the members of each other cluster.
fn mean_dissimilarities<T: Real>(road: Road, matrix: MatRef<'_, T>, labels: &[usize]) -> (Vec<f64>, Vec<f64>) {
    let n = labels.len();
    let (members, ends) = members(labels, n);
    let (mut own, mut other) = (vec![f64::NAN; n], vec![f64::INFINITY; n]);
    let mut column_sums = vec![0.0; BLOCK_COLUMNS.next_multiple_of(MAX_LANES)];
    for from in (0..n).step_by(BLOCK_COLUMNS) {
        let to = n.min(from + BLOCK_COLUMNS);
        let mut start = 0;
        for (label, &end) in ends.iter().enumerate() {
            let cluster = &members[start..end];
            start = end;
            if cluster.is_empty() {
                continue;
            }
            column_sums.fill(0.0);
            T::add_rows(road, matrix, cluster, (from, to), &mut column_sums);
            let size = cluster.len() as f64;
            for (o, &sum) in (from..to).zip(&column_sums) {
                if labels[o] != label {
                    other[o] = other[o].min(sum / size);
                } else if cluster.len() > 1 {
                    own[o] = sum_without_itself(matrix, cluster, o, sum) / (size - 1.0);
                }
            }
        }
    }
    (own, other)
}

/// Returns the sum of an object's dissimilarities to the other members, given the sum over all
/// members.
fn sum_without_itself<T: Real>(matrix: MatRef<'_, T>, members: &[u32], object: usize, sum: f64) -> f64 {
    let own = matrix.row(object)[object].to_f64();
    if own > sum / 2.0 {
        // The difference would cancel: next to a large dissimilarity of the object to itself, the
        // sum has no digits of the others.
        let others = members.iter().map(|&p| p as usize).filter(|&p| p != object);
        others.map(|p| matrix.row(p)[object].to_f64()).sum()
    } else {
        sum - own
    }
}

/// Runs [`medoid_silhouette`] on a given road.
fn medoid_silhouette_via<T: Real>(
    road: Road,
    matrix: MatRef<'_, T>,
    medoids: &[usize],
    out: &mut [T],
) -> Result<f64, Error> {
    let n = check::square("dissimilarities", matrix)?;
    check_medoids(n, medoids)?;
    if medoids.len() < 2 {
        return Err(Error::TooFew { argument: "medoids", parts: "medoids", actual: medoids.len(), minimum: 2 });
    }
    check::length("out", out.len(), n)?;
    for &medoid in medoids {
        check_row(road, medoid, matrix.row(medoid))?;
    }
    let cache = Cache::with_medoids(Dissimilarities { road, matrix, weights: &[] }, medoids);
    let silhouettes = (0..n).map(|o| {
        let (d1, d2) = (cache.d1(o).to_f64(), cache.d2(o).to_f64());
        if d2 == 0.0 { 0.0 } else { 1.0 - d1 / d2 }
    });
    Ok(write_with_mean(out, silhouettes))
}
