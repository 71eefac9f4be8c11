//! Gradients of softmax and log-softmax, and cross-entropy, against references in higher precision.

use super::{
    double_double::{Dd, power_of_two},
    float::{Float, bits_of, same_bits},
    guarded::{Guarded, LANES},
    reference::Reference,
    report::Report,
    ulp::{ulp, ulp_error},
};
use mantex::{Error, IGNORED, Isa, MatMut, MatRef};

/// The documented bound for softmax, in EPSILON times the magnitudes of the terms: chains of four
/// additions, one more addition, and the roundings of the sum to the type and of the operations
/// after it.
const SOFTMAX_EPSILONS: f64 = 5.0;
/// The documented bound for log-softmax: one more, for the exponential.
const LOG_SOFTMAX_EPSILONS: f64 = 6.0;
/// The bound for losses, which is that of log-softmax.
const LOSS_ULPS: f64 = 2.0;
/// The bound for the gradient of losses: the 4 ulp of softmax, and one for the weight.
const GRADIENT_ULPS: f64 = 5.0;

/// The bound at the class, of the result at any size.
const CLASS_GRADIENT_ULPS: f64 = 4.0;

fn epsilon<T: Float>() -> f64 {
    power_of_two(1 - T::DIGITS)
}

/// Runs a gradient on misaligned and guarded buffers.
fn guarded<T: Float>(
    y: &[T],
    dy: &[T],
    offset: usize,
    f: impl Fn(&[T], &[T], &mut [T]) -> Result<(), Error>,
) -> Vec<T> {
    let (y, dy) = (Guarded::new(y, offset), Guarded::new(dy, (offset * 3 + 1) % LANES));
    let mut dx = Guarded::<T>::unwritten(y.get().len(), (offset * 7 + 3) % LANES);
    f(y.get(), dy.get(), dx.get_mut()).expect("equal lengths");
    y.check();
    dy.check();
    dx.check().to_vec()
}

/// Checks that both gradients at the softmax and log-softmax of finite `x` are within the bounds,
/// and have the same bits at every alignment.
pub(crate) fn check_backward<T: Float>(
    report: &mut Report,
    isa: Isa,
    name: &str,
    x: &[T],
    dy: &[T],
    offsets: &[usize],
) {
    let n = x.len();
    let (mut y, mut log_y) = (x.to_vec(), x.to_vec());
    isa.softmax(x, &mut y).expect("equal lengths");
    isa.log_softmax(x, &mut log_y).expect("equal lengths");
    let wide = |x: &[T]| -> Vec<Dd> { x.iter().map(|x| Dd::from(x.wide())).collect() };
    let (wide_y, wide_dy) = (wide(&y), wide(dy));
    let add = |sum: Dd, x: Dd| sum + x;
    // Errors of at most the smallest number count as 0: no smaller unit exists.
    let relative = |error: f64, unit: f64| if error <= ulp::<T>(0.0) { 0.0 } else { error / unit };
    let dot = wide_y.iter().zip(&wide_dy).map(|(&y, &dy)| y * dy).fold(Dd::ZERO, add);
    let size: f64 = y.iter().zip(dy).map(|(y, dy)| (y.wide() * dy.wide()).abs()).sum();
    let run = |offset| guarded(&y, dy, offset, |y, dy, dx| isa.softmax_backward(y, dy, dx));
    let dx = run(offsets[0]);
    for i in 0..n {
        let error = (Dd::from(dx[i].wide()) - wide_y[i] * (wide_dy[i] - dot)).0.abs();
        // In this order a tiny `y` beside a huge `dy` loses nothing to underflow.
        let unit = epsilon::<T>() * (y[i].wide() * (dy[i].wide().abs() + size));
        let unit = unit.max(f64::from_bits(1));
        let case = || format!("{name}, n = {n}, dx[{i}]");
        report.observe::<T>("softmax_backward", isa, relative(error, unit), SOFTMAX_EPSILONS, case);
    }
    let sum = wide_dy.iter().fold(Dd::ZERO, |sum, &x| sum + x);
    let size: f64 = dy.iter().map(|dy| dy.wide().abs()).sum();
    let run_log = |offset| guarded(&log_y, dy, offset, |y, dy, dx| isa.log_softmax_backward(y, dy, dx));
    let log_dx = run_log(offsets[0]);
    for i in 0..n {
        let e = T::reference_exp(Dd::from(log_y[i].wide()));
        // If an exponential is not a normal number, its error is at most the smallest normal one.
        let smallest = power_of_two(T::MIN_EXPONENT);
        let underflow = if e.0 < smallest { smallest * size } else { 0.0 };
        let error = (Dd::from(log_dx[i].wide()) - (wide_dy[i] - e * sum)).0.abs();
        let error = if error <= underflow { 0.0 } else { error - underflow };
        let unit = epsilon::<T>() * (dy[i].wide().abs() + e.0 * size);
        let case = || format!("{name}, n = {n}, dx[{i}]");
        report.observe::<T>("log_softmax_backward", isa, relative(error, unit), LOG_SOFTMAX_EPSILONS, case);
    }
    for &offset in &offsets[1..] {
        assert_eq!(bits_of(&run(offset)), bits_of(&dx), "{name}, n = {n}, misaligned by {offset}");
        assert_eq!(bits_of(&run_log(offset)), bits_of(&log_dx), "{name}, n = {n}, log, by {offset}");
    }
}

/// Checks the loss of a row, which is at least +0, and its gradient at the class.
pub(crate) fn check_class<T: Float>(
    report: &mut Report,
    isa: Isa,
    case: &dyn Fn() -> String,
    r: &Reference,
    (class, x): (usize, T),
    weight: T,
    (loss, gradient): (T, T),
) {
    let expected = -r.log_softmax(x.wide());
    report.observe::<T>("cross_entropy", isa, ulp_error(loss, expected.0, expected.1), LOSS_ULPS, case);
    assert!(loss.wide().is_nan() || loss.wide() > 0.0 || loss.bits() == 0, "{}: a loss of {loss} on {isa}", case());
    let expected = r.softmax_minus_one(class, x.wide()) * Dd::from(weight.wide());
    let ulps = ulp_error(gradient, expected.0, expected.1);
    report.observe::<T>("gradient at the class", isa, ulps, CLASS_GRADIENT_ULPS, case);
}

/// Checks losses and gradients of a matrix. With weight 1 the gradient has the bits of the softmax,
/// except at the class. Rows whose class is ignored are 0.
pub(crate) fn check_cross_entropy<T: Float>(
    report: &mut Report,
    isa: Isa,
    name: &str,
    matrix: MatRef<'_, T>,
    classes: &[usize],
    weights: &[T],
) {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    let references: Vec<Reference> = matrix.iter_rows().map(Reference::new).collect();
    let mut softmax = vec![T::of(f64::NAN); rows * cols];
    isa.softmax_rows(matrix, MatMut::new(&mut softmax, rows, cols).expect("it fits")).expect("equal shapes");
    let mut only = Guarded::<T>::unwritten(rows, 1);
    isa.cross_entropy_rows(matrix, classes, only.get_mut()).expect("equal shapes");
    for &weight in weights {
        let (mut losses, mut out) = (Guarded::<T>::unwritten(rows, 0), Guarded::<T>::unwritten(rows * cols, 5));
        let gradient = MatMut::new(out.get_mut(), rows, cols).expect("it fits");
        isa.cross_entropy_gradient_rows(matrix, classes, weight, losses.get_mut(), gradient).expect("equal shapes");
        assert!(same_bits(losses.check(), only.check()), "{name}, {rows} x {cols} on {isa}");
        for (i, r) in references.iter().enumerate() {
            if classes[i] == IGNORED {
                assert_eq!(losses.get()[i].bits(), 0, "{name}, row {i} on {isa}");
                assert!(
                    out.check()[i * cols..(i + 1) * cols].iter().all(|g| g.bits() == 0),
                    "{name}, row {i} on {isa}"
                );
                continue;
            }
            let case = || format!("{name}, {rows} x {cols}, row {i}, weight {weight}");
            let results = (losses.get()[i], out.get()[i * cols + classes[i]]);
            check_class(report, isa, &case, r, (classes[i], matrix.row(i)[classes[i]]), weight, results);
            for (j, &g) in out.check()[i * cols..(i + 1) * cols].iter().enumerate() {
                let p = r.softmax[j] * Dd::from(weight.wide());
                let at = i * cols + j;
                if r.softmax[j].0.is_nan() {
                    assert!(g.wide().is_nan(), "{}: {g} without a softmax on {isa}", case());
                } else if j == classes[i] {
                    // Checked above.
                } else if weight.wide() == 1.0 {
                    assert_eq!(g.bits(), softmax[at].bits(), "{} on {isa}", case());
                } else if p.0.abs() >= T::SMALLEST && r.softmax[j].0 >= T::SMALLEST {
                    report.observe::<T>("cross_entropy_gradient", isa, ulp_error(g, p.0, p.1), GRADIENT_ULPS, case);
                } else {
                    let allowed = T::SMALLEST * weight.wide().abs().max(1.0);
                    assert!(g.wide().abs() <= allowed, "{}: {g} on {isa}", case());
                }
            }
        }
    }
}
