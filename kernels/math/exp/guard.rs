//! The guards of an exponential against arguments out of range.

use super::{Exp, ExpLanes};
use crate::kernels::lanes::Float;

/// The guard of an exponential against arguments out of range. Each of the four types takes one or
/// two instructions less than the next, and has the same results if its condition holds.
pub(crate) trait Guard: Copy {
    /// Whether the base is [`Base::ONE`](super::Base::ONE) and overflow is recorded instead of
    /// prevented.
    const RECORDED: bool;

    /// The argument, shifted and clamped as far as the guard asks for.
    fn guard<L: ExpLanes<T>, T: Float>(l: L, exp: &Exp<L, T>, x: L::V) -> L::V;
}

/// For [`Base::ONE`](super::Base::ONE) only; [`ExpLanes::record_exponent`] records overflow.
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
        l.exp_clamp_low(x, exp.low)
    }
}

impl Guard for InRange {
    const RECORDED: bool = false;

    #[inline(always)]
    fn guard<L: ExpLanes<T>, T: Float>(l: L, exp: &Exp<L, T>, x: L::V) -> L::V {
        l.exp_clamp_low(x, exp.low)
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
        l.exp_clamp(l.sub(x, exp.shift), exp.low, exp.high)
    }
}
