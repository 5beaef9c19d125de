//! For people at a terminal: a line for each variant, then each measure in words and as a table.

use super::words;
use crate::base::units::{Unit, duration_text, ratio_text};
use crate::experiment::compare::results::{Comparison, MeasureComparison, Pair, Selected, Verdict};
use crate::report::human::Options;
use crate::report::human::grid::{self, Row};
use crate::report::words::{many, value_text};
use std::fmt::Write as _;

/// The comparison; quiet, only what is worse or inconclusive.
pub fn human(result: &Comparison, options: &Options) -> String {
    let mut text = String::new();
    if !options.quiet {
        for line in words::tally(result) {
            let _ = writeln!(text, "{line}");
        }
    }
    for measure in &result.measures {
        text.push_str(&section(result, measure, options));
    }
    if let Some(selected) = &result.selection
        && (!options.quiet || selected.winner.is_none())
    {
        text.push_str(&selection(result, selected, options));
    }
    if options.quiet {
        if !text.is_empty() {
            let _ = writeln!(text, "\nreproduce: {}", options.reproduce);
        }
        return text;
    }
    text.push('\n');
    for line in notes(result) {
        text.push_str(&wrapped(&line, "", options.width));
    }
    if !options.files.is_empty() {
        text.push_str("\nFiles\n");
        for file in &options.files {
            let _ = writeln!(text, "  {file}");
        }
    }
    let _ = writeln!(text, "\nreproduce: {}", options.reproduce);
    text
}

/// A measure: its sentences, and the table below them.
fn section(result: &Comparison, measure: &MeasureComparison, options: &Options) -> String {
    let is_shown =
        |pair: &&Pair| !options.quiet || matches!(pair.verdict, Verdict::Worse | Verdict::Inconclusive);
    let shown: Vec<&Pair> = measure.pairs.iter().filter(is_shown).collect();
    if shown.is_empty() {
        return String::new();
    }
    let mut text = if options.quiet { String::new() } else { format!("\n{}\n", heading(measure)) };
    for pair in shown {
        let bullet = format!("  {} ", mark(pair.verdict));
        let lines = wrapped(&words::sentence(result, measure, pair), &bullet, options.width);
        text.push_str(&painted(&lines, pair.verdict, options.color));
    }
    if options.quiet {
        return text;
    }
    let with_baseline: Vec<&Pair> = measure.pairs.iter().filter(|p| p.a == result.baseline).collect();
    let rows: Vec<Row> = (0..result.variants.len())
        .map(|variant| {
            let pair = with_baseline.iter().find(|p| p.b == variant);
            Row { label: result.variants[variant].clone(), cells: cells(measure, variant, pair.copied()) }
        })
        .collect();
    text + &grid::render(&COLUMNS, &rows, options.width)
}

const COLUMNS: [&str; 6] = ["value ± 95 %", "difference", "95 % interval", "change", "pairing", "p"];

fn cells(measure: &MeasureComparison, variant: usize, pair: Option<&Pair>) -> Vec<String> {
    let of = &measure.variants[variant];
    let mut value = match (of.value, of.ci95) {
        (None, _) => "–".to_string(),
        (Some(value), Some((lo, hi))) if measure.is_event => {
            format!("{} ({} to {})", ratio_text(value), ratio_text(lo), ratio_text(hi))
        }
        (Some(value), Some((lo, hi))) if hi - lo > 2e-9 * value.abs() => {
            let half = (hi - lo) / 2.0;
            let half = format!("{half:.1e}").parse().unwrap_or(half);
            format!("{} ± {}", value_text(measure.unit, value), value_text(measure.unit, half))
        }
        (Some(value), _) => value_text(measure.unit, value),
    };
    if of.present() < of.per_run.len() {
        let _ = write!(value, " [{} of {}]", of.present(), many(of.per_run.len() as u64, "run"));
    }
    let Some(pair) = pair else { return vec![value] };
    let none = || "–".to_string();
    // Percentage points.
    let short = |text: String| text.replace(" points", " pp");
    vec![
        value,
        short(pair.difference.map_or_else(none, |d| words::signed(measure.unit, d))),
        short(words::interval(measure.unit, pair.ci95).unwrap_or_else(none)),
        words::change(pair).filter(|_| !measure.is_event).unwrap_or_else(none),
        pair.variance_ratio.map_or_else(none, times),
        pair.p_adjusted.map_or_else(none, words::p_text),
    ]
}

/// A factor: "12×", "0.8×".
fn times(factor: f64) -> String {
    match factor {
        f if f >= 9.95 => format!("{f:.0}×"),
        f => format!("{f:.1}×"),
    }
}

fn heading(measure: &MeasureComparison) -> String {
    let better = measure
        .better
        .map_or("nobody said what is better".to_string(), |better| format!("{} is better", better.name()));
    let tolerance = measure.tolerance.as_ref().map_or(String::new(), |t| format!(", tolerance {}", t.text));
    format!("{} ({better}{tolerance})", measure.text)
}

/// The search for the best, and what became of each variant.
fn selection(result: &Comparison, selected: &Selected, options: &Options) -> String {
    let (mark, verdict) = match selected.winner {
        Some(_) => ("✓", Verdict::Better),
        None => ("?", Verdict::Inconclusive),
    };
    let mut text = format!("\nThe best on {} ({} is better)\n", selected.text, selected.better.name());
    let lines = wrapped(&words::selected(result, selected), &format!("  {mark} "), options.width);
    text.push_str(&painted(&lines, verdict, options.color));
    let rows: Vec<Row> = selected
        .contenders
        .iter()
        .zip(&result.variants)
        .enumerate()
        .map(|(at, (contender, name))| {
            let left = match contender.left_after {
                Some(run) => format!("left out after {}", many(u64::from(run), "run")),
                None if selected.winner == Some(at) => "selected".to_string(),
                None => "in contention".to_string(),
            };
            let mean = value_text(selected.unit, contender.mean);
            Row { label: name.clone(), cells: vec![mean, contender.runs.to_string(), left] }
        })
        .collect();
    text + &grid::render(&["mean", "runs", ""], &rows, options.width)
}

/// How to read it.
fn notes(result: &Comparison) -> Vec<String> {
    let mut notes = vec![format!(
        "{}: {} × {} of {}, on common random numbers, seed {}.",
        result.name,
        many(result.variants.len() as u64, "variant"),
        many(u64::from(result.runs), "run"),
        duration_text(result.duration_s),
        result.seed
    )];
    let together = match result.family {
        1 => String::new(),
        family => format!(
            " p and the verdicts are adjusted for all {family} comparisons together (Holm, 5 %); these intervals are \
             not, the plot and the files have both kinds."
        ),
    };
    notes.push(format!(
        "Differences are taken run by run against {}; each interval is 95 % by itself (Student's t; for events \
         McNemar's exact test and Newcombe's interval).{together}",
        result.variants[result.baseline]
    ));
    if result.measures.iter().flat_map(|m| &m.pairs).any(|p| p.variance_ratio.is_some()) {
        notes.push(
            "Pairing: how many times as many runs independent random numbers would need for the same interval."
                .to_string(),
        );
    }
    if result.measures.iter().any(|m| m.unit == Unit::Ratio) {
        notes.push("Shares differ by points (pp): hundredths, not per cent of each other.".to_string());
    }
    if result.measures.iter().flat_map(|m| &m.pairs).any(|p| p.verdict == Verdict::NotFound) {
        notes.push(
            "Where no difference was found there may be a small one: what these runs would have shown is what they \
             find in 4 of 5 cases."
                .to_string(),
        );
    }
    notes
}

/// The sign of a verdict.
pub fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "✓",
        Verdict::Worse => "✗",
        Verdict::More => "↑",
        Verdict::Less => "↓",
        Verdict::Equivalent => "=",
        Verdict::NotFound => "·",
        Verdict::Inconclusive => "?",
    }
}

/// The sign in color.
fn painted(lines: &str, verdict: Verdict, color: bool) -> String {
    let paint = match verdict {
        Verdict::Better => "\x1b[32m",
        Verdict::Worse => "\x1b[31m",
        Verdict::Inconclusive => "\x1b[33m",
        _ => return lines.to_string(),
    };
    if !color {
        return lines.to_string();
    }
    let sign = mark(verdict);
    lines.replacen(sign, &format!("{paint}{sign}\x1b[0m"), 1)
}

/// A paragraph within a width, its first line behind a bullet and the others below it.
fn wrapped(paragraph: &str, bullet: &str, width: usize) -> String {
    crate::report::human::wrapped(paragraph, bullet, width)
}
