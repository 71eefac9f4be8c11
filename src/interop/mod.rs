//! Views of the matrices of other crates, without copies, and back; options and results as data.
//!
//! A conversion into a view fails with `Error::NotRowMajor` unless the elements of each row are
//! neighbors. Rows may be any distance apart. A conversion back always succeeds.

#[cfg(feature = "faer")]
mod faer;
#[cfg(feature = "nalgebra")]
mod nalgebra;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "serde")]
pub(crate) mod serde;
#[cfg(any(feature = "ndarray", feature = "faer", feature = "nalgebra"))]
mod views;
