//! Serialization of options and results: what several types share.
//!
//! Formats such as JSON have no infinities: infinite numbers that a result may have are written as
//! none. Types with rules of their own are read in a form without rules, and then checked.

use crate::{Isa, Real};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl Serialize for Isa {
    /// Writes the [name](Isa::name).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Isa {
    /// Reads a name. An instruction set that this CPU or this build does not have is an error.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl serde::de::Visitor<'_> for Name {
            type Value = Isa;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("the name of an instruction set")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Isa, E> {
                name.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// Reads a factor of over-relaxation.
#[cfg(feature = "transport")]
pub(crate) fn between_0_and_2<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let x = f64::deserialize(deserializer)?;
    if x > 0.0 && x < 2.0 {
        Ok(x)
    } else {
        Err(D::Error::invalid_value(serde::de::Unexpected::Float(x), &"between 0 and 2"))
    }
}

/// Reads a factor of epsilon scaling.
#[cfg(feature = "transport")]
pub(crate) fn above_1<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let x = f64::deserialize(deserializer)?;
    let is_valid = x > 1.0 && x < f64::INFINITY;
    if is_valid { Ok(x) } else { Err(D::Error::invalid_value(serde::de::Unexpected::Float(x), &"above 1 and finite")) }
}

/// Returns `x` in data that cannot hold `infinite`.
#[allow(dead_code)] // Softmax does not call it.
pub(crate) fn to_finite<T: Real>(x: T, infinite: T) -> Option<T> {
    (x != infinite).then_some(x)
}

/// The gap of an objective: +inf is none.
#[cfg(feature = "transport")]
pub(crate) mod gap {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(gap: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        to_finite(*gap, f64::INFINITY).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let gap = Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::INFINITY);
        if gap >= 0.0 {
            Ok(gap)
        } else {
            Err(D::Error::invalid_value(serde::de::Unexpected::Float(gap), &"a gap of at least 0"))
        }
    }
}
