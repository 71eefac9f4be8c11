//! The vocabulary of the kernels: vectors of `f32` or `f64` over pulp's capability tokens.
//!
//! | trait | operations |
//! |---|---|
//! | [`Lanes`] | arithmetic, memory, reductions |
//! | [`IndexLanes`] | one `u32` per lane |
//! | [`WideLanes`] | one `f64` per lane |
//!
//! [`ExpLanes`](super::math::exp::ExpLanes) adds the operations of the exponential.

#[macro_use]
mod ops;

mod float;
#[cfg(any(mantex_avx2, mantex_neon))]
mod masks;
mod scalar;
mod wide;
#[cfg(any(mantex_avx512, mantex_avx2))]
mod x86;

// new ISA: its file, and one in kernels/math/exp/.
#[cfg(mantex_avx2)]
mod avx2;
#[cfg(mantex_avx512)]
mod avx512;
#[cfg(mantex_neon)]
mod neon;

#[cfg(mantex_avx512)]
pub(crate) use avx512::QUIET;
#[cfg(not(feature = "std"))]
#[allow(unused_imports)] // Only some families need them.
pub(crate) use float::FloatFunctions;
pub(crate) use float::split_exponent;
pub(crate) use float::{Float, Number};
pub(crate) use wide::WideLanes;
#[cfg(any(mantex_avx512, mantex_avx2))]
#[allow(unused_imports)] // Rows use it.
pub(crate) use x86::last_level_cache_bytes;

/// Defines [`Token`] from a table of the instruction sets, best first. A row is
/// `Variant(token) if cfg, "name", detection on this CPU, "features"`.
macro_rules! instruction_sets {
    ($($variant:ident($token:ty) if $cfg:meta, $name:literal, $detected:expr, $features:literal;)*) => {
        /// The capability token of an instruction set of this build.
        ///
        /// The token of a vector instruction set exists only if the CPU has it.
        #[derive(Clone, Copy)]
        pub(crate) enum Token {
            $(
                #[cfg($cfg)]
                #[doc = $features]
                $variant($token),
            )*
        }

        impl Token {
            /// The names of all instruction sets, whether or not this build has them.
            pub(crate) const NAMES: &[&str] = &[$($name),*];

            /// The tokens of this build that this CPU can run, best first.
            pub(crate) fn available() -> impl Iterator<Item = Token> {
                [
                    $(
                        #[cfg($cfg)]
                        $detected.map(Token::$variant),
                    )*
                ]
                .into_iter()
                .flatten()
            }

            /// The name of the instruction set.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(
                        #[cfg($cfg)]
                        Token::$variant(_) => $name,
                    )*
                }
            }
        }
    };
}

// new ISA: its row, best first.
instruction_sets! {
    Avx512(pulp::x86::V4) if mantex_avx512, "avx512", pulp::x86::V4::try_new(), "AVX-512 F, BW, CD, DQ, VL.";
    Avx2(pulp::x86::V3) if mantex_avx2, "avx2", pulp::x86::V3::try_new(), "AVX2, FMA, BMI1/2.";
    Neon(pulp::aarch64::Neon) if mantex_neon, "neon", pulp::aarch64::Neon::try_new(), "Advanced SIMD.";
    Scalar(pulp::Scalar) if all(), "scalar", Some(pulp::Scalar), "Plain Rust, one lane.";
}

/// Evaluates an expression of the token of an instruction set: `match_token!(token, l =>
/// expression)`.
#[allow(unused_macros)] // Transport and the baselines use it.
macro_rules! match_token {
    ($token:expr, $l:pat => $body:expr) => {
        match $token {
            // new ISA: its arm.
            #[cfg(mantex_avx512)]
            crate::kernels::lanes::Token::Avx512($l) => $body,
            #[cfg(mantex_avx2)]
            crate::kernels::lanes::Token::Avx2($l) => $body,
            #[cfg(mantex_neon)]
            crate::kernels::lanes::Token::Neon($l) => $body,
            crate::kernels::lanes::Token::Scalar($l) => $body,
        }
    };
}
#[allow(unused_imports)] // As the macro.
pub(crate) use match_token;

impl Token {
    /// The token that every CPU has.
    pub(crate) const SCALAR: Token = Token::Scalar(pulp::Scalar);
}

/// The largest number of lanes in a vector of any instruction set. A buffer whose length is a
/// multiple of it holds whole vectors.
pub(crate) const MAX_LANES: usize = 16;

/// A value that is not `Copy`: a closure that moves it can be called only once. Around any other
/// closure the compiler may leave a shim. A kernel behind a shim loses its target features, and is
/// then a hundred times slower.
pub(crate) struct Once;

/// An instruction set. A value of an implementing type is a capability token: it proves that the
/// CPU can run the instructions.
pub(crate) trait InstructionSet: Copy {
    /// Runs `f` with the features of the instruction set, in a function of its own that is not
    /// inlined. Use the macro `out_of_line`, which makes `f` a closure that is inlined into it.
    fn call_out_of_line<R>(self, f: impl FnOnce() -> R) -> R;
    /// Shorter vectors of the same CPU, for a single number. Results have the same bits.
    type Short: Lanes<f64>;
    /// The shorter vectors.
    fn short(self) -> Self::Short;
}

/// Runs a block with the features of an instruction set, in a function of its own. That function is
/// compiled once per set of type parameters, for all places into which the surrounding function is
/// inlined. Use it for code that is large and seldom runs. The block moves what it uses: it gets
/// copies of constants, and the addresses of those that hot loops use do not escape.
#[allow(unused_macros)] // Every family uses it.
macro_rules! out_of_line {
    ($l:expr, $body:block) => {{
        let once = crate::kernels::lanes::Once;
        crate::kernels::lanes::InstructionSet::call_out_of_line(
            $l,
            #[inline(always)]
            move || {
                let _once = once;
                $body
            },
        )
    }};
}
#[allow(unused_imports)] // As the macro.
pub(crate) use out_of_line;

/// Vectors of `T` in one instruction set. Every method is inlined and takes a few instructions.
pub(crate) trait Lanes<T: Float>: InstructionSet {
    /// A vector.
    type V: Copy;
    /// One truth value per lane.
    type Mask: Copy;
    /// The number of lanes in a vector.
    const N: usize;
    /// Whether a vector has one lane. The branch of an `if` on it that never runs is not compiled.
    const IS_SCALAR: bool = Self::N == 1;
    /// The number of vector registers.
    const REGISTERS: usize;

    /// Returns `x` in every lane.
    fn splat(self, x: T) -> Self::V;
    /// Loads the first `N` elements; panics if there are fewer.
    fn load(self, x: &[T]) -> Self::V;
    /// Loads `x.len()` (at most `N`) elements into the first lanes; the other lanes are `fill`.
    fn load_tail(self, x: &[T], fill: T) -> Self::V;
    /// Loads the first `N` elements, or all if there are fewer; the other lanes are `fill`.
    #[inline(always)]
    fn load_up_to(self, x: &[T], fill: T) -> Self::V {
        if x.len() >= Self::N { self.load(x) } else { self.load_tail(x, fill) }
    }
    /// Stores to the first `N` elements; panics if there are fewer.
    fn store(self, out: &mut [T], v: Self::V);
    /// Stores the first `out.len()` (at most `N`) lanes.
    fn store_tail(self, out: &mut [T], v: Self::V);
    /// Stores to the first `N` elements, or the first lanes to all if there are fewer.
    #[inline(always)]
    fn store_up_to(self, out: &mut [T], v: Self::V) {
        if out.len() >= Self::N { self.store(out, v) } else { self.store_tail(out, v) }
    }
    /// Stores to the first `N` elements, past the caches if the instruction set can. Panics if
    /// there are fewer or if `out` does not start at a multiple of the vector's size.
    /// [`Lanes::fence`] must follow the last of these stores.
    fn stream(self, out: &mut [T], v: Self::V);
    /// Makes streamed stores visible in program order.
    #[inline(always)]
    fn fence(self) {}
    /// A hint that `x[at]` is read soon, if the instruction set has one; `at` may lie past the end.
    #[inline(always)]
    fn prefetch(self, _x: &[T], _at: usize) {}
    /// As [`Lanes::prefetch`], for a read that is so late that L1 would not keep the element.
    #[inline(always)]
    fn prefetch_far(self, _x: &[T], _at: usize) {}

    /// Replaces all but the last `n` lanes by 0; `n` is from 1 to `N`.
    fn keep_last(self, v: Self::V, n: usize) -> Self::V;

    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, fused if the instruction set fuses (all but scalar).
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`, fused if the instruction set fuses.
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b` with the exact product. The scalar token multiplies in `f64`, which rounds
    /// products of `f64`.
    #[inline(always)]
    fn neg_mul_add_exact(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.neg_mul_add(a, b, c)
    }
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a + b`, like all `quiet_` operations without floating-point exceptions where instructions
    /// can do without (AVX-512). They are for rows in which exponentials may overflow and are then
    /// computed again. Elsewhere [`Lanes::add`] is cheaper: it may take an operand from memory.
    #[inline(always)]
    fn quiet_add(self, a: Self::V, b: Self::V) -> Self::V {
        self.add(a, b)
    }
    /// `a - b`, see [`Lanes::quiet_add`].
    #[inline(always)]
    fn quiet_sub(self, a: Self::V, b: Self::V) -> Self::V {
        self.sub(a, b)
    }
    /// `a * b`, see [`Lanes::quiet_add`].
    #[inline(always)]
    fn quiet_mul(self, a: Self::V, b: Self::V) -> Self::V {
        self.mul(a, b)
    }
    /// `a / b`, see [`Lanes::quiet_add`].
    #[inline(always)]
    fn quiet_div(self, a: Self::V, b: Self::V) -> Self::V {
        self.div(a, b)
    }
    /// [`Lanes::mul_add`], see [`Lanes::quiet_add`].
    #[inline(always)]
    fn quiet_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.mul_add(a, b, c)
    }
    /// [`Lanes::neg_mul_add`], see [`Lanes::quiet_add`].
    #[inline(always)]
    fn quiet_neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.neg_mul_add(a, b, c)
    }
    /// `a - quotient * b` without an error, if `quotient` is `a / b` rounded to a normal number.
    #[inline(always)]
    fn div_residual(self, a: Self::V, b: Self::V, quotient: Self::V) -> Self::V {
        self.neg_mul_add(quotient, b, a)
    }
    /// The absolute value.
    fn abs(self, x: Self::V) -> Self::V;
    /// The square root.
    fn sqrt(self, x: Self::V) -> Self::V;
    /// `(m, e)` with `x = m * 2^e` and m in [sqrt(1/2), sqrt(2)), for positive normal numbers.
    /// The result for other numbers is unspecified.
    fn split_exponent(self, x: Self::V) -> (Self::V, Self::V);
    /// `if a > b { a } else { b }`: `b` if either is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a < b { a } else { b }`: `b` if either is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a < b`; false if either is NaN.
    fn lt(self, a: Self::V, b: Self::V) -> Self::Mask;
    /// `if m { a } else { b }`.
    fn select(self, m: Self::Mask, a: Self::V, b: Self::V) -> Self::V;
    /// One bit per lane, the lowest for the first one.
    fn bits(self, m: Self::Mask) -> u64;
    /// The number of true lanes.
    #[inline(always)]
    fn count(self, m: Self::Mask) -> usize {
        self.bits(m).count_ones() as usize
    }
    /// One bit for each of the first 64 elements, the lowest for the first one: whether it is below
    /// that of `b`. Panics if there are fewer. Only AVX2 with `f32` has a faster way than this one.
    #[inline(always)]
    fn lt_bits(self, a: &[T], b: &[T]) -> u64 {
        let mut bits = 0;
        for (i, (a, b)) in a[..64].iter().zip(&b[..64]).enumerate() {
            bits |= u64::from(a < b) << i;
        }
        bits
    }
    /// `if m { a + b } else { a }`, except for the sign of 0.
    #[inline(always)]
    fn masked_add(self, m: Self::Mask, a: Self::V, b: Self::V) -> Self::V {
        self.select(m, self.add(a, b), a)
    }
    /// [`Lanes::masked_add`] as a multiply-add with `one`, with the same result. Many CPUs have
    /// units for multiply-adds besides those for additions. `one` is 1, but the compiler must not
    /// know that, because it would turn the multiply-add into an addition.
    #[inline(always)]
    fn masked_add_fma(self, m: Self::Mask, a: Self::V, b: Self::V, one: Self::V) -> Self::V {
        self.select(m, self.mul_add(b, one, a), a)
    }
    /// The sequence `a[0], b[0], a[1], b[1], ..`: its first `N` elements, and its last `N`.
    fn interleave(self, a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// Exchanges lane i with lane i + `n` wherever i has no bit of `n`, a power of two below `N`.
    fn exchange(self, v: Self::V, n: usize) -> Self::V;

    /// The lanes, in order, as the first `N` elements.
    #[inline(always)]
    fn to_array(self, v: Self::V) -> [T; MAX_LANES] {
        let mut lanes = [T::ZERO; MAX_LANES];
        self.store(&mut lanes[..Self::N], v);
        lanes
    }
    /// The sum of all lanes, in `f64` and in a fixed order.
    fn reduce_sum(self, v: Self::V) -> f64;
    /// The smallest lane. NaN is ignored; infinity if all lanes are NaN.
    #[inline(always)]
    fn reduce_min(self, v: Self::V) -> T {
        // `min` returns its second operand if one is NaN.
        let (mut v, mut n) = (self.min(v, self.splat(T::INFINITY)), Self::N);
        while n > 1 {
            n /= 2;
            v = self.min(v, self.exchange(v, n));
        }
        self.to_array(v)[0]
    }
    /// The largest lane. NaN is ignored; -infinity if all lanes are NaN.
    #[inline(always)]
    fn reduce_max(self, v: Self::V) -> T {
        // As in `reduce_min`.
        let (mut v, mut n) = (self.max(v, self.splat(T::NEG_INFINITY)), Self::N);
        while n > 1 {
            n /= 2;
            v = self.max(v, self.exchange(v, n));
        }
        self.to_array(v)[0]
    }
    /// Whether all lanes are at least 0; false if one is NaN.
    #[inline(always)]
    fn all_non_negative(self, v: Self::V) -> bool {
        let mut all = true;
        for &x in &self.to_array(v)[..Self::N] {
            all &= x >= T::ZERO;
        }
        all
    }
}

/// Indices beside the lanes: one `u32` per lane.
pub(crate) trait IndexLanes<T: Float>: Lanes<T> {
    /// A vector of indices.
    type Index: Copy;

    /// Returns `i` in every lane.
    fn splat_index(self, i: u32) -> Self::Index;
    /// Loads the first `N` indices; panics if there are fewer.
    fn load_index(self, x: &[u32]) -> Self::Index;
    /// Stores to the first `N` indices; panics if there are fewer.
    fn store_index(self, out: &mut [u32], i: Self::Index);
    /// `a == b`.
    fn eq_index(self, a: Self::Index, b: Self::Index) -> Self::Mask;
    /// `if m { a } else { b }`.
    fn select_index(self, m: Self::Mask, a: Self::Index, b: Self::Index) -> Self::Index;
    /// Writes `first + lane` for every set lane, in order, to the front of `out` and returns their
    /// number. The rest of the first `N` elements is overwritten; panics if `out` has fewer.
    fn compress_indices(self, m: Self::Mask, first: u32, out: &mut [u32]) -> usize;
}

/// Writes `first + bit` for every set bit, in order, to the front of `out`, and returns their
/// number. At least four elements are overwritten, and at most four past the last one listed.
#[allow(dead_code)] // Softmax does not use it.
#[inline(always)]
pub(crate) fn list_bits(bits: u64, first: u32, out: &mut [u32]) -> usize {
    let (count, mut rest) = (bits.count_ones() as usize, bits);
    let mut listed = 0;
    // Four at a time, because a branch per bit would be mispredicted.
    while listed == 0 || listed < count {
        for index in &mut out[listed..listed + 4] {
            *index = first.wrapping_add(rest.trailing_zeros());
            rest &= rest.wrapping_sub(1);
        }
        listed += 4;
    }
    count
}
