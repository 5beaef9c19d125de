//! Latency, and whatever else an objective is about, over load: with intervals, limits, capacity and knee.

use super::axis::{self, Axis, Scale};
use super::figure::{Figure, Key, Labels, Layer, Panel};
use super::palette::{self, Color, Dash, Look, Stroke};
use crate::base::units::{count_text, ratio_text};
use crate::experiment::capacity::{Bounds, CapacityResult, Point};
use crate::report::words::value_text;

/// Objectives that are drawn, at most.
const OBJECTIVES_MAX: usize = 3;
/// Resources that are drawn, at most.
const RESOURCES_MAX: usize = 5;
/// How far above its limit a measure is drawn.
const ABOVE: f64 = 2.2;

const LIMIT: Color = Color(0xc0, 0x40, 0x00);
const MARKER: Color = Color(0x40, 0x40, 0x40);

/// The figure.
pub fn figure(result: &CapacityResult) -> Figure {
    let top = result.found.fails.or(result.found.holds).unwrap_or(1.0) * 1.12;
    let points: Vec<&Point> = result.found.points.iter().filter(|p| p.load <= top).collect();
    let x = loads(top);
    let mut panels: Vec<Panel> = (0..result.objectives.len().min(OBJECTIVES_MAX))
        .map(|at| objective(result, at, &points, x.clone(), if at == 0 { 330.0 } else { 190.0 }))
        .collect();
    panels.push(usage(result, &points, x));
    let estimate = result.found.estimate.map_or(String::new(), |e| {
        let rate = result.found.rate(e).map_or(String::new(), |r| format!(", {}/s", count_text(r)));
        format!(": about {}x{rate}", count_text(e))
    });
    Figure {
        title: format!("Capacity of {}{estimate}", result.name),
        subtitle: format!(
            "Means over 5 to {} runs with their intervals ({} confidence); in the grey stripe it is open whether all \
             holds",
            result.runs,
            ratio_text(result.confidence)
        ),
        panels,
        x_title: "load, as a multiple of the file's".to_string(),
        labels: Labels::Last,
    }
}

/// Multiples of the load from zero on.
fn loads(top: f64) -> Axis {
    let mut axis = axis::from_zero(top / 1.06, crate::base::units::Unit::Ratio);
    axis.ticks = axis.ticks.into_iter().map(|(at, _)| (at, format!("{}x", count_text(at)))).collect();
    axis
}

fn solid(color: Color, width: f64, dash: Dash) -> Stroke {
    Stroke { color, width, dash }
}

/// The stretch in which it is open whether the objectives hold, and the lines of estimate and knee.
fn markers(result: &CapacityResult, bottom: f64, height: f64) -> (Vec<Layer>, Vec<Layer>, Vec<Key>) {
    let (mut behind, mut before, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    if let (Some(holds), Some(fails)) = (result.found.holds, result.found.fails) {
        behind.push(Layer::Band {
            upper: vec![(holds, height), (fails, height)],
            lower: vec![(holds, bottom), (fails, bottom)],
            color: palette::FAULT_BAR,
        });
    }
    let mut line = |load: Option<f64>, dash: Dash, name: &str| {
        let Some(load) = load else { return };
        let stroke = solid(MARKER, 2.0, dash);
        before.push(Layer::Line { points: vec![(load, bottom), (load, height)], stroke });
        keys.push(Key::line(stroke, format!("{name} {}x", count_text(load))));
    };
    line(result.found.estimate, Dash::Solid, "capacity");
    line(result.knee.map(|k| k.load), Dash::Dots, "knee");
    (behind, before, keys)
}

fn objective(result: &CapacityResult, at: usize, points: &[&Point], x: Axis, height: f64) -> Panel {
    let info = &result.objectives[at];
    let seen: Vec<(f64, Bounds)> =
        points.iter().filter_map(|p| Some((p.load, p.objectives[at].value?))).collect();
    let highest = seen.iter().map(|(_, b)| b.hi).fold(info.limits.limit.max(info.limits.upper), f64::max);
    let limit = info.limits.limit.max(info.limits.upper);
    let top = if limit > 0.0 { highest.min(limit * ABOVE) } else { highest };
    let y = axis::from_zero(top, info.unit);
    let Scale::Linear { hi: edge, .. } = y.scale else { return empty(&info.text, x, y) };
    let look = palette::variant(0);
    let (mut layers, before, mut keys) = markers(result, 0.0, edge);
    let upper = |b: &Bounds| b.hi;
    let lower = |b: &Bounds| b.lo.max(0.0);
    let mean = |b: &Bounds| b.mean;
    let line = |of: &dyn Fn(&Bounds) -> f64| -> Vec<(f64, f64)> {
        seen.iter().map(|(load, b)| (*load, of(b).min(edge))).collect()
    };
    layers.push(Layer::Band { upper: line(&upper), lower: line(&lower), color: look.stroke.color.tint(75) });
    let stroke = solid(LIMIT, 2.0, Dash::Strokes);
    let Scale::Linear { hi: end, .. } = x.scale else { return empty(&info.text, x, y) };
    for limit in [info.limits.limit, info.limits.upper] {
        layers.push(Layer::Line { points: vec![(0.0, limit), (end, limit)], stroke });
    }
    layers.push(Layer::Line { points: cut(&line(&mean), edge), stroke: look.stroke });
    let within = seen.iter().filter(|(_, b)| b.mean < edge);
    layers.extend(within.map(|(load, b)| Layer::Point {
        at: (*load, b.mean),
        mark: look.mark,
        color: look.stroke.color,
        radius: 4.5,
    }));
    layers.extend(before);
    keys.insert(0, Key::line(stroke, format!("limit {}", value_text(info.unit, info.limits.limit))));
    Panel { title: info.text.clone(), color: None, keys, lanes: Vec::new(), height, x, y, layers, note: None }
}

/// A line up to where it first reaches the upper edge.
fn cut(line: &[(f64, f64)], edge: f64) -> Vec<(f64, f64)> {
    let end = line.iter().position(|(_, y)| *y >= edge).map_or(line.len(), |at| at + 1);
    line[..end].to_vec()
}

fn empty(title: &str, x: Axis, y: Axis) -> Panel {
    let note = Some("nothing to show".to_string());
    let title = title.to_string();
    Panel {
        title,
        color: None,
        keys: Vec::new(),
        lanes: Vec::new(),
        height: 190.0,
        x,
        y,
        layers: Vec::new(),
        note,
    }
}

/// How much of each resource is in use: those that are full first.
fn usage(result: &CapacityResult, points: &[&Point], x: Axis) -> Panel {
    let y = axis::from_zero(1.0, crate::base::units::Unit::Ratio);
    let (mut layers, before, _) = markers(result, 0.0, 1.06);
    let mut keys = Vec::new();
    let mut lines = Vec::new();
    for (place, full) in result.full.iter().take(RESOURCES_MAX).enumerate() {
        let look: Look = palette::variant(place);
        let seen = points.iter().filter_map(|p| Some((p.load, p.usage[full.resource]?)));
        let seen: Vec<(f64, Bounds)> = seen.collect();
        let line = |of: fn(&Bounds) -> f64| -> Vec<(f64, f64)> {
            seen.iter().map(|(load, b)| (*load, of(b).clamp(0.0, 1.06))).collect()
        };
        // All bands lie behind all lines.
        layers.push(Layer::Band {
            upper: line(|b| b.hi),
            lower: line(|b| b.lo),
            color: look.stroke.color.tint(80),
        });
        lines.push(Layer::Line { points: line(|b| b.mean), stroke: look.stroke });
        keys.push(Key::line(look.stroke, result.resources[full.resource].replace('`', "")));
    }
    layers.extend(lines);
    layers.extend(before);
    let title = "Resources in use".to_string();
    Panel { title, color: None, keys, lanes: Vec::new(), height: 260.0, x, y, layers, note: None }
}
