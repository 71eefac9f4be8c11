//! Polynomials in one variable, coefficients in ascending order of powers.

use crate::kernels::lanes::{Float, Lanes};

/// The polynomial in `t` by Horner's rule.
#[inline(always)]
pub(super) fn horner<L: Lanes<T>, T: Float>(l: L, t: L::V, coefficients: &[L::V]) -> L::V {
    let mut p = coefficients[coefficients.len() - 1];
    for &c in coefficients[..coefficients.len() - 1].iter().rev() {
        p = l.quiet_mul_add(p, t, c);
    }
    p
}

/// The polynomial in `t` as even plus odd powers, both by Horner's rule in `square`, which is t^2.
///
/// Apart from the square this takes as many operations as Horner's rule in `t`, but the chain of
/// dependent operations is half as long.
#[inline(always)]
pub(super) fn even_odd<L: Lanes<T>, T: Float>(l: L, t: L::V, square: L::V, coefficients: &[L::V]) -> L::V {
    let last = coefficients.len() - 1;
    let mut p = [coefficients[last], coefficients[last - 1]];
    // p[0] has the parity of the last coefficient, p[1] the other.
    for i in (0..last - 1).rev() {
        let p = &mut p[(last - i) % 2];
        *p = l.quiet_mul_add(*p, square, coefficients[i]);
    }
    let (even, odd) = if last % 2 == 0 { (p[0], p[1]) } else { (p[1], p[0]) };
    l.quiet_mul_add(odd, t, even)
}

/// The polynomial of degree 11 in `t` by Estrin's scheme; `square` is t^2. It takes two operations
/// more than Horner's rule, but the chain of dependent operations is a third as long.
#[inline(always)]
pub(super) fn estrin<L: Lanes<T>, T: Float>(l: L, t: L::V, square: L::V, c: &[L::V; 12]) -> L::V {
    // Without closures, which the compiler may not inline, and arrays, which it may keep in memory.
    let (a, b, c, d, e, f) = (
        l.quiet_mul_add(c[1], t, c[0]),
        l.quiet_mul_add(c[3], t, c[2]),
        l.quiet_mul_add(c[5], t, c[4]),
        l.quiet_mul_add(c[7], t, c[6]),
        l.quiet_mul_add(c[9], t, c[8]),
        l.quiet_mul_add(c[11], t, c[10]),
    );
    let fourth = l.quiet_mul(square, square);
    let (low, middle) = (l.quiet_mul_add(b, square, a), l.quiet_mul_add(d, square, c));
    let (high, eight) = (l.quiet_mul_add(f, square, e), l.quiet_mul_add(middle, fourth, low));
    l.quiet_mul_add(high, l.quiet_mul(fourth, fourth), eight)
}
