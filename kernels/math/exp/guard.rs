//! The guards of an exponential against arguments out of range.

use super::{Exp, ExpLanes};
use crate::kernels::lanes::Float;

/// The guard of an exponential against arguments out of range. Each of the four types takes at most
/// as many instructions as the next, and has the same results if its condition holds.
pub(crate) trait Guard: Copy {
    /// Whether the base is [`Base::ONE`](super::Base::ONE), and may turn out not to fit.
    const RECORDED: bool;

    /// The argument, shifted and clamped as far as the guard asks for.
    fn guard<L: ExpLanes<T>, T: Float>(l: L, exp: &Exp<L, T>, x: L::V) -> L::V;
}

/// For [`Base::ONE`](super::Base::ONE) only. Exponentials that are too large show in their sum.
#[derive(Clone, Copy)]
pub(crate) struct Recorded;

/// For bases without a shift, if the row's sum relative to [`Base::ONE`](super::Base::ONE) was in
/// range.
#[derive(Clone, Copy)]
pub(crate) struct InRange;

/// For bases without a shift.
#[derive(Clone, Copy)]
pub(crate) struct Clamped;

/// For any base.
#[derive(Clone, Copy)]
pub(crate) struct Shifted;

impl Guard for Recorded {
    const RECORDED: bool = true;

    #[inline(always)]
    fn guard<L: ExpLanes<T>, T: Float>(l: L, exp: &Exp<L, T>, x: L::V) -> L::V {
        l.exp_saturate(x, exp.low, exp.high)
    }
}

impl Guard for InRange {
    const RECORDED: bool = false;

    #[inline(always)]
    fn guard<L: ExpLanes<T>, T: Float>(l: L, exp: &Exp<L, T>, x: L::V) -> L::V {
        l.exp_saturate(x, exp.low, exp.high)
    }
}

impl Guard for Clamped {
    const RECORDED: bool = false;

    #[inline(always)]
    fn guard<L: ExpLanes<T>, T: Float>(l: L, exp: &Exp<L, T>, x: L::V) -> L::V {
        l.exp_clamp(x, exp.low, exp.high)
    }
}

impl Guard for Shifted {
    const RECORDED: bool = false;

    #[inline(always)]
    fn guard<L: ExpLanes<T>, T: Float>(l: L, exp: &Exp<L, T>, x: L::V) -> L::V {
        // The difference itself could overflow; half of it cannot, and is rounded alike.
        let half = l.splat(T::from_f64(0.5));
        let d = l.quiet_mul_add(x, half, exp.minus_half_shift);
        let d = l.exp_clamp(d, l.quiet_mul(exp.low, half), l.quiet_mul(exp.high, half));
        l.quiet_add(d, d)
    }
}
