//! Tests that run in a process of their own.

use std::process::{Command, Output};

/// Runs one test of the calling program in a process of its own, with a variable in its
/// environment. `MANTEX_ISA` is unset unless it is that variable. `module` is the test's
/// `module_path!()`.
pub(crate) fn child(module: &str, test: &str, variable: Option<(&str, &str)>) -> Output {
    let program = std::env::current_exe().expect("the program's path");
    let (_crate, module) = module.split_once("::").expect("a module of the program");
    let test = format!("{module}::{test}");
    // Under an emulator the child needs the emulator, too. Cargo's setting for the target, which
    // the test inherits, names it.
    let runner = format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_RUNNER", std::env::consts::ARCH.to_uppercase());
    let runner = std::env::var(runner).unwrap_or_default();
    let mut words = runner.split_whitespace();
    let mut child = match words.next() {
        None => Command::new(program),
        Some(emulator) => {
            let mut child = Command::new(emulator);
            child.args(words).arg(program);
            child
        }
    };
    child.args(["--exact", &test, "--nocapture", "--include-ignored"]);
    child.env_remove("MANTEX_ISA").env_remove("RUST_BACKTRACE").envs(variable);
    child.output().expect("the test starts again")
}

/// The output of a child.
pub(crate) fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
