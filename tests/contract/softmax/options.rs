//! Rows with a scale and a mask.

use crate::support::{
    data::rng,
    float::Float,
    for_both_types,
    guarded::{Guarded, LANES},
    isas::isas,
    reference::Reference,
    report::Report,
    softmax::{Outputs, SOFTMAX_ULPS, check_outputs},
    ulp::{distance, ulp_error},
};
use mantex::{
    Error, Isa, MatMut, MatRef, SoftmaxOptions, log_softmax_rows_with, log_sum_exp_rows_with, softmax_rows_with,
};
use rand::RngExt;
use rand::rngs::StdRng;

for_both_types! {
    scaled_and_masked_rows
    masked_entries
    bad_options
}

/// Softmax, log-softmax and log-sum-exp of all rows with options, from and to guarded buffers.
fn run_with<T: Float>(isa: Isa, x: &[T], cols: usize, options: &SoftmaxOptions<'_, T>) -> [Vec<T>; 3] {
    let rows = x.len() / cols;
    let view = MatRef::new(x, rows, cols).expect("it fits");
    let mut outs = [(x.len(), 3), (x.len(), 0), (rows, 1)].map(|(len, offset)| Guarded::<T>::unwritten(len, offset));
    let [softmax, log_softmax, log_sum_exp] = &mut outs;
    let target = |out| MatMut::new(out, rows, cols).expect("it fits");
    isa.softmax_rows_with(view, target(softmax.get_mut()), options).expect("good options");
    isa.log_softmax_rows_with(view, target(log_softmax.get_mut()), options).expect("good options");
    isa.log_sum_exp_rows_with(view, log_sum_exp.get_mut(), options).expect("good options");
    outs.map(|out| out.check().to_vec())
}

/// Scaled and masked rows are those of the logits `scale * x + mask`: with one rounding, but on
/// scalar with two. Logits and masks are short binary fractions, so that in f64 nothing is rounded
/// on the way to f32.
fn scaled_and_masked_rows<T: Float>() {
    let (isas, mut rng) = (isas(), rng(12));
    Report::run("options", |report| {
        let lengths = (1..=2 * LANES + 1).chain([63, 65, 127, 257, 300, 513, 4100]);
        for cols in lengths {
            let rows = if cols < 1000 { 19 } else { 2 };
            let x: Vec<T> = (0..rows * cols).map(|_| T::of(f64::from(rng.random_range(-4000..4000)) / 256.0)).collect();
            let entry = |rng: &mut StdRng| match rng.random_range(0..5) {
                0 => f64::NEG_INFINITY,
                1 => f64::from(rng.random_range(-99..99)) / 4.0,
                _ => 0.0,
            };
            let masks: Vec<T> = (0..rows * cols).map(|_| T::of(entry(&mut rng))).collect();
            let matrix = MatRef::new(&masks, rows, cols).expect("it fits");
            let row = MatRef::new(&masks[..cols], 1, cols).expect("it fits");
            for (scale, mask) in
                [(0.125, None), (-2.3, None), (1.0, Some(matrix)), (0.7, Some(row)), (-1.1, Some(matrix))]
            {
                let scale = T::of(scale);
                let options = SoftmaxOptions::new().scale(scale);
                let options = mask.map_or(options, |mask| options.mask(mask));
                for &isa in &isas {
                    let [softmax, log_softmax, log_sum_exp] = run_with(isa, &x, cols, &options);
                    for i in 0..rows {
                        let at = i * cols..(i + 1) * cols;
                        let mask = mask.map(|mask| mask.row(if mask.rows() == 1 { 0 } else { i }));
                        let logit = |j: usize| -> T {
                            let (s, x) = (scale.wide(), x[i * cols + j].wide());
                            match mask.map(|mask| mask[j].wide()) {
                                None => T::of(s * x),
                                Some(mask) if isa.name() == "scalar" => T::of(T::of(s * x).wide() + mask),
                                Some(mask) => T::of(s.mul_add(x, mask)),
                            }
                        };
                        let logits: Vec<T> = (0..cols).map(logit).collect();
                        let softmax = softmax[at.clone()].to_vec();
                        let out = Outputs {
                            in_place: softmax.clone(),
                            softmax,
                            log_softmax: log_softmax[at].to_vec(),
                            log_sum_exp: log_sum_exp[i],
                        };
                        let name = format!("scale {scale}, mask {}", mask.is_some());
                        check_outputs(report, isa, &name, &logits, &Reference::new(&logits), &out);
                    }
                }
            }
        }
    });
}

/// Masked entries are 0 whatever they hold; rows that are masked whole are NaN or, as an option, 0;
/// the other rows of the matrix do not notice.
fn masked_entries<T: Float>() {
    const INF: f64 = f64::INFINITY;
    for isa in isas() {
        for cols in [1, 2, 5, 8, 16, 17, 40, 300, 5000] {
            let x = |i: usize| T::of([0.5, INF, f64::NAN, -INF][i % 4]);
            let x: Vec<T> = (0..3 * cols).map(|i| if i / cols == 1 { x(i) } else { T::of(0.25) }).collect();
            let masks: Vec<T> = (0..3 * cols).map(|i| T::of(if i / cols == 1 { -INF } else { 0.0 })).collect();
            let mask = MatRef::new(&masks, 3, cols).expect("it fits");
            for zero in [false, true] {
                let options = SoftmaxOptions::new().scale(T::of(2.0)).mask(mask).masked_rows_are_zero(zero);
                let [softmax, log_softmax, log_sum_exp] = run_with(isa, &x, cols, &options);
                let (p, log_p) = if zero { (0.0, -INF) } else { (f64::NAN, f64::NAN) };
                for j in cols..2 * cols {
                    assert_eq!(distance(softmax[j], p, 0.0), 0.0, "{} on {isa}", softmax[j]);
                    assert_eq!(distance(log_softmax[j], log_p, 0.0), 0.0, "{} on {isa}", log_softmax[j]);
                }
                assert_eq!(log_sum_exp[1].wide(), -INF);
                for i in [0, 2] {
                    assert!(ulp_error(softmax[i * cols], 1.0 / cols as f64, 0.0) <= SOFTMAX_ULPS);
                }
            }
            // A mask for all rows: of the second row only an ordinary logit is left.
            let masks: Vec<T> = (0..cols).map(|j| T::of(if (cols + j) % 4 == 0 { 0.0 } else { -INF })).collect();
            let options = SoftmaxOptions::new().mask(MatRef::new(&masks, 1, cols).expect("it fits"));
            let left = masks.iter().filter(|m| m.wide() == 0.0).count();
            let [softmax, ..] = run_with(isa, &x, cols, &options);
            for (j, mask) in masks.iter().enumerate() {
                let p = if mask.wide() == 0.0 {
                    1.0 / left as f64
                } else if left == 0 {
                    f64::NAN
                } else {
                    0.0
                };
                assert!(ulp_error(softmax[cols + j], p, 0.0) <= SOFTMAX_ULPS, "{} for {p} on {isa}", softmax[cols + j]);
            }
            // NaN in a mask is no mask.
            let mut masks = masks;
            masks[0] = T::of(f64::NAN);
            let options = SoftmaxOptions::new().mask(MatRef::new(&masks, 1, cols).expect("it fits"));
            let [softmax, ..] = run_with(isa, &x, cols, &options);
            assert!(softmax.iter().all(|p| p.wide().is_nan()), "NaN in the mask on {isa}");
        }
    }
}

fn bad_options<T: Float>() {
    let x = [T::of(1.0); 12];
    let view = |rows, cols| MatRef::new(&x[..rows * cols], rows, cols).expect("it fits");
    let check = |options: SoftmaxOptions<'_, T>, error: Error| {
        let mut out = Guarded::<T>::unwritten(12, 0);
        for isa in isas() {
            let error = Err(error.clone());
            assert_eq!(
                softmax_rows_with(view(3, 4), MatMut::new(out.get_mut(), 3, 4).expect("it fits"), &options),
                error
            );
            assert_eq!(
                isa.softmax_rows_with(view(3, 4), MatMut::new(out.get_mut(), 3, 4).expect("it fits"), &options),
                error
            );
            assert_eq!(
                log_softmax_rows_with(view(3, 4), MatMut::new(out.get_mut(), 3, 4).expect("it fits"), &options),
                error
            );
            assert_eq!(
                isa.log_softmax_rows_with(view(3, 4), MatMut::new(out.get_mut(), 3, 4).expect("it fits"), &options),
                error
            );
            assert_eq!(log_sum_exp_rows_with(view(3, 4), &mut out.get_mut()[..3], &options), error);
            assert_eq!(isa.log_sum_exp_rows_with(view(3, 4), &mut out.get_mut()[..3], &options), error);
        }
        assert!(out.check().iter().all(|&x| Guarded::is_guard(x)));
    };
    for value in [0.0, f64::INFINITY, f64::NEG_INFINITY] {
        let error = Error::InvalidParameter { argument: "scale", value, expected: "finite and not 0" };
        check(SoftmaxOptions::new().scale(T::of(value)), error);
    }
    for actual in [(2, 4), (3, 3), (4, 3), (1, 3), (0, 4), (1, 12)] {
        let error = Error::ShapeMismatch { argument: "mask", actual, expected: (3, 4) };
        check(SoftmaxOptions::new().mask(view(actual.0, actual.1)), error);
    }
}
