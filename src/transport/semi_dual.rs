//! The quadratic model of the semi-dual function, and its solution by conjugate gradients.
//!
//! The semi-dual function of a transport problem is its dual function with the best f for each g.
//! Its gradient is b - c, and its Hessian is -S / epsilon:
//! ```text
//! S = diag(c) - P^T diag(1 / a) P = diag(c) - Q^T diag(a) Q          Q_ij = P_ij / a_i
//! ```
//! Here P has the rows that f makes right, and c are its column sums. S is symmetric, positive
//! semidefinite, and has the null vector 1. In the model, Q has only its large entries, while c
//! stays exact: S remains diagonally dominant, whatever is dropped (Tang & Qiu 2024, "Safe and
//! Sparse Newton Method for Entropic-Regularized Optimal Transport", section 4). A shift lambda,
//! relative to the diagonal, keeps the steps short where the model is singular:
//! ```text
//! S_lambda v = (1 + lambda) c v - Q^T (a (Q v)) / (1 + lambda)
//! ```

use super::kept_rows::KeptRows;
use crate::Real;
use crate::real::Element;
use alloc::vec;
use alloc::vec::Vec;

/// The model of the semi-dual function at some potentials.
pub(super) struct Model<'a, T> {
    /// The large entries of the plan.
    pub(super) kept: &'a KeptRows<T>,
    /// The masses of the rows.
    pub(super) a: &'a [f64],
    /// The diagonal, c.
    pub(super) diagonal: &'a [f64],
    /// The shift.
    pub(super) lambda: f64,
}

/// A symmetric positive semidefinite matrix, for the method of conjugate gradients.
pub(super) trait System {
    /// Computes the product with a vector.
    fn times(&mut self, v: &[f64], out: &mut [f64]);

    /// Computes the inverse diagonal, which preconditions the system (Jacobi). Columns that are 0
    /// get 0.
    fn inverse_diagonal(&mut self, out: &mut [f64]);
}

impl<T: Real> System for Model<'_, T> {
    /// Computes `S_lambda v`.
    fn times(&mut self, v: &[f64], out: &mut [f64]) {
        for ((out, v), c) in out.iter_mut().zip(v).zip(self.diagonal) {
            *out = (1.0 + self.lambda) * c * v;
        }
        for ((columns, values), a) in self.kept.rows().zip(self.a) {
            let product = sparse_product(columns, values, v) * (a / (1.0 + self.lambda));
            for (&j, q) in columns.iter().zip(values) {
                out[j as usize] -= q.to_f64() * product;
            }
        }
    }

    /// Computes the inverse diagonal of `S_lambda`, which preconditions it (Jacobi). Columns
    /// without mass get 0.
    fn inverse_diagonal(&mut self, out: &mut [f64]) {
        out.fill(0.0);
        for ((columns, values), a) in self.kept.rows().zip(self.a) {
            for (&j, q) in columns.iter().zip(values) {
                out[j as usize] += a * q.to_f64() * q.to_f64();
            }
        }
        for (out, c) in out.iter_mut().zip(self.diagonal) {
            let diagonal = (1.0 + self.lambda) * c - *out / (1.0 + self.lambda);
            let diagonal = diagonal.max(self.lambda * c);
            *out = if diagonal > 0.0 { 1.0 / diagonal } else { 0.0 };
        }
    }
}

/// The product of a sparse row and a vector, in four parts.
#[inline]
fn sparse_product<T: Real>(columns: &[u32], values: &[T], v: &[f64]) -> f64 {
    let mut parts = [0.0; 4];
    let (columns, values) = (columns.chunks_exact(4), values.chunks_exact(4));
    let rest = columns.remainder().iter().zip(values.remainder());
    let mut sum: f64 = rest.map(|(&j, q)| q.to_f64() * v[j as usize]).sum();
    for (columns, values) in columns.zip(values) {
        for i in 0..4 {
            parts[i] += values[i].to_f64() * v[columns[i] as usize];
        }
    }
    for part in parts {
        sum += part;
    }
    sum
}

/// The vectors of the method of conjugate gradients (Hestenes & Stiefel 1952).
pub(super) struct ConjugateGradients {
    /// The solution.
    pub(super) solution: Vec<f64>,
    residual: Vec<f64>,
    direction: Vec<f64>,
    product: Vec<f64>,
    inverse_diagonal: Vec<f64>,
}

impl ConjugateGradients {
    /// Returns the memory for problems with `cols` columns.
    pub(super) fn new(cols: usize) -> Self {
        let [solution, residual, direction, product, inverse_diagonal] = [(); 5].map(|()| vec![0.0; cols]);
        Self { solution, residual, direction, product, inverse_diagonal }
    }

    /// Solves `S_lambda y = b - c`, to the relative L1 error `tolerance` of the right side, in at
    /// most `limit` steps. The mean of y under the masses b is 0.
    pub(super) fn solve<T: Real>(&mut self, model: &mut Model<'_, T>, b: &[f64], accuracy: (f64, usize)) {
        let kept = model.kept;
        self.solve_system(model, b.iter().zip(&kept.column_sums).map(|(b, c)| b - c), accuracy);
        let mean = product(b, &self.solution);
        self.solution.iter_mut().for_each(|y| *y -= mean);
    }

    /// Solves a system, to the relative L1 error `tolerance` of the right side, in at most `limit`
    /// steps.
    pub(super) fn solve_system(
        &mut self,
        system: &mut impl System,
        right_side: impl Iterator<Item = f64>,
        (tolerance, limit): (f64, usize),
    ) {
        let Self { solution, residual, direction, product, inverse_diagonal } = self;
        system.inverse_diagonal(inverse_diagonal);
        for (r, right) in residual.iter_mut().zip(right_side) {
            *r = right;
        }
        let target = tolerance * l1(residual);
        solution.fill(0.0);
        direction.fill(0.0);
        let mut last = f64::INFINITY;
        for _ in 0..limit {
            if l1(residual) <= target {
                break;
            }
            let now: f64 = residual.iter().zip(&*inverse_diagonal).map(|(r, inverse)| r * r * inverse).sum();
            for ((p, r), inverse) in direction.iter_mut().zip(&*residual).zip(&*inverse_diagonal) {
                *p = r * inverse + now / last * *p;
            }
            system.times(direction, product);
            let length = now / self::product(direction, product);
            if !(length > 0.0 && length < f64::INFINITY) {
                break;
            }
            for ((y, r), (p, q)) in solution.iter_mut().zip(&mut *residual).zip(direction.iter().zip(&*product)) {
                *y += length * p;
                *r -= length * q;
            }
            last = now;
        }
    }

    /// Returns `<b - c, y>` and `<y, S y>` of the solution without a shift.
    pub(super) fn slope_and_curvature<T: Real>(&mut self, model: &Model<'_, T>, b: &[f64]) -> (f64, f64) {
        let gradient = b.iter().zip(&model.kept.column_sums).map(|(b, c)| b - c);
        let slope = gradient.zip(&self.solution).map(|(gradient, y)| gradient * y).sum();
        (slope, self.curvature(&mut Model { lambda: 0.0, ..*model }))
    }

    /// Returns `<y, S y>` for a system S and the solution y.
    pub(super) fn curvature(&mut self, system: &mut impl System) -> f64 {
        system.times(&self.solution, &mut self.product);
        product(&self.solution, &self.product)
    }
}

/// The L1 norm.
fn l1(x: &[f64]) -> f64 {
    x.iter().map(|x| x.abs()).sum()
}

/// The product of two vectors.
fn product(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}
