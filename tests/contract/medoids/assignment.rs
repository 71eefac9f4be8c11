//! New objects go to the nearest medoid.

use super::{assert_close_f64, random_matrix};
use crate::support::{
    data::rng,
    float::Float,
    for_both_types,
    isas::{isas, small_cases},
};
use mantex::{Error, KMedoids, MatRef, medoids::assign};
use rand::RngExt;

for_both_types! {
    new_objects_go_to_the_nearest_medoid
    prediction_agrees_with_the_clustering
}

fn new_objects_go_to_the_nearest_medoid<T: Float>() {
    let mut r = rng(4);
    for k in (1..=40).chain([100]).step_by(if small_cases() { 7 } else { 1 }) {
        for (n, gap) in [(0, 0), (1, 2), (7, 0), (20, 5)] {
            // Few values, so that there are ties.
            let data: Vec<T> = random_matrix::<T>(n, k, gap, &mut r)
                .iter()
                .map(|x| if x.wide().is_nan() { *x } else { T::of((x.wide() * 8.0).floor()) })
                .collect();
            let d = MatRef::with_stride(&data, n, k, k + gap).unwrap();
            for isa in isas() {
                let (mut labels, mut distances) = (vec![usize::MAX; n], vec![T::of(f64::NAN); n]);
                isa.assign(d, &mut labels, &mut distances).unwrap();
                for (o, row) in d.iter_rows().enumerate() {
                    let first = (0..k).min_by(|&a, &b| row[a].wide().total_cmp(&row[b].wide())).unwrap();
                    assert_eq!((labels[o], distances[o]), (first, row[first]), "{isa} k={k} {o}");
                }
            }
        }
    }
}

/// Predicting the objects themselves gives their labels.
fn prediction_agrees_with_the_clustering<T: Float>() {
    let mut r = rng(5);
    let n = 50;
    let x: Vec<f64> = (0..n).map(|_| r.random_range(0.0..1.0)).collect();
    let data: Vec<T> = (0..n * n).map(|i| T::of((x[i / n] - x[i % n]).abs())).collect();
    let clustering = KMedoids::new(7).fit(MatRef::new(&data, n, n).unwrap()).unwrap();
    let new: Vec<T> =
        (0..n).flat_map(|o| clustering.medoids().iter().map(|&m| data[m * n + o]).collect::<Vec<_>>()).collect();
    let (labels, distances) = clustering.predict(MatRef::new(&new, n, 7).unwrap()).unwrap();
    assert_eq!(labels, clustering.labels());
    assert_close_f64(clustering.loss(), distances.iter().map(|x| x.wide()).sum(), "loss");
    let wrong = clustering.predict(MatRef::new(&new[..n * 6], n, 6).unwrap()).unwrap_err();
    assert_eq!(wrong, Error::ShapeMismatch { argument: "dissimilarities", actual: (n, 6), expected: (n, 7) });
}

#[test]
fn bad_arguments_are_named_and_leave_outputs_alone() {
    let d = [0.0_f64, 1.0, 2.0, 1.0, 0.0, 3.0, 2.0, 3.0, 0.0];
    let square = MatRef::new(&d, 3, 3).unwrap();
    let argument = "dissimilarities";
    let mut bad = d;
    bad[5] = -1.0;
    let negative = Error::InvalidElement { argument, row: 1, col: 2, value: -1.0, expected: "finite and not negative" };
    let (mut labels, mut distances) = ([9; 3], [7.0; 3]);
    let mut check = |d: MatRef<'_, f64>, lens: (usize, usize), expected: Error| {
        assert_eq!(assign(d, &mut labels[..lens.0], &mut distances[..lens.1]).unwrap_err(), expected);
    };
    check(MatRef::new(&[], 3, 0).unwrap(), (3, 3), Error::Empty { argument });
    check(square, (2, 3), Error::LengthMismatch { argument: "labels", actual: 2, expected: 3 });
    check(square, (3, 1), Error::LengthMismatch { argument: "distances", actual: 1, expected: 3 });
    check(MatRef::new(&bad, 3, 3).unwrap(), (3, 3), negative);
    assert_eq!((labels, distances), ([9; 3], [7.0; 3]));
}
