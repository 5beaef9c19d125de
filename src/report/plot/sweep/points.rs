//! More settings than a map has sides, or a Latin hypercube: each point against each setting.

use super::{interval, limits, measure_axis, name, overload_key, place, setting_axis, spread, value};
use crate::experiment::results::Verdict;
use crate::experiment::sweep::{Measured, SweepResult};
use crate::report::plot::axis::{self, Axis};
use crate::report::plot::figure::{self, Figure, Key, Labels, Layer, Panel, Sign};
use crate::report::plot::palette::{self, Color, Dash, Mark, Stroke};

/// Points whose verdict is open.
const GREY: Color = Color(0x88, 0x88, 0x88);
/// More values than this do not each get their tick.
const TICKS_MAX: usize = 12;

/// The figure of a measure: a panel for each setting.
pub fn figure(result: &SweepResult, measure: usize) -> Figure {
    let asked = &result.measures[measure];
    let height = figure::panel_height(result.settings.len());
    let panels = (0..result.settings.len()).map(|at| panel(result, measure, at, height)).collect();
    figure::limited(Figure {
        title: format!("{}: {}", result.name, asked.text),
        subtitle: spread(result, "bar:"),
        panels,
        x_title: String::new(),
        labels: Labels::Each,
    })
}

fn panel(result: &SweepResult, measure: usize, at: usize, height: f64) -> Panel {
    let (asked, setting) = (&result.measures[measure], &result.settings[at]);
    let all: Vec<&Measured> = result.points.iter().map(|p| &p.measures[measure]).collect();
    let y = measure_axis(asked, &all);
    let x = x_axis(result, at);
    let (mut bars, mut marks) = (Vec::new(), Vec::new());
    for (number, point) in result.points.iter().enumerate() {
        let found = &point.measures[measure];
        let color = match found.verdict {
            None => palette::variant(0).stroke.color,
            Some(Verdict::Held) => palette::variant(2).stroke.color,
            Some(Verdict::Failed) => palette::variant(1).stroke.color,
            Some(Verdict::Inconclusive) => GREY,
        };
        let is_overloaded = point.overload.is_some();
        let place = place(setting, result, number, at);
        if let Some((lo, hi)) = interval(found, &y).filter(|_| !is_overloaded) {
            let stroke = Stroke { color: color.tint(55), width: 2.0, dash: Dash::Solid };
            bars.push(Layer::Line { points: vec![(place, lo), (place, hi)], stroke });
        }
        if let Some(value) = value(found) {
            let mark = match (is_overloaded, found.verdict) {
                (true, _) => Mark::Cross,
                (false, Some(Verdict::Failed)) => Mark::Square,
                (false, Some(Verdict::Inconclusive)) => Mark::Diamond,
                _ => Mark::Circle,
            };
            marks.push(Layer::Point { at: (place, value), mark, color, radius: 4.5 });
        }
    }
    let (limit_lines, mut keys) = limits(asked, &x);
    if !asked.limits.is_empty() {
        let held = palette::variant(2).stroke.color;
        let failed = palette::variant(1).stroke.color;
        keys.push(Key { sign: Sign::Mark(Mark::Circle, held), text: "held".into() });
        keys.push(Key { sign: Sign::Mark(Mark::Square, failed), text: "failed".into() });
        keys.push(Key { sign: Sign::Mark(Mark::Diamond, GREY), text: "inconclusive".into() });
    }
    keys.extend(overload_key(result));
    Panel {
        title: name(setting),
        color: None,
        keys: if at == 0 { keys } else { Vec::new() },
        lanes: Vec::new(),
        height,
        x,
        y,
        layers: bars.into_iter().chain(limit_lines).chain(marks).collect(),
        note: all.iter().all(|m| value(m).is_none()).then(|| "no run has a value".to_string()),
    }
}

/// The values of a grid as they are; round ones for a hypercube.
fn x_axis(result: &SweepResult, at: usize) -> Axis {
    let setting = &result.settings[at];
    let Some(unit) = setting.unit else {
        let mut distinct = setting.clone();
        distinct.values.dedup();
        return setting_axis(&distinct);
    };
    if result.is_grid && setting.values.len() <= TICKS_MAX {
        return setting_axis(setting);
    }
    let numbers = setting.values.iter().filter_map(|v| v.number);
    let (lo, hi) = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    axis::range(lo, hi, unit, setting.is_log)
}
