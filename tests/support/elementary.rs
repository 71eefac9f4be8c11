//! The exponential and the logarithm in double-double arithmetic.

use super::double_double::{Dd, power_of_two};
use std::sync::LazyLock;

impl Dd {
    const LN_2: Dd = Dd(std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17);

    /// The exponential, good to about 1e-31: reduced by ln 2 and by 64, Taylor series of e^x - 1,
    /// and six doublings of the argument by (e^x)^2 - 1 = 2 (e^x - 1) + (e^x - 1)^2.
    pub(crate) fn exp(self) -> Dd {
        static TAYLOR: LazyLock<[Dd; 13]> = LazyLock::new(|| {
            let mut factorial = Dd::ONE;
            std::array::from_fn(|i| {
                factorial = factorial * Dd::from((i + 1) as f64);
                Dd::ONE / factorial
            })
        });
        if self.0 < -760.0 {
            return Dd::ZERO;
        }
        assert!(self.0 < 700.0, "exp({}) is out of the reference's range", self.0);
        let k = (self.0 / std::f64::consts::LN_2).round();
        let x = (self - Dd::LN_2 * Dd::from(k)).scale(power_of_two(-6));
        let mut e = TAYLOR[12];
        for &c in TAYLOR[..12].iter().rev() {
            e = e * x + c;
        }
        e = e * x;
        for _ in 0..6 {
            e = e.scale(2.0) + e * e;
        }
        let half = k as i32 / 2;
        (e + Dd::ONE).scale(power_of_two(half)).scale(power_of_two(k as i32 - half))
    }

    /// The natural logarithm of a positive number, good to about 1e-31: one Newton step from the
    /// one in f64.
    pub(crate) fn ln(self) -> Dd {
        assert!(self.0 > 0.0 && self.0.is_finite(), "ln({}) is out of the reference's range", self.0);
        let y = Dd::from(self.0.ln());
        y + (self * (-y).exp() - Dd::ONE)
    }

    /// ln(1 + x) of a number that is not negative, good to about 1e-31 of the result: for small
    /// numbers the series of 2 artanh(x / (2 + x)).
    pub(crate) fn ln_1p(self) -> Dd {
        if self.0 > power_of_two(-10) {
            return (Dd::ONE + self).ln();
        }
        // Products of smaller numbers would lose their rounding errors to underflow.
        if self.0 < power_of_two(-110) {
            return self;
        }
        let r = self / (Dd::from(2.0) + self);
        let square = r * r;
        let mut series = Dd::ZERO;
        for odd in [11.0, 9.0, 7.0, 5.0, 3.0] {
            series = (series + Dd::ONE / Dd::from(odd)) * square;
        }
        (r + r * series).scale(2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Dd, power_of_two};

    /// Relative error of a double-double against decimal digits.
    pub(crate) fn error(actual: Dd, digits: &str) -> f64 {
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
    fn logarithms_near_one_have_thirty_digits() {
        let cases = [
            (1.0, "0.693147180559945309417232121458176568075500134360255254120680"),
            // 2^-10 and 2^-11, on both sides of the limit of the series.
            (power_of_two(-10), "0.000976085973055458895960824908017186672611834333784536237758598"),
            (power_of_two(-11), "0.000488162079501351188537049692645409850317679427001175005414242"),
        ];
        for (x, digits) in cases {
            let error = error(Dd::from(x).ln_1p(), digits);
            assert!(error < 1e-30, "ln(1 + {x}) is off by {error:e}");
        }
        assert_eq!(Dd::from(1e-40).ln_1p().0, 1e-40);
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
}
