//! The exponential without a table: slower, and of less than one rounding error per term.

use super::{Base, ExpLanes, MAX_COEFFICIENTS, rint, splats};
use crate::kernels::lanes::{Float, Lanes};
use crate::kernels::math::ln::{LN2_HI33, LN2_LO33};
use crate::kernels::math::polynomial::even_odd;

/// Below it, the exponential is 0 relative to any base without a shift ([`Base::MAX_UNSHIFTED`]).
const MIN_LOGIT: f64 = -2.0 * Base::<f64>::MAX_UNSHIFTED;

/// As [`Exp`](super::Exp), with a power of two in place of a table's entry: the entry is rounded,
/// the power is not.
pub(crate) struct UntabledExp<L: ExpLanes<T>, T: Float> {
    /// The shift constant of [`ExpLanes::exp_finish`] with its bias.
    unbias: L::V,
    /// The coefficients of (e^t - 1)/t.
    coefficients: [L::V; MAX_COEFFICIENTS],
}

impl<L: ExpLanes<T>, T: Float> UntabledExp<L, T> {
    /// Puts the constants into vectors.
    #[inline(always)]
    pub(crate) fn new(l: L) -> Self {
        let round = T::SHIFTER.to_f64() / (1_u64 << L::EXP.bits) as f64;
        Self { unbias: l.splat(T::from_f64(round + L::EXP.bias)), coefficients: splats(l, L::UNTABLED) }
    }

    /// The exponentials of the vectors `x` times `2^-exponent` as (powers, p), with the values
    /// `powers * (1 + p)`, 0 in lanes that are not in the masks; NaN gives NaN in all lanes. `x` is
    /// far enough below the overflow of its result, and the magnitude of `exponent` is below 2^16.
    /// Results saturate at 0 near the smallest normal number. The vectors take each step together,
    /// as in [`Exp::eval_in_flight`](super::Exp). The exponent and the masks are used last, because
    /// they depend on a maximum, which takes long to find.
    #[inline(always)]
    pub(crate) fn eval_masked<const K: usize>(
        &self,
        l: L,
        masks: [L::Mask; K],
        mut x: [L::V; K],
        exponent: L::V,
    ) -> ([L::V; K], [L::V; K]) {
        let mut k = x;
        for x in &mut x {
            *x = l.max(l.splat(T::from_f64(MIN_LOGIT)), *x);
        }
        for i in 0..K {
            k[i] = self.multiple(l, x[i]);
        }
        for i in 0..K {
            x[i] = l.exp_reduce(x[i], k[i], l.splat(T::LN2_HI), l.splat(T::LN2_LO));
        }
        for x in &mut x {
            *x = self.expm1(l, *x);
        }
        for k in &mut k {
            *k = l.quiet_sub(*k, exponent);
            if !L::SATURATES {
                // The power of the lowest exponent is 0.
                *k = l.max(l.splat(T::from_f64(rint(L::EXP.lowest))), *k);
            }
        }
        for i in 0..K {
            k[i] = l.select(masks[i], self.power(l, k[i]), l.splat(T::ZERO));
        }
        (k, x)
    }

    /// `power * (1 + p)` and its rounding error.
    #[inline(always)]
    pub(crate) fn scale(l: L, (power, p): (L::V, L::V)) -> (L::V, L::V) {
        let e = l.quiet_mul_add(power, p, power);
        (e, l.quiet_mul_add(power, p, l.quiet_sub(power, e)))
    }

    /// The multiple of ln 2 that is nearest to `x`.
    #[inline(always)]
    fn multiple(&self, l: L, x: L::V) -> L::V {
        let shifter = l.splat(T::SHIFTER);
        l.quiet_sub(l.quiet_mul_add(x, l.splat(T::LOG2_E), shifter), shifter)
    }

    /// `e^t - 1`.
    #[inline(always)]
    fn expm1(&self, l: L, t: L::V) -> L::V {
        let square = l.quiet_mul(t, t);
        l.quiet_mul_add(square, even_odd(l, t, square, &self.coefficients[1..L::UNTABLED.len()]), t)
    }

    /// `2^k`.
    #[inline(always)]
    fn power(&self, l: L, k: L::V) -> L::V {
        l.exp_power(l.quiet_add(k, self.unbias), k)
    }
}

/// `e^(x + small) = (1 + p) * 2^k` as (p, k), for |x| < 2^15 and a small number far below 1.
#[inline(always)]
fn exp_parts(x: f64, small: f64) -> (f64, f64) {
    let k = rint(x * core::f64::consts::LOG2_E);
    (expm1_reduced(pulp::Scalar, x, k, small), k)
}

/// `e^(x - k ln 2 + small) - 1` for |x| < 2^15, the integer k for which the exponent is in
/// [-ln(2)/2, ln(2)/2] or barely outside, and a small number far below 1.
#[inline(always)]
pub(crate) fn expm1_reduced<L: Lanes<f64>>(l: L, x: L::V, k: L::V, small: L::V) -> L::V {
    let t = l.quiet_neg_mul_add(k, l.splat(LN2_LO33), l.quiet_neg_mul_add(k, l.splat(LN2_HI33), x));
    let t = l.quiet_add(t, small);
    let square = l.quiet_mul(t, t);
    let coefficients = splats(l, <pulp::Scalar as ExpLanes<f64>>::UNTABLED);
    let c = &coefficients[1..<pulp::Scalar as ExpLanes<f64>>::UNTABLED.len()];
    l.quiet_mul_add(square, even_odd(l, t, square, c), t)
}

/// `e^x - 1` for `x` from -2^10 to 0, within 2 ulp.
#[inline(always)]
pub(crate) fn expm1(x: f64) -> f64 {
    let (p, k) = exp_parts(x, 0.0);
    let power = super::pow2(k.max(-1022.0));
    (power - 1.0) + power * p
}
