//! Time to recovery: each run a point, with mean and interval; runs that did not recover stand at the upper edge.

use super::axis::{self, Axis, Scale};
use super::figure::{self, Figure, Key, Labels, Layer, Panel};
use super::palette::{self, Dash, Look, Mark, Stroke};
use crate::base::units::{Unit, duration_text};
use crate::experiment::results::{ExperimentResult, FaultResult};
use crate::metrics::Proportion;
use crate::report::words::{estimate_text, share_text};

/// The stretch around a variant's name over which its runs are spread.
const SPREAD: f64 = 0.24;
/// Where mean and interval stand, from the middle.
const BESIDE: f64 = 0.15;

/// A fault, and what it did to a variant, by the variant's place.
type Struck<'a> = Vec<(usize, &'a FaultResult)>;

/// The figure, if there was a fault.
pub fn figure(result: &ExperimentResult) -> Option<Figure> {
    let mut names: Vec<&str> = Vec::new();
    for fault in result.variants.iter().flat_map(|v| &v.faults).filter(|f| !f.per_run.is_empty()) {
        if !names.contains(&fault.name.as_str()) {
            names.push(&fault.name);
        }
    }
    if names.is_empty() {
        return None;
    }
    let panels = names.iter().map(|name| panel(result, name, figure::panel_height(names.len()))).collect();
    Some(figure::limited(Figure {
        title: "Time from a fault to recovery".to_string(),
        subtitle:
            "Until the objectives held again and stayed held; each run a point, mean and its 95 % interval \
                   beside"
                .to_string(),
        panels,
        x_title: String::new(),
        labels: Labels::Each,
    }))
}

fn panel(result: &ExperimentResult, name: &str, height: f64) -> Panel {
    let struck: Struck = result
        .variants
        .iter()
        .enumerate()
        .filter_map(|(at, v)| Some((at, v.faults.iter().find(|f| f.name == name)?)))
        .collect();
    let names: Vec<String> =
        struck.iter().map(|(at, fault)| label(&result.variants[*at].name, fault, struck.len())).collect();
    let lasted = struck.first().and_then(|(_, f)| Some(f.end_s? - f.start_s)).filter(|s| *s > 0.0);
    let highest = highest(&struck, lasted).unwrap_or(result.duration_s);
    let edge = highest * 1.18;
    let (mut layers, mut keys) = (Vec::new(), Vec::new());
    if let Some(lasted) = lasted {
        layers.push(Layer::Stripe { from: 0.0, to: lasted, color: palette::SHADE });
        keys.push(Key::area(
            palette::FAULT_BAR.tint(40),
            format!("the fault lasts {}", duration_text(lasted)),
        ));
    }
    let lost = struck.iter().any(|(_, f)| f.per_run.iter().any(|r| recovery(r.recover_s).is_none()));
    for (place, (at, fault)) in struck.iter().enumerate() {
        let x = place as f64 + 0.5;
        layers.extend(points(fault, x, edge, palette::variant(*at), struck.len()));
        layers.extend(summary(fault, x, palette::variant(*at)));
    }
    let title =
        struck.first().map_or(name.to_string(), |(_, f)| format!("{name}: {} of {}", f.kind, f.target));
    Panel {
        title,
        color: None,
        keys,
        lanes: Vec::new(),
        height,
        x: axis::names(&names),
        y: durations(highest, if lost { Some(edge) } else { None }),
        layers,
        note: None,
    }
}

/// A recovery time that is one.
fn recovery(seconds: Option<f64>) -> Option<f64> {
    seconds.filter(|s| s.is_finite())
}

/// The longest time to be shown.
fn highest(struck: &Struck, lasted: Option<f64>) -> Option<f64> {
    let runs = struck.iter().flat_map(|(_, f)| f.per_run.iter().filter_map(|r| recovery(r.recover_s)));
    let ends = struck.iter().filter_map(|(_, f)| f.recover_s?.hi).filter(|hi| hi.is_finite());
    runs.chain(ends).chain(lasted).reduce(f64::max).filter(|s| *s > 0.0)
}

/// Durations from zero on; above them, at the edge, those that never ended.
fn durations(highest: f64, edge: Option<f64>) -> Axis {
    let mut axis = axis::from_zero(highest, Unit::Seconds);
    let Some(edge) = edge else { return axis };
    axis.ticks.retain(|(at, _)| *at < edge * 0.93);
    axis.ticks.push((edge, "not recovered".to_string()));
    axis.scale = Scale::Linear { lo: 0.0, hi: edge * 1.05 };
    axis
}

/// The runs of a variant, spread so that equal ones can be told apart.
fn points(fault: &FaultResult, x: f64, edge: f64, look: Look, variants: usize) -> Vec<Layer> {
    let runs = fault.per_run.len();
    // Small enough not to hide one another, in a figure some 1,000 pixels wide.
    let apart = 1000.0 * SPREAD / variants as f64 / runs.saturating_sub(1).max(1) as f64;
    let radius = (apart * 0.45).clamp(2.5, 6.0);
    let place = |run: usize| match runs {
        0 | 1 => x - BESIDE / 3.0,
        _ => x - BESIDE / 3.0 + SPREAD * (run as f64 / (runs - 1) as f64 - 0.5),
    };
    let point = |(run, recover_s): (usize, Option<f64>)| {
        let (y, mark) = match recovery(recover_s) {
            Some(seconds) => (seconds, look.mark),
            None => (edge, Mark::Cross),
        };
        Layer::Point { at: (place(run), y), mark, color: look.stroke.color, radius }
    };
    fault.per_run.iter().map(|r| r.recover_s).enumerate().map(point).collect()
}

/// Mean and interval beside the points.
fn summary(fault: &FaultResult, x: f64, look: Look) -> Vec<Layer> {
    let Some(estimate) = fault.recover_s.filter(|e| e.mean.is_finite()) else { return Vec::new() };
    let stroke = Stroke { width: 2.5, dash: Dash::Solid, ..look.stroke };
    let x = x + BESIDE;
    let lo = estimate.lo.filter(|v| v.is_finite()).unwrap_or(estimate.mean);
    let hi = estimate.hi.filter(|v| v.is_finite()).unwrap_or(estimate.mean);
    let line = |from, to| Layer::Line { points: vec![from, to], stroke };
    let bar = |y: f64, half: f64| line((x - half, y), (x + half, y));
    vec![line((x, lo), (x, hi)), bar(lo, 0.012), bar(estimate.mean, 0.025), bar(hi, 0.012)]
}

/// A variant's name, and below it what the points say in words if there is room for it.
fn label(name: &str, fault: &FaultResult, variants: usize) -> String {
    let mut lines = vec![name.to_string()];
    if variants <= 6 {
        if fault.recover_s.is_some_and(|e| e.mean.is_finite()) {
            lines.push(estimate_text(Unit::Seconds, fault.recover_s));
        }
        let lost = fault.recovered.runs.saturating_sub(fault.recovered.successes);
        if lost > 0 {
            let share = Proportion { successes: lost, ..fault.recovered };
            lines.push(format!("not recovered: {}", share_text(share)));
        }
    }
    lines.join("\n")
}
