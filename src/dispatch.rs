//! The entry points: every kernel that the public functions reach, one line each.
//!
//! From each line [`entry_points`] makes, for f32 and f64, a `#[multiversion]` function with one clone per instruction
//! set, picked once, and its twin for a given [`Isa`]. Both run the same kernel; the clone checks that it is what
//! [`Isa::best`] says and otherwise hands over to the twin. That covers `MANTEX_ISA`, builds with `MANTEX_ISAS`, and CPUs
//! like Skylake-X, whose AVX-512 multiversion passes over: to any `avx512` feature in a target it adds those of Ice Lake (VBMI2 and others).

// multiversion expands to `unsafe` calls of its clones, each behind the check of the CPU's features.
#![allow(unsafe_code, unused_unsafe, clippy::undocumented_unsafe_blocks)]

use crate::Isa;
#[cfg(feature = "baselines")]
use crate::kernels::baselines;
use crate::kernels::batch::{self, Kernel, Layout};
use crate::kernels::clusters;
#[cfg(feature = "std")]
use crate::kernels::distances::{self, Form};
use crate::kernels::gradients;
use crate::kernels::lanes::Token;
use crate::kernels::objective::{self, Scratch, Values};
use crate::kernels::sinkhorn::{self, Absorbed, Measure, Problem, State, Workspace};
use crate::kernels::softmax::{self, Logits, Sum};
use crate::kernels::stablemax;
use crate::kernels::swap::{self, Nearest, NearestMut, NoDistance, Scan, Sums, Swap};
use crate::matrix::{MatMut, MatRef};

/// A closure that moves this can be called once only. Others reach `vectorize` through a shim that nothing obliges the
/// compiler to inline, and a kernel outside of it would lose its target features: a hundred times slower.
struct Once;

macro_rules! entry_points {
    ($($(#[$meta:meta])* $kernel:ident::$name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*) => {
        /// The entry points for one element type: on the best instruction set, or on a given one.
        pub trait EntryPoints<T> {
            $($(#[$meta])* fn $name(isa: Option<Isa>, $($arg: $ty),*) $(-> $ret)?;)*
        }
        entry_points!(@type f32 $($(#[$meta])* $kernel::$name($($arg: $ty),*) $(-> $ret)?;)*);
        entry_points!(@type f64 $($(#[$meta])* $kernel::$name($($arg: $ty),*) $(-> $ret)?;)*);
    };
    (@type $t:ident $($(#[$meta:meta])* $kernel:ident::$name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*) => {
        mod $t {
            use super::*;
            type T = $t;

            /// One function per instruction set, by its token.
            mod on {
                use super::*;
                $(
                    $(#[$meta])*
                    pub(super) fn $name(isa: Isa, $($arg: $ty),*) $(-> $ret)? {
                        #[allow(unused_variables)] // Where scalar is all there is.
                        let once = Once;
                        match isa.token() {
                            #[cfg(mantex_avx512)]
                            Token::Avx512(l) => l.vectorize(#[inline(always)] || { let _once = once; $kernel::$name(l, $($arg),*) }),
                            #[cfg(mantex_avx2)]
                            Token::Avx2(l) => l.vectorize(#[inline(always)] || { let _once = once; $kernel::$name(l, $($arg),*) }),
                            #[cfg(mantex_neon)]
                            Token::Neon(l) => l.vectorize(#[inline(always)] || { let _once = once; $kernel::$name(l, $($arg),*) }),
                            Token::Scalar(l) => $kernel::$name(l, $($arg),*),
                        }
                    }
                )*
            }

            /// One clone per instruction set, picked once.
            // On aarch64, where NEON is always there, the default clone is the NEON one. Elsewhere scalar may be all.
            #[allow(dead_code, irrefutable_let_patterns)]
            mod best {
                use super::*;
                use multiversion::{multiversion, target::match_target};
                $(
                    $(#[$meta])*
                    #[multiversion(targets(
                        "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+fma+bmi1+bmi2+lzcnt+popcnt",
                        "x86_64+avx2+fma+bmi1+bmi2+lzcnt+popcnt",
                        "aarch64+neon"
                    ))]
                    pub(super) fn $name($($arg: $ty),*) $(-> $ret)? {
                        let isa = Isa::best();
                        match_target! {
                            "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+fma+bmi1+bmi2+lzcnt+popcnt" => {
                                #[cfg(mantex_avx512)]
                                if let Token::Avx512(l) = isa.token() {
                                    return $kernel::$name(l, $($arg),*);
                                }
                            }
                            "x86_64+avx2+fma+bmi1+bmi2+lzcnt+popcnt" => {
                                #[cfg(mantex_avx2)]
                                if let Token::Avx2(l) = isa.token() {
                                    return $kernel::$name(l, $($arg),*);
                                }
                            }
                            "aarch64+neon" => {
                                #[cfg(mantex_neon)]
                                if let Token::Neon(l) = isa.token() {
                                    return $kernel::$name(l, $($arg),*);
                                }
                            }
                            _ => {
                                if let Token::Scalar(l) = isa.token() {
                                    return $kernel::$name(l, $($arg),*);
                                }
                            }
                        }
                        super::on::$name(isa, $($arg),*)
                    }
                )*
            }

            impl EntryPoints<$t> for $t {
                $(
                    $(#[$meta])*
                    #[inline]
                    fn $name(isa: Option<Isa>, $($arg: $ty),*) $(-> $ret)? {
                        match isa {
                            None => best::$name($($arg),*),
                            Some(isa) => on::$name(isa, $($arg),*),
                        }
                    }
                )*
            }
        }
    };
}

entry_points! {
    softmax::softmax(x: &[T], out: &mut [T]);
    softmax::softmax_in_place(x: &mut [T]);
    softmax::log_softmax(x: &[T], out: &mut [T]);
    softmax::sum(x: &[T]) -> Sum<T>;
    softmax::softmax_rows(x: Logits<'_, T>, out: MatMut<'_, T>);
    softmax::log_softmax_rows(x: Logits<'_, T>, out: MatMut<'_, T>);
    softmax::log_sum_exp_rows(x: Logits<'_, T>, out: &mut [T]);
    gradients::softmax_backward(y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
    gradients::log_softmax_backward(y: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
    gradients::cross_entropy(x: MatRef<'_, T>, classes: &[usize], losses: &mut [T]);
    gradients::cross_entropy_gradient(x: MatRef<'_, T>, classes: &[usize], weight: T, losses: &mut [T], gradient: MatMut<'_, T>);
    stablemax::stablemax(x: &[T], out: &mut [T]);
    stablemax::log_stablemax(x: &[T], out: &mut [T]);
    stablemax::stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>);
    stablemax::log_stablemax_rows(x: MatRef<'_, T>, out: MatMut<'_, T>);
    stablemax::stablemax_backward(x: &[T], dy: &[T], dx: &mut [T]);
    stablemax::log_stablemax_backward(x: &[T], dy: &[T], dx: &mut [T]);
    stablemax::stablemax_backward_rows(x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
    stablemax::log_stablemax_backward_rows(x: MatRef<'_, T>, dy: MatRef<'_, T>, dx: MatMut<'_, T>);
    sinkhorn::survey(cost: MatRef<'_, T>, a: &[T], penalty: &[T], row_minima: &mut [T], column_minima: &mut [T]) -> Option<usize>;
    sinkhorn::iterate(p: &Problem<'_, T>, relaxation: f64, s: &mut State<'_>, w: &mut Workspace<'_, T>) -> f64;
    sinkhorn::absorb(p: &Problem<'_, T>, s: &mut State<'_>, to: &mut Absorbed<'_, T>, w: &mut Workspace<'_, T>);
    sinkhorn::iterate_scaled(p: &Problem<'_, T>, relaxation: f64, k: &mut Absorbed<'_, T>, w: &mut Workspace<'_, T>) -> Option<f64>;
    sinkhorn::settle(p: &Problem<'_, T>, s: &mut State<'_>, from: &Absorbed<'_, T>);
    sinkhorn::measure(p: &Problem<'_, T>, s: &State<'_>, w: &mut Workspace<'_, T>) -> Measure;
    sinkhorn::plan(p: &Problem<'_, T>, s: &State<'_>, w: &mut Workspace<'_, T>, total: f64, first: usize, out: MatMut<'_, T>);
    objective::objective(p: &Problem<'_, T>, s: &State<'_>, w: &mut Scratch<'_>) -> Values;
    batch::layout() -> Layout<T>;
    batch::iterate_lanes(k: &Kernel<'_, T>, state: &mut batch::State<'_, T>);
    batch::potentials(k: f64, shift: f64, offsets: &[f64], scalings: &mut [T]);
    swap::all_distances(row: &[T]) -> bool;
    swap::losses_with(rows: MatRef<'_, T>, d1: &[T], weights: &[T], out: &mut [f64]);
    swap::next_swap(scan: Scan<'_, T>, near: Nearest<'_, T>, sums: Sums<'_>) -> Result<Option<Swap>, NoDistance>;
    swap::add_medoids(d: MatRef<'_, T>, medoids: &[usize], first: usize, near: NearestMut<'_, T>);
    swap::changed(row: &[T], position: usize, bounds: &[T], near: (&[u32], &[u32]), out: &mut [u32]) -> usize;
    clusters::member_losses(d: MatRef<'_, T>, members: &[u32], weights: &[T], out: &mut [f64]);
    clusters::add_rows(d: MatRef<'_, T>, rows: &[u32], columns: (usize, usize), sums: &mut [f64]);
    clusters::nearest(d: MatRef<'_, T>, labels: &mut [usize], distances: &mut [T]);
    #[cfg(feature = "std")]
    distances::all_finite(row: &[T]) -> bool;
    #[cfg(feature = "std")]
    distances::distance_matrix(points: MatRef<'_, T>, form: Form, panels: &mut [T], out: MatMut<'_, T>);
    #[cfg(all(feature = "std", feature = "baselines"))]
    distances::multiply_adds(x: &[T], steps: usize) -> (usize, f64);
    #[cfg(feature = "baselines")]
    baselines::exp(x: &[T], out: &mut [T]);
    #[cfg(feature = "baselines")]
    baselines::exp2(x: &[T], out: &mut [T]);
    #[cfg(feature = "baselines")]
    baselines::exp_recorded(x: &[T], out: &mut [T]) -> bool;
    #[cfg(feature = "baselines")]
    baselines::sum_exp(x: &[T]) -> f64;
    #[cfg(feature = "baselines")]
    baselines::read(x: &[T]) -> f64;
    #[cfg(feature = "baselines")]
    baselines::copy(x: &[T], out: &mut [T]);
    #[cfg(feature = "baselines")]
    baselines::stream(out: &mut [T]);
    #[cfg(feature = "baselines")]
    baselines::scale(x: &[T], out: &mut [T]);
    #[cfg(feature = "baselines")]
    baselines::update(x: &mut [T]);
    #[cfg(feature = "baselines")]
    baselines::recomputes(x: &[T]) -> bool;
    #[cfg(feature = "baselines")]
    baselines::three_pass_reload(x: &[T], out: &mut [T]);
    #[cfg(feature = "baselines")]
    baselines::three_pass_recompute(x: &[T], out: &mut [T]);
}
