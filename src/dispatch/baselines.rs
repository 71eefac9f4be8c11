//! The entry points of the baselines that benches compare with.

#[cfg(feature = "baselines")]
use crate::kernels::baselines;

#[cfg(feature = "baselines")]
crate::dispatch::entry_points! {
    call baselines::exp(x: &[T], out: &mut [T]);
    call baselines::exp2(x: &[T], out: &mut [T]);
    call baselines::exp_recorded(x: &[T], out: &mut [T]);
    call baselines::sum_exp(x: &[T]) -> f64;
    call baselines::read(x: &[T]) -> f64;
    call baselines::copy(x: &[T], out: &mut [T]);
    call baselines::stream(out: &mut [T]);
    call baselines::scale(x: &[T], out: &mut [T]);
    call baselines::update(x: &mut [T]);
    call baselines::three_pass_reload(x: &[T], out: &mut [T]);
    call baselines::three_pass_recompute(x: &[T], out: &mut [T]);
}

#[cfg(not(feature = "baselines"))]
crate::dispatch::entry_points! {}
