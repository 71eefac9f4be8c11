//! Reductions over processes, for problems that several machines share.

use crate::Error;
use core::hash::Hasher;

/// Sums and maxima over ranks: the processes that solve one problem together.
///
/// All ranks call the same method at the same time with slices of the same length. Afterwards the
/// slices of all ranks hold the same numbers, **bit for bit**: the ranks decide by them, and ranks
/// that decide differently wait for each other forever. With a fixed order of summation, such as
/// that of the ranks, results are the same in every run.
///
/// An implementation over MPI, two calls of `MPI_Allreduce`, is in `bindings/mpi` of the
/// repository. [`OneProcess`] is that of a single process.
///
/// `Sinkhorn::solve_distributed`, `SparseTransport::solve_distributed` and
/// `KMedoids::fit_distributed` take a reduction.
pub trait Reduce {
    /// Returns the index of this rank, below [`ranks`](Self::ranks).
    fn rank(&self) -> usize;

    /// Returns the number of ranks, at least 1.
    fn ranks(&self) -> usize;

    /// Replaces each number by the sum of the numbers that the ranks have in its place. The sum of
    /// a number and zeros is that number, to the bit: sums are made in `f64`.
    ///
    /// # Errors
    /// An error, for example [`Error::Communication`], if the ranks cannot be reached. The solve
    /// ends with it.
    fn sum(&mut self, values: &mut [f64]) -> Result<(), Error>;

    /// Replaces each number by the largest of the numbers that the ranks have in its place. No
    /// number is NaN; some are -inf.
    ///
    /// # Errors
    /// As [`sum`](Self::sum).
    fn max(&mut self, values: &mut [f64]) -> Result<(), Error>;

    /// Returns the value of `result` if no rank has an error. Otherwise returns the error of this
    /// rank, or [`Error::OtherRank`] if another one has one.
    ///
    /// What a rank does before a distributed solve may fail there alone, and the others would wait
    /// for it in the solve. All ranks call this function before they go on; it is one reduction.
    ///
    /// # Errors
    /// As above, and those of [`max`](Self::max).
    ///
    /// ```
    /// use mantex::{Error, OneProcess, Reduce};
    /// // In each process: `reduce` is that of MPI there.
    /// let mut reduce = OneProcess;
    /// let own_rows = || Err(Error::Empty { argument: "points" });
    /// let rows: Result<Vec<f64>, Error> = reduce.agree(own_rows());
    /// assert!(rows.is_err());
    /// ```
    fn agree<V>(&mut self, result: Result<V, Error>) -> Result<V, Error>
    where
        Self: Sized,
    {
        agree(self, result, [])
    }
}

/// The reduction of one process, which has nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct OneProcess;

impl Reduce for OneProcess {
    fn rank(&self) -> usize {
        0
    }

    fn ranks(&self) -> usize {
        1
    }

    fn sum(&mut self, _: &mut [f64]) -> Result<(), Error> {
        Ok(())
    }

    fn max(&mut self, _: &mut [f64]) -> Result<(), Error> {
        Ok(())
    }
}

/// Fails on all ranks if it failed on one: with the error there, and with [`Error::OtherRank`] on
/// the others. If `values`, pairs of an argument and a number, differ between ranks, fails with
/// [`Error::RanksDiffer`].
pub(crate) fn agree<V, const N: usize>(
    reduce: &mut dyn Reduce,
    result: Result<V, Error>,
    values: [(&'static str, f64); N],
) -> Result<V, Error> {
    let ranks = reduce.ranks();
    let mut failed = [if result.is_err() { (ranks - reduce.rank()) as f64 } else { 0.0 }];
    reduce.max(&mut failed)?;
    let value = result?;
    if failed[0] > 0.0 {
        return Err(Error::OtherRank { rank: ranks - failed[0] as usize });
    }
    if N == 0 {
        return Ok(value);
    }
    let (mut largest, mut negated) = (values.map(|(_, value)| value), values.map(|(_, value)| -value));
    reduce.max(&mut largest)?;
    reduce.max(&mut negated)?;
    for ((argument, _), (largest, negated)) in values.into_iter().zip(largest.into_iter().zip(negated)) {
        if largest != -negated {
            return Err(Error::RanksDiffer { argument });
        }
    }
    Ok(value)
}

/// A hash (FNV-1a) that is a number which `f64` represents, so that ranks can compare it.
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// Returns the fingerprint of nothing.
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Returns the value of a name's fingerprint.
    pub(crate) fn of_name(name: &str) -> f64 {
        let mut hash = Self::new();
        hash.write(name.as_bytes());
        hash.value()
    }

    /// Returns 52 bits of the hash.
    pub(crate) fn value(&self) -> f64 {
        (self.0 >> 12) as f64
    }
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
