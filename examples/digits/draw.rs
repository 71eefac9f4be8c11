//! Draws the medoids: as text for the terminal, and with some members of their clusters as SVG.

use crate::{Digit, PIXELS, SIDE};
use mantex::medoids::Clustering;
use std::fmt::Write;

/// Text: images side by side in 80 columns, two characters a pixel (a character is about twice as
/// high as wide).
const PER_LINE: usize = 5;
const CELL: usize = 2 * SIDE;

/// SVG: how many of the most and of the least certain members are shown, and the sizes in pixels.
const SHOWN: usize = 6;
const WIDTH: usize = 1000;
const TOP: usize = 142;
const ROW: usize = 86;
const BOTTOM: usize = 30;
const MEDOID: usize = 56;
const MEMBER: usize = 44;
const STEP: usize = 62;
const MEDOID_X: usize = 40;
const MOST_X: usize = 210;
const LEAST_X: usize = 604;
/// The margin between the frame of an image and its pixels.
const INSET: usize = 3;

const SAME: &str = "#2f7fb5";
const OTHER: &str = "#e2711d";

/// What there is to draw. `memberships` is images x clusters.
pub(crate) struct Picture<'a> {
    pub(crate) digits: &'a [Digit],
    pub(crate) clustering: &'a Clustering,
    pub(crate) memberships: &'a [f64],
    /// The agreement with the labels, in words.
    pub(crate) summary: &'a str,
}

impl Picture<'_> {
    /// The clusters in the order of their medoids' labels.
    fn clusters(&self) -> Vec<usize> {
        let medoids = self.clustering.medoids();
        let mut clusters: Vec<usize> = (0..medoids.len()).collect();
        clusters.sort_by_key(|&c| (self.digits[medoids[c]].label, medoids[c]));
        clusters
    }

    /// The members of a cluster, most certain first.
    fn members(&self, cluster: usize) -> Vec<usize> {
        let labels = self.clustering.labels();
        let mut members: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == cluster).collect();
        members.sort_by(|&i, &j| self.share(j, cluster).total_cmp(&self.share(i, cluster)).then(i.cmp(&j)));
        members
    }

    fn share(&self, image: usize, cluster: usize) -> f64 {
        self.memberships[image * self.clustering.medoids().len() + cluster]
    }

    /// The medoids in shades, several side by side, each under its label and the size of its
    /// cluster.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for clusters in self.clusters().chunks(PER_LINE) {
            let mut lines = vec![String::new(); 1 + SIDE];
            for &c in clusters {
                let medoid = &self.digits[self.clustering.medoids()[c]];
                let caption = format!(" {}  ({} images)", medoid.label, self.members(c).len());
                lines[0] += &format!("{caption:<CELL$}");
                for (line, pixels) in lines[1..].iter_mut().zip(medoid.ink.chunks(SIDE)) {
                    line.extend(pixels.iter().flat_map(|&ink| [shade(ink); 2]));
                }
            }
            for line in lines {
                text += line.trim_end();
                text.push('\n');
            }
            text.push('\n');
        }
        text
    }

    /// A standalone SVG: a row for each medoid, with its most and its least certain members.
    pub(crate) fn svg(&self) -> String {
        let clusters = self.clusters();
        let (n, height) = (self.digits.len(), TOP + ROW * clusters.len() + BOTTOM);
        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" fill="#22303c">
<title>The medoids of {n} handwritten digits</title>
<rect width="100%" height="100%" fill="#f7f5f0"/>
<text x="{MEDOID_X}" y="46" font-size="24" font-weight="bold">The medoids of {n} handwritten digits</text>
<text x="{MEDOID_X}" y="70" font-size="13" fill="#5b6873">{}</text>
"##,
            self.summary
        );
        let legend = [(SAME, "same label as the medoid"), (OTHER, "another label")];
        for ((color, meaning), x) in legend.into_iter().zip([LEAST_X, LEAST_X + 190]) {
            let _ = writeln!(
                svg,
                r#"<rect x="{x}" y="35" width="11" height="11" rx="2" fill="none" stroke="{color}" stroke-width="2.5"/><text x="{}" y="45" font-size="12">{meaning}</text>"#,
                x + 18
            );
        }
        let headings = [
            (MEDOID_X, "Medoid", "label, size of the cluster"),
            (MOST_X, "Most certain members", "label and membership in the cluster"),
            (LEAST_X, "Least certain members", "the least certain last"),
        ];
        for (x, heading, note) in headings {
            let _ = writeln!(
                svg,
                r##"<text x="{x}" y="108" font-size="14" font-weight="bold">{heading}</text><text x="{x}" y="124" font-size="11" fill="#5b6873">{note}</text>"##
            );
        }
        for (row, &c) in clusters.iter().enumerate() {
            self.svg_row(&mut svg, TOP + row * ROW, c);
        }
        svg += "</svg>\n";
        svg
    }

    fn svg_row(&self, svg: &mut String, y: usize, cluster: usize) {
        let medoid = self.clustering.medoids()[cluster];
        let label = self.digits[medoid].label;
        let mut members = self.members(cluster);
        let size = members.len();
        members.retain(|&i| i != medoid);
        let right = WIDTH - MEDOID_X;
        let _ = writeln!(svg, r##"<line x1="{MEDOID_X}" y1="{y}" x2="{right}" y2="{y}" stroke="#ddd8cc"/>"##);
        self.svg_image(svg, (MEDOID_X, y + 14), MEDOID, medoid, "#22303c");
        let x = MEDOID_X + MEDOID + 14;
        let _ = writeln!(
            svg,
            r##"<text x="{x}" y="{}" font-size="26" font-weight="bold">{label}</text><text x="{x}" y="{}" font-size="11" fill="#5b6873">{size} images</text>"##,
            y + 42,
            y + 62
        );
        // A cluster of few members shows each of them once, on the side of the most certain.
        let most = members.len().min(SHOWN);
        let least = (members.len() - most).min(SHOWN);
        let columns = members[..most].iter().zip((MOST_X..).step_by(STEP));
        for (&image, x) in columns.chain(members[members.len() - least..].iter().zip((LEAST_X..).step_by(STEP))) {
            let own = self.digits[image].label;
            let color = if own == label { SAME } else { OTHER };
            self.svg_image(svg, (x, y + 13), MEMBER, image, color);
            let _ = writeln!(
                svg,
                r#"<text x="{}" y="{}" font-size="11" text-anchor="middle"><tspan font-weight="bold" fill="{color}">{own}</tspan>  {:.0}%</text>"#,
                x + MEMBER / 2,
                y + 13 + MEMBER + 16,
                100.0 * self.share(image, cluster)
            );
        }
    }

    /// A framed image: pixels of the same ink make one path.
    fn svg_image(&self, svg: &mut String, (x, y): (usize, usize), size: usize, image: usize, frame: &str) {
        let scale = (size - 2 * INSET) as f64 / SIDE as f64;
        let (left, top) = (x + INSET, y + INSET);
        let _ = writeln!(
            svg,
            r##"<g><title>image {image}, label {}</title><rect x="{x}" y="{y}" width="{size}" height="{size}" rx="3" fill="#fff" stroke="{frame}" stroke-width="2.5"/><g transform="translate({left} {top}) scale({scale})" shape-rendering="crispEdges" fill="#14202b">"##,
            self.digits[image].label
        );
        let ink = &self.digits[image].ink;
        for level in 1..=16 {
            let pixels: String = (0..PIXELS)
                .filter(|&p| ink[p] == level)
                .map(|p| format!("M{} {}h1v1h-1z", p % SIDE, p / SIDE))
                .collect();
            if !pixels.is_empty() {
                let _ = writeln!(svg, r#"<path fill-opacity="{}" d="{pixels}"/>"#, f32::from(level) / 16.0);
            }
        }
        svg.push_str("</g></g>\n");
    }
}

/// A character as dark as the ink, 0 to 16.
fn shade(ink: u8) -> char {
    [' ', '░', '▒', '▓', '█'][usize::from(ink).div_ceil(4).min(4)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantex::{KMedoids, MatRef};

    fn picture_of<R>(look: impl FnOnce(Picture<'_>) -> R) -> R {
        let digits: Vec<Digit> = (0..6).map(|i| Digit { label: i % 3, ink: [i as u8; PIXELS] }).collect();
        let distance = |i: usize| f64::from(u8::from(i / 6 % 3 != i % 6 % 3));
        let distances: Vec<f64> = (0..36).map(distance).collect();
        let clustering = KMedoids::new(3).fit(MatRef::new(&distances, 6, 6).unwrap()).unwrap();
        let memberships = crate::memberships(MatRef::new(&distances, 6, 6).unwrap(), clustering.medoids()).unwrap();
        let summary = "Summary.";
        look(Picture { digits: &digits, clustering: &clustering, memberships: &memberships, summary })
    }

    #[test]
    fn text_fits_the_terminal() {
        let text = picture_of(|picture| picture.text());
        assert!(text.starts_with(" 0  (2 images)   1  (2 images)   2  (2 images)\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80));
        assert_eq!(text.lines().count(), 1 + SIDE + 1);
    }

    #[test]
    fn shades_grow_with_ink() {
        assert_eq!([0, 1, 4, 5, 16].map(shade), [' ', '░', '░', '▒', '█']);
    }

    #[test]
    fn svg_opens_and_closes_every_element() {
        let svg = picture_of(|picture| picture.svg());
        for tag in ["svg", "g", "text", "tspan", "title"] {
            let opened = svg.matches(&format!("<{tag} ")).count() + svg.matches(&format!("<{tag}>")).count();
            assert_eq!(opened, svg.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        // Three medoids, and the other member of each cluster.
        assert_eq!(svg.matches("<title>image").count(), 6);
        assert!(svg.contains("Summary."));
    }
}
