//! The colors of the report, as plotters draws them, with those that replace them in the dark.

use plotters::style::RGBColor;
use std::fmt::Write as _;

/// A color on a light page, and its replacement on a dark one.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Ink {
    pub(crate) light: RGBColor,
    dark: RGBColor,
}

const fn ink(light: [u8; 3], dark: [u8; 3]) -> Ink {
    let ([r, g, b], [dark_r, dark_g, dark_b]) = (light, dark);
    Ink { light: RGBColor(r, g, b), dark: RGBColor(dark_r, dark_g, dark_b) }
}

/// Text and axes.
pub(crate) const TEXT: Ink = ink([36, 41, 47], [230, 237, 243]);

/// Lines that only guide the eye.
pub(crate) const GRID: Ink = ink([225, 228, 232], [48, 54, 61]);

/// Marks, and references such as a read.
pub(crate) const MUTED: Ink = ink([110, 119, 129], [139, 148, 158]);

/// Series, in the order of their use.
pub(crate) const SERIES: [Ink; 5] = [
    ink([9, 105, 218], [88, 166, 255]),
    ink([188, 76, 0], [255, 166, 87]),
    ink([26, 127, 55], [86, 211, 100]),
    ink([130, 80, 223], [210, 168, 255]),
    ink([191, 57, 137], [247, 120, 186]),
];

/// Returns the color as CSS writes it, in the spelling of plotters.
pub(crate) fn css(color: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2)
}

/// Returns the rules that replace the colors of pictures and swatches on a dark page.
pub(crate) fn dark_rules() -> String {
    let mut rules = String::new();
    for ink in [TEXT, GRID, MUTED].iter().chain(&SERIES) {
        let (light, dark) = (css(ink.light), css(ink.dark));
        let _ = writeln!(rules, "[fill=\"{light}\"] {{ fill: {dark} }} [stroke=\"{light}\"] {{ stroke: {dark} }}");
    }
    rules
}
