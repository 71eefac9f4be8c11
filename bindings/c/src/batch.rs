//! Many transport problems on one cost matrix.

use crate::boundary::mantex_status::*;
use crate::boundary::{failure, value_or, Outcome};
use crate::memory::Memory;
use crate::transport::{mantex_sinkhorn_options, mantex_solve_status, solver, status_value};
use mantex::transport::TransportBatch;
use mantex::Real;
use std::ffi::c_int;

/// The solutions of many problems on one cost matrix. Free it with mantex_transport_batch_free().
/// Any number of threads may read it at once.
pub enum mantex_transport_batch {
    /// Of problems with float costs.
    F32(TransportBatch<f32>),
    /// Of problems with double costs.
    F64(TransportBatch<f64>),
}

/// The element types, as handles know them.
trait Element: Real {
    /// Returns the handle of a batch.
    fn handle(batch: TransportBatch<Self>) -> mantex_transport_batch;
    /// Returns the batch of a handle, if it is of this type.
    fn batch(handle: &mantex_transport_batch) -> Option<&TransportBatch<Self>>;
}

impl Element for f32 {
    fn handle(batch: TransportBatch<Self>) -> mantex_transport_batch {
        mantex_transport_batch::F32(batch)
    }

    fn batch(handle: &mantex_transport_batch) -> Option<&TransportBatch<Self>> {
        if let mantex_transport_batch::F32(batch) = handle {
            Some(batch)
        } else {
            None
        }
    }
}

impl Element for f64 {
    fn handle(batch: TransportBatch<Self>) -> mantex_transport_batch {
        mantex_transport_batch::F64(batch)
    }

    fn batch(handle: &mantex_transport_batch) -> Option<&TransportBatch<Self>> {
        if let mantex_transport_batch::F64(batch) = handle {
            Some(batch)
        } else {
            None
        }
    }
}

/// Fails unless the batch has the problem.
fn check_problem<T: Real>(batch: &TransportBatch<T>, problem: usize) -> Outcome {
    let problems = batch.len();
    if problem < problems {
        return Ok(());
    }
    let message = format!("`problem` is {problem}; it must be below {problems}, the number of problems");
    failure(MANTEX_ERROR_PARAMETER, message)
}

twins! {
    /// Solves many problems on one cost matrix (rows x cols). a is a_rows x rows and b is b_rows x
    /// cols: one row of masses per problem, or one row that all problems share. The problems are
    /// iterated together, without over-relaxation, epsilon scaling, warm start and callback. Those
    /// that need more accuracy, or are slow, are then solved as by mantex_sinkhorn_solve_f32() with
    /// these options, but for warm start and callback. A problem is slow if it has not converged
    /// after 500 iterations, unless over_relaxation is MANTEX_CHOICE_OFF or tolerance is 0.
    ///
    /// On success *batch is a new handle. The errors are those of mantex_sinkhorn_solve_f32().
    fn mantex_sinkhorn_solve_batch_f32 / mantex_sinkhorn_solve_batch_f64(
        rows: usize, cols: usize, cost: *const T, cost_stride: usize,
        a_rows: usize, a: *const T, a_stride: usize, b_rows: usize, b: *const T, b_stride: usize,
        options: *const mantex_sinkhorn_options, batch: *mut *mut mantex_transport_batch,
    ) |memory| {
        let options = memory.required_options(options)?;
        let cost = memory.matrix("cost", cost, (rows, cols), cost_stride)?;
        let a = memory.matrix("a", a, (a_rows, rows), a_stride)?;
        let b = memory.matrix("b", b, (b_rows, cols), b_stride)?;
        let batch = memory.result("batch", batch)?;
        let solutions = solver(&mut memory, &options, None)?.solve_batch::<T>(cost, a, b)?;
        *batch = Box::into_raw(Box::new(Element::handle(solutions)));
        Ok(())
    }

    /// Gives the potentials of a problem: *f points to one number per row, *g to one per column, as
    /// long as the handle lives.
    ///
    /// Fails with MANTEX_ERROR_PARAMETER if the batch has no such problem.
    fn mantex_transport_batch_potentials_f32 / mantex_transport_batch_potentials_f64(
        batch: *const mantex_transport_batch, problem: usize, f: *mut *const T, g: *mut *const T,
    ) |memory| {
        let Some(batch) = <T as Element>::batch(memory.handle("batch", batch)?) else {
            let message = "`batch` has the other element type; it must have that of the function";
            return failure(MANTEX_ERROR_TYPE, message);
        };
        check_problem(batch, problem)?;
        let (f, g) = (memory.result("f", f)?, memory.result("g", g)?);
        (*f, *g) = (batch.f(problem).as_ptr(), batch.g(problem).as_ptr());
        Ok(())
    }
}

/// Returns a value of one problem of the batch behind a handle.
macro_rules! get {
    ($handle:ident, $problem:ident, $otherwise:expr, $batch:ident => $value:expr) => {
        value_or($otherwise, || {
            // SAFETY: The caller makes the promises of the header's introduction.
            let mut memory = unsafe { Memory::of_caller() };
            Ok(match memory.handle("batch", $handle)? {
                mantex_transport_batch::F32($batch) => {
                    check_problem($batch, $problem)?;
                    $value
                }
                mantex_transport_batch::F64($batch) => {
                    check_problem($batch, $problem)?;
                    $value
                }
            })
        })
    };
}

/// Frees a batch. NULL is allowed.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_batch_free(batch: *mut mantex_transport_batch) {
    value_or((), || {
        if !batch.is_null() {
            // SAFETY: The caller promises that the handle is from this library, where a Box became
            // the pointer, and that it is not freed yet.
            drop(unsafe { Box::from_raw(batch) });
        }
        Ok(())
    })
}

/// Returns the number of problems; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_batch_len(batch: *const mantex_transport_batch) -> usize {
    value_or(0, || {
        // SAFETY: The caller makes the promises of the header's introduction.
        let mut memory = unsafe { Memory::of_caller() };
        Ok(match memory.handle("batch", batch)? {
            mantex_transport_batch::F32(batch) => batch.len(),
            mantex_transport_batch::F64(batch) => batch.len(),
        })
    })
}

/// Returns why the solve of a problem ended.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_batch_status(
    batch: *const mantex_transport_batch,
    problem: usize,
) -> mantex_solve_status {
    get!(batch, problem, mantex_solve_status::MANTEX_SOLVE_NONE, b => status_value(b.status(problem)))
}

/// Returns 1 if the solve of a problem has converged, and 0 otherwise.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_batch_converged(
    batch: *const mantex_transport_batch,
    problem: usize,
) -> c_int {
    get!(batch, problem, 0, b => c_int::from(b.converged(problem)))
}

/// Returns the number of iterations of a problem; 0 if there is no such problem.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_batch_iterations(
    batch: *const mantex_transport_batch,
    problem: usize,
) -> usize {
    get!(batch, problem, 0, b => b.iterations(problem))
}

/// Returns the L1 error of the marginals of a problem relative to its total mass; NaN if there is
/// no such problem.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_batch_marginal_error(
    batch: *const mantex_transport_batch,
    problem: usize,
) -> f64 {
    get!(batch, problem, f64::NAN, b => b.marginal_error(problem))
}

/// Returns the dual value of a problem, sum_i f_i a_i + sum_j g_j b_j; NaN if there is no such
/// problem.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_batch_value(batch: *const mantex_transport_batch, problem: usize) -> f64 {
    get!(batch, problem, f64::NAN, b => b.value(problem))
}
