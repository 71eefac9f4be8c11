//! What benches share that time things against each other: buffers, clocks, and what is said of the machine.

use std::time::{Duration, Instant};

/// Memory for `len` elements on huge pages where possible.
pub(crate) struct Buffer(memmap2::MmapMut);

impl Buffer {
    pub(crate) fn new(bytes: usize) -> Self {
        let map = memmap2::MmapMut::map_anon(bytes).expect("memory for a buffer");
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage); // Only advice: ordinary pages do where there are no huge ones.
        Self(map)
    }

    pub(crate) fn of<T: bytemuck::Pod>(&mut self, bytes: usize) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.0[..bytes])
    }
}

/// Seconds that `run` takes, repeated until `least` have passed.
pub(crate) fn seconds(least: Duration, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut n = 0;
    while n == 0 || start.elapsed() < least {
        run();
        n += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(n)
}

/// The value below which a share `q` of the times lies.
pub(crate) fn quantile(times: &[f64], q: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * q).round() as usize]
}

/// Version, compiler, CPU.
pub(crate) fn print_machine() {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown CPU");
    println!("mantex {}, {}", env!("CARGO_PKG_VERSION"), mantex::baselines::BUILD);
    println!("CPU{model}, instruction set {}", mantex::Isa::best());
}
