//! The levels of the memory at which kernels are compared with the machine.

/// The levels: the name, and the bytes of an input.
pub(crate) const LEVELS: [(&str, usize); 4] =
    [("L1", 12 << 10), ("L2", 256 << 10), ("L3", 6 << 20), (MEMORY, 256 << 20)];

/// The level beyond the caches.
pub(crate) const MEMORY: &str = "DRAM";
