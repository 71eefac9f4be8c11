//! The records of a run, one JSON object a line: `ci/readme` renders the tables of the docs from
//! such lines, and `report` draws its pictures from them.

use super::arguments::Arguments;
use super::machine::Machine;
use super::record::Record;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{File, create_dir_all};
use std::io::Write as _;
use std::path::Path;

/// The work of a step.
pub(crate) type Run<C> = Box<dyn Fn(&mut C, &mut Records)>;

/// One comparison or a few, with a name for people, on data that all steps share.
pub(crate) struct Step<C> {
    pub(crate) name: String,
    pub(crate) run: Run<C>,
}

impl<C> Step<C> {
    pub(crate) fn new(name: impl Into<String>, run: impl Fn(&mut C, &mut Records) + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// The records of one run of a bench.
pub(crate) struct Records {
    bench: &'static str,
    machine: Machine,
    files: Vec<File>,
    progress: ProgressBar,
}

impl Records {
    /// Prints the machine, and opens the files: that of the report in `folder`, and that of
    /// `--record`.
    pub(crate) fn new(bench: &'static str, arguments: &Arguments, folder: &Path) -> Self {
        let machine = Machine::detect(arguments.machine.as_deref().unwrap_or_default());
        machine.print();
        create_dir_all(folder).expect("a folder for records");
        let own = folder.join(bench).with_extension("jsonl");
        let open = |path: &Path| File::options().create(true).append(true).open(path).expect("a file for records");
        let files = [Some(own.as_path()), arguments.record.as_ref().map(Path::new)];
        let files = files.into_iter().flatten().map(open).collect();
        Self { bench, machine, files, progress: ProgressBar::hidden() }
    }

    /// Runs the steps, with a bar on standard error if that is a terminal. The bar moves between
    /// steps only: nothing draws while the clock runs.
    pub(crate) fn run<C>(&mut self, data: &mut C, steps: &[Step<C>]) {
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} after {elapsed}, {msg}");
        self.progress = ProgressBar::new(steps.len() as u64).with_prefix(self.bench);
        self.progress.set_style(style.expect("a good template"));
        for step in steps {
            self.progress.set_message(step.name.clone());
            self.progress.tick();
            (step.run)(data, self);
            self.progress.inc(1);
        }
        self.progress.finish_and_clear();
    }

    /// Prints the record as a line of text, and writes it to the files.
    pub(crate) fn print(&mut self, record: Record) {
        self.print_text(record.text().trim_end());
        self.write(&record);
    }

    /// Prints a line above the bar.
    pub(crate) fn print_text(&self, text: &str) {
        self.progress.suspend(|| println!("{text}"));
    }

    /// Writes the record to the files.
    pub(crate) fn write(&mut self, record: &Record) {
        let line = record.json(self.bench, &self.machine);
        for file in &mut self.files {
            writeln!(file, "{line}").expect("space for a record");
        }
    }
}
