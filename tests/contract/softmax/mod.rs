//! The softmax family against references in higher precision, on every instruction set of this CPU.
//!
//! The tolerances are the contract's: softmax 4 ulp, log-sum-exp 2 ulp of the largest of the
//! maximum, what exceeds it, and the result, log-softmax 2 ulp of the result at any size. `cargo
//! test --test contract softmax -- --nocapture` prints the largest errors seen.

mod accuracy;
mod adversarial;
mod columns;
mod dominated;
mod ext_sum;
mod gradients;
mod masks;
mod options;
mod properties;
mod rows;
mod special_values;
mod stablemax;

use crate::support::{
    float::Float,
    isas::small_cases,
    reference::Reference,
    report::Report,
    rows::{row, streamed_length},
    softmax::{Outputs, check_outputs, run_row},
};
use mantex::Isa;
use rand::rngs::StdRng;

/// Checks the accuracy at the first alignment, and that the others give the same bits. An alignment
/// that is listed twice runs twice.
fn check_row<T: Float>(report: &mut Report, isas: &[Isa], name: &str, x: &[T], offsets: &[usize]) {
    let reference = Reference::new(x);
    for &isa in isas {
        let out = run_row(isa, x, offsets[0]);
        check_outputs(report, isa, name, x, &reference, &out);
        for &offset in &offsets[1..] {
            let again = run_row(isa, x, offset);
            assert!(again.same(&out), "{name}, n = {}, misaligned by {offset} elements, differs on {isa}", x.len());
        }
    }
}

/// A row of [`streamed_length`]. With small cases it repeats a short row, because the reference is
/// slow.
fn streamed_row<T: Float>(kind: &str, rng: &mut StdRng) -> Vec<T> {
    let n = streamed_length::<T>();
    if small_cases() { row::<T>(kind, 999, rng).into_iter().cycle().take(n).collect() } else { row::<T>(kind, n, rng) }
}

/// Whether softmax, in place and not, and log-softmax are all NaN.
fn all_nan<T: Float>(out: &Outputs<T>) -> bool {
    let rows = [&out.softmax, &out.in_place, &out.log_softmax];
    rows.iter().all(|row| row.iter().all(|x| x.wide().is_nan()))
}

/// Softmax on one instruction set.
fn softmax_of<T: Float>(isa: Isa, x: &[T]) -> Vec<T> {
    let mut out = vec![T::of(f64::NAN); x.len()];
    isa.softmax(x, &mut out).expect("equal lengths");
    out
}
