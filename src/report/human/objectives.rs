//! Objectives against their targets, and what is left of the error budgets.

use super::grid::{self, Row};
use crate::base::units::{Unit, duration_text, ratio_text};
use crate::experiment::results::{ExperimentResult, ObjectiveResult};
use crate::metrics::Estimate;
use crate::report::words::estimate_text;

/// One table for each objective, or nothing if there is none.
pub fn section(result: &ExperimentResult, width: usize) -> String {
    // All variants have the same objectives.
    let first = result.variants.first().map(|v| v.objectives.as_slice()).unwrap_or_default();
    let names: Vec<&str> = result.variants.iter().map(|v| v.name.as_str()).collect();
    let table = |(number, objective): (usize, &ObjectiveResult)| {
        let all: Vec<&ObjectiveResult> =
            result.variants.iter().filter_map(|v| v.objectives.get(number)).collect();
        format!("Objective {}\n", objective.name) + &grid::render(&names, &rows(objective, &all), width)
    };
    first.iter().enumerate().map(table).collect::<Vec<_>>().join("\n")
}

fn rows(first: &ObjectiveResult, all: &[&ObjectiveResult]) -> Vec<Row> {
    let row = |label: String, cell: &dyn Fn(&ObjectiveResult) -> String| Row {
        label,
        cells: all.iter().map(|objective| cell(objective)).collect(),
    };
    let judged = |unit: Unit, estimate: Option<Estimate>, meets: &dyn Fn(f64) -> bool| {
        let missed = if estimate.is_some_and(|e| !meets(e.mean)) { ", missed" } else { "" };
        estimate_text(unit, estimate) + missed
    };
    let mut rows = vec![row(format!("served, of {}", ratio_text(first.target)), &|o| {
        judged(Unit::Ratio, o.availability, &|value| value >= o.target)
    })];
    for (at, target) in first.latency.iter().enumerate() {
        let label = format!("{} within {}", target.percentile, duration_text(target.limit_s));
        rows.push(row(label, &|o| {
            let target = &o.latency[at];
            judged(Unit::Seconds, target.latency, &|value| value <= target.limit_s)
        }));
    }
    if first.target < 1.0 {
        let label = format!("budget left of {}", duration_text(first.period_s));
        rows.push(row(label, &|o| judged(Unit::Ratio, o.budget_left, &|value| value >= 0.0)));
        rows.push(row("burn rate".to_string(), &|o| estimate_text(Unit::Level, o.burn_rate)));
    }
    rows
}
