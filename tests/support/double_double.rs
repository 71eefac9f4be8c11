//! Double-double arithmetic (Dekker 1971, Knuth's two-sum; the algorithms of Hida, Li & Bailey
//! 2001).

use std::ops::{Add, Div, Mul, Neg, Sub};

/// An unevaluated sum of two `f64`, the second at most half an ulp of the first: about 106 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dd(pub(crate) f64, pub(crate) f64);

fn two_sum(a: f64, b: f64) -> Dd {
    let s = a + b;
    let t = s - a;
    Dd(s, (a - (s - t)) + (b - t))
}

fn quick_two_sum(a: f64, b: f64) -> Dd {
    let s = a + b;
    Dd(s, b - (s - a))
}

/// The exact product. Dekker's split rather than a fused multiply-add, which is slow where the CPU
/// has none.
fn two_product(a: f64, b: f64) -> Dd {
    let split = |x: f64| {
        let t = 134_217_729.0 * x; // 2^27 + 1
        let high = t - (t - x);
        (high, x - high)
    };
    let p = a * b;
    let ((ah, al), (bh, bl)) = (split(a), split(b));
    Dd(p, ((ah * bh - p) + ah * bl + al * bh) + al * bl)
}

/// 2^e for e up to 1023; 0 below the range of f64.
pub(crate) fn power_of_two(e: i32) -> f64 {
    if e >= -1022 {
        f64::from_bits(((e + 1023) as u64) << 52)
    } else if e >= -1074 {
        f64::from_bits(1 << (e + 1074))
    } else {
        0.0
    }
}

impl Dd {
    pub(crate) const ZERO: Dd = Dd(0.0, 0.0);
    pub(crate) const ONE: Dd = Dd(1.0, 0.0);

    /// The exact difference of two numbers. The larger one is the first operand, because a step of
    /// Knuth's sum could overflow otherwise.
    pub(crate) fn difference(a: f64, b: f64) -> Dd {
        if a.abs() > b.abs() { quick_two_sum(a, -b) } else { quick_two_sum(-b, a) }
    }

    /// A number in decimal digits, such as `2.718281828459045235360287`.
    pub(crate) fn from_decimal(digits: &str) -> Dd {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let digit = |c: char| Dd::from(f64::from(c.to_digit(10).expect("a decimal digit")));
        let fraction = fraction.chars().rev().fold(Dd::ZERO, |sum, c| (sum + digit(c)) / Dd::from(10.0));
        whole.chars().fold(Dd::ZERO, |sum, c| sum * Dd::from(10.0) + digit(c)) + fraction
    }

    /// Times a power of two.
    pub(super) fn scale(self, power: f64) -> Dd {
        Dd(self.0 * power, self.1 * power)
    }
}

impl From<f64> for Dd {
    fn from(x: f64) -> Dd {
        Dd(x, 0.0)
    }
}

impl Neg for Dd {
    type Output = Dd;
    fn neg(self) -> Dd {
        Dd(-self.0, -self.1)
    }
}

impl Add for Dd {
    type Output = Dd;
    fn add(self, other: Dd) -> Dd {
        let (s, t) = (two_sum(self.0, other.0), two_sum(self.1, other.1));
        let s = quick_two_sum(s.0, s.1 + t.0);
        quick_two_sum(s.0, s.1 + t.1)
    }
}

impl Sub for Dd {
    type Output = Dd;
    fn sub(self, other: Dd) -> Dd {
        self + -other
    }
}

impl Mul for Dd {
    type Output = Dd;
    fn mul(self, other: Dd) -> Dd {
        let p = two_product(self.0, other.0);
        quick_two_sum(p.0, p.1 + (self.0 * other.1 + self.1 * other.0))
    }
}

impl Div for Dd {
    type Output = Dd;
    fn div(self, other: Dd) -> Dd {
        let q1 = self.0 / other.0;
        let r = self - other * Dd::from(q1);
        let q2 = r.0 / other.0;
        let r = r - other * Dd::from(q2);
        quick_two_sum(q1, q2) + Dd::from(r.0 / other.0)
    }
}
