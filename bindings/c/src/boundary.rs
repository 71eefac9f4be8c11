//! What crosses the border: status codes, messages and enum values. Panics do not.

use mantex::Error;
use std::any::Any;
use std::cell::RefCell;
use std::ffi::{c_char, CString};
use std::fmt;
use std::mem::{size_of, MaybeUninit};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// The result of a call. Every function that can fail returns it; mantex_last_error() has the
/// reason in words. Later versions may add codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum mantex_status {
    /// The call succeeded.
    MANTEX_OK = 0,
    /// A pointer is NULL, but must not be.
    MANTEX_ERROR_NULL = 1,
    /// A pointer is not aligned for its type.
    MANTEX_ERROR_ALIGNMENT = 2,
    /// The elements of an array take more than PTRDIFF_MAX bytes, or go beyond the address space.
    MANTEX_ERROR_SIZE = 3,
    /// An output overlaps an input or another output.
    MANTEX_ERROR_OVERLAP = 4,
    /// An option struct was not initialized by its init function, or is of another version.
    MANTEX_ERROR_OPTIONS = 5,
    /// A value is not one of its enum.
    MANTEX_ERROR_ENUM = 6,
    /// This CPU or this build of the library does not have the instruction set, or none has the
    /// name.
    MANTEX_ERROR_ISA = 7,
    /// A length, shape or stride does not fit the rest of the call, or something is empty.
    MANTEX_ERROR_SHAPE = 8,
    /// A parameter is outside its range.
    MANTEX_ERROR_PARAMETER = 9,
    /// An element of an array is outside its range.
    MANTEX_ERROR_ELEMENT = 10,
    /// Sums over an array overflow, are 0, or do not agree.
    MANTEX_ERROR_SUM = 11,
    /// A row or column of a transport problem has mass, but may not send it anywhere.
    MANTEX_ERROR_INFEASIBLE = 12,
    /// A solution for one element type was passed to a function for the other one.
    MANTEX_ERROR_TYPE = 13,
    /// An error that this list does not have yet.
    MANTEX_ERROR_OTHER = 14,
    /// The library failed by a defect of its own, which it also describes on stderr.
    MANTEX_ERROR_INTERNAL = 15,
}

use mantex_status::*;

/// Why a call fails.
pub(crate) struct Failure {
    pub(crate) status: mantex_status,
    pub(crate) message: String,
}

/// The result of a call before it is a status.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Returns a failure.
pub(crate) fn failure<T>(status: mantex_status, message: impl fmt::Display) -> Outcome<T> {
    Err(Failure { status, message: message.to_string() })
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::LengthMismatch { .. }
            | Error::ShapeMismatch { .. }
            | Error::ViewMismatch { .. }
            | Error::NotSquare { .. }
            | Error::NotCondensed { .. }
            | Error::Empty { .. }
            | Error::TooFew { .. } => MANTEX_ERROR_SHAPE,
            Error::InvalidParameter { .. } | Error::MedoidCountOutOfRange { .. } => MANTEX_ERROR_PARAMETER,
            Error::InvalidElement { .. }
            | Error::ClassOutOfRange { .. }
            | Error::MedoidOutOfRange { .. }
            | Error::DuplicateMedoid { .. }
            | Error::LabelOutOfRange { .. }
            | Error::UndefinedCosine { .. } => MANTEX_ERROR_ELEMENT,
            Error::SumOverflow { .. } | Error::InvalidTotalMass { .. } | Error::MassMismatch { .. } => MANTEX_ERROR_SUM,
            Error::Infeasible { .. } => MANTEX_ERROR_INFEASIBLE,
            Error::UnknownIsa { .. } | Error::UnavailableIsa { .. } => MANTEX_ERROR_ISA,
            _ => MANTEX_ERROR_OTHER,
        };
        // What is one option in Rust is a choice and its factor here.
        let message = error.to_string();
        let message = message.replace("`over_relaxation`", "`over_relaxation_factor`");
        Self { status, message: message.replace("`epsilon_scaling`", "`epsilon_scaling_factor`") }
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Makes a failure the thread's last error.
pub(crate) fn set_last_error(failure: Failure) -> mantex_status {
    let message = CString::new(failure.message.replace('\0', "")).unwrap_or_default();
    // A thread that is ending has no last error.
    let _ = LAST_ERROR.try_with(|last| *last.borrow_mut() = message);
    failure.status
}

/// Runs the body of a C function. A panic ends here.
pub(crate) fn status_of(body: impl FnOnce() -> Outcome) -> mantex_status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => MANTEX_OK,
        Ok(Err(failure)) => set_last_error(failure),
        Err(panic) => set_last_error(Failure { status: MANTEX_ERROR_INTERNAL, message: message_of(&*panic) }),
    }
}

/// Runs the body of a C function that returns a value: `otherwise` if it fails.
pub(crate) fn value_or<T>(otherwise: T, body: impl FnOnce() -> Outcome<T>) -> T {
    let mut value = otherwise;
    status_of(|| {
        value = body()?;
        Ok(())
    });
    value
}

/// Returns the message of a panic.
fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "panic without a message".into())
}

/// Returns the reason for the last error of the calling thread, as a string in English that names
/// the argument, its value and the rule for it. The string is empty before the first error, is
/// valid until the thread's next error, and does not change when calls succeed.
#[no_mangle]
pub extern "C" fn mantex_last_error() -> *const c_char {
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Returns a static string with the name of a status, for example "MANTEX_ERROR_NULL".
#[no_mangle]
pub extern "C" fn mantex_status_name(status: MaybeUninit<mantex_status>) -> *const c_char {
    let names = [
        c"MANTEX_OK",
        c"MANTEX_ERROR_NULL",
        c"MANTEX_ERROR_ALIGNMENT",
        c"MANTEX_ERROR_SIZE",
        c"MANTEX_ERROR_OVERLAP",
        c"MANTEX_ERROR_OPTIONS",
        c"MANTEX_ERROR_ENUM",
        c"MANTEX_ERROR_ISA",
        c"MANTEX_ERROR_SHAPE",
        c"MANTEX_ERROR_PARAMETER",
        c"MANTEX_ERROR_ELEMENT",
        c"MANTEX_ERROR_SUM",
        c"MANTEX_ERROR_INFEASIBLE",
        c"MANTEX_ERROR_TYPE",
        c"MANTEX_ERROR_OTHER",
        c"MANTEX_ERROR_INTERNAL",
    ];
    let known = usize::try_from(number(status)).ok().and_then(|status| names.get(status));
    known.map_or(c"unknown status".as_ptr(), |name| name.as_ptr())
}

/// Returns the version of the library, for example "0.1.0", as a static string.
#[no_mangle]
pub extern "C" fn mantex_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns the number behind an enum value of C, which can be any `int32_t`.
pub(crate) fn number<E>(value: MaybeUninit<E>) -> i32 {
    const { assert!(size_of::<E>() == size_of::<i32>()) };
    // SAFETY: The type is as large as i32, for which every pattern of bits is valid. Values come
    // from C by value or out of initialized structs, so the bytes are initialized.
    unsafe { value.as_ptr().cast::<i32>().read_unaligned() }
}

/// Returns the value among `all` that has the number of `value`.
pub(crate) fn chosen<E: Copy, V>(argument: &str, value: MaybeUninit<E>, all: &[(E, V)]) -> Outcome<V>
where
    V: Clone,
{
    let found = all.iter().find(|(known, _)| number(MaybeUninit::new(*known)) == number(value));
    match found {
        Some((_, meaning)) => Ok(meaning.clone()),
        None => {
            failure(MANTEX_ERROR_ENUM, format!("`{argument}` is {}; it must be a value of its enum", number(value)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn last_error() -> String {
        // SAFETY: The function returns a string.
        unsafe { CStr::from_ptr(mantex_last_error()) }.to_string_lossy().into_owned()
    }

    #[test]
    fn panics_end_at_the_border() {
        assert_eq!(status_of(|| panic!("a text")), MANTEX_ERROR_INTERNAL);
        assert_eq!(last_error(), "a text");
        assert_eq!(status_of(|| panic!("number {}", 7)), MANTEX_ERROR_INTERNAL);
        assert_eq!(last_error(), "number 7");
        assert_eq!(status_of(|| std::panic::panic_any(7)), MANTEX_ERROR_INTERNAL);
        assert_eq!(last_error(), "panic without a message");
        assert_eq!(value_or(3, || panic!()), 3);
    }

    #[test]
    fn errors_belong_to_threads() {
        assert_eq!(status_of(|| failure(MANTEX_ERROR_SIZE, "here")), MANTEX_ERROR_SIZE);
        assert_eq!(std::thread::spawn(last_error).join().ok(), Some(String::new()));
        assert_eq!(status_of(|| Ok(())), MANTEX_OK);
        assert_eq!(last_error(), "here");
    }
}
