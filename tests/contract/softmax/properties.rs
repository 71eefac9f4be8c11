//! Identities of softmax on random rows that shrink to small ones.

use super::softmax_of;
use crate::support::{
    float::Float,
    isas::{isas, small_cases},
    softmax::{LOG_SOFTMAX_ULPS, LOG_SUM_EXP_ULPS, SOFTMAX_ULPS},
    ulp::{ulp, ulp_error, ulp_error_from_one},
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

/// Fixed cases: what a run finds, the next one finds too.
fn config() -> Config {
    let cases = if small_cases() { 32 } else { 256 };
    Config { cases, rng_seed: RngSeed::Fixed(10), failure_persistence: None, ..Config::default() }
}

/// Whether two softmax outputs, each within the contract's bound of the same value, can be told
/// apart: 4 ulp each, and both may be flushed to zero below the bound's range.
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
                        // The sum itself is taken in f64: n/2 rounding errors of it at worst, for
                        // f64.
                        let own = x.len() as f64 * f64::EPSILON / 2.0;
                        prop_assert!((sum - 1.0).abs() <= limit + own, "{sum} on {isa}");
                    }
                }

                /// Multiples of 2^-8 below 2^15 can be shifted by others without rounding.
                #[test]
                fn shifts_cancel(
                    x in prop::collection::vec(-10_000..10_000_i32, 1..200),
                    shift in prop::sample::select(
                        vec![1, -256, 25_600, -2_560_000, 4_194_304, 8_388_000, 8_388_608, 8_390_000]
                    ),
                ) {
                    let shift = shift / 2;
                    let a: Vec<$t> = x.iter().map(|&x| x as $t / 256.0).collect();
                    let b: Vec<$t> = x.iter().map(|&x| (x + shift) as $t / 256.0).collect();
                    for isa in isas() {
                        let (p, q) = (softmax_of(isa, &a), softmax_of(isa, &b));
                        for (p, q) in p.iter().zip(&q) {
                            prop_assert!(same_softmax(*p, *q), "{p} and {q} on {isa}");
                        }
                        let (s, t) = (isa.log_sum_exp(&a), isa.log_sum_exp(&b));
                        let limit = LOG_SUM_EXP_ULPS * (ulp::<$t>(s.abs().max(1.0) as f64)
                            + ulp::<$t>(t.abs().max(1.0) as f64));
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
                        let (s, t) = (isa.log_sum_exp(&x), isa.log_sum_exp(&y));
                        prop_assert!(same_log_sum_exp(s, t as f64), "{s} and {t} on {isa}");
                    }
                }

                /// Larger inputs have larger outputs, but for the error bound; equal inputs equal
                /// ones, wherever in the row.
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
                                let (a, b) = (p[i], p[j]);
                                prop_assert!(a <= b || same_softmax(a, b), "{a} and {b} on {isa}");
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
                        isa.log_softmax(&x, &mut log_p).expect("equal lengths");
                        for (&p, &log_p) in softmax_of(isa, &x).iter().zip(&log_p) {
                            // 4 ulp of p are at most 4 EPSILON in its logarithm; 1 ulp is for the
                            // one taken here.
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
