//! Columns relative to their maxima: those that base 1 does not fit, or that one exponential
//! dominates.
//!
//! ```text
//! m_j = max_i x_ij                    k_j = rint(m_j log2 e)
//! S_j = sum_i e^(x_ij) 2^(-k_j)       softmax: e^(x_ij) 2^(-k_j) / S_j
//! L_j                                 log-softmax and log-sum-exp: as in `beside_max`
//! ```
//!
//! Where a maximum is huge, it is subtracted first, which is exact wherever it counts.

use super::beside_max::{MAX_MAXIMUM, factor, logarithm_of_rest, nearest_exponent, scaled_base};
use super::column_bands::BLOCK_ROWS;
use super::tuning::PREFETCHED_ROWS;
use crate::kernels::lanes::{Float, Lanes, MAX_LANES, out_of_line};
use crate::kernels::math::compensated::{add_fast_two_sum, two_sum};
use crate::kernels::math::exp::{Base, Exp, ExpLanes, Recorded, UntabledExp};
use crate::kernels::rows::{LINE_BYTES, SrcDstRows, load_up_to, mul_two_part};
use core::ops::Range;

/// The most columns that are worked on at a time. Other numbers: not measured.
pub(super) const MAX_COLUMNS: usize = 64;

/// The rows whose exponentials are computed side by side.
const ROWS_IN_FLIGHT: usize = 4;

/// A number per column of a band.
type PerColumn<T> = [T; MAX_COLUMNS];

/// A band of columns and their maxima.
struct Band<T> {
    /// The first column.
    first: usize,
    /// The number of columns; further numbers are those of columns of -inf.
    len: usize,
    /// The maxima m. NaN is ignored.
    max: PerColumn<T>,
    /// The maxima of what is left of the logits: m, or 0 if m is huge or infinite.
    top: PerColumn<T>,
    /// What is subtracted from the logits: huge maxima, or 0.
    shift: PerColumn<T>,
    /// The lowest logit that counts: a negative one is so far below a huge positive maximum that 0
    /// has the same result, and its own difference might overflow.
    least: PerColumn<T>,
    /// The exponents k.
    exponents: PerColumn<f64>,
    /// Whether a maximum is huge.
    has_shift: bool,
}

impl<T: Float> Band<T> {
    /// Finds the maxima of a band, out of line.
    #[inline(always)]
    fn new<L: ExpLanes<T>>(l: L, x: &SrcDstRows<'_, T>, columns: Range<usize>) -> Self {
        const { assert!(MAX_COLUMNS.is_multiple_of(MAX_LANES), "bands have whole vectors") };
        out_of_line!(l, {
            let (rows, first) = (x.shape().0, columns.start);
            let mut band = Self {
                first,
                len: columns.len(),
                max: [T::NEG_INFINITY; MAX_COLUMNS],
                top: [T::ZERO; MAX_COLUMNS],
                shift: [T::ZERO; MAX_COLUMNS],
                least: [T::NEG_INFINITY; MAX_COLUMNS],
                exponents: [0.0; MAX_COLUMNS],
                has_shift: false,
            };
            for i in 0..rows {
                if i + PREFETCHED_ROWS < rows {
                    let later = x.read_row(i + PREFETCHED_ROWS);
                    for at in (first..first + band.len).step_by(LINE_BYTES / size_of::<T>()) {
                        l.prefetch(later.src(), at);
                    }
                }
                let row = x.read_row(i);
                for (j, at, end) in band.vectors(l) {
                    let max = l.max(load_up_to(l, &row, at, end), l.load(&band.max[j..]));
                    l.store(&mut band.max[j..], max);
                }
            }
            for j in 0..MAX_COLUMNS {
                let m = band.max[j].to_f64();
                if m.abs() < MAX_MAXIMUM {
                    band.top[j] = band.max[j];
                } else if m.abs() < f64::INFINITY {
                    band.shift[j] = band.max[j];
                    band.least[j] = if m > 0.0 { T::ZERO } else { T::NEG_INFINITY };
                    band.has_shift = true;
                }
                band.exponents[j] = nearest_exponent(band.top[j].to_f64());
            }
            band
        })
    }

    /// The vectors of the band: the first place in the band, the first column and the column after
    /// the last.
    #[inline(always)]
    fn vectors<L: Lanes<T>>(&self, _: L) -> impl Iterator<Item = (usize, usize, usize)> + use<L, T> {
        let (first, len) = (self.first, self.len);
        (0..len).step_by(<L as Lanes<T>>::N).map(
            #[inline(always)]
            move |j| (j, first + j, first + len.min(j + <L as Lanes<T>>::N)),
        )
    }

    /// Whether the sum of column `j` is not that of finite numbers and -inf, NaN aside.
    #[inline(always)]
    fn is_degenerate(&self, j: usize) -> bool {
        self.max[j].to_f64().is_infinite()
    }

    /// Logits of the vector at `j`, shifted.
    #[inline(always)]
    fn shifted<L: ExpLanes<T>>(&self, l: L, j: usize, mut v: [L::V; ROWS_IN_FLIGHT]) -> [L::V; ROWS_IN_FLIGHT] {
        if self.has_shift {
            let (shift, least) = (l.load(&self.shift[j..]), l.load(&self.least[j..]));
            for v in &mut v {
                *v = l.quiet_sub(l.max(least, *v), shift);
            }
        }
        v
    }

    /// (m, L) of the columns, see [`beside_max`](super::beside_max): NaN if a column has NaN,
    /// +inf, or nothing but -inf.
    #[inline(always)]
    fn logarithms<L: ExpLanes<T>>(&self, l: L, x: &SrcDstRows<'_, T>) -> (PerColumn<f64>, PerColumn<f64>) {
        let (d, exp, rows) = (l.double(), UntabledExp::new(l), x.shape().0);
        let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
        let mut bases = [T::ZERO; MAX_COLUMNS];
        for (base, &k) in bases.iter_mut().zip(&self.exponents) {
            *base = scaled_base(T::from_f64(k));
        }
        let (mut sums, mut errors, mut others) = ([0.0; MAX_COLUMNS], [0.0; MAX_COLUMNS], [-1.0; MAX_COLUMNS]);
        for start in (0..rows).step_by(BLOCK_ROWS) {
            let (mut high, mut low, mut counts) =
                ([T::ZERO; MAX_COLUMNS], [T::ZERO; MAX_COLUMNS], [T::ZERO; MAX_COLUMNS]);
            for i in (start..rows.min(start + BLOCK_ROWS)).step_by(ROWS_IN_FLIGHT) {
                for (j, at, end) in self.vectors(l) {
                    let logits = self.shifted(l, j, load_rows(l, x, i, (at, end)));
                    let top = l.load(&self.top[j..]);
                    let (mut below, mut count) = ([l.lt(top, top); ROWS_IN_FLIGHT], l.load(&counts[j..]));
                    for r in 0..ROWS_IN_FLIGHT {
                        below[r] = l.lt(logits[r], top);
                        count = l.quiet_add(count, l.select(below[r], zero, one));
                    }
                    l.store(&mut counts[j..], count);
                    let (powers, p) = exp.eval_masked(l, below, logits, l.load(&bases[j..]));
                    let mut sum = (l.load(&high[j..]), l.load(&low[j..]));
                    for r in 0..ROWS_IN_FLIGHT {
                        let (e, error) = UntabledExp::scale(l, (powers[r], p[r]));
                        sum = add_fast_two_sum(l, sum, e);
                        sum.1 = l.quiet_add(sum.1, error);
                    }
                    l.store(&mut high[j..], sum.0);
                    l.store(&mut low[j..], sum.1);
                }
            }
            for j in 0..MAX_COLUMNS {
                let (sum, error) = two_sum(sums[j], high[j].to_f64());
                (sums[j], errors[j]) = (sum, errors[j] + error + low[j].to_f64());
                others[j] += counts[j].to_f64();
            }
        }
        let (mut m, mut ln, mut top) = ([0.0; MAX_COLUMNS], [0.0; MAX_COLUMNS], [0.0; MAX_COLUMNS]);
        for j in 0..MAX_COLUMNS {
            top[j] = self.top[j].to_f64();
            // Of an infinite maximum nothing is computed. Of `f32` one number holds the sum.
            if self.is_degenerate(j) {
                (sums[j], errors[j], others[j]) = (0.0, 0.0, 0.0);
            } else if T::EPSILON > f64::EPSILON {
                (sums[j], errors[j]) = (sums[j] + errors[j], 0.0);
            }
        }
        for at in (0..MAX_COLUMNS).step_by(<L::Double as Lanes<f64>>::N) {
            let (top, k) = (d.load(&top[at..]), d.load(&self.exponents[at..]));
            let rest = (d.load(&sums[at..]), d.load(&errors[at..]));
            let results = logarithm_of_rest::<_, T>(d, top, d.load(&others[at..]), rest, factor(d, top, k));
            d.store(&mut m[at..], results.0);
            d.store(&mut ln[at..], results.1);
        }
        for (j, m) in m.iter_mut().enumerate() {
            *m = if self.is_degenerate(j) { f64::NAN } else { *m + self.shift[j].to_f64() };
        }
        (m, ln)
    }
}

/// Softmax of the columns that are marked as misfits, out of line. The others have base 1 and the
/// given reciprocals of their sums.
#[inline(always)]
pub(super) fn softmax<L: ExpLanes<T>, T: Float>(
    l: L,
    x: &mut SrcDstRows<'_, T>,
    columns: Range<usize>,
    misfits: &[T],
    reciprocals: (&[T], &[T]),
) {
    out_of_line!(l, {
        let (rows, exp, base_one) = (x.shape().0, UntabledExp::new(l), Exp::for_sums(l, Base::ONE));
        let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
        let all = [l.lt(zero, one); ROWS_IN_FLIGHT];
        let band = Band::new(l, x, columns);
        let mut bases = [T::ZERO; MAX_COLUMNS];
        for (base, &k) in bases.iter_mut().zip(&band.exponents) {
            *base = T::from_f64(k);
        }
        let (mut high, mut low) = ([T::ZERO; MAX_COLUMNS], [T::ZERO; MAX_COLUMNS]);
        for i in (0..rows).step_by(ROWS_IN_FLIGHT) {
            if i.is_multiple_of(BLOCK_ROWS) {
                add_errors(l, &mut high, &mut low);
            }
            for (j, at, end) in band.vectors(l) {
                let logits = band.shifted(l, j, load_rows(l, x, i, (at, end)));
                let (powers, p) = exp.eval_masked(l, all, logits, l.load(&bases[j..]));
                let mut e = logits;
                for r in 0..ROWS_IN_FLIGHT {
                    e[r] = UntabledExp::scale(l, (powers[r], p[r])).0;
                }
                let sum = l.quiet_add(l.quiet_add(e[0], e[1]), l.quiet_add(e[2], e[3]));
                let sums = add_fast_two_sum(l, (l.load(&high[j..]), l.load(&low[j..])), sum);
                l.store(&mut high[j..], sums.0);
                l.store(&mut low[j..], sums.1);
            }
        }
        for j in (0..MAX_COLUMNS).filter(|&j| band.is_degenerate(j)) {
            (high[j], low[j]) = (T::ONE, T::ZERO);
        }
        for (j, ..) in band.vectors(l) {
            // The reciprocal in two parts.
            let sum = l.load(&high[j..]);
            let reciprocal = l.quiet_div(one, sum);
            let rest = l.quiet_neg_mul_add(l.load(&low[j..]), reciprocal, l.div_residual(one, sum, reciprocal));
            l.store(&mut high[j..], reciprocal);
            l.store(&mut low[j..], l.quiet_mul(rest, reciprocal));
        }
        for j in (0..MAX_COLUMNS).filter(|&j| band.is_degenerate(j)) {
            high[j] = T::NAN;
        }
        for i in (0..rows).step_by(ROWS_IN_FLIGHT) {
            for (j, at, end) in band.vectors(l) {
                let x_rows = load_rows(l, x, i, (at, end));
                let (powers, p) = exp.eval_masked(l, all, band.shifted(l, j, x_rows), l.load(&bases[j..]));
                let reciprocal = (l.load(&high[j..]), l.load(&low[j..]));
                let are_misfits = l.lt(zero, l.load(&misfits[j..]));
                for r in 0..ROWS_IN_FLIGHT.min(rows - i) {
                    let mut y = mul_two_part(l, UntabledExp::scale(l, (powers[r], p[r])).0, reciprocal);
                    if l.count(are_misfits) < L::N {
                        let e = base_one.eval::<Recorded>(l, x_rows[r]);
                        let fit = mul_two_part(l, e, (l.load(&reciprocals.0[j..]), l.load(&reciprocals.1[j..])));
                        y = l.select(are_misfits, y, fit);
                    }
                    l.store_up_to(&mut x.row_mut(i + r).into_dst()[at..end], y);
                }
            }
        }
    });
}

/// The logarithms of the sums of the exponentials of the columns that are marked as misfits.
#[inline(always)]
pub(super) fn log_sum_exp<L: ExpLanes<T>, T: Float>(
    l: L,
    x: &SrcDstRows<'_, T>,
    columns: Range<usize>,
    misfits: &[T],
    out: &mut [T],
) {
    let (rows, first) = (x.shape().0, columns.start);
    let (m, ln, max) = logarithms_and_maxima(l, x, columns);
    for (j, out) in out.iter_mut().enumerate().filter(|&(j, _)| misfits[j] != T::ZERO) {
        *out = if !max[j].to_f64().is_infinite() {
            T::from_f64(m[j] + ln[j])
        } else if (0..rows).any(|i| x.read_row(i).src()[first + j].to_f64().is_nan()) {
            T::NAN
        } else {
            max[j]
        };
    }
}

/// (m, L) of columns, see [`beside_max`](super::beside_max): NaN if a column has NaN, +inf, or
/// nothing but -inf.
#[inline(always)]
pub(super) fn logarithms<L: ExpLanes<T>, T: Float>(
    l: L,
    x: &SrcDstRows<'_, T>,
    columns: Range<usize>,
) -> (PerColumn<f64>, PerColumn<f64>) {
    let (m, ln, _) = logarithms_and_maxima(l, x, columns);
    (m, ln)
}

/// [`logarithms`] and the maxima, out of line.
#[inline(always)]
fn logarithms_and_maxima<L: ExpLanes<T>, T: Float>(
    l: L,
    x: &SrcDstRows<'_, T>,
    columns: Range<usize>,
) -> (PerColumn<f64>, PerColumn<f64>, PerColumn<T>) {
    out_of_line!(l, {
        let band = Band::new(l, x, columns);
        let (m, ln) = band.logarithms(l, x);
        (m, ln, band.max)
    })
}

/// The logits from column `at` to `end` of the rows from `i` on; -inf beyond the last.
#[inline(always)]
fn load_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    x: &SrcDstRows<'_, T>,
    i: usize,
    (at, end): (usize, usize),
) -> [L::V; ROWS_IN_FLIGHT] {
    let mut v = [l.splat(T::NEG_INFINITY); ROWS_IN_FLIGHT];
    let n = ROWS_IN_FLIGHT.min(x.shape().0 - i);
    for (r, v) in v.iter_mut().enumerate().take(n) {
        *v = load_up_to(l, &x.read_row(i + r), at, end);
    }
    v
}

/// Adds rounding errors to their sums, and keeps what is lost.
#[inline(always)]
fn add_errors<L: Lanes<T>, T: Float>(l: L, high: &mut PerColumn<T>, low: &mut PerColumn<T>) {
    let zero = l.splat(T::ZERO);
    for j in (0..MAX_COLUMNS).step_by(L::N) {
        let sums = add_fast_two_sum(l, (l.load(&high[j..]), zero), l.load(&low[j..]));
        l.store(&mut high[j..], sums.0);
        l.store(&mut low[j..], sums.1);
    }
}
