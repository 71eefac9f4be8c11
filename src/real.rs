//! The element types.

use crate::dispatch;
use core::fmt::{Debug, Display};
use core::iter::Sum;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// The element types of the crate: `f32` and `f64`. The trait is sealed.
///
/// The trait has the arithmetic that generic code around the crate needs, and two conversions:
/// `Into<f64>` and [`Real::rounded`]. Its names do not clash with those of num-traits.
///
/// ```
/// use mantex::Real;
/// fn mean<T: Real>(x: &[T]) -> T {
///     x.iter().copied().sum::<T>() / T::rounded(x.len() as f64)
/// }
/// assert_eq!(mean(&[1.0_f32, 2.0, 6.0]), 3.0);
/// ```
///
/// Code outside the crate cannot call a kernel past the checks of the public functions:
///
/// ```compile_fail
/// fn unchecked<T: mantex::Real>(x: &[T], out: &mut [T]) {
///     T::softmax(Default::default(), x, out);
/// }
/// ```
pub trait Real:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Sum
    + PartialOrd
    + Default
    + Debug
    + Display
    + Send
    + Sync
    + Into<f64>
    + dispatch::EntryPoints<Self>
    + 'static
{
    /// Returns the value of the type that is nearest to `x`, ties to even; infinite beyond the
    /// range of the type.
    fn rounded(x: f64) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn rounded(x: f64) -> Self {
        x as f32
    }
}

impl Real for f64 {
    #[inline(always)]
    fn rounded(x: f64) -> Self {
        x
    }
}

/// The operations that the crate needs of an element type beyond [`Real`]. They are a trait of
/// their own, which generic code outside the crate cannot reach.
#[allow(dead_code)] // Each family uses only some of the operations.
pub(crate) trait Element: Real {
    /// Machine epsilon: the distance from 1 to the next larger number.
    const EPSILON: f64 = if size_of::<Self>() == 4 { f32::EPSILON as f64 } else { f64::EPSILON };
    /// The largest finite number.
    const MAX: f64 = if size_of::<Self>() == 4 { f32::MAX as f64 } else { f64::MAX };
    /// The smallest positive normal number.
    const MIN_POSITIVE: f64 = if size_of::<Self>() == 4 { f32::MIN_POSITIVE as f64 } else { f64::MIN_POSITIVE };

    /// Returns 0.
    #[inline(always)]
    fn zero() -> Self {
        Self::default()
    }

    /// Returns 1.
    #[inline(always)]
    fn one() -> Self {
        Self::rounded(1.0)
    }

    /// Returns positive infinity.
    #[inline(always)]
    fn infinity() -> Self {
        Self::rounded(f64::INFINITY)
    }

    /// Returns the same value as `f64`.
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self.into()
    }
}

impl<T: Real> Element for T {}
