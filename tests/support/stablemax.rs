//! One row of the StableMax family against a reference in double-double.

use super::{
    double_double::{Dd, power_of_two},
    float::{Float, bits_of},
    guarded::{Guarded, LANES},
    isas::isas,
    report::Report,
    ulp::{distance, ulp, ulp_error, ulp_error_from_one},
};
use mantex::{Error, Isa};

const STABLEMAX_ULPS: f64 = 4.0;
const LOG_STABLEMAX_ULPS: f64 = 4.0;
const GRADIENT_EPSILONS: f64 = 16.0;

const INF: f64 = f64::INFINITY;

/// StableMax, the logarithms of u and of the sum, and the sums over the upstream gradient.
/// Numbers that would leave the range of f64 are scaled by powers of two.
struct Reference {
    /// u times 2^-60; infinite for -inf.
    u: Vec<Dd>,
    y: Vec<Dd>,
    log_y: Vec<Dd>,
    /// The sums of dy y, |dy| y, dy and |dy|.
    sums: [Dd; 4],
}

impl Reference {
    /// `None` if the row has no result.
    fn new<T: Float>(x: &[T], dy: &[T]) -> Option<Self> {
        let (half, ln_2) = (power_of_two(-60), Dd::from(2.0).ln());
        let max = x.iter().fold(-INF, |max, x| if x.wide() > max { x.wide() } else { max });
        if x.iter().any(|x| x.wide().is_nan()) || max.is_infinite() {
            return None;
        }
        // Weights are scaled by 2^shift, so that the largest one and their sum are in range.
        let shift = if max >= power_of_two(500) { -60 } else { 60 * i32::from(max < -power_of_two(500)) };
        let u: Vec<Dd> = (x.iter().map(|x| x.wide().abs()))
            .map(|x| if x == INF { Dd::from(INF) } else { Dd::difference(x * half, -half) })
            .collect();
        let scaled = |x: Dd, e: i32| Dd(x.0 * power_of_two(e), x.1 * power_of_two(e));
        let weights = x.iter().zip(&u).map(|(x, &u)| match x.wide() {
            f64::NEG_INFINITY => Dd::ZERO,
            0.0.. => scaled(u, 60 + shift),
            _ => scaled(Dd::ONE / u, shift - 60),
        });
        let weights: Vec<Dd> = weights.collect();
        let sum = weights.iter().fold(Dd::ZERO, |sum, &w| sum + w);
        let ln_sum = T::reference_ln(sum) - ln_2 * Dd::from(f64::from(shift));
        let log_y = x.iter().zip(&u).map(|(x, &u)| {
            let ln = |u| T::reference_ln(u) + ln_2 * Dd::from(60.0);
            match x.wide() {
                f64::NEG_INFINITY => Dd::from(-INF),
                0.0.. => ln(u) - ln_sum,
                _ => -ln(u) - ln_sum,
            }
        });
        let (log_y, y): (_, Vec<Dd>) = (log_y.collect(), weights.iter().map(|&w| w / sum).collect());
        let mut sums = [Dd::ZERO; 4];
        for (dy, &y) in dy.iter().map(|dy| dy.wide()).zip(&y) {
            let (dy, size) = (Dd::from(dy), Dd::from(dy.abs()));
            for (sum, term) in sums.iter_mut().zip([dy * y, size * y, dy, size]) {
                *sum = *sum + term;
            }
        }
        Some(Self { u, y, log_y, sums })
    }

    /// The gradients and the magnitudes of their terms: in both, `s'_j / S` is `y_j / u_j`.
    fn gradients(&self, j: usize, dy: f64) -> [(Dd, f64); 2] {
        let ([mean, mean_size, sum, size], y, half) = (self.sums, self.y[j], power_of_two(-60));
        // x / u from u times 2^-60: u is scaled back, or x is scaled, whichever stays in range.
        let over_u = |x: Dd| match self.u[j] {
            Dd(INF, _) => Dd::ZERO,
            u if u.0 < 1.0 => x / Dd(u.0 / half, u.1 / half),
            u => Dd(x.0 * half, x.1 * half) / u,
        };
        let (dy, dy_size) = (Dd::from(dy), Dd::from(dy.abs()));
        [
            (over_u((dy - mean) * y), over_u((dy_size + mean_size) * y).0),
            (over_u(dy - sum * y), over_u(dy_size + size * y).0),
        ]
    }
}

/// StableMax, its logarithm, and both gradients of one row, from and to buffers at the given
/// misalignment; nothing is written outside of them.
pub(crate) fn run<T: Float>(isa: Isa, x: &[T], dy: &[T], offset: usize) -> [Vec<T>; 4] {
    let (x, dy) = (Guarded::new(x, offset), Guarded::new(dy, (offset * 5 + 1) % LANES));
    let take = |f: &dyn Fn(&mut [T]) -> Result<(), Error>| {
        let mut out = Guarded::<T>::unwritten(x.get().len(), (offset * 7 + 3) % LANES);
        f(out.get_mut()).expect("the lengths agree");
        out.check().to_vec()
    };
    let outputs = [
        take(&|out| isa.stablemax(x.get(), out)),
        take(&|out| isa.log_stablemax(x.get(), out)),
        take(&|out| isa.stablemax_backward(x.get(), dy.get(), out)),
        take(&|out| isa.log_stablemax_backward(x.get(), dy.get(), out)),
    ];
    x.check();
    dy.check();
    outputs
}

/// Checks all outputs of one row at the first alignment against the reference, and that the others
/// give the same bits.
pub(crate) fn check_row<T: Float>(report: &mut Report, name: &str, x: &[T], dy: &[T], offsets: &[usize]) {
    let reference = Reference::new(x, dy);
    let (epsilon, smallest) = (ulp::<T>(1.0), power_of_two(T::MIN_EXPONENT));
    for isa in isas() {
        let outputs = run(isa, x, dy, offsets[0]);
        for &offset in &offsets[1..] {
            let again = run(isa, x, dy, offset);
            assert_eq!(again.map(|y| bits_of(&y)), outputs.clone().map(|y| bits_of(&y)), "{name}, {offset} on {isa}");
        }
        let Some(r) = &reference else {
            assert!(outputs.iter().flatten().all(|y| y.wide().is_nan()), "{name} on {isa}: not all NaN");
            continue;
        };
        let [y, log_y, dx, log_dx] = &outputs;
        for i in 0..x.len() {
            let case = || format!("{name}, n = {}, x[{i}] = {:e}", x.len(), x[i].wide());
            if x[i].wide() == -INF {
                let values = [y[i], dx[i], log_dx[i], log_y[i]].map(|y| y.wide());
                assert_eq!(values, [0.0, 0.0, 0.0, -INF], "{} on {isa}", case());
            }
            let ulps = if r.y[i].0 >= smallest {
                ulp_error(y[i], r.y[i].0, r.y[i].1)
            } else {
                STABLEMAX_ULPS * distance(y[i], r.y[i].0, r.y[i].1) / smallest
            };
            report.observe::<T>("stablemax", isa, ulps, STABLEMAX_ULPS, case);
            let ulps = ulp_error_from_one(log_y[i], r.log_y[i].0, r.log_y[i].1);
            report.observe::<T>("log_stablemax", isa, ulps, LOG_STABLEMAX_ULPS, case);
            let gradients = r.gradients(i, dy[i].wide()).into_iter().zip([dx[i], log_dx[i]]);
            for (function, ((expected, size), dx)) in ["backward", "log_backward"].into_iter().zip(gradients) {
                let error = (distance(dx, expected.0, expected.1) - smallest).max(0.0);
                // Errors below the smallest normal number count as 0 at any magnitude.
                let epsilons = if error == 0.0 { 0.0 } else { error / (epsilon * size) };
                report.observe::<T>(function, isa, epsilons, GRADIENT_EPSILONS, case);
            }
        }
    }
}
