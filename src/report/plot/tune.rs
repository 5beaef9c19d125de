//! What tuning did: how the best came about, and the front of several aims.

use super::axis::{Axis, Scale};
use super::figure::{Figure, Key, Labels, Layer, Panel, Sign};
use super::palette::{self, Color, Dash, Mark, Stroke};
use super::series::Line;
use crate::base::units::Unit;
use crate::experiment::tune::{Aimed, State, TrialResult, TuneResult};
use crate::report::words::value_text;

const TRIED: Color = Color(0x9a, 0x9a, 0x9a);
const MET: Color = Color(0x56, 0xb4, 0xe9);
const BEST: Color = Color(0x00, 0x72, 0xb2);
const PRESENT: Color = Color(0xd5, 0x5e, 0x00);
const FOUND: Color = Color(0x00, 0x9e, 0x73);

/// The least of 1, 2 and 5 times a power of ten that gives at most five steps.
fn step(width: f64) -> f64 {
    let power = libm::pow(10.0, libm::floor(libm::log10(width / 5.0)));
    [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| width / s <= 5.0).unwrap_or(10.0 * power)
}

/// An axis for values of any sign; logarithmic if they are positive and far apart.
fn axis(values: &[f64], unit: Unit) -> Axis {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let (lo, hi) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    let (lo, hi) = if lo > hi { (0.0, 1.0) } else { (lo, hi) };
    if lo > 0.0 && hi / lo > 30.0 {
        let (lo, hi) = (lo / 1.3, hi * 1.3);
        let decades = libm::log10(hi / lo);
        let parts: &[f64] = if decades < 2.2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let all = (-12..=12).flat_map(|k| parts.iter().map(move |m| m * libm::pow(10.0, f64::from(k))));
        let ticks = all.filter(|v| *v >= lo && *v <= hi).map(|v| (v, value_text(unit, v))).collect();
        return Axis { scale: Scale::Log { lo, hi }, ticks, grid: true };
    }
    // From zero where that costs little.
    let lo = if lo >= 0.0 && lo < 0.6 * hi { 0.0 } else { lo };
    let width = if hi > lo { hi - lo } else { lo.abs().max(1e-9) * 0.2 };
    let step = step(width);
    let (lo, hi) = (if lo == 0.0 { 0.0 } else { libm::floor(lo / step) * step }, hi + 0.08 * width);
    let first = libm::round(lo / step) as i64;
    let ticks = (first..first + 12).map(|k| k as f64 * step).filter(|v| *v <= hi);
    let ticks = ticks.map(|v| (v, value_text(unit, v))).collect();
    Axis { scale: Scale::Linear { lo, hi }, ticks, grid: true }
}

fn points(color: Color, mark: Mark, text: &str) -> Key {
    let stroke = Stroke { color: palette::GROUND, width: 1.0, dash: Dash::Solid };
    Key { sign: Sign::Curve(Stroke { color, ..stroke }, mark), text: text.to_string() }
}

fn line(color: Color, dash: Dash) -> Stroke {
    Stroke { color, width: 2.5, dash }
}

/// Candidates of the search, with their number.
fn tried(result: &TuneResult) -> impl Iterator<Item = (usize, &TrialResult)> {
    let all = result.trials.iter().enumerate().skip(1);
    all.filter(|(_, trial)| trial.stage != "sensitivity" && trial.state != State::Impossible)
}

/// How the best came about: a panel for each aim.
pub fn progress(result: &TuneResult) -> Option<Figure> {
    tried(result).next()?;
    Some(Figure {
        title: format!("What was tried for {}", result.name),
        subtitle: format!(
            "Means over the runs that the search has played of each candidate, {} at least",
            result.first_runs
        ),
        panels: (0..result.aims.len()).map(|aim| panel(result, aim)).collect(),
        x_title: "candidate, in order of trying".to_string(),
        labels: Labels::Last,
    })
}

fn panel(result: &TuneResult, aim: usize) -> Panel {
    let value = |trial: &TrialResult| trial.aims[aim].0.filter(|v| v.is_finite());
    let known: Vec<(f64, f64, bool)> = tried(result)
        .filter_map(|(number, trial)| Some((number as f64, value(trial)?, trial.meets)))
        .collect();
    let last = tried(result).map(|(number, _)| number).max().unwrap_or(1) as f64;
    let present = result.present.aims[aim].0.filter(|v| v.is_finite());
    let met = known.iter().filter(|(_, _, meets)| *meets);
    // What misses the constraints may be far away: it is shown at the edge.
    let mut shown: Vec<f64> = met.clone().map(|(_, v, _)| *v).collect();
    let has_met = !shown.is_empty();
    if !has_met {
        shown = known.iter().map(|(_, v, _)| *v).collect();
    }
    shown.extend(present.filter(|_| has_met));
    shown.extend(result.found.first().and_then(|one| one.aims[aim].0));
    let y = axis(&shown, result.aims[aim].unit);
    let mut layers = Vec::new();
    let mut keys = Vec::new();
    if let Some(present) = present {
        let stroke = line(PRESENT, Dash::Strokes);
        layers.push(Layer::Line { points: vec![(0.0, present), (last, present)], stroke });
        keys.push(Key::line(stroke, "present settings"));
    }
    if result.aims.len() == 1 {
        let best = best_so_far(&known, result.aims[aim].is_large, last);
        let stroke = line(BEST, Dash::Solid);
        layers.push(Layer::Line { points: best, stroke });
        keys.push(Key::line(stroke, "best so far"));
    }
    for (at, v, meets) in &known {
        let (mark, color, radius) = if *meets { (Mark::Circle, MET, 4.0) } else { (Mark::Cross, TRIED, 4.0) };
        layers.push(Layer::Point { at: (*at, *v), mark, color, radius });
    }
    if !result.constraints.is_empty() {
        keys.push(points(TRIED, Mark::Cross, "misses a constraint"));
    }
    keys.push(points(MET, Mark::Circle, "meets them"));
    for one in &result.found {
        if let Some(v) = one.aims[aim].0 {
            layers.push(Layer::Point {
                at: (one.trial as f64, v),
                mark: Mark::Diamond,
                color: FOUND,
                radius: 7.0,
            });
        }
    }
    keys.push(points(FOUND, Mark::Diamond, "found, in the final look"));
    let ticks = axis(&[0.0, last], Unit::Level).ticks;
    Panel {
        title: format!(
            "{} {}",
            if result.aims[aim].is_large { "maximise" } else { "minimise" },
            result.aims[aim].text
        ),
        color: None,
        keys,
        lanes: Vec::new(),
        height: if result.aims.len() == 1 { 360.0 } else { 250.0 },
        x: Axis { scale: Scale::Linear { lo: 0.0, hi: last + 1.0 }, ticks, grid: false },
        y,
        layers,
        note: known.is_empty().then(|| "no candidate has a value".to_string()),
    }
}

fn best_so_far(known: &[(f64, f64, bool)], is_large: bool, last: f64) -> Line {
    let mut best: Option<f64> = None;
    let mut points = Line::new();
    for (at, value, _) in known.iter().filter(|(_, _, meets)| *meets) {
        let is_better = best.is_none_or(|b| if is_large { *value > b } else { *value < b });
        if is_better {
            if let Some(before) = best {
                points.push((*at, before));
            }
            points.push((*at, *value));
            best = Some(*value);
        }
    }
    points.extend(best.map(|value| (last, value)));
    points
}

/// The front: the first two aims of every candidate, and of those found with their intervals.
pub fn front(result: &TuneResult) -> Option<Figure> {
    let [first, second, ..] = result.aims.as_slice() else { return None };
    let pair = |aims: &[Aimed]| Some((aims[0].0?, aims[1].0?));
    let mut layers = Vec::new();
    let mut shown: Vec<(f64, f64)> =
        tried(result).filter(|(_, t)| t.meets).filter_map(|(_, t)| pair(&t.aims)).collect();
    let found: Vec<(f64, f64)> = result.found.iter().filter_map(|one| pair(&one.aims)).collect();
    let ends = |ci95: Option<(f64, f64)>, value: f64| {
        ci95.map_or([value; 2], |(lo, hi)| [lo.max(0.0).min(value), hi])
    };
    for (one, (a, b)) in result.found.iter().zip(&found) {
        let corners = ends(one.aims[0].1, *a).into_iter().zip(ends(one.aims[1].1, *b));
        shown.extend(corners);
    }
    shown.extend(&found);
    let present = pair(&result.present.aims);
    shown.extend(present);
    if shown.is_empty() {
        return None;
    }
    let [x, y] = [
        axis(&shown.iter().map(|p| p.0).collect::<Vec<_>>(), first.unit),
        axis(&shown.iter().map(|p| p.1).collect::<Vec<_>>(), second.unit),
    ];
    for (_, trial) in tried(result) {
        if let Some(at) = pair(&trial.aims) {
            let (mark, color) = if trial.meets { (Mark::Circle, MET) } else { (Mark::Cross, TRIED) };
            layers.push(Layer::Point { at, mark, color, radius: 4.0 });
        }
    }
    let stroke = line(FOUND, Dash::Solid);
    for one in &result.found {
        let [Some(a), Some(b)] = [one.aims[0].0, one.aims[1].0] else { continue };
        if let Some((lo, hi)) = one.aims[0].1 {
            layers.push(Layer::Line { points: vec![(lo, b), (hi, b)], stroke });
        }
        if let Some((lo, hi)) = one.aims[1].1 {
            layers.push(Layer::Line { points: vec![(a, lo), (a, hi)], stroke });
        }
        layers.push(Layer::Point { at: (a, b), mark: Mark::Diamond, color: FOUND, radius: 6.0 });
    }
    if let Some(chosen) = found.first() {
        layers.push(Layer::Point { at: *chosen, mark: Mark::Diamond, color: BEST, radius: 8.0 });
    }
    let mut keys = vec![
        points(TRIED, Mark::Cross, "misses a constraint"),
        points(MET, Mark::Circle, "tried"),
        Key { sign: Sign::Curve(stroke, Mark::Diamond), text: "front, with 95 % intervals".to_string() },
        points(BEST, Mark::Diamond, "chosen"),
    ];
    if result.constraints.is_empty() {
        keys.remove(0);
    }
    if let Some(at) = present {
        layers.push(Layer::Point { at, mark: Mark::Square, color: PRESENT, radius: 6.0 });
        keys.push(points(PRESENT, Mark::Square, "present settings"));
    }
    let wanted = |is_large: bool| if is_large { "more is better" } else { "less is better" };
    Some(Figure {
        title: format!("The front of {}", result.name),
        subtitle: "What is far away lies at the edge; the front comes from runs that the search has not seen"
            .into(),
        panels: vec![Panel {
            title: format!("{} ({})", second.text, wanted(second.is_large)),
            color: None,
            keys,
            lanes: Vec::new(),
            height: 420.0,
            x,
            y,
            layers,
            note: None,
        }],
        x_title: format!("{} ({})", first.text, wanted(first.is_large)),
        labels: Labels::Last,
    })
}
