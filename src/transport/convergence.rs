//! The progress that iterations report, and the errors that predict the iterations to come.

#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::transport::tuning::BLOCK_STEP_DISTANCES;
use core::ops::ControlFlow;

/// The progress of a solve, passed to the callback after every iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The number of iterations done.
    pub iteration: usize,
    /// The L1 error of the marginals before the last iteration, relative to the total mass;
    /// infinite after the first iteration at each epsilon. With Newton's method, the error of the
    /// potentials that were tried.
    /// [`Transport::marginal_error`](super::Transport::marginal_error) is measured at the end.
    pub error: f64,
    /// The current epsilon; see [`EpsilonScaling`](super::EpsilonScaling).
    pub epsilon: f64,
}

/// The callback of a solve.
pub(super) type OnIteration<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

/// The smallest of several errors. An error counts as smaller if it is at least 1% below.
pub(super) struct Smallest {
    /// The smallest error.
    pub(super) error: f64,
    /// The number of errors since then.
    pub(super) age: usize,
}

impl Smallest {
    /// Returns the smallest of no errors.
    pub(super) fn new() -> Self {
        Self { error: f64::INFINITY, age: 0 }
    }

    /// Takes an error.
    pub(super) fn push(&mut self, error: f64) {
        *self = if error < 0.99 * self.error { Self { error, age: 0 } } else { Self { age: self.age + 1, ..*self } };
    }
}

/// The errors that iterations at one epsilon have reported.
pub(super) struct Errors {
    /// The last two errors.
    pub(super) last: [f64; 2],
    /// The smallest error.
    pub(super) smallest: Smallest,
    /// The error at the last look for drifting blocks.
    pub(super) at_look: f64,
    /// The number of iterations since the last look, and the number after which the next look
    /// comes.
    pub(super) looks: (usize, usize),
    /// A lower bound of the increase of the dual value since the last look, in units of epsilon.
    pub(super) gain: f64,
}

impl Errors {
    /// Returns the errors of no iteration.
    pub(super) fn new() -> Self {
        let inf = f64::INFINITY;
        Self { last: [inf; 2], smallest: Smallest::new(), at_look: inf, looks: (0, BLOCK_STEP_DISTANCES[0]), gain: 0.0 }
    }

    /// Takes the error of an iteration.
    pub(super) fn push(&mut self, error: f64) {
        self.last = [self.last[1], error];
        self.smallest.push(error);
        self.looks.0 += 1;
        if error.is_finite() {
            self.gain += 0.5 * error * error;
        }
    }

    /// Returns the number of iterations to `tolerance` if the error falls by `rate` in each.
    pub(super) fn to_come(&self, tolerance: f64, rate: f64) -> f64 {
        if rate < 1.0 { (tolerance / self.last[1]).ln() / rate.ln() } else { f64::INFINITY }
    }
}
