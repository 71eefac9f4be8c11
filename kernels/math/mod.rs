//! Functions of one vector: the exponential as (mantissa, exponent), powers of two and logarithms.

pub(crate) mod exp;
