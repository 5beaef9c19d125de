//! What each fault did to each variant, and whether they got over it.

use super::grid::{self, Row};
use crate::base::units::Unit;
use crate::experiment::results::{ExperimentResult, FaultNumber, FaultResult, VariantResult};
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

/// What else is told, if there is anything to tell.
const MEASURES: [(&str, &str); 14] = [
    ("first reaction after", "reaction"),
    ("half mitigated after", "mitigate"),
    ("requests late", "late"),
    ("messages lost", "lost_messages"),
    ("messages handled twice", "duplicated_messages"),
    ("oldest write lost", "rpo"),
    ("error budget burnt", "budget_burnt"),
    ("retries against normal, x", "retry_amplification"),
    ("work for nobody", "work_for_nobody"),
    ("sustained by retries", "sustained_by.retries"),
    ("  by cold caches", "sustained_by.cold_cache"),
    ("  by contention", "sustained_by.contention"),
    ("  by restarts", "sustained_by.restarts"),
    ("  by work for nobody", "sustained_by.work_for_nobody"),
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
    let mut rows: Vec<Row> = ROWS
        .iter()
        .chain(priced.then_some(&cost))
        .map(|(label, cell)| Row {
            label: label.to_string(),
            cells: struck.iter().map(|(_, fault)| cell(fault)).collect(),
        })
        .collect();
    // A fault that waits for something may wait in vain.
    if struck.iter().any(|(_, fault)| fault.per_run.iter().any(|run| !run.struck)) {
        let began = |fault: &FaultResult| {
            let all = fault.per_run.len();
            format!("{} of {}", fault.per_run.iter().filter(|run| run.struck).count(), all)
        };
        let cells = struck.iter().map(|(_, fault)| began(fault)).collect();
        rows.insert(0, Row { label: "began in runs".to_string(), cells });
    }
    for (label, name) in MEASURES {
        let numbers: Vec<Option<&FaultNumber>> =
            struck.iter().map(|(_, fault)| fault.measures.iter().find(|m| m.name == name)).collect();
        // What no variant has is no row; nor are shares and counts that are zero everywhere.
        let is_worth = |number: &&FaultNumber| {
            number.estimate.is_some_and(|e| e.mean.abs() > 5e-4 || matches!(name, "mitigate" | "rpo"))
        };
        if !numbers.iter().flatten().any(is_worth) {
            continue;
        }
        let cell = |number: &Option<&FaultNumber>| {
            number.map_or_else(|| "–".to_string(), |number| estimate_text(number.unit, number.estimate))
        };
        rows.push(Row { label: label.to_string(), cells: numbers.iter().map(cell).collect() });
    }
    head + &grid::render(&names, &rows, width)
}
