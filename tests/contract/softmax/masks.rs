//! Masks without a matrix, rows that count for nothing, and the forms in place.

use crate::support::{
    data::{normal, rng},
    float::{Float, bits_of, same_bits},
    for_both_types,
    guarded::Guarded,
    isas::{isas, small_cases},
    rows::{KINDS, row, streamed_length},
};
use mantex::{Error, IGNORED, Isa, MatMut, MatRef, Softmax};
use rand::RngExt;

for_both_types! {
    rows_end_where_they_are_masked
    long_rows_end_where_they_are_masked
    ends_of_rows_without_a_softmax
    classes_at_the_ends_of_rows
    options_of_cross_entropy
    rows_that_count_for_nothing
    in_place_has_the_bits_of_a_copy
    bad_lengths
}

const INF: f64 = f64::INFINITY;

/// Every function over the rows of a matrix: softmax, in place, log-softmax, in place, gradients,
/// log-sum-exp and losses.
struct Results<T> {
    matrices: [Vec<T>; 5],
    columns: [Vec<T>; 2],
}

fn view<T>(x: &[T], cols: usize) -> MatRef<'_, T> {
    MatRef::new(x, x.len() / cols, cols).expect("it fits")
}

fn view_mut<T>(x: &mut [T], cols: usize) -> MatMut<'_, T> {
    MatMut::new(x, x.len() / cols, cols).expect("it fits")
}

fn run<T: Float>(options: Softmax<'_, T>, x: &[T], cols: usize, classes: &[usize], weight: f64) -> Results<T> {
    let mut matrices = [(); 5].map(|()| Guarded::new(x, 3));
    let mut columns = [(); 2].map(|()| Guarded::<T>::unwritten(x.len() / cols, 1));
    let [softmax, in_place, log_softmax, log_in_place, gradient] = &mut matrices;
    let [log_sum_exp, losses] = &mut columns;
    let good = "good options";
    options.rows(view(x, cols), view_mut(softmax.get_mut(), cols)).expect(good);
    options.rows_in_place(view_mut(in_place.get_mut(), cols)).expect(good);
    options.log_rows(view(x, cols), view_mut(log_softmax.get_mut(), cols)).expect(good);
    options.log_rows_in_place(view_mut(log_in_place.get_mut(), cols)).expect(good);
    let out = view_mut(gradient.get_mut(), cols);
    options.cross_entropy_gradient_rows(view(x, cols), classes, T::of(weight), losses.get_mut(), out).expect(good);
    let expected = losses.check().to_vec();
    options.cross_entropy_rows(view(x, cols), classes, losses.get_mut()).expect(good);
    assert!(same_bits(losses.check(), &expected), "losses with and without a gradient");
    options.log_sum_exp_rows(view(x, cols), log_sum_exp.get_mut()).expect(good);
    Results { matrices: matrices.map(|m| m.check().to_vec()), columns: columns.map(|c| c.check().to_vec()) }
}

/// The number of columns of row `i` that are not masked.
fn visible(i: usize, cols: usize, causal: Option<isize>, lengths: Option<&[usize]>) -> usize {
    (0..cols)
        .filter(|&j| causal.is_none_or(|offset| j as isize <= i as isize + offset))
        .filter(|&j| lengths.is_none_or(|lengths| j < lengths[i]))
        .count()
}

/// Checks that every row has the bits of a matrix of its visible part alone, and the result of a
/// masked entry behind. What is masked is not a number.
fn check_ends<T: Float>(isa: Isa, x: &[T], cols: usize, options: Softmax<'_, T>, mask: Option<&[T]>, ends: &[usize]) {
    let mut x = x.to_vec();
    for (i, &end) in ends.iter().enumerate() {
        x[i * cols + end..(i + 1) * cols].fill(T::of(f64::NAN));
    }
    let classes: Vec<usize> = ends.iter().map(|&end| end / 2).collect();
    let options = options.isa(isa);
    let all = run(options, &x, cols, &classes, 0.3);
    for (i, &end) in ends.iter().enumerate() {
        let case = format!("row {i} of {cols} columns, {end} visible, on {isa}");
        for (matrix, masked) in all.matrices.iter().zip([0.0, 0.0, -INF, -INF, 0.0]) {
            let behind = &matrix[i * cols + end..(i + 1) * cols];
            let masked = if end == 0 { f64::NAN } else { masked };
            assert!(behind.iter().all(|y| y.bits() == T::of(masked).bits() || end == 0 && y.wide().is_nan()), "{case}");
        }
        if end == 0 {
            assert_eq!(all.columns[0][i].wide(), -INF, "{case}");
            assert!(all.columns[1][i].wide().is_nan(), "{case}");
            continue;
        }
        let alone = Softmax::new().scale(T::of(0.5)).isa(isa);
        let alone = mask.map_or(alone, |mask| alone.mask(view(&mask[i * cols..][..end], end)));
        let alone = run(alone, &x[i * cols..][..end], end, &[classes[i]], 0.3);
        for (matrix, alone) in all.matrices.iter().zip(&alone.matrices) {
            assert_eq!(bits_of(&matrix[i * cols..][..end]), bits_of(alone), "{case}");
        }
        for (column, alone) in all.columns.iter().zip(&alone.columns) {
            assert_eq!(column[i].bits(), alone[0].bits(), "{case}");
        }
    }
}

fn rows_end_where_they_are_masked<T: Float>() {
    let (isas, mut rng) = (isas(), rng(31));
    for cols in [1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 40, 100, 257, 520, 4100] {
        let rows = if cols < 1000 { 37 } else { 3 };
        for kind in ["normal, scale 1", "late 500", "offset 1e6"] {
            let x: Vec<T> = (0..rows).flat_map(|_| row::<T>(kind, cols, &mut rng)).collect();
            let mask: Vec<T> = normal(rows * cols, 2.0, 0.0, &mut rng);
            let lengths: Vec<usize> = (0..rows).map(|_| rng.random_range(0..=cols)).collect();
            let whole = vec![cols; rows];
            let cases = [
                (Some(0), None),
                (Some(cols as isize - rows as isize), None),
                (Some(-3), None),
                (Some(isize::MIN), None),
                (Some(isize::MAX), None),
                (None, Some(&lengths)),
                (None, Some(&whole)),
                (Some(2), Some(&lengths)),
            ];
            for (case, (causal, lengths)) in cases.into_iter().enumerate() {
                let ends: Vec<usize> =
                    (0..rows).map(|i| visible_saturating(i, cols, causal, lengths.map(Vec::as_slice))).collect();
                let mask = (case % 2 == 1).then_some(&mask[..]);
                let options = Softmax::new().scale(T::of(0.5));
                let options = causal.map_or(options, |offset| options.causal(offset));
                let options = lengths.map_or(options, |lengths| options.lengths(lengths));
                let options = mask.map_or(options, |mask| options.mask(view(mask, cols)));
                for &isa in isas.iter().skip(if small_cases() { case % 2 } else { 0 }) {
                    check_ends(isa, &x, cols, options, mask, &ends);
                }
            }
        }
    }
}

/// [`visible`] for offsets beyond any matrix.
fn visible_saturating(i: usize, cols: usize, causal: Option<isize>, lengths: Option<&[usize]>) -> usize {
    visible(i, cols, causal.map(|offset| offset.clamp(-1_000_000, 1_000_000)), lengths)
}

/// Rows of matrices that are written past the caches, ended before and after the length from which
/// that happens.
fn long_rows_end_where_they_are_masked<T: Float>() {
    if small_cases() {
        return; // Such rows are large.
    }
    let mut rng = rng(32);
    let cols = streamed_length::<T>() + 100;
    let x = row::<T>("normal, scale 1", cols, &mut rng);
    for isa in isas() {
        for end in [1000, streamed_length::<T>()] {
            let lengths = [end];
            check_ends(isa, &x, cols, Softmax::new().scale(T::of(0.5)).lengths(&lengths), None, &lengths);
        }
    }
}

/// A row whose visible part has no softmax is NaN, its masked entries too, as with a mask of -inf;
/// a row of -inf may count for nothing. Other rows do not notice.
fn ends_of_rows_without_a_softmax<T: Float>() {
    for isa in isas() {
        for cols in [4, 16, 40, 300, 600] {
            for special in [INF, f64::NAN, -INF] {
                let mut x = vec![T::of(0.25); 3 * cols];
                x[cols..cols + 2].fill(T::of(special));
                let lengths = [cols, 2, 0];
                for zero in [false, true] {
                    let options = Softmax::new().lengths(&lengths).masked_rows_are_zero(zero).isa(isa);
                    let all = run(options, &x, cols, &[0, 1, 0], 1.0);
                    let is = |actual: &[T], expected: f64| {
                        actual
                            .iter()
                            .all(|y| y.bits() == T::of(expected).bits() || y.wide().is_nan() && expected.is_nan())
                    };
                    for (matrix, nothing) in all.matrices.iter().zip([0.0, 0.0, -INF, -INF, 0.0]) {
                        let nothing = if zero { nothing } else { f64::NAN };
                        let second = if special == -INF { nothing } else { f64::NAN };
                        assert!(is(&matrix[cols..2 * cols], second), "{special}, {zero}, {cols} columns on {isa}");
                        assert!(is(&matrix[2 * cols..], nothing), "{special}, {zero}, {cols} columns on {isa}");
                        assert!(!matrix[0].wide().is_nan());
                    }
                    let loss = if zero { 0.0 } else { f64::NAN };
                    let second = if special == -INF { loss } else { f64::NAN };
                    let losses = &all.columns[1];
                    assert!(is(&losses[1..2], second) && is(&losses[2..], loss), "{special}, {zero} on {isa}");
                    assert!((losses[0].wide() - (cols as f64).ln()).abs() < 1e-5);
                    assert_eq!(all.columns[0][2].wide(), -INF);
                }
            }
        }
    }
}

/// A class that is masked has an infinite loss, and the gradient of a probability of 0.
fn classes_at_the_ends_of_rows<T: Float>() {
    for isa in isas() {
        for cols in [3, 20, 300, 5000] {
            let x = vec![T::of(0.25); 2 * cols];
            let options = Softmax::new().causal(-1).lengths(&[0, 1]).masked_rows_are_zero(true).isa(isa);
            let all = run(options, &x, cols, &[0, cols - 1], 0.5);
            let (gradient, losses) = (&all.matrices[4], &all.columns[1]);
            assert_eq!(losses[0].bits(), 0, "{cols} columns on {isa}");
            assert_eq!(losses[1].wide(), INF, "{cols} columns on {isa}");
            let expected: Vec<T> = (0..2 * cols)
                .map(|at| {
                    T::of(match at {
                        _ if at == cols => 0.5,
                        _ if at == 2 * cols - 1 => -0.5,
                        _ => 0.0,
                    })
                })
                .collect();
            assert_eq!(bits_of(gradient), bits_of(&expected), "{cols} columns on {isa}");
        }
    }
}

/// Cross-entropy with a scale and a mask has the bits of cross-entropy of the logits
/// `scale * x + mask`: with one rounding, but on scalar with two.
fn options_of_cross_entropy<T: Float>() {
    let (isas, mut rng) = (isas(), rng(33));
    for cols in [1, 2, 5, 16, 31, 100, 300, 1030, 4100] {
        let rows = if cols < 1000 { 19 } else { 2 };
        let x: Vec<T> = normal(rows * cols, 3.0, 0.0, &mut rng);
        let mask: Vec<T> = (0..rows * cols).map(|_| T::of([0.0, 1.5, -INF, -0.25][rng.random_range(0..4)])).collect();
        let classes: Vec<usize> = (0..rows).map(|_| rng.random_range(0..cols)).collect();
        for (scale, masked) in [(0.7, false), (-1.3, true), (1.0, true)] {
            let scale = T::of(scale);
            let options = Softmax::new().scale(scale);
            let options = if masked { options.mask(view(&mask, cols)) } else { options };
            for &isa in &isas {
                let logit = |at: usize| match masked.then_some(mask[at]) {
                    None => scale * x[at],
                    Some(mask) if isa.name() == "scalar" => scale * x[at] + mask,
                    Some(mask) => scale.fused(x[at], mask),
                };
                let logits: Vec<T> = (0..rows * cols).map(logit).collect();
                let actual = run(options.isa(isa), &x, cols, &classes, -0.6);
                let (mut losses, mut gradient) = (vec![T::of(9.0); rows], vec![T::of(9.0); rows * cols]);
                let out = view_mut(&mut gradient, cols);
                isa.cross_entropy_gradient_rows(view(&logits, cols), &classes, T::of(-0.6), &mut losses, out)
                    .expect("equal shapes");
                assert!(same(&actual.columns[1], &losses), "{rows} x {cols}, scale {scale} on {isa}");
                assert!(same(&actual.matrices[4], &gradient), "{rows} x {cols}, scale {scale} on {isa}");
            }
        }
    }
}

/// Whether all bits are the same, or both are NaN.
fn same<T: Float>(a: &[T], b: &[T]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.bits() == b.bits() || a.wide().is_nan() && b.wide().is_nan())
}

/// An ignored row has the loss 0 and the gradient 0, whatever its logits; the others have the bits
/// that they have beside a row that counts. It may be a row without columns.
fn rows_that_count_for_nothing<T: Float>() {
    let (isas, mut rng) = (isas(), rng(34));
    for cols in [1, 3, 16, 40, 300, 5000] {
        let rows = 40;
        let x: Vec<T> = normal(rows * cols, 2.0, 0.0, &mut rng);
        let classes: Vec<usize> = (0..rows).map(|i| i * 7 % cols).collect();
        // Some alone in their group, some a whole group.
        let ignored = |i: usize| i % 5 == 2 || (16..33).contains(&i);
        let some: Vec<usize> = classes.iter().enumerate().map(|(i, &c)| if ignored(i) { IGNORED } else { c }).collect();
        for (&isa, weight) in isas.iter().flat_map(|isa| [(isa, 0.25), (isa, 1e30)]) {
            let expected = run(Softmax::new().isa(isa), &x, cols, &classes, weight);
            let mut x = x.clone();
            x[2 * cols..3 * cols].fill(T::of(f64::NAN));
            x[7 * cols..8 * cols].fill(T::of(INF));
            x[12 * cols..13 * cols].fill(T::of(-INF));
            let actual = run(Softmax::new().isa(isa), &x, cols, &some, weight);
            for i in 0..rows {
                let at = i * cols..(i + 1) * cols;
                let (loss, gradient) = (actual.columns[1][i], &actual.matrices[4][at.clone()]);
                if ignored(i) {
                    assert_eq!(loss.bits(), 0, "row {i} of {cols} columns on {isa}");
                    assert!(gradient.iter().all(|g| g.bits() == 0), "row {i} of {cols} columns on {isa}");
                } else {
                    assert_eq!(loss.bits(), expected.columns[1][i].bits(), "row {i} of {cols} columns on {isa}");
                    assert_eq!(bits_of(gradient), bits_of(&expected.matrices[4][at]), "row {i} on {isa}");
                }
            }
            let (mut losses, mut gradient) = (vec![T::of(9.0); rows], vec![T::of(9.0); rows * cols]);
            let out = view_mut(&mut gradient, cols);
            isa.cross_entropy_gradient_rows(view(&x, cols), &some, T::of(weight), &mut losses, out).expect("it fits");
            assert_eq!(bits_of(&losses), bits_of(&actual.columns[1]));
            assert_eq!(bits_of(&gradient), bits_of(&actual.matrices[4]));
        }
    }
    for isa in isas {
        let (empty, mut losses) = (MatRef::<T>::new(&[], 3, 0).expect("it fits"), [T::of(9.0); 3]);
        isa.cross_entropy_rows(empty, &[IGNORED; 3], &mut losses).expect("no class");
        assert_eq!(bits_of(&losses), [0; 3]);
        let x = [T::of(0.5); 2];
        let error = isa.cross_entropy_rows(view(&x, 1), &[IGNORED, IGNORED - 1], &mut losses[..2]);
        assert_eq!(error, Err(Error::ClassOutOfRange { row: 1, class: IGNORED - 1, classes: 1 }));
    }
}

/// The functions and the builder's methods in place have the bits of those on a copy, and so have
/// those of single rows. Nothing between rows is written.
fn in_place_has_the_bits_of_a_copy<T: Float>() {
    let (isas, mut rng) = (isas(), rng(35));
    let long = if small_cases() { 5000 } else { streamed_length::<T>() };
    let shapes = [(3, 0, 2), (1, 1, 0), (37, 5, 3), (20, 16, 0), (33, 100, 2), (5, 513, 7)];
    for (rows, cols, extra) in shapes.into_iter().chain([(33, 1001, 0), (17, 4097, 1), (1, long, 0)]) {
        let stride = cols + extra;
        let mut x = vec![T::of(0.0); (rows - 1) * stride + cols];
        for i in 0..rows {
            let x = &mut x[i * stride..][..cols];
            x.copy_from_slice(&row::<T>(KINDS[i % KINDS.len()], cols, &mut rng));
            if i % 3 == 1 && cols > 100 {
                // The first vector of a long row speaks against base 1, the rest of it may not.
                x[..16].fill(T::of(-30.0));
            }
        }
        for &isa in &isas {
            let view = || MatRef::with_stride(&x, rows, cols, stride).expect("it fits");
            fn of<T>(out: &mut [T], (rows, cols, stride): (usize, usize, usize)) -> MatMut<'_, T> {
                MatMut::with_stride(out, rows, cols, stride).expect("it fits")
            }
            let shape = (rows, cols, stride);
            let fits = "equal shapes";
            let (mut copy, mut log_copy) = (x.clone(), x.clone());
            isa.softmax_rows(view(), of(&mut copy, shape)).expect(fits);
            isa.log_softmax_rows(view(), of(&mut log_copy, shape)).expect(fits);
            let mut in_place = [(); 3].map(|()| Guarded::new(&x, 1));
            let [softmax, log_softmax, builder] = &mut in_place;
            isa.softmax_rows_in_place(of(softmax.get_mut(), shape));
            isa.log_softmax_rows_in_place(of(log_softmax.get_mut(), shape));
            Softmax::new().isa(isa).log_rows_in_place(of(builder.get_mut(), shape)).expect(fits);
            assert!(same_bits(softmax.check(), &copy), "{rows} x {cols} on {isa}");
            assert!(same_bits(log_softmax.check(), &log_copy), "log, {rows} x {cols} on {isa}");
            assert!(same_bits(builder.check(), &log_copy), "log, the builder, {rows} x {cols} on {isa}");
            let mut log_sums = vec![T::of(0.0); rows];
            isa.log_sum_exp_rows(view(), &mut log_sums).expect(fits);
            for i in 0..rows {
                let (row, at) = (&x[i * stride..][..cols], i * stride..i * stride + cols);
                let (softmax, log_softmax) = (&copy[at.clone()], &log_copy[at]);
                let case = format!("row {i}, {cols} columns on {isa}");
                let mut one = Guarded::new(row, 5);
                isa.log_softmax_in_place(one.get_mut());
                assert!(same_bits(one.check(), log_softmax), "log-softmax in place, {case}");
                isa.log_softmax(row, one.get_mut()).expect(fits);
                assert!(same_bits(one.check(), log_softmax), "log-softmax, {case}");
                isa.softmax(row, one.get_mut()).expect(fits);
                assert!(same_bits(one.check(), softmax), "softmax, {case}");
                one.get_mut().copy_from_slice(row);
                isa.softmax_in_place(one.get_mut());
                assert!(same_bits(one.check(), softmax), "softmax in place, {case}");
                assert!(same_bits(&[isa.log_sum_exp(row)], &log_sums[i..=i]), "log-sum-exp, {case}");
            }
            if isa == Isa::best() {
                let (mut a, mut b) = (x.clone(), x.clone());
                mantex::softmax_rows_in_place(of(&mut a, shape));
                mantex::log_softmax_rows_in_place(of(&mut b, shape));
                assert!(same_bits(&a, &copy) && same_bits(&b, &log_copy), "on the best");
                let mut c = x[..cols].to_vec();
                mantex::log_softmax_in_place(&mut c);
                assert!(same_bits(&c, &log_copy[..cols]), "on the best");
            }
        }
    }
}

/// Lengths that do not fit are an error, and outputs stay as they are.
fn bad_lengths<T: Float>() {
    let x = [T::of(1.0); 12];
    let too_long = Error::InvalidElement {
        argument: "lengths",
        row: 1,
        col: 0,
        value: 5.0,
        expected: "at most the number of columns",
    };
    let too_few = Error::LengthMismatch { argument: "lengths", actual: 2, expected: 3 };
    for (lengths, error) in [(&[4, 5, 6][..], too_long), (&[1, 2], too_few)] {
        for isa in isas() {
            let options = Softmax::new().lengths(lengths).isa(isa);
            let (mut out, mut each) = (Guarded::<T>::unwritten(12, 0), Guarded::<T>::unwritten(3, 0));
            let (classes, weight) = (&[0, 1, IGNORED], T::of(1.0));
            let results = [
                options.rows(view(&x, 4), view_mut(out.get_mut(), 4)),
                options.rows_in_place(view_mut(out.get_mut(), 4)),
                options.log_rows(view(&x, 4), view_mut(out.get_mut(), 4)),
                options.log_rows_in_place(view_mut(out.get_mut(), 4)),
                options.log_sum_exp_rows(view(&x, 4), each.get_mut()),
                options.cross_entropy_rows(view(&x, 4), classes, each.get_mut()),
                options.cross_entropy_gradient_rows(
                    view(&x, 4),
                    classes,
                    weight,
                    each.get_mut(),
                    view_mut(out.get_mut(), 4),
                ),
            ];
            assert!(results.iter().all(|result| result == &Err(error.clone())), "{results:?} on {isa}");
            assert!(out.check().iter().chain(each.check()).all(|&x| Guarded::is_guard(x)));
        }
    }
}
