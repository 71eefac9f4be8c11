//! The softmax family: sums of exponentials as (mantissa, exponent), and the passes that write rows.
//!
//! After Dukhan & Ablavatski 2020: no pass for the maximum. A row's exponentials are summed relative to a [`Base`], which
//! for logits of ordinary size is simply 1. Where a block of the row leaves the range that the base can hold, the base
//! moves to the block's maximum and the sum so far is rescaled. Rows in cache store these exponentials and rescale them
//! (one exponential per element); rows far larger than the caches are read twice and written once, past the caches, where the
//! instruction set makes exponentials cheap enough ([`Lanes::RECOMPUTE`]).
//!
//! | | when | passes |
//! |---|---|---|
//! | [`few_exponentials`] | rows of at most [`FEW`] vectors | reads; writes |
//! | [`row_sum`] | log-sum-exp, log-softmax, the first pass over long rows | reads once; a block that does not fit, twice |
//! | [`stored_sum`], [`rescale`] | softmax of rows of ordinary size, not in place | reads, writes; updates |
//! | [`sum_below_maximum`], [`rescale`] | softmax in place, and what [`stored_sum`] gives up | reads; reads, writes; updates |
//! | [`row_sum`], [`recompute`] | softmax of long rows | reads; reads, streams |

use super::exp::{BOUNDED, Base, Exp, MOVED, PLAIN, SHIFTED, ln_parts, split};
use super::lanes::{Float, Lanes};
use crate::matrix::{MatMut, MatRef};

/// Elements that are summed before their sum is looked at.
pub(super) const BLOCK: usize = 2048;

/// A block's sum beyond this asks for a larger base: far from the overflow of f32, far beyond any sum of a block whose
/// base fits.
const HIGHEST: f64 = 18_446_744_073_709_551_616.0; // 2^64

/// A row's sum below this asks for a smaller base than [`Base::PLAIN`]: f32 would lose results near 2^-100 of it.
const LOWEST: f64 = 9.5367431640625e-7; // 2^-20

/// Rows of at most so many vectors are kept on the stack between their exponentials and their sum.
const FEW: usize = 8;

/// From this many bytes a row is read twice and streamed out instead of being stored and rescaled.
const STREAM_BYTES: usize = 16 << 20;

/// A sum of exponentials: `(high + low) * e^shift * 2^exponent` with the base's shift and exponent.
///
/// `high` is 0 for an empty sum, infinite after +inf and NaN after NaN.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sum<T> {
    pub(super) high: f64,
    pub(super) low: f64,
    base: Base<T>,
}

impl<T: Float> Sum<T> {
    pub(crate) const EMPTY: Self = Self { high: 0.0, low: 0.0, base: Base::PLAIN };
    const NAN: Self = Self { high: f64::NAN, ..Self::EMPTY };

    /// Adds `x` times the base, keeping the rounding error (Knuth's two-sum).
    #[inline(always)]
    pub(super) fn add(&mut self, x: f64) {
        let sum = self.high + x;
        let part = sum - self.high;
        self.low += (self.high - (sum - part)) + (x - part);
        self.high = sum;
    }

    /// The same sum relative to another base, at or above its own.
    #[inline(always)]
    fn rebase(&mut self, base: Base<T>) {
        if self.high > 0.0 && base != self.base {
            let factor = exp_f64(self.base.ln_ratio(base));
            self.high *= factor;
            self.low *= factor;
        }
        self.base = base;
    }

    #[inline(always)]
    pub(super) fn total(&self) -> f64 {
        self.high + self.low
    }

    /// The reciprocal of the total as an unevaluated sum of two `T`.
    #[inline(always)]
    pub(super) fn reciprocal(&self) -> (T, T) {
        let mut r = 1.0 / self.total();
        let mut low = 0.0;
        if T::EPSILON == f64::EPSILON {
            r = 1.0 / self.high;
            // 1 - r * high without an error, by Dekker's split of both into halves.
            let split = |x: f64| {
                let t = 134_217_729.0 * x; // 2^27 + 1
                let high = t - (t - x);
                (high, x - high)
            };
            let ((r1, r2), (h1, h2)) = (split(r), split(self.high));
            let rest = (((1.0 - r1 * h1) - r1 * h2) - r2 * h1) - r2 * h2;
            low = r * (rest - r * self.low);
        }
        let first = T::from_f64(r);
        (first, T::from_f64((r - first.to_f64()) + low))
    }

    /// Neither empty nor beyond numbers.
    #[inline(always)]
    pub(super) fn is_positive(&self) -> bool {
        self.high > 0.0 && self.high < f64::INFINITY
    }

    /// The sum of both.
    pub(crate) fn merge(mut self, mut other: Self) -> Self {
        if other.high == 0.0 || self.high.is_nan() {
            return self;
        }
        if self.high == 0.0 || other.high.is_nan() {
            return other;
        }
        if !self.high.is_finite() || !other.high.is_finite() {
            return if self.high.is_finite() { other } else { self };
        }
        // The larger base keeps its value, so nothing overflows; the order of the operands does not matter.
        if self.base.ln_ratio(other.base).0 >= 0.0 {
            other.rebase(self.base);
        } else {
            self.rebase(other.base);
        }
        let (mut a, b) = if self.high >= other.high { (self, other) } else { (other, self) };
        a.add(b.high);
        a.low += b.low;
        a
    }

    /// The logarithm of the sum as an unevaluated sum of two numbers.
    #[inline(always)]
    fn ln_parts(&self) -> (f64, f64) {
        let (high, low) = ln_parts(self.total(), self.base.exponent);
        // The shift may be far from the largest element, so it is added without an error (two-sum), and then the first
        // is made the leading part.
        let shift = self.base.shift.to_f64();
        let lead = shift + high;
        let part = lead - shift;
        let low = low + ((shift - (lead - part)) + (high - part));
        let sum = lead + low;
        (sum, low - (sum - lead))
    }

    /// The logarithm of the sum: -inf when empty.
    #[inline(always)]
    pub(crate) fn ln(&self) -> T {
        if self.high == 0.0 {
            T::NEG_INFINITY
        } else if self.high.is_finite() {
            let (high, low) = self.ln_parts();
            T::from_f64(high + low)
        } else {
            T::from_f64(self.high)
        }
    }
}

/// e^(x + small) in `f64` for rescaling a sum, within two ulp for |small| < 2^-16; below the normal range 0.
#[inline(always)]
fn exp_f64((x, small): (f64, f64)) -> f64 {
    let l = pulp::Scalar;
    let e = Exp::<_, f64>::new(l, Base::PLAIN).eval::<MOVED>(l, x);
    e + e * (small + 0.5 * small * small)
}

/// The largest logit from `start` to `end`; NaN counts for nothing, and so does an empty range: -inf.
#[inline(always)]
fn maximum<L: Lanes<T>, T: Float>(l: L, row: &impl Row<T>, start: usize, end: usize) -> T {
    let mut max = [l.splat(T::NEG_INFINITY); 4];
    let mut at = start;
    while end - at >= 4 * L::N {
        for (i, max) in max.iter_mut().enumerate() {
            *max = l.max(row.load(l, at + i * L::N), *max);
        }
        at += 4 * L::N;
    }
    while at < end {
        let next = end.min(at + L::N);
        max[0] = l.max(row.load_tail(l, at, next), max[0]);
        at = next;
    }
    let max = l.max(l.max(max[0], max[1]), l.max(max[2], max[3]));
    l.to_array(max)[..L::N].iter().fold(T::NEG_INFINITY, |m, &x| if x > m { x } else { m })
}

/// Whether some logit from `start` to `end` is NaN.
#[inline(always)]
fn has_nan<L: Lanes<T>, T: Float>(l: L, row: &impl Row<T>, start: usize, end: usize) -> bool {
    (start..end).step_by(L::N).any(
        #[inline(always)]
        |at| {
            let lanes = l.to_array(row.load_tail(l, at, end.min(at + L::N)));
            lanes[..L::N].iter().any(|x| x.partial_cmp(x).is_none())
        },
    )
}

/// A row of logits and where its results go.
pub(crate) trait Row<T: Float> {
    /// How many logits.
    fn len(&self) -> usize;
    /// The [`Lanes::UNROLL`] vectors of logits from `at` on; panics where there are fewer.
    fn load_step<L: Lanes<T>>(&self, l: L, at: usize) -> [L::V; 4];
    /// A vector of logits from `at` on; panics where there are fewer.
    fn load<L: Lanes<T>>(&self, l: L, at: usize) -> L::V;
    /// The logits from `at` to `end`, at most a vector of them; the other lanes -inf.
    fn load_tail<L: Lanes<T>>(&self, l: L, at: usize, end: usize) -> L::V;
    /// The results: as many, or none where the row is only read.
    fn dst(&mut self) -> &mut [T];
    /// Whether writing results changes the logits.
    fn is_in_place(&self) -> bool;
}

/// Where an elementwise kernel reads and writes: two slices of one length, one slice in place, or one only read.
pub(crate) struct Io<'a, T> {
    src: *const T,
    dst: *mut T,
    src_len: usize,
    dst_len: usize,
    lifetime: core::marker::PhantomData<(&'a [T], &'a mut [T])>,
}

impl<'a, T: Float> Io<'a, T> {
    /// From `x` to `out`; panics where their lengths differ.
    #[inline(always)]
    pub(crate) fn new(x: &'a [T], out: &'a mut [T]) -> Self {
        assert_eq!(x.len(), out.len());
        Self { dst: out.as_mut_ptr(), dst_len: out.len(), ..Self::reading(x) }
    }

    /// From `x` to `x`.
    #[inline(always)]
    pub(crate) fn in_place(x: &'a mut [T]) -> Self {
        let (dst, len) = (x.as_mut_ptr(), x.len());
        Self { src: dst, dst, src_len: len, dst_len: len, lifetime: core::marker::PhantomData }
    }

    /// From `x` to nowhere.
    #[inline(always)]
    pub(super) fn reading(x: &'a [T]) -> Self {
        let dst = core::ptr::NonNull::dangling().as_ptr();
        Self { src: x.as_ptr(), dst, src_len: x.len(), dst_len: 0, lifetime: core::marker::PhantomData }
    }

    /// `n` elements of the source from `at` on; panics where there are fewer. One comparison, where slicing takes three.
    #[inline(always)]
    fn window(&self, at: usize, n: usize) -> &[T] {
        assert!(n <= self.src_len && at <= self.src_len - n);
        // SAFETY: src is valid for src_len elements, and at + n is at most that (asserted); else as in `src`.
        unsafe { core::slice::from_raw_parts(self.src.add(at), n) }
    }

    /// The source.
    #[inline(always)]
    pub(super) fn src(&self) -> &[T] {
        // SAFETY: src is valid for src_len elements during 'a; where it is also the destination, the borrow of self keeps
        // `dst` from handing out a mutable slice meanwhile.
        unsafe { core::slice::from_raw_parts(self.src, self.src_len) }
    }
}

impl<T: Float> Row<T> for Io<'_, T> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.src_len
    }
    #[inline(always)]
    fn load_step<L: Lanes<T>>(&self, l: L, at: usize) -> [L::V; 4] {
        let x = self.window(at, L::UNROLL * L::N);
        let mut v = [l.splat(T::ZERO); 4];
        for i in 0..L::UNROLL {
            v[i] = l.load(&x[i * L::N..]);
        }
        v
    }
    #[inline(always)]
    fn load<L: Lanes<T>>(&self, l: L, at: usize) -> L::V {
        l.load(self.window(at, L::N))
    }
    #[inline(always)]
    fn load_tail<L: Lanes<T>>(&self, l: L, at: usize, end: usize) -> L::V {
        l.load_tail(&self.src()[at..end], T::NEG_INFINITY)
    }
    #[inline(always)]
    fn dst(&mut self) -> &mut [T] {
        // SAFETY: dst is valid for writing dst_len elements during 'a, and the mutable borrow of self keeps every other
        // slice made from it or from src away meanwhile.
        unsafe { core::slice::from_raw_parts_mut(self.dst, self.dst_len) }
    }
    #[inline(always)]
    fn is_in_place(&self) -> bool {
        core::ptr::eq(self.src, self.dst)
    }
}

/// The sum of the exponentials of one block, relative to the base of `exp`, as an unevaluated sum; where `STORE`, they are
/// also stored.
///
/// The exponentials of a step are added in pairs, and then to the total with the rounding error kept: the error does not
/// grow with the block, also where all roundings go the same way, as in rows of one value.
#[inline(always)]
fn block_sum<L: Lanes<T>, T: Float, const MODE: u8, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
) -> (f64, f64) {
    let zero = l.splat(T::ZERO);
    let (mut high, mut low, mut seen) = (zero, zero, zero);
    let step = L::UNROLL * L::N;
    let mut at = start;
    while end - at >= step {
        let part = step_sum::<L, T, MODE, STORE>(l, exp, row, at, &mut seen);
        (high, low) = two_sum(l, high, low, part);
        at += step;
    }
    while at < end {
        let next = end.min(at + L::N);
        let e = eval::<L, T, MODE>(l, exp, row.load_tail(l, at, next), &mut seen);
        if STORE {
            l.store_tail(&mut row.dst()[at..next], e);
        }
        (high, low) = two_sum(l, high, low, e);
        at = next;
    }
    if l.exp_overflowed(seen) {
        return (f64::INFINITY, 0.0);
    }
    sum_lanes(l, high, low)
}

/// The sum of all lanes of `high + low` as an unevaluated sum: f32 is added in f64, f64 with the rounding kept.
#[inline(always)]
pub(super) fn sum_lanes<L: Lanes<T>, T: Float>(l: L, high: L::V, low: L::V) -> (f64, f64) {
    if T::EPSILON > f64::EPSILON {
        return (l.sum_wide(l.add_wide(l.widen(high), l.widen(low))), 0.0);
    }
    let mut sums = l.to_array(high);
    let mut errors = l.to_array(low);
    let mut n = L::N;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            let (a, b) = (sums[i], sums[i + n]);
            let sum = a + b;
            let part = sum - a;
            errors[i] = errors[i] + errors[i + n] + ((a - (sum - part)) + (b - part));
            sums[i] = sum;
        }
    }
    (sums[0].to_f64(), errors[0].to_f64())
}

/// The sum of as many vectors of exponentials as fit into the registers side by side; where `STORE`, they are stored.
#[inline(always)]
fn step_sum<L: Lanes<T>, T: Float, const MODE: u8, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    at: usize,
    seen: &mut L::V,
) -> L::V {
    let mut e = row.load_step(l, at);
    for e in &mut e[..L::UNROLL] {
        *e = eval::<L, T, MODE>(l, exp, *e, seen);
    }
    if STORE {
        let out = &mut row.dst()[at..at + L::UNROLL * L::N];
        for i in 0..L::UNROLL {
            l.store(&mut out[i * L::N..], e[i]);
        }
    }
    match L::UNROLL {
        1 => e[0],
        2 => l.add(e[0], e[1]),
        _ => l.add(l.add(e[0], e[1]), l.add(e[2], e[3])),
    }
}

/// The sum of eight vectors, most of which may be 0.
#[inline(always)]
fn sum_in_pairs<L: Lanes<T>, T: Float>(l: L, v: &[L::V; 8]) -> L::V {
    let (a, b) = (l.add(v[0], v[1]), l.add(v[2], v[3]));
    let (c, d) = (l.add(v[4], v[5]), l.add(v[6], v[7]));
    l.add(l.add(a, b), l.add(c, d))
}

/// The exponentials of a row of at most [`FEW`] vectors, and their sum as an unevaluated sum.
#[inline(always)]
fn few_exponentials<L: Lanes<T>, T: Float, const MODE: u8>(
    l: L,
    exp: &Exp<L, T>,
    row: &impl Row<T>,
    e: &mut [L::V; FEW],
) -> (f64, f64) {
    let zero = l.splat(T::ZERO);
    let mut seen = zero;
    let full = row.len() / L::N;
    for (i, e) in e[..full].iter_mut().enumerate() {
        *e = eval::<L, T, MODE>(l, exp, row.load(l, i * L::N), &mut seen);
    }
    let mut count = full;
    if full * L::N < row.len() {
        e[full] = eval::<L, T, MODE>(l, exp, row.load_tail(l, full * L::N, row.len()), &mut seen);
        count += 1;
    }
    if l.exp_overflowed(seen) {
        return (f64::INFINITY, 0.0);
    }
    if T::EPSILON == f64::EPSILON {
        let (mut high, mut low) = (zero, zero);
        for &e in &e[..count] {
            (high, low) = two_sum(l, high, low, e);
        }
        return sum_lanes(l, high, low);
    }
    let sum = match count {
        1 => e[0],
        2 => l.add(e[0], e[1]),
        3 | 4 => l.add(l.add(e[0], e[1]), l.add(e[2], e[3])),
        _ => sum_in_pairs(l, e),
    };
    (l.sum(sum), 0.0)
}

/// `high + low + e` with the rounding error of the first addition in `low` (Knuth's two-sum).
#[inline(always)]
pub(super) fn two_sum<L: Lanes<T>, T: Float>(l: L, high: L::V, low: L::V, e: L::V) -> (L::V, L::V) {
    let sum = l.add(high, e);
    let part = l.sub(sum, high);
    let error = l.add(l.sub(high, l.sub(sum, part)), l.sub(e, part));
    (sum, l.add(low, error))
}

/// The exponentials of `x`, watching for overflow instead of clamping where the base is the plain one.
#[inline(always)]
fn eval<L: Lanes<T>, T: Float, const MODE: u8>(l: L, exp: &Exp<L, T>, x: L::V, seen: &mut L::V) -> L::V {
    if MODE != PLAIN {
        return exp.eval::<MODE>(l, x);
    }
    let (e, shifted) = exp.eval_watched(l, x);
    *seen = l.exp_watch(*seen, shifted);
    e
}

/// The sum of a block relative to any base.
#[inline(always)]
fn moved_block_sum<L: Lanes<T>, T: Float, const STORE: bool>(
    l: L,
    base: Base<T>,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
) -> (f64, f64) {
    let exp = Exp::new(l, base);
    if base.shift == T::ZERO {
        block_sum::<L, T, MOVED, STORE>(l, &exp, row, start, end)
    } else {
        block_sum::<L, T, SHIFTED, STORE>(l, &exp, row, start, end)
    }
}

/// The sum of the exponentials of a row. `plain` is [`Base::PLAIN`]'s exponential, made once for many rows.
#[inline(always)]
pub(super) fn row_sum<L: Lanes<T>, T: Float>(l: L, plain: &Exp<L, T>, row: &mut impl Row<T>) -> Sum<T> {
    let len = row.len();
    if len <= FEW * L::N {
        return few_sum(l, plain, row, &mut [l.splat(T::ZERO); FEW]);
    }
    let mut sum = Sum::EMPTY;
    let mut at = 0;
    while at < len {
        let end = len.min(at + BLOCK);
        let (mut part, mut low) = if sum.base == Base::PLAIN {
            block_sum::<L, T, PLAIN, false>(l, plain, row, at, end)
        } else {
            moved_block_sum::<L, T, false>(l, sum.base, row, at, end)
        };
        if !fits(part, sum.high) {
            // The block overflows the base, or is the first and vanishes relative to it, or is not made of numbers.
            let max = maximum(l, row, at, end);
            if has_nan(l, row, at, end) || max == T::INFINITY && has_nan(l, row, end, len) {
                return Sum::NAN;
            }
            if max == T::INFINITY {
                return Sum { high: f64::INFINITY, ..Sum::EMPTY };
            }
            if max > T::NEG_INFINITY {
                sum.rebase(Base::near(max));
                (part, low) = moved_block_sum::<L, T, false>(l, sum.base, row, at, end);
            }
        }
        sum.add(part);
        sum.low += low;
        at = end;
    }
    sum
}

/// Whether a block's sum is good relative to the base that it was taken with; `before` is the sum of the blocks before.
#[inline(always)]
fn fits(part: f64, before: f64) -> bool {
    part <= HIGHEST && (part >= LOWEST || before > 0.0 && part >= 0.0)
}

/// The sum of the exponentials of a row of at most [`FEW`] vectors, and these relative to its base.
#[inline(always)]
fn few_sum<L: Lanes<T>, T: Float>(l: L, plain: &Exp<L, T>, row: &impl Row<T>, e: &mut [L::V; FEW]) -> Sum<T> {
    let (high, low) = few_exponentials::<L, T, PLAIN>(l, plain, row, e);
    if fits(high, 0.0) {
        return Sum { high, low, ..Sum::EMPTY };
    }
    let len = row.len();
    let max = maximum(l, row, 0, len);
    if has_nan(l, row, 0, len) {
        return Sum::NAN;
    }
    if max == T::INFINITY {
        return Sum { high: f64::INFINITY, ..Sum::EMPTY };
    }
    if max == T::NEG_INFINITY {
        return Sum::EMPTY;
    }
    let base = Base::near(max);
    let (high, low) = few_exponentials::<L, T, SHIFTED>(l, &Exp::new(l, base), row, e);
    Sum { high, low, base }
}

/// As [`row_sum`], and stores the exponentials relative to the base of the sum. Not in place.
#[inline(always)]
fn stored_sum<L: Lanes<T>, T: Float>(l: L, plain: &Exp<L, T>, row: &mut impl Row<T>) -> Sum<T> {
    let mut sum = Sum::EMPTY;
    let (len, mut at) = (row.len(), 0);
    while at < len {
        let end = len.min(at + BLOCK);
        let (part, low) = block_sum::<L, T, PLAIN, true>(l, plain, row, at, end);
        sum.add(part);
        sum.low += low;
        if !((0.0..=HIGHEST).contains(&part) && sum.high >= LOWEST) {
            return sum_below_maximum::<L, T, true>(l, row);
        }
        at = end;
    }
    sum
}

/// The sum after a pass for the maximum, whose base holds any row; where `STORE`, also stores the exponentials, also in
/// place. NaN where the row has no softmax, 0 where all logits are -inf.
#[inline(always)]
pub(super) fn sum_below_maximum<L: Lanes<T>, T: Float, const STORE: bool>(l: L, row: &mut impl Row<T>) -> Sum<T> {
    let len = row.len();
    let max = maximum(l, row, 0, len);
    if max == T::NEG_INFINITY && !has_nan(l, row, 0, len) {
        return Sum::EMPTY;
    }
    if !(max > T::NEG_INFINITY && max < T::INFINITY) {
        return Sum::NAN;
    }
    let mut sum = Sum { base: Base::near(max), ..Sum::EMPTY };
    for start in (0..len).step_by(BLOCK) {
        let end = len.min(start + BLOCK);
        let (part, low) = moved_block_sum::<L, T, STORE>(l, sum.base, row, start, end);
        sum.add(part);
        sum.low += low;
    }
    sum
}

/// Writes `f` of every vector of the row; `STREAM`s the aligned middle past the caches.
#[inline(always)]
pub(super) fn map<L: Lanes<T>, T: Float, const STREAM: bool>(l: L, row: &mut impl Row<T>, f: impl Fn(L::V) -> L::V) {
    let len = row.len();
    let mut at = 0;
    if STREAM {
        // Up to the first whole vector of the destination.
        at = row.dst().as_ptr().align_offset(L::N * size_of::<T>()).min(L::N).min(len);
        let v = f(row.load_tail(l, 0, at));
        l.store_tail(&mut row.dst()[..at], v);
    }
    let aligned = STREAM && row.dst()[at..].as_ptr().addr().is_multiple_of(L::N * size_of::<T>());
    while len - at >= L::N {
        let v = f(row.load(l, at));
        let out = &mut row.dst()[at..at + L::N];
        if aligned {
            l.stream(out, v);
        } else {
            l.store(out, v);
        }
        at += L::N;
    }
    if at < len {
        let v = f(row.load_tail(l, at, len));
        l.store_tail(&mut row.dst()[at..], v);
    }
    if STREAM {
        l.fence();
    }
}

/// Whether a row is so long that its output should not pass through the caches.
#[inline(always)]
pub(super) fn streams<T>(len: usize) -> bool {
    len >= STREAM_BYTES / size_of::<T>()
}

/// Softmax of one row: its results, and the sum of its exponentials, which is not positive where there are no results.
#[inline(always)]
pub(super) fn softmax_row<L: Lanes<T>, T: Float>(l: L, plain: &Exp<L, T>, row: &mut impl Row<T>) -> Sum<T> {
    let len = row.len();
    if len <= FEW * L::N {
        return softmax_of_few(l, plain, row);
    }
    let streamed = L::RECOMPUTE && streams::<T>(len);
    let sum = if streamed {
        row_sum(l, plain, row)
    } else if row.is_in_place() {
        sum_below_maximum::<L, T, true>(l, row)
    } else {
        stored_sum(l, plain, row)
    };
    if !sum.is_positive() {
        row.dst().fill(T::NAN);
    } else if streamed {
        recompute(l, &sum, row);
    } else {
        rescale(l, &sum, row.dst());
    }
    sum
}

/// Softmax of a row of at most [`FEW`] vectors, which are kept on the stack.
#[inline(always)]
fn softmax_of_few<L: Lanes<T>, T: Float>(l: L, plain: &Exp<L, T>, row: &mut impl Row<T>) -> Sum<T> {
    let mut e = [l.splat(T::ZERO); FEW];
    let sum = few_sum(l, plain, row, &mut e);
    let out = row.dst();
    if !sum.is_positive() {
        out.fill(T::NAN);
        return sum;
    }
    let (first, second) = sum.reciprocal();
    let (first, second) = (l.splat(first), l.splat(second));
    let full = out.len() / L::N;
    for (i, &e) in e[..full].iter().enumerate() {
        l.store(&mut out[i * L::N..], times(l, e, first, second));
    }
    if full * L::N < out.len() {
        l.store_tail(&mut out[full * L::N..], times(l, e[full], first, second));
    }
    sum
}

/// Divides what was stored by its sum.
#[inline(always)]
pub(super) fn rescale<L: Lanes<T>, T: Float>(l: L, sum: &Sum<T>, stored: &mut [T]) {
    let (first, second) = sum.reciprocal();
    let (first, second) = (l.splat(first), l.splat(second));
    map::<L, T, false>(
        l,
        &mut Io::in_place(stored),
        #[inline(always)]
        |e| times(l, e, first, second),
    );
}

/// `e * (first + second)`: with a reciprocal in two parts neither its rounding nor that of the sum adds to the error.
#[inline(always)]
fn times<L: Lanes<T>, T: Float>(l: L, e: L::V, first: L::V, second: L::V) -> L::V {
    l.mul_add(e, first, l.mul(e, second))
}

/// Writes the exponentials divided by their sum, past the caches.
#[inline(always)]
pub(super) fn recompute<L: Lanes<T>, T: Float>(l: L, sum: &Sum<T>, row: &mut impl Row<T>) {
    // The sum's exponent goes to the base, so that results keep their precision down to the smallest.
    let (_, e) = split(sum.total());
    let scale = f64::from_bits(((1023 - e as i64) as u64) << 52);
    let base = Base { exponent: sum.base.exponent + e, ..sum.base };
    let (first, second) = Sum { high: sum.high * scale, low: sum.low * scale, base }.reciprocal();
    let (first, second) = (l.splat(first), l.splat(second));
    let exp = Exp::new(l, base);
    if sum.base == Base::PLAIN {
        map::<L, T, true>(
            l,
            row,
            #[inline(always)]
            |x| times(l, exp.eval::<BOUNDED>(l, x), first, second),
        );
    } else if base.shift == T::ZERO {
        map::<L, T, true>(
            l,
            row,
            #[inline(always)]
            |x| times(l, exp.eval::<MOVED>(l, x), first, second),
        );
    } else {
        map::<L, T, true>(
            l,
            row,
            #[inline(always)]
            |x| times(l, exp.eval::<SHIFTED>(l, x), first, second),
        );
    }
}

/// Log-softmax of one row: `(x - high) - low` with the logarithm of the sum in two parts, so that a large common offset
/// costs nothing.
#[inline(always)]
pub(super) fn log_softmax_row<L: Lanes<T>, T: Float>(l: L, plain: &Exp<L, T>, row: &mut impl Row<T>) -> Sum<T> {
    let sum = row_sum(l, plain, row);
    if !sum.is_positive() {
        row.dst().fill(T::NAN);
        return sum;
    }
    let (high, low) = sum.ln_parts();
    let first = T::from_f64(high);
    let (first, second) = (l.splat(first), l.splat(T::from_f64((high - first.to_f64()) + low)));
    if streams::<T>(row.len()) {
        map::<L, T, true>(
            l,
            row,
            #[inline(always)]
            |x| l.sub(l.sub(x, first), second),
        );
    } else {
        map::<L, T, false>(
            l,
            row,
            #[inline(always)]
            |x| l.sub(l.sub(x, first), second),
        );
    }
    sum
}

/// The exponential relative to [`Base::PLAIN`]. Its constants are hidden from the compiler, which else, short of registers,
/// loads each of them anew for every vector.
#[inline(always)]
pub(super) fn plain<L: Lanes<T>, T: Float>(l: L) -> Exp<L, T> {
    core::hint::black_box(Exp::new(l, Base::PLAIN))
}

/// Softmax of a slice.
#[inline(always)]
pub(crate) fn softmax<L: Lanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    softmax_row(l, &plain(l), &mut Io::new(x, out));
}

/// Softmax of a slice, in place.
#[inline(always)]
pub(crate) fn softmax_in_place<L: Lanes<T>, T: Float>(l: L, x: &mut [T]) {
    softmax_row(l, &plain(l), &mut Io::in_place(x));
}

/// Log-softmax of a slice.
#[inline(always)]
pub(crate) fn log_softmax<L: Lanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    log_softmax_row(l, &plain(l), &mut Io::new(x, out));
}

/// The sum of the exponentials of a slice.
#[inline(always)]
pub(crate) fn sum<L: Lanes<T>, T: Float>(l: L, x: &[T]) -> Sum<T> {
    row_sum(l, &plain(l), &mut Io::reading(x))
}

/// Softmax of every row.
#[inline(always)]
pub(crate) fn softmax_rows<L: Lanes<T>, T: Float>(l: L, x: MatRef<'_, T>, mut out: MatMut<'_, T>) {
    let plain = plain(l);
    for i in 0..x.rows() {
        softmax_row(l, &plain, &mut Io::new(x.row(i), out.row_mut(i)));
    }
}

/// Log-softmax of every row.
#[inline(always)]
pub(crate) fn log_softmax_rows<L: Lanes<T>, T: Float>(l: L, x: MatRef<'_, T>, mut out: MatMut<'_, T>) {
    let plain = plain(l);
    for i in 0..x.rows() {
        log_softmax_row(l, &plain, &mut Io::new(x.row(i), out.row_mut(i)));
    }
}

/// The logarithm of the sum of exponentials of every row.
#[inline(always)]
pub(crate) fn log_sum_exp_rows<L: Lanes<T>, T: Float>(l: L, x: MatRef<'_, T>, out: &mut [T]) {
    let plain = plain(l);
    for (i, out) in out.iter_mut().enumerate() {
        *out = row_sum(l, &plain, &mut Io::reading(x.row(i))).ln();
    }
}
