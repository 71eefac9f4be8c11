//! The element types under test, with the constants of their formats.

use super::double_double::Dd;
use mantex::Real;

/// An element type under test.
pub(crate) trait Float: Real + bytemuck::Pod {
    const NAME: &'static str;
    /// The number of bits of the significand, with the hidden one.
    const DIGITS: i32;
    /// The exponent of the smallest normal number.
    const MIN_EXPONENT: i32;
    /// The smallest softmax output for which the contract's accuracy holds: 2^26 times the smallest
    /// normal number, which is 2^-100 for f32.
    const SMALLEST: f64;
    /// Machine epsilon.
    const EPSILON: f64;
    /// The largest finite number.
    const LARGEST: Self;
    /// The smallest positive number.
    const TINIEST: Self;

    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
    fn bits(self) -> u64;
    fn from_low_bits(bits: u64) -> Self;
    /// `self * x + y`, rounded once.
    fn fused(self, x: Self, y: Self) -> Self;
    /// The exponential for references: far more precise than the type.
    fn reference_exp(x: Dd) -> Dd;
    /// The logarithm for references.
    fn reference_ln(x: Dd) -> Dd;
}

impl Float for f32 {
    const NAME: &'static str = "f32";
    const DIGITS: i32 = 24;
    const MIN_EXPONENT: i32 = -126;
    const SMALLEST: f64 = 7.888609052210118e-31; // 2^-100
    const EPSILON: f64 = f32::EPSILON as f64;
    const LARGEST: f32 = f32::MAX;
    const TINIEST: f32 = 1.4e-45;

    fn of(x: f64) -> f32 {
        x as f32
    }
    fn wide(self) -> f64 {
        self as f64
    }
    fn bits(self) -> u64 {
        self.to_bits() as u64
    }
    fn fused(self, x: f32, y: f32) -> f32 {
        self.mul_add(x, y)
    }
    fn from_low_bits(bits: u64) -> f32 {
        f32::from_bits(bits as u32)
    }
    fn reference_exp(x: Dd) -> Dd {
        Dd::from(x.0.exp())
    }
    fn reference_ln(x: Dd) -> Dd {
        Dd::from(x.0.ln())
    }
}

impl Float for f64 {
    const NAME: &'static str = "f64";
    const DIGITS: i32 = 53;
    const MIN_EXPONENT: i32 = -1022;
    const SMALLEST: f64 = f64::from_bits((1023 - 996) << 52); // 2^-996
    const EPSILON: f64 = f64::EPSILON;
    const LARGEST: f64 = f64::MAX;
    const TINIEST: f64 = 5e-324;

    fn of(x: f64) -> f64 {
        x
    }
    fn wide(self) -> f64 {
        self
    }
    fn bits(self) -> u64 {
        self.to_bits()
    }
    fn fused(self, x: f64, y: f64) -> f64 {
        self.mul_add(x, y)
    }
    fn from_low_bits(bits: u64) -> f64 {
        f64::from_bits(bits)
    }
    fn reference_exp(x: Dd) -> Dd {
        x.exp()
    }
    fn reference_ln(x: Dd) -> Dd {
        x.ln()
    }
}

/// The bits of every element, to compare results exactly (NaN included).
pub(crate) fn bits_of<T: Float>(x: &[T]) -> Vec<u64> {
    x.iter().map(|x| x.bits()).collect()
}

/// Whether every element has the same bits.
pub(crate) fn same_bits<T: Float>(a: &[T], b: &[T]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.bits() == b.bits())
}
