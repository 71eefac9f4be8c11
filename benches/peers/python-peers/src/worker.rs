//! The processes of Python: each has one package, and does one piece of work as often as it is
//! told.

use crate::npy;
use crate::support::Contestant;
use crate::support::json::{object, string};
use std::fs::create_dir_all;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A Python package that was asked for.
pub(crate) struct Package {
    /// The family whose functions are compared.
    family: String,
    /// The name to install it by.
    pub(crate) name: String,
    /// The virtual environment that has it.
    environment: String,
}

impl Package {
    /// Reads a word of the command line.
    pub(crate) fn parse(word: &str) -> Self {
        let parts: Vec<&str> = word.split('/').collect();
        let [family, name, environment] = parts[..] else { panic!("`{word}` is not FAMILY/PACKAGE/ENVIRONMENT") };
        Self { family: family.into(), name: name.into(), environment: environment.into() }
    }
}

/// The folder of environments and inputs.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python")
}

/// Returns the path of a file of inputs.
pub(crate) fn input(name: &str) -> PathBuf {
    let folder = folder().join("inputs");
    create_dir_all(&folder).expect("a folder for inputs");
    folder.join(name)
}

/// A process.
pub(crate) struct Worker {
    /// The package, its version and its method.
    pub(crate) name: String,
    pub(crate) package: String,
    /// The method as the records name it; empty if the package has one only.
    method: &'static str,
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Where the process writes results.
    results: PathBuf,
}

impl Worker {
    /// Starts a process of a program in `workers` for each method whose package was asked for.
    pub(crate) fn start_all(
        packages: &[Package],
        family: &str,
        program: &str,
        methods: &[(&'static str, &'static str)],
    ) -> Vec<Self> {
        let package = |name: &str| packages.iter().find(|package| package.family == family && package.name == name);
        methods.iter().filter_map(|&(name, method)| Some(Self::start(package(name)?, program, method))).collect()
    }

    /// Starts a process and imports the package in it.
    fn start(package: &Package, program: &str, method: &'static str) -> Self {
        let python = folder().join(&package.environment).join("bin/python");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("workers").join(program).with_extension("py");
        let mut process = Command::new(&python)
            .arg(program)
            .arg(&package.name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", python.display()));
        let requests = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        let results = input(&format!("{}.results", process.id()));
        let name = package.name.clone();
        let mut worker = Self { name: name.clone(), package: name, method, process, requests, answers, results };
        let version = worker.answer();
        worker.name = format!("{} {version} {method}", package.name).trim_end().into();
        worker
    }

    /// Reads a line of the process. A process that fails has told why on standard error.
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("a line of text");
        let package = &self.package;
        assert!(line.ends_with('\n'), "{package} failed, see its message; --without {package} leaves it out");
        line.trim_end().into()
    }

    fn ask(&mut self, request: &[(&str, String)]) -> String {
        writeln!(self.requests, "{}", object(request)).expect("the process runs");
        self.requests.flush().expect("the process runs");
        self.answer()
    }

    /// Makes a work of the fields, does it once, and returns its results.
    pub(crate) fn prepare(&mut self, fields: &[(&str, String)]) -> Vec<f64> {
        let mut request = vec![("method", string(self.method)), ("results", path_field(&self.results))];
        request.extend(fields.iter().cloned());
        self.ask(&request);
        let results = npy::read_f64(&self.results);
        std::fs::remove_file(&self.results).expect("a file of results");
        results
    }

    /// Returns the seconds of the work.
    fn seconds(&mut self, at_least: Duration) -> f64 {
        let seconds = self.ask(&[("at_least", at_least.as_secs_f64().to_string())]);
        seconds.parse().unwrap_or_else(|_| panic!("{} has no time but `{seconds}`", self.name))
    }

    /// Returns the prepared work with the difference of its results.
    pub(crate) fn contestant(&mut self, difference: f64) -> Contestant<'_> {
        let name = self.name.clone();
        Contestant { name, difference, seconds: Box::new(|at_least| self.seconds(at_least)) }
    }
}

impl Drop for Worker {
    /// Ends the process.
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns a path as text for a request.
pub(crate) fn path_field(path: &Path) -> String {
    string(path.to_str().expect("a path of text"))
}
