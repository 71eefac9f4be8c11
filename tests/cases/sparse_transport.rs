//! Transport with sparse plans: any costs, with and without a limit of the entries per row.

use super::transport::{converged_error, costs, finite_costs, masses};
use super::{Bytes, Matrix, same, same_error};
use crate::support::{float::Float, isas::isas};
use mantex::transport::{SparseSolution, Status};
use mantex::{Error, Isa, MatRef, SparseTransport};
use std::ops::ControlFlow;

/// The iterations, errors and gammas that the callback saw.
type Seen = Vec<(usize, f64, f64)>;

pub(crate) fn check<T: Float>(bytes: &mut Bytes<'_>) {
    let (rows, cols) = (bytes.below(24), bytes.below(24));
    let cost = costs::<T>(bytes, rows, cols);
    let total = bytes.pick(&[1.0, 1.0, 1.0, 100.0, 1e-30, 1e30]);
    let (a, b) = (masses::<T>(bytes, rows, total), masses::<T>(bytes, cols, total));
    let largest = finite_costs(&cost).fold(1e-3, |max: f64, c| max.max(c.abs()));
    let gamma = match bytes.below(16) {
        15 => bytes.number::<f64>(),
        i => [1e-12, 1e-5, 1e-3, 0.01, 0.1, 1.0, 1e3][i % 7] * largest * (rows * cols) as f64 / total,
    };
    let tolerance = match bytes.below(16) {
        15 => bytes.number::<f64>(),
        i => [0.0, 1e-3, 1e-6, 1e-9][i % 4],
    };
    let iterations = if bytes.rarely() { 1000 } else { bytes.below(60) };
    let top = [usize::MAX, usize::MAX, bytes.below(6), 1 + bytes.below(24)][bytes.below(4)];
    let stop = if bytes.flag() { bytes.below(30) } else { usize::MAX };
    let solver = SparseTransport::new(gamma).tolerance(tolerance).max_iterations(iterations);
    let solver = if top == usize::MAX { solver } else { solver.max_entries_per_row(top) };
    let run = |isa: Isa, cost: MatRef<'_, T>| -> (Result<SparseSolution<T>, Error>, Seen) {
        let mut seen = Vec::new();
        let result = solver.clone().isa(isa).solve_with_progress(cost, &a, &b, |progress| {
            seen.push((progress.iteration, progress.error, progress.gamma));
            if seen.len() < stop { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        (result, seen)
    };
    let scalar = run(isas()[isas().len() - 1], cost.view()).0;
    for isa in isas() {
        let (result, seen) = run(isa, cost.view());
        let solution = match (&result, &scalar) {
            (Ok(solution), Ok(_)) => solution,
            (Err(error), Err(same)) if same_error(error, same) => continue,
            (error, other) => panic!("{error:?} on {isa}, {other:?} on scalar"),
        };
        assert_eq!(solution.iterations(), seen.len(), "{isa}");
        assert!(seen.len() <= iterations && seen.iter().zip(1..).all(|(seen, i)| seen.0 == i), "{seen:?} on {isa}");
        assert!(seen.iter().all(|seen| seen.1 >= 0.0 && seen.2 >= gamma * (1.0 - 1e-12)), "{seen:?} on {isa}");
        let error = solution.marginal_error();
        assert_eq!(solution.converged(), error <= converged_error::<T>(tolerance), "{error} on {isa}");
        assert_eq!(solution.converged(), solution.status() == Status::Converged, "{isa}");
        assert_eq!(solution.status() == Status::Stopped, seen.len() >= stop.max(1) && !solution.converged(), "{isa}");
        for (potentials, masses) in [(solution.f(), &a), (solution.g(), &b)] {
            for (x, mass) in potentials.iter().zip(masses) {
                let right = if mass.wide() > 0.0 { x.is_finite() } else { *x == f64::NEG_INFINITY };
                assert!(right, "a potential of {x} with a mass of {mass} on {isa}: {solver:?}");
            }
        }
        check_plan(isa, &cost, (&a, &b), solution, (gamma, top));
        if let Ok(scalar) = &scalar {
            assert!(same(&numbers(solution), &numbers(scalar)), "other bits on {isa}: {solution:?}, {scalar:?}");
        }
        // Again, from other places in memory.
        let again = Matrix::new(&cost.written().concat(), rows, cols, 5);
        let again = run(isa, again.view()).0.expect("as before");
        assert!(same(&numbers(solution), &numbers(&again)), "other bits from other places on {isa}");
        assert_eq!(solution.plan().columns, again.plan().columns, "other entries from other places on {isa}");
    }
}

/// Everything known of a solution but for the places of the entries.
fn numbers<T: Float>(solution: &SparseSolution<T>) -> Vec<f64> {
    let values = [solution.marginal_error(), solution.cost(), solution.value(), solution.dual_value()];
    let masses = solution.plan().masses.iter().map(|mass| mass.wide());
    values.into_iter().chain(solution.f().iter().chain(solution.g()).copied()).chain(masses).collect()
}

/// The plan has the masses of the rows, few entries in each, none that is forbidden, and the error
/// and the reported values.
fn check_plan<T: Float>(
    isa: Isa,
    cost: &Matrix<T>,
    (a, b): (&[T], &[T]),
    solution: &SparseSolution<T>,
    (gamma, top): (f64, usize),
) {
    let (rows, cols, csr) = (a.len(), b.len(), solution.plan());
    assert_eq!((csr.rows, csr.cols, csr.row_pointers.len(), csr.row_pointers[0]), (rows, cols, rows + 1, 0), "{isa}");
    assert!(csr.row_pointers[rows] == csr.masses.len() && csr.columns.len() == csr.masses.len(), "{isa}");
    let mut plan = Matrix::<T>::unwritten(rows, cols, 2);
    solution.plan_into(plan.view_mut()).expect("the shape of the problem");
    let plan = plan.written();
    let total: f64 = a.iter().map(|a| a.wide()).sum();
    let total_b: f64 = b.iter().map(|b| b.wide()).sum();
    let is_finite = |x: &f64| x.is_finite();
    let potentials = solution.f().iter().chain(solution.g()).copied().filter(is_finite);
    let size = potentials.chain(finite_costs(cost)).fold(0.0, |max: f64, x| max.max(x.abs()));
    // The rounding error of a potential or score, in units of the plan, and of masses.
    let (score, mass) = (1e-15 * size / gamma, T::EPSILON * total + T::TINIEST.wide());
    let (mut columns, mut paid, mut square, mut row_error) = (vec![0.0; cols], 0.0, 0.0, 0.0);
    for i in 0..rows {
        let entries = csr.row_pointers[i]..csr.row_pointers[i + 1];
        assert!(entries.len() <= top, "{} entries in row {i} on {isa}", entries.len());
        assert!(csr.columns[entries.clone()].windows(2).all(|pair| pair[0] < pair[1]), "{isa}");
        let mut sum = 0.0;
        for at in entries.clone() {
            let j = csr.columns[at] as usize;
            let (p, c) = (csr.masses[at].wide(), cost.view().row(i)[j].wide());
            assert!(p.is_finite() && p >= 0.0 && p == plan[i][j].wide(), "{p:e} at ({i}, {j}) on {isa}");
            assert!(a[i].wide() > 0.0 && b[j].wide() > 0.0 && c < f64::INFINITY, "an entry at ({i}, {j}) on {isa}");
            let expected = (solution.f()[i] + solution.g()[j] - c).max(0.0) / gamma;
            let near = (p - expected).abs() <= 8.0 * score + 4.0 * mass;
            assert!(near, "{p:e} at ({i}, {j}) on {isa}, {expected:e} by the potentials");
            columns[j] += p;
            (sum, paid, square) = (sum + p, paid + p * c, square + p * p);
        }
        let positive = csr.masses[entries.clone()].iter().filter(|p| p.wide() > 0.0).count();
        assert_eq!(plan[i].iter().filter(|p| p.wide() > 0.0).count(), positive, "row {i} on {isa}");
        let is_listed = |j: usize| csr.columns[entries.clone()].contains(&(j as u32));
        for j in (0..if top < cols { 0 } else { cols }).filter(|&j| !is_listed(j)) {
            let height = (solution.f()[i] + solution.g()[j] - cost.view().row(i)[j].wide()) / gamma;
            let is_rest = height <= 8.0 * score + 4.0 * mass || b[j].wide() == 0.0 || a[i].wide() == 0.0;
            assert!(is_rest, "no entry at ({i}, {j}) on {isa}, {height:e} by the potentials");
        }
        let allowed = cols as f64 * 4.0 * mass;
        assert!((sum - a[i].wide()).abs() <= allowed, "row {i} sums to {sum:e}, not {:e}, on {isa}", a[i].wide());
        row_error += (sum - a[i].wide()).abs();
    }
    let column_error: f64 = columns.iter().zip(b).map(|(c, b)| (c - b.wide() / total_b * total).abs()).sum();
    let (measured, error) = (row_error + column_error, solution.marginal_error() * total);
    let allowed = (rows * cols) as f64 * 8.0 * mass;
    assert!((measured - error).abs() <= allowed, "the error is {measured:e}, not {error:e}, on {isa}");
    // The values are sums of these terms.
    let largest = finite_costs(cost).fold(0.0, |max: f64, c| max.max(c.abs()));
    let allowed = (rows * cols) as f64 * 8.0 * mass * (largest + gamma * total);
    let value = paid + 0.5 * gamma * square;
    for (name, value, expected) in [("cost", solution.cost(), paid), ("value", solution.value(), value)] {
        assert!(
            (value - expected).abs() <= allowed || allowed > 1e300,
            "the {name} is {expected:e}, not {value:e}, on {isa}"
        );
    }
    if solution.converged() && size < 1e200 && gamma < 1e100 {
        // By weak duality, up to what the columns miss.
        let gap = (solution.value() - solution.dual_value()).abs();
        let allowed =
            2.0 * error * size + allowed + 1e-13 * (rows * cols) as f64 * (size * total + gamma * total * total);
        assert!(gap <= allowed, "the gap is {gap:e}, more than {allowed:e}, on {isa}");
    }
}
