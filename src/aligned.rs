//! Vectors of numbers that begin at a cache line.

use alloc::boxed::Box;
use bytemuck::Zeroable;
use core::ops::{Deref, DerefMut};

/// The bytes of a cache line.
const LINE_BYTES: usize = 64;

/// The bytes of a page of memory.
const PAGE_BYTES: usize = 4096;

/// A slice on the heap that begins at a cache line, so that no vector of 64 bytes lies in two
/// lines.
pub(crate) struct AlignedVec<T> {
    /// The slice, with spare elements around it.
    memory: Box<[T]>,
    /// The index of the slice's first element.
    start: usize,
    /// The length of the slice.
    len: usize,
}

impl<T: Zeroable> AlignedVec<T> {
    /// Allocates `len` zeros. Returns `None` if there is not enough memory.
    pub(crate) fn try_zeros(len: usize) -> Option<Self> {
        Self::within(len, LINE_BYTES, |_| 0)
    }

    /// Allocates `len` zeros whose offset in a page differs from the offset of `x` by half a page.
    /// At equal offsets the CPU would suspect that a load from one page reads what was just stored
    /// to the other (4K aliasing), and delay the load.
    pub(crate) fn try_zeros_away_from(x: &[T], len: usize) -> Option<Self> {
        let x = x.as_ptr().addr();
        Self::within(len, 2 * PAGE_BYTES, |start| {
            (x.wrapping_sub(start).wrapping_add(PAGE_BYTES / 2)) % PAGE_BYTES / LINE_BYTES * LINE_BYTES
        })
    }

    /// Allocates `len` zeros with `spare_bytes` around them. `skip_bytes` maps the address of the
    /// first cache line to the distance from there to the slice.
    fn within(len: usize, spare_bytes: usize, skip_bytes: impl Fn(usize) -> usize) -> Option<Self> {
        let spare = spare_bytes / size_of::<T>();
        // Large memory is not written here: pages of zeros come when they are first used, on the
        // thread that uses them.
        let memory: Box<[T]> = bytemuck::allocation::try_zeroed_slice_box(len.checked_add(spare)?).ok()?;
        let line = memory.as_ptr().align_offset(LINE_BYTES).min(LINE_BYTES / size_of::<T>());
        let start = line + skip_bytes(memory[line..].as_ptr().addr()) / size_of::<T>();
        Some(Self { memory, start: start.min(spare), len })
    }
}

impl<T> Deref for AlignedVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[self.start..][..self.len]
    }
}

impl<T> DerefMut for AlignedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..][..self.len]
    }
}
