//! Rows that are so long that they are computed in parts.
//!
//! The sum of a row is made of the sums of its blocks ([`row_scan`](super::row_scan)), which depend
//! on nothing but their logits and the base. Results of a row depend on nothing but their logits
//! and the sum. So the parts of a row, whole blocks, can be computed one by one: first sums of
//! blocks, then the sum of the row, then results, all with the bits of the whole row. Each function
//! takes a row of [`Logits`], or a part of it. There is no second body for logits without options:
//! a multiplication by 1 costs less than its code.

use super::base_one::{BaseOne, base_fits, may_fit_base_one};
use super::cross_entropy::{Losses, is_near, loss, write_gradients};
use super::ext_sum::ExtSum;
use super::forward::{normalize_stored, scale_stored, write_recomputed};
use super::log_rows::{MIN_LOG_SUM_EXP, two_parts, write_log_softmax};
use super::logarithms::{Logarithm, LogarithmBuffers, second_look};
use super::logits::Logits;
use super::row_groups::Rows;
use super::row_scan::RowScan;
use super::sum_exp::{BlockSum, block_sum_exp};
use super::tuning::{BLOCK_ELEMENTS, GROUP_ROWS, Tuning};
use crate::kernels::lanes::{Float, WideLanes};
use crate::kernels::math::exp::{Base, Exp, ExpLanes, Guard, Recorded, Shifted};
use crate::kernels::rows::{Row, fills_cache, maximum};

/// What the sums of blocks are relative to.
#[derive(Clone, Copy)]
#[allow(unnameable_types, reason = "public only because it is an argument of an entry point")]
pub enum BlockBase<T> {
    /// Base 1.
    One,
    /// The base of the blocks that precede them.
    Scanned(RowScan<T>),
    /// The maximum of the row.
    Maximum(T),
}

/// How softmax of a long row is computed.
#[derive(Clone, Copy, PartialEq)]
#[allow(unnameable_types, reason = "public only because it is an argument of an entry point")]
pub enum SoftmaxWay {
    /// Exponentials are stored and then divided by their sum.
    Store,
    /// Exponentials are stored relative to the maximum of the row, because base 1 does not fit.
    StoreStabilized,
    /// Exponentials are computed twice, relative to base 1: stored, they would replace the logits
    /// before it is known that the base fits.
    StoreInPlace,
    /// Exponentials are computed twice, because that saves memory traffic.
    Recompute,
}

/// How the softmax of a long row begins, as in [`softmax_rows`](super::forward).
#[inline(always)]
pub(crate) fn softmax_way<L: Tuning<T>, T: Float>(l: L, mut x: Logits<'_, T>) -> SoftmaxWay {
    let len = x.row_len(0);
    if L::RECOMPUTE_FROM < f64::INFINITY && fills_cache::<T>(len, L::RECOMPUTE_FROM) {
        SoftmaxWay::Recompute
    } else if may_fit_base_one(l, &x.row_mut(0)) {
        if x.is_in_place() { SoftmaxWay::StoreInPlace } else { SoftmaxWay::Store }
    } else {
        SoftmaxWay::StoreStabilized
    }
}

/// The largest logit of a part. NaN is ignored.
#[inline(always)]
pub(crate) fn part_maximum<L: ExpLanes<T>, T: Float>(l: L, mut x: Logits<'_, T>) -> T {
    let row = x.row_mut(0);
    maximum(l, &row, 0, row.len())
}

/// The sums of the exponentials of the blocks of a part, which are also stored if `store`.
#[inline(always)]
pub(crate) fn block_sums<L: ExpLanes<T>, T: Float>(
    l: L,
    mut x: Logits<'_, T>,
    base: BlockBase<T>,
    store: bool,
    sums: &mut [BlockSum],
) {
    let base = match base {
        BlockBase::One => Base::ONE,
        BlockBase::Scanned(scan) => scan.base(),
        BlockBase::Maximum(max) => Base::near(max),
    };
    let row = &mut x.row_mut(0);
    if base == Base::ONE {
        let exp = Exp::for_sums_of_row(l);
        sum_each_block::<L, T, Recorded>(l, &exp, row, store, sums);
    } else {
        sum_each_block::<L, T, Shifted>(l, &Exp::for_sums(l, base), row, store, sums);
    }
}

/// [`block_sums`] with a guard.
#[inline(always)]
fn sum_each_block<L: ExpLanes<T>, T: Float, G: Guard>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    store: bool,
    sums: &mut [BlockSum],
) {
    for (i, sum) in sums.iter_mut().enumerate() {
        let (start, end) = (i * BLOCK_ELEMENTS, row.len().min((i + 1) * BLOCK_ELEMENTS));
        *sum = if store {
            block_sum_exp::<L, T, G, true>(l, exp, row, start, end)
        } else {
            block_sum_exp::<L, T, G, false>(l, exp, row, start, end)
        };
    }
}

/// Adds the sum of the block after the scanned ones; `None` has none yet.
#[inline(always)]
pub(crate) fn scan_next_block<L: ExpLanes<T>, T: Float>(
    l: L,
    mut x: Logits<'_, T>,
    scan: Option<RowScan<T>>,
) -> RowScan<T> {
    let mut scan = scan.unwrap_or(RowScan::START);
    scan.scan_block(l, &Exp::for_sums_of_row(l), &mut x.row_mut(0), BaseOne::Untried);
    scan
}

/// Adds the sums of the next blocks, relative to the base of the scan, up to one that does not fit
/// the base: it is summed again. The sums of the blocks after it do not count.
#[inline(always)]
pub(crate) fn scan_blocks<L: ExpLanes<T>, T: Float>(
    l: L,
    mut x: Logits<'_, T>,
    scan: &mut RowScan<T>,
    sums: &[BlockSum],
) {
    let (row, base) = (&mut x.row_mut(0), scan.base());
    for &sum in sums {
        if scan.base() != base || scan.at == row.len() {
            break;
        }
        scan.add_block(l, row, sum, base == Base::ONE, BaseOne::Untried);
    }
}

/// The sum of a scanned row.
#[inline(always)]
pub(crate) fn scanned_sum<L: ExpLanes<T>, T: Float>(_: L, scan: RowScan<T>) -> ExtSum<T> {
    scan.sum_of_row().sum
}

/// The sum of a row, given those of its blocks relative to base 1, or `None` if that does not fit
/// the row; or those relative to its maximum.
#[inline(always)]
pub(crate) fn sum_of_blocks<L: ExpLanes<T>, T: Float>(
    _: L,
    maximum: Option<T>,
    sums: &[BlockSum],
) -> Option<ExtSum<T>> {
    let mut sum = maximum.map_or(ExtSum::EMPTY, |max| ExtSum::with_base(Base::near(max)));
    for block in sums {
        if maximum.is_none() && !base_fits::<T>(block.high, sum.high()) {
            return None;
        }
        sum.add(block.high, block.low);
    }
    Some(sum)
}

/// Writes the softmax of a part times `weight`, given the sum of the row.
#[inline(always)]
pub(crate) fn softmax_part<L: ExpLanes<T>, T: Float>(
    l: L,
    mut x: Logits<'_, T>,
    sum: ExtSum<T>,
    weight: f64,
    way: SoftmaxWay,
) {
    let empty = x.masked_softmax();
    let reciprocal = sum.scaled_reciprocal(weight);
    let row = &mut x.row_mut(0);
    match (way, sum.degenerate_value(empty)) {
        (SoftmaxWay::Recompute, Some(value)) => row.dst().fill(value),
        (SoftmaxWay::Recompute, None) => write_recomputed::<L, T, Shifted>(l, &sum, row, weight),
        (SoftmaxWay::StoreInPlace, _) => {
            let exp = Exp::for_sums_of_row(l);
            for start in (0..row.len()).step_by(BLOCK_ELEMENTS) {
                let end = row.len().min(start + BLOCK_ELEMENTS);
                block_sum_exp::<L, T, Recorded, true>(l, &exp, row, start, end);
                scale_stored(l, reciprocal, &mut row.dst()[start..end]);
            }
        }
        _ => normalize_stored(l, row.dst(), &sum, reciprocal, empty),
    }
}

/// The logarithm of the sum of a scanned row. With `of_results`, it is accurate enough for the
/// results of log-softmax, and otherwise for log-sum-exp.
#[inline(always)]
pub(crate) fn scanned_logarithm<L: ExpLanes<T>, T: Float>(
    l: L,
    mut x: Logits<'_, T>,
    scan: RowScan<T>,
    of_results: bool,
) -> (ExtSum<T>, Logarithm) {
    let (sum, exact_from) = (scan.sum_of_row(), if of_results { f64::INFINITY } else { MIN_LOG_SUM_EXP });
    let ln = sum.sum.ln_parts(l.double());
    if sum.may_dominate && ln.0.abs() < exact_from { second_look(l, &mut x.row_mut(0)) } else { (sum.sum, ln) }
}

/// The logarithm of the sum of a row, see [`scanned_logarithm`].
#[inline(always)]
pub(crate) fn log_sum_exp_of<L: WideLanes<T>, T: Float>(_: L, (sum, ln): (ExtSum<T>, Logarithm)) -> T {
    sum.ln_given(ln)
}

/// Writes the log-softmax of a part of a row of `row_len` elements.
#[inline(always)]
pub(crate) fn log_softmax_part<L: ExpLanes<T>, T: Float>(
    l: L,
    mut x: Logits<'_, T>,
    (sum, ln): (ExtSum<T>, Logarithm),
    row_len: usize,
) {
    let empty = x.masked_log_softmax();
    write_log_softmax(l, &mut x.row_mut(0), &sum, two_parts(ln), empty, row_len);
}

/// The loss of a scanned row with the given class.
#[inline(always)]
pub(crate) fn scanned_loss<L: ExpLanes<T>, T: Float>(l: L, mut x: Logits<'_, T>, scan: RowScan<T>, class: usize) -> T {
    let (empty, sum) = (x.masked_softmax(), scan.sum_of_row().sum);
    let row = &mut x.row_mut(0);
    let ln = sum.ln_parts(l.double());
    let (sum, ln) = if is_near(l, ln, row, class) { second_look(l, row) } else { (sum, ln) };
    T::from_f64(loss(l, (&sum, ln), row, class, empty))
}

/// The factor of the softmax that becomes a gradient, see [`Losses::folded_weight`].
#[inline(always)]
pub(crate) fn folded_weight<L: ExpLanes<T>, T: Float>(_: L, weight: T) -> f64 {
    Losses::new(&[], &mut [], weight).folded_weight()
}

/// Writes the loss and the gradient of a row with the given class, whose softmax is written, see
/// [`cross_entropy_gradient_rows`](super::cross_entropy).
#[inline(always)]
pub(crate) fn gradient_of_row<L: ExpLanes<T>, T: Float>(
    l: L,
    mut x: Logits<'_, T>,
    sum: ExtSum<T>,
    (class, weight): (usize, T),
    loss: &mut T,
) {
    let (empty, classes) = (x.masked_softmax(), [class]);
    let mut losses = Losses::new(&classes, core::slice::from_mut(loss), weight);
    let (sums, mut buffers) = ([sum; GROUP_ROWS], LogarithmBuffers::new(l));
    write_gradients(l, &mut x, 0..1, &sums, (&mut losses, &mut buffers), empty);
}
