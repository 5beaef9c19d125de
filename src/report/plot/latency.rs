//! Latency over time: median, 95th and 99th percentile of each client population, a panel for each variant.

use super::axis;
use super::figure::{self, Figure, Key, Labels, Layer, Panel};
use super::palette::{self, Color, Dash, Stroke};
use super::series;
use crate::experiment::results::{ExperimentResult, SeriesColumn, VariantResult};
use std::collections::BTreeSet;

/// The percentiles, the slowest first, so that the others are drawn over it.
const PERCENTILES: [&str; 3] = ["p99", "p95", "p50"];

/// Latency exists where it is positive; a logarithm does not take less.
fn positive(seconds: f64) -> bool {
    seconds > 0.0
}

/// The client populations that have a latency in any variant.
fn clients(result: &ExperimentResult) -> Vec<&str> {
    let columns = result.variants.iter().flat_map(|v| &v.series.columns);
    let names: BTreeSet<&str> = columns
        .filter_map(|c| c.path.strip_prefix("clients.")?.strip_suffix(".latency.p99"))
        .filter(|name| !name.contains('.'))
        .collect();
    names.into_iter().collect()
}

fn column<'a>(variant: &'a VariantResult, client: &str, percentile: &str) -> Option<&'a SeriesColumn> {
    variant.series.column(&format!("clients.{client}.latency.{percentile}"))
}

/// The look of a percentile: the slowest in the color of the variant, the median dark and broken.
fn stroke(percentile: &str, color: Color) -> Stroke {
    match percentile {
        "p99" => Stroke { color, width: 2.5, dash: Dash::Solid },
        "p95" => Stroke { color: color.tint(45), width: 2.0, dash: Dash::Solid },
        _ => Stroke { color: palette::INK, width: 2.0, dash: Dash::Strokes },
    }
}

/// The figure, if any request was answered.
pub fn figure(result: &ExperimentResult) -> Option<Figure> {
    let clients = clients(result);
    let range = value_range(result, &clients)?;
    let panels = result.variants.len() * clients.len();
    let lines = figure::points_max(panels * PERCENTILES.len() * 2);
    let height = figure::panel_height(panels);
    let mut all = Vec::new();
    for client in &clients {
        for (at, variant) in result.variants.iter().enumerate() {
            let color = palette::variant(at).stroke.color;
            let layers = layers(result, variant, client, color, lines);
            all.push(Panel {
                title: if clients.len() > 1 {
                    format!("{} · {client}", variant.name)
                } else {
                    variant.name.clone()
                },
                color: Some(color),
                keys: PERCENTILES.iter().map(|p| Key::line(stroke(p, color), *p)).collect(),
                lanes: figure::lanes(result, variant),
                height,
                x: axis::time(result.duration_s),
                y: axis::log_durations(range.0, range.1),
                note: layers.is_empty().then(|| "no request ended".to_string()),
                layers,
            });
        }
    }
    let of = if let [client] = clients.as_slice() { format!(" of {client}") } else { String::new() };
    Some(figure::limited(Figure {
        title: format!("Latency{of} over time"),
        subtitle: format!("Percentiles of each second, logarithmic; {}", figure::spread(result)),
        panels: all,
        x_title: "time since start (minutes:seconds)".to_string(),
        labels: Labels::Last,
    }))
}

/// The range of all that is drawn, common to all panels.
fn value_range(result: &ExperimentResult, clients: &[&str]) -> Option<(f64, f64)> {
    let columns = result.variants.iter().flat_map(|variant| {
        clients
            .iter()
            .flat_map(move |client| PERCENTILES.iter().filter_map(move |p| column(variant, client, p)))
    });
    series::range(columns.flat_map(|c| c.mean.iter().chain(&c.lo).chain(&c.hi)).copied(), positive)
}

/// A band behind the highest percentile, lines before it. Bands of all would cover one another.
fn layers(
    result: &ExperimentResult,
    variant: &VariantResult,
    client: &str,
    color: Color,
    points_max: usize,
) -> Vec<Layer> {
    let times = &variant.series.times_s;
    let mut layers = Vec::new();
    let columns: Vec<(Stroke, &SeriesColumn)> =
        PERCENTILES.iter().filter_map(|p| Some((stroke(p, color), column(variant, client, p)?))).collect();
    for (stroke, column) in columns.iter().take(1).filter(|_| result.runs > 1) {
        for (upper, lower) in series::bands(times, &column.lo, &column.hi, points_max.min(600), positive) {
            layers.push(Layer::Band { upper, lower, color: stroke.color.tint(72) });
        }
    }
    for (stroke, column) in &columns {
        let points = times.iter().copied().zip(column.mean.iter().copied());
        for piece in series::pieces(points, positive) {
            layers.push(Layer::Line { points: series::thin(&piece, points_max), stroke: *stroke });
        }
    }
    layers
}
