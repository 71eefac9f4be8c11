//! The gradients of softmax and log-softmax and the cross-entropy against references in higher
//! precision and finite differences.

use crate::support::{
    data::{normal, rng},
    double_double::Dd,
    float::{Float, bits_of},
    for_both_types,
    gradients::{check_backward, check_cross_entropy},
    guarded::{Guarded, LANES},
    isas::{isas, small_cases},
    reference::Reference,
    report::Report,
    rows::row,
};
use mantex::{
    Error, Isa, MatMut, MatRef, cross_entropy_gradient_rows, cross_entropy_rows, log_softmax_backward,
    log_softmax_backward_rows, softmax_backward, softmax_backward_rows,
};
use rand::RngExt;

for_both_types! {
    backward_is_accurate
    backward_of_long_rows
    backward_rows_are_slices
    cross_entropy_is_accurate
    cross_entropy_of_special_values
    entry_points_run_the_best
    errors_leave_outputs_alone
}

/// Both gradients, at every length up to some vectors and some beyond, within the bounds and with
/// the same bits at every alignment.
fn backward_is_accurate<T: Float>() {
    let (isas, mut rng) = (isas(), rng(21));
    let long = if small_cases() { 6_003 } else { 100_003 };
    let lengths = (0..=3 * LANES + 1).chain([100, 127, 129, 257, 1000, 4099, long]);
    Report::run("gradients", |report| {
        for n in lengths {
            for (kind, shift) in
                [("normal, scale 1", 0.0), ("normal, scale 10", 5.0), ("all 0.7", 1e3), ("one hot", 0.0)]
            {
                let x = row::<T>(kind, n, &mut rng);
                let dy = normal::<T>(n, 1.0, shift, &mut rng);
                let offsets: &[usize] = if n < 1000 && !small_cases() { &[0, 1, 5, 7] } else { &[0, 3] };
                for &isa in &isas {
                    check_backward(report, isa, kind, &x, &dy, offsets);
                }
            }
        }
    });
}

/// Below half a unit in the last place of a large sum, products are rounding errors one and all;
/// they add up to much in a long row.
fn backward_of_long_rows<T: Float>() {
    let n = if small_cases() { 1 << 16 } else { 1 << 20 };
    let background = if T::NAME == "f32" { -19.6 } else { -39.6 };
    let mut x = vec![T::of(background); n];
    x[0] = T::of(0.0);
    Report::run("gradients of long rows", |report| {
        for isa in isas() {
            check_backward(report, isa, "a background", &x, &vec![T::of(1.0); n], &[0]);
        }
    });
}

/// Rows of matrices with strides give what slices do, and nothing between them is written.
fn backward_rows_are_slices<T: Float>() {
    let mut rng = rng(22);
    for isa in isas() {
        for (rows, cols, stride) in [(5, 7, 9), (3, 16, 16), (1, 40, 40), (0, 4, 4), (4, 0, 1)] {
            let y = normal::<T>(rows * stride, 0.3, -1.0, &mut rng);
            let dy = normal::<T>(rows * stride, 1.0, 0.0, &mut rng);
            let view = |x| MatRef::<T>::with_stride(x, rows, cols, stride).expect("it fits");
            let mut dx = [Guarded::<T>::unwritten(rows * stride, 1), Guarded::<T>::unwritten(rows * stride, 1)];
            let [linear, log] = &mut dx;
            let target = |out| MatMut::with_stride(out, rows, cols, stride).expect("it fits");
            isa.softmax_backward_rows(view(&y), view(&dy), target(linear.get_mut())).expect("equal shapes");
            isa.log_softmax_backward_rows(view(&y), view(&dy), target(log.get_mut())).expect("equal shapes");
            for i in 0..rows {
                let at = i * stride..i * stride + cols;
                let mut out = vec![T::of(0.0); cols];
                isa.softmax_backward(&y[at.clone()], &dy[at.clone()], &mut out).expect("equal lengths");
                assert_eq!(bits_of(&linear.check()[at.clone()]), bits_of(&out), "row {i} on {isa}");
                isa.log_softmax_backward(&y[at.clone()], &dy[at.clone()], &mut out).expect("equal lengths");
                assert_eq!(bits_of(&log.check()[at.clone()]), bits_of(&out), "log, row {i} on {isa}");
                for out in [linear.check(), log.check()] {
                    let gap = &out[at.end..(i + 1) * stride];
                    assert!(gap.iter().all(|&x| Guarded::is_guard(x)), "written between rows on {isa}");
                }
            }
        }
    }
}

/// Central differences of losses of softmax, log-softmax and cross-entropy in f64. The losses are
/// double-double, which leaves the error of the difference: h^2 times a third derivative of at most
/// some tens.
#[test]
fn gradients_are_derivatives() {
    let mut rng = rng(23);
    let h = 1e-6;
    for isa in isas() {
        for n in [1, 2, 5, 19, 40] {
            let x = normal::<f64>(n, 1.5, 0.3, &mut rng);
            let weights = normal::<f64>(n, 1.0, 0.0, &mut rng);
            let class = n / 2;
            let loss = |x: &[f64], what: &str| -> Dd {
                let r = Reference::new(x);
                let terms = weights.iter().enumerate();
                match what {
                    "softmax" => terms.map(|(i, &w)| Dd::from(w) * r.softmax[i]).fold(Dd::ZERO, |sum, x| sum + x),
                    "log_softmax" => {
                        terms.map(|(i, &w)| Dd::from(w) * r.log_softmax(x[i])).fold(Dd::ZERO, |sum, x| sum + x)
                    }
                    _ => r.log_softmax(x[class]) * Dd::from(-0.7),
                }
            };
            let (mut y, mut losses) = (x.clone(), [0.0]);
            let mut dx = vec![f64::NAN; n];
            for what in ["softmax", "log_softmax", "cross_entropy"] {
                match what {
                    "softmax" => {
                        isa.softmax(&x, &mut y).expect("equal lengths");
                        isa.softmax_backward(&y, &weights, &mut dx).expect("equal lengths");
                    }
                    "log_softmax" => {
                        isa.log_softmax(&x, &mut y).expect("equal lengths");
                        isa.log_softmax_backward(&y, &weights, &mut dx).expect("equal lengths");
                    }
                    _ => {
                        let matrix = MatRef::new(&x, 1, n).expect("it fits");
                        let out = MatMut::new(&mut dx, 1, n).expect("it fits");
                        isa.cross_entropy_gradient_rows(matrix, &[class], 0.7, &mut losses, out).expect("it fits");
                    }
                }
                for i in 0..n {
                    let moved = |by: f64| {
                        let mut x = x.clone();
                        x[i] += by;
                        (x[i], loss(&x, what))
                    };
                    let ((right, above), (left, below)) = (moved(h), moved(-h));
                    let derivative = (above - below).0 / (right - left);
                    assert!((dx[i] - derivative).abs() < 1e-10, "{what} on {isa}, n = {n}: {} for {derivative}", dx[i]);
                }
            }
        }
    }
}

/// Losses and gradients of rows of every length and kind; with weight 1 the gradient has the bits
/// of the softmax but for the class.
fn cross_entropy_is_accurate<T: Float>() {
    let (isas, mut rng) = (isas(), rng(24));
    let long = if small_cases() { 6_003 } else { 100_003 };
    let lengths: Vec<usize> = (1..=2 * LANES + 1).chain([63, 64, 65, 257, 300, 1000, 4099, long]).collect();
    Report::run("cross-entropy", |report| {
        for &cols in &lengths {
            for kind in ["normal, scale 1", "normal, scale 10", "offset 1e6", "late 500", "all -123.4", "largest, all"]
            {
                let rows = if cols < 1000 { 1 + 70 / cols } else { 1 };
                let x: Vec<T> = (0..rows).flat_map(|_| row::<T>(kind, cols, &mut rng)).collect();
                let matrix = MatRef::new(&x, rows, cols).expect("it fits");
                let classes: Vec<usize> = (0..rows).map(|_| rng.random_range(0..cols)).collect();
                let weights = [1.0, -0.3, 1e-30, 1e25].map(T::of);
                for &isa in &isas {
                    check_cross_entropy(report, isa, kind, matrix, &classes, &weights);
                }
            }
        }
    });
}

fn cross_entropy_of_special_values<T: Float>() {
    const INF: f64 = f64::INFINITY;
    for isa in isas() {
        for cols in [2, 7, 16, 33, 300, 5000] {
            for special in [-INF, INF, f64::NAN] {
                for at in [0, cols / 2, cols - 1] {
                    // Three rows, the middle one special; the classes of the others are ordinary
                    // columns.
                    let mut x = vec![T::of(0.5); 3 * cols];
                    x[cols + at] = T::of(special);
                    let matrix = MatRef::new(&x, 3, cols).expect("it fits");
                    let mut losses = [T::of(0.0); 3];
                    let mut out = vec![T::of(7.0); x.len()];
                    let gradient = MatMut::new(&mut out, 3, cols).expect("it fits");
                    isa.cross_entropy_gradient_rows(matrix, &[0, at, 1], T::of(1.0), &mut losses, gradient)
                        .expect("equal shapes");
                    let (row, ln) = (&out[cols..2 * cols], (cols as f64).ln());
                    for loss in [losses[0], losses[2]] {
                        assert!((loss.wide() - ln).abs() < 1e-5, "a neighbor of {special} on {isa}: {loss}");
                    }
                    if special == -INF {
                        assert_eq!(losses[1].wide(), INF, "{special} at {at} of {cols} on {isa}");
                        assert_eq!(row[at].wide(), -1.0);
                        let sum: f64 = row.iter().map(|x| x.wide()).sum();
                        assert!(sum.abs() < 1e-5, "{sum}");
                    } else {
                        assert!(losses[1].wide().is_nan(), "{special} at {at} of {cols} on {isa}: {}", losses[1]);
                        assert!(row.iter().all(|x| x.wide().is_nan()), "{special} at {at} of {cols} on {isa}");
                    }
                }
            }
            let x = vec![T::of(-INF); cols];
            let mut losses = [T::of(0.0)];
            isa.cross_entropy_rows(MatRef::new(&x, 1, cols).expect("it fits"), &[1], &mut losses).expect("fits");
            assert!(losses[0].wide().is_nan(), "all -inf on {isa}");
        }
    }
}

fn entry_points_run_the_best<T: Float>() {
    let (isa, mut rng) = (Isa::best(), rng(25));
    let (rows, cols) = (4, 37);
    let n = rows * cols;
    let (y, dy) = (normal::<T>(n, 0.4, -1.0, &mut rng), normal::<T>(n, 1.0, 0.2, &mut rng));
    let view = |x| MatRef::<T>::new(x, rows, cols).expect("it fits");
    let both = |f: &dyn Fn(&mut [T], bool)| {
        let (mut a, mut b) = (vec![T::of(0.0); n], vec![T::of(1.0); n]);
        f(&mut a, true);
        f(&mut b, false);
        assert_eq!(bits_of(&a), bits_of(&b));
    };
    let fits = "equal shapes";
    both(&|dx, on| if on { isa.softmax_backward(&y, &dy, dx) } else { softmax_backward(&y, &dy, dx) }.expect(fits));
    both(&|dx, on| {
        if on { isa.log_softmax_backward(&y, &dy, dx) } else { log_softmax_backward(&y, &dy, dx) }.expect(fits);
    });
    both(&|dx, on| {
        let dx = MatMut::new(dx, rows, cols).expect("it fits");
        let (y, dy) = (view(&y), view(&dy));
        if on { isa.softmax_backward_rows(y, dy, dx) } else { softmax_backward_rows(y, dy, dx) }.expect(fits);
    });
    both(&|dx, on| {
        let dx = MatMut::new(dx, rows, cols).expect("it fits");
        let (y, dy) = (view(&y), view(&dy));
        if on { isa.log_softmax_backward_rows(y, dy, dx) } else { log_softmax_backward_rows(y, dy, dx) }.expect(fits);
    });
    let classes = [0, 36, 5, 17];
    both(&|out, on| {
        let (losses, out) = out.split_at_mut(rows);
        out.fill(T::of(0.0));
        let x = view(&y);
        if on { isa.cross_entropy_rows(x, &classes, losses) } else { cross_entropy_rows(x, &classes, losses) }
            .expect(fits);
    });
    both(&|out, on| {
        let (mut losses, out) = ([T::of(0.0); 4], MatMut::new(out, rows, cols).expect("it fits"));
        let (x, w) = (view(&y), T::of(0.25));
        if on {
            isa.cross_entropy_gradient_rows(x, &classes, w, &mut losses, out)
        } else {
            cross_entropy_gradient_rows(x, &classes, w, &mut losses, out)
        }
        .expect(fits);
    });
}

fn errors_leave_outputs_alone<T: Float>() {
    let x = [T::of(0.5); 12];
    let view = |rows, cols| MatRef::new(&x[..rows * cols], rows, cols).expect("it fits");
    for isa in isas() {
        let untouched = |n: usize, f: &dyn Fn(&mut [T]) -> Result<(), Error>, expected: Error| {
            let mut out = Guarded::<T>::unwritten(n, 0);
            assert_eq!(f(out.get_mut()), Err(expected));
            assert!(out.check().iter().all(|&x| Guarded::is_guard(x)));
        };
        let length = |argument, actual, expected| Error::LengthMismatch { argument, actual, expected };
        let shape = |argument, actual, expected| Error::ShapeMismatch { argument, actual, expected };
        for log in [false, true] {
            let slices = if log { Isa::log_softmax_backward::<T> } else { Isa::softmax_backward };
            untouched(6, &|dx| slices(isa, &x[..6], &x[..5], dx), length("dy", 5, 6));
            untouched(7, &|dx| slices(isa, &x[..6], &x[..6], dx), length("dx", 7, 6));
            let rows = if log { Isa::log_softmax_backward_rows::<T> } else { Isa::softmax_backward_rows };
            let run = |y, dy, dx: &mut [T]| rows(isa, y, dy, MatMut::new(dx, 3, 4).expect("it fits"));
            untouched(12, &|dx| run(view(3, 4), view(4, 3), dx), shape("dy", (4, 3), (3, 4)));
            untouched(12, &|dx| run(view(2, 6), view(2, 6), dx), shape("dx", (3, 4), (2, 6)));
        }
        let loss = |rows, classes: &'static [usize]| move |out: &mut [T]| isa.cross_entropy_rows(rows, classes, out);
        untouched(3, &loss(view(3, 4), &[0, 1]), length("classes", 2, 3));
        untouched(2, &loss(view(3, 4), &[0, 1, 2]), length("losses", 2, 3));
        untouched(3, &loss(view(3, 4), &[0, 4, 5]), Error::ClassOutOfRange { row: 1, class: 4, classes: 4 });
        untouched(3, &loss(view(3, 0), &[0, 0, 0]), Error::ClassOutOfRange { row: 0, class: 0, classes: 0 });
        let gradient = |cols: usize, weight: f64| {
            move |out: &mut [T]| {
                let (losses, out) = out.split_at_mut(3);
                let out = MatMut::new(&mut out[..3 * cols], 3, cols).expect("it fits");
                isa.cross_entropy_gradient_rows(view(3, 4), &[0, 1, 2], T::of(weight), losses, out)
            }
        };
        untouched(15, &gradient(3, 1.0), shape("gradient", (3, 3), (3, 4)));
        let not_finite = Error::InvalidParameter { argument: "weight", value: f64::INFINITY, expected: "finite" };
        untouched(15, &gradient(4, f64::INFINITY), not_finite);
    }
}
