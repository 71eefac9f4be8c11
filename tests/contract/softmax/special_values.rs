//! Infinities, NaN, and single logits far above all others.

use super::{all_nan, softmax_of, streamed_row};
use crate::support::{
    data::{normal, rng},
    float::Float,
    for_both_types,
    guarded::LANES,
    isas::{isas, small_cases},
    reference::Reference,
    report::Report,
    rows::{row, streamed_length},
    softmax::{LOG_SUM_EXP_ULPS, SOFTMAX_ULPS, check_outputs, run_row},
    ulp::{distance, ulp_error},
};
use mantex::{Isa, MatMut, MatRef};
use rand::RngExt;

for_both_types! {
    large_values_are_not_lost
    streamed_special_values
    special_values
    zeros_are_positive
}

/// In f32 the remainder of this number after a multiple of ln 2, rounded too coarsely, is one at
/// which a polynomial for AVX-512 was exactly 0.
const LOST: f64 = 237_645_232.0;

/// However far one element is above all others, it is found, wherever it stands. Far out of range
/// an exponential can come out as anything, 0 included: among the numbers are those for which
/// kernels were seen to do that.
fn large_values_are_not_lost<T: Float>() {
    let (isas, mut rng) = (isas(), rng(11));
    // Beyond the type's rounding when the others' exponentials are added to it: they leave it as it
    // is.
    let mut large: Vec<f64> = vec![LOST];
    let (first, last) = (T::of(100.0).bits(), T::LARGEST.bits());
    let count = if small_cases() { 1 << 11 } else { 1 << 16 };
    large.extend((0..count).map(|_| T::from_low_bits(rng.random_range(first..=last)).wide()));
    // Most of a type's range is out of all proportion: as many again where exponents begin to lose
    // their integers.
    large.extend((0..count).map(|_| 2.0_f64.powf(rng.random_range(8.0..60.0))));
    let places = [(2, 1), (9, 0), (40, 33), (100, 99), (1100, 1050)];
    for (i, &large) in large.iter().enumerate() {
        let large = T::of(large);
        for (n, at) in [places[0], places[if large.wide() == LOST { 3 } else { i % 5 }]] {
            // The others are at most 1, and e^100 is beyond 2^53 times their sum.
            let mut x = [T::of(0.5); 1100];
            x[at] = large;
            for &isa in &isas {
                let ulps = ulp_error(isa.log_sum_exp(&x[..n]), large.wide(), 0.0);
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
            if small_cases() {
                break;
            }
        }
    }
}

/// Every combination of the table, at the first, middle and last positions of rows of less than a
/// vector, of several, of one block and of several.
fn special_values<T: Float>() {
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    // Sets of special values in one row, and the log-sum-exp they ask for (None: that of the finite
    // ones).
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
                    let step = places.len() / if small_cases() { 4 } else { 30 } + 1;
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
        assert_eq!(isa.log_sum_exp::<T>(&[]).wide(), -INF);
        isa.softmax::<T>(&[], &mut []).expect("equal lengths");
        isa.log_softmax::<T>(&[], &mut []).expect("equal lengths");
        isa.softmax_in_place::<T>(&mut []);
    }
}

/// Far below the largest logit, softmax is +0 and never -0, whatever the exponential's reduction
/// comes to; so is the gradient of cross-entropy, whatever the sign of its weight.
fn zeros_are_positive<T: Float>() {
    let (isas, mut rng) = (isas(), rng(16));
    let count = if small_cases() { 200 } else { 5000 };
    for i in 0..count {
        let n = [2, 9, 16, 40, 600, 1100, 5000][i % 7];
        let low: Vec<f64> =
            (0..n).map(|_| -(10.0_f64).powf(rng.random_range(4.0..T::LARGEST.wide().log10()))).collect();
        let mut x: Vec<T> = low.into_iter().map(T::of).collect();
        x[n / 2] = T::of([0.0, 3.0, -1000.0][i % 3]);
        if x[n / 2].wide() < 0.0 {
            x.iter_mut().for_each(|x| *x = T::of(x.wide().min(-1000.0)));
        }
        let matrix = MatRef::new(&x, 1, n).expect("it fits");
        for &isa in &isas {
            let (mut in_place, mut gradient) = (x.clone(), x.clone());
            isa.softmax_in_place(&mut in_place);
            let out = MatMut::new(&mut gradient, 1, n).expect("it fits");
            let weight = T::of([0.5, -0.5][i % 2]);
            isa.cross_entropy_gradient_rows(matrix, &[n / 2], weight, &mut [T::of(0.0)], out).expect("it fits");
            for row in [softmax_of(isa, &x), in_place, gradient] {
                let wrong = row.iter().enumerate().find(|(_, y)| y.wide() == 0.0 && y.bits() != 0);
                assert!(wrong.is_none(), "-0 for {:?} on {isa}", wrong.map(|(i, _)| x[i]));
                assert!(row.iter().all(|y| !y.wide().is_nan()), "NaN on {isa}");
            }
        }
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
