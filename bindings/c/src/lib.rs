//! The C interface of mantex.
//!
//! Every C function is one of the safe Rust functions behind checks: `memory` turns pointers into
//! slices, `boundary` turns errors and panics into status codes, and `twins` writes the functions
//! for `float` and for `double`. The documentation is that of the header: include/mantex.h.

// The names are those of the header.
#![allow(non_camel_case_types)]
// What a caller must promise is said once, in the introduction of the header.
#![allow(clippy::missing_safety_doc)]

#[macro_use]
mod twins;

// The order is that of the header, which rustfmt keeps between empty lines.
mod memory;

mod boundary;

mod isa;

mod softmax;

mod stablemax;

mod ext_sum;

mod transport;

mod csr;

mod batch;

mod sparse_transport;

mod medoids;

mod distances;

pub use batch::*;
pub use boundary::*;
pub use csr::*;
pub use distances::*;
pub use ext_sum::*;
pub use isa::*;
pub use medoids::*;
pub use softmax::*;
pub use sparse_transport::*;
pub use stablemax::*;
pub use transport::*;
