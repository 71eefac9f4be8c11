//! The data that [`Sinkhorn`] and its results are written to and read from.
//! Potentials without mass, -inf, are none.

use super::masses::Masses;
use super::solver::MAX_ABS_POTENTIAL;
use super::units::{Potentials, Units};
use super::{CsrPlan, EpsilonScaling, Method, OverRelaxation, Sinkhorn, Status, Transport, TransportBatch};
use crate::dispatch::Road;
use crate::real::Element;
use crate::serialized::to_finite;
use crate::{Error, Isa, Real, check};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The options of [`Sinkhorn`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SinkhornData {
    epsilon: f64,
    #[serde(default)]
    max_iterations: Option<usize>,
    #[serde(default)]
    tolerance: Option<f64>,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    memory_limit: Option<usize>,
    #[serde(default)]
    over_relaxation: OverRelaxation,
    #[serde(default)]
    epsilon_scaling: EpsilonScaling,
    #[serde(default)]
    warm_start: Option<[Vec<Option<f64>>; 2]>,
    #[serde(default)]
    isa: Option<Isa>,
}

/// Potentials as data.
pub(super) fn to_data<T: Real>(potentials: &[T]) -> Vec<Option<T>> {
    potentials.iter().map(|x| to_finite(*x, -T::infinity())).collect()
}

/// Data as potentials.
pub(super) fn from_data<T: Real>(data: &[Option<T>]) -> Vec<T> {
    data.iter().map(|x| x.unwrap_or(-T::infinity())).collect()
}

impl From<Sinkhorn> for SinkhornData {
    fn from(settings: Sinkhorn) -> Self {
        Self {
            epsilon: settings.epsilon,
            max_iterations: Some(settings.max_iterations),
            tolerance: settings.tolerance,
            method: settings.method,
            memory_limit: Some(settings.memory_limit),
            over_relaxation: settings.over_relaxation,
            epsilon_scaling: settings.epsilon_scaling,
            warm_start: settings.warm_start.map(|(f, g)| [to_data(&f), to_data(&g)]),
            isa: settings.road.isa,
        }
    }
}

impl TryFrom<SinkhornData> for Sinkhorn {
    type Error = Error;

    fn try_from(data: SinkhornData) -> Result<Self, Error> {
        let default = Self::new(data.epsilon);
        let settings = Self {
            max_iterations: data.max_iterations.unwrap_or(default.max_iterations),
            tolerance: data.tolerance,
            method: data.method,
            memory_limit: data.memory_limit.unwrap_or(default.memory_limit),
            over_relaxation: data.over_relaxation,
            epsilon_scaling: data.epsilon_scaling,
            warm_start: data.warm_start.map(|[f, g]| (from_data(&f), from_data(&g))),
            road: data.isa.map_or(Road::BEST, Road::on),
            ..default
        };
        settings.checked_eta::<f64>()?;
        Ok(settings)
    }
}

/// The content of a [`Transport`]. The instruction set is left out: another machine may read it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransportData<T> {
    status: Status,
    iterations: usize,
    marginal_error: f64,
    cost: f64,
    /// log2(e) / epsilon.
    eta: T,
    /// The total of the masses of the rows, to which those of the columns are scaled.
    total_mass: f64,
    /// The masses of the rows, divided by their total.
    a: Vec<f64>,
    /// The masses of the columns, divided by their total.
    b: Vec<f64>,
    /// The potentials of the rows with mass in base-2 units, relative to the mass.
    row_potentials: Vec<f64>,
    /// The potentials of the columns in base-2 units.
    column_potentials: Vec<Option<f64>>,
}

impl<T: Real> From<Transport<T>> for TransportData<T> {
    fn from(transport: Transport<T>) -> Self {
        let Transport { status, iterations, marginal_error, cost, eta, masses, potentials, .. } = transport;
        Self {
            status,
            iterations,
            marginal_error,
            cost,
            eta,
            total_mass: masses.total,
            a: masses.of_rows(),
            row_potentials: potentials.u().to_vec(),
            column_potentials: to_data(potentials.g()),
            b: masses.b,
        }
    }
}

impl<T: Real> TryFrom<TransportData<T>> for Transport<T> {
    type Error = Error;

    fn try_from(data: TransportData<T>) -> Result<Self, Error> {
        let TransportData { status, iterations, marginal_error, cost, eta, .. } = data;
        let check_number = |argument, value: f64, is_valid: bool, expected| {
            if is_valid { Ok(()) } else { Err(Error::InvalidParameter { argument, value, expected }) }
        };
        let (total, error) = (data.total_mass, marginal_error);
        let is_positive = |x: f64| x > 0.0 && x < f64::INFINITY;
        check_number("eta", eta.to_f64(), is_positive(eta.to_f64()), "positive and finite")?;
        check_number("total_mass", total, is_positive(total), "positive and finite")?;
        check_number("marginal_error", error, (0.0..f64::INFINITY).contains(&error), "finite and not negative")?;
        check_number("cost", cost, cost.is_finite(), "finite")?;
        let masses = Masses::of_shares(total, &data.a, data.b)?;
        check::length("row_potentials", data.row_potentials.len(), masses.support.len())?;
        check::length("column_potentials", data.column_potentials.len(), masses.b.len())?;
        for (row, (g, &b)) in data.column_potentials.iter().zip(&masses.b).enumerate() {
            if g.is_some_and(f64::is_finite) != (b > 0.0) {
                let (argument, value, expected) =
                    ("column_potentials", g.unwrap_or(f64::NEG_INFINITY), "finite with mass");
                return Err(Error::InvalidElement { argument, row, col: 0, value, expected });
            }
        }
        let potentials = Potentials::new(data.row_potentials, from_data(&data.column_potentials), &masses.b);
        let largest = potentials.max_abs();
        check_number("row_potentials", largest, largest <= MAX_ABS_POTENTIAL, "at most 2^40, and finite")?;
        let (f, g) = Units { eta: eta.to_f64(), masses: &masses }.to_caller(&potentials);
        if f.iter().chain(&g).any(|x| *x == f64::INFINITY || x.is_nan()) {
            return Err(Error::InvalidParameter { argument: "eta", value: eta.to_f64(), expected: "large enough" });
        }
        Ok(Self { status, iterations, marginal_error, cost, f, g, road: Road::BEST, masses, potentials, eta })
    }
}

/// The content of a [`TransportBatch`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchData<T> {
    rows: usize,
    columns: usize,
    f: Vec<Option<T>>,
    g: Vec<Option<T>>,
    iterations: Vec<usize>,
    marginal_errors: Vec<f64>,
    values: Vec<f64>,
    statuses: Vec<Status>,
}

impl<T: Real> From<TransportBatch<T>> for BatchData<T> {
    fn from(batch: TransportBatch<T>) -> Self {
        let TransportBatch { shape: (rows, columns), f, g, iterations, marginal_errors, values, statuses } = batch;
        let (f, g) = (to_data(&f), to_data(&g));
        Self { rows, columns, f, g, iterations, marginal_errors, values, statuses }
    }
}

impl<T: Real> TryFrom<BatchData<T>> for TransportBatch<T> {
    type Error = Error;

    fn try_from(data: BatchData<T>) -> Result<Self, Error> {
        let BatchData { rows, columns, f, g, iterations, marginal_errors, values, statuses } = data;
        let problems = iterations.len();
        check::length("f", f.len(), problems.saturating_mul(rows))?;
        check::length("g", g.len(), problems.saturating_mul(columns))?;
        check::length("marginal_errors", marginal_errors.len(), problems)?;
        check::length("values", values.len(), problems)?;
        check::length("statuses", statuses.len(), problems)?;
        let (f, g) = (from_data(&f), from_data(&g));
        for (argument, potentials, cols) in [("f", &f, rows), ("g", &g, columns)] {
            if let Some(at) = potentials.iter().position(|x| x.to_f64().is_nan() || *x == T::infinity()) {
                let (value, expected) = (potentials[at].to_f64(), "finite, or none without mass");
                return Err(Error::InvalidElement { argument, row: at / cols, col: at % cols, value, expected });
            }
        }
        for (argument, numbers, min) in [("marginal_errors", &marginal_errors, 0.0), ("values", &values, f64::MIN)] {
            if let Some(row) = numbers.iter().position(|x| !(x.is_finite() && *x >= min)) {
                let (value, expected) = (numbers[row], "finite, and an error not negative");
                return Err(Error::InvalidElement { argument, row, col: 0, value, expected });
            }
        }
        Ok(Self { shape: (rows, columns), f, g, iterations, marginal_errors, values, statuses })
    }
}

/// The content of a [`CsrPlan`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CsrPlanData<T> {
    rows: usize,
    cols: usize,
    row_pointers: Vec<usize>,
    columns: Vec<u32>,
    masses: Vec<T>,
}

impl<T> From<CsrPlan<T>> for CsrPlanData<T> {
    fn from(plan: CsrPlan<T>) -> Self {
        let CsrPlan { rows, cols, row_pointers, columns, masses } = plan;
        Self { rows, cols, row_pointers, columns, masses }
    }
}

impl<T: Real> TryFrom<CsrPlanData<T>> for CsrPlan<T> {
    type Error = Error;

    fn try_from(data: CsrPlanData<T>) -> Result<Self, Error> {
        let CsrPlanData { rows, cols, row_pointers, columns, masses } = data;
        check::length("row_pointers", row_pointers.len(), rows.saturating_add(1))?;
        check::length("masses", masses.len(), columns.len())?;
        let invalid =
            |argument, row, value, expected| Err(Error::InvalidElement { argument, row, col: 0, value, expected });
        let mut end = 0;
        for (at, &pointer) in row_pointers.iter().enumerate() {
            let is_valid = pointer >= end && if at == 0 { pointer == 0 } else { pointer <= columns.len() };
            if !is_valid || at == rows && pointer != columns.len() {
                let expected = "at least the pointer before it, 0 at first, and the number of entries at last";
                return invalid("row_pointers", at, pointer as f64, expected);
            }
            end = pointer;
        }
        for bounds in row_pointers.windows(2) {
            let mut least = 0;
            for (&column, at) in columns[bounds[0]..bounds[1]].iter().zip(bounds[0]..) {
                let is_valid = (least..cols as u64).contains(&u64::from(column));
                if !is_valid {
                    let expected = "above the column before it in the row, and below `cols`";
                    return invalid("columns", at, f64::from(column), expected);
                }
                least = u64::from(column) + 1;
            }
        }
        if let Some(at) = masses.iter().position(|mass| !(*mass >= T::zero() && mass.to_f64() < f64::INFINITY)) {
            return invalid("masses", at, masses[at].to_f64(), "finite and not negative");
        }
        Ok(Self { rows, cols, row_pointers, columns, masses })
    }
}
