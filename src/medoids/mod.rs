//! k-medoids clustering of a dissimilarity matrix.

mod cache;
mod start;

use crate::{Error, Isa, MatRef, Real};
use cache::Cache;

/// How the medoids are improved. Both stop at a local optimum, where no swap of a medoid for another object lowers the
/// loss.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Walks the candidates cyclically and makes the best swap of each as soon as it lowers the loss; ends after as many
    /// candidates as there are objects without a swap. O(n²) per pass over the candidates, usually few passes
    /// (Schubert & Rousseeuw 2021, section 4).
    #[default]
    FasterPam,
    /// Makes the best of all k (n - k) swaps in each iteration: the swaps of PAM (Kaufman & Rousseeuw 1990), in O(n²)
    /// instead of O(k n²) per iteration (Schubert & Rousseeuw 2021, section 3; 2019). Of equally good swaps the one
    /// with the lowest candidate index, then the lowest medoid position.
    FastPam1,
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
/// Time: [`Algorithm`] and [`Init`] say it. A swap costs another O(n), and usually O(n) to find second nearest medoids
/// anew. Memory beyond the matrix: O(n + k).
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
    isa: Option<Isa>,
}

impl KMedoids {
    /// `k` clusters by [`Algorithm::FasterPam`] from [`Init::Build`], in at most 100 iterations.
    pub fn new(k: usize) -> Self {
        Self { k, algorithm: Algorithm::default(), init: Init::default(), max_iterations: 100, isa: None }
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

    /// Stops after `n` iterations: passes over all candidates, of which FastPAM1 makes one per swap. With 0 the start is
    /// returned as it is.
    #[must_use]
    pub fn max_iterations(self, n: usize) -> Self {
        Self { max_iterations: n, ..self }
    }

    /// Runs the given instruction set instead of [`Isa::best`].
    #[must_use]
    pub fn isa(self, isa: Isa) -> Self {
        Self { isa: Some(isa), ..self }
    }

    /// Clusters n objects by their n x n dissimilarities; row c holds the dissimilarity of every object to object c.
    ///
    /// Reaching the limit of iterations is no error: [`Clustering::converged`] is then false.
    ///
    /// # Errors
    /// - [`Error::NotSquare`] if the matrix is not square.
    /// - [`Error::MedoidCount`] if k is 0 or exceeds the number of objects.
    /// - [`Error::Length`] if [`Init::Given`] has not k medoids, [`Error::Medoid`] if one is out of range or given twice.
    /// - [`Error::Element`] if a dissimilarity is NaN, infinite or negative.
    /// - [`Error::Parameter`] if the dissimilarities are so large that their sum overflows `f64`.
    pub fn fit<T: Real>(&self, dissimilarities: MatRef<'_, T>) -> Result<Clustering<T>, Error> {
        let (d, n, k) = (dissimilarities, dissimilarities.rows(), self.k);
        if d.cols() != n {
            return Err(Error::NotSquare { argument: "dissimilarities", rows: n, cols: d.cols() });
        }
        if k == 0 || k > n {
            return Err(Error::MedoidCount { k, objects: n });
        }
        let given = match &self.init {
            Init::Given(medoids) => Some(start::given(n, k, medoids)?),
            _ => None,
        };
        check_elements(self.isa, d)?;
        let medoids = given.unwrap_or_else(|| match self.init {
            Init::Lab { seed } => start::lab(self.isa, d, k, seed),
            Init::Random { seed } => start::random(n, k, seed),
            _ => start::build(self.isa, d, k),
        });
        let mut cache = Cache::with_medoids(self.isa, d, &medoids);
        cache.update_sums();
        let search = match self.algorithm {
            Algorithm::FasterPam => faster_pam(&mut cache, n, self.max_iterations),
            Algorithm::FastPam1 => fast_pam1(&mut cache, n, self.max_iterations),
        };
        // Once more from scratch: of equally near medoids the one at the lowest position.
        let mut cache = Cache::with_medoids(self.isa, d, cache.medoids());
        cache.update_sums();
        if cache.loss() == f64::INFINITY {
            return Err(Error::Parameter {
                argument: "dissimilarities",
                value: cache.loss(),
                expected: "small enough that the sum of those to the nearest medoids is finite",
            });
        }
        Ok(Clustering {
            medoids: cache.medoids().to_vec(),
            labels: cache.labels().collect(),
            loss: T::from_f64(cache.loss()),
            search,
        })
    }
}

/// Every dissimilarity must be finite and not negative.
fn check_elements<T: Real>(isa: Option<Isa>, d: MatRef<'_, T>) -> Result<(), Error> {
    for (row, elements) in d.iter_rows().enumerate() {
        if T::all_distances(isa, elements) {
            continue;
        }
        for (col, value) in elements.iter().map(|x| x.to_f64()).enumerate() {
            if !(0.0..f64::INFINITY).contains(&value) {
                let expected = "finite and not negative";
                return Err(Error::Element { argument: "dissimilarities", row, col, value, expected });
            }
        }
    }
    Ok(())
}

/// How the search went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Search {
    swaps: usize,
    iterations: usize,
    converged: bool,
}

/// Walks the candidates cyclically, swapping at once, until n in a row had no swap.
fn faster_pam<T: Real>(cache: &mut Cache<'_, T>, n: usize, max_iterations: usize) -> Search {
    let mut search = Search { swaps: 0, iterations: 0, converged: false };
    // Candidates in a row without a swap.
    let mut quiet = 0;
    while search.iterations < max_iterations && !search.converged {
        search.iterations += 1;
        let mut at = 0;
        while at < n && quiet < n {
            let to = n.min(at + (n - quiet));
            let found = cache.next_swap(at, to, 0.0);
            let next = found.map_or(to, |swap| swap.candidate + 1);
            quiet += next - at;
            at = next;
            if let Some(swap) = found
                && cache.lowers_loss(swap)
            {
                cache.swap(swap.candidate, swap.position);
                search.swaps += 1;
                quiet = 0;
            }
        }
        search.converged = quiet == n;
    }
    search
}

/// Makes the best of all swaps, as long as there is one that lowers the loss.
fn fast_pam1<T: Real>(cache: &mut Cache<'_, T>, n: usize, max_iterations: usize) -> Search {
    let mut search = Search { swaps: 0, iterations: 0, converged: false };
    while search.iterations < max_iterations && !search.converged {
        search.iterations += 1;
        let mut best = None;
        let (mut at, mut limit) = (0, 0.0);
        while let Some(swap) = cache.next_swap(at, n, limit) {
            at = swap.candidate + 1;
            if cache.lowers_loss(swap) {
                limit = swap.delta - cache.noise(cache.loss());
                best = Some(swap);
            }
        }
        match best {
            Some(swap) => {
                cache.swap(swap.candidate, swap.position);
                search.swaps += 1;
            }
            None => search.converged = true,
        }
    }
    search
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

    /// Swaps made.
    pub fn swaps(&self) -> usize {
        self.search.swaps
    }

    /// Iterations: passes over all candidates (the last may have ended early), for FastPAM1 including the one that found
    /// no swap.
    pub fn iterations(&self) -> usize {
        self.search.iterations
    }

    /// Whether the search ended at a local optimum, not at the limit of iterations.
    pub fn converged(&self) -> bool {
        self.search.converged
    }
}
