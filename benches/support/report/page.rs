//! The page: words and tables around the pictures.

use super::axis::size;
use super::chart::Style;
use super::entries::Entry;
use super::palette::{Ink, css, dark_rules};
use super::pictures::{Picture, Section, isas, sections};
use super::{machine_line, roofline};
use crate::support::json::number;
use crate::support::levels::LEVELS;
use std::fmt::Write as _;

/// Returns the page of the records.
pub(crate) fn page(entries: &[Entry]) -> String {
    let style = include_str!("style.css");
    let mut html = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    let _ = writeln!(html, "<title>mantex: benchmark report</title>\n<style>\n{style}");
    let _ = writeln!(html, "@media (prefers-color-scheme: dark) {{\n{}}}\n</style>\n</head>\n<body>", dark_rules());
    html += "<h1>mantex: benchmark report</h1>\n";
    html += &facts(entries);
    for section in sections(entries) {
        html += &section_html(&section);
    }
    html += &roofline_html(entries);
    html += &all_records(entries);
    html + "</body>\n</html>\n"
}

/// Returns the text with the characters that HTML reserves written as entities.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The machine, the build and the day of the newest record, and of others if there are any.
fn facts(entries: &[Entry]) -> String {
    let Some(newest) = entries.iter().max_by_key(|entry| entry.machine["date"].as_str()) else { return String::new() };
    let machine = &newest.machine;
    let text = |name: &str| machine[name].as_str().unwrap_or_default().to_string();
    let mut rows = vec![("machine", text("cpu"))];
    if !text("description").is_empty() {
        rows.push(("", text("description")));
    }
    let memory = machine["memory_gib"].as_f64().map_or(String::new(), |gib| format!(", {gib} GiB of memory"));
    rows.push(("", format!("{} CPUs{memory}; benches use one", machine["cpus"])));
    let caches = machine["caches"].as_object().into_iter().flatten();
    let caches: Vec<String> =
        caches.filter_map(|(name, value)| Some(format!("{name} {}", size(value.as_f64()?)))).collect();
    rows.push(("caches", caches.join(", ")));
    rows.push(("instructions", text("isa")));
    rows.push(("compiler", text("rustc")));
    rows.push(("flags", text("flags")));
    rows.push(("version", format!("mantex {}", text("mantex"))));
    rows.push(("date", text("date")));
    let rounds = entries.iter().map(|entry| entry.rounds).filter(|rounds| *rounds > 0);
    if let Some((low, high)) = rounds.clone().min().zip(rounds.max()) {
        rows.push(("values", format!("medians of {low} to {high} rounds; thin vertical lines join the quartiles")));
    }
    let mut others: Vec<String> = entries.iter().map(|entry| machine_line(&entry.machine)).collect();
    others.sort();
    others.dedup();
    others.retain(|line| *line != machine_line(machine));
    rows.extend(others.into_iter().map(|line| ("also from", line)));
    let mut html = String::from("<dl class=\"facts\">\n");
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(html, "<dt>{name}</dt><dd>{}</dd>", escape(value));
    }
    html + "</dl>\n"
}

fn section_html(section: &Section) -> String {
    let drawn: Vec<&Picture> = section.pictures.iter().filter(|picture| !picture.svg.is_empty()).collect();
    if drawn.is_empty() {
        return String::new();
    }
    let mut html = format!("<h2>{}</h2>\n<div class=\"pictures\">\n", section.title);
    for picture in drawn {
        html += &figure(picture);
    }
    html + "</div>\n"
}

fn figure(picture: &Picture) -> String {
    let mut html = format!("<figure>\n<h3>{}</h3>\n", escape(&picture.title));
    if !picture.legend.is_empty() {
        html += "<ul class=\"legend\">\n";
        for (name, ink, style) in &picture.legend {
            let _ = writeln!(html, "<li>{}{}</li>", swatch(*ink, *style), escape(name));
        }
        html += "</ul>\n";
    }
    // Names for those who cannot see the picture; the size is that of the page's column.
    let label = format!("<svg role=\"img\" aria-label=\"{}\" ", escape(&picture.title));
    html += &picture.svg.replacen("<svg ", &label, 1);
    let _ = writeln!(html, "\n<figcaption>{}</figcaption>\n</figure>", escape(&picture.caption));
    html
}

/// A piece of a line as it is drawn.
fn swatch(ink: Ink, style: Style) -> String {
    let color = css(ink.light);
    let shape = match style {
        Style::Solid => format!("<path d=\"M0 6H26\" stroke=\"{color}\" stroke-width=\"3\"/>"),
        Style::Dashed => {
            format!("<path d=\"M0 6H26\" stroke=\"{color}\" stroke-width=\"3\" stroke-dasharray=\"6 4\"/>")
        }
        Style::Limit => format!("<path d=\"M0 6H26\" stroke=\"{color}\" stroke-width=\"1.5\"/>"),
        Style::Points => format!("<circle cx=\"13\" cy=\"6\" r=\"4\" fill=\"{color}\"/>"),
    };
    format!("<svg viewBox=\"0 0 26 12\" aria-hidden=\"true\">{shape}</svg>")
}

/// The roofline's pictures, and tables of the shares of the limits.
fn roofline_html(entries: &[Entry]) -> String {
    let pictures = roofline::pictures(entries);
    if pictures.is_empty() {
        return String::new();
    }
    let mut html = section_html(&Section { title: "Roofline", pictures });
    html += "<div class=\"pictures\">\n";
    for (isa, _) in isas(entries) {
        let rows = roofline::shares(entries, &isa);
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(
            html,
            "<figure>\n<h3>Share of the limit, {isa}</h3>\n<div class=\"scroll\"><table>\n<tr><th>f32</th>"
        );
        html += &LEVELS.map(|(name, _)| format!("<th>{name}</th>")).concat();
        html += "</tr>\n";
        for (name, shares) in rows {
            let _ = write!(html, "<tr><td>{}</td>", escape(&name));
            for share in shares {
                let _ = match share {
                    Some(share) => write!(
                        html,
                        "<td style=\"background: rgba(var(--tint), {:.2})\">{:.0}%</td>",
                        0.45 * share.clamp(0.0, 1.0).powi(2),
                        100.0 * share
                    ),
                    None => write!(html, "<td></td>"),
                };
            }
            html += "</tr>\n";
        }
        let caption = "The limit is the time of the kernel's passes over memory at the speed of bare passes, or of its \
                       exponentials at their best rate, whichever is longer.";
        let _ = writeln!(html, "</table></div>\n<figcaption>{caption}</figcaption>\n</figure>");
    }
    html + "</div>\n"
}

/// A table of all records.
fn all_records(entries: &[Entry]) -> String {
    let mut html =
        format!("<details>\n<summary>All {} records</summary>\n<div class=\"scroll\"><table>\n", entries.len());
    html +=
        "<tr><th>work</th><th>value</th><th>unit</th><th>quartiles</th><th>rounds</th><th>ratio</th><th>of</th></tr>\n";
    for entry in entries {
        let number = |value: f64| if value.is_finite() { number(value) } else { String::new() };
        let work = entry.peer.as_ref().map_or(entry.work.clone(), |peer| format!("{}, {peer}", entry.work));
        let (ratio, of) =
            entry.ratio.as_ref().map_or_else(Default::default, |(ratio, of)| (format!("{ratio:.2}"), of.clone()));
        let quartiles = entry.quartiles.map(number).join(" .. ");
        let rounds = if entry.rounds == 0 { String::new() } else { entry.rounds.to_string() };
        let cells = [number(entry.value), entry.unit.clone(), quartiles, rounds, ratio, of];
        let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        let _ = writeln!(html, "<tr><td>{}</td>{cells}</tr>", escape(&work));
    }
    html + "</table></div>\n</details>\n"
}
