//! Transport with sparse plans: quadratic regularization, and few entries per row.
//!
//! Each solve of a package is repeated with stricter settings until its value agrees with that of
//! mantex. Without a limit of the entries, that is the value of the plan, whose marginals are
//! checked as well. With a limit, the problem is not convex, and often no plan meets both
//! marginals: the dual values are compared, of which a higher one is better.

use crate::npy;
use crate::support::problems::{SPARSE_LIMITS, SparseProblem, sparse_problems};
use crate::support::timing::ONCE;
use crate::support::{Comparison, Contestant};
use crate::transport::{attempts, marginal_error};
use crate::worker::{Package, Worker, input, path_field};
use mantex::transport::SparseSolution;
use mantex::{MatRef, SparseTransport};
use std::hint::black_box;

/// The methods for quadratic regularization. regot's other functions take longer, or their line
/// searches fail.
const METHODS: [(&str, &str); 4] =
    [("POT", "smooth_ot_semi_dual"), ("POT", "smooth_ot_dual"), ("regot", "qrot_grssn"), ("regot", "qrot_assn")];

/// The methods with a limit of the entries per row.
const LIMITED_METHODS: [(&str, &str); 1] = [("POT", "smooth_ot_semi_dual with max_nz")];

/// The regularizations, relative to the size of a problem: some of those of the bench `sparse`.
const RELATIVE_GAMMAS: [f64; 3] = [1e-1, 1e-3, 1e-5];

/// The L1 error of the marginals, and the relative difference of values that is allowed.
const TOLERANCE: f64 = 1e-6;

/// A problem with a regularization and perhaps a limit of the entries per row.
struct Work<'a> {
    problem: &'a SparseProblem,
    masses: [Vec<f64>; 2],
    gamma: f64,
    limit: Option<usize>,
}

impl Work<'_> {
    fn solve(&self) -> SparseSolution<f64> {
        let [a, b] = &self.masses;
        let cost = MatRef::new(&self.problem.cost, a.len(), b.len()).expect("a matrix");
        let solver = SparseTransport::new(self.gamma);
        let solver = self.limit.map_or(solver.clone(), |k| solver.max_entries_per_row(k));
        solver.solve(black_box(cost), a, b).expect("a good problem")
    }

    /// Returns the error of the results of a package: the larger one of the error of the marginals
    /// and the relative difference of the value; with a limit, by how much the dual value is lower.
    fn error(&self, results: &[f64], ours: &SparseSolution<f64>) -> f64 {
        if self.limit.is_some() {
            return 1.0 - results[0] / ours.dual_value();
        }
        let value = |(p, cost): (&f64, &f64)| p * (cost + 0.5 * self.gamma * p);
        let value: f64 = results.iter().zip(&self.problem.cost).map(value).sum();
        (value / ours.value() - 1.0).abs().max(marginal_error(results, &self.masses))
    }

    /// Compares the methods on the problem in the files.
    fn compare(&self, comparison: &mut Comparison, workers: &mut [Worker], work_id: &str) {
        let ours = self.solve();
        assert!(self.limit.is_some() || ours.converged(), "{work_id}: {:?}", ours.status());
        let mut contestants = vec![Contestant::new("mantex", 0.0, || _ = black_box(self.solve()))];
        let mut unmet = Vec::new();
        for worker in workers {
            let met = attempts(|attempt| {
                let mut fields = vec![
                    ("costs", path_field(&input("sparse_costs.npy"))),
                    ("masses", path_field(&input("sparse_masses.npy"))),
                    ("gamma", format!("{:e}", self.gamma)),
                    ("attempt", attempt.to_string()),
                ];
                fields.extend(self.limit.map(|k| ("max_entries", k.to_string())));
                let results = worker.prepare(&fields);
                let error = if results.is_empty() { f64::NAN } else { self.error(&results, &ours) };
                (error, (error <= TOLERANCE).then_some(error))
            });
            match met {
                Ok(difference) => contestants.push(worker.contestant(difference)),
                Err(best) => unmet.push((worker.name.clone(), best)),
            }
        }
        let mantex = comparison.compare(work_id, &mut contestants, ONCE, (1e3, "ms"));
        for (name, best) in unmet {
            comparison.print_unmet(work_id, &name, best, mantex);
        }
    }
}

/// Compares the packages that were asked for.
pub(crate) fn compare(comparison: &mut Comparison, packages: &[Package]) {
    let start = |methods| Worker::start_all(packages, "sparse", "sparse", methods);
    let (mut workers, mut limited) = (start(&METHODS), start(&LIMITED_METHODS));
    if workers.is_empty() {
        return;
    }
    for problem in &sparse_problems() {
        let masses = [problem.a.clone(), problem.b.clone()];
        npy::write(&input("sparse_costs.npy"), problem.n(), &problem.cost);
        npy::write(&input("sparse_masses.npy"), 2, &masses.concat());
        let work = |r, limit| Work { problem, masses: masses.clone(), gamma: problem.gamma(r), limit };
        let id = |r: f64| format!("sparse_solve/f64/{}/n={}/r={r:e}", problem.name, problem.n());
        for r in RELATIVE_GAMMAS {
            work(r, None).compare(comparison, &mut workers, &id(r));
        }
        // POT takes many seconds for each.
        let has_limits = problem.name == "plane" && !limited.is_empty();
        for (r, k) in SPARSE_LIMITS.into_iter().filter(|_| has_limits) {
            work(r, Some(k)).compare(comparison, &mut limited, &format!("{}/k={k}", id(r)));
        }
    }
}
