//! Optimal transport against a textbook log-domain iteration in `f64`, on every instruction set.

mod automatic;
mod batch;
mod batch_errors;
mod convergence;
mod defaults;
mod distributed;
mod exact;
mod ill_conditioned;
mod iterations;
mod known_problems;
mod newton;
mod objective;
mod plan;
mod products;
mod properties;
mod reported;
mod rounding;
mod settings;
#[cfg(feature = "sparse-transport")]
mod sparse;
#[cfg(feature = "sparse-transport")]
mod sparse_distributed;
mod status;

use crate::support::{
    float::Float,
    isas::{isas, small_cases},
};
use mantex::transport::{EpsilonScaling, Method, OverRelaxation, Transport};
use mantex::{Isa, MatMut, MatRef, Sinkhorn};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicUsize, Ordering};

/// An element type, with the accuracy that is expected of it.
trait Num: Float {
    /// The error of a potential after the same iterations, relative to the largest cost: `f32`
    /// rounds epsilon (6e-8) and every cost times log2(e) / epsilon once.
    const POTENTIAL: f64;
    /// The relative error of the entries of the plan, and the additional error of the potentials
    /// divided by epsilon.
    const ENTRY: f64;
}

impl Num for f32 {
    const POTENTIAL: f64 = 3e-7;
    const ENTRY: f64 = 4e-6;
}

impl Num for f64 {
    const POTENTIAL: f64 = 1e-14;
    const ENTRY: f64 = 1e-12;
}

/// A solver that iterates as the textbook does, without over-relaxation and schedules.
fn textbook(epsilon: f64) -> Sinkhorn {
    Sinkhorn::new(epsilon).over_relaxation(OverRelaxation::Off).epsilon_scaling(EpsilonScaling::Off)
}

const METHODS: [Method; 4] = [Method::Log, Method::Scaling, Method::Auto, Method::Newton];

/// Every instruction set with every method. With small cases each call gives one method, in turn.
fn isas_and_methods() -> Vec<(Isa, Method)> {
    isas_and(&METHODS)
}

/// As [`isas_and_methods`], without Newton's method.
fn isas_and_iterations() -> Vec<(Isa, Method)> {
    isas_and(&METHODS[..3])
}

fn isas_and(methods: &[Method]) -> Vec<(Isa, Method)> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let methods = if small_cases() { &methods[turn % methods.len()..][..1] } else { methods };
    isas().into_iter().flat_map(|isa| methods.iter().map(move |&method| (isa, method))).collect()
}

/// A problem whose numbers are exact in `T`.
#[derive(Clone, Debug)]
struct Case<T> {
    n: usize,
    m: usize,
    cost: Vec<T>,
    a: Vec<T>,
    b: Vec<T>,
    epsilon: f64,
}

fn wide<T: Num>(x: &[T]) -> Vec<f64> {
    x.iter().map(|&x| x.wide()).collect()
}

impl<T: Num> Case<T> {
    /// Squared distances between random points of the unit square, random masses; epsilon is
    /// relative to the median cost.
    fn random(n: usize, m: usize, epsilon: f64, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut points =
            |n: usize| -> Vec<[f64; 2]> { (0..n).map(|_| [rng.random::<f64>(), rng.random::<f64>()]).collect() };
        let (x, y) = (points(n), points(m));
        let distance = |p: &[f64; 2], q: &[f64; 2]| (p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2);
        let cost: Vec<T> = x.iter().flat_map(|p| y.iter().map(move |q| T::of(distance(p, q)))).collect();
        let mut sorted = wide(&cost);
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        let mut case = Self { n, m, cost, a: vec![], b: vec![], epsilon: T::of(epsilon * median).wide() };
        let masses = |n: usize, rng: &mut StdRng| (0..n).map(|_| rng.random_range(0.1..1.0)).collect();
        let (a, b) = (masses(n, &mut rng), masses(m, &mut rng));
        case.set_masses(a, b);
        case
    }

    /// Sets the masses, scaled so that each side has a total of 1.
    fn set_masses(&mut self, a: Vec<f64>, b: Vec<f64>) {
        let normalized = |x: Vec<f64>| {
            let total: f64 = x.iter().sum();
            x.iter().map(|x| T::of(x / total)).collect()
        };
        (self.a, self.b) = (normalized(a), normalized(b));
    }

    /// The same problem with every third mass of a and every fourth of b set to 0.
    fn with_zeros(mut self) -> Self {
        let thin = |x: &[T], step: usize| {
            let keep = |i: usize| if i % step == 1 { 0.0 } else { 1.0 };
            x.iter().enumerate().map(|(i, x)| x.wide() * keep(i)).collect()
        };
        self.set_masses(thin(&self.a, 3), thin(&self.b, 4));
        self
    }

    /// The same problem with about a quarter of the pairs forbidden, but none in the first row and
    /// column.
    fn with_forbidden(mut self) -> Self {
        for i in 1..self.n {
            for j in 1..self.m {
                if (i * 7 + j * 5) % 4 == 0 {
                    self.cost[i * self.m + j] = T::of(f64::INFINITY);
                }
            }
        }
        self
    }

    fn matrix(&self) -> MatRef<'_, T> {
        MatRef::new(&self.cost, self.n, self.m).unwrap()
    }

    /// The masses b as they count: scaled to the total of a.
    fn scaled_b(&self) -> Vec<f64> {
        let (total, b) = (wide(&self.a).iter().sum::<f64>(), wide(&self.b));
        let total_b: f64 = b.iter().sum();
        b.iter().map(|b| b / total_b * total).collect()
    }

    fn largest(&self) -> f64 {
        self.cost.iter().map(|c| c.wide()).filter(|c| c.is_finite()).fold(0.0, |max, c| max.max(c.abs()))
    }

    fn solve(&self, solver: &Sinkhorn) -> Transport<T> {
        solver.solve(self.matrix(), &self.a, &self.b).unwrap()
    }

    fn plan(&self, transport: &Transport<T>) -> Vec<f64> {
        let mut plan = vec![T::of(-1.0); self.n * self.m];
        transport.plan_into(self.matrix(), MatMut::new(&mut plan, self.n, self.m).unwrap()).unwrap();
        wide(&plan)
    }
}

/// `ln sum exp(x)`, -inf for an empty sum.
fn log_sum_exp(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let max = x.clone().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY { max } else { max + x.map(|x| (x - max).exp()).sum::<f64>().ln() }
}

/// The result of the textbook iteration: potentials, the plan, its marginal error and cost.
struct Reference {
    f: Vec<f64>,
    g: Vec<f64>,
    plan: Vec<f64>,
    error: f64,
    cost: f64,
}

/// The textbook iteration from g = 0: f = eps (ln a - lse((g - C)/eps)), then g likewise.
fn reference<T: Num>(case: &Case<T>, iterations: usize) -> Reference {
    relaxed_reference(case, iterations, 1.0)
}

/// The over-relaxed iteration from f = 0 and g = 0: each potential moves by `w` times its update.
/// With a factor above 1, one whose update is beyond half of `t_max` moves by the update itself.
fn relaxed_reference<T: Num>(case: &Case<T>, iterations: usize, w: f64) -> Reference {
    let (n, m, epsilon) = (case.n, case.m, case.epsilon);
    let (cost, a, b) = (wide(&case.cost), wide(&case.a), case.scaled_b());
    let t_max = 3.0 * w * (2.0 - w) / (1.0 + (w - 1.0).powi(3));
    let moved = |old: f64, new: f64| {
        let is_update = w == 1.0 || w > 1.0 && new - old > 0.5 * t_max * epsilon;
        if is_update { new } else { old + w * (new - old) }
    };
    let mut f = vec![0.0; n];
    let mut g: Vec<f64> = b.iter().map(|&b| if b > 0.0 { 0.0 } else { f64::NEG_INFINITY }).collect();
    for _ in 0..iterations {
        for i in 0..n {
            let lse = log_sum_exp((0..m).map(|j| (g[j] - cost[i * m + j]) / epsilon));
            f[i] = if a[i] > 0.0 { moved(f[i], epsilon * (a[i].ln() - lse)) } else { f64::NEG_INFINITY };
        }
        for j in 0..m {
            let lse = log_sum_exp((0..n).map(|i| (f[i] - cost[i * m + j]) / epsilon));
            g[j] = if b[j] > 0.0 { moved(g[j], epsilon * (b[j].ln() - lse)) } else { f64::NEG_INFINITY };
        }
    }
    let entry = |i: usize, j: usize| ((f[i] + g[j] - cost[i * m + j]) / epsilon).exp();
    let plan: Vec<f64> = (0..n * m).map(|at| entry(at / m, at % m)).collect();
    let error = marginal_error(&plan, &a, &b);
    let cost = plan.iter().zip(&cost).map(|(p, c)| if *p > 0.0 { p * c } else { 0.0 }).sum();
    Reference { f, g, plan, error, cost }
}

fn marginal_error(plan: &[f64], a: &[f64], b: &[f64]) -> f64 {
    let m = b.len();
    let rows: f64 = plan.chunks(m).zip(a).map(|(row, a)| (row.iter().sum::<f64>() - a).abs()).sum();
    let columns: f64 = (0..m).map(|j| (plan.iter().skip(j).step_by(m).sum::<f64>() - b[j]).abs()).sum();
    rows + columns
}

/// `p (ln p - 1)`, 0 for 0.
fn negative_entropy(p: f64) -> f64 {
    if p > 0.0 { p * (p.ln() - 1.0) } else { 0.0 }
}

/// `<C, P> + epsilon sum P (ln P - 1)`, forbidden pairs without mass counting 0.
fn primal(plan: &[f64], cost: &[f64], epsilon: f64) -> f64 {
    plan.iter().zip(cost).map(|(&p, c)| if p > 0.0 { p * c } else { 0.0 } + epsilon * negative_entropy(p)).sum()
}

/// The plan rounded to the marginals, by algorithm 2 of Altschuler et al. without shortcuts.
fn rounded(plan: &[f64], a: &[f64], b: &[f64]) -> Vec<f64> {
    let (n, m) = (a.len(), b.len());
    let mut plan = plan.to_vec();
    let row_sums = |plan: &[f64]| plan.chunks(m).map(|row| row.iter().sum()).collect::<Vec<f64>>();
    let column_sums = |plan: &[f64]| (0..m).map(|j| plan.iter().skip(j).step_by(m).sum()).collect::<Vec<f64>>();
    let factor = |mass: f64, sum: f64| if sum > mass { mass / sum } else { 1.0 };
    let sums = row_sums(&plan);
    (0..n * m).for_each(|at| plan[at] *= factor(a[at / m], sums[at / m]));
    let sums = column_sums(&plan);
    (0..n * m).for_each(|at| plan[at] *= factor(b[at % m], sums[at % m]));
    let lack = |mass: &[f64], sums: Vec<f64>| mass.iter().zip(sums).map(|(x, s)| (x - s).max(0.0)).collect::<Vec<_>>();
    let (rows, columns) = (lack(a, row_sums(&plan)), lack(b, column_sums(&plan)));
    let total: f64 = rows.iter().sum();
    if total > 0.0 {
        (0..n * m).for_each(|at| plan[at] += rows[at / m] * columns[at % m] / total);
    }
    plan
}

fn extreme() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1.0_f64,
        1 => prop::sample::select(vec![0.0, 1e30, -1e30, 3.4e38, -3.4e38, 1e-38, 1e-45, f64::INFINITY, 1e4, -1e4]),
    ]
}
