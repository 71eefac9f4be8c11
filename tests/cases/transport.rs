//! Optimal transport: single problems with every setting, their plans, and batches; sparse plans.

use super::{Bytes, Matrix, same, same_error};
use crate::support::{
    double_double::power_of_two,
    float::{Float, same_bits},
    isas::isas,
};
use mantex::transport::{EpsilonScaling, Method, OverRelaxation, PlanEntry, Status, Transport, TransportBatch};
use mantex::{Error, Isa, MatRef, Sinkhorn};
use std::ops::ControlFlow;

pub(crate) fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.below(6) {
        0 => single::<f32>(&mut bytes),
        1 => single::<f64>(&mut bytes),
        2 => batch::<f32>(&mut bytes),
        3 => batch::<f64>(&mut bytes),
        #[cfg(feature = "sparse-transport")]
        4 => super::sparse_transport::check::<f32>(&mut bytes),
        #[cfg(feature = "sparse-transport")]
        _ => super::sparse_transport::check::<f64>(&mut bytes),
        #[cfg(not(feature = "sparse-transport"))]
        _ => {}
    }
}

/// Of a potential after the same iterations, relative to the largest cost; and of entries of the
/// plan: as in the tests of the solver, for each of the two results that are compared.
fn tolerances<T: Float>() -> (f64, f64) {
    if T::DIGITS == 24 { (2.0 * 3e-7, 2.0 * 4e-6) } else { (2.0 * 1e-14, 2.0 * 1e-12) }
}

/// Costs: any, or mostly costs that can be computed with, some of them forbidden.
pub(super) fn costs<T: Float>(bytes: &mut Bytes<'_>, rows: usize, cols: usize) -> Matrix<T> {
    let mut cost = bytes.matrix::<T>(rows, cols);
    let (any, sign) = (bytes.rarely(), bytes.flag());
    for i in 0..if any { 0 } else { rows } {
        for c in cost.view_mut().row_mut(i) {
            let good = c.wide() > f64::NEG_INFINITY;
            *c = T::of(if !good {
                0.5
            } else if sign {
                c.wide()
            } else {
                c.wide().abs()
            });
        }
    }
    cost
}

/// Masses with the given total, or mostly so: whole numbers, so that some are 0.
pub(super) fn masses<T: Float>(bytes: &mut Bytes<'_>, n: usize, total: f64) -> Vec<T> {
    if bytes.rarely() {
        return bytes.numbers(n);
    }
    let few = 1 + bytes.below(9);
    let whole: Vec<f64> = (0..n).map(|i| (bytes.below(few) + usize::from(i == 0)) as f64).collect();
    let sum: f64 = whole.iter().sum();
    whole.iter().map(|x| T::of(x / sum * total)).collect()
}

pub(super) fn finite_costs<T: Float>(cost: &Matrix<T>) -> impl Iterator<Item = f64> {
    cost.view().iter_rows().flatten().map(|c| c.wide()).filter(|c| c.is_finite())
}

/// The error of a solution that has converged.
pub(super) fn converged_error<T: Float>(tolerance: f64) -> f64 {
    let default = if T::DIGITS == 24 { 1e-4 } else { 1e-6 };
    if tolerance > 0.0 { tolerance } else { default }
}

fn solver<T: Float>(bytes: &mut Bytes<'_>, cost: &Matrix<T>) -> (Sinkhorn, f64, f64, usize) {
    let largest = finite_costs(cost).fold(1e-3, |max: f64, c| max.max(c.abs()));
    let epsilon = match bytes.below(16) {
        15 => bytes.number::<T>().wide(),
        i => T::of(largest * [1.0, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-5][i % 7]).wide(),
    };
    let tolerance = match bytes.below(16) {
        15 => bytes.number::<T>().wide(),
        i => [0.0, 0.0, 1e-3, 1e-6, 1e-9][i % 5],
    };
    let iterations = bytes.below(30);
    let method = bytes.pick(&[Method::Log, Method::Scaling, Method::Auto, Method::Newton]);
    let solver = Sinkhorn::new(epsilon).tolerance(tolerance).max_iterations(iterations).method(method);
    (solver.memory_limit(bytes.pick(&[usize::MAX, 2000, 0])), epsilon, tolerance, iterations)
}

/// What a run told about itself.
type Told = Vec<(usize, f64, f64)>;

fn single<T: Float>(bytes: &mut Bytes<'_>) {
    let (rows, cols) = (bytes.below(40), bytes.below(40));
    let cost = costs::<T>(bytes, rows, cols);
    let total = bytes.pick(&[1.0, 1.0, 1.0, 100.0, 1e-30, 1e30]);
    let (a, b) = (masses::<T>(bytes, rows, total), masses::<T>(bytes, cols, total));
    let (mut solver, epsilon, tolerance, iterations) = solver(bytes, &cost);
    let relaxed = bytes.below(4);
    solver = match relaxed {
        0 => solver.over_relaxation(OverRelaxation::Auto),
        1 => solver.over_relaxation(OverRelaxation::Factor(f64::from(bytes.byte()) / 120.0)),
        _ => solver.over_relaxation(OverRelaxation::Off),
    };
    let scaled = bytes.below(4);
    solver = match scaled {
        0 => {
            let factor = if bytes.rarely() { bytes.number::<f64>() } else { 1.1 + bytes.below(9) as f64 };
            solver.epsilon_scaling(EpsilonScaling::Factor(factor))
        }
        1 => solver,
        _ => solver.epsilon_scaling(EpsilonScaling::Off),
    };
    let started = bytes.below(4) == 0;
    if started {
        let wide = |x: Vec<T>| x.into_iter().map(|x| x.wide()).collect::<Vec<f64>>();
        let more = usize::from(bytes.rarely());
        solver = solver.warm_start(wide(bytes.numbers(rows + more)), wide(bytes.numbers(cols)));
    }
    let stop = if bytes.flag() { bytes.below(30) } else { usize::MAX };
    let run = |isa: Isa, cost: MatRef<'_, T>| -> (Result<Transport<T>, Error>, Told) {
        let mut told = Vec::new();
        let result = solver.clone().isa(isa).solve_with_progress(cost, &a, &b, |progress| {
            told.push((progress.iteration, progress.error, progress.epsilon));
            if told.len() < stop { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        (result, told)
    };
    let scalar = run(isas()[isas().len() - 1], cost.view()).0;
    // Not expansive, so that what is rounded differently does not grow; and with costs that f32
    // tells apart.
    let steady = relaxed > 1 && (scaled > 1 || started && scaled == 1) && tolerance == 0.0 && {
        let most = if T::DIGITS == 24 { 1e6 } else { 1e9 };
        finite_costs(&cost).all(|c| c.abs() <= most * epsilon && c.abs() <= 1e30)
    };
    for isa in isas() {
        let (result, told) = run(isa, cost.view());
        let transport = match (&result, &scalar) {
            (Ok(transport), _) => transport,
            (Err(error), Err(same)) if same_error(error, same) => continue,
            // Found on the way, where potentials are close to the limit.
            (Err(Error::InvalidParameter { argument: "epsilon", .. }), Ok(_)) if !steady => continue,
            (error, other) => panic!("{error:?} on {isa}, {other:?} on scalar"),
        };
        assert_eq!(transport.iterations(), told.len(), "{isa}");
        assert!(told.len() <= iterations && told.iter().zip(1..).all(|(told, i)| told.0 == i), "{told:?} on {isa}");
        assert!(told.iter().all(|&(_, error, epsilon)| error >= 0.0 && epsilon > 0.0), "{told:?} on {isa}");
        let error = transport.marginal_error();
        assert_eq!(transport.converged(), error <= converged_error::<T>(tolerance), "{error} on {isa}");
        assert_eq!(transport.converged(), transport.status() == Status::Converged, "{isa}");
        assert_eq!(transport.status() == Status::Stopped, told.len() >= stop.max(1) && !transport.converged(), "{isa}");
        for (potentials, masses) in [(transport.f(), &a), (transport.g(), &b)] {
            for (x, mass) in potentials.iter().zip(masses) {
                let right = if mass.wide() > 0.0 { x.wide().is_finite() } else { x.wide() == f64::NEG_INFINITY };
                assert!(right, "a potential of {x} with a mass of {mass} on {isa}");
            }
        }
        let accuracy = (epsilon, converged_error::<T>(tolerance));
        check_plan(isa, &cost, (&a, &b), transport, accuracy, started || relaxed == 1);
        if let (Ok(scalar), true) = (&scalar, steady) {
            let largest = finite_costs(&cost).fold(0.0, |max: f64, c| max.max(c.abs()));
            let (potential, entry) = tolerances::<T>();
            // A constant may be moved from g to f.
            let sides = transport.f().iter().zip(scalar.f());
            let level = sides.clone().find(|(_, y)| y.is_finite()).map_or(0.0, |(x, y)| x - y);
            let sides = sides.map(|(x, y)| (x - level, *y));
            for (x, y) in sides.chain(transport.g().iter().map(|g| g + level).zip(scalar.g().iter().copied())) {
                let allowed = potential * (largest + y.abs()) + entry * epsilon;
                assert!(x == y || (x - y).abs() <= allowed, "potentials {x:e} on {isa}, {y:e} on scalar");
            }
        }
        // Again, from other places in memory.
        let again = Matrix::new(&cost.written().concat(), rows, cols, 5);
        let again = run(isa, again.view()).0.expect("as before");
        let bits = |t: &Transport<T>| [t.f(), t.g(), &[t.marginal_error(), t.cost()]].concat();
        assert!(same(&bits(transport), &bits(&again)), "other bits from other places on {isa}");
    }
}

/// The plan is one, is the same in every form, and has the error and cost that were told.
fn check_plan<T: Float>(
    isa: Isa,
    cost: &Matrix<T>,
    (a, b): (&[T], &[T]),
    transport: &Transport<T>,
    (epsilon, tolerance): (f64, f64),
    may_overflow: bool,
) {
    let (rows, cols) = (a.len(), b.len());
    let mut plan = Matrix::<T>::unwritten(rows, cols, 2);
    transport.plan_into(cost.view(), plan.view_mut()).expect("the shape of the problem");
    let plan = plan.written();
    for (i, j) in (0..rows * cols).map(|at| (at / cols, at % cols)) {
        let (p, c) = (plan[i][j].wide(), cost.view().row(i)[j].wide());
        let possible = a[i].wide() > 0.0 && b[j].wide() > 0.0 && c < f64::INFINITY;
        let right = if possible { p >= 0.0 && (p.is_finite() || may_overflow) } else { p == 0.0 };
        assert!(right, "{p:e} at ({i}, {j}) of the plan on {isa}, the cost is {c:e}");
    }
    let mut by_rows = transport.plan_rows(cost.view()).expect("the shape of the problem");
    for (i, &expected) in plan.iter().enumerate() {
        let (at, row) = by_rows.next_row().expect("as many rows");
        assert!(at == i && same_bits(row, expected), "row {i} of the plan on {isa}");
    }
    assert!(by_rows.next_row().is_none());
    let threshold = plan.concat().get(rows * cols / 2).copied().filter(|p| p.wide().is_finite()).unwrap_or(T::of(0.0));
    let mut entries = transport.plan_entries(cost.view(), threshold).expect("the shape of the problem");
    for (i, j) in (0..rows * cols).map(|at| (at / cols, at % cols)).filter(|&(i, j)| plan[i][j] > threshold) {
        assert_eq!(entries.next(), Some(PlanEntry { row: i, column: j, mass: plan[i][j] }), "{isa}");
    }
    assert_eq!(entries.next(), None);

    let objective = transport.objective(cost.view()).expect("the shape of the problem");
    let total: f64 = a.iter().map(|a| a.wide()).sum();
    let row_error: f64 =
        plan.iter().zip(a).map(|(p, a)| (p.iter().map(|p| p.wide()).sum::<f64>() - a.wide()).abs()).sum();
    let column = |j: usize| plan.iter().map(|row| row[j].wide()).sum::<f64>();
    // b counts scaled to the total of a, and the error is relative to that.
    let total_b: f64 = b.iter().map(|b| b.wide()).sum();
    let columns = b.iter().map(|b| b.wide() / total_b * total);
    let column_error: f64 = columns.enumerate().map(|(j, b)| (column(j) - b).abs()).sum();
    let (measured, error) = (row_error + column_error, transport.marginal_error() * total);
    assert!(error >= 0.0, "a marginal error of {error} on {isa}");
    let sizes = transport.f().iter().chain(transport.g()).map(|x| x.wide()).filter(|x| x.is_finite());
    let size = sizes.chain(finite_costs(cost)).fold(0.0, |max: f64, x| max.max(x.abs()));
    // An exponent is as accurate as its terms are: in f64, or in two parts of 24 bits.
    let digits = if T::DIGITS == 24 { 3e-14 } else { 1e-15 };
    let entry = tolerances::<T>().1 + digits * size / epsilon;
    // Entries of the plan may be flushed to 0, before and after they are multiplied by the total.
    let flushed = (rows * cols) as f64 * power_of_two(T::MIN_EXPONENT) * total.max(1.0);
    let mass: f64 = plan.concat().iter().map(|p| p.wide()).sum();
    // Values of costs or an epsilon near the largest number, or of a plan far from its marginals,
    // overflow on the way.
    if mass < 1e3 * total && size < T::LARGEST.wide() * power_of_two(-60) && epsilon < 1e200 {
        assert!(objective.gap >= 0.0, "{objective:?} on {isa}");
        let allowed = 1e-2 * entry.sqrt() * measured + entry * (total + mass) + flushed;
        assert!(
            (error - measured).abs() <= allowed,
            "the error is {measured:e}, not {error:e}, on {isa}: {transport:?} {:?} {plan:?}",
            cost.written()
        );
        let values = |f: fn(f64) -> f64| -> f64 {
            let pairs = plan.concat().into_iter().zip(cost.written().concat());
            pairs.filter(|(p, _)| p.wide() > 0.0).map(|(p, c)| p.wide() * f(c.wide())).sum()
        };
        let (expected, size) = (values(|c| c), values(f64::abs));
        let largest = finite_costs(cost).fold(0.0, |max: f64, c| max.max(c.abs()));
        // Products with subnormal costs are rounded before they are multiplied by the total.
        let rounded = (rows * cols) as f64 * T::TINIEST.wide() * (total + mass);
        let allowed = entry * size + 2.0 * flushed * largest + flushed + rounded;
        // Offsets of the costs that would take digits count as paid exactly.
        let are_centered = largest / epsilon * f64::EPSILON > tolerance / 8.0;
        let offsets = if are_centered { 2.0 * measured * largest } else { 0.0 };
        for (cost, allowed) in [(transport.cost(), allowed + offsets), (objective.cost, allowed)] {
            let close = (cost - expected).abs() <= allowed || size > T::LARGEST.wide();
            assert!(close, "the cost is {expected:e}, not {cost:e}, on {isa}");
        }
    }
}

/// Everything known of a problem.
fn numbers<T: Float>(batch: &TransportBatch<T>, p: usize) -> (Vec<f64>, usize) {
    let potentials = batch.f(p).iter().chain(batch.g(p)).map(|x| x.wide());
    (potentials.chain([batch.marginal_error(p), batch.value(p)]).collect(), batch.iterations(p))
}

/// Problems in a batch are what they are alone, and those of the single solver after as many
/// iterations.
fn batch<T: Float>(bytes: &mut Bytes<'_>) {
    let (rows, cols) = (bytes.below(20), bytes.below(20));
    let count = if bytes.rarely() { bytes.below(80) } else { bytes.below(6) };
    let cost = costs::<T>(bytes, rows, cols);
    let total = bytes.pick(&[1.0, 1.0, 100.0, 1e-20]);
    let mut side = |n: usize| -> Matrix<T> {
        let count = if bytes.below(4) == 0 { 1 } else { count };
        let x: Vec<T> = (0..count).flat_map(|_| masses::<T>(bytes, n, total)).collect();
        Matrix::new(&x, count, n, bytes.below(3))
    };
    let (a, b) = (side(rows), side(cols));
    let (solver, epsilon, tolerance, iterations) = solver(bytes, &cost);
    // Iterations that are compared with those of `solve`.
    let solver = if tolerance == 0.0 {
        solver.over_relaxation(OverRelaxation::Off).epsilon_scaling(EpsilonScaling::Off)
    } else {
        solver
    };
    let run = |isa: Isa, a: MatRef<'_, T>, b: MatRef<'_, T>| solver.clone().isa(isa).solve_batch(cost.view(), a, b);
    let scalar = run(isas()[isas().len() - 1], a.view(), b.view());
    for isa in isas() {
        let batch = match (run(isa, a.view(), b.view()), &scalar) {
            (Ok(batch), _) => batch,
            (Err(error), Err(same)) if same_error(&error, same) => continue,
            (Err(Error::InvalidParameter { argument: "epsilon", .. }), Ok(_)) => continue,
            (error, other) => panic!("{error:?} on {isa}, {other:?} on scalar"),
        };
        let problems = if a.rows == 1 { b.rows } else { a.rows };
        assert_eq!(batch.len(), problems);
        for p in 0..problems {
            let of = |side: &Matrix<T>| side.written()[if side.rows == 1 { 0 } else { p }].to_vec();
            let (a, b) = (of(&a), of(&b));
            let one = |x| MatRef::new(x, 1, x.len()).expect("it fits");
            let alone = run(isa, one(&a), one(&b)).expect("as in the batch");
            let ((x, x_iterations), (y, y_iterations)) = (numbers(&batch, p), numbers(&alone, 0));
            assert!(same(&x, &y) && x_iterations == y_iterations, "problem {p} is another alone on {isa}: {x:?} {y:?}");
            assert!(
                x_iterations <= iterations
                    && batch.converged(p) == (batch.marginal_error(p) <= converged_error::<T>(tolerance))
            );
            for (x, mass) in batch.f(p).iter().chain(batch.g(p)).zip(a.iter().chain(&b)) {
                let right = if mass.wide() > 0.0 { x.wide().is_finite() } else { x.wide() == f64::NEG_INFINITY };
                assert!(right, "a potential of {x} with a mass of {mass} on {isa}");
            }
            if tolerance == 0.0 && finite_costs(&cost).all(|c| c.abs() <= 1e6 * epsilon) {
                let single =
                    solver.clone().isa(isa).method(Method::Log).solve(cost.view(), &a, &b).expect("as in batch");
                let largest = finite_costs(&cost).fold(0.0, |max: f64, c| max.max(c.abs()));
                let (potential, entry) = tolerances::<T>();
                // A constant may be moved from g to f.
                let sides = batch.f(p).iter().map(|f| f.wide()).zip(single.f());
                let level = sides.clone().find(|(_, y)| y.is_finite()).map_or(0.0, |(x, y)| x - y);
                let sides = sides.map(|(x, y)| (x - level, *y));
                let others = batch.g(p).iter().map(|g| g.wide() + level).zip(single.g().iter().copied());
                for (x, y) in sides.chain(others) {
                    let allowed = potential * (largest + y.abs()) + entry * epsilon;
                    assert!(x == y || (x - y).abs() <= allowed, "potentials {x:e} in a batch, {y:e} alone on {isa}");
                }
            }
        }
    }
}
