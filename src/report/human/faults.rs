//! What each fault did to each variant, and whether they got over it.

use super::grid::{self, Row};
use crate::base::units::Unit;
use crate::experiment::results::{ExperimentResult, FaultResult, VariantResult};
use crate::metrics::{Estimate, Proportion};
use crate::report::words::{estimate_text, period, share_interval, share_text};

/// One table for each fault, or nothing if nothing struck.
pub fn section(result: &ExperimentResult, width: usize) -> String {
    let mut names: Vec<&str> = Vec::new();
    for fault in result.variants.iter().flat_map(|v| &v.faults) {
        if !names.contains(&fault.name.as_str()) {
            names.push(&fault.name);
        }
    }
    names.iter().map(|name| table(&result.variants, name, width)).collect::<Vec<_>>().join("\n")
}

/// A cell about a fault.
type Cell = fn(&FaultResult) -> String;

/// The rows of a fault's table.
const ROWS: [(&str, Cell); 8] = [
    ("detected after", |f| duration(f.detect_s, "not detected")),
    ("recovered after", |f| duration(f.recover_s, "not recovered")),
    ("runs recovered", |f| share(f.recovered)),
    ("goodput before", |f| estimate_text(Unit::PerSecond, f.goodput_before)),
    ("lowest goodput", |f| estimate_text(Unit::PerSecond, f.depth)),
    ("requests unserved", |f| estimate_text(Unit::Count("requests"), f.unserved)),
    ("metastable", |f| format!("{}, {}", verdict(f.metastable), share(f.metastable))),
    ("  95 % interval", |f| share_interval(f.metastable)),
];

fn duration(estimate: Option<Estimate>, none: &str) -> String {
    match estimate {
        None => none.to_string(),
        some => estimate_text(Unit::Seconds, some),
    }
}

fn share(share: Proportion) -> String {
    if share.runs == 0 { "–".to_string() } else { share_text(share) }
}

/// Whether runs ended metastable: fault over, load and capacity back, goodput not.
fn verdict(share: Proportion) -> &'static str {
    match share.successes {
        0 => "no",
        all if all == share.runs => "yes",
        most if 2 * most > share.runs => "mostly",
        _ => "at times",
    }
}

fn table(variants: &[VariantResult], name: &str, width: usize) -> String {
    let struck: Vec<(&str, &FaultResult)> = variants
        .iter()
        .filter_map(|v| Some((v.name.as_str(), v.faults.iter().find(|f| f.name == name)?)))
        .collect();
    let Some((_, first)) = struck.first() else { return String::new() };
    let head =
        format!("Fault {name}: {} of {}, {}\n", first.kind, first.target, period(first.start_s, first.end_s));
    let names: Vec<&str> = struck.iter().map(|(variant, _)| *variant).collect();
    // Where nothing has a price there is no cost.
    let priced = struck.iter().any(|(_, fault)| fault.cost.is_some());
    let cost: (&str, Cell) = ("cost more than normal", |f| estimate_text(Unit::Level, f.cost));
    let rows: Vec<Row> = ROWS
        .iter()
        .chain(priced.then_some(&cost))
        .map(|(label, cell)| Row {
            label: label.to_string(),
            cells: struck.iter().map(|(_, fault)| cell(fault)).collect(),
        })
        .collect();
    head + &grid::render(&names, &rows, width)
}
