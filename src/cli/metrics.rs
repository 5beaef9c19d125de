//! `brownout metrics FILE`

use super::args::MetricsArgs;
use super::deliver::Format;
use super::{Ending, show_diagnostics};
use crate::base::units::Unit;
use crate::experiment::alerts::AlertMeasure;
use crate::experiment::objectives::{NUMBERS, Of, Slo};
use crate::experiment::plan::FaultMeasure;
use crate::experiment::{Changes, Plan, plan};
use crate::report::{human, json};
use crate::spec::load::Loader;

/// Lists every metric of a file.
pub fn metrics(args: &MetricsArgs) -> Ending {
    if !args.deliver.are_known("metrics", &[Format::Human, Format::Json]) {
        return Ending::Wrong;
    }
    let mut loader = Loader::default();
    let document = loader.load(&args.file, &[]);
    let plan = document.and_then(|d| plan(&mut loader, d, &Changes::default()));
    if show_diagnostics(&loader) {
        return Ending::Wrong;
    }
    let Some(plan) = plan else { return Ending::Wrong };
    // Variants may differ in their metrics: those of all, each once.
    let mut all: Vec<_> = plan.variants.iter().flat_map(|v| &v.model.catalog.metrics).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.dedup_by(|a, b| a.path == b.path);
    let faults = fault_metrics(&plan);
    let rows = faults.iter().map(|(path, unit, meaning)| (path.as_str(), *unit, *meaning));
    let alerts = alert_metrics(&plan);
    let rows = rows.chain(alerts.iter().map(|(path, unit, meaning)| (path.as_str(), *unit, *meaning)));
    let objectives = objective_metrics(&plan);
    let rows = rows.chain(objectives.iter().map(|(path, unit, meaning)| (path.as_str(), *unit, *meaning)));
    let rows = rows.chain(all.iter().map(|m| (m.path.as_str(), m.unit, m.meaning.as_str())));
    let delivered = args.deliver.deliver_or_say(&|format, _| {
        Ok(match format {
            Format::Json => json::metric_list(rows.clone()),
            _ => human::metric_list(rows.clone()),
        }
        .into_bytes())
    });
    match delivered {
        Ok(()) => Ending::Held,
        Err(ending) => ending,
    }
}

/// What faults did: metrics for expectations only.
fn fault_metrics(plan: &Plan) -> Vec<(String, Unit, &'static str)> {
    let mut names: Vec<&str> =
        plan.variants.iter().flat_map(|v| &v.faults).map(|f| f.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
        .iter()
        .flat_map(|name| {
            FaultMeasure::ALL.map(|(what, _, unit, meaning)| (format!("faults.{name}.{what}"), unit, meaning))
        })
        .collect()
}

/// How objectives are met: metrics for expectations only. All variants have the same objectives.
fn objective_metrics(plan: &Plan) -> Vec<(String, Unit, &'static str)> {
    let slos = plan.variants.first().map(|v| v.slos.as_slice()).unwrap_or_default();
    let of = |slo: &Slo| {
        // Without a budget there is nothing that could be left of it.
        let known =
            NUMBERS.iter().filter(|(_, what, ..)| slo.availability < 1.0 || *what == Of::Availability);
        let name = slo.name.clone();
        known
            .map(move |(what, _, unit, meaning)| (format!("objectives.{name}.{what}"), *unit, *meaning))
            .collect::<Vec<_>>()
    };
    slos.iter().flat_map(of).collect()
}

/// What alerts did: metrics for expectations only. All variants have the same alerts.
fn alert_metrics(plan: &Plan) -> Vec<(String, Unit, &'static str)> {
    let mut all = Vec::new();
    for alert in plan.variants.first().into_iter().flat_map(|v| &v.alerts) {
        let ours = AlertMeasure::ALL.iter().filter(|(_, measure, ..)| alert.has(*measure));
        all.extend(
            ours.map(|(what, _, unit, meaning)| (format!("alerts.{}.{what}", alert.name), *unit, *meaning)),
        );
    }
    all
}
