//! What rounding must not take: offsets of the costs, tiny masses, sums of many equal rows.

use super::{Num, isas_and_methods, wide};
use crate::support::{
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::transport::{EpsilonScaling, Method, OverRelaxation, Transport};
use mantex::{MatRef, Sinkhorn};

for_both_types! {
    tiny_column_masses_are_met
    equal_rows_add_up
}

/// A constant on every cost, or on the costs of a row or column, costs no digits (OTT PR #578).
#[test]
fn offsets_of_the_costs_cost_no_digits() {
    let (a, b) = ([0.5, 0.5], [0.25, 0.5, 0.25]);
    let costs = [0.0, 1.0, 4.0, 1.0, 0.0, 1.0];
    for (isa, method) in isas_and_methods() {
        for offset in [0.0, 1e8, -1e8, 1e10] {
            for (rows, columns) in [([1.0, 1.0], [0.0; 3]), ([1.0, 0.5], [0.0; 3]), ([0.0; 2], [1.0, -0.5, 0.25])] {
                let moved = |at: usize| costs[at] + offset * (rows[at / 3] + columns[at % 3]);
                let moved: Vec<f64> = (0..6).map(moved).collect();
                let solver = Sinkhorn::new(0.1).tolerance(1e-9).isa(isa).method(method);
                let t = solver.solve(MatRef::new(&moved, 2, 3).unwrap(), &a, &b).unwrap();
                let what = format!("{isa} {method} {offset} {rows:?} {columns:?}");
                assert!(t.converged() && t.iterations() <= 100, "{what}: {:e}", t.marginal_error());
                let sum =
                    |masses: &[f64], offsets: &[f64]| -> f64 { masses.iter().zip(offsets).map(|(m, x)| m * x).sum() };
                let expected = 0.500_000_002_061 + offset * (sum(&a, &rows) + sum(&b, &columns));
                let rounding = 4.0 * f64::EPSILON * offset.abs();
                assert!((t.cost() - expected).abs() <= rounding + 1e-8, "{what}: {}", t.cost());
                // As a warm start, the potentials are a solution.
                let solver = solver.warm_start(t.f().to_vec(), t.g().to_vec());
                let again = solver.solve(MatRef::new(&moved, 2, 3).unwrap(), &a, &b).unwrap();
                assert!(again.converged() && again.iterations() <= 20, "{what}: {}", again.iterations());
            }
        }
    }
}

/// Masses down to 1e-30 of the total, as an ordinary histogram has them, are met relative to
/// themselves.
fn tiny_column_masses_are_met<T: Num>() {
    let n = if small_cases() { 40 } else { 150 };
    let place = |i: usize| (i as f64 + 0.5) / n as f64;
    let cost: Vec<T> = (0..n * n).map(|at| T::of((place(at / n) - place(at % n)).powi(2))).collect();
    let a = vec![T::of(1.0 / n as f64); n];
    let histogram: Vec<f64> = (0..n).map(|j| (-0.5 * ((place(j) - 0.4) / 0.05).powi(2)).exp()).collect();
    let total: f64 = histogram.iter().sum();
    let b: Vec<T> = histogram.iter().map(|x| T::of(x / total)).collect();
    assert!(b.iter().any(|b| b.wide() < 1e-25 && b.wide() > 0.0));
    for isa in isas() {
        let solver = Sinkhorn::new(0.02).tolerance(0.0).max_iterations(30).method(Method::Log).isa(isa);
        let solver = solver.over_relaxation(OverRelaxation::Off).epsilon_scaling(EpsilonScaling::Off);
        let t = solver.solve(MatRef::new(&cost, n, n).unwrap(), &a, &b).unwrap();
        // The last update has met the columns.
        let (cost, total) = (wide(&cost), b.iter().map(|b| b.wide()).sum::<f64>());
        for (j, b) in b.iter().enumerate().filter(|(_, b)| b.wide() > 0.0) {
            let entry = |i: usize| ((t.f()[i] + t.g()[j] - cost[i * n + j]) / epsilon_of(&t, 0.02)).exp();
            let sum: f64 = (0..n).map(entry).sum();
            let error = sum / (b.wide() / total * a.iter().map(|a| a.wide()).sum::<f64>()) - 1.0;
            assert!(error.abs() <= 20.0 * T::ENTRY, "{isa}: column {j} of {:e} has {error:e}", b.wide());
        }
    }
}

/// Epsilon as the kernels take it.
fn epsilon_of<T: Num>(_: &Transport<T>, epsilon: f64) -> f64 {
    std::f64::consts::LOG2_E / T::of(std::f64::consts::LOG2_E / epsilon).wide()
}

/// Rounding errors of equal terms all have one sign: they must not add up over the rows.
fn equal_rows_add_up<T: Num>() {
    for n in [64, 256] {
        let cost = vec![T::of(0.37); n * n];
        let weights: Vec<f64> = (0..n).map(|j| 1.0 + (j % 7) as f64).collect();
        let total: f64 = weights.iter().sum();
        let (a, b) = (vec![T::of(1.0 / n as f64); n], weights.iter().map(|x| T::of(x / total)).collect::<Vec<T>>());
        let tolerance = if size_of::<T>() == 4 { 1e-6 } else { 1e-14 };
        for (isa, method) in isas_and_methods() {
            let solver = Sinkhorn::new(0.1).tolerance(tolerance).isa(isa).method(method);
            let t = solver.solve(MatRef::new(&cost, n, n).unwrap(), &a, &b).unwrap();
            assert!(
                t.converged() && t.iterations() <= 4,
                "{isa} {method} {n}: {:e} {}",
                t.marginal_error(),
                t.iterations()
            );
        }
    }
}
