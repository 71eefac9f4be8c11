//! The instruction sets, and the environment variable that caps them.

#[cfg(feature = "std")]
use crate::support::child::{child, printed};
use crate::support::isas::isas;
use mantex::{Error, Isa};

// new ISA: its name, here and in the messages below, and its detection.
const NAMES: [&str; 4] = ["avx512", "avx2", "neon", "scalar"];

#[test]
fn available_is_in_order() {
    let isas = isas();
    let places: Vec<usize> =
        isas.iter().map(|isa| NAMES.iter().position(|&name| name == isa.name()).expect("a known name")).collect();
    assert!(places.is_sorted_by(|a, b| a < b), "best first, each once: {isas:?}");
    assert_eq!(isas.last().map(|isa| isa.name()), Some("scalar"));
    let of_this_arch: &[&str] = match std::env::consts::ARCH {
        "x86_64" => &["avx512", "avx2", "scalar"],
        "aarch64" => &["neon", "scalar"],
        _ => &["scalar"],
    };
    assert!(isas.iter().all(|isa| of_this_arch.contains(&isa.name())), "{isas:?}");
}

/// Against the standard library's detection: none is missed, none is there without all its
/// features.
#[test]
#[cfg(target_arch = "x86_64")]
fn available_is_what_the_cpu_has() {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    let names: Vec<&str> = isas().iter().map(|isa| isa.name()).collect();
    // A build may contain fewer (MANTEX_BUILD_ISAS), which `option_env!` sees as the build script
    // did.
    let built =
        |name| option_env!("MANTEX_BUILD_ISAS").is_none_or(|list| list.split(',').any(|one| one.trim() == name));
    assert_eq!(names.contains(&"avx2"), avx2 && built("avx2"), "{names:?}");
    assert_eq!(names.contains(&"avx512"), avx512 && built("avx512"), "{names:?}");
}

#[test]
fn names_go_both_ways() {
    for isa in isas() {
        assert_eq!(isa.to_string(), isa.name());
        assert_eq!(format!("{isa:>8}|{isa:<7}|"), format!("{:>8}|{:<7}|", isa.name(), isa.name()));
        assert_eq!(format!("{isa:?}"), format!("Isa({})", isa.name()));
        assert_eq!(isa.name().parse(), Ok(isa));
    }
    let isas = isas();
    for (i, a) in isas.iter().enumerate() {
        for (j, b) in isas.iter().enumerate() {
            assert_eq!(a == b, i == j);
        }
    }
}

#[test]
fn other_names_are_errors() {
    for name in ["", "avx", "AVX3", " avx2", "avx2 ", "scalar,avx2", "sse", "a name of more than sixteen bytes", "żółw"]
    {
        match name.parse::<Isa>() {
            Err(Error::UnknownIsa { name: told }) => {
                // Long names are cut.
                assert!(name.starts_with(told.as_str()) && told.as_str().len() >= name.len().min(13), "{told:?}");
                let message = Error::UnknownIsa { name: told }.to_string();
                assert!(
                    message.contains(told.as_str()) && message.contains("avx512, avx2, neon or scalar"),
                    "{message}"
                );
            }
            other => panic!("{name:?} gives {other:?}"),
        }
    }
    let mut missing = 0;
    for name in NAMES {
        if isas().iter().any(|isa| isa.name() == name) {
            continue;
        }
        missing += 1;
        match name.parse::<Isa>() {
            Err(error @ Error::UnavailableIsa { .. }) => {
                assert!(error.to_string().contains("not available"), "{error}");
            }
            other => panic!("{name:?} gives {other:?}"),
        }
    }
    assert!(missing > 0, "no CPU has both NEON and AVX");
}

#[test]
fn names_in_any_case_and_values_as_keys() {
    for isa in isas() {
        assert_eq!(isa.name().to_uppercase().parse(), Ok(isa));
        assert_eq!(isa.to_string().parse(), Ok(isa));
    }
    let distinct: std::collections::HashSet<Isa> = isas().iter().chain(&isas()).copied().collect();
    assert_eq!(distinct.len(), isas().len());
}

#[test]
fn best_is_what_the_environment_says() {
    // Without std the crate sees no environment.
    let setting = std::env::var("MANTEX_ISA").ok().filter(|_| cfg!(feature = "std"));
    let expected = setting.unwrap_or_else(|| isas()[0].name().to_string());
    assert_eq!(Isa::best().name(), expected);
    assert_eq!(Isa::best(), Isa::best());
    println!("best is {}", Isa::best());
    // Functions without `_on` run this one: instruction sets differ in their bits.
    let x: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 9.0).collect();
    let mut out = vec![0.0_f32; x.len()];
    mantex::softmax(&x, &mut out).expect("equal lengths");
    for isa in isas() {
        let mut on = vec![1.0_f32; x.len()];
        isa.softmax(&x, &mut on).expect("equal lengths");
        assert_eq!(isa == Isa::best(), on == out, "{isa} while {} is the best", Isa::best());
    }
}

/// [`best_is_what_the_environment_says`] holds under every setting.
#[test]
#[cfg(feature = "std")]
fn the_environment_caps_the_best() {
    let test = "best_is_what_the_environment_says";
    let mut settings = vec![(None, isas()[0])];
    let isas = isas();
    settings.extend(isas.iter().map(|isa| (Some(isa.name()), *isa)));
    for (setting, expected) in settings {
        let output = child(module_path!(), test, setting.map(|name| ("MANTEX_ISA", name)));
        let printed = printed(&output);
        assert!(output.status.success() && printed.contains("1 passed"), "{setting:?}: {printed}");
        assert!(printed.contains(&format!("best is {expected}")), "{setting:?}: {printed}");
    }
}

#[test]
#[cfg(feature = "std")]
fn a_wrong_name_in_the_environment_panics() {
    let missing = NAMES.into_iter().find(|name| name.parse::<Isa>().is_err()).expect("no CPU has both NEON and AVX");
    for (name, reason) in [
        ("avx1024", "\"avx1024\" is not an instruction set; it must be avx512, avx2, neon or scalar"),
        ("", "\"\" is not an instruction set"),
        ("AVX-2", "\"AVX-2\" is not an instruction set"),
        (missing, "is not available on this CPU or in this build"),
    ] {
        for test in ["best_is_what_the_environment_says", "an_entry_point_alone"] {
            let output = child(module_path!(), test, Some(("MANTEX_ISA", name)));
            let printed = printed(&output);
            assert!(!output.status.success() && printed.contains("1 failed"), "{name:?}: {printed}");
            assert!(printed.contains("MANTEX_ISA: ") && printed.contains(reason), "{name:?}: {printed}");
        }
        // The road that names its instruction set does not ask the environment.
        let output = child(module_path!(), "a_given_instruction_set_alone", Some(("MANTEX_ISA", name)));
        assert!(output.status.success(), "{name:?}: {}", printed(&output));
    }
}

#[test]
fn an_entry_point_alone() {
    assert_eq!(mantex::log_sum_exp(&[1.5_f32]), 1.5);
}

#[test]
fn a_given_instruction_set_alone() {
    for isa in isas() {
        assert_eq!(isa.log_sum_exp(&[1.5_f64]), 1.5);
    }
}
