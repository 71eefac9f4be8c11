//! The cases of the fuzzers and of the corpus: `check` of each module makes a case of any bytes,
//! and panics if the crate breaks its contract. Nothing is random, so that every case can be
//! repeated.

#![allow(dead_code)] // Every program uses a part.

#[cfg(feature = "medoids")]
pub(crate) mod medoids;
#[cfg(feature = "softmax")]
pub(crate) mod softmax;
#[cfg(feature = "sparse-transport")]
pub(crate) mod sparse_transport;
#[cfg(feature = "transport")]
pub(crate) mod transport;

use crate::support::{data::rng, double_double::power_of_two, float::Float, guarded::Guarded};
use mantex::{Error, MatRef};
use rand::RngExt;

/// The remaining bytes, from which a case takes its numbers: 0 if none is left.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn bits(&mut self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |bits, _| bits << 8 | u64::from(self.byte()))
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Once in 16 or so, for what ends most cases early.
    fn rarely(&mut self) -> bool {
        self.byte() % 16 == 15
    }

    /// Below `n`, which is at least 1 and at most 65536.
    fn below(&mut self, n: usize) -> usize {
        self.bits(if n > 256 { 2 } else { 1 }) as usize % n
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Any number: any bits, an extreme, a small binary fraction, or one of a wide range.
    fn number<T: Float>(&mut self) -> T {
        match self.below(4) {
            0 => T::from_low_bits(self.bits(size_of::<T>())),
            1 => self.extreme(),
            2 => T::of(f64::from(self.byte() as i8) / 8.0),
            _ => T::of(f64::from(self.bits(2) as i16) * power_of_two(self.below(64) as i32 - 32)),
        }
    }

    fn extreme<T: Float>(&mut self) -> T {
        let (large, normal) = (T::LARGEST.wide(), power_of_two(T::MIN_EXPONENT));
        T::of(self.pick(&[
            0.0,
            -0.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            large,
            -large,
            large / 2.0,
            large.sqrt(),
            T::TINIEST.wide(),
            -T::TINIEST.wide(),
            normal,
            T::SMALLEST,
            1.0,
            1e6,
            32768.0,
        ]))
    }

    /// `n` numbers of one kind, but for a few of any kind among them.
    fn numbers<T: Float>(&mut self, n: usize) -> Vec<T> {
        let mut x: Vec<T> = match self.below(8) {
            0 => (0..n).map(|_| T::from_low_bits(self.bits(size_of::<T>()))).collect(),
            1 => (0..n).map(|_| self.extreme()).collect(),
            2 => (0..n).map(|_| self.number()).collect(),
            3 => (0..n).map(|_| T::of(f64::from(self.byte() as i8) / 8.0)).collect(),
            // Few bytes, many numbers.
            4 => {
                let few: Vec<T> = (0..1 + self.below(4)).map(|_| self.number()).collect();
                (0..n).map(|i| few[i % few.len()]).collect()
            }
            5 => {
                let mut rng = rng(u64::from(self.byte()));
                let most = 1 + self.below(32) as i32;
                (0..n).map(|_| T::of(f64::from(rng.random_range(-most..=most)))).collect()
            }
            _ => {
                let mut rng = rng(u64::from(self.byte()));
                let scale = power_of_two(self.below(24) as i32 - 8);
                let offset = self.pick(&[0.0, 0.0, 1.0, -40.0, 300.0, 1e6, -1e6, 32768.0]);
                (0..n).map(|_| T::of(offset + scale * rng.random_range(-1.0..1.0))).collect()
            }
        };
        for _ in 0..self.below(4) {
            if n > 0 {
                x[self.below(n)] = self.number();
            }
        }
        x
    }

    /// A matrix of numbers, which may lie apart.
    fn matrix<T: Float>(&mut self, rows: usize, cols: usize) -> Matrix<T> {
        let x = self.numbers(rows * cols);
        let gap = self.pick(&[0, 0, 0, 1, 3, 16, 200]);
        Matrix::new(&x, rows, cols, gap)
    }
}

/// A matrix with a gap after each row that must not be read: it is NaN.
pub(crate) struct Matrix<T> {
    rows: usize,
    cols: usize,
    stride: usize,
    data: Guarded<T>,
}

impl<T: Float> Matrix<T> {
    fn new(x: &[T], rows: usize, cols: usize, gap: usize) -> Self {
        let mut matrix = Self::unwritten(rows, cols, gap);
        for i in 0..rows {
            let row = &x[i * cols..][..cols];
            matrix.data.get_mut()[i * matrix.stride..][..cols].copy_from_slice(row);
        }
        matrix
    }

    /// For results; the misalignment follows from the shape.
    fn unwritten(rows: usize, cols: usize, gap: usize) -> Self {
        let stride = cols + gap;
        let len = if rows == 0 { 0 } else { (rows - 1) * stride + cols };
        Self { rows, cols, stride, data: Guarded::unwritten(len, (rows * 3 + cols + gap) % 16) }
    }

    fn view(&self) -> MatRef<'_, T> {
        MatRef::with_stride(self.data.get(), self.rows, self.cols, self.stride).expect("it fits")
    }

    fn view_mut(&mut self) -> mantex::MatMut<'_, T> {
        let Self { rows, cols, stride, .. } = *self;
        mantex::MatMut::with_stride(self.data.get_mut(), rows, cols, stride).expect("it fits")
    }

    /// The rows, after checking that nothing beside them was written.
    fn written(&self) -> Vec<&[T]> {
        let data = self.data.check();
        let rows = || (0..self.rows).map(|i| i * self.stride..i * self.stride + self.cols);
        for (row, next) in rows().zip(rows().skip(1)) {
            assert!(data[row.end..next.start].iter().all(|&x| Guarded::is_guard(x)), "written between rows");
        }
        rows().map(|row| &data[row]).collect()
    }

    fn is_untouched(&self) -> bool {
        self.data.check().iter().all(|&x| Guarded::is_guard(x))
    }
}

/// Whether two results are the same to the bit, but for the bits of a NaN.
fn same<T: Float>(a: &[T], b: &[T]) -> bool {
    let same = |(a, b): (&T, &T)| a.bits() == b.bits() || a.wide().is_nan() && b.wide().is_nan();
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// Whether two calls failed alike; errors may hold NaN, which is not equal to itself.
fn same_error(a: &Error, b: &Error) -> bool {
    format!("{a:?}") == format!("{b:?}")
}
