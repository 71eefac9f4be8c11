//! The entries of a plan as compressed sparse rows.

use crate::boundary::{value_or, Outcome};
use crate::memory::Memory;
use crate::transport::{mantex_transport, solution};
use mantex::transport::CsrPlan;
use std::ptr::null;

/// The entries of a plan as compressed sparse rows (CSR). The entries of row i have the
/// indices from mantex_csr_plan_row_pointers()[i] to mantex_csr_plan_row_pointers()[i + 1] in the
/// columns and the masses. Free it with mantex_csr_plan_free(). Any number of threads may read it
/// at once.
pub enum mantex_csr_plan {
    /// Of a problem with float costs.
    F32(CsrPlan<f32>),
    /// Of a problem with double costs.
    F64(CsrPlan<f64>),
}

impl From<CsrPlan<f32>> for mantex_csr_plan {
    fn from(plan: CsrPlan<f32>) -> Self {
        Self::F32(plan)
    }
}

impl From<CsrPlan<f64>> for mantex_csr_plan {
    fn from(plan: CsrPlan<f64>) -> Self {
        Self::F64(plan)
    }
}

twins! {
    /// Computes the entries of a plan above a threshold, in the units of the masses, as compressed
    /// sparse rows: all that are not 0 if the threshold is 0. cost must be the matrix that was
    /// solved. On success *plan is a new handle.
    ///
    /// Fails with MANTEX_ERROR_SHAPE if rows or cols differ from those of the problem, and with
    /// MANTEX_ERROR_PARAMETER if the threshold is negative or NaN or there are more than 2^32
    /// columns.
    fn mantex_transport_plan_csr_f32 / mantex_transport_plan_csr_f64(
        transport: *const mantex_transport, rows: usize, cols: usize, cost: *const T, cost_stride: usize,
        threshold: T, plan: *mut *mut mantex_csr_plan,
    ) |memory| {
        let transport = solution::<T>(&mut memory, transport)?;
        let cost = memory.matrix("cost", cost, (rows, cols), cost_stride)?;
        let plan = memory.result("plan", plan)?;
        *plan = Box::into_raw(Box::new(transport.plan_csr(cost, threshold)?.into()));
        Ok(())
    }
}

/// Returns what `get` makes of the plan behind a handle, or `otherwise` for NULL.
///
/// # Safety
/// The caller makes the promises of the header's introduction.
unsafe fn of_plan<R>(plan: *const mantex_csr_plan, otherwise: R, get: impl FnOnce(&mantex_csr_plan) -> R) -> R {
    value_or(otherwise, || -> Outcome<R> {
        // SAFETY: The caller makes the promises of the header's introduction.
        let mut memory = unsafe { Memory::of_caller() };
        Ok(get(memory.handle("plan", plan)?))
    })
}

/// Frees a plan. NULL is allowed.
#[no_mangle]
pub unsafe extern "C" fn mantex_csr_plan_free(plan: *mut mantex_csr_plan) {
    value_or((), || {
        if !plan.is_null() {
            // SAFETY: The caller promises that the handle is from this library, where a Box became
            // the pointer, and that it is not freed yet.
            drop(unsafe { Box::from_raw(plan) });
        }
        Ok(())
    })
}

/// Returns the number of rows; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_csr_plan_rows(plan: *const mantex_csr_plan) -> usize {
    // SAFETY: The caller makes the promises of the header's introduction.
    unsafe {
        of_plan(plan, 0, |plan| match plan {
            mantex_csr_plan::F32(plan) => plan.rows,
            mantex_csr_plan::F64(plan) => plan.rows,
        })
    }
}

/// Returns the number of columns; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_csr_plan_cols(plan: *const mantex_csr_plan) -> usize {
    // SAFETY: The caller makes the promises of the header's introduction.
    unsafe {
        of_plan(plan, 0, |plan| match plan {
            mantex_csr_plan::F32(plan) => plan.cols,
            mantex_csr_plan::F64(plan) => plan.cols,
        })
    }
}

/// Returns the number of entries; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_csr_plan_len(plan: *const mantex_csr_plan) -> usize {
    // SAFETY: The caller makes the promises of the header's introduction.
    unsafe {
        of_plan(plan, 0, |plan| match plan {
            mantex_csr_plan::F32(plan) => plan.columns.len(),
            mantex_csr_plan::F64(plan) => plan.columns.len(),
        })
    }
}

/// Returns the bounds of the rows: one more than there are rows, from 0 to the number of entries.
/// The array belongs to the handle and lives as long. NULL for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_csr_plan_row_pointers(plan: *const mantex_csr_plan) -> *const usize {
    // SAFETY: The caller makes the promises of the header's introduction.
    unsafe {
        of_plan(plan, null(), |plan| match plan {
            mantex_csr_plan::F32(plan) => plan.row_pointers.as_ptr(),
            mantex_csr_plan::F64(plan) => plan.row_pointers.as_ptr(),
        })
    }
}

/// Returns the columns of the entries, increasing within each row. The array belongs to the handle
/// and lives as long. NULL for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_csr_plan_columns(plan: *const mantex_csr_plan) -> *const u32 {
    // SAFETY: The caller makes the promises of the header's introduction.
    unsafe {
        of_plan(plan, null(), |plan| match plan {
            mantex_csr_plan::F32(plan) => plan.columns.as_ptr(),
            mantex_csr_plan::F64(plan) => plan.columns.as_ptr(),
        })
    }
}

/// Returns the entries of a plan of float: the masses that move from the row to the column. The
/// array belongs to the handle and lives as long. NULL for NULL and for a plan of double.
#[no_mangle]
pub unsafe extern "C" fn mantex_csr_plan_masses_f32(plan: *const mantex_csr_plan) -> *const f32 {
    // SAFETY: The caller makes the promises of the header's introduction.
    unsafe {
        of_plan(plan, null(), |plan| match plan {
            mantex_csr_plan::F32(plan) => plan.masses.as_ptr(),
            mantex_csr_plan::F64(_) => null(),
        })
    }
}

/// The same as mantex_csr_plan_masses_f32(), for double.
#[no_mangle]
pub unsafe extern "C" fn mantex_csr_plan_masses_f64(plan: *const mantex_csr_plan) -> *const f64 {
    // SAFETY: The caller makes the promises of the header's introduction.
    unsafe {
        of_plan(plan, null(), |plan| match plan {
            mantex_csr_plan::F32(_) => null(),
            mantex_csr_plan::F64(plan) => plan.masses.as_ptr(),
        })
    }
}
