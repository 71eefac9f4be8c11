//! The comparison of two runs.

use super::entries::Entry;
use crate::support::json::number;
use std::fmt::Write as _;

/// A work of two runs.
struct Pair<'a> {
    a: &'a Entry,
    b: &'a Entry,
    /// The value of b relative to that of a.
    ratio: f64,
    /// The lowest and the highest ratio of one quartile to another.
    range: [f64; 2],
}

/// Returns the works that both runs measured, each once for each value.
fn pairs<'a>(a: &'a [Entry], b: &'a [Entry]) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    for a in a.iter().filter(|a| a.value.is_finite()) {
        let key = |entry: &Entry| (entry.work.clone(), entry.peer.clone(), entry.unit.clone());
        let is_same = |b: &&Entry| key(b) == key(a) && b.of() == a.of() && b.value.is_finite();
        let Some(b) = b.iter().find(is_same) else { continue };
        // A work that was compared with several others has a record for each.
        if pairs.iter().any(|p| key(p.a) == key(a) && (p.a.value, p.b.value) == (a.value, b.value)) {
            continue;
        }
        let range = [b.quartiles[0] / a.quartiles[1], b.quartiles[1] / a.quartiles[0]];
        pairs.push(Pair { a, b, ratio: b.value / a.value, range });
    }
    pairs
}

/// Returns a table of the works that both runs measured: the values, the ratio b / a, and its range
/// from quartile to quartile, with a star if that leaves out 1.
pub(crate) fn compare(a: &[Entry], b: &[Entry]) -> String {
    let pairs = pairs(a, b);
    let mut text = format!("{:<58} {:>10} {:>10}  {:>6}  quartiles\n", "work", "a", "b", "b / a");
    for Pair { a, b, ratio, range: [low, high] } in &pairs {
        let work = a.peer.as_ref().map_or(a.work.clone(), |peer| format!("{}, {peer}", a.work));
        let star = if *low > 1.0 || *high < 1.0 { " *" } else { "" };
        let (from, to) = (number(a.value), number(b.value));
        let _ = writeln!(text, "{work:<58} {from:>10} {to:>10}  {ratio:>6.3}  {low:.3}..{high:.3}{star} {}", a.unit);
    }
    let logs: Vec<f64> = pairs.iter().map(|pair| pair.ratio.ln()).filter(|ln| ln.is_finite()).collect();
    if !logs.is_empty() {
        let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
        let _ = writeln!(text, "{} works, geometric mean of b / a {mean:.3}", pairs.len());
    }
    for (name, entries) in [("a", a), ("b", b)] {
        let mut machines: Vec<String> = entries.iter().map(|entry| super::machine_line(&entry.machine)).collect();
        machines.dedup();
        let _ = writeln!(text, "{name}: {}", machines.join("; "));
    }
    text
}
