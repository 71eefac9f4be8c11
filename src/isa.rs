//! The instruction sets that this CPU and this build have.

use crate::error::{Error, IsaName};
use crate::kernels::lanes::Token;
use core::fmt;
use core::str::FromStr;

/// An instruction set that kernels can run on. A value exists only where the CPU has it and the build contains it,
/// so holding one is proof enough to run its kernels.
///
/// `avx512` means F, BW, CD, DQ and VL; `avx2` means AVX2 with FMA and BMI1/2; `neon` is Advanced SIMD of aarch64.
///
/// ```
/// use mantex::Isa;
/// for isa in Isa::available() {
///     let mut y = [0.0_f32; 3];
///     mantex::softmax_on(isa, &[1.0, 2.0, 3.0], &mut y)?;
///     println!("{isa}: {y:?}");
/// }
/// # Ok::<(), mantex::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Isa(Token);

impl Isa {
    /// The instruction set that the plain functions run: the best available one, or the one that the environment
    /// variable `MANTEX_ISA` names (`scalar`, `avx2`, `avx512`, `neon`), read once.
    ///
    /// # Panics
    /// On first use, if `MANTEX_ISA` is set to a name that is unknown or not available here; a silent fallback would
    /// falsify whatever the variable was set for.
    #[inline]
    pub fn best() -> Isa {
        #[cfg(feature = "std")]
        {
            static BEST: std::sync::OnceLock<Isa> = std::sync::OnceLock::new();
            *BEST.get_or_init(|| match std::env::var_os("MANTEX_ISA") {
                None => Self::detect(),
                Some(name) => match name.to_string_lossy().parse() {
                    Ok(isa) => isa,
                    Err(error) => panic!("MANTEX_ISA: {error}"),
                },
            })
        }
        #[cfg(not(feature = "std"))]
        Self::detect()
    }

    /// Every instruction set that this CPU and build have, best first and scalar last, whatever `MANTEX_ISA` says.
    pub fn available() -> impl Iterator<Item = Isa> {
        Token::available().map(Isa)
    }

    /// `"avx512"`, `"avx2"`, `"neon"` or `"scalar"`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    fn detect() -> Isa {
        // Scalar is always available.
        Self::available().next().unwrap_or(Isa(Token::SCALAR))
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

    /// # Errors
    /// [`Error::Isa`] where the name is unknown, or the instruction set is not available here.
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::available()
            .find(|isa| isa.name() == name)
            .ok_or_else(|| Error::Isa { name: IsaName::new(name), known: Token::NAMES.contains(&name) })
    }
}
