//! The logarithms of the sums of rows, of one row or of a group at a time.
//!
//! Rows of at most [`beside_max_vectors`] vectors are summed beside their maximum at once
//! ([`beside_max`](super::beside_max)). Others are so only if base 1 is tried and does not fit
//! them, or if one exponential is a large part of the sum
//! ([`MAX_SHARE`](super::row_scan::MAX_SHARE)). The choice depends on nothing but the row, so that
//! a row has the same bits alone, in a group, and in a matrix with more columns.

use super::base_one::BaseOne;
use super::beside_max;
use super::ext_sum::ExtSum;
use super::row_groups::{Rows, all_may_fit_base_one, group_sum_exp_base_one};
use super::row_scan::{RowSum, may_dominate, row_sum_exp};
use super::sum_exp::{VectorSum, sum_of_vectors};
use super::tuning::{BLOCK_ELEMENTS, GROUP_ROWS, MAX_BESIDE_VECTORS, TILE_VECTORS, beside_max_vectors};
use crate::kernels::lanes::{Float, WideLanes, out_of_line};
use crate::kernels::math::exp::{Exp, ExpLanes};
use crate::kernels::rows::{Row, has_nan, maximum};
use core::ops::Range;

/// The logarithm of a sum as an unevaluated sum of two numbers.
pub(super) type Logarithm = (f64, f64);

/// The logarithms of the sums of a group of rows.
pub(super) struct Logarithms {
    /// Their first parts.
    pub(super) high: [f64; GROUP_ROWS],
    /// Their second parts.
    pub(super) low: [f64; GROUP_ROWS],
}

impl Logarithms {
    /// No logarithms.
    pub(super) const EMPTY: Self = Self { high: [0.0; GROUP_ROWS], low: [0.0; GROUP_ROWS] };

    /// The logarithm of row `i`.
    #[inline(always)]
    pub(super) fn get(&self, i: usize) -> Logarithm {
        (self.high[i], self.low[i])
    }

    /// Changes the logarithm of row `i`.
    #[inline(always)]
    pub(super) fn set(&mut self, i: usize, (high, low): Logarithm) {
        (self.high[i], self.low[i]) = (high, low);
    }

    /// Whether a first part is NaN.
    #[inline(always)]
    pub(super) fn has_nan(&self) -> bool {
        // By bits: comparisons of NaN in vectors raise a flag on NEON.
        let mut has_nan = false;
        for x in &self.high {
            has_nan |= x.to_bits() & !(1 << 63) > f64::INFINITY.to_bits();
        }
        has_nan
    }
}

/// The sum of the exponentials of a row and its logarithm. If the sum is degenerate, the logarithm
/// has no meaning. Of a row that is summed beside its maximum, the sum is 1. A dominating
/// exponential is no reason for that if the logarithm has at least the magnitude `exact_from`.
#[inline(always)]
pub(super) fn row_logarithm<L: ExpLanes<T>, T: Float>(
    l: L,
    row: &mut impl Row<T>,
    exact_from: f64,
) -> (ExtSum<T>, Logarithm) {
    if row.len() <= beside_max_vectors::<T>() * L::N {
        let ln = beside_max::logarithm(l, row);
        return if ln.0.is_nan() { second_look(l, row) } else { (ExtSum::base_one(1.0, 0.0), ln) };
    }
    let base_one = if row.len() <= BLOCK_ELEMENTS { BaseOne::Required } else { BaseOne::Untried };
    let RowSum { sum, may_dominate, failed_base_one } =
        if !L::IS_SCALAR && beside_max_vectors::<T>() < L::IN_FLIGHT && row.len() <= L::IN_FLIGHT * L::N {
            if row.len() <= 3 * L::N { in_flight_sum::<L, T, 3>(l, row) } else { in_flight_sum::<L, T, 4>(l, row) }
        } else {
            row_sum_exp(l, row, base_one)
        };
    if failed_base_one && base_one == BaseOne::Required {
        return second_look(l, row);
    }
    let ln = sum.ln_parts(l.short());
    if may_dominate && ln.0.abs() < exact_from { second_look(l, row) } else { (sum, ln) }
}

/// The sum of the exponentials of a row of `K` vectors relative to base 1. They stay in registers.
#[inline(always)]
fn in_flight_sum<L: ExpLanes<T>, T: Float, const K: usize>(l: L, row: &impl Row<T>) -> RowSum<T> {
    match sum_of_vectors::<L, T, K>(l, row) {
        Some(VectorSum { sum, bounds, .. }) => {
            let may_dominate = may_dominate::<T>(l.reduce_max(bounds).to_f64(), sum.high());
            RowSum { sum, may_dominate, failed_base_one: false }
        }
        None => RowSum { sum: ExtSum::NAN, may_dominate: false, failed_base_one: true },
    }
}

/// [`row_logarithm`] of a row that is summed beside its maximum, out of line.
#[inline(always)]
pub(super) fn second_look<L: ExpLanes<T>, T: Float>(l: L, row: &mut impl Row<T>) -> (ExtSum<T>, Logarithm) {
    let row = row.reborrow();
    out_of_line!(l, {
        let mut ln = (f64::NAN, 0.0);
        if row.len() <= MAX_BESIDE_VECTORS * L::N {
            ln = beside_max::logarithm(l, &row);
        }
        if ln.0.is_nan() {
            ln = beside_max::logarithm_of_parts(l, &row, &mut [l.splat(T::ZERO); TILE_VECTORS]);
        }
        if !ln.0.is_nan() {
            return (ExtSum::base_one(1.0, 0.0), ln);
        }
        let sum = if has_nan(l, &row, 0, row.len()) {
            ExtSum::NAN
        } else if maximum(l, &row, 0, row.len()) == T::INFINITY {
            ExtSum::INFINITE
        } else {
            ExtSum::EMPTY
        };
        (sum, (0.0, 0.0))
    })
}

/// What is known about the sums of a group of rows.
pub(super) struct LogarithmBuffers<L: ExpLanes<T>, T: Float> {
    /// The sums; 1 for rows that are summed beside their maximum at once.
    pub(super) sums: [ExtSum<T>; GROUP_ROWS],
    /// The logarithms of the sums. Those of degenerate sums have no meaning.
    pub(super) logarithms: Logarithms,
    /// The logits of short rows, or scratch memory.
    pub(super) tile: [L::V; TILE_VECTORS],
    /// Whether no sum is degenerate and no maximum huge, if the rows are short.
    pub(super) all_are_regular: bool,
}

impl<L: ExpLanes<T>, T: Float> LogarithmBuffers<L, T> {
    /// Empty sums.
    #[inline(always)]
    pub(super) fn new(l: L) -> Self {
        Self {
            sums: [ExtSum::EMPTY; GROUP_ROWS],
            logarithms: Logarithms::EMPTY,
            tile: [l.splat(T::NEG_INFINITY); TILE_VECTORS],
            all_are_regular: false,
        }
    }
}

/// The sums of the exponentials of a group of rows and their logarithms, as [`row_logarithm`].
///
/// Rows of at most `short` elements are summed beside their maximum, and those of at most `beyond`
/// elements if base 1 does not fit them. Whether another row is, the closure `is_dominated` says.
/// Its arguments are the rows, the index of the row in the group, the logarithm of the sum, and
/// whether one exponential may dominate.
#[inline(always)]
pub(super) fn group_logarithms<L: ExpLanes<T>, T: Float, R: Rows<T>>(
    l: L,
    exp: &Exp<L, T>,
    rows: &mut R,
    group: Range<usize>,
    (buffers, short, beyond): (&mut LogarithmBuffers<L, T>, usize, usize),
    is_dominated: impl Fn(&R, usize, Logarithm, bool) -> bool,
) {
    let (mut may_dominate, mut beside_max) = ([false; GROUP_ROWS], 0);
    let (_, cols) = rows.shape();
    if cols <= short {
        buffers.sums.fill(ExtSum::base_one(1.0, 0.0));
    } else {
        let sums = &mut buffers.sums;
        let in_group = cols <= BLOCK_ELEMENTS && all_may_fit_base_one(l, rows, group.clone());
        let mut fits = 0;
        if in_group {
            fits = group_sum_exp_base_one::<L, T, false>(l, exp, rows, group.clone(), sums, &mut may_dominate);
        }
        for (at, i) in group.clone().enumerate().filter(|&(at, _)| fits >> at & 1 == 0) {
            let base_one = if rows.row_len(i) <= beyond {
                BaseOne::Required
            } else if in_group {
                BaseOne::Failed
            } else {
                BaseOne::Untried
            };
            // Whether base 1 was tried and does not fit.
            let mut failed = in_group;
            if !in_group || base_one != BaseOne::Required {
                let sum = row_sum_exp(l, &mut rows.row_mut(i), base_one);
                (sums[at], may_dominate[at], failed) = (sum.sum, sum.may_dominate, sum.failed_base_one);
            }
            if failed && base_one == BaseOne::Required {
                sums[at] = ExtSum::base_one(1.0, 0.0);
                beside_max |= 1 << at;
            }
        }
    }
    logarithms_of_sums(
        l,
        rows,
        group,
        (buffers, short),
        #[inline(always)]
        |rows: &R, at, ln| beside_max >> at & 1 == 1 || is_dominated(rows, at, ln, may_dominate[at]),
    );
}

/// [`group_logarithms`] of rows whose sums are known.
#[inline(always)]
pub(super) fn logarithms_of_sums<L: ExpLanes<T>, T: Float, R: Rows<T>>(
    l: L,
    rows: &mut R,
    group: Range<usize>,
    (buffers, short): (&mut LogarithmBuffers<L, T>, usize),
    is_dominated: impl Fn(&R, usize, Logarithm) -> bool,
) {
    let LogarithmBuffers { sums, logarithms, tile, all_are_regular } = &mut *buffers;
    if rows.shape().1 <= short {
        beside_max::logarithms_of_all(l, rows, (group.start, group.len()), (tile, logarithms));
    } else {
        ln_of_sums(l, sums, group.len(), logarithms);
        let (mut listed, mut n) = ([0; GROUP_ROWS], 0);
        for at in 0..group.len().min(GROUP_ROWS) {
            let is_short = rows.row_len(group.start + at) <= short;
            if !is_short && !is_dominated(rows, at, logarithms.get(at)) {
                continue;
            }
            listed[n] = at;
            n += 1;
        }
        if n == 0 {
            return;
        }
        beside_max::logarithms(l, rows, group.start, &listed[..n], (tile, logarithms));
    }
    *all_are_regular = !logarithms.has_nan();
    if !*all_are_regular {
        second_look_at_logarithms(l, rows, group, buffers);
    }
}

/// The logarithms of a group that are NaN, see [`second_look`], out of line.
#[inline(always)]
fn second_look_at_logarithms<L: ExpLanes<T>, T: Float, R: Rows<T>>(
    l: L,
    rows: &mut R,
    group: Range<usize>,
    LogarithmBuffers { sums, logarithms, .. }: &mut LogarithmBuffers<L, T>,
) {
    let mut rows = rows.reborrow();
    out_of_line!(l, {
        for (at, sum) in sums.iter_mut().enumerate().take(group.len()) {
            if logarithms.high[at].is_nan() {
                let ln;
                (*sum, ln) = second_look(l, &mut rows.row_mut(group.start + at));
                logarithms.set(at, ln);
            }
        }
    });
}

/// The logarithms of `n` sums; those of degenerate sums have no meaning.
#[inline(always)]
fn ln_of_sums<L: WideLanes<T>, T: Float>(l: L, sums: &[ExtSum<T>; GROUP_ROWS], n: usize, results: &mut Logarithms) {
    out_of_line!(l, { ExtSum::ln_parts_of(l.double(), sums, n, results) })
}
