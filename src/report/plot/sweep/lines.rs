//! One or two settings: the first numeric one along the axis, a line with its band for each value of the other.

use super::{interval, limits, measure_axis, name, overload_key, place, setting_axis, spread, value};
use crate::experiment::sweep::{Measured, SweepResult};
use crate::report::plot::axis::Axis;
use crate::report::plot::figure::{self, Figure, Key, Labels, Layer, Panel};
use crate::report::plot::palette::{self, Dash, Look, Mark, Stroke};

/// More lines than this cannot be told apart.
const LINES_MAX: usize = 7;

/// The figure: a panel for each measure.
pub fn figure(result: &SweepResult) -> Figure {
    let x = result.settings.iter().position(|s| s.unit.is_some()).unwrap_or(0);
    let other = (0..result.settings.len()).find(|at| *at != x);
    let groups = groups(result, other);
    let all = other.map_or(1, |at| result.settings[at].values.len());
    let left_out = if groups.len() < all {
        format!(" ({} of {all} lines are drawn)", groups.len())
    } else {
        String::new()
    };
    let height = figure::panel_height(result.measures.len());
    let panels = (0..result.measures.len()).map(|at| panel(result, x, other, &groups, at, height)).collect();
    let paths: Vec<&str> = result.settings.iter().map(|s| s.path.as_str()).collect();
    figure::limited(Figure {
        title: format!("{}: how the answer moves with {}", result.name, paths.join(" and ")),
        subtitle: spread(result, "band:") + &left_out,
        panels,
        x_title: name(&result.settings[x]),
        labels: Labels::Each,
    })
}

/// The values of the other setting that get a line, first and last among them.
fn groups(result: &SweepResult, other: Option<usize>) -> Vec<usize> {
    let count = other.map_or(1, |at| result.settings[at].values.len());
    if count <= LINES_MAX {
        return (0..count).collect();
    }
    (0..LINES_MAX).map(|line| line * (count - 1) / (LINES_MAX - 1)).collect()
}

fn panel(
    result: &SweepResult,
    x: usize,
    other: Option<usize>,
    groups: &[usize],
    measure: usize,
    height: f64,
) -> Panel {
    let asked = &result.measures[measure];
    let setting = &result.settings[x];
    let x_axis = setting_axis(setting);
    let all: Vec<&Measured> = result.points.iter().map(|p| &p.measures[measure]).collect();
    let y_axis = measure_axis(asked, &all);
    let (mut bands, mut lines, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for (line, group) in groups.iter().enumerate() {
        let look = palette::variant(line);
        let is_of = |point: &usize| {
            other.is_none_or(|at| result.points[*point].values[at] == result.settings[at].values[*group])
        };
        let mut points: Vec<usize> = (0..result.points.len()).filter(is_of).collect();
        points.sort_by(|a, b| place(setting, result, *a, x).total_cmp(&place(setting, result, *b, x)));
        match setting.unit {
            Some(_) => drawn(result, &points, (x, measure), &y_axis, look, &mut bands, &mut lines),
            None => {
                let aside = (line as f64 - (groups.len() as f64 - 1.0) / 2.0) * 0.6 / groups.len() as f64;
                whiskers(result, &points, (x, measure), (&y_axis, aside), look, &mut lines);
            }
        }
        // All panels have the same lines: the legend of the first will do.
        if let Some(at) = other.filter(|_| measure == 0) {
            let text =
                format!("{} = {}", short(&result.settings[at].path), result.settings[at].values[*group].text);
            keys.push(Key::curve(look, text));
        }
    }
    let (limit_lines, limit_keys) = limits(asked, &x_axis);
    keys.extend(limit_keys);
    keys.extend(overload_key(result).filter(|_| measure == 0));
    Panel {
        title: asked.text.clone(),
        color: None,
        keys,
        lanes: Vec::new(),
        height,
        x: x_axis,
        y: y_axis,
        layers: bands.into_iter().chain(limit_lines).chain(lines).collect(),
        note: all.iter().all(|m| value(m).is_none()).then(|| "no run has a value".to_string()),
    }
}

/// The last two parts of a path.
fn short(path: &str) -> &str {
    let dots: Vec<usize> = path.match_indices('.').map(|(at, _)| at).collect();
    match dots.len() {
        0 | 1 => path,
        many => &path[dots[many - 2] + 1..],
    }
}

/// A line through points in order, with its band; both are interrupted where there is no value, and there is no band
/// where requests pile up.
fn drawn(
    result: &SweepResult,
    points: &[usize],
    (x, measure): (usize, usize),
    axis: &Axis,
    look: Look,
    bands: &mut Vec<Layer>,
    lines: &mut Vec<Layer>,
) {
    let at = |point: usize| place(&result.settings[x], result, point, x);
    let found = |point: usize| &result.points[point].measures[measure];
    let is_overloaded = |point: usize| result.points[point].overload.is_some();
    for part in points.split(|p| value(found(*p)).is_none()).filter(|part| !part.is_empty()) {
        let line = part.iter().filter_map(|p| Some((at(*p), value(found(*p))?))).collect();
        let stroke = Stroke { width: 2.5, ..look.stroke };
        lines.push(Layer::Line { points: line, stroke });
    }
    let has_band = |p: &usize| interval(found(*p), axis).is_some() && !is_overloaded(*p);
    for part in points.split(|p| !has_band(p)).filter(|part| !part.is_empty()) {
        let edge = |end: fn((f64, f64)) -> f64| -> Vec<(f64, f64)> {
            part.iter().filter_map(|p| Some((at(*p), end(interval(found(*p), axis)?)))).collect()
        };
        let (lower, upper) = (edge(|(lo, _)| lo), edge(|(_, hi)| hi));
        if part.len() == 1 {
            let stroke = Stroke { width: 2.0, dash: Dash::Solid, ..look.stroke };
            bands.push(Layer::Line { points: vec![lower[0], upper[0]], stroke });
        } else {
            // Bands hide one another; their edges, drawn above all of them, do not.
            let stroke = Stroke { color: look.stroke.color.tint(45), width: 1.2, dash: Dash::Solid };
            lines.insert(0, Layer::Line { points: upper.clone(), stroke });
            lines.insert(0, Layer::Line { points: lower.clone(), stroke });
            bands.push(Layer::Band { upper, lower, color: look.stroke.color.tint(80) });
        }
    }
    for point in points {
        if let Some(y) = value(found(*point)) {
            lines.push(mark((at(*point), y), look, is_overloaded(*point)));
        }
    }
}

fn mark(at: (f64, f64), look: Look, is_overloaded: bool) -> Layer {
    let (mark, radius) = if is_overloaded { (Mark::Cross, 6.5) } else { (look.mark, 4.5) };
    Layer::Point { at, mark, color: look.stroke.color, radius }
}

/// Points with their intervals, side by side above the names of values.
fn whiskers(
    result: &SweepResult,
    points: &[usize],
    (x, measure): (usize, usize),
    (axis, aside): (&Axis, f64),
    look: Look,
    lines: &mut Vec<Layer>,
) {
    for point in points {
        let at = place(&result.settings[x], result, *point, x) + aside;
        let found = &result.points[*point].measures[measure];
        let is_overloaded = result.points[*point].overload.is_some();
        if let Some((lo, hi)) = interval(found, axis).filter(|_| !is_overloaded) {
            let stroke = Stroke { width: 2.5, dash: Dash::Solid, ..look.stroke };
            lines.push(Layer::Line { points: vec![(at, lo), (at, hi)], stroke });
        }
        if let Some(y) = value(found) {
            lines.push(mark((at, y), look, is_overloaded));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shortened() {
        assert_eq!(short("load"), "load");
        assert_eq!(short("timeline.weather"), "timeline.weather");
        assert_eq!(short("policies.db.Pool.max"), "Pool.max");
    }
}
