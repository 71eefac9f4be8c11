//! Softmax, log-softmax and log-sum-exp of rows.

use crate::npy;
use crate::support::inputs::logits;
use crate::support::json::string;
use crate::support::{Comparison, Contestant};
use crate::worker::{Package, Worker, input, path_field};
use mantex::{MatMut, MatRef, Real};
use std::any::type_name;
use std::hint::black_box;
use std::time::Duration;

/// Rows and columns for f32: 2^20 elements, so that Python's own time counts for little, and one
/// short call, where it counts.
const SHAPES: [(usize, usize); 5] = [(1 << 14, 64), (1 << 10, 1 << 10), (1 << 7, 1 << 13), (1, 1 << 20), (1, 64)];

/// The same for f64.
const F64_SHAPES: [(usize, usize); 1] = [(1 << 10, 1 << 10)];

const FUNCTIONS: [&str; 3] = ["softmax", "log_softmax", "log_sum_exp"];

/// The least time of a turn: long enough that the caches, filled by another process before, count
/// for little.
const TURN: Duration = Duration::from_millis(10);

/// The packages; each has one method.
const METHODS: [(&str, &str); 4] = [("torch", ""), ("onnxruntime", ""), ("jax", ""), ("scipy", "")];

/// Applies a function of mantex; a single row is no matrix.
fn apply<T: Real>(function: &str, rows: usize, x: &[T], out: &mut [T]) {
    if rows == 1 {
        match function {
            "softmax" => mantex::softmax(x, out).expect("equal lengths"),
            "log_softmax" => mantex::log_softmax(x, out).expect("equal lengths"),
            _ => out[0] = mantex::log_sum_exp(x),
        }
        return;
    }
    let cols = x.len() / rows;
    let x = MatRef::new(x, rows, cols).expect("whole rows");
    let matrix = |out| MatMut::new(out, rows, cols).expect("whole rows");
    match function {
        "softmax" => mantex::softmax_rows(x, matrix(out)),
        "log_softmax" => mantex::log_softmax_rows(x, matrix(out)),
        _ => mantex::log_sum_exp_rows(x, out),
    }
    .expect("equal shapes");
}

/// Returns the largest difference, relative to probabilities; logarithms below 1 are compared
/// absolutely, because their error is relative to a probability.
fn difference(function: &str, ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len(), "the numbers of results differ");
    let unit = |x: f64| if function == "softmax" { x } else { x.abs().max(1.0) };
    let differences = ours.iter().zip(theirs).map(|(&x, y)| (x - y).abs() / unit(x));
    differences.fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a })
}

/// Returns the largest difference that is allowed: others add up long rows in the type itself.
fn limit<T>(cols: usize) -> f64 {
    match (size_of::<T>(), cols) {
        (8, _) => 1e-12,
        (_, ..=8192) => 1e-5,
        _ => 2e-4,
    }
}

fn compare_shape<T: Real>(comparison: &mut Comparison, workers: &mut [Worker], function: &str, shape: (usize, usize)) {
    let (rows, cols) = shape;
    let suffix = if rows == 1 { "" } else { "_rows" };
    let work_id = format!("{function}{suffix}/{}/n={cols}", type_name::<T>());
    let x: Vec<T> = logits(rows * cols);
    let file = input("logits.npy");
    npy::write(&file, rows, &x);
    let mut out = vec![T::default(); if function == "log_sum_exp" { rows } else { x.len() }];
    apply(function, rows, &x, &mut out);
    let ours: Vec<f64> = out.iter().map(|&x| x.into()).collect();
    let work = || apply(function, rows, black_box(&x), black_box(&mut out));
    let mut contestants = vec![Contestant::new("mantex", 0.0, work)];
    for worker in workers {
        let theirs = worker.prepare(&[("function", string(function)), ("logits", path_field(&file))]);
        let difference = difference(function, &ours, &theirs);
        assert!(difference <= limit::<T>(cols), "{work_id}: results of {} differ by {difference:e}", worker.name);
        contestants.push(worker.contestant(difference));
    }
    comparison.compare(&work_id, &mut contestants, TURN, (1e9 / (rows * cols) as f64, "ns/element"));
}

/// Compares the packages that were asked for.
pub(crate) fn compare(comparison: &mut Comparison, packages: &[Package]) {
    let mut workers = Worker::start_all(packages, "softmax", "softmax", &METHODS);
    if workers.is_empty() {
        return;
    }
    for function in FUNCTIONS {
        for shape in SHAPES {
            compare_shape::<f32>(comparison, &mut workers, function, shape);
        }
        for shape in F64_SHAPES {
            compare_shape::<f64>(comparison, &mut workers, function, shape);
        }
    }
}
