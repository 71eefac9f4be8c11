//! Views of the matrices of other crates: the same elements, without copies, or an error.

use mantex::{Error, MatMut, MatRef};

/// Shapes, with empty ones, single rows and single columns.
const SHAPES: [(usize, usize); 8] = [(0, 0), (0, 3), (3, 0), (1, 1), (1, 4), (4, 1), (2, 3), (5, 4)];

/// Fails unless the rows of `view` are those of the function `at`.
fn assert_rows(view: MatRef<'_, f64>, shape: (usize, usize), at: impl Fn(usize, usize) -> f64) {
    assert_eq!((view.rows(), view.cols()), shape);
    for (i, row) in view.iter_rows().enumerate() {
        assert_eq!(row.len(), shape.1);
        for (j, x) in row.iter().enumerate() {
            assert_eq!(*x, at(i, j), "({i}, {j}) of {shape:?}");
        }
    }
}

/// The error for a layout.
fn not_row_major(shape: (usize, usize), strides: (isize, isize)) -> Option<Error> {
    let ((rows, cols), (row_stride, col_stride)) = (shape, strides);
    Some(Error::NotRowMajor { rows, cols, row_stride, col_stride })
}

#[cfg(feature = "ndarray")]
mod ndarray {
    use super::*;
    use ::ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, s};

    #[test]
    fn views_of_arrays_have_their_rows() {
        for (rows, cols) in SHAPES {
            let mut whole = Array2::from_shape_fn((rows + 2, cols + 3), |(i, j)| (100 * i + j) as f64);
            let at = |i: usize, j: usize| (100 * (i + 1) + j + 2) as f64;
            let part = whole.slice(s![1..rows + 1, 2..cols + 2]);
            let view = MatRef::try_from(part).expect("contiguous rows");
            assert_rows(view, (rows, cols), at);
            if rows * cols > 0 {
                assert_eq!(view.row(0).as_ptr(), part.as_ptr(), "it is a copy");
            }
            assert_eq!(ArrayView2::from(view), part);
            // Every second row: the row stride is free.
            let every_second = MatRef::try_from(part.slice_move(s![..;2, ..])).expect("contiguous rows");
            assert_rows(every_second, (rows.div_ceil(2), cols), |i, j| at(2 * i, j));
            let part = whole.slice_mut(s![1..rows + 1, 2..cols + 2]);
            let mut view = MatMut::try_from(part).expect("contiguous rows");
            view.iter_rows_mut().flatten().for_each(|x| *x = -*x);
            ArrayViewMut2::from(view).mapv_inplace(|x| 2.0 * x);
            let is_inside = |i, j| (1..=rows).contains(&i) && (2..cols + 2).contains(&j);
            for ((i, j), x) in whole.indexed_iter() {
                assert_eq!(*x, (100 * i + j) as f64 * if is_inside(i, j) { -2.0 } else { 1.0 });
            }
        }
    }

    #[test]
    fn other_layouts_are_errors() {
        let mut array = Array2::from_shape_fn((3, 4).f(), |(i, j)| (i + j) as f64);
        let copy = array.clone();
        assert_eq!(MatRef::try_from(array.view()).err(), not_row_major((3, 4), (1, 3)));
        assert_eq!(MatMut::try_from(array.view_mut()).err(), not_row_major((3, 4), (1, 3)));
        assert_rows(MatRef::try_from(array.t()).expect("row-major"), (4, 3), |i, j| (i + j) as f64);
        let mut array = array.as_standard_layout().to_owned();
        assert_eq!(MatRef::try_from(array.slice(s![.., ..;-1])).err(), not_row_major((3, 4), (4, -1)));
        assert_eq!(MatRef::try_from(array.slice(s![..;-1, ..])).err(), not_row_major((3, 4), (-4, 1)));
        assert_eq!(MatMut::try_from(array.slice_mut(s![.., ..;2])).err(), not_row_major((3, 2), (4, 2)));
        assert_eq!(array, copy);
        let row = array.row(1);
        let broadcast = row.broadcast((5, 4)).expect("rows");
        assert_eq!(MatRef::try_from(broadcast).err(), not_row_major((5, 4), (0, 1)));
        // One column at any distance, and one row at any distance.
        assert_rows(MatRef::try_from(array.slice(s![.., 1..2])).expect("a column"), (3, 1), |i, _| (i + 1) as f64);
        assert_rows(MatRef::try_from(array.slice(s![..;-3, ..])).expect("a row"), (1, 4), |_, j| (2 + j) as f64);
    }

    #[test]
    fn interleaved_halves_are_used_at_once() {
        let mut array = Array2::from_elem((3, 8), 1.0_f64);
        let (left, right) = array.view_mut().split_at(Axis(1), 5);
        let mut left = MatMut::try_from(left).expect("contiguous rows");
        let mut right = MatMut::try_from(right).expect("contiguous rows");
        std::thread::scope(|scope| {
            scope.spawn(|| left.iter_rows_mut().flatten().for_each(|x| *x = 5.0));
            right.iter_rows_mut().flatten().for_each(|x| *x = 3.0);
        });
        for ((i, j), x) in array.indexed_iter() {
            assert_eq!(*x, if j < 5 { 5.0 } else { 3.0 }, "({i}, {j})");
        }
    }
}

#[cfg(feature = "faer")]
mod faer {
    use super::*;
    use ::faer::Mat;

    #[test]
    fn views_of_matrices_have_their_rows() {
        for (rows, cols) in SHAPES {
            // The transposed view of a column-major matrix is row-major.
            let mut whole = Mat::from_fn(cols + 3, rows + 2, |j, i| (100 * i + j) as f64);
            let at = |i: usize, j: usize| (100 * (i + 1) + j + 2) as f64;
            let part = whole.as_ref().transpose().submatrix(1, 2, rows, cols);
            let view = MatRef::try_from(part).expect("contiguous rows");
            assert_rows(view, (rows, cols), at);
            if rows * cols > 0 {
                assert_eq!(view.row(0).as_ptr(), part.as_ptr(), "it is a copy");
            }
            assert_eq!(::faer::MatRef::from(view), part);
            let part = whole.as_mut().transpose_mut().submatrix_mut(1, 2, rows, cols);
            let mut view = MatMut::try_from(part).expect("contiguous rows");
            view.iter_rows_mut().flatten().for_each(|x| *x = -*x);
            let mut back = ::faer::MatMut::from(view);
            for i in 0..rows {
                for j in 0..cols {
                    back[(i, j)] *= 2.0;
                }
            }
            for i in 0..rows + 2 {
                for j in 0..cols + 3 {
                    let is_inside = (1..=rows).contains(&i) && (2..cols + 2).contains(&j);
                    assert_eq!(whole[(j, i)], (100 * i + j) as f64 * if is_inside { -2.0 } else { 1.0 });
                }
            }
        }
    }

    #[test]
    fn other_layouts_are_errors() {
        let mut matrix = Mat::from_fn(3, 4, |i, j| (i + j) as f64);
        let stride = matrix.col_stride();
        assert_eq!(MatRef::try_from(matrix.as_ref()).err(), not_row_major((3, 4), (1, stride)));
        assert_eq!(MatMut::try_from(matrix.as_mut()).err(), not_row_major((3, 4), (1, stride)));
        let view = matrix.as_ref().transpose();
        assert_eq!(MatRef::try_from(view.reverse_rows()).err(), not_row_major((4, 3), (-stride, 1)));
        assert_eq!(MatRef::try_from(view.reverse_cols()).err(), not_row_major((4, 3), (stride, -1)));
    }
}

#[cfg(feature = "nalgebra")]
mod nalgebra {
    use super::*;
    use ::nalgebra::{DMatrixView, DMatrixViewMut, Dyn, Matrix3x4, MatrixView, MatrixViewMut};

    #[test]
    fn views_of_columns_are_rows() {
        for (rows, cols) in SHAPES {
            let mut data: Vec<f64> =
                (0..rows + 2).flat_map(|i| (0..cols + 3).map(move |j| (100 * i + j) as f64)).collect();
            let mut whole = DMatrixViewMut::from_slice(&mut data, cols + 3, rows + 2);
            let at = |i: usize, j: usize| (100 * (i + 1) + j + 2) as f64;
            let part = whole.view((2, 1), (cols, rows));
            let view = MatRef::from_columns(part).expect("contiguous columns");
            assert_rows(view, (rows, cols), at);
            if rows * cols > 0 {
                assert_eq!(view.row(0).as_ptr(), part.as_ptr(), "it is a copy");
            }
            let back: MatrixView<'_, f64, Dyn, Dyn, Dyn, Dyn> = view.into();
            assert_eq!(back.shape(), (rows, cols));
            assert_rows(MatRef::try_from(back).expect("contiguous rows"), (rows, cols), at);
            let part = whole.view_mut((2, 1), (cols, rows));
            let mut view = MatMut::from_columns(part).expect("contiguous columns");
            view.iter_rows_mut().flatten().for_each(|x| *x = -*x);
            let mut back: MatrixViewMut<'_, f64, Dyn, Dyn, Dyn, Dyn> = view.into();
            back *= 2.0;
            let mut again = MatMut::try_from(back).expect("contiguous rows");
            again.iter_rows_mut().flatten().for_each(|x| *x += 0.5);
            for i in 0..rows + 2 {
                for j in 0..cols + 3 {
                    let is_inside = (1..=rows).contains(&i) && (2..cols + 2).contains(&j);
                    let x = (100 * i + j) as f64;
                    assert_eq!(whole[(j, i)], if is_inside { 0.5 - 2.0 * x } else { x });
                }
            }
        }
    }

    /// The stride of a single row means nothing, and would lead out of the memory.
    #[test]
    fn a_single_row_has_any_stride() {
        let mut data = [1.0, 2.0, 3.0];
        let row = MatRef::with_stride(&data, 1, 3, usize::MAX).expect("it fits");
        let view: MatrixView<'_, f64, Dyn, Dyn, Dyn, Dyn> = row.into();
        assert_eq!(view.iter().sum::<f64>(), 6.0);
        let row = MatMut::with_stride(&mut data, 1, 3, usize::MAX).expect("it fits");
        let mut view: MatrixViewMut<'_, f64, Dyn, Dyn, Dyn, Dyn> = row.into();
        view.iter_mut().for_each(|x| *x += 1.0);
        assert_eq!(data, [2.0, 3.0, 4.0]);
    }

    #[test]
    fn other_layouts_are_errors() {
        let mut data = [1.0_f64; 12];
        let view = DMatrixView::from_slice(&data, 3, 4);
        assert_eq!(MatRef::try_from(view).err(), not_row_major((3, 4), (1, 3)));
        assert_eq!(MatRef::from_columns(view.rows_with_step(0, 2, 1)).err(), not_row_major((4, 2), (3, 2)));
        assert_eq!(MatMut::try_from(DMatrixViewMut::from_slice(&mut data, 3, 4)).err(), not_row_major((3, 4), (1, 3)));
        let fixed = Matrix3x4::from_fn(|i, j| (i + j) as f64);
        assert_rows(MatRef::from_columns(fixed.view((0, 0), (3, 4))).expect("columns"), (4, 3), |i, j| (i + j) as f64);
    }
}
