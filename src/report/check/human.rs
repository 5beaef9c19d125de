//! The result of a check for people at a terminal.

use super::{counted, dice_words, measure_words, sentence, tally};
use crate::experiment::check::{Change, ChangeVerdict, CheckResult, Checked, Comparison};
use crate::experiment::results::Verdict;
use crate::report::human::verdict_lines;
use crate::report::words::many;
use std::fmt::Write as _;

/// How it is to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether marks are red and green.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// The command that gives the same results again.
    pub reproduce: String,
    /// Only what is worth a look.
    pub quiet: bool,
}

/// The result, with a newline at the end; quiet and with nothing to say, it is empty.
pub fn summary(result: &CheckResult, options: &Options) -> String {
    let mut text = String::new();
    for file in &result.files {
        let section = match &file.found {
            Ok(found) => section(&file.file, found, options),
            Err(problems) => problems.iter().fold(String::new(), |text, problem| {
                let place = &problem.place;
                let at = place.position.map_or(String::new(), |(line, column)| format!(":{line}:{column}"));
                let mark = mark("✗", "31", options.color);
                format!("{text}{mark} {}{at}: {}\n", place.file, problem.message)
            }),
        };
        if !section.is_empty() {
            text.push_str(&section);
            text.push('\n');
        }
    }
    if options.quiet && text.is_empty() {
        return text;
    }
    text.push_str(&closing(result));
    let _ = writeln!(text, "reproduce: {}", options.reproduce);
    text
}

fn section(file: &str, found: &Checked, options: &Options) -> String {
    let mut text = String::new();
    let shown: Vec<_> = found.expectations.iter().map(|(e, _)| e).collect();
    let shown: Vec<_> = shown.into_iter().filter(|e| !options.quiet || e.verdict != Verdict::Held).collect();
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
    if let Some(comparison) = counted(found) {
        text.push_str(&compared(file, found, comparison, options));
    }
    match &found.written {
        Some(written) if !options.quiet => {
            let how = if written.is_same { "unchanged" } else { "written" };
            let measures = many(written.measures as u64, "measure");
            let _ = writeln!(text, "  baseline {how}: {} ({measures})", written.file);
            if let Some(comparison) = &found.comparison {
                let all = comparison.changes.iter();
                for change in
                    all.filter(|c| matches!(c.verdict, ChangeVerdict::Worse | ChangeVerdict::Better))
                {
                    let _ = writeln!(text, "    accepted: {}: {}", change.variant, sentence(change));
                }
            }
        }
        _ => {}
    }
    if text.is_empty() && options.quiet {
        return text;
    }
    let of = format!("{} × {}", many(found.variants as u64, "variant"), many(u64::from(found.runs), "run"));
    format!("{file} ({of}, seed {})\n{text}", found.seed)
}

/// What the baseline says: first what got worse, then what got better, then the rest in numbers.
fn compared(file: &str, found: &Checked, comparison: &Comparison, options: &Options) -> String {
    let of = |verdict| comparison.changes.iter().filter(move |c| c.verdict == verdict);
    let (worse, better) = (of(ChangeVerdict::Worse).count(), of(ChangeVerdict::Better).count());
    let unclear: Vec<&Change> = of(ChangeVerdict::Unclear).collect();
    let is_worth_a_look = worse + better > 0 || !comparison.misfits.is_empty();
    if options.quiet && !is_worth_a_look {
        return String::new();
    }
    let counts = [(of(ChangeVerdict::Same).count(), "the same"), (worse, "worse"), (better, "better")];
    let counts = counts.into_iter().chain([(unclear.len(), "unclear")]).filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
    let mut text = format!("  baseline: {}\n", counts.join(", "));
    for line in notes(found, comparison) {
        let _ = writeln!(text, "    ({line})");
    }
    let changed = [(ChangeVerdict::Worse, "✗", "31"), (ChangeVerdict::Better, "✓", "32")];
    for (verdict, sign, paint) in changed {
        for change in of(verdict) {
            let mark = mark(sign, paint, options.color);
            let _ = writeln!(text, "    {mark} {file}: {}: {}", change.variant, sentence(change));
        }
    }
    for misfit in &comparison.misfits {
        let mark = mark("?", "33", options.color);
        let _ = writeln!(text, "    {mark} {file}: {}: {}", misfit.variant, misfit.message);
    }
    if !unclear.is_empty() && !options.quiet {
        let names: Vec<String> =
            unclear.iter().map(|c| format!("{}: {}", c.variant, measure_words(&c.measure))).collect();
        let shown = names.iter().take(UNCLEAR_SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
        let more = names.len().saturating_sub(UNCLEAR_SHOWN);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let _ = writeln!(text, "    too noisy to tell, more runs would: {shown}{more}");
    }
    if better > 0 || !comparison.misfits.is_empty() {
        let _ = writeln!(text, "    to keep what is now: brownout check {file} --update-baselines");
    }
    text
}

/// So many noisy measures are named.
const UNCLEAR_SHOWN: usize = 3;

fn notes(found: &Checked, comparison: &Comparison) -> Vec<String> {
    let version = comparison.other_version.as_ref();
    let version = version.map(|v| format!("the baseline was taken by brownout {v}"));
    dice_words(comparison, found).into_iter().chain(version).collect()
}

/// How many of everything: "3 files: 12 expectations held, 1 failed; 40 measures compared, 1 worse".
fn closing(result: &CheckResult) -> String {
    let tally = tally(result);
    let mut parts = vec![many(tally.checked as u64, "file") + " checked"];
    let mut add = |count: usize, words: &str| {
        if count > 0 {
            parts.push(format!("{count} {words}"));
        }
    };
    add(tally.wrong, "wrong");
    add(tally.held, "held");
    add(tally.failed, "failed");
    add(tally.inconclusive, "inconclusive");
    add(tally.compared, "compared with a baseline");
    add(tally.worse, "worse");
    add(tally.better, "better");
    add(tally.misfits, "not to be compared");
    add(tally.written, if tally.written == 1 { "baseline taken" } else { "baselines taken" });
    add(result.skipped, "skipped, with nothing to check");
    let mut text = parts.join(", ");
    if let Some(since) = &result.since {
        let _ = write!(text, ", {} unchanged since {since}", result.unchanged);
    }
    text + "\n"
}

fn mark(sign: &str, paint: &str, color: bool) -> String {
    if color { format!("\x1b[{paint}m{sign}\x1b[0m") } else { sign.to_string() }
}
