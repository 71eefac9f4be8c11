//! Memory between pages without access: any read or write beyond a slice kills the process.

use crate::support::{
    child::{child, printed},
    isas::{isas, small_cases},
};
use bytemuck::Pod;
use mantex::*;
use memmap2::{MmapMut, MmapRaw};
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::os::unix::process::ExitStatusExt;

/// A multiple of the page size of every target.
const PAGE: usize = 64 << 10;

unsafe extern "C" {
    fn mprotect(address: *mut c_void, len: usize, protection: c_int) -> c_int;
}

/// Memory between two fences: pages without access, where any read or write kills the process.
pub(crate) struct Fenced<T> {
    map: MmapRaw,
    bytes: usize,
    elements: PhantomData<T>,
}

impl<T: Pod> Fenced<T> {
    const NO_ACCESS: c_int = 0;

    /// Space for `len` elements or some more.
    pub(crate) fn new(len: usize) -> Self {
        let bytes = (len.max(1) * size_of::<T>()).next_multiple_of(PAGE);
        let map = MmapRaw::from(MmapMut::map_anon(bytes + 2 * PAGE).expect("memory"));
        for start in [0, PAGE + bytes] {
            // SAFETY: these whole pages belong to the map, and nothing refers to them.
            let status = unsafe { mprotect(map.as_mut_ptr().add(start).cast(), PAGE, Self::NO_ACCESS) };
            assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
        }
        Self { map, bytes, elements: PhantomData }
    }

    /// A copy of `x` that begins at the fence before it, or ends at the one behind it.
    pub(crate) fn put(&mut self, x: &[T], side: Side) -> &mut [T] {
        assert!(size_of_val(x) <= self.bytes);
        let start = match side {
            Side::Before => PAGE,
            Side::Behind => PAGE + self.bytes - size_of_val(x),
        };
        // SAFETY: by the assertion all of it lies between the fences, where the memory is
        // initialized (to zero) and any pattern of bits is a T; pages and sizes are multiples of
        // T's alignment; the slice borrows `self`.
        let copy = unsafe { std::slice::from_raw_parts_mut(self.map.as_mut_ptr().add(start).cast::<T>(), x.len()) };
        copy.copy_from_slice(x);
        copy
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Before,
    Behind,
}

pub(crate) const SIDES: [Side; 2] = [Side::Before, Side::Behind];

/// The instruction sets to test. Emulated AVX2 (QEMU 7.2) reads also what a masked load leaves out,
/// which no CPU does, and so dies at a fence.
pub(crate) fn fenced_isas() -> Vec<Isa> {
    isas().into_iter().filter(|isa| !small_cases() || isa.name() != "avx2").collect()
}

/// Reads the byte that `MANTEX_READ_AT` tells, counted from the start of the accessible memory.
#[test]
fn a_byte_alone() {
    let at = std::env::var("MANTEX_READ_AT").map_or(0, |at| at.parse::<isize>().expect("a number"));
    assert!(at.unsigned_abs() <= PAGE);
    let fenced = Fenced::<u8>::new(1);
    println!("reading");
    // SAFETY: inside of the map, whose fences are there to stop this.
    let byte = unsafe { fenced.map.as_ptr().offset(PAGE as isize + at).read_volatile() };
    println!("has read {byte}");
}

/// The tests below rely on it.
#[test]
fn fences_stop_single_bytes() {
    let page = PAGE as isize;
    for (at, allowed) in [(-1, false), (0, true), (page - 1, true), (page, false)] {
        let output = child(module_path!(), "a_byte_alone", Some(("MANTEX_READ_AT", &at.to_string())));
        let printed = printed(&output);
        assert!(printed.contains("reading"), "{at}: {printed}");
        assert_eq!(printed.contains("has read 0"), allowed, "{at}: {printed}");
        assert_eq!(output.status.success(), allowed, "{at}: {printed}");
        // SIGSEGV or, by its numbers in Linux and in BSD, SIGBUS: not a panic.
        assert_eq!(matches!(output.status.signal(), Some(7 | 10 | 11)), !allowed, "{at}: {:?}", output.status);
    }
}
