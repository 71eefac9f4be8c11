//! Condensed matrices are upper triangles.

use crate::support::{float::Float, for_both_types};
use mantex::{Error, KMedoids, MatMut, MatRef, medoids::expand_condensed};

for_both_types! {
    condensed_is_the_upper_triangle
}

fn condensed_is_the_upper_triangle<T: Float>() {
    let mut sizes: Vec<usize> = (1..=20).collect();
    sizes.extend([63, 64, 65, 130, 200]);
    for n in sizes {
        let pair = |a: usize, b: usize| T::of(if a == b { 0.0 } else { (a.min(b) * n + a.max(b)) as f64 });
        let condensed: Vec<T> = (0..n).flat_map(|i| (i + 1..n).map(move |j| pair(i, j))).collect();
        let gap = n % 3;
        let mut square = vec![T::of(f64::NAN); n * (n + gap)];
        expand_condensed(&condensed, MatMut::with_stride(&mut square, n, n, n + gap).unwrap()).unwrap();
        for (i, row) in square.chunks(n + gap).enumerate() {
            assert!((0..n).all(|j| row[j] == pair(i, j)), "n={n} row {i}");
            assert!(row[n..].iter().all(|x| x.wide().is_nan()), "n={n}: the gap is left alone");
        }
        let k = KMedoids::new(1 + n / 4);
        let d = MatRef::with_stride(&square, n, n, n + gap).unwrap();
        assert_eq!(k.fit_condensed(&condensed), k.fit(d));
    }
}

#[test]
fn bad_arguments_are_named_and_leave_outputs_alone() {
    let d = [0.0_f64, 1.0, 2.0, 1.0, 0.0, 3.0, 2.0, 3.0, 0.0];
    let mut out = [7.0; 9];
    for len in [2, 4, 5, 7] {
        assert_eq!(KMedoids::new(1).fit_condensed(&d[..len]).unwrap_err(), Error::NotCondensed { len });
        let error = expand_condensed(&d[..len], MatMut::new(&mut out, 3, 3).unwrap()).unwrap_err();
        assert_eq!(error, Error::LengthMismatch { argument: "condensed", actual: len, expected: 3 });
    }
    let error = expand_condensed(&d[..3], MatMut::new(&mut out[..6], 2, 3).unwrap()).unwrap_err();
    assert_eq!(error, Error::NotSquare { argument: "out", rows: 2, cols: 3 });
    assert_eq!(out, [7.0; 9]);
    assert_eq!(
        KMedoids::new(2).fit_condensed::<f32>(&[]).unwrap_err(),
        Error::MedoidCountOutOfRange { k: 2, objects: 1 }
    );
    assert_eq!(expand_condensed::<f32>(&[], MatMut::new(&mut [], 0, 0).unwrap()), Ok(()));
}
