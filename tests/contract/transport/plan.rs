//! The plan: as a whole, by rows, and its entries above a threshold, one by one or compressed.

use super::{Case, Num, wide};
use crate::support::{
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::transport::PlanEntry;
use mantex::{Error, MatMut, MatRef, Sinkhorn};

for_both_types! {
    rows_and_entries_are_those_of_the_plan
}

#[test]
fn the_plan_checks_its_arguments_first() {
    let case = Case::<f64>::random(3, 4, 0.5, 81);
    let transport = case.solve(&Sinkhorn::new(case.epsilon));
    let mut out = [7.0; 12];
    let error = transport.plan_into(case.matrix(), MatMut::new(&mut out, 4, 3).unwrap());
    assert_eq!(error, Err(Error::ShapeMismatch { argument: "out", actual: (4, 3), expected: (3, 4) }));
    let turned = MatRef::new(&case.cost, 4, 3).unwrap();
    let error = transport.plan_into(turned, MatMut::new(&mut out, 3, 4).unwrap());
    let shape = Error::ShapeMismatch { argument: "cost", actual: (4, 3), expected: (3, 4) };
    assert_eq!(error.as_ref(), Err(&shape));
    assert_eq!(transport.plan_rows(turned).err().as_ref(), Some(&shape));
    assert_eq!(transport.plan_entries(turned, 0.0).err().as_ref(), Some(&shape));
    assert_eq!(transport.objective(turned).as_ref(), Err(&shape));
    assert_eq!(out, [7.0; 12]);
    for threshold in [-1e-9, f64::NAN] {
        let error = transport.plan_entries(case.matrix(), threshold).unwrap_err();
        assert!(matches!(error, Error::InvalidParameter { argument: "threshold", .. }), "{error}");
        let of_csr = transport.plan_csr(case.matrix(), threshold).unwrap_err();
        assert_eq!(of_csr.to_string(), error.to_string());
    }
    assert_eq!(transport.plan_csr(turned, 0.0).err().as_ref(), Some(&shape));
    // Another matrix of the shape, whatever is in it, is no danger.
    let other = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e300, 1e300, 0.0, -0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    for isa in isas() {
        let transport = case.solve(&Sinkhorn::new(case.epsilon).isa(isa));
        let other = MatRef::new(&other, 3, 4).unwrap();
        transport.plan_into(other, MatMut::new(&mut out, 3, 4).unwrap()).unwrap();
        assert!(transport.plan_entries(other, 0.0).unwrap().count() <= 12);
        assert!(transport.plan_csr(other, 0.0).unwrap().masses.len() <= 12);
        transport.objective(other).unwrap();
    }
}

fn rows_and_entries_are_those_of_the_plan<T: Num>() {
    // One block of rows or several, with rows without mass at their edges; words of 64 columns and
    // a part of one.
    let shapes: &[(usize, usize)] = if small_cases() {
        &[(7, 5), (6, 131), (18, 700)]
    } else {
        &[(1, 1), (7, 5), (1500, 3), (9, 64), (6, 131), (18, 700), (200, 400)]
    };
    for &(n, m) in shapes {
        let case = Case::<T>::random(n, m, 0.05, 91);
        let case = if n > 1 { case.with_zeros().with_forbidden() } else { case };
        for isa in isas() {
            let transport = case.solve(&Sinkhorn::new(case.epsilon).max_iterations(3).isa(isa));
            let plan = case.plan(&transport);
            let mut rows = transport.plan_rows(case.matrix()).unwrap();
            for (i, expected) in plan.chunks(m).enumerate() {
                let (index, row) = rows.next_row().unwrap();
                assert_eq!((index, wide(row)), (i, expected.to_vec()), "{isa} {n}x{m}");
            }
            assert!(rows.next_row().is_none() && rows.next_row().is_none());

            let largest = plan.iter().fold(0.0, |max: f64, &p| max.max(p));
            for threshold in [0.0, largest / 10.0, largest] {
                let mut entries = transport.plan_entries(case.matrix(), T::of(threshold)).unwrap();
                let expected = plan.iter().enumerate().filter(|(_, p)| **p > T::of(threshold).wide());
                for (at, &mass) in expected {
                    let entry = PlanEntry { row: at / m, column: at % m, mass: T::of(mass) };
                    assert_eq!(entries.next(), Some(entry), "{isa} {n}x{m} above {threshold:e}");
                }
                assert!(entries.next().is_none() && entries.next().is_none(), "{isa} {n}x{m} above {threshold:e}");

                let csr = transport.plan_csr(case.matrix(), T::of(threshold)).unwrap();
                assert_eq!((csr.rows, csr.cols, csr.row_pointers.len(), csr.row_pointers[0]), (n, m, n + 1, 0));
                assert_eq!(csr.columns.len(), csr.masses.len());
                let row = |i: usize| csr.row_pointers[i]..csr.row_pointers[i + 1];
                let entries: Vec<_> = (0..n)
                    .flat_map(|row_index| row(row_index).map(move |at| (row_index, at)))
                    .map(|(row, at)| PlanEntry { row, column: csr.columns[at] as usize, mass: csr.masses[at] })
                    .collect();
                let expected: Vec<_> = transport.plan_entries(case.matrix(), T::of(threshold)).unwrap().collect();
                assert_eq!(entries, expected, "{isa} {n}x{m} above {threshold:e}");
            }
        }
    }
}
