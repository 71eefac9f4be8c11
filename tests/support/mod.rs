//! The tools that the test programs and the fuzzers share, one file each.

#![allow(dead_code)] // Every program uses a part.

pub(crate) mod child;
pub(crate) mod data;
#[cfg(feature = "medoids")]
pub(crate) mod distances;
pub(crate) mod double_double;
mod elementary;
pub(crate) mod float;
#[cfg(feature = "softmax")]
pub(crate) mod gradients;
pub(crate) mod guarded;
pub(crate) mod isas;
#[cfg(any(feature = "transport", feature = "medoids"))]
pub(crate) mod ranks;
pub(crate) mod reference;
pub(crate) mod report;
pub(crate) mod rows;
#[cfg(feature = "softmax")]
pub(crate) mod softmax;
#[cfg(feature = "softmax")]
pub(crate) mod stablemax;
pub(crate) mod ulp;

/// Makes a test of each generic function, for both types.
#[allow(unused_macros)] // The fuzzers have no tests.
macro_rules! for_both_types {
    ($($test:ident)*) => {
        mod f32 {
            $(#[test] fn $test() { super::$test::<f32>(); })*
        }
        mod f64 {
            $(#[test] fn $test() { super::$test::<f64>(); })*
        }
    };
}
#[allow(unused_imports)] // As above.
pub(crate) use for_both_types;
