/*
 * mantex: softmax, entropic optimal transport and k-medoids, with SIMD kernels that are chosen at
 * run time (AVX-512, AVX2, NEON, scalar). Link with -lmantex. README.md shows how to begin.
 *
 * Made by bindings/c/header from the sources in bindings/c/src: change these.
 *
 * Names       mantex_NAME_f32() is for float and mantex_NAME_f64() for double. NAME is that of the
 *             Rust function, whose documentation has the bounds of the errors and the costs.
 * Results     Functions that can fail return MANTEX_OK (0) or another mantex_status; the outputs
 *             are then unchanged, and mantex_last_error() says why.
 * Arrays      A pointer to n elements may be NULL only if n is 0. Pointers must be aligned for
 *             their type. Outputs must not overlap inputs or other outputs. An output must have
 *             room, but need not be initialized.
 * Matrices    rows x cols elements, row by row. The starts of two rows are stride elements apart;
 *             stride is at least cols, and equals cols if there are no gaps. From its first to its
 *             last element, with the gaps, a matrix counts as one array: it may not overlap others,
 *             although no call changes the gaps.
 * Options     Initialize an option struct with its init function, then set fields. Structs keep
 *             their size in all versions with one soname: reserved fields make room.
 * Enums       MANTEX_ISA_BEST and other first choices are 0. Values outside an enum are errors.
 * Handles     A function that makes a handle writes it to its last argument. Free it once, with
 *             the function that is named at its type.
 * Threads     All functions may be called from any number of threads at once, and calls may share
 *             inputs and handles. An output belongs to one call, and no thread may free a handle
 *             while another one uses it. Calls use only the thread that makes them, unless the
 *             field parallel of their options is 1: then threads of the library share the work,
 *             with the same bits. Small inputs stay on the calling thread, and so do callbacks.
 *             There are as many threads as CPUs, or as the environment variable RAYON_NUM_THREADS
 *             says at the first such call. The threads do not follow a fork(): after such a call,
 *             another one in the child waits forever. They end with the process: after such a
 *             call, the library must stay loaded.
 * Memory      If there is no memory for a solve, or for a call with parallel, the process is
 *             aborted. The softmax family and mantex_assign_f32() allocate nothing without
 *             parallel.
 */


#ifndef MANTEX_H
#define MANTEX_H

#include <stddef.h>
#include <stdint.h>

/// The class of a row that counts for nothing: its loss is 0, and so is its gradient.
#define MANTEX_IGNORED SIZE_MAX

/// The value of max_iterations that stands for the default of the algorithm: 100, and no limit for
/// MANTEX_ALGORITHM_FASTPAM1, which makes one swap per iteration.
#define MANTEX_DEFAULT_ITERATIONS SIZE_MAX

/// The version of this header. mantex_version() is that of the library.
#define MANTEX_VERSION_MAJOR 0
#define MANTEX_VERSION_MINOR 1
#define MANTEX_VERSION_PATCH 0


/// The algorithm that improves the medoids.
enum mantex_algorithm
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
    /// FasterPAM: makes every swap that lowers the loss, going through the candidates cyclically.
    MANTEX_ALGORITHM_FASTERPAM = 0,
    /// FasterPAM with the candidates in a random order, from algorithm_seed.
    MANTEX_ALGORITHM_RANDOM_FASTERPAM = 1,
    /// FastPAM1: makes the best of all swaps in each iteration.
    MANTEX_ALGORITHM_FASTPAM1 = 2,
    /// The alternating algorithm: assigns objects, then moves medoids, much as k-means. Fast, with
    /// a higher loss.
    MANTEX_ALGORITHM_ALTERNATING = 3,
};
#ifndef __cplusplus
typedef int32_t mantex_algorithm;
#endif // __cplusplus

/// How a factor is chosen.
enum mantex_choice
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
    /// The solver chooses it, from what it measures.
    MANTEX_CHOICE_AUTO = 0,
    /// There is none.
    MANTEX_CHOICE_OFF = 1,
    /// It is given.
    MANTEX_CHOICE_FACTOR = 2,
};
#ifndef __cplusplus
typedef int32_t mantex_choice;
#endif // __cplusplus

/// The initial medoids.
enum mantex_init
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
    /// k-medoids++: random objects with probabilities proportional to their shares of the loss.
    MANTEX_INIT_PLUS_PLUS = 0,
    /// BUILD: one at a time the object that lowers the loss most. The lowest initial loss; slow.
    MANTEX_INIT_BUILD = 1,
    /// LAB: BUILD on random samples.
    MANTEX_INIT_LAB = 2,
    /// Random objects.
    MANTEX_INIT_RANDOM = 3,
    /// Those of initial_medoids.
    MANTEX_INIT_GIVEN = 4,
};
#ifndef __cplusplus
typedef int32_t mantex_init;
#endif // __cplusplus

/// An instruction set. Functions take it as their last argument or in their options.
enum mantex_isa
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
    /// The best one that the CPU and this build have, or the one that the environment variable
    /// MANTEX_ISA names (scalar, avx2, avx512, neon). It is chosen at the first call.
    MANTEX_ISA_BEST = 0,
    /// No vectors. Every CPU has it.
    MANTEX_ISA_SCALAR = 1,
    /// AVX2 with FMA and BMI1/2 (x86-64).
    MANTEX_ISA_AVX2 = 2,
    /// AVX-512 F, BW, CD, DQ and VL (x86-64).
    MANTEX_ISA_AVX512 = 3,
    /// Advanced SIMD (aarch64).
    MANTEX_ISA_NEON = 4,
};
#ifndef __cplusplus
typedef int32_t mantex_isa;
#endif // __cplusplus

/// How the solver iterates.
enum mantex_method
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
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
};
#ifndef __cplusplus
typedef int32_t mantex_method;
#endif // __cplusplus

/// A measure of the distance between two points.
enum mantex_metric
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
    /// The sum of squared differences.
    MANTEX_METRIC_SQUARED_EUCLIDEAN = 0,
    /// The square root of the sum of squared differences.
    MANTEX_METRIC_EUCLIDEAN = 1,
    /// The sum of absolute differences.
    MANTEX_METRIC_MANHATTAN = 2,
    /// 1 minus the cosine of the angle between the points as vectors. Points with all coordinates 0
    /// are errors.
    MANTEX_METRIC_COSINE = 3,
    /// As MANTEX_METRIC_COSINE, but points with all coordinates 0 have the distance 1 from all
    /// others, and 0 from each other.
    MANTEX_METRIC_COSINE_OR_ONE = 4,
};
#ifndef __cplusplus
typedef int32_t mantex_metric;
#endif // __cplusplus

/// Why a solve ended.
enum mantex_solve_status
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
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
};
#ifndef __cplusplus
typedef int32_t mantex_solve_status;
#endif // __cplusplus

/// The result of a call. Every function that can fail returns it; mantex_last_error() has the
/// reason in words. Later versions may add codes.
enum mantex_status
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
    /// The call succeeded.
    MANTEX_OK = 0,
    /// A pointer is NULL, but must not be.
    MANTEX_ERROR_NULL = 1,
    /// A pointer is not aligned for its type.
    MANTEX_ERROR_ALIGNMENT = 2,
    /// The elements of an array take more than PTRDIFF_MAX bytes, or go beyond the address space.
    MANTEX_ERROR_SIZE = 3,
    /// An output overlaps an input or another output.
    MANTEX_ERROR_OVERLAP = 4,
    /// An option struct was not initialized by its init function, or is of another version.
    MANTEX_ERROR_OPTIONS = 5,
    /// A value is not one of its enum.
    MANTEX_ERROR_ENUM = 6,
    /// This CPU or this build of the library does not have the instruction set, or none has the
    /// name.
    MANTEX_ERROR_ISA = 7,
    /// A length, shape or stride does not fit the rest of the call, or something is empty.
    MANTEX_ERROR_SHAPE = 8,
    /// A parameter is outside its range.
    MANTEX_ERROR_PARAMETER = 9,
    /// An element of an array is outside its range.
    MANTEX_ERROR_ELEMENT = 10,
    /// Sums over an array overflow, are 0, or do not agree.
    MANTEX_ERROR_SUM = 11,
    /// A row or column of a transport problem has mass, but may not send it anywhere.
    MANTEX_ERROR_INFEASIBLE = 12,
    /// A solution for one element type was passed to a function for the other one.
    MANTEX_ERROR_TYPE = 13,
    /// An error that this list does not have yet.
    MANTEX_ERROR_OTHER = 14,
    /// The library failed by a defect of its own, which it also describes on stderr.
    MANTEX_ERROR_INTERNAL = 15,
};
#ifndef __cplusplus
typedef int32_t mantex_status;
#endif // __cplusplus

/// A clustering: k medoids, and the label of each object. Free it with mantex_clustering_free().
/// Any number of threads may read it at once.
typedef struct mantex_clustering mantex_clustering;

/// The entries of a plan as compressed sparse rows (CSR). The entries of row i have the
/// indices from mantex_csr_plan_row_pointers()[i] to mantex_csr_plan_row_pointers()[i + 1] in the
/// columns and the masses. Free it with mantex_csr_plan_free(). Any number of threads may read it
/// at once.
typedef struct mantex_csr_plan mantex_csr_plan;

/// The solution of a problem with a sparse plan: the plan, the potentials f and g, and the numbers
/// that describe them. Free it with mantex_sparse_solution_free(). Any number of threads may read
/// it at once.
typedef struct mantex_sparse_solution mantex_sparse_solution;

/// The solution of a transport problem: the potentials f and g, and the numbers that describe
/// them. Free it with mantex_transport_free(). Any number of threads may read it at once.
typedef struct mantex_transport mantex_transport;

/// The solutions of many problems on one cost matrix. Free it with mantex_transport_batch_free().
/// Any number of threads may read it at once.
typedef struct mantex_transport_batch mantex_transport_batch;

/// What the functions over rows do to the logits x of a row before anything else:
/// z = scale * x + mask, and z = -inf in masked columns. Initialize it with
/// mantex_softmax_options_init_f32() or .._f64(), then set what you need. NULL instead of a
/// pointer to it means the initial values.
typedef struct mantex_softmax_options_f32 {
    /// Set by the init function.
    size_t size;
    /// The factor of the logits, for example 1 / temperature: finite and not 0. Initially 1.
    float scale;
    /// 0 or 1. With 1, rows whose logits are all masked count for nothing: softmax, losses and
    /// gradients are 0 there, and log-softmax is -inf. Otherwise all of them are NaN. Initially 0.
    int masked_rows_are_zero;
    /// A matrix that is added to the scaled logits; -inf masks a logit, whatever it is. Initially
    /// NULL: none.
    const float *mask;
    /// The rows of the mask: as many as x, or 1, which is added to every row. Its columns are those
    /// of x.
    size_t mask_rows;
    /// The distance of the starts of two rows of the mask, in elements.
    size_t mask_stride;
    /// 0 or 1. With 1, the columns after i + causal_offset are masked in every row i. Initially 0.
    int causal;
    /// The instruction set. Initially MANTEX_ISA_BEST.
    mantex_isa isa;
    /// See causal. It is 0 if rows and columns begin at the same position. If the rows are the last
    /// queries of a longer sequence of keys, it is the number of columns minus that of rows.
    /// Initially 0.
    ptrdiff_t causal_offset;
    /// One length per row, each at most the number of columns: the columns from it on are masked.
    /// Initially NULL: none.
    const size_t *lengths;
    /// 0 or 1. With 1, several threads share the rows, and each of a few long rows: see Threads
    /// above. Initially 0.
    int parallel;
    /// As reserved.
    uint32_t reserved_32;
    /// For later versions: 0, as set by the init function.
    uint64_t reserved[7];
} mantex_softmax_options_f32;

/// What the functions over rows do to the logits x of a row before anything else:
/// z = scale * x + mask, and z = -inf in masked columns. Initialize it with
/// mantex_softmax_options_init_f32() or .._f64(), then set what you need. NULL instead of a
/// pointer to it means the initial values.
typedef struct mantex_softmax_options_f64 {
    /// Set by the init function.
    size_t size;
    /// The factor of the logits, for example 1 / temperature: finite and not 0. Initially 1.
    double scale;
    /// 0 or 1. With 1, rows whose logits are all masked count for nothing: softmax, losses and
    /// gradients are 0 there, and log-softmax is -inf. Otherwise all of them are NaN. Initially 0.
    int masked_rows_are_zero;
    /// A matrix that is added to the scaled logits; -inf masks a logit, whatever it is. Initially
    /// NULL: none.
    const double *mask;
    /// The rows of the mask: as many as x, or 1, which is added to every row. Its columns are those
    /// of x.
    size_t mask_rows;
    /// The distance of the starts of two rows of the mask, in elements.
    size_t mask_stride;
    /// 0 or 1. With 1, the columns after i + causal_offset are masked in every row i. Initially 0.
    int causal;
    /// The instruction set. Initially MANTEX_ISA_BEST.
    mantex_isa isa;
    /// See causal. It is 0 if rows and columns begin at the same position. If the rows are the last
    /// queries of a longer sequence of keys, it is the number of columns minus that of rows.
    /// Initially 0.
    ptrdiff_t causal_offset;
    /// One length per row, each at most the number of columns: the columns from it on are masked.
    /// Initially NULL: none.
    const size_t *lengths;
    /// 0 or 1. With 1, several threads share the rows, and each of a few long rows: see Threads
    /// above. Initially 0.
    int parallel;
    /// As reserved.
    uint32_t reserved_32;
    /// For later versions: 0, as set by the init function.
    uint64_t reserved[7];
} mantex_softmax_options_f64;

/// A sum of exponentials, sum_i exp(x[i]), that streams, merges and never overflows: sum the parts
/// of an array on several threads, or as they arrive, and merge the sums. It is a plain struct:
/// copy it with =. What it contains can change between versions: do not store it in files.
typedef struct mantex_ext_sum_f32 {
    /// The contents, and room for more.
    uint64_t opaque[8];
} mantex_ext_sum_f32;

/// A sum of exponentials, sum_i exp(x[i]), that streams, merges and never overflows: sum the parts
/// of an array on several threads, or as they arrive, and merge the sums. It is a plain struct:
/// copy it with =. What it contains can change between versions: do not store it in files.
typedef struct mantex_ext_sum_f64 {
    /// The contents, and room for more.
    uint64_t opaque[8];
} mantex_ext_sum_f64;

/// The progress of a solve. Later versions may add fields at the end.
typedef struct mantex_sinkhorn_progress {
    /// The number of iterations done.
    size_t iteration;
    /// The L1 error of the marginals before the last iteration, relative to the total mass;
    /// infinite after the first iteration at each epsilon.
    double error;
    /// The current epsilon, which epsilon scaling lowers.
    double epsilon;
} mantex_sinkhorn_progress;

/// Called after every iteration; any value but 0 stops the solve. The callback must return: it must
/// not throw a C++ exception or call longjmp.
typedef int (*mantex_sinkhorn_callback)(const struct mantex_sinkhorn_progress *progress, void *user_data);

/// The settings of a Sinkhorn solver. Initialize it with mantex_sinkhorn_options_init(), then set
/// what you need.
typedef struct mantex_sinkhorn_options {
    /// Set by the init function.
    size_t size;
    /// The regularization, in the units of the cost: positive. The init function sets it.
    double epsilon;
    /// The L1 error of the marginals, relative to the total mass, at which the solver stops. With
    /// 0, it runs all iterations. Initially -1: 1e-6 for double, 1e-4 for float.
    double tolerance;
    /// The largest number of iterations: each is an update of f and of g, or a read of the costs by
    /// Newton's method. Initially 1000.
    size_t max_iterations;
    /// The largest Gibbs matrix that MANTEX_METHOD_AUTO may allocate, and the most memory for the
    /// entries of the plan that Newton's method keeps. Initially 2^30.
    size_t memory_limit_bytes;
    /// How the solver iterates. Initially MANTEX_METHOD_AUTO.
    mantex_method method;
    /// How the factor of over-relaxation is chosen. Initially MANTEX_CHOICE_AUTO.
    mantex_choice over_relaxation;
    /// The factor with MANTEX_CHOICE_FACTOR: between 0 and 2. Initially 1.
    double over_relaxation_factor;
    /// How the schedule of larger epsilons, which are solved first, is chosen. Initially
    /// MANTEX_CHOICE_AUTO.
    mantex_choice epsilon_scaling;
    /// The instruction set. Initially MANTEX_ISA_BEST.
    mantex_isa isa;
    /// The factor between two epsilons with MANTEX_CHOICE_FACTOR: above 1. Initially 4.
    double epsilon_scaling_factor;
    /// The row potentials to start from, one per row; with warm_start_g or not at all. A batch
    /// ignores both. Initially NULL: none.
    const double *warm_start_f;
    /// The column potentials to start from, one per column. Initially NULL: none.
    const double *warm_start_g;
    /// Called after every iteration; a batch does not call it. Initially NULL: nothing is called.
    mantex_sinkhorn_callback on_iteration;
    /// Passed to on_iteration. Initially NULL.
    void *user_data;
    /// 0 or 1. With 1, several threads share the rows of the costs, or the problems of a batch;
    /// functions that read the plan of the solution do so, too. See Threads above. Initially 0.
    int parallel;
    /// As reserved.
    uint32_t reserved_32;
    /// For later versions: 0, as set by the init function.
    uint64_t reserved[7];
} mantex_sinkhorn_options;

/// Called with an entry of a plan; any value but 0 ends the listing. It must return: it must not
/// throw a C++ exception or call longjmp.
typedef int (*mantex_plan_entry_callback)(size_t row, size_t column, double mass, void *user_data);

/// The values of a transport problem at a solution P. Pairs that are forbidden or without mass
/// contribute 0.
typedef struct mantex_objective {
    /// The transport cost, sum_ij C_ij P_ij.
    double cost;
    /// The entropy, -sum_ij P_ij (ln P_ij - 1).
    double entropy;
    /// The primal value, cost - epsilon * entropy.
    double primal;
    /// The dual value, a lower bound of the optimum.
    double dual;
    /// The duality gap: dual + gap is an upper bound of the optimum. It may be +inf with forbidden
    /// pairs.
    double gap;
    /// 0: room for more.
    double reserved[3];
} mantex_objective;

/// The progress of a solve. Later versions may add fields at the end.
typedef struct mantex_sparse_transport_progress {
    /// The number of iterations done.
    size_t iteration;
    /// The L1 error of the marginals at the potentials that were tried, relative to the total mass.
    double error;
    /// The current gamma: larger ones come first.
    double gamma;
} mantex_sparse_transport_progress;

/// Called after every iteration; any value but 0 stops the solve. The callback must return: it must
/// not throw a C++ exception or call longjmp.
typedef int (*mantex_sparse_transport_callback)(const struct mantex_sparse_transport_progress *progress, void *user_data);

/// The settings of a solver whose plans are sparse. Initialize it with
/// mantex_sparse_transport_options_init(), then set what you need.
typedef struct mantex_sparse_transport_options {
    /// Set by the init function.
    size_t size;
    /// The regularization, in the units of a cost divided by a mass: from 1e-200 to 1e200, also
    /// times the total mass. The init function sets it.
    double gamma;
    /// The L1 error of the marginals, relative to the total mass, at which the solver stops. With
    /// 0, it goes on until rounding errors prevent progress. Initially -1: 1e-6 for double, 1e-4
    /// for float.
    double tolerance;
    /// The largest number of entries of a row of the plan: at least 1. Limits that matter often
    /// keep the solve from converging. Initially SIZE_MAX: no limit.
    size_t max_entries_per_row;
    /// The largest number of iterations, each of which reads the costs once. Initially 1000.
    size_t max_iterations;
    /// Called after every iteration. Initially NULL: nothing is called.
    mantex_sparse_transport_callback on_iteration;
    /// Passed to on_iteration. Initially NULL.
    void *user_data;
    /// The instruction set. Initially MANTEX_ISA_BEST.
    mantex_isa isa;
    /// 0 or 1. With 1, several threads share the rows of the costs. See Threads above. Initially 0.
    int parallel;
    /// For later versions: 0, as set by the init function.
    uint64_t reserved[8];
} mantex_sparse_transport_options;

/// The progress of a clustering. Later versions may add fields at the end.
typedef struct mantex_kmedoids_progress {
    /// The number of iterations so far, including this one.
    size_t iteration;
    /// The number of swaps so far.
    size_t swaps;
    /// The current loss.
    double loss;
} mantex_kmedoids_progress;

/// Called after every iteration; any value but 0 ends the search with the current medoids. The
/// callback must return: it must not throw a C++ exception or call longjmp.
typedef int (*mantex_kmedoids_callback)(const struct mantex_kmedoids_progress *progress, void *user_data);

/// The settings of k-medoids. Initialize it with mantex_kmedoids_options_init(), then set what you
/// need.
typedef struct mantex_kmedoids_options {
    /// Set by the init function.
    size_t size;
    /// The number of clusters: at least 1, at most the number of objects. The init function sets
    /// it.
    size_t k;
    /// The largest number of iterations; with 0, the result has the initial medoids. Initially
    /// MANTEX_DEFAULT_ITERATIONS.
    size_t max_iterations;
    /// The algorithm. Initially MANTEX_ALGORITHM_FASTERPAM.
    mantex_algorithm algorithm;
    /// The initial medoids. Initially MANTEX_INIT_PLUS_PLUS.
    mantex_init init;
    /// The seed of an algorithm with random numbers. Initially 0.
    uint64_t algorithm_seed;
    /// The seed of an init with random numbers. Initially 0.
    uint64_t init_seed;
    /// k different objects, for MANTEX_INIT_GIVEN. Initially NULL.
    const size_t *initial_medoids;
    /// Called after every iteration. Initially NULL: nothing is called.
    mantex_kmedoids_callback on_iteration;
    /// Passed to on_iteration. Initially NULL.
    void *user_data;
    /// The instruction set. Initially MANTEX_ISA_BEST.
    mantex_isa isa;
    /// 0 or 1. With 1, several threads share the scans: see Threads above. Initially 0.
    int parallel;
    /// For later versions: 0, as set by the init function.
    uint64_t reserved[8];
} mantex_kmedoids_options;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/// Returns the reason for the last error of the calling thread, as a string in English that names
/// the argument, its value and the rule for it. The string is empty before the first error, is
/// valid until the thread's next error, and does not change when calls succeed.
const char *mantex_last_error(void);

/// Returns a static string with the name of a status, for example "MANTEX_ERROR_NULL".
const char *mantex_status_name(mantex_status status);

/// Returns the version of the library, for example "0.1.0", as a static string.
const char *mantex_version(void);

/// Writes the instruction set behind MANTEX_ISA_BEST to *isa.
///
/// Fails with MANTEX_ERROR_ISA if the environment variable MANTEX_ISA names none that is available.
/// All functions with MANTEX_ISA_BEST then do.
mantex_status mantex_isa_best(mantex_isa *isa);

/// Returns 1 if this CPU and this build have the instruction set, and 0 otherwise.
int mantex_isa_is_available(mantex_isa isa);

/// Returns the name of an instruction set, for example "avx2", as a static string; that of the
/// chosen one for MANTEX_ISA_BEST. NULL if there is none.
const char *mantex_isa_name(mantex_isa isa);

/// Writes the available instruction set of a name (in upper or lower case) to *isa.
///
/// Fails with MANTEX_ERROR_ISA if there is none.
mantex_status mantex_isa_from_name(const char *name, mantex_isa *isa);

/// Sets the initial values of the options.
mantex_status mantex_softmax_options_init_f32(struct mantex_softmax_options_f32 *options);

/// The same as mantex_softmax_options_init_f32(), for double.
mantex_status mantex_softmax_options_init_f64(struct mantex_softmax_options_f64 *options);

/// Computes the softmax of n numbers: out[i] = exp(x[i]) / sum_j exp(x[j]).
///
/// Results of at least 2^-100 (double: 2^-996) have an error of at most 4 ulp, for all finite
/// x. The result is NaN everywhere if x has a NaN or +inf, or if all of x is -inf.
mantex_status mantex_softmax_f32(size_t n, const float *x, float *out, mantex_isa isa);

/// The same as mantex_softmax_f32(), for double.
mantex_status mantex_softmax_f64(size_t n, const double *x, double *out, mantex_isa isa);

/// Computes the softmax of n numbers in place, with the bits of mantex_softmax_f32().
mantex_status mantex_softmax_in_place_f32(size_t n, float *x, mantex_isa isa);

/// The same as mantex_softmax_in_place_f32(), for double.
mantex_status mantex_softmax_in_place_f64(size_t n, double *x, mantex_isa isa);

/// Computes the logarithm of the softmax of n numbers: out[i] = x[i] - ln(sum_j exp(x[j])).
///
/// The error is at most 2 ulp, at any size and also under a large common offset of x. It is NaN
/// where the softmax is NaN.
mantex_status mantex_log_softmax_f32(size_t n, const float *x, float *out, mantex_isa isa);

/// The same as mantex_log_softmax_f32(), for double.
mantex_status mantex_log_softmax_f64(size_t n, const double *x, double *out, mantex_isa isa);

/// Computes the log-softmax of n numbers in place, with the bits of mantex_log_softmax_f32().
mantex_status mantex_log_softmax_in_place_f32(size_t n, float *x, mantex_isa isa);

/// The same as mantex_log_softmax_in_place_f32(), for double.
mantex_status mantex_log_softmax_in_place_f64(size_t n, double *x, mantex_isa isa);

/// Computes the logarithm of a sum of exponentials: *out = ln(sum_j exp(x[j])); -inf if n is 0.
///
/// The error is at most 2 ulp of the largest of result, maximum and their difference.
mantex_status mantex_log_sum_exp_f32(size_t n, const float *x, float *out, mantex_isa isa);

/// The same as mantex_log_sum_exp_f32(), for double.
mantex_status mantex_log_sum_exp_f64(size_t n, const double *x, double *out, mantex_isa isa);

/// Computes the softmax of every row of a matrix, as mantex_softmax_f32(): x and out are
/// rows x cols.
mantex_status mantex_softmax_rows_f32(size_t rows,
                                      size_t cols,
                                      const float *x,
                                      size_t x_stride,
                                      float *out,
                                      size_t out_stride,
                                      const struct mantex_softmax_options_f32 *options);

/// The same as mantex_softmax_rows_f32(), for double.
mantex_status mantex_softmax_rows_f64(size_t rows,
                                      size_t cols,
                                      const double *x,
                                      size_t x_stride,
                                      double *out,
                                      size_t out_stride,
                                      const struct mantex_softmax_options_f64 *options);

/// Computes the softmax of every row in place, with the bits of mantex_softmax_rows_f32().
mantex_status mantex_softmax_rows_in_place_f32(size_t rows,
                                               size_t cols,
                                               float *x,
                                               size_t x_stride,
                                               const struct mantex_softmax_options_f32 *options);

/// The same as mantex_softmax_rows_in_place_f32(), for double.
mantex_status mantex_softmax_rows_in_place_f64(size_t rows,
                                               size_t cols,
                                               double *x,
                                               size_t x_stride,
                                               const struct mantex_softmax_options_f64 *options);

/// Computes the log-softmax of every row of a matrix, as mantex_log_softmax_f32(): x and out
/// are rows x cols.
mantex_status mantex_log_softmax_rows_f32(size_t rows,
                                          size_t cols,
                                          const float *x,
                                          size_t x_stride,
                                          float *out,
                                          size_t out_stride,
                                          const struct mantex_softmax_options_f32 *options);

/// The same as mantex_log_softmax_rows_f32(), for double.
mantex_status mantex_log_softmax_rows_f64(size_t rows,
                                          size_t cols,
                                          const double *x,
                                          size_t x_stride,
                                          double *out,
                                          size_t out_stride,
                                          const struct mantex_softmax_options_f64 *options);

/// Computes the log-softmax of every row in place, with the bits of
/// mantex_log_softmax_rows_f32().
mantex_status mantex_log_softmax_rows_in_place_f32(size_t rows,
                                                   size_t cols,
                                                   float *x,
                                                   size_t x_stride,
                                                   const struct mantex_softmax_options_f32 *options);

/// The same as mantex_log_softmax_rows_in_place_f32(), for double.
mantex_status mantex_log_softmax_rows_in_place_f64(size_t rows,
                                                   size_t cols,
                                                   double *x,
                                                   size_t x_stride,
                                                   const struct mantex_softmax_options_f64 *options);

/// Computes the log-sum-exp of every row of a matrix: x is rows x cols, out has one number per
/// row.
mantex_status mantex_log_sum_exp_rows_f32(size_t rows,
                                          size_t cols,
                                          const float *x,
                                          size_t x_stride,
                                          float *out,
                                          const struct mantex_softmax_options_f32 *options);

/// The same as mantex_log_sum_exp_rows_f32(), for double.
mantex_status mantex_log_sum_exp_rows_f64(size_t rows,
                                          size_t cols,
                                          const double *x,
                                          size_t x_stride,
                                          double *out,
                                          const struct mantex_softmax_options_f64 *options);

/// Computes the softmax of every column of a matrix, as mantex_softmax_f32(): x and out are
/// rows x cols. Columns are also the rows of a column-major matrix, viewed as its transpose.
mantex_status mantex_softmax_columns_f32(size_t rows,
                                         size_t cols,
                                         const float *x,
                                         size_t x_stride,
                                         float *out,
                                         size_t out_stride,
                                         mantex_isa isa);

/// The same as mantex_softmax_columns_f32(), for double.
mantex_status mantex_softmax_columns_f64(size_t rows,
                                         size_t cols,
                                         const double *x,
                                         size_t x_stride,
                                         double *out,
                                         size_t out_stride,
                                         mantex_isa isa);

/// Computes the softmax of every column in place, with the bits of
/// mantex_softmax_columns_f32().
mantex_status mantex_softmax_columns_in_place_f32(size_t rows,
                                                  size_t cols,
                                                  float *x,
                                                  size_t x_stride,
                                                  mantex_isa isa);

/// The same as mantex_softmax_columns_in_place_f32(), for double.
mantex_status mantex_softmax_columns_in_place_f64(size_t rows,
                                                  size_t cols,
                                                  double *x,
                                                  size_t x_stride,
                                                  mantex_isa isa);

/// Computes the log-softmax of every column of a matrix, as mantex_log_softmax_f32(): x and out
/// are rows x cols.
mantex_status mantex_log_softmax_columns_f32(size_t rows,
                                             size_t cols,
                                             const float *x,
                                             size_t x_stride,
                                             float *out,
                                             size_t out_stride,
                                             mantex_isa isa);

/// The same as mantex_log_softmax_columns_f32(), for double.
mantex_status mantex_log_softmax_columns_f64(size_t rows,
                                             size_t cols,
                                             const double *x,
                                             size_t x_stride,
                                             double *out,
                                             size_t out_stride,
                                             mantex_isa isa);

/// Computes the log-softmax of every column in place, with the bits of
/// mantex_log_softmax_columns_f32().
mantex_status mantex_log_softmax_columns_in_place_f32(size_t rows,
                                                      size_t cols,
                                                      float *x,
                                                      size_t x_stride,
                                                      mantex_isa isa);

/// The same as mantex_log_softmax_columns_in_place_f32(), for double.
mantex_status mantex_log_softmax_columns_in_place_f64(size_t rows,
                                                      size_t cols,
                                                      double *x,
                                                      size_t x_stride,
                                                      mantex_isa isa);

/// Computes the log-sum-exp of every column of a matrix: x is rows x cols, out has one number
/// per column.
mantex_status mantex_log_sum_exp_columns_f32(size_t rows,
                                             size_t cols,
                                             const float *x,
                                             size_t x_stride,
                                             float *out,
                                             mantex_isa isa);

/// The same as mantex_log_sum_exp_columns_f32(), for double.
mantex_status mantex_log_sum_exp_columns_f64(size_t rows,
                                             size_t cols,
                                             const double *x,
                                             size_t x_stride,
                                             double *out,
                                             mantex_isa isa);

/// Computes the cross-entropy of the softmax of every row with the class of the row:
/// losses[i] = ln(sum_k exp(z[i][k])) - z[i][classes[i]]. x is rows x cols; classes and losses
/// have one element per row.
///
/// Losses are never below 0. Fails with MANTEX_ERROR_ELEMENT if a class is neither below cols
/// nor MANTEX_IGNORED.
mantex_status mantex_cross_entropy_rows_f32(size_t rows,
                                            size_t cols,
                                            const float *x,
                                            size_t x_stride,
                                            const size_t *classes,
                                            float *losses,
                                            const struct mantex_softmax_options_f32 *options);

/// The same as mantex_cross_entropy_rows_f32(), for double.
mantex_status mantex_cross_entropy_rows_f64(size_t rows,
                                            size_t cols,
                                            const double *x,
                                            size_t x_stride,
                                            const size_t *classes,
                                            double *losses,
                                            const struct mantex_softmax_options_f64 *options);

/// Computes the losses of mantex_cross_entropy_rows_f32(), and the gradient of weight times
/// their sum: gradient[i][j] = weight * (softmax(z_i)[j] - (j == classes[i])), rows x cols. For
/// the mean of the losses, weight is 1 / rows.
///
/// The gradient is that with respect to z = scale * x + mask; for x, multiply weight by scale.
/// Fails with MANTEX_ERROR_PARAMETER if weight is not finite.
mantex_status mantex_cross_entropy_gradient_rows_f32(size_t rows,
                                                     size_t cols,
                                                     const float *x,
                                                     size_t x_stride,
                                                     const size_t *classes,
                                                     float weight,
                                                     float *losses,
                                                     float *gradient,
                                                     size_t gradient_stride,
                                                     const struct mantex_softmax_options_f32 *options);

/// The same as mantex_cross_entropy_gradient_rows_f32(), for double.
mantex_status mantex_cross_entropy_gradient_rows_f64(size_t rows,
                                                     size_t cols,
                                                     const double *x,
                                                     size_t x_stride,
                                                     const size_t *classes,
                                                     double weight,
                                                     double *losses,
                                                     double *gradient,
                                                     size_t gradient_stride,
                                                     const struct mantex_softmax_options_f64 *options);

/// Computes the gradient of a loss with respect to n logits, given their softmax y and the
/// gradient dy with respect to y: dx[j] = y[j] * (dy[j] - sum_i y[i] * dy[i]).
mantex_status mantex_softmax_backward_f32(size_t n,
                                          const float *y,
                                          const float *dy,
                                          float *dx,
                                          mantex_isa isa);

/// The same as mantex_softmax_backward_f32(), for double.
mantex_status mantex_softmax_backward_f64(size_t n,
                                          const double *y,
                                          const double *dy,
                                          double *dx,
                                          mantex_isa isa);

/// Computes the gradient of a loss with respect to n logits, given their log-softmax y and the
/// gradient dy with respect to y: dx[j] = dy[j] - exp(y[j]) * sum_i dy[i].
mantex_status mantex_log_softmax_backward_f32(size_t n,
                                              const float *y,
                                              const float *dy,
                                              float *dx,
                                              mantex_isa isa);

/// The same as mantex_log_softmax_backward_f32(), for double.
mantex_status mantex_log_softmax_backward_f64(size_t n,
                                              const double *y,
                                              const double *dy,
                                              double *dx,
                                              mantex_isa isa);

/// Computes mantex_softmax_backward_f32() for every row: y, dy and dx are rows x cols.
mantex_status mantex_softmax_backward_rows_f32(size_t rows,
                                               size_t cols,
                                               const float *y,
                                               size_t y_stride,
                                               const float *dy,
                                               size_t dy_stride,
                                               float *dx,
                                               size_t dx_stride,
                                               mantex_isa isa);

/// The same as mantex_softmax_backward_rows_f32(), for double.
mantex_status mantex_softmax_backward_rows_f64(size_t rows,
                                               size_t cols,
                                               const double *y,
                                               size_t y_stride,
                                               const double *dy,
                                               size_t dy_stride,
                                               double *dx,
                                               size_t dx_stride,
                                               mantex_isa isa);

/// Computes mantex_log_softmax_backward_f32() for every row: y, dy and dx are rows x cols.
mantex_status mantex_log_softmax_backward_rows_f32(size_t rows,
                                                   size_t cols,
                                                   const float *y,
                                                   size_t y_stride,
                                                   const float *dy,
                                                   size_t dy_stride,
                                                   float *dx,
                                                   size_t dx_stride,
                                                   mantex_isa isa);

/// The same as mantex_log_softmax_backward_rows_f32(), for double.
mantex_status mantex_log_softmax_backward_rows_f64(size_t rows,
                                                   size_t cols,
                                                   const double *y,
                                                   size_t y_stride,
                                                   const double *dy,
                                                   size_t dy_stride,
                                                   double *dx,
                                                   size_t dx_stride,
                                                   mantex_isa isa);

/// Computes the StableMax of n numbers: out[i] = s(x[i]) / sum_j s(x[j]) with s(x) = 1 + x for
/// x >= 0 and s(x) = 1 / (1 - x) for x < 0.
///
/// Normal results have an error of at most 4 ulp. Special values are treated as by softmax.
mantex_status mantex_stablemax_f32(size_t n, const float *x, float *out, mantex_isa isa);

/// The same as mantex_stablemax_f32(), for double.
mantex_status mantex_stablemax_f64(size_t n, const double *x, double *out, mantex_isa isa);

/// Computes the logarithm of the StableMax of n numbers.
///
/// The error is at most 4 ulp of the larger of 1 and the result.
mantex_status mantex_log_stablemax_f32(size_t n, const float *x, float *out, mantex_isa isa);

/// The same as mantex_log_stablemax_f32(), for double.
mantex_status mantex_log_stablemax_f64(size_t n, const double *x, double *out, mantex_isa isa);

/// Computes the gradient of a loss with respect to n logits x, given the gradient dy with
/// respect to their StableMax y: dx[j] = s'(x[j]) / S * (dy[j] - sum_i dy[i] * y[i]) with
/// S = sum_i s(x[i]).
mantex_status mantex_stablemax_backward_f32(size_t n,
                                            const float *x,
                                            const float *dy,
                                            float *dx,
                                            mantex_isa isa);

/// The same as mantex_stablemax_backward_f32(), for double.
mantex_status mantex_stablemax_backward_f64(size_t n,
                                            const double *x,
                                            const double *dy,
                                            double *dx,
                                            mantex_isa isa);

/// Computes the gradient of a loss with respect to n logits x, given the gradient dy with
/// respect to the logarithm of their StableMax:
/// dx[j] = dy[j] / (1 + |x[j]|) - s'(x[j]) / S * sum_i dy[i].
mantex_status mantex_log_stablemax_backward_f32(size_t n,
                                                const float *x,
                                                const float *dy,
                                                float *dx,
                                                mantex_isa isa);

/// The same as mantex_log_stablemax_backward_f32(), for double.
mantex_status mantex_log_stablemax_backward_f64(size_t n,
                                                const double *x,
                                                const double *dy,
                                                double *dx,
                                                mantex_isa isa);

/// Computes mantex_stablemax_f32() for every row: x and out are rows x cols.
mantex_status mantex_stablemax_rows_f32(size_t rows,
                                        size_t cols,
                                        const float *x,
                                        size_t x_stride,
                                        float *out,
                                        size_t out_stride,
                                        mantex_isa isa);

/// The same as mantex_stablemax_rows_f32(), for double.
mantex_status mantex_stablemax_rows_f64(size_t rows,
                                        size_t cols,
                                        const double *x,
                                        size_t x_stride,
                                        double *out,
                                        size_t out_stride,
                                        mantex_isa isa);

/// Computes mantex_log_stablemax_f32() for every row: x and out are rows x cols.
mantex_status mantex_log_stablemax_rows_f32(size_t rows,
                                            size_t cols,
                                            const float *x,
                                            size_t x_stride,
                                            float *out,
                                            size_t out_stride,
                                            mantex_isa isa);

/// The same as mantex_log_stablemax_rows_f32(), for double.
mantex_status mantex_log_stablemax_rows_f64(size_t rows,
                                            size_t cols,
                                            const double *x,
                                            size_t x_stride,
                                            double *out,
                                            size_t out_stride,
                                            mantex_isa isa);

/// Computes mantex_stablemax_backward_f32() for every row: x, dy and dx are rows x cols.
mantex_status mantex_stablemax_backward_rows_f32(size_t rows,
                                                 size_t cols,
                                                 const float *x,
                                                 size_t x_stride,
                                                 const float *dy,
                                                 size_t dy_stride,
                                                 float *dx,
                                                 size_t dx_stride,
                                                 mantex_isa isa);

/// The same as mantex_stablemax_backward_rows_f32(), for double.
mantex_status mantex_stablemax_backward_rows_f64(size_t rows,
                                                 size_t cols,
                                                 const double *x,
                                                 size_t x_stride,
                                                 const double *dy,
                                                 size_t dy_stride,
                                                 double *dx,
                                                 size_t dx_stride,
                                                 mantex_isa isa);

/// Computes mantex_log_stablemax_backward_f32() for every row: x, dy and dx are rows x cols.
mantex_status mantex_log_stablemax_backward_rows_f32(size_t rows,
                                                     size_t cols,
                                                     const float *x,
                                                     size_t x_stride,
                                                     const float *dy,
                                                     size_t dy_stride,
                                                     float *dx,
                                                     size_t dx_stride,
                                                     mantex_isa isa);

/// The same as mantex_log_stablemax_backward_rows_f32(), for double.
mantex_status mantex_log_stablemax_backward_rows_f64(size_t rows,
                                                     size_t cols,
                                                     const double *x,
                                                     size_t x_stride,
                                                     const double *dy,
                                                     size_t dy_stride,
                                                     double *dx,
                                                     size_t dx_stride,
                                                     mantex_isa isa);

/// Writes the sum of the exponentials of n numbers to *out; the empty sum if n is 0.
mantex_status mantex_ext_sum_of_f32(size_t n,
                                    const float *x,
                                    struct mantex_ext_sum_f32 *out,
                                    mantex_isa isa);

/// The same as mantex_ext_sum_of_f32(), for double.
mantex_status mantex_ext_sum_of_f64(size_t n,
                                    const double *x,
                                    struct mantex_ext_sum_f64 *out,
                                    mantex_isa isa);

/// Adds another sum to *sum. Merging is commutative, and associative up to rounding.
mantex_status mantex_ext_sum_merge_f32(struct mantex_ext_sum_f32 *sum,
                                       const struct mantex_ext_sum_f32 *other);

/// The same as mantex_ext_sum_merge_f32(), for double.
mantex_status mantex_ext_sum_merge_f64(struct mantex_ext_sum_f64 *sum,
                                       const struct mantex_ext_sum_f64 *other);

/// Writes the logarithm of a sum to *out; -inf for the empty sum.
mantex_status mantex_ext_sum_ln_f32(const struct mantex_ext_sum_f32 *sum, float *out);

/// The same as mantex_ext_sum_ln_f32(), for double.
mantex_status mantex_ext_sum_ln_f64(const struct mantex_ext_sum_f64 *sum, double *out);

/// Sets the initial values of the options, and epsilon.
mantex_status mantex_sinkhorn_options_init(struct mantex_sinkhorn_options *options, double epsilon);

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
mantex_status mantex_sinkhorn_solve_f32(size_t rows,
                                        size_t cols,
                                        const float *cost,
                                        size_t cost_stride,
                                        const float *a,
                                        const float *b,
                                        const struct mantex_sinkhorn_options *options,
                                        struct mantex_transport **transport);

/// The same as mantex_sinkhorn_solve_f32(), for double.
mantex_status mantex_sinkhorn_solve_f64(size_t rows,
                                        size_t cols,
                                        const double *cost,
                                        size_t cost_stride,
                                        const double *a,
                                        const double *b,
                                        const struct mantex_sinkhorn_options *options,
                                        struct mantex_transport **transport);

/// Writes the plan of a solution, rows x cols, in the units of the masses. cost must be the
/// matrix that was solved.
///
/// Fails with MANTEX_ERROR_SHAPE if rows or cols differ from those of the problem.
mantex_status mantex_transport_plan_f32(const struct mantex_transport *transport,
                                        size_t rows,
                                        size_t cols,
                                        const float *cost,
                                        size_t cost_stride,
                                        float *out,
                                        size_t out_stride);

/// The same as mantex_transport_plan_f32(), for double.
mantex_status mantex_transport_plan_f64(const struct mantex_transport *transport,
                                        size_t rows,
                                        size_t cols,
                                        const double *cost,
                                        size_t cost_stride,
                                        double *out,
                                        size_t out_stride);

/// Calls on_entry with all entries of the plan above a threshold, row by row, without storing
/// the plan. cost must be the matrix that was solved.
///
/// Fails with MANTEX_ERROR_PARAMETER if the threshold is negative or NaN.
mantex_status mantex_transport_plan_entries_f32(const struct mantex_transport *transport,
                                                size_t rows,
                                                size_t cols,
                                                const float *cost,
                                                size_t cost_stride,
                                                float threshold,
                                                mantex_plan_entry_callback on_entry,
                                                void *user_data);

/// The same as mantex_transport_plan_entries_f32(), for double.
mantex_status mantex_transport_plan_entries_f64(const struct mantex_transport *transport,
                                                size_t rows,
                                                size_t cols,
                                                const double *cost,
                                                size_t cost_stride,
                                                double threshold,
                                                mantex_plan_entry_callback on_entry,
                                                void *user_data);

/// Computes the costs, the entropy, the primal and the dual value, and the duality gap of a
/// solution. cost must be the matrix that was solved.
mantex_status mantex_transport_objective_f32(const struct mantex_transport *transport,
                                             size_t rows,
                                             size_t cols,
                                             const float *cost,
                                             size_t cost_stride,
                                             struct mantex_objective *out);

/// The same as mantex_transport_objective_f32(), for double.
mantex_status mantex_transport_objective_f64(const struct mantex_transport *transport,
                                             size_t rows,
                                             size_t cols,
                                             const double *cost,
                                             size_t cost_stride,
                                             struct mantex_objective *out);

/// Writes the product of the plan and a matrix: out = P y with y cols x d and out rows x d.
/// cost must be the matrix that was solved.
mantex_status mantex_transport_plan_times_f32(const struct mantex_transport *transport,
                                              size_t rows,
                                              size_t cols,
                                              const float *cost,
                                              size_t cost_stride,
                                              size_t d,
                                              const float *y,
                                              size_t y_stride,
                                              float *out,
                                              size_t out_stride);

/// The same as mantex_transport_plan_times_f32(), for double.
mantex_status mantex_transport_plan_times_f64(const struct mantex_transport *transport,
                                              size_t rows,
                                              size_t cols,
                                              const double *cost,
                                              size_t cost_stride,
                                              size_t d,
                                              const double *y,
                                              size_t y_stride,
                                              double *out,
                                              size_t out_stride);

/// Writes the product of the transposed plan and a matrix: out = P^T x with x rows x d and out
/// cols x d. cost must be the matrix that was solved.
mantex_status mantex_transport_plan_transposed_times_f32(const struct mantex_transport *transport,
                                                         size_t rows,
                                                         size_t cols,
                                                         const float *cost,
                                                         size_t cost_stride,
                                                         size_t d,
                                                         const float *x,
                                                         size_t x_stride,
                                                         float *out,
                                                         size_t out_stride);

/// The same as mantex_transport_plan_transposed_times_f32(), for double.
mantex_status mantex_transport_plan_transposed_times_f64(const struct mantex_transport *transport,
                                                         size_t rows,
                                                         size_t cols,
                                                         const double *cost,
                                                         size_t cost_stride,
                                                         size_t d,
                                                         const double *x,
                                                         size_t x_stride,
                                                         double *out,
                                                         size_t out_stride);

/// Writes where the plan sends each row: the mean of the points y (cols x d) with the row of
/// the plan as weights. out is rows x d, and 0 in rows without mass. cost must be the matrix
/// that was solved.
mantex_status mantex_transport_barycentric_projection_f32(const struct mantex_transport *transport,
                                                          size_t rows,
                                                          size_t cols,
                                                          const float *cost,
                                                          size_t cost_stride,
                                                          size_t d,
                                                          const float *y,
                                                          size_t y_stride,
                                                          float *out,
                                                          size_t out_stride);

/// The same as mantex_transport_barycentric_projection_f32(), for double.
mantex_status mantex_transport_barycentric_projection_f64(const struct mantex_transport *transport,
                                                          size_t rows,
                                                          size_t cols,
                                                          const double *cost,
                                                          size_t cost_stride,
                                                          size_t d,
                                                          const double *y,
                                                          size_t y_stride,
                                                          double *out,
                                                          size_t out_stride);

/// Frees a solution. NULL is allowed.
void mantex_transport_free(struct mantex_transport *transport);

/// Returns why the solve ended.
mantex_solve_status mantex_transport_status(const struct mantex_transport *transport);

/// Returns 1 if the solve has converged, and 0 otherwise.
int mantex_transport_converged(const struct mantex_transport *transport);

/// Returns the number of iterations done; 0 for NULL.
size_t mantex_transport_iterations(const struct mantex_transport *transport);

/// Returns the measured L1 error of the marginals relative to the total mass; NaN for NULL.
double mantex_transport_marginal_error(const struct mantex_transport *transport);

/// Returns the transport cost, sum_ij C_ij P_ij; NaN for NULL.
double mantex_transport_cost(const struct mantex_transport *transport);

/// Returns the number of rows; 0 for NULL.
size_t mantex_transport_rows(const struct mantex_transport *transport);

/// Returns the number of columns; 0 for NULL.
size_t mantex_transport_cols(const struct mantex_transport *transport);

/// Returns the row potentials, in the units of the cost, -inf in rows without mass. The array has
/// one element per row, belongs to the handle, and lives as long. NULL for NULL.
const double *mantex_transport_f(const struct mantex_transport *transport);

/// Returns the column potentials, as mantex_transport_f() those of the rows.
const double *mantex_transport_g(const struct mantex_transport *transport);

/// Computes the entries of a plan above a threshold, in the units of the masses, as compressed
/// sparse rows: all that are not 0 if the threshold is 0. cost must be the matrix that was
/// solved. On success *plan is a new handle.
///
/// Fails with MANTEX_ERROR_SHAPE if rows or cols differ from those of the problem, and with
/// MANTEX_ERROR_PARAMETER if the threshold is negative or NaN or there are more than 2^32
/// columns.
mantex_status mantex_transport_plan_csr_f32(const struct mantex_transport *transport,
                                            size_t rows,
                                            size_t cols,
                                            const float *cost,
                                            size_t cost_stride,
                                            float threshold,
                                            struct mantex_csr_plan **plan);

/// The same as mantex_transport_plan_csr_f32(), for double.
mantex_status mantex_transport_plan_csr_f64(const struct mantex_transport *transport,
                                            size_t rows,
                                            size_t cols,
                                            const double *cost,
                                            size_t cost_stride,
                                            double threshold,
                                            struct mantex_csr_plan **plan);

/// Frees a plan. NULL is allowed.
void mantex_csr_plan_free(struct mantex_csr_plan *plan);

/// Returns the number of rows; 0 for NULL.
size_t mantex_csr_plan_rows(const struct mantex_csr_plan *plan);

/// Returns the number of columns; 0 for NULL.
size_t mantex_csr_plan_cols(const struct mantex_csr_plan *plan);

/// Returns the number of entries; 0 for NULL.
size_t mantex_csr_plan_len(const struct mantex_csr_plan *plan);

/// Returns the bounds of the rows: one more than there are rows, from 0 to the number of entries.
/// The array belongs to the handle and lives as long. NULL for NULL.
const size_t *mantex_csr_plan_row_pointers(const struct mantex_csr_plan *plan);

/// Returns the columns of the entries, increasing within each row. The array belongs to the handle
/// and lives as long. NULL for NULL.
const uint32_t *mantex_csr_plan_columns(const struct mantex_csr_plan *plan);

/// Returns the entries of a plan of float: the masses that move from the row to the column. The
/// array belongs to the handle and lives as long. NULL for NULL and for a plan of double.
const float *mantex_csr_plan_masses_f32(const struct mantex_csr_plan *plan);

/// The same as mantex_csr_plan_masses_f32(), for double.
const double *mantex_csr_plan_masses_f64(const struct mantex_csr_plan *plan);

/// Solves many problems on one cost matrix (rows x cols). a is a_rows x rows and b is b_rows x
/// cols: one row of masses per problem, or one row that all problems share. The problems are
/// iterated together, without over-relaxation, epsilon scaling, warm start and callback. Those
/// that need more accuracy, or are slow, are then solved as by mantex_sinkhorn_solve_f32() with
/// these options, but for warm start and callback. A problem is slow if it has not converged
/// after 500 iterations, unless over_relaxation is MANTEX_CHOICE_OFF or tolerance is 0.
///
/// On success *batch is a new handle. The errors are those of mantex_sinkhorn_solve_f32().
mantex_status mantex_sinkhorn_solve_batch_f32(size_t rows,
                                              size_t cols,
                                              const float *cost,
                                              size_t cost_stride,
                                              size_t a_rows,
                                              const float *a,
                                              size_t a_stride,
                                              size_t b_rows,
                                              const float *b,
                                              size_t b_stride,
                                              const struct mantex_sinkhorn_options *options,
                                              struct mantex_transport_batch **batch);

/// The same as mantex_sinkhorn_solve_batch_f32(), for double.
mantex_status mantex_sinkhorn_solve_batch_f64(size_t rows,
                                              size_t cols,
                                              const double *cost,
                                              size_t cost_stride,
                                              size_t a_rows,
                                              const double *a,
                                              size_t a_stride,
                                              size_t b_rows,
                                              const double *b,
                                              size_t b_stride,
                                              const struct mantex_sinkhorn_options *options,
                                              struct mantex_transport_batch **batch);

/// Gives the potentials of a problem: *f points to one number per row, *g to one per column, as
/// long as the handle lives.
///
/// Fails with MANTEX_ERROR_PARAMETER if the batch has no such problem.
mantex_status mantex_transport_batch_potentials_f32(const struct mantex_transport_batch *batch,
                                                    size_t problem,
                                                    const float **f,
                                                    const float **g);

/// The same as mantex_transport_batch_potentials_f32(), for double.
mantex_status mantex_transport_batch_potentials_f64(const struct mantex_transport_batch *batch,
                                                    size_t problem,
                                                    const double **f,
                                                    const double **g);

/// Frees a batch. NULL is allowed.
void mantex_transport_batch_free(struct mantex_transport_batch *batch);

/// Returns the number of problems; 0 for NULL.
size_t mantex_transport_batch_len(const struct mantex_transport_batch *batch);

/// Returns why the solve of a problem ended.
mantex_solve_status mantex_transport_batch_status(const struct mantex_transport_batch *batch,
                                                  size_t problem);

/// Returns 1 if the solve of a problem has converged, and 0 otherwise.
int mantex_transport_batch_converged(const struct mantex_transport_batch *batch, size_t problem);

/// Returns the number of iterations of a problem; 0 if there is no such problem.
size_t mantex_transport_batch_iterations(const struct mantex_transport_batch *batch,
                                         size_t problem);

/// Returns the L1 error of the marginals of a problem relative to its total mass; NaN if there is
/// no such problem.
double mantex_transport_batch_marginal_error(const struct mantex_transport_batch *batch,
                                             size_t problem);

/// Returns the dual value of a problem, sum_i f_i a_i + sum_j g_j b_j; NaN if there is no such
/// problem.
double mantex_transport_batch_value(const struct mantex_transport_batch *batch, size_t problem);

/// Sets the initial values of the options, and gamma.
mantex_status mantex_sparse_transport_options_init(struct mantex_sparse_transport_options *options,
                                                   double gamma);

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
mantex_status mantex_sparse_transport_solve_f32(size_t rows,
                                                size_t cols,
                                                const float *cost,
                                                size_t cost_stride,
                                                const float *a,
                                                const float *b,
                                                const struct mantex_sparse_transport_options *options,
                                                struct mantex_sparse_solution **solution);

/// The same as mantex_sparse_transport_solve_f32(), for double.
mantex_status mantex_sparse_transport_solve_f64(size_t rows,
                                                size_t cols,
                                                const double *cost,
                                                size_t cost_stride,
                                                const double *a,
                                                const double *b,
                                                const struct mantex_sparse_transport_options *options,
                                                struct mantex_sparse_solution **solution);

/// Writes the plan of a solution, rows x cols, in the units of the masses.
///
/// Fails with MANTEX_ERROR_SHAPE if rows or cols differ from those of the problem.
mantex_status mantex_sparse_solution_plan_f32(const struct mantex_sparse_solution *solution,
                                              size_t rows,
                                              size_t cols,
                                              float *out,
                                              size_t out_stride);

/// The same as mantex_sparse_solution_plan_f32(), for double.
mantex_status mantex_sparse_solution_plan_f64(const struct mantex_sparse_solution *solution,
                                              size_t rows,
                                              size_t cols,
                                              double *out,
                                              size_t out_stride);

/// Copies the plan of a solution, in the units of the masses, as compressed sparse rows. On
/// success *plan is a new handle, which may outlive the solution.
mantex_status mantex_sparse_solution_plan_csr_f32(const struct mantex_sparse_solution *solution,
                                                  struct mantex_csr_plan **plan);

/// The same as mantex_sparse_solution_plan_csr_f32(), for double.
mantex_status mantex_sparse_solution_plan_csr_f64(const struct mantex_sparse_solution *solution,
                                                  struct mantex_csr_plan **plan);

/// Frees a solution. NULL is allowed.
void mantex_sparse_solution_free(struct mantex_sparse_solution *solution);

/// Returns why the solve ended.
mantex_solve_status mantex_sparse_solution_status(const struct mantex_sparse_solution *solution);

/// Returns 1 if the solve has converged, and 0 otherwise.
int mantex_sparse_solution_converged(const struct mantex_sparse_solution *solution);

/// Returns the number of iterations done; 0 for NULL.
size_t mantex_sparse_solution_iterations(const struct mantex_sparse_solution *solution);

/// Returns the L1 error of the marginals relative to the total mass; NaN for NULL.
double mantex_sparse_solution_marginal_error(const struct mantex_sparse_solution *solution);

/// Returns the transport cost, sum_ij C_ij P_ij; NaN for NULL.
double mantex_sparse_solution_cost(const struct mantex_sparse_solution *solution);

/// Returns the value that the plan minimizes, sum_ij C_ij P_ij + gamma / 2 * sum_ij P_ij^2; NaN for
/// NULL.
double mantex_sparse_solution_value(const struct mantex_sparse_solution *solution);

/// Returns the dual value: up to rounding errors, a lower bound of the value of every plan with
/// these marginals and at most max_entries_per_row entries per row. NaN for NULL.
double mantex_sparse_solution_dual_value(const struct mantex_sparse_solution *solution);

/// Returns the number of rows; 0 for NULL.
size_t mantex_sparse_solution_rows(const struct mantex_sparse_solution *solution);

/// Returns the number of columns; 0 for NULL.
size_t mantex_sparse_solution_cols(const struct mantex_sparse_solution *solution);

/// Returns the row potentials, in the units of the cost, -inf in rows without mass. The array has
/// one element per row, belongs to the handle, and lives as long. NULL for NULL.
const double *mantex_sparse_solution_f(const struct mantex_sparse_solution *solution);

/// Returns the column potentials, as mantex_sparse_solution_f() those of the rows.
const double *mantex_sparse_solution_g(const struct mantex_sparse_solution *solution);

/// Sets the initial values of the options, and k.
mantex_status mantex_kmedoids_options_init(struct mantex_kmedoids_options *options, size_t k);

/// Clusters n objects by their n x n dissimilarities: finds k medoids m with a low loss
/// sum_j w[j] * min_c d[m_c][j]. Row i holds the dissimilarity of every object to object i. The
/// matrix need not be symmetric. weights has one number per object; NULL means 1 for all.
///
/// On success *clustering is a new handle. Fails with MANTEX_ERROR_PARAMETER unless k is from 1
/// to n, with MANTEX_ERROR_ELEMENT if a dissimilarity or weight is negative or not finite, or
/// if an initial medoid is not below n or is given twice, with MANTEX_ERROR_SHAPE if all
/// weights are 0, and with MANTEX_ERROR_SUM if the loss overflows.
mantex_status mantex_kmedoids_fit_f32(size_t n,
                                      const float *dissimilarities,
                                      size_t dissimilarities_stride,
                                      const float *weights,
                                      const struct mantex_kmedoids_options *options,
                                      struct mantex_clustering **clustering);

/// The same as mantex_kmedoids_fit_f32(), for double.
mantex_status mantex_kmedoids_fit_f64(size_t n,
                                      const double *dissimilarities,
                                      size_t dissimilarities_stride,
                                      const double *weights,
                                      const struct mantex_kmedoids_options *options,
                                      struct mantex_clustering **clustering);

/// The same as mantex_kmedoids_fit_f32() with condensed dissimilarities: the upper triangle
/// without the diagonal, row by row, n (n - 1) / 2 numbers, as SciPy's pdist returns them. It
/// allocates the n x n matrix.
mantex_status mantex_kmedoids_fit_condensed_f32(size_t n,
                                                const float *condensed,
                                                const float *weights,
                                                const struct mantex_kmedoids_options *options,
                                                struct mantex_clustering **clustering);

/// The same as mantex_kmedoids_fit_condensed_f32(), for double.
mantex_status mantex_kmedoids_fit_condensed_f64(size_t n,
                                                const double *condensed,
                                                const double *weights,
                                                const struct mantex_kmedoids_options *options,
                                                struct mantex_clustering **clustering);

/// Writes the symmetric n x n matrix of condensed dissimilarities: the upper triangle without
/// the diagonal, row by row, n (n - 1) / 2 numbers, as SciPy's pdist returns them.
mantex_status mantex_expand_condensed_f32(size_t n,
                                          const float *condensed,
                                          float *out,
                                          size_t out_stride);

/// The same as mantex_expand_condensed_f32(), for double.
mantex_status mantex_expand_condensed_f64(size_t n,
                                          const double *condensed,
                                          double *out,
                                          size_t out_stride);

/// Finds the nearest of k medoids for each of n new objects. dissimilarities is n x k, one
/// column per medoid; labels and distances have n elements: the column of the smallest element
/// of each row, and the element.
///
/// Fails with MANTEX_ERROR_SHAPE if k is 0, and with MANTEX_ERROR_ELEMENT if a dissimilarity is
/// negative or not finite.
mantex_status mantex_assign_f32(size_t n,
                                size_t k,
                                const float *dissimilarities,
                                size_t dissimilarities_stride,
                                size_t *labels,
                                float *distances,
                                mantex_isa isa);

/// The same as mantex_assign_f32(), for double.
mantex_status mantex_assign_f64(size_t n,
                                size_t k,
                                const double *dissimilarities,
                                size_t dissimilarities_stride,
                                size_t *labels,
                                double *distances,
                                mantex_isa isa);

/// The same as mantex_assign_f32() with the medoids of a clustering, on its instruction set. k
/// must be that of the clustering.
mantex_status mantex_clustering_predict_f32(const struct mantex_clustering *clustering,
                                            size_t n,
                                            size_t k,
                                            const float *dissimilarities,
                                            size_t dissimilarities_stride,
                                            size_t *labels,
                                            float *distances);

/// The same as mantex_clustering_predict_f32(), for double.
mantex_status mantex_clustering_predict_f64(const struct mantex_clustering *clustering,
                                            size_t n,
                                            size_t k,
                                            const double *dissimilarities,
                                            size_t dissimilarities_stride,
                                            size_t *labels,
                                            double *distances);

/// Writes the silhouette of each of n objects, (b - a) / max(a, b), and the mean to *mean. Here
/// a is the object's mean dissimilarity to the others of its cluster, and b the smallest of its
/// means to other clusters. dissimilarities is n x n; labels, weights and out have n elements;
/// with weights, all means are weighted, and NULL means 1 for all.
///
/// Fails with MANTEX_ERROR_SHAPE if n is 0 or fewer than two clusters have objects, and with
/// MANTEX_ERROR_ELEMENT if a label is not below n, or a dissimilarity or weight is negative or
/// not finite.
mantex_status mantex_silhouette_f32(size_t n,
                                    const float *dissimilarities,
                                    size_t dissimilarities_stride,
                                    const size_t *labels,
                                    const float *weights,
                                    float *out,
                                    double *mean,
                                    mantex_isa isa);

/// The same as mantex_silhouette_f32(), for double.
mantex_status mantex_silhouette_f64(size_t n,
                                    const double *dissimilarities,
                                    size_t dissimilarities_stride,
                                    const size_t *labels,
                                    const double *weights,
                                    double *out,
                                    double *mean,
                                    mantex_isa isa);

/// Writes the medoid silhouette of each of n objects, 1 - d1 / d2, and the mean to *mean. Here
/// d1 and d2 are the object's dissimilarities to its nearest and second nearest of k medoids.
/// dissimilarities is n x n; medoids has k elements; weights, for the mean, and out have n;
/// NULL weights mean 1 for all.
///
/// Fails with MANTEX_ERROR_SHAPE if k is below 2, and with MANTEX_ERROR_ELEMENT if a medoid is
/// not below n or is given twice, or a dissimilarity or weight is negative or not finite.
mantex_status mantex_medoid_silhouette_f32(size_t n,
                                           const float *dissimilarities,
                                           size_t dissimilarities_stride,
                                           size_t k,
                                           const size_t *medoids,
                                           const float *weights,
                                           float *out,
                                           double *mean,
                                           mantex_isa isa);

/// The same as mantex_medoid_silhouette_f32(), for double.
mantex_status mantex_medoid_silhouette_f64(size_t n,
                                           const double *dissimilarities,
                                           size_t dissimilarities_stride,
                                           size_t k,
                                           const size_t *medoids,
                                           const double *weights,
                                           double *out,
                                           double *mean,
                                           mantex_isa isa);

/// Frees a clustering. NULL is allowed.
void mantex_clustering_free(struct mantex_clustering *clustering);

/// Returns the number of objects; 0 for NULL.
size_t mantex_clustering_n(const struct mantex_clustering *clustering);

/// Returns the number of clusters; 0 for NULL.
size_t mantex_clustering_k(const struct mantex_clustering *clustering);

/// Returns the k medoids. The array belongs to the handle and lives as long. NULL for NULL.
const size_t *mantex_clustering_medoids(const struct mantex_clustering *clustering);

/// Returns the labels of the n objects: indices of medoids. A medoid has the label of its own
/// cluster. The array belongs to the handle and lives as long. NULL for NULL.
const size_t *mantex_clustering_labels(const struct mantex_clustering *clustering);

/// Returns the loss; NaN for NULL.
double mantex_clustering_loss(const struct mantex_clustering *clustering);

/// Returns the number of swaps; 0 for NULL.
size_t mantex_clustering_swaps(const struct mantex_clustering *clustering);

/// Returns the number of iterations; 0 for NULL.
size_t mantex_clustering_iterations(const struct mantex_clustering *clustering);

/// Returns the number of candidates that were evaluated; 0 for NULL.
size_t mantex_clustering_evaluated(const struct mantex_clustering *clustering);

/// Returns 1 if the search ended because nothing was left to improve, and 0 otherwise.
int mantex_clustering_converged(const struct mantex_clustering *clustering);

/// Computes the distances of all pairs of n points with d coordinates: points is n x d, out is
/// n x n, exactly symmetric with a diagonal of 0. mantex_kmedoids_fit_f32() takes it.
///
/// Distances are accurate to a few ulp, also of near points far from the origin. Fails with
/// MANTEX_ERROR_SHAPE if n or d is 0, and with MANTEX_ERROR_ELEMENT if a coordinate is not
/// finite or a cosine is undefined.
mantex_status mantex_distance_matrix_f32(size_t n,
                                         size_t d,
                                         const float *points,
                                         size_t points_stride,
                                         float *out,
                                         size_t out_stride,
                                         mantex_metric metric,
                                         mantex_isa isa);

/// The same as mantex_distance_matrix_f32(), for double.
mantex_status mantex_distance_matrix_f64(size_t n,
                                         size_t d,
                                         const double *points,
                                         size_t points_stride,
                                         double *out,
                                         size_t out_stride,
                                         mantex_metric metric,
                                         mantex_isa isa);

/// Computes the distances between n points x (n x d) and m points y (m x d): out is n x m. With
/// the medoids in y, mantex_clustering_predict_f32() takes it; it is also a cost matrix of
/// mantex_sinkhorn_solve_f32().
///
/// Fails as mantex_distance_matrix_f32() does.
mantex_status mantex_distance_matrix_between_f32(size_t n,
                                                 size_t m,
                                                 size_t d,
                                                 const float *x,
                                                 size_t x_stride,
                                                 const float *y,
                                                 size_t y_stride,
                                                 float *out,
                                                 size_t out_stride,
                                                 mantex_metric metric,
                                                 mantex_isa isa);

/// The same as mantex_distance_matrix_between_f32(), for double.
mantex_status mantex_distance_matrix_between_f64(size_t n,
                                                 size_t m,
                                                 size_t d,
                                                 const double *x,
                                                 size_t x_stride,
                                                 const double *y,
                                                 size_t y_stride,
                                                 double *out,
                                                 size_t out_stride,
                                                 mantex_metric metric,
                                                 mantex_isa isa);

#ifdef __cplusplus
} // extern "C"
#endif // __cplusplus

#endif /* MANTEX_H */
