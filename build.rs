//! Decides which instruction sets are compiled in, and records the facts that benches print.
//!
//! `MANTEX_BUILD_ISAS` (a comma-separated list, for example `avx2,scalar`) narrows the choice.
//! Scalar is always included.

use std::env;
use std::process::Command;

// new ISA: its name and architecture, and its name in the message below.
const ISAS: [(&str, &str); 3] = [("avx512", "x86_64"), ("avx2", "x86_64"), ("neon", "aarch64")];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MANTEX_BUILD_ISAS");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    // The vector code assumes that lane 0 is the lowest address.
    let little = env::var("CARGO_CFG_TARGET_ENDIAN").as_deref() == Ok("little");
    let requested = env::var("MANTEX_BUILD_ISAS").ok();
    let requested: Option<Vec<&str>> = requested.as_deref().map(|list| list.split(',').map(str::trim).collect());
    for name in requested.iter().flatten() {
        assert!(
            *name == "scalar" || ISAS.iter().any(|(isa, _)| isa == name),
            "MANTEX_BUILD_ISAS names `{name}`, which is not avx512, avx2, neon or scalar"
        );
    }
    for (isa, isa_arch) in ISAS {
        println!("cargo::rustc-check-cfg=cfg(mantex_{isa})");
        let compiled_in = requested.as_ref().is_none_or(|list| list.contains(&isa));
        if arch == isa_arch && little && compiled_in {
            println!("cargo::rustc-cfg=mantex_{isa}");
        }
    }
    // Without optimization every inlined function keeps stack of its own in one frame, so kernels
    // are then cut into more functions.
    println!("cargo::rustc-check-cfg=cfg(mantex_unoptimized)");
    if env::var("OPT_LEVEL").as_deref() == Ok("0") {
        println!("cargo::rustc-cfg=mantex_unoptimized");
    }
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|out| String::from_utf8(out.stdout).ok()).unwrap_or_default();
    println!("cargo::rustc-env=MANTEX_RUSTC={}", version.trim());
    println!("cargo::rustc-env=MANTEX_TARGET={}", env::var("TARGET").unwrap_or_default());
}
