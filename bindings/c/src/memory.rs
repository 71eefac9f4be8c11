//! The caller's memory: pointers become references once they are checked.

use crate::boundary::mantex_status::*;
use crate::boundary::{failure, Outcome};
use mantex::{MatMut, MatRef};
use std::mem::{align_of, size_of};
use std::slice;

/// The most arrays that one call has.
const MAX_REGIONS: usize = 10;

/// The memory of one call. It checks that pointers are aligned and not NULL, that sizes are
/// possible, and that outputs overlap nothing else.
pub(crate) struct Memory {
    regions: [Region; MAX_REGIONS],
    count: usize,
}

/// The bytes of an argument.
#[derive(Clone, Copy)]
struct Region {
    name: &'static str,
    start: usize,
    end: usize,
    is_output: bool,
}

/// An option struct of C.
pub(crate) trait Options: Copy {
    /// The name of the function that initializes it.
    const INIT: &'static str;
    /// Returns whether all reserved fields are 0. The first field of the struct is its size.
    fn reserved_are_zero(&self) -> bool;
}

impl Memory {
    /// Returns the memory of a call before its first argument.
    ///
    /// # Safety
    /// For the time of the call, all pointers passed to the methods, and all pointers in structs
    /// behind them, must be NULL, or have as many elements as the methods are told, for reading
    /// or, of outputs, for writing. No other thread may write to these elements meanwhile, and
    /// none may read the outputs. Handles must come from this library and not be freed yet.
    pub(crate) unsafe fn of_caller() -> Self {
        let none = Region { name: "", start: 0, end: 0, is_output: false };
        Self { regions: [none; MAX_REGIONS], count: 0 }
    }

    /// Checks an array of `len` elements. Returns whether it has any.
    fn check<T>(&mut self, name: &'static str, pointer: *const T, len: usize, is_output: bool) -> Outcome<bool> {
        if len == 0 {
            return Ok(false);
        }
        let start = pointer as usize;
        if pointer.is_null() {
            let plural = if len == 1 { "" } else { "s" };
            return failure(MANTEX_ERROR_NULL, format!("`{name}` is NULL; it must have {len} element{plural}"));
        }
        if !pointer.is_aligned() {
            let align = align_of::<T>();
            return failure(
                MANTEX_ERROR_ALIGNMENT,
                format!("`{name}` is at {start:#x}; it must be aligned to {align} bytes"),
            );
        }
        let bytes = len.checked_mul(size_of::<T>()).filter(|&bytes| isize::try_from(bytes).is_ok());
        let Some(end) = bytes.and_then(|bytes| start.checked_add(bytes)) else {
            let message =
                format!("`{name}` has {len} elements; its bytes must be at most PTRDIFF_MAX, and addressable");
            return failure(MANTEX_ERROR_SIZE, message);
        };
        for other in &self.regions[..self.count] {
            if (is_output || other.is_output) && start < other.end && other.start < end {
                let (output, input) = if is_output { (name, other.name) } else { (other.name, name) };
                return failure(MANTEX_ERROR_OVERLAP, format!("`{output}` overlaps `{input}`; outputs must be apart"));
            }
        }
        self.regions[self.count] = Region { name, start, end, is_output };
        self.count += 1;
        Ok(true)
    }

    /// Returns an array to be read.
    pub(crate) fn input<'a, T>(&mut self, name: &'static str, pointer: *const T, len: usize) -> Outcome<&'a [T]> {
        if !self.check(name, pointer, len, false)? {
            return Ok(&[]);
        }
        // SAFETY: The pointer is aligned and not NULL, the size is at most isize::MAX, and the
        // caller of `of_caller` promises that the elements are there and do not change. No output
        // of this call overlaps them.
        Ok(unsafe { slice::from_raw_parts(pointer, len) })
    }

    /// Returns an array to be read, or `None` if the pointer is NULL.
    pub(crate) fn optional_input<'a, T>(
        &mut self,
        name: &'static str,
        pointer: *const T,
        len: usize,
    ) -> Outcome<Option<&'a [T]>> {
        if pointer.is_null() {
            Ok(None)
        } else {
            self.input(name, pointer, len).map(Some)
        }
    }

    /// Returns an array to be written.
    pub(crate) fn output<'a, T>(&mut self, name: &'static str, pointer: *mut T, len: usize) -> Outcome<&'a mut [T]> {
        if !self.check(name, pointer, len, true)? {
            return Ok(&mut []);
        }
        // SAFETY: As for `input`; nothing else of this call overlaps the elements, and no other
        // thread uses them. They are numbers, pointers or structs of numbers, for which every
        // pattern of bits is valid.
        Ok(unsafe { slice::from_raw_parts_mut(pointer, len) })
    }

    /// Returns a copy of the one element behind a pointer.
    pub(crate) fn value<T: Copy>(&mut self, name: &'static str, pointer: *const T) -> Outcome<T> {
        match self.input(name, pointer, 1)? {
            [value] => Ok(*value),
            _ => failure(MANTEX_ERROR_INTERNAL, "an array has a wrong length"),
        }
    }

    /// Returns the one element behind a pointer, to be written.
    pub(crate) fn result<'a, T>(&mut self, name: &'static str, pointer: *mut T) -> Outcome<&'a mut T> {
        match self.output(name, pointer, 1)? {
            [result] => Ok(result),
            _ => failure(MANTEX_ERROR_INTERNAL, "an array has a wrong length"),
        }
    }

    /// Returns a matrix to be read.
    pub(crate) fn matrix<'a, T>(
        &mut self,
        name: &'static str,
        pointer: *const T,
        shape: (usize, usize),
        stride: usize,
    ) -> Outcome<MatRef<'a, T>> {
        let (len, stride) = extent(name, shape, stride)?;
        Ok(MatRef::with_stride(self.input(name, pointer, len)?, shape.0, shape.1, stride)?)
    }

    /// Returns a matrix to be written.
    pub(crate) fn matrix_mut<'a, T>(
        &mut self,
        name: &'static str,
        pointer: *mut T,
        shape: (usize, usize),
        stride: usize,
    ) -> Outcome<MatMut<'a, T>> {
        let (len, stride) = extent(name, shape, stride)?;
        Ok(MatMut::with_stride(self.output(name, pointer, len)?, shape.0, shape.1, stride)?)
    }

    /// Returns the handle behind a pointer.
    pub(crate) fn handle<'a, H>(&mut self, name: &'static str, pointer: *const H) -> Outcome<&'a H> {
        if pointer.is_null() || !pointer.is_aligned() {
            return failure(
                MANTEX_ERROR_NULL,
                format!("`{name}` is {pointer:p}; it must be a handle from this library"),
            );
        }
        // SAFETY: The pointer is aligned and not NULL, and the caller of `of_caller` promises that
        // it is a handle, which no call changes.
        Ok(unsafe { &*pointer })
    }

    /// Returns the options behind a pointer, or `None` if it is NULL.
    pub(crate) fn options<O: Options>(&mut self, pointer: *const O) -> Outcome<Option<O>> {
        if pointer.is_null() {
            return Ok(None);
        }
        // The size comes first: the rest is read only if it is there.
        let size = self.value("options", pointer.cast::<usize>())?;
        if size == size_of::<O>() {
            let options = self.value("options", pointer)?;
            if options.reserved_are_zero() {
                return Ok(Some(options));
            }
        }
        let message = format!("`options` is not valid; it must be initialized by {}()", O::INIT);
        failure(MANTEX_ERROR_OPTIONS, message)
    }

    /// Returns the options behind a pointer, which must not be NULL.
    pub(crate) fn required_options<O: Options>(&mut self, pointer: *const O) -> Outcome<O> {
        match self.options(pointer)? {
            Some(options) => Ok(options),
            None => failure(MANTEX_ERROR_NULL, format!("`options` is NULL; it must be initialized by {}()", O::INIT)),
        }
    }
}

/// Returns the number of elements from the first to the last one of a matrix, and its stride. A
/// matrix without elements has neither.
fn extent(name: &str, (rows, cols): (usize, usize), stride: usize) -> Outcome<(usize, usize)> {
    if rows == 0 || cols == 0 {
        return Ok((0, cols));
    }
    if stride < cols {
        return failure(
            MANTEX_ERROR_SHAPE,
            format!("`{name}_stride` is {stride}; it must be at least {cols}, the columns"),
        );
    }
    match (rows - 1).checked_mul(stride).and_then(|len| len.checked_add(cols)) {
        Some(len) => Ok((len, stride)),
        None => {
            let message =
                format!("`{name}` is {rows} x {cols} with stride {stride}; its bytes must be at most PTRDIFF_MAX");
            failure(MANTEX_ERROR_SIZE, message)
        }
    }
}
