//! The pictures of the report, each of some records.

use super::axis::Scale;
use super::chart::{Bar, Chart, Point, Series, Style, bars_svg};
use super::entries::Entry;
use super::palette::{Ink, MUTED, SERIES};
use crate::support::json::number;

/// The names of instruction sets, the best one first.
// new ISA: its name, before those that it is better than.
const ISAS: [&str; 4] = ["avx512", "avx2", "neon", "scalar"];

/// A picture with its words.
pub(crate) struct Picture {
    pub(crate) title: String,
    pub(crate) caption: String,
    pub(crate) svg: String,
    pub(crate) legend: Vec<(String, Ink, Style)>,
}

/// The pictures of one topic.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) pictures: Vec<Picture>,
}

impl Picture {
    pub(crate) fn new(title: &str, caption: &str, chart: &Chart) -> Self {
        let drawn = chart.series.iter().filter(|series| series.style != Style::Points && !series.points.is_empty());
        let legend = drawn.map(|series| (series.name.clone(), series.ink, series.style)).collect();
        Self { title: title.into(), caption: caption.into(), svg: chart.svg(), legend }
    }
}

/// The instruction sets of the pictures, and how their lines are drawn.
pub(crate) fn isas(entries: &[Entry]) -> Vec<(String, Style)> {
    let measured = |isa: &&str| entries.iter().any(|entry| entry.has(isa) && entry.peer.is_none());
    let Some(best) = ISAS.into_iter().find(measured) else { return Vec::new() };
    let mut isas = vec![(best.to_string(), Style::Solid)];
    isas.extend((best == "avx512").then(|| ("avx2".to_string(), Style::Dashed)));
    isas
}

/// Returns a line through the values of the records, over a number in their works.
fn series<'a>(
    (name, ink, style): (&str, Ink, Style),
    entries: impl Iterator<Item = &'a Entry>,
    x: impl Fn(&Entry) -> Option<f64>,
) -> Series {
    let mut points: Vec<Point> = Vec::new();
    for entry in entries.filter(|entry| entry.value > 0.0 && entry.peer.is_none()) {
        if let Some(x) = x(entry) {
            // A work that was compared with several others has a record for each.
            points.retain(|point| point.x != x);
            points.push(Point { x, y: entry.value, quartiles: entry.quartiles });
        }
    }
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    Series { name: name.into(), ink, style, points, names: Vec::new() }
}

/// Records of a function with elements of f32 on an instruction set.
fn of<'a>(entries: &'a [Entry], bench: &'a str, function: &'a str, isa: &'a str) -> impl Iterator<Item = &'a Entry> {
    let all = entries.iter().filter(move |entry| entry.bench == bench && entry.function() == function);
    all.filter(move |entry| entry.has("f32") && entry.has(isa))
}

fn n(entry: &Entry) -> Option<f64> {
    entry.number("n")
}

/// The caches of the machine, at the lengths of rows that fill each of them with input and output.
fn cache_marks(entries: &[Entry]) -> Vec<(f64, String)> {
    let caches = entries.iter().rev().find_map(|entry| entry.machine["caches"].as_object());
    let marks = caches.into_iter().flatten();
    marks.filter_map(|(name, bytes)| Some((bytes.as_f64()? / 8.0, name.clone()))).collect()
}

/// The paper's figure: time per element against the length of a row.
fn softmax_by_length(entries: &[Entry]) -> Vec<Picture> {
    let one = |(isa, _): (String, Style)| {
        let line = |function, name: &str, ink, style, is_ratio: bool| {
            let all = of(entries, "softmax", function, &isa);
            // The softmax of the same rounds as the other forms.
            let same_rounds = "the speed of three passes that recompute";
            let of_run = all.filter(|entry| !is_ratio || entry.of() == Some(same_rounds));
            series((name, ink, style), of_run.filter(|entry| n(entry) >= Some(1024.0)), n)
        };
        let chart = Chart {
            x: ("elements of the row", Scale::Log2),
            y: ("ns per element", Scale::Linear),
            series: vec![
                line("three_pass_reload", "three passes, reload", SERIES[1], Style::Solid, false),
                line("three_pass_recompute", "three passes, recompute", SERIES[3], Style::Solid, false),
                line("softmax", "two passes (mantex)", SERIES[0], Style::Solid, true),
                line("sum_exp", "summing exp alone", SERIES[2], Style::Dashed, false),
                line("read", "reading alone", MUTED, Style::Dashed, false),
            ],
            marks: cache_marks(entries),
        };
        let caption = "Softmax of one row of f32. Vertical lines: where input and output together fill a cache.";
        Picture::new(&format!("Two passes against three, {isa}"), caption, &chart)
    };
    isas(entries).into_iter().map(one).collect()
}

/// The time of one call against its length.
fn call_latency(entries: &[Entry]) -> Picture {
    let mut lines = Vec::new();
    for (isa, style) in isas(entries) {
        let functions =
            [("softmax_call", "softmax"), ("log_softmax_call", "log_softmax"), ("log_sum_exp_call", "log_sum_exp")];
        for ((function, name), ink) in functions.into_iter().zip(SERIES) {
            lines.push(series((&format!("{name}, {isa}"), ink, style), of(entries, "softmax", function, &isa), n));
        }
    }
    let (x, y) = (("elements of the slice", Scale::Log2), ("ns per call", Scale::Log10));
    let chart = Chart { x, y, series: lines, marks: Vec::new() };
    Picture::new("One call", "One call on a slice of f32 that is in the nearest cache.", &chart)
}

fn transport(entries: &[Entry]) -> Vec<Picture> {
    let (mut iterations, mut by_n, mut by_epsilon) = (Vec::new(), Vec::new(), Vec::new());
    for (isa, style) in isas(entries) {
        for (method, ink) in [("log", SERIES[0]), ("scaling", SERIES[1])] {
            let square = of(entries, "transport", "sinkhorn_iteration", &isa);
            let square = square.filter(|entry| entry.has(method) && entry.number("m").is_none());
            iterations.push(series((&format!("{method}, {isa}"), ink, style), square, n));
        }
        // The comparison of methods at n = 1000 would stand beside 1024.
        let is_here = |entry: &&Entry| entry.has("default") && n(entry).is_some_and(|n| n != 1000.0);
        let solves = || of(entries, "transport", "sinkhorn_solve", &isa).filter(is_here);
        let epsilon = |entry: &Entry| entry.number("epsilon");
        for (value, ink) in [0.1, 0.01, 0.001].into_iter().zip(SERIES) {
            let name = format!("epsilon {value}, {isa}");
            by_n.push(series((&name, ink, style), solves().filter(|entry| epsilon(entry) == Some(value)), n));
        }
        for (value, ink) in [256.0, 1024.0, 2048.0].into_iter().zip(SERIES) {
            let name = format!("n = {value}, {isa}");
            by_epsilon.push(series((&name, ink, style), solves().filter(|entry| n(entry) == Some(value)), epsilon));
        }
    }
    let sizes = ("rows and columns n", Scale::Log2);
    let picture =
        |title, caption, x, y, series| Picture::new(title, caption, &Chart { x, y, series, marks: Vec::new() });
    let epsilons = ("epsilon / median cost", Scale::Log10);
    let (per_entry, ms) = (("ns per entry", Scale::Linear), ("ms", Scale::Log10));
    let problem = "f32, n x n squared distances between random points of the unit square, to a marginal error of 1e-4.";
    vec![
        picture(
            "Sinkhorn iteration",
            "One update of both potentials, f32, per entry of the cost matrix.",
            sizes,
            per_entry,
            iterations,
        ),
        picture("Sinkhorn solve by size", &format!("Whole solves, default options: {problem}"), sizes, ms, by_n),
        picture(
            "Sinkhorn solve by epsilon",
            &format!("Whole solves, default options: {problem}"),
            epsilons,
            ms,
            by_epsilon,
        ),
    ]
}

fn medoids(entries: &[Entry]) -> Vec<Picture> {
    let k = |entry: &Entry| entry.number("k");
    let (mut runs, mut scans) = (Vec::new(), Vec::new());
    // The matrix with scans at the most numbers of medoids: the one in memory.
    let count = |size: f64| {
        entries.iter().filter(|e| e.bench == "medoids" && e.function() == "swap_scan" && n(e) == Some(size)).count()
    };
    let size = [1000.0, 5000.0, 10_000.0].into_iter().max_by_key(|size| count(*size)).unwrap_or_default();
    for (isa, style) in isas(entries) {
        for (value, ink) in [10.0, 100.0, 1000.0].into_iter().zip(SERIES) {
            let all = of(entries, "medoids", "fasterpam_run", &isa).filter(|entry| k(entry) == Some(value));
            runs.push(series((&format!("k = {value}, {isa}"), ink, style), all, n));
        }
        let all = || of(entries, "medoids", "swap_scan", &isa).filter(|entry| n(entry) == Some(size));
        scans.push(series((&format!("swap scan, {isa}"), SERIES[0], style), all(), k));
        // A read of the same rounds: the ratio is the share of its speed.
        let reads: Vec<Entry> = all()
            .filter(|entry| entry.of() == Some("the read bandwidth"))
            .map(|entry| {
                let value = entry.value * entry.ratio.as_ref().map_or(f64::NAN, |(ratio, _)| *ratio);
                Entry { value, quartiles: [value; 2], ..entry.clone() }
            })
            .collect();
        scans.push(series((&format!("reading the matrix, {isa}"), MUTED, style), reads.iter(), k));
    }
    let objects = ("objects n", Scale::Log10);
    let runs = Chart { x: objects, y: ("ms", Scale::Log10), series: runs, marks: Vec::new() };
    let scans =
        Chart { x: ("medoids k", Scale::Log10), y: ("ns per entry", Scale::Linear), series: scans, marks: Vec::new() };
    let scan_caption = format!("One scan of all candidates for swaps, n = {size}, per entry of the matrix of f32.");
    vec![
        Picture::new("FasterPAM", "Whole runs from k-medoids++, distances of f32 in a mixture of 20 Gaussians.", &runs),
        Picture::new("Swap scan", &scan_caption, &scans),
    ]
}

/// Bars of the records that were compared with one of `references`: the name of the reference, and
/// whether the ratio is of times where the bars are of speeds.
fn yardstick(entries: &[Entry], references: &[(&str, bool)], title: &str, caption: &str) -> Option<Picture> {
    let isas = isas(entries);
    let mut bars = Vec::new();
    for ((isa, _), ink) in isas.iter().zip(SERIES) {
        // Bandwidth's kernels are in the roofline, and scans have a picture of their own.
        let is_here = |entry: &&Entry| entry.bench != "bandwidth" && entry.function() != "swap_scan";
        for entry in entries.iter().filter(is_here).filter(|entry| entry.has("f32") && entry.has(isa)) {
            let Some((ratio, of)) = &entry.ratio else { continue };
            let Some((_, is_inverse)) = references.iter().find(|(name, _)| name == of) else { continue };
            // Iterations in the log domain are bound by their exponentials.
            if of == "the time of a read" && entry.has("log") {
                continue;
            }
            let parts: Vec<&str> = entry.work.split('/').filter(|part| *part != "f32" && part != isa).collect();
            let quantity = format!(" ({} {})", number(entry.value), entry.unit);
            let quantity = if entry.value.is_finite() { quantity } else { String::new() };
            let value = if *is_inverse { ratio.recip() } else { *ratio };
            let name = format!("{}, {isa}{quantity}", parts.join(" "));
            bars.push(Bar { name, value, text: format!("{value:.2}x"), ink });
        }
    }
    let svg = bars_svg(&bars, Some(1.0));
    (!bars.is_empty()).then(|| Picture { title: title.into(), caption: caption.into(), svg, legend: Vec::new() })
}

/// The work without the instruction set, and a solve without its method: what a peer does, too.
fn problem(entry: &Entry) -> String {
    let mut parts: Vec<&str> = entry.work.split('/').collect();
    parts.retain(|part| !ISAS.contains(part));
    if entry.function() == "sinkhorn_solve" {
        parts.pop();
        parts[0] = "sinkhorn";
    }
    parts.join(" ")
}

/// A bar of the time of the library with this name, relative to mantex in the same run; it ends at
/// `highest`. Beside the ratio of a solve stands the method of mantex.
fn peer_bar(peer: &Entry, name: &str, highest: f64) -> Option<Bar> {
    let (ratio, _) = peer.ratio.as_ref().filter(|(_, of)| of == "the time of mantex")?;
    let name = format!("{}, {name}", problem(peer));
    let method = peer.work.rsplit('/').next().filter(|_| peer.function() == "sinkhorn_solve");
    let method = method.map_or(String::new(), |method| format!(" of {method}"));
    let text = format!("{ratio:.2}x{method} ({} {})", number(peer.value), peer.unit);
    Some(Bar { name, value: ratio.min(highest), text, ink: SERIES[1] })
}

/// Bars of other libraries, if there are any.
fn peers(title: &str, caption: &str, bars: Vec<Bar>) -> Option<Picture> {
    let svg = bars_svg(&bars, Some(1.0));
    (!bars.is_empty()).then(|| Picture { title: title.into(), caption: caption.into(), svg, legend: Vec::new() })
}

/// Bars of the Rust libraries.
fn rust_peers(entries: &[Entry]) -> Option<Picture> {
    let bar = |peer: &Entry| peer_bar(peer, peer.peer.as_deref()?, f64::MAX);
    let bars = entries.iter().filter(|entry| entry.bench != "python").filter_map(bar).collect();
    peers("Rust libraries", "Times of other libraries relative to that of mantex, the mark at 1.", bars)
}

/// A bar of the fastest Python library for each work.
fn python_peers(entries: &[Entry]) -> Option<Picture> {
    const HIGHEST: f64 = 10.0;
    // Those without a ratio have not done the work.
    let python = || entries.iter().filter(|entry| entry.bench == "python" && entry.ratio.is_some());
    let is_fastest = |peer: &&Entry| python().all(|other| other.work != peer.work || other.value >= peer.value);
    let bar = |peer: &Entry| {
        // With the version, which is in the table, the label would not fit a phone.
        let words: Vec<&str> = peer.peer.as_deref()?.split(' ').collect();
        peer_bar(peer, &[&words[..1], words.get(2..)?].concat().join(" "), HIGHEST)
    };
    let caption = "Times of the fastest Python library relative to that of mantex, the mark at 1. Bars end at 10.";
    peers("Python libraries", caption, python().filter(is_fastest).filter_map(bar).collect())
}

/// The sections of the report, without the roofline.
pub(crate) fn sections(entries: &[Entry]) -> Vec<Section> {
    let mut softmax = softmax_by_length(entries);
    softmax.push(call_latency(entries));
    let exp = yardstick(
        entries,
        &[("the time of summing exp", false)],
        "Against summing exp",
        "Times relative to one pass that only sums exponentials, the mark at 1: lower is better.",
    );
    let reads = [
        ("the read bandwidth", false),
        ("the bandwidth of two reads and one write", false),
        ("the time of a read", true),
    ];
    let caption = "Speed relative to reading the same memory (softmax: to two reads and one write), the mark at 1: \
                   higher is better.";
    let read = yardstick(entries, &reads, "Against reading", caption);
    let bars = [rust_peers(entries), python_peers(entries), exp, read].into_iter().flatten().collect();
    vec![
        Section { title: "Softmax", pictures: softmax },
        Section { title: "Optimal transport", pictures: transport(entries) },
        Section { title: "k-medoids", pictures: medoids(entries) },
        Section { title: "Peers and yardsticks", pictures: bars },
    ]
}
