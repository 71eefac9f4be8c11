//! Bands of columns: the sums of their exponentials relative to base 1, and pass 2 over them.

use super::base_one::{MIN_ROW_SUM, may_fit_columns};
use super::column_maxima;
use super::row_scan::MAX_SHARE;
use super::tuning::BAND_COLUMNS;
use crate::kernels::lanes::{Float, Lanes, MAX_LANES, out_of_line};
use crate::kernels::math::compensated::add_fast_two_sum;
use crate::kernels::math::exp::{Exp, ExpLanes, Recorded};
use crate::kernels::math::ln::ln_parts;
use crate::kernels::rows::{Ahead, LINE_BYTES, PREFETCH_BYTES, Row, SrcDst, SrcDstRows, load_up_to};
use core::ops::Range;

/// All sums.
pub(super) const ANY_SUM: Range<f64> = 0.0..f64::INFINITY;

/// The rows that are added before the rounding errors of the sums are added to them: so few that
/// the errors themselves, which are added without compensation, stay accurate, and that the sums of
/// exponentials that do not fit their base do not overflow.
pub(super) const BLOCK_ROWS: usize = 1024;

/// The rows whose exponentials are computed side by side.
const STEP_ROWS: usize = 4;

/// Columns of at most this many rows take their logarithms beside their maximum at once. Other
/// numbers: not measured.
const BESIDE_MAX_ROWS: usize = 8;

/// A number per column of a band, and some more, so that whole vectors can be loaded from any of
/// them.
type PerColumn<T> = [T; BAND_COLUMNS + 2 * MAX_LANES];

/// A band of columns and the sums of their exponentials relative to base 1. Its arrays begin at
/// multiples of a cache line, because vectors that cross one take twice the time.
#[repr(C, align(64))]
pub(super) struct Band<T> {
    /// The sums; then the first parts of what pass 2 needs.
    pub(super) high: PerColumn<T>,
    /// The rounding errors of the sums; then the second parts.
    pub(super) low: PerColumn<T>,
    /// Bounds of the exponentials; then 1 for a misfit, a column that is summed again, or 0.
    pub(super) bound: PerColumn<T>,
    /// The first column.
    pub(super) first: usize,
    /// The number of columns.
    len: usize,
    /// Whether there is a misfit.
    pub(super) has_misfits: bool,
}

impl<T: Float> Band<T> {
    /// Empty sums.
    #[inline(always)]
    pub(super) fn new(columns: Range<usize>) -> Self {
        Self {
            first: columns.start,
            len: columns.len(),
            high: [T::ZERO; BAND_COLUMNS + 2 * MAX_LANES],
            low: [T::ZERO; BAND_COLUMNS + 2 * MAX_LANES],
            bound: [T::ZERO; BAND_COLUMNS + 2 * MAX_LANES],
            has_misfits: false,
        }
    }

    /// The columns of a vector from place `j` on.
    #[inline(always)]
    fn vector<L: Lanes<T>>(&self, _: L, j: usize) -> (usize, usize) {
        (self.first + j, self.first + self.len.min(j + <L as Lanes<T>>::N))
    }

    /// Marks columns whose first rows are far from base 1, by infinite bounds: logits around -1000
    /// or 1000. Returns whether all are.
    #[inline(always)]
    pub(super) fn all_are_far<L: ExpLanes<T>>(&mut self, l: L, x: &SrcDstRows<'_, T>) -> bool {
        let n = STEP_ROWS.min(x.shape().0);
        let mut all = n > 0;
        for j in (0..self.len).step_by(L::N) {
            let (at, end) = self.vector(l, j);
            let mut max = l.splat(T::NEG_INFINITY);
            for i in 0..n {
                max = l.max(load_up_to(l, &x.read_row(i), at, end), max);
            }
            let near = may_fit_columns(l, max);
            all &= l.count(near) == L::N - (end - at);
            l.store(&mut self.bound[j..], l.select(near, l.splat(T::ZERO), l.splat(T::INFINITY)));
        }
        all
    }

    /// Adds the exponentials of all rows to the sums; `STORE` also stores them, and `BOUND` bounds
    /// them. The exponentials of a step are added in pairs, and then to the sums with the rounding
    /// errors kept.
    #[inline(always)]
    pub(super) fn add_rows<L: ExpLanes<T>, const STORE: bool, const BOUND: bool>(
        &mut self,
        l: L,
        exp: &Exp<L, T>,
        x: &mut SrcDstRows<'_, T>,
    ) {
        let row_count = x.shape().0;
        let ahead = x.ahead(self.len, STEP_ROWS, 0);
        for i in (0..row_count).step_by(STEP_ROWS) {
            if i > 0 && i.is_multiple_of(BLOCK_ROWS) {
                self.add_errors(l);
            }
            let n = STEP_ROWS.min(row_count - i);
            let mut rows = x.rows_mut::<STEP_ROWS>(i);
            let whole = if n == STEP_ROWS { self.len - self.len % L::N } else { 0 };
            for j in (0..whole).step_by(L::N) {
                let at = self.first + j;
                let mut e = [l.splat(T::ZERO); STEP_ROWS];
                if j.is_multiple_of(LINE_BYTES / size_of::<T>()) {
                    ahead.prefetch_rows(l, &rows, at);
                }
                for (e, row) in e.iter_mut().zip(&rows) {
                    *e = row.load(l, at);
                }
                for e in e.chunks_mut(L::IN_FLIGHT) {
                    exp.eval_in_flight::<Recorded>(l, e);
                }
                if STORE {
                    for (&e, row) in e.iter().zip(&mut rows) {
                        l.store(&mut row.dst()[at..at + L::N], e);
                    }
                }
                self.add::<L, BOUND>(l, j, e);
            }
            for j in (whole..self.len).step_by(L::N) {
                let (at, end) = self.vector(l, j);
                let mut e = [l.splat(T::NEG_INFINITY); STEP_ROWS];
                ahead.prefetch_rows(l, &rows, at);
                for (e, row) in e.iter_mut().zip(&rows).take(n) {
                    *e = load_up_to(l, row, at, end);
                }
                for e in e.chunks_mut(L::IN_FLIGHT) {
                    exp.eval_in_flight::<Recorded>(l, e);
                }
                if STORE {
                    for (&e, row) in e.iter().zip(&mut rows).take(n) {
                        l.store_up_to(&mut row.dst()[at..end], e);
                    }
                }
                self.add::<L, BOUND>(l, j, e);
            }
        }
        self.add_errors(l);
    }

    /// Adds exponentials to the sums of the vector at `j`.
    #[inline(always)]
    fn add<L: ExpLanes<T>, const BOUND: bool>(&mut self, l: L, j: usize, e: [L::V; STEP_ROWS]) {
        let (a, b) = (l.quiet_add(e[0], e[1]), l.quiet_add(e[2], e[3]));
        let sums = add_fast_two_sum(l, (l.load(&self.high[j..]), l.load(&self.low[j..])), l.quiet_add(a, b));
        l.store(&mut self.high[j..], sums.0);
        l.store(&mut self.low[j..], sums.1);
        if BOUND {
            let bound = l.max(l.max(a, b), l.load(&self.bound[j..]));
            l.store(&mut self.bound[j..], bound);
        }
    }

    /// Adds the rounding errors to the sums, and keeps what is lost. Sums that are too large for
    /// their base stay so, and do not grow further.
    #[inline(always)]
    fn add_errors<L: Lanes<T>>(&mut self, l: L) {
        let (zero, most) = (l.splat(T::ZERO), l.splat(T::SCALE + T::SCALE));
        for j in (0..self.len).step_by(L::N) {
            let (high, low) = add_fast_two_sum(l, (l.load(&self.high[j..]), zero), l.load(&self.low[j..]));
            l.store(&mut self.high[j..], l.min(most, high));
            l.store(&mut self.low[j..], l.select(l.lt(high, most), low, zero));
        }
    }

    /// The sums of the vector at `j`, 1 for misfits, and 1 for misfits in place of the bounds. Base
    /// 1 does not fit a misfit, or the sum is in the `range` and an exponential may be more than
    /// [`MAX_SHARE`] of it.
    #[inline(always)]
    fn find_misfits<L: Lanes<T>>(&mut self, l: L, j: usize, range: Range<f64>) -> (L::V, L::V) {
        let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
        let (high, low) = (l.load(&self.high[j..]), l.load(&self.low[j..]));
        let most = l.splat(T::from_f64(-T::MIN.to_f64()));
        let share = l.quiet_mul(high, l.splat(T::from_f64(MAX_SHARE)));
        let share = l.select(l.lt(high, l.splat(T::from_f64(range.end))), share, most);
        let share = l.select(l.lt(l.splat(T::from_f64(range.start)), high), share, most);
        // A sum that is NaN is not less than anything.
        let misfits = l.select(l.lt(high, l.splat(T::SCALE)), zero, one);
        let misfits = l.select(l.lt(high, l.splat(T::from_f64(MIN_ROW_SUM))), one, misfits);
        let misfits = l.select(l.lt(share, l.load(&self.bound[j..])), one, misfits);
        l.store(&mut self.bound[j..], misfits);
        let misfits = l.lt(zero, misfits);
        // The sums beyond the last column are 0.
        let (at, end) = self.vector(l, j);
        self.has_misfits |= l.count(misfits) > L::N - (end - at);
        (l.select(misfits, one, high), l.select(misfits, zero, low))
    }

    /// Replaces the sums by their reciprocals in two parts of different signs: products of 0 and
    /// -0 with both add to +0.
    #[inline(always)]
    pub(super) fn invert<L: Lanes<T>>(&mut self, l: L) {
        let (one, more) = (l.splat(T::ONE), l.splat(T::from_f64(1.0 + 4.0 * T::EPSILON)));
        for j in (0..self.len).step_by(L::N) {
            let (high, low) = self.find_misfits(l, j, ANY_SUM);
            let first = l.quiet_mul(l.quiet_div(one, high), more);
            let rest = l.quiet_neg_mul_add(low, first, l.div_residual(one, high, first));
            l.store(&mut self.high[j..], first);
            l.store(&mut self.low[j..], l.quiet_mul(rest, first));
        }
    }

    /// Sums the exponentials of all rows, and replaces the sums by their logarithms in two parts,
    /// out of line. A dominating exponential makes a misfit only if the sum is in the range
    /// `inexact`.
    #[inline(always)]
    pub(super) fn find_logarithms<L: ExpLanes<T>>(&mut self, l: L, x: &mut SrcDstRows<'_, T>, inexact: Range<f64>) {
        let mut x = x.shorten();
        out_of_line!(l, {
            if x.shape().0 <= BESIDE_MAX_ROWS || self.all_are_far(l, &x) {
                self.bound.fill(T::ONE);
                self.has_misfits = true;
                return;
            }
            let exp = Exp::hidden_for_sums(l);
            self.add_rows::<L, false, true>(l, &exp, &mut x);
            let d = l.double();
            for j in (0..self.len).step_by(L::N) {
                let (high, low) = self.find_misfits(l, j, inexact.clone());
                let (high, low) = (l.to_array(high), l.to_array(low));
                let (mut sums, mut errors) = ([1.0; MAX_LANES], [0.0; MAX_LANES]);
                for i in 0..L::N {
                    (sums[i], errors[i]) = (high[i].to_f64(), low[i].to_f64());
                    if T::EPSILON > f64::EPSILON {
                        (sums[i], errors[i]) = (sums[i] + errors[i], 0.0);
                    }
                }
                for at in (0..L::N).step_by(<L::Double as Lanes<f64>>::N) {
                    let zero = d.splat(0.0);
                    let (mut high, mut low) = ln_parts::<_, T>(d, d.load(&sums[at..]), d.load(&errors[at..]), zero);
                    if T::EPSILON == f64::EPSILON {
                        (high, low) = add_fast_two_sum(d, (high, zero), low);
                    }
                    d.store(&mut sums[at..], high);
                    d.store(&mut errors[at..], low);
                }
                for i in 0..L::N {
                    let first = T::from_f64(sums[i]);
                    self.high[j + i] = first;
                    self.low[j + i] = T::from_f64((sums[i] - first.to_f64()) + errors[i]);
                }
            }
        });
    }

    /// The next columns, from place `j` on, of vectors that have misfits, or of vectors that have
    /// none. Those of misfits are at most [`column_maxima::MAX_COLUMNS`].
    #[inline(always)]
    pub(super) fn next_run<L: Lanes<T>>(&self, l: L, j: &mut usize, misfits: bool) -> Option<Range<usize>> {
        if misfits && !self.has_misfits {
            return None;
        }
        let most = if misfits { column_maxima::MAX_COLUMNS } else { self.len };
        while *j < self.len && self.vector_has_misfits(l, *j) != misfits {
            *j += L::N;
        }
        let start = *j;
        while *j < self.len && *j - start < most && self.vector_has_misfits(l, *j) == misfits {
            *j += L::N;
        }
        (start < self.len).then(|| self.first + start..self.first + self.len.min(*j))
    }

    /// Whether a column of the vector at `j` is a misfit.
    #[inline(always)]
    fn vector_has_misfits<L: Lanes<T>>(&self, _: L, j: usize) -> bool {
        self.has_misfits && self.bound[j..self.len.min(j + <L as Lanes<T>>::N)].iter().any(|&x| x != T::ZERO)
    }

    /// Writes `finish` of what `prepare` makes of the vectors of all columns that are in no vector
    /// with a misfit, given the two parts of each column. With `STORED`, they are read from the
    /// destination.
    #[inline(always)]
    pub(super) fn write_results<L: ExpLanes<T>, const STORED: bool>(
        &mut self,
        l: L,
        x: &mut SrcDstRows<'_, T>,
        stream: bool,
        prepare: impl Fn(&mut [L::V]),
        finish: impl Fn(L::V, (L::V, L::V)) -> L::V,
    ) {
        let (rows, cols) = x.shape();
        let ahead = x.ahead(self.len, STEP_ROWS, PREFETCH_BYTES);
        let is_one_row = !self.has_misfits && self.len == cols && x.as_one_row().is_some();
        let (mut row_count, mut period) = (rows, usize::MAX);
        if is_one_row {
            // The parts repeat, at least as often as a vector needs.
            (row_count, period) = (1, cols * L::N.div_ceil(cols));
            for j in cols..period + L::N {
                (self.high[j], self.low[j]) = (self.high[j - cols], self.low[j - cols]);
            }
        }
        let mut next = 0;
        while let Some(columns) = self.next_run(l, &mut next, false) {
            let at = columns.start - self.first;
            let parts = (&self.high, &self.low, at, period);
            for i in 0..row_count {
                let (row, columns) = match x.as_one_row() {
                    Some(row) if is_one_row => (row, 0..rows * cols),
                    _ => (x.row_mut(i), columns.clone()),
                };
                let row = if STORED { SrcDst::results_in_place(row.into_dst()) } else { row };
                write_part(l, row.part(columns), parts, (stream, ahead), &prepare, &finish);
            }
        }
        if stream {
            l.fence();
        }
    }
}

/// [`Band::write_results`] of a part of a row. The parts of the columns begin at place `first`, and
/// repeat after a period. Arrays spare a comparison of lengths per load.
#[inline(always)]
fn write_part<L: ExpLanes<T>, T: Float>(
    l: L,
    mut row: SrcDst<'_, T>,
    (firsts, seconds, first, period): (&PerColumn<T>, &PerColumn<T>, usize, usize),
    (stream, ahead): (bool, Ahead),
    prepare: &impl Fn(&mut [L::V]),
    finish: &impl Fn(L::V, (L::V, L::V)) -> L::V,
) {
    let (mut at, end, mut j) = (0, row.len(), first);
    let (bytes, stream) = (L::N * size_of::<T>(), stream && !L::IS_SCALAR);
    if stream {
        // The head: up to the first aligned vector of the destination.
        let n = row.dst().as_ptr().align_offset(bytes).min(L::N).min(end);
        if n > 0 && n < L::N {
            write_vector(l, &mut row, 0..n, (&firsts[j..], &seconds[j..]), prepare, finish);
            (at, j) = (n, j + n);
        }
    }
    let aligned = stream && row.dst()[at..].as_ptr().addr().is_multiple_of(bytes);
    while end - at >= 4 * L::N {
        let (mut v, x) = ([l.splat(T::ZERO); 4], &row.src()[at..at + 4 * L::N]);
        ahead.prefetch(l, row.src(), at, 4 * L::N);
        for (i, v) in v.iter_mut().enumerate() {
            *v = l.load(&x[i * L::N..]);
        }
        for v in v.chunks_mut(L::IN_FLIGHT) {
            prepare(v);
        }
        let out = &mut row.dst()[at..at + 4 * L::N];
        for (i, v) in v.into_iter().enumerate() {
            let y = finish(v, (l.load(&firsts[j..]), l.load(&seconds[j..])));
            let out = &mut out[i * L::N..];
            if aligned {
                l.stream(out, y)
            } else {
                l.store(out, y)
            }
            j += L::N;
            if j >= period {
                j -= period;
            }
        }
        at += 4 * L::N;
    }
    while at < end {
        let next = end.min(at + L::N);
        write_vector(l, &mut row, at..next, (&firsts[j..], &seconds[j..]), prepare, finish);
        j += L::N;
        if j >= period {
            j -= period;
        }
        at = next;
    }
}

/// [`Band::write_results`] of at most a vector.
#[inline(always)]
fn write_vector<L: ExpLanes<T>, T: Float>(
    l: L,
    row: &mut SrcDst<'_, T>,
    columns: Range<usize>,
    (firsts, seconds): (&[T], &[T]),
    prepare: &impl Fn(&mut [L::V]),
    finish: &impl Fn(L::V, (L::V, L::V)) -> L::V,
) {
    let mut v = [load_up_to(l, row, columns.start, columns.end)];
    prepare(&mut v);
    let y = finish(v[0], (l.load(firsts), l.load(seconds)));
    l.store_up_to(&mut row.dst()[columns], y);
}
