//! The metrics that matter, side by side for all variants.
//!
//! Which these are is a list by kind of component. A row is left out where no variant has the metric or where it says
//! nothing: nothing but zeros, or an amplification of one.

use super::grid::{self, Row};
use crate::base::units::Unit;
use crate::experiment::results::{ExperimentResult, MetricResult, VariantResult};
use crate::metrics::Estimate;
use crate::report::words::{estimate_text, many};
use std::collections::{BTreeMap, BTreeSet};

/// For each kind of component, the metrics shown and their names.
const SHOWN: [(&str, &[(&str, &str)]); 6] = [
    (
        "clients",
        &[
            ("rate", "offered"),
            ("goodput", "goodput"),
            ("error_ratio", "errors"),
            ("latency.p50", "latency p50"),
            ("latency.p95", "latency p95"),
            ("latency.p99", "latency p99"),
        ],
    ),
    ("balancers", &[("healthy", "healthy targets")]),
    (
        "services",
        &[
            ("cpu_utilization", "CPU utilization"),
            ("in_flight", "requests in flight"),
            ("queue", "requests queued"),
            ("work_for_nobody", "work for nobody"),
        ],
    ),
    (
        "databases",
        &[
            ("cpu_utilization", "CPU utilization"),
            ("connections", "connections"),
            ("work_for_nobody", "work for nobody"),
        ],
    ),
    ("externals", &[("work_for_nobody", "work for nobody")]),
    (
        "calls",
        &[
            ("pool.in_use", "connections in use"),
            ("pool.waiting", "calls waiting"),
            ("breaker.open", "breakers open"),
            ("amplification", "amplification"),
        ],
    ),
];

/// Metrics of each variant, side by side.
type Columns<'a> = Vec<&'a [MetricResult]>;

/// The section, or nothing if there is nothing to compare: the measured time, then the time that each fault lasted.
pub fn section(result: &ExperimentResult, width: usize) -> String {
    let runs = match result.runs {
        0 | 1 => "of one run".to_string(),
        runs => format!("mean ± 95 % of {}", many(u64::from(runs), "run")),
    };
    let whole = result.variants.iter().map(|v| v.metrics.as_slice()).collect();
    let grows = |variant: usize, path: &str| grows(&result.variants[variant], path);
    let head = format!("Metrics over the measured time, {runs}");
    let mut text = table(result, &whole, &grows, &head, width);
    let mut names: Vec<&str> = Vec::new();
    for fault in result.variants.iter().flat_map(|v| &v.faults) {
        if !names.contains(&fault.name.as_str()) {
            names.push(&fault.name);
        }
    }
    for name in names {
        let during = |v: &'_ VariantResult| v.faults.iter().position(|f| f.name == name);
        let columns: Columns<'_> = result
            .variants
            .iter()
            .map(|v| during(v).map_or(&[][..], |at| v.faults[at].during.as_slice()))
            .collect();
        let part = table(result, &columns, &|_, _| false, &format!("Metrics during {name}, {runs}"), width);
        if !part.is_empty() {
            text = format!("{text}\n{part}");
        }
    }
    text
}

/// Whether the latency of a population whose requests pile up: its mean says how long the run was.
fn grows(variant: &VariantResult, path: &str) -> bool {
    let of_population = |client: &str| {
        let rest = path.strip_prefix("clients.").and_then(|rest| rest.strip_prefix(client));
        rest.is_some_and(|rest| rest.starts_with(".latency."))
    };
    variant.stationary.iter().any(|s| !s.is_stationary && of_population(&s.client))
}

/// Whether the metric of a variant, by number and path, grows over the measured time.
type Grows<'a> = &'a dyn Fn(usize, &str) -> bool;

fn table(
    result: &ExperimentResult,
    columns: &Columns<'_>,
    grows: Grows<'_>,
    head: &str,
    width: usize,
) -> String {
    let rows = rows(columns, grows);
    if rows.is_empty() {
        return String::new();
    }
    let variants: Vec<&str> = result.variants.iter().map(|v| v.name.as_str()).collect();
    let mut text = format!("{head}\n{}", grid::render(&variants, &rows, width));
    let any = |mark: &str| rows.iter().any(|row| row.cells.iter().any(|cell| cell.ends_with(mark)));
    if any(WIDE) {
        text += "  ?: the interval is wider than half of the mean; play more runs or longer\n";
    }
    if any(GROWS) {
        text += "  grows: requests pile up, so the mean over the run depends on its length\n";
    }
    text
}

/// A metric's component, and its place and name among the metrics shown.
fn place(path: &str) -> Option<(usize, String, usize, &'static str)> {
    let mut parts = path.splitn(3, '.');
    let (family, name, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (kind, component, metric) = match rest.strip_prefix("calls.").and_then(|call| call.split_once('.')) {
        Some((callee, metric)) => ("calls", format!("{family}.{name}.calls.{callee}"), metric),
        None => (family, format!("{family}.{name}"), rest),
    };
    let (_, shown) = SHOWN.iter().find(|(k, _)| *k == kind)?;
    // The second pool of an edge is `pool2`.
    let plain: String = match metric.split_once('.') {
        Some((layer, level)) => format!("{}.{level}", layer.trim_end_matches(|c: char| c.is_ascii_digit())),
        None => metric.to_string(),
    };
    let at = shown.iter().position(|(m, _)| *m == metric || (kind == "calls" && *m == plain))?;
    let rank = SHOWN.iter().position(|(k, _)| *k == family)?;
    Some((rank, component, at, shown[at].1))
}

/// A row of a component, by the place of its metric in the list and by its path.
type Placed<'a> = (usize, &'a str, Row);

fn rows(columns: &Columns<'_>, grows: Grows<'_>) -> Vec<Row> {
    let paths: BTreeSet<&str> = columns.iter().flat_map(|c| c.iter().map(|m| m.path.as_str())).collect();
    let mut components: BTreeMap<(usize, String), Vec<Placed>> = BTreeMap::new();
    for path in paths {
        let Some((rank, component, at, label)) = place(path) else { continue };
        if let Some(cells) = cells(columns, grows, path) {
            let row = Row { label: format!("  {label}"), cells };
            components.entry((rank, component)).or_default().push((at, path, row));
        }
    }
    let mut rows = Vec::new();
    for ((_, component), mut metrics) in components {
        metrics.sort_by(|x, y| (x.0, x.1).cmp(&(y.0, y.1)));
        rows.push(Row { label: component, cells: Vec::new() });
        rows.extend(metrics.into_iter().map(|(_, _, row)| row));
    }
    rows
}

/// The cells of a metric, unless they say nothing.
fn cells(columns: &Columns<'_>, grows: Grows<'_>, path: &str) -> Option<Vec<String>> {
    let find = |c: &'_ &[MetricResult]| c.binary_search_by(|m| m.path.as_str().cmp(path)).ok();
    let metrics: Vec<Option<&MetricResult>> = columns.iter().map(|c| find(c).map(|at| &c[at])).collect();
    let idle = if path.ends_with(".amplification") { 1.0 } else { 0.0 };
    let means = metrics.iter().filter_map(|m| m.and_then(|m| m.estimate)).map(|e| e.mean);
    if means.filter(|mean| mean.is_finite()).all(|mean| (mean - idle).abs() < 1e-9) {
        return None;
    }
    let unit = metrics.iter().flatten().map(|m| m.unit).next().unwrap_or(Unit::Level);
    let cell = |(variant, metric): (usize, &Option<&MetricResult>)| {
        let estimate = metric.and_then(|m| m.estimate);
        let text = estimate_text(unit, estimate);
        match estimate {
            Some(_) if grows(variant, path) => GROWS.to_string(),
            Some(estimate) if is_wide(estimate) => text + WIDE,
            _ => text,
        }
    };
    Some(metrics.iter().enumerate().map(cell).collect())
}

/// What marks a mean whose interval is wide, and what stands instead of one that means nothing.
const WIDE: &str = " ?";
const GROWS: &str = "grows";

/// Whether an interval is wider than half of the mean.
fn is_wide(estimate: Estimate) -> bool {
    estimate.half_width.is_some_and(|half| half.is_finite() && 2.0 * half > 0.5 * estimate.mean.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_find_their_place() {
        let found = |path| place(path).map(|(_, component, _, label)| (component, label));
        let case = |component: &str, label| Some((component.to_string(), label));
        assert_eq!(found("clients.users.latency.p99"), case("clients.users", "latency p99"));
        assert_eq!(
            found("services.api.calls.db.pool2.in_use"),
            case("services.api.calls.db", "connections in use")
        );
        assert_eq!(found("clients.users.calls.api:fast.amplification").unwrap().1, "amplification");
        assert_eq!(found("clients.users.requests.buy.rate"), None);
        assert_eq!(found("balancers.alb.checks.rate"), None);
        assert_eq!(found("seed"), None);
    }
}
