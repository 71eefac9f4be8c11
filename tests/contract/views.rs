//! Matrix views: which shapes and strides fit, and where their rows are.

use mantex::{Error, MatMut, MatRef};

/// Both kinds of view, from the same arguments, agree on whether they fit.
fn view(len: usize, rows: usize, cols: usize, row_stride: Option<usize>) -> Result<(), Error> {
    let mut data: Vec<usize> = (0..len).collect();
    let (read, write) = match row_stride {
        None => (
            MatRef::new(&data, rows, cols).map(|m| (m.rows(), m.cols())),
            MatMut::new(&mut data.clone(), rows, cols).map(|m| (m.rows(), m.cols())),
        ),
        Some(stride) => (
            MatRef::with_stride(&data, rows, cols, stride).map(|m| (m.rows(), m.cols())),
            MatMut::with_stride(&mut data, rows, cols, stride).map(|m| (m.rows(), m.cols())),
        ),
    };
    assert_eq!(read, write);
    read.map(|shape| assert_eq!(shape, (rows, cols)))
}

#[test]
fn views_fit_or_are_errors() {
    const MAX: usize = usize::MAX;
    for (len, rows, cols) in
        [(6, 2, 3), (6, 6, 1), (6, 1, 6), (0, 0, 0), (0, 0, 5), (0, 5, 0), (0, 0, MAX), (0, MAX, 0)]
    {
        assert_eq!(view(len, rows, cols, None), Ok(()), "{rows} x {cols} of {len}");
    }
    for (len, rows, cols) in [
        (5, 2, 3),
        (7, 2, 3),
        (0, 1, 1),
        (1, 0, 1),
        (1, 1, 0),
        (6, 3, 3),
        // Products past usize, also those that come back to the length.
        (6, MAX, 2),
        (6, 2, MAX),
        (6, MAX, MAX),
        (0, 1 << (usize::BITS / 2), 1 << (usize::BITS / 2)),
        (2, MAX / 2 + 2, 2),
        (1, MAX, MAX),
    ] {
        let error = Err(Error::ViewMismatch { len, rows, cols, row_stride: cols });
        assert_eq!(view(len, rows, cols, None), error);
    }
    for (len, rows, cols, stride) in [
        (6, 2, 3, 3),
        (7, 2, 3, 3),
        (7, 2, 3, 4),
        (5, 2, 1, 4),
        (6, 1, 6, 6),
        (6, 1, 3, MAX),
        (0, 0, 3, MAX),
        (0, 0, MAX, MAX),
        (4, 3, 0, 2),
        (0, MAX, 0, 0),
    ] {
        assert_eq!(view(len, rows, cols, Some(stride)), Ok(()), "{rows} x {cols} of {len}, stride {stride}");
    }
    for (len, rows, cols, row_stride) in [
        (6, 2, 3, 4),
        (9, 2, 3, 2),
        (9, 1, 3, 2),
        (9, 0, 3, 2),
        (9, 3, 3, 0),
        (9, 2, 3, MAX),
        (9, 3, 3, MAX),
        (9, 3, 3, MAX / 2),
        (9, MAX, 3, MAX),
        (9, MAX, 1, 1),
        (9, 2, MAX, MAX),
        (3, 3, 0, 2),
        // (rows - 1) * stride + cols comes back round to 1.
        (9, 2, 2, MAX),
        (9, (1 << (usize::BITS - 2)) + 1, 4, 4),
    ] {
        let error = Err(Error::ViewMismatch { len, rows, cols, row_stride });
        assert_eq!(view(len, rows, cols, Some(row_stride)), error);
    }
}

#[test]
fn rows_are_where_the_stride_says() {
    let mut data: Vec<usize> = (0..11).collect();
    let copy = data.clone();
    let m = MatRef::with_stride(&copy, 3, 3, 4).expect("it fits");
    assert_eq!((m.row(0), m.row(1), m.row(2)), (&[0, 1, 2][..], &[4, 5, 6][..], &[8, 9, 10][..]));
    assert!(m.iter_rows().eq([[0, 1, 2], [4, 5, 6], [8, 9, 10]].iter().map(|row| &row[..])));
    assert_eq!(m.iter_rows().len(), 3);
    let mut m = MatMut::with_stride(&mut data, 3, 3, 4).expect("it fits");
    for i in 0..3 {
        assert_eq!(m.row_mut(i), copy[4 * i..4 * i + 3].to_vec());
        assert_eq!(m.as_ref().row(i), &copy[4 * i..4 * i + 3]);
    }
    m.row_mut(1).fill(99);
    assert_eq!(data, [0, 1, 2, 3, 99, 99, 99, 7, 8, 9, 10]);
}

#[test]
fn rows_out_of_range_panic() {
    let mut data = vec![0.0_f32; 12];
    for i in [3, 4, usize::MAX] {
        let m = MatRef::with_stride(&data, 3, 2, 4).expect("it fits");
        std::panic::catch_unwind(|| m.row(i).len()).expect_err("there is no such row");
        let mut m = MatMut::with_stride(&mut data, 3, 2, 4).expect("it fits");
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| m.row_mut(i).len()))
            .expect_err("there is no such row");
    }
}

#[test]
fn mutable_rows_are_those_of_the_view() {
    for (rows, cols, stride) in [(0, 3, 3), (1, 3, 7), (4, 3, 3), (4, 3, 5), (3, 0, 2), (5, 1, 1)] {
        let len = if rows == 0 { 0 } else { (rows - 1) * stride + cols };
        let mut data = vec![usize::MAX; len];
        let mut view = MatMut::with_stride(&mut data, rows, cols, stride).expect("a view that fits");
        let mut count = 0;
        for (i, row) in view.iter_rows_mut().enumerate() {
            assert_eq!(row.len(), cols);
            row.fill(i);
            count += 1;
        }
        assert_eq!(count, rows);
        let mut again = view.reborrow();
        for i in 0..rows {
            assert_eq!(again.row_mut(i), vec![i; cols], "{rows} x {cols}, stride {stride}");
        }
        // Elements between the rows are untouched.
        assert_eq!(data.iter().filter(|&&x| x == usize::MAX).count(), len - rows * cols);
    }
}

#[test]
fn a_view_splits_at_every_row() {
    for (rows, cols, stride) in [(0, 3, 3), (1, 3, 7), (4, 3, 3), (4, 3, 5), (3, 0, 2)] {
        let len = if rows == 0 { 0 } else { (rows - 1) * stride + cols };
        for split in 0..=rows {
            let mut data: Vec<usize> = (0..len).collect();
            let view = MatMut::with_stride(&mut data, rows, cols, stride).expect("a view that fits");
            let (mut top, mut bottom) = view.split_at_row(split);
            assert_eq!((top.rows(), bottom.rows(), top.cols(), bottom.cols()), (split, rows - split, cols, cols));
            for i in 0..rows {
                let row = if i < split { top.row_mut(i) } else { bottom.row_mut(i - split) };
                assert!(row.iter().copied().eq(i * stride..i * stride + cols), "row {i} of {rows}, split at {split}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "split at row 3 of a matrix with 2 rows")]
fn a_split_beyond_the_rows_panics() {
    let _ = MatMut::new(&mut [0; 4], 2, 2).expect("a view that fits").split_at_row(3);
}

#[test]
fn generic_code_beside_num_traits_is_not_ambiguous() {
    use mantex::Real;
    use num_traits::{Float, FromPrimitive};
    fn twice<T: Real + Float + FromPrimitive>(x: T) -> (T, Option<f64>, T) {
        (x + T::from_f64(2.0).unwrap_or(T::zero()) * T::rounded(0.5), x.to_f64(), T::max_value())
    }
    assert_eq!(twice(1.5_f32), (2.5, Some(1.5), f32::MAX));
    assert_eq!(twice(1.5_f64), (2.5, Some(1.5), f64::MAX));
}

#[test]
fn errors_read_as_sentences_for_every_value() {
    let message = |error: Error| error.to_string();
    let length = |actual| message(Error::LengthMismatch { argument: "out", actual, expected: 3 });
    assert_eq!(length(1), "`out` has 1 element; it must have 3");
    assert_eq!(length(0), "`out` has 0 elements; it must have 3");
    assert_eq!(
        message(Error::InvalidTotalMass { argument: "a", total: 0.0 }),
        "the masses in `a` sum to 0; the sum must be positive and finite"
    );
    let parameter = |value| message(Error::InvalidParameter { argument: "epsilon", value, expected: "positive" });
    for (value, digits) in [
        (-0.25, "-0.25"),
        (1e-300, "1e-300"),
        (-2.5e200, "-2.5e200"),
        (1e4, "10000"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
    ] {
        assert_eq!(parameter(value), format!("`epsilon` is {digits}; it must be positive"));
    }
    assert_eq!(
        message(Error::TooFew { argument: "labels", parts: "clusters", actual: 1, minimum: 2 }),
        "the number of clusters in `labels` is 1; it must be at least 2"
    );
    assert_eq!(
        message(Error::NotRowMajor { rows: 2, cols: 3, row_stride: 1, col_stride: 2 }),
        "a 2 x 3 view has row stride 1 and column stride 2; the column stride must be 1 and the row stride at least \
         the columns: copy the matrix in row-major order, or view the transpose of a column-major matrix and \
         exchange rows and columns"
    );
    assert_eq!(message(Error::DuplicateMedoid { medoid: 4 }), "medoid 4 is given twice; medoids must be distinct");
    assert_eq!(
        message(Error::MedoidCountOutOfRange { k: 0, objects: 1 }),
        "`k` is 0; it must be from 1 to 1, the number of objects"
    );
}
