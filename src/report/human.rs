//! The summary for people at a terminal: verdicts first, then numbers side by side, then what the faults did.
//!
//! Plain text in a width of choice, 100 columns or more for tables to look good. Colors, if any, are on verdicts only,
//! and never the only carrier of a meaning.

mod alerts;
mod cascades;
mod compare;
mod costs;
mod faults;
pub(super) mod grid;

use crate::base::mix;
use crate::base::units::{Unit, count_text, duration_text, ratio_text};
use crate::experiment::results::{ExpectationResult, ExperimentResult, Verdict};
use crate::report::validation;
use crate::report::words::{many, value_text};
use std::fmt::Write as _;

/// How the summary is to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether verdicts are red and green.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Files that were written, to be listed.
    pub files: Vec<String>,
    /// The command that gives the same results again.
    pub reproduce: String,
    /// Only what did not hold; nothing at all if everything did.
    pub quiet: bool,
}

/// The summary, with a newline at the end. Quiet and without anything to say, it is empty.
pub fn summary(result: &ExperimentResult, options: &Options) -> String {
    let mut text = verdicts(result, options);
    let theory = validation::section(result, options.color, options.quiet);
    if !theory.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "Theory: {}", result.theory.source);
        text.push_str(&theory);
    }
    if options.quiet {
        if !text.is_empty() {
            let _ = writeln!(text, "\nreproduce: {}", options.reproduce);
        }
        return text;
    }
    let sections = [
        precision(result, options.width),
        compare::section(result, options.width),
        costs::section(result, options.width),
        faults::section(result, options.width),
        cascades::section(result, options.width),
        alerts::section(result, options.width),
        closing(result, options),
    ];
    for section in sections.into_iter().filter(|section| !section.is_empty()) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&section);
    }
    text
}

/// The expectations, grouped by variant.
/// Metrics as a table: path, unit and meaning.
pub fn metric_list<'a>(metrics: impl Iterator<Item = (&'a str, Unit, &'a str)>) -> String {
    let rows: Vec<_> = metrics.collect();
    let path_width = rows.iter().map(|(path, ..)| path.chars().count()).max().unwrap_or(0);
    let unit_width = rows.iter().map(|(_, unit, _)| unit.symbol().chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (path, unit, meaning) in rows {
        let line = format!("{path:path_width$}  {:unit_width$}  {meaning}", unit.symbol());
        // Long paths leave the meaning to the terminal's own wrapping.
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn verdicts(result: &ExperimentResult, options: &Options) -> String {
    let shown: Vec<&ExpectationResult> =
        result.expectations.iter().filter(|e| !options.quiet || e.verdict != Verdict::Held).collect();
    if shown.is_empty() {
        return String::new();
    }
    let mut text = format!("Expectations: {}\n", tally(&result.expectations));
    let longest = shown.iter().map(|e| e.text.chars().count()).max().unwrap_or(0);
    let column = longest.min(options.width.saturating_sub(40).max(30));
    let mut variant = None;
    for expectation in shown {
        if variant != Some(&expectation.variant) {
            let _ = writeln!(text, "  {}", expectation.variant);
            variant = Some(&expectation.variant);
        }
        text.push_str(&verdict_lines(expectation, column, options.color));
    }
    text
}

/// How many expectations fared how: "5 held, 1 failed".
fn tally(expectations: &[ExpectationResult]) -> String {
    let counts = [Verdict::Held, Verdict::Failed, Verdict::Inconclusive].map(|verdict| {
        let count = expectations.iter().filter(|e| e.verdict == verdict).count();
        (count > 0).then(|| format!("{count} {}", verdict.name()))
    });
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

pub(super) fn verdict_lines(expectation: &ExpectationResult, column: usize, color: bool) -> String {
    let (mark, paint) = match expectation.verdict {
        Verdict::Held => ("✓", "\x1b[32m"),
        Verdict::Failed => ("✗", "\x1b[31m"),
        Verdict::Inconclusive => ("?", "\x1b[33m"),
    };
    let mark = if color { format!("{paint}{mark}\x1b[0m") } else { mark.to_string() };
    let (written, found) = (&expectation.text, found(expectation));
    let mut lines = if written.chars().count() > column {
        format!("    {mark} {written}\n      {:column$}  {found}\n", "")
    } else {
        format!("    {mark} {written:column$}  {found}\n")
    };
    if expectation.verdict != Verdict::Held {
        let _ = writeln!(
            lines,
            "      {} at {}:{}",
            expectation.verdict.name(),
            expectation.file,
            expectation.line
        );
    }
    lines
}

/// The value that was found, its interval and its margin: "187 ms (183 ms to 191 ms), margin 813 ms".
pub(super) fn found(expectation: &ExpectationResult) -> String {
    let unit = expectation.unit;
    let Some(value) = expectation.value.filter(|v| v.is_finite()) else {
        return "no run has a value".to_string();
    };
    let mut text = unit.text(value);
    if let Some((lo, hi)) = expectation.ci95.filter(|(lo, hi)| lo.is_finite() && hi.is_finite()) {
        let _ = write!(text, " ({} to {})", value_text(unit, lo), value_text(unit, hi));
    }
    match expectation.margin {
        Some(margin) if margin >= 0.0 => {
            let _ = write!(text, ", margin {}", value_text(unit, margin));
        }
        Some(margin) if margin < 0.0 => {
            let _ = write!(text, ", misses by {}", value_text(unit, -margin));
        }
        _ => {}
    }
    text
}

/// How precise the answers became that were to be precise, and how many runs that took.
fn precision(result: &ExperimentResult, width: usize) -> String {
    if result.precision.is_empty() {
        return String::new();
    }
    let reached = match result.precision.iter().all(|p| p.is_reached) {
        true => "reached",
        false => "not reached",
    };
    let mut text = format!(
        "Precision: {reached} in {} of at most {}\n",
        many(u64::from(result.runs), "run"),
        count_text(f64::from(result.runs_at_most))
    );
    for p in &result.precision {
        let wanted = [p.within.map(|w| ratio_text(w) + " of it"), p.absolute.map(|a| value_text(p.unit, a))];
        let wanted = wanted.into_iter().flatten().collect::<Vec<_>>().join(" or ");
        let mark = if p.is_reached { "✓" } else { "?" };
        let found = match (p.value, p.half_width) {
            (Some(value), Some(half)) => {
                let share = if value == 0.0 {
                    String::new()
                } else {
                    format!(" ({})", ratio_text(half / value.abs()))
                };
                format!("{} ± {}{share}", p.unit.text(value), value_text(p.unit, half))
            }
            _ => "no interval".to_string(),
        };
        let line = format!("{}: {}: {found}, wanted within {wanted}", p.variant, p.text);
        text.push_str(&wrapped(&line, &format!("  {mark} "), width));
    }
    text
}

/// Warnings, files, what it took, and how to get it again.
fn closing(result: &ExperimentResult, options: &Options) -> String {
    let mut text = String::new();
    if !result.warnings.is_empty() {
        text.push_str("Warnings\n");
        for warning in &result.warnings {
            text.push_str(&wrapped(warning, "  ! ", options.width));
        }
        text.push('\n');
    }
    if !options.files.is_empty() {
        text.push_str("Files\n");
        for file in &options.files {
            let _ = writeln!(text, "  {file}");
        }
        text.push('\n');
    }
    text.push_str(&wrapped(&effort(result), "", options.width));
    let _ = writeln!(text, "reproduce: {}", options.reproduce);
    text
}

/// What was simulated: "weather-cascade: 3 variants × 5 runs of 30 min, …".
fn effort(result: &ExperimentResult) -> String {
    let warmup = match result.warmup_method {
        Some(method) => format!(" (warm-up {}, found by {method})", duration_text(result.warmup_s)),
        None if result.warmup_s > 0.0 => format!(" (warm-up {})", duration_text(result.warmup_s)),
        None => String::new(),
    };
    format!(
        "{}: {} × {} of {}{warmup}, {} events, seed {}, fingerprint {:016x}",
        result.name,
        many(result.variants.len() as u64, "variant"),
        many(u64::from(result.runs), "run"),
        duration_text(result.duration_s),
        count_text(result.events as f64),
        result.seed,
        fingerprint(result)
    )
}

/// One hash over the fingerprints of all runs: whoever plays the same sees the same.
fn fingerprint(result: &ExperimentResult) -> u64 {
    result.variants.iter().flat_map(|v| &v.fingerprints).fold(0, |all, one| mix(all, *one))
}

/// A paragraph within a width, its first line behind a bullet and the others below it.
pub(super) fn wrapped(paragraph: &str, bullet: &str, width: usize) -> String {
    let indent = bullet.chars().count();
    let (mut text, mut used) = (bullet.to_string(), indent);
    for (at, word) in paragraph.split_whitespace().enumerate() {
        let length = word.chars().count();
        if at > 0 && used + 1 + length > width {
            let _ = write!(text, "\n{:indent$}", "");
            used = indent;
        } else if at > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += length;
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn options() -> Options {
        Options {
            color: false,
            width: 100,
            files: vec!["out/summary.json".into(), "out/latency.svg".into()],
            reproduce: "brownout run weather.ron --seed 42".into(),
            quiet: false,
        }
    }

    #[test]
    fn the_summary_of_an_incident() {
        assert_eq!(summary(&fixture::incident(), &options()), include_str!("human/incident.txt"));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for result in [fixture::incident(), fixture::tiny(), fixture::all_nan(), fixture::many_variants(9)] {
            for line in summary(&result, &options()).lines() {
                assert!(line.chars().count() <= 100, "{line}");
            }
        }
    }

    #[test]
    fn quiet_is_about_what_did_not_hold() {
        let quiet = Options { quiet: true, ..options() };
        assert_eq!(summary(&fixture::tiny(), &quiet), "");
        let text = summary(&fixture::incident(), &quiet);
        assert!(!text.contains('✓') && text.contains('✗') && text.ends_with("--seed 42\n"), "{text}");
    }

    #[test]
    fn colors_are_on_verdicts_only_and_only_if_asked_for() {
        let plain = summary(&fixture::incident(), &options());
        let colored = summary(&fixture::incident(), &Options { color: true, ..options() });
        assert!(!plain.contains('\x1b'));
        let bare = ["\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"]
            .iter()
            .fold(colored.clone(), |text, code| text.replace(code, ""));
        assert_eq!((bare, colored.matches("\x1b[0m").count()), (plain, 4));
    }

    #[test]
    fn what_is_undefined_is_said_so() {
        let text = summary(&fixture::all_nan(), &options());
        assert!(text.contains("no run has a value") && !text.contains("NaN"), "{text}");
    }
}
