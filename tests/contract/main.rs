//! The contract of every public function, on every instruction set of this CPU. Modules are named for the families:
//! `cargo test --test contract transport` runs the tests of one.

#[cfg(feature = "std")]
#[path = "../cases/mod.rs"]
mod cases;
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "std")]
mod corpus;
mod exp;
mod isa;
#[cfg(feature = "std")]
mod medoids;
mod softmax;
#[cfg(feature = "std")]
mod transport;
mod views;
