//! The primal and dual values of a problem at a solution, including the duality gap.

use super::solution::Transport;
#[cfg(not(feature = "std"))]
use crate::kernels::lanes::FloatFunctions as _;
use crate::kernels::transport::objective::Scratch;
use crate::real::Element;
use crate::{Error, MatRef, Real};
use alloc::vec;
use core::f64::consts::{LN_2, LOG2_E};

/// The values of a problem at a [`Transport`], from [`Transport::objective`].
///
/// P is the plan of the potentials f and g, which meets the marginals up to
/// [`Transport::marginal_error`]. Pairs that are forbidden or without mass contribute 0. Epsilon is
/// that of the solver, for `f32` as [rounded](super::Sinkhorn#accuracy). In the dual value and in
/// the gap, b is scaled to the total of a: if the totals differed by rounding, no plan would be
/// feasible.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Objective {
    /// The transport cost `sum_ij C_ij P_ij`.
    pub cost: f64,
    /// The entropy `-sum_ij P_ij (ln P_ij - 1)`.
    pub entropy: f64,
    /// The primal value of P, `cost - epsilon * entropy`. P is not quite feasible, so the value may
    /// lie on either side of the optimum. `primal - dual` is `<f, P 1 - a> + <g, P^T 1 - b>`.
    pub primal: f64,
    /// The dual value `<f, a> + <g, b> - epsilon * sum_ij P_ij`: a lower bound of the optimum.
    pub dual: f64,
    /// The duality gap: the primal value of a feasible plan minus [`dual`](Self::dual), so that
    /// `dual + gap` is an upper bound of the optimum. The feasible plan is P rounded to its
    /// marginals (Altschuler, Weed & Rigollet 2017, algorithm 2). The gap is at least 0, and 0 at
    /// the optimum. The gap is +inf if that rounding puts mass on a forbidden pair: with forbidden
    /// pairs, the gap is finite only if the marginals are met to about 1e-13. It is +inf, too, if
    /// the values overflow.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::gap"))]
    pub gap: f64,
}

impl<T: Real> Transport<T> {
    /// Computes `<C, P>`, the entropy, the primal and the dual value of the problem, and the
    /// [duality gap](Objective::gap), which bounds the distance from the optimum.
    ///
    /// - Accuracy: for each value, a relative error of about the larger of 1e-13 and 1e-16 times
    ///   the largest potential / epsilon, relative to the sum of the magnitudes of its terms. The
    ///   gap is computed without cancellation.
    /// - Special values: forbidden pairs and pairs without mass count 0; see [`Objective::gap`].
    /// - Errors: [`Error::ShapeMismatch`] if `cost` does not have the shape of the problem.
    /// - Cost and source: two reads of the cost matrix, two exponentials and one logarithm per
    ///   entry in `f64`, and O(n + m) memory; Altschuler, Weed & Rigollet 2017.
    ///
    /// `cost` must be the matrix that was solved.
    ///
    /// ```
    /// use mantex::{MatRef, Sinkhorn};
    /// let cost = [0.0, 1.0, 2.0, 2.0, 1.0, 0.0];
    /// let cost = MatRef::new(&cost, 2, 3)?;
    /// let transport = Sinkhorn::new(0.05).solve(cost, &[0.5, 0.5], &[0.25, 0.5, 0.25])?;
    /// let objective = transport.objective(cost)?;
    /// assert!(objective.gap >= 0.0 && objective.gap < 1e-6);
    /// assert!((objective.primal - (objective.cost - 0.05 * objective.entropy)).abs() < 1e-12);
    /// # Ok::<(), mantex::Error>(())
    /// ```
    pub fn objective(&self, cost: MatRef<'_, T>) -> Result<Objective, Error> {
        self.check_shape("cost", &cost)?;
        let problem = self.masses.problem(cost, self.eta);
        let mut row_scales = vec![0.0; problem.support.len()];
        let mut columns = [(); 8].map(|()| vec![0.0; cost.cols()]);
        let [
            log2_plan_row,
            plan_row,
            scaled_row,
            column_sums,
            column_scales,
            column_deficits,
            column_costs,
            column_terms,
        ] = &mut columns;
        let mut scratch = Scratch {
            row_scales: &mut row_scales,
            log2_plan_row,
            plan_row,
            scaled_row,
            column_sums,
            column_scales,
            column_deficits,
            column_costs,
            column_terms,
        };
        let values = T::objective(self.road, &problem, self.potentials.as_ref(), &mut scratch);
        // P = total * p and f = (F + log2(total)) / eta, with the epsilon that eta stands for.
        let (total, eta) = (self.masses.total, self.eta.to_f64());
        let epsilon = LOG2_E / eta;
        let mass_of_a: f64 = problem.a.iter().sum();
        let entropy = total * (LN_2 * values.entropy - (total.ln() - 1.0) * values.mass);
        let cost = total * values.cost;
        Ok(Objective {
            cost,
            entropy,
            primal: cost - epsilon * entropy,
            dual: total * ((values.linear_term + total.log2() * mass_of_a) / eta - epsilon * values.mass),
            // Values beyond `f64` have no difference.
            gap: if values.divergence.is_nan() { f64::INFINITY } else { epsilon * total * values.divergence.max(0.0) },
        })
    }
}
