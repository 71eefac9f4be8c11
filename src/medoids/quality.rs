//! How good a clustering is.

use super::cache::{Cache, Problem};
use super::search::members;
use super::start::check_medoids;
use super::{check_elements, check_row, check_square};
use crate::kernels::lanes::MAX_LANES;
use crate::{Error, Isa, MatRef, Real};

/// Columns whose sums are kept in the first-level cache while rows go by.
const BLOCK: usize = 1024;

/// The silhouette of every object, (b - a) / max(a, b), where a is its mean dissimilarity to the other members of its
/// cluster and b the least of its mean dissimilarities to the members of another; returns their mean. 1 is well inside,
/// 0 between two clusters, -1 in the wrong one; objects alone in their cluster, and those with a = b = 0, have 0
/// (Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", 1987, section 2).
///
/// The matrix is as for [`KMedoids::fit`](crate::KMedoids::fit): row c holds the dissimilarity of every object to object c. Labels
/// are any numbers below n; those that no object has do not count.
///
/// Two streaming reads of the matrix, one of them to check it, in O(n²) time and O(n) memory; sums are kept in `f64` and
/// results rounded once.
///
/// # Errors
/// - [`Error::NotSquare`], [`Error::Empty`] for the matrix, [`Error::Element`] if a dissimilarity is NaN, infinite or
///   negative.
/// - [`Error::Length`] if `labels` or `out` have not n elements, [`Error::Label`] if a label is not below n.
/// - [`Error::Parameter`] if all labels are equal: with one cluster there is no b.
///
/// ```
/// use mantex::{KMedoids, MatRef, silhouette};
/// let x = [0.0_f64, 0.1, 0.2, 7.0, 7.1, 7.3];
/// let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
/// let d = MatRef::new(&d, 6, 6)?;
/// let mut each = [0.0; 6];
/// let mean = silhouette(d, KMedoids::new(2).fit(d)?.labels(), &mut each)?;
/// assert!(mean > 0.9 && each.iter().all(|s| *s > 0.9));
/// # Ok::<(), mantex::Error>(())
/// ```
pub fn silhouette<T: Real>(dissimilarities: MatRef<'_, T>, labels: &[usize], out: &mut [T]) -> Result<T, Error> {
    all(None, dissimilarities, labels, out)
}

/// [`silhouette`] on the given instruction set.
///
/// # Errors
/// As [`silhouette`].
pub fn silhouette_on<T: Real>(
    isa: Isa,
    dissimilarities: MatRef<'_, T>,
    labels: &[usize],
    out: &mut [T],
) -> Result<T, Error> {
    all(Some(isa), dissimilarities, labels, out)
}

/// The medoid silhouette of every object, 1 - d1 / d2, where d1 and d2 are its dissimilarities to the nearest and second
/// nearest medoid; returns their mean. 1 is at a medoid, 0 between two; where d1 = d2 = 0 it is 0 (Van der Laan, Pollard &
/// Bryan, "A new partitioning around medoids algorithm", 2003; Lenssen & Schubert, "Clustering by Direct Optimization of
/// the Medoid Silhouette", SISAP 2022).
///
/// The matrix is as for [`KMedoids::fit`](crate::KMedoids::fit). Only the medoids' k rows are read, in O(k n) time and O(n) memory.
///
/// # Errors
/// - [`Error::NotSquare`] for the matrix, [`Error::Element`] if a dissimilarity to a medoid is NaN, infinite or negative.
/// - [`Error::Medoid`] if a medoid is out of range or given twice, [`Error::Parameter`] if there are fewer than 2.
/// - [`Error::Length`] if `out` has not n elements.
///
/// ```
/// use mantex::{MatRef, medoid_silhouette};
/// let x = [0.0_f64, 1.0, 9.0, 10.0];
/// let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
/// let mut each = [0.0; 4];
/// let mean = medoid_silhouette(MatRef::new(&d, 4, 4)?, &[0, 3], &mut each)?;
/// assert_eq!(each, [1.0, 1.0 - 1.0 / 9.0, 1.0 - 1.0 / 9.0, 1.0]);
/// assert!((mean - (1.0 - 1.0 / 18.0)).abs() < 1e-15);
/// # Ok::<(), mantex::Error>(())
/// ```
pub fn medoid_silhouette<T: Real>(
    dissimilarities: MatRef<'_, T>,
    medoids: &[usize],
    out: &mut [T],
) -> Result<T, Error> {
    medoid(None, dissimilarities, medoids, out)
}

/// [`medoid_silhouette`] on the given instruction set.
///
/// # Errors
/// As [`medoid_silhouette`].
pub fn medoid_silhouette_on<T: Real>(
    isa: Isa,
    dissimilarities: MatRef<'_, T>,
    medoids: &[usize],
    out: &mut [T],
) -> Result<T, Error> {
    medoid(Some(isa), dissimilarities, medoids, out)
}

/// Writes the elements and returns their mean.
fn finish<T: Real>(out: &mut [T], silhouettes: impl Iterator<Item = f64>) -> T {
    let (mut sum, n) = (0.0, out.len() as f64);
    for (out, s) in out.iter_mut().zip(silhouettes) {
        *out = T::from_f64(s);
        sum += s;
    }
    T::from_f64(sum / n)
}

fn all<T: Real>(isa: Option<Isa>, d: MatRef<'_, T>, labels: &[usize], out: &mut [T]) -> Result<T, Error> {
    let n = check_square(d)?;
    if n == 0 {
        return Err(Error::Empty { argument: "dissimilarities" });
    }
    for (argument, actual) in [("labels", labels.len()), ("out", out.len())] {
        if actual != n {
            return Err(Error::Length { argument, actual, expected: n });
        }
    }
    if let Some((object, &label)) = labels.iter().enumerate().find(|&(_, &label)| label >= n) {
        return Err(Error::Label { object, label, objects: n });
    }
    if labels.iter().all(|&label| label == labels[0]) {
        return Err(Error::Parameter { argument: "labels", value: 1.0, expected: "of at least 2 clusters" });
    }
    check_elements(isa, d)?;

    let (members, ends) = members(labels, n);
    let (mut a, mut b) = (vec![0.0; n], vec![f64::INFINITY; n]);
    let mut sums = vec![0.0; BLOCK.next_multiple_of(MAX_LANES)];
    for from in (0..n).step_by(BLOCK) {
        let to = n.min(from + BLOCK);
        let mut start = 0;
        for (label, &end) in ends.iter().enumerate() {
            let rows = &members[start..end];
            start = end;
            if rows.is_empty() {
                continue;
            }
            sums.fill(0.0);
            T::add_rows(isa, d, rows, (from, to), &mut sums);
            let size = rows.len() as f64;
            for (o, sum) in (from..to).zip(&sums) {
                if labels[o] != label {
                    b[o] = b[o].min(sum / size);
                } else if rows.len() > 1 {
                    let own = d.row(o)[o].to_f64();
                    // A large dissimilarity to itself would leave no digit of the others.
                    let others = || rows.iter().map(|&p| p as usize).filter(|&p| p != o).map(|p| d.row(p)[o].to_f64());
                    let sum = if own > sum / 2.0 { others().sum() } else { sum - own };
                    a[o] = sum / (size - 1.0);
                } else {
                    // Alone: as if between two clusters.
                    a[o] = f64::NAN;
                }
            }
        }
    }
    if let Some(&value) = a.iter().chain(&b).find(|x| **x == f64::INFINITY) {
        let expected = "such that its sums do not overflow";
        return Err(Error::Parameter { argument: "dissimilarities", value, expected });
    }
    let silhouettes = a.iter().zip(&b).map(|(&a, &b)| {
        let larger = a.max(b);
        if a.is_nan() || larger == 0.0 { 0.0 } else { (b - a) / larger }
    });
    Ok(finish(out, silhouettes))
}

fn medoid<T: Real>(isa: Option<Isa>, d: MatRef<'_, T>, medoids: &[usize], out: &mut [T]) -> Result<T, Error> {
    let n = check_square(d)?;
    check_medoids(n, medoids)?;
    if medoids.len() < 2 {
        let value = medoids.len() as f64;
        return Err(Error::Parameter { argument: "medoids", value, expected: "at least 2 medoids" });
    }
    if out.len() != n {
        return Err(Error::Length { argument: "out", actual: out.len(), expected: n });
    }
    for &medoid in medoids {
        check_row(isa, medoid, d.row(medoid))?;
    }
    let cache = Cache::with_medoids(Problem { isa, d, weights: &[] }, medoids);
    let silhouettes = (0..n).map(|o| {
        let (d1, d2) = (cache.d1(o).to_f64(), cache.d2(o).to_f64());
        if d2 == 0.0 { 0.0 } else { 1.0 - d1 / d2 }
    });
    Ok(finish(out, silhouettes))
}
