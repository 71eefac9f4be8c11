//! Entropic optimal transport: the options, and the solution of one problem.

use crate::boundary::mantex_status::*;
use crate::boundary::{chosen, failure, mantex_status, value_or, Outcome};
use crate::isa::{chosen_isa, mantex_isa};
use crate::memory::{Memory, Options};
use mantex::transport::{EpsilonScaling, Method, OverRelaxation, Progress, Status, Transport};
use mantex::{MatRef, Real, Sinkhorn};
use std::ffi::{c_int, c_void};
use std::mem::{size_of, MaybeUninit};
use std::ops::ControlFlow;
use std::ptr::null;

/// How the solver iterates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum mantex_method {
    /// In the log domain at first, then by scaling if that pays and fits memory_limit_bytes, then
    /// by steps of Newton's method if iterations promise to take longer.
    MANTEX_METHOD_AUTO = 0,
    /// In the log domain: one exponential per entry and iteration, no memory of the costs' size.
    MANTEX_METHOD_LOG = 1,
    /// By scaling a stored Gibbs matrix, which is as large as the costs.
    MANTEX_METHOD_SCALING = 2,
    /// Newton's method, once the error is small: for the last digits, and where plans nearly split
    /// into blocks.
    MANTEX_METHOD_NEWTON = 3,
}

/// How a factor is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum mantex_choice {
    /// The solver chooses it, from what it measures.
    MANTEX_CHOICE_AUTO = 0,
    /// There is none.
    MANTEX_CHOICE_OFF = 1,
    /// It is given.
    MANTEX_CHOICE_FACTOR = 2,
}

/// Why a solve ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum mantex_solve_status {
    /// There is no solution: the handle is NULL, or the batch has no such problem.
    MANTEX_SOLVE_NONE = -1,
    /// The measured marginal error is within the tolerance.
    MANTEX_SOLVE_CONVERGED = 0,
    /// All iterations are done.
    MANTEX_SOLVE_ITERATION_LIMIT = 1,
    /// The error is near that of rounding and falls no longer: a larger tolerance or double costs
    /// would let the solve converge.
    MANTEX_SOLVE_STAGNATED = 2,
    /// The forbidden pairs permit no plan with these marginals.
    MANTEX_SOLVE_INFEASIBLE = 3,
    /// The callback has stopped the solve.
    MANTEX_SOLVE_STOPPED = 4,
    /// A state that this list does not have yet.
    MANTEX_SOLVE_OTHER = 5,
}

use mantex_choice::*;
use mantex_method::*;
use mantex_solve_status::*;

/// The progress of a solve. Later versions may add fields at the end.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mantex_sinkhorn_progress {
    /// The number of iterations done.
    pub iteration: usize,
    /// The L1 error of the marginals before the last iteration, relative to the total mass;
    /// infinite after the first iteration at each epsilon.
    pub error: f64,
    /// The current epsilon, which epsilon scaling lowers.
    pub epsilon: f64,
}

/// Called after every iteration; any value but 0 stops the solve. The callback must return: it must
/// not throw a C++ exception or call longjmp.
pub type mantex_sinkhorn_callback =
    Option<unsafe extern "C" fn(progress: *const mantex_sinkhorn_progress, user_data: *mut c_void) -> c_int>;

/// The settings of a Sinkhorn solver. Initialize it with mantex_sinkhorn_options_init(), then set
/// what you need.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mantex_sinkhorn_options {
    /// Set by the init function.
    pub size: usize,
    /// The regularization, in the units of the cost: positive. The init function sets it.
    pub epsilon: f64,
    /// The L1 error of the marginals, relative to the total mass, at which the solver stops. With
    /// 0, it runs all iterations. Initially -1: 1e-6 for double, 1e-4 for float.
    pub tolerance: f64,
    /// The largest number of iterations: each is an update of f and of g, or a read of the costs by
    /// Newton's method. Initially 1000.
    pub max_iterations: usize,
    /// The largest Gibbs matrix that MANTEX_METHOD_AUTO may allocate, and the most memory for the
    /// entries of the plan that Newton's method keeps. Initially 2^30.
    pub memory_limit_bytes: usize,
    /// How the solver iterates. Initially MANTEX_METHOD_AUTO.
    pub method: MaybeUninit<mantex_method>,
    /// How the factor of over-relaxation is chosen. Initially MANTEX_CHOICE_AUTO.
    pub over_relaxation: MaybeUninit<mantex_choice>,
    /// The factor with MANTEX_CHOICE_FACTOR: between 0 and 2. Initially 1.
    pub over_relaxation_factor: f64,
    /// How the schedule of larger epsilons, which are solved first, is chosen. Initially
    /// MANTEX_CHOICE_AUTO.
    pub epsilon_scaling: MaybeUninit<mantex_choice>,
    /// The instruction set. Initially MANTEX_ISA_BEST.
    pub isa: MaybeUninit<mantex_isa>,
    /// The factor between two epsilons with MANTEX_CHOICE_FACTOR: above 1. Initially 4.
    pub epsilon_scaling_factor: f64,
    /// The row potentials to start from, one per row; with warm_start_g or not at all. A batch
    /// ignores both. Initially NULL: none.
    pub warm_start_f: *const f64,
    /// The column potentials to start from, one per column. Initially NULL: none.
    pub warm_start_g: *const f64,
    /// Called after every iteration; a batch does not call it. Initially NULL: nothing is called.
    pub on_iteration: mantex_sinkhorn_callback,
    /// Passed to on_iteration. Initially NULL.
    pub user_data: *mut c_void,
    /// 0 or 1. With 1, several threads share the rows of the costs, or the problems of a batch;
    /// functions that read the plan of the solution do so, too. See Threads above. Initially 0.
    pub parallel: c_int,
    /// As reserved.
    pub reserved_32: u32,
    /// For later versions: 0, as set by the init function.
    pub reserved: [u64; 7],
}

impl Options for mantex_sinkhorn_options {
    const INIT: &'static str = "mantex_sinkhorn_options_init";

    fn reserved_are_zero(&self) -> bool {
        self.reserved_32 == 0 && self.reserved.iter().all(|&word| word == 0)
    }
}

/// Sets the initial values of the options, and epsilon.
#[no_mangle]
pub unsafe extern "C" fn mantex_sinkhorn_options_init(
    options: *mut mantex_sinkhorn_options,
    epsilon: f64,
) -> mantex_status {
    crate::boundary::status_of(|| {
        // SAFETY: The caller makes the promises of the header's introduction.
        let mut memory = unsafe { Memory::of_caller() };
        *memory.result("options", options)? = mantex_sinkhorn_options {
            size: size_of::<mantex_sinkhorn_options>(),
            epsilon,
            tolerance: -1.0,
            max_iterations: 1000,
            memory_limit_bytes: 1 << 30,
            method: MaybeUninit::new(MANTEX_METHOD_AUTO),
            over_relaxation: MaybeUninit::new(MANTEX_CHOICE_AUTO),
            over_relaxation_factor: 1.0,
            epsilon_scaling: MaybeUninit::new(MANTEX_CHOICE_AUTO),
            isa: MaybeUninit::new(mantex_isa::MANTEX_ISA_BEST),
            epsilon_scaling_factor: 4.0,
            warm_start_f: null(),
            warm_start_g: null(),
            on_iteration: None,
            user_data: std::ptr::null_mut(),
            parallel: 0,
            reserved_32: 0,
            reserved: [0; 7],
        };
        Ok(())
    })
}

/// Returns the solver that the options stand for. The warm start is that of a problem of the given
/// shape.
pub(crate) fn solver(
    memory: &mut Memory,
    options: &mantex_sinkhorn_options,
    warm_start: Option<(usize, usize)>,
) -> Outcome<Sinkhorn> {
    let methods = [
        (MANTEX_METHOD_AUTO, Method::Auto),
        (MANTEX_METHOD_LOG, Method::Log),
        (MANTEX_METHOD_SCALING, Method::Scaling),
        (MANTEX_METHOD_NEWTON, Method::Newton),
    ];
    let over_relaxations = [
        (MANTEX_CHOICE_AUTO, OverRelaxation::Auto),
        (MANTEX_CHOICE_OFF, OverRelaxation::Off),
        (MANTEX_CHOICE_FACTOR, OverRelaxation::Factor(options.over_relaxation_factor)),
    ];
    let scalings = [
        (MANTEX_CHOICE_AUTO, EpsilonScaling::Auto),
        (MANTEX_CHOICE_OFF, EpsilonScaling::Off),
        (MANTEX_CHOICE_FACTOR, EpsilonScaling::Factor(options.epsilon_scaling_factor)),
    ];
    let mut solver = Sinkhorn::new(options.epsilon)
        .max_iterations(options.max_iterations)
        .memory_limit(options.memory_limit_bytes)
        .method(chosen("method", options.method, &methods)?)
        .over_relaxation(chosen("over_relaxation", options.over_relaxation, &over_relaxations)?)
        .epsilon_scaling(chosen("epsilon_scaling", options.epsilon_scaling, &scalings)?)
        .isa(chosen_isa(options.isa)?);
    #[cfg(feature = "rayon")]
    {
        solver = solver.parallel(options.parallel != 0);
    }
    if options.tolerance != -1.0 {
        solver = solver.tolerance(options.tolerance);
    }
    let (f, g) = (options.warm_start_f, options.warm_start_g);
    if let Some((rows, cols)) = warm_start.filter(|_| !f.is_null() || !g.is_null()) {
        let f = memory.input("warm_start_f", f, rows)?.to_vec();
        solver = solver.warm_start(f, memory.input("warm_start_g", g, cols)?.to_vec());
    }
    Ok(solver)
}

/// The solution of a transport problem: the potentials f and g, and the numbers that describe
/// them. Free it with mantex_transport_free(). Any number of threads may read it at once.
pub enum mantex_transport {
    /// Of a problem with float costs.
    F32(Transport<f32>),
    /// Of a problem with double costs.
    F64(Transport<f64>),
}

/// The element types, as handles know them.
pub(crate) trait Element: Real {
    /// Returns the handle of a solution.
    fn handle(transport: Transport<Self>) -> mantex_transport;
    /// Returns the solution of a handle, if it is of this type.
    fn transport(handle: &mantex_transport) -> Option<&Transport<Self>>;
}

impl Element for f32 {
    fn handle(transport: Transport<Self>) -> mantex_transport {
        mantex_transport::F32(transport)
    }

    fn transport(handle: &mantex_transport) -> Option<&Transport<Self>> {
        if let mantex_transport::F32(transport) = handle {
            Some(transport)
        } else {
            None
        }
    }
}

impl Element for f64 {
    fn handle(transport: Transport<Self>) -> mantex_transport {
        mantex_transport::F64(transport)
    }

    fn transport(handle: &mantex_transport) -> Option<&Transport<Self>> {
        if let mantex_transport::F64(transport) = handle {
            Some(transport)
        } else {
            None
        }
    }
}

/// Returns the solution behind a handle.
pub(crate) fn solution<'a, T: Element>(
    memory: &mut Memory,
    handle: *const mantex_transport,
) -> Outcome<&'a Transport<T>> {
    match T::transport(memory.handle("transport", handle)?) {
        Some(transport) => Ok(transport),
        None => failure(MANTEX_ERROR_TYPE, "`transport` has the other element type; it must have that of the function"),
    }
}

/// Solves a problem, with the callback of the options if there is one.
fn solve<T: Real>(
    solver: &Sinkhorn,
    options: &mantex_sinkhorn_options,
    cost: MatRef<'_, T>,
    (a, b): (&[T], &[T]),
) -> Result<Transport<T>, mantex::Error> {
    let Some(callback) = options.on_iteration else { return solver.solve(cost, a, b) };
    solver.solve_with_progress(cost, a, b, |&Progress { iteration, error, epsilon, .. }| {
        let progress = mantex_sinkhorn_progress { iteration, error, epsilon };
        // SAFETY: The caller promises that the callback is a function of this type, which returns.
        let answer = unsafe { callback(&progress, options.user_data) };
        if answer == 0 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })
}

/// Returns the number as double.
fn to_f64<T: Real>(x: T) -> f64 {
    x.into()
}

/// Returns the value of C for the end of a solve.
pub(crate) fn status_value(status: Status) -> mantex_solve_status {
    match status {
        Status::Converged => MANTEX_SOLVE_CONVERGED,
        Status::IterationLimit => MANTEX_SOLVE_ITERATION_LIMIT,
        Status::Stagnated => MANTEX_SOLVE_STAGNATED,
        Status::Infeasible => MANTEX_SOLVE_INFEASIBLE,
        Status::Stopped => MANTEX_SOLVE_STOPPED,
        _ => MANTEX_SOLVE_OTHER,
    }
}

/// The values of a transport problem at a solution P. Pairs that are forbidden or without mass
/// contribute 0.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mantex_objective {
    /// The transport cost, sum_ij C_ij P_ij.
    pub cost: f64,
    /// The entropy, -sum_ij P_ij (ln P_ij - 1).
    pub entropy: f64,
    /// The primal value, cost - epsilon * entropy.
    pub primal: f64,
    /// The dual value, a lower bound of the optimum.
    pub dual: f64,
    /// The duality gap: dual + gap is an upper bound of the optimum. It may be +inf with forbidden
    /// pairs.
    pub gap: f64,
    /// 0: room for more.
    pub reserved: [f64; 3],
}

/// Called with an entry of a plan; any value but 0 ends the listing. It must return: it must not
/// throw a C++ exception or call longjmp.
pub type mantex_plan_entry_callback =
    Option<unsafe extern "C" fn(row: usize, column: usize, mass: f64, user_data: *mut c_void) -> c_int>;

twins! {
    /// Solves an entropic optimal transport problem by Sinkhorn's iteration: finds the plan P that
    /// minimizes sum_ij C_ij P_ij + epsilon * sum_ij P_ij (ln P_ij - 1) with row sums a and column
    /// sums b. It is P_ij = exp((f_i + g_j - C_ij) / epsilon).
    ///
    /// cost is rows x cols, finite or +inf, which forbids a pair; a has one mass per row, b one per
    /// column, and their totals agree. On success *transport is a new handle. Not reaching the
    /// tolerance is no error: mantex_transport_status() says why the solve ended.
    ///
    /// Fails with MANTEX_ERROR_PARAMETER if epsilon or another option is out of range,
    /// MANTEX_ERROR_SHAPE if the costs are empty, MANTEX_ERROR_ELEMENT if a cost is NaN or -inf or
    /// a mass is negative or not finite, MANTEX_ERROR_SUM if masses sum to 0, overflow, or differ
    /// in total by more than 1e-6 (float: 1e-4) of the larger total, and MANTEX_ERROR_INFEASIBLE if
    /// a row or column has mass, but all its partners are forbidden or have none.
    fn mantex_sinkhorn_solve_f32 / mantex_sinkhorn_solve_f64(
        rows: usize, cols: usize, cost: *const T, cost_stride: usize, a: *const T, b: *const T,
        options: *const mantex_sinkhorn_options, transport: *mut *mut mantex_transport,
    ) |memory| {
        let options = memory.required_options(options)?;
        let cost = memory.matrix("cost", cost, (rows, cols), cost_stride)?;
        let (a, b) = (memory.input("a", a, rows)?, memory.input("b", b, cols)?);
        let transport = memory.result("transport", transport)?;
        let solver = solver(&mut memory, &options, Some((rows, cols)))?;
        let solution = solve(&solver, &options, cost, (a, b))?;
        *transport = Box::into_raw(Box::new(T::handle(solution)));
        Ok(())
    }

    /// Writes the plan of a solution, rows x cols, in the units of the masses. cost must be the
    /// matrix that was solved.
    ///
    /// Fails with MANTEX_ERROR_SHAPE if rows or cols differ from those of the problem.
    fn mantex_transport_plan_f32 / mantex_transport_plan_f64(
        transport: *const mantex_transport, rows: usize, cols: usize, cost: *const T, cost_stride: usize,
        out: *mut T, out_stride: usize,
    ) |memory| {
        let transport = solution::<T>(&mut memory, transport)?;
        let cost = memory.matrix("cost", cost, (rows, cols), cost_stride)?;
        Ok(transport.plan_into(cost, memory.matrix_mut("out", out, (rows, cols), out_stride)?)?)
    }

    /// Calls on_entry with all entries of the plan above a threshold, row by row, without storing
    /// the plan. cost must be the matrix that was solved.
    ///
    /// Fails with MANTEX_ERROR_PARAMETER if the threshold is negative or NaN.
    fn mantex_transport_plan_entries_f32 / mantex_transport_plan_entries_f64(
        transport: *const mantex_transport, rows: usize, cols: usize, cost: *const T, cost_stride: usize,
        threshold: T, on_entry: mantex_plan_entry_callback, user_data: *mut c_void,
    ) |memory| {
        let transport = solution::<T>(&mut memory, transport)?;
        let cost = memory.matrix("cost", cost, (rows, cols), cost_stride)?;
        let Some(on_entry) = on_entry else {
            return failure(MANTEX_ERROR_NULL, "`on_entry` is NULL; it must be a function");
        };
        for entry in transport.plan_entries(cost, threshold)? {
            // SAFETY: The caller promises that the callback is a function of this type, which
            // returns.
            if unsafe { on_entry(entry.row, entry.column, to_f64(entry.mass), user_data) } != 0 {
                break;
            }
        }
        Ok(())
    }

    /// Computes the costs, the entropy, the primal and the dual value, and the duality gap of a
    /// solution. cost must be the matrix that was solved.
    fn mantex_transport_objective_f32 / mantex_transport_objective_f64(
        transport: *const mantex_transport, rows: usize, cols: usize, cost: *const T, cost_stride: usize,
        out: *mut mantex_objective,
    ) |memory| {
        let transport = solution::<T>(&mut memory, transport)?;
        let cost = memory.matrix("cost", cost, (rows, cols), cost_stride)?;
        let out = memory.result("out", out)?;
        let objective = transport.objective(cost)?;
        *out = mantex_objective {
            cost: objective.cost,
            entropy: objective.entropy,
            primal: objective.primal,
            dual: objective.dual,
            gap: objective.gap,
            reserved: [0.0; 3],
        };
        Ok(())
    }

    /// Writes the product of the plan and a matrix: out = P y with y cols x d and out rows x d.
    /// cost must be the matrix that was solved.
    fn mantex_transport_plan_times_f32 / mantex_transport_plan_times_f64(
        transport: *const mantex_transport, rows: usize, cols: usize, cost: *const T, cost_stride: usize,
        d: usize, y: *const T, y_stride: usize, out: *mut T, out_stride: usize,
    ) |memory| {
        let transport = solution::<T>(&mut memory, transport)?;
        let cost = memory.matrix("cost", cost, (rows, cols), cost_stride)?;
        let y = memory.matrix("y", y, (cols, d), y_stride)?;
        Ok(transport.plan_times(cost, y, memory.matrix_mut("out", out, (rows, d), out_stride)?)?)
    }

    /// Writes the product of the transposed plan and a matrix: out = P^T x with x rows x d and out
    /// cols x d. cost must be the matrix that was solved.
    fn mantex_transport_plan_transposed_times_f32 / mantex_transport_plan_transposed_times_f64(
        transport: *const mantex_transport, rows: usize, cols: usize, cost: *const T, cost_stride: usize,
        d: usize, x: *const T, x_stride: usize, out: *mut T, out_stride: usize,
    ) |memory| {
        let transport = solution::<T>(&mut memory, transport)?;
        let cost = memory.matrix("cost", cost, (rows, cols), cost_stride)?;
        let x = memory.matrix("x", x, (rows, d), x_stride)?;
        Ok(transport.plan_transposed_times(cost, x, memory.matrix_mut("out", out, (cols, d), out_stride)?)?)
    }

    /// Writes where the plan sends each row: the mean of the points y (cols x d) with the row of
    /// the plan as weights. out is rows x d, and 0 in rows without mass. cost must be the matrix
    /// that was solved.
    fn mantex_transport_barycentric_projection_f32 / mantex_transport_barycentric_projection_f64(
        transport: *const mantex_transport, rows: usize, cols: usize, cost: *const T, cost_stride: usize,
        d: usize, y: *const T, y_stride: usize, out: *mut T, out_stride: usize,
    ) |memory| {
        let transport = solution::<T>(&mut memory, transport)?;
        let cost = memory.matrix("cost", cost, (rows, cols), cost_stride)?;
        let y = memory.matrix("y", y, (cols, d), y_stride)?;
        Ok(transport.barycentric_projection(cost, y, memory.matrix_mut("out", out, (rows, d), out_stride)?)?)
    }
}

/// Returns a value of the solution behind a handle.
macro_rules! get {
    ($handle:ident, $otherwise:expr, $transport:ident => $value:expr) => {
        value_or($otherwise, || {
            // SAFETY: The caller makes the promises of the header's introduction.
            let mut memory = unsafe { Memory::of_caller() };
            Ok(match memory.handle("transport", $handle)? {
                mantex_transport::F32($transport) => $value,
                mantex_transport::F64($transport) => $value,
            })
        })
    };
}

/// Frees a solution. NULL is allowed.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_free(transport: *mut mantex_transport) {
    value_or((), || {
        if !transport.is_null() {
            // SAFETY: The caller promises that the handle is from this library, where a Box became
            // the pointer, and that it is not freed yet.
            drop(unsafe { Box::from_raw(transport) });
        }
        Ok(())
    })
}

/// Returns why the solve ended.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_status(transport: *const mantex_transport) -> mantex_solve_status {
    get!(transport, MANTEX_SOLVE_NONE, t => status_value(t.status()))
}

/// Returns 1 if the solve has converged, and 0 otherwise.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_converged(transport: *const mantex_transport) -> c_int {
    get!(transport, 0, t => c_int::from(t.converged()))
}

/// Returns the number of iterations done; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_iterations(transport: *const mantex_transport) -> usize {
    get!(transport, 0, t => t.iterations())
}

/// Returns the measured L1 error of the marginals relative to the total mass; NaN for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_marginal_error(transport: *const mantex_transport) -> f64 {
    get!(transport, f64::NAN, t => t.marginal_error())
}

/// Returns the transport cost, sum_ij C_ij P_ij; NaN for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_cost(transport: *const mantex_transport) -> f64 {
    get!(transport, f64::NAN, t => t.cost())
}

/// Returns the number of rows; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_rows(transport: *const mantex_transport) -> usize {
    get!(transport, 0, t => t.f().len())
}

/// Returns the number of columns; 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_cols(transport: *const mantex_transport) -> usize {
    get!(transport, 0, t => t.g().len())
}

/// Returns the row potentials, in the units of the cost, -inf in rows without mass. The array has
/// one element per row, belongs to the handle, and lives as long. NULL for NULL.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_f(transport: *const mantex_transport) -> *const f64 {
    get!(transport, null(), t => t.f().as_ptr())
}

/// Returns the column potentials, as mantex_transport_f() those of the rows.
#[no_mangle]
pub unsafe extern "C" fn mantex_transport_g(transport: *const mantex_transport) -> *const f64 {
    get!(transport, null(), t => t.g().as_ptr())
}
