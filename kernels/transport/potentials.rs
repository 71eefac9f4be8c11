//! The potentials in base-2 units, with their split into multiples of a quantum and remainders.

use super::Problem;
use super::tuning::MAX_QUANTUM;
use crate::kernels::lanes::Float;
use crate::kernels::math::exp::{Exp2, ExpLanes, exp2};
use crate::kernels::math::ln::log2;
use core::ops::Range;

/// Potentials in base-2 units, to read.
#[derive(Clone, Copy)]
pub struct PotentialsRef<'a> {
    /// The potentials of the rows with mass, relative to their mass: `U = eta f - log2(a)`.
    pub(crate) u: &'a [f64],
    /// The potentials of all columns, `G = eta g`; -inf without mass.
    pub(crate) g: &'a [f64],
    /// The largest magnitude of a potential, see [`max_abs_potential`].
    pub(crate) max_abs: f64,
}

impl PotentialsRef<'_> {
    /// The potentials of some of the rows, and of all columns.
    #[inline(always)]
    pub(crate) fn rows(&self, rows: Range<usize>) -> Self {
        Self { u: &self.u[rows], ..*self }
    }
}

/// Potentials in base-2 units, to update.
pub struct PotentialsMut<'a> {
    /// As [`PotentialsRef::u`].
    pub(crate) u: &'a mut [f64],
    /// As [`PotentialsRef::g`].
    pub(crate) g: &'a mut [f64],
    /// As [`PotentialsRef::max_abs`]; infinite or NaN after a potential that cannot be represented.
    pub(crate) max_abs: &'a mut f64,
}

impl PotentialsMut<'_> {
    /// The same potentials, to read.
    #[inline(always)]
    pub(crate) fn as_ref(&self) -> PotentialsRef<'_> {
        PotentialsRef { u: self.u, g: self.g, max_abs: *self.max_abs }
    }

    /// Brings [`PotentialsMut::max_abs`] up to date.
    #[inline(always)]
    pub(super) fn update_max_abs<T>(&mut self, p: &Problem<'_, T>) {
        *self.max_abs = max_abs_potential(self.u, self.g, p.b);
    }

    /// Brings [`PotentialsMut::max_abs`] up to date, given the largest magnitude of the rows.
    #[inline(always)]
    pub(super) fn update_max_abs_with<T>(&mut self, max_abs_u: f64, p: &Problem<'_, T>) {
        *self.max_abs = max_abs_potential(&[max_abs_u], self.g, p.b);
    }
}

/// The largest magnitude among the potentials of rows and columns with mass. It is infinite or NaN
/// if one of them is: magnitudes are compared by their bits, which have the same order.
#[inline(always)]
pub(crate) fn max_abs_potential(u: &[f64], g: &[f64], b: &[f64]) -> f64 {
    let mut bits = 0;
    for u in u {
        bits = u.abs().to_bits().max(bits);
    }
    for (g, &b) in g.iter().zip(b) {
        bits = (if b > 0.0 { g.abs().to_bits() } else { 0 }).max(bits);
    }
    f64::from_bits(bits)
}

/// Whether column potentials have a low part: those of `f32` do, and sums in `f64` are precise
/// enough without one.
#[inline(always)]
pub(super) fn has_low_part<T: Float>() -> bool {
    T::EPSILON > f64::EPSILON
}

/// The power of two of which both shifts and high parts are multiples. The sum of two multiples of
/// magnitude up to `max_abs` is exact in `T`, because it is at most 2^24 quanta. The quantum is 0,
/// and nothing is rounded, if there is no low part.
#[inline(always)]
pub(super) fn quantum<T: Float>(max_abs: f64) -> f64 {
    let above = 2.0 * f64::from_bits(max_abs.to_bits() & f64::INFINITY.to_bits());
    if has_low_part::<T>() { above * T::EPSILON } else { 0.0 }
}

/// Whether the remainders of column potentials up to `max_abs` are too large for factors near 1.
#[inline(always)]
pub(super) fn is_coarse<T: Float>(max_abs: f64) -> bool {
    quantum::<T>(max_abs) > MAX_QUANTUM
}

/// The nearest multiple of `quantum`.
#[inline(always)]
pub(super) fn round_to_quantum(quantum: f64, x: f64) -> f64 {
    let shifter = f64::SHIFTER * quantum;
    (x + shifter) - shifter
}

/// The column potentials as the Gibbs matrix takes them: `G_j = high_j + low_j + log2(factor_j)`.
#[derive(Clone, Copy)]
pub struct SplitColumns<'a, T> {
    /// Multiples of the quantum; -inf without mass, and past the last column.
    pub(crate) high: &'a [T],
    /// The remainders, if the potentials are [`is_coarse`], and otherwise 0.
    pub(crate) low: &'a [T],
    /// The powers of two of the remainders, or 1.
    pub(crate) factors: &'a [T],
}

impl<'a, T: Float> SplitColumns<'a, T> {
    /// Splits the column potentials.
    #[inline(always)]
    pub(super) fn new<L: ExpLanes<T>>(
        l: L,
        potentials: PotentialsRef<'_>,
        [high, low, factors]: [&'a mut [T]; 3],
    ) -> Self {
        let (g, quantum) = (potentials.g, quantum::<T>(potentials.max_abs));
        let cols = g.len();
        for ((&g, high), low) in g.iter().zip(&mut *high).zip(&mut *low) {
            let rounded = round_to_quantum(quantum, g);
            *high = T::from_f64(rounded);
            *low = T::from_f64(if g > f64::NEG_INFINITY { g - rounded } else { 0.0 });
        }
        // 2^(-inf) = 0: the lanes past the last column add nothing.
        high[cols..].fill(T::NEG_INFINITY);
        low[cols..].fill(T::ZERO);
        if has_low_part::<T>() && !is_coarse::<T>(potentials.max_abs) {
            let exp = Exp2::new(l);
            for (low, factors) in low.chunks_exact(L::N).zip(factors.chunks_exact_mut(L::N)) {
                l.store(factors, exp.eval(l, l.load(low)));
            }
            low.fill(T::ZERO);
        } else {
            factors.fill(T::ONE);
        }
        Self { high, low, factors }
    }
}

/// The distance by which potentials move beyond their updates: a factor, if it cannot lower the
/// dual value.
///
/// An update of a row by `t = ln(a_i / r_i)`, over-relaxed by a factor w, changes the dual value by
/// `epsilon a_i (w t + exp(-t) - exp((w - 1) t))` (Thibault, Chizat, Dossal & Papadakis 2021). That
/// is at least `w (2 - w) t^2 / 2` for `t <= 0`. For a positive t it becomes negative at about
/// `t_max = 3 w (2 - w) / (1 + (w - 1)^3)`. So rows and columns whose update exceeds `t_max / 2`
/// move by the update itself, and the dual value never falls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relaxation {
    /// The factor; 1 is the update itself.
    factor: f64,
    /// The largest update, in base-2 units, that the factor is applied to.
    max_update: f64,
}

impl Relaxation {
    /// The relaxation by a factor between 0 and 2.
    pub(crate) fn new(factor: f64) -> Self {
        let beyond = factor - 1.0;
        let t_max = 3.0 * factor * (2.0 - factor) / (1.0 + beyond * beyond * beyond);
        let max_update = if factor > 1.0 { 0.5 * t_max * core::f64::consts::LOG2_E } else { f64::INFINITY };
        Self { factor, max_update }
    }

    /// The factor.
    pub(crate) fn factor(self) -> f64 {
        self.factor
    }

    /// Whether potentials move to their updates.
    #[inline(always)]
    pub(super) fn is_off(self) -> bool {
        self.factor == 1.0
    }

    /// The factor for an update in base-2 units.
    #[inline(always)]
    fn factor_for(self, update: f64) -> f64 {
        if update <= self.max_update { self.factor } else { 1.0 }
    }

    /// The potential `old`, moved beyond its update to `new`.
    #[inline(always)]
    pub(super) fn apply(self, old: f64, new: f64) -> f64 {
        if self.is_off() { new } else { old + self.factor_for(new - old) * (new - old) }
    }

    /// The scaling `old`, moved beyond its update to `old * ratio`.
    #[inline(always)]
    pub(super) fn scaling(self, old: f64, ratio: f64) -> f64 {
        let update = log2(ratio);
        old * exp2(self.factor_for(update) * update)
    }
}
