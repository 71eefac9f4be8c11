//! The report: one page of pictures from the records of all benches, for people who choose hardware
//! and libraries.

pub(crate) mod axis;
pub(crate) mod chart;
pub(crate) mod compare;
pub(crate) mod entries;
pub(crate) mod page;
pub(crate) mod palette;
pub(crate) mod pictures;
pub(crate) mod roofline;

use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folder of the report and of the records that it shows, `bench` in cargo's target folder.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench")
}

/// Writes the report of the records that are there.
pub(crate) fn render() {
    let entries = entries::read_folder(&folder()).unwrap_or_default();
    if entries.is_empty() {
        println!("no records in {}: run a bench first", folder().display());
        return;
    }
    let path = folder().join("report.html");
    std::fs::write(&path, page::page(&entries)).expect("space for the report");
    println!("report: {}", path.display());
}

/// Returns the facts of a machine as one line.
pub(crate) fn machine_line(machine: &Value) -> String {
    let text = |name: &str| machine[name].as_str().unwrap_or_default().to_string();
    let description = Some(text("description")).filter(|text| !text.is_empty());
    let description = description.map_or(String::new(), |text| format!(" ({text})"));
    format!("{}{description}; mantex {}, {}; {}", text("cpu"), text("mantex"), text("rustc"), text("date"))
}
