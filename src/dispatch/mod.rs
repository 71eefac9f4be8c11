//! The entry points: a list per family, with a line for every kernel that public functions call.
//!
//! From each line the macro `entry_points` makes, for f32 and for f64:
//! - one body per instruction set (`f32::avx512::softmax`): a function that is not inlined, with
//!   the kernel and the target features of the set;
//! - a function that calls the body of a given instruction set (`f32::on::softmax`);
//! - a function that runs [`Isa::best`] (`f32::best::softmax`). In lines that begin with `call`,
//!   the function calls the body. In lines that begin with `inline`, the function is a
//!   `#[multiversion]` function: it has one clone per instruction set, picked at the first call,
//!   with the kernel inlined, which costs a second copy of what is not out of line. Calls of a few
//!   elements take the same time either way if their arguments are slices and numbers: a struct
//!   goes through memory, for 10 to 20 ns (`softmax` of 8 `f32`, Zen 4, 2026-11-27);
//! - a method of the trait `EntryPoints`, whose first argument, a [`Road`], chooses between the
//!   best and a given instruction set.
//!
//! A clone checks that its instruction set is [`Isa::best`], and otherwise calls the body of
//! [`Isa::best`]. This matters with `MANTEX_ISA`, with `MANTEX_BUILD_ISAS`, and on CPUs like
//! Skylake-X: multiversion adds the features of Ice Lake (VBMI2 and others) to any target with an
//! `avx512` feature, and therefore does not pick the AVX-512 clone there.

use crate::Isa;

mod baselines;
mod medoids;
mod pairwise;
mod softmax;
mod transport;

/// How a call runs: on which instruction set, and on how many threads. Code outside the crate can
/// neither name nor construct a `Road`, so it cannot reach a kernel past the checks of the public
/// functions.
#[allow(unnameable_types)] // Public only because the entry points are supertraits of `Real`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Road {
    /// The instruction set, or `None` for the best one, [`Isa::best`].
    pub(crate) isa: Option<Isa>,
    /// Whether the threads of rayon's current pool share the work.
    #[cfg(feature = "rayon")]
    pub(crate) parallel: bool,
}

impl Road {
    /// The best instruction set, on the calling thread.
    pub(crate) const BEST: Self = Self {
        isa: None,
        #[cfg(feature = "rayon")]
        parallel: false,
    };

    /// Returns the road of a given instruction set, on the calling thread.
    pub(crate) const fn on(isa: Isa) -> Self {
        Self::BEST.with_isa(isa)
    }

    /// Returns the road with a given instruction set.
    pub(crate) const fn with_isa(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// Returns the road on the threads of rayon's current pool, or on the calling thread.
    #[cfg(feature = "rayon")]
    pub(crate) const fn with_threads(mut self, yes: bool) -> Self {
        self.parallel = yes;
        self
    }

    /// Returns the instruction set that this road selects.
    #[cfg_attr(not(feature = "transport"), allow(dead_code))] // Only batches call it.
    pub(crate) fn isa(self) -> Isa {
        self.isa.unwrap_or_else(Isa::best)
    }
}

/// The entry points of all families for one element type. Its zero is all bits 0, for memory that
/// the system has filled with zeros.
#[allow(unnameable_types)] // As `Road`.
pub trait EntryPoints<T>:
    bytemuck::Zeroable
    + softmax::EntryPoints<T>
    + transport::EntryPoints<T>
    + medoids::EntryPoints<T>
    + pairwise::EntryPoints<T>
    + baselines::EntryPoints<T>
{
}

impl EntryPoints<f32> for f32 {}
impl EntryPoints<f64> for f64 {}

/// Defines the function that runs an entry point on [`Isa::best`]. For `inline` lines it has one
/// clone per instruction set, with the kernel inlined. For `call` lines it calls the body.
macro_rules! best_function {
    (
        call $features:tt
        $(#[$meta:meta])* $kernel:ident::$name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?
    ) => {
        $(#[$meta])*
        #[inline]
        pub(super) fn $name($($arg: $ty),*) $(-> $ret)? {
            super::on::$name(Isa::best(), $($arg),*)
        }
    };
    (
        inline ($avx512:tt $avx2:tt $neon:tt)
        $(#[$meta:meta])* $kernel:ident::$name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?
    ) => {
        $(#[$meta])*
        #[multiversion(targets($avx512, $avx2, $neon))]
        pub(super) fn $name($($arg: $ty),*) $(-> $ret)? {
            let isa = Isa::best();
            match_target! {
                // new ISA: its arm.
                $avx512 => {
                    #[cfg(mantex_avx512)]
                    if let Token::Avx512(l) = isa.token() {
                        return $kernel::$name(l, $($arg),*);
                    }
                }
                $avx2 => {
                    #[cfg(mantex_avx2)]
                    if let Token::Avx2(l) = isa.token() {
                        return $kernel::$name(l, $($arg),*);
                    }
                }
                $neon => {
                    #[cfg(mantex_neon)]
                    if let Token::Neon(l) = isa.token() {
                        return $kernel::$name(l, $($arg),*);
                    }
                }
                _ => {}
            }
            super::on::$name(isa, $($arg),*)
        }
    };
}
use best_function;

/// Makes the entry points of a family from its list; see the module's documentation.
macro_rules! entry_points {
    ($($lines:tt)*) => {
        crate::dispatch::entry_points_for! {
            (
                // new ISA: its features, in the order of preference; also in `best_function`.
                "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+fma+bmi1+bmi2+lzcnt+popcnt"
                "x86_64+avx2+fma+bmi1+bmi2+lzcnt+popcnt"
                "aarch64+neon"
            )
            $($lines)*
        }
    };
}
use entry_points;

/// The rules of `entry_points`: the trait, then `@type` for each element type, then `@bodies` for
/// each vector instruction set.
macro_rules! entry_points_for {
    (
        $features:tt
        $($(#[$meta:meta])* $how:ident $kernel:ident::$name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*
    ) => {
        /// The entry points of this family for one element type.
        #[allow(unnameable_types)] // As `Road`.
        pub trait EntryPoints<T> {
            $($(#[$meta])* fn $name(road: crate::dispatch::Road, $($arg: $ty),*) $(-> $ret)?;)*
        }
        crate::dispatch::entry_points_for! {
            @type f32 $features $($(#[$meta])* $how $kernel::$name($($arg: $ty),*) $(-> $ret)?;)*
        }
        crate::dispatch::entry_points_for! {
            @type f64 $features $($(#[$meta])* $how $kernel::$name($($arg: $ty),*) $(-> $ret)?;)*
        }
    };
    (
        @type $t:ident $features:tt
        $($(#[$meta:meta])* $how:ident $kernel:ident::$name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*
    ) => {
        #[allow(unused_imports)] // In builds without the family.
        mod $t {
            use super::*;
            use crate::Isa;
            use crate::dispatch::{Road, best_function};
            use crate::kernels::lanes::{Once, Token};
            #[allow(dead_code)] // As above.
            type T = $t;

            // new ISA: its bodies.
            #[cfg(mantex_avx512)]
            crate::dispatch::entry_points_for! {
                @bodies avx512 pulp::x86::V4, $($(#[$meta])* $kernel::$name($($arg: $ty),*) $(-> $ret)?;)*
            }
            #[cfg(mantex_avx2)]
            crate::dispatch::entry_points_for! {
                @bodies avx2 pulp::x86::V3, $($(#[$meta])* $kernel::$name($($arg: $ty),*) $(-> $ret)?;)*
            }
            #[cfg(mantex_neon)]
            crate::dispatch::entry_points_for! {
                @bodies neon pulp::aarch64::Neon, $($(#[$meta])* $kernel::$name($($arg: $ty),*) $(-> $ret)?;)*
            }

            /// The bodies for the scalar fallback.
            mod scalar {
                use super::*;
                $(
                    $(#[$meta])*
                    #[inline(never)]
                    pub(super) fn $name(l: pulp::Scalar, $($arg: $ty),*) $(-> $ret)? {
                        $kernel::$name(l, $($arg),*)
                    }
                )*
            }

            /// The body of a given instruction set.
            mod on {
                use super::*;
                $(
                    $(#[$meta])*
                    pub(super) fn $name(isa: Isa, $($arg: $ty),*) $(-> $ret)? {
                        match isa.token() {
                            // new ISA: its arm.
                            #[cfg(mantex_avx512)]
                            Token::Avx512(l) => super::avx512::$name(l, $($arg),*),
                            #[cfg(mantex_avx2)]
                            Token::Avx2(l) => super::avx2::$name(l, $($arg),*),
                            #[cfg(mantex_neon)]
                            Token::Neon(l) => super::neon::$name(l, $($arg),*),
                            Token::Scalar(l) => super::scalar::$name(l, $($arg),*),
                        }
                    }
                )*
            }

            /// The entry points on [`Isa::best`].
            // multiversion expands to `unsafe` calls of its clones, each behind a check of the
            // CPU's features.
            #[allow(unsafe_code, unused_unsafe, clippy::undocumented_unsafe_blocks)]
            // On aarch64 every CPU has NEON, so the default clone is the NEON clone. In other
            // builds, scalar may be the only instruction set.
            #[allow(dead_code, irrefutable_let_patterns)]
            mod best {
                use super::*;
                use multiversion::{multiversion, target::match_target};
                $(
                    best_function! {
                        $how $features $(#[$meta])* $kernel::$name($($arg: $ty),*) $(-> $ret)?
                    }
                )*
            }

            impl EntryPoints<$t> for $t {
                $(
                    $(#[$meta])*
                    #[inline]
                    fn $name(road: Road, $($arg: $ty),*) $(-> $ret)? {
                        match road.isa {
                            None => best::$name($($arg),*),
                            Some(isa) => on::$name(isa, $($arg),*),
                        }
                    }
                )*
            }
        }
    };
    (
        @bodies $isa:ident $token:ty,
        $($(#[$meta:meta])* $kernel:ident::$name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*
    ) => {
        /// The bodies for one instruction set.
        mod $isa {
            use super::*;
            $(
                $(#[$meta])*
                #[inline(never)]
                pub(super) fn $name(l: $token, $($arg: $ty),*) $(-> $ret)? {
                    let once = Once;
                    l.vectorize(#[inline(always)] || { let _once = once; $kernel::$name(l, $($arg),*) })
                }
            )*
        }
    };
}
use entry_points_for;

/// Defines a function that runs [`Isa::best`] and the method of [`Isa`] of the same name, both from
/// one body. The body sees the [`Road`] under the name that is given between bars. `in module;`
/// names the public module of the functions, if it is not the root of the crate.
macro_rules! functions_and_isa_methods {
    (in medoids; $($functions:tt)*) => {
        crate::dispatch::functions_and_isa_methods! { @at "crate::medoids::" $($functions)* }
    };
    (@at $module:literal $(
        $(#[$doc:meta])*
        fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? |$road:ident| $body:block
    )*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name<T: crate::Real>($($arg: $ty),*) $(-> $ret)? {
            crate::dispatch::Road::BEST.$name($($arg),*)
        }

        impl crate::Isa {
            #[doc = concat!("[`", stringify!($name), "`](", $module, stringify!($name), "()) on this instruction set.")]
            ///
            #[doc = concat!("Errors: those of [`", stringify!($name), "`](", $module, stringify!($name), "()).")]
            #[inline]
            pub fn $name<T: crate::Real>(self, $($arg: $ty),*) $(-> $ret)? {
                crate::dispatch::Road::on(self).$name($($arg),*)
            }
        }

        impl crate::dispatch::Road {
            #[inline(always)]
            pub(crate) fn $name<T: crate::Real>(self, $($arg: $ty),*) $(-> $ret)? {
                let $road = self;
                $body
            }
        }
    )*};
    ($($functions:tt)*) => {
        crate::dispatch::functions_and_isa_methods! { @at "crate::" $($functions)* }
    };
}
pub(crate) use functions_and_isa_methods;
