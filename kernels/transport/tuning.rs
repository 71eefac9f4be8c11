//! The tuned constants of the transport family, each with its measurement or the reason for its
//! value.
//!
//! "Zen 4" is one core of a virtual server (AMD EPYC, 1 MiB of second-level cache, AVX-512),
//! measured on 2026-11-25 by `cargo bench --bench transport -- ratios`.

/// The number of rows that share one load of the column potentials, and one load and one store of
/// the column sums. On Zen 4, loops over 8 rows are half as fast: they are not unrolled, or keep
/// addresses on the stack.
pub(crate) const BLOCK_ROWS: usize = 4;

/// The largest Gibbs matrix in bytes that is taken to be in the caches: scaling then prefetches
/// nothing, and adds each block in a loop of its own. Not measured: about the last-level cache that
/// one core of a server has to itself. Beyond it, on Zen 4 and for 4096 x 4096 f32, a scaling
/// iteration takes 0.18 ns per entry with prefetches and 0.25 without; a read alone takes 0.15. For
/// 1024 x 1024 it takes 0.089 ns, with prefetches 0.093, and with one loop in addition 0.11.
pub(crate) const CACHED_BYTES: usize = 16 << 20;

/// The smallest distance from the rows of a matrix to the rows that are prefetched, in bytes: at
/// least the next block. On Zen 4 and for 100,000 x 100 f32, a log-domain iteration takes 0.53 ns
/// per entry with the next block and 0.39 with 8 KiB to 128 KiB.
pub(crate) const PREFETCH_BYTES: usize = 16 << 10;

/// The largest block of rows in bytes that is prefetched while the block before it is evaluated.
/// Beyond it, each row is prefetched a quarter of [`PREFETCH_BYTES`] ahead. On Zen 4 and for
/// 100 x 100,000 f32, a log-domain iteration takes 0.92 of the time that it takes with the next
/// block (two builds in one process, 2026-11-27). The value is not measured: a quarter of the
/// second-level cache, which also holds the block itself.
pub(crate) const MAX_PREFETCHED_BLOCK_BYTES: usize = 256 << 10;

/// The largest quantum of potentials whose remainders become factors. The factors are then from
/// 0.95 to 1.05, and move no sum out of its range.
pub(crate) const MAX_QUANTUM: f64 = 0.125;

/// The largest block of rows in bytes that is added to the column sums in a loop of its own, where
/// the registers do not suffice for both loops in one: half of the first-level cache. On Zen 4 with
/// AVX2 and f32, a log-domain iteration takes 0.96, 0.95 and 0.99 of the time that it takes in one
/// loop, for 256, 512 and 1024 columns (two builds in one process, 2026-11-27). The scalar one
/// would execute a third more instructions (f32, 128 columns).
pub(crate) const MAX_APART_BYTES: usize = 16 << 10;

/// The number of vectors that are summed in `T` before a row sum is continued in `f64`.
/// Not measured: chosen for accuracy, large enough that the additions in `f64` take no time.
pub(crate) const FLUSH_VECTORS: usize = 64;

/// The number of rows in a band: their columns are summed in `T` before the column sums are
/// continued in `f64`. A multiple of [`BLOCK_ROWS`].
/// Not measured: as [`FLUSH_VECTORS`].
pub(crate) const FLUSH_ROWS: usize = 64;

/// The number of rows whose potentials are updated together: vectors of `f64` on every instruction
/// set.
/// Not measured: a small multiple of the lanes, so that the logarithms and powers of two overlap.
pub(crate) const UPDATE_ROWS: usize = 16;

/// The number of rows or columns of the cost matrix that a batch sums before it adds the sum to the
/// total.
/// Not measured: chosen for accuracy, as the partial sums of a group stay in registers or in L1.
pub(crate) const SUM_GROUP: usize = 64;

/// The number of vectors of problems in a batch, which share each load of an entry.
/// Not measured: with 8 rows, two vectors fill half of the 32 registers of AVX-512.
pub(crate) const BATCH_VECTORS: usize = 2;

/// The number of iterations after which a slow problem leaves a batch.
/// Not measured: an iteration in a lane costs a 10th to a 20th of one alone, and 30 to 50 alone are
/// usual.
pub(crate) const BATCH_PATIENCE: usize = 500;

/// The number of scalings that `scalings_to_potentials` converts at a time: a vector of `f64` on
/// AVX-512.
/// Not measured: the compiler makes vectors of a loop of this length on every instruction set.
pub(crate) const POTENTIALS_STEP: usize = 8;

/// The number of log-domain iterations before `Method::Auto` builds the first Gibbs matrix.
/// Not measured: potentials move far in the first iterations, which soon invalidates the matrix.
pub(crate) const INITIAL_LOG_ITERATIONS: usize = 3;

/// The number of scaling iterations that pay for building a Gibbs matrix. Derived: building costs a
/// log iteration and a store of K, and each scaling iteration saves half a log iteration.
pub(crate) const BREAK_EVEN_ITERATIONS: f64 = 4.0;

/// The largest number of log-domain iterations between two Gibbs matrices, if each matrix served
/// few iterations.
/// Not measured: with 64 of them the cost of one wasted matrix is below 2%.
pub(crate) const MAX_MIN_LOG_ITERATIONS: usize = 64;

/// The error relative to the total mass that ends a stage of epsilon scaling.
/// Not measured: the next stage changes the plan by more.
pub(crate) const STAGE_TOLERANCE: f64 = 0.02;

/// The largest number of iterations in a stage of epsilon scaling.
/// Not measured: a bound for problems whose stages converge slowly.
pub(crate) const MAX_STAGE_ITERATIONS: usize = 100;

/// The shortest window, in iterations, over which a rate of convergence is estimated. Measured on
/// 2000 random problems of 2 to 5 rows and columns with integer costs: windows of 8 take 5 more
/// iterations in the median.
pub(crate) const MIN_RATE_WINDOW: f64 = 4.0;

/// The smallest number of iterations still to come that a step of whole blocks, or a schedule of
/// epsilons, may pay for.
/// Not measured: a step costs one read of the matrix, and a schedule about 16.
pub(crate) const FEW_ITERATIONS: f64 = 16.0;

/// The shortest and the longest distance between two looks for drifting blocks, in iterations. The
/// distance doubles after every look that finds no block in a slow solve.
/// Not measured: at the longest distance looks cost 1.5%.
pub(crate) const BLOCK_STEP_DISTANCES: [usize; 2] = [4, 64];

/// The smallest gain of a step of whole blocks, relative to that of the iterations since the last
/// one. Measured on the problems of [`MIN_RATE_WINDOW`]: from 0.25 on, some take over 1000
/// iterations.
pub(crate) const MIN_BLOCK_GAIN: f64 = 0.05;

/// The factor between the epsilons of an automatic schedule. Not measured.
pub(crate) const AUTO_EPSILON_FACTOR: f64 = 4.0;

/// The largest ranges of the costs, in multiples of epsilon, without an automatic schedule, and
/// with one after [`SCHEDULE_PATIENCE`] iterations only. The second is measured on the problems of
/// [`MIN_RATE_WINDOW`] and on points in the plane: below it, the schedule costs more iterations
/// than it saves.
pub(crate) const SCHEDULE_RANGES: [f64; 2] = [16.0, 256.0];

/// The number of iterations after which a slow problem with a moderate and with a large range of
/// costs gets a schedule. Measured on 1000 random points in the plane and on random costs: a large
/// range alone does not need one.
pub(crate) const SCHEDULE_PATIENCE: [usize; 2] = [100, 12];

/// The largest errors of such problems, after that number of iterations, that need no schedule.
/// Measured as [`SCHEDULE_PATIENCE`]: with 0.05 for large ranges, random costs take 1.7 times as
/// many iterations.
pub(crate) const SCHEDULE_ERRORS: [f64; 2] = [1e-3, 0.15];

/// The number of rows from which the range of the costs is estimated.
/// Not measured: 64 of 1000 rows cost less than a tenth of an iteration.
pub(crate) const SAMPLED_ROWS: usize = 64;

/// The number of iterations without a smaller error after which a solve has stagnated.
/// Not measured: longer than the windows of most factors.
pub(crate) const STAGNATION_ITERATIONS: usize = 64;

/// The number of measurements without a smaller error after which a solve has stagnated.
/// Not measured: each comes after at least one iteration.
pub(crate) const STAGNATION_MEASUREMENTS: usize = 8;

/// The smallest number of rows that a plan iterator evaluates per call of the kernel.
/// Not measured: the fixed cost of a call is about that of several rows.
pub(crate) const MIN_PLAN_ROWS: usize = 8;

/// The smallest number of entries that a plan iterator evaluates per call of the kernel.
/// Not measured: the fixed cost of a call is about that of several thousand entries.
pub(crate) const MIN_PLAN_ENTRIES: usize = 4096;

/// The smallest number of entries of which a sparse plan compresses the large ones per call of the
/// kernel.
/// Not measured: the fixed cost of a call is about that of several thousand entries.
pub(crate) const MIN_CSR_ENTRIES: usize = 1 << 16;

/// The largest error relative to the total mass at which Newton's method is tried. On Zen 4 and
/// problems of 500 to 1000 rows (2026-11-27, beside other work), it needs 0.4 to 1.1 of the time
/// that it needs from 0.01 on. From 0.5 on, some problems take steps in vain.
pub(crate) const NEWTON_START_ERROR: f64 = 0.1;

/// The error below which a step of Newton's method must halve the error.
/// Derived: the gain of the dual value is about the square of the error, and is lost in rounding.
pub(crate) const NEWTON_FINE_ERROR: f64 = 1e-6;

/// The divisor of the number of entries that gives the most that Newton's method keeps. Measured as
/// [`NEWTON_START_ERROR`]: with a tenth, the ties of L1 costs send it back to iterations.
pub(crate) const NEWTON_DENSITY: usize = 4;

/// The number of entries that Newton's method may keep of any problem.
/// Not measured: they fit the second-level cache.
pub(crate) const NEWTON_SMALL_ENTRIES: usize = 1 << 16;

/// The least and the largest share of a row and of a column that Newton's method drops. Measured as
/// [`NEWTON_START_ERROR`]: without the least share, smooth plans become too dense.
pub(crate) const NEWTON_DROPPED: [f64; 2] = [1e-3, 0.1];

/// The factor by which that share falls if the model is too stiff, and the largest divisor of it.
/// Not measured: each factor may cost one read of the matrix; the largest one is beyond the digits
/// of `f64`.
pub(crate) const NEWTON_DIVISOR: f64 = 256.0;
pub(crate) const NEWTON_MAX_DIVISOR: f64 = 18_446_744_073_709_551_616.0; // 2^64

/// The least and the largest shift of Newton's method relative to the error. The least one is that
/// of Tang & Qiu 2024.
pub(crate) const NEWTON_SHIFTS: [f64; 2] = [1e-3, 1e6];

/// The lengths of a step of Newton's method, those of Tang & Qiu 2024.
pub(crate) const NEWTON_LENGTHS: [f64; 4] = [1.0, 0.5, 0.25, 0.1];

/// The largest number of steps of conjugate gradients in a step of Newton's method.
/// Not measured: a step on 2% of the entries takes a 20th of the time of a read of the matrix.
pub(crate) const NEWTON_CG_STEPS: usize = 300;

/// The number of iterations between two attempts of Newton's method. It doubles after each that
/// takes no step.
/// Not measured.
pub(crate) const NEWTON_REST: usize = 10;

/// The time of Newton's method without its conjugate gradients, in iterations of the log domain:
/// about 8 reads, each of which takes twice as long, and the allocation. On Zen 4 (2026-11-28, two
/// versions in one process), 83 solves of 50 to 1000 rows take 0.08 to 1.10 of the time by
/// iterations alone; with 25 and a [`NEWTON_ENTRY_TIME`] of 5, fewer of them gain.
pub(crate) const NEWTON_READS: f64 = 20.0;

/// The time of a step of conjugate gradients per kept entry, relative to that of an iteration of
/// the log domain per entry. Measured with [`NEWTON_READS`]: between 2 (50 rows) and 6 (300 rows).
pub(crate) const NEWTON_ENTRY_TIME: f64 = 3.0;

/// The fixed time of an iteration, in entries.
/// Not measured: about that of a call.
pub(crate) const NEWTON_CALL_ENTRIES: f64 = 500.0;

/// The time of a scaling iteration in the caches, relative to one in the log domain. Measured with
/// [`NEWTON_READS`]: 0.5 to 0.65.
pub(crate) const SCALING_TIME: f64 = 0.6;

/// The number of iterations that a solve takes, relative to the number under the best relaxation
/// from the start.
/// Not measured: the relaxation adapts in windows, and the first rates are too good.
pub(crate) const NEWTON_ADAPTATION: f64 = 2.0;

/// The largest number of blocks of rows that show what share of the entries Newton's method keeps.
/// Not measured: of 1000 rows, they cost a 20th of a read of the matrix.
pub(crate) const NEWTON_SAMPLED_BLOCKS: usize = 8;

/// The number of entries of the cost matrix in a block of rows whose large scores are listed before
/// any of them is used: a block of costs stays in the second-level cache. Not measured.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_BLOCK_ENTRIES: usize = 1 << 14;

/// The gamma of the first stage, in units of the largest cost times the number of entries divided
/// by the total mass: about 3% to 10% of the entries are then not 0. For 1000 x 1000 entries, ten
/// times as much takes 1.2 to 1.6 times as many reads (squared distances of random points, Zen 4,
/// 2026-11-28; so are the next measurements).
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_DENSITY: f64 = 5e-4;

/// The largest number of stages. With a gamma below 1e-38 times that of the first stage, the ratio
/// of the gammas of two stages is larger. Not measured.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_STAGES: f64 = 64.0;

/// The ratio of the gammas of two stages. Not measured.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_STAGE_FACTOR: f64 = 4.0;

/// The error at which a stage ends, and the largest number of reads of the costs in a stage. With
/// 0.1 and 20, the masses of a density with long tails take 399, 752, 225 and 57 reads for four
/// gammas, and with these numbers 109, 200, 122 and 57.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_STAGE_ERROR: f64 = 0.02;
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_STAGE_STEPS: usize = 300;

/// The smallest and the largest shift of the system, relative to the error. Not measured.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_SHIFTS: [f64; 2] = [1e-6, 1e6];

/// The largest number of steps of the method of conjugate gradients. With 50, the same problems
/// take as many reads.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_CG_STEPS: usize = 300;

/// The number of lengths in which a step is tried. Not measured.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_LENGTHS: usize = 5;

/// The number of refused steps in a row after which Newton's method ends. Not measured.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_REFUSALS: usize = 8;

/// The largest number of reads of the costs without a limit of the entries per row, before the
/// limit holds. Not measured.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_FREE_STEPS: usize = 100;

/// How far a column without entries is raised beyond the potential at which it gets one, relative
/// to the largest cost: beyond rounding errors, and not so far that it takes entries from others.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_RAISE: f64 = 1e-9;

/// The number of reads of the costs by Newton's method under a limit of the entries per row. Not
/// measured: if the limit hardly matters, Newton's method converges in fewer.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_LIMITED_STEPS: usize = 10;

/// The number of pairs of limited memory BFGS, a usual number. Not measured.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_ASCENT_PAIRS: usize = 10;

/// The number of lengths in which a step of the ascent is tried. Not measured.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_ASCENT_LENGTHS: usize = 20;

/// The ascent ends if this number of steps raises the dual value by less than the second number
/// times the size of its terms. The dual values are then above those of POT's L-BFGS.
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_ASCENT_STEPS: usize = 20;
#[cfg(feature = "sparse-transport")]
pub(crate) const SPARSE_LEAST_GAIN: f64 = 1e-8;
