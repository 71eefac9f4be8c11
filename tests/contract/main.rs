//! The contract of every public function, on every instruction set of this CPU. Modules are named
//! for the families: `cargo test --test contract transport` runs the tests of one.

#[path = "../cases/mod.rs"]
mod cases;
#[path = "../support/mod.rs"]
mod support;

mod corpus;
#[cfg(feature = "softmax")]
mod exp;
#[cfg(any(feature = "ndarray", feature = "faer", feature = "nalgebra"))]
mod interop;
mod isa;
#[cfg(feature = "medoids")]
mod medoids;
mod send_sync;
#[cfg(all(feature = "serde", feature = "transport", feature = "medoids"))]
mod serialized;
#[cfg(feature = "softmax")]
mod softmax;
#[cfg(feature = "transport")]
mod transport;
mod views;
