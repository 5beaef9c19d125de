//! Figures to scenes: margins, panels, axes, legends, and the bars that name faults.
//!
//! Nothing lies on the data but the data: legends stand above their panel, beside its title if there is room and
//! below it if not, and faults are named in bars of their own.

use super::axis::Axis;
use super::figure::{Figure, Key, Labels, Lane, Layer, Panel, Sign};
use super::paint::text_width;
use super::palette::{Color, FAINT, FAULT_BAR, GRID, GROUND, INK, SHADE, Stroke};
use super::palette::{Dash, Mark};
use super::scene::{Align, Scene, Shape};

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 24.0;
/// Room at the right, so that the last label below is not cut.
const RIGHT: f64 = 48.0;
const TITLE: f64 = 25.0;
const HEAD: f64 = 20.0;
const BODY: f64 = 17.0;
const ROW: f64 = 26.0;
const LANE: f64 = 23.0;
const LANES_MAX: usize = 3;
const SIGN: f64 = 34.0;
const KEY_GAP: f64 = 22.0;
const PANEL_GAP: f64 = 22.0;

/// The figure as shapes in pixels.
pub fn scene(figure: &Figure) -> Scene {
    let mut page = Page { shapes: Vec::new(), left: left_margin(figure), y: MARGIN + TITLE * 0.8 };
    page.text((MARGIN, page.y), &fit(&figure.title, TITLE, WIDTH - 2.0 * MARGIN), TITLE, Align::Left, INK);
    page.y += ROW;
    page.text((MARGIN, page.y), &fit(&figure.subtitle, BODY, WIDTH - 2.0 * MARGIN), BODY, Align::Left, FAINT);
    page.y += 14.0;
    for (at, panel) in figure.panels.iter().enumerate() {
        let labeled = figure.labels == Labels::Each || at + 1 == figure.panels.len();
        page.panel(panel, labeled);
    }
    if !figure.x_title.is_empty() {
        let middle = (page.left + WIDTH - RIGHT) / 2.0;
        page.text((middle, page.y + 16.0), &figure.x_title, BODY, Align::Center, FAINT);
        page.y += 24.0;
    }
    Scene {
        title: figure.title.clone(),
        width: WIDTH as u32,
        height: (page.y + MARGIN * 0.5).ceil() as u32,
        shapes: page.shapes,
    }
}

/// Room for the widest label at the left.
fn left_margin(figure: &Figure) -> f64 {
    let labels = figure.panels.iter().flat_map(|p| &p.y.ticks).map(|(_, label)| text_width(label, BODY));
    MARGIN + labels.fold(40.0, f64::max).min(260.0) + 12.0
}

/// A text cut to a width, with an ellipsis where it is.
fn fit(text: &str, size: f64, room: f64) -> String {
    if text_width(text, size) <= room {
        return text.to_string();
    }
    let mut cut: Vec<char> = text.chars().collect();
    while cut.pop().is_some() {
        let shorter: String = cut.iter().collect::<String>().trim_end().to_string() + "…";
        if text_width(&shorter, size) <= room {
            return shorter;
        }
    }
    String::new()
}

/// Where the axes of a panel are.
#[derive(Clone, Copy)]
struct Frame<'a> {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: &'a Axis,
    y: &'a Axis,
}

impl Frame<'_> {
    fn x(&self, value: f64) -> f64 {
        self.left + (self.right - self.left) * self.x.scale.place(value)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * self.y.scale.place(value)
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.x(x), self.y(y))
    }

    fn line(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        points.iter().map(|point| self.at(*point)).collect()
    }
}

/// A bar that names a period, with its text, and the row it is in.
struct Bar<'a> {
    lane: &'a Lane,
    from: f64,
    to: f64,
    text_x: f64,
    align: Align,
    row: Option<usize>,
}

/// What was laid out so far.
struct Page {
    shapes: Vec<Shape>,
    left: f64,
    /// The upper edge of what comes next.
    y: f64,
}

impl Page {
    fn text(&mut self, at: (f64, f64), text: &str, size: f64, align: Align, color: Color) {
        if !text.is_empty() {
            self.shapes.push(Shape::Text { at, text: text.to_string(), size, align, color });
        }
    }

    fn rect(&mut self, from: (f64, f64), to: (f64, f64), color: Color) {
        self.shapes.push(Shape::Rect { from, to, color });
    }

    fn rule(&mut self, from: (f64, f64), to: (f64, f64), color: Color) {
        let stroke = Stroke { color, width: 1.0, dash: Dash::Solid };
        self.shapes.push(Shape::Line { points: vec![from, to], stroke });
    }

    fn panel(&mut self, panel: &Panel, labeled: bool) {
        self.y += PANEL_GAP;
        self.head(panel);
        let (left, right) = (self.left, WIDTH - RIGHT);
        let frame = Frame { left, right, top: 0.0, bottom: 1.0, x: &panel.x, y: &panel.y };
        let bars = bars(&panel.lanes, &frame);
        let rows = bars.iter().filter_map(|bar| bar.row).max().map_or(0, |row| row + 1);
        let top = self.y + rows as f64 * LANE + 2.0;
        let frame = Frame { top, bottom: top + panel.height, ..frame };
        self.periods(&bars, &frame, rows);
        let stripes = |layer: &&Layer| matches!(layer, Layer::Stripe { .. });
        for stripe in panel.layers.iter().filter(stripes) {
            self.layer(stripe, &frame);
        }
        self.grid(&frame);
        for layer in panel.layers.iter().filter(|layer| !stripes(layer)) {
            self.layer(layer, &frame);
        }
        self.axes(&frame, labeled);
        if let Some(note) = &panel.note {
            let middle = ((left + right) / 2.0, (frame.top + frame.bottom) / 2.0);
            self.text(middle, note, HEAD, Align::Center, FAINT);
        }
        let lines = panel.x.ticks.iter().map(|(_, label)| label.lines().count()).max().unwrap_or(1);
        self.y = frame.bottom + if labeled { 8.0 + 22.0 * lines as f64 } else { 0.0 };
    }

    /// The title of a panel and its legend.
    fn head(&mut self, panel: &Panel) {
        let base = self.y + HEAD * 0.8;
        let mut x = MARGIN;
        if let Some(color) = panel.color {
            self.rect((x, base - 15.0), (x + 16.0, base + 1.0), color);
            x += 24.0;
        }
        let title = fit(&panel.title, HEAD, WIDTH - RIGHT - x);
        self.text((x, base), &title, HEAD, Align::Left, INK);
        let beside = x + text_width(&title, HEAD) + 2.0 * KEY_GAP;
        self.y += ROW;
        let widths: Vec<f64> = panel.keys.iter().map(key_width).collect();
        let all = widths.iter().sum::<f64>() + KEY_GAP * panel.keys.len().saturating_sub(1) as f64;
        if beside + all <= WIDTH - RIGHT {
            self.keys(&panel.keys, &widths, WIDTH - RIGHT - all, base);
            return;
        }
        for row in rows_of_keys(&widths, WIDTH - RIGHT - self.left) {
            self.keys(&panel.keys[row.clone()], &widths[row], self.left, self.y + HEAD * 0.8);
            self.y += ROW;
        }
    }

    fn keys(&mut self, keys: &[Key], widths: &[f64], mut x: f64, base: f64) {
        for (key, width) in keys.iter().zip(widths) {
            self.sign(key.sign, x, base - BODY * 0.35);
            let text = fit(&key.text, BODY, width - SIGN - 6.0 + 1.0);
            self.text((x + SIGN + 6.0, base), &text, BODY, Align::Left, INK);
            x += width + KEY_GAP;
        }
    }

    fn sign(&mut self, sign: Sign, x: f64, y: f64) {
        match sign {
            Sign::Line(stroke) => {
                self.shapes.push(Shape::Line { points: vec![(x, y), (x + SIGN, y)], stroke });
            }
            Sign::Curve(stroke, mark) => {
                self.sign(Sign::Line(stroke), x, y);
                let at = (x + SIGN / 2.0, y);
                self.shapes.push(Shape::Point { at, mark, color: stroke.color, radius: 5.5 });
            }
            Sign::Area(color) => self.rect((x + 8.0, y - 8.0), (x + SIGN, y + 8.0), color),
            Sign::Mark(mark, color) => {
                self.shapes.push(Shape::Point { at: (x + SIGN - 9.0, y), mark, color, radius: 5.5 });
            }
            Sign::Hatched(color) => {
                self.rect((x + 8.0, y - 8.0), (x + SIGN, y + 8.0), color);
                for begin in [8.0, 13.0, 18.0] {
                    self.rule((x + begin, y + 8.0), (x + begin + 16.0, y - 8.0), FAINT);
                }
            }
        }
    }

    /// The bars that name periods, and the shades behind the data.
    fn periods(&mut self, bars: &[Bar], frame: &Frame, rows: usize) {
        for bar in bars.iter().filter(|bar| bar.lane.shaded) {
            self.rect((bar.from, frame.top), (bar.to, frame.bottom), SHADE);
        }
        for bar in bars {
            let Some(row) = bar.row else { continue };
            let top = frame.top - 2.0 - (rows - row) as f64 * LANE;
            let color = if bar.lane.shaded { FAULT_BAR } else { GRID };
            self.rect((bar.from, top), (bar.to, top + LANE - 3.0), color);
            self.text((bar.text_x, top + LANE - 8.0), &bar.lane.label, BODY * 0.9, bar.align, INK);
        }
    }

    fn grid(&mut self, frame: &Frame) {
        let (x, y) = (frame.x, frame.y);
        for (value, _) in y.ticks.iter().filter(|_| y.grid) {
            self.rule((frame.left, frame.y(*value)), (frame.right, frame.y(*value)), GRID);
        }
        for (value, _) in x.ticks.iter().filter(|_| x.grid) {
            self.rule((frame.x(*value), frame.top), (frame.x(*value), frame.bottom), GRID);
        }
    }

    /// Lines at the left and below, and the labels.
    fn axes(&mut self, frame: &Frame, labeled: bool) {
        self.rule((frame.left, frame.bottom), (frame.right, frame.bottom), FAINT);
        self.rule((frame.left, frame.top), (frame.left, frame.bottom), FAINT);
        let mut free = f64::INFINITY;
        for (value, label) in &frame.y.ticks {
            let y = frame.y(*value);
            if y + BODY * 1.1 > free {
                continue;
            }
            free = y;
            self.rule((frame.left - 5.0, y), (frame.left, y), FAINT);
            self.text((frame.left - 9.0, y + BODY * 0.36), label, BODY, Align::Right, INK);
        }
        if !labeled {
            return;
        }
        let room = (frame.right - frame.left) / frame.x.ticks.len().max(1) as f64 - 8.0;
        let mut free = f64::NEG_INFINITY;
        for (value, label) in &frame.x.ticks {
            let x = frame.x(*value);
            let room = if frame.x.grid { WIDTH } else { room };
            let lines: Vec<String> = label.lines().map(|line| fit(line, BODY, room)).collect();
            let half = lines.iter().map(|line| text_width(line, BODY)).fold(0.0, f64::max) / 2.0;
            if x - half < free {
                continue;
            }
            free = x + half + 8.0;
            self.rule((x, frame.bottom), (x, frame.bottom + 5.0), FAINT);
            for (row, line) in lines.iter().enumerate() {
                let color = if row == 0 { INK } else { FAINT };
                self.text((x, frame.bottom + 23.0 + 22.0 * row as f64), line, BODY, Align::Center, color);
            }
        }
    }

    fn layer(&mut self, layer: &Layer, frame: &Frame) {
        match layer {
            Layer::Line { points, stroke } if points.len() == 1 => {
                let (at, radius) = (frame.at(points[0]), stroke.width * 0.7);
                self.shapes.push(Shape::Point { at, mark: Mark::Circle, color: stroke.color, radius });
            }
            Layer::Line { points, stroke } => {
                self.shapes.push(Shape::Line { points: frame.line(points), stroke: *stroke });
            }
            Layer::Band { upper, lower, color } => {
                let (upper, lower) = (frame.line(upper), frame.line(lower));
                self.shapes.push(Shape::Band { upper, lower, color: *color });
            }
            Layer::Moment(x) => {
                let points = vec![(frame.x(*x), frame.top), (frame.x(*x), frame.bottom)];
                let under = Stroke { color: GROUND, width: 2.5, dash: Dash::Solid };
                let over = Stroke { color: INK, width: 1.5, dash: Dash::Strokes };
                self.shapes.push(Shape::Line { points: points.clone(), stroke: under });
                self.shapes.push(Shape::Line { points, stroke: over });
            }
            Layer::Stripe { from, to, color } => {
                self.rect((frame.left, frame.y(*to)), (frame.right, frame.y(*from)), *color);
            }
            Layer::Point { at, mark, color, radius } => {
                let at = frame.at(*at);
                self.shapes.push(Shape::Point { at, mark: *mark, color: *color, radius: *radius });
            }
            Layer::Text { at, text, size, color } => {
                let (x, y) = frame.at(*at);
                self.text((x, y + size * 0.36), text, *size, Align::Center, *color);
            }
        }
    }
}

fn key_width(key: &Key) -> f64 {
    SIGN + 6.0 + text_width(&key.text, BODY).min(520.0)
}

/// Which entries of a legend are in which row.
fn rows_of_keys(widths: &[f64], room: f64) -> Vec<std::ops::Range<usize>> {
    let (mut rows, mut begin, mut used) = (Vec::new(), 0, 0.0);
    for (at, width) in widths.iter().enumerate() {
        if at > begin && used + width > room {
            rows.push(begin..at);
            (begin, used) = (at, 0.0);
        }
        used += width + KEY_GAP;
    }
    if begin < widths.len() {
        rows.push(begin..widths.len());
    }
    rows
}

/// The bars of periods, in rows such that none covers another; what does not fit into the rows has none.
fn bars<'a>(lanes: &'a [Lane], frame: &Frame) -> Vec<Bar<'a>> {
    let mut ends = [f64::NEG_INFINITY; LANES_MAX];
    let mut bars = Vec::new();
    for lane in lanes {
        let from = frame.x(lane.from);
        let to = frame.x(lane.to).max(from + 2.0);
        let text = text_width(&lane.label, BODY * 0.9);
        let (text_x, align, begin, end) = if text + 12.0 <= to - from {
            ((from + to) / 2.0, Align::Center, from, to)
        } else if to + 8.0 + text <= WIDTH - 4.0 {
            (to + 6.0, Align::Left, from, to + 6.0 + text)
        } else {
            (from - 6.0, Align::Right, from - 6.0 - text, to)
        };
        let row = ends.iter().position(|taken| *taken + 4.0 <= begin);
        if let Some(row) = row {
            ends[row] = end;
        }
        bars.push(Bar { lane, from, to, text_x, align, row });
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::axis;

    #[test]
    fn bars_do_not_cover_one_another() {
        let (x, y) = (axis::time(1800.0), axis::from_zero(1.0, crate::base::units::Unit::Level));
        let frame = Frame { left: 100.0, right: 1150.0, top: 0.0, bottom: 1.0, x: &x, y: &y };
        let lane = |from: f64, to: f64| Lane { label: "a long name".into(), from, to, shaded: true };
        let lanes = [lane(0.0, 900.0), lane(600.0, 610.0), lane(1000.0, 1800.0), lane(1799.0, 1800.0)];
        let rows: Vec<Option<usize>> = bars(&lanes, &frame).iter().map(|bar| bar.row).collect();
        assert_eq!(rows, [Some(0), Some(1), Some(0), Some(1)]);
    }

    #[test]
    fn legends_wrap_and_texts_are_cut() {
        assert_eq!(rows_of_keys(&[40.0, 40.0, 40.0], 110.0), [0..2, 2..3]);
        assert!(rows_of_keys(&[], 110.0).is_empty());
        let cut = fit("a title that is much too long", 20.0, 150.0);
        assert!(cut.ends_with('…') && text_width(&cut, 20.0) <= 150.0, "{cut}");
    }
}
