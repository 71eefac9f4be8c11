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

/// The 8 elements from `n` on have all bits set in the last `n`, and so have the 4 elements from
/// `4 + n` on.
pub(super) static LAST_LANES: [u32; 16] = [0, 0, 0, 0, 0, 0, 0, 0, !0, !0, !0, !0, !0, !0, !0, !0];
