//! When each alert fired in each variant, and what that had cost.

use super::grid::{self, Row};
use crate::base::units::Unit;
use crate::experiment::results::{AlertResult, ExperimentResult, VariantResult};
use crate::report::words::{estimate_text, share_text};

/// One table for each alert, or nothing if there is none.
pub fn section(result: &ExperimentResult, width: usize) -> String {
    // All variants have the same alerts.
    let alerts = result.variants.first().map(|v| v.alerts.as_slice()).unwrap_or_default();
    alerts.iter().map(|alert| table(&result.variants, alert, width)).collect::<Vec<_>>().join("\n")
}

/// A cell about an alert.
type Cell = fn(&AlertResult) -> String;

/// The rows of an alert's table.
const ROWS: [(&str, Cell); 4] = [
    ("runs in which it fired", |a| share_text(a.fired)),
    ("fired first at", |a| match a.fired_s {
        None => "never".to_string(),
        some => estimate_text(Unit::Seconds, some),
    }),
    ("was firing for", |a| estimate_text(Unit::Seconds, a.firing_s)),
    ("budget spent by then", |a| estimate_text(Unit::Ratio, a.budget_spent)),
];

fn table(variants: &[VariantResult], first: &AlertResult, width: usize) -> String {
    let ours: Vec<(&str, &AlertResult)> = variants
        .iter()
        .filter_map(|v| Some((v.name.as_str(), v.alerts.iter().find(|a| a.name == first.name)?)))
        .collect();
    let names: Vec<&str> = ours.iter().map(|(variant, _)| *variant).collect();
    // A threshold knows no budget.
    let rows = if first.kind == "BurnRate" { &ROWS[..] } else { &ROWS[..3] };
    let rows: Vec<Row> = rows
        .iter()
        .map(|(label, cell)| Row {
            label: label.to_string(),
            cells: ours.iter().map(|(_, alert)| cell(alert)).collect(),
        })
        .collect();
    let head = super::wrapped(&format!("Alert {}: {}", first.name, first.text), "", width);
    head + &grid::render(&names, &rows, width)
}
