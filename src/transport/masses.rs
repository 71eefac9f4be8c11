//! Checks of the problem, and its masses as the kernel wants them.

use crate::check;
use crate::dispatch::Road;
use crate::error::Axis;
use crate::kernels::sinkhorn::{Problem, padded};
use crate::real::Element;
use crate::{Error, MatRef, Real};

/// The masses of both sides, divided by the total of `a`.
#[derive(Debug, Clone)]
pub(super) struct Masses {
    pub(super) total: f64,
    /// How many rows there are, those without mass too.
    pub(super) len: usize,
    /// The rows that have mass; `a` and `log2_a` are of these.
    pub(super) rows: Vec<usize>,
    pub(super) a: Vec<f64>,
    log2_a: Vec<f64>,
    /// Of all columns.
    pub(super) b: Vec<f64>,
    log2_b: Vec<f64>,
}

impl Masses {
    /// Checks the masses; their totals may differ by `mismatch` of the larger.
    pub(super) fn new<T: Real>(a: &[T], b: &[T], mismatch: f64) -> Result<Self, Error> {
        let (total, total_b) = (total("a", a, None)?, total("b", b, None)?);
        same_total(total, total_b, mismatch)?;
        // A mass that vanishes beside the total is still there.
        let share = |mass: &T| (mass.to_f64() / total).max(if *mass > T::zero() { f64::MIN_POSITIVE } else { 0.0 });
        let len = a.len();
        let rows: Vec<usize> = (0..len).filter(|&i| a[i] > T::zero()).collect();
        let a: Vec<f64> = rows.iter().map(|&i| share(&a[i])).collect();
        let b: Vec<f64> = b.iter().map(share).collect();
        let log2 = |masses: &[f64]| masses.iter().map(|mass| mass.log2()).collect();
        Ok(Self { total, len, rows, log2_a: log2(&a), a, log2_b: log2(&b), b })
    }

    /// Potentials that the caller gave, as the kernel wants them: those of the rows relative to their mass.
    pub(super) fn potentials(&self, k: f64, f: &[f64], g: &[f64]) -> Result<(Vec<f64>, Vec<f64>), Error> {
        check::length("f", f.len(), self.len)?;
        check::length("g", g.len(), self.b.len())?;
        let mut potentials = (Vec::new(), g.iter().map(|g| g * k).collect::<Vec<_>>());
        for (row, (g, &b)) in potentials.1.iter_mut().zip(&self.b).enumerate() {
            if b == 0.0 {
                *g = f64::NEG_INFINITY;
            } else if !g.is_finite() {
                return Err(Error::InvalidElement { argument: "g", row, col: 0, value: *g / k, expected: "finite" });
            }
        }
        for (&i, log2_a) in self.rows.iter().zip(&self.log2_a) {
            let u = f[i] * k - log2_a - self.total.log2();
            if !u.is_finite() {
                return Err(Error::InvalidElement { argument: "f", row: i, col: 0, value: f[i], expected: "finite" });
            }
            potentials.0.push(u);
        }
        Ok(potentials)
    }

    pub(super) fn problem<'a, T: Real>(&'a self, cost: MatRef<'a, T>, k: T) -> Problem<'a, T> {
        Problem { cost, k, rows: &self.rows, a: &self.a, log2_a: &self.log2_a, b: &self.b, log2_b: &self.log2_b }
    }
}

/// An error where totals differ by more than `mismatch` of the larger.
pub(super) fn same_total(a: f64, b: f64, mismatch: f64) -> Result<(), Error> {
    if (a - b).abs() > mismatch * a.max(b) { Err(Error::MassMismatch { a, b }) } else { Ok(()) }
}

/// The sum of the masses, if every one is a mass and so is the sum. In a batch they are the row `problem` of a matrix.
pub(super) fn total<T: Real>(argument: &'static str, masses: &[T], problem: Option<usize>) -> Result<f64, Error> {
    for (i, mass) in masses.iter().enumerate() {
        let value = mass.to_f64();
        if !(0.0..f64::INFINITY).contains(&value) {
            let (row, col) = problem.map_or((i, 0), |problem| (problem, i));
            return Err(Error::InvalidElement { argument, row, col, value, expected: "finite and not negative" });
        }
    }
    let value = masses.iter().map(|mass| mass.to_f64()).sum();
    if !(value > 0.0 && value < f64::INFINITY) {
        return Err(Error::InvalidTotalMass { argument, total: value });
    }
    Ok(value)
}

/// Checks that every cost is a cost. Returns the minimum of each row over the columns with mass, and of each column over
/// the rows with mass.
pub(super) fn minima<T: Real>(road: Road, cost: MatRef<'_, T>, a: &[T], b: &[T]) -> Result<(Vec<T>, Vec<T>), Error> {
    let mut penalty = vec![T::infinity(); padded(b.len())];
    for (penalty, &mass) in penalty.iter_mut().zip(b) {
        *penalty = if mass > T::zero() { T::zero() } else { T::infinity() };
    }
    let mut row_minima = vec![T::zero(); cost.rows()];
    let mut column_minima = vec![T::zero(); penalty.len()];
    if let Some(row) = T::survey(road, cost, a, &penalty, &mut row_minima, &mut column_minima) {
        let values = cost.row(row).iter().map(|c| c.to_f64());
        let bad = values.enumerate().find(|(_, c)| c.is_nan() || *c == f64::NEG_INFINITY);
        let (col, value) = bad.unwrap_or((0, f64::NAN));
        return Err(Error::InvalidElement {
            argument: "cost",
            row,
            col,
            value,
            expected: "finite, or +inf to forbid a pair",
        });
    }
    Ok((row_minima, column_minima))
}

/// Checks that every cost is a cost, and that no mass is left without a partner. Returns the minimum of each row over
/// the columns with mass.
pub(super) fn check_costs<T: Real>(road: Road, cost: MatRef<'_, T>, a: &[T], b: &[T]) -> Result<Vec<T>, Error> {
    let (row_minima, column_minima) = minima(road, cost, a, b)?;
    for (axis, masses, minima) in [(Axis::Row, a, &row_minima), (Axis::Column, b, &column_minima)] {
        let mut pairs = masses.iter().zip(minima);
        if let Some(index) = pairs.position(|(&mass, &min)| mass > T::zero() && min == T::infinity()) {
            return Err(Error::Infeasible { axis, index });
        }
    }
    Ok(row_minima)
}
