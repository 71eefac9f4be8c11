//! Solvers of transport problems between fences give the bits that they give in ordinary buffers.

use super::{
    fences::{Fenced, SIDES, fenced_isas},
    problems::{METHODS, problem},
};
use crate::support::{
    float::{Float, bits_of},
    for_both_types,
};
use mantex::*;

for_both_types! {
    sinkhorn_at_fences
    batches_at_fences
}

#[cfg(feature = "sparse-transport")]
mod sparse {
    super::for_both_types! {
        sparse_transport_at_fences
    }
    use super::sparse_transport_at_fences;
}

fn sinkhorn_at_fences<T: Float>() {
    let [mut cost_fence, mut a_fence, mut b_fence, mut plan_fence] = [(); 4].map(|()| Fenced::<T>::new(10_000));
    let shapes = [(1, 1, 0), (1, 5, 0), (5, 1, 2), (3, 7, 2), (8, 16, 0), (17, 33, 7), (40, 3, 0), (31, 129, 1)];
    let ordinary = Sinkhorn::new(0.1).max_iterations(7).tolerance(0.0);
    // With a schedule of epsilons and looks for drifting blocks.
    let slow = Sinkhorn::new(0.002).max_iterations(60).tolerance(1e-12);
    for ((n, m, gap), solver) in shapes.into_iter().flat_map(|shape| [(shape, &ordinary), (shape, &slow)]) {
        let [cost, a, b] = problem::<T>(n, m, gap);
        for (isa, method) in fenced_isas().into_iter().flat_map(|isa| METHODS.map(|method| (isa, method))) {
            let solver = solver.clone().isa(isa).method(method);
            let solve = |cost: &[T], a: &[T], b: &[T], plan: &mut [T]| {
                let cost = MatRef::with_stride(cost, n, m, m + gap).expect("it fits");
                let t = solver.solve(cost, a, b).expect("a good problem");
                t.plan_into(cost, MatMut::with_stride(plan, n, m, m + gap).expect("it fits")).expect("the same shape");
                let csr = t.plan_csr(cost, T::of(1e-3)).expect("the same shape");
                let numbers = [t.cost(), t.marginal_error()];
                [bits_of(t.f()), bits_of(t.g()), bits_of(&numbers), bits_of(plan), bits_of(&csr.masses)]
            };
            let unwritten = vec![T::of(99.0); cost.len()];
            let expected = solve(&cost, &a, &b, &mut unwritten.clone());
            for side in SIDES {
                let actual = solve(
                    cost_fence.put(&cost, side),
                    a_fence.put(&a, side),
                    b_fence.put(&b, side),
                    plan_fence.put(&unwritten, side),
                );
                assert!(actual == expected, "{}/{isa}/{method:?}/{n} x {m}, gap {gap}/{side:?}", T::NAME);
            }
        }
    }
}

/// Fewer and more problems than lanes, rows of the masses `gap` elements apart. Either side may be
/// one row for all.
fn batches_at_fences<T: Float>() {
    let [mut cost_fence, mut a_fence, mut b_fence] = [(); 3].map(|()| Fenced::<T>::new(5000));
    let shapes = [(1, 1, 1, 0), (3, 5, 7, 2), (40, 16, 9, 1), (70, 9, 33, 0), (5, 31, 65, 3)];
    for (problems, n, m, gap) in shapes {
        let [cost, ..] = problem::<T>(n, m, gap);
        let masses = |rows: usize, cols: usize| {
            let row = |problem: usize| (0..cols).map(move |i| (1 + (i + problem) % cols) as f64);
            let total = row(0).sum::<f64>();
            let mut masses: Vec<T> = Vec::new();
            for problem in 0..rows {
                masses.extend(row(problem).map(|mass| T::of(mass / total)));
                masses.resize(masses.len() + if problem + 1 < rows { gap } else { 0 }, T::of(f64::NAN));
            }
            masses
        };
        for (isa, one_a) in fenced_isas().into_iter().flat_map(|isa| [(isa, false), (isa, true)]) {
            let rows = if one_a { (1, problems) } else { (problems, 1) };
            let (a, b) = (masses(rows.0, n), masses(rows.1, m));
            let solver = Sinkhorn::new(0.2).max_iterations(20).isa(isa);
            let solve = |cost: &[T], a: &[T], b: &[T]| {
                let cost = MatRef::with_stride(cost, n, m, m + gap).expect("it fits");
                let a = MatRef::with_stride(a, rows.0, n, n + gap).expect("it fits");
                let b = MatRef::with_stride(b, rows.1, m, m + gap).expect("it fits");
                let batch = solver.solve_batch(cost, a, b).expect("good problems");
                let results = |p| [bits_of(batch.f(p)), bits_of(batch.g(p)), bits_of(&[batch.value(p)])];
                (0..problems).map(results).collect::<Vec<_>>()
            };
            let expected = solve(&cost, &a, &b);
            for side in SIDES {
                let actual = solve(cost_fence.put(&cost, side), a_fence.put(&a, side), b_fence.put(&b, side));
                assert!(actual == expected, "{}/{isa}/{problems} of {n} x {m}, gap {gap}/{side:?}", T::NAME);
            }
        }
    }
}

#[cfg(feature = "sparse-transport")]
fn sparse_transport_at_fences<T: Float>() {
    let [mut cost_fence, mut a_fence, mut b_fence, mut plan_fence] = [(); 4].map(|()| Fenced::<T>::new(10_000));
    let shapes = [(1, 1, 0), (1, 5, 0), (5, 1, 2), (3, 7, 2), (8, 16, 0), (17, 33, 7), (40, 3, 0), (31, 129, 1)];
    for (n, m, gap) in shapes {
        let [cost, a, b] = problem::<T>(n, m, gap);
        let free = SparseTransport::new(0.01 * (n * m) as f64);
        for (isa, solver) in
            fenced_isas().into_iter().flat_map(|isa| [(isa, free.clone()), (isa, free.clone().max_entries_per_row(3))])
        {
            let solver = solver.isa(isa).max_iterations(60);
            let solve = |cost: &[T], a: &[T], b: &[T], plan: &mut [T]| {
                let cost = MatRef::with_stride(cost, n, m, m + gap).expect("it fits");
                let solution = solver.solve(cost, a, b).expect("a good problem");
                let out = MatMut::with_stride(plan, n, m, m + gap).expect("it fits");
                solution.plan_into(out).expect("the same shape");
                let numbers = [solution.value(), solution.marginal_error()];
                [bits_of(solution.f()), bits_of(solution.g()), bits_of(&numbers), bits_of(plan)]
            };
            let unwritten = vec![T::of(99.0); cost.len()];
            let expected = solve(&cost, &a, &b, &mut unwritten.clone());
            for side in SIDES {
                let actual = solve(
                    cost_fence.put(&cost, side),
                    a_fence.put(&a, side),
                    b_fence.put(&b, side),
                    plan_fence.put(&unwritten, side),
                );
                assert!(actual == expected, "{}/{isa}/{n} x {m}, gap {gap}/{side:?}", T::NAME);
            }
        }
    }
}
