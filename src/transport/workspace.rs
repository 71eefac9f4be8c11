//! What the kernel's workspace borrows.

use crate::kernels::sinkhorn::{Absorbed, Workspace, absorbed_len, exps_len, padded};
use crate::real::Element;
use crate::{MatRef, Real};

/// Bytes of a line of the cache, and of a page.
const LINE: usize = 64;
const PAGE: usize = 4096;

/// Zeros that begin at the start of a line of the cache: a vector as long as one would else touch two.
struct Lines<T> {
    elements: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Real> Lines<T> {
    /// None where there is no memory for `len` elements.
    fn new(len: usize) -> Option<Self> {
        Self::within(len, LINE, |_| 0)
    }

    /// As far as can be from the place of `x` in its page: what is loaded from where was stored just before in another page
    /// looks to the CPU like what was stored.
    fn away_from(x: &[T], len: usize) -> Option<Self> {
        let place = x.as_ptr().addr();
        Self::within(len, 2 * PAGE, |start| (place.wrapping_sub(start).wrapping_add(PAGE / 2)) % PAGE / LINE * LINE)
    }

    /// With `spare` bytes before or after; `skip` says how many of them to leave out from the address of the first line on.
    fn within(len: usize, spare: usize, skip: impl Fn(usize) -> usize) -> Option<Self> {
        let spare = spare / size_of::<T>();
        let mut elements = Vec::new();
        elements.try_reserve_exact(len.checked_add(spare)?).ok()?;
        elements.resize(len + spare, T::zero());
        let first = elements.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        let start = first + skip(elements[first..].as_ptr().addr()) / size_of::<T>();
        Some(Self { elements, start: start.min(spare), len })
    }

    fn get(&mut self) -> &mut [T] {
        &mut self.elements[self.start..][..self.len]
    }
}

/// The owner of a [`Workspace`].
pub(super) struct Memory<T> {
    high: Lines<T>,
    low: Lines<T>,
    exps: Lines<T>,
    partial: Lines<T>,
    columns: Vec<f64>,
    shifts: Vec<f64>,
    sums: Vec<f64>,
    starved: Vec<usize>,
    maxima: Vec<f64>,
}

impl<T: Real> Memory<T> {
    /// For `rows` rows with mass of the cost matrix.
    pub(super) fn new(rows: usize, cost: MatRef<'_, T>) -> Self {
        let cols = cost.cols();
        let lines = |len| Lines::new(len).expect("memory for a few rows");
        Self {
            high: lines(padded(cols)),
            low: lines(padded(cols)),
            exps: Lines::away_from(cost.row(0), exps_len(cols)).expect("memory for a few rows"),
            partial: lines(padded(cols)),
            columns: vec![0.0; cols],
            shifts: vec![0.0; rows],
            sums: vec![0.0; rows],
            starved: vec![0; cols],
            maxima: vec![0.0; cols],
        }
    }

    pub(super) fn workspace(&mut self) -> Workspace<'_, T> {
        Workspace {
            high: self.high.get(),
            low: self.low.get(),
            exps: self.exps.get(),
            partial: self.partial.get(),
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
    elements: Lines<T>,
    rows: Vec<f64>,
    columns: Vec<f64>,
}

impl<T: Real> Matrix<T> {
    /// For `rows` rows with mass and `cols` columns; None where that would be more than `limit` bytes, or than there are.
    pub(super) fn new(rows: usize, cols: usize, limit: usize) -> Option<Self> {
        let len = absorbed_len(rows, cols)?;
        if len.checked_mul(size_of::<T>())? > limit {
            return None;
        }
        Some(Self { elements: Lines::new(len)?, rows: vec![1.0; rows], columns: vec![1.0; cols] })
    }

    pub(super) fn absorbed(&mut self) -> Absorbed<'_, T> {
        Absorbed { matrix: self.elements.get(), rows: &mut self.rows, columns: &mut self.columns }
    }
}
