//! Two numeric settings: a map of a measure, colored by its value, or by its verdict if it is compared with a limit.

use super::{FAILED, HELD, OPEN, name, overload_key, verdict_color};
use crate::experiment::results::Verdict;
use crate::experiment::sweep::{PointResult, SettingResult, SweepMeasure, SweepResult};
use crate::report::plot::axis::{self, Axis, Scale};
use crate::report::plot::figure::{Figure, Key, Labels, Layer, Panel, Sign};
use crate::report::plot::paint::text_width;
use crate::report::plot::palette::{Color, Dash, FAULT_BAR, GROUND, INK, Mark, Stroke};
use crate::report::words::value_text;

/// Pixels of the map from left to right, nearly.
const WIDTH: f64 = 1040.0;
/// Pixels between the strokes of a hatched cell.
const HATCH: f64 = 13.0;
/// The size of the numbers in cells.
const TEXT: f64 = 15.0;

/// From little to much: the sequential scheme YlGnBu (Brewer, ColorBrewer, 2003), which the color-blind see as well.
const SCHEME: [Color; 9] = [
    Color(0xff, 0xff, 0xd9),
    Color(0xed, 0xf8, 0xb1),
    Color(0xc7, 0xe9, 0xb4),
    Color(0x7f, 0xcd, 0xbb),
    Color(0x41, 0xb6, 0xc4),
    Color(0x1d, 0x91, 0xc0),
    Color(0x22, 0x5e, 0xa8),
    Color(0x25, 0x34, 0x94),
    Color(0x08, 0x1d, 0x58),
];

/// The map of a measure.
pub fn figure(result: &SweepResult, measure: usize) -> Figure {
    let asked = &result.measures[measure];
    let colors = Colors::of(result, measure);
    let map = map(result, measure, &colors);
    let mut panels = Vec::new();
    if asked.limits.is_empty() {
        panels.extend(scale_bar(asked, &colors));
    }
    panels.push(map);
    let what = match asked.limits.is_empty() {
        true => "each cell is the mean of its runs",
        false => "a verdict needs the whole 95 % interval on one side of the limit",
    };
    Figure {
        title: format!("{}: {}", result.name, asked.text),
        subtitle: format!("{} runs of each point on the same random numbers; {what}", result.runs),
        panels,
        x_title: name(&result.settings[0]),
        labels: Labels::Each,
    }
}

/// From values to colors.
struct Colors {
    scale: Option<Scale>,
    axis: Option<Axis>,
}

impl Colors {
    /// Over all points that have a steady value.
    fn of(result: &SweepResult, measure: usize) -> Self {
        let steady = result.points.iter().filter(|p| p.overload.is_none());
        let values = || steady.clone().filter_map(|p| p.measures[measure].value).filter(|v| v.is_finite());
        let (lo, hi) =
            values().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
        if lo > hi {
            return Self { scale: None, axis: None };
        }
        let is_log = lo > 0.0 && hi / lo > super::WIDE / 2.0;
        let axis = axis::range(lo, hi, result.measures[measure].unit, is_log);
        Self { scale: Some(axis.scale), axis: Some(axis) }
    }

    fn color(&self, value: f64) -> Color {
        let place = self.scale.map_or(0.0, |scale| scale.place(value)) * (SCHEME.len() - 1) as f64;
        let below = (place as usize).min(SCHEME.len() - 2);
        let (a, b, share) = (SCHEME[below], SCHEME[below + 1], place - below as f64);
        let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
        Color(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
    }
}

/// Ink that can be read on a color.
fn ink_on(Color(r, g, b): Color) -> Color {
    let light = 299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b);
    if light > 130_000 { INK } else { GROUND }
}

fn scale_bar(asked: &SweepMeasure, colors: &Colors) -> Option<Panel> {
    const SLICES: u32 = 200;
    let axis = colors.axis.clone()?;
    let (Scale::Linear { lo, hi } | Scale::Log { lo, hi }) = axis.scale;
    let at = |slice: u32| match axis.scale {
        Scale::Linear { .. } => lo + (hi - lo) * f64::from(slice) / f64::from(SLICES),
        Scale::Log { .. } => lo * libm::pow(hi / lo, f64::from(slice) / f64::from(SLICES)),
    };
    let slice = |n: u32| rectangle((at(n), at(n + 1)), (0.0, 1.0), colors.color((at(n) + at(n + 1)) / 2.0));
    Some(Panel {
        title: format!("color: {}", asked.text),
        color: None,
        keys: Vec::new(),
        lanes: Vec::new(),
        height: 22.0,
        x: Axis { grid: false, ..axis },
        y: Axis { scale: Scale::Linear { lo: 0.0, hi: 1.0 }, ticks: Vec::new(), grid: false },
        layers: (0..SLICES).map(slice).collect(),
        note: None,
    })
}

fn map(result: &SweepResult, measure: usize, colors: &Colors) -> Panel {
    let asked = &result.measures[measure];
    let [columns, rows] = [sorted(&result.settings[0]), sorted(&result.settings[1])];
    let height = (rows.len() as f64 * 42.0).clamp(200.0, 660.0);
    let cell = (WIDTH / columns.len() as f64, height / rows.len() as f64);
    let mut layers = Vec::new();
    for point in &result.points {
        let find = |values: &[String], at: usize| values.iter().position(|v| *v == point.values[at].text);
        if let (Some(x), Some(y)) = (find(&columns, 0), find(&rows, 1)) {
            draw(point, measure, asked, colors, (x as f64, y as f64), cell, &mut layers);
        }
    }
    let mut keys = Vec::new();
    if !asked.limits.is_empty() {
        keys.push(Key::area(HELD, "held"));
        keys.push(Key::area(FAILED, "failed"));
        keys.push(Key { sign: Sign::Hatched(OPEN), text: "inconclusive: more runs would tell".into() });
    }
    keys.extend(overload_key(result));
    Panel {
        title: format!("upwards: {}", name(&result.settings[1])),
        color: None,
        keys,
        lanes: Vec::new(),
        height,
        x: axis::names(&columns),
        y: axis::names(&rows),
        layers,
        note: None,
    }
}

/// The values of a setting from the least to the greatest, as people read them.
fn sorted(setting: &SettingResult) -> Vec<String> {
    let mut values = setting.values.clone();
    values.sort_by(|a, b| a.number.unwrap_or(0.0).total_cmp(&b.number.unwrap_or(0.0)));
    values.into_iter().map(|v| v.text).collect()
}

fn rectangle((left, right): (f64, f64), (bottom, top): (f64, f64), color: Color) -> Layer {
    Layer::Band {
        upper: vec![(left, top), (right, top)],
        lower: vec![(left, bottom), (right, bottom)],
        color,
    }
}

/// A cell: its color, strokes if it is inconclusive, a cross where requests pile up, and its value if there is room.
fn draw(
    point: &PointResult,
    measure: usize,
    asked: &SweepMeasure,
    colors: &Colors,
    (x, y): (f64, f64),
    (width, height): (f64, f64),
    layers: &mut Vec<Layer>,
) {
    let found = &point.measures[measure];
    let is_overloaded = point.overload.is_some();
    let value = found.value.filter(|v| v.is_finite());
    let color = match (found.verdict, value) {
        (Some(verdict), _) => verdict_color(verdict),
        (None, Some(value)) if !is_overloaded => colors.color(value),
        _ => FAULT_BAR,
    };
    // A gap of a pixel shows where cells end.
    let (dx, dy) = (0.75 / width, 0.75 / height);
    layers.push(rectangle((x + dx, x + 1.0 - dx), (y + dy, y + 1.0 - dy), color));
    if found.verdict == Some(Verdict::Inconclusive) {
        layers.extend(hatching((x, y), (width, height)));
    }
    let text = value.map_or("–".to_string(), |v| value_text(asked.unit, v));
    let text_room = text_width(&text, TEXT) + 8.0;
    let mut middle = x + 0.5;
    if is_overloaded {
        let beside = text_room + 18.0 < width && height > TEXT;
        let at = if beside { middle - (text_room / 2.0 + 2.0) / width } else { middle };
        layers.push(Layer::Point { at: (at, y + 0.5), mark: Mark::Cross, color: INK, radius: 5.0 });
        if !beside {
            return;
        }
        middle += 8.0 / width;
    }
    if text_room < width && height > TEXT {
        if found.verdict == Some(Verdict::Inconclusive) {
            // Strokes would run through the number.
            let (half, tall) = (text_room / 2.0 / width, TEXT * 0.75 / height);
            layers.push(rectangle((middle - half, middle + half), (y + 0.5 - tall, y + 0.5 + tall), color));
        }
        layers.push(Layer::Text { at: (middle, y + 0.5), text, size: TEXT, color: ink_on(color) });
    }
}

/// Strokes from lower left to upper right over a cell, given its size in pixels.
fn hatching((x, y): (f64, f64), (width, height): (f64, f64)) -> Vec<Layer> {
    let stroke = Stroke { color: Color(0x99, 0x8a, 0x50), width: 1.5, dash: Dash::Solid };
    let count = ((width + height) / HATCH) as i32;
    let line = |n: i32| {
        let begin = f64::from(n) * HATCH - height;
        let (left, right) = (begin.max(0.0), (begin + height).min(width));
        let at = |px: f64| (x + px / width, y + (px - begin) / height);
        Layer::Line { points: vec![at(left), at(right)], stroke }
    };
    (1..=count).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strokes_stay_in_their_cell() {
        for size in [(90.0, 40.0), (20.0, 60.0)] {
            let strokes = hatching((3.0, 5.0), size);
            assert!(strokes.len() >= 5);
            for stroke in strokes {
                let Layer::Line { points, .. } = stroke else { panic!("a line") };
                for (x, y) in points {
                    assert!((3.0..=4.0001).contains(&x) && (4.9999..=6.0001).contains(&y), "{x} {y}");
                }
            }
        }
    }

    #[test]
    fn numbers_can_be_read_on_every_color() {
        assert_eq!((ink_on(SCHEME[0]), ink_on(SCHEME[8])), (INK, GROUND));
        assert!([HELD, FAILED, OPEN].iter().all(|c| ink_on(*c) == INK));
    }
}
