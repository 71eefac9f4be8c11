//! The macros that shorten the implementations of the lanes.

/// Writes methods of one expression, a line each: `name(arguments) -> Type = expression;`.
///
/// `Mask` means `Self::Mask`, and likewise for other types; an argument or result without a type is
/// a `Self::V`. The caller passes `self` first, because hygiene hides a `self` of the macro's own
/// from the expressions.
macro_rules! ops {
    ($self:ident;
     $($(#[$attr:meta])* $name:ident($($arg:ident $(: $ty:ident)?),*) $(-> $ret:ident)? = $body:expr;)*) => {
        $(
            $(#[$attr])*
            #[inline(always)]
            fn $name($self, $($arg: ops!(@type $($ty)?)),*) -> ops!(@type $($ret)?) {
                $body
            }
        )*
    };
    (@type) => { Self::V };
    (@type bool) => { bool };
    (@type f32) => { f32 };
    (@type f64) => { f64 };
    (@type u32) => { u32 };
    (@type u64) => { u64 };
    (@type usize) => { usize };
    (@type $ty:ident) => { Self::$ty };
}

/// Implements `WideLanes<f32>` for a token with two vectors of `f64` per vector of `f32`, given the
/// conversion `|self, v| (low half, high half)`.
#[cfg(any(mantex_avx512, mantex_avx2, mantex_neon))]
macro_rules! wide_pairs {
    ($token:ty, |$self:ident, $v:ident| $widen:expr) => {
        impl WideLanes<f32> for $token {
            type Wide = (<Self as Lanes<f64>>::V, <Self as Lanes<f64>>::V);
            type Double = Self;

            #[inline(always)]
            fn double(self) -> Self {
                self
            }
            #[inline(always)]
            fn widen($self, $v: <Self as Lanes<f32>>::V) -> Self::Wide {
                $widen
            }
            #[inline(always)]
            fn add_wide(self, a: Self::Wide, b: Self::Wide) -> Self::Wide {
                (Lanes::<f64>::quiet_add(self, a.0, b.0), Lanes::<f64>::quiet_add(self, a.1, b.1))
            }
            #[inline(always)]
            fn sub_wide(self, a: Self::Wide, b: Self::Wide) -> Self::Wide {
                (Lanes::<f64>::quiet_sub(self, a.0, b.0), Lanes::<f64>::quiet_sub(self, a.1, b.1))
            }
            #[inline(always)]
            fn mul_wide(self, a: Self::Wide, b: Self::Wide) -> Self::Wide {
                (Lanes::<f64>::quiet_mul(self, a.0, b.0), Lanes::<f64>::quiet_mul(self, a.1, b.1))
            }
            #[inline(always)]
            fn load_wide(self, x: &[f64]) -> Self::Wide {
                (Lanes::<f64>::load(self, x), Lanes::<f64>::load(self, &x[<Self as Lanes<f64>>::N..]))
            }
            #[inline(always)]
            fn store_wide(self, out: &mut [f64], w: Self::Wide) {
                Lanes::<f64>::store(self, out, w.0);
                Lanes::<f64>::store(self, &mut out[<Self as Lanes<f64>>::N..], w.1);
            }
            #[inline(always)]
            fn to_double(
                self,
                high: <Self as Lanes<f32>>::V,
                _: <Self as Lanes<f32>>::V,
            ) -> (<Self as Lanes<f64>>::V, <Self as Lanes<f64>>::V) {
                let (first, second) = WideLanes::<f32>::widen(self, high);
                (Lanes::<f64>::quiet_add(self, first, second), Lanes::<f64>::splat(self, 0.0))
            }
            #[inline(always)]
            fn reduce_sum_wide(self, w: Self::Wide) -> f64 {
                Lanes::<f64>::reduce_sum(self, Lanes::<f64>::quiet_add(self, w.0, w.1))
            }
        }
    };
}
