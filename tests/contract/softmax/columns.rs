//! Columns: against the reference, and the same whatever the strides, the place and the neighbors.

use crate::support::{
    data::rng,
    float::{Float, bits_of},
    for_both_types,
    guarded::Guarded,
    isas::{isas, small_cases},
    reference::Reference,
    report::Report,
    rows::{KINDS, row},
    softmax::{Outputs, SOFTMAX_ULPS, check_logarithms, softmax_error},
};
use mantex::{Error, Isa, MatMut, MatRef, log_softmax_columns, log_sum_exp_columns, softmax_columns};

for_both_types! {
    columns_are_accurate
    special_columns
    strides_and_places
    shapes_that_differ_are_errors
    long_columns
}

/// The results over the columns of a matrix with the given rows, each with a stride of its own.
fn results<T: Float>(isa: Isa, columns: &[Vec<T>], extra: usize) -> Vec<Outputs<T>> {
    let (rows, cols) = (columns[0].len(), columns.len());
    let (stride, out_stride) = (cols + extra, cols + 2 * extra);
    let len = |stride: usize| if rows == 0 { 0 } else { (rows - 1) * stride + cols };
    let mut x = vec![T::of(f64::NAN); len(stride)];
    for (j, column) in columns.iter().enumerate() {
        column.iter().enumerate().for_each(|(i, &value)| x[i * stride + j] = value);
    }
    let input = Guarded::new(&x, 3);
    let view = || MatRef::with_stride(input.get(), rows, cols, stride).expect("it fits");
    let mut out = Guarded::<T>::unwritten(len(out_stride), 5);
    let mut take = |f: &dyn Fn(MatMut<'_, T>)| -> Vec<Vec<T>> {
        // What lies between the rows is not written.
        out.get_mut().fill(T::of(-7.0));
        f(MatMut::with_stride(out.get_mut(), rows, cols, out_stride).expect("it fits"));
        let out = out.check();
        for between in out.chunks(out_stride).filter(|row| row.len() > cols) {
            assert!(between[cols..].iter().all(|x| x.wide() == -7.0), "written between rows on {isa}");
        }
        (0..cols).map(|j| (0..rows).map(|i| out[i * out_stride + j]).collect()).collect()
    };
    let copy = |mut out: MatMut<'_, T>| (0..rows).for_each(|i| out.row_mut(i).copy_from_slice(view().row(i)));
    let softmax = take(&|out| isa.softmax_columns(view(), out).expect("the shapes agree"));
    let in_place = take(&|mut out| {
        copy(out.reborrow());
        isa.softmax_columns_in_place(out);
    });
    let log_softmax = take(&|out| isa.log_softmax_columns(view(), out).expect("the shapes agree"));
    let log_in_place = take(&|mut out| {
        copy(out.reborrow());
        isa.log_softmax_columns_in_place(out);
    });
    let mut sums = Guarded::<T>::unwritten(cols, 1);
    isa.log_sum_exp_columns(view(), sums.get_mut()).expect("the lengths agree");
    assert_eq!(bits_of(input.check()), bits_of(&x), "the input changed");
    let sums = sums.check();
    let outputs = |j: usize| {
        assert_eq!(bits_of(&log_softmax[j]), bits_of(&log_in_place[j]), "in place on {isa}");
        let (softmax, in_place, log_softmax) = (softmax[j].clone(), in_place[j].clone(), log_softmax[j].clone());
        assert_eq!(bits_of(&softmax), bits_of(&in_place), "in place on {isa}");
        Outputs { softmax, in_place, log_softmax, log_sum_exp: sums[j], ext_sum_ln: sums[j] }
    };
    (0..cols).map(outputs).collect()
}

fn columns_are_accurate<T: Float>() {
    Report::run("columns", |report| columns::<T>(report));
}

/// Columns of all kinds and of many lengths.
fn columns<T: Float>(report: &mut Report) {
    let (isas, mut rng) = (isas(), rng(11));
    let lengths: &[usize] = if small_cases() { &[1, 2, 5, 37] } else { &[1, 2, 3, 4, 5, 8, 37, 500, 3001] };
    for &rows in lengths {
        // All kinds side by side: bands have ordinary columns beside huge ones.
        let columns: Vec<Vec<T>> =
            KINDS.iter().chain(&KINDS).chain(&KINDS[..9]).map(|kind| row(kind, rows, &mut rng)).collect();
        let references: Vec<Reference> = columns.iter().map(|x| Reference::new(x)).collect();
        for &isa in &isas {
            for (j, out) in results(isa, &columns, 3).iter().enumerate() {
                let (x, r) = (&columns[j], &references[j]);
                let name = format!("a column of {}", KINDS[j % KINDS.len()]);
                for (i, &y) in out.softmax.iter().enumerate() {
                    let case = || format!("{name}, {rows} rows, x[{i}] = {:e} on {isa}", x[i].wide());
                    if let Some(ulps) = softmax_error(y, x[i], r.softmax[i], &case) {
                        report.observe::<T>("softmax_columns", isa, ulps, SOFTMAX_ULPS, case);
                    }
                }
                check_logarithms(report, isa, &name, x, r, (&out.log_softmax, out.log_sum_exp));
            }
        }
    }
}

/// Below half a unit in the last place of a large sum, terms are rounding errors one and all; they
/// add up to much in a long column.
fn long_columns<T: Float>() {
    let rows = if small_cases() { 1 << 13 } else { 1 << 17 };
    let background = if T::NAME == "f32" { [-17.4, -17.6, -18.3] } else { [-37.4, -37.7, -38.1] };
    let columns: Vec<Vec<T>> = background
        .iter()
        .map(|&x| {
            let mut column = vec![T::of(x); rows];
            (column[0], column[1]) = (T::of(0.0), T::of(-0.01));
            column
        })
        .collect();
    let references: Vec<Reference> = columns.iter().map(|x| Reference::new(x)).collect();
    Report::run("long columns", |report| {
        for isa in isas() {
            for (j, out) in results(isa, &columns, 0).iter().enumerate() {
                let (x, r) = (&columns[j], &references[j]);
                for i in [0, 1, 2, rows - 1] {
                    let case = || format!("a background of {}, x[{i}] on {isa}", background[j]);
                    if let Some(ulps) = softmax_error(out.softmax[i], x[i], r.softmax[i], &case) {
                        report.observe::<T>("softmax_columns", isa, ulps, SOFTMAX_ULPS, case);
                    }
                }
                check_logarithms(report, isa, "a background", x, r, (&out.log_softmax, out.log_sum_exp));
            }
        }
    });
}

/// Special values spoil their own column only.
fn special_columns<T: Float>() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let specials: [(&[f64], f64); 9] = [
        (&[1.0, nan, 2.0], nan),
        (&[nan, nan, nan], nan),
        (&[inf, 0.0, -inf], inf),
        (&[inf, nan, 0.0], nan),
        (&[nan, 0.0, inf], nan),
        (&[-inf, -inf, -inf], -inf),
        (&[-inf, nan, -inf], nan),
        (&[inf, inf, inf], inf),
        (&[3e38, nan, 1.0], nan),
    ];
    let ordinary = [T::of(0.5), T::of(f64::NEG_INFINITY), T::of(2.0)].to_vec();
    for isa in isas() {
        let alone = &results(isa, std::slice::from_ref(&ordinary), 0)[0];
        assert_eq!(alone.softmax[1].bits(), 0);
        assert_eq!(alone.log_softmax[1].wide(), -inf);
        let columns: Vec<Vec<T>> = specials
            .iter()
            .flat_map(|(column, _)| [column.iter().map(|&x| T::of(x)).collect(), ordinary.clone()])
            .collect();
        for (at, out) in results(isa, &columns, 1).iter().enumerate() {
            if at % 2 == 1 {
                assert!(out.same(alone), "beside special values on {isa}");
                continue;
            }
            let (column, sum) = specials[at / 2];
            assert!(super::all_nan(out), "{column:?} on {isa}");
            let same = out.log_sum_exp.wide() == sum || sum.is_nan() && out.log_sum_exp.wide().is_nan();
            assert!(same, "log_sum_exp of {column:?} is {} on {isa}", out.log_sum_exp);
        }
        for (rows, cols) in [(0, 0), (0, 5), (5, 0), (usize::MAX, 0)] {
            let x = MatRef::<T>::new(&[], rows, cols).expect("it fits");
            let out = || MatMut::<T>::new(&mut [], rows, cols).expect("it fits");
            assert_eq!(isa.softmax_columns(x, out()), Ok(()));
            assert_eq!(isa.log_softmax_columns(x, out()), Ok(()));
            let mut sums = vec![T::of(1.0); cols];
            assert_eq!(isa.log_sum_exp_columns(x, &mut sums), Ok(()));
            assert!(sums.iter().all(|x| x.wide() == -inf));
        }
    }
}

/// A column has the same bits alone and in matrices of any width, at any place.
fn strides_and_places<T: Float>() {
    let mut rng = rng(12);
    for isa in isas() {
        for rows in [1, 3, 4, 6, 50] {
            let columns: Vec<Vec<T>> = (0..150).map(|j| row(KINDS[j % KINDS.len()], rows, &mut rng)).collect();
            let alone: Vec<_> =
                columns.iter().map(|column| results(isa, std::slice::from_ref(column), 2).remove(0)).collect();
            for cols in [2, 5, 8, 15, 16, 17, 33, 63, 64, 65, 128, 150] {
                for (j, out) in results(isa, &columns[..cols], cols % 3).iter().enumerate() {
                    assert!(out.same(&alone[j]), "column {j} of {rows} x {cols} on {isa}");
                }
            }
        }
    }
}

fn shapes_that_differ_are_errors<T: Float>() {
    let x = vec![T::of(1.0); 24];
    let view = MatRef::new(&x, 4, 6).expect("it fits");
    for (rows, cols) in [(6, 4), (4, 5), (3, 6), (0, 6), (4, 0)] {
        let error = Err(Error::ShapeMismatch { argument: "out", actual: (rows, cols), expected: (4, 6) });
        let mut out = Guarded::<T>::unwritten(rows * cols, 0);
        assert_eq!(softmax_columns(view, MatMut::new(out.get_mut(), rows, cols).expect("it fits")), error);
        assert_eq!(log_softmax_columns(view, MatMut::new(out.get_mut(), rows, cols).expect("it fits")), error);
        assert!(out.check().iter().all(|&x| Guarded::is_guard(x)));
    }
    for n in [0, 4, 5, 7] {
        let mut out = Guarded::<T>::unwritten(n, 0);
        let error = Err(Error::LengthMismatch { argument: "out", actual: n, expected: 6 });
        assert_eq!(log_sum_exp_columns(view, out.get_mut()), error);
        assert!(out.check().iter().all(|&x| Guarded::is_guard(x)));
    }
}
