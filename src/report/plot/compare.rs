//! Differences to the baseline with their intervals, one panel for each measure (a forest plot): what does not touch
//! the line of no difference is real.

use super::axis::{Axis, Scale};
use super::figure::{self, Figure, Key, Labels, Layer, Panel};
use super::palette::{self, Color, Dash, Stroke};
use crate::experiment::compare::direction::Direction;
use crate::experiment::compare::results::{Comparison, MeasureComparison, Pair, Verdict};
use crate::report::comparison::words;
use crate::report::words::value_text;

/// The side of the better.
const BETTER: Color = Color(0xe6, 0xf4, 0xec);
/// A mean or an interval that is no difference.
const UNCLEAR: Color = Color(0x77, 0x77, 0x77);
/// Pixels from one pair to the next.
const ROW: f64 = 40.0;

/// The figure, if anything could be compared.
pub fn figure(result: &Comparison) -> Option<Figure> {
    let panels: Vec<Panel> = result.measures.iter().filter_map(|m| panel(result, m)).collect();
    if panels.is_empty() {
        return None;
    }
    let family = match result.family {
        1 => String::new(),
        family => format!(", thin: all {family} together"),
    };
    Some(figure::limited(Figure {
        title: "Differences between variants, run by run".to_string(),
        subtitle: format!(
            "{} runs on common random numbers; thick: 95 % interval of each{family}; green: the better side",
            result.runs
        ),
        panels,
        x_title: String::new(),
        labels: Labels::Each,
    }))
}

fn panel(result: &Comparison, measure: &MeasureComparison) -> Option<Panel> {
    let pairs: Vec<&Pair> = measure.pairs.iter().filter(|p| finite(p.difference).is_some()).collect();
    if pairs.is_empty() {
        return None;
    }
    let ends = pairs.iter().flat_map(|p| {
        let (lo, hi) = p.simultaneous95.or(p.ci95).unwrap_or((0.0, 0.0));
        [p.difference.unwrap_or(0.0), lo, hi]
    });
    let (lo, hi) =
        ends.filter(|v| v.is_finite()).fold((0.0f64, 0.0f64), |(lo, hi), v| (lo.min(v), hi.max(v)));
    let scale = pairs.first().and_then(|p| p.means).map_or(1.0, |(baseline, _)| baseline.abs());
    let tolerance =
        measure.tolerance.as_ref().map(|t| if t.is_relative { t.amount * scale } else { t.amount });
    let x = axis(lo.min(-tolerance.unwrap_or(0.0)), hi.max(tolerance.unwrap_or(0.0)), measure);
    let Scale::Linear { lo: left, hi: right } = x.scale else { return None };
    let rows = pairs.len() as f64;
    let mut layers = Vec::new();
    if let Some(better) = measure.better {
        let (from, to) = if better == Direction::Less { (left, 0.0) } else { (0.0, right) };
        layers.push(block(from, to, rows, BETTER));
    }
    if let Some(tolerance) = tolerance {
        layers.push(block(-tolerance, tolerance, rows, palette::SHADE));
    }
    // Drawn over the blocks, which hide the grid.
    for (at, _) in x.ticks.iter().filter(|(at, _)| *at != 0.0) {
        let stroke = Stroke { color: palette::GRID, width: 1.0, dash: Dash::Solid };
        layers.push(Layer::Line { points: vec![(*at, 0.0), (*at, rows)], stroke });
    }
    layers.push(Layer::Moment(0.0));
    let mut ticks = Vec::new();
    for (at, pair) in pairs.iter().enumerate() {
        let y = rows - at as f64 - 0.5;
        ticks.push((y, label(result, pair)));
        layers.extend(whiskers(pair, y));
    }
    ticks.reverse();
    Some(Panel {
        title: measure.text.clone(),
        color: None,
        keys: keys(result, measure, &pairs),
        lanes: Vec::new(),
        height: ROW * rows + 10.0,
        x,
        y: Axis { scale: Scale::Linear { lo: 0.0, hi: rows }, ticks, grid: false },
        layers,
        note: None,
    })
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|v| v.is_finite())
}

fn block(from: f64, to: f64, rows: f64, color: Color) -> Layer {
    Layer::Band { upper: vec![(from, rows), (to, rows)], lower: vec![(from, 0.0), (to, 0.0)], color }
}

/// The names; against the baseline, that of the variant is enough.
fn label(result: &Comparison, pair: &Pair) -> String {
    let name = &result.variants[pair.b];
    if pair.a == result.baseline { name.clone() } else { format!("{name} - {}", result.variants[pair.a]) }
}

/// What the baseline is and what does not matter, beside the title.
fn keys(result: &Comparison, measure: &MeasureComparison, pairs: &[&Pair]) -> Vec<Key> {
    let tolerance = measure.tolerance.as_ref();
    let mut keys: Vec<Key> = tolerance
        .map(|t| Key::area(palette::FAULT_BAR.tint(40), format!("within {}", t.text)))
        .into_iter()
        .collect();
    let first = pairs.iter().find(|p| p.a == result.baseline).and_then(|p| p.means);
    if let Some((baseline, _)) = first {
        let stroke = Stroke { color: palette::INK, width: 1.5, dash: Dash::Strokes };
        let name = &result.variants[result.baseline];
        keys.push(Key::line(stroke, format!("{name}: {}", value_text(measure.unit, baseline))));
    }
    keys
}

/// The intervals as a thin and a thick line, with small bars at their ends, and the mean on them.
fn whiskers(pair: &Pair, y: f64) -> Vec<Layer> {
    let Some(mean) = finite(pair.difference) else { return Vec::new() };
    let color = match pair.verdict {
        Verdict::Better => palette::variant(2).stroke.color,
        Verdict::Worse => palette::variant(1).stroke.color,
        Verdict::More | Verdict::Less => palette::variant(0).stroke.color,
        Verdict::Equivalent | Verdict::NotFound | Verdict::Inconclusive => UNCLEAR,
    };
    let mut layers = Vec::new();
    let line = |from, to, width| Layer::Line {
        points: vec![from, to],
        stroke: Stroke { color, width, dash: Dash::Solid },
    };
    let ends = |interval: Option<(f64, f64)>| interval.filter(|(lo, hi)| lo.is_finite() && hi.is_finite());
    if let Some((lo, hi)) = ends(pair.simultaneous95) {
        layers.push(line((lo, y), (hi, y), 2.0));
        layers.push(line((lo, y - 0.14), (lo, y + 0.14), 2.0));
        layers.push(line((hi, y - 0.14), (hi, y + 0.14), 2.0));
    }
    if let Some((lo, hi)) = ends(pair.ci95) {
        layers.push(line((lo, y), (hi, y), 7.0));
    }
    let mark = match pair.verdict {
        Verdict::Better => palette::Mark::Circle,
        Verdict::Worse => palette::Mark::Diamond,
        _ => palette::Mark::Square,
    };
    layers.push(Layer::Point { at: (mean, y), mark, color: palette::INK, radius: 5.0 });
    layers
}

/// From somewhat below the least to somewhat above the greatest, with round numbers and always zero.
fn axis(lo: f64, hi: f64, measure: &MeasureComparison) -> Axis {
    let width = if hi - lo > 0.0 { hi - lo } else { 1.0 };
    // The side of the better is seen even if nothing is on it.
    let (lo, hi) = ((lo - 0.06 * width).min(-0.12 * width), (hi + 0.06 * width).max(0.12 * width));
    let rough = (hi - lo) / 6.0;
    let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
    let nice = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
    let step = nice.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
    let first = (lo / step).ceil() as i64;
    let last = (hi / step).floor() as i64;
    let tick = |at: i64| {
        let value = at as f64 * step;
        (value, if at == 0 { "0".to_string() } else { words::signed(measure.unit, value) })
    };
    Axis { scale: Scale::Linear { lo, hi }, ticks: (first..=last).map(tick).collect(), grid: false }
}
