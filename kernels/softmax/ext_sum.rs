//! Sums of exponentials as (mantissa, exponent): compensated, and relative to a base.

use super::logarithms::{Logarithm, Logarithms};
use super::tuning::GROUP_ROWS;
use crate::kernels::lanes::{Float, Lanes, split_exponent};
use crate::kernels::math::compensated::{add_fast_two_sum, add_two_sum, two_sum};
use crate::kernels::math::exp::{Base, Clamped, Exp};
use crate::kernels::math::ln::ln_parts;

/// A sum of exponentials: `(high + low) * e^shift * 2^exponent` with the shift and the exponent of
/// its base.
///
/// `high` is 0 for an empty sum, +inf after +inf, and NaN after NaN.
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(unnameable_types, reason = "public only because it is an argument of an entry point")]
pub struct ExtSum<T> {
    /// The rounded sum, relative to the base.
    high: f64,
    /// The rounding errors of `high`.
    low: f64,
    /// The base.
    base: Base<T>,
}

impl<T: Float> ExtSum<T> {
    /// The sum of nothing.
    pub(super) const EMPTY: Self = Self { high: 0.0, low: 0.0, base: Base::ONE };
    /// A sum with NaN.
    pub(super) const NAN: Self = Self { high: f64::NAN, ..Self::EMPTY };
    /// A sum with +inf.
    pub(super) const INFINITE: Self = Self { high: f64::INFINITY, ..Self::EMPTY };

    /// The sum `high + low` relative to [`Base::ONE`].
    #[inline(always)]
    pub(super) fn base_one(high: f64, low: f64) -> Self {
        Self { high, low, ..Self::EMPTY }
    }

    /// The sum of nothing relative to `base`.
    #[inline(always)]
    pub(super) fn with_base(base: Base<T>) -> Self {
        Self { base, ..Self::EMPTY }
    }

    /// The base that the sum is relative to.
    #[inline(always)]
    pub(super) fn base(&self) -> Base<T> {
        self.base
    }

    /// The leading part of the sum relative to the base.
    #[inline(always)]
    pub(super) fn high(&self) -> f64 {
        self.high
    }

    /// The sum relative to the base.
    #[inline(always)]
    pub(super) fn total(&self) -> f64 {
        self.high + self.low
    }

    /// Adds `high + low`, relative to the base, and keeps the rounding error (Knuth's two-sum).
    #[inline(always)]
    pub(super) fn add(&mut self, high: f64, low: f64) {
        // Nothing is added to nothing: what follows need not wait for the error.
        if self.high == 0.0 {
            (self.high, self.low) = (high, low);
            return;
        }
        let (sum, error) = two_sum(self.high, high);
        self.low += error;
        self.high = sum;
        self.low += low;
    }

    /// Changes the base; the sum stays the same. Unless the sum is 0, the new base must not be
    /// below the old one. Returns the factor of numbers relative to the base.
    #[inline(always)]
    pub(super) fn rebase(&mut self, base: Base<T>) -> f64 {
        let mut factor = 1.0;
        if self.high > 0.0 && base != self.base {
            factor = exp_f64(self.base.ln_ratio(base));
            self.high *= factor;
            self.low *= factor;
        }
        self.base = base;
        factor
    }

    /// The same positive finite sum with its exponent moved into the base: relative to the new base
    /// the sum is about 1. Products with its reciprocal then keep their precision down to the
    /// smallest normal number.
    #[inline(always)]
    pub(super) fn exponent_in_base(&self) -> Self {
        let (_, e) = split_exponent(self.total());
        let scale = f64::from_bits(((1023 - e as i64) as u64) << 52);
        let base = Base { exponent: self.base.exponent + e, ..self.base };
        Self { high: self.high * scale, low: self.low * scale, base }
    }

    /// `weight` divided by the total, as an unevaluated sum of two `T` of different signs.
    #[inline(always)]
    pub(crate) fn scaled_reciprocal(&self, weight: f64) -> (T, T) {
        // The reciprocal of no sum means nothing, and must not divide by 0.
        let (sum, low) = if self.high > 0.0 { (self.high, self.low) } else { (1.0, 0.0) };
        reciprocal_parts(quotient_parts::<_, T>(pulp::Scalar, weight, sum, low))
    }

    /// [`ExtSum::scaled_reciprocal`] of `n` sums, with the same bits. Those of `f64`, with two
    /// divisions each, are computed in vectors.
    #[inline(always)]
    pub(super) fn scaled_reciprocals<D: Lanes<f64>>(
        d: D,
        sums: &[Self; GROUP_ROWS],
        n: usize,
        weight: f64,
    ) -> [(T, T); GROUP_ROWS] {
        let mut reciprocals = [(T::ZERO, T::ZERO); GROUP_ROWS];
        if T::EPSILON > f64::EPSILON {
            for (reciprocal, sum) in reciprocals.iter_mut().zip(sums).take(n) {
                *reciprocal = sum.scaled_reciprocal(weight);
            }
            return reciprocals;
        }
        let [mut highs, mut lows] = [[1.0; GROUP_ROWS], [0.0; GROUP_ROWS]];
        for ((sum, high), low) in sums.iter().zip(&mut highs).zip(&mut lows).take(n) {
            // As in `scaled_reciprocal`.
            (*high, *low) = if sum.high > 0.0 { (sum.high, sum.low) } else { (1.0, 0.0) };
        }
        for at in (0..n).step_by(D::N) {
            let (high, low) = (d.load(&highs[at..]), d.load(&lows[at..]));
            let (high, low) = quotient_parts::<_, T>(d, d.splat(weight), high, low);
            d.store(&mut highs[at..], high);
            d.store(&mut lows[at..], low);
        }
        for ((reciprocal, &high), &low) in reciprocals.iter_mut().zip(&highs).zip(&lows) {
            *reciprocal = reciprocal_parts((high, low));
        }
        reciprocals
    }

    /// The result of a row that has no softmax: `empty` if the sum is 0, and NaN if the row has
    /// +inf or NaN. `None` if the row has a softmax.
    #[inline(always)]
    pub(super) fn degenerate_value(&self, empty: T) -> Option<T> {
        if self.high > 0.0 && self.high < f64::INFINITY {
            None
        } else if self.high == 0.0 {
            Some(empty)
        } else {
            Some(T::NAN)
        }
    }

    /// The sum of two sums.
    pub(super) fn merge(mut self, mut other: Self) -> Self {
        if other.high == 0.0 || self.high.is_nan() {
            return self;
        }
        if self.high == 0.0 || other.high.is_nan() {
            return other;
        }
        if !self.high.is_finite() || !other.high.is_finite() {
            return if self.high.is_finite() { other } else { self };
        }
        // The sum with the larger base keeps its value, and nothing overflows. The order of the
        // operands does not matter.
        if self.base.ln_ratio(other.base).0 >= 0.0 {
            other.rebase(self.base);
        } else {
            self.rebase(other.base);
        }
        let (mut a, b) = if self.high >= other.high { (self, other) } else { (other, self) };
        a.add(b.high, b.low);
        a
    }

    /// The logarithm of the sum as an unevaluated sum of two numbers, with the bits of
    /// [`ExtSum::ln_parts_of`].
    #[inline(always)]
    pub(super) fn ln_parts<D: Lanes<f64>>(&self, d: D) -> Logarithm {
        if self.base != Base::ONE || self.degenerate_value(T::NAN).is_some() {
            let mut results = Logarithms::EMPTY;
            Self::ln_parts_of(d, &[*self; GROUP_ROWS], 1, &mut results);
            return results.get(0);
        }
        let mut high = d.splat(self.high);
        if T::EPSILON == f64::EPSILON {
            // Hidden as in `ln_parts_of`; logarithms for `f32` do not divide.
            high = core::hint::black_box(high);
        }
        let zero = d.splat(0.0);
        let (mut high, mut low) = ln_parts::<_, T>(d, high, d.splat(self.low), zero);
        if T::EPSILON == f64::EPSILON {
            (high, low) = add_fast_two_sum(d, (high, zero), low);
        }
        (d.to_array(high)[0], d.to_array(low)[0])
    }

    /// The logarithms of `n` sums as unevaluated sums of two numbers. That of a degenerate sum has
    /// no meaning.
    #[inline(always)]
    pub(super) fn ln_parts_of<D: Lanes<f64>>(d: D, sums: &[Self; GROUP_ROWS], n: usize, results: &mut Logarithms) {
        // Hidden: if the compiler knew the quotients of unused lanes, it would divide a vector of
        // which it needs one lane, with 0 in another one.
        let [mut highs, mut lows] = [[1.0; GROUP_ROWS], [core::hint::black_box(0.0); GROUP_ROWS]];
        let [mut exponents, mut shifts] = [[0.0; GROUP_ROWS]; 2];
        for (i, sum) in sums.iter().enumerate().take(n) {
            // The logarithm of a degenerate sum would raise a flag.
            (highs[i], lows[i]) = if sum.degenerate_value(T::NAN).is_some() { (1.0, 0.0) } else { (sum.high, sum.low) };
            (exponents[i], shifts[i]) = (sum.base.exponent, sum.base.shift.to_f64());
        }
        for at in (0..n).step_by(D::N) {
            let (high, low) = (d.load(&highs[at..]), d.load(&lows[at..]));
            let (high, low) = ln_parts::<_, T>(d, high, low, d.load(&exponents[at..]));
            // The shift may be far from the largest element, so neither term need be the larger
            // one: they are added without an error (two-sum). The last step makes the first part
            // dominate.
            let (lead, low) = add_two_sum(d, (d.load(&shifts[at..]), low), high);
            let (high, low) = add_fast_two_sum(d, (lead, d.splat(0.0)), low);
            d.store(&mut results.high[at..], high);
            d.store(&mut results.low[at..], low);
        }
    }

    /// The logarithm of the sum, given its two parts unless the sum is degenerate; -inf if the sum
    /// is empty.
    #[inline(always)]
    pub(super) fn ln_given(&self, (high, low): (f64, f64)) -> T {
        if self.high == 0.0 {
            T::NEG_INFINITY
        } else if self.high.is_finite() {
            T::from_f64(high + low)
        } else {
            T::from_f64(self.high)
        }
    }

    /// The logarithm of the sum; -inf if the sum is empty.
    #[inline(always)]
    pub(super) fn ln(&self) -> T {
        self.ln_given(self.ln_parts(pulp::Scalar))
    }
}

/// `weight / (sum + low)` and its error, which is left out for `f32`.
#[inline(always)]
fn quotient_parts<D: Lanes<f64>, T: Float>(d: D, weight: D::V, sum: D::V, low: D::V) -> (D::V, D::V) {
    if T::EPSILON > f64::EPSILON {
        return (d.quiet_div(weight, d.quiet_add(sum, low)), d.splat(0.0));
    }
    let r = d.quiet_div(weight, sum);
    let residual = d.quiet_sub(d.div_residual(weight, sum, r), d.quiet_mul(r, low));
    (r, d.quiet_div(residual, sum))
}

/// `r + low` as an unevaluated sum of two `T` of different signs.
#[inline(always)]
fn reciprocal_parts<T: Float>((r, low): (f64, f64)) -> (T, T) {
    // The first part is larger, so the second one has the other sign: products of 0 and -0 with
    // both add to +0.
    let first = T::from_f64(r * (1.0 + T::EPSILON));
    (first, T::from_f64((r - first.to_f64()) + low))
}

/// e^(x + small), the factor that rescales a sum: within 2 ulp for |small| < 2^-16, and 0 below the
/// normal range.
#[inline(always)]
fn exp_f64((x, small): (f64, f64)) -> f64 {
    let l = pulp::Scalar;
    let e = Exp::<_, f64>::new(l, Base::ONE).eval::<Clamped>(l, x);
    e + e * (small + 0.5 * small * small)
}

/// The sum of two sums of exponentials.
#[inline(always)]
pub(crate) fn merge_ext_sums<L: Lanes<T>, T: Float>(_: L, a: ExtSum<T>, b: ExtSum<T>) -> ExtSum<T> {
    a.merge(b)
}

/// The logarithm of a sum of exponentials.
#[inline(always)]
pub(crate) fn ext_sum_ln<L: Lanes<T>, T: Float>(_: L, sum: ExtSum<T>) -> T {
    sum.ln()
}
