//! The roofline: the speed of each kernel against the bytes that it moves, under the limits of the
//! machine.

use super::axis::Scale;
use super::axis::size;
use super::chart::{Chart, Point, Series, Style};
use super::entries::Entry;
use super::palette::SERIES;
use super::pictures::{Picture, isas};
use crate::support::levels::LEVELS;

/// The records of an instruction set at the level of memory whose inputs have this many bytes.
fn at_level<'a>(entries: &'a [Entry], isa: &'a str, bytes: usize) -> impl Iterator<Item = &'a Entry> {
    let len = bytes / size_of::<f32>();
    let sizes = [len as f64, len.isqrt() as f64];
    let has_limit = |entry: &&Entry| entry.bench == "bandwidth" && entry.detail("limit").is_some();
    let all = entries.iter().filter(has_limit).filter(move |entry| entry.has("f32") && entry.has(isa));
    all.filter(move |entry| entry.number("n").is_some_and(|n| sizes.contains(&n)))
}

/// One picture for a level: every kernel by the elements that it handles for each byte it moves.
fn picture(entries: &[Entry], isa: &str, (level, bytes): (&str, usize)) -> Option<Picture> {
    // A difference of times can be 0.
    let kernels: Vec<&Entry> = at_level(entries, isa, bytes).filter(|entry| entry.value > 0.0).collect();
    let read = kernels.iter().find(|entry| entry.function() == "read")?;
    let point = |x, y| Point { x, y, quartiles: [y; 2] };
    let points = kernels.iter().filter_map(|entry| {
        let rate = entry.value.recip();
        Some(Point {
            x: rate / entry.detail("GB/s")?,
            y: rate,
            quartiles: [entry.quartiles[1].recip(), entry.quartiles[0].recip()],
        })
    });
    let points: Vec<Point> = points.collect();
    let highest = points.iter().map(|point| point.y).fold(0.0, f64::max);
    // The best exponentials of all levels, as for the limits of the table.
    let all_levels = LEVELS.into_iter().flat_map(|(_, bytes)| at_level(entries, isa, bytes));
    let exp = all_levels
        .filter(|entry| entry.function() == "log_sum_exp")
        .map(|entry| entry.value.recip())
        .fold(0.0, f64::max);
    let (left, right) = (1.0 / 24.0, 0.62);
    let bandwidth = 4.0 / read.value;
    let edge = (highest / bandwidth).min(right);
    let flat = |rate: f64| if rate > 0.0 { vec![point(left, rate), point(right, rate)] } else { Vec::new() };
    let limit =
        |name: &str, ink, points| Series { name: name.into(), ink, style: Style::Limit, points, names: Vec::new() };
    let chart = Chart {
        x: ("elements per byte moved", Scale::Fractions),
        y: ("elements per ns", Scale::Log10),
        series: vec![
            limit(
                "reading at full speed",
                SERIES[1],
                vec![point(left, left * bandwidth), point(edge, edge * bandwidth)],
            ),
            limit("one exponential per element", SERIES[2], flat(exp)),
            limit("two exponentials per element", SERIES[3], flat(exp / 2.0)),
            Series {
                name: String::new(),
                ink: SERIES[0],
                style: Style::Points,
                names: kernels.iter().map(|entry| entry.function().to_string()).collect(),
                points,
            },
        ],
        marks: Vec::new(),
    };
    let place = if level == "DRAM" { "in memory" } else { &format!("in {level}") };
    let caption =
        format!("f32, {} for an input. To the left are kernels that move more bytes per element.", size(bytes as f64));
    let mut picture = Picture::new(&format!("Roofline {place}, {isa}"), &caption, &chart);
    picture.legend.push(("kernels".into(), SERIES[0], Style::Points));
    Some(picture)
}

/// The pictures of the best instruction set: one cache, and memory.
pub(crate) fn pictures(entries: &[Entry]) -> Vec<Picture> {
    let best = isas(entries).into_iter().take(1);
    best.flat_map(|(isa, _)| [LEVELS[1], LEVELS[3]].map(|level| picture(entries, &isa, level))).flatten().collect()
}

/// The share of its limit that each kernel reaches: a row for each kernel, a column for each level.
pub(crate) fn shares(entries: &[Entry], isa: &str) -> Vec<(String, Vec<Option<f64>>)> {
    let mut rows: Vec<(String, Vec<Option<f64>>)> = Vec::new();
    for (column, (_, bytes)) in LEVELS.into_iter().enumerate() {
        for entry in at_level(entries, isa, bytes) {
            let row = rows.iter().position(|(name, _)| name == entry.function()).unwrap_or_else(|| {
                rows.push((entry.function().into(), vec![None; LEVELS.len()]));
                rows.len() - 1
            });
            rows[row].1[column] = entry.ratio.as_ref().map(|(ratio, _)| *ratio);
        }
    }
    rows
}
