//! Several threads give the bits of one, in pools of any size, and in tasks of a pool.

#[path = "../support/mod.rs"]
mod support;

mod distances;
mod iterations;
mod long_rows;
mod medoids;
mod pools;
mod softmax;
mod sparse;
mod transport;

use rayon::ThreadPool;

/// Pools with one thread, with a few, and with more than there are bands of small matrices. Inputs
/// are split that one thread would take otherwise.
fn pools() -> Vec<ThreadPool> {
    mantex::baselines::set_min_band_elements(4096);
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    [1, 2, 3, 8].map(pool).into()
}
