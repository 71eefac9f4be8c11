//! k-medoids clustering of a dissimilarity matrix, and what belongs to it: distance matrices, quality, new objects.

use super::assign::assign;
use super::cache::{Cache, Problem, pad_weights};
use super::condensed::{self, expand_condensed};
use super::init;
use super::search::{self, Search, search};
use crate::check;
use crate::dispatch::Road;
use crate::real::Element;
use crate::{Error, Isa, MatMut, MatRef, Real};
use std::ops::ControlFlow;

/// How the medoids are improved. All but [`Algorithm::Alternating`] stop at a local optimum, where no swap of a medoid for
/// another object lowers the loss.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Walks the candidates cyclically and makes the best swap of each as soon as it lowers the loss; ends after as many
    /// candidates as there are objects without a swap. O(n²) per pass over the candidates, usually few passes
    /// (Schubert & Rousseeuw 2021, section 4).
    #[default]
    FasterPam,
    /// [`Algorithm::FasterPam`] that walks the candidates in a random order, the same in every pass: the result then does
    /// not depend on how the objects are sorted.
    RandomFasterPam {
        /// The same seed gives the same order.
        seed: u64,
    },
    /// Makes the best of all k (n - k) swaps in each iteration: the swaps of PAM (Kaufman & Rousseeuw 1990), in O(n²)
    /// instead of O(k n²) per iteration (Schubert & Rousseeuw 2021, section 3; 2019). Of equally good swaps the one
    /// with the lowest candidate index, then the lowest medoid position.
    FastPam1,
    /// Alternates between finding the clusters of the medoids and moving each medoid to the member of its cluster with
    /// the lowest sum of dissimilarities to the others, as k-means does with its means (Voronoi iteration; Maranzana 1963;
    /// Park & Jun, "A simple and fast algorithm for K-medoids clustering", 2009, section 2). O(n²/k) per iteration for
    /// clusters of equal size, O(n²) at worst: the cheap baseline. It ends where no cluster has a better medoid, which
    /// usually is a worse clustering than where no swap helps.
    Alternating,
}

/// Where the search starts.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Init {
    /// The object with the lowest sum of dissimilarities, then one at a time the object that lowers the loss most (of
    /// equals the lowest index). Deterministic, and the best start, in O(k n²) (Kaufman & Rousseeuw 1990; Schubert &
    /// Rousseeuw 2021, section 2).
    #[default]
    Build,
    /// Linear approximative BUILD: as BUILD, each medoid on its own random sample of 10 + ceil(sqrt(n)) objects, in
    /// O(k n) (Schubert & Rousseeuw 2019, section 3.3; 2021, section 5).
    Lab {
        /// The same seed gives the same start.
        seed: u64,
    },
    /// k objects, all sets equally likely, in O(n): with FasterPAM as good as better starts and faster in all
    /// (Schubert & Rousseeuw 2021, section 5).
    Random {
        /// The same seed gives the same start.
        seed: u64,
    },
    /// These k objects, in this order.
    Given(Vec<usize>),
}

/// k-medoids clustering: k objects (medoids) such that the sum of the dissimilarities of all objects to their nearest
/// medoid is low.
///
/// The input is a square matrix of n x n dissimilarities, finite and not negative, whose **row c holds the dissimilarity
/// of every object to candidate c**. It need not be symmetric, its diagonal need not be zero. Each candidate's row is read
/// once to know the loss change of all k swaps it could be part of, with sums in `f64`.
///
/// A swap is made only where the loss falls by more than rounding can account for (that of the sums, and half a unit in
/// the last place of each dissimilarity involved). So the loss falls strictly with every swap, and every run ends.
///
/// Objects may have weights ([`KMedoids::fit_weighted`]), runs may be watched and ended early ([`KMedoids::fit_with`]).
/// [`distance_matrix`] makes the matrix of points, [`silhouette`] and [`medoid_silhouette`] judge the result,
/// [`Clustering::predict`] finds the clusters of new objects.
///
/// Time: [`Algorithm`] and [`Init`] say it. A swap costs another O(n). Memory beyond the matrix: O(n + k), up to 160 bytes
/// per object: beside its two nearest medoids a few more are kept, the more of them the larger k is (k / 16, at most 6), so
/// that the loss of one of them seldom needs a search of all k.
///
/// The result depends on the input and the options only. Instruction sets agree wherever no two choices are equally good.
///
/// Sources: E. Schubert, P. J. Rousseeuw, "Fast and Eager k-Medoids Clustering: O(k) Runtime Improvement of the PAM,
/// CLARA, and CLARANS Algorithms", Information Systems 101 (2021), 101804; the same, "Faster k-Medoids Clustering",
/// SISAP 2019.
///
/// ```
/// use mantex::{KMedoids, MatRef};
///
/// let points = [1.0_f64, 2.0, 3.0, 11.0, 12.0, 13.0, 14.0];
/// let distances: Vec<f64> = points.iter().flat_map(|a| points.iter().map(move |b| (a - b).abs())).collect();
/// let clustering = KMedoids::new(2).fit(MatRef::new(&distances, 7, 7)?)?;
/// assert_eq!(clustering.loss(), 6.0);
/// let medoid_of_last = clustering.medoids()[clustering.labels()[6]];
/// assert!([11.0, 12.0, 13.0].contains(&points[medoid_of_last]));
/// assert!(clustering.converged());
/// # Ok::<(), mantex::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KMedoids {
    k: usize,
    algorithm: Algorithm,
    init: Init,
    max_iterations: usize,
    road: Road,
}

impl KMedoids {
    /// `k` clusters by [`Algorithm::FasterPam`] from [`Init::Build`], in at most 100 iterations.
    pub fn new(k: usize) -> Self {
        Self { k, algorithm: Algorithm::default(), init: Init::default(), max_iterations: 100, road: Road::Best }
    }

    /// How the medoids are improved.
    #[must_use]
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// Where the search starts.
    #[must_use]
    pub fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Stops after `n` iterations: passes over all candidates, of which FastPAM1 makes one per swap, or over all clusters
    /// with [`Algorithm::Alternating`]. With 0 the start is returned as it is.
    #[must_use]
    pub fn max_iterations(self, n: usize) -> Self {
        Self { max_iterations: n, ..self }
    }

    /// Runs the given instruction set instead of [`Isa::best`].
    #[must_use]
    pub fn isa(self, isa: Isa) -> Self {
        Self { road: Road::On(isa), ..self }
    }

    /// Clusters n objects by their n x n dissimilarities; row c holds the dissimilarity of every object to object c.
    ///
    /// Reaching the limit of iterations is no error: [`Clustering::converged`] is then false.
    ///
    /// # Errors
    /// - [`Error::NotSquare`] if the matrix is not square.
    /// - [`Error::MedoidCountOutOfRange`] if k is 0 or exceeds the number of objects.
    /// - [`Error::LengthMismatch`] if [`Init::Given`] has not k medoids, [`Error::Medoid`] if one is out of range or given twice.
    /// - [`Error::InvalidElement`] if a dissimilarity is NaN, infinite or negative.
    /// - [`Error::InvalidParameter`] if the dissimilarities are so large that their sum overflows `f64`.
    pub fn fit<T: Real>(&self, dissimilarities: MatRef<'_, T>) -> Result<Clustering<T>, Error> {
        self.run(dissimilarities, None, &mut |_| ControlFlow::Continue(()))
    }

    /// [`KMedoids::fit`] that calls `progress` after every iteration, and ends with the medoids of that iteration where it
    /// breaks off.
    ///
    /// # Errors
    /// As [`KMedoids::fit`].
    ///
    /// ```
    /// use mantex::{Init, KMedoids, MatRef};
    /// use std::ops::ControlFlow;
    ///
    /// let x = [0.0_f64, 0.1, 0.2, 7.0, 7.1, 7.3];
    /// let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
    /// let mut losses = Vec::new();
    /// let start = KMedoids::new(2).init(Init::Given(vec![0, 1]));
    /// let clustering = start.fit_with(MatRef::new(&d, 6, 6)?, |progress| {
    ///     losses.push(progress.loss);
    ///     if progress.iteration < 10 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    /// })?;
    /// assert_eq!(losses.len(), clustering.iterations());
    /// assert_eq!(losses.last(), Some(&clustering.loss()));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn fit_with<T: Real>(
        &self,
        dissimilarities: MatRef<'_, T>,
        mut progress: impl FnMut(KMedoidsProgress) -> ControlFlow<()>,
    ) -> Result<Clustering<T>, Error> {
        self.run(dissimilarities, None, &mut progress)
    }

    /// [`KMedoids::fit`] where every object counts as often as its weight says, in losses and wherever they are compared:
    /// an object of weight 2 is as good as two equal ones. It costs one more read of a number per object and row, from
    /// a near cache.
    ///
    /// # Errors
    /// As [`KMedoids::fit`], and [`Error::LengthMismatch`] if there is not one weight per object, [`Error::InvalidElement`] if a weight is
    /// not positive and finite.
    ///
    /// ```
    /// use mantex::{KMedoids, MatRef};
    /// let x = [0.0_f64, 1.0, 10.0];
    /// let d: Vec<f64> = x.iter().flat_map(|a| x.map(|b| (a - b).abs())).collect();
    /// let d = MatRef::new(&d, 3, 3)?;
    /// assert_eq!(KMedoids::new(1).fit(d)?.medoids(), [1]);
    /// assert_eq!(KMedoids::new(1).fit_weighted(d, &[3.0, 1.0, 1.0])?.medoids(), [0]);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn fit_weighted<T: Real>(&self, dissimilarities: MatRef<'_, T>, weights: &[T]) -> Result<Clustering<T>, Error> {
        self.run(dissimilarities, Some(weights), &mut |_| ControlFlow::Continue(()))
    }

    /// [`KMedoids::fit_weighted`] with a callback as [`KMedoids::fit_with`] has it.
    ///
    /// # Errors
    /// As [`KMedoids::fit_weighted`].
    pub fn fit_weighted_with<T: Real>(
        &self,
        dissimilarities: MatRef<'_, T>,
        weights: &[T],
        mut progress: impl FnMut(KMedoidsProgress) -> ControlFlow<()>,
    ) -> Result<Clustering<T>, Error> {
        self.run(dissimilarities, Some(weights), &mut progress)
    }

    /// [`KMedoids::fit`] of dissimilarities in condensed form: the upper triangle without the diagonal, row by row, as
    /// SciPy's `pdist` has it. They are expanded first ([`expand_condensed`]): another n x n matrix, so three times the
    /// memory of the condensed form in all, and about as long as two copies of it.
    ///
    /// # Errors
    /// As [`KMedoids::fit`], whose places in the matrix an [`Error::InvalidElement`] names, and [`Error::NotCondensed`] if there are
    /// not n (n - 1) / 2 dissimilarities for any n. None are those of one object.
    ///
    /// ```
    /// use mantex::KMedoids;
    /// // d(0,1), d(0,2), d(0,3), d(1,2), d(1,3), d(2,3)
    /// let clustering = KMedoids::new(2).fit_condensed(&[1.0_f32, 8.0, 9.0, 8.0, 8.0, 2.0])?;
    /// assert_eq!(clustering.loss(), 3.0);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn fit_condensed<T: Real>(&self, condensed: &[T]) -> Result<Clustering<T>, Error> {
        let n = condensed::objects(condensed.len())?;
        let mut square = vec![T::zero(); n * n];
        expand_condensed(condensed, MatMut::new(&mut square, n, n)?)?;
        self.fit(MatRef::new(&square, n, n)?)
    }

    fn run<T: Real>(
        &self,
        d: MatRef<'_, T>,
        weights: Option<&[T]>,
        progress: &mut dyn FnMut(KMedoidsProgress) -> ControlFlow<()>,
    ) -> Result<Clustering<T>, Error> {
        let (n, k) = (check::square("dissimilarities", d)?, self.k);
        if k == 0 || k > n {
            return Err(Error::MedoidCountOutOfRange { k, objects: n });
        }
        if let Init::Given(medoids) = &self.init {
            check::length("medoids", medoids.len(), k)?;
            init::check_medoids(n, medoids)?;
        }
        if let Some(weights) = weights {
            check_weights(n, weights)?;
        }
        // A search that starts with a pass over the whole matrix checks it meanwhile.
        let searched = matches!(self.init, Init::Random { .. } | Init::Given(_))
            && search::checks(self.algorithm, self.max_iterations);
        if !searched {
            check_elements(self.road, d)?;
        }
        let weights = weights.map(pad_weights).unwrap_or_default();
        let problem = Problem { road: self.road, d, weights: &weights };
        let medoids = match &self.init {
            Init::Build => init::build(problem, k),
            Init::Lab { seed } => init::lab(problem, k, *seed),
            Init::Random { seed } => init::random(n, k, *seed),
            Init::Given(medoids) => medoids.clone(),
        };
        if searched && !medoids.iter().all(|&medoid| T::all_distances(self.road, d.row(medoid))) {
            check_elements(self.road, d)?;
        }
        let mut cache = Cache::with_medoids(problem, &medoids);
        cache.update_sums();
        let search = search(self.algorithm, &mut cache, self.max_iterations, !searched, progress)
            // Names the first element of the matrix, whichever the search met first.
            .or_else(|_| check_elements(self.road, d).map(|()| Search::default()))?;
        // Once more from scratch: of equally near medoids the one at the lowest position.
        let mut cache = Cache::with_medoids(problem, cache.medoids());
        cache.update_sums();
        if cache.loss() == f64::INFINITY {
            return Err(Error::SumOverflow { argument: "dissimilarities" });
        }
        Ok(Clustering {
            medoids: cache.medoids().to_vec(),
            labels: cache.labels().collect(),
            loss: T::rounded(cache.loss()),
            search,
        })
    }
}

/// Every weight must be positive and finite.
fn check_weights<T: Real>(n: usize, weights: &[T]) -> Result<(), Error> {
    check::length("weights", weights.len(), n)?;
    for (row, value) in weights.iter().map(|w| w.to_f64()).enumerate() {
        if !(value > 0.0 && value < f64::INFINITY) {
            let expected = "positive and finite";
            return Err(Error::InvalidElement { argument: "weights", row, col: 0, value, expected });
        }
    }
    Ok(())
}

/// Every dissimilarity must be finite and not negative.
pub(super) fn check_elements<T: Real>(road: Road, d: MatRef<'_, T>) -> Result<(), Error> {
    d.iter_rows().enumerate().try_for_each(|(row, elements)| check_row(road, row, elements))
}

/// [`check_elements`] of one row.
pub(super) fn check_row<T: Real>(road: Road, row: usize, elements: &[T]) -> Result<(), Error> {
    if T::all_distances(road, elements) {
        return Ok(());
    }
    let values = elements.iter().map(|x| x.to_f64()).enumerate();
    match { values }.find(|(_, value)| !(0.0..f64::INFINITY).contains(value)) {
        Some((col, value)) => {
            let expected = "finite and not negative";
            Err(Error::InvalidElement { argument: "dissimilarities", row, col, value, expected })
        }
        None => Ok(()),
    }
}

/// How far a run is, as [`KMedoids::fit_with`] tells after every iteration.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KMedoidsProgress {
    /// Iterations so far, this one included.
    pub iteration: usize,
    /// Swaps so far.
    pub swaps: usize,
    /// The sum of the dissimilarities to the nearest medoids, as they are now.
    pub loss: f64,
}

/// The result of [`KMedoids::fit`].
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering<T> {
    medoids: Vec<usize>,
    labels: Vec<usize>,
    loss: T,
    search: Search,
}

impl<T: Real> Clustering<T> {
    /// The k objects that represent the clusters.
    pub fn medoids(&self) -> &[usize] {
        &self.medoids
    }

    /// For each of the n objects the position in [`Clustering::medoids`] of its nearest medoid, of equally near ones the
    /// lowest.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The sum of the dissimilarities of all objects to their nearest medoid, accumulated in `f64` and rounded once.
    pub fn loss(&self) -> T {
        self.loss
    }

    /// Swaps made; with [`Algorithm::Alternating`] medoids moved.
    pub fn swaps(&self) -> usize {
        self.search.swaps
    }

    /// Iterations: passes over all candidates (the last may have ended early) or clusters, for FastPAM1 and Alternating
    /// including the one that found nothing to change.
    pub fn iterations(&self) -> usize {
        self.search.iterations
    }

    /// Candidates whose swaps were evaluated, over all iterations: each one read of a row, or of the row's part that
    /// belongs to the candidate's cluster with [`Algorithm::Alternating`].
    pub fn evaluated(&self) -> usize {
        self.search.evaluated
    }

    /// Whether the search ended at a local optimum, not at the limit of iterations or by a callback.
    pub fn converged(&self) -> bool {
        self.search.converged
    }

    /// The clusters of new objects by their dissimilarities to the medoids, one row per new object and one column per
    /// medoid: for each the position of the nearest medoid, of equally near ones the lowest, and the dissimilarity to it.
    /// O(n k) for n new objects; [`assign`] does the same into given slices.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if there is not one column per medoid, [`Error::InvalidElement`] if a dissimilarity is NaN, infinite or
    /// negative.
    ///
    /// ```
    /// use mantex::{Init, KMedoids, MatRef};
    /// let d = [0.0_f64, 9.0, 9.0, 0.0];
    /// let clustering = KMedoids::new(2).init(Init::Given(vec![0, 1])).fit(MatRef::new(&d, 2, 2)?)?;
    /// let (labels, distances) = clustering.predict(MatRef::new(&[4.0, 5.0, 7.0, 2.0, 3.0, 3.0], 3, 2)?)?;
    /// assert_eq!((labels, distances), (vec![0, 1, 0], vec![4.0, 2.0, 3.0]));
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn predict(&self, dissimilarities: MatRef<'_, T>) -> Result<(Vec<usize>, Vec<T>), Error> {
        let rows = dissimilarities.rows();
        check::shape("dissimilarities", &dissimilarities, (rows, self.medoids.len()))?;
        let (mut labels, mut distances) = (vec![0; rows], vec![T::zero(); rows]);
        assign(dissimilarities, &mut labels, &mut distances)?;
        Ok((labels, distances))
    }
}
