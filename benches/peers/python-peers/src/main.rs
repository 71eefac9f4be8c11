//! Python's libraries beside mantex, each in a process of its own on the same core.
//!
//! The inputs go to the processes in files. Results come back in files and are compared with those
//! of mantex, or checked against the problem, before the times. Then all are timed in turns: each
//! process takes the time of its own work.
//!
//! `../python` starts this program. Its words are `FAMILY/PACKAGE/ENVIRONMENT`: what to compare,
//! and the virtual environment in `../target/python` that has the package.

#[path = "../../support.rs"]
mod support;

mod medoids;
mod npy;
mod softmax;
mod sparse;
mod transport;
mod worker;

use support::Comparison;
use support::arguments::Arguments;
use worker::Package;

fn main() {
    let arguments = Arguments::new();
    let packages: Vec<Package> = arguments.words.iter().map(|word| Package::parse(word)).collect();
    let mut comparison = Comparison::new("python", None, &arguments);
    softmax::compare(&mut comparison, &packages);
    transport::compare(&mut comparison, &packages);
    transport::compare_last_digits(&mut comparison, &packages);
    sparse::compare(&mut comparison, &packages);
    medoids::compare(&mut comparison, &packages);
}
