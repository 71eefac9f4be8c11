//! The entry points of what benches compare with.

#[cfg(feature = "baselines")]
use crate::kernels::baseline;

#[cfg(feature = "baselines")]
crate::dispatch::entry_points! {
    call baseline::exp(x: &[T], out: &mut [T]);
    call baseline::exp2(x: &[T], out: &mut [T]);
    call baseline::exp_watched(x: &[T], out: &mut [T]) -> bool;
    call baseline::sum_exp(x: &[T]) -> f64;
    call baseline::read(x: &[T]) -> f64;
    call baseline::copy(x: &[T], out: &mut [T]);
    call baseline::stream(out: &mut [T]);
    call baseline::scale(x: &[T], out: &mut [T]);
    call baseline::update(x: &mut [T]);
    call baseline::three_pass_reload(x: &[T], out: &mut [T]);
    call baseline::three_pass_recompute(x: &[T], out: &mut [T]);
}

#[cfg(not(feature = "baselines"))]
crate::dispatch::entry_points! {}
