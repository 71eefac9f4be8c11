//! Distances between points.

use alloc::vec;

mod directions;
mod metric;
mod range;
#[cfg(feature = "rayon")]
mod threads;

use crate::dispatch::{Road, functions_and_isa_methods};
use crate::kernels::pairwise::{DistanceForm, Extent, Task, errors_shape, panels_len};
use crate::real::Element;
use crate::{Error, MatMut, MatRef, Real, check};
use directions::Directions;
pub use metric::Metric;
use range::{Scaled, safe_range};

functions_and_isa_methods! {
    /// Computes the distances of all pairs of points.
    ///
    /// `out[i][j]` is the distance of the points in rows i and j of `points`, by the given metric.
    /// For n points, `out` is n x n. It is exactly symmetric with a diagonal of 0, and
    /// [`KMedoids::fit`](crate::KMedoids::fit) takes it as input.
    ///
    /// - Accuracy: as stated at each [`Metric`], at any number of dimensions and any magnitude of
    ///   the points. Coordinates are subtracted before they are squared, so near points far from
    ///   the origin lose no digits.
    /// - Special values: distances beyond the largest number are +inf. Coordinates that are NaN or
    ///   infinite are errors.
    /// - Errors: as listed below; `out` is then unchanged.
    /// - Cost and source: n² D / 2 multiply-adds for D dimensions, at half the CPU's rate or more
    ///   from 64 dimensions on; from the definition. Pairs whose squares leave the range of the
    ///   type take several times as long. Allocates a copy of at most 2048 dimensions of the
    ///   points; beyond 2048 dimensions, also a row of `out` for each of at most 1024 points; with
    ///   cosines, also a copy of all points.
    ///
    /// # Errors
    /// - [`Error::Empty`] if there are no points or no dimensions.
    /// - [`Error::ShapeMismatch`] if `out` is not n x n.
    /// - [`Error::InvalidElement`] if a coordinate is NaN or infinite.
    /// - [`Error::UndefinedCosine`] if the metric is [`Metric::Cosine`] and all coordinates of a
    ///   point are 0.
    ///
    /// ```
    /// use mantex::{MatMut, MatRef, Metric, distance_matrix};
    /// let points = [0.0_f32, 0.0, 3.0, 4.0, 3.0, 0.0];
    /// let mut d = [0.0; 9];
    /// let out = MatMut::new(&mut d, 3, 3)?;
    /// distance_matrix(MatRef::new(&points, 3, 2)?, out, Metric::Euclidean)?;
    /// assert_eq!(d, [0.0, 5.0, 3.0, 5.0, 0.0, 4.0, 3.0, 4.0, 0.0]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn distance_matrix(points: MatRef<'_, T>, out: MatMut<'_, T>, metric: Metric) -> Result<(), Error> |road| {
        if points.rows() == 0 || points.cols() == 0 {
            return Err(Error::Empty { argument: "points" });
        }
        check::shape("out", &out, (points.rows(), points.rows()))?;
        let extent = finite_extent(road, "points", points)?;
        let pairs = Pairs { x: points, y: points, names: ["points"; 2], symmetric: true };
        distances(road, pairs, extent, out, metric)
    }

    /// Computes the distances between the points of two sets.
    ///
    /// `out[i][j]` is the distance of the point in row i of `x` and the point in row j of `y`, by
    /// the given metric. For n and m points, `out` is n x m. Each distance has the same bits as in
    /// [`distance_matrix`]. With the medoids in `y`, [`Clustering::predict`] takes the matrix as
    /// input; it is also a cost matrix of optimal transport.
    ///
    /// - Accuracy: as [`distance_matrix`].
    /// - Special values: as [`distance_matrix`].
    /// - Errors: as listed below; `out` is then unchanged.
    /// - Cost and source: n m D multiply-adds for D dimensions, at the rate of [`distance_matrix`]
    ///   if m is large. Columns are computed in groups of 4 to 16, the last of which may be partly
    ///   empty. Allocates as [`distance_matrix`], for both sets.
    ///
    /// # Errors
    /// - [`Error::Empty`] if `x` or `y` has no points or no dimensions.
    /// - [`Error::ShapeMismatch`] if `y` does not have the dimensions of `x`, or if `out` is not
    ///   n x m.
    /// - [`Error::InvalidElement`] if a coordinate is NaN or infinite.
    /// - [`Error::UndefinedCosine`] if the metric is [`Metric::Cosine`] and all coordinates of a
    ///   point are 0.
    ///
    /// [`Clustering::predict`]: crate::medoids::Clustering::predict
    ///
    #[cfg_attr(feature = "medoids", doc = "```")]
    #[cfg_attr(not(feature = "medoids"), doc = "```ignore")]
    /// use mantex::{KMedoids, MatMut, MatRef, Metric, distance_matrix, distance_matrix_between};
    /// let points = [0.0_f32, 0.5, 1.5, 7.0, 7.5, 8.5]; // 6 points, 1 dimension
    /// let mut d = [0.0; 36];
    /// let x = MatRef::new(&points, 6, 1)?;
    /// distance_matrix(x, MatMut::new(&mut d, 6, 6)?, Metric::Manhattan)?;
    /// let clustering = KMedoids::new(2).fit(MatRef::new(&d, 6, 6)?)?;
    ///
    /// // The clusters of three new points.
    /// let new = MatRef::new(&[6.0_f32, 1.0, 9.0], 3, 1)?;
    /// let medoids: Vec<f32> = clustering.medoids().iter().map(|&m| points[m]).collect();
    /// let medoids = MatRef::new(&medoids, 2, 1)?;
    /// let mut d = [0.0; 6];
    /// distance_matrix_between(new, medoids, MatMut::new(&mut d, 3, 2)?, Metric::Manhattan)?;
    /// let (labels, _) = clustering.predict(MatRef::new(&d, 3, 2)?)?;
    /// let of = clustering.labels();
    /// assert_eq!(labels, [of[5], of[0], of[5]]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    fn distance_matrix_between(
        x: MatRef<'_, T>,
        y: MatRef<'_, T>,
        out: MatMut<'_, T>,
        metric: Metric,
    ) -> Result<(), Error> |road| {
        for (argument, points) in [("x", x), ("y", y)] {
            if points.rows() == 0 || points.cols() == 0 {
                return Err(Error::Empty { argument });
            }
        }
        check::shape("y", &y, (y.rows(), x.cols()))?;
        check::shape("out", &out, (x.rows(), y.rows()))?;
        let (a, b) = (finite_extent(road, "x", x)?, finite_extent(road, "y", y)?);
        let extent = Extent {
            largest: if a.largest > b.largest { a.largest } else { b.largest },
            smallest: if a.smallest < b.smallest { a.smallest } else { b.smallest },
        };
        distances(road, Pairs { x, y, names: ["x", "y"], symmetric: false }, extent, out, metric)
    }
}

/// The points of the rows and of the columns.
#[derive(Clone, Copy)]
struct Pairs<'a, T> {
    /// The points of the rows.
    x: MatRef<'a, T>,
    /// The points of the columns.
    y: MatRef<'a, T>,
    /// The names of the arguments.
    names: [&'static str; 2],
    /// Whether `x` and `y` are the same points.
    symmetric: bool,
}

/// Returns the extent of the coordinates. Fails unless all are finite.
fn finite_extent<T: Real>(road: Road, argument: &'static str, points: MatRef<'_, T>) -> Result<Extent<T>, Error> {
    T::extent(road, points).ok_or_else(|| {
        let elements =
            || points.iter_rows().enumerate().flat_map(|(row, x)| x.iter().enumerate().map(move |x| (row, x)));
        let found = elements().map(|(row, (col, x))| (row, col, x.to_f64())).find(|(_, _, x)| !x.is_finite());
        let (row, col, value) = found.unwrap_or((0, 0, f64::NAN));
        Error::InvalidElement { argument, row, col, value, expected: "finite" }
    })
}

/// Writes the distances of all pairs. The arguments are good, except that a point may lack a
/// direction.
fn distances<T: Real>(
    road: Road,
    pairs: Pairs<'_, T>,
    extent: Extent<T>,
    out: MatMut<'_, T>,
    metric: Metric,
) -> Result<(), Error> {
    let form = match metric {
        Metric::SquaredEuclidean => DistanceForm::Squares,
        Metric::Euclidean => DistanceForm::Root,
        Metric::Manhattan => DistanceForm::Absolute,
        Metric::Cosine | Metric::CosineOrOne => return cosines(road, pairs, out, metric == Metric::CosineOrOne),
    };
    let Pairs { x, y, symmetric, .. } = pairs;
    if form == DistanceForm::Absolute || safe_range(extent, x.cols(), form) {
        fill(road, Task { x, y, symmetric, form, rescue: None }, out);
        return Ok(());
    }
    let scaled = Scaled::of(road, pairs, form);
    scaled.distances(road, pairs, form, out)
}

/// Writes the cosine distances of all pairs.
fn cosines<T: Real>(
    road: Road,
    pairs: Pairs<'_, T>,
    mut out: MatMut<'_, T>,
    may_be_undefined: bool,
) -> Result<(), Error> {
    let Pairs { x, y, names, symmetric } = pairs;
    let rows = Directions::of(names[0], x, may_be_undefined)?;
    let columns = if symmetric { None } else { Some(Directions::of(names[1], y, may_be_undefined)?) };
    let columns = columns.as_ref().unwrap_or(&rows);
    let [x, y] = [(&rows, x), (columns, y)].map(|(to, of)| MatRef::new(&to.coordinates, of.rows(), of.cols()));
    let task = Task { x: x?, y: y?, symmetric, form: DistanceForm::Half, rescue: None };
    fill(road, task, out.reborrow());
    for &row in &rows.undefined {
        out.row_mut(row).fill(T::one());
    }
    if !columns.undefined.is_empty() {
        for row in 0..out.rows() {
            let is_undefined = rows.undefined.binary_search(&row).is_ok();
            for &column in &columns.undefined {
                out.row_mut(row)[column] = if is_undefined { T::zero() } else { T::one() };
            }
        }
    }
    Ok(())
}

/// Writes the distances of a task.
fn fill<T: Real>(road: Road, task: Task<'_, T>, out: MatMut<'_, T>) {
    #[cfg(feature = "rayon")]
    if road.parallel {
        return threads::fill(road, task, out);
    }
    fill_here(road, task, out);
}

/// Runs the kernel on the calling thread, with the memory that it needs.
fn fill_here<T: Real>(road: Road, task: Task<'_, T>, out: MatMut<'_, T>) {
    let (n, m, dimensions) = (task.x.rows(), task.y.rows(), task.x.cols());
    let mut panels = vec![T::zero(); panels_len(n, m, dimensions, task.symmetric)];
    let (rows, columns) = errors_shape(n, m, dimensions);
    let mut errors = vec![T::zero(); rows * columns];
    // The memory has the length of the view, so this is no error.
    if let Ok(errors) = MatMut::new(&mut errors, rows, columns) {
        T::distance_matrix(road, &task, &mut panels, errors, out);
    }
}
