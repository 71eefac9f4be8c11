//! No allocation in slice functions, iterations and swaps.

use super::{
    entry_points::{Input, entry_points},
    problems::{METHODS, problem},
};
use crate::support::{
    data::{rng, uniform},
    float::Float,
    for_both_types,
    isas::{isas, small_cases},
    rows::streamed_length,
};
use mantex::{
    medoids::{Algorithm, Init},
    transport::{EpsilonScaling, OverRelaxation},
    *,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

for_both_types! {
    nothing_is_allocated
    sinkhorn_iterations_do_not_allocate
    newtons_memory_is_allocated_once_if_at_all
    solves_go_on_without_large_memory
    batch_iterations_do_not_allocate
    medoids_swaps_do_not_allocate
}

/// The system's allocator, which counts the calling thread's allocations, and has no memory for its
/// large ones while a test says so.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LARGEST_BYTES: Cell<usize> = const { Cell::new(usize::MAX) };
}

// SAFETY: both functions are those of the system's allocator; the counter neither allocates nor
// unwinds. Reallocation and zeroed memory are made of these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        if layout.size() > LARGEST_BYTES.get() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same, and `alloc` has it from there.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocations of `f`, and its result.
fn allocations<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let before = ALLOCATIONS.get();
    let result = f();
    (ALLOCATIONS.get() - before, result)
}

#[test]
fn allocations_are_counted() {
    assert_eq!(allocations(|| ()).0, 0);
    assert_eq!(allocations(|| std::hint::black_box(vec![1_u8; 9])).0, 1);
    let grows = || (0..1000).fold(Vec::new(), |mut v, i| (v.push(std::hint::black_box(i)), v).1);
    assert!(allocations(grows).0 > 1);
}

fn nothing_is_allocated<T: Float>() {
    let shapes = [(1, 1), (1, 1000), (7, 33), (70, 10), (1, streamed_length::<T>())];
    for (rows, cols) in &shapes[..if small_cases() { 4 } else { 5 }] {
        let x: Vec<T> = uniform(rows * cols, -5.0, 5.0, &mut rng(76));
        let (mut out, mut each) = (x.clone(), vec![T::of(0.0); *rows]);
        let classes = vec![cols / 2; *rows];
        let view = MatRef::new(&x, *rows, *cols).expect("it fits");
        let input = Input { x: view, y: view, classes: &classes };
        for isa in isas() {
            for (name, call) in entry_points::<T>() {
                let out = MatMut::new(&mut out, *rows, *cols).expect("it fits");
                let (count, result) = allocations(|| call(isa, &input, out, &mut each));
                assert_eq!((count, result), (0, Ok(())), "{name}/{}/{isa}/{rows} x {cols}", T::NAME);
            }
        }
    }
}

fn sinkhorn_iterations_do_not_allocate<T: Float>() {
    let (n, m) = (23, 37);
    let [cost, a, b] = problem::<T>(n, m, 0);
    let cost = MatRef::new(&cost, n, m).expect("it fits");
    let solver = Sinkhorn::new(0.05).tolerance(0.0);
    let unaccelerated = solver.clone().over_relaxation(OverRelaxation::Off).epsilon_scaling(EpsilonScaling::Off);
    // The range of the costs is computed in the first iterations of a slow solve.
    let solvers = [(unaccelerated, [5, 50]), (solver, [200, 1000])];
    let isas_and_methods = isas().into_iter().flat_map(|isa| METHODS.map(|method| (isa, method)));
    for ((isa, method), (solver, limits)) in isas_and_methods.flat_map(|at| solvers.clone().map(|with| (at, with))) {
        let [few, many] = limits.map(|iterations| {
            let solver = solver.clone().isa(isa).method(method).max_iterations(iterations);
            let (count, transport) = allocations(|| solver.solve(cost, &a, &b).expect("a good problem"));
            assert_eq!(transport.iterations(), iterations);
            count
        });
        assert!(few > 0 && few == many, "{}/{isa}/{method:?}: {few}, then {many}", T::NAME);
    }
}

/// The default allocates the memory of Newton's method when it chooses it, which an easy problem
/// does not need.
fn newtons_memory_is_allocated_once_if_at_all<T: Float>() {
    let (n, m) = (60, 60);
    let [cost, a, b] = problem::<T>(n, m, 0);
    let cost = MatRef::new(&cost, n, m).expect("it fits");
    for isa in isas() {
        let solve = |solver: &Sinkhorn, most: usize| {
            let solver = solver.clone().isa(isa).max_iterations(most);
            let (count, transport) = allocations(|| solver.solve(cost, &a, &b).expect("a good problem"));
            (count, transport.iterations(), transport.converged())
        };
        let easy = Sinkhorn::new(0.1);
        let (few, (many, iterations, converged)) = (solve(&easy, 1).0, solve(&easy, 1000));
        assert!(converged && few == many, "{}/{isa}: {few}, then {many} in {iterations}", T::NAME);
        // So many iterations that even a schedule of epsilons would be paid for.
        let slow = Sinkhorn::new(1e-3).tolerance(if T::NAME == "f32" { 2e-6 } else { 1e-12 });
        let (all, iterations, converged) = solve(&slow, 20_000);
        assert!(converged && all >= many + 10, "{}/{isa}: {many}, then {all} in {iterations}", T::NAME);
        let (last, ..) = solve(&slow, iterations - 1);
        assert_eq!(last, all, "{}/{isa}: {iterations}", T::NAME);
    }
}

/// Without memory for a Gibbs matrix or for kept entries, all methods iterate in the log domain.
fn solves_go_on_without_large_memory<T: Float>() {
    let (n, m) = (120, 120);
    let [cost, a, b] = problem::<T>(n, m, 0);
    let cost = MatRef::new(&cost, n, m).expect("it fits");
    for isa in isas() {
        let solver = Sinkhorn::new(2e-3).tolerance(if T::NAME == "f32" { 2e-6 } else { 1e-10 }).isa(isa);
        let solve = |method| solver.clone().method(method).max_iterations(20_000).solve(cost, &a, &b);
        let expected = solve(METHODS[0]).expect("a good problem");
        assert!(expected.converged(), "{}/{isa}", T::NAME);
        for method in METHODS {
            LARGEST_BYTES.set(40_000);
            let found = solve(method);
            LARGEST_BYTES.set(usize::MAX);
            let found = found.expect("a good problem");
            let what = format!("{}/{isa}/{method:?}", T::NAME);
            assert_eq!((found.f(), found.g()), (expected.f(), expected.g()), "{what}");
            assert_eq!(found.iterations(), expected.iterations(), "{what}");
        }
    }
}

/// More problems than lanes, so that lanes take up others on the way.
fn batch_iterations_do_not_allocate<T: Float>() {
    let (problems, n, m) = (40, 9, 11);
    let [cost, a, _] = problem::<T>(n, m, 0);
    let cost = MatRef::new(&cost, n, m).expect("it fits");
    let mut b: Vec<T> = (0..problems * m).map(|at| T::of((1 + at * 7 % 5) as f64)).collect();
    for row in b.chunks_mut(m) {
        let total = row.iter().map(|mass| mass.wide()).sum::<f64>();
        row.iter_mut().for_each(|mass| *mass = T::of(mass.wide() / total));
    }
    let (a, b) = (MatRef::new(&a, 1, n).expect("it fits"), MatRef::new(&b, problems, m).expect("it fits"));
    for isa in isas() {
        let [few, many] = [5, 50].map(|iterations| {
            let solver = Sinkhorn::new(0.5).tolerance(0.0).max_iterations(iterations).isa(isa);
            let (count, batch) = allocations(|| solver.solve_batch(cost, a, b).expect("good problems"));
            assert!((0..problems).all(|p| batch.iterations(p) == iterations));
            count
        });
        assert!(few > 0 && few == many, "{}/{isa}: {few}, then {many}", T::NAME);
    }
}

fn medoids_swaps_do_not_allocate<T: Float>() {
    let n = 60;
    // Points on a line, with all medoids at its start; eager swaps need few passes.
    let distances: Vec<T> = (0..n * n).map(|at| T::of(((at / n) as f64 - (at % n) as f64).abs())).collect();
    let distances = MatRef::new(&distances, n, n).expect("it fits");
    // Not the alternating algorithm, which builds its clusters anew in every iteration.
    let cases = [(Algorithm::FasterPam, 1), (Algorithm::RandomFasterPam { seed: 3 }, 1), (Algorithm::FastPam1, 5)];
    for (isa, (algorithm, most)) in isas().into_iter().flat_map(|isa| cases.map(|case| (isa, case))) {
        let [few, many] = [most, 50].map(|iterations| {
            let fitter = KMedoids::new(12).algorithm(algorithm).init(Init::Given((0..12).collect())).isa(isa);
            let fitter = fitter.max_iterations(iterations);
            allocations(|| fitter.fit(distances).expect("a good problem"))
        });
        assert!(few.1.iterations() == most && many.1.iterations() > most, "{algorithm:?}: {}", many.1.iterations());
        assert!(few.0 > 0 && few.0 == many.0, "{}/{isa}/{algorithm:?}: {}, then {}", T::NAME, few.0, many.0);
    }
}
