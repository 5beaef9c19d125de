//! How simulations agree with theory: one table over many systems whose answers are known.

use crate::experiment::results::{Agreement, ExperimentResult, Verdict};
use crate::metrics::estimate::stable;
use crate::report::words::many;
use std::fmt::Write as _;

/// A system whose answer is known, and what the simulation found.
#[derive(Debug)]
pub struct Case {
    /// Its name: that of its file.
    pub name: String,
    /// What was found.
    pub result: ExperimentResult,
}

/// How many values of all cases fared how, and the worst of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// Cases.
    pub cases: usize,
    /// Values that agree.
    pub held: usize,
    /// Values that do not.
    pub failed: usize,
    /// Values whose interval is too wide to tell.
    pub inconclusive: usize,
    /// Values whose 95 % interval contains the reference, and values that have an interval of some width.
    pub covered: (usize, usize),
    /// The largest error, as a share of the reference, and whose it is.
    pub worst_error: Option<(f64, String)>,
    /// The largest error as a share of its tolerance, and whose it is.
    pub worst_margin: Option<(f64, String)>,
}

/// Counts the values of all cases.
pub fn tally(cases: &[Case]) -> Tally {
    let all = || cases.iter().flat_map(|c| c.result.theory.agreements.iter().map(move |a| (c, a)));
    let count = |verdict| all().filter(|(_, a)| a.verdict == verdict).count();
    let worst = |measure: &dyn Fn(&Agreement) -> Option<f64>| {
        all().filter_map(|(case, a)| Some((measure(a)?.abs(), format!("{} {}", case.name, a.name)))).fold(
            None,
            |worst: Option<(f64, String)>, one| match worst {
                Some(worst) if worst.0 >= one.0 => Some(worst),
                _ => Some(one),
            },
        )
    };
    let wide = || all().filter_map(|(_, a)| Some((a, a.ci95.filter(|(lo, hi)| lo < hi)?)));
    let covering = wide().filter(|(a, (lo, hi))| (*lo..=*hi).contains(&a.reference));
    Tally {
        covered: (covering.count(), wide().count()),
        cases: cases.len(),
        held: count(Verdict::Held),
        failed: count(Verdict::Failed),
        inconclusive: count(Verdict::Inconclusive),
        worst_error: worst(&|a| a.error()),
        worst_margin: worst(&|a| (a.tolerance > 0.0).then_some((a.value? - a.reference) / a.tolerance)),
    }
}

/// The tally in a few lines.
pub fn tally_text(tally: &Tally) -> String {
    let mut text = format!(
        "{}, {}: {} agree",
        many(tally.cases as u64, "system"),
        many((tally.held + tally.failed + tally.inconclusive) as u64, "value"),
        tally.held
    );
    if tally.failed > 0 {
        let _ = write!(text, ", {} disagree", tally.failed);
    }
    if tally.inconclusive > 0 {
        let _ = write!(text, ", {} inconclusive", tally.inconclusive);
    }
    text.push('\n');
    let (covered, wide) = tally.covered;
    if wide > 0 {
        let share = covered as f64 / wide as f64;
        let _ = writeln!(
            text,
            "the reference lies within the 95 % interval of {covered} of {wide} values ({})",
            percent(share)
        );
    }
    if let Some((error, whose)) = &tally.worst_error {
        let _ = writeln!(text, "largest error: {} ({whose})", percent(*error));
    }
    if let Some((share, whose)) = &tally.worst_margin {
        let _ = writeln!(text, "closest to its tolerance: {} of it ({whose})", percent(*share));
    }
    text
}

/// The values of one result, without a heading; `quiet` leaves out those that agree.
pub fn section(result: &ExperimentResult, color: bool, quiet: bool) -> String {
    let mut text = String::new();
    for agreement in &result.theory.agreements {
        if quiet && agreement.verdict == Verdict::Held {
            continue;
        }
        let (mark, paint) = match agreement.verdict {
            Verdict::Held => ("✓", "\x1b[32m"),
            Verdict::Failed => ("✗", "\x1b[31m"),
            Verdict::Inconclusive => ("?", "\x1b[33m"),
        };
        let mark = if color { format!("{paint}{mark}\x1b[0m") } else { mark.to_string() };
        let cells = cells(agreement);
        let line = format!(
            "  {mark} {:32} {:>12} {:>12} {:>10} {:>10} {:>10}",
            cells.name, cells.reference, cells.simulated, cells.half_width, cells.error, cells.tolerance
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if !text.is_empty() {
        let head = format!(
            "    {:32} {:>12} {:>12} {:>10} {:>10} {:>10}\n",
            "", "reference", "simulated", "± 95 %", "error", "tolerance"
        );
        text.insert_str(0, &head);
    }
    text
}

/// All values as a table for people; `quiet` leaves out those that agree.
pub fn human(cases: &[Case], color: bool, quiet: bool) -> String {
    let mut text = String::new();
    for case in cases {
        let section = section(&case.result, color, quiet);
        if !section.is_empty() {
            let _ = writeln!(text, "{} ({})\n{section}", case.name, case.result.theory.source);
        }
    }
    text + &tally_text(&tally(cases))
}

/// All values as a table in Markdown, the tally above it and the sources below.
pub fn markdown(cases: &[Case]) -> String {
    let mut text =
        tally_text(&tally(cases)).lines().fold(String::new(), |text, line| text + "- " + line + "\n");
    text.push_str("\n| system | value | reference | simulated | ± 95 % | error | tolerance | |\n");
    text.push_str("|---|---|---:|---:|---:|---:|---:|---|\n");
    for case in cases {
        for agreement in &case.result.theory.agreements {
            let cells = cells(agreement);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                case.name,
                cells.name,
                cells.reference,
                cells.simulated,
                cells.half_width,
                cells.error,
                cells.tolerance,
                word(agreement.verdict)
            );
        }
    }
    text.push_str("\nSources:\n\n");
    for case in cases {
        let _ = writeln!(text, "- {}: {}", case.name, case.result.theory.source);
    }
    text
}

/// All values with all their digits, as CSV.
pub fn csv(cases: &[Case]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [
        "system",
        "value",
        "variant",
        "formula",
        "unit",
        "reference",
        "tolerance",
        "simulated",
        "lo",
        "hi",
        "error",
        "runs",
        "verdict",
        "source",
    ];
    let mut rows: Vec<Vec<String>> = vec![header.map(str::to_string).to_vec()];
    for case in cases {
        for a in &case.result.theory.agreements {
            let number = |value: Option<f64>| value.map_or_else(String::new, |v| stable(v).to_string());
            rows.push(vec![
                case.name.clone(),
                a.name.clone(),
                a.variant.clone(),
                a.text.clone(),
                a.unit.symbol().to_string(),
                number(Some(a.reference)),
                number(Some(a.tolerance)),
                number(a.value),
                number(a.ci95.map(|(lo, _)| lo)),
                number(a.ci95.map(|(_, hi)| hi)),
                number(a.error()),
                case.result.runs.to_string(),
                a.verdict.name().to_string(),
                case.result.theory.source.clone(),
            ]);
        }
    }
    for row in rows {
        // Writing to memory cannot fail.
        let _ = writer.write_record(&row);
    }
    writer.into_inner().unwrap_or_default()
}

struct Cells {
    name: String,
    reference: String,
    simulated: String,
    half_width: String,
    error: String,
    tolerance: String,
}

fn cells(a: &Agreement) -> Cells {
    let none = || "–".to_string();
    let error = match (a.error(), a.value) {
        (Some(error), _) => percent(error),
        (None, Some(value)) => digits(value - a.reference, 2),
        _ => none(),
    };
    let tolerance =
        if a.reference != 0.0 { percent(a.tolerance / a.reference.abs()) } else { digits(a.tolerance, 2) };
    Cells {
        name: a.name.clone(),
        reference: digits(a.reference, 5),
        simulated: a.value.map_or_else(none, |v| digits(v, 5)),
        half_width: a.ci95.map_or_else(none, |(lo, hi)| digits((hi - lo) / 2.0, 2)),
        error,
        tolerance,
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "agrees",
        Verdict::Failed => "**disagrees**",
        Verdict::Inconclusive => "**inconclusive**",
    }
}

/// So many significant digits, without an exponent as long as the number stays readable.
fn digits(value: f64, significant: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let rounded: f64 = format!("{value:.*e}", significant - 1).parse().unwrap_or(value);
    if (1e-6..1e9).contains(&rounded.abs()) { rounded.to_string() } else { format!("{rounded:e}") }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let shown = if percent.abs() < 0.001 { 0.0 } else { percent };
    format!("{} %", digits(shown, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_plain() {
        assert_eq!(digits(0.013_862_943_611_198_907, 5), "0.013863");
        assert_eq!(digits(125_000.0, 5), "125000");
        assert_eq!(digits(25_920.000_000_000_022, 5), "25920");
        assert_eq!(digits(0.0, 5), "0");
        assert_eq!(digits(1.5e-9, 2), "1.5e-9");
        assert_eq!((percent(-0.01234), percent(1e-9)), ("-1.2 %".into(), "0 %".into()));
    }
}
