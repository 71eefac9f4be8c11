//! What the kernel's workspace borrows.

use crate::Real;
use crate::kernels::sinkhorn::{Workspace, exps_len, padded};

/// The owner of a [`Workspace`].
pub(super) struct Memory<T> {
    high: Vec<T>,
    low: Vec<T>,
    exps: Vec<T>,
    partial: Vec<T>,
    columns: Vec<f64>,
    shifts: Vec<f64>,
    sums: Vec<f64>,
    starved: Vec<usize>,
    maxima: Vec<f64>,
}

impl<T: Real> Memory<T> {
    /// For `rows` rows with mass and `cols` columns.
    pub(super) fn new(rows: usize, cols: usize) -> Self {
        Self {
            high: vec![T::ZERO; padded(cols)],
            low: vec![T::ZERO; padded(cols)],
            exps: vec![T::ZERO; exps_len(cols)],
            partial: vec![T::ZERO; padded(cols)],
            columns: vec![0.0; cols],
            shifts: vec![0.0; rows],
            sums: vec![0.0; rows],
            starved: vec![0; cols],
            maxima: vec![0.0; cols],
        }
    }

    pub(super) fn workspace(&mut self) -> Workspace<'_, T> {
        Workspace {
            high: &mut self.high,
            low: &mut self.low,
            exps: &mut self.exps,
            partial: &mut self.partial,
            columns: &mut self.columns,
            shifts: &mut self.shifts,
            sums: &mut self.sums,
            starved: &mut self.starved,
            maxima: &mut self.maxima,
        }
    }
}
