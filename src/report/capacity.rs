//! How much load a system can take: a page for people, the same in Markdown, JSON, and the curve as CSV.

mod json;
mod page;

use crate::experiment::capacity::{Bounds, CapacityResult};
use crate::metrics::estimate::stable;
use page::Page;

pub use json::write as json;

/// How the page is to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether verdicts are red and green.
    pub color: bool,
    /// Files that were written, to be listed.
    pub files: Vec<String>,
    /// The command that gives the same answer again.
    pub reproduce: String,
    /// Only what failed.
    pub quiet: bool,
}

/// The page for a terminal.
pub fn human(result: &CapacityResult, options: &Options) -> String {
    Page::of(result, options.quiet).text(options)
}

/// The page in Markdown.
pub fn markdown(result: &CapacityResult, options: &Options) -> String {
    Page::of(result, options.quiet).markdown(options)
}

/// The curve: one line for each load that was played, ascending.
pub fn csv(result: &CapacityResult) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> = ["load", "runs", "verdict", "piles_up"].map(String::from).to_vec();
    let mut columns = |name: &str| {
        header.extend(["mean", "lo", "hi"].map(|part| format!("{name} {part}")));
    };
    ["rate", "goodput", "latency_mean", "cost_per_hour"].iter().for_each(|name| columns(name));
    result.objectives.iter().for_each(|objective| columns(&objective.text));
    result.resources.iter().for_each(|name| columns(&format!("usage of {name}")));
    let mut lines = vec![header];
    for point in &result.found.points {
        let mut line = vec![
            number(point.load),
            point.runs.to_string(),
            point.verdict.name().to_string(),
            point.pile.is_some().to_string(),
        ];
        let parts = [point.rate, point.goodput, point.latency, point.cost];
        let objectives = point.objectives.iter().map(|measured| measured.value);
        for bounds in parts.into_iter().chain(objectives).chain(point.usage.iter().copied()) {
            line.extend(three(bounds));
        }
        lines.push(line);
    }
    for line in lines {
        // Writing to memory cannot fail, and all lines have as many fields.
        let _ = writer.write_record(&line);
    }
    writer.into_inner().unwrap_or_default()
}

fn three(bounds: Option<Bounds>) -> [String; 3] {
    match bounds {
        Some(b) => [number(b.mean), number(b.lo), number(b.hi)],
        None => [String::new(), String::new(), String::new()],
    }
}

fn number(value: f64) -> String {
    // Adding zero turns a negative zero into a plain one.
    if value.is_finite() { (stable(value) + 0.0).to_string() } else { String::new() }
}
