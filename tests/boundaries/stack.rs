//! Every family runs on the small stack that the documentation promises to be enough.

use super::{
    entry_points::{Input, entry_points},
    problems::{ALGORITHMS, METHODS, problem},
};
use crate::support::{
    child::{child, printed},
    data::{rng, uniform},
    float::Float,
    isas::{isas, small_cases},
    rows::streamed_length,
};
use mantex::medoids::Init;
use mantex::transport::EpsilonScaling;
use mantex::*;

/// What the crate's documentation promises to be enough.
const STACK: usize = if cfg!(mantex_unoptimized) { 1 << 20 } else { 64 << 10 };

/// Every family, in shapes that reach every kernel.
fn every_family<T: Float>(isa: Isa) {
    let long = (1, streamed_length::<T>());
    for (rows, cols) in [(1, 1000), (7, 33), (70, 10), long]
        .into_iter()
        .take(if small_cases() || cfg!(mantex_unoptimized) { 3 } else { 4 })
    {
        let x: Vec<T> = uniform(rows * cols, -5.0, 5.0, &mut rng(86));
        let (mut out, mut each) = (x.clone(), vec![T::of(0.0); rows]);
        let view = MatRef::new(&x, rows, cols).expect("it fits");
        let input = Input { x: view, y: view, classes: &vec![cols / 2; rows] };
        for (_, call) in entry_points::<T>() {
            call(isa, &input, MatMut::new(&mut out, rows, cols).expect("it fits"), &mut each).expect("good arguments");
        }
    }
    let (n, m) = (23, 37);
    let [cost, a, b] = problem::<T>(n, m, 0);
    let cost = MatRef::new(&cost, n, m).expect("it fits");
    for method in METHODS {
        let solver = Sinkhorn::new(0.05).isa(isa);
        let scaled = solver.clone().epsilon_scaling(EpsilonScaling::Factor(4.0));
        let _ = scaled.method(method).solve(cost, &a, &b).expect("a good problem");
        let t = solver.method(method).solve(cost, &a, &b).expect("a good problem");
        t.plan_into(cost, MatMut::new(&mut vec![T::of(0.0); n * m], n, m).expect("it fits")).expect("the same shape");
        t.plan_entries(cost, T::of(0.0)).expect("the same shape").for_each(drop);
        t.objective(cost).expect("the same shape");
    }
    let masses = [a, b].map(|mass| mass.repeat(40));
    let [a, b] = [(n, &masses[0]), (m, &masses[1])].map(|(n, mass)| MatRef::new(mass, 40, n).expect("it fits"));
    let _ = Sinkhorn::new(0.1).isa(isa).solve_batch(cost, a, b).expect("good problems");

    let n = 150;
    let points: Vec<T> = uniform(n * 5, -1.0, 1.0, &mut rng(87));
    let points = MatRef::new(&points, n, 5).expect("it fits");
    let (mut d, mut out) = (vec![T::of(0.0); n * n], vec![T::of(0.0); n]);
    for metric in [Metric::SquaredEuclidean, Metric::Manhattan, Metric::Cosine, Metric::Euclidean] {
        isa.distance_matrix(points, MatMut::new(&mut d, n, n).expect("it fits"), metric).expect("the right shape");
    }
    // Points whose squares underflow, and so many dimensions that they take two passes.
    let tiny: Vec<T> = uniform(2100 * 3, 0.0, T::SMALLEST, &mut rng(87));
    let tiny = MatRef::new(&tiny, 3, 2100).expect("it fits");
    let target = MatMut::new(&mut out[..9], 3, 3).expect("it fits");
    isa.distance_matrix_between(tiny, tiny, target, Metric::Euclidean).expect("the right shape");
    let d = MatRef::new(&d, n, n).expect("it fits");
    let weights: Vec<T> = uniform(n, 0.5, 2.0, &mut rng(88));
    for (k, algorithm) in [1, 2, 4, 6, 9, 12, 20, 70].into_iter().flat_map(|k| ALGORITHMS.map(|a| (k, a))) {
        let fitter = KMedoids::new(k).algorithm(algorithm).max_iterations(3).isa(isa);
        let _ = fitter.fit(d).expect("a good problem");
        let clusters = fitter.init(Init::Lab { seed: 1 }).fit_weighted(d, &weights).expect("a good problem");
        if k > 1 {
            isa.silhouette(d, clusters.labels(), &mut out).expect("two clusters");
            isa.silhouette_weighted(d, clusters.labels(), &weights, &mut out).expect("two clusters");
            isa.medoid_silhouette(d, clusters.medoids(), &mut out).expect("two medoids");
        }
    }
    isa.assign(d, &mut vec![0; n], &mut out).expect("the lengths agree");
    let _ = KMedoids::new(2).isa(isa).fit_condensed(&vec![T::of(1.0); n * (n - 1) / 2]).expect("a good problem");
}

/// Runs `f` in a thread with so many bytes of stack; one that takes more kills the process.
fn with_stack(bytes: usize, f: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(bytes).spawn(f).expect("a thread");
    thread.join().expect("no panic");
}

/// Calls everything, or takes `MANTEX_TAKE` bytes of stack.
#[test]
fn a_small_stack_alone() {
    // What a process sets up once is not counted.
    let isas = isas();
    let take = std::env::var("MANTEX_TAKE").map_or(0, |bytes| bytes.parse::<usize>().expect("a number"));
    with_stack(STACK, move || {
        if take > 0 {
            return assert!(taken(take) > 0);
        }
        for isa in isas {
            every_family::<f32>(isa);
            every_family::<f64>(isa);
        }
    });
    println!("was enough");
}

/// Calls itself until so many bytes of stack are taken, or a few times as many without
/// optimization; returns how many.
fn taken(bytes: usize) -> usize {
    let page = std::hint::black_box([0_u8; 1 << 10]);
    let rest = if bytes > page.len() { taken(bytes - page.len()) } else { 0 };
    rest + std::hint::black_box(&page).len()
}

/// In processes of their own: the stack is as small as is said, and it is enough.
#[test]
fn a_small_stack_is_enough() {
    for (take, enough) in [(STACK / 4, true), (STACK * 2, false), (0, true)] {
        let output = child(module_path!(), "a_small_stack_alone", Some(("MANTEX_TAKE", &take.to_string())));
        let printed = printed(&output);
        assert_eq!(output.status.success(), enough, "{take}: {printed}");
        assert_eq!(printed.contains("was enough"), enough, "{take}: {printed}");
    }
}
