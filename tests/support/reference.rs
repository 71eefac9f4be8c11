//! Softmax of one row in higher precision, as a textbook computes it.

use super::{double_double::Dd, float::Float};

/// `f` of every index, computed once for elements that repeat recent ones: some long rows repeat a
/// short one.
fn map_row<T: Float>(x: &[T], mut f: impl FnMut(usize) -> Dd) -> Vec<Dd> {
    let mut recent = vec![None; x.len().clamp(1, 4096)];
    let value = |(i, x): (usize, &T)| {
        let bits = x.bits();
        let slot = (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % recent.len();
        match recent[slot] {
            Some((same, value)) if same == bits => value,
            _ => recent[slot].insert((bits, f(i))).1,
        }
    };
    x.iter().enumerate().map(value).collect()
}

/// Softmax, log-softmax and log-sum-exp of one row by the textbook: subtract the maximum, then
/// exponentials and their sum in f64 (for f32) or double-double (for f64). Special values as the
/// contract's table has them.
pub(crate) struct Reference {
    pub(crate) softmax: Vec<Dd>,
    pub(crate) log_sum_exp: Dd,
    /// The maximum, and what log-softmax subtracts after it: the logarithm of the sum of
    /// e^(x - max).
    max: f64,
    ln_sum: Dd,
    /// The softmax of everything but one maximum.
    rest: Dd,
}

impl Reference {
    pub(crate) fn new<T: Float>(x: &[T]) -> Self {
        let wide = || x.iter().map(|x| x.wide());
        let max = wide().fold(f64::NEG_INFINITY, f64::max);
        let special = |log_sum_exp: f64| Self {
            softmax: vec![Dd::from(f64::NAN); x.len()],
            log_sum_exp: Dd::from(log_sum_exp),
            max,
            ln_sum: Dd::from(f64::NAN),
            rest: Dd::from(f64::NAN),
        };
        if wide().any(f64::is_nan) {
            return special(f64::NAN);
        }
        if !max.is_finite() {
            return special(max);
        }
        let exps = map_row(x, |i| match x[i].wide() {
            f64::NEG_INFINITY => Dd::ZERO,
            x => T::reference_exp(Dd::difference(x, max)),
        });
        // Without one maximum, whose exponential is 1: the logarithm of the sum is accurate near 0.
        let first = x.iter().position(|x| x.wide() == max).expect("a maximum");
        let mut rest = exps[..first].iter().chain(&exps[first + 1..]).fold(Dd::ZERO, |sum, &e| sum + e);
        if rest.0 < 1e-250 {
            // Exponentials relative to the second largest element, which are not subnormal numbers.
            let others = || wide().enumerate().filter(|&(i, _)| i != first).map(|(_, x)| x);
            let second = others().fold(f64::NEG_INFINITY, f64::max);
            if second - max > -1000.0 {
                let exp = |x: f64| (x > f64::NEG_INFINITY).then(|| Dd::difference(x, second).exp());
                let sum = others().filter_map(exp).fold(Dd::ZERO, |sum, e| sum + e);
                // Not a product, whose second factor might be a subnormal number.
                rest = (Dd::difference(second, max) + sum.ln()).exp();
            }
        }
        let (sum, ln_sum) = (Dd::ONE + rest, rest.ln_1p());
        let softmax = map_row(x, |i| exps[i] / sum);
        Self { softmax, log_sum_exp: Dd::from(max) + ln_sum, max, ln_sum, rest: rest / sum }
    }

    /// The softmax of the element `i`, which is `x`, minus 1.
    pub(crate) fn softmax_minus_one(&self, i: usize, x: f64) -> Dd {
        if x == self.max { -self.rest } else { self.softmax[i] - Dd::ONE }
    }

    /// The number whose ulp is the unit of log-sum-exp's bound: the largest of its terms, which are
    /// the maximum and what exceeds it, and the result.
    pub(crate) fn log_sum_exp_size(&self) -> f64 {
        self.max.abs().max(self.ln_sum.0).max(self.log_sum_exp.0.abs())
    }

    /// The log-softmax of the element `x`.
    pub(crate) fn log_softmax(&self, x: f64) -> Dd {
        if self.ln_sum.0.is_nan() {
            self.ln_sum
        } else if x == f64::NEG_INFINITY || x - self.max == f64::NEG_INFINITY {
            Dd::from(f64::NEG_INFINITY)
        } else {
            Dd::difference(x, self.max) - self.ln_sum
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Dd, Reference};

    #[test]
    fn the_reference_knows_a_small_row() {
        // softmax([0, ln 3]) = [1/4, 3/4] but for the rounding of ln 3, which moves the outputs by
        // 3/16 of it.
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
}
