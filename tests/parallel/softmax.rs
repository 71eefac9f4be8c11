//! Rows of the softmax family.

use super::pools;
use super::support::{
    data::{normal, rng},
    float::{Float, bits_of},
    for_both_types,
    isas::isas,
};
use mantex::{Error, MatMut, MatRef, Softmax};
use rand::RngExt;
use rand::rngs::StdRng;

for_both_types! {
    functions_of_rows
    functions_of_columns
    rows_with_options
    errors
}

/// Matrices with many short rows, few long ones, fewer rows than threads, and without elements.
const SHAPES: [(usize, usize); 8] =
    [(3001, 16), (700, 100), (97, 1000), (5, 40_000), (2, 65_536), (1, 100_000), (0, 9), (9, 0)];

/// Logits of a matrix with a distance of `cols + 3` between rows, some of which are masked or huge.
fn logits<T: Float>((rows, cols): (usize, usize), rng: &mut StdRng) -> Vec<T> {
    let stride = cols + 3;
    let mut x = normal::<T>(rows * stride, 10.0, 0.0, rng);
    for row in x.chunks_mut(stride) {
        match rng.random_range(0..8) {
            0 => row.fill(T::of(f64::NEG_INFINITY)),
            1 => row[0] = T::of(f64::NAN),
            2 => row[cols / 2] = T::of(1e30),
            3 => row.iter_mut().for_each(|x| *x = T::of(x.wide() - 1000.0)),
            _ => {}
        }
    }
    x
}

/// What a function of rows writes: a matrix with the distance of [`logits`], and a number per row.
fn outputs<T: Float>(
    (rows, cols): (usize, usize),
    f: impl FnOnce(MatMut<'_, T>, &mut [T]) -> Result<(), Error>,
) -> Vec<u64> {
    let (mut out, mut numbers) = (vec![T::of(7.0); rows * (cols + 3)], vec![T::of(7.0); rows]);
    f(MatMut::with_stride(&mut out, rows, cols, cols + 3).expect("it fits"), &mut numbers).expect("good input");
    [bits_of(&out), bits_of(&numbers)].concat()
}

fn functions_of_rows<T: Float>() {
    let mut rng = rng(1);
    for shape in SHAPES {
        let (rows, cols) = shape;
        let [x, y] = [logits::<T>(shape, &mut rng), logits::<T>(shape, &mut rng)];
        let [x, y] = [&x, &y].map(|x| MatRef::with_stride(x, rows, cols, cols + 3).expect("it fits"));
        let classes: Vec<usize> =
            (0..rows).map(|i| if i % 5 == 0 || cols == 0 { mantex::IGNORED } else { i % cols }).collect();
        let weight = T::of(0.25);
        /// Compares `mantex::name` with `mantex::parallel::name` in every pool.
        macro_rules! compare {
            ($($name:ident |$f:ident, $out:ident, $numbers:ident| $call:expr;)*) => {$({
                let one = outputs(shape, |$out, $numbers| { let $f = mantex::$name::<T>; $call });
                for pool in pools() {
                    let several = pool.install(|| {
                        outputs(shape, |$out, $numbers| { let $f = mantex::parallel::$name::<T>; $call })
                    });
                    let (name, threads) = (stringify!($name), pool.current_num_threads());
                    assert!(one == several, "{name} of {rows} x {cols} on {threads} threads");
                }
            })*};
        }
        let copied = |mut out: MatMut<'_, T>| (0..rows).for_each(|i| out.row_mut(i).copy_from_slice(x.row(i)));
        compare! {
            softmax_rows |f, out, _numbers| f(x, out);
            softmax_rows_in_place |f, out, _numbers| { let mut out = out; copied(out.reborrow()); f(out); Ok(()) };
            log_softmax_rows |f, out, _numbers| f(x, out);
            log_softmax_rows_in_place |f, out, _numbers| { let mut out = out; copied(out.reborrow()); f(out); Ok(()) };
            log_sum_exp_rows |f, _out, numbers| f(x, numbers);
            cross_entropy_rows |f, _out, numbers| f(x, &classes, numbers);
            cross_entropy_gradient_rows |f, out, numbers| f(x, &classes, weight, numbers, out);
            softmax_backward_rows |f, out, _numbers| f(x, y, out);
            log_softmax_backward_rows |f, out, _numbers| f(x, y, out);
            stablemax_rows |f, out, _numbers| f(x, out);
            log_stablemax_rows |f, out, _numbers| f(x, out);
            stablemax_backward_rows |f, out, _numbers| f(x, y, out);
            log_stablemax_backward_rows |f, out, _numbers| f(x, y, out);
        }
    }
}

/// Calls the function of a name on a matrix for results.
type ByName<'a, T> = &'a dyn Fn(&str, MatMut<'_, T>) -> Result<(), Error>;

fn functions_of_columns<T: Float>() {
    let mut rng = rng(3);
    for shape in [(7, 5000), (100, 1000), (1, 100_000), (9, 40_000), (3001, 16), (0, 3000), (9, 0)] {
        let (rows, cols) = shape;
        let x = logits::<T>(shape, &mut rng);
        let x = MatRef::with_stride(&x, rows, cols, cols + 3).expect("it fits");
        let all = |f: ByName<'_, T>| -> Vec<Vec<u64>> {
            let names = ["softmax", "log_softmax", "softmax_in_place", "log_softmax_in_place", "log_sum_exp"];
            names.iter().map(|name| outputs(shape, |out, _| f(name, out))).collect()
        };
        /// Calls the functions of columns of a module.
        macro_rules! columns_of {
            ($($module:ident)::+) => {
                all(&|name, mut out| {
                    use $($module)::+ as m;
                    if name.ends_with("in_place") {
                        (0..rows).for_each(|i| out.row_mut(i).copy_from_slice(x.row(i)));
                    }
                    match name {
                        "softmax" => m::softmax_columns(x, out),
                        "log_softmax" => m::log_softmax_columns(x, out),
                        "softmax_in_place" => Ok(m::softmax_columns_in_place(out)),
                        "log_softmax_in_place" => Ok(m::log_softmax_columns_in_place(out)),
                        _ if rows == 0 => Ok(()),
                        _ => m::log_sum_exp_columns(x, out.row_mut(0)),
                    }
                })
            };
        }
        let one = columns_of!(mantex);
        for pool in pools() {
            let several = pool.install(|| columns_of!(mantex::parallel));
            assert!(one == several, "{rows} x {cols} on {} threads", pool.current_num_threads());
        }
    }
}

fn rows_with_options<T: Float>() {
    let mut rng = rng(2);
    for shape in SHAPES {
        let (rows, cols) = shape;
        let x = logits::<T>(shape, &mut rng);
        let x = MatRef::with_stride(&x, rows, cols, cols + 3).expect("it fits");
        let masks: Vec<T> = (0..rows.max(1) * cols)
            .map(|_| T::of(if rng.random_range(0..3) == 0 { f64::NEG_INFINITY } else { 0.5 }))
            .collect();
        let matrix = MatRef::new(&masks[..rows * cols], rows, cols).expect("it fits");
        let row = MatRef::new(&masks[..cols], 1, cols).expect("it fits");
        let lengths: Vec<usize> = (0..rows).map(|_| rng.random_range(0..=cols)).collect();
        let classes = vec![mantex::IGNORED; rows];
        let plain = Softmax::new();
        for options in [
            plain.mask(matrix),
            plain.mask(row).scale(T::of(-0.3)),
            plain.causal(0),
            plain.causal(isize::MAX),
            plain.causal(isize::MIN),
            plain.causal(-(rows as isize) / 2).masked_rows_are_zero(true),
            plain.lengths(&lengths).mask(matrix).causal(3),
        ] {
            for isa in isas() {
                let options = options.isa(isa);
                let all = |options: Softmax<'_, T>| -> Vec<Vec<u64>> {
                    vec![
                        outputs(shape, |out, _| options.rows(x, out)),
                        outputs(shape, |out, _| options.log_rows(x, out)),
                        outputs(shape, |out, _| options.rows_in_place(out)),
                        outputs(shape, |out, _| options.log_rows_in_place(out)),
                        outputs(shape, |_, numbers| options.log_sum_exp_rows(x, numbers)),
                        outputs(shape, |_, numbers| options.cross_entropy_rows(x, &classes, numbers)),
                        outputs(shape, |out, numbers| {
                            options.cross_entropy_gradient_rows(x, &classes, T::of(1.0), numbers, out)
                        }),
                    ]
                };
                let one = all(options);
                for pool in pools() {
                    let several = pool.install(|| all(options.parallel(true)));
                    assert!(one == several, "{rows} x {cols} with {options:?}");
                }
            }
        }
    }
}

/// Several threads check what one checks, before they write.
fn errors<T: Float>() {
    let (x, mut out) = (vec![T::of(0.0); 1 << 17], vec![T::of(7.0); 1 << 17]);
    let x = MatRef::new(&x, 1 << 10, 1 << 7).expect("it fits");
    let mut target = MatMut::new(&mut out, 1 << 7, 1 << 10).expect("it fits");
    let one = mantex::softmax_rows(x, target.reborrow());
    assert!(one.is_err());
    assert_eq!(mantex::parallel::softmax_rows(x, target.reborrow()), one);
    assert!(Softmax::new().parallel(true).scale(T::of(0.0)).rows_in_place(target).is_err());
    assert!(out.iter().all(|x| x.wide() == 7.0));
}
