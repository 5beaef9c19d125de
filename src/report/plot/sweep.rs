//! How an answer moves with settings: lines with bands, maps of two settings, and points where there are more.

mod lines;
mod map;
mod points;

use super::axis::{self, Axis, Scale};
use super::figure::{Figure, Key, Layer, Sign};
use super::palette::{Color, Dash, INK, Mark, Stroke};
use crate::base::units::Unit;
use crate::experiment::results::Verdict;
use crate::experiment::sweep::{Measured, SettingResult, SweepMeasure, SweepResult};
use crate::report::words::many;

/// Values that spread over more than this are shown on a logarithmic axis.
const WIDE: f64 = 40.0;

/// What meets its limit for certain, what misses it for certain, and what could do either.
pub(super) const HELD: Color = Color(0x8c, 0xd0, 0xb9);
pub(super) const FAILED: Color = Color(0xe2, 0x8a, 0x4c);
pub(super) const OPEN: Color = Color(0xf3, 0xee, 0xd8);

/// The pictures of a sweep, each with the name of its files: lines for one or two settings of a grid, a map for each
/// measure if two are numeric, points for each measure if there are more settings or no grid.
pub fn figures(result: &SweepResult) -> Vec<(String, Figure)> {
    if result.points.is_empty() || result.measures.is_empty() {
        return Vec::new();
    }
    let measures = 0..result.measures.len();
    if !result.is_grid || result.settings.len() > 2 {
        return measures.map(|at| (format!("sweep-{}", at + 1), points::figure(result, at))).collect();
    }
    let mut figures = vec![("sweep".to_string(), lines::figure(result))];
    if let [x, y] = result.settings.as_slice()
        && [x, y].iter().all(|s| s.unit.is_some() && s.values.len() > 1)
    {
        figures.extend(measures.map(|at| (format!("sweep-map-{}", at + 1), map::figure(result, at))));
    }
    figures
}

/// What stands along an axis.
fn name(setting: &SettingResult) -> String {
    match setting.path.as_str() {
        "load" => "load (times that of the file)".to_string(),
        path => path.to_string(),
    }
}

/// How the values come about, for subtitles.
fn spread(result: &SweepResult, what: &str) -> String {
    match result.runs {
        1 => "One run of each point, all on the same random numbers".to_string(),
        runs => format!(
            "Mean of {}, {what} its 95 % confidence interval; all points on the same random numbers",
            many(u64::from(runs), "run")
        ),
    }
}

/// The axis of a setting, with the values that were played.
fn setting_axis(setting: &SettingResult) -> Axis {
    if setting.unit.is_none() {
        return axis::names(&setting.values.iter().map(|v| v.text.clone()).collect::<Vec<_>>());
    }
    let mut ticks: Vec<(f64, String)> =
        setting.values.iter().filter_map(|v| Some((v.number?, v.text.clone()))).collect();
    ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (lo, hi) = (ticks.first().map_or(0.0, |t| t.0), ticks.last().map_or(1.0, |t| t.0));
    axis::at_values(ticks, lo, hi, setting.is_log)
}

/// Where a point stands along the axis of a setting.
fn place(setting: &SettingResult, result: &SweepResult, point: usize, at: usize) -> f64 {
    let value = &result.points[point].values[at];
    match value.number.filter(|_| setting.unit.is_some()) {
        Some(number) => number,
        None => setting.values.iter().position(|v| v == value).unwrap_or(0) as f64 + 0.5,
    }
}

/// The axis of a measure: from zero, or logarithmic where values spread widely.
fn measure_axis(measure: &SweepMeasure, found: &[&Measured]) -> Axis {
    let finite = |v: &f64| v.is_finite();
    let means = || found.iter().filter_map(|m| m.value).chain(measure.limits.iter().copied()).filter(finite);
    let ends = found.iter().filter_map(|m| m.ci95).map(|(_, hi)| hi).filter(finite);
    let (least, greatest) =
        means().fold((f64::INFINITY, 0.0), |(lo, hi): (f64, f64), v| (lo.min(v), hi.max(v)));
    let hi = match measure.unit {
        // What is a part of a whole needs no room beyond it.
        Unit::Ratio if greatest <= 1.0 => ends.fold(greatest, f64::max).min(1.0),
        _ => ends.fold(greatest, f64::max),
    };
    if least > 0.0 && hi / least > WIDE && matches!(measure.unit, Unit::Seconds) {
        return axis::log_durations(least, hi);
    }
    match least < 0.0 {
        true => axis::range(least, hi, measure.unit, false),
        false => axis::from_zero(if measure.is_share { 1.0 } else { hi }, measure.unit),
    }
}

/// A mean that can be drawn on an axis.
fn value(found: &Measured) -> Option<f64> {
    found.value.filter(|v| v.is_finite())
}

/// The interval of a mean, kept on the axis.
fn interval(found: &Measured, axis: &Axis) -> Option<(f64, f64)> {
    let (lo, hi) = found.ci95.filter(|(lo, hi)| lo.is_finite() && hi.is_finite())?;
    let (Scale::Linear { lo: least, hi: most } | Scale::Log { lo: least, hi: most }) = axis.scale;
    Some((lo.max(least), hi.min(most)))
}

/// The limits of a measure as lines across a panel, and what the legend says of them.
fn limits(measure: &SweepMeasure, x: &Axis) -> (Vec<Layer>, Vec<Key>) {
    let (Scale::Linear { lo, hi } | Scale::Log { lo, hi }) = x.scale;
    let stroke = Stroke { color: INK, width: 1.8, dash: Dash::Strokes };
    let line = |limit: &f64| Layer::Line { points: vec![(lo, *limit), (hi, *limit)], stroke };
    let keys = match measure.limits.is_empty() {
        true => Vec::new(),
        false => vec![Key::line(stroke, if measure.limits.len() == 1 { "limit" } else { "limits" })],
    };
    (measure.limits.iter().map(line).collect(), keys)
}

/// What the legend says of points whose requests pile up, if there are any.
fn overload_key(result: &SweepResult) -> Option<Key> {
    let any = result.points.iter().any(|p| p.overload.is_some());
    any.then(|| Key { sign: Sign::Mark(Mark::Cross, INK), text: "requests pile up: no steady value".into() })
}

/// The color of a verdict.
fn verdict_color(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Held => HELD,
        Verdict::Failed => FAILED,
        Verdict::Inconclusive => OPEN,
    }
}
