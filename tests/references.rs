//! The references and helpers of `support` themselves, against known digits.

mod support;

use mantex::Isa;
use support::{Dd, Reference, distance, isas, require, ulp, ulp_error};

/// Relative error of a double-double against decimal digits.
fn error(actual: Dd, digits: &str) -> f64 {
    let expected = Dd::from_decimal(digits);
    let difference = (actual - expected) / expected;
    (difference.0 + difference.1).abs()
}

#[test]
fn exponentials_have_thirty_digits() {
    let cases = [
        (1.0, "2.71828182845904523536028747135266249775724709369995957496697"),
        (-1.0, "0.367879441171442321595523770161460867445811131031767834507837"),
        (0.5, "1.64872127070012814684865078781416357165377610071014801157508"),
        (10.0, "22026.4657948067165169579006452842443663535126185567810742354"),
        // The exponential of the f64 nearest to the decimal.
        (0.1, "1.10517091807564763094663882345877965774166341637421962084148"),
        (-37.123456789, "0.0000000000000000754201804849979285640227322250736332288592323624027855401036"),
    ];
    for (x, digits) in cases {
        let error = error(Dd::from(x).exp(), digits);
        assert!(error < 1e-30, "exp({x}) is off by {error:e}");
    }
    // Where the decimal expansion is unwieldy: e^x e^-x = 1.
    for x in [300.7, 650.0, -600.3] {
        let one = Dd::from(x).exp() * Dd::from(-x).exp() - Dd::ONE;
        assert!(one.0.abs() < 1e-29, "exp({x}) exp(-{x}) - 1 = {:e}", one.0);
    }
}

#[test]
fn logarithms_have_thirty_digits() {
    let cases = [
        (2.0, "0.693147180559945309417232121458176568075500134360255254120680"),
        (3.0, "1.09861228866810969139524523692252570464749055782274945173469"),
        (10.0, "2.30258509299404568401799145468436420760110148862877297603333"),
        (12345.678, "9.42106132129183196709714214985909505436685809380515768050844"),
    ];
    for (x, digits) in cases {
        let error = error(Dd::from(x).ln(), digits);
        assert!(error < 1e-30, "ln({x}) is off by {error:e}");
    }
}

#[test]
fn the_reference_knows_a_small_row() {
    // softmax([0, ln 3]) = [1/4, 3/4] but for the rounding of ln 3, which moves the outputs by 3/16 of it.
    let rounding = (Dd::from(3.0).ln() - Dd::from(3.0_f64.ln())).0;
    let r = Reference::new(&[0.0_f64, 3.0_f64.ln()]);
    for (p, expected, sign) in [(r.softmax[0], 0.25, 1.0), (r.softmax[1], 0.75, -1.0)] {
        let error = (p - Dd::from(expected)).0 - sign * rounding * 3.0 / 16.0;
        assert!(error.abs() < 1e-30, "{p:?} for {expected}");
    }
    let expected = Dd::from(4.0).ln() - Dd::from(rounding * 0.75);
    assert!((r.log_sum_exp - expected).0.abs() < 1e-30);
    assert!((r.log_softmax(0.0) + expected).0.abs() < 1e-30);
}

#[test]
fn distances_are_in_ulps() {
    assert_eq!((ulp::<f32>(1.0), ulp::<f32>(1.999)), (f32::EPSILON as f64, f32::EPSILON as f64));
    assert_eq!((ulp::<f64>(2.0), ulp::<f64>(-0.5)), (2.0 * f64::EPSILON, f64::EPSILON / 2.0));
    assert_eq!(ulp::<f32>(1e-45), 2.0_f64.powi(-149));
    assert_eq!(ulp::<f64>(0.0), 5e-324);
    assert_eq!(ulp_error(1.0_f64.next_up(), 1.0, 0.0), 1.0);
    assert_eq!(ulp_error(1.0_f64, 1.0, f64::EPSILON / 4.0), 0.25);
    assert_eq!(ulp_error(3.0_f32.next_down().next_down(), 3.0, 0.0), 2.0);
    assert_eq!(distance(f32::NAN, f64::NAN, 0.0), 0.0);
    assert_eq!(distance(f32::INFINITY, 1e300, 0.0), 0.0);
    for (actual, reference) in [(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0), (1.0, f64::INFINITY)] {
        assert_eq!(distance(actual, reference, 0.0), f64::INFINITY, "{actual} for {reference}");
    }
}

#[test]
fn required_instruction_sets_are_insisted_on() {
    let all = isas();
    let names: Vec<&str> = all.iter().map(|isa| isa.name()).collect();
    require(&names.join(" , "), &all);
    require("", &all);
    let scalar: Vec<Isa> = all.iter().copied().filter(|isa| isa.name() == "scalar").collect();
    for missing in ["avx2", "scalar,neon", "scalar, avx1024"] {
        let refused = std::panic::catch_unwind(|| require(missing, &scalar));
        let message = *refused.expect_err(missing).downcast::<String>().expect("a message");
        assert!(message.contains("MANTEX_REQUIRE_ISAS wants"), "{message}");
    }
}
