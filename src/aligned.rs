//! Vectors of numbers that begin at a cache line.

use core::ops::{Deref, DerefMut};

/// The bytes of a cache line.
const LINE_BYTES: usize = 64;

/// The bytes of a page of memory.
const PAGE_BYTES: usize = 4096;

/// A slice on the heap that begins at a cache line, so that no vector of 64 bytes lies in two
/// lines.
pub(crate) struct AlignedVec<T> {
    /// The slice, with some elements before or behind it.
    memory: Vec<T>,
    /// The index of its first element.
    start: usize,
    /// Its length.
    len: usize,
}

impl<T: Copy + Default> AlignedVec<T> {
    /// `len` numbers, all 0; `None` if there is no memory for them.
    pub(crate) fn try_zeros(len: usize) -> Option<Self> {
        Self::within(len, LINE_BYTES, |_| 0)
    }

    /// `len` numbers, all 0, that begin half a page away from the place of `x` in its page. A load
    /// that follows a store to the same place of another page looks to the CPU like a load of what
    /// was stored.
    pub(crate) fn try_zeros_away_from(x: &[T], len: usize) -> Option<Self> {
        let x = x.as_ptr().addr();
        Self::within(len, 2 * PAGE_BYTES, |start| {
            (x.wrapping_sub(start).wrapping_add(PAGE_BYTES / 2)) % PAGE_BYTES / LINE_BYTES * LINE_BYTES
        })
    }

    /// `len` numbers, all 0, with `spare_bytes` around them; `skip_bytes` maps the address of the
    /// first cache line to the bytes from there to the slice.
    fn within(len: usize, spare_bytes: usize, skip_bytes: impl Fn(usize) -> usize) -> Option<Self> {
        let spare = spare_bytes / size_of::<T>();
        let mut memory = Vec::new();
        memory.try_reserve_exact(len.checked_add(spare)?).ok()?;
        memory.resize(len + spare, T::default());
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
