//! Functions of one vector, over the lanes.

pub(crate) mod compensated;
pub(crate) mod exp;
pub(crate) mod ln;
pub(crate) mod polynomial;
