//! Softmax, log-softmax and log-sum-exp of one row against the contract.

use super::{
    double_double::Dd,
    float::{Float, same_bits},
    guarded::{Guarded, LANES},
    isas::small_cases,
    reference::Reference,
    report::Report,
    ulp::{ulp_error, ulp_error_at, ulp_error_from_one},
};
use mantex::{Error, Isa};

/// Softmax: within 4 ulp, at any length.
pub(crate) const SOFTMAX_ULPS: f64 = 4.0;
/// Log-sum-exp: within 2 ulp of the largest of the maximum, what exceeds it, and the result.
pub(crate) const LOG_SUM_EXP_ULPS: f64 = 2.0;
/// Log-softmax: within 2 ulp of the result, at any size.
pub(crate) const LOG_SOFTMAX_ULPS: f64 = 2.0;

/// The results of the functions over one row.
pub(crate) struct Outputs<T> {
    pub(crate) softmax: Vec<T>,
    pub(crate) in_place: Vec<T>,
    pub(crate) log_softmax: Vec<T>,
    pub(crate) log_sum_exp: T,
    /// The logarithm of the sum as a sum that merges.
    pub(crate) ext_sum_ln: T,
}

impl<T: Float> Outputs<T> {
    /// Whether all bits are the same.
    pub(crate) fn same(&self, other: &Self) -> bool {
        same_bits(&self.softmax, &other.softmax)
            && same_bits(&self.in_place, &other.in_place)
            && same_bits(&self.log_softmax, &other.log_softmax)
            && self.log_sum_exp.bits() == other.log_sum_exp.bits()
            && self.ext_sum_ln.bits() == other.ext_sum_ln.bits()
    }
}

/// A function from one row to another.
type RowFunction<'a, T> = dyn Fn(&[T], &mut [T]) -> Result<(), Error> + 'a;

/// Runs every function over one row from and to buffers at the given misalignment, and checks that
/// nothing is written outside of them and the input is left alone.
pub(crate) fn run_row<T: Float>(isa: Isa, x: &[T], offset: usize) -> Outputs<T> {
    let input = Guarded::new(x, offset);
    // The misalignment of the output differs from that of the input.
    let mut out = Guarded::<T>::unwritten(x.len(), (offset * 7 + 3) % LANES);
    let mut take = |f: &RowFunction<'_, T>| {
        out.get_mut().fill(T::of(f64::NAN));
        f(input.get(), out.get_mut()).expect("the lengths agree");
        out.check().to_vec()
    };
    let softmax = take(&|x, out| isa.softmax(x, out));
    let log_softmax = take(&|x, out| isa.log_softmax(x, out));
    let log_sum_exp = isa.log_sum_exp(input.get());
    let ext_sum_ln = isa.ext_sum(input.get()).ln();
    assert!(same_bits(input.check(), x), "the input changed");
    let mut both = Guarded::new(x, offset);
    isa.softmax_in_place(both.get_mut());
    let in_place = both.check().to_vec();
    Outputs { softmax, in_place, log_softmax, log_sum_exp, ext_sum_ln }
}

/// The error of one softmax output in ulps; `None` below the range of the contract's bound.
pub(crate) fn softmax_error<T: Float>(actual: T, x: T, expected: Dd, case: &dyn Fn() -> String) -> Option<f64> {
    if x.wide() == f64::NEG_INFINITY && !expected.0.is_nan() {
        assert_eq!(actual.bits(), T::of(0.0).bits(), "softmax of -inf is {actual} in {}", case());
        None
    } else if expected.0 < T::SMALLEST {
        // Such results may be flushed to 0, but must be neither negative nor too large.
        assert!((0.0..=T::SMALLEST).contains(&actual.wide()), "softmax is {actual} for {expected:?} in {}", case());
        None
    } else {
        Some(ulp_error(actual, expected.0, expected.1))
    }
}

/// Records the largest of the errors of the elements of `x`, `None` for those without a bound.
fn observe_row<T: Float>(
    report: &mut Report,
    (function, isa, limit): (&'static str, Isa, f64),
    name: &str,
    x: &[T],
    error: impl Fn(usize, &dyn Fn() -> String) -> Option<f64>,
) {
    let (n, sample) = (x.len(), small_cases());
    let case = |i: usize| format!("{name}, n = {n}, x[{i}] = {:e}, {function} on {isa}", x[i].wide());
    let mut worst = (-1.0, 0);
    let mut count = 0;
    // With small cases, a sample of the longest rows is checked, with both ends.
    let sampled = |i: usize| !sample || n < 1 << 20 || i.is_multiple_of(17) || i < 1000 || n - i < 1000;
    for i in (0..n).filter(|&i| sampled(i)) {
        if let Some(ulps) = error(i, &|| case(i)) {
            count += 1;
            if ulps > worst.0 {
                worst = (ulps, i);
            }
        }
    }
    report.observe_worst::<T>(function, isa, (worst.0, count), limit, || case(worst.1));
}

/// Checks all outputs against the reference.
pub(crate) fn check_outputs<T: Float>(
    report: &mut Report,
    isa: Isa,
    name: &str,
    x: &[T],
    r: &Reference,
    out: &Outputs<T>,
) {
    for (function, out) in [("softmax", &out.softmax), ("softmax_in_place", &out.in_place)] {
        let error = |i: usize, case: &dyn Fn() -> String| softmax_error(out[i], x[i], r.softmax[i], case);
        observe_row(report, (function, isa, SOFTMAX_ULPS), name, x, error);
    }
    check_logarithms(report, isa, name, x, r, (&out.log_softmax, out.log_sum_exp));
    let ulps = ulp_error_from_one(out.ext_sum_ln, r.log_sum_exp.0, r.log_sum_exp.1);
    report.observe::<T>("ExtSum::ln", isa, ulps, LOG_SUM_EXP_ULPS, || format!("{name}, n = {}", x.len()));
}

/// Checks log-softmax, which is at most +0, and log-sum-exp, which is at least the maximum, against
/// the reference.
pub(crate) fn check_logarithms<T: Float>(
    report: &mut Report,
    isa: Isa,
    name: &str,
    x: &[T],
    r: &Reference,
    (log_softmax, log_sum_exp): (&[T], T),
) {
    let error = |i: usize, case: &dyn Fn() -> String| {
        let (expected, y) = (r.log_softmax(x[i].wide()), log_softmax[i]);
        assert!(y.wide().is_nan() || y.wide() < 0.0 || y.bits() == 0, "{y}: {}", case());
        Some(ulp_error(y, expected.0, expected.1))
    };
    observe_row(report, ("log_softmax", isa, LOG_SOFTMAX_ULPS), name, x, error);
    let case = || format!("{name}, n = {}", x.len());
    let max = x.iter().map(|x| x.wide()).fold(f64::NEG_INFINITY, f64::max);
    let sum = log_sum_exp.wide();
    assert!(sum.is_nan() || sum >= max, "log_sum_exp is {sum}, below {max}: {} on {isa}", case());
    let ulps = ulp_error_at(log_sum_exp, r.log_sum_exp.0, r.log_sum_exp.1, r.log_sum_exp_size());
    report.observe::<T>("log_sum_exp", isa, ulps, LOG_SUM_EXP_ULPS, case);
}
