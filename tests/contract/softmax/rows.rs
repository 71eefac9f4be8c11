//! The forms for matrices, the functions without `_on`, and the errors of wrong shapes.

use crate::support::{
    data::{normal, rng},
    float::{Float, bits_of},
    for_both_types,
    guarded::Guarded,
    isas::isas,
    rows::row,
    softmax::run_row,
};
use mantex::{
    Error, ExtSum, Isa, MatMut, MatRef, log_softmax, log_softmax_rows, log_sum_exp, log_sum_exp_rows, softmax,
    softmax_in_place, softmax_rows,
};

for_both_types! {
    matrices
    empty_matrices
    entry_points_run_the_best
    errors_leave_outputs_alone
}

/// The rows forms give the bits of the single rows, whatever the strides, and touch nothing between
/// rows.
fn matrices<T: Float>() {
    let (isas, mut rng) = (isas(), rng(7));
    for (rows, cols, extra) in
        [(1, 1, 0), (1, 5, 9), (3, 0, 4), (33, 7, 3), (2, 100, 1), (5, 1, 2), (4, 1030, 13), (7, 16, 0)]
    {
        let (stride, out_stride) = (cols + extra, cols + 2 * extra);
        let guard = T::of(f64::NAN);
        let mut x = vec![guard; (rows - 1) * stride + cols];
        for i in 0..rows {
            let kind = ["normal, scale 1", "late 500", "offset 1e6", "largest with both signs"][i % 4];
            x[i * stride..][..cols].copy_from_slice(&row::<T>(kind, cols, &mut rng));
        }
        if rows > 2 && cols > 2 {
            x[stride + 1] = T::of(f64::INFINITY);
            x[2 * stride + cols - 1] = T::of(f64::NEG_INFINITY);
        }
        let input = Guarded::new(&x, 3);
        let view = || MatRef::with_stride(input.get(), rows, cols, stride).expect("it fits");
        for &isa in &isas {
            type Rows<T> = fn(Isa, MatRef<'_, T>, MatMut<'_, T>) -> Result<(), Error>;
            type Row<T> = fn(Isa, &[T], &mut [T]) -> Result<(), Error>;
            let forms: [(Rows<T>, Row<T>); 2] =
                [(Isa::softmax_rows, Isa::softmax), (Isa::log_softmax_rows, Isa::log_softmax)];
            for (on_rows, on_row) in forms {
                let mut out = Guarded::<T>::unwritten((rows - 1) * out_stride + cols, 5);
                let target = MatMut::with_stride(out.get_mut(), rows, cols, out_stride).expect("it fits");
                on_rows(isa, view(), target).expect("the shapes agree");
                let out = out.check();
                for i in 0..rows {
                    let mut expected = vec![guard; cols];
                    on_row(isa, &x[i * stride..][..cols], &mut expected).expect("equal lengths");
                    assert_eq!(bits_of(&out[i * out_stride..][..cols]), bits_of(&expected), "row {i} on {isa}");
                    let end = if i + 1 < rows { (i + 1) * out_stride } else { out.len() };
                    let between = &out[i * out_stride + cols..end];
                    assert!(between.iter().all(|&x| Guarded::is_guard(x)), "written after row {i} on {isa}");
                }
            }
            let mut out = Guarded::<T>::unwritten(rows, 1);
            isa.log_sum_exp_rows(view(), out.get_mut()).expect("the lengths agree");
            let expected: Vec<T> = (0..rows).map(|i| isa.log_sum_exp(&x[i * stride..][..cols])).collect();
            assert_eq!(bits_of(out.check()), bits_of(&expected), "{rows} x {cols} on {isa}");
        }
        assert_eq!(bits_of(input.check()), bits_of(&x), "the input changed");
    }
}

/// Without columns there is nothing to do, however many rows there are.
fn empty_matrices<T: Float>() {
    for isa in isas() {
        for rows in [0, 1, 1000, usize::MAX] {
            let x = || MatRef::<T>::new(&[], rows, 0).expect("it fits");
            let out = || MatMut::<T>::new(&mut [], rows, 0).expect("it fits");
            assert_eq!(isa.softmax_rows(x(), out()), Ok(()));
            assert_eq!(isa.log_softmax_rows(x(), out()), Ok(()));
        }
        let mut sums = [T::of(1.0); 3];
        assert_eq!(isa.log_sum_exp_rows(MatRef::new(&[], 3, 0).expect("it fits"), &mut sums), Ok(()));
        assert!(sums.iter().all(|x| x.wide() == f64::NEG_INFINITY));
        assert_eq!(isa.log_sum_exp_rows::<T>(MatRef::new(&[], 0, 3).expect("it fits"), &mut []), Ok(()));
    }
}

/// Functions without `_on` give the bits of their twins on `Isa::best()`, at every call.
fn entry_points_run_the_best<T: Float>() {
    let (isa, mut rng) = (Isa::best(), rng(8));
    for n in [0, 1, 3, 8, 17, 100, 513, 3000] {
        for kind in ["normal, scale 10", "offset 1e6", "late huge"] {
            let x = row::<T>(kind, n, &mut rng);
            let expected = run_row(isa, &x, 0);
            for _ in 0..2 {
                let mut out = vec![T::of(f64::NAN); n];
                softmax(&x, &mut out).expect("equal lengths");
                assert_eq!(bits_of(&out), bits_of(&expected.softmax), "softmax of {kind}, n = {n}");
                log_softmax(&x, &mut out).expect("equal lengths");
                assert_eq!(bits_of(&out), bits_of(&expected.log_softmax), "log_softmax of {kind}, n = {n}");
                out.copy_from_slice(&x);
                softmax_in_place(&mut out);
                assert_eq!(bits_of(&out), bits_of(&expected.in_place), "softmax_in_place of {kind}, n = {n}");
                assert_eq!(log_sum_exp(&x).bits(), expected.log_sum_exp.bits(), "log_sum_exp of {kind}, n = {n}");
                assert_eq!(format!("{:?}", ExtSum::of(&x)), format!("{:?}", isa.ext_sum(&x)));
            }
        }
    }
    let (rows, cols) = (9, 21);
    let x = normal::<T>(rows * cols, 5.0, 0.0, &mut rng);
    let view = MatRef::new(&x, rows, cols).expect("it fits");
    let mut outs = [vec![T::of(0.0); x.len()], vec![T::of(1.0); x.len()]];
    let [best, on] = &mut outs;
    softmax_rows(view, MatMut::new(best, rows, cols).expect("it fits")).expect("equal shapes");
    isa.softmax_rows(view, MatMut::new(on, rows, cols).expect("it fits")).expect("equal shapes");
    assert_eq!(bits_of(best), bits_of(on));
    log_softmax_rows(view, MatMut::new(best, rows, cols).expect("it fits")).expect("equal shapes");
    assert!(bits_of(best) != bits_of(on), "log_softmax_rows wrote nothing");
    isa.log_softmax_rows(view, MatMut::new(on, rows, cols).expect("it fits")).expect("equal shapes");
    assert_eq!(bits_of(best), bits_of(on));
    let (mut best, mut on) = (vec![T::of(0.0); rows], vec![T::of(1.0); rows]);
    log_sum_exp_rows(view, &mut best).expect("equal lengths");
    isa.log_sum_exp_rows(view, &mut on).expect("equal lengths");
    assert_eq!(bits_of(&best), bits_of(&on));
}

fn errors_leave_outputs_alone<T: Float>() {
    let untouched = |out: &[T]| out.iter().all(|&x| Guarded::is_guard(x));
    let x = vec![T::of(1.0); 24];
    for isa in isas() {
        for (n, expected) in [(0, 6), (5, 6), (7, 6), (24, 6), (1, 0)] {
            let error = Err(Error::LengthMismatch { argument: "out", actual: n, expected });
            let mut out = Guarded::<T>::unwritten(n, 0);
            assert_eq!(softmax(&x[..expected], out.get_mut()), error);
            assert_eq!(isa.softmax(&x[..expected], out.get_mut()), error);
            assert_eq!(log_softmax(&x[..expected], out.get_mut()), error);
            assert_eq!(isa.log_softmax(&x[..expected], out.get_mut()), error);
            assert!(untouched(out.check()));
        }
        let view = MatRef::new(&x, 4, 6).expect("it fits");
        for (rows, cols) in [(6, 4), (4, 5), (3, 6), (24, 1), (1, 24), (0, 6), (4, 0)] {
            let error = Err(Error::ShapeMismatch { argument: "out", actual: (rows, cols), expected: (4, 6) });
            let mut out = Guarded::<T>::unwritten(rows * cols, 0);
            let mut target = |f: &dyn Fn(MatMut<'_, T>) -> Result<(), Error>| {
                assert_eq!(f(MatMut::new(out.get_mut(), rows, cols).expect("it fits")), error);
            };
            target(&|out| softmax_rows(view, out));
            target(&|out| isa.softmax_rows(view, out));
            target(&|out| log_softmax_rows(view, out));
            target(&|out| isa.log_softmax_rows(view, out));
            assert!(untouched(out.check()));
        }
        for n in [0, 3, 5, 6, 24] {
            let error = Err(Error::LengthMismatch { argument: "out", actual: n, expected: 4 });
            let mut out = Guarded::<T>::unwritten(n, 0);
            assert_eq!(log_sum_exp_rows(view, out.get_mut()), error);
            assert_eq!(isa.log_sum_exp_rows(view, out.get_mut()), error);
            assert!(untouched(out.check()));
        }
    }
}
