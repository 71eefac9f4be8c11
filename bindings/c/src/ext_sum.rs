//! A sum of exponentials that streams and merges.

use crate::isa::chosen_isa;
use mantex::{ExtSum, Real};
use std::marker::PhantomData;
use std::mem::{align_of, size_of, MaybeUninit};
use std::ptr;

/// A sum of exponentials, sum_i exp(x[i]), that streams, merges and never overflows: sum the parts
/// of an array on several threads, or as they arrive, and merge the sums. It is a plain struct:
/// copy it with =. What it contains can change between versions: do not store it in files.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mantex_ext_sum<T> {
    /// The contents, and room for more.
    pub opaque: [MaybeUninit<u64>; 8],
    /// Nothing: it only tells the types apart.
    of: PhantomData<T>,
}

impl<T: Real> mantex_ext_sum<T> {
    fn new(sum: ExtSum<T>) -> Self {
        const { assert!(size_of::<ExtSum<T>>() <= size_of::<[u64; 8]>()) };
        const { assert!(align_of::<ExtSum<T>>() <= align_of::<u64>()) };
        let mut opaque = [MaybeUninit::new(0); 8];
        // SAFETY: The sum is not larger than the array, and no reference to it exists.
        unsafe { ptr::write(opaque.as_mut_ptr().cast::<ExtSum<T>>(), sum) };
        Self { opaque, of: PhantomData }
    }

    fn get(&self) -> ExtSum<T> {
        // SAFETY: The array is as large and as aligned as the sum (asserted in `new`), and the sum
        // consists of floating-point numbers, for which every pattern of bits is valid. Its
        // caller promises that one of the functions here wrote it.
        unsafe { ptr::read(self.opaque.as_ptr().cast::<ExtSum<T>>()) }
    }
}

twins! {
    /// Writes the sum of the exponentials of n numbers to *out; the empty sum if n is 0.
    fn mantex_ext_sum_of_f32 / mantex_ext_sum_of_f64(n: usize, x: *const T, out: *mut ext_sum, isa: isa) |memory| {
        let x = memory.input("x", x, n)?;
        *memory.result("out", out)? = mantex_ext_sum::new(chosen_isa(isa)?.ext_sum(x));
        Ok(())
    }

    /// Adds another sum to *sum. Merging is commutative, and associative up to rounding.
    fn mantex_ext_sum_merge_f32 / mantex_ext_sum_merge_f64(sum: *mut ext_sum, other: *const ext_sum) |memory| {
        let other = memory.value("other", other)?;
        let sum = memory.result("sum", sum)?;
        *sum = mantex_ext_sum::new(sum.get().merge(other.get()));
        Ok(())
    }

    /// Writes the logarithm of a sum to *out; -inf for the empty sum.
    fn mantex_ext_sum_ln_f32 / mantex_ext_sum_ln_f64(sum: *const ext_sum, out: *mut T) |memory| {
        let sum = memory.value("sum", sum)?;
        *memory.result("out", out)? = sum.get().ln();
        Ok(())
    }
}
