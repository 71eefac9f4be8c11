//! Measures of distance.

use crate::Error;
use crate::error::IsaName;
use core::fmt;
use core::str::FromStr;

/// A measure of the distance between two points.
///
/// In the bounds of errors, EPSILON is the machine epsilon of the type and D the number of
/// dimensions. The bounds hold for coordinates of any magnitude, as long as the distance itself is
/// a normal number; subnormal distances have an absolute error of at most the smallest positive
/// number. Sums of D terms have a relative error of at most 4 EPSILON, whatever D is, unless nearly
/// all additions round in the same direction and by nearly half an ulp, as when fifteen terms just
/// below EPSILON / 2 are added to 1, one by one. Whatever the points, the relative error is at most
/// `min(D + 4, 25) EPSILON / 2`.
///
/// ```
/// use mantex::Metric;
/// assert_eq!("Manhattan".parse(), Ok(Metric::Manhattan));
/// assert_eq!(Metric::SquaredEuclidean.to_string(), "squared_euclidean");
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Metric {
    /// The sum of squared differences, within the relative error of sums.
    SquaredEuclidean,
    /// The square root of the sum of squared differences, within half the relative error of sums
    /// plus EPSILON / 2. The squares may be out of range: points that are 1e20 or 1e-25 apart
    /// (f64: 1e200, 1e-200) have these distances.
    Euclidean,
    /// The sum of absolute differences, within the relative error of sums.
    Manhattan,
    /// 1 minus the cosine of the angle between the points as vectors: 0 for equal directions, 2 for
    /// opposite ones, and never outside of this range. Points with all coordinates 0 are errors.
    ///
    /// The result is half the squared Euclidean distance x of the points scaled to length 1. The
    /// distances of nearly parallel points are therefore accurate, too: their relative error is at
    /// most `min(D + 30, 51) EPSILON / 2`, plus an absolute error of at most
    /// `3 EPSILON sqrt(x) + 100 EPSILON²`.
    Cosine,
    /// [`Metric::Cosine`], but points with all coordinates 0 are allowed: their distance from all
    /// other points is 1, as if they were orthogonal to them. It is 0 between two such points.
    CosineOrOne,
}

impl Metric {
    /// All metrics with their names.
    const NAMES: [(Self, &'static str); 5] = [
        (Self::SquaredEuclidean, "squared_euclidean"),
        (Self::Euclidean, "euclidean"),
        (Self::Manhattan, "manhattan"),
        (Self::Cosine, "cosine"),
        (Self::CosineOrOne, "cosine_or_one"),
    ];
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::NAMES.iter().find(|(metric, _)| metric == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for Metric {
    type Err = Error;

    /// Returns the metric of that name, in upper or lower case.
    ///
    /// # Errors
    /// [`Error::UnknownName`] if no metric has the name.
    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::NAMES.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
        let expected = "squared_euclidean, euclidean, manhattan, cosine or cosine_or_one";
        found.map(|(metric, _)| metric).ok_or(Error::UnknownName {
            argument: "metric",
            name: IsaName::new(name),
            expected,
        })
    }
}
