//! The instruction sets to test, and whether large cases should be smaller.

use super::report::tell;
use mantex::Isa;
use std::sync::Once;

/// The instruction sets to test: all that are available. Panics if `MANTEX_REQUIRE_ISAS` (a
/// comma-separated list) names another one, so that a run cannot pass without having tested it.
pub(crate) fn isas() -> Vec<Isa> {
    let isas: Vec<Isa> = Isa::available().collect();
    if let Ok(required) = std::env::var("MANTEX_REQUIRE_ISAS") {
        require(&required, &isas);
    }
    static TOLD: Once = Once::new();
    TOLD.call_once(|| tell(&format!("isas: {}", isas.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(","))));
    isas
}

/// Panics if `required` names an instruction set that is not among `isas`.
pub(crate) fn require(required: &str, isas: &[Isa]) {
    for name in required.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        assert!(
            isas.iter().any(|isa| isa.name() == name),
            "MANTEX_REQUIRE_ISAS wants {name}, but there is only {isas:?}"
        );
    }
}

/// Whether large cases should be smaller: always on aarch64, whose CPUs are emulated here, and if
/// `MANTEX_SMALL_CASES` is set.
pub(crate) fn small_cases() -> bool {
    cfg!(target_arch = "aarch64") || std::env::var_os("MANTEX_SMALL_CASES").is_some()
}

#[cfg(test)]
mod tests {
    use super::{Isa, isas, require};

    #[test]
    fn a_missing_instruction_set_is_refused() {
        let all = isas();
        let names: Vec<&str> = all.iter().map(|isa| isa.name()).collect();
        require(&names.join(" , "), &all);
        require("", &all);
        let scalar: Vec<Isa> = all.iter().copied().filter(|isa| isa.name() == "scalar").collect();
        for missing in ["avx2", "scalar,neon", "scalar, avx1024"] {
            let refused = std::panic::catch_unwind(|| require(missing, &scalar));
            let message = *refused.expect_err(missing).downcast::<String>().expect("a message");
            assert!(message.contains("MANTEX_REQUIRE_ISAS wants"), "{message}");
        }
    }
}
