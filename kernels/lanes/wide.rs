//! The lanes in double precision.

use super::{Float, Lanes};

/// The lanes in double precision: one `f64` per lane, for precise sums of `f32`.
pub(crate) trait WideLanes<T: Float>: Lanes<T> {
    /// One `f64` per lane.
    type Wide: Copy;
    /// The lanes of `f64` of the same instruction set.
    type Double: Lanes<f64>;

    /// The lanes of `f64` of the same instruction set.
    fn double(self) -> Self::Double;

    /// The same values as `f64`.
    fn widen(self, v: Self::V) -> Self::Wide;
    /// `a + b`.
    fn add_wide(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// `a - b`.
    fn sub_wide(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// `a * b`.
    fn mul_wide(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// Loads the first `N` elements; panics if there are fewer.
    fn load_wide(self, x: &[f64]) -> Self::Wide;
    /// Stores to the first `N` elements; panics if there are fewer.
    fn store_wide(self, out: &mut [f64], w: Self::Wide);
    /// Numbers with their rounding errors as an accumulator of `f64`. Vectors of `f32` are added in
    /// halves, without their errors, which fused operations keep far below those of a logarithm.
    #[allow(clippy::type_complexity, reason = "a pair of vectors")]
    fn to_double(
        self,
        high: Self::V,
        low: Self::V,
    ) -> (<Self::Double as Lanes<f64>>::V, <Self::Double as Lanes<f64>>::V);
    /// The sum of all lanes, in a fixed order.
    fn reduce_sum_wide(self, w: Self::Wide) -> f64;
}

/// A vector of `f64` is its own wide vector.
impl<L: Lanes<f64>> WideLanes<f64> for L {
    type Wide = L::V;
    type Double = L;

    #[inline(always)]
    fn double(self) -> L {
        self
    }
    #[inline(always)]
    fn widen(self, v: L::V) -> L::V {
        v
    }
    #[inline(always)]
    fn add_wide(self, a: L::V, b: L::V) -> L::V {
        self.quiet_add(a, b)
    }
    #[inline(always)]
    fn sub_wide(self, a: L::V, b: L::V) -> L::V {
        self.quiet_sub(a, b)
    }
    #[inline(always)]
    fn mul_wide(self, a: L::V, b: L::V) -> L::V {
        self.quiet_mul(a, b)
    }
    #[inline(always)]
    fn load_wide(self, x: &[f64]) -> L::V {
        self.load(x)
    }
    #[inline(always)]
    fn store_wide(self, out: &mut [f64], w: L::V) {
        self.store(out, w);
    }
    #[inline(always)]
    fn to_double(self, high: L::V, low: L::V) -> (L::V, L::V) {
        (high, low)
    }
    #[inline(always)]
    fn reduce_sum_wide(self, w: L::V) -> f64 {
        self.reduce_sum(w)
    }
}
