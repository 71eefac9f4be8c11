//! The report of the other benches, and the comparison of two runs.
//!
//! `cargo bench --bench report` renders `target/bench/report.html` again from the records in
//! `target/bench`, as every bench does at its end. `cargo bench --bench report -- compare A B`
//! prints the ratios of all works that two files of records have in common; such files are those of
//! `target/bench` and of `--json FILE`. `cargo test --bench report` tests both on records made up.

mod support;

use support::report::{compare::compare, entries, page::page, render};

/// Records of a machine with one cache; `slower` is the time of a read in run b.
fn made_up(slower: f64) -> String {
    let line = |work: &str, value: f64, [low, high]: [f64; 2], of: &str| {
        format!(
            r#"{{"bench": "softmax", "work": "{work}", "peer": null, "value": {value}, "unit": "ns/element",
            "quartiles": [{low}, {high}], "rounds": 7, "ratio": 0.5, "of": "{of}", "details": {{}},
            "machine": {{"cpu": "A <CPU>", "isa": "avx512", "caches": {{"L1": 32768}}, "date": "2026-01-01"}}}}"#
        )
        .replace('\n', "")
    };
    let mut lines = vec![
        line("read/f32/avx512/n=1024", 99.0, [98.0, 100.0], "a read"), // An older record of the next work.
        line("read/f32/avx512/n=1024", slower, [0.9 * slower, 1.1 * slower], "a read"),
        line("read/f32/avx512/n=2048", 1.0, [0.9, 1.1], "a read"),
    ];
    for n in [1024, 2048, 65536] {
        let work = format!("softmax/f32/avx512/n={n}");
        lines.push(line(&work, 0.5, [0.4, 0.6], "the speed of three passes that recompute"));
    }
    lines.join("\n")
}

/// Two runs: one work is slower beyond the quartiles, and one of run a is missing in run b.
fn test_compare() {
    let a = entries::newest(&format!("{}\nnot a record", made_up(1.0)));
    let b = entries::newest(&made_up(1.5));
    assert_eq!(a.len(), 5, "the newest record of each work");
    let text = compare(&a, &b[..4]);
    let lines: Vec<&str> = text.lines().collect();
    let line = |work: &str| lines.iter().find(|line| line.starts_with(work)).copied().unwrap_or_default();
    let (slower, equal) = (line("read/f32/avx512/n=1024"), line("read/f32/avx512/n=2048"));
    assert!(slower.contains(" 1.500  1.227..1.833 * ns/element"), "{text}");
    assert!(equal.contains(" 1.000  0.818..1.222 ns/element"), "{text}");
    assert!(line("softmax/f32/avx512/n=65536").is_empty(), "{text}");
    assert!(text.contains("4 works, geometric mean of b / a 1.107"), "{text}");
}

/// Records of reading and of a kernel at the level of L2, which the roofline shows.
fn made_up_bandwidth() -> String {
    let line = |name: &str, value: f64, rate: f64| {
        format!(
            r#"{{"bench": "bandwidth", "work": "{name}/f32/avx512/n=65536", "value": {value}, "unit": "ns/element","#
        ) + &format!(r#" "ratio": 0.8, "of": "the memory limit", "details": {{"GB/s": {rate}, "limit": 0.1}}}}"#)
    };
    format!("{}\n{}", line("read", 0.04, 100.0), line("log_sum_exp", 0.125, 32.0))
}

/// The page of a few records: the picture that they fill is there, the others are not.
fn test_page() {
    let html = page(&entries::newest(&made_up(1.0))).replace('\n', "");
    assert!(html.contains("Two passes against three, avx512") && html.contains("A &lt;CPU&gt;"), "{html}");
    assert!(!html.contains("Sinkhorn") && !html.contains("Roofline") && !html.contains("NaN"), "{html}");
    assert!(html.contains(">L1<") && html.contains(">2Ki<") && html.contains(">ns per element<"), "{html}");
    assert!(!html.contains("<script") && !html.contains("src=") && !html.contains("href="), "{html}");
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count(), "whole pictures");
    let roofline = page(&entries::newest(&made_up_bandwidth()));
    assert!(roofline.contains("Roofline in L2, avx512") && roofline.contains("\nlog_sum_exp\n"), "{roofline}");
    assert!(roofline.contains(">80%</td>") && !roofline.contains("Two passes"), "{roofline}");
    let peer = |ratio: &str| {
        let line = made_up(1.0).lines().next().expect("a line").replace("\"peer\": null", "\"peer\": \"another 1.0\"");
        page(&entries::newest(&line.replace("\"ratio\": 0.5, \"of\": \"a read\"", ratio)))
    };
    let of_mantex = peer("\"ratio\": 2.5, \"of\": \"the time of mantex\"");
    assert!(of_mantex.contains("2.50x (99 ns/element)"), "the ratio of the same run: {of_mantex}");
    assert!(!peer("\"ratio\": 2.5, \"of\": \"a read\"").contains("2.50x"), "no time of mantex is known");
    assert!(page(&[]).ends_with("</html>\n"), "a page without records");
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if !words.iter().any(|word| word == "--bench") {
        test_compare();
        test_page();
        println!("report: 2 passed");
        return;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    match words[..] {
        ["compare", a, b] => {
            let [a, b] =
                [a, b].map(|path| entries::read(path.as_ref()).unwrap_or_else(|error| panic!("{path}: {error}")));
            print!("{}", compare(&a, &b));
        }
        _ => render(),
    }
}
