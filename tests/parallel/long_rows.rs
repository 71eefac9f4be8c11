//! Rows that are so long that threads share each of them.

use super::pools;
use super::support::{
    data::{normal, ramp, rng},
    float::{Float, bits_of},
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::{IGNORED, MatMut, MatRef, Softmax, parallel};

for_both_types! {
    rows_of_all_kinds
    slices
    rows_that_fill_the_caches
}

/// Names and elements of rows: bases that fit, and that change in the first, a later, every, and
/// the last block; one exponential that dominates; special values anywhere.
fn kinds<T: Float>(len: usize) -> Vec<(&'static str, Vec<T>)> {
    let rng = &mut rng(len as u64);
    let x: Vec<T> = normal(len, 3.0, 0.0, rng);
    let moved = |offset: f64| -> Vec<T> { x.iter().map(|x| T::of(x.wide() + offset)).collect() };
    let with = |at: usize, value: f64| {
        let mut x = x.clone();
        x[at] = T::of(value);
        x
    };
    let from = |at: usize, value: f64| {
        let mut x = x.clone();
        x[at..].fill(T::of(value));
        x
    };
    let until = |at: usize, value: f64| {
        let mut x = x.clone();
        x[..at].fill(T::of(value));
        x
    };
    let (last, infinity) = (len - 1, f64::INFINITY);
    vec![
        ("ordinary", x.clone()),
        ("far below base 1", moved(-1000.0)),
        ("far above base 1", moved(1000.0)),
        ("huge", moved(1e7)),
        ("grows", ramp(len, -1e5, 1e6)),
        ("falls", ramp(len, 1e6, -1e5)),
        ("grows late", [&ramp::<T>(len / 2, 0.0, 1.0)[..], &ramp::<T>(len - len / 2, 0.0, 3e4)[..]].concat()),
        ("dominated by its first", with(0, 25.0)),
        ("dominated by its last", with(last, 25.0)),
        ("dominated beyond base 1", with(len / 2, 2000.0)),
        ("overflows in the last block", from(last, 3e4)),
        ("overflows in the middle", from(len / 2, 900.0)),
        ("first blocks masked", until(len / 2, -infinity)),
        ("all but the last masked", until(last, -infinity)),
        ("last block masked", from(last - last % 4096, -infinity)),
        ("all masked", until(len, -infinity)),
        ("NaN first", with(0, f64::NAN)),
        ("NaN last", with(last, f64::NAN)),
        ("+inf in the middle", with(len / 2, infinity)),
        ("+inf before NaN", {
            let mut x = with(len / 3, infinity);
            x[last] = T::of(f64::NAN);
            x
        }),
        ("all NaN", until(len, f64::NAN)),
        ("-0 and masked", {
            let mut x = until(len, -infinity);
            x[len / 2] = T::of(-0.0);
            x
        }),
        ("zeros of both signs", (0..len).map(|i| T::of(if i % 3 == 0 { 0.0 } else { -0.0 })).collect()),
    ]
}

/// Lengths of two blocks; of blocks and a rest of less than a vector, which two threads sum by
/// itself if there are five blocks before it; and of many blocks.
const LENGTHS: [usize; 5] = [8192, 8197, 12_301, 20_485, 45_063];

/// All results of the builder for `rows` copies of a row, each at an address of its own.
fn all<T: Float>(options: Softmax<'_, T>, x: &[T], rows: usize) -> Vec<Vec<u64>> {
    let (cols, stride) = (x.len(), x.len() + 3);
    let mut copies = vec![T::of(1.0); rows * stride];
    copies.chunks_mut(stride).for_each(|row| row[..cols].copy_from_slice(x));
    let view = MatRef::with_stride(&copies, rows, cols, stride).expect("it fits");
    let written = |f: &dyn Fn(MatMut<'_, T>, &mut [T])| {
        let (mut out, mut numbers) = (copies.clone(), vec![T::of(7.0); rows]);
        f(MatMut::with_stride(&mut out, rows, cols, stride).expect("it fits"), &mut numbers);
        [bits_of(&out), bits_of(&numbers)].concat()
    };
    let largest = (0..cols).fold(0, |best, j| if x[j].wide() > x[best].wide() { j } else { best });
    let classes: Vec<usize> = (0..rows).map(|i| [largest, cols / 2, IGNORED, cols - 1][i % 4]).collect();
    let good = "good input";
    vec![
        written(&|out, _| options.rows(view, out).expect(good)),
        written(&|out, _| options.rows_in_place(out).expect(good)),
        written(&|out, _| options.log_rows(view, out).expect(good)),
        written(&|out, _| options.log_rows_in_place(out).expect(good)),
        written(&|_, numbers| options.log_sum_exp_rows(view, numbers).expect(good)),
        written(&|_, numbers| options.cross_entropy_rows(view, &classes, numbers).expect(good)),
        written(&|out, numbers| {
            options.cross_entropy_gradient_rows(view, &classes, T::of(0.25), numbers, out).expect(good);
        }),
        written(&|out, numbers| {
            options.cross_entropy_gradient_rows(view, &classes, T::of(1e-9), numbers, out).expect(good);
        }),
    ]
}

fn rows_of_all_kinds<T: Float>() {
    let pools = pools();
    for (at, len) in LENGTHS.into_iter().enumerate() {
        for (name, x) in kinds::<T>(len) {
            let mask: Vec<T> =
                (0..len).map(|j| T::of(if j % 5 == 3 { f64::NEG_INFINITY } else { 0.25 * (j % 7) as f64 })).collect();
            let plain = Softmax::new();
            let masked = plain.scale(T::of(-0.7)).mask(MatRef::new(&mask, 1, len).expect("it fits"));
            for options in [plain, plain.masked_rows_are_zero(true), masked] {
                for isa in isas() {
                    let options = options.isa(isa);
                    let rows = [1, 3][at % 2];
                    let one = all(options, &x, rows);
                    for pool in &pools {
                        let several = pool.install(|| all(options.parallel(true), &x, rows));
                        for (f, (one, several)) in one.iter().zip(&several).enumerate() {
                            assert!(one == several, "function {f} of {rows} x {len}, {name}, {isa}, {options:?}");
                        }
                    }
                }
            }
        }
    }
}

/// The functions of slices, at every alignment of both.
fn slices<T: Float>() {
    let pools = pools();
    let len = 12_301;
    for (name, x) in kinds::<T>(len) {
        for offset in [0, 1, 2, 3, 5, 8, 15] {
            let mut buffer = vec![T::of(0.0); len + 32];
            buffer[offset..offset + len].copy_from_slice(&x);
            let x = &buffer[offset..offset + len];
            let written = |offset: usize, f: &dyn Fn(&mut [T])| {
                let mut out = vec![T::of(7.0); len + 32];
                out[offset..offset + len].copy_from_slice(x);
                f(&mut out[offset..offset + len]);
                bits_of(&out)
            };
            let at = 15 - offset;
            let one = [
                written(at, &|out| mantex::softmax(x, out).expect("equal lengths")),
                written(at, &|out| mantex::softmax_in_place(out)),
                written(at, &|out| mantex::log_softmax(x, out).expect("equal lengths")),
                written(at, &|out| mantex::log_softmax_in_place(out)),
                bits_of(&[mantex::log_sum_exp(x)]),
            ];
            for pool in &pools {
                let several = pool.install(|| {
                    [
                        written(at, &|out| parallel::softmax(x, out).expect("equal lengths")),
                        written(at, &|out| parallel::softmax_in_place(out)),
                        written(at, &|out| parallel::log_softmax(x, out).expect("equal lengths")),
                        written(at, &|out| parallel::log_softmax_in_place(out)),
                        bits_of(&[parallel::log_sum_exp(x)]),
                    ]
                });
                assert!(one == several, "{name} at {offset}");
            }
        }
    }
    assert!(parallel::softmax(&[T::of(0.0); 3], &mut [T::of(0.0); 2]).is_err());
}

/// Rows of which exponentials are computed twice, and that are written past the caches.
fn rows_that_fill_the_caches<T: Float>() {
    if small_cases() {
        return;
    }
    let (pools, cache) = (pools(), mantex::baselines::last_level_cache_bytes().unwrap_or(32 << 20));
    let len = cache.min(64 << 20) * 5 / 8 / 4 + 5;
    for (name, x) in kinds::<T>(len) {
        if !["ordinary", "far above base 1", "overflows in the last block", "dominated by its last", "all masked"]
            .contains(&name)
        {
            continue;
        }
        let plain = Softmax::new();
        let one = all(plain, &x, 1);
        for pool in &pools[1..3] {
            assert!(pool.install(|| all(plain.parallel(true), &x, 1)) == one, "{name}");
        }
    }
}

/// Rows are shared only if that takes less time than whole rows for each thread.
#[test]
fn rows_are_shared_if_threads_would_wait() {
    let shares =
        |rows, bands: usize, threads| mantex::baselines::sharing_each_row_pays((rows, bands * 100), threads, 100);
    // One row, and as many bands as threads or fewer.
    assert!(shares(1, 64, 64) && shares(1, 2, 64) && !shares(1, 1, 64) && !shares(1, 64, 1));
    // A row per thread: no thread waits.
    assert!(!shares(2, 64, 2) && !shares(16, 64, 16));
    // Two times a row on two threads each, or one and a half times a row.
    assert!(shares(3, 2, 2) && !shares(200, 2, 64) && !shares(16, 4, 16));
    assert!(shares(65, 64, 64) && !shares(65, 1, 64) && !shares(300, 64, 64) && !shares(0, 64, 64));
}
