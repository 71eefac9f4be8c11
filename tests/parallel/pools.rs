//! Calls from tasks of a pool: of the same pool, of another one, and of many at once.

use super::pools;
use mantex::{MatMut, MatRef, Sinkhorn};
use rayon::prelude::*;

/// The softmax of a matrix that is large enough for all threads.
fn softmax() -> Vec<f32> {
    let x: Vec<f32> = (0..1 << 18).map(|i| (i * 7 % 1013) as f32 / 100.0).collect();
    let mut out = vec![0.0; x.len()];
    let rows = MatRef::new(&x, 1 << 9, 1 << 9).expect("it fits");
    mantex::parallel::softmax_rows(rows, MatMut::new(&mut out, 1 << 9, 1 << 9).expect("it fits"))
        .expect("shapes agree");
    out
}

#[test]
fn tasks_of_a_pool_may_call() {
    let expected = softmax();
    for pool in pools() {
        let results: Vec<_> = pool.install(|| (0..32).into_par_iter().map(|_| softmax()).collect());
        assert!(results.iter().all(|result| *result == expected));
    }
}

#[test]
fn a_task_may_call_in_another_pool() {
    let (expected, pools) = (softmax(), pools());
    let inner = pools[1].install(|| pools[2].install(softmax));
    assert_eq!(inner, expected);
}

#[test]
fn threads_outside_of_pools_may_call_at_once() {
    let expected = softmax();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(softmax)).collect();
        for call in calls {
            assert_eq!(call.join().expect("no panic"), expected);
        }
    });
}

/// The potentials of a solve with enough rows for all threads.
fn sinkhorn() -> Vec<f64> {
    let (n, m) = (500, 60);
    let cost: Vec<f64> = (0..n * m).map(|i| (i * 7 % 1013) as f64 / 1000.0).collect();
    let solver = Sinkhorn::new(0.05).max_iterations(20).tolerance(0.0).parallel(true);
    let solution = solver.solve(MatRef::new(&cost, n, m).expect("it fits"), &vec![60.0; n], &vec![500.0; m]);
    solution.expect("good input").f().to_vec()
}

#[test]
fn solves_may_nest_in_tasks_of_a_pool() {
    let expected = sinkhorn();
    let pools = pools();
    for pool in &pools {
        let results: Vec<_> = pool.install(|| (0..16).into_par_iter().map(|_| sinkhorn()).collect());
        assert!(results.iter().all(|result| *result == expected));
    }
    assert_eq!(pools[1].install(|| pools[0].install(sinkhorn)), expected);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| pools[1].install(sinkhorn))).collect();
        for call in calls {
            assert_eq!(call.join().expect("no panic"), expected);
        }
    });
}

#[test]
fn a_panic_of_a_callback_leaves_the_pool_in_order() {
    let expected = sinkhorn();
    for pool in pools() {
        let (n, m) = (500, 60);
        let cost = vec![0.5; n * m];
        let cost = MatRef::new(&cost, n, m).expect("it fits");
        let solver = Sinkhorn::new(0.05).parallel(true);
        let solve = || solver.solve_with_progress(cost, &vec![60.0; n], &vec![500.0; m], |_| panic!("of the callback"));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.install(solve).is_ok()));
        assert!(panicked.is_err());
        assert_eq!(pool.install(sinkhorn), expected);
    }
}
