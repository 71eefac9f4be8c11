//! The one error type of the crate.

use core::fmt;

/// The condition that an argument does not meet. Whenever a function returns an error, its outputs
/// are untouched.
///
/// ```
/// use mantex::{Error, MatRef};
/// match MatRef::new(&[1.0, 2.0, 3.0], 2, 2) {
///     Err(Error::ViewMismatch { len, rows, cols, .. }) => {
///         assert_eq!((len, rows, cols), (3, 2, 2));
///     }
///     other => panic!("{other:?}"),
/// }
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The length of a slice does not match the rest of the call.
    LengthMismatch {
        /// The argument's name.
        argument: &'static str,
        /// Its length.
        actual: usize,
        /// The length it must have.
        expected: usize,
    },
    /// The shape of a matrix does not match the rest of the call.
    ShapeMismatch {
        /// The argument's name.
        argument: &'static str,
        /// Its rows and columns.
        actual: (usize, usize),
        /// The rows and columns it must have.
        expected: (usize, usize),
    },
    /// A matrix view does not match its slice: it has more elements than the slice or, without a
    /// stride, fewer; or its rows overlap (`row_stride < cols`); or its size exceeds `usize`.
    ViewMismatch {
        /// The number of elements in the slice.
        len: usize,
        /// The rows of the view.
        rows: usize,
        /// The columns of the view.
        cols: usize,
        /// The distance between the starts of neighboring rows, in elements.
        row_stride: usize,
    },
    /// A matrix of another crate is not row-major: the elements of a row are not neighbors, or rows
    /// run backwards or overlap.
    NotRowMajor {
        /// The rows of the view.
        rows: usize,
        /// The columns of the view.
        cols: usize,
        /// The distance between neighboring rows, in elements.
        row_stride: isize,
        /// The distance between neighboring elements of a row.
        col_stride: isize,
    },
    /// A matrix that must be square is not.
    NotSquare {
        /// The argument's name.
        argument: &'static str,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
    },
    /// An argument that must have at least one element is empty.
    Empty {
        /// The argument's name.
        argument: &'static str,
    },
    /// An argument has fewer parts than the function needs.
    TooFew {
        /// The argument's name.
        argument: &'static str,
        /// The name of the parts, in the plural.
        parts: &'static str,
        /// The number of parts.
        actual: usize,
        /// The smallest number of parts that the function takes.
        minimum: usize,
    },
    /// A number is outside the range of its argument.
    InvalidParameter {
        /// The argument's name.
        argument: &'static str,
        /// Its value.
        value: f64,
        /// The rule for it, for example "finite and not 0".
        expected: &'static str,
    },
    /// An element of a vector or a matrix is outside the range of its argument.
    InvalidElement {
        /// The argument's name.
        argument: &'static str,
        /// The row of the first such element.
        row: usize,
        /// The column of the first such element; 0 in a vector.
        col: usize,
        /// Its value.
        value: f64,
        /// The rule for it, for example "finite and not negative".
        expected: &'static str,
    },
    /// A sum over an argument overflows.
    SumOverflow {
        /// The argument's name.
        argument: &'static str,
    },
    /// The masses of a marginal sum to 0, or their sum overflows.
    InvalidTotalMass {
        /// The argument's name.
        argument: &'static str,
        /// The sum of its masses.
        total: f64,
    },
    /// The totals of the two marginals of a transport problem differ.
    MassMismatch {
        /// The total of `a`.
        a: f64,
        /// The total of `b`.
        b: f64,
    },
    /// A row or column of a transport problem has mass, but no permitted partner with mass: its
    /// potential cannot be finite.
    Infeasible {
        /// Whether the index is that of a row or of a column.
        axis: Axis,
        /// The index of the row or column.
        index: usize,
    },
    /// The class of a row is not the index of a column.
    ClassOutOfRange {
        /// The row.
        row: usize,
        /// Its class.
        class: usize,
        /// The number of classes, which is the number of columns.
        classes: usize,
    },
    /// The number of medoids is 0, or it exceeds the number of objects.
    MedoidCountOutOfRange {
        /// The number of medoids.
        k: usize,
        /// The number of objects.
        objects: usize,
    },
    /// A medoid is not the index of an object.
    MedoidOutOfRange {
        /// The medoid.
        medoid: usize,
        /// The number of objects.
        objects: usize,
    },
    /// A medoid is given twice.
    DuplicateMedoid {
        /// The medoid.
        medoid: usize,
    },
    /// A cluster label is not below the number of objects.
    LabelOutOfRange {
        /// The object.
        object: usize,
        /// Its label.
        label: usize,
        /// The number of objects.
        objects: usize,
    },
    /// The number of condensed dissimilarities is not n (n - 1) / 2 for any n.
    NotCondensed {
        /// The number of condensed dissimilarities.
        len: usize,
    },
    /// The cosine of a point is undefined, because all its coordinates are 0.
    UndefinedCosine {
        /// The argument's name.
        argument: &'static str,
        /// The row of the point.
        point: usize,
    },
    /// A name is not among the names that its argument can have.
    UnknownName {
        /// The argument's name.
        argument: &'static str,
        /// The name that was given.
        name: IsaName,
        /// The names that the argument can have.
        expected: &'static str,
    },
    /// The ranks of a distributed solve have different arguments.
    RanksDiffer {
        /// The argument's name.
        argument: &'static str,
    },
    /// Another rank of a distributed solve has failed. Its own error says why.
    OtherRank {
        /// The first rank that failed.
        rank: usize,
    },
    /// A [`Reduce`](crate::Reduce) cannot reach the other ranks.
    Communication {
        /// What went wrong.
        reason: &'static str,
    },
    /// No instruction set has this name.
    UnknownIsa {
        /// The name.
        name: IsaName,
    },
    /// This CPU or this build does not have the instruction set of this name.
    UnavailableIsa {
        /// The name.
        name: IsaName,
    },
}

/// One of the two directions of a matrix.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Rows.
    Row,
    /// Columns.
    Column,
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Row => "row",
            Self::Column => "column",
        })
    }
}

/// The name of an instruction set or of an option as the caller gave it, cut to at most 16 bytes,
/// because errors do not allocate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IsaName {
    bytes: [u8; 16],
    len: u8,
}

impl IsaName {
    pub(crate) fn new(name: &str) -> Self {
        let mut bytes = [0; 16];
        let mut len = 0;
        for c in name.chars() {
            if len + c.len_utf8() > bytes.len() {
                break;
            }
            len += c.encode_utf8(&mut bytes[len..]).len();
        }
        Self { bytes, len: len as u8 }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len as usize]).unwrap_or_default()
    }
}

impl fmt::Debug for IsaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for IsaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A number with its noun, in the singular or the plural.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// A number, with an exponent if it would have many zeros.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.abs() {
            size if size == 0.0 || !size.is_finite() || (1e-4..1e16).contains(&size) => write!(f, "{}", self.0),
            _ => write!(f, "{:e}", self.0),
        }
    }
}

impl Error {
    /// Writes an error of masses or of several ranks.
    fn fmt_of_problem(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::InvalidTotalMass { argument, total } => {
                write!(f, "the masses in `{argument}` sum to {}; the sum must be positive and finite", Number(total))
            }
            Self::MassMismatch { a, b } => {
                write!(f, "`a` sums to {} and `b` to {}; the totals must agree", Number(a), Number(b))
            }
            Self::RanksDiffer { argument } => {
                write!(f, "`{argument}` differs between ranks; it must be the same on all of them")
            }
            Self::OtherRank { rank } => write!(f, "rank {rank} has failed; its own error says why"),
            Self::Communication { reason } => write!(f, "the ranks cannot communicate: {reason}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LengthMismatch { argument, actual, expected } => {
                write!(f, "`{argument}` has {}; it must have {expected}", Count(actual, "element"))
            }
            Self::ShapeMismatch { argument, actual: (rows, cols), expected: (expected_rows, expected_cols) } => {
                write!(f, "`{argument}` is {rows} x {cols}; it must be {expected_rows} x {expected_cols}")
            }
            Self::ViewMismatch { len, rows, cols, row_stride } => write!(
                f,
                "a {rows} x {cols} view with row stride {row_stride} does not match a slice of {}; the stride \
                 must be at least the columns, and without a stride the slice must have exactly rows * cols \
                 elements",
                Count(len, "element")
            ),
            Self::NotRowMajor { rows, cols, row_stride, col_stride } => write!(
                f,
                "a {rows} x {cols} view has row stride {row_stride} and column stride {col_stride}; the column \
                 stride must be 1 and the row stride at least the columns: copy the matrix in row-major order, or \
                 view the transpose of a column-major matrix and exchange rows and columns"
            ),
            Self::NotSquare { argument, rows, cols } => {
                write!(f, "`{argument}` is {rows} x {cols}; it must be square")
            }
            Self::Empty { argument } => write!(f, "`{argument}` is empty; it must have at least one element"),
            Self::TooFew { argument, parts, actual, minimum } => {
                write!(f, "the number of {parts} in `{argument}` is {actual}; it must be at least {minimum}")
            }
            Self::InvalidParameter { argument, value, expected } => {
                write!(f, "`{argument}` is {}; it must be {expected}", Number(value))
            }
            Self::InvalidElement { argument, row, col, value, expected } => {
                write!(f, "`{argument}` has {} at ({row}, {col}); it must be {expected}", Number(value))
            }
            Self::SumOverflow { argument } => write!(f, "a sum over `{argument}` overflows; scale it down"),
            Self::Infeasible { axis, index } => {
                write!(f, "{axis} {index} has mass, but all its partners with mass are forbidden (infinite cost)")
            }
            Self::ClassOutOfRange { row, class, classes } => {
                write!(
                    f,
                    "the class of row {row} is {class}; it must be below {classes}, the number of columns, or `IGNORED`"
                )
            }
            Self::MedoidCountOutOfRange { k, objects } => {
                write!(f, "`k` is {k}; it must be from 1 to {objects}, the number of objects")
            }
            Self::MedoidOutOfRange { medoid, objects } => {
                write!(f, "a medoid is {medoid}; it must be below {objects}, the number of objects")
            }
            Self::DuplicateMedoid { medoid } => write!(f, "medoid {medoid} is given twice; medoids must be distinct"),
            Self::LabelOutOfRange { object, label, objects } => {
                write!(f, "the label of object {object} is {label}; it must be below {objects}, the number of objects")
            }
            Self::NotCondensed { len } => {
                write!(f, "the number of condensed dissimilarities is {len}; it must be n (n - 1) / 2 for n objects")
            }
            Self::UndefinedCosine { argument, point } => {
                write!(f, "point {point} of `{argument}` is 0 in all coordinates; a cosine needs a direction")
            }
            Self::UnknownName { argument, name, expected } => {
                write!(f, "`{argument}` is {name:?}; it must be {expected}")
            }
            Self::InvalidTotalMass { .. }
            | Self::MassMismatch { .. }
            | Self::RanksDiffer { .. }
            | Self::OtherRank { .. }
            | Self::Communication { .. } => self.fmt_of_problem(f),
            // new ISA: its name.
            Self::UnknownIsa { name } => {
                write!(f, "{name:?} is not an instruction set; it must be avx512, avx2, neon or scalar")
            }
            Self::UnavailableIsa { name } => {
                write!(f, "instruction set {name:?} is not available on this CPU or in this build")
            }
        }
    }
}

impl core::error::Error for Error {}
