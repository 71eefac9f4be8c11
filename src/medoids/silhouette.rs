//! How good a clustering is.

use super::cache::{Cache, Problem};
use super::init::check_medoids;
use super::kmedoids::{check_elements, check_row};
use super::search::members;
use crate::check;
use crate::dispatch::Road;
use crate::isa::functions_and_isa_methods;
use crate::kernels::lanes::MAX_LANES;
use crate::real::Element;
use crate::{Error, MatRef, Real};

/// Columns whose sums are kept in the first-level cache while rows go by.
const BLOCK: usize = 1024;

functions_and_isa_methods! {
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
    /// - [`Error::NotSquare`], [`Error::Empty`] for the matrix, [`Error::InvalidElement`] if a dissimilarity is NaN, infinite or
    ///   negative.
    /// - [`Error::LengthMismatch`] if `labels` or `out` have not n elements, [`Error::LabelOutOfRange`] if a label is not below n.
    /// - [`Error::InvalidParameter`] if all labels are equal: with one cluster there is no b.
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
    fn silhouette(dissimilarities: MatRef<'_, T>, labels: &[usize], out: &mut [T]) -> Result<T, Error> |road| {
        all(road, dissimilarities, labels, out)
    }
}

functions_and_isa_methods! {
    /// The medoid silhouette of every object, 1 - d1 / d2, where d1 and d2 are its dissimilarities to the nearest and second
    /// nearest medoid; returns their mean. 1 is at a medoid, 0 between two; where d1 = d2 = 0 it is 0 (Van der Laan, Pollard &
    /// Bryan, "A new partitioning around medoids algorithm", 2003; Lenssen & Schubert, "Clustering by Direct Optimization of
    /// the Medoid Silhouette", SISAP 2022).
    ///
    /// The matrix is as for [`KMedoids::fit`](crate::KMedoids::fit). Only the medoids' k rows are read, in O(k n) time and O(n) memory.
    ///
    /// # Errors
    /// - [`Error::NotSquare`] for the matrix, [`Error::InvalidElement`] if a dissimilarity to a medoid is NaN, infinite or negative.
    /// - [`Error::Medoid`] if a medoid is out of range or given twice, [`Error::InvalidParameter`] if there are fewer than 2.
    /// - [`Error::LengthMismatch`] if `out` has not n elements.
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
    fn medoid_silhouette(dissimilarities: MatRef<'_, T>, medoids: &[usize], out: &mut [T]) -> Result<T, Error> |road| {
        medoid(road, dissimilarities, medoids, out)
    }
}

/// Writes the elements and returns their mean.
fn finish<T: Real>(out: &mut [T], silhouettes: impl Iterator<Item = f64>) -> T {
    let (mut sum, n) = (0.0, out.len() as f64);
    for (out, s) in out.iter_mut().zip(silhouettes) {
        *out = T::rounded(s);
        sum += s;
    }
    T::rounded(sum / n)
}

fn all<T: Real>(road: Road, d: MatRef<'_, T>, labels: &[usize], out: &mut [T]) -> Result<T, Error> {
    let n = check::square("dissimilarities", d)?;
    if n == 0 {
        return Err(Error::Empty { argument: "dissimilarities" });
    }
    for (argument, actual) in [("labels", labels.len()), ("out", out.len())] {
        if actual != n {
            return Err(Error::LengthMismatch { argument, actual, expected: n });
        }
    }
    if let Some((object, &label)) = labels.iter().enumerate().find(|&(_, &label)| label >= n) {
        return Err(Error::LabelOutOfRange { object, label, objects: n });
    }
    if labels.iter().all(|&label| label == labels[0]) {
        return Err(Error::InvalidParameter { argument: "labels", value: 1.0, expected: "of at least 2 clusters" });
    }
    check_elements(road, d)?;

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
            T::add_rows(road, d, rows, (from, to), &mut sums);
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
        return Err(Error::InvalidParameter { argument: "dissimilarities", value, expected });
    }
    let silhouettes = a.iter().zip(&b).map(|(&a, &b)| {
        let larger = a.max(b);
        if a.is_nan() || larger == 0.0 { 0.0 } else { (b - a) / larger }
    });
    Ok(finish(out, silhouettes))
}

fn medoid<T: Real>(road: Road, d: MatRef<'_, T>, medoids: &[usize], out: &mut [T]) -> Result<T, Error> {
    let n = check::square("dissimilarities", d)?;
    check_medoids(n, medoids)?;
    if medoids.len() < 2 {
        let value = medoids.len() as f64;
        return Err(Error::InvalidParameter { argument: "medoids", value, expected: "at least 2 medoids" });
    }
    if out.len() != n {
        return Err(Error::LengthMismatch { argument: "out", actual: out.len(), expected: n });
    }
    for &medoid in medoids {
        check_row(road, medoid, d.row(medoid))?;
    }
    let cache = Cache::with_medoids(Problem { road, d, weights: &[] }, medoids);
    let silhouettes = (0..n).map(|o| {
        let (d1, d2) = (cache.d1(o).to_f64(), cache.d2(o).to_f64());
        if d2 == 0.0 { 0.0 } else { 1.0 - d1 / d2 }
    });
    Ok(finish(out, silhouettes))
}
