//! The choices of k-medoids: the algorithm and the start.

use crate::error::{Error, IsaName};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// The algorithm that improves the medoids.
///
/// All algorithms except [`Algorithm::Alternating`] end at a local optimum: no swap of a medoid for
/// another object lowers the loss.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Algorithm {
    /// FasterPAM: goes through the candidates cyclically. If the best swap of a candidate lowers
    /// the loss, makes that swap at once. Ends after n candidates in a row without a swap. Takes
    /// O(n²) per pass over the candidates, and usually few passes (Schubert & Rousseeuw 2021,
    /// section 4).
    #[default]
    FasterPam,
    /// [`Algorithm::FasterPam`] with the candidates in a random order, which is the same in every
    /// pass. A special order of the objects then does not bias the result.
    RandomFasterPam {
        /// The seed of the order.
        seed: u64,
    },
    /// FastPAM1: makes the best of all k (n - k) swaps in each iteration. These are the swaps of
    /// PAM (Kaufman & Rousseeuw 1990), in O(n²) instead of O(k n²) per iteration (Schubert &
    /// Rousseeuw 2019; 2021, section 3). Of equally good swaps it makes the first: the lowest
    /// candidate, then the lowest cluster.
    FastPam1,
    /// Voronoi iteration: assigns every object to its nearest medoid, then moves each medoid to the
    /// member of its cluster with the lowest sum of dissimilarities to the others, much as k-means
    /// moves its means (Maranzana 1963; Park & Jun, "A simple and fast algorithm for K-medoids
    /// clustering", 2009, section 2). Takes O(n²/k) per iteration if clusters are equally large,
    /// O(n²) at worst. Ends when no cluster has a better medoid. The loss is usually higher than at
    /// a local optimum.
    ///
    /// The medoid of an empty cluster, a duplicate of another medoid, moves to the object that is
    /// farthest from its nearest medoid, weights included.
    Alternating,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FasterPam => "FasterPAM",
            Self::RandomFasterPam { .. } => "random FasterPAM",
            Self::FastPam1 => "FastPAM1",
            Self::Alternating => "alternating",
        })
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    /// Returns the algorithm of that name, in upper or lower case; with seed 0 if it has a seed.
    ///
    /// # Errors
    /// [`Error::UnknownName`] if no algorithm has the name.
    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Self::FasterPam, Self::RandomFasterPam { seed: 0 }, Self::FastPam1, Self::Alternating];
        let expected = "FasterPAM, random FasterPAM, FastPAM1 or alternating";
        named(all, name).ok_or(Error::UnknownName { argument: "algorithm", name: IsaName::new(name), expected })
    }
}

/// The initial medoids.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Init {
    /// BUILD: the object with the lowest sum of dissimilarities, then one at a time the object that
    /// lowers the loss most; of equally good objects the first. No random numbers, and the lowest
    /// initial loss of these methods, but in O(k n²): for many objects far more than the search
    /// that follows (Kaufman & Rousseeuw 1990; Schubert & Rousseeuw 2021, section 2).
    Build,
    /// LAB, linear approximative BUILD: each medoid is one object of a random sample of 10 +
    /// ceil(sqrt(n)) objects, the one with the lowest loss of that sample, in O(k n) (Schubert &
    /// Rousseeuw 2019, section 3.3; 2021, section 5).
    Lab {
        /// The seed of the samples.
        seed: u64,
    },
    /// k-medoids++: the first medoid is a random object. Each other one is the best of several
    /// random objects, drawn with probabilities proportional to their shares of the loss: of 2 +
    /// floor(ln k), or of up to 64 while all of them are at most a quarter of the objects. Takes
    /// O(k n log k), or at most a quarter of a pass over the matrix, and reads the rows of these
    /// objects only (Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", 2007,
    /// whose probabilities are proportional to squared distances, the loss of k-means).
    PlusPlus {
        /// The seed of the objects.
        seed: u64,
    },
    /// k random objects, all sets equally likely, in O(n). FasterPAM then finds losses nearly as
    /// low as from better starts (Schubert & Rousseeuw 2021, section 5).
    Random {
        /// The seed of the objects.
        seed: u64,
    },
    /// These k objects, in this order.
    Given(Vec<usize>),
}

impl Default for Init {
    /// Returns [`Init::PlusPlus`] with seed 0. From it, FasterPAM takes the least time of all
    /// starts whose final losses are as low.
    fn default() -> Self {
        Self::PlusPlus { seed: 0 }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Build => "BUILD",
            Self::Lab { .. } => "LAB",
            Self::PlusPlus { .. } => "k-medoids++",
            Self::Random { .. } => "random",
            Self::Given(_) => "given",
        })
    }
}

impl FromStr for Init {
    type Err = Error;

    /// Returns the start of that name, in upper or lower case; with seed 0 if it has a seed. No
    /// name is that of given medoids.
    ///
    /// # Errors
    /// [`Error::UnknownName`] if no start has the name.
    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Self::Build, Self::Lab { seed: 0 }, Self::PlusPlus { seed: 0 }, Self::Random { seed: 0 }];
        let expected = "BUILD, LAB, k-medoids++ or random";
        named(all, name).ok_or(Error::UnknownName { argument: "init", name: IsaName::new(name), expected })
    }
}

/// Returns the value of that name, in upper or lower case.
fn named<T: fmt::Display>(all: impl IntoIterator<Item = T>, name: &str) -> Option<T> {
    all.into_iter().find(|value| value.to_string().eq_ignore_ascii_case(name))
}
