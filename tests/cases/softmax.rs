//! The softmax family: rows, matrices with a scale and a mask, gradients, cross-entropy and
//! StableMax.

use super::{Bytes, Matrix, same};
use crate::support::gradients::{check_backward, check_cross_entropy};
use crate::support::{
    double_double::power_of_two,
    float::{Float, same_bits},
    guarded::Guarded,
    isas::isas,
    reference::Reference,
    report::Report,
    softmax::{Outputs, check_outputs, run_row},
    stablemax,
};
use mantex::{Error, IGNORED, Isa, MatMut, Softmax, log_sum_exp, softmax};

pub(crate) fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    if bytes.flag() { family::<f32>(&mut bytes) } else { family::<f64>(&mut bytes) }
}

fn family<T: Float>(bytes: &mut Bytes<'_>) {
    match bytes.below(8) {
        0 | 1 => rows::<T>(bytes),
        2 | 3 => options::<T>(bytes),
        4 => matrices::<T>(bytes),
        5 => backward::<T>(bytes),
        6 => cross_entropy::<T>(bytes),
        _ => stablemax_rows::<T>(bytes),
    }
}

/// A length: mostly of a few vectors.
fn length(bytes: &mut Bytes<'_>) -> usize {
    if bytes.rarely() { bytes.below(4200) } else { bytes.below(300) }
}

/// One row on every instruction set against the reference, with the same bits at another alignment,
/// and merged sums.
fn rows<T: Float>(bytes: &mut Bytes<'_>) {
    let n = length(bytes);
    let x = bytes.numbers::<T>(n);
    let (offset, cut) = (bytes.below(16), bytes.below(n + 1));
    let reference = Reference::new(&x);
    for isa in isas() {
        let out = run_row(isa, &x, 0);
        assert!(out.same(&run_row(isa, &x, offset)), "{offset} on {isa}");
        Report::check(|report| check_outputs(report, isa, "row", &x, &reference, &out));
        let [a, b] = [&x[..cut], &x[cut..]].map(|part| isa.ext_sum(part));
        assert_eq!(format!("{:?}", a.merge(b)), format!("{:?}", b.merge(a)), "merged sums on {isa}");
        if isa == Isa::best() {
            let mut best = x.clone();
            softmax(&x, &mut best).expect("equal lengths");
            assert!(same_bits(&best, &out.softmax) && log_sum_exp(&x).bits() == out.log_sum_exp.bits());
        }
        let wrong = bytes.below(300);
        let mut untouched = Guarded::<T>::unwritten(wrong, 0);
        let error = Err(Error::LengthMismatch { argument: "out", actual: wrong, expected: n });
        for f in [Isa::softmax, Isa::log_softmax, Isa::stablemax, Isa::log_stablemax] {
            assert!(wrong == n || f(isa, &x, untouched.get_mut()) == error);
        }
        assert!(untouched.check().iter().all(|&x| Guarded::is_guard(x)), "{error:?} on {isa}");
    }
}

/// A shape of a few hundred elements.
fn shape(bytes: &mut Bytes<'_>) -> (usize, usize) {
    let cols = bytes.below(70);
    (bytes.below(1 + 300 / cols.max(8)), cols)
}

/// Rows with a scale and a mask are those of the logits `scale * x + mask`: with one rounding, but
/// on scalar with two.
fn options<T: Float>(bytes: &mut Bytes<'_>) {
    let (rows, cols) = shape(bytes);
    let x = bytes.matrix::<T>(rows, cols);
    let scale = if bytes.flag() { T::of(bytes.pick(&[1.0, 0.125, -2.3, 0.7])) } else { bytes.number() };
    let (mask_rows, mask_cols) = match bytes.below(8) {
        0 => (1, cols),
        1 => (bytes.below(4), bytes.below(70)),
        _ => (rows, cols),
    };
    let mask = bytes.flag().then(|| {
        let mut mask = bytes.matrix::<T>(mask_rows, mask_cols);
        // Masks are mostly of 0 and -inf.
        if bytes.below(4) > 0 {
            let of = |x: &mut T| *x = T::of(if x.bits().is_multiple_of(3) { f64::NEG_INFINITY } else { 0.0 });
            (0..mask_rows).for_each(|i| mask.view_mut().row_mut(i).iter_mut().for_each(of));
        }
        mask
    });
    let zeros = bytes.flag();
    let options = Softmax::new().scale(scale).masked_rows_are_zero(zeros);
    let options = mask.as_ref().map_or(options, |mask| options.mask(mask.view()));
    let (gap, wrong) = (bytes.below(8), bytes.rarely());
    let causal = bytes.flag().then(|| bytes.below(100) as isize - 50);
    let options = causal.map_or(options, |offset| options.causal(offset));
    let lengths: Vec<usize> = (0..rows).map(|_| bytes.below(cols + 1)).collect();
    let shortened = bytes.flag();
    let options = if shortened { options.lengths(&lengths) } else { options };
    let visible = |i: usize| {
        let causal = causal.map_or(cols, |offset| (i as isize + 1 + offset).clamp(0, cols as isize) as usize);
        if shortened { causal.min(lengths[i]) } else { causal }
    };
    let (out_rows, out_cols) = if wrong { (rows + 1, cols) } else { (rows, cols) };
    let good_mask = mask.is_none() || mask_cols == cols && (mask_rows == rows || mask_rows == 1);
    let good = !wrong && good_mask && scale.wide().is_finite() && scale.wide() != 0.0;
    for isa in isas() {
        let [mut softmax, mut log_softmax] = [(); 2].map(|()| Matrix::<T>::unwritten(out_rows, out_cols, gap));
        let mut in_place = Matrix::new(&x.written().concat(), rows, cols, gap);
        let mut log_sum_exp = Guarded::<T>::unwritten(out_rows, 1);
        let options = options.isa(isa);
        let results = [
            options.rows(x.view(), softmax.view_mut()),
            options.log_rows(x.view(), log_softmax.view_mut()),
            options.log_sum_exp_rows(x.view(), log_sum_exp.get_mut()),
        ];
        assert!(results.iter().all(|result| result.is_ok() == good), "{results:?} on {isa}");
        let result = options.log_rows_in_place(in_place.view_mut());
        assert!(result.is_ok() == good || wrong, "{result:?} on {isa}");
        if !good {
            assert!(softmax.is_untouched() && log_softmax.is_untouched());
            assert!(log_sum_exp.check().iter().all(|&x| Guarded::is_guard(x)));
            continue;
        }
        assert!(log_softmax.written().iter().zip(in_place.written()).all(|(a, b)| same(a, b)), "in place on {isa}");
        let outs = softmax.written().into_iter().zip(log_softmax.written()).zip(log_sum_exp.check());
        for (i, ((softmax, log_softmax), &log_sum_exp)) in outs.enumerate() {
            let mask = mask.as_ref().map(|mask| mask.view().row(if mask_rows == 1 { 0 } else { i }));
            let mut logits: Vec<T> =
                (0..cols).map(|j| logit(isa, scale, x.view().row(i)[j], mask.map(|mask| mask[j]))).collect();
            logits[visible(i)..].fill(T::of(f64::NEG_INFINITY));
            if zeros && logits.iter().all(|x| x.wide() == f64::NEG_INFINITY) {
                assert!(softmax.iter().all(|p| p.bits() == 0), "a masked row on {isa}");
                assert!(log_softmax.iter().all(|p| p.wide() == f64::NEG_INFINITY), "a masked row on {isa}");
                assert_eq!(log_sum_exp.wide(), f64::NEG_INFINITY);
                continue;
            }
            let (softmax, log_softmax) = (softmax.to_vec(), log_softmax.to_vec());
            let out = Outputs { in_place: softmax.clone(), softmax, log_softmax, log_sum_exp, ext_sum_ln: log_sum_exp };
            let name = format!("scale {scale}, mask {}, row {i}", mask.is_some());
            Report::check(|report| check_outputs(report, isa, &name, &logits, &Reference::new(&logits), &out));
        }
    }
}

fn logit<T: Float>(isa: Isa, scale: T, x: T, mask: Option<T>) -> T {
    match mask {
        None => scale * x,
        Some(mask) if mask.wide() == f64::NEG_INFINITY => mask,
        Some(mask) if isa.name() == "scalar" => scale * x + mask,
        Some(mask) => scale.fused(x, mask),
    }
}

/// A gradient of slices; a function of one slice leaves the second out.
type OnRow<'a, T> = dyn Fn(&[T], &[T], &mut [T]) -> Result<(), Error> + 'a;

/// The rows forms give the bits of the slices, and touch nothing between rows.
fn matrices<T: Float>(bytes: &mut Bytes<'_>) {
    let (rows, cols) = shape(bytes);
    let (x, dy) = (bytes.matrix::<T>(rows, cols), bytes.matrix::<T>(rows, cols));
    let gap = bytes.below(8);
    for isa in isas() {
        let check = |on_rows: &dyn Fn(MatMut<'_, T>) -> Result<(), Error>, on_row: &OnRow<'_, T>| {
            let mut out = Matrix::unwritten(rows, cols, gap);
            on_rows(out.view_mut()).expect("equal shapes");
            for (i, row) in out.written().into_iter().enumerate() {
                let mut expected = vec![T::of(0.0); cols];
                on_row(x.view().row(i), dy.view().row(i), &mut expected).expect("equal lengths");
                assert!(same(row, &expected), "row {i} of {rows} x {cols} on {isa}");
            }
            let mut wrong = Matrix::unwritten(rows, cols + 1, gap);
            assert!(on_rows(wrong.view_mut()).is_err() && wrong.is_untouched());
        };
        let (x, dy) = (x.view(), dy.view());
        check(&|out| isa.softmax_rows(x, out), &|x, _, out| isa.softmax(x, out));
        check(&|out| isa.log_softmax_rows(x, out), &|x, _, out| isa.log_softmax(x, out));
        check(&|out| isa.stablemax_rows(x, out), &|x, _, out| isa.stablemax(x, out));
        check(&|out| isa.log_stablemax_rows(x, out), &|x, _, out| isa.log_stablemax(x, out));
        check(&|dx| isa.softmax_backward_rows(x, dy, dx), &|x, dy, dx| isa.softmax_backward(x, dy, dx));
        check(&|dx| isa.log_softmax_backward_rows(x, dy, dx), &|x, dy, dx| isa.log_softmax_backward(x, dy, dx));
        check(&|dx| isa.stablemax_backward_rows(x, dy, dx), &|x, dy, dx| isa.stablemax_backward(x, dy, dx));
        check(&|dx| isa.log_stablemax_backward_rows(x, dy, dx), &|x, dy, dx| isa.log_stablemax_backward(x, dy, dx));
        let mut sums = Guarded::<T>::unwritten(rows, 3);
        isa.log_sum_exp_rows(x, sums.get_mut()).expect("equal lengths");
        let expected: Vec<T> = x.iter_rows().map(|row| isa.log_sum_exp(row)).collect();
        assert!(same(sums.check(), &expected), "sums of {rows} x {cols} on {isa}");
    }
}

/// Numbers as they are, but nothing above `largest` or that is not a number.
fn tame<T: Float>(x: &mut [T], largest: f64) {
    for x in x.iter_mut().filter(|x| x.wide().abs() > largest || x.wide().is_nan()) {
        *x = T::of(0.5);
    }
}

/// Gradients at a softmax of finite logits, where no sum overflows.
fn backward<T: Float>(bytes: &mut Bytes<'_>) {
    let n = length(bytes);
    let (mut x, mut dy) = (bytes.numbers::<T>(n), bytes.numbers::<T>(n));
    tame(&mut x, T::LARGEST.wide());
    tame(&mut dy, T::LARGEST.wide() * power_of_two(-30));
    let offset = bytes.below(16);
    for isa in isas() {
        Report::check(|report| check_backward(report, isa, "gradient", &x, &dy, &[0, offset]));
    }
}

fn cross_entropy<T: Float>(bytes: &mut Bytes<'_>) {
    let (rows, cols) = shape(bytes);
    let x = bytes.matrix::<T>(rows, cols);
    let mut classes: Vec<usize> = (0..rows)
        .map(|_| {
            let too_high = usize::from(bytes.rarely());
            bytes.below((cols + too_high).max(1))
        })
        .collect();
    let mut weights = [T::of(1.0), bytes.number()];
    // Beyond, products in double-double overflow.
    tame(&mut weights, T::LARGEST.wide() * power_of_two(-60));
    if bytes.flag() {
        classes.iter_mut().step_by(1 + bytes.below(4)).for_each(|class| *class = IGNORED);
    }
    let good = classes.iter().all(|&class| class < cols || class == IGNORED);
    for isa in isas() {
        if good {
            Report::check(|report| check_cross_entropy(report, isa, "cross-entropy", x.view(), &classes, &weights));
            continue;
        }
        let (mut losses, mut out) = (Guarded::<T>::unwritten(rows, 0), Matrix::<T>::unwritten(rows, cols, 1));
        let row =
            classes.iter().position(|&class| class >= cols && class != IGNORED).expect("a class that is no column");
        let error = Err(Error::ClassOutOfRange { row, class: classes[row], classes: cols });
        assert_eq!(isa.cross_entropy_rows(x.view(), &classes, losses.get_mut()), error);
        let weight = weights[1];
        let result = isa.cross_entropy_gradient_rows(x.view(), &classes, weight, losses.get_mut(), out.view_mut());
        assert_eq!(result, error);
        assert!(out.is_untouched() && losses.check().iter().all(|&x| Guarded::is_guard(x)));
    }
}

/// StableMax and its gradients of any row against the reference, and of gradients that are not
/// finite.
fn stablemax_rows<T: Float>(bytes: &mut Bytes<'_>) {
    let n = length(bytes);
    let (x, mut dy) = (bytes.numbers::<T>(n), bytes.numbers::<T>(n));
    let offset = bytes.below(16);
    if dy.iter().any(|dy| !dy.wide().is_finite()) {
        for isa in isas() {
            let [_, _, dx, log_dx] = stablemax::run(isa, &x, &dy, offset);
            assert!(dx.iter().chain(&log_dx).all(|dx| dx.wide().is_nan()), "a gradient that is not finite on {isa}");
        }
    }
    tame(&mut dy, T::LARGEST.wide() * power_of_two(-60));
    Report::check(|report| stablemax::check_row(report, "stablemax", &x, &dy, &[0, offset]));
}
