//! The exponential without a table: slower, and of less than one rounding error per term.

use super::{Base, ExpLanes, MAX_COEFFICIENTS, splats};
use crate::kernels::lanes::{Float, Lanes};
use crate::kernels::math::ln::{LN2_HI33, LN2_LO33};
use crate::kernels::math::polynomial::even_odd;

/// As [`Exp`](super::Exp), with a power of two in place of a table's entry: the entry is rounded,
/// the power is not.
pub(crate) struct UntabledExp<L: ExpLanes<T>, T: Float> {
    /// The shift of the base.
    shift: L::V,
    /// The least `x` whose difference from the shift cannot overflow.
    least: L::V,
    /// The exponent of the base.
    exponent: L::V,
    /// The lowest argument.
    low: L::V,
    /// The shift constant of [`ExpLanes::exp_finish`] with its bias.
    unbias: L::V,
    /// The coefficients of (e^t - 1)/t.
    coefficients: [L::V; MAX_COEFFICIENTS],
}

impl<L: ExpLanes<T>, T: Float> UntabledExp<L, T> {
    /// The exponential relative to a base.
    #[inline(always)]
    pub(crate) fn new(l: L, base: Base<T>) -> Self {
        let e = base.exponent;
        let round = T::SHIFTER.to_f64() / (1_u64 << L::EXP.bits) as f64;
        Self {
            shift: l.splat(base.shift),
            // A negative x is so far below a positive shift that 0 has the same result.
            least: l.splat(if base.shift > T::ZERO { T::ZERO } else { T::NEG_INFINITY }),
            exponent: l.splat(T::from_f64(e)),
            low: l.splat(T::from_f64((e + L::EXP.lowest) * core::f64::consts::LN_2)),
            unbias: l.splat(T::from_f64(round + L::EXP.bias)),
            coefficients: splats(l, L::UNTABLED),
        }
    }

    /// The exponentials of `x` and their rounding errors. `x` is at most a little above the base
    /// and not NaN. Results saturate at 0 near the smallest normal number. The base has a shift
    /// only if `HAS_SHIFT`.
    #[inline(always)]
    pub(crate) fn eval<const HAS_SHIFT: bool>(&self, l: L, x: L::V) -> (L::V, L::V) {
        let x = if HAS_SHIFT { l.quiet_sub(l.max(x, self.least), self.shift) } else { x };
        let x = l.max(x, self.low);
        let k = self.multiple(l, x);
        let t = l.exp_reduce(x, k, l.splat(T::LN2_HI), l.splat(T::LN2_LO));
        Self::scale(l, self.power(l, l.quiet_sub(k, self.exponent)), self.expm1(l, t))
    }

    /// The exponentials of `x` times `2^-exponent` and their rounding errors, 0 in lanes that are
    /// not in `mask`; NaN gives NaN in all lanes. `x` is at most a little above `exponent * ln 2`,
    /// `low` is `(exponent + EXP.lowest) * ln 2`, and the base is [`Base::ONE`]. Results saturate
    /// at 0 near the smallest normal number.
    #[inline(always)]
    pub(crate) fn eval_masked(&self, l: L, mask: L::Mask, x: L::V, (exponent, low): (L::V, L::V)) -> (L::V, L::V) {
        let x = l.max(low, x);
        let k = self.multiple(l, x);
        let p = self.expm1(l, l.exp_reduce(x, k, l.splat(T::LN2_HI), l.splat(T::LN2_LO)));
        let power = self.power(l, l.quiet_sub(k, exponent));
        Self::scale(l, l.select(mask, power, l.splat(T::ZERO)), p)
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

    /// `power * (1 + p)` and its rounding error.
    #[inline(always)]
    fn scale(l: L, power: L::V, p: L::V) -> (L::V, L::V) {
        let e = l.quiet_mul_add(power, p, power);
        (e, l.quiet_mul_add(power, p, l.quiet_sub(power, e)))
    }
}

/// `e^(x + small) = (1 + p) * 2^k` as (p, k), for |x| < 2^15 and a small number far below 1.
#[inline(always)]
pub(crate) fn exp_parts(x: f64, small: f64) -> (f64, f64) {
    let k = (x * core::f64::consts::LOG2_E + <f64 as Float>::SHIFTER) - <f64 as Float>::SHIFTER;
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
