//! Rows of the plan `P_ij = a_i 2^(U_i + G_j - eta C_ij)`.

use super::gibbs::{GibbsEval, at_most_finite, gibbs_row};
use super::potentials::{PotentialsRef, quantum, split_columns};
use super::{Problem, Workspace};
use crate::kernels::lanes::Float;
use crate::kernels::math::exp::{ExpLanes, exp2};
use crate::matrix::MatMut;

/// Fills `out` with the rows of the plan from row `first` on, in the units of the masses.
#[inline(always)]
pub(crate) fn plan_rows<L: ExpLanes<T>, T: Float>(
    l: L,
    p: &Problem<'_, T>,
    potentials: PotentialsRef<'_>,
    w: &mut Workspace<'_, T>,
    first: usize,
    mut out: MatMut<'_, T>,
) {
    let quantum = quantum::<T>(potentials.max_abs);
    let g_high = &mut *w.column_scratch;
    split_columns(potentials, g_high, w.g_low);
    let start = p.support.partition_point(
        #[inline(always)]
        |&i| i < first,
    );
    let mut written = 0;
    for ((&i, &u), &a) in p.support[start..].iter().zip(&potentials.u[start..]).zip(&p.a[start..]) {
        let at = i - first;
        if at >= out.rows() {
            break;
        }
        for without_mass in written..at {
            out.row_mut(without_mass).fill(T::ZERO);
        }
        written = at + 1;
        let eval = GibbsEval::new(l, p.eta, g_high, w.g_low);
        let shift = gibbs_row(l, &eval, quantum, p.cost.row(i), u, w.gibbs);
        let (mass, scale) = (p.total_mass * a, exp2(u - shift));
        // If the product overflows `T`, its products with the exponentials may still be finite: the
        // factors are then applied one after the other.
        let (mass, scale) = if mass * scale < -T::MIN.to_f64() { (1.0, mass * scale) } else { (mass, scale) };
        let (mass, scale): (T, T) = (T::from_f64(mass), at_most_finite(scale));
        for (out, &e) in out.row_mut(at).iter_mut().zip(&*w.gibbs) {
            *out = scale * e * mass;
        }
    }
    for without_mass in written..out.rows() {
        out.row_mut(without_mass).fill(T::ZERO);
    }
}
