//! The checks of a problem, and its masses in the form that kernels take.

use super::ranks::Ranks;
use crate::dispatch::Road;
use crate::error::Axis;
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::transport::{Problem, padded};
use crate::real::Element;
use crate::{Error, MatRef, Real};
use alloc::vec;
use alloc::vec::Vec;

/// The masses of both marginals, each divided by its total.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Masses {
    /// The total of `a`, to which `b` is scaled.
    pub(super) total: f64,
    /// The number of rows, including those without mass.
    pub(super) rows: usize,
    /// The indices of the rows with mass.
    pub(super) support: Vec<usize>,
    /// The masses of the rows in `support`.
    pub(super) a: Vec<f64>,
    /// The logarithms of `a` to base 2.
    pub(super) log2_a: Vec<f64>,
    /// The masses of all columns.
    pub(super) b: Vec<f64>,
    /// The logarithms of `b` to base 2.
    log2_b: Vec<f64>,
}

/// Returns the logarithms of masses to base 2.
fn log2(masses: &[f64]) -> Vec<f64> {
    masses.iter().map(|mass| mass.log2()).collect()
}

impl Masses {
    /// Checks the masses. The totals may differ by at most `max_mismatch` times the larger total.
    /// With several ranks, `a` are the masses of the rows of this one.
    pub(super) fn new<T: Real>(a: &[T], b: &[T], max_mismatch: f64, ranks: &mut Ranks<'_>) -> Result<Self, Error> {
        let totals = total_mass("a", a, None).and_then(|a| Ok((a, total_mass("b", b, None)?)));
        let (total, total_b) = ranks.agree(totals, [])?;
        let total = ranks.total(total);
        if total == f64::INFINITY {
            return Err(Error::InvalidTotalMass { argument: "a", total });
        }
        check_totals(total, total_b, max_mismatch)?;
        // A positive mass stays positive, even if its share of the total underflows.
        let share =
            |mass: &T, total: f64| (mass.to_f64() / total).max(if *mass > T::zero() { f64::MIN_POSITIVE } else { 0.0 });
        let rows = a.len();
        let support: Vec<usize> = (0..rows).filter(|&i| a[i] > T::zero()).collect();
        let a: Vec<f64> = support.iter().map(|&i| share(&a[i], total)).collect();
        let b: Vec<f64> = b.iter().map(|mass| share(mass, total_b)).collect();
        Ok(Self { total, rows, support, log2_a: log2(&a), a, log2_b: log2(&b), b })
    }

    /// Returns the masses of all rows, each divided by the total.
    #[cfg(feature = "serde")]
    pub(super) fn of_rows(&self) -> Vec<f64> {
        let mut a = vec![0.0; self.rows];
        for (&i, &mass) in self.support.iter().zip(&self.a) {
            a[i] = mass;
        }
        a
    }

    /// Returns masses that are divided by their totals already. `total` is the total of `a` before.
    #[cfg(feature = "serde")]
    pub(super) fn of_shares(total: f64, a: &[f64], b: Vec<f64>) -> Result<Self, Error> {
        for (argument, masses) in [("a", a), ("b", &b)] {
            let sum = total_mass(argument, masses, None)?;
            if (sum - 1.0).abs() > 1e-9 {
                return Err(Error::InvalidTotalMass { argument, total: sum });
            }
        }
        let rows = a.len();
        let support: Vec<usize> = (0..rows).filter(|&i| a[i] > 0.0).collect();
        let a: Vec<f64> = support.iter().map(|&i| a[i]).collect();
        Ok(Self { total, rows, support, log2_a: log2(&a), a, log2_b: log2(&b), b })
    }

    /// Returns the problem with these masses, for the kernels.
    pub(super) fn problem<'a, T: Real>(&'a self, cost: MatRef<'a, T>, eta: T) -> Problem<'a, T> {
        Problem {
            cost,
            eta,
            total_mass: self.total,
            support: &self.support,
            a: &self.a,
            log2_a: &self.log2_a,
            b: &self.b,
            log2_b: &self.log2_b,
        }
    }
}

/// Fails if the totals differ by more than `max_mismatch` times the larger total.
pub(super) fn check_totals(a: f64, b: f64, max_mismatch: f64) -> Result<(), Error> {
    if (a - b).abs() > max_mismatch * a.max(b) { Err(Error::MassMismatch { a, b }) } else { Ok(()) }
}

/// Returns the total of the masses. Fails unless all masses are finite and not negative and the
/// total is finite and positive. In a batch, the masses are the row `problem` of a matrix.
pub(super) fn total_mass<T: Real>(argument: &'static str, masses: &[T], problem: Option<usize>) -> Result<f64, Error> {
    for (i, mass) in masses.iter().enumerate() {
        let value = mass.to_f64();
        if !(0.0..f64::INFINITY).contains(&value) {
            let (row, col) = problem.map_or((i, 0), |problem| (problem, i));
            return Err(Error::InvalidElement { argument, row, col, value, expected: "finite and not negative" });
        }
    }
    let total = masses.iter().map(|mass| mass.to_f64()).sum();
    if !(total > 0.0 && total < f64::INFINITY) {
        return Err(Error::InvalidTotalMass { argument, total });
    }
    Ok(total)
}

/// Fails unless every cost is finite or +inf. Returns the minimum of each row over the columns with
/// mass, and of each column over the rows with mass.
pub(super) fn checked_minima<T: Real>(
    road: Road,
    cost: MatRef<'_, T>,
    a: &[T],
    b: &[T],
) -> Result<(Vec<T>, Vec<T>), Error> {
    let mut penalty = vec![T::infinity(); padded(b.len())];
    for (penalty, &mass) in penalty.iter_mut().zip(b) {
        *penalty = if mass > T::zero() { T::zero() } else { T::infinity() };
    }
    let mut row_minima = vec![T::zero(); cost.rows()];
    let mut column_minima = vec![T::zero(); penalty.len()];
    #[cfg(feature = "rayon")]
    let invalid = if road.shares((cost.rows(), cost.cols())) {
        super::threads::cost_minima(road, cost, (a, &penalty), &mut row_minima, &mut column_minima)
    } else {
        T::cost_minima(road, cost, a, &penalty, &mut row_minima, &mut column_minima)
    };
    #[cfg(not(feature = "rayon"))]
    let invalid = T::cost_minima(road, cost, a, &penalty, &mut row_minima, &mut column_minima);
    if let Some(row) = invalid {
        let costs = cost.row(row).iter().map(|c| c.to_f64());
        let invalid = costs.enumerate().find(|(_, c)| c.is_nan() || *c == f64::NEG_INFINITY);
        let (col, value) = invalid.unwrap_or((0, f64::NAN));
        let expected = "finite, or +inf to forbid a pair";
        return Err(Error::InvalidElement { argument: "cost", row, col, value, expected });
    }
    Ok((row_minima, column_minima))
}

/// Fails unless every cost is finite or +inf, and every row and column with mass has a permitted
/// partner with mass. Returns the minimum of each row over the columns with mass.
pub(super) fn check_feasible<T: Real>(
    road: Road,
    cost: MatRef<'_, T>,
    a: &[T],
    b: &[T],
    ranks: &mut Ranks<'_>,
) -> Result<Vec<T>, Error> {
    let (row_minima, column_minima) = ranks.agree(checked_minima(road, cost, a, b), [])?;
    let column_minima = ranks.column_minima(column_minima);
    let infeasible = |axis, masses: &[T], minima: &[T]| {
        let mut pairs = masses.iter().zip(minima);
        let index = pairs.position(|(&mass, &min)| mass > T::zero() && min == T::infinity());
        index.map_or(Ok(()), |index| Err(Error::Infeasible { axis, index }))
    };
    let result = infeasible(Axis::Row, a, &row_minima).and_then(|()| infeasible(Axis::Column, b, &column_minima));
    ranks.agree(result.map(|()| row_minima), [])
}
