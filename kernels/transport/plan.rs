//! Rows of the plan `P_ij = a_i 2^(U_i + G_j - eta C_ij)`.

use super::gibbs::{GibbsEval, stable_rows};
use super::potentials::{PotentialsRef, SplitColumns};
use super::sparse_rows::mass_scales;
use super::{Problem, Workspace};
use crate::kernels::lanes::{Float, Lanes, WideLanes};
use crate::kernels::math::exp::{ExpLanes, exp2};
use crate::kernels::rows::fold_zip;
use crate::matrix::{MatMut, MatRef};

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
    let columns = SplitColumns::new(l, potentials, [&mut *w.column_scratch, &mut *w.g_low, &mut *w.g_factors]);
    let eval = GibbsEval::new(l, p.eta, columns, potentials.max_abs);
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
        let ([shift], _) = stable_rows::<L, T, 1, false>(l, &eval, [p.cost.row(i)], [u], w.band.gibbs, None, 0);
        let [scale, mass]: [T; 2] = mass_scales(p.total_mass * a, exp2(u - shift));
        for ((out, &e), &factor) in out.row_mut(at).iter_mut().zip(&*w.band.gibbs).zip(columns.factors) {
            *out = scale * (e * factor) * mass;
        }
    }
    for without_mass in written..out.rows() {
        out.row_mut(without_mass).fill(T::ZERO);
    }
}

/// Fills `out` with the products of rows of a plan and of `vectors`: one row per row of the plan,
/// and one column per vector, which has a number for each column of the plan.
#[inline(always)]
pub(crate) fn times_vectors<L: WideLanes<T>, T: Float>(
    l: L,
    plan: MatRef<'_, T>,
    vectors: MatRef<'_, T>,
    mut out: MatMut<'_, T>,
) {
    for i in 0..plan.rows() {
        for (k, out) in out.row_mut(i).iter_mut().enumerate() {
            *out = T::from_f64(fold_zip(
                l,
                plan.row(i),
                vectors.row(k),
                #[inline(always)]
                |p, x, sum| l.mul_add(p, x, sum),
            ));
        }
    }
}

/// Adds the rows of a plan, times the rows of `weights`, to `sums`: one row per column of the
/// weights, and one column per column of the plan.
#[inline(always)]
pub(crate) fn add_weighted_rows<L: Lanes<T>, T: Float>(
    _: L,
    plan: MatRef<'_, T>,
    weights: MatRef<'_, T>,
    sums: &mut [f64],
) {
    // Without intrinsics, because the compiler vectorizes the inner loop.
    for i in 0..plan.rows() {
        for (weight, sums) in weights.row(i).iter().zip(sums.chunks_exact_mut(plan.cols())) {
            for (sum, p) in sums.iter_mut().zip(plan.row(i)) {
                *sum += weight.to_f64() * p.to_f64();
            }
        }
    }
}
