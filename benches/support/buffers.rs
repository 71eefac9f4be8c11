//! Memory that is large enough for runs out of the caches.

/// Anonymous memory, on huge pages if the system has them.
pub(crate) struct Buffer(memmap2::MmapMut);

impl Buffer {
    /// Reserves `bytes` bytes; a page takes physical memory when it is first written.
    pub(crate) fn new(bytes: usize) -> Self {
        let map = memmap2::MmapMut::map_anon(bytes).expect("memory for a buffer");
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage); // Only advice: it fails on a system without huge pages.
        Self(map)
    }

    /// The first `len` elements.
    pub(crate) fn elements<T: bytemuck::Pod>(&mut self, len: usize) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.0[..len * size_of::<T>()])
    }

    /// `len` elements that begin 1088 bytes after a multiple of 4 KiB.
    ///
    /// An output must not begin a multiple of 4 KiB after its input: the CPU compares the low 12
    /// bits of addresses first, and would hold back each load of the input behind a store to the
    /// output.
    pub(crate) fn shifted_elements<T: bytemuck::Pod>(&mut self, len: usize) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.0[SHIFT_BYTES..][..len * size_of::<T>()])
    }
}

/// The distance of a shifted output from a page's beginning: 17 cache lines.
pub(crate) const SHIFT_BYTES: usize = 1088;
