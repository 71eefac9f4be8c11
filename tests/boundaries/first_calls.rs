//! The first calls of a process may come from several threads at once.

use crate::support::{
    child::{child, printed},
    data::{rng, uniform},
    float::{Float, bits_of},
    isas::{isas, small_cases},
};
use mantex::*;
use std::sync::Barrier;

type Function<T> = fn(&[T]) -> Vec<u64>;

/// Functions without `_on`, in the order of their first calls.
fn functions<T: Float>() -> [Function<T>; 4] {
    const N: usize = 24;
    [
        |x| {
            let mut out = vec![T::of(0.0); x.len()];
            softmax(x, &mut out).expect("equal lengths");
            bits_of(&out)
        },
        |x| vec![log_sum_exp(x).bits()],
        |x| {
            let mass = [T::of(1.0 / N as f64); N];
            let cost = MatRef::new(x, N, N).expect("it fits");
            let t = Sinkhorn::new(0.1).max_iterations(20).solve(cost, &mass, &mass).expect("a good problem");
            [bits_of(t.f()), bits_of(t.g())].concat()
        },
        |x| {
            let clusters = KMedoids::new(4).fit(MatRef::new(x, N, N).expect("it fits")).expect("a good problem");
            [vec![clusters.loss().bits()], clusters.labels().iter().map(|&label| label as u64).collect()].concat()
        },
    ]
}

/// Eight threads call each function at the same time, the first for the first time.
fn together<T: Float>() {
    let x: Vec<T> = uniform(24 * 24, 0.1, 1.0, &mut rng(78));
    let start = Barrier::new(8);
    let calls = || {
        functions::<T>().map(|function| {
            start.wait();
            function(&x)
        })
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(calls)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let expected = functions::<T>().map(|function| function(&x));
    assert!(results.iter().all(|result| *result == expected), "{}", T::NAME);
}

#[test]
fn first_calls_alone() {
    together::<f32>();
    together::<f64>();
}

/// In a process in which no other test has called anything, for every instruction set.
#[test]
fn first_calls_may_come_together() {
    for isa in isas() {
        let output = child(module_path!(), "first_calls_alone", Some(("MANTEX_ISA", isa.name())));
        let printed = printed(&output);
        assert!(output.status.success() && printed.contains("1 passed"), "{isa}: {printed}");
    }
}

/// What the CPU says about its caches is what Linux reads from it.
#[cfg(all(target_os = "linux", any(mantex_avx512, mantex_avx2)))]
#[test]
fn the_last_level_cache_is_found() {
    if small_cases() {
        return; // An emulator has caches of its own.
    }
    let sizes = (0..8).filter_map(|i| {
        let size = std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{i}/size")).ok()?;
        size.trim().strip_suffix('K')?.parse::<usize>().ok()
    });
    let largest = sizes.max().expect("Linux lists the caches") << 10;
    assert_eq!(baselines::last_level_cache_bytes(), Some(largest));
}
