//! The accuracy of rows of every length, alignment and kind, and of every exponential.

use super::{check_row, streamed_row};
use crate::support::{
    data::{ramp, rng},
    double_double::Dd,
    float::Float,
    for_both_types,
    guarded::LANES,
    isas::{isas, small_cases},
    report::Report,
    rows::{KINDS, row},
    softmax::{LOG_SOFTMAX_ULPS, LOG_SUM_EXP_ULPS, SOFTMAX_ULPS, run_row, softmax_error},
    ulp::{ulp_error, ulp_error_from_one},
};
use rand::RngExt;

for_both_types! {
    short_rows_at_every_alignment
    long_rows
    streamed_rows
    constant_rows
    pairs
    every_exponential
}

fn short_rows_at_every_alignment<T: Float>() {
    let (isas, mut rng) = (isas(), rng(1));
    let offsets: Vec<usize> = [0].into_iter().chain(0..LANES).collect();
    let some = [0, 0, 1, 5, 10];
    Report::run("short rows", |report| {
        for n in 0..=3 * LANES + 1 {
            for kind in KINDS {
                let offsets = if small_cases() { &some[..] } else { &offsets[..] };
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
            let n = if small_cases() { 6_003 } else { 100_003 };
            check_row(report, &isas, kind, &row::<T>(kind, n, &mut rng), &[0, 0]);
        }
    });
}

fn streamed_rows<T: Float>() {
    let (isas, mut rng) = (isas(), rng(3));
    // With a shift and without, the base moving on the way; the alignment does not matter.
    let rows: [(&str, &[usize]); 3] =
        [("normal, scale 10", &[1, 1, 0, 2, 7, 15]), ("offset 1e6", &[4]), ("late 500", &[7])];
    Report::run("streamed rows", |report| {
        for (kind, offsets) in rows {
            if small_cases() && offsets.len() == 1 {
                break;
            }
            let offsets = if small_cases() { &offsets[..2] } else { offsets };
            check_row(report, &isas, kind, &streamed_row::<T>(kind, &mut rng), offsets);
        }
    });
}

/// Rows of one value, whose partial sums all round in the same direction: the error of a sum shows
/// undiluted. Of such rows the results are known: 1/n and x + ln n.
fn constant_rows<T: Float>() {
    let (isas, mut rng) = (isas(), rng(5));
    let rounds = if small_cases() { 40 } else { 400 };
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

/// Numbers evenly spread over the bit patterns from 0 down to `lowest`, so that every exponent has
/// its share.
fn spread<T: Float>(count: usize, lowest: f64) -> impl Iterator<Item = T> {
    let (first, last) = (T::of(-0.0).bits(), T::of(lowest).bits());
    let step = (last - first) as f64 / count as f64;
    (0..=count).map(move |i| T::from_low_bits((first + (step * i as f64) as u64).min(last)))
}

/// Rows [0, x]: the outputs are e^x / (1 + e^x) and 1 / (1 + e^x).
fn pairs<T: Float>() {
    let isas = isas();
    // f64 has no use for more bit patterns of tiny numbers: there half of them lie between -1e-150
    // and 0.
    let count = match (T::NAME, small_cases()) {
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
            // ln(1 + e) would lose e where it is small in the f64 of f32's reference, but then ulps
            // of 1 count.
            let lse = T::reference_ln(one + e);
            for &isa in &isas {
                let case = || format!("[0, {:e}]", x.wide());
                let mut out = [T::of(f64::NAN); 2];
                isa.softmax(&[T::of(0.0), x], &mut out).expect("equal lengths");
                for i in 0..2 {
                    if let Some(ulps) = softmax_error(out[i], x, expected[i], &case) {
                        report.observe::<T>("softmax", isa, ulps, SOFTMAX_ULPS, case);
                    }
                }
                let actual = isa.log_sum_exp(&[T::of(0.0), x]);
                let ulps = ulp_error_from_one(actual, lse.0, lse.1);
                report.observe::<T>("log_sum_exp", isa, ulps, LOG_SUM_EXP_ULPS, case);
            }
        }
    });
}

/// One long row through the whole range of the exponential, so that whole vectors and not only
/// tails meet every value; and rows of one element, whose log-sum-exp is the element.
fn every_exponential<T: Float>() {
    let isas = isas();
    let count = if small_cases() { 1 << 13 } else { 1 << 17 };
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
                    let ulps = ulp_error_from_one(isa.log_sum_exp(&[x]), x.wide(), 0.0);
                    report.observe::<T>("log_sum_exp", isa, ulps, LOG_SUM_EXP_ULPS, || format!("[{:e}]", x.wide()));
                }
            }
        }
    });
}
