//! Solves, batches and plans.

use super::pools;
use super::support::{
    data::{rng, uniform},
    float::{Float, bits_of},
    for_both_types,
    isas::isas,
};
use mantex::{MatMut, MatRef, Sinkhorn};

for_both_types! {
    batches_have_the_bits_of_one_thread
    plans_have_the_bits_of_one_thread
}

/// Masses that add up to 1 in every row; a tenth of them is 0.
fn masses<T: Float>(rows: usize, n: usize, seed: u64) -> Vec<T> {
    let mut masses = uniform::<T>(rows * n, 0.1, 1.0, &mut rng(seed));
    masses.iter_mut().skip(1).step_by(10).for_each(|mass| *mass = T::of(0.0));
    for row in masses.chunks_mut(n) {
        let total: f64 = row.iter().map(|mass| mass.wide()).sum();
        row.iter_mut().for_each(|mass| *mass = T::of(mass.wide() / total));
    }
    masses
}

fn batches_have_the_bits_of_one_thread<T: Float>() {
    let (problems, n, m) = (150, 23, 31);
    let cost = uniform::<T>(n * m, 0.0, 1.0, &mut rng(1));
    let (a, b) = (masses::<T>(problems, n, 2), masses::<T>(problems, m, 3));
    let cost = MatRef::new(&cost, n, m).expect("it fits");
    let (a, b) = (MatRef::new(&a, problems, n).expect("it fits"), MatRef::new(&b, problems, m).expect("it fits"));
    // The last epsilon leaves some problems to `solve`.
    for (epsilon, a) in [(0.5, a), (0.1, a.split_at_row(1).0), (0.004, a)] {
        for isa in isas() {
            let solver = Sinkhorn::new(epsilon).isa(isa);
            let one = solver.solve_batch(cost, a, b).expect("good input");
            for pool in pools() {
                let several = pool.install(|| solver.clone().parallel(true).solve_batch(cost, a, b));
                let several = several.expect("good input");
                assert!(one == several, "epsilon {epsilon} on {isa}, {} threads", pool.current_num_threads());
                let bits = |f: &[T]| bits_of(f);
                assert!((0..problems).all(|p| bits(one.f(p)) == bits(several.f(p))));
            }
        }
    }
}

fn plans_have_the_bits_of_one_thread<T: Float>() {
    for (n, m) in [(1, 1), (7, 9000), (900, 70), (300, 301)] {
        let mut cost = uniform::<T>(n * m, 0.0, 1.0, &mut rng(4));
        cost.iter_mut().skip(3).step_by(17).for_each(|cost| *cost = T::of(f64::INFINITY));
        let (a, b) = (masses::<T>(1, n, 5), masses::<T>(1, m, 6));
        let cost = MatRef::new(&cost, n, m).expect("it fits");
        for isa in isas() {
            let solver = Sinkhorn::new(0.05).max_iterations(20).isa(isa);
            let plan = |solver: &Sinkhorn| {
                let transport = solver.solve(cost, &a, &b).expect("good input");
                let mut plan = vec![T::of(7.0); n * m];
                transport.plan_into(cost, MatMut::new(&mut plan, n, m).expect("it fits")).expect("shapes agree");
                (bits_of(&plan), transport)
            };
            let one = plan(&solver);
            for pool in pools() {
                let several = pool.install(|| plan(&solver.clone().parallel(true)));
                assert!(several == one, "{n} x {m} on {isa}"); // Solutions, too, whatever computed them.
            }
        }
    }
}
