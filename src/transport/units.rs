//! Potentials in the units of the caller and in the base-2 units of the kernels.

use super::masses::Masses;
use super::ranks::Ranks;
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::transport::potentials::{PotentialsMut, PotentialsRef, max_abs_potential};
use crate::{Error, check};
use alloc::vec;
use alloc::vec::Vec;

/// Potentials in base-2 units, the owner of [`PotentialsRef`] and [`PotentialsMut`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Potentials {
    /// The potentials of the rows with mass, relative to the mass: `U = eta f - log2(a)`.
    u: Vec<f64>,
    /// The potentials of all columns: `G = eta g`; -inf without mass.
    g: Vec<f64>,
    /// The largest magnitude of a potential.
    max_abs: f64,
}

impl Potentials {
    /// Returns the potentials of a problem with the masses `b`.
    pub(super) fn new(u: Vec<f64>, g: Vec<f64>, b: &[f64]) -> Self {
        Self { max_abs: max_abs_potential(&u, &g, b), u, g }
    }

    /// Lends the potentials to a kernel that reads them.
    pub(super) fn as_ref(&self) -> PotentialsRef<'_> {
        PotentialsRef { u: &self.u, g: &self.g, max_abs: self.max_abs }
    }

    /// Lends the potentials to a kernel that updates them.
    pub(super) fn as_mut(&mut self) -> PotentialsMut<'_> {
        PotentialsMut { u: &mut self.u, g: &mut self.g, max_abs: &mut self.max_abs }
    }

    /// Copies other potentials of the same problem, without an allocation.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.u.copy_from_slice(&other.u);
        self.g.copy_from_slice(&other.g);
        self.max_abs = other.max_abs;
    }

    /// Returns the potentials of the rows with mass.
    pub(super) fn u(&self) -> &[f64] {
        &self.u
    }

    /// Returns the potentials of all columns.
    pub(super) fn g(&self) -> &[f64] {
        &self.g
    }

    /// Moves the potentials of the rows of a block up and those of its columns down.
    pub(super) fn move_block(&mut self, distance: f64, rows: &[bool], columns: &[bool], b: &[f64]) {
        for (u, inside) in self.u.iter_mut().zip(rows) {
            *u += if *inside { distance } else { 0.0 };
        }
        for (g, inside) in self.g.iter_mut().zip(columns) {
            *g -= if *inside { distance } else { 0.0 };
        }
        self.max_abs = max_abs_potential(&self.u, &self.g, b);
    }

    /// Adds multiples of offsets to the potentials of rows and columns.
    pub(super) fn add(&mut self, factor: f64, to_rows: &[f64], to_columns: &[f64], b: &[f64]) {
        self.u.iter_mut().zip(to_rows).for_each(|(u, x)| *u += factor * x);
        self.g.iter_mut().zip(to_columns).for_each(|(g, x)| *g += factor * x);
        self.max_abs = max_abs_potential(&self.u, &self.g, b);
    }

    /// Moves a constant from the columns to the rows if it takes digits: the mean of G under the
    /// masses `b`. The plan stays the same.
    pub(super) fn center(&mut self, b: &[f64]) {
        let mean: f64 = self.g.iter().zip(b).map(|(g, &b)| if b > 0.0 { b * g } else { 0.0 }).sum();
        if mean.is_finite() && mean.abs() > self.max_abs / 16.0 {
            self.u.iter_mut().for_each(|u| *u += mean);
            self.g.iter_mut().for_each(|g| *g -= mean);
            self.max_abs = max_abs_potential(&self.u, &self.g, b);
        }
    }

    /// Becomes other potentials, with the columns with mass moved by multiples of `step`.
    pub(super) fn move_columns(&mut self, from: &Self, length: f64, step: &[f64], b: &[f64]) {
        self.u.copy_from_slice(&from.u);
        for (g, ((from, step), &b)) in self.g.iter_mut().zip(from.g.iter().zip(step).zip(b)) {
            *g = if b > 0.0 { from + length * step } else { *from };
        }
        self.max_abs = max_abs_potential(&self.u, &self.g, b);
    }

    /// Meets the row marginals: the rows were evaluated with the potentials `shifts`, and have
    /// these sums.
    pub(super) fn normalize_rows(&mut self, shifts: &[f64], sums: &[f64], b: &[f64]) {
        for ((u, shift), sum) in self.u.iter_mut().zip(shifts).zip(sums) {
            *u = shift - sum.log2();
        }
        self.max_abs = max_abs_potential(&self.u, &self.g, b);
    }

    /// Returns the sums of the differences to other potentials, under the masses.
    pub(super) fn weighted_change(&self, from: &Self, a: &[f64], b: &[f64]) -> f64 {
        let rows = self.u.iter().zip(&from.u).zip(a).map(|((new, old), a)| a * (new - old));
        let columns = self.g.iter().zip(&from.g).zip(b);
        rows.sum::<f64>() + columns.map(|((new, old), &b)| if b > 0.0 { b * (new - old) } else { 0.0 }).sum::<f64>()
    }

    /// Returns the largest magnitude of a potential; infinite or NaN if one cannot be represented.
    pub(super) fn max_abs(&self) -> f64 {
        self.max_abs
    }

    /// Makes the largest magnitude of a potential that of all ranks.
    pub(super) fn exchange_max_abs(&mut self, ranks: &mut Ranks<'_>) {
        self.max_abs = ranks.largest(self.max_abs);
    }

    /// Multiplies eta f and eta g by the ratio of a new eta to the old one.
    pub(super) fn rescale(&mut self, ratio: f64, log2_a: &[f64], b: &[f64]) {
        for (u, log2_a) in self.u.iter_mut().zip(log2_a) {
            *u = (*u + log2_a) * ratio - log2_a;
        }
        self.g.iter_mut().for_each(|g| *g *= ratio);
        self.max_abs = max_abs_potential(&self.u, &self.g, b);
    }
}

/// The units of a problem's costs and masses.
pub(super) struct Units<'a> {
    /// log2(e) / epsilon.
    pub(super) eta: f64,
    /// The masses.
    pub(super) masses: &'a Masses,
}

impl Units<'_> {
    /// Converts the caller's potentials to base-2 units.
    pub(super) fn to_base2(&self, f: &[f64], g: &[f64]) -> Result<Potentials, Error> {
        let Self { eta, masses } = *self;
        check::length("f", f.len(), masses.rows)?;
        check::length("g", g.len(), masses.b.len())?;
        let invalid = |argument, row, value| Error::InvalidElement { argument, row, col: 0, value, expected: "finite" };
        let mut base2_g = Vec::with_capacity(g.len());
        for (row, (&g, &b)) in g.iter().zip(&masses.b).enumerate() {
            if b > 0.0 && !(g * eta).is_finite() {
                return Err(invalid("g", row, g));
            }
            base2_g.push(if b > 0.0 { g * eta } else { f64::NEG_INFINITY });
        }
        let mut base2_u = Vec::with_capacity(masses.support.len());
        for (&i, log2_a) in masses.support.iter().zip(&masses.log2_a) {
            let u = f[i] * eta - log2_a - masses.total.log2();
            if !u.is_finite() {
                return Err(invalid("f", i, f[i]));
            }
            base2_u.push(u);
        }
        Ok(Potentials::new(base2_u, base2_g, &masses.b))
    }

    /// Converts both potentials to the units of the cost; -inf without mass.
    pub(super) fn to_caller(&self, potentials: &Potentials) -> (Vec<f64>, Vec<f64>) {
        let Self { eta, masses } = *self;
        let mut f = vec![f64::NEG_INFINITY; masses.rows];
        for ((&i, u), log2_a) in masses.support.iter().zip(&potentials.u).zip(&masses.log2_a) {
            f[i] = (u + log2_a + masses.total.log2()) / eta;
        }
        (f, potentials.g.iter().map(|g| g / eta).collect())
    }
}
