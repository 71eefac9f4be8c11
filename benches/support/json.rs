//! JSON text of the few shapes that records have.

/// Returns the number with four significant digits, with an exponent if it is below a thousandth.
pub(crate) fn number(x: f64) -> String {
    if !x.is_finite() {
        return NULL.into();
    }
    if x != 0.0 && x.abs() < 1e-3 {
        return format!("{x:.2e}");
    }
    let digits_before = if x == 0.0 { 1 } else { x.abs().log10().floor() as i32 + 1 };
    let text = format!("{x:.*}", (4 - digits_before).max(0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// Returns the text in quotes; control characters are left out.
pub(crate) fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// Returns an object of fields whose values are JSON already.
pub(crate) fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{}: {value}", string(name))).collect();
    format!("{{{}}}", fields.join(", "))
}

/// The value of a field without one.
pub(crate) const NULL: &str = "null";
