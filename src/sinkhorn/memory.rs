//! What the kernel's workspace borrows.

use crate::Real;
use crate::kernels::sinkhorn::{Absorbed, Workspace, absorbed_len, exps_len, padded};

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

/// The owner of an [`Absorbed`].
pub(super) struct Matrix<T> {
    elements: Vec<T>,
    /// The first element at the start of a line of the cache.
    start: usize,
    rows: Vec<f64>,
    columns: Vec<f64>,
}

impl<T: Real> Matrix<T> {
    /// For `rows` rows with mass and `cols` columns; None where that would be more than `limit` bytes, or than there are.
    pub(super) fn new(rows: usize, cols: usize, limit: usize) -> Option<Self> {
        const LINE: usize = 64;
        let len = absorbed_len(rows, cols)?.checked_add(LINE / size_of::<T>())?;
        if len.checked_mul(size_of::<T>())? > limit {
            return None;
        }
        let mut elements = Vec::new();
        elements.try_reserve_exact(len).ok()?;
        elements.resize(len, T::ZERO);
        let start = elements.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        Some(Self { elements, start, rows: vec![1.0; rows], columns: vec![1.0; cols] })
    }

    pub(super) fn absorbed(&mut self) -> Absorbed<'_, T> {
        let matrix = &mut self.elements[self.start..];
        Absorbed { matrix, rows: &mut self.rows, columns: &mut self.columns }
    }
}
