//! The error of every bad argument, and of a bad dissimilarity anywhere.

use crate::support::{float::Float, isas::isas};
use mantex::{
    Error, KMedoids, MatRef,
    medoids::{Algorithm, Init, Progress},
};

#[test]
fn bad_arguments_are_named() {
    fn err<T: Float>(options: &KMedoids, d: &[T], rows: usize, cols: usize) -> Error {
        options.fit(MatRef::new(d, rows, cols).unwrap()).unwrap_err()
    }
    let d = [0.0_f64, 1.0, 2.0, 1.0, 0.0, 3.0, 2.0, 3.0, 0.0];
    let not_square = Error::NotSquare { argument: "dissimilarities", rows: 3, cols: 2 };
    assert_eq!(err(&KMedoids::new(1), &d[..6], 3, 2), not_square);
    for (k, n) in [(0, 3), (4, 3), (usize::MAX, 3), (1, 0), (0, 0)] {
        assert_eq!(err(&KMedoids::new(k), &d[..n * n], n, n), Error::MedoidCountOutOfRange { k, objects: n });
    }
    let given = |medoids: &[usize]| KMedoids::new(2).init(Init::Given(medoids.to_vec()));
    for medoids in [&[0][..], &[], &[0, 1, 2]] {
        let expected = Error::LengthMismatch { argument: "medoids", actual: medoids.len(), expected: 2 };
        assert_eq!(err(&given(medoids), &d, 3, 3), expected);
    }
    let out_of_range = Error::MedoidOutOfRange { medoid: 3, objects: 3 };
    assert_eq!(err(&given(&[1, 3]), &d, 3, 3), out_of_range);
    assert_eq!(err(&given(&[1, 1]), &d, 3, 3), Error::DuplicateMedoid { medoid: 1 });

    // A bad element at every place of matrices with and without tails.
    for n in [1, 3, 16, 33, 67] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, -f32::MIN_POSITIVE] {
            for (row, col) in [(0, 0), (0, n - 1), (n - 1, 0), (n - 1, n - 1), (n / 2, n / 3)] {
                for isa in isas() {
                    let mut d = vec![1.0_f32; n * n];
                    d[row * n + col] = bad;
                    match err(&KMedoids::new(1).isa(isa), &d, n, n) {
                        Error::InvalidElement { argument: "dissimilarities", row: r, col: c, value, .. } => {
                            assert_eq!((r, c), (row, col));
                            assert_eq!(value.to_bits(), f64::from(bad).to_bits());
                        }
                        other => panic!("{other}"),
                    }
                }
            }
        }
    }
    // Also where the search is what reads them first, in no order: none is used, and the first is
    // named.
    for (k, n) in [(1, 3), (3, 16), (14, 67)] {
        for (row, col) in [(0, 0), (0, n - 1), (1, n / 2), (n / 2, n / 3), (n - 2, n - 1), (n - 1, 0)] {
            for bad in [f32::NAN, f32::INFINITY, -1.0] {
                let mut d = vec![1.0_f32; n * n];
                d[row * n + col] = bad;
                // One more in the last row, which is that of a medoid in every other case.
                d[n * n - 1] = f32::NAN;
                let d = MatRef::new(&d, n, n).unwrap();
                for (medoid, isa) in isas().into_iter().flat_map(|isa| [(0, isa), (n - k, isa)]) {
                    let options = KMedoids::new(k).init(Init::Given((medoid..medoid + k).collect())).isa(isa);
                    let random = options.clone().algorithm(Algorithm::RandomFasterPam { seed: 1 });
                    for options in [options.clone(), random, options.max_iterations(0)] {
                        let never = |_: &Progress| panic!("an iteration on such elements");
                        match options.fit_with_progress(d, None, never).unwrap_err() {
                            Error::InvalidElement { row: r, col: c, .. } => {
                                assert_eq!((r, c), (row, col), "{isa}, k={k}")
                            }
                            other => panic!("{other}"),
                        }
                    }
                }
            }
        }
    }
    // Negative zero is zero.
    assert_eq!(KMedoids::new(1).fit(MatRef::new(&[-0.0_f32], 1, 1).unwrap()).unwrap().loss(), 0.0);
}
