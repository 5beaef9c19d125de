//! The bill: what a month would cost if all of it were like the measured time, line by line, for all variants.

use super::grid::{self, Row};
use crate::base::units::Unit;
use crate::experiment::results::{ExperimentResult, VariantResult};
use crate::report::words::estimate_text;

/// The lines, in the order of the bill.
const LINES: [(&str, &str); 9] = [
    ("instances", "cost.instances.month"),
    ("databases", "cost.databases.month"),
    ("requests to externals", "cost.requests.month"),
    ("balancers", "cost.balancers.month"),
    ("transfer", "cost.transfer.month"),
    ("NAT gateway", "cost.nat.month"),
    ("logs", "cost.logs.month"),
    ("storage", "cost.storage.month"),
    ("in all", "cost.month"),
];

/// The section, or nothing if nothing has a price.
pub fn section(result: &ExperimentResult, width: usize) -> String {
    let variants: Vec<&str> = result.variants.iter().map(|v| v.name.as_str()).collect();
    let rows: Vec<Row> = LINES
        .iter()
        .filter_map(|(label, path)| {
            let has = |v: &VariantResult| find(v, path).is_some();
            let cells = || result.variants.iter().map(|v| find(v, path).unwrap_or_else(|| "–".into()));
            result
                .variants
                .iter()
                .any(has)
                .then(|| Row { label: (*label).to_string(), cells: cells().collect() })
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = "Cost of a month of 730 hours, if all of it were like the measured time";
    format!("{head}\n{}", grid::render(&variants, &rows, width))
}

fn find(variant: &VariantResult, path: &str) -> Option<String> {
    let metric = variant.metrics.binary_search_by(|m| m.path.as_str().cmp(path)).ok();
    metric.map(|at| estimate_text(Unit::Level, variant.metrics[at].estimate))
}
