//! Rows that one logit dominates, or almost: log-softmax, cross-entropy and log-sum-exp keep their
//! relative accuracy down to the subnormal numbers and never cross 0 or the maximum.

use crate::support::{
    data::{normal, rng},
    double_double::Dd,
    float::Float,
    for_both_types,
    gradients::check_class,
    isas::{isas, small_cases},
    reference::Reference,
    report::Report,
    rows::streamed_length,
    softmax::check_logarithms,
    ulp::ulp_error,
};
use mantex::{Isa, MatMut, MatRef};
use rand::RngExt;

for_both_types! {
    one_logit
    maxima_of_short_rows
    shares_near_the_limit
    random_rows
    pairs
    masked_but_one
}

/// Checks everything that is computed from the logarithm of the sum of a row, with the losses and
/// gradients of some classes.
fn check<T: Float>(report: &mut Report, isas: &[Isa], name: &str, x: &[T], classes: &[usize]) {
    let (n, reference) = (x.len(), Reference::new(x));
    let matrix = MatRef::new(x, 1, n).expect("it fits");
    let (mut out, mut loss) = (vec![T::of(f64::NAN); n], [T::of(f64::NAN)]);
    for &isa in isas {
        isa.log_softmax(x, &mut out).expect("equal lengths");
        check_logarithms(report, isa, name, x, &reference, (&out, isa.log_sum_exp(x)));
        for &class in classes {
            for weight in [1.0, -3e-30, 1.2e12] {
                let (weight, gradient) = (T::of(weight), MatMut::new(&mut out, 1, n).expect("it fits"));
                isa.cross_entropy_gradient_rows(matrix, &[class], weight, &mut loss, gradient).expect("it fits");
                // A subnormal f64 has few digits, and the gradient no more.
                if size_of::<T>() == 8 && weight.wide() > 1.0 && loss[0].wide() < f64::MIN_POSITIVE {
                    continue;
                }
                let case = || format!("{name}, n = {n}, class {class}, weight {weight}");
                check_class(report, isa, &case, &reference, (class, x[class]), weight, (loss[0], out[class]));
            }
        }
    }
}

/// Rows whose largest exponential is near the share of the sum from which on it dominates: whether
/// it does must not depend on where the row is.
fn shares_near_the_limit<T: Float>() {
    let mut rng = rng(11);
    let (n, rows) = (64, 400);
    let epsilon = if size_of::<T>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    // A logit of 0 and 10 others, whose exponentials sum up to a number near 1 / 0.36 - 1.
    let mut x = vec![T::of(f64::NEG_INFINITY); rows * n];
    for row in x.chunks_exact_mut(n) {
        row[0] = T::of(0.0);
        let mut rest = 1.0 / 0.36 - 1.0 + 4.0 * epsilon * rng.random_range(-1.0..1.0);
        for x in &mut row[1..10] {
            *x = T::of(rng.random_range(-2.2..-1.8));
            rest -= x.wide().exp();
        }
        row[10] = T::of(rest.ln());
    }
    for isa in isas() {
        let (matrix, mut sums) = (MatRef::new(&x, rows, n).expect("it fits"), vec![T::of(0.0); rows]);
        isa.log_sum_exp_rows(matrix, &mut sums).expect("it fits");
        for (row, sum) in x.chunks_exact(n).zip(&sums) {
            assert_eq!(isa.log_sum_exp(row), *sum, "{isa}: {:?}", &row[..11]);
        }
    }
}

/// Values that users of other libraries missed, to the digits of a computation with 60 of them.
#[test]
fn reported_rows() {
    let close = |actual: f64, expected: f64| (actual - expected).abs() <= 3e-7 * expected.abs();
    for isa in isas() {
        for (x, expected) in [
            (16.249237_f32, -8.77093697692e-8),
            (16.942385, -4.38546648512e-8),
            (88.33655, -4.32438863882e-39),
            (20.113615, -1.83978883236e-9),
        ] {
            for (row, at) in [([x, 0.0], 0), ([0.0, x], 1), ([x - 300.0, -300.0], 0)] {
                if row[0] < 0.0 && (row[0] - row[1]).to_bits() != x.to_bits() {
                    continue;
                }
                let mut y = [f32::NAN; 2];
                isa.log_softmax(&row, &mut y).expect("equal lengths");
                assert!(close(y[at].into(), expected), "log_softmax({row:?}) is {y:?} on {isa}");
                let mut loss = [f32::NAN];
                isa.cross_entropy_rows(MatRef::new(&row, 1, 2).expect("it fits"), &[at], &mut loss).expect("it fits");
                assert_eq!(loss[0], -y[at], "{row:?} on {isa}");
            }
        }
        let close = |actual: f64, expected: f64| (actual - expected).abs() <= 1e-10 * expected.abs();
        let mut y = [f64::NAN; 2];
        isa.log_softmax(&[40.0, 0.0], &mut y).expect("equal lengths");
        assert!(close(y[0], -4.248354255291589e-18) && y[1] == -40.0, "{y:?} on {isa}");
        let lse = isa.log_sum_exp(&[0.0, -40.0]);
        assert!(close(lse, 4.24835425529e-18), "{lse} on {isa}");
        let lse = isa.log_sum_exp(&[-600.0, -600.0, -600.0, -600.0, -600.0, -600.0, -600.0, 0.0]);
        assert!(close(lse, 1.8552775871e-260), "{lse} on {isa}");
        let mut y = [f32::NAN; 2];
        isa.log_softmax(&[20.113_615_f32, -20.0], &mut y).expect("equal lengths");
        assert!((-3.9e-18..-3.7e-18).contains(&f64::from(y[0])), "{y:?} on {isa}");
    }
}

/// Exactly +0, whatever the logit.
fn one_logit<T: Float>() {
    let mut rng = rng(41);
    let mut logits = vec![0.0, -0.0, 9.710158348, -1e-40, 1e9, -1e9, T::LARGEST.wide(), -T::LARGEST.wide()];
    logits.extend((0..300).map(|_| rng.random_range(-100.0..100.0)));
    for isa in isas() {
        for &x in &logits {
            let x = [T::of(x)];
            let (mut y, mut loss, mut gradient) = ([T::of(1.0)], [T::of(1.0)], [T::of(1.0)]);
            isa.log_softmax(&x, &mut y).expect("equal lengths");
            let matrix = MatRef::new(&x, 1, 1).expect("it fits");
            let out = MatMut::new(&mut gradient, 1, 1).expect("it fits");
            isa.cross_entropy_gradient_rows(matrix, &[0], T::of(-2.5), &mut loss, out).expect("it fits");
            assert_eq!((y[0].bits(), loss[0].bits(), gradient[0].bits()), (0, 0, 0), "{x:?} on {isa}");
            assert_eq!(isa.log_sum_exp(&x), x[0], "{x:?} on {isa}");
        }
    }
}

/// One, two or all logits are the maximum, at every length of a few vectors. The others are near
/// it, far below, or so far that their exponentials are subnormal numbers.
fn maxima_of_short_rows<T: Float>() {
    let (isas, mut rng) = (isas(), rng(42));
    let lowest = T::of(f64::from(T::MIN_EXPONENT) * 0.7).wide();
    let distances = [1e-3, 0.9, 4.0, 17.0, 38.0, 88.3, -lowest, 1e4];
    let maxima = [0.0, 0.7, -123.4, 33.0, 40_000.5, -1e6, 1e25];
    Report::run("maxima", |report| {
        for n in 1..=64 {
            for (i, &max) in maxima.iter().enumerate() {
                for (j, &distance) in distances.iter().enumerate() {
                    if small_cases() && (n + i + j) % 7 > 0 {
                        continue;
                    }
                    let below: Vec<T> = normal(n, 0.1 * distance, max - distance, &mut rng);
                    let max = T::of(max);
                    let below = below.into_iter().map(|x| if x.wide() < max.wide() { x } else { max });
                    let mut x: Vec<T> = below.collect();
                    let (a, b) = (rng.random_range(0..n), rng.random_range(0..n));
                    let name = format!("{distance} below {max}");
                    x[a] = max;
                    check(report, &isas, &format!("one maximum, {name}"), &x, &[a, b]);
                    x[b] = max;
                    check(report, &isas, &format!("two maxima, {name}"), &x, &[a]);
                    // Nothing but the maxima counts.
                    x.iter_mut().enumerate().for_each(|(i, x)| {
                        if i != a && i != b {
                            *x = T::of(f64::NEG_INFINITY);
                        }
                    });
                    check(report, &isas, "maxima among -inf", &x, &[a]);
                }
                let x = vec![T::of(max); n];
                check(report, &isas, "all maxima", &x, &[n / 2]);
            }
        }
    });
}

/// Many rows whose largest logit exceeds the others by any distance.
fn random_rows<T: Float>() {
    let (isas, mut rng) = (isas(), rng(43));
    let rows = if small_cases() { 1_000 } else { 100_000 };
    let range = -f64::from(T::MIN_EXPONENT) * 0.8;
    Report::run("random rows", |report| {
        for i in 0..rows {
            let n = match i % 100 {
                0 => 700,
                1..10 => rng.random_range(1..=100),
                _ => rng.random_range(1..=12),
            };
            let scale = [0.0, 0.3, 1.0, 5.0][rng.random_range(0..4)];
            let offset = [0.0, 0.0, rng.random_range(-90.0..90.0), rng.random_range(-1e5..1e5)][i % 4];
            let mut x = normal::<T>(n, scale, offset, &mut rng);
            if i % 8 == 7 {
                // Ties of a few logits: their exponentials have the same error.
                x.fill(T::of(offset + rng.random_range(-3.0..3.0)));
            }
            let at = rng.random_range(0..n);
            let distance = range * rng.random::<f64>().powi(3);
            if i % 16 < 15 {
                x[at] = T::of(offset + distance);
            }
            check(report, &isas, &format!("row {i}"), &x, &[at, (at + 1) % n]);
        }
    });
}

/// Two logits at every distance: results are the logarithm of 1 plus one exponential.
fn pairs<T: Float>() {
    let isas = isas();
    let count = if small_cases() { 1 << 11 } else { 1 << 17 };
    let lowest = f64::from(T::MIN_EXPONENT - T::DIGITS + 2) * std::f64::consts::LN_2;
    Report::run("pairs", |report| {
        for i in 0..count {
            // Half of the distances are below 1.
            let part = (i / 2) as f64 / f64::from(count / 2);
            let x = T::of(if i % 2 == 0 { lowest * part } else { -part });
            let ln = T::reference_exp(Dd::from(x.wide())).ln_1p();
            for &isa in &isas {
                let case = || format!("[0, {:e}]", x.wide());
                let mut y = [T::of(f64::NAN); 2];
                isa.log_softmax(&[T::of(0.0), x], &mut y).expect("equal lengths");
                let other = Dd::from(x.wide()) - ln;
                let ulps = ulp_error(y[0], -ln.0, -ln.1).max(ulp_error(y[1], other.0, other.1));
                report.observe::<T>("log_softmax", isa, ulps, 2.0, case);
                let lse = isa.log_sum_exp(&[T::of(0.0), x]);
                report.observe::<T>("log_sum_exp", isa, ulp_error(lse, ln.0, ln.1), 2.0, case);
            }
        }
    });
}

/// One logit among 100,000 of -inf, and in a row that is written past the caches: the loss and its
/// gradient are 0.
fn masked_but_one<T: Float>() {
    let check = |n: usize, places: &[usize]| {
        let mut x = vec![T::of(f64::NEG_INFINITY); n];
        let mut gradient = vec![T::of(1.0); n];
        for isa in isas() {
            for &at in places {
                x[at] = T::of(10.0);
                let (matrix, mut loss) = (MatRef::new(&x, 1, n).expect("it fits"), [T::of(1.0)]);
                let out = MatMut::new(&mut gradient, 1, n).expect("it fits");
                isa.cross_entropy_gradient_rows(matrix, &[at], T::of(1.0), &mut loss, out).expect("it fits");
                assert_eq!(loss[0].bits(), 0, "the loss of class {at} of {n} on {isa}");
                assert!(gradient.iter().all(|x| x.bits() == 0), "the gradient of class {at} of {n} on {isa}");
                isa.log_softmax(&x, &mut gradient).expect("equal lengths");
                let right = |(i, y): (usize, &T)| if i == at { y.bits() == 0 } else { y.wide() == f64::NEG_INFINITY };
                assert!(gradient.iter().enumerate().all(right), "log_softmax of {at} of {n} on {isa}");
                assert_eq!(isa.log_sum_exp(&x).wide(), 10.0);
                x[at] = T::of(f64::NEG_INFINITY);
            }
        }
    };
    check(100_000, &[0, 1, 15, 16, 4095, 4096, 4097, 50_000, 99_999]);
    let long = (1 << 22) + 3;
    check(long.max(if small_cases() { 0 } else { streamed_length::<T>() }), &[long / 2]);
}
