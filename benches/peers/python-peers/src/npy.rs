//! Matrices in files: inputs in NumPy's format (version 1.0), results as bare f64.

use mantex::Real;
use std::fs::{File, read};
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// Writes a matrix in rows.
pub(crate) fn write<T: Real>(path: &Path, rows: usize, data: &[T]) {
    let (bytes, shape) = (size_of::<T>(), [rows, data.len() / rows]);
    let [rows, cols] = shape;
    let mut header = format!("{{'descr': '<f{bytes}', 'fortran_order': False, 'shape': ({rows}, {cols}), }}");
    // The data begin at a multiple of 64 bytes, and the header ends with a line feed.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header = format!("{header:<0$}\n", length - 1);
    let mut file = BufWriter::new(File::create(path).expect("a file for inputs"));
    let mut put = |bytes: &[u8]| file.write_all(bytes).expect("space for inputs");
    put(b"\x93NUMPY\x01\x00");
    put(&(length as u16).to_le_bytes());
    put(header.as_bytes());
    for &x in data {
        let x: f64 = x.into();
        if bytes == 4 { put(&(x as f32).to_le_bytes()) } else { put(&x.to_le_bytes()) }
    }
    file.flush().expect("space for inputs");
}

/// Reads the numbers of a result.
pub(crate) fn read_f64(path: &Path) -> Vec<f64> {
    let bytes = read(path).expect("a file of results");
    let (numbers, rest) = bytes.as_chunks::<8>();
    assert!(rest.is_empty(), "the results are not f64");
    numbers.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
}
