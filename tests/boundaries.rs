//! No access beyond a slice, neither read nor write: inputs and outputs begin and end at pages without access. Then
//! shapes and strides at the limits of `usize`, and what else the entry points do outside of their arguments: allocations,
//! stack, and what the first call of a process sets up.
#![cfg(unix)]
#![allow(unsafe_code)] // Page protection, and an allocator that counts.

mod support;

use bytemuck::Pod;
use mantex::*;
use memmap2::{MmapMut, MmapRaw};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::os::unix::process::ExitStatusExt;
use std::sync::Barrier;
use support::{Float, bits_of, child, emulated, for_both_types, isas, normal, printed, rng, same_bits, uniform};

for_both_types! {
    rows_at_fences
    matrices_at_fences
    streamed_rows_at_fences
    sinkhorn_at_fences
    batches_at_fences
    medoids_at_fences
    condensed_at_fences
    quality_at_fences
    assignments_at_fences
    distances_at_fences
    empty_views_of_huge_shapes
    one_row_at_a_huge_stride
    solvers_refuse_huge_shapes
    solvers_take_huge_strides
    nothing_is_allocated
    sinkhorn_iterations_do_not_allocate
    batch_iterations_do_not_allocate
    medoids_swaps_do_not_allocate
}

// ---------------------------------------------------------------------------------------------------------------------
// Fences

/// A multiple of the page size of every target.
const PAGE: usize = 64 << 10;

unsafe extern "C" {
    fn mprotect(address: *mut c_void, len: usize, protection: c_int) -> c_int;
}

/// Memory between two fences: pages without access, where any read or write kills the process.
struct Fenced<T> {
    map: MmapRaw,
    bytes: usize,
    elements: PhantomData<T>,
}

impl<T: Pod> Fenced<T> {
    const NO_ACCESS: c_int = 0;

    /// Space for `len` elements or some more.
    fn new(len: usize) -> Self {
        let bytes = (len.max(1) * size_of::<T>()).next_multiple_of(PAGE);
        let map = MmapRaw::from(MmapMut::map_anon(bytes + 2 * PAGE).expect("memory"));
        for start in [0, PAGE + bytes] {
            // SAFETY: these whole pages belong to the map, and nothing refers to them.
            let status = unsafe { mprotect(map.as_mut_ptr().add(start).cast(), PAGE, Self::NO_ACCESS) };
            assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
        }
        Self { map, bytes, elements: PhantomData }
    }

    /// A copy of `x` that begins at the fence before it, or ends at the one behind it.
    fn put(&mut self, x: &[T], side: Side) -> &mut [T] {
        assert!(size_of_val(x) <= self.bytes);
        let start = match side {
            Side::Before => PAGE,
            Side::Behind => PAGE + self.bytes - size_of_val(x),
        };
        // SAFETY: by the assertion all of it lies between the fences, where the memory is initialised (to zero) and any
        // pattern of bits is a T; pages and sizes are multiples of T's alignment; the slice borrows `self`.
        let copy = unsafe { std::slice::from_raw_parts_mut(self.map.as_mut_ptr().add(start).cast::<T>(), x.len()) };
        copy.copy_from_slice(x);
        copy
    }
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Before,
    Behind,
}

const SIDES: [Side; 2] = [Side::Before, Side::Behind];

/// The instruction sets to test. Emulated AVX2 (QEMU 7.2) reads also what a masked load leaves out, which no CPU does,
/// and so dies at a fence.
fn fenced_isas() -> Vec<Isa> {
    isas().into_iter().filter(|isa| !emulated() || isa.name() != "avx2").collect()
}

/// Reads the byte that `MANTEX_READ_AT` tells, counted from the start of the accessible memory.
#[test]
fn a_byte_alone() {
    let at = std::env::var("MANTEX_READ_AT").map_or(0, |at| at.parse::<isize>().expect("a number"));
    assert!(at.unsigned_abs() <= PAGE);
    let fenced = Fenced::<u8>::new(1);
    println!("reading");
    // SAFETY: inside of the map, whose fences are there to stop this.
    let byte = unsafe { fenced.map.as_ptr().offset(PAGE as isize + at).read_volatile() };
    println!("has read {byte}");
}

/// The tests below rely on it.
#[test]
fn fences_stop_single_bytes() {
    let page = PAGE as isize;
    for (at, allowed) in [(-1, false), (0, true), (page - 1, true), (page, false)] {
        let output = child("a_byte_alone", Some(("MANTEX_READ_AT", &at.to_string())));
        let printed = printed(&output);
        assert!(printed.contains("reading"), "{at}: {printed}");
        assert_eq!(printed.contains("has read 0"), allowed, "{at}: {printed}");
        assert_eq!(output.status.success(), allowed, "{at}: {printed}");
        // SIGSEGV or, by its numbers in Linux and in BSD, SIGBUS: not a panic.
        assert_eq!(matches!(output.status.signal(), Some(7 | 10 | 11)), !allowed, "{at}: {:?}", output.status);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The slice-level entry points

/// What they read, of which each takes a part.
struct Input<'a, T> {
    x: MatRef<'a, T>,
    y: MatRef<'a, T>,
    classes: &'a [usize],
}

/// Writes a matrix, or one element per row.
type EntryPoint<T> = fn(Isa, &Input<'_, T>, MatMut<'_, T>, &mut [T]) -> Result<(), Error>;

/// Those of one row take the first.
fn entry_points<T: Float>() -> Vec<(&'static str, EntryPoint<T>)> {
    vec![
        ("softmax", |isa, i, mut out, _| softmax_on(isa, i.x.row(0), out.row_mut(0))),
        ("softmax_in_place", |isa, i, mut out, _| {
            out.row_mut(0).copy_from_slice(i.x.row(0));
            softmax_in_place_on(isa, out.row_mut(0));
            Ok(())
        }),
        ("log_softmax", |isa, i, mut out, _| log_softmax_on(isa, i.x.row(0), out.row_mut(0))),
        ("log_sum_exp", |isa, i, _, each| {
            each[0] = log_sum_exp_on(isa, i.x.row(0));
            Ok(())
        }),
        ("ExtSum", |isa, i, _, each| {
            each[0] = ExtSum::of_on(isa, i.x.row(0)).merge(ExtSum::of_on(isa, i.y.row(0))).ln();
            Ok(())
        }),
        ("softmax_backward", |isa, i, mut out, _| softmax_backward_on(isa, i.x.row(0), i.y.row(0), out.row_mut(0))),
        ("log_softmax_backward", |isa, i, mut out, _| {
            log_softmax_backward_on(isa, i.x.row(0), i.y.row(0), out.row_mut(0))
        }),
        ("stablemax", |isa, i, mut out, _| stablemax_on(isa, i.x.row(0), out.row_mut(0))),
        ("log_stablemax", |isa, i, mut out, _| log_stablemax_on(isa, i.x.row(0), out.row_mut(0))),
        ("stablemax_backward", |isa, i, mut out, _| stablemax_backward_on(isa, i.x.row(0), i.y.row(0), out.row_mut(0))),
        ("log_stablemax_backward", |isa, i, mut out, _| {
            log_stablemax_backward_on(isa, i.x.row(0), i.y.row(0), out.row_mut(0))
        }),
        ("softmax_rows", |isa, i, out, _| softmax_rows_on(isa, i.x, out)),
        ("softmax_rows_with", |isa, i, out, _| softmax_rows_with_on(isa, i.x, out, &options(i.y))),
        ("log_softmax_rows", |isa, i, out, _| log_softmax_rows_on(isa, i.x, out)),
        ("log_softmax_rows_with", |isa, i, out, _| log_softmax_rows_with_on(isa, i.x, out, &options(i.y))),
        ("log_sum_exp_rows", |isa, i, _, each| log_sum_exp_rows_on(isa, i.x, each)),
        ("log_sum_exp_rows_with", |isa, i, _, each| log_sum_exp_rows_with_on(isa, i.x, each, &options(i.y))),
        ("softmax_backward_rows", |isa, i, out, _| softmax_backward_rows_on(isa, i.x, i.y, out)),
        ("log_softmax_backward_rows", |isa, i, out, _| log_softmax_backward_rows_on(isa, i.x, i.y, out)),
        ("stablemax_rows", |isa, i, out, _| stablemax_rows_on(isa, i.x, out)),
        ("log_stablemax_rows", |isa, i, out, _| log_stablemax_rows_on(isa, i.x, out)),
        ("stablemax_backward_rows", |isa, i, out, _| stablemax_backward_rows_on(isa, i.x, i.y, out)),
        ("log_stablemax_backward_rows", |isa, i, out, _| log_stablemax_backward_rows_on(isa, i.x, i.y, out)),
        ("cross_entropy_rows", |isa, i, _, each| match i.x.cols() {
            0 => Ok(()), // There is no class.
            _ => cross_entropy_rows_on(isa, i.x, i.classes, each),
        }),
        ("cross_entropy_gradient_rows", |isa, i, out, each| match i.x.cols() {
            0 => Ok(()),
            _ => cross_entropy_gradient_rows_on(isa, i.x, i.classes, T::of(0.25), each, out),
        }),
    ]
}

fn options<T: Float>(mask: MatRef<'_, T>) -> SoftmaxOptions<'_, T> {
    SoftmaxOptions::new().scale(T::of(0.75)).mask(mask)
}

/// Between the fences every entry point gives the bits that it gives in ordinary buffers. Rows are `cols + gap` apart.
fn slices_at_fences<T: Float>(shapes: impl Iterator<Item = (usize, usize, usize)>) {
    const MOST: usize = 10_000;
    let mut r = rng(71);
    let [mut x_fence, mut y_fence, mut out_fence, mut each_fence] = [(); 4].map(|()| Fenced::<T>::new(MOST));
    let mut class_fence = Fenced::new(MOST);
    for (rows, cols, gap) in shapes {
        let stride = cols + gap;
        let len = (rows - 1) * stride + cols;
        let (x, y) = (normal::<T>(len, 3.0, 0.0, &mut r), normal::<T>(len, 1.0, -1.0, &mut r));
        let classes: Vec<usize> = (0..rows).map(|i| (cols - i % cols.max(1)).saturating_sub(1)).collect();
        let (unwritten, each_unwritten) = (vec![T::of(99.0); len], vec![T::of(99.0); rows]);
        for (isa, (name, call)) in
            fenced_isas().into_iter().flat_map(|isa| entry_points().into_iter().map(move |entry| (isa, entry)))
        {
            let run = |x: &[T], y: &[T], classes: &[usize], out: &mut [T], each: &mut [T]| {
                let [x, y] = [x, y].map(|x| MatRef::with_stride(x, rows, cols, stride).expect("it fits"));
                let input = Input { x, y, classes };
                let target = MatMut::with_stride(out, rows, cols, stride).expect("it fits");
                call(isa, &input, target, each).expect("good arguments");
                (bits_of(out), bits_of(each))
            };
            let expected = run(&x, &y, &classes, &mut unwritten.clone(), &mut each_unwritten.clone());
            for side in SIDES {
                let actual = run(
                    x_fence.put(&x, side),
                    y_fence.put(&y, side),
                    class_fence.put(&classes, side),
                    out_fence.put(&unwritten, side),
                    each_fence.put(&each_unwritten, side),
                );
                assert!(actual == expected, "{name}/{}/{isa}/{rows} x {cols}, gap {gap}/{side:?}", T::NAME);
            }
        }
    }
}

fn rows_at_fences<T: Float>() {
    let short = (0..=200).filter(|len| !emulated() || len % 16 < 2 || len % 16 == 15);
    let long = [511, 512, 513, 1024, 2047, 4097, 10_000];
    let long = long[..if emulated() { 3 } else { 7 }].iter().copied();
    slices_at_fences::<T>(short.chain(long).map(|len| (1, len, 0)));
}

fn matrices_at_fences<T: Float>() {
    let cols = (0..=80).filter(|len| !emulated() || len % 16 < 2).chain([255, 513]);
    slices_at_fences::<T>(cols.flat_map(|cols| [(2, cols, 0), (3, cols, 5), (9, cols, 1)]));
}

/// Rows that are written past the caches, in whole cache lines but for their ends; the last element is on its own.
fn streamed_rows_at_fences<T: Float>() {
    if emulated() {
        return; // Too much for an emulated CPU.
    }
    let len = (16 << 20) / size_of::<T>() + 1;
    let x: Vec<T> = uniform(len, -5.0, 5.0, &mut rng(79));
    let mut expected = vec![T::of(0.0); len];
    let [mut x_fence, mut out_fence] = [(); 2].map(|()| Fenced::<T>::new(len));
    for isa in fenced_isas() {
        softmax_on(isa, &x, &mut expected).expect("equal lengths");
        for side in SIDES {
            let what = format!("{}/{isa}/{side:?}", T::NAME);
            let out = out_fence.put(&x, side);
            softmax_on(isa, x_fence.put(&x, side), out).expect("equal lengths");
            assert!(same_bits(out, &expected), "{what}");
            let out = out_fence.put(&x, side);
            softmax_in_place_on(isa, out);
            assert!(same_bits(out, &expected), "{what}, in place");
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The solvers

const METHODS: [Method; 3] = [Method::Log, Method::Scaling, Method::Auto];

/// Costs of an n x m problem, rows `gap` elements further apart than need be, and two even masses.
fn problem<T: Float>(n: usize, m: usize, gap: usize) -> [Vec<T>; 3] {
    let cost = uniform(n * (m + gap) - gap, 0.0, 1.0, &mut rng(72));
    [cost, vec![T::of(1.0 / n as f64); n], vec![T::of(1.0 / m as f64); m]]
}

fn sinkhorn_at_fences<T: Float>() {
    let [mut cost_fence, mut a_fence, mut b_fence, mut plan_fence] = [(); 4].map(|()| Fenced::<T>::new(10_000));
    let shapes = [(1, 1, 0), (1, 5, 0), (5, 1, 2), (3, 7, 2), (8, 16, 0), (17, 33, 7), (40, 3, 0), (31, 129, 1)];
    for (n, m, gap) in shapes {
        let [cost, a, b] = problem::<T>(n, m, gap);
        for (isa, method) in fenced_isas().into_iter().flat_map(|isa| METHODS.map(|method| (isa, method))) {
            let solver = Sinkhorn::new(T::of(0.1)).max_iterations(7).tolerance(T::of(0.0)).isa(isa).method(method);
            let solve = |cost: &[T], a: &[T], b: &[T], plan: &mut [T]| {
                let cost = MatRef::with_stride(cost, n, m, m + gap).expect("it fits");
                let t = solver.solve(cost, a, b).expect("a good problem");
                t.plan_into(cost, MatMut::with_stride(plan, n, m, m + gap).expect("it fits")).expect("the same shape");
                [bits_of(t.f()), bits_of(t.g()), bits_of(&[t.cost(), t.marginal_error()]), bits_of(plan)]
            };
            let unwritten = vec![T::of(99.0); cost.len()];
            let expected = solve(&cost, &a, &b, &mut unwritten.clone());
            for side in SIDES {
                let actual = solve(
                    cost_fence.put(&cost, side),
                    a_fence.put(&a, side),
                    b_fence.put(&b, side),
                    plan_fence.put(&unwritten, side),
                );
                assert!(actual == expected, "{}/{isa}/{method:?}/{n} x {m}, gap {gap}/{side:?}", T::NAME);
            }
        }
    }
}

/// Fewer and more problems than lanes, rows of the masses `gap` elements apart. Either side may be one row for all.
fn batches_at_fences<T: Float>() {
    let [mut cost_fence, mut a_fence, mut b_fence] = [(); 3].map(|()| Fenced::<T>::new(5000));
    let shapes = [(1, 1, 1, 0), (3, 5, 7, 2), (40, 16, 9, 1), (70, 9, 33, 0), (5, 31, 65, 3)];
    for (problems, n, m, gap) in shapes {
        let [cost, ..] = problem::<T>(n, m, gap);
        let masses = |rows: usize, cols: usize| {
            let row = |problem: usize| (0..cols).map(move |i| (1 + (i + problem) % cols) as f64);
            let total = row(0).sum::<f64>();
            let mut masses: Vec<T> = Vec::new();
            for problem in 0..rows {
                masses.extend(row(problem).map(|mass| T::of(mass / total)));
                masses.resize(masses.len() + if problem + 1 < rows { gap } else { 0 }, T::of(f64::NAN));
            }
            masses
        };
        for (isa, one_a) in fenced_isas().into_iter().flat_map(|isa| [(isa, false), (isa, true)]) {
            let rows = if one_a { (1, problems) } else { (problems, 1) };
            let (a, b) = (masses(rows.0, n), masses(rows.1, m));
            let solver = Sinkhorn::new(T::of(0.2)).max_iterations(20).isa(isa);
            let solve = |cost: &[T], a: &[T], b: &[T]| {
                let cost = MatRef::with_stride(cost, n, m, m + gap).expect("it fits");
                let a = MatRef::with_stride(a, rows.0, n, n + gap).expect("it fits");
                let b = MatRef::with_stride(b, rows.1, m, m + gap).expect("it fits");
                let batch = solver.solve_batch(cost, a, b).expect("good problems");
                let results = |p| [bits_of(batch.f(p)), bits_of(batch.g(p)), bits_of(&[batch.value(p)])];
                (0..problems).map(results).collect::<Vec<_>>()
            };
            let expected = solve(&cost, &a, &b);
            for side in SIDES {
                let actual = solve(cost_fence.put(&cost, side), a_fence.put(&a, side), b_fence.put(&b, side));
                assert!(actual == expected, "{}/{isa}/{problems} of {n} x {m}, gap {gap}/{side:?}", T::NAME);
            }
        }
    }
}

const ALGORITHMS: [Algorithm; 3] = [Algorithm::FasterPam, Algorithm::FastPam1, Algorithm::Alternating];

/// What there is of a clustering.
fn found<T: Float>(clusters: Result<Clustering<T>, Error>) -> (Vec<usize>, Vec<usize>, u64) {
    let clusters = clusters.expect("a good problem");
    (clusters.medoids().to_vec(), clusters.labels().to_vec(), clusters.loss().bits())
}

fn medoids_at_fences<T: Float>() {
    let [mut fence, mut weight_fence] = [(); 2].map(|()| Fenced::<T>::new(2000));
    for n in (1..=40).filter(|n| !emulated() || n % 4 == 1) {
        let stride = n + n % 3;
        let distances = uniform::<T>((n - 1) * stride + n, 0.1, 1.0, &mut rng(73));
        let weights = uniform::<T>(n, 0.5, 2.0, &mut rng(74));
        for (isa, algorithm) in fenced_isas().into_iter().flat_map(|isa| ALGORITHMS.map(|algorithm| (isa, algorithm))) {
            let fitter = KMedoids::new(1 + n / 5).algorithm(algorithm).isa(isa);
            let fit = |distances: &[T], weights: &[T]| {
                let view = MatRef::with_stride(distances, n, n, stride).expect("it fits");
                [fitter.fit(view), fitter.fit_weighted(view, weights)].map(found)
            };
            let expected = fit(&distances, &weights);
            for side in SIDES {
                let actual = fit(fence.put(&distances, side), weight_fence.put(&weights, side));
                assert!(actual == expected, "{}/{isa}/{algorithm:?}/n={n}/{side:?}", T::NAME);
            }
        }
    }
}

fn condensed_at_fences<T: Float>() {
    let mut fence = Fenced::<T>::new(3000);
    for n in (1..=20).chain([63, 64, 65, 75]).filter(|n| !emulated() || n % 4 < 2) {
        let condensed = uniform::<T>(n * (n - 1) / 2, 0.1, 1.0, &mut rng(80));
        for isa in fenced_isas() {
            let fitter = KMedoids::new(1 + n / 5).isa(isa);
            let expected = found(fitter.fit_condensed(&condensed));
            for side in SIDES {
                let actual = found(fitter.fit_condensed(fence.put(&condensed, side)));
                assert!(actual == expected, "{}/{isa}/n={n}/{side:?}", T::NAME);
            }
        }
    }
}

/// Both silhouettes. Of one object there are not two clusters.
fn quality_at_fences<T: Float>() {
    let [mut fence, mut out_fence] = [(); 2].map(|()| Fenced::<T>::new(2000));
    let [mut label_fence, mut medoid_fence] = [(); 2].map(|()| Fenced::<usize>::new(40));
    for n in (2..=40).filter(|n| !emulated() || n % 4 == 1) {
        let stride = n + n % 3;
        let distances = uniform::<T>((n - 1) * stride + n, 0.1, 1.0, &mut rng(81));
        let labels: Vec<usize> = (0..n).map(|i| i % 3).collect();
        let medoids: Vec<usize> = (0..n).rev().step_by(1 + n % 4).take(n.min(9)).collect();
        let medoids = if medoids.len() > 1 { medoids } else { vec![1, 0] };
        let unwritten = vec![T::of(99.0); n];
        for isa in fenced_isas() {
            let judge = |distances: &[T], labels: &[usize], medoids: &[usize], out: &mut [T]| {
                let view = MatRef::with_stride(distances, n, n, stride).expect("it fits");
                let mean = silhouette_on(isa, view, labels, out).expect("two clusters or more");
                let silhouettes = bits_of(out);
                let medoid_mean = medoid_silhouette_on(isa, view, medoids, out).expect("two medoids or more");
                ([mean.bits(), medoid_mean.bits()], silhouettes, bits_of(out))
            };
            let expected = judge(&distances, &labels, &medoids, &mut unwritten.clone());
            for side in SIDES {
                let actual = judge(
                    fence.put(&distances, side),
                    label_fence.put(&labels, side),
                    medoid_fence.put(&medoids, side),
                    out_fence.put(&unwritten, side),
                );
                assert!(actual == expected, "{}/{isa}/n={n}/{side:?}", T::NAME);
            }
        }
    }
}

fn assignments_at_fences<T: Float>() {
    let [mut fence, mut out_fence] = [(); 2].map(|()| Fenced::<T>::new(2000));
    let mut label_fence = Fenced::<usize>::new(10);
    for k in (1..=70).filter(|k| !emulated() || k % 8 < 2) {
        let (rows, stride) = (1 + k % 5, k + k % 3);
        let distances = uniform::<T>((rows - 1) * stride + k, 0.1, 1.0, &mut rng(82));
        let (labels, unwritten) = (vec![99; rows], vec![T::of(99.0); rows]);
        for isa in fenced_isas() {
            let run = |distances: &[T], labels: &mut [usize], out: &mut [T]| {
                let view = MatRef::with_stride(distances, rows, k, stride).expect("it fits");
                assign_on(isa, view, labels, out).expect("the lengths agree");
                (labels.to_vec(), bits_of(out))
            };
            let expected = run(&distances, &mut labels.clone(), &mut unwritten.clone());
            for side in SIDES {
                let actual =
                    run(fence.put(&distances, side), label_fence.put(&labels, side), out_fence.put(&unwritten, side));
                assert!(actual == expected, "{}/{isa}/{rows} x {k}/{side:?}", T::NAME);
            }
        }
    }
}

fn distances_at_fences<T: Float>() {
    let [mut fence, mut out_fence] = [(); 2].map(|()| Fenced::<T>::new(3000));
    for n in (1..=40).filter(|n| !emulated() || n % 4 == 1) {
        let (dimensions, gap) = (1 + n * 7 % 65, n % 3);
        let points = uniform::<T>(n * (dimensions + gap) - gap, -1.0, 1.0, &mut rng(75));
        let unwritten = vec![T::of(99.0); n * (n + gap) - gap];
        for isa in fenced_isas() {
            for metric in [Metric::SquaredEuclidean, Metric::Euclidean, Metric::Manhattan, Metric::Cosine] {
                let run = |points: &[T], out: &mut [T]| {
                    let points = MatRef::with_stride(points, n, dimensions, dimensions + gap).expect("it fits");
                    let target = MatMut::with_stride(out, n, n, n + gap).expect("it fits");
                    distance_matrix_on(isa, points, target, metric).expect("the right shape");
                    bits_of(out)
                };
                let expected = run(&points, &mut unwritten.clone());
                for side in SIDES {
                    let actual = run(fence.put(&points, side), out_fence.put(&unwritten, side));
                    assert!(actual == expected, "{metric:?}/{}/{isa}/{n} x {dimensions}/{side:?}", T::NAME);
                }
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The limits of usize. Views beyond them are in isa.rs; here are those that may be: without elements, or of one row.

const MAX: usize = usize::MAX;

/// Shapes that take no elements.
const HUGE: [(usize, usize); 4] = [(MAX, 0), (0, MAX), (MAX / 2 + 1, 0), (0, MAX / size_of::<f64>())];

fn empty<T>((rows, cols): (usize, usize)) -> MatRef<'static, T> {
    MatRef::new(&[], rows, cols).expect("it has no elements")
}

fn empty_mut<T>((rows, cols): (usize, usize)) -> MatMut<'static, T> {
    MatMut::new(&mut [], rows, cols).expect("it has no elements")
}

/// There is nothing to do, or an error says which argument has another shape.
fn empty_views_of_huge_shapes<T: Float>() {
    let matrices = |name: &str| name.contains("rows") && !name.starts_with("cross_entropy");
    let shapes = || HUGE.into_iter().flat_map(|shape| HUGE.map(|other| (shape, other)));
    for (isa, (shape, other)) in isas().into_iter().flat_map(|isa| shapes().map(move |shapes| (isa, shapes))) {
        let what = format!("{}/{isa}/{shape:?} and {other:?}", T::NAME);
        for (name, call) in entry_points::<T>().into_iter().filter(|(name, _)| matrices(name)) {
            let input = Input { x: empty(shape), y: empty(shape), classes: &[] };
            let result = call(isa, &input, empty_mut(other), &mut []);
            let per_row = name.starts_with("log_sum_exp");
            let expected = match per_row {
                true if shape.0 > 0 => Err(Error::Length { argument: "out", actual: 0, expected: shape.0 }),
                false if shape != other => {
                    let argument = if name.contains("backward") { "dx" } else { "out" };
                    Err(Error::Shape { argument, actual: other, expected: shape })
                }
                _ => Ok(()),
            };
            assert_eq!(result, expected, "{name}/{what}");
            // A mask, or what flows back, of another shape.
            let input = Input { x: empty(shape), y: empty(other), classes: &[] };
            if shape != other && !per_row && (name.contains("with") || name.contains("backward")) {
                let argument = if name.contains("with") { "mask" } else { "dy" };
                let result = call(isa, &input, empty_mut(shape), &mut []);
                assert_eq!(result, Err(Error::Shape { argument, actual: other, expected: shape }), "{name}/{what}");
            }
        }
        let (x, weight) = (empty(shape), T::of(1.0));
        let losses = cross_entropy_rows_on(isa, x, &[], &mut []);
        let gradient = cross_entropy_gradient_rows_on(isa, x, &[], weight, &mut [], empty_mut(other));
        if shape.0 > 0 {
            let expected = Err(Error::Length { argument: "classes", actual: 0, expected: shape.0 });
            assert_eq!((&losses, &gradient), (&expected, &expected), "{what}");
        } else {
            let expected = Error::Shape { argument: "gradient", actual: other, expected: shape };
            assert_eq!((losses, gradient.is_ok()), (Ok(()), shape == other), "{what}");
            assert!(gradient.is_ok() || gradient == Err(expected), "{what}");
        }
    }
}

/// The second row would be past the end of memory; there is but one.
const STRIDES: [usize; 3] = [MAX, MAX / 2, MAX / size_of::<f64>()];

fn one_row_at_a_huge_stride<T: Float>() {
    for len in [0, 1, 7, 16, 33, 200] {
        let (x, y) = (normal::<T>(len, 3.0, 0.0, &mut rng(83)), normal::<T>(len, 1.0, -1.0, &mut rng(84)));
        for (isa, (name, call)) in isas().into_iter().flat_map(|isa| entry_points().into_iter().map(move |e| (isa, e)))
        {
            let run = |stride: usize| {
                let [x, y] = [&x, &y].map(|x| MatRef::with_stride(x, 1, len, stride).expect("it fits"));
                let (mut out, mut each) = (vec![T::of(99.0); len], [T::of(99.0)]);
                let target = MatMut::with_stride(&mut out, 1, len, stride).expect("it fits");
                let input = Input { x, y, classes: &[len.saturating_sub(1)] };
                call(isa, &input, target, &mut each).expect("good arguments");
                (bits_of(&out), bits_of(&each))
            };
            let expected = run(len);
            assert!(STRIDES.into_iter().all(|stride| run(stride) == expected), "{name}/{}/{isa}/{len}", T::NAME);
        }
        for isa in isas().into_iter().filter(|_| len > 0) {
            let x = MatRef::new(&x, 1, len).expect("it fits");
            let error = cross_entropy_rows_on(isa, x, &[MAX], &mut [T::of(0.0)]);
            assert_eq!(error, Err(Error::Class { row: 0, class: MAX, classes: len }));
        }
    }
}

/// Every entry point names what is wrong, before it computes with the numbers.
fn solvers_refuse_huge_shapes<T: Float>() {
    let (one, half) = (T::of(1.0), T::of(0.5));
    let (small, masses) = ([half; 4], [half; 2]);
    let square = MatRef::new(&small, 2, 2).expect("it fits");
    let mass = MatRef::new(&masses, 1, 2).expect("it fits");
    let clusters = KMedoids::new(1).fit(square).expect("a good problem");
    for (isa, shape) in isas().into_iter().flat_map(|isa| HUGE.map(|shape| (isa, shape))) {
        let (huge, what) = (empty::<T>(shape), format!("{}/{isa}/{shape:?}", T::NAME));
        let solver = Sinkhorn::new(one).max_iterations(MAX).memory_limit(MAX).isa(isa);
        let transport = solver.solve(square, &masses, &masses).expect("a good problem");
        let no_cost = Error::Empty { argument: "cost" };
        assert_eq!(solver.solve(huge, &[], &[]).err(), Some(no_cost.clone()), "{what}");
        assert_eq!(solver.solve_batch(huge, mass, mass).err(), Some(no_cost), "{what}");
        let shape_error = |argument, expected| Some(Error::Shape { argument, actual: shape, expected });
        let batch = |a, b| solver.solve_batch(square, a, b).err();
        // So many problems as the side that is looked at has rows, where that is not one.
        assert_eq!(batch(huge, mass), shape_error("a", (shape.0, 2)), "{what}");
        assert_eq!(batch(mass, huge), shape_error("b", (shape.0, 2)), "{what}");
        assert_eq!(transport.plan_into(huge, empty_mut((0, 0))).err(), shape_error("cost", (2, 2)), "{what}");
        assert_eq!(transport.plan_into(square, empty_mut(shape)).err(), shape_error("out", (2, 2)), "{what}");
        assert_eq!(transport.plan_rows(huge).err(), shape_error("cost", (2, 2)), "{what}");
        assert_eq!(transport.plan_entries(huge, half).err(), shape_error("cost", (2, 2)), "{what}");
        assert_eq!(transport.objective(huge).err(), shape_error("cost", (2, 2)), "{what}");

        let not_square = |argument| Some(Error::NotSquare { argument, rows: shape.0, cols: shape.1 });
        let argument = "dissimilarities";
        let fitter = KMedoids::new(1).max_iterations(MAX).isa(isa);
        assert_eq!(fitter.fit(huge).err(), not_square(argument), "{what}");
        assert_eq!(fitter.fit_weighted(huge, &[]).err(), not_square(argument), "{what}");
        assert_eq!(silhouette_on(isa, huge, &[], &mut []).err(), not_square(argument), "{what}");
        assert_eq!(medoid_silhouette_on(isa, huge, &[], &mut []).err(), not_square(argument), "{what}");
        assert_eq!(clusters.predict(huge).err(), shape_error(argument, (shape.0, 1)), "{what}");
        assert_eq!(expand_condensed::<T>(&[], empty_mut(shape)).err(), not_square("out"), "{what}");
        // Of no objects there are no clusters; without medoids there is no nearest.
        let expected = if shape.1 > 0 { Ok(()) } else { Err(Error::Empty { argument }) };
        assert_eq!(assign_on(isa, huge, &mut [], &mut []), expected, "{what}");

        let no_points = Err(Error::Empty { argument: "points" });
        assert_eq!(distance_matrix_on(isa, huge, empty_mut((0, 0)), Metric::Cosine), no_points, "{what}");
        let error = distance_matrix_on(isa, square, empty_mut(shape), Metric::Euclidean).err();
        assert_eq!(error, shape_error("out", (2, 2)), "{what}");
    }
    let count = KMedoids::new(MAX).fit(square).err();
    assert_eq!(count, Some(Error::MedoidCount { k: MAX, objects: 2 }));
    let given = KMedoids::new(2).init(Init::Given(vec![0, MAX])).fit(square).err();
    let medoid = Error::Medoid { medoid: MAX, objects: 2, duplicate: false };
    assert_eq!(given, Some(medoid.clone()));
    assert_eq!(medoid_silhouette(square, &[MAX, 0], &mut [half; 2]), Err(medoid));
    let label = Error::Label { object: 1, label: MAX, objects: 2 };
    assert_eq!(silhouette(square, &[0, MAX], &mut [half; 2]), Err(label));
}

/// Problems with one row, wherever the next would be.
fn solvers_take_huge_strides<T: Float>() {
    let len = 37;
    let x = uniform::<T>(len, 0.1, 1.0, &mut rng(85));
    let mass = [T::of(1.0)];
    let masses = vec![T::of(1.0 / len as f64); len];
    let seven = |stride| MatRef::with_stride(&x, 1, len, stride).expect("it fits");
    let single = |stride| MatRef::with_stride(&x[..1], 1, 1, stride).expect("it fits");
    for isa in isas() {
        let run = |stride: usize| {
            let mut out = vec![T::of(99.0); len];
            let mut results = Vec::new();
            for method in METHODS {
                let solver = Sinkhorn::new(T::of(0.1)).method(method).isa(isa);
                let t = solver.solve(seven(stride), &mass, &masses).expect("a good problem");
                let target = MatMut::with_stride(&mut out, 1, len, stride).expect("it fits");
                t.plan_into(seven(stride), target).expect("the same shape");
                let gap = t.objective(seven(stride)).expect("the same shape").gap;
                results.push([bits_of(t.f()), bits_of(t.g()), bits_of(&out), vec![gap.to_bits()]].concat());
                let b = MatRef::with_stride(&masses, 1, len, stride).expect("it fits");
                let a = MatRef::with_stride(&mass, 1, 1, stride).expect("it fits");
                let batch = solver.solve_batch(seven(stride), a, b).expect("a good problem");
                results.push([bits_of(batch.f(0)), bits_of(batch.g(0))].concat());
            }
            let mut label = [9];
            assign_on(isa, seven(stride), &mut label, &mut out[..1]).expect("the lengths agree");
            results.push(vec![label[0] as u64, out[0].bits()]);
            let clusters = KMedoids::new(1).isa(isa).fit(single(stride)).expect("a good problem");
            results.push(vec![clusters.loss().bits(), clusters.medoids()[0] as u64]);
            let target = MatMut::with_stride(&mut out, 1, 1, stride).expect("it fits");
            distance_matrix_on(isa, seven(stride), target, Metric::Euclidean).expect("the right shape");
            results.push(vec![out[0].bits()]);
            results
        };
        let expected = run(len);
        assert!(STRIDES.into_iter().all(|stride| run(stride) == expected), "{}/{isa}", T::NAME);
    }
}

/// Lengths about those of the dissimilarities of all pairs of n objects: one more or less is an error for every n, up to
/// slices of a tebibyte, of which no element is read.
#[test]
fn condensed_lengths_at_the_limits() {
    if emulated() || usize::BITS < 64 {
        return; // There may not be so many addresses.
    }
    let bytes = 1_usize << 40;
    let map = memmap2::MmapOptions::new().len(bytes).no_reserve_swap().map_anon().expect("addresses");
    // SAFETY: so many elements, at the start of a page; all of them read as zeros, and any pattern of bits is an f32.
    let all = unsafe { std::slice::from_raw_parts(map.as_ptr().cast::<f32>(), bytes / 4) };
    let most = 741_455; // Objects, of which a tebibyte holds the pairs.
    for n in [3, 1000, 65_536, 65_537, 92_682, 92_683, most - 1, most] {
        let pairs = n * (n - 1) / 2;
        for len in [pairs - 1, pairs + 1] {
            assert_eq!(KMedoids::new(1).fit_condensed(&all[..len]).err(), Some(Error::Condensed { len }), "{n}");
        }
        let mut out = [1.0];
        let out = MatMut::with_stride(&mut out, 1, 1, MAX).expect("it fits");
        let error = Error::Length { argument: "condensed", actual: pairs, expected: 0 };
        assert_eq!(expand_condensed(&all[..pairs], out), Err(error));
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Allocations

/// The system's allocator, which counts the calling thread's allocations.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: both functions are those of the system's allocator; the counter neither allocates nor unwinds. Reallocation
// and zeroed memory are made of these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
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
    // The last is a row that is streamed past the caches.
    let shapes = [(1, 1), (1, 1000), (7, 33), (70, 10), (1, (16 << 20) / size_of::<T>() + 1)];
    for (rows, cols) in &shapes[..if emulated() { 4 } else { 5 }] {
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
    for (isa, method) in isas().into_iter().flat_map(|isa| METHODS.map(|method| (isa, method))) {
        let [few, many] = [5, 50].map(|iterations| {
            let solver = Sinkhorn::new(T::of(0.05)).tolerance(T::of(0.0)).isa(isa).method(method);
            let solver = solver.max_iterations(iterations);
            let (count, transport) = allocations(|| solver.solve(cost, &a, &b).expect("a good problem"));
            assert_eq!(transport.iterations(), iterations);
            count
        });
        assert!(few > 0 && few == many, "{}/{isa}/{method:?}: {few}, then {many}", T::NAME);
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
            let solver = Sinkhorn::new(T::of(0.5)).tolerance(T::of(0.0)).max_iterations(iterations).isa(isa);
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

// ---------------------------------------------------------------------------------------------------------------------
// Stack

/// What the crate's documentation promises to be enough.
const STACK: usize = if cfg!(mantex_unoptimised) { 1 << 20 } else { 64 << 10 };

/// Every family, in shapes that reach every kernel.
fn every_family<T: Float>(isa: Isa) {
    let long = (1, (16 << 20) / size_of::<T>() + 1); // Streamed past the caches.
    for (rows, cols) in [(1, 1000), (7, 33), (70, 10), long]
        .into_iter()
        .take(if emulated() || cfg!(mantex_unoptimised) { 3 } else { 4 })
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
        let solver = Sinkhorn::new(T::of(0.05)).relaxation(Relaxation::Auto).epsilon_scaling(4.0).isa(isa);
        let t = solver.method(method).solve(cost, &a, &b).expect("a good problem");
        t.plan_into(cost, MatMut::new(&mut vec![T::of(0.0); n * m], n, m).expect("it fits")).expect("the same shape");
        t.plan_entries(cost, T::of(0.0)).expect("the same shape").for_each(drop);
        t.objective(cost).expect("the same shape");
    }
    let masses = [a, b].map(|mass| mass.repeat(40));
    let [a, b] = [(n, &masses[0]), (m, &masses[1])].map(|(n, mass)| MatRef::new(mass, 40, n).expect("it fits"));
    Sinkhorn::new(T::of(0.1)).isa(isa).solve_batch(cost, a, b).expect("good problems");

    let n = 150;
    let points: Vec<T> = uniform(n * 5, -1.0, 1.0, &mut rng(87));
    let points = MatRef::new(&points, n, 5).expect("it fits");
    let (mut d, mut out) = (vec![T::of(0.0); n * n], vec![T::of(0.0); n]);
    for metric in [Metric::SquaredEuclidean, Metric::Manhattan, Metric::Cosine, Metric::Euclidean] {
        distance_matrix_on(isa, points, MatMut::new(&mut d, n, n).expect("it fits"), metric).expect("the right shape");
    }
    let d = MatRef::new(&d, n, n).expect("it fits");
    let weights: Vec<T> = uniform(n, 0.5, 2.0, &mut rng(88));
    for (k, algorithm) in [1, 2, 4, 6, 9, 12, 20, 70].into_iter().flat_map(|k| ALGORITHMS.map(|a| (k, a))) {
        let fitter = KMedoids::new(k).algorithm(algorithm).max_iterations(3).isa(isa);
        fitter.fit(d).expect("a good problem");
        let clusters = fitter.init(Init::Lab { seed: 1 }).fit_weighted(d, &weights).expect("a good problem");
        if k > 1 {
            silhouette_on(isa, d, clusters.labels(), &mut out).expect("two clusters");
            medoid_silhouette_on(isa, d, clusters.medoids(), &mut out).expect("two medoids");
        }
    }
    assign_on(isa, d, &mut vec![0; n], &mut out).expect("the lengths agree");
    KMedoids::new(2).isa(isa).fit_condensed(&vec![T::of(1.0); n * (n - 1) / 2]).expect("a good problem");
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

/// Calls itself until so many bytes of stack are taken, or a few times as many without optimisation; returns how many.
fn taken(bytes: usize) -> usize {
    let page = std::hint::black_box([0_u8; 1 << 10]);
    let rest = if bytes > page.len() { taken(bytes - page.len()) } else { 0 };
    rest + std::hint::black_box(&page).len()
}

/// In processes of their own: the stack is as small as is said, and it is enough.
#[test]
fn a_small_stack_is_enough() {
    for (take, enough) in [(STACK / 4, true), (STACK * 2, false), (0, true)] {
        let output = child("a_small_stack_alone", Some(("MANTEX_TAKE", &take.to_string())));
        let printed = printed(&output);
        assert_eq!(output.status.success(), enough, "{take}: {printed}");
        assert_eq!(printed.contains("was enough"), enough, "{take}: {printed}");
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// First calls

type PlainFunction<T> = fn(&[T]) -> Vec<u64>;

/// The plain functions, in the order of their first calls.
fn plain_functions<T: Float>() -> [PlainFunction<T>; 4] {
    const N: usize = 24;
    [
        |x| {
            let mut out = vec![T::of(0.0); x.len()];
            softmax(x, &mut out).expect("equal lengths");
            bits_of(&out)
        },
        |x| vec![log_sum_exp(x).bits()],
        |x| {
            let mass = [T::of(1.0 / N as f64); N];
            let cost = MatRef::new(x, N, N).expect("it fits");
            let t = Sinkhorn::new(T::of(0.1)).max_iterations(20).solve(cost, &mass, &mass).expect("a good problem");
            [bits_of(t.f()), bits_of(t.g())].concat()
        },
        |x| {
            let clusters = KMedoids::new(4).fit(MatRef::new(x, N, N).expect("it fits")).expect("a good problem");
            [vec![clusters.loss().bits()], clusters.labels().iter().map(|&label| label as u64).collect()].concat()
        },
    ]
}

/// Eight threads call each function at the same time, the first for the first time.
fn together<T: Float>() {
    let x: Vec<T> = uniform(24 * 24, 0.1, 1.0, &mut rng(78));
    let start = Barrier::new(8);
    let calls = || {
        plain_functions::<T>().map(|function| {
            start.wait();
            function(&x)
        })
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(calls)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let expected = plain_functions::<T>().map(|function| function(&x));
    assert!(results.iter().all(|result| *result == expected), "{}", T::NAME);
}

#[test]
fn first_calls_alone() {
    together::<f32>();
    together::<f64>();
}

/// In a process in which no other test has called anything, for every instruction set.
#[test]
fn first_calls_may_come_together() {
    for isa in isas() {
        let output = child("first_calls_alone", Some(("MANTEX_ISA", isa.name())));
        let printed = printed(&output);
        assert!(output.status.success() && printed.contains("1 passed"), "{isa}: {printed}");
    }
}
