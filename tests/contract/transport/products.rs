//! Products of the plan with vectors, against those of the stored plan.

use super::{Case, Num, wide};
use crate::support::{
    data::{rng, uniform},
    for_both_types,
    isas::isas,
};
use mantex::{Error, MatMut, MatRef, Sinkhorn};

for_both_types! {
    products_are_those_of_the_stored_plan
}

fn products_are_those_of_the_stored_plan<T: Num>() {
    for (n, m, d) in [(1, 1, 1), (3, 70, 2), (41, 5, 3), (19, 33, 17), (300, 20, 1), (4, 3, 0)] {
        let case = Case::<T>::random(n, m, 0.1, 91).with_zeros().with_forbidden();
        let (x, y): (Vec<T>, Vec<T>) =
            (uniform(n * d, -1.0, 1.0, &mut rng(92)), uniform(m * d, -1.0, 1.0, &mut rng(93)));
        let (wide_x, wide_y) = (wide(&x), wide(&y));
        let (x, y) = (MatRef::new(&x, n, d).unwrap(), MatRef::new(&y, m, d).unwrap());
        for isa in isas() {
            let transport = case.solve(&Sinkhorn::new(case.epsilon).isa(isa));
            let plan = case.plan(&transport);
            let mut of_rows = vec![T::of(9.0); n * d];
            transport.plan_times(case.matrix(), y, MatMut::new(&mut of_rows, n, d).unwrap()).unwrap();
            let mut of_columns = vec![T::of(9.0); m * d];
            transport.plan_transposed_times(case.matrix(), x, MatMut::new(&mut of_columns, m, d).unwrap()).unwrap();
            let mut projected = vec![T::of(9.0); n * d];
            transport.barycentric_projection(case.matrix(), y, MatMut::new(&mut projected, n, d).unwrap()).unwrap();
            // All terms are at most 1 times their entry of the plan.
            let near =
                |actual: T, expected: f64, size: f64| (actual.wide() - expected).abs() <= 4.0 * epsilon::<T>() * size;
            for i in 0..n {
                let row = &plan[i * m..(i + 1) * m];
                let mass: f64 = row.iter().sum();
                for k in 0..d {
                    let expected: f64 = row.iter().enumerate().map(|(j, p)| p * wide_y[j * d + k]).sum();
                    let at = i * d + k;
                    assert!(near(of_rows[at], expected, mass), "{isa} {n} x {m}: row {i}, {k}");
                    let mean = if mass > 0.0 { expected / mass } else { 0.0 };
                    assert!(near(projected[at], mean, 4.0), "{isa} {n} x {m}: projection {i}, {k}");
                }
            }
            for j in 0..m {
                for k in 0..d {
                    let terms = || (0..n).map(|i| (plan[i * m + j], wide_x[i * d + k]));
                    let expected: f64 = terms().map(|(p, x)| p * x).sum();
                    let mass: f64 = terms().map(|(p, _)| p).sum();
                    assert!(near(of_columns[j * d + k], expected, mass), "{isa} {n} x {m}: column {j}, {k}");
                }
            }
        }
    }
}

fn epsilon<T: Num>() -> f64 {
    if size_of::<T>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON }
}

#[test]
fn products_check_their_arguments_first() {
    let case = Case::<f64>::random(3, 4, 0.5, 94);
    let transport = case.solve(&Sinkhorn::new(case.epsilon));
    let turned = MatRef::new(&case.cost, 4, 3).unwrap();
    let numbers = [1.0; 8];
    let (three, four) = (MatRef::new(&numbers[..6], 3, 2).unwrap(), MatRef::new(&numbers, 4, 2).unwrap());
    let mut out = [7.0; 8];
    let shape = |argument, actual, expected| Err(Error::ShapeMismatch { argument, actual, expected });
    macro_rules! call {
        ($method:ident, $cost:expr, $vectors:expr, $rows:expr) => {
            transport.$method($cost, $vectors, MatMut::new(&mut out[..2 * $rows], $rows, 2).unwrap())
        };
    }
    assert_eq!(call!(plan_times, turned, four, 3), shape("cost", (4, 3), (3, 4)));
    assert_eq!(call!(plan_times, case.matrix(), three, 3), shape("y", (3, 2), (4, 2)));
    assert_eq!(call!(plan_times, case.matrix(), four, 4), shape("out", (4, 2), (3, 2)));
    assert_eq!(call!(plan_transposed_times, turned, three, 4), shape("cost", (4, 3), (3, 4)));
    assert_eq!(call!(plan_transposed_times, case.matrix(), four, 4), shape("x", (4, 2), (3, 2)));
    assert_eq!(call!(plan_transposed_times, case.matrix(), three, 3), shape("out", (3, 2), (4, 2)));
    assert_eq!(call!(barycentric_projection, turned, four, 3), shape("cost", (4, 3), (3, 4)));
    assert_eq!(call!(barycentric_projection, case.matrix(), three, 3), shape("y", (3, 2), (4, 2)));
    assert_eq!(call!(barycentric_projection, case.matrix(), four, 4), shape("out", (4, 2), (3, 2)));
    assert_eq!(out, [7.0; 8]);
}
