//! Random numbers that need no library, and are the same in any language and on any machine.

/// Returns numbers from 0 to below 1, from Knuth's linear congruential generator of 64 bits.
pub(crate) fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut x = seed;
    move || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 11) as f64 / (1_u64 << 53) as f64
    }
}
