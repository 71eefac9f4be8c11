//! Rows with a scale and a mask.

use super::streamed_row;
use crate::support::{
    data::rng,
    float::{Float, bits_of, same_bits},
    for_both_types,
    guarded::{Guarded, LANES},
    isas::{isas, small_cases},
    reference::Reference,
    report::Report,
    rows::{KINDS, row},
    softmax::{Outputs, SOFTMAX_ULPS, check_outputs},
    ulp::{distance, ulp_error},
};
use mantex::{Error, Isa, MatMut, MatRef, Softmax};
use rand::RngExt;
use rand::rngs::StdRng;

for_both_types! {
    scaled_and_masked_rows
    masked_entries
    rows_in_place
    long_rows_in_place
    bad_options
    wrong_outputs
}

/// Softmax, log-softmax and log-sum-exp of all rows with options, from and to guarded buffers. In
/// place, softmax has the same bits.
fn run_with<T: Float>(isa: Isa, x: &[T], cols: usize, options: Softmax<'_, T>) -> [Vec<T>; 3] {
    let options = options.isa(isa);
    let rows = x.len() / cols;
    let view = MatRef::new(x, rows, cols).expect("it fits");
    let mut outs = [(x.len(), 3), (x.len(), 0), (rows, 1)].map(|(len, offset)| Guarded::<T>::unwritten(len, offset));
    let [softmax, log_softmax, log_sum_exp] = &mut outs;
    let target = |out| MatMut::new(out, rows, cols).expect("it fits");
    options.rows(view, target(softmax.get_mut())).expect("good options");
    options.log_rows(view, target(log_softmax.get_mut())).expect("good options");
    options.log_sum_exp_rows(view, log_sum_exp.get_mut()).expect("good options");
    let mut in_place = Guarded::new(x, 2);
    options.rows_in_place(target(in_place.get_mut())).expect("good options");
    assert_eq!(bits_of(in_place.check()), bits_of(softmax.get()), "in place, {rows} x {cols} on {isa}");
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
                let options = Softmax::new().scale(scale);
                let options = mask.map_or(options, |mask| options.mask(mask));
                for &isa in &isas {
                    let [softmax, log_softmax, log_sum_exp] = run_with(isa, &x, cols, options);
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
                            ext_sum_ln: log_sum_exp[i],
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
                let options = Softmax::new().scale(T::of(2.0)).mask(mask).masked_rows_are_zero(zero);
                let [softmax, log_softmax, log_sum_exp] = run_with(isa, &x, cols, options);
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
            let options = Softmax::new().mask(MatRef::new(&masks, 1, cols).expect("it fits"));
            let left = masks.iter().filter(|m| m.wide() == 0.0).count();
            let [softmax, ..] = run_with(isa, &x, cols, options);
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
            let options = Softmax::new().mask(MatRef::new(&masks, 1, cols).expect("it fits"));
            let [softmax, ..] = run_with(isa, &x, cols, options);
            assert!(softmax.iter().all(|p| p.wide().is_nan()), "NaN in the mask on {isa}");
        }
    }
}

/// Rows of every kind in place have the bits of the rows on a copy, and nothing between rows is
/// written.
fn rows_in_place<T: Float>() {
    let (isas, mut rng) = (isas(), rng(14));
    for (rows, cols, extra) in [(3, 0, 2), (1, 1, 0), (37, 5, 3), (20, 16, 0), (18, 40, 1), (33, 100, 2), (5, 513, 7)]
        .into_iter()
        .chain([(2, 1030, 0), (2, 5000, 9)])
    {
        let stride = cols + extra;
        let mut x = vec![T::of(0.0); (rows - 1) * stride + cols];
        for i in 0..rows {
            x[i * stride..][..cols].copy_from_slice(&row::<T>(KINDS[i % KINDS.len()], cols, &mut rng));
        }
        // A row without a softmax leaves the others of its group alone.
        if rows > 30 {
            x[8 * stride + 1] = T::of(f64::INFINITY);
            x[9 * stride + cols - 1] = T::of(f64::NAN);
            x[10 * stride..][..cols].fill(T::of(f64::NEG_INFINITY));
        }
        for (&isa, zero) in isas.iter().flat_map(|isa| [(isa, false), (isa, true)]) {
            let softmax = Softmax::new().masked_rows_are_zero(zero).isa(isa);
            let (mut expected, mut in_place) = (x.clone(), Guarded::new(&x, 1));
            let target = |out| MatMut::with_stride(out, rows, cols, stride).expect("it fits");
            softmax.rows(MatRef::with_stride(&x, rows, cols, stride).expect("it fits"), target(&mut expected)).unwrap();
            softmax.rows_in_place(target(in_place.get_mut())).unwrap();
            assert_eq!(bits_of(in_place.check()), bits_of(&expected), "{rows} x {cols} on {isa}");
        }
    }
}

/// Rows that are written past the caches, in place, have the bits of the rows on a copy: as they
/// are, scaled and masked, and with a base that moves.
fn long_rows_in_place<T: Float>() {
    let (isas, mut rng) = (isas(), rng(15));
    let kinds = if small_cases() { &["normal, scale 10"][..] } else { &["normal, scale 10", "late 500"] };
    for kind in kinds {
        let x = streamed_row::<T>(kind, &mut rng);
        let cols = x.len();
        let masks: Vec<T> = (0..cols).map(|j| T::of(if j % 5 == 3 { f64::NEG_INFINITY } else { 0.5 })).collect();
        let masked = Softmax::new().scale(T::of(-0.7)).mask(MatRef::new(&masks, 1, cols).expect("it fits"));
        for (&isa, softmax) in isas.iter().flat_map(|isa| [(isa, Softmax::new()), (isa, masked)]) {
            let softmax = softmax.isa(isa);
            let (mut expected, mut in_place) = (x.clone(), Guarded::new(&x, 1));
            let target = |out| MatMut::new(out, 1, cols).expect("it fits");
            softmax.rows(MatRef::new(&x, 1, cols).expect("it fits"), target(&mut expected)).unwrap();
            softmax.rows_in_place(target(in_place.get_mut())).unwrap();
            assert!(same_bits(in_place.check(), &expected), "{kind} on {isa}");
        }
    }
}

fn bad_options<T: Float>() {
    let x = [T::of(1.0); 12];
    let view = |rows, cols| MatRef::new(&x[..rows * cols], rows, cols).expect("it fits");
    let check = |options: Softmax<'_, T>, error: Error| {
        let error = Err(error);
        let mut out = Guarded::<T>::unwritten(12, 0);
        let best = [options].into_iter();
        for options in best.chain(isas().into_iter().map(|isa| options.isa(isa))) {
            let mut target = |f: &dyn Fn(MatMut<'_, T>) -> Result<(), Error>| {
                assert_eq!(f(MatMut::new(out.get_mut(), 3, 4).expect("it fits")), error);
            };
            target(&|out| options.rows(view(3, 4), out));
            target(&|out| options.rows_in_place(out));
            target(&|out| options.log_rows(view(3, 4), out));
            assert_eq!(options.log_sum_exp_rows(view(3, 4), &mut out.get_mut()[..3]), error);
        }
        assert!(out.check().iter().all(|&x| Guarded::is_guard(x)));
    };
    for value in [0.0, f64::INFINITY, f64::NEG_INFINITY] {
        let error = Error::InvalidParameter { argument: "scale", value, expected: "finite and not 0" };
        check(Softmax::new().scale(T::of(value)), error);
    }
    for actual in [(2, 4), (3, 3), (4, 3), (1, 3), (0, 4), (1, 12)] {
        let error = Error::ShapeMismatch { argument: "mask", actual, expected: (3, 4) };
        check(Softmax::new().mask(view(actual.0, actual.1)), error);
    }
}

/// Outputs that do not fit are an error, and stay as they are.
fn wrong_outputs<T: Float>() {
    let x = [T::of(1.0); 12];
    let view = MatRef::new(&x, 3, 4).expect("it fits");
    let softmax = Softmax::new().scale(T::of(2.0));
    for (rows, cols) in [(4, 3), (3, 3), (2, 4), (0, 4), (3, 0)] {
        let error = Err(Error::ShapeMismatch { argument: "out", actual: (rows, cols), expected: (3, 4) });
        let mut out = Guarded::<T>::unwritten(rows * cols, 0);
        assert_eq!(softmax.rows(view, MatMut::new(out.get_mut(), rows, cols).expect("it fits")), error);
        assert_eq!(softmax.log_rows(view, MatMut::new(out.get_mut(), rows, cols).expect("it fits")), error);
        assert!(out.check().iter().all(|&x| Guarded::is_guard(x)));
    }
    for actual in [0, 2, 4, 12] {
        let error = Err(Error::LengthMismatch { argument: "out", actual, expected: 3 });
        let mut out = Guarded::<T>::unwritten(actual, 0);
        assert_eq!(softmax.log_sum_exp_rows(view, out.get_mut()), error);
        assert!(out.check().iter().all(|&x| Guarded::is_guard(x)));
    }
}
