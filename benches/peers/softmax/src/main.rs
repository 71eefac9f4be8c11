//! Softmax of f32 by other Rust libraries, beside mantex.
//!
//! Each library makes a new matrix of results, as its interface has it, except for mantex and
//! rten-vecmath, which write into memory of the caller. All run on one thread. The results are
//! compared before the times.

#[path = "../../support.rs"]
mod support;
#[cfg(feature = "tract")]
mod tract;

use candle_core::{Device, Tensor};
use mantex::{MatMut, MatRef};
use ndarray::{Array2, Axis};
use rten_simd::SimdOp;
use std::hint::black_box;
use support::arguments::Arguments;
use support::inputs::logits;
use support::timing::SHORT;
use support::{Comparison, Contestant, difference};

/// The largest relative difference of results that is allowed.
const LIMIT: f64 = 1e-5;

/// The same for rows of more than 4096 elements, whose exponentials others add up in f32.
const LONG_ROW_LIMIT: f64 = 2e-4;

/// Rows and columns.
const SHAPES: [(usize, usize); 8] =
    [(2048, 8), (256, 64), (32, 512), (4, 4096), (1, 8), (1, 64), (1, 512), (1, 1 << 20)];

/// Softmax into memory of the caller; a single row is no matrix.
fn mantex(x: &[f32], rows: usize, cols: usize, out: &mut [f32]) {
    if rows == 1 {
        mantex::softmax(x, out).expect("equal lengths");
    } else {
        let (x, out) = (MatRef::new(x, rows, cols), MatMut::new(out, rows, cols));
        mantex::softmax_rows(x.expect("whole rows"), out.expect("whole rows")).expect("equal shapes");
    }
}

/// A call for each row, as the library has it, into the capacity of a vector.
fn rten_vecmath(x: &[f32], cols: usize, out: &mut Vec<f32>) {
    let spare = out.spare_capacity_mut();
    for (x, out) in x.chunks_exact(cols).zip(spare.chunks_exact_mut(cols)) {
        black_box(rten_vecmath::Softmax::new(x, out).dispatch());
    }
}

/// The results of one row.
fn rten_vecmath_of_row(x: &[f32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    rten_vecmath::Softmax::new(x, &mut out.spare_capacity_mut()[..x.len()]).dispatch().to_vec()
}

/// The expression of the definition.
fn ndarray(x: &Array2<f32>) -> Array2<f32> {
    let max = x.fold_axis(Axis(1), f32::NEG_INFINITY, |&a, &b| a.max(b)).insert_axis(Axis(1));
    let mut y = x - &max;
    y.mapv_inplace(f32::exp);
    let sum = y.sum_axis(Axis(1)).insert_axis(Axis(1));
    y /= &sum;
    y
}

fn candle(x: &Tensor) -> Tensor {
    candle_nn::ops::softmax_last_dim(x).expect("a contiguous matrix")
}

/// Compares the libraries on one shape.
fn compare(comparison: &mut Comparison, rows: usize, cols: usize) {
    let work_id = format!("{}/f32/n={cols}", if rows == 1 { "softmax" } else { "softmax_rows" });
    let x = logits(rows * cols);
    let of_ndarray = Array2::from_shape_vec((rows, cols), x.clone()).expect("a matrix");
    let of_candle = Tensor::from_slice(&x, (rows, cols), &Device::Cpu).expect("a matrix");
    #[cfg(feature = "tract")]
    let of_tract = tract::matrix(&x, rows, cols);

    let f64s = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| x.into()).collect() };
    let mut out = vec![0.0; x.len()];
    mantex(&x, rows, cols, &mut out);
    let ours = f64s(&out);
    let limit = if cols > 4096 { LONG_ROW_LIMIT } else { LIMIT };
    // A library by its name, its results, and its work.
    let contestant = |name: &str, theirs: &[f32], work| {
        Contestant::new(name, difference(&work_id, name, &ours, &f64s(theirs), limit), work)
    };
    let of_rten: Vec<f32> = x.chunks_exact(cols).flat_map(rten_vecmath_of_row).collect();
    let candle_results = candle(&of_candle).flatten_all().and_then(|y| y.to_vec1()).expect("f32");
    let mut spare = Vec::with_capacity(x.len());
    let ours = out.clone();
    let mut contestants = vec![
        contestant("mantex", &ours, Box::new(|| mantex(black_box(&x), rows, cols, &mut out)) as Box<dyn FnMut()>),
        contestant("rten-vecmath", &of_rten, Box::new(|| rten_vecmath(black_box(&x), cols, &mut spare))),
        contestant("candle-nn", &candle_results, Box::new(|| _ = black_box(candle(black_box(&of_candle))))),
        contestant(
            "ndarray",
            ndarray(&of_ndarray).as_slice().expect("whole rows"),
            Box::new(|| _ = black_box(ndarray(black_box(&of_ndarray)))),
        ),
    ];
    #[cfg(feature = "tract")]
    contestants.push(contestant(
        "tract-core",
        &tract::elements(&tract::softmax(&of_tract)),
        Box::new(|| _ = black_box(tract::softmax(black_box(&of_tract)))),
    ));
    let per_element = (1e9 / (rows * cols) as f64, "ns/element");
    comparison.compare(&work_id, &mut contestants, SHORT, per_element);
}

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("no other pool");
    let mut comparison = Comparison::new("softmax", Some(include_str!("../Cargo.toml")), &Arguments::new());
    for (rows, cols) in SHAPES {
        compare(&mut comparison, rows, cols);
    }
}
