//! Batches without problems, and the error of every bad batch.

use super::{Case, Num};
use crate::support::for_both_types;
use mantex::{Axis, Error, MatRef, Sinkhorn};

for_both_types! {
    every_bad_batch_has_its_error
}

#[test]
fn no_problems_are_no_error() {
    let case = Case::<f64>::random(3, 4, 0.5, 13);
    let (none_a, none_b) = (MatRef::new(&[], 0, 3).unwrap(), MatRef::new(&[], 0, 4).unwrap());
    let (a, b) = (MatRef::new(&case.a, 1, 3).unwrap(), MatRef::new(&case.b, 1, 4).unwrap());
    let solver = Sinkhorn::new(case.epsilon);
    for (a, b) in [(none_a, none_b), (a, none_b), (none_a, b)] {
        let batch = solver.solve_batch(case.matrix(), a, b).unwrap();
        assert_eq!((batch.len(), batch.is_empty()), (0, true));
    }
}

fn every_bad_batch_has_its_error<T: Num>() {
    let of = |x: &[f64]| x.iter().map(|&x| T::of(x)).collect::<Vec<_>>();
    let inf = f64::INFINITY;
    // Rows of a and of b, each of as many columns as asked for.
    let solve = |solver: Sinkhorn, cost: &[f64], a: (&[f64], usize), b: (&[f64], usize)| {
        let (cost, (a, a_cols), (b, b_cols)) = (of(cost), (of(a.0), a.1), (of(b.0), b.1));
        let (rows, cols) = if cost.is_empty() { (0, 2) } else { (2, 2) };
        let view = |x, cols| MatRef::new(x, <[T]>::len(x) / cols, cols).unwrap();
        solver.solve_batch(MatRef::new(&cost, rows, cols).unwrap(), view(&a, a_cols), view(&b, b_cols)).unwrap_err()
    };
    let solver = Sinkhorn::new(0.1);
    let good = [0.0, 1.0, 1.0, 0.0];
    let halves = [0.5; 6];
    for epsilon in [0.0, -1.0, inf, f64::NAN, 1e-320] {
        let error = solve(Sinkhorn::new(epsilon), &good, (&halves, 2), (&halves, 2));
        assert!(matches!(error, Error::InvalidParameter { argument: "epsilon", .. }), "{epsilon}: {error}");
    }
    for tolerance in [-1.0, f64::NAN, inf] {
        let error = solve(solver.clone().tolerance(tolerance), &good, (&halves, 2), (&halves, 2));
        assert!(matches!(error, Error::InvalidParameter { argument: "tolerance", .. }), "{error}");
    }
    let bad = |cost: &[f64], a: &[f64], b: &[f64]| solve(solver.clone(), cost, (a, 2), (b, 2));
    assert_eq!(bad(&[], &halves, &halves), Error::Empty { argument: "cost" });
    let error = solve(solver.clone(), &good, (&halves, 3), (&halves, 2));
    assert_eq!(error, Error::ShapeMismatch { argument: "a", actual: (2, 3), expected: (2, 2) });
    let error = solve(solver.clone(), &good, (&halves, 2), (&halves, 1));
    assert_eq!(error, Error::ShapeMismatch { argument: "b", actual: (6, 1), expected: (3, 2) });
    assert_eq!(
        bad(&good, &halves, &halves[..4]),
        Error::ShapeMismatch { argument: "b", actual: (2, 2), expected: (3, 2) }
    );
    for wrong in [-0.1, f64::NAN, inf, -inf] {
        let error = bad(&good, &[0.5, 0.5, 0.5, 0.5, 0.5, wrong], &halves);
        assert!(matches!(error, Error::InvalidElement { argument: "a", row: 2, col: 1, .. }), "{error}");
        let error = bad(&good, &halves[..2], &[0.5, 0.5, wrong, 0.5]);
        assert!(matches!(error, Error::InvalidElement { argument: "b", row: 1, col: 0, .. }), "{error}");
    }
    assert!(matches!(bad(&good, &[0.5, 0.5, 0.0, 0.0], &halves[..4]), Error::InvalidTotalMass { argument: "a", .. }));
    assert!(matches!(bad(&good, &halves[..2], &[0.5, 0.5, 0.0, 0.0]), Error::InvalidTotalMass { argument: "b", .. }));
    let error = bad(&good, &halves[..2], &[0.5, 0.5, 0.5, 0.501]);
    assert!(matches!(error, Error::MassMismatch { b, .. } if b > 1.0005), "{error}");
    for wrong in [f64::NAN, -inf] {
        // Also where there is no mass.
        let error = bad(&[0.0, 1.0, wrong, 0.0], &[1.0, 0.0], &halves);
        assert!(matches!(error, Error::InvalidElement { argument: "cost", row: 1, col: 0, .. }), "{error}");
    }
    // The first problem is fine, the second has mass without a partner.
    let (a, b) = ([1.0, 0.0, 0.0, 1.0], [0.5, 0.5, 0.5, 0.5]);
    assert_eq!(bad(&[0.0, 1.0, inf, inf], &a, &b), Error::Infeasible { axis: Axis::Row, index: 1 });
    assert_eq!(bad(&[0.0, 1.0, inf, 0.0], &a, &b), Error::Infeasible { axis: Axis::Column, index: 0 });
    // Too small for the potentials, seen while it is solved.
    let error = solve(Sinkhorn::new(1e-30), &good, (&[1.0, 0.0, 0.3, 0.7], 2), (&halves[..4], 2));
    assert!(matches!(error, Error::InvalidParameter { argument: "epsilon", .. }), "{error}");
}
