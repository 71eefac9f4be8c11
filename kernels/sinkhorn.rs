//! Sinkhorn's iteration in the log domain: one read of the cost matrix and one exponential per entry for a whole
//! (f, g) update.
//!
//! Potentials are kept in base-2 units, `G = g * k` with `k = log2(e) / epsilon`, and those of the rows relative to
//! their mass: `P_ij = a_i * 2^(U_i + G_j - k * C_ij)`. A block of rows is exponentiated with the U of the iterate
//! before into a scratch that stays in cache; its row sums r give the new `U_i -= log2(r_i)` at once, and the scratch,
//! scaled by `a_i / r_i`, is added to the column sums c, which give `G_j += log2(b_j) - log2(c_j)` in the end. See Cuturi
//! 2013 for the iteration and Schmitzer 2019 for its stabilised form; reading once is the fusion of both updates.
//!
//! Precision: U and G are `f64`. An `f32` kernel takes the shift `~U_i` and the leading part of G on a common grid of
//! powers of two, so coarse that their sum is exact; then `fma(-k, C, ~U + G_high) + G_low` has an error relative to the
//! small result instead of the large terms. Rounding U away costs nothing, because every row is normalised anyway.
//!
//! Range: a row whose sum leaves [`row_range`] is done again relative to its own maximum, and a column whose sum
//! underflows is summed again relative to its maximum, in `f64`. Both are rare after the first iterations.
//!
//! Scaling: `K_ij = 2^(U_i + G_j - k * C_ij)` is stored once ([`absorb`]), and what the potentials move from there are factors
//! of its rows and columns ([`iterate_scaled`], [`settle`]): the same iteration without exponentials, one read of K. What
//! underflowed in K does not matter as long as factors and sums stay within [`row_range`] and [`column_floor`]; where they
//! do not, the iteration is refused and the log domain takes over.
//!
//! Memory: a block of rows shares what is loaded and stored per column. Where the matrix is not in the caches the next block
//! is asked for meanwhile, all the time, as the memory would else be idle while a block is added to the columns: on Zen 4 and
//! for 4096 x 4096 f32, scaling takes 0.18 ns an entry so, and 0.25 without (a read 0.15).

use super::lanes::{Float, Lanes, MAX_LANES, WideLanes};
use super::math::exp::{Exp2, ExpLanes, exp2, pow2};
use super::math::ln::{ln, log2};
use crate::matrix::{MatMut, MatRef};

/// Rows that share one load of the column potentials and one load-add-store of the column sums. Loops over twice as many
/// are not unrolled, or hold their addresses on the stack: on Zen 4 half as fast.
const ROWS: usize = 4;

/// A matrix of so many bytes is in the caches already.
const CACHED_BYTES: usize = 16 << 20;

/// Bytes of such rows that stay in the second-level cache beside what else passes through it.
const BLOCK_BYTES: usize = 320 << 10;

/// Vectors summed in `T` before a row sum is carried on in `f64`.
const FOLD_VECTORS: usize = 64;

/// Rows summed in `T` before the column sums are carried on in `f64`.
const FOLD_ROWS: usize = 64;

/// `cols` rounded up so that buffers of that length hold whole vectors of every instruction set.
pub(crate) fn padded(cols: usize) -> usize {
    cols.next_multiple_of(MAX_LANES)
}

/// Distance of the rows of exponentials in [`Workspace::exps`]: never a multiple of 4096 bytes, at which the store
/// to one row would look to the CPU like one to all of them.
fn exps_stride(cols: usize) -> usize {
    padded(cols) + MAX_LANES * usize::from(padded(cols).is_multiple_of(512))
}

/// Elements that [`Workspace::exps`] needs.
pub(crate) fn exps_len(cols: usize) -> usize {
    ROWS * exps_stride(cols)
}

/// What stays the same during a solve. Masses are divided by their total.
#[derive(Clone, Copy)]
pub struct Problem<'a, T> {
    pub(crate) cost: MatRef<'a, T>,
    /// log2(e) / epsilon.
    pub(crate) k: T,
    /// The rows that have mass, in order; `a`, `log2_a` and [`State::u`] speak of these alone.
    pub(crate) rows: &'a [usize],
    pub(crate) a: &'a [f64],
    pub(crate) log2_a: &'a [f64],
    /// Of all columns; mass may be 0.
    pub(crate) b: &'a [f64],
    pub(crate) log2_b: &'a [f64],
}

/// The potentials, in base-2 units.
pub struct State<'a> {
    /// Of the rows that have mass, relative to their mass: `f = (u + log2(a)) / k`.
    pub(crate) u: &'a mut [f64],
    /// Of the columns: `g / k`; -inf where there is no mass.
    pub(crate) g: &'a mut [f64],
    /// The largest magnitude of a potential, see [`span`]; infinite or NaN once one could not be represented.
    pub(crate) span: f64,
}

/// Memory for one pass; what is in it does not matter.
pub struct Workspace<'a, T> {
    /// `padded(cols)` each: G on the grid, and the rest of it.
    pub(crate) high: &'a mut [T],
    pub(crate) low: &'a mut [T],
    /// `exps_len(cols)`: the exponentials of a block of rows.
    pub(crate) exps: &'a mut [T],
    /// `padded(cols)`: the column sums since they were last added to `columns`.
    pub(crate) partial: &'a mut [T],
    /// `cols`: the column sums.
    pub(crate) columns: &'a mut [f64],
    /// One per row with mass: the shift its exponentials were taken with, and their sum.
    pub(crate) shifts: &'a mut [f64],
    pub(crate) sums: &'a mut [f64],
    /// `cols` each: the columns whose sum underflowed, and their maxima.
    pub(crate) starved: &'a mut [usize],
    pub(crate) maxima: &'a mut [f64],
}

/// How far a plan is from its marginals, and its cost, for masses divided by their total.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    pub(crate) error: f64,
    pub(crate) cost: f64,
}

/// Whether potentials are split into a part on the grid and the rest: for `f64` their sum is precise enough as it is.
#[inline(always)]
fn splits<T: Float>() -> bool {
    T::EPSILON > f64::EPSILON
}

/// The sums of a row (of about 1 near convergence) that are accurate: its exponentials neither overflow nor does what
/// underflows matter, to the row or, scaled by 1 / sum, to a column of at least [`column_floor`].
#[inline(always)]
fn row_range<T: Float>() -> core::ops::RangeInclusive<f64> {
    let high = pow2(T::BIAS * 0.25);
    1.0 / high..=high
}

/// The smallest column sum that is accurate: 2^31 times what underflow in all rows may have cost it.
#[inline(always)]
fn column_floor<T: Float>() -> f64 {
    pow2(-T::BIAS * 0.5)
}

/// The nearest number of the type, the largest where that is infinite: a factor that meets entries of 0.
#[inline(always)]
fn at_most_finite<T: Float>(x: f64) -> T {
    let y = T::from_f64(x);
    if y == T::INFINITY { T::ZERO - T::MIN } else { y }
}

/// The largest magnitude among the potentials of rows and columns with mass. It comes out infinite or NaN if one is:
/// magnitudes are compared by their bits, which order alike.
#[inline(always)]
pub(crate) fn span(u: &[f64], g: &[f64], b: &[f64]) -> f64 {
    let mut bits = 0;
    for u in u {
        bits = u.abs().to_bits().max(bits);
    }
    for (g, &b) in g.iter().zip(b) {
        bits = (if b > 0.0 { g.abs().to_bits() } else { 0 }).max(bits);
    }
    f64::from_bits(bits)
}

/// The grid on which two potentials of magnitude up to `span` have a sum that is exact in `T`: 2^24 steps of it reach
/// twice the next power of two. 0, no grid at all, where potentials are not split.
#[inline(always)]
fn grid<T: Float>(span: f64) -> f64 {
    let above = 2.0 * f64::from_bits(span.to_bits() & f64::INFINITY.to_bits());
    if splits::<T>() { above * T::EPSILON } else { 0.0 }
}

/// The nearest multiple of `grid`.
#[inline(always)]
fn round_to(grid: f64, x: f64) -> f64 {
    let shifter = f64::SHIFTER * grid;
    (x + shifter) - shifter
}

/// The column potentials on the grid and what remains of them.
#[inline(always)]
fn split_columns<T: Float>(grid: f64, g: &[f64], high: &mut [T], low: &mut [T]) {
    for ((&g, high), low) in g.iter().zip(&mut *high).zip(&mut *low) {
        let rounded = round_to(grid, g);
        *high = T::from_f64(rounded);
        *low = T::from_f64(if g > f64::NEG_INFINITY { g - rounded } else { 0.0 });
    }
    // 2^(-inf) = 0: the lanes past the last column count for nothing.
    high[g.len()..].fill(T::NEG_INFINITY);
    low[g.len()..].fill(T::ZERO);
}

/// The constants of the inner loop, and the column potentials it reads.
#[derive(Clone, Copy)]
struct Inner<'a, L: ExpLanes<T>, T: Float> {
    k: L::V,
    exp: Exp2<L, T>,
    high: &'a [T],
    low: &'a [T],
}

/// What the inner loop knows of a row.
#[derive(Clone, Copy, Default)]
struct RowSum {
    /// Sum of the exponentials.
    sum: f64,
    /// Sum of the exponentials times their costs, where it is measured.
    cost: f64,
}

impl<'a, L: ExpLanes<T>, T: Float> Inner<'a, L, T> {
    #[inline(always)]
    fn new(l: L, k: T, high: &'a [T], low: &'a [T]) -> Self {
        Self { k: l.splat(k), exp: Exp2::new(l), high, low }
    }

    /// Both parts of the column potentials from column `at`.
    #[inline(always)]
    fn columns(&self, l: L, at: usize) -> (L::V, L::V) {
        let high = l.load(&self.high[at..]);
        (high, if splits::<T>() { l.load(&self.low[at..]) } else { high })
    }

    /// `shift + g - k * cost`.
    #[inline(always)]
    fn argument(&self, l: L, shift: L::V, (high, low): (L::V, L::V), cost: L::V) -> L::V {
        let y = l.neg_mul_add_exact(self.k, cost, l.add(shift, high));
        if splits::<T>() { l.add(y, low) } else { y }
    }
}

/// `x[at..]`, at most a vector of it, filled up with 0.
#[inline(always)]
fn load_padded<L: Lanes<T>, T: Float>(l: L, x: &[T], at: usize) -> L::V {
    if x.len() - at >= L::N { l.load(&x[at..]) } else { l.load_tail(&x[at..], T::ZERO) }
}

/// `cost * e`, 0 where e is 0 (the cost of a forbidden pair is infinite).
#[inline(always)]
fn product<L: Lanes<T>, T: Float>(l: L, cost: L::V, e: L::V) -> L::V {
    let zero = l.splat(T::ZERO);
    l.mul(l.select(l.lt(zero, e), cost, zero), e)
}

/// The exponentials of R rows, to `exps`, and their sums. `next` are rows that will be read later.
#[inline(always)]
fn exponentials<L: ExpLanes<T>, T: Float, const R: usize, const MEASURE: bool>(
    l: L,
    inner: &Inner<'_, L, T>,
    rows: [&[T]; R],
    shifts: [T; R],
    exps: &mut [T],
    next: &[&[T]],
) -> [RowSum; R] {
    let cols = rows[0].len();
    let stride = exps_stride(cols);
    let whole = cols - cols % L::N;
    let mut totals = [RowSum::default(); R];
    for start in (0..whole).step_by(FOLD_VECTORS * L::N) {
        let end = whole.min(start + FOLD_VECTORS * L::N);
        // Slices of one length: a single comparison then holds for all.
        let mut cost: [&[T]; R] = [&[]; R];
        let mut out = [(); R].map(|()| <&mut [T]>::default());
        for (i, exps) in exps.chunks_mut(stride).take(R).enumerate() {
            (cost[i], out[i]) = (&rows[i][start..end], &mut exps[start..end]);
        }
        let inner = Inner { high: &inner.high[start..end], low: &inner.low[start..end], ..*inner };
        let sums = part_exponentials::<L, T, R, MEASURE>(l, &inner, cost, shifts, out, next, start);
        for i in 0..R {
            totals[i].sum += sums[i].sum;
            totals[i].cost += sums[i].cost;
        }
    }
    if whole < cols {
        let g = inner.columns(l, whole);
        for i in 0..R {
            let cost = l.load_tail(&rows[i][whole..], T::ZERO);
            let e = inner.exp.eval(l, inner.argument(l, l.splat(shifts[i]), g, cost));
            l.store(&mut exps[i * stride + whole..], e);
            totals[i].sum += l.reduce_sum(e);
            if MEASURE {
                totals[i].cost += l.reduce_sum(product(l, cost, e));
            }
        }
    }
    totals
}

/// As [`exponentials`], of slices of whole vectors, summed in `T`.
#[inline(always)]
fn part_exponentials<L: ExpLanes<T>, T: Float, const R: usize, const MEASURE: bool>(
    l: L,
    inner: &Inner<'_, L, T>,
    rows: [&[T]; R],
    shifts: [T; R],
    out: [&mut [T]; R],
    next: &[&[T]],
    start: usize,
) -> [RowSum; R] {
    let zero = l.splat(T::ZERO);
    let (mut sums, mut costs) = ([zero; R], [zero; R]);
    let len = inner.high.len();
    let mut at = 0;
    while len - at >= L::N {
        let g = inner.columns(l, at);
        ask_for(l, next, start + at);
        for i in 0..R {
            let cost = l.load(&rows[i][at..]);
            let e = inner.exp.eval(l, inner.argument(l, l.splat(shifts[i]), g, cost));
            l.store(&mut out[i][at..], e);
            sums[i] = l.add(sums[i], e);
            if MEASURE {
                costs[i] = l.add(costs[i], product(l, cost, e));
            }
        }
        at += L::N;
    }
    let mut totals = [RowSum::default(); R];
    for i in 0..R {
        totals[i].sum = l.reduce_sum(sums[i]);
        if MEASURE {
            totals[i].cost = l.reduce_sum(costs[i]);
        }
    }
    totals
}

/// The arguments of the exponentials of a row, to `out`, and their maximum.
#[inline(always)]
fn arguments<L: ExpLanes<T>, T: Float>(l: L, inner: &Inner<'_, L, T>, row: &[T], shift: T, out: &mut [T]) -> f64 {
    let mut max = l.splat(T::NEG_INFINITY);
    let mut at = 0;
    while at < row.len() {
        let y = inner.argument(l, l.splat(shift), inner.columns(l, at), load_padded(l, row, at));
        l.store(&mut out[at..], y);
        max = l.max(y, max);
        at += L::N;
    }
    let lanes = l.to_array(max);
    lanes[..L::N].iter().fold(f64::NEG_INFINITY, |max, lane| max.max(lane.to_f64()))
}

/// The exponentials of one row relative to its maximum, to `exps`: their shift and sums. An infinite shift where the
/// maximum is not finite.
#[inline(always)]
fn careful_row<L: ExpLanes<T>, T: Float>(
    l: L,
    inner: &Inner<'_, L, T>,
    grid: f64,
    row: &[T],
    exps: &mut [T],
) -> (f64, RowSum) {
    // Without a shift the arguments are too coarse to be used, but good enough to find the shift.
    let shift = T::from_f64(round_to(grid, -arguments(l, inner, row, T::ZERO, exps)));
    let max = arguments(l, inner, row, shift, exps);
    if !max.is_finite() {
        exps.fill(T::ZERO);
        return (f64::INFINITY, RowSum { sum: 1.0, cost: 0.0 });
    }
    let offset = l.splat(T::from_f64(max));
    let mut total = RowSum::default();
    let mut at = 0;
    while at < row.len() {
        let e = inner.exp.eval(l, l.sub(l.load(&exps[at..]), offset));
        l.store(&mut exps[at..], e);
        total.sum += l.reduce_sum(e);
        total.cost += l.reduce_sum(product(l, load_padded(l, row, at), e));
        at += L::N;
    }
    (shift.to_f64() - max, total)
}

/// Asks for the line of the cache that begins with column `at` of each row, if one does.
#[inline(always)]
fn ask_for<L: Lanes<T>, T: Float>(l: L, rows: &[&[T]], at: usize) {
    if (at * size_of::<T>()).is_multiple_of(64) {
        for row in rows {
            l.prefetch_far(row, at);
        }
    }
}

/// Adds R rows of exponentials to the column sums, each times its factor. `next` are rows that will be read later.
#[inline(always)]
fn add_to_columns<L: Lanes<T>, T: Float, const R: usize>(
    l: L,
    cols: usize,
    exps: &[T],
    factors: [T; R],
    sums: &mut [T],
    next: &[&[T]],
) {
    let len = cols.next_multiple_of(L::N);
    let sums = &mut sums[..len];
    let (mut row, mut factor): ([&[T]; R], _) = ([&[]; R], [l.splat(T::ZERO); R]);
    for (i, exps) in exps.chunks(exps_stride(cols)).take(R).enumerate() {
        (row[i], factor[i]) = (&exps[..len], l.splat(factors[i]));
    }
    let mut at = 0;
    while len - at >= L::N {
        ask_for(l, next, at);
        let mut sum = l.load(&sums[at..]);
        for i in 0..R {
            sum = l.mul_add(factor[i], l.load(&row[i][at..]), sum);
        }
        l.store(&mut sums[at..], sum);
        at += L::N;
    }
}

/// Whether the exponentials of [`ROWS`] rows stay in the cache until they are added; else rows are taken one by one.
#[inline(always)]
fn in_blocks<T: Float>(cols: usize) -> bool {
    ROWS * exps_stride(cols) * size_of::<T>() <= BLOCK_BYTES
}

/// One block of rows, from row `first` of those with mass. To normalise (not `MEASURE`), leaves the shifts and sums of
/// the rows in the workspace and adds rows that sum to `a`, or beyond it by `relaxation`; to `MEASURE`, takes the potentials
/// as they are, leaves |row sum - a| in the place of the sums and returns the rows' share of the plan's cost.
#[inline(always)]
fn block<L: ExpLanes<T>, T: Float, const R: usize, const MEASURE: bool>(
    l: L,
    p: &Problem<'_, T>,
    u: &[f64],
    grid: f64,
    relaxation: f64,
    w: &mut Workspace<'_, T>,
    first: usize,
) -> f64 {
    let cols = p.cost.cols();
    let inner = Inner::new(l, p.k, w.high, w.low);
    let mut rows: [&[T]; R] = [&[]; R];
    let mut next: [&[T]; R] = [&[]; R];
    let mut shifts = [T::ZERO; R];
    for i in 0..R {
        rows[i] = p.cost.row(p.rows[first + i]);
        shifts[i] = T::from_f64(round_to(grid, u[first + i]));
    }
    let mut ahead = 0;
    if p.rows.len() * cols * size_of::<T>() > CACHED_BYTES {
        for &i in p.rows[first + R..].iter().take(R) {
            next[ahead] = p.cost.row(i);
            ahead += 1;
        }
    }
    // The memory works all the time: a quarter of the next block is asked for while this one's columns are added.
    let (next, last) = next[..ahead].split_at(ahead - ahead / 4);
    let totals = exponentials::<L, T, R, MEASURE>(l, &inner, rows, shifts, w.exps, next);
    let mut factors = [T::ZERO; R];
    let mut cost = 0.0;
    for i in 0..R {
        let (mut shift, mut total) = (shifts[i].to_f64(), totals[i]);
        if !row_range::<T>().contains(&total.sum) {
            let stride = exps_stride(cols);
            (shift, total) = careful_row(l, &inner, grid, rows[i], &mut w.exps[i * stride..(i + 1) * stride]);
        }
        let (a, u) = (p.a[first + i], u[first + i]);
        let factor = if MEASURE {
            a * exp2(u - shift)
        } else if relaxation == 1.0 {
            a / total.sum
        } else {
            a * exp2(relaxed(u, shift - log2(total.sum), relaxation) - shift)
        };
        factors[i] = at_most_finite(factor);
        w.shifts[first + i] = shift;
        w.sums[first + i] = if MEASURE { (factor * total.sum - a).abs() } else { total.sum };
        cost += factor * total.cost;
    }
    add_to_columns(l, cols, w.exps, factors, w.partial, last);
    cost
}

/// What becomes of a potential whose update is `new`: beyond it by `relaxation`, which is 1 for the update itself.
#[inline(always)]
fn relaxed(old: f64, new: f64, relaxation: f64) -> f64 {
    if relaxation == 1.0 { new } else { old + relaxation * (new - old) }
}

/// One read of the cost matrix: [`block`] over all rows with mass, and the column sums.
#[inline(always)]
fn pass<L: ExpLanes<T>, T: Float, const MEASURE: bool>(
    l: L,
    p: &Problem<'_, T>,
    s: &State<'_>,
    relaxation: f64,
    w: &mut Workspace<'_, T>,
) -> f64 {
    let grid = grid::<T>(s.span);
    split_columns(grid, s.g, w.high, w.low);
    w.partial.fill(T::ZERO);
    w.columns.fill(0.0);
    let in_blocks = in_blocks::<T>(p.cost.cols());
    let mut cost = 0.0;
    let mut at = 0;
    while at < p.rows.len() {
        if in_blocks && p.rows.len() - at >= ROWS {
            cost += block::<L, T, ROWS, MEASURE>(l, p, s.u, grid, relaxation, w, at);
            at += ROWS;
        } else {
            cost += block::<L, T, 1, MEASURE>(l, p, s.u, grid, relaxation, w, at);
            at += 1;
        }
        if at.is_multiple_of(FOLD_ROWS) || at == p.rows.len() {
            fold(w.columns, w.partial);
        }
    }
    cost
}

/// Carries column sums on in `f64`.
#[inline(always)]
fn fold<T: Float>(columns: &mut [f64], partial: &mut [T]) {
    for (sum, partial) in columns.iter_mut().zip(partial) {
        *sum += partial.to_f64();
        *partial = T::ZERO;
    }
}

/// One full iteration: new U, then new G, both beyond the update by `relaxation` (1: the update itself). Returns the L1
/// error of the row marginals *before* it, which comes for free (the column marginals were met then, by the iteration
/// before); where there is relaxation, with that of the columns between both.
#[inline(always)]
pub(crate) fn iterate<L: ExpLanes<T> + Lanes<f64>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    relaxation: f64,
    s: &mut State<'_>,
    w: &mut Workspace<'_, T>,
) -> f64 {
    pass::<L, T, false>(l, p, s, relaxation, w);
    let mut error = 0.0;
    for (((&u, &shift), &sum), &a) in s.u.iter().zip(&*w.shifts).zip(&*w.sums).zip(p.a) {
        // With the old U the row sums to this times a.
        let row = if u == shift { sum } else { sum * exp2(u - shift) };
        error += (a * row - a).abs();
    }
    log2_each(l, w.sums);
    for ((u, &shift), &log2_sum) in s.u.iter_mut().zip(&*w.shifts).zip(&*w.sums) {
        *u = relaxed(*u, shift - log2_sum, relaxation);
    }
    if relaxation != 1.0 {
        error += column_error(w.columns, p.b);
    }
    let good = |sum: f64| sum >= column_floor::<T>() && sum < f64::INFINITY;
    for (x, &sum) in w.maxima.iter_mut().zip(&*w.columns) {
        *x = if good(sum) { sum } else { 1.0 };
    }
    log2_each(l, w.maxima);
    for (((g, &log2_sum), &sum), &log2_b) in s.g.iter_mut().zip(&*w.maxima).zip(&*w.columns).zip(p.log2_b) {
        *g = if good(sum) { relaxed(*g, *g + (log2_b - log2_sum), relaxation) } else { *g };
    }
    let mut count = 0;
    for (j, (&sum, &b)) in w.columns.iter().zip(p.b).enumerate() {
        // Counting without a branch: few columns are starved, or none.
        w.starved[count] = j;
        count += usize::from(b > 0.0 && !good(sum));
        if count == w.starved.len() {
            break;
        }
    }
    if count > 0 {
        feed_columns(p, s, w, count);
    }
    s.span = span(s.u, s.g, p.b);
    error
}

/// The logarithm to base 2 of each number, all of them positive and normal.
#[inline(always)]
fn log2_each<L: Lanes<f64>>(l: L, x: &mut [f64]) {
    let log2_e = l.splat(core::f64::consts::LOG2_E);
    for x in x.chunks_mut(L::N) {
        let (e, r) = ln::<L, f64>(l, l.load_tail(x, 1.0));
        l.store_tail(x, l.mul_add(r, log2_e, e));
    }
}

/// The L1 error of the column marginals.
#[inline(always)]
fn column_error(columns: &[f64], b: &[f64]) -> f64 {
    columns.iter().zip(b).map(|(sum, b)| (sum - b).abs()).sum()
}

/// The new G of the first `count` starved columns, by sums relative to each column's maximum.
#[inline(always)]
fn feed_columns<T: Float>(p: &Problem<'_, T>, s: &mut State<'_>, w: &mut Workspace<'_, T>, count: usize) {
    let (starved, maxima, sums) = (&w.starved[..count], &mut w.maxima[..count], &mut w.columns[..count]);
    let k = p.k.to_f64();
    maxima.fill(f64::NEG_INFINITY);
    for ((&i, u), log2_a) in p.rows.iter().zip(&*s.u).zip(p.log2_a) {
        let row = p.cost.row(i);
        for (max, &j) in maxima.iter_mut().zip(starved) {
            let y = (u + log2_a) - k * row[j].to_f64();
            *max = if y > *max { y } else { *max };
        }
    }
    sums.fill(0.0);
    for ((&i, u), log2_a) in p.rows.iter().zip(&*s.u).zip(p.log2_a) {
        let row = p.cost.row(i);
        for ((sum, &max), &j) in sums.iter_mut().zip(&*maxima).zip(starved) {
            *sum += exp2((u + log2_a) - k * row[j].to_f64() - max);
        }
    }
    for ((&sum, &max), &j) in sums.iter().zip(&*maxima).zip(starved) {
        s.g[j] = p.log2_b[j] - max - log2(sum);
    }
}

/// Elements of an absorbed matrix of `rows` rows: with rows of 0 up to a whole number of blocks.
pub(crate) fn absorbed_len(rows: usize, cols: usize) -> Option<usize> {
    rows.checked_next_multiple_of(ROWS)?.checked_mul(exps_stride(cols))
}

/// Potentials as factors of a matrix that has absorbed them up to a point, `K_ij = 2^(U_i + G_j - k * C_ij)` with U and G
/// of then: the potentials are now `U_i + log2(rows_i)` and `G_j + log2(columns_j)`.
pub struct Absorbed<'a, T> {
    /// [`absorbed_len`], 0 where nothing was written yet: rows at the distance of those of [`Workspace::exps`].
    pub(crate) matrix: &'a mut [T],
    /// One per row with mass.
    pub(crate) rows: &'a mut [f64],
    /// One per column.
    pub(crate) columns: &'a mut [f64],
}

/// Absorbs the potentials into the matrix; U becomes what its rows were taken with. One read of the cost matrix.
#[inline(always)]
pub(crate) fn absorb<L: ExpLanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    s: &mut State<'_>,
    to: &mut Absorbed<'_, T>,
    w: &mut Workspace<'_, T>,
) {
    let cols = p.cost.cols();
    let grid = grid::<T>(s.span);
    split_columns(grid, s.g, w.high, w.low);
    to.columns.fill(1.0);
    let inner = Inner::new(l, p.k, w.high, w.low);
    let rows = to.matrix.chunks_exact_mut(exps_stride(cols));
    for (((&i, u), factor), exps) in p.rows.iter().zip(&mut *s.u).zip(&mut *to.rows).zip(rows) {
        let row = p.cost.row(i);
        let rounded = T::from_f64(round_to(grid, *u));
        let [total] = exponentials::<L, T, 1, false>(l, &inner, [row], [rounded], exps, &[]);
        let mut shift = rounded.to_f64();
        if !row_range::<T>().contains(&total.sum) {
            (shift, _) = careful_row(l, &inner, grid, row, exps);
        }
        if shift.is_finite() {
            *factor = exp2(*u - shift);
            *u = shift;
        } else {
            // A row of 0, which sends whoever scales it back to the potentials.
            *factor = 1.0;
        }
    }
}

/// The potentials that the factors stand for.
#[inline(always)]
pub(crate) fn settle<L: Lanes<T>, T: Float>(_: L, p: &Problem<'_, T>, s: &mut State<'_>, from: &Absorbed<'_, T>) {
    for (u, &factor) in s.u.iter_mut().zip(&*from.rows) {
        *u += log2(factor);
    }
    for (g, &factor) in s.g.iter_mut().zip(&*from.columns) {
        *g += log2(factor);
    }
    s.span = span(s.u, s.g, p.b);
}

/// As [`iterate`], on factors and without exponentials: one read of the absorbed matrix. None, and the factors as they
/// were, where something leaves the range in which what underflowed in the matrix does not matter.
#[inline(always)]
pub(crate) fn iterate_scaled<L: WideLanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    relaxation: f64,
    k: &mut Absorbed<'_, T>,
    w: &mut Workspace<'_, T>,
) -> Option<f64> {
    let rows = if in_blocks::<T>(p.cost.cols()) {
        scaled_rows::<L, T, ROWS>(l, p, relaxation, k, w)
    } else {
        scaled_rows::<L, T, 1>(l, p, relaxation, k, w)
    };
    let mut error = rows?;
    if relaxation != 1.0 {
        error += w.columns.iter().zip(&*k.columns).zip(p.b).map(|((sum, v), b)| (sum * v - b).abs()).sum::<f64>();
    }
    let (range, floor) = (row_range::<T>(), column_floor::<T>());
    let mut good = true;
    for (((new, &old), &sum), &b) in w.maxima.iter_mut().zip(&*k.columns).zip(&*w.columns).zip(p.b) {
        let update = b / sum;
        let relaxed = if relaxation == 1.0 { update } else { old * exp2(relaxation * log2(update / old)) };
        // Without mass the column of the matrix is 0, and its factor does not matter.
        *new = if b > 0.0 { relaxed } else { 1.0 };
        good &= b == 0.0 || sum >= floor && range.contains(&relaxed);
    }
    if !good {
        return None;
    }
    k.rows.copy_from_slice(w.sums);
    k.columns.copy_from_slice(w.maxima);
    Some(error)
}

/// The new factors of the rows, to `w.sums`, and the column sums with these and without the factors of the columns. Where
/// the matrix is in memory, the rows of a block are summed while those of the block before, still in the cache, are added to
/// the columns: so the memory is always at work.
#[inline(always)]
fn scaled_rows<L: WideLanes<T>, T: Float, const R: usize>(
    l: L,
    p: &Problem<'_, T>,
    relaxation: f64,
    k: &Absorbed<'_, T>,
    w: &mut Workspace<'_, T>,
) -> Option<f64> {
    let cols = p.cost.cols();
    let stride = exps_stride(cols);
    for (x, &v) in w.high.iter_mut().zip(&*k.columns) {
        *x = T::from_f64(v);
    }
    w.high[cols..].fill(T::ZERO);
    w.partial.fill(T::ZERO);
    w.columns.fill(0.0);
    let mut error = 0.0;
    let mut factors = [T::ZERO; R];
    let mut before: &[T] = &[];
    let in_cache = size_of_val(k.matrix) <= CACHED_BYTES;
    for (block, rows) in k.matrix.chunks_exact(R * stride).take(p.rows.len().div_ceil(R)).enumerate() {
        let first = block * R;
        // With the next block behind it where that has to be asked for.
        let rows = if in_cache { rows } else { &k.matrix[first * stride..] };
        let totals = if before.is_empty() {
            scaled_block::<L, T, R, true, false>(l, stride, rows, w.high, before, factors, w.partial)
        } else {
            scaled_block::<L, T, R, true, true>(l, stride, rows, w.high, before, factors, w.partial)
        };
        if first.is_multiple_of(FOLD_ROWS) {
            fold(w.columns, w.partial);
        }
        factors = [T::ZERO; R];
        for (i, (factor, &total)) in factors.iter_mut().zip(&totals).enumerate().take(p.rows.len() - first) {
            let (a, old) = (p.a[first + i], k.rows[first + i]);
            let new = if relaxation == 1.0 { 1.0 / total } else { old * exp2(-relaxation * log2(old * total)) };
            if !(row_range::<T>().contains(&total) && row_range::<T>().contains(&new)) {
                return None;
            }
            error += (a * (old * total) - a).abs();
            w.sums[first + i] = new;
            *factor = T::from_f64(a * new);
        }
        if in_cache {
            // In the nearest cache the rows are now, and later they are not.
            scaled_block::<L, T, R, false, true>(l, stride, &[], w.high, rows, factors, w.partial);
        } else {
            before = rows;
        }
    }
    if !before.is_empty() {
        scaled_block::<L, T, R, false, true>(l, stride, &[], w.high, before, factors, w.partial);
    }
    fold(w.columns, w.partial);
    Some(error)
}

/// The sums of R `rows`, each element times that of `columns`, where `SUM` (more rows than that are asked for); R rows of the block `before`, each times its
/// factor, added to `sums`, where `ADD`.
#[inline(always)]
fn scaled_block<L: WideLanes<T>, T: Float, const R: usize, const SUM: bool, const ADD: bool>(
    l: L,
    stride: usize,
    rows: &[T],
    columns: &[T],
    before: &[T],
    factors: [T; R],
    sums: &mut [T],
) -> [f64; R] {
    let zero = l.splat(T::ZERO);
    let mut totals = [l.widen(zero); R];
    for start in (0..columns.len()).step_by(FOLD_VECTORS * L::N) {
        let end = columns.len().min(start + FOLD_VECTORS * L::N);
        let (columns, sums) = (&columns[start..end], &mut sums[start..end]);
        let (mut row, mut added): ([&[T]; R], [&[T]; R]) = ([&[]; R], [&[]; R]);
        let mut factor = [zero; R];
        for i in 0..R {
            if SUM {
                row[i] = &rows[i * stride..][start..end];
            }
            if ADD {
                added[i] = &before[i * stride..][start..end];
                factor[i] = l.splat(factors[i]);
            }
        }
        let mut part = [zero; R];
        let mut at = 0;
        while columns.len() - at >= L::N {
            if rows.len() > R * stride && ((start + at) * size_of::<T>()).is_multiple_of(64) {
                for i in R..2 * R {
                    l.prefetch_far(rows, i * stride + start + at);
                }
            }
            if SUM {
                let x = l.load(&columns[at..]);
                for i in 0..R {
                    part[i] = l.mul_add(l.load(&row[i][at..]), x, part[i]);
                }
            }
            if ADD {
                let mut sum = l.load(&sums[at..]);
                for i in 0..R {
                    sum = l.mul_add(l.load(&added[i][at..]), factor[i], sum);
                }
                l.store(&mut sums[at..], sum);
            }
            at += L::N;
        }
        for i in 0..R {
            totals[i] = l.add_wide(totals[i], l.widen(part[i]));
        }
    }
    let mut results = [0.0; R];
    for i in 0..R {
        results[i] = l.reduce_sum_wide(totals[i]);
    }
    results
}

/// The marginal error and the cost of the plan that the potentials stand for.
#[inline(always)]
pub(crate) fn measure<L: ExpLanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    s: &State<'_>,
    w: &mut Workspace<'_, T>,
) -> Measure {
    let cost = pass::<L, T, true>(l, p, s, 1.0, w);
    let rows: f64 = w.sums.iter().sum();
    Measure { error: rows + column_error(w.columns, p.b), cost }
}

/// Writes the rows of the plan from row `first` on, as many as `out` has, for masses that sum to `total`.
#[inline(always)]
pub(crate) fn plan<L: ExpLanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    s: &State<'_>,
    w: &mut Workspace<'_, T>,
    total: f64,
    first: usize,
    mut out: MatMut<'_, T>,
) {
    let grid = grid::<T>(s.span);
    split_columns(grid, s.g, w.high, w.low);
    let start = p.rows.partition_point(
        #[inline(always)]
        |&i| i < first,
    );
    let mut written = 0;
    for ((&i, &u), &a) in p.rows[start..].iter().zip(&s.u[start..]).zip(&p.a[start..]) {
        let at = i - first;
        if at >= out.rows() {
            break;
        }
        for without_mass in written..at {
            out.row_mut(without_mass).fill(T::ZERO);
        }
        written = at + 1;
        let inner = Inner::new(l, p.k, w.high, w.low);
        let row = p.cost.row(i);
        let rounded = T::from_f64(round_to(grid, u));
        let [row_sum] = exponentials::<L, T, 1, false>(l, &inner, [row], [rounded], w.exps, &[]);
        let mut shift = rounded.to_f64();
        if !row_range::<T>().contains(&row_sum.sum) {
            (shift, _) = careful_row(l, &inner, grid, row, w.exps);
        }
        let (mass, scale) = (total * a, exp2(u - shift));
        // Where the product of both would overflow `T`, though its products with the exponentials need not.
        let (mass, scale) = if mass * scale < -T::MIN.to_f64() { (1.0, mass * scale) } else { (mass, scale) };
        let (mass, scale): (T, T) = (T::from_f64(mass), at_most_finite(scale));
        for (out, &e) in out.row_mut(at).iter_mut().zip(&*w.exps) {
            *out = scale * e * mass;
        }
    }
    for without_mass in written..out.rows() {
        out.row_mut(without_mass).fill(T::ZERO);
    }
}

/// Looks at every cost once: the minimum of each row over the columns with mass (where `penalty` is 0 and not +inf),
/// the minimum of each column over the rows with mass. Returns the first row that holds NaN or -inf.
#[inline(always)]
pub(crate) fn survey<L: Lanes<T>, T: Float>(
    l: L,
    cost: MatRef<'_, T>,
    a: &[T],
    penalty: &[T],
    row_minima: &mut [T],
    column_minima: &mut [T],
) -> Option<usize> {
    let zero = l.splat(T::ZERO);
    column_minima.fill(T::INFINITY);
    for i in 0..cost.rows() {
        let row = cost.row(i);
        let has_mass = a[i] > T::ZERO;
        let (mut min, mut bad) = (l.splat(T::INFINITY), zero);
        let mut at = 0;
        while at < row.len() {
            let c = load_padded(l, row, at);
            // min(0, c) is NaN for NaN, and 0 times it is NaN for -inf; +inf has become 0.
            bad = l.mul_add(l.min(zero, c), zero, bad);
            min = l.min(l.add(c, l.load(&penalty[at..])), min);
            if has_mass {
                let column = l.min(c, l.load(&column_minima[at..]));
                l.store(&mut column_minima[at..], column);
            }
            at += L::N;
        }
        if l.reduce_sum(bad).is_nan() {
            return Some(i);
        }
        let lanes = l.to_array(min);
        row_minima[i] = lanes[..L::N].iter().fold(T::INFINITY, |min, &lane| if lane < min { lane } else { min });
    }
    None
}
