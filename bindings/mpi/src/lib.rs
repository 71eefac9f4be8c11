//! mantex on many machines: [`MpiReduce`] is the reduction over MPI that
//! [`mantex::KMedoids::fit_distributed`] and [`mantex::Sinkhorn::solve_distributed`] take.
//!
//! README.md has the rest: how to install MPI, an example, what is sent, and what it costs.

use mantex::{Error, Reduce};
use mpi::collective::SystemOperation;
use mpi::traits::{Communicator, CommunicatorCollectives};
use std::io::Write;
use std::time::Duration;

/// The largest number of numbers in one call of MPI, whose counts are 32-bit: 8 MiB.
const CHUNK: usize = 1 << 20;

/// The ranks of a communicator.
///
/// MPI itself ends the run with a message if a rank cannot be reached: its default error handler
/// does, and so does `mpirun` if a process dies. If a rank panics while it owns an `MpiReduce`, all
/// ranks are ended: they would otherwise wait for it.
///
/// MPI promises that a reduction gives all ranks the same bits on machines of one kind; their
/// order of summation, and so the last bits of the result, may depend on the number of ranks.
#[derive(Debug)]
pub struct MpiReduce<C: Communicator> {
    communicator: C,
    traffic: Traffic,
    sent: Vec<f64>,
}

/// What a rank has brought to reductions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// The number of reductions.
    pub reductions: u64,
    /// The bytes of the numbers that were reduced. The network moves up to twice as many per rank.
    pub bytes: u64,
}

impl<C: Communicator> MpiReduce<C> {
    /// Returns the reduction over all ranks of a communicator.
    pub fn new(communicator: C) -> Self {
        Self { communicator, traffic: Traffic::default(), sent: Vec::new() }
    }

    /// Returns the traffic of this rank so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn reduce(&mut self, values: &mut [f64], operation: SystemOperation) {
        self.traffic.reductions += 1;
        self.traffic.bytes += 8 * values.len() as u64;
        for chunk in values.chunks_mut(CHUNK) {
            self.sent.clear();
            self.sent.extend_from_slice(chunk);
            self.communicator.all_reduce_into(&self.sent[..], chunk, operation);
        }
    }
}

impl<C: Communicator> Reduce for MpiReduce<C> {
    fn rank(&self) -> usize {
        self.communicator.rank() as usize
    }

    fn ranks(&self) -> usize {
        self.communicator.size() as usize
    }

    fn sum(&mut self, values: &mut [f64]) -> Result<(), Error> {
        self.reduce(values, SystemOperation::sum());
        Ok(())
    }

    fn max(&mut self, values: &mut [f64]) -> Result<(), Error> {
        self.reduce(values, SystemOperation::max());
        Ok(())
    }
}

impl<C: Communicator> Drop for MpiReduce<C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // One write: what several ranks write in pieces is mixed.
            let message = format!("rank {} has panicked; the run ends\n", self.rank());
            let _ = std::io::stderr().write_all(message.as_bytes());
            // When a run is aborted, mpirun drops the output that it has not read yet.
            std::thread::sleep(Duration::from_millis(200));
            self.communicator.abort(1);
        }
    }
}

/// The README's example is a test, on the only rank that it has without `mpirun`.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
