//! Records, read back from the files that benches write.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// One record.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) bench: String,
    /// The function, the type, the instruction set and the sizes, between slashes.
    pub(crate) work: String,
    /// The other library that did the work, if one did.
    pub(crate) peer: Option<String>,
    /// The measured quantity; NaN if the record has a ratio only.
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// The quartiles of the quantity; those of older records and of single rounds are the quantity.
    pub(crate) quartiles: [f64; 2],
    /// 0 in older records.
    pub(crate) rounds: u64,
    /// The comparison: the ratio, and what the quantity is compared with.
    pub(crate) ratio: Option<(f64, String)>,
    pub(crate) details: Vec<(String, f64)>,
    pub(crate) machine: Value,
}

impl Entry {
    /// Reads a line of a file.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| record[name].as_str().map(String::from);
        let value = record["value"].as_f64().unwrap_or(f64::NAN);
        let quartile = |i: usize| record["quartiles"][i].as_f64().unwrap_or(value);
        let details = record["details"].as_object()?.iter();
        Some(Self {
            bench: text("bench")?,
            work: text("work")?,
            peer: text("peer"),
            value,
            unit: text("unit").unwrap_or_default(),
            quartiles: [quartile(0), quartile(1)],
            rounds: record["rounds"].as_u64().unwrap_or(0),
            ratio: record["ratio"].as_f64().zip(text("of")),
            details: details.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect(),
            machine: record["machine"].clone(),
        })
    }

    /// The first part of the work.
    pub(crate) fn function(&self) -> &str {
        self.work.split('/').next().unwrap_or_default()
    }

    /// Whether one part of the work is this text.
    pub(crate) fn has(&self, part: &str) -> bool {
        self.work.split('/').any(|p| p == part)
    }

    /// Returns the number at the beginning of the part `name=number..`.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        let part = self.work.split('/').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
        part.split('*').next()?.parse().ok()
    }

    /// What the quantity is compared with.
    pub(crate) fn of(&self) -> Option<&str> {
        self.ratio.as_ref().map(|(_, of)| of.as_str())
    }

    /// Returns a detail.
    pub(crate) fn detail(&self, name: &str) -> Option<f64> {
        self.details.iter().find(|(detail, _)| detail == name).map(|(_, value)| *value)
    }

    /// Whether two records are of the same comparison.
    fn is_again(&self, other: &Self) -> bool {
        (&self.bench, &self.work, &self.peer, self.of()) == (&other.bench, &other.work, &other.peer, other.of())
    }
}

/// Returns the records of the lines: the last one of each comparison.
pub(crate) fn newest(lines: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for entry in lines.lines().filter_map(Entry::parse) {
        entries.retain(|older| !older.is_again(&entry));
        entries.push(entry);
    }
    entries
}

/// Returns the records of a file, the last one of each comparison.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<Entry>> {
    Ok(newest(&std::fs::read_to_string(path)?))
}

/// Returns the records of all files of a folder.
pub(crate) fn read_folder(folder: &Path) -> std::io::Result<Vec<Entry>> {
    let files = std::fs::read_dir(folder)?.filter_map(|file| Some(file.ok()?.path()));
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|ext| ext == "jsonl")).collect();
    files.sort();
    let mut entries = Vec::new();
    for file in files {
        entries.extend(read(&file)?);
    }
    Ok(entries)
}
