//! The softmax family: sums of exponentials as (mantissa, exponent), and the passes that write rows.
//!
//! After Dukhan & Ablavatski 2020: no pass for the maximum. A row's exponentials are summed relative to a [`Base`], which
//! for logits of ordinary size is simply 1. Where a block of the row leaves the range that the base can hold, the base
//! moves to the block's maximum and the sum so far is rescaled. Rows in cache store these exponentials and rescale them
//! (one exponential per element); rows far larger than the caches are read twice and written once, past the caches, where the
//! instruction set makes exponentials cheap enough ([`ExpLanes::RECOMPUTE`]).
//!
//! | | when | passes |
//! |---|---|---|
//! | [`row_sum`] | log-sum-exp, log-softmax, the first pass over long rows | reads once; a block that does not fit, twice |
//! | [`stored_sum`], [`rescale`] | softmax of rows of ordinary size, not in place | reads, writes; updates |
//! | [`sum_below_maximum`], [`rescale`] | softmax in place, and what [`stored_sum`] gives up | reads; reads, writes; updates |
//! | [`row_sum`], [`recompute`] | softmax of long rows | reads; reads, streams |
//!
//! NEON, of which no hardware was at hand, by inspection of the loops (rustc 1.95, `opt-level = 2`): four vectors of
//! exponentials with their sum take 134 to 148 instructions for 16 `f32`, 36 of them multiply-adds, and 179 to 186 for 8
//! `f64`, 56 of them multiply-adds; some 8 and 23 instructions an element.
//!
//! Rows that are short against the caches are worked on in groups ([`group_sums`]): the exponentials of all of them, their
//! sums, the reciprocals or logarithms of these, the results.

use super::lanes::{Float, Lanes, split_exponent};
use super::math::compensated::{add_fast_two_sum, div_residual, fast_two_sum, reduce_accumulator, two_sum};
use super::math::exp::{Base, Clamped, Exp, ExpLanes, Guard, InRange, Recorded, Shifted};
use super::math::ln::ln_parts;
use crate::matrix::{MatMut, MatRef};

/// Elements that are summed before their sum is looked at.
pub(super) const BLOCK: usize = 4096;

/// A block's sum beyond this asks for a larger base: far from the overflow of f32, far beyond any sum of a block whose
/// base fits.
const HIGHEST: f64 = 18_446_744_073_709_551_616.0; // 2^64

/// A row's sum below this asks for a smaller base than [`Base::ONE`]: f32 would lose results near 2^-100 of it.
const LOWEST: f64 = 9.5367431640625e-7; // 2^-20

/// Rows that are worked on together: first the exponentials of all of them, then their sums, then their results. The CPU
/// so has other rows to work on while a row's sum is reduced and divided by.
pub(super) const ROWS: usize = 16;

/// Elements of such rows, which stay in the nearest cache between the steps.
const TOGETHER: usize = 4096;

/// Rows of at most so many vectors are summed without a look at the sum of each.
const SHORT: usize = 32;

/// How many bytes ahead passes that only read, or stream, ask for their logits.
const AHEAD: usize = 2048;

/// From this many bytes a row is read twice and streamed out instead of being stored and rescaled: half of the last-level
/// cache of the machines that it was measured on (32 MiB on Zen 3 and Zen 4), which input and output then fill together. On
/// Zen 4 the step is from 0.21 to 0.33 ns an element (f32, AVX-512).
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
    pub(crate) const EMPTY: Self = Self { high: 0.0, low: 0.0, base: Base::ONE };
    const NAN: Self = Self { high: f64::NAN, ..Self::EMPTY };

    /// Adds `x` times the base, keeping the rounding error (Knuth's two-sum).
    #[inline(always)]
    pub(super) fn add(&mut self, x: f64) {
        let (sum, error) = two_sum(self.high, x);
        self.low += error;
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

    /// `weight` divided by the total, as an unevaluated sum of two `T`.
    #[inline(always)]
    pub(super) fn divide(&self, weight: f64) -> (T, T) {
        let mut r = weight / self.total();
        let mut low = 0.0;
        if T::EPSILON == f64::EPSILON {
            r = weight / self.high;
            low = (div_residual(weight, self.high, r) - r * self.low) / self.high;
        }
        let first = T::from_f64(r);
        (first, T::from_f64((r - first.to_f64()) + low))
    }

    /// What results are instead where there are none: `empty` without finite logits, NaN with +inf or NaN among them.
    #[inline(always)]
    pub(super) fn without_result(&self, empty: T) -> Option<T> {
        if self.high > 0.0 && self.high < f64::INFINITY {
            None
        } else if self.high == 0.0 {
            Some(empty)
        } else {
            Some(T::NAN)
        }
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
    pub(super) fn ln_parts(&self) -> (f64, f64) {
        let (high, low) = ln_parts(self.total(), self.base.exponent);
        // The shift may be far from the largest element, so it is added without an error (two-sum), and then the first
        // is made the leading part.
        let shift = self.base.shift.to_f64();
        let (lead, error) = two_sum(shift, high);
        fast_two_sum(lead, low + error)
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
    let e = Exp::<_, f64>::new(l, Base::ONE).eval::<Clamped>(l, x);
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
    /// The [`ExpLanes::IN_FLIGHT`] vectors of logits from `at` on; panics where there are fewer.
    fn load_step<L: ExpLanes<T>>(&self, l: L, at: usize) -> [L::V; 4];
    /// A vector of logits from `at` on; panics where there are fewer.
    fn load<L: Lanes<T>>(&self, l: L, at: usize) -> L::V;
    /// The logits from `at` to `end`, at most a vector of them; the other lanes -inf.
    fn load_tail<L: Lanes<T>>(&self, l: L, at: usize, end: usize) -> L::V;
    /// A hint that the logits [`AHEAD`] of `at` are read soon.
    fn prefetch<L: Lanes<T>>(&self, l: L, at: usize);
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

    /// From `x` to `out`, or to nowhere where that is empty.
    #[inline(always)]
    fn to(x: &'a [T], out: &'a mut [T]) -> Self {
        if out.is_empty() { Self::reading(x) } else { Self::new(x, out) }
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
    fn load_step<L: ExpLanes<T>>(&self, l: L, at: usize) -> [L::V; 4] {
        let x = self.window(at, L::IN_FLIGHT * L::N);
        let mut v = [l.splat(T::ZERO); 4];
        for i in 0..L::IN_FLIGHT {
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
    fn prefetch<L: Lanes<T>>(&self, l: L, at: usize) {
        l.prefetch(self.src(), at + AHEAD / size_of::<T>());
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

/// Rows of logits of one length.
pub(super) trait Rows<T: Float> {
    type Row<'a>: Row<T>
    where
        Self: 'a;
    /// Their length.
    fn cols(&self) -> usize;
    /// Row `i`, with its results going to `out`: as long, or empty where the row is only read.
    fn row_to<'a>(&'a self, i: usize, out: &'a mut [T]) -> Self::Row<'a>;
}

impl<T: Float> Rows<T> for MatRef<'_, T> {
    type Row<'a>
        = Io<'a, T>
    where
        Self: 'a;
    #[inline(always)]
    fn cols(&self) -> usize {
        MatRef::cols(self)
    }
    #[inline(always)]
    fn row_to<'a>(&'a self, i: usize, out: &'a mut [T]) -> Io<'a, T> {
        Io::to(self.row(i), out)
    }
}

/// Rows of logits `scale * x + mask`, and what is made of rows in which all are -inf.
#[derive(Clone, Copy)]
pub struct Logits<'a, T> {
    pub(crate) x: MatRef<'a, T>,
    /// Finite and not 0.
    pub(crate) scale: T,
    /// Of the same shape, or one row for all rows.
    pub(crate) mask: Option<MatRef<'a, T>>,
    /// Softmax of a row in which all are -inf: 0 (and its logarithm), or else NaN.
    pub(crate) zeros: bool,
}

impl<'a, T> Logits<'a, T> {
    /// Logits that nothing is done to.
    pub(crate) fn plain(x: MatRef<'a, T>, one: T) -> Self {
        Self { x, scale: one, mask: None, zeros: false }
    }
}

impl<'a, T: Float> Logits<'a, T> {
    /// The logits themselves where nothing is done to them.
    #[inline(always)]
    fn only(&self) -> Option<MatRef<'a, T>> {
        (self.scale == T::ONE && self.mask.is_none()).then_some(self.x)
    }
}

impl<T: Float> Rows<T> for Logits<'_, T> {
    type Row<'a>
        = Masked<'a, T>
    where
        Self: 'a;
    #[inline(always)]
    fn cols(&self) -> usize {
        self.x.cols()
    }
    #[inline(always)]
    fn row_to<'a>(&'a self, i: usize, out: &'a mut [T]) -> Masked<'a, T> {
        let mask = self.mask.map(|mask| Io::reading(mask.row(if mask.rows() == 1 { 0 } else { i })));
        Masked { io: Io::to(self.x.row(i), out), scale: self.scale, mask }
    }
}

/// A row of logits `scale * x + mask`, rounded once where the instruction set fuses; -inf wherever the mask is, also
/// where x is NaN or +inf.
pub(super) struct Masked<'a, T> {
    io: Io<'a, T>,
    scale: T,
    mask: Option<Io<'a, T>>,
}

impl<T: Float> Masked<'_, T> {
    #[inline(always)]
    fn logits<L: Lanes<T>>(&self, l: L, x: L::V, mask: impl FnOnce(&Io<'_, T>) -> L::V) -> L::V {
        let scale = l.splat(self.scale);
        match &self.mask {
            None => l.mul(x, scale),
            Some(m) => {
                let m = mask(m);
                let masked = l.lt(m, l.splat(T::MIN));
                l.select(masked, m, l.mul_add(x, scale, m))
            }
        }
    }
}

impl<T: Float> Row<T> for Masked<'_, T> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.io.len()
    }
    #[inline(always)]
    fn load_step<L: ExpLanes<T>>(&self, l: L, at: usize) -> [L::V; 4] {
        let mut v = [l.splat(T::ZERO); 4];
        for (i, v) in v[..L::IN_FLIGHT].iter_mut().enumerate() {
            *v = self.load(l, at + i * L::N);
        }
        v
    }
    #[inline(always)]
    fn load<L: Lanes<T>>(&self, l: L, at: usize) -> L::V {
        self.logits(
            l,
            self.io.load(l, at),
            #[inline(always)]
            |mask| mask.load(l, at),
        )
    }
    #[inline(always)]
    fn load_tail<L: Lanes<T>>(&self, l: L, at: usize, end: usize) -> L::V {
        let fill = if self.scale < T::ZERO { T::INFINITY } else { T::NEG_INFINITY };
        self.logits(
            l,
            l.load_tail(&self.io.src()[at..end], fill),
            #[inline(always)]
            |mask| l.load_tail(&mask.src()[at..end], T::ZERO),
        )
    }
    #[inline(always)]
    fn prefetch<L: Lanes<T>>(&self, l: L, at: usize) {
        self.io.prefetch(l, at);
    }
    #[inline(always)]
    fn dst(&mut self) -> &mut [T] {
        self.io.dst()
    }
    #[inline(always)]
    fn is_in_place(&self) -> bool {
        false
    }
}

/// The sum of the exponentials of one block, relative to the base of `exp`, as an unevaluated sum; where `STORE`, they are
/// also stored.
#[inline(always)]
fn block_sum<L: ExpLanes<T>, T: Float, G: Guard, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
) -> (f64, f64) {
    let mut overflow_bits = l.splat(T::ZERO);
    let (high, low) = lane_sums::<L, T, G, STORE>(l, exp, row, start, end, &mut overflow_bits);
    if l.exp_overflowed(overflow_bits) { (f64::INFINITY, 0.0) } else { reduce_accumulator(l, high, low) }
}

/// As [`block_sum`], lane by lane; overflow is only noted.
///
/// The exponentials of a step are added in pairs, and then to the total with the rounding error kept: the error neither
/// grows with the block, nor with what follows a large element.
#[inline(always)]
fn lane_sums<L: ExpLanes<T>, T: Float, G: Guard, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
    overflow_bits: &mut L::V,
) -> (L::V, L::V) {
    let zero = l.splat(T::ZERO);
    let mut sum = (zero, zero);
    let step = L::IN_FLIGHT * L::N;
    let mut at = start;
    while end - at >= step {
        if !STORE {
            for line in (0..step).step_by(64 / size_of::<T>()) {
                row.prefetch(l, at + line);
            }
        }
        sum = add_fast_two_sum(l, sum, step_sum::<L, T, G, STORE>(l, exp, row, at, overflow_bits));
        at += step;
    }
    if at == end {
        return sum;
    }
    // The rows of other modes are few, and the code would be much.
    if !G::RECORDED || end < L::N || STORE && row.is_in_place() {
        while at < end {
            let next = end.min(at + L::N);
            let e = eval::<L, T, G>(l, exp, row.load_tail(l, at, next), overflow_bits);
            if STORE {
                l.store_tail(&mut row.dst()[at..next], e);
            }
            sum = add_fast_two_sum(l, sum, e);
            at = next;
        }
        return sum;
    }
    let rest = match (end - at).div_ceil(L::N) {
        1 => rest_sum::<L, T, G, STORE, 1>(l, exp, row, at, end, overflow_bits),
        2 => rest_sum::<L, T, G, STORE, 2>(l, exp, row, at, end, overflow_bits),
        3 => rest_sum::<L, T, G, STORE, 3>(l, exp, row, at, end, overflow_bits),
        _ => rest_sum::<L, T, G, STORE, 4>(l, exp, row, at, end, overflow_bits),
    };
    add_fast_two_sum(l, sum, rest)
}

/// The sum of the `K` vectors of exponentials from `at` to `end`; where `STORE`, they are stored. The last is a whole
/// vector that begins with what was there already, which is cheaper than a tail by itself.
#[inline(always)]
fn rest_sum<L: ExpLanes<T>, T: Float, G: Guard, const STORE: bool, const K: usize>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    at: usize,
    end: usize,
    overflow_bits: &mut L::V,
) -> L::V {
    if K > L::IN_FLIGHT {
        // Never: so much is a step.
        return l.splat(T::ZERO);
    }
    let start = |i: usize| if i < K - 1 { at + i * L::N } else { end - L::N };
    let mut e = [l.splat(T::ZERO); 4];
    for (i, e) in e[..K].iter_mut().enumerate() {
        *e = eval::<L, T, G>(l, exp, row.load(l, start(i)), overflow_bits);
    }
    if STORE {
        for (i, &e) in e[..K].iter().enumerate() {
            l.store(&mut row.dst()[start(i)..], e);
        }
    }
    e[K - 1] = l.keep_last(e[K - 1], end - at - (K - 1) * L::N);
    match K {
        1 => e[0],
        2 => l.add(e[0], e[1]),
        3 => l.add(l.add(e[0], e[1]), e[2]),
        _ => l.add(l.add(e[0], e[1]), l.add(e[2], e[3])),
    }
}

/// The sum of as many vectors of exponentials as fit into the registers side by side; where `STORE`, they are stored.
#[inline(always)]
fn step_sum<L: ExpLanes<T>, T: Float, G: Guard, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    row: &mut impl Row<T>,
    at: usize,
    overflow_bits: &mut L::V,
) -> L::V {
    let mut e = row.load_step(l, at);
    for e in &mut e[..L::IN_FLIGHT] {
        *e = eval::<L, T, G>(l, exp, *e, overflow_bits);
    }
    if STORE {
        let out = &mut row.dst()[at..at + L::IN_FLIGHT * L::N];
        for i in 0..L::IN_FLIGHT {
            l.store(&mut out[i * L::N..], e[i]);
        }
    }
    match L::IN_FLIGHT {
        1 => e[0],
        2 => l.add(e[0], e[1]),
        _ => l.add(l.add(e[0], e[1]), l.add(e[2], e[3])),
    }
}

/// The exponentials of `x`, watching for overflow instead of clamping where the base is the plain one.
#[inline(always)]
fn eval<L: ExpLanes<T>, T: Float, G: Guard>(l: L, exp: &Exp<L, T>, x: L::V, overflow_bits: &mut L::V) -> L::V {
    if !G::RECORDED {
        return exp.eval::<G>(l, x);
    }
    let (e, shifted) = exp.eval_recorded(l, x);
    *overflow_bits = l.record_exponent(*overflow_bits, shifted);
    e
}

/// The sum of a block relative to any base.
#[cfg_attr(not(mantex_unoptimised), inline(always))]
fn moved_block_sum<L: ExpLanes<T>, T: Float, const STORE: bool>(
    l: L,
    base: Base<T>,
    row: &mut impl Row<T>,
    start: usize,
    end: usize,
) -> (f64, f64) {
    let exp = Exp::new(l, base);
    if base.shift == T::ZERO {
        block_sum::<L, T, Clamped, STORE>(l, &exp, row, start, end)
    } else {
        block_sum::<L, T, Shifted, STORE>(l, &exp, row, start, end)
    }
}

/// The sum of the exponentials of a row. `plain` is [`Base::ONE`]'s exponential, made once for many rows.
#[inline(always)]
pub(super) fn row_sum<L: ExpLanes<T>, T: Float>(l: L, plain: &Exp<L, T>, row: &mut impl Row<T>) -> Sum<T> {
    let (len, mut at) = (row.len(), 0);
    let mut sum = Sum::EMPTY;
    while at < len {
        let end = len.min(at + BLOCK);
        let (mut part, mut low) = if sum.base == Base::ONE {
            block_sum::<L, T, Recorded, false>(l, plain, row, at, end)
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

/// As [`row_sum`], and stores the exponentials relative to the base of the sum.
#[inline(always)]
pub(super) fn stored_sum<L: ExpLanes<T>, T: Float>(l: L, plain: &Exp<L, T>, row: &mut impl Row<T>) -> Sum<T> {
    if row.is_in_place() {
        // What a block stores could not be taken back.
        return sum_below_maximum::<L, T, true>(l, row);
    }
    let mut sum = Sum::EMPTY;
    let (len, mut at) = (row.len(), 0);
    while at < len {
        let end = len.min(at + BLOCK);
        let (part, low) = block_sum::<L, T, Recorded, true>(l, plain, row, at, end);
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
pub(super) fn sum_below_maximum<L: ExpLanes<T>, T: Float, const STORE: bool>(l: L, row: &mut impl Row<T>) -> Sum<T> {
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
    let bytes = L::N * size_of::<T>();
    // Vectors as long as a line of the cache take half the time where they are stored to one line each.
    if STREAM || bytes == 64 && len >= 32 * L::N {
        // Up to the first whole vector of the destination.
        at = row.dst().as_ptr().align_offset(bytes).min(L::N).min(len);
        let v = f(row.load_tail(l, 0, at));
        l.store_tail(&mut row.dst()[..at], v);
    }
    let aligned = STREAM && row.dst()[at..].as_ptr().addr().is_multiple_of(bytes);
    // What is less than a vector at the end is written as a whole one that begins with what is there already: in place
    // that has to be made before.
    let last = ((len - at) % L::N > 0 && len >= L::N).then(
        #[inline(always)]
        || f(row.load(l, len - L::N)),
    );
    while len - at >= 4 * L::N {
        if STREAM {
            for i in (0..4).filter(|i| (i * L::N * size_of::<T>()).is_multiple_of(64)) {
                row.prefetch(l, at + i * L::N);
            }
        }
        // A line of the cache is stored without much in between, as it waits to be complete.
        let mut v = [l.splat(T::ZERO); 4];
        for (i, v) in v.iter_mut().enumerate() {
            *v = f(row.load(l, at + i * L::N));
        }
        let out = &mut row.dst()[at..at + 4 * L::N];
        for (i, v) in v.into_iter().enumerate() {
            let out = &mut out[i * L::N..];
            if aligned { l.stream(out, v) } else { l.store(out, v) }
        }
        at += 4 * L::N;
    }
    while len - at >= L::N {
        let v = f(row.load(l, at));
        l.store(&mut row.dst()[at..], v);
        at += L::N;
    }
    if let Some(v) = last {
        l.store(&mut row.dst()[len - L::N..], v);
    } else if at < len {
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

/// Softmax of one row; `empty` where all logits are -inf.
#[cfg_attr(not(mantex_unoptimised), inline(always))]
fn softmax_row<L: ExpLanes<T>, T: Float>(l: L, plain: &Exp<L, T>, row: &mut impl Row<T>, empty: T) {
    if L::RECOMPUTE && streams::<T>(row.len()) {
        let sum = row_sum(l, plain, row);
        match sum.without_result(empty) {
            Some(x) => row.dst().fill(x),
            None => recompute(l, &sum, row, 1.0),
        }
    } else {
        let sum = stored_sum(l, plain, row);
        divide(l, row.dst(), &sum, sum.divide(1.0), empty);
    }
}

/// Turns a row's stored exponentials into its results, given the reciprocal of their sum.
#[inline(always)]
pub(super) fn divide<L: Lanes<T>, T: Float>(l: L, stored: &mut [T], sum: &Sum<T>, reciprocal: (T, T), empty: T) {
    match sum.without_result(empty) {
        Some(x) => stored.fill(x),
        None => rescale(l, reciprocal, stored),
    }
}

/// Divides what was stored by its sum.
#[inline(always)]
pub(super) fn rescale<L: Lanes<T>, T: Float>(l: L, (first, second): (T, T), stored: &mut [T]) {
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

/// Writes the exponentials divided by their sum and times `weight`, past the caches.
#[inline(always)]
pub(super) fn recompute<L: ExpLanes<T>, T: Float>(l: L, sum: &Sum<T>, row: &mut impl Row<T>, weight: f64) {
    // The sum's exponent goes to the base, so that results keep their precision down to the smallest.
    let (_, e) = split_exponent(sum.total());
    let scale = f64::from_bits(((1023 - e as i64) as u64) << 52);
    let base = Base { exponent: sum.base.exponent + e, ..sum.base };
    let (first, second) = Sum { high: sum.high * scale, low: sum.low * scale, base }.divide(weight);
    let (first, second) = (l.splat(first), l.splat(second));
    let exp = core::hint::black_box(Exp::new(l, base));
    if sum.base == Base::ONE {
        map::<L, T, true>(
            l,
            row,
            #[inline(always)]
            |x| times(l, exp.eval::<InRange>(l, x), first, second),
        );
    } else if base.shift == T::ZERO {
        map::<L, T, true>(
            l,
            row,
            #[inline(always)]
            |x| times(l, exp.eval::<Clamped>(l, x), first, second),
        );
    } else {
        map::<L, T, true>(
            l,
            row,
            #[inline(always)]
            |x| times(l, exp.eval::<Shifted>(l, x), first, second),
        );
    }
}

/// Log-softmax of one row whose sum's logarithm is `high + low`: `(x - high) - low`, so that a large common offset costs
/// nothing; `empty` where all logits are -inf.
#[cfg_attr(not(mantex_unoptimised), inline(always))]
fn subtract<L: Lanes<T>, T: Float>(l: L, row: &mut impl Row<T>, sum: &Sum<T>, (high, low): (f64, f64), empty: T) {
    if let Some(x) = sum.without_result(empty) {
        row.dst().fill(x);
        return;
    }
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
}

/// The exponential relative to [`Base::ONE`]. Its constants are hidden from the compiler, which else, short of registers,
/// loads each of them anew for every vector.
#[inline(always)]
pub(super) fn plain<L: ExpLanes<T>, T: Float>(l: L) -> Exp<L, T> {
    core::hint::black_box(Exp::new(l, Base::ONE))
}

/// Softmax of a slice.
#[inline(always)]
pub(crate) fn softmax<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    softmax_row(l, &plain(l), &mut Io::new(x, out), T::NAN);
}

/// Softmax of a slice, in place.
#[inline(always)]
pub(crate) fn softmax_in_place<L: ExpLanes<T>, T: Float>(l: L, x: &mut [T]) {
    softmax_row(l, &plain(l), &mut Io::in_place(x), T::NAN);
}

/// Log-softmax of a slice.
#[inline(always)]
pub(crate) fn log_softmax<L: ExpLanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    let mut row = Io::new(x, out);
    let sum = row_sum(l, &plain(l), &mut row);
    subtract(l, &mut row, &sum, sum.ln_parts(), T::NAN);
}

/// The logarithm of the sum of the exponentials of a slice.
#[inline(always)]
pub(crate) fn log_sum_exp<L: ExpLanes<T>, T: Float>(l: L, x: &[T]) -> T {
    ext_sum(l, x).ln()
}

/// The sum of two sums of exponentials.
#[inline(always)]
pub(crate) fn merge_ext_sums<L: Lanes<T>, T: Float>(_: L, a: Sum<T>, b: Sum<T>) -> Sum<T> {
    a.merge(b)
}

/// The logarithm of a sum of exponentials.
#[inline(always)]
pub(crate) fn ext_sum_ln<L: Lanes<T>, T: Float>(_: L, sum: Sum<T>) -> T {
    sum.ln()
}

/// The sum of the exponentials of a slice.
#[inline(always)]
pub(crate) fn ext_sum<L: ExpLanes<T>, T: Float>(l: L, x: &[T]) -> Sum<T> {
    row_sum(l, &plain(l), &mut Io::reading(x))
}

/// Softmax of every row.
#[inline(always)]
pub(crate) fn softmax_rows<L: ExpLanes<T>, T: Float>(l: L, x: Logits<'_, T>, out: MatMut<'_, T>) {
    let empty = if x.zeros { T::ZERO } else { T::NAN };
    match x.only() {
        Some(x) => softmax_of(l, &x, out, empty),
        None => softmax_of(l, &x, out, empty),
    }
}

/// Log-softmax of every row.
#[inline(always)]
pub(crate) fn log_softmax_rows<L: ExpLanes<T>, T: Float>(l: L, x: Logits<'_, T>, out: MatMut<'_, T>) {
    let empty = if x.zeros { T::NEG_INFINITY } else { T::NAN };
    match x.only() {
        Some(x) => log_softmax_of(l, &x, out, empty),
        None => log_softmax_of(l, &x, out, empty),
    }
}

/// The logarithm of the sum of exponentials of every row.
#[inline(always)]
pub(crate) fn log_sum_exp_rows<L: ExpLanes<T>, T: Float>(l: L, x: Logits<'_, T>, out: &mut [T]) {
    match x.only() {
        Some(x) => log_sum_exp_of(l, &x, out),
        None => log_sum_exp_of(l, &x, out),
    }
}

/// The rows that are worked on together, one group after the other.
#[inline(always)]
pub(super) fn groups(rows: usize, cols: usize) -> impl Iterator<Item = core::ops::Range<usize>> {
    let together = (TOGETHER / cols.max(1)).clamp(1, ROWS);
    (0..rows).step_by(together).map(move |start| start..rows.min(start + together))
}

/// The sums of a group of rows; where `STORE`, the exponentials relative to their bases are also stored.
#[cfg_attr(not(mantex_unoptimised), inline(always))]
pub(super) fn group_sums<L: ExpLanes<T>, T: Float, const STORE: bool>(
    l: L,
    plain: &Exp<L, T>,
    x: &impl Rows<T>,
    out: &mut Option<MatMut<'_, T>>,
    group: core::ops::Range<usize>,
    sums: &mut [Sum<T>; ROWS],
) {
    if x.cols() <= SHORT * L::N {
        let mut overflow_bits = l.splat(T::ZERO);
        let mut parts = [(overflow_bits, overflow_bits); ROWS];
        for (i, part) in group.clone().zip(&mut parts) {
            let mut row = x.row_to(i, row_of(out, i));
            *part = lane_sums::<L, T, Recorded, STORE>(l, plain, &mut row, 0, x.cols(), &mut overflow_bits);
        }
        let mut good = !l.exp_overflowed(overflow_bits);
        for (sum, &(high, low)) in sums[..group.len()].iter_mut().zip(&parts) {
            let (high, low) = reduce_accumulator(l, high, low);
            *sum = Sum { high, low, ..Sum::EMPTY };
            good &= fits(high, 0.0);
        }
        if good {
            return;
        }
    }
    for (i, sum) in group.zip(sums) {
        let mut row = x.row_to(i, row_of(out, i));
        *sum = if STORE { stored_sum(l, plain, &mut row) } else { row_sum(l, plain, &mut row) };
    }
}

/// Row `i`, or an empty slice where there is no matrix.
#[inline(always)]
pub(super) fn row_of<'a, T>(out: &'a mut Option<MatMut<'_, T>>, i: usize) -> &'a mut [T] {
    match out {
        Some(out) => out.row_mut(i),
        None => &mut [],
    }
}

/// Softmax of a group of rows of at most a vector each, whose exponentials stay in registers. False where the base does
/// not fit some row: nothing is written then.
#[cfg_attr(not(mantex_unoptimised), inline(always))]
fn single_vectors<L: ExpLanes<T>, T: Float>(
    l: L,
    plain: &Exp<L, T>,
    x: &impl Rows<T>,
    out: &mut Option<MatMut<'_, T>>,
    group: core::ops::Range<usize>,
) -> bool {
    let zero = l.splat(T::ZERO);
    let (mut e, mut overflow_bits) = ([zero; ROWS], zero);
    for (i, e) in group.clone().zip(&mut e) {
        let row = x.row_to(i, &mut []);
        let logits = if x.cols() == L::N { row.load(l, 0) } else { row.load_tail(l, 0, x.cols()) };
        *e = eval::<L, T, Recorded>(l, plain, logits, &mut overflow_bits);
    }
    let mut good = !l.exp_overflowed(overflow_bits);
    let mut reciprocals = [(T::ZERO, T::ZERO); ROWS];
    for (reciprocal, &e) in reciprocals[..group.len()].iter_mut().zip(&e) {
        let (high, low) = reduce_accumulator(l, e, zero);
        good &= fits(high, 0.0);
        *reciprocal = Sum { high, low, ..Sum::<T>::EMPTY }.divide(1.0);
    }
    if good {
        for (i, (&e, &(first, second))) in group.zip(e.iter().zip(&reciprocals)) {
            let y = times(l, e, l.splat(first), l.splat(second));
            let out = row_of(out, i);
            if out.len() == L::N { l.store(out, y) } else { l.store_tail(out, y) }
        }
    }
    good
}

#[cfg_attr(not(mantex_unoptimised), inline(always))]
fn softmax_of<L: ExpLanes<T>, T: Float>(l: L, x: &impl Rows<T>, mut out: MatMut<'_, T>, empty: T) {
    let plain = plain(l);
    let (rows, cols) = (out.rows(), out.cols());
    if streams::<T>(cols) {
        for i in 0..rows {
            softmax_row(l, &plain, &mut x.row_to(i, out.row_mut(i)), empty);
        }
        return;
    }
    let mut out = Some(out);
    let mut sums = [Sum::EMPTY; ROWS];
    let mut reciprocals = [(T::ZERO, T::ZERO); ROWS];
    for group in groups(rows, cols) {
        if cols <= L::N && single_vectors(l, &plain, x, &mut out, group.clone()) {
            continue;
        }
        group_sums::<L, T, true>(l, &plain, x, &mut out, group.clone(), &mut sums);
        for (reciprocal, sum) in reciprocals.iter_mut().zip(&sums).take(group.len()) {
            *reciprocal = sum.divide(1.0);
        }
        for (i, (sum, &reciprocal)) in group.zip(sums.iter().zip(&reciprocals)) {
            divide(l, row_of(&mut out, i), sum, reciprocal, empty);
        }
    }
}

#[cfg_attr(not(mantex_unoptimised), inline(always))]
fn log_softmax_of<L: ExpLanes<T>, T: Float>(l: L, x: &impl Rows<T>, out: MatMut<'_, T>, empty: T) {
    let plain = plain(l);
    let (rows, cols) = (out.rows(), out.cols());
    let mut out = Some(out);
    let mut sums = [Sum::EMPTY; ROWS];
    let mut logarithms = [(0.0, 0.0); ROWS];
    for group in groups(rows, cols) {
        group_sums::<L, T, false>(l, &plain, x, &mut None, group.clone(), &mut sums);
        for (ln, sum) in logarithms.iter_mut().zip(&sums).take(group.len()) {
            *ln = sum.ln_parts();
        }
        for (i, (sum, &ln)) in group.zip(sums.iter().zip(&logarithms)) {
            subtract(l, &mut x.row_to(i, row_of(&mut out, i)), sum, ln, empty);
        }
    }
}

#[cfg_attr(not(mantex_unoptimised), inline(always))]
fn log_sum_exp_of<L: ExpLanes<T>, T: Float>(l: L, x: &impl Rows<T>, out: &mut [T]) {
    let plain = plain(l);
    let mut sums = [Sum::EMPTY; ROWS];
    for group in groups(out.len(), x.cols()) {
        group_sums::<L, T, false>(l, &plain, x, &mut None, group.clone(), &mut sums);
        for (out, sum) in out[group].iter_mut().zip(&sums) {
            *out = sum.ln();
        }
    }
}
