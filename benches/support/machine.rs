//! The machine and the build that a measurement holds for.

use super::date::today;
use super::json::{NULL, number, object, string};
use std::fs::read_to_string;

/// One machine, build and day.
pub(crate) struct Machine {
    /// The model of the CPU as the system names it.
    pub(crate) cpu: String,
    /// The caller's addition, for example that the machine is virtual.
    pub(crate) description: String,
    /// The number of CPUs that this process may use.
    pub(crate) cpus: usize,
    /// The physical memory in GiB, if the system states it.
    pub(crate) memory_gib: Option<f64>,
    /// The compiler and the target.
    pub(crate) rustc: &'static str,
    /// The profile, the caller's flags and the instruction sets that the whole build may use.
    pub(crate) flags: String,
    /// The instruction set that functions use by default.
    pub(crate) isa: &'static str,
    /// The bytes of each of the first CPU's caches that holds data, if the system states them.
    pub(crate) caches: Vec<(String, f64)>,
    /// The version of the crate.
    pub(crate) mantex: &'static str,
    /// The day in UTC, as YYYY-MM-DD.
    pub(crate) date: String,
}

impl Machine {
    /// Asks the system.
    pub(crate) fn detect(description: &str) -> Self {
        Self {
            cpu: proc_field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".into()),
            description: description.into(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: proc_field("/proc/meminfo", "MemTotal").and_then(|size| {
                let kib: f64 = size.split_whitespace().next()?.parse().ok()?;
                Some((kib / f64::from(1 << 20)).floor())
            }),
            rustc: mantex::baselines::BUILD,
            flags: flags(),
            isa: mantex::Isa::best().name(),
            caches: caches(),
            mantex: env!("CARGO_PKG_VERSION"),
            date: today(),
        }
    }

    /// Prints two lines above a table.
    pub(crate) fn print(&self) {
        println!("mantex {}, {}, {}", self.mantex, self.rustc, self.date);
        println!("{}, {} CPUs, best instruction set {}", self.cpu, self.cpus, mantex::Isa::best());
    }

    /// Returns the fields as an object.
    pub(crate) fn json(&self) -> String {
        object(&[
            ("cpu", string(&self.cpu)),
            ("description", string(&self.description)),
            ("cpus", self.cpus.to_string()),
            ("memory_gib", self.memory_gib.map_or(NULL.into(), number)),
            ("rustc", string(self.rustc)),
            ("flags", string(&self.flags)),
            ("isa", string(self.isa)),
            (
                "caches",
                object(&self.caches.iter().map(|(name, bytes)| (&name[..], number(*bytes))).collect::<Vec<_>>()),
            ),
            ("mantex", string(self.mantex)),
            ("date", string(&self.date)),
        ])
    }
}

/// Returns the profile, `RUSTFLAGS` if they were set, and the instruction sets of all code, not
/// only of the kernels.
fn flags() -> String {
    let profile = if cfg!(debug_assertions) { "with debug assertions" } else { "optimized" };
    let rustflags = option_env!("RUSTFLAGS").filter(|flags| !flags.is_empty());
    let rustflags = rustflags.map_or("no RUSTFLAGS".into(), |flags| format!("RUSTFLAGS {flags}"));
    let everywhere = match () {
        () if cfg!(target_feature = "avx512f") => ", AVX-512 in all code",
        () if cfg!(target_feature = "avx2") => ", AVX2 in all code",
        () => "",
    };
    format!("{profile}, {rustflags}{everywhere}")
}

/// Returns the names and bytes of the first CPU's caches, as Linux lists them.
fn caches() -> Vec<(String, f64)> {
    let mut caches = Vec::new();
    for index in 0..8 {
        let read = |file| read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{file}"));
        let (Ok(level), Ok(kind), Ok(size)) = (read("level"), read("type"), read("size")) else { continue };
        let kib = size.trim().strip_suffix('K').and_then(|size| size.parse::<f64>().ok());
        if let (Some(kib), false) = (kib, kind.trim() == "Instruction") {
            caches.push((format!("L{}", level.trim()), kib * 1024.0));
        }
    }
    caches
}

/// Returns the first value of a file that has lines `name : value`.
fn proc_field(path: &str, name: &str) -> Option<String> {
    let text = read_to_string(path).ok()?;
    let (_, value) = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name)?;
    Some(value.trim().into())
}
