//! Views at the limits of `usize` that are allowed: without elements, or of one row. Those beyond
//! are in the contract's `views`.

use super::{
    entry_points::{Input, entry_points},
    problems::METHODS,
};
use crate::support::{
    data::{normal, rng, uniform},
    float::{Float, bits_of},
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::{medoids::*, *};

for_both_types! {
    empty_views_of_huge_shapes
    one_row_at_a_huge_stride
    solvers_refuse_huge_shapes
    solvers_take_huge_strides
}

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
    let matrices =
        |name: &str| name.contains("rows") && !name.contains("cross_entropy") && !name.contains("rows_in_place");
    let shapes = || HUGE.into_iter().flat_map(|shape| HUGE.map(|other| (shape, other)));
    for (isa, (shape, other)) in isas().into_iter().flat_map(|isa| shapes().map(move |shapes| (isa, shapes))) {
        let what = format!("{}/{isa}/{shape:?} and {other:?}", T::NAME);
        for (name, call) in entry_points::<T>().into_iter().filter(|(name, _)| matrices(name)) {
            let input = Input { x: empty(shape), y: empty(shape), classes: &[] };
            let result = call(isa, &input, empty_mut(other), &mut []);
            let per_row = name.contains("log_sum_exp");
            let expected = match per_row {
                true if shape.0 > 0 => Err(Error::LengthMismatch { argument: "out", actual: 0, expected: shape.0 }),
                false if shape != other => {
                    let argument = if name.contains("backward") { "dx" } else { "out" };
                    Err(Error::ShapeMismatch { argument, actual: other, expected: shape })
                }
                _ => Ok(()),
            };
            assert_eq!(result, expected, "{name}/{what}");
            // A mask, or what flows back, of another shape.
            let input = Input { x: empty(shape), y: empty(other), classes: &[] };
            if shape != other && !per_row && (name.starts_with("Softmax::") || name.contains("backward")) {
                let argument = if name.starts_with("Softmax::") { "mask" } else { "dy" };
                let result = call(isa, &input, empty_mut(shape), &mut []);
                assert_eq!(
                    result,
                    Err(Error::ShapeMismatch { argument, actual: other, expected: shape }),
                    "{name}/{what}"
                );
            }
        }
        let in_place = Softmax::new().mask(empty(other)).isa(isa).rows_in_place(empty_mut::<T>(shape));
        let mismatch = Error::ShapeMismatch { argument: "mask", actual: other, expected: shape };
        assert_eq!(in_place, if shape == other { Ok(()) } else { Err(mismatch) }, "{what}");
        let (x, weight) = (empty(shape), T::of(1.0));
        let losses = isa.cross_entropy_rows(x, &[], &mut []);
        let gradient = isa.cross_entropy_gradient_rows(x, &[], weight, &mut [], empty_mut(other));
        if shape.0 > 0 {
            let expected = Err(Error::LengthMismatch { argument: "classes", actual: 0, expected: shape.0 });
            assert_eq!((&losses, &gradient), (&expected, &expected), "{what}");
        } else {
            let expected = Error::ShapeMismatch { argument: "gradient", actual: other, expected: shape };
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
            let error = isa.cross_entropy_rows(x, &[MAX - 1], &mut [T::of(0.0)]);
            assert_eq!(error, Err(Error::ClassOutOfRange { row: 0, class: MAX - 1, classes: len }));
            assert_eq!(isa.cross_entropy_rows(x, &[IGNORED], &mut [T::of(0.0)]), Ok(()));
            // Offsets that no sum of an index and an offset holds.
            for (offset, visible) in [(isize::MAX, len), (isize::MIN, 0)] {
                let mut p = vec![T::of(99.0); len];
                let options = Softmax::new().causal(offset).masked_rows_are_zero(true).isa(isa);
                options.rows(x, MatMut::new(&mut p, 1, len).expect("it fits")).expect("good options");
                assert_eq!(p.iter().filter(|p| p.wide() > 0.0).count(), visible);
            }
        }
    }
}

/// Every entry point names what is wrong, before it computes with the numbers.
fn solvers_refuse_huge_shapes<T: Float>() {
    let half = T::of(0.5);
    let (small, masses) = ([half; 4], [half; 2]);
    let square = MatRef::new(&small, 2, 2).expect("it fits");
    let mass = MatRef::new(&masses, 1, 2).expect("it fits");
    let clusters = KMedoids::new(1).fit(square).expect("a good problem");
    for (isa, shape) in isas().into_iter().flat_map(|isa| HUGE.map(|shape| (isa, shape))) {
        let (huge, what) = (empty::<T>(shape), format!("{}/{isa}/{shape:?}", T::NAME));
        let solver = Sinkhorn::new(1.0).max_iterations(MAX).memory_limit(MAX).isa(isa);
        let transport = solver.solve(square, &masses, &masses).expect("a good problem");
        let no_cost = Error::Empty { argument: "cost" };
        assert_eq!(solver.solve(huge, &[], &[]).err(), Some(no_cost.clone()), "{what}");
        assert_eq!(solver.solve_batch(huge, mass, mass).err(), Some(no_cost), "{what}");
        let shape_error = |argument, expected| Some(Error::ShapeMismatch { argument, actual: shape, expected });
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
        assert_eq!(isa.silhouette(huge, &[], &mut []).err(), not_square(argument), "{what}");
        assert_eq!(isa.medoid_silhouette(huge, &[], &mut []).err(), not_square(argument), "{what}");
        assert_eq!(isa.silhouette_weighted(huge, &[], &[], &mut []).err(), not_square(argument), "{what}");
        assert_eq!(isa.medoid_silhouette_weighted(huge, &[], &[], &mut []).err(), not_square(argument), "{what}");
        assert_eq!(clusters.predict(huge).err(), shape_error(argument, (shape.0, 1)), "{what}");
        assert_eq!(expand_condensed::<T>(&[], empty_mut(shape)).err(), not_square("out"), "{what}");
        // Of no objects there are no clusters; without medoids there is no nearest.
        let expected = if shape.1 > 0 { Ok(()) } else { Err(Error::Empty { argument }) };
        assert_eq!(isa.assign(huge, &mut [], &mut []), expected, "{what}");

        let no_points = Err(Error::Empty { argument: "points" });
        assert_eq!(isa.distance_matrix(huge, empty_mut((0, 0)), Metric::Cosine), no_points, "{what}");
        let [x, y] = ["x", "y"].map(|argument| Err(Error::Empty { argument }));
        assert_eq!(isa.distance_matrix_between(huge, square, empty_mut((0, 0)), Metric::Cosine), x, "{what}");
        assert_eq!(isa.distance_matrix_between(square, huge, empty_mut((0, 0)), Metric::Cosine), y, "{what}");
        let error = isa.distance_matrix_between(square, square, empty_mut(shape), Metric::Euclidean).err();
        assert_eq!(error, shape_error("out", (2, 2)), "{what}");
        let error = isa.distance_matrix(square, empty_mut(shape), Metric::Euclidean).err();
        assert_eq!(error, shape_error("out", (2, 2)), "{what}");
    }
    let count = KMedoids::new(MAX).fit(square).err();
    assert_eq!(count, Some(Error::MedoidCountOutOfRange { k: MAX, objects: 2 }));
    let given = KMedoids::new(2).init(Init::Given(vec![0, MAX])).fit(square).err();
    let medoid = Error::MedoidOutOfRange { medoid: MAX, objects: 2 };
    assert_eq!(given, Some(medoid.clone()));
    assert_eq!(medoid_silhouette(square, &[MAX, 0], &mut [half; 2]), Err(medoid));
    let label = Error::LabelOutOfRange { object: 1, label: MAX, objects: 2 };
    assert_eq!(silhouette(square, &[0, MAX], &mut [half; 2]), Err(label));
}

/// Problems with one row, wherever the next would be.
fn solvers_take_huge_strides<T: Float>() {
    let len = 37;
    let x = uniform::<T>(len, 0.1, 1.0, &mut rng(85));
    let mass = [T::of(1.0)];
    let masses = vec![T::of(1.0 / len as f64); len];
    let seven = |stride| MatRef::with_stride(&x, 1, len, stride).expect("it fits");
    let ones = |stride| MatRef::with_stride(&masses, 1, len, stride).expect("it fits");
    let single = |stride| MatRef::with_stride(&x[..1], 1, 1, stride).expect("it fits");
    for isa in isas() {
        let run = |stride: usize| {
            let mut out = vec![T::of(99.0); len];
            let mut results = Vec::new();
            for method in METHODS {
                let solver = Sinkhorn::new(0.1).method(method).isa(isa);
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
            isa.assign(seven(stride), &mut label, &mut out[..1]).expect("the lengths agree");
            results.push(vec![label[0] as u64, out[0].bits()]);
            let clusters = KMedoids::new(1).isa(isa).fit(single(stride)).expect("a good problem");
            results.push(vec![clusters.loss().to_bits(), clusters.medoids()[0] as u64]);
            let target = MatMut::with_stride(&mut out, 1, 1, stride).expect("it fits");
            isa.distance_matrix(seven(stride), target, Metric::Euclidean).expect("the right shape");
            results.push(vec![out[0].bits()]);
            let target = MatMut::with_stride(&mut out, 1, 1, stride).expect("it fits");
            isa.distance_matrix_between(seven(stride), ones(stride), target, Metric::Euclidean)
                .expect("the right shape");
            results.push(vec![out[0].bits()]);
            results
        };
        let expected = run(len);
        assert!(STRIDES.into_iter().all(|stride| run(stride) == expected), "{}/{isa}", T::NAME);
    }
}

/// Lengths about those of the dissimilarities of all pairs of n objects: one more or less is an
/// error for every n, up to slices of a tebibyte, of which no element is read.
#[test]
fn condensed_lengths_at_the_limits() {
    if small_cases() || usize::BITS < 64 {
        return; // There may not be so many addresses.
    }
    let bytes = 1_usize << 40;
    let map = memmap2::MmapOptions::new().len(bytes).no_reserve_swap().map_anon().expect("addresses");
    // SAFETY: so many elements, at the start of a page; all of them read as zeros, and any pattern
    // of bits is an f32.
    let all = unsafe { std::slice::from_raw_parts(map.as_ptr().cast::<f32>(), bytes / 4) };
    let most = 741_455; // Objects, of which a tebibyte holds the pairs.
    for n in [3, 1000, 65_536, 65_537, 92_682, 92_683, most - 1, most] {
        let pairs = n * (n - 1) / 2;
        for len in [pairs - 1, pairs + 1] {
            assert_eq!(KMedoids::new(1).fit_condensed(&all[..len]).err(), Some(Error::NotCondensed { len }), "{n}");
        }
        let mut out = [1.0];
        let out = MatMut::with_stride(&mut out, 1, 1, MAX).expect("it fits");
        let error = Error::LengthMismatch { argument: "condensed", actual: pairs, expected: 0 };
        assert_eq!(expand_condensed(&all[..pairs], out), Err(error));
    }
}
