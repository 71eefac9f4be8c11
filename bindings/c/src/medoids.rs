//! k-medoids clustering.

use crate::boundary::mantex_status::*;
use crate::boundary::{chosen, failure, mantex_status, status_of, value_or, Outcome};
use crate::isa::{chosen_isa, mantex_isa};
use crate::memory::{Memory, Options};
use mantex::medoids::{expand_condensed, Algorithm, Clustering, Init, Progress};
use mantex::{Error, KMedoids, MatMut, MatRef, Real};
use std::ffi::{c_int, c_void};
use std::mem::{size_of, MaybeUninit};
use std::ops::ControlFlow;
use std::ptr::{null, null_mut};

/// The algorithm that improves the medoids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum mantex_algorithm {
    /// FasterPAM: makes every swap that lowers the loss, going through the candidates cyclically.
    MANTEX_ALGORITHM_FASTERPAM = 0,
    /// FasterPAM with the candidates in a random order, from algorithm_seed.
    MANTEX_ALGORITHM_RANDOM_FASTERPAM = 1,
    /// FastPAM1: makes the best of all swaps in each iteration.
    MANTEX_ALGORITHM_FASTPAM1 = 2,
    /// The alternating algorithm: assigns objects, then moves medoids, much as k-means. Fast, with
    /// a higher loss.
    MANTEX_ALGORITHM_ALTERNATING = 3,
}

/// The initial medoids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum mantex_init {
    /// k-medoids++: random objects with probabilities proportional to their shares of the loss.
    MANTEX_INIT_PLUS_PLUS = 0,
    /// BUILD: one at a time the object that lowers the loss most. The lowest initial loss; slow.
    MANTEX_INIT_BUILD = 1,
    /// LAB: BUILD on random samples.
    MANTEX_INIT_LAB = 2,
    /// Random objects.
    MANTEX_INIT_RANDOM = 3,
    /// Those of initial_medoids.
    MANTEX_INIT_GIVEN = 4,
}

use mantex_algorithm::*;
use mantex_init::*;

/// The header's MANTEX_DEFAULT_ITERATIONS.
const DEFAULT_ITERATIONS: usize = usize::MAX;

/// The progress of a clustering. Later versions may add fields at the end.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mantex_kmedoids_progress {
    /// The number of iterations so far, including this one.
    pub iteration: usize,
    /// The number of swaps so far.
    pub swaps: usize,
    /// The current loss.
    pub loss: f64,
}

/// Called after every iteration; any value but 0 ends the search with the current medoids. The
/// callback must return: it must not throw a C++ exception or call longjmp.
pub type mantex_kmedoids_callback =
    Option<unsafe extern "C" fn(progress: *const mantex_kmedoids_progress, user_data: *mut c_void) -> c_int>;

/// The settings of k-medoids. Initialize it with mantex_kmedoids_options_init(), then set what you
/// need.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mantex_kmedoids_options {
    /// Set by the init function.
    pub size: usize,
    /// The number of clusters: at least 1, at most the number of objects. The init function sets
    /// it.
    pub k: usize,
    /// The largest number of iterations; with 0, the result has the initial medoids. Initially
    /// MANTEX_DEFAULT_ITERATIONS.
    pub max_iterations: usize,
    /// The algorithm. Initially MANTEX_ALGORITHM_FASTERPAM.
    pub algorithm: MaybeUninit<mantex_algorithm>,
    /// The initial medoids. Initially MANTEX_INIT_PLUS_PLUS.
    pub init: MaybeUninit<mantex_init>,
    /// The seed of an algorithm with random numbers. Initially 0.
    pub algorithm_seed: u64,
    /// The seed of an init with random numbers. Initially 0.
    pub init_seed: u64,
    /// k different objects, for MANTEX_INIT_GIVEN. Initially NULL.
    pub initial_medoids: *const usize,
    /// Called after every iteration. Initially NULL: nothing is called.
    pub on_iteration: mantex_kmedoids_callback,
    /// Passed to on_iteration. Initially NULL.
    pub user_data: *mut c_void,
    /// The instruction set. Initially MANTEX_ISA_BEST.
    pub isa: MaybeUninit<mantex_isa>,
    /// 0 or 1. With 1, several threads share the scans: see Threads above. Initially 0.
    pub parallel: c_int,
    /// For later versions: 0, as set by the init function.
    pub reserved: [u64; 8],
}

impl Options for mantex_kmedoids_options {
    const INIT: &'static str = "mantex_kmedoids_options_init";

    fn reserved_are_zero(&self) -> bool {
        self.reserved.iter().all(|&word| word == 0)
    }
}

/// Sets the initial values of the options, and k.
#[no_mangle]
pub unsafe extern "C" fn mantex_kmedoids_options_init(
    options: *mut mantex_kmedoids_options,
    k: usize,
) -> mantex_status {
    status_of(|| {
        // SAFETY: The caller makes the promises of the header's introduction.
        let mut memory = unsafe { Memory::of_caller() };
        *memory.result("options", options)? = mantex_kmedoids_options {
            size: size_of::<mantex_kmedoids_options>(),
            k,
            max_iterations: DEFAULT_ITERATIONS,
            algorithm: MaybeUninit::new(MANTEX_ALGORITHM_FASTERPAM),
            init: MaybeUninit::new(MANTEX_INIT_PLUS_PLUS),
            algorithm_seed: 0,
            init_seed: 0,
            initial_medoids: null(),
            on_iteration: None,
            user_data: null_mut(),
            isa: MaybeUninit::new(mantex_isa::MANTEX_ISA_BEST),
            parallel: 0,
            reserved: [0; 8],
        };
        Ok(())
    })
}

/// Returns the builder that the options stand for.
fn kmedoids(memory: &mut Memory, options: &mantex_kmedoids_options) -> Outcome<KMedoids> {
    let algorithms = [
        (MANTEX_ALGORITHM_FASTERPAM, Algorithm::FasterPam),
        (MANTEX_ALGORITHM_RANDOM_FASTERPAM, Algorithm::RandomFasterPam { seed: options.algorithm_seed }),
        (MANTEX_ALGORITHM_FASTPAM1, Algorithm::FastPam1),
        (MANTEX_ALGORITHM_ALTERNATING, Algorithm::Alternating),
    ];
    let seed = options.init_seed;
    let inits = [
        (MANTEX_INIT_PLUS_PLUS, Some(Init::PlusPlus { seed })),
        (MANTEX_INIT_BUILD, Some(Init::Build)),
        (MANTEX_INIT_LAB, Some(Init::Lab { seed })),
        (MANTEX_INIT_RANDOM, Some(Init::Random { seed })),
        (MANTEX_INIT_GIVEN, None),
    ];
    let init = match chosen("init", options.init, &inits)? {
        Some(init) => init,
        None => Init::Given(memory.input("initial_medoids", options.initial_medoids, options.k)?.to_vec()),
    };
    let kmedoids = KMedoids::new(options.k)
        .algorithm(chosen("algorithm", options.algorithm, &algorithms)?)
        .init(init)
        .isa(chosen_isa(options.isa)?);
    #[cfg(feature = "rayon")]
    let kmedoids = kmedoids.parallel(options.parallel != 0);
    Ok(match options.max_iterations {
        DEFAULT_ITERATIONS => kmedoids,
        limit => kmedoids.max_iterations(limit),
    })
}

/// Clusters, with the callback of the options if there is one.
fn fit<T: Real>(
    kmedoids: &KMedoids,
    options: &mantex_kmedoids_options,
    dissimilarities: MatRef<'_, T>,
    weights: Option<&[T]>,
) -> Result<Clustering, Error> {
    let Some(callback) = options.on_iteration else {
        return match weights {
            None => kmedoids.fit(dissimilarities),
            Some(weights) => kmedoids.fit_weighted(dissimilarities, weights),
        };
    };
    kmedoids.fit_with_progress(dissimilarities, weights, |&Progress { iteration, swaps, loss, .. }| {
        let progress = mantex_kmedoids_progress { iteration, swaps, loss };
        // SAFETY: The caller promises that the callback is a function of this type, which returns.
        let answer = unsafe { callback(&progress, options.user_data) };
        if answer == 0 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })
}

/// A clustering: k medoids, and the label of each object. Free it with mantex_clustering_free().
/// Any number of threads may read it at once.
pub struct mantex_clustering(Clustering);

twins! {
    /// Clusters n objects by their n x n dissimilarities: finds k medoids m with a low loss
    /// sum_j w[j] * min_c d[m_c][j]. Row i holds the dissimilarity of every object to object i. The
    /// matrix need not be symmetric. weights has one number per object; NULL means 1 for all.
    ///
    /// On success *clustering is a new handle. Fails with MANTEX_ERROR_PARAMETER unless k is from 1
    /// to n, with MANTEX_ERROR_ELEMENT if a dissimilarity or weight is negative or not finite, or
    /// if an initial medoid is not below n or is given twice, with MANTEX_ERROR_SHAPE if all
    /// weights are 0, and with MANTEX_ERROR_SUM if the loss overflows.
    fn mantex_kmedoids_fit_f32 / mantex_kmedoids_fit_f64(
        n: usize, dissimilarities: *const T, dissimilarities_stride: usize, weights: *const T,
        options: *const mantex_kmedoids_options, clustering: *mut *mut mantex_clustering,
    ) |memory| {
        let options = memory.required_options(options)?;
        let dissimilarities = memory.matrix("dissimilarities", dissimilarities, (n, n), dissimilarities_stride)?;
        let weights = memory.optional_input("weights", weights, n)?;
        let clustering = memory.result("clustering", clustering)?;
        check_k(options.k, n)?;
        let kmedoids = kmedoids(&mut memory, &options)?;
        let found = fit(&kmedoids, &options, dissimilarities, weights)?;
        *clustering = Box::into_raw(Box::new(mantex_clustering(found)));
        Ok(())
    }

    /// The same as mantex_kmedoids_fit_f32() with condensed dissimilarities: the upper triangle
    /// without the diagonal, row by row, n (n - 1) / 2 numbers, as SciPy's pdist returns them. It
    /// allocates the n x n matrix.
    fn mantex_kmedoids_fit_condensed_f32 / mantex_kmedoids_fit_condensed_f64(
        n: usize, condensed: *const T, weights: *const T,
        options: *const mantex_kmedoids_options, clustering: *mut *mut mantex_clustering,
    ) |memory| {
        let options = memory.required_options(options)?;
        let condensed = memory.input("condensed", condensed, pairs(n)?)?;
        let weights = memory.optional_input("weights", weights, n)?;
        let clustering = memory.result("clustering", clustering)?;
        check_k(options.k, n)?;
        let kmedoids = kmedoids(&mut memory, &options)?;
        let mut square = vec![T::default(); n * n];
        expand_condensed(condensed, MatMut::new(&mut square, n, n)?)?;
        let found = fit(&kmedoids, &options, MatRef::new(&square, n, n)?, weights)?;
        *clustering = Box::into_raw(Box::new(mantex_clustering(found)));
        Ok(())
    }

    /// Writes the symmetric n x n matrix of condensed dissimilarities: the upper triangle without
    /// the diagonal, row by row, n (n - 1) / 2 numbers, as SciPy's pdist returns them.
    fn mantex_expand_condensed_f32 / mantex_expand_condensed_f64(
        n: usize, condensed: *const T, out: *mut T, out_stride: usize,
    ) |memory| {
        let condensed = memory.input("condensed", condensed, pairs(n)?)?;
        Ok(expand_condensed(condensed, memory.matrix_mut("out", out, (n, n), out_stride)?)?)
    }

    /// Finds the nearest of k medoids for each of n new objects. dissimilarities is n x k, one
    /// column per medoid; labels and distances have n elements: the column of the smallest element
    /// of each row, and the element.
    ///
    /// Fails with MANTEX_ERROR_SHAPE if k is 0, and with MANTEX_ERROR_ELEMENT if a dissimilarity is
    /// negative or not finite.
    fn mantex_assign_f32 / mantex_assign_f64(
        n: usize, k: usize, dissimilarities: *const T, dissimilarities_stride: usize,
        labels: *mut usize, distances: *mut T, isa: isa,
    ) |memory| {
        let dissimilarities = memory.matrix("dissimilarities", dissimilarities, (n, k), dissimilarities_stride)?;
        let labels = memory.output("labels", labels, n)?;
        let distances = memory.output("distances", distances, n)?;
        Ok(chosen_isa(isa)?.assign(dissimilarities, labels, distances)?)
    }

    /// The same as mantex_assign_f32() with the medoids of a clustering, on its instruction set. k
    /// must be that of the clustering.
    fn mantex_clustering_predict_f32 / mantex_clustering_predict_f64(
        clustering: *const mantex_clustering, n: usize, k: usize,
        dissimilarities: *const T, dissimilarities_stride: usize, labels: *mut usize, distances: *mut T,
    ) |memory| {
        let mantex_clustering(clustering) = memory.handle("clustering", clustering)?;
        let dissimilarities = memory.matrix("dissimilarities", dissimilarities, (n, k), dissimilarities_stride)?;
        let labels = memory.output("labels", labels, n)?;
        let distances = memory.output("distances", distances, n)?;
        let found = clustering.predict(dissimilarities)?;
        labels.copy_from_slice(&found.0);
        distances.copy_from_slice(&found.1);
        Ok(())
    }

    /// Writes the silhouette of each of n objects, (b - a) / max(a, b), and the mean to *mean. Here
    /// a is the object's mean dissimilarity to the others of its cluster, and b the smallest of its
    /// means to other clusters. dissimilarities is n x n; labels, weights and out have n elements;
    /// with weights, all means are weighted, and NULL means 1 for all.
    ///
    /// Fails with MANTEX_ERROR_SHAPE if n is 0 or fewer than two clusters have objects, and with
    /// MANTEX_ERROR_ELEMENT if a label is not below n, or a dissimilarity or weight is negative or
    /// not finite.
    fn mantex_silhouette_f32 / mantex_silhouette_f64(
        n: usize, dissimilarities: *const T, dissimilarities_stride: usize,
        labels: *const usize, weights: *const T, out: *mut T, mean: *mut f64, isa: isa,
    ) |memory| {
        let dissimilarities = memory.matrix("dissimilarities", dissimilarities, (n, n), dissimilarities_stride)?;
        let labels = memory.input("labels", labels, n)?;
        let weights = memory.optional_input("weights", weights, n)?;
        let out = memory.output("out", out, n)?;
        let mean = memory.result("mean", mean)?;
        let isa = chosen_isa(isa)?;
        *mean = match weights {
            None => isa.silhouette(dissimilarities, labels, out)?,
            Some(weights) => isa.silhouette_weighted(dissimilarities, labels, weights, out)?,
        };
        Ok(())
    }

    /// Writes the medoid silhouette of each of n objects, 1 - d1 / d2, and the mean to *mean. Here
    /// d1 and d2 are the object's dissimilarities to its nearest and second nearest of k medoids.
    /// dissimilarities is n x n; medoids has k elements; weights, for the mean, and out have n;
    /// NULL weights mean 1 for all.
    ///
    /// Fails with MANTEX_ERROR_SHAPE if k is below 2, and with MANTEX_ERROR_ELEMENT if a medoid is
    /// not below n or is given twice, or a dissimilarity or weight is negative or not finite.
    fn mantex_medoid_silhouette_f32 / mantex_medoid_silhouette_f64(
        n: usize, dissimilarities: *const T, dissimilarities_stride: usize,
        k: usize, medoids: *const usize, weights: *const T, out: *mut T, mean: *mut f64, isa: isa,
    ) |memory| {
        let dissimilarities = memory.matrix("dissimilarities", dissimilarities, (n, n), dissimilarities_stride)?;
        let medoids = memory.input("medoids", medoids, k)?;
        let weights = memory.optional_input("weights", weights, n)?;
        let out = memory.output("out", out, n)?;
        let mean = memory.result("mean", mean)?;
        let isa = chosen_isa(isa)?;
        *mean = match weights {
            None => isa.medoid_silhouette(dissimilarities, medoids, out)?,
            Some(weights) => isa.medoid_silhouette_weighted(dissimilarities, medoids, weights, out)?,
        };
        Ok(())
    }
}

/// Returns the number of pairs of n objects.
fn pairs(n: usize) -> Outcome<usize> {
    let pairs = n as u128 * (n as u128).saturating_sub(1) / 2;
    match usize::try_from(pairs) {
        Ok(pairs) => Ok(pairs),
        Err(_) => failure(MANTEX_ERROR_SIZE, format!("`n` is {n}; its pairs must be at most SIZE_MAX")),
    }
}

/// Fails unless k is from 1 to n. It is checked before given medoids, of which there are k, are
/// read.
fn check_k(k: usize, n: usize) -> Outcome {
    if (1..=n).contains(&k) {
        Ok(())
    } else {
        Err(Error::MedoidCountOutOfRange { k, objects: n }.into())
    }
}

/// Returns a value of the clustering behind a handle.
fn get<T>(handle: *const mantex_clustering, otherwise: T, value: impl FnOnce(&Clustering) -> T) -> T {
    value_or(otherwise, || {
        // SAFETY: The callers, which are C functions, make the promises of the header's
        // introduction.
        let mut memory = unsafe { Memory::of_caller() };
        let mantex_clustering(clustering) = memory.handle("clustering", handle)?;
        Ok(value(clustering))
    })
}

/// Frees a clustering. NULL is allowed.
#[no_mangle]
pub unsafe extern "C" fn mantex_clustering_free(clustering: *mut mantex_clustering) {
    value_or((), || {
        if !clustering.is_null() {
            // SAFETY: The caller promises that the handle is from this library, where a Box became
            // the pointer, and that it is not freed yet.
            drop(unsafe { Box::from_raw(clustering) });
        }
        Ok(())
    })
}

/// Returns the number of objects; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_clustering_n(clustering: *const mantex_clustering) -> usize {
    get(clustering, 0, |c| c.labels().len())
}

/// Returns the number of clusters; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_clustering_k(clustering: *const mantex_clustering) -> usize {
    get(clustering, 0, |c| c.medoids().len())
}

/// Returns the k medoids. The array belongs to the handle and lives as long. NULL for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_clustering_medoids(clustering: *const mantex_clustering) -> *const usize {
    get(clustering, null(), |c| c.medoids().as_ptr())
}

/// Returns the labels of the n objects: indices of medoids. A medoid has the label of its own
/// cluster. The array belongs to the handle and lives as long. NULL for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_clustering_labels(clustering: *const mantex_clustering) -> *const usize {
    get(clustering, null(), |c| c.labels().as_ptr())
}

/// Returns the loss; NaN for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_clustering_loss(clustering: *const mantex_clustering) -> f64 {
    get(clustering, f64::NAN, Clustering::loss)
}

/// Returns the number of swaps; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_clustering_swaps(clustering: *const mantex_clustering) -> usize {
    get(clustering, 0, Clustering::swaps)
}

/// Returns the number of iterations; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_clustering_iterations(clustering: *const mantex_clustering) -> usize {
    get(clustering, 0, Clustering::iterations)
}

/// Returns the number of candidates that were evaluated; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_clustering_evaluated(clustering: *const mantex_clustering) -> usize {
    get(clustering, 0, Clustering::evaluated)
}

/// Returns 1 if the search ended because nothing was left to improve, and 0 otherwise.
#[no_mangle]
pub unsafe extern "C" fn mantex_clustering_converged(clustering: *const mantex_clustering) -> c_int {
    get(clustering, 0, |c| c_int::from(c.converged()))
}
