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
//! | [`row_sum`] | log-sum-exp, log-softmax, the first pass over long rows | reads once; a block that does not fit, twice |
//! | [`stored_sum`], [`rescale`] | softmax of rows of ordinary size, not in place | reads, writes; updates |
//! | [`sum_below_maximum`], [`rescale`] | softmax in place, and what [`stored_sum`] gives up | reads; reads, writes; updates |
//! | [`row_sum`], [`recompute`] | softmax of long rows | reads; reads, streams |

use super::exp::{Base, Exp, MOVED, PLAIN, SHIFTED, ln_parts, split};
use super::lanes::{Float, Lanes};
use crate::matrix::{MatMut, MatRef};

/// Elements that are summed before their sum is looked at.
const BLOCK: usize = 512;

/// A block's sum beyond this asks for a larger base: far from the overflow of f32, far beyond any sum of a block whose
/// base fits.
const HIGHEST: f64 = 18_446_744_073_709_551_616.0; // 2^64

/// A row's sum below this asks for a smaller base than [`Base::PLAIN`]: f32 would lose results near 2^-100 of it.
const LOWEST: f64 = 9.5367431640625e-7; // 2^-20

/// Vectors that are added before the rounding of additions is kept.
const PART: usize = 8;

/// From this many bytes a row is read twice and streamed out instead of being stored and rescaled.
const STREAM_BYTES: usize = 16 << 20;

/// A sum of exponentials: `(high + low) * e^shift * 2^exponent` with the base's shift and exponent.
///
/// `high` is 0 for an empty sum, infinite after +inf and NaN after NaN.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sum<T> {
    high: f64,
    low: f64,
    base: Base<T>,
}

impl<T: Float> Sum<T> {
    pub(crate) const EMPTY: Self = Self { high: 0.0, low: 0.0, base: Base::PLAIN };
    const NAN: Self = Self { high: f64::NAN, ..Self::EMPTY };

    /// Adds `x` times the base, keeping the rounding error (Knuth's two-sum).
    #[inline(always)]
    fn add(&mut self, x: f64) {
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
    fn total(&self) -> f64 {
        self.high + self.low
    }

    /// The reciprocal of the total as an unevaluated sum of two `T`.
    #[inline(always)]
    fn reciprocal(&self) -> (T, T) {
        let r = 1.0 / self.high;
        // 1 - r * high without an error, by Dekker's split of both into halves.
        let split = |x: f64| {
            let t = 134_217_729.0 * x; // 2^27 + 1
            let high = t - (t - x);
            (high, x - high)
        };
        let ((r1, r2), (h1, h2)) = (split(r), split(self.high));
        let rest = (((1.0 - r1 * h1) - r1 * h2) - r2 * h1) - r2 * h2;
        let low = r * (rest - r * self.low);
        let first = T::from_f64(r);
        (first, T::from_f64((r - first.to_f64()) + low))
    }

    /// Neither empty nor beyond numbers.
    #[inline(always)]
    fn is_positive(&self) -> bool {
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

/// The largest element; NaN counts for nothing, and so does an empty slice: -inf.
#[inline(always)]
fn maximum<L: Lanes<T>, T: Float>(l: L, x: &[T]) -> T {
    let mut max = [l.splat(T::NEG_INFINITY); 4];
    let mut chunks = x.chunks_exact(4 * L::N);
    for chunk in &mut chunks {
        for (i, max) in max.iter_mut().enumerate() {
            *max = l.max(l.load(&chunk[i * L::N..]), *max);
        }
    }
    for chunk in chunks.remainder().chunks(L::N) {
        max[0] = l.max(l.load_tail(chunk, T::NEG_INFINITY), max[0]);
    }
    let max = l.max(l.max(max[0], max[1]), l.max(max[2], max[3]));
    l.to_array(max)[..L::N].iter().fold(T::NEG_INFINITY, |m, &x| if x > m { x } else { m })
}

#[inline(always)]
fn has_nan<T: Float>(x: &[T]) -> bool {
    x.iter().any(|x| x.partial_cmp(x).is_none())
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

    #[inline(always)]
    fn is_in_place(&self) -> bool {
        core::ptr::eq(self.src, self.dst)
    }

    /// The source.
    #[inline(always)]
    fn src(&self) -> &[T] {
        // SAFETY: src is valid for src_len elements during 'a; where it is also the destination, the borrow of self keeps
        // `dst` from handing out a mutable slice meanwhile.
        unsafe { core::slice::from_raw_parts(self.src, self.src_len) }
    }

    /// The destination.
    #[inline(always)]
    pub(super) fn dst(&mut self) -> &mut [T] {
        // SAFETY: dst is valid for writing dst_len elements during 'a, and the mutable borrow of self keeps every other
        // slice made from it or from src away meanwhile.
        unsafe { core::slice::from_raw_parts_mut(self.dst, self.dst_len) }
    }
}

/// The sum of the exponentials of one block, relative to the base of `exp`, as an unevaluated sum; where `STORE`, they are
/// also stored.
///
/// [`PART`] vectors are added to each other and then to the total with the rounding error kept: the error does
/// not grow with the block, also where all roundings go the same way, as in rows of one value (plain additions were off
/// by up to 8 ulp with 8 lanes and 39 with one).
#[inline(always)]
fn block_sum<L: Lanes<T>, T: Float, const MODE: u8, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    io: &mut Io<'_, T>,
    start: usize,
    end: usize,
) -> (f64, f64) {
    let zero = l.splat(T::ZERO);
    let (mut high, mut low, mut seen) = (zero, zero, zero);
    let step = L::UNROLL * L::N;
    let mut at = start;
    while end - at >= PART * L::N {
        let mut part = zero;
        for _ in 0..PART / L::UNROLL {
            part = l.add(part, step_sum::<L, T, MODE, STORE>(l, exp, io, at, &mut seen));
            at += step;
        }
        (high, low) = two_sum(l, high, low, part);
    }
    let mut part = zero;
    while end - at >= step {
        part = l.add(part, step_sum::<L, T, MODE, STORE>(l, exp, io, at, &mut seen));
        at += step;
    }
    (high, low) = two_sum(l, high, low, part);
    part = zero;
    while at < end {
        let next = end.min(at + L::N);
        let e = eval::<L, T, MODE>(l, exp, l.load_tail(&io.src()[at..next], T::NEG_INFINITY), &mut seen);
        if STORE {
            l.store_tail(&mut io.dst()[at..next], e);
        }
        part = l.add(part, e);
        at = next;
    }
    (high, low) = two_sum(l, high, low, part);
    if l.exp_overflowed(seen) {
        return (f64::INFINITY, 0.0);
    }
    if T::EPSILON > f64::EPSILON {
        // The lanes of f32 are added in f64.
        return (l.sum(high), l.sum(low));
    }
    let mut total = Sum::<T> { low: l.sum(low), ..Sum::EMPTY };
    for &lane in &l.to_array(high)[..L::N] {
        total.add(lane.to_f64());
    }
    (total.high, total.low)
}

/// The sum of as many vectors of exponentials as fit into the registers side by side; where `STORE`, they are stored.
#[inline(always)]
fn step_sum<L: Lanes<T>, T: Float, const MODE: u8, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    io: &mut Io<'_, T>,
    at: usize,
    seen: &mut L::V,
) -> L::V {
    let x = &io.src()[at..at + L::UNROLL * L::N];
    let mut e = [l.splat(T::ZERO); 4];
    for i in 0..L::UNROLL {
        e[i] = eval::<L, T, MODE>(l, exp, l.load(&x[i * L::N..]), seen);
    }
    if STORE {
        let out = &mut io.dst()[at..at + L::UNROLL * L::N];
        for i in 0..L::UNROLL {
            l.store(&mut out[i * L::N..], e[i]);
        }
    }
    let sum = l.add(e[0], e[1]);
    if L::UNROLL > 2 { l.add(sum, l.add(e[2], e[3])) } else { sum }
}

/// `high + low + e` with the rounding error of the first addition in `low` (Knuth's two-sum).
#[inline(always)]
fn two_sum<L: Lanes<T>, T: Float>(l: L, high: L::V, low: L::V, e: L::V) -> (L::V, L::V) {
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
    io: &mut Io<'_, T>,
    start: usize,
    end: usize,
) -> (f64, f64) {
    let exp = Exp::new(l, base);
    if base.shift == T::ZERO {
        block_sum::<L, T, MOVED, STORE>(l, &exp, io, start, end)
    } else {
        block_sum::<L, T, SHIFTED, STORE>(l, &exp, io, start, end)
    }
}

/// The sum of the exponentials of a row. `plain` is [`Base::PLAIN`]'s exponential, made once for many rows.
#[inline(always)]
fn row_sum<L: Lanes<T>, T: Float>(l: L, plain: &Exp<L, T>, x: &[T]) -> Sum<T> {
    let io = &mut Io::reading(x);
    let mut sum = Sum::EMPTY;
    let mut at = 0;
    while at < x.len() {
        let end = x.len().min(at + BLOCK);
        let (mut part, mut low) = if sum.base == Base::PLAIN {
            block_sum::<L, T, PLAIN, false>(l, plain, io, at, end)
        } else {
            moved_block_sum::<L, T, false>(l, sum.base, io, at, end)
        };
        if !(part <= HIGHEST && (part >= LOWEST || sum.high > 0.0)) {
            // The block overflows the base, or is the first and vanishes relative to it, or is not made of numbers.
            let max = maximum(l, &x[at..end]);
            if has_nan(&x[at..end]) || max == T::INFINITY && has_nan(&x[end..]) {
                return Sum::NAN;
            }
            if max == T::INFINITY {
                return Sum { high: f64::INFINITY, ..Sum::EMPTY };
            }
            if max > T::NEG_INFINITY {
                sum.rebase(Base::near(max));
                (part, low) = moved_block_sum::<L, T, false>(l, sum.base, io, at, end);
            }
        }
        sum.add(part);
        sum.low += low;
        at = end;
    }
    sum
}

/// As [`row_sum`], and stores the exponentials relative to the base of the sum. Not in place.
#[inline(always)]
fn stored_sum<L: Lanes<T>, T: Float>(l: L, plain: &Exp<L, T>, io: &mut Io<'_, T>) -> Sum<T> {
    let mut sum = Sum::EMPTY;
    let mut at = 0;
    while at < io.src_len {
        let end = io.src_len.min(at + BLOCK);
        let (part, low) = block_sum::<L, T, PLAIN, true>(l, plain, io, at, end);
        sum.add(part);
        sum.low += low;
        if !(part <= HIGHEST && sum.high >= LOWEST) {
            return sum_below_maximum::<L, T, true>(l, io);
        }
        at = end;
    }
    sum
}

/// The sum after a pass for the maximum, whose base holds any row; where `STORE`, also stores the exponentials, also in
/// place. NaN where the row has no softmax.
#[inline(always)]
pub(super) fn sum_below_maximum<L: Lanes<T>, T: Float, const STORE: bool>(l: L, io: &mut Io<'_, T>) -> Sum<T> {
    let max = maximum(l, io.src());
    if !(max > T::NEG_INFINITY && max < T::INFINITY) {
        return Sum::NAN;
    }
    let mut sum = Sum { base: Base::near(max), ..Sum::EMPTY };
    for start in (0..io.src_len).step_by(BLOCK) {
        let end = io.src_len.min(start + BLOCK);
        let (part, low) = moved_block_sum::<L, T, STORE>(l, sum.base, io, start, end);
        sum.add(part);
        sum.low += low;
    }
    sum
}

/// Writes `f` of every vector of the row; `STREAM`s the aligned middle past the caches.
#[inline(always)]
pub(super) fn map<L: Lanes<T>, T: Float, const STREAM: bool>(l: L, io: &mut Io<'_, T>, f: impl Fn(L::V) -> L::V) {
    let len = io.src_len;
    let mut at = 0;
    if STREAM {
        // Up to the first whole vector of the destination.
        let head = io.dst.align_offset(L::N * size_of::<T>()).min(L::N).min(len);
        let v = f(l.load_tail(&io.src()[..head], T::ZERO));
        l.store_tail(&mut io.dst()[..head], v);
        at = head;
    }
    let aligned = STREAM && (io.dst.addr() + at * size_of::<T>()).is_multiple_of(L::N * size_of::<T>());
    while len - at >= L::N {
        let v = f(l.load(&io.src()[at..at + L::N]));
        let out = &mut io.dst()[at..at + L::N];
        if aligned {
            l.stream(out, v);
        } else {
            l.store(out, v);
        }
        at += L::N;
    }
    if at < len {
        let v = f(l.load_tail(&io.src()[at..], T::ZERO));
        l.store_tail(&mut io.dst()[at..], v);
    }
    if STREAM {
        l.fence();
    }
}

/// Whether a row is so long that its output should not pass through the caches.
#[inline(always)]
fn streams<T>(len: usize) -> bool {
    len >= STREAM_BYTES / size_of::<T>()
}

/// Softmax of one row.
#[inline(always)]
fn softmax_row<L: Lanes<T>, T: Float>(l: L, plain: &Exp<L, T>, io: &mut Io<'_, T>) {
    if L::RECOMPUTE && streams::<T>(io.src_len) {
        return softmax_row_streamed(l, plain, io);
    }
    let sum = if io.is_in_place() { sum_below_maximum::<L, T, true>(l, io) } else { stored_sum(l, plain, io) };
    if !sum.is_positive() {
        return io.dst().fill(T::NAN);
    }
    rescale(l, &sum, io.dst());
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

/// Softmax of one row by two passes, the second of which writes past the caches.
#[inline(always)]
fn softmax_row_streamed<L: Lanes<T>, T: Float>(l: L, plain: &Exp<L, T>, io: &mut Io<'_, T>) {
    let sum = row_sum(l, plain, io.src());
    if !sum.is_positive() {
        return io.dst().fill(T::NAN);
    }
    recompute(l, &sum, io);
}

/// Writes the exponentials divided by their sum, past the caches.
#[inline(always)]
pub(super) fn recompute<L: Lanes<T>, T: Float>(l: L, sum: &Sum<T>, io: &mut Io<'_, T>) {
    // The sum's exponent goes to the base, so that results keep their precision down to the smallest.
    let (_, e) = split(sum.total());
    let scale = f64::from_bits(((1023 - e as i64) as u64) << 52);
    let base = Base { exponent: sum.base.exponent + e, ..sum.base };
    let (first, second) = Sum { high: sum.high * scale, low: sum.low * scale, base }.reciprocal();
    let (first, second) = (l.splat(first), l.splat(second));
    let exp = Exp::new(l, base);
    if base.shift == T::ZERO {
        map::<L, T, true>(
            l,
            io,
            #[inline(always)]
            |x| times(l, exp.eval::<MOVED>(l, x), first, second),
        );
    } else {
        map::<L, T, true>(
            l,
            io,
            #[inline(always)]
            |x| times(l, exp.eval::<SHIFTED>(l, x), first, second),
        );
    }
}

/// Log-softmax of one row: `(x - high) - low` with the logarithm of the sum in two parts, so that a large common offset
/// costs nothing.
#[inline(always)]
fn log_softmax_row<L: Lanes<T>, T: Float>(l: L, plain: &Exp<L, T>, io: &mut Io<'_, T>) {
    let sum = row_sum(l, plain, io.src());
    if !sum.is_positive() {
        return io.dst().fill(T::NAN);
    }
    let (high, low) = sum.ln_parts();
    let first = T::from_f64(high);
    let (first, second) = (l.splat(first), l.splat(T::from_f64((high - first.to_f64()) + low)));
    if streams::<T>(io.src_len) {
        map::<L, T, true>(
            l,
            io,
            #[inline(always)]
            |x| l.sub(l.sub(x, first), second),
        );
    } else {
        map::<L, T, false>(
            l,
            io,
            #[inline(always)]
            |x| l.sub(l.sub(x, first), second),
        );
    }
}

/// The exponential relative to [`Base::PLAIN`].
#[inline(always)]
fn plain<L: Lanes<T>, T: Float>(l: L) -> Exp<L, T> {
    Exp::new(l, Base::PLAIN)
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
    row_sum(l, &plain(l), x)
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
        *out = row_sum(l, &plain, x.row(i)).ln();
    }
}
