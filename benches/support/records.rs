//! The records of a run, one JSON object a line: `ci/readme` renders the tables of the docs from
//! such lines.

use super::arguments::Arguments;
use super::machine::Machine;
use super::record::Record;
use std::fs::File;
use std::io::Write as _;

/// The records of one run of a bench.
pub(crate) struct Records {
    bench: &'static str,
    machine: Machine,
    file: Option<File>,
}

impl Records {
    /// Prints the machine, and opens the file that `--record` names.
    pub(crate) fn new(bench: &'static str, arguments: &Arguments) -> Self {
        let machine = Machine::detect(arguments.machine.as_deref().unwrap_or_default());
        machine.print();
        let open = |path| File::options().create(true).append(true).open(path).expect("a file for records");
        Self { bench, machine, file: arguments.record.as_deref().map(open) }
    }

    /// Prints the record as a line of text, and writes it to the file.
    pub(crate) fn print(&mut self, record: Record) {
        println!("{}", record.text().trim_end());
        self.write(&record);
    }

    /// Writes the record to the file.
    pub(crate) fn write(&mut self, record: &Record) {
        if let Some(file) = &mut self.file {
            writeln!(file, "{}", record.json(self.bench, &self.machine)).expect("space for a record");
        }
    }
}
