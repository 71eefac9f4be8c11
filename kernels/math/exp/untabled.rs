//! The exponential without a table: slower, and of less than one rounding error per term.

use super::{Base, ExpLanes, MAX_COEFFICIENTS, splats};
use crate::kernels::lanes::Float;
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
        self.eval_reduced(l, k, l.exp_reduce(x, k, l.splat(T::LN2_HI), l.splat(T::LN2_LO)))
    }

    /// The exponentials of `x - max` and their rounding errors, also those of the difference; 0 if
    /// `x` is -inf. `max` is finite and at least `x`. The base has no shift.
    #[inline(always)]
    pub(crate) fn eval_below(&self, l: L, x: L::V, max: L::V) -> (L::V, L::V) {
        let d = l.quiet_sub(x, max);
        // Far below the maximum x counts as the maximum itself, because the error of an infinite
        // difference would be an invalid operation.
        let is_near = l.lt(self.low, d);
        let (x, near) = (l.select(is_near, x, max), l.select(is_near, d, l.splat(T::ZERO)));
        // The two-sum of x and -max.
        let part = l.quiet_sub(near, x);
        let error = l.quiet_sub(l.quiet_sub(x, l.quiet_sub(near, part)), l.quiet_add(max, part));
        let d = l.max(d, self.low);
        let k = self.multiple(l, d);
        let t = l.exp_reduce(d, k, l.splat(T::LN2_HI), l.splat(T::LN2_LO));
        self.eval_reduced(l, k, l.quiet_add(t, error))
    }

    /// The multiple of ln 2 that is nearest to `x`.
    #[inline(always)]
    fn multiple(&self, l: L, x: L::V) -> L::V {
        let shifter = l.splat(T::SHIFTER);
        l.quiet_sub(l.quiet_mul_add(x, l.splat(T::LOG2_E), shifter), shifter)
    }

    /// `e^t * 2^k` relative to the base, and its rounding error.
    #[inline(always)]
    fn eval_reduced(&self, l: L, k: L::V, t: L::V) -> (L::V, L::V) {
        let square = l.quiet_mul(t, t);
        let p = l.quiet_mul_add(square, even_odd(l, t, square, &self.coefficients[1..L::UNTABLED.len()]), t);
        let k = l.quiet_sub(k, self.exponent);
        let shifted = l.quiet_add(k, self.unbias);
        let table = l.exp_table();
        let e = l.exp_finish(table, shifted, k, p);
        let power = l.exp_finish(table, shifted, k, l.splat(T::ZERO));
        (e, l.quiet_mul_add(power, p, l.quiet_sub(power, e)))
    }
}

/// `e^(x + small) = (1 + p) * 2^k` as (p, k), for |x| < 2^15 and a small number far below 1.
#[inline(always)]
pub(crate) fn exp_parts(x: f64, small: f64) -> (f64, f64) {
    let l = pulp::Scalar;
    let k = (x * core::f64::consts::LOG2_E + <f64 as Float>::SHIFTER) - <f64 as Float>::SHIFTER;
    let t = ((x - k * LN2_HI33) - k * LN2_LO33) + small;
    let square = t * t;
    let c = <pulp::Scalar as ExpLanes<f64>>::UNTABLED;
    (square * even_odd::<_, f64>(l, t, square, &c[1..]) + t, k)
}

/// `e^x - 1` for `x` from -2^10 to 0, within 2 ulp.
#[inline(always)]
pub(crate) fn expm1(x: f64) -> f64 {
    let (p, k) = exp_parts(x, 0.0);
    let power = super::pow2(k.max(-1022.0));
    (power - 1.0) + power * p
}
