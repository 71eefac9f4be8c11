//! Optimal transport with sparse plans: the options, and the solution of a problem.

use crate::boundary::mantex_status::*;
use crate::boundary::{failure, mantex_status, value_or, Outcome};
use crate::csr::mantex_csr_plan;
use crate::isa::{chosen_isa, mantex_isa};
use crate::memory::{Memory, Options};
use crate::transport::{mantex_solve_status, status_value};
use mantex::transport::{SparseProgress, SparseSolution, SparseTransport};
use mantex::{MatRef, Real};
use std::ffi::{c_int, c_void};
use std::mem::{size_of, MaybeUninit};
use std::ops::ControlFlow;
use std::ptr::null;

/// The progress of a solve. Later versions may add fields at the end.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mantex_sparse_transport_progress {
    /// The number of iterations done.
    pub iteration: usize,
    /// The L1 error of the marginals at the potentials that were tried, relative to the total mass.
    pub error: f64,
    /// The current gamma: larger ones come first.
    pub gamma: f64,
}

/// Called after every iteration; any value but 0 stops the solve. The callback must return: it must
/// not throw a C++ exception or call longjmp.
pub type mantex_sparse_transport_callback =
    Option<unsafe extern "C" fn(progress: *const mantex_sparse_transport_progress, user_data: *mut c_void) -> c_int>;

/// The settings of a solver whose plans are sparse. Initialize it with
/// mantex_sparse_transport_options_init(), then set what you need.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mantex_sparse_transport_options {
    /// Set by the init function.
    pub size: usize,
    /// The regularization, in the units of a cost divided by a mass: from 1e-200 to 1e200, also
    /// times the total mass. The init function sets it.
    pub gamma: f64,
    /// The L1 error of the marginals, relative to the total mass, at which the solver stops. With
    /// 0, it goes on until rounding errors prevent progress. Initially -1: 1e-6 for double, 1e-4
    /// for float.
    pub tolerance: f64,
    /// The largest number of entries of a row of the plan: at least 1. Limits that matter often
    /// keep the solve from converging. Initially SIZE_MAX: no limit.
    pub max_entries_per_row: usize,
    /// The largest number of iterations, each of which reads the costs once. Initially 1000.
    pub max_iterations: usize,
    /// Called after every iteration. Initially NULL: nothing is called.
    pub on_iteration: mantex_sparse_transport_callback,
    /// Passed to on_iteration. Initially NULL.
    pub user_data: *mut c_void,
    /// The instruction set. Initially MANTEX_ISA_BEST.
    pub isa: MaybeUninit<mantex_isa>,
    /// 0 or 1. With 1, several threads share the rows of the costs. See Threads above. Initially 0.
    pub parallel: c_int,
    /// For later versions: 0, as set by the init function.
    pub reserved: [u64; 8],
}

impl Options for mantex_sparse_transport_options {
    const INIT: &'static str = "mantex_sparse_transport_options_init";

    fn reserved_are_zero(&self) -> bool {
        self.reserved.iter().all(|&word| word == 0)
    }
}

/// Sets the initial values of the options, and gamma.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_transport_options_init(
    options: *mut mantex_sparse_transport_options,
    gamma: f64,
) -> mantex_status {
    crate::boundary::status_of(|| {
        // SAFETY: The caller makes the promises of the header's introduction.
        let mut memory = unsafe { Memory::of_caller() };
        *memory.result("options", options)? = mantex_sparse_transport_options {
            size: size_of::<mantex_sparse_transport_options>(),
            gamma,
            tolerance: -1.0,
            max_entries_per_row: usize::MAX,
            max_iterations: 1000,
            on_iteration: None,
            user_data: std::ptr::null_mut(),
            isa: MaybeUninit::new(mantex_isa::MANTEX_ISA_BEST),
            parallel: 0,
            reserved: [0; 8],
        };
        Ok(())
    })
}

/// Returns the solver that the options stand for.
fn solver(options: &mantex_sparse_transport_options) -> Outcome<SparseTransport> {
    let mut solver = SparseTransport::new(options.gamma)
        .max_entries_per_row(options.max_entries_per_row)
        .max_iterations(options.max_iterations)
        .isa(chosen_isa(options.isa)?);
    #[cfg(feature = "rayon")]
    {
        solver = solver.parallel(options.parallel != 0);
    }
    if options.tolerance != -1.0 {
        solver = solver.tolerance(options.tolerance);
    }
    Ok(solver)
}

/// The solution of a problem with a sparse plan: the plan, the potentials f and g, and the numbers
/// that describe them. Free it with mantex_sparse_solution_free(). Any number of threads may read
/// it at once.
pub enum mantex_sparse_solution {
    /// Of a problem with float costs.
    F32(SparseSolution<f32>),
    /// Of a problem with double costs.
    F64(SparseSolution<f64>),
}

/// The element types, as handles know them.
trait Element: Real {
    /// Returns the handle of a solution.
    fn handle(solution: SparseSolution<Self>) -> mantex_sparse_solution;
    /// Returns the solution of a handle, if it is of this type.
    fn solution(handle: &mantex_sparse_solution) -> Option<&SparseSolution<Self>>;
}

impl Element for f32 {
    fn handle(solution: SparseSolution<Self>) -> mantex_sparse_solution {
        mantex_sparse_solution::F32(solution)
    }

    fn solution(handle: &mantex_sparse_solution) -> Option<&SparseSolution<Self>> {
        if let mantex_sparse_solution::F32(solution) = handle {
            Some(solution)
        } else {
            None
        }
    }
}

impl Element for f64 {
    fn handle(solution: SparseSolution<Self>) -> mantex_sparse_solution {
        mantex_sparse_solution::F64(solution)
    }

    fn solution(handle: &mantex_sparse_solution) -> Option<&SparseSolution<Self>> {
        if let mantex_sparse_solution::F64(solution) = handle {
            Some(solution)
        } else {
            None
        }
    }
}

/// Returns the solution behind a handle.
fn of_handle<'a, T: Element>(
    memory: &mut Memory,
    handle: *const mantex_sparse_solution,
) -> Outcome<&'a SparseSolution<T>> {
    match T::solution(memory.handle("solution", handle)?) {
        Some(solution) => Ok(solution),
        None => failure(MANTEX_ERROR_TYPE, "`solution` has the other element type; it must have that of the function"),
    }
}

/// Solves a problem, with the callback of the options if there is one.
fn solve<T: Real>(
    options: &mantex_sparse_transport_options,
    cost: MatRef<'_, T>,
    (a, b): (&[T], &[T]),
) -> Outcome<SparseSolution<T>> {
    let solver = solver(options)?;
    let Some(callback) = options.on_iteration else { return Ok(solver.solve(cost, a, b)?) };
    let solution = solver.solve_with_progress(cost, a, b, |&SparseProgress { iteration, error, gamma, .. }| {
        let progress = mantex_sparse_transport_progress { iteration, error, gamma };
        // SAFETY: The caller promises that the callback is a function of this type, which returns.
        let answer = unsafe { callback(&progress, options.user_data) };
        if answer == 0 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    Ok(solution?)
}

twins! {
    /// Solves an optimal transport problem with quadratic regularization, whose plans are sparse:
    /// finds the plan P that minimizes sum_ij C_ij P_ij + gamma / 2 * sum_ij P_ij^2 with row sums a
    /// and column sums b, and with at most max_entries_per_row entries per row. It is
    /// P_ij = max(0, f_i + g_j - C_ij) / gamma, in a limited row for the best entries.
    ///
    /// cost is rows x cols, finite or +inf, which forbids a pair; a has one mass per row, b one per
    /// column, and their totals agree. On success *solution is a new handle. Not reaching the
    /// tolerance is no error: mantex_sparse_solution_status() says why the solve ended.
    ///
    /// Fails with MANTEX_ERROR_PARAMETER if gamma or another option is out of range or there are
    /// more than 2^32 columns, MANTEX_ERROR_SHAPE if the costs are empty, MANTEX_ERROR_ELEMENT if a
    /// cost is NaN, -inf, or finite with a magnitude above 1e30 (double: 1e300), or a mass is
    /// negative or not finite, MANTEX_ERROR_SUM if masses sum to 0, overflow, or differ in total by
    /// more than 1e-6 (float: 1e-4) of the larger total, and MANTEX_ERROR_INFEASIBLE if a row or
    /// column has mass, but all its partners are forbidden or have none.
    fn mantex_sparse_transport_solve_f32 / mantex_sparse_transport_solve_f64(
        rows: usize, cols: usize, cost: *const T, cost_stride: usize, a: *const T, b: *const T,
        options: *const mantex_sparse_transport_options, solution: *mut *mut mantex_sparse_solution,
    ) |memory| {
        let options = memory.required_options(options)?;
        let cost = memory.matrix("cost", cost, (rows, cols), cost_stride)?;
        let (a, b) = (memory.input("a", a, rows)?, memory.input("b", b, cols)?);
        let solution = memory.result("solution", solution)?;
        *solution = Box::into_raw(Box::new(Element::handle(solve::<T>(&options, cost, (a, b))?)));
        Ok(())
    }

    /// Writes the plan of a solution, rows x cols, in the units of the masses.
    ///
    /// Fails with MANTEX_ERROR_SHAPE if rows or cols differ from those of the problem.
    fn mantex_sparse_solution_plan_f32 / mantex_sparse_solution_plan_f64(
        solution: *const mantex_sparse_solution, rows: usize, cols: usize, out: *mut T, out_stride: usize,
    ) |memory| {
        let solution = of_handle::<T>(&mut memory, solution)?;
        Ok(solution.plan_into(memory.matrix_mut("out", out, (rows, cols), out_stride)?)?)
    }

    /// Copies the plan of a solution, in the units of the masses, as compressed sparse rows. On
    /// success *plan is a new handle, which may outlive the solution.
    fn mantex_sparse_solution_plan_csr_f32 / mantex_sparse_solution_plan_csr_f64(
        solution: *const mantex_sparse_solution, plan: *mut *mut mantex_csr_plan,
    ) |memory| {
        let solution = of_handle::<T>(&mut memory, solution)?;
        let plan = memory.result("plan", plan)?;
        *plan = Box::into_raw(Box::new(solution.plan().clone().into()));
        Ok(())
    }
}

/// Returns a value of the solution behind a handle.
macro_rules! get {
    ($handle:ident, $otherwise:expr, $solution:ident => $value:expr) => {
        value_or($otherwise, || {
            // SAFETY: The caller makes the promises of the header's introduction.
            let mut memory = unsafe { Memory::of_caller() };
            Ok(match memory.handle("solution", $handle)? {
                mantex_sparse_solution::F32($solution) => $value,
                mantex_sparse_solution::F64($solution) => $value,
            })
        })
    };
}

/// Frees a solution. NULL is allowed.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_free(solution: *mut mantex_sparse_solution) {
    value_or((), || {
        if !solution.is_null() {
            // SAFETY: The caller promises that the handle is from this library, where a Box became
            // the pointer, and that it is not freed yet.
            drop(unsafe { Box::from_raw(solution) });
        }
        Ok(())
    })
}

/// Returns why the solve ended.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_status(solution: *const mantex_sparse_solution) -> mantex_solve_status {
    get!(solution, mantex_solve_status::MANTEX_SOLVE_NONE, s => status_value(s.status()))
}

/// Returns 1 if the solve has converged, and 0 otherwise.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_converged(solution: *const mantex_sparse_solution) -> c_int {
    get!(solution, 0, s => c_int::from(s.converged()))
}

/// Returns the number of iterations done; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_iterations(solution: *const mantex_sparse_solution) -> usize {
    get!(solution, 0, s => s.iterations())
}

/// Returns the L1 error of the marginals relative to the total mass; NaN for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_marginal_error(solution: *const mantex_sparse_solution) -> f64 {
    get!(solution, f64::NAN, s => s.marginal_error())
}

/// Returns the transport cost, sum_ij C_ij P_ij; NaN for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_cost(solution: *const mantex_sparse_solution) -> f64 {
    get!(solution, f64::NAN, s => s.cost())
}

/// Returns the value that the plan minimizes, sum_ij C_ij P_ij + gamma / 2 * sum_ij P_ij^2; NaN for
/// NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_value(solution: *const mantex_sparse_solution) -> f64 {
    get!(solution, f64::NAN, s => s.value())
}

/// Returns the dual value: up to rounding errors, a lower bound of the value of every plan with
/// these marginals and at most max_entries_per_row entries per row. NaN for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_dual_value(solution: *const mantex_sparse_solution) -> f64 {
    get!(solution, f64::NAN, s => s.dual_value())
}

/// Returns the number of rows; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_rows(solution: *const mantex_sparse_solution) -> usize {
    get!(solution, 0, s => s.f().len())
}

/// Returns the number of columns; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_cols(solution: *const mantex_sparse_solution) -> usize {
    get!(solution, 0, s => s.g().len())
}

/// Returns the row potentials, in the units of the cost, -inf in rows without mass. The array has
/// one element per row, belongs to the handle, and lives as long. NULL for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_f(solution: *const mantex_sparse_solution) -> *const f64 {
    get!(solution, null(), s => s.f().as_ptr())
}

/// Returns the column potentials, as mantex_sparse_solution_f() those of the rows.
#[no_mangle]
pub unsafe extern "C" fn mantex_sparse_solution_g(solution: *const mantex_sparse_solution) -> *const f64 {
    get!(solution, null(), s => s.g().as_ptr())
}
