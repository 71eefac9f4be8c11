//! The softmax family between fences gives the bits that it gives in ordinary buffers.

use super::{
    entry_points::{Input, entry_points},
    fences::{Fenced, SIDES, fenced_isas},
};
use crate::support::{
    data::{normal, rng, uniform},
    float::{Float, bits_of, same_bits},
    for_both_types,
    isas::small_cases,
    rows::streamed_length,
};
use mantex::*;

for_both_types! {
    rows_at_fences
    matrices_at_fences
    streamed_rows_at_fences
}

/// Between the fences every entry point gives the bits that it gives in ordinary buffers. Rows are
/// `cols + gap` apart.
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
    let short = (0..=200).filter(|len| !small_cases() || len % 16 < 2 || len % 16 == 15);
    let long = [511, 512, 513, 1024, 2047, 4097, 10_000];
    let long = long[..if small_cases() { 3 } else { 7 }].iter().copied();
    slices_at_fences::<T>(short.chain(long).map(|len| (1, len, 0)));
}

fn matrices_at_fences<T: Float>() {
    let cols = (0..=80).filter(|len| !small_cases() || len % 16 < 2).chain([255, 513]);
    slices_at_fences::<T>(cols.flat_map(|cols| [(2, cols, 0), (3, cols, 5), (9, cols, 1)]));
}

/// Rows that are written past the caches, in whole cache lines but for their ends; the last element
/// is on its own.
fn streamed_rows_at_fences<T: Float>() {
    if small_cases() {
        return; // Such rows are large.
    }
    let len = streamed_length::<T>() / 64 * 64 + 1;
    let x: Vec<T> = uniform(len, -5.0, 5.0, &mut rng(79));
    let mut expected = vec![T::of(0.0); len];
    let [mut x_fence, mut out_fence] = [(); 2].map(|()| Fenced::<T>::new(len));
    for isa in fenced_isas() {
        isa.softmax(&x, &mut expected).expect("equal lengths");
        for side in SIDES {
            let what = format!("{}/{isa}/{side:?}", T::NAME);
            let out = out_fence.put(&x, side);
            isa.softmax(x_fence.put(&x, side), out).expect("equal lengths");
            assert!(same_bits(out, &expected), "{what}");
            let out = out_fence.put(&x, side);
            isa.softmax_in_place(out);
            assert!(same_bits(out, &expected), "{what}, in place");
        }
    }
}
