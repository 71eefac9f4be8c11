//! The memory that a solver lends to its kernels.

use crate::aligned::AlignedVec;
use crate::kernels::transport::sinkhorn_scaling::{ScaledGibbs, scaled_gibbs_len};
use crate::kernels::transport::{Band, Workspace, gibbs_block_len, padded};
use crate::{MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;

#[cfg(feature = "rayon")]
pub(super) use super::threads::Tasks;

/// Without threads there are no tasks.
#[cfg(not(feature = "rayon"))]
pub(super) type Tasks<T> = core::marker::PhantomData<T>;

/// The owner of a [`Workspace`], with a buffer for each of its fields.
pub(super) struct Memory<T> {
    column_scratch: AlignedVec<T>,
    g_low: AlignedVec<T>,
    g_factors: AlignedVec<T>,
    gibbs: AlignedVec<T>,
    partial_sums: AlignedVec<T>,
    column_sums: Vec<f64>,
    shifts: Vec<f64>,
    row_scratch: Vec<f64>,
    unstable: Vec<usize>,
    wide_column_scratch: Vec<f64>,
    /// What threads write, once there are several.
    tasks: Tasks<T>,
}

/// Allocates `len` zeros.
pub(super) fn zeros<T: Real>(len: usize) -> AlignedVec<T> {
    AlignedVec::try_zeros(len).expect("memory for rows")
}

impl<T: Real> Memory<T> {
    /// Allocates memory for problems with this cost matrix, of which `rows` rows have mass.
    pub(super) fn new(rows: usize, cost: MatRef<'_, T>) -> Self {
        let cols = cost.cols();
        let row = || zeros(padded(cols));
        let gibbs = AlignedVec::try_zeros_away_from(cost.row(0), gibbs_block_len(cols));
        Self {
            column_scratch: row(),
            g_low: row(),
            g_factors: row(),
            gibbs: gibbs.expect("memory for a few rows"),
            partial_sums: row(),
            column_sums: vec![0.0; cols],
            shifts: vec![0.0; rows],
            row_scratch: vec![0.0; rows],
            unstable: vec![0; cols],
            wide_column_scratch: vec![0.0; cols],
            tasks: Tasks::default(),
        }
    }

    /// Lends the memory to a kernel.
    pub(super) fn workspace(&mut self) -> Workspace<'_, T> {
        self.workspace_and_tasks().0
    }

    /// Lends the memory to kernels, and to the threads that call them.
    pub(super) fn workspace_and_tasks(&mut self) -> (Workspace<'_, T>, &mut Tasks<T>) {
        let workspace = Workspace {
            column_scratch: &mut self.column_scratch,
            g_low: &mut self.g_low,
            g_factors: &mut self.g_factors,
            band: Band {
                gibbs: &mut self.gibbs,
                partial_sums: &mut self.partial_sums,
                column_sums: &mut self.column_sums,
                shifts: &mut self.shifts,
                row_scratch: &mut self.row_scratch,
            },
            unstable: &mut self.unstable,
            wide_column_scratch: &mut self.wide_column_scratch,
        };
        (workspace, &mut self.tasks)
    }
}

/// The owner of a [`ScaledGibbs`], with a buffer for each of its fields.
pub(super) struct GibbsMemory<T> {
    gibbs: AlignedVec<T>,
    row_scalings: Vec<f64>,
    column_scalings: Vec<f64>,
}

impl<T: Real> GibbsMemory<T> {
    /// Allocates memory for `rows` rows with mass and `cols` columns. Returns `None` if the matrix
    /// exceeds `limit_bytes` or the available memory.
    pub(super) fn new(rows: usize, cols: usize, limit_bytes: usize) -> Option<Self> {
        let len = scaled_gibbs_len(rows, cols)?;
        if len.checked_mul(size_of::<T>())? > limit_bytes {
            return None;
        }
        let gibbs = AlignedVec::try_zeros(len)?;
        Some(Self { gibbs, row_scalings: vec![1.0; rows], column_scalings: vec![1.0; cols] })
    }

    /// Lends the memory to a kernel.
    pub(super) fn scaled_gibbs(&mut self) -> ScaledGibbs<'_, T> {
        ScaledGibbs {
            gibbs: &mut self.gibbs,
            row_scalings: &mut self.row_scalings,
            column_scalings: &mut self.column_scalings,
        }
    }
}
