//! The values of an entropic transport problem: of the plan of given potentials, and how far they can be from the
//! optimum.
//!
//! With P the plan of the potentials and Q any plan with the marginals a and b, the primal value of Q exceeds the dual
//! value of the potentials by `epsilon * sum_ij (Q ln(Q/P) - Q + P)`: no terms that cancel, whatever the costs. Q is P
//! rounded as by Altschuler, Weed & Rigollet 2017, Algorithm 2: rows, then columns are scaled down to their mass where
//! they have more, and what then lacks is added as a product.
//!
//! All in `f64` for both element types, in plain loops over columns, which the compiler vectorises but for the one with
//! the logarithm. Two reads of the cost matrix, two exponentials and one logarithm per entry.

use super::lanes::{Float, Lanes};
use super::math::exp::exp2;
use super::math::ln::log2;
use super::sinkhorn::{Problem, State};

/// A marginal that is met to this relative error is met: the difference would be rounding.
const MET: f64 = 1e-13;

/// Memory, filled by the kernel: one number per row with mass (`scales`), or per column.
pub struct Scratch<'a> {
    /// What rows are scaled by.
    pub(crate) scales: &'a mut [f64],
    /// Base-2 logarithms of a row of the plan, and the row.
    pub(crate) logs: &'a mut [f64],
    pub(crate) row: &'a mut [f64],
    /// Sums over the rows: of the scaled plan, later what the columns are scaled by, ...
    pub(crate) columns: &'a mut [f64],
    /// ... of plan times cost, ...
    pub(crate) costs: &'a mut [f64],
    /// ... of plan times its logarithm, later of the divergence.
    pub(crate) terms: &'a mut [f64],
    /// What the columns lack.
    pub(crate) lacking: &'a mut [f64],
}

/// The values, for masses divided by the total of `a` and in base-2 units.
#[derive(Clone, Copy, Debug)]
pub struct Values {
    /// Of the plan P: its mass, `sum C P`, `-sum P log2 P`.
    pub(crate) mass: f64,
    pub(crate) cost: f64,
    pub(crate) entropy: f64,
    /// `sum_i a_i F_i + sum_j b_j G_j`, where b is scaled to the total of a.
    pub(crate) potentials: f64,
    /// `sum Q ln(Q/P) - Q + P`.
    pub(crate) divergence: f64,
}

/// The sum, in eight interleaved parts.
#[inline(always)]
fn sum(x: &[f64]) -> f64 {
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
}

/// Row `at` of those with mass: the plan's base-2 logarithms and entries.
#[inline(always)]
fn plan_row<T: Float>(p: &Problem<'_, T>, s: &State<'_>, at: usize, logs: &mut [f64], row: &mut [f64]) {
    let (shift, k) = (s.u[at] + p.log2_a[at], p.k.to_f64());
    for (((log, entry), &g), cost) in logs.iter_mut().zip(row).zip(&*s.g).zip(p.cost.row(p.rows[at])) {
        let y = (shift + g) - k * cost.to_f64();
        // Where there is no mass, the cost does not matter.
        *log = if g > f64::NEG_INFINITY { y } else { f64::NEG_INFINITY };
        *entry = exp2(*log);
    }
}

/// The values of the potentials.
#[inline(always)]
pub(crate) fn objective<L: Lanes<T>, T: Float>(_: L, p: &Problem<'_, T>, s: &State<'_>, w: &mut Scratch<'_>) -> Values {
    w.columns.fill(0.0);
    w.costs.fill(0.0);
    w.terms.fill(0.0);
    let mut mass = 0.0;
    for (at, &i) in p.rows.iter().enumerate() {
        plan_row(p, s, at, w.logs, w.row);
        let row_sum = sum(w.row);
        mass += row_sum;
        let scale = (p.a[at] / row_sum).min(1.0);
        w.scales[at] = scale;
        let costs = w.costs.iter_mut().zip(p.cost.row(i));
        for ((((&entry, &log), column), (total, cost)), term) in
            w.row.iter().zip(&*w.logs).zip(&mut *w.columns).zip(costs).zip(&mut *w.terms)
        {
            *column += scale * entry;
            *total += if entry > 0.0 { entry * cost.to_f64() } else { 0.0 };
            *term -= if entry > 0.0 { entry * log } else { 0.0 };
        }
    }
    let (cost, entropy) = (sum(w.costs), sum(w.terms));

    // Columns to their mass, at the total of a.
    let level = sum(p.a) / sum(p.b);
    let mut potentials = 0.0;
    for (((&b, &g), column), lacking) in p.b.iter().zip(&*s.g).zip(&mut *w.columns).zip(&mut *w.lacking) {
        let b = b * level;
        let scale = if *column > 0.0 { (b / *column).min(1.0) } else { 1.0 };
        let lack = b - scale * *column;
        *lacking = if lack > MET * b { lack } else { 0.0 };
        *column = scale;
        potentials += if b > 0.0 { b * g } else { 0.0 };
    }
    let all_lacking = sum(w.lacking);
    w.terms.fill(0.0);
    for at in 0..p.rows.len() {
        plan_row(p, s, at, w.logs, w.row);
        let (a, scale) = (p.a[at], w.scales[at]);
        potentials += a * (s.u[at] + p.log2_a[at]);
        for ((term, &entry), &column) in w.costs.iter_mut().zip(&*w.row).zip(&*w.columns) {
            *term = (scale * entry) * column;
        }
        let lack = a - sum(w.costs);
        let share = if lack > MET * a && all_lacking > 0.0 { lack / all_lacking } else { 0.0 };
        for ((((term, &entry), &log), &scaled), &lacking) in
            w.terms.iter_mut().zip(&*w.row).zip(&*w.logs).zip(&*w.costs).zip(&*w.lacking)
        {
            let rounded = scaled + share * lacking;
            let relative = (log2(rounded) - log) * core::f64::consts::LN_2;
            *term += if rounded > 0.0 { rounded * relative - rounded + entry } else { entry };
        }
    }
    Values { mass, cost, entropy, potentials, divergence: sum(w.terms) }
}
