//! What a sweep found, for people and for machines.

mod columns;
#[cfg(feature = "parquet")]
pub mod parquet;

use crate::base::units::{Unit, duration_text, ratio_text};
use crate::experiment::results::Verdict;
use crate::experiment::sweep::{Measured, SettingValue, SweepMeasure, SweepResult};
use crate::metrics::Estimate;
use crate::report::json::Number;
use crate::report::words::{estimate_text, many, value_text};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use serde::{Serialize, Serializer};
use std::fmt::Write as _;

pub use columns::{Column, Values, points, runs};

/// How the summary is to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether verdicts are red and green.
    pub color: bool,
    /// Files that were written, to be listed.
    pub files: Vec<String>,
    /// The command that gives the same results again.
    pub reproduce: String,
    /// Only what did not hold, or is no answer at all.
    pub quiet: bool,
}

/// More points than this are in the files only.
const ROWS_MAX: usize = 200;
/// Headers are broken into lines of so many characters.
const HEADER_MAX: usize = 24;

/// The summary for people, with a newline at the end.
pub fn human(result: &SweepResult, options: &Options) -> String {
    let is_shown = |at: &usize| {
        let point = &result.points[*at];
        let fails = |m: &Measured| m.verdict.is_some_and(|v| v != Verdict::Held);
        !options.quiet || point.overload.is_some() || point.measures.iter().any(fails)
    };
    let rows: Vec<usize> = (0..result.points.len()).filter(is_shown).collect();
    if options.quiet && rows.is_empty() {
        return String::new();
    }
    let mut text = match result.runs {
        1 => "One run of each point: there are no confidence intervals; give `runs` or --runs\n".to_string(),
        runs => format!(
            "Mean ± 95 % of {} of each point, all on the same random numbers\n",
            many(u64::from(runs), "run")
        ),
    };
    text.push_str(&table(result, &rows[..rows.len().min(ROWS_MAX)], options.color));
    if rows.len() > ROWS_MAX {
        let _ = writeln!(text, "  … and {} more points in the files", rows.len() - ROWS_MAX);
    }
    if result.points.iter().any(|p| p.overload.is_some()) {
        text.push_str(
            "\n(…): more is asked than the system can do, or the warm-up is too short. Requests pile up; these values \
             depend\non how long one looks, and have no interval. The last column says what is in flight, early and \
             late.\n",
        );
    }
    if options.quiet {
        let _ = writeln!(text, "\nreproduce: {}", options.reproduce);
        return text;
    }
    if !options.files.is_empty() {
        text.push_str("\nFiles\n");
        for file in &options.files {
            let _ = writeln!(text, "  {file}");
        }
    }
    let _ = writeln!(text, "\n{}", effort(result));
    let _ = writeln!(text, "reproduce: {}", options.reproduce);
    text
}

fn effort(result: &SweepResult) -> String {
    let warmup = match result.warmup_s > 0.0 {
        true => format!(" (warm-up {})", duration_text(result.warmup_s)),
        false => String::new(),
    };
    format!(
        "{}: {} × {} of {}{warmup}, seed {}",
        result.name,
        many(result.points.len() as u64, "point"),
        many(u64::from(result.runs), "run"),
        duration_text(result.duration_s),
        result.seed
    )
}

fn table(result: &SweepResult, rows: &[usize], color: bool) -> String {
    let is_overloaded = result.points.iter().any(|p| p.overload.is_some());
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    let settings = result.settings.iter().map(|s| broken(&s.path));
    let measures = result.measures.iter().map(|m| broken(&m.text));
    let last = is_overloaded.then(|| "in flight".to_string());
    table.set_header(settings.chain(measures).chain(last).collect::<Vec<_>>());
    for &at in rows {
        let point = &result.points[at];
        let settings = point.values.iter().map(|value| cut(&value.text, 40));
        let measures = point
            .measures
            .iter()
            .zip(&result.measures)
            .map(|(found, measure)| cell(found, measure, result.runs, point.overload.is_some(), color));
        let piles_up = point.overload.as_ref().map(|o| {
            format!(
                "{}: {} → {}",
                o.client,
                value_text(Unit::Level, o.early.round()),
                value_text(Unit::Level, o.late.round())
            )
        });
        let last = is_overloaded.then(|| piles_up.unwrap_or_default());
        table.add_row(settings.chain(measures).chain(last).collect::<Vec<_>>());
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((2, 0));
        let is_text = result.settings.get(at).is_some_and(|s| s.unit.is_none());
        if !is_text {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_string()).collect();
    lines.join("\n") + "\n"
}

/// A measure of a point: "✓ 187 ms ± 1.2 ms"; in parentheses and without interval where requests pile up.
fn cell(found: &Measured, measure: &SweepMeasure, runs: u32, is_overloaded: bool, color: bool) -> String {
    let mut text = number(found, measure, is_overloaded);
    if found.runs < runs as usize && found.runs > 0 {
        let _ = write!(text, " in {} of {runs} runs", found.runs);
    }
    if is_overloaded {
        text = format!("({text})");
    }
    let (mark, paint) = match found.verdict {
        None => return text,
        Some(Verdict::Held) => ("✓", "\x1b[32m"),
        Some(Verdict::Failed) => ("✗", "\x1b[31m"),
        Some(Verdict::Inconclusive) => ("?", "\x1b[33m"),
    };
    if color { format!("{paint}{mark}\x1b[0m {text}") } else { format!("{mark} {text}") }
}

fn number(found: &Measured, measure: &SweepMeasure, is_overloaded: bool) -> String {
    let Some(value) = found.value.filter(|v| v.is_finite()) else { return "–".to_string() };
    let interval = found.ci95.filter(|_| !is_overloaded);
    match interval {
        Some((lo, hi)) if measure.is_share => {
            format!("{} ({} to {})", ratio_text(value), ratio_text(lo), ratio_text(hi))
        }
        Some((lo, hi)) => {
            let half = (hi - lo) / 2.0;
            let estimate = Estimate {
                mean: value,
                half_width: Some(half),
                lo: Some(lo),
                hi: Some(hi),
                runs: found.runs,
            };
            estimate_text(measure.unit, Some(estimate))
        }
        None => value_text(measure.unit, value),
    }
}

/// A text broken at blanks, and at dots of long paths, into lines that are not too long.
fn broken(text: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    let pieces = text.split_inclusive([' ', '.']);
    for piece in pieces {
        if !line.is_empty() && line.chars().count() + piece.trim_end().chars().count() > HEADER_MAX {
            lines.push(std::mem::take(&mut line).trim_end().to_string());
        }
        line.push_str(piece);
    }
    lines.push(line.trim_end().to_string());
    lines.join("\n")
}

/// A text cut to so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.to_string()
    } else {
        text.chars().take(most - 1).chain(['…']).collect()
    }
}

/// All points as CSV, one a row.
pub fn points_csv(result: &SweepResult) -> Vec<u8> {
    columns::csv(&points(result))
}

/// All runs of all points as CSV, one a row.
pub fn runs_csv(result: &SweepResult) -> Vec<u8> {
    columns::csv(&runs(result))
}

/// All that was found as one JSON document, with a newline at the end.
pub fn json(result: &SweepResult) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        brownout: &'static str,
        name: &'a str,
        seed: u64,
        runs: u32,
        simulated_seconds: Number,
        warmup_seconds: Number,
        settings: Vec<Setting<'a>>,
        measures: Vec<Measure<'a>>,
        points: Vec<Point<'a>>,
    }
    #[derive(Serialize)]
    struct Setting<'a> {
        path: &'a str,
        unit: Option<&'static str>,
    }
    #[derive(Serialize)]
    struct Measure<'a> {
        text: &'a str,
        unit: &'static str,
        limits: Vec<Number>,
    }
    #[derive(Serialize)]
    struct Point<'a> {
        settings: Vec<Shown<'a>>,
        overload: Option<Overload<'a>>,
        measures: Vec<Found>,
    }
    #[derive(Serialize)]
    struct Overload<'a> {
        client: &'a str,
        in_flight_early: Number,
        in_flight_late: Number,
    }
    #[derive(Serialize)]
    struct Found {
        value: Option<Number>,
        ci95: Option<[Number; 2]>,
        runs: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        verdict: Option<&'static str>,
        per_run: Vec<Option<Number>>,
    }
    let found = |m: &Measured| Found {
        value: m.value.map(Number),
        ci95: m.ci95.map(|(lo, hi)| [Number(lo), Number(hi)]),
        runs: m.runs,
        verdict: m.verdict.map(Verdict::name),
        per_run: m.per_run.iter().map(|v| v.map(Number)).collect(),
    };
    let document = Document {
        brownout: env!("CARGO_PKG_VERSION"),
        name: &result.name,
        seed: result.seed,
        runs: result.runs,
        simulated_seconds: Number(result.duration_s),
        warmup_seconds: Number(result.warmup_s),
        settings: result
            .settings
            .iter()
            .map(|s| Setting { path: &s.path, unit: s.unit.map(Unit::symbol) })
            .collect(),
        measures: result
            .measures
            .iter()
            .map(|m| Measure {
                text: &m.text,
                unit: m.unit.symbol(),
                limits: m.limits.iter().copied().map(Number).collect(),
            })
            .collect(),
        points: result
            .points
            .iter()
            .map(|p| Point {
                settings: p.values.iter().map(Shown).collect(),
                overload: p.overload.as_ref().map(|o| Overload {
                    client: &o.client,
                    in_flight_early: Number(o.early),
                    in_flight_late: Number(o.late),
                }),
                measures: p.measures.iter().map(found).collect(),
            })
            .collect(),
    };
    match serde_json::to_string_pretty(&document) {
        Ok(text) => text + "\n",
        Err(_) => unreachable!("keys are strings and numbers are finite"),
    }
}

/// A setting's value: a number in its unit, or what was written.
struct Shown<'a>(&'a SettingValue);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.number {
            Some(number) => Number(number).serialize(serializer),
            None => serializer.serialize_str(&self.0.text),
        }
    }
}
