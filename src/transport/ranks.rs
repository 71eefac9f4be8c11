//! The ranks that solve a problem together: each holds a band of rows.

use crate::kernels::transport::Exchange;
use crate::real::Element;
use crate::reduce::agree;
use crate::{Error, Real, Reduce};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// The ranks of a solve. A single process exchanges nothing.
///
/// Kernels cannot return from the middle of a pass. So a reduction that fails is kept, and nothing
/// is exchanged any more, until [`check`](Self::check) returns the error.
pub(super) struct Ranks<'a> {
    /// The reduction, if there are several ranks.
    reduce: Option<&'a mut dyn Reduce>,
    /// The numbers that are being reduced.
    message: Vec<f64>,
    /// The first error.
    failure: Option<Error>,
    /// The rows of this rank with mass, among those of all ranks.
    rows: Range<usize>,
    /// The number of rows of all ranks with mass.
    all_rows: usize,
}

impl<'a> Ranks<'a> {
    /// Returns those of a single process.
    pub(super) fn one() -> Self {
        Self { reduce: None, message: Vec::new(), failure: None, rows: 0..0, all_rows: 0 }
    }

    /// Returns those of a reduction.
    pub(super) fn new(reduce: &'a mut dyn Reduce) -> Self {
        Self { reduce: (reduce.ranks() > 1).then_some(reduce), ..Self::one() }
    }

    /// Returns whether this is a single process.
    pub(super) fn is_one(&self) -> bool {
        self.reduce.is_none()
    }

    /// Returns whether this is the first rank.
    #[cfg(feature = "sparse-transport")]
    pub(super) fn is_first(&self) -> bool {
        self.reduce.as_ref().is_none_or(|reduce| reduce.rank() == 0)
    }

    /// Makes known how many rows with mass this rank has.
    pub(super) fn set_rows(&mut self, rows: usize) {
        let (mut counts, mut first) = (vec![rows as f64], 0);
        if let Some(reduce) = &self.reduce {
            first = reduce.rank();
            counts = vec![0.0; reduce.ranks()];
            counts[first] = rows as f64;
        }
        self.reduce(&mut counts, &mut [], &mut []);
        let start = counts[..first].iter().sum::<f64>() as usize;
        (self.rows, self.all_rows) = (start..start + rows, counts.iter().sum::<f64>() as usize);
    }

    /// Returns the rows of this rank with mass, among those of all ranks, and the number of these.
    pub(super) fn rows(&self) -> (Range<usize>, usize) {
        (self.rows.clone(), self.all_rows)
    }

    /// Fails with the error of the first reduction that failed.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Fails if a result is an error on any rank, or if `values` differ between ranks.
    pub(super) fn agree<V, const N: usize>(
        &mut self,
        result: Result<V, Error>,
        values: [(&'static str, f64); N],
    ) -> Result<V, Error> {
        self.check()?;
        match &mut self.reduce {
            Some(reduce) => agree(&mut **reduce, result, values),
            None => result,
        }
    }

    /// Returns the sum of a number over all ranks.
    pub(super) fn total(&mut self, number: f64) -> f64 {
        let mut numbers = [number];
        self.reduce(&mut [], &mut numbers, &mut []);
        numbers[0]
    }

    /// Returns the largest of a number on any rank.
    pub(super) fn largest(&mut self, number: f64) -> f64 {
        let mut numbers = [number];
        self.reduce_max(&mut numbers);
        numbers[0]
    }

    /// Returns whether all ranks have true.
    pub(super) fn all(&mut self, yes: bool) -> bool {
        self.largest(f64::from(u8::from(!yes))) == 0.0
    }

    /// Replaces each number by the smallest on any rank.
    pub(super) fn min(&mut self, numbers: &mut [f64]) {
        if self.reduce.is_some() {
            numbers.iter_mut().for_each(|x| *x = -*x);
            self.reduce_max(numbers);
            numbers.iter_mut().for_each(|x| *x = -*x);
        }
    }

    /// Returns the minima of the columns over the rows of all ranks.
    pub(super) fn column_minima<T: Real>(&mut self, minima: Vec<T>) -> Vec<T> {
        if self.reduce.is_none() {
            return minima;
        }
        let mut wide: Vec<f64> = minima.iter().map(|min| min.to_f64()).collect();
        self.min(&mut wide);
        wide.into_iter().map(T::rounded).collect()
    }

    /// Replaces numbers of the rows of this rank with mass by those of all rows.
    pub(super) fn gather_rows(&mut self, numbers: &mut Vec<f64>) {
        if self.reduce.is_some() {
            let mut all = vec![0.0; self.all_rows];
            all[self.rows.clone()].copy_from_slice(numbers);
            self.reduce(&mut all, &mut [], &mut []);
            *numbers = all;
        }
    }

    /// Runs a reduction, unless one has failed.
    fn exchange(&mut self, f: impl FnOnce(&mut dyn Reduce) -> Result<(), Error>) {
        if let (Some(reduce), None) = (&mut self.reduce, &self.failure) {
            self.failure = f(&mut **reduce).err();
        }
    }
}

impl Exchange for Ranks<'_> {
    fn reduce(&mut self, column_sums: &mut [f64], sums: &mut [f64], maxima: &mut [f64]) {
        let Some(reduce) = &self.reduce else { return };
        let (rank, ranks, count) = (reduce.rank(), reduce.ranks(), maxima.len());
        let mut message = core::mem::take(&mut self.message);
        message.clear();
        message.extend_from_slice(column_sums);
        message.extend_from_slice(sums);
        // Every rank has places of its own for its maxima: the sum of a number and zeros is that
        // number.
        let first = message.len();
        message.resize(first + ranks * count, 0.0);
        for (place, &x) in message[first + rank * count..].iter_mut().zip(&*maxima) {
            *place = if x.is_nan() { f64::INFINITY } else { x };
        }
        self.exchange(|reduce| reduce.sum(&mut message));
        if self.failure.is_none() {
            let (of_columns, rest) = message.split_at(column_sums.len());
            let (of_numbers, of_ranks) = rest.split_at(sums.len());
            column_sums.copy_from_slice(of_columns);
            sums.copy_from_slice(of_numbers);
            for (i, max) in maxima.iter_mut().enumerate() {
                *max = of_ranks.iter().skip(i).step_by(count).fold(f64::NEG_INFINITY, |max, &x| max.max(x));
            }
        }
        self.message = message;
    }

    fn reduce_max(&mut self, numbers: &mut [f64]) {
        if self.reduce.is_none() {
            return;
        }
        for x in &mut *numbers {
            *x = if x.is_nan() { f64::INFINITY } else { *x };
        }
        self.exchange(|reduce| reduce.max(numbers));
    }
}
