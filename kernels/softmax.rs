//! The softmax family: sums of exponentials as (mantissa, exponent), and the passes that write rows.
//!
//! After Dukhan & Ablavatski 2020: no pass for the maximum. A row's exponentials are summed relative to a [`Base`] taken
//! from its first elements; where a block of the row leaves the range that base can hold, the base moves up and the sum
//! so far is rescaled. Rows in cache store these exponentials and rescale them (one exponential per element); rows far
//! larger than the caches are read twice and written once, past the caches.

use super::exp::{Base, Exp, ln_parts, split};
use super::lanes::{Float, Lanes};
use crate::matrix::{MatMut, MatRef};

/// Elements per partial sum.
const BLOCK: usize = 512;

/// Vectors that give the first base of a row.
const PILOT: usize = 4;

/// A block's sum beyond this asks for a larger base: far from the overflow of f32, far beyond any sum of a block whose
/// base fits.
const LIMIT: f64 = 18_446_744_073_709_551_616.0; // 2^64

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
    pub(crate) const EMPTY: Self = Self { high: 0.0, low: 0.0, base: Base { shift: T::ZERO, exponent: 0.0 } };

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

    /// The logarithm of the sum as an unevaluated sum of two numbers, the first of which is exact.
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
    let e = Exp::<_, f64>::new(l, Base { shift: 0.0, exponent: 0.0 }, 1.0).eval::<false>(l, x);
    e + e * (small + 0.5 * small * small)
}

/// The largest element; NaN counts for nothing, and so does an empty slice: -inf.
#[inline(always)]
fn maximum<L: Lanes<T>, T: Float>(l: L, x: &[T]) -> T {
    let mut max = [l.splat(T::NEG_INFINITY); PILOT];
    let mut chunks = x.chunks_exact(PILOT * L::N);
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
    fn reading(x: &'a [T]) -> Self {
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
    fn dst(&mut self) -> &mut [T] {
        // SAFETY: dst is valid for writing dst_len elements during 'a, and the mutable borrow of self keeps every other
        // slice made from it or from src away meanwhile.
        unsafe { core::slice::from_raw_parts_mut(self.dst, self.dst_len) }
    }
}

/// The sum of the exponentials of one block, relative to the base of `exp`, as an unevaluated sum; where `STORE`, they are
/// also stored.
///
/// Four vectors at a time are added in pairs and the result to the total with its rounding error kept: the error does
/// not grow with the block, also where all roundings go the same way, as in rows of one value (plain additions were off
/// by up to 8 ulp with 8 lanes and 39 with one).
#[inline(always)]
fn block_sum<L: Lanes<T>, T: Float, const SHIFT: bool, const STORE: bool>(
    l: L,
    exp: &Exp<L, T>,
    io: &mut Io<'_, T>,
    start: usize,
    end: usize,
) -> (f64, f64) {
    const UNROLL: usize = 4;
    let (mut high, mut low) = (l.splat(T::ZERO), l.splat(T::ZERO));
    let mut at = start;
    while end - at >= UNROLL * L::N {
        let x = &io.src()[at..at + UNROLL * L::N];
        let mut e = [high; UNROLL];
        for (i, e) in e.iter_mut().enumerate() {
            *e = exp.eval::<SHIFT>(l, l.load(&x[i * L::N..]));
        }
        if STORE {
            let out = &mut io.dst()[at..at + UNROLL * L::N];
            for (i, &e) in e.iter().enumerate() {
                l.store(&mut out[i * L::N..], e);
            }
        }
        let e = l.add(l.add(e[0], e[1]), l.add(e[2], e[3]));
        (high, low) = two_sum(l, high, low, e);
        at += UNROLL * L::N;
    }
    while at < end {
        let next = end.min(at + L::N);
        let e = exp.eval::<SHIFT>(l, l.load_tail(&io.src()[at..next], T::NEG_INFINITY));
        if STORE {
            l.store_tail(&mut io.dst()[at..next], e);
        }
        (high, low) = two_sum(l, high, low, e);
        at = next;
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

/// `high + low + e` with the rounding error of the first addition in `low` (Knuth's two-sum).
#[inline(always)]
fn two_sum<L: Lanes<T>, T: Float>(l: L, high: L::V, low: L::V, e: L::V) -> (L::V, L::V) {
    let sum = l.add(high, e);
    let part = l.sub(sum, high);
    let error = l.add(l.sub(high, l.sub(sum, part)), l.sub(e, part));
    (sum, l.add(low, error))
}

/// Sums a row. Where `STORE`, also stores the exponentials relative to the base of the sum, which is there only as long
/// as the base `first` holds the whole row: `None` where it does not.
#[inline(always)]
fn row_sum<L: Lanes<T>, T: Float, const STORE: bool>(l: L, io: &mut Io<'_, T>, first: T) -> Option<Sum<T>> {
    let mut sum = Sum::EMPTY;
    let mut known = first > T::NEG_INFINITY && first < T::INFINITY;
    if known {
        sum.base = Base::near(first);
    }
    let mut at = 0;
    while at < io.src_len {
        let end = io.src_len.min(at + BLOCK);
        loop {
            if known {
                let exp = Exp::new(l, sum.base, 1.0);
                let (part, low) = if sum.base.shift == T::ZERO {
                    block_sum::<L, T, false, STORE>(l, &exp, io, at, end)
                } else {
                    block_sum::<L, T, true, STORE>(l, &exp, io, at, end)
                };
                if (0.0..=LIMIT).contains(&part) {
                    sum.add(part);
                    sum.low += low;
                    break;
                }
                if STORE {
                    return None;
                }
            }
            // The block does not fit the base, there is none yet, or something is not finite.
            let block = &io.src()[at..end];
            let max = maximum(l, block);
            if has_nan(block) {
                return Some(Sum { high: f64::NAN, ..Sum::EMPTY });
            }
            if max == T::INFINITY {
                let high = if has_nan(&io.src()[end..]) { f64::NAN } else { f64::INFINITY };
                return Some(Sum { high, ..Sum::EMPTY });
            }
            if max == T::NEG_INFINITY {
                if STORE {
                    io.dst()[at..end].fill(T::ZERO);
                }
                break;
            }
            sum.rebase(Base::near(max));
            known = true;
        }
        at = end;
    }
    Some(sum)
}

/// The largest of the first elements: a base that is right for nearly every row.
#[inline(always)]
fn pilot<L: Lanes<T>, T: Float>(l: L, x: &[T]) -> T {
    maximum(l, &x[..x.len().min(PILOT * L::N)])
}

/// The sum of the exponentials of a row.
#[inline(always)]
pub(crate) fn sum<L: Lanes<T>, T: Float>(l: L, x: &[T]) -> Sum<T> {
    row_sum::<L, T, false>(l, &mut Io::reading(x), pilot(l, x)).unwrap_or(Sum::EMPTY)
}

/// Writes `f` of every vector of the row; `STREAM`s the aligned middle past the caches.
#[inline(always)]
fn map<L: Lanes<T>, T: Float, const STREAM: bool>(l: L, io: &mut Io<'_, T>, f: impl Fn(L::V) -> L::V) {
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
fn softmax_row<L: Lanes<T>, T: Float>(l: L, io: &mut Io<'_, T>) {
    let len = io.src_len;
    if streams::<T>(len) {
        let sum = row_sum::<L, T, false>(l, io, pilot(l, io.src())).unwrap_or(Sum::EMPTY);
        if !(sum.high > 0.0 && sum.high < f64::INFINITY) {
            return io.dst().fill(T::NAN);
        }
        // The exponent goes to the base and the mantissa into the table of powers: dividing costs nothing.
        let (m, e) = split(sum.total());
        let base = Base { exponent: sum.base.exponent + e, ..sum.base };
        let exp = Exp::new(l, base, 1.0 / m);
        if base.shift == T::ZERO {
            map::<L, T, true>(
                l,
                io,
                #[inline(always)]
                |x| exp.eval::<false>(l, x),
            );
        } else {
            map::<L, T, true>(
                l,
                io,
                #[inline(always)]
                |x| exp.eval::<true>(l, x),
            );
        }
        return;
    }
    // In place there is no second chance, so the base is the maximum itself.
    let first = if io.is_in_place() { maximum(l, io.src()) } else { pilot(l, io.src()) };
    let sum = match row_sum::<L, T, true>(l, io, first) {
        Some(sum) => sum,
        // The base was the maximum: something is not finite, and what stood there may be overwritten.
        None if io.is_in_place() => return io.dst().fill(T::NAN),
        None => {
            let max = maximum(l, io.src());
            row_sum::<L, T, true>(l, io, max).unwrap_or(Sum { high: f64::NAN, ..Sum::EMPTY })
        }
    };
    if !(sum.high > 0.0 && sum.high < f64::INFINITY) {
        return io.dst().fill(T::NAN);
    }
    // In two parts, so that neither the rounding of the sum nor that of the reciprocal adds to the error.
    let (first, second) = sum.reciprocal();
    let (first, second) = (l.splat(first), l.splat(second));
    let mut stored = Io::in_place(io.dst());
    map::<L, T, false>(
        l,
        &mut stored,
        #[inline(always)]
        |e| l.mul_add(e, first, l.mul(e, second)),
    );
}

/// Log-softmax of one row: `(x - high) - low` with the logarithm of the sum in two parts, so that a large common offset
/// costs nothing.
#[inline(always)]
fn log_softmax_row<L: Lanes<T>, T: Float>(l: L, io: &mut Io<'_, T>) {
    let sum = row_sum::<L, T, false>(l, io, pilot(l, io.src())).unwrap_or(Sum::EMPTY);
    if !(sum.high > 0.0 && sum.high < f64::INFINITY) {
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

/// Softmax of a slice.
#[inline(always)]
pub(crate) fn softmax<L: Lanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    softmax_row(l, &mut Io::new(x, out));
}

/// Softmax of a slice, in place.
#[inline(always)]
pub(crate) fn softmax_in_place<L: Lanes<T>, T: Float>(l: L, x: &mut [T]) {
    softmax_row(l, &mut Io::in_place(x));
}

/// Log-softmax of a slice.
#[inline(always)]
pub(crate) fn log_softmax<L: Lanes<T>, T: Float>(l: L, x: &[T], out: &mut [T]) {
    log_softmax_row(l, &mut Io::new(x, out));
}

/// Softmax of every row.
#[inline(always)]
pub(crate) fn softmax_rows<L: Lanes<T>, T: Float>(l: L, x: MatRef<'_, T>, mut out: MatMut<'_, T>) {
    for i in 0..x.rows() {
        softmax_row(l, &mut Io::new(x.row(i), out.row_mut(i)));
    }
}

/// Log-softmax of every row.
#[inline(always)]
pub(crate) fn log_softmax_rows<L: Lanes<T>, T: Float>(l: L, x: MatRef<'_, T>, mut out: MatMut<'_, T>) {
    for i in 0..x.rows() {
        log_softmax_row(l, &mut Io::new(x.row(i), out.row_mut(i)));
    }
}

/// The logarithm of the sum of exponentials of every row.
#[inline(always)]
pub(crate) fn log_sum_exp_rows<L: Lanes<T>, T: Float>(l: L, x: MatRef<'_, T>, out: &mut [T]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = sum(l, x.row(i)).ln();
    }
}
