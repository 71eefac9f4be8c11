//! Distance matrices.

use super::pools;
use super::support::{
    data::{normal, rng},
    float::{Float, bits_of},
    for_both_types,
};
use mantex::{MatMut, MatRef, Metric};

for_both_types! { distances_have_the_bits_of_one_thread }

fn distances_have_the_bits_of_one_thread<T: Float>() {
    let mut rng = rng(3);
    // The largest matrix has blocks beside the diagonal at two levels.
    for (n, m, dimensions) in [(1, 1, 1), (40, 30, 3), (600, 70, 5), (1100, 513, 2), (530, 531, 2100)] {
        for scale in [1.0, 1e-22, 1e19] {
            let [mut x, y] = [n, m].map(|n| normal::<T>(n * dimensions, scale, 0.0, &mut rng));
            // Points of one order of magnitude and of another, which are computed one by one.
            x[0] = T::of(1e19);
            let x = MatRef::new(&x, n, dimensions).expect("it fits");
            let y = MatRef::new(&y, m, dimensions).expect("it fits");
            for metric in [Metric::Euclidean, Metric::Manhattan, Metric::SquaredEuclidean, Metric::CosineOrOne] {
                if dimensions > 1000 && (metric != Metric::Euclidean || scale < 1.0) {
                    continue;
                }
                let compute = |parallel: bool| {
                    let (mut square, mut between) = (vec![T::of(0.0); n * n], vec![T::of(0.0); n * m]);
                    let out = MatMut::new(&mut square, n, n).expect("it fits");
                    let of = if parallel { mantex::parallel::distance_matrix } else { mantex::distance_matrix };
                    of(x, out, metric).expect("good points");
                    let out = MatMut::new(&mut between, n, m).expect("it fits");
                    let of = if parallel {
                        mantex::parallel::distance_matrix_between
                    } else {
                        mantex::distance_matrix_between
                    };
                    of(x, y, out, metric).expect("good points");
                    [bits_of(&square), bits_of(&between)]
                };
                let one = compute(false);
                for pool in pools() {
                    assert!(pool.install(|| compute(true)) == one, "{n}, {m}, {dimensions}, {scale}, {metric}");
                }
            }
        }
    }
}
