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

use super::exp::{Exp2, exp2, log2};
use super::lanes::{Float, Lanes};
use crate::matrix::{MatMut, MatRef};

/// Rows that share one load of the column potentials and one load-add-store of the column sums.
const ROWS: usize = 4;

/// Vectors summed in `T` before a row sum is carried on in `f64`.
const FOLD_VECTORS: usize = 64;

/// Rows summed in `T` before the column sums are carried on in `f64`.
const FOLD_ROWS: usize = 64;

/// `cols` rounded up so that buffers of that length hold whole vectors of every instruction set.
pub(crate) fn padded(cols: usize) -> usize {
    cols.next_multiple_of(16)
}

/// Distance of the rows of exponentials in [`Workspace::exps`]: never a multiple of 4096 bytes, at which the store
/// to one row would look to the CPU like one to all of them.
fn exps_stride(cols: usize) -> usize {
    padded(cols) + 16 * usize::from(padded(cols).is_multiple_of(512))
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
    let high = power_of_two(T::BIAS * 0.25);
    1.0 / high..=high
}

/// The smallest column sum that is accurate: 2^31 times what underflow in all rows may have cost it.
#[inline(always)]
fn column_floor<T: Float>() -> f64 {
    power_of_two(-T::BIAS * 0.5)
}

/// 2^floor(e) for a normal result.
#[inline(always)]
pub(super) fn power_of_two(e: f64) -> f64 {
    f64::from_bits(((e + f64::BIAS) as u64) << 52)
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
struct Inner<'a, L: Lanes<T>, T: Float> {
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

impl<'a, L: Lanes<T>, T: Float> Inner<'a, L, T> {
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
        let y = l.neg_mul_add_once(self.k, cost, l.add(shift, high));
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

/// The exponentials of R rows, to `exps`, and their sums.
#[inline(always)]
fn exponentials<L: Lanes<T>, T: Float, const R: usize, const MEASURE: bool>(
    l: L,
    inner: &Inner<'_, L, T>,
    rows: [&[T]; R],
    shifts: [T; R],
    exps: &mut [T],
) -> [RowSum; R] {
    let zero = l.splat(T::ZERO);
    let cols = rows[0].len();
    let stride = exps_stride(cols);
    let mut totals = [RowSum::default(); R];
    let mut at = 0;
    while at < cols {
        let end = cols.min(at + FOLD_VECTORS * L::N);
        let (mut sums, mut costs) = ([zero; R], [zero; R]);
        while at < end {
            let g = inner.columns(l, at);
            let whole = cols - at >= L::N;
            for i in 0..R {
                let cost = if whole { l.load(&rows[i][at..]) } else { l.load_tail(&rows[i][at..], T::ZERO) };
                let e = inner.exp.eval(l, inner.argument(l, l.splat(shifts[i]), g, cost));
                l.store(&mut exps[i * stride + at..], e);
                sums[i] = l.add(sums[i], e);
                if MEASURE {
                    costs[i] = l.add(costs[i], product(l, cost, e));
                }
            }
            at += L::N;
        }
        for i in 0..R {
            totals[i].sum += l.sum(sums[i]);
            if MEASURE {
                totals[i].cost += l.sum(costs[i]);
            }
        }
    }
    totals
}

/// The arguments of the exponentials of a row, to `out`, and their maximum.
#[inline(always)]
fn arguments<L: Lanes<T>, T: Float>(l: L, inner: &Inner<'_, L, T>, row: &[T], shift: T, out: &mut [T]) -> f64 {
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
fn careful_row<L: Lanes<T>, T: Float>(
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
        total.sum += l.sum(e);
        total.cost += l.sum(product(l, load_padded(l, row, at), e));
        at += L::N;
    }
    (shift.to_f64() - max, total)
}

/// Adds R rows of exponentials to the column sums, each times its factor.
#[inline(always)]
fn add_to_columns<L: Lanes<T>, T: Float, const R: usize>(
    l: L,
    cols: usize,
    exps: &[T],
    factors: [T; R],
    sums: &mut [T],
) {
    let stride = exps_stride(cols);
    let mut at = 0;
    while at < cols {
        let mut sum = l.load(&sums[at..]);
        for i in 0..R {
            sum = l.mul_add(l.splat(factors[i]), l.load(&exps[i * stride + at..]), sum);
        }
        l.store(&mut sums[at..], sum);
        at += L::N;
    }
}

/// One block of rows, from row `first` of those with mass. To normalise (not `MEASURE`), leaves the shifts and sums of
/// the rows in the workspace and adds rows that sum to `a`; to `MEASURE`, takes the potentials as they are, leaves
/// |row sum - a| in the place of the sums and returns the rows' share of the plan's cost.
#[inline(always)]
fn block<L: Lanes<T>, T: Float, const R: usize, const MEASURE: bool>(
    l: L,
    p: &Problem<'_, T>,
    u: &[f64],
    grid: f64,
    w: &mut Workspace<'_, T>,
    first: usize,
) -> f64 {
    let cols = p.cost.cols();
    let inner = Inner::new(l, p.k, w.high, w.low);
    let mut rows: [&[T]; R] = [&[]; R];
    let mut shifts = [T::ZERO; R];
    for i in 0..R {
        rows[i] = p.cost.row(p.rows[first + i]);
        shifts[i] = T::from_f64(round_to(grid, u[first + i]));
    }
    let totals = exponentials::<L, T, R, MEASURE>(l, &inner, rows, shifts, w.exps);
    let mut factors = [T::ZERO; R];
    let mut cost = 0.0;
    for i in 0..R {
        let (mut shift, mut total) = (shifts[i].to_f64(), totals[i]);
        if !row_range::<T>().contains(&total.sum) {
            let stride = exps_stride(cols);
            (shift, total) = careful_row(l, &inner, grid, rows[i], &mut w.exps[i * stride..(i + 1) * stride]);
        }
        let a = p.a[first + i];
        let factor = if MEASURE { a * exp2(u[first + i] - shift) } else { a / total.sum };
        factors[i] = T::from_f64(factor);
        w.shifts[first + i] = shift;
        w.sums[first + i] = if MEASURE { (factor * total.sum - a).abs() } else { total.sum };
        cost += factor * total.cost;
    }
    add_to_columns(l, cols, w.exps, factors, w.partial);
    cost
}

/// One read of the cost matrix: [`block`] over all rows with mass, and the column sums.
#[inline(always)]
fn pass<L: Lanes<T>, T: Float, const MEASURE: bool>(
    l: L,
    p: &Problem<'_, T>,
    s: &State<'_>,
    w: &mut Workspace<'_, T>,
) -> f64 {
    let grid = grid::<T>(s.span);
    split_columns(grid, s.g, w.high, w.low);
    w.partial.fill(T::ZERO);
    w.columns.fill(0.0);
    let mut cost = 0.0;
    let mut at = 0;
    while at < p.rows.len() {
        if p.rows.len() - at >= ROWS {
            cost += block::<L, T, ROWS, MEASURE>(l, p, s.u, grid, w, at);
            at += ROWS;
        } else {
            cost += block::<L, T, 1, MEASURE>(l, p, s.u, grid, w, at);
            at += 1;
        }
        if at.is_multiple_of(FOLD_ROWS) || at == p.rows.len() {
            for (sum, partial) in w.columns.iter_mut().zip(&mut *w.partial) {
                *sum += partial.to_f64();
                *partial = T::ZERO;
            }
        }
    }
    cost
}

/// One full iteration: new U, then new G. Returns the L1 error of the row marginals *before* it, which comes for free
/// (the column marginals were met then, by the iteration before).
#[inline(always)]
pub(crate) fn iterate<L: Lanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    s: &mut State<'_>,
    w: &mut Workspace<'_, T>,
) -> f64 {
    pass::<L, T, false>(l, p, s, w);
    // With the old U a row would have summed to a * 2^(old - new).
    for (((u, &shift), sum), &a) in s.u.iter_mut().zip(&*w.shifts).zip(&mut *w.sums).zip(p.a) {
        let new = shift - log2(*sum);
        *sum = a * (exp2(*u - new) - 1.0).abs();
        *u = new;
    }
    let floor = column_floor::<T>();
    for ((g, &sum), &log2_b) in s.g.iter_mut().zip(&*w.columns).zip(p.log2_b) {
        *g = if sum >= floor { *g + (log2_b - log2(sum)) } else { *g };
    }
    let mut count = 0;
    for (j, (&sum, &b)) in w.columns.iter().zip(p.b).enumerate() {
        // Counting without a branch: few columns are starved, or none.
        w.starved[count] = j;
        count += usize::from(b > 0.0 && sum < floor);
        if count == w.starved.len() {
            break;
        }
    }
    if count > 0 {
        feed_columns(p, s, w, count);
    }
    s.span = span(s.u, s.g, p.b);
    w.sums.iter().sum()
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

/// The marginal error and the cost of the plan that the potentials stand for.
#[inline(always)]
pub(crate) fn measure<L: Lanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    s: &State<'_>,
    w: &mut Workspace<'_, T>,
) -> Measure {
    let cost = pass::<L, T, true>(l, p, s, w);
    let rows: f64 = w.sums.iter().sum();
    let columns: f64 = w.columns.iter().zip(p.b).map(|(sum, b)| (sum - b).abs()).sum();
    Measure { error: rows + columns, cost }
}

/// Writes the plan, for masses that sum to `total`.
#[inline(always)]
pub(crate) fn plan<L: Lanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    s: &State<'_>,
    w: &mut Workspace<'_, T>,
    total: f64,
    mut out: MatMut<'_, T>,
) {
    let grid = grid::<T>(s.span);
    split_columns(grid, s.g, w.high, w.low);
    let mut written = 0;
    for ((&i, &u), &a) in p.rows.iter().zip(&*s.u).zip(p.a) {
        for without_mass in written..i {
            out.row_mut(without_mass).fill(T::ZERO);
        }
        written = i + 1;
        let inner = Inner::new(l, p.k, w.high, w.low);
        let row = p.cost.row(i);
        let rounded = T::from_f64(round_to(grid, u));
        let [row_sum] = exponentials::<L, T, 1, false>(l, &inner, [row], [rounded], w.exps);
        let mut shift = rounded.to_f64();
        if !row_range::<T>().contains(&row_sum.sum) {
            (shift, _) = careful_row(l, &inner, grid, row, w.exps);
        }
        let factor = T::from_f64(total * a * exp2(u - shift));
        for (out, &e) in out.row_mut(i).iter_mut().zip(&*w.exps) {
            *out = factor * e;
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
        if l.sum(bad).is_nan() {
            return Some(i);
        }
        let lanes = l.to_array(min);
        row_minima[i] = lanes[..L::N].iter().fold(T::INFINITY, |min, &lane| if lane < min { lane } else { min });
    }
    None
}
