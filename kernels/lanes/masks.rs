//! Tables of masks and of the lanes that are set in a mask.

/// The indices of the set lanes for every mask of eight lanes, in ascending order, one byte each.
pub(super) static SET_LANES: [u64; 256] = {
    let mut table = [0; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut lane, mut found) = (0, 0);
        while lane < 8 {
            if mask >> lane & 1 == 1 {
                table[mask] |= lane << (8 * found);
                found += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    table
};

/// [`compress_indices_u8`](super::IndexLanes::compress_indices_u8) of a mask of up to eight lanes.
#[inline(always)]
pub(super) fn compress_indices_u8(mask: u8, first: u8, out: &mut [u8]) -> usize {
    // `first` plus a set lane is below 256. A carry from an unused byte reaches only unused bytes,
    // which follow those of the set lanes.
    let lanes = SET_LANES[mask as usize].wrapping_add(u64::from(first) * 0x0101_0101_0101_0101);
    out[..8].copy_from_slice(&lanes.to_le_bytes());
    mask.count_ones() as usize
}

/// The 8 elements from `n` on have all bits set in the last `n`, and so have the 4 elements from
/// `4 + n` on.
#[cfg(any(mantex_avx2, mantex_neon))]
pub(super) static LAST_LANES: [u32; 16] = [0, 0, 0, 0, 0, 0, 0, 0, !0, !0, !0, !0, !0, !0, !0, !0];
