//! The exponential as mantissa * 2^exponent.
//!
//! `e^x = 2^(k/2^b) * e^t` with `k = rint(x * 2^b * log2 e)` and `t = x - k * ln 2 / 2^b`: the
//! power of two splits into an exponent and one of `2^b` table entries, and `e^t` is a short
//! polynomial because `|t| <= ln 2 / 2^(b+1)`. See Dukhan & Ablavatski 2020, section 4, for the
//! pair; the table in registers is ours.

mod base;
mod coefficients;
mod exp_lanes;
mod guard;
mod scalar;
mod untabled;

// new ISA: a file of its own.
#[cfg(mantex_avx2)]
mod avx2;
#[cfg(mantex_avx512)]
mod avx512;
#[cfg(mantex_neon)]
mod neon;

#[allow(unused_imports)] // Softmax alone uses all of them.
pub(crate) use base::{Base, rint};
pub(crate) use coefficients::ExpScheme;
pub(crate) use exp_lanes::ExpLanes;
#[allow(unused_imports)] // As above.
pub(crate) use guard::{Clamped, Guard, InRange, Recorded, Shifted};
#[allow(unused_imports)] // As above.
pub(crate) use untabled::{UntabledExp, expm1, expm1_reduced};

use super::polynomial::{even_odd, horner};
use crate::kernels::lanes::{Float, Lanes};

/// The number of coefficients of the longest polynomial.
const MAX_COEFFICIENTS: usize = 11;

/// The binary logarithm of the number of exponentials whose sum must not overflow.
const SUM_HEADROOM: f64 = 27.0;

/// `e^(x - shift) * 2^-exponent` for the vectors of one row, see [`Base`].
#[derive(Clone, Copy)]
pub(crate) struct Exp<L: ExpLanes<T>, T: Float> {
    /// Minus half of the shift of the base.
    minus_half_shift: L::V,
    /// The lowest argument.
    low: L::V,
    /// The highest argument.
    high: L::V,
    /// The shift constant, which rounds to multiples of 2^-bits, minus the base's exponent, plus
    /// the bias.
    round: L::V,
    /// The shift constant plus the bias.
    unbias: L::V,
    /// log2(e).
    log2_e: L::V,
    /// [`Float::LN2_HI`].
    ln2_high: L::V,
    /// [`Float::LN2_LO`].
    ln2_low: L::V,
    /// The coefficients of (e^t - 1)/t.
    coefficients: [L::V; MAX_COEFFICIENTS],
    /// The powers of two.
    table: L::Table,
}

impl<L: ExpLanes<T>, T: Float> Exp<L, T> {
    /// The exponential relative to a base.
    #[inline(always)]
    pub(crate) fn new(l: L, base: Base<T>) -> Self {
        Self::of_numbers(l, &Self::numbers(base, L::EXP.highest), L::EXP.expm1, l.exp_table())
    }

    /// [`Exp::new`] with results that saturate at 2^100 (f64: 2^996) instead of near the largest
    /// number: sums of them do not overflow, and are too large for the base if one saturates.
    #[inline(always)]
    pub(crate) fn for_sums(l: L, base: Base<T>) -> Self {
        Self::of_numbers(l, &Self::numbers(base, T::BIAS - SUM_HEADROOM), L::EXP.expm1, l.exp_table())
    }

    /// [`Exp::for_sums`] relative to [`Base::ONE`], with constants that the compiler does not know:
    /// it would run out of registers, and reload each constant for every vector. What is hidden is
    /// the address that they are loaded from. The memory of vectors that `black_box` has seen might
    /// change with every store, so that loops would reload them.
    #[inline(always)]
    pub(crate) fn hidden_for_sums(l: L) -> Self {
        use core::hint::black_box;
        let numbers = Self::numbers(Base::ONE, T::BIAS - SUM_HEADROOM);
        Self::of_numbers(l, black_box(&numbers), black_box(L::EXP.expm1), black_box(l.exp_table()))
    }

    /// [`Exp::for_sums`] relative to [`Base::ONE`] for a single row. For `f32` the constants are
    /// not hidden: long rows are as fast without, and a call of 64 to 128 elements takes up to a
    /// tenth less time (two builds in one process, AVX2 and AVX-512 on Zen 4, 2026-11-27).
    #[inline(always)]
    pub(crate) fn for_sums_of_row(l: L) -> Self {
        if T::EPSILON > f64::EPSILON { Self::for_sums(l, Base::ONE) } else { Self::hidden_for_sums(l) }
    }

    /// The numbers of an exponential with results up to 2^highest, in the order of the fields.
    #[inline(always)]
    fn numbers(base: Base<T>, highest: f64) -> [T; 8] {
        let e = base.exponent;
        let round = T::SHIFTER.to_f64() / (1_u64 << L::EXP.bits) as f64;
        [
            base.shift * T::from_f64(-0.5),
            T::from_f64((e + L::EXP.lowest) * core::f64::consts::LN_2),
            T::from_f64((e + highest) * core::f64::consts::LN_2),
            T::from_f64(round - e + L::EXP.bias),
            T::from_f64(round + L::EXP.bias),
            T::LOG2_E,
            T::LN2_HI,
            T::LN2_LO,
        ]
    }

    /// The exponential of [`Exp::numbers`] and coefficients.
    #[inline(always)]
    fn of_numbers(l: L, numbers: &[T; 8], coefficients: &[T], table: L::Table) -> Self {
        // Kernels hold the exponentials in flight in arrays of 4 vectors.
        const { assert!(L::IN_FLIGHT <= 4, "at most 4 exponentials in flight") };
        Self {
            minus_half_shift: l.splat(numbers[0]),
            low: l.splat(numbers[1]),
            high: l.splat(numbers[2]),
            round: l.splat(numbers[3]),
            unbias: l.splat(numbers[4]),
            log2_e: l.splat(numbers[5]),
            ln2_high: l.splat(numbers[6]),
            ln2_low: l.splat(numbers[7]),
            coefficients: splats(l, &coefficients[..L::EXP.expm1.len()]),
            table,
        }
    }

    /// The exponentials of `x`, with a guard that fits the base. Results saturate: at 0 near the
    /// smallest normal number, and far above any sum that fits the base. NaN gives NaN.
    #[inline(always)]
    pub(crate) fn eval<G: Guard>(&self, l: L, x: L::V) -> L::V {
        let mut e = [x];
        self.eval_interleaved::<G>(l, &mut e);
        e[0]
    }

    /// [`Exp::eval`] of the vectors in flight, at most 4, in place.
    #[inline(always)]
    pub(crate) fn eval_in_flight<G: Guard>(&self, l: L, x: &mut [L::V]) {
        if L::INTERLEAVED {
            return self.eval_interleaved::<G>(l, x);
        }
        for x in x {
            *x = self.eval::<G>(l, *x);
        }
    }

    /// [`Exp::eval_in_flight`] in steps that all vectors take together. A CPU looks ahead by a
    /// limited number of instructions: if one vector followed another, most of these would wait.
    #[inline(always)]
    fn eval_interleaved<G: Guard>(&self, l: L, x: &mut [L::V]) {
        let (n, zero) = (x.len(), l.splat(T::ZERO));
        let (mut shifted, mut k, mut t, mut p) = ([zero; 4], [zero; 4], [zero; 4], [zero; 4]);
        for x in x.iter_mut() {
            *x = G::guard(l, self, *x);
        }
        for i in 0..n {
            shifted[i] = l.quiet_mul_add(x[i], self.log2_e, self.round);
        }
        for i in 0..n {
            k[i] = l.quiet_sub(shifted[i], self.round);
        }
        for i in 0..n {
            t[i] = l.exp_reduce(x[i], k[i], self.ln2_high, self.ln2_low);
        }
        for i in 0..n {
            p[i] = self.polynomial(l, t[i]);
        }
        for i in 0..n {
            let exponent = if G::RECORDED { k[i] } else { l.quiet_sub(shifted[i], self.unbias) };
            x[i] = l.exp_finish(self.table, shifted[i], exponent, p[i]);
        }
    }

    /// `e^t - 1` for a remainder `t`.
    #[inline(always)]
    fn polynomial(&self, l: L, t: L::V) -> L::V {
        // If the first coefficient is 1, t itself is added last. Its rounding errors are then those
        // of t^2/2, which saves an ulp if there is no fused multiply-add.
        let c = &self.coefficients[..L::EXP.expm1.len()];
        if L::EXP.expm1[0] == T::ONE {
            let square = l.quiet_mul(t, t);
            l.quiet_mul_add(square, even_odd(l, t, square, &c[1..]), t)
        } else {
            l.quiet_mul(t, horner(l, t, c))
        }
    }
}

/// `2^y`. The remainder `y - k / 2^bits` is exact: there is no product with ln 2.
#[derive(Clone, Copy)]
pub(crate) struct Exp2<L: ExpLanes<T>, T: Float> {
    /// The lowest argument.
    low: L::V,
    /// The highest argument.
    high: L::V,
    /// The shift constant that rounds to a multiple of 2^-bits, plus the bias.
    round: L::V,
    /// The same number, which turns the shifted exponent back into a number.
    unbias: L::V,
    /// The coefficients of (2^t - 1)/t.
    coefficients: [L::V; MAX_COEFFICIENTS],
    /// The powers of two.
    table: L::Table,
}

impl<L: ExpLanes<T>, T: Float> Exp2<L, T> {
    /// Puts the constants into vectors.
    #[inline(always)]
    pub(crate) fn new(l: L) -> Self {
        let round = T::SHIFTER.to_f64() / (1_u64 << L::EXP.bits) as f64;
        Self {
            low: l.splat(T::from_f64(L::EXP.lowest)),
            high: l.splat(T::from_f64(L::EXP.highest)),
            round: l.splat(T::from_f64(round + L::EXP.bias)),
            unbias: l.splat(T::from_f64(round + L::EXP.bias)),
            coefficients: splats(l, L::EXP.exp2m1),
            table: l.exp_table(),
        }
    }

    /// `2^y`. Results saturate as in [`Exp::eval`]; NaN gives NaN.
    #[inline(always)]
    pub(crate) fn eval(&self, l: L, y: L::V) -> L::V {
        let mut e = [y];
        self.eval_interleaved(l, &mut e);
        e[0]
    }

    /// [`Exp2::eval`] of the vectors in flight, at most 4, in place.
    #[inline(always)]
    pub(crate) fn eval_in_flight(&self, l: L, y: &mut [L::V]) {
        if L::INTERLEAVED {
            return self.eval_interleaved(l, y);
        }
        for y in y {
            *y = self.eval(l, *y);
        }
    }

    /// [`Exp2::eval_in_flight`] in steps that all vectors take together, as in
    /// [`Exp::eval_in_flight`].
    #[inline(always)]
    fn eval_interleaved(&self, l: L, y: &mut [L::V]) {
        let (n, zero) = (y.len(), l.splat(T::ZERO));
        let (mut shifted, mut k, mut t, mut p) = ([zero; 4], [zero; 4], [zero; 4], [zero; 4]);
        if !L::SATURATES {
            // If results saturate, arguments of any size may pass: they are reduced without an
            // error.
            for y in y.iter_mut() {
                *y = l.exp_clamp(*y, self.low, self.high);
            }
        }
        for i in 0..n {
            // One rounding to a multiple of 2^-bits. The bias is an integer and changes nothing.
            shifted[i] = l.quiet_add(y[i], self.round);
        }
        for i in 0..n {
            k[i] = l.quiet_sub(shifted[i], self.unbias);
        }
        for i in 0..n {
            t[i] = l.quiet_sub(y[i], k[i]);
        }
        let c = &self.coefficients[..L::EXP.exp2m1.len()];
        for i in 0..n {
            // A long polynomial is evaluated in a shorter chain, for the price of one more product.
            let q = if c.len() > 8 { even_odd(l, t[i], l.quiet_mul(t[i], t[i]), c) } else { horner(l, t[i], c) };
            p[i] = l.quiet_mul(t[i], q);
        }
        for i in 0..n {
            y[i] = l.exp_finish_normal(self.table, shifted[i], k[i], p[i]);
        }
    }
}

/// Each number in every lane of a vector of its own; vectors beyond the last number are 0.
#[inline(always)]
fn splats<L: Lanes<T>, T: Float>(l: L, numbers: &[T]) -> [L::V; MAX_COEFFICIENTS] {
    let mut vectors = [l.splat(T::ZERO); MAX_COEFFICIENTS];
    for (v, &x) in vectors.iter_mut().zip(numbers) {
        *v = l.splat(x);
    }
    vectors
}

/// 2^y, saturating at 0 and 2^1023.4; NaN gives NaN.
#[inline(always)]
pub(crate) fn exp2(y: f64) -> f64 {
    let l = pulp::Scalar;
    Exp2::<_, f64>::new(l).eval(l, y)
}

/// Replaces each number by 2 to its power.
#[inline(always)]
pub(crate) fn exp2_each<L: ExpLanes<f64>>(l: L, x: &mut [f64]) {
    let exp = Exp2::new(l);
    for x in x.chunks_mut(L::N) {
        l.store_tail(x, exp.eval(l, l.load_tail(x, 0.0)));
    }
}

/// 2^floor(e), for normal results.
#[inline(always)]
pub(crate) fn pow2(e: f64) -> f64 {
    f64::from_bits(((e + f64::BIAS) as u64) << 52)
}
