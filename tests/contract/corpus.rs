//! The fuzzers' cases on every instruction set: those kept in `tests/corpus`, and random bytes.
//! `fuzz/` looks for more.

use crate::cases;
use crate::support::{data::rng, isas::small_cases};
use rand::{Rng, RngExt};
use std::path::Path;

/// All files of the target's corpus, and some hundred cases of random bytes.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut files: Vec<_> = folder.read_dir().expect("the corpus").map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus of {target}");
    // A failure is preceded by its case.
    let run = |name: &str, data: &[u8]| {
        println!("{target}: {name}");
        check(data);
    };
    for file in files {
        run(&file.display().to_string(), &std::fs::read(&file).expect("a case"));
    }
    let mut rng = rng(71);
    for i in 0..if small_cases() { 50 } else { 500 } {
        let mut data = vec![0; rng.random_range(0..if i % 4 == 0 { 600 } else { 60 })];
        rng.fill_bytes(&mut data);
        run(&format!("{data:?}"), &data);
    }
}

#[cfg(feature = "softmax")]
#[test]
fn softmax() {
    replay("softmax", cases::softmax::check);
}

#[cfg(feature = "transport")]
#[test]
fn transport() {
    replay("transport", cases::transport::check);
}

#[cfg(feature = "medoids")]
#[test]
fn medoids() {
    replay("medoids", cases::medoids::check);
}
