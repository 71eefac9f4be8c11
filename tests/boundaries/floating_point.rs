//! The flags and modes of the floating-point unit: no exception is raised on finite input, and
//! modes that flush subnormal numbers to zero change nothing else.
//!
//! Only vectors are tested for flags. The scalar fallback is plain Rust, which the compiler may
//! compute speculatively: it makes no promise about flags.

#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

use super::{
    entry_points::{Input, entry_points},
    problems::{ALGORITHMS, METHODS, problem},
};
use crate::support::{
    data::{normal, rng, uniform},
    float::Float,
    for_both_types,
    isas::{isas, small_cases},
    rows::{KINDS, row},
};
use mantex::{medoids::*, *};
use std::ops::ControlFlow;

for_both_types! {
    finite_rows_raise_no_flag
    entry_points_raise_no_flag
    solvers_raise_no_flag
    iterations_make_no_subnormal_numbers
    rows_flush_to_zero
    solvers_flush_to_zero
}

/// The control and status registers.
#[cfg(target_arch = "x86_64")]
mod unit {
    use std::arch::asm;

    /// Invalid operation, division by zero, overflow.
    pub(super) const EXCEPTIONS: u64 = 1 | 4 | 8;
    /// A subnormal operand, underflow.
    pub(super) const SUBNORMAL: u64 = 2 | 16;
    /// All flags.
    const FLAGS: u32 = 0x3f;
    /// Flush to zero, and subnormal numbers count as zero.
    const FLUSH: u32 = 0x8040;

    fn get() -> u32 {
        let mut mxcsr = 0_u32;
        // SAFETY: the instruction writes the register to the four bytes of the variable.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack)) };
        mxcsr
    }

    fn set(mxcsr: u32) {
        // SAFETY: only flags and flushing differ from what the register held, see the callers: all
        // exceptions stay masked.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack)) };
    }

    pub(super) fn clear_flags() {
        set(get() & !FLAGS);
    }

    pub(super) fn flags() -> u64 {
        u64::from(get() & FLAGS)
    }

    pub(super) fn flush(yes: bool) {
        set(if yes { get() | FLUSH } else { get() & !FLUSH });
    }
}

/// The control and status registers.
#[cfg(target_arch = "aarch64")]
mod unit {
    use std::arch::asm;

    /// Invalid operation, division by zero, overflow.
    pub(super) const EXCEPTIONS: u64 = 1 | 2 | 4;
    /// Underflow.
    pub(super) const SUBNORMAL: u64 = 8;
    /// Flush to zero.
    const FLUSH: u64 = 1 << 24;

    pub(super) fn clear_flags() {
        // SAFETY: the status register holds nothing but flags.
        unsafe { asm!("msr fpsr, xzr", options(nomem, nostack)) };
    }

    pub(super) fn flags() -> u64 {
        let fpsr: u64;
        // SAFETY: as above.
        unsafe { asm!("mrs {}, fpsr", out(reg) fpsr, options(nomem, nostack)) };
        fpsr
    }

    pub(super) fn flush(yes: bool) {
        let mut fpcr: u64;
        // SAFETY: only flushing changes.
        unsafe { asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack)) };
        fpcr = if yes { fpcr | FLUSH } else { fpcr & !FLUSH };
        // SAFETY: as above.
        unsafe { asm!("msr fpcr, {}", in(reg) fpcr, options(nomem, nostack)) };
    }
}

/// Fails if `f` raises one of the exceptions.
fn raises_none(what: &dyn std::fmt::Display, f: impl FnOnce()) {
    unit::clear_flags();
    std::hint::black_box(f)();
    let raised = unit::flags() & unit::EXCEPTIONS;
    assert_eq!(raised, 0, "{what}: exceptions {raised:#x}");
}

/// Runs `f` while subnormal numbers are flushed to zero.
fn flushing<R>(f: impl FnOnce() -> R) -> R {
    unit::flush(true);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    unit::flush(false);
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn vectors() -> Vec<Isa> {
    isas().into_iter().filter(|isa| isa.name() != "scalar").collect()
}

#[test]
fn flags_are_seen() {
    let raised = std::panic::catch_unwind(|| {
        raises_none(&"0 / 0", || {
            std::hint::black_box(std::hint::black_box(0.0) / std::hint::black_box(0.0_f64));
        });
    });
    assert!(raised.is_err());
}

const LENGTHS: [usize; 17] = [1, 2, 3, 5, 8, 9, 15, 16, 17, 33, 64, 100, 300, 513, 1025, 4097, 9000];

/// Results of finite rows are numbers: those of softmax always, logarithms unless the row spans
/// more than the range of the type.
fn finite_rows_raise_no_flag<T: Float>() {
    let mut rng = rng(91);
    for (kind, n) in KINDS.into_iter().flat_map(|kind| LENGTHS.map(|n| (kind, n))) {
        let rows = 3;
        let x: Vec<T> = (0..rows).flat_map(|_| row::<T>(kind, n, &mut rng)).collect();
        let dy = normal::<T>(n, 1.0, 0.0, &mut rng);
        let view = MatRef::new(&x, rows, n).expect("it fits");
        let classes = [0, n / 2, n - 1];
        for isa in vectors() {
            let mut out = x.clone();
            let (mut each, mut one) = ([T::of(0.0); 3], x[..n].to_vec());
            fn of<T>(out: &mut [T]) -> MatMut<'_, T> {
                let cols = out.len() / 3;
                MatMut::new(out, 3, cols).expect("it fits")
            }
            let check = |name: &str, f: &mut dyn FnMut() -> Result<(), Error>| {
                let what = format!("{name}/{}/{isa}/{kind}, n = {n}", T::NAME);
                raises_none(&what, || f().expect("good arguments"));
            };
            check("softmax_in_place", &mut || {
                isa.softmax_in_place(&mut one);
                Ok(())
            });
            check("softmax", &mut || isa.softmax(&x[..n], &mut one));
            let y = one.clone();
            check("softmax_backward", &mut || isa.softmax_backward(&y, &dy, &mut one));
            check("softmax_rows", &mut || isa.softmax_rows(view, of(&mut out)));
            out.copy_from_slice(&x);
            check("softmax_rows_in_place", &mut || {
                isa.softmax_rows_in_place(of(&mut out));
                Ok(())
            });
            let causal = Softmax::new().scale(T::of(-0.75)).causal(n as isize / 2).isa(isa);
            check("Softmax::rows", &mut || causal.rows(view, of(&mut out)));
            check("log_sum_exp_rows", &mut || isa.log_sum_exp_rows(view, &mut each));
            check("stablemax", &mut || isa.stablemax(&x[..n], &mut one));
            check("log_stablemax", &mut || isa.log_stablemax(&x[..n], &mut one));
            if kind == "largest with both signs" {
                // Logarithms, and gradients of StableMax beside them, are out of range.
                continue;
            }
            if !["largest, all", "lowest, all"].contains(&kind) {
                check("ExtSum", &mut || {
                    each[0] = isa.ext_sum(&x[..n / 2]).merge(isa.ext_sum(&x[n / 2..])).ln();
                    Ok(())
                });
            }
            check("stablemax_backward", &mut || isa.stablemax_backward(&x[..n], &dy, &mut one));
            check("log_stablemax_backward", &mut || isa.log_stablemax_backward(&x[..n], &dy, &mut one));
            check("log_softmax", &mut || isa.log_softmax(&x[..n], &mut one));
            let y = one.clone();
            check("log_softmax_backward", &mut || isa.log_softmax_backward(&y, &dy, &mut one));
            check("log_softmax_rows", &mut || isa.log_softmax_rows(view, of(&mut out)));
            check("cross_entropy_rows", &mut || isa.cross_entropy_rows(view, &classes, &mut each));
            check("cross_entropy_gradient_rows", &mut || {
                isa.cross_entropy_gradient_rows(view, &classes, T::of(-0.3), &mut each, of(&mut out))
            });
        }
    }
}

/// Every function over rows, also with a mask of -inf.
fn entry_points_raise_no_flag<T: Float>() {
    let mut rng = rng(92);
    for n in LENGTHS {
        let rows = if n < 1000 { 19 } else { 2 };
        let x = normal::<T>(rows * n, 3.0, -2.0, &mut rng);
        let mut y = normal::<T>(rows * n, 1.0, 0.0, &mut rng);
        let classes = vec![n / 2; rows];
        for masked in [false, true] {
            if masked {
                // Not the first column: some logit is left.
                (1..n).step_by(3).for_each(|j| (0..rows).for_each(|i| y[i * n + j] = T::of(f64::NEG_INFINITY)));
            }
            let [x, y] = [&x, &y].map(|x| MatRef::new(x, rows, n).expect("it fits"));
            for (isa, (name, call)) in
                vectors().into_iter().flat_map(|isa| entry_points().into_iter().map(move |e| (isa, e)))
            {
                if masked && !name.starts_with("Softmax::") {
                    continue;
                }
                let (mut out, mut each) = (vec![T::of(0.0); rows * n], vec![T::of(0.0); rows]);
                let out = MatMut::new(&mut out, rows, n).expect("it fits");
                let input = Input { x, y, classes: &classes };
                raises_none(&format!("{name}/{}/{isa}/{rows} x {n}, masked {masked}", T::NAME), || {
                    call(isa, &input, out, &mut each).expect("good arguments");
                });
            }
        }
    }
}

/// Solves, clusters, and measures distances: everything of an ordinary problem.
fn solve_and_cluster<T: Float>(isa: Isa, check: &dyn Fn(&str, &mut dyn FnMut())) {
    let (n, m) = (23, 37);
    let [cost, a, b] = problem::<T>(n, m, 0);
    let cost = MatRef::new(&cost, n, m).expect("it fits");
    for method in METHODS {
        let solver = Sinkhorn::new(0.05).isa(isa).method(method);
        let mut transport = None;
        check(&format!("solve, {method:?}"), &mut || transport = Some(solver.solve(cost, &a, &b).expect("good")));
        let transport = transport.expect("a solution");
        let mut plan = vec![T::of(0.0); n * m];
        check("plan_into", &mut || {
            transport.plan_into(cost, MatMut::new(&mut plan, n, m).expect("it fits")).expect("the same shape");
        });
        assert!(plan.iter().all(|p| p.wide() >= 0.0));
        check("objective", &mut || {
            let objective = transport.objective(cost).expect("the same shape");
            assert!(!format!("{objective:?}").contains("NaN"));
        });
    }
    let points = 60;
    let x: Vec<T> = uniform(points * 5, -1.0, 1.0, &mut rng(93));
    let x = MatRef::new(&x, points, 5).expect("it fits");
    let mut d = vec![T::of(0.0); points * points];
    for metric in [Metric::SquaredEuclidean, Metric::Manhattan, Metric::Cosine, Metric::Euclidean] {
        check(&format!("distance_matrix, {metric:?}"), &mut || {
            isa.distance_matrix(x, MatMut::new(&mut d, points, points).expect("it fits"), metric).expect("fits");
        });
    }
    let d = MatRef::new(&d, points, points).expect("it fits");
    for algorithm in ALGORITHMS {
        let mut clusters = None;
        check(&format!("fit, {algorithm:?}"), &mut || {
            clusters = Some(KMedoids::new(7).algorithm(algorithm).isa(isa).fit(d).expect("a good problem"));
        });
        let (clusters, mut out) = (clusters.expect("a clustering"), vec![T::of(0.0); points]);
        assert!(clusters.loss().is_finite());
        check("silhouette", &mut || {
            isa.silhouette(d, clusters.labels(), &mut out).expect("good labels");
        });
    }
}

fn solvers_raise_no_flag<T: Float>() {
    for isa in vectors() {
        solve_and_cluster::<T>(isa, &|what, f| raises_none(&format!("{what}/{}/{isa}", T::NAME), f));
    }
}

/// Entries of the plan in units of 2^-level, from 1 to far below the type's range, between masses
/// of 1 and 2^-40. The diagonal is free, so the potentials stay 0. No level is within the factor of
/// two above 0 in which instruction sets without `scalef` make subnormal numbers.
fn iterations_make_no_subnormal_numbers<T: Float>() {
    let n = 40;
    let levels =
        if T::NAME == "f32" { [60.0, 100.0, 120.0, 135.0, 400.0] } else { [60.0, 900.0, 1000.0, 1040.0, 3000.0] };
    let cost = |(i, j): (usize, usize)| if i == j { 0.0 } else { levels[(7 * i + 3 * j) % 5] * std::f64::consts::LN_2 };
    let cost: Vec<T> = (0..n * n).map(|at| T::of(cost((at / n, at % n)))).collect();
    let masses: Vec<T> = (0..n).map(|i| T::of(if i % 3 == 0 { 2_f64.powi(-40) } else { 1.0 })).collect();
    for (isa, method) in vectors().into_iter().flat_map(|isa| METHODS.map(|method| (isa, method))) {
        let solver = Sinkhorn::new(1.0).method(method).tolerance(0.0).max_iterations(4).isa(isa);
        // Between iterations only: comparisons of settings that were not made may see any number.
        let mut raised = None;
        let on_iteration = |progress: &transport::Progress| {
            match progress.iteration {
                1 => unit::clear_flags(),
                _ => raised = Some(unit::flags() & unit::SUBNORMAL),
            }
            ControlFlow::Continue(())
        };
        let cost = MatRef::new(&cost, n, n).expect("it fits");
        _ = solver.solve_with_progress(cost, &masses, &masses, on_iteration).expect("a good problem");
        assert_eq!(raised, Some(0), "{method:?}/{}/{isa}", T::NAME);
    }
}

/// Nothing is NaN, and rows still sum to 1.
fn rows_flush_to_zero<T: Float>() {
    let mut rng = rng(94);
    for (kind, n) in
        KINDS.into_iter().flat_map(|kind| LENGTHS.map(|n| (kind, n))).step_by(if small_cases() { 5 } else { 1 })
    {
        let x = row::<T>(kind, n, &mut rng);
        for isa in isas() {
            let (mut p, mut log_p, mut s) = (x.clone(), x.clone(), x.clone());
            let lse = flushing(|| {
                isa.softmax(&x, &mut p).expect("equal lengths");
                isa.log_softmax(&x, &mut log_p).expect("equal lengths");
                isa.stablemax(&x, &mut s).expect("equal lengths");
                isa.log_sum_exp(&x)
            });
            let what = format!("{kind}, n = {n} on {isa}");
            for row in [&p, &s] {
                let sum: f64 = row.iter().map(|p| p.wide()).sum();
                assert!((sum - 1.0).abs() < 1e-4, "{what}: sum {sum}");
            }
            assert!(log_p.iter().all(|y| y.wide() <= 0.0) && !lse.wide().is_nan(), "{what}");
        }
    }
}

fn solvers_flush_to_zero<T: Float>() {
    for isa in isas() {
        flushing(|| solve_and_cluster::<T>(isa, &|_, f| f()));
        // A mass below the normal range counts as 0.
        let tiny = T::TINIEST;
        let (cost, half) = ([T::of(0.0), T::of(1.0), T::of(1.0), T::of(0.0)], T::of(0.5));
        let cost = MatRef::new(&cost, 2, 2).expect("it fits");
        let solve = || Sinkhorn::new(0.5).isa(isa).solve(cost, &[T::of(1.0), tiny], &[half, half]);
        let transport = flushing(|| solve().expect("a good problem"));
        assert!(transport.converged() && transport.cost().is_finite(), "{}/{isa}", T::NAME);
    }
}
