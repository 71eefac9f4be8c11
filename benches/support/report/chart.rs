//! Pictures of lines and bars, drawn by plotters as SVG.

use super::axis::{Axis, Scale};
use super::palette::{GRID, Ink, MUTED, TEXT};
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::prelude::{Cartesian2d, Circle, EmptyElement, IntoDrawingArea, PathElement, Rectangle, SVGBackend, Text};
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, TRANSPARENT, TextStyle};

/// The size of pictures of lines: about that of a phone, so that text stays readable there.
const SIZE: (u32, u32) = (460, 320);

/// The size of text, in the unit of plotters; 1.24 of them are one of SVG.
const FONT: i32 = 17;

/// One measured point, with the quartiles around it.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) quartiles: [f64; 2],
}

/// How a series is drawn.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Style {
    Solid,
    Dashed,
    /// A line without points: a limit.
    Limit,
    /// Points without a line, each with its name.
    Points,
}

/// Points of one color.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) ink: Ink,
    pub(crate) style: Style,
    pub(crate) points: Vec<Point>,
    /// The names of the points, of [`Style::Points`] only.
    pub(crate) names: Vec<String>,
}

/// A picture of lines over two axes.
pub(crate) struct Chart {
    pub(crate) x: (&'static str, Scale),
    pub(crate) y: (&'static str, Scale),
    pub(crate) series: Vec<Series>,
    /// Values of x that a vertical line marks.
    pub(crate) marks: Vec<(f64, String)>,
}

type Context<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// A style of text whose anchor is a corner or the middle of a side.
fn text(size: i32, ink: Ink, h_pos: HPos, v_pos: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&ink.light).pos(Pos::new(h_pos, v_pos))
}

impl Chart {
    /// Draws the picture. It is empty without points.
    pub(crate) fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points).filter(|point| point.y > 0.0);
        let mut svg = String::new();
        if points().next().is_none() {
            return svg;
        }
        let x_axis = self.x.1.axis(points().map(|point| point.x), 7);
        // Quartiles may leave the picture: one slow round must not flatten all lines.
        let y_axis = self.y.1.axis(points().map(|point| point.y), 6);
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin_right(14)
            .margin_top(if self.marks.is_empty() { 8 } else { 22 })
            .x_label_area_size(46)
            .y_label_area_size(62)
            .build_cartesian_2d(x_axis, y_axis)
            .expect("ranges of numbers");
        let label = ("sans-serif", FONT).into_font().color(&TEXT.light);
        chart
            .configure_mesh()
            .bold_line_style(GRID.light)
            .light_line_style(TRANSPARENT)
            .axis_style(MUTED.light)
            .label_style(label.clone())
            .axis_desc_style(label)
            .x_desc(self.x.0)
            .y_desc(self.y.0)
            .x_label_formatter(&|place| self.x.1.label(*place))
            .y_label_formatter(&|place| self.y.1.label(*place))
            .draw()
            .expect("a picture in memory");
        self.draw_marks(&mut chart);
        for series in &self.series {
            self.draw_series(&mut chart, series);
        }
        drop(chart);
        root.present().expect("a picture in memory");
        drop(root);
        svg
    }

    fn draw_marks(&self, chart: &mut Context<'_, '_>) {
        let (x, y) = (chart.x_range(), chart.y_range());
        for (value, name) in &self.marks {
            let place = self.x.1.place(*value);
            if x.contains(&place) {
                let line = vec![(place, y.start), (place, y.end)];
                let dashes = DashedLineSeries::new(line, 4, 4, MUTED.light.into());
                chart.draw_series(dashes).expect("a picture in memory");
                let style = text(FONT - 2, MUTED, HPos::Center, VPos::Bottom);
                let name = Text::new(name.clone(), (place, y.end), style);
                chart.plotting_area().draw(&name).expect("a picture in memory");
            }
        }
    }

    fn draw_series(&self, chart: &mut Context<'_, '_>, series: &Series) {
        let place = |x: f64, y: f64| (self.x.1.place(x), self.y.1.place(y));
        let width = if series.style == Style::Limit { 1 } else { 2 };
        let stroke = series.ink.light.stroke_width(width);
        let points: Vec<_> = series.points.iter().map(|point| place(point.x, point.y)).collect();
        match series.style {
            Style::Solid | Style::Limit => {
                chart.draw_series(LineSeries::new(points.clone(), stroke)).expect("a picture in memory");
            }
            Style::Dashed => {
                let dashes = DashedLineSeries::new(points.clone(), 6, 4, stroke);
                chart.draw_series(dashes).expect("a picture in memory");
            }
            Style::Points => (),
        }
        if matches!(series.style, Style::Solid | Style::Dashed) {
            let (low, high) = (chart.y_range().start, chart.y_range().end);
            let whiskers = series.points.iter().map(|point| {
                let ends = point.quartiles.map(|quartile| {
                    let (x, y) = place(point.x, quartile);
                    (x, y.clamp(low, high))
                });
                PathElement::new(ends.to_vec(), series.ink.light.mix(0.5).stroke_width(1))
            });
            chart.draw_series(whiskers).expect("a picture in memory");
        }
        if series.style == Style::Limit {
            return;
        }
        let fill =
            if series.style == Style::Dashed { series.ink.light.stroke_width(1) } else { series.ink.light.filled() };
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, fill))).expect("a picture in memory");
        if series.style == Style::Points {
            draw_names(chart, &points, series);
        }
    }
}

/// Writes the name of each point beside it, a little higher or lower if it would lie on another.
fn draw_names(chart: &Context<'_, '_>, points: &[(f64, f64)], series: &Series) {
    const LINE: i32 = 14;
    let pixels: Vec<(i32, i32)> = points.iter().map(|point| chart.backend_coord(point)).collect();
    // Left, right and middle of what is there: points, and names as they are added.
    let mut boxes: Vec<(i32, i32, i32)> = pixels.iter().map(|&(x, y)| (x - 4, x + 4, y)).collect();
    for ((point, (x, y)), name) in points.iter().zip(pixels).zip(&series.names) {
        let right = x + 8 + 7 * name.len() as i32;
        let is_free = |offset: &i32| {
            let is_apart =
                |&(l, r, middle): &(i32, i32, i32)| l > right || r < x + 6 || (middle - y - offset).abs() >= LINE;
            boxes.iter().all(is_apart)
        };
        let offset = [0, -7, 7, -14, 14, -21, 21, -28, 28].into_iter().find(is_free).unwrap_or(0);
        boxes.push((x + 6, right, y + offset));
        let name = Text::new(name.clone(), (7, offset), text(FONT - 2, TEXT, HPos::Left, VPos::Center));
        chart.plotting_area().draw(&(EmptyElement::at(*point) + name)).expect("a picture in memory");
    }
}

/// One bar, with a value that its text states.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) text: String,
    pub(crate) ink: Ink,
}

/// Draws horizontal bars from 0, each under its name, and a line at `mark`.
pub(crate) fn bars_svg(bars: &[Bar], mark: Option<f64>) -> String {
    const ROW: i32 = 42;
    let widest = bars.iter().map(|bar| bar.text.len()).max().unwrap_or(0);
    let width = SIZE.0 as i32 - 10 - 8 * widest as i32;
    let highest = bars.iter().map(|bar| bar.value).chain(mark).fold(0.0, f64::max);
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (SIZE.0, (ROW * bars.len() as i32 + 6) as u32)).into_drawing_area();
    let pixels = |value: f64| (value / highest * f64::from(width)).round() as i32;
    for (top, bar) in (0..).step_by(ROW as usize).zip(bars) {
        let end = pixels(bar.value);
        let name = Text::new(bar.name.clone(), (0, top + 10), text(FONT - 2, TEXT, HPos::Left, VPos::Center));
        // Behind the mark, if the mark would cross the text.
        let is_crossed = |x: &i32| (end..end + 6 + 8 * bar.text.len() as i32).contains(x);
        let left = mark.map(pixels).filter(is_crossed).unwrap_or(end) + 6;
        let value = Text::new(bar.text.clone(), (left, top + 28), text(FONT - 2, TEXT, HPos::Left, VPos::Center));
        let bar = Rectangle::new([(0, top + 21), (end, top + 35)], bar.ink.light.filled());
        root.draw(&bar).and(root.draw(&name)).and(root.draw(&value)).expect("a picture in memory");
    }
    if let Some(x) = mark.map(pixels) {
        for top in (0..bars.len() as i32).map(|row| row * ROW + 19) {
            let line = PathElement::new(vec![(x, top), (x, top + 18)], TEXT.light.stroke_width(2));
            root.draw(&line).expect("a picture in memory");
        }
    }
    root.present().expect("a picture in memory");
    drop(root);
    svg
}
