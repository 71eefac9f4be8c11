//! The exponentials under the kernels: at most 1.5 ulp over the whole range of normal results.
//!
//! `cargo test --test contract exp -- --nocapture` prints the largest errors seen. With
//! `MANTEX_EXHAUSTIVE` set, `every_f32` takes all 2^32 bit patterns instead of a sample.

use crate::support::{
    data::rng,
    double_double::{Dd, power_of_two},
    float::Float,
    for_both_types,
    isas::{isas, small_cases},
    report::{Report, tell_ulps},
    ulp::ulp_error,
};
use mantex::{Isa, baselines};
use rand::RngExt;

for_both_types! {
    every_exponential_is_accurate
    both_ends_of_the_range
}

/// The contract: 1.5 ulp of the result, which is 1.5 ulp of the mantissa.
const ULPS: f64 = 1.5;

/// An exponential of the crate, and the function it stands for.
type Exponential<T> = (&'static str, fn(Isa, &[T], &mut [T]), fn(f64) -> Dd);

fn exponentials<T: Float>() -> [Exponential<T>; 2] {
    [
        ("exp", baselines::exp, |x| Dd::from(x).exp()),
        // x ln 2 in double-double.
        ("exp2", baselines::exp2, |x| (Dd::from(x) * Dd::from(2.0).ln()).exp()),
    ]
}

/// Arguments whose results are normal numbers (below 2^127, where the exponentials may saturate; in
/// f64 as far as the reference goes): bit patterns in even steps, in f32; random in f64.
fn arguments<T: Float>(natural: bool) -> Vec<T> {
    let (low, high) = if size_of::<T>() == 4 { (-126.0, 127.0) } else { (-1022.0, 1008.0) };
    let unit = if natural { std::f64::consts::LN_2 } else { 1.0 };
    let range = low * unit * 0.9999..high * unit;
    let mut rng = rng(17);
    let n = if small_cases() { 20_000 } else { 400_000 };
    let mut x: Vec<T> = (0..n).map(|_| T::of(rng.random_range(range.clone()))).collect();
    if size_of::<T>() == 4 {
        // A prime step over all bit patterns finds every exponent, tiny arguments and both signs
        // too.
        let step = if small_cases() { 104_729 } else { 7919 };
        let patterns = (0..=u32::MAX).step_by(step).map(f32::from_bits).map(f64::from);
        x.extend(patterns.filter(|x| range.contains(x)).map(T::of));
    }
    // The corners between steps of the reduction.
    x.extend((-1600..1600).map(|i| T::of(f64::from(i) / 32.0 * unit)).filter(|x| range.contains(&x.wide())));
    x
}

fn every_exponential_is_accurate<T: Float>() {
    Report::run("exponentials", |report| {
        for (name, exponential, reference) in exponentials::<T>() {
            let x = arguments::<T>(name == "exp");
            let expected: Vec<Dd> = x.iter().map(|x| reference(x.wide())).collect();
            for isa in isas() {
                let mut out = vec![T::of(f64::NAN); x.len()];
                exponential(isa, &x, &mut out);
                for ((&x, &y), &r) in x.iter().zip(&out).zip(&expected) {
                    report.observe::<T>(name, isa, ulp_error(y, r.0, r.1), ULPS, || format!("x = {:e}", x.wide()));
                }
            }
        }
    });
}

/// 0 for -inf and far below the range, NaN for NaN, never anything but a small number just below
/// the range.
fn both_ends_of_the_range<T: Float>() {
    let smallest = if size_of::<T>() == 4 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE };
    for (name, exponential, _) in exponentials::<T>() {
        for isa in isas() {
            let low = smallest.log2() * if name == "exp" { std::f64::consts::LN_2 } else { 1.0 };
            let mut x: Vec<T> = (1..400).map(|i| T::of(low * (1.0 + f64::from(i) / 4000.0))).collect();
            let far = x.len();
            x.extend([f64::NEG_INFINITY, -1e30, low * 2.0].map(T::of));
            x.push(T::of(f64::NAN));
            let mut out = vec![T::of(-1.0); x.len()];
            exponential(isa, &x, &mut out);
            for (x, y) in x.iter().zip(&out).take(far) {
                let y = y.wide();
                assert!((0.0..=smallest).contains(&y), "{isa}: {name}({:e}) = {y:e}", x.wide());
            }
            for (x, y) in x[far..].iter().zip(&out[far..far + 3]) {
                assert_eq!(y.wide(), 0.0, "{isa}: {name}({:e})", x.wide());
            }
            assert!(out[far + 3].wide().is_nan(), "{isa}: {name}(NaN) = {:e}", out[far + 3].wide());
        }
    }
}

/// The exponential of sums gives what the accurate one does up to the largest sum that is taken for
/// good. Far below its range it may come to -0, or to what no sum takes for good: infinite or NaN.
/// Returns what it needs as scratch.
fn check_saturating(isa: Isa, x: &[f32], expected: &[f32], mut out: Vec<f32>) -> Vec<f32> {
    let good = |x: f32| x <= 64.0 * std::f32::consts::LN_2;
    out.resize(x.len(), -1.0);
    baselines::exp_recorded(isa, x, &mut out);
    for ((&x, &y), &expected) in x.iter().zip(&out).zip(expected) {
        let far_below = x < -1e7 && !y.is_finite();
        assert!(!good(x) || y == expected || far_below, "{isa}: exp({x:e}) = {y:e} in a sum");
    }
    out
}

/// The largest error of e^x for each instruction set, and where, over the f32 bit patterns from
/// `start` on in steps; results that are no normal numbers are checked here, and the exponential
/// of sums. The reference is in f64: good to 2^-29 ulp of f32.
fn worst_errors(isas: &[Isa], start: u64, step: u64) -> Vec<(f64, f32)> {
    const PIECE: u64 = 1 << 14;
    let smallest = f64::from(f32::MIN_POSITIVE);
    let largest = power_of_two(127);
    let mut worst = vec![(-1.0, f32::NAN); isas.len()];
    let mut saturated = Vec::new();
    for piece in (start..1 << 32).step_by((step * PIECE) as usize) {
        let patterns = (0..PIECE).map(|i| piece + i * step).take_while(|&bits| bits < 1 << 32);
        let x: Vec<f32> = patterns.map(|bits| f32::from_bits(bits as u32)).collect();
        let expected: Vec<f64> = x.iter().map(|&x| f64::from(x).exp()).collect();
        let mut out = vec![-1.0_f32; x.len()];
        for (&isa, worst) in isas.iter().zip(&mut worst) {
            out.fill(-1.0);
            baselines::exp(isa, &x, &mut out);
            saturated = check_saturating(isa, &x, &out, saturated);
            for ((&x, &y), &r) in x.iter().zip(&out).zip(&expected) {
                let wide = f64::from(y);
                if (smallest..=largest).contains(&r) {
                    // An ulp is 2^-23 times the power of two below the result.
                    let power = f64::from_bits(r.to_bits() & (0x7ff << 52));
                    let error = (wide - r).abs() / power * 8_388_608.0;
                    if error > worst.0 || error.is_nan() {
                        *worst = (error, x);
                    }
                } else {
                    let fits = if r.is_nan() {
                        y.is_nan()
                    } else if r > largest {
                        // It may saturate, but not below.
                        wide >= largest * (1.0 - f64::from(f32::EPSILON))
                    } else {
                        // Zero if the true result is far below the range.
                        (0.0..=smallest).contains(&wide) && (r >= smallest * smallest || y == 0.0)
                    };
                    assert!(fits, "{isa}: exp({x:e}) = {y:e}");
                }
            }
        }
    }
    worst
}

/// e^x of all f32, or of a sample, on two threads.
#[test]
fn every_f32() {
    let step = match (std::env::var_os("MANTEX_EXHAUSTIVE"), small_cases()) {
        (Some(_), _) => 1,
        (None, false) => 1021,
        (None, true) => 104_729,
    };
    let start = rng(18).random_range(0..step);
    let isas = isas();
    let [a, b] = std::thread::scope(|scope| {
        [0, 1]
            .map(|i| {
                scope.spawn({
                    let isas = &isas;
                    move || worst_errors(isas, start + i * step, 2 * step)
                })
            })
            .map(|thread| thread.join().expect("every result fits"))
    });
    for (isa, (a, b)) in isas.iter().zip(a.into_iter().zip(b)) {
        let (ulps, x) = if a.0 >= b.0 || a.0.is_nan() { a } else { b };
        println!("exp f32 {isa} {ulps:.4} at {x:e}");
        tell_ulps("exp", "f32", isa.name(), ulps, ULPS);
        assert!((0.0..=ULPS).contains(&ulps), "{isa}: exp({x:e}) is off by {ulps} ulp");
    }
}

/// Whether a result that should be too large looks good: sums up to `largest` are taken for that.
fn lost(y: f64, largest: f64) -> bool {
    y.is_finite() && y <= largest
}

/// Too large an exponential shows in its result, whatever the reduced argument came to: infinite
/// (of either sign), NaN, or large. All of f32 above 89; small cases: one piece in 997.
#[test]
fn no_overflow_is_lost() {
    let (largest_f32, largest_f64) = (80.0_f64.exp2(), 640.0_f64.exp2());
    for isa in isas() {
        let mut out = vec![0.0; 1 << 14];
        let sampled = small_cases() || isa.name() == "scalar";
        let step = if sampled { 997 * out.len() } else { out.len() };
        for start in (89.0_f32.to_bits()..=f32::INFINITY.to_bits()).step_by(step) {
            let x: Vec<f32> =
                (0..out.len() as u32).map(|i| f32::from_bits((start + i).min(f32::INFINITY.to_bits()))).collect();
            baselines::exp_recorded(isa, &x, &mut out);
            // All at once: this is the loop that takes the time.
            if out.iter().fold(false, |any, &y| any | lost(y.into(), largest_f32)) {
                let at = out.iter().position(|&y| lost(y.into(), largest_f32)).expect("just found");
                panic!("{isa}: e^{:e} came out as {:e}", x[at], out[at]);
            }
        }
        let steps = (0..20_000).map(|i| 710.0 * 1.05_f64.powi(i)).take_while(|x| x.is_finite());
        for x in steps.chain([f64::MAX, f64::INFINITY, f64::NAN]) {
            let mut y = [0.0];
            baselines::exp_recorded(isa, &[x], &mut y);
            assert!(!lost(y[0], largest_f64), "{isa}: e^{x:e} came out as {:e}", y[0]);
        }
    }
}
