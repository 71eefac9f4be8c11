//! The instruction sets.

use crate::boundary::mantex_status::*;
use crate::boundary::{failure, mantex_status, number, status_of, value_or, Outcome};
use crate::memory::Memory;
use mantex::Isa;
use std::ffi::{c_char, c_int, CStr};
use std::mem::MaybeUninit;
use std::sync::OnceLock;

/// An instruction set. Functions take it as their last argument or in their options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum mantex_isa {
    /// The best one that the CPU and this build have, or the one that the environment variable
    /// MANTEX_ISA names (scalar, avx2, avx512, neon). It is chosen at the first call.
    MANTEX_ISA_BEST = 0,
    /// No vectors. Every CPU has it.
    MANTEX_ISA_SCALAR = 1,
    /// AVX2 with FMA and BMI1/2 (x86-64).
    MANTEX_ISA_AVX2 = 2,
    /// AVX-512 F, BW, CD, DQ and VL (x86-64).
    MANTEX_ISA_AVX512 = 3,
    /// Advanced SIMD (aarch64).
    MANTEX_ISA_NEON = 4,
}

use mantex_isa::*;

/// The instruction sets and their names.
const NAMES: [(mantex_isa, &CStr); 4] = [
    (MANTEX_ISA_SCALAR, c"scalar"),
    (MANTEX_ISA_AVX2, c"avx2"),
    (MANTEX_ISA_AVX512, c"avx512"),
    (MANTEX_ISA_NEON, c"neon"),
];

/// Returns the best instruction set. Fails, instead of panicking as [`Isa::best`] does, if the
/// environment variable MANTEX_ISA names none that is available.
pub(crate) fn best_isa() -> Outcome<Isa> {
    static BEST: OnceLock<Result<Isa, String>> = OnceLock::new();
    let best = BEST.get_or_init(|| match std::env::var_os("MANTEX_ISA") {
        Some(name) => match name.to_string_lossy().parse::<Isa>() {
            Ok(_) => Ok(Isa::best()),
            Err(error) => Err(format!("MANTEX_ISA: {error}")),
        },
        None => Ok(Isa::best()),
    });
    best.clone().or_else(|message| failure(MANTEX_ERROR_ISA, message))
}

/// Returns the instruction set that a caller has chosen.
pub(crate) fn chosen_isa(value: MaybeUninit<mantex_isa>) -> Outcome<Isa> {
    if number(value) == MANTEX_ISA_BEST as i32 {
        return best_isa();
    }
    match NAMES.iter().find(|(isa, _)| *isa as i32 == number(value)) {
        Some((_, name)) => Ok(name.to_string_lossy().parse()?),
        None => failure(MANTEX_ERROR_ENUM, format!("`isa` is {}; it must be a value of mantex_isa", number(value))),
    }
}

/// Returns the value of C for an instruction set.
fn value_of(isa: Isa) -> mantex_isa {
    let found = NAMES.iter().find(|(_, name)| name.to_bytes() == isa.name().as_bytes());
    found.map_or(MANTEX_ISA_SCALAR, |(value, _)| *value)
}

/// Writes the instruction set behind MANTEX_ISA_BEST to *isa.
///
/// Fails with MANTEX_ERROR_ISA if the environment variable MANTEX_ISA names none that is available.
/// All functions with MANTEX_ISA_BEST then do.
#[no_mangle]
pub unsafe extern "C" fn mantex_isa_best(isa: *mut mantex_isa) -> mantex_status {
    status_of(|| {
        // SAFETY: The caller makes the promises of the header's introduction.
        let mut memory = unsafe { Memory::of_caller() };
        // The memory may be uninitialized, and no value of the enum.
        let isa = memory.result("isa", isa.cast::<i32>())?;
        *isa = value_of(best_isa()?) as i32;
        Ok(())
    })
}

/// Returns 1 if this CPU and this build have the instruction set, and 0 otherwise.
#[no_mangle]
pub extern "C" fn mantex_isa_is_available(isa: MaybeUninit<mantex_isa>) -> c_int {
    value_or(0, || Ok(c_int::from(chosen_isa(isa).is_ok())))
}

/// Returns the name of an instruction set, for example "avx2", as a static string; that of the
/// chosen one for MANTEX_ISA_BEST. NULL if there is none.
#[no_mangle]
pub extern "C" fn mantex_isa_name(isa: MaybeUninit<mantex_isa>) -> *const c_char {
    let value = if number(isa) == MANTEX_ISA_BEST as i32 {
        value_or(MANTEX_ISA_BEST, || Ok(value_of(best_isa()?))) as i32
    } else {
        number(isa)
    };
    let found = NAMES.iter().find(|(isa, _)| *isa as i32 == value);
    found.map_or(std::ptr::null(), |(_, name)| name.as_ptr())
}

/// Writes the available instruction set of a name (in upper or lower case) to *isa.
///
/// Fails with MANTEX_ERROR_ISA if there is none.
#[no_mangle]
pub unsafe extern "C" fn mantex_isa_from_name(name: *const c_char, isa: *mut mantex_isa) -> mantex_status {
    status_of(|| {
        // SAFETY: The caller makes the promises of the header's introduction.
        let mut memory = unsafe { Memory::of_caller() };
        let isa = memory.result("isa", isa.cast::<i32>())?;
        if name.is_null() {
            return failure(MANTEX_ERROR_NULL, "`name` is NULL; it must be a string");
        }
        // SAFETY: The name is not NULL, and the caller promises that it is a string.
        let name = unsafe { CStr::from_ptr(name) };
        *isa = value_of(name.to_string_lossy().parse()?) as i32;
        Ok(())
    })
}
