//! Calls from tasks of a pool: of the same pool, of another one, and of many at once.

use super::pools;
use mantex::{MatMut, MatRef};
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
