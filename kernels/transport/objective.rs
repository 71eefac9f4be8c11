//! The values of an entropic transport problem at given potentials, with a bound of their distance
//! from the optimum.
//!
//! ```text
//! P_ij   <- a_i 2^(U_i + G_j - eta C_ij)              plan_row, in both passes
//! x_i    <- min(1, a_i / sum_j P_ij)                  add_up_plan: the values of P,
//! y_j    <- min(1, b_j / sum_i x_i P_ij)              and the factors of Q
//! Q_ij   <- x_i P_ij y_j + (row deficits) (column deficits)^T / their sum
//! primal(Q) - dual = epsilon sum_ij (Q ln(Q / P) - Q + P)      divergence
//! ```
//! Q is P rounded to the marginals a and b (Altschuler, Weed & Rigollet 2017, algorithm 2). The
//! terms of the divergence do not cancel, whatever the costs.
//!
//! All arithmetic is in `f64` for both element types. The compiler vectorizes the loops over
//! columns, except the one with the logarithm. There are two reads of the cost matrix, and two
//! exponentials and one logarithm per entry.

use super::Problem;
use super::potentials::PotentialsRef;
use crate::kernels::lanes::{Float, InstructionSet, Lanes, out_of_line};
use crate::kernels::math::exp::exp2;
use crate::kernels::math::ln::log2;

/// A marginal counts as met if its relative deficit is at most this: smaller deficits are rounding
/// errors.
const ROUNDING_DEFICIT: f64 = 1e-13;

/// Memory of the kernel: `row_scales` has one number per row with mass, the others have one per
/// column.
pub struct Scratch<'a> {
    /// The factors of the rows, x.
    pub(crate) row_scales: &'a mut [f64],
    /// The base-2 logarithms of a row of the plan.
    pub(crate) log2_plan_row: &'a mut [f64],
    /// The row of the plan.
    pub(crate) plan_row: &'a mut [f64],
    /// The row of the plan with its rows and columns scaled.
    pub(crate) scaled_row: &'a mut [f64],
    /// The column sums of the plan with its rows scaled.
    pub(crate) column_sums: &'a mut [f64],
    /// The factors of the columns, y.
    pub(crate) column_scales: &'a mut [f64],
    /// The masses that are missing in the columns.
    pub(crate) column_deficits: &'a mut [f64],
    /// The sums of plan times cost in each column.
    pub(crate) column_costs: &'a mut [f64],
    /// The sums of the terms of the entropy in each column, later of those of the divergence.
    pub(crate) column_terms: &'a mut [f64],
}

/// The values, for masses divided by the total of `a` and in base-2 units.
#[derive(Clone, Copy, Debug)]
pub struct Values {
    /// The mass of the plan P.
    pub(crate) mass: f64,
    /// `sum C P`.
    pub(crate) cost: f64,
    /// `-sum P log2(P)`.
    pub(crate) entropy: f64,
    /// `sum_i a_i F_i + sum_j b_j G_j`, where b is scaled to the total of a, and `F = U + log2(a)`.
    pub(crate) linear_term: f64,
    /// `sum Q ln(Q / P) - Q + P`.
    pub(crate) divergence: f64,
}

/// The sum, in eight interleaved parts, which the compiler can vectorize; out of line.
#[inline(always)]
fn interleaved_sum<L: InstructionSet>(l: L, x: &[f64]) -> f64 {
    out_of_line!(l, {
        let mut parts = [0.0; 8];
        let chunks = x.chunks_exact(8);
        let mut total = 0.0;
        for x in chunks.remainder() {
            total += x;
        }
        for chunk in chunks {
            for lane in 0..8 {
                parts[lane] += chunk[lane];
            }
        }
        for part in parts {
            total += part;
        }
        total
    })
}

/// Computes the base-2 logarithms and the entries of the plan in row `at` of those with mass, out
/// of line.
#[inline(always)]
fn plan_row<L: InstructionSet, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    at: usize,
    log2_plan_row: &mut [f64],
    plan_row: &mut [f64],
) {
    out_of_line!(l, {
        let (shift, eta) = (potentials.u[at] + p.log2_a[at], p.eta.to_f64());
        let costs = p.cost.row(p.support[at]);
        for (((log, entry), &g), cost) in log2_plan_row.iter_mut().zip(plan_row).zip(potentials.g).zip(costs) {
            let y = (shift + g) - eta * cost.to_f64();
            // Without mass, the cost does not matter.
            *log = if g > f64::NEG_INFINITY { y } else { f64::NEG_INFINITY };
            *entry = exp2(*log);
        }
    });
}

/// The values of the plan that the potentials define.
#[inline(always)]
pub(crate) fn objective<L: Lanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    w: &mut Scratch<'_>,
) -> Values {
    let mass = add_up_plan(l, p, potentials, w);
    let entropy_terms = &*w.column_terms;
    let (cost, entropy) = (interleaved_sum(l, w.column_costs), interleaved_sum(l, entropy_terms));
    let linear_term = scale_columns(l, p, potentials, w);
    add_up_divergence(l, p, potentials, w, Values { mass, cost, entropy, linear_term, divergence: 0.0 })
}

/// The first read: computes the factors of the rows, and for each column the sums of the scaled
/// plan, of the costs and of the entropy. Returns the mass of the plan.
#[inline(always)]
fn add_up_plan<L: InstructionSet, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    w: &mut Scratch<'_>,
) -> f64 {
    let entropy_terms = &mut *w.column_terms;
    w.column_sums.fill(0.0);
    w.column_costs.fill(0.0);
    entropy_terms.fill(0.0);
    let mut mass = 0.0;
    for (at, &i) in p.support.iter().enumerate() {
        plan_row(l, p, potentials, at, w.log2_plan_row, w.plan_row);
        let row_sum = interleaved_sum(l, w.plan_row);
        mass += row_sum;
        let scale = (p.a[at] / row_sum).min(1.0);
        w.row_scales[at] = scale;
        let costs = w.column_costs.iter_mut().zip(p.cost.row(i));
        for ((((&entry, &log), column), (total, cost)), term) in
            w.plan_row.iter().zip(&*w.log2_plan_row).zip(&mut *w.column_sums).zip(costs).zip(&mut *entropy_terms)
        {
            *column += scale * entry;
            *total += if entry > 0.0 { entry * cost.to_f64() } else { 0.0 };
            *term -= if entry > 0.0 { entry * log } else { 0.0 };
        }
    }
    mass
}

/// Between the reads: computes the factors and the deficits of the columns, for b scaled to the
/// total of a. Returns the share of the columns in the linear term.
#[inline(always)]
fn scale_columns<L: InstructionSet, T>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    w: &mut Scratch<'_>,
) -> f64 {
    let level = interleaved_sum(l, p.a) / interleaved_sum(l, p.b);
    let mut linear_term = 0.0;
    let columns = w.column_sums.iter().zip(&mut *w.column_scales).zip(&mut *w.column_deficits);
    for ((&b, &g), ((&column_sum, column_scale), column_deficit)) in p.b.iter().zip(potentials.g).zip(columns) {
        let b = b * level;
        let scale = if column_sum > 0.0 { (b / column_sum).min(1.0) } else { 1.0 };
        let deficit = b - scale * column_sum;
        *column_deficit = if deficit > ROUNDING_DEFICIT * b { deficit } else { 0.0 };
        *column_scale = scale;
        linear_term += if b > 0.0 { b * g } else { 0.0 };
    }
    linear_term
}

/// The second read: computes the divergence, and adds the share of the rows to the linear term.
#[inline(always)]
fn add_up_divergence<L: InstructionSet, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    w: &mut Scratch<'_>,
    mut values: Values,
) -> Values {
    let total_deficit = interleaved_sum(l, w.column_deficits);
    let divergence_terms = &mut *w.column_terms;
    divergence_terms.fill(0.0);
    for at in 0..p.support.len() {
        plan_row(l, p, potentials, at, w.log2_plan_row, w.plan_row);
        let (a, scale) = (p.a[at], w.row_scales[at]);
        values.linear_term += a * (potentials.u[at] + p.log2_a[at]);
        for ((scaled, &entry), &column_scale) in w.scaled_row.iter_mut().zip(&*w.plan_row).zip(&*w.column_scales) {
            *scaled = (scale * entry) * column_scale;
        }
        let deficit = a - interleaved_sum(l, w.scaled_row);
        let has_deficit = deficit > ROUNDING_DEFICIT * a && total_deficit > 0.0;
        let share = if has_deficit { deficit / total_deficit } else { 0.0 };
        let rounding = w.scaled_row.iter().zip(&*w.column_deficits);
        for (((term, &entry), &log), (&scaled, &column_deficit)) in
            divergence_terms.iter_mut().zip(&*w.plan_row).zip(&*w.log2_plan_row).zip(rounding)
        {
            let rounded = scaled + share * column_deficit;
            let relative = (log2(rounded) - log) * core::f64::consts::LN_2;
            *term += if rounded > 0.0 { rounded * relative - rounded + entry } else { entry };
        }
    }
    values.divergence = interleaved_sum(l, divergence_terms);
    values
}
