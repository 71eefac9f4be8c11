//! The instruction sets that this CPU and this build have.

use crate::error::{Error, IsaName};
use crate::kernels::lanes::Token;
use core::fmt;
use core::str::FromStr;

/// An instruction set that kernels can run on. A value exists only if the CPU has the instruction
/// set and the build contains it: the value proves that its kernels can run.
///
/// Every function of the crate that runs a kernel is also a method: `isa.softmax(x, out)` is
/// [`softmax`](crate::softmax()) on that instruction set instead of [`Isa::best`].
///
/// `avx512` means F, BW, CD, DQ and VL; `avx2` means AVX2 with FMA and BMI1/2; `neon` is Advanced
/// SIMD of aarch64.
///
/// ```
/// use mantex::Isa;
/// for isa in Isa::available() {
///     let mut y = [0.0_f32; 3];
///     isa.softmax(&[1.0, 2.0, 3.0], &mut y)?;
///     println!("{isa}: {y:?}");
/// }
/// # Ok::<(), mantex::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Isa(Token);

impl Isa {
    /// The instruction set that every CPU has.
    pub(crate) const SCALAR: Isa = Isa(Token::SCALAR);

    /// Returns the instruction set that functions run on by default: the best available one, or the
    /// one that the environment variable `MANTEX_ISA` names (`scalar`, `avx2`, `avx512`, `neon`).
    /// The variable is read once, and only with the feature `std`.
    ///
    /// # Panics
    /// At the first call, if `MANTEX_ISA` is set to a name that is unknown or not available here. A
    /// silent fallback would falsify the measurement or test that the variable was set for.
    #[inline]
    pub fn best() -> Isa {
        #[cfg(feature = "std")]
        {
            static BEST: std::sync::OnceLock<Isa> = std::sync::OnceLock::new();
            // The first call runs a function of its own, so that later calls only load the result.
            #[cold]
            #[inline(never)]
            fn choose() -> Isa {
                *BEST.get_or_init(|| match std::env::var_os("MANTEX_ISA") {
                    None => Isa::detect(),
                    Some(name) => match name.to_string_lossy().parse() {
                        Ok(isa) => isa,
                        Err(error) => panic!("MANTEX_ISA: {error}"),
                    },
                })
            }
            BEST.get().copied().unwrap_or_else(choose)
        }
        #[cfg(not(feature = "std"))]
        Self::detect()
    }

    /// Returns every instruction set that this CPU and this build have, best first and scalar last.
    /// `MANTEX_ISA` does not change the list.
    pub fn available() -> impl Iterator<Item = Isa> {
        Token::available().map(Isa)
    }

    /// Returns the name: `"avx512"`, `"avx2"`, `"neon"` or `"scalar"`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    fn detect() -> Isa {
        // Scalar is always available.
        Self::available().next().unwrap_or(Isa::SCALAR)
    }

    #[inline]
    pub(crate) fn token(self) -> Token {
        self.0
    }
}

impl PartialEq for Isa {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Isa {}

impl core::hash::Hash for Isa {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Isa({})", self.name())
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Isa {
    type Err = Error;

    /// Returns the available instruction set of that name, in upper or lower case.
    ///
    /// # Errors
    /// - [`Error::UnknownIsa`] if no instruction set has the name.
    /// - [`Error::UnavailableIsa`] if this CPU or this build does not have it.
    fn from_str(name: &str) -> Result<Self, Error> {
        if let Some(isa) = Self::available().find(|isa| isa.name().eq_ignore_ascii_case(name)) {
            return Ok(isa);
        }
        let known = Token::NAMES.iter().any(|known| known.eq_ignore_ascii_case(name));
        let name = IsaName::new(name);
        Err(if known { Error::UnavailableIsa { name } } else { Error::UnknownIsa { name } })
    }
}
