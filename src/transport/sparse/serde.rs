//! The data that [`SparseTransport`] and [`SparseSolution`] are written to and read from.
//! Potentials without mass, -inf, are none.

use super::{SparseSolution, SparseTransport};
use crate::dispatch::Road;
use crate::transport::serde::{from_data, to_data};
use crate::transport::{CsrPlan, Status};
use crate::{Error, Isa, Real, check};
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The options of [`SparseTransport`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SparseTransportData {
    gamma: f64,
    /// None is no limit.
    #[serde(default)]
    max_entries_per_row: Option<usize>,
    #[serde(default)]
    max_iterations: Option<usize>,
    #[serde(default)]
    tolerance: Option<f64>,
    #[serde(default)]
    isa: Option<Isa>,
}

impl From<SparseTransport> for SparseTransportData {
    fn from(settings: SparseTransport) -> Self {
        Self {
            gamma: settings.gamma,
            max_entries_per_row: settings.max_entries,
            max_iterations: Some(settings.max_iterations),
            tolerance: settings.tolerance,
            isa: settings.road.isa,
        }
    }
}

impl TryFrom<SparseTransportData> for SparseTransport {
    type Error = Error;

    fn try_from(data: SparseTransportData) -> Result<Self, Error> {
        let default = Self::new(data.gamma);
        let settings = Self {
            max_entries: data.max_entries_per_row,
            max_iterations: data.max_iterations.unwrap_or(default.max_iterations),
            tolerance: data.tolerance,
            road: data.isa.map_or(Road::BEST, Road::on),
            ..default
        };
        settings.check_settings::<f64>()?;
        Ok(settings)
    }
}

/// The content of a [`SparseSolution`].
#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(serialize = "T: Real + serde::Serialize", deserialize = "T: Real + serde::Deserialize<'de>")
)]
pub(super) struct SparseSolutionData<T> {
    status: Status,
    iterations: usize,
    marginal_error: f64,
    cost: f64,
    value: f64,
    dual_value: f64,
    f: Vec<Option<f64>>,
    g: Vec<Option<f64>>,
    plan: CsrPlan<T>,
}

impl<T> From<SparseSolution<T>> for SparseSolutionData<T> {
    fn from(solution: SparseSolution<T>) -> Self {
        let SparseSolution { status, iterations, marginal_error, cost, value, dual_value, f, g, plan } = solution;
        let (f, g) = (to_data(&f), to_data(&g));
        Self { status, iterations, marginal_error, cost, value, dual_value, f, g, plan }
    }
}

impl<T: Real> TryFrom<SparseSolutionData<T>> for SparseSolution<T> {
    type Error = Error;

    fn try_from(data: SparseSolutionData<T>) -> Result<Self, Error> {
        let SparseSolutionData { status, iterations, marginal_error, cost, value, dual_value, plan, .. } = data;
        let numbers = [
            ("marginal_error", marginal_error, 0.0, "finite and not negative"),
            ("cost", cost, f64::MIN, "finite"),
            ("value", value, f64::MIN, "finite"),
            ("dual_value", dual_value, f64::MIN, "finite"),
        ];
        for (argument, value, min, expected) in numbers {
            if !(value.is_finite() && value >= min) {
                return Err(Error::InvalidParameter { argument, value, expected });
            }
        }
        if plan.rows == 0 || plan.cols == 0 {
            return Err(Error::Empty { argument: "plan" });
        }
        check::length("f", data.f.len(), plan.rows)?;
        check::length("g", data.g.len(), plan.cols)?;
        let (f, g) = (from_data(&data.f), from_data(&data.g));
        let mut has_entry = [vec![false; plan.rows], vec![false; plan.cols]];
        for (row, bounds) in plan.row_pointers.windows(2).enumerate() {
            for &column in &plan.columns[bounds[0]..bounds[1]] {
                (has_entry[0][row], has_entry[1][column as usize]) = (true, true);
            }
        }
        for (argument, potentials, has_entry) in [("f", &f, &has_entry[0]), ("g", &g, &has_entry[1])] {
            for (row, (&value, &has_entry)) in potentials.iter().zip(has_entry).enumerate() {
                if !(value.is_finite() || value == f64::NEG_INFINITY && !has_entry) {
                    let expected = "finite, or none without mass";
                    return Err(Error::InvalidElement { argument, row, col: 0, value, expected });
                }
            }
        }
        Ok(Self { status, iterations, marginal_error, cost, value, dual_value, f, g, plan })
    }
}
