//! The ascent of the dual value where it has kinks: with a limit of the entries per row.
//!
//! Where scores tie for the last entries of rows, the gradient jumps, and Newton's method, which
//! knows one side of the kink, takes shorter and shorter steps. The method of limited memory BFGS
//! learns the kinks as directions of a large curvature. Sources: Nocedal 1980, "Updating
//! Quasi-Newton Matrices with Limited Storage"; Lewis & Overton 2013, "Nonsmooth Optimization via
//! Quasi-Newton Methods" (section 4, the search for a length).

use super::rows::ActiveRows;
use super::solver::{OnIteration, Solver, product};
use crate::Real;
use crate::kernels::transport::tuning::{
    SPARSE_ASCENT_LENGTHS, SPARSE_ASCENT_PAIRS, SPARSE_ASCENT_STEPS, SPARSE_LEAST_GAIN,
};
use crate::transport::Status;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// A step and the change of the gradient in it.
struct Pair {
    /// The change of the potentials.
    step: Vec<f64>,
    /// By how much the gradient has fallen.
    fall: Vec<f64>,
    /// The inverse of their product.
    inverse: f64,
}

/// Computes the product of the approximate inverse Hessian and the gradient, in place. Without
/// pairs, it is `diagonal`.
fn apply_inverse(pairs: &VecDeque<Pair>, diagonal: &[f64], direction: &mut [f64]) {
    let mut factors = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let factor = pair.inverse * product(&pair.step, direction.iter().copied());
        direction.iter_mut().zip(&pair.fall).for_each(|(d, y)| *d -= factor * y);
        factors.push(factor);
    }
    let scale = pairs.back().map_or(1.0, |pair| {
        let scaled = pair.fall.iter().zip(diagonal).map(|(y, diagonal)| y * diagonal);
        1.0 / (pair.inverse * product(&pair.fall, scaled))
    });
    direction.iter_mut().zip(diagonal).for_each(|(d, diagonal)| *d *= scale * diagonal);
    for (pair, factor) in pairs.iter().zip(factors.iter().rev()) {
        let other = pair.inverse * product(&pair.fall, direction.iter().copied());
        direction.iter_mut().zip(&pair.step).for_each(|(d, s)| *d += (factor - other) * s);
    }
}

/// The gradient of the dual value: b - c.
fn gradient<T: Real>(masses: &[f64], active: &ActiveRows<T>) -> Vec<f64> {
    masses.iter().zip(&active.column_sums).map(|(b, c)| b - c).collect()
}

impl<T: Real> Solver<'_, T> {
    /// Takes steps until the error is within `tolerance`, all iterations are done, or the dual
    /// value hardly rises.
    pub(super) fn ascend(&mut self, tolerance: f64, limit: usize, on_iteration: &mut OnIteration<'_>) -> Status {
        let b = &self.problem.masses.b[..];
        let mut pairs: VecDeque<Pair> = VecDeque::new();
        // The gain of the last steps, and their number.
        let mut recent = (0.0, 0);
        loop {
            if let Some(status) = self.end(tolerance, limit) {
                return status;
            }
            let old = gradient(b, &self.active);
            let counts = self.active.column_counts.iter().zip(b);
            let inverse = |(m, &b): (&f64, &f64)| if b > 0.0 { self.problem.gamma / m.max(1.0) } else { 0.0 };
            let diagonal: Vec<f64> = counts.map(inverse).collect();
            let mut direction = old.clone();
            apply_inverse(&pairs, &diagonal, &mut direction);
            let slope = product(&old, direction.iter().copied());
            if !(slope > 0.0 && slope < f64::INFINITY) {
                if pairs.is_empty() {
                    return Status::Stagnated;
                }
                pairs.clear();
                continue;
            }
            let (gain, flow) = self.search(&direction, slope, limit, on_iteration);
            if !(gain > 0.0 && gain < f64::INFINITY) {
                if flow.is_break() {
                    return Status::Stopped;
                }
                // The pairs may be those of kinks far away.
                if pairs.is_empty() {
                    return self.end(tolerance, limit).unwrap_or(Status::Stagnated);
                }
                pairs.clear();
                continue;
            }
            let fall: Vec<f64> = old.iter().zip(gradient(b, &self.tried)).map(|(old, new)| old - new).collect();
            let step: Vec<f64> = self.tried.g.iter().zip(&self.active.g).map(|(new, old)| new - old).collect();
            let curvature = product(&fall, step.iter().copied());
            if curvature > 0.0 {
                if pairs.len() == SPARSE_ASCENT_PAIRS {
                    pairs.pop_front();
                }
                pairs.push_back(Pair { step, fall, inverse: 1.0 / curvature });
            }
            core::mem::swap(&mut self.active, &mut self.tried);
            if flow.is_break() {
                return Status::Stopped;
            }
            recent = (recent.0 + gain, recent.1 + 1);
            if recent.1 == SPARSE_ASCENT_STEPS {
                if recent.0 <= SPARSE_LEAST_GAIN * self.dual_size() {
                    return Status::Stagnated;
                }
                recent = (0.0, 0);
            }
        }
    }

    /// Searches a length at which the dual value has risen in proportion and the slope has fallen.
    /// Returns the gain at the end of the step, in `tried`, and whether to go on.
    fn search(
        &mut self,
        direction: &[f64],
        slope: f64,
        limit: usize,
        on_iteration: &mut OnIteration<'_>,
    ) -> (f64, ControlFlow<()>) {
        let (mut shortest, mut longest, mut length) = (0.0, f64::INFINITY, 1.0);
        let mut gain = f64::NEG_INFINITY;
        for _ in 0..SPARSE_ASCENT_LENGTHS {
            if self.iterations >= limit {
                break;
            }
            if !self.set_tried(direction, length) {
                (gain, longest) = (f64::NEG_INFINITY, length);
                length = 0.5 * (shortest + longest);
                continue;
            }
            let flow = self.try_step(on_iteration);
            gain = self.gain().0;
            if flow.is_break() {
                return (gain, flow);
            }
            let new = gradient(&self.problem.masses.b, &self.tried);
            if gain < 1e-4 * length * slope || gain.is_nan() {
                longest = length;
            } else if product(&new, direction.iter().copied()) > 0.9 * slope {
                shortest = length;
            } else {
                break;
            }
            length = if longest < f64::INFINITY { 0.5 * (shortest + longest) } else { 2.0 * length };
        }
        (gain, ControlFlow::Continue(()))
    }
}
