//! Work whose instructions `ci/instructions` counts in an emulator: a guard against slower code
//! that noise cannot fool.
//!
//! Each piece of work is done at a small and at a large size. The difference of the counts, divided
//! by the difference of the elements, is the number of instructions per element: what does not
//! depend on the size, such as checks and allocations, is in neither. Nothing here is random.
//!
//! The program prints a line `begin` before the work and `ID ELEMENTS` after it. The emulator
//! counts the instructions from line to line. `cargo bench` leaves the program out, as it measures
//! nothing itself.

#[path = "support/uniform.rs"]
mod uniform;

use mantex::medoids::{Algorithm, Init};
use mantex::transport::{EpsilonScaling, Method, OverRelaxation};
use mantex::{Isa, KMedoids, MatMut, MatRef, Metric, Real, Sinkhorn};
use std::any::type_name;
use std::hint::black_box;
use uniform::uniform;

/// The elements of the inputs of softmax in cache.
const IN_CACHE: usize = 24 << 10;

/// The size of the last-level cache that rows are compared with, whatever the machine has.
const CACHE_BYTES: usize = 4 << 20;

/// The bytes of the longest row and of a shorter one, both written past the caches.
const LONG_BYTES: [usize; 2] = [16 << 20, 20 << 20];

/// The side of the cost matrix.
const COSTS: usize = 128;

/// The objects of the matrix of dissimilarities.
const OBJECTS: usize = 800;

/// The points between which distances are computed, and their dimensions.
const POINTS: usize = 96;
const DIMENSIONS: usize = 192;

/// Counts for one type on one instruction set.
struct Counts {
    isa: Isa,
    element: &'static str,
}

impl Counts {
    /// Marks the work at two sizes, of `elements_per_size` elements per unit of size.
    fn count(
        &self,
        function: &str,
        size_name: &str,
        sizes: [usize; 2],
        elements_per_size: usize,
        work: &mut dyn FnMut(usize),
    ) {
        for size in sizes {
            let end = format!("{function}/{}/{}/{size_name} {}", self.element, self.isa, size * elements_per_size);
            println!("begin");
            work(size);
            println!("{end}");
        }
    }
}

/// `n` numbers around 0, of which the largest has this magnitude at most.
fn numbers<T: Real>(seed: u64, n: usize, magnitude: f64) -> Vec<T> {
    let mut uniform = uniform(seed);
    (0..n).map(|_| T::rounded(magnitude * (2.0 * uniform() - 1.0))).collect()
}

/// One row or one call.
fn softmax_of_slices<T: Real>(counts: &Counts) {
    let isa = counts.isa;
    let x = numbers::<T>(1, IN_CACHE, 10.0);
    let mut out = x.clone();
    for len in [8, 64, 512] {
        counts.count("softmax", &format!("n={len}"), [8, 40], len, &mut |calls| {
            for _ in 0..calls {
                isa.softmax(black_box(&x[..len]), &mut out[..len]).expect("equal lengths");
            }
        });
    }
    let rows = [IN_CACHE / 3, IN_CACHE];
    let name = format!("n={IN_CACHE}");
    counts.count("softmax", &name, rows, 1, &mut |n| isa.softmax(&x[..n], &mut out[..n]).expect("equal lengths"));
    counts.count("log_softmax", &name, rows, 1, &mut |n| {
        isa.log_softmax(&x[..n], &mut out[..n]).expect("equal lengths");
    });
    counts.count("log_sum_exp", &name, rows, 1, &mut |n| _ = black_box(isa.log_sum_exp(&x[..n])));
    counts.count("stablemax", &name, rows, 1, &mut |n| isa.stablemax(&x[..n], &mut out[..n]).expect("equal lengths"));
    // The scalar kernel has the same loops for long rows.
    if isa.name() != "scalar" {
        let sizes = LONG_BYTES.map(|bytes| bytes / size_of::<T>());
        let x = x.repeat(sizes[1].div_ceil(IN_CACHE));
        let mut out = vec![T::default(); sizes[1]];
        counts.count("softmax", &format!("n={}", sizes[1]), sizes, 1, &mut |n| {
            isa.softmax(&x[..n], &mut out[..n]).expect("equal lengths");
        });
    }
}

/// The first `count` rows of `cols` elements.
fn rows<T>(x: &[T], count: usize, cols: usize) -> MatRef<'_, T> {
    MatRef::new(&x[..count * cols], count, cols).expect("whole rows")
}

/// The first `count` rows of `cols` elements, to be written.
fn rows_mut<T>(x: &mut [T], count: usize, cols: usize) -> MatMut<'_, T> {
    MatMut::new(&mut x[..count * cols], count, cols).expect("whole rows")
}

/// Work on a matrix with a matrix for results and the number of their rows.
type RowWork<'a, T> = &'a mut dyn FnMut(MatRef<'_, T>, MatMut<'_, T>, usize);

/// Matrices of many rows.
fn softmax_of_rows<T: Real>(counts: &Counts) {
    let isa = counts.isa;
    let (x, dy) = (numbers::<T>(1, IN_CACHE, 10.0), numbers::<T>(2, IN_CACHE, 1.0));
    let (mut out, mut losses, classes) = (x.clone(), x.clone(), vec![1; IN_CACHE]);
    for cols in [16, 64, 1024] {
        let (size_name, sizes) = (format!("n={cols}"), [IN_CACHE / 3 / cols, IN_CACHE / cols]);
        let mut count = |function: &str, work: RowWork<'_, T>| {
            counts.count(function, &size_name, sizes, cols, &mut |n| {
                work(rows(&x, n, cols), rows_mut(&mut out, n, cols), n);
            });
        };
        count("softmax_rows", &mut |x, out, _| isa.softmax_rows(x, out).expect("equal shapes"));
        count("log_softmax_rows", &mut |x, out, _| isa.log_softmax_rows(x, out).expect("equal shapes"));
        count("log_sum_exp_rows", &mut |x, _, n| isa.log_sum_exp_rows(x, &mut losses[..n]).expect("equal lengths"));
        count("cross_entropy_rows", &mut |x, _, n| {
            isa.cross_entropy_rows(x, &classes[..n], &mut losses[..n]).expect("equal lengths");
        });
        count("cross_entropy_gradient_rows", &mut |x, out, n| {
            let weight = T::rounded(0.5);
            isa.cross_entropy_gradient_rows(x, &classes[..n], weight, &mut losses[..n], out).expect("equal shapes");
        });
        if cols == 64 {
            count("softmax_columns", &mut |x, out, _| isa.softmax_columns(x, out).expect("equal shapes"));
            count("log_softmax_columns", &mut |x, out, _| isa.log_softmax_columns(x, out).expect("equal shapes"));
            count("log_sum_exp_columns", &mut |x, _, _| {
                isa.log_sum_exp_columns(x, &mut losses[..cols]).expect("equal lengths");
            });
        }
        count("softmax_backward_rows", &mut |y, dx, n| {
            isa.softmax_backward_rows(y, rows(&dy, n, cols), dx).expect("equal shapes");
        });
    }
}

/// Iterations of Sinkhorn: a solve with tolerance 0 takes exactly as many as requested.
fn transport<T: Real>(counts: &Counts) {
    const PROBLEMS: usize = 16;
    let points: Vec<f64> = std::iter::repeat_with(uniform(1)).take(4 * COSTS).collect();
    let (x, y) = points.split_at(2 * COSTS);
    let squared_distance = |p: &[f64], q: &[f64]| (p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2);
    let costs = x.chunks_exact(2).flat_map(|p| y.chunks_exact(2).map(move |q| T::rounded(squared_distance(p, q))));
    let costs: Vec<T> = costs.collect();
    let cost = rows(&costs, COSTS, COSTS);
    let masses = vec![T::rounded(1.0 / COSTS as f64); COSTS * PROBLEMS];
    let solver = Sinkhorn::new(0.05).over_relaxation(OverRelaxation::Off).epsilon_scaling(EpsilonScaling::Off);
    let solver = solver.tolerance(0.0).isa(counts.isa);
    let size_name = |name: &str| format!("{name}/n={COSTS}");
    for (method, name) in [(Method::Log, "log"), (Method::Scaling, "scaling")] {
        counts.count("sinkhorn_iteration", &size_name(name), [4, 12], COSTS * COSTS, &mut |iterations| {
            let solver = solver.clone().method(method).max_iterations(iterations);
            let _ = black_box(solver.solve(cost, &masses[..COSTS], &masses[..COSTS]).expect("a good problem"));
        });
    }
    counts.count("sinkhorn_batch", &size_name("iteration"), [2, 4], PROBLEMS * COSTS * COSTS, &mut |iterations| {
        let (solver, masses) = (solver.clone().max_iterations(iterations), rows(&masses, PROBLEMS, COSTS));
        let _ = black_box(solver.solve_batch(cost, masses, masses).expect("good problems"));
    });
}

/// Scans for swaps, BUILD, and the caches of the nearest medoids.
fn medoids<T: Real>(counts: &Counts) {
    let n = OBJECTS;
    let points = numbers::<T>(1, 2 * n, 1.0);
    let mut distances = vec![T::default(); n * n];
    mantex::distance_matrix(rows(&points, n, 2), rows_mut(&mut distances, n, n), Metric::Euclidean).expect("sizes fit");
    let matrix = rows(&distances, n, n);
    let options = |k: usize, init: Init| KMedoids::new(k).init(init).isa(counts.isa);
    let count = |function: &str, size_name: &str, sizes, per_size: usize, options: &dyn Fn(usize) -> KMedoids| {
        counts.count(function, &format!("n={n}{size_name}"), sizes, per_size, &mut |size| {
            let _ = black_box(options(size).fit(matrix).expect("a good matrix"));
        });
    };
    for k in [5, 20, 100] {
        // From a local optimum the search evaluates all candidates and swaps none.
        let optimum = options(k, Init::Random { seed: 1 }).fit(matrix).expect("a good matrix");
        for (algorithm, name) in [(Algorithm::FastPam1, "fastpam1"), (Algorithm::FasterPam, "fasterpam")] {
            let given = options(k, Init::Given(optimum.medoids().to_vec())).algorithm(algorithm);
            let scan = given.clone().max_iterations(1).fit(matrix).expect("a good matrix");
            assert_eq!(scan.swaps(), 0, "the start is no local optimum");
            count(&format!("swap_scan/{name}"), &format!("/k={k}"), [0, 1], n * n, &|n| {
                given.clone().max_iterations(n)
            });
        }
    }
    count("build", "", [2, 5], n * n, &|k| options(k, Init::Build).max_iterations(0));
    // The caches are made before and after the search: two reads of the row of each medoid.
    let spread = |k: usize| Init::Given((0..k).map(|i| i * (n / k)).collect());
    count("nearest_caches", "", [40, 80], 2 * n, &|k| options(k, spread(k)).max_iterations(0));
}

/// Distances, per multiply-add; a pair of mirrored elements counts once.
fn pairwise<T: Real>(counts: &Counts) {
    let points = numbers::<T>(1, POINTS * DIMENSIONS, 1.0);
    let mut out = vec![T::default(); POINTS * POINTS];
    let metrics = [(Metric::Euclidean, "euclidean"), (Metric::Manhattan, "manhattan"), (Metric::Cosine, "cosine")];
    for (metric, name) in metrics {
        let pairs = POINTS * (POINTS + 1) / 2;
        let size_name = format!("{name}/n={POINTS}");
        counts.count("distance_matrix", &size_name, [DIMENSIONS / 3, DIMENSIONS], pairs, &mut |dimensions| {
            let (points, out) = (rows(&points, POINTS, dimensions), rows_mut(&mut out, POINTS, POINTS));
            counts.isa.distance_matrix(points, out, metric).expect("sizes fit");
        });
    }
}

/// All work of one type on one instruction set.
fn all<T: Real>(isa: Isa) {
    let counts = Counts { isa, element: type_name::<T>() };
    softmax_of_slices::<T>(&counts);
    softmax_of_rows::<T>(&counts);
    transport::<T>(&counts);
    medoids::<T>(&counts);
    pairwise::<T>(&counts);
}

fn main() {
    mantex::baselines::set_cache_bytes(CACHE_BYTES);
    for isa in Isa::available() {
        all::<f32>(isa);
        all::<f64>(isa);
    }
}
