//! States over time: targets, instances and breakers in one kind of panel, what is in use and waits in another.
//!
//! Shown is what changes in any variant, and in all of them then, so that panels can be compared.

use super::axis;
use super::figure::{self, Figure, Key, Labels, Layer, Panel};
use super::palette::{self, Color, Dash, Stroke};
use super::series;
use crate::base::units::Unit;
use crate::experiment::results::{ExperimentResult, VariantResult};
use std::collections::BTreeSet;

/// Lines in a panel; more cannot be told apart.
const LINES_MAX: usize = 5;

/// What a panel is about.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    /// Healthy targets, instances, breakers.
    Parts,
    /// Connections and calls in use or waiting, queues.
    Work,
}

/// A level that is shown.
#[derive(Clone, PartialEq, Debug)]
struct Level {
    rank: usize,
    path: String,
    label: String,
}

/// The kind, rank and label of a metric, if it is a state.
fn state(path: &str) -> Option<(Kind, usize, String)> {
    let parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        ["balancers", name, "healthy"] => Some((Kind::Parts, 0, format!("{name}: healthy targets"))),
        ["services" | "databases", name, "up"] => Some((Kind::Parts, 2, format!("{name}: instances up"))),
        [_, caller, "calls", callee, layer, level] => {
            let edge = format!("{caller} → {callee}");
            let kind = layer.trim_end_matches(|c: char| c.is_ascii_digit());
            match (kind, *level) {
                ("breaker", "open") => Some((Kind::Parts, 1, format!("{edge}: breakers open"))),
                ("pool", "in_use") => Some((Kind::Work, 0, format!("{edge}: connections in use"))),
                ("pool", "waiting") => Some((Kind::Work, 1, format!("{edge}: waiting for one"))),
                _ => None,
            }
        }
        ["queues", name, "backlog"] => Some((Kind::Work, 3, format!("{name}: backlog"))),
        ["services", name, "queue"] => Some((Kind::Work, 2, format!("{name}: queue"))),
        _ => None,
    }
}

/// Whether a level changes in any variant.
fn varies(result: &ExperimentResult, path: &str) -> bool {
    result.variants.iter().filter_map(|v| v.series.column(path)).any(|column| {
        series::range(column.mean.iter().copied(), |_| true).is_some_and(|(lo, hi)| hi - lo > 1e-9)
    })
}

/// The levels of a kind that change, and how many more there are than can be shown.
fn levels(result: &ExperimentResult, kind: Kind) -> (Vec<Level>, usize) {
    let paths: BTreeSet<&str> =
        result.variants.iter().flat_map(|v| v.series.columns.iter().map(|c| c.path.as_str())).collect();
    let mut levels: Vec<Level> = paths
        .into_iter()
        .filter_map(|path| state(path).map(|found| (path, found)))
        .filter(|(path, (of, ..))| *of == kind && varies(result, path))
        .map(|(path, (_, rank, label))| Level { rank, path: path.to_string(), label })
        .collect();
    levels.sort_by(|x, y| (x.rank, &x.path).cmp(&(y.rank, &y.path)));
    let beyond = levels.len().saturating_sub(LINES_MAX);
    levels.truncate(LINES_MAX);
    (levels, beyond)
}

/// The look of a line in a panel: the first in the color of the variant, the others in greys.
fn stroke(index: usize, color: Color) -> Stroke {
    const GREYS: [Color; 2] = [Color(0x22, 0x22, 0x22), Color(0x80, 0x80, 0x80)];
    let (color, width, dash) = match index {
        0 => (color, 2.5, Dash::Solid),
        1 => (GREYS[0], 2.0, Dash::Strokes),
        2 => (GREYS[1], 2.0, Dash::Solid),
        3 => (GREYS[0], 2.5, Dash::Dots),
        _ => (color.tint(40), 2.5, Dash::Mixed),
    };
    Stroke { color, width, dash }
}

/// The figure, if any state changes.
pub fn figure(result: &ExperimentResult) -> Option<Figure> {
    let kinds: Vec<(Kind, Vec<Level>, usize)> = [Kind::Parts, Kind::Work]
        .into_iter()
        .map(|kind| {
            let (levels, beyond) = levels(result, kind);
            (kind, levels, beyond)
        })
        .filter(|(_, levels, _)| !levels.is_empty())
        .collect();
    if kinds.is_empty() {
        return None;
    }
    // As many variants of each kind, so that what is shown can be compared.
    let shown = result.variants.len().min(figure::PANELS_MAX / kinds.len());
    let panels = kinds.len() * shown;
    let left_out = figure::left_out(kinds.len() * (result.variants.len() - shown));
    let mut all = Vec::new();
    for (kind, levels, _) in &kinds {
        all.extend(kind_panels(result, *kind, levels, panels).into_iter().take(shown));
    }
    let beyond: usize = kinds.iter().map(|(_, _, beyond)| beyond).sum();
    let rest = if beyond > 0 { format!("; {beyond} more levels left out") } else { String::new() };
    let spread =
        if result.runs > 1 { format!("mean of {} runs", result.runs) } else { "one run".to_string() };
    Some(Figure {
        title: "States over time".to_string(),
        subtitle: format!("Levels of each second that change in any variant; {spread}{rest}{left_out}"),
        panels: all,
        x_title: "time since start (minutes:seconds)".to_string(),
        labels: Labels::Last,
    })
}

/// The panels of a kind, one for each variant, with a common axis.
fn kind_panels(result: &ExperimentResult, kind: Kind, levels: &[Level], panels: usize) -> Vec<Panel> {
    let columns = result.variants.iter().flat_map(|v| levels.iter().filter_map(|l| v.series.column(&l.path)));
    let top = series::range(columns.flat_map(|c| c.mean.iter().copied()), |_| true).map_or(1.0, |(_, hi)| hi);
    let about = match kind {
        Kind::Parts => "targets, instances, breakers",
        Kind::Work => "connections and queues",
    };
    let panel = |(at, variant): (usize, &VariantResult)| {
        let color = palette::variant(at).stroke.color;
        let layers = layers(variant, levels, color, figure::points_max(panels * levels.len()));
        Panel {
            title: format!("{}: {about}", variant.name),
            color: Some(color),
            keys: keys(variant, levels, color),
            lanes: figure::lanes(result, variant),
            height: figure::panel_height(panels).min(200.0),
            x: axis::time(result.duration_s),
            y: axis::from_zero(top, Unit::Level),
            note: layers.is_empty().then(|| "none of these here".to_string()),
            layers,
        }
    };
    result.variants.iter().enumerate().map(panel).collect()
}

/// The levels that this variant has.
fn keys(variant: &VariantResult, levels: &[Level], color: Color) -> Vec<Key> {
    let present = levels.iter().enumerate().filter(|(_, level)| variant.series.column(&level.path).is_some());
    present.map(|(i, level)| Key::line(stroke(i, color), level.label.as_str())).collect()
}

fn layers(variant: &VariantResult, levels: &[Level], color: Color, points_max: usize) -> Vec<Layer> {
    // Broken lines over solid ones: where two levels are the same, both are seen.
    let (mut layers, mut broken) = (Vec::new(), Vec::new());
    for (i, level) in levels.iter().enumerate() {
        let Some(column) = variant.series.column(&level.path) else { continue };
        let stroke = stroke(i, color);
        for points in series::steps(&variant.series.times_s, &column.mean, points_max) {
            let to = if stroke.dash == Dash::Solid { &mut layers } else { &mut broken };
            to.push(Layer::Line { points, stroke });
        }
    }
    layers.extend(broken);
    layers
}
