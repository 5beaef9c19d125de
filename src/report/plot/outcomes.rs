//! How requests ended over time: outcomes stacked, with the load that was offered as a line.

use super::axis;
use super::figure::{self, Figure, Key, Labels, Lane, Layer, Panel};
use super::palette::{self, Dash, Stroke};
use super::series;
use crate::base::Outcome;
use crate::base::units::Unit;
use crate::experiment::results::{ExperimentResult, SeriesColumn, VariantResult};

/// Stretches that are told apart in a panel.
const STRETCHES_MAX: usize = 600;

/// The line of what was offered.
const OFFERED: Stroke = Stroke { color: palette::INK, width: 2.0, dash: Dash::Solid };

/// What was offered and how it ended, per second, over all client populations.
struct Flows {
    times: Vec<f64>,
    offered: Vec<f64>,
    outcomes: Vec<(Outcome, Vec<f64>)>,
}

impl Flows {
    fn of(variant: &VariantResult) -> Self {
        let outcome = |o: Outcome| (o, total(variant, &format!(".outcomes.{}", o.name())));
        Self {
            times: stretch_ends(&variant.series.times_s),
            offered: total(variant, ".rate"),
            outcomes: Outcome::ALL.into_iter().map(outcome).collect(),
        }
    }

    /// The height of everything stacked, or of what was offered if that is higher.
    fn highest(&self) -> f64 {
        let stacked = |i: usize| {
            self.outcomes.iter().fold(0.0, |sum, (_, rates)| sum + rates.get(i).copied().unwrap_or(0.0))
        };
        (0..self.times.len()).map(stacked).chain(self.offered.iter().copied()).fold(0.0, f64::max)
    }
}

/// The sum over client populations of the metrics that end so, averaged over stretches.
fn total(variant: &VariantResult, suffix: &str) -> Vec<f64> {
    let of_client = |c: &&SeriesColumn| {
        let name = c.path.strip_prefix("clients.").and_then(|path| path.strip_suffix(suffix));
        name.is_some_and(|name| !name.contains('.'))
    };
    let mut sum = vec![0.0; stretch_ends(&variant.series.times_s).len()];
    for column in variant.series.columns.iter().filter(of_client) {
        for (sum, mean) in sum.iter_mut().zip(series::averages(&column.mean, STRETCHES_MAX)) {
            *sum += mean;
        }
    }
    sum
}

/// The last time of each stretch.
fn stretch_ends(times: &[f64]) -> Vec<f64> {
    let stretch = times.len().div_ceil(STRETCHES_MAX).max(1);
    times.chunks(stretch).filter_map(|part| part.last().copied()).collect()
}

/// The figure, if there was any request.
pub fn figure(result: &ExperimentResult) -> Option<Figure> {
    let flows: Vec<Flows> = result.variants.iter().map(Flows::of).collect();
    let highest = flows.iter().map(Flows::highest).fold(0.0, f64::max);
    if highest <= 0.0 {
        return None;
    }
    let seen: Vec<Outcome> = Outcome::ALL
        .into_iter()
        .filter(|o| {
            flows
                .iter()
                .any(|f| f.outcomes.iter().any(|(of, rates)| of == o && rates.iter().any(|r| *r > 0.0)))
        })
        .collect();
    let height = figure::panel_height(flows.len());
    let panels = result.variants.iter().zip(&flows).enumerate().map(|(at, (variant, flows))| {
        let lanes = figure::lanes(result, variant);
        Panel {
            title: variant.name.clone(),
            color: Some(palette::variant(at).stroke.color),
            keys: keys(&seen),
            layers: layers(flows, &seen).into_iter().chain(edges(&lanes, result.duration_s)).collect(),
            lanes,
            height,
            x: axis::time(result.duration_s),
            y: axis::from_zero(highest, Unit::PerSecond),
            note: (flows.highest() <= 0.0).then(|| "no requests".to_string()),
        }
    });
    let spread =
        if result.runs > 1 { format!("mean of {} runs", result.runs) } else { "one run".to_string() };
    Some(figure::limited(Figure {
        title: "How requests ended, against the load offered".to_string(),
        subtitle: format!("Requests per second of all clients, stacked; {spread}"),
        panels: panels.collect(),
        x_title: "time since start (minutes:seconds)".to_string(),
        labels: Labels::Last,
    }))
}

fn keys(seen: &[Outcome]) -> Vec<Key> {
    let areas = seen.iter().map(|o| Key::area(palette::outcome(*o), o.name()));
    areas.chain([Key::line(OFFERED, "offered")]).collect()
}

/// Beginnings and ends of faults, whose shade the areas hide.
fn edges(lanes: &[Lane], duration_s: f64) -> Vec<Layer> {
    let moments = lanes.iter().filter(|lane| lane.shaded).flat_map(|lane| [lane.from, lane.to]);
    moments.filter(|moment| *moment < duration_s).map(Layer::Moment).collect()
}

/// One area upon the other, and the offered load over them.
fn layers(flows: &Flows, seen: &[Outcome]) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut floor: Vec<f64> = vec![0.0; flows.times.len()];
    for (outcome, rates) in flows.outcomes.iter().filter(|(outcome, _)| seen.contains(outcome)) {
        let top: Vec<f64> = floor.iter().zip(rates).map(|(floor, rate)| floor + rate.max(0.0)).collect();
        if top.iter().zip(&floor).any(|(top, floor)| top > floor) {
            let line = |heights: &[f64]| flows.times.iter().copied().zip(heights.iter().copied()).collect();
            layers.push(Layer::Band {
                upper: line(&top),
                lower: line(&floor),
                color: palette::outcome(*outcome),
            });
        }
        floor = top;
    }
    let offered: series::Line = flows.times.iter().copied().zip(flows.offered.iter().copied()).collect();
    if !offered.is_empty() {
        layers.push(Layer::Line { points: offered, stroke: OFFERED });
    }
    layers
}
