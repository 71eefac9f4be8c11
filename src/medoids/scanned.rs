//! The candidates of the last scan.

use crate::kernels::medoids::hit_scan::Hits;
use crate::kernels::medoids::tuning::SCAN_ROWS;
#[cfg(feature = "rayon")]
use alloc::vec;
use alloc::vec::Vec;

/// The candidates that were last scanned together, with their sums; see [`CandidateSums`].
#[derive(Default)]
pub(super) struct Scanned {
    /// Their rows in the matrix.
    pub(super) candidates: [usize; SCAN_ROWS],
    pub(super) a: [f64; SCAN_ROWS],
    pub(super) t: Vec<f64>,
    pub(super) ready: usize,
    pub(super) hits: Hits,
}

impl Scanned {
    /// Returns the memory of scans with k medoids, in which no candidates are ready.
    #[cfg(feature = "rayon")]
    pub(super) fn new(k: usize) -> Self {
        Self { t: vec![0.0; SCAN_ROWS * k], hits: Hits::new(), ..Self::default() }
    }
}
