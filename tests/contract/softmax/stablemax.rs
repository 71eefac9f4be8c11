//! The StableMax family against references in double-double.
//!
//! The tolerances are the contract's: StableMax 4 ulp, log-StableMax 4 ulp of max(1, |result|),
//! gradients 16 EPSILON times the sizes of their terms.
//! `cargo test --test contract stablemax -- --nocapture` prints the largest errors seen.

use crate::support::{
    data::{normal, rng},
    double_double::power_of_two,
    float::{Float, bits_of},
    for_both_types,
    guarded::{Guarded, LANES},
    isas::{isas, small_cases},
    report::Report,
    rows::{KINDS, row},
    stablemax::{check_row, run},
};
use mantex::{
    Error, Isa, MatMut, MatRef, log_stablemax, log_stablemax_backward, log_stablemax_backward_rows, log_stablemax_rows,
    stablemax, stablemax_backward, stablemax_backward_rows, stablemax_rows,
};

for_both_types! {
    short_rows_at_every_alignment
    long_rows
    extreme_rows
    special_values
    huge_gradients
    matrices
    entry_points_run_the_best
    errors_leave_outputs_alone
}

const INF: f64 = f64::INFINITY;

type Forward<T> = fn(Isa, &[T], &mut [T]) -> Result<(), Error>;
type Backward<T> = fn(Isa, &[T], &[T], &mut [T]) -> Result<(), Error>;
type ForwardRows<T> = fn(Isa, MatRef<'_, T>, MatMut<'_, T>) -> Result<(), Error>;
type BackwardRows<T> = fn(Isa, MatRef<'_, T>, MatRef<'_, T>, MatMut<'_, T>) -> Result<(), Error>;

fn short_rows_at_every_alignment<T: Float>() {
    let mut rng = rng(31);
    Report::run("short rows", |report| {
        for n in 0..=3 * LANES + 1 {
            for (i, kind) in KINDS.iter().enumerate() {
                let dy = normal(n, 1.0, 0.1, &mut rng);
                // All alignments go round.
                let offsets = [0, (n + i) % LANES, 0, (3 * n + 5 * i) % LANES];
                let offsets = if small_cases() { &offsets[..2] } else { &offsets[..] };
                check_row(report, kind, &row::<T>(kind, n, &mut rng), &dy, offsets);
            }
        }
    });
}

fn long_rows<T: Float>() {
    let mut rng = rng(32);
    let longest = if small_cases() { 6_003 } else { 100_003 };
    Report::run("long rows", |report| {
        for (i, kind) in KINDS.iter().enumerate() {
            for (j, n) in [511, 512, 513, 1000, 2047, 2048, 2049, 4096 + 3].into_iter().enumerate() {
                // Small cases: one length per kind.
                if small_cases() && i % 8 != j {
                    continue;
                }
                let dy = normal(n, 1.0, 0.1, &mut rng);
                check_row(report, kind, &row::<T>(kind, n, &mut rng), &dy, &[0, 5]);
            }
        }
        for kind in ["normal, scale 1", "normal, scale 1000", "all 0.7", "all -123.4", "late huge", "lowest, all"] {
            let dy = normal(longest, 1.0, 0.1, &mut rng);
            check_row(report, kind, &row::<T>(kind, longest, &mut rng), &dy, &[0]);
        }
    });
}

/// Rows of every pair out of numbers from the smallest to the largest, alone and among others of
/// their kind.
fn extreme_rows<T: Float>() {
    let mut rng = rng(33);
    let top = 2 - T::MIN_EXPONENT;
    let sizes = [-top + 3, -40, -1, 0, 1, 20, 63, top / 2, top * 5 / 8, top * 5 / 8 + 1, top - 3, top - 2, top - 1];
    let mut numbers = vec![0.0, T::LARGEST.wide()];
    numbers.extend(sizes.map(power_of_two));
    numbers.extend((0..10).map(|i| power_of_two(sizes[i]) * 1.7));
    numbers = numbers.into_iter().flat_map(|x| [x, -x]).collect();
    Report::run("extreme rows", |report| {
        for (i, &a) in numbers.iter().enumerate() {
            for (j, &b) in numbers.iter().enumerate() {
                for (k, n) in [1, 2, 3, 19].into_iter().enumerate() {
                    // Small cases: one length per pair.
                    if small_cases() && (i + j) % 4 != k {
                        continue;
                    }
                    let x: Vec<T> = (0..n).map(|i| T::of(if i % 3 == 0 { a } else { b })).collect();
                    check_row(report, &format!("{a:e} and {b:e}"), &x, &normal(n, 1.0, 0.0, &mut rng), &[0]);
                }
            }
        }
    });
}

fn special_values<T: Float>() {
    let mut rng = rng(34);
    let sets: [&[f64]; 7] = [&[-INF], &[-INF, -INF], &[INF], &[f64::NAN], &[-INF, INF], &[-INF, f64::NAN], &[]];
    Report::run("special values", |report| {
        for n in [1, 2, 3, 5, 16, 17, 33, 64, 67, 513, 2048, 2056, 4101] {
            // Small cases: a sample of the longer rows.
            let step = if small_cases() && n > 100 { 41 } else { 1 };
            let mut places = vec![0, 1, n / 3, n / 2, n - 1, n - 2.min(n), 15, 16, 40, 2047, 2048];
            places.retain(|&at| at < n);
            for kind in ["normal, scale 1", "lowest, all", "largest with both signs", "all -inf"] {
                let cases = sets.iter().flat_map(|set| places.iter().enumerate().map(move |at| (set, at)));
                for (set, (i, &at)) in cases.step_by(step) {
                    let mut x: Vec<T> = if kind == "all -inf" { vec![T::of(-INF); n] } else { row(kind, n, &mut rng) };
                    for (j, &special) in set.iter().enumerate() {
                        x[places[(i + j) % places.len()]] = T::of(special);
                    }
                    let dy: Vec<T> = normal(n, 1.0, 0.0, &mut rng);
                    check_row(report, &format!("{kind} with {set:?} at {at}"), &x, &dy, &[n % LANES]);
                    let mut dy = dy;
                    dy[at] = T::of([INF, -INF, f64::NAN][i % 3]);
                    for isa in isas() {
                        let [_, _, dx, log_dx] = run(isa, &x, &dy, 0);
                        assert!(dx.iter().chain(&log_dx).all(|dx| dx.wide().is_nan()), "dy[{at}] of {n} on {isa}");
                    }
                }
                let mut x = vec![T::of(-INF); n];
                x[places[n % places.len()]] = T::of(-3.5);
                check_row(report, "-inf but once", &x, &normal(n, 1.0, 0.0, &mut rng), &[0]);
            }
        }
    });
}

/// Gradients are linear in dy, up to the largest numbers: a power of two changes no digit.
fn huge_gradients<T: Float>() {
    let mut rng = rng(35);
    let power = T::of(power_of_two(-T::MIN_EXPONENT - 6));
    for (n, kind) in [(1, 1.0), (2, 1.0), (3, 1e3), (19, 3.0), (100, 1e6), (2500, 1.0)] {
        let x = normal::<T>(n, kind, 0.0, &mut rng);
        let dy = normal::<T>(n, 0.5, 0.0, &mut rng);
        let huge: Vec<T> = dy.iter().map(|&dy| dy * power).collect();
        for isa in isas() {
            let ([_, _, dx, log_dx], [_, _, huge, log_huge]) = (run(isa, &x, &dy, 0), run(isa, &x, &huge, 0));
            let scaled = |dx: Vec<T>| bits_of(&dx.into_iter().map(|dx| dx * power).collect::<Vec<T>>());
            assert_eq!(scaled(dx), bits_of(&huge), "n = {n} on {isa}");
            assert_eq!(scaled(log_dx), bits_of(&log_huge), "logarithm, n = {n} on {isa}");
        }
    }
    // The distance from the mean overflows.
    let (x, dy) = ([-9.0, -1e9, -1e9].map(T::of), [T::LARGEST, T::LARGEST, T::of(-T::LARGEST.wide())]);
    for isa in isas() {
        let [_, _, dx, _] = run(isa, &x, &dy, 0);
        // y = [1, 1e-8, 1e-8], S = 0.1: -1e-18 / 0.1 times twice the largest number.
        assert!((dx[2].wide() / T::LARGEST.wide() * 1e17 / -2.0 - 1.0).abs() < 1e-6, "{dx:?} on {isa}");
    }
    // A weight that is nothing beside the sum counts if it is a factor of a huge gradient: S = 2,
    // D = (2 + 0.1) / 2. Beside a sum of 1e30 or 1e200 it is nothing again: D = 1.
    let [tiny, large, dy] = if T::LARGEST.wide() < 1e39 { [-1e38, 1e30, 1e37] } else { [-1e300, 1e200, 1e299] };
    for isa in isas() {
        let dx = |x: f64| run(isa, &[x, tiny].map(T::of), &[1.0, dy].map(T::of), 0)[2][0].wide();
        assert!((dx(1.0) / -0.025 - 1.0).abs() < 1e-5, "{} on {isa}", dx(1.0));
        assert!(dx(large).abs() * large < 1e-6, "{} on {isa}", dx(large));
    }
}

/// Central differences of the sum of dy y: a step of 2^-17 leaves 6e-11 times a third derivative of
/// a few units, and 4 ulp of y divided by the step, 1.2e-10. The logits keep away from 0, where the
/// second derivative jumps.
#[test]
fn finite_differences() {
    let (h, mut rng) = (power_of_two(-17), rng(36));
    for (isa, n) in isas().into_iter().flat_map(|isa| [1, 2, 5, 17, 40].map(|n| (isa, n))) {
        let x: Vec<f64> = normal(n, 2.0, 0.0, &mut rng).into_iter().map(|x: f64| x + 0.01_f64.copysign(x)).collect();
        let dy = normal::<f64>(n, 1.0, 0.0, &mut rng);
        let [_, _, dx, log_dx] = run(isa, &x, &dy, 0);
        let size: f64 = dy.iter().map(|dy| dy.abs()).sum();
        let forms: [(Forward<f64>, _); 2] = [(Isa::stablemax, dx), (Isa::log_stablemax, log_dx)];
        for (f, dx) in forms {
            for j in 0..n {
                let loss = |step: f64| {
                    let (mut x, mut y) = (x.clone(), vec![0.0; n]);
                    x[j] += step;
                    f(isa, &x, &mut y).expect("equal lengths");
                    y.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
                };
                let difference = (loss(h) - loss(-h)) / (2.0 * h);
                assert!((difference - dx[j]).abs() < 2e-9 * size, "{difference} and {} on {isa}", dx[j]);
            }
        }
    }
}

/// The rows forms give the bits of the single rows, whatever the strides, and touch nothing between
/// rows.
fn matrices<T: Float>() {
    let mut rng = rng(37);
    let forward: [(ForwardRows<T>, Forward<T>); 2] =
        [(Isa::stablemax_rows, Isa::stablemax), (Isa::log_stablemax_rows, Isa::log_stablemax)];
    let backward: [(BackwardRows<T>, Backward<T>); 2] = [
        (Isa::stablemax_backward_rows, Isa::stablemax_backward),
        (Isa::log_stablemax_backward_rows, Isa::log_stablemax_backward),
    ];
    for (rows, cols, extra) in [(1, 5, 9), (3, 0, 4), (33, 7, 3), (2, 100, 1), (4, 1030, 13), (7, 16, 0)] {
        let (stride, out_stride, dy_stride) = (cols + extra, cols + 2 * extra, cols + 1);
        let mut x: Vec<T> = normal(rows * stride, 3.0, 0.0, &mut rng);
        x[..cols].fill(T::of(T::LARGEST.wide() * -0.9));
        let dy: Vec<T> = normal(rows * dy_stride, 1.0, 0.0, &mut rng);
        let x_view = MatRef::with_stride(&x, rows, cols, stride).expect("it fits");
        let dy_view = MatRef::with_stride(&dy, rows, cols, dy_stride).expect("it fits");
        let check = |on_rows: &dyn Fn(MatMut<'_, T>) -> Result<(), Error>, on_row: &dyn Fn(usize, &mut [T])| {
            let mut out = Guarded::<T>::unwritten(rows * out_stride, 5);
            on_rows(MatMut::with_stride(out.get_mut(), rows, cols, out_stride).expect("it fits")).expect("it fits");
            for (i, out) in out.check().chunks(out_stride.max(1)).enumerate() {
                let mut expected = vec![T::of(0.0); cols];
                on_row(i, &mut expected);
                assert_eq!(bits_of(&out[..cols]), bits_of(&expected), "row {i} of {rows} x {cols}");
                assert!(out[cols..].iter().all(|&x| Guarded::is_guard(x)), "written after row {i}");
            }
        };
        for isa in isas() {
            for (on_rows, on_row) in forward {
                let row = |i, out: &mut [T]| on_row(isa, x_view.row(i), out).expect("equal lengths");
                check(&|out| on_rows(isa, x_view, out), &row);
            }
            for (on_rows, on_row) in backward {
                let row = |i, out: &mut [T]| on_row(isa, x_view.row(i), dy_view.row(i), out).expect("equal lengths");
                check(&|out| on_rows(isa, x_view, dy_view, out), &row);
            }
        }
    }
    // Without columns there is nothing to do, however many rows there are.
    let (empty, out) = (MatRef::<T>::new(&[], usize::MAX, 0), || MatMut::new(&mut [], usize::MAX, 0).expect("it fits"));
    let empty = empty.expect("it fits");
    assert!(isas().into_iter().all(|isa| forward.iter().all(|(f, _)| f(isa, empty, out()).is_ok())));
    assert!(isas().into_iter().all(|isa| backward.iter().all(|(f, _)| f(isa, empty, empty, out()).is_ok())));
}

/// Functions without `_on` give the bits of their twins on `Isa::best()`.
fn entry_points_run_the_best<T: Float>() {
    let mut rng = rng(38);
    for n in [0, 1, 3, 8, 17, 100, 513, 3000] {
        for kind in ["normal, scale 10", "offset 1e6", "late huge", "lowest, all"] {
            let (x, dy) = (row::<T>(kind, n, &mut rng), normal::<T>(n, 1.0, 0.0, &mut rng));
            let take = |f: &dyn Fn(&mut [T]) -> Result<(), Error>| {
                let mut out = vec![T::of(0.0); n];
                f(&mut out).expect("the lengths agree");
                bits_of(&out)
            };
            let matrix = |f: &dyn Fn(MatMut<'_, T>) -> Result<(), Error>| {
                take(&|out| f(MatMut::new(out, 1, n).expect("it fits")))
            };
            let view = |x| MatRef::new(x, 1, n).expect("it fits");
            let slices = [
                take(&|out| stablemax(&x, out)),
                take(&|out| log_stablemax(&x, out)),
                take(&|out| stablemax_backward(&x, &dy, out)),
                take(&|out| log_stablemax_backward(&x, &dy, out)),
            ];
            let rows = [
                matrix(&|out| stablemax_rows(view(&x), out)),
                matrix(&|out| log_stablemax_rows(view(&x), out)),
                matrix(&|out| stablemax_backward_rows(view(&x), view(&dy), out)),
                matrix(&|out| log_stablemax_backward_rows(view(&x), view(&dy), out)),
            ];
            let expected = run(Isa::best(), &x, &dy, 0).map(|y| bits_of(&y));
            assert_eq!(slices, expected, "{kind}, n = {n}");
            assert_eq!(rows, expected, "rows of {kind}, n = {n}");
        }
    }
}

fn errors_leave_outputs_alone<T: Float>() {
    let x = vec![T::of(1.0); 24];
    let isa = Isa::best();
    for n in [0, 5, 7, 24] {
        let mut out = Guarded::<T>::unwritten(n, 0);
        let error = |argument| Err(Error::LengthMismatch { argument, actual: n, expected: 6 });
        let (row, wrong) = (&x[..6], &x[..n]);
        let mut right = Guarded::<T>::unwritten(6, 0);
        for f in [Isa::stablemax, Isa::log_stablemax] {
            assert_eq!(f(isa, row, out.get_mut()), error("out"));
        }
        for f in [Isa::stablemax_backward, Isa::log_stablemax_backward] {
            assert_eq!(f(isa, row, row, out.get_mut()), error("dx"));
            assert_eq!(f(isa, row, wrong, right.get_mut()), error("dy"));
        }
        assert_eq!(stablemax(row, out.get_mut()), error("out"));
        assert_eq!(log_stablemax_backward(row, wrong, right.get_mut()), error("dy"));
        assert!(out.check().iter().chain(right.check()).all(|&x| Guarded::is_guard(x)));
    }
    let view = MatRef::new(&x, 4, 6).expect("it fits");
    for (rows, cols) in [(6, 4), (4, 5), (3, 6), (24, 1), (0, 6), (4, 0)] {
        let error = |argument| Err(Error::ShapeMismatch { argument, actual: (rows, cols), expected: (4, 6) });
        let wrong = MatRef::new(&x[..rows * cols], rows, cols).expect("it fits");
        let (mut out, mut right) = (Guarded::<T>::unwritten(rows * cols, 0), Guarded::<T>::unwritten(24, 0));
        for f in [Isa::stablemax_rows, Isa::log_stablemax_rows] {
            assert_eq!(f(isa, view, MatMut::new(out.get_mut(), rows, cols).expect("it fits")), error("out"));
        }
        for f in [Isa::stablemax_backward_rows, Isa::log_stablemax_backward_rows] {
            assert_eq!(f(isa, view, view, MatMut::new(out.get_mut(), rows, cols).expect("it fits")), error("dx"));
            assert_eq!(f(isa, view, wrong, MatMut::new(right.get_mut(), 4, 6).expect("it fits")), error("dy"));
        }
        assert!(out.check().iter().chain(right.check()).all(|&x| Guarded::is_guard(x)));
    }
}
