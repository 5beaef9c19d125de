//! The share of requests that took longer than a time, for each variant: tails that percentiles do not show.

use super::axis;
use super::figure::{self, Figure, Key, Labels, Layer, Panel};
use super::palette;
use super::series::{self, Line};
use crate::experiment::results::{ExperimentResult, VariantResult};
use std::collections::BTreeSet;

/// Shares below this are not drawn.
const SHARE_MIN: f64 = 1e-6;
/// Marks along a curve.
const MARKS: usize = 7;

/// The points of a curve that a logarithm takes, with a fall to the bottom where the slowest request is.
fn points(variant: &VariantResult, client: &str) -> Line {
    let Some(curve) = variant.latency.iter().find(|c| c.client == client) else { return Line::new() };
    let valid = |(t, share): &(f64, f64)| t.is_finite() && share.is_finite() && *t > 0.0 && *share >= 0.0;
    let mut line: Line = curve.points.iter().copied().filter(valid).collect();
    if let Some(end) = line.iter().position(|(_, share)| *share < SHARE_MIN) {
        line.truncate(end + 1);
        if let Some(last) = line.last_mut() {
            last.1 = 0.0;
        }
    }
    line
}

/// The figure, if any request was answered.
pub fn figure(result: &ExperimentResult) -> Option<Figure> {
    let clients: BTreeSet<&str> =
        result.variants.iter().flat_map(|v| v.latency.iter().map(|c| c.client.as_str())).collect();
    let clients: Vec<&str> = clients
        .into_iter()
        .filter(|client| result.variants.iter().any(|v| points(v, client).len() > 1))
        .collect();
    let all = || result.variants.iter().flat_map(|v| clients.iter().flat_map(move |c| points(v, c)));
    let times = series::range(all().map(|(t, _)| t), |_| true)?;
    let least = series::range(all().map(|(_, share)| share), |share| share > 0.0)?.0;
    let floor = libm::pow(10.0, libm::floor(libm::log10(least.clamp(SHARE_MIN, 0.1))));
    let height = figure::panel_height(clients.len()).max(260.0);
    let panel = |client: &&str| Panel {
        title: format!("Requests of {client} over the measured time"),
        color: None,
        keys: keys(result, client),
        lanes: Vec::new(),
        height,
        x: axis::log_durations(times.0, times.1),
        y: axis::log_shares(floor),
        layers: layers(result, client, figure::points_max(result.variants.len() * clients.len())),
        note: None,
    };
    Some(figure::limited(Figure {
        title: "Share of requests that took longer than a time".to_string(),
        subtitle: "Both axes logarithmic, all runs together; a curve ends at the slowest request".to_string(),
        panels: clients.iter().map(panel).collect(),
        x_title: "latency".to_string(),
        labels: Labels::Last,
    }))
}

fn keys(result: &ExperimentResult, client: &str) -> Vec<Key> {
    let present = result.variants.iter().enumerate().filter(|(_, v)| !points(v, client).is_empty());
    present.map(|(at, v)| Key::curve(palette::variant(at), v.name.as_str())).collect()
}

/// A curve for each variant, with marks that differ from variant to variant.
fn layers(result: &ExperimentResult, client: &str, points_max: usize) -> Vec<Layer> {
    let mut layers = Vec::new();
    for (at, variant) in result.variants.iter().enumerate() {
        let line = points(variant, client);
        if line.is_empty() {
            continue;
        }
        let look = palette::variant(at);
        let stride = (line.len() / MARKS).max(1);
        for point in line.iter().skip(stride / 2 + at).step_by(stride).filter(|(_, share)| *share > 0.0) {
            layers.push(Layer::Point { at: *point, mark: look.mark, color: look.stroke.color, radius: 5.5 });
        }
        layers.push(Layer::Line { points: series::thin(&line, points_max), stroke: look.stroke });
    }
    layers
}
