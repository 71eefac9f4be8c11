//! The one error type of the crate.

use core::fmt;

/// What was wrong with an argument. Whenever a function returns an error, its outputs are untouched.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// A slice has another length than the rest of the call asks for.
    Length {
        /// The argument's name.
        argument: &'static str,
        /// Its length.
        actual: usize,
        /// The length it must have.
        expected: usize,
    },
    /// A matrix has another shape than the rest of the call asks for.
    Shape {
        /// The argument's name.
        argument: &'static str,
        /// Its rows and columns.
        actual: (usize, usize),
        /// The rows and columns it must have.
        expected: (usize, usize),
    },
    /// A matrix view does not fit its slice: `rows`, `cols` and `row_stride` ask for more elements than there are,
    /// overlap (`row_stride < cols`), or multiply past `usize`.
    View {
        /// Elements in the slice.
        len: usize,
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
        /// Distance between the starts of neighbouring rows asked for, in elements.
        row_stride: usize,
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
    /// An argument that must have at least one element has none.
    Empty {
        /// The argument's name.
        argument: &'static str,
    },
    /// A number lies outside what the argument allows.
    Parameter {
        /// The argument's name.
        argument: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
    /// An element of a vector or matrix lies outside what the argument allows (vectors have column 0).
    Element {
        /// The argument's name.
        argument: &'static str,
        /// Row of the first such element.
        row: usize,
        /// Column of the first such element.
        col: usize,
        /// Its value.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
    /// The marginals of a transport problem do not carry the same total mass.
    MassMismatch {
        /// Total of `a`.
        a: f64,
        /// Total of `b`.
        b: f64,
    },
    /// A row or column of a transport problem has mass, but no permitted partner: its potentials cannot be finite.
    Infeasible {
        /// `"row"` or `"column"`.
        side: &'static str,
        /// Its index.
        index: usize,
    },
    /// A row's class is not one of the columns.
    Class {
        /// The row.
        row: usize,
        /// Its class.
        class: usize,
        /// Classes there are: the number of columns.
        classes: usize,
    },
    /// The number of medoids is zero or exceeds the number of objects.
    MedoidCount {
        /// Medoids asked for.
        k: usize,
        /// Objects there are.
        objects: usize,
    },
    /// A given medoid index is out of range or appears twice.
    Medoid {
        /// The index.
        medoid: usize,
        /// Objects there are.
        objects: usize,
        /// Whether it appears twice (else it is out of range).
        duplicate: bool,
    },
    /// A cluster label is not below the number of objects.
    Label {
        /// The object.
        object: usize,
        /// Its label.
        label: usize,
        /// Objects there are.
        objects: usize,
    },
    /// Condensed dissimilarities are not n (n - 1) / 2 for any n.
    Condensed {
        /// How many there are.
        len: usize,
    },
    /// A point has no direction, all its coordinates being 0, and so no cosine.
    ZeroPoint {
        /// Its row.
        point: usize,
    },
    /// A name that is no instruction set, or one that this CPU or build does not have.
    Isa {
        /// The name.
        name: IsaName,
        /// Whether the name is one of an instruction set, just not available here.
        known: bool,
    },
}

/// An instruction set's name as it was given, cut to what fits (errors do not allocate).
#[derive(Clone, Copy, PartialEq, Eq)]
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

    /// The name.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len as usize]).unwrap_or_default()
    }
}

impl fmt::Debug for IsaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { argument, actual, expected } => {
                write!(f, "`{argument}` has {actual} elements, must have {expected}")
            }
            Self::Shape { argument, actual, expected } => {
                let ((r, c), (er, ec)) = (actual, expected);
                write!(f, "`{argument}` is {r} x {c}, must be {er} x {ec}")
            }
            Self::View { len, rows, cols, row_stride } => write!(
                f,
                "a {rows} x {cols} view with row stride {row_stride} does not fit a slice of {len} elements \
                 (the stride must be at least the columns; without a stride the slice must have exactly rows * cols)"
            ),
            Self::NotSquare { argument, rows, cols } => write!(f, "`{argument}` is {rows} x {cols}, must be square"),
            Self::Empty { argument } => write!(f, "`{argument}` is empty, must have at least one element"),
            Self::Parameter { argument, value, expected } => write!(f, "`{argument}` is {value}, must be {expected}"),
            Self::Element { argument, row, col, value, expected } => {
                write!(f, "`{argument}` holds {value} at ({row}, {col}), must be {expected}")
            }
            Self::MassMismatch { a, b } => write!(f, "`a` sums to {a} and `b` to {b}, the totals must agree"),
            Self::Infeasible { side, index } => {
                write!(f, "{side} {index} has mass, but every pair of it with mass is forbidden (infinite cost)")
            }
            Self::Class { row, class, classes } => {
                write!(f, "class {class} of row {row} is out of range, must be below {classes} (the columns)")
            }
            Self::MedoidCount { k, objects } => write!(f, "`k` is {k}, must be 1 to {objects} (the objects)"),
            Self::Medoid { medoid, objects, duplicate: false } => {
                write!(f, "medoid {medoid} is out of range, must be below {objects}")
            }
            Self::Medoid { medoid, duplicate: true, .. } => write!(f, "medoid {medoid} is given twice"),
            Self::Label { object, label, objects } => {
                write!(f, "label {label} of object {object} is out of range, must be below {objects} (the objects)")
            }
            Self::Condensed { len } => {
                write!(f, "there are {len} condensed dissimilarities, must be n (n - 1) / 2 for n objects")
            }
            Self::ZeroPoint { point } => write!(f, "point {point} is zero, must have a direction for its cosine"),
            Self::Isa { name, known: true } => {
                write!(f, "instruction set {name:?} is not available on this CPU or in this build")
            }
            Self::Isa { name, known: false } => {
                write!(f, "{name:?} is no instruction set, must be one of avx512, avx2, neon, scalar")
            }
        }
    }
}

impl core::error::Error for Error {}
