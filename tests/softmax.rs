//! The softmax family against references in higher precision, on every instruction set of this CPU.
//!
//! The tolerances are the contract's: softmax 4 ulp, log-sum-exp 2 ulp (of 1 where the result is below 1), log-softmax
//! 4 ulp of max(1, |result|). `cargo test --test softmax -- --nocapture` prints the largest errors seen.

mod support;

use mantex::{
    Error, ExtSum, Isa, MatMut, MatRef, SoftmaxOptions, log_softmax, log_softmax_on, log_softmax_rows,
    log_softmax_rows_on, log_softmax_rows_with, log_softmax_rows_with_on, log_sum_exp, log_sum_exp_on,
    log_sum_exp_rows, log_sum_exp_rows_on, log_sum_exp_rows_with, log_sum_exp_rows_with_on, softmax, softmax_in_place,
    softmax_in_place_on, softmax_on, softmax_rows, softmax_rows_on, softmax_rows_with, softmax_rows_with_on,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use rand::RngExt;
use rand::rngs::StdRng;
use support::{
    Dd, Float, Guarded, KINDS, LANES, LOG_SOFTMAX_ULPS, LOG_SUM_EXP_ULPS, Outputs, Reference, Report, SOFTMAX_ULPS,
    bits_of, check_outputs, distance, emulated, for_both_types, isas, normal, ramp, rng, row, run_row, softmax_error,
    ulp_error, ulp_error_from_one,
};

/// In f32 the remainder of this number after a multiple of ln 2, rounded too coarsely, is one at which a polynomial for
/// AVX-512 was exactly 0.
const LOST: f64 = 237_645_232.0;

for_both_types! {
    short_rows_at_every_alignment
    long_rows
    streamed_rows
    streamed_special_values
    constant_rows
    pairs
    every_exponential
    large_values_are_not_lost
    special_values
    matrices
    scaled_and_masked_rows
    masked_entries
    bad_options
    empty_matrices
    entry_points_run_the_best
    sums_merge
    special_sums_merge
    errors_leave_outputs_alone
}

// ---------------------------------------------------------------------------------------------------------------------
// Accuracy

/// Accuracy at the first of the alignments, the same bits at the others, and when run again where one is named twice.
fn check_row<T: Float>(report: &mut Report, isas: &[Isa], name: &str, x: &[T], offsets: &[usize]) {
    let reference = Reference::new(x);
    for &isa in isas {
        let out = run_row(isa, x, offsets[0]);
        check_outputs(report, isa, name, x, &reference, &out);
        for &offset in &offsets[1..] {
            let again = run_row(isa, x, offset);
            assert!(again.same(&out), "{name}, n = {}, misaligned by {offset} elements, differs on {isa}", x.len());
        }
    }
}

fn short_rows_at_every_alignment<T: Float>() {
    let (isas, mut rng) = (isas(), rng(1));
    let offsets: Vec<usize> = [0].into_iter().chain(0..LANES).collect();
    let some = [0, 0, 1, 5, 10];
    Report::run("short rows", |report| {
        for n in 0..=3 * LANES + 1 {
            for kind in KINDS {
                let offsets = if emulated() { &some[..] } else { &offsets[..] };
                check_row(report, &isas, kind, &row::<T>(kind, n, &mut rng), offsets);
            }
        }
    });
}

fn long_rows<T: Float>() {
    let (isas, mut rng) = (isas(), rng(2));
    // Around one block, the unrolled step of each vector width, several blocks.
    let lengths = [63, 64, 65, 127, 129, 257, 511, 512, 513, 1000, 2047, 2048, 2049, 4096 + 3];
    Report::run("long rows", |report| {
        for kind in KINDS {
            for n in lengths {
                check_row(report, &isas, kind, &row::<T>(kind, n, &mut rng), &[0, 0, 5]);
            }
            let n = if emulated() { 6_003 } else { 100_003 };
            check_row(report, &isas, kind, &row::<T>(kind, n, &mut rng), &[0, 0]);
        }
    });
}

/// Past the 16 MiB from which rows are read twice and streamed out.
fn streamed_length<T>() -> usize {
    (16 << 20) / size_of::<T>() + 37
}

/// A row of that length; one that repeats itself where the reference takes long.
fn streamed_row<T: Float>(kind: &str, rng: &mut StdRng) -> Vec<T> {
    let n = streamed_length::<T>();
    if emulated() { row::<T>(kind, 999, rng).into_iter().cycle().take(n).collect() } else { row::<T>(kind, n, rng) }
}

fn streamed_rows<T: Float>() {
    let (isas, mut rng) = (isas(), rng(3));
    // With a shift and without, the base moving on the way; the alignment does not matter.
    let rows: [(&str, &[usize]); 3] =
        [("normal, scale 10", &[1, 1, 0, 2, 7, 15]), ("offset 1e6", &[4]), ("late 500", &[7])];
    Report::run("streamed rows", |report| {
        for (kind, offsets) in rows {
            if emulated() && offsets.len() == 1 {
                break;
            }
            let offsets = if emulated() { &offsets[..2] } else { offsets };
            check_row(report, &isas, kind, &streamed_row::<T>(kind, &mut rng), offsets);
        }
    });
}

fn streamed_special_values<T: Float>() {
    let (isas, mut rng) = (isas(), rng(4));
    let n = streamed_length::<T>();
    let mut x = streamed_row::<T>("normal, scale 1", &mut rng);
    x[..600].fill(T::of(f64::NEG_INFINITY));
    x[n / 2] = T::of(f64::NEG_INFINITY);
    x[n - 1] = T::of(f64::NEG_INFINITY);
    Report::run("streamed -inf", |report| {
        let reference = Reference::new(&x);
        for &isa in &isas {
            check_outputs(report, isa, "-inf", &x, &reference, &run_row(isa, &x, 3));
        }
    });
    for &isa in &isas {
        for (special, sum) in [(f64::INFINITY, f64::INFINITY), (f64::NAN, f64::NAN)] {
            x[n - 1] = T::of(special);
            let out = run_row(isa, &x, 3);
            assert!(all_nan(&out), "{special} in the tail on {isa}");
            assert_eq!(distance(out.log_sum_exp, sum, 0.0), 0.0);
            if emulated() {
                break;
            }
        }
    }
}

/// Whether softmax (both) and log-softmax are all NaN.
fn all_nan<T: Float>(out: &Outputs<T>) -> bool {
    let rows = [&out.softmax, &out.in_place, &out.log_softmax];
    rows.iter().all(|row| row.iter().all(|x| x.wide().is_nan()))
}

/// Rows of one value, whose partial sums all round in the same direction: the error of a sum shows undiluted. Of such
/// rows the results are known: 1/n and x + ln n.
fn constant_rows<T: Float>() {
    let (isas, mut rng) = (isas(), rng(5));
    let rounds = if emulated() { 40 } else { 400 };
    Report::run("constant rows", |report| {
        for n in [64, 100, 512, 1000, 4096 + 3, 20_000] {
            for round in 0..rounds.min(4_000_000 / n) {
                let offset = [0.0, 0.0, -300.0, 1e6][round % 4];
                let c = T::of(offset + rng.random_range(-0.7..0.7));
                let x = vec![c; n];
                let ln = T::reference_ln(Dd::from(n as f64));
                let p = Dd::ONE / Dd::from(n as f64);
                let (lse, log_p) = (Dd::from(c.wide()) + ln, -ln);
                for &isa in &isas {
                    let case = || format!("n = {n} times {:e}", c.wide());
                    let out = run_row(isa, &x, 0);
                    for row in [&out.softmax, &out.in_place, &out.log_softmax] {
                        assert!(
                            row.iter().all(|p| p.bits() == row[0].bits()),
                            "equal inputs, unequal outputs: {} {isa}",
                            case()
                        );
                    }
                    for (function, out) in [("softmax", out.softmax[0]), ("softmax_in_place", out.in_place[0])] {
                        let ulps = ulp_error(out, p.0, p.1);
                        report.observe::<T>(function, isa, ulps, SOFTMAX_ULPS, case);
                    }
                    let ulps = ulp_error_from_one(out.log_softmax[0], log_p.0, log_p.1);
                    report.observe::<T>("log_softmax", isa, ulps, LOG_SOFTMAX_ULPS, case);
                    let ulps = ulp_error_from_one(out.log_sum_exp, lse.0, lse.1);
                    report.observe::<T>("log_sum_exp", isa, ulps, LOG_SUM_EXP_ULPS, case);
                }
            }
        }
    });
}

/// Numbers evenly spread over the bit patterns from 0 down to `lowest`, so that every exponent has its share.
fn spread<T: Float>(count: usize, lowest: f64) -> impl Iterator<Item = T> {
    let (first, last) = (T::of(-0.0).bits(), T::of(lowest).bits());
    let step = (last - first) as f64 / count as f64;
    (0..=count).map(move |i| T::from_low_bits((first + (step * i as f64) as u64).min(last)))
}

/// Rows [0, x]: the outputs are e^x / (1 + e^x) and 1 / (1 + e^x).
fn pairs<T: Float>() {
    let isas = isas();
    // f64 has no use for more bit patterns of tiny numbers: there half of them lie between -1e-150 and 0.
    let count = match (T::NAME, emulated()) {
        ("f32", false) => 1 << 20,
        ("f32", true) => 1 << 14,
        (_, false) => 1 << 18,
        (_, true) => 1 << 13,
    };
    let lowest = if T::NAME == "f32" { -87.0 } else { -708.0 };
    let dense: Vec<T> = (0..count).map(|i| T::of(lowest * (i as f64 + 0.37) / count as f64)).collect();
    Report::run("pairs", |report| {
        for x in spread::<T>(count, lowest).chain(dense) {
            let (e, one) = (T::reference_exp(Dd::from(x.wide())), Dd::ONE);
            let expected = [one / (one + e), e / (one + e)];
            // ln(1 + e) would lose e where it is small in the f64 of f32's reference, but then ulps of 1 count.
            let lse = T::reference_ln(one + e);
            for &isa in &isas {
                let case = || format!("[0, {:e}]", x.wide());
                let mut out = [T::of(f64::NAN); 2];
                softmax_on(isa, &[T::of(0.0), x], &mut out).expect("equal lengths");
                for i in 0..2 {
                    if let Some(ulps) = softmax_error(out[i], x, expected[i], &case) {
                        report.observe::<T>("softmax", isa, ulps, SOFTMAX_ULPS, case);
                    }
                }
                let actual = log_sum_exp_on(isa, &[T::of(0.0), x]);
                let ulps = ulp_error_from_one(actual, lse.0, lse.1);
                report.observe::<T>("log_sum_exp", isa, ulps, LOG_SUM_EXP_ULPS, case);
            }
        }
    });
}

/// One long row through the whole range of the exponential, so that whole vectors and not only tails meet every value;
/// and rows of one element, whose log-sum-exp is the element.
fn every_exponential<T: Float>() {
    let isas = isas();
    let count = if emulated() { 1 << 13 } else { 1 << 17 };
    let lowest = if T::NAME == "f32" { -87.0 } else { -700.0 };
    let mut x: Vec<T> = spread(count, lowest).collect();
    x.extend(ramp::<T>(count, lowest, 0.0));
    Report::run("every exponential", |report| {
        check_row(report, &isas, "all of the range", &x, &[0, 0]);
        for x in x.iter().step_by(7) {
            // Both near 0 and over the range that is handled without a shift.
            for x in [x.wide(), x.wide() * 377.0] {
                let x = T::of(x);
                for &isa in &isas {
                    let ulps = ulp_error_from_one(log_sum_exp_on(isa, &[x]), x.wide(), 0.0);
                    report.observe::<T>("log_sum_exp", isa, ulps, LOG_SUM_EXP_ULPS, || format!("[{:e}]", x.wide()));
                }
            }
        }
    });
}

/// However far one element is above all others, it is found, wherever it stands. Far out of range an exponential can
/// come out as anything, 0 included: among the numbers are those for which kernels were seen to do that.
fn large_values_are_not_lost<T: Float>() {
    let (isas, mut rng) = (isas(), rng(11));
    // Beyond the type's rounding when the others' exponentials are added to it: they leave it as it is.
    let mut large: Vec<f64> = vec![LOST];
    let (first, last) = (T::of(100.0).bits(), T::LARGEST.bits());
    let count = if emulated() { 1 << 11 } else { 1 << 16 };
    large.extend((0..count).map(|_| T::from_low_bits(rng.random_range(first..=last)).wide()));
    // Most of a type's range is out of all proportion: as many again where exponents begin to lose their integers.
    large.extend((0..count).map(|_| 2.0_f64.powf(rng.random_range(8.0..60.0))));
    let places = [(2, 1), (9, 0), (40, 33), (100, 99), (1100, 1050)];
    for (i, &large) in large.iter().enumerate() {
        let large = T::of(large);
        for (n, at) in [places[0], places[if large.wide() == LOST { 3 } else { i % 5 }]] {
            // The others are at most 1, and e^100 is beyond 2^53 times their sum.
            let mut x = [T::of(0.5); 1100];
            x[at] = large;
            for &isa in &isas {
                let ulps = ulp_error(log_sum_exp_on(isa, &x[..n]), large.wide(), 0.0);
                assert!(ulps <= LOG_SUM_EXP_ULPS, "{large} at {at} of {n} on {isa}");
            }
            if i % 16 == 0 {
                for &isa in &isas {
                    let p = softmax_of(isa, &x[..n]);
                    assert!(ulp_error(p[at], 1.0, 0.0) <= SOFTMAX_ULPS, "{large} at {at} of {n} on {isa}");
                    let others = p.iter().enumerate().filter(|&(i, _)| i != at);
                    assert!(
                        others.into_iter().all(|(_, p)| (0.0..1e-40).contains(&p.wide())),
                        "{large} at {at} of {n}"
                    );
                }
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Special values

/// Every combination of the table, at the first, middle and last positions of rows of less than a vector, of several, of
/// one block and of several.
fn special_values<T: Float>() {
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    // Sets of special values in one row, and the log-sum-exp they ask for (None: that of the finite ones).
    let sets: [(&[f64], Option<f64>); 8] = [
        (&[-INF], None),
        (&[-INF, -INF], None),
        (&[INF], Some(INF)),
        (&[NAN], Some(NAN)),
        (&[INF, INF], Some(INF)),
        (&[-INF, INF], Some(INF)),
        (&[INF, NAN], Some(NAN)),
        (&[-INF, NAN], Some(NAN)),
    ];
    let (isas, mut rng) = (isas(), rng(6));
    Report::run("special values", |report| {
        for n in [1, 2, 3, 5, 16, 17, 33, 64, 67, 511, 513, 1024, 2047, 2048, 2056, 4096, 4101, 6400] {
            let mut positions = vec![0, 1, n / 3, n / 2, n - 2.min(n), n - 1];
            positions.extend([15, 16, 40, 511, 2047, 2048, 2070, 4095, 4096].into_iter().filter(|&at| at < n));
            positions.sort_unstable();
            positions.dedup();
            positions.retain(|&at| at < n);
            for base in ["normal, scale 1", "offset 1e6", "late 500", "all -inf"] {
                for (set, sum) in sets {
                    let mut places: Vec<(usize, usize)> = positions.iter().map(|&at| (at, at)).collect();
                    if set.len() == 2 {
                        let all = positions.iter().flat_map(|&a| positions.iter().map(move |&b| (a, b)));
                        places = all.filter(|(a, b)| a != b).collect();
                    }
                    // Of the pairs, a sample that goes round all of them.
                    let step = places.len() / if emulated() { 4 } else { 30 } + 1;
                    places = places.into_iter().step_by(step).collect();
                    for (a, b) in places {
                        let mut x: Vec<T> =
                            if base == "all -inf" { vec![T::of(-INF); n] } else { row(base, n, &mut rng) };
                        x[a] = T::of(set[0]);
                        if set.len() == 2 {
                            x[b] = T::of(set[1]);
                        }
                        let name = format!("{base} with {set:?} at {a} and {b}");
                        check_special(report, &isas, &name, &x, sum);
                    }
                }
            }
            // -inf everywhere but in one place, and in whole blocks.
            for at in positions {
                let mut x = vec![T::of(-INF); n];
                x[at] = T::of(3.5);
                check_special(report, &isas, &format!("-inf but at {at}"), &x, None);
                let mut x = normal::<T>(n, 1.0, -5.0, &mut rng);
                x[..at].fill(T::of(-INF));
                check_special(report, &isas, &format!("-inf before {at}"), &x, None);
                let mut x = normal::<T>(n, 1.0, -5.0, &mut rng);
                x[at..].fill(T::of(-INF));
                check_special(report, &isas, &format!("-inf from {at}"), &x, None);
            }
        }
    });
    for &isa in &isas {
        // Empty rows.
        assert_eq!(log_sum_exp_on::<T>(isa, &[]).wide(), -INF);
        softmax_on::<T>(isa, &[], &mut []).expect("equal lengths");
        log_softmax_on::<T>(isa, &[], &mut []).expect("equal lengths");
        softmax_in_place_on::<T>(isa, &mut []);
    }
}

fn check_special<T: Float>(report: &mut Report, isas: &[Isa], name: &str, x: &[T], sum: Option<f64>) {
    let reference = Reference::new(x);
    if let Some(sum) = sum {
        // The reference has the contract's table of its own; this is the table itself.
        assert_eq!(distance(T::of(reference.log_sum_exp.0), sum, 0.0), 0.0, "{name}");
    }
    for &isa in isas {
        let out = run_row(isa, x, x.len() % LANES);
        check_outputs(report, isa, name, x, &reference, &out);
        let none_finite = x.iter().all(|x| x.wide() == f64::NEG_INFINITY);
        assert!((sum.is_none() && !none_finite) || all_nan(&out), "{name}, n = {} on {isa}", x.len());
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Matrices, entry points

/// The rows forms give the bits of the single rows, whatever the strides, and touch nothing between rows.
fn matrices<T: Float>() {
    let (isas, mut rng) = (isas(), rng(7));
    for (rows, cols, extra) in
        [(1, 1, 0), (1, 5, 9), (3, 0, 4), (33, 7, 3), (2, 100, 1), (5, 1, 2), (4, 1030, 13), (7, 16, 0)]
    {
        let (stride, out_stride) = (cols + extra, cols + 2 * extra);
        let guard = T::of(f64::NAN);
        let mut x = vec![guard; (rows - 1) * stride + cols];
        for i in 0..rows {
            let kind = ["normal, scale 1", "late 500", "offset 1e6", "largest with both signs"][i % 4];
            x[i * stride..][..cols].copy_from_slice(&row::<T>(kind, cols, &mut rng));
        }
        if rows > 2 && cols > 2 {
            x[stride + 1] = T::of(f64::INFINITY);
            x[2 * stride + cols - 1] = T::of(f64::NEG_INFINITY);
        }
        let input = Guarded::new(&x, 3);
        let view = || MatRef::with_stride(input.get(), rows, cols, stride).expect("it fits");
        for &isa in &isas {
            type Rows<T> = fn(Isa, MatRef<'_, T>, MatMut<'_, T>) -> Result<(), Error>;
            type Row<T> = fn(Isa, &[T], &mut [T]) -> Result<(), Error>;
            let forms: [(Rows<T>, Row<T>); 2] = [(softmax_rows_on, softmax_on), (log_softmax_rows_on, log_softmax_on)];
            for (on_rows, on_row) in forms {
                let mut out = Guarded::<T>::unwritten((rows - 1) * out_stride + cols, 5);
                let target = MatMut::with_stride(out.get_mut(), rows, cols, out_stride).expect("it fits");
                on_rows(isa, view(), target).expect("the shapes agree");
                let out = out.check();
                for i in 0..rows {
                    let mut expected = vec![guard; cols];
                    on_row(isa, &x[i * stride..][..cols], &mut expected).expect("equal lengths");
                    assert_eq!(bits_of(&out[i * out_stride..][..cols]), bits_of(&expected), "row {i} on {isa}");
                    let end = if i + 1 < rows { (i + 1) * out_stride } else { out.len() };
                    let between = &out[i * out_stride + cols..end];
                    assert!(between.iter().all(|&x| Guarded::is_guard(x)), "written after row {i} on {isa}");
                }
            }
            let mut out = Guarded::<T>::unwritten(rows, 1);
            log_sum_exp_rows_on(isa, view(), out.get_mut()).expect("the lengths agree");
            let expected: Vec<T> = (0..rows).map(|i| log_sum_exp_on(isa, &x[i * stride..][..cols])).collect();
            assert_eq!(bits_of(out.check()), bits_of(&expected), "{rows} x {cols} on {isa}");
        }
        assert_eq!(bits_of(input.check()), bits_of(&x), "the input changed");
    }
}

/// Without columns there is nothing to do, however many rows there are.
fn empty_matrices<T: Float>() {
    for isa in isas() {
        for rows in [0, 1, 1000, usize::MAX] {
            let x = || MatRef::<T>::new(&[], rows, 0).expect("it fits");
            let out = || MatMut::<T>::new(&mut [], rows, 0).expect("it fits");
            assert_eq!(softmax_rows_on(isa, x(), out()), Ok(()));
            assert_eq!(log_softmax_rows_on(isa, x(), out()), Ok(()));
        }
        let mut sums = [T::of(1.0); 3];
        assert_eq!(log_sum_exp_rows_on(isa, MatRef::new(&[], 3, 0).expect("it fits"), &mut sums), Ok(()));
        assert!(sums.iter().all(|x| x.wide() == f64::NEG_INFINITY));
        assert_eq!(log_sum_exp_rows_on::<T>(isa, MatRef::new(&[], 0, 3).expect("it fits"), &mut []), Ok(()));
    }
}

/// The plain functions give the bits of their twins on `Isa::best()`, and the same again when run again.
fn entry_points_run_the_best<T: Float>() {
    let (isa, mut rng) = (Isa::best(), rng(8));
    for n in [0, 1, 3, 8, 17, 100, 513, 3000] {
        for kind in ["normal, scale 10", "offset 1e6", "late huge"] {
            let x = row::<T>(kind, n, &mut rng);
            let expected = run_row(isa, &x, 0);
            for _ in 0..2 {
                let mut out = vec![T::of(f64::NAN); n];
                softmax(&x, &mut out).expect("equal lengths");
                assert_eq!(bits_of(&out), bits_of(&expected.softmax), "softmax of {kind}, n = {n}");
                log_softmax(&x, &mut out).expect("equal lengths");
                assert_eq!(bits_of(&out), bits_of(&expected.log_softmax), "log_softmax of {kind}, n = {n}");
                out.copy_from_slice(&x);
                softmax_in_place(&mut out);
                assert_eq!(bits_of(&out), bits_of(&expected.in_place), "softmax_in_place of {kind}, n = {n}");
                assert_eq!(log_sum_exp(&x).bits(), expected.log_sum_exp.bits(), "log_sum_exp of {kind}, n = {n}");
                assert_eq!(format!("{:?}", ExtSum::of(&x)), format!("{:?}", ExtSum::of_on(isa, &x)));
            }
        }
    }
    let (rows, cols) = (9, 21);
    let x = normal::<T>(rows * cols, 5.0, 0.0, &mut rng);
    let view = MatRef::new(&x, rows, cols).expect("it fits");
    let mut outs = [vec![T::of(0.0); x.len()], vec![T::of(1.0); x.len()]];
    let [plain, on] = &mut outs;
    softmax_rows(view, MatMut::new(plain, rows, cols).expect("it fits")).expect("equal shapes");
    softmax_rows_on(isa, view, MatMut::new(on, rows, cols).expect("it fits")).expect("equal shapes");
    assert_eq!(bits_of(plain), bits_of(on));
    log_softmax_rows(view, MatMut::new(plain, rows, cols).expect("it fits")).expect("equal shapes");
    assert!(bits_of(plain) != bits_of(on), "log_softmax_rows wrote nothing");
    log_softmax_rows_on(isa, view, MatMut::new(on, rows, cols).expect("it fits")).expect("equal shapes");
    assert_eq!(bits_of(plain), bits_of(on));
    let (mut plain, mut on) = (vec![T::of(0.0); rows], vec![T::of(1.0); rows]);
    log_sum_exp_rows(view, &mut plain).expect("equal lengths");
    log_sum_exp_rows_on(isa, view, &mut on).expect("equal lengths");
    assert_eq!(bits_of(&plain), bits_of(&on));
}

// ---------------------------------------------------------------------------------------------------------------------
// Options

/// Softmax, log-softmax and log-sum-exp of all rows with options, from and to guarded buffers.
fn run_with<T: Float>(isa: Isa, x: &[T], cols: usize, options: &SoftmaxOptions<'_, T>) -> [Vec<T>; 3] {
    let rows = x.len() / cols;
    let view = MatRef::new(x, rows, cols).expect("it fits");
    let mut outs = [(x.len(), 3), (x.len(), 0), (rows, 1)].map(|(len, offset)| Guarded::<T>::unwritten(len, offset));
    let [softmax, log_softmax, log_sum_exp] = &mut outs;
    let target = |out| MatMut::new(out, rows, cols).expect("it fits");
    softmax_rows_with_on(isa, view, target(softmax.get_mut()), options).expect("good options");
    log_softmax_rows_with_on(isa, view, target(log_softmax.get_mut()), options).expect("good options");
    log_sum_exp_rows_with_on(isa, view, log_sum_exp.get_mut(), options).expect("good options");
    outs.map(|out| out.check().to_vec())
}

/// Scaled and masked rows are those of the logits `scale * x + mask`: with one rounding, but on scalar with two. Logits and
/// masks are short binary fractions, so that in f64 nothing is rounded on the way to f32.
fn scaled_and_masked_rows<T: Float>() {
    let (isas, mut rng) = (isas(), rng(12));
    Report::run("options", |report| {
        let lengths = (1..=2 * LANES + 1).chain([63, 65, 127, 257, 300, 513, 4100]);
        for cols in lengths {
            let rows = if cols < 1000 { 19 } else { 2 };
            let x: Vec<T> = (0..rows * cols).map(|_| T::of(f64::from(rng.random_range(-4000..4000)) / 256.0)).collect();
            let entry = |rng: &mut StdRng| match rng.random_range(0..5) {
                0 => f64::NEG_INFINITY,
                1 => f64::from(rng.random_range(-99..99)) / 4.0,
                _ => 0.0,
            };
            let masks: Vec<T> = (0..rows * cols).map(|_| T::of(entry(&mut rng))).collect();
            let matrix = MatRef::new(&masks, rows, cols).expect("it fits");
            let row = MatRef::new(&masks[..cols], 1, cols).expect("it fits");
            for (scale, mask) in
                [(0.125, None), (-2.3, None), (1.0, Some(matrix)), (0.7, Some(row)), (-1.1, Some(matrix))]
            {
                let scale = T::of(scale);
                let options = SoftmaxOptions::new().scale(scale);
                let options = mask.map_or(options, |mask| options.mask(mask));
                for &isa in &isas {
                    let [softmax, log_softmax, log_sum_exp] = run_with(isa, &x, cols, &options);
                    for i in 0..rows {
                        let at = i * cols..(i + 1) * cols;
                        let mask = mask.map(|mask| mask.row(if mask.rows() == 1 { 0 } else { i }));
                        let logit = |j: usize| -> T {
                            let (s, x) = (scale.wide(), x[i * cols + j].wide());
                            match mask.map(|mask| mask[j].wide()) {
                                None => T::of(s * x),
                                Some(mask) if isa.name() == "scalar" => T::of(T::of(s * x).wide() + mask),
                                Some(mask) => T::of(s.mul_add(x, mask)),
                            }
                        };
                        let logits: Vec<T> = (0..cols).map(logit).collect();
                        let softmax = softmax[at.clone()].to_vec();
                        let out = Outputs {
                            in_place: softmax.clone(),
                            softmax,
                            log_softmax: log_softmax[at].to_vec(),
                            log_sum_exp: log_sum_exp[i],
                        };
                        let name = format!("scale {scale}, mask {}", mask.is_some());
                        check_outputs(report, isa, &name, &logits, &Reference::new(&logits), &out);
                    }
                }
            }
        }
    });
}

/// Masked entries are 0 whatever they hold; rows that are masked whole are NaN or, as an option, 0; the other rows of the
/// matrix do not notice.
fn masked_entries<T: Float>() {
    const INF: f64 = f64::INFINITY;
    for isa in isas() {
        for cols in [1, 2, 5, 8, 16, 17, 40, 300, 5000] {
            let x = |i: usize| T::of([0.5, INF, f64::NAN, -INF][i % 4]);
            let x: Vec<T> = (0..3 * cols).map(|i| if i / cols == 1 { x(i) } else { T::of(0.25) }).collect();
            let masks: Vec<T> = (0..3 * cols).map(|i| T::of(if i / cols == 1 { -INF } else { 0.0 })).collect();
            let mask = MatRef::new(&masks, 3, cols).expect("it fits");
            for zero in [false, true] {
                let options = SoftmaxOptions::new().scale(T::of(2.0)).mask(mask).masked_rows_are_zero(zero);
                let [softmax, log_softmax, log_sum_exp] = run_with(isa, &x, cols, &options);
                let (p, log_p) = if zero { (0.0, -INF) } else { (f64::NAN, f64::NAN) };
                for j in cols..2 * cols {
                    assert_eq!(distance(softmax[j], p, 0.0), 0.0, "{} on {isa}", softmax[j]);
                    assert_eq!(distance(log_softmax[j], log_p, 0.0), 0.0, "{} on {isa}", log_softmax[j]);
                }
                assert_eq!(log_sum_exp[1].wide(), -INF);
                for i in [0, 2] {
                    assert!(ulp_error(softmax[i * cols], 1.0 / cols as f64, 0.0) <= SOFTMAX_ULPS);
                }
            }
            // A mask for all rows: of the second row only an ordinary logit is left.
            let masks: Vec<T> = (0..cols).map(|j| T::of(if (cols + j) % 4 == 0 { 0.0 } else { -INF })).collect();
            let options = SoftmaxOptions::new().mask(MatRef::new(&masks, 1, cols).expect("it fits"));
            let left = masks.iter().filter(|m| m.wide() == 0.0).count();
            let [softmax, ..] = run_with(isa, &x, cols, &options);
            for (j, mask) in masks.iter().enumerate() {
                let p = if mask.wide() == 0.0 {
                    1.0 / left as f64
                } else if left == 0 {
                    f64::NAN
                } else {
                    0.0
                };
                assert!(ulp_error(softmax[cols + j], p, 0.0) <= SOFTMAX_ULPS, "{} for {p} on {isa}", softmax[cols + j]);
            }
            // NaN in a mask is no mask.
            let mut masks = masks;
            masks[0] = T::of(f64::NAN);
            let options = SoftmaxOptions::new().mask(MatRef::new(&masks, 1, cols).expect("it fits"));
            let [softmax, ..] = run_with(isa, &x, cols, &options);
            assert!(softmax.iter().all(|p| p.wide().is_nan()), "NaN in the mask on {isa}");
        }
    }
}

fn bad_options<T: Float>() {
    let x = [T::of(1.0); 12];
    let view = |rows, cols| MatRef::new(&x[..rows * cols], rows, cols).expect("it fits");
    let check = |options: SoftmaxOptions<'_, T>, error: Error| {
        let mut out = Guarded::<T>::unwritten(12, 0);
        for isa in isas() {
            let error = Err(error.clone());
            assert_eq!(
                softmax_rows_with(view(3, 4), MatMut::new(out.get_mut(), 3, 4).expect("it fits"), &options),
                error
            );
            assert_eq!(
                softmax_rows_with_on(isa, view(3, 4), MatMut::new(out.get_mut(), 3, 4).expect("it fits"), &options),
                error
            );
            assert_eq!(
                log_softmax_rows_with(view(3, 4), MatMut::new(out.get_mut(), 3, 4).expect("it fits"), &options),
                error
            );
            assert_eq!(
                log_softmax_rows_with_on(isa, view(3, 4), MatMut::new(out.get_mut(), 3, 4).expect("it fits"), &options),
                error
            );
            assert_eq!(log_sum_exp_rows_with(view(3, 4), &mut out.get_mut()[..3], &options), error);
            assert_eq!(log_sum_exp_rows_with_on(isa, view(3, 4), &mut out.get_mut()[..3], &options), error);
        }
        assert!(out.check().iter().all(|&x| Guarded::is_guard(x)));
    };
    for value in [0.0, f64::INFINITY, f64::NEG_INFINITY] {
        let error = Error::Parameter { argument: "scale", value, expected: "finite and not 0" };
        check(SoftmaxOptions::new().scale(T::of(value)), error);
    }
    for actual in [(2, 4), (3, 3), (4, 3), (1, 3), (0, 4), (1, 12)] {
        let error = Error::Shape { argument: "mask", actual, expected: (3, 4) };
        check(SoftmaxOptions::new().mask(view(actual.0, actual.1)), error);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Sums of exponentials

/// The parts of a row, merged from the left, from the right and as a tree, have the sum of the row; the operands of a
/// merge may be swapped without changing a bit.
fn sums_merge<T: Float>() {
    let (isas, mut rng) = (isas(), rng(9));
    let merge = |a: ExtSum<T>, b: ExtSum<T>| {
        let (ab, ba) = (a.merge(b), b.merge(a));
        // Debug shows every field with all its digits.
        assert_eq!(format!("{ab:?}"), format!("{ba:?}"), "{a:?} and {b:?}");
        assert_eq!(ab.ln().bits(), ba.ln().bits());
        ab
    };
    Report::run("merged sums", |report| {
        for kind in KINDS {
            for (n, parts) in [(2, 2), (50, 3), (700, 13), (5000, 97)] {
                let x = row::<T>(kind, n, &mut rng);
                let reference = Reference::new(&x).log_sum_exp;
                // Cuts anywhere: some parts are empty.
                let mut cuts: Vec<usize> = (1..parts).map(|_| rng.random_range(0..=n)).collect();
                cuts.extend([0, n]);
                cuts.sort_unstable();
                for &isa in &isas {
                    let sums = || cuts.windows(2).map(|w| ExtSum::of_on(isa, &x[w[0]..w[1]]));
                    let left = sums().fold(ExtSum::default(), merge);
                    let right = sums().rev().fold(ExtSum::default(), merge);
                    let mut tree: Vec<ExtSum<T>> = sums().collect();
                    while tree.len() > 1 {
                        tree =
                            tree.chunks(2).map(|pair| pair.iter().copied().reduce(merge).expect("not empty")).collect();
                    }
                    for (order, sum) in [("left", left), ("right", right), ("tree", tree[0])] {
                        let ulps = ulp_error_from_one(sum.ln(), reference.0, reference.1);
                        let case = || format!("{kind}, n = {n} in {parts} parts, {order}");
                        report.observe::<T>("ExtSum::merge", isa, ulps, LOG_SUM_EXP_ULPS, case);
                    }
                }
            }
        }
    });
}

fn special_sums_merge<T: Float>() {
    const INF: f64 = f64::INFINITY;
    for isa in isas() {
        let of = |x: &[f64]| ExtSum::<T>::of_on(isa, &x.iter().map(|&x| T::of(x)).collect::<Vec<T>>());
        let empty = ExtSum::<T>::default();
        assert_eq!(empty.ln().wide(), -INF);
        assert_eq!(empty.merge(empty).ln().wide(), -INF);
        assert_eq!(of(&[]).ln().wide(), -INF);
        assert_eq!(of(&[-INF, -INF]).ln().wide(), -INF);
        // Nothing added leaves every bit as it is.
        for x in [&[1.5, 2.5][..], &[-1e6], &[3e38], &[-3e38], &[INF], &[-INF]] {
            let sum = of(x);
            for nothing in [empty, of(&[]), of(&[-INF])] {
                assert_eq!(sum.merge(nothing).ln().bits(), sum.ln().bits(), "{x:?} and nothing");
                assert_eq!(nothing.merge(sum).ln().bits(), sum.ln().bits(), "nothing and {x:?}");
            }
        }
        for other in [&[1.0][..], &[], &[-INF], &[INF], &[3e38], &[-3e38]] {
            assert_eq!(of(&[INF]).merge(of(other)).ln().wide(), INF, "+inf and {other:?}");
            assert_eq!(of(other).merge(of(&[INF])).ln().wide(), INF, "{other:?} and +inf");
            assert!(of(&[f64::NAN]).merge(of(other)).ln().wide().is_nan(), "NaN and {other:?}");
            assert!(of(other).merge(of(&[f64::NAN])).ln().wide().is_nan(), "{other:?} and NaN");
        }
        // Far apart, the larger is the sum.
        for (a, b) in [(3e38, -3e38), (1e7, 0.0), (0.0, -40_000.0), (32_768.0, -32_768.0)] {
            let (large, small) = (of(&[a]), of(&[b]));
            assert_eq!(large.merge(small).ln().wide(), T::of(a).wide());
            assert_eq!(small.merge(large).ln().wide(), T::of(a).wide());
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Errors

fn errors_leave_outputs_alone<T: Float>() {
    let untouched = |out: &[T]| out.iter().all(|&x| Guarded::is_guard(x));
    let x = vec![T::of(1.0); 24];
    for isa in isas() {
        for (n, expected) in [(0, 6), (5, 6), (7, 6), (24, 6), (1, 0)] {
            let error = Err(Error::Length { argument: "out", actual: n, expected });
            let mut out = Guarded::<T>::unwritten(n, 0);
            assert_eq!(softmax(&x[..expected], out.get_mut()), error);
            assert_eq!(softmax_on(isa, &x[..expected], out.get_mut()), error);
            assert_eq!(log_softmax(&x[..expected], out.get_mut()), error);
            assert_eq!(log_softmax_on(isa, &x[..expected], out.get_mut()), error);
            assert!(untouched(out.check()));
        }
        let view = MatRef::new(&x, 4, 6).expect("it fits");
        for (rows, cols) in [(6, 4), (4, 5), (3, 6), (24, 1), (1, 24), (0, 6), (4, 0)] {
            let error = Err(Error::Shape { argument: "out", actual: (rows, cols), expected: (4, 6) });
            let mut out = Guarded::<T>::unwritten(rows * cols, 0);
            let mut target = |f: &dyn Fn(MatMut<'_, T>) -> Result<(), Error>| {
                assert_eq!(f(MatMut::new(out.get_mut(), rows, cols).expect("it fits")), error);
            };
            target(&|out| softmax_rows(view, out));
            target(&|out| softmax_rows_on(isa, view, out));
            target(&|out| log_softmax_rows(view, out));
            target(&|out| log_softmax_rows_on(isa, view, out));
            assert!(untouched(out.check()));
        }
        for n in [0, 3, 5, 6, 24] {
            let error = Err(Error::Length { argument: "out", actual: n, expected: 4 });
            let mut out = Guarded::<T>::unwritten(n, 0);
            assert_eq!(log_sum_exp_rows(view, out.get_mut()), error);
            assert_eq!(log_sum_exp_rows_on(isa, view, out.get_mut()), error);
            assert!(untouched(out.check()));
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Properties

/// Fixed cases: what a run finds, the next one finds too.
fn config() -> Config {
    let cases = if emulated() { 32 } else { 256 };
    Config { cases, rng_seed: RngSeed::Fixed(10), failure_persistence: None, ..Config::default() }
}

/// Softmax on one instruction set.
fn softmax_of<T: Float>(isa: Isa, x: &[T]) -> Vec<T> {
    let mut out = vec![T::of(f64::NAN); x.len()];
    softmax_on(isa, x, &mut out).expect("equal lengths");
    out
}

/// Whether two softmax outputs, each within the contract's bound of the same value, can be told apart: 4 ulp each, and
/// both may be flushed to zero below the bound's range.
fn same_softmax<T: Float>(a: T, b: T) -> bool {
    ulp_error(a, b.wide(), 0.0) <= 2.0 * SOFTMAX_ULPS + 1.0 || (a.wide() < T::SMALLEST && b.wide() < T::SMALLEST)
}

fn same_log_sum_exp<T: Float>(a: T, b: f64) -> bool {
    ulp_error_from_one(a, b, 0.0) <= 2.0 * LOG_SUM_EXP_ULPS
}

macro_rules! properties {
    ($name:ident, $t:ident) => {
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(config())]

                /// Each output is within 4 ulp, and an ulp is at most EPSILON times the value.
                #[test]
                fn outputs_sum_to_one(x in prop::collection::vec(-100.0..100.0_f64, 1..600)) {
                    let x: Vec<$t> = x.into_iter().map(|x| x as $t).collect();
                    for isa in isas() {
                        let sum: f64 = softmax_of(isa, &x).iter().map(|&p| p as f64).sum();
                        let limit = SOFTMAX_ULPS * <$t>::EPSILON as f64 + 1e-14 * f64::from($t::DIGITS == 24);
                        // The sum itself is taken in f64: n/2 rounding errors of it at worst, for f64.
                        let own = x.len() as f64 * f64::EPSILON / 2.0;
                        prop_assert!((sum - 1.0).abs() <= limit + own, "{sum} on {isa}");
                    }
                }

                /// Multiples of 2^-8 below 2^15 can be shifted by others without rounding.
                #[test]
                fn shifts_cancel(
                    x in prop::collection::vec(-10_000..10_000_i32, 1..200),
                    shift in prop::sample::select(vec![1, -256, 25_600, -2_560_000, 4_194_304, 8_388_000, 8_388_608, 8_390_000]),
                ) {
                    let shift = shift / 2;
                    let a: Vec<$t> = x.iter().map(|&x| x as $t / 256.0).collect();
                    let b: Vec<$t> = x.iter().map(|&x| (x + shift) as $t / 256.0).collect();
                    for isa in isas() {
                        let (p, q) = (softmax_of(isa, &a), softmax_of(isa, &b));
                        for (p, q) in p.iter().zip(&q) {
                            prop_assert!(same_softmax(*p, *q), "{p} and {q} on {isa}");
                        }
                        let (s, t) = (log_sum_exp_on(isa, &a), log_sum_exp_on(isa, &b));
                        let limit = LOG_SUM_EXP_ULPS * (support::ulp::<$t>(s.abs().max(1.0) as f64)
                            + support::ulp::<$t>(t.abs().max(1.0) as f64));
                        let difference = (t as f64 - s as f64) - shift as f64 / 256.0;
                        prop_assert!(difference.abs() <= limit, "{s} and {t} on {isa}");
                    }
                }

                #[test]
                fn order_does_not_matter(
                    (x, order) in prop::collection::vec(-80.0..80.0_f64, 1..700).prop_flat_map(|x| {
                        let order: Vec<usize> = (0..x.len()).collect();
                        (Just(x), Just(order).prop_shuffle())
                    }),
                ) {
                    let x: Vec<$t> = x.into_iter().map(|x| x as $t).collect();
                    let y: Vec<$t> = order.iter().map(|&i| x[i]).collect();
                    for isa in isas() {
                        let (p, q) = (softmax_of(isa, &x), softmax_of(isa, &y));
                        for (&i, &q) in order.iter().zip(&q) {
                            prop_assert!(same_softmax(p[i], q), "{} and {q} on {isa}", p[i]);
                        }
                        let (s, t) = (log_sum_exp_on(isa, &x), log_sum_exp_on(isa, &y));
                        prop_assert!(same_log_sum_exp(s, t as f64), "{s} and {t} on {isa}");
                    }
                }

                /// Larger inputs have larger outputs, but for the error bound; equal inputs equal ones, wherever in the
                /// row.
                #[test]
                fn order_is_kept(x in prop::collection::vec(prop::sample::select(
                    vec![-60.0, -1.0, -0.5, 0.0, 1e-7, 1e-3, 0.5, 0.500001, 3.0, 20.0_f64]), 1..200)) {
                    let x: Vec<$t> = x.into_iter().map(|x| x as $t).collect();
                    let mut rank: Vec<usize> = (0..x.len()).collect();
                    rank.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
                    for isa in isas() {
                        let p = softmax_of(isa, &x);
                        for pair in rank.windows(2) {
                            let (i, j) = (pair[0], pair[1]);
                            if x[i] == x[j] {
                                prop_assert_eq!(p[i].to_bits(), p[j].to_bits(), "equal inputs on {}", isa);
                            } else {
                                prop_assert!(p[i] <= p[j] || same_softmax(p[i], p[j]), "{} and {} on {isa}", p[i], p[j]);
                            }
                        }
                    }
                }

                /// Log-softmax is the logarithm of softmax, wherever that is not flushed to zero.
                #[test]
                fn log_softmax_is_the_logarithm(x in prop::collection::vec(-40.0..40.0_f64, 1..300)) {
                    let x: Vec<$t> = x.into_iter().map(|x| x as $t).collect();
                    let mut log_p = vec![0.0; x.len()];
                    for isa in isas() {
                        log_softmax_on(isa, &x, &mut log_p).expect("equal lengths");
                        for (&p, &log_p) in softmax_of(isa, &x).iter().zip(&log_p) {
                            // 4 ulp of p are at most 4 EPSILON in its logarithm; 1 ulp is for the one taken here.
                            let error = ulp_error_from_one(log_p, (p as f64).ln(), 0.0);
                            prop_assert!(error <= LOG_SOFTMAX_ULPS + SOFTMAX_ULPS + 1.0, "{p} and {log_p} on {isa}");
                        }
                    }
                }
            }
        }
    };
}

properties!(properties_f32, f32);
properties!(properties_f64, f64);
