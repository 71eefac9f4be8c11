//! What the functions do outside of their arguments, which is nothing: no access beyond a slice,
//! whatever its shape and stride, no allocation, little stack, and first calls that may come
//! together. A program of its own, because its allocator counts.

#![cfg(all(unix, feature = "softmax", feature = "transport", feature = "medoids"))]
#![allow(unsafe_code)] // Page protection, and the allocator.

#[path = "../support/mod.rs"]
mod support;

mod allocations;
mod entry_points;
mod fences;
mod first_calls;
mod floating_point;
mod huge_shapes;
mod medoids_at_fences;
mod problems;
mod softmax_at_fences;
mod stack;
mod transport_at_fences;
