//! The comparison as CSV, with all digits, and as Markdown, for the summary of a CI step.

use super::{human, words};
use crate::experiment::compare::results::{Comparison, MeasureComparison, Pair};
use crate::metrics::estimate::stable;
use crate::report::words::value_text;
use std::fmt::Write as _;

/// One row for each pair and measure.
pub fn csv(result: &Comparison) -> Vec<u8> {
    let header = [
        "measure",
        "unit",
        "better",
        "baseline",
        "variant",
        "runs",
        "complete_pairs",
        "baseline_mean",
        "variant_mean",
        "difference",
        "lo",
        "hi",
        "simultaneous_lo",
        "simultaneous_hi",
        "relative",
        "p",
        "p_holm",
        "p_equivalence_holm",
        "detectable",
        "variance_ratio",
        "only_baseline",
        "only_variant",
        "verdict",
    ];
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = writer.write_record(header);
    for measure in &result.measures {
        for pair in &measure.pairs {
            let _ = writer.write_record(row(result, measure, pair));
        }
    }
    writer.into_inner().unwrap_or_default()
}

fn row(result: &Comparison, measure: &MeasureComparison, pair: &Pair) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(String::new, |v| (stable(v) + 0.0).to_string());
    let missing = |of: u64| pair.presence.map_or_else(String::new, |_| of.to_string());
    let presence = pair.presence.unwrap_or_default();
    vec![
        measure.text.clone(),
        measure.unit.symbol().to_string(),
        measure.better.map_or("", |better| better.name()).to_string(),
        result.variants[pair.a].clone(),
        result.variants[pair.b].clone(),
        result.runs.to_string(),
        pair.complete.to_string(),
        number(pair.means.map(|(a, _)| a)),
        number(pair.means.map(|(_, b)| b)),
        number(pair.difference),
        number(pair.ci95.map(|(lo, _)| lo)),
        number(pair.ci95.map(|(_, hi)| hi)),
        number(pair.simultaneous95.map(|(lo, _)| lo)),
        number(pair.simultaneous95.map(|(_, hi)| hi)),
        number(pair.relative()),
        number(pair.p_value),
        number(pair.p_adjusted),
        number(pair.p_equivalence),
        number(pair.detectable),
        number(pair.variance_ratio),
        missing(presence.only_a),
        missing(presence.only_b),
        pair.verdict.name().to_string(),
    ]
}

/// The sentences as a list, and one table of all measures.
pub fn markdown(result: &Comparison) -> String {
    let mut text = String::new();
    for line in words::tally(result) {
        let _ = writeln!(text, "- **{}**", plain(&line));
    }
    if let Some(selected) = &result.selection {
        let _ = writeln!(text, "- {}", plain(&words::selected(result, selected)));
    }
    for measure in &result.measures {
        for pair in &measure.pairs {
            let sentence = words::sentence(result, measure, pair);
            let _ = writeln!(text, "- {} {}", human::mark(pair.verdict), plain(&sentence));
        }
    }
    text.push_str(
        "\n| measure | baseline | variant | from | to | difference | 95 % interval | p (Holm) | verdict |\n",
    );
    text.push_str("|---|---|---|---:|---:|---:|---:|---:|---|\n");
    for measure in &result.measures {
        for pair in &measure.pairs {
            let none = || "–".to_string();
            let mean = |of: Option<f64>| of.map_or_else(none, |v| value_text(measure.unit, v));
            let cells = [
                measure.text.clone(),
                result.variants[pair.a].clone(),
                result.variants[pair.b].clone(),
                mean(pair.means.map(|(a, _)| a)),
                mean(pair.means.map(|(_, b)| b)),
                pair.difference.map_or_else(none, |d| words::signed(measure.unit, d)),
                words::interval(measure.unit, pair.ci95).unwrap_or_else(none),
                pair.p_adjusted.map_or_else(none, words::p_text),
                pair.verdict.name().to_string(),
            ];
            let _ = writeln!(text, "| {} |", cells.map(|cell| plain(&cell)).join(" | "));
        }
    }
    text
}

/// Without what Markdown would take for its own.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        if matches!(c, '|' | '*' | '_' | '`' | '<' | '[' | ']' | '\\') {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}
