//! More settings than a map has sides, or a Latin hypercube: each point against each setting.

use super::{interval, limits, measure_axis, name, overload_key, place, setting_axis, spread, value};
use crate::experiment::results::Verdict;
use crate::experiment::sweep::{Measured, SettingValue, SweepResult};
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

/// The values that were played if they are few; round ones if they are many.
fn x_axis(result: &SweepResult, at: usize) -> Axis {
    let mut setting = result.settings[at].clone();
    if setting.unit.is_some() {
        let number = |value: &SettingValue| value.number.unwrap_or(f64::NAN);
        setting.values.sort_by(|a, b| number(a).total_cmp(&number(b)));
        setting.values.dedup();
    }
    match setting.unit {
        Some(unit) if setting.values.len() > TICKS_MAX => {
            let ends = setting.values.first().zip(setting.values.last());
            let (lo, hi) =
                ends.map_or((0.0, 1.0), |(a, b)| (a.number.unwrap_or(0.0), b.number.unwrap_or(1.0)));
            axis::range(lo, hi, unit, setting.is_log)
        }
        _ => setting_axis(&setting),
    }
}
