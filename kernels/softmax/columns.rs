//! Softmax, log-softmax and log-sum-exp of the columns of a row-major matrix.
//!
//! A vector holds as many columns as it has lanes, and rows follow each other: no lanes are ever
//! reduced. Bands of [`BAND_COLUMNS`] columns take three passes. If a band fits the caches, only
//! the first of them reads memory:
//!
//! ```text
//! m_j = max_i x_ij                    k_j = rint(m_j log2 e)
//! S_j = sum_i e^(x_ij) 2^(-k_j)       softmax: stores the exponentials, then divides them by S_j
//! L_j                                 log-softmax and log-sum-exp: as in `beside_max`
//! ```
//!
//! The maximum comes first, unlike in rows: a base per column takes no more instructions than one
//! for all. Where a maximum is huge, it is subtracted first, which is exact wherever it counts.

use super::beside_max::{MAX_MAXIMUM, factor, logarithm_of_rest, nearest_exponent, scaled_base};
use super::logits::Logits;
use super::tuning::{BAND_COLUMNS, PREFETCHED_ROWS};
use crate::kernels::lanes::{Float, Lanes, MAX_LANES};
use crate::kernels::math::compensated::{add_fast_two_sum, two_sum};
use crate::kernels::math::exp::{ExpLanes, UntabledExp};
use crate::kernels::rows::{LINE_BYTES, SrcDstRows, load_up_to, mul_two_part};
use crate::matrix::MatRef;

/// The rows that are added before the sums of logarithms go to `f64`, and before the rounding
/// errors of other sums are added to them: so few that the errors themselves, which are added
/// without compensation, stay accurate.
const BLOCK_ROWS: usize = 1024;

/// The rows whose exponentials are computed side by side.
const ROWS_IN_FLIGHT: usize = 4;

/// A number per column of a band.
type PerColumn<T> = [T; BAND_COLUMNS];

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
    /// Whether a maximum is huge.
    has_shift: bool,
}

impl<T: Float> Band<T> {
    /// Finds the maxima of a band.
    #[inline(always)]
    fn new<L: ExpLanes<T>>(l: L, x: &SrcDstRows<'_, T>, first: usize) -> Self {
        const { assert!(BAND_COLUMNS.is_multiple_of(MAX_LANES), "bands have whole vectors") };
        let (rows, cols) = x.shape();
        let mut band = Self {
            first,
            len: BAND_COLUMNS.min(cols - first),
            max: [T::NEG_INFINITY; BAND_COLUMNS],
            top: [T::ZERO; BAND_COLUMNS],
            shift: [T::ZERO; BAND_COLUMNS],
            least: [T::NEG_INFINITY; BAND_COLUMNS],
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
        for j in 0..BAND_COLUMNS {
            let m = band.max[j].to_f64();
            if m.abs() < MAX_MAXIMUM {
                band.top[j] = band.max[j];
            } else if m.abs() < f64::INFINITY {
                band.shift[j] = band.max[j];
                band.least[j] = if m > 0.0 { T::ZERO } else { T::NEG_INFINITY };
                band.has_shift = true;
            }
        }
        band
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

    /// The exponents k.
    #[inline(always)]
    fn exponents(&self) -> PerColumn<f64> {
        let mut k = [0.0; BAND_COLUMNS];
        for (k, top) in k.iter_mut().zip(&self.top) {
            *k = nearest_exponent(top.to_f64());
        }
        k
    }

    /// The logits from column `at` to `end` of the rows from `i` on, shifted; -inf beyond the last.
    #[inline(always)]
    fn load<L: ExpLanes<T>>(
        &self,
        l: L,
        x: &SrcDstRows<'_, T>,
        i: usize,
        (j, at, end): (usize, usize, usize),
    ) -> [L::V; ROWS_IN_FLIGHT] {
        let mut v = [l.splat(T::NEG_INFINITY); ROWS_IN_FLIGHT];
        let n = ROWS_IN_FLIGHT.min(x.shape().0 - i);
        for (r, v) in v.iter_mut().enumerate().take(n) {
            *v = load_up_to(l, &x.read_row(i + r), at, end);
        }
        if self.has_shift {
            let (shift, least) = (l.load(&self.shift[j..]), l.load(&self.least[j..]));
            for v in &mut v {
                *v = l.quiet_sub(l.max(least, *v), shift);
            }
        }
        v
    }
}

/// Softmax of every column.
#[inline(always)]
pub(crate) fn softmax_columns<L: ExpLanes<T>, T: Float>(l: L, x: Logits<'_, T>) {
    let (mut x, exp) = (x.x, UntabledExp::new(l));
    let (rows, cols) = x.shape();
    let all = l.lt(l.splat(T::ZERO), l.splat(T::ONE));
    for first in (0..cols).step_by(BAND_COLUMNS) {
        let band = Band::new(l, &x, first);
        let mut bases = [T::ZERO; BAND_COLUMNS];
        for (base, k) in bases.iter_mut().zip(band.exponents()) {
            *base = T::from_f64(k);
        }
        let (mut high, mut low) = ([T::ZERO; BAND_COLUMNS], [T::ZERO; BAND_COLUMNS]);
        for i in (0..rows).step_by(ROWS_IN_FLIGHT) {
            if i.is_multiple_of(BLOCK_ROWS) {
                add_errors(l, &mut high, &mut low);
            }
            for (j, at, end) in band.vectors(l) {
                let logits = band.load(l, &x, i, (j, at, end));
                let (powers, p) = exp.eval_masked(l, [all; ROWS_IN_FLIGHT], logits, l.load(&bases[j..]));
                let mut e = logits;
                for r in 0..ROWS_IN_FLIGHT {
                    e[r] = UntabledExp::scale(l, (powers[r], p[r])).0;
                }
                for (r, &e) in e.iter().enumerate().take(rows - i) {
                    l.store_up_to(&mut x.row_mut(i + r).into_dst()[at..end], e);
                }
                let sum = l.quiet_add(l.quiet_add(e[0], e[1]), l.quiet_add(e[2], e[3]));
                let sums = add_fast_two_sum(l, (l.load(&high[j..]), l.load(&low[j..])), sum);
                l.store(&mut high[j..], sums.0);
                l.store(&mut low[j..], sums.1);
            }
        }
        for j in (0..BAND_COLUMNS).filter(|&j| band.is_degenerate(j)) {
            (high[j], low[j]) = (T::ONE, T::ZERO);
        }
        for (j, ..) in band.vectors(l) {
            // The reciprocal in two parts.
            let (one, sum) = (l.splat(T::ONE), l.load(&high[j..]));
            let reciprocal = l.quiet_div(one, sum);
            let rest = l.quiet_neg_mul_add(l.load(&low[j..]), reciprocal, l.div_residual(one, sum, reciprocal));
            l.store(&mut high[j..], reciprocal);
            l.store(&mut low[j..], l.quiet_mul(rest, reciprocal));
        }
        for j in (0..BAND_COLUMNS).filter(|&j| band.is_degenerate(j)) {
            high[j] = T::NAN;
        }
        for i in 0..rows {
            let row = &mut *x.row_mut(i).into_dst();
            for (j, at, end) in band.vectors(l) {
                let e = l.load_up_to(&row[at..end], T::ZERO);
                let y = mul_two_part(l, e, (l.load(&high[j..]), l.load(&low[j..])));
                l.store_up_to(&mut row[at..end], y);
            }
        }
    }
}

/// Log-softmax of every column.
#[inline(always)]
pub(crate) fn log_softmax_columns<L: ExpLanes<T>, T: Float>(l: L, x: Logits<'_, T>) {
    let mut x = x.x;
    let (rows, cols) = x.shape();
    for first in (0..cols).step_by(BAND_COLUMNS) {
        let band = Band::new(l, &x, first);
        let (m, ln) = logarithms(l, &x, &band);
        let (mut max, mut rest) = ([T::ZERO; BAND_COLUMNS], [T::ZERO; BAND_COLUMNS]);
        for j in 0..BAND_COLUMNS {
            (max[j], rest[j]) = (T::from_f64(m[j]), T::from_f64(ln[j]));
        }
        for i in 0..rows {
            for (j, at, end) in band.vectors(l) {
                let logits = load_up_to(l, &x.read_row(i), at, end);
                let y = l.quiet_sub(l.quiet_sub(logits, l.load(&max[j..])), l.load(&rest[j..]));
                l.store_up_to(&mut x.row_mut(i).into_dst()[at..end], y);
            }
        }
    }
}

/// The logarithm of the sum of the exponentials of every column.
#[inline(always)]
pub(crate) fn log_sum_exp_columns<L: ExpLanes<T>, T: Float>(l: L, x: MatRef<'_, T>, out: &mut [T]) {
    let x = SrcDstRows::reading(x);
    let (rows, cols) = x.shape();
    for first in (0..cols).step_by(BAND_COLUMNS) {
        let band = Band::new(l, &x, first);
        let (m, ln) = logarithms(l, &x, &band);
        for (j, out) in out[first..first + band.len].iter_mut().enumerate() {
            *out = if !band.is_degenerate(j) {
                T::from_f64(m[j] + ln[j])
            } else if (0..rows).any(|i| x.read_row(i).src()[first + j].to_f64().is_nan()) {
                T::NAN
            } else {
                band.max[j]
            };
        }
    }
}

/// Adds rounding errors to their sums, and keeps what is lost.
#[inline(always)]
fn add_errors<L: Lanes<T>, T: Float>(l: L, high: &mut PerColumn<T>, low: &mut PerColumn<T>) {
    let zero = l.splat(T::ZERO);
    for j in (0..BAND_COLUMNS).step_by(L::N) {
        let sums = add_fast_two_sum(l, (l.load(&high[j..]), zero), l.load(&low[j..]));
        l.store(&mut high[j..], sums.0);
        l.store(&mut low[j..], sums.1);
    }
}

/// (m, L) of the columns of a band, see [`beside_max`](super::beside_max): NaN if a column has NaN,
/// +inf, or nothing but -inf.
#[inline(always)]
fn logarithms<L: ExpLanes<T>, T: Float>(
    l: L,
    x: &SrcDstRows<'_, T>,
    band: &Band<T>,
) -> (PerColumn<f64>, PerColumn<f64>) {
    let (d, exp, rows) = (l.double(), UntabledExp::new(l), x.shape().0);
    let (zero, one) = (l.splat(T::ZERO), l.splat(T::ONE));
    let (exponents, mut bases) = (band.exponents(), [T::ZERO; BAND_COLUMNS]);
    for (base, k) in bases.iter_mut().zip(exponents) {
        *base = scaled_base(T::from_f64(k));
    }
    let (mut sums, mut errors, mut others) = ([0.0; BAND_COLUMNS], [0.0; BAND_COLUMNS], [-1.0; BAND_COLUMNS]);
    for start in (0..rows).step_by(BLOCK_ROWS) {
        let (mut high, mut low, mut counts) =
            ([T::ZERO; BAND_COLUMNS], [T::ZERO; BAND_COLUMNS], [T::ZERO; BAND_COLUMNS]);
        for i in (start..rows.min(start + BLOCK_ROWS)).step_by(ROWS_IN_FLIGHT) {
            for (j, at, end) in band.vectors(l) {
                let logits = band.load(l, x, i, (j, at, end));
                let top = l.load(&band.top[j..]);
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
        for j in 0..BAND_COLUMNS {
            let (sum, error) = two_sum(sums[j], high[j].to_f64());
            (sums[j], errors[j]) = (sum, errors[j] + error + low[j].to_f64());
            others[j] += counts[j].to_f64();
        }
    }
    let (mut m, mut ln, mut top) = ([0.0; BAND_COLUMNS], [0.0; BAND_COLUMNS], [0.0; BAND_COLUMNS]);
    for j in 0..BAND_COLUMNS {
        top[j] = band.top[j].to_f64();
        // Of an infinite maximum nothing is computed. Of `f32` one number holds the sum.
        if band.is_degenerate(j) {
            (sums[j], errors[j], others[j]) = (0.0, 0.0, 0.0);
        } else if T::EPSILON > f64::EPSILON {
            (sums[j], errors[j]) = (sums[j] + errors[j], 0.0);
        }
    }
    for at in (0..BAND_COLUMNS).step_by(<L::Double as Lanes<f64>>::N) {
        let (top, k) = (d.load(&top[at..]), d.load(&exponents[at..]));
        let rest = (d.load(&sums[at..]), d.load(&errors[at..]));
        let results = logarithm_of_rest::<_, T>(d, top, d.load(&others[at..]), rest, factor(d, top, k));
        d.store(&mut m[at..], results.0);
        d.store(&mut ln[at..], results.1);
    }
    for (j, m) in m.iter_mut().enumerate() {
        *m = if band.is_degenerate(j) { f64::NAN } else { *m + band.shift[j].to_f64() };
    }
    (m, ln)
}
