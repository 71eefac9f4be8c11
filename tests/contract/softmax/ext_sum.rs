//! Sums of exponentials that are merged.

use crate::support::{
    data::rng,
    float::Float,
    for_both_types,
    isas::isas,
    reference::Reference,
    report::Report,
    rows::{KINDS, row},
    softmax::LOG_SUM_EXP_ULPS,
    ulp::ulp_error_from_one,
};
use mantex::ExtSum;
use rand::RngExt;

for_both_types! {
    sums_merge
    special_sums_merge
}

/// The parts of a row, merged from the left, from the right and as a tree, have the sum of the row;
/// the operands of a merge may be swapped without changing a bit.
fn sums_merge<T: Float>() {
    let (isas, mut rng) = (isas(), rng(9));
    let merge = |a: ExtSum<T>, b: ExtSum<T>| {
        let (ab, ba) = (a.merge(b), b.merge(a));
        // Debug shows every field with all its digits.
        assert_eq!(format!("{ab:?}"), format!("{ba:?}"), "{a:?} and {b:?}");
        assert_eq!(ab, ba);
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
                    let sums = || cuts.windows(2).map(|w| isa.ext_sum(&x[w[0]..w[1]]));
                    let left = sums().fold(ExtSum::default(), merge);
                    assert_eq!(sums().sum::<ExtSum<T>>(), left);
                    assert_eq!(sums().collect::<Vec<_>>().iter().sum::<ExtSum<T>>(), left);
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
        let of = |x: &[f64]| isa.ext_sum(&x.iter().map(|&x| T::of(x)).collect::<Vec<T>>());
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
