//! Buffers at a chosen misalignment, between guards that show reads and writes out of bounds.

use super::float::Float;

/// At least the number of lanes of any vector.
pub(crate) const LANES: usize = 16;

/// The length of the guard on each side, in elements: more than an unrolled step of a kernel.
const GUARD: usize = 128;

/// A slice at a chosen misalignment with guards on both sides. The guards are NaN: reading them
/// spoils the result, writing them is found by [`Guarded::check`].
pub(crate) struct Guarded<T> {
    buffer: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Float> Guarded<T> {
    fn guard() -> T {
        // A quiet NaN with a payload of its own.
        T::from_low_bits(T::of(f64::NAN).bits() | 0x5_a5a5)
    }

    /// Holds `x`, starting `offset` elements after a multiple of 64 bytes.
    pub(crate) fn new(x: &[T], offset: usize) -> Self {
        let mut guarded = Self::unwritten(x.len(), offset);
        guarded.get_mut().copy_from_slice(x);
        guarded
    }

    /// A slice of `len` elements that are all guards, aligned as by [`Guarded::new`].
    pub(crate) fn unwritten(len: usize, offset: usize) -> Self {
        let buffer = vec![Self::guard(); len + 2 * GUARD + 64 + offset];
        let start = buffer.as_ptr().align_offset(64) + GUARD + offset;
        Self { buffer, start, len }
    }

    pub(crate) fn get(&self) -> &[T] {
        &self.buffer[self.start..self.start + self.len]
    }

    pub(crate) fn get_mut(&mut self) -> &mut [T] {
        &mut self.buffer[self.start..self.start + self.len]
    }

    /// The content, after checking that the guards are as they were.
    pub(crate) fn check(&self) -> &[T] {
        let outside = self.buffer[..self.start].iter().chain(&self.buffer[self.start + self.len..]);
        assert!(outside.into_iter().all(|&x| Self::is_guard(x)), "written out of bounds");
        self.get()
    }

    pub(crate) fn is_guard(x: T) -> bool {
        x.bits() == Self::guard().bits()
    }
}
